//! Group commit, the readers and the plans that are known, among threads whose order chance decides.

use std::{path::Path, pin::pin, sync::Arc};

use futures_util::future::{Either, select};
use nebula_core::{Digest, TenantId};
use nebula_ports::{ErrorKind, Result, WorkflowRepo};
use nebula_testkit::{ManualClock, threads::check_times};
use rusqlite::params;
use shuttle::{
    future::{block_on, yield_now},
    thread,
};

use crate::{Sqlite, SqliteConfig, config::MAX_WRITE_BYTES, error::Fault};

/// Orders that are tried where each of them makes its tables in memory.
const IN_MEMORY: usize = 200;

/// Orders that are tried where each of them waits for a disk.
const ON_DISK: usize = 60;

fn in_memory() -> Arc<Sqlite> {
    opened(SqliteConfig::ephemeral())
}

fn on_disk(folder: &Path) -> Arc<Sqlite> {
    opened(SqliteConfig::file(folder.join("a.db")))
}

/// An open database with a table of numbers. Opening happens on this thread, which chance leaves alone.
fn opened(config: SqliteConfig) -> Arc<Sqlite> {
    let sqlite = block_on(Sqlite::open(config, Arc::new(ManualClock::default()))).unwrap();
    let made = sqlite.write("make", 0, |tx| {
        tx.connection
            .execute_batch("CREATE TABLE IF NOT EXISTS numbers (n INTEGER)")?;
        Ok(())
    });
    block_on(made).unwrap();
    Arc::new(sqlite)
}

/// Writes one number, and then fails if it shall.
async fn put(sqlite: &Sqlite, n: i64, bytes: usize, fails: bool) -> Result<()> {
    let work = move |tx: &mut crate::writer::Tx<'_>| {
        tx.connection
            .execute("INSERT INTO numbers VALUES (?1)", [n])?;
        match fails {
            true => Err(Fault::new(ErrorKind::Full, "it was asked to fail")),
            false => Ok(()),
        }
    };
    sqlite.write("put", bytes, work).await
}

/// How often a number is there.
fn count(sqlite: &Sqlite, n: i64) -> i64 {
    let asked = sqlite.read("count", move |db| {
        let sql = "SELECT count(*) FROM numbers WHERE n = ?1";
        Ok(db.query_row(sql, params![n], |row| row.get(0))?)
    });
    block_on(asked).unwrap()
}

/// Guard: whoever wrote is answered after the commit, so that every reader sees what was answered.
#[test]
fn an_answer_comes_after_its_commit() {
    check_times(ON_DISK, || {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = on_disk(folder.path());
        let writers: Vec<_> = (1..=3)
            .map(|n| {
                let sqlite = sqlite.clone();
                thread::spawn(move || {
                    block_on(put(&sqlite, n, 0, false)).unwrap();
                    assert_eq!(count(&sqlite, n), 1, "{n} was answered and is not there");
                })
            })
            .collect();
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
    });
}

/// Guard: what fails in the middle takes its transaction back, and each of the others gets one of its own.
#[test]
fn what_fails_takes_no_neighbour_along() {
    check_times(IN_MEMORY, || {
        let sqlite = in_memory();
        let writers: Vec<_> = (1..=4)
            .map(|n| {
                let sqlite = sqlite.clone();
                thread::spawn(move || block_on(put(&sqlite, n, 0, n == 2)))
            })
            .collect();
        for (writer, n) in writers.into_iter().zip(1..) {
            assert_eq!(writer.join().unwrap().is_err(), n == 2);
        }
        for n in 1..=4 {
            assert_eq!(count(&sqlite, n), i64::from(n != 2), "{n}");
        }
    });
}

/// Guard: an answer for which nobody waits any more is let go.
#[test]
fn who_goes_away_stops_nobody() {
    check_times(IN_MEMORY, || {
        let sqlite = in_memory();
        let impatient = {
            let sqlite = sqlite.clone();
            thread::spawn(move || {
                let written = pin!(put(&sqlite, 1, 0, false));
                match block_on(select(written, pin!(yield_now()))) {
                    Either::Left((written, _)) => written.map(|()| true).unwrap(),
                    Either::Right(_) => false,
                }
            })
        };
        block_on(put(&sqlite, 2, 0, false)).unwrap();
        let answered = impatient.join().unwrap();
        let there = count(&sqlite, 1);
        assert_eq!(count(&sqlite, 2), 1);
        assert!(
            there == 1 || (there == 0 && !answered),
            "once, or never and not answered"
        );
    });
}

/// Guard: who has to wait for room gets it from those before.
#[test]
fn large_writes_wait_for_room_and_get_it() {
    check_times(IN_MEMORY, || {
        let sqlite = in_memory();
        let writers: Vec<_> = (1..=6)
            .map(|n| {
                let sqlite = sqlite.clone();
                thread::spawn(move || block_on(put(&sqlite, n, MAX_WRITE_BYTES, false)))
            })
            .collect();
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap().unwrap());
    });
}

/// Guard: the readers end before the writer, and the writer before the checkpointer.
#[test]
fn closing_ends_every_thread_and_loses_nothing() {
    check_times(ON_DISK, || {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = on_disk(folder.path());
        let users: Vec<_> = (1..=2)
            .map(|n| {
                let sqlite = sqlite.clone();
                // The last one to go closes the database.
                thread::spawn(move || {
                    block_on(put(&sqlite, n, 0, false)).unwrap();
                    count(&sqlite, n)
                })
            })
            .collect();
        drop(sqlite);
        for user in users {
            assert_eq!(user.join().unwrap(), 1);
        }
        let sqlite = on_disk(folder.path());
        assert_eq!((count(&sqlite, 1), count(&sqlite, 2)), (1, 1));
    });
}

/// Guard: a plan is known once it is committed, and no earlier.
#[test]
fn a_plan_that_is_known_is_there() {
    check_times(ON_DISK, || {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = on_disk(folder.path());
        let digest = Digest::of(b"plan");
        let starters: Vec<_> = (0..2)
            .map(|_| {
                let sqlite = sqlite.clone();
                thread::spawn(move || {
                    let tenant = TenantId::local();
                    block_on(sqlite.put_plan(&tenant, digest, b"plan")).unwrap();
                    block_on(sqlite.plan(&tenant, digest)).unwrap()
                })
            })
            .collect();
        for starter in starters {
            assert_eq!(starter.join().unwrap().as_deref(), Some(&b"plan"[..]));
        }
    });
}
