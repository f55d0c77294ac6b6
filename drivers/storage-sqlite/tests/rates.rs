//! Rates beyond what every store must prove: what they cost, what stays on disk, two processes.

mod support;

use std::time::Duration;

use nebula_core::{Clock, Timestamp};
use nebula_execution::{NewExecution, StartRate};
use nebula_ports::{Acquired, Created, ExecutionRepo};
use nebula_testkit::{ManualClock, run};
use rusqlite::Connection;
use support::{acquired, first_schema, new_execution, open, request, tenant, two_handles};

fn rated(n: u128, key: &str) -> NewExecution {
    NewExecution {
        rate: Some(StartRate {
            key: key.to_owned(),
            limit: 1,
            per: Duration::from_secs(60),
            burst: 1,
            max_waiting: 9,
        }),
        ..new_execution(n)
    }
}

fn rows(path: &std::path::Path) -> i64 {
    let other = Connection::open(path).unwrap();
    let count = "SELECT count(*) FROM rates";
    other.query_row(count, [], |row| row.get(0)).unwrap()
}

#[test]
fn an_execution_without_a_rate_never_looks_for_any() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    run(async {
        let repo = open(&path, &ManualClock::default()).await.unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("DROP TABLE rates").unwrap();
        let lease = Some(request(1));
        let created = repo.create(&tenant(), new_execution(1), None, lease).await;
        assert!(matches!(created.unwrap(), Created::Created(Some(_))));
        let refused = repo.create(&tenant(), rated(2, "k"), None, None).await;
        assert!(refused.is_err());
    });
}

#[test]
fn buckets_that_are_full_again_leave_nothing_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    run(async {
        let clock = ManualClock::default();
        let repo = open(&path, &clock).await.unwrap();
        // A new key every second: those of the last minute are not full.
        for n in 0..500 {
            let new = rated(n, &format!("key {n}"));
            let created = repo.create(&tenant(), new, None, None).await;
            assert_eq!(created.unwrap(), Created::Created(None));
            clock.advance(Duration::from_secs(1));
        }
        assert!((55..=65).contains(&rows(&path)), "{}", rows(&path));
        clock.advance(Duration::from_secs(3_600));
        let _ = repo.delete_ended(&tenant(), Timestamp::MAX, 100).await;
        assert_eq!(rows(&path), 0);
    });
}

#[test]
fn two_processes_share_a_bucket_and_a_database_of_the_first_schema_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    first_schema(&path);
    run(async {
        let clock = ManualClock::default();
        let (one, two) = two_handles(&path, &clock).await;
        assert!(matches!(acquired(&one, 7, 1).await, Acquired::Granted(_)));
        let first = one.create(&tenant(), rated(1, "k"), None, None).await;
        assert_eq!(first.unwrap(), Created::Created(None));
        let minute = clock.now().plus(Duration::from_secs(60));
        let later = Created::Later {
            begins_at: minute,
            ahead: 0,
        };
        let second = two.create(&tenant(), rated(2, "k"), None, None).await;
        assert_eq!(second.unwrap(), later);
        drop((one, two));
        // Whoever opens it next knows of both.
        let next = open(&path, &clock).await.unwrap();
        let later = Created::Later {
            begins_at: minute.plus(Duration::from_secs(60)),
            ahead: 1,
        };
        let third = next.create(&tenant(), rated(3, "k"), None, None).await;
        assert_eq!(third.unwrap(), later);
        let found = next
            .runnable(Timestamp::MAX, &nebula_core::Groups::All, 10)
            .await
            .unwrap();
        assert_eq!(found.next_due, Some(minute));
    });
}
