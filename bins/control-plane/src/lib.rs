//! What whoever answers for a fleet does from its flags to its end: the control plane, and the server, which is
//! one with a worker.
//!
//! Start reading at [`start`].
//!
//! Does not know: any driver, which of the two it is.
//!
//! # Invariants
//! - What is wrong with flags, settings, address or certificate is told before anything is opened.

mod arguments;
mod serve;

pub use arguments::{Command, Flags};
pub use serve::{Composed, Served, start};
