//! What facts about children make of the state.

use std::sync::Arc;

use serde_json::json;

use super::{Fold, MAIN};
use crate::{Fact, Given, InstanceStatus, Stored};

impl Fold<'_> {
    pub(super) fn call(&mut self, fact: &Fact) {
        match fact {
            Fact::ChildStarted {
                instance,
                attempt,
                child,
                detached,
                taken,
                ..
            } => {
                let at = self.whole(instance);
                let activation = self.begun(at);
                activation.attempts = activation.attempts.max(*attempt);
                if *detached {
                    activation.output = Some(Arc::new(json!({ "execution": child })));
                    let through = Some((&MAIN, taken));
                    self.leave(at, InstanceStatus::Succeeded, through);
                    return;
                }
                activation.status = InstanceStatus::Waiting;
                activation.due = None;
                activation.timer = false;
                activation.child = Some(*child);
            }
            Fact::ChildEnded {
                instance,
                child,
                output,
                blob,
                taken,
                ..
            } => {
                let at = self.whole(instance);
                let activation = self.open_mut(at);
                let stored = blob.as_ref().map(|it| Arc::new(Stored::new(it.blob())));
                let value = || output.clone().map(Given::Value);
                assert_eq!(
                    activation.child.take(),
                    Some(*child),
                    "a child ends that its parent waits for"
                );
                match stored.map(Given::Blob).or_else(value) {
                    Some(given) => {
                        activation.give(given);
                        let through = Some((&MAIN, taken));
                        self.leave(at, InstanceStatus::Succeeded, through);
                    }
                    // Its failure follows in the same step.
                    None => activation.status = InstanceStatus::Running,
                }
            }
            _ => unreachable!("the caller sorts facts"),
        }
    }
}
