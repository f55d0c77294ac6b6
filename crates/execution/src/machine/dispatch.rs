//! What follows from the state as it is: launching, timers, parking, ending.

use nebula_action::{ActionError, ActionKind};

use super::{Machine, Task, Turn};
use crate::{
    At, Command, EndReason, Ending, Fact, InstanceStatus, Key, ParkReason, state::TOP, tokens,
};

impl Machine {
    /// Everything that follows from the state as it is now.
    pub(super) fn dispatch(&mut self, turn: &mut Turn<'_>) {
        if self.state.end_status().is_some() || self.state.started().is_none() {
            return;
        }
        self.time_out(turn);
        if self.state.ending().is_some() {
            #[cfg(sim_bug)]
            let left = match nebula_core::sim_bug::is_awake("begins-though-cancelled") {
                true => self.ready.pop(),
                false => None,
            };
            self.wind_up(turn);
            #[cfg(sim_bug)]
            if let Some(left) = left.filter(|_| self.state.end_status().is_none()) {
                self.launch(left.order.0, turn);
            }
            return;
        }
        if self.is_poisoned() {
            return;
        }
        if self.state.is_paused() {
            self.pause_rests(turn);
            return;
        }
        self.drop_transient(turn);
        self.hand_signals(turn);
        self.take_decisions(turn);
        loop {
            self.see_to_milestones(turn);
            self.fire_timers(turn);
            self.close_bodies(turn);
            while self.settle_given_up(turn) {
                self.close_bodies(turn);
            }
            self.see_to_claims(turn);
            // Timers that were held back for a slot of the execution may be due with its return.
            let next = self.timers.first();
            if next.is_none_or(|(due, _)| *due > turn.at) {
                break;
            }
        }
        self.see_to_milestones(turn);
        while !self.is_at_limit()
            && let Some(ready) = self.ready.pop()
        {
            self.launch(ready.order.0, turn);
        }
        if self.is_busy() || !self.ready.is_empty() || self.asked_output {
            return;
        }
        if self.state.open() == 0 {
            self.asked_output = true;
            turn.decision.commands.push(Command::Output);
            return;
        }
        // The holder may let go now; what was computed need not be computed again.
        self.settle_all(turn);
        self.park(turn);
        assert!(
            !self.timers.is_empty()
                || !self.listening.is_empty()
                || !self.asking.is_empty()
                || !self.calls.is_empty()
                || !self.unwinding.is_empty()
                || self.claims_later()
                || self.state.parked().is_some(),
            "something is open, and nothing will ever wake it"
        );
    }

    /// While the execution is paused, nothing starts and no timer fires. What was under way comes
    /// to its end; if nothing is left to do after it, so does the execution.
    fn pause_rests(&mut self, turn: &mut Turn<'_>) {
        if self.is_busy() || self.asked_output {
            return;
        }
        if self.state.open() == 0 {
            self.asked_output = true;
            turn.decision.commands.push(Command::Output);
            return;
        }
        self.settle_all(turn);
        self.park(turn);
    }

    /// Ends the execution once its own time is up.
    fn time_out(&mut self, turn: &mut Turn<'_>) {
        let over = self.deadline().is_some_and(|deadline| turn.at >= deadline);
        if !over || self.state.ending().is_some() {
            return;
        }
        let reason = EndReason::Timeout;
        self.note(Fact::CancellationRequested { reason }, turn);
        if self.is_poisoned() {
            // Nobody has looked yet at what was under way.
            self.rebuild(turn);
        }
    }

    /// Says that a person must decide, where that is so and was not said.
    pub(super) fn park(&mut self, turn: &mut Turn<'_>) {
        let unknown = match self.ends_by_person() {
            // Whoever cancels leaves these questions open.
            true => Vec::new(),
            false => self.state.indeterminate(&self.plan),
        };
        let reason = match unknown.is_empty() {
            true => ParkReason::Compensation(self.state.compensations().stuck()),
            false => ParkReason::Indeterminate(unknown),
        };
        let said = match (self.state.parked(), &reason) {
            (Some(ParkReason::Poison { .. }), _) => true,
            (Some(said), reason) => said == reason,
            (None, ParkReason::Compensation(stuck)) => stuck.is_empty(),
            (None, _) => false,
        };
        if !said {
            self.note(Fact::Parked { reason }, turn);
        }
    }

    /// Whether as many attempts are under way as may be, those to undo effects among them.
    pub(super) fn is_at_limit(&self) -> bool {
        let limit = self
            .state
            .part()
            .map_or(self.plan.concurrency, |it| it.concurrency) as usize;
        #[cfg(sim_bug)]
        let limit = limit + usize::from(nebula_core::sim_bug::is_awake("one-attempt-too-many"));
        self.flights.len() + self.compensating.len() >= limit
    }

    /// Whether a command has not been answered.
    pub(super) fn is_busy(&self) -> bool {
        !self.flights.is_empty() || !self.compensating.is_empty()
    }

    pub(super) fn ends_by_person(&self) -> bool {
        matches!(self.state.ending(), Some(Ending::Cancel(_)))
    }

    fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        while let Some((due, key)) = self.timers.first().copied() {
            #[cfg(sim_bug)]
            let due = match nebula_core::sim_bug::is_awake("timer-fires-early") {
                true => nebula_core::Timestamp::from_millis(due.as_millis() - 5_000),
                false => due,
            };
            if due > turn.at {
                return;
            }
            self.timers.pop_first();
            if self.claim_due(key, turn) {
                continue;
            }
            if self.lost_attempt(key).is_none() && self.is_held_back(key) {
                self.late.insert((due, key));
                continue;
            }
            let activation = self.state.get(key.at);
            let timer =
                activation.is_some_and(|it| it.timer && it.status == InstanceStatus::Waiting);
            if self.is_body(key) {
                self.body_due(key, turn);
            } else if let Some((attempt, _)) = self.lost_attempt(key) {
                self.ask_about(key, Task::Reconcile, attempt, turn);
            } else if self.approval(key).is_some() {
                self.conclude_votes(key, turn);
            } else if self.awaited(key).is_some() {
                self.expire(key, turn);
            } else if timer {
                let instance = self.instance(key);
                self.ask(key, Task::Fire, 1, Command::Fire { instance }, turn);
            } else {
                self.make_ready(key);
            }
        }
    }

    /// Whether a slot is not held without which this must not start.
    fn is_held_back(&self, key: Key) -> bool {
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("lock-is-not-taken-again") {
            return false;
        }
        !self.claims.is_empty() && self.state.lacks_slot(key.at.frame)
    }

    pub(super) fn launch(&mut self, key: Key, turn: &mut Turn<'_>) {
        if key.at.frame != TOP && self.state.is_ending(key.at.frame) {
            return;
        }
        if self.is_held_back(key) {
            self.held_back.insert(key);
            return;
        }
        if self.cuts(key, turn) {
            return;
        }
        if key.item.is_some() && self.plan.body_of(key.at.node).is_some() {
            self.enter(key, turn);
            return;
        }
        if let Some(error) = self.beyond_its_rounds(key.at) {
            self.ask_collect(key.at, Some(error), turn);
            return;
        }
        if let Some(error) = self.beyond_undoing(key) {
            let instance = self.instance(key);
            let (attempt, error) = (self.attempts(key) + 1, Some(Box::new(error)));
            let command = Command::Collect { instance, error };
            self.ask(key, Task::Collect, attempt, command, turn);
            return;
        }
        let node = self.plan.node(key.at.node);
        let inert = node.disabled || node.pin.is_some();
        let part = key.at.frame == TOP && self.state.part().is_some();
        let list = key.item.is_none() && (node.for_each.is_some() || node.each_item || part);
        let code = node.kind == ActionKind::Code && !inert;
        let journal_start = code && (self.careful || node.effect.writes());
        let instance = self.instance(key);
        let attempt = self.attempts(key) + 1;
        #[cfg(sim_bug)]
        let attempt = match nebula_core::sim_bug::is_awake("attempt-number-is-reused") {
            true => self.attempts(key).max(1),
            false => attempt,
        };
        if list && !inert {
            self.ask(key, Task::Open, attempt, Command::Open { instance }, turn);
            return;
        }
        let command = Command::Run {
            instance,
            attempt,
            journal_start,
        };
        self.ask(key, Task::Run, attempt, command, turn);
    }

    /// Why an activation may not run: its loop has had all of its rounds.
    fn beyond_its_rounds(&self, at: At) -> Option<ActionError> {
        let number = self.plan.loop_of(at.node)?;
        let frame = self.state.frames.get(at.frame)?;
        let most = self.plan.loops[number as usize].max_rounds;
        let beyond = tokens::is_beyond(frame, &self.plan, at.node);
        beyond.then(|| {
            let message =
                format!("the loop goes on after {most} rounds; `max_rounds` allows no more");
            ActionError::limit("LOOP_TOO_LONG", message)
        })
    }

    /// The highest attempt number that an instance has used.
    pub(super) fn attempts(&self, Key { at, item }: Key) -> u32 {
        let Some(activation) = self.state.get(at) else {
            return 0;
        };
        match (item, &activation.items) {
            (Some(item), Some(items)) => items.open.get(&item).map_or(0, |open| open.attempts),
            _ => activation.attempts,
        }
    }

    /// Stops what runs; once nothing does, undoes what is to be undone, and ends the execution.
    fn wind_up(&mut self, turn: &mut Turn<'_>) {
        self.asked_output = false;
        self.ready.clear();
        self.inquiring.clear();
        if !std::mem::replace(&mut self.winding_up, true) {
            let running: Vec<_> = self.flights.keys().copied().collect();
            for key in running {
                self.abort(key, turn);
            }
            let frames: Vec<_> = self.state.frames.iter().map(|(frame, _)| frame).collect();
            self.cancel_children(frames, turn);
        }
        // A child does not outlive the one that waits for it.
        if !self.flights.is_empty() || !self.calls.is_empty() {
            return;
        }
        self.give_up_questions(turn);
        if !self.ends_by_person() && !self.state.indeterminate(&self.plan).is_empty() {
            self.park(turn);
            return;
        }
        let undoes = self.state.ending().is_some_and(Ending::compensates);
        if undoes && !self.compensate(None, turn) {
            self.park_compensation(turn);
            return;
        }
        if self.is_busy() {
            // What has begun to be undone comes to its end, also where an early end keeps the rest.
            return;
        }
        let fact = match self.state.ending().cloned() {
            Some(Ending::Fail(error)) => Fact::ExecutionFailed { error },
            Some(Ending::Cancel(reason) | Ending::Quit(reason)) => {
                Fact::ExecutionCancelled { reason }
            }
            Some(Ending::Timeout) => Fact::ExecutionTimedOut,
            Some(Ending::Stop(output)) => Fact::ExecutionCompleted { output },
            None => return,
        };
        self.note(fact, turn);
    }

    /// Tells an attempt that is under way to stop, once.
    pub(super) fn abort(&mut self, key: Key, turn: &mut Turn<'_>) {
        let instance = self.instance(key);
        if let Some(flight) = self.flights.get_mut(&key)
            && !std::mem::replace(&mut flight.aborted, true)
        {
            turn.decision.commands.push(Command::Abort { instance });
        }
    }
}
