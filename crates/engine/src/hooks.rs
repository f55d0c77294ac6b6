//! Triggers that are called over HTTP: which delivery starts what.

use std::{sync::Arc, time::Duration};

use nebula_core::{BlobId, Digest, TenantId, Timestamp, TraceContext, TriggerId, WorkflowId};
use nebula_execution::ExecutionPlan;
use nebula_expression::{JsonScope, Program};
use nebula_parameter::{CompileScope, compile_expression};
use nebula_ports::{
    DedupeKey, HookId, PreviousHook, Result, TriggerRecord, TriggerState, TriggerUpdated,
};
use nebula_trigger::{Form, Proof, Webhook};
use nebula_validator::{Problem, Schema};
use serde_json::{Map, Value};

use crate::{
    Engine, FireConfig, FireError, InstallError, Started,
    firing::{Ready, context_at, scope_of},
};

/// For how long an address that was replaced may lead to its trigger at most.
pub const MAX_HOOK_GRACE: Duration = Duration::from_secs(30 * 86_400);

/// A webhook of a published version, ready to take deliveries. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hook(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ready: Ready,
    webhook: Webhook,
    schema: Option<Schema>,
    filter: Option<Program>,
    dedupe: Option<Program>,
}

impl Hook {
    /// What it takes from whom, and how it answers.
    #[must_use]
    pub fn webhook(&self) -> &Webhook {
        &self.0.webhook
    }

    /// The page that asks for what it takes, with the name of its workflow and the schema of that one's
    /// input, if it is a form.
    #[must_use]
    pub fn form(&self) -> Option<(&Form, &str, &Value)> {
        let plan = self.0.ready.plan();
        let form = self.0.webhook.form.as_ref()?;
        Some((form, plan.name.as_str(), &plan.input_schema))
    }

    /// What does not fit in a body.
    #[must_use]
    pub fn misfits(&self, body: &Value) -> Vec<Problem> {
        let schema = self.0.schema.as_ref();
        schema.map_or_else(Vec::new, |schema| schema.check(body))
    }
}

/// What was delivered, once it is known who calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// `$trigger`, with nothing in it that opens anything.
    pub told: Map<String, Value>,
    /// What the caller proved.
    pub proof: Proof,
    /// When it came.
    pub at: Timestamp,
    /// The trace of whoever calls, if they are in one.
    pub trace: Option<TraceContext>,
    /// What makes several of them one, beside what the trigger says: a page that is sent twice.
    pub once: Option<Digest>,
    /// The blobs that it brought, which `told` names.
    pub blobs: Vec<BlobId>,
}

/// What a delivery came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivered {
    /// An execution, now or by a delivery before.
    Started(Started),
    /// Nothing, as `filter` says.
    FilteredOut,
}

/// Why a delivery started nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// An expression of the trigger gives no value for it.
    #[error("`{field}` of the trigger: {why}")]
    Expression {
        /// `filter` or `dedupe`.
        field: &'static str,
        /// What is wrong; nothing of the delivery.
        why: String,
    },
    /// The same as with any trigger.
    #[error(transparent)]
    Fire(#[from] FireError),
}

impl Engine {
    /// An address that nobody can guess: 244 random bits.
    pub(crate) fn new_hook(&self) -> HookId {
        let (one, two) = (self.ports.entropy.uuid(), self.ports.entropy.uuid());
        HookId(format!("{}{}", one.simple(), two.simple()))
    }

    /// Whose trigger has this address, and which; also of a paused one.
    ///
    /// # Errors
    /// The store failed.
    pub async fn hooked(&self, hook: &HookId) -> Result<Option<(TenantId, TriggerRecord)>> {
        let Some((tenant, record)) = self.trigger_repo()?.hooked(hook).await? else {
            return Ok(None);
        };
        // A build that does not know triggers may have published another version since, and of what is
        // archived nothing starts.
        let workflows = &self.ports.workflows;
        let known = workflows.versions(&tenant, &record.workflow, None, 0);
        let stands = known.await?.is_some_and(|known| {
            !known.workflow.archived && known.workflow.published == Some(record.version)
        });
        Ok(stands.then_some((tenant, record)))
    }

    /// Makes a webhook ready; it stays so as long as its record has this version. `None` if its version
    /// has no such webhook any more, as this build reads it.
    ///
    /// # Errors
    /// [`InstallError`]: its version cannot be started.
    pub async fn hook(
        &self,
        tenant: &TenantId,
        record: &TriggerRecord,
    ) -> std::result::Result<Option<Hook>, InstallError> {
        let ready = self.ready(tenant, record).await?;
        let read = ready.trigger(record);
        let Some(Ok(webhook)) = read.and_then(|it| Webhook::read(&it.kind, &it.rest)) else {
            return Ok(None);
        };
        // The planner has refused what cannot be compiled; a later build may know less.
        let compiled = |source: &Option<String>| match source {
            None => Some(None),
            Some(source) => bare_expression(source).ok().map(Some),
        };
        let schema = match &webhook.body_schema {
            None => Some(None),
            Some(schema) => Schema::compile(schema).ok().map(Some),
        };
        let (filter, dedupe) = (compiled(&webhook.filter), compiled(&webhook.dedupe));
        let (Some(schema), Some(filter), Some(dedupe)) = (schema, filter, dedupe) else {
            return Ok(None);
        };
        Ok(Some(Hook(Arc::new(Inner {
            ready,
            webhook,
            schema,
            filter,
            dedupe,
        }))))
    }

    /// Starts what a delivery starts: one execution for each value of `dedupe`, and for each signed
    /// content, within the seven days in which the store knows their keys; a delivery that comes again
    /// is answered with the first one. `dedupe` of a signed delivery sees its body alone, since whoever
    /// replays it may have changed what is not signed.
    ///
    /// # Errors
    /// [`DeliverError`]: nothing was started, but for a store that is unavailable.
    pub async fn deliver(
        &self,
        (tenant, record): (&TenantId, &TriggerRecord),
        hook: &Hook,
        delivery: Delivery,
        config: &FireConfig,
    ) -> std::result::Result<Delivered, DeliverError> {
        let Inner {
            ready,
            filter,
            dedupe,
            ..
        } = &*hook.0;
        let plan: &ExecutionPlan = ready.plan();
        let at = delivery.at;
        let signed = delivery.proof.signed;
        let told = Value::Object(delivery.told);
        if let Some(filter) = filter {
            let data = scope_of(config, plan, &told);
            let takes = filter.evaluate_condition(&JsonScope(&data), &context_at(at));
            if !takes.map_err(|error| wrong("filter", &error))? {
                return Ok(Delivered::FilteredOut);
            }
        }
        let key = match dedupe {
            Some(program) => {
                let seen = match signed {
                    Some(_) => serde_json::json!({ "body": told["body"] }),
                    None => told.clone(),
                };
                let data = scope_of(config, plan, &seen);
                let value = program.evaluate(&JsonScope(&data), &context_at(at));
                match value.map_err(|error| wrong("dedupe", &error))? {
                    Some(value) if !value.is_null() => Some(Digest::of_json(&value)),
                    // What has no key is told apart by nothing but its signature.
                    _ => signed,
                }
            }
            None => signed.or(delivery.once),
        };
        let key = key.map(|key| {
            let (workflow, trigger) = (&record.workflow, &record.trigger);
            DedupeKey(format!("hook:{workflow}/{trigger}:{key}"))
        });
        let body = told["body"].clone();
        let mut new = self.triggered(config, ready, (tenant, record), at, (told, body))?;
        if let Some(trace) = delivery.trace {
            new.within(trace);
        }
        new.with_blobs(delivery.blobs);
        let created = self.create(tenant, ready.plan(), new, key, None).await;
        Ok(Delivered::Started(created.map_err(FireError::from)?))
    }

    /// Gives a webhook a new address; the one before leads there for `grace`, at most
    /// [`MAX_HOOK_GRACE`], and any before that nowhere. `None` if no published version has such a
    /// webhook.
    ///
    /// # Errors
    /// The store failed; the address may be another one then.
    pub async fn rotate_hook(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        grace: Duration,
    ) -> Result<Option<TriggerRecord>> {
        let repo = self.trigger_repo()?;
        loop {
            let Some(record) = repo.get(tenant, workflow, trigger).await? else {
                return Ok(None);
            };
            let Some(before) = record.state.hook.clone() else {
                return Ok(None);
            };
            let until = self.ports.clock.now().plus(grace.min(MAX_HOOK_GRACE));
            let state = TriggerState {
                hook: Some(self.new_hook()),
                previous: Some(PreviousHook {
                    hook: before,
                    until,
                }),
                ..record.state.clone()
            };
            let updated = repo.update(tenant, workflow, trigger, record.revision, state.clone());
            match updated.await? {
                TriggerUpdated::Updated { revision } => {
                    return Ok(Some(TriggerRecord {
                        state,
                        revision,
                        ..record
                    }));
                }
                // It moved meanwhile, which takes a person each time.
                TriggerUpdated::Conflict { .. } => {}
                TriggerUpdated::Unknown => return Ok(None),
            }
        }
    }
}

fn wrong(field: &'static str, error: &nebula_expression::ExpressionError) -> DeliverError {
    let why = error.message.clone();
    DeliverError::Expression { field, why }
}

/// A bare expression of a trigger; it sees `$trigger`, `$vars` and `$workflow`, and no node.
pub(crate) fn bare_expression(
    source: &str,
) -> std::result::Result<Program, Vec<nebula_parameter::ExpressionProblem>> {
    let scope = CompileScope {
        nodes: Some(&[]),
        ..CompileScope::default()
    };
    compile_expression(source, 0, "", &scope)
}
