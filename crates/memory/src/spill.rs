//! A store of executions whose large facts lie in blobs.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_core::{BlobId, ByteSize, Clock, ExecutionId, Groups, TenantId, Timestamp};
use nebula_execution::{Entry, Fact, NewExecution};
use nebula_ports::{
    Acquired, Backlog, Begun, BlobRenewed, BlobStore, BlobStoreExt, ChangeCursor, Changes, Created,
    DedupeKey, ErrorKind, ExecutionFilter, ExecutionRepo, ExecutionSummary, InboxItem, JournalPage,
    Lease, LeaseRequest, Moved, NewSignal, Page, PageToken, PortError, Renewed, Result,
    RunnablePage, SLOT_PREFIX, Signalled, SlotHolder, SlotKey, Step, Stepped, Usage, WaitToken,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::weight;

/// How much of values a fact may hold and still stand in the journal, where nothing else is said.
pub const DEFAULT_INLINE: ByteSize = ByteSize::kib(256);

/// How long a blob counts as just put, where nothing else is said: whoever needs longer from there to
/// the commit renews it first. A collector's grace is longer.
pub const DEFAULT_FRESH: Duration = Duration::from_mins(5);

/// How the kind of a signal begins whose content lies in a blob: the rest is its kind, and in the place
/// of its content is the name of the blob.
const SPILLED: &str = "spilled.";

/// The name under which this layer reports.
const LAYER: &str = "spill";

/// An [`ExecutionRepo`] over another one: a fact whose values take more than the limit goes into a
/// blob, and the journal has its name, `Fact::Spilled`. Whoever reads the journal here gets the fact.
///
/// The content of a signal that is so large goes into a blob as well, and comes out of the inbox as it
/// was. The first entry of a journal stays in it, since stores read it: the input of it is put by
/// [`Values`](crate::Values). So do snapshots: each has other content than the one before, which it
/// replaces in its row and would only join among the blobs. A store that holds
/// spilled facts must be opened through this layer, with the blobs: the engine stops at a
/// `Fact::Spilled`, rather than to go on without what it says.
#[derive(Debug)]
pub struct SpillingRepo {
    executions: Arc<dyn ExecutionRepo>,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    limit: usize,
    fresh: Duration,
}

/// What was put for one call, and when the first of it was.
struct Spilled {
    since: Duration,
    blobs: Vec<BlobId>,
}

impl SpillingRepo {
    /// The layer over `executions`; facts whose values take more than `inline` bytes as JSON go into
    /// `blobs`. `clock` says how long that took.
    #[must_use]
    pub fn new(
        executions: Arc<dyn ExecutionRepo>,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        inline: ByteSize,
    ) -> Self {
        Self {
            executions,
            blobs,
            clock,
            limit: inline.as_usize(),
            fresh: DEFAULT_FRESH,
        }
    }

    /// Another time than [`DEFAULT_FRESH`] after which a blob is renewed before an entry names it. The
    /// grace of every collector must be longer.
    #[must_use]
    pub fn fresh_for(mut self, fresh: Duration) -> Self {
        self.fresh = fresh;
        self
    }

    /// Nothing yet.
    fn nothing(&self) -> Spilled {
        Spilled {
            since: self.clock.monotonic(),
            blobs: Vec::new(),
        }
    }

    /// Renews a blob that an entry names.
    ///
    /// # Errors
    /// `Unavailable`: it is gone. Those of [`BlobStore::renew`].
    async fn renew_named(&self, tenant: &TenantId, blob: BlobId) -> Result<()> {
        match self.blobs.renew(tenant, blob).await? {
            BlobRenewed::Renewed(_) => Ok(()),
            BlobRenewed::Missing => Err(gone(blob)),
        }
    }

    /// Renews what was put too long ago: a process that stood still in between may find that it has
    /// been collected.
    ///
    /// # Errors
    /// `Unavailable`: something is gone; the same call puts it again. Those of [`BlobStore::renew`].
    async fn freshen(&self, tenant: &TenantId, spilled: Spilled) -> Result<()> {
        let Spilled { mut since, blobs } = spilled;
        while !blobs.is_empty() && self.clock.monotonic() - since > self.fresh {
            since = self.clock.monotonic();
            for blob in &blobs {
                if self.blobs.renew(tenant, *blob).await? == BlobRenewed::Missing {
                    return Err(gone(*blob));
                }
            }
        }
        Ok(())
    }

    /// Puts what is too large among `entries` into blobs, each durable before this ends; and renews
    /// the blobs that they name, which another journal may have named long ago.
    async fn spill(
        &self,
        tenant: &TenantId,
        entries: &mut [Entry],
        spilled: &mut Spilled,
    ) -> Result<()> {
        for entry in entries {
            for blob in named(&entry.fact) {
                self.renew_named(tenant, blob).await?;
                spilled.blobs.push(blob);
            }
            if !weight::exceeds(&entry.fact, self.limit) {
                continue;
            }
            let json = serde_json::to_vec(&entry.fact).map_err(|error| unwritten(&error))?;
            let kind = kind(&json)
                .ok_or_else(|| unwritten(&"it has no name"))?
                .into();
            let blob = self.blobs.put_bytes(tenant, json.into()).await?.id;
            entry.fact = Fact::Spilled { kind, blob };
            spilled.blobs.push(blob);
        }
        Ok(())
    }

    /// The same for the content of a signal.
    async fn spill_content(
        &self,
        tenant: &TenantId,
        (kind, payload): (&mut String, &mut Value),
        spilled: &mut Spilled,
    ) -> Result<()> {
        if kind.starts_with(SPILLED) {
            let message = format!(
                "the kind `{kind}` of a signal begins with `{SPILLED}`, which says where its content lies"
            );
            return Err(PortError::new(ErrorKind::Invalid, LAYER, "signal", message));
        }
        // Kinds of the store's own are refused by the store.
        if kind.starts_with(SLOT_PREFIX) || !weight::is_over(payload, self.limit) {
            return Ok(());
        }
        let json = serde_json::to_vec(payload).map_err(|error| unwritten(&error))?;
        let blob = self.blobs.put_bytes(tenant, json.into()).await?.id;
        kind.insert_str(0, SPILLED);
        *payload = serde_json::to_value(blob).map_err(|error| unwritten(&error))?;
        spilled.blobs.push(blob);
        Ok(())
    }

    async fn spill_step(&self, tenant: &TenantId, step: &mut Step) -> Result<()> {
        let mut spilled = self.nothing();
        for delivery in &mut step.deliver {
            let content = (&mut delivery.kind, &mut delivery.payload);
            self.spill_content(tenant, content, &mut spilled).await?;
        }
        self.spill(tenant, &mut step.entries, &mut spilled).await?;
        for child in &mut step.children {
            self.spill(tenant, &mut child.entries, &mut spilled).await?;
        }
        self.freshen(tenant, spilled).await
    }

    async fn spill_new(&self, new: &mut NewExecution) -> Result<()> {
        let mut spilled = self.nothing();
        let tenant = new.tenant.clone();
        self.spill(&tenant, &mut new.entries, &mut spilled).await?;
        self.freshen(&tenant, spilled).await
    }
}

#[cfg(sim_bug)]
impl SpillingRepo {
    /// Names blobs, and puts them afterwards.
    async fn step_first(&self, lease: &Lease, step: Step) -> Result<Stepped> {
        let mut named = step.clone();
        for entry in &mut named.entries {
            if weight::exceeds(&entry.fact, self.limit) {
                let json = serde_json::to_vec(&entry.fact).map_err(|error| unwritten(&error))?;
                let kind = kind(&json).unwrap_or_default().into();
                let blob = BlobId::of(&json);
                entry.fact = Fact::Spilled { kind, blob };
            }
        }
        let stepped = self.executions.step(lease, named).await?;
        let mut step = step;
        self.spill_step(&lease.tenant, &mut step).await?;
        Ok(stepped)
    }
}

/// The blobs of the values that a fact names.
pub(crate) fn named(fact: &Fact) -> Vec<BlobId> {
    let mut all = Vec::new();
    fact.each_stored(&mut |blob| all.push(blob));
    all
}

/// What was to be named is not there.
fn gone(blob: BlobId) -> PortError {
    let message = format!("blob {blob} was collected before the journal could name it; try again");
    PortError::new(ErrorKind::Unavailable, LAYER, "step", message)
}

/// The fact that lies in a blob.
///
/// # Errors
/// `Corrupt`: the blob is not there, is damaged, or holds no fact. Those of [`BlobStore::get`].
pub(crate) async fn load(blobs: &dyn BlobStore, tenant: &TenantId, blob: BlobId) -> Result<Fact> {
    match read(blobs, tenant, blob).await? {
        Fact::Spilled { .. } => Err(corrupt(blob, "names another one")),
        fact => Ok(fact),
    }
}

/// Where the content of a signal lies that is not in the inbox itself, and its kind.
///
/// # Errors
/// `Corrupt`: in the place of the content is no name of a blob.
pub fn spilled_content<'k>(kind: &'k str, payload: &Value) -> Result<Option<(&'k str, BlobId)>> {
    let Some(kind) = kind.strip_prefix(SPILLED) else {
        return Ok(None);
    };
    let blob = BlobId::deserialize(payload).map_err(|error| {
        let message = format!("a signal `{kind}` should name the blob with its content: {error}");
        PortError::new(ErrorKind::Corrupt, LAYER, "read the inbox", message)
    })?;
    Ok(Some((kind, blob)))
}

/// What lies in a blob as JSON.
///
/// # Errors
/// As [`load`].
pub(crate) async fn read<T: DeserializeOwned>(
    blobs: &dyn BlobStore,
    tenant: &TenantId,
    blob: BlobId,
) -> Result<T> {
    let Some(json) = blobs.get_bytes(tenant, blob).await? else {
        return Err(not_there(blob));
    };
    serde_json::from_slice(&json)
        .map_err(|error| corrupt(blob, "holds nothing that this build can read").with_source(error))
}

/// A blob is missing that is named.
pub(crate) fn not_there(blob: BlobId) -> PortError {
    corrupt(blob, "is not there")
}

fn corrupt(blob: BlobId, what: &str) -> PortError {
    let message = format!("blob {blob}, which a journal or an inbox names, {what}");
    PortError::new(ErrorKind::Corrupt, LAYER, "read a blob", message)
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
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("step-before-its-blob") {
            return self.step_first(lease, step).await;
        }
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
        let items = self.executions.inbox(tenant, execution, after, limit);
        let mut items = items.await?;
        for item in &mut items {
            if let Some((kind, blob)) = spilled_content(&item.kind, &item.payload)? {
                item.payload = read(&*self.blobs, tenant, blob).await?;
                item.kind = kind.to_owned();
            }
        }
        Ok(items)
    }

    async fn signal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        mut signal: NewSignal,
    ) -> Result<Signalled> {
        let mut spilled = self.nothing();
        let content = (&mut signal.kind, &mut signal.payload);
        self.spill_content(tenant, content, &mut spilled).await?;
        self.freshen(tenant, spilled).await?;
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

    async fn runnable(
        &self,
        rung_before: Timestamp,
        groups: &Groups,
        limit: usize,
    ) -> Result<RunnablePage> {
        let found = self.executions.runnable(rung_before, groups, limit);
        found.await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.executions.backlog().await
    }

    async fn usage(&self, tenant: &TenantId) -> Result<Usage> {
        self.executions.usage(tenant).await
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

    async fn changes(
        &self,
        tenant: &TenantId,
        after: Option<&ChangeCursor>,
        limit: usize,
    ) -> Result<Changes> {
        self.executions.changes(tenant, after, limit).await
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
