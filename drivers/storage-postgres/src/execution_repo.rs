//! The record of every execution.

use async_trait::async_trait;
use nebula_core::{ExecutionId, Groups, TenantId, Timestamp};
use nebula_execution::{Entry, NewExecution};
use nebula_ports::{
    Acquired, Backlog, Begun, ChangeCursor, Changes, Created, DedupeKey, ExecutionFilter,
    ExecutionRepo, ExecutionSummary, InboxItem, JournalPage, Lease, LeaseRequest, Moved, NewSignal,
    Page, PageToken, Renewed, Result, RunnablePage, Signalled, SlotHolder, SlotKey, Step, Stepped,
    Usage, WaitToken,
};

use crate::{
    Postgres, backlog,
    begin::{self, Beginning},
    changes,
    create::{self, NewRow},
    error::Fault,
    inbox::{self, NewItem},
    lease, listing,
    migrate::{self, Moving},
    read, scan, slots,
    step::{self, StoredStep},
    tenants,
    texts::check_texts,
    work::Claims,
};

/// How many executions go in one transaction.
const DELETE_AT_ONCE: usize = 256;

/// A claim on one execution.
fn row(tenant: &TenantId, execution: ExecutionId) -> Claims {
    Claims {
        rows: vec![(tenant.clone(), execution)],
        ..Claims::default()
    }
}

/// Refuses a key that cannot be stored.
fn check_key(key: Option<&DedupeKey>) -> std::result::Result<(), Fault> {
    check_texts(key.map(|key| key.0.as_str()))
}

#[async_trait]
impl ExecutionRepo for Postgres {
    async fn create(
        &self,
        tenant: &TenantId,
        new: NewExecution,
        dedupe: Option<DedupeKey>,
        lease: Option<LeaseRequest>,
    ) -> Result<Created> {
        let new = check_key(dedupe.as_ref()).and_then(|()| NewRow::new(&new, dedupe.is_some()));
        let new = new.map_err(|fault| fault.into_port("create"))?;
        let mut claims = row(tenant, new.id);
        let keys = dedupe.iter().map(|key| (tenant.clone(), key.0.clone()));
        claims.keys.extend(keys);
        let how = (new.bytes(), claims, new.is_alone());
        let data = (tenant.clone(), new, dedupe, lease);
        self.send("create", how, data, |tx, (tenant, new, dedupe, lease)| {
            Box::pin(create::create(tx, tenant, new, dedupe.as_ref(), *lease))
        })
        .await
    }

    async fn begin(&self, lease: &Lease, dedupe: Option<DedupeKey>, step: Step) -> Result<Begun> {
        let beginning =
            check_key(dedupe.as_ref()).and_then(|()| Beginning::new(lease, step, dedupe.is_some()));
        let beginning = beginning.map_err(|e| e.into_port("begin"))?;
        let claims = beginning.claims(lease, dedupe.as_ref());
        let how = (beginning.bytes(), claims, beginning.is_alone());
        let data = (lease.clone(), dedupe, beginning);
        self.send("begin", how, data, |tx, (lease, dedupe, beginning)| {
            Box::pin(begin::begin(tx, lease, dedupe.as_ref(), beginning))
        })
        .await
    }

    async fn acquire(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        lease: LeaseRequest,
        max_grants: u32,
    ) -> Result<Acquired> {
        let how = (0, row(tenant, execution), false);
        let data = (tenant.clone(), execution, lease, max_grants);
        self.send("acquire", how, data, |tx, (tenant, id, lease, most)| {
            Box::pin(lease::acquire(tx, tenant, *id, *lease, *most))
        })
        .await
    }

    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Renewed>> {
        let rows = leases.iter().map(|it| (it.tenant.clone(), it.execution));
        let claims = Claims {
            rows: rows.collect(),
            ..Claims::default()
        };
        let how = (0, claims, false);
        self.send("renew", how, leases.to_vec(), |tx, leases| {
            Box::pin(lease::renew(tx, leases))
        })
        .await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let how = (0, row(&lease.tenant, lease.execution), false);
        self.send("release", how, lease.clone(), |tx, lease| {
            Box::pin(lease::release(tx, lease))
        })
        .await
    }

    async fn step(&self, lease: &Lease, step: Step) -> Result<Stepped> {
        let stored = StoredStep::new(step).map_err(|e| e.into_port("step"))?;
        let how = (stored.bytes(), stored.claims(lease), stored.is_alone());
        let data = (lease.clone(), stored);
        self.send("step", how, data, |tx, (lease, stored)| {
            Box::pin(step::step(tx, lease, stored))
        })
        .await
    }

    async fn journal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        from: u64,
        limit: usize,
    ) -> Result<JournalPage> {
        let data = (tenant.clone(), execution, from, limit);
        self.read("journal", data, |link, (tenant, id, from, limit)| {
            Box::pin(read::journal(link, tenant, *id, *from, *limit))
        })
        .await
    }

    async fn inbox(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<InboxItem>> {
        let data = (tenant.clone(), execution, after, limit);
        self.read("inbox", data, |link, (tenant, id, after, limit)| {
            Box::pin(read::inbox(link, tenant, *id, *after, *limit))
        })
        .await
    }

    async fn signal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        signal: NewSignal,
    ) -> Result<Signalled> {
        let NewSignal {
            kind,
            payload,
            dedupe,
        } = signal;
        let item = NewItem::new(kind, &payload, dedupe).map_err(|e| e.into_port("signal"))?;
        let mut claims = row(tenant, execution);
        claims
            .items
            .push((tenant.clone(), execution, item.dedupe.clone()));
        let how = (item.bytes(), claims, false);
        let data = (tenant.clone(), execution, item);
        self.send("signal", how, data, |tx, (tenant, id, item)| {
            Box::pin(inbox::signal(tx, tenant, *id, item))
        })
        .await
    }

    async fn migrate(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        expected_seq: u64,
        entry: Entry,
    ) -> Result<Moved> {
        let moving = Moving::new(expected_seq, entry).map_err(|e| e.into_port("migrate"))?;
        let how = (moving.bytes(), row(tenant, execution), false);
        let data = (tenant.clone(), execution, moving);
        self.send("migrate", how, data, |tx, (tenant, id, moving)| {
            Box::pin(migrate::migrate(tx, tenant, *id, moving))
        })
        .await
    }

    async fn slots(
        &self,
        tenant: &TenantId,
        key: &SlotKey,
        limit: usize,
    ) -> Result<Vec<SlotHolder>> {
        let data = (tenant.clone(), key.clone(), limit);
        self.read("slots", data, |link, (tenant, key, limit)| {
            Box::pin(slots::queue(link, tenant, key, *limit))
        })
        .await
    }

    async fn waiting_on(&self, tenant: &TenantId, token: WaitToken) -> Result<Option<ExecutionId>> {
        let data = (tenant.clone(), token);
        self.read("waiting_on", data, |link, (tenant, token)| {
            Box::pin(read::waiting_on(link, tenant, *token))
        })
        .await
    }

    async fn runnable(
        &self,
        rung_before: Timestamp,
        groups: &Groups,
        limit: usize,
    ) -> Result<RunnablePage> {
        let data = (rung_before, groups.clone(), limit);
        self.write("runnable", 0, data, |tx, (before, groups, limit)| {
            Box::pin(scan::runnable(tx, (*before, groups), *limit))
        })
        .await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.read("backlog", (), |link, ()| Box::pin(backlog::read(link)))
            .await
    }

    async fn usage(&self, tenant: &TenantId) -> Result<Usage> {
        self.read("usage", tenant.clone(), |link, tenant| {
            Box::pin(tenants::usage(link, tenant))
        })
        .await
    }

    async fn get(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Option<ExecutionSummary>> {
        let data = (tenant.clone(), execution);
        self.read("get", data, |link, (tenant, id)| {
            Box::pin(read::get(link, tenant, *id))
        })
        .await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<ExecutionSummary>> {
        let data = (tenant.clone(), filter.clone(), after.cloned(), limit);
        self.read("list", data, |link, (tenant, filter, after, limit)| {
            Box::pin(listing::list(link, tenant, filter, after.as_ref(), *limit))
        })
        .await
    }

    async fn changes(
        &self,
        tenant: &TenantId,
        after: Option<&ChangeCursor>,
        limit: usize,
    ) -> Result<Changes> {
        let data = (tenant.clone(), after.cloned(), limit);
        self.read("changes", data, |link, (tenant, after, limit)| {
            Box::pin(changes::changes(link, tenant, after.as_ref(), *limit))
        })
        .await
    }

    async fn delete_ended(
        &self,
        tenant: &TenantId,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        let mut deleted = 0;
        // In portions, so that no transaction holds many rows for long.
        loop {
            let portion = DELETE_AT_ONCE.min(limit - deleted);
            let data = (tenant.clone(), before, portion);
            let gone = self
                .write("delete_ended", 0, data, |tx, (tenant, before, limit)| {
                    Box::pin(scan::delete_ended(tx, tenant, *before, *limit))
                })
                .await?;
            deleted += gone;
            if gone < portion || deleted == limit {
                return Ok(deleted);
            }
        }
    }
}
