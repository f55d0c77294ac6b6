//! The worker: leases an execution, drives its machine, runs attempts, commits, acks.
//!
//! Start reading at [`Worker::run`], then `drive.rs`, which is the way of one execution while it
//! is in memory. The machine decides; here it is done.
//!
//! Does not know: which drivers are behind the ports, how executions are admitted, any API.
//!
//! ```
//! use nebula_runtime::WorkerConfig;
//!
//! let limits = r#"{ "executions": 8, "lease_ttl": "30s" }"#;
//! let limits: WorkerConfig = serde_json::from_str(limits)?;
//! assert_eq!(limits.lease_ttl, std::time::Duration::from_secs(30));
//! assert_eq!(limits.grace, WorkerConfig::default().grace);
//! # Ok::<_, serde_json::Error>(())
//! ```
//!
//! # Invariants
//! - An external write begins only after its `AttemptStarted` is committed, and nothing outside
//!   begins before its execution exists.
//! - A secret is opened after the start of its attempt is in the journal, lives no longer than the
//!   attempt, and is in nothing that the attempt gives.
//! - Nothing outside sees what depends on an outcome before the outcome is committed.
//! - A delivery is acked only after what it led to is committed.
//! - Nothing begins once the lease may be over, or once a cancellation was read, but compensations.
//! - A holder that may have been overtaken stops its attempts and writes nothing more.
//! - What leaves over HTTP through [`PacedHttp`] keeps the limits of its destination and credential.
//! - A result that lies in a blob is read only if something needs it, and is let go of after that.
//! - All work hangs on the future of [`Worker::run`]: dropping it stops everything.

mod adopt;
mod approvals;
mod attempt;
mod begin;
mod blobs;
mod bodies;
mod calls;
mod child_again;
mod commit;
mod compensation;
mod config;
mod control;
mod credentials;
mod deliveries;
mod drain;
mod drive;
mod evaluate;
mod finish;
mod flush;
mod grants;
mod hands;
mod inbox;
mod items;
mod kept;
mod lease;
mod live;
mod load;
mod memory;
mod observed;
mod output;
mod outward;
mod parts;
mod prepare;
mod refusals;
mod ring;
mod signals;
mod slots;
mod stored;
mod suspects;
mod sync;
#[cfg(test)]
mod threads;
mod turn;
mod worker;

pub use begin::{Beginning, Begins};
pub use config::{WorkerConfig, WorkerConfigError};
pub use outward::{CallLimits, HttpPolicy, HttpPolicyError, Lane, LaneState, PacedHttp};
pub use worker::{Worker, WorkerPorts, WorkerStopped};
