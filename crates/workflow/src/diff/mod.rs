//! What differs between two definitions, as people mean it.
//!
//! Start reading at [`diff`]; [`WorkflowDiff`] says what can differ, `pairs` finds out which nodes
//! are the same one under another id, and `fields` compares what is left.

mod compare;
mod fields;
mod pairs;
mod parts;

pub use compare::{Changed, FieldChange, Part, Parts, RenameNode, Renamed, WorkflowDiff, diff};
pub use pairs::{MAX_RENAME_PAIRS, MAX_RENAMES};
