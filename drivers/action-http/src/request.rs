//! `http.request`.

use std::borrow::Cow;

use http::StatusCode;
use nebula_action::{ActionContext, ActionError, Progress, RequestBody, Size, origin_of};
use nebula_core::ByteSize;
use nebula_derive::Action;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use crate::{
    answer::{self, Reading},
    blobs::{BlobName, MAX_BLOB},
    body::{self, Body},
    error,
    pages::{PageParameter, Pages},
    parameters::Pairs,
    send::{self, Content, DEFAULT_SIZE, Incoming, MAX_REDIRECTS, MAX_SIZE, Outgoing, Put},
};

/// Sends a request over HTTP.
///
/// The node needs the capability `net:<host>[:port]`; a URL that is written out asks for it by
/// itself, for another one it stands in `requires`. GET, HEAD and OPTIONS read; the other methods
/// write, and carry the header `Idempotency-Key`, the same at every attempt, so that a server that
/// honours it does nothing twice. The result is `{ status, headers, body }`.
///
/// The credential in the slot `auth` goes with each request, but only to the hosts that it is for. One of
/// type `webhook_signature` signs what is written instead (Standard Webhooks), with the idempotency key as
/// `webhook-id` and the time of the attempt.
///
/// A status that is not in `expect` (default `2xx`) is an error: 408, 425, 429 and 5xx may be tried
/// again, not before `Retry-After`; others not. A node that says no `retry` tries three times what only
/// reads, and once what writes. With `next` or `page`, a GET is asked page by page,
/// and `body` is the list of the elements of all pages.
///
/// With the capability `blob`, what is sent may lie in a blob, and what is large is put into one.
#[derive(Debug, Action)]
#[action(
    id = "http.request",
    version = "1.0",
    title = "HTTP request",
    effect(
        parameter = "method",
        cases(
            GET = "read",
            HEAD = "read",
            OPTIONS = "read",
            POST = "keyed",
            PUT = "keyed",
            PATCH = "keyed",
            DELETE = "keyed"
        ),
        absent = "read",
    ),
    deferred = ["next", "items", "until"],
    urls = ["url"],
    credentials(optional(
        auth = [
            "api_key",
            "basic",
            "bearer",
            "header",
            "oauth2_client_credentials",
            "oauth2_refresh",
            "oauth2_code",
            "webhook_signature"
        ]
    )),
    timeout = "60s",
    attempts = 3
)]
pub struct HttpRequestAction;

/// The parameters of `http.request`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestIn {
    /// What to do there.
    #[serde(default)]
    method: Method,
    /// Where to, beginning with `http://` or `https://`.
    url: String,
    /// Added to the query of the URL. A list repeats its name, null leaves it out.
    #[serde(default)]
    query: Pairs,
    /// Headers. A list repeats its name, null leaves it out.
    #[serde(default)]
    headers: Pairs,
    /// What is sent: `{ json: … }`, `{ form: … }`, `{ multipart: […] }`, `{ text: … }`, `{ base64: … }` or
    /// `{ blob: { digest, length } }`, as another node's answer gave it.
    body: Option<Body>,
    /// How the body of the answer stands in the result.
    #[serde(default)]
    response: Reading,
    /// The statuses that are no error, such as `[200, 404]` or `["2xx"]`.
    #[serde(default)]
    expect: Expect,
    /// How many redirects are followed, at most 20; 0 makes a redirect the answer.
    #[serde(default = "ten")]
    #[schemars(range(max = 20))]
    max_redirects: u32,
    /// The largest answer, over all pages, such as `64 MiB`; 16 MiB if nothing is said, at most 256 MiB.
    /// With `response: auto` and the capability `blob`, a larger one, up to 4 GiB, is put into a blob, and
    /// `body` is `{ blob: { digest, length } }`. With `response: blob`, at most 4 GiB, and so much if
    /// nothing is said.
    max_size: Option<Size>,
    /// An expression that gives the URL of the next page, or null after the last. `$item` is the page,
    /// `{ status, headers, body }`, and `$index` its number, from 0.
    next: Option<Formula>,
    /// A query parameter that counts pages, instead of `next`. The first page without an element is
    /// behind the last one.
    page: Option<PageParameter>,
    /// An expression over the page that gives the list of its elements; the body if nothing is said.
    items: Option<Formula>,
    /// A condition over the page: whether it is the last one.
    until: Option<Formula>,
    /// How many pages there may be, at most 10,000; 100 if nothing is said. More are an error.
    #[schemars(range(min = 1, max = 10_000))]
    max_pages: Option<u32>,
}

fn ten() -> u32 {
    10
}

/// What to do there (RFC 9110, section 9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    #[default]
    Get,
    Head,
    Options,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    fn http(self) -> http::Method {
        match self {
            Self::Get => http::Method::GET,
            Self::Head => http::Method::HEAD,
            Self::Options => http::Method::OPTIONS,
            Self::Post => http::Method::POST,
            Self::Put => http::Method::PUT,
            Self::Patch => http::Method::PATCH,
            Self::Delete => http::Method::DELETE,
        }
    }

    fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::Head | Self::Options)
    }
}

/// Statuses that are no error: numbers, and `2xx` and its like for a hundred of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expect(Vec<(u16, u16)>);

impl Default for Expect {
    fn default() -> Self {
        Self(vec![(200, 299)])
    }
}

impl Expect {
    pub(crate) fn holds(&self, status: StatusCode) -> bool {
        let status = status.as_u16();
        self.0
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&status))
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Vec::<Value>::deserialize(deserializer)?;
        let range = |value: &Value| match value {
            Value::Number(number) => {
                let status = u16::try_from(number.as_u64()?).ok()?;
                (100..=599).contains(&status).then_some((status, status))
            }
            Value::String(text) => {
                let hundred = u16::from(*text.strip_suffix("xx")?.as_bytes().first()?);
                let hundred = hundred.checked_sub(u16::from(b'0'))? * 100;
                let fits = text.len() == 3 && (100..=500).contains(&hundred);
                fits.then_some((hundred, hundred + 99))
            }
            _ => None,
        };
        let ranges: Option<Vec<_>> = given.iter().map(range).collect();
        ranges.map(Self).ok_or_else(|| {
            de::Error::custom(
                "a wrong status, expected numbers from 100 to 599 and texts such as 2xx",
            )
        })
    }
}

impl JsonSchema for Expect {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Expect")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "minItems": 1,
            "items": {
                "oneOf": [
                    { "type": "integer", "minimum": 100, "maximum": 599 },
                    { "type": "string", "pattern": "^[1-5]xx$" },
                ],
            },
        })
    }
}

/// Stands for an expression, which the engine hands over in the context.
#[derive(Debug)]
pub(crate) struct Formula;

impl<'de> Deserialize<'de> for Formula {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Formula {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Formula")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "boolean", "null"] })
    }
}

/// The result of `http.request`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RequestOut {
    /// The status of the answer; with pages, of the last one.
    status: u16,
    /// Its headers by their names in lower case; `set-cookie` is a list.
    headers: Map<String, Value>,
    /// Its body; with pages, the list of all their elements.
    body: Value,
    /// How many answers were read.
    pages: u32,
}

impl HttpRequestAction {
    async fn run(&self, ctx: &ActionContext, input: RequestIn) -> Result<RequestOut, ActionError> {
        let formulas = [
            ("next", &input.next),
            ("items", &input.items),
            ("until", &input.until),
        ];
        if let Some((name, _)) = formulas.iter().find(|(_, given)| given.is_some()) {
            let message = format!(
                "`{name}` must be one expression over `$item`, such as `$item.body.{name}`"
            );
            let pointer = format!("/{name}");
            return Err(ActionError::invalid_input(
                "PARAMETER_NOT_AN_EXPRESSION",
                pointer,
                message,
            ));
        }
        let writes = input.method.writes();
        let pages = Pages::of(ctx, input.page.as_ref(), input.max_pages)?;
        if pages.is_some() && input.method != Method::Get {
            let message =
                "pages are read with GET; each page of another method would carry the same key";
            return Err(ActionError::invalid_input("HTTP_PAGES", "/method", message));
        }
        if input.max_redirects > MAX_REDIRECTS {
            let message = format!("at most {MAX_REDIRECTS} redirects are followed");
            return Err(ActionError::invalid_input(
                "HTTP_REQUEST",
                "/max_redirects",
                message,
            ));
        }
        let mut url = send::url(&input.url)?;
        input.query.extend_query(&mut url)?;
        let mut headers = input.headers.headers()?;
        if writes {
            send::add_key(ctx, &mut headers)?;
        }
        let mut body = match &input.body {
            None => RequestBody::Empty,
            Some(given) => body::prepare(ctx, given, &mut headers).await?,
        };
        let put = puts(ctx, &input, pages.is_some())?;
        let limits = match put {
            Put::All(_) => (MAX_BLOB, MAX_BLOB),
            _ => (DEFAULT_SIZE, MAX_SIZE),
        };
        let max_size = send::size(input.max_size.map(|size| size.0), limits)?;
        let mut left = max_size.as_u64();
        let mut next = pages
            .as_ref()
            .map_or_else(|| url.clone(), |pages| pages.first(&url));
        let (mut all, mut index) = (Vec::new(), 0);
        loop {
            let answer = send::send(
                ctx,
                Outgoing {
                    method: input.method.http(),
                    url: next,
                    headers: headers.clone(),
                    body: std::mem::take(&mut body),
                    writes,
                    max_redirects: input.max_redirects,
                    max_size: ByteSize::bytes(left),
                    follows: index > 0,
                    put: put.clone(),
                },
            )
            .await?;
            if let Content::Bytes(bytes) = &answer.content {
                left = left.saturating_sub(bytes.len() as u64);
            }
            let (out, answered) = read(answer, &input)?;
            let Some(pages) = &pages else {
                return Ok(out);
            };
            let page = serde_json::json!({
                "status": out.status, "headers": out.headers, "body": out.body,
            });
            let found = pages.items(&page, index)?;
            let count = found.len();
            all.extend(found);
            let following = pages.next(&url, (&page, &answered), (index, count))?;
            index += 1;
            ctx.heartbeat(Progress {
                done: Some(index as u64),
                ..Progress::default()
            });
            match following {
                Some(url) => next = url,
                None => {
                    return Ok(RequestOut {
                        body: Value::Array(all),
                        pages: u32::try_from(index).unwrap_or(u32::MAX),
                        ..out
                    });
                }
            }
        }
    }
}

/// Which answers go into blobs.
fn puts(ctx: &ActionContext, input: &RequestIn, pages: bool) -> Result<Put, ActionError> {
    match input.response {
        Reading::Blob if pages => {
            let message = "pages are lists of elements, and no blobs";
            Err(ActionError::invalid_input(
                "HTTP_PAGES",
                "/response",
                message,
            ))
        }
        Reading::Blob => {
            // Nothing is sent whose answer nobody may keep.
            ctx.blobs()?;
            Ok(Put::All(input.expect.clone()))
        }
        Reading::Auto if !pages && ctx.blobs.is_some() => Ok(Put::Large(input.expect.clone())),
        _ => Ok(Put::Never),
    }
}

/// One answer as a result, and the URL that gave it.
fn read(answer: Incoming, input: &RequestIn) -> Result<(RequestOut, url::Url), ActionError> {
    if !input.expect.holds(answer.status) {
        let origin = origin_of(&answer.url);
        return Err(error::of_status(answer.status, &answer.headers, &origin));
    }
    let out = RequestOut {
        status: answer.status.as_u16(),
        headers: answer::headers(&answer.headers),
        body: match answer.content {
            Content::Bytes(bytes) => answer::read(bytes, &answer.headers, input.response)?,
            Content::Blob(blob) => serde_json::json!({ "blob": BlobName::from(blob) }),
        },
        pages: 1,
    };
    Ok((out, answer.url))
}
