//! Undoing effects: what that takes is settled when the effect is there, and used when it must go.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use indexmap::IndexMap;
use nebula_action::{ActionContext, ActionError, Credentials, ErrorClass, Heartbeat, Reconciled};
use nebula_core::Digest;
use nebula_execution::{
    CompensationInput, EvaluationScope, Event, Given, InstanceId, PlanCompensation,
};
use nebula_ports::{Code, Invocation};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    credentials::logged_by,
    drive::Drive,
    evaluate::{self, node_of},
    finish::{End, Finished},
};

impl Drive {
    /// What undoes the effect that an instance has just had, over all that it saw and gave: later
    /// the body that it stands in may be gone.
    pub(crate) fn undo_of(
        &mut self,
        instance: &InstanceId,
        output: &Given,
        port: &str,
    ) -> Option<CompensationInput> {
        let plan = self.machine.plan().clone();
        let node = plan.node(plan.index_of(instance.node.as_str())?);
        let compensation = node.compensation.as_deref()?;
        let input = self.item(instance).and_then(|item| {
            let scope = evaluate::scope(&self.machine, instance, item.as_ref());
            let scope = scope.after_success(instance, output.clone(), port);
            self.resolve_compensation(compensation, &scope, instance)
        });
        Some(match input {
            Ok(input) => CompensationInput::Parameters(Arc::new(input)),
            Err(mut error) => {
                error.message = format!("`compensate`: {}", error.message);
                CompensationInput::Error(error)
            }
        })
    }

    fn resolve_compensation(
        &self,
        compensation: &PlanCompensation,
        scope: &EvaluationScope,
        instance: &InstanceId,
    ) -> Result<Value, ActionError> {
        let context = evaluate::context(&self.machine, instance, &self.shared.ports.clock);
        let (action, version) = (&compensation.action, compensation.version);
        self.resolve_for(action, version, &compensation.parameters, scope, &context)
    }

    /// Prepares an attempt to undo an effect; it begins once its start is committed.
    pub(crate) fn compensate(&mut self, instance: InstanceId, attempt: u32) {
        let plan = self.machine.plan().clone();
        let index = node_of(&plan, &instance);
        let Some(compensation) = plan.node(index).compensation.as_deref() else {
            let error = ActionError::fatal("COMPENSATION_MISSING", "the node has no compensation");
            return self.undone(instance, Err(error), 0);
        };
        let (action, version) = (&compensation.action, compensation.version);
        let Some(code) = self.shared.registry.get(action, version) else {
            let message = format!("this worker has no action `{action}@{version}`");
            let error = ActionError::fatal("ACTION_MISSING", message);
            return self.undone(instance, Err(error), 0);
        };
        let (context, input) = match self.undoing(&instance, attempt, index, compensation) {
            Ok(prepared) => prepared,
            Err(error) => return self.undone(instance, Err(error), 0),
        };
        let key = context.idempotency_key.clone();
        let invocation = Invocation {
            code: Code::Native(code),
            input,
            max_output: self.shared.config.max_output,
            grace: self.shared.config.grace,
            context,
        };
        let deadline = self.shared.ports.clock.now().plus(compensation.timeout);
        let input = Digest::of_json(&invocation.input);
        let invocation = Box::new(invocation);
        self.prepared.insert(instance.clone(), invocation);
        self.tell(Event::Starting {
            instance,
            key,
            input,
            deadline,
        });
    }

    /// What an attempt to undo an effect gets.
    fn undoing(
        &self,
        instance: &InstanceId,
        attempt: u32,
        index: u32,
        compensation: &PlanCompensation,
    ) -> Result<(ActionContext, Value), ActionError> {
        let open = self.machine.state().compensations().get(instance);
        let open = open.ok_or_else(|| {
            ActionError::fatal("COMPENSATION_MISSING", "nothing is registered to be undone")
        })?;
        let input = match &open.input {
            CompensationInput::Parameters(input) => Value::clone(input),
            CompensationInput::Error(error) => return Err(error.clone()),
        };
        let identity = self.machine.compensation_identity(instance);
        let grants = self.grants.of_compensation(index)?;
        let context = ActionContext {
            tenant: self.lease.tenant.clone(),
            execution: self.lease.execution,
            workflow: self.started().workflow.clone(),
            node: instance.node.clone(),
            attempt,
            idempotency_key: identity.key(),
            now: open.since,
            seed: identity.seed(),
            timeout: compensation.timeout,
            // The time limit of the execution does not cut what undoes it.
            deadline: None,
            cancellation: CancellationToken::new(),
            heartbeat: Heartbeat::default(),
            http: self.http(&grants, instance, ("/undo", attempt)),
            // What undoes something puts nothing that anybody reads.
            blobs: self.blobs(&grants, &input).map(|(blobs, _)| blobs),
            credentials: Credentials::default(),
            grants,
            protected: self.shared.protected.clone(),
            folder: self.grants.folder.clone(),
            deferred: IndexMap::new(),
        };
        Ok((context, input))
    }

    /// Asks the compensating action what became of an attempt that an earlier holder lost.
    pub(crate) fn reconcile_compensation(&mut self, instance: InstanceId, attempt: u32) {
        let plan = self.machine.plan().clone();
        let index = node_of(&plan, &instance);
        let compensation = plan.node(index).compensation.as_deref();
        let asked = compensation.filter(|it| it.reconciles).and_then(|it| {
            let action = self.shared.registry.get(&it.action, it.version)?;
            let prepared = self.undoing(&instance, attempt, index, it).ok()?;
            Some((action, prepared))
        });
        let Some((action, (mut context, input))) = asked else {
            return self.undone(instance, Err(lost("with its worker")), 0);
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
            let asked = AssertUnwindSafe(action.reconcile(&context, &input)).catch_unwind();
            let asked = logged_by(opened.as_ref(), asked);
            let reconciled = tokio::select! {
                biased;
                () = context.cancellation.cancelled() => Err(lost("and nobody waited for what became of it")),
                () = clock.sleep(context.timeout) => Err(lost("and the action did not say in time what became of it")),
                asked = asked => asked.unwrap_or_else(|_| Err(lost("and the action panicked when asked what became of it"))),
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

    /// Tells the machine how an attempt to undo an effect ended.
    pub(crate) fn compensation_finished(&mut self, instance: InstanceId, end: End, micros: u64) {
        let outcome = match end {
            End::Result(Ok(result)) => Ok(Arc::new(result.value)),
            End::Result(Err(error)) => Err(asked_for_apart(error)),
            End::Reconciled(Ok(Reconciled::Happened(value))) => Ok(Arc::new(value)),
            End::Reconciled(Ok(Reconciled::NotHappened)) => {
                let message = "the attempt was lost, and its effect did not happen";
                Err(ActionError::retryable("WORKER_LOST", message))
            }
            End::Reconciled(Ok(Reconciled::Unknown)) => Err(lost(
                "and the action cannot say whether its effect happened",
            )),
            End::Reconciled(Err(mut error)) => {
                error.class = ErrorClass::Unknown;
                Err(error)
            }
        };
        self.undone(instance, outcome, micros);
    }

    fn undone(
        &mut self,
        instance: InstanceId,
        outcome: Result<Arc<Value>, ActionError>,
        micros: u64,
    ) {
        self.tell(Event::Compensated {
            instance,
            outcome,
            micros,
        });
    }
}

/// An action that was denied something says what its node has to ask for; here that stands elsewhere.
fn asked_for_apart(mut error: ActionError) -> ActionError {
    if let ErrorClass::Denied { capability } = &error.class {
        error.message = format!(
            "undoing it needs {capability}: write `requires: [\"{capability}\"]` in `compensate`, and grant that"
        );
    }
    error
}

fn lost(how: &str) -> ActionError {
    let message = format!("the attempt to undo it was lost, {how}");
    ActionError::new("WORKER_LOST", message, ErrorClass::Unknown)
}
