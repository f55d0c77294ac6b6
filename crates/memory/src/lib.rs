//! What is too large for a journal lies in blobs, as long as a journal names it.
//!
//! [`SpillingRepo`] stands before a store of executions: a fact with a large value goes into a blob
//! before the journal names it, and is put back when the journal is read. [`Values`] has the results
//! of attempts, each in a blob of its own, which a state has by its name and somebody reads when an
//! expression needs it; those used lately are kept in memory. [`Collector`] deletes the blobs that no
//! journal names any more; [`Sweep`] is its decision. A [`Budget`] counts the bytes that are held in
//! memory, by leases. Start reading at [`SpillingRepo`].
//!
//! Does not know: any driver, what a fact means, when to collect.
//!
//! # Invariants
//! - A blob is durable, and young, before the entry that names it is committed; a writer that stood
//!   still in between renews it first.
//! - Whoever names a blob in another journal renews it first.
//! - What is kept in memory is bounded, and is that of its tenant and name.
//! - What is read back has the digest that the journal names, or is an error.
//! - A blob is deleted only if it was old before any journal was looked at, if none names it, and if
//!   nobody has renewed it since.
//!
//! ```
//! use nebula_core::{BlobId, Timestamp};
//! use nebula_memory::Sweep;
//! use nebula_ports::Blob;
//!
//! let blob = |content: &[u8]| Blob { id: BlobId::of(content), renewed_at: Timestamp::from_millis(1) };
//! let (named, orphan) = (blob(b"named"), blob(b"orphan"));
//! let mut sweep = Sweep::new([named, orphan]);
//! sweep.read(format!(r#"{{"digest":"{}"}}"#, named.id.digest).as_bytes());
//! assert_eq!(sweep.doomed().collect::<Vec<_>>(), [orphan]);
//! ```

mod budget;
mod collector;
mod counted;
mod spill;
mod sweep;
mod values;
mod weight;

pub use budget::{Budget, ByteLease};
pub use collector::{Collected, Collector, Grace, MAX_CANDIDATES};
pub use counted::CountedBlobs;
pub use spill::{DEFAULT_FRESH, DEFAULT_INLINE, SpillingRepo, spilled_content};
pub use sweep::Sweep;
pub use values::{DEFAULT_CACHE, Values};
