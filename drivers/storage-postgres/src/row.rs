//! One execution's row: what a write compares and moves, and when it is due.

use nebula_core::{Digest, ExecutionId, Group, Labels, Priority, TenantId, Timestamp};
use nebula_execution::Status;
use nebula_ports::{DedupeKey, ExecutionRepo, Incarnation, LeaseRequest};
use nebula_postgres::Row as SqlRow;
use uuid::Uuid;

use crate::{error::Fault, slots::Has};

/// Stands for "never rung": before every moment that a clock shows.
pub(crate) const NEVER_RUNG: i64 = -1;

/// A lease that was not given back; it may have expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) holder: Incarnation,
    pub(crate) until: Timestamp,
}

/// The columns of `executions` that writes compare and move.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) n: i64,
    pub(crate) tenant: TenantId,
    pub(crate) id: ExecutionId,
    pub(crate) workflow: String,
    pub(crate) plan: Digest,
    pub(crate) updated_at: Timestamp,
    pub(crate) status: Status,
    pub(crate) epoch: u64,
    pub(crate) lease: Option<Held>,
    pub(crate) next_seq: u64,
    pub(crate) inbox_head: u64,
    pub(crate) inbox_through: u64,
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) rung_at: i64,
    /// Grants since the last progress.
    pub(crate) grants: u32,
    /// Steps without entries that are stored at `next_seq`.
    pub(crate) empties: u64,
    /// The dedupe key that began it.
    pub(crate) dedupe: Option<String>,
    /// Whether it has or wants slots.
    pub(crate) slots: Has,
    /// When its rate lets it begin.
    pub(crate) begins_at: Option<Timestamp>,
    /// Whether there is a snapshot of it.
    pub(crate) has_snapshot: bool,
    /// Whether there may be wait tokens of it.
    pub(crate) has_waits: bool,
    /// The version that it was moved to by this transaction.
    pub(crate) moved_to: Option<u32>,
}

/// What is written of an execution once, when it is created.
#[derive(Debug, Clone)]
pub(crate) struct Fresh {
    pub(crate) version: u32,
    pub(crate) priority: Priority,
    pub(crate) labels: Labels,
    /// Its whole journal with the step that brought it, if it began and ended in one.
    pub(crate) whole: Option<(Uuid, Vec<u8>)>,
}

/// What [`Row::read`] reads, of `executions AS e`.
pub(crate) const COLUMNS: &str = "e.n, e.tenant, e.id, e.workflow, e.plan, e.updated_at, e.status, e.epoch,
    e.holder, e.lease_until, e.next_seq, e.inbox_head, e.inbox_through, e.wake_at, e.rung_at, e.grants,
    e.empties, e.dedupe, e.slots, e.begins_at, e.has_snapshot, e.has_waits";

impl Row {
    /// The row of an execution that is created now: queued, due at once, with nothing in its journal.
    pub(crate) fn new(
        n: i64,
        (tenant, id, workflow): (&TenantId, ExecutionId, &str),
        plan: Digest,
        dedupe: Option<&DedupeKey>,
        now: Timestamp,
    ) -> Self {
        Self {
            n,
            tenant: tenant.clone(),
            id,
            workflow: workflow.to_owned(),
            plan,
            updated_at: now,
            status: Status::Queued,
            epoch: 0,
            lease: None,
            next_seq: 1,
            inbox_head: 0,
            inbox_through: 0,
            wake_at: Some(now),
            rung_at: NEVER_RUNG,
            grants: 0,
            empties: 0,
            dedupe: dedupe.map(|key| key.0.clone()),
            slots: Has::Nothing,
            begins_at: None,
            has_snapshot: false,
            has_waits: false,
            moved_to: None,
        }
    }

    /// Leases a row to its creator.
    pub(crate) fn lease_first(&mut self, request: LeaseRequest, now: Timestamp) {
        self.epoch = <dyn ExecutionRepo>::FIRST_EPOCH;
        self.status = Status::Running;
        self.grants = 1;
        self.lease = Some(Held {
            holder: request.holder,
            until: now.plus(request.ttl),
        });
    }

    pub(crate) fn read(row: &SqlRow) -> Result<Self, Fault> {
        let lease = match (row.try_get(8)?, row.try_get(9)?) {
            (Some(holder), Some(until)) => Some(Held {
                holder: Incarnation(holder),
                until: Timestamp::from_millis(until),
            }),
            _ => None,
        };
        let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
        Ok(Self {
            n: row.try_get(0)?,
            tenant: tenant(row.try_get(1)?)?,
            id: row.try_get::<_, Uuid>(2)?.into(),
            workflow: row.try_get(3)?,
            plan: digest(row.try_get(4)?)?,
            updated_at: Timestamp::from_millis(row.try_get(5)?),
            status: status(row.try_get(6)?)?,
            epoch: number(row.try_get(7)?)?,
            lease,
            next_seq: number(row.try_get(10)?)?,
            inbox_head: number(row.try_get(11)?)?,
            inbox_through: number(row.try_get(12)?)?,
            wake_at: time(row.try_get(13)?),
            rung_at: row.try_get(14)?,
            grants: u32::try_from(row.try_get::<_, i32>(15)?)
                .map_err(|_| Fault::corrupt("grants are counted below zero"))?,
            empties: number(row.try_get(16)?)?,
            dedupe: row.try_get(17)?,
            slots: Has::from_number(row.try_get(18)?)?,
            begins_at: time(row.try_get(19)?),
            has_snapshot: row.try_get(20)?,
            has_waits: row.try_get(21)?,
            moved_to: None,
        })
    }

    /// When the execution may be driven by whoever comes, if nothing else happens: at the end of
    /// its lease, without one at its wake-up.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.lease.map_or(self.wake_at, |held| Some(held.until))
    }

    /// From when on the sweep may ring.
    pub(crate) fn ring_key(&self) -> Option<i64> {
        self.due().map(|due| due.as_millis().max(self.rung_at))
    }

    /// The wake-up of what is held, where that is still to come.
    pub(crate) fn held_wake(&self, now: Timestamp) -> Option<i64> {
        let wake_at = self.lease.and(self.wake_at).filter(|at| *at > now);
        wake_at.map(Timestamp::as_millis)
    }

    /// Whether somebody holds a lease that has not expired.
    pub(crate) fn is_held(&self, now: Timestamp) -> bool {
        self.lease.is_some_and(|held| held.until > now)
    }

    /// Makes the execution due at `now`, if it is not due before.
    pub(crate) fn wake(&mut self, now: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(now, |at| at.min(now)));
    }
}

/// The id of an execution as its column has it.
pub(crate) fn uuid(id: ExecutionId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

/// Labels as their column has them.
pub(crate) fn stored_labels(labels: &Labels) -> Option<String> {
    let json = || serde_json::to_string(labels).expect("labels are an object of texts");
    (!labels.is_empty()).then(json)
}

/// A digest from its bytes.
pub(crate) fn digest(bytes: &[u8]) -> Result<Digest, Fault> {
    let bytes: [u8; 32] = bytes
        .try_into()
        .map_err(|_| Fault::corrupt("a digest does not have 32 bytes"))?;
    Ok(Digest::from(bytes))
}

/// A tenant from its id.
pub(crate) fn tenant(id: &str) -> Result<TenantId, Fault> {
    TenantId::new(id).map_err(|error| Fault::corrupt(error.to_string()))
}

/// A status from its number.
pub(crate) fn status(number: i16) -> Result<Status, Fault> {
    let found = usize::try_from(number)
        .ok()
        .and_then(|n| Status::all().nth(n));
    found.ok_or_else(|| Fault::corrupt(format!("{number} is no status")))
}

/// The group that a label names.
pub(crate) fn group(named: Option<&str>) -> Group {
    let named = named.map(Group::new);
    named.and_then(Result::ok).unwrap_or_default()
}

/// A priority from its number.
pub(crate) fn priority(number: i16) -> Result<Priority, Fault> {
    let found = u8::try_from(number).ok().and_then(Priority::from_number);
    found.ok_or_else(|| Fault::corrupt(format!("{number} is no priority")))
}

/// A count as it is stored.
pub(crate) fn stored(count: u64) -> Result<i64, Fault> {
    i64::try_from(count).map_err(|_| Fault::invalid(format!("{count} is past what is stored")))
}

/// A count as it was stored.
pub(crate) fn number(stored: i64) -> Result<u64, Fault> {
    u64::try_from(stored).map_err(|_| Fault::corrupt(format!("{stored} is no count")))
}

/// How many rows are asked for.
pub(crate) fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
