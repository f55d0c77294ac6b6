//! How a node joins its inputs and fails.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::BareExpression;

/// When a node with several incoming connections runs.
///
/// In a definition: `all`, `any`, `each` or `{ count: 2, rest: absorb }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinRule {
    /// When one token came from every connection; runs if at least one of them is live.
    #[default]
    All,
    /// With the first live token; the rest of the round is absorbed.
    Any,
    /// Once per live token.
    Each,
    /// With the `count`-th live token of a round.
    Count {
        /// How many live tokens it takes; at least 1.
        count: u32,
        /// What becomes of those that come later in the same round.
        rest: JoinRest,
    },
}

impl JoinRule {
    /// How many live tokens start the node and what becomes of the rest; `None` for `all` and `each`.
    #[must_use]
    pub fn threshold(self) -> Option<(u32, JoinRest)> {
        match self {
            Self::All | Self::Each => None,
            Self::Any => Some((1, JoinRest::Absorb)),
            Self::Count { count, rest } => Some((count, rest)),
        }
    }
}

/// What becomes of the tokens that reach a counting join after it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinRest {
    /// They are taken and have no effect.
    #[default]
    Absorb,
    /// They wait until a token came from every connection.
    Block,
    /// What would still send them is cancelled.
    Cancel,
}

/// Which executions of a workflow may run beside each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// The most executions at a time, from 1 to [`Admission::MAX_CONCURRENCY`].
    pub concurrency: u32,
    /// An expression over `$input`: executions for which it gives another value do not count.
    pub key: Option<BareExpression>,
    /// What becomes of a start while as many run as may.
    pub when_full: WhenFull,
    /// How many wait at most, from 1 to [`Admission::MAX_QUEUE`]; default [`Admission::DEFAULT_QUEUE`].
    pub queue: Option<u32>,
}

impl Admission {
    /// The most executions that may run at a time.
    pub const MAX_CONCURRENCY: u32 = 1_000;
    /// The most executions that may wait.
    pub const MAX_QUEUE: u32 = 10_000;
    /// How many wait at most where nothing is said.
    pub const DEFAULT_QUEUE: u32 = 1_000;
}

/// How often executions of a workflow may begin: as a bucket of `burst` tokens, of which each start
/// takes one, and into which `limit` come back in each span of time, evenly.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// How many begin in each span of time, from 1 to [`RateLimit::MAX_LIMIT`].
    pub limit: u32,
    /// The span of time, from [`RateLimit::MIN_PER`] to [`RateLimit::MAX_PER`].
    pub per: Duration,
    /// How many may begin at once, from 1 to [`RateLimit::MAX_LIMIT`]; default: `limit`.
    pub burst: Option<u32>,
    /// An expression over `$input`: each of its values has a bucket of its own.
    pub key: Option<BareExpression>,
    /// What becomes of a start for which there is no token.
    pub when_full: RateFull,
    /// How many wait for theirs at most, from 1 to [`Admission::MAX_QUEUE`]; default
    /// [`Admission::DEFAULT_QUEUE`].
    pub queue: Option<u32>,
}

impl RateLimit {
    /// The most that may begin in one span of time, or at once.
    pub const MAX_LIMIT: u32 = 1_000_000;
    /// The shortest span of time.
    pub const MIN_PER: Duration = Duration::from_secs(1);
    /// The longest span of time.
    pub const MAX_PER: Duration = Duration::from_hours(31 * 24);
}

/// What becomes of a start that would be one too many in its span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateFull {
    /// It begins when its time has come.
    #[default]
    Queue,
    /// It is refused.
    Refuse,
}

/// What becomes of a start while as many executions run as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// It waits for its turn.
    #[default]
    Queue,
    /// It is refused.
    Refuse,
    /// It waits, and the oldest are cancelled.
    CancelOldest,
}

/// What a node's final failure means for the execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The execution fails.
    #[default]
    Fail,
    /// The execution goes on; the node's result is undefined.
    Continue,
    /// The error goes out of the port `error`.
    Route,
}

/// What the final failure of one item means for the list that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnItemError {
    /// The others are stopped, and the node fails.
    Stop,
    /// The others run on; the error stands in the list.
    Continue,
    /// The others run on; the result is `{ results, errors }`.
    Collect,
}

/// What becomes of the items that have not ended when a list is complete early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemsRest {
    /// Those that run are stopped, the others never begin.
    #[default]
    Cancel,
    /// They run on, without effect on what follows.
    Absorb,
}

/// What happens when an attempt's outcome is unknown and repeating it could act twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnIndeterminate {
    /// The other branches run on and the execution waits for a person.
    #[default]
    Park,
    /// The node counts as failed: `on_error` decides.
    Fail,
    /// The attempt is made again: the author accepts that the effect may happen twice.
    Retry,
}
