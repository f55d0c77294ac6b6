//! The machine: from events to entries and commands.
//!
//! What must survive is in [`ExecutionState`], a fold over the journal. Beside it the machine holds
//! what a crash may forget: which attempts are under way, what is ready, which timers run. That is
//! rebuilt from the state by [`Event::Begin`].

mod items;
mod outcomes;
mod recovery;

use std::{
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
};

use nebula_action::{ActionKind, ControlKind};
use nebula_core::{ExecutionId, TenantId, Timestamp};

use crate::{
    Command, Decision, EndReason, Ending, Entry, Event, ExecutionPlan, ExecutionState, Fact,
    Failure, InstanceId, InstanceStatus, ParkReason, Rest, Signal, StoredEntry, UnparkDecision,
    state::Fresh,
};
use items::Hand;

/// Decides what happens next in one execution. It has no clock, no I/O and no randomness: events
/// carry their time, and jitter follows from the instance.
#[derive(Debug)]
pub struct Machine {
    plan: Arc<ExecutionPlan>,
    tenant: TenantId,
    id: ExecutionId,
    state: ExecutionState,
    /// Whether the start of every attempt must be in the journal, whatever its effect class.
    careful: bool,
    ready: BinaryHeap<Ready>,
    flights: BTreeMap<Key, Flight>,
    timers: BTreeSet<(Timestamp, Key)>,
    hands: BTreeMap<(u32, u32), Hand>,
    asked_output: bool,
}

/// Dense node index, activation number, item.
type Key = (u32, u32, Option<u32>);

/// A command that has not been answered.
#[derive(Debug, Clone, Copy, Default)]
struct Flight {
    attempt: u32,
    /// Whether its start is in the journal.
    journalled: bool,
    /// Whether it was told to stop.
    aborted: bool,
}

/// Something that may run, ordered by priority, then by the order of the definition.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ready {
    priority: u32,
    order: std::cmp::Reverse<Key>,
}

impl Machine {
    /// A machine for an execution without entries.
    #[must_use]
    pub fn new(plan: Arc<ExecutionPlan>, tenant: TenantId, id: ExecutionId) -> Self {
        let state = ExecutionState::new(&plan);
        Self {
            plan,
            tenant,
            id,
            state,
            careful: false,
            ready: BinaryHeap::new(),
            flights: BTreeMap::new(),
            timers: BTreeSet::new(),
            hands: BTreeMap::new(),
            asked_output: false,
        }
    }

    /// A machine that goes on from a snapshot; entries after it are applied next.
    ///
    /// # Errors
    /// The snapshot cannot be read, or is of another plan.
    pub fn restore(
        plan: Arc<ExecutionPlan>,
        tenant: TenantId,
        id: ExecutionId,
        snapshot: &[u8],
    ) -> Result<Self, serde_json::Error> {
        let state: ExecutionState = serde_json::from_slice(snapshot)?;
        if state.nodes.len() != plan.nodes.len() || state.queues.len() != plan.connections.len() {
            return Err(serde::de::Error::custom("the snapshot is of another plan"));
        }
        Ok(Self {
            state,
            ..Self::new(plan, tenant, id)
        })
    }

    /// The state in a form that [`Machine::restore`] reads.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        serde_json::to_vec(&self.state).expect("a state has string keys and finite numbers")
    }

    /// From now on the start of every attempt goes into the journal first: after a grant without
    /// progress, so that the culprit has a name.
    #[must_use]
    pub fn careful(mut self, careful: bool) -> Self {
        self.careful = careful;
        self
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<ExecutionPlan> {
        &self.plan
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &ExecutionState {
        &self.state
    }

    /// Which execution.
    #[must_use]
    pub fn id(&self) -> ExecutionId {
        self.id
    }

    /// Whose execution.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Takes an entry that is in the journal already.
    ///
    /// # Panics
    /// If it cannot follow: see the invariants of the crate.
    pub fn apply(&mut self, entry: &StoredEntry) {
        // Begin finds what is ready in the state.
        self.state
            .apply(&self.plan, &entry.entry, &mut Fresh::new());
    }

    /// Decides what follows from `event`, which happened at `at`. The entries are part of the state
    /// when this returns; the caller commits them before anything outside depends on them.
    pub fn decide(&mut self, event: Event, at: Timestamp) -> Decision {
        let mut turn = Turn {
            at,
            decision: Decision::default(),
        };
        if self.state.end_status().is_none() {
            self.handle(event, &mut turn);
            self.dispatch(&mut turn);
        }
        turn.decision
    }

    /// Where the machine stands when nobody tells it anything.
    #[must_use]
    pub fn rest(&self) -> Rest {
        if let Some(status) = self.state.end_status() {
            return Rest::Ended(status);
        }
        if !self.flights.is_empty() || self.asked_output {
            return Rest::Busy;
        }
        let deadline = self.deadline().filter(|_| self.state.ending().is_none());
        if self.state.parked().is_some() {
            return Rest::Parked { due: deadline };
        }
        let timer = self
            .timers
            .first()
            .map(|(due, _)| *due)
            .filter(|_| self.state.ending().is_none());
        Rest::Waiting {
            due: timer.into_iter().chain(deadline).min(),
        }
    }

    /// When the next timer, retry or time limit is due, also while attempts are under way.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.state.ending().is_some() || self.state.end_status().is_some() {
            return None;
        }
        let timer = self.timers.first().map(|(due, _)| *due);
        timer.into_iter().chain(self.deadline()).min()
    }

    /// When an instance's inputs were complete: its `$now`.
    #[must_use]
    pub fn ready_at(&self, instance: &InstanceId) -> Timestamp {
        let (node, number, _) = self.key(instance);
        self.state
            .activation(node, number)
            .map_or(self.state.started_at(), |activation| activation.ready_at)
    }

    /// The seed of an instance: its `$random`.
    #[must_use]
    pub fn seed(&self, instance: &InstanceId) -> u64 {
        instance.seed(&self.tenant, self.origin(), 0)
    }

    /// The key that every attempt of an instance sends along.
    #[must_use]
    pub fn idempotency_key(&self, instance: &InstanceId) -> String {
        instance.idempotency_key(&self.tenant, self.origin(), 0)
    }

    fn origin(&self) -> ExecutionId {
        self.state
            .started()
            .and_then(|started| started.origin)
            .unwrap_or(self.id)
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.plan
            .timeout
            .map(|timeout| self.state.started_at().plus(timeout))
    }

    fn key(&self, instance: &InstanceId) -> Key {
        let node = self
            .plan
            .index_of(instance.node.as_str())
            .expect("an event names a node of the plan");
        (node, instance.activation, instance.item)
    }

    fn instance(&self, (node, number, item): Key) -> InstanceId {
        InstanceId {
            node: self.plan.node(node).id.clone(),
            activation: number,
            item,
        }
    }

    /// Takes a new entry into the state and hands it out.
    fn note(&mut self, fact: Fact, turn: &mut Turn) {
        let entry = Entry { at: turn.at, fact };
        let mut fresh = Fresh::new();
        self.state.apply(&self.plan, &entry, &mut fresh);
        for (node, number) in fresh {
            self.make_ready((node, number, None));
        }
        turn.decision.entries.push(entry);
    }

    fn make_ready(&mut self, key: Key) {
        let priority = self.plan.node(key.0).priority;
        self.ready.push(Ready {
            priority,
            order: std::cmp::Reverse(key),
        });
    }

    fn handle(&mut self, event: Event, turn: &mut Turn) {
        match event {
            Event::Begin => self.begin(turn),
            Event::Tick => {}
            Event::Starting {
                instance,
                key,
                input,
                deadline,
            } => {
                let at = self.key(&instance);
                if self.state.ending().is_some() {
                    self.flights.remove(&at);
                    return;
                }
                let flight = self
                    .flights
                    .get_mut(&at)
                    .expect("only what was commanded to run starts");
                flight.journalled = true;
                let attempt = flight.attempt;
                let fact = Fact::AttemptStarted {
                    instance: instance.clone(),
                    attempt,
                    key,
                    input,
                    deadline,
                };
                self.note(fact, turn);
                turn.decision.commands.push(Command::Start { instance });
            }
            Event::Finished {
                instance,
                outcome,
                micros,
            } => self.finished(instance, outcome, micros, turn),
            Event::Skipped { instance } => {
                self.flights.remove(&self.key(&instance));
                self.note(Fact::InstanceSkipped { instance }, turn);
            }
            Event::Opened { instance, count } => {
                let key = self.key(&instance);
                self.flights.remove(&key);
                self.note(Fact::ItemsOpened { instance, count }, turn);
                self.hands.insert((key.0, key.1), Hand::default());
                self.hand_out((key.0, key.1), turn);
            }
            Event::Collected { instance, taken } => {
                let key = self.key(&instance);
                self.flights.remove(&key);
                self.hands.remove(&(key.0, key.1));
                self.note(Fact::ItemsCompleted { instance, taken }, turn);
            }
            Event::Waits { instance, due } => {
                let key = self.key(&instance);
                self.flights.remove(&key);
                self.timers.insert((due, key));
                self.note(Fact::TimerSet { instance, due }, turn);
            }
            Event::Fired { instance, taken } => {
                self.flights.remove(&self.key(&instance));
                self.note(Fact::TimerFired { instance, taken }, turn);
            }
            Event::Stopped { instance, output } => {
                self.flights.remove(&self.key(&instance));
                self.note(Fact::StopRequested { instance, output }, turn);
            }
            Event::Unreconciled {
                instance,
                error,
                taken,
            } => self.unreconciled(&instance, error, taken, turn),
            Event::Signalled { signal, taken } => self.signalled(signal, taken, turn),
            Event::Output(result) => {
                self.asked_output = false;
                match result {
                    Ok(output) => self.note(
                        Fact::ExecutionCompleted {
                            output: Arc::new(output),
                        },
                        turn,
                    ),
                    Err(error) => {
                        self.note(
                            Fact::ExecutionFailed {
                                error: Failure { error, node: None },
                            },
                            turn,
                        );
                    }
                }
            }
        }
    }

    fn signalled(&mut self, signal: Signal, taken: crate::Taken, turn: &mut Turn) {
        match signal {
            Signal::Cancel { reason } => {
                if self.state.ending().is_none() {
                    self.note(
                        Fact::CancellationRequested {
                            reason: EndReason::Requested(reason),
                        },
                        turn,
                    );
                }
            }
            Signal::Unpark {
                instance: None,
                decision,
            } => {
                let poisoned = matches!(self.state.parked(), Some(ParkReason::Poison { .. }));
                match decision {
                    _ if !poisoned => {}
                    UnparkDecision::Retry => {
                        self.note(
                            Fact::Unparked {
                                instance: None,
                                decision,
                                taken,
                            },
                            turn,
                        );
                        self.begin(turn);
                    }
                    UnparkDecision::Failed => {
                        let reason = EndReason::Requested(
                            "a person gave it up after it was parked".to_owned(),
                        );
                        self.note(Fact::CancellationRequested { reason }, turn);
                        self.note(
                            Fact::Unparked {
                                instance: None,
                                decision,
                                taken,
                            },
                            turn,
                        );
                        self.begin(turn);
                    }
                    // There is no one node whose result this could be.
                    UnparkDecision::Succeeded(_) => {}
                }
            }
            Signal::Unpark {
                instance: Some(instance),
                decision,
            } => {
                // A decision about something that is no longer open has nothing to decide.
                if self.state.indeterminate(&self.plan).contains(&instance) {
                    let key = self.key(&instance);
                    let retry = decision == UnparkDecision::Retry;
                    self.note(
                        Fact::Unparked {
                            instance: Some(instance),
                            decision,
                            taken,
                        },
                        turn,
                    );
                    if retry {
                        self.timers.insert((turn.at, key));
                        if let Some(hand) = self
                            .hands
                            .get_mut(&(key.0, key.1))
                            .filter(|_| key.2.is_some())
                        {
                            hand.out += 1;
                        }
                    } else if key.2.is_some() {
                        self.hand_out((key.0, key.1), turn);
                    }
                }
            }
        }
    }

    /// Everything that follows from the state as it is now.
    fn dispatch(&mut self, turn: &mut Turn) {
        if matches!(self.state.parked(), Some(ParkReason::Poison { .. }))
            && self.state.ending().is_none()
        {
            return;
        }
        if let Some(deadline) = self.deadline()
            && turn.at >= deadline
            && self.state.ending().is_none()
            && self.state.started().is_some()
        {
            self.note(
                Fact::CancellationRequested {
                    reason: EndReason::Timeout,
                },
                turn,
            );
        }
        if self.state.ending().is_some() {
            self.wind_up(turn);
            return;
        }
        self.fire_timers(turn);
        while self.flights.len() < self.plan.concurrency as usize
            && let Some(ready) = self.ready.pop()
        {
            self.launch(ready.order.0, turn);
        }
        let idle = self.flights.is_empty() && self.ready.is_empty();
        if idle
            && self.state.open == 0
            && self.state.started().is_some()
            && self.state.end_status().is_none()
        {
            if !self.asked_output {
                self.asked_output = true;
                turn.decision.commands.push(Command::Output);
            }
        } else if idle && self.timers.is_empty() && self.state.parked().is_none() {
            self.park(turn);
        }
    }

    fn park(&mut self, turn: &mut Turn) {
        let instances = self.state.indeterminate(&self.plan);
        if !instances.is_empty() {
            self.note(
                Fact::Parked {
                    reason: ParkReason::Indeterminate(instances),
                },
                turn,
            );
        }
    }

    fn fire_timers(&mut self, turn: &mut Turn) {
        while let Some((due, key)) = self.timers.first().copied() {
            if due > turn.at {
                return;
            }
            self.timers.pop_first();
            let instance = self.instance(key);
            let wait = self.plan.node(key.0).kind == ActionKind::Control(ControlKind::Wait);
            if self.lost_attempt(key).is_some() {
                self.reconcile(key, turn);
            } else if wait
                && self
                    .state
                    .activation(key.0, key.1)
                    .is_some_and(|a| a.due.is_some())
            {
                self.flights.insert(key, Flight::default());
                turn.decision.commands.push(Command::Fire { instance });
            } else {
                self.make_ready(key);
            }
        }
    }

    fn launch(&mut self, key: Key, turn: &mut Turn) {
        let node = self.plan.node(key.0);
        let instance = self.instance(key);
        let control =
            matches!(node.kind, ActionKind::Control(_)) || node.disabled || node.pin.is_some();
        if key.2.is_none()
            && (node.for_each.is_some() || node.each_item)
            && !node.disabled
            && node.pin.is_none()
        {
            self.flights.insert(key, Flight::default());
            turn.decision.commands.push(Command::Open { instance });
            return;
        }
        let attempt = self.attempts(key) + 1;
        let journal_start = !control && (self.careful || node.effect.writes());
        self.flights.insert(
            key,
            Flight {
                attempt,
                ..Flight::default()
            },
        );
        turn.decision.commands.push(Command::Run {
            instance,
            attempt,
            journal_start,
        });
    }

    /// The highest attempt number that an instance has used.
    fn attempts(&self, (node, number, item): Key) -> u32 {
        let Some(activation) = self.state.activation(node, number) else {
            return 0;
        };
        match (item, &activation.items) {
            (Some(item), Some(items)) => items.open.get(&item).map_or(0, |open| open.attempts),
            _ => activation.attempts,
        }
    }

    /// Stops what runs; once nothing does, ends the execution.
    fn wind_up(&mut self, turn: &mut Turn) {
        let mut told = Vec::new();
        for (key, flight) in &mut self.flights {
            if !std::mem::replace(&mut flight.aborted, true) {
                told.push(*key);
            }
        }
        for key in told {
            let instance = self.instance(key);
            turn.decision.commands.push(Command::Abort { instance });
        }
        self.ready.clear();
        if !self.flights.is_empty() || self.asked_output {
            return;
        }
        self.give_up_questions(turn);
        let by_person = matches!(self.state.ending(), Some(Ending::Cancel(_)));
        if !by_person && !self.state.indeterminate(&self.plan).is_empty() {
            if self.state.parked().is_none() {
                self.park(turn);
            }
            return;
        }
        let fact = match self.state.ending().cloned() {
            Some(Ending::Fail(error)) => Fact::ExecutionFailed { error },
            Some(Ending::Cancel(reason)) => Fact::ExecutionCancelled { reason },
            Some(Ending::Timeout) => Fact::ExecutionTimedOut,
            Some(Ending::Stop(output)) => Fact::ExecutionCompleted { output },
            None => return,
        };
        self.note(fact, turn);
    }

    /// Whether the state says that an attempt was started of which no outcome is known.
    fn lost_attempt(&self, (node, number, item): Key) -> Option<(u32, Option<Timestamp>)> {
        let activation = self.state.activation(node, number)?;
        match (item, &activation.items) {
            (Some(item), Some(items)) => {
                let open = items.open.get(&item).filter(|open| open.running)?;
                Some((open.attempts, open.deadline))
            }
            (None, None) if activation.status == InstanceStatus::Running => {
                Some((activation.attempts, activation.deadline))
            }
            _ => None,
        }
    }
}

/// One call of [`Machine::decide`].
struct Turn {
    at: Timestamp,
    decision: Decision,
}
