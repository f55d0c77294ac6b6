//! The body of an answer, watched to its end: only then is the request over.

use async_trait::async_trait;
use bytes::Bytes;
use nebula_action::{HttpBody, HttpError};
use nebula_resilience::Verdict;

use super::{Passes, end, of_error};

/// A body that gives its request's passes back when it ends.
#[derive(Debug)]
pub(super) struct Watched {
    body: Box<dyn HttpBody>,
    passes: Passes,
    verdict: Verdict,
    origin: String,
}

impl Watched {
    /// `verdict` is what the head of the answer said.
    pub(super) fn new(
        body: Box<dyn HttpBody>,
        passes: Passes,
        verdict: Verdict,
        origin: String,
    ) -> Self {
        Self {
            body,
            passes,
            verdict,
            origin,
        }
    }

    fn end(&mut self, verdict: Verdict) {
        end(std::mem::take(&mut self.passes), verdict, &self.origin);
    }
}

#[async_trait]
impl HttpBody for Watched {
    async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        let chunk = self.body.chunk().await;
        match &chunk {
            Ok(Some(_)) => {}
            Ok(None) => self.end(self.verdict),
            Err(error) => {
                let verdict = of_error(error, &self.origin);
                let worse = if self.verdict == Verdict::Bad {
                    Verdict::Bad
                } else {
                    verdict
                };
                self.end(worse);
            }
        }
        chunk
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Nobody read to the end: a bad head is bad all the same, a good one may have had a bad end.
        let verdict = match self.verdict {
            Verdict::Bad => Verdict::Bad,
            Verdict::Good | Verdict::Neither => Verdict::Neither,
        };
        self.end(verdict);
    }
}
