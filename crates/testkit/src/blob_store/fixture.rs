//! What the rules begin with: content, tenants, reads.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use nebula_core::{BlobId, ByteSize, Digest, TenantId};
use nebula_ports::{
    Blob, BlobListing, BlobPut, BlobStoreExt, BlobStream, ErrorKind, PortError, Result,
};

use super::Subject;

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// More than any rule puts.
pub(super) const ROOM: ByteSize = ByteSize::mib(16);

pub(super) fn tenant() -> TenantId {
    TenantId::local()
}

pub(super) fn tenant_of(text: &str) -> TenantId {
    TenantId::new(text).unwrap()
}

/// Pieces of content.
pub(super) fn pieces(parts: &[&[u8]]) -> BlobStream<'static> {
    let parts: Vec<_> = parts
        .iter()
        .map(|part| Ok(Bytes::copy_from_slice(part)))
        .collect();
    stream::iter(parts).boxed()
}

/// A source that says so much and then fails.
pub(super) fn failing(parts: &[&[u8]]) -> BlobStream<'static> {
    let error = PortError::new(ErrorKind::Full, "source", "read on", "the source failed");
    pieces(parts).chain(stream::iter([Err(error)])).boxed()
}

/// A source that says so much and then nothing, for ever.
pub(super) fn silent(parts: &[&[u8]]) -> BlobStream<'static> {
    pieces(parts).chain(stream::pending()).boxed()
}

/// Content that is not like that of another number, so many bytes long.
pub(super) fn content(number: u64, length: usize) -> Vec<u8> {
    let random = crate::SeededEntropy::new(number);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&nebula_core::Entropy::next_u64(&random).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

impl Subject {
    pub(super) async fn put(&self, content: &[u8]) -> Blob {
        self.put_in(&tenant(), content).await
    }

    pub(super) async fn put_in(&self, tenant: &TenantId, content: &[u8]) -> Blob {
        let content = Bytes::copy_from_slice(content);
        self.store.put_bytes(tenant, content).await.unwrap()
    }

    pub(super) async fn put_pieces(&self, content: BlobStream<'_>, limit: u64) -> Result<BlobPut> {
        let limit = ByteSize::bytes(limit);
        self.store.put(&tenant(), content, limit).await
    }

    /// The whole content, or what went wrong with it.
    pub(super) async fn read(&self, id: BlobId) -> Result<Option<Vec<u8>>> {
        self.store.get_bytes(&tenant(), id).await
    }

    /// The same of a range.
    pub(super) async fn read_part(&self, id: BlobId, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        let Some(mut read) = self.store.get(&tenant(), id, Some(range)).await? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = read.content.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(Some(bytes))
    }

    pub(super) async fn head(&self, digest: Digest) -> Option<Blob> {
        self.store.head(&tenant(), digest).await.unwrap()
    }

    /// Every blob of the tenant, over all pages.
    pub(super) async fn all(&self) -> Vec<Blob> {
        self.listed(&BlobListing::default()).await
    }

    /// One page.
    pub(super) async fn listed(&self, listing: &BlobListing) -> Vec<Blob> {
        self.store.list(&tenant(), listing).await.unwrap().blobs
    }
}

/// The kind of an error that must be there.
pub(super) fn refused<T: std::fmt::Debug>(answer: Result<T>) -> ErrorKind {
    answer.expect_err("it was not refused").kind
}
