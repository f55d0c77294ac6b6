//! Keeps workflows with their triggers, executions, encrypted credentials and identities in PostgreSQL, shared by
//! all processes of a fleet.
//!
//! Some connections write, others read. What gathered while the last transaction of a connection was on its way
//! shares its next one; several are under way at once. Whoever changes an execution has its row locked. The
//! database says what time it is, since it alone is the same for all.
//! Start reading at [`Postgres::open`], then `lanes.rs` for how connections work, `tx.rs` for what a transaction
//! knows and `step.rs` for its heart.
//!
//! Does not know: what entries mean, when to retry, what to delete when.
//!
//! # Invariants
//! - Nothing is acknowledged before its commit is.
//! - A write that is refused changes nothing.
//! - A connection that is lost while a commit is under way is an unknown outcome, and never told as a failure
//!   that left nothing.

mod api_keys;
mod arrivals;
mod ask;
mod attempts;
mod audit_log;
mod backlog;
mod begin;
mod changes;
mod config;
mod create;
mod credential_keys;
mod credential_repo;
mod credential_uses;
mod credentials;
mod duties;
mod error;
mod execution_repo;
mod identity_repo;
mod inbox;
mod incident_repo;
mod incidents;
mod known_plans;
mod lanes;
mod lease;
mod link;
mod listing;
mod memberships;
mod migrate;
mod opening;
mod pending;
mod postgres;
mod principals;
mod projects;
mod rates;
mod read;
mod row;
mod scan;
mod schema;
mod session_repo;
mod sessions;
mod slot_sql;
mod slots;
mod sources;
mod stats;
mod step;
mod tenants;
mod texts;
mod trigger_repo;
mod triggers;
mod tx;
mod work;
mod workflow_repo;
mod workflows;

pub use config::{
    MAX_BATCH, MAX_BATCH_BYTES, MAX_QUEUED_BYTES, MAX_READERS, MAX_TRIES, MAX_WRITE_BYTES,
    MAX_WRITERS, PostgresConfig, READ_QUEUE, SMALL_WRITE_BYTES, WRITE_QUEUE,
};
pub use postgres::Postgres;
pub use stats::PostgresStats;
