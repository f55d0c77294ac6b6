//! What looks at many executions at once: the sweep and the retention.

use nebula_core::{ExecutionId, Group, Groups, IdError, Priority, TenantId, Timestamp, WorkflowId};
use nebula_ports::{Lines, Runnable, RunnablePage};
use rusqlite::{OptionalExtension, Row as SqlRow, params};

use crate::{
    error::Fault,
    rates,
    row::{group, priority},
    slots,
    writer::Tx,
};

/// Executions among which those that are due longest go first. The index has those first that were
/// never rung or not for the longest time; so a sweep over many pages reads each execution once.
const WINDOW: usize = 1024;

/// The line after another one, of those that have an execution which is due some time.
const NEXT_LINE: &str =
    "SELECT tenant, priority, workflow FROM executions INDEXED BY executions_due
    WHERE ring_key IS NOT NULL AND (tenant, priority, workflow) > (?, ?, ?)
    ORDER BY tenant, priority, workflow LIMIT 1";
/// What is due in a line, since when, and for which workers: of these groups, as a list in JSON, or of
/// all. The name of the label is that of `Labels::GROUP`.
const DUE: &str = "SELECT n, id, coalesce(min(lease_until, wake_at), lease_until, wake_at),
        labels ->> '$.\"nebula.group\"'
    FROM executions INDEXED BY executions_due
    WHERE tenant = ? AND priority = ? AND workflow = ?
        AND ring_key IS NOT NULL AND ring_key <= ? AND rung_at < ?
        AND (?6 IS NULL OR coalesce(labels ->> '$.\"nebula.group\"', 'default')
            IN (SELECT value FROM json_each(?6)))
    ORDER BY ring_key, rung_at LIMIT ?7";
/// When the next one of a line is due.
const NEXT_DUE: &str = "SELECT min(ring_key) FROM executions INDEXED BY executions_due
    WHERE ring_key IS NOT NULL AND tenant = ? AND priority = ? AND workflow = ? AND ring_key > ?";
/// The next wake-up of what somebody holds.
const NEXT_HELD: &str = "SELECT min(held_wake) FROM executions WHERE held_wake > ?";
const MARK: &str = "UPDATE executions SET rung_at = ?2, ring_key = max(ring_key, ?2) WHERE n = ?1";

/// Where executions stand that take turns with those of other lines.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    tenant: TenantId,
    priority: Priority,
    workflow: WorkflowId,
}

/// One execution that is due.
struct Due {
    n: i64,
    id: ExecutionId,
    since: i64,
    group: Group,
}

/// Executions that are due and not rung since `rung_before`, in their turns; marks them as rung.
pub(crate) fn runnable(
    tx: &mut Tx<'_>,
    (rung_before, groups): (Timestamp, &Groups),
    limit: usize,
) -> Result<RunnablePage, Fault> {
    let groups = groups
        .names()
        .map(|names| serde_json::to_string(&names).expect("names are texts"));
    let asked = (rung_before, groups.as_deref());
    for dead in tx.holders.all_dead() {
        tx.bury(dead)?;
    }
    slots::take_from_expired(tx)?;
    let lines = lines(tx)?;
    // An equal share each is enough unless some lines have less: then the others give more.
    let wanted = limit.saturating_add(1);
    let share = wanted.max(WINDOW).div_ceil(lines.len().max(1));
    let mut found = Vec::with_capacity(lines.len());
    for line in &lines {
        found.push(due(tx, line, asked, share)?);
    }
    if found.iter().map(Vec::len).sum::<usize>() < wanted && share < wanted {
        for (line, found) in lines.iter().zip(&mut found) {
            if found.len() == share {
                *found = due(tx, line, asked, wanted)?;
            }
        }
    }
    let next_due = next_due(tx, &lines)?;
    let mut rung = in_turns(&lines, found);
    let more = rung.len() > limit;
    rung.truncate(limit);

    let mut mark = tx.connection.prepare_cached(MARK)?;
    let mut runnable = Vec::with_capacity(rung.len());
    for (n, found) in rung {
        mark.execute([n, tx.now.as_millis()])?;
        runnable.push(found);
    }
    Ok(RunnablePage {
        runnable,
        next_due,
        more,
    })
}

/// The lines in which an execution is due some time.
fn lines(tx: &Tx<'_>) -> Result<Vec<Line>, Fault> {
    let mut next = tx.connection.prepare_cached(NEXT_LINE)?;
    let mut lines: Vec<Line> = Vec::new();
    loop {
        let last = lines.last();
        let after = last.map_or(("", 0, ""), |last| {
            let (tenant, workflow) = (last.tenant.as_str(), last.workflow.as_str());
            (tenant, last.priority.number(), workflow)
        });
        let read = |row: &SqlRow<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let found: Option<(String, u8, String)> = next.query_row(after, read).optional()?;
        let Some((tenant, number, workflow)) = found else {
            return Ok(lines);
        };
        let corrupt = |error: IdError| Fault::corrupt(error.to_string());
        lines.push(Line {
            tenant: TenantId::new(tenant).map_err(corrupt)?,
            priority: priority(number)?,
            workflow: WorkflowId::new(workflow).map_err(corrupt)?,
        });
    }
}

/// The executions of a line that are due, longest due first.
fn due(
    tx: &Tx<'_>,
    line: &Line,
    (rung_before, groups): (Timestamp, Option<&str>),
    limit: usize,
) -> Result<Vec<Due>, Fault> {
    let mut find = tx.connection.prepare_cached(DUE)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (now, before) = (tx.now.as_millis(), rung_before.as_millis());
    let (tenant, workflow) = (line.tenant.as_str(), line.workflow.as_str());
    let number = line.priority.number();
    let of_line = params![tenant, number, workflow, now, before, groups, limit];
    let found = find.query_map(of_line, |row| {
        Ok(Due {
            n: row.get(0)?,
            id: ExecutionId::from_bytes(row.get(1)?),
            since: row.get(2)?,
            group: group(row.get(3)?),
        })
    })?;
    let mut found: Vec<Due> = found.collect::<Result<_, _>>()?;
    found.sort_by_key(|due| (due.since, due.id));
    Ok(found)
}

/// All that was found, with its number, in the order of turns.
fn in_turns(lines: &[Line], found: Vec<Vec<Due>>) -> Vec<(i64, Runnable)> {
    let mut order = Lines::default();
    for (line, found) in lines.iter().zip(found) {
        for due in found {
            let runnable = Runnable {
                tenant: line.tenant.clone(),
                execution: due.id,
                workflow: line.workflow.clone(),
                priority: line.priority,
                group: due.group,
            };
            order.push(
                &line.tenant,
                line.priority,
                &line.workflow,
                (due.n, runnable),
            );
        }
    }
    order.in_turns()
}

/// The earliest wake-up or end of a lease that is still to come.
fn next_due(tx: &Tx<'_>, lines: &[Line]) -> Result<Option<Timestamp>, Fault> {
    let now = tx.now.as_millis();
    let mut due = tx.connection.prepare_cached(NEXT_DUE)?;
    let mut held = tx.connection.prepare_cached(NEXT_HELD)?;
    let mut earliest: Option<i64> = held.query_row([now], |row| row.get(0))?;
    for line in lines {
        let (tenant, workflow) = (line.tenant.as_str(), line.workflow.as_str());
        let of_line = params![tenant, line.priority.number(), workflow, now];
        let next: Option<i64> = due.query_row(of_line, |row| row.get(0))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::query_plan;

    #[test]
    fn the_sweep_finds_its_rows_by_the_lines_of_the_index() {
        for (sql, finds) in [
            (
                NEXT_LINE,
                "COVERING INDEX executions_due ((tenant,priority,workflow)>(?,?,?))",
            ),
            (
                DUE,
                "INDEX executions_due (tenant=? AND priority=? AND workflow=? AND ring_key",
            ),
            (
                NEXT_DUE,
                "INDEX executions_due (tenant=? AND priority=? AND workflow=? AND ring_key>?)",
            ),
            (NEXT_HELD, "INDEX executions_held_wake (held_wake>?)"),
        ] {
            let mut steps = query_plan(sql);
            // The groups that are asked for are a list of a few names, which is looked into.
            let of_groups = ["LIST SUBQUERY", "SCAN json_each", "CREATE BLOOM FILTER"];
            steps.retain(|step| !of_groups.iter().any(|part| step.starts_with(part)));
            let [step] = &steps[..] else {
                panic!("{steps:?}: it sorts, or looks twice")
            };
            assert!(step.starts_with("SEARCH") && step.contains(finds), "{step}");
        }
    }
}
