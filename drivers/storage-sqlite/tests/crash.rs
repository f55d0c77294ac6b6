//! A process that is killed while it writes: what it was told is written, is written.
//!
//! The test starts itself again as the writer, waits for so many acknowledgements on its output,
//! kills it with SIGKILL, and opens what it left.

mod support;

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use nebula_core::{CredentialId, KeyId, Timestamp};
use nebula_ports::{
    Acquired, CredentialPut, CredentialRepo, CredentialVersion, ExecutionRepo, Stepped,
};
use nebula_storage_sqlite::Sqlite;
use nebula_testkit::{ManualClock, run};
use support::{acquired, assert_contiguous, journal, leased, open, step, tenant};
use tokio::task::JoinSet;

/// Executions that are written to at the same time.
const EXECUTIONS: u128 = 16;

/// Acknowledgements before each kill, so that kills meet other moments of the log's life.
const KILLS: [usize; 4] = [1, 40, 700, 3000];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, path] = &arguments[..]
        && mode == "write"
    {
        return run(write(Path::new(path)));
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.db");
    let mut acked = BTreeMap::new();
    for acks in KILLS {
        kill_after(acks, &path, &mut acked)?;
        run(verify(&path, &acked));
    }
    writeln!(
        io::stdout(),
        "test what_was_acknowledged_survives_sigkill ... ok"
    )
}

/// Stands for the credential among the numbers of executions.
const CREDENTIAL: u128 = 0;

async fn credential(repo: &Sqlite) -> u32 {
    let id = CredentialId::new("shop").unwrap();
    let found = CredentialRepo::get(repo, &tenant(), &id).await.unwrap();
    found.map_or(0, |it| it.version)
}

/// Puts one version of a credential after the other, in the batches of the steps.
async fn put_versions(repo: Arc<Sqlite>) {
    let key = KeyId::new("k1").unwrap();
    let _ = repo.promote_key(&tenant(), None, &key).await.unwrap();
    for version in credential(&repo).await + 1.. {
        let new = CredentialVersion {
            id: CredentialId::new("shop").unwrap(),
            kind: "bearer".to_owned(),
            version,
            key: key.clone(),
            envelope: vec![7; 400],
        };
        let put = CredentialRepo::put(&*repo, &tenant(), new).await.unwrap();
        assert_eq!(put, CredentialPut::Stored);
        io::stdout()
            .write_all(format!("{CREDENTIAL} {version}\n").as_bytes())
            .unwrap();
        io::stdout().flush().unwrap();
    }
}

/// Leases every execution and appends to all of them until it is killed; prints `execution next_seq`
/// for what was acknowledged.
async fn write(path: &Path) -> io::Result<()> {
    let clock = ManualClock::default();
    let repo = Arc::new(open(path, &clock).await.map_err(io::Error::other)?);
    let mut writers = JoinSet::new();
    writers.spawn(put_versions(Arc::clone(&repo)));
    for n in 1..=EXECUTIONS {
        let repo = Arc::clone(&repo);
        writers.spawn(async move {
            let (lease, mut next) = match acquired(&repo, n, u128::from(std::process::id())).await {
                Acquired::Granted(granted) => (granted.lease, granted.next_seq),
                Acquired::Unknown => (leased(&repo, n, u128::from(std::process::id())).await, 2),
                other => panic!("the one before is dead: {other:?}"),
            };
            for round in 0_u64.. {
                let id = n << 96 | u128::from(lease.epoch) << 64 | u128::from(round);
                let stepped = repo.step(&lease, step(next, id, 3, 400)).await.unwrap();
                let Stepped::Applied { next_seq, .. } = stepped else {
                    panic!("{stepped:?}")
                };
                next = next_seq;
                // One write call for each line, so that a killed process leaves whole lines.
                io::stdout()
                    .write_all(format!("{n} {next}\n").as_bytes())
                    .unwrap();
                io::stdout().flush().unwrap();
            }
        });
    }
    writers.join_all().await;
    Ok(())
}

fn kill_after(acks: usize, path: &Path, acked: &mut BTreeMap<u128, u64>) -> io::Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("write")
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut lines = String::new();
    for _ in 0..acks {
        assert!(
            output.read_line(&mut lines)? > 0,
            "the writer ended by itself"
        );
    }
    child.kill()?;
    output.read_to_string(&mut lines)?;
    let status = child.wait()?;
    assert!(!status.success());
    for line in lines.lines() {
        let (n, next) = line.split_once(' ').expect("two numbers");
        let next: u64 = next.parse().expect("a number");
        let most = acked.entry(n.parse().expect("a number")).or_insert(0);
        *most = next.max(*most);
    }
    Ok(())
}

/// Every acknowledged entry is there, and nobody has to wait for the dead one's leases.
async fn verify(path: &Path, acked: &BTreeMap<u128, u64>) {
    let clock = ManualClock::default();
    let repo = open(path, &clock).await.unwrap();
    assert!(!acked.is_empty());
    let executions = acked.iter().filter(|(n, _)| **n != CREDENTIAL);
    if let Some(version) = acked.get(&CREDENTIAL) {
        let found = credential(&repo).await;
        assert!(u64::from(found) >= *version, "{found} of {version}");
    }
    for (n, next) in executions.clone() {
        let entries = journal(&repo, *n).await;
        assert_contiguous(&entries);
        assert!(
            entries.len() as u64 >= next - 1,
            "{n}: {} of {next}",
            entries.len()
        );
        assert_eq!((entries.len() - 1) % 3, 0, "a step is whole or not there");
        let epochs = entries
            .windows(2)
            .all(|pair| pair[0].epoch <= pair[1].epoch);
        assert!(epochs, "epochs never fall");
        let found = ExecutionRepo::get(&repo, &tenant(), support::execution(*n))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.entries, entries.len() as u64);
        assert!(!found.leased || cfg!(not(unix)), "its holder is dead");
    }
    let page = repo
        .runnable(Timestamp::MAX, &nebula_core::Groups::All, 100)
        .await
        .unwrap();
    assert!(page.runnable.len() >= executions.count() || cfg!(not(unix)));
}
