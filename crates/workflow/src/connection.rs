//! Edges between nodes.

use std::ops::Range;

use nebula_core::NodeId;

use crate::BareExpression;

/// The port or input that is meant when none is named.
pub const MAIN: &str = "main";

/// The port that a node's failure leaves by.
pub const ERROR_PORT: &str = "error";

/// An edge from an output port of one node to an input of another.
///
/// In a definition: an object, a step of `a -> b -> c`, or implied by the order of the nodes.
/// Equality disregards [`Connection::origin`].
#[derive(Debug, Clone)]
pub struct Connection {
    /// The node that sends.
    pub from: NodeId,
    /// The output port it leaves by; default [`MAIN`].
    pub port: String,
    /// The node that receives.
    pub to: NodeId,
    /// The input it ends at; default [`MAIN`].
    pub input: String,
    /// The connection is taken only if this is true.
    pub condition: Option<BareExpression>,
    /// Whether it closes a cycle (field `loop`).
    pub closes_loop: bool,
    /// The most rounds of the loop that it closes.
    pub max_rounds: Option<u32>,
    /// Where the author wrote it.
    pub origin: ConnectionOrigin,
}

impl Connection {
    /// A plain connection from `main` to `main`.
    #[must_use]
    pub fn new(from: NodeId, to: NodeId) -> Self {
        Self {
            from,
            port: MAIN.to_owned(),
            to,
            input: MAIN.to_owned(),
            condition: None,
            closes_loop: false,
            max_rounds: None,
            origin: ConnectionOrigin::default(),
        }
    }
}

impl PartialEq for Connection {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            from,
            port,
            to,
            input,
            condition,
            closes_loop,
            max_rounds,
            origin: _,
        } = self;
        *from == other.from
            && *port == other.port
            && *to == other.to
            && *input == other.input
            && *condition == other.condition
            && *closes_loop == other.closes_loop
            && *max_rounds == other.max_rounds
    }
}

/// Where a connection was written, for diagnostics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionOrigin {
    /// Nowhere: the nodes' order implies it. `pointer` is that of the receiving node.
    Implied {
        /// JSON pointer of the receiving node.
        pointer: String,
    },
    /// As an object.
    Object {
        /// JSON pointer of the object.
        pointer: String,
    },
    /// As a step of a chain `a -> b -> c`.
    Chain {
        /// JSON pointer of the string.
        pointer: String,
        /// The bytes of the string from this step's first node to its second.
        range: Range<usize>,
        /// The byte of the string at which the second node's id begins.
        to: usize,
    },
}

impl ConnectionOrigin {
    /// The JSON pointer to report problems at.
    #[must_use]
    pub fn pointer(&self) -> &str {
        match self {
            Self::Implied { pointer } | Self::Object { pointer } | Self::Chain { pointer, .. } => {
                pointer
            }
        }
    }

    /// The bytes inside the string at the pointer, for a step of a chain.
    #[must_use]
    pub fn range(&self) -> Option<Range<usize>> {
        match self {
            Self::Chain { range, .. } => Some(range.clone()),
            Self::Implied { .. } | Self::Object { .. } => None,
        }
    }
}

impl Default for ConnectionOrigin {
    fn default() -> Self {
        Self::Implied {
            pointer: String::new(),
        }
    }
}
