//! The items of a `for_each`: handed out within a window, settled in batches.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use nebula_action::ActionError;

use super::{Machine, Task, Turn};
use crate::{At, Command, Fact, InstanceId, ItemOutcome, Items, Key};

/// How many outcomes are settled by one entry at most.
pub(super) const SETTLE_BATCH: usize = 64;

/// What a crash may forget of a `for_each` that is under way.
///
/// Every item is in exactly one place: not handed out yet (at or after `next`), out, waiting to be
/// out `again`, ended (in `outcomes` or in the state), or indeterminate in the state.
#[derive(Debug, Default)]
pub(super) struct Hand {
    /// The first item that was not handed out yet.
    pub(super) next: u32,
    /// Whether a part that begins there is being cut.
    pub(super) cuts: bool,
    /// Items that are ready, under way or waiting for a retry, or parts of a list that is distributed;
    /// never more than the window.
    pub(super) out: u32,
    /// Items that may be tried again once the window has room.
    again: BTreeSet<u32>,
    /// Outcomes that are in no entry yet.
    outcomes: BTreeMap<u32, ItemOutcome>,
    /// Whether an item's failure has stopped the others.
    stopped: bool,
    /// How many items had ended when it was last asked whether the list is complete.
    weighed: u32,
    /// Whether that question is open.
    weighing: bool,
    /// Whether its end was commanded.
    collecting: bool,
}

impl Machine {
    /// The list of a `for_each` is known.
    pub(super) fn opened(
        &mut self,
        instance: InstanceId,
        count: u32,
        more: Option<CompactString>,
        turn: &mut Turn<'_>,
    ) {
        let Some((key, _)) = self.land(&instance) else {
            return;
        };
        let grows = more.is_some();
        let fact = Fact::ItemsOpened {
            instance,
            count,
            more,
        };
        self.note(fact, turn);
        if grows {
            self.listen(key);
        }
        let next = self.first_item(key.at);
        let hand = Hand {
            next,
            ..Hand::default()
        };
        self.hands.insert(key.at, hand);
        self.hand_out(key.at, turn);
    }

    /// Asks whether the list is complete, if that may have changed; says whether the answer is open.
    fn weigh(&mut self, of: At, turn: &mut Turn<'_>) -> bool {
        let asks = self.plan.node(of.node).complete_when.is_some();
        if !asks || self.state.is_ending(of.frame) {
            return false;
        }
        let activation = self.state.get(of);
        let items = activation.and_then(|activation| activation.items.as_deref());
        let (Some(items), Some(hand)) = (items, self.hands.get_mut(&of)) else {
            return false;
        };
        if items.enough || items.failed.is_some() {
            return false;
        }
        if hand.weighing {
            return true;
        }
        if hand.weighed == items.settled {
            return false;
        }
        hand.weighed = items.settled;
        hand.weighing = true;
        let instance = self.instance(of.whole());
        let command = Command::Weigh { instance };
        self.ask(of.whole(), Task::Weigh, 1, command, turn);
        true
    }

    /// It is known whether a list is complete before all of its items have ended.
    pub(super) fn weighed(
        &mut self,
        instance: &InstanceId,
        complete: Result<bool, ActionError>,
        turn: &mut Turn<'_>,
    ) {
        let Some((key, _)) = self.land(instance) else {
            return;
        };
        if let Some(hand) = self.hands.get_mut(&key.at) {
            hand.weighing = false;
        }
        match complete {
            Ok(false) => {}
            Ok(true) => self.enough(key.at, None, turn),
            Err(error) => self.enough(key.at, Some(error), turn),
        }
        self.hand_out(key.at, turn);
    }

    /// The list needs no further item, or cannot have one.
    pub(super) fn enough(&mut self, of: At, error: Option<ActionError>, turn: &mut Turn<'_>) {
        if self.state.is_ending(of.frame) || self.items_over(of.item(0)) {
            return;
        }
        self.stop_listening(of.whole());
        let instance = self.instance(of.whole());
        self.note(Fact::ItemsEnough { instance, error }, turn);
    }

    /// The end of a list could not be evaluated: if items of it still run, they are stopped first.
    pub(super) fn not_collected(
        &mut self,
        of: At,
        error: &ActionError,
        turn: &mut Turn<'_>,
    ) -> bool {
        match self.hands.get_mut(&of) {
            Some(hand) if hand.out > 0 || !hand.again.is_empty() => hand.collecting = false,
            _ => return false,
        }
        self.enough(of, Some(error.clone()), turn);
        self.hand_out(of, turn);
        true
    }

    /// Hands out items while the window has room; when nothing is out any more, ends the list.
    pub(super) fn hand_out(&mut self, of: At, turn: &mut Turn<'_>) {
        if self.weigh(of, turn) {
            return;
        }
        if self.items_over(of.item(0)) {
            self.stop_items(of, turn);
        } else if !self.state.is_ending(of.frame) {
            self.fill_window(of);
        }
        self.collect(of, turn);
    }

    fn fill_window(&mut self, of: At) {
        let window = self.window(of);
        let parts = self.distributes(of.node);
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
            if parts || hand.next >= items.count {
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
        if parts {
            self.fill_parts(of);
        }
    }

    /// Takes up a list where an earlier holder left it; gives the attempts that it lost.
    pub(super) fn take_up(&mut self, of: At) -> Vec<Key> {
        let next = self.first_item(of);
        let (mut hand, mut lost) = (
            Hand {
                next,
                ..Hand::default()
            },
            Vec::new(),
        );
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
        for (from, part) in items.into_iter().flat_map(|items| &items.parts) {
            hand.out += 1;
            self.calls.insert(of.item(*from), part.child);
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

    /// An item of an action that writes nothing ended: its outcome waits for its batch, unless that lies
    /// in a blob, which a collector takes for forgotten if no journal names it for long.
    pub(super) fn item_ended(&mut self, key: Key, outcome: ItemOutcome, turn: &mut Turn<'_>) {
        let Some(item) = key.item else {
            return;
        };
        if let Some(hand) = self.hands.get_mut(&key.at) {
            let apart = matches!(outcome, ItemOutcome::Apart(_));
            hand.outcomes.insert(item, outcome);
            let weighs = self.plan.node(key.at.node).complete_when.is_some();
            if weighs || apart || hand.outcomes.len() >= SETTLE_BATCH {
                self.settle(key.at, turn);
            }
        }
        self.released(key, turn);
    }

    /// An instance is no longer under way: if it is an item, the window has room for another.
    pub(super) fn released(&mut self, key: Key, turn: &mut Turn<'_>) {
        if key.item.is_none() {
            return;
        }
        if let Some(hand) = self.hands.get_mut(&key.at) {
            hand.out -= 1;
        }
        self.hand_out(key.at, turn);
    }

    /// Whether the list that this instance belongs to has failed or is complete, so that the rest of
    /// it is stopped.
    pub(super) fn items_over(&self, Key { at, item }: Key) -> bool {
        item.is_some()
            && self
                .state
                .get(at)
                .and_then(|activation| activation.items.as_deref())
                .is_some_and(Items::is_over)
    }

    /// Writes all outcomes that wait.
    pub(super) fn settle_all(&mut self, turn: &mut Turn<'_>) {
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
    fn settle(&mut self, of: At, turn: &mut Turn<'_>) {
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

    /// After an item's final failure, or once the list is complete: what is ready is dropped, what runs is told to stop. Lost
    /// attempts that are still to be asked about stay: their effects must be known.
    fn stop_items(&mut self, of: At, turn: &mut Turn<'_>) {
        match self.hands.get_mut(&of) {
            Some(hand) if !hand.stopped => hand.stopped = true,
            _ => return,
        }
        self.stop_listening(of.whole());
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
        let children = self.children_of_list(of).into_iter();
        let told = children.map(|child| Command::CancelChild { child });
        turn.decision.commands.extend(told);
        let runs: Vec<_> = self.state.frames.of_activation(of).collect();
        self.stirred.extend(runs);
    }

    /// Drops what is ready or has its time, and gives how many. Lost attempts that are still to be
    /// asked about stay: their effects must be known.
    pub(super) fn drop_waiting(&mut self, ours: impl Fn(&Key) -> bool) -> usize {
        let waiting = |machine: &Self| {
            let held_back = machine.held_back.len() + machine.late.len();
            let ready = machine.ready.len() + machine.inquiring.len();
            ready + machine.timers.len() + held_back
        };
        let before = waiting(self);
        self.ready.retain(|ready| !ours(&ready.order.0));
        self.inquiring.retain(|key| !ours(key));
        self.held_back.retain(|key| !ours(key));
        self.late.retain(|(_, key)| !ours(key));
        let timers = std::mem::take(&mut self.timers);
        self.timers = timers
            .into_iter()
            .filter(|(_, key)| !ours(key) || self.lost_attempt(*key).is_some())
            .collect();
        before - waiting(self)
    }

    /// Once no item is out: settles what waits, and commands the end of the list. One that is
    /// complete while the rest runs on ends at once, and the rest after it.
    pub(super) fn collect(&mut self, of: At, turn: &mut Turn<'_>) {
        if self.state.is_ending(of.frame) {
            return;
        }
        let activation = self.state.get(of);
        let items = activation.and_then(|activation| activation.items.as_deref());
        let (Some(activation), Some(items), Some(hand)) = (activation, items, self.hands.get(&of))
        else {
            return;
        };
        let (left, absorbs) = (activation.has_ended(), items.absorbs);
        let idle = hand.out == 0 && hand.again.is_empty();
        if hand.weighing || hand.collecting && !left || !idle && (left || !absorbs) {
            return;
        }
        self.settle(of, turn);
        let activation = self.state.get(of);
        let Some(items) = activation.and_then(|activation| activation.items.as_deref()) else {
            return;
        };
        if left {
            if items.is_complete() {
                self.hands.remove(&of);
                let instance = self.instance(of.whole());
                self.note(Fact::ItemsAbsorbed { instance }, turn);
            }
            return;
        }
        if items.grows && !items.is_over() {
            // It waits for more.
            return;
        }
        let error = items.failed.as_ref().map(|(item, error)| {
            let mut error = error.clone();
            error.message = format!("item {item}: {}", error.message);
            error
        });
        if !absorbs && items.open.values().any(|open| open.indeterminate) {
            return;
        }
        if let Some(part) = self.part_at(of) {
            let len = part.items().len() as u32;
            assert!(
                error.is_some() || items.settled == len,
                "no item of a part is out, and some have not ended"
            );
            if let Some(hand) = self.hands.get_mut(&of) {
                hand.collecting = true;
            }
            self.asked_output = true;
            turn.decision.commands.push(Command::Output);
            return;
        }
        assert!(
            error.is_some() || items.enough || items.is_complete(),
            "no item is out, and some have not ended"
        );
        if let Some(hand) = self.hands.get_mut(&of) {
            hand.collecting = true;
        }
        self.ask_collect(of, error, turn);
    }
}
