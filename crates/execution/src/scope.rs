//! What an expression of a node sees.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, OnceLock},
};

use compact_str::CompactString;
use nebula_action::{ActionError, ActionKind, ControlKind};
use nebula_core::{ExecutionId, NodeId, Timestamp};
use nebula_expression::{Away, ListOf, LongList, NodeView, Root, Scope, Segmented};
use serde_json::{Map, Value, json};

use crate::{
    Activation, At, ExecutionPlan, ExecutionState, Failure, Given, InstanceId, InstanceStatus,
    Items, Machine, Runs, Started, Stored, Unread, activation::error_value, plan::NamedList,
    state::failure_value,
};

/// What an expression of a node sees: shared values, taken once, so that it can outlive the state.
///
/// Values are shared, not copied, except those of `$inputs`, which stand in lists of their own: a
/// node pays for them only if one of its expressions reads `$inputs`.
#[derive(Debug, Clone, Default)]
pub struct EvaluationScope {
    json: Option<Seen>,
    /// `$input`, where it lies in a blob.
    input: Option<Seen>,
    /// `$trigger`, where it lies in a blob.
    trigger: Option<Seen>,
    inputs: Option<Result<Value, Unread>>,
    shared: Arc<SharedRoots>,
    item: Option<(Seen, Value)>,
    /// `$loop`.
    round: Option<Result<Value, Unread>>,
    /// The list that is seen as it is, with elements that are not at hand.
    as_it_is: Option<NamedList>,
    nodes: BTreeMap<NodeId, NodeRecord>,
    /// The attempt that is under way.
    attempt: u32,
}

/// What all expressions of an execution see alike.
#[derive(Debug, Default)]
pub(crate) struct SharedRoots {
    input: Option<Given>,
    trigger: Value,
    trigger_blob: Option<Arc<Stored>>,
    vars: Value,
    /// What the other two are made of when an expression reads them, which few do.
    of: Option<(Arc<ExecutionPlan>, ExecutionId, Timestamp)>,
    execution: OnceLock<Value>,
    workflow: OnceLock<Value>,
}

impl SharedRoots {
    /// `None` before the execution has started.
    pub(crate) fn new(
        plan: &Arc<ExecutionPlan>,
        state: &ExecutionState,
        id: ExecutionId,
    ) -> Option<Self> {
        let started = state.started()?;
        let (id, began) = match &started.part {
            Some(part) => (part.execution, part.started_at),
            None => (id, state.started_at()),
        };
        Some(Self {
            input: Some(started.given()),
            trigger: started.trigger.clone(),
            trigger_blob: started.trigger_blob.clone(),
            vars: started.vars.clone(),
            of: Some((plan.clone(), id, began)),
            ..Self::default()
        })
    }

    /// `$execution`: `{ id, started_at }`.
    fn execution(&self) -> &Value {
        self.execution.get_or_init(|| match &self.of {
            Some((_, id, started_at)) => {
                json!({ "id": id.to_string(), "started_at": started_at.to_string() })
            }
            None => Value::Null,
        })
    }

    /// `$workflow`: `{ id, name, version }`.
    fn workflow(&self) -> &Value {
        self.workflow.get_or_init(|| match &self.of {
            Some((plan, ..)) => {
                json!({ "id": plan.workflow, "name": plan.name, "version": plan.version })
            }
            None => Value::Null,
        })
    }
}

/// What somebody gave; a segment of a long list becomes values when an expression reads it.
#[derive(Debug, Clone)]
enum Seen {
    Value(Arc<Value>),
    List(Arc<LongList>),
    /// It lies in a blob and is not at hand: nothing should ask for it, and whoever does is told.
    Away(Unread),
}

impl Seen {
    fn value(&self) -> Option<&Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::List(_) | Self::Away(_) => None,
        }
    }

    fn list(&self) -> Option<&Arc<LongList>> {
        match self {
            Self::List(list) => Some(list),
            Self::Value(_) | Self::Away(_) => None,
        }
    }

    fn away(&self) -> Option<&Unread> {
        match self {
            Self::Away(why) => Some(why),
            Self::Value(_) | Self::List(_) => None,
        }
    }
}

/// Which of an instance's expressions are evaluated next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its own: parameters, conditions, lists.
    Start,
    /// Those of what follows from its end: connections, and what would undo it.
    End,
}

impl From<Arc<Value>> for Seen {
    fn from(value: Arc<Value>) -> Self {
        Self::Value(value)
    }
}

/// What is seen of one node.
#[derive(Debug, Clone)]
struct NodeRecord {
    result: Option<Seen>,
    error: Option<Value>,
    success: Option<bool>,
    status: InstanceStatus,
    port: Option<CompactString>,
    attempts: u32,
}

impl EvaluationScope {
    /// Only `$input`, as `requires` sees it before the start.
    #[must_use]
    pub fn of_input(input: Arc<Value>) -> Self {
        let shared = SharedRoots {
            input: Some(Given::Value(input)),
            ..SharedRoots::default()
        };
        Self {
            shared: Arc::new(shared),
            ..Self::default()
        }
    }

    /// What an instance's parameters see.
    #[must_use]
    pub fn of_instance(machine: &Machine, at: At) -> Self {
        Self::of_execution(machine).at(machine, at)
    }

    /// What the program sees that gives the list which an instance runs for: where it only names a list,
    /// elements of that need not be at hand.
    #[must_use]
    pub fn of_list(machine: &Machine, at: At) -> Self {
        let as_it_is = machine.plan().named_list(at.node);
        let scope = Self::of_execution(machine);
        Self { as_it_is, ..scope }.at(machine, at)
    }

    fn at(self, machine: &Machine, at: At) -> Self {
        let (plan, state) = (machine.plan(), machine.state());
        let mut scope = self;
        if let Some(activation) = state.get(at) {
            let as_it_is = scope.as_it_is == Some(NamedList::Json);
            scope.json = Some(scope.seen(state.json(plan, at), as_it_is));
            let begun = activation.status == InstanceStatus::Running || activation.timer;
            scope.attempt = activation.attempts + u32::from(!begun);
            if plan.reads_inputs(at.node) {
                scope.inputs = Some(inputs(state.inputs(plan, at)));
            }
        }
        scope.enclosed(plan, state, at);
        for read in plan.reads(at.node) {
            if let Some(activation) = visible(plan, state, at, *read) {
                scope.see(plan, *read, activation);
            }
        }
        scope
    }

    /// What lies in blobs of all that expressions of an instance need: whoever evaluates them reads it
    /// before. What they do not need is not in it, and nobody has to read that.
    #[must_use]
    pub fn stored_for(machine: &Machine, at: At, stage: Stage) -> Vec<Arc<Stored>> {
        let (plan, state) = (machine.plan(), machine.state());
        let needs = &plan.needs(at.node)[usize::from(stage == Stage::End)];
        // Elements of a list that a node runs for are read when it comes to them.
        let named = plan.named_list(at.node).filter(|_| stage == Stage::Start);
        let by_element =
            |list: NamedList, given: &Given| named == Some(list) && matches!(given, Given::List(_));
        let mut stored = Vec::new();
        let mut add = |given: Option<Given>| {
            if let Some(given) = given {
                given.each_stored(&mut |found| stored.push(found.clone()));
            }
        };
        // The rounds of a list in parts go back to the first, and give what came back from all.
        let batches = plan.node(at.node).kind == ActionKind::Control(ControlKind::Batches);
        let first = if batches { 1 } else { at.number };
        if needs.input {
            add(state.started().map(Started::given));
        }
        if needs.trigger {
            add(state.started().map(Started::trigger));
        }
        if needs.item {
            add(enclosing(plan, state, at, ControlKind::ForEach).map(|(given, _)| given));
        }
        if needs.round {
            let own = state.get(at).and_then(|it| it.runs.as_deref());
            add(own.and_then(Runs::given));
            add(enclosing(plan, state, at, ControlKind::Loop).map(|(given, _)| given));
        }
        if needs.own {
            // It has not ended yet, and its items or its body have.
            let mode = plan.node(at.node).on_item_error;
            let ends = |it: &&Activation| {
                let mut items = it.items.iter();
                items.all(|items| items.is_complete() || items.enough)
            };
            let ended = state.get(at).filter(ends);
            add(ended.and_then(|it| it.gathered(mode)));
        }
        if plan.node(at.node).complete_when.is_some() {
            let items = state.get(at).and_then(|it| it.items.as_deref());
            add(items.and_then(Items::latest_given));
        }
        if needs.json {
            let rounds = (first..=at.number).map(|number| At { number, ..at });
            let given = rounds.map(|at| state.json(plan, at));
            let given = given.filter(|given| !by_element(NamedList::Json, given));
            given.for_each(|given| add(Some(given)));
        }
        if needs.inputs {
            let inputs = state.inputs(plan, at).into_iter();
            inputs.for_each(|(_, given)| add(Some(given)));
        }
        for read in &needs.results {
            for number in [first, at.number] {
                let from = At { number, ..at };
                let given = visible(plan, state, from, *read).and_then(Activation::given);
                add(given.filter(|given| !by_element(NamedList::Result(*read), given)));
            }
        }
        stored
    }

    /// The same for the workflow's output.
    #[must_use]
    pub fn stored_for_output(machine: &Machine) -> Vec<Arc<Stored>> {
        let (plan, state) = (machine.plan(), machine.state());
        let latest = plan.output_needs().iter().flat_map(|node| {
            // A program sees the latest that ran, and an output that is a node the last that gave.
            let activations = state.activations(*node);
            let gave = activations.iter().rev().find_map(Activation::given);
            let ran = latest(activations).and_then(Activation::given);
            [gave, ran]
        });
        let needs = plan.output_needs_roots();
        let input = state.started().map(Started::given);
        let trigger = state.started().map(Started::trigger);
        let roots = input.filter(|_| needs.input).into_iter();
        let roots = roots.chain(trigger.filter(|_| needs.trigger));
        let mut stored = Vec::new();
        for given in latest.flatten().chain(roots) {
            given.each_stored(&mut |found| stored.push(found.clone()));
        }
        stored
    }

    /// `$item`, `$index` and `$loop` of the nearest bodies that an instance stands in.
    fn enclosed(&mut self, plan: &ExecutionPlan, state: &ExecutionState, at: At) {
        if let Some((json, index)) = enclosing(plan, state, at, ControlKind::ForEach) {
            self.item = Some((seen_whole(&json), Value::from(index)));
        }
        if let Some((json, index)) = enclosing(plan, state, at, ControlKind::Loop) {
            self.round = Some(round(index, Some(json).filter(|_| index > 0)));
        }
    }

    /// The same, for the round `index` of a loop, of which the one before gave `last`.
    #[must_use]
    pub fn with_round(mut self, index: u32, last: Option<Given>) -> Self {
        self.round = Some(round(index, last));
        self
    }

    /// The same, for `complete_when`: `$json` is the progress of a list.
    #[must_use]
    pub fn with_progress(mut self, progress: Value) -> Self {
        self.json = Some(Arc::new(progress).into());
        self
    }

    /// The same, for the handlers of a body's failure: `$json` is the failure.
    #[must_use]
    pub fn with_failure(mut self, failure: &Failure) -> Self {
        self.json = Some(Arc::new(failure_value(failure)).into());
        self
    }

    /// What the workflow's output sees: every node.
    #[must_use]
    pub fn of_output(machine: &Machine) -> Self {
        let (plan, state) = (machine.plan(), machine.state());
        let mut scope = Self::of_execution(machine);
        for read in plan.output_reads() {
            if let Some(activation) = latest(state.activations(*read)) {
                scope.see(plan, *read, activation);
            }
        }
        scope
    }

    fn of_execution(machine: &Machine) -> Self {
        // Field by field, because the default of what is shared would be made and thrown away.
        let shared = machine.shared_roots();
        let blob = |stored: &Arc<Stored>| stored.value().map_or_else(Seen::Away, Seen::Value);
        let input = match &shared.input {
            Some(Given::Blob(stored)) => Some(blob(stored)),
            _ => None,
        };
        let trigger = shared.trigger_blob.as_ref().map(blob);
        Self {
            json: None,
            input,
            trigger,
            inputs: None,
            shared,
            item: None,
            round: None,
            as_it_is: None,
            nodes: BTreeMap::new(),
            attempt: 0,
        }
    }

    /// The same, for one element of a `for_each`; with `as_json`, the element is `$json` as well.
    #[must_use]
    pub fn with_item(mut self, item: &Given, index: u32, as_json: bool) -> Self {
        let item = seen_whole(item);
        if as_json {
            self.json = Some(item.clone());
        }
        self.item = Some((item, Value::from(index)));
        self
    }

    /// What the conditions of an instance's connections see once it has a result: `$json` and its
    /// own `$nodes.<id>.result` are that result.
    #[must_use]
    pub fn after_success(
        mut self,
        instance: &InstanceId,
        output: impl Into<Given>,
        port: &str,
    ) -> Self {
        let output = self.seen(output.into(), false);
        self.json = Some(output.clone());
        self.own(
            instance,
            NodeRecord {
                result: Some(output),
                error: None,
                success: Some(true),
                status: InstanceStatus::Succeeded,
                port: Some(port.into()),
                attempts: self.attempt.max(1),
            },
        );
        self
    }

    /// What the conditions of an instance's connections see once it has failed: `$json` and its own
    /// `$nodes.<id>.error` are the error.
    #[must_use]
    pub fn after_failure(mut self, instance: &InstanceId, error: &ActionError, port: &str) -> Self {
        let value = error_value(error);
        self.json = Some(Arc::new(value.clone()).into());
        self.own(
            instance,
            NodeRecord {
                result: None,
                error: Some(value),
                success: Some(false),
                status: InstanceStatus::Failed,
                port: Some(port.into()),
                attempts: self.attempt.max(1),
            },
        );
        self
    }

    /// How something that was given is seen: a long list that is seen already, as the same one, so
    /// that it is equal to itself and no segment is read twice.
    fn seen(&self, given: Given, as_it_is: bool) -> Seen {
        let list: Arc<dyn Segmented> = match given {
            Given::Value(value) => return Seen::Value(value),
            Given::Blob(_) | Given::Made(_) => return seen_whole(&given),
            Given::List(list) => match list.is_at_hand() {
                Err(why) if !as_it_is => return Seen::Away(why),
                _ => list,
            },
        };
        let results = self.nodes.values().filter_map(|node| node.result.as_ref());
        let mut known = self.json.iter().chain(results).filter_map(Seen::list);
        let same = known.find(|known| Arc::ptr_eq(known.source(), &list));
        Seen::List(match same {
            Some(known) => known.clone(),
            None => Arc::new(LongList::new(list)),
        })
    }

    fn own(&mut self, instance: &InstanceId, record: NodeRecord) {
        self.nodes.insert(instance.node.clone(), record);
    }

    fn see(&mut self, plan: &ExecutionPlan, node: u32, activation: &Activation) {
        let as_it_is = self.as_it_is == Some(NamedList::Result(node));
        let record = NodeRecord {
            result: activation.given().map(|given| self.seen(given, as_it_is)),
            error: activation
                .error_value()
                .filter(|_| activation.status == InstanceStatus::Failed),
            success: activation
                .has_ended()
                .then_some(activation.status == InstanceStatus::Succeeded),
            status: activation.status,
            port: activation.port.clone(),
            attempts: activation.attempts,
        };
        self.nodes.insert(plan.node(node).id.clone(), record);
    }
}

impl Scope for EvaluationScope {
    fn root(&self, root: Root) -> Option<&Value> {
        match root {
            Root::Input => match (&self.input, &self.shared.input) {
                (Some(seen), _) => seen.value(),
                (None, Some(Given::Value(input))) => Some(input),
                (None, _) => None,
            },
            Root::Inputs => self.inputs.as_ref()?.as_ref().ok(),
            Root::Json => self.json.as_ref().and_then(Seen::value),
            Root::Item => self.item.as_ref().and_then(|(item, _)| item.value()),
            Root::Index => self.item.as_ref().map(|(_, index)| index),
            Root::Trigger => match &self.trigger {
                Some(seen) => seen.value(),
                None => Some(&self.shared.trigger),
            },
            Root::Execution => Some(self.shared.execution()),
            Root::Workflow => Some(self.shared.workflow()),
            Root::Vars => Some(&self.shared.vars),
            Root::Loop => self.round.as_ref()?.as_ref().ok(),
        }
    }

    fn node(&self, slot: usize, id: &str) -> Option<NodeView<'_>> {
        let result = &self.nodes.get(id)?.result;
        let view = self.node_without_result(slot, id)?;
        Some(NodeView {
            result: result.as_ref().and_then(Seen::value),
            ..view
        })
    }

    fn node_without_result(&self, _slot: usize, id: &str) -> Option<NodeView<'_>> {
        let record = self.nodes.get(id)?;
        Some(NodeView {
            result: None,
            success: record.success,
            error: record.error.as_ref(),
            status: record.status.as_str(),
            port: record.port.as_deref(),
            attempts: record.attempts,
        })
    }

    fn list(&self, of: ListOf<'_>) -> Option<&LongList> {
        let seen = match of {
            ListOf::Root(Root::Json) => self.json.as_ref(),
            ListOf::Root(_) => None,
            ListOf::Result { id, .. } => self.nodes.get(id)?.result.as_ref(),
        };
        seen.and_then(Seen::list).map(|list| &**list)
    }

    fn away(&self, of: ListOf<'_>) -> Option<Away> {
        let why = match of {
            ListOf::Root(Root::Json) => self.json.as_ref().and_then(Seen::away),
            ListOf::Root(Root::Input) => self.input.as_ref().and_then(Seen::away),
            ListOf::Root(Root::Inputs) => self.inputs.as_ref().and_then(|it| it.as_ref().err()),
            ListOf::Root(Root::Trigger) => self.trigger.as_ref().and_then(Seen::away),
            ListOf::Root(Root::Item) => self.item.as_ref().and_then(|(item, _)| item.away()),
            ListOf::Root(Root::Loop) => self.round.as_ref().and_then(|it| it.as_ref().err()),
            ListOf::Root(_) => None,
            ListOf::Result { id, .. } => {
                let result = self.nodes.get(id).and_then(|node| node.result.as_ref());
                result.and_then(Seen::away)
            }
        };
        why.map(|why| Away {
            code: Unread::CODE,
            message: why.to_string(),
        })
    }
}

/// `$inputs`: the values of the live tokens, in lists by the name of their input.
fn inputs(tokens: Vec<(CompactString, Given)>) -> Result<Value, Unread> {
    let mut inputs = Map::new();
    for (input, value) in tokens {
        let list = inputs
            .entry(input.as_str())
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(Arc::unwrap_or_clone(value.value()?));
        }
    }
    Ok(Value::Object(inputs))
}

/// `$loop`: `{ index, last }`.
fn round(index: u32, last: Option<Given>) -> Result<Value, Unread> {
    let last = last.map(|last| last.value()).transpose()?;
    Ok(json!({ "index": index, "last": last.map(Arc::unwrap_or_clone) }))
}

/// How something is seen as one value.
fn seen_whole(given: &Given) -> Seen {
    given.value().map_or_else(Seen::Away, Seen::Value)
}

/// What the run began with of the nearest body of this kind that an instance stands in, and its number.
fn enclosing(
    plan: &ExecutionPlan,
    state: &ExecutionState,
    at: At,
    kind: ControlKind,
) -> Option<(Given, u32)> {
    let mut frame = state.frames.get(at.frame);
    while let Some((run, owner)) = frame.and_then(|run| Some((run, run.owner?))) {
        if let Some(index) = owner.item
            && plan.node(owner.at.node).kind == ActionKind::Control(kind)
        {
            return Some((run.json().unwrap_or_default(), index));
        }
        frame = state.frames.get(owner.at.frame);
    }
    None
}

/// The activation of `wanted` that an instance descends from in its round; where it descends from
/// none, the latest.
///
/// A node of an enclosing part of the plan is looked for from the node whose body it all stands in.
pub(crate) fn visible<'a>(
    plan: &ExecutionPlan,
    state: &'a ExecutionState,
    mut from: At,
    wanted: u32,
) -> Option<&'a Activation> {
    while state.frames.get(from.frame)?.extent != plan.extent_of(wanted) {
        from = state.frames.get(from.frame)?.owner?.at;
    }
    let activations = state.activations_in(from.frame, wanted);
    if activations.len() <= 1 {
        return activations.first();
    }
    let within = plan.loop_of(wanted);
    let mut queue = VecDeque::from([from]);
    let mut seen = BTreeSet::from([from]);
    while let Some(at) = queue.pop_front() {
        if at.node == wanted && at != from {
            return state.get(at);
        }
        let Some(activation) = state.get(at) else {
            continue;
        };
        for (edge, source) in &activation.tokens {
            let connection = &plan.connections[*edge as usize];
            let (node, number) = match connection.closes_loop {
                false => (connection.from, *source),
                // An earlier round is none of its own; what came before the loop is behind the first.
                true if plan.loop_of(connection.to) == within => continue,
                true => (connection.to, 1),
            };
            let next = At {
                frame: at.frame,
                node,
                number,
            };
            if seen.insert(next) {
                queue.push_back(next);
            }
        }
    }
    // In a loop, what its round has skipped is not what an earlier one gave.
    if within.is_some() && plan.loop_of(from.node) == within {
        return activations.last();
    }
    latest(activations)
}

/// The latest activation that was not skipped; else the latest.
fn latest(activations: &[Activation]) -> Option<&Activation> {
    let ran = activations
        .iter()
        .rev()
        .find(|activation| activation.status != InstanceStatus::Skipped);
    ran.or(activations.last())
}

#[cfg(test)]
mod tests {
    use nebula_expression::{CompileOptions, Context, Evaluated, Program};

    use super::*;
    use crate::{LIST_SEGMENT, Outcomes};

    #[test]
    fn a_segment_of_a_long_list_becomes_values_only_where_it_is_read() {
        let count = 2 * LIST_SEGMENT;
        let given = Outcomes::default().list(count);
        let mut scope = EvaluationScope::default();
        let record = NodeRecord {
            result: Some(scope.seen(given.clone(), false)),
            error: None,
            success: Some(true),
            status: InstanceStatus::Succeeded,
            port: None,
            attempts: 1,
        };
        let id = NodeId::new("list").unwrap();
        scope.json = record.result.clone();
        scope.nodes.insert(id.clone(), record);
        let evaluate = |source: &str| {
            let program = Program::compile(source, &CompileOptions::default()).unwrap();
            program.evaluate(&scope, &Context::default()).unwrap()
        };
        let touched = || {
            let result = scope.nodes[&id].result.as_ref();
            result.and_then(Seen::list).map_or(0, |list| list.touched())
        };
        assert_eq!(evaluate("$nodes.list.success"), Some(json!(true)));
        assert_eq!(evaluate("$nodes.list.attempts"), Some(json!(1)));
        assert_eq!(evaluate("$nodes.list.result.length"), Some(json!(count)));
        // One list, whoever has it.
        assert_eq!(evaluate("$nodes.list.result === $json"), Some(json!(true)));
        assert_eq!(touched(), 0);
        assert_eq!(evaluate("$json[5]"), Some(json!(null)));
        assert_eq!(touched(), 1);
        let program = Program::compile("$json", &CompileOptions::default()).unwrap();
        let whole = program.evaluate_ref(&scope, &Context::default()).unwrap();
        let Evaluated::List(list) = whole else {
            panic!("{whole:?}")
        };
        assert_eq!(Given::from(list), given);
        assert_eq!(touched(), 1);
    }

    #[test]
    fn what_is_checked_before_the_start_sees_the_input() {
        let scope = EvaluationScope::of_input(Arc::new(serde_json::json!({ "n": 7 })));
        let program = Program::compile("$input.n", &CompileOptions::default()).unwrap();
        let seen = program.evaluate(&scope, &Context::default()).unwrap();
        assert_eq!(seen, Some(serde_json::json!(7)));
    }
}
