//! What stands outside an execution: the store's queues of slots, and the children that it called.

use std::collections::BTreeSet;

use nebula_core::{ExecutionId, Timestamp};
use nebula_execution::{Choice, ClaimedSlot, Event, ExecutionPlan, InstanceId, Machine, Question};

use super::world::Chance;

/// The queues of slots, as far as one execution sees them, and what its children were told.
#[derive(Default)]
pub(crate) struct Outside {
    /// What it holds or waits for, in the order of its claims; whether it was granted.
    slots: Vec<(ClaimedSlot, bool)>,
    /// The children that were asked to end.
    cancelled: BTreeSet<ExecutionId>,
}

impl Outside {
    /// A step is committed: it claims and frees what the machine has beside what the store has.
    pub(crate) fn follow(&mut self, machine: &Machine) {
        let now = machine.slots();
        self.slots.retain(|(slot, _)| now.contains(slot));
        for slot in now {
            if self.slots.iter().all(|(known, _)| *known != slot) {
                self.slots.push((slot, false));
            }
        }
    }

    /// Grants a slot to the first that waits, where one is free.
    pub(crate) fn grant(&mut self) -> Option<Event> {
        let held = |key: &str| {
            let granted = self.slots.iter().filter(|(_, granted)| *granted);
            granted.filter(|(slot, _)| slot.key == key).count()
        };
        let next = self
            .slots
            .iter()
            .position(|(slot, granted)| !granted && held(&slot.key) < slot.permits as usize)?;
        self.slots[next].1 = true;
        Some(granted(&self.slots[next].0))
    }

    /// The holder was lost. What the next one hears before anything else: which slots others have
    /// taken meanwhile, and once more which ones were granted.
    pub(crate) fn lost(&mut self, machine: &Machine, chance: &mut Chance) -> Vec<Event> {
        self.slots
            .retain(|(_, granted)| !granted || chance.below(3) > 0);
        let known = |slot: &ClaimedSlot| self.slots.iter().any(|(known, _)| known == slot);
        let gone = machine.slots().into_iter().filter(|slot| !known(slot));
        let gone = gone.map(|slot| Event::SlotLost {
            key: slot.key.to_string(),
            owner: slot.owner,
        });
        let kept = self.slots.iter().filter(|(_, granted)| *granted);
        gone.chain(kept.map(|(slot, _)| granted(slot))).collect()
    }

    /// A child is asked to end.
    pub(crate) fn cancel(&mut self, child: ExecutionId) {
        self.cancelled.insert(child);
    }

    /// Whether a child was asked to end.
    pub(crate) fn is_cancelled(&self, child: ExecutionId) -> bool {
        self.cancelled.contains(&child)
    }
}

fn granted(slot: &ClaimedSlot) -> Event {
    Event::SlotGranted {
        key: slot.key.to_string(),
        owner: slot.owner.clone(),
    }
}

/// The children that instances wait for.
pub(crate) fn children(plan: &ExecutionPlan, machine: &Machine) -> Vec<(InstanceId, ExecutionId)> {
    let state = machine.state();
    let waiting = state.all().flat_map(|(at, activation)| {
        let child = activation.child.map(|child| (at.whole(), child));
        let parts = activation.items.iter().flat_map(|items| &items.parts);
        let parts = parts.map(move |(from, part)| (at.item(*from), part.child));
        child.into_iter().chain(parts)
    });
    waiting
        .map(|(key, child)| (state.instance(plan, key), child))
        .collect()
}

/// A question to anybody, with few votes needed; in time, if there is a time.
pub(crate) fn question(chance: &mut Chance, due: Option<Timestamp>) -> Box<Question> {
    Box::new(Question {
        title: None,
        artifact: None,
        approvers: Vec::new(),
        quorum: 1 + chance.below(2) as u32,
        rejections: 1 + chance.below(2) as u32,
        due,
        default: due.and((chance.below(2) == 0).then_some(Choice::Reject)),
        leaves_deferred: false,
    })
}
