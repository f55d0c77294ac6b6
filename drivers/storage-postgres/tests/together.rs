//! What many do at once, over handles of several processes: writes share commits and nothing else, and of
//! those who want the same one gets it.
#![cfg(unix)]

mod support;

use std::{sync::Arc, time::Duration};

use nebula_ports::{
    Acquired, Created, DedupeKey, ErrorKind, ExecutionFilter, ExecutionRepo, NewSignal, Signalled,
    SlotClaim, SlotId, SlotKey, SlotOwner, Stepped,
};
use nebula_storage_postgres::Postgres;
use serde_json::json;
use support::{
    acquired, assert_contiguous, database, end, execution, journal, leased, new_execution, open,
    request, step, tenant,
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

/// Two threads, as a process has them.
fn threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

async fn two_handles(address: &str) -> [Arc<Postgres>; 2] {
    [open(address, None).await, open(address, None).await]
}

#[test]
fn many_steps_at_once_share_commits() {
    let Some(address) = database() else { return };
    threads().block_on(async {
        let repo = open(&address, None).await;
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
                    let id = n << 64 | u128::from(round);
                    let stepped = repo.step(&lease, step(2 + round, id, 1, 10)).await;
                    let applied = matches!(stepped, Ok(Stepped::Applied { .. }));
                    assert!(applied, "{stepped:?}");
                }
            });
        }
        clients.join_all().await;
        let after = repo.stats();
        assert_eq!(after.writes - before.writes, 64 * 20);
        let commits = after.commits - before.commits;
        assert!(commits < 64 * 20 / 2, "{before:?} {after:?}");
        // One for what is asked, one for what is written.
        let trips = after.round_trips - before.round_trips;
        assert_eq!(trips, commits * 2, "{before:?} {after:?}");
        for n in 1..=64 {
            let entries = journal(&repo, n).await;
            assert_eq!(entries.len(), 21);
            assert_contiguous(&entries);
        }
    });
}

#[test]
fn what_is_refused_leaves_its_neighbours_alone() {
    let Some(address) = database() else { return };
    threads().block_on(async {
        let repo = open(&address, None).await;
        let mut clients = JoinSet::new();
        for n in 1..=40_u128 {
            let lease = leased(&repo, n, 1).await;
            let repo = Arc::clone(&repo);
            clients.spawn(async move {
                let mut wanted = step(2, n, 1, 10);
                // Every fourth says what cannot be, every other fourth comes to the wrong place.
                match n % 4 {
                    0 => wanted.inbox_through = 9,
                    1 => wanted.expected_seq = 7,
                    _ => {}
                }
                (n % 4, repo.step(&lease, wanted).await)
            });
        }
        for (kind, answer) in clients.join_all().await {
            match (kind, answer) {
                (0, Err(error)) => assert_eq!(error.kind, ErrorKind::Invalid),
                (1, Ok(Stepped::Conflict { actual: 2 })) => {}
                (2 | 3, Ok(Stepped::Applied { next_seq: 3, .. })) => {}
                (kind, other) => panic!("{kind}: {other:?}"),
            }
        }
        for n in 1..=40 {
            let expected = if n % 4 < 2 { 1 } else { 2 };
            assert_eq!(journal(&repo, n).await.len(), expected, "{n}");
        }
    });
}

#[test]
fn of_those_who_begin_with_one_key_one_begins() {
    let Some(address) = database() else { return };
    threads().block_on(async {
        let handles = two_handles(&address).await;
        for round in 0..10_u128 {
            let mut clients = JoinSet::new();
            for n in 0..16 {
                let repo = Arc::clone(&handles[n % 2]);
                let id = (round << 8) + n as u128 + 1;
                clients.spawn(async move {
                    let key = DedupeKey(format!("order {round}"));
                    repo.create(&tenant(), new_execution(id), Some(key), None)
                        .await
                        .unwrap()
                });
            }
            let answers = clients.join_all().await;
            let first: Vec<_> = answers
                .iter()
                .filter(|it| matches!(it, Created::Created(_)))
                .collect();
            assert_eq!(first.len(), 1, "{answers:?}");
        }
        let all = handles[0]
            .list(&tenant(), &ExecutionFilter::default(), None, 100)
            .await
            .unwrap();
        assert_eq!(all.items.len(), 10);
    });
}

#[test]
fn of_those_who_want_a_lease_one_has_it() {
    let Some(address) = database() else { return };
    threads().block_on(async {
        let handles = two_handles(&address).await;
        for n in 1..=20 {
            let made = handles[0]
                .create(&tenant(), new_execution(n), None, None)
                .await
                .unwrap();
            assert_eq!(made, Created::Created(None));
            let mut clients = JoinSet::new();
            for holder in 0..8_usize {
                let repo = Arc::clone(&handles[holder % 2]);
                clients.spawn(async move { acquired(&repo, n, holder as u128).await });
            }
            let answers = clients.join_all().await;
            let granted = answers
                .iter()
                .filter(|it| matches!(it, Acquired::Granted(_)));
            assert_eq!(granted.count(), 1, "{answers:?}");
        }
    });
}

#[test]
fn signals_of_many_are_numbered_without_gaps() {
    let Some(address) = database() else { return };
    threads().block_on(async {
        let handles = two_handles(&address).await;
        leased(&handles[0], 1, 1).await;
        let mut clients = JoinSet::new();
        for n in 0..100_usize {
            let repo = Arc::clone(&handles[n % 2]);
            clients.spawn(async move {
                let signal = NewSignal {
                    kind: "go".to_owned(),
                    payload: json!(n),
                    // Each twice.
                    dedupe: DedupeKey(format!("signal {}", n / 2)),
                };
                repo.signal(&tenant(), execution(1), signal).await.unwrap()
            });
        }
        let answers = clients.join_all().await;
        let mut delivered: Vec<u64> = answers
            .iter()
            .filter_map(|it| match it {
                Signalled::Delivered { seq } => Some(*seq),
                _ => None,
            })
            .collect();
        delivered.sort_unstable();
        assert_eq!(delivered, (1..=50).collect::<Vec<_>>());
    });
}

#[test]
fn a_mutex_is_held_by_one_whoever_comes_and_goes() {
    let Some(address) = database() else { return };
    threads().block_on(async {
        let handles = two_handles(&address).await;
        let key = SlotKey::new("till").unwrap();
        let mut clients = JoinSet::new();
        for n in 1..=24_u128 {
            let repo = Arc::clone(&handles[usize::try_from(n % 2).unwrap()]);
            let key = key.clone();
            clients.spawn(async move {
                let lease = leased(&repo, n, 1).await;
                let mut claims = step(2, n << 8, 1, 10);
                claims.slots.claim.push(SlotClaim {
                    id: SlotId {
                        key,
                        owner: SlotOwner::new("me").unwrap(),
                    },
                    capacity: 1,
                });
                let claimed = repo.step(&lease, claims).await.unwrap();
                assert!(matches!(claimed, Stepped::Applied { .. }), "{claimed:?}");
                // Whoever ends gives back what it has, and leaves the queue otherwise.
                let mut ends = end(3, (n << 8) + 1);
                ends.inbox_through = 0;
                let ended = repo.step(&lease, ends).await.unwrap();
                assert!(matches!(ended, Stepped::Applied { .. }), "{ended:?}");
            });
        }
        let watches = async {
            loop {
                let places = handles[0].slots(&tenant(), &key, 100).await.unwrap();
                let granted = places.iter().filter(|it| it.granted).count();
                assert!(granted <= 1, "{places:?}");
            }
        };
        tokio::select! {
            biased;
            _ = clients.join_all() => {}
            () = watches => {}
        }
        assert_eq!(handles[0].slots(&tenant(), &key, 100).await.unwrap(), []);
    });
}

#[test]
fn the_database_says_when_a_lease_has_expired() {
    let Some(address) = database() else { return };
    threads().block_on(async {
        let repo = open(&address, None).await;
        let mut short = request(1);
        short.ttl = Duration::from_millis(300);
        let made = repo
            .create(&tenant(), new_execution(1), None, Some(short))
            .await
            .unwrap();
        let Created::Created(Some(lease)) = made else {
            panic!("it is new");
        };
        assert_eq!(acquired(&repo, 1, 2).await, Acquired::Held);
        // The other waits for its end, which no clock of this process knows.
        let granted = loop {
            match acquired(&repo, 1, 2).await {
                Acquired::Held => {}
                Acquired::Granted(granted) => break granted,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(granted.lease.epoch, 2);
        let late = repo.step(&lease, step(2, 7, 1, 10)).await.unwrap();
        assert_eq!(late, Stepped::Fenced { current: 2 });
    });
}

#[test]
fn what_is_asked_of_one_execution_is_one_round_trip() {
    let Some(address) = database() else { return };
    threads().block_on(async {
        let repo = open(&address, None).await;
        let lease = leased(&repo, 1, 1).await;
        let before = repo.stats().round_trips;
        let found = repo.get(&tenant(), execution(1)).await.unwrap();
        assert!(found.is_some_and(|it| it.leased && it.id == lease.execution));
        assert_eq!(repo.stats().round_trips - before, 1);
        let stepped = repo.step(&lease, step(2, 7, 2, 10)).await.unwrap();
        assert!(matches!(stepped, Stepped::Applied { .. }), "{stepped:?}");
        let before = repo.stats().round_trips;
        let page = repo.journal(&tenant(), execution(1), 2, 10).await.unwrap();
        assert_eq!(page.entries.len(), 2);
        assert_eq!(repo.stats().round_trips - before, 1);
    });
}
