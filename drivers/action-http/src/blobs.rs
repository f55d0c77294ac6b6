//! Bodies that lie in blobs: what is sent from one, and what is put into one.

use async_trait::async_trait;
use bytes::Bytes;
use nebula_action::{
    ActionContext, ActionError, BlobBody, HttpBody, HttpError, HttpErrorKind, RequestBody,
};
use nebula_core::{BlobId, ByteSize, Digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error;

/// The largest body that is put into a blob, or sent from one.
pub const MAX_BLOB: ByteSize = ByteSize::mib(4096);

/// A body of no more than this is sent from memory: with its length, and once more after a redirect.
const IN_MEMORY: ByteSize = ByteSize::mib(16);

/// The name of a blob, as a node gives it.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlobName {
    /// The SHA-256 of its bytes: 64 hexadecimal digits.
    digest: String,
    /// How many bytes it has.
    length: u64,
}

impl From<BlobId> for BlobName {
    fn from(blob: BlobId) -> Self {
        Self {
            digest: blob.digest.to_string(),
            length: blob.length,
        }
    }
}

impl BlobName {
    fn id(&self) -> Result<BlobId, ActionError> {
        let wrong = |field: &str, message: String| {
            ActionError::invalid_input("HTTP_BODY", format!("/body/blob/{field}"), message)
        };
        let digest: Digest = self
            .digest
            .parse()
            .map_err(|_| wrong("digest", "a digest has 64 hexadecimal digits".to_owned()))?;
        if self.length > MAX_BLOB.as_u64() {
            let message = format!("at most {MAX_BLOB} are sent from a blob");
            return Err(wrong("length", message));
        }
        Ok(BlobId {
            digest,
            length: self.length,
        })
    }
}

/// What is sent from a blob.
pub(crate) async fn body(ctx: &ActionContext, name: &BlobName) -> Result<RequestBody, ActionError> {
    let (id, blobs) = (name.id()?, ctx.blobs()?);
    let missing = || {
        let message =
            format!("there is no blob {id}; a blob goes when no execution names it any more");
        ActionError::fatal("BLOB_MISSING", message)
    };
    if id.length <= IN_MEMORY.as_u64() {
        let bytes = blobs.read(id).await?.ok_or_else(missing)?;
        return Ok(RequestBody::Bytes(bytes));
    }
    let body = blobs.open(id).await?.ok_or_else(missing)?;
    Ok(RequestBody::Stream(Box::new(Sent(body))))
}

/// A blob on its way to a server.
#[derive(Debug)]
struct Sent(Box<dyn BlobBody>);

#[async_trait]
impl HttpBody for Sent {
    async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        self.0.chunk().await.map_err(|failed| HttpError {
            kind: HttpErrorKind::Protocol(format!("the blob cannot be read: {}", failed.message)),
            origin: "the body that was sent".to_owned(),
            sent: true,
        })
    }
}

/// An answer on its way into a blob: what was read of it already, and the rest.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) first: Vec<u8>,
    pub(crate) rest: Box<dyn HttpBody>,
    /// Whether the server may have changed something.
    pub(crate) writes: bool,
}

#[async_trait]
impl BlobBody for Received {
    async fn chunk(&mut self) -> Result<Option<Bytes>, ActionError> {
        if !self.first.is_empty() {
            return Ok(Some(std::mem::take(&mut self.first).into()));
        }
        let chunk = self.rest.chunk().await;
        chunk.map_err(|failed| error::of(&failed, self.writes))
    }
}
