//! What a server does by itself, of those that share a database one at a time.

use std::{sync::Arc, time::Duration};

use nebula_cluster::{Candidate, Duty};
use nebula_core::{Clock, Entropy as _, TenantId};
use nebula_memory::Collector;
use nebula_ports::{DutyName, Incarnation, LeaderElector};
use nebula_system::SystemEntropy;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::compose::Composed;

/// How long nobody collects when the one that does has died.
const TTL: Duration = Duration::from_secs(60);

/// Deletes again and again what no execution names.
#[derive(Debug)]
pub(crate) struct Upkeep {
    collector: Option<Arc<Collector>>,
    elector: Arc<dyn LeaderElector>,
    clock: Arc<dyn Clock>,
    tenant: TenantId,
    every: Duration,
}

impl Upkeep {
    /// Over the database of this process; with a pause of `every`, or never if that is zero.
    pub(crate) fn new(composed: &Composed, tenant: TenantId, every: Duration) -> Self {
        Self {
            collector: composed.collector.clone(),
            elector: composed.elector.clone(),
            clock: composed.clock.clone(),
            tenant,
            every,
        }
    }

    /// Goes on until `stop`. What is under way then is given up, and done again another time.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Some(collector) = self.collector.filter(|_| !self.every.is_zero()) else {
            return stop.cancelled().await;
        };
        let duty = Duty {
            name: DutyName::new("blobs.collect").expect("it has small letters and a dot"),
            ttl: TTL,
            every: self.every,
        };
        let me = Incarnation(SystemEntropy.uuid());
        let candidate = Candidate::new(self.elector, self.clock, me);
        let collect = |_| {
            let (collector, tenant) = (collector.clone(), self.tenant.clone());
            async move { collect(&collector, &tenant).await }
        };
        candidate.lead(&duty, stop, collect).await;
    }
}

async fn collect(collector: &Collector, tenant: &TenantId) {
    match collector.collect(tenant).await {
        Ok(collected) if collected.unreadable > 0 => warn!(
            ?collected,
            "blobs that executions name are missing or damaged, so no blob is deleted; restore the folder of blobs from a backup"
        ),
        Ok(collected) => info!(?collected, "old blobs were collected"),
        Err(error) => warn!(%error, "could not collect old blobs; trying again later"),
    }
}
