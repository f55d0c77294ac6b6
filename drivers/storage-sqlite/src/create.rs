//! Executions that begin.

use nebula_core::{Digest, ExecutionId, Priority, TenantId, Timestamp, WorkflowId, canonical_json};
use nebula_execution::{Entry, Fact, NewExecution, Started, Status, decode, encode};
use nebula_ports::{Created, DedupeKey, Lease, LeaseRequest, Rate, RateTurn, SlotClaim};
use rusqlite::{OptionalExtension, params};

use crate::{
    error::Fault,
    rates,
    row::{NEVER_RUNG, stored},
    slots, sum,
    writer::Tx,
};

/// An execution in the form in which it is stored; made by the caller's thread, not by the writer.
#[derive(Debug)]
pub(crate) struct NewRow {
    pub(crate) id: ExecutionId,
    workflow: WorkflowId,
    version: u32,
    plan: Digest,
    count: u64,
    entries: Vec<u8>,
    fingerprint: Option<Digest>,
    slot: Option<SlotClaim>,
    max_waiting: u32,
    rate: Option<Rate>,
    priority: Priority,
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
        let started = started(&new.entries).ok_or_else(|| {
            Fault::invalid("the first entry of a journal is not the execution's start")
        })?;
        let slot = new.slot.as_ref().map(SlotClaim::of_start).transpose();
        let rate = new.rate.as_ref().map(Rate::of_start).transpose();
        Ok(Self {
            id: new.id,
            workflow: new.workflow.clone(),
            version: new.version,
            plan: started.plan,
            count: new.entries.len() as u64,
            entries: encode(&new.entries),
            fingerprint: with_fingerprint.then(|| fingerprint(started)),
            slot: slot.map_err(|error| Fault::invalid(error.message))?,
            max_waiting: new.slot.as_ref().map_or(0, |slot| slot.max_waiting),
            priority: started.priority,
            rate: rate.map_err(|error| Fault::invalid(error.message))?,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.len()
    }

    /// Whether it starts with a slot: then its creation can change other executions.
    pub(crate) fn has_slot(&self) -> bool {
        self.slot.is_some()
    }
}

fn started(entries: &[Entry]) -> Option<&Started> {
    match &entries.first()?.fact {
        Fact::ExecutionStarted(started) => Some(started),
        _ => None,
    }
}

/// What two executions with the same workflow and input have in common.
fn fingerprint(started: &Started) -> Digest {
    let input = canonical_json(&started.input);
    Digest::of_parts(&[started.workflow.as_str().as_bytes(), input.as_bytes()])
}

/// Creates the execution, or finds the one that was there before.
pub(crate) fn create(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    new: &NewRow,
    dedupe: Option<&DedupeKey>,
    lease: Option<LeaseRequest>,
) -> Result<Created, Fault> {
    if let Some((id, found)) = dedupe
        .map(|key| seen(tx, tenant, key))
        .transpose()?
        .flatten()
    {
        let same_input = new.fingerprint == Some(found);
        return Ok(Created::Exists { id, same_input });
    }
    if let Some(first) = first_batch(tx, tenant, new.id)? {
        let first = decode(&first).map_err(|e| Fault::corrupt(e.to_string()))?;
        let own = decode(&new.entries).map_err(|e| Fault::corrupt(e.to_string()))?;
        let same_input = started(&first).map(fingerprint) == started(&own).map(fingerprint);
        return Ok(Created::Exists {
            id: new.id,
            same_input,
        });
    }
    let ahead = match &new.slot {
        Some(slot) => slots::must_wait(tx, tenant, slot, new.max_waiting)?,
        None => None,
    };
    if let Some(waiting) = ahead.filter(|waiting| *waiting >= new.max_waiting) {
        return Ok(Created::Full { waiting });
    }
    let later = match take_of_rate(tx, tenant, new.rate.clone())? {
        Some(RateTurn::Full { waiting, try_after }) => {
            return Ok(Created::Limited { waiting, try_after });
        }
        Some(RateTurn::Later {
            begins_at, ahead, ..
        }) => Some((begins_at, ahead)),
        Some(RateTurn::Now { .. }) | None => None,
    };
    let begins = match (later, ahead) {
        (Some((begins_at, _)), _) => Begins::At(begins_at),
        (None, Some(_)) => Begins::WithItsSlot,
        (None, None) => Begins::Now(lease),
    };
    insert(tx, tenant, new, dedupe, begins)?;
    if let (Some(key), Some(fingerprint)) = (dedupe, &new.fingerprint) {
        let mut remember = tx.connection.prepare_cached(
            "INSERT OR REPLACE INTO dedupe (tenant, key, id, input, expires_at)
             VALUES (?, ?, ?, ?, NULL)",
        )?;
        let (id, input) = (new.id.as_bytes(), fingerprint.as_bytes());
        remember.execute(params![tenant.as_str(), key.0, id, input])?;
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
        epoch: 1,
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
    let (lease, wake_at) = match begins {
        Begins::Now(lease) => (lease, Some(now)),
        Begins::WithItsSlot => (None, None),
        Begins::At(at) => (None, Some(at)),
    };
    if let Some(wanted) = lease {
        tx.holders.register(wanted.holder);
    }
    let until = lease.map(|wanted| now.plus(wanted.ttl));
    let status = if lease.is_some() {
        Status::Running
    } else {
        Status::Queued
    };
    let granted = i64::from(lease.is_some());
    let mut insert = tx.connection.prepare_cached(
        "INSERT INTO executions (tenant, id, workflow, version, plan, created_at, updated_at,
            status, epoch, holder, lease_until, next_seq, inbox_head, inbox_through, wake_at,
            rung_at, ring_key, grants, empties, dedupe, begins_at,
            priority)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10, ?11, 0, 0, ?15, ?12, ?13, ?8, 0, ?14,
            ?16, ?17)",
    )?;
    insert.execute(params![
        tenant.as_str(),
        new.id.as_bytes(),
        new.workflow.as_str(),
        new.version,
        new.plan.as_bytes(),
        now.as_millis(),
        status as u8,
        granted,
        lease.as_ref().map(|wanted| wanted.holder.0.as_bytes()),
        until.map(Timestamp::as_millis),
        stored(new.count + 1)?,
        NEVER_RUNG,
        until.or(wake_at).map(Timestamp::as_millis),
        dedupe.map(|key| key.0.as_str()),
        wake_at.map(Timestamp::as_millis),
        match begins {
            Begins::At(at) => Some(at.as_millis()),
            Begins::Now(_) | Begins::WithItsSlot => None,
        },
        new.priority.number(),
    ])?;
    let n = tx.connection.last_insert_rowid();
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
    let sum = sum::of(&batch_parts(&place(n, first, count, epoch), entries));
    let (first, count, epoch) = (stored(first)?, stored(count)?, stored(epoch)?);
    append.execute(params![n, first, count, epoch, step, entries, sum])?;
    Ok(())
}

/// Where a batch belongs, as its sum has it.
pub(crate) fn place(n: i64, first: u64, count: u64, epoch: u64) -> [[u8; 8]; 4] {
    let [first, count, epoch] = [first, count, epoch].map(u64::to_le_bytes);
    [n.to_le_bytes(), first, count, epoch]
}

/// What the sum of a batch is over.
pub(crate) fn batch_parts<'b>(place: &'b [[u8; 8]; 4], entries: &'b [u8]) -> [&'b [u8]; 5] {
    let [n, first, count, epoch] = place;
    [n, first, count, epoch, entries]
}

/// The execution that the key began, if the key is still remembered.
fn seen(
    tx: &Tx<'_>,
    tenant: &TenantId,
    key: &DedupeKey,
) -> Result<Option<(ExecutionId, Digest)>, Fault> {
    let mut find = tx.connection.prepare_cached(
        "SELECT id, input FROM dedupe
         WHERE tenant = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)",
    )?;
    let found = find
        .query_row(params![tenant.as_str(), key.0, tx.now.as_millis()], |row| {
            Ok((
                ExecutionId::from_bytes(row.get(0)?),
                Digest::from(row.get::<_, [u8; 32]>(1)?),
            ))
        })
        .optional()?;
    Ok(found)
}

fn first_batch(tx: &Tx<'_>, tenant: &TenantId, id: ExecutionId) -> Result<Option<Vec<u8>>, Fault> {
    let mut find = tx.connection.prepare_cached(
        "SELECT entries FROM executions JOIN journal ON execution = n AND first_seq = 1
         WHERE tenant = ? AND id = ?",
    )?;
    let found = find
        .query_row(params![tenant.as_str(), id.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(found)
}
