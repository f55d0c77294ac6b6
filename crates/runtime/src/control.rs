//! Control actions: what the machine itself carries out.

use std::sync::Arc;

use nebula_action::{ActionContext, ActionError, ControlKind, PORT_MAIN};
use nebula_core::Timestamp;
use nebula_execution::{
    Event, Given, InstanceId, NamedSignal,
    control::{self, Batch, ControlOutcome},
};
use serde_json::Value;

use crate::{
    calls::Wanted,
    drive::{Drive, Stop},
    evaluate::{self, node_of, unread},
};

impl Drive {
    /// Tells the machine what a control action wants.
    pub(crate) async fn control(
        &mut self,
        instance: InstanceId,
        attempt: u32,
        (kind, context): (ControlKind, ActionContext),
        input: &Value,
    ) -> Result<(), Stop> {
        let ready_at = self.began(&instance);
        match control::decide(kind, input, &context.deferred, ready_at) {
            Ok(ControlOutcome::Pass { port }) => self.pass(instance, &port),
            Ok(ControlOutcome::WaitUntil(due)) => self.tell(Event::Waits { instance, due }),
            Ok(ControlOutcome::AwaitSignal { name, due }) => self.tell(Event::Awaits {
                instance,
                name,
                due,
            }),
            Ok(ControlOutcome::Send {
                to,
                name,
                payload,
                keep,
            }) => {
                let signal = NamedSignal::new(&name, &context.idempotency_key, Arc::new(payload));
                let signal = signal.map(|it| if keep { it } else { it.transient() });
                self.send(instance, to, signal);
            }
            Ok(ControlOutcome::Emit { name, payload }) => self.emit(instance, name, payload),
            Ok(ControlOutcome::Ask(question)) => self.tell(Event::Asks { instance, question }),
            Ok(ControlOutcome::Call {
                input,
                waits,
                timeout,
            }) => {
                let wanted = Wanted {
                    input,
                    waits,
                    timeout,
                };
                // By itself, because it is larger than all else that a drive does.
                Box::pin(self.call(instance, attempt, wanted, &context)).await?;
            }
            Ok(ControlOutcome::Stop(output)) => {
                self.tell(Event::Stopped {
                    instance,
                    output: Arc::new(output),
                });
            }
            Ok(ControlOutcome::Cancel(nodes)) => self.cancel_nodes(instance, nodes),
            Ok(ControlOutcome::Quit(reason)) => self.tell(Event::Quits { instance, reason }),
            Ok(ControlOutcome::Merge) => match self.inputs(&instance) {
                Ok(merged) => {
                    let merged = Given::Value(Arc::new(merged));
                    self.succeeded(instance, merged, PORT_MAIN, None, 0);
                }
                Err(error) => self.failed_with(instance, error, 0),
            },
            Ok(ControlOutcome::Milestone) => match self.machine.milestone(&instance).port() {
                Some(port) => self.pass(instance, port),
                None => self.tell(Event::Heeds { instance }),
            },
            Ok(ControlOutcome::Items) => self.opens(instance),
            Ok(ControlOutcome::Batches) => self.batch(instance),
            Ok(ControlOutcome::Rounds) => self.tell(Event::Enters {
                instance,
                rounds: true,
                due: None,
            }),
            Ok(ControlOutcome::Claim(wanted)) => self.claims(instance, wanted),
            Ok(ControlOutcome::Body { due }) => self.tell(Event::Enters {
                instance,
                rounds: false,
                due,
            }),
            Err(error) => self.failed_with(instance, error, 0),
        }
        Ok(())
    }

    /// `$json` goes on by a port.
    fn pass(&mut self, instance: InstanceId, port: &str) {
        let output = self.json(&instance);
        self.succeeded(instance, output, port, None, 0);
    }

    /// From when on an instance counts the time that it waits: when its inputs were complete, or, if
    /// it failed before, now.
    fn began(&self, instance: &InstanceId) -> Timestamp {
        let activation = evaluate::activation(&self.machine, instance);
        if activation.is_some_and(|activation| activation.failures > 0) {
            self.shared.ports.clock.now()
        } else {
            self.machine.ready_at(instance)
        }
    }

    /// Hands on the next part of a list, or what the rounds gave for all of them.
    pub(crate) fn batch(&mut self, instance: InstanceId) {
        let next = match self.next_batch(&instance) {
            Ok(Batch::Next(part)) => Ok(("loop", part)),
            Ok(Batch::Done) => self.rounds_before(&instance).map(|all| ("done", all)),
            Err(error) => Err(error),
        };
        match next {
            Ok((port, output)) => {
                let output = Given::Value(Arc::new(output));
                self.succeeded(instance, output, port, None, 0);
            }
            Err(error) => self.failed_with(instance, error, 0),
        }
    }

    /// The parameters are those of the first round: what leads back has another `$json`.
    fn next_batch(&self, instance: &InstanceId) -> Result<Batch, ActionError> {
        let plan = self.machine.plan();
        let node = plan.node(node_of(plan, instance));
        let first = of_round(instance, 1);
        let scope = evaluate::scope(&self.machine, &first, None);
        let context = evaluate::context(&self.machine, &first, &self.shared.ports.clock);
        let (input, list) = self.resolve_beside_items(node, &scope, &context)?;
        control::batch(&input, list.as_ref(), instance.activation)
    }

    /// What came back from each round before this one, in their order.
    fn rounds_before(&self, instance: &InstanceId) -> Result<Value, ActionError> {
        let rounds = 2..=instance.activation;
        let values = rounds.map(|round| self.json(&of_round(instance, round)).value());
        let values = values.map(|value| value.map(Arc::unwrap_or_clone));
        values.collect::<Result<_, _>>().map_err(|why| unread(&why))
    }
}

/// The activation of the same node in another round of its loop.
fn of_round(instance: &InstanceId, activation: u32) -> InstanceId {
    InstanceId {
        activation,
        ..instance.clone()
    }
}
