//! Bodies that did not end well: what ended in them is kept.
//!
//! Whether a failure in a body was in vain is known only when it is known what became of the bodies
//! around it: a handler may take it, or an `on_error` far outside. So everything that is said about
//! such a body is copied first. Where something around it ends well, all within is certain. What is
//! left in doubt at the end of the journal is judged then, as at the top level: its run stays open,
//! what succeeded in it stays, and what failed or never ended runs again.
//!
//! Two things run again from before them: what runs in any case after a body that failed, since the
//! body goes on; and a run of which an effect was undone, since more may follow from that effect.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use nebula_core::Timestamp;

use super::Copying;
use crate::{
    Entry, Fact, InstanceId, Key,
    state::{Frame, FrameEnding},
};

/// What is copied and may turn out to be in vain.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Copies in their order.
    copies: Vec<Doubt>,
    /// By the owner of a run: the places of what ran in any case after the run failed.
    afterwards: BTreeMap<InstanceId, Vec<usize>>,
    /// The owners of failed runs of which effects were undone.
    undone: BTreeSet<InstanceId>,
    /// Who runs again, and gave up nodes that do not.
    pub(super) gave_up: Option<InstanceId>,
    /// The places of what is said about the effect of an instance.
    effects: BTreeMap<InstanceId, Vec<usize>>,
    /// Claims for slots whose bodies may go on.
    claims: BTreeMap<InstanceId, Claimed>,
}

/// A copied entry that may turn out to be in vain.
#[derive(Debug)]
struct Doubt {
    /// Its place.
    place: usize,
    about: About,
}

#[derive(Debug, Clone, Copy)]
enum About {
    /// What an instance did.
    Instance {
        /// Whether the failure that it tells of is one that its list goes on with.
        handled: bool,
    },
    /// That its effect can be, or was, undone.
    Effect,
}

/// What is copied about a claim.
#[derive(Debug, Default)]
struct Claimed {
    places: Vec<usize>,
    /// Whether its body was opened.
    opened: bool,
    /// Whether the last copy says that it was lost.
    lost: bool,
}

/// What an entry means for the run of a body that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunTurn {
    /// It ended well, or its failure is a result: nothing in it is in doubt.
    EndedWell,
    /// A failure in it is handled: all of it so far stays as it is.
    Handled,
    /// It failed, and what runs in any case begins.
    Afterwards,
}

impl Copying<'_> {
    /// What an entry is going to mean for a run, by the state before it.
    pub(super) fn turn_of_a_run(&self, fact: &Fact) -> Option<RunTurn> {
        let (Fact::BodyClosed { instance } | Fact::HandlerCalled { instance, .. }) = fact else {
            return None;
        };
        let (plan, state) = (self.lived.plan(), self.lived.state());
        let (owner, run) = self.run_of(instance)?;
        let body = run.body(plan)?;
        if let Fact::HandlerCalled { node, .. } = fact {
            let handler = body.handler(plan.index_of(node.as_str())?)?;
            let failed = matches!(run.ending, Some(FrameEnding::Fail(_)));
            return Some(match handler.always && failed {
                true => RunTurn::Afterwards,
                false => RunTurn::Handled,
            });
        }
        let is_item = state.get(owner.at).is_some_and(|it| it.items.is_some());
        let goes_on = is_item && plan.node(owner.at.node).goes_on();
        let goes_on = goes_on && !self.ending && !state.is_ending(owner.at.frame);
        let dropped = matches!(run.ending, Some(FrameEnding::Dropped));
        let well = run.outcome(plan, body).is_ok() || (goes_on && !dropped);
        well.then_some(RunTurn::EndedWell)
    }

    /// The run of the body of `instance` that is open, and its owner.
    fn run_of(&self, instance: &InstanceId) -> Option<(Key, &Frame)> {
        let state = self.lived.state();
        let at = state.find(self.lived.plan(), instance)?;
        let item = instance.item;
        let owner = Key { at, item };
        let run = state.frames.get(state.frames.of_owner(owner)?)?;
        Some((owner, run))
    }

    /// Takes a copy about a body that did not end well, or about something in it, once the state
    /// after it is known.
    pub(super) fn doubt(&mut self, instance: &InstanceId, place: usize, turn: Option<RunTurn>) {
        if self.is_afterwards(instance, place) {
            return;
        }
        match turn {
            Some(RunTurn::EndedWell | RunTurn::Handled) => return self.rescue(instance),
            Some(RunTurn::Afterwards) => {
                let begun = (instance.clone(), vec![place]);
                self.doubts.afterwards.extend([begun]);
                return;
            }
            None => {}
        }
        let (plan, state) = (self.lived.plan(), self.lived.state());
        let at = state.find(plan, instance);
        let activation = at.and_then(|at| state.get(at));
        if activation.is_some_and(|activation| self.is_well(activation)) {
            self.rescue(&instance.whole());
            return;
        }
        let ending = at.is_none_or(|at| state.is_ending(at.frame));
        let handled = !ending && self.is_handled(instance, self.node(instance));
        let about = About::Instance { handled };
        self.doubts.copies.push(Doubt { place, about });
    }

    /// Takes a copy about the effect of an instance in such a body.
    pub(super) fn doubt_effect(&mut self, instance: &InstanceId, place: usize, fact: &Fact) {
        if self.is_afterwards(instance, place) {
            return;
        }
        let places = self.doubts.effects.entry(instance.clone()).or_default();
        places.push(place);
        let about = About::Effect;
        self.doubts.copies.push(Doubt { place, about });
        let registered = matches!(fact, Fact::CompensationRegistered { .. });
        let stands = self.early.get(instance).is_none_or(|given_up| *given_up);
        if registered || stands {
            return;
        }
        let fails = |outer: &&InstanceId| {
            let run = self.run_of(outer);
            run.is_some_and(|(_, run)| run.ending.is_some())
        };
        let failed = instance.enclosing().find(fails).cloned();
        self.doubts.undone.extend(failed);
    }

    /// Whether it is about what ran in any case after a body that failed.
    fn is_afterwards(&mut self, instance: &InstanceId, place: usize) -> bool {
        let afterwards = &mut self.doubts.afterwards;
        let run = instance.enclosing().find(|it| afterwards.contains_key(*it));
        let places = run.and_then(|run| afterwards.get_mut(run));
        places.map(|places| places.push(place)).is_some()
    }

    /// Nothing about this instance or within it is in doubt any more: of an activation, its items
    /// and rounds included.
    fn rescue(&mut self, scope: &InstanceId) {
        let of = |instance: &InstanceId| {
            instance == scope || (scope.item.is_none() && instance.whole() == *scope)
        };
        let within = |instance: &InstanceId| instance.enclosing().any(of);
        let all = |instance: &InstanceId| of(instance) || within(instance);
        let copied = &self.copied;
        self.doubts.copies.retain(|doubt| {
            let entry = copied[doubt.place].as_ref();
            let instance = entry.and_then(|entry| entry.fact.instance());
            !instance.is_some_and(|instance| match doubt.about {
                About::Instance { .. } => all(instance),
                // That the instance succeeded says nothing about whether its effect is undone later.
                About::Effect => within(instance),
            })
        });
        self.doubts.afterwards.retain(|run, _| !all(run));
        self.doubts.undone.retain(|run| !all(run));
        self.children.retain(|instance, _| !all(instance));
    }

    /// Judges what is left in doubt. The time of a body that goes on begins anew at `now`, and the
    /// slot that it needs is one that it has lost.
    pub(super) fn settle_doubts(&mut self, now: Timestamp) {
        let doubts = &mut self.doubts;
        let mut again: BTreeSet<usize> = BTreeSet::new();
        again.extend(mem::take(&mut doubts.afterwards).into_values().flatten());
        let (runs, copies) = (mem::take(&mut doubts.undone), mem::take(&mut doubts.copies));
        for doubt in &copies {
            let entry = self.copied[doubt.place].as_ref();
            let instance = entry.and_then(|entry| entry.fact.instance());
            if let (About::Effect, Some(instance)) = (doubt.about, instance) {
                let places = doubts.effects.remove(instance);
                again.extend(places.unwrap_or_default());
            }
        }
        again.extend(self.places_within(&runs));
        for place in again {
            if let Some(Some(Entry { fact, .. })) = self.copied.get_mut(place).map(Option::take)
                && let Some(instance) = fact.instance()
            {
                if matches!(fact, Fact::NodesCancelled { .. }) {
                    self.doubts.gave_up.get_or_insert(instance.clone());
                }
                self.may_have_acted(instance, &fact);
            }
        }
        for Doubt { place, about } in copies {
            let About::Instance { handled } = about else {
                continue;
            };
            self.judge(place, handled);
            if let Some(Some(entry)) = self.copied.get_mut(place)
                && let Fact::BodyOpened { due: Some(due), .. } = &mut entry.fact
            {
                *due = now.plus(due.since(entry.at));
            }
        }
        self.lose_slots(now);
    }

    /// The places of all that is said about what stands in these runs.
    fn places_within(&self, runs: &BTreeSet<InstanceId>) -> Vec<usize> {
        if runs.is_empty() {
            return Vec::new();
        }
        let inside = |entry: &Entry| {
            let instance = entry.fact.instance();
            instance.is_some_and(|it| it.enclosing().any(|outer| runs.contains(outer)))
        };
        let places = self.copied.iter().enumerate();
        let places = places.filter(|(_, entry)| entry.as_ref().is_some_and(inside));
        places.map(|(place, _)| place).collect()
    }

    /// A copy about the claim of an instance.
    pub(super) fn claim(&mut self, instance: &InstanceId, place: usize, fact: &Fact) {
        let claimed = self.doubts.claims.entry(instance.clone()).or_default();
        claimed.places.push(place);
        claimed.lost = matches!(fact, Fact::SlotLost { .. });
    }

    /// The run of a body goes on that may hold a slot.
    pub(super) fn opened(&mut self, instance: &InstanceId) {
        if let Some(claimed) = self.doubts.claims.get_mut(instance) {
            claimed.opened = true;
        }
    }

    /// The store holds no slot for an execution that has ended, and of bodies that had their turns
    /// after one another in it, several may go on: those that need a slot wait for it again. Where no
    /// body began, all begins with the claim.
    fn lose_slots(&mut self, now: Timestamp) {
        for (instance, claimed) in mem::take(&mut self.doubts.claims) {
            if !claimed.opened {
                self.forget(claimed.places);
            } else if !claimed.lost {
                let fact = Fact::SlotLost { instance };
                self.copy(Entry { at: now, fact });
            }
        }
    }
}
