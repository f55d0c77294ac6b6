//! A bounded doorbell in PostgreSQL, for many processes.
//!
//! [`PostgresQueue`] is the `TaskQueue` of a small fleet, which then needs one server. Each call is one
//! statement: a function of the database, which takes the queue, so that no two processes see half of what a
//! third one does. What a crash of the server loses, the sweep over the store brings back. Start reading at
//! [`PostgresQueue`], and at `sql/schema_1.sql` for what lies in the database.
//!
//! Does not know: what a task leads to, who sweeps.
//!
//! # Invariants
//! - Every rule of the port is decided inside one transaction; nothing is decided from what was read before.
//! - No statement needs a session: each works through a pooler that gives every transaction another one.
//! - A receipt has bits of chance of the process that received, so that it answers for one delivery alone,
//!   also after the server forgot everything.
//!
//! ```no_run
//! # async fn example(clock: std::sync::Arc<dyn nebula_core::Clock>, entropy: &dyn nebula_core::Entropy)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use nebula_postgres::Address;
//! use nebula_queue_postgres::{PostgresQueue, PostgresQueueConfig};
//!
//! let address = Address::parse("postgres://nebula:secret@db.internal/nebula", &[])?;
//! let queue = PostgresQueue::open(address, PostgresQueueConfig::default(), clock, entropy).await?;
//! # Ok(())
//! # }
//! ```

mod config;
mod error;
mod link;
mod queue;
mod receipt;
mod relay;
mod schema;

pub use config::{MAX_QUEUE_NAME, PostgresQueueConfig};
pub use queue::{MAX_REASON, MAX_TAKEN, PostgresQueue};
pub use relay::{MAX_RELAYED_BYTES, PostgresRelay};
