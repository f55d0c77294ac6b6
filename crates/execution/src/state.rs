//! The state of an execution: a fold over its journal and nothing else.

use std::{collections::VecDeque, sync::Arc};

use compact_str::CompactString;
use nebula_action::{ActionError, ErrorClass, PORT_ERROR, PORT_MAIN};
use nebula_core::Timestamp;
use nebula_workflow::OnError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Activation, EndReason, Entry, ExecutionPlan, Fact, Failure, InstanceId, InstanceStatus,
    ItemOutcome, Items, ParkReason, Started, Status, Taken, UnparkDecision,
    activation::error_value,
    tokens::{self, Round, Token},
};

/// The state of an execution. Two are equal if nothing that follows can tell them apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExecutionState {
    started: Option<Box<Started>>,
    started_at: Timestamp,
    pub(crate) nodes: Vec<NodeState>,
    /// One queue of tokens for each connection.
    pub(crate) queues: Vec<VecDeque<Token>>,
    /// Activations that have not ended.
    pub(crate) open: u32,
    ending: Option<Ending>,
    parked: Option<ParkReason>,
    end: Option<End>,
}

/// What is known of one node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeState {
    pub(crate) activations: Vec<Activation>,
    pub(crate) round: Round,
}

/// How an execution is going to end, once nothing runs any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// A node failed.
    Fail(Failure),
    /// Somebody asked for it.
    Cancel(String),
    /// Its time is up.
    Timeout,
    /// `flow.stop` was reached.
    Stop(Arc<Value>),
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct End {
    status: Status,
    output: Option<Arc<Value>>,
    failure: Option<Failure>,
}

/// Activations whose inputs have just become complete: dense node index and activation number.
pub(crate) type Fresh = Vec<(u32, u32)>;

impl ExecutionState {
    /// The state before the first entry.
    #[must_use]
    pub fn new(plan: &ExecutionPlan) -> Self {
        Self {
            nodes: vec![NodeState::default(); plan.nodes.len()],
            queues: vec![VecDeque::new(); plan.connections.len()],
            ..Self::default()
        }
    }

    /// What the execution began with.
    #[must_use]
    pub fn started(&self) -> Option<&Started> {
        self.started.as_deref()
    }

    /// When it began.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// How it is going to end, if something has decided that.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Why it needs a person.
    #[must_use]
    pub fn parked(&self) -> Option<&ParkReason> {
        self.parked.as_ref()
    }

    /// The status in which it ended.
    #[must_use]
    pub fn end_status(&self) -> Option<Status> {
        self.end.as_ref().map(|end| end.status)
    }

    /// What it gave.
    #[must_use]
    pub fn output(&self) -> Option<&Arc<Value>> {
        self.end.as_ref()?.output.as_ref()
    }

    /// Why it failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.end.as_ref()?.failure.as_ref()
    }

    /// All activations of a node so far, by its dense index; number 1 first.
    #[must_use]
    pub fn activations(&self, node: u32) -> &[Activation] {
        &self.nodes[node as usize].activations
    }

    /// One activation, by dense node index and number.
    #[must_use]
    pub fn activation(&self, node: u32, number: u32) -> Option<&Activation> {
        self.activations(node)
            .get((number as usize).checked_sub(1)?)
    }

    /// The instances whose attempts may or may not have changed the outside, in order of nodes.
    #[must_use]
    pub fn indeterminate(&self, plan: &ExecutionPlan) -> Vec<InstanceId> {
        let mut found = Vec::new();
        for (node, state) in plan.nodes.iter().zip(&self.nodes) {
            for (number, activation) in (1..).zip(&state.activations) {
                let id = InstanceId::new(node.id.clone(), number);
                if activation.status == InstanceStatus::Indeterminate {
                    found.push(id);
                } else if let Some(items) = &activation.items {
                    let open = items.open.iter().filter(|(_, item)| item.indeterminate);
                    found.extend(open.map(|(item, _)| id.of_item(*item)));
                }
            }
        }
        found
    }

    /// The values of the live tokens that activated an instance, with the input that each ended at.
    #[must_use]
    pub fn inputs(
        &self,
        plan: &ExecutionPlan,
        activation: &Activation,
    ) -> Vec<(CompactString, Arc<Value>)> {
        let tokens = activation.tokens.iter();
        let inputs = tokens.map(|(edge, source)| {
            let connection = &plan.connections[*edge as usize];
            (
                connection.input.clone(),
                self.token_value(plan, *edge, *source),
            )
        });
        inputs.collect()
    }

    /// `$json` of an instance: the first live value on `main`, or the execution's input at a start node.
    #[must_use]
    pub fn json(&self, plan: &ExecutionPlan, activation: &Activation) -> Arc<Value> {
        let main = activation
            .tokens
            .iter()
            .find(|(edge, _)| plan.connections[*edge as usize].input == PORT_MAIN);
        match (main, &self.started) {
            (Some((edge, source)), _) => self.token_value(plan, *edge, *source),
            (None, Some(started)) if activation.tokens.is_empty() => started.input.clone(),
            _ => Arc::new(Value::Null),
        }
    }

    fn token_value(&self, plan: &ExecutionPlan, edge: u32, source: u32) -> Arc<Value> {
        let connection = &plan.connections[edge as usize];
        let Some(source) = self.activation(connection.from, source) else {
            return Arc::new(Value::Null);
        };
        if connection.port == PORT_ERROR {
            return Arc::new(source.error.as_ref().map_or(Value::Null, error_value));
        }
        source.output.clone().unwrap_or_default()
    }

    /// Takes one entry into the state; activations whose inputs it completes go to `fresh`.
    ///
    /// # Panics
    /// If the entry cannot follow: a journal is written by the machine alone, so that would be a
    /// defect of ours or a damaged store, and going on would make it worse.
    pub(crate) fn apply(&mut self, plan: &ExecutionPlan, entry: &Entry, fresh: &mut Fresh) {
        assert!(
            self.end.is_none(),
            "an entry follows the end of the execution"
        );
        let at = entry.at;
        match &entry.fact {
            Fact::ExecutionStarted(started) => {
                assert!(self.started.is_none(), "the execution starts twice");
                self.started = Some(started.clone());
                self.started_at = at;
                tokens::start(self, plan, at, fresh);
            }
            Fact::AttemptStarted {
                instance,
                attempt,
                deadline,
                ..
            } => {
                let (node, number) = locate(plan, instance);
                let activation = self.open_activation(node, number);
                activation.started_at.get_or_insert(at);
                if let Some(item) = instance.item {
                    let open = open_items(activation).open.entry(item).or_default();
                    open.attempts = *attempt;
                    open.running = true;
                    open.due = None;
                    open.deadline = Some(*deadline);
                } else {
                    activation.status = InstanceStatus::Running;
                    activation.attempts = *attempt;
                    activation.due = None;
                    activation.deadline = Some(*deadline);
                }
            }
            Fact::AttemptSucceeded {
                instance,
                attempt,
                output,
                port,
                lineage,
                taken,
                ..
            } => {
                let (node, number) = locate(plan, instance);
                let activation = self.open_activation(node, number);
                activation.started_at.get_or_insert(at);
                if let Some(item) = instance.item {
                    open_items(activation).settle(item, ItemOutcome::Ok(output.clone()));
                } else {
                    activation.attempts = *attempt;
                    activation.output = Some(output.clone());
                    activation.lineage.clone_from(lineage);
                    self.leave(
                        plan,
                        (node, number),
                        InstanceStatus::Succeeded,
                        Some((port, taken)),
                        at,
                        fresh,
                    );
                }
            }
            Fact::AttemptFailed {
                instance,
                attempt,
                error,
                retry_at,
                counts,
                taken,
            } => {
                self.fail(
                    plan,
                    instance,
                    (*attempt, error, *retry_at, *counts),
                    taken,
                    at,
                    fresh,
                );
            }
            Fact::AttemptIndeterminate {
                instance,
                attempt,
                error,
            } => {
                let (node, number) = locate(plan, instance);
                let activation = self.open_activation(node, number);
                activation.error = Some(error.clone());
                if let Some(item) = instance.item {
                    let open = open_items(activation).open.entry(item).or_default();
                    open.attempts = *attempt;
                    open.running = false;
                    open.indeterminate = true;
                } else {
                    activation.attempts = *attempt;
                    activation.status = InstanceStatus::Indeterminate;
                }
            }
            Fact::InstanceSkipped { instance } => {
                let at_node = locate(plan, instance);
                self.leave(plan, at_node, InstanceStatus::Skipped, None, at, fresh);
            }
            Fact::ItemsOpened { instance, count } => {
                let (node, number) = locate(plan, instance);
                let activation = self.open_activation(node, number);
                assert!(
                    activation.items.is_none(),
                    "the items of {instance} are opened twice"
                );
                activation.started_at.get_or_insert(at);
                activation.items = Some(Box::new(Items::new(*count)));
                activation.status = InstanceStatus::Running;
            }
            Fact::ItemsSettled {
                instance,
                from,
                outcomes,
            } => {
                let (node, number) = locate(plan, instance);
                let items = open_items(self.open_activation(node, number));
                for (item, outcome) in (*from..).zip(outcomes) {
                    items.settle(item, outcome.clone());
                }
            }
            Fact::ItemsCompleted { instance, taken } => {
                let (node, number) = locate(plan, instance);
                let activation = self.open_activation(node, number);
                let items = activation
                    .items
                    .take()
                    .expect("items are completed after they are opened");
                assert!(
                    items.is_complete(),
                    "{instance} is completed before its items"
                );
                activation.attempts = 1;
                activation.output = Some(Arc::new(items.into_list()));
                let main = CompactString::const_new(PORT_MAIN);
                self.leave(
                    plan,
                    (node, number),
                    InstanceStatus::Succeeded,
                    Some((&main, taken)),
                    at,
                    fresh,
                );
            }
            Fact::TimerSet { instance, due } => {
                let (node, number) = locate(plan, instance);
                let activation = self.open_activation(node, number);
                activation.started_at.get_or_insert(at);
                activation.status = InstanceStatus::Waiting;
                activation.attempts = 1;
                activation.due = Some(*due);
            }
            Fact::TimerFired { instance, taken } => {
                let (node, number) = locate(plan, instance);
                let json = self.json(
                    plan,
                    &self.nodes[node as usize].activations[number as usize - 1],
                );
                self.open_activation(node, number).output = Some(json);
                let main = CompactString::const_new(PORT_MAIN);
                self.leave(
                    plan,
                    (node, number),
                    InstanceStatus::Succeeded,
                    Some((&main, taken)),
                    at,
                    fresh,
                );
            }
            Fact::CancellationRequested { reason } => {
                self.ending.get_or_insert(match reason {
                    EndReason::Requested(text) => Ending::Cancel(text.clone()),
                    EndReason::Timeout => Ending::Timeout,
                });
            }
            Fact::StopRequested { instance, output } => {
                let (node, number) = locate(plan, instance);
                let activation = self.open_activation(node, number);
                activation.started_at.get_or_insert(at);
                activation.attempts = 1;
                activation.output = Some(output.clone());
                self.ending.get_or_insert(Ending::Stop(output.clone()));
                let none = Taken::Only(Vec::new());
                let main = CompactString::const_new(PORT_MAIN);
                self.leave(
                    plan,
                    (node, number),
                    InstanceStatus::Succeeded,
                    Some((&main, &none)),
                    at,
                    fresh,
                );
            }
            Fact::Parked { reason } => self.parked = Some(reason.clone()),
            Fact::Unparked {
                instance,
                decision,
                taken,
            } => {
                self.parked = None;
                if let Some(instance) = instance {
                    self.unpark(plan, instance, decision, taken, at, fresh);
                }
            }
            Fact::ExecutionCompleted { output } => {
                let stopped = matches!(self.ending, Some(Ending::Stop(_)));
                assert!(
                    stopped || self.is_quiet(),
                    "an execution completes while tokens are left"
                );
                self.finish(Status::Completed, Some(output.clone()), None, at);
            }
            Fact::ExecutionFailed { error } => {
                self.finish(Status::Failed, None, Some(error.clone()), at);
            }
            Fact::ExecutionCancelled { .. } => self.finish(Status::Cancelled, None, None, at),
            Fact::ExecutionTimedOut => self.finish(Status::TimedOut, None, None, at),
        }
    }

    /// Whether no token waits and no activation is open.
    #[must_use]
    pub(crate) fn is_quiet(&self) -> bool {
        self.open == 0
            && self.queues.iter().all(VecDeque::is_empty)
            && self.nodes.iter().all(|node| node.round.is_empty())
    }

    fn finish(
        &mut self,
        status: Status,
        output: Option<Arc<Value>>,
        failure: Option<Failure>,
        at: Timestamp,
    ) {
        for activation in self.nodes.iter_mut().flat_map(|node| &mut node.activations) {
            if activation.has_ended() {
                continue;
            }
            // An effect that nobody knows about stays visible as such.
            if activation.status != InstanceStatus::Indeterminate {
                activation.status = InstanceStatus::Cancelled;
            }
            activation.ended_at = Some(at);
            activation.items = None;
        }
        self.open = 0;
        self.parked = None;
        self.end = Some(End {
            status,
            output,
            failure,
        });
    }

    fn fail(
        &mut self,
        plan: &ExecutionPlan,
        instance: &InstanceId,
        (attempt, error, retry_at, counts): (u32, &ActionError, Option<Timestamp>, bool),
        taken: &Taken,
        at: Timestamp,
        fresh: &mut Fresh,
    ) {
        let (node, number) = locate(plan, instance);
        let on_error = plan.node(node).on_error;
        let activation = self.open_activation(node, number);
        activation.started_at.get_or_insert(at);
        if let Some(item) = instance.item {
            let items = open_items(activation);
            let open = items.open.entry(item).or_default();
            open.attempts = attempt;
            open.failures += u32::from(counts);
            open.running = false;
            open.indeterminate = false;
            open.due = retry_at;
            if retry_at.is_none() {
                items.settle(item, ItemOutcome::Error(error.clone()));
                if on_error != OnError::Continue && items.failed.is_none() {
                    items.failed = Some((item, error.clone()));
                }
            }
            return;
        }
        activation.attempts = attempt.max(activation.attempts);
        activation.failures += u32::from(counts);
        activation.error = Some(error.clone());
        activation.due = retry_at;
        activation.items = None;
        if retry_at.is_some() {
            activation.status = InstanceStatus::Waiting;
            return;
        }
        if self.ending.is_some() {
            // Nothing that follows would run any more.
            let cancelled = error.class == ErrorClass::Cancelled;
            let status = if cancelled {
                InstanceStatus::Cancelled
            } else {
                InstanceStatus::Failed
            };
            self.leave(plan, (node, number), status, None, at, fresh);
            return;
        }
        match plan.failure_port(node) {
            Some(port) => {
                let port = CompactString::const_new(port);
                self.leave(
                    plan,
                    (node, number),
                    InstanceStatus::Failed,
                    Some((&port, taken)),
                    at,
                    fresh,
                );
            }
            None => {
                let node_id = instance.node.clone();
                let failure = Failure {
                    error: error.clone(),
                    node: Some(node_id),
                };
                self.ending.get_or_insert(Ending::Fail(failure));
                self.leave(
                    plan,
                    (node, number),
                    InstanceStatus::Failed,
                    None,
                    at,
                    fresh,
                );
            }
        }
    }

    fn unpark(
        &mut self,
        plan: &ExecutionPlan,
        instance: &InstanceId,
        decision: &UnparkDecision,
        taken: &Taken,
        at: Timestamp,
        fresh: &mut Fresh,
    ) {
        let (node, number) = locate(plan, instance);
        let activation = self.open_activation(node, number);
        let attempt = match instance.item {
            Some(item) => open_items(activation)
                .open
                .get(&item)
                .map_or(1, |open| open.attempts),
            None => activation.attempts,
        };
        match decision {
            UnparkDecision::Succeeded(output) => {
                if let Some(item) = instance.item {
                    open_items(activation).settle(item, ItemOutcome::Ok(output.clone()));
                } else {
                    activation.output = Some(output.clone());
                    activation.error = None;
                    let main = CompactString::const_new(PORT_MAIN);
                    self.leave(
                        plan,
                        (node, number),
                        InstanceStatus::Succeeded,
                        Some((&main, taken)),
                        at,
                        fresh,
                    );
                }
            }
            UnparkDecision::Failed => {
                let error = ActionError::new(
                    "EFFECT_DECLARED_FAILED",
                    "a person decided that the effect did not happen",
                    ErrorClass::Fatal,
                );
                self.fail(
                    plan,
                    instance,
                    (attempt, &error, None, true),
                    taken,
                    at,
                    fresh,
                );
            }
            UnparkDecision::Retry => {
                if let Some(item) = instance.item {
                    let open = open_items(activation).open.entry(item).or_default();
                    open.indeterminate = false;
                    open.due = Some(at);
                } else {
                    activation.status = InstanceStatus::Waiting;
                    activation.due = Some(at);
                }
            }
        }
    }

    /// Ends an activation and sends its tokens: live ones on the taken connections of the port,
    /// dead ones on all others; without a port all are dead.
    fn leave(
        &mut self,
        plan: &ExecutionPlan,
        (node, number): (u32, u32),
        status: InstanceStatus,
        through: Option<(&CompactString, &Taken)>,
        at: Timestamp,
        fresh: &mut Fresh,
    ) {
        let activation = self.open_activation(node, number);
        activation.status = status;
        activation.ended_at = Some(at);
        activation.due = None;
        activation.deadline = None;
        activation.port = through.map(|(port, _)| port.clone());
        self.open -= 1;
        tokens::emit(self, plan, (node, number), through, at, fresh);
    }

    fn open_activation(&mut self, node: u32, number: u32) -> &mut Activation {
        let activation = &mut self.nodes[node as usize].activations[number as usize - 1];
        assert!(
            !activation.has_ended(),
            "an entry follows the end of an instance"
        );
        activation
    }
}

/// Dense index and activation number of an instance.
fn locate(plan: &ExecutionPlan, instance: &InstanceId) -> (u32, u32) {
    let node = plan
        .index_of(instance.node.as_str())
        .expect("a journal names only nodes of its plan");
    (node, instance.activation)
}

fn open_items(activation: &mut Activation) -> &mut Items {
    activation
        .items
        .as_deref_mut()
        .expect("an item belongs to an open for_each")
}
