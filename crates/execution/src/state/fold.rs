//! The fold: what each fact makes of the state.

mod approvals;
mod bodies;
mod calls;
mod cancels;
mod claims;
mod compensations;
mod items;
mod parts;
mod signals;

use std::sync::Arc;

use compact_str::CompactString;
use nebula_action::{ActionError, ErrorClass, PORT_MAIN};
use nebula_core::Timestamp;
use serde_json::Value;

use super::{At, End, Ending, ExecutionState, Frame, FrameEnding, Fresh, TOP};
use crate::{
    Activation, EndReason, Entry, ExecutionPlan, Fact, Failure, Given, InstanceId, InstanceStatus,
    ItemOutcome, Items, OpenItem, ParkReason, Runs, Status, Stored, Taken, UnparkDecision, tokens,
};

const MAIN: CompactString = CompactString::const_new(PORT_MAIN);

impl ExecutionState {
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
        assert_eq!(
            self.started.is_none(),
            matches!(entry.fact, Fact::ExecutionStarted(_)),
            "an execution starts once, with its first entry"
        );
        let at = entry.at;
        Fold {
            state: self,
            plan,
            at,
            fresh,
        }
        .take(&entry.fact);
    }
}

/// One entry on its way into the state.
struct Fold<'a> {
    state: &'a mut ExecutionState,
    plan: &'a ExecutionPlan,
    at: Timestamp,
    fresh: &'a mut Fresh,
}

/// An attempt that gave an error.
struct Failed<'a> {
    attempt: u32,
    error: &'a ActionError,
    retry_at: Option<Timestamp>,
    counts: bool,
    taken: &'a Taken,
}

impl Fold<'_> {
    fn take(&mut self, fact: &Fact) {
        match fact {
            Fact::ExecutionStarted(started) => {
                self.state.started = Some(started.clone());
                self.state.started_at = self.at;
                let began = started.repeats.as_ref().map_or(self.at, |it| it.began);
                if let Some(part) = &started.part {
                    self.part_begins(part);
                    return;
                }
                let top = self
                    .state
                    .frames
                    .get_mut(TOP)
                    .expect("the top level is open");
                tokens::start(top, self.plan, TOP, began, self.fresh);
            }
            Fact::AttemptStarted { .. }
            | Fact::AttemptSucceeded { .. }
            | Fact::AttemptSpilled { .. }
            | Fact::JsonPassed { .. }
            | Fact::AttemptFailed { .. }
            | Fact::AttemptIndeterminate { .. } => self.attempt(fact),
            Fact::ItemsOpened { .. }
            | Fact::ItemsAdded { .. }
            | Fact::ItemsSettled { .. }
            | Fact::ItemsEnough { .. }
            | Fact::ItemsCompleted { .. }
            | Fact::ItemsAbsorbed { .. } => self.items(fact),
            Fact::InstanceSkipped { instance } => {
                let skipped = self.whole(instance);
                self.leave(skipped, InstanceStatus::Skipped, None);
            }
            Fact::RoundsOpened { .. }
            | Fact::BodyOpened { .. }
            | Fact::BodyTimedOut { .. }
            | Fact::HandlerCalled { .. }
            | Fact::BodyClosed { .. }
            | Fact::BodyCompleted { .. } => self.body(fact),
            Fact::TimerSet { instance, due } if instance.item.is_some() => {
                let at = self.locate(instance);
                runs(self.open_mut(at)).due = Some(*due);
            }
            Fact::TimerSet { instance, due } => {
                let at = self.whole(instance);
                let activation = self.begun(at);
                activation.status = InstanceStatus::Waiting;
                activation.attempts = activation.attempts.max(1);
                activation.due = Some(*due);
                activation.timer = true;
            }
            Fact::TimerFired { instance, taken } => {
                let at = self.whole(instance);
                let json = self.state.json(self.plan, at);
                self.open_mut(at).give(json);
                let through = Some((&MAIN, taken));
                self.leave(at, InstanceStatus::Succeeded, through);
            }
            Fact::MilestoneAwaited { instance, .. } => {
                let at = self.whole(instance);
                let activation = self.begun(at);
                activation.status = InstanceStatus::Waiting;
                activation.heeds = true;
            }
            Fact::SlotClaimed { .. }
            | Fact::SlotGranted { .. }
            | Fact::SlotLost { .. }
            | Fact::SlotGivenUp { .. } => self.claim(fact),
            Fact::SignalAwaited { .. }
            | Fact::SignalReceived(_)
            | Fact::SignalRefused { .. }
            | Fact::SignalMissed { .. }
            | Fact::SignalTaken { .. }
            | Fact::SignalSent { .. }
            | Fact::EventEmitted { .. } => self.signal(fact),
            Fact::ApprovalAsked { .. } | Fact::VoteCast { .. } | Fact::VoteRefused { .. } => {
                self.approval(fact);
            }
            Fact::CompensationRegistered { .. }
            | Fact::CompensationStarted { .. }
            | Fact::CompensationSucceeded { .. }
            | Fact::CompensationFailed { .. } => self.compensation(fact),
            Fact::ChildStarted { .. } | Fact::ChildEnded { .. } => self.call(fact),
            Fact::PartStarted { .. } | Fact::PartEnded { .. } => self.part(fact),
            Fact::PauseRequested { .. } => self.state.paused = true,
            Fact::Resumed => self.state.paused = false,
            // Nothing that runs depends on who put what.
            Fact::BlobsPut { .. } => {}
            Fact::CancellationRequested { reason } => self.cancellation(reason),
            Fact::StopRequested { instance, output } => {
                let at = self.whole(instance);
                let activation = self.begun(at);
                activation.attempts = activation.attempts.max(1);
                activation.output = Some(output.clone());
                let stop = Ending::Stop(output.clone());
                self.state.ending.get_or_insert(stop);
                // Nothing that follows would run any more.
                self.leave(at, InstanceStatus::Succeeded, None);
            }
            Fact::NodesCancelled { .. }
            | Fact::InstanceCancelled { .. }
            | Fact::QuitRequested { .. } => self.cancels(fact),
            Fact::Migrated { version, plan } => {
                let started = self.state.started.as_mut();
                let started = started.expect("the first entry is the start");
                started.version = *version;
                started.plan = *plan;
            }
            Fact::Parked { reason } => self.state.parked = Some(reason.clone()),
            Fact::Unparked {
                instance,
                decision,
                taken,
            } => self.unparked(instance.as_ref(), decision, taken),
            Fact::Spilled { kind, blob } => panic!(
                "`{kind}` lies in blob {blob}: the store of executions must be opened with its blobs"
            ),
            Fact::ExecutionCompleted { .. }
            | Fact::ExecutionFailed { .. }
            | Fact::ExecutionCancelled { .. }
            | Fact::ExecutionTimedOut => self.end(fact),
        }
    }

    fn attempt(&mut self, fact: &Fact) {
        match fact {
            Fact::AttemptStarted {
                instance,
                attempt,
                deadline,
                ..
            } => self.attempt_started(instance, *attempt, *deadline),
            Fact::AttemptSucceeded {
                instance,
                attempt,
                output,
                port,
                lineage,
                taken,
                ..
            } => {
                let at = self.locate(instance);
                let activation = self.begun(at);
                if let Some(item) = instance.item {
                    open_items(activation).settle(item, ItemOutcome::Ok(output.clone()));
                    return;
                }
                activation.attempts = activation.attempts.max(*attempt);
                activation.output = Some(output.clone());
                activation.lineage.clone_from(lineage);
                let through = Some((port, taken));
                self.leave(at, InstanceStatus::Succeeded, through);
            }
            Fact::AttemptSpilled {
                instance,
                attempt,
                blob,
                port,
                lineage,
                taken,
                ..
            } => {
                let at = self.locate(instance);
                let stored = Arc::new(Stored::new(*blob));
                let activation = self.begun(at);
                if let Some(item) = instance.item {
                    let outcome = ItemOutcome::Apart(Given::Blob(stored));
                    open_items(activation).settle(item, outcome);
                    return;
                }
                activation.attempts = activation.attempts.max(*attempt);
                activation.blob = Some(stored);
                activation.lineage.clone_from(lineage);
                self.leave(at, InstanceStatus::Succeeded, Some((port, taken)));
            }
            Fact::JsonPassed {
                instance,
                attempt,
                port,
                taken,
            } => {
                let at = self.whole(instance);
                let json = self.state.json(self.plan, at);
                let activation = self.begun(at);
                activation.attempts = activation.attempts.max(*attempt);
                activation.give(json);
                self.leave(at, InstanceStatus::Succeeded, Some((port, taken)));
            }
            Fact::AttemptFailed {
                instance,
                attempt,
                error,
                retry_at,
                counts,
                taken,
            } => self.failed(
                instance,
                &Failed {
                    attempt: *attempt,
                    error,
                    retry_at: *retry_at,
                    counts: *counts,
                    taken,
                },
            ),
            Fact::AttemptIndeterminate {
                instance,
                attempt,
                error,
            } => {
                let at = self.locate(instance);
                let activation = self.begun(at);
                activation.error = Some(error.clone());
                if let Some(item) = instance.item {
                    let open = open_item(activation, item);
                    open.attempts = open.attempts.max(*attempt);
                    open.running = false;
                    open.indeterminate = true;
                } else {
                    activation.attempts = activation.attempts.max(*attempt);
                    activation.status = InstanceStatus::Indeterminate;
                }
            }
            _ => unreachable!("the caller sorts facts"),
        }
    }

    fn attempt_started(&mut self, instance: &InstanceId, attempt: u32, deadline: Timestamp) {
        let at = self.locate(instance);
        let activation = self.begun(at);
        let used = match instance.item {
            Some(item) => {
                let open = open_item(activation, item);
                open.running = true;
                open.due = None;
                open.deadline = Some(deadline);
                &mut open.attempts
            }
            None => {
                activation.status = InstanceStatus::Running;
                activation.due = None;
                activation.deadline = Some(deadline);
                &mut activation.attempts
            }
        };
        assert!(attempt > *used, "{instance} starts attempt {attempt} again");
        *used = attempt;
    }

    fn failed(&mut self, instance: &InstanceId, failed: &Failed<'_>) {
        let at = self.locate(instance);
        let activation = self.begun(at);
        if let Some(item) = instance.item {
            let open = open_item(activation, item);
            open.attempts = open.attempts.max(failed.attempt);
            open.failures += u32::from(failed.counts);
            open.drained += u32::from(is_drained(failed.counts, failed.error));
            open.running = false;
            open.indeterminate = false;
            open.due = failed.retry_at;
            if failed.retry_at.is_none() {
                self.item_failed(at, item, failed.error);
            }
            return;
        }
        activation.attempts = activation.attempts.max(failed.attempt);
        activation.failures += u32::from(failed.counts);
        activation.drained += u32::from(is_drained(failed.counts, failed.error));
        activation.error = Some(failed.error.clone());
        activation.due = failed.retry_at;
        activation.timer = false;
        activation.signal = None;
        activation.approval = None;
        activation.child = None;
        activation.items = None;
        activation.runs = None;
        activation.claim = None;
        activation.heeds = false;
        if failed.retry_at.is_some() {
            activation.status = InstanceStatus::Waiting;
            return;
        }
        self.failed_finally(instance, at, failed);
    }

    fn failed_finally(&mut self, instance: &InstanceId, at: At, failed: &Failed<'_>) {
        let given_up = self.open(at).given_up;
        if given_up || self.state.is_ending(at.frame) {
            // Nothing that follows would run any more.
            let status = if given_up || failed.error.class == ErrorClass::Cancelled {
                InstanceStatus::Cancelled
            } else {
                InstanceStatus::Failed
            };
            self.leave(at, status, None);
        } else if let Some(port) = self.plan.failure_port(at.node)
            && !(at.frame == TOP && self.state.part().is_some())
        {
            let port = CompactString::const_new(port);
            let through = Some((&port, failed.taken));
            self.leave(at, InstanceStatus::Failed, through);
        } else {
            let failure = Failure {
                error: failed.error.clone(),
                node: Some(instance.node.clone()),
            };
            if at.frame == TOP {
                self.state.ending = Some(Ending::Fail(failure));
            } else {
                self.frame(at.frame).ending = Some(FrameEnding::Fail(failure));
            }
            self.leave(at, InstanceStatus::Failed, None);
        }
    }

    fn cancellation(&mut self, reason: &EndReason) {
        let parked = self.state.parked.is_some();
        match reason {
            // The first reason stands; but where only a person can go on, a person may as well give up.
            EndReason::Requested(text) if parked => {
                self.state.ending = Some(Ending::Cancel(text.clone()));
                // Nobody is asked any more about effects that nobody knows of.
                let asked = |it: &ParkReason| matches!(it, ParkReason::Indeterminate(_));
                self.state.parked = self.state.parked.take().filter(|it| !asked(it));
            }
            EndReason::Requested(text) => {
                self.state
                    .ending
                    .get_or_insert(Ending::Cancel(text.clone()));
            }
            EndReason::Timeout => {
                self.state.ending.get_or_insert(Ending::Timeout);
            }
        }
    }

    fn unparked(&mut self, on: Option<&InstanceId>, decision: &UnparkDecision, taken: &Taken) {
        let Some(instance) = on else {
            self.state.parked = None;
            return;
        };
        // Deciding about one node does not make a poisonous execution harmless.
        if !matches!(self.state.parked, Some(ParkReason::Poison { .. })) {
            self.state.parked = None;
        }
        if self.compensation_decided(instance, decision) {
            return;
        }
        let at = self.locate(instance);
        let now = self.at;
        let activation = self.open_mut(at);
        match (decision, instance.item) {
            (UnparkDecision::Succeeded(output), Some(item)) => {
                open_items(activation).settle(item, ItemOutcome::Ok(output.clone()));
            }
            (UnparkDecision::Succeeded(output), None) => {
                activation.output = Some(output.clone());
                activation.error = None;
                let through = Some((&MAIN, taken));
                self.leave(at, InstanceStatus::Succeeded, through);
            }
            (UnparkDecision::Failed, item) => {
                let attempt = match item {
                    Some(item) => open_item(activation, item).attempts,
                    None => activation.attempts,
                };
                let failed = Failed {
                    attempt,
                    error: &ActionError::fatal(
                        "EFFECT_DECLARED_FAILED",
                        "a person decided that the effect did not happen",
                    ),
                    retry_at: None,
                    counts: true,
                    taken,
                };
                self.failed(instance, &failed);
            }
            (UnparkDecision::Retry, Some(item)) => {
                let open = open_item(activation, item);
                open.indeterminate = false;
                open.due = Some(now);
            }
            (UnparkDecision::Retry, None) if activation.given_up => {
                self.leave(at, InstanceStatus::Cancelled, None);
            }
            (UnparkDecision::Retry, None) => {
                activation.status = InstanceStatus::Waiting;
                activation.due = Some(now);
                activation.timer = false;
            }
        }
    }

    fn end(&mut self, fact: &Fact) {
        match fact {
            Fact::ExecutionCompleted { output } => {
                self.part_completes();
                let stopped = matches!(self.state.ending, Some(Ending::Stop(_)));
                assert!(
                    stopped || self.state.frames.get(TOP).is_some_and(Frame::is_quiet),
                    "an execution completes while tokens are left"
                );
                self.finish(Status::Completed, Some(output.clone()), None);
            }
            Fact::ExecutionFailed { error } => {
                self.finish(Status::Failed, None, Some(error.clone()));
            }
            Fact::ExecutionCancelled { .. } => self.finish(Status::Cancelled, None, None),
            Fact::ExecutionTimedOut => self.finish(Status::TimedOut, None, None),
            _ => unreachable!("the caller sorts facts"),
        }
    }

    fn finish(&mut self, status: Status, output: Option<Arc<Value>>, failure: Option<Failure>) {
        for frame in self.state.frames.iter_mut() {
            cancel(frame, self.at);
        }
        self.state.signals.clear();
        self.state.compensations.close();
        self.state.parked = None;
        self.state.paused = false;
        self.state.end = Some(End {
            status,
            output,
            failure,
        });
    }

    /// Ends an activation and sends its tokens: live ones on the taken connections of the port,
    /// dead ones on all others; without a port all are dead.
    fn leave(&mut self, on: At, status: InstanceStatus, through: Option<(&CompactString, &Taken)>) {
        let (plan, at) = (self.plan, self.at);
        let activation = self.open_mut(on);
        activation.end(status, at);
        // Nothing follows from what was given up.
        let through = through.filter(|_| !activation.given_up);
        activation.port = through.map(|(port, _)| port.clone());
        // What runs on after it counts as open until it has ended.
        let runs_on = activation.absorbs();
        self.won(on, status);
        if on.frame == TOP && self.state.part().is_some() {
            // What follows from it follows where its list is.
            self.frame(TOP).open -= 1;
            return;
        }
        let frame = self
            .state
            .frames
            .get_mut(on.frame)
            .expect("the frame is open");
        let before = self.fresh.cancelled.len();
        tokens::emit(frame, plan, (on, runs_on), through, at, self.fresh);
        self.drop_runs(before);
    }

    /// Where an instance is.
    fn locate(&self, instance: &InstanceId) -> At {
        let at = self.state.find(self.plan, instance);
        at.expect("a journal names only nodes of its plan, in bodies that are open")
    }

    /// The same, of an instance that must not be an item.
    fn whole(&self, instance: &InstanceId) -> At {
        assert!(
            instance.item.is_none(),
            "the fact is about a whole instance, not about {instance}"
        );
        self.locate(instance)
    }

    fn frame(&mut self, number: u32) -> &mut Frame {
        let frame = self.state.frames.get_mut(number);
        frame.expect("an activation is in an open frame")
    }

    fn open(&self, at: At) -> &Activation {
        let activation = self.state.get(at).expect("an entry is about what began");
        assert!(
            activation.is_open(),
            "an entry follows the end of an instance"
        );
        activation
    }

    fn open_mut(&mut self, at: At) -> &mut Activation {
        let activations = &mut self.frame(at.frame).node_mut(at.node).activations;
        let activation = &mut activations[at.number as usize - 1];
        assert!(
            activation.is_open(),
            "an entry follows the end of an instance"
        );
        activation
    }

    /// The same, begun now if it has not begun before.
    fn begun(&mut self, at: At) -> &mut Activation {
        let now = self.at;
        let activation = self.open_mut(at);
        activation.started_at.get_or_insert(now);
        activation
    }
}

/// Ends everything that is open in a frame, as nothing of it will run any more.
fn cancel(frame: &mut Frame, at: Timestamp) {
    for activation in frame.open_mut() {
        let items = activation.items.take();
        if activation.has_ended() {
            // Its result has left; only what would have been absorbed ends here.
            continue;
        }
        activation.runs = None;
        activation.claim = None;
        let unknown = items.is_some_and(|items| items.open.values().any(|open| open.indeterminate));
        // An effect that nobody knows about stays visible as such.
        let status = if activation.status == InstanceStatus::Indeterminate || unknown {
            InstanceStatus::Indeterminate
        } else {
            InstanceStatus::Cancelled
        };
        activation.end(status, at);
    }
    frame.open = 0;
}

/// Whether an attempt ended since its worker stopped in order, or was put off: that is no failure, and not
/// a loss.
fn is_drained(counts: bool, error: &ActionError) -> bool {
    !counts
        && matches!(
            error.class,
            ErrorClass::Cancelled | ErrorClass::Deferred { .. }
        )
}

fn runs(activation: &mut Activation) -> &mut Runs {
    activation
        .runs
        .as_deref_mut()
        .expect("a round belongs to an instance whose body runs")
}

fn open_items(activation: &mut Activation) -> &mut Items {
    activation
        .items
        .as_deref_mut()
        .expect("an item belongs to an open for_each")
}

/// An item that has not ended, remembered from now on.
fn open_item(activation: &mut Activation, item: u32) -> &mut OpenItem {
    let items = open_items(activation);
    assert!(
        !items.outcomes.has(item),
        "an entry follows the end of item {item}"
    );
    items.open.entry(item).or_default()
}
