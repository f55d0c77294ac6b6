//! What starts workflows by itself: which triggers there are, and what people do with them.

use std::time::Duration;

use axum::{Json, extract::State};
use http::StatusCode;
use nebula_core::{Timestamp, TriggerId, WorkflowId, duration_text, serde_duration};
use nebula_engine::{FireConfig, FireError, MAX_HOOK_GRACE};
use nebula_identity::Permission;
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
    /// Of which kind: `cron`, `interval`, `once`, `webhook`.
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
    /// Why the occurrence after that started nothing.
    left_out: Option<LeftOutBody>,
    /// The path of its address, if it is called; only for those who may start the workflow.
    hook: Option<String>,
    /// Until when the address that it had before leads there, too (RFC 3339).
    previous_hook_until: Option<String>,
}

/// An occurrence that started nothing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeftOutBody {
    /// Which one (RFC 3339).
    occurrence: String,
    /// When that was decided (RFC 3339).
    at: String,
    /// Why.
    why: String,
}

impl TriggerBody {
    /// Whoever knows the address of a webhook may be able to call it, so `shows` says whether it is told.
    fn of(record: TriggerRecord, shows: bool) -> Self {
        let hook = record.state.hook.as_ref().filter(|_| shows);
        let hook = hook.map(|hook| {
            let path = record.definition["path"].as_str().unwrap_or_default();
            format!("/hooks/{}{path}", hook.0)
        });
        let before = record.state.previous.as_ref();
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
            left_out: record.state.left_out.as_ref().map(|it| LeftOutBody {
                occurrence: it.occurrence.to_string(),
                at: it.at.to_string(),
                why: it.why.clone(),
            }),
            hook,
            previous_hook_until: before.map(|it| it.until.to_string()),
        }
    }
}

/// Whether the caller is told addresses of the workflow's webhooks.
fn shows(it: &OfWorkflow) -> bool {
    let project = it.workflow.project.as_ref();
    let permission = Permission::ExecutionsStart;
    it.by.principal().is_allowed(permission, project)
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

/// Lists the triggers of a workflow: those of its published version.
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
    let shows = shows(&it);
    let bodies = page.items.into_iter();
    Ok(Json(TriggerPage {
        triggers: bodies.map(|one| TriggerBody::of(one, shows)).collect(),
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
    match error {
        FireError::Unknown => unknown_trigger(&it.workflow.id, trigger),
        error => started_nothing(error),
    }
}

/// Why a trigger started nothing.
pub(crate) fn started_nothing(error: FireError) -> Problem {
    let message = error.to_string();
    match error {
        FireError::Called => Problem::conflict("TRIGGER_CALLED", message)
            .hint("GET its workflow's triggers: `hook` is the path of its address"),
        FireError::Listens => Problem::conflict("TRIGGER_LISTENS", message)
            .hint("start the workflow itself, with the input that it would get"),
        FireError::Watches => Problem::conflict("TRIGGER_WATCHES", message)
            .hint("or start the workflow itself, with the input that it would get"),
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

pub(crate) fn config(shared: &Inner) -> FireConfig {
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
        Some(record) => Ok(Json(TriggerBody::of(record, shows(it)))),
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

/// How an address is replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateHook {
    /// For how long the address before leads there, too: a span of time, at most 30 days; `0s` where
    /// somebody knows it who should not.
    #[serde(with = "serde_duration")]
    #[schema(value_type = String)]
    grace: Duration,
}

/// Gives a webhook a new address.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/triggers/{trigger}/rotate", tag = "triggers",
    params(("workflow" = String, Path), ("trigger" = String, Path)), request_body = RotateHook,
    responses((status = 200, body = TriggerBody))
)]
pub(crate) async fn rotate(
    State(shared): State<Shared>,
    At(TriggerPath { trigger }): At<TriggerPath>,
    it: OfWorkflow,
    Body(RotateHook { grace }): Body<RotateHook>,
) -> Result<Json<TriggerBody>, Problem> {
    if grace > MAX_HOOK_GRACE {
        let most = duration_text(MAX_HOOK_GRACE);
        return Err(Problem::bad("BAD_BODY", format!("grace: at most {most}")));
    }
    let change = json!({ "grace": duration_text(grace) });
    it.by.record(&shared, target(&it, &trigger), change).await?;
    let engine = shared.nebula.engine();
    let rotated = engine.rotate_hook(it.by.tenant(), &it.workflow.id, &trigger, grace);
    match rotated.await? {
        Some(record) => Ok(Json(TriggerBody::of(record, true))),
        None => Err(unknown_trigger(&it.workflow.id, &trigger)
            .hint("only a trigger of the type `webhook` has an address")),
    }
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
