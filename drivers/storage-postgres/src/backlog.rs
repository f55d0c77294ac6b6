//! How much there is to do.

use std::time::Duration;

use nebula_execution::Status;
use nebula_ports::{Backlog, ExecutionRepo};
use nebula_postgres::params;

use crate::{
    error::Fault,
    link::Link,
    row::{group, number, status},
};

/// How many executions of each tenant have each of these statuses, up to a limit.
const OPEN: &str = "WITH RECURSIVE tenants AS (
        (SELECT tenant FROM executions WHERE status <> 6 ORDER BY tenant LIMIT 1)
        UNION ALL
        SELECT next.tenant FROM tenants, LATERAL (
            SELECT e.tenant FROM executions AS e WHERE e.status <> 6 AND e.tenant > tenants.tenant
            ORDER BY e.tenant LIMIT 1) AS next)
    SELECT wanted.status, found.count FROM tenants, unnest($1::smallint[]) AS wanted (status), LATERAL (
        SELECT count(*) AS count FROM (
            SELECT 1 FROM executions AS e
            WHERE e.status <> 6 AND e.tenant = tenants.tenant AND e.status = wanted.status LIMIT $2
        ) AS part) AS found";
/// How many are due for each group of workers, up to a limit of all, and since when the longest of these is.
const DUE: &str = "SELECT named, count(*), min(since) FROM (
    SELECT least(lease_until, coalesce(wake_at, lease_until)) AS since,
        labels::jsonb ->> 'nebula.group' AS named
    FROM executions
    WHERE ring_key IS NOT NULL AND ring_key <= $1 LIMIT $2) AS due GROUP BY named";

pub(crate) async fn read(link: &Link) -> Result<Backlog, Fault> {
    let now = link.now().await?;
    let mut backlog = Backlog::default();
    let most = i64::try_from(<dyn ExecutionRepo>::MAX_BACKLOG).unwrap_or(i64::MAX);
    let wanted: Vec<i16> = Status::all()
        .filter(|status| !status.is_terminal())
        .map(|status| status as i16)
        .collect();
    for row in link.rows(OPEN, params![wanted, most]).await? {
        let (of, count) = (status(row.try_get(0)?)?, number(row.try_get(1)?)?);
        let all = backlog.open.entry(of).or_default();
        *all = (*all + count).min(<dyn ExecutionRepo>::MAX_BACKLOG);
    }
    for row in link.rows(DUE, params![now.as_millis(), most]).await? {
        let (count, since) = (number(row.try_get(1)?)?, row.try_get::<_, i64>(2)?);
        let millis = u64::try_from(now.as_millis().saturating_sub(since));
        let waits = Duration::from_millis(millis.unwrap_or(0));
        backlog.due += count;
        backlog.longest = backlog.longest.max(Some(waits));
        *backlog.of_group.entry(group(row.try_get(0)?)).or_default() += count;
    }
    Ok(backlog)
}
