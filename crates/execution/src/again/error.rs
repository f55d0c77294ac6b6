//! Why an execution cannot be gone over again.

use nebula_core::{ExecutionId, NodeId};

use super::MAX_COPIED_ENTRIES;

/// Why an execution cannot be gone over again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgainError {
    /// It may still do by itself what is asked for.
    #[error("{execution} has not ended")]
    NotEnded {
        /// Which execution.
        execution: ExecutionId,
    },
    /// There is nothing to retry.
    #[error("{execution} completed: nothing of it failed")]
    Completed {
        /// Which execution.
        execution: ExecutionId,
    },
    /// The workflow has no such node.
    #[error("the workflow `{workflow}` has no node `{node}`")]
    UnknownNode {
        /// The workflow.
        workflow: String,
        /// What was asked for.
        node: NodeId,
        /// The node that has almost this name.
        near: Option<String>,
    },
    /// The node did nothing that could be done again.
    #[error("node `{node}` did not run in {execution}: nothing led to it")]
    NotReached {
        /// The node.
        node: NodeId,
        /// Which execution.
        execution: ExecutionId,
    },
    /// What a body did outside must not be done twice, and the part of it runs again in which it was.
    #[error(
        "node `{node}` may have acted outside in a body that runs again from before it, and must not act twice"
    )]
    ActedInBody {
        /// The node in the body.
        node: NodeId,
    },
    /// What follows from an undone effect runs again, and this must not.
    #[error(
        "node `{node}` acted outside behind what was undone, and must not act twice: give it `compensate`, or restart the execution"
    )]
    ActedBehind {
        /// The node.
        node: NodeId,
    },
    /// It gave other nodes up, in a part of a body that runs again from before it.
    #[error(
        "node `{node}` gave other nodes up in a body that runs again from before it: restart the execution"
    )]
    GaveUp {
        /// The node in the body.
        node: NodeId,
    },
    /// A body begins again as a whole.
    #[error("node `{node}` stands in a body, and runs again only with the node that has the body")]
    InBody {
        /// The node in the body.
        node: NodeId,
    },
    /// Too much of it would have to be copied.
    #[error(
        "more than {MAX_COPIED_ENTRIES} entries of {execution} would have to be copied, which is the limit"
    )]
    TooMany {
        /// Which execution.
        execution: ExecutionId,
    },
}
