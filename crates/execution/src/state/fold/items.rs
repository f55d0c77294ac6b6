//! What facts about lists make of the state.

use nebula_action::{ActionError, ErrorClass};
use nebula_workflow::ItemsRest;

use super::{Fold, MAIN, open_items};
use crate::{
    Added, Fact, InstanceId, InstanceStatus, ItemOutcome, Items, activation::elements_of,
    state::At, tokens,
};

impl Fold<'_> {
    pub(super) fn items(&mut self, fact: &Fact) {
        match fact {
            Fact::ItemsOpened {
                instance,
                count,
                more,
            } => {
                let at = self.whole(instance);
                let activation = self.begun(at);
                assert!(
                    activation.items.is_none(),
                    "the items of {instance} are opened twice"
                );
                activation.signal.clone_from(more);
                let mut items = Items::new(*count);
                items.grows = more.is_some();
                activation.items = Some(Box::new(items));
                activation.status = InstanceStatus::Running;
            }
            Fact::ItemsAdded {
                instance,
                id,
                count,
                last,
            } => self.items_added(instance, id, (*count, *last)),
            Fact::ItemsSettled {
                instance,
                from,
                outcomes,
            } => {
                let at = self.whole(instance);
                let items = open_items(self.open_mut(at));
                for (item, outcome) in (*from..).zip(outcomes) {
                    items.settle(item, outcome.clone());
                }
            }
            Fact::ItemsEnough { instance, error } => self.items_enough(instance, error.as_ref()),
            Fact::ItemsCompleted { instance, taken } => {
                let at = self.whole(instance);
                let mode = self.plan.node(at.node).on_item_error;
                let activation = self.open_mut(at);
                let items = activation.items.take();
                let items = items.expect("items are completed after they are opened");
                assert!(
                    items.is_complete() || items.enough,
                    "{instance} is completed before its items"
                );
                activation.attempts = activation.attempts.max(1);
                activation.give(items.result(mode));
                activation.items = Some(items).filter(|it| it.absorbs && !it.is_complete());
                let through = Some((&MAIN, taken));
                self.leave(at, InstanceStatus::Succeeded, through);
            }
            Fact::ItemsAbsorbed { instance } => {
                let at = self.whole(instance);
                let items = self.open_mut(at).items.take();
                assert!(
                    items.is_some_and(|items| items.absorbs && items.is_complete()),
                    "items of {instance} still run"
                );
                let (plan, now, before) = (self.plan, self.at, self.fresh.cancelled.len());
                let frame = self.state.frames.get_mut(at.frame);
                let frame = frame.expect("an activation is in an open frame");
                tokens::rest_ended(frame, plan, at, now, self.fresh);
                self.drop_runs(before);
            }
            _ => unreachable!("the caller sorts facts"),
        }
    }

    fn items_added(&mut self, instance: &InstanceId, id: &str, (count, last): (u32, bool)) {
        let at = self.whole(instance);
        let name = self.open(at).signal.clone();
        let name = name.expect("a list takes signals that it waits for");
        let payload = self.take_signal(&name, id);
        let activation = self.open_mut(at);
        if last {
            activation.signal = None;
        }
        let items = open_items(activation);
        assert_eq!(
            elements_of(&payload).0.len(),
            count as usize,
            "a signal brought other elements than the entry says"
        );
        let first = items.count;
        items.count += count;
        items.grows = !last;
        if count > 0 {
            items.added.push(Added {
                first,
                left: count,
                payload,
            });
        }
    }

    fn items_enough(&mut self, instance: &InstanceId, error: Option<&ActionError>) {
        let at = self.whole(instance);
        let rest = self.plan.node(at.node).rest;
        let activation = self.open_mut(at);
        activation.signal = None;
        let items = open_items(activation);
        items.grows = false;
        match error {
            Some(error) => {
                let item = items.latest.unwrap_or(0);
                items.failed.get_or_insert((item, error.clone()));
                items.absorbs = false;
            }
            None => {
                items.enough = true;
                items.absorbs = rest == ItemsRest::Absorb;
            }
        }
        if error.is_some() || rest == ItemsRest::Cancel {
            self.drop_runs_of(at);
        }
    }

    /// An item failed for good: the list goes on without it, or fails with it.
    pub(super) fn item_failed(&mut self, at: At, item: u32, error: &ActionError) {
        let goes_on = self.plan.node(at.node).goes_on();
        let items = open_items(self.open_mut(at));
        if items.enough && !items.absorbs && error.class == ErrorClass::Cancelled {
            items.give_up(item);
            return;
        }
        items.settle(item, ItemOutcome::Error(error.clone()));
        if goes_on || items.enough || items.failed.is_some() {
            return;
        }
        items.failed = Some((item, error.clone()));
        self.drop_runs_of(at);
    }
}
