//! The workflow engine as a crate: durable workflows in your own program.
//!
//! Choose drivers for the ports, build a [`Nebula`], let its [`Nebula::run`] be polled somewhere,
//! and start workflows. Two of them run side by side in one process; nothing is global. Start
//! reading at [`Nebula::builder`].
//!
//! Does not know: any driver, any command line, any HTTP.
//!
//! ```
//! use std::sync::Arc;
//!
//! use nebula::{Nebula, core::TenantId, engine::Until, execution::StartOptions, workflow};
//! use nebula_testkit::{
//!     ManualClock, MemoryExecutionRepo, MemorySandbox, MemoryTaskQueue, MemoryWorkflowRepo,
//!     run_timed,
//! };
//! use serde_json::json;
//! use tokio_util::sync::CancellationToken;
//!
//! let clock = ManualClock::default();
//! let time = Arc::new(clock.clone());
//! let nebula = Nebula::builder(
//!     Arc::new(MemoryExecutionRepo::new(time.clone())),
//!     Arc::new(MemoryWorkflowRepo::new(time.clone())),
//!     Arc::new(MemoryTaskQueue::new(time.clone(), 100, 5)),
//!     Arc::new(MemorySandbox::new(time.clone())),
//! )
//! .clock(time)
//! .build()
//! .unwrap();
//!
//! let text = "nodes: [ { id: twice, action: data.set, parameters: { n: '{{ $input.n * 2 }}' } } ]";
//! let definition = workflow::parse(&workflow::Source::new("twice.yaml", text)).definition.unwrap();
//! run_timed(&clock, async move {
//!     let tenant = TenantId::local();
//!     let installed = nebula.engine().install(&tenant, &definition).await.unwrap();
//!     let options = StartOptions::default();
//!     let id = nebula.start(&tenant, &installed, json!({ "n": 2 }), options).await.unwrap();
//!     let outcome = nebula.engine().outcome(&tenant, id, Until::Ended, None);
//!     tokio::select! {
//!         stopped = nebula.run(CancellationToken::new()) => panic!("{stopped:?}"),
//!         report = outcome => assert_eq!(report.unwrap().unwrap().output, json!({ "n": 4 })),
//!     }
//! });
//! ```
//!
//! # Invariants
//! - What is not given to the builder has a documented default; what the engine cannot be without
//!   is an argument.
//! - Dropping the future of [`Nebula::run`] stops all work of this process; nothing accepted is lost.

mod builder;
mod looks;

pub use builder::{BuildError, NebulaBuilder, OFFLOAD_THREADS};
pub use nebula_access as access;
pub use nebula_action as action;
pub use nebula_core as core;
pub use nebula_engine as engine;
pub use nebula_execution as execution;
pub use nebula_ports as ports;
pub use nebula_registry as registry;
pub use nebula_runtime as runtime;
pub use nebula_telemetry as telemetry;
pub use nebula_workflow as workflow;

mod running;

pub use running::{ExecuteError, Nebula};
