//! Messages of MQTT brokers (3.1.1), for triggers that listen to them.
//!
//! Start reading at [`Mqtt`]. The codec of packets is that of `rumqttc`; connection and session are kept here,
//! because an address is checked before anybody connects to it, and a message is acknowledged when it is kept
//! and not when it is read.
//!
//! Does not know: triggers, workflows, or what becomes of a message.
//!
//! # Invariants
//! - No connection is made to an address that the `Egress` of whoever listens does not admit, whatever the name
//!   resolves to.
//! - A message is acknowledged if somebody says so, and else comes again.

mod connection;
mod messages;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use nebula_core::Clock;
pub use nebula_dial::Trusting;
use nebula_ports::{Messages, QueueSource, Result, Subscribing};

use messages::Session;

/// Listens to brokers of MQTT 3.1.1.
#[derive(Clone)]
pub struct Mqtt {
    clock: Arc<dyn Clock>,
    trusting: Trusting,
}

impl Mqtt {
    /// Goes by this clock, and trusts over TLS what `trusting` gives.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, trusting: Trusting) -> Self {
        Self { clock, trusting }
    }
}

impl fmt::Debug for Mqtt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mqtt").finish_non_exhaustive()
    }
}

#[async_trait]
impl QueueSource for Mqtt {
    async fn listen(&self, wanted: Subscribing) -> Result<Box<dyn Messages>> {
        let limit = wanted.timeout;
        let listening = async {
            let stream = connection::connect(&wanted, &self.trusting).await?;
            Session::begin(stream, &wanted, Arc::clone(&self.clock)).await
        };
        tokio::select! {
            biased;
            session = listening => Ok(Box::new(session?)),
            () = self.clock.sleep(limit) => Err(messages::over("the broker does not answer")),
        }
    }
}
