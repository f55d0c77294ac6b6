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
    Sqlite, backlog,
    begin::{self, Beginning},
    changes,
    create::{self, NewRow},
    inbox::{self, NewItem},
    lease, listing,
    migrate::{self, Moving},
    read, scan, slots,
    space::{self, DELETE_AT_ONCE},
    step::{self, StoredStep},
    tenants,
};

#[async_trait]
impl ExecutionRepo for Sqlite {
    async fn create(
        &self,
        tenant: &TenantId,
        new: NewExecution,
        dedupe: Option<DedupeKey>,
        lease: Option<LeaseRequest>,
    ) -> Result<Created> {
        let row = NewRow::new(&new, dedupe.is_some()).map_err(|e| e.into_port("create"))?;
        let (tenant, bytes) = (tenant.clone(), row.bytes());
        self.write("create", bytes, move |tx| {
            create::create(tx, &tenant, &row, dedupe.as_ref(), lease)
        })
        .await
    }

    async fn begin(&self, lease: &Lease, dedupe: Option<DedupeKey>, step: Step) -> Result<Begun> {
        let beginning = Beginning::new(lease, step, dedupe.is_some());
        let beginning = beginning.map_err(|e| e.into_port("begin"))?;
        let (lease, bytes) = (lease.clone(), beginning.bytes());
        self.write("begin", bytes, move |tx| {
            begin::begin(tx, &lease, dedupe.as_ref(), &beginning)
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
        let tenant = tenant.clone();
        self.write("acquire", 0, move |tx| {
            lease::acquire(tx, &tenant, execution, lease, max_grants)
        })
        .await
    }

    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Renewed>> {
        let leases = leases.to_vec();
        self.write("renew", 0, move |tx| lease::renew(tx, &leases))
            .await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.write("release", 0, move |tx| lease::release(tx, &lease))
            .await
    }

    async fn step(&self, lease: &Lease, step: Step) -> Result<Stepped> {
        let stored = StoredStep::new(step).map_err(|e| e.into_port("step"))?;
        let (lease, bytes) = (lease.clone(), stored.bytes());
        self.write("step", bytes, move |tx| step::step(tx, &lease, &stored))
            .await
    }

    async fn journal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        from: u64,
        limit: usize,
    ) -> Result<JournalPage> {
        let tenant = tenant.clone();
        self.read("journal", move |db| {
            read::journal(db, &tenant, execution, from, limit)
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
        let tenant = tenant.clone();
        self.read("inbox", move |db| {
            read::inbox(db, &tenant, execution, after, limit)
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
        let (tenant, bytes) = (tenant.clone(), item.bytes());
        self.write("signal", bytes, move |tx| {
            inbox::signal(tx, &tenant, execution, &item)
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
        let (tenant, bytes) = (tenant.clone(), moving.bytes());
        self.write("migrate", bytes, move |tx| {
            migrate::migrate(tx, &tenant, execution, &moving)
        })
        .await
    }

    async fn slots(
        &self,
        tenant: &TenantId,
        key: &SlotKey,
        limit: usize,
    ) -> Result<Vec<SlotHolder>> {
        let (tenant, key) = (tenant.clone(), key.clone());
        self.read("slots", move |db| slots::queue(db, &tenant, &key, limit))
            .await
    }

    async fn waiting_on(&self, tenant: &TenantId, token: WaitToken) -> Result<Option<ExecutionId>> {
        let tenant = tenant.clone();
        self.read("waiting_on", move |db| read::waiting_on(db, &tenant, token))
            .await
    }

    async fn runnable(
        &self,
        rung_before: Timestamp,
        groups: &Groups,
        limit: usize,
    ) -> Result<RunnablePage> {
        let groups = groups.clone();
        self.write("runnable", 0, move |tx| {
            scan::runnable(tx, (rung_before, &groups), limit)
        })
        .await
    }

    async fn backlog(&self) -> Result<Backlog> {
        let now = self.clock.now();
        self.read("backlog", move |db| backlog::read(db, now)).await
    }

    async fn usage(&self, tenant: &TenantId) -> Result<Usage> {
        let (tenant, now) = (tenant.clone(), self.clock.now());
        self.read("usage", move |db| tenants::usage(db, &tenant, now))
            .await
    }

    async fn get(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Option<ExecutionSummary>> {
        let (tenant, now) = (tenant.clone(), self.clock.now());
        self.read("get", move |db| read::get(db, &tenant, execution, now))
            .await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<ExecutionSummary>> {
        let (tenant, filter, after) = (tenant.clone(), filter.clone(), after.cloned());
        let now = self.clock.now();
        self.read("list", move |db| {
            listing::list(db, &tenant, &filter, after.as_ref(), limit, now)
        })
        .await
    }

    async fn changes(
        &self,
        tenant: &TenantId,
        after: Option<&ChangeCursor>,
        limit: usize,
    ) -> Result<Changes> {
        let (tenant, after) = (tenant.clone(), after.cloned());
        let now = self.clock.now();
        self.read("changes", move |db| {
            changes::changes(db, &tenant, after.as_ref(), limit, now)
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
        // In portions, so that others' writes need not wait for all of it.
        loop {
            let (tenant, portion) = (tenant.clone(), DELETE_AT_ONCE.min(limit - deleted));
            let gone = self
                .write("delete_ended", 0, move |tx| {
                    scan::delete_ended(tx, &tenant, before, portion)
                })
                .await?;
            deleted += gone;
            if gone < portion || deleted == limit {
                break;
            }
        }
        while self
            .alone("delete_ended", |tx| space::give_back(tx.connection))
            .await?
        {}
        Ok(deleted)
    }
}
