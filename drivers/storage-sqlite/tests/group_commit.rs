//! Writes that arrive together share a commit, and share nothing else.

mod support;

use std::sync::Arc;

use nebula_ports::{ErrorKind, ExecutionRepo, Stepped};
use nebula_storage_sqlite::SqliteConfig;
use nebula_testkit::{ManualClock, run};
use support::{assert_contiguous, journal, leased, open, open_with, step};
use tokio::task::JoinSet;

#[test]
fn many_steps_at_once_share_commits() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let clock = ManualClock::default();
        let repo = Arc::new(open(&folder.path().join("a.db"), &clock).await.unwrap());
        let mut leases = Vec::new();
        for n in 1..=64 {
            leases.push(leased(&repo, n, 1).await);
        }
        let before = repo.stats();
        let mut clients = JoinSet::new();
        for (lease, n) in leases.into_iter().zip(1_u128..) {
            let repo = Arc::clone(&repo);
            clients.spawn(async move {
                for round in 0..20 {
                    let stepped = repo
                        .step(&lease, step(2 + round, n << 64 | u128::from(round), 1, 10))
                        .await;
                    assert!(
                        matches!(stepped, Ok(Stepped::Applied { .. })),
                        "{stepped:?}"
                    );
                }
            });
        }
        clients.join_all().await;
        let after = repo.stats();
        assert_eq!(after.steps - before.steps, 64 * 20);
        assert!(after.largest_batch > 1, "{after:?}");
        assert!(
            after.commits - before.commits < 64 * 20 / 2,
            "{before:?} {after:?}"
        );
        for n in 1..=64 {
            let entries = journal(&repo, n).await;
            assert_eq!(entries.len(), 21);
            assert_contiguous(&entries);
        }
    });
}

#[test]
fn what_is_refused_leaves_its_neighbours_alone() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let clock = ManualClock::default();
        let repo = Arc::new(open(&folder.path().join("a.db"), &clock).await.unwrap());
        let mut clients = JoinSet::new();
        let mut leases = Vec::new();
        for n in 1..=32 {
            leases.push(leased(&repo, n, 1).await);
        }
        for (lease, n) in leases.into_iter().zip(1_u128..) {
            let repo = Arc::clone(&repo);
            clients.spawn(async move {
                // One in four is at a wrong place, one in four reads beyond the inbox.
                let mut own = step(if n % 4 == 0 { 9 } else { 2 }, n, 1, 10);
                own.inbox_through = u64::from(n % 4 == 1);
                (n, repo.step(&lease, own).await)
            });
        }
        for (n, stepped) in clients.join_all().await {
            let written = journal(&repo, n).await.len();
            match (n % 4, stepped) {
                (0, Ok(Stepped::Conflict { actual: 2 })) => assert_eq!(written, 1),
                (1, Err(error)) => {
                    assert_eq!((error.kind, written), (ErrorKind::Invalid, 1));
                }
                (2 | 3, Ok(Stepped::Applied { next_seq: 3, .. })) => assert_eq!(written, 2),
                (_, other) => panic!("{n}: {other:?}"),
            }
        }
    });
}

#[test]
fn a_write_that_fails_in_the_middle_costs_its_neighbours_nothing() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let clock = ManualClock::default();
        let mut config = SqliteConfig::file(folder.path().join("a.db"));
        config.max_size = Some("2 MiB".parse().unwrap());
        let repo = Arc::new(open_with(config, &clock).await.unwrap());
        let mut leases = Vec::new();
        for n in 1..=16 {
            leases.push(leased(&repo, n, 1).await);
        }
        let mut clients = JoinSet::new();
        for (lease, n) in leases.into_iter().zip(1_u128..) {
            let repo = Arc::clone(&repo);
            clients.spawn(async move {
                let bytes = if n == 8 { 3 << 20 } else { 100 };
                (n, repo.step(&lease, step(2, n, 1, bytes)).await)
            });
        }
        for (n, stepped) in clients.join_all().await {
            match stepped {
                Err(error) if n == 8 => assert_eq!(error.kind, ErrorKind::Full),
                stepped => assert!(
                    matches!(stepped, Ok(Stepped::Applied { .. })),
                    "{n}: {stepped:?}"
                ),
            }
        }
    });
}

#[test]
fn a_write_past_the_limit_is_refused_by_name() {
    run(async {
        let clock = ManualClock::default();
        let repo = open_with(SqliteConfig::ephemeral(), &clock).await.unwrap();
        let lease = leased(&repo, 1, 1).await;
        let error = repo
            .step(&lease, step(2, 1, 1, 65 << 20))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message.contains("67108864"), "{error}");
        assert!(error.message.len() < 200, "an error carries no payload");
    });
}
