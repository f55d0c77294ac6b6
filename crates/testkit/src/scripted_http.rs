//! A way out over HTTP that answers as a test says, and sends nothing.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use nebula_action::{
    Egress, HttpBody, HttpClient, HttpError, HttpErrorKind, HttpLimits, HttpRequest, HttpResponse,
    RequestBody, Sender, origin_of,
};
use nebula_core::{ByteSize, Clock};
use parking_lot::Mutex;
use url::Url;

/// What is answered: the status, the lines of the head (`name: value`), and the body; or what goes wrong
/// once the request was sent.
pub type ScriptedAnswer = Result<(u16, &'static str, String), HttpErrorKind>;

type Script = dyn Fn(&AskedHttp) -> ScriptedAnswer + Send + Sync;

/// One request that came.
#[derive(Debug, Clone)]
pub struct AskedHttp {
    /// Which one, from 1.
    pub number: usize,
    /// `GET /path?query`.
    pub line: String,
    /// Its path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as text; empty for a stream.
    pub body: String,
    /// On whose behalf.
    pub sender: Sender,
    /// How many redirects it would follow.
    pub redirects: Option<u32>,
    /// The largest body that it would take.
    pub max_body: ByteSize,
    /// How long it may take in all.
    pub total: Duration,
}

/// Answers each request as its script says, and keeps what it was asked. What [`Egress`] refuses is
/// refused here as well.
pub struct ScriptedHttp {
    script: Box<Script>,
    takes: Option<(Arc<dyn Clock>, Duration)>,
    asked: Mutex<Vec<AskedHttp>>,
    answered: AtomicUsize,
    closed: Mutex<Vec<Sender>>,
}

impl fmt::Debug for ScriptedHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScriptedHttp")
    }
}

impl ScriptedHttp {
    /// A server that answers at once.
    #[must_use]
    pub fn new(script: impl Fn(&AskedHttp) -> ScriptedAnswer + Send + Sync + 'static) -> Self {
        Self {
            script: Box::new(script),
            takes: None,
            asked: Mutex::default(),
            answered: AtomicUsize::new(0),
            closed: Mutex::default(),
        }
    }

    /// One that takes so long for each answer.
    #[must_use]
    pub fn taking(mut self, clock: Arc<dyn Clock>, time: Duration) -> Self {
        self.takes = Some((clock, time));
        self
    }

    /// What it was asked, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<AskedHttp> {
        self.asked.lock().clone()
    }

    /// Whose connections it was told to close, in order.
    #[must_use]
    pub fn closed(&self) -> Vec<Sender> {
        self.closed.lock().clone()
    }

    /// How many requests it has answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.answered.load(SeqCst)
    }
}

/// A body in one piece.
#[derive(Debug)]
pub(crate) struct Whole(pub(crate) Bytes);

#[async_trait]
impl HttpBody for Whole {
    async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        let whole = std::mem::take(&mut self.0);
        Ok((!whole.is_empty()).then_some(whole))
    }
}

#[async_trait]
impl HttpClient for ScriptedHttp {
    async fn send(&self, egress: &Egress, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let origin = origin_of(&request.url);
        let failed = |kind, sent| HttpError {
            kind,
            origin: origin.clone(),
            sent,
        };
        let refused = |refusal| failed(HttpErrorKind::Denied(refusal), false);
        egress.target(&request.url).map_err(refused)?;
        let path = request.url[url::Position::BeforePath..].to_owned();
        let body = match &request.body {
            RequestBody::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            RequestBody::Empty | RequestBody::Stream(_) => String::new(),
        };
        let asked = {
            let mut all = self.asked.lock();
            let number = all.len() + 1;
            all.push(AskedHttp {
                number,
                line: format!("{} {path}", request.method),
                path,
                headers: request.headers,
                body,
                sender: request.sender,
                redirects: request.limits.redirects,
                max_body: request.limits.max_body,
                total: request.limits.total,
            });
            all[number - 1].clone()
        };
        if let Some((clock, time)) = &self.takes {
            clock.sleep(*time).await;
        }
        let (status, head, body) = (self.script)(&asked).map_err(|kind| failed(kind, true))?;
        self.answered.fetch_add(1, SeqCst);
        let most = request.limits.max_body;
        if body.len() as u64 > most.as_u64() {
            return Err(failed(HttpErrorKind::BodyTooLarge(most), true));
        }
        let mut headers = HeaderMap::new();
        for line in head.lines() {
            let (name, value) = line.split_once(": ").expect("`name: value`");
            let name = HeaderName::try_from(name).expect("a header's name");
            headers.append(name, HeaderValue::from_static(value));
        }
        Ok(HttpResponse {
            status: StatusCode::from_u16(status).expect("a status"),
            headers,
            url: request.url,
            redirects: 0,
            body: Box::new(Whole(body.into())),
        })
    }

    fn close(&self, sender: &Sender) {
        self.closed.lock().push(sender.clone());
    }

    /// Asks the script as for a request with the method `CONNECT`; any answer is a connection.
    async fn connect(&self, egress: &Egress, url: &Url, limit: Duration) -> Result<(), HttpError> {
        let request = HttpRequest {
            method: Method::CONNECT,
            url: url.clone(),
            headers: HeaderMap::new(),
            body: RequestBody::Empty,
            limits: HttpLimits {
                total: limit,
                ..HttpLimits::default()
            },
            sender: Sender::default(),
        };
        self.send(egress, request).await.map(|_| ())
    }
}
