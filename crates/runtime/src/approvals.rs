//! Approvals: what became of them, and the places for votes that tokens wake.

use std::{collections::BTreeSet, sync::Arc};

use nebula_action::{ActionError, ErrorClass};
use nebula_core::Digest;
use nebula_execution::{Given, InstanceId, Machine, ResumeKey};
use nebula_ports::{Step, WaitToken};

use crate::{drive::Drive, evaluate};

impl Drive {
    /// Gives an approval's node its result: enough people have decided, or its time is over.
    pub(crate) fn settle(&mut self, instance: InstanceId) {
        let activation = evaluate::activation(&self.machine, &instance);
        let approval = activation.and_then(|activation| activation.approval.as_ref());
        match approval.and_then(|approval| approval.outcome()) {
            Some((choice, result)) => {
                let result = Given::Value(Arc::new(result));
                self.succeeded(instance, result, choice.as_str(), None, 0);
            }
            None => {
                let message = "nobody decided in time, and no default was given";
                let error = ActionError::new("APPROVAL_EXPIRED", message, ErrorClass::Timeout);
                self.failed_with(instance, error, 0);
            }
        }
    }

    /// Lets a step open and close the waits that its entries open and close.
    pub(crate) fn move_waits(&mut self, step: &mut Step) {
        let Some(key) = &self.resume else {
            return;
        };
        let now = waits(key, &self.machine);
        let tokens = |of: &BTreeSet<Digest>, without: &BTreeSet<Digest>| {
            of.difference(without).copied().map(WaitToken).collect()
        };
        step.waits_opened = tokens(&now, &self.waits);
        step.waits_closed = tokens(&self.waits, &now);
        self.waits = now;
    }
}

/// The hashes of the resume tokens of all places for votes that are free.
pub(crate) fn waits(key: &ResumeKey, machine: &Machine) -> BTreeSet<Digest> {
    let (tenant, id) = (machine.tenant(), machine.id());
    let open = machine.state().approvals(machine.plan());
    let hashes = open.flat_map(|(instance, approval)| {
        let round = approval.round;
        let seats = approval.seats().into_iter();
        seats.map(move |seat| {
            let place = (round, seat.number);
            key.token(tenant, id, &instance, place).hash()
        })
    });
    hashes.collect()
}
