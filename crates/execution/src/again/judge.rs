//! What did not end well: which of it stays true.

use nebula_action::{EffectClass, ErrorClass};
use nebula_workflow::OnIndeterminate;

use super::Copying;
use crate::{Activation, Again, Entry, Fact, InstanceId, InstanceStatus, UnparkDecision};

impl Copying<'_> {
    /// Judges a copy about an instance that failed with the execution or did not end. Of a list, the
    /// items that ended are kept; of bodies, what ended in them; of effects that nobody knows about,
    /// the question is. `handled`: whether its failure is a result that something went on with.
    pub(super) fn judge(&mut self, place: usize, handled: bool) {
        let Some(Some(Entry { at, fact })) = self.copied.get(place).cloned() else {
            return;
        };
        let Some(instance) = fact.instance() else {
            return;
        };
        match &fact {
            // What signals brought is brought once: the list has it.
            Fact::ItemsOpened { .. }
            | Fact::ItemsAdded { .. }
            | Fact::ItemsSettled { .. }
            | Fact::RoundsOpened { .. } => {}
            Fact::BodyOpened { .. } => self.opened(instance),
            Fact::SlotClaimed { .. } | Fact::SlotGranted { .. } | Fact::SlotLost { .. } => {
                self.claim(instance, place, &fact);
            }
            // The delay before a round.
            Fact::TimerSet { .. } if instance.item.is_some() => {}
            Fact::AttemptStarted { .. } => {
                let asks = self.asks_a_person(self.node(instance));
                self.remember(instance, place, asks);
            }
            Fact::AttemptSucceeded { .. }
            | Fact::AttemptSpilled { .. }
            | Fact::JsonPassed { .. } => self.settle(instance),
            // Items are settled together: what one put stays beside its list.
            Fact::BlobsPut { .. } if instance.item.is_some() => {}
            Fact::BlobsPut { .. } => {
                let unknown = self.is_unknown(instance);
                self.remember(instance, place, unknown);
            }
            Fact::AttemptFailed {
                retry_at: Some(_),
                error,
                ..
            } => {
                let unknown = self.is_unknown(instance) && leaves_open(&error.class);
                self.remember(instance, place, unknown);
            }
            Fact::AttemptFailed { attempt, error, .. } => {
                if handled && error.class != ErrorClass::Cancelled {
                    self.settle(instance);
                } else if self.is_unknown(instance) && leaves_open(&error.class) {
                    // That it counts as failed ended with the execution; the question did not.
                    let fact = Fact::AttemptIndeterminate {
                        instance: instance.clone(),
                        attempt: *attempt,
                        error: error.clone(),
                    };
                    self.copied[place] = Some(Entry { at, fact });
                    self.remember(instance, place, true);
                } else {
                    self.drop(instance, place);
                }
            }
            Fact::AttemptIndeterminate { .. } => self.remember(instance, place, true),
            Fact::Unparked { decision, .. } => match decision {
                UnparkDecision::Succeeded(_) => self.settle(instance),
                UnparkDecision::Failed if handled => self.settle(instance),
                UnparkDecision::Failed => self.drop(instance, place),
                UnparkDecision::Retry => self.remember(instance, place, false),
            },
            // What waited waits again, counted from the same time; what stopped stops again.
            _ => self.forget([place]),
        }
    }

    /// A copy that stays only if the instance turns out to be kept.
    fn remember(&mut self, instance: &InstanceId, place: usize, unknown: bool) {
        let open = self.open.entry(instance.clone()).or_default();
        open.places.push(place);
        open.unknown = unknown;
    }

    /// The end of an instance or item stays, and with it all before.
    fn settle(&mut self, instance: &InstanceId) {
        self.open.remove(instance);
    }

    /// The instance runs again as if it never had; so its failure is forgotten, too.
    fn drop(&mut self, instance: &InstanceId, failure: usize) {
        self.forget([failure]);
        if let Some(open) = self.open.remove(instance) {
            self.forget(open.places);
        }
    }

    fn is_unknown(&self, instance: &InstanceId) -> bool {
        self.open.get(instance).is_some_and(|open| open.unknown)
    }

    /// Whether an unknown outcome of this node may not be tried again without a person.
    pub(super) fn asks_a_person(&self, node: u32) -> bool {
        let node = self.ended.plan().node(node);
        node.effect == EffectClass::AtMostOnce && node.on_indeterminate != OnIndeterminate::Retry
    }

    /// Whether the failure of this item is a result that its list goes on with.
    pub(super) fn is_handled(&self, instance: &InstanceId, node: u32) -> bool {
        let goes_on = self.ended.plan().node(node).goes_on();
        instance.item.is_some() && goes_on && !self.ending
    }

    /// Whether the activation ended by itself, and something could follow from it.
    pub(super) fn ended_well(&self, node: u32, number: u32) -> bool {
        let activation = self.ended.state().activation(node, number);
        activation.is_some_and(|activation| self.is_well(activation))
    }

    /// Whether an activation has ended by itself, and something could follow from it.
    pub(super) fn is_well(&self, activation: &Activation) -> bool {
        match activation.status {
            // It was given up, and a retry changes nothing about that; whether a restart does is
            // seen when the node that asked for it runs again.
            _ if activation.given_up => self.how == Again::Retry,
            InstanceStatus::Skipped => true,
            // What failed with the execution, or stopped it, left by no port.
            InstanceStatus::Succeeded | InstanceStatus::Failed => activation.port.is_some(),
            _ => false,
        }
    }

    /// Whether nothing that fails after this fact is handled.
    pub(super) fn begins_the_end(&self, fact: &Fact) -> bool {
        match fact {
            Fact::CancellationRequested { .. }
            | Fact::StopRequested { .. }
            | Fact::QuitRequested { .. } => true,
            Fact::AttemptFailed {
                instance,
                retry_at: None,
                ..
            }
            | Fact::Unparked {
                instance: Some(instance),
                decision: UnparkDecision::Failed,
                ..
            } => {
                let whole = instance.item.is_none() && instance.within.is_none();
                whole && !self.ended_well(self.node(instance), instance.activation)
            }
            _ => false,
        }
    }
}

/// Whether an error of a started attempt leaves open what it did.
pub(super) fn leaves_open(class: &ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Unknown | ErrorClass::Timeout | ErrorClass::Cancelled
    )
}
