//! Lists that are distributed: cut into parts, which children run.

use nebula_action::ActionError;
use nebula_core::{ExecutionId, Timestamp};

use super::{Machine, Task, Turn, items::SETTLE_BATCH};
use crate::{
    At, Command, Distribution, Fact, InstanceId, ItemOutcome, Key, Part, PartEnd, Status, Taken,
    call::child_id, state::TOP,
};

impl Machine {
    /// Whether the items of a node run in parts, elsewhere than here.
    pub(super) fn distributes(&self, node: u32) -> bool {
        self.plan.node(node).distribute && self.state.part().is_none()
    }

    /// The execution that runs the part which begins with this item.
    #[must_use]
    pub fn part_id(&self, first: &InstanceId, now: Timestamp) -> ExecutionId {
        let (_, generation) = self.work(first);
        child_id(&self.tenant, self.id, (first, generation, 1), now)
    }

    /// How many items of a list run at a time, or how many parts of it.
    pub(super) fn window(&self, of: At) -> u32 {
        let node = self.plan.node(of.node);
        match self.part_at(of) {
            Some(part) => part.window,
            None if self.distributes(of.node) => self.distribution(of).lanes,
            None => node.concurrency,
        }
    }

    fn distribution(&self, of: At) -> Distribution {
        let items = self.state.get(of).and_then(|it| it.items.as_deref());
        let count = items.map_or(0, |items| items.count);
        Distribution::new(count, self.plan.node(of.node).concurrency)
    }

    /// The part that this execution runs, if these are its items and no list in its body.
    pub(super) fn part_at(&self, of: At) -> Option<&Part> {
        self.state.part().filter(|_| of.frame == TOP)
    }

    /// The first item of a list that this execution hands out.
    pub(super) fn first_item(&self, of: At) -> u32 {
        self.part_at(of).map_or(0, |part| part.from)
    }

    /// While the window has room, the next part is cut: one at a time, since where it ends is known
    /// only when it is.
    pub(super) fn fill_parts(&mut self, of: At) {
        let lanes = self.distribution(of).lanes;
        let items = self.state.get(of).and_then(|it| it.items.as_deref());
        let (Some(items), Some(hand)) = (items, self.hands.get_mut(&of)) else {
            return;
        };
        if hand.cuts || hand.out >= lanes {
            return;
        }
        let Some(next) = items.uncut(hand.next, 1) else {
            hand.next = items.count;
            return;
        };
        (hand.next, hand.cuts) = (next.start, true);
        hand.out += 1;
        self.make_ready(of.item(next.start));
    }

    /// Commands that a part is made ready, if this is the first item of one.
    pub(super) fn cuts(&mut self, key: Key, turn: &mut Turn<'_>) -> bool {
        let items = self.state.get(key.at).and_then(|it| it.items.as_deref());
        let (Some(item), Some(items)) = (key.item, items) else {
            return false;
        };
        // One of which only a person knew is made again by itself.
        if !self.distributes(key.at.node) || items.open.contains_key(&item) {
            return false;
        }
        let size = self.distribution(key.at).size;
        let run = items.uncut(item, size).filter(|run| run.start == item);
        let Some(run) = run else {
            return false;
        };
        // What an earlier execution had cut and did not end is gone over again as it was cut.
        let instance = self.instance(key);
        let whole = instance.whole();
        let repeats = self.state.started().and_then(|it| it.repeats.as_ref());
        let children = repeats.into_iter().flat_map(|it| &it.children);
        let cut = children
            .filter(|it| it.instance.item.is_some() && it.instance.whole() == whole)
            .filter_map(|it| it.instance.item)
            .filter(|from| *from > item)
            .min();
        let end = cut.map_or(run.end, |cut| run.end.min(cut));
        let most = end - item;
        let command = Command::Cut { instance, most };
        self.ask(key, Task::Cut, 1, command, turn);
        true
    }

    /// A part is ready: it begins with the step that says so.
    pub(super) fn cut(
        &mut self,
        instance: &InstanceId,
        (count, child): (u32, ExecutionId),
        turn: &mut Turn<'_>,
    ) {
        let Some((key, flight)) = self.land(instance) else {
            return;
        };
        if flight.aborted || self.is_hopeless(key) {
            // It was told to stop before it began: nothing of it is in the journal.
            self.released(key, turn);
            return;
        }
        if self.state.is_paused() {
            self.make_ready(key);
            return;
        }
        let from = key.item.unwrap_or_default();
        if let Some(hand) = self.hands.get_mut(&key.at) {
            (hand.cuts, hand.next) = (false, from.saturating_add(count));
        }
        let fact = Fact::PartStarted {
            instance: instance.whole(),
            from,
            count,
            child,
        };
        self.note(fact, turn);
        self.calls.insert(key, child);
        self.hand_out(key.at, turn);
    }

    /// No part could be made that begins with this item: it fails, and the next one begins another.
    pub(super) fn not_cut(&mut self, key: Key, error: ActionError, turn: &mut Turn<'_>) {
        if let Some(hand) = self.hands.get_mut(&key.at) {
            hand.cuts = false;
        }
        if self.is_hopeless(key) {
            self.released(key, turn);
        } else {
            self.failed_for_good(key, 1, error, Taken::All, turn);
        }
    }

    pub(super) fn part_ended(
        &mut self,
        instance: &InstanceId,
        (child, status): (ExecutionId, Status),
        outcome: Result<PartEnd, ActionError>,
        turn: &mut Turn<'_>,
    ) {
        let Some((key, from)) = self.key(instance).and_then(|key| Some((key, key.item?))) else {
            return;
        };
        let items = self.state.get(key.at).and_then(|it| it.items.as_deref());
        let part = items.and_then(|items| items.parts.get(&from));
        let Some(part) = part.copied().filter(|part| part.child == child) else {
            // Nobody waits for it any more, or ever did.
            return;
        };
        self.calls.remove(&key);
        self.stirred.insert(key.at.frame);
        let whole = instance.whole();
        let fact = Fact::PartEnded {
            instance: whole.clone(),
            from,
            child,
            status,
        };
        self.note(fact, turn);
        let (behind, goes_on) = (from + part.count, self.plan.node(key.at.node).goes_on());
        match outcome {
            Ok(end) => {
                let failed = end.failed.filter(|_| !goes_on);
                let failed = failed.filter(|(item, _)| (from..behind).contains(item));
                let outcomes = end
                    .ended
                    .into_iter()
                    .flat_map(|(first, run)| (first..).zip(run));
                let outcomes = outcomes.filter(|(item, _)| {
                    let fails = failed.as_ref().is_some_and(|(failed, _)| failed == item);
                    (from..behind).contains(item) && !fails
                });
                self.settle_part(&whole, outcomes.collect(), turn);
                if let Some((item, error)) = failed {
                    self.item_gave_up(key.at.item(item), error, turn);
                }
            }
            Err(_) if self.is_hopeless(key) => {}
            Err(error) if goes_on => {
                let items = (from..behind).map(|item| (item, ItemOutcome::Error(error.clone())));
                self.settle_part(&whole, items.collect(), turn);
            }
            Err(error) => self.item_gave_up(key, error, turn),
        }
        self.released(key, turn);
    }

    fn settle_part(
        &mut self,
        whole: &InstanceId,
        outcomes: Vec<(u32, ItemOutcome)>,
        turn: &mut Turn<'_>,
    ) {
        let mut runs: Vec<(u32, Vec<ItemOutcome>)> = Vec::new();
        for (item, outcome) in outcomes {
            match runs.last_mut() {
                Some((from, run))
                    if *from + run.len() as u32 == item && run.len() < SETTLE_BATCH =>
                {
                    run.push(outcome);
                }
                _ => runs.push((item, vec![outcome])),
            }
        }
        for (from, outcomes) in runs {
            let fact = Fact::ItemsSettled {
                instance: whole.clone(),
                from,
                outcomes,
            };
            self.note(fact, turn);
        }
    }

    /// An item has failed for good, elsewhere.
    fn item_gave_up(&mut self, key: Key, error: ActionError, turn: &mut Turn<'_>) {
        let fact = Fact::AttemptFailed {
            instance: self.instance(key),
            attempt: 1,
            error,
            retry_at: None,
            counts: true,
            taken: Taken::All,
        };
        self.note(fact, turn);
    }

    /// The children that run parts of a list.
    pub(super) fn children_of_list(&self, of: At) -> Vec<ExecutionId> {
        let parts = self.calls.range(of.whole()..=of.item(u32::MAX));
        parts.map(|(_, child)| *child).collect()
    }
}
