//! The items of a `for_each`: handed out within a window, settled in batches.

use std::collections::{BTreeMap, BTreeSet};

use super::{Machine, Turn};
use crate::{At, Fact, ItemOutcome, Key};

/// How many outcomes are settled by one entry at most.
const SETTLE_BATCH: usize = 64;

/// What a crash may forget of a `for_each` that is under way.
///
/// Every item is in exactly one place: not handed out yet (at or after `next`), out, waiting to be
/// out `again`, ended (in `outcomes` or in the state), or indeterminate in the state.
#[derive(Debug, Default)]
pub(super) struct Hand {
    /// The first item that was not handed out yet.
    next: u32,
    /// Items that are ready, under way or waiting for a retry; never more than the window.
    out: u32,
    /// Items that may be tried again once the window has room.
    again: BTreeSet<u32>,
    /// Outcomes that are in no entry yet.
    outcomes: BTreeMap<u32, ItemOutcome>,
    /// Whether an item's failure has stopped the others.
    stopped: bool,
    /// Whether its end was commanded.
    collecting: bool,
}

impl Machine {
    /// Hands out items while the window has room; when nothing is out any more, ends the list.
    pub(super) fn hand_out(&mut self, of: At, turn: &mut Turn) {
        if self.items_failed(of.item(0)) {
            self.stop_items(of, turn);
        } else if !self.state.is_ending(of.frame) {
            self.fill_window(of);
        }
        self.collect(of, turn);
    }

    fn fill_window(&mut self, of: At) {
        let window = self.plan.node(of.node).concurrency;
        let activation = self.state.get(of);
        let items = activation.and_then(|activation| activation.items.as_deref());
        let (Some(items), Some(hand)) = (items, self.hands.get_mut(&of)) else {
            return;
        };
        let mut fresh = Vec::new();
        while hand.out < window {
            if let Some(item) = hand.again.pop_first() {
                let due = items.open.get(&item).and_then(|open| open.due);
                let key = of.item(item);
                self.timers.insert((due.unwrap_or_default(), key));
                hand.out += 1;
                continue;
            }
            if hand.next >= items.count {
                break;
            }
            let item = hand.next;
            hand.next += 1;
            let known = items.outcomes.has(item) || items.open.contains_key(&item);
            if !known {
                hand.out += 1;
                fresh.push(of.item(item));
            }
        }
        for key in fresh {
            self.make_ready(key);
        }
    }

    /// Takes up a list where an earlier holder left it; gives the attempts that it lost.
    pub(super) fn take_up(&mut self, of: At) -> Vec<Key> {
        let (mut hand, mut lost) = (Hand::default(), Vec::new());
        let activation = self.state.get(of);
        let items = activation.and_then(|activation| activation.items.as_deref());
        for (item, open) in items.into_iter().flat_map(|items| &items.open) {
            let key = of.item(*item);
            if open.indeterminate {
                continue;
            }
            if self.state.frames.of_owner(key).is_some() {
                // Its body goes on by itself.
                hand.out += 1;
                continue;
            }
            if open.running {
                hand.out += 1;
                lost.push(key);
            } else {
                hand.again.insert(*item);
            }
        }
        self.hands.insert(of, hand);
        lost
    }

    /// An item may be tried again, within the window; of a list that has failed, none is.
    pub(super) fn item_again(&mut self, of: At, item: u32) {
        if let Some(hand) = self.hands.get_mut(&of).filter(|hand| !hand.stopped) {
            hand.again.insert(item);
        }
    }

    /// An item of an action that writes nothing ended: its outcome waits for its batch.
    pub(super) fn item_ended(&mut self, key: Key, outcome: ItemOutcome, turn: &mut Turn) {
        let Some(item) = key.item else {
            return;
        };
        if let Some(hand) = self.hands.get_mut(&key.at) {
            hand.outcomes.insert(item, outcome);
            if hand.outcomes.len() >= SETTLE_BATCH {
                self.settle(key.at, turn);
            }
        }
        self.released(key, turn);
    }

    /// An instance is no longer under way: if it is an item, the window has room for another.
    pub(super) fn released(&mut self, key: Key, turn: &mut Turn) {
        if key.item.is_none() {
            return;
        }
        if let Some(hand) = self.hands.get_mut(&key.at) {
            hand.out -= 1;
        }
        self.hand_out(key.at, turn);
    }

    /// Whether some item's failure has ended the list that this instance belongs to.
    pub(super) fn items_failed(&self, Key { at, item }: Key) -> bool {
        item.is_some()
            && self
                .state
                .get(at)
                .and_then(|activation| activation.items.as_deref())
                .is_some_and(|items| items.failed.is_some())
    }

    /// Writes all outcomes that wait.
    pub(super) fn settle_all(&mut self, turn: &mut Turn) {
        let waiting = self
            .hands
            .iter()
            .filter(|(_, hand)| !hand.outcomes.is_empty());
        let waiting: Vec<_> = waiting.map(|(of, _)| *of).collect();
        for of in waiting {
            self.settle(of, turn);
        }
    }

    /// Writes the outcomes that wait, one entry for each run of neighbours.
    fn settle(&mut self, of: At, turn: &mut Turn) {
        let Some(hand) = self.hands.get_mut(&of) else {
            return;
        };
        let mut runs: Vec<(u32, Vec<ItemOutcome>)> = Vec::new();
        for (item, outcome) in std::mem::take(&mut hand.outcomes) {
            match runs.last_mut() {
                Some((from, run)) if *from + run.len() as u32 == item => run.push(outcome),
                _ => runs.push((item, vec![outcome])),
            }
        }
        let instance = self.instance(of.whole());
        for (from, outcomes) in runs {
            let instance = instance.clone();
            let fact = Fact::ItemsSettled {
                instance,
                from,
                outcomes,
            };
            self.note(fact, turn);
        }
    }

    /// After an item's final failure: what is ready is dropped, what runs is told to stop. Lost
    /// attempts that are still to be asked about stay: their effects must be known.
    fn stop_items(&mut self, of: At, turn: &mut Turn) {
        match self.hands.get_mut(&of) {
            Some(hand) if !hand.stopped => hand.stopped = true,
            _ => return,
        }
        let dropped = self.drop_waiting(|key| key.at == of && key.item.is_some());
        if let Some(hand) = self.hands.get_mut(&of) {
            hand.out -= dropped as u32;
            hand.again.clear();
        }
        let of_list = of.item(0)..=of.item(u32::MAX);
        let running: Vec<_> = self.flights.range(of_list).map(|(key, _)| *key).collect();
        for key in running {
            self.abort(key, turn);
        }
        let runs: Vec<_> = self.state.frames.of_activation(of).collect();
        self.stirred.extend(runs);
    }

    /// Drops what is ready or has its time, and gives how many. Lost attempts that are still to be
    /// asked about stay: their effects must be known.
    pub(super) fn drop_waiting(&mut self, ours: impl Fn(&Key) -> bool) -> usize {
        let before = self.ready.len() + self.timers.len();
        self.ready.retain(|ready| !ours(&ready.order.0));
        let timers = std::mem::take(&mut self.timers);
        self.timers = timers
            .into_iter()
            .filter(|(_, key)| !ours(key) || self.lost_attempt(*key).is_some())
            .collect();
        before - self.ready.len() - self.timers.len()
    }

    /// Once no item is out: settles what waits, and commands the end of the list.
    fn collect(&mut self, of: At, turn: &mut Turn) {
        if self.state.is_ending(of.frame) {
            return;
        }
        match self.hands.get(&of) {
            Some(hand) if hand.out == 0 && hand.again.is_empty() && !hand.collecting => {}
            _ => return,
        }
        self.settle(of, turn);
        let activation = self.state.get(of);
        let Some(items) = activation.and_then(|activation| activation.items.as_deref()) else {
            return;
        };
        let error = items.failed.as_ref().map(|(item, error)| {
            let mut error = error.clone();
            error.message = format!("item {item}: {}", error.message);
            error
        });
        if items.open.values().any(|open| open.indeterminate) {
            return;
        }
        assert!(
            error.is_some() || items.is_complete(),
            "no item is out, and some have not ended"
        );
        if let Some(hand) = self.hands.get_mut(&of) {
            hand.collecting = true;
        }
        self.ask_collect(of, error, turn);
    }
}
