//! From the tree to the definition: short forms expanded, defaults filled in, every problem reported.

mod admission;
mod connections;
mod node;
mod place;
mod workflow;

use std::collections::BTreeMap;

use nebula_core::{IdError, WorkflowId};
use serde_json::Value;

use self::place::Place;
use crate::{
    Diagnostic, WorkflowDefinition, codes,
    limits::MAX_DEPTH,
    problems::Problems,
    tree::{Kind, Tree},
};

/// Reads a definition from the tree. Whether it is usable is for `problems` to say.
pub(crate) fn decode(
    tree: &Tree,
    default_id: Option<WorkflowId>,
    problems: &mut Problems,
) -> Option<WorkflowDefinition> {
    let root = Place {
        tree,
        pointer: String::new(),
    };
    match &tree.kind {
        Kind::Object(_) => workflow::workflow(&root, default_id, problems),
        Kind::Broken => None,
        Kind::Null => {
            problems.push(empty());
            None
        }
        kind => {
            let message = format!("a workflow is an object, this is {}", tree.describe());
            let problem = root.error(codes::TYPE, message);
            problems.push(match kind {
                Kind::List(_) => problem.hint("put the list under the field `nodes`"),
                _ => problem.hint("begin with the field `nodes`"),
            });
            None
        }
    }
}

/// There is nothing to decode.
pub(crate) fn empty() -> Diagnostic {
    Diagnostic::error(codes::EMPTY, "", "there is no definition here").hint(
        "the smallest one is: nodes: [{ id: greet, action: data.set, parameters: { text: Hi } }]",
    )
}

/// Reads a stored definition.
pub(crate) fn from_json(value: &Value) -> Result<WorkflowDefinition, Vec<Diagnostic>> {
    let mut problems = Problems::default();
    let definition = match Tree::from_value(value, MAX_DEPTH) {
        Some(tree) => decode(&tree, None, &mut problems),
        None => {
            let message = format!("lists and objects are nested deeper than {MAX_DEPTH}");
            problems.push(Diagnostic::error(codes::TOO_DEEP, "", message));
            None
        }
    };
    match definition {
        Some(definition) if problems.is_usable() => Ok(definition),
        _ => Err(problems.finish()),
    }
}

/// What the decoder must remember across nested bodies.
#[derive(Debug, Default)]
struct Seen {
    /// Node id → where it was first.
    ids: BTreeMap<String, String>,
    nodes: usize,
    connections: usize,
    /// Set once a limit was broken, so that it is said only once.
    too_many: bool,
}

/// The bytes of a text that an id error means.
fn id_range(error: &IdError) -> Option<std::ops::Range<usize>> {
    match error {
        IdError::Character { character, at, .. } => Some(*at..at + character.len_utf8()),
        IdError::Empty { .. } | IdError::TooLong { .. } => None,
    }
}
