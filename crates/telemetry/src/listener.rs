//! Health and metrics over HTTP, for programs that have no API.

use std::{convert::Infallible, fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use nebula_core::Clock;
use serde_json::json;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{METRICS_CONTENT_TYPE, Reading, Source};

/// How many connections are open at a time; who comes then waits.
pub const MAX_LISTENED: usize = 32;

/// The longest head of a request that is read, in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// The most headers of a request.
const MAX_HEADERS: usize = 64;

/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection lasts at most: one request and its answer.
const CONNECTION_TIME: Duration = Duration::from_secs(15);

/// How long nothing is accepted after the system had no more files or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a process should be given no work now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// Stable, upper case.
    pub code: &'static str,
    /// What is the matter: lower case, no full stop.
    pub message: String,
}

/// Says whether a process should be given work.
#[async_trait]
pub trait Ready: fmt::Debug + Send + Sync + 'static {
    /// Whether it should be now. Answers within a few seconds.
    ///
    /// # Errors
    /// [`NotReady`]: why not.
    async fn ready(&self) -> Result<(), NotReady>;
}

/// What is told of a process.
#[derive(Debug, Clone)]
pub struct Told {
    /// Whether it should be given work.
    pub ready: Arc<dyn Ready>,
    /// What its metrics say.
    pub metrics: Arc<dyn Source>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The version of the program.
    pub version: &'static str,
}

/// Why nothing can be told at an address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}")]
pub struct ListenError {
    /// Where it was to listen.
    pub address: SocketAddr,
    /// What is in the way.
    #[source]
    pub error: io::Error,
}

/// A socket that tells whether a process lives (`GET /health/live`), whether it should be given work
/// (`GET /health/ready`, 503 while not) and what its metrics say (`GET /metrics`, OpenMetrics 1.0). It knows
/// nobody: whoever reaches it is told, so it belongs on an address that only operators reach.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    room: Arc<Semaphore>,
}

impl Listener {
    /// Listens at `address`; port 0 has the system choose one.
    ///
    /// # Errors
    /// [`ListenError`]: somebody listens there already, or it may not.
    pub async fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        let wrong = |error| ListenError { address, error };
        let listener = TcpListener::bind(address).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        Ok(Self {
            listener,
            address,
            room: Arc::new(Semaphore::new(MAX_LISTENED)),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`; what is under way then is broken off.
    ///
    /// # Cancel safety
    /// Dropping the future breaks off every connection.
    pub async fn run(self, told: Told, stop: CancellationToken) {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .keep_alive(false)
            .half_close(false);
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(_) = open.join_next(), if !open.is_empty() => continue,
                accepted = self.accept() => accepted,
            };
            let (stream, permit) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "cannot accept connections");
                    told.clock.sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (http, told) = (http.clone(), told.clone());
            open.spawn(async move {
                let clock = told.clock.clone();
                let service = service_fn(move |request| {
                    let told = told.clone();
                    async move { Ok::<_, Infallible>(told.answer(&request).await) }
                });
                let connection = http.serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    biased;
                    ended = connection => if let Err(error) = ended {
                        debug!(%error, "a connection broke off");
                    },
                    () = clock.sleep(CONNECTION_TIME) => debug!("a connection took too long"),
                }
                drop(permit);
            });
        }
        open.shutdown().await;
    }

    async fn accept(
        &self,
    ) -> io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let permit = self.room.clone().acquire_owned().await;
        let permit = permit.map_err(io::Error::other)?;
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, permit))
    }
}

impl Told {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (method, path) = (request.method(), request.uri().path());
        let known = matches!(path, "/health/live" | "/health/ready" | "/metrics");
        if known && !matches!(*method, Method::GET | Method::HEAD) {
            let message = format!("{path} takes no {method}");
            let status = StatusCode::METHOD_NOT_ALLOWED;
            let mut refused = problem(status, "METHOD_NOT_ALLOWED", &message);
            let allow = HeaderValue::from_static("GET, HEAD");
            refused.headers_mut().insert(header::ALLOW, allow);
            return refused;
        }
        match path {
            "/health/live" => self.ok(),
            "/health/ready" => match self.ready.ready().await {
                Ok(()) => self.ok(),
                Err(not) => problem(StatusCode::SERVICE_UNAVAILABLE, not.code, &not.message),
            },
            "/metrics" => {
                let mut reading = Reading::default();
                self.metrics.read(&mut reading).await;
                answer(
                    StatusCode::OK,
                    METRICS_CONTENT_TYPE,
                    reading.text().into_bytes(),
                )
            }
            _ => problem(
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                "there are /health/live, /health/ready and /metrics",
            ),
        }
    }

    fn ok(&self) -> Response<Full<Bytes>> {
        let body = json!({ "status": "ok", "version": self.version });
        answer(
            StatusCode::OK,
            "application/json",
            body.to_string().into_bytes(),
        )
    }
}

fn problem(status: StatusCode, code: &str, message: &str) -> Response<Full<Bytes>> {
    let body = json!({ "status": status.as_u16(), "code": code, "detail": message });
    let body = body.to_string().into_bytes();
    answer(status, "application/problem+json", body)
}

fn answer(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
