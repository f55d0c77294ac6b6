//! Measures the engine against the floor of its store.
//!
//! A figure alone says little: disks differ tenfold, and the same disk within minutes. So every
//! run is measured interleaved with a [`floor`] (the same statements and bytes by plain SQLite, a
//! fixed number of executions per commit) and with a probe of the [`disk`]; what is compared over
//! time are ratios. `cargo xtask bench` keeps and compares the figures of `benches/end_to_end.rs` (W1, W2,
//! W3, W5), `waiting.rs` (W4), `lists.rs` (W6), `growth.rs` (W7), `under_way.rs` (W8, W9, W10), `listing.rs`
//! and `watchers.rs`; `storage.rs` looks at the store alone, `queues.rs` at the queues.
//!
//! Does not know: what a good figure is.
//!
//! # Invariants
//! - Floor and engine write the same bytes: the floor's are read from a journal of the engine.
//! - Nothing is measured on a database that an earlier measurement has filled.
//!
//! ```
//! use nebula_benches::{Table, chain};
//!
//! let mut table = Table::new(["what", "bytes"]);
//! table.row(["journal of a 10-node chain", &chain::of(10).bytes().to_string()]);
//! assert!(table.to_string().contains("10-node"));
//! ```

pub mod allocated;
pub mod asked;
pub mod chain;
pub mod disk;
pub mod engine;
#[cfg(unix)]
pub mod fleet;
pub mod floor;
pub mod lists;
pub mod load;
pub mod process;
pub mod repo;
pub mod scale;
pub mod server;
mod stats;
pub mod summary;
mod table;
pub mod under_way;
pub mod waiting;
pub mod work;

pub use stats::{Samples, median};
pub use table::Table;
