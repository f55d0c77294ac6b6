//! What facts about parts of lists make of the state.

use super::{Fold, MAIN, open_items};
use crate::{Activation, At, Fact, InstanceStatus, OpenPart, Part, Taken, state::TOP};

impl Fold<'_> {
    pub(super) fn part(&mut self, fact: &Fact) {
        match fact {
            Fact::PartStarted {
                instance,
                from,
                count,
                child,
            } => {
                let at = self.whole(instance);
                let items = open_items(self.begun(at));
                assert!(
                    items.uncut(*from, *count) == Some(*from..from + count),
                    "a part of {instance} has items of which something is known"
                );
                let part = OpenPart {
                    count: *count,
                    child: *child,
                };
                items.parts.insert(*from, part);
            }
            Fact::PartEnded {
                instance,
                from,
                child,
                ..
            } => {
                let at = self.whole(instance);
                let part = open_items(self.open_mut(at)).parts.remove(from);
                assert!(
                    part.is_some_and(|part| part.child == *child),
                    "a part ends that its list waits for"
                );
            }
            _ => unreachable!("the caller sorts facts"),
        }
    }

    /// The execution runs a part: its state begins with what the items see, and with their instance.
    pub(super) fn part_begins(&mut self, part: &Part) {
        let plan = self.plan;
        let index = |id: &str| plan.index_of(id).expect("a part names nodes of its plan");
        let node = index(part.instance.node.as_str());
        let top = self.frame(TOP);
        for seen in &part.nodes {
            top.node_mut(index(seen.id.as_str()))
                .begin(seen.activation.clone());
        }
        let activation = Activation::new(InstanceStatus::Ready, part.ready_at, part.tokens.clone());
        let number = top.node_mut(node).begin(activation);
        top.open += 1;
        self.fresh.ready.push(At {
            frame: TOP,
            node,
            number,
        });
    }

    /// If it runs a part, the items of that have come to their end.
    pub(super) fn part_completes(&mut self) {
        let Some(part) = self.state.part() else {
            return;
        };
        let at = self.state.find(self.plan, &part.instance);
        if let Some(at) = at.filter(|at| self.state.get(*at).is_some_and(Activation::is_open)) {
            self.open_mut(at).items = None;
            let through = Some((&MAIN, &Taken::All));
            self.leave(at, InstanceStatus::Succeeded, through);
        }
    }
}
