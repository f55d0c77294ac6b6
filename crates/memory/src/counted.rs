//! Blobs whose bytes are counted on their way.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use nebula_core::{BlobId, ByteSize, Digest, TenantId, Timestamp};
use nebula_ports::{
    Blob, BlobDeleted, BlobListing, BlobPage, BlobPut, BlobRead, BlobRenewed, BlobStore,
    BlobStream, Result,
};

/// A [`BlobStore`] that counts the bytes which go through it, and is another one in all else.
#[derive(Debug)]
pub struct CountedBlobs {
    blobs: Arc<dyn BlobStore>,
    written: AtomicU64,
    read: Arc<AtomicU64>,
}

impl CountedBlobs {
    /// Counts what goes to and comes from `blobs`.
    #[must_use]
    pub fn new(blobs: Arc<dyn BlobStore>) -> Self {
        Self {
            blobs,
            written: AtomicU64::default(),
            read: Arc::default(),
        }
    }

    /// How many bytes were written so far, those that were there already included, and how many read.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.written.load(Relaxed), self.read.load(Relaxed))
    }
}

#[async_trait]
impl BlobStore for CountedBlobs {
    async fn put(
        &self,
        tenant: &TenantId,
        content: BlobStream<'_>,
        max_bytes: ByteSize,
    ) -> Result<BlobPut> {
        let put = self.blobs.put(tenant, content, max_bytes).await?;
        if let BlobPut::Stored(blob) | BlobPut::Known(blob) = &put {
            self.written.fetch_add(blob.id.length, Relaxed);
        }
        Ok(put)
    }

    async fn renew(&self, tenant: &TenantId, id: BlobId) -> Result<BlobRenewed> {
        self.blobs.renew(tenant, id).await
    }

    async fn get(
        &self,
        tenant: &TenantId,
        id: BlobId,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>> {
        let Some(found) = self.blobs.get(tenant, id, range).await? else {
            return Ok(None);
        };
        let read = self.read.clone();
        let content = found.content.inspect(move |piece| {
            if let Ok(piece) = piece {
                read.fetch_add(piece.len() as u64, Relaxed);
            }
        });
        Ok(Some(BlobRead {
            content: Box::pin(content),
            ..found
        }))
    }

    async fn head(&self, tenant: &TenantId, digest: Digest) -> Result<Option<Blob>> {
        self.blobs.head(tenant, digest).await
    }

    async fn delete(
        &self,
        tenant: &TenantId,
        digest: Digest,
        seen: Timestamp,
    ) -> Result<BlobDeleted> {
        self.blobs.delete(tenant, digest, seen).await
    }

    async fn list(&self, tenant: &TenantId, listing: &BlobListing) -> Result<BlobPage> {
        self.blobs.list(tenant, listing).await
    }

    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>> {
        self.blobs.tenants(after, limit).await
    }
}
