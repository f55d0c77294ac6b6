//! Slots in the model: a queue for each key, whose rows belong to executions.

use std::collections::BTreeSet;

use nebula_core::{ExecutionId, TenantId, Timestamp};
use nebula_ports::{
    DedupeKey, NewSignal, SLOT_GRANTED, SLOT_LOST, SLOT_PREFIX, SlotChanges, SlotClaim, SlotHolder,
    SlotId, SlotKey, SlotOwner,
};

use super::{
    ExecutionGuard as Guard,
    record::Record,
    records::{Guards, Records},
};

/// Which queue.
pub(super) type Queue = (TenantId, SlotKey);

/// One claim, in the queue of its key.
#[derive(Debug, Clone)]
pub(super) struct Place {
    tenant: TenantId,
    execution: ExecutionId,
    owner: SlotOwner,
    capacity: u32,
    granted: bool,
    since: Timestamp,
}

impl Place {
    fn is_of(&self, tenant: &TenantId, execution: ExecutionId) -> bool {
        self.tenant == *tenant && self.execution == execution
    }
}

impl Records {
    /// Does what a step of `id` says about slots; an execution that has `ended` gives everything back.
    pub(super) fn change_slots(
        &mut self,
        (tenant, id): (&TenantId, ExecutionId),
        changes: &SlotChanges,
        ended: bool,
        now: Timestamp,
    ) {
        let guards = self.guards;
        if ended {
            let left = self.remove(|_, place| {
                let guard = if place.granted {
                    Guard::SlotEndFrees
                } else {
                    Guard::SlotEndWithdraws
                };
                place.is_of(tenant, id) && guards.keep(guard)
            });
            self.advance(queues_of(left), now);
            if guards.keep(Guard::SlotFinalClaims) {
                return;
            }
        }
        if guards.keep(Guard::SlotFreeFirst) {
            self.free((tenant, id), &changes.free, now);
        }
        for claim in &changes.claim {
            self.claim((tenant, id), claim, now);
        }
        if !guards.keep(Guard::SlotFreeFirst) {
            self.free((tenant, id), &changes.free, now);
        }
    }

    /// How many claims wait before a new one, if it must wait; who holds a slot by an expired lease loses it.
    pub(super) fn must_wait(
        &mut self,
        tenant: &TenantId,
        claim: &SlotClaim,
        now: Timestamp,
    ) -> Option<u32> {
        let guards = self.guards;
        let queue = queue_of(guards, tenant, &claim.id.key);
        let look = |records: &Self| {
            let places = records.slots.get(&queue).map_or(&[][..], Vec::as_slice);
            let granted = places.iter().filter(|place| place.granted).count();
            let waiting = places.len() - granted;
            let fits = waiting == 0 && granted < claim.capacity as usize;
            (!fits).then(|| u32::try_from(waiting).expect("a test has few executions"))
        };
        look(self)?;
        if guards.keep(Guard::StartSlotTakes) {
            let places = self.slots.get(&queue);
            let victims = self.expired(places.into_iter().flatten(), now);
            self.take_all(victims, now);
        }
        look(self)
    }

    /// Claims the slot that a new execution starts with; until it is granted, the execution sleeps.
    pub(super) fn claim_start(
        &mut self,
        (tenant, id): (&TenantId, ExecutionId),
        claim: &SlotClaim,
        waits: bool,
        now: Timestamp,
    ) {
        let sleeps = waits && self.guards.keep(Guard::StartSlotSleeps);
        if let Some(row) = self.get_mut(tenant, id).filter(|_| sleeps) {
            row.wake_at = None;
        }
        self.claim((tenant, id), claim, now);
    }

    /// Takes the granted slots of an execution whose lease has expired away, for whoever takes it over.
    pub(super) fn lose_at_takeover(&mut self, tenant: &TenantId, id: ExecutionId, now: Timestamp) {
        let lost = self.lose(tenant, id, now);
        if lost.is_empty() {
            return;
        }
        // What it is granted from here on is for the next holder.
        if let Some(row) = self.get_mut(tenant, id) {
            row.lease = None;
        }
        self.advance(lost, now);
    }

    /// Takes their granted slots away from all executions whose leases have expired.
    pub(super) fn take_from_expired(&mut self, now: Timestamp) {
        let victims = self.expired(self.slots.values().flatten(), now);
        self.take_all(victims, now);
    }

    /// The queue of a key.
    pub(super) fn queue(&self, tenant: &TenantId, key: &SlotKey, limit: usize) -> Vec<SlotHolder> {
        let guards = self.guards;
        let places = self.slots.get(&queue_of(guards, tenant, key));
        let holder = |place: &Place| SlotHolder {
            execution: place.execution,
            owner: place.owner.clone(),
            capacity: place.capacity,
            granted: place.granted,
            since: place.since,
        };
        let mut found: Vec<_> = places.into_iter().flatten().map(holder).collect();
        if !guards.keep(Guard::SlotReadOrder) {
            found.reverse();
        }
        found.truncate(if guards.keep(Guard::SlotReadLimit) {
            limit
        } else {
            usize::MAX
        });
        found
    }

    fn claim(&mut self, (tenant, id): (&TenantId, ExecutionId), claim: &SlotClaim, now: Timestamp) {
        let guards = self.guards;
        let queue = queue_of(guards, tenant, &claim.id.key);
        let is_own = |place: &Place| place.is_of(tenant, id) && place.owner == claim.id.owner;
        let places = self.slots.entry(queue.clone()).or_default();
        if places.iter().any(is_own) && guards.keep(Guard::SlotClaimOnce) {
            return;
        }
        places.push(Place {
            tenant: tenant.clone(),
            execution: id,
            owner: claim.id.owner.clone(),
            capacity: claim.capacity,
            granted: false,
            since: now,
        });
        self.advance(BTreeSet::from([queue.clone()]), now);
        let places = &self.slots[&queue];
        let waits = places.iter().any(|place| is_own(place) && !place.granted);
        if waits && guards.keep(Guard::SlotClaimTakes) {
            let victims = self.expired(places.iter(), now);
            self.take_all(victims, now);
        }
    }

    fn free(&mut self, (tenant, id): (&TenantId, ExecutionId), ids: &[SlotId], now: Timestamp) {
        let guards = self.guards;
        let gone = self.remove(|(_, key), place| {
            let own = place.is_of(tenant, id) || !guards.keep(Guard::SlotFreeOwn);
            let named = |id: &SlotId| {
                id.key == *key && (id.owner == place.owner || !guards.keep(Guard::SlotFreeOwner))
            };
            own && ids.iter().any(named)
        });
        if guards.keep(Guard::SlotFreeGrants) {
            self.advance(queues_of(gone), now);
        }
    }

    /// Whose leases have expired, of those that hold one of `places`.
    fn expired<'a>(
        &self,
        places: impl Iterator<Item = &'a Place>,
        now: Timestamp,
    ) -> BTreeSet<(TenantId, ExecutionId)> {
        places
            .filter(|place| place.granted && self.is_expired(place, now))
            .map(|place| (place.tenant.clone(), place.execution))
            .collect()
    }

    /// Takes slots and leases away from executions whose leases have expired, then grants what is free.
    fn take_all(&mut self, victims: BTreeSet<(TenantId, ExecutionId)>, now: Timestamp) {
        let mut freed = BTreeSet::new();
        for (tenant, id) in victims {
            freed.extend(self.take(&tenant, id, now));
        }
        self.advance(freed, now);
    }

    /// Takes slots and lease away from one execution whose lease has expired; says which queues moved.
    fn take(&mut self, tenant: &TenantId, id: ExecutionId, now: Timestamp) -> BTreeSet<Queue> {
        let lost = self.lose(tenant, id, now);
        let fences = self.keep(Guard::SlotTakingFences);
        if let Some(row) = self.get_mut(tenant, id).filter(|_| fences) {
            row.epoch += 1;
            row.lease = None;
        }
        lost
    }

    /// Removes the granted slots of an execution and tells it so; says which queues moved.
    fn lose(&mut self, tenant: &TenantId, id: ExecutionId, now: Timestamp) -> BTreeSet<Queue> {
        let guards = self.guards;
        let lost = self.remove(|_, place| {
            place.is_of(tenant, id) && (place.granted || !guards.keep(Guard::SlotWaitingStays))
        });
        if guards.keep(Guard::SlotLostTold) {
            for ((_, key), place) in lost.iter().filter(|(_, place)| place.granted) {
                self.tell(SLOT_LOST, key, place, now);
            }
        }
        queues_of(lost)
    }

    /// Removes places, and gives them back in the order of keys and queues.
    fn remove(&mut self, goes: impl Fn(&Queue, &Place) -> bool) -> Vec<(Queue, Place)> {
        let mut gone = Vec::new();
        for (queue, places) in &mut self.slots {
            let (out, stay): (Vec<_>, _) = std::mem::take(places)
                .into_iter()
                .partition(|place| goes(queue, place));
            *places = stay;
            gone.extend(out.into_iter().map(|place| (queue.clone(), place)));
        }
        self.slots.retain(|_, places| !places.is_empty());
        gone
    }

    /// Grants whatever fits, from the heads of these queues on.
    fn advance(&mut self, mut queues: BTreeSet<Queue>, now: Timestamp) {
        let guards = self.guards;
        while let Some(queue) = queues.pop_first() {
            while let Some(next) = self
                .fitting(&queue)
                .map(|at| self.slots[&queue][at].clone())
            {
                if self.is_expired(&next, now) && guards.keep(Guard::SlotGrantTakes) {
                    // The holder that vanished has no part in it: the grant is for whoever comes.
                    queues.extend(self.take(&next.tenant, next.execution, now));
                }
                let at = self.fitting(&queue).expect("there is more room, not less");
                let places = self.slots.get_mut(&queue).expect("a claim waits in it");
                places[at].granted = true;
                if guards.keep(Guard::SlotSince) {
                    places[at].since = now;
                }
                if guards.keep(Guard::SlotGrantTold) {
                    self.tell(SLOT_GRANTED, &queue.1, &next, now);
                }
                if !guards.keep(Guard::SlotGrantsAll) {
                    break;
                }
            }
        }
    }

    /// The claim of a queue that is granted next, if it fits.
    fn fitting(&self, queue: &Queue) -> Option<usize> {
        let guards = self.guards;
        let places = self.slots.get(queue)?;
        let granted = places.iter().filter(|place| place.granted).count();
        let fits = |place: &Place| {
            let capacity = if guards.keep(Guard::SlotOwnCapacity) {
                place.capacity
            } else {
                places.first().map_or(0, |first| first.capacity)
            };
            granted < capacity as usize || !guards.keep(Guard::SlotFull)
        };
        let mut waiting = places
            .iter()
            .enumerate()
            .filter(|(_, place)| !place.granted);
        let next = if !guards.keep(Guard::SlotHeadBlocks) {
            waiting.find(|(_, place)| fits(place))
        } else if guards.keep(Guard::SlotOrder) {
            waiting.next()
        } else {
            waiting.next_back()
        };
        next.filter(|(_, place)| fits(place)).map(|(at, _)| at)
    }

    fn is_expired(&self, place: &Place, now: Timestamp) -> bool {
        self.get(&place.tenant, place.execution)
            .is_some_and(|row| row.is_expired(self.guards, now))
    }

    /// Puts an item about a slot into the inbox of its execution, under a key that no outsider has.
    fn tell(&mut self, kind: &str, key: &SlotKey, place: &Place, now: Timestamp) {
        let guards = self.guards;
        let (tenant, id) = (&place.tenant, place.execution);
        let row = self.get(tenant, id);
        let (head, wake_at) = row.map_or((0, None), |row| (row.inbox_head(), row.wake_at));
        let slot = SlotId {
            key: key.clone(),
            owner: place.owner.clone(),
        };
        let dedupe = if guards.keep(Guard::SlotToldAgain) {
            format!("{SLOT_PREFIX}{}", head + 1)
        } else {
            format!("{kind} {}", slot.payload())
        };
        let item = NewSignal {
            kind: kind.to_owned(),
            payload: slot.payload(),
            dedupe: DedupeKey(dedupe),
        };
        let _ = self.signal(tenant, id, item, now);
        if let (Some(row), false) = (self.get_mut(tenant, id), guards.keep(Guard::SlotWakes)) {
            row.wake_at = wake_at;
        }
    }
}

impl Record {
    /// Whether somebody held a lease that is over and that nobody took or gave back.
    pub(super) fn is_expired(&self, guards: Guards, now: Timestamp) -> bool {
        self.lease.is_some() && !self.is_held(guards, now)
    }
}

fn queue_of(guards: Guards, tenant: &TenantId, key: &SlotKey) -> Queue {
    let tenant = if guards.keep(Guard::SlotTenant) {
        tenant.clone()
    } else {
        TenantId::local()
    };
    (tenant, key.clone())
}

fn queues_of(places: Vec<(Queue, Place)>) -> BTreeSet<Queue> {
    places.into_iter().map(|(queue, _)| queue).collect()
}
