//! Deliveries to webhooks: who may call, what was sent, and what they are answered with.

use std::{net::IpAddr, time::Duration};

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use nebula_core::{SecretString, TenantId, Timestamp};
use nebula_engine::{Awaited, DeliverError, Delivered, Delivery, Hook, Started};
use nebula_execution::{End, Status};
use nebula_ports::{HookId, TriggerRecord};
use nebula_trigger::{Auth, BodyError, BodyKind, Headers, Proof, Respond, Webhook, query_of};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tracing::info;
use utoipa::ToSchema;

use crate::{
    access::is_disabled,
    api::{Inner, Shared},
    extract::{media_type, whole_within},
    multipart,
    problem::Problem,
    responses::{self, Next, Responses},
    room::Place,
    server::Remote,
    start::{REPLAYED, room},
    trace,
    triggers::{config, started_nothing},
};

/// What stands in `$trigger` for a header that opens something.
const REDACTED: &str = "[redacted]";

/// How long a browser may keep what it was told of an origin.
const PREFLIGHT_SECONDS: &str = "600";

/// What a delivery is answered with, where nothing else is said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// The execution; null if `filter` of the trigger has left the delivery out.
    execution: Option<String>,
}

/// Delivers to the webhook with this address; what it takes and how it answers, its trigger says. Below
/// the address stands the `path` of the trigger, if it has one.
#[utoipa::path(
    method(get, post, put, patch, delete, options), path = "/hooks/{hook}", tag = "triggers",
    params(("hook" = String, Path)),
    responses(
        (status = 202, body = Accepted, description = "An execution was started."),
        (status = 200, body = Accepted, description = "The same had been delivered before; or the output, where the trigger waits for it.")
    )
)]
pub(crate) async fn call(State(shared): State<Shared>, request: Request) -> Response {
    let asked = request.headers().get(header::ORIGIN).cloned();
    let preflight = request.method() == Method::OPTIONS;
    let mut asks_for_a_password = false;
    let (mut response, allowed) = match find(&shared, request.uri()).await {
        Ok(found) => {
            let allowed = origin(found.webhook(), asked.as_ref());
            asks_for_a_password = matches!(found.webhook().auth, Auth::Basic { .. });
            let answer = found.answer(&shared, request, allowed.as_ref()).await;
            (answer.unwrap_or_else(Problem::into_response), allowed)
        }
        Err(problem) => (problem.into_response(), None),
    };
    if !preflight {
        shared.nebula.bus().metrics().webhook(outcome(&response));
    }
    if response.status() == StatusCode::UNAUTHORIZED && asks_for_a_password {
        // RFC 7617: so a browser asks for it.
        const BASIC: HeaderValue =
            HeaderValue::from_static("Basic realm=\"nebula\", charset=\"UTF-8\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, BASIC);
    }
    if let Some(origin) = allowed {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    response
}

/// What became of a delivery, as its metric has it.
fn outcome(response: &Response) -> &'static str {
    if response.extensions().get::<Left>().is_some() {
        return "filtered";
    }
    if response.headers().contains_key(REPLAYED) {
        return "replayed";
    }
    match response.status().as_u16() {
        200..=299 => "started",
        401 | 403 => "refused",
        404 => "unknown",
        429 | 503 => "busy",
        400..=499 => "invalid",
        _ => "failed",
    }
}

/// Marks the answer to a delivery that `filter` left out.
#[derive(Debug, Clone, Copy)]
struct Left;

/// What the browser of an allowed page is told.
fn origin(hook: &Webhook, asked: Option<&HeaderValue>) -> Option<HeaderValue> {
    let asked = asked?.to_str().ok()?;
    hook.allows_origin(asked)?.parse().ok()
}

fn unknown() -> Problem {
    let message = "there is no webhook at this address";
    Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_HOOK", message)
        .hint("whoever runs the workflow knows the address: `nebula triggers list` shows it")
}

/// A webhook that was called.
pub(crate) struct Found {
    pub(crate) tenant: TenantId,
    pub(crate) record: TriggerRecord,
    pub(crate) hook: Hook,
    /// What stands below its address, decoded.
    segments: Vec<String>,
}

async fn find(shared: &Inner, uri: &Uri) -> Result<Found, Problem> {
    let path = uri.path().strip_prefix("/hooks/").ok_or_else(unknown)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    // Split first: a slash that is encoded is a part of its segment.
    let decoded = path
        .split('/')
        .map(|it| percent_decode_str(it).decode_utf8());
    let decoded: Result<Vec<_>, _> = decoded.collect();
    let mut segments: Vec<String> = decoded
        .map_err(|_| unknown())?
        .into_iter()
        .map(std::borrow::Cow::into_owned)
        .collect();
    let id = segments.remove(0);
    // What cannot be an address costs no look into the store.
    if id.len() != 64 || !id.bytes().all(|it| it.is_ascii_hexdigit()) {
        return Err(unknown());
    }
    let engine = shared.nebula.engine();
    let found = engine.hooked(&HookId(id)).await?;
    let (tenant, record) = found.ok_or_else(unknown)?;
    // Whoever calls it need not know whose it is.
    if is_disabled(shared, &tenant).await? {
        return Err(unknown());
    }
    let hook = shared.hook(&tenant, &record).await?;
    let hook = hook.as_ref().clone().ok_or_else(unknown)?;
    Ok(Found {
        tenant,
        record,
        hook,
        segments,
    })
}

impl Found {
    fn webhook(&self) -> &Webhook {
        self.hook.webhook()
    }

    async fn answer(
        &self,
        shared: &Shared,
        request: Request,
        allowed: Option<&HeaderValue>,
    ) -> Result<Response, Problem> {
        let hook = self.webhook();
        let params = hook.path.params(&self.segments).ok_or_else(unknown)?;
        let remote = request.extensions().get::<Remote>().map(|it| it.0);
        self.admit(remote, request.headers(), allowed)?;
        if request.method() == Method::OPTIONS {
            return Ok(preflight(hook, request.headers()));
        }
        if !hook.methods.contains(&request.method().as_str()) {
            return Err(not_taken(hook, request.method()));
        }
        if self.record.state.paused {
            let message = "this webhook is paused, and starts nothing";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(Problem::new(status, "HOOK_PAUSED", message)
                .hint("nothing was started; deliver it again later")
                .try_after(Duration::from_secs(60)));
        }
        let room = room(shared)?;
        let headers = headers(request.headers());
        let secret = self.secret(shared).await?;
        let secret = secret.as_ref();
        let now = shared.clock.now();
        // Who is not let in has no body read, where that proves nothing.
        let mut proof = match &hook.auth {
            auth if auth.reads_body() => Proof::default(),
            auth => self.let_in(auth.check(&headers, &[], secret, now))?,
        };
        if self.hook.form().is_some() {
            return self.form(shared, request, (params, remote, &proof)).await;
        }
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts.clone(), body);
        let (value, blobs) = match hook.body {
            BodyKind::Multipart => multipart::read(shared, &self.tenant, hook, request).await?,
            _ => {
                let body = whole_within(request, shared, hook.max_body).await?;
                if hook.auth.reads_body() {
                    // The body may have taken its time.
                    let now = shared.clock.now();
                    proof = self.let_in(hook.auth.check(&headers, &body, secret, now))?;
                }
                (self.body(&parts, &body)?, Vec::new())
            }
        };
        self.fits(&value)?;
        let told = self.told(&parts, (params, value), (remote, &proof), now);
        let delivery = Delivery {
            told,
            proof,
            at: now,
            trace: trace::told(&parts.headers),
            once: None,
            blobs,
        };
        let (whose, config) = ((&self.tenant, &self.record), config(shared));
        let engine = shared.nebula.engine();
        let delivered = engine.deliver(whose, &self.hook, delivery, &config);
        match delivered.await.map_err(not_delivered)? {
            Delivered::FilteredOut => {
                let mut response = Json(Accepted { execution: None }).into_response();
                response.extensions_mut().insert(Left);
                Ok(response)
            }
            Delivered::Started(started) => self.started(shared, &started, room).await,
        }
    }

    /// From where it may be called.
    fn admit(
        &self,
        remote: Option<IpAddr>,
        headers: &HeaderMap,
        allowed: Option<&HeaderValue>,
    ) -> Result<(), Problem> {
        let hook = self.webhook();
        if !remote.is_some_and(|from| hook.lets_in(from)) && !hook.ips.is_empty() {
            let message = "this webhook takes nothing from this address";
            return Err(Problem::new(StatusCode::FORBIDDEN, "HOOK_ADDRESS", message)
                .hint("`ips` of the trigger lists from where it may be called"));
        }
        // A page that is not allowed would be answered nothing, and yet start something.
        if headers.contains_key(header::ORIGIN) && allowed.is_none() && !hook.cors.is_empty() {
            let message = "this webhook takes nothing from pages of this origin";
            return Err(Problem::new(StatusCode::FORBIDDEN, "HOOK_ORIGIN", message)
                .hint("`cors` of the trigger lists the origins that may call it"));
        }
        Ok(())
    }

    /// What proves who calls.
    async fn secret(&self, shared: &Inner) -> Result<Option<SecretString>, Problem> {
        let Some(id) = self.webhook().auth.secret() else {
            return Ok(None);
        };
        let found = shared.secrets.get(&self.tenant, id).await?;
        if found.is_none() {
            let (workflow, trigger) = (&self.record.workflow, &self.record.trigger);
            info!(%workflow, %trigger, secret = %id, "a delivery is refused: the secret is not there");
        }
        Ok(found)
    }

    fn let_in(&self, checked: Result<Proof, nebula_trigger::Refused>) -> Result<Proof, Problem> {
        checked.map_err(|refused| {
            let (workflow, trigger) = (&self.record.workflow, &self.record.trigger);
            info!(%workflow, %trigger, %refused, "a delivery is refused");
            let status = StatusCode::UNAUTHORIZED;
            Problem::new(status, "HOOK_REFUSED", format!("the delivery proves nothing: {refused}"))
                .hint("nothing was started; look at `auth` of the trigger and at the secret that it names")
        })
    }

    fn body(&self, parts: &Parts, body: &Bytes) -> Result<Value, Problem> {
        let media = media_type(&parts.headers);
        let value = self
            .webhook()
            .body(parts.method.as_str(), media.as_deref(), body);
        value.map_err(|error| {
            let message = error.to_string();
            match error {
                BodyError::Type { .. } => {
                    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                    Problem::new(status, "UNSUPPORTED_MEDIA_TYPE", message)
                }
                _ => Problem::bad("BAD_BODY", message),
            }
        })
    }

    fn fits(&self, value: &Value) -> Result<(), Problem> {
        let misfits = self.hook.misfits(value);
        match misfits.is_empty() {
            true => Ok(()),
            false => Err(Problem::misfits(
                "BODY_INVALID",
                "the body does not fit the webhook's schema",
                misfits,
            )),
        }
    }

    /// `$trigger`.
    pub(crate) fn told(
        &self,
        parts: &Parts,
        (params, body): (Map<String, Value>, Value),
        (remote, proof): (Option<IpAddr>, &Proof),
        received_at: Timestamp,
    ) -> Map<String, Value> {
        let mut headers = Map::new();
        for name in parts.headers.keys() {
            let value = match self.webhook().auth.hides(name.as_str()) {
                true => REDACTED.to_owned(),
                false => {
                    let all = parts.headers.get_all(name).iter();
                    let all = all.map(|it| String::from_utf8_lossy(it.as_bytes()));
                    all.collect::<Vec<_>>().join(", ")
                }
            };
            headers.insert(name.as_str().to_owned(), value.into());
        }
        let told = json!({
            "id": self.record.trigger,
            "type": self.record.kind,
            "received_at": received_at.to_string(),
            "method": parts.method.as_str(),
            "params": params,
            "query": query_of(parts.uri.query().unwrap_or_default()),
            "headers": headers,
            "from": remote.map(|it| it.to_string()),
            "claims": proof.claims,
            "body": body,
        });
        match told {
            Value::Object(told) => told,
            _ => Map::new(),
        }
    }

    async fn started(
        &self,
        shared: &Shared,
        started: &Started,
        room: Place,
    ) -> Result<Response, Problem> {
        let hook = self.webhook();
        let replayed = started.existed.is_some();
        let accepted = Json(Accepted {
            execution: Some(started.id.to_string()),
        });
        let mut response = match hook.respond {
            Respond::Now => {
                let status = StatusCode::from_u16(hook.status).unwrap_or(StatusCode::ACCEPTED);
                let status = if replayed { StatusCode::OK } else { status };
                (status, accepted).into_response()
            }
            Respond::LastNode => match self.ended(shared, started).await? {
                Some(end) => output(end)?,
                None => (StatusCode::ACCEPTED, accepted).into_response(),
            },
            Respond::RespondNode | Respond::Stream => {
                let wait = hook.wait.min(shared.config().max_wait);
                let mut all = Responses::of(shared, &self.tenant, started.id, wait);
                match all.next().await? {
                    Next::Response(first) => {
                        let streams = hook.respond == Respond::Stream;
                        responses::answer(&first, streams.then_some((all, room)))
                    }
                    Next::Late => (StatusCode::ACCEPTED, accepted).into_response(),
                    Next::Ended(status) => return Err(unanswered(status)),
                }
            }
        };
        if replayed {
            let headers = response.headers_mut();
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }

    /// The execution's end, if it comes in time.
    async fn ended(&self, shared: &Inner, started: &Started) -> Result<Option<End>, Problem> {
        let (engine, bus) = (shared.nebula.engine(), shared.nebula.bus());
        let wait = self.webhook().wait.min(shared.config().max_wait);
        // The second listens while the store is asked whether it has ended already.
        let (halts, later) = (bus.wait_for(started.id), bus.wait_for(started.id));
        let none = Some(Duration::ZERO);
        let mut awaited = engine.end(&self.tenant, started.id, halts, none).await?;
        if matches!(awaited, Awaited::Late(_)) {
            awaited = engine
                .end(&self.tenant, started.id, later, Some(wait))
                .await?;
        }
        Ok(match awaited {
            Awaited::End(end) => Some(*end),
            Awaited::Late(_) | Awaited::Gone => None,
        })
    }
}

/// It has ended, and said nothing.
fn unanswered(status: Status) -> Problem {
    let message = format!("the execution ended without an answer: {status}");
    let server = StatusCode::INTERNAL_SERVER_ERROR;
    Problem::new(server, "NO_RESPONSE", message)
}

/// What an execution gave. Why one failed is nobody's business out there.
fn output(end: End) -> Result<Response, Problem> {
    match end.status {
        Status::Completed => {
            let output = end.output.map(std::sync::Arc::unwrap_or_clone);
            Ok(Json(output.unwrap_or_default()).into_response())
        }
        status => {
            let message = format!("the execution ended without an output: {status}");
            let server = StatusCode::INTERNAL_SERVER_ERROR;
            Err(Problem::new(server, "EXECUTION_FAILED", message))
        }
    }
}

fn headers(all: &HeaderMap) -> Headers {
    let all = all.iter();
    Headers(
        all.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
    )
}

fn methods(hook: &Webhook) -> HeaderValue {
    let text = hook.methods.join(", ");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("POST"))
}

fn not_taken(hook: &Webhook, method: &Method) -> Problem {
    let message = format!("this webhook takes no {method}");
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        message,
    )
    .hint(format!("it takes {}", hook.methods.join(", ")))
}

/// What a browser asks before it sends what a page wants to send.
fn preflight(hook: &Webhook, asked: &HeaderMap) -> Response {
    const MAX_AGE: HeaderName = header::ACCESS_CONTROL_MAX_AGE;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, methods(hook));
    if !hook.cors.is_empty() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods(hook));
        headers.insert(MAX_AGE, HeaderValue::from_static(PREFLIGHT_SECONDS));
        // The headers say nothing that `auth` does not check.
        if let Some(wanted) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
    }
    response
}

pub(crate) fn not_delivered(error: DeliverError) -> Problem {
    let message = error.to_string();
    match error {
        DeliverError::Fire(error) => started_nothing(error),
        _ => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "TRIGGER_INPUT", message)
            .hint("nothing was started: this delivery has not what the trigger looks at"),
    }
}
