//! The port: one request, hop by hop.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use http::{HeaderMap, Method, header};
use nebula_action::{Egress, HttpErrorKind, HttpLimits, HttpPhase, Target, TargetHost, origin_of};
use nebula_core::{Clock, MemoryPressure};
use nebula_ports::{HttpClient, HttpError, HttpRequest, HttpResponse, RequestBody, Sender};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use url::Url;

use crate::{
    body::{AnswerBody, outgoing},
    config::{HttpConfig, MAX_ADDRESSES},
    error,
    pool::{Key, Pool, Pools},
    redirect::{self, Again, Hop},
    resolve::{Resolver, SystemResolver},
    tls::Tls,
};

/// The [`HttpClient`] over reqwest.
///
/// Needs a tokio runtime with I/O and time.
#[derive(Debug)]
pub struct Reqwest {
    config: Arc<HttpConfig>,
    clock: Arc<dyn Clock>,
    resolver: Arc<dyn Resolver>,
    pools: Pools,
}

/// How far a request has come, for the error that ends it.
#[derive(Debug, Default)]
struct Trip {
    origin: String,
    sent: bool,
    /// Whose connections it is on.
    pool: Option<Arc<Pool>>,
}

impl Reqwest {
    /// A client that asks the operating system for the addresses of names.
    ///
    /// # Errors
    /// A file of [`HttpConfig::ca_files`] cannot be read, or holds no certificate.
    pub fn new(config: HttpConfig, clock: Arc<dyn Clock>) -> io::Result<Self> {
        Self::with_resolver(config, clock, Arc::new(SystemResolver), None)
    }

    /// The same that keeps fewer connections while memory is short: see
    /// [`Shared::under`](nebula_resource::Shared::under).
    ///
    /// # Errors
    /// Those of [`Reqwest::new`].
    pub fn under(
        config: HttpConfig,
        clock: Arc<dyn Clock>,
        pressure: Arc<dyn MemoryPressure>,
    ) -> io::Result<Self> {
        Self::with_resolver(config, clock, Arc::new(SystemResolver), Some(pressure))
    }

    /// The same with another source of addresses, and perhaps with an eye on memory.
    ///
    /// # Errors
    /// Those of [`Reqwest::new`].
    pub fn with_resolver(
        config: HttpConfig,
        clock: Arc<dyn Clock>,
        resolver: Arc<dyn Resolver>,
        pressure: Option<Arc<dyn MemoryPressure>>,
    ) -> io::Result<Self> {
        let tls = Tls::new(&config.ca_files)?;
        Ok(Self {
            pools: Pools::new(config.clone(), tls, Arc::clone(&clock), pressure),
            config: Arc::new(config),
            clock,
            resolver,
        })
    }

    async fn hops(
        &self,
        egress: &Egress,
        request: HttpRequest,
        (deadline, trip): (Duration, &Mutex<Trip>),
    ) -> Result<HttpResponse, HttpErrorKind> {
        let HttpRequest {
            method,
            url,
            headers,
            mut body,
            limits,
            sender,
        } = request;
        check(&method, &headers)?;
        let mut hop = Hop {
            method,
            url,
            headers,
            again: Again::of(&body),
        };
        let mut redirects = 0;
        loop {
            trip.lock().origin = origin_of(&hop.url);
            let response = within(
                (&*self.clock, limits.head, HttpPhase::Head),
                self.hop(
                    egress,
                    (&hop, &sender),
                    std::mem::take(&mut body),
                    (&limits, trip),
                ),
            )
            .await?;
            let (status, head) = (response.status(), response.headers());
            let size: usize = head
                .iter()
                .map(|(name, value)| name.as_str().len() + value.len())
                .sum();
            if size > limits.max_head.as_usize() {
                return Err(HttpErrorKind::HeadTooLarge(limits.max_head));
            }
            let location = redirect::location(status, head);
            if let (Some(location), Some(most)) = (location, limits.redirects) {
                if redirects == most {
                    return Err(HttpErrorKind::TooManyRedirects(most));
                }
                redirects += 1;
                hop = redirect::next(&hop, status, location)?;
                body = match &hop.again {
                    Again::Bytes(bytes) => RequestBody::Bytes(bytes.clone()),
                    Again::Empty | Again::Gone => RequestBody::Empty,
                };
                continue;
            }
            let declared = response.content_length().unwrap_or(0);
            if declared > limits.max_body.as_u64() {
                return Err(HttpErrorKind::BodyTooLarge(limits.max_body));
            }
            return Ok(HttpResponse {
                status,
                headers: head.clone(),
                redirects,
                body: Box::new(AnswerBody {
                    response,
                    clock: Arc::clone(&self.clock),
                    config: Arc::clone(&self.config),
                    limits,
                    deadline,
                    origin: origin_of(&hop.url),
                    pool: trip.lock().pool.take(),
                    received: 0,
                    failed: false,
                }),
                url: hop.url,
            });
        }
    }

    /// One hop, to the end of its answer's head.
    async fn hop(
        &self,
        egress: &Egress,
        (hop, sender): (&Hop, &Sender),
        body: RequestBody,
        (limits, trip): (&HttpLimits, &Mutex<Trip>),
    ) -> Result<reqwest::Response, HttpErrorKind> {
        Egress::check_url(&hop.url)?;
        let target = egress.target(&hop.url).map_err(HttpErrorKind::Denied)?;
        let addresses = self.addresses(egress, &target, &hop.url).await?;
        let key = Key {
            sender: sender.clone(),
            https: hop.url.scheme() == "https",
            host: hop.url.host_str().unwrap_or_default().to_owned(),
            addresses,
        };
        let pool = self.pools.get(&key).await?;
        trip.lock().pool = Some(Arc::clone(&pool));
        let mut request = pool
            .client
            .request(hop.method.clone(), hop.url.clone())
            .headers(hop.headers.clone());
        if let Some(body) = outgoing(body) {
            request = request.body(body);
        }
        let before = std::mem::replace(&mut trip.lock().sent, true);
        request.send().await.map_err(|failed| {
            if failed.is_connect() || failed.is_builder() {
                trip.lock().sent = before;
            }
            error::of(&failed, limits.max_head, &self.config)
        })
    }

    /// A connection that is made and closed.
    async fn bare(&self, egress: &Egress, url: &Url) -> Result<(), HttpErrorKind> {
        Egress::check_url(url)?;
        let target = egress.target(url).map_err(HttpErrorKind::Denied)?;
        let addresses = self.addresses(egress, &target, url).await?;
        let connected = TcpStream::connect(&addresses[..]).await;
        match connected {
            Ok(stream) => {
                drop(stream);
                Ok(())
            }
            Err(error) => Err(HttpErrorKind::Connect(error.kind().to_string())),
        }
    }

    /// Resolves the host of a hop, once, and checks every address that it has.
    async fn addresses(
        &self,
        egress: &Egress,
        target: &Target,
        url: &Url,
    ) -> Result<Arc<[SocketAddr]>, HttpErrorKind> {
        let found = match &target.host {
            TargetHost::Address(address) => vec![*address],
            TargetHost::ThisMachine => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            TargetHost::Name(name) => {
                // With its dot at the end, if it has one: then no search list is tried.
                let host = url.host_str().unwrap_or(name);
                let found: Vec<IpAddr> = self
                    .resolver
                    .resolve(host)
                    .await
                    .map_err(|error| HttpErrorKind::Resolve(error.kind().to_string()))?;
                if found.is_empty() {
                    return Err(HttpErrorKind::Resolve("nobody knows it".to_owned()));
                }
                found
            }
        };
        for address in &found {
            egress
                .admits(target, *address)
                .map_err(HttpErrorKind::Denied)?;
        }
        let mut addresses = Vec::new();
        for address in found {
            let address = SocketAddr::new(address, target.port);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses.truncate(MAX_ADDRESSES);
        Ok(addresses.into())
    }
}

#[async_trait]
impl HttpClient for Reqwest {
    async fn send(&self, egress: &Egress, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let total = request.limits.total;
        let deadline = self.clock.monotonic().saturating_add(total);
        let trip = Mutex::new(Trip {
            origin: origin_of(&request.url),
            ..Trip::default()
        });
        let answer = within(
            (&*self.clock, total, HttpPhase::Total),
            self.hops(egress, request, (deadline, &trip)),
        )
        .await;
        answer.map_err(|kind| {
            let Trip { origin, sent, pool } = trip.into_inner();
            if let Some(pool) = pool {
                pool.failed(&kind);
            }
            HttpError { kind, origin, sent }
        })
    }

    async fn connect(&self, egress: &Egress, url: &Url, limit: Duration) -> Result<(), HttpError> {
        let connected = within(
            (&*self.clock, limit, HttpPhase::Connect),
            self.bare(egress, url),
        );
        connected.await.map_err(|kind| HttpError {
            kind,
            origin: origin_of(url),
            sent: false,
        })
    }

    fn close(&self, sender: &Sender) {
        self.pools.close(sender);
    }
}

/// Ends `work` when its time is over.
async fn within<T>(
    (clock, limit, phase): (&dyn Clock, Duration, HttpPhase),
    work: impl Future<Output = Result<T, HttpErrorKind>>,
) -> Result<T, HttpErrorKind> {
    tokio::select! {
        biased;
        done = work => done,
        () = clock.sleep(limit) => Err(HttpErrorKind::Timeout { phase, limit }),
    }
}

/// Refuses what would speak for the client itself.
fn check(method: &Method, headers: &HeaderMap) -> Result<(), HttpErrorKind> {
    const OWN: &[header::HeaderName] = &[
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
    ];
    if matches!(*method, Method::CONNECT | Method::TRACE) {
        return Err(HttpErrorKind::Request("the method is CONNECT or TRACE"));
    }
    let own = |name: &header::HeaderName| {
        OWN.contains(name) || name.as_str() == "keep-alive" || name.as_str().starts_with("proxy-")
    };
    if headers.keys().any(own) {
        return Err(HttpErrorKind::Request(
            "it has a header that only the client may set: host, content-length, connection or the like",
        ));
    }
    Ok(())
}
