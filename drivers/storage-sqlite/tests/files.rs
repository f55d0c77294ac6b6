//! What may be at the database's path, and what is said about it.

mod support;

use std::{fs, path::Path};

use nebula_ports::{Created, DedupeKey, ErrorKind, ExecutionRepo, PortError};
use nebula_storage_sqlite::SqliteConfig;
use nebula_testkit::{ManualClock, run};
use rusqlite::Connection;
use support::{end, execution, first_schema, leased, new_execution, open, open_with, step, tenant};

fn refused(path: &Path) -> PortError {
    run(async { open(path, &ManualClock::default()).await.unwrap_err() })
}

fn check(path: &Path, kind: ErrorKind, hint: &str) {
    let error = refused(path);
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message.contains(hint), "{error}");
}

/// A database with `count` executions, closed.
fn filled(path: &Path, count: u128) {
    run(async {
        let repo = open(path, &ManualClock::default()).await.unwrap();
        for n in 1..=count {
            let lease = leased(&repo, n, 1).await;
            let _ = repo.step(&lease, step(2, n, 4, 2000)).await.unwrap();
            let _ = repo.step(&lease, end(6, n << 32)).await.unwrap();
        }
    });
}

fn quarantined(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.contains(".corrupt-")).collect();
    names.sort();
    names
}

#[test]
fn what_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    check(&at("missing/a.db"), ErrorKind::Unavailable, "create it");
    fs::create_dir(at("folder")).unwrap();
    check(&at("folder"), ErrorKind::Unavailable, "name a file in it");
    fs::write(at("empty.db"), "").unwrap();
    check(
        &at("empty.db"),
        ErrorKind::Corrupt,
        "delete it to begin a new one",
    );
    fs::write(at("workflow.yaml"), "nodes: []\n".repeat(1000)).unwrap();
    check(
        &at("workflow.yaml"),
        ErrorKind::Format,
        "choose another path",
    );
    let other = Connection::open(at("other.db")).unwrap();
    other.execute_batch("CREATE TABLE mine (x)").unwrap();
    drop(other);
    check(&at("other.db"), ErrorKind::Format, "another program");
    assert_eq!(quarantined(folder.path()), [""; 0]);
    assert!(
        fs::read_to_string(at("workflow.yaml"))
            .unwrap()
            .starts_with("nodes")
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_files_is_named() {
    let error = refused(Path::new("/sys/nebula.db"));
    assert_eq!(error.kind, ErrorKind::ReadOnly, "{error}");
    assert!(error.message.contains("/sys"), "{error}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_what_is_created() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/nebula/a.db");
    let mut config = SqliteConfig::file(&path);
    config.create_folder = true;
    run(async {
        let repo = open_with(config, &ManualClock::default()).await.unwrap();
        let _ = leased(&repo, 1, 1).await;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    });
}

#[test]
fn a_damaged_file_is_set_aside_and_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    filled(&path, 30);
    let mut bytes = fs::read(&path).unwrap();
    let page = 4096;
    for byte in &mut bytes[8 * page..12 * page] {
        *byte = 0xA5;
    }
    fs::write(&path, &bytes).unwrap();
    let error = refused(&path);
    assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");
    let away = quarantined(folder.path());
    assert_eq!(away, ["a.db.corrupt-20260101T000000.000Z"]);
    assert!(error.message.contains(&away[0]), "{error}");
    assert_eq!(
        fs::read(folder.path().join(&away[0])).unwrap(),
        bytes,
        "as it was found"
    );
    assert!(!path.exists(), "nothing was begun in its place");

    // The caller decides to begin a new one; a second damage in the same moment gets another name.
    filled(&path, 1);
    fs::write(
        &path,
        [b"SQLite format 3\0".as_slice(), &[7; 8000]].concat(),
    )
    .unwrap();
    assert_eq!(refused(&path).kind, ErrorKind::Corrupt);
    filled(&path, 1);
    fs::write(&path, [7; 8000]).unwrap();
    assert_eq!(
        refused(&path).kind,
        ErrorKind::Corrupt,
        "it was ours: its folder is there"
    );
    assert_eq!(quarantined(folder.path()).len(), 3);
}

#[test]
fn a_log_goes_with_the_file_that_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("a.db"), folder.path().join("b.db"));
    filled(&path, 30);
    run(async {
        let repo = open(&path, &ManualClock::default()).await.unwrap();
        for n in 101..=130 {
            let _ = leased(&repo, n, 1).await;
        }
        // What a killed process leaves: a file and its log.
        fs::copy(&path, &copy).unwrap();
        fs::copy(path.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
    });
    fs::create_dir(folder.path().join("b.db-holders")).unwrap();
    let size = fs::metadata(&copy).unwrap().len();
    fs::write(&copy, vec![7; usize::try_from(size).unwrap()]).unwrap();
    assert_eq!(refused(&copy).kind, ErrorKind::Corrupt);
    let away = quarantined(folder.path());
    assert!(away.iter().any(|name| name.ends_with("-wal")), "{away:?}");
}

#[test]
fn a_newer_schema_is_refused_and_the_first_one_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    first_schema(&path);
    run(async {
        let repo = open(&path, &ManualClock::default()).await.unwrap();
        let found = repo.get(&tenant(), execution(7)).await.unwrap().unwrap();
        assert_eq!(found.workflow.as_str(), "old");
    });
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let before = fs::read(&path).unwrap();
    check(&path, ErrorKind::Format, "the database has schema 99");
    check(&path, ErrorKind::Format, "use the newer version");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(quarantined(folder.path()), [""; 0]);
}

/// Guard: what stores kept of an input before they kept the digest of it is still known for the same input,
/// and no other input for it.
#[test]
fn what_an_earlier_build_kept_of_an_input_is_the_same_input() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    run(async {
        let repo = open(&path, &ManualClock::default()).await.unwrap();
        let key = || Some(DedupeKey("order-1".to_owned()));
        let first = new_execution(1);
        let earlier = first.started().unwrap().earlier_fingerprint().unwrap();
        let created = repo.create(&tenant(), first, key(), None).await.unwrap();
        assert_eq!(created, Created::Created(None));
        let other = Connection::open(&path).unwrap();
        let kept = other.execute("UPDATE dedupe SET input = ?", [earlier.as_bytes()]);
        assert_eq!(kept.unwrap(), 1);
        for (n, same_input) in [(1, true), (2, false)] {
            let mut again = new_execution(n);
            again.id = execution(9);
            let created = repo.create(&tenant(), again, key(), None).await.unwrap();
            let id = execution(1);
            assert_eq!(created, Created::Exists { id, same_input }, "{n}");
        }
    });
}
