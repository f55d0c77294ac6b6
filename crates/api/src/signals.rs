//! What people and programs say to executions.

use std::sync::Arc;

use axum::{Json, extract::State};
use nebula_core::ExecutionId;
use nebula_engine::Waiting;
use nebula_execution::{InstanceId, NamedSignal, Signal, UnparkDecision};
use nebula_ports::Signalled;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    access::OfExecution,
    api::{Inner, Shared},
    extract::Body,
    problem::{Problem, ended, unknown_execution},
};

/// Something was said to an execution, durably; whoever drives it heeds it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Said {
    /// To which execution.
    execution: String,
    /// Its number in the inbox, from 1.
    seq: u64,
    /// Whether the same was said before; then this one has no effect.
    duplicate: bool,
}

/// What an answer makes of a signal.
pub(crate) fn said(id: ExecutionId, signalled: Signalled) -> Result<Json<Said>, Problem> {
    let (seq, duplicate) = match signalled {
        Signalled::Delivered { seq } => (seq, false),
        Signalled::Duplicate { seq } => (seq, true),
        Signalled::Terminal(status) => return Err(ended(id, status)),
        Signalled::Unknown => return Err(unknown_execution(id)),
    };
    Ok(Json(Said {
        execution: id.to_string(),
        seq,
        duplicate,
    }))
}

async fn say(
    shared: &Inner,
    it: &OfExecution,
    signal: &Signal,
    change: Value,
) -> Result<Json<Said>, Problem> {
    let (engine, id) = (shared.nebula.engine(), it.summary.id);
    it.by.record(shared, it.target(), change).await?;
    let signalled = engine.signal(it.by.tenant(), id, signal, None).await?;
    said(id, signalled)
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    /// What is written into the journal, at most 1,000 characters.
    #[serde(default)]
    #[schema(max_length = 1000)]
    reason: String,
}

/// The longest reason, in characters.
const MAX_REASON: usize = 1_000;

impl Reason {
    fn checked(self, usual: &str) -> Result<String, Problem> {
        if self.reason.chars().count() > MAX_REASON {
            let message = format!("reason: it has more than {MAX_REASON} characters");
            return Err(Problem::bad("BAD_BODY", message));
        }
        Ok(match self.reason.trim() {
            "" => usual.to_owned(),
            reason => reason.to_owned(),
        })
    }
}

/// Ends an execution early; what it did is undone where its workflow says how.
#[utoipa::path(
    post, path = "/api/v1/executions/{execution}/cancel", tag = "executions",
    params(("execution" = String, Path, format = "uuid")), request_body = Reason, responses((status = 200, body = Said))
)]
pub(crate) async fn cancel(
    State(shared): State<Shared>,
    it: OfExecution,
    Body(reason): Body<Reason>,
) -> Result<Json<Said>, Problem> {
    let reason = reason.checked("cancelled over the API")?;
    let change = json!({ "reason": reason });
    say(&shared, &it, &Signal::Cancel { reason }, change).await
}

/// Starts nothing new in an execution until it is unpaused; what runs comes to its end.
#[utoipa::path(
    post, path = "/api/v1/executions/{execution}/pause", tag = "executions",
    params(("execution" = String, Path, format = "uuid")), request_body = Reason, responses((status = 200, body = Said))
)]
pub(crate) async fn pause(
    State(shared): State<Shared>,
    it: OfExecution,
    Body(reason): Body<Reason>,
) -> Result<Json<Said>, Problem> {
    let reason = reason.checked("paused over the API")?;
    let change = json!({ "reason": reason });
    say(&shared, &it, &Signal::Pause { reason }, change).await
}

/// Goes on after a pause.
#[utoipa::path(
    post, path = "/api/v1/executions/{execution}/unpause", tag = "executions",
    params(("execution" = String, Path, format = "uuid")), responses((status = 200, body = Said))
)]
pub(crate) async fn unpause(
    State(shared): State<Shared>,
    it: OfExecution,
) -> Result<Json<Said>, Problem> {
    say(&shared, &it, &Signal::Unpause, Value::Null).await
}

/// A signal that a node may wait for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendSignal {
    /// Its name: letters, digits, `_`, `-` and `.`, the first a letter or `_`.
    name: String,
    /// Recognises a repetition of a signal of this name; drawn where nothing is said.
    #[serde(default)]
    id: Option<String>,
    /// What comes with it, at most 64 KiB.
    #[serde(default)]
    payload: Value,
    /// Whether it is kept until a node waits for it.
    #[serde(default = "yes")]
    #[schema(default = true)]
    keep: bool,
}

fn yes() -> bool {
    true
}

/// Sends a signal.
#[utoipa::path(
    post, path = "/api/v1/executions/{execution}/signals", tag = "executions",
    params(("execution" = String, Path, format = "uuid")), request_body = SendSignal, responses((status = 200, body = Said))
)]
pub(crate) async fn send(
    State(shared): State<Shared>,
    it: OfExecution,
    Body(wanted): Body<SendSignal>,
) -> Result<Json<Said>, Problem> {
    let own = || shared.entropy.uuid().to_string();
    let known = wanted.id.unwrap_or_else(own);
    let signal = NamedSignal::new(&wanted.name, &known, Arc::new(wanted.payload))
        .map_err(|error| Problem::bad("BAD_SIGNAL", error.to_string()))?;
    let signal = if wanted.keep {
        signal
    } else {
        signal.transient()
    };
    let change = json!({ "name": wanted.name, "id": known });
    it.by.record(&shared, it.target(), change).await?;
    let (engine, id) = (shared.nebula.engine(), it.summary.id);
    said(id, engine.send(it.by.tenant(), id, signal).await?)
}

/// What a person decides about an effect whose outcome is unknown, a compensation that failed, or poison.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decision {
    /// It happened.
    Succeeded,
    /// It did not happen.
    Failed,
    /// Do it again.
    Retry,
}

/// A decision about what is parked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unpark {
    /// What.
    decision: Decision,
    /// About which instance; needed where several are open.
    #[serde(default)]
    instance: Option<String>,
    /// The node's result, where it succeeded.
    #[serde(default)]
    output: Option<Value>,
}

/// Decides about what is parked, and lets it go on.
#[utoipa::path(
    post, path = "/api/v1/executions/{execution}/unpark", tag = "executions",
    params(("execution" = String, Path, format = "uuid")), request_body = Unpark, responses((status = 200, body = Said))
)]
pub(crate) async fn unpark(
    State(shared): State<Shared>,
    it: OfExecution,
    Body(wanted): Body<Unpark>,
) -> Result<Json<Said>, Problem> {
    let (id, tenant) = (it.summary.id, it.by.tenant());
    let decision = match (wanted.decision, wanted.output) {
        (Decision::Succeeded, output) => {
            UnparkDecision::Succeeded(Arc::new(output.unwrap_or_default()))
        }
        (_, Some(_)) => {
            let message = "output: a node has a result only if it succeeded";
            return Err(Problem::bad("BAD_BODY", message));
        }
        (Decision::Failed, None) => UnparkDecision::Failed,
        (Decision::Retry, None) => UnparkDecision::Retry,
    };
    let engine = shared.nebula.engine();
    let report = engine.report(tenant, id).await?;
    let report = report.ok_or_else(|| unknown_execution(id))?;
    if report.status.is_terminal() {
        return Err(ended(id, report.status));
    }
    let instance = about(id, wanted.instance.as_deref(), &report.waiting)?;
    let about = instance.as_ref().map(ToString::to_string);
    let change = json!({ "decision": wanted.decision, "instance": about });
    it.by.record(&shared, it.target(), change).await?;
    let signalled = engine.unpark(tenant, id, instance, decision).await?;
    said(id, signalled)
}

/// Which open decision is meant; `None` is the one about poison.
fn about(
    id: ExecutionId,
    named: Option<&str>,
    waiting: &[Waiting],
) -> Result<Option<InstanceId>, Problem> {
    let open: Vec<&str> = waiting
        .iter()
        .filter_map(|waiting| match waiting {
            Waiting::Decision { instance, .. } | Waiting::CompensationDecision { instance, .. } => {
                Some(instance.as_str())
            }
            _ => None,
        })
        .collect();
    let poison = waiting
        .iter()
        .any(|it| matches!(it, Waiting::Poison { .. }));
    let listed = format!("open are: {}", open.join(", "));
    let not_parked = || Problem::conflict("NOT_PARKED", format!("{id} waits for no such decision"));
    let named = match (named, open.as_slice()) {
        (Some(named), open) if open.contains(&named) => named,
        (Some(_), []) => return Err(not_parked()),
        (Some(_), _) => return Err(not_parked().hint(listed)),
        (None, [one]) => one,
        (None, []) if poison => return Ok(None),
        (None, []) => return Err(not_parked()),
        (None, _) => {
            let message = format!("{id} waits for several decisions");
            return Err(Problem::conflict("SEVERAL_OPEN", message).hint(listed));
        }
    };
    let instance = named.parse();
    instance
        .map(Some)
        .map_err(|_| Problem::bad("BAD_BODY", format!("instance: `{named}` is no instance")))
}
