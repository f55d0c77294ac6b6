//! Several handles on one file: leases decide who drives, and the dead hold nothing.

mod support;

use std::sync::Arc;

use nebula_core::Timestamp;
use nebula_ports::{Acquired, DedupeKey, ExecutionRepo, NewSignal, Renewed, Stepped};
use nebula_testkit::{ManualClock, run};
use serde_json::Value;
use support::{
    TTL, acquired, assert_contiguous, execution, journal, leased, open, step, tenant, two_handles,
};
use tokio::task::JoinSet;

#[test]
fn two_handles_fence_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    run(async {
        let clock = ManualClock::default();
        let (one, two) = two_handles(&path, &clock).await;
        let old = leased(&one, 1, 1).await;
        assert_eq!(acquired(&two, 1, 2).await, Acquired::Held);
        clock.advance(TTL);
        let Acquired::Granted(granted) = acquired(&two, 1, 2).await else {
            panic!("it expired")
        };
        assert_eq!(granted.lease.epoch, 2);
        let stale = one.step(&old, step(2, 1, 1, 10)).await.unwrap();
        assert_eq!(stale, Stepped::Fenced { current: 2 });
        assert_eq!(
            one.renew(std::slice::from_ref(&old)).await.unwrap(),
            [Renewed::Lost]
        );
        let fresh = two.step(&granted.lease, step(2, 2, 1, 10)).await.unwrap();
        assert!(matches!(fresh, Stepped::Applied { .. }));
        assert_eq!(journal(&one, 1).await.len(), 2);

        // Whoever does not drive still reads, lists and signals.
        let signal = NewSignal {
            kind: "cancel".to_owned(),
            payload: Value::Null,
            dedupe: DedupeKey("c".to_owned()),
        };
        let _ = one.signal(&tenant(), execution(1), signal).await.unwrap();
        let renewed = two
            .renew(std::slice::from_ref(&granted.lease))
            .await
            .unwrap();
        assert_eq!(renewed, [Renewed::Renewed { inbox_head: 1 }]);
    });
}

#[test]
fn two_handles_write_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    run(async {
        let clock = ManualClock::default();
        let mut clients = JoinSet::new();
        let mut handles = Vec::new();
        for handle in 1..=2_u128 {
            let repo = Arc::new(open(&path, &clock).await.unwrap());
            for n in 0..8 {
                let (repo, n) = (Arc::clone(&repo), handle * 100 + n);
                clients.spawn(async move {
                    let lease = leased(&repo, n, handle).await;
                    for round in 0..20 {
                        let next = step(2 + round, n << 64 | u128::from(round), 1, 50);
                        let stepped = repo.step(&lease, next).await;
                        assert!(
                            matches!(stepped, Ok(Stepped::Applied { .. })),
                            "{stepped:?}"
                        );
                    }
                });
            }
            handles.push(repo);
        }
        clients.join_all().await;
        for (repo, n) in handles.iter().rev().zip([100, 200]) {
            let entries = journal(repo, n).await;
            assert_eq!(entries.len(), 21);
            assert_contiguous(&entries);
        }
    });
}

#[cfg(unix)]
#[test]
fn a_lease_ends_with_the_handle_that_held_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    run(async {
        let clock = ManualClock::default();
        let (one, two) = two_handles(&path, &clock).await;
        let _ = leased(&one, 1, 1).await;
        let nobody = two
            .runnable(Timestamp::MAX, &nebula_core::Groups::All, 10)
            .await
            .unwrap();
        assert!(nobody.runnable.is_empty());
        drop(one);
        let free = two
            .runnable(Timestamp::MAX, &nebula_core::Groups::All, 10)
            .await
            .unwrap();
        assert_eq!(free.runnable.len(), 1);
        let Acquired::Granted(granted) = acquired(&two, 1, 2).await else {
            panic!("its holder is gone")
        };
        assert_eq!(
            (granted.lease.epoch, granted.grants_without_progress),
            (2, 1)
        );

        // A handle that shares the incarnation keeps it alive.
        let three = open(&path, &clock).await.unwrap();
        let _ = leased(&two, 5, 7).await;
        let _ = leased(&three, 6, 7).await;
        drop(three);
        let four = open(&path, &clock).await.unwrap();
        assert_eq!(acquired(&four, 6, 8).await, Acquired::Held);
        clock.advance(TTL);
        assert!(matches!(acquired(&four, 6, 8).await, Acquired::Granted(_)));
        drop((two, four));
        let left = std::fs::read_dir(folder.path().join("a.db-holders")).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["guard", "open"], "no file of a holder stays");
    });
}
