//! Runs first-party actions in the engine's own process.
//!
//! [`InProcess`] implements [`SandboxRunner`](nebula_ports::SandboxRunner) for native actions:
//! deadline and grace by the [`Clock`](nebula_core::Clock) port, results counted before they are
//! taken, panics turned into errors. Start reading at [`InProcess`].
//!
//! Does not know: which actions exist, who may do what: the context that it passes on carries the
//! grants. In-process code is trusted first-party code; the gate keeps honest code honest.
//!
//! # Invariants
//! - An attempt that may have written and whose end nobody saw is of class `Unknown`.
//! - No error carries a value, not even the message of a panic.
//! - Nothing is spawned: dropping the future of a run drops the attempt.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # fn example(clock: Arc<dyn nebula_core::Clock>) {
//! use nebula_ports::SandboxRunner;
//! use nebula_sandbox_inprocess::InProcess;
//!
//! let sandbox: Arc<dyn SandboxRunner> = Arc::new(InProcess::new(clock));
//! # }
//! ```

mod count;
mod sandbox;

pub use sandbox::InProcess;
