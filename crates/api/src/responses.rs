//! What executions answer whoever called them: the events of `flow.respond`, as the journal has them.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{End, Fact, Status, control::RESPONSE_EVENT};
use nebula_ports::Received;
use nebula_telemetry::Watcher;
use serde_json::Value;

use crate::{api::Shared, problem::Problem, room::Place};

/// How many entries of a journal are read at a time.
const PAGE: usize = 200;

/// How often the journal is looked at beside listening: another process may drive the execution.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What a workflow answers with has no rights of the server's origin.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox");

/// The headers of an answer that are not taken from a workflow, whatever it says.
const OURS: [HeaderName; 6] = [
    header::SET_COOKIE,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_SECURITY_POLICY,
];

/// What one execution answers, in order.
pub(crate) struct Responses {
    shared: Shared,
    tenant: TenantId,
    id: ExecutionId,
    watcher: Watcher,
    /// The last entry that was read.
    seen: u64,
    found: VecDeque<Arc<Value>>,
    /// How the execution has ended.
    ended: Option<Status>,
    /// Until when it is waited for, by the monotonic clock.
    until: Duration,
}

/// The next thing that an execution answers.
pub(crate) enum Next {
    /// `{ status, headers, body }`.
    Response(Arc<Value>),
    /// It has ended, and answers nothing more.
    Ended(Status),
    /// The time is over, or the server stops.
    Late,
}

impl Responses {
    /// What it answers from its beginning on, for at most `wait`.
    pub(crate) fn of(shared: &Shared, tenant: &TenantId, id: ExecutionId, wait: Duration) -> Self {
        Self {
            // It listens before it reads, so that nothing falls between.
            watcher: shared.nebula.bus().subscribe(),
            shared: shared.clone(),
            tenant: tenant.clone(),
            id,
            seen: 0,
            found: VecDeque::new(),
            ended: None,
            until: shared.clock.monotonic() + wait,
        }
    }

    /// The next one.
    ///
    /// # Cancel safety
    /// A dropped call has taken nothing.
    pub(crate) async fn next(&mut self) -> Result<Next, Problem> {
        loop {
            if self.found.is_empty() {
                self.read().await?;
            }
            if let Some(response) = self.found.pop_front() {
                return Ok(Next::Response(response));
            }
            if let Some(status) = self.ended {
                return Ok(Next::Ended(status));
            }
            let left = self.until.saturating_sub(self.shared.clock.monotonic());
            if left.is_zero() || self.shared.stopping.is_cancelled() {
                return Ok(Next::Late);
            }
            tokio::select! {
                biased;
                () = self.shared.stopping.cancelled() => {}
                () = heard(&mut self.watcher, self.id) => {}
                () = self.shared.clock.sleep(left.min(LOOK_AGAIN)) => {}
            }
        }
    }

    /// Goes on in the journal, to the next page with something in it, or to its end.
    async fn read(&mut self) -> Result<(), Problem> {
        let engine = self.shared.nebula.engine();
        while self.found.is_empty() && self.ended.is_none() {
            let page = engine.journal(&self.tenant, self.id, self.seen + 1, PAGE);
            let page = page.await?;
            for stored in &page.entries {
                self.seen = stored.seq;
                match &stored.entry.fact {
                    Fact::EventEmitted { name, payload, .. } if name == RESPONSE_EVENT => {
                        self.found.push_back(payload.clone());
                    }
                    fact => self.ended = End::of(fact).map(|end| end.status),
                }
            }
            if page.next.is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// Waits until something was told of the execution, or may have been.
async fn heard(watcher: &mut Watcher, id: ExecutionId) {
    loop {
        match watcher.next().await {
            Some(Received::Event(event)) if event.execution != id => {}
            Some(_) => return,
            None => return std::future::pending().await,
        }
    }
}

/// The first response of an execution as an answer; `rest` gives what follows it, if it streams. A stream
/// whose execution does not complete in time breaks off, so that nobody takes it for whole.
pub(crate) fn answer(response: &Value, rest: Option<(Responses, Place)>) -> Response {
    let status = response["status"].as_u64();
    let status = status.and_then(|it| u16::try_from(it).ok());
    let status = status.filter(|it| (200..600).contains(it));
    let status = status.and_then(|it| StatusCode::from_u16(it).ok());
    let streams = rest.is_some();
    let first = piece(response, streams);
    let body = match rest {
        None => Body::from(first),
        Some(rest) => {
            let rest = stream::unfold((Some(first), Some(rest)), async |(first, rest)| {
                if let Some(first) = first {
                    return Some((Ok(first), (None, rest)));
                }
                let (mut all, room) = rest?;
                match all.next().await {
                    Ok(Next::Response(response)) => {
                        let next = piece(&response, true);
                        Some((Ok(next), (None, Some((all, room)))))
                    }
                    Ok(Next::Ended(Status::Completed)) => None,
                    Ok(Next::Ended(_) | Next::Late) | Err(_) => {
                        let why = io::Error::other("the execution did not complete in time");
                        Some((Err(why), (None, None)))
                    }
                }
            });
            Body::from_stream(rest)
        }
    };
    let mut answer = (status.unwrap_or(StatusCode::OK), body).into_response();
    let headers = answer.headers_mut();
    let usual = match &response["body"] {
        Value::Null => None,
        Value::String(_) => Some("text/plain; charset=utf-8"),
        _ if streams => Some("application/x-ndjson"),
        _ => Some("application/json"),
    };
    headers.remove(header::CONTENT_TYPE);
    if let Some(usual) = usual {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(usual));
    }
    set(headers, &response["headers"]);
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    if streams {
        // What is packed would wait for more.
        let plain = HeaderValue::from_static("identity");
        headers.insert(header::CONTENT_ENCODING, plain);
    }
    answer
}

/// What a response has for a body; of several, what is no text is a line each.
fn piece(response: &Value, streams: bool) -> Bytes {
    match &response["body"] {
        Value::Null => Bytes::new(),
        Value::String(text) => text.clone().into(),
        other if streams => format!("{other}\n").into(),
        other => other.to_string().into(),
    }
}

fn set(headers: &mut HeaderMap, wanted: &Value) {
    for (name, value) in wanted.as_object().into_iter().flatten() {
        let name: Option<HeaderName> = name.parse().ok().filter(|name| !OURS.contains(name));
        let value = value.as_str().and_then(|it| HeaderValue::from_str(it).ok());
        if let Some((name, value)) = name.zip(value) {
            headers.insert(name, value);
        }
    }
}
