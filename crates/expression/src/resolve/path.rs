//! Paths: what of a program needs no interpretation, and how a path is told of.

use super::Resolver;
use crate::{
    code::{Code, Node, NodeField, NodeId, Run, Step, StepKind},
    path::{LENGTH, Path, PathRoot},
    value::array_index,
};

impl Resolver<'_> {
    /// The path that a chain begins with.
    pub(super) fn path(&self, base: NodeId, steps: Run) -> Option<Path> {
        let from = path_root(self.code.nodes[base as usize])?;
        let steps = steps.of(&self.code.steps);
        let plain = |step: &Step| match step.kind {
            StepKind::Key(key) | StepKind::At(_, key) => Some(key),
            StepKind::Index(_) | StepKind::Method { .. } => None,
        };
        // The keys of steps side by side stand side by side.
        let start = steps.first().and_then(plain)?;
        let follows = |key: &u32| self.code.keys[*key as usize].as_str() != LENGTH;
        let len = steps.iter().map_while(plain).take_while(follows).count();
        if len == 0 {
            return None;
        }
        // At most as many as there are.
        let keys = Run {
            start,
            len: len as u32,
        };
        Some(Path { from, keys })
    }
}

/// The program as a plain path, if it is one.
pub(super) fn whole(code: &Code) -> Option<Path> {
    match code.nodes[code.root as usize] {
        Node::Path { path, .. } => Some(path),
        node => {
            let from = path_root(node)?;
            let keys = Run { start: 0, len: 0 };
            Some(Path { from, keys })
        }
    }
}

/// What a path can start from.
fn path_root(node: Node) -> Option<PathRoot> {
    match node {
        Node::Root(root) => Some(PathRoot::Root(root)),
        Node::StepField(slot, NodeField::Result, _) => Some(PathRoot::Result(slot)),
        Node::Local(slot) => Some(PathRoot::Local(slot)),
        _ => None,
    }
}

/// Adds a key to a path as it is told of.
pub(super) fn path_goes_on(path: &mut Option<String>, key: &str) {
    let Some(path) = path else { return };
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    if array_index(key).is_some() {
        path.push_str(&format!("[{key}]"));
    } else if key.chars().all(plain) && !key.is_empty() {
        path.push('.');
        path.push_str(key);
    } else {
        // JSON quotes a key as JavaScript does.
        path.push_str(&format!("[{}]", serde_json::Value::from(key)));
    }
}

/// Tells of a path that is whole.
pub(super) fn path_ends(path: &mut Option<String>, paths: &mut Vec<String>) {
    paths.extend(path.take());
}
