//! A machine stepped by hand: plans from a terse text, and a journal whose invariants are checked
//! after every decision.
//!
//! A plan is `connections; node: attributes; …`, such as `a -> b, a.error -> c; b: once, retry 2`.
//! A connection to `^a` goes back to `a`, where its loop begins.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod case;
mod outside;
pub(crate) mod script;
pub(crate) mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use nebula_action::{ActionKind, ControlKind, EffectClass, InterfaceVersion};
use nebula_core::{ActionId, Digest, ExecutionId, NodeId, TenantId, Timestamp, WorkflowId};
use nebula_execution::{
    Again, AgainError, ClaimStatus, Command, Copying, Decision, Entry, Event, ExecutionPlan, Fact,
    InstanceId, Machine, NewExecution, PLAN_FORMAT, PlanBody, PlanCompensation, PlanConnection,
    PlanHandler, PlanLoop, PlanMilestone, PlanNode, PlanOutput, PlanParts, Rest, StartOptions,
    StoredEntry, UnparkDecision, decode, encode,
};
use nebula_expression::{CompileOptions, Program};
use nebula_workflow::{
    Backoff, ItemsRest, Jitter, JoinRest, JoinRule, OnError, OnIndeterminate, OnItemError,
    RetryPolicy,
};
use serde_json::{Value, json};

/// The time of the first entry.
pub(crate) const START: Timestamp = Timestamp::from_millis(0);

/// A node with every default: pure code, tried once.
pub(crate) fn node(id: &str) -> PlanNode {
    PlanNode {
        id: NodeId::new(id).unwrap(),
        action: ActionId::new("test.action").unwrap(),
        version: InterfaceVersion { major: 1, minor: 0 },
        kind: ActionKind::Code,
        effect: EffectClass::Pure,
        reconciles: false,
        parameters: Default::default(),
        when: None,
        for_each: None,
        each_item: false,
        distribute: false,
        complete_when: None,
        rest: ItemsRest::Cancel,
        on_item_error: None,
        concurrency: 16,
        join: JoinRule::All,
        retry: RetryPolicy {
            max_attempts: 1,
            backoff: Backoff::Fixed,
            initial: Duration::from_millis(100),
            max: Duration::from_secs(3600),
            jitter: Jitter::None,
        },
        timeout: Duration::from_secs(1),
        heartbeat_timeout: None,
        on_error: OnError::Fail,
        on_indeterminate: OnIndeterminate::Park,
        compensation: None,
        idempotency_key: None,
        disabled: false,
        pin: None,
        capabilities: Vec::new(),
        requires: Vec::new(),
        credentials: Vec::new(),
        tokens: None,
        milestone: None,
        rate: 1,
        priority: 1,
    }
}

/// What undoes an effect, of this class: tried once.
pub(crate) fn compensation(effect: &str) -> PlanCompensation {
    let like = node("undo");
    PlanCompensation {
        action: like.action,
        version: like.version,
        effect: match effect {
            "write" => EffectClass::Idempotent,
            "keyed" => EffectClass::Keyed,
            "once" => EffectClass::AtMostOnce,
            other => panic!("no effect {other}"),
        },
        reconciles: false,
        parameters: Default::default(),
        retry: like.retry,
        timeout: like.timeout,
        capabilities: Vec::new(),
        requires: Vec::new(),
        credentials: Vec::new(),
    }
}

/// The same plan with compensations for some of its nodes that do something, and some bodies that
/// are undone when they fail; `pick` says which.
pub(crate) fn undoable(plan: &ExecutionPlan, pick: u64) -> Arc<ExecutionPlan> {
    let mut parts = PlanParts::clone(plan);
    let effects = ["write", "keyed", "once"];
    for (index, node) in (0_u32..).zip(&mut parts.nodes) {
        let bits = pick >> (index * 4 % 60);
        if node.kind == ActionKind::Code && bits & 3 != 0 {
            let mut undo = compensation(effects[(bits & 3) as usize - 1]);
            undo.reconciles = bits & 4 != 0;
            undo.retry.max_attempts = 1 + (bits >> 3 & 1) as u32;
            node.compensation = Some(Box::new(undo));
        }
    }
    for (index, body) in (0_u32..).zip(&mut parts.bodies) {
        let tries = parts.nodes[body.owner as usize].kind == ActionKind::Control(ControlKind::Try);
        body.compensates = tries && pick >> (index % 60) & 1 == 1;
    }
    Arc::new(ExecutionPlan::new(parts).unwrap())
}

/// A connection between dense indices.
pub(crate) fn connection(nodes: &[PlanNode], from: u32, port: &str, to: u32) -> PlanConnection {
    PlanConnection {
        from,
        port: port.into(),
        to,
        input: "main".into(),
        condition: None,
        name: nodes[to as usize].id.as_str().into(),
        closes_loop: false,
    }
}

/// A plan of these nodes and connections.
pub(crate) fn plan_of(nodes: Vec<PlanNode>, connections: Vec<PlanConnection>) -> PlanParts {
    PlanParts {
        format: PLAN_FORMAT,
        workflow: WorkflowId::new("test").unwrap(),
        name: "test".to_owned(),
        version: 1,
        definition: Digest::of(b"test"),
        timezone: "UTC".into(),
        input_schema: Value::Null,
        output_schema: Value::Null,
        nodes,
        connections,
        bodies: Vec::new(),
        loops: Vec::new(),
        calls: Vec::new(),
        output: PlanOutput::Nodes(Vec::new()),
        concurrency: 16,
        timeout: None,
        admission: None,
        rate_limit: None,
        priority: nebula_core::Priority::Normal,
        runs_on: nebula_core::Group::default(),
    }
}

/// Reads the terse text of a plan.
pub(crate) fn plan(text: &str) -> Arc<ExecutionPlan> {
    let mut sections = text.split(';').map(str::trim);
    let mut nodes: Vec<PlanNode> = Vec::new();
    let mut connections = Vec::new();
    let index = |nodes: &mut Vec<PlanNode>, id: &str| {
        let found = nodes.iter().position(|node| node.id.as_str() == id);
        found.unwrap_or_else(|| {
            nodes.push(node(id));
            nodes.len() - 1
        }) as u32
    };
    let mut graph = |nodes: &mut Vec<PlanNode>, text: &str| {
        for part in text.split(',').map(str::trim) {
            let mut last: Option<(u32, String)> = None;
            for end in part.split("->").map(str::trim) {
                let (id, port) = end.split_once('.').unwrap_or((end, "main"));
                let (back, id) = (id.starts_with('^'), id.trim_start_matches('^'));
                let to = index(nodes, id);
                if let Some((from, port)) = last {
                    if port == "error" {
                        nodes[from as usize].on_error = OnError::Route;
                    }
                    connections.push(PlanConnection {
                        closes_loop: back,
                        ..connection(nodes, from, &port, to)
                    });
                }
                last = Some((to, port.to_owned()));
            }
        }
    };
    graph(&mut nodes, sections.next().unwrap());
    let (mut bodies, mut attributes) = (Vec::new(), Vec::new());
    for section in sections.filter(|section| !section.is_empty()) {
        let Some((owner, body)) = section.split_once('{') else {
            attributes.push(section);
            continue;
        };
        let (owner, kind) = owner.trim().split_once(' ').unwrap();
        let owner = nodes.iter().position(|node| node.id.as_str() == owner);
        let owner = owner.unwrap() as u32;
        nodes[owner as usize].kind = ActionKind::Control(kind_of_body(kind));
        let (first, mut handlers) = (nodes.len(), Vec::new());
        for (part, text) in body.trim_end_matches('}').split('|').enumerate() {
            let at = nodes.len() as u32;
            let always = text.trim().starts_with('!');
            graph(&mut nodes, text.trim().trim_start_matches('!'));
            if part > 0 {
                handlers.push((at, always));
            }
        }
        bodies.push((owner, first as u32, nodes.len() as u32, handlers));
    }
    let ends = |connections: &[PlanConnection], nodes: std::ops::Range<u32>| {
        let ends = nodes.filter(|node| connections.iter().all(|edge| edge.from != *node));
        match &ends.collect::<Vec<_>>()[..] {
            [end] => PlanOutput::Node(*end),
            ends => PlanOutput::Nodes(ends.to_vec()),
        }
    };
    let bodies = bodies.into_iter().map(|(owner, first, end, handlers)| {
        let mut starts: Vec<_> = handlers.iter().map(|(at, _)| *at).collect();
        starts.push(end);
        let handlers = handlers.iter().zip(&starts[1..]);
        PlanBody {
            owner,
            first,
            count: end - first,
            output: ends(&connections, first..starts[0]),
            compensates: false,
            handlers: handlers
                .map(|((node, always), next)| PlanHandler {
                    node: *node,
                    always: *always,
                    output: ends(&connections, *node..*next),
                })
                .collect(),
        }
    });
    let bodies = bodies.collect();
    let mut parts = plan_of(nodes, connections);
    parts.bodies = bodies;
    let edges = parts.connections.iter();
    let edges = edges.map(|edge| (edge.from, edge.to, edge.closes_loop));
    parts.loops = loops_of(&edges.collect::<Vec<_>>());
    for section in attributes {
        let (id, attributes) = section.split_once(':').unwrap();
        for attribute in attributes.split(',').map(str::trim) {
            let mut words = attribute.split(' ');
            let (word, more) = (words.next().unwrap(), words.next());
            let number = || more.unwrap().parse::<u32>().unwrap();
            if id == "*" {
                match word {
                    "limit" => parts.concurrency = number(),
                    "timeout" => parts.timeout = Some(Duration::from_millis(number().into())),
                    other => panic!("no attribute {other} of a plan"),
                }
                continue;
            }
            if word == "unwinds" {
                let owner =
                    |body: &&mut PlanBody| parts.nodes[body.owner as usize].id.as_str() == id;
                parts.bodies.iter_mut().find(owner).unwrap().compensates = true;
                continue;
            }
            let index = |id: &str| {
                let at = parts.nodes.iter().position(|node| node.id.as_str() == id);
                at.map(|at| at as u32)
            };
            let ends = more.and_then(|ends| ends.split_once('/'));
            let milestone = ends.map(|(reached, until)| PlanMilestone {
                reached: index(reached),
                until: index(until),
            });
            let node = parts.nodes.iter_mut().find(|node| node.id.as_str() == id);
            let node = node.unwrap_or_else(|| panic!("no node {id}"));
            match word {
                "any" => node.join = JoinRule::Any,
                "each" => node.join = JoinRule::Each,
                "count" | "first-of" => {
                    let rest = match word {
                        "count" => JoinRest::Absorb,
                        _ => JoinRest::Cancel,
                    };
                    node.join = JoinRule::Count {
                        count: number(),
                        rest,
                    };
                }
                "read" => node.effect = EffectClass::Read,
                "write" => node.effect = EffectClass::Idempotent,
                "keyed" => node.effect = EffectClass::Keyed,
                "once" => node.effect = EffectClass::AtMostOnce,
                "retry" => node.retry.max_attempts = number(),
                "undo" => node.compensation = Some(Box::new(compensation(more.unwrap()))),
                "undoretry" => node.compensation.as_mut().unwrap().retry.max_attempts = number(),
                "undoasks" => node.compensation.as_mut().unwrap().reconciles = true,
                "continue" => node.on_error = OnError::Continue,
                "repeats" => node.on_indeterminate = OnIndeterminate::Retry,
                "fails" => node.on_indeterminate = OnIndeterminate::Fail,
                "reconciles" => node.reconciles = true,
                "distribute" => node.distribute = true,
                "items" => node.for_each = Some(program("$input")),
                "weighs" => node.complete_when = Some(program("$json.done > 0")),
                "absorbs" => node.rest = ItemsRest::Absorb,
                "collects" => node.on_item_error = Some(OnItemError::Collect),
                "goes" => node.on_item_error = Some(OnItemError::Continue),
                "rounds" => {
                    let (id, most) = (node.id.clone(), number());
                    let begins = |part: &&mut PlanLoop| parts.nodes[part.entry as usize].id == id;
                    parts.loops.iter_mut().find(begins).unwrap().max_rounds = most;
                }
                "window" => node.concurrency = number(),
                "first" => node.priority = number(),
                "milestone" => {
                    node.kind = ActionKind::Control(ControlKind::Milestone);
                    node.milestone = milestone;
                }
                "wait" => node.kind = ActionKind::Control(ControlKind::Wait),
                "call" => node.kind = ActionKind::Control(ControlKind::Call),
                "signal" => node.kind = ActionKind::Control(ControlKind::Signal),
                "approval" => node.kind = ActionKind::Control(ControlKind::Approval),
                "emit" => node.kind = ActionKind::Control(ControlKind::Emit),
                "stop" => node.kind = ActionKind::Control(ControlKind::Stop),
                "split" | "merge" => {
                    node.kind = ActionKind::Control(match word {
                        "split" => ControlKind::SplitTokens,
                        _ => ControlKind::MergeTokens,
                    });
                    node.tokens = Some(number());
                }
                "cancel" => node.kind = ActionKind::Control(ControlKind::Cancel),
                "disabled" => node.disabled = true,
                "pinned" => node.pin = Some(json!(1)),
                other => panic!("no attribute {other} of a node"),
            }
        }
    }
    Arc::new(ExecutionPlan::new(parts).unwrap())
}

/// The loops of connections, each `(from, to, whether it goes back)`; the most rounds are the default.
pub(crate) fn loops_of(connections: &[(u32, u32, bool)]) -> Vec<PlanLoop> {
    let reached = |from: u32, forward: bool| {
        let mut found = BTreeSet::from([from]);
        let mut next = vec![from];
        while let Some(node) = next.pop() {
            for (from, to, _) in connections {
                let (from, to) = if forward { (*from, *to) } else { (*to, *from) };
                if from == node && found.insert(to) {
                    next.push(to);
                }
            }
        }
        found
    };
    let entries = connections.iter().filter(|(_, _, back)| *back);
    let entries: BTreeSet<u32> = entries.map(|(_, to, _)| *to).collect();
    let loops = entries.into_iter().map(|entry| PlanLoop {
        entry,
        nodes: (&reached(entry, true) & &reached(entry, false))
            .into_iter()
            .collect(),
        max_rounds: 1_000,
    });
    loops.collect()
}

fn kind_of_body(word: &str) -> ControlKind {
    match word {
        "each" => ControlKind::ForEach,
        "loop" => ControlKind::Loop,
        "both" => ControlKind::Parallel,
        "race" => ControlKind::Race,
        "try" => ControlKind::Try,
        "mutex" => ControlKind::Mutex,
        "semaphore" => ControlKind::Semaphore,
        other => panic!("no body of kind {other}"),
    }
}

pub(crate) fn program(source: &str) -> Program {
    Program::compile(source, &CompileOptions::default()).unwrap()
}

pub(crate) fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

/// The execution number `number` after the first.
pub(crate) fn later(number: u8) -> ExecutionId {
    ExecutionId::from_bytes([100 + number; 16])
}

/// A new execution that goes over an ended one again, nine seconds after its end.
pub(crate) fn again(rig: &Rig, how: Again, id: ExecutionId) -> Result<Rig, AgainError> {
    let mut copying = Copying::new(&rig.machine, how)?;
    for (seq, entry) in (1..).zip(&rig.journal) {
        let entry = entry.clone();
        copying.take(&StoredEntry {
            seq,
            epoch: 1,
            entry,
        })?;
    }
    let now = rig.now.plus(Duration::from_secs(9));
    Ok(Rig::of(rig.plan.clone(), copying.finish(id, now)?, now))
}

/// A machine with its journal.
pub(crate) struct Rig {
    pub(crate) plan: Arc<ExecutionPlan>,
    pub(crate) machine: Machine,
    pub(crate) journal: Vec<Entry>,
    pub(crate) now: Timestamp,
    /// What the journal says about the starts of each instance: attempts, keys, whether one is open.
    starts: BTreeMap<InstanceId, Starts>,
    /// The effects that are to be undone, as the journal says: the oldest first.
    effects: Vec<InstanceId>,
    /// The key of each compensation that was ever begun.
    undone_under: BTreeMap<InstanceId, String>,
    /// How many entries the checks have seen.
    checked: usize,
}

#[derive(Default)]
struct Starts {
    last: u32,
    key: Option<String>,
    /// An at-most-once attempt has begun, and nobody has said that it may be made again.
    unresolved: bool,
}

impl Rig {
    pub(crate) fn new(plan: Arc<ExecutionPlan>) -> Self {
        let new = NewExecution::new(
            execution(),
            TenantId::local(),
            START,
            (&plan, Digest::of(b"plan")),
            json!({ "n": 1 }),
            StartOptions::default(),
        );
        Self::of(plan, new, START)
    }

    /// An execution that begins with more than one entry.
    pub(crate) fn of(plan: Arc<ExecutionPlan>, new: NewExecution, now: Timestamp) -> Self {
        let mut rig = Self {
            machine: replay_as(&plan, new.id, &new.entries),
            plan,
            journal: new.entries,
            now,
            starts: BTreeMap::new(),
            effects: Vec::new(),
            undone_under: BTreeMap::new(),
            checked: 1,
        };
        rig.check_entries();
        rig
    }

    /// Tells the machine, and checks what must hold after every decision.
    pub(crate) fn tell(&mut self, event: Event) -> Decision {
        let had_ended = self.machine.state().end_status().is_some();
        let was_ending = self.machine.state().ending().is_some();
        let was_paused = self.machine.state().is_paused() && event_keeps_pause(&event);
        let decision = self.machine.decide(event, self.now);
        assert!(
            !had_ended || decision == Decision::default(),
            "a terminal state has no way out"
        );
        self.journal.extend(decision.entries.iter().cloned());
        self.check_entries();
        for command in &decision.commands {
            self.check_command(command, was_ending, &decision);
            let starts = matches!(
                command,
                Command::Run { .. }
                    | Command::Open { .. }
                    | Command::Fire { .. }
                    | Command::Take { .. }
                    | Command::Expire { .. }
                    | Command::Compensate { .. }
            );
            assert!(!(was_paused && starts), "nothing starts while paused");
        }
        let lived = self.machine.state();
        let replayed = replay_as(&self.plan, self.machine.id(), &self.journal);
        assert_eq!(replayed.state(), lived, "replay");
        let bytes = self.machine.snapshot();
        let restored = Machine::restore(self.plan.clone(), TenantId::local(), execution(), &bytes);
        assert_eq!(restored.unwrap().state(), lived, "snapshot");
        let coded = encode(&decision.entries);
        assert_eq!(decode(&coded).unwrap(), decision.entries, "codec");
        self.check_rest();
        decision
    }

    fn check_entries(&mut self) {
        for entry in &self.journal[self.checked..] {
            let Some(instance) = entry.fact.instance() else {
                continue;
            };
            match &entry.fact {
                Fact::CompensationRegistered { .. } => self.effects.push(instance.clone()),
                Fact::CompensationStarted { key, .. } => {
                    let known = self.undone_under.insert(instance.clone(), key.clone());
                    assert!(known.is_none_or(|known| known == *key), "a key changed");
                    // In a body that is undone there may be newer effects outside.
                    let inside = |it: &&InstanceId| {
                        instance.within.is_none() || it.within == instance.within
                    };
                    let newest = self.effects.iter().rev().find(inside);
                    assert_eq!(newest, Some(instance), "the newest effect is undone first");
                }
                Fact::CompensationSucceeded { .. } => self.effects.retain(|it| it != instance),
                Fact::Unparked {
                    decision: UnparkDecision::Succeeded(_) | UnparkDecision::Failed,
                    ..
                } => self.effects.retain(|it| it != instance),
                _ => {}
            }
            let starts = self.starts.entry(instance.clone()).or_default();
            let node = self
                .plan
                .node(self.plan.index_of(instance.node.as_str()).unwrap());
            match &entry.fact {
                Fact::AttemptStarted { attempt, key, .. } => {
                    assert!(*attempt > starts.last, "{instance} starts {attempt} again");
                    assert!(starts.key.as_ref().is_none_or(|known| known == key));
                    assert!(
                        !starts.unresolved,
                        "{instance} may have acted, and starts again"
                    );
                    starts.last = *attempt;
                    starts.key = Some(key.clone());
                    starts.unresolved = node.effect == EffectClass::AtMostOnce;
                }
                // An error that says what happened, or the author's word that it may happen twice.
                Fact::AttemptFailed { error, .. } => {
                    let known = !matches!(error.class.as_str(), "unknown" | "timeout");
                    let policy = node.on_indeterminate != OnIndeterminate::Park;
                    starts.unresolved &= !(known || policy);
                }
                Fact::Unparked {
                    decision: UnparkDecision::Retry,
                    ..
                } => starts.unresolved = false,
                _ => {}
            }
        }
        self.checked = self.journal.len();
        let ends = self
            .journal
            .iter()
            .filter(|entry| entry.fact.is_terminal())
            .count();
        assert_eq!(
            ends,
            usize::from(self.machine.state().end_status().is_some())
        );
    }

    fn check_command(&self, command: &Command, was_ending: bool, decision: &Decision) {
        match command {
            Command::Run {
                journal_start,
                instance,
                ..
            } => {
                assert!(!was_ending, "nothing runs once the execution ends");
                let state = self.machine.state();
                let at = state.find(&self.plan, instance);
                let ending = at.is_some_and(|at| state.is_ending(at.frame));
                // What began before the same decision ended the body is told to stop by it.
                let abort = Command::Abort {
                    instance: instance.clone(),
                };
                let stopped = decision.commands.contains(&abort);
                assert!(!ending || stopped, "nothing runs in a body that ends");
                let node = self
                    .plan
                    .node(self.plan.index_of(instance.node.as_str()).unwrap());
                let writes = node.effect.writes() && !node.disabled && node.pin.is_none();
                assert!(
                    *journal_start || !writes,
                    "an external write is journalled first"
                );
            }
            Command::Start { instance } if self.machine.compensates(instance) => {
                let last = self.journal.last().map(|entry| &entry.fact);
                let started = matches!(last, Some(Fact::CompensationStarted { instance: on, .. }) if on == instance);
                assert!(started, "commit first");
            }
            Command::Start { instance } => {
                assert!(!was_ending, "nothing starts once the execution ends");
                let last = self
                    .journal
                    .iter()
                    .rev()
                    .find(|e| e.fact.instance() == Some(instance));
                let started = last.map(|entry| &entry.fact);
                assert!(
                    matches!(started, Some(Fact::AttemptStarted { .. })),
                    "commit first"
                );
            }
            _ => {}
        }
    }

    fn check_rest(&self) {
        match self.machine.rest() {
            Rest::Waiting { due: Some(due) } => assert!(due > self.now, "hot loop"),
            Rest::Waiting { due: None } => {
                assert!(self.listens() || self.calls(), "no wake-up");
            }
            Rest::Parked { due } | Rest::Paused { due } => {
                assert!(due.is_none_or(|due| due > self.now), "hot loop");
            }
            Rest::Compensating { due } => {
                assert!(
                    due.is_some_and(|due| due > self.now),
                    "hot loop, or no wake-up"
                );
            }
            Rest::Busy | Rest::Ended(_) => {}
        }
    }

    /// Whether an instance waits for a signal, for votes, or for the turn of the execution.
    pub(crate) fn listens(&self) -> bool {
        let mut activations = self.machine.state().all();
        activations.any(|(_, it)| {
            let claim = it.claim.as_ref();
            let lost = claim.is_some_and(|claim| claim.status == ClaimStatus::Lost);
            it.signal.is_some() || it.approval.is_some() || lost
        })
    }

    /// Whether an instance waits for a child.
    pub(crate) fn calls(&self) -> bool {
        let mut activations = self.machine.state().all();
        activations.any(|(_, activation)| {
            let parts = activation.items.as_ref().map(|items| &items.parts);
            activation.child.is_some() || parts.is_some_and(|parts| !parts.is_empty())
        })
    }

    /// The holder goes away; another one begins from the first `entries` entries.
    pub(crate) fn crash_at(&mut self, entries: usize) -> Decision {
        self.journal.truncate(entries);
        self.machine = replay_as(&self.plan, self.machine.id(), &self.journal);
        self.starts.clear();
        self.effects.clear();
        self.undone_under.clear();
        self.checked = 1;
        self.check_entries();
        self.tell(Event::Begin)
    }
}

fn event_keeps_pause(event: &Event) -> bool {
    !matches!(
        event,
        Event::Signalled {
            signal: nebula_execution::Signal::Unpause | nebula_execution::Signal::Cancel { .. },
            ..
        }
    )
}

pub(crate) fn execution() -> ExecutionId {
    ExecutionId::from_bytes([7; 16])
}

/// A machine that has only read.
pub(crate) fn replay(plan: &Arc<ExecutionPlan>, journal: &[Entry]) -> Machine {
    replay_as(plan, execution(), journal)
}

/// The same, of another execution.
pub(crate) fn replay_as(plan: &Arc<ExecutionPlan>, id: ExecutionId, journal: &[Entry]) -> Machine {
    let mut machine = Machine::new(plan.clone(), TenantId::local(), id);
    for (seq, entry) in (1..).zip(journal) {
        let entry = entry.clone();
        machine.apply(&StoredEntry {
            seq,
            epoch: 1,
            entry,
        });
    }
    machine
}
