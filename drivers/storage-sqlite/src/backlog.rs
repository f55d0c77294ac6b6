//! How much there is to do.

use std::time::Duration;

use nebula_core::Timestamp;
use nebula_execution::Status;
use nebula_ports::{Backlog, ExecutionRepo};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    error::Fault,
    row::{group, number},
};

/// The tenant after another one, of those that have an execution which did not complete.
const NEXT_TENANT: &str = "SELECT tenant FROM executions INDEXED BY executions_status
    WHERE status <> 6 AND tenant > ? ORDER BY tenant LIMIT 1";
/// How many of a tenant's executions have a status, up to a limit.
const OPEN: &str = "SELECT count(*) FROM (SELECT 1 FROM executions INDEXED BY executions_status
    WHERE status <> 6 AND tenant = ? AND status = ? LIMIT ?)";
/// How many are due for each group of workers, up to a limit of all, and since when the longest of these is.
const DUE: &str = "SELECT named, count(*), min(since) FROM (
    SELECT coalesce(min(lease_until, wake_at), lease_until, wake_at) AS since,
        labels ->> '$.\"nebula.group\"' AS named
    FROM executions INDEXED BY executions_due
    WHERE ring_key IS NOT NULL AND ring_key <= ? LIMIT ?) GROUP BY named";

pub(crate) fn read(db: &Connection, now: Timestamp) -> Result<Backlog, Fault> {
    let mut backlog = Backlog::default();
    let most = i64::try_from(<dyn ExecutionRepo>::MAX_BACKLOG).unwrap_or(i64::MAX);
    let (mut next, mut open) = (db.prepare_cached(NEXT_TENANT)?, db.prepare_cached(OPEN)?);
    let mut tenant = String::new();
    while let Some(found) = next.query_row([&tenant], |row| row.get(0)).optional()? {
        tenant = found;
        for status in Status::all().filter(|status| !status.is_terminal()) {
            let found = open.query_row(params![tenant, status as i64, most], |row| row.get(0))?;
            let all = backlog.open.entry(status).or_default();
            *all = (*all + number(found)?).min(<dyn ExecutionRepo>::MAX_BACKLOG);
        }
    }
    let mut due = db.prepare_cached(DUE)?;
    let mut rows = due.query([now.as_millis(), most])?;
    while let Some(row) = rows.next()? {
        let (count, since) = (number(row.get(1)?)?, row.get::<_, i64>(2)?);
        let millis = u64::try_from(now.as_millis().saturating_sub(since));
        let waits = Duration::from_millis(millis.unwrap_or(0));
        backlog.due += count;
        backlog.longest = backlog.longest.max(Some(waits));
        *backlog.of_group.entry(group(row.get(0)?)).or_default() += count;
    }
    Ok(backlog)
}
