//! The statements behind triggers; those that publications and creations make run in their transactions.

use std::collections::BTreeMap;

use nebula_core::{ExecutionId, TenantId, Timestamp, TriggerId, WorkflowId};
use nebula_execution::TriggerMove;
use nebula_ports::{
    DueTriggers, HookId, LeftOut, NewTrigger, Page, PageToken, PreviousHook, TriggerRecord,
    TriggerRepo, TriggerState, TriggerUpdated, check_triggers,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    arrivals,
    error::Fault,
    row::{number, stored},
    sources, sum,
    writer::Tx,
};

/// What [`record`] reads, of the rows that the condition names.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT t.tenant, t.workflow, t.id, t.version, t.kind, t.definition, t.revision, t.paused, ",
            "t.through, t.due, t.last, t.hook, t.sum, t.old_hook, t.old_until, t.left_out ",
            "FROM triggers AS t ",
            $rest
        )
    };
}

/// What is due. Archived workflows are not, nor what a build without triggers has left behind.
const DUE: &str = select!(
    "INDEXED BY triggers_due JOIN workflows AS w ON w.tenant = t.tenant AND w.id = t.workflow
     WHERE t.due IS NOT NULL AND t.paused = 0 AND t.due <= ?1
         AND w.archived = 0 AND w.published = t.version
     ORDER BY t.due LIMIT ?2"
);
/// When the next one is.
const NEXT_DUE: &str = "SELECT t.due FROM triggers AS t INDEXED BY triggers_due
     JOIN workflows AS w ON w.tenant = t.tenant AND w.id = t.workflow
     WHERE t.due IS NOT NULL AND t.paused = 0 AND t.due > ?1
         AND w.archived = 0 AND w.published = t.version
     ORDER BY t.due LIMIT 1";
const HAD_HOOK: &str = select!(
    "INDEXED BY triggers_old_hook WHERE t.old_hook IS NOT NULL AND t.old_hook = ?1 AND t.old_until > ?2"
);
const HOOKED: &str = select!("INDEXED BY triggers_hook WHERE t.hook IS NOT NULL AND t.hook = ?");
const ONE: &str = select!("WHERE t.tenant = ? AND t.workflow = ? AND t.id = ?");
const LIST: &str = select!(
    "WHERE t.tenant = ?1 AND (t.workflow, t.id) > (?2, ?3) ORDER BY t.workflow, t.id LIMIT ?4"
);
const LIST_OF: &str = select!(
    "WHERE t.tenant = ?1 AND t.workflow = ?2 AND t.id > ?3 ORDER BY t.workflow, t.id LIMIT ?4"
);

fn sum_of(kind: &str, definition: &str) -> i64 {
    sum::of(&[kind.as_bytes(), definition.as_bytes()])
}

fn record(row: &Row<'_>) -> Result<(TenantId, TriggerRecord), Fault> {
    let damaged = |error: nebula_core::IdError| Fault::corrupt(error.to_string());
    let (tenant, workflow, id): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (kind, definition): (String, String) = (row.get(4)?, row.get(5)?);
    let what = || format!("trigger `{id}` of `{workflow}`");
    let parts = [kind.as_bytes(), definition.as_bytes()];
    sum::check(Some(row.get(12)?), &parts, what)?;
    let parsed = serde_json::from_str(&definition)
        .map_err(|error| Fault::corrupt(format!("{} cannot be read: {error}", what())))?;
    let state = TriggerState {
        paused: row.get(7)?,
        through: Timestamp::from_millis(row.get(8)?),
        due: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_millis),
        last: row
            .get::<_, Option<[u8; 16]>>(10)?
            .map(ExecutionId::from_bytes),
        hook: row.get::<_, Option<String>>(11)?.map(HookId),
        previous: match (row.get::<_, Option<String>>(13)?, row.get(14)?) {
            (Some(hook), Some(until)) => Some(PreviousHook {
                hook: HookId(hook),
                until: Timestamp::from_millis(until),
            }),
            _ => None,
        },
        left_out: row
            .get::<_, Option<String>>(15)?
            .as_deref()
            .and_then(left_out),
    };
    let record = TriggerRecord {
        workflow: WorkflowId::new(workflow.as_str()).map_err(damaged)?,
        trigger: TriggerId::new(id.as_str()).map_err(damaged)?,
        version: row.get(3)?,
        kind,
        definition: parsed,
        state,
        revision: number(row.get(6)?)?,
    };
    Ok((TenantId::new(tenant).map_err(damaged)?, record))
}

/// Why an occurrence was left out, as it is stored: its time, when that was, and why.
fn left_out(stored: &str) -> Option<LeftOut> {
    let mut parts = stored.splitn(3, ' ');
    let mut time = || Some(Timestamp::from_millis(parts.next()?.parse().ok()?));
    let (occurrence, at) = (time()?, time()?);
    let why = parts.next()?.to_owned();
    Some(LeftOut {
        occurrence,
        at,
        why,
    })
}

pub(crate) fn stored_left_out(it: &LeftOut) -> String {
    let (occurrence, at) = (it.occurrence.as_millis(), it.at.as_millis());
    format!("{occurrence} {at} {}", it.why)
}

/// The triggers of a version in the form in which they are stored; made by the caller's thread.
#[derive(Debug)]
pub(crate) struct Registrations(Vec<(NewTrigger, String)>);

impl Registrations {
    /// # Errors
    /// `Invalid`: no publication may register them.
    pub(crate) fn new(triggers: Vec<NewTrigger>) -> Result<Self, Fault> {
        check_triggers(&triggers).map_err(Fault::invalid)?;
        let encoded = triggers.into_iter().map(|new| {
            let definition = new.definition.to_string();
            (new, definition)
        });
        Ok(Self(encoded.collect()))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|(_, definition)| definition.len()).sum()
    }
}

/// Registers the triggers of a publication, which gave the workflow `revision`, in place of those before.
pub(crate) fn register(
    tx: &mut Tx<'_>,
    (tenant, workflow): (&TenantId, &WorkflowId),
    (version, revision): (u32, u64),
    Registrations(new): &Registrations,
) -> Result<(), Fault> {
    let mut before = BTreeMap::new();
    let mut find = tx
        .connection
        .prepare_cached("SELECT id, pace FROM triggers WHERE tenant = ? AND workflow = ?")?;
    let mut rows = find.query([tenant.as_str(), workflow.as_str()])?;
    while let Some(row) = rows.next()? {
        before.insert(row.get::<_, String>(0)?, row.get::<_, [u8; 32]>(1)?);
    }
    drop(rows);
    let first = stored(<dyn TriggerRepo>::first_revision(revision))?;
    arrivals::unsubscribe(tx, tenant, workflow)?;
    for (new, definition) in new {
        let (id, pace) = (new.id.as_str(), new.pace.as_bytes());
        let goes_on = match before.remove(id) {
            Some(old) => old == *pace,
            None => false,
        };
        if new.listens.is_empty() && !new.sourced {
            arrivals::drop_all(tx, tenant, workflow, id)?;
        }
        if !goes_on {
            sources::forget(tx, tenant, workflow, id)?;
        }
        let mut put = tx.connection.prepare_cached(
            "INSERT INTO triggers (tenant, workflow, id, version, kind, definition, pace, revision,
                 paused, through, due, last, hook, sum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, NULL, ?11, ?12)
             ON CONFLICT DO UPDATE SET version = ?4, kind = ?5, definition = ?6, pace = ?7,
                 revision = revision + 1, sum = ?12, hook = coalesce(hook, ?11),
                 through = iif(?13, through, ?9),
                 due = coalesce(iif(?13, due, ?10), (SELECT a.at FROM arrivals AS a
                     WHERE a.tenant = ?1 AND a.workflow = ?2 AND a.id = ?3 ORDER BY a.n LIMIT 1))",
        )?;
        put.execute(params![
            tenant.as_str(),
            workflow.as_str(),
            id,
            version,
            new.kind,
            definition,
            pace,
            first,
            new.through.as_millis(),
            new.due.map(Timestamp::as_millis),
            new.hook.as_ref().map(|hook| hook.0.as_str()),
            sum_of(&new.kind, definition),
            goes_on,
        ])?;
        arrivals::subscribe(tx, (tenant, workflow, id), &new.listens)?;
    }
    let mut delete = tx
        .connection
        .prepare_cached("DELETE FROM triggers WHERE tenant = ? AND workflow = ? AND id = ?")?;
    for gone in before.keys() {
        delete.execute([tenant.as_str(), workflow.as_str(), gone.as_str()])?;
        arrivals::drop_all(tx, tenant, workflow, gone)?;
        sources::forget(tx, tenant, workflow, gone)?;
    }
    Ok(())
}

/// The trigger's revision, if a published version has it.
pub(crate) fn revision(
    db: &Connection,
    tenant: &TenantId,
    workflow: &WorkflowId,
    trigger: &TriggerId,
) -> Result<Option<u64>, Fault> {
    let mut find = db.prepare_cached(
        "SELECT revision FROM triggers WHERE tenant = ? AND workflow = ? AND id = ?",
    )?;
    let key = [tenant.as_str(), workflow.as_str(), trigger.as_str()];
    let found = find.query_row(key, |row| row.get(0)).optional()?;
    found.map(number).transpose()
}

/// Whether a creation comes from where its trigger stands.
pub(crate) fn is_at(
    tx: &Tx<'_>,
    tenant: &TenantId,
    workflow: &WorkflowId,
    wanted: &TriggerMove,
) -> Result<bool, Fault> {
    let found = revision(tx.connection, tenant, workflow, &wanted.trigger)?;
    Ok(found == Some(wanted.expected))
}

/// Moves the trigger of a creation.
pub(crate) fn start(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    workflow: &WorkflowId,
    wanted: &TriggerMove,
    execution: ExecutionId,
) -> Result<(), Fault> {
    let mut change = tx.connection.prepare_cached(
        "UPDATE triggers SET through = ?4, due = ?5, last = ?6, left_out = NULL, revision = revision + 1
         WHERE tenant = ?1 AND workflow = ?2 AND id = ?3",
    )?;
    change.execute(params![
        tenant.as_str(),
        workflow.as_str(),
        wanted.trigger.as_str(),
        wanted.through.as_millis(),
        wanted.due.map(Timestamp::as_millis),
        execution.as_bytes(),
    ])?;
    match wanted.takes.as_slice() {
        [] => Ok(()),
        taken => arrivals::take(tx, (tenant, workflow, &wanted.trigger), taken),
    }
}

/// Changes where a trigger stands, unless it has changed since.
pub(crate) fn update(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    (workflow, trigger): (&WorkflowId, &TriggerId),
    expected: u64,
    state: &TriggerState,
) -> Result<TriggerUpdated, Fault> {
    let Some(found) = revision(tx.connection, tenant, workflow, trigger)? else {
        return Ok(TriggerUpdated::Unknown);
    };
    if found != expected {
        return Ok(TriggerUpdated::Conflict { revision: found });
    }
    let revision = found + 1;
    let mut change = tx.connection.prepare_cached(
        "UPDATE triggers SET paused = ?4, through = ?5, last = ?7, hook = ?8, revision = ?9,
             old_hook = ?10, old_until = ?11, left_out = ?12,
             due = coalesce(?6, (SELECT a.at FROM arrivals AS a
                 WHERE a.tenant = ?1 AND a.workflow = ?2 AND a.id = ?3 ORDER BY a.n LIMIT 1))
         WHERE tenant = ?1 AND workflow = ?2 AND id = ?3",
    )?;
    change.execute(params![
        tenant.as_str(),
        workflow.as_str(),
        trigger.as_str(),
        state.paused,
        state.through.as_millis(),
        state.due.map(Timestamp::as_millis),
        state.last.as_ref().map(ExecutionId::as_bytes),
        state.hook.as_ref().map(|hook| hook.0.as_str()),
        stored(revision)?,
        state.previous.as_ref().map(|before| before.hook.0.as_str()),
        state
            .previous
            .as_ref()
            .map(|before| before.until.as_millis()),
        state.left_out.as_ref().map(stored_left_out),
    ])?;
    Ok(TriggerUpdated::Updated { revision })
}

/// One trigger of a published version.
pub(crate) fn get(
    db: &Connection,
    tenant: &TenantId,
    workflow: &WorkflowId,
    trigger: &TriggerId,
) -> Result<Option<TriggerRecord>, Fault> {
    let mut find = db.prepare_cached(ONE)?;
    let mut rows = find.query([tenant.as_str(), workflow.as_str(), trigger.as_str()])?;
    let found = rows.next()?.map(record).transpose()?;
    Ok(found.map(|(_, record)| record))
}

/// Triggers by workflow and id.
pub(crate) fn list(
    db: &Connection,
    tenant: &TenantId,
    workflow: Option<&WorkflowId>,
    after: Option<&PageToken>,
    limit: usize,
) -> Result<Page<TriggerRecord>, Fault> {
    let invalid = || Fault::invalid("the page token is not from a page before");
    let (of, id) = match after {
        Some(PageToken(token)) => token.split_once('/').ok_or_else(invalid)?,
        None => ("", ""),
    };
    let wanted = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let (sql, of) = match workflow {
        Some(workflow) => (LIST_OF, workflow.as_str()),
        None => (LIST, of),
    };
    let mut find = db.prepare_cached(sql)?;
    let mut rows = find.query(params![tenant.as_str(), of, id, wanted])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(record(row)?.1);
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let token = |last: &TriggerRecord| PageToken(format!("{}/{}", last.workflow, last.trigger));
    let next = items.last().filter(|_| more).map(token);
    Ok(Page { items, next })
}

/// Triggers that are due, the longest due first.
pub(crate) fn due(db: &Connection, limit: usize, now: Timestamp) -> Result<DueTriggers, Fault> {
    let wanted = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut find = db.prepare_cached(DUE)?;
    let mut rows = find.query(params![now.as_millis(), wanted])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        due.push(record(row)?);
    }
    let more = due.len() > limit;
    due.truncate(limit);
    let mut next = db.prepare_cached(NEXT_DUE)?;
    let next = next
        .query_row([now.as_millis()], |row| row.get(0))
        .optional()?;
    Ok(DueTriggers {
        due,
        next_due: next.map(Timestamp::from_millis),
        more,
        now,
    })
}

/// Whose trigger has this address, or had it lately, and which.
pub(crate) fn hooked(
    db: &Connection,
    hook: &HookId,
    now: Timestamp,
) -> Result<Option<(TenantId, TriggerRecord)>, Fault> {
    let mut find = db.prepare_cached(HOOKED)?;
    let mut rows = find.query([hook.0.as_str()])?;
    if let Some(row) = rows.next()? {
        return record(row).map(Some);
    }
    let mut find = db.prepare_cached(HAD_HOOK)?;
    let mut rows = find.query(params![hook.0.as_str(), now.as_millis()])?;
    rows.next()?.map(record).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        crate::schema::check_query_plans(&[DUE, NEXT_DUE, HOOKED, HAD_HOOK, ONE, LIST, LIST_OF]);
    }
}
