//! The statements behind triggers; those that publications and creations make run in their transactions.

use std::collections::BTreeMap;

use nebula_core::{ExecutionId, IdError, TenantId, Timestamp, TriggerId, WorkflowId};
use nebula_execution::TriggerMove;
use nebula_ports::{
    DueTriggers, HookId, LeftOut, NewTrigger, Page, PageToken, PreviousHook, TriggerRecord,
    TriggerRepo, TriggerState, TriggerUpdated, check_triggers,
};
use nebula_postgres::{Row, params};
use uuid::Uuid;

use crate::{
    arrivals::{self, first},
    error::Fault,
    link::Link,
    row::{limited, number, stored, uuid},
    sources,
    texts::check_texts,
    tx::Tx,
};

/// What [`record`] reads, of the rows that the condition names.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT t.tenant, t.workflow, t.id, t.version, t.kind, t.definition, t.revision, t.paused, ",
            "t.through, t.due, t.last, t.hook, t.old_hook, t.old_until, t.left_at, t.left_by, t.left_why ",
            "FROM triggers AS t ",
            $rest
        )
    };
}

/// What is due. Archived workflows are not, nor what belongs to another version than the published one.
const DUE: &str = select!(
    "JOIN workflows AS w ON w.tenant = t.tenant AND w.id = t.workflow
     WHERE t.due IS NOT NULL AND NOT t.paused AND t.due <= $1 AND NOT w.archived AND w.published = t.version
     ORDER BY t.due LIMIT $2"
);
/// When the next one is.
const NEXT_DUE: &str = "SELECT t.due FROM triggers AS t
     JOIN workflows AS w ON w.tenant = t.tenant AND w.id = t.workflow
     WHERE t.due IS NOT NULL AND NOT t.paused AND t.due > $1 AND NOT w.archived AND w.published = t.version
     ORDER BY t.due LIMIT 1";
const HOOKED: &str = select!("WHERE t.hook = $1");
const HAD_HOOK: &str = select!("WHERE t.old_hook = $1 AND t.old_until > $2");
const ONE: &str = select!("WHERE t.tenant = $1 AND t.workflow = $2 AND t.id = $3");
const LIST: &str = select!(
    "WHERE t.tenant = $1 AND (t.workflow, t.id) > ($2, $3) ORDER BY t.workflow, t.id LIMIT $4"
);
const LIST_OF: &str = select!(
    "WHERE t.tenant = $1 AND t.workflow = $2 AND t.id > $3 ORDER BY t.workflow, t.id LIMIT $4"
);
/// Locks what stands there: nothing arrives and nothing starts until the publication is committed.
const BEFORE: &str =
    "SELECT id, pace FROM triggers WHERE tenant = $1 AND workflow = $2 ORDER BY id FOR UPDATE";
const REGISTER: &str = concat!(
    "INSERT INTO triggers AS t (tenant, workflow, id, version, kind, definition, pace, revision, paused, through,
        due, last, hook, arrived, waiting)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, FALSE, $9, $10, NULL, $11, 0, 0)
     ON CONFLICT (tenant, workflow, id) DO UPDATE SET version = $4, kind = $5, definition = $6, pace = $7,
        revision = t.revision + 1, hook = coalesce(t.hook, $11),
        through = CASE WHEN $12 THEN t.through ELSE $9 END,
        due = coalesce(CASE WHEN $12 THEN t.due ELSE $10 END, ",
    first!(),
    ")"
);
const REVISION: &str =
    "SELECT revision FROM triggers WHERE tenant = $1 AND workflow = $2 AND id = $3 FOR UPDATE";
const START: &str =
    "UPDATE triggers SET through = $4, due = $5, last = $6, left_at = NULL, left_by = NULL,
        left_why = NULL, revision = revision + 1
     WHERE tenant = $1 AND workflow = $2 AND id = $3";
const UPDATE: &str = concat!(
    "UPDATE triggers AS t SET paused = $4, through = $5, last = $7, hook = $8, revision = revision + 1,
        old_hook = $9, old_until = $10, left_at = $11, left_by = $12, left_why = $13, due = coalesce($6, ",
    first!(),
    ") WHERE t.tenant = $1 AND t.workflow = $2 AND t.id = $3"
);

fn record(row: &Row) -> Result<(TenantId, TriggerRecord), Fault> {
    let damaged = |error: IdError| Fault::corrupt(error.to_string());
    let time = |at: Option<i64>| at.map(Timestamp::from_millis);
    let (workflow, id): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
    let definition = serde_json::from_str(row.try_get(5)?).map_err(|error| {
        Fault::corrupt(format!(
            "trigger `{id}` of `{workflow}` cannot be read: {error}"
        ))
    })?;
    let previous = match (row.try_get(12)?, time(row.try_get(13)?)) {
        (Some(hook), Some(until)) => Some(PreviousHook {
            hook: HookId(hook),
            until,
        }),
        _ => None,
    };
    let (left_at, left_by) = (time(row.try_get(14)?), time(row.try_get(15)?));
    let left_out = match (left_at, left_by, row.try_get(16)?) {
        (Some(occurrence), Some(at), Some(why)) => Some(LeftOut {
            occurrence,
            at,
            why,
        }),
        _ => None,
    };
    let state = TriggerState {
        paused: row.try_get(7)?,
        through: Timestamp::from_millis(row.try_get(8)?),
        due: time(row.try_get(9)?),
        last: row.try_get::<_, Option<Uuid>>(10)?.map(ExecutionId::from),
        hook: row.try_get::<_, Option<String>>(11)?.map(HookId),
        previous,
        left_out,
    };
    let version: i64 = row.try_get(3)?;
    let record = TriggerRecord {
        workflow: WorkflowId::new(workflow).map_err(damaged)?,
        trigger: TriggerId::new(id).map_err(damaged)?,
        version: u32::try_from(version)
            .map_err(|_| Fault::corrupt(format!("{version} is no version")))?,
        kind: row.try_get(4)?,
        definition,
        state,
        revision: number(row.try_get(6)?)?,
    };
    let tenant: &str = row.try_get(0)?;
    Ok((TenantId::new(tenant).map_err(damaged)?, record))
}

/// The triggers of a version in the form in which they are stored.
#[derive(Debug)]
pub(crate) struct Registrations(Vec<(NewTrigger, String)>);

impl Registrations {
    /// # Errors
    /// `Invalid`: no publication may register them.
    pub(crate) fn new(triggers: Vec<NewTrigger>) -> Result<Self, Fault> {
        check_triggers(&triggers).map_err(Fault::invalid)?;
        for new in &triggers {
            let topics = new.listens.iter().map(|it| it.topic.as_str());
            let hook = new.hook.iter().map(|it| it.0.as_str());
            check_texts(topics.chain(hook).chain([new.kind.as_str()]))?;
        }
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

/// Registers the triggers of a publication, which gave the workflow `revision` and has its row locked, in place
/// of those before.
pub(crate) async fn register(
    tx: &Tx,
    (tenant, workflow): (&TenantId, &WorkflowId),
    (version, revision): (u32, u64),
    Registrations(new): &Registrations,
) -> Result<(), Fault> {
    let (of, named) = (tenant.as_str(), workflow.as_str());
    let mut before = BTreeMap::new();
    for row in tx.rows(BEFORE, params![of, named]).await? {
        before.insert(row.try_get::<_, String>(0)?, row.try_get::<_, Vec<u8>>(1)?);
    }
    if new.is_empty() && before.is_empty() {
        return Ok(());
    }
    let first = stored(<dyn TriggerRepo>::first_revision(revision))?;
    arrivals::unsubscribe(tx, tenant, workflow).await?;
    for (new, definition) in new {
        let (id, pace) = (new.id.as_str(), &new.pace.as_bytes()[..]);
        let place = (tenant, workflow, id);
        let goes_on = before.remove(id).is_some_and(|old| old == pace);
        if new.listens.is_empty() && !new.sourced {
            arrivals::drop_all(tx, place).await?;
        }
        if !goes_on {
            sources::forget(tx, place).await?;
        }
        tx.execute(
            REGISTER,
            params![
                of,
                named,
                id,
                i64::from(version),
                new.kind.as_str(),
                definition.as_str(),
                pace,
                first,
                new.through.as_millis(),
                new.due.map(Timestamp::as_millis),
                new.hook.as_ref().map(|hook| hook.0.as_str()),
                goes_on,
            ],
        )
        .await?;
        arrivals::subscribe(tx, place, &new.listens).await?;
    }
    let delete = "DELETE FROM triggers WHERE tenant = $1 AND workflow = $2 AND id = $3";
    for gone in before.keys() {
        let place = (tenant, workflow, gone.as_str());
        tx.execute(delete, params![of, named, gone.as_str()])
            .await?;
        arrivals::drop_all(tx, place).await?;
        sources::forget(tx, place).await?;
    }
    Ok(())
}

/// The trigger's revision, if a published version has it; its row is locked from now on.
pub(crate) async fn revision(
    tx: &Tx,
    tenant: &TenantId,
    workflow: &WorkflowId,
    trigger: &TriggerId,
) -> Result<Option<u64>, Fault> {
    let found = tx
        .row(
            REVISION,
            params![tenant.as_str(), workflow.as_str(), trigger.as_str()],
        )
        .await?;
    found.map(|row| number(row.try_get(0)?)).transpose()
}

/// Whether a creation comes from where its trigger stands, which stays so until the transaction ends.
pub(crate) async fn is_at(
    tx: &Tx,
    tenant: &TenantId,
    workflow: &WorkflowId,
    wanted: &TriggerMove,
) -> Result<bool, Fault> {
    let found = revision(tx, tenant, workflow, &wanted.trigger).await?;
    Ok(found == Some(wanted.expected))
}

/// Moves the trigger of a creation, whose row is locked.
pub(crate) async fn start(
    tx: &Tx,
    tenant: &TenantId,
    workflow: &WorkflowId,
    wanted: &TriggerMove,
    execution: ExecutionId,
) -> Result<(), Fault> {
    tx.execute(
        START,
        params![
            tenant.as_str(),
            workflow.as_str(),
            wanted.trigger.as_str(),
            wanted.through.as_millis(),
            wanted.due.map(Timestamp::as_millis),
            uuid(execution),
        ],
    )
    .await?;
    match wanted.takes.as_slice() {
        [] => Ok(()),
        taken => arrivals::take(tx, (tenant, workflow, &wanted.trigger), taken).await,
    }
}

/// Changes where a trigger stands, unless it has changed since.
pub(crate) async fn update(
    tx: &Tx,
    tenant: &TenantId,
    (workflow, trigger): (&WorkflowId, &TriggerId),
    expected: u64,
    state: &TriggerState,
) -> Result<TriggerUpdated, Fault> {
    let Some(found) = revision(tx, tenant, workflow, trigger).await? else {
        return Ok(TriggerUpdated::Unknown);
    };
    if found != expected {
        return Ok(TriggerUpdated::Conflict { revision: found });
    }
    let (previous, left_out) = (state.previous.as_ref(), state.left_out.as_ref());
    tx.execute(
        UPDATE,
        params![
            tenant.as_str(),
            workflow.as_str(),
            trigger.as_str(),
            state.paused,
            state.through.as_millis(),
            state.due.map(Timestamp::as_millis),
            state.last.map(uuid),
            state.hook.as_ref().map(|hook| hook.0.as_str()),
            previous.map(|it| it.hook.0.as_str()),
            previous.map(|it| it.until.as_millis()),
            left_out.map(|it| it.occurrence.as_millis()),
            left_out.map(|it| it.at.as_millis()),
            left_out.map(|it| it.why.as_str()),
        ],
    )
    .await?;
    Ok(TriggerUpdated::Updated {
        revision: found + 1,
    })
}

/// One trigger of a published version.
pub(crate) async fn get(
    link: &Link,
    (tenant, workflow, trigger): (&TenantId, &WorkflowId, &TriggerId),
) -> Result<Option<TriggerRecord>, Fault> {
    let found = link
        .row(
            ONE,
            params![tenant.as_str(), workflow.as_str(), trigger.as_str()],
        )
        .await?;
    let found = found.as_ref().map(record).transpose()?;
    Ok(found.map(|(_, record)| record))
}

/// Triggers by workflow and id.
pub(crate) async fn list(
    link: &Link,
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
    check_texts([of, id])?;
    let wanted = limited(limit.saturating_add(1));
    let (sql, of) = match workflow {
        Some(workflow) => (LIST_OF, workflow.as_str()),
        None => (LIST, of),
    };
    let rows = link
        .rows(sql, params![tenant.as_str(), of, id, wanted])
        .await?;
    let items = rows.iter().map(|row| Ok(record(row)?.1));
    let mut items: Vec<TriggerRecord> = items.collect::<Result<_, Fault>>()?;
    let more = items.len() > limit;
    items.truncate(limit);
    let token = |last: &TriggerRecord| PageToken(format!("{}/{}", last.workflow, last.trigger));
    let next = items.last().filter(|_| more).map(token);
    Ok(Page { items, next })
}

/// Triggers that are due, the longest due first.
pub(crate) async fn due(link: &Link, limit: usize) -> Result<DueTriggers, Fault> {
    let now = link.now().await?;
    let wanted = limited(limit.saturating_add(1));
    let rows = link.rows(DUE, params![now.as_millis(), wanted]).await?;
    let mut due: Vec<_> = rows.iter().map(record).collect::<Result<_, _>>()?;
    let more = due.len() > limit;
    due.truncate(limit);
    let next = link.row(NEXT_DUE, params![now.as_millis()]).await?;
    let next: Option<i64> = next.map(|row| row.try_get(0)).transpose()?;
    Ok(DueTriggers {
        due,
        next_due: next.map(Timestamp::from_millis),
        more,
        now,
    })
}

/// Whose trigger has this address, or had it lately, and which.
pub(crate) async fn hooked(
    link: &Link,
    hook: &HookId,
) -> Result<Option<(TenantId, TriggerRecord)>, Fault> {
    let hook = hook.0.as_str();
    if hook.contains('\0') {
        return Ok(None);
    }
    if let Some(row) = link.row(HOOKED, params![hook]).await? {
        return record(&row).map(Some);
    }
    let now = link.now().await?.as_millis();
    let had = link.row(HAD_HOOK, params![hook, now]).await?;
    had.as_ref().map(record).transpose()
}
