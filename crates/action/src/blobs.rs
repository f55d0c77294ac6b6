//! Large content beside values: what an attempt puts into blobs, and reads from them.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use nebula_core::{BlobId, ByteSize};

use crate::ActionError;

/// The blobs of an attempt's tenant. [`ActionContext::blobs`](crate::ActionContext::blobs) gives them to
/// who holds the capability `blob`.
///
/// A blob stays as long as a journal names it: whoever puts one names it in the result of the attempt, by
/// its digest. Secrets that the attempt uses are looked for in what it puts.
#[async_trait]
pub trait AttemptBlobs: fmt::Debug + Send + Sync + 'static {
    /// Puts content, durably; `None` if it is larger than `max`, and then nothing was put.
    ///
    /// # Errors
    /// An error of `content`, as it is. Class `Retryable`: the store is away, or full. Class `Denied`: a
    /// secret was found in it. Class `LimitExceeded`: it is too large to be searched for secrets.
    ///
    /// # Cancel safety
    /// A dropped call puts all or nothing.
    async fn put(
        &self,
        content: &mut dyn BlobBody,
        max: ByteSize,
    ) -> Result<Option<BlobId>, ActionError>;

    /// Begins to read a blob that a parameter of the attempt names (its digest is a text in them), or that
    /// the attempt has put; `None` if there is none.
    ///
    /// # Errors
    /// Class `Denied`: it is another blob, whether there is one or not. Class `Retryable`: the store is away.
    /// Class `Fatal`: the blob is damaged.
    async fn open(&self, blob: BlobId) -> Result<Option<Box<dyn BlobBody>>, ActionError>;
}

/// The bytes of a blob, one part after the other.
#[async_trait]
pub trait BlobBody: fmt::Debug + Send + 'static {
    /// The next part, never empty; `None` at the end. What was read counts only when the end has come:
    /// damage shows in its place.
    ///
    /// # Errors
    /// What was read is not the blob, or cannot be read; every later call fails, too.
    async fn chunk(&mut self) -> Result<Option<Bytes>, ActionError>;
}

impl dyn AttemptBlobs {
    /// A whole blob, verified; `None` if there is none. Its length, which its name says, is the memory that
    /// it takes.
    ///
    /// # Errors
    /// As [`open`](AttemptBlobs::open) and [`BlobBody::chunk`].
    pub async fn read(&self, blob: BlobId) -> Result<Option<Bytes>, ActionError> {
        let Some(mut body) = self.open(blob).await? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = body.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes.into()))
    }
}
