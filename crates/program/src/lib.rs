//! What every program of ours does alike, whatever it serves: how it fails and with which exit code, where
//! its results go, the groups of settings that several programs have, files that are the user's alone, and
//! what it finds when it looks at itself.
//!
//! Start reading at [`failure`].
//!
//! Does not know: which programs there are, any driver, any API, how anything runs.
//!
//! # Invariants
//! - Results go to standard output and nothing else does; on a pipe they are JSON.
//! - Every failure says what, where, why and what to do, and ends with the exit code that it means.
//!
//! ```
//! use nebula_program::failure::{Exit, Failure};
//!
//! let failure = Failure::invalid("USAGE", "`8o` is no number").advice("write digits");
//! assert_eq!((failure.exit.code(), failure.code.as_ref()), (2, "USAGE"));
//! assert!(Exit::Environment > failure.exit);
//! ```

pub mod checks;
pub mod closed;
pub mod console;
pub mod ended;
pub mod failure;
pub mod lazy_secrets;
pub mod limits;
pub mod observed;
pub mod private;
mod process_use;
pub mod replace;
pub mod resume_key;
pub mod settings;
pub mod shown;
