//! Instances that wait for signals, and the signals that wait for them.

use std::collections::BTreeMap;

use compact_str::CompactString;
use nebula_action::ActionError;
use nebula_core::Timestamp;

use super::{Flight, Machine, Task, Turn};
use crate::{
    Activation, At, Command, Fact, InstanceId, Key, MAX_KEPT_SIGNALS, NamedSignal, Outcome, Taken,
    activation::elements_of,
};

/// The most items of a list that grows.
const MAX_GROWN_ITEMS: u32 = 1_000_000;

impl Machine {
    /// A signal came: it is kept for whoever waits for it, now or later; one that is not to be kept,
    /// only if somebody waits now.
    pub(super) fn keep(&mut self, signal: NamedSignal, turn: &mut Turn<'_>) {
        if self.state.ending().is_some() {
            return;
        }
        let here = |it: &&NamedSignal| it.name == signal.name;
        let before = self.state.signals().iter().filter(here).count();
        let missed = !signal.keep && before >= self.waiters(&signal.name);
        let fact = if missed {
            let NamedSignal { name, id, .. } = signal;
            Fact::SignalMissed { name, id }
        } else if self.state.signals().len() < MAX_KEPT_SIGNALS {
            Fact::SignalReceived(signal)
        } else {
            let NamedSignal { name, id, .. } = signal;
            Fact::SignalRefused { name, id }
        };
        self.note(fact, turn);
    }

    /// How many instances wait for a signal of this name, as the state says.
    fn waiters(&self, name: &str) -> usize {
        let waits = |(at, it): &(At, &Activation)| {
            let awaits = it.signal.as_ref().is_some_and(|awaited| awaited == name);
            awaits && !it.has_ended() && !self.state.is_ending(at.frame)
        };
        self.state.all().filter(waits).count()
    }

    /// Lets go of signals that are not to be kept and whose taker is gone: its race was lost, or its
    /// connections could not be evaluated.
    pub(super) fn drop_transient(&mut self, turn: &mut Turn<'_>) {
        if self.state.signals().iter().all(|signal| signal.keep) {
            return;
        }
        let mut left = BTreeMap::new();
        let mut missed = Vec::new();
        for signal in self.state.signals() {
            let name = &signal.name;
            let left = left
                .entry(name.clone())
                .or_insert_with(|| self.waiters(name));
            if *left == 0 && !signal.keep {
                missed.push((name.clone(), signal.id.clone()));
            }
            *left = left.saturating_sub(1);
        }
        for (name, id) in missed {
            self.note(Fact::SignalMissed { name, id }, turn);
        }
    }

    pub(super) fn awaits(
        &mut self,
        instance: InstanceId,
        name: CompactString,
        due: Option<Timestamp>,
        turn: &mut Turn<'_>,
    ) {
        let Some((key, _)) = self.land(&instance) else {
            return;
        };
        let fact = Fact::SignalAwaited {
            instance,
            name,
            due,
        };
        self.note(fact, turn);
        self.listen(key);
    }

    /// Remembers that an instance waits for a signal, as the state says: after those that began to
    /// wait before it.
    pub(super) fn listen(&mut self, key: Key) {
        let Some(activation) = self.state.get(key.at) else {
            return;
        };
        if let (Some(name), Some(since)) = (&activation.signal, activation.started_at) {
            let listening = self.listening.entry(name.clone()).or_default();
            listening.insert((since, key));
            self.timers.extend(activation.due.map(|due| (due, key)));
        }
    }

    /// The name of the signal that an instance waits for.
    pub(super) fn awaited(&self, key: Key) -> Option<CompactString> {
        // An item waits for nothing that its list waits for.
        if key.item.is_some() {
            return None;
        }
        self.state.get(key.at)?.signal.clone()
    }

    /// Gives signals to those who wait for them, one at a time for each name.
    pub(super) fn hand_signals(&mut self, turn: &mut Turn<'_>) {
        loop {
            let ready = self.listening.iter().filter_map(|(name, keys)| {
                let (since, key) = keys.first()?;
                let signal = self.state.signal(name).is_some() && !self.is_taken(name);
                signal.then_some((*since, *key))
            });
            let mut ready: Vec<_> = ready.collect();
            ready.sort_unstable();
            if ready.is_empty() {
                return;
            }
            for (_, key) in ready {
                match self.state.get(key.at) {
                    Some(activation) if activation.items.is_some() => self.grow(key, turn),
                    _ => self.take(key, turn),
                }
            }
        }
    }

    /// A list takes in what the first signal of its name brings.
    fn grow(&mut self, key: Key, turn: &mut Turn<'_>) {
        let signal = self.awaited(key);
        let signal = signal.and_then(|name| self.state.signal(&name));
        let activation = self.state.get(key.at);
        let items = activation.and_then(|activation| activation.items.as_deref());
        let (Some(signal), Some(items)) = (signal, items) else {
            self.stop_listening(key);
            return;
        };
        let (elements, last) = elements_of(&signal.payload);
        let count = elements.len() as u32;
        if items.count.saturating_add(count) > MAX_GROWN_ITEMS {
            let message = format!(
                "the list would grow to more than {MAX_GROWN_ITEMS} elements, which is the limit"
            );
            let error = ActionError::limit("FOR_EACH_TOO_LONG", message);
            self.enough(key.at, Some(error), turn);
        } else {
            let fact = Fact::ItemsAdded {
                instance: self.instance(key),
                id: signal.id.clone(),
                count,
                last,
            };
            self.note(fact, turn);
            if last {
                self.stop_listening(key);
            }
        }
        self.hand_out(key.at, turn);
    }

    /// Whether somebody is about to take the first signal of this name.
    fn is_taken(&self, name: &str) -> bool {
        self.flights.iter().any(|(key, flight)| {
            flight.task == Task::Take && self.awaited(*key).is_some_and(|awaited| awaited == name)
        })
    }

    fn take(&mut self, key: Key, turn: &mut Turn<'_>) {
        self.stop_listening(key);
        let instance = self.instance(key);
        self.ask(key, Task::Take, 1, Command::Take { instance }, turn);
    }

    /// Its time is up.
    pub(super) fn expire(&mut self, key: Key, turn: &mut Turn<'_>) {
        self.stop_listening(key);
        let instance = self.instance(key);
        self.ask(key, Task::Expire, 1, Command::Expire { instance }, turn);
    }

    /// These wait for no signal any more.
    pub(super) fn unlisten(&mut self, ours: impl Fn(&Key) -> bool) {
        self.listening.retain(|_, keys| {
            keys.retain(|(_, key)| !ours(key));
            !keys.is_empty()
        });
        self.asking.retain(|key| !ours(key));
    }

    pub(super) fn stop_listening(&mut self, key: Key) {
        self.unlisten(|listener| *listener == key);
        self.timers.retain(|(_, timer)| *timer != key);
    }

    /// The time of a wait is up; a signal that is here by now is taken all the same.
    pub(super) fn expired(
        &mut self,
        key: Key,
        flight: Flight,
        outcome: Outcome,
        turn: &mut Turn<'_>,
    ) {
        if self.state.get(key.at).is_some_and(|it| it.claim.is_some()) {
            self.claim_expired(key, flight, outcome, turn);
            return;
        }
        let Outcome::Failed { error, taken, .. } = outcome else {
            return;
        };
        let here = self
            .awaited(key)
            .is_some_and(|name| self.state.signal(&name).is_some() && !self.is_taken(&name));
        if here && !self.state.is_ending(key.at.frame) && !self.state.is_paused() {
            self.take(key, turn);
        } else {
            self.failed(key, flight, error, taken, turn);
        }
    }

    pub(super) fn took(&mut self, instance: InstanceId, taken: Taken, turn: &mut Turn<'_>) {
        let Some((key, _)) = self.land(&instance) else {
            return;
        };
        let name = self.awaited(key);
        if let Some(signal) = name.and_then(|name| self.state.signal(&name)) {
            let id = signal.id.clone();
            let fact = Fact::SignalTaken {
                instance,
                id,
                taken,
            };
            self.note(fact, turn);
        }
    }
}
