//! A bounded doorbell in Redis, for many processes.
//!
//! [`RedisQueue`] is the `TaskQueue` of a fleet. Each call is one script, which the server runs as a
//! whole: so no two processes see half of what a third one does, and a call costs one round trip. What
//! the server loses, the sweep over the store brings back. Start reading at [`RedisQueue`], and at
//! `scripts/line.lua` for what lies in Redis.
//!
//! Does not know: what a task leads to, who sweeps.
//!
//! # Invariants
//! - Every rule of the port is decided inside one script; nothing is decided from what was read before.
//! - A receipt has bits of chance of the process that received, so that it answers for one delivery alone,
//!   also after the server forgot everything.
//! - Each task that becomes ready wakes one of those who wait; what that one does not come for, another finds.
//!
//! ```no_run
//! # async fn example(clock: std::sync::Arc<dyn nebula_core::Clock>, entropy: &dyn nebula_core::Entropy)
//! # -> nebula_ports::Result<()> {
//! use nebula_core::SecretString;
//! use nebula_queue_redis::{RedisQueue, RedisQueueConfig, RedisServer};
//!
//! let server = RedisServer::at(&SecretString::from("redis://nebula:secret@redis.internal:6379/0"))?;
//! let queue = RedisQueue::open(server, RedisQueueConfig::default(), clock, entropy).await?;
//! # Ok(())
//! # }
//! ```

mod config;
mod error;
mod link;
mod place;
mod queue;
mod relay;
mod scripts;
mod server;
mod wire;

pub use config::{MAX_QUEUE_NAME, RedisQueueConfig};
pub use place::{RedisServer, Trusting};
pub use queue::{MAX_REASON, MAX_TAKEN, RedisQueue};
pub use relay::{MAX_RELAYED_BYTES, RedisRelay};
