//! Renaming a node in the text of a definition.

mod walk;

use std::{collections::BTreeMap, ops::Range};

use nebula_action::Catalog;
use nebula_core::{IdError, NodeId};
use nebula_workflow::{
    Diagnostic, Parsed, Source, WorkflowDefinition, nearest, parse, pointer_join, write_name,
};

use self::walk::Walk;
use crate::{PlanSettings, plan};

/// A definition in which a node has another id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// The text of the definition; nothing but the mentions of the node is changed in it.
    pub text: String,
    /// The bytes of the old text that named the node, in order.
    pub places: Vec<Range<usize>>,
}

/// Why a node was not renamed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RenameError {
    /// The definition has errors: renaming in it could change what it says.
    #[error("the definition has errors")]
    Definition(Vec<Diagnostic>),
    /// No node has the old id.
    #[error("there is no node `{id}`")]
    UnknownNode {
        /// The id that was asked for.
        id: String,
        /// The id that was probably meant.
        nearest: Option<String>,
    },
    /// The new id is none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The new id is there already: as a node's, or in `layout`, where it may be left over.
    #[error("the name `{id}` is taken")]
    Taken {
        /// The new id.
        id: String,
        /// JSON pointer of what has it.
        pointer: String,
        /// Its bytes in the text.
        place: Range<usize>,
    },
    /// A mention stands in a way that cannot be edited.
    #[error("a mention at `{pointer}` cannot be rewritten")]
    Mention {
        /// JSON pointer of the text that holds it.
        pointer: String,
        /// The text's bytes.
        place: Range<usize>,
    },
    /// What the edited text says is not the same workflow with the node renamed.
    #[error("the edited definition does not say the same")]
    Unproved,
}

/// Gives the node `from` the id `to`, in the node itself and wherever the definition names it:
/// connections, expressions and templates, bodies, `layout`.
///
/// The old definition is renamed as a value too, and the edited text must read back as exactly that,
/// and planning must say of it what it said before: so there is no answer that says something else,
/// or that leaves a mention behind. The catalog knows which parameters are
/// expressions without braces. Prose (`name`, `notes`, comments) is left alone, and so are
/// literals, `pin` and the fields that triggers have of their own.
///
/// # Errors
/// See [`RenameError`]. Problems that only planning finds, such as a cycle, do not hinder.
pub fn rename_node(
    source: &Source,
    catalog: &dyn Catalog,
    from: &str,
    to: &str,
) -> Result<Renamed, RenameError> {
    let parsed = parse(source);
    let Some(definition) = &parsed.definition else {
        return Err(RenameError::Definition(parsed.diagnostics));
    };
    let mut ids = BTreeMap::new();
    walk::ids(&definition.nodes, "/nodes", &mut ids);
    if !ids.contains_key(from) {
        return Err(RenameError::UnknownNode {
            id: from.to_owned(),
            nearest: nearest(from, ids.keys().copied()).map(str::to_owned),
        });
    }
    let to = NodeId::new(to)?;
    if let Some((pointer, place)) = taken(definition, &parsed, &ids, &to) {
        let id = to.to_string();
        return Err(RenameError::Taken { id, pointer, place });
    }
    let mut expected = definition.clone();
    let mut walk = Walk::new(from, &to, catalog);
    walk.workflow(&mut expected);
    if !walk.problems.is_empty() {
        return Err(RenameError::Definition(walk.problems));
    }
    let refused = |pointer: &str| RenameError::Mention {
        pointer: pointer.to_owned(),
        place: parsed.map.value_span(pointer).unwrap_or_default(),
    };
    if let Some(pointer) = walk.refused {
        return Err(refused(&pointer));
    }
    let (text, places) = write_name(source, &parsed.map, &walk.mentions, &to)
        .map_err(|unplaced| refused(&unplaced.0.pointer))?;
    let edited = Source {
        text,
        ..source.clone()
    };
    match parse(&edited).definition {
        Some(read)
            if read == expected && problems(&read, catalog) == problems(definition, catalog) =>
        {
            Ok(Renamed {
                text: edited.text,
                places,
            })
        }
        _ => Err(RenameError::Unproved),
    }
}

/// What planning says of a definition, without the names in it: a mention that was overlooked is a
/// problem more, because its node is not there.
fn problems(definition: &WorkflowDefinition, catalog: &dyn Catalog) -> Vec<(&'static str, String)> {
    let found = plan(definition, 0, catalog, &PlanSettings::default()).diagnostics;
    let mut problems: Vec<_> = found.into_iter().map(|d| (d.code, d.pointer)).collect();
    problems.sort_unstable();
    problems
}

/// Gives the node `from` the id `to` in a definition that is a value, as far as that can be: an
/// expression that does not compile, or a mention that cannot be rewritten, stays as it is.
pub fn rename_mentions(
    definition: &mut WorkflowDefinition,
    catalog: &dyn Catalog,
    from: &NodeId,
    to: &NodeId,
) {
    Walk::new(from.as_str(), to, catalog).workflow(definition);
}

/// What has the new id already.
fn taken(
    definition: &WorkflowDefinition,
    parsed: &Parsed,
    ids: &BTreeMap<&str, String>,
    to: &NodeId,
) -> Option<(String, Range<usize>)> {
    if let Some(pointer) = ids.get(to.as_str()) {
        let place = parsed.map.value_span(pointer).unwrap_or_default();
        return Some((pointer.clone(), place));
    }
    let layout = definition.layout.as_ref()?;
    layout.contains_key(to.as_str()).then(|| {
        let pointer = pointer_join("/layout", to.as_str());
        let place = parsed.map.key_span(&pointer).unwrap_or_default();
        (pointer, place)
    })
}
