//! A store of executions whose large facts lie in blobs.

use std::sync::Arc;

use async_trait::async_trait;
use nebula_core::{BlobId, ByteSize, ExecutionId, TenantId, Timestamp};
use nebula_execution::{Entry, Fact, NewExecution};
use nebula_ports::{
    Acquired, Begun, BlobStore, BlobStoreExt, Created, DedupeKey, ErrorKind, ExecutionFilter,
    ExecutionRepo, ExecutionSummary, InboxItem, JournalPage, Lease, LeaseRequest, Moved, NewSignal,
    Page, PageToken, PortError, Renewed, Result, RunnablePage, Signalled, SlotHolder, SlotKey,
    Step, Stepped, WaitToken,
};

use crate::weight;

/// How much of values a fact may hold and still stand in the journal, where nothing else is said.
pub const DEFAULT_INLINE: ByteSize = ByteSize::kib(256);

/// The name under which this layer reports.
const LAYER: &str = "spill";

/// An [`ExecutionRepo`] over another one: a fact whose values take more than the limit goes into a
/// blob, and the journal has its name, `Fact::Spilled`. Whoever reads the journal here gets the fact.
///
/// The first entry of a journal stays in it, and so do snapshots and inboxes. A store that holds
/// spilled facts must be opened through this layer, with the blobs: the engine stops at a
/// `Fact::Spilled`, rather than to go on without what it says.
#[derive(Debug)]
pub struct SpillingRepo {
    executions: Arc<dyn ExecutionRepo>,
    blobs: Arc<dyn BlobStore>,
    limit: usize,
}

impl SpillingRepo {
    /// The layer over `executions`; facts whose values take more than `inline` bytes as JSON go into `blobs`.
    #[must_use]
    pub fn new(
        executions: Arc<dyn ExecutionRepo>,
        blobs: Arc<dyn BlobStore>,
        inline: ByteSize,
    ) -> Self {
        Self {
            executions,
            blobs,
            limit: inline.as_usize(),
        }
    }

    /// Puts what is too large among `entries` into blobs, each durable before this ends.
    async fn spill(&self, tenant: &TenantId, entries: &mut [Entry]) -> Result<()> {
        for entry in entries {
            if !weight::exceeds(&entry.fact, self.limit) {
                continue;
            }
            let json = serde_json::to_vec(&entry.fact).map_err(|error| unwritten(&error))?;
            let kind = kind(&json)
                .ok_or_else(|| unwritten(&"it has no name"))?
                .into();
            let blob = self.blobs.put_bytes(tenant, json.into()).await?.id;
            entry.fact = Fact::Spilled { kind, blob };
        }
        Ok(())
    }

    async fn spill_step(&self, tenant: &TenantId, step: &mut Step) -> Result<()> {
        self.spill(tenant, &mut step.entries).await?;
        for child in &mut step.children {
            self.spill_new(child).await?;
        }
        Ok(())
    }

    async fn spill_new(&self, new: &mut NewExecution) -> Result<()> {
        let tenant = new.tenant.clone();
        self.spill(&tenant, &mut new.entries).await
    }
}

/// The fact that lies in a blob.
///
/// # Errors
/// `Corrupt`: the blob is not there, is damaged, or holds no fact. Those of [`BlobStore::get`].
pub(crate) async fn load(blobs: &dyn BlobStore, tenant: &TenantId, blob: BlobId) -> Result<Fact> {
    let corrupt = |what: &str| {
        let message = format!("blob {blob}, which a journal names, {what}");
        PortError::new(ErrorKind::Corrupt, LAYER, "read the journal", message)
    };
    let Some(json) = blobs.get_bytes(tenant, blob).await? else {
        return Err(corrupt("is not there"));
    };
    match serde_json::from_slice(&json) {
        Ok(Fact::Spilled { .. }) => Err(corrupt("names another one")),
        Ok(fact) => Ok(fact),
        Err(error) => Err(corrupt("holds no fact that this build can read").with_source(error)),
    }
}

/// The name of a fact in its JSON, `{"attempt_succeeded":{…`.
fn kind(json: &[u8]) -> Option<&str> {
    let text = json.strip_prefix(b"{\"")?;
    let end = text.iter().position(|byte| *byte == b'"')?;
    str::from_utf8(&text[..end]).ok()
}

fn unwritten(why: &dyn std::fmt::Display) -> PortError {
    let message = format!("a fact cannot be written as JSON: {why}");
    PortError::new(ErrorKind::Invalid, LAYER, "step", message)
}

#[async_trait]
impl ExecutionRepo for SpillingRepo {
    async fn create(
        &self,
        tenant: &TenantId,
        mut new: NewExecution,
        dedupe: Option<DedupeKey>,
        lease: Option<LeaseRequest>,
    ) -> Result<Created> {
        self.spill_new(&mut new).await?;
        self.executions.create(tenant, new, dedupe, lease).await
    }

    async fn begin(
        &self,
        lease: &Lease,
        dedupe: Option<DedupeKey>,
        mut step: Step,
    ) -> Result<Begun> {
        self.spill_step(&lease.tenant, &mut step).await?;
        self.executions.begin(lease, dedupe, step).await
    }

    async fn acquire(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        lease: LeaseRequest,
        max_grants: u32,
    ) -> Result<Acquired> {
        let acquired = self
            .executions
            .acquire(tenant, execution, lease, max_grants);
        acquired.await
    }

    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Renewed>> {
        self.executions.renew(leases).await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.executions.release(lease).await
    }

    async fn step(&self, lease: &Lease, mut step: Step) -> Result<Stepped> {
        self.spill_step(&lease.tenant, &mut step).await?;
        self.executions.step(lease, step).await
    }

    async fn journal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        from: u64,
        limit: usize,
    ) -> Result<JournalPage> {
        let page = self.executions.journal(tenant, execution, from, limit);
        let mut page = page.await?;
        for stored in &mut page.entries {
            if let Fact::Spilled { blob, .. } = stored.entry.fact {
                stored.entry.fact = load(&*self.blobs, tenant, blob).await?;
            }
        }
        Ok(page)
    }

    async fn inbox(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<InboxItem>> {
        self.executions.inbox(tenant, execution, after, limit).await
    }

    async fn signal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        signal: NewSignal,
    ) -> Result<Signalled> {
        self.executions.signal(tenant, execution, signal).await
    }

    async fn migrate(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        expected_seq: u64,
        entry: Entry,
    ) -> Result<Moved> {
        let moved = self
            .executions
            .migrate(tenant, execution, expected_seq, entry);
        moved.await
    }

    async fn slots(
        &self,
        tenant: &TenantId,
        key: &SlotKey,
        limit: usize,
    ) -> Result<Vec<SlotHolder>> {
        self.executions.slots(tenant, key, limit).await
    }

    async fn waiting_on(&self, tenant: &TenantId, token: WaitToken) -> Result<Option<ExecutionId>> {
        self.executions.waiting_on(tenant, token).await
    }

    async fn runnable(&self, rung_before: Timestamp, limit: usize) -> Result<RunnablePage> {
        self.executions.runnable(rung_before, limit).await
    }

    async fn get(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Option<ExecutionSummary>> {
        self.executions.get(tenant, execution).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<ExecutionSummary>> {
        self.executions.list(tenant, filter, after, limit).await
    }

    async fn delete_ended(
        &self,
        tenant: &TenantId,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        self.executions.delete_ended(tenant, before, limit).await
    }
}
