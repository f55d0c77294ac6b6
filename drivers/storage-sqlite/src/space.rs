//! Giving disk space back.

use rusqlite::Connection;

use crate::{checkpoint, error::Fault};

/// Executions that one transaction deletes.
pub(crate) const DELETE_AT_ONCE: usize = 256;

/// Pages that one transaction gives back: 4 MiB, moved from the file's end into its gaps.
const PAGES_AT_ONCE: i64 = 1024;

/// Free pages that stay, for the next executions to use without growing the file: 1 MiB.
const PAGES_KEPT: i64 = 256;

/// Gives one portion of the free pages back; says whether there are more.
pub(crate) fn give_back(connection: &Connection) -> Result<bool, Fault> {
    let free: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    let surplus = free - PAGES_KEPT;
    if surplus <= 0 {
        return Ok(false);
    }
    let portion = surplus.min(PAGES_AT_ONCE);
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({portion})"))?;
    // The pragma frees one page for each row that is asked of it.
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    if portion < surplus {
        return Ok(true);
    }
    // The file itself shrinks when the log is copied into it.
    checkpoint::truncate(connection);
    Ok(false)
}
