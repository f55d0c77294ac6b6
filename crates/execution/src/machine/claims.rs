//! Bodies that run while their instance holds a slot.
//!
//! Slots of the tenant are rows of the store: the state says which of them the execution holds or
//! waits for, and the holder moves the rows with the steps. Slots of the execution are handed out
//! here. Where a slot is not held, nothing of its body starts.

use std::collections::{BTreeMap, BTreeSet};

use nebula_action::{ActionError, ErrorClass};

use super::{Flight, Machine, Turn};
use crate::{
    Claim, ClaimStatus, ClaimedSlot, Fact, InstanceId, Key, MAX_CLAIMS, Outcome, SlotScope,
    SlotWanted, WhenLost,
};

impl Machine {
    /// The slots that the execution holds or waits for in the store, as its entries say.
    #[must_use]
    pub fn slots(&self) -> BTreeSet<ClaimedSlot> {
        if !self.plan.takes_slots() {
            return BTreeSet::new();
        }
        let claims = self.state.claims();
        let slots = claims.filter_map(|(at, claim)| claim.slot(&self.instance(at.whole())));
        slots.collect()
    }

    /// Why an instance may not even wait for a slot: it would wait for itself, or one slot too many.
    #[must_use]
    pub fn refuses_claim(&self, instance: &InstanceId, wanted: &SlotWanted) -> Option<ActionError> {
        let key = &wanted.key;
        let around = instance.enclosing().find(|outer| {
            let at = self.state.find(&self.plan, outer);
            let claim = at.and_then(|at| self.state.get(at)?.claim.as_deref());
            claim.is_some_and(|claim| claim.shares_with(wanted))
        });
        if let Some(around) = around {
            let message = format!(
                "`{key}` is held by `{around}`, in whose body this stands: it would wait for itself"
            );
            return Some(ActionError::fatal("LOCK_HELD", message));
        }
        let stored = wanted.scope == SlotScope::Tenant;
        let stored = stored && self.slots().len() >= MAX_CLAIMS;
        stored.then(|| {
            let message =
                format!("an execution holds and waits for at most {MAX_CLAIMS} slots at a time");
            ActionError::new("LOCK_LIMIT", message, ErrorClass::LimitExceeded)
        })
    }

    /// Whether nothing of an instance may start, since a slot is not held that it needs.
    #[must_use]
    pub fn lacks_slot(&self, instance: &InstanceId) -> bool {
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("lock-is-not-taken-again") {
            return false;
        }
        self.plan.takes_slots()
            && self
                .key(instance)
                .is_some_and(|key| self.state.lacks_slot(key.at.frame))
    }

    /// A control action wants a slot for its body.
    pub(super) fn claims(
        &mut self,
        instance: &InstanceId,
        wanted: SlotWanted,
        turn: &mut Turn<'_>,
    ) {
        let Some((key, _)) = self.land(instance) else {
            return;
        };
        if self.state.is_ending(key.at.frame) {
            return;
        }
        self.claim(key, wanted, turn);
    }

    fn claim(&mut self, key: Key, wanted: SlotWanted, turn: &mut Turn<'_>) {
        let instance = self.instance(key);
        self.note(Fact::SlotClaimed { instance, wanted }, turn);
        self.remember_claim(key);
    }

    /// Remembers a claim, as the state says.
    pub(super) fn remember_claim(&mut self, key: Key) {
        self.claims.insert(key);
        let claim = self.state.get(key.at).and_then(|it| it.claim.as_deref());
        let due = claim.and_then(Claim::due);
        self.timers.extend(due.map(|due| (due, key)));
    }

    /// The claim of the store's slot with this key and owner.
    fn claim_of(&self, slot_key: &str, owner: &str) -> Option<(Key, ClaimStatus)> {
        let mut claims = self.state.claims();
        claims.find_map(|(at, claim)| {
            let tenant = claim.wanted.scope == SlotScope::Tenant && claim.wanted.key == slot_key;
            let ours = tenant && claim.owner(&self.instance(at.whole())) == owner;
            ours.then(|| (at.whole(), claim.status))
        })
    }

    /// The store has granted a slot; a grant that nobody waits for any more is passed over.
    pub(super) fn slot_granted(&mut self, slot_key: &str, owner: &str, turn: &mut Turn<'_>) {
        if let Some((key, ClaimStatus::Waiting)) = self.claim_of(slot_key, owner) {
            self.granted(key, turn);
        }
    }

    fn granted(&mut self, key: Key, turn: &mut Turn<'_>) {
        let activation = self.state.get(key.at);
        let due = activation.and_then(|it| it.claim.as_deref()?.due());
        let body_due = activation.and_then(|it| it.due);
        if let Some(due) = due {
            self.timers.remove(&(due, key));
            self.timers.extend(body_due.map(|due| (due, key)));
        }
        let instance = self.instance(key);
        self.note(Fact::SlotGranted { instance }, turn);
        // What was held back looks again whether it may start.
        for key in std::mem::take(&mut self.held_back) {
            self.make_ready(key);
        }
        self.timers.append(&mut self.late);
    }

    /// The store has given a slot to others: nothing of its body starts from now on.
    pub(super) fn slot_lost(&mut self, slot_key: &str, owner: &str, turn: &mut Turn<'_>) {
        if let Some((key, ClaimStatus::Held)) = self.claim_of(slot_key, owner) {
            self.lose(key, turn);
        }
    }

    /// The execution waits for its start slot. Those who have theirs may wait for what it holds, so it
    /// holds nothing meanwhile, and claims all of it again with its turn.
    pub(super) fn queued(&mut self, turn: &mut Turn<'_>) {
        self.admitted = false;
        let claims = self.state.claims().filter(|(_, claim)| {
            claim.wanted.scope == SlotScope::Tenant && claim.status != ClaimStatus::Lost
        });
        let keys: Vec<_> = claims.map(|(at, _)| at.whole()).collect();
        for key in keys {
            self.lose(key, turn);
        }
    }

    fn lose(&mut self, key: Key, turn: &mut Turn<'_>) {
        let due = self
            .state
            .get(key.at)
            .and_then(|it| it.claim.as_deref()?.due());
        self.timers
            .retain(|timer| due.map(|due| (due, key)) != Some(*timer));
        let instance = self.instance(key);
        self.note(Fact::SlotLost { instance }, turn);
        let activation = self.state.get(key.at);
        let Some(claim) = activation.and_then(|it| it.claim.as_deref()) else {
            return;
        };
        if claim.wanted.when_lost == WhenLost::Fail && self.is_body(key) {
            let error = claim.lost();
            self.give_up_body(key, error, turn);
        } else {
            self.remember_claim(key);
        }
    }

    fn give_up_body(&mut self, key: Key, error: ActionError, turn: &mut Turn<'_>) {
        let frame = self.state.frames.of_owner(key);
        let runs = frame.and_then(|frame| self.state.frames.get(frame));
        if runs.is_some_and(|run| run.ending.is_none()) {
            let instance = self.instance(key);
            self.note(Fact::SlotGivenUp { instance, error }, turn);
        }
        self.stirred.extend(frame);
    }

    /// A timer of an instance with a claim is due: whether it was the claim's own time.
    pub(super) fn claim_due(&mut self, key: Key, turn: &mut Turn<'_>) -> bool {
        let claim = self.state.get(key.at).and_then(|it| it.claim.as_deref());
        let late = claim.filter(|claim| claim.due().is_some_and(|due| due <= turn.at));
        let Some(late) = late.filter(|_| key.item.is_none()) else {
            return false;
        };
        let error = late.timed_out();
        if self.is_body(key) {
            self.give_up_body(key, error, turn);
        } else {
            self.expire(key, turn);
        }
        true
    }

    /// The wait for a slot is over; one that was granted meanwhile is taken all the same.
    pub(super) fn claim_expired(
        &mut self,
        key: Key,
        flight: Flight,
        outcome: Outcome,
        turn: &mut Turn<'_>,
    ) {
        let claim = self.state.get(key.at).and_then(|it| it.claim.as_deref());
        let held = claim.is_some_and(|claim| claim.status == ClaimStatus::Held);
        if let (Outcome::Failed { error, taken, .. }, false) = (outcome, held) {
            self.failed(key, flight, error, taken, turn);
        }
    }

    /// Claims what was lost again, hands out slots of the execution, and opens the bodies of those
    /// who hold theirs.
    pub(super) fn see_to_claims(&mut self, turn: &mut Turn<'_>) {
        let claims = std::mem::take(&mut self.claims);
        let is_there = |key: &Key| self.state.get(key.at).is_some_and(|it| it.claim.is_some());
        self.claims = claims.into_iter().filter(is_there).collect();
        if self.claims.is_empty() {
            return;
        }
        self.lose_within(turn);
        self.claim_lost(turn);
        // Where a slot came back, those within are claimed again.
        while self.hand_out_own(turn) {
            self.claim_lost(turn);
        }
        for key in self.those_that(ClaimStatus::Held) {
            self.open_held(key, turn);
        }
    }

    /// A body without its slot holds and waits for no other one: whoever has the slot now may wait
    /// for that, and would wait for one who waits for it.
    fn lose_within(&mut self, turn: &mut Turn<'_>) {
        for status in [ClaimStatus::Held, ClaimStatus::Waiting] {
            for key in self.those_that(status) {
                if self.state.lacks_slot(key.at.frame) {
                    self.lose(key, turn);
                }
            }
        }
    }

    /// Claims what was lost again, from the outside in.
    fn claim_lost(&mut self, turn: &mut Turn<'_>) {
        for key in self.those_that(ClaimStatus::Lost) {
            let run = self.state.frames.of_owner(key);
            let run = run.and_then(|run| self.state.frames.get(run));
            // What is about to end needs no slot for that; and whoever waits around it comes first.
            let ends = run.is_some_and(|run| run.ending.is_some());
            let waits = !self.admitted || self.state.lacks_slot(key.at.frame);
            let wanted = self.wanted(key).filter(|_| !ends && !waits);
            if let Some(wanted) = wanted {
                self.claim(key, wanted, turn);
            }
        }
    }

    /// Whether a lost slot is claimed again once the execution is admitted.
    pub(super) fn claims_later(&self) -> bool {
        !self.admitted && !self.those_that(ClaimStatus::Lost).is_empty()
    }

    /// Those whose claims stand so, of runs that are not about to end.
    fn those_that(&self, status: ClaimStatus) -> Vec<Key> {
        let claims = self.claims.iter().copied().filter(|key| {
            let claim = self.state.get(key.at).and_then(|it| it.claim.as_deref());
            claim.is_some_and(|claim| claim.status == status) && !self.state.is_ending(key.at.frame)
        });
        claims.collect()
    }

    fn wanted(&self, key: Key) -> Option<SlotWanted> {
        let claim = self.state.get(key.at)?.claim.as_deref()?;
        Some(claim.wanted.clone())
    }

    /// Grants slots that only this execution shares, in the order in which they were claimed; whether
    /// there were any.
    fn hand_out_own(&mut self, turn: &mut Turn<'_>) -> bool {
        let mut held: BTreeMap<_, u32> = BTreeMap::new();
        let mut waiting = Vec::new();
        for key in &self.claims {
            let claim = self.state.get(key.at).and_then(|it| it.claim.as_deref());
            let Some(claim) = claim.filter(|it| it.wanted.scope == SlotScope::Execution) else {
                continue;
            };
            match claim.status {
                ClaimStatus::Held => *held.entry(claim.wanted.key.clone()).or_default() += 1,
                ClaimStatus::Waiting => waiting.push((claim.since, *key)),
                ClaimStatus::Lost => {}
            }
        }
        waiting.sort_unstable();
        let (mut full, mut some) = (BTreeSet::new(), false);
        for (_, key) in waiting {
            let Some(wanted) = self.wanted(key) else {
                continue;
            };
            let held = held.entry(wanted.key.clone()).or_default();
            // Nobody passes one that waits before.
            if *held >= wanted.permits || full.contains(&wanted.key) {
                full.insert(wanted.key);
                continue;
            }
            *held += 1;
            some = true;
            self.granted(key, turn);
        }
        some
    }

    /// Opens the body of an instance that holds its slot, unless it is open.
    fn open_held(&mut self, key: Key, turn: &mut Turn<'_>) {
        if self.is_body(key)
            || self.flights.contains_key(&key)
            || self.state.lacks_slot(key.at.frame)
        {
            return;
        }
        let timeout = self.wanted(key).and_then(|wanted| wanted.timeout);
        let json = self.state.json(&self.plan, key.at);
        let due = timeout.map(|timeout| turn.at.plus(timeout));
        self.timers.extend(due.map(|due| (due, key)));
        self.open_body(key, &json, due, turn);
    }
}
