//! The state of an execution: a fold over its journal and nothing else.

mod fold;

use std::{collections::VecDeque, sync::Arc};

use compact_str::CompactString;
use nebula_action::{PORT_ERROR, PORT_MAIN};
use nebula_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Activation, ExecutionPlan, Failure, InstanceId, InstanceStatus, NamedSignal, ParkReason,
    Started, Status,
    activation::{error_value, there},
    tokens::{Round, Token},
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
    #[serde(default)]
    paused: bool,
    /// Signals that no instance has taken, in the order in which they came.
    #[serde(default)]
    signals: VecDeque<NamedSignal>,
    end: Option<End>,
}

/// What is known of one node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeState {
    pub(crate) activations: Vec<Activation>,
    /// How many of its incoming connections have a token that waits.
    pub(crate) filled: u32,
    /// What its join has seen, if it counts.
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
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "there"
    )]
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

    /// Whether nothing new is to start until somebody lets it go on.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Signals that no instance has taken, in the order in which they came.
    #[must_use]
    pub fn signals(&self) -> &VecDeque<NamedSignal> {
        &self.signals
    }

    /// The signal that the next taker of this name gets.
    #[must_use]
    pub fn signal(&self, name: &str) -> Option<&NamedSignal> {
        self.signals.iter().find(|signal| signal.name == name)
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

    /// Whether a person's decision about this instance is missing. Any id may be asked about.
    #[must_use]
    pub fn is_indeterminate(&self, plan: &ExecutionPlan, instance: &InstanceId) -> bool {
        let Some(node) = plan.index_of(instance.node.as_str()) else {
            return false;
        };
        let Some(activation) = self.activation(node, instance.activation) else {
            return false;
        };
        match (instance.item, &activation.items) {
            (None, _) => activation.status == InstanceStatus::Indeterminate,
            (Some(item), Some(items)) => {
                items.open.get(&item).is_some_and(|open| open.indeterminate)
            }
            (Some(_), None) => false,
        }
    }

    /// Whether it has the nodes and connections of this plan.
    pub(crate) fn fits(&self, plan: &ExecutionPlan) -> bool {
        self.nodes.len() == plan.nodes.len() && self.queues.len() == plan.connections.len()
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
}
