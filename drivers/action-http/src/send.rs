//! One request of an attempt, to the end of its answer.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use nebula_action::{
    ActionContext, ActionError, Egress, ErrorClass, HttpError, HttpErrorKind, HttpLimits,
    HttpRequest, HttpResponse, RequestBody, Sender, origin_of,
};
use nebula_core::{BlobId, ByteSize};
use url::Url;

use crate::{
    blobs::{MAX_BLOB, Received},
    error,
    request::Expect,
};

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
    /// Whether its body goes into a blob.
    pub(crate) put: Put,
}

/// Which bodies of answers go into blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Put {
    /// None: what is larger than the limit is an error.
    Never,
    /// What is larger than the limit, and has a status that was expected.
    Large(Expect),
    /// All that have a status that was expected.
    All(Expect),
}

impl Put {
    /// Whether the body of such an answer may go into a blob.
    fn may(&self, status: StatusCode) -> bool {
        match self {
            Self::Never => false,
            Self::Large(expect) | Self::All(expect) => expect.holds(status),
        }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a blob.
    Blob(BlobId),
}

impl Content {
    /// What is in memory.
    pub(crate) fn bytes(self) -> Result<Vec<u8>, ActionError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Blob(_) => Err(ActionError::fatal("HTTP_BODY", "the answer lies in a blob")),
        }
    }
}

/// Why there is no answer.
enum Failed {
    Http(HttpError),
    Blob(ActionError),
}

impl From<HttpError> for Failed {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

impl From<ActionError> for Failed {
    fn from(error: ActionError) -> Self {
        Self::Blob(error)
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) url: Url,
    pub(crate) content: Content,
}

/// Reads the parameter `url`.
pub(crate) fn url(text: &str) -> Result<Url, ActionError> {
    Egress::url(text)
        .map_err(|error| ActionError::invalid_input("HTTP_URL", "/url", error.to_string()))
}

/// Checks `max_size`.
pub(crate) fn size(
    given: Option<ByteSize>,
    (usual, most): (ByteSize, ByteSize),
) -> Result<ByteSize, ActionError> {
    let size = given.unwrap_or(usual);
    match size <= most {
        true => Ok(size),
        false => {
            let message = format!("`max_size` is {size}; at most {most} are read");
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
            max_body: match out.put {
                Put::Never => out.max_size,
                _ => MAX_BLOB,
            },
            redirects: (out.max_redirects > 0).then_some(out.max_redirects),
            turn: follows.then_some(total),
            ..HttpLimits::default()
        },
        sender: Sender::default(),
    };
    let answered = async {
        let answer = http.send(request, ctx.credentials.get(AUTH)).await?;
        let (status, headers, url) = (answer.status, answer.headers.clone(), answer.url.clone());
        let content = receive(ctx, answer, (&out.put, out.max_size), writes).await?;
        Ok(Incoming {
            status,
            headers,
            url,
            content,
        })
    };
    tokio::select! {
        biased;
        answered = answered => answered.map_err(|failed| {
            let error = match failed {
                Failed::Http(failed) => error::of(&failed, writes),
                Failed::Blob(error) => error,
            };
            if follows { error::counted(error) } else { error }
        }),
        () = ctx.cancellation.cancelled() => {
            let class = if writes { ErrorClass::Unknown } else { ErrorClass::Cancelled };
            Err(ActionError::new("CANCELLED", "the request was called off", class))
        }
    }
}

/// The body of an answer: in memory up to `max`, and beyond that where `put` says.
async fn receive(
    ctx: &ActionContext,
    mut answer: HttpResponse,
    (put, max): (&Put, ByteSize),
    writes: bool,
) -> Result<Content, Failed> {
    let origin = origin_of(&answer.url);
    let may = put.may(answer.status);
    // Of what is no answer that somebody wants, no more is held than usual.
    let held = match may {
        true => max,
        false => max.min(DEFAULT_SIZE),
    };
    let mut first = Vec::new();
    if !may || !matches!(put, Put::All(_)) {
        loop {
            let Some(chunk) = answer.body.chunk().await? else {
                return Ok(Content::Bytes(first));
            };
            first.extend_from_slice(&chunk);
            if first.len() as u64 > held.as_u64() {
                break;
            }
        }
    }
    let too_large = |limit| HttpError {
        kind: HttpErrorKind::BodyTooLarge(limit),
        origin: origin.clone(),
        sent: true,
    };
    if !may {
        return Err(too_large(held).into());
    }
    let limit = match put {
        Put::All(_) => max,
        _ => MAX_BLOB,
    };
    let rest = answer.body;
    let mut content = Received {
        first,
        rest,
        writes,
    };
    match ctx.blobs()?.put(&mut content, limit).await? {
        Some(blob) => Ok(Content::Blob(blob)),
        None => Err(too_large(limit).into()),
    }
}
