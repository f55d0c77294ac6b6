//! Starting executions, also again.

use std::{mem, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use nebula_action::Grants;
use nebula_core::{ExecutionId, Labels, NodeId, Priority, TenantId, WorkflowId, parse_duration};
use nebula_engine::{Awaited, Installed, SameInput, Started};
use nebula_execution::{Again, End, StartOptions, Status};
use nebula_identity::Permission;
use nebula_ports::DedupeKey;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::{Caller, OfExecution},
    api::{Inner, Shared},
    credentials,
    extract::{Asked, Body},
    problem::{Problem, error_json, unknown_execution, unknown_version, unknown_workflow},
    room::Place,
    trace, workflows,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest idempotency key, in bytes.
const MAX_KEY: usize = 200;

/// What to start.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartExecution {
    /// Which workflow.
    #[schema(value_type = String)]
    workflow: WorkflowId,
    /// Which version; the published one where nothing is said. Another one needs the permission
    /// `workflows:publish`, since what its nodes ask for is granted to it.
    #[serde(default)]
    #[schema(minimum = 1)]
    version: Option<u32>,
    /// The input; it is checked against the workflow's schema.
    #[serde(default)]
    input: Value,
    /// How urgent it is, if not as its workflow says.
    #[serde(default)]
    #[schema(value_type = Option<PriorityName>)]
    priority: Option<Priority>,
    /// What it is to be found by: at most 16 keys with a value each. A key has 1 to 63 of `a-z`, `A-Z`,
    /// `0-9`, `_`, `-`, `.` and `/` and begins with a letter or a digit; a value has 1 to 200 characters,
    /// without commas and control characters.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    labels: Labels,
}

/// How urgent an execution is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "names for the document")]
pub(crate) enum PriorityName {
    Lowest,
    Low,
    Normal,
    High,
    Highest,
}

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    /// How long to wait for the end, as a span of time such as `30s`; at most `max_wait`. Without it
    /// the answer comes as soon as the execution is there.
    wait: Option<String>,
}

impl Wait {
    pub(crate) fn span(&self, shared: &Inner) -> Result<Option<Duration>, Problem> {
        let Some(text) = &self.wait else {
            return Ok(None);
        };
        let span = parse_duration(text)
            .map_err(|error| Problem::bad("BAD_QUERY", format!("wait: {error}")))?;
        Ok(Some(span.min(shared.config().max_wait)))
    }
}

/// Where an execution stands, and what it gave.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Execution)]
pub(crate) struct ExecutionBody {
    /// Its id.
    execution: String,
    /// Where it stands: `queued`, `running`, `waiting`, `paused`, `compensating`, `parked`,
    /// `completed`, `failed`, `cancelled` or `timed_out`.
    status: &'static str,
    /// What it gave, once it has completed.
    output: Value,
    /// Why it failed, if it did: `code`, `message`, `node`.
    #[schema(value_type = Option<Object>)]
    error: Value,
    /// How many of its workflow wait before it, if it has to wait for its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_behind: Option<u32>,
    /// When the rate of its workflow lets it begin, if not at once (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    begins_at: Option<String>,
}

impl ExecutionBody {
    fn at(id: ExecutionId, status: Status) -> Self {
        Self {
            execution: id.to_string(),
            status: status.as_str(),
            output: Value::Null,
            error: Value::Null,
            waits_behind: None,
            begins_at: None,
        }
    }

    /// What waiting came to.
    pub(crate) fn of(id: ExecutionId, awaited: Awaited) -> Result<Self, Problem> {
        match awaited {
            Awaited::End(end) => Ok(Self::ended(id, *end)),
            Awaited::Late(status) => Ok(Self::at(id, status)),
            Awaited::Gone => Err(unknown_execution(id)),
        }
    }

    fn ended(id: ExecutionId, end: End) -> Self {
        Self {
            // Mostly nobody else holds it any more.
            output: end.output.map(Arc::unwrap_or_clone).unwrap_or_default(),
            error: end.failure.as_ref().map(error_json).unwrap_or_default(),
            ..Self::at(id, end.status)
        }
    }
}

/// The answer about an execution that was started or found.
struct Answer {
    body: ExecutionBody,
    ended: bool,
    /// Whether a start with the same key came before.
    replayed: bool,
}

impl Answer {
    /// 200 with its end; 201 if nobody waits; 202 if it was waited for in vain.
    fn into_response(self, waited: bool) -> Response {
        let status = match (self.ended, waited, self.replayed) {
            (true, ..) | (false, false, true) => StatusCode::OK,
            (false, false, false) => StatusCode::CREATED,
            (false, true, _) => StatusCode::ACCEPTED,
        };
        let path = format!("/api/v1/executions/{}", self.body.execution);
        let mut response = (status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if let Ok(path) = HeaderValue::from_str(&path) {
            headers.insert(header::LOCATION, path);
        }
        if self.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// Starts an execution. With `wait`, the answer has its end, if that comes in time.
///
/// With an `Idempotency-Key` a repetition of the same start is answered with the first one, for seven
/// days.
#[utoipa::path(
    post, path = "/api/v1/executions", tag = "executions",
    params(
        Wait,
        ("Idempotency-Key" = Option<String>, Header, description = "Recognises a repetition: 1 to 200 visible characters.")
    ),
    request_body = StartExecution,
    responses(
        (status = 201, body = ExecutionBody, description = "It was started."),
        (status = 200, body = ExecutionBody, description = "It has ended, or was started before with the same key."),
        (status = 202, body = ExecutionBody, description = "It was started and has not ended in time; `Location` leads to it.")
    )
)]
pub(crate) async fn start(
    State(shared): State<Shared>,
    by: Caller,
    Asked(wait): Asked<Wait>,
    headers: HeaderMap,
    Body(mut wanted): Body<StartExecution>,
) -> Result<Response, Problem> {
    let wait = wait.span(&shared)?;
    let dedupe = idempotency_key(&headers)?;
    let room = room(&shared)?;
    let permission = Permission::ExecutionsStart;
    let found = by.workflow(&shared, &wanted.workflow, permission).await?;
    let (version, published) = workflows::started(&found, wanted.version)?;
    let target = format!("workflow:{}", found.id);
    if !published {
        let needs = Permission::WorkflowsPublish;
        let seen = (Permission::WorkflowsRead, || unknown_workflow(&found.id));
        by.may(&shared, needs, found.project.as_ref(), &target, seen)
            .await
            .map_err(|problem| {
                problem.hint(
                    "start the published version, or ask for the permission workflows:publish",
                )
            })?;
        let engine = shared.nebula.engine();
        let stored = engine.stored(by.tenant(), &found.id, Some(version)).await?;
        let stored = stored.ok_or_else(|| unknown_version(&found.id, version))?;
        let asked = workflows::asked(&stored.definition);
        credentials::may_grant(&shared, &by, &asked).await?;
    }
    let installed = shared
        .installed(by.tenant(), &wanted.workflow, version)
        .await?;
    let input = mem::take(&mut wanted.input);
    let input = shared.nebula.engine().input(&installed.plan, input)?;
    let options = StartOptions {
        trace: trace::told(&headers),
        ..options(&shared, &installed, &input, &wanted)?
    };
    let key = dedupe.as_ref().map(|DedupeKey(key)| key);
    let change = json!({ "version": version, "published": published, "idempotency_key": key });
    by.record(&shared, target, change).await?;
    let answer = match (wait, dedupe) {
        (Some(wait), None) => {
            execute(&shared, by.tenant(), &installed, input, options, wait).await?
        }
        (wait, dedupe) => {
            let admitted = shared
                .nebula
                .admit_once(by.tenant(), &installed, input, options, dedupe)
                .await?;
            see(&shared, by.tenant(), admitted, wait).await?
        }
    };
    drop(room);
    Ok(answer.into_response(wait.is_some()))
}

/// Room for one more start.
pub(crate) fn room(shared: &Inner) -> Result<Place, Problem> {
    let most = shared.config().max_starts;
    shared.starts.take(most).ok_or_else(|| {
        let message = format!("{most} starts are under way, and max_starts allows no more");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_STARTS", message)
            .hint("nothing was started; try again later")
            .try_after(Duration::from_secs(1))
    })
}

/// Grants what its nodes ask for: whoever published the version did.
fn options(
    shared: &Inner,
    installed: &Installed,
    input: &Value,
    wanted: &StartExecution,
) -> Result<StartOptions, Problem> {
    let engine = shared.nebula.engine();
    let requests = engine
        .requests(&installed.plan, input, &shared.folder)
        .map_err(|error| {
            Problem::bad("CAPABILITY_UNKNOWN", error.to_string())
                .hint("look at `requires` of that node and at the input")
        })?;
    Ok(StartOptions {
        grants: Grants::new(requests.into_iter().map(|request| request.capability)),
        folder: Some(shared.folder.clone()),
        vars: shared.vars.clone(),
        priority: wanted.priority,
        labels: wanted.labels.clone(),
        ..StartOptions::default()
    })
}

/// Starts and waits in one: what ends soon is written once.
async fn execute(
    shared: &Inner,
    tenant: &TenantId,
    installed: &Installed,
    input: Value,
    options: StartOptions,
    wait: Duration,
) -> Result<Answer, Problem> {
    let nebula = &shared.nebula;
    let executed = nebula.execute_within(tenant, installed, input, options, Some(wait));
    let (id, awaited) = executed.await?;
    answer(id, awaited, false)
}

fn answer(id: ExecutionId, awaited: Awaited, replayed: bool) -> Result<Answer, Problem> {
    let ended = matches!(awaited, Awaited::End(_));
    let body = ExecutionBody::of(id, awaited)?;
    Ok(Answer {
        body,
        ended,
        replayed,
    })
}

/// What became of a start, after at most `wait`.
async fn see(
    shared: &Inner,
    tenant: &TenantId,
    started: Started,
    wait: Option<Duration>,
) -> Result<Answer, Problem> {
    let replayed = match started.existed {
        Some(SameInput(false)) => {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "IDEMPOTENCY_KEY_REUSED",
                format!(
                    "this Idempotency-Key began {}, with another workflow or input",
                    started.id
                ),
            )
            .hint("a new start needs a key of its own"));
        }
        Some(SameInput(true)) => true,
        None => false,
    };
    let (engine, id) = (shared.nebula.engine(), started.id);
    let wait = wait.or(replayed.then_some(Duration::ZERO));
    let mut seen = match wait {
        None => Answer {
            body: ExecutionBody::at(id, Status::Queued),
            ended: false,
            replayed,
        },
        Some(wait) => {
            // The second listens while the store is asked whether it has ended already.
            let bus = shared.nebula.bus();
            let (halts, later) = (bus.wait_for(id), bus.wait_for(id));
            let mut awaited = engine.end(tenant, id, halts, Some(Duration::ZERO)).await?;
            if matches!(awaited, Awaited::Late(_)) && !wait.is_zero() {
                awaited = engine.end(tenant, id, later, Some(wait)).await?;
            }
            answer(id, awaited, replayed)?
        }
    };
    if !seen.ended {
        seen.body.waits_behind = started.waits_behind;
        seen.body.begins_at = started.begins_at.map(|at| at.to_string());
    }
    Ok(seen)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<DedupeKey>, Problem> {
    let mut all = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = all.next() else {
        return Ok(None);
    };
    let text = key.to_str().ok().filter(|key| {
        (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    });
    match text {
        Some(text) if all.next().is_none() => Ok(Some(DedupeKey(format!("api:{text}")))),
        _ => {
            let message =
                format!("an Idempotency-Key has 1 to {MAX_KEY} visible ASCII characters, once");
            Err(Problem::bad("BAD_IDEMPOTENCY_KEY", message))
        }
    }
}

/// Starts a new execution from what failed, keeping what succeeded.
#[utoipa::path(
    post, path = "/api/v1/executions/{execution}/retry", tag = "executions",
    params(("execution" = String, Path, format = "uuid")),
    responses((status = 201, body = ExecutionBody, description = "The new execution."))
)]
pub(crate) async fn retry(
    State(shared): State<Shared>,
    it: OfExecution,
) -> Result<Response, Problem> {
    again(&shared, &it, Again::Retry, Value::Null).await
}

/// Where to begin again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestartExecution {
    /// From which node on; from the beginning where nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    from: Option<NodeId>,
}

/// Starts a new execution that does the work anew, with new idempotency keys.
#[utoipa::path(
    post, path = "/api/v1/executions/{execution}/restart", tag = "executions",
    params(("execution" = String, Path, format = "uuid")), request_body = RestartExecution,
    responses((status = 201, body = ExecutionBody, description = "The new execution."))
)]
pub(crate) async fn restart(
    State(shared): State<Shared>,
    it: OfExecution,
    Body(wanted): Body<RestartExecution>,
) -> Result<Response, Problem> {
    let change = json!({ "from": wanted.from });
    again(&shared, &it, Again::Restart { from: wanted.from }, change).await
}

async fn again(
    shared: &Inner,
    it: &OfExecution,
    how: Again,
    change: Value,
) -> Result<Response, Problem> {
    let _room = room(shared)?;
    it.by.record(shared, it.target(), change).await?;
    let (nebula, tenant) = (&shared.nebula, it.by.tenant());
    let started = nebula.admit_again(tenant, it.summary.id, how).await?;
    let seen = see(shared, tenant, started, None).await?;
    Ok(seen.into_response(false))
}
