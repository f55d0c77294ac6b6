//! The compiled form of one workflow version.

mod admission;
mod compensation;
mod credential;
mod graph;
mod items;
mod milestone;
mod schemas;

use std::{
    ops::{Deref, Range},
    path::Path,
    sync::Arc,
    time::Duration,
};

use compact_str::CompactString;
use nebula_action::{
    ActionKind, Capability, CapabilityError, ControlKind, EffectClass, InterfaceVersion,
    PORT_ERROR, PORT_MAIN,
};
use nebula_core::{ActionId, Digest, Group, NodeId, Priority, WorkflowId};
use nebula_expression::{Context, Program, Scope};
use nebula_parameter::{ParamProgram, Parameters, ResolveError};
use nebula_workflow::{
    ItemsRest, JoinRest, JoinRule, OnError, OnIndeterminate, OnItemError, RetryPolicy,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub(crate) use graph::NamedList;
use graph::{Graph, Needs};
use schemas::Schemas;

pub use admission::{AdmissionKeyError, PlanAdmission, PlanRateLimit};
pub use compensation::PlanCompensation;
pub use credential::PlanCredential;
pub use milestone::PlanMilestone;

/// The newest version of the stored form of plans. 2 brought bodies, loops and admission, 3 control
/// actions, joins, limits, lists and compensations that earlier builds do not know, 4 credentials, 5
/// lists that are distributed, 6 the workers that it runs on; a plan has the least version that has all
/// of it, so that earlier builds read it where they can.
pub const PLAN_FORMAT: u32 = 6;

/// What an [`ExecutionPlan`] is made of, and what is stored of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanParts {
    /// The version of its stored form, which follows from what it has: 1 to [`PLAN_FORMAT`].
    pub format: u32,
    /// Which workflow.
    pub workflow: WorkflowId,
    /// Its name.
    pub name: String,
    /// Which version of it.
    pub version: u32,
    /// Digest of the definition.
    pub definition: Digest,
    /// IANA name of the zone for `$today` and local dates.
    pub timezone: Arc<str>,
    /// JSON Schema of the input; null if there is none.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input_schema: Value,
    /// JSON Schema of the output; null if there is none.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output_schema: Value,
    /// The nodes; a node's index here is its dense index. Those of the top level stand first, then
    /// those of each body.
    pub nodes: Vec<PlanNode>,
    /// The connections; in a plan sorted by source node, and a connection's index here is its dense index.
    pub connections: Vec<PlanConnection>,
    /// The bodies of nodes, in the order of their first nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bodies: Vec<PlanBody>,
    /// The loops of connections that go back, in the order of their first nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loops: Vec<PlanLoop>,
    /// What nodes call, in the order of the nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<PlanCall>,
    /// What the execution gives.
    pub output: PlanOutput,
    /// The most attempts at the same time, at least 1.
    pub concurrency: u32,
    /// The longest time from start to end.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "nebula_core::serde_duration::option"
    )]
    pub timeout: Option<Duration>,
    /// Which executions may run beside each other; all, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<PlanAdmission>,
    /// How often executions may begin; as often as they are started, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<PlanRateLimit>,
    /// How urgent executions are that nobody says more of.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: Priority,
    /// Which workers drive executions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub runs_on: Group,
}

/// The compiled form of one workflow version: what will run, with dense indices and compiled
/// expressions. Built before anything runs, stored by digest, never changed.
///
/// Its parts can be read through it: `plan.nodes`. Two plans are equal if their parts are.
#[derive(Debug, Clone)]
pub struct ExecutionPlan {
    parts: PlanParts,
    graph: Graph,
    schemas: Schemas,
    takes_slots: bool,
    names_credentials: bool,
}

/// One node of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanNode {
    /// Its id.
    pub id: NodeId,
    /// The action it runs.
    pub action: ActionId,
    /// The exact interface that was found when the plan was made.
    pub version: InterfaceVersion,
    /// Who does the work.
    pub kind: ActionKind,
    /// What repeating an attempt does outside.
    pub effect: EffectClass,
    /// Whether the action can find out what became of a lost attempt.
    #[serde(default)]
    pub reconciles: bool,
    /// What the action gets.
    pub parameters: Parameters,
    /// False: the node is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Program>,
    /// The list whose elements it runs for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<Program>,
    /// Whether `$json` is the element.
    #[serde(default)]
    pub each_item: bool,
    /// Whether its items run in parts, by children that any worker takes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub distribute: bool,
    /// When its list is complete before all items have ended: after so many successes, or once it
    /// holds; `$json` is the progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_when: Option<Program>,
    /// What then becomes of the rest.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rest: ItemsRest,
    /// What the failure of one item means; absent: as `on_error` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_item_error: Option<OnItemError>,
    /// The most items at the same time; at least 1.
    pub concurrency: u32,
    /// How it joins its inputs.
    pub join: JoinRule,
    /// How often it is tried.
    pub retry: RetryPolicy,
    /// The longest time for one attempt.
    #[serde(with = "nebula_core::serde_duration")]
    pub timeout: Duration,
    /// The longest silence of one attempt.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "nebula_core::serde_duration::option"
    )]
    pub heartbeat_timeout: Option<Duration>,
    /// What its final failure means.
    pub on_error: OnError,
    /// What an unknown outcome means.
    pub on_indeterminate: OnIndeterminate,
    /// What undoes its effect if the execution does not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<Box<PlanCompensation>>,
    /// Replaces the derived idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<ParamProgram>,
    /// It does nothing and passes `$json` on.
    #[serde(default)]
    pub disabled: bool,
    /// A value that stands for its result, instead of running it; null is one, too.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "given"
    )]
    pub pin: Option<Value>,
    /// Capabilities that its literal parameters imply or that it requires literally, as text;
    /// relative paths begin at the workflow's folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Capabilities that it requires by expressions over `$input`, resolved when an execution starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<ParamProgram>,
    /// The credentials that its attempts get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<PlanCredential>,
    /// Into how many tokens `flow.split_tokens` splits one on each connection, or how many
    /// `flow.merge_tokens` merges into one: also if it is disabled or pinned, as joins count on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u32>,
    /// Between the ends of which nodes it lets through, if it is a `flow.milestone` that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<PlanMilestone>,
    /// How often it is activated in each execution, or in each round of its loop: once, where no
    /// `join: each` and no `flow.split_tokens` leads to it.
    pub rate: u32,
    /// The number of nodes on the longest path from it to an end, itself included: what is ready
    /// runs in the order of this.
    pub priority: u32,
}

/// One connection of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanConnection {
    /// Dense index of the source.
    pub from: u32,
    /// The output port it leaves by.
    pub port: CompactString,
    /// Dense index of the target.
    pub to: u32,
    /// The input it ends at.
    pub input: CompactString,
    /// False: its token is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Program>,
    /// How journals name it among those of its port: `target` or `target:input`.
    pub name: CompactString,
    /// Whether it goes back to where its loop begins: a live token on it begins the next round.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closes_loop: bool,
}

/// Nodes that run again and again, as connections lead from the last of them back to the first.
///
/// Only its entry is reached from outside. Connections that leave it send one token each, once the
/// last round is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanLoop {
    /// Dense index of the node that each round begins with.
    pub entry: u32,
    /// Dense indices of all its nodes, rising, the entry among them.
    pub nodes: Vec<u32>,
    /// The most rounds, at least 1: where one more would begin, the entry fails instead.
    pub max_rounds: u32,
}

/// The body of a node: a part of the plan that runs as often as its node says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanBody {
    /// Dense index of the node whose body it is; less than that of any node in it.
    pub owner: u32,
    /// Dense index of its first node; the others follow it.
    pub first: u32,
    /// How many nodes it has, at least 1; those of bodies in it are not among them.
    pub count: u32,
    /// Nodes that do not start with it, but are called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handlers: Vec<PlanHandler>,
    /// What a run of it gives: the results of nodes of the body.
    pub output: PlanOutput,
    /// Whether a run that fails is undone before its failure is handled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compensates: bool,
}

/// A node of a body that is held back until it is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanHandler {
    /// Dense index of the node.
    pub node: u32,
    /// Whether it is called in any case, at the end; else it handles failures.
    #[serde(default)]
    pub always: bool,
    /// What the run gives instead if this handles its failure.
    pub output: PlanOutput,
}

impl PlanBody {
    /// What is known of a node that is held back.
    #[must_use]
    pub fn handler(&self, node: u32) -> Option<&PlanHandler> {
        self.handlers.iter().find(|handler| handler.node == node)
    }
}

/// Which workflow a node calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanCall {
    /// Dense index of the node.
    pub node: u32,
    /// Which workflow.
    pub workflow: WorkflowId,
    /// Which plan of it; absent if it is the very plan that this stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callee: Option<PlanCallee>,
}

/// A version of a workflow that is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanCallee {
    /// Its number; 0 if it is a trial.
    pub version: u32,
    /// Under which digest its plan is stored.
    pub plan: Digest,
}

/// What an execution gives, or a run of a body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanOutput {
    /// What this program gives; null where it is undefined.
    Program(ParamProgram),
    /// The result of this node, the only one without outgoing connections.
    Node(u32),
    /// An object of the results of these nodes, by id, without those that gave none.
    Nodes(Vec<u32>),
}

/// Why bytes are not a plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A newer build made it.
    #[error(
        "the plan has format {found}; this build reads up to {PLAN_FORMAT}; use the build that made it, or a newer one"
    )]
    Format {
        /// The version found.
        found: u32,
    },
    /// The bytes are damaged.
    #[error("the plan cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
    /// An index leads nowhere.
    #[error("the plan contradicts itself: {0}")]
    Contradiction(&'static str),
}

/// A capability that a node of an execution asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Dense index of the node.
    pub node: u32,
    /// What it asks for.
    pub capability: Capability,
    /// Whether its compensation asks for it, rather than the node itself.
    pub compensates: bool,
}

/// Why what a node asks for cannot be known.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// A `requires` expression has no value.
    #[error("`requires` of node `{node}`: {error}")]
    Resolve {
        /// Which node.
        node: NodeId,
        /// What is wrong.
        error: Box<ResolveError>,
    },
    /// A `requires` expression gave something that is no capability.
    #[error("`requires` of node `{node}`: {error}")]
    Capability {
        /// Which node.
        node: NodeId,
        /// What is wrong.
        error: CapabilityError,
    },
    /// A `requires` expression gave no text.
    #[error(
        "`requires` of node `{node}` gave no text; a capability is text such as fs:read:/var/log"
    )]
    NotText {
        /// Which node.
        node: NodeId,
    },
}

/// Whether builds that read formats 1 and 2 do not know this kind of action.
fn is_newest(kind: ActionKind) -> bool {
    let newest = [
        ControlKind::Emit,
        ControlKind::Respond,
        ControlKind::Approval,
        ControlKind::Call,
        ControlKind::Cancel,
        ControlKind::Batches,
        ControlKind::Milestone,
        ControlKind::Mutex,
        ControlKind::Semaphore,
    ];
    newest.iter().any(|it| kind == ActionKind::Control(*it))
}

impl Deref for ExecutionPlan {
    type Target = PlanParts;

    fn deref(&self) -> &PlanParts {
        &self.parts
    }
}

impl PartialEq for ExecutionPlan {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Serialize for ExecutionPlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.parts.serialize(serializer)
    }
}

impl ExecutionPlan {
    /// Checks the indices, sorts the connections by source and builds the adjacency.
    ///
    /// # Errors
    /// [`PlanError::Contradiction`]: an index leads nowhere, an id stands twice, a concurrency or a
    /// number of tokens is zero, nodes wait for each other, a loop is not one.
    pub fn new(mut parts: PlanParts) -> Result<Self, PlanError> {
        if parts.nodes.iter().any(|node| node.tokens == Some(0)) {
            return Err(PlanError::Contradiction("a node makes no tokens"));
        }
        if parts.concurrency == 0 || parts.nodes.iter().any(|node| node.concurrency == 0) {
            return Err(PlanError::Contradiction("a concurrency is zero"));
        }
        parts.connections.sort_by_key(|connection| connection.from);
        parts.format = format_of(&parts);
        parts.calls.sort_by_key(|call| call.node);
        let last = parts.calls.last();
        if last.is_some_and(|call| call.node as usize >= parts.nodes.len()) {
            return Err(PlanError::Contradiction(
                "a call is of a node that is not there",
            ));
        }
        let takes_slots = parts.nodes.iter().any(PlanNode::takes_slot);
        let names_credentials = parts.nodes.iter().any(PlanNode::names_credentials);
        let graph = Graph::new(&parts).map_err(PlanError::Contradiction)?;
        Ok(Self {
            parts,
            graph,
            schemas: Schemas::default(),
            takes_slots,
            names_credentials,
        })
    }

    /// Whether bodies of it run while a slot is held.
    #[must_use]
    pub fn takes_slots(&self) -> bool {
        self.takes_slots
    }

    /// Whether attempts of some node get credentials.
    #[must_use]
    pub fn names_credentials(&self) -> bool {
        self.names_credentials
    }

    /// Dense indices of the nodes that expressions of `node` and of its connections read.
    #[must_use]
    pub fn reads(&self, node: u32) -> &[u32] {
        self.graph.reads(node)
    }

    /// Whether an expression of `node` or of its connections reads `$inputs`.
    pub(crate) fn reads_inputs(&self, node: u32) -> bool {
        self.graph.reads_inputs(node)
    }

    /// The values that expressions of `node` need, and those that what follows from its end needs.
    pub(crate) fn needs(&self, node: u32) -> &[Needs; 2] {
        self.graph.needs(node)
    }

    /// Which roots the output needs.
    pub(crate) fn output_needs_roots(&self) -> &Needs {
        self.graph.output_needs_roots()
    }

    /// The list for whose elements `node` runs, if its program only names it.
    pub(crate) fn named_list(&self, node: u32) -> Option<NamedList> {
        self.graph.named_list(node)
    }

    /// Dense indices of the nodes whose results the output needs.
    pub(crate) fn output_needs(&self) -> &[u32] {
        self.graph.output_needs()
    }

    /// Dense indices of the nodes that the output reads.
    pub(crate) fn output_reads(&self) -> &[u32] {
        self.graph.output_reads()
    }

    /// The same plan as that of version `version`: the number is known once the definition is saved.
    #[must_use]
    pub fn at_version(mut self, version: u32) -> Self {
        self.parts.version = version;
        self
    }

    /// The stored form and its digest.
    #[must_use]
    pub fn encode(&self) -> (Vec<u8>, Digest) {
        let bytes = serde_json::to_vec(self).expect("a plan has string keys and finite numbers");
        let digest = Digest::of(&bytes);
        (bytes, digest)
    }

    /// Reads the stored form; nothing is planned anew.
    ///
    /// # Errors
    /// [`PlanError`]: an unknown format, damage, or a contradiction.
    pub fn decode(bytes: &[u8]) -> Result<Self, PlanError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head = serde_json::from_slice(bytes)?;
        if !(1..=PLAN_FORMAT).contains(&head.format) {
            return Err(PlanError::Format { found: head.format });
        }
        Self::new(serde_json::from_slice(bytes)?)
    }

    /// Dense indices of the connections that leave `node`, with the connections.
    pub fn outgoing(&self, node: u32) -> impl Iterator<Item = (u32, &PlanConnection)> {
        let range = self.graph.outgoing(node);
        (range.start..).zip(&self.connections[range.start as usize..range.end as usize])
    }

    /// Dense indices of the connections that end at `node`, in the order of their definition, without
    /// those that close a loop.
    #[must_use]
    pub fn incoming(&self, node: u32) -> &[u32] {
        self.graph.incoming(node)
    }

    /// Which loop a node is in.
    #[must_use]
    pub fn loop_of(&self, node: u32) -> Option<u32> {
        self.graph.loop_of(node)
    }

    /// Dense indices of the nodes that are given up when the join of `node` has what it counts to,
    /// rising: those that lead to it on all of their ways. None, unless it cancels the rest.
    #[must_use]
    pub fn cancelled_by(&self, node: u32) -> &[u32] {
        self.graph.cancelled_by(node)
    }

    /// Dense indices of the nodes that a node gives up: a `flow.cancel`, or a join that cancels the rest.
    #[must_use]
    pub fn gives_up(&self, index: u32) -> Vec<u32> {
        let node = self.node(index);
        let named = match node.kind {
            ActionKind::Control(ControlKind::Cancel) => node.parameters.resolved.get("nodes"),
            _ => None,
        };
        let named = named.and_then(ParamProgram::as_literal);
        let named = named.and_then(Value::as_array).into_iter().flatten();
        let named = named.filter_map(|name| self.index_of(name.as_str()?));
        named
            .chain(self.cancelled_by(index).iter().copied())
            .collect()
    }

    /// How many tokens an activation of a node sends along each connection.
    pub(crate) fn splits(&self, node: u32) -> u32 {
        let node = self.node(node);
        let splits = node.kind == ActionKind::Control(ControlKind::SplitTokens);
        node.tokens.filter(|_| splits).unwrap_or(1)
    }

    /// How many tokens a node takes for one activation, whichever connections they come by; `None` if
    /// its join decides.
    pub(crate) fn merges(&self, node: u32) -> Option<u32> {
        let node = self.node(node);
        let merges = node.kind == ActionKind::Control(ControlKind::MergeTokens);
        node.tokens.filter(|_| merges)
    }

    /// Dense indices of the connections that leave a loop.
    pub(crate) fn exits(&self, number: u32) -> &[u32] {
        self.graph.exits(number)
    }

    /// The part of the plan that a node stands in: 0 is the top level, `n + 1` the body number `n`.
    #[must_use]
    pub fn extent_of(&self, node: u32) -> u32 {
        self.graph.extent_of(node)
    }

    /// Which body a node has.
    #[must_use]
    pub fn body_of(&self, owner: u32) -> Option<(u32, &PlanBody)> {
        let body = self.graph.body_of(owner)?;
        Some((body, &self.bodies[body as usize]))
    }

    /// What a node calls, if it does.
    #[must_use]
    pub fn call_of(&self, node: u32) -> Option<&PlanCall> {
        let found = self.calls.binary_search_by_key(&node, |call| call.node);
        found.ok().map(|at| &self.calls[at])
    }

    /// The nodes that stand in no body.
    #[must_use]
    pub fn top_level(&self) -> &[PlanNode] {
        &self.nodes[..self.graph.extent_nodes(0).end as usize]
    }

    /// The nodes of a part of the plan.
    pub(crate) fn extent_nodes(&self, extent: u32) -> Range<u32> {
        self.graph.extent_nodes(extent)
    }

    /// The connections of a part of the plan.
    pub(crate) fn extent_edges(&self, extent: u32) -> Range<u32> {
        self.graph.extent_edges(extent)
    }

    /// The node with this dense index.
    ///
    /// # Panics
    /// If the index is not of this plan.
    #[must_use]
    pub fn node(&self, index: u32) -> &PlanNode {
        &self.nodes[index as usize]
    }

    /// The dense index of the node with this id.
    #[must_use]
    pub fn index_of(&self, id: &str) -> Option<u32> {
        self.graph.index_of(&self.nodes, id)
    }

    /// The port by which `node` is left when it finally fails; `None` if the execution fails with it.
    #[must_use]
    pub fn failure_port(&self, node: u32) -> Option<&'static str> {
        match self.node(node).on_error {
            OnError::Fail => None,
            OnError::Continue => Some(PORT_MAIN),
            OnError::Route => Some(PORT_ERROR),
        }
    }

    /// Whether what nodes ask for follows from the input.
    #[must_use]
    pub fn asks_by_input(&self) -> bool {
        self.nodes.iter().any(|node| {
            let undoing = node.compensation.as_deref();
            !node.requires.is_empty() || undoing.is_some_and(|it| !it.requires.is_empty())
        })
    }

    /// What each node asks for in an execution with this input; relative paths begin at `folder`.
    ///
    /// # Errors
    /// [`RequestError`]: a `requires` gave no capability.
    pub fn requests(&self, scope: &dyn Scope, folder: &Path) -> Result<Vec<Request>, RequestError> {
        let mut requests = Vec::new();
        for (index, node) in (0_u32..).zip(&self.nodes) {
            let own = (&node.capabilities, &node.requires, false);
            let undoing = node.compensation.as_deref();
            let undoing = undoing.map(|it| (&it.capabilities, &it.requires, true));
            for (literal, dynamic, compensates) in [own].into_iter().chain(undoing) {
                for capability in node.asks_for(literal, dynamic, scope, folder)? {
                    requests.push(Request {
                        node: index,
                        capability,
                        compensates,
                    });
                }
            }
        }
        Ok(requests)
    }
}

/// The least version of the stored form that has all of these parts: a build that knows nothing of
/// them would run the plan without them.
fn format_of(parts: &PlanParts) -> u32 {
    if !parts.runs_on.is_default() {
        return 6;
    }
    if parts.nodes.iter().any(|node| node.distribute) {
        return 5;
    }
    if parts.nodes.iter().any(PlanNode::names_credentials) {
        return 4;
    }
    let third = |node: &PlanNode| {
        let cancels = |(_, rest)| rest == JoinRest::Cancel;
        node.is_newest()
            || node.heartbeat_timeout.is_some()
            || node.tokens.is_some()
            || node.compensation.is_some()
            || node.join.threshold().is_some_and(cancels)
    };
    let second = !parts.bodies.is_empty() || !parts.loops.is_empty() || parts.admission.is_some();
    let third = parts.nodes.iter().any(third)
        || parts.bodies.iter().any(|body| body.compensates)
        || parts.rate_limit.is_some();
    match (third, second) {
        (true, _) => 3,
        (false, true) => 2,
        (false, false) => 1,
    }
}

/// Reads a value that is there: serde alone would take null for none, and run what is pinned to it.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl PlanNode {
    /// Whether its list goes on after an item has failed.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        match self.on_item_error {
            Some(mode) => mode != OnItemError::Stop,
            None => self.on_error == OnError::Continue,
        }
    }

    /// Whether builds that read formats 1 and 2 do not know how to run it.
    /// Whether its attempts, or those that undo its effect, get credentials.
    fn names_credentials(&self) -> bool {
        let undoing = self.compensation.as_deref();
        !self.credentials.is_empty() || undoing.is_some_and(|it| !it.credentials.is_empty())
    }

    fn is_newest(&self) -> bool {
        let each = self.kind == ActionKind::Control(ControlKind::ForEach);
        is_newest(self.kind)
            || self.complete_when.is_some()
            || self.on_item_error.is_some()
            || each && self.parameters.resolved.contains_key("more")
    }

    /// The capabilities that texts and programs of the node name.
    fn asks_for(
        &self,
        literal: &[String],
        dynamic: &[ParamProgram],
        scope: &dyn Scope,
        folder: &Path,
    ) -> Result<Vec<Capability>, RequestError> {
        let failed = |error| RequestError::Capability {
            node: self.id.clone(),
            error,
        };
        let literal = literal.iter().map(|text| Capability::parse(text, folder));
        let mut asked = literal.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        for program in dynamic {
            let value = program.resolve(scope, &Context::default());
            let value = value.map_err(|error| RequestError::Resolve {
                node: self.id.clone(),
                error: Box::new(error),
            })?;
            let Some(Value::String(text)) = value else {
                return Err(RequestError::NotText {
                    node: self.id.clone(),
                });
            };
            asked.push(Capability::parse(&text, folder).map_err(failed)?);
        }
        Ok(asked)
    }

    /// Whether its body runs while it holds a slot.
    fn takes_slot(&self) -> bool {
        let kinds = [ControlKind::Mutex, ControlKind::Semaphore];
        kinds
            .iter()
            .any(|kind| self.kind == ActionKind::Control(*kind))
    }

    /// The expressions that are evaluated for each of its items.
    fn item_programs(&self) -> Vec<&Program> {
        let whole = [self.for_each.as_ref(), self.when.as_ref()];
        let mut programs = self.own_programs();
        programs.retain(|it| !whole.iter().flatten().any(|of| std::ptr::eq(*of, *it)));
        programs
    }

    /// Every expression of the node that is evaluated when it runs.
    fn programs(&self) -> Vec<&Program> {
        let mut programs = self.own_programs();
        if let Some(compensation) = &self.compensation {
            compensation.programs(&mut programs);
        }
        programs
    }

    /// The same without those that undo it.
    fn own_programs(&self) -> Vec<&Program> {
        let own = self.when.iter().chain(&self.for_each);
        let mut programs: Vec<_> = own.chain(&self.complete_when).collect();
        self.parameters
            .each_use(|found| programs.push(found.program));
        if let Some(key) = &self.idempotency_key {
            key.each_use("", &mut |found| programs.push(found.program));
        }
        programs
    }
}
