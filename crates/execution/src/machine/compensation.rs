//! Undoing effects, the newest first, one after the other.
//!
//! All of them before the execution ends without having completed; those of a body where its node
//! wants that, before the failure of the body is handled.

use std::sync::Arc;

use nebula_action::{ActionError, EffectClass, ErrorClass};
use nebula_core::{Digest, Timestamp};
use serde_json::Value;

use super::{
    Machine, Turn,
    outcomes::{MAX_DEFERRALS, MAX_LOST_ATTEMPTS, deferral},
    recovery::{worker_lost, worker_stopped},
};
use crate::{
    Command, CompensationInput, Fact, InstanceId, Key, MAX_COMPENSATION_BYTES, MAX_COMPENSATIONS,
    PlanCompensation, UnparkDecision, codec,
};

/// An attempt to undo an effect that has not been answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Undoing {
    attempt: u32,
    /// Whether its start is in the journal.
    started: bool,
    /// Whether it only asks what became of an attempt that was lost.
    asks: bool,
}

impl Machine {
    /// Whether an attempt to undo the effect of this instance is under way.
    #[must_use]
    pub fn compensates(&self, instance: &InstanceId) -> bool {
        self.compensating.contains_key(instance)
    }

    /// Why an instance may not run: its effect would be one too many to be undone.
    pub(super) fn beyond_undoing(&self, key: Key) -> Option<ActionError> {
        self.plan.node(key.at.node).compensation.as_ref()?;
        let open = self.state.compensations();
        if open.has_room(self.flights.len() + 1) {
            return None;
        }
        let message = format!(
            "an execution keeps at most {MAX_COMPENSATIONS} effects that it may have to undo, whose parameters have at most {MAX_COMPENSATION_BYTES} bytes"
        );
        Some(ActionError::limit("COMPENSATION_LIMIT", message))
    }

    /// Remembers what undoes the effect of an instance that has just succeeded.
    pub(super) fn register(
        &mut self,
        instance: &InstanceId,
        undo: Option<CompensationInput>,
        turn: &mut Turn<'_>,
    ) {
        #[cfg(sim_bug)]
        let undo = undo.filter(|_| !nebula_core::sim_bug::is_awake("undoing-is-forgotten"));
        if let Some(input) = undo {
            let fact = Fact::CompensationRegistered {
                instance: instance.clone(),
                input: input.fitting(),
            };
            self.note(fact, turn);
        }
    }

    /// Undoes the newest effect: of all, or of those in the body of `within`. Says whether there is
    /// none left, and nothing under way.
    pub(super) fn compensate(&mut self, within: Option<&InstanceId>, turn: &mut Turn<'_>) -> bool {
        let Some(newest) = self.state.compensations().newest(within) else {
            return within.is_some() || self.compensating.is_empty();
        };
        // Those that a body has begun to undo come to their end before anything else is undone.
        let busy = match within {
            None => !self.compensating.is_empty(),
            Some(_) => self.compensates(&newest.instance) || self.is_at_limit(),
        };
        if busy || newest.stuck || self.state.is_paused() {
            return false;
        }
        let instance = newest.instance.clone();
        let due = self.compensation_due.get(&instance);
        if due.is_some_and(|due| *due > turn.at) {
            return false;
        }
        self.compensation_due.remove(&instance);
        if let CompensationInput::Error(error) = &newest.input {
            let (attempt, error) = (newest.attempts + 1, error.clone());
            self.compensation_failed(instance, attempt, error, None, turn);
            return false;
        }
        let lost = newest.deadline.is_some();
        let undoing = Undoing {
            attempt: newest.attempts + u32::from(!lost),
            started: lost,
            asks: lost,
        };
        let attempt = undoing.attempt;
        self.compensating.insert(instance.clone(), undoing);
        turn.decision.commands.push(match lost {
            true => Command::Reconcile { instance, attempt },
            false => Command::Compensate { instance, attempt },
        });
        false
    }

    /// Goes on undoing bodies; says whether one of them is done with it.
    pub(super) fn unwind(&mut self, turn: &mut Turn<'_>) -> bool {
        for frame in self.unwinding.clone() {
            let owner = self.state.frames.get(frame).and_then(|run| run.owner);
            let owner = owner.map(|owner| self.instance(owner));
            if owner.is_none_or(|owner| self.compensate(Some(&owner), turn)) {
                self.unwinding.remove(&frame);
                self.stirred.insert(frame);
            }
        }
        !self.stirred.is_empty()
    }

    /// When the next effect may be undone, of those whose turn it is.
    pub(super) fn next_compensation(&self) -> Option<Timestamp> {
        let open = self.state.compensations();
        let due = |within: Option<&InstanceId>| {
            let newest = open.newest(within).filter(|newest| !newest.stuck)?;
            self.compensation_due.get(&newest.instance).copied()
        };
        match self.state.ending() {
            Some(ending) => due(None).filter(|_| ending.compensates()),
            None => {
                let frames = self.unwinding.iter();
                let owners = frames.filter_map(|frame| self.state.frames.get(*frame)?.owner);
                owners
                    .filter_map(|owner| due(Some(&self.instance(owner))))
                    .min()
            }
        }
    }

    pub(super) fn compensation_starting(
        &mut self,
        instance: InstanceId,
        (key, input, deadline): (String, Digest, Timestamp),
        turn: &mut Turn<'_>,
    ) {
        if self.state.is_paused() {
            // It has done nothing yet, and is prepared anew after the pause.
            self.compensating.remove(&instance);
            return;
        }
        let Some(undoing) = self.compensating.get_mut(&instance) else {
            return;
        };
        undoing.started = true;
        let fact = Fact::CompensationStarted {
            instance: instance.clone(),
            attempt: undoing.attempt,
            key,
            input,
            deadline,
        };
        self.note(fact, turn);
        turn.decision.commands.push(Command::Start { instance });
    }

    /// An attempt to undo an effect ended: it is undone, or tried again, or a person decides.
    pub(super) fn compensated(
        &mut self,
        instance: InstanceId,
        outcome: Result<Arc<Value>, ActionError>,
        micros: u64,
        turn: &mut Turn<'_>,
    ) {
        let Some(undoing) = self.compensating.remove(&instance) else {
            return;
        };
        match outcome {
            Ok(output) => {
                // It is done, whatever it says.
                let output = match codec::is_storable(&output) {
                    true => output,
                    false => Arc::default(),
                };
                let fact = Fact::CompensationSucceeded {
                    instance,
                    attempt: undoing.attempt,
                    output,
                    micros,
                };
                self.note(fact, turn);
            }
            Err(error) => {
                let again = self.compensation_again(&instance, undoing, &error, turn.at);
                self.compensation_failed(instance, undoing.attempt, error, again, turn);
            }
        }
    }

    /// The worker stops, and has dropped this attempt.
    pub(super) fn compensation_interrupted(&mut self, instance: InstanceId, turn: &mut Turn<'_>) {
        let plan = self.compensation_of(&instance);
        let repeats = plan.is_some_and(|plan| plan.effect != EffectClass::AtMostOnce);
        let undoing = self.compensating.get(&instance);
        if undoing.is_some_and(|it| it.started && !it.asks && repeats) {
            self.compensated(instance, Err(worker_stopped()), 0, turn);
        }
    }

    /// When an effect may be tried to be undone again, and whether this try counts; `None` if a
    /// person must decide.
    fn compensation_again(
        &self,
        instance: &InstanceId,
        undoing: Undoing,
        error: &ActionError,
        at: Timestamp,
    ) -> Option<(Timestamp, bool)> {
        let (plan, open) = (
            self.compensation_of(instance)?,
            self.state.compensations().get(instance)?,
        );
        let lost = undoing
            .attempt
            .saturating_sub(open.failures + open.drained + 1);
        let unknown = undoing.started && plan.effect == EffectClass::AtMostOnce;
        let after = match &error.class {
            // The question was answered: it did not happen. That is no failure.
            ErrorClass::Retryable { .. } if undoing.asks => {
                return (lost < MAX_LOST_ATTEMPTS).then_some((at, false));
            }
            _ if undoing.asks => return None,
            // Not the machine told it so but its worker, which goes away: that is no failure.
            ErrorClass::Cancelled if !unknown => return Some((at, false)),
            ErrorClass::Deferred { .. } if open.drained < MAX_DEFERRALS => {
                return deferral(error).map(|after| (at.plus(after), false));
            }
            ErrorClass::Deferred { after } => Some(*after),
            ErrorClass::Retryable { after } => *after,
            ErrorClass::Unknown | ErrorClass::Timeout if !unknown => None,
            _ => return None,
        };
        let failures = open.failures + 1;
        if failures >= plan.retry.max_attempts {
            return None;
        }
        let seed = self.compensation_identity(instance).seed();
        let delay = plan.retry.delay_after(failures, seed, after);
        Some((at.plus(delay), true))
    }

    fn compensation_failed(
        &mut self,
        instance: InstanceId,
        attempt: u32,
        error: ActionError,
        again: Option<(Timestamp, bool)>,
        turn: &mut Turn<'_>,
    ) {
        if let Some((due, _)) = again {
            self.compensation_due.insert(instance.clone(), due);
        }
        let fact = Fact::CompensationFailed {
            instance,
            attempt,
            error,
            retry_at: again.map(|(due, _)| due),
            counts: again.is_none_or(|(_, counts)| counts),
        };
        self.note(fact, turn);
    }

    /// A person decided about an effect that could not be undone.
    pub(super) fn compensation_unparked(
        &mut self,
        instance: InstanceId,
        decision: UnparkDecision,
        turn: &mut Turn<'_>,
    ) {
        let fact = Fact::Unparked {
            instance: Some(instance),
            decision,
            taken: crate::Taken::All,
        };
        self.note(fact, turn);
    }

    /// Says that a person must decide, if that is what undoing waits for.
    pub(super) fn park_compensation(&mut self, turn: &mut Turn<'_>) {
        let newest = self.state.compensations().newest(None);
        if newest.is_some_and(|newest| newest.stuck) && !self.is_busy() {
            self.park(turn);
        }
    }

    /// Takes up what an earlier holder was undoing, and settles attempts that it lost.
    pub(super) fn take_up_compensations(&mut self, turn: &mut Turn<'_>) {
        let open = self.state.compensations().open().iter();
        let begun = open.filter(|open| open.has_begun() && !open.stuck).cloned();
        for open in begun.collect::<Vec<_>>() {
            let Some(deadline) = open.deadline else {
                let due = open.due.map(|due| (open.instance, due));
                self.compensation_due.extend(due);
                continue;
            };
            let Some(plan) = self.compensation_of(&open.instance) else {
                continue;
            };
            let lost = open.lost();
            if plan.effect == EffectClass::AtMostOnce && plan.reconciles {
                // Until then the attempt may still act: its holder may only have been slow.
                self.compensation_due.insert(open.instance, deadline);
                continue;
            }
            let repeats = plan.effect != EffectClass::AtMostOnce && lost < MAX_LOST_ATTEMPTS;
            let again = repeats.then_some((turn.at, false));
            self.compensation_failed(open.instance, open.attempts, worker_lost(), again, turn);
        }
    }

    fn compensation_of(&self, instance: &InstanceId) -> Option<&PlanCompensation> {
        let node = self.plan.index_of(instance.node.as_str())?;
        self.plan.node(node).compensation.as_deref()
    }
}
