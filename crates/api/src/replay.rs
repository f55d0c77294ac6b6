//! Executions gone through once more: what each entry of a journal made true, and what was true after it.

use std::io;

use axum::{
    Json,
    body::Body as Sent,
    extract::State,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{StatusCode, header};
use nebula_core::{ExecutionId, TenantId};
use nebula_engine::{Moment, Replay, ReplayStep};
use nebula_workflow::nearest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::OfExecution,
    api::{Inner, Shared},
    extract::{Asked, At},
    problem::Problem,
};

/// How many lines wait for whoever reads slowly; the replay waits, too, then.
const AHEAD: usize = 64;

/// An entry of a journal, and what followed from it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayStep)]
pub(crate) struct StepBody {
    /// The number of the entry.
    seq: u64,
    /// When it was decided (RFC 3339).
    at: String,
    /// The term of whoever wrote it.
    epoch: u64,
    /// What it says.
    #[schema(value_type = Object)]
    fact: Value,
    /// Instances whose inputs it completed.
    ready: Vec<String>,
    /// Instances that nothing can reach any more.
    skipped: Vec<String>,
}

impl From<&ReplayStep> for StepBody {
    fn from(step: &ReplayStep) -> Self {
        let names = |all: &[nebula_execution::InstanceId]| {
            let names = all.iter().map(ToString::to_string);
            names.collect()
        };
        Self {
            seq: step.entry.seq,
            at: step.entry.entry.at.to_string(),
            epoch: step.entry.epoch,
            fact: serde_json::to_value(&step.entry.entry.fact).unwrap_or_default(),
            ready: names(&step.ready),
            skipped: names(&step.skipped),
        }
    }
}

/// Of what to tell.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    /// Only of this node.
    node: Option<String>,
}

impl Of {
    /// Refuses a node that the workflow does not have.
    fn check(&self, replay: &Replay<'_>) -> Result<(), Problem> {
        let (Some(node), Some(machine)) = (&self.node, replay.machine()) else {
            return Ok(());
        };
        let ids = machine.plan().nodes.iter().map(|node| node.id.as_str());
        if ids.clone().any(|id| id == node) {
            return Ok(());
        }
        let shown: String = node.chars().take(80).collect();
        let message = format!("the workflow of this execution has no node `{shown}`");
        let problem = Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_NODE", message);
        Err(match nearest(node, ids) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint("leave `node` out to be told of all"),
        })
    }

    fn wants(&self, step: &ReplayStep) -> bool {
        self.node.as_deref().is_none_or(|node| step.is_about(node))
    }
}

/// Goes through the journal of an execution once more, with the fold that drove it: one entry to a line, each
/// with what followed from it. Nothing is run, and nothing changes.
#[utoipa::path(
    get, path = "/api/v1/executions/{execution}/replay", tag = "executions",
    params(("execution" = String, Path, format = "uuid"), Of),
    responses((status = 200, body = StepBody, description = "One entry to a line.", content_type = "application/x-ndjson"))
)]
pub(crate) async fn steps(
    State(shared): State<Shared>,
    OfExecution { by, summary }: OfExecution,
    Asked(asked): Asked<Of>,
) -> Result<Response, Problem> {
    // What is wrong from the start is told as a problem; what fails later breaks the answer off.
    let mut first = shared.nebula.engine().replay(by.tenant(), summary.id);
    first.step().await?;
    asked.check(&first)?;
    let (sender, mut lines) = mpsc::channel(AHEAD);
    let (tenant, id) = (by.tenant().clone(), summary.id);
    let told = stream::once(async move {
        if let Err(error) = tell(&shared, &tenant, id, &asked, &sender).await {
            let broken = io::Error::other(error);
            // Whoever does not listen any more has nothing to be told.
            let _ = sender.send(Err(broken)).await;
        }
    });
    let lines = stream::poll_fn(move |cx| lines.poll_recv(cx));
    // Both go on in the task that sends the answer, and end with it.
    let told = told.filter_map(async |()| None);
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Sent::from_stream(stream::select(lines, told))).into_response())
}

async fn tell(
    shared: &Inner,
    tenant: &TenantId,
    id: ExecutionId,
    asked: &Of,
    lines: &mpsc::Sender<io::Result<Bytes>>,
) -> nebula_ports::Result<()> {
    let mut replay = shared.nebula.engine().replay(tenant, id);
    while let Some(step) = replay.step().await? {
        if !asked.wants(&step) {
            continue;
        }
        let mut line = serde_json::to_string(&StepBody::from(&step)).unwrap_or_default();
        line.push('\n');
        if lines.send(Ok(line.into())).await.is_err() {
            break;
        }
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    seq: u64,
}

/// Shows what was true of an execution after one entry of its journal: where it stood, what each node had
/// done, and what it waited for.
#[utoipa::path(
    get, path = "/api/v1/executions/{execution}/replay/{seq}", tag = "executions",
    params(
        ("execution" = String, Path, format = "uuid"),
        ("seq" = u64, Path, description = "The number of the entry, from 1."), Of
    ),
    responses((status = 200, body = Object))
)]
pub(crate) async fn moment(
    State(shared): State<Shared>,
    OfExecution { by, summary }: OfExecution,
    At(Entry { seq }): At<Entry>,
    Asked(asked): Asked<Of>,
) -> Result<Json<Moment>, Problem> {
    let (id, entries) = (summary.id, summary.entries);
    let unknown = || {
        let message = format!("{id} has {entries} entries, and none has number {seq}");
        Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_ENTRY", message)
            .hint(format!("GET /api/v1/executions/{id}/journal lists them"))
    };
    if seq == 0 || seq > entries {
        return Err(unknown());
    }
    let mut replay = shared.nebula.engine().replay(by.tenant(), id);
    let mut checked = false;
    while let Some(step) = replay.step().await? {
        if !checked {
            asked.check(&replay)?;
            checked = true;
        }
        if step.entry.seq >= seq {
            break;
        }
    }
    let mut moment = replay.moment().await.ok_or_else(unknown)?;
    if let Some(node) = &asked.node {
        moment.nodes.retain(|id, _| id == node);
    }
    Ok(Json(moment))
}
