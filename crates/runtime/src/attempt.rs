//! Attempts, from their parameters to their end.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{self, Poll},
};

use futures_util::FutureExt;
use nebula_action::{ActionError, ActionKind, ControlKind, ErrorClass, PORT_MAIN};
use nebula_core::Digest;
use nebula_execution::{Choice, Event, Given, InstanceId, PlanNode};
use nebula_ports::{Code, Invocation};
use nebula_telemetry::redacting;
use serde_json::Value;

use crate::{
    credentials::logged_by,
    drive::{Drive, Stop, called_off},
    evaluate::node_of,
    finish::{End, Finished},
};

impl Drive {
    /// Makes an attempt: in place if nothing outside is touched, else beside the others.
    pub(crate) async fn run_attempt(
        &mut self,
        instance: InstanceId,
        attempt: u32,
        journal_start: bool,
    ) -> Result<(), Stop> {
        let plan = self.machine.plan().clone();
        let index = node_of(&plan, &instance);
        let node = plan.node(index);
        if node.disabled || node.pin.is_some() {
            let output = match &node.pin {
                Some(pin) => Given::Value(Arc::new(pin.clone())),
                None => self.json(&instance),
            };
            self.succeeded(instance, output, pinned_port(node), None, 0);
            return Ok(());
        }
        if node.for_each.is_none() && !self.gate_open(&instance, node) {
            return Ok(());
        }
        if node.kind == ActionKind::Control(ControlKind::Batches) {
            self.batch(instance);
            return Ok(());
        }
        if node.kind == ActionKind::Control(ControlKind::ForEach) {
            self.opens(instance);
            return Ok(());
        }
        let (context, input) = match self.prepare(&instance, attempt, index, node) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.failed_with(instance, error, 0);
                return Ok(());
            }
        };
        if let ActionKind::Control(kind) = node.kind {
            return self
                .control(instance, attempt, (kind, context), &input)
                .await;
        }
        let Some(action) = self.shared.registry.get(&node.action, node.version) else {
            let message = format!(
                "this worker has no action `{}@{}`",
                node.action, node.version
            );
            self.failed_with(instance, ActionError::fatal("ACTION_MISSING", message), 0);
            return Ok(());
        };
        let invocation = Invocation {
            code: Code::Native(action),
            input,
            max_output: self.shared.config.max_output,
            grace: self.shared.config.grace,
            context,
        };
        #[cfg(sim_bug)]
        let journal_start =
            journal_start && !nebula_core::sim_bug::is_awake("write-before-its-start");
        #[cfg(sim_bug)]
        let mut invocation = invocation;
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("credential-is-opened-before-its-start")
            && let Code::Native(action) = &invocation.code
            && let Some(opening) = self.opening(&instance, attempt, &**action)
        {
            let _ = opening.open(&mut invocation.context).await;
        }
        if journal_start {
            let deadline = self.shared.ports.clock.now().plus(node.timeout);
            let key = invocation.context.idempotency_key.clone();
            let input = Digest::of_json(&invocation.input);
            self.prepared.insert(instance.clone(), invocation);
            self.tell(Event::Starting {
                instance,
                key,
                input,
                deadline,
            });
        } else if node.effect == nebula_action::EffectClass::Pure && node.credentials.is_empty() {
            let finished = self.compute(instance, invocation).await?;
            self.attempt_finished(finished);
        } else {
            self.exist().await?;
            self.launch(instance, invocation);
        }
        Ok(())
    }

    /// Makes sure that the execution exists before something outside begins.
    async fn exist(&mut self) -> Result<(), Stop> {
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("reads-before-it-begins") {
            return Ok(());
        }
        if self.unborn.is_none() {
            return Ok(());
        }
        self.commit().await?;
        self.hold().await
    }

    /// Begins an attempt whose start is committed.
    pub(crate) fn begin_prepared(&mut self, instance: &InstanceId) {
        let Some(invocation) = self.prepared.remove(instance) else {
            return;
        };
        #[cfg(sim_bug)]
        let invocation = match nebula_core::sim_bug::is_awake("input-is-not-that-of-the-start") {
            true => Invocation {
                input: serde_json::json!({ "label": "another", "input": 1 }),
                ..invocation
            },
            false => invocation,
        };
        if invocation.context.cancellation.is_cancelled() {
            // It was called off while its start was committed, and has done nothing.
            self.failed_with(instance.clone(), called_off(), 0);
        } else {
            self.launch(instance.clone(), invocation);
        }
    }

    fn launch(&mut self, instance: InstanceId, invocation: Invocation) {
        self.running
            .insert(instance.clone(), invocation.context.cancellation.clone());
        let spilling = self.spilling(&instance, &invocation.context.cancellation);
        let attempt = self.attempt(instance, invocation);
        self.attempts.push(match spilling {
            None => Box::pin(attempt),
            Some(spilling) => Box::pin(async move { spilling.spilled(attempt.await).await }),
        });
    }

    fn attempt(
        &self,
        instance: InstanceId,
        mut invocation: Invocation,
    ) -> impl Future<Output = Finished> + Send + 'static {
        let opening = match &invocation.code {
            Code::Native(action) => self.opening(&instance, invocation.context.attempt, &**action),
            Code::Component(_) => None,
        };
        let (sandbox, clock) = (
            self.shared.ports.sandbox.clone(),
            self.shared.ports.clock.clone(),
        );
        async move {
            let start = clock.monotonic();
            let result = match opening {
                None => sandbox.run(invocation).await,
                // On the heap, so that attempts without credentials are no larger for it.
                Some(opening) => {
                    let attempt = async move {
                        let opened = opening.open(&mut invocation.context).await?;
                        let ran = redacting(opened.of_log(), sandbox.run(invocation));
                        opened.clean(ran.await)
                    };
                    Box::pin(attempt).await
                }
            };
            let micros = clock.monotonic().saturating_sub(start).as_micros();
            Finished {
                instance,
                micros: u64::try_from(micros).unwrap_or(u64::MAX),
                end: End::Result(result),
                stored: None,
            }
        }
    }

    /// Runs pure work: in place, or, if its input is large, on the offload pool.
    ///
    /// Pure actions never wait, so one poll there does the whole of the work.
    async fn compute(
        &mut self,
        instance: InstanceId,
        invocation: Invocation,
    ) -> Result<Finished, Stop> {
        let mut most = self.shared.config.offload_values;
        let heavy = values_within(&invocation.input, &mut most).is_none();
        let spilling = self.spilling(&instance, &invocation.context.cancellation);
        let attempt = self.attempt(instance.clone(), invocation);
        let finished = match heavy {
            true => Box::pin(self.offloaded(instance, attempt)).await?,
            false => attempt.await,
        };
        match spilling {
            Some(spilling) => self.spill(&spilling, finished).await,
            None => Ok(finished),
        }
    }

    async fn offloaded(
        &mut self,
        instance: InstanceId,
        attempt: impl Future<Output = Finished> + Send + 'static,
    ) -> Result<Finished, Stop> {
        let mut attempt = Box::pin(attempt);
        let (give, take) = std::sync::mpsc::channel();
        let job = Box::new(move || {
            let polled = attempt
                .as_mut()
                .poll(&mut task::Context::from_waker(task::Waker::noop()));
            // The receiver waits for the pool, so it is there.
            let _ = give.send((polled, attempt));
        });
        let offload = self.shared.ports.offload.clone();
        self.keeping_lease(offload.run(job)).await?;
        Ok(match take.try_recv() {
            Ok((Poll::Ready(finished), _)) => finished,
            Ok((Poll::Pending, attempt)) => attempt.await,
            Err(_) => {
                let error =
                    ActionError::fatal("ACTION_PANICKED", "the pool that ran the action lost it");
                Finished {
                    instance,
                    micros: 0,
                    end: End::Result(Err(error)),
                    stored: None,
                }
            }
        })
    }

    /// Asks the action what became of an attempt that an earlier holder lost.
    pub(crate) fn reconcile(&mut self, instance: InstanceId, attempt: u32) {
        if self.machine.compensates(&instance) {
            return self.reconcile_compensation(instance, attempt);
        }
        let plan = self.machine.plan().clone();
        let index = node_of(&plan, &instance);
        let node = plan.node(index);
        let action = self
            .shared
            .registry
            .get(&node.action, node.version)
            .filter(|_| node.reconciles);
        let prepared = self.prepare(&instance, attempt, index, node);
        let (Some(action), Ok((mut context, input))) = (action, prepared) else {
            let message = "the attempt was lost with its worker";
            let error = ActionError::new("WORKER_LOST", message, ErrorClass::Unknown);
            return self.unreconciled(instance, error);
        };
        let opening = self.opening(&instance, attempt, &*action);
        self.running
            .insert(instance.clone(), context.cancellation.clone());
        let clock = self.shared.ports.clock.clone();
        self.attempts.push(Box::pin(async move {
            let opened = match opening {
                None => None,
                Some(opening) => match opening.open(&mut context).await {
                    Ok(opened) => Some(opened),
                    Err(error) => return Finished::unasked(instance, &error),
                },
            };
            let unknown = |message| Err(ActionError::new("WORKER_LOST", message, ErrorClass::Unknown));
            let asked = AssertUnwindSafe(action.reconcile(&context, &input)).catch_unwind();
            let asked = logged_by(opened.as_ref(), asked);
            let reconciled = tokio::select! {
                biased;
                () = context.cancellation.cancelled() => {
                    unknown("the attempt was lost, and nobody waited for what became of it")
                }
                () = clock.sleep(context.timeout) => {
                    unknown("the attempt was lost, and the action did not say in time what became of it")
                }
                asked = asked => asked.unwrap_or_else(|_| {
                    unknown("the attempt was lost, and the action panicked when asked what became of it")
                }),
            };
            let reconciled = match opened {
                None => reconciled,
                Some(opened) => opened.clean_reconciled(reconciled),
            };
            Finished {
                instance,
                micros: 0,
                end: End::Reconciled(reconciled),
                stored: None,
            }
        }));
    }
}

/// Counts the values of `value` off `left`; `None` as soon as there are more.
fn values_within(value: &Value, left: &mut usize) -> Option<()> {
    *left = left.checked_sub(1)?;
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| values_within(item, left)),
        Value::Object(map) => map.values().try_for_each(|item| values_within(item, left)),
        _ => Some(()),
    }
}

/// By which port a pinned node leaves: an approval by that of its pinned decision.
fn pinned_port(node: &PlanNode) -> &'static str {
    let asks = node.kind == ActionKind::Control(ControlKind::Approval);
    let Some(pin) = node.pin.as_ref().filter(|_| asks) else {
        return PORT_MAIN;
    };
    let decision = pin.get("decision").and_then(Value::as_str);
    let choice = decision.and_then(Choice::of);
    choice.unwrap_or(Choice::Approve).as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_is_in_a_value_is_counted() {
        // Itself, three within it, and two, one and none within those.
        let value = json!([[1, 2], { "a": 3 }, "four"]);
        assert!(values_within(&value, &mut 6).is_none());
        let mut left = 9;
        assert!(values_within(&value, &mut left).is_some());
        assert_eq!(left, 2);
    }
}
