//! What did not end well: which of it stays true.

use nebula_action::{EffectClass, ErrorClass};
use nebula_workflow::OnIndeterminate;

use super::Copying;
use crate::{Again, Entry, Fact, InstanceId, InstanceStatus, UnparkDecision};

impl Copying<'_> {
    /// An entry about an instance that failed with the execution or did not end. Of a list, the
    /// items that ended are kept; of effects that nobody knows about, the question is.
    pub(super) fn unended(&mut self, instance: &InstanceId, node: u32, entry: &Entry) {
        match &entry.fact {
            // What signals brought is brought once: the list has it, also if its body begins again.
            Fact::ItemsOpened { more: Some(_), .. } | Fact::ItemsAdded { .. } => {
                self.copy(entry.clone());
            }
            Fact::ItemsOpened { .. } | Fact::ItemsSettled { .. }
                if self.ended.plan().body_of(node).is_none() =>
            {
                self.copy(entry.clone());
            }
            Fact::AttemptStarted { .. } => {
                let asks = self.asks_a_person(node);
                self.remember(instance, entry.clone(), asks);
            }
            Fact::AttemptSucceeded { .. } | Fact::JsonPassed { .. } => {
                self.settle(instance, entry.clone());
            }
            Fact::AttemptFailed {
                retry_at: Some(_),
                error,
                ..
            } => {
                let unknown = self.is_unknown(instance) && leaves_open(&error.class);
                self.remember(instance, entry.clone(), unknown);
            }
            Fact::AttemptFailed { attempt, error, .. } => {
                if self.is_handled(instance, node) && error.class != ErrorClass::Cancelled {
                    self.settle(instance, entry.clone());
                } else if self.is_unknown(instance) && leaves_open(&error.class) {
                    // That it counts as failed ended with the execution; the question did not.
                    let fact = Fact::AttemptIndeterminate {
                        instance: instance.clone(),
                        attempt: *attempt,
                        error: error.clone(),
                    };
                    self.remember(instance, Entry { at: entry.at, fact }, true);
                } else {
                    self.drop(instance);
                }
            }
            Fact::AttemptIndeterminate { .. } => self.remember(instance, entry.clone(), true),
            Fact::Unparked { decision, .. } => match decision {
                UnparkDecision::Succeeded(_) => self.settle(instance, entry.clone()),
                UnparkDecision::Failed if self.is_handled(instance, node) => {
                    self.settle(instance, entry.clone());
                }
                UnparkDecision::Failed => self.drop(instance),
                UnparkDecision::Retry => self.remember(instance, entry.clone(), false),
            },
            // What waited waits again, counted from the same time; what stopped stops again.
            _ => {}
        }
    }

    /// Copies an entry that stays only if the instance turns out to be kept.
    fn remember(&mut self, instance: &InstanceId, entry: Entry, unknown: bool) {
        let open = self.open.entry(instance.clone()).or_default();
        open.places.push(self.copied.len());
        open.unknown = unknown;
        self.copy(entry);
    }

    /// Copies the end of an item, and with it all before.
    fn settle(&mut self, instance: &InstanceId, entry: Entry) {
        self.open.remove(instance);
        self.copy(entry);
    }

    /// The instance runs again as if it never had.
    fn drop(&mut self, instance: &InstanceId) {
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
    fn is_handled(&self, instance: &InstanceId, node: u32) -> bool {
        let goes_on = self.ended.plan().node(node).goes_on();
        instance.item.is_some() && goes_on && !self.ending
    }

    /// Whether the activation ended by itself, and something could follow from it.
    pub(super) fn ended_well(&self, node: u32, number: u32) -> bool {
        let activation = self.ended.state().activation(node, number);
        activation.is_some_and(|activation| match activation.status {
            // It was given up, and a retry changes nothing about that; whether a restart does is
            // seen when the node that asked for it runs again.
            _ if activation.given_up => self.how == Again::Retry,
            InstanceStatus::Skipped => true,
            // What failed with the execution, or stopped it, left by no port.
            InstanceStatus::Succeeded | InstanceStatus::Failed => activation.port.is_some(),
            _ => false,
        })
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
                let whole = instance.item.is_none();
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
