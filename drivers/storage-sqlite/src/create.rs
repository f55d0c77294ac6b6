//! Executions that begin.

use nebula_core::{Digest, ExecutionId, Labels, Priority, TenantId, Timestamp, WorkflowId};
use nebula_execution::{Entry, Fact, NewExecution, Started, TriggerMove, decode, encode};
use nebula_ports::{
    Created, DedupeKey, ExecutionRepo, Lease, LeaseRequest, Quotas, Rate, RateTurn, SlotClaim,
    Usage,
};
use rusqlite::{OptionalExtension, params};

use crate::{
    error::Fault,
    rates,
    row::{Row, number, stored},
    slots, sum, tenants, triggers,
    writer::Tx,
};

/// An execution in the form in which it is stored; made by the caller's thread, not by the writer.
#[derive(Debug)]
pub(crate) struct NewRow {
    pub(crate) id: ExecutionId,
    pub(crate) workflow: WorkflowId,
    pub(crate) version: u32,
    pub(crate) plan: Digest,
    count: u64,
    entries: Vec<u8>,
    fingerprint: Option<Digest>,
    /// What earlier builds remembered of the same input.
    earlier: Option<Digest>,
    slot: Option<SlotClaim>,
    max_waiting: u32,
    rate: Option<Rate>,
    trigger: Option<TriggerMove>,
    quotas: Quotas,
    /// The bucket of its tenant, if that has one.
    starts: Option<Rate>,
    pub(crate) priority: Priority,
    pub(crate) labels: Labels,
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
            earlier: with_fingerprint
                .then(|| started.earlier_fingerprint())
                .flatten(),
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

    /// Whether it starts with a slot: then its creation can change other executions.
    pub(crate) fn has_slot(&self) -> bool {
        self.slot.is_some()
    }
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
pub(crate) fn create(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    new: &NewRow,
    dedupe: Option<&DedupeKey>,
    lease: Option<LeaseRequest>,
) -> Result<Created, Fault> {
    if let Some((id, same_input)) = seen_key(tx, tenant, new, dedupe)? {
        return Ok(Created::Exists { id, same_input });
    }
    if let Some(first) = first_batch(tx, tenant, new.id)? {
        let (id, same_input) = (new.id, begins_alike(&first.entries, &new.entries)?);
        return Ok(Created::Exists { id, same_input });
    }
    if let Some(wanted) = &new.trigger
        && !triggers::is_at(tx, tenant, &new.workflow, wanted)?
    {
        return Ok(Created::Outdated);
    }
    if let Some(most) = new.quotas.executions {
        let used = Usage {
            executions: tenants::open(tx, tenant, most)?,
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
        Some(slot) => slots::must_wait(tx, tenant, slot, new.max_waiting)?,
        None => None,
    };
    if let Some(waiting) = ahead.filter(|waiting| *waiting >= new.max_waiting) {
        return Ok(Created::Full { waiting });
    }
    let start = match &new.starts {
        Some(starts) => match rates::turn(tx, tenant, starts)? {
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
    let later = match take_of_rate(tx, tenant, new.rate.clone())? {
        Some(RateTurn::Full { waiting, try_after }) => {
            return Ok(Created::Limited { waiting, try_after });
        }
        Some(RateTurn::Later {
            begins_at, ahead, ..
        }) => Some((begins_at, ahead)),
        Some(RateTurn::Now { .. }) | None => None,
    };
    if let Some((starts, full_at)) = start {
        rates::keep(tx, tenant, starts, full_at)?;
    }
    let begins = match (later, ahead) {
        (Some((begins_at, _)), _) => Begins::At(begins_at),
        (None, Some(_)) => Begins::WithItsSlot,
        (None, None) => Begins::Now(lease),
    };
    insert(tx, tenant, new, dedupe, begins)?;
    remember_key(tx, tenant, new, dedupe, None)?;
    if let Some(wanted) = &new.trigger {
        triggers::start(tx, tenant, &new.workflow, wanted, new.id)?;
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
pub(crate) fn create_child(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    child: &NewRow,
) -> Result<(), Fault> {
    let mut find = tx
        .connection
        .prepare_cached("SELECT 1 FROM executions WHERE tenant = ? AND id = ?")?;
    if find.exists(params![tenant.as_str(), child.id.as_bytes()])? {
        return Ok(());
    }
    drop(find);
    let rate = child.rate.clone().map(Rate::never_full);
    let begins = match (take_of_rate(tx, tenant, rate)?, &child.slot) {
        (Some(RateTurn::Later { begins_at, .. }), _) => Begins::At(begins_at),
        (_, Some(slot)) if slots::must_wait(tx, tenant, slot, 1)?.is_some() => Begins::WithItsSlot,
        _ => Begins::Now(None),
    };
    insert(tx, tenant, child, None, begins)
}

/// Takes what one start takes of its rate, unless that refuses it.
fn take_of_rate(
    tx: &Tx<'_>,
    tenant: &TenantId,
    rate: Option<Rate>,
) -> Result<Option<RateTurn>, Fault> {
    let Some(rate) = rate else { return Ok(None) };
    let turn = rates::turn(tx, tenant, &rate)?;
    if let RateTurn::Now { full_at } | RateTurn::Later { full_at, .. } = turn {
        rates::keep(tx, tenant, &rate, full_at)?;
    }
    Ok(Some(turn))
}

fn insert(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    new: &NewRow,
    dedupe: Option<&DedupeKey>,
    begins: Begins,
) -> Result<(), Fault> {
    let now = tx.now;
    let mut row = Row::new(new.plan, dedupe, now);
    row.next_seq = 1 + new.count;
    match begins {
        Begins::Now(Some(request)) => {
            tx.holders.register(request.holder);
            row.lease_first(request, now);
        }
        Begins::Now(None) => {}
        Begins::WithItsSlot => row.wake_at = None,
        Begins::At(at) => (row.wake_at, row.begins_at) = (Some(at), Some(at)),
    }
    row.insert(tx.connection, (tenant, new), None, now)?;
    let n = row.n;
    append(tx, n, 1, new.count, 0, None, &new.entries)?;
    tx.tally.created += 1;
    match (&new.slot, begins) {
        (Some(slot), Begins::Now(_) | Begins::WithItsSlot) => {
            slots::claim_start(tx, tenant, n, slot)
        }
        _ => Ok(()),
    }
}

/// Puts one batch of entries at the end of a journal.
pub(crate) fn append(
    tx: &Tx<'_>,
    n: i64,
    first: u64,
    count: u64,
    epoch: u64,
    step: Option<&[u8; 16]>,
    entries: &[u8],
) -> Result<(), Fault> {
    let mut append = tx.connection.prepare_cached(
        "INSERT INTO journal (execution, first_seq, count, epoch, step, entries, sum)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    let sum = sum::of(&batch_parts(
        &n.to_le_bytes(),
        &place(first, count, epoch),
        entries,
    ));
    let (first, count, epoch) = (stored(first)?, stored(count)?, stored(epoch)?);
    append.execute(params![n, first, count, epoch, step, entries, sum])?;
    Ok(())
}

/// Where a batch belongs in its journal, as its sum has it.
pub(crate) fn place(first: u64, count: u64, epoch: u64) -> [[u8; 8]; 3] {
    [first, count, epoch].map(u64::to_le_bytes)
}

/// What the sum of a batch is over; `whose` is the number of the execution, or in its own row, which has
/// none before it is written, its id.
pub(crate) fn batch_parts<'b>(
    whose: &'b [u8],
    place: &'b [[u8; 8]; 3],
    entries: &'b [u8],
) -> [&'b [u8]; 5] {
    let [first, count, epoch] = place;
    [whose, first, count, epoch, entries]
}

/// The execution that the key began, if the key is still remembered, and whether its input is that of
/// `new`.
pub(crate) fn seen_key(
    tx: &Tx<'_>,
    tenant: &TenantId,
    new: &NewRow,
    key: Option<&DedupeKey>,
) -> Result<Option<(ExecutionId, bool)>, Fault> {
    let Some(key) = key else { return Ok(None) };
    let mut find = tx.connection.prepare_cached(
        "SELECT id, input FROM dedupe
         WHERE tenant = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)",
    )?;
    let found = find
        .query_row(params![tenant.as_str(), key.0, tx.now.as_millis()], |row| {
            let input = Digest::from(row.get::<_, [u8; 32]>(1)?);
            let same_input = [new.fingerprint, new.earlier].contains(&Some(input));
            Ok((ExecutionId::from_bytes(row.get(0)?), same_input))
        })
        .optional()?;
    Ok(found)
}

/// Remembers what the key has begun; until `expires`, if that has ended already.
pub(crate) fn remember_key(
    tx: &Tx<'_>,
    tenant: &TenantId,
    new: &NewRow,
    key: Option<&DedupeKey>,
    expires: Option<Timestamp>,
) -> Result<(), Fault> {
    if let (Some(key), Some(fingerprint)) = (key, &new.fingerprint) {
        let mut remember = tx.connection.prepare_cached(
            "INSERT OR REPLACE INTO dedupe (tenant, key, id, input, expires_at)
             VALUES (?, ?, ?, ?, ?)",
        )?;
        let (id, input) = (new.id.as_bytes(), fingerprint.as_bytes());
        let expires = expires.map(Timestamp::as_millis);
        remember.execute(params![tenant.as_str(), key.0, id, input, expires])?;
    }
    Ok(())
}

/// What an execution began with, and where it stands.
pub(crate) struct First {
    /// The step, if it came with the creation.
    pub(crate) step: Option<[u8; 16]>,
    pub(crate) entries: Vec<u8>,
    pub(crate) next_seq: u64,
    pub(crate) inbox_head: u64,
}

/// What the execution began with, if there is one of this id.
pub(crate) fn first_batch(
    tx: &Tx<'_>,
    tenant: &TenantId,
    id: ExecutionId,
) -> Result<Option<First>, Fault> {
    let mut find = tx.connection.prepare_cached(
        "SELECT coalesce(whole_step, step), coalesce(whole, entries), next_seq, inbox_head
         FROM executions LEFT JOIN journal ON execution = n AND first_seq = 1
         WHERE tenant = ? AND id = ?",
    )?;
    let found = find
        .query_row(params![tenant.as_str(), id.as_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let first = found.map(|(step, entries, next_seq, inbox_head)| {
        Ok(First {
            step,
            entries,
            next_seq: number(next_seq)?,
            inbox_head: number(inbox_head)?,
        })
    });
    first.transpose()
}

/// Whether two journals that begin with these entries are of one workflow and input.
pub(crate) fn begins_alike(one: &[u8], other: &[u8]) -> Result<bool, Fault> {
    let print = |entries: &[u8]| {
        let entries = decode(entries).map_err(|e| Fault::corrupt(e.to_string()))?;
        Ok::<_, Fault>(started(&entries).ok().map(Started::fingerprint))
    };
    Ok(print(one)? == print(other)?)
}
