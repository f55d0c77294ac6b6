//! What plain SQLite takes for the same work: the statements that the driver runs for one execution,
//! with the same bytes, a fixed number of executions per commit, on one thread. Steps that need a commit
//! between them get one, shared by as many executions.

use std::{path::Path, time::Duration};

use nebula_core::{Clock, Digest};
use nebula_execution::{Entry, encode};
use rusqlite::{Connection, params};

use crate::chain::Chain;

/// Executions of one commit.
pub const EXECUTIONS_PER_COMMIT: u64 = 64;

/// Frames of the write-ahead log between two checkpoints; the driver's are this far apart too.
const CHECKPOINT_FRAMES: u32 = 16_384;

/// The time of every entry.
const AT: i64 = 1_767_225_600_000;

const APPEND: &str = "INSERT INTO journal (execution, first_seq, count, epoch, step, entries, sum)
    VALUES (?, ?, ?, ?, ?, ?, ?)";

/// As long as a sum is; the floor adds nothing up.
const SUM: i64 = i64::MAX;

/// The driver's own tables.
const SCHEMA: &str = concat!(
    include_str!("../../drivers/storage-sqlite/migrations/0001_first.sql"),
    include_str!("../../drivers/storage-sqlite/migrations/0002_slots.sql"),
    include_str!("../../drivers/storage-sqlite/migrations/0003_rates.sql"),
    include_str!("../../drivers/storage-sqlite/migrations/0004_turns.sql"),
    include_str!("../../drivers/storage-sqlite/migrations/0005_sums.sql"),
    include_str!("../../drivers/storage-sqlite/migrations/0012_labels.sql"),
    include_str!("../../drivers/storage-sqlite/migrations/0013_whole_journals.sql"),
);

/// Entries that are committed together: a row of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// How many entries.
    pub count: i64,
    /// The entries, as they are stored.
    pub entries: Vec<u8>,
}

/// The one portion of a chain.
#[must_use]
pub fn portions(chain: &Chain) -> Vec<Portion> {
    vec![portion(&chain.whole())]
}

fn portion(entries: &[Entry]) -> Portion {
    Portion {
        count: i64::try_from(entries.len()).unwrap_or(0),
        entries: encode(entries),
    }
}

/// Writes `executions` executions that consist of these portions into a new database in `folder` and says
/// how long that took, the closing checkpoint left out. An execution is created with its first portion;
/// each further one is a step with a commit of its own, as it is in the engine.
///
/// # Errors
/// Those of SQLite.
pub fn run(
    folder: &Path,
    portions: &[Portion],
    executions: u64,
    clock: &dyn Clock,
) -> rusqlite::Result<Duration> {
    let mut db = open(&folder.join("floor.db"))?;
    let (first, steps) = portions.split_first().expect("an execution has a start");
    let begin = clock.monotonic();
    let mut done = 0;
    while done < executions {
        let until = (done + EXECUTIONS_PER_COMMIT).min(executions);
        let transaction = db.transaction()?;
        for n in done..until {
            begin_one(&transaction, n, first, steps.is_empty())?;
        }
        transaction.commit()?;
        let mut next = 1 + first.count;
        for (at, step) in steps.iter().enumerate() {
            let transaction = db.transaction()?;
            for n in done..until {
                append(&transaction, n, next, step, at + 1 == steps.len())?;
            }
            next += step.count;
            transaction.commit()?;
        }
        done = until;
    }
    Ok(clock.monotonic().saturating_sub(begin))
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.execute_batch(&format!(
        "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;
         PRAGMA cell_size_check = ON; PRAGMA wal_autocheckpoint = {CHECKPOINT_FRAMES};"
    ))?;
    db.execute_batch(SCHEMA)?;
    Ok(db)
}

/// Wakes `executions` executions that wait and ends each: the statements of finding it due, leasing
/// it, reading its journal, and its last step. Says how long that took; that they were created and
/// put to sleep is left out. The database is new and is removed again.
///
/// # Errors
/// Those of SQLite and of the file system.
pub fn wake(
    folder: &Path,
    executions: u64,
    clock: &dyn Clock,
) -> Result<Duration, Box<dyn std::error::Error + Send + Sync>> {
    let folder = tempfile::tempdir_in(folder)?;
    let mut db = open(&folder.path().join("floor.db"))?;
    let chain = crate::chain::of(2);
    let (start, end) = (portion(&chain.start), portion(&chain.end));
    let transaction = db.transaction()?;
    for n in 0..executions {
        begin_one(&transaction, n, &start, false)?;
        append(&transaction, n, 2, &start, false)?;
    }
    transaction.execute("UPDATE executions SET status = 2, ring_key = 0", [])?;
    transaction.commit()?;
    let begin = clock.monotonic();
    let mut done = 0;
    while done < executions {
        let transaction = db.transaction()?;
        let until = (done + EXECUTIONS_PER_COMMIT).min(executions);
        for n in done..until {
            wake_one(&transaction, n, &end)?;
        }
        transaction.commit()?;
        done = until;
    }
    Ok(clock.monotonic().saturating_sub(begin))
}

/// The statements of one execution that is due: rung, leased, read, ended.
fn wake_one(db: &Connection, n: u64, end: &Portion) -> rusqlite::Result<()> {
    let at = AT;
    let (id, row) = (id(n), i64::try_from(n).unwrap_or(0) + 1);
    let mut ring = db.prepare_cached(
        "UPDATE executions SET rung_at = ?2, ring_key = max(ring_key, ?2) WHERE n = ?1",
    )?;
    ring.execute([row, at])?;
    let mut lease = db.prepare_cached(
        "UPDATE executions SET status = 1, epoch = 2, holder = ?2, lease_until = ?3, rung_at = -1,
            ring_key = ?3, grants = 1 WHERE n = ?1",
    )?;
    assert!(load(db, &id)? > 0, "it is there");
    lease.execute(params![row, [7_u8; 16], at + 30_000])?;
    let mut find = db.prepare_cached(
        "SELECT n, next_seq - 1, epoch, whole_sum, whole FROM executions WHERE tenant = ? AND id = ?",
    )?;
    assert!(find.exists(params!["local", id])?, "it is there");
    let mut journal = db.prepare_cached(
        "SELECT first_seq, epoch, entries, count FROM journal WHERE execution = ? ORDER BY first_seq",
    )?;
    let mut bytes = 0;
    let mut batches = journal.query([row])?;
    while let Some(batch) = batches.next()? {
        bytes += batch.get_ref(2)?.as_blob()?.len();
    }
    assert!(bytes > 0, "its journal is there");
    append(db, n, 3, end, true)
}

/// Where the journal of an execution goes on, from the row that a write compares.
fn load(db: &Connection, id: &[u8; 16]) -> rusqlite::Result<i64> {
    let mut load = db.prepare_cached(
        "SELECT n, plan, updated_at, status, epoch, holder, lease_until, next_seq, inbox_head,
                inbox_through, wake_at, rung_at, grants, empties, dedupe
         FROM executions WHERE tenant = ? AND id = ?",
    )?;
    load.query_row(params!["local", id], |row| row.get(7))
}

fn id(n: u64) -> [u8; 16] {
    let mut id = [0_u8; 16];
    id[..8].copy_from_slice(&n.to_be_bytes());
    id
}

/// The statements of a creation with its first step, which may be the last.
fn begin_one(db: &Connection, n: u64, first: &Portion, last: bool) -> rusqlite::Result<()> {
    let id = id(n);
    let plan = Digest::of(b"the plan of the chain");
    let mut find = db.prepare_cached(
        "SELECT coalesce(whole_step, step), coalesce(whole, entries), next_seq, inbox_head
         FROM executions LEFT JOIN journal ON execution = n AND first_seq = 1
         WHERE tenant = ? AND id = ?",
    )?;
    assert!(!find.exists(params!["local", id])?, "every id is new");
    let mut insert = db.prepare_cached(
        "INSERT INTO executions (tenant, id, workflow, version, plan, created_at, updated_at,
            status, epoch, holder, lease_until, next_seq, inbox_head, inbox_through, wake_at,
            rung_at, ring_key, held_wake, grants, empties, dedupe, begins_at, priority, whole,
            whole_step, whole_sum)
         VALUES (?1, ?2, ?3, 1, ?4, ?5, ?5, ?6, 1, ?7, ?8, ?9, 0, 0, ?10, -1, ?8, NULL, 0, 0, NULL,
            NULL, 2, ?11, ?12, ?13)",
    )?;
    let (status, held) = if last { (6, None) } else { (1, Some(())) };
    insert.execute(params![
        "local",
        id,
        "chain",
        plan.as_bytes(),
        AT,
        status,
        held.map(|()| [7_u8; 16]),
        held.map(|()| AT + 30_000),
        1 + first.count,
        held.map(|()| AT),
        last.then_some(&first.entries),
        last.then_some(id),
        last.then_some(SUM),
    ])?;
    if last {
        return Ok(());
    }
    let n = db.last_insert_rowid();
    let mut append = db.prepare_cached(APPEND)?;
    append.execute(params![n, 1, first.count, 1, id, first.entries, SUM])?;
    Ok(())
}

/// The statements of a step, which may be the last.
fn append(db: &Connection, n: u64, next: i64, step: &Portion, last: bool) -> rusqlite::Result<()> {
    let id = id(n);
    let row = i64::try_from(n).unwrap_or(0) + 1;
    load(db, &id)?;
    let mut append = db.prepare_cached(APPEND)?;
    append.execute(params![row, next, step.count, 1, id, step.entries, SUM])?;
    let mut close = db.prepare_cached("DELETE FROM waits WHERE execution = ?")?;
    close.execute([row])?;
    // Only a new status touches the indexes that it stands in.
    let (sql, holder, until) = match last {
        true => (
            "UPDATE executions SET status = 6, updated_at = ?2, epoch = 1, holder = ?4,
                lease_until = ?5, next_seq = ?3, inbox_head = 0, inbox_through = 0, wake_at = NULL,
                rung_at = -1, ring_key = ?5, grants = 0, empties = 0, held_wake = NULL WHERE n = ?1",
            None,
            None,
        ),
        false => (
            "UPDATE executions SET updated_at = ?2, epoch = 1, holder = ?4,
                lease_until = ?5, next_seq = ?3, inbox_head = 0, inbox_through = 0, wake_at = NULL,
                rung_at = -1, ring_key = ?5, grants = 0, empties = 0, held_wake = NULL WHERE n = ?1",
            Some([7_u8; 16]),
            Some(AT + 30_000),
        ),
    };
    let mut store = db.prepare_cached(sql)?;
    store.execute(params![row, AT, next + step.count, holder, until])?;
    Ok(())
}
