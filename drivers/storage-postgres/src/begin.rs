//! Executions that begin with their first step.

use nebula_ports::{Begun, DedupeKey, ExecutionRepo, Lease, LeaseRequest, Step};

use crate::{
    arrivals,
    create::{NewRow, begins_alike, check_labels, first_batch, remember_key, seen_key, started},
    error::Fault,
    pending::Batch,
    row::Row,
    step::{StoredStep, go_along, move_row},
    tx::Tx,
    work::Claims,
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
        let start = started(&step.entries)?;
        check_labels(&start.labels)?;
        let new = NewRow::of_start(lease.execution, start, with_fingerprint);
        let step = StoredStep::new(step)?;
        Ok(Self { new, step })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.step.bytes()
    }

    pub(crate) fn claims(&self, lease: &Lease, dedupe: Option<&DedupeKey>) -> Claims {
        let mut claims = self.step.claims(lease);
        let keys = dedupe.map(|key| (lease.tenant.clone(), key.0.clone()));
        claims.keys.extend(keys);
        claims
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.step.is_alone()
    }
}

/// Creates the execution with its first step, or finds the one that was there before; everything is
/// checked before anything is written.
pub(crate) async fn begin(
    tx: &Tx,
    lease: &Lease,
    dedupe: Option<&DedupeKey>,
    Beginning { new, step }: &Beginning,
) -> Result<Begun, Fault> {
    let (tenant, now) = (&lease.tenant, tx.now);
    let first = first_batch(tx, tenant, new.id).await?;
    if let Some(first) = first.as_ref().filter(|it| it.step == Some(step.id)) {
        return Ok(Begun::Replayed {
            next_seq: first.next_seq,
            inbox_head: first.inbox_head,
        });
    }
    if let Some((id, same_input)) = seen_key(tx, tenant, new, dedupe).await? {
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
    let n = tx.number().await?;
    let place = (tenant, new.id, new.workflow.as_str());
    let mut row = Row::new(n, place, new.plan, dedupe, now);
    let request = LeaseRequest {
        holder: lease.holder,
        ttl: lease.ttl,
    };
    row.lease_first(request, now);
    row.next_seq += step.count;
    move_row(now, &mut row, lease, step);
    let ended = row.status.is_terminal();
    let fresh = if ended {
        new.fresh(Some((step.id, step.entries.clone())))
    } else {
        tx.pend(|pending| {
            pending.append(Batch {
                tenant: tenant.clone(),
                execution: n,
                first_seq: 1,
                count: step.count,
                epoch: row.epoch,
                step: Some(step.id),
                entries: step.entries.clone(),
            });
        });
        new.fresh(None)
    };
    tx.insert(row, fresh);
    let expires = now.plus(<dyn ExecutionRepo>::DEDUPE_TTL);
    remember_key(tx, tenant, new, dedupe, ended.then_some(expires));
    if !step.is_plain() {
        go_along(tx, lease, n, step).await?;
    }
    let source = (new.id, new.workflow.as_str());
    arrivals::announce(tx, tenant, source, &step.announce).await?;
    let row = tx.known(n)?;
    Ok(Begun::Applied {
        next_seq: row.next_seq,
        inbox_head: row.inbox_head,
    })
}
