//! One request of an attempt, to the end of its answer.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use nebula_action::{
    ActionContext, ActionError, Egress, ErrorClass, HttpLimits, HttpRequest, RequestBody, Sender,
};
use nebula_core::ByteSize;
use url::Url;

use crate::error;

/// The largest answer where `max_size` says nothing.
pub const DEFAULT_SIZE: ByteSize = ByteSize::mib(16);

/// The most that `max_size` may ask for.
pub const MAX_SIZE: ByteSize = ByteSize::mib(256);

/// The most that `max_redirects` may ask for.
pub const MAX_REDIRECTS: u32 = 20;

/// The slot of the credential that goes with each request.
const AUTH: &str = "auth";

/// How long before the attempt's own end a request is given up, so that the error says which one it was.
const MARGIN: Duration = Duration::from_millis(500);

/// What is sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: RequestBody,
    /// Whether the server may change something.
    pub(crate) writes: bool,
    /// 0 makes a redirect the answer.
    pub(crate) max_redirects: u32,
    pub(crate) max_size: ByteSize,
    /// Whether what came before it would have to be asked for again.
    pub(crate) follows: bool,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) url: Url,
    pub(crate) bytes: Vec<u8>,
}

/// Reads the parameter `url`.
pub(crate) fn url(text: &str) -> Result<Url, ActionError> {
    Egress::url(text)
        .map_err(|error| ActionError::invalid_input("HTTP_URL", "/url", error.to_string()))
}

/// Checks `max_size`.
pub(crate) fn size(given: Option<ByteSize>) -> Result<ByteSize, ActionError> {
    let size = given.unwrap_or(DEFAULT_SIZE);
    match size <= MAX_SIZE {
        true => Ok(size),
        false => {
            let message = format!("`max_size` is {size}; at most {MAX_SIZE} are read");
            Err(ActionError::invalid_input(
                "HTTP_MAX_SIZE",
                "/max_size",
                message,
            ))
        }
    }
}

/// Adds the idempotency key of the instance, unless the author gave one.
pub(crate) fn add_key(ctx: &ActionContext, headers: &mut HeaderMap) -> Result<(), ActionError> {
    const NAME: HeaderName = HeaderName::from_static("idempotency-key");
    if headers.contains_key(&NAME) || ctx.idempotency_key.is_empty() {
        return Ok(());
    }
    let value = HeaderValue::try_from(&ctx.idempotency_key).map_err(|_| {
        let message = "the idempotency key has a character that no header takes";
        ActionError::invalid_input("HTTP_IDEMPOTENCY_KEY", "/idempotency_key", message)
    })?;
    headers.insert(NAME, value);
    Ok(())
}

/// Sends a request through the attempt's way out, with its credential if it has one, and gives the whole answer.
pub(crate) async fn send(ctx: &ActionContext, out: Outgoing) -> Result<Incoming, ActionError> {
    let http = ctx.http(&out.url)?;
    let total = ctx.timeout.saturating_sub(MARGIN.min(ctx.timeout / 10));
    let (writes, follows) = (out.writes, out.follows);
    let request = HttpRequest {
        method: out.method,
        url: out.url,
        headers: out.headers,
        body: out.body,
        limits: HttpLimits {
            total,
            head: total,
            idle: total,
            max_body: out.max_size,
            redirects: (out.max_redirects > 0).then_some(out.max_redirects),
            turn: follows.then_some(total),
            ..HttpLimits::default()
        },
        sender: Sender::default(),
    };
    let answered = async {
        let answer = http.send(request, ctx.credentials.get(AUTH)).await?;
        let (status, headers, url) = (answer.status, answer.headers.clone(), answer.url.clone());
        let bytes = answer.bytes().await?;
        Ok(Incoming {
            status,
            headers,
            url,
            bytes,
        })
    };
    tokio::select! {
        biased;
        answered = answered => answered.map_err(|failed| {
            let error = error::of(&failed, writes);
            if follows { error::counted(error) } else { error }
        }),
        () = ctx.cancellation.cancelled() => {
            let class = if writes { ErrorClass::Unknown } else { ErrorClass::Cancelled };
            Err(ActionError::new("CANCELLED", "the request was called off", class))
        }
    }
}
