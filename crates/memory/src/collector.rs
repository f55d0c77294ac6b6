//! Deleting blobs that no journal names: the calls around the decision.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use nebula_core::{BlobId, Clock, ExecutionId, TenantId, Timestamp};
use nebula_execution::Fact;
use nebula_ports::{
    Blob, BlobDeleted, BlobListing, BlobStore, ErrorKind, ExecutionFilter, ExecutionRepo,
    MAX_BLOB_PAGE, PortError, Result,
};
use serde_json::Value;

use crate::{spill, sweep::Sweep};

/// How many old blobs one collection looks at, at most: what bounds its memory, to some 16 MiB.
pub const MAX_CANDIDATES: usize = 100_000;

/// How many executions, entries or signals are read at once.
const PAGE: usize = 100;

/// How long a blob may be young: what may lie between the moment in which it was put and the commit
/// of the entry that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// The longest lease: who lost it may still write until it ends.
    pub lease: Duration,
    /// The longest attempt: it may put a blob at its beginning and name it in its result.
    pub attempt: Duration,
    /// How far the clocks of processes that share the blobs are apart, at most.
    pub skew: Duration,
}

impl Default for Grace {
    /// A lease of 5 minutes, an attempt of a day, clocks that are an hour apart.
    fn default() -> Self {
        Self {
            lease: Duration::from_mins(5),
            attempt: Duration::from_hours(24),
            skew: Duration::from_hours(1),
        }
    }
}

impl Grace {
    /// Together.
    #[must_use]
    pub fn total(self) -> Duration {
        self.lease + self.attempt + self.skew
    }
}

/// What became of a collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs that were old enough to be looked at.
    pub old: usize,
    /// Blobs that are gone.
    pub deleted: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that nothing named, and that somebody renewed meanwhile.
    pub renewed: usize,
    /// Blobs that a journal names and that cannot be read: missing or damaged. If there are any, nothing was
    /// deleted since that was seen.
    pub unreadable: usize,
}

/// Deletes the blobs of a tenant that are old and that none of its journals and inboxes names.
///
/// Others may write meanwhile. What a journal names is kept as long as the journal is; a blob that is
/// named within another, spilled, fact is kept as well. While something that is named cannot be read, and
/// so may name others, nothing is deleted. Each collection reads every journal of the tenant once, page by
/// page.
#[derive(Debug)]
pub struct Collector {
    executions: Arc<dyn ExecutionRepo>,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    grace: Grace,
}

impl Collector {
    /// A collector over the store itself, not over [`SpillingRepo`](crate::SpillingRepo), which hides names.
    #[must_use]
    pub fn new(
        executions: Arc<dyn ExecutionRepo>,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        grace: Grace,
    ) -> Self {
        Self {
            executions,
            blobs,
            clock,
            grace,
        }
    }

    /// Collects once. It looks at [`MAX_CANDIDATES`] old blobs at a time, and reads every journal for each
    /// such part.
    ///
    /// # Errors
    /// Those of the ports. Nothing that is named is gone then; another collection goes on.
    ///
    /// # Cancel safety
    /// As an error.
    pub async fn collect(&self, tenant: &TenantId) -> Result<Collected> {
        let grace = i64::try_from(self.grace.total().as_millis()).unwrap_or(i64::MAX);
        let now = self.clock.now().as_millis();
        #[cfg(sim_bug)]
        let grace = match nebula_core::sim_bug::is_awake("collector-has-no-grace") {
            true => 0,
            false => grace,
        };
        let mut listing = BlobListing {
            renewed_before: Timestamp::from_millis(now.saturating_sub(grace)),
            limit: MAX_BLOB_PAGE,
            ..BlobListing::default()
        };
        let mut collected = Collected::default();
        loop {
            // First the listing, then the journals: see `Sweep`.
            let mut sweep = Sweep::new(self.old(tenant, &mut listing).await?);
            collected.old += sweep.len();
            #[cfg(sim_bug)]
            if nebula_core::sim_bug::is_awake("collector-keeps-orphans") {
                return Ok(collected);
            }
            if !sweep.is_empty() {
                collected.unreadable = self.mark(tenant, &mut sweep).await?;
            }
            // What it names nobody knows: it may be read again at another try, or come back from a backup.
            if collected.unreadable > 0 {
                return Ok(collected);
            }
            for blob in sweep.doomed() {
                self.delete(tenant, blob, &mut collected).await?;
            }
            if listing.after.is_none() {
                return Ok(collected);
            }
        }
    }

    /// The next blobs that may go by their age; the listing goes on behind them, or ends.
    async fn old(&self, tenant: &TenantId, listing: &mut BlobListing) -> Result<Vec<Blob>> {
        let mut old = Vec::new();
        loop {
            let page = self.blobs.list(tenant, listing).await?;
            old.extend(page.blobs);
            listing.after = page.next;
            if listing.after.is_none() || old.len() + MAX_BLOB_PAGE > MAX_CANDIDATES {
                return Ok(old);
            }
        }
    }

    async fn delete(&self, tenant: &TenantId, blob: Blob, collected: &mut Collected) -> Result<()> {
        let deleted = self
            .blobs
            .delete(tenant, blob.id.digest, blob.renewed_at)
            .await?;
        match deleted {
            BlobDeleted::Deleted => {
                collected.deleted += 1;
                collected.bytes += blob.id.length;
            }
            BlobDeleted::Renewed(_) => collected.renewed += 1,
            BlobDeleted::Missing => {}
        }
        Ok(())
    }

    /// Shows the sweep everything that may name a blob; says how many of those are unreadable.
    async fn mark(&self, tenant: &TenantId, sweep: &mut Sweep) -> Result<usize> {
        let (filter, mut after, mut unreadable) = (ExecutionFilter::default(), None, 0);
        loop {
            let page = self
                .executions
                .list(tenant, &filter, after.as_ref(), PAGE)
                .await?;
            for summary in &page.items {
                unreadable += self.mark_journal(tenant, summary.id, sweep).await?;
                unreadable += self.mark_inbox(tenant, summary.id, sweep).await?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(unreadable);
            }
        }
    }

    async fn mark_journal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        sweep: &mut Sweep,
    ) -> Result<usize> {
        let (mut from, mut unreadable) = (1, 0);
        loop {
            let page = self.executions.journal(tenant, execution, from, PAGE);
            let page = page.await?;
            for stored in &page.entries {
                show_fact(sweep, &stored.entry.fact)?;
                match self.mark_named(tenant, &stored.entry.fact, sweep).await {
                    Ok(()) => {}
                    Err(error) if error.kind == ErrorKind::Corrupt => unreadable += 1,
                    Err(error) => return Err(error),
                }
            }
            match page.next {
                Some(next) => from = next,
                None => return Ok(unreadable),
            }
        }
    }

    /// Shows the sweep what lies in the blob that a fact names, which may name others.
    async fn mark_named(&self, tenant: &TenantId, fact: &Fact, sweep: &mut Sweep) -> Result<()> {
        let loaded = match fact {
            Fact::Spilled { blob, .. } => {
                let loaded = spill::load(&*self.blobs, tenant, *blob).await?;
                show(sweep, &loaded)?;
                Some(loaded)
            }
            _ => None,
        };
        for blob in spill::named(loaded.as_ref().unwrap_or(fact)) {
            self.read_through(tenant, blob, sweep).await?;
        }
        Ok(())
    }

    /// Shows the sweep the bytes of a blob, a piece at a time.
    async fn read_through(&self, tenant: &TenantId, blob: BlobId, sweep: &mut Sweep) -> Result<()> {
        let Some(mut read) = self.blobs.get(tenant, blob, None).await? else {
            return Err(spill::not_there(blob));
        };
        sweep.end();
        while let Some(piece) = read.content.next().await {
            sweep.read(&piece?);
        }
        Ok(())
    }

    async fn mark_inbox(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        sweep: &mut Sweep,
    ) -> Result<usize> {
        let (mut after, mut unreadable) = (0, 0);
        loop {
            let items = self.executions.inbox(tenant, execution, after, PAGE);
            let items = items.await?;
            for item in &items {
                show(sweep, &item.payload)?;
                let content = spill::spilled_content(&item.kind, &item.payload)?;
                let Some((_, blob)) = content else {
                    continue;
                };
                match spill::read::<Value>(&*self.blobs, tenant, blob).await {
                    Ok(payload) => show(sweep, &payload)?,
                    Err(error) if error.kind == ErrorKind::Corrupt => unreadable += 1,
                    Err(error) => return Err(error),
                }
            }
            match items.last() {
                Some(last) if items.len() == PAGE => after = last.seq,
                _ => return Ok(unreadable),
            }
        }
    }
}

/// Shows the sweep a fact. What an attempt was given stands in the fact of its start by its digest, which
/// is that of a blob with the same content: it holds no value, and names nothing. So does an input that
/// lies in a blob, beside the blob's name.
fn show_fact(sweep: &mut Sweep, fact: &Fact) -> Result<()> {
    match fact {
        Fact::AttemptStarted { .. } | Fact::CompensationStarted { .. } => Ok(()),
        Fact::ExecutionStarted(started) if started.input_blob.is_some() => {
            let mut started = started.clone();
            started.input = Arc::default();
            show(sweep, &started)
        }
        _ => show(sweep, fact),
    }
}

/// Shows the sweep the JSON of a value, without holding it.
fn show(sweep: &mut Sweep, value: &impl serde::Serialize) -> Result<()> {
    sweep.end();
    serde_json::to_writer(&mut *sweep, value).map_err(|error| {
        let message = format!("something that was stored cannot be written as JSON: {error}");
        PortError::new(ErrorKind::Corrupt, "collector", "read a journal", message)
    })
}
