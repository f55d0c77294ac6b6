//! What the items of a list see of what stands around it.

use std::collections::BTreeSet;

use nebula_expression::{Program, Root};

use super::ExecutionPlan;

/// What the expressions read that are evaluated for the items of a node, in its body too.
#[derive(Debug, Default)]
pub(crate) struct SeenByItems {
    /// Nodes of the top level.
    pub(crate) reads: BTreeSet<u32>,
    /// Those of them whose results are read.
    pub(crate) results: BTreeSet<u32>,
    /// `$json` or `$inputs` of the node itself.
    pub(crate) json: bool,
    /// `$input`.
    pub(crate) input: bool,
    /// `$trigger`.
    pub(crate) trigger: bool,
}

impl ExecutionPlan {
    /// What the items of a node of the top level see.
    pub(crate) fn seen_by_items(&self, node: u32) -> SeenByItems {
        let mut seen = SeenByItems::default();
        if self.body_of(node).is_none() {
            let programs = self.node(node).item_programs();
            for program in programs {
                let roots = &program.report().roots;
                seen.json |= roots.contains(&Root::Json) || roots.contains(&Root::Inputs);
                self.sees(program, &mut seen);
            }
        }
        for (index, inner) in (0_u32..).zip(&self.nodes) {
            if !self.stands_in_body_of(index, node) {
                continue;
            }
            for program in inner.programs() {
                self.sees(program, &mut seen);
            }
            for (_, connection) in self.outgoing(index) {
                if let Some(condition) = &connection.condition {
                    self.sees(condition, &mut seen);
                }
            }
        }
        seen
    }

    fn sees(&self, program: &Program, seen: &mut SeenByItems) {
        let report = program.report();
        seen.input |= report.roots.contains(&Root::Input);
        seen.trigger |= report.roots.contains(&Root::Trigger);
        for reference in &report.nodes {
            let Some(node) = self.index_of(&reference.node) else {
                continue;
            };
            if self.extent_of(node) == 0 {
                seen.reads.insert(node);
                if report.reads_result(&reference.node) {
                    seen.results.insert(node);
                }
            }
        }
    }

    /// Whether a node stands in the body of another one, at whatever depth.
    fn stands_in_body_of(&self, mut node: u32, owner: u32) -> bool {
        while let Some(body) = self.extent_of(node).checked_sub(1) {
            node = self.bodies[body as usize].owner;
            if node == owner {
                return true;
            }
        }
        false
    }
}
