//! Instances that wait until their milestone is reached, and pass while it holds.
//!
//! What a milestone lies between are the ends of other nodes, so the state alone says where it
//! stands. Whoever waits is looked at again when one of those nodes has ended.

use super::{Machine, Turn};
use crate::{Activation, At, Fact, InstanceId, InstanceStatus, Key, MilestoneStatus};

impl Machine {
    /// Where the milestone of an instance stands now.
    #[must_use]
    pub fn milestone(&self, instance: &InstanceId) -> MilestoneStatus {
        // Whoever stands in a run that was closed meanwhile goes nowhere.
        self.key(instance)
            .map_or(MilestoneStatus::Expired, |key| self.milestone_at(key.at))
    }

    fn milestone_at(&self, from: At) -> MilestoneStatus {
        let Some(milestone) = self.plan.node(from.node).milestone else {
            return MilestoneStatus::Holds;
        };
        let end = |node: Option<u32>| {
            let at = self.state.seen_from(&self.plan, from, node?);
            let activation = self.state.get(at).filter(|it| it.has_ended())?;
            Some(activation.status)
        };
        // What was skipped has not come to pass, and never will.
        if end(milestone.until).is_some_and(|status| status != InstanceStatus::Skipped) {
            return MilestoneStatus::Expired;
        }
        match (milestone.reached, end(milestone.reached)) {
            (None, _) | (_, Some(InstanceStatus::Succeeded)) => MilestoneStatus::Holds,
            (Some(_), None) => MilestoneStatus::Ahead,
            (Some(_), Some(_)) => MilestoneStatus::Expired,
        }
    }

    /// A control action waits until its milestone is reached, or will never be.
    pub(super) fn heeds(&mut self, instance: InstanceId, turn: &mut Turn<'_>) {
        let Some((key, _)) = self.land(&instance) else {
            return;
        };
        let milestone = self.plan.node(key.at.node).milestone;
        let Some(reached) = milestone.and_then(|it| it.reached) else {
            // It waits for nothing.
            self.make_ready(key);
            return;
        };
        if !self.state.is_ending(key.at.frame) {
            let reached = self.plan.node(reached).id.clone();
            self.note(Fact::MilestoneAwaited { instance, reached }, turn);
            self.heed(key);
        }
    }

    /// Remembers who waits, as the state says.
    pub(super) fn heed(&mut self, key: Key) {
        let milestone = self.plan.node(key.at.node).milestone;
        let milestone = milestone.filter(|_| self.milestone_at(key.at) == MilestoneStatus::Ahead);
        let Some(milestone) = milestone else {
            self.make_ready(key);
            return;
        };
        for node in milestone.nodes() {
            let at = self.state.seen_from(&self.plan, key.at, node);
            self.heeding.entry(at).or_default().insert(key);
        }
    }

    /// These wait for no milestone any more.
    pub(super) fn unheed(&mut self, ours: impl Fn(&Key) -> bool) {
        self.heeding.retain(|_, keys| {
            keys.retain(|key| !ours(key));
            !keys.is_empty()
        });
    }

    /// Lets those look again who wait for a node that has ended, and those look who have come to ask.
    ///
    /// That comes before any timer fires: what was due while nobody held the execution ends nothing
    /// for whoever had come before it.
    pub(super) fn see_to_milestones(&mut self, turn: &mut Turn<'_>) {
        if self.heeding.is_empty() && self.inquiring.is_empty() {
            return;
        }
        let has_ended = |at: &&At| self.state.get(**at).is_some_and(Activation::has_ended);
        let ended: Vec<At> = self.heeding.keys().filter(has_ended).copied().collect();
        for at in ended {
            for key in self.heeding.remove(&at).unwrap_or_default() {
                if self.milestone_at(key.at) != MilestoneStatus::Ahead {
                    self.unheed(|other| *other == key);
                    self.make_ready(key);
                }
            }
        }
        for key in std::mem::take(&mut self.inquiring) {
            self.launch(key, turn);
        }
    }
}
