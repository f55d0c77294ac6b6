//! What `flow.cancel` and joins that cancel the rest may give up.

use std::collections::BTreeSet;

use nebula_action::{ActionKind, ActionMetadata, ControlKind};
use nebula_core::{NodeId, ParamValue};
use nebula_execution::ExecutionPlan;
use nebula_workflow::{Diagnostic, JoinRest, NodeDefinition, nearest, pointer_join};
use serde_json::Value;

use crate::{bodies::Held, build::Builder, codes, flat::Flat};

impl Builder<'_> {
    /// Reports nodes that a `flow.cancel` names and cannot give up.
    pub(crate) fn cancels(&mut self, actions: &[Option<&ActionMetadata>], held: &[Vec<Held>]) {
        for (index, metadata) in (0_u32..).zip(actions) {
            let kind = metadata.map(|metadata| metadata.kind);
            if kind != Some(ActionKind::Control(ControlKind::Cancel)) {
                continue;
            }
            let at = format!("{}/parameters/nodes", self.flat.pointers[index as usize]);
            let written = self.flat.nodes[index as usize].parameters.get("nodes");
            let Some(names) = written.map(literal_names) else {
                continue;
            };
            let Some(names) = names else {
                let message = "what is given up must be known before anything runs";
                let hint = "write the ids as they are; choose between them with `flow.switch`";
                self.diagnostics
                    .push(Diagnostic::error(codes::CANCEL, at, message).hint(hint));
                continue;
            };
            for (place, name) in names.into_iter().enumerate() {
                let pointer = pointer_join(&at, &place.to_string());
                let problem = self.target(index, name, pointer, held);
                self.diagnostics.extend(problem);
            }
        }
    }

    /// What is wrong with a node that `asker` names.
    fn target(
        &self,
        asker: u32,
        name: &str,
        pointer: String,
        held: &[Vec<Held>],
    ) -> Option<Diagnostic> {
        let flat = &self.flat;
        let id = &flat.nodes[asker as usize].id;
        let Some(node) = self.by_id.get(name).copied() else {
            let message = format!("`{id}` cancels `{name}`, and there is no such node");
            let ids = (0..flat.nodes.len() as u32)
                .filter(|node| around(flat, asker, *node))
                .map(|node| flat.nodes[node as usize].id.as_str());
            let problem = Diagnostic::error(codes::CANCEL, pointer, message);
            return Some(problem.did_you_mean(nearest(name, ids)));
        };
        let (message, hint) = if node == asker {
            (
                format!("node `{id}` cannot cancel itself"),
                "name other nodes, or write `execution: true`".to_owned(),
            )
        } else if flat.owners(asker).any(|owner| owner == node) {
            (
                format!("node `{id}` cannot cancel `{name}`, in whose body it stands"),
                "end the body with `flow.fail`, or write `execution: true`".to_owned(),
            )
        } else if !around(flat, asker, node) {
            let owner = flat.owner(node).map(|owner| &flat.nodes[owner as usize].id);
            let owner = owner.map_or("", |owner| owner.as_str());
            (
                format!("node `{id}` cancels `{name}`, which stands in the body of `{owner}`"),
                format!("cancel `{owner}`, and all of its body with it"),
            )
        } else if held.iter().flatten().any(|held| held.node == node) {
            (
                format!("node `{id}` cannot cancel `{name}`, which is a handler"),
                "name nodes behind it".to_owned(),
            )
        } else {
            return None;
        };
        Some(Diagnostic::error(codes::CANCEL, pointer, message).hint(hint))
    }

    /// Reports joins that cancel the rest where it is not clear which tokens are the rest.
    pub(crate) fn rests(&mut self, rates: &[u32]) {
        for (index, node) in self.flat.nodes.iter().enumerate() {
            let rate = rates[index];
            if !cancels_rest(node) || rate == 1 {
                continue;
            }
            let message = format!(
                "node `{}` cancels the rest and is reached {rate} times, so branches of several rounds run beside each other",
                node.id
            );
            let at = pointer_join(&self.flat.pointers[index], "join");
            self.diagnostics.push(
                Diagnostic::error(codes::CANCEL, at, message).hint(
                    "write `rest: absorb`, or join before the node that multiplies the tokens",
                ),
            );
        }
    }
}

/// Points out joins that cancel the rest and have nothing to cancel.
pub(crate) fn idle(flat: &Flat<'_>, plan: &ExecutionPlan, diagnostics: &mut Vec<Diagnostic>) {
    for (index, node) in (0_u32..).zip(&flat.nodes) {
        if cancels_rest(node) && plan.cancelled_by(index).is_empty() {
            let message = format!(
                "node `{}` cancels the rest, and every node before it also leads elsewhere",
                node.id
            );
            let at = pointer_join(&flat.pointers[index as usize], "join");
            let hint = "nothing would be cancelled; write `rest: absorb`, or name nodes in a `flow.cancel`";
            diagnostics.push(Diagnostic::lint(codes::CANCEL, at, message).hint(hint));
        }
    }
}

/// Takes what is left out of a definition out of what its nodes cancel.
pub(crate) fn leave_out(
    nodes: &mut [NodeDefinition],
    plan: &ExecutionPlan,
    kept: &BTreeSet<NodeId>,
) {
    for node in nodes {
        let planned = plan.index_of(node.id.as_str()).map(|at| plan.node(at).kind);
        if planned == Some(ActionKind::Control(ControlKind::Cancel))
            && let Some(ParamValue::Literal(Value::Array(names))) = node.parameters.get_mut("nodes")
        {
            names.retain(|name| {
                name.as_str()
                    .is_some_and(|name| kept.iter().any(|id| id.as_str() == name))
            });
            node.disabled |= names.is_empty();
        }
        if let Some(body) = &mut node.body {
            leave_out(&mut body.nodes, plan, kept);
        }
    }
}

fn cancels_rest(node: &NodeDefinition) -> bool {
    let rest = node.join.threshold().map(|(_, rest)| rest);
    rest == Some(JoinRest::Cancel)
}

/// Whether `node` stands where `asker` does, or around it.
pub(crate) fn around(flat: &Flat<'_>, asker: u32, node: u32) -> bool {
    let there = flat.parts[node as usize];
    let mut way = std::iter::once(asker).chain(flat.owners(asker));
    way.any(|node| flat.parts[node as usize] == there)
}

/// The strings of a list that holds nothing else and is written as it is.
fn literal_names(value: &ParamValue) -> Option<Vec<&str>> {
    let ParamValue::Literal(Value::Array(names)) = value else {
        return None;
    };
    // What is no text, the action's schema refuses.
    Some(names.iter().filter_map(Value::as_str).collect())
}
