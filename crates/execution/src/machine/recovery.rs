//! Going on where an earlier holder stopped.

use nebula_action::{ActionError, EffectClass, ErrorClass};
use nebula_core::Timestamp;
use nebula_workflow::OnIndeterminate;

use super::{Flight, Machine, Task, Turn, outcomes::MAX_LOST_ATTEMPTS};
use crate::{Command, InstanceId, InstanceStatus, Key, OpenCompensation, Taken};

impl Machine {
    /// Rebuilds from the state what a crash forgot, and settles attempts whose outcome was lost.
    pub(super) fn rebuild(&mut self, turn: &mut Turn<'_>) {
        self.ready.clear();
        self.flights.clear();
        self.timers.clear();
        self.listening.clear();
        self.asking.clear();
        self.heeding.clear();
        self.inquiring.clear();
        self.calls.clear();
        self.hands.clear();
        self.claims.clear();
        self.held_back.clear();
        self.late.clear();
        self.stopped.clear();
        self.cancelling.clear();
        self.unwinding.clear();
        self.stirred = self.state.frames.iter().map(|(frame, _)| frame).collect();
        self.asked_output = false;
        self.compensating.clear();
        self.compensation_due.clear();
        if self.is_poisoned() && self.state.ending().is_none() {
            return;
        }
        self.take_up_compensations(turn);
        let (mut lost, mut lists, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        let open = self
            .state
            .all()
            .filter(|(_, activation)| activation.is_open());
        let open: Vec<_> = open.map(|(at, _)| at).collect();
        for at in open {
            let Some(activation) = self.state.get(at) else {
                continue;
            };
            if activation.given_up {
                self.cancelling.insert(at);
            }
            let (claims, runs) = (activation.claim.is_some(), activation.runs.is_some());
            if claims {
                self.remember_claim(at.whole());
            }
            let Some(activation) = self.state.get(at).filter(|_| !claims || runs) else {
                continue;
            };
            match activation.status {
                InstanceStatus::Ready => self.make_ready(at.whole()),
                InstanceStatus::Waiting if activation.approval.is_some() => {
                    self.await_votes(at.whole());
                }
                InstanceStatus::Waiting if activation.heeds => self.heed(at.whole()),
                InstanceStatus::Waiting if activation.signal.is_some() => self.listen(at.whole()),
                InstanceStatus::Waiting if activation.child.is_some() => {
                    self.calls
                        .extend(activation.child.map(|it| (at.whole(), it)));
                }
                InstanceStatus::Waiting => {
                    let due = activation.due.unwrap_or(turn.at);
                    self.timers.insert((due, at.whole()));
                }
                _ if activation.items.is_some() => {
                    lists.push(at);
                    self.listen(at.whole());
                }
                InstanceStatus::Running if activation.runs.is_some() => owners.push(at),
                InstanceStatus::Running => lost.push(at.whole()),
                _ => {}
            }
        }
        for list in &lists {
            lost.extend(self.take_up(*list));
            if self.is_given_up(*list) {
                self.hands.remove(list);
            }
        }
        // What ran beside or after it may be what takes its workers down: the next start is named first.
        self.careful |= lost.iter().any(|key| self.attempts(*key) > 1);
        for key in lost {
            self.lost(key, turn);
        }
        for list in lists {
            self.hand_out(list, turn);
        }
        for owner in owners {
            self.go_on_with(owner, turn);
        }
    }

    /// Whether the state says that an attempt was started of which no outcome is known: its number,
    /// and until when it may still act.
    pub(super) fn lost_attempt(&self, Key { at, item }: Key) -> Option<(u32, Option<Timestamp>)> {
        let activation = self.state.get(at)?;
        match (item, &activation.items) {
            (Some(item), Some(items)) => {
                let open = items.open.get(&item).filter(|open| open.running)?;
                Some((open.attempts, open.deadline))
            }
            (None, None)
                if activation.status == InstanceStatus::Running && activation.runs.is_none() =>
            {
                Some((activation.attempts, activation.deadline))
            }
            _ => None,
        }
    }

    /// How many holders in a row went away from an attempt of which no outcome is known; the most of
    /// all attempts. Only the state says it: before [`Event::Begin`](crate::Event) settles them.
    #[must_use]
    pub fn losses(&self) -> u32 {
        let open = self.state.all().filter(|(_, it)| it.is_open());
        let attempts = open.flat_map(|(at, activation)| {
            let items = activation.items.iter().flat_map(|items| items.open.keys());
            let items = items.map(move |item| at.item(*item));
            items.chain([at.whole()])
        });
        let lost = attempts.filter(|key| self.lost_attempt(*key).is_some());
        let undoing = self.state.compensations().open().iter();
        let undoing = undoing.filter(|open| open.deadline.is_some() && !open.stuck);
        let undoing = undoing.map(OpenCompensation::lost);
        let lost = lost.map(|key| self.lost_so_far(key));
        lost.chain(undoing).max().unwrap_or(0)
    }

    /// The holder went away while this attempt was under way.
    fn lost(&mut self, key: Key, turn: &mut Turn<'_>) {
        let node = self.plan.node(key.at.node);
        let Some((attempt, deadline)) = self.lost_attempt(key) else {
            return;
        };
        let fails = node.on_indeterminate == OnIndeterminate::Fail;
        if self.may_repeat(key) {
            if self.is_hopeless(key) {
                self.failed_for_good(key, attempt, worker_lost(), none(), turn);
            } else if self.lost_so_far(key) < MAX_LOST_ATTEMPTS {
                self.try_again(key, attempt, worker_lost(), (turn.at, false), turn);
            } else if fails {
                self.ask_about(key, Task::GiveUp, attempt, turn);
            } else {
                // It may be what takes its workers down, and it may have run beside that: a person can tell.
                self.indeterminate(key, attempt, worker_lost(), turn);
            }
        } else if fails && self.is_hopeless(key) {
            self.failed_for_good(key, attempt, worker_lost(), none(), turn);
        } else if self.state.is_ending(key.at.frame) {
            self.indeterminate(key, attempt, worker_lost(), turn);
        } else if node.reconciles {
            // Until then the attempt may still act: its holder may only have been slow.
            let due = deadline.unwrap_or(turn.at);
            self.timers.insert((due, key));
        } else if fails {
            // The connections of its failure must be evaluated before it can fail.
            self.ask_about(key, Task::Reconcile, attempt, turn);
        } else {
            self.indeterminate(key, attempt, worker_lost(), turn);
        }
    }

    /// The worker stops, and has dropped this attempt: where it may be made again, the journal says why
    /// it ended, so that it does not look lost. All else is for the next holder to find out.
    pub(super) fn interrupted(&mut self, instance: InstanceId, turn: &mut Turn<'_>) {
        if self.compensates(&instance) {
            self.compensation_interrupted(instance, turn);
            return;
        }
        let key = self.key(&instance).filter(|key| self.may_repeat(*key));
        let flight = key.and_then(|key| self.flights.get(&key));
        if flight.is_some_and(|flight| flight.journalled && flight.task == Task::Run)
            && let Some((key, flight)) = self.land(&instance)
        {
            self.cancelled(key, flight, worker_stopped(), none(), turn);
        }
    }

    /// Whether an attempt of this instance whose outcome nobody knows may be made again without asking
    /// anybody.
    #[must_use]
    pub fn repeats(&self, instance: &InstanceId) -> bool {
        self.key(instance).is_some_and(|key| self.may_repeat(key))
    }

    /// Whether a lost attempt may be made again without asking anybody.
    fn may_repeat(&self, key: Key) -> bool {
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("lost-write-is-repeated") {
            return true;
        }
        let node = self.plan.node(key.at.node);
        node.effect != EffectClass::AtMostOnce || node.on_indeterminate == OnIndeterminate::Retry
    }

    /// Commands the question what became of a lost attempt.
    pub(super) fn ask_about(&mut self, key: Key, task: Task, attempt: u32, turn: &mut Turn<'_>) {
        let instance = self.instance(key);
        let command = Command::Reconcile { instance, attempt };
        self.ask(key, task, attempt, command, turn);
    }

    /// The question was answered with an error: what that means depends on its class.
    pub(super) fn asked_in_vain(
        &mut self,
        key: Key,
        flight: Flight,
        error: ActionError,
        taken: Taken,
        turn: &mut Turn<'_>,
    ) {
        match error.class {
            // The effect did not happen: the attempt may be made again, and does not count.
            ErrorClass::Retryable { .. }
                if flight.task == Task::Reconcile && !self.is_hopeless(key) =>
            {
                if self.lost_so_far(key) < MAX_LOST_ATTEMPTS {
                    self.try_again(key, flight.attempt, error, (turn.at, false), turn);
                } else {
                    self.still_unknown(key, flight, error, taken, turn);
                }
            }
            ErrorClass::Unknown
            | ErrorClass::Timeout
            | ErrorClass::Cancelled
            | ErrorClass::Deferred { .. } => {
                self.still_unknown(key, flight, error, taken, turn);
            }
            _ => self.failed_for_good(key, flight.attempt, error, taken, turn),
        }
    }

    pub(super) fn unreconciled(
        &mut self,
        instance: &InstanceId,
        error: ActionError,
        taken: Taken,
        turn: &mut Turn<'_>,
    ) {
        if let Some((key, flight)) = self.land(instance) {
            self.still_unknown(key, flight, error, taken, turn);
        }
    }

    /// Nobody can say what became of a lost attempt: the node's policy or a person decides.
    fn still_unknown(
        &mut self,
        key: Key,
        flight: Flight,
        error: ActionError,
        taken: Taken,
        turn: &mut Turn<'_>,
    ) {
        let fails = self.plan.node(key.at.node).on_indeterminate == OnIndeterminate::Fail;
        if fails || flight.task == Task::GiveUp {
            self.failed_for_good(key, flight.attempt, error, taken, turn);
        } else {
            self.indeterminate(key, flight.attempt, error, turn);
        }
    }

    /// While the execution ends, nothing is waited for; lost attempts that were still to be asked
    /// about stay unknown.
    pub(super) fn give_up_questions(&mut self, turn: &mut Turn<'_>) {
        for (_, key) in std::mem::take(&mut self.timers) {
            let Some((attempt, _)) = self.lost_attempt(key) else {
                continue;
            };
            if self.plan.node(key.at.node).on_indeterminate == OnIndeterminate::Fail {
                self.failed_for_good(key, attempt, worker_lost(), none(), turn);
            } else {
                self.indeterminate(key, attempt, worker_lost(), turn);
            }
        }
    }
}

/// No connection: nothing that follows would run.
fn none() -> Taken {
    Taken::Only(Vec::new())
}

pub(super) fn worker_stopped() -> ActionError {
    ActionError::new(
        "WORKER_STOPPED",
        "the worker stopped, and the attempt did not end within the grace period",
        ErrorClass::Cancelled,
    )
}

pub(super) fn worker_lost() -> ActionError {
    ActionError::new(
        "WORKER_LOST",
        "the worker went away while the attempt was under way",
        ErrorClass::Unknown,
    )
}
