//! Queues elsewhere, to which triggers listen.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use nebula_action::Egress;
use nebula_core::SecretString;

use crate::Result;

/// How messages are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handing {
    /// Each at most once: what comes while nobody listens is gone.
    Once,
    /// Each until it is acknowledged: what comes while nobody listens waits at the queue, and what is not
    /// acknowledged comes again.
    UntilAcknowledged,
}

/// To what somebody listens.
#[derive(Debug, Clone)]
pub struct Subscribing {
    /// Who listens, at most 23 letters and digits: the queue keeps what comes for them while they are away.
    /// Only one may listen under one name.
    pub consumer: String,
    /// Where the queue is: `host:port`.
    pub address: String,
    /// Whether over TLS.
    pub tls: bool,
    /// The names under which messages are published, as the queue writes them.
    pub names: Vec<String>,
    /// How they are handed over.
    pub handing: Handing,
    /// As whom.
    pub login: Option<(String, SecretString)>,
    /// To where a connection may be made.
    pub egress: Egress,
    /// How long it may take to be let in.
    pub timeout: Duration,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Under which name it was published.
    pub name: String,
    /// What is in it.
    pub payload: Bytes,
    /// Whether it may have been handed over before.
    pub again: bool,
    /// Whether it was there before anybody listened, as the last one of its name.
    pub kept: bool,
    /// With what it is acknowledged, if it is to be.
    pub receipt: Option<u64>,
}

/// Lets triggers listen to queues of one kind.
#[async_trait]
pub trait QueueSource: fmt::Debug + Send + Sync + 'static {
    /// Begins to listen.
    ///
    /// # Errors
    /// `Invalid`: the queue refuses it, or nobody may go there; the text says why. `Unavailable`: the queue
    /// cannot be reached now.
    ///
    /// # Cancel safety
    /// A dropped call listens to nothing; the queue may keep messages for it.
    async fn listen(&self, wanted: Subscribing) -> Result<Box<dyn Messages>>;
}

/// Messages, as they come.
///
/// Rules: in the order of the queue; what is not acknowledged comes again to whoever listens next under the
/// same name, marked as [`Message::again`]. Dropping it ends the connection.
#[async_trait]
pub trait Messages: fmt::Debug + Send {
    /// The next message.
    ///
    /// # Errors
    /// `Unavailable`: the connection is over.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    async fn next(&mut self) -> Result<Message>;

    /// Says that a message need not come again.
    ///
    /// # Errors
    /// `Unavailable`: the connection is over, and the message may come again.
    async fn acknowledge(&mut self, receipt: u64) -> Result<()>;

    /// Says that there is somebody, although no message is taken now.
    ///
    /// # Errors
    /// `Unavailable`: the connection is over.
    async fn keep_alive(&mut self) -> Result<()>;

    /// Wants no more messages, also while nobody listens.
    ///
    /// # Errors
    /// `Unavailable`: the connection is over, and the queue may keep messages for nobody.
    async fn leave(&mut self) -> Result<()>;
}
