//! Bodies, both ways.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use nebula_action::{HttpBody, HttpError, HttpErrorKind, HttpLimits, HttpPhase, RequestBody};
use nebula_core::Clock;

use crate::{config::HttpConfig, error, pool::Pool};

/// The body of an answer, as it comes, within its limits.
pub(crate) struct AnswerBody {
    pub(crate) response: reqwest::Response,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Arc<HttpConfig>,
    pub(crate) limits: HttpLimits,
    /// When the time for everything is over, on the monotonic clock.
    pub(crate) deadline: Duration,
    pub(crate) origin: String,
    /// Whose connection it comes over: in use until the body is dropped.
    pub(crate) pool: Option<Arc<Pool>>,
    pub(crate) received: u64,
    pub(crate) failed: bool,
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody")
            .field("origin", &self.origin)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl AnswerBody {
    async fn part(&mut self) -> Result<Option<Bytes>, HttpErrorKind> {
        if self.failed {
            let why = "it failed before".to_owned();
            return Err(HttpErrorKind::Protocol(why));
        }
        let left = self.deadline.saturating_sub(self.clock.monotonic());
        let (patience, phase, limit) = if left < self.limits.idle {
            (left, HttpPhase::Total, self.limits.total)
        } else {
            (self.limits.idle, HttpPhase::Idle, self.limits.idle)
        };
        if patience.is_zero() {
            return Err(HttpErrorKind::Timeout { phase, limit });
        }
        let over = self.clock.sleep(patience);
        tokio::pin!(over);
        loop {
            let part = tokio::select! {
                biased;
                part = self.response.chunk() => part,
                () = &mut over => return Err(HttpErrorKind::Timeout { phase, limit }),
            };
            let part = part.map_err(|it| error::of(&it, self.limits.max_head, &self.config))?;
            let Some(part) = part else {
                return Ok(None);
            };
            self.received += part.len() as u64;
            if self.received > self.limits.max_body.as_u64() {
                return Err(HttpErrorKind::BodyTooLarge(self.limits.max_body));
            }
            if !part.is_empty() {
                return Ok(Some(part));
            }
        }
    }
}

#[async_trait]
impl HttpBody for AnswerBody {
    async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        let part = self.part().await;
        part.map_err(|kind| {
            self.failed = true;
            if let Some(pool) = &self.pool {
                pool.failed(&kind);
            }
            HttpError {
                kind,
                origin: self.origin.clone(),
                sent: true,
            }
        })
    }
}

/// The body of a request in reqwest's form.
pub(crate) fn outgoing(body: RequestBody) -> Option<reqwest::Body> {
    match body {
        RequestBody::Empty => None,
        RequestBody::Bytes(bytes) => Some(bytes.into()),
        RequestBody::Stream(body) => {
            let parts = stream::try_unfold(body, |mut body| async move {
                let part = body.chunk().await?;
                Ok::<_, HttpError>(part.map(|part| (part, body)))
            });
            Some(reqwest::Body::wrap_stream(parts))
        }
    }
}
