//! The workflow engine as a crate: durable workflows in your own program.
//!
//! Choose drivers for the ports, build a [`Nebula`], let its [`Nebula::run`] be polled somewhere,
//! and start workflows. Two of them run side by side in one process; nothing is global. Start
//! reading at [`Nebula::builder`].
//!
//! Does not know: any driver, any command line, any HTTP.
//!
//! # Invariants
//! - What is not given to the builder has a documented default; what the engine cannot be without
//!   is an argument.
//! - Dropping the future of [`Nebula::run`] stops all work of this process; nothing accepted is lost.

mod builder;

pub use builder::{BuildError, NebulaBuilder, OFFLOAD_THREADS};
pub use nebula_action as action;
pub use nebula_core as core;
pub use nebula_engine as engine;
pub use nebula_execution as execution;
pub use nebula_ports as ports;
pub use nebula_runtime as runtime;
pub use nebula_telemetry as telemetry;
pub use nebula_workflow as workflow;

mod running;

pub use running::Nebula;
