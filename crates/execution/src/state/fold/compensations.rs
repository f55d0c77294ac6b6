//! What facts about compensations make of the state.

use super::{Fold, is_drained};
use crate::{
    Fact, InstanceId, InstanceStatus, OpenCompensation, SettledCompensation, UnparkDecision,
};

impl Fold<'_> {
    pub(super) fn compensation(&mut self, fact: &Fact) {
        match fact {
            Fact::CompensationRegistered { instance, input } => {
                let open = &mut self.state.compensations;
                open.register(instance.clone(), self.at, input.clone());
            }
            Fact::CompensationStarted {
                instance,
                attempt,
                deadline,
                ..
            } => {
                let open = self.open_compensation(instance);
                assert!(
                    *attempt > open.attempts,
                    "the compensation of {instance} starts attempt {attempt} again"
                );
                open.attempts = *attempt;
                open.due = None;
                open.deadline = Some(*deadline);
            }
            Fact::CompensationSucceeded { instance, .. } => self.settled(instance, false),
            Fact::CompensationFailed {
                instance,
                attempt,
                error,
                retry_at,
                counts,
            } => {
                let open = self.open_compensation(instance);
                open.attempts = open.attempts.max(*attempt);
                open.failures += u32::from(*counts);
                open.drained += u32::from(is_drained(*counts, error));
                open.deadline = None;
                open.due = *retry_at;
                open.error = Some(error.clone());
                open.stuck = retry_at.is_none();
            }
            _ => unreachable!("the caller sorts facts"),
        }
    }

    /// What a person decided, if it is about a compensation.
    pub(super) fn compensation_decided(
        &mut self,
        instance: &InstanceId,
        decision: &UnparkDecision,
    ) -> bool {
        let now = self.at;
        let open = self.state.compensations.get_mut(instance);
        let Some(open) = open.filter(|open| open.stuck) else {
            return false;
        };
        match decision {
            UnparkDecision::Succeeded(_) => self.settled(instance, false),
            UnparkDecision::Failed => self.settled(instance, true),
            UnparkDecision::Retry => {
                open.stuck = false;
                open.failures = 0;
                open.due = Some(now);
            }
        }
        true
    }

    fn settled(&mut self, instance: &InstanceId, given_up: bool) {
        let early = self.state.ending.is_none();
        self.state.compensations.settle(SettledCompensation {
            instance: instance.clone(),
            given_up,
            early,
        });
        let Some(at) = self.state.find(self.plan, instance).filter(|_| !given_up) else {
            return;
        };
        // An activation with items is undone with the last of them.
        let of_the_same = |it: &OpenCompensation| {
            it.instance.node == instance.node && it.instance.whole() == instance.whole()
        };
        let open = self.state.compensations.open();
        if instance.item.is_some() && open.iter().rev().any(of_the_same) {
            return;
        }
        let node = self.frame(at.frame).node_mut(at.node);
        let activation = node.activations.get_mut(at.number as usize - 1);
        if let Some(activation) = activation
            && activation.status == InstanceStatus::Succeeded
        {
            activation.status = InstanceStatus::Compensated;
        }
    }

    fn open_compensation(&mut self, instance: &InstanceId) -> &mut OpenCompensation {
        let open = self.state.compensations.get_mut(instance);
        open.expect("an entry is about an effect that was registered")
    }
}
