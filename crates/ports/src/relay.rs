//! How processes of a fleet tell each other what would otherwise be found by looking.

use std::fmt;

use async_trait::async_trait;

use crate::Result;

/// What a message is about. Whoever listens chooses among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RelayTopic {
    /// Who wants to hear what.
    Interest,
    /// Where executions come to a halt, and that something waits for triggers.
    Halts,
    /// What becomes true of executions.
    Events,
}

impl RelayTopic {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Interest, Self::Halts, Self::Events];

    /// A word of lower-case letters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interest => "interest",
            Self::Halts => "halts",
            Self::Events => "events",
        }
    }
}

/// Carries short messages between the processes of a fleet, at most once: any may be lost, and nobody is told.
/// So nothing is driven by one; it only spares whoever hears it from looking.
///
/// Rules (each is a test of `nebula_testkit::relay!`): a message reaches everybody who listens to its topic
/// then, the sender too; those of one sender come in the order in which they were sent, and as they were sent;
/// nobody hears a topic that they do not listen to, or what was sent before they listened; one that is longer
/// than [`Relay::longest`] is refused; it is no error that nobody listens; a call that is given up loses
/// nothing; whoever left holds up nobody.
#[async_trait]
pub trait Relay: fmt::Debug + Send + Sync + 'static {
    /// How long a message may be, in bytes; at least 1,000.
    fn longest(&self) -> usize;

    /// Sends a message to everybody who listens to its topic.
    ///
    /// # Errors
    /// `Invalid`: it is too long. `Unavailable`: it may not have reached anybody.
    ///
    /// # Cancel safety
    /// A dropped call may have sent it.
    async fn send(&self, topic: RelayTopic, message: &str) -> Result<()>;

    /// Listens to these topics: whatever is sent once the call has returned.
    ///
    /// # Errors
    /// `Unavailable`: there is no way to the others.
    ///
    /// # Cancel safety
    /// A dropped call leaves nothing.
    async fn listen(&self, topics: &[RelayTopic]) -> Result<Box<dyn Listening>>;
}

/// One who listens; from [`Relay::listen`].
#[async_trait]
pub trait Listening: fmt::Debug + Send + 'static {
    /// The next message. `None` once some may have been missed: the way was lost, or too many came at a time;
    /// nothing comes any more, so whoever wants to hear on listens anew.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    async fn next(&mut self) -> Option<(RelayTopic, String)>;
}
