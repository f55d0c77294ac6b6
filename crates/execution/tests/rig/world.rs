//! A world around a machine, seeded: it answers commands in any order, and knows what each attempt does.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use nebula_action::{ActionError, ActionKind, ControlKind, ErrorClass};
use nebula_core::{BlobId, Digest, ExecutionId, NodeId, WorkflowId};
use nebula_execution::{
    Ballot, Choice, Command, Decision, Ending, Event, ExecutionPlan, Fact, Given, InstanceId,
    ItemOutcome, NamedSignal, Outcome, PartEnd, Rest, Signal, SlotWanted, Status, Stored, Taken,
    UnparkDecision,
};
use serde_json::{Value, json};

use super::{
    Rig,
    outside::{Outside, children, question},
    script::undo,
};

/// What an attempt does, by instance and number; the same whenever it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Succeed,
    Fail,
    Again,
    Late,
}

/// Decides what nodes do.
pub(crate) trait Script {
    fn act(&self, instance: &InstanceId, attempt: u32) -> Act;
    /// Which of its connections of a port are taken.
    fn taken(&self, plan: &ExecutionPlan, instance: &InstanceId, port: &str) -> Taken;
    fn items(&self, node: &str) -> u32;
    /// After how many ended items its list is complete.
    fn enough(&self, _node: &str) -> u32 {
        u32::MAX
    }
    /// Whether signals bring more items to its list.
    fn grows(&self, _node: &str) -> bool {
        false
    }
    fn skips(&self, node: &str) -> bool;
    fn waits(&self, node: &str) -> bool;
    /// The nodes that it gives up, if it is a `flow.cancel`.
    fn cancels(&self, _node: &str) -> Vec<NodeId> {
        Vec::new()
    }
    /// Whether it asks people.
    fn asks(&self, _node: &str) -> bool {
        false
    }
    /// Whether it calls a workflow; and if so, whether nobody waits for its end.
    fn calls(&self, _node: &str) -> Option<bool> {
        None
    }
    /// The slot that its body needs.
    fn wants(&self, _node: &str) -> Option<SlotWanted> {
        None
    }
    /// What an attempt to undo its effect does.
    fn undoes(&self, _instance: &InstanceId, _attempt: u32) -> Act {
        Act::Succeed
    }
    /// Whether its handler takes a failure of its body.
    fn catches(&self, _node: &str) -> bool {
        true
    }
}

/// A source of chance (SplitMix64) whose seed is printed.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % limit.max(1) as u64) as usize
    }
}

/// A machine, the commands that it waits for, and what happened outside.
pub(crate) struct World<'s> {
    pub(crate) rig: Rig,
    /// The instances whose actions did something, in order.
    pub(crate) ran: Vec<InstanceId>,
    script: &'s dyn Script,
    chance: Chance,
    /// Commands that are not answered, and attempts that wait for their start.
    open: Vec<Command>,
    prepared: BTreeMap<InstanceId, u32>,
    aborted: Vec<InstanceId>,
    outside: Outside,
    /// A crash in so many decisions, now and then.
    crashes: bool,
    /// A pause in so many, now and then.
    pauses: bool,
    /// Waits are for signals, which come now and then, early, late or never.
    signals: bool,
    sent: u32,
    /// What a person says about unknown effects.
    decision: UnparkDecision,
    decided: u32,
}

impl<'s> World<'s> {
    pub(crate) fn new(plan: Arc<ExecutionPlan>, script: &'s dyn Script, seed: u64) -> Self {
        Self::of(Rig::new(plan), script, seed)
    }

    /// A world around an execution that has begun.
    pub(crate) fn of(rig: Rig, script: &'s dyn Script, seed: u64) -> Self {
        Self {
            rig,
            ran: Vec::new(),
            script,
            chance: Chance(seed),
            open: Vec::new(),
            prepared: BTreeMap::new(),
            aborted: Vec::new(),
            outside: Outside::default(),
            crashes: false,
            pauses: false,
            signals: false,
            sent: 0,
            decision: UnparkDecision::Succeeded(Arc::new(json!("decided"))),
            decided: 0,
        }
    }

    pub(crate) fn with_crashes(mut self, crashes: bool) -> Self {
        self.crashes = crashes;
        self
    }

    pub(crate) fn with_pauses(mut self, pauses: bool) -> Self {
        self.pauses = pauses;
        self
    }

    pub(crate) fn with_signals(mut self, signals: bool) -> Self {
        self.signals = signals;
        self
    }

    pub(crate) fn deciding(mut self, decision: UnparkDecision) -> Self {
        self.decision = decision;
        self
    }

    /// Runs to the end; a person decides what is parked.
    pub(crate) fn run(&mut self) -> Status {
        self.begin();
        self.go_on()
    }

    fn begin(&mut self) {
        self.hear(Event::Begin);
        self.hear(Event::Admitted);
    }

    fn hear(&mut self, event: Event) {
        let decision = self.rig.tell(event);
        self.accept(decision);
    }

    /// Runs for so many answers, is cancelled, and goes on to the end.
    pub(crate) fn cancelled_after(&mut self, answers: usize) -> Status {
        self.begin();
        for _ in 0..answers {
            if self.rig.machine.rest() == Rest::Busy {
                self.answer();
            }
        }
        let signal = Signal::Cancel {
            reason: "enough".to_owned(),
        };
        let decision = self.rig.tell(Event::Signalled {
            signal,
            taken: Taken::All,
            undo: None,
        });
        self.accept(decision);
        self.go_on()
    }

    /// Goes on to the end from where it stands.
    pub(crate) fn go_on(&mut self) -> Status {
        for _ in 0..5_000 {
            if self.crashes && self.chance.below(15) == 0 {
                let keep = self.rig.journal.len();
                self.crash_at(keep);
            }
            let ended = matches!(self.rig.machine.rest(), Rest::Ended(_));
            if self.pauses && !ended && self.chance.below(12) == 0 {
                let reason = "a look at it".to_owned();
                self.say(Signal::Pause { reason });
            }
            if self.signals && !ended && self.chance.below(15) == 0 {
                self.signal();
            }
            self.outside.follow(&self.rig.machine);
            if self.chance.below(3) == 0 {
                self.grant();
            }
            if self.chance.below(6) == 0 {
                self.end_child();
            }
            match self.rig.machine.rest() {
                Rest::Ended(status) => {
                    self.check_children();
                    return status;
                }
                Rest::Waiting { due: None } | Rest::Compensating { due: None } => {
                    if !self.end_child() {
                        self.signal();
                    }
                }
                Rest::Paused { due: Some(due) } if self.chance.below(4) == 0 => {
                    self.rig.now = due;
                    self.hear(Event::Tick);
                }
                Rest::Paused { .. } => {
                    // Timers become due meanwhile.
                    let pause = Duration::from_millis(self.chance.below(200) as u64);
                    self.rig.now = self.rig.now.plus(pause);
                    self.say(Signal::Unpause);
                }
                Rest::Busy => self.answer(),
                // What others do is done long before somebody gives it up.
                Rest::Waiting { due: Some(due) }
                    if due > self.rig.now.plus(Duration::from_secs(1))
                        && (self.grant() || self.end_child()) => {}
                Rest::Waiting { due }
                | Rest::Compensating { due }
                | Rest::Parked { due: due @ Some(_) } => {
                    self.rig.now = due.expect("checked by the rig");
                    self.hear(Event::Tick);
                }
                Rest::Parked { due: None } => self.decide(),
            }
        }
        let (rest, open) = (self.rig.machine.rest(), &self.open);
        panic!("the execution never ends: {rest:?}, not answered: {open:?}");
    }

    fn signal(&mut self) {
        self.sent += 1;
        let id = self.sent.to_string();
        // For a list that grows, one in three is the last.
        let payload = match self.sent % 3 {
            0 => json!({ "last": true }),
            1 => json!([id, id]),
            _ => json!(id),
        };
        let named = NamedSignal::new("go", &id, Arc::new(payload)).unwrap();
        self.say(Signal::Named(named));
        self.vote();
    }

    /// Somebody votes on everything that is asked.
    fn vote(&mut self) {
        let state = self.rig.machine.state();
        let open = state.approvals(&self.rig.plan);
        let open: Vec<_> = open.map(|(instance, it)| (instance, it.round)).collect();
        for (instance, round) in open {
            let choices = [Choice::Approve, Choice::Reject, Choice::Defer];
            let ballot = Ballot {
                instance,
                round,
                id: self.sent.to_string(),
                by: format!("p{}", self.sent),
                choice: choices[self.chance.below(choices.len())],
                comment: None,
                seat: None,
                at: None,
            };
            self.say(Signal::Vote(Box::new(ballot)));
        }
    }

    /// What became of an approval.
    fn settled(&self, instance: InstanceId) -> Event {
        let state = self.rig.machine.state();
        let approval = state.find(&self.rig.plan, &instance);
        let approval = approval.and_then(|at| state.get(at)?.approval.as_ref());
        // It may have been given up meanwhile; then no answer matters.
        match approval.and_then(|approval| approval.outcome()) {
            Some(_) => self.succeeded(instance),
            None => self.failed(instance, error(ErrorClass::Timeout)),
        }
    }

    fn say(&mut self, signal: Signal) {
        let decision = self.rig.tell(Event::Signalled {
            signal,
            taken: Taken::All,
            undo: None,
        });
        self.accept(decision);
    }

    pub(crate) fn crash_at(&mut self, entries: usize) {
        self.open.clear();
        self.prepared.clear();
        self.aborted.clear();
        let decision = self.rig.crash_at(entries);
        self.accept(decision);
        if let Rest::Ended(_) = self.rig.machine.rest() {
            return;
        }
        for told in self.outside.lost(&self.rig.machine, &mut self.chance) {
            self.hear(told);
        }
        self.hear(Event::Admitted);
    }

    /// The store grants a slot, if one is free that it waits for.
    fn grant(&mut self) -> bool {
        // What was claimed since it last looked is committed by now.
        self.outside.follow(&self.rig.machine);
        let granted = self.outside.grant();
        let found = granted.is_some();
        if let Some(granted) = granted {
            self.hear(granted);
        }
        found
    }

    /// One of the children that it waits for ends.
    fn end_child(&mut self) -> bool {
        let children = children(&self.rig.plan, &self.rig.machine);
        if children.is_empty() {
            return false;
        }
        let (instance, child) = children[self.chance.below(children.len())].clone();
        if instance.item.is_some() {
            self.end_part(instance, child);
            return true;
        }
        let attempt = self.rig.machine.state().find(&self.rig.plan, &instance);
        let attempt = attempt.and_then(|at| self.rig.machine.state().get(at));
        let attempt = attempt.map_or(1, |it| it.attempts);
        let heard = self.outside.is_cancelled(child) && self.chance.below(4) > 0;
        let act = self.script.act(&instance, attempt);
        let (status, outcome) = match act {
            _ if heard => (Status::Cancelled, Err(ErrorClass::Fatal)),
            Act::Succeed => (Status::Completed, Ok(())),
            Act::Fail => (Status::Failed, Err(ErrorClass::Fatal)),
            Act::Again => (Status::Failed, Err(ErrorClass::Retryable { after: None })),
            Act::Late => (Status::TimedOut, Err(ErrorClass::Timeout)),
        };
        let event = match outcome {
            Ok(()) => self.succeeded(instance.clone()),
            Err(class) => self.failed(instance.clone(), error(class)),
        };
        let Event::Finished { outcome, .. } = event else {
            unreachable!("it says how it ended");
        };
        self.hear(Event::ChildEnded {
            instance,
            child,
            status,
            outcome,
        });
        true
    }

    /// A child that runs items of a list ends: with all of them, with one that failed, or without.
    fn end_part(&mut self, instance: InstanceId, child: ExecutionId) {
        let state = self.rig.machine.state();
        let at = state.find(&self.rig.plan, &instance).expect("it waits");
        let items = state.get(at).and_then(|it| it.items.as_deref());
        let from = instance.item.expect("a part begins with an item");
        let part = items.expect("it is a list").parts[&from];
        let goes_on = self.rig.plan.node(at.node).goes_on();
        let heard = self.outside.is_cancelled(child) && self.chance.below(4) > 0;
        let (mut end, mut run) = (PartEnd::default(), Vec::new());
        for item in from..from + part.count {
            let fails = self.script.act(&instance.of_item(item), 1) == Act::Fail;
            run.push(match fails {
                true => ItemOutcome::Error(error(ErrorClass::Fatal)),
                false => ItemOutcome::Ok(Arc::new(json!(item))),
            });
            if fails && !goes_on {
                end.failed = Some((item, error(ErrorClass::Fatal)));
                break;
            }
        }
        end.ended.push((from, run));
        let (status, outcome) = match self.chance.below(8) {
            _ if heard => (Status::Cancelled, Err(error(ErrorClass::Fatal))),
            0 => (Status::TimedOut, Err(error(ErrorClass::Timeout))),
            _ => (Status::Completed, Ok(end)),
        };
        self.hear(Event::PartEnded {
            instance,
            child,
            status,
            outcome,
        });
    }

    /// No child outlives an execution that waits for it.
    fn check_children(&self) {
        let mut open = BTreeSet::new();
        for entry in &self.rig.journal {
            match &entry.fact {
                Fact::ChildStarted {
                    child, detached, ..
                } if !detached => assert!(open.insert(*child), "a child began twice"),
                Fact::PartStarted { child, .. } => {
                    assert!(open.insert(*child), "a part began twice");
                }
                Fact::ChildEnded { child, .. } | Fact::PartEnded { child, .. } => {
                    assert!(open.remove(child), "nobody waits");
                }
                _ => {}
            }
        }
        assert!(open.is_empty(), "children are left: {open:?}");
    }

    fn accept(&mut self, decision: Decision) {
        for command in decision.commands {
            match command {
                Command::Abort { instance } => self.aborted.push(instance),
                Command::CancelChild { child } => self.outside.cancel(child),
                other => self.open.push(other),
            }
        }
        let limit = self.rig.plan.concurrency as usize;
        // Who asks where its milestone stands does so at once, and does nothing else.
        let asks = |of: &InstanceId| {
            let node = self.rig.plan.index_of(of.node.as_str()).unwrap();
            kind_of(&self.rig.plan, node) == Some(ControlKind::Milestone)
        };
        let attempts = self.open.iter().filter(|c| match c {
            Command::Run { instance, .. } => !asks(instance),
            Command::Start { .. } | Command::Compensate { .. } => true,
            _ => false,
        });
        assert!(attempts.count() <= limit, "more attempts than the limit");
        for (index, node) in self.rig.plan.nodes.iter().enumerate() {
            let of_node = |command: &&Command| {
                matches!(command, Command::Run { instance, .. } | Command::Start { instance }
                    if instance.item.is_some() && instance.node == node.id)
            };
            let rounds = self.rig.machine.state().activations(index as u32).len();
            for activation in self.rig.machine.state().activations(index as u32) {
                let parts = activation.items.as_ref().map_or(0, |it| it.parts.len());
                assert!(parts <= node.concurrency as usize, "more parts than may be");
            }
            let out = self.open.iter().filter(of_node).count();
            assert!(
                out <= rounds * node.concurrency as usize,
                "more items than the window"
            );
        }
    }

    fn decide(&mut self) {
        let plan = self.rig.plan.clone();
        let state = self.rig.machine.state();
        let mut open = state.compensations().stuck();
        if state
            .ending()
            .is_none_or(|ending| !matches!(ending, Ending::Cancel(_)))
        {
            open.extend(state.indeterminate(&plan));
        }
        if open.is_empty() {
            // It ends once its children have, whatever was unknown before.
            assert!(self.end_child(), "parked, and nobody can say anything");
            return;
        }
        let instance = open[self.chance.below(open.len())].clone();
        // A person does not say "do it again" for ever.
        self.decided += 1;
        let decision = match (self.decided, &self.decision) {
            (0..=20, decision) => decision.clone(),
            _ => UnparkDecision::Failed,
        };
        let happened = matches!(decision, UnparkDecision::Succeeded(_));
        let undo = undo(&self.rig, &instance).filter(|_| happened);
        let instance = Some(instance);
        let signal = Signal::Unpark { instance, decision };
        let decision = self.rig.tell(Event::Signalled {
            signal,
            taken: Taken::All,
            undo,
        });
        self.accept(decision);
    }

    /// Answers one of the open commands.
    fn answer(&mut self) {
        assert!(!self.open.is_empty(), "busy, and nothing is under way");
        let which = self.chance.below(self.open.len());
        let event = match self.open.remove(which) {
            Command::Run {
                instance,
                attempt,
                journal_start,
            } => self.begin_attempt(instance, attempt, journal_start),
            Command::Compensate { instance, attempt } => {
                let paused = self.rig.machine.state().is_paused();
                if paused && self.chance.below(2) == 0 {
                    Event::Withheld { instance }
                } else if self.chance.below(20) == 0 {
                    // It could not even be prepared.
                    self.undone(instance, attempt, Some(Act::Again))
                } else {
                    self.prepared.insert(instance.clone(), attempt);
                    Event::Starting {
                        key: self.rig.machine.compensation_identity(&instance).key(),
                        input: Digest::of(b"undo"),
                        deadline: self.rig.now.plus(Duration::from_secs(1)),
                        instance,
                    }
                }
            }
            Command::Start { instance } if self.rig.machine.compensates(&instance) => {
                let attempt = self.prepared.remove(&instance).expect("prepared before");
                self.undone(instance, attempt, None)
            }
            Command::Reconcile { instance, attempt } if self.rig.machine.compensates(&instance) => {
                self.undone(instance, attempt, None)
            }
            Command::Start { instance } => {
                let attempt = self.prepared.remove(&instance).expect("prepared before");
                self.end_attempt(instance, attempt)
            }
            Command::Open { instance } => {
                if self.script.skips(instance.node.as_str()) {
                    Event::Skipped { instance }
                } else {
                    let count = self.script.items(instance.node.as_str());
                    let more = None;
                    Event::Opened {
                        instance,
                        count,
                        more,
                    }
                }
            }
            Command::Weigh { instance } => {
                let at = self.rig.machine.state().find(&self.rig.plan, &instance);
                let activation = at.and_then(|at| self.rig.machine.state().get(at));
                let items = activation.and_then(|it| it.items.as_deref());
                let done = items.map_or(0, |items| items.settled);
                let complete = done >= self.script.enough(instance.node.as_str());
                Event::Weighed {
                    instance,
                    complete: Ok(complete),
                }
            }
            Command::Collect {
                instance,
                error: None,
            } => {
                let taken = self.taken(&instance, "main");
                Event::Collected { instance, taken }
            }
            Command::Collect {
                instance,
                error: Some(error),
            } => self.failed(instance, *error),
            Command::Enter { instance } => {
                let name = instance.node.as_str();
                let node = self.rig.plan.index_of(name).expect("a node of the plan");
                let rounds = kind_of(&self.rig.plan, node) == Some(ControlKind::Loop);
                if rounds && instance.item.unwrap_or(0) >= self.script.items(name) {
                    Event::RoundsOver { instance }
                } else if rounds {
                    // What the round before gave, else what the instance got.
                    let state = self.rig.machine.state();
                    let at = state.find(&self.rig.plan, &instance).expect("it is open");
                    let last = state.get(at).and_then(|it| it.runs.as_deref()?.given());
                    let json = last.unwrap_or_else(|| state.json(&self.rig.plan, at));
                    Event::Entered { instance, json }
                } else {
                    let json = given(&instance);
                    Event::Entered { instance, json }
                }
            }
            Command::Catch { instance, .. } => {
                let node = self.rig.plan.index_of(instance.node.as_str());
                let body = node.and_then(|node| self.rig.plan.body_of(node));
                let handlers = body.into_iter().flat_map(|(_, body)| &body.handlers);
                let mut handlers = handlers.filter(|handler| !handler.always);
                let handler = handlers.next().map(|handler| handler.node);
                let handler = handler.filter(|_| self.script.catches(instance.node.as_str()));
                let handler = handler.map(|node| self.rig.plan.node(node).id.clone());
                Event::Caught { instance, handler }
            }
            Command::Fire { instance } => {
                let taken = self.taken(&instance, "main");
                Event::Fired { instance, taken }
            }
            Command::Take { instance } => {
                let taken = self.taken(&instance, "main");
                Event::Took { instance, taken }
            }
            Command::Settle { instance } => self.settled(instance),
            Command::Expire { instance } => self.failed(instance, error(ErrorClass::Timeout)),
            Command::Reconcile { instance, attempt } => match self.script.act(&instance, attempt) {
                Act::Succeed => self.succeeded(instance),
                Act::Again => self.failed(instance, error(ErrorClass::Retryable { after: None })),
                Act::Fail | Act::Late => {
                    let taken = self.taken(&instance, "error");
                    Event::Unreconciled {
                        instance,
                        error: error(ErrorClass::Unknown),
                        taken,
                    }
                }
            },
            Command::Cut { instance, most } => {
                // An element may be large.
                let count = 1 + self.chance.below(most as usize) as u32;
                let mut id = [0; 16];
                id[..8].copy_from_slice(&(self.chance.below(usize::MAX) as u64).to_le_bytes());
                match self.chance.below(12) {
                    0 => self.failed(instance, error(ErrorClass::Fatal)),
                    _ => Event::Cut {
                        instance,
                        count,
                        child: ExecutionId::from_bytes(id),
                    },
                }
            }
            Command::Output => Event::Output(Ok(self.output())),
            Command::Abort { .. } | Command::CancelChild { .. } => unreachable!("taken before"),
        };
        let decision = self.rig.tell(event);
        self.accept(decision);
    }

    fn begin_attempt(&mut self, instance: InstanceId, attempt: u32, journal_start: bool) -> Event {
        if self.rig.machine.state().is_paused() && self.chance.below(2) == 0 {
            return Event::Withheld { instance };
        }
        let name = instance.node.as_str();
        if instance.item.is_none() && self.script.skips(name) {
            return Event::Skipped { instance };
        }
        if self.script.waits(name) {
            let due = self.rig.now.plus(Duration::from_millis(50));
            if self.signals {
                let due = (self.chance.below(2) == 0).then_some(due);
                if self.chance.below(3) == 0 {
                    let question = question(&mut self.chance, due);
                    return Event::Asks { instance, question };
                }
                let name = "go".into();
                return Event::Awaits {
                    instance,
                    name,
                    due,
                };
            }
            return Event::Waits { instance, due };
        }
        if self.script.asks(name) {
            let due = self.rig.now.plus(Duration::from_millis(80));
            let due = (self.chance.below(2) == 0).then_some(due);
            let question = question(&mut self.chance, due);
            return Event::Asks { instance, question };
        }
        if let Some(detached) = self.script.calls(name) {
            let (child, _) = self.rig.machine.child(&instance, attempt, self.rig.now);
            return Event::Calls {
                child,
                workflow: WorkflowId::new("called").unwrap(),
                version: 1,
                detached,
                taken: self.taken(&instance, "main"),
                instance,
            };
        }
        if let Some(wanted) = self.script.wants(name) {
            return match self.rig.machine.refuses_claim(&instance, &wanted) {
                Some(error) => self.failed(instance, error),
                None => Event::Claims { instance, wanted },
            };
        }
        let node = self.rig.plan.index_of(name).expect("a node of the plan");
        if kind_of(&self.rig.plan, node) == Some(ControlKind::Cancel) {
            let nodes = self.script.cancels(name);
            let taken = self.taken(&instance, "main");
            return Event::Cancels {
                instance,
                nodes,
                taken,
            };
        }
        if kind_of(&self.rig.plan, node) == Some(ControlKind::Milestone) {
            return match self.rig.machine.milestone(&instance).port() {
                Some(port) => self.leaves(instance, port),
                None => Event::Heeds { instance },
            };
        }
        match kind_of(&self.rig.plan, node).filter(|kind| kind.has_body()) {
            Some(ControlKind::ForEach) => {
                let count = self.script.items(name);
                let more = self.script.grows(name).then(|| "go".into());
                return Event::Opened {
                    instance,
                    count,
                    more,
                };
            }
            Some(kind) => {
                let rounds = kind == ControlKind::Loop;
                self.read_stored();
                return Event::Enters {
                    instance,
                    rounds,
                    due: None,
                };
            }
            None => {}
        }
        if !journal_start {
            return self.end_attempt(instance, attempt);
        }
        self.prepared.insert(instance.clone(), attempt);
        Event::Starting {
            key: self.rig.machine.identity(&instance).key(),
            input: Digest::of(b"input"),
            deadline: self.rig.now.plus(Duration::from_secs(1)),
            instance,
        }
    }

    fn end_attempt(&mut self, instance: InstanceId, attempt: u32) -> Event {
        let aborted = self.aborted.contains(&instance);
        if aborted && self.chance.below(2) == 0 {
            return self.failed(instance, error(ErrorClass::Cancelled));
        }
        self.ran.push(instance.clone());
        match self.script.act(&instance, attempt) {
            Act::Succeed => self.succeeded(instance),
            Act::Fail => self.failed(instance, error(ErrorClass::Fatal)),
            Act::Again => self.failed(instance, error(ErrorClass::Retryable { after: None })),
            Act::Late => self.failed(instance, error(ErrorClass::Timeout)),
        }
    }

    fn undone(&self, instance: InstanceId, attempt: u32, act: Option<Act>) -> Event {
        let outcome = match act.unwrap_or_else(|| self.script.undoes(&instance, attempt)) {
            Act::Succeed => Ok(Arc::new(result_of(&instance))),
            Act::Fail => Err(error(ErrorClass::Fatal)),
            Act::Again => Err(error(ErrorClass::Retryable { after: None })),
            Act::Late => Err(error(ErrorClass::Timeout)),
        };
        Event::Compensated {
            instance,
            outcome,
            micros: 1,
        }
    }

    fn succeeded(&self, instance: InstanceId) -> Event {
        self.leaves(instance, "main")
    }

    fn leaves(&self, instance: InstanceId, port: &str) -> Event {
        let outcome = Outcome::Succeeded {
            output: given(&instance),
            port: port.into(),
            lineage: None,
            taken: self.taken(&instance, port),
            undo: undo(&self.rig, &instance),
        };
        Event::Finished {
            instance,
            outcome,
            micros: 1,
        }
    }

    fn failed(&self, instance: InstanceId, error: ActionError) -> Event {
        let node = self.rig.plan.index_of(instance.node.as_str()).unwrap();
        let port = self.rig.plan.failure_port(node).unwrap_or("main");
        let taken = self.taken(&instance, port);
        Event::Finished {
            instance,
            outcome: Outcome::Failed {
                error,
                taken,
                undo: None,
            },
            micros: 1,
        }
    }

    /// The latest results of all nodes, in their order.
    fn output(&self) -> Value {
        let state = self.rig.machine.state();
        let nodes = 0..self.rig.plan.nodes.len() as u32;
        self.read_stored();
        let latest = nodes.map(|node| {
            let given = state.activations(node).last()?.given()?;
            given.value().ok().map(Arc::unwrap_or_clone)
        });
        latest.map(Option::unwrap_or_default).collect()
    }

    /// Reads whatever lies in blobs.
    pub(crate) fn read_stored(&self) {
        for stored in self.rig.machine.state().stored() {
            let value = BLOBS.with_borrow(|blobs| blobs[&stored.blob()].clone());
            stored.keep(Ok(Arc::new(value)));
        }
    }

    fn taken(&self, instance: &InstanceId, port: &str) -> Taken {
        self.script.taken(&self.rig.plan, instance, port)
    }
}

fn kind_of(plan: &ExecutionPlan, node: u32) -> Option<ControlKind> {
    match plan.node(node).kind {
        ActionKind::Control(kind) => Some(kind),
        ActionKind::Code => None,
    }
}

thread_local! {
    /// What lies in blobs.
    static BLOBS: RefCell<BTreeMap<BlobId, Value>> = const { RefCell::new(BTreeMap::new()) };
}

/// The same as the machine is told: some results lie in blobs.
fn given(instance: &InstanceId) -> Given {
    let result = result_of(instance);
    let blob = blob_of(&result);
    if !blob.digest.as_bytes()[0].is_multiple_of(3) {
        return Given::Value(Arc::new(result));
    }
    BLOBS.with_borrow_mut(|blobs| blobs.insert(blob, result.clone()));
    Given::Blob(Arc::new(Stored::of(blob, Arc::new(result))))
}

fn blob_of(result: &Value) -> BlobId {
    BlobId::of(result.to_string().as_bytes())
}

/// What an instance gives, whenever it succeeds.
pub(crate) fn result_of(instance: &InstanceId) -> Value {
    json!(instance.to_string())
}

fn error(class: ErrorClass) -> ActionError {
    ActionError::new("WORLD", "it went wrong", class)
}
