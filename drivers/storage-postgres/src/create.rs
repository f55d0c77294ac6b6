//! Executions that begin.

use nebula_core::{Digest, ExecutionId, Labels, Priority, TenantId, Timestamp, WorkflowId};
use nebula_execution::{Entry, Fact, NewExecution, Started, TriggerMove, decode, encode};
use nebula_ports::{
    Created, DedupeKey, ExecutionRepo, Lease, LeaseRequest, Quotas, Rate, RateTurn, SlotClaim,
    Usage,
};
use nebula_postgres::params;
use uuid::Uuid;

use crate::{
    error::Fault,
    pending::Batch,
    rates,
    row::{Fresh, Row},
    slots, tenants,
    texts::check_texts,
    triggers,
    tx::{Remembered, Tx},
};

/// An execution in the form in which it is stored; made by the caller's thread.
#[derive(Debug)]
pub(crate) struct NewRow {
    pub(crate) id: ExecutionId,
    pub(crate) workflow: WorkflowId,
    pub(crate) version: u32,
    pub(crate) plan: Digest,
    count: u64,
    entries: Vec<u8>,
    fingerprint: Option<Digest>,
    slot: Option<SlotClaim>,
    max_waiting: u32,
    rate: Option<Rate>,
    trigger: Option<TriggerMove>,
    quotas: Quotas,
    /// The bucket of its tenant, if that has one.
    starts: Option<Rate>,
    priority: Priority,
    labels: Labels,
}

/// When an execution begins.
#[derive(Debug, Clone, Copy)]
enum Begins {
    /// At once, with a lease for its creator if that asked for one.
    Now(Option<LeaseRequest>),
    /// When it is granted its slot.
    WithItsSlot,
    /// Then, and claims its slot only then.
    At(Timestamp),
}

impl NewRow {
    /// Encodes `new`; `with_fingerprint` where a dedupe key is to remember the input.
    pub(crate) fn new(new: &NewExecution, with_fingerprint: bool) -> Result<Self, Fault> {
        let started = started(&new.entries)?;
        check_labels(&started.labels)?;
        let slot = new.slot.as_ref().map(SlotClaim::of_start).transpose();
        let rate = new.rate.as_ref().map(Rate::of_start).transpose();
        let starts = new.quotas.starts_per_second;
        let starts = starts.map(Rate::of_tenant).transpose();
        Ok(Self {
            workflow: new.workflow.clone(),
            version: new.version,
            count: new.entries.len() as u64,
            entries: encode(&new.entries),
            slot: slot.map_err(|error| Fault::invalid(error.message))?,
            max_waiting: new.slot.as_ref().map_or(0, |slot| slot.max_waiting),
            rate: rate.map_err(|error| Fault::invalid(error.message))?,
            trigger: new.trigger.clone(),
            quotas: new.quotas,
            starts: starts.map_err(|error| Fault::invalid(error.message))?,
            ..Self::of_start(new.id, started, with_fingerprint)
        })
    }

    /// What a start says of its execution; without entries, which its first step brings.
    pub(crate) fn of_start(id: ExecutionId, started: &Started, with_fingerprint: bool) -> Self {
        Self {
            id,
            workflow: started.workflow.clone(),
            version: started.version,
            plan: started.plan,
            count: 0,
            entries: Vec::new(),
            fingerprint: with_fingerprint.then(|| started.fingerprint()),
            slot: None,
            max_waiting: 0,
            rate: None,
            trigger: None,
            quotas: Quotas::default(),
            starts: None,
            priority: started.priority,
            labels: started.labels.clone(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.len()
    }

    /// Whether other rows than its own decide about it: then it has a transaction of its own, so that what it
    /// waits for holds up nobody beside it.
    pub(crate) fn is_alone(&self) -> bool {
        let waits = self.slot.is_some() || self.rate.is_some() || self.trigger.is_some();
        waits || self.quotas.bounds_starts()
    }

    /// What is written of it once.
    pub(crate) fn fresh(&self, whole: Option<(Uuid, Vec<u8>)>) -> Fresh {
        Fresh {
            version: self.version,
            priority: self.priority,
            labels: self.labels.clone(),
            whole,
        }
    }
}

/// Refuses labels that cannot be stored.
pub(crate) fn check_labels(labels: &Labels) -> Result<(), Fault> {
    check_texts(labels.iter().flat_map(|(key, value)| [key, value]))
}

/// The start with which a journal begins.
pub(crate) fn started(entries: &[Entry]) -> Result<&Started, Fault> {
    match entries.first().map(|first| &first.fact) {
        Some(Fact::ExecutionStarted(started)) => Ok(started),
        _ => Err(Fault::invalid(
            "the first entry of a journal is not the execution's start",
        )),
    }
}

/// Creates the execution, or finds the one that was there before.
pub(crate) async fn create(
    tx: &Tx,
    tenant: &TenantId,
    new: &NewRow,
    dedupe: Option<&DedupeKey>,
    lease: Option<LeaseRequest>,
) -> Result<Created, Fault> {
    if let Some((id, same_input)) = seen_key(tx, tenant, new, dedupe).await? {
        return Ok(Created::Exists { id, same_input });
    }
    if let Some(first) = first_batch(tx, tenant, new.id).await? {
        let (id, same_input) = (new.id, begins_alike(&first.entries, &new.entries)?);
        return Ok(Created::Exists { id, same_input });
    }
    if let Some(wanted) = &new.trigger
        && !triggers::is_at(tx, tenant, &new.workflow, wanted).await?
    {
        return Ok(Created::Outdated);
    }
    if let Some(most) = new.quotas.executions {
        let used = Usage {
            executions: tenants::open(tx, tenant, most).await?,
            ..Usage::default()
        };
        if let Err(exceeded) = new.quotas.admit(&used) {
            let try_after = None;
            return Ok(Created::OverQuota {
                exceeded,
                try_after,
            });
        }
    }
    let ahead = match &new.slot {
        Some(slot) => slots::must_wait(tx, tenant, slot, new.max_waiting).await?,
        None => None,
    };
    if let Some(waiting) = ahead.filter(|waiting| *waiting >= new.max_waiting) {
        return Ok(Created::Full { waiting });
    }
    let start = match &new.starts {
        Some(starts) => match rates::turn(tx, tenant, starts).await? {
            RateTurn::Full { try_after, .. } => {
                let exceeded = new.quotas.started();
                let try_after = Some(try_after);
                return Ok(Created::OverQuota {
                    exceeded,
                    try_after,
                });
            }
            RateTurn::Now { full_at } | RateTurn::Later { full_at, .. } => Some((starts, full_at)),
        },
        None => None,
    };
    let later = match take_of_rate(tx, tenant, new.rate.clone()).await? {
        Some(RateTurn::Full { waiting, try_after }) => {
            return Ok(Created::Limited { waiting, try_after });
        }
        Some(RateTurn::Later {
            begins_at, ahead, ..
        }) => Some((begins_at, ahead)),
        Some(RateTurn::Now { .. }) | None => None,
    };
    if let Some((starts, full_at)) = start {
        rates::keep(tx, tenant, starts, full_at).await?;
    }
    let begins = match (later, ahead) {
        (Some((begins_at, _)), _) => Begins::At(begins_at),
        (None, Some(_)) => Begins::WithItsSlot,
        (None, None) => Begins::Now(lease),
    };
    insert(tx, tenant, new, dedupe, begins).await?;
    remember_key(tx, tenant, new, dedupe, None);
    if let Some(wanted) = &new.trigger {
        triggers::start(tx, tenant, &new.workflow, wanted, new.id).await?;
    }
    if let Some((begins_at, ahead)) = later {
        return Ok(Created::Later { begins_at, ahead });
    }
    if let Some(ahead) = ahead {
        return Ok(Created::Waits { ahead });
    }
    Ok(Created::Created(lease.map(|wanted| Lease {
        tenant: tenant.clone(),
        execution: new.id,
        holder: wanted.holder,
        epoch: <dyn ExecutionRepo>::FIRST_EPOCH,
        ttl: wanted.ttl,
    })))
}

/// Creates a child of a step, unless it is there.
pub(crate) async fn create_child(tx: &Tx, tenant: &TenantId, child: &NewRow) -> Result<(), Fault> {
    if tx.load(tenant, child.id).await?.is_some() {
        return Ok(());
    }
    let rate = child.rate.clone().map(Rate::never_full);
    let begins = match (take_of_rate(tx, tenant, rate).await?, &child.slot) {
        (Some(RateTurn::Later { begins_at, .. }), _) => Begins::At(begins_at),
        (_, Some(slot)) if slots::must_wait(tx, tenant, slot, 1).await?.is_some() => {
            Begins::WithItsSlot
        }
        _ => Begins::Now(None),
    };
    insert(tx, tenant, child, None, begins).await
}

/// Takes what one start takes of its rate, unless that refuses it.
async fn take_of_rate(
    tx: &Tx,
    tenant: &TenantId,
    rate: Option<Rate>,
) -> Result<Option<RateTurn>, Fault> {
    let Some(rate) = rate else { return Ok(None) };
    let turn = rates::turn(tx, tenant, &rate).await?;
    if let RateTurn::Now { full_at } | RateTurn::Later { full_at, .. } = turn {
        rates::keep(tx, tenant, &rate, full_at).await?;
    }
    Ok(Some(turn))
}

async fn insert(
    tx: &Tx,
    tenant: &TenantId,
    new: &NewRow,
    dedupe: Option<&DedupeKey>,
    begins: Begins,
) -> Result<(), Fault> {
    let n = tx.number().await?;
    let place = (tenant, new.id, new.workflow.as_str());
    let mut row = Row::new(n, place, new.plan, dedupe, tx.now);
    row.next_seq = 1 + new.count;
    match begins {
        Begins::Now(Some(request)) => row.lease_first(request, tx.now),
        Begins::Now(None) => {}
        Begins::WithItsSlot => row.wake_at = None,
        Begins::At(at) => (row.wake_at, row.begins_at) = (Some(at), Some(at)),
    }
    tx.pend(|pending| {
        pending.append(Batch {
            tenant: tenant.clone(),
            execution: n,
            first_seq: 1,
            count: new.count,
            epoch: 0,
            step: None,
            entries: new.entries.clone(),
        });
    });
    tx.insert(row, new.fresh(None));
    match (&new.slot, begins) {
        (Some(slot), Begins::Now(_) | Begins::WithItsSlot) => {
            slots::claim(tx, tenant, n, slot).await
        }
        _ => Ok(()),
    }
}

/// The execution that the key began, if the key is still remembered, and whether its input is that of
/// `new`.
pub(crate) async fn seen_key(
    tx: &Tx,
    tenant: &TenantId,
    new: &NewRow,
    key: Option<&DedupeKey>,
) -> Result<Option<(ExecutionId, bool)>, Fault> {
    let Some(key) = key else { return Ok(None) };
    let found = tx.key(tenant, &key.0).await?;
    Ok(found.map(|it| (it.id, new.fingerprint == Some(it.input))))
}

/// Remembers what the key has begun; until `expires`, if that has ended already.
pub(crate) fn remember_key(
    tx: &Tx,
    tenant: &TenantId,
    new: &NewRow,
    key: Option<&DedupeKey>,
    expires_at: Option<Timestamp>,
) {
    if let (Some(key), Some(input)) = (key, new.fingerprint) {
        let what = Remembered {
            id: new.id,
            input,
            expires_at,
        };
        tx.remember(tenant, &key.0, what);
    }
}

/// What an execution began with, and where it stands.
pub(crate) struct First {
    /// The step, if it came with the creation.
    pub(crate) step: Option<Uuid>,
    pub(crate) entries: Vec<u8>,
    pub(crate) next_seq: u64,
    pub(crate) inbox_head: u64,
}

/// What the execution began with, if there is one of this id.
pub(crate) async fn first_batch(
    tx: &Tx,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<Option<First>, Fault> {
    let Some(row) = tx.load(tenant, id).await? else {
        return Ok(None);
    };
    let sql = "SELECT coalesce(whole_step, step), coalesce(whole, entries)
        FROM executions LEFT JOIN journal ON execution = n AND first_seq = 1 WHERE n = $1";
    let found = tx.row(sql, params![row.n]).await?;
    let found = found.ok_or_else(|| Fault::corrupt("an execution that is locked is gone"))?;
    Ok(Some(First {
        step: found.try_get(0)?,
        entries: found.try_get(1)?,
        next_seq: row.next_seq,
        inbox_head: row.inbox_head,
    }))
}

/// Whether two journals that begin with these entries are of one workflow and input.
pub(crate) fn begins_alike(one: &[u8], other: &[u8]) -> Result<bool, Fault> {
    let print = |entries: &[u8]| {
        let entries = decode(entries).map_err(|e| Fault::corrupt(e.to_string()))?;
        Ok::<_, Fault>(started(&entries).ok().map(Started::fingerprint))
    };
    Ok(print(one)? == print(other)?)
}
