//! Slots that bodies hold: rows of the store, which move with the steps that say so.

use nebula_core::ExecutionId;
use nebula_execution::{ClaimedSlot, Event, InstanceId, SlotScope, SlotWanted};
use nebula_ports::{
    MAX_SLOT_CAPACITY, SLOT_GRANTED, SLOT_LOST, SlotChanges, SlotClaim, SlotHolder, SlotId,
    SlotKey, SlotOwner, Step,
};
use serde_json::Value;
use tracing::debug;

use crate::{drive::Drive, ring::Bell};

impl Drive {
    /// A control action wants a slot for its body. A dry run keeps nobody else waiting.
    pub(crate) fn claims(&mut self, instance: InstanceId, mut wanted: SlotWanted) {
        let started = self.machine.state().started();
        let trial = started.and_then(|started| started.trial.as_ref());
        if trial.is_some_and(|trial| trial.dry_run) {
            wanted.scope = SlotScope::Execution;
        }
        match self.machine.refuses_claim(&instance, &wanted) {
            Some(error) => self.failed_with(instance, error, 0),
            None => self.tell(Event::Claims { instance, wanted }),
        }
    }

    /// An inbox item about a slot. That of the start slot only wakes: the queue says who holds it.
    pub(crate) fn slot_told(&mut self, kind: &str, payload: &Value) {
        let text = |field: &str| payload.get(field).and_then(Value::as_str);
        let (Some(key), Some(owner)) = (text("key"), text("owner")) else {
            return;
        };
        let (key, owner) = (key.to_owned(), owner.to_owned());
        match kind {
            SLOT_GRANTED => self.tell(Event::SlotGranted { key, owner }),
            SLOT_LOST => {
                // The row is gone: claiming it again is a change.
                self.slots
                    .retain(|slot| slot.key != key || slot.owner != owner);
                self.tell(Event::SlotLost { key, owner });
            }
            _ => {}
        }
    }

    /// Whether the next step claims a slot.
    pub(crate) fn claims_slot(&self) -> bool {
        self.machine.plan().takes_slots() && !self.machine.slots().is_subset(&self.slots)
    }

    /// What the next step does to slots: what the machine has against what the store has.
    pub(crate) fn slot_changes(&mut self) -> SlotChanges {
        if !self.machine.plan().takes_slots() {
            return SlotChanges::default();
        }
        let now = self.machine.slots();
        let changes = SlotChanges {
            claim: now
                .difference(&self.slots)
                .map(|slot| SlotClaim {
                    id: id(slot),
                    capacity: slot.permits,
                })
                .collect(),
            free: self.slots.difference(&now).map(id).collect(),
        };
        self.slots = now;
        changes
    }

    /// Rings for those who have just got what a step gave back. Without it the sweep finds them.
    pub(crate) fn ring_next_holders(&self, step: &Step) -> impl Future<Output = ()> + use<> {
        let ports = &self.shared.ports;
        let (repo, bell) = (ports.executions.clone(), Bell::new(ports));
        let (tenant, own) = (self.lease.tenant.clone(), self.lease.execution);
        let freed = step.slots.free.clone();
        async move {
            for SlotId { key, .. } in freed {
                let places = repo.slots(&tenant, &key, MAX_SLOT_CAPACITY as usize).await;
                let places = places.unwrap_or_else(|error| {
                    debug!(%error, "could not look who is next");
                    Vec::new()
                });
                for execution in latest(&places).filter(|execution| *execution != own) {
                    bell.ring(&tenant, execution).await;
                }
            }
        }
    }
}

/// Whose slots were granted last.
fn latest(places: &[SlotHolder]) -> impl Iterator<Item = ExecutionId> {
    let granted = places.iter().filter(|place| place.granted);
    let latest = granted.clone().map(|place| place.since).max();
    granted
        .filter(move |place| Some(place.since) == latest)
        .map(|place| place.execution)
}

fn id(slot: &ClaimedSlot) -> SlotId {
    let key = SlotKey::new(slot.key.as_str()).expect("the machine bounds the names of slots");
    let owner = SlotOwner::new(&*slot.owner).expect("the machine bounds the names of owners");
    SlotId { key, owner }
}
