//! The way out, kept gentle: every request passes the gates of its destination.

mod policy;
mod sent;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use nebula_action::{
    Capability, Egress, HttpClient, HttpError, HttpErrorKind, HttpLimits, HttpPhase, HttpRequest,
    HttpResponse, RequestBody, Sender, origin_of, retry_after,
};
use nebula_core::{Clock, CredentialId, TenantId};
use nebula_resilience::{
    Again, COME_AGAIN, Gate, GatePolicy, Gates, Jitter, Pass, Reason, Refused, RetryPolicy,
    Snapshot, Turned, Verdict, hedge, retry, timeout,
};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use url::Url;

pub use policy::{CallLimits, HttpPolicy, HttpPolicyError};
use sent::Watched;

/// How much longer than its own limit a client may take, before it is given up.
const OVERTIME: Duration = Duration::from_secs(5);

/// An [`HttpClient`] before which stand a breaker, a bulkhead, rates and the pauses that servers ask for.
///
/// Each pair of destination (host and port) and credential of a tenant has a gate; hosts and credentials
/// with limits of their own have one more. A request that cannot pass within its patience is not sent:
/// [`HttpErrorKind::Held`] says why, and when it may come again. What fails on the way to the first URL, or
/// is answered with 500, 502, 503, 504 or another 5xx but 501 and 505, counts against the destination; 429
/// and 503 with `Retry-After` pause it.
///
/// Redirects are followed by the client behind it, and only the first URL passes a gate. What [`Egress`]
/// refuses makes no gate, and uses nothing up.
#[derive(Debug)]
pub struct PacedHttp {
    client: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    /// Gates are made and changed under this lock alone, so that none has the limits of before.
    rules: RwLock<Arc<Rules>>,
    gates: Gates<Lane>,
    /// Spreads the waits of requests that are tried again.
    seed: AtomicU64,
}

/// What requests keep to, and the entries of [`HttpPolicy::hosts`], the one that counts first.
#[derive(Debug)]
struct Rules {
    policy: HttpPolicy,
    hosts: Vec<(Capability, String)>,
}

impl Rules {
    fn new(policy: HttpPolicy) -> Result<Self, HttpPolicyError> {
        policy.check()?;
        Ok(Self {
            hosts: policy.host_rules()?,
            policy,
        })
    }

    /// What stands before a lane; nothing, where nothing is said of it any more.
    fn before(&self, lane: &Lane) -> GatePolicy {
        let limits = match lane {
            Lane::Destination { .. } => return self.policy.destination(),
            Lane::Host { entry, .. } => self.policy.hosts.get(entry),
            Lane::Credential { credential, .. } => self.policy.credentials.get(credential.as_str()),
        };
        self.policy.shared(limits.copied().unwrap_or_default())
    }
}

/// What a gate is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Lane {
    /// What goes to one place with one credential.
    Destination {
        /// Whose requests.
        tenant: Option<TenantId>,
        /// Where to: `api.example:443`.
        host: String,
        /// With which credential, if with one.
        credential: Option<CredentialId>,
    },
    /// What goes to the hosts of one entry of [`HttpPolicy::hosts`].
    Host {
        /// Whose requests.
        tenant: Option<TenantId>,
        /// The entry.
        entry: String,
    },
    /// What is sent with a credential of [`HttpPolicy::credentials`].
    Credential {
        /// Whose it is.
        tenant: Option<TenantId>,
        /// Which one.
        credential: CredentialId,
    },
}

/// How requests to one destination, host or credential stand, as plain data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneState {
    /// Whose gate.
    pub lane: Lane,
    /// How it stands.
    pub gate: Snapshot,
}

/// The passes of one request, that of its destination first.
type Passes = Vec<Pass>;

impl PacedHttp {
    /// Puts gates before `client`.
    ///
    /// # Errors
    /// [`HttpPolicyError`]: a number is out of its range, or a key names no host or credential.
    pub fn new(
        client: Arc<dyn HttpClient>,
        clock: Arc<dyn Clock>,
        policy: HttpPolicy,
    ) -> Result<Self, HttpPolicyError> {
        let gates = Gates::new(Arc::clone(&clock), policy.max_destinations);
        Ok(Self {
            rules: RwLock::new(Arc::new(Rules::new(policy)?)),
            gates,
            client,
            clock,
            seed: AtomicU64::new(0),
        })
    }

    /// Has requests keep to `policy` from now on, but for its breaker and `max_destinations`, which stay.
    /// What is under way stays, also where it is more than may be now; a rate that is another one begins full.
    ///
    /// # Errors
    /// [`HttpPolicyError`]: a number is out of its range, or a key names no host or credential; nothing has
    /// changed then.
    pub fn adjust(&self, policy: HttpPolicy) -> Result<(), HttpPolicyError> {
        let mut rules = self.rules.write();
        let next = Rules::new(policy)?;
        let now = &rules.policy;
        let next = Arc::new(Rules {
            policy: HttpPolicy {
                use_breaker: now.use_breaker,
                breaker: now.breaker,
                max_destinations: now.max_destinations,
                ..next.policy
            },
            ..next
        });
        *rules = Arc::clone(&next);
        self.gates.adjust(|lane| next.before(lane));
        Ok(())
    }

    /// What requests keep to now.
    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read())
    }

    /// How every gate stands that is remembered.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneState> {
        let gates = self.gates.snapshot().into_iter();
        gates.map(|(lane, gate)| LaneState { lane, gate }).collect()
    }

    /// Every gate that `url` passes for `sender`, its destination's first; `None` if there are too many.
    fn gates(&self, url: &Url, sender: &Sender) -> Option<Vec<Arc<Gate>>> {
        let (tenant, credential) = (&sender.tenant, &sender.credential);
        let host = format!(
            "{}:{}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default()
        );
        let destination = Lane::Destination {
            tenant: tenant.clone(),
            host,
            credential: credential.clone(),
        };
        let rules = self.rules.read();
        let mut lanes = BTreeSet::new();
        if let Some(needed) = Egress::needed(url)
            && let Some((_, entry)) = rules.hosts.iter().find(|(rule, _)| rule.covers(&needed))
        {
            lanes.insert(Lane::Host {
                tenant: tenant.clone(),
                entry: entry.clone(),
            });
        }
        if let Some(id) = credential
            && rules.policy.credentials.contains_key(id.as_str())
        {
            lanes.insert(Lane::Credential {
                tenant: tenant.clone(),
                credential: id.clone(),
            });
        }
        let all = std::iter::once(destination).chain(lanes);
        all.map(|lane| self.gates.gate(&lane, || rules.before(&lane)))
            .collect()
    }

    /// Passes every gate, or none.
    async fn enter(
        &self,
        url: &Url,
        sender: &Sender,
        patience: Duration,
    ) -> Result<Passes, HttpError> {
        let held = |refused| HttpError {
            kind: HttpErrorKind::Held(refused),
            origin: origin_of(url),
            sent: false,
        };
        let gates = self.gates(url, sender).ok_or_else(|| {
            held(Refused {
                reason: Reason::Crowded,
                after: COME_AGAIN,
            })
        })?;
        let until = self.clock.monotonic() + patience;
        let mut passes = Vec::with_capacity(gates.len());
        for gate in gates {
            let left = until.saturating_sub(self.clock.monotonic());
            passes.push(gate.enter(left).await.map_err(held)?);
        }
        Ok(passes)
    }

    /// One request, from the gates to the head of its answer.
    async fn once(
        &self,
        egress: &Egress,
        mut request: HttpRequest,
        patience: Duration,
    ) -> Result<HttpResponse, HttpError> {
        let (origin, began) = (origin_of(&request.url), self.clock.monotonic());
        let passes = self.enter(&request.url, &request.sender, patience).await?;
        let waited = self.clock.monotonic().saturating_sub(began);
        let limits = &mut request.limits;
        limits.total = limits.total.saturating_sub(waited);
        let limit = limits.total;
        let sending = self.client.send(egress, request);
        let failed = match timeout(&*self.clock, limit + OVERTIME, sending).await {
            Ok(Ok(answer)) => return Ok(self.answered(answer, origin, passes)),
            Ok(Err(error)) => error,
            Err(_) => HttpError {
                kind: HttpErrorKind::Timeout {
                    phase: HttpPhase::Total,
                    limit,
                },
                origin: origin.clone(),
                sent: true,
            },
        };
        end(passes, of_error(&failed, &origin), &origin);
        Err(failed)
    }

    /// What an answer says about its destination; its body says the rest.
    fn answered(&self, answer: HttpResponse, origin: String, passes: Passes) -> HttpResponse {
        // What another origin answered, to which this one led, is none of its own.
        let own = origin_of(&answer.url) == origin;
        let asks = matches!(
            answer.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        if own
            && asks
            && let Some(after) = retry_after(&answer.headers)
            && let Some(pass) = passes.first()
        {
            pass.gate().pause(after, self.rules().policy.max_pause);
        }
        let verdict = match own && is_fault(answer.status) {
            true => Verdict::Bad,
            false => Verdict::Good,
        };
        HttpResponse {
            body: Box::new(Watched::new(answer.body, passes, verdict, origin)),
            ..answer
        }
    }

    /// Sends what can be sent again: without an answer for long a second time beside the first, without a
    /// connection again.
    async fn repeatable(
        &self,
        egress: &Egress,
        model: Model,
        patience: Duration,
    ) -> Result<HttpResponse, HttpError> {
        let reads = matches!(model.method, Method::GET | Method::HEAD);
        let rules = self.rules();
        let policy = RetryPolicy {
            max_attempts: rules.policy.connect_attempts,
            initial: Duration::from_millis(100),
            max: Duration::from_secs(1),
            jitter: Jitter::Full,
            ..RetryPolicy::default()
        };
        let judge = |error: &HttpError| match error.kind {
            HttpErrorKind::Connect(_) if !error.sent => Again::Yes(None),
            _ => Again::No,
        };
        let seed = self.seed.fetch_add(1, Ordering::Relaxed);
        let call = |_| async {
            let Some(delay) = rules.policy.hedge_after.filter(|_| reads) else {
                return self.once(egress, model.request(), patience).await;
            };
            let asked = hedge(&*self.clock, delay, |number| {
                // The second one takes what is free, and waits for nothing.
                let patience = if number == 1 {
                    patience
                } else {
                    Duration::ZERO
                };
                Some(self.once(egress, model.request(), patience))
            });
            asked.await.expect("the first call is always made")
        };
        retry(&*self.clock, &policy, seed, judge, call).await
    }
}

#[async_trait]
impl HttpClient for PacedHttp {
    async fn send(&self, egress: &Egress, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if egress.target(&request.url).is_err() {
            return self.client.send(egress, request).await;
        }
        let HttpLimits { total, turn, .. } = request.limits;
        // At least half of the time is for the request itself.
        let patience = turn.unwrap_or(self.rules().policy.wait).min(total / 2);
        match Model::of(request) {
            Ok(model) => self.repeatable(egress, model, patience).await,
            Err(request) => self.once(egress, *request, patience).await,
        }
    }

    /// Passes no gate: it asks whether somebody is there, and nothing of him.
    async fn connect(&self, egress: &Egress, url: &Url, limit: Duration) -> Result<(), HttpError> {
        self.client.connect(egress, url, limit).await
    }

    fn close(&self, sender: &Sender) {
        self.client.close(sender);
    }
}

/// A request that can be made several times.
#[derive(Debug)]
struct Model {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Bytes>,
    limits: HttpLimits,
    sender: Sender,
}

impl Model {
    /// Gives the request back if its body is a stream.
    fn of(request: HttpRequest) -> Result<Self, Box<HttpRequest>> {
        let body = match &request.body {
            RequestBody::Empty => None,
            RequestBody::Bytes(bytes) => Some(bytes.clone()),
            RequestBody::Stream(_) => return Err(Box::new(request)),
        };
        Ok(Self {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body,
            limits: request.limits,
            sender: request.sender,
        })
    }

    fn request(&self) -> HttpRequest {
        HttpRequest {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: self
                .body
                .clone()
                .map_or(RequestBody::Empty, RequestBody::Bytes),
            limits: self.limits.clone(),
            sender: self.sender.clone(),
        }
    }
}

/// Whether a status says that the server cannot do its work: 501 and 505 say that it does not do this.
fn is_fault(status: StatusCode) -> bool {
    status.is_server_error()
        && !matches!(
            status,
            StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED
        )
}

/// What an error says about the destination; one of another origin, to which it redirected, nothing.
fn of_error(error: &HttpError, origin: &str) -> Verdict {
    let own = error.origin == origin;
    match error.kind {
        HttpErrorKind::Resolve(_)
        | HttpErrorKind::Connect(_)
        | HttpErrorKind::Tls(_)
        | HttpErrorKind::Timeout { .. }
        | HttpErrorKind::Protocol(_)
            if own =>
        {
            Verdict::Bad
        }
        _ => Verdict::Neither,
    }
}

/// Ends a call; whoever looks at the log learns that a breaker turned.
fn end(passes: Passes, verdict: Verdict, origin: &str) {
    for pass in passes {
        match pass.end(verdict) {
            None => {}
            Some(Turned::Opened(open_for)) => tracing::warn!(
                destination = origin,
                open_ms = u64::try_from(open_for.as_millis()).unwrap_or(u64::MAX),
                "too many requests failed: no more are sent for a while"
            ),
            Some(Turned::Closed) => {
                tracing::info!(destination = origin, "a request went well: more are sent");
            }
        }
    }
}
