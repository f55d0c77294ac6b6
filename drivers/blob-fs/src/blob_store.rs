//! The port over a folder.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use futures_util::StreamExt;
use nebula_core::{BlobId, ByteSize, Clock, Digest, Offload, TenantId, Timestamp};
use nebula_ports::{
    Blob, BlobDeleted, BlobListing, BlobPage, BlobPut, BlobRead, BlobRenewed, BlobStore,
    BlobStream, Result,
};

use crate::{
    blocking, config::BlobFsConfig, error::Fault, folder::Root, incoming::Incoming, leftovers,
    listing, name, outgoing::Outgoing, shard::Shard,
};

/// Blobs as files in one folder.
pub struct BlobFs {
    root: Arc<Root>,
    clock: Arc<dyn Clock>,
    offload: Arc<dyn Offload>,
}

impl fmt::Debug for BlobFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobFs")
            .field("root", &self.root.place().to_string())
            .finish_non_exhaustive()
    }
}

impl BlobFs {
    /// Opens the folder, and clears away what puts of dead processes have left in it. Ages come
    /// from `clock`; files are touched on the threads of `offload`.
    ///
    /// # Errors
    /// `Unavailable`: there is no such folder, or it cannot be listed. `Full`, `ReadOnly`: it cannot be
    /// made, or may not be listed.
    pub async fn open(
        config: BlobFsConfig,
        clock: Arc<dyn Clock>,
        offload: Arc<dyn Offload>,
    ) -> Result<Self> {
        let opened = blocking::run(&*offload, move || {
            let root = Root::open(config)?;
            if let Some(folder) = root.existing()? {
                leftovers::clear_all(folder)?;
            }
            Ok(root)
        });
        let root = opened
            .await
            .map_err(|fault| fault.into_port("open the folder"))?;
        Ok(Self {
            root: Arc::new(root),
            clock,
            offload,
        })
    }

    /// Does `work` with the root away from the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Root) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let root = Arc::clone(&self.root);
        let done = blocking::run(&*self.offload, move || work(&root)).await;
        done.map_err(|fault| fault.into_port(operation))
    }

    /// The same with the shard of a blob, if there is one.
    async fn in_shard<T: Send + 'static>(
        &self,
        operation: &'static str,
        (tenant, digest): (&TenantId, Digest),
        work: impl FnOnce(&Shard) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Option<T>> {
        let tenant = name::of_tenant(tenant);
        self.blocking(operation, move |root| {
            let Some(root) = root.existing()? else {
                return Ok(None);
            };
            let shard = Shard::existing(root, &tenant, digest)?;
            shard.map(|shard| work(&shard)).transpose()
        })
        .await
    }
}

#[async_trait]
impl BlobStore for BlobFs {
    async fn put(
        &self,
        tenant: &TenantId,
        mut content: BlobStream<'_>,
        max_bytes: ByteSize,
    ) -> Result<BlobPut> {
        let tenant = name::of_tenant(tenant);
        let mut incoming = Incoming::default();
        while let Some(piece) = content.next().await {
            let piece = piece?;
            if incoming.length() + piece.len() as u64 > max_bytes.as_u64() {
                return Ok(BlobPut::TooLarge);
            }
            if incoming.take(&piece) {
                let tenant = tenant.clone();
                let spilled =
                    self.blocking("put", move |root| incoming.spill(root.made()?, &tenant));
                incoming = spilled.await?;
            }
        }
        let clock = Arc::clone(&self.clock);
        self.blocking("put", move |root| {
            incoming.finish(root.made()?, &tenant, || clock.now())
        })
        .await
    }

    async fn renew(&self, tenant: &TenantId, id: BlobId) -> Result<BlobRenewed> {
        let clock = Arc::clone(&self.clock);
        let renewed = self.in_shard("renew", (tenant, id.digest), move |shard| {
            shard.lock()?.renew(id, clock.now())
        });
        Ok(match renewed.await?.flatten() {
            Some(blob) => BlobRenewed::Renewed(blob),
            None => BlobRenewed::Missing,
        })
    }

    async fn get(
        &self,
        tenant: &TenantId,
        id: BlobId,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>> {
        let opened = self.in_shard("get", (tenant, id.digest), move |shard| {
            let (_, file) = name::of_blob(id.digest);
            let Some(found) = shard.folder().file(&file)? else {
                return Ok(None);
            };
            let renewed_at = found.modified;
            let place = shard.folder().place(&file);
            let outgoing = Outgoing::new(found, place, id, range)?;
            Ok(Some((Blob { id, renewed_at }, outgoing)))
        });
        let Some((blob, outgoing)) = opened.await?.flatten() else {
            return Ok(None);
        };
        let content = outgoing.into_stream(Arc::clone(&self.offload));
        Ok(Some(BlobRead { blob, content }))
    }

    async fn head(&self, tenant: &TenantId, digest: Digest) -> Result<Option<Blob>> {
        let found = self.in_shard("head", (tenant, digest), move |shard| {
            let (_, file) = name::of_blob(digest);
            let found = shard.folder().file(&file)?;
            Ok(found.map(|found| Blob {
                id: BlobId {
                    digest,
                    length: found.length,
                },
                renewed_at: found.modified,
            }))
        });
        Ok(found.await?.flatten())
    }

    async fn delete(
        &self,
        tenant: &TenantId,
        digest: Digest,
        seen: Timestamp,
    ) -> Result<BlobDeleted> {
        let deleted = self.in_shard("delete", (tenant, digest), move |shard| {
            shard.lock()?.delete(digest, seen)
        });
        Ok(deleted.await?.unwrap_or(BlobDeleted::Missing))
    }

    async fn list(&self, tenant: &TenantId, listing: &BlobListing) -> Result<BlobPage> {
        let (tenant, listing) = (tenant.clone(), listing.clone());
        self.blocking("list", move |root| {
            listing::blobs(root.existing()?, &tenant, &listing)
        })
        .await
    }

    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>> {
        let after = after.cloned();
        self.blocking("tenants", move |root| {
            let root = root.existing()?;
            root.map_or_else(
                || Ok(Vec::new()),
                |root| listing::tenants(root, after.as_ref(), limit),
            )
        })
        .await
    }
}
