//! What was undone, and what follows from it: that runs again, and must not act twice.

use nebula_core::NodeId;

use super::{AgainError, Copying, downstream, judge::leaves_open};
use crate::{Entry, Fact, InstanceId, Machine, UnparkDecision};

impl Copying<'_> {
    /// Whether a fact is about undoing the effect of this instance.
    pub(super) fn is_compensation(&mut self, fact: &Fact, instance: &InstanceId) -> bool {
        match fact {
            Fact::CompensationRegistered { .. }
            | Fact::CompensationStarted { .. }
            | Fact::CompensationSucceeded { .. } => true,
            Fact::CompensationFailed { retry_at, .. } => {
                if retry_at.is_none() {
                    self.stuck.insert(instance.clone());
                }
                true
            }
            Fact::Unparked { .. } => self.stuck.remove(instance),
            _ => false,
        }
    }

    /// What was undone in a body whose node then went on stays part of that body. What else was
    /// registered is no longer this one's to undo: it was undone, or its effect stands.
    pub(super) fn compensation(&mut self, instance: &InstanceId, entry: &Entry) {
        let outer = instance.enclosing().last();
        let Some(outer) = outer.filter(|_| self.early.contains_key(instance)) else {
            return;
        };
        let top = self.node(outer);
        if self.runs_again(top) {
            return;
        }
        let place = self.copy(entry.clone());
        if !self.ended_well(top, outer.activation) {
            self.doubt_effect(instance, place, &entry.fact);
        }
    }

    /// Remembers of an instance that will run again whether it may have acted, and must not twice.
    pub(super) fn may_have_acted(&mut self, instance: &InstanceId, fact: &Fact) {
        match fact {
            Fact::AttemptStarted { .. } | Fact::ChildStarted { .. }
                if self.asks_a_person(self.node(instance)) =>
            {
                self.acted.insert(instance.clone());
            }
            Fact::AttemptFailed { error, .. } if leaves_open(&error.class) => {}
            Fact::AttemptFailed { .. }
            | Fact::Unparked {
                decision: UnparkDecision::Failed | UnparkDecision::Retry,
                ..
            } => {
                self.acted.remove(instance);
            }
            _ => {}
        }
    }

    /// Remembers of an instance that will run again whether it gave up nodes that will not: they would
    /// stay given up by what has not happened.
    pub(super) fn may_have_given_up(&mut self, instance: &InstanceId, fact: &Fact) {
        let Fact::NodesCancelled { nodes, .. } = fact else {
            return;
        };
        let plan = self.ended.plan();
        let top = |id: &NodeId| {
            let mut node = plan.index_of(id.as_str())?;
            while let Some(body) = plan.extent_of(node).checked_sub(1) {
                node = plan.bodies[body as usize].owner;
            }
            Some(node)
        };
        let mut tops = nodes.iter().filter_map(top);
        if tops.any(|node| !self.runs_again(node)) {
            self.doubts.gave_up.get_or_insert(instance.clone());
        }
    }

    pub(super) fn nothing_acts_twice(&mut self) -> Result<(), AgainError> {
        let settled = self.ended.state().compensations().settled().iter();
        for undone in settled.filter(|it| !it.given_up) {
            self.acted.remove(&undone.instance);
        }
        if let Some(instance) = &self.doubts.gave_up {
            let node = instance.node.clone();
            return Err(AgainError::GaveUp { node });
        }
        let Some(instance) = self.acted.first() else {
            return Ok(());
        };
        let node = instance.node.clone();
        Err(match instance.within {
            Some(_) => AgainError::ActedInBody { node },
            None => AgainError::ActedBehind { node },
        })
    }
}

/// Which nodes run again because effects were undone when the execution ended: those with such
/// effects, and all that follows from them; by dense index.
pub(super) fn behind_the_undone(ended: &Machine) -> Vec<bool> {
    let plan = ended.plan();
    let mut redone = vec![false; plan.nodes.len()];
    let settled = ended.state().compensations().settled().iter();
    for undone in settled.filter(|it| !it.given_up && !it.early) {
        let outermost = undone.instance.enclosing().last();
        let node = &outermost.unwrap_or(&undone.instance).node;
        let node = plan.index_of(node.as_str());
        let node = node.expect("a journal names only nodes of its plan");
        if !redone[node as usize] {
            let reached = downstream(plan, node);
            for (redone, reached) in redone.iter_mut().zip(reached) {
                *redone |= reached;
            }
        }
    }
    redone
}
