//! Admits, starts, signals and recovers executions: all that is not running.
//!
//! Start reading at [`Engine::start`]; [`Engine::fire`] starts what triggers say, [`Engine::sweep`] is the
//! safety net under everything, and [`Engine::outcome`] answers whoever waits.
//!
//! Does not know: the worker. Both meet at the ports: what is started here is found there through
//! the queue, the sweep, or a lease that the caller hands over.
//!
//! ```
//! use nebula_engine::EngineConfig;
//!
//! let limits: EngineConfig = serde_json::from_str(r#"{ "ring_again": "30s" }"#)?;
//! assert_eq!(limits.ring_again, std::time::Duration::from_secs(30));
//! assert_eq!(limits.concurrency, EngineConfig::default().concurrency);
//! # Ok::<_, serde_json::Error>(())
//! ```
//!
//! # Invariants
//! - What is refused is refused before anything is created.
//! - The plan is stored before the execution that names it.
//! - An answer to a waiting caller comes from the execution repository, never from an event.

mod activations;
mod admission;
mod again;
mod approvals;
mod arrivals;
mod callees;
mod config;
mod emitted;
mod firing;
mod hooks;
mod install;
mod migrate;
mod needs;
mod outcome;
mod polling;
mod queues;
mod replay;
mod report;
mod signals;
mod start;
mod sweep;
mod tenants;
mod triggers;
mod turns;
mod versions;
mod waiting;
mod watching;

use std::sync::Arc;

use nebula_core::{Clock, Entropy};
use nebula_execution::ResumeKey;
use nebula_ports::{
    BlobStore, ExecutionRepo, FolderReader, TaskQueue, TenantRepo, TriggerRepo, WorkflowRepo,
};
use nebula_registry::Registry;
use nebula_telemetry::Bus;
use tokio::sync::Notify;

use nebula_memory::Values;
pub use nebula_planner::{Answer, Callees, Extent, Trial, TrialError, Tried};

pub use again::StartAgainError;
pub use approvals::{OpenApproval, Redeemed, SeatToken, TokenError};
pub use arrivals::MAX_CHAIN;
pub use config::EngineConfig;
pub use firing::FireConfig;
pub use hooks::{DeliverError, Delivered, Delivery, Hook, MAX_HOOK_GRACE};
pub use install::{InstallError, Installed};
pub use migrate::{MigrationError, Migrations};
pub use nebula_trigger::QueueKind;
pub use outcome::{Awaited, Until};
pub use polling::{Look, Looker, MAX_LOOKS, check_look, found_by, look_options};
pub use queues::{MAX_LISTENERS, Queues};
pub use replay::{Moment, Replay, ReplayStep};
pub use report::{CalledBy, Compensated, CompensationStatus, Repeated, Report, ReportError};
pub use start::{SameInput, StartError, Started};
pub use triggers::{Backfilled, FireError, MAX_BACKFILL};
pub use turns::AdmissionError;
pub use waiting::Waiting;

/// What an engine asks of the world.
#[derive(Debug, Clone)]
pub struct EnginePorts {
    /// The record of every execution.
    pub executions: Arc<dyn ExecutionRepo>,
    /// Where workflows and plans are kept.
    pub workflows: Arc<dyn WorkflowRepo>,
    /// Where tenants are settled; without it there is one alone, and nothing bounds it.
    pub tenants: Option<Arc<dyn TenantRepo>>,
    /// Where triggers stand; without it none is fired.
    pub triggers: Option<Arc<dyn TriggerRepo>>,
    /// What is in the folders that triggers watch; without it they are not looked at.
    pub folders: Option<Arc<dyn FolderReader>>,
    /// What executes what triggers look with; without it no trigger polls.
    pub looker: Option<Arc<dyn Looker>>,
    /// The queues to which triggers listen; without them they hear nothing.
    pub queues: Option<Queues>,
    /// The doorbell.
    pub queue: Arc<dyn TaskQueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids and randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where large results lie, to show them; the same as that of the workers.
    pub values: Option<Values>,
    /// From which the tokens of approvals follow; the same as that of the workers.
    pub resume: Option<ResumeKey>,
}

/// Admits, starts, signals and recovers executions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    ports: EnginePorts,
    registry: Arc<Registry>,
    bus: Bus,
    config: EngineConfig,
    /// Rings when triggers have changed, for whoever sleeps until one is due.
    triggers_changed: Arc<Notify>,
    known: Arc<tenants::Known>,
}

impl Engine {
    /// Where lies what is too large for journals, with what attempts put; `None` where nothing lies apart.
    #[must_use]
    pub fn blobs(&self) -> Option<&Arc<dyn BlobStore>> {
        self.ports.values.as_ref().map(Values::blobs)
    }

    /// An engine over these ports.
    #[must_use]
    pub fn new(
        ports: EnginePorts,
        registry: Arc<Registry>,
        bus: Bus,
        config: EngineConfig,
    ) -> Self {
        Self {
            ports,
            registry,
            bus,
            config,
            triggers_changed: Arc::default(),
            known: Arc::default(),
        }
    }
}
