//! Reads workflow definitions and reports every problem of them at once.
//!
//! A [`Source`] in YAML or JSON becomes a [`WorkflowDefinition`] with its short forms expanded and
//! its defaults filled in; each [`Diagnostic`] names its place by JSON pointer, and the [`SourceMap`]
//! finds it in the file, also for the phases that come later. Start reading at [`parse`]; [`diff()`]
//! tells two definitions apart.
//!
//! Does not know: which actions exist, the grammar of expressions, whether the engine runs a
//! construct. The planner does.
//!
//! # Invariants
//! - No text panics or costs more than its bounds ([`MAX_DEFINITION_BYTES`] and its neighbours).
//! - A definition that was written with [`to_json`] reads back as an equal one.
//! - A [`Parsed`] has a definition exactly if no problem is an error.
//!
//! ```
//! use nebula_workflow::{Source, parse, render};
//!
//! let text = "nodes:\n  - { id: greet, action: data.set, parametres: { text: Hi } }\n";
//! let source = Source::new("greet.yaml", text);
//! let parsed = parse(&source);
//! assert!(parsed.definition.is_none());
//! let drawn = render(&parsed.diagnostics, &source, &parsed.map, false);
//! assert!(drawn.contains("error[WORKFLOW_UNKNOWN_FIELD]: a node has no field `parametres`"));
//! assert!(drawn.contains("greet.yaml:2:36"));
//! assert!(drawn.contains("did you mean `parameters`?"));
//! ```

mod bare;
mod codes;
mod connection;
mod decode;
mod definition;
mod diagnostic;
mod diff;
mod document;
mod encode;
mod fields;
mod json;
mod limits;
mod mention;
mod nearest;
mod node;
mod parse;
mod policy;
mod problems;
mod render;
mod schema;
mod source;
mod source_map;
mod table;
mod tree;
mod yaml;
mod yaml_places;
mod yaml_reader;
mod yaml_scalar;
mod yaml_trap;

pub use bare::BareExpression;
pub use codes::codes;
pub use connection::{Connection, ConnectionOrigin, ERROR_PORT, MAIN};
pub use definition::{DEFAULT_TIMEZONE, TriggerDefinition, WorkflowDefinition, WorkflowLimits};
pub use diagnostic::{Diagnostic, LocatedDiagnostic, Related, Severity};
pub use diff::{
    Changed, FieldChange, MAX_RENAME_PAIRS, MAX_RENAMES, Part, Parts, RenameNode, Renamed,
    WorkflowDiff, diff,
};
pub use document::{Document, Origin, Translation};
pub use encode::to_json;
pub use fields::is_node_field;
pub use limits::{
    MAX_CONNECTIONS, MAX_DEFINITION_BYTES, MAX_DEPTH, MAX_NODES, MAX_PROBLEMS, MAX_RENDERED,
    MAX_VALUES,
};
pub use mention::{Mention, MentionPart, Unplaced, write_name};
pub use nearest::nearest;
pub use nebula_resilience::{Backoff, Jitter, RetryPolicy};
pub use node::{
    ActionRef, ActionRefError, ActionVersion, ArtifactDefinition, Body, CachePolicy, Compensation,
    NodeDefinition,
};
pub use parse::{Parsed, check_size, parse};
pub use policy::{
    Admission, ItemsRest, JoinRest, JoinRule, OnError, OnIndeterminate, OnItemError, RateFull,
    RateLimit, WhenFull,
};
pub use render::render;
pub use schema::definition_schema;
pub use source::{Format, Source};
pub use source_map::{SourceMap, pointer_join};
