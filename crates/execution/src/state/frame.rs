//! Frames: runs of parts of the plan. The top level is one, and so is each run of a body.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nebula_action::{ActionError, ErrorClass};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::{
    Activation, ExecutionPlan, Failure, Given, PlanBody, PlanOutput,
    activation::{split, there},
    tokens::{Looping, Queue, Round},
};

/// The frame of the top level.
pub(crate) const TOP: u32 = 0;

/// One activation: in which frame, of which node, which number.
///
/// Frames have numbers for as long as they are open; a number is used again after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct At {
    /// Which frame; 0 is the top level.
    pub frame: u32,
    /// Dense index of the node.
    pub node: u32,
    /// Which activation, from 1.
    pub number: u32,
}

/// An activation, or one item of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Which activation.
    pub at: At,
    /// Which item or round.
    pub item: Option<u32>,
}

impl Key {
    /// The least of all keys of a frame.
    pub(crate) fn of_frame(frame: u32) -> Self {
        let at = At {
            frame,
            node: 0,
            number: 0,
        };
        at.whole()
    }
}

impl At {
    /// The whole activation.
    #[must_use]
    pub fn whole(self) -> Key {
        Key {
            at: self,
            item: None,
        }
    }

    /// One item of it.
    #[must_use]
    pub fn item(self, item: u32) -> Key {
        Key {
            at: self,
            item: Some(item),
        }
    }
}

/// What is known of one node in one frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeState {
    pub(crate) activations: Vec<Activation>,
    /// How many of its incoming connections have a token that waits.
    pub(crate) filled: u32,
    /// What its join has seen, if it counts.
    pub(crate) round: Round,
}

impl NodeState {
    /// Adds an activation and gives its number.
    pub(crate) fn begin(&mut self, activation: Activation) -> u32 {
        // Most nodes have one, and it is large: a list that makes room for four would be most of what
        // an execution holds.
        if self.activations.is_empty() {
            self.activations.reserve_exact(1);
        }
        self.activations.push(activation);
        self.activations.len() as u32
    }
}

/// One run of a part of the plan: its nodes, and the tokens between them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Frame {
    /// Which part: 0 is the top level, `n + 1` the body number `n`.
    pub(crate) extent: u32,
    /// Whose body it is a run of; `None` for the top level.
    pub(crate) owner: Option<Key>,
    /// Dense index of its first node.
    first_node: u32,
    /// Dense index of its first connection.
    first_edge: u32,
    nodes: Vec<NodeState>,
    /// One queue of tokens for each connection.
    queues: Vec<Queue>,
    /// Activations that have not ended.
    pub(crate) open: u32,
    /// Loops that have begun and are not over, by number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) loops: BTreeMap<u32, Looping>,
    /// Nodes that were given up, each with the last of its activations that never begins.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) given_up: BTreeMap<u32, u32>,
    /// `$json` of its start nodes; the top level has the input of the execution.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "there"
    )]
    json: Option<Arc<Value>>,
    /// The same, if it is no value; `json` is absent then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) given: Option<Given>,
    /// How it is going to end, once nothing in it runs any more.
    pub(crate) ending: Option<FrameEnding>,
    /// Which of its held nodes was called, and after which error.
    pub(crate) called: Vec<Called>,
}

/// How a run of a body is going to end, before all of its tokens have come to rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FrameEnding {
    /// One of its nodes failed.
    Fail(Failure),
    /// This node was the first to give a result, by dense index.
    Won(u32),
    /// What it would give is of no use any more.
    Dropped,
}

/// A held node that was called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Called {
    /// Dense index of the node.
    pub(crate) node: u32,
    /// The failure that it handles; `None` for what runs in any case.
    pub(crate) failure: Option<Failure>,
}

impl Frame {
    pub(crate) fn new(plan: &ExecutionPlan, extent: u32, owner: Option<Key>) -> Self {
        let (nodes, edges) = (plan.extent_nodes(extent), plan.extent_edges(extent));
        Self {
            extent,
            owner,
            first_node: nodes.start,
            first_edge: edges.start,
            nodes: vec![NodeState::default(); nodes.len()],
            queues: vec![Queue::default(); edges.len()],
            ..Self::default()
        }
    }

    /// Whether it has the nodes and connections of its part of this plan.
    pub(crate) fn fits(&self, plan: &ExecutionPlan) -> bool {
        if self.extent as usize > plan.bodies.len() {
            return false;
        }
        let (nodes, edges) = (
            plan.extent_nodes(self.extent),
            plan.extent_edges(self.extent),
        );
        nodes == (self.first_node..self.first_node + self.nodes.len() as u32)
            && edges == (self.first_edge..self.first_edge + self.queues.len() as u32)
    }

    pub(crate) fn node(&self, node: u32) -> &NodeState {
        &self.nodes[(node - self.first_node) as usize]
    }

    pub(crate) fn node_mut(&mut self, node: u32) -> &mut NodeState {
        &mut self.nodes[(node - self.first_node) as usize]
    }

    pub(crate) fn queue_mut(&mut self, edge: u32) -> &mut Queue {
        &mut self.queues[(edge - self.first_edge) as usize]
    }

    /// How many tokens wait on a connection.
    pub(crate) fn waiting(&self, edge: u32) -> usize {
        self.queues[(edge - self.first_edge) as usize].len()
    }

    /// Every node of it with its dense index.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (u32, &NodeState)> {
        (self.first_node..).zip(&self.nodes)
    }

    /// All activations that have not ended.
    pub(crate) fn open_mut(&mut self) -> impl Iterator<Item = &mut Activation> {
        let activations = self.nodes.iter_mut().flat_map(|node| &mut node.activations);
        activations.filter(|activation| activation.is_open())
    }

    /// Whether no token waits and no activation is open.
    pub(crate) fn is_quiet(&self) -> bool {
        self.open == 0
            && self.loops.is_empty()
            && self.queues.iter().all(Queue::is_empty)
            && self.nodes.iter().all(|node| node.round.is_empty())
    }

    /// The activation of this node with this number.
    pub(crate) fn activation(&self, node: u32, number: u32) -> Option<&Activation> {
        self.activations(node)
            .get((number as usize).checked_sub(1)?)
    }

    /// All activations of a node; none if it is not of this frame.
    pub(crate) fn activations(&self, node: u32) -> &[Activation] {
        let node = node.checked_sub(self.first_node);
        let node = node.and_then(|node| self.nodes.get(node as usize));
        node.map_or(&[], |node| &node.activations)
    }

    /// `$json` of its start nodes.
    pub(crate) fn json(&self) -> Option<Given> {
        let value = || self.json.clone().map(Given::Value);
        self.given.clone().or_else(value)
    }

    /// It begins with this.
    pub(crate) fn begin_with(&mut self, json: Given) {
        (self.json, self.given) = split(json);
    }

    /// What a node gave last.
    fn result(&self, node: u32) -> Option<Given> {
        let mut activations = self.node(node).activations.iter().rev();
        activations.find_map(Activation::given)
    }

    /// The body that it is a run of; `None` for the top level.
    pub(crate) fn body<'p>(&self, plan: &'p ExecutionPlan) -> Option<&'p PlanBody> {
        let body = self.extent.checked_sub(1)?;
        Some(&plan.bodies[body as usize])
    }

    /// Takes every token away, as nothing that they would start is to run.
    pub(crate) fn drop_tokens(&mut self) {
        self.queues.iter_mut().for_each(Queue::clear);
        self.loops.clear();
        for node in &mut self.nodes {
            node.filled = 0;
            node.round = Round::default();
        }
    }

    /// Whether this activation of a node was given up before it began.
    pub(crate) fn is_given_up(&self, node: u32, number: u32) -> bool {
        self.given_up.get(&node).is_some_and(|last| number <= *last)
    }

    /// Whether the node that this one is was called.
    pub(crate) fn was_called(&self, node: u32) -> bool {
        self.called.iter().any(|called| called.node == node)
    }

    /// How a run ended of which nothing is under way.
    ///
    /// A failure that was handled is none: its handler's results stand for those of the body.
    pub(crate) fn outcome(&self, plan: &ExecutionPlan, body: &PlanBody) -> Result<Given, Failure> {
        match &self.ending {
            Some(FrameEnding::Fail(failure)) => return Err(failure.clone()),
            Some(FrameEnding::Won(node)) => {
                let result = self.result(*node).unwrap_or_default();
                let winner = Given::Value(Arc::new(json!(plan.node(*node).id)));
                let fields = vec![("winner".into(), winner), ("result".into(), result)];
                return Ok(Given::object(fields));
            }
            Some(FrameEnding::Dropped) => return Err(dropped()),
            None => {}
        }
        let mut output = &body.output;
        for called in &self.called {
            let handler = body.handler(called.node);
            match (handler, &called.failure) {
                (Some(handler), Some(failure)) if handler.always => return Err(failure.clone()),
                (Some(handler), Some(_)) => output = &handler.output,
                _ => {}
            }
        }
        Ok(self.output(plan, output))
    }

    /// The results of the nodes that `output` names.
    fn output(&self, plan: &ExecutionPlan, output: &PlanOutput) -> Given {
        match output {
            PlanOutput::Node(node) => self.result(*node).unwrap_or_default(),
            PlanOutput::Nodes(nodes) => {
                let results = nodes.iter().filter_map(|node| {
                    Some((plan.node(*node).id.to_string(), self.result(*node)?))
                });
                Given::object(results.collect())
            }
            PlanOutput::Program(_) => Given::default(),
        }
    }
}

fn dropped() -> Failure {
    let message = "what it would have given is of no use any more";
    Failure {
        error: ActionError::new("BODY_DROPPED", message, ErrorClass::Cancelled),
        node: None,
    }
}

/// All frames that are open, each under a number: the lowest that is free.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Frames {
    frames: Vec<Option<Frame>>,
    free: BTreeSet<u32>,
    by_owner: BTreeMap<Key, u32>,
}

impl Frames {
    /// The frame of the top level and nothing else.
    pub(crate) fn new(plan: &ExecutionPlan) -> Self {
        Self {
            frames: vec![Some(Frame::new(plan, 0, None))],
            ..Self::default()
        }
    }

    /// Takes in a frame and gives its number.
    pub(crate) fn open(&mut self, frame: Frame) -> u32 {
        let number = self.free.pop_first().unwrap_or(self.frames.len() as u32);
        if let Some(owner) = frame.owner {
            let before = self.by_owner.insert(owner, number);
            assert!(before.is_none(), "a body is opened twice at the same time");
        }
        match self.frames.get_mut(number as usize) {
            Some(slot) => *slot = Some(frame),
            None => self.frames.push(Some(frame)),
        }
        number
    }

    /// Gives a frame out again; its number is free from then on.
    pub(crate) fn close(&mut self, number: u32) -> Option<Frame> {
        let frame = self.frames.get_mut(number as usize)?.take()?;
        self.free.insert(number);
        if let Some(owner) = frame.owner {
            self.by_owner.remove(&owner);
        }
        Some(frame)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Frame> {
        self.frames.get(number as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Frame> {
        self.frames.get_mut(number as usize)?.as_mut()
    }

    /// The number of the run of this owner's body that is open.
    pub(crate) fn of_owner(&self, owner: Key) -> Option<u32> {
        self.by_owner.get(&owner).copied()
    }

    /// The numbers of all runs of this activation's body that are open, by item.
    pub(crate) fn of_activation(&self, at: At) -> impl Iterator<Item = u32> {
        let runs = self.by_owner.range(at.whole()..=at.item(u32::MAX));
        runs.map(|(_, number)| *number)
    }

    /// The numbers of all frames that stand in this one, the innermost first.
    pub(crate) fn inside(&self, number: u32) -> Vec<u32> {
        let (mut found, mut next) = (vec![number], 0);
        while let Some(frame) = found.get(next).copied() {
            let runs = self
                .by_owner
                .range(Key::of_frame(frame)..Key::of_frame(frame + 1));
            found.extend(runs.map(|(_, inner)| *inner));
            next += 1;
        }
        found.remove(0);
        found.reverse();
        found
    }

    /// All open frames, each with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Frame)> {
        let frames = (0_u32..).zip(&self.frames);
        frames.filter_map(|(number, frame)| Some((number, frame.as_ref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Frame> {
        self.frames.iter_mut().flatten()
    }
}

impl Serialize for Frames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.frames.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Frames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut read = Self {
            frames: Vec::deserialize(deserializer)?,
            ..Self::default()
        };
        for (number, frame) in (0_u32..).zip(&read.frames) {
            match frame {
                Some(frame) => read
                    .by_owner
                    .extend(frame.owner.map(|owner| (owner, number))),
                None => {
                    read.free.insert(number);
                }
            }
        }
        Ok(read)
    }
}
