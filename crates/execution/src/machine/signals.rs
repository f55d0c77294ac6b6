//! What people say to an execution. All of it is foreign input: what does not fit is passed over.

use super::{Machine, Turn};
use crate::{
    CompensationInput, EndReason, Ending, Fact, InstanceId, Key, ParkReason, Signal, Taken,
    UnparkDecision,
};

impl Machine {
    pub(super) fn signalled(
        &mut self,
        signal: Signal,
        taken: Taken,
        undo: Option<CompensationInput>,
        turn: &mut Turn<'_>,
    ) {
        match signal {
            Signal::Cancel { reason } => self.cancel(reason, turn),
            Signal::Pause { reason } => self.pause(reason, turn),
            Signal::Unpause => self.unpause(turn),
            Signal::Named(signal) => self.keep(signal, turn),
            Signal::Vote(ballot) => self.vote(*ballot, turn),
            // Its connections were evaluated: it comes as an event of its own.
            Signal::ChildEnded(_) => {}
            Signal::Unpark {
                instance: None,
                decision,
            } => self.unpark_poison(decision, taken, turn),
            Signal::Unpark {
                instance: Some(instance),
                decision,
            } => self.unpark(instance, decision, (taken, undo), turn),
        }
    }

    /// Ends the execution early. Where it already ends and only a person's decision is missing,
    /// this is that decision: it ends with the question open.
    fn cancel(&mut self, reason: String, turn: &mut Turn<'_>) {
        let news = match (self.state.ending(), self.state.parked()) {
            (None, _) => true,
            (Some(Ending::Cancel(_)), _) => false,
            // Undoing goes on until it is done.
            (Some(_), Some(ParkReason::Compensation(_)) | None) => false,
            (Some(_), Some(_)) => true,
        };
        if !news {
            return;
        }
        if self.state.is_paused() && !self.state.compensations().open().is_empty() {
            // Whoever wants it to end wants what belongs to that.
            self.note(Fact::Resumed, turn);
        }
        let reason = EndReason::Requested(reason);
        self.note(Fact::CancellationRequested { reason }, turn);
        if self.is_poisoned() && !self.is_busy() {
            // Nobody has looked yet at what was under way.
            self.rebuild(turn);
        }
    }

    /// Nothing new starts from now on. An execution that is about to end goes on to its end.
    fn pause(&mut self, reason: String, turn: &mut Turn<'_>) {
        if !self.state.is_paused() {
            self.note(Fact::PauseRequested { reason }, turn);
        }
    }

    fn unpause(&mut self, turn: &mut Turn<'_>) {
        if self.state.is_paused() {
            self.note(Fact::Resumed, turn);
        }
    }

    fn unpark_poison(&mut self, decision: UnparkDecision, taken: Taken, turn: &mut Turn<'_>) {
        if !self.is_poisoned() {
            return;
        }
        match decision {
            UnparkDecision::Retry => {}
            UnparkDecision::Failed => {
                let reason = "a person gave it up after it was parked".to_owned();
                let reason = EndReason::Requested(reason);
                self.note(Fact::CancellationRequested { reason }, turn);
            }
            // There is no one node whose result this could be.
            UnparkDecision::Succeeded(_) => return,
        }
        let fact = Fact::Unparked {
            instance: None,
            decision,
            taken,
        };
        self.note(fact, turn);
        if !self.is_busy() {
            self.rebuild(turn);
        }
    }

    fn unpark(
        &mut self,
        instance: InstanceId,
        decision: UnparkDecision,
        (taken, undo): (Taken, Option<CompensationInput>),
        turn: &mut Turn<'_>,
    ) {
        let open = self.state.compensations().get(&instance);
        if open.is_some_and(|open| open.stuck) {
            self.compensation_unparked(instance, decision, turn);
            return;
        }
        // A decision about something that is no longer open has nothing to decide.
        if !self.state.is_indeterminate(&self.plan, &instance) {
            return;
        }
        let Some(key) = self.key(&instance) else {
            return;
        };
        let again = decision == UnparkDecision::Retry;
        let happened = matches!(decision, UnparkDecision::Succeeded(_));
        let fact = Fact::Unparked {
            instance: Some(instance.clone()),
            decision,
            taken,
        };
        self.note(fact, turn);
        self.register(&instance, undo.filter(|_| happened), turn);
        if self.is_poisoned() {
            // Nothing runs before somebody decides about that, too.
            return;
        }
        match key {
            Key {
                at,
                item: Some(item),
            } => {
                if again {
                    self.item_again(at, item);
                }
                self.hand_out(at, turn);
            }
            _ if again && !self.is_given_up(key.at) => {
                self.timers.insert((turn.at, key));
            }
            _ => {}
        }
    }
}
