//! Runs listed programs of the host.
//!
//! [`Programs`] is the port [`ProgramRunner`]; [`actions`] gives
//! `process.run` over it. Start reading at [`Programs`].
//!
//! Does not know: which grants a node has, how they came about, what a program is for.
//!
//! # Invariants
//! - Nothing runs that the operator did not list, and nothing is listed by default.
//! - A program gets no variable and no open file of the engine's, and no shell reads its arguments.
//! - With a program ends its process group; it is waited for, and leaves no zombie.
//! - What a program prints takes no more memory than its call allows, and never holds it up.
//!
//! What this is not: a wall. A program has the rights of the user under whom the engine runs.
//!
//! ```
//! use std::sync::Arc;
//! use nebula_sandbox_process::{ProcessConfig, Programs};
//!
//! let nothing = Programs::new(ProcessConfig::default(), Arc::new(nebula_system::SystemClock::default()));
//! let actions = nebula_sandbox_process::actions(Arc::new(nothing));
//! assert_eq!(actions[0].metadata().id.as_str(), "process.run");
//! ```

mod action;
mod config;
#[cfg(unix)]
mod folder;
#[cfg(unix)]
mod group;
#[cfg(target_os = "linux")]
mod inherited;
mod programs;

use std::sync::Arc;

use nebula_action::Action;
use nebula_ports::ProgramRunner;

pub use action::{DEFAULT_OUTPUT, KEY_VARIABLE, MAX_ARGUMENTS, MAX_INPUT, MAX_OUTPUT, ProcessRun};
pub use config::{MAX_RUNNING, ProcessConfig};
pub use programs::{DRAIN, KILL_AFTER, Programs};

/// Every action of this crate, over `programs`.
#[must_use]
pub fn actions(programs: Arc<dyn ProgramRunner>) -> Vec<Arc<dyn Action>> {
    vec![Arc::new(ProcessRun::new(programs))]
}
