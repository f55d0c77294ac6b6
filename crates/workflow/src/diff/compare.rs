//! The comparison and its result.

use std::collections::BTreeMap;

use nebula_core::NodeId;
use serde::Serialize;
use serde_json::Value;

use super::{
    fields::fields,
    pairs::pairs,
    parts::{Named, connections, nodes, triggers},
};
use crate::{WorkflowDefinition, to_json};

/// What differs between two definitions.
///
/// JSON shape: `{ "fields": […], "triggers": parts, "nodes": parts, "renamed": [{ "from", "to" }],
/// "connections": parts }`, with parts `{ "added": [{ "name", "content" }], "removed": […],
/// "changed": [{ "name", "fields": [{ "path", "old"?, "new"? }] }], "reordered": bool }`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct WorkflowDiff {
    /// Fields of the workflow itself: `/limits/timeout`, `/input/required`.
    pub fields: Vec<FieldChange>,
    /// By their ids.
    pub triggers: Parts,
    /// By their ids, those of bodies included; a node that was renamed goes by its new one.
    pub nodes: Parts,
    /// Nodes that have another id and are the same otherwise, or nearly so; in the old one's order.
    pub renamed: Vec<Renamed>,
    /// By their short form: `fetch.error -> alarm:left`.
    pub connections: Parts,
}

/// What differs between two lists of named things.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Parts {
    /// Only in the new one, in its order.
    pub added: Vec<Part>,
    /// Only in the old one, in its order.
    pub removed: Vec<Part>,
    /// In both, and not the same; in the new one's order.
    pub changed: Vec<Changed>,
    /// Whether those that are in both stand in another order.
    pub reordered: bool,
}

/// A thing that only one of two definitions has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// Its id or short form.
    pub name: String,
    /// What it is, in canonical form.
    pub content: Value,
}

/// A thing that both definitions have, with what differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changed {
    /// Its id or short form.
    pub name: String,
    /// At least one.
    pub fields: Vec<FieldChange>,
}

/// One value that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// Where, as a JSON pointer. Behind `inside` stands the node to whose body a node or connection belongs.
    pub path: String,
    /// What was there; absent if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What is there now; absent if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// A node that has another id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Renamed {
    /// In the old definition.
    pub from: NodeId,
    /// In the new one.
    pub to: NodeId,
}

impl WorkflowDiff {
    /// Whether the definitions say the same: then, and only then, their digests are equal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Renames a node in a definition, wherever it is mentioned: `(definition, from, to)`.
pub type RenameNode<'a> = dyn Fn(&mut WorkflowDefinition, &NodeId, &NodeId) + 'a;

/// Compares two definitions by what they say: layout and writing do not count.
///
/// A node that has another id is found by its content and its connections, and its mentions in
/// expressions and connections are no changes of their own. `rename` rewrites them, because this
/// crate does not know the grammar of expressions; a mention that it leaves alone is a change.
/// Texts are compared as they are written. At most [`MAX_RENAMES`](super::MAX_RENAMES) nodes are
/// found to be renamed.
#[must_use]
pub fn diff(
    old: &WorkflowDefinition,
    new: &WorkflowDefinition,
    rename: &RenameNode<'_>,
) -> WorkflowDiff {
    let mut as_new = old.clone();
    let renamed = pairs(&mut as_new, new, rename);
    let whole = fields(
        &top(to_json(&as_new)),
        &top(to_json(old)),
        &top(to_json(new)),
    );
    WorkflowDiff {
        fields: whole,
        triggers: parts(&triggers(&as_new), &triggers(old), &triggers(new)),
        nodes: parts(&nodes(&as_new), &nodes(old), &nodes(new)),
        connections: parts(&connections(&as_new), &connections(old), &connections(new)),
        renamed,
    }
}

/// The workflow without what is compared by its names, or not at all.
fn top(mut definition: Value) -> Value {
    if let Value::Object(fields) = &mut definition {
        for name in ["nodes", "connections", "triggers", "layout"] {
            fields.shift_remove(name);
        }
    }
    definition
}

/// Compares lists: `old` as it would be written now, `shown` as it was.
fn parts(old: &[Named], shown: &[Named], new: &[Named]) -> Parts {
    let by_name = |list: &[Named]| -> BTreeMap<String, usize> {
        let names = list.iter().map(|part| part.name.clone());
        names.zip(0..).collect()
    };
    let (before, now) = (by_name(old), by_name(new));
    let part = |named: &Named| Part {
        name: named.name.clone(),
        content: named.content.clone(),
    };
    let both: Vec<_> = new
        .iter()
        .filter_map(|new| Some((*before.get(&new.name)?, new)))
        .collect();
    let changed = both.iter().filter_map(|(at, new)| {
        let fields = fields(&old[*at].content, &shown[*at].content, &new.content);
        let name = new.name.clone();
        (!fields.is_empty()).then_some(Changed { name, fields })
    });
    Parts {
        added: new
            .iter()
            .filter(|new| !before.contains_key(&new.name))
            .map(part)
            .collect(),
        removed: old
            .iter()
            .zip(shown)
            .filter(|(old, _)| !now.contains_key(&old.name))
            .map(|(_, shown)| part(shown))
            .collect(),
        changed: changed.collect(),
        reordered: !both.is_sorted_by_key(|(at, _)| *at),
    }
}
