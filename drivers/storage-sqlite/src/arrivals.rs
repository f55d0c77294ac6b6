//! The statements behind what is announced to triggers; they run in the transactions of steps,
//! publications and creations.

use nebula_core::{ExecutionId, TenantId, Timestamp, TriggerId, WorkflowId};
use nebula_ports::{
    ARRIVALS_FULL, Announcement, Arrival, Arrived, LeftOut, MAX_ARRIVALS, Passing, Subscription,
    TriggerUpdated,
};
use rusqlite::{Connection, Row, params};

use crate::{
    error::Fault,
    row::{number, stored},
    triggers::{revision, stored_left_out},
    writer::Tx,
};

/// Who listens to a topic, of an execution by its number.
const LISTENERS: &str = "SELECT DISTINCT workflow, id FROM subscriptions
     WHERE tenant = ?1 AND topic = ?2 AND source IN ('', (SELECT workflow FROM executions WHERE n = ?3))";
/// The first and the last number of what waits.
const SPAN: &str =
    "SELECT min(n), max(n) FROM arrivals WHERE tenant = ?1 AND workflow = ?2 AND id = ?3";
const PAGE: &str = "SELECT n, at, topic, execution, seq, brought FROM arrivals
     WHERE tenant = ?1 AND workflow = ?2 AND id = ?3 ORDER BY n LIMIT ?4";
const TAKE: &str =
    "DELETE FROM arrivals WHERE tenant = ?1 AND workflow = ?2 AND id = ?3 AND n = ?4";

/// Puts what a step announces where triggers listen.
pub(crate) fn announce(
    tx: &Tx<'_>,
    tenant: &TenantId,
    (execution, number): (ExecutionId, i64),
    all: &[Announcement],
) -> Result<(), Fault> {
    for Announcement { topic, seq } in all {
        let mut find = tx.connection.prepare_cached(LISTENERS)?;
        let mut rows = find.query(params![tenant.as_str(), topic, number])?;
        let mut listeners = Vec::new();
        while let Some(row) = rows.next()? {
            listeners.push((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        }
        for (workflow, id) in listeners {
            let place = (tenant.as_str(), workflow.as_str(), id.as_str());
            arrive(tx, place, topic, (execution, *seq))?;
        }
    }
    Ok(())
}

fn arrive(
    tx: &Tx<'_>,
    (tenant, workflow, id): (&str, &str, &str),
    topic: &str,
    (execution, seq): (ExecutionId, u64),
) -> Result<(), Fault> {
    let now = tx.now.as_millis();
    let (waiting, last) = waiting(tx.connection, (tenant, workflow, id))?;
    if waiting >= stored(MAX_ARRIVALS)? {
        let left_out = LeftOut {
            occurrence: tx.now,
            at: tx.now,
            why: ARRIVALS_FULL.to_owned(),
        };
        let mut say = tx.connection.prepare_cached(
            "UPDATE triggers SET left_out = ?4 WHERE tenant = ?1 AND workflow = ?2 AND id = ?3",
        )?;
        say.execute(params![tenant, workflow, id, stored_left_out(&left_out)])?;
        return Ok(());
    }
    let mut put = tx.connection.prepare_cached(
        "INSERT INTO arrivals (tenant, workflow, id, n, at, topic, execution, seq)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    let (n, bytes) = (last + 1, execution.as_bytes());
    put.execute(params![
        tenant,
        workflow,
        id,
        n,
        now,
        topic,
        bytes,
        stored(seq)?
    ])?;
    wake(tx, (tenant, workflow, id))
}

/// How many wait, as far as their numbers say, and the last of these.
pub(crate) fn waiting(
    db: &Connection,
    (tenant, workflow, id): (&str, &str, &str),
) -> Result<(i64, i64), Fault> {
    let mut span = db.prepare_cached(SPAN)?;
    let (first, last): (Option<i64>, Option<i64>) =
        span.query_row([tenant, workflow, id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let last = last.unwrap_or(0);
    Ok((first.map_or(0, |first| last + 1 - first), last))
}

/// A trigger is due now, by what has arrived. Its revision stays: whoever starts the one before it leaves
/// it due for this one.
pub(crate) fn wake(tx: &Tx<'_>, (tenant, workflow, id): (&str, &str, &str)) -> Result<(), Fault> {
    let mut wake = tx.connection.prepare_cached(
        "UPDATE triggers SET due = min(coalesce(due, ?4), ?4)
         WHERE tenant = ?1 AND workflow = ?2 AND id = ?3",
    )?;
    wake.execute(params![tenant, workflow, id, tx.now.as_millis()])?;
    Ok(())
}

/// Says what a trigger of a new version listens to.
pub(crate) fn subscribe(
    tx: &Tx<'_>,
    (tenant, workflow, id): (&TenantId, &WorkflowId, &str),
    all: &[Subscription],
) -> Result<(), Fault> {
    for Subscription { topic, source } in all {
        let mut put = tx.connection.prepare_cached(
            "INSERT OR IGNORE INTO subscriptions (tenant, topic, source, workflow, id)
             VALUES (?, ?, ?, ?, ?)",
        )?;
        let source = source.as_ref().map_or("", WorkflowId::as_str);
        put.execute(params![
            tenant.as_str(),
            topic,
            source,
            workflow.as_str(),
            id
        ])?;
    }
    Ok(())
}

/// Nothing of a workflow listens any more.
pub(crate) fn unsubscribe(
    tx: &Tx<'_>,
    tenant: &TenantId,
    workflow: &WorkflowId,
) -> Result<(), Fault> {
    let mut delete = tx
        .connection
        .prepare_cached("DELETE FROM subscriptions WHERE tenant = ? AND workflow = ?")?;
    delete.execute([tenant.as_str(), workflow.as_str()])?;
    Ok(())
}

/// Drops what waits at a trigger that is gone.
pub(crate) fn drop_all(
    tx: &Tx<'_>,
    tenant: &TenantId,
    workflow: &WorkflowId,
    id: &str,
) -> Result<(), Fault> {
    let mut delete = tx
        .connection
        .prepare_cached("DELETE FROM arrivals WHERE tenant = ? AND workflow = ? AND id = ?")?;
    delete.execute([tenant.as_str(), workflow.as_str(), id])?;
    Ok(())
}

/// Takes arrivals; the trigger is due when the next one is, if there is one.
pub(crate) fn take(
    tx: &Tx<'_>,
    (tenant, workflow, trigger): (&TenantId, &WorkflowId, &TriggerId),
    taken: &[u64],
) -> Result<(), Fault> {
    let (tenant, workflow, id) = (tenant.as_str(), workflow.as_str(), trigger.as_str());
    for n in taken {
        let mut take = tx.connection.prepare_cached(TAKE)?;
        take.execute(params![tenant, workflow, id, stored(*n)?])?;
    }
    let mut wake = tx.connection.prepare_cached(
        "UPDATE triggers SET due = coalesce((SELECT a.at FROM arrivals AS a
             WHERE a.tenant = ?1 AND a.workflow = ?2 AND a.id = ?3 ORDER BY a.n LIMIT 1), due)
         WHERE tenant = ?1 AND workflow = ?2 AND id = ?3",
    )?;
    wake.execute([tenant, workflow, id])?;
    Ok(())
}

/// Passes over arrivals, unless the trigger has changed since.
pub(crate) fn pass(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    (workflow, trigger): (&WorkflowId, &TriggerId),
    expected: u64,
    passing: &Passing,
) -> Result<TriggerUpdated, Fault> {
    let Some(found) = revision(tx.connection, tenant, workflow, trigger)? else {
        return Ok(TriggerUpdated::Unknown);
    };
    if found != expected {
        return Ok(TriggerUpdated::Conflict { revision: found });
    }
    let revision = found + 1;
    let mut change = tx.connection.prepare_cached(
        "UPDATE triggers SET left_out = coalesce(?4, left_out), revision = ?5, due = ?6
         WHERE tenant = ?1 AND workflow = ?2 AND id = ?3",
    )?;
    change.execute(params![
        tenant.as_str(),
        workflow.as_str(),
        trigger.as_str(),
        passing.left_out.as_ref().map(stored_left_out),
        stored(revision)?,
        passing.due.map(Timestamp::as_millis),
    ])?;
    take(tx, (tenant, workflow, trigger), &passing.arrivals)?;
    Ok(TriggerUpdated::Updated { revision })
}

/// What waits at a trigger.
pub(crate) fn page(
    db: &Connection,
    tenant: &TenantId,
    workflow: &WorkflowId,
    trigger: &TriggerId,
    limit: usize,
) -> Result<Vec<Arrival>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut find = db.prepare_cached(PAGE)?;
    let place = params![tenant.as_str(), workflow.as_str(), trigger.as_str(), limit];
    let mut rows = find.query(place)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(arrival(row)?);
    }
    Ok(found)
}

fn arrival(row: &Row<'_>) -> Result<Arrival, Fault> {
    let what = match row.get::<_, Option<String>>(5)? {
        Some(brought) => {
            let brought = serde_json::from_str(&brought);
            let damaged = |error| Fault::corrupt(format!("what was brought: {error}"));
            Arrived::Brought(brought.map_err(damaged)?)
        }
        None => Arrived::Announced {
            topic: row.get(2)?,
            execution: ExecutionId::from_bytes(row.get(3)?),
            seq: number(row.get(4)?)?,
        },
    };
    Ok(Arrival {
        n: number(row.get(0)?)?,
        at: Timestamp::from_millis(row.get(1)?),
        what,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        crate::schema::check_query_plans(&[LISTENERS, SPAN, PAGE, TAKE]);
    }
}
