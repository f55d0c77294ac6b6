//! What the machine commands, done: resolve, run, evaluate what follows.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{self, Poll},
};

use futures_util::FutureExt;
use indexmap::IndexMap;
use nebula_action::{
    ActionContext, ActionError, ActionKind, ActionResult, Deferred, ErrorClass, PORT_MAIN,
    Reconciled,
};
use nebula_core::Digest;
use nebula_execution::{
    EvaluationScope, Event, InstanceId, MAX_VALUE_DEPTH, NamedSignal, Outcome, PlanNode,
    PlanOutput, Taken,
    control::{self, ControlOutcome},
    is_storable,
};
use nebula_expression::Context;
use nebula_ports::{Code, Invocation};
use nebula_validator::Schema;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{
    drive::{Drive, called_off},
    evaluate::{self, failed, node_of},
};

/// An attempt that has ended.
pub(crate) struct Finished {
    instance: InstanceId,
    micros: u64,
    end: End,
}

enum End {
    Result(Result<ActionResult, ActionError>),
    Reconciled(Result<Reconciled, ActionError>),
}

impl Drive {
    /// Makes an attempt: in place if nothing outside is touched, else beside the others.
    pub(crate) async fn run_attempt(
        &mut self,
        instance: InstanceId,
        attempt: u32,
        journal_start: bool,
    ) {
        let plan = self.machine.plan().clone();
        let index = node_of(&plan, &instance);
        let node = plan.node(index);
        if node.disabled || node.pin.is_some() {
            let output = node
                .pin
                .clone()
                .map_or_else(|| self.json(&instance), Arc::new);
            self.succeeded(instance, output, PORT_MAIN, None, 0);
            return;
        }
        if node.for_each.is_none() && !self.gate_open(&instance, node) {
            return;
        }
        let prepared = match self.prepare(&instance, attempt, index, node) {
            Ok(prepared) => prepared,
            Err(error) => return self.failed_with(instance, error, 0),
        };
        let (scope, context, input) = prepared;
        if let ActionKind::Control(kind) = node.kind {
            let (context, key) = (context.deferred, context.idempotency_key);
            let ready_at = self.machine.ready_at(&instance);
            let _ = scope;
            match control::decide(kind, &input, &context, ready_at) {
                Ok(ControlOutcome::Pass { port }) => {
                    let output = self.json(&instance);
                    self.succeeded(instance, output, &port, None, 0);
                }
                Ok(ControlOutcome::WaitUntil(due)) => self.tell(Event::Waits { instance, due }),
                Ok(ControlOutcome::AwaitSignal { name, due }) => self.tell(Event::Awaits {
                    instance,
                    name,
                    due,
                }),
                Ok(ControlOutcome::Send { to, name, payload }) => {
                    let signal = NamedSignal::new(&name, &key, Arc::new(payload));
                    self.send(instance, to, signal);
                }
                Ok(ControlOutcome::Stop(output)) => {
                    self.tell(Event::Stopped {
                        instance,
                        output: Arc::new(output),
                    });
                }
                Ok(ControlOutcome::Items(list)) => self.opens(instance, list),
                Ok(ControlOutcome::Rounds) => self.tell(Event::Enters {
                    instance,
                    rounds: true,
                    due: None,
                }),
                Ok(ControlOutcome::Body { due }) => self.tell(Event::Enters {
                    instance,
                    rounds: false,
                    due,
                }),
                Err(error) => self.failed_with(instance, error, 0),
            }
            return;
        }
        let Some(action) = self.shared.registry.get(&node.action, node.version) else {
            let message = format!(
                "this worker has no action `{}@{}`",
                node.action, node.version
            );
            return self.failed_with(instance, ActionError::fatal("ACTION_MISSING", message), 0);
        };
        let invocation = Invocation {
            code: Code::Native(action),
            input,
            max_output: self.shared.config.max_output,
            grace: self.shared.config.grace,
            context,
        };
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
        } else if node.effect == nebula_action::EffectClass::Pure {
            let finished = self.compute(instance, invocation).await;
            self.attempt_finished(finished);
        } else {
            self.launch(instance, invocation);
        }
    }

    /// Begins an attempt whose start is committed.
    pub(crate) fn begin_prepared(&mut self, instance: &InstanceId) {
        let Some(invocation) = self.prepared.remove(instance) else {
            return;
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
        let attempt = self.attempt(instance, invocation);
        self.attempts.push(Box::pin(attempt));
    }

    fn attempt(
        &self,
        instance: InstanceId,
        invocation: Invocation,
    ) -> impl Future<Output = Finished> + Send + 'static {
        let (sandbox, clock) = (
            self.shared.ports.sandbox.clone(),
            self.shared.ports.clock.clone(),
        );
        async move {
            let start = clock.monotonic();
            let result = sandbox.run(invocation).await;
            let micros = clock.monotonic().saturating_sub(start).as_micros();
            Finished {
                instance,
                micros: u64::try_from(micros).unwrap_or(u64::MAX),
                end: End::Result(result),
            }
        }
    }

    /// Runs pure work: in place, or, if its input is large, on the offload pool.
    ///
    /// Pure actions never wait, so one poll there does the whole of the work.
    async fn compute(&mut self, instance: InstanceId, invocation: Invocation) -> Finished {
        let heavy = values_within(
            &invocation.input,
            &mut self.shared.config.offload_values.clone(),
        )
        .is_none();
        let mut attempt = Box::pin(self.attempt(instance.clone(), invocation));
        if !heavy {
            return attempt.await;
        }
        let (give, take) = std::sync::mpsc::channel();
        let job = Box::new(move || {
            let polled = attempt
                .as_mut()
                .poll(&mut task::Context::from_waker(task::Waker::noop()));
            // The receiver waits for the pool, so it is there.
            let _ = give.send((polled, attempt));
        });
        self.shared.ports.offload.run(job).await;
        match take.try_recv() {
            Ok((Poll::Ready(finished), _)) => finished,
            Ok((Poll::Pending, attempt)) => attempt.await,
            Err(_) => {
                let error =
                    ActionError::fatal("ACTION_PANICKED", "the pool that ran the action lost it");
                Finished {
                    instance,
                    micros: 0,
                    end: End::Result(Err(error)),
                }
            }
        }
    }

    /// Resolves everything that an attempt gets.
    fn prepare(
        &mut self,
        instance: &InstanceId,
        attempt: u32,
        index: u32,
        node: &PlanNode,
    ) -> Result<(Arc<EvaluationScope>, ActionContext, Value), ActionError> {
        let item = self.item(instance)?;
        let scope = Arc::new(evaluate::scope(&self.machine, instance, item));
        let context = evaluate::context(&self.machine, instance, &self.shared.ports.clock);
        let input = self.resolve(node, &scope, &context)?;
        let idempotency_key = match &node.idempotency_key {
            None => self.machine.idempotency_key(instance),
            Some(program) => own_key(program.resolve(&*scope, &context))?,
        };
        let deferred = deferred(node, &scope, &context);
        let action_context = ActionContext {
            tenant: self.lease.tenant.clone(),
            execution: self.lease.execution,
            node: node.id.clone(),
            attempt,
            idempotency_key,
            now: self.machine.ready_at(instance),
            seed: self.machine.seed(instance),
            timeout: node.timeout,
            cancellation: CancellationToken::new(),
            grants: self.grants.of(index)?,
            protected: self.shared.protected.clone(),
            folder: self.grants.folder.clone(),
            deferred,
        };
        Ok((scope, action_context, input))
    }

    /// The parameters of a node over a scope, checked against the action's schema.
    pub(crate) fn resolve(
        &self,
        node: &PlanNode,
        scope: &EvaluationScope,
        context: &Context,
    ) -> Result<Value, ActionError> {
        let input = node.parameters.resolve(scope, context).map_err(|error| {
            let class = ErrorClass::InvalidInput {
                pointer: error.pointer.clone(),
            };
            ActionError::new(error.error.code, error.to_string(), class)
        })?;
        self.check_input(node, &input)?;
        Ok(input)
    }

    /// Checks resolved parameters against the action's schema, where they were not known to the planner.
    fn check_input(&self, node: &PlanNode, input: &Value) -> Result<(), ActionError> {
        if node
            .parameters
            .resolved
            .values()
            .all(|program| program.as_literal().is_some())
        {
            return Ok(());
        }
        let Some(registered) = self.shared.registry.registered(&node.action, node.version) else {
            return Ok(());
        };
        match registered.parameters.check(input).first() {
            None => Ok(()),
            Some(problem) => Err(ActionError::invalid_input(
                "PARAMETER_INVALID",
                problem.pointer.clone(),
                format!(
                    "parameter `{}` of `{}`: {}",
                    problem.pointer, node.action, problem.message
                ),
            )),
        }
    }

    /// Evaluates `when`; where it is false or fails, the machine has been told.
    pub(crate) fn gate_open(&mut self, instance: &InstanceId, node: &PlanNode) -> bool {
        let Some(when) = node.when.as_ref().filter(|_| instance.item.is_none()) else {
            return true;
        };
        let scope = evaluate::scope(&self.machine, instance, None);
        let context = evaluate::context(&self.machine, instance, &self.shared.ports.clock);
        match when.evaluate_condition(&scope, &context) {
            Ok(true) => return true,
            Ok(false) => self.tell(Event::Skipped {
                instance: instance.clone(),
            }),
            Err(error) => self.failed_with(instance.clone(), failed("`when`", &error), 0),
        }
        false
    }

    pub(crate) fn json(&self, instance: &InstanceId) -> Arc<Value> {
        let (plan, state) = (self.machine.plan(), self.machine.state());
        let at = state.find(plan, instance);
        at.map(|at| state.json(plan, at)).unwrap_or_default()
    }

    /// Tells the machine how an attempt ended.
    pub(crate) fn attempt_finished(&mut self, finished: Finished) {
        let Finished {
            instance,
            micros,
            end,
        } = finished;
        self.running.remove(&instance);
        match end {
            End::Result(Ok(result)) => {
                let port = result.port.unwrap_or_else(|| PORT_MAIN.to_owned());
                self.succeeded(
                    instance,
                    Arc::new(result.value),
                    &port,
                    result.lineage,
                    micros,
                );
            }
            End::Result(Err(error)) => self.failed_with(instance, error, micros),
            End::Reconciled(Ok(Reconciled::Happened(value))) => {
                self.succeeded(instance, Arc::new(value), PORT_MAIN, None, micros);
            }
            End::Reconciled(Ok(Reconciled::NotHappened)) => {
                let message = "the attempt was lost, and its effect did not happen";
                self.failed_with(
                    instance,
                    ActionError::retryable("WORKER_LOST", message),
                    micros,
                );
            }
            End::Reconciled(Ok(Reconciled::Unknown)) => {
                let message =
                    "the attempt was lost, and the action cannot say whether its effect happened";
                let error = ActionError::new("WORKER_LOST", message, ErrorClass::Unknown);
                self.unreconciled(instance, error);
            }
            End::Reconciled(Err(error)) => self.unreconciled(instance, error),
        }
    }

    fn succeeded(
        &mut self,
        instance: InstanceId,
        output: Arc<Value>,
        port: &str,
        lineage: Option<Vec<u32>>,
        micros: u64,
    ) {
        if !is_storable(&output) {
            let message = format!(
                "the result is nested deeper than {MAX_VALUE_DEPTH}, which no journal can hold"
            );
            return self.failed_with(
                instance,
                ActionError::limit("OUTPUT_TOO_DEEP", message),
                micros,
            );
        }
        let clock = &self.shared.ports.clock;
        let taken = evaluate::taken(&self.machine, &instance, port, clock, |scope| {
            scope.after_success(&instance, output.clone(), port)
        });
        match taken {
            Ok(taken) => {
                let outcome = Outcome::Succeeded {
                    output,
                    port: port.into(),
                    lineage,
                    taken,
                };
                self.tell(Event::Finished {
                    instance,
                    outcome,
                    micros,
                });
            }
            Err(error) => self.failed_with(instance, error, micros),
        }
    }

    pub(crate) fn failed_with(&mut self, instance: InstanceId, error: ActionError, micros: u64) {
        let (error, taken) = self.taken_on_failure(&instance, error);
        self.tell(Event::Finished {
            instance,
            outcome: Outcome::Failed { error, taken },
            micros,
        });
    }

    fn unreconciled(&mut self, instance: InstanceId, error: ActionError) {
        let (error, taken) = self.taken_on_failure(&instance, error);
        self.tell(Event::Unreconciled {
            instance,
            error,
            taken,
        });
    }

    /// Which connections a final failure takes; if their conditions fail too, none, and the error says so.
    fn taken_on_failure(&self, instance: &InstanceId, error: ActionError) -> (ActionError, Taken) {
        let plan = self.machine.plan();
        let Some(port) = plan.failure_port(node_of(plan, instance)) else {
            return (error, Taken::All);
        };
        let clock = &self.shared.ports.clock;
        let taken = evaluate::taken(&self.machine, instance, port, clock, |scope| {
            scope.after_failure(instance, &error, port)
        });
        match taken {
            Ok(taken) => (error, taken),
            Err(condition) => {
                let message = format!("{}; then {}", error.message, condition.message);
                (ActionError { message, ..error }, Taken::Only(Vec::new()))
            }
        }
    }

    /// Evaluates the connections of an instance whose timer is due.
    pub(crate) fn fire(&mut self, instance: InstanceId) {
        let json = self.json(&instance);
        let clock = &self.shared.ports.clock;
        let taken = evaluate::taken(&self.machine, &instance, PORT_MAIN, clock, |scope| {
            scope.after_success(&instance, json, PORT_MAIN)
        });
        match taken {
            Ok(taken) => self.tell(Event::Fired { instance, taken }),
            Err(error) => self.failed_with(instance, error, 0),
        }
    }

    /// Asks the action what became of an attempt that an earlier holder lost.
    pub(crate) fn reconcile(&mut self, instance: InstanceId, attempt: u32) {
        let plan = self.machine.plan().clone();
        let index = node_of(&plan, &instance);
        let node = plan.node(index);
        let action = self
            .shared
            .registry
            .get(&node.action, node.version)
            .filter(|_| node.reconciles);
        let prepared = self.prepare(&instance, attempt, index, node);
        let (Some(action), Ok((_, context, input))) = (action, prepared) else {
            let message = "the attempt was lost with its worker";
            let error = ActionError::new("WORKER_LOST", message, ErrorClass::Unknown);
            return self.unreconciled(instance, error);
        };
        self.running
            .insert(instance.clone(), context.cancellation.clone());
        let clock = self.shared.ports.clock.clone();
        self.attempts.push(Box::pin(async move {
            let unknown = |message| Err(ActionError::new("WORKER_LOST", message, ErrorClass::Unknown));
            let asked = AssertUnwindSafe(action.reconcile(&context, &input)).catch_unwind();
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
            Finished {
                instance,
                micros: 0,
                end: End::Reconciled(reconciled),
            }
        }));
    }

    /// Evaluates what the execution gives.
    pub(crate) fn evaluate_output(&mut self) {
        let plan = self.machine.plan().clone();
        let state = self.machine.state();
        let result = |node: u32| {
            let activations = state.activations(node).iter().rev();
            activations
                .filter_map(|activation| activation.output.clone())
                .next()
        };
        let output = match &plan.output {
            PlanOutput::Node(node) => {
                Ok(result(*node).map(Arc::unwrap_or_clone).unwrap_or_default())
            }
            PlanOutput::Nodes(nodes) => {
                let results = nodes.iter().filter_map(|node| {
                    let value = Arc::unwrap_or_clone(result(*node)?);
                    Some((plan.node(*node).id.to_string(), value))
                });
                Ok(Value::Object(results.collect::<Map<_, _>>()))
            }
            PlanOutput::Program(program) => {
                let scope = EvaluationScope::of_output(&plan, state, self.machine.id());
                let context: Context =
                    evaluate::execution_context(&self.machine, &self.shared.ports.clock);
                program
                    .resolve(&scope, &context)
                    .map(Option::unwrap_or_default)
                    .map_err(|error| {
                        ActionError::new(
                            error.error.code,
                            format!("`output`: {error}"),
                            ErrorClass::Fatal,
                        )
                    })
            }
        };
        let output = output.and_then(|output| self.fits_output_schema(output));
        self.tell(Event::Output(output));
    }

    /// Holds what the execution gives against the workflow's `output_schema`: callers rely on it.
    fn fits_output_schema(&self, output: Value) -> Result<Value, ActionError> {
        let schema = &self.machine.plan().output_schema;
        if schema.is_null() {
            return Ok(output);
        }
        let wrong =
            |message: String| ActionError::fatal("OUTPUT_INVALID", format!("`output`: {message}"));
        let schema = Schema::compile(schema).map_err(|error| wrong(error.to_string()))?;
        match schema.check(&output).first() {
            None => Ok(output),
            Some(problem) => Err(wrong(problem.to_string())),
        }
    }
}

/// The parameters of a node that are programs, ready to be asked over a scope.
pub(crate) fn deferred(
    node: &PlanNode,
    scope: &Arc<EvaluationScope>,
    context: &Context,
) -> IndexMap<String, Deferred> {
    let programs = node.parameters.deferred.iter().map(|(path, program)| {
        let program = Deferred::new(program.clone(), scope.clone(), context.clone());
        (path.clone(), program)
    });
    programs.collect()
}

fn own_key(
    resolved: Result<Option<Value>, nebula_parameter::ResolveError>,
) -> Result<String, ActionError> {
    let wrong = |message: String| {
        ActionError::invalid_input("IDEMPOTENCY_KEY", "/idempotency_key", message)
    };
    match resolved {
        Ok(Some(Value::String(key))) if !key.is_empty() => Ok(key),
        Ok(Some(Value::Number(key))) => Ok(key.to_string()),
        Ok(_) => Err(wrong(
            "`idempotency_key` must give a text that is not empty".to_owned(),
        )),
        Err(error) => Err(wrong(error.to_string())),
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
