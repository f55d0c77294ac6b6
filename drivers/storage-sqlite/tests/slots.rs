//! Slots beyond what every store must prove: what they cost, what stays on disk, who has died.

mod support;

use nebula_core::{ExecutionId, Timestamp};
use nebula_ports::{
    Acquired, ErrorKind, ExecutionRepo, SlotChanges, SlotClaim, SlotId, SlotKey, SlotOwner, Step,
    Stepped,
};
use nebula_storage_sqlite::Sqlite;
use nebula_testkit::{ManualClock, run};
use rusqlite::Connection;
use support::{acquired, end, execution, first_schema, leased, open, step, tenant};

fn slot(key: &str) -> SlotId {
    SlotId {
        key: SlotKey::new(key).unwrap(),
        owner: SlotOwner::default(),
    }
}

/// A step of one entry at `seq` that claims `key` for one at a time.
fn claiming(seq: u64, id: u128, key: &str) -> Step {
    let claim = SlotClaim {
        id: slot(key),
        capacity: 1,
    };
    Step {
        slots: SlotChanges {
            claim: vec![claim],
            free: Vec::new(),
        },
        ..step(seq, id, 1, 10)
    }
}

async fn queue(repo: &Sqlite, key: &str) -> Vec<(ExecutionId, bool)> {
    let places = repo.slots(&tenant(), &slot(key).key, 9).await.unwrap();
    places
        .into_iter()
        .map(|place| (place.execution, place.granted))
        .collect()
}

#[test]
fn an_execution_without_slots_never_looks_for_any() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    run(async {
        let clock = ManualClock::default();
        let repo = open(&path, &clock).await.unwrap();
        // Whatever statement names the table fails from here on.
        let other = Connection::open(&path).unwrap();
        other.execute_batch("DROP TABLE slots").unwrap();
        let lease = leased(&repo, 1, 1).await;
        let mut sleep = step(2, 1, 1, 10);
        sleep.wake_at = Some(Timestamp::from_millis(0));
        sleep.release = true;
        let stepped = repo.step(&lease, sleep).await.unwrap();
        assert!(matches!(stepped, Stepped::Applied { .. }), "{stepped:?}");
        let found = repo
            .runnable(Timestamp::MAX, &nebula_core::Groups::All, 10)
            .await
            .unwrap();
        assert_eq!(found.runnable.len(), 1);
        let Acquired::Granted(granted) = acquired(&repo, 1, 1).await else {
            panic!("it is due")
        };
        let renewed = repo.renew(std::slice::from_ref(&granted.lease)).await;
        assert_eq!(renewed.unwrap().len(), 1);
        let stepped = repo.step(&granted.lease, end(3, 2)).await.unwrap();
        assert!(matches!(stepped, Stepped::Applied { .. }), "{stepped:?}");
        let deleted = repo.delete_ended(&tenant(), Timestamp::MAX, 9).await;
        assert_eq!(deleted.unwrap(), 1);

        let lease = leased(&repo, 2, 1).await;
        let refused = repo.step(&lease, claiming(2, 3, "k")).await.unwrap_err();
        assert_ne!(refused.kind, ErrorKind::Invalid, "{refused}");
    });
}

#[test]
fn executions_of_the_first_schema_claim_slots_and_keep_them_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    first_schema(&path);
    run(async {
        let clock = ManualClock::default();
        let repo = open(&path, &clock).await.unwrap();
        let Acquired::Granted(granted) = acquired(&repo, 7, 1).await else {
            panic!("it is due")
        };
        let mut sleep = claiming(1, 1, "k");
        sleep.release = true;
        let stepped = repo.step(&granted.lease, sleep).await.unwrap();
        assert!(matches!(stepped, Stepped::Applied { inbox_head: 1, .. }));
        drop(repo);

        let repo = open(&path, &clock).await.unwrap();
        assert_eq!(queue(&repo, "k").await, [(execution(7), true)]);
        let Acquired::Granted(granted) = acquired(&repo, 7, 1).await else {
            panic!("it is due")
        };
        let stepped = repo.step(&granted.lease, end(2, 2)).await.unwrap();
        assert!(matches!(stepped, Stepped::Applied { .. }), "{stepped:?}");
        assert_eq!(queue(&repo, "k").await, []);
    });
    let left = Connection::open(&path).unwrap();
    let flag: i64 = left
        .query_row("SELECT slots FROM executions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(flag, 0, "an execution without rows is not looked up");
}

#[cfg(unix)]
#[test]
fn the_slots_of_the_dead_go_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    run(async {
        let clock = ManualClock::default();
        let (one, two) = support::two_handles(&path, &clock).await;
        let dying = leased(&one, 1, 1).await;
        let _ = one.step(&dying, claiming(2, 1, "k")).await.unwrap();
        let living = leased(&two, 2, 2).await;
        let _ = two.step(&living, claiming(2, 2, "k")).await.unwrap();
        let _ = two
            .runnable(Timestamp::MAX, &nebula_core::Groups::All, 9)
            .await
            .unwrap();
        let both = [(execution(1), true), (execution(2), false)];
        assert_eq!(queue(&two, "k").await, both);
        drop(one);
        let _ = two
            .runnable(Timestamp::MAX, &nebula_core::Groups::All, 9)
            .await
            .unwrap();
        assert_eq!(queue(&two, "k").await, [(execution(2), true)]);
    });
}
