//! Large values: beside the database, and shown as any other.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nebula_core::Entropy as _;
use nebula_ports::{Campaigned, DutyName, Incarnation, LeaderElector as _};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::{SystemClock, SystemEntropy};
use serde_json::Value;

use crate::{serve::Serving, support::User};

/// A result of 900 kB, of which another node makes a short one, and which is the output as well.
const LARGE: &str = "
nodes:
  - { id: large, action: data.set, parameters: { text: \"{{ 'x'.repeat(900000) }}\" } }
  - { id: short, action: data.set, parameters: { length: '{{ $nodes.large.result.text.length }}' } }
output: '{{ { text: $nodes.large.result.text, length: $nodes.short.result.length } }}'
";

fn folder(user: &User) -> PathBuf {
    let mut path = user.database().into_os_string();
    path.push("-blobs");
    path.into()
}

/// The files of all blobs.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files
}

fn run(user: &User) -> Value {
    user.write("large.yaml", LARGE);
    user.nebula(&["run", "large.yaml"]).exits(0).json()
}

#[test]
fn a_large_result_lies_beside_the_database_and_is_shown() {
    let user = User::new();
    let report = run(&user);
    let text = report["output"]["text"].as_str().unwrap();
    assert_eq!(
        (text.len(), &report["output"]["length"]),
        (900_000, &900_000.into())
    );
    // The result of the node, and the output of the execution.
    assert_eq!(files(&folder(&user)).len(), 2);
    let database = fs::metadata(user.database()).unwrap().len();
    assert!(database < 600_000, "{database}");

    let id = report["execution"].as_str().unwrap();
    let shown = user.nebula(&["executions", "show", id]).exits(0).json();
    assert_eq!(shown["output"], report["output"]);
    user.nebula(&["executions", "replay", id]).exits(0);

    // Nothing is old, and everything is named.
    let collected = user.nebula(&["blobs", "collect"]).exits(0).json();
    assert_eq!(
        (&collected["old"], &collected["deleted"]),
        (&0.into(), &0.into())
    );
    assert_eq!(files(&folder(&user)).len(), 2);
}

#[test]
fn a_small_result_makes_no_folder() {
    let user = User::new();
    let small = "nodes: [ { id: small, action: data.set, parameters: { n: 1 } } ]";
    user.write("small.yaml", small);
    user.nebula(&["run", "small.yaml"]).exits(0);
    user.nebula(&["blobs", "collect"]).exits(0);
    assert!(!folder(&user).exists());
}

#[test]
fn a_blob_that_is_damaged_or_gone_is_said() {
    let user = User::new();
    let report = run(&user);
    let id = report["execution"].as_str().unwrap();
    for damage in [true, false] {
        for file in files(&folder(&user)) {
            if damage {
                let mut bytes = fs::read(&file).unwrap();
                bytes[500_000] ^= 1;
                fs::write(&file, bytes).unwrap();
            } else {
                fs::remove_file(&file).unwrap();
            }
        }
        let said = user.nebula(&["executions", "show", id]).exits(3);
        assert_eq!(said.error_code(), "STORE_CORRUPT");
    }
}

/// Makes every blob two days older, and one that nothing names, in the place of a put whose process died
/// before it could name it.
fn old_blobs_with_an_orphan(user: &User) -> PathBuf {
    let two_days = Duration::from_secs(2 * 24 * 60 * 60);
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let orphan = folder(user).join("0-local/ba").join(digest);
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    fs::write(&orphan, b"abc").unwrap();
    for file in files(&folder(user)) {
        let file = fs::File::options().write(true).open(file).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(modified - two_days).unwrap();
    }
    orphan
}

#[test]
fn what_nothing_names_and_is_old_is_collected() {
    let user = User::new();
    let report = run(&user);
    let orphan = old_blobs_with_an_orphan(&user);
    let collected = user.nebula(&["blobs", "collect"]).exits(0).json();
    let expected = serde_json::json!({ "old": 3, "deleted": 1, "bytes": 3, "renewed": 0 });
    assert_eq!(collected, expected);
    assert!(!orphan.exists());
    let id = report["execution"].as_str().unwrap();
    let shown = user.nebula(&["executions", "show", id]).exits(0).json();
    assert_eq!(shown["output"], report["output"]);
}

/// Guards: a server campaigns for the duty and does it, and one whose database another server leads does not.
#[test]
fn of_two_servers_one_collects_by_itself() {
    let user = User::new();
    run(&user);
    let orphan = old_blobs_with_an_orphan(&user);
    let first = Serving::start(&user);
    asked_until(&first, || !orphan.exists());
    assert_eq!(term_of_the_collector(&user), 1);
    let orphan = old_blobs_with_an_orphan(&user);
    let second = Serving::start(&user);
    for _ in 0..20 {
        second.ask("GET", "/health/live", "", "");
    }
    assert!(orphan.exists());
    assert_eq!(term_of_the_collector(&user), 1);
}

/// The term in which somebody collects.
fn term_of_the_collector(user: &User) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let campaigned = runtime.unwrap().block_on(async {
        let clock = Arc::new(SystemClock::default());
        let config = SqliteConfig::file(user.database());
        let elector = Sqlite::open(config, clock).await.unwrap();
        let duty = DutyName::new("blobs.collect").unwrap();
        let me = Incarnation(SystemEntropy.uuid());
        elector.campaign(&duty, me, Duration::from_millis(1)).await
    });
    match campaigned.unwrap() {
        Campaigned::Held { term, .. } => term,
        free @ Campaigned::Elected(_) => panic!("nobody collects: {free:?}"),
    }
}

/// Asks a server until something is so that it does beside answering.
fn asked_until(serving: &Serving, so: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if so() {
            return;
        }
        serving.ask("GET", "/health/live", "", "");
    }
    panic!("it is not so");
}
