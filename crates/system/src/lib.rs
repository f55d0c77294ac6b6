//! Gives the host's clock, entropy, threads, memory, environment, folders and shutdown signals.
//!
//! These are the facts that differ from machine to machine and from moment to moment. Everything
//! else in the workspace gets them through a port or as an argument, so this crate is the one place
//! where the calls that `clippy.toml` forbids are made. Start reading at [`SystemClock`].
//!
//! Does not know: workflows, settings, what the signals are for.
//!
//! # Invariants
//! - [`SystemClock`]'s monotonic time never goes back, whatever happens to the wall clock.
//! - A job that panics on [`ThreadPoolOffload`] takes nothing else down, and its caller is woken.
//! - A task of [`SystemSpawn`] ends with the handle that its caller holds.
//! - A folder is absolute, or there is none.
//!
//! ```
//! use nebula_core::{Clock, Entropy};
//! use nebula_system::{SystemClock, SystemEntropy};
//!
//! let (clock, entropy) = (SystemClock::default(), SystemEntropy);
//! let (first, second) = (entropy.execution_id(clock.now()), entropy.execution_id(clock.now()));
//! assert_ne!(first, second);
//! ```

mod clock;
mod control;
mod entropy;
mod environment;
mod folders;
mod hangup;
mod host;
mod offload;
mod pressure;
mod process;
mod shutdown;
mod spawn;
mod sync;
#[cfg(test)]
mod threads;

pub use clock::SystemClock;
pub use entropy::SystemEntropy;
pub use environment::{EnvironmentError, variable, variables};
pub use folders::{Folders, FoldersError, HOME_VARIABLE, Platform};
pub use hangup::Hangups;
pub use host::{Host, Memory, Stalled};
pub use offload::ThreadPoolOffload;
pub use pressure::HostPressure;
pub use process::ProcessUse;
pub use shutdown::{Shutdown, ShutdownRequest, ShutdownSignal, Urgency};
pub use spawn::SystemSpawn;
