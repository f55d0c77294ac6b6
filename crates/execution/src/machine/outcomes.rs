//! How attempts end: results, retries, unknown outcomes.

use std::{sync::Arc, time::Duration};

use compact_str::CompactString;
use nebula_action::{ActionError, EffectClass, ErrorClass};
use nebula_core::{BlobId, Digest, Timestamp};
use nebula_resilience::MAX_RETRY_AFTER;
use nebula_workflow::{OnError, OnIndeterminate};
use serde_json::Value;

use super::{Flight, Machine, Task, Turn};
use crate::{
    Command, CompensationInput, Fact, Given, InstanceId, ItemOutcome, Key, MAX_VALUE_DEPTH,
    Outcome, Stored, Taken, codec, footprint, state::TOP,
};

/// Up to about so many bytes of memory, `$json` that is passed on stands in the journal again: an
/// entry that can be read alone is worth more than they are.
pub(super) const SMALL_JSON: usize = 4 * 1024;

/// How deep a result stands in the output of whoever runs a part of a list, beside the list itself.
const PART_DEPTH: usize = 4;

/// How often an instance may be lost with its worker before that counts as its failure; what a worker
/// interrupts that stops in order is not lost. Each loss is progress in the journal, so the store's
/// count of grants without progress would never stop a node that takes its worker down.
pub(super) const MAX_LOST_ATTEMPTS: u32 = 10;

/// How often an instance may be put off without that being its failure.
pub const MAX_DEFERRALS: u32 = 1_000;

/// The shortest time for which an attempt is put off: nothing runs in circles.
const MIN_DEFERRAL: Duration = Duration::from_millis(100);

/// The attempts of an instance so far.
#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    attempts: u32,
    /// Those that count against its policy.
    failures: u32,
    /// Those that a worker interrupted which stopped in order, and those that were put off.
    drained: u32,
}

impl Machine {
    /// The parameters of an attempt are resolved: its start goes into the journal, then it begins.
    pub(super) fn starting(
        &mut self,
        instance: InstanceId,
        (key, input, deadline): (String, Digest, Timestamp),
        turn: &mut Turn<'_>,
    ) {
        if self.compensates(&instance) {
            self.compensation_starting(instance, (key, input, deadline), turn);
            return;
        }
        let Some(at) = self.key(&instance) else {
            return;
        };
        let ending = self.state.is_ending(at.at.frame);
        let Some(flight) = self.flights.get_mut(&at) else {
            return;
        };
        #[cfg(sim_bug)]
        let asleep = !nebula_core::sim_bug::is_awake("begins-though-cancelled");
        #[cfg(not(sim_bug))]
        let asleep = true;
        if asleep && (ending || flight.aborted) {
            // It was told to stop before it began: nothing of it is in the journal.
            self.flights.remove(&at);
            self.stirred.insert(at.at.frame);
            self.released(at, turn);
            return;
        }
        if self.state.is_paused() {
            // It has done nothing yet, and is prepared anew after the pause.
            self.flights.remove(&at);
            self.make_ready(at);
            return;
        }
        flight.journalled = true;
        let fact = Fact::AttemptStarted {
            instance: instance.clone(),
            attempt: flight.attempt,
            key,
            input,
            deadline,
        };
        self.note(fact, turn);
        turn.decision.commands.push(Command::Start { instance });
    }

    /// What an attempt put stands before its end, which may name it. Of one that was given up, nothing
    /// does: nobody has its result.
    pub(super) fn put(&mut self, instance: InstanceId, blobs: Vec<BlobId>, turn: &mut Turn<'_>) {
        let flight = self.key(&instance).and_then(|key| {
            let flight = *self.flights.get(&key)?;
            (!self.is_moot(key, flight)).then_some(flight)
        });
        if let Some(Flight { attempt, .. }) = flight
            && !blobs.is_empty()
        {
            let fact = Fact::BlobsPut {
                instance,
                attempt,
                blobs,
            };
            self.note(fact, turn);
        }
    }

    pub(super) fn finished(
        &mut self,
        instance: &InstanceId,
        outcome: Outcome,
        micros: u64,
        turn: &mut Turn<'_>,
    ) {
        let Some((key, flight)) = self.land(instance) else {
            // The machine gave up on this attempt before it ended.
            return;
        };
        if flight.task == Task::Expire {
            self.expired(key, flight, outcome, turn);
            return;
        }
        match outcome {
            Outcome::Succeeded {
                output,
                taken,
                undo,
                ..
            } if !self.fits(key, &output) => {
                // Its connections were evaluated for a result that cannot be kept.
                let taken = match self.plan.node(key.at.node).on_error {
                    OnError::Continue => taken,
                    OnError::Fail | OnError::Route => Taken::All,
                };
                self.failed_for_good(
                    key,
                    flight.attempt,
                    codec::too_deep("the result"),
                    taken,
                    turn,
                );
                self.register(instance, undo, turn);
            }
            Outcome::Succeeded {
                output,
                port,
                lineage,
                taken,
                undo,
            } => {
                let result = (output, port, lineage, taken);
                self.succeeded(key, flight, result, (undo, micros), turn);
            }
            Outcome::Failed { error, taken, undo } => {
                match flight.task {
                    Task::Reconcile | Task::GiveUp => {
                        self.asked_in_vain(key, flight, error, taken, turn);
                    }
                    _ => self.failed(key, flight, error, taken, turn),
                }
                self.register(instance, undo, turn);
            }
        }
    }

    /// Whether a result can be read back; that of an item stands in a list.
    fn fits(&self, key: Key, output: &Given) -> bool {
        let mut most = MAX_VALUE_DEPTH - usize::from(key.item.is_some());
        if self.state.part().is_some() && key.at.frame == TOP {
            most -= PART_DEPTH;
        }
        match output {
            Given::Value(value) => codec::nests_within(value, most),
            // Whoever wrote it has looked; and a list is of results that fitted.
            Given::Blob(_) | Given::List(_) | Given::Made(_) => true,
        }
    }

    fn succeeded(
        &mut self,
        key: Key,
        flight: Flight,
        (output, port, lineage, taken): (Given, CompactString, Option<Vec<u32>>, Taken),
        (undo, micros): (Option<CompensationInput>, u64),
        turn: &mut Turn<'_>,
    ) {
        if self.is_quiet(key, flight) {
            let outcome = ItemOutcome::of(let_go(output));
            self.item_ended(key, outcome, turn);
            return;
        }
        let instance = self.instance(key);
        let attempt = flight.attempt;
        let fact = if lineage.is_none() && self.passes_on(key, &output) {
            Fact::JsonPassed {
                instance: instance.clone(),
                attempt,
                port,
                taken,
            }
        } else if let Given::Blob(stored) = &output {
            Fact::AttemptSpilled {
                instance: instance.clone(),
                attempt,
                blob: stored.blob(),
                port,
                lineage,
                taken,
                micros,
            }
        } else {
            Fact::AttemptSucceeded {
                instance: instance.clone(),
                attempt,
                output: at_hand(&output),
                port,
                lineage,
                taken,
                micros,
            }
        };
        self.note(fact, turn);
        self.register(&instance, undo, turn);
        self.released(key, turn);
    }

    /// Whether a result is the `$json` of its instance, not an equal one, and so large that the
    /// journal does not have it twice. What lies in one blob is one value.
    fn passes_on(&self, key: Key, output: &Given) -> bool {
        let is_json = || match (self.state.json(&self.plan, key.at), output) {
            (Given::Value(json), Given::Value(output)) => {
                Arc::ptr_eq(&json, output) && footprint(output) > SMALL_JSON
            }
            (Given::List(json), Given::List(output)) => Arc::ptr_eq(&json, output),
            (Given::Blob(json), Given::Blob(output)) => json == *output,
            (Given::Made(json), Given::Made(output)) => Arc::ptr_eq(&json, output),
            _ => false,
        };
        key.item.is_none() && is_json()
    }

    /// Whether an item's outcome may wait for a batch: nothing outside hangs on it.
    fn is_quiet(&self, key: Key, flight: Flight) -> bool {
        let node = self.plan.node(key.at.node);
        let effect = node.effect.writes() || node.compensation.is_some();
        key.item.is_some() && !flight.journalled && !effect
    }

    /// An attempt ended with an error: again, indeterminate, or final.
    pub(super) fn failed(
        &mut self,
        key: Key,
        flight: Flight,
        error: ActionError,
        taken: Taken,
        turn: &mut Turn<'_>,
    ) {
        if flight.task == Task::Enter {
            self.not_entered(key, flight, error, turn);
            return;
        }
        if flight.task == Task::Cut {
            self.not_cut(key, error, turn);
            return;
        }
        if flight.task == Task::Collect {
            if self.not_collected(key.at, &error, turn) {
                return;
            }
            // Items are tried again one by one, never the whole list.
            self.failed_for_good(key, flight.attempt, error, taken, turn);
            return;
        }
        if error.class == ErrorClass::Cancelled {
            self.cancelled(key, flight, error, taken, turn);
            return;
        }
        if self.is_unknown(key, flight, &error) {
            self.indeterminate(key, flight.attempt, error, turn);
            return;
        }
        if let Some(due) = self.deferred_until(key, &error, turn.at) {
            self.try_again(key, flight.attempt, error, (due, false), turn);
            return;
        }
        if let Some(due) = self.retry_at(key, flight, &error, turn.at) {
            self.try_again(key, flight.attempt, error, (due, true), turn);
            return;
        }
        let goes_on = self.plan.node(key.at.node).goes_on();
        if goes_on && self.is_quiet(key, flight) && self.attempts(key) == 0 {
            self.item_ended(key, ItemOutcome::Error(error), turn);
            return;
        }
        self.failed_for_good(key, flight.attempt, error, taken, turn);
    }

    /// An attempt was told to stop, and did.
    pub(super) fn cancelled(
        &mut self,
        key: Key,
        flight: Flight,
        error: ActionError,
        taken: Taken,
        turn: &mut Turn<'_>,
    ) {
        let wanted = flight.aborted || self.is_hopeless(key);
        if wanted && !flight.journalled {
            // Nothing of it is in the journal, and nothing needs to be.
            self.released(key, turn);
        } else if wanted {
            self.failed_for_good(key, flight.attempt, error, taken, turn);
        } else if self.asks_a_person(key) && flight.journalled {
            self.indeterminate(key, flight.attempt, error, turn);
        } else {
            // Not the machine told it so but its worker, which goes away: that is no failure.
            self.try_again(key, flight.attempt, error, (turn.at, false), turn);
        }
    }

    /// Whether an error leaves open if the outside was changed, and nobody but a person may say.
    fn is_unknown(&self, key: Key, flight: Flight, error: &ActionError) -> bool {
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("late-write-is-repeated") {
            return false;
        }
        let open = matches!(error.class, ErrorClass::Unknown | ErrorClass::Timeout);
        open && flight.journalled && self.asks_a_person(key)
    }

    /// Whether a person must decide about unknown effects of this node.
    fn asks_a_person(&self, key: Key) -> bool {
        let node = self.plan.node(key.at.node);
        node.effect == EffectClass::AtMostOnce && node.on_indeterminate == OnIndeterminate::Park
    }

    /// Whether nothing that this instance could still do has any use.
    pub(super) fn is_hopeless(&self, key: Key) -> bool {
        self.state.is_ending(key.at.frame) || self.items_over(key) || self.is_given_up(key.at)
    }

    pub(super) fn try_again(
        &mut self,
        key: Key,
        attempt: u32,
        error: ActionError,
        (due, counts): (Timestamp, bool),
        turn: &mut Turn<'_>,
    ) {
        let fact = Fact::AttemptFailed {
            instance: self.instance(key),
            attempt,
            error,
            retry_at: Some(due),
            counts,
            taken: Taken::Only(Vec::new()),
        };
        self.note(fact, turn);
        #[cfg(sim_bug)]
        let due = match nebula_core::sim_bug::is_awake("backoff-is-skipped") {
            true => turn.at,
            false => due,
        };
        self.timers.insert((due, key));
    }

    /// Notes an instance's final failure.
    pub(super) fn failed_for_good(
        &mut self,
        key: Key,
        attempt: u32,
        error: ActionError,
        taken: Taken,
        turn: &mut Turn<'_>,
    ) {
        let fact = Fact::AttemptFailed {
            instance: self.instance(key),
            attempt,
            error,
            retry_at: None,
            counts: true,
            taken,
        };
        self.note(fact, turn);
        if key.item.is_none() {
            self.hands.remove(&key.at);
        }
        self.released(key, turn);
    }

    /// The outcome of an at-most-once attempt stays unknown: a person decides.
    pub(super) fn indeterminate(
        &mut self,
        key: Key,
        attempt: u32,
        error: ActionError,
        turn: &mut Turn<'_>,
    ) {
        let instance = self.instance(key);
        let fact = Fact::AttemptIndeterminate {
            instance,
            attempt,
            error,
        };
        self.note(fact, turn);
        self.released(key, turn);
    }

    /// How many attempts of an instance were lost with their workers.
    pub(super) fn lost_so_far(&self, key: Key) -> u32 {
        let tries = self.tries(key);
        tries
            .attempts
            .saturating_sub(tries.failures + tries.drained)
    }

    fn tries(&self, Key { at, item }: Key) -> Tries {
        let Some(activation) = self.state.get(at) else {
            return Tries::default();
        };
        match (item, &activation.items) {
            (Some(item), Some(items)) => {
                items
                    .open
                    .get(&item)
                    .map_or_else(Tries::default, |open| Tries {
                        attempts: open.attempts,
                        failures: open.failures,
                        drained: open.drained,
                    })
            }
            _ => Tries {
                attempts: activation.attempts,
                failures: activation.failures,
                drained: activation.drained,
            },
        }
    }

    /// When an attempt that was put off is made again; `None` if it was not, or too often.
    fn deferred_until(&self, key: Key, error: &ActionError, at: Timestamp) -> Option<Timestamp> {
        let late = self.is_hopeless(key) || self.tries(key).drained >= MAX_DEFERRALS;
        deferral(error)
            .filter(|_| !late)
            .map(|after| at.plus(after))
    }

    /// When the next attempt may begin; `None` if there is none.
    fn retry_at(
        &self,
        key: Key,
        flight: Flight,
        error: &ActionError,
        at: Timestamp,
    ) -> Option<Timestamp> {
        if self.is_hopeless(key) {
            return None;
        }
        let node = self.plan.node(key.at.node);
        let failures = self.tries(key).failures + 1;
        let unknown = flight.journalled && node.effect == EffectClass::AtMostOnce;
        #[cfg(sim_bug)]
        let unknown = unknown && !nebula_core::sim_bug::is_awake("late-write-is-repeated");
        let (again, after) = match &error.class {
            ErrorClass::Retryable { after } => (true, *after),
            ErrorClass::Deferred { after } => (true, Some(*after)),
            ErrorClass::Unknown | ErrorClass::Timeout => (
                !unknown || node.on_indeterminate == OnIndeterminate::Retry,
                None,
            ),
            _ => (false, None),
        };
        if !again || failures >= node.retry.max_attempts {
            return None;
        }
        let seed = self.identity(&self.instance(key)).seed();
        Some(at.plus(node.retry.delay_after(failures, seed, after)))
    }
}

/// How long an error puts the attempt off.
pub(super) fn deferral(error: &ActionError) -> Option<Duration> {
    match &error.class {
        ErrorClass::Deferred { after } => Some((*after).clamp(MIN_DEFERRAL, MAX_RETRY_AFTER)),
        _ => None,
    }
}

/// The same, without what is in memory of a blob: a state keeps its name alone.
pub(super) fn let_go(output: Given) -> Given {
    match output {
        Given::Blob(stored) => Given::Blob(Arc::new(Stored::new(stored.blob()))),
        output => output,
    }
}

/// A result that is at hand, since it lies in no blob.
pub(super) fn at_hand(output: &Given) -> Arc<Value> {
    let value = output.value();
    value.expect("whoever tells of a result that is no blob's has it at hand")
}
