//! Signals that nodes wait for and send.

use std::sync::Arc;

use compact_str::CompactString;
use nebula_action::{ActionError, ErrorClass, PORT_MAIN};
use nebula_core::{ExecutionId, NodeId};
use nebula_execution::{
    Claim, Entry, Event, Fact, InstanceId, NamedSignal, NamedSignalError, Signal, Taken,
    check_payload,
};
use nebula_ports::{DedupeKey, InboxDelivery};
use serde_json::Value;

use crate::{drive::Drive, evaluate};

impl Drive {
    /// Evaluates the connections of an instance that takes a signal.
    pub(crate) fn take(&mut self, instance: InstanceId) {
        let state = self.machine.state();
        let activation = evaluate::activation(&self.machine, &instance);
        let name = activation.and_then(|activation| activation.signal.as_ref());
        let payload = name.and_then(|name| Some(state.signal(name)?.payload.clone()));
        let payload = payload.unwrap_or_default();
        let clock = &self.shared.ports.clock;
        let taken = evaluate::taken(&self.machine, &instance, PORT_MAIN, clock, |scope| {
            scope.after_success(&instance, payload, PORT_MAIN)
        });
        match taken {
            Ok(taken) => self.tell(Event::Took { instance, taken }),
            Err(error) => self.failed_with(instance, error, 0),
        }
    }

    /// Says that a signal or a slot did not come in time.
    pub(crate) fn expire(&mut self, instance: InstanceId) {
        let activation = evaluate::activation(&self.machine, &instance);
        let claim = activation.and_then(|activation| activation.claim.as_deref());
        let error = claim.map_or_else(
            || {
                let message = "the signal did not come in time";
                ActionError::new("SIGNAL_TIMEOUT", message, ErrorClass::Timeout)
            },
            Claim::timed_out,
        );
        self.failed_with(instance, error, 0);
    }

    /// Sends a signal with the next step, and evaluates what follows from it.
    pub(crate) fn send(
        &mut self,
        instance: InstanceId,
        to: ExecutionId,
        signal: Result<NamedSignal, NamedSignalError>,
    ) {
        let signal = match signal {
            Ok(signal) => signal,
            Err(error) => {
                let error =
                    ActionError::invalid_input("SIGNAL_INVALID", "/payload", error.to_string());
                return self.failed_with(instance, error, 0);
            }
        };
        match self.passes_on(&instance) {
            Ok(taken) => self.tell(Event::Sends {
                instance,
                to,
                signal,
                taken,
            }),
            Err(error) => self.failed_with(instance, error, 0),
        }
    }

    /// Tells whoever watches, once the next step is committed, and evaluates what follows from it.
    pub(crate) fn emit(&mut self, instance: InstanceId, name: CompactString, payload: Value) {
        if let Err(error) = check_payload(&payload) {
            let error = ActionError::invalid_input("EVENT_INVALID", "/payload", error.to_string());
            return self.failed_with(instance, error, 0);
        }
        match self.passes_on(&instance) {
            Ok(taken) => self.tell(Event::Emits {
                instance,
                name,
                payload: Arc::new(payload),
                taken,
            }),
            Err(error) => self.failed_with(instance, error, 0),
        }
    }

    /// Which connections an instance takes that gives what it got.
    pub(crate) fn passes_on(&self, instance: &InstanceId) -> Result<Taken, ActionError> {
        let json = self.json(instance);
        let clock = &self.shared.ports.clock;
        evaluate::taken(&self.machine, instance, PORT_MAIN, clock, |scope| {
            scope.after_success(instance, json, PORT_MAIN)
        })
    }

    /// Gives nodes up, and evaluates what follows from it.
    pub(crate) fn cancel_nodes(&mut self, instance: InstanceId, nodes: Vec<NodeId>) {
        match self.passes_on(&instance) {
            Ok(taken) => self.tell(Event::Cancels {
                instance,
                nodes,
                taken,
            }),
            Err(error) => self.failed_with(instance, error, 0),
        }
    }
}

/// What an entry puts into the inbox of another execution, in the very step that holds it.
pub(crate) fn delivery(entry: &Entry) -> Option<InboxDelivery> {
    let Fact::SignalSent { to, signal, .. } = &entry.fact else {
        return None;
    };
    let dedupe = DedupeKey(signal.dedupe());
    let (kind, payload) = Signal::Named(signal.clone()).to_inbox();
    Some(InboxDelivery {
        to: *to,
        dedupe,
        kind: kind.to_owned(),
        payload,
    })
}
