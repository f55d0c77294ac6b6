//! What others want of an execution, taken into its machine.

use nebula_action::ActionError;
use nebula_execution::{Event, InstanceId, Signal, Stage, Taken, UnparkDecision};
use nebula_ports::{InboxItem, SLOT_PREFIX};
use tracing::warn;

use crate::{
    drive::{Drive, Stop},
    evaluate,
};

/// How many inbox items are read at a time.
const INBOX_PAGE: usize = 100;

impl Drive {
    /// Whether something is in the inbox that the machine does not have, and still needs.
    pub(crate) fn has_mail(&self) -> bool {
        self.inbox_head > self.inbox_through && self.machine.state().end_status().is_none()
    }

    /// Reads what is in the inbox and not yet in the machine; says whether there was something.
    pub(crate) async fn read_inbox(&mut self) -> Result<bool, Stop> {
        if !self.has_mail() {
            return Ok(false);
        }
        let repo = self.shared.ports.executions.clone();
        let (tenant, id) = (self.lease.tenant.clone(), self.lease.execution);
        let items = repo.inbox(&tenant, id, self.inbox_through, INBOX_PAGE);
        let items = self.within_lease(items).await??;
        if items.is_empty() {
            return Ok(false);
        }
        #[cfg(sim_bug)]
        let items = match nebula_core::sim_bug::is_awake("inbox-item-is-lost") {
            // Of several that came together, the first.
            true => items[usize::from(items.len() > 1)..].to_vec(),
            false => items,
        };
        for item in items {
            self.read_for_item(&item).await?;
            self.inbox_through = item.seq;
            self.inbox_head = self.inbox_head.max(item.seq);
            self.marked = true;
            if item.kind.starts_with(SLOT_PREFIX) {
                self.slot_told(&item.kind, &item.payload);
                continue;
            }
            match Signal::from_inbox(&item.kind, &item.payload) {
                Ok(Signal::Vote(mut ballot)) => {
                    // Whether it came in time does not depend on when somebody reads it.
                    ballot.at = Some(item.at);
                    self.signalled(Signal::Vote(ballot));
                }
                Ok(Signal::ChildEnded(end)) => Box::pin(self.child_ended(*end)).await?,
                Ok(signal) => self.signalled(signal),
                Err(error) => warn!(execution = %id, %error, "a signal is passed over"),
            }
        }
        self.let_go();
        Ok(true)
    }

    /// Reads what lies in blobs of what expressions need that follow from an item.
    async fn read_for_item(&mut self, item: &InboxItem) -> Result<(), Stop> {
        if !self.names_blobs {
            return Ok(());
        }
        let instance = match Signal::from_inbox(&item.kind, &item.payload) {
            // What items gave is read by nobody yet.
            Ok(Signal::ChildEnded(end)) if end.instance.item.is_none() => end.instance,
            Ok(Signal::Unpark {
                instance: Some(instance),
                ..
            }) => instance,
            _ => return Ok(()),
        };
        Box::pin(self.read_for(&instance, &[Stage::End])).await
    }

    fn signalled(&mut self, signal: Signal) {
        let taken = match &signal {
            Signal::Unpark {
                instance: Some(instance),
                decision,
            } => self.taken_by(instance, decision),
            _ => Taken::All,
        };
        let undo = match &signal {
            Signal::Unpark {
                instance: Some(instance),
                decision: UnparkDecision::Succeeded(output),
            } if self.is_unknown(instance) => {
                let output = output.clone().into();
                self.undo_of(instance, &output, nebula_action::PORT_MAIN)
            }
            _ => None,
        };
        self.tell(Event::Signalled {
            signal,
            taken,
            undo,
        });
    }

    fn is_unknown(&self, instance: &InstanceId) -> bool {
        let (plan, state) = (self.machine.plan(), self.machine.state());
        state.is_indeterminate(plan, instance)
    }

    /// Which connections a person's decision about an instance takes.
    fn taken_by(&self, instance: &InstanceId, decision: &UnparkDecision) -> Taken {
        let plan = self.machine.plan();
        let Some(node) = plan.index_of(instance.node.as_str()) else {
            return Taken::All;
        };
        let clock = &self.shared.ports.clock;
        let taken = match decision {
            UnparkDecision::Succeeded(output) => {
                let main = nebula_action::PORT_MAIN;
                evaluate::taken(&self.machine, instance, main, clock, |scope| {
                    scope.after_success(instance, output.clone(), main)
                })
            }
            UnparkDecision::Failed => match plan.failure_port(node) {
                Some(port) => {
                    let error = evaluate::activation(&self.machine, instance);
                    let error = error.and_then(|activation| activation.error.clone());
                    let error = error.unwrap_or_else(|| ActionError::fatal("UNKNOWN", ""));
                    evaluate::taken(&self.machine, instance, port, clock, |scope| {
                        scope.after_failure(instance, &error, port)
                    })
                }
                None => Ok(Taken::All),
            },
            UnparkDecision::Retry => Ok(Taken::All),
        };
        taken.unwrap_or_else(|error| {
            warn!(%instance, %error, "no connection is taken after the decision");
            Taken::Only(Vec::new())
        })
    }
}
