//! The items of a `for_each`: handed out within a window, settled in batches.

use std::collections::BTreeMap;

use super::{Flight, Key, Machine, Turn};
use crate::{Command, Fact, ItemOutcome};

/// How many outcomes are settled by one entry at most.
const SETTLE_BATCH: usize = 64;

/// What a crash may forget of a `for_each` that is under way.
#[derive(Debug, Default)]
pub(super) struct Hand {
    /// The first item that was not handed out yet.
    next: u32,
    /// Items that are ready, under way or waiting for a retry.
    pub(super) out: u32,
    /// Outcomes that are in no entry yet.
    outcomes: BTreeMap<u32, ItemOutcome>,
    /// Whether its end was commanded.
    collecting: bool,
}

impl Machine {
    /// Hands out items while the window has room; when nothing is out any more, ends the list.
    pub(super) fn hand_out(&mut self, (node, number): (u32, u32), turn: &mut Turn) {
        let window = self.plan.node(node).concurrency;
        let Some(items) = self
            .state
            .activation(node, number)
            .and_then(|activation| activation.items.as_deref())
        else {
            return;
        };
        let Some(hand) = self.hands.get_mut(&(node, number)) else {
            return;
        };
        let failed = items.failed.is_some() || self.state.ending().is_some();
        let mut handed = Vec::new();
        while !failed && hand.out < window && hand.next < items.count {
            let item = hand.next;
            hand.next += 1;
            let known = items.outcomes[item as usize].is_some()
                || items.open.contains_key(&item)
                || hand.outcomes.contains_key(&item);
            if !known {
                hand.out += 1;
                handed.push((node, number, Some(item)));
            }
        }
        for key in handed {
            self.make_ready(key);
        }
        self.abort_rest((node, number), turn);
        self.collect((node, number), turn);
    }

    /// An item of an action that writes nothing ended: its outcome waits for its batch.
    pub(super) fn item_ended(&mut self, key: Key, outcome: ItemOutcome, turn: &mut Turn) {
        let (node, number, Some(item)) = key else {
            return;
        };
        if let Some(hand) = self.hands.get_mut(&(node, number)) {
            hand.outcomes.insert(item, outcome);
            if hand.outcomes.len() >= SETTLE_BATCH {
                self.settle((node, number), turn);
            }
        }
        self.item_done((node, number), turn);
    }

    /// One item fewer is out.
    pub(super) fn item_done(&mut self, of: (u32, u32), turn: &mut Turn) {
        if let Some(hand) = self.hands.get_mut(&of) {
            hand.out -= 1;
        }
        self.hand_out(of, turn);
    }

    /// An instance is no longer under way, without having ended.
    pub(super) fn released(&mut self, key: Key, turn: &mut Turn) {
        if key.2.is_some() {
            self.item_done((key.0, key.1), turn);
        }
    }

    /// Whether some item's failure has ended the list that this instance belongs to.
    pub(super) fn items_failed(&self, (node, number, item): Key) -> bool {
        item.is_some()
            && self
                .state
                .activation(node, number)
                .and_then(|activation| activation.items.as_deref())
                .is_some_and(|items| items.failed.is_some())
    }

    /// Writes the outcomes that wait, one entry for each run of neighbours.
    fn settle(&mut self, of: (u32, u32), turn: &mut Turn) {
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
        let instance = self.instance((of.0, of.1, None));
        for (from, outcomes) in runs {
            self.note(
                Fact::ItemsSettled {
                    instance: instance.clone(),
                    from,
                    outcomes,
                },
                turn,
            );
        }
    }

    /// After an item's final failure: what is ready is dropped, what runs is told to stop.
    fn abort_rest(&mut self, of: (u32, u32), turn: &mut Turn) {
        if !self.items_failed((of.0, of.1, Some(0))) {
            return;
        }
        let ours = |key: &Key| (key.0, key.1) == of && key.2.is_some();
        let mut dropped = 0;
        self.ready.retain(|ready| {
            let drop = ours(&ready.order.0);
            dropped += u32::from(drop);
            !drop
        });
        self.timers.retain(|(_, key)| {
            let drop = ours(key);
            dropped += u32::from(drop);
            !drop
        });
        if let Some(hand) = self.hands.get_mut(&of) {
            hand.out -= dropped;
        }
        let running: Vec<_> = self.flights.keys().copied().filter(ours).collect();
        for key in running {
            let flight = self.flights.entry(key).or_default();
            if !std::mem::replace(&mut flight.aborted, true) {
                let instance = self.instance(key);
                turn.decision.commands.push(Command::Abort { instance });
            }
        }
    }

    /// Once no item is out: settles what waits, and commands the end of the list.
    fn collect(&mut self, of: (u32, u32), turn: &mut Turn) {
        match self.hands.get(&of) {
            Some(hand) if hand.out == 0 && !hand.collecting => {}
            _ => return,
        }
        self.settle(of, turn);
        let Some(items) = self
            .state
            .activation(of.0, of.1)
            .and_then(|activation| activation.items.as_deref())
        else {
            return;
        };
        let error = items.failed.as_ref().map(|(item, error)| {
            let mut error = error.clone();
            error.message = format!("item {item}: {}", error.message);
            error
        });
        let unknown = items.open.values().any(|open| open.indeterminate);
        if unknown || (error.is_none() && !items.is_complete()) {
            return;
        }
        if let Some(hand) = self.hands.get_mut(&of) {
            hand.collecting = true;
        }
        let key = (of.0, of.1, None);
        self.flights.insert(key, Flight::default());
        let instance = self.instance(key);
        turn.decision
            .commands
            .push(Command::Collect { instance, error });
    }
}
