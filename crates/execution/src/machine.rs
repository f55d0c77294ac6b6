//! The machine: from events to entries and commands.
//!
//! What must survive is in [`ExecutionState`], a fold over the journal. Beside it the machine holds
//! what a crash may forget: which attempts are under way, what is ready, which timers run. That is
//! rebuilt from the state by [`Event::Begin`].

mod approvals;
mod bodies;
mod calls;
mod cancelling;
mod claims;
mod compensation;
mod dispatch;
mod items;
mod listening;
mod milestones;
mod outcomes;
mod parts;
mod recovery;
mod signals;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::{Arc, OnceLock},
};

use compact_str::CompactString;
use nebula_core::{ExecutionId, TenantId, Timestamp};

use crate::{
    At, Command, Decision, Entry, Event, ExecutionPlan, ExecutionState, Fact, Failure, Generation,
    Identity, InstanceId, Key, ParkReason, Rest, SnapshotError, StoredEntry, codec,
    scope::SharedRoots, snapshot, state::Fresh,
};
use compensation::Undoing;
use items::Hand;

pub use outcomes::MAX_DEFERRALS;

/// Decides what happens next in one execution. It has no clock, no I/O and no randomness: events
/// carry their time, and jitter follows from the instance.
#[derive(Debug)]
pub struct Machine {
    plan: Arc<ExecutionPlan>,
    tenant: TenantId,
    id: ExecutionId,
    state: ExecutionState,
    /// What all expressions see alike, once it is known.
    roots: OnceLock<Arc<SharedRoots>>,
    /// Whether the start of every attempt must be in the journal, whatever its effect class.
    careful: bool,
    ready: BinaryHeap<Ready>,
    flights: BTreeMap<Key, Flight>,
    timers: BTreeSet<(Timestamp, Key)>,
    /// Who waits for a signal, by its name, in the order in which they began to.
    listening: BTreeMap<CompactString, BTreeSet<(Timestamp, Key)>>,
    /// Whose approvals are open.
    asking: BTreeSet<Key>,
    /// Who waits for a milestone, by the activations whose ends it lies between.
    heeding: BTreeMap<At, BTreeSet<Key>>,
    /// Who is ready to ask for its milestone, and comes before all else.
    inquiring: BTreeSet<Key>,
    /// The children that instances wait for.
    calls: BTreeMap<Key, ExecutionId>,
    hands: BTreeMap<At, Hand>,
    /// Attempts to undo an effect that have not been answered.
    compensating: BTreeMap<InstanceId, Undoing>,
    /// When an attempt to undo an effect may be made, or a lost one be asked about.
    compensation_due: BTreeMap<InstanceId, Timestamp>,
    /// Frames of bodies that have failed and are undone before that is handled.
    unwinding: BTreeSet<u32>,
    /// Who holds a slot or waits for one; some may be over.
    claims: BTreeSet<Key>,
    /// What is ready in bodies whose slot is not held.
    held_back: BTreeSet<Key>,
    /// Timers that were due in such bodies.
    late: BTreeSet<(Timestamp, Key)>,
    /// Whether lost slots may be claimed again: it is known what is lost, and it is the execution's turn.
    admitted: bool,
    /// Frames of bodies in which something has come to an end.
    stirred: BTreeSet<u32>,
    /// Frames whose attempts were told to stop.
    stopped: BTreeSet<u32>,
    /// What was given up and has not ended: something of it is under way.
    cancelling: BTreeSet<At>,
    asked_output: bool,
    /// Whether [`Event::Begin`] was told.
    begun: bool,
    /// Whether everything that runs was told to stop, because the execution ends.
    winding_up: bool,
}

/// What a command that has not been answered asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// [`Command::Run`].
    Run,
    /// [`Command::Open`].
    Open,
    /// [`Command::Weigh`].
    Weigh,
    /// [`Command::Collect`].
    Collect,
    /// [`Command::Enter`].
    Enter,
    /// [`Command::Catch`].
    Catch,
    /// [`Command::Fire`].
    Fire,
    /// [`Command::Take`].
    Take,
    /// [`Command::Expire`].
    Expire,
    /// [`Command::Settle`].
    Settle,
    /// [`Command::Cut`].
    Cut,
    /// [`Command::Reconcile`], to learn what became of a lost attempt.
    Reconcile,
    /// [`Command::Reconcile`] of an instance that was lost too often: its last chance.
    GiveUp,
}

/// A command that has not been answered.
#[derive(Debug, Clone, Copy)]
struct Flight {
    task: Task,
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
    order: Reverse<Key>,
}

impl Machine {
    /// A machine for an execution without entries.
    #[must_use]
    pub fn new(plan: Arc<ExecutionPlan>, tenant: TenantId, id: ExecutionId) -> Self {
        let state = ExecutionState::new(&plan);
        Self {
            admitted: false,
            plan,
            tenant,
            id,
            state,
            roots: OnceLock::new(),
            careful: false,
            ready: BinaryHeap::new(),
            flights: BTreeMap::new(),
            timers: BTreeSet::new(),
            listening: BTreeMap::new(),
            asking: BTreeSet::new(),
            heeding: BTreeMap::new(),
            inquiring: BTreeSet::new(),
            calls: BTreeMap::new(),
            hands: BTreeMap::new(),
            compensating: BTreeMap::new(),
            compensation_due: BTreeMap::new(),
            unwinding: BTreeSet::new(),
            claims: BTreeSet::new(),
            held_back: BTreeSet::new(),
            late: BTreeSet::new(),
            stirred: BTreeSet::new(),
            stopped: BTreeSet::new(),
            cancelling: BTreeSet::new(),
            asked_output: false,
            begun: false,
            winding_up: false,
        }
    }

    /// A machine that goes on from a snapshot; entries after it are applied next.
    ///
    /// # Errors
    /// [`SnapshotError`]: an unknown format, damage, or another plan. The journal has it all.
    pub fn restore(
        plan: Arc<ExecutionPlan>,
        tenant: TenantId,
        id: ExecutionId,
        snapshot: &[u8],
    ) -> Result<Self, SnapshotError> {
        let state = snapshot::decode(snapshot, &plan)?;
        Ok(Self {
            state,
            ..Self::new(plan, tenant, id)
        })
    }

    /// The same execution for its next holder, who begins with [`Event::Begin`] as if it had read the
    /// journal.
    #[must_use]
    pub fn handed_on(self) -> Self {
        Self {
            state: self.state,
            ..Self::new(self.plan, self.tenant, self.id)
        }
    }

    /// The state in a form that [`Machine::restore`] reads.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::encode(&self.state)
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

    /// What all expressions of the execution see alike: made once, for there is a scope for each
    /// instance, and in a long list for each item.
    pub(crate) fn shared_roots(&self) -> Arc<SharedRoots> {
        if let Some(roots) = self.roots.get() {
            return roots.clone();
        }
        match SharedRoots::new(&self.plan, &self.state, self.id) {
            Some(roots) => self.roots.get_or_init(|| Arc::new(roots)).clone(),
            None => Arc::default(),
        }
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
            .apply(&self.plan, &entry.entry, &mut Fresh::default());
    }

    /// Decides what follows from `event`, which happened at `at`. The entries are part of the state
    /// when this returns; the caller commits them before anything outside depends on them.
    ///
    /// # Panics
    /// If the first event is not [`Event::Begin`], or if what may run is not what the state says:
    /// a defect of ours. No signal and no result of an action can cause it.
    pub fn decide(&mut self, event: Event, at: Timestamp) -> Decision {
        let mut decision = Decision::default();
        self.decide_into(event, at, &mut decision);
        decision
    }

    /// The same for who makes many decisions: what follows comes behind what is in `decision`, whose
    /// room is used again.
    ///
    /// # Panics
    /// As [`Machine::decide`].
    pub fn decide_into(&mut self, event: Event, at: Timestamp, decision: &mut Decision) {
        let mut turn = Turn { at, decision };
        assert!(
            self.begun || event == Event::Begin,
            "a holder begins before anything else"
        );
        if self.state.end_status().is_none() {
            self.handle(event, &mut turn);
            self.dispatch(&mut turn);
        }
    }

    /// Where the machine stands when nobody tells it anything.
    #[must_use]
    pub fn rest(&self) -> Rest {
        if let Some(status) = self.state.end_status() {
            return Rest::Ended(status);
        }
        if self.is_busy() || self.asked_output {
            return Rest::Busy;
        }
        let due = self.next_due();
        // Whoever has cancelled what harms its holders has decided.
        let decided = self.is_poisoned() && self.ends_by_person();
        if self.state.parked().is_some() && !decided {
            Rest::Parked { due }
        } else if self.state.is_paused() {
            Rest::Paused { due }
        } else if self.state.is_compensating() {
            Rest::Compensating { due }
        } else {
            Rest::Waiting { due }
        }
    }

    /// When [`Event::Tick`] changes something at the earliest, also while attempts are under way: a
    /// retry, a timer, or the execution's own time limit.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.state.end_status().is_some() {
            return None;
        }
        let (ending, paused) = (self.state.ending().is_some(), self.state.is_paused());
        // Timers keep their time while the execution is paused, and fire after it.
        let timer = self.timers.first().map(|(due, _)| *due);
        let timer = timer.filter(|_| !paused && !ending);
        let undoing = self.next_compensation().filter(|_| !paused);
        let deadline = self.deadline().filter(|_| !ending);
        timer.into_iter().chain(undoing).chain(deadline).min()
    }

    /// When an instance's inputs were complete: its `$now`.
    #[must_use]
    pub fn ready_at(&self, instance: &InstanceId) -> Timestamp {
        let at = self.state.find(&self.plan, instance);
        let ready_at = at
            .and_then(|at| self.state.get(at))
            .map_or(self.state.started_at(), |activation| activation.ready_at);
        let restarted = self.generation(instance).map(|generation| generation.at);
        restarted.map_or(ready_at, |at| at.max(ready_at))
    }

    /// From which the key of every attempt of an instance and its seed follow.
    #[must_use]
    pub fn identity(&self, instance: &InstanceId) -> Identity {
        let (origin, generation) = self.work(instance);
        instance.identity(&self.tenant, origin, generation)
    }

    /// The same of what undoes the effect of an instance.
    #[must_use]
    pub fn compensation_identity(&self, instance: &InstanceId) -> Identity {
        let (origin, generation) = self.work(instance);
        instance.compensation(&self.tenant, origin, generation)
    }

    /// The execution in which the work of an instance began, and its generation.
    pub(crate) fn work(&self, instance: &InstanceId) -> (ExecutionId, u32) {
        let part = self.state.part().map(|part| part.began);
        let origin = self.state.started().and_then(|started| started.origin);
        let began = part.or(origin).unwrap_or(self.id);
        self.generation(instance)
            .map_or((began, 0), |it| (it.since, it.number))
    }

    fn generation(&self, instance: &InstanceId) -> Option<&Generation> {
        let started = self.state.started()?;
        match &started.part {
            Some(part) => part.repeats.as_ref()?.generation(instance),
            None => started.repeats.as_ref()?.generation(instance),
        }
    }

    /// When an instance is over at the latest, as the execution or a body that it stands in is.
    #[must_use]
    pub fn deadline_of(&self, instance: &InstanceId) -> Option<Timestamp> {
        let mut earliest = self.deadline();
        if instance.within.is_none() {
            return earliest;
        }
        let mut frame = self.key(instance).map(|key| key.at.frame);
        while let Some(owner) = frame.and_then(|it| self.state.frames.get(it)?.owner) {
            let body = self.state.get(owner.at).filter(|it| it.runs.is_some());
            earliest = earliest.into_iter().chain(body.and_then(|it| it.due)).min();
            frame = Some(owner.at.frame);
        }
        earliest
    }

    /// When the execution's time is up: its own, or that of the one that waits for it.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let started = self.state.started()?;
        let own = self.plan.timeout;
        let own = own.map(|timeout| self.state.started_at().plus(timeout));
        let parent = started.parent.as_ref().and_then(|parent| parent.deadline);
        own.into_iter().chain(parent).min()
    }

    fn is_poisoned(&self) -> bool {
        matches!(self.state.parked(), Some(ParkReason::Poison { .. }))
    }

    /// Where an instance is; `None` if its body was closed meanwhile.
    fn key(&self, instance: &InstanceId) -> Option<Key> {
        let at = self.state.find(&self.plan, instance)?;
        let item = instance.item;
        Some(Key { at, item })
    }

    fn instance(&self, key: Key) -> InstanceId {
        self.state.instance(&self.plan, key)
    }

    /// Takes a new entry into the state and hands it out.
    fn note(&mut self, fact: Fact, turn: &mut Turn<'_>) {
        if !self.plan.bodies.is_empty() {
            self.stir(&fact);
        }
        let entry = Entry { at: turn.at, fact };
        let mut fresh = Fresh::default();
        self.state.apply(&self.plan, &entry, &mut fresh);
        for at in fresh.ready {
            self.make_ready(at.whole());
        }
        for at in fresh.cancelled {
            self.give_up(at, turn);
        }
        let entries = &mut turn.decision.entries;
        if entries.is_empty() {
            // Most events make one, and a list that makes room for four of them is large.
            entries.reserve_exact(1);
        }
        entries.push(entry);
    }

    fn make_ready(&mut self, key: Key) {
        let node = self.plan.node(key.at.node);
        if node.milestone.is_some() {
            self.inquiring.insert(key);
            return;
        }
        let priority = node.priority;
        self.ready.push(Ready {
            priority,
            order: Reverse(key),
        });
    }

    /// Commands something of an instance and remembers that the answer is open.
    fn ask(&mut self, key: Key, task: Task, attempt: u32, command: Command, turn: &mut Turn<'_>) {
        let flight = Flight {
            task,
            attempt,
            journalled: matches!(task, Task::Reconcile | Task::GiveUp),
            aborted: false,
        };
        let before = self.flights.insert(key, flight);
        assert!(before.is_none(), "two commands for one instance");
        turn.decision.commands.push(command);
    }

    /// Takes the command that is answered; `None` if nobody waits for this answer any more.
    fn land(&mut self, instance: &InstanceId) -> Option<(Key, Flight)> {
        let key = self.key(instance)?;
        let flight = self.flights.remove(&key)?;
        // What waited for it may go on.
        self.stirred.insert(key.at.frame);
        if self.is_moot(key, flight) {
            self.stirred.extend(self.state.frames.of_activation(key.at));
            return None;
        }
        Some((key, flight))
    }

    fn handle(&mut self, event: Event, turn: &mut Turn<'_>) {
        match event {
            Event::Begin => {
                self.begun = true;
                self.rebuild(turn);
            }
            Event::Tick => {}
            Event::Compensated {
                instance,
                outcome,
                micros,
            } => self.compensated(instance, outcome, micros, turn),
            Event::Signalled {
                signal,
                taken,
                undo,
            } => self.signalled(signal, taken, undo, turn),
            Event::Output(result) => self.output(result, turn),
            Event::Starting {
                instance,
                key,
                input,
                deadline,
            } => self.starting(instance, (key, input, deadline), turn),
            Event::Finished {
                instance,
                outcome,
                micros,
            } => self.finished(&instance, outcome, micros, turn),
            Event::Put { instance, blobs } => self.put(instance, blobs, turn),
            Event::Unreconciled {
                instance,
                error,
                taken,
            } => self.unreconciled(&instance, error, taken, turn),
            Event::Interrupted { instance } => self.interrupted(instance, turn),
            Event::Withheld { instance } => {
                self.compensating.remove(&instance);
                if let Some((key, _)) = self.land(&instance) {
                    self.make_ready(key);
                }
            }
            Event::Skipped { instance } => {
                if self.land(&instance).is_some() {
                    self.note(Fact::InstanceSkipped { instance }, turn);
                }
            }
            Event::Opened {
                instance,
                count,
                more,
            } => self.opened(instance, count, more, turn),
            Event::Weighed { instance, complete } => self.weighed(&instance, complete, turn),
            Event::Collected { instance, taken } => self.collected(instance, taken, turn),
            Event::Enters {
                instance,
                rounds,
                due,
            } => self.enters(instance, rounds, due, turn),
            Event::Entered { instance, json } => self.entered(&instance, &json, turn),
            Event::RoundsOver { instance } => self.rounds_over(&instance, turn),
            Event::Caught { instance, handler } => self.caught(&instance, handler, turn),
            Event::Waits { instance, due } => {
                if let Some((key, _)) = self.land(&instance) {
                    self.timers.insert((due, key));
                    self.note(Fact::TimerSet { instance, due }, turn);
                }
            }
            Event::Fired { instance, taken } => {
                if self.land(&instance).is_some() {
                    self.note(Fact::TimerFired { instance, taken }, turn);
                }
            }
            Event::Heeds { instance } => self.heeds(instance, turn),
            Event::Claims { instance, wanted } => self.claims(&instance, wanted, turn),
            Event::SlotGranted { key, owner } => self.slot_granted(&key, &owner, turn),
            Event::SlotLost { key, owner } => self.slot_lost(&key, &owner, turn),
            Event::Admitted => self.admitted = true,
            Event::Queued => self.queued(turn),
            Event::Awaits {
                instance,
                name,
                due,
            } => self.awaits(instance, name, due, turn),
            Event::Took { instance, taken } => self.took(instance, taken, turn),
            Event::Sends {
                instance,
                to,
                signal,
                taken,
            } => {
                if self.land(&instance).is_some() && self.state.ending().is_none() {
                    let fact = Fact::SignalSent {
                        instance,
                        to,
                        signal,
                        taken,
                    };
                    self.note(fact, turn);
                }
            }
            Event::Asks { instance, question } => self.asks(instance, question, turn),
            Event::Emits {
                instance,
                name,
                payload,
                taken,
            } => {
                if self.land(&instance).is_some() && self.state.ending().is_none() {
                    let fact = Fact::EventEmitted {
                        instance,
                        name,
                        payload,
                        taken,
                    };
                    self.note(fact, turn);
                }
            }
            Event::Calls { .. } => self.calls(event, turn),
            Event::ChildEnded {
                instance,
                child,
                status,
                outcome,
            } => self.child_ended(instance, (child, status), outcome, turn),
            Event::Cut {
                instance,
                count,
                child,
            } => self.cut(&instance, (count, child), turn),
            Event::PartEnded {
                instance,
                child,
                status,
                outcome,
            } => self.part_ended(&instance, (child, status), outcome, turn),
            Event::Stopped { instance, output } => {
                if self.land(&instance).is_some() {
                    self.note(Fact::StopRequested { instance, output }, turn);
                }
            }
            Event::Cancels {
                instance,
                nodes,
                taken,
            } => self.cancels(instance, nodes, taken, turn),
            Event::Quits { instance, reason } => self.quits(instance, reason, turn),
        }
    }

    fn output(
        &mut self,
        result: Result<serde_json::Value, nebula_action::ActionError>,
        turn: &mut Turn<'_>,
    ) {
        if !std::mem::take(&mut self.asked_output) {
            // Something else has ended the execution meanwhile.
            return;
        }
        let result = result.and_then(|output| match codec::is_storable(&output) {
            true => Ok(output),
            false => Err(codec::too_deep("the output")),
        });
        let fact = match result {
            Ok(output) => Fact::ExecutionCompleted {
                output: Arc::new(output),
            },
            Err(error) => Fact::ExecutionFailed {
                error: Failure { error, node: None },
            },
        };
        self.note(fact, turn);
    }
}

/// One call of [`Machine::decide`].
struct Turn<'d> {
    at: Timestamp,
    decision: &'d mut Decision,
}
