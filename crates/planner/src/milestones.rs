//! Milestones: between the ends of which nodes they lie, and which of them could wait for ever.

use std::collections::{BTreeMap, BTreeSet};

use nebula_action::{ActionKind, ActionMetadata, ControlKind};
use nebula_core::{NodeId, ParamValue};
use nebula_execution::{ExecutionPlan, PlanMilestone};
use nebula_workflow::{Diagnostic, NodeDefinition, nearest};
use serde_json::Value;

use crate::{
    bodies::Held,
    build::Builder,
    cancels::around,
    codes,
    flat::Flat,
    graph::{Ancestry, Graph},
};

/// What is known of the order of a workflow.
#[derive(Clone, Copy)]
pub(crate) struct Order<'o> {
    pub(crate) graph: &'o Graph,
    pub(crate) rates: &'o [u32],
    pub(crate) ancestry: &'o Ancestry,
    pub(crate) held: &'o [Vec<Held>],
}

/// A part of the life of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Begin(u32),
    End(u32),
}

impl Builder<'_> {
    /// The milestone of each node. Reports those that name what they cannot ask about, that could be
    /// waited for for ever, and that never hold.
    pub(crate) fn milestones(
        &mut self,
        actions: &[Option<&ActionMetadata>],
        order: Order<'_>,
    ) -> Vec<Option<PlanMilestone>> {
        let mut milestones = vec![None; actions.len()];
        for (index, metadata) in (0_u32..).zip(actions) {
            let kind = metadata.map(|metadata| metadata.kind);
            let node = self.flat.nodes[index as usize];
            // What does not run asks nothing.
            let inert = node.pin.is_some() || node.disabled;
            if inert || kind != Some(ActionKind::Control(ControlKind::Milestone)) {
                continue;
            }
            let reached = self.asked(index, "reached", order);
            let until = self.asked(index, "until", order);
            milestones[index as usize] = Some(PlanMilestone { reached, until });
        }
        self.wait_for_ever(&milestones, order);
        for (index, milestone) in (0_u32..).zip(&milestones) {
            if let Some(PlanMilestone { reached, until }) = milestone
                && let Some(until) = until
            {
                self.over_before(index, (*reached, *until), order);
            }
        }
        milestones
    }

    /// The node that a milestone names in a field, if it is one that can be asked about.
    fn asked(&mut self, asker: u32, field: &str, order: Order<'_>) -> Option<u32> {
        let written = self.flat.nodes[asker as usize].parameters.get(field)?;
        let ParamValue::Literal(Value::String(name)) = written else {
            if !matches!(written, ParamValue::Literal(_)) {
                let message =
                    "what a milestone lies between must be known before anything runs".to_owned();
                let hint = "write the id as it is; choose between several with `flow.switch`";
                self.at_milestone((asker, field), message, hint.to_owned());
            }
            // What is no text, the action's schema refuses.
            return None;
        };
        match self.problem(asker, name, order) {
            Ok(node) => Some(node),
            Err((message, hint)) => {
                self.at_milestone((asker, field), message, hint);
                None
            }
        }
    }

    /// The node that `asker` means by a name, or what is wrong with that, and what to do.
    fn problem(
        &self,
        asker: u32,
        name: &str,
        Order { graph, rates, .. }: Order<'_>,
    ) -> Result<u32, (String, String)> {
        let flat = &self.flat;
        let id = |node: u32| &flat.nodes[node as usize].id;
        let asks = format!("node `{}` asks about `{name}`", id(asker));
        let Some(node) = self.by_id.get(name).copied() else {
            let ids = (0..flat.nodes.len() as u32).filter(|node| around(flat, asker, *node));
            let near = nearest(name, ids.map(|node| id(node).as_str()));
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name a node beside it, or around the body that it stands in".to_owned(),
            };
            return Err((format!("{asks}, and there is no such node"), hint));
        };
        let problem = if node == asker || flat.owners(asker).any(|owner| owner == node) {
            let what = match node == asker {
                true => "which is itself".to_owned(),
                false => "in whose body it stands".to_owned(),
            };
            (what, "name a node whose end it does not wait for")
        } else if !around(flat, asker, node) {
            let owner = flat.owner(node).map_or(node, |owner| owner);
            let what = format!("which stands in the body of `{}`", id(owner));
            (what, "name the node that has the body")
        } else if graph.loops.of[node as usize].is_some()
            && graph.loops.of[node as usize] != graph.loops.of[flat.beside(asker, node) as usize]
            || rates[node as usize] != 1
        {
            let what = "which may run more than once".to_owned();
            (what, "name a node that runs once, or in each round")
        } else {
            return Ok(node);
        };
        Err((format!("{asks}, {}", problem.0), problem.1.to_owned()))
    }

    /// Reports milestones that could be waited for for ever: what they wait for comes after them, or
    /// belongs to a handler that need not run.
    fn wait_for_ever(&mut self, milestones: &[Option<PlanMilestone>], order: Order<'_>) {
        let sections = sections(&self.flat, order);
        let exits = exits(&self.flat, order.graph);
        for (index, milestone) in (0_u32..).zip(milestones) {
            let Some(reached) = milestone.and_then(|milestone| milestone.reached) else {
                continue;
            };
            let asker = self.flat.beside(index, reached);
            let id = |node: u32| &self.flat.nodes[node as usize].id;
            let problem = if sections[asker as usize] == sections[reached as usize] {
                let way = waits(&self.flat, (milestones, order.graph, &exits), index);
                way.map(|way| {
                    let names: Vec<_> = way.iter().map(|node| id(*node).as_str()).collect();
                    let message = format!(
                        "`{}` would wait for itself: {}",
                        id(index),
                        names.join(" → ")
                    );
                    (message, "name a node that does not wait for this one")
                })
            } else {
                let (name, asker) = (id(reached), id(index));
                let message = format!(
                    "`{asker}` would wait for `{name}`, and one of them belongs to a handler: where it runs, the other need not"
                );
                Some((message, "ask in the handler with `$nodes` instead"))
            };
            if let Some((message, hint)) = problem {
                self.at_milestone((index, "reached"), message, hint.to_owned());
            }
        }
    }

    /// Points out what is over before it can be asked about.
    fn over_before(&mut self, asker: u32, ends: (Option<u32>, u32), order: Order<'_>) {
        let (reached, until) = ends;
        let id = |node: u32| &self.flat.nodes[node as usize].id;
        if reached == Some(until) {
            let message = format!("the milestone is over when `{}` has succeeded", id(until));
            let hint = "name a later node, or leave `until` out";
            self.at_milestone((asker, "until"), message, hint.to_owned());
            return;
        }
        let before = [Some(asker), reached].into_iter().flatten();
        let mut before = before.filter(|node| around(&self.flat, *node, until));
        let late = before.find(|node| {
            let beside = self.flat.beside(*node, until);
            order.ancestry.is_certain(beside, until)
        });
        if let Some(late) = late {
            let message = format!(
                "`{}` is settled before `{}` begins: the milestone holds only if it was skipped",
                id(until),
                id(late)
            );
            let at = format!("{}/parameters/until", self.flat.pointers[asker as usize]);
            let hint = "name a later node, or decide by its status with `flow.if`";
            self.diagnostics
                .push(Diagnostic::lint(codes::MILESTONE, at, message).hint(hint));
        }
    }

    fn at_milestone(&mut self, (node, field): (u32, &str), message: String, hint: String) {
        let at = format!("{}/parameters/{field}", self.flat.pointers[node as usize]);
        self.diagnostics
            .push(Diagnostic::error(codes::MILESTONE, at, message).hint(hint));
    }
}

/// For each node: the handler that it follows, if any.
fn sections(flat: &Flat<'_>, order: Order<'_>) -> Vec<Option<u32>> {
    let mut sections = vec![None; flat.nodes.len()];
    for held in order.held.iter().flatten() {
        let mut open = vec![held.node];
        while let Some(node) = open.pop() {
            if sections[node as usize].replace(held.node).is_none() {
                open.extend(&order.graph.outgoing[node as usize]);
            }
        }
    }
    sections
}

/// For each node that a loop leads to: the loops, all of which end before it begins.
fn exits(flat: &Flat<'_>, graph: &Graph) -> BTreeMap<u32, BTreeSet<u32>> {
    let mut exits: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for node in 0..flat.nodes.len() as u32 {
        let of = |node: u32| graph.loops.of[node as usize];
        let left = graph.incoming[node as usize].iter();
        let left = left.filter_map(|from| of(*from).filter(|_| of(*from) != of(node)));
        exits.entry(node).or_default().extend(left);
    }
    exits
}

/// The nodes by which a milestone waits for its own end, from itself to itself.
///
/// A node begins after those that lead to it, after all of a loop that leads to it, and with the one
/// whose body it stands in; it ends after all of its body, and a milestone after what it waits for.
fn waits(
    flat: &Flat<'_>,
    (milestones, graph, exits): (
        &[Option<PlanMilestone>],
        &Graph,
        &BTreeMap<u32, BTreeSet<u32>>,
    ),
    start: u32,
) -> Option<Vec<u32>> {
    let reached = |node: u32| milestones[node as usize].and_then(|it| it.reached);
    let before = |moment: Moment| -> Vec<Moment> {
        match moment {
            Moment::Begin(node) => {
                let loops = exits.get(&node).into_iter().flatten();
                let loops = loops.flat_map(|left| &graph.loops.parts[*left as usize].nodes);
                let from = graph.incoming[node as usize].iter().chain(loops);
                let from = from.map(|from| Moment::End(*from));
                from.chain(flat.owner(node).map(Moment::Begin)).collect()
            }
            Moment::End(node) => {
                let body = flat.bodies.iter().find(|body| body.owner == node);
                let nodes = body
                    .into_iter()
                    .flat_map(|it| it.first..it.first + it.count);
                let ends = nodes.chain(reached(node)).map(Moment::End);
                ends.chain([Moment::Begin(node)]).collect()
            }
        }
    };
    let goal = Moment::End(start);
    let first = Moment::End(reached(start)?);
    let mut came: BTreeMap<Moment, Moment> = BTreeMap::from([(first, goal)]);
    let mut open = std::collections::VecDeque::from([first]);
    while let Some(moment) = open.pop_front() {
        for next in before(moment) {
            if let std::collections::btree_map::Entry::Vacant(new) = came.entry(next) {
                new.insert(moment);
                open.push_back(next);
            }
        }
        if came.contains_key(&goal) {
            break;
        }
    }
    let mut way = vec![start];
    let mut moment = *came.get(&goal)?;
    while moment != goal {
        let (Moment::Begin(node) | Moment::End(node)) = moment;
        if way.last() != Some(&node) {
            way.push(node);
        }
        moment = came[&moment];
    }
    way.push(start);
    way.reverse();
    Some(way)
}

/// Takes what is left out of a definition out of what its milestones lie between: what does not run
/// has no end.
pub(crate) fn leave_out(
    nodes: &mut [NodeDefinition],
    plan: &ExecutionPlan,
    kept: &BTreeSet<NodeId>,
) {
    for node in nodes {
        let planned = plan.index_of(node.id.as_str()).map(|at| plan.node(at).kind);
        if planned == Some(ActionKind::Control(ControlKind::Milestone)) {
            node.parameters.retain(|_, value| {
                let ParamValue::Literal(Value::String(name)) = value else {
                    return true;
                };
                kept.iter().any(|id| id.as_str() == name)
            });
            node.disabled |= node.parameters.is_empty();
        }
        if let Some(body) = &mut node.body {
            leave_out(&mut body.nodes, plan, kept);
        }
    }
}
