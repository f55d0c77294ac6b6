//! Whether a file is our database and sound, and what becomes of one that is not.

use std::{fs, path::Path, sync::Arc, time::Duration};

use nebula_core::Clock;
use nebula_ports::ErrorKind;
use rusqlite::{Connection, ErrorCode};

use crate::{
    error::{Fault, kind_of},
    opening::beside,
    schema::APPLICATION_ID,
};

/// Files up to this size are checked whole at every opening: it takes some tens of milliseconds.
pub(crate) const FULL_CHECK_BYTES: u64 = 8 << 20;

/// How long the check of a larger file may take. Pages that it did not reach are checked when they
/// are read.
pub(crate) const CHECK_TIME: Duration = Duration::from_secs(2);

/// Steps of SQLite's machine between two looks at the clock.
const STEPS_PER_LOOK: i32 = 10_000;

/// Why a file is not opened.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It was a database of ours and is damaged.
    Damaged(String),
    /// It does not begin as any database does.
    NotADatabase,
    /// It belongs to another program.
    Foreign(Fault),
    /// Something else stands in the way.
    Failed(Fault),
}

impl From<Fault> for Verdict {
    fn from(fault: Fault) -> Self {
        match &fault {
            Fault::Sql(error) => verdict_of(error).unwrap_or(Self::Failed(fault)),
            Fault::Own { .. } => Self::Failed(fault),
        }
    }
}

fn verdict_of(error: &rusqlite::Error) -> Option<Verdict> {
    if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
        return Some(Verdict::NotADatabase);
    }
    (kind_of(error) == ErrorKind::Corrupt).then(|| Verdict::Damaged("a page is damaged".to_owned()))
}

/// Looks whether the file is a database of this driver, or a new one.
pub(crate) fn header(connection: &Connection, path: &Path) -> Result<(), Verdict> {
    let id: i32 = one(connection, "PRAGMA application_id")?;
    if id == APPLICATION_ID {
        return Ok(());
    }
    // A process may have died between making the file and its first table.
    let tables: i64 = one(connection, "SELECT count(*) FROM sqlite_schema")?;
    if id == 0 && tables == 0 {
        return Ok(());
    }
    Err(Verdict::Foreign(Fault::new(
        ErrorKind::Format,
        format!(
            "`{}` is the database of another program; choose another path",
            path.display()
        ),
    )))
}

/// Looks for damage: everything in a small file; in a larger one what the time allows, and nothing
/// after a clean close.
pub(crate) fn content(
    connection: &Connection,
    clock: &Arc<dyn Clock>,
    unclean: bool,
) -> Result<(), Verdict> {
    let pages: u64 = one::<i64>(connection, "PRAGMA page_count")?.unsigned_abs();
    let page: u64 = one::<i64>(connection, "PRAGMA page_size")?.unsigned_abs();
    let small = pages.saturating_mul(page) <= FULL_CHECK_BYTES;
    let check = match (small, unclean) {
        (true, _) => "PRAGMA integrity_check(1)",
        (false, true) => "PRAGMA quick_check(1)",
        (false, false) => return Ok(()),
    };
    let (ticking, end) = (Arc::clone(clock), clock.monotonic() + CHECK_TIME);
    let late = move || ticking.monotonic() >= end;
    connection
        .progress_handler(STEPS_PER_LOOK, Some(late))
        .map_err(Fault::from)?;
    let said = one::<String>(connection, check);
    connection
        .progress_handler(0, None::<fn() -> bool>)
        .map_err(Fault::from)?;
    match said {
        Ok(said) if said == "ok" => Ok(()),
        Ok(_) => Err(Verdict::Damaged("the integrity check failed".to_owned())),
        Err(Verdict::Failed(Fault::Sql(error)))
            if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) =>
        {
            Ok(())
        }
        Err(verdict) => Err(verdict),
    }
}

/// The error for a file that never was a database: it is left where it is.
pub(crate) fn not_a_database(path: &Path) -> Fault {
    Fault::new(
        ErrorKind::Format,
        format!(
            "`{}` is not a database; choose another path",
            path.display()
        ),
    )
}

/// Renames a damaged database with its log, so that the next opening may begin a new one, and says
/// where it went. While another process uses the file it stays where it is.
pub(crate) fn set_aside(path: &Path, alone: bool, clock: &dyn Clock, what: &str) -> Fault {
    let shown = path.display();
    if !alone {
        return Fault::corrupt(format!(
            "`{shown}` is damaged ({what}) and in use by another process; stop that, then open it again"
        ));
    }
    let stamp = clock.now().to_string().replace(['-', ':'], "");
    let mut away = beside(path, &format!(".corrupt-{stamp}"));
    for n in 2.. {
        if !away.exists() {
            break;
        }
        away = beside(path, &format!(".corrupt-{stamp}-{n}"));
    }
    if let Err(error) = fs::rename(path, &away) {
        return Fault::corrupt(format!(
            "`{shown}` is damaged ({what}) and could not be renamed: {error}; move it away, or restore a backup"
        ));
    }
    for part in ["-wal", "-shm"] {
        // Without its log the file would lose what was committed last; a missing one is no error.
        let _ = fs::rename(beside(path, part), beside(&away, part));
    }
    Fault::corrupt(format!(
        "`{shown}` is damaged ({what}); it is kept as `{}`; restore a backup in its place, or start again to begin a new database",
        away.display()
    ))
}

fn one<T: rusqlite::types::FromSql>(connection: &Connection, sql: &str) -> Result<T, Verdict> {
    let value = connection.query_row(sql, [], |row| row.get(0));
    value.map_err(|error| Verdict::from(Fault::from(error)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use nebula_core::{BoxFuture, Timestamp};

    use super::*;

    /// A clock by which as long as a check may take passes between two looks.
    #[derive(Debug, Default)]
    struct Racing(AtomicU64);

    impl Clock for Racing {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }

        fn monotonic(&self) -> Duration {
            let looks = self.0.fetch_add(1, Ordering::Relaxed);
            CHECK_TIME * u32::try_from(looks).unwrap_or(u32::MAX)
        }

        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn a_check_that_takes_too_long_is_broken_off_and_nothing_is_wrong() {
        let connection = Connection::open_in_memory().unwrap();
        let rows = "CREATE TABLE t (x); WITH RECURSIVE n (x) AS
            (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000) INSERT INTO t SELECT x FROM n";
        connection.execute_batch(rows).unwrap();
        let clock = Arc::new(Racing::default());
        let shared: Arc<dyn Clock> = clock.clone();
        assert!(content(&connection, &shared, true).is_ok());
        // One look says when it began, and the next that it is too late.
        assert_eq!(clock.0.load(Ordering::Relaxed), 2);
        // What is read later is not broken off.
        let count = "SELECT count(*) FROM t, t AS u WHERE t.x < 100";
        assert!(one::<i64>(&connection, count).is_ok());
    }
}
