//! Attempts, from their parameters to their end.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{self, Poll},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{self, Either},
};
use nebula_action::{
    ActionContext, ActionError, ActionKind, ControlKind, EffectClass, ErrorClass, PORT_MAIN,
};
use nebula_core::{Clock, Digest};
use nebula_execution::{Choice, Event, Given, InstanceId, PlanNode};
use nebula_ports::{Code, Invocation};
use nebula_telemetry::{at, redacting};
use serde_json::Value;

use crate::{
    credentials::logged_by,
    drive::{Drive, Stop, called_off},
    evaluate::{node_of, unread},
    finish::{End, Finished},
    refusals::Refusals,
};

/// What is left of an attempt once everything is resolved.
enum Way {
    /// Nothing: the machine has been told.
    Told,
    /// The machine itself carries it out, with this input.
    Control(ControlKind, Box<ActionContext>, Value),
    /// It only computes.
    Computes(Box<Invocation>),
    /// The same for long.
    ComputesLong(Box<Invocation>),
    /// It may look outside.
    Outside(Box<Invocation>),
}

impl Drive {
    /// Makes an attempt: in place if nothing outside is touched, else beside the others.
    pub(crate) async fn run_attempt(
        &mut self,
        instance: InstanceId,
        attempt: u32,
        journal_start: bool,
    ) -> Result<(), Stop> {
        let way = self.set_out(&instance, attempt, journal_start);
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("credential-is-opened-before-its-start") {
            self.open_prepared(&instance, attempt).await;
        }
        match way {
            Way::Told => {}
            // On the heap, so that the drive of every execution is no larger for it.
            Way::Control(kind, context, input) => {
                let carried_out = async move {
                    let wanted = (kind, *context);
                    self.control(instance, attempt, wanted, &input).await
                };
                return Box::pin(carried_out).await;
            }
            Way::Computes(invocation) => {
                let ports = &self.shared.ports;
                let (sandbox, clock) = (ports.sandbox.clone(), ports.clock.clone());
                let hurry = invocation.context.cancellation.clone();
                let place = self.place(Some((instance.clone(), attempt)));
                let begun = clock.monotonic();
                let result = at(place, sandbox.run(invocation)).await;
                let finished = Finished {
                    instance,
                    micros: since(begun, &*clock),
                    end: End::Result(result),
                    stored: None,
                };
                if let Some(large) = self.computed(finished) {
                    Box::pin(self.spill(*large, &hurry)).await?;
                }
            }
            Way::ComputesLong(invocation) => {
                let hurry = invocation.context.cancellation.clone();
                let computes = async move {
                    let finished = self.offloaded(instance, invocation).await?;
                    match self.computed(finished) {
                        Some(large) => self.spill(*large, &hurry).await,
                        None => Ok(()),
                    }
                };
                return Box::pin(computes).await;
            }
            Way::Outside(invocation) => {
                if self.unborn.is_some() {
                    Box::pin(self.exist()).await?;
                }
                self.launch(instance, invocation);
            }
        }
        Ok(())
    }

    /// Resolves what an attempt gets, and says what is left of it. It waits for nothing, so that what
    /// it works on is not kept with the drive.
    fn set_out(&mut self, instance: &InstanceId, attempt: u32, journal_start: bool) -> Way {
        let plan = self.machine.plan().clone();
        let index = node_of(&plan, instance);
        let node = plan.node(index);
        if node.disabled || node.pin.is_some() {
            let output = match &node.pin {
                Some(pin) => Given::Value(Arc::new(pin.clone())),
                None => self.json(instance),
            };
            let output = match instance.item {
                // It stands in a list.
                Some(_) => output.at_hand(),
                None => Ok(output),
            };
            let output = match output {
                Ok(output) => output,
                Err(why) => {
                    self.failed_with(instance.clone(), unread(&why), 0);
                    return Way::Told;
                }
            };
            self.succeeded(instance.clone(), output, pinned_port(node), None, 0);
            return Way::Told;
        }
        if node.for_each.is_none() && !self.gate_open(instance, node) {
            return Way::Told;
        }
        if node.kind == ActionKind::Control(ControlKind::Batches) {
            self.batch(instance.clone());
            return Way::Told;
        }
        if node.kind == ActionKind::Control(ControlKind::ForEach) {
            self.opens(instance.clone());
            return Way::Told;
        }
        let (context, input) = match self.prepare(instance, attempt, index, node) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.failed_with(instance.clone(), error, 0);
                return Way::Told;
            }
        };
        if let ActionKind::Control(kind) = node.kind {
            return Way::Control(kind, Box::new(context), input);
        }
        let Some(action) = self.shared.registry.get(&node.action, node.version) else {
            let message = format!(
                "this worker has no action `{}@{}`",
                node.action, node.version
            );
            let error = ActionError::fatal("ACTION_MISSING", message);
            self.failed_with(instance.clone(), error, 0);
            return Way::Told;
        };
        let invocation = Box::new(Invocation {
            code: Code::Native(action),
            input,
            max_output: self.shared.config.max_output,
            grace: self.shared.config.grace,
            context,
        });
        #[cfg(sim_bug)]
        let journal_start =
            journal_start && !nebula_core::sim_bug::is_awake("write-before-its-start");
        if journal_start {
            let deadline = self.shared.ports.clock.now().plus(node.timeout);
            let key = invocation.context.idempotency_key.clone();
            let input = Digest::of_json(&invocation.input);
            self.prepared.insert(instance.clone(), invocation);
            self.tell(Event::Starting {
                instance: instance.clone(),
                key,
                input,
                deadline,
            });
            return Way::Told;
        }
        if node.effect != EffectClass::Pure || !node.credentials.is_empty() {
            return Way::Outside(invocation);
        }
        let mut most = self.shared.config.offload_values;
        match values_within(&invocation.input, &mut most) {
            Some(()) => Way::Computes(invocation),
            None => Way::ComputesLong(invocation),
        }
    }

    /// Takes in what was computed in place; gives it back where its result is large and goes into a
    /// blob first.
    fn computed(&mut self, finished: Finished) -> Option<Box<Finished>> {
        if self.is_large(&finished) {
            return Some(Box::new(finished));
        }
        self.attempt_finished(finished);
        None
    }

    /// A planted defect: what waits for its start has its credentials before.
    #[cfg(sim_bug)]
    async fn open_prepared(&mut self, instance: &InstanceId, attempt: u32) {
        let Some(mut invocation) = self.prepared.remove(instance) else {
            return;
        };
        if let Code::Native(action) = &invocation.code
            && let Some(opening) = self.opening(instance, attempt, &**action)
        {
            let _ = opening.open(&mut invocation.context).await;
        }
        self.prepared.insert(instance.clone(), invocation);
    }

    /// Makes sure that the execution exists before something outside begins.
    async fn exist(&mut self) -> Result<(), Stop> {
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("reads-before-it-begins") {
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
                ..*invocation
            }
            .into(),
            false => invocation,
        };
        if self.prepared.is_empty() {
            // An empty map keeps room for several.
            self.prepared = BTreeMap::new();
        }
        if invocation.context.cancellation.is_cancelled() {
            // It was called off while its start was committed, and has done nothing.
            self.failed_with(instance.clone(), called_off(), 0);
        } else {
            self.launch(instance.clone(), invocation);
        }
    }

    fn launch(&mut self, instance: InstanceId, invocation: Box<Invocation>) {
        self.running
            .insert(instance.clone(), invocation.context.cancellation.clone());
        let spilling = self.spilling(&instance, &invocation.context.cancellation);
        let attempt = self.attempt(instance, invocation);
        self.attempts.push(match spilling {
            None => Box::pin(attempt),
            // Not an `async` block, which would keep room for what ended beside what is under way.
            Some(spilling) => Box::pin(attempt.then(|finished| match spilling.wants(&finished) {
                true => Either::Left(spilling.spilled(finished)),
                false => Either::Right(future::ready(finished)),
            })),
        });
    }

    fn attempt(
        &self,
        instance: InstanceId,
        mut invocation: Box<Invocation>,
    ) -> impl Future<Output = Finished> + Send + 'static {
        let opening = match &invocation.code {
            Code::Native(action) => self.opening(&instance, invocation.context.attempt, &**action),
            Code::Component(_) => None,
        };
        let (sandbox, clock) = (
            self.shared.ports.sandbox.clone(),
            self.shared.ports.clock.clone(),
        );
        let place = self.place(Some((instance.clone(), invocation.context.attempt)));
        let refusals = Refusals {
            access: self.shared.ports.access.clone(),
            tenant: self.lease.tenant.clone(),
            place: Arc::clone(&place),
        };
        async move {
            let start = clock.monotonic();
            let result = match opening {
                None => {
                    refusals
                        .told(at(place, sandbox.run(invocation)).await)
                        .await
                }
                // On the heap, so that attempts without credentials are no larger for it.
                Some(opening) => {
                    let attempt = async move {
                        let opened = opening.open(&mut invocation.context).await?;
                        let ran = redacting(opened.of_log(), at(place, sandbox.run(invocation)));
                        refusals.told(opened.clean(ran.await)).await
                    };
                    Box::pin(attempt).await
                }
            };
            Finished {
                instance,
                micros: since(start, &*clock),
                end: End::Result(result),
                stored: None,
            }
        }
    }

    /// Runs pure work with a large input on the offload pool.
    ///
    /// Pure actions never wait, so one poll there does the whole of the work.
    async fn offloaded(
        &mut self,
        instance: InstanceId,
        invocation: Box<Invocation>,
    ) -> Result<Finished, Stop> {
        let mut attempt = Box::pin(self.attempt(instance.clone(), invocation));
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

/// How many microseconds have passed.
fn since(begun: Duration, clock: &dyn Clock) -> u64 {
    let micros = clock.monotonic().saturating_sub(begun).as_micros();
    u64::try_from(micros).unwrap_or(u64::MAX)
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
