//! One request to a receiver, with its retries.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use nebula_action::{
    Capability, Egress, Grants, HostPattern, HttpClient, HttpLimits, HttpRequest, RequestBody,
    retry_after,
};
use nebula_core::{ByteSize, Clock, ExposeSecret as _, SecretString};
use nebula_resilience::{Again, RetryPolicy, retry};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use url::Url;

use super::OtlpError;
use crate::metrics::Signal;

/// The media type of a request.
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// The largest answer that is read.
const MAX_ANSWER: ByteSize = ByteSize::kib(64);

/// The most of an answer that is shown, in characters.
const MAX_SHOWN: usize = 200;

/// What could not be delivered, and why.
#[derive(Debug)]
pub(super) struct Undelivered {
    pub(super) why: String,
}

/// Why one try failed.
struct Failed {
    why: String,
    again: Again,
}

pub(super) struct Sender {
    client: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    endpoint: Url,
    egress: Egress,
    headers: HeaderMap,
    limits: HttpLimits,
    policy: RetryPolicy,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl Sender {
    pub(super) fn new(
        endpoint: &str,
        authorization: Option<&SecretString>,
        timeout: Duration,
        (client, clock): (Arc<dyn HttpClient>, Arc<dyn Clock>),
    ) -> Result<Self, OtlpError> {
        let wrong = |why: &str| Err(OtlpError::Endpoint(why.to_owned()));
        let Ok(endpoint) = Url::parse(endpoint) else {
            return wrong("it is no address");
        };
        if !matches!(endpoint.scheme(), "http" | "https") || endpoint.host().is_none() {
            return wrong("it is no address of HTTP");
        }
        if endpoint.query().is_some() || endpoint.fragment().is_some() {
            return wrong("it has a query or a fragment");
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return wrong("it has a name or a password; keep them as a secret");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, PROTOBUF);
        headers.insert(header::ACCEPT, PROTOBUF);
        if let Some(value) = authorization {
            let value = HeaderValue::from_str(value.expose_secret());
            let mut value = value.map_err(|_| OtlpError::Authorization)?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        // The operator has named it, so wherever its name leads is where they want to export to.
        let mut granted: Vec<_> = Egress::needed(&endpoint).into_iter().collect();
        let port = endpoint.port_or_known_default();
        for range in ["0.0.0.0/0", "[::/0]"] {
            let host: HostPattern = range.parse().expect("these are ranges");
            granted.push(Capability::Net { host, port });
        }
        Ok(Self {
            client,
            clock,
            endpoint,
            egress: Egress::new(&Grants::new(granted)),
            headers,
            limits: HttpLimits {
                total: timeout,
                head: timeout,
                idle: timeout,
                max_body: MAX_ANSWER,
                // What is exported goes where the operator said, and nowhere else.
                redirects: None,
                ..HttpLimits::default()
            },
            policy: RetryPolicy {
                max_attempts: 4,
                ..RetryPolicy::default()
            },
        })
    }

    /// Delivers a request for this signal. How many of its items the receiver refused.
    ///
    /// # Errors
    /// [`Undelivered`]: the receiver did not take it, also when it was asked again.
    pub(super) async fn send(
        &self,
        signal: Signal,
        request: &impl Message,
    ) -> Result<u64, Undelivered> {
        let body = Bytes::from(request.encode_to_vec());
        let mut url = self.endpoint.clone();
        let path = url.path().trim_end_matches('/');
        let path = format!("{path}/v1/{}", signal.as_str());
        url.set_path(&path);
        let seed = body.len() as u64 ^ self.clock.monotonic().as_millis() as u64;
        let judge = |failed: &Failed| failed.again;
        let sent = retry(self.clock.as_ref(), &self.policy, seed, judge, |_| {
            self.once(url.clone(), body.clone())
        });
        sent.await.map_err(|failed| Undelivered { why: failed.why })
    }

    async fn once(&self, url: Url, body: Bytes) -> Result<u64, Failed> {
        let request = HttpRequest {
            method: Method::POST,
            url,
            headers: self.headers.clone(),
            body: RequestBody::Bytes(body),
            limits: self.limits.clone(),
            sender: nebula_action::Sender::default(),
        };
        let response = self.client.send(&self.egress, request).await;
        let response = response.map_err(|error| Failed {
            why: error.to_string(),
            again: Again::Yes(None),
        })?;
        let (status, headers) = (response.status, response.headers.clone());
        let answer = response.bytes().await.unwrap_or_default();
        if status.is_success() {
            return Ok(refused(&answer));
        }
        // Those that the protocol calls retryable; all others say that the same is refused again.
        let again = match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Again::Yes(retry_after(&headers)),
            _ => Again::No,
        };
        let text = String::from_utf8_lossy(&answer);
        let shown: String = text.chars().filter(|it| !it.is_control()).collect();
        let shown: String = shown.chars().take(MAX_SHOWN).collect();
        Err(Failed {
            why: format!("the receiver answered {status}: {shown}"),
            again,
        })
    }
}

/// How many items an answer says were refused. The answers of all signals have one shape.
fn refused(answer: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(answer).ok();
    let partial = answer.and_then(|it| it.partial_success);
    partial.map_or(0, |it| u64::try_from(it.rejected_spans).unwrap_or(0))
}
