//! Lists that are distributed over the workers.

use nebula_action::{ActionKind, ActionMetadata, ControlKind};
use nebula_workflow::{Diagnostic, NodeDefinition, pointer_join};

use crate::{build::Builder, codes};

impl Builder<'_> {
    /// Reports lists that cannot be cut into parts of their own: what runs a part knows its items, and
    /// nothing of what goes on around the list meanwhile.
    pub(crate) fn distributions(
        &mut self,
        actions: &[Option<&ActionMetadata>],
        (loops, rates): (&[Option<u32>], &[u32]),
    ) {
        for (index, metadata) in (0_u32..).zip(actions) {
            let node = self.flat.nodes[index as usize];
            let Some(metadata) = metadata.filter(|_| node.distribute) else {
                continue;
            };
            let again = loops[index as usize].is_some() || rates[index as usize] != 1;
            let body = self.of_body(index, actions);
            let (field, message, hint) = match self.undistributable(index, (node, metadata), again)
            {
                Some((field, message, hint)) => (field.to_owned(), message, hint.to_owned()),
                None => match body {
                    Some((inner, what)) => {
                        let id = &self.flat.nodes[inner as usize].id;
                        let message = format!(
                            "the items of `{}` cannot be distributed: `{id}` in its body {what}",
                            node.id
                        );
                        let hint = "leave `distribute` out, or put that node behind the list";
                        ("distribute".to_owned(), message, hint.to_owned())
                    }
                    None => continue,
                },
            };
            let node = self.flat.pointers[index as usize].clone();
            let at = field
                .split('/')
                .fold(node, |at, key| pointer_join(&at, key));
            self.diagnostics
                .push(Diagnostic::error(codes::DISTRIBUTE, at, message).hint(hint));
        }
    }

    /// Why the list of a node cannot be distributed, whatever its body is: a field, and what to do.
    fn undistributable(
        &self,
        index: u32,
        (node, metadata): (&NodeDefinition, &ActionMetadata),
        again: bool,
    ) -> Option<(&'static str, String, &'static str)> {
        let id = &node.id;
        let each = metadata.kind == ActionKind::Control(ControlKind::ForEach);
        if !each && node.for_each.is_none() && !node.each_item {
            let message =
                format!("`distribute` is about the items of a list, and node `{id}` has none");
            let hint = "add `for_each` or `each_item`, or use flow.for_each with a body";
            return Some(("distribute", message, hint));
        }
        if self.flat.owner(index).is_some() {
            let message = format!(
                "node `{id}` stands in a body, and only a list of the top level is distributed"
            );
            let hint = "distribute the outer list, or put the inner one into a workflow that flow.call runs";
            return Some(("distribute", message, hint));
        }
        if again {
            let message =
                format!("node `{id}` runs more than once, and its list is distributed once");
            let hint = "put the list behind the loop, or into a workflow that flow.call runs";
            return Some(("distribute", message, hint));
        }
        if node.complete_when.is_some() {
            let message = format!(
                "`complete_when` of node `{id}` asks about each item that ends, and `distribute` tells of parts"
            );
            let hint = "keep one of them";
            return Some(("complete_when", message, hint));
        }
        if node.compensate.is_some() {
            let message = format!(
                "`compensate` of node `{id}` would undo what other executions did for `distribute`"
            );
            let hint = "keep one of them, or undo the whole list behind the port `error`";
            return Some(("compensate", message, hint));
        }
        if each && node.parameters.contains_key("more") {
            let message = format!(
                "the list of `{id}` grows by signals, and `distribute` cuts one that is known"
            );
            let hint = "keep one of `more` and `distribute`";
            return Some(("parameters/more", message, hint));
        }
        None
    }

    /// A node in the body of this one that needs what only the execution itself has, and what that is.
    fn of_body(
        &self,
        owner: u32,
        actions: &[Option<&ActionMetadata>],
    ) -> Option<(u32, &'static str)> {
        let inside = (0..self.flat.nodes.len() as u32)
            .filter(|inner| self.flat.owners(*inner).any(|it| it == owner));
        let mut found = inside.filter_map(|inner| {
            let node = self.flat.nodes[inner as usize];
            let kind = actions[inner as usize].map(|metadata| metadata.kind);
            let what = match kind {
                _ if node.compensate.is_some() => "has a `compensate`",
                Some(ActionKind::Control(ControlKind::Stop)) => "ends the whole execution",
                Some(ActionKind::Control(ControlKind::Cancel)) => "gives up what stands around it",
                Some(ActionKind::Control(ControlKind::Milestone)) => {
                    "asks how far other nodes have come"
                }
                Some(ActionKind::Control(ControlKind::Respond)) => {
                    "answers whoever called the whole execution"
                }
                Some(ActionKind::Control(ControlKind::Wait))
                    if node.parameters.contains_key("signal") =>
                {
                    "waits for a signal to the whole execution"
                }
                _ => return None,
            };
            Some((inner, what))
        });
        found.next()
    }
}
