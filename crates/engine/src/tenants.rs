//! What is settled about tenants, as whoever admits their executions needs it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nebula_core::TenantId;
use nebula_execution::NewExecution;
use nebula_ports::{
    BlobListing, MAX_WEIGHTED, PortError, Tenant, TenantPut, TenantRepo, Usage, Weights,
};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{AdmissionError, Engine};

/// For how long what was read of a tenant is taken to be so: so long does a start in another process go by
/// what was settled before.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// For how long the bytes of a tenant are taken to be as many as were counted: whoever starts meanwhile is
/// held against that.
const COUNTED_FOR: Duration = Duration::from_secs(60);

/// How many tenants are known at once; above that, all are read again.
const MAX_KNOWN: usize = 10_000;

/// How often the queue is told what tenants weigh: so long does what was settled before count.
const WEIGH_EVERY: Duration = Duration::from_secs(10);

/// How many blobs, or tenants, are listed at a time.
const PAGE: usize = 1_000;

/// What was read of each tenant, and when.
type Times<T> = BTreeMap<TenantId, (Duration, T)>;

/// What was read of tenants lately.
#[derive(Debug, Default)]
pub(crate) struct Known {
    tenants: Mutex<Times<Option<Arc<Tenant>>>>,
    bytes: Mutex<Times<u64>>,
}

impl Engine {
    /// Where tenants are settled; `None` where there is one alone.
    #[must_use]
    pub fn tenants(&self) -> Option<&Arc<dyn TenantRepo>> {
        self.ports.tenants.as_ref()
    }

    /// What is settled about a tenant, as it was a second ago or later; `None` if nothing is.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<Tenant>>, PortError> {
        let Some(tenants) = &self.ports.tenants else {
            return Ok(None);
        };
        let now = self.ports.clock.monotonic();
        if let Some((at, known)) = self.known.tenants.lock().get(id)
            && now.saturating_sub(*at) < KNOWN_FOR
        {
            return Ok(known.clone());
        }
        let found = tenants.tenant(id).await?.map(Arc::new);
        let mut known = self.known.tenants.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(id.clone(), (now, found.clone()));
        Ok(found)
    }

    /// Settles the next version of a tenant; `None` where there is one alone. This process goes by it at
    /// once, others after a second.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn put_tenant(&self, new: Tenant) -> Result<Option<TenantPut>, PortError> {
        let Some(tenants) = &self.ports.tenants else {
            return Ok(None);
        };
        let id = new.id.clone();
        let put = tenants.put_tenant(new).await;
        self.known.tenants.lock().remove(&id);
        put.map(Some)
    }

    /// How much a tenant uses, with its blobs, which are counted now.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn usage(&self, tenant: &TenantId) -> Result<Usage, PortError> {
        let mut used = self.ports.executions.usage(tenant).await?;
        let Some(blobs) = self.blobs() else {
            return Ok(used);
        };
        let mut listing = BlobListing {
            limit: PAGE,
            ..BlobListing::default()
        };
        loop {
            let page = blobs.list(tenant, &listing).await?;
            used.bytes += page.blobs.iter().map(|it| it.id.length).sum::<u64>();
            match page.next {
                Some(next) => listing.after = Some(next),
                None => return Ok(used),
            }
        }
    }

    /// Holds a new execution against what is settled about its tenant, and notes on it what the store is to
    /// hold it against.
    ///
    /// # Errors
    /// `Disabled`, `Quota`, `Store`.
    pub async fn admit_tenant(&self, new: &mut NewExecution) -> Result<(), AdmissionError> {
        let Some(tenant) = self.tenant(&new.tenant).await? else {
            return Ok(());
        };
        if tenant.disabled {
            let tenant = tenant.id.clone();
            return Err(AdmissionError::Disabled { tenant });
        }
        new.quotas = tenant.quotas;
        if tenant.quotas.bytes.is_some() {
            let used = Usage {
                bytes: self.counted(&tenant.id).await?,
                ..Usage::default()
            };
            tenant
                .quotas
                .admit(&used)
                .map_err(|exceeded| AdmissionError::Quota {
                    exceeded,
                    try_after: COUNTED_FOR,
                })?;
        }
        Ok(())
    }

    /// Tells the queue again and again what tenants weigh, until `stop`.
    pub(crate) async fn weigh_on(&self, stop: CancellationToken) {
        let Some(tenants) = &self.ports.tenants else {
            return;
        };
        loop {
            if let Err(error) = self.weigh(tenants.as_ref()).await {
                warn!(%error, "could not tell the queue what tenants weigh; trying again");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.ports.clock.sleep(WEIGH_EVERY) => {}
            }
        }
    }

    async fn weigh(&self, tenants: &dyn TenantRepo) -> Result<(), PortError> {
        let (mut weights, mut after, mut room) = (Weights::default(), None, true);
        loop {
            let page = tenants.tenants(after.as_ref(), PAGE).await?;
            let last = page.last().map(|it| it.id.clone());
            let full = page.len() == PAGE;
            for tenant in page {
                room &= weights.set(tenant.id, tenant.weight);
            }
            match last {
                Some(last) if full => after = Some(last),
                _ => break,
            }
        }
        if !room {
            warn!("more than {MAX_WEIGHTED} tenants weigh more than 1; the others weigh 1");
        }
        self.ports.queue.set_weights(&weights).await
    }

    /// How many bytes a tenant has, as it was a minute ago or later.
    async fn counted(&self, tenant: &TenantId) -> Result<u64, PortError> {
        let now = self.ports.clock.monotonic();
        let known = self.known.bytes.lock().get(tenant).copied();
        if let Some((at, bytes)) = known
            && now.saturating_sub(at) < COUNTED_FOR
        {
            return Ok(bytes);
        }
        if let Some((_, bytes)) = known {
            // One counts, and whoever comes meanwhile goes by what was counted before.
            let before = (now, bytes);
            self.known.bytes.lock().insert(tenant.clone(), before);
        }
        let bytes = self.usage(tenant).await?.bytes;
        let mut known = self.known.bytes.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(tenant.clone(), (now, bytes));
        Ok(bytes)
    }
}
