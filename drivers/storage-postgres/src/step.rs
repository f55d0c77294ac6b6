//! One step: all its checks, then all its writes.

use nebula_core::{ExecutionId, Timestamp};
use nebula_execution::{Status, encode};
use nebula_ports::{
    Announcement, ExecutionRepo, Lease, SlotChanges, Snapshot, Step, Stepped, WaitToken,
};
use nebula_postgres::params;
use uuid::Uuid;

use crate::{
    arrivals,
    create::{NewRow, create_child},
    error::Fault,
    inbox::{self, NewItem},
    pending::Batch,
    row::{Held, Row, stored},
    slots::{self, Has},
    tx::Tx,
    work::Claims,
};

/// A step in the form in which it is stored; made by the caller's thread.
#[derive(Debug)]
pub(crate) struct StoredStep {
    pub(crate) id: Uuid,
    pub(crate) expected_seq: u64,
    pub(crate) count: u64,
    pub(crate) entries: Vec<u8>,
    to: Option<Status>,
    wake_at: Option<Timestamp>,
    pub(crate) inbox_through: u64,
    waits_opened: Vec<WaitToken>,
    waits_closed: Vec<WaitToken>,
    children: Vec<NewRow>,
    deliver: Vec<(ExecutionId, NewItem)>,
    pub(crate) announce: Vec<Announcement>,
    slots: SlotChanges,
    snapshot: Option<Snapshot>,
    release: bool,
}

impl StoredStep {
    /// Encodes `step`.
    ///
    /// # Errors
    /// `Invalid`: the step contradicts itself, whatever is stored.
    pub(crate) fn new(step: Step) -> Result<Self, Fault> {
        check_shape(&step)?;
        let children = step.children.iter().map(|child| NewRow::new(child, false));
        let deliver = step.deliver.into_iter().map(|delivery| {
            let item = NewItem::new(delivery.kind, &delivery.payload, delivery.dedupe)?;
            Ok((delivery.to, item))
        });
        Ok(Self {
            id: step.id.0,
            expected_seq: step.expected_seq,
            count: step.entries.len() as u64,
            entries: if step.entries.is_empty() {
                Vec::new()
            } else {
                encode(&step.entries)
            },
            to: step.to,
            wake_at: step.wake_at,
            inbox_through: step.inbox_through,
            waits_opened: step.waits_opened,
            waits_closed: step.waits_closed,
            children: children.collect::<Result<_, _>>()?,
            deliver: deliver.collect::<Result<_, Fault>>()?,
            announce: step.announce,
            slots: step.slots,
            snapshot: step.snapshot,
            release: step.release,
        })
    }

    /// Whether nothing but journal and row moves with it; beside that, the end of an execution takes
    /// what stands elsewhere.
    pub(crate) fn is_plain(&self) -> bool {
        self.waits_opened.is_empty()
            && self.waits_closed.is_empty()
            && self.children.is_empty()
            && self.deliver.is_empty()
            && self.slots.is_empty()
            && self.snapshot.is_none()
    }

    /// Whether what it waits for can be long: then it has a transaction of its own.
    pub(crate) fn is_alone(&self) -> bool {
        !self.slots.is_empty() || self.children.iter().any(NewRow::is_alone)
    }

    /// Everything that the step brings along.
    pub(crate) fn bytes(&self) -> usize {
        let children: usize = self.children.iter().map(NewRow::bytes).sum();
        let deliver: usize = self.deliver.iter().map(|(_, item)| item.bytes()).sum();
        let snapshot = self
            .snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.state.len());
        self.entries.len() + children + deliver + slots::bytes(&self.slots) + snapshot
    }

    /// What it looks at.
    pub(crate) fn claims(&self, lease: &Lease) -> Claims {
        let tenant = &lease.tenant;
        let children = self.children.iter().map(|child| child.id);
        let to = self.deliver.iter().map(|(to, _)| *to);
        let rows = children.chain(to).chain([lease.execution]);
        Claims {
            rows: rows.map(|id| (tenant.clone(), id)).collect(),
            keys: Vec::new(),
            items: (self.deliver.iter())
                .map(|(to, item)| (tenant.clone(), *to, item.dedupe.clone()))
                .collect(),
        }
    }
}

fn check_shape(step: &Step) -> Result<(), Fault> {
    let ends = step.to.is_some_and(Status::is_terminal);
    let (last, before) = match step.entries.split_last() {
        Some((last, before)) => (last.fact.is_terminal(), before),
        None => (false, &[][..]),
    };
    if step.expected_seq == 0 {
        return Err(Fault::invalid(
            "the first entry of a journal has the number 1",
        ));
    }
    if ends != last {
        return Err(Fault::invalid(
            "a terminal status and a terminal last entry need each other",
        ));
    }
    if before.iter().any(|entry| entry.fact.is_terminal()) {
        return Err(Fault::invalid(
            "a terminal entry is not the last of its step",
        ));
    }
    slots::check(&step.slots)
}

/// Applies a step, or says why not; everything is checked before anything is written.
pub(crate) async fn step(tx: &Tx, lease: &Lease, step: &StoredStep) -> Result<Stepped, Fault> {
    let (tenant, id) = (&lease.tenant, lease.execution);
    let Some(mut row) = tx.load(tenant, id).await? else {
        return Err(Fault::invalid(format!("there is no execution {id}")));
    };
    if let Some(refused) = refusal(tx, &row, lease, step).await? {
        return Ok(refused);
    }
    if step.inbox_through > row.inbox_head || step.inbox_through < row.inbox_through {
        return Err(Fault::invalid(format!(
            "the inbox was read to {} and has {} items; it cannot be read to {} now",
            row.inbox_through, row.inbox_head, step.inbox_through
        )));
    }
    write_journal(tx, &mut row, step);
    let before = row.status;
    move_row(tx.now, &mut row, lease, step);
    if step.count == 0 && row.status != before {
        tx.pend(|pending| pending.status_moved(tenant, row.n));
    }
    let (n, workflow) = (row.n, row.workflow.clone());
    tx.store(row);
    go_along(tx, lease, n, step).await?;
    arrivals::announce(tx, tenant, (id, &workflow), &step.announce).await?;
    let row = tx.known(n)?;
    Ok(Stepped::Applied {
        next_seq: row.next_seq,
        inbox_head: row.inbox_head,
    })
}

/// Does what goes along with a step beside its journal; its row is stored.
pub(crate) async fn go_along(
    tx: &Tx,
    lease: &Lease,
    n: i64,
    step: &StoredStep,
) -> Result<(), Fault> {
    let tenant = &lease.tenant;
    write_beside(tx, n, step)?;
    for child in &step.children {
        create_child(tx, tenant, child).await?;
    }
    for (to, item) in &step.deliver {
        let _ = inbox::signal(tx, tenant, *to, item).await?;
    }
    let row = tx.known(n)?;
    if !step.slots.is_empty() || (row.status.is_terminal() && row.slots > Has::Nothing) {
        slots::change(tx, tenant, n, &step.slots).await?;
    }
    let mut row = tx.known(n)?;
    if row.inbox_through < row.inbox_head && !row.status.is_terminal() {
        row.wake(tx.now);
        tx.store(row);
    }
    Ok(())
}

/// The checks, in the port's order: replayed, terminal, fenced, conflict.
async fn refusal(
    tx: &Tx,
    row: &Row,
    lease: &Lease,
    step: &StoredStep,
) -> Result<Option<Stepped>, Fault> {
    let (next_seq, inbox_head) = (row.next_seq, row.inbox_head);
    Ok(if is_stored(tx, row, step).await? {
        Some(Stepped::Replayed {
            next_seq,
            inbox_head,
        })
    } else if row.status.is_terminal() {
        Some(Stepped::Terminal(row.status))
    } else if row.epoch != lease.epoch || row.lease.is_none() {
        Some(Stepped::Fenced { current: row.epoch })
    } else if step.expected_seq != next_seq {
        Some(Stepped::Conflict { actual: next_seq })
    } else {
        None
    })
}

/// Whether this very step was applied at this place. Costs nothing where the place is the
/// journal's end and no step without entries is stored there.
async fn is_stored(tx: &Tx, row: &Row, step: &StoredStep) -> Result<bool, Fault> {
    if step.expected_seq > row.next_seq || (step.expected_seq == row.next_seq && row.empties == 0) {
        return Ok(false);
    }
    let sql = "SELECT 1 FROM journal WHERE execution = $1 AND first_seq = $2 AND step = $3
        UNION ALL SELECT 1 FROM executions WHERE n = $1 AND $2 = 1 AND whole_step = $3
        UNION ALL SELECT 1 FROM empty_steps WHERE execution = $1 AND seq = $2 AND step = $3";
    let place = stored(step.expected_seq)?;
    let found = tx.row(sql, params![row.n, place, step.id]).await?;
    Ok(found.is_some())
}

fn write_journal(tx: &Tx, row: &mut Row, step: &StoredStep) {
    if step.count > 0 {
        tx.pend(|pending| {
            pending.append(Batch {
                tenant: row.tenant.clone(),
                execution: row.n,
                first_seq: row.next_seq,
                count: step.count,
                epoch: row.epoch,
                step: Some(step.id),
                entries: step.entries.clone(),
            });
        });
        row.next_seq += step.count;
        row.empties = 0;
    } else {
        tx.pend(|pending| pending.empty_step(&row.tenant, row.n, row.next_seq, step.id));
        row.empties += 1;
    }
}

/// Moves what belongs to the execution itself.
pub(crate) fn move_row(now: Timestamp, row: &mut Row, lease: &Lease, step: &StoredStep) {
    let before = row.status;
    row.status = step.to.unwrap_or(before);
    let ended = row.status.is_terminal();
    row.updated_at = now;
    row.wake_at = step.wake_at.filter(|_| !ended);
    row.inbox_through = step.inbox_through;
    row.lease = match row.lease {
        Some(held) if !step.release && !ended => Some(Held {
            until: now.plus(lease.ttl),
            ..held
        }),
        _ => None,
    };
    if step.count > 0 || row.status != before {
        row.grants = 0;
    }
}

/// Snapshot, waits and the time of the dedupe key.
fn write_beside(tx: &Tx, n: i64, step: &StoredStep) -> Result<(), Fault> {
    let mut row = tx.known(n)?;
    let (had_snapshot, had_waits) = (row.has_snapshot, row.has_waits);
    tx.pend(|pending| {
        if let Some(snapshot) = &step.snapshot {
            pending.snapshot(
                &row.tenant,
                n,
                snapshot.through,
                std::sync::Arc::clone(&snapshot.state),
            );
            row.has_snapshot = true;
        }
        for token in &step.waits_opened {
            pending.wait(&row.tenant, token.0.as_bytes().to_vec(), Some(n));
            row.has_waits = true;
        }
        for token in &step.waits_closed {
            pending.wait(&row.tenant, token.0.as_bytes().to_vec(), None);
        }
        if row.status.is_terminal() {
            if row.has_waits {
                pending.no_waits(n);
                row.has_waits = false;
            }
            if let Some(key) = &row.dedupe {
                let at = tx.now.plus(<dyn ExecutionRepo>::DEDUPE_TTL);
                pending.expiring(&row.tenant, key, row.id, at);
            }
        }
    });
    if (row.has_snapshot, row.has_waits) != (had_snapshot, had_waits) {
        tx.store(row);
    }
    Ok(())
}
