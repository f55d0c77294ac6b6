//! A server that goes away in the middle, and comes back: nothing that was acknowledged is lost, and nothing is
//! done twice.
#![cfg(unix)]

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use nebula_ports::{ErrorKind, ExecutionRepo, Stepped};
use nebula_storage_postgres::Postgres;
use nebula_testkit::servers;
use support::{assert_contiguous, journal, leased, open, step};
use tokio::{runtime::Builder, sync::Notify, task::JoinSet};

/// Steps until it is told to stop; what has no known outcome is said again until it has one.
async fn drive(
    repo: Arc<Postgres>,
    n: u128,
    stop: Arc<AtomicBool>,
    (done, progress): (Arc<AtomicU64>, Arc<Notify>),
) -> (u64, u64) {
    let lease = leased(&repo, n, 1).await;
    let (mut seq, mut unknown) = (2, 0);
    while !stop.load(Ordering::Relaxed) {
        let wanted = step(seq, n << 64 | u128::from(seq), 1, 100);
        seq = loop {
            match repo.step(&lease, wanted.clone()).await {
                Ok(Stepped::Applied { next_seq, .. } | Stepped::Replayed { next_seq, .. }) => {
                    break next_seq;
                }
                Err(error) if error.kind == ErrorKind::Unavailable => {
                    unknown += 1;
                    tokio::task::yield_now().await;
                }
                other => panic!("{other:?}"),
            }
        };
        done.fetch_add(1, Ordering::Relaxed);
        progress.notify_waiters();
    }
    (seq, unknown)
}

#[test]
fn a_server_that_is_killed_loses_nothing_and_repeats_nothing() {
    // This one waits for the disk.
    let Some(server) = servers::Postgres::start(&[]) else {
        return;
    };
    let database = server.database();
    let address = database.address();
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let repo = open(&address, None).await;
        let (stop, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let progress = Arc::new(Notify::new());
        let mut all = JoinSet::new();
        for n in 1..=8 {
            let told = (Arc::clone(&done), Arc::clone(&progress));
            all.spawn(drive(Arc::clone(&repo), n, Arc::clone(&stop), told));
        }
        let goes_on = async |more: u64| {
            let until = done.load(Ordering::Relaxed) + more;
            while done.load(Ordering::Relaxed) < until {
                progress.notified().await;
            }
        };
        for signal in ["KILL", "INT", "KILL"] {
            goes_on(200).await;
            server.end(signal);
            server.go_on();
        }
        goes_on(200).await;
        stop.store(true, Ordering::Relaxed);
        let ended = all.join_all().await;
        let unknown: u64 = ended.iter().map(|(_, unknown)| unknown).sum();
        assert!(unknown > 0, "nobody was in the middle of anything");
        for n in 1..=8 {
            let entries = journal(&repo, n).await;
            assert_contiguous(&entries);
            assert!(
                ended
                    .iter()
                    .any(|(seq, _)| *seq == entries.len() as u64 + 1)
            );
        }
        let steps: u64 = ended.iter().map(|(seq, _)| seq - 2).sum();
        assert_eq!(steps, done.load(Ordering::Relaxed));
    });
}

#[test]
fn who_asks_while_nobody_is_there_is_told_where() {
    let Some(server) = servers::Postgres::start(&["-c", "fsync=off"]) else {
        return;
    };
    let database = server.database();
    let address = database.address();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let repo = open(&address, None).await;
        leased(&repo, 1, 1).await;
        server.end("INT");
        let asked = repo.get(&support::tenant(), support::execution(1)).await;
        let error = asked.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.to_string().contains("/.s.PGSQL.5432"), "{error}");
        server.go_on();
        assert_eq!(journal(&repo, 1).await.len(), 1);
    });
}
