//! Nodes that split and merge tokens: into how many must be known before anything runs.

use nebula_action::{ActionKind, ActionMetadata, ControlKind};
use nebula_core::ParamValue;
use nebula_workflow::{Diagnostic, JoinRule, pointer_join};

use crate::{
    build::Builder,
    codes,
    graph::{MAX_RATE, Tokens},
};

impl Builder<'_> {
    /// What becomes of the tokens of each node.
    pub(crate) fn tokens(&mut self, actions: &[Option<&ActionMetadata>]) -> Vec<Tokens> {
        let mut tokens = vec![Tokens::One; actions.len()];
        for (index, metadata) in actions.iter().enumerate() {
            let of = match metadata.map(|metadata| metadata.kind) {
                Some(ActionKind::Control(ControlKind::SplitTokens)) => Tokens::Split,
                Some(ActionKind::Control(ControlKind::MergeTokens)) => {
                    self.merges_by_itself(index);
                    Tokens::Merge
                }
                _ => continue,
            };
            let node = self.flat.nodes[index];
            let at = format!("{}/parameters/count", self.flat.pointers[index]);
            match node.parameters.get("count") {
                Some(ParamValue::Literal(count)) => {
                    // What is no such number, the action's schema refuses.
                    let count = count.as_u64().and_then(|count| u32::try_from(count).ok());
                    let count = count.filter(|count| (1..=MAX_RATE).contains(count));
                    tokens[index] = count.map_or(Tokens::One, of);
                }
                Some(_) => {
                    let message = format!(
                        "how many tokens node `{}` makes of one must be known before anything runs",
                        node.id
                    );
                    let hint = "write the number; what runs as often as an expression says is a `flow.for_each`";
                    self.diagnostics
                        .push(Diagnostic::error(codes::TOKENS, at, message).hint(hint));
                }
                None => {}
            }
        }
        tokens
    }

    /// A node that merges tokens takes whichever come: another join would contradict that.
    fn merges_by_itself(&mut self, index: usize) {
        let node = self.flat.nodes[index];
        if node.join != JoinRule::All {
            let message = format!(
                "node `{}` merges tokens, and has a join of its own",
                node.id
            );
            let at = pointer_join(&self.flat.pointers[index], "join");
            let hint = "leave `join` out; put the join into a node before it";
            self.diagnostics
                .push(Diagnostic::error(codes::TOKENS, at, message).hint(hint));
        }
    }
}
