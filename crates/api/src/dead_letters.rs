//! What was delivered too often: no worker came to an end with it.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::Caller,
    api::Shared,
    executions::page_size,
    extract::{Asked, Body},
    problem::Problem,
};
use nebula_identity::Permission;

/// A task that was delivered too often.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetter {
    /// The execution that it is about.
    execution: String,
    /// Of which workflow.
    workflow: String,
    /// How urgent it is: `lowest`, `low`, `normal`, `high` or `highest`.
    priority: &'static str,
    /// The last reason that was given.
    reason: String,
}

/// The tasks that were delivered too often.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetters {
    /// The oldest first.
    dead: Vec<DeadLetter>,
}

/// How many to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListDead {
    /// How many are looked at, at most `max_page`; 50 where nothing is said.
    #[param(minimum = 1)]
    limit: Option<u64>,
}

/// Lists the tasks that were delivered too often, of projects that the caller may look at.
#[utoipa::path(
    get, path = "/api/v1/dead-letters", tag = "dead letters", params(ListDead),
    responses((status = 200, body = DeadLetters))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<ListDead>,
) -> Result<Json<DeadLetters>, Problem> {
    let limit = page_size(&shared, asked.limit)?;
    let mut dead = Vec::new();
    for (task, reason) in shared.nebula.engine().dead(limit).await? {
        let permission = Permission::DeadLettersRead;
        let seen = task.tenant == *by.tenant();
        if seen && by.reaches(&shared, &task.workflow, permission).await? {
            dead.push(DeadLetter {
                execution: task.execution.to_string(),
                workflow: task.workflow.to_string(),
                priority: task.priority.name(),
                reason,
            });
        }
    }
    Ok(Json(DeadLetters { dead }))
}

/// How many were put back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Redriven {
    /// Tasks that are delivered again.
    redriven: usize,
}

/// What to deliver again: everything, so it says nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redrive {}

/// Puts every task that was delivered too often back into the queue. The queue is one for all projects and
/// tenants, so it takes a role in all projects of the server's own tenant.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/redrive", tag = "dead letters", request_body = Redrive,
    responses((status = 200, body = Redriven))
)]
pub(crate) async fn redrive(
    State(shared): State<Shared>,
    by: Caller,
    Body(Redrive {}): Body<Redrive>,
) -> Result<Json<Redriven>, Problem> {
    by.of_server(&shared, "queue").await?;
    by.record(&shared, "queue", Value::Null).await?;
    let redriven = shared.nebula.engine().redrive().await?;
    Ok(Json(Redriven { redriven }))
}
