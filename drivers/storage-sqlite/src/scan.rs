//! What looks at many executions at once: the sweep and the retention.

use nebula_core::{ExecutionId, TenantId, Timestamp};
use nebula_ports::{Runnable, RunnablePage};
use rusqlite::{OptionalExtension, params};

use crate::{error::Fault, rates, slots, writer::Tx};

/// Executions among which those that are due longest go first. The index has those first that were
/// never rung or not for the longest time; so a sweep over many pages reads each execution once.
const WINDOW: usize = 1024;

/// One execution that is due.
struct Due {
    tenant: TenantId,
    n: i64,
    id: ExecutionId,
    since: i64,
}

/// Executions that are due and not rung since `rung_before`, tenants in turn; marks them as rung.
pub(crate) fn runnable(
    tx: &mut Tx<'_>,
    rung_before: Timestamp,
    limit: usize,
) -> Result<RunnablePage, Fault> {
    for dead in tx.holders.all_dead() {
        tx.bury(dead)?;
    }
    slots::take_from_expired(tx)?;
    let tenants = tenants(tx)?;
    // An equal share each is enough unless some tenants have less: then the others give more.
    let wanted = limit.saturating_add(1);
    let share = wanted.max(WINDOW).div_ceil(tenants.len().max(1));
    let mut lines = Vec::with_capacity(tenants.len());
    for tenant in &tenants {
        lines.push(due(tx, tenant, rung_before, share)?);
    }
    if lines.iter().map(Vec::len).sum::<usize>() < wanted && share < wanted {
        for (tenant, line) in tenants.iter().zip(&mut lines) {
            if line.len() == share {
                *line = due(tx, tenant, rung_before, wanted)?;
            }
        }
    }
    let next_due = next_due(tx, &tenants)?;
    let mut rung = in_turn(lines);
    let more = rung.len() > limit;
    rung.truncate(limit);

    let mut mark = tx.connection.prepare_cached(
        "UPDATE executions SET rung_at = ?2, ring_key = max(ring_key, ?2) WHERE n = ?1",
    )?;
    for due in &rung {
        mark.execute([due.n, tx.now.as_millis()])?;
    }
    let runnable = rung.into_iter().map(|due| Runnable {
        tenant: due.tenant,
        execution: due.id,
    });
    Ok(RunnablePage {
        runnable: runnable.collect(),
        next_due,
        more,
    })
}

/// Whoever has an execution that is due some time.
fn tenants(tx: &Tx<'_>) -> Result<Vec<TenantId>, Fault> {
    let mut next = tx.connection.prepare_cached(
        "SELECT tenant FROM executions INDEXED BY executions_due
         WHERE ring_key IS NOT NULL AND tenant > ? ORDER BY tenant LIMIT 1",
    )?;
    let mut tenants: Vec<TenantId> = Vec::new();
    loop {
        let last = tenants.last().map_or("", TenantId::as_str);
        let found: Option<String> = next.query_row([last], |row| row.get(0)).optional()?;
        let Some(found) = found else {
            return Ok(tenants);
        };
        tenants.push(tenant(&found)?);
    }
}

fn tenant(text: &str) -> Result<TenantId, Fault> {
    TenantId::new(text).map_err(|error| Fault::corrupt(error.to_string()))
}

/// The tenant's executions that are due, longest due first.
fn due(
    tx: &Tx<'_>,
    tenant: &TenantId,
    rung_before: Timestamp,
    limit: usize,
) -> Result<Vec<Due>, Fault> {
    let mut find = tx.connection.prepare_cached(
        "SELECT n, id, coalesce(min(lease_until, wake_at), lease_until, wake_at)
         FROM executions INDEXED BY executions_due
         WHERE tenant = ? AND ring_key IS NOT NULL AND ring_key <= ? AND rung_at < ?
         ORDER BY ring_key, n LIMIT ?",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (now, before) = (tx.now.as_millis(), rung_before.as_millis());
    let found = find.query_map(params![tenant.as_str(), now, before, limit], |row| {
        Ok(Due {
            tenant: tenant.clone(),
            n: row.get(0)?,
            id: ExecutionId::from_bytes(row.get(1)?),
            since: row.get(2)?,
        })
    })?;
    let mut found: Vec<Due> = found.collect::<Result<_, _>>()?;
    found.sort_by_key(|due| (due.since, due.id));
    Ok(found)
}

/// The first of each line, then the second of each, and so on.
fn in_turn(lines: Vec<Vec<Due>>) -> Vec<Due> {
    let mut lines: Vec<_> = lines.into_iter().map(Vec::into_iter).collect();
    let mut order = Vec::new();
    loop {
        let before = order.len();
        order.extend(lines.iter_mut().filter_map(Iterator::next));
        if order.len() == before {
            return order;
        }
    }
}

/// The earliest wake-up or end of a lease that is still to come.
fn next_due(tx: &Tx<'_>, tenants: &[TenantId]) -> Result<Option<Timestamp>, Fault> {
    let now = tx.now.as_millis();
    let mut due = tx.connection.prepare_cached(
        "SELECT min(ring_key) FROM executions INDEXED BY executions_due
         WHERE ring_key IS NOT NULL AND tenant = ? AND ring_key > ?",
    )?;
    let mut held = tx
        .connection
        .prepare_cached("SELECT min(held_wake) FROM executions WHERE held_wake > ?")?;
    let mut earliest: Option<i64> = held.query_row([now], |row| row.get(0))?;
    for tenant in tenants {
        let next: Option<i64> = due.query_row(params![tenant.as_str(), now], |row| row.get(0))?;
        earliest = earliest.into_iter().chain(next).min();
    }
    Ok(earliest.map(Timestamp::from_millis))
}

/// Deletes up to `limit` executions of `tenant` that ended before `before`, oldest first.
pub(crate) fn delete_ended(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    before: Timestamp,
    limit: usize,
) -> Result<usize, Fault> {
    let mut find = tx.connection.prepare_cached(
        "SELECT n FROM executions INDEXED BY executions_ended
         WHERE tenant = ? AND status >= 6 AND updated_at < ? ORDER BY updated_at, id LIMIT ?",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = find.query_map(params![tenant.as_str(), before.as_millis(), limit], |row| {
        row.get(0)
    })?;
    let ended: Vec<i64> = found.collect::<Result<_, _>>()?;
    for n in &ended {
        for sql in [
            "DELETE FROM journal WHERE execution = ?",
            "DELETE FROM empty_steps WHERE execution = ?",
            "DELETE FROM snapshots WHERE execution = ?",
            "DELETE FROM inbox WHERE execution = ?",
            "DELETE FROM waits WHERE execution = ?",
            "DELETE FROM executions WHERE n = ?",
        ] {
            tx.connection.prepare_cached(sql)?.execute([n])?;
        }
    }
    let mut forget = tx
        .connection
        .prepare_cached("DELETE FROM dedupe WHERE expires_at IS NOT NULL AND expires_at <= ?")?;
    forget.execute([tx.now.as_millis()])?;
    rates::forget(tx, limit)?;
    Ok(ended.len())
}
