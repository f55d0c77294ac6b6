//! What a server does by itself beside answering, of those that share a store each, or one at a time.

use std::{sync::Arc, time::Duration};

use nebula::{Nebula, engine::FireConfig};
use nebula_cluster::{Candidate, Duty};
use nebula_core::{Clock, Entropy as _, TenantId};
use nebula_memory::Collector;
use nebula_ports::{DutyName, Incarnation, LeaderElector};
use nebula_system::SystemEntropy;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long nobody collects when the one that does has died.
const COLLECTOR_TTL: Duration = Duration::from_secs(60);

/// How long nobody fires triggers or looks for lost work when the one that does has died: longer than a busy
/// machine forgets a process, and so short that one that is started again does not wait for its predecessor.
const TTL: Duration = Duration::from_secs(5);

/// How many tenants are listed at a time.
const PAGE: usize = 100;

/// How long it pauses before it begins again with what goes on as long as it leads.
const AGAIN: Duration = Duration::from_secs(1);

/// Who does something, of all that share a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Each process for itself.
    Each,
    /// One process at a time, while it leads.
    One,
    /// Others, and not this process.
    Others,
}

/// Who does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duties {
    /// Rings for work that nobody rang for. Each process does, where its queue is its own.
    pub sweep: Share,
    /// Starts what triggers say.
    pub fire: Share,
}

/// Does them.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) nebula: Nebula,
    pub(crate) elector: Arc<dyn LeaderElector>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tenant: TenantId,
    pub(crate) duties: Duties,
    pub(crate) fire: FireConfig,
    /// Deletes what no execution names, if anything lies apart.
    pub(crate) collector: Option<Arc<Collector>>,
    /// With this pause, or never if it is zero.
    pub(crate) collect_every: Duration,
}

impl Keeper {
    /// Goes on until `stop`. What is under way then is given up, and done again another time, by whomever.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let me = Incarnation(SystemEntropy.uuid());
        let candidate = Candidate::new(self.elector, self.clock, me);
        let nebula = &self.nebula;
        let forever = || CancellationToken::new();
        let sweep = shared(
            &candidate,
            "executions.sweep",
            self.duties.sweep,
            &stop,
            || nebula.engine().sweep(forever()),
        );
        let fire = shared(&candidate, "triggers.fire", self.duties.fire, &stop, || {
            nebula.fire(self.fire.clone(), forever())
        });
        let collect = async {
            let Some(collector) = self.collector.filter(|_| !self.collect_every.is_zero()) else {
                return stop.cancelled().await;
            };
            let duty = duty("blobs.collect", COLLECTOR_TTL, self.collect_every);
            let collect = |_| {
                let (collector, own) = (collector.clone(), self.tenant.clone());
                async move { collect_all(&collector, nebula, own).await }
            };
            candidate.lead(&duty, stop.clone(), collect).await;
        };
        tokio::join!(sweep, fire, collect);
    }
}

fn duty(name: &'static str, ttl: Duration, every: Duration) -> Duty {
    let name = DutyName::new(name).expect("it has small letters and a dot");
    Duty { name, ttl, every }
}

/// Does what goes on for ever, until `stop`, as long as it is this process's to do.
async fn shared<F: Future<Output = ()>>(
    candidate: &Candidate,
    name: &'static str,
    share: Share,
    stop: &CancellationToken,
    work: impl Fn() -> F,
) {
    match share {
        Share::Others => stop.cancelled().await,
        Share::Each => tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = work() => {}
        },
        Share::One => {
            let duty = duty(name, TTL, AGAIN);
            candidate.lead(&duty, stop.clone(), |_| work()).await;
        }
    }
}

/// Collects for the server's own tenant, and for each other that there is.
async fn collect_all(collector: &Collector, nebula: &Nebula, own: TenantId) {
    collect(collector, &own).await;
    let Some(tenants) = nebula.engine().tenants() else {
        return;
    };
    let mut after = None;
    loop {
        let page = match tenants.tenants(after.as_ref(), PAGE).await {
            Ok(page) => page,
            Err(error) => {
                warn!(%error, "could not list tenants; their old blobs are collected another time");
                return;
            }
        };
        for tenant in page.iter().filter(|it| it.id != own) {
            collect(collector, &tenant.id).await;
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.id.clone()),
            _ => return,
        }
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
