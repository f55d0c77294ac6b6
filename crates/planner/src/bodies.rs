//! Bodies: who may have one, what is held back in it, what a run of it gives.

use nebula_action::{ActionKind, ActionMetadata, ControlKind};
use nebula_core::ParamValue;
use nebula_execution::{MAX_NESTING, PlanBody, PlanHandler, PlanOutput};
use nebula_workflow::{Diagnostic, nearest, pointer_join};
use serde_json::Value;

use crate::{build::Builder, codes, flat::FlatBody, graph::Graph};

/// A node of a body that its owner calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) node: u32,
    pub(crate) always: bool,
}

impl Builder<'_> {
    /// Reports bodies that nothing runs, and actions that have nothing to run.
    pub(crate) fn bodies(&mut self, actions: &[Option<&ActionMetadata>]) {
        for (index, metadata) in actions.iter().enumerate() {
            let Some(metadata) = metadata else {
                continue;
            };
            let node = self.flat.nodes[index];
            let at = pointer_join(&self.flat.pointers[index], "body");
            let wants = matches!(metadata.kind, ActionKind::Control(kind) if kind.has_body());
            let empty = node.body.as_ref().is_none_or(|body| body.nodes.is_empty());
            let (id, action) = (&node.id, &metadata.id);
            if wants && empty {
                let message = format!("node `{id}` has no body, and `{action}` runs one");
                let hint = "write `body: { nodes: [...] }` with the nodes that it runs";
                let problem = Diagnostic::error(codes::BODY, &self.flat.pointers[index], message);
                self.diagnostics.push(problem.hint(hint));
            } else if !wants && node.body.is_some() {
                let message = format!("`{action}` does not run the body of node `{id}`");
                let hint = "bodies belong to flow.for_each, flow.loop, flow.mutex, flow.parallel, flow.race, flow.semaphore and flow.try";
                self.diagnostics
                    .push(Diagnostic::error(codes::BODY, at, message).hint(hint));
            }
        }
        let deep = self
            .flat
            .bodies
            .iter()
            .find(|body| body.depth > MAX_NESTING);
        if let Some(deep) = deep {
            let at = pointer_join(&self.flat.pointers[deep.owner as usize], "body");
            let message = format!("bodies stand in each other deeper than {MAX_NESTING}");
            let hint = "write the inner ones as a workflow of their own";
            self.diagnostics
                .push(Diagnostic::error(codes::BODY, at, message).hint(hint));
        }
    }

    /// The nodes that each body holds back, by body.
    pub(crate) fn held(&mut self, actions: &[Option<&ActionMetadata>]) -> Vec<Vec<Held>> {
        let bodies = self.flat.bodies.clone();
        let held = bodies.iter().map(|body| {
            let kind = actions[body.owner as usize].map(|metadata| metadata.kind);
            match kind {
                Some(ActionKind::Control(ControlKind::Try)) => self.handlers(body),
                _ => Vec::new(),
            }
        });
        held.collect()
    }

    fn handlers(&mut self, body: &FlatBody) -> Vec<Held> {
        let owner = self.flat.nodes[body.owner as usize];
        let at = format!("{}/parameters", self.flat.pointers[body.owner as usize]);
        let mut named: Vec<(String, String, bool)> = Vec::new();
        let names = crate::lookup::keys(owner.parameters.get("catch"));
        let pointer = |name: &str| pointer_join(&format!("{at}/catch"), name);
        named.extend(
            names
                .iter()
                .map(|name| ((*name).to_owned(), pointer(name), false)),
        );
        if let Some(ParamValue::Literal(Value::String(name))) = owner.parameters.get("finally") {
            named.push((name.clone(), format!("{at}/finally"), true));
        }
        let mut held: Vec<Held> = Vec::new();
        for (name, pointer, always) in named {
            let inside = body.first..body.first + body.count;
            let node = self.by_id.get(name.as_str()).copied();
            let problem = match node.filter(|node| inside.contains(node)) {
                None => {
                    let ids = inside.map(|node| self.flat.nodes[node as usize].id.as_str());
                    let message = format!("the body of `{}` has no node `{name}`", owner.id);
                    Diagnostic::error(codes::HANDLER, pointer, message)
                        .did_you_mean(nearest(&name, ids))
                }
                Some(node) if held.iter().any(|held| held.node == node) => {
                    let message = format!("node `{name}` has two tasks in `{}`", owner.id);
                    Diagnostic::error(codes::HANDLER, pointer, message)
                        .hint("name another node, or put a copy of it into the body")
                }
                Some(node) => {
                    held.push(Held { node, always });
                    continue;
                }
            };
            self.diagnostics
                .push(if always { problem } else { problem.at_key() });
        }
        held
    }

    /// The bodies of the plan.
    pub(crate) fn plan_bodies(&mut self, graph: &Graph, held: &[Vec<Held>]) -> Vec<PlanBody> {
        let bodies = self.flat.bodies.clone();
        let plans = bodies.iter().zip(held).map(|(body, held)| {
            let sections = self.sections(graph, body, held);
            let ends = |section: usize| {
                let nodes = body.first..body.first + body.count;
                let ends = nodes.filter(|node| {
                    sections[(node - body.first) as usize] == section && graph.is_end(*node)
                });
                match &ends.collect::<Vec<_>>()[..] {
                    [end] => PlanOutput::Node(*end),
                    ends => PlanOutput::Nodes(ends.to_vec()),
                }
            };
            let handlers = held.iter().enumerate().map(|(index, held)| PlanHandler {
                node: held.node,
                always: held.always,
                output: ends(index + 1),
            });
            PlanBody {
                compensates: self.compensates(body.owner),
                owner: body.owner,
                first: body.first,
                count: body.count,
                handlers: handlers.collect(),
                output: ends(0),
            }
        });
        plans.collect()
    }

    /// For each node of a body: 0, or the number of the held node that it follows, from 1. A node
    /// that would follow two of them is reported.
    fn sections(&mut self, graph: &Graph, body: &FlatBody, held: &[Held]) -> Vec<usize> {
        let mut sections = vec![0; body.count as usize];
        for (number, held) in (1..).zip(held) {
            let mut reached = vec![held.node];
            while let Some(node) = reached.pop() {
                sections[(node - body.first) as usize] = number;
                reached.extend(graph.outgoing[node as usize].iter().copied());
            }
        }
        for from in body.first..body.first + body.count {
            let section = |node: u32| sections[(node - body.first) as usize];
            let astray = graph.outgoing[from as usize]
                .iter()
                .find(|to| section(**to) != section(from));
            if let Some(to) = astray {
                let (from, to) = (self.flat.nodes[from as usize], *to as usize);
                let name = &self.flat.nodes[to].id;
                let message = format!(
                    "`{name}` belongs to a handler, and `{}` leads to it from elsewhere",
                    from.id
                );
                let hint = "what a handler runs stands apart: take the connection away";
                let pointer = self.flat.pointers[to].clone();
                self.diagnostics
                    .push(Diagnostic::error(codes::HANDLER, pointer, message).hint(hint));
            }
        }
        sections
    }
}
