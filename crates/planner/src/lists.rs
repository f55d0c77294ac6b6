//! What belongs to nodes that run for the elements of a list, and to those that go through one in parts.

use nebula_action::{ActionKind, ActionMetadata, ControlKind};
use nebula_workflow::{Diagnostic, pointer_join};

use crate::{build::Builder, codes, loops::Loops};

impl Builder<'_> {
    /// Reports fields that say something about the items of a list where there is none, and parts
    /// after which nothing leads back.
    pub(crate) fn lists(&mut self, actions: &[Option<&ActionMetadata>], loops: &Loops) {
        for (index, metadata) in (0_u32..).zip(actions) {
            let Some(metadata) = metadata else {
                continue;
            };
            let is = |kind| metadata.kind == ActionKind::Control(kind);
            if !is(ControlKind::ForEach) {
                self.no_list(index);
            }
            if is(ControlKind::Batches) && !loops.is_entry(index) {
                let id = &self.flat.nodes[index as usize].id;
                let message = format!(
                    "no connection leads back to `{id}`, which goes on with the next part then"
                );
                let hint = format!(
                    "end the nodes behind its port `loop` with {{ from: …, to: {id}, loop: true }}"
                );
                let at = self.flat.pointers[index as usize].as_str();
                self.diagnostics
                    .push(Diagnostic::error(codes::BATCHES, at, message).hint(hint));
            }
        }
        for (node, pointer) in self.flat.nodes.iter().zip(&self.flat.pointers) {
            if node.rest.is_some() && node.complete_when.is_none() {
                let message = format!(
                    "`rest` of node `{}` says what becomes of the rest of a list that is complete early, and it never is",
                    node.id
                );
                let hint = "add `complete_when`, or leave `rest` out";
                let at = pointer_join(pointer, "rest");
                self.diagnostics
                    .push(Diagnostic::error(codes::LIST, at, message).hint(hint));
            }
        }
    }

    /// Reports what a node says about the items of a list that it does not have.
    fn no_list(&mut self, index: u32) {
        let node = self.flat.nodes[index as usize];
        if node.for_each.is_some() || node.each_item {
            return;
        }
        let fields = [
            ("complete_when", node.complete_when.is_some()),
            ("on_item_error", node.on_item_error.is_some()),
        ];
        for (field, _) in fields.into_iter().filter(|(_, used)| *used) {
            let message = format!(
                "`{field}` is about the items of a list, and node `{}` has none",
                node.id
            );
            let hint = "it belongs to `for_each`, `each_item` or flow.for_each";
            let at = pointer_join(&self.flat.pointers[index as usize], field);
            self.diagnostics
                .push(Diagnostic::error(codes::LIST, at, message).hint(hint));
        }
    }
}
