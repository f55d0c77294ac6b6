//! What an attempt gets: its parameters, resolved and checked, and its context.

use std::sync::Arc;

use indexmap::IndexMap;
use nebula_action::{
    ActionContext, ActionError, Credentials, Deferred, ErrorClass, Grants, Heartbeat, Http,
    InterfaceVersion,
};
use nebula_core::{ActionId, SpanId, TraceContext};
use nebula_execution::{EvaluationScope, Event, Given, InstanceId, PlanNode};
use nebula_expression::Context;
use nebula_parameter::{Parameters, ResolveError};
use nebula_telemetry::{EventKind, ExecutionEvent, Place};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    drive::Drive,
    evaluate::{self, failed, unread},
};

impl Drive {
    /// Resolves everything that an attempt gets.
    pub(crate) fn prepare(
        &mut self,
        instance: &InstanceId,
        attempt: u32,
        index: u32,
        node: &PlanNode,
    ) -> Result<(ActionContext, Value), ActionError> {
        let item = self.item(instance)?;
        let scope = evaluate::scope(&self.machine, instance, item.as_ref());
        let identity = self.machine.identity(instance);
        let (now, clock) = (self.machine.ready_at(instance), &self.shared.ports.clock);
        let context = evaluate::context_at(&self.machine, now, identity.seed(), clock);
        let input = self.resolve(node, &scope, &context)?;
        let idempotency_key = match &node.idempotency_key {
            None => identity.key(),
            Some(program) => own_key(program.resolve(&scope, &context))?,
        };
        #[cfg(sim_bug)]
        let idempotency_key = match nebula_core::sim_bug::is_awake("key-changes-on-retry") {
            true => format!("{idempotency_key}-{attempt}"),
            false => idempotency_key,
        };
        let deferred = match node.parameters.deferred.is_empty() {
            true => IndexMap::new(),
            false => deferred(node, &Arc::new(scope), &context),
        };
        let grants = self.grants.of(index)?;
        let blobs = self.blobs(&grants, &input).map(|(blobs, put)| {
            self.put.insert(instance.clone(), put);
            blobs
        });
        let action_context = ActionContext {
            tenant: self.lease.tenant.clone(),
            execution: self.lease.execution,
            workflow: self.started().workflow.clone(),
            node: node.id.clone(),
            attempt,
            idempotency_key,
            now,
            seed: context.seed,
            timeout: node.timeout,
            deadline: self.machine.deadline_of(instance),
            cancellation: CancellationToken::new(),
            heartbeat: self.heartbeat(instance, attempt, node),
            http: self.http(&grants, instance, ("", attempt)),
            blobs,
            credentials: Credentials::default(),
            grants,
            protected: self.shared.protected.clone(),
            folder: self.grants.folder.clone(),
            deferred,
        };
        Ok((action_context, input))
    }

    /// The way out of an attempt under these grants, if they open one. What it sends says that it is of
    /// this attempt.
    pub(crate) fn http(
        &self,
        grants: &Grants,
        instance: &InstanceId,
        attempt: (&str, u32),
    ) -> Option<Http> {
        let client = self.shared.ports.http.as_ref()?;
        let http = Http::gated(client, grants)?.of(self.lease.tenant.clone());
        let http = http.by(self.shared.ports.clock.clone());
        Some(http.within(self.trace(instance, attempt)))
    }

    /// Where the work of the execution belongs, or of one of its attempts.
    pub(crate) fn place(&self, attempt: Option<(InstanceId, u32)>) -> Arc<Place> {
        let execution = self.lease.execution;
        let trace = self.started().trace_id(execution);
        Arc::new(Place {
            execution,
            trace,
            attempt,
        })
    }

    /// The trace of the execution, from within an attempt, or from within one of another way: to undo.
    pub(crate) fn trace(&self, instance: &InstanceId, (way, attempt): (&str, u32)) -> TraceContext {
        let execution = self.lease.execution;
        let span = SpanId::of(execution, &format!("{instance}{way}/{attempt}"));
        self.started().trace_of(execution).within(span)
    }

    /// Where the signs of life of an attempt arrive: what it says of its progress is shown to watchers.
    fn heartbeat(&self, instance: &InstanceId, attempt: u32, node: &PlanNode) -> Heartbeat {
        let clock = self.shared.ports.clock.clone();
        let (bus, time) = (self.shared.bus.clone(), clock.clone());
        let (tenant, execution) = (self.lease.tenant.clone(), self.lease.execution);
        let instance = instance.clone();
        Heartbeat::new(clock, node.heartbeat_timeout, move |progress| {
            bus.publish(ExecutionEvent {
                tenant: tenant.clone(),
                execution,
                seq: 0,
                at: time.now(),
                kind: EventKind::NodeProgress {
                    instance: instance.clone(),
                    attempt,
                    progress,
                },
            });
        })
    }

    /// The parameters of a node over a scope, checked against the action's schema.
    pub(crate) fn resolve(
        &self,
        node: &PlanNode,
        scope: &EvaluationScope,
        context: &Context,
    ) -> Result<Value, ActionError> {
        let (action, version) = (&node.action, node.version);
        self.resolve_for(action, version, &node.parameters, scope, context)
    }

    /// Parameters over a scope, checked against the schema of their action.
    pub(crate) fn resolve_for(
        &self,
        action: &ActionId,
        version: InterfaceVersion,
        parameters: &Parameters,
        scope: &EvaluationScope,
        context: &Context,
    ) -> Result<Value, ActionError> {
        let input = parameters.resolve(scope, context);
        let input = input.map_err(|error| unresolved(&error))?;
        self.check_input(action, version, parameters, &input)?;
        Ok(input)
    }

    /// The same, without the parameter `items` if that is a long list; and that list.
    pub(crate) fn resolve_beside_items(
        &self,
        node: &PlanNode,
        scope: &EvaluationScope,
        context: &Context,
    ) -> Result<(Value, Option<Given>), ActionError> {
        let resolved = node.parameters.resolve_beside("items", scope, context);
        let (input, list) = resolved.map_err(|error| unresolved(&error))?;
        self.check_input(&node.action, node.version, &node.parameters, &input)?;
        Ok((input, list.map(Given::from)))
    }

    /// Checks resolved parameters against the action's schema, where they were not known to the planner.
    fn check_input(
        &self,
        action: &ActionId,
        version: InterfaceVersion,
        parameters: &Parameters,
        input: &Value,
    ) -> Result<(), ActionError> {
        let mut programs = parameters.resolved.values();
        if programs.all(|program| program.as_literal().is_some()) {
            return Ok(());
        }
        let Some(registered) = self.shared.registry.registered(action, version) else {
            return Ok(());
        };
        let problems = registered.check(input).map_err(|error| {
            let message = format!("the parameters of `{action}` cannot be checked: {error}");
            ActionError::fatal("ACTION_SCHEMA", message)
        })?;
        match problems.first() {
            None => Ok(()),
            Some(problem) => Err(ActionError::invalid_input(
                "PARAMETER_INVALID",
                problem.pointer.clone(),
                format!(
                    "parameter `{}` of `{action}`: {}",
                    problem.pointer, problem.message
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

    /// The values of the live tokens that activated an instance, as a list.
    ///
    /// # Errors
    /// One lies in a blob and cannot be read.
    pub(crate) fn inputs(&self, instance: &InstanceId) -> Result<Value, ActionError> {
        let (plan, state) = (self.machine.plan(), self.machine.state());
        let at = state.find(plan, instance);
        let inputs = at.map(|at| state.inputs(plan, at)).unwrap_or_default();
        let values = inputs.into_iter();
        let values = values.map(|(_, value)| value.value().map(Arc::unwrap_or_clone));
        values.collect::<Result<_, _>>().map_err(|why| unread(&why))
    }

    pub(crate) fn json(&self, instance: &InstanceId) -> Given {
        let (plan, state) = (self.machine.plan(), self.machine.state());
        let at = state.find(plan, instance);
        at.map(|at| state.json(plan, at)).unwrap_or_default()
    }
}

/// A parameter that has no value, as the error of its attempt.
fn unresolved(error: &ResolveError) -> ActionError {
    let class = ErrorClass::InvalidInput {
        pointer: error.pointer.clone(),
    };
    ActionError::new(error.error.code, error.to_string(), class)
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

fn own_key(resolved: Result<Option<Value>, ResolveError>) -> Result<String, ActionError> {
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
