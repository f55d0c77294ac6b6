//! The one guarded way out: requests over HTTP.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::fmt::rfc2822::DateTimeParser;
use nebula_core::{ByteSize, Clock, CredentialId, ExposeSecret as _, TenantId, TraceContext};
use nebula_resilience::{MAX_RETRY_AFTER, Refused};
use url::Url;

use crate::{Egress, Grants, HeldCredential, HttpAuth, Refusal, UrlError, delivery::sign};

/// Sends requests to where they may go, within limits; everything that leaves over HTTP goes through it.
///
/// Each rule is a test of `nebula_testkit::http_client!`; a driver is done when it passes them.
///
/// # Where requests go
/// - Before a name is resolved, [`Egress::target`] is asked; a host is resolved once for each hop,
///   [`Egress::admits`] is asked of every address found, and one refused address refuses the hop.
///   `localhost` and names below it are not resolved: they are 127.0.0.1 and ::1.
/// - A connection is made to an address that was checked for this very hop, also one that was kept open
///   from an earlier request, and that was one of the same [`Sender`]: what a server mixes up on a
///   connection stays with one tenant and one credential.
/// - No proxy is used, whatever the environment says, and no cookie is kept.
///
/// # Redirects
/// - 301, 302, 303, 307 and 308 with a `Location` are followed, as often as [`HttpLimits::redirects`]
///   says, and each target is asked about like the first one.
/// - 303 makes a GET of everything but HEAD, 301 and 302 make one of POST, and the body is left out;
///   307 and 308 repeat method and body, and fail for a body that is a stream.
/// - To another origin go only the headers of [`CARRIED_OVER`]; `https` never becomes `http`.
///
/// # Answers
/// - A `gzip` body is unpacked; limits count what comes out. A body that ends early, is no gzip, or whose
///   length contradicts itself is an error, never a short result.
/// - A limit that is reached is an error that names it: the time for everything, for the head of each
///   hop's answer, between two parts of the body; the size of the head and of the body.
///
/// # Cancel safety
/// Dropping the future of [`send`](Self::send) or the body closes the connection; whether the server has
/// acted is unknown then.
#[async_trait]
pub trait HttpClient: fmt::Debug + Send + Sync + 'static {
    /// Sends `request` where `egress` lets it go, and gives the answer as soon as its head is there.
    ///
    /// Any status is an answer, not an error.
    ///
    /// # Errors
    /// [`HttpError`]; whether the server may have acted is [`HttpError::sent`].
    async fn send(&self, egress: &Egress, request: HttpRequest) -> Result<HttpResponse, HttpError>;

    /// Opens a connection to the host and port of `url` where `egress` lets it go, and closes it again:
    /// nothing is sent, and no TLS is spoken. Checks the way as [`send`](Self::send) does.
    ///
    /// By default there is no such way.
    ///
    /// # Errors
    /// [`HttpError`]: it may not go there, or nobody answers within `limit`.
    async fn connect(&self, egress: &Egress, url: &Url, limit: Duration) -> Result<(), HttpError> {
        let _ = (egress, limit);
        let kind = HttpErrorKind::Request("this way out opens no bare connections");
        let (origin, sent) = (origin_of(url), false);
        Err(HttpError { kind, origin, sent })
    }

    /// Ends what is kept for requests of `sender`, such as connections over which they went: its credential
    /// has another value now, or is gone. What is under way goes on.
    ///
    /// Nothing by default, for a client that keeps nothing.
    fn close(&self, sender: &Sender) {
        let _ = sender;
    }
}

/// Headers that a request takes along to another origin. Everything else may be meant for the first one
/// alone: `Authorization`, `Cookie`, and the keys that services call by names of their own.
pub const CARRIED_OVER: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "idempotency-key",
    "user-agent",
];

/// One request.
#[derive(Debug)]
pub struct HttpRequest {
    /// The method; `CONNECT` and `TRACE` are refused.
    pub method: Method,
    /// Where to, absolute; see [`Egress::url`].
    pub url: Url,
    /// Without `Host`, `Content-Length` and what concerns the connection; those are the client's.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: RequestBody,
    /// What is borne with.
    pub limits: HttpLimits,
    /// On whose behalf: what one of them does to a destination is no business of another's.
    pub sender: Sender,
}

/// On whose behalf a request is sent. It is not part of what is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Sender {
    /// Whose execution; `None` for what belongs to nobody, such as a test.
    pub tenant: Option<TenantId>,
    /// The credential that it carries, if it carries one.
    pub credential: Option<CredentialId>,
}

/// The body of a request.
#[derive(Debug, Default)]
pub enum RequestBody {
    /// None.
    #[default]
    Empty,
    /// In memory; can be sent again after a redirect.
    Bytes(Bytes),
    /// As it comes; cannot be sent again.
    Stream(Box<dyn HttpBody>),
}

/// What is borne with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// From the call to the end of the answer's body, all redirects included.
    pub total: Duration,
    /// For each hop, from its beginning to the end of its answer's head: resolve, connect, send, wait.
    pub head: Duration,
    /// Between two parts of the answer's body.
    pub idle: Duration,
    /// The answer's head: names and values.
    pub max_head: ByteSize,
    /// The answer's body, unpacked.
    pub max_body: ByteSize,
    /// How many redirects are followed; `None` gives the first one back as the answer.
    pub redirects: Option<u32>,
    /// How long it waits for its turn, within `total`; `None` leaves that to whoever watches over turns. A
    /// client that only sends takes no notice of it.
    pub turn: Option<Duration>,
}

impl Default for HttpLimits {
    /// 60 s in all, 30 s for a head, 30 s of silence, 64 KiB of head, 16 MiB of body, 10 redirects.
    fn default() -> Self {
        Self {
            total: Duration::from_mins(1),
            head: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            max_head: ByteSize::kib(64),
            max_body: ByteSize::mib(16),
            redirects: Some(10),
            turn: None,
        }
    }
}

/// The head of an answer, and its body as it comes.
#[derive(Debug)]
pub struct HttpResponse {
    /// Any status, also 404 and 500.
    pub status: StatusCode,
    /// As the server sent them; of a body that was unpacked, without its encoding and length.
    pub headers: HeaderMap,
    /// Which URL answered, after redirects.
    pub url: Url,
    /// How many redirects were followed.
    pub redirects: u32,
    /// The rest.
    pub body: Box<dyn HttpBody>,
}

/// Bytes that come one part after the other.
#[async_trait]
pub trait HttpBody: fmt::Debug + Send + 'static {
    /// The next part, never empty; `None` at the end.
    ///
    /// # Errors
    /// [`HttpError`]; every later call fails, too.
    ///
    /// # Cancel safety
    /// Dropping the future loses no bytes.
    async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError>;
}

impl HttpResponse {
    /// The whole body.
    ///
    /// # Errors
    /// [`HttpError`]; the size is within [`HttpLimits::max_body`].
    pub async fn bytes(mut self) -> Result<Vec<u8>, HttpError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.body.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// Why there is no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {kind}")]
pub struct HttpError {
    /// What happened.
    pub kind: HttpErrorKind,
    /// Of which hop: scheme, host and port. Never the path or the query, which may hold a secret.
    pub origin: String,
    /// Whether a server may have got a request, of this hop or of one before it.
    pub sent: bool,
}

/// What happened to a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// It may not go there.
    #[error("{0}")]
    Denied(Refusal),
    /// It was not sent: its turn would have come too late.
    #[error("not sent, since {}; again in {:?}", .0.reason, .0.after)]
    Held(Refused),
    /// Its URL, or that of a redirect, is none that is asked for.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The request itself is wrong.
    #[error("the request cannot be sent: {0}")]
    Request(&'static str),
    /// The credential may not be sent there. Nothing was sent.
    #[error("the credential `{id}` may not be sent here, only to {hosts}")]
    Credential {
        /// Which one.
        id: CredentialId,
        /// Where it may be sent to.
        hosts: String,
    },
    /// The credential is of a type that goes with no request.
    #[error("the credential `{id}` of type {kind} cannot go with a request")]
    NoAuth {
        /// Which one.
        id: CredentialId,
        /// Its type.
        kind: &'static str,
    },
    /// The name has no address.
    #[error("the name has no address ({0})")]
    Resolve(String),
    /// Nobody answers at the address.
    #[error("no connection ({0})")]
    Connect(String),
    /// No connection can be trusted: certificate, protocol version.
    #[error("no secure connection ({0})")]
    Tls(String),
    /// The time for this phase is over.
    #[error("{phase} took longer than {limit:?}")]
    Timeout {
        /// What took so long.
        phase: HttpPhase,
        /// What was allowed.
        limit: Duration,
    },
    /// The answer's head is larger than [`HttpLimits::max_head`], or has too many lines.
    #[error("the head of the answer is larger than {0}")]
    HeadTooLarge(ByteSize),
    /// The answer's body is larger than [`HttpLimits::max_body`].
    #[error("the body of the answer is larger than {0}")]
    BodyTooLarge(ByteSize),
    /// More redirects than [`HttpLimits::redirects`].
    #[error("more than {0} redirects")]
    TooManyRedirects(u32),
    /// A redirect that cannot be followed.
    #[error("the redirect {status} cannot be followed: {reason}")]
    Redirect {
        /// The status.
        status: u16,
        /// Why not.
        reason: &'static str,
    },
    /// What came is no answer, or not all of one.
    #[error("the answer is broken ({0})")]
    Protocol(String),
}

/// What a [`HttpErrorKind::Timeout`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpPhase {
    /// Connecting; nothing was sent.
    Connect,
    /// Waiting for the head of the answer.
    Head,
    /// Waiting for more of the body.
    Idle,
    /// All of it.
    Total,
}

impl fmt::Display for HttpPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Head => "the head of the answer",
            Self::Idle => "the next part of the body",
            Self::Total => "everything together",
        })
    }
}

/// Scheme, host and port of a URL.
#[must_use]
pub fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// What `Retry-After` says (RFC 9110, section 10.2.3): seconds, or a date, which is taken from the
/// answer's own `Date`, so that no two clocks are compared. At most [`MAX_RETRY_AFTER`].
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
    let given = text(header::RETRY_AFTER)?.trim();
    let after = match given.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = |text: &str| DateTimeParser::new().parse_timestamp(text).ok();
            let (until, now) = (date(given)?, date(text(header::DATE)?)?);
            Duration::try_from(until.duration_since(now)).unwrap_or_default()
        }
    };
    Some(after.min(MAX_RETRY_AFTER))
}

/// An attempt's way out: a client that goes where the attempt's grants lead, and nowhere else.
///
/// Who holds no `net:…` capability gets none.
#[derive(Debug, Clone)]
pub struct Http {
    client: Arc<dyn HttpClient>,
    egress: Egress,
    tenant: Option<TenantId>,
    trace: Option<Box<TraceContext>>,
    clock: Option<Arc<dyn Clock>>,
}

impl Http {
    /// The way out under these grants; `None` if they open nothing.
    #[must_use]
    pub fn gated(client: &Arc<dyn HttpClient>, grants: &Grants) -> Option<Self> {
        let egress = Egress::new(grants);
        (!egress.is_closed()).then(|| Self {
            client: Arc::clone(client),
            egress,
            tenant: None,
            trace: None,
            clock: None,
        })
    }

    /// The same for requests of this tenant, whatever they say of themselves.
    #[must_use]
    pub fn of(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// The same within this trace: requests carry it (`traceparent`, `tracestate`), unless they carry another
    /// one already. What a redirect to another origin leaves behind, it leaves behind of this, too.
    #[must_use]
    pub fn within(mut self, trace: TraceContext) -> Self {
        self.trace = Some(Box::new(trace));
        self
    }

    /// The same by this clock, which tells the time that is signed. Without one nothing is.
    #[must_use]
    pub fn by(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sends `request` within the grants; see [`HttpClient::send`].
    ///
    /// A credential goes along only to the hosts that are its own, in the place of a header or parameter
    /// of the same name. A redirect takes it to the same origin again and to no other one
    /// ([`CARRIED_OVER`]). What signs instead signs the time at which it is called.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn send(
        &self,
        mut request: HttpRequest,
        credential: Option<&HeldCredential>,
    ) -> Result<HttpResponse, HttpError> {
        if let Some(credential) = credential {
            self.authorize(&mut request, credential)
                .map_err(|kind| HttpError {
                    kind,
                    origin: origin_of(&request.url),
                    sent: false,
                })?;
        }
        if let Some(trace) = &self.trace {
            carry(trace, &mut request.headers);
        }
        request.sender = Sender {
            tenant: self.tenant.clone(),
            credential: credential.map(|it| it.id().clone()),
        };
        self.client.send(&self.egress, request).await
    }

    /// Opens a connection within the grants, and closes it; see [`HttpClient::connect`].
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn connect(&self, url: &Url, limit: Duration) -> Result<(), HttpError> {
        self.client.connect(&self.egress, url, limit).await
    }

    /// Adds the credential to a request that goes where it may be sent.
    fn authorize(
        &self,
        request: &mut HttpRequest,
        credential: &HeldCredential,
    ) -> Result<(), HttpErrorKind> {
        let id = || credential.id().clone();
        if !credential.may_go_to(&request.url) {
            let hosts = credential.hosts();
            return Err(HttpErrorKind::Credential { id: id(), hosts });
        }
        let no_auth = || HttpErrorKind::NoAuth {
            id: id(),
            kind: credential.kind(),
        };
        match credential.http_auth().ok_or_else(no_auth)? {
            HttpAuth::Header(name, value) => {
                request.headers.insert(name, value);
            }
            HttpAuth::Query(name, value) => {
                let pairs = request.url.query_pairs().into_owned();
                let others: Vec<_> = pairs.filter(|(key, _)| *key != name).collect();
                let mut pairs = request.url.query_pairs_mut();
                pairs.clear().extend_pairs(others);
                pairs.append_pair(&name, value.expose_secret());
            }
            HttpAuth::Signed(signer) => {
                let clock = self.clock.as_ref().ok_or(HttpErrorKind::Request(
                    "this way out tells no time, so nothing is signed",
                ))?;
                sign(request, &*signer, clock.now())?;
            }
        }
        Ok(())
    }

    /// What it opens.
    #[must_use]
    pub fn egress(&self) -> &Egress {
        &self.egress
    }
}

/// Adds the trace to a request that carries none.
fn carry(trace: &TraceContext, headers: &mut HeaderMap) {
    const PARENT: HeaderName = HeaderName::from_static("traceparent");
    const STATE: HeaderName = HeaderName::from_static("tracestate");
    if headers.contains_key(PARENT) {
        return;
    }
    // Both are of printable ASCII.
    if let Ok(parent) = HeaderValue::from_str(&trace.traceparent()) {
        headers.insert(PARENT, parent);
    }
    match HeaderValue::from_str(trace.tracestate()) {
        Ok(state) if !state.is_empty() => drop(headers.insert(STATE, state)),
        _ => drop(headers.remove(STATE)),
    }
}
