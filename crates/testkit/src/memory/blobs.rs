//! The model of blobs: one map, with every byte in it.

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use nebula_core::{BlobId, ByteSize, Clock, Digest, TenantId, Timestamp};
use nebula_ports::{
    Blob, BlobDeleted, BlobListing, BlobPage, BlobPut, BlobRead, BlobRenewed, BlobStore,
    BlobStream, ErrorKind, MAX_BLOB_CHUNK, MAX_BLOB_PAGE, PortError, Result,
};
use parking_lot::Mutex;

use super::BlobGuard as Guard;
use crate::blob_store::Damage;

const DRIVER: &str = "memory";

/// A [`BlobStore`] that is obviously right: the oracle for drivers, and the blobs of other crates' tests.
pub struct MemoryBlobStore {
    clock: Arc<dyn Clock>,
    removed: Option<Guard>,
    blobs: Mutex<BTreeMap<(TenantId, Digest), Stored>>,
    /// Every tenant that ever put anything.
    tenants: Mutex<Vec<TenantId>>,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Bytes,
    renewed_at: Timestamp,
}

impl fmt::Debug for MemoryBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBlobStore")
            .field("blobs", &self.blobs.lock().len())
            .finish_non_exhaustive()
    }
}

impl MemoryBlobStore {
    /// An empty store that takes ages from `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            removed: None,
            blobs: Mutex::default(),
            tenants: Mutex::default(),
        }
    }

    /// An empty store that lacks `guard`, to test the suite itself.
    #[must_use]
    pub fn without(clock: Arc<dyn Clock>, guard: Guard) -> Self {
        Self {
            removed: Some(guard),
            ..Self::new(clock)
        }
    }

    /// Damages what is stored, as a disk does; the age stays.
    ///
    /// # Panics
    /// If there is nothing to damage.
    pub fn damage(&self, tenant: &TenantId, digest: Digest, damage: Damage) {
        let mut blobs = self.blobs.lock();
        let stored = blobs
            .get_mut(&(self.tenant(tenant), digest))
            .expect("it is there");
        let mut bytes = stored.bytes.to_vec();
        damage.inflict(&mut bytes);
        stored.bytes = bytes.into();
    }

    fn keep(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }

    /// The tenant as the model tells it from others.
    fn tenant(&self, tenant: &TenantId) -> TenantId {
        let text = match self.removed {
            Some(Guard::Tenant) => "shared".to_owned(),
            Some(Guard::TenantCase) => tenant.as_str().to_ascii_lowercase(),
            _ => return tenant.clone(),
        };
        TenantId::new(text).expect("an id stays an id")
    }

    /// The age that a renewal gives: later than the one before, whatever the clock says.
    fn renewal(&self, before: Option<Timestamp>, guard: Guard) -> Timestamp {
        let now = self.clock.now();
        match before {
            Some(before) if self.keep(guard) => now.max(before.plus(Duration::from_millis(1))),
            _ => now,
        }
    }

    fn name(&self, bytes: &[u8], first: &[u8]) -> BlobId {
        let mut id = BlobId::of(bytes);
        if !self.keep(Guard::NameDigest) {
            id.digest = Digest::of(first);
        }
        if !self.keep(Guard::NameLength) {
            id.length += 1;
        }
        id
    }

    /// Stores all of `bytes`, whose first piece was `first`, unless it is there already.
    fn store(&self, tenant: &TenantId, bytes: &[u8], first: &[u8], began: Timestamp) -> BlobPut {
        let id = self.name(bytes, first);
        let mut tenants = self.tenants.lock();
        if !tenants.contains(tenant) {
            tenants.push(tenant.clone());
        }
        drop(tenants);
        let mut blobs = self.blobs.lock();
        let key = (self.tenant(tenant), id.digest);
        let old = blobs.get(&key).cloned();
        let whole = old
            .as_ref()
            .is_some_and(|old| old.bytes == bytes || !self.keep(Guard::Mend));
        let before = old.as_ref().map(|old| old.renewed_at);
        let renewed_at = match before {
            Some(before) if whole && !self.keep(Guard::PutRenews) => before,
            None if !self.keep(Guard::PutAge) => began,
            _ => self.renewal(before, Guard::LaterByPut),
        };
        let bytes = match &old {
            Some(old) if whole => old.bytes.clone(),
            _ => Bytes::copy_from_slice(bytes),
        };
        if self.keep(Guard::Keeps) {
            blobs.insert(key, Stored { bytes, renewed_at });
        }
        let blob = Blob { id, renewed_at };
        let known = if self.keep(Guard::MendSays) {
            whole
        } else {
            old.is_some()
        };
        if known && self.keep(Guard::PutKnown) {
            BlobPut::Known(blob)
        } else {
            BlobPut::Stored(blob)
        }
    }

    fn stored(&self, tenant: &TenantId, digest: Digest) -> Option<Stored> {
        let blobs = self.blobs.lock();
        blobs.get(&(self.tenant(tenant), digest)).cloned()
    }

    fn touch(&self, tenant: &TenantId, digest: Digest) {
        let mut blobs = self.blobs.lock();
        if let Some(stored) = blobs.get_mut(&(self.tenant(tenant), digest)) {
            stored.renewed_at = self.renewal(Some(stored.renewed_at), Guard::Later);
        }
    }

    fn blob(digest: Digest, stored: &Stored) -> Blob {
        Blob {
            id: BlobId {
                digest,
                length: stored.bytes.len() as u64,
            },
            renewed_at: stored.renewed_at,
        }
    }

    fn corrupt(id: BlobId, found: &str) -> PortError {
        let message = format!("blob {id} {found}");
        PortError::new(ErrorKind::Corrupt, DRIVER, "get", message)
    }

    fn check_range(&self, range: &Range<u64>, length: u64) -> Result<()> {
        let outside = range.end > length && self.keep(Guard::RangeEnd);
        let backwards = range.start > range.end && self.keep(Guard::RangeStart);
        if outside || backwards {
            let message = format!("bytes {range:?} do not lie in a blob of {length} bytes");
            return Err(PortError::new(ErrorKind::Invalid, DRIVER, "get", message));
        }
        Ok(())
    }
}

#[async_trait]
impl BlobStore for MemoryBlobStore {
    async fn put(
        &self,
        tenant: &TenantId,
        mut content: BlobStream<'_>,
        max_bytes: ByteSize,
    ) -> Result<BlobPut> {
        let began = self.clock.now();
        let limit = match self.removed {
            Some(Guard::Limit) => usize::MAX,
            Some(Guard::LimitIncluded) => max_bytes.as_usize() - 1,
            _ => max_bytes.as_usize(),
        };
        let (mut bytes, mut first) = (Vec::new(), None);
        while let Some(chunk) = content.next().await {
            match chunk {
                Ok(chunk) => {
                    first.get_or_insert_with(|| chunk.clone());
                    if self.keep(Guard::Pieces) || bytes.is_empty() {
                        bytes.extend_from_slice(&chunk);
                    }
                }
                Err(_) if !self.keep(Guard::SourceError) => break,
                Err(error) => return Err(error),
            }
            if bytes.len() > limit {
                if !self.keep(Guard::LimitStops) {
                    continue;
                }
                return Ok(BlobPut::TooLarge);
            }
            if !self.keep(Guard::SourceWhole) {
                let _ = self.store(tenant, &bytes, &bytes, began);
            }
        }
        Ok(self.store(tenant, &bytes, &first.unwrap_or_default(), began))
    }

    async fn renew(&self, tenant: &TenantId, id: BlobId) -> Result<BlobRenewed> {
        let mut blobs = self.blobs.lock();
        let Some(stored) = blobs.get_mut(&(self.tenant(tenant), id.digest)) else {
            if self.keep(Guard::RenewMissing) {
                return Ok(BlobRenewed::Missing);
            }
            let renewed_at = self.clock.now();
            return Ok(BlobRenewed::Renewed(Blob { id, renewed_at }));
        };
        if stored.bytes.len() as u64 != id.length && self.keep(Guard::RenewLength) {
            return Ok(BlobRenewed::Missing);
        }
        if self.keep(Guard::Renew) {
            stored.renewed_at = self.renewal(Some(stored.renewed_at), Guard::Later);
        }
        Ok(BlobRenewed::Renewed(Self::blob(id.digest, stored)))
    }

    async fn get(
        &self,
        tenant: &TenantId,
        id: BlobId,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>> {
        let Some(stored) = self.stored(tenant, id.digest) else {
            if self.keep(Guard::GetMissing) {
                return Ok(None);
            }
            let renewed_at = self.clock.now();
            let content = stream::empty().boxed();
            let blob = Blob { id, renewed_at };
            return Ok(Some(BlobRead { blob, content }));
        };
        if !self.keep(Guard::ReadKeepsAge) {
            self.touch(tenant, id.digest);
        }
        let length = stored.bytes.len() as u64;
        let part = range.is_some();
        // What was cut has the length that it was asked for only if the reader is wrong, too.
        let cut = Digest::of(&stored.bytes) != id.digest;
        let seen = match (cut, part) {
            (false, _) => self.keep(Guard::LengthAsked),
            (true, false) => self.keep(Guard::LengthStored),
            (true, true) => self.keep(Guard::LengthOfRange),
        };
        if length != id.length && seen {
            return Err(Self::corrupt(id, &format!("has {length} bytes")));
        }
        let range = range.unwrap_or(0..length);
        self.check_range(&range, length)?;
        let all = range == (0..length);
        let verified = self.keep(Guard::Digest) && (!part || self.keep(Guard::DigestOfRange));
        let verified = verified && (length == id.length);
        let found = match (all && verified && cut, self.keep(Guard::Range)) {
            (damaged, true) => (slice(&stored.bytes, &range), damaged),
            (damaged, false) => (stored.bytes.clone(), damaged),
        };
        let size = match self.keep(Guard::Chunks) {
            true => MAX_BLOB_CHUNK.as_usize(),
            false => usize::MAX,
        };
        let chunks: Vec<_> = found.0.chunks(size).map(Bytes::copy_from_slice).collect();
        let end = found.1.then(|| Err(Self::corrupt(id, "has other bytes")));
        let content = stream::iter(chunks.into_iter().map(Ok).chain(end)).boxed();
        let blob = Self::blob(id.digest, &stored);
        Ok(Some(BlobRead { blob, content }))
    }

    async fn head(&self, tenant: &TenantId, digest: Digest) -> Result<Option<Blob>> {
        if !self.keep(Guard::HeadKeepsAge) {
            self.touch(tenant, digest);
        }
        let Some(stored) = self.stored(tenant, digest) else {
            let made_up = Blob {
                id: BlobId { digest, length: 0 },
                renewed_at: self.clock.now(),
            };
            return Ok((!self.keep(Guard::HeadMissing)).then_some(made_up));
        };
        let mut blob = Self::blob(digest, &stored);
        if !self.keep(Guard::Head) {
            blob.renewed_at = self.clock.now();
        }
        let cut = Digest::of(&stored.bytes) != digest;
        if cut && !self.keep(Guard::HeadStored) {
            return Ok(None);
        }
        Ok(Some(blob))
    }

    async fn delete(
        &self,
        tenant: &TenantId,
        digest: Digest,
        seen: Timestamp,
    ) -> Result<BlobDeleted> {
        let mut blobs = self.blobs.lock();
        let key = (self.tenant(tenant), digest);
        let Some(stored) = blobs.get(&key) else {
            let missing = self.keep(Guard::DeleteMissing);
            return Ok(match missing {
                true => BlobDeleted::Missing,
                false => BlobDeleted::Deleted,
            });
        };
        if stored.renewed_at != seen && self.keep(Guard::DeleteSeen) {
            let mut blob = Self::blob(digest, stored);
            if !self.keep(Guard::DeleteTells) {
                blob.renewed_at = seen;
            }
            return Ok(BlobDeleted::Renewed(blob));
        }
        match self.removed {
            Some(Guard::Delete) => {}
            Some(Guard::TenantDelete) => blobs.retain(|(_, other), _| *other != digest),
            // A grave in the place of the blob, which a put takes for the blob.
            Some(Guard::Again) => {
                let grave = Bytes::from_static(b"deleted");
                blobs.get_mut(&key).expect("it is there").bytes = grave;
            }
            _ => {
                blobs.remove(&key);
            }
        }
        Ok(BlobDeleted::Deleted)
    }

    async fn list(&self, tenant: &TenantId, listing: &BlobListing) -> Result<BlobPage> {
        let digits = |text: &str| {
            text.len() <= 64
                && text
                    .bytes()
                    .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
        };
        if !digits(&listing.prefix) && self.keep(Guard::ListPrefixCheck) {
            let message = "a prefix is at most 64 hex digits in lower case";
            return Err(PortError::new(ErrorKind::Invalid, DRIVER, "list", message));
        }
        let bound = match self.keep(Guard::ListBound) {
            true => MAX_BLOB_PAGE,
            false => usize::MAX,
        };
        let limit = match self.keep(Guard::ListLimit) {
            true => listing.limit.min(bound),
            false => bound,
        };
        let young = |at: Timestamp| match self.removed {
            Some(Guard::ListAge) => false,
            Some(Guard::ListAgeStrict) => at > listing.renewed_before,
            _ => at >= listing.renewed_before,
        };
        let mine = self.tenant(tenant);
        let mut found: Vec<_> = self
            .blobs
            .lock()
            .iter()
            .filter(|((owner, _), _)| *owner == mine || !self.keep(Guard::ListTenant))
            .filter(|((_, digest), _)| {
                !self.keep(Guard::ListPrefix) || digest.to_string().starts_with(&listing.prefix)
            })
            .filter(|((_, digest), _)| {
                !self.keep(Guard::ListAfter) || listing.after.is_none_or(|after| *digest > after)
            })
            .filter(|(_, stored)| !young(stored.renewed_at))
            .map(|((_, digest), stored)| Self::blob(*digest, stored))
            .collect();
        if !self.keep(Guard::ListOrder) {
            found.sort_by_key(|blob| blob.renewed_at);
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|blob| blob.id.digest);
        Ok(BlobPage { blobs: found, next })
    }

    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>> {
        let mut tenants = self.tenants.lock().clone();
        if self.keep(Guard::TenantsOrder) {
            tenants.sort_unstable();
        }
        if self.keep(Guard::TenantsPages) {
            tenants.retain(|tenant| after.is_none_or(|after| tenant > after));
        }
        tenants.truncate(limit.min(MAX_BLOB_PAGE));
        Ok(tenants)
    }
}

/// The bytes of a range, or what there is of it.
fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let (start, end) = (place(range.start), place(range.end));
    bytes.slice(start.min(end)..end)
}
