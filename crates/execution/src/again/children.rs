//! The children of what runs again.

use std::{collections::BTreeMap, mem};

use nebula_core::ExecutionId;

use super::Copying;
use crate::{Fact, InstanceId, Machine, Status, UnfinishedChild};

impl Copying<'_> {
    /// The children of what runs again, unless it is restarted.
    pub(super) fn unfinished(&mut self) -> Vec<UnfinishedChild> {
        let mut children = mem::take(&mut self.children);
        children.retain(|instance, _| {
            let outer = instance.enclosing().last().unwrap_or(instance);
            let node = self.node(outer);
            !self.restarted[node as usize] && !self.ended_well(node, outer.activation)
        });
        let children = children.into_iter();
        let children = children.map(|(instance, child)| UnfinishedChild { instance, child });
        children.collect()
    }

    /// Remembers which child an instance has called last, for as long as it did not complete.
    pub(super) fn child(&mut self, instance: &InstanceId, fact: &Fact) {
        match fact {
            Fact::ChildStarted {
                child,
                detached: false,
                ..
            } => {
                self.children.insert(instance.clone(), *child);
            }
            Fact::PartStarted { from, child, .. } => {
                let part = instance.of_item(*from);
                self.children.insert(part, *child);
            }
            Fact::PartEnded {
                status: Status::Completed,
                from,
                ..
            } => {
                self.children.remove(&instance.of_item(*from));
            }
            Fact::ChildEnded {
                status: Status::Completed,
                ..
            } => {
                self.children.remove(instance);
            }
            _ => {}
        }
    }
}

/// The children that this execution would itself have gone over again.
pub(super) fn known_children(ended: &Machine) -> BTreeMap<InstanceId, ExecutionId> {
    let repeats = ended.state().started().and_then(|it| it.repeats.as_ref());
    let children = repeats.into_iter().flat_map(|repeats| &repeats.children);
    children.map(|it| (it.instance.clone(), it.child)).collect()
}
