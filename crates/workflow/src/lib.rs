//! Reads workflow definitions and reports every problem of them at once.

mod bare;
mod connection;
mod definition;
mod diagnostic;
mod nearest;
mod node;
mod policy;
mod source;
mod source_map;
mod tree;

pub use bare::BareExpression;
pub use connection::{Connection, ConnectionOrigin, ERROR_PORT, MAIN};
pub use definition::{DEFAULT_TIMEZONE, TriggerDefinition, WorkflowDefinition, WorkflowLimits};
pub use diagnostic::{Diagnostic, LocatedDiagnostic, Related, Severity};
pub use nearest::nearest;
pub use node::{
    ActionRef, ActionRefError, ActionVersion, ArtifactDefinition, Body, CachePolicy, Compensation,
    NodeDefinition,
};
pub use policy::{Backoff, Jitter, JoinRest, JoinRule, OnError, OnIndeterminate, RetryPolicy};
pub use source::{Format, Source};
pub use source_map::{SourceMap, pointer_join};

/// What became of reading a definition.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The definition, if no problem is an error.
    pub definition: Option<WorkflowDefinition>,
    /// Where its parts stand in the source, also when there is no definition.
    pub map: SourceMap,
    /// Every problem, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}
