//! One step: all its checks, then all its writes.

use nebula_core::{ExecutionId, TenantId, Timestamp};
use nebula_execution::{Status, encode};
use nebula_ports::{
    Announcement, ExecutionRepo, Lease, SlotChanges, Snapshot, Step, Stepped, WaitToken,
};
use rusqlite::{MAIN_DB, blob::ZeroBlob, params};

use crate::{
    arrivals, changes,
    create::{NewRow, append, create_child},
    error::Fault,
    inbox::{self, NewItem},
    row::{Held, Row, stored},
    slots::{self, Has},
    sum,
    writer::Tx,
};

/// The most bytes of a snapshot that are written at once.
const SNAPSHOT_PART_BYTES: usize = 1 << 20;

/// A step in the form in which it is stored; made by the caller's thread, not by the writer.
#[derive(Debug)]
pub(crate) struct StoredStep {
    pub(crate) id: [u8; 16],
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
            id: *step.id.0.as_bytes(),
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
pub(crate) fn step(tx: &mut Tx<'_>, lease: &Lease, step: &StoredStep) -> Result<Stepped, Fault> {
    let (tenant, id) = (&lease.tenant, lease.execution);
    let Some(mut row) = Row::load(tx.connection, tenant, id)? else {
        return Err(Fault::invalid(format!("there is no execution {id}")));
    };
    if let Some(refused) = refusal(tx, &row, lease, step)? {
        return Ok(refused);
    }
    if step.inbox_through > row.inbox_head || step.inbox_through < row.inbox_through {
        return Err(Fault::invalid(format!(
            "the inbox was read to {} and has {} items; it cannot be read to {} now",
            row.inbox_through, row.inbox_head, step.inbox_through
        )));
    }
    write_journal(tx, &mut row, step)?;
    let before = row.status;
    move_row(tx.now, &mut row, lease, step);
    if step.count == 0 && row.status != before {
        changes::status_moved(tx, row.n)?;
    }
    let row = go_along(tx, lease, row, step)?;
    row.store(tx.connection, tx.now)?;
    arrivals::announce(tx, tenant, (id, row.n), &step.announce)?;
    tx.tally.steps += 1;
    Ok(Stepped::Applied {
        next_seq: row.next_seq,
        inbox_head: row.inbox_head,
    })
}

/// Does what goes along with a step beside its journal, and gives its row, which the caller stores.
pub(crate) fn go_along(
    tx: &mut Tx<'_>,
    lease: &Lease,
    mut row: Row,
    step: &StoredStep,
) -> Result<Row, Fault> {
    let (tenant, id) = (&lease.tenant, lease.execution);
    write_beside(tx, &row, tenant, step)?;
    if step.children.iter().any(NewRow::has_slot) {
        // Their claims can change this row, too, so it is not only in hand.
        row.store(tx.connection, tx.now)?;
        for child in &step.children {
            create_child(tx, tenant, child)?;
        }
        row = Row::load(tx.connection, tenant, id)?
            .ok_or_else(|| Fault::corrupt("the row of a step has gone"))?;
    } else {
        for child in &step.children {
            create_child(tx, tenant, child)?;
        }
    }
    for (to, item) in &step.deliver {
        // Its own row is in hand; one loaded again would be overwritten below.
        let _ = if *to == id {
            inbox::put(tx, &mut row, item)?
        } else {
            inbox::signal(tx, tenant, *to, item)?
        };
    }
    if !step.slots.is_empty() || (row.status.is_terminal() && row.slots > Has::Nothing) {
        slots::change(tx, tenant, &mut row, &step.slots)?;
    }
    if row.inbox_through < row.inbox_head && !row.status.is_terminal() {
        row.wake(tx.now);
    }
    Ok(row)
}

/// The checks, in the port's order: replayed, terminal, fenced, conflict.
fn refusal(
    tx: &Tx<'_>,
    row: &Row,
    lease: &Lease,
    step: &StoredStep,
) -> Result<Option<Stepped>, Fault> {
    let (next_seq, inbox_head) = (row.next_seq, row.inbox_head);
    Ok(if is_stored(tx, row, step)? {
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
fn is_stored(tx: &Tx<'_>, row: &Row, step: &StoredStep) -> Result<bool, Fault> {
    if step.expected_seq > row.next_seq || (step.expected_seq == row.next_seq && row.empties == 0) {
        return Ok(false);
    }
    let place = stored(step.expected_seq)?;
    let mut journal = tx.connection.prepare_cached(
        "SELECT 1 FROM journal WHERE execution = ?1 AND first_seq = ?2 AND step = ?3
         UNION ALL SELECT 1 FROM executions WHERE n = ?1 AND 1 = ?2 AND whole_step = ?3",
    )?;
    if journal.exists(params![row.n, place, step.id])? {
        return Ok(true);
    }
    let mut empty = tx
        .connection
        .prepare_cached("SELECT 1 FROM empty_steps WHERE execution = ? AND seq = ? AND step = ?")?;
    Ok(empty.exists(params![row.n, place, step.id])?)
}

fn write_journal(tx: &Tx<'_>, row: &mut Row, step: &StoredStep) -> Result<(), Fault> {
    if step.count > 0 {
        append(
            tx,
            row.n,
            row.next_seq,
            step.count,
            row.epoch,
            Some(&step.id),
            &step.entries,
        )?;
        row.next_seq += step.count;
        row.empties = 0;
    } else {
        let mut insert = tx
            .connection
            .prepare_cached("INSERT INTO empty_steps (execution, seq, step) VALUES (?, ?, ?)")?;
        insert.execute(params![row.n, stored(row.next_seq)?, step.id])?;
        row.empties += 1;
    }
    Ok(())
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
fn write_beside(tx: &Tx<'_>, row: &Row, tenant: &TenantId, step: &StoredStep) -> Result<(), Fault> {
    if let Some(snapshot) = &step.snapshot {
        put_snapshot(tx, row, snapshot)?;
    }
    for token in &step.waits_opened {
        let mut open = tx.connection.prepare_cached(
            "INSERT OR REPLACE INTO waits (tenant, token, execution) VALUES (?, ?, ?)",
        )?;
        open.execute(params![tenant.as_str(), token.0.as_bytes(), row.n])?;
    }
    for token in &step.waits_closed {
        let mut close = tx
            .connection
            .prepare_cached("DELETE FROM waits WHERE tenant = ? AND token = ?")?;
        close.execute(params![tenant.as_str(), token.0.as_bytes()])?;
    }
    if row.status.is_terminal() {
        let mut close = tx
            .connection
            .prepare_cached("DELETE FROM waits WHERE execution = ?")?;
        close.execute([row.n])?;
        if let Some(key) = &row.dedupe {
            let mut end = tx.connection.prepare_cached(
                "UPDATE dedupe SET expires_at = ?4 WHERE tenant = ?1 AND key = ?2
                 AND id = (SELECT id FROM executions WHERE n = ?3)",
            )?;
            let expires = tx.now.plus(<dyn ExecutionRepo>::DEDUPE_TTL);
            end.execute(params![tenant.as_str(), key, row.n, expires.as_millis()])?;
        }
    }
    Ok(())
}

/// A large state is written in parts: SQLite copies what is bound to a statement, and again into the
/// row that it makes of it.
fn put_snapshot(tx: &Tx<'_>, row: &Row, snapshot: &Snapshot) -> Result<(), Fault> {
    let mut put = tx.connection.prepare_cached(
        "INSERT OR REPLACE INTO snapshots (execution, through, state, sum) VALUES (?, ?, ?, ?)",
    )?;
    let (through, state) = (stored(snapshot.through)?, snapshot.state.as_slice());
    let place = [row.n, through].map(i64::to_le_bytes);
    let sum = sum::of(&[&place[0], &place[1], state]);
    let room = i32::try_from(state.len()).ok().map(ZeroBlob);
    let Some(room) = room.filter(|_| state.len() > SNAPSHOT_PART_BYTES) else {
        put.execute(params![row.n, through, state, sum])?;
        return Ok(());
    };
    put.execute(params![row.n, through, room, sum])?;
    let mut blob = tx
        .connection
        .blob_open(MAIN_DB, c"snapshots", c"state", row.n, false)?;
    for (number, part) in state.chunks(SNAPSHOT_PART_BYTES).enumerate() {
        blob.write_at(part, number * SNAPSHOT_PART_BYTES)?;
    }
    blob.close()?;
    Ok(())
}
