//! What facts about signals make of the state.

use std::sync::Arc;

use serde_json::Value;

use super::{Fold, MAIN};
use crate::{Fact, InstanceStatus, MAX_KEPT_SIGNALS};

impl Fold<'_> {
    pub(super) fn signal(&mut self, fact: &Fact) {
        match fact {
            Fact::SignalAwaited {
                instance,
                name,
                due,
            } => {
                let at = self.whole(instance);
                let activation = self.begun(at);
                activation.status = InstanceStatus::Waiting;
                activation.attempts = activation.attempts.max(1);
                activation.due = *due;
                activation.timer = false;
                activation.signal = Some(name.clone());
            }
            Fact::SignalReceived(signal) => {
                let kept = &mut self.state.signals;
                assert!(kept.len() < MAX_KEPT_SIGNALS, "too many signals are kept");
                kept.push_back(signal.clone());
            }
            Fact::SignalRefused { .. } => {}
            Fact::SignalMissed { name, id } => {
                let kept = &mut self.state.signals;
                kept.retain(|signal| signal.keep || signal.name != *name || signal.id != *id);
            }
            Fact::SignalTaken {
                instance,
                id,
                taken,
            } => {
                let at = self.whole(instance);
                let name = self.open(at).signal.clone();
                let name = name.expect("an instance takes a signal that it waits for");
                let payload = self.take_signal(&name, id);
                self.open_mut(at).output = Some(payload);
                let through = Some((&MAIN, taken));
                self.leave(at, InstanceStatus::Succeeded, through);
            }
            Fact::SignalSent {
                instance, taken, ..
            }
            | Fact::EventEmitted {
                instance, taken, ..
            } => {
                let at = self.whole(instance);
                let activation = self.begun(at);
                activation.attempts = activation.attempts.max(1);
                let json = self.state.json(self.plan, at);
                self.open_mut(at).give(json);
                let through = Some((&MAIN, taken));
                self.leave(at, InstanceStatus::Succeeded, through);
            }
            _ => unreachable!("the caller sorts facts"),
        }
    }

    /// Takes the first kept signal of a name.
    pub(super) fn take_signal(&mut self, name: &str, id: &str) -> Arc<Value> {
        let kept = &mut self.state.signals;
        let first = kept.iter().position(|signal| signal.name == name);
        let signal = first.and_then(|first| kept.remove(first));
        let signal = signal.expect("a signal is taken after it came");
        assert_eq!(
            signal.id, id,
            "signals are taken in the order in which they came"
        );
        signal.payload
    }
}
