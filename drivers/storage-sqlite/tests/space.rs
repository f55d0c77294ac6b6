//! A database that is full says so, and one that forgets gives its space back.

mod support;

use std::{fs, path::Path, time::Duration};

use nebula_core::{ByteSize, Clock};
use nebula_ports::{Created, DedupeKey, ErrorKind, ExecutionRepo, Stepped};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_testkit::{ManualClock, run};
use support::{end, execution, journal, leased, new_execution, open, open_with, step, tenant};

async fn limited(path: &Path, size: ByteSize, clock: &ManualClock) -> Sqlite {
    let mut config = SqliteConfig::file(path);
    config.max_size = Some(size);
    open_with(config, clock).await.unwrap()
}

/// Creates and ends executions of some 100 KB until `until`, or the error that ended it.
async fn fill(repo: &Sqlite, from: u128, until: u128) -> Result<(), (u128, ErrorKind)> {
    for n in from..until {
        let created = repo
            .create(&tenant(), new_execution(n), None, Some(support::request(1)))
            .await;
        let lease = match created {
            Ok(Created::Created(Some(lease))) => lease,
            Ok(other) => panic!("{other:?}"),
            Err(error) => return Err((n, error.kind)),
        };
        for next in [step(2, n << 8, 10, 10_000), end(12, n << 8 | 1)] {
            match repo.step(&lease, next).await {
                Ok(stepped) => assert!(matches!(stepped, Stepped::Applied { .. }), "{stepped:?}"),
                Err(error) => return Err((n, error.kind)),
            }
        }
    }
    Ok(())
}

#[test]
fn a_full_database_loses_nothing_and_works_again_with_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    run(async {
        let clock = ManualClock::default();
        let repo = limited(&path, ByteSize::mib(2), &clock).await;
        let (full, kind) = fill(&repo, 1, 1000).await.unwrap_err();
        assert_eq!(kind, ErrorKind::Full);
        for n in 1..full {
            assert_eq!(journal(&repo, n).await.len(), 12, "{n}");
        }
        // Reading, signals that fit, and deleting still work; deleting makes room.
        clock.advance(Duration::from_secs(1));
        assert_eq!(
            repo.delete_ended(&tenant(), clock.now(), 5).await.unwrap(),
            5
        );
        fill(&repo, 2000, 2003).await.unwrap();
        drop(repo);

        // So does a higher limit.
        let repo = limited(&path, ByteSize::mib(8), &clock).await;
        fill(&repo, 3000, 3020).await.unwrap();
        for n in 6..full {
            assert_eq!(journal(&repo, n).await.len(), 12, "{n}");
        }
    });
}

#[test]
fn deleting_gives_the_disk_back_and_keeps_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    run(async {
        let clock = ManualClock::default();
        let repo = open(&path, &clock).await.unwrap();
        let key = Some(DedupeKey("delivery 1".to_owned()));
        let (owner, wanted) = (tenant(), Some(support::request(1)));
        let first = repo.create(&owner, new_execution(1), key.clone(), wanted);
        let Created::Created(Some(lease)) = first.await.unwrap() else {
            panic!("it is new")
        };
        assert!(matches!(
            repo.step(&lease, end(2, 1)).await,
            Ok(Stepped::Applied { .. })
        ));
        fill(&repo, 2, 202).await.unwrap();
        let unended = leased(&repo, 500, 1).await;
        clock.advance(Duration::from_secs(1));
        let fat = used(&path);
        assert!(fat > 15 << 20, "{fat}");

        assert_eq!(
            repo.delete_ended(&tenant(), clock.now(), 1000)
                .await
                .unwrap(),
            201
        );
        let slim = used(&path);
        assert!(slim < fat / 4, "{fat} → {slim}");
        assert_eq!(repo.get(&tenant(), execution(2)).await.unwrap(), None);
        assert!(
            repo.get(&tenant(), unended.execution)
                .await
                .unwrap()
                .is_some()
        );

        let again = repo
            .create(&tenant(), new_execution(900), key.clone(), None)
            .await
            .unwrap();
        let seen = Created::Exists {
            id: execution(1),
            same_input: false,
        };
        assert_eq!(again, seen);
        clock.advance(<dyn ExecutionRepo>::DEDUPE_TTL);
        let again = repo
            .create(&tenant(), new_execution(900), key, None)
            .await
            .unwrap();
        assert_eq!(again, Created::Created(None));
    });
}

/// Bytes of the database with its log.
fn used(path: &Path) -> u64 {
    let log = path.with_extension("db-wal");
    fs::metadata(path).unwrap().len() + fs::metadata(log).map_or(0, |log| log.len())
}
