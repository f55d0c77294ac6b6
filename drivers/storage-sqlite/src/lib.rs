//! Keeps workflows with their triggers, executions, encrypted credentials and identities in one SQLite file, and
//! elects which of the processes that share it does a duty.
//!
//! One thread writes, with group commit and `synchronous=FULL`: an answer means that the disk has
//! it. Others read on connections of their own. Several processes may open one file: leases decide
//! who drives an execution, and the lease of a process that died on this machine ends at once.
//! Start reading at [`Sqlite::open`], then `writer.rs` for the commit and `step.rs` for its heart.
//!
//! Does not know: what entries mean, when to retry, what to delete when.
//!
//! # Invariants
//! - Nothing is acknowledged before its commit is on disk.
//! - A write that is refused changes nothing, and costs its neighbours in the batch nothing.
//! - A damaged file is set aside, never overwritten and never silently begun anew.
//!
//! ```
//! # use std::{sync::Arc, time::Duration};
//! # use nebula_core::{BoxFuture, Clock, TenantId, Timestamp};
//! # #[derive(Debug)]
//! # struct Fixed;
//! # impl Clock for Fixed {
//! #     fn now(&self) -> Timestamp { Timestamp::from_millis(0) }
//! #     fn monotonic(&self) -> Duration { Duration::ZERO }
//! #     fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> { Box::pin(std::future::pending()) }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), nebula_ports::PortError> {
//! use nebula_ports::{ExecutionFilter, ExecutionRepo};
//! use nebula_storage_sqlite::{Sqlite, SqliteConfig};
//!
//! let executions = Sqlite::open(SqliteConfig::ephemeral(), Arc::new(Fixed)).await?;
//! let page = executions.list(&TenantId::local(), &ExecutionFilter::default(), None, 10).await?;
//! assert!(page.items.is_empty());
//! # Ok(())
//! # }
//! ```

mod api_keys;
mod arrivals;
mod attempts;
mod audit_log;
mod backlog;
mod begin;
mod changes;
mod check;
mod checkpoint;
mod config;
mod create;
mod credential_keys;
mod credential_repo;
mod credential_uses;
mod credentials;
mod duties;
mod error;
mod execution_repo;
mod holders;
mod identity_repo;
mod inbox;
mod incident_repo;
mod incidents;
mod known_plans;
mod lease;
mod listing;
mod log;
mod memberships;
mod migrate;
mod opening;
mod principals;
mod projects;
mod rates;
mod read;
mod readers;
mod row;
mod scan;
mod schema;
mod session_repo;
mod sessions;
mod slot_sql;
mod slots;
mod sources;
mod space;
mod sqlite;
mod stats;
mod step;
mod sum;
mod sync;
mod tenants;
#[cfg(test)]
mod threads;
mod trigger_repo;
mod triggers;
mod workflow_repo;
mod workflows;
mod writer;

pub use config::{
    MAX_BATCH, MAX_QUEUED_BYTES, MAX_READERS, MAX_WRITE_BYTES, READ_QUEUE, SMALL_WRITE_BYTES,
    SqliteConfig, WRITE_QUEUE,
};
pub use sqlite::Sqlite;
pub use stats::{SqliteBatches, SqliteStats};
