//! Starts what executions announce: that they have ended, and the events that they emit.

use std::{sync::Arc, time::Duration};

use nebula_core::{Digest, TenantId, Timestamp, WorkflowId};
use nebula_execution::{
    End, Fact, MAX_CALL_DEPTH, StartSlot, Started as Begun, StoredEntry, Topic, TriggerMove,
};
use nebula_expression::JsonScope;
use nebula_ports::{Arrival, DedupeKey, Result, TriggerRecord, TriggerRepo};
use nebula_trigger::{Heard, Listening};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::{
    AdmissionError, Engine, FireConfig, FireError,
    firing::{MAX_QUEUED, Ready, SOON, context_at, left_out, scope_of, settle, slot_name},
    hooks::bare_expression,
};

/// How many executions may lead to each other by what they announce, one behind the other; what is
/// announced by the last of them is left out. So an error workflow that fails itself comes to an end.
pub const MAX_CHAIN: u64 = 16;
/// After what time it is tried again at most, where an execution is not admitted.
const LATEST: Duration = Duration::from_secs(60);

/// What a trigger makes of an arrival.
enum Made {
    /// This is `$trigger`, and what the execution gets where the trigger builds no input.
    Told { told: Value, brought: Value },
    /// It starts nothing, for this reason if anybody should know it.
    Passed(Option<String>),
}

/// The topics that a trigger listens to.
pub(crate) fn topics(listening: &Listening) -> Vec<String> {
    match &listening.to {
        Heard::Ends(ends) => {
            let ends = ends.iter().filter_map(|end| end.parse().ok());
            ends.map(|status| Topic::Ended(status).to_string())
                .collect()
        }
        Heard::Event(name) => vec![Topic::Event(name).to_string()],
    }
}

impl Engine {
    /// Starts what the first thing starts that waits at a trigger, or passes it over; whether the trigger
    /// stands elsewhere then; `now` is the time of the store. What cannot start for want of room waits, and so
    /// does all behind it.
    pub(crate) async fn fire_arrival(
        &self,
        triggers: &Arc<dyn TriggerRepo>,
        config: &FireConfig,
        ready: &Ready,
        (tenant, record, now): (&TenantId, &TriggerRecord, Timestamp),
        listening: &Listening,
    ) -> Result<bool> {
        let (workflow, trigger) = (&record.workflow, &record.trigger);
        let waiting = triggers.arrivals(tenant, workflow, trigger, 1).await?;
        let Some(arrival) = waiting.into_iter().next() else {
            let none = nebula_trigger::Settled {
                through: record.state.through,
                due: None,
            };
            return settle(triggers, (tenant, record), none, None).await;
        };
        let made = self.made_of(tenant, record, listening, &arrival).await?;
        let start = match made {
            Made::Told { told, brought } => {
                let what = (&arrival, told, brought);
                self.start_for(config, ready, (tenant, record), listening, what)
                    .await
            }
            Made::Passed(why) => Ok(Ok(Some(why))),
        };
        let why = match start {
            Ok(Ok(None)) => return Ok(true),
            Ok(Ok(Some(why))) => why,
            Ok(Err(wait)) => {
                let then = nebula_trigger::Settled {
                    through: record.state.through,
                    due: Some(now.plus(wait.clamp(SOON, LATEST))),
                };
                return settle(triggers, (tenant, record), then, None).await;
            }
            Err(FireError::Store(error)) => return Err(error),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = &why {
            let (execution, topic) = (arrival.execution, &arrival.topic);
            warn!(%workflow, %trigger, %execution, topic, why, "what was announced starts nothing");
        }
        let why = why.map(|why| left_out(arrival.at, now, &why));
        let (revision, passed) = (record.revision, [arrival.n]);
        // Whoever was before us has seen to it.
        let _ = triggers
            .pass(tenant, workflow, trigger, revision, &passed, why)
            .await?;
        Ok(true)
    }

    /// Starts an execution for an arrival: `Ok(None)` if it is there now, the reason if it is to be passed
    /// over, and how long to wait if there is no room for it.
    async fn start_for(
        &self,
        config: &FireConfig,
        ready: &Ready,
        (tenant, record): (&TenantId, &TriggerRecord),
        listening: &Listening,
        (arrival, told, brought): (&Arrival, Value, Value),
    ) -> Result<Result<Option<Option<String>>, Duration>, FireError> {
        let (workflow, trigger) = (&record.workflow, &record.trigger);
        let (plan, at) = (ready.plan(), arrival.at);
        let data = scope_of(config, plan, &told);
        let (scope, context) = (JsonScope(&data), context_at(at));
        // The planner has refused what cannot be compiled; a later build may know less.
        let compiled = |field: &str, source: &Option<String>| match source {
            None => Ok(None),
            Some(source) => bare_expression(source).map(Some).map_err(|_| {
                FireError::Input(format!("`{field}` of the trigger cannot be read any more"))
            }),
        };
        let wrong = |field: &str, error: nebula_expression::ExpressionError| {
            FireError::Input(format!("`{field}` of the trigger: {}", error.message))
        };
        if let Some(filter) = compiled("filter", &listening.filter)? {
            let takes = filter.evaluate_condition(&scope, &context);
            if !takes.map_err(|error| wrong("filter", error))? {
                return Ok(Ok(Some(None)));
            }
        }
        let key = match compiled("key", &listening.key)? {
            Some(key) => key
                .evaluate(&scope, &context)
                .map_err(|error| wrong("key", error))?,
            None => None,
        };
        let told = (told, brought);
        let mut new = self.triggered(config, ready, (tenant, record), at, told)?;
        if let Some(key) = key.filter(|key| !key.is_null())
            && new.slot.is_none()
        {
            new.slot = Some(StartSlot {
                key: format!("{}:{}", slot_name(record), Digest::of_json(&key)),
                capacity: 1,
                max_waiting: MAX_QUEUED,
            });
        }
        new.trigger = Some(TriggerMove {
            trigger: trigger.clone(),
            expected: record.revision,
            through: record.state.through.max(at),
            due: None,
            takes: vec![arrival.n],
        });
        let (source, seq) = (arrival.execution, arrival.seq);
        let once = DedupeKey(format!("trigger:{workflow}/{trigger}#{source}/{seq}"));
        match self.create(tenant, plan, new, Some(once), None).await {
            Ok(started) if started.existed.is_some() => Ok(Ok(Some(None))),
            Ok(started) => {
                let execution = started.id;
                info!(%workflow, %trigger, %source, seq, %execution, "started");
                Ok(Ok(None))
            }
            // Somebody else has started it, or it was paused, or published anew.
            Err(AdmissionError::Outdated) => Ok(Ok(None)),
            Err(
                AdmissionError::Full { try_after, .. } | AdmissionError::Limited { try_after, .. },
            ) => Ok(Err(try_after)),
            Err(error) => Err(error.into()),
        }
    }

    /// What a trigger makes of an arrival: the entry that was announced, and what began it.
    async fn made_of(
        &self,
        tenant: &TenantId,
        record: &TriggerRecord,
        listening: &Listening,
        arrival: &Arrival,
    ) -> Result<Made> {
        let passed = |why: &str| Ok(Made::Passed(Some(why.to_owned())));
        let execution = arrival.execution;
        let Some((begun, began_at)) = self.begun(tenant, execution).await? else {
            return passed("the execution that announced it was deleted");
        };
        let source = &begun.workflow;
        let from_others = !listening.workflows.is_empty() && !listening.workflows.contains(source);
        // It was announced to a version that listened to something else.
        if from_others || !topics(listening).contains(&arrival.topic) {
            return Ok(Made::Passed(None));
        }
        let (own, theirs) = (
            self.project_of(tenant, &record.workflow).await?,
            self.project_of(tenant, source).await?,
        );
        if own != theirs {
            return Ok(Made::Passed(None));
        }
        let chain = self.chain(tenant, &begun).await? + 1;
        if chain > MAX_CHAIN {
            let why = format!(
                "{MAX_CHAIN} executions have led to each other by what they announced, and {execution} is the last of them"
            );
            return passed(&why);
        }
        let page = self
            .ports
            .executions
            .journal(tenant, execution, arrival.seq, 1);
        let entries = page.await?.entries;
        let entry = entries.into_iter().find(|it| it.seq == arrival.seq);
        let Some(StoredEntry { entry, .. }) = entry else {
            return passed("the execution that announced it was deleted");
        };
        let mut told = json!({
            "id": record.trigger,
            "type": record.kind,
            "received_at": arrival.at.to_string(),
            "chain": chain,
            "workflow": source,
            "version": begun.version,
            "execution": execution.to_string(),
        });
        let mut say = |name: &str, value: Value| {
            told[name] = value;
        };
        let brought = match &entry.fact {
            Fact::EventEmitted {
                instance,
                name,
                payload,
                ..
            } => {
                say("event", name.as_str().into());
                say("event_id", format!("{execution}/{}", arrival.seq).into());
                say("emitted_at", entry.at.to_string().into());
                say("instance", instance.to_string().into());
                say("payload", (**payload).clone());
                (**payload).clone()
            }
            fact => {
                let Some(end) = End::of(fact) else {
                    return passed(
                        "what was announced is of a kind that this version does not know",
                    );
                };
                let error = end.failure.map(|failure| {
                    let error = failure.error;
                    json!({
                        "code": error.code.as_str(),
                        "message": error.message,
                        "class": error.class.as_str(),
                        "node": failure.node,
                    })
                });
                say("status", end.status.as_str().into());
                say("started_at", began_at.to_string().into());
                say("ended_at", entry.at.to_string().into());
                say("error", error.unwrap_or_default());
                let output = end.output.map(Arc::unwrap_or_clone);
                say("output", output.unwrap_or_default());
                let fields = [
                    "workflow",
                    "version",
                    "execution",
                    "status",
                    "started_at",
                    "ended_at",
                    "error",
                    "output",
                ];
                let part = |name: &str| (name.to_owned(), told[name].clone());
                Value::Object(fields.into_iter().map(part).collect())
            }
        };
        Ok(Made::Told { told, brought })
    }

    /// With what an execution began, and when.
    async fn begun(
        &self,
        tenant: &TenantId,
        execution: nebula_core::ExecutionId,
    ) -> Result<Option<(Box<Begun>, Timestamp)>> {
        let page = self
            .ports
            .executions
            .journal(tenant, execution, 1, 1)
            .await?;
        let first = page.entries.into_iter().next().map(|first| first.entry);
        Ok(first.and_then(|first| match first.fact {
            Fact::ExecutionStarted(started) => Some((started, first.at)),
            _ => None,
        }))
    }

    /// How many executions led to this one by what they announced, whoever called it meanwhile.
    async fn chain(&self, tenant: &TenantId, begun: &Begun) -> Result<u64> {
        let mut caller = None;
        for _ in 0..=MAX_CALL_DEPTH {
            let at = caller.as_deref().unwrap_or(begun);
            let Some(parent) = &at.parent else { break };
            match self.begun(tenant, parent.execution).await? {
                Some((above, _)) => caller = Some(above),
                None => break,
            }
        }
        let first = caller.as_deref().unwrap_or(begun);
        let chain = |trigger: &Value| trigger["chain"].as_u64().unwrap_or(0);
        match (&first.trigger_blob, &self.ports.values) {
            (Some(stored), Some(values)) => {
                let trigger = values.read(tenant, stored.blob()).await?;
                Ok(chain(&trigger))
            }
            _ => Ok(chain(&first.trigger)),
        }
    }

    async fn project_of(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
    ) -> Result<Option<nebula_core::ProjectId>> {
        let known = self
            .ports
            .workflows
            .versions(tenant, workflow, None, 0)
            .await?;
        Ok(known.and_then(|known| known.workflow.project))
    }
}
