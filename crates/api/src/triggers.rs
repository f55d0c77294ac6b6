//! What starts workflows by itself: which triggers there are, and what people do with them.

use axum::{Json, extract::State};
use http::StatusCode;
use nebula_core::{Timestamp, TriggerId, WorkflowId};
use nebula_engine::{FireConfig, FireError};
use nebula_ports::{PageToken, TriggerRecord};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::OfWorkflow,
    api::{Inner, Shared},
    executions::page_size,
    extract::{Asked, At, Body},
    problem::Problem,
    start::room,
    workflows::bad_cursor,
};

/// A trigger of a published version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trigger)]
pub(crate) struct TriggerBody {
    /// Of which workflow.
    workflow: String,
    /// Its id.
    trigger: String,
    /// Of which kind: `cron`, `interval`, `once`.
    #[serde(rename = "type")]
    kind: String,
    /// Of which version: the published one.
    version: u32,
    /// What it goes by, for people.
    schedule: Option<String>,
    /// Whether it starts nothing until it is unpaused.
    paused: bool,
    /// Up to when its occurrences are settled (RFC 3339).
    settled_through: String,
    /// When it is due next (RFC 3339); null is never, or not while it is paused.
    due: Option<String>,
    /// The execution that it started last.
    last: Option<String>,
}

impl From<TriggerRecord> for TriggerBody {
    fn from(record: TriggerRecord) -> Self {
        let due = record.state.due.filter(|_| !record.state.paused);
        Self {
            workflow: record.workflow.to_string(),
            trigger: record.trigger.to_string(),
            kind: record.kind,
            version: record.version,
            schedule: record.definition["schedule"].as_str().map(str::to_owned),
            paused: record.state.paused,
            settled_through: record.state.through.to_string(),
            due: due.map(|due| due.to_string()),
            last: record.state.last.map(|last| last.to_string()),
        }
    }
}

/// A part of the triggers of a workflow.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TriggerPage {
    /// Triggers by id.
    triggers: Vec<TriggerBody>,
    /// What `cursor` of the next page is; null at the end.
    next: Option<String>,
}

/// Which triggers to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListTriggers {
    /// How many, at most `max_page`; 50 where nothing is said.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists the triggers of a workflow: those of its published version that go by time.
#[utoipa::path(
    get, path = "/api/v1/workflows/{workflow}/triggers", tag = "triggers",
    params(("workflow" = String, Path), ListTriggers), responses((status = 200, body = TriggerPage))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    it: OfWorkflow,
    Asked(asked): Asked<ListTriggers>,
) -> Result<Json<TriggerPage>, Problem> {
    let limit = page_size(&shared, asked.limit)?;
    let after = asked.cursor.map(PageToken);
    let (engine, workflow) = (shared.nebula.engine(), Some(&it.workflow.id));
    let page = engine
        .triggers(it.by.tenant(), workflow, after.as_ref(), limit)
        .await
        .map_err(bad_cursor)?;
    Ok(Json(TriggerPage {
        triggers: page.items.into_iter().map(Into::into).collect(),
        next: page.next.map(|next| next.0),
    }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct TriggerPath {
    trigger: TriggerId,
}

fn target(it: &OfWorkflow, trigger: &TriggerId) -> String {
    format!("trigger:{}/{trigger}", it.workflow.id)
}

fn unknown_trigger(workflow: &WorkflowId, trigger: &TriggerId) -> Problem {
    let message = format!("no published version of `{workflow}` has a trigger `{trigger}`");
    Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_TRIGGER", message).hint(format!(
        "GET /api/v1/workflows/{workflow}/triggers lists those that it has; a version must be published"
    ))
}

fn not_fired(it: &OfWorkflow, trigger: &TriggerId, error: FireError) -> Problem {
    let message = error.to_string();
    match error {
        FireError::Unknown => unknown_trigger(&it.workflow.id, trigger),
        FireError::Timeless => Problem::bad("TRIGGER_TIMELESS", message),
        FireError::TooMany { .. } => {
            Problem::bad("BACKFILL_TOO_LONG", message).hint("ask for a shorter range")
        }
        FireError::Input(_) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "TRIGGER_INPUT", message)
                .hint("correct `input` of the trigger and publish it again")
        }
        FireError::Request(_) => Problem::bad("CAPABILITY_UNKNOWN", message)
            .hint("look at `requires` of that node and at the input"),
        FireError::Install(error) => error.into(),
        FireError::Start(error) => error.into(),
        FireError::Store(error) => error.into(),
        _ => Problem::bad("TRIGGER", message),
    }
}

fn config(shared: &Inner) -> FireConfig {
    FireConfig {
        folder: shared.folder.clone(),
        vars: shared.vars.clone(),
    }
}

async fn paused(
    shared: &Inner,
    it: &OfWorkflow,
    trigger: &TriggerId,
    paused: bool,
) -> Result<Json<TriggerBody>, Problem> {
    let (engine, tenant, workflow) = (shared.nebula.engine(), it.by.tenant(), &it.workflow.id);
    let change = json!({ "paused": paused });
    it.by.record(shared, target(it, trigger), change).await?;
    let done = engine.pause_trigger(tenant, workflow, trigger, paused);
    match done.await? {
        Some(record) => Ok(Json(record.into())),
        None => Err(unknown_trigger(workflow, trigger)),
    }
}

/// Lets a trigger start nothing more until it is unpaused, also through publications.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/triggers/{trigger}/pause", tag = "triggers",
    params(("workflow" = String, Path), ("trigger" = String, Path)),
    responses((status = 200, body = TriggerBody))
)]
pub(crate) async fn pause(
    State(shared): State<Shared>,
    At(TriggerPath { trigger }): At<TriggerPath>,
    it: OfWorkflow,
) -> Result<Json<TriggerBody>, Problem> {
    paused(&shared, &it, &trigger, true).await
}

/// Lets a trigger start again, from now on: what came meanwhile is not made up for.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/triggers/{trigger}/unpause", tag = "triggers",
    params(("workflow" = String, Path), ("trigger" = String, Path)),
    responses((status = 200, body = TriggerBody))
)]
pub(crate) async fn unpause(
    State(shared): State<Shared>,
    At(TriggerPath { trigger }): At<TriggerPath>,
    it: OfWorkflow,
) -> Result<Json<TriggerBody>, Problem> {
    paused(&shared, &it, &trigger, false).await
}

/// An execution that a trigger started.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Fired {
    /// Its id.
    execution: String,
}

/// Starts what a trigger starts, now; its occurrences stay as they are.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/triggers/{trigger}/fire", tag = "triggers",
    params(("workflow" = String, Path), ("trigger" = String, Path)),
    responses((status = 201, body = Fired))
)]
pub(crate) async fn fire(
    State(shared): State<Shared>,
    At(TriggerPath { trigger }): At<TriggerPath>,
    it: OfWorkflow,
) -> Result<(StatusCode, Json<Fired>), Problem> {
    let _room = room(&shared)?;
    it.by
        .record(&shared, target(&it, &trigger), Value::Null)
        .await?;
    let (engine, config) = (shared.nebula.engine(), config(&shared));
    let fired = engine.fire_trigger(it.by.tenant(), &it.workflow.id, &trigger, &config);
    let started = fired
        .await
        .map_err(|error| not_fired(&it, &trigger, error))?;
    let execution = started.id.to_string();
    Ok((StatusCode::CREATED, Json(Fired { execution })))
}

/// Which occurrences to make up for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backfill {
    /// After when (RFC 3339).
    #[serde(deserialize_with = "time")]
    #[schema(value_type = String, format = "date-time")]
    from: Timestamp,
    /// Up to when (RFC 3339).
    #[serde(deserialize_with = "time")]
    #[schema(value_type = String, format = "date-time")]
    to: Timestamp,
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(D::Error::custom)
}

/// An occurrence that was made up for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BackfilledBody {
    /// Which one (RFC 3339).
    occurrence: String,
    /// Its execution.
    execution: String,
    /// Whether that had been started before.
    existed: bool,
}

/// What was made up for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BackfilledPage {
    /// In order.
    occurrences: Vec<BackfilledBody>,
}

/// Starts an execution for each occurrence of a trigger in a range that was not started in the last days:
/// at most 1,000.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/triggers/{trigger}/backfill", tag = "triggers",
    params(("workflow" = String, Path), ("trigger" = String, Path)), request_body = Backfill,
    responses((status = 200, body = BackfilledPage))
)]
pub(crate) async fn backfill(
    State(shared): State<Shared>,
    At(TriggerPath { trigger }): At<TriggerPath>,
    it: OfWorkflow,
    Body(Backfill { from, to }): Body<Backfill>,
) -> Result<Json<BackfilledPage>, Problem> {
    let _room = room(&shared)?;
    let change = json!({ "from": from.to_string(), "to": to.to_string() });
    it.by.record(&shared, target(&it, &trigger), change).await?;
    let (engine, config) = (shared.nebula.engine(), config(&shared));
    let which = (&it.workflow.id, &trigger);
    let done = engine.backfill(it.by.tenant(), which, (from, to), &config);
    let done = done
        .await
        .map_err(|error| not_fired(&it, &trigger, error))?;
    let occurrences = done.into_iter().map(|it| BackfilledBody {
        occurrence: it.occurrence.to_string(),
        execution: it.execution.to_string(),
        existed: it.existed,
    });
    Ok(Json(BackfilledPage {
        occurrences: occurrences.collect(),
    }))
}
