//! The database's settings and the shape of its tables.

use nebula_core::Timestamp;
use nebula_ports::ErrorKind;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::{SqliteConfig, error::Fault};

/// Marks the file as ours: the bytes `NEBU`.
pub(crate) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"NEBU");

/// The oldest library that does not damage a write-ahead log while it begins it anew.
const OLDEST_LIBRARY: i32 = 3_051_003;

/// Bytes of one page; what the file system reads and writes at once.
const PAGE_SIZE: u32 = 4096;

/// Memory for pages of each connection, in KiB.
const CACHE_KIB: i64 = 16 << 10;

/// What is left of the write-ahead log once it begins anew.
const WAL_KEPT_BYTES: i64 = 80 << 20;

/// Prepared statements that each connection keeps; there are fewer.
const STATEMENTS: usize = 192;

/// One change of the tables.
struct Migration {
    version: i64,
    /// The oldest schema whose build still works afterwards: older builds refuse the file.
    opens_from: i64,
    sql: &'static str,
}

/// Every change ever made, in order. A released one never changes.
const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        opens_from: 1,
        sql: include_str!("../migrations/0001_first.sql"),
    },
    Migration {
        version: 2,
        // An older build would end executions and leave their slots to nobody.
        opens_from: 2,
        sql: include_str!("../migrations/0002_slots.sql"),
    },
    Migration {
        version: 3,
        // An older build would begin executions more often than their rates allow.
        opens_from: 3,
        sql: include_str!("../migrations/0003_rates.sql"),
    },
    Migration {
        version: 4,
        // An older build would forget how urgent executions are.
        opens_from: 4,
        sql: include_str!("../migrations/0004_turns.sql"),
    },
    Migration {
        version: 5,
        // An older build writes rows without a sum, which are not checked.
        opens_from: 4,
        sql: include_str!("../migrations/0005_sums.sql"),
    },
    Migration {
        version: 6,
        // An older build does not look at credentials.
        opens_from: 4,
        sql: include_str!("../migrations/0006_credentials.sql"),
    },
    Migration {
        version: 7,
        // An older build does not look at identities.
        opens_from: 4,
        sql: include_str!("../migrations/0007_identities.sql"),
    },
    Migration {
        version: 8,
        // An older build lets in nobody but the owner of all projects.
        opens_from: 4,
        sql: include_str!("../migrations/0008_workflow_projects.sql"),
    },
    Migration {
        version: 9,
        // An older build fires nothing, and what it publishes has no triggers until it is published again.
        opens_from: 4,
        sql: include_str!("../migrations/0009_triggers.sql"),
    },
    Migration {
        version: 10,
        // An older build does its duties beside others.
        opens_from: 4,
        sql: include_str!("../migrations/0010_duties.sql"),
    },
    Migration {
        version: 11,
        // An older build knows no address before, and leaves occurrences out without saying why.
        opens_from: 4,
        sql: include_str!("../migrations/0011_hooks.sql"),
    },
    Migration {
        version: 12,
        // What an older build starts is not found by its labels.
        opens_from: 4,
        sql: include_str!("../migrations/0012_labels.sql"),
    },
    Migration {
        version: 13,
        // An older build would find no journal where it looks for one.
        opens_from: 13,
        sql: include_str!("../migrations/0013_whole_journals.sql"),
    },
    Migration {
        version: 14,
        // An older build would end executions of which no trigger is told.
        opens_from: 14,
        sql: include_str!("../migrations/0014_arrivals.sql"),
    },
    Migration {
        version: 15,
        // An older build opens no incidents, and does not look at those that there are.
        opens_from: 14,
        sql: include_str!("../migrations/0015_incidents.sql"),
    },
    Migration {
        version: 16,
        // An older build tells nobody of a status that moved without an entry.
        opens_from: 14,
        sql: include_str!("../migrations/0016_changes.sql"),
    },
    Migration {
        version: 17,
        // An older build cannot read what sources bring.
        opens_from: 17,
        sql: include_str!("../migrations/0017_sources.sql"),
    },
    Migration {
        version: 18,
        opens_from: 17,
        sql: include_str!("../migrations/0018_tenants.sql"),
    },
];

/// The newest schema that this build knows.
fn known() -> i64 {
    MIGRATIONS.last().map_or(0, |last| last.version)
}

/// Refuses an SQLite library that can damage files.
pub(crate) fn check_library() -> Result<(), Fault> {
    if rusqlite::version_number() < OLDEST_LIBRARY {
        return Err(Fault::new(
            ErrorKind::Unsupported,
            format!(
                "the SQLite library is {}; versions before 3.51.3 can damage the write-ahead log",
                rusqlite::version()
            ),
        ));
    }
    Ok(())
}

/// What every connection is told.
pub(crate) fn prepare(connection: &Connection, config: &SqliteConfig) -> Result<(), Fault> {
    connection.busy_timeout(config.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // A damaged page is found when it is read, not when it is written back.
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(())
}

/// What a connection that writes is told beside [`prepare`].
pub(crate) fn prepare_writer(connection: &Connection, config: &SqliteConfig) -> Result<(), Fault> {
    // These two count only before the first table exists.
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if config.path.is_some() && mode != "wal" {
        return Err(Fault::new(
            ErrorKind::Unsupported,
            format!(
                "the file system does not allow a write-ahead log (journal mode is {mode}); choose a local disk"
            ),
        ));
    }
    sync_fully(connection)?;
    let pragma = format!("PRAGMA journal_size_limit = {WAL_KEPT_BYTES}");
    connection.query_row(&pragma, [], |_| Ok(()))?;
    if let Some(size) = config.max_size {
        let pages = (size.as_u64() / u64::from(PAGE_SIZE)).max(1);
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(())
}

/// Every commit and every checkpoint of `connection` waits for the disk.
pub(crate) fn sync_fully(connection: &Connection) -> Result<(), Fault> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Where the system's fsync stops at the drive's cache, these two go further.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))?;
    Ok(())
}

/// Brings the tables to the newest schema that this build knows.
pub(crate) fn migrate(connection: &mut Connection, now: Timestamp) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known() {
        return newer(&transaction, found);
    }
    for migration in MIGRATIONS.iter().filter(|m| m.version > found) {
        transaction.execute_batch(migration.sql)?;
        transaction.execute(
            "INSERT INTO schema_version (version, opens_from, applied_at) VALUES (?, ?, ?)",
            params![migration.version, migration.opens_from, now.as_millis()],
        )?;
    }
    if found < known() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", known())?;
    }
    transaction.commit()?;
    Ok(())
}

/// A newer build only expanded the tables, or this build must not touch them.
fn newer(connection: &Connection, found: i64) -> Result<(), Fault> {
    let opens_from: Option<i64> = connection
        .query_row(
            "SELECT opens_from FROM schema_version WHERE version = ?",
            [found],
            |row| row.get(0),
        )
        .optional()
        .unwrap_or(None);
    if opens_from.is_some_and(|oldest| oldest <= known()) {
        return Ok(());
    }
    Err(Fault::new(
        ErrorKind::Format,
        format!(
            "the database has schema {found}, which a newer version has written; this one knows up to {}, and has changed nothing: use the newer version, or a copy of the database from before",
            known()
        ),
    ))
}

/// How SQLite finds the rows of a statement in an empty database of the newest schema, step by step.
#[cfg(test)]
pub(crate) fn query_plan(sql: &str) -> Vec<String> {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate(&mut connection, Timestamp::from_millis(1)).unwrap();
    let mut explain = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    for n in 1..=explain.parameter_count() {
        explain.raw_bind_parameter(n, 1).unwrap();
    }
    let mut rows = explain.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get(3).unwrap());
    }
    steps
}

/// Each of these statements finds its rows by an index, in the order in which it gives them.
///
/// # Panics
/// When one walks a table, or sorts.
#[cfg(test)]
pub(crate) fn check_query_plans(statements: &[&str]) {
    for sql in statements {
        let steps = query_plan(sql);
        let searched = steps.iter().any(|step| step.starts_with("SEARCH"));
        // A subquery that is limited may be walked; a table may not.
        let walks = |step: &String| step.starts_with("SCAN") && !step.contains("subquery");
        let walked = steps.iter().any(walks);
        let sorted = steps.iter().any(|step| step.contains("TEMP B-TREE"));
        assert!(searched && !walked && !sorted, "{sql}: {steps:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Timestamp::from_millis(1)).unwrap();
        connection
    }

    #[test]
    fn migrations_are_numbered_without_gaps() {
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(migration.version, i64::try_from(index).unwrap() + 1);
            assert!(migration.opens_from <= migration.version);
        }
        check_library().unwrap();
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = fresh();
        migrate(&mut connection, Timestamp::from_millis(2)).unwrap();
        let rows: (i64, i64) = connection
            .query_row(
                "SELECT count(*), max(applied_at) FROM schema_version",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        assert_eq!(rows, (known(), 1));
    }

    #[test]
    fn a_newer_schema_opens_only_where_it_says_so() {
        let mut connection = fresh();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let now = Timestamp::from_millis(2);
        assert_eq!(
            migrate(&mut connection, now)
                .unwrap_err()
                .into_port("test")
                .kind,
            ErrorKind::Format
        );
        let insert = "INSERT INTO schema_version VALUES (99, ?, 2)";
        connection.execute(insert, [50]).unwrap();
        assert_eq!(
            migrate(&mut connection, now)
                .unwrap_err()
                .into_port("test")
                .kind,
            ErrorKind::Format
        );
        connection
            .execute(
                "UPDATE schema_version SET opens_from = 1 WHERE version = 99",
                [],
            )
            .unwrap();
        migrate(&mut connection, now).unwrap();
    }
}
