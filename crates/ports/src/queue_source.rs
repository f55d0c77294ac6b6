//! Queues elsewhere, to which triggers listen.

use std::{fmt, net::IpAddr, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use nebula_action::{Egress, Target};
use nebula_core::{SecretString, Timestamp};

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
    /// Whose messages these are, where several share them, each of which gets some; without it, those of the
    /// consumer alone. Of a queue that knows no groups there is none.
    pub group: Option<String>,
    /// From when on messages are wanted, of a queue that keeps old ones, for the first who listens; `None`: all.
    pub since: Option<Timestamp>,
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

/// Where a queue is, and whether somebody may go there.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// A name, or an address; one of version 6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    target: Target,
    egress: &'a Egress,
}

impl Subscribing {
    /// Where the connection is to be made.
    ///
    /// # Errors
    /// Why it cannot be, for people: the address is none, or nobody was let there.
    pub fn place(&self) -> std::result::Result<Place<'_>, String> {
        let (address, egress) = (&self.address, &self.egress);
        let url = Egress::address(address).map_err(|error| format!("{address}: {error}"))?;
        let target = egress.target(&url).map_err(|it| it.to_string())?;
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => Ok(Place {
                host: host.to_owned(),
                port,
                target,
                egress,
            }),
            _ => Err(format!("{address} names no host and port")),
        }
    }
}

impl Place<'_> {
    /// Whether a connection may be made to this one of its addresses.
    ///
    /// # Errors
    /// Why not, and what would open it.
    pub fn admits(&self, address: IpAddr) -> std::result::Result<(), String> {
        let admitted = self.egress.admits(&self.target, address);
        admitted.map_err(|refusal| match &refusal.capability {
            Some(capability) => format!("{refusal}; `requires: [\"{capability}\"]` opens it"),
            None => refusal.to_string(),
        })
    }
}

/// What is in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Bytes.
    Bytes(Bytes),
    /// Names with values, in their order; a name may come several times.
    Fields(Vec<(Bytes, Bytes)>),
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Under which name it was published.
    pub name: String,
    /// By what the queue knows it among those of that name, if it says so.
    pub id: Option<String>,
    /// What is in it.
    pub payload: Payload,
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
