//! What looks at many executions at once: the sweep and the retention.

use nebula_core::{Groups, IdError, Priority, TenantId, Timestamp, WorkflowId};
use nebula_ports::{Lines, Runnable, RunnablePage};
use nebula_postgres::params;
use uuid::Uuid;

use crate::{
    error::Fault,
    rates,
    row::{group, limited, priority},
    slots,
    tx::Tx,
};

/// Executions among which those that are due longest go first. The index has those first that were
/// never rung or not for the longest time; so a sweep over many pages reads each execution once.
const WINDOW: usize = 1024;

/// The lines in which an execution is due some time: each is found behind the one before, in the index.
const LINES: &str = "WITH RECURSIVE lines AS (
        (SELECT tenant, priority, workflow FROM executions WHERE ring_key IS NOT NULL
            ORDER BY tenant, priority, workflow LIMIT 1)
        UNION ALL
        SELECT next.tenant, next.priority, next.workflow FROM lines, LATERAL (
            SELECT e.tenant, e.priority, e.workflow FROM executions AS e
            WHERE e.ring_key IS NOT NULL
                AND (e.tenant, e.priority, e.workflow) > (lines.tenant, lines.priority, lines.workflow)
            ORDER BY e.tenant, e.priority, e.workflow LIMIT 1) AS next)
    SELECT tenant, priority, workflow FROM lines";
/// What is due in each of these lines, since when, and for which workers: of all groups, or of these. What
/// somebody works on just now is passed over. The name of the label is that of `Labels::GROUP`.
const DUE: &str = "SELECT line.place, found.n, found.id, found.since, found.for_group
    FROM unnest($1::text[], $2::smallint[], $3::text[]) WITH ORDINALITY
        AS line (tenant, priority, workflow, place),
    LATERAL (
        SELECT e.n, e.id, least(e.lease_until, coalesce(e.wake_at, e.lease_until)) AS since,
            e.labels::jsonb ->> 'nebula.group' AS for_group
        FROM executions AS e
        WHERE e.tenant = line.tenant AND e.priority = line.priority AND e.workflow = line.workflow
            AND e.ring_key IS NOT NULL AND e.ring_key <= $4 AND e.rung_at < $5
            AND ($7 OR coalesce(e.labels::jsonb ->> 'nebula.group', 'default') = ANY ($8))
        ORDER BY e.ring_key, e.rung_at LIMIT $6) AS found";
/// The next time at which something becomes due, or a lease ends, or what somebody holds wakes up.
const NEXT_DUE: &str = "SELECT least(
    (SELECT min(next.ring_key) FROM unnest($1::text[], $2::smallint[], $3::text[])
        AS line (tenant, priority, workflow),
        LATERAL (
            SELECT e.ring_key FROM executions AS e
            WHERE e.ring_key IS NOT NULL AND e.tenant = line.tenant AND e.priority = line.priority
                AND e.workflow = line.workflow AND e.ring_key > $4
            ORDER BY e.ring_key LIMIT 1) AS next),
    (SELECT min(held_wake) FROM executions WHERE held_wake > $4))";
/// Those that nobody works on just now, and that are due still: one may have ended since it was found.
const FREE: &str = "SELECT n FROM executions
    WHERE n = ANY ($1) AND ring_key IS NOT NULL AND ring_key <= $2 AND rung_at < $3
    ORDER BY n FOR UPDATE SKIP LOCKED";
const MARK: &str =
    "UPDATE executions SET rung_at = $2, ring_key = greatest(ring_key, $2) WHERE n = ANY ($1)";

/// Where executions stand that take turns with those of other lines.
#[derive(Debug, Default)]
struct All {
    tenants: Vec<String>,
    priorities: Vec<i16>,
    workflows: Vec<String>,
    lines: Vec<(TenantId, Priority, WorkflowId)>,
}

/// Executions that are due and not rung since `rung_before`, in their turns; marks them as rung.
pub(crate) async fn runnable(
    tx: &Tx,
    asked: (Timestamp, &Groups),
    limit: usize,
) -> Result<RunnablePage, Fault> {
    slots::take_from_expired(tx).await?;
    let all = lines(tx).await?;
    // An equal share each is enough unless some lines have less: then the others give more.
    let wanted = limit.saturating_add(1);
    let share = wanted.max(WINDOW).div_ceil(all.lines.len().max(1));
    let mut rung = due(tx, &all, asked, share).await?;
    if rung.len() < wanted && share < wanted {
        rung = due(tx, &all, asked, wanted).await?;
    }
    let next_due = next_due(tx, &all).await?;
    let more = rung.len() > limit;
    rung.truncate(limit);
    let numbers: Vec<i64> = rung.iter().map(|(n, _)| *n).collect();
    let (now, before) = (tx.now.as_millis(), asked.0.as_millis());
    let free = tx.rows(FREE, params![numbers, now, before]).await?;
    let mut free: Vec<i64> = free
        .iter()
        .map(|row| Ok(row.try_get(0)?))
        .collect::<Result<_, Fault>>()?;
    free.sort_unstable();
    tx.execute(MARK, params![free, now]).await?;
    tx.forget_rows().await?;
    let runnable = rung
        .into_iter()
        .filter(|(n, _)| free.binary_search(n).is_ok())
        .map(|(_, found)| found);
    Ok(RunnablePage {
        runnable: runnable.collect(),
        next_due,
        more,
    })
}

async fn lines(tx: &Tx) -> Result<All, Fault> {
    let mut all = All::default();
    for row in tx.rows(LINES, params![]).await? {
        let (tenant, number, workflow): (String, i16, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let corrupt = |error: IdError| Fault::corrupt(error.to_string());
        all.lines.push((
            TenantId::new(tenant.as_str()).map_err(corrupt)?,
            priority(number)?,
            WorkflowId::new(workflow.as_str()).map_err(corrupt)?,
        ));
        all.tenants.push(tenant);
        all.priorities.push(number);
        all.workflows.push(workflow);
    }
    Ok(all)
}

/// Executions that are due, with their numbers, in the order of turns; of a line the longest due first, at most
/// `limit` of each.
async fn due(
    tx: &Tx,
    all: &All,
    (rung_before, groups): (Timestamp, &Groups),
    limit: usize,
) -> Result<Vec<(i64, Runnable)>, Fault> {
    let (now, before) = (tx.now.as_millis(), rung_before.as_millis());
    let names = groups.names();
    let named: Vec<String> = names.iter().flatten().map(|it| (*it).to_owned()).collect();
    let given = params![
        all.tenants,
        all.priorities,
        all.workflows,
        now,
        before,
        limited(limit),
        names.is_none(),
        named
    ];
    let mut found = Vec::new();
    for row in tx.rows(DUE, given).await? {
        let (place, n): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let (id, since): (Uuid, i64) = (row.try_get(2)?, row.try_get(3)?);
        found.push((place, since, id, n, group(row.try_get(4)?)));
    }
    found.sort_unstable();
    let mut order = Lines::default();
    for (place, _, id, n, group) in found {
        let line = usize::try_from(place - 1).ok();
        let line = line.and_then(|line| all.lines.get(line));
        let (tenant, priority, workflow) =
            line.ok_or_else(|| Fault::corrupt("a line that was not asked for"))?;
        let runnable = Runnable {
            tenant: tenant.clone(),
            execution: id.into(),
            workflow: workflow.clone(),
            priority: *priority,
            group,
        };
        order.push(tenant, *priority, workflow, (n, runnable));
    }
    Ok(order.in_turns())
}

/// The earliest wake-up or end of a lease that is still to come.
async fn next_due(tx: &Tx, all: &All) -> Result<Option<Timestamp>, Fault> {
    let now = tx.now.as_millis();
    let given = params![all.tenants, all.priorities, all.workflows, now];
    let row = tx.row(NEXT_DUE, given).await?;
    let next: Option<i64> = row.map_or(Ok(None), |row| row.try_get(0))?;
    Ok(next.map(Timestamp::from_millis))
}

/// Deletes up to `limit` executions of `tenant` that ended before `before`, oldest first.
pub(crate) async fn delete_ended(
    tx: &Tx,
    tenant: &TenantId,
    before: Timestamp,
    limit: usize,
) -> Result<usize, Fault> {
    // An array, and not `n IN (…)`: a plan may ask that for each row anew, and it finds others each time.
    let find = "DELETE FROM executions WHERE n = ANY (ARRAY(
            SELECT n FROM executions WHERE tenant = $1 AND status >= 6 AND updated_at < $2
            ORDER BY updated_at, id LIMIT $3 FOR UPDATE SKIP LOCKED))
        RETURNING n";
    let given = params![tenant.as_str(), before.as_millis(), limited(limit)];
    let ended = tx.rows(find, given).await?;
    let ended: Vec<i64> = ended
        .iter()
        .map(|row| Ok(row.try_get(0)?))
        .collect::<Result<_, Fault>>()?;
    for sql in [
        "DELETE FROM journal WHERE execution = ANY ($1)",
        "DELETE FROM empty_steps WHERE execution = ANY ($1)",
        "DELETE FROM snapshots WHERE execution = ANY ($1)",
        "DELETE FROM inbox WHERE execution = ANY ($1)",
        "DELETE FROM waits WHERE execution = ANY ($1)",
        "DELETE FROM labels WHERE execution = ANY ($1)",
        "DELETE FROM status_moves WHERE execution = ANY ($1)",
    ] {
        tx.execute(sql, params![ended]).await?;
    }
    let forget = "WITH old AS MATERIALIZED (
            SELECT tenant, key FROM dedupe WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
            FOR UPDATE SKIP LOCKED)
        DELETE FROM dedupe AS d USING old WHERE d.tenant = old.tenant AND d.key = old.key";
    tx.execute(forget, params![tx.now.as_millis(), limited(limit)])
        .await?;
    rates::forget(tx, limited(limit)).await?;
    Ok(ended.len())
}
