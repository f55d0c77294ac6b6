//! What was set is on the disk when it was told to be, key before secrets. Asked of the system: no kill of a
//! process can show it.
#![cfg(target_os = "linux")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use nebula_core::{SecretId, TenantId};
use nebula_ports::SecretsStore as _;
use nebula_secrets_local::{KeySource, LocalSecrets, SecretsConfig};
use nebula_system::{SystemClock, SystemEntropy, ThreadPoolOffload};

/// Where the other process keeps its secrets.
const FOLDER: &str = "SECRETS_LOCAL_TEST_FOLDER";

/// Sets the first secret, if this is the process that is looked at.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how a test tells its other process what to do"
)]
fn the_other_process() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    runtime.block_on(async {
        let store = LocalSecrets::open(
            SecretsConfig::file(folder.join("secrets")),
            KeySource::File(folder.join("key")),
            Arc::new(SystemClock::default()),
            Arc::new(SystemEntropy),
            Arc::new(ThreadPoolOffload::new(2.try_into().unwrap()).unwrap()),
        );
        let id = SecretId::new("a").unwrap();
        let store = store.await.unwrap();
        let set = store.set(&TenantId::local(), &id, "hunter2".into()).await;
        let _ = set.unwrap();
    });
}

/// The place of the first call from `from` on that has all of these texts.
fn find(calls: &[&str], from: usize, texts: &[&str]) -> usize {
    let found = calls[from..]
        .iter()
        .position(|call| texts.iter().all(|text| call.contains(text)));
    from + found.unwrap_or_else(|| panic!("no {texts:?} after {from}: {calls:#?}"))
}

/// One after the other: the bytes of a new file, its name, the names in its folder.
fn replaced(calls: &[&str], from: usize, path: &Path) -> usize {
    let (new, folder) = (format!("{}.new", path.display()), path.parent().unwrap());
    let synced = find(calls, from, &[" fsync(", &format!("<{new}>")]);
    let renamed = find(calls, synced, &["rename", &new]);
    let folder = format!("<{}>", folder.display());
    let named = find(calls, renamed, &[" fsync(", &folder]);
    let first = calls
        .iter()
        .position(|call| call.contains("rename") && call.contains(&new));
    assert_eq!(first, Some(renamed), "{calls:#?}");
    named
}

/// Guards: the content of a file is synchronised before it takes its name, the name after that, and the key
/// is there for good before anything is encrypted with it.
#[test]
fn what_is_set_is_synchronised_before_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().canonicalize().unwrap();
    let traced = place.join("calls");
    let status = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fsync,/^rename", "-o"])
        .arg(&traced)
        .arg(env::current_exe().unwrap())
        .args(["--exact", "the_other_process"])
        .env(FOLDER, &place)
        .output();
    if !status.is_ok_and(|output| output.status.success()) {
        #[expect(clippy::print_stderr, reason = "what was not tested is said")]
        {
            eprintln!("NOT TESTED: strace does not work here");
        }
        return;
    }
    let calls = fs::read_to_string(traced).unwrap();
    let calls: Vec<_> = calls.lines().filter(|call| call.ends_with("= 0")).collect();
    let key = replaced(&calls, 0, &place.join("key"));
    replaced(&calls, key, &place.join("secrets"));
}
