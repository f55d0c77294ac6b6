//! Messages of Redis streams, for triggers that listen to them.
//!
//! Start reading at [`RedisStreams`]. Whoever listens is a consumer of a group, so that Redis knows what it was
//! given and has not acknowledged. What it was given before comes first, then what others in its group left, then
//! what is new.
//!
//! Does not know: triggers, workflows, or what becomes of a message.
//!
//! # Invariants
//! - No connection is made to an address that the `Egress` of whoever listens does not admit.
//! - An entry is acknowledged if somebody says so, and else comes again.
//! - Nothing is added to a stream, and nothing removed from one.

mod connection;
mod error;
mod limited;
mod session;
mod wire;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use nebula_core::Clock;
pub use nebula_dial::Trusting;
use nebula_ports::{Messages, QueueSource, Result, Subscribing};

use session::Session;
pub use session::{CLAIM_AFTER, CLAIM_EVERY, MAX_REPLY, READ_AHEAD};

/// Listens to streams of Redis 7.0 or newer.
#[derive(Clone)]
pub struct RedisStreams {
    clock: Arc<dyn Clock>,
    trusting: Trusting,
}

impl RedisStreams {
    /// Goes by this clock, and trusts over TLS what `trusting` gives.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, trusting: Trusting) -> Self {
        Self { clock, trusting }
    }
}

impl fmt::Debug for RedisStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStreams").finish_non_exhaustive()
    }
}

#[async_trait]
impl QueueSource for RedisStreams {
    async fn listen(&self, wanted: Subscribing) -> Result<Box<dyn Messages>> {
        let limit = wanted.timeout;
        let listening = async {
            let connection = connection::connect(&wanted, &self.trusting).await?;
            Session::begin(connection, wanted, Arc::clone(&self.clock)).await
        };
        tokio::select! {
            biased;
            session = listening => Ok(Box::new(session?)),
            () = self.clock.sleep(limit) => Err(error::over("the Redis does not answer")),
        }
    }
}
