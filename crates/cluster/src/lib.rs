//! Keeps processes that share a store going: what one of them at a time does, and the sweep.
//!
//! [`Candidate::lead`] campaigns for a duty, does it again and again while this process leads, and stops
//! before another one can begin. Who leads is decided by a [`LeaderElector`](nebula_ports::LeaderElector).
//! Start reading there. [`Sweep`] finds work that nobody rang for;
//! [`QueueByGroup`] keeps the work of each group of workers apart.
//!
//! Does not know: any driver, what a duty is, what an execution does.
//!
//! # Invariants
//! - Nothing of a duty goes on after its term, by this process's own clock, less a margin.
//! - A duty is given back when it is stopped politely, and free for another one at once.
//!
//! ```
//! use std::{sync::{Arc, atomic::{AtomicU32, Ordering::SeqCst}}, time::Duration};
//! use nebula_cluster::{Candidate, Duty};
//! use nebula_ports::{DutyName, Incarnation};
//! use nebula_testkit::{ManualClock, MemoryElector, run_timed};
//! use tokio_util::sync::CancellationToken;
//!
//! let clock = ManualClock::default();
//! let elector = Arc::new(MemoryElector::new(Arc::new(clock.clone())));
//! let me = Incarnation(uuid::Uuid::from_bytes([7; 16]));
//! let candidate = Candidate::new(elector, Arc::new(clock.clone()), me);
//! let duty = Duty {
//!     name: DutyName::new("blobs.collect").unwrap(),
//!     ttl: Duration::from_secs(60),
//!     every: Duration::from_hours(6),
//! };
//! let (stop, done) = (CancellationToken::new(), AtomicU32::new(0));
//! run_timed(&clock, candidate.lead(&duty, stop.clone(), |_term| {
//!     if done.fetch_add(1, SeqCst) == 2 {
//!         stop.cancel();
//!     }
//!     std::future::ready(())
//! }));
//! assert_eq!(done.into_inner(), 3);
//! ```

mod candidate;
mod queue_by_group;
mod sweep;

pub use candidate::{Candidate, Duty};
pub use queue_by_group::{MAX_GROUPS, OpenQueue, QueueByGroup};
pub use sweep::Sweep;
