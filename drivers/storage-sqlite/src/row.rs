//! One execution's row: what a write compares and moves, and when it is due.

use nebula_core::{Digest, ExecutionId, Group, Labels, Priority, TenantId, Timestamp};
use nebula_execution::Status;
use nebula_ports::{DedupeKey, ExecutionRepo, Incarnation, LeaseRequest};
use rusqlite::{Connection, OptionalExtension, Params, Row as SqlRow, params};
use uuid::Uuid;

use crate::{create::NewRow, error::Fault, slots::Has};

/// Stands for "never rung": before every moment that a clock shows.
pub(crate) const NEVER_RUNG: i64 = -1;

/// A lease that was not given back; it may have expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) holder: Incarnation,
    pub(crate) until: Timestamp,
}

/// The columns of `executions` that writes move.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) n: i64,
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
    /// What the status was when the row was loaded: its index moves only if it changed.
    loaded: Status,
    /// The same of the slots.
    loaded_slots: Has,
}

/// A journal that began and ended in one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole<'s> {
    pub(crate) step: &'s [u8; 16],
    pub(crate) entries: &'s [u8],
    pub(crate) sum: i64,
}

/// What [`Row::read`] reads, of the rows that the condition names.
macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT n, plan, updated_at, status, epoch, holder, lease_until, next_seq, inbox_head,
                    inbox_through, wake_at, rung_at, grants, empties, dedupe, slots,
                    begins_at
             FROM executions WHERE ",
            $condition
        )
    };
}

impl Row {
    /// The row of `execution`, if it exists.
    pub(crate) fn load(
        connection: &Connection,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Option<Self>, Fault> {
        let mut statement = connection.prepare_cached(select!("tenant = ? AND id = ?"))?;
        let found = statement
            .query_row(params![tenant.as_str(), execution.as_bytes()], |row| {
                Ok(Self::read(row))
            })
            .optional()?;
        found.transpose()
    }

    /// The row with this number, if it exists.
    pub(crate) fn load_by_number(connection: &Connection, n: i64) -> Result<Option<Self>, Fault> {
        let mut statement = connection.prepare_cached(select!("n = ?"))?;
        let found = statement
            .query_row([n], |row| Ok(Self::read(row)))
            .optional()?;
        found.transpose()
    }

    /// The row of an execution that is created now: queued, due at once, with nothing in its journal.
    pub(crate) fn new(plan: Digest, dedupe: Option<&DedupeKey>, now: Timestamp) -> Self {
        Self {
            n: 0,
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
            loaded: Status::Queued,
            loaded_slots: Has::Nothing,
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

    /// Writes a new row, which has its number from then on; with its journal, if that is whole.
    pub(crate) fn insert(
        &mut self,
        connection: &Connection,
        (tenant, new): (&TenantId, &NewRow),
        whole: Option<Whole<'_>>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let mut insert = connection.prepare_cached(
            "INSERT INTO executions (tenant, id, workflow, version, plan, created_at, updated_at,
                status, epoch, holder, lease_until, next_seq, inbox_head, inbox_through, wake_at,
                rung_at, ring_key, held_wake, grants, empties, dedupe, begins_at, priority, labels,
                whole, whole_step, whole_sum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10, ?11, 0, 0, ?12, ?13, ?14, ?15, ?16,
                0, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
        )?;
        insert.execute(params![
            tenant.as_str(),
            new.id.as_bytes(),
            new.workflow.as_str(),
            new.version,
            self.plan.as_bytes(),
            now.as_millis(),
            self.status as u8,
            stored(self.epoch)?,
            self.lease.as_ref().map(|held| held.holder.0.as_bytes()),
            self.lease.map(|held| held.until.as_millis()),
            stored(self.next_seq)?,
            self.wake_at.map(Timestamp::as_millis),
            self.rung_at,
            self.ring_key(),
            self.held_wake(now),
            self.grants,
            self.dedupe,
            self.begins_at.map(Timestamp::as_millis),
            new.priority.number(),
            stored_labels(&new.labels),
            whole.map(|it| it.entries),
            whole.map(|it| it.step),
            whole.map(|it| it.sum),
        ])?;
        self.n = connection.last_insert_rowid();
        for (key, value) in new.labels.iter() {
            let mut label = connection.prepare_cached(
                "INSERT INTO labels (execution, key, value, tenant, created_at) VALUES (?, ?, ?, ?, ?)",
            )?;
            label.execute(params![
                self.n,
                key,
                value,
                tenant.as_str(),
                now.as_millis()
            ])?;
        }
        self.loaded = self.status;
        Ok(())
    }

    fn read(row: &SqlRow<'_>) -> Result<Self, Fault> {
        let (status, slots) = (status(row.get(3)?)?, Has::from_number(row.get(15)?)?);
        let lease = match (
            row.get::<_, Option<[u8; 16]>>(5)?,
            row.get::<_, Option<i64>>(6)?,
        ) {
            (Some(holder), Some(until)) => Some(Held {
                holder: Incarnation(Uuid::from_bytes(holder)),
                until: Timestamp::from_millis(until),
            }),
            _ => None,
        };
        Ok(Self {
            n: row.get(0)?,
            plan: Digest::from(row.get::<_, [u8; 32]>(1)?),
            updated_at: Timestamp::from_millis(row.get(2)?),
            status,
            epoch: number(row.get(4)?)?,
            lease,
            next_seq: number(row.get(7)?)?,
            inbox_head: number(row.get(8)?)?,
            inbox_through: number(row.get(9)?)?,
            wake_at: row.get::<_, Option<i64>>(10)?.map(Timestamp::from_millis),
            rung_at: row.get(11)?,
            grants: row.get(12)?,
            empties: number(row.get(13)?)?,
            dedupe: row.get(14)?,
            slots,
            begins_at: row.get::<_, Option<i64>>(16)?.map(Timestamp::from_millis),
            loaded: status,
            loaded_slots: slots,
        })
    }

    /// Writes everything back.
    pub(crate) fn store(&self, connection: &Connection, now: Timestamp) -> Result<(), Fault> {
        // SQLite moves the entry of every index that names a column which is set, even to the same value.
        let sql = if self.status == self.loaded {
            "UPDATE executions SET updated_at = ?3, epoch = ?4, holder = ?5, lease_until = ?6,
                next_seq = ?7, inbox_head = ?8, inbox_through = ?9, wake_at = ?10, rung_at = ?11,
                ring_key = ?12, grants = ?13, empties = ?14, held_wake = ?15
             WHERE n = ?1 AND status = ?2"
        } else {
            "UPDATE executions SET status = ?2, updated_at = ?3, epoch = ?4, holder = ?5,
                lease_until = ?6, next_seq = ?7, inbox_head = ?8, inbox_through = ?9, wake_at = ?10,
                rung_at = ?11, ring_key = ?12, grants = ?13, empties = ?14, held_wake = ?15
             WHERE n = ?1"
        };
        let changed = connection.prepare_cached(sql)?.execute(params![
            self.n,
            self.status as u8,
            self.updated_at.as_millis(),
            stored(self.epoch)?,
            self.lease.as_ref().map(|held| held.holder.0.as_bytes()),
            self.lease.map(|held| held.until.as_millis()),
            stored(self.next_seq)?,
            stored(self.inbox_head)?,
            stored(self.inbox_through)?,
            self.wake_at.map(Timestamp::as_millis),
            self.rung_at,
            self.ring_key(),
            self.grants,
            stored(self.empties)?,
            self.held_wake(now),
        ])?;
        assert_eq!(
            changed, 1,
            "a row that was loaded in this transaction is there"
        );
        if self.slots != self.loaded_slots {
            let mut slots =
                connection.prepare_cached("UPDATE executions SET slots = ?2 WHERE n = ?1")?;
            slots.execute(params![self.n, self.slots as u8])?;
        }
        Ok(())
    }

    /// When the execution may be driven by whoever comes, if nothing else happens: at the end of
    /// its lease, without one at its wake-up.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.lease.map_or(self.wake_at, |held| Some(held.until))
    }

    /// From when on the sweep may ring.
    fn ring_key(&self) -> Option<i64> {
        self.due().map(|due| due.as_millis().max(self.rung_at))
    }

    /// The wake-up of what is held, where that is still to come.
    fn held_wake(&self, now: Timestamp) -> Option<i64> {
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

/// Labels as their column has them.
fn stored_labels(labels: &Labels) -> Option<String> {
    let json = || serde_json::to_string(labels).expect("labels are an object of texts");
    (!labels.is_empty()).then(json)
}

/// A status from its number.
pub(crate) fn status(number: u8) -> Result<Status, Fault> {
    Status::all()
        .nth(number.into())
        .ok_or_else(|| Fault::corrupt(format!("{number} is no status")))
}

/// The group that a label names.
pub(crate) fn group(named: Option<String>) -> Group {
    let named = named.map(|name| Group::new(&name));
    named.and_then(Result::ok).unwrap_or_default()
}

/// A priority from its number.
pub(crate) fn priority(number: u8) -> Result<Priority, Fault> {
    Priority::from_number(number).ok_or_else(|| Fault::corrupt(format!("{number} is no priority")))
}

/// A count as SQLite stores it.
pub(crate) fn stored(count: u64) -> Result<i64, Fault> {
    i64::try_from(count).map_err(|_| Fault::invalid(format!("{count} is past what is stored")))
}

/// How many rows a `SELECT count(*)` finds.
pub(crate) fn counted(db: &Connection, sql: &str, place: impl Params) -> Result<usize, Fault> {
    let found: i64 = db.prepare_cached(sql)?.query_row(place, |row| row.get(0))?;
    usize::try_from(found).map_err(|_| Fault::corrupt(format!("{found} is no count")))
}

/// A count as it was stored.
pub(crate) fn number(stored: i64) -> Result<u64, Fault> {
    u64::try_from(stored).map_err(|_| Fault::corrupt(format!("{stored} is no count")))
}
