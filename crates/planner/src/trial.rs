//! A part of a workflow, or all of it without touching anything: a definition made from a definition.
//!
//! What a trial leaves out is decided before planning, so that the plan of the trial shows what will
//! run, and the engine has no second way to run anything. A node that is pinned gives its pin by
//! `main`; what leads to it from nodes that are left out is drawn straight, so that reading
//! `$nodes.x` behind it is as safe as in the whole workflow.

use std::collections::{BTreeMap, BTreeSet};

use nebula_action::{
    ActionKind, Catalog, ControlKind, EffectClass, Example, PORT_ERROR, PORT_MAIN,
};
use nebula_core::{NodeId, ParamValue};
use nebula_execution::{ExecutionPlan, PlanNode};
use nebula_workflow::{
    ActionRef, Connection, NodeDefinition, OnError, WorkflowDefinition, nearest,
};
use serde_json::{Value, json};

use crate::{cancels, lookup::metadata, milestones};

/// The action that stands in the place of a node whose own parameters may read what is left out.
const STAND_IN: &str = "data.set";

/// How much of a workflow runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    #[default]
    All,
    /// This node and what it needs; its result is the output.
    Until(NodeId),
    /// This node alone; what feeds it and what it reads is pinned. Its result is the output.
    Only(NodeId),
}

/// What of a workflow is to be tried, and with which values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trial {
    /// How much of it runs.
    pub extent: Extent,
    /// Values that stand for the results of nodes.
    pub pins: BTreeMap<NodeId, Value>,
    /// The same where `pins` has none: in a dry run for nodes that touch the outside, with another
    /// extent for every node before the one that is asked for.
    pub spare: BTreeMap<NodeId, Value>,
    /// Nodes that touch the outside are answered, and nothing is waited for.
    pub dry_run: bool,
}

/// A definition that can be planned, and what is special about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// What runs.
    pub definition: WorkflowDefinition,
    /// The nodes that do not run because a value stands for their result.
    pub pinned: Vec<NodeId>,
    /// The nodes that a dry run answers, and whence.
    pub answered: Vec<(NodeId, Answer)>,
    /// Pins of nodes that the trial does not need.
    pub unused: Vec<NodeId>,
}

/// Whence a dry run has the result of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// From its pin.
    Pin,
    /// From the first example of its action.
    Example,
    /// There is none: it is null.
    Nothing,
    /// It passes `$json` on, without waiting or sending.
    PassedOn,
}

/// Why there is no such trial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// The workflow has no such node.
    #[error("the workflow has no node `{node}`")]
    UnknownNode {
        /// What was asked for.
        node: NodeId,
        /// The node that has almost this name.
        near: Option<String>,
    },
    /// Some of what a node needs has no value.
    #[error("`{node}` needs the results of {}, which have no pin", list(missing))]
    Missing {
        /// The node that was to run alone.
        node: NodeId,
        /// What has no value.
        missing: Vec<NodeId>,
    },
    /// The node runs as a part of another one.
    #[error("`{node}` stands in a body, and runs only with the node that has the body")]
    InBody {
        /// The node.
        node: NodeId,
    },
    /// The node that is to run would not.
    #[error("`{node}` is to run, and a pin would stand for its result")]
    PinnedItself {
        /// The node.
        node: NodeId,
    },
}

fn list(nodes: &[NodeId]) -> String {
    let nodes: Vec<_> = nodes.iter().map(|node| format!("`{node}`")).collect();
    nodes.join(", ")
}

/// Makes the definition of a trial. `plan` is that of the whole definition.
///
/// # Errors
/// [`TrialError`].
pub fn trial(
    definition: &WorkflowDefinition,
    plan: &ExecutionPlan,
    catalog: &dyn Catalog,
    trial: &Trial,
) -> Result<Tried, TrialError> {
    for node in trial.pins.keys() {
        there(plan, node)?;
        at_the_top(definition, node)?;
    }
    let mut tried = Tried {
        definition: definition.clone(),
        pinned: Vec::new(),
        answered: Vec::new(),
        unused: Vec::new(),
    };
    // Nothing starts a trial but the one who asks for it.
    tried.definition.triggers.clear();
    match &trial.extent {
        Extent::All => pin_given(trial, &mut tried),
        Extent::Until(node) | Extent::Only(node) => {
            let index = there(plan, node)?;
            at_the_top(definition, node)?;
            if trial.pins.contains_key(node) {
                return Err(TrialError::PinnedItself { node: node.clone() });
            }
            Cut::new(plan, index, trial)?.apply(&mut tried);
        }
    }
    if trial.dry_run {
        let mut nodes = std::mem::take(&mut tried.definition.nodes);
        answer(plan, catalog, trial, &mut nodes, &mut tried);
        tried.definition.nodes = nodes;
    }
    Ok(tried)
}

fn there(plan: &ExecutionPlan, node: &NodeId) -> Result<u32, TrialError> {
    plan.index_of(node.as_str()).ok_or_else(|| {
        let names = plan.nodes.iter().map(|node| node.id.as_str());
        TrialError::UnknownNode {
            node: node.clone(),
            near: nearest(node.as_str(), names).map(str::to_owned),
        }
    })
}

fn at_the_top(definition: &WorkflowDefinition, node: &NodeId) -> Result<(), TrialError> {
    match definition.node(node.as_str()) {
        Some(_) => Ok(()),
        None => Err(TrialError::InBody { node: node.clone() }),
    }
}

fn pin_given(trial: &Trial, tried: &mut Tried) {
    for node in &mut tried.definition.nodes {
        if let Some(pin) = trial.pins.get(&node.id) {
            node.pin = Some(pin.clone());
            tried.pinned.push(node.id.clone());
        }
    }
}

/// The part of a workflow that leads to one node.
struct Cut<'t> {
    plan: &'t ExecutionPlan,
    trial: &'t Trial,
    /// Dense indices of the nodes that run.
    runs: BTreeSet<u32>,
    /// Dense indices of the nodes that a value stands for.
    pinned: BTreeMap<u32, &'t Value>,
}

impl<'t> Cut<'t> {
    fn new(plan: &'t ExecutionPlan, node: u32, trial: &'t Trial) -> Result<Self, TrialError> {
        let mut cut = Self {
            plan,
            trial,
            runs: BTreeSet::new(),
            pinned: BTreeMap::new(),
        };
        let (mut open, mut missing) = (vec![node], Vec::new());
        while let Some(next) = open.pop() {
            let id = &plan.node(next).id;
            let pin = trial.pins.get(id).or_else(|| trial.spare.get(id));
            match pin.filter(|_| next != node) {
                Some(pin) => {
                    cut.pinned.insert(next, pin);
                }
                None if next != node && matches!(trial.extent, Extent::Only(_)) => {
                    missing.push(id.clone());
                }
                None if cut.runs.insert(next) => {
                    open.extend(cut.before(next));
                    open.extend(cut.loops_before(next));
                    open.extend(cut.read(next).into_iter().filter(|read| *read != next));
                }
                None => {}
            }
        }
        if missing.is_empty() {
            return Ok(cut);
        }
        missing.sort();
        missing.dedup();
        Err(TrialError::Missing {
            node: plan.node(node).id.clone(),
            missing,
        })
    }

    /// The nodes from which a connection leads to this one.
    fn before(&self, node: u32) -> impl Iterator<Item = u32> {
        let edges = self.plan.incoming(node).iter();
        edges.map(|edge| self.plan.connections[*edge as usize].from)
    }

    /// The nodes of the loops that lead to this one: they come to an end as a whole. A node that is to
    /// run alone needs only what leads to it at once.
    fn loops_before(&self, node: u32) -> Vec<u32> {
        if matches!(self.trial.extent, Extent::Only(_)) {
            return Vec::new();
        }
        let loops = self.before(node).filter_map(|from| self.plan.loop_of(from));
        let left = loops.filter(|before| self.plan.loop_of(node) != Some(*before));
        left.flat_map(|before| self.plan.loops[before as usize].nodes.clone())
            .collect()
    }

    /// Whether all nodes of the loop that this one is in run.
    fn comes_round(&self, node: u32) -> bool {
        let within = self.plan.loop_of(node);
        let part = within.map(|within| &self.plan.loops[within as usize]);
        part.is_some_and(|part| part.nodes.iter().all(|node| self.runs.contains(node)))
    }

    /// The nodes at the top that expressions of this one and of its body read.
    fn read(&self, node: u32) -> BTreeSet<u32> {
        let (mut found, mut open) = (BTreeSet::new(), vec![node]);
        let top = self.plan.top_level().len() as u32;
        while let Some(next) = open.pop() {
            found.extend(self.plan.reads(next).iter().filter(|read| **read < top));
            // What begins a milestone is waited for; what ends it need not happen.
            let milestone = self.plan.node(next).milestone;
            let reached = milestone.and_then(|milestone| milestone.reached);
            found.extend(reached.filter(|reached| *reached < top));
            if let Some((_, body)) = self.plan.body_of(next) {
                open.extend(body.first..body.first + body.count);
            }
        }
        found
    }

    fn keeps(&self, node: u32) -> bool {
        self.runs.contains(&node) || self.pinned.contains_key(&node)
    }

    /// The nodes that are kept and lead to this one over nodes that are not.
    fn sources(&self, node: u32) -> BTreeSet<u32> {
        let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut open: Vec<u32> = self.before(node).collect();
        while let Some(next) = open.pop() {
            if self.keeps(next) {
                found.insert(next);
            } else if seen.insert(next) {
                open.extend(self.before(next));
            }
        }
        found
    }

    fn apply(&self, tried: &mut Tried) {
        let definition = &mut tried.definition;
        let index = |id: &NodeId| self.plan.index_of(id.as_str());
        let connections = self.connections(&definition.connections);
        let mut nodes = Vec::new();
        for node in &definition.nodes {
            match index(&node.id) {
                Some(at) if self.runs.contains(&at) => {
                    let mut node = node.clone();
                    let routed = |it: &Connection| it.from == node.id && it.port == PORT_ERROR;
                    if node.on_error == OnError::Route && !connections.iter().any(routed) {
                        // Where it would lead is left out: its failure is what is to be seen.
                        node.on_error = OnError::Fail;
                    }
                    nodes.push(node);
                }
                Some(at) => {
                    if let Some(pin) = self.pinned.get(&at) {
                        nodes.push(stand_in(node, self.plan.node(at), pin));
                        tried.pinned.push(node.id.clone());
                    }
                }
                None => {}
            }
        }
        let unused = |id: &&NodeId| index(id).is_none_or(|at| !self.pinned.contains_key(&at));
        tried.unused = self.trial.pins.keys().filter(unused).cloned().collect();
        let kept = nodes.iter().map(|node| node.id.clone());
        let inner = self.plan.nodes.iter().enumerate();
        let inner = inner.filter(|(at, _)| self.plan.extent_of(*at as u32) != 0);
        let kept = kept.chain(inner.map(|(_, node)| node.id.clone())).collect();
        cancels::leave_out(&mut nodes, self.plan, &kept);
        milestones::leave_out(&mut nodes, self.plan, &kept);
        definition.nodes = nodes;
        definition.connections = connections;
        definition.output = Some(self.result());
        definition.output_schema = None;
        definition.layout = None;
    }

    /// The result of the node that was asked for.
    fn result(&self) -> ParamValue {
        let (Extent::Until(node) | Extent::Only(node)) = &self.trial.extent else {
            return ParamValue::Literal(Value::Null);
        };
        let text = json!(format!("{{{{ $nodes.{node}.result }}}}"));
        ParamValue::parse(&text).expect("a node's id is a name in expressions")
    }

    fn connections(&self, written: &[Connection]) -> Vec<Connection> {
        let index = |id: &NodeId| self.plan.index_of(id.as_str());
        let alone = matches!(self.trial.extent, Extent::Only(_));
        let mut connections: Vec<Connection> = Vec::new();
        for connection in written {
            let (Some(from), Some(to)) = (index(&connection.from), index(&connection.to)) else {
                continue;
            };
            if !self.runs.contains(&to) || !self.keeps(from) {
                continue;
            }
            // A part of a loop has one round.
            if connection.closes_loop && !self.comes_round(to) {
                continue;
            }
            let mut connection = connection.clone();
            if self.pinned.contains_key(&from) {
                connection.port = PORT_MAIN.to_owned();
                if alone {
                    connection.condition = None;
                }
                let twice = |it: &Connection| {
                    (&it.from, &it.to, &it.input, &it.port)
                        == (
                            &connection.from,
                            &connection.to,
                            &connection.input,
                            &connection.port,
                        )
                };
                if connections.iter().any(twice) {
                    continue;
                }
            }
            connections.push(connection);
        }
        for pinned in self.pinned.keys() {
            let id = |node: u32| self.plan.node(node).id.clone();
            let straight = self.sources(*pinned).into_iter();
            connections.extend(straight.map(|from| Connection::new(id(from), id(*pinned))));
        }
        connections
    }
}

/// A node that gives this value and reads nothing. What splits or merges tokens still does: joins
/// behind it count on that.
fn stand_in(node: &NodeDefinition, planned: &PlanNode, pin: &Value) -> NodeDefinition {
    if planned.tokens.is_some() {
        let mut pinned = node.clone();
        pinned.pin = Some(pin.clone());
        pinned.when = None;
        return pinned;
    }
    let action: ActionRef = STAND_IN.parse().expect("the id of an action");
    let mut stand_in = NodeDefinition::new(node.id.clone(), action);
    stand_in.name.clone_from(&node.name);
    stand_in.notes.clone_from(&node.notes);
    stand_in.pin = Some(pin.clone());
    stand_in
}

/// Answers every node that would touch the outside, those of bodies too, and lets none wait.
fn answer(
    plan: &ExecutionPlan,
    catalog: &dyn Catalog,
    trial: &Trial,
    nodes: &mut [NodeDefinition],
    tried: &mut Tried,
) {
    for node in nodes {
        if let Some(body) = &mut node.body {
            answer(plan, catalog, trial, &mut body.nodes, tried);
        }
        // Nothing is done that would have to be undone.
        node.compensate = None;
        let Some(index) = plan.index_of(node.id.as_str()) else {
            continue;
        };
        let planned = plan.node(index);
        if node.pin.is_some() || node.disabled {
            if trial.pins.contains_key(&node.id) {
                tried.answered.push((node.id.clone(), Answer::Pin));
            }
            continue;
        }
        let holds = [
            ControlKind::Wait,
            ControlKind::Signal,
            ControlKind::Emit,
            ControlKind::Respond,
            ControlKind::Milestone,
        ];
        let holds = holds.map(ActionKind::Control);
        if holds.contains(&planned.kind) {
            node.disabled = true;
            tried.answered.push((node.id.clone(), Answer::PassedOn));
            continue;
        }
        let asks = planned.kind == ActionKind::Control(ControlKind::Approval);
        // A call is answered, whatever it would do: nothing begins beside a dry run.
        let calls = planned.kind == ActionKind::Control(ControlKind::Call);
        if planned.effect == EffectClass::Pure && !asks && !calls {
            continue;
        }
        let metadata = metadata(catalog, &node.action, "").ok();
        let example = metadata.and_then(|metadata| match asks {
            // It leaves by the port of its decision.
            true => metadata.examples.first(),
            false => example_of(&metadata.examples),
        });
        let (pin, from) = match (trial.spare.get(&node.id), example) {
            (Some(spare), _) => (spare.clone(), Answer::Pin),
            (None, Some(example)) if planned.for_each.is_some() || planned.each_item => {
                (json!([example.output]), Answer::Example)
            }
            (None, Some(example)) => (example.output.clone(), Answer::Example),
            (None, None) => (Value::Null, Answer::Nothing),
        };
        node.pin = Some(pin);
        tried.pinned.push(node.id.clone());
        tried.answered.push((node.id.clone(), from));
    }
}

fn example_of(examples: &[Example]) -> Option<&Example> {
    examples.iter().find(|example| example.port == PORT_MAIN)
}
