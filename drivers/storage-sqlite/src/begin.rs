//! Executions that begin with their first step.

use nebula_ports::{Begun, DedupeKey, ExecutionRepo, Lease, LeaseRequest, Step};

use crate::{
    arrivals,
    create::{
        NewRow, append, batch_parts, begins_alike, first_batch, place, remember_key, seen_key,
        started,
    },
    error::Fault,
    row::{Row, Whole},
    step::{StoredStep, go_along, move_row},
    sum,
    writer::Tx,
};

/// A creation and its first step in the form in which they are stored; made by the caller's thread.
#[derive(Debug)]
pub(crate) struct Beginning {
    new: NewRow,
    step: StoredStep,
}

impl Beginning {
    /// Encodes `step`, which begins with the start; `with_fingerprint` where a dedupe key is to
    /// remember the input.
    ///
    /// # Errors
    /// `Invalid`: it is none, or contradicts itself, whatever is stored.
    pub(crate) fn new(lease: &Lease, step: Step, with_fingerprint: bool) -> Result<Self, Fault> {
        if lease.epoch != <dyn ExecutionRepo>::FIRST_EPOCH {
            return Err(Fault::invalid(format!(
                "an execution begins under its first lease, and epoch {} is a later one",
                lease.epoch
            )));
        }
        if step.expected_seq != 1 {
            return Err(Fault::invalid(format!(
                "an execution begins at place 1, not at {}",
                step.expected_seq
            )));
        }
        let new = NewRow::of_start(lease.execution, started(&step.entries)?, with_fingerprint);
        let step = StoredStep::new(step)?;
        Ok(Self { new, step })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.step.bytes()
    }
}

/// Creates the execution with its first step, or finds the one that was there before; everything is
/// checked before anything is written.
pub(crate) fn begin(
    tx: &mut Tx<'_>,
    lease: &Lease,
    dedupe: Option<&DedupeKey>,
    Beginning { new, step }: &Beginning,
) -> Result<Begun, Fault> {
    let (tenant, now) = (&lease.tenant, tx.now);
    let first = first_batch(tx, tenant, new.id)?;
    if let Some(first) = first.as_ref().filter(|it| it.step == Some(step.id)) {
        return Ok(Begun::Replayed {
            next_seq: first.next_seq,
            inbox_head: first.inbox_head,
        });
    }
    if let Some((id, same_input)) = seen_key(tx, tenant, new, dedupe)? {
        return Ok(Begun::Exists { id, same_input });
    }
    if let Some(first) = first {
        let same_input = begins_alike(&first.entries, &step.entries)?;
        let id = new.id;
        return Ok(Begun::Exists { id, same_input });
    }
    if step.inbox_through > 0 {
        return Err(Fault::invalid(format!(
            "the inbox of an execution that begins is empty; it cannot be read to {}",
            step.inbox_through
        )));
    }
    // Its row is written once, as the step leaves it.
    let mut row = Row::new(new.plan, dedupe, now);
    let request = LeaseRequest {
        holder: lease.holder,
        ttl: lease.ttl,
    };
    row.lease_first(request, now);
    row.next_seq += step.count;
    move_row(now, &mut row, lease, step);
    if row.lease.is_some() {
        tx.holders.register(lease.holder);
    }
    let (epoch, entries) = (row.epoch, &step.entries);
    if row.status.is_terminal() {
        let place = place(1, step.count, epoch);
        let whole = Whole {
            step: &step.id,
            entries,
            sum: sum::of(&batch_parts(new.id.as_bytes(), &place, entries)),
        };
        row.insert(tx.connection, (tenant, new), Some(whole), now)?;
    } else {
        row.insert(tx.connection, (tenant, new), None, now)?;
        append(tx, row.n, 1, step.count, epoch, Some(&step.id), entries)?;
    }
    let expires = now.plus(<dyn ExecutionRepo>::DEDUPE_TTL);
    let expires = row.status.is_terminal().then_some(expires);
    remember_key(tx, tenant, new, dedupe, expires)?;
    if !step.is_plain() {
        row = go_along(tx, lease, row, step)?;
        row.store(tx.connection, now)?;
    }
    arrivals::announce(tx, tenant, (new.id, row.n), &step.announce)?;
    tx.tally.created += 1;
    tx.tally.steps += 1;
    Ok(Begun::Applied {
        next_seq: row.next_seq,
        inbox_head: row.inbox_head,
    })
}
