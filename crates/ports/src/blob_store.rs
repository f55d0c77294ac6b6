//! Large content, named by what it is.

use std::{fmt, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use nebula_core::{BlobId, ByteSize, Digest, TenantId, Timestamp};

use crate::Result;

/// The longest piece in which a read hands out content.
pub const MAX_BLOB_CHUNK: ByteSize = ByteSize::kib(256);

/// How many blobs or tenants one page of a listing has, at most.
pub const MAX_BLOB_PAGE: usize = 1_000;

/// Content in pieces, in order; ends after its first error.
pub type BlobStream<'a> = BoxStream<'a, Result<Bytes>>;

/// A blob that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// Its name.
    pub id: BlobId,
    /// When it was put or renewed last, by the store's clock. Each renewal makes it later, also
    /// when the clock stands still or goes back; so it says, too, which renewal was the last.
    pub renewed_at: Timestamp,
}

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum BlobPut {
    /// It is there now, and durable.
    Stored(Blob),
    /// The same content was there, whole and durable; its age was renewed.
    Known(Blob),
    /// The content has more bytes than the caller allows; nothing was stored.
    TooLarge,
}

/// What became of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum BlobRenewed {
    /// Its age begins anew.
    Renewed(Blob),
    /// There is none, or what is there has another length: it must be put.
    Missing,
}

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum BlobDeleted {
    /// It is gone.
    Deleted,
    /// Somebody has renewed it since it was seen; it stays.
    Renewed(Blob),
    /// There was none.
    Missing,
}

/// A blob that is being read.
pub struct BlobRead {
    /// What is read.
    pub blob: Blob,
    /// Its bytes, in pieces of at most [`MAX_BLOB_CHUNK`].
    pub content: BlobStream<'static>,
}

impl fmt::Debug for BlobRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobRead")
            .field("blob", &self.blob)
            .finish_non_exhaustive()
    }
}

/// Which blobs of a tenant to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobListing {
    /// The digits with which the digest begins: at most 64, hex, lower case. Empty for all.
    pub prefix: String,
    /// Only what was renewed before this, by the store's clock.
    pub renewed_before: Timestamp,
    /// Only what comes behind this one: the last of the page before.
    pub after: Option<Digest>,
    /// At most so many, and at most [`MAX_BLOB_PAGE`].
    pub limit: usize,
}

impl Default for BlobListing {
    /// The first page of all blobs.
    fn default() -> Self {
        Self {
            prefix: String::new(),
            renewed_before: Timestamp::MAX,
            after: None,
            limit: MAX_BLOB_PAGE,
        }
    }
}

/// A part of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlobPage {
    /// In the order of their digests.
    pub blobs: Vec<Blob>,
    /// What to list after, if there may be more.
    pub next: Option<Digest>,
}

/// Large content beside the journal: written once, named by its digest, read whole or in part.
///
/// Rules (each is a test of `nebula_testkit::blob_store!`): a put is durable before it answers, and
/// stores all of the content or nothing; content is named by its SHA-256 and its length, however it
/// came in pieces; the same content again writes nothing and renews the age, and mends what is
/// damaged; each renewal is later than the one before; a read of the whole blob verifies length and
/// digest, one of a part the length alone; reading renews nothing; a deletion spares what was
/// renewed since it was seen; listings go by digest, page by page, each blob once; a tenant sees its
/// own blobs and nobody else's.
///
/// Nothing here counts references. Who names a blob in a journal puts or renews it first, and
/// commits within the collector's grace; who collects deletes only what no journal names and what
/// nobody has renewed for longer than that.
#[async_trait]
pub trait BlobStore: fmt::Debug + Send + Sync + 'static {
    /// Stores `content` of at most `max_bytes` bytes.
    ///
    /// # Errors
    /// An error in `content` is returned as it is; nothing is stored then.
    /// `Full`, `ReadOnly`: nothing is stored. `Unavailable`: it may be stored; put it again.
    ///
    /// # Cancel safety
    /// A dropped call stores all or nothing; what it leaves half written is cleared away.
    async fn put(
        &self,
        tenant: &TenantId,
        content: BlobStream<'_>,
        max_bytes: ByteSize,
    ) -> Result<BlobPut>;

    /// Begins the age of a blob anew, as a repeated put does, without its content. Looks at its
    /// length and not at its bytes.
    ///
    /// # Errors
    /// `Full`, `ReadOnly`: nothing was changed. `Unavailable`: it may have been renewed.
    async fn renew(&self, tenant: &TenantId, id: BlobId) -> Result<BlobRenewed>;

    /// Reads a blob, or the bytes of `range` alone; `None` if there is none.
    ///
    /// A read of all bytes verifies the digest: damage comes as an error in the place of the end, so
    /// whoever acts on what was read waits for the end. A read of a part verifies that the blob has
    /// the length that `id` says, and nothing else.
    ///
    /// # Errors
    /// `Corrupt`: the blob has another length than `id` says; within the content, also other bytes.
    /// `Invalid`: `range` does not lie in the blob. `Unavailable`.
    async fn get(
        &self,
        tenant: &TenantId,
        id: BlobId,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>>;

    /// Looks at a blob without reading it: its length is the one that is stored.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn head(&self, tenant: &TenantId, digest: Digest) -> Result<Option<Blob>>;

    /// Deletes a blob, unless somebody has renewed it since `seen`.
    ///
    /// # Errors
    /// `ReadOnly`: it stays. `Unavailable`: it may be gone.
    async fn delete(
        &self,
        tenant: &TenantId,
        digest: Digest,
        seen: Timestamp,
    ) -> Result<BlobDeleted>;

    /// One page of a tenant's blobs. What comes or goes meanwhile may be in it or not; all else is
    /// on exactly one page.
    ///
    /// # Errors
    /// `Invalid`: the prefix is none. `Unavailable`.
    async fn list(&self, tenant: &TenantId, listing: &BlobListing) -> Result<BlobPage>;

    /// At most `limit` (and [`MAX_BLOB_PAGE`]) tenants that have blobs, or had, in the order of their
    /// ids, from the one behind `after`.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>>;
}

/// What follows from the calls of a [`BlobStore`].
#[async_trait]
pub trait BlobStoreExt: BlobStore {
    /// Stores content that is in memory; one that is there already is renewed, mended if need be.
    ///
    /// # Errors
    /// As [`BlobStore::put`].
    async fn put_bytes(&self, tenant: &TenantId, content: Bytes) -> Result<Blob> {
        let all = ByteSize::bytes(content.len() as u64);
        match self.put(tenant, one_piece(content), all).await? {
            BlobPut::Stored(blob) | BlobPut::Known(blob) => Ok(blob),
            BlobPut::TooLarge => unreachable!("content is not longer than it is"),
        }
    }

    /// Reads a whole blob into memory, verified; `None` if there is none. `id` says how large it is.
    ///
    /// # Errors
    /// As [`BlobStore::get`].
    async fn get_bytes(&self, tenant: &TenantId, id: BlobId) -> Result<Option<Vec<u8>>> {
        let Some(mut read) = self.get(tenant, id, None).await? else {
            return Ok(None);
        };
        let mut bytes = Vec::with_capacity(usize::try_from(id.length).unwrap_or(0));
        while let Some(chunk) = read.content.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(Some(bytes))
    }
}

impl<T: BlobStore + ?Sized> BlobStoreExt for T {}

/// Content that is in memory, as [`BlobStore::put`] takes it.
#[must_use]
pub fn one_piece(content: Bytes) -> BlobStream<'static> {
    stream::iter([Ok(content)]).boxed()
}
