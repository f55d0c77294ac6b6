//! What a transaction will write, by table; each table's rows go in one statement, over arrays.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nebula_core::{ExecutionId, TenantId, Timestamp};
use nebula_postgres::params;
use uuid::Uuid;

use crate::{
    arrivals::Announced,
    error::Fault,
    link::Statement,
    row::{Fresh, Row, stored, stored_labels, uuid},
    tx::Remembered,
};

/// One batch of a journal.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) tenant: TenantId,
    pub(crate) execution: i64,
    pub(crate) first_seq: u64,
    pub(crate) count: u64,
    pub(crate) epoch: u64,
    pub(crate) step: Option<Uuid>,
    pub(crate) entries: Vec<u8>,
}

/// One inbox item.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) tenant: TenantId,
    pub(crate) execution: i64,
    pub(crate) seq: u64,
    pub(crate) kind: String,
    pub(crate) payload: String,
    pub(crate) dedupe: String,
}

/// What gathered.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    created: BTreeMap<i64, (Fresh, Timestamp)>,
    changed: BTreeSet<i64>,
    journal: Vec<Batch>,
    empties: Vec<(TenantId, i64, u64, Uuid)>,
    items: Vec<Item>,
    keys: BTreeMap<(TenantId, String), (Remembered, bool)>,
    /// Tokens that are open from now on, with their execution, or closed.
    waits: BTreeMap<(TenantId, Vec<u8>), Option<i64>>,
    /// Executions none of whose tokens stay.
    waits_of: Vec<i64>,
    snapshots: BTreeMap<i64, (TenantId, u64, Arc<Vec<u8>>)>,
    /// Keys that are forgotten some time from now on, if they have begun this.
    expiring: Vec<(TenantId, String, ExecutionId, Timestamp)>,
    status_moves: BTreeMap<i64, TenantId>,
    /// What is announced to triggers.
    pub(crate) announced: Announced,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.created.is_empty()
            && self.changed.is_empty()
            && self.journal.is_empty()
            && self.empties.is_empty()
            && self.items.is_empty()
            && self.keys.is_empty()
            && self.waits.is_empty()
            && self.waits_of.is_empty()
            && self.snapshots.is_empty()
            && self.expiring.is_empty()
            && self.status_moves.is_empty()
            && self.announced.is_empty()
    }

    pub(crate) fn changed(&mut self, n: i64) {
        if !self.created.contains_key(&n) {
            self.changed.insert(n);
        }
    }

    pub(crate) fn created(&mut self, n: i64, fresh: Fresh, now: Timestamp) {
        self.created.insert(n, (fresh, now));
    }

    pub(crate) fn append(&mut self, batch: Batch) {
        self.journal.push(batch);
    }

    pub(crate) fn empty_step(&mut self, of: &TenantId, n: i64, seq: u64, step: Uuid) {
        self.empties.push((of.clone(), n, seq, step));
    }

    pub(crate) fn item(&mut self, item: Item) {
        self.items.push(item);
    }

    pub(crate) fn remembered(
        &mut self,
        place: &(TenantId, String),
        what: &Remembered,
        replaces: bool,
    ) {
        self.keys.insert(place.clone(), (what.clone(), replaces));
    }

    pub(crate) fn wait(&mut self, of: &TenantId, token: Vec<u8>, n: Option<i64>) {
        self.waits.insert((of.clone(), token), n);
    }

    pub(crate) fn no_waits(&mut self, n: i64) {
        self.waits_of.push(n);
    }

    pub(crate) fn snapshot(&mut self, of: &TenantId, n: i64, through: u64, state: Arc<Vec<u8>>) {
        self.snapshots.insert(n, (of.clone(), through, state));
    }

    pub(crate) fn expiring(&mut self, of: &TenantId, key: &str, begun: ExecutionId, at: Timestamp) {
        self.expiring.push((of.clone(), key.to_owned(), begun, at));
    }

    pub(crate) fn status_moved(&mut self, of: &TenantId, n: i64) {
        self.status_moves.insert(n, of.clone());
    }

    /// The same as columns; `rows` are those of executions as they are now.
    pub(crate) fn columns(
        self,
        rows: &BTreeMap<i64, Row>,
        now: Timestamp,
    ) -> Result<Columns, Fault> {
        let known = |n: &i64| {
            rows.get(n)
                .ok_or_else(|| Fault::corrupt("a row that is written is not known"))
        };
        let mut columns = Columns {
            at: now.as_millis(),
            ..Columns::default()
        };
        for (n, (fresh, created_at)) in self.created {
            let row = known(&n)?;
            columns.new.push(row, now)?;
            columns.fresh.push(row, fresh, created_at);
        }
        for n in &self.changed {
            columns.old.push(known(n)?, now)?;
        }
        for batch in self.journal {
            columns.journal.push(batch)?;
        }
        for (tenant, n, seq, step) in self.empties {
            columns.empties.0.push(tenant.to_string());
            columns.empties.1.push(n);
            columns.empties.2.push(stored(seq)?);
            columns.empties.3.push(step);
        }
        for item in self.items {
            columns.items.push(item)?;
        }
        for ((tenant, key), (what, replaces)) in self.keys {
            if replaces {
                columns.replaced.0.push(tenant.to_string());
                columns.replaced.1.push(key.clone());
            }
            columns.keys.0.push(tenant.to_string());
            columns.keys.1.push(key);
            columns.keys.2.push(uuid(what.id));
            columns.keys.3.push(what.input.as_bytes().to_vec());
            columns
                .keys
                .4
                .push(what.expires_at.map(Timestamp::as_millis));
        }
        for ((tenant, token), n) in self.waits {
            match n.filter(|n| !self.waits_of.contains(n)) {
                Some(n) => {
                    columns.opened.0.push(tenant.to_string());
                    columns.opened.1.push(token);
                    columns.opened.2.push(n);
                }
                None => {
                    columns.closed.0.push(tenant.to_string());
                    columns.closed.1.push(token);
                }
            }
        }
        columns.no_waits = self.waits_of;
        for (n, (tenant, through, state)) in self.snapshots {
            columns.snapshots.0.push(tenant.to_string());
            columns.snapshots.1.push(n);
            columns.snapshots.2.push(stored(through)?);
            columns.snapshots.3.push(state.to_vec());
        }
        for (tenant, key, id, at) in self.expiring {
            columns.expiring.0.push(tenant.to_string());
            columns.expiring.1.push(key);
            columns.expiring.2.push(uuid(id));
            columns.expiring.3.push(at.as_millis());
        }
        for (n, tenant) in self.status_moves {
            columns.moves.0.push(tenant.to_string());
            columns.moves.1.push(n);
        }
        columns.announced = self.announced;
        Ok(columns)
    }
}

/// The columns of rows that moves change.
#[derive(Debug, Default)]
struct Moving {
    n: Vec<i64>,
    updated_at: Vec<i64>,
    status: Vec<i16>,
    epoch: Vec<i64>,
    holder: Vec<Option<Uuid>>,
    lease_until: Vec<Option<i64>>,
    next_seq: Vec<i64>,
    inbox_head: Vec<i64>,
    inbox_through: Vec<i64>,
    wake_at: Vec<Option<i64>>,
    rung_at: Vec<i64>,
    ring_key: Vec<Option<i64>>,
    held_wake: Vec<Option<i64>>,
    grants: Vec<i32>,
    empties: Vec<i64>,
    slots: Vec<i16>,
    has_snapshot: Vec<bool>,
    has_waits: Vec<bool>,
    version: Vec<Option<i32>>,
    plan: Vec<Option<Vec<u8>>>,
}

impl Moving {
    fn push(&mut self, row: &Row, now: Timestamp) -> Result<(), Fault> {
        self.n.push(row.n);
        self.updated_at.push(row.updated_at.as_millis());
        self.status.push(row.status as i16);
        self.epoch.push(stored(row.epoch)?);
        self.holder.push(row.lease.map(|held| held.holder.0));
        self.lease_until
            .push(row.lease.map(|held| held.until.as_millis()));
        self.next_seq.push(stored(row.next_seq)?);
        self.inbox_head.push(stored(row.inbox_head)?);
        self.inbox_through.push(stored(row.inbox_through)?);
        self.wake_at.push(row.wake_at.map(Timestamp::as_millis));
        self.rung_at.push(row.rung_at);
        self.ring_key.push(row.ring_key());
        self.held_wake.push(row.held_wake(now));
        self.grants
            .push(i32::try_from(row.grants).unwrap_or(i32::MAX));
        self.empties.push(stored(row.empties)?);
        self.slots.push(row.slots as i16);
        self.has_snapshot.push(row.has_snapshot);
        self.has_waits.push(row.has_waits);
        self.version.push(row.moved_to.map(u32::cast_signed));
        let plan = row.moved_to.map(|_| row.plan.as_bytes().to_vec());
        self.plan.push(plan);
        Ok(())
    }
}

/// What is written of rows once.
#[derive(Debug, Default)]
struct Founding {
    plan: Vec<Vec<u8>>,
    tenant: Vec<String>,
    id: Vec<Uuid>,
    workflow: Vec<String>,
    version: Vec<i32>,
    priority: Vec<i16>,
    created_at: Vec<i64>,
    begins_at: Vec<Option<i64>>,
    dedupe: Vec<Option<String>>,
    labels: Vec<Option<String>>,
    whole: Vec<Option<Vec<u8>>>,
    whole_step: Vec<Option<Uuid>>,
    label_of: Vec<i64>,
    label_key: Vec<String>,
    label_value: Vec<String>,
    label_tenant: Vec<String>,
    label_at: Vec<i64>,
    label_id: Vec<Uuid>,
}

impl Founding {
    fn push(&mut self, row: &Row, fresh: Fresh, at: Timestamp) {
        for (key, value) in fresh.labels.iter() {
            self.label_of.push(row.n);
            self.label_key.push(key.to_string());
            self.label_value.push(value.to_string());
            self.label_tenant.push(row.tenant.to_string());
            self.label_at.push(at.as_millis());
            self.label_id.push(uuid(row.id));
        }
        self.plan.push(row.plan.as_bytes().to_vec());
        self.tenant.push(row.tenant.to_string());
        self.id.push(uuid(row.id));
        self.workflow.push(row.workflow.clone());
        self.version.push(fresh.version.cast_signed());
        self.priority.push(fresh.priority.number().into());
        self.created_at.push(at.as_millis());
        self.begins_at.push(row.begins_at.map(Timestamp::as_millis));
        self.dedupe.push(row.dedupe.clone());
        self.labels.push(stored_labels(&fresh.labels));
        let (step, whole) = fresh.whole.unzip();
        self.whole.push(whole);
        self.whole_step.push(step);
    }
}

#[derive(Debug, Default)]
struct Batches {
    tenant: Vec<String>,
    execution: Vec<i64>,
    first_seq: Vec<i64>,
    count: Vec<i64>,
    epoch: Vec<i64>,
    step: Vec<Option<Uuid>>,
    entries: Vec<Vec<u8>>,
}

impl Batches {
    fn push(&mut self, batch: Batch) -> Result<(), Fault> {
        self.tenant.push(batch.tenant.to_string());
        self.execution.push(batch.execution);
        self.first_seq.push(stored(batch.first_seq)?);
        self.count.push(stored(batch.count)?);
        self.epoch.push(stored(batch.epoch)?);
        self.step.push(batch.step);
        self.entries.push(batch.entries);
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Items {
    tenant: Vec<String>,
    execution: Vec<i64>,
    seq: Vec<i64>,
    kind: Vec<String>,
    payload: Vec<String>,
    dedupe: Vec<String>,
}

impl Items {
    fn push(&mut self, item: Item) -> Result<(), Fault> {
        self.tenant.push(item.tenant.to_string());
        self.execution.push(item.execution);
        self.seq.push(stored(item.seq)?);
        self.kind.push(item.kind);
        self.payload.push(item.payload);
        self.dedupe.push(item.dedupe);
        Ok(())
    }
}

/// Tenant, key, what it has begun, the digest of its input, and when it is forgotten.
type KeyColumns = (
    Vec<String>,
    Vec<String>,
    Vec<Uuid>,
    Vec<Vec<u8>>,
    Vec<Option<i64>>,
);

/// What gathered, as the columns of its statements.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    at: i64,
    new: Moving,
    fresh: Founding,
    old: Moving,
    journal: Batches,
    empties: (Vec<String>, Vec<i64>, Vec<i64>, Vec<Uuid>),
    items: Items,
    replaced: (Vec<String>, Vec<String>),
    keys: KeyColumns,
    opened: (Vec<String>, Vec<Vec<u8>>, Vec<i64>),
    closed: (Vec<String>, Vec<Vec<u8>>),
    no_waits: Vec<i64>,
    snapshots: (Vec<String>, Vec<i64>, Vec<i64>, Vec<Vec<u8>>),
    expiring: (Vec<String>, Vec<String>, Vec<Uuid>, Vec<i64>),
    moves: (Vec<String>, Vec<i64>),
    announced: Announced,
}

const CREATE: &str = "INSERT INTO executions (n, updated_at, status, epoch, holder, lease_until, next_seq,
        inbox_head, inbox_through, wake_at, rung_at, ring_key, held_wake, grants, empties, slots, has_snapshot,
        has_waits, plan, tenant, id, workflow, version, priority, created_at, begins_at, dedupe, labels, whole,
        whole_step)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::uuid[], $6::bigint[],
        $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
        $14::integer[], $15::bigint[], $16::smallint[], $17::boolean[], $18::boolean[], $19::bytea[],
        $20::text[], $21::uuid[], $22::text[], $23::integer[], $24::smallint[], $25::bigint[], $26::bigint[],
        $27::text[], $28::text[], $29::bytea[], $30::uuid[])";
const MOVE: &str = "UPDATE executions AS e SET updated_at = w.updated_at, status = w.status, epoch = w.epoch,
        holder = w.holder, lease_until = w.lease_until, next_seq = w.next_seq, inbox_head = w.inbox_head,
        inbox_through = w.inbox_through, wake_at = w.wake_at, rung_at = w.rung_at, ring_key = w.ring_key,
        held_wake = w.held_wake, grants = w.grants, empties = w.empties, slots = w.slots,
        has_snapshot = w.has_snapshot, has_waits = w.has_waits,
        version = coalesce(w.version, e.version), plan = coalesce(w.plan, e.plan)
    FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::uuid[], $6::bigint[],
        $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
        $14::integer[], $15::bigint[], $16::smallint[], $17::boolean[], $18::boolean[], $19::integer[],
        $20::bytea[])
        AS w (n, updated_at, status, epoch, holder, lease_until, next_seq, inbox_head, inbox_through, wake_at,
            rung_at, ring_key, held_wake, grants, empties, slots, has_snapshot, has_waits, version, plan)
    WHERE e.n = w.n";
const LABEL: &str = "INSERT INTO labels (execution, key, value, tenant, created_at, id)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::uuid[])";
const APPEND: &str = "INSERT INTO journal (tenant, execution, first_seq, count, epoch, step, entries)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[],
        $7::bytea[])";
const EMPTY: &str = "INSERT INTO empty_steps (tenant, execution, seq, step)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::uuid[])";
const ITEM: &str = "INSERT INTO inbox (tenant, execution, seq, kind, payload, dedupe, at)
    SELECT w.*, $7 FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[]) AS w";
const REPLACED: &str = "DELETE FROM dedupe USING unnest($1::text[], $2::text[]) AS w (tenant, key)
    WHERE dedupe.tenant = w.tenant AND dedupe.key = w.key AND expires_at <= $3";
const REMEMBER: &str = "INSERT INTO dedupe (tenant, key, id, input, expires_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bytea[], $5::bigint[])";
const OPEN: &str = "INSERT INTO waits (tenant, token, execution)
    SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[])
    ON CONFLICT (tenant, token) DO UPDATE SET execution = excluded.execution";
const CLOSE: &str = "DELETE FROM waits USING unnest($1::text[], $2::bytea[]) AS w (tenant, token)
    WHERE waits.tenant = w.tenant AND waits.token = w.token";
const CLOSE_ALL: &str = "DELETE FROM waits WHERE execution = ANY ($1)";
const SNAPSHOT: &str = "INSERT INTO snapshots (tenant, execution, through, state)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[])
    ON CONFLICT (execution) DO UPDATE SET through = excluded.through, state = excluded.state";
const EXPIRE: &str = "UPDATE dedupe SET expires_at = w.at
    FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[]) AS w (tenant, key, id, at)
    WHERE dedupe.tenant = w.tenant AND dedupe.key = w.key AND dedupe.id = w.id";
const MOVED: &str = "INSERT INTO status_moves (tenant, execution)
    SELECT * FROM unnest($1::text[], $2::bigint[])
    ON CONFLICT (execution) DO UPDATE SET xid = pg_current_xact_id()::text::bigint";

impl Columns {
    /// The statements, in the order in which they go.
    pub(crate) fn statements(&self) -> Vec<Statement<'_>> {
        let mut all = Vec::new();
        macro_rules! put {
            ($when:expr, $sql:ident, $($param:expr),+) => {
                if !$when.is_empty() {
                    all.push(Statement { sql: $sql, params: params![$($param),+].to_vec() });
                }
            };
        }
        let (new, fresh, old) = (&self.new, &self.fresh, &self.old);
        put!(
            new.n,
            CREATE,
            new.n,
            new.updated_at,
            new.status,
            new.epoch,
            new.holder,
            new.lease_until,
            new.next_seq,
            new.inbox_head,
            new.inbox_through,
            new.wake_at,
            new.rung_at,
            new.ring_key,
            new.held_wake,
            new.grants,
            new.empties,
            new.slots,
            new.has_snapshot,
            new.has_waits,
            fresh.plan,
            fresh.tenant,
            fresh.id,
            fresh.workflow,
            fresh.version,
            fresh.priority,
            fresh.created_at,
            fresh.begins_at,
            fresh.dedupe,
            fresh.labels,
            fresh.whole,
            fresh.whole_step
        );
        put!(
            old.n,
            MOVE,
            old.n,
            old.updated_at,
            old.status,
            old.epoch,
            old.holder,
            old.lease_until,
            old.next_seq,
            old.inbox_head,
            old.inbox_through,
            old.wake_at,
            old.rung_at,
            old.ring_key,
            old.held_wake,
            old.grants,
            old.empties,
            old.slots,
            old.has_snapshot,
            old.has_waits,
            old.version,
            old.plan
        );
        put!(
            fresh.label_of,
            LABEL,
            fresh.label_of,
            fresh.label_key,
            fresh.label_value,
            fresh.label_tenant,
            fresh.label_at,
            fresh.label_id
        );
        let journal = &self.journal;
        put!(
            journal.execution,
            APPEND,
            journal.tenant,
            journal.execution,
            journal.first_seq,
            journal.count,
            journal.epoch,
            journal.step,
            journal.entries
        );
        let empties = &self.empties;
        put!(empties.0, EMPTY, empties.0, empties.1, empties.2, empties.3);
        let items = &self.items;
        put!(
            items.execution,
            ITEM,
            items.tenant,
            items.execution,
            items.seq,
            items.kind,
            items.payload,
            items.dedupe,
            self.at
        );
        let (replaced, keys) = (&self.replaced, &self.keys);
        put!(replaced.0, REPLACED, replaced.0, replaced.1, self.at);
        put!(keys.0, REMEMBER, keys.0, keys.1, keys.2, keys.3, keys.4);
        let (opened, closed) = (&self.opened, &self.closed);
        put!(opened.0, OPEN, opened.0, opened.1, opened.2);
        put!(closed.0, CLOSE, closed.0, closed.1);
        put!(self.no_waits, CLOSE_ALL, self.no_waits);
        let snapshots = &self.snapshots;
        put!(
            snapshots.0,
            SNAPSHOT,
            snapshots.0,
            snapshots.1,
            snapshots.2,
            snapshots.3
        );
        let expiring = &self.expiring;
        put!(
            expiring.0, EXPIRE, expiring.0, expiring.1, expiring.2, expiring.3
        );
        put!(self.moves.0, MOVED, self.moves.0, self.moves.1);
        if !self.announced.is_empty() {
            all.push(self.announced.statement(&self.at));
        }
        all
    }
}
