//! Children that instances call and wait for.

use std::sync::Arc;

use nebula_action::{ActionError, ErrorClass};
use nebula_core::{ExecutionId, Timestamp};

use super::{Flight, Machine, Task, Turn, outcomes::at_hand};
use crate::{
    Command, Event, Fact, Given, InstanceId, Key, Outcome, Status, Stored, Taken, call::child_id,
};

impl Machine {
    /// The execution that an attempt of an instance calls, and the one in which the child's work
    /// began: its idempotency keys come from that one. So every attempt, and every retry of this
    /// execution, gives the child the same keys.
    #[must_use]
    pub fn child(
        &self,
        instance: &InstanceId,
        attempt: u32,
        now: Timestamp,
    ) -> (ExecutionId, ExecutionId) {
        let (began, generation) = self.work(instance);
        let ready_at = self.ready_at(instance);
        let tenant = &self.tenant;
        let origin = child_id(tenant, began, (instance, generation, 1), ready_at);
        if attempt == 1 && began == self.id {
            return (origin, origin);
        }
        let named = (instance, generation, attempt);
        (child_id(tenant, self.id, named, now), origin)
    }

    pub(super) fn calls(&mut self, event: Event, turn: &mut Turn<'_>) {
        let Event::Calls {
            instance,
            child,
            workflow,
            version,
            detached,
            taken,
        } = event
        else {
            return;
        };
        let Some((key, flight)) = self.land(&instance) else {
            return;
        };
        if flight.aborted || self.state.is_ending(key.at.frame) {
            // It was told to stop before it began: nothing of it is in the journal.
            return;
        }
        if self.state.is_paused() {
            self.make_ready(key);
            return;
        }
        let attempt = flight.attempt;
        let fact = Fact::ChildStarted {
            instance,
            attempt,
            child,
            workflow,
            version,
            detached,
            taken,
        };
        self.note(fact, turn);
        if !detached {
            self.calls.insert(key, child);
        }
    }

    pub(super) fn child_ended(
        &mut self,
        instance: InstanceId,
        (child, status): (ExecutionId, Status),
        outcome: Outcome,
        turn: &mut Turn<'_>,
    ) {
        let Some(key) = self.key(&instance) else {
            return;
        };
        let waits_for = self.state.get(key.at).and_then(|it| it.child);
        if waits_for != Some(child) || key.item.is_some() {
            // Nobody waits for it any more, or ever did.
            return;
        }
        self.calls.remove(&key);
        self.stirred.insert(key.at.frame);
        let ended = |output, blob, taken| Fact::ChildEnded {
            instance,
            child,
            status,
            output,
            blob,
            taken,
        };
        let (mut error, taken) = match outcome {
            Outcome::Succeeded { output, taken, .. } => {
                let fact = match &output {
                    Given::Blob(stored) => {
                        let stored = Arc::new(Stored::new(stored.blob()));
                        ended(None, Some(stored), taken)
                    }
                    output => ended(Some(at_hand(output)), None, taken),
                };
                self.note(fact, turn);
                return;
            }
            Outcome::Failed { error, taken, .. } => (error, taken),
        };
        self.note(ended(None, None, Taken::All), turn);
        let attempt = self.attempts(key);
        if self.is_hopeless(key) {
            if status == Status::Cancelled {
                error = given_up(error);
            }
            self.failed_for_good(key, attempt, error, taken, turn);
            return;
        }
        let flight = Flight {
            task: Task::Run,
            attempt,
            journalled: false,
            aborted: false,
        };
        self.failed(key, flight, error, taken, turn);
    }

    /// Asks every child to end that something in these frames waits for.
    pub(super) fn cancel_children(
        &self,
        frames: impl IntoIterator<Item = u32>,
        turn: &mut Turn<'_>,
    ) {
        for frame in frames {
            let commands = self.children_in(frame);
            let commands = commands.map(|child| Command::CancelChild { child });
            turn.decision.commands.extend(commands);
        }
    }

    /// The children that something in a frame waits for.
    pub(super) fn children_in(&self, frame: u32) -> impl Iterator<Item = ExecutionId> {
        let keys = Key::of_frame(frame)..Key::of_frame(frame + 1);
        self.calls.range(keys).map(|(_, child)| *child)
    }
}

/// The error of a call whose child was asked to end because nothing of it is wanted any more.
fn given_up(error: ActionError) -> ActionError {
    ActionError {
        class: ErrorClass::Cancelled,
        ..error
    }
}
