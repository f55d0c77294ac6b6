//! Listens, and hands each connection to the router.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::body::Body;
use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::{Api, Tls};

/// How long nothing is accepted after the system had no more files or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The address from which a connection comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remote(pub(crate) IpAddr);

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}")]
pub struct ServerError {
    /// Where it was to listen.
    pub address: SocketAddr,
    /// What is in the way.
    #[source]
    pub error: io::Error,
}

/// A socket that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
}

impl Server {
    /// Listens at `address`; port 0 has the system choose one.
    ///
    /// # Errors
    /// [`ServerError`]: somebody listens there already, or it may not.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServerError> {
        let wrong = |error| ServerError { address, error };
        let listener = TcpListener::bind(address).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        Ok(Self {
            listener,
            address,
            tls: None,
        })
    }

    /// The same with TLS, and nothing without it.
    #[must_use]
    pub fn secured(self, tls: Tls) -> Self {
        Self {
            tls: Some(tls),
            ..self
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown`: then nothing is accepted any more, streams end, and what is
    /// under way may finish within `grace`.
    ///
    /// # Cancel safety
    /// Dropping the future breaks off every connection.
    pub async fn run(self, api: &Api, shutdown: CancellationToken, grace: Duration) {
        let config = api.shared.config();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(config.head_timeout)
            .max_headers(config.max_headers)
            .max_header_size(usize::try_from(config.max_head.as_u64()).unwrap_or(usize::MAX))
            .half_close(false);
        let room = Arc::new(Semaphore::new(
            config.max_connections.min(Semaphore::MAX_PERMITS),
        ));
        let graceful = GracefulShutdown::new();
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(_) = open.join_next(), if !open.is_empty() => continue,
                accepted = accept(&self.listener, &room) => accepted,
            };
            let (stream, remote, permit) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "cannot accept connections");
                    api.shared.clock.sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let router = api.router.clone();
            let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(remote);
                router.clone().oneshot(request.map(Body::new))
            });
            let (http, watcher) = (http.clone(), graceful.watcher());
            let secured = self.tls.as_ref().map(|tls| TlsAcceptor::from(tls.now()));
            let (clock, head_timeout) = (api.shared.clock.clone(), config.head_timeout);
            open.spawn(async move {
                let ended = match secured {
                    None => {
                        let connection = http.serve_connection(TokioIo::new(stream), service);
                        watcher.watch(connection).await
                    }
                    Some(acceptor) => {
                        // Whoever does not shake hands in time holds no connection for long.
                        let shaken = tokio::select! {
                            biased;
                            shaken = acceptor.accept(stream) => shaken,
                            () = clock.sleep(head_timeout) => Err(io::ErrorKind::TimedOut.into()),
                        };
                        let stream = match shaken {
                            Ok(stream) => stream,
                            Err(error) => {
                                debug!(%error, "a connection is not secured");
                                return;
                            }
                        };
                        let connection = http.serve_connection(TokioIo::new(stream), service);
                        watcher.watch(connection).await
                    }
                };
                if let Err(error) = ended {
                    debug!(%error, "a connection broke off");
                }
                drop(permit);
            });
        }
        drop(self.listener);
        api.shared.stopping.cancel();
        tokio::select! {
            biased;
            () = graceful.shutdown() => {}
            () = api.shared.clock.sleep(grace) => {
                warn!(open = open.len(), "breaking off what is still under way");
            }
        }
        open.shutdown().await;
    }
}

type Accepted = (TcpStream, Remote, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<Accepted> {
    let permit = room.clone().acquire_owned().await;
    let permit = permit.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    // Answers are small, and each is waited for.
    stream.set_nodelay(true)?;
    Ok((stream, Remote(address.ip().to_canonical()), permit))
}
