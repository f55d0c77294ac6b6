//! Conformance suites for drivers, and in-memory models of every port.
//!
//! A driver's test is one line per port: [`execution_repo!`], [`workflow_repo!`], [`task_queue!`],
//! [`blob_store!`], [`http_client!`], [`secrets_store!`], [`credential_repo!`], [`identity_repo!`], [`session_repo!`],
//! [`audit_log!`], [`trigger_repo!`], [`tenant_repo!`], [`incident_repo!`], [`leader_elector!`], [`event_sink!`], [`relay!`] give each rule its own named test; [`control_flow_patterns!`] runs the whole engine over its store, [`mod@reference`] kills it at every call, and [`naive`] says
//! what a workflow must come to; [`servers`] starts real ones for drivers that need them. The models pass the same suites, replace mocks in other
//! crates' tests, and are the oracle for random operations ([`agree`]). Start reading at [`ManualClock`] to
//! test with, at [`mod@execution_repo`] to write a driver, at [`threads`] where threads meet.
//!
//! Does not know: any driver.
//!
//! # Invariants
//! - Nothing here but [`servers`] depends on the host's time, on randomness without a seed, or on scheduling.
//! - Every rule names a guard; a model without that guard fails the rule.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use nebula_core::{Clock, Groups};
//! use nebula_ports::ExecutionRepo;
//! use nebula_testkit::{ManualClock, MemoryExecutionRepo, run_timed};
//!
//! let clock = ManualClock::default();
//! let repo = MemoryExecutionRepo::new(Arc::new(clock.clone()));
//! run_timed(&clock.clone(), async move {
//!     clock.sleep(Duration::from_hours(24)).await; // no time passes outside
//!     let page = repo.runnable(clock.now(), &Groups::All, 10).await.unwrap();
//!     assert_eq!((page.runnable.len(), page.next_due), (0, None));
//! });
//! ```

pub mod agree;
pub mod audit_log;
pub mod blob_store;
mod clock;
pub mod credential_repo;
mod entropy;
pub mod event_sink;
pub mod execution_repo;
mod guard;
pub mod http_client;
pub mod identity_repo;
pub mod incident_repo;
pub mod leader_elector;
mod ledger;
mod memory;
pub mod naive;
mod offload;
pub mod patterns;
mod people;
pub mod reference;
pub mod relay;
mod run;
mod scripted_http;
pub mod secrets_store;
#[cfg(unix)]
pub mod servers;
pub mod session_repo;
pub mod shared_queue;
pub mod simulation;
pub mod stage;
mod suite;
pub mod task_queue;
pub mod tenant_repo;
pub mod threads;
pub mod trigger_repo;
pub mod workflow_repo;

pub use clock::{ManualClock, START};
pub use entropy::SeededEntropy;
pub use ledger::{Ledger, effects};
pub use memory::{
    AuditGuard, BlobGuard, CredentialGuard, DutyGuard, EventGuard, ExecutionGuard, IdentityGuard,
    IncidentGuard, MemoryAuditLog, MemoryBlobStore, MemoryCredentialRepo, MemoryElector,
    MemoryEventSink, MemoryExecutionRepo, MemoryIdentityRepo, MemoryIncidentRepo, MemoryRelay,
    MemorySandbox, MemoryScratch, MemorySecretsStore, MemorySessionRepo, MemoryTaskQueue,
    MemoryTenantRepo, MemoryTriggerRepo, MemoryWorkflowRepo, NEVER_ANSWERED, QueueGuard,
    RelayGuard, SecretsGuard, SessionGuard, TenantGuard, TriggerGuard, WorkflowGuard,
};
pub use offload::InlineOffload;
pub use people::{Ended, People};
pub use run::{run, run_timed, run_timed_unless};
pub use scripted_http::{AskedHttp, ScriptedAnswer, ScriptedHttp};
