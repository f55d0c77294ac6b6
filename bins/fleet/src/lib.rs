//! What the programs of a fleet are made of alike: their common flags and settings, and which driver stands
//! behind each port.
//!
//! Start reading at [`compose::open`]: it alone names drivers. A setting's address says which one it is, so
//! that a new driver is one more scheme there.
//!
//! Does not know: which of its parts a program uses, the API, the worker, the engine.
//!
//! # Invariants
//! - A key that a program does not have, a relative path and an address with a password in it are refused.
//! - What an address of another file holds is neither shown nor logged.

pub mod address;
pub mod arguments;
pub mod checks;
pub mod compose;
pub mod settings;
pub mod start;
