//! Why an action is not taken.

use nebula_action::InterfaceVersion;
use nebula_core::ActionId;
use nebula_validator::{Problem, SchemaError};

/// Why an action is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The id has this version already.
    #[error("`{id}@{version}` is registered twice; raise the version of one or leave one out")]
    Duplicate {
        /// The action.
        id: ActionId,
        /// Its version.
        version: InterfaceVersion,
    },
    /// One of its schemas is no schema.
    #[error("the {which} schema of `{id}` cannot be used: {error}")]
    Schema {
        /// The action.
        id: ActionId,
        /// `parameters` or `output`.
        which: &'static str,
        /// What is wrong with it.
        error: Box<SchemaError>,
    },
    /// An example does not fit the action's own metadata.
    #[error("the example \"{title}\" of `{id}` has wrong {part}: {problem}")]
    Example {
        /// The action.
        id: ActionId,
        /// The example.
        title: String,
        /// `parameters`, `output` or `port`.
        part: &'static str,
        /// The first problem.
        problem: Box<Problem>,
    },
}
