//! The way to the blobs; what is read and deleted is told to the oracle.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use nebula_core::{BlobId, ByteSize, Clock, Digest, TenantId, Timestamp};
use nebula_ports::{
    Blob, BlobDeleted, BlobListing, BlobPage, BlobPut, BlobRead, BlobRenewed, BlobStore,
    BlobStream, Result, one_piece,
};

use super::{Wire, lost};
use crate::{
    blob_store::Damage,
    simulation::{
        checks,
        collecting::OVER,
        planted::Place,
        scheduler::{Life, Owner},
        swarm::{Fault, Recovery},
        world::{Faults, World},
    },
};

/// How long a store that answers too early takes until something is durable, at most, in milliseconds.
const UNSYNCED: u64 = 2_000;

/// What a store takes that has no limit.
const UNBOUNDED: ByteSize = ByteSize::bytes(u64::MAX);

/// What happens to the store of blobs.
const FAULTS: Faults = Faults {
    often: 1,
    latency: 0,
    refused: Fault::BlobRefused,
    unanswered: Fault::BlobAnswerLost,
    slow: Fault::BlobSlow,
    full: Fault::BlobFull,
    before: Fault::DeathBeforeBlob,
    after: Fault::DeathAfterBlob,
};

impl Wire {
    /// Makes a call of the store of blobs, or lets happen to it what chance decides.
    async fn blob<T: Send + 'static>(
        &self,
        operation: &'static str,
        writes: bool,
        work: impl FnOnce(&World, Life) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let fate = self.world.fate_by(&FAULTS, self.life, writes);
        self.fated(operation, fate, work).await
    }

    /// What a store says that only means to store it.
    fn promise(&self, tenant: TenantId, bytes: Bytes) -> BlobPut {
        let (world, later) = (self.world.clone(), self.world.span(UNSYNCED));
        let promised = Blob {
            id: BlobId::of(&bytes),
            renewed_at: world.clock.now(),
        };
        self.world.board.spawn(Owner::World, async move {
            world.clock.sleep(later).await;
            let _ = world.ask(world.blobs.put(&tenant, one_piece(bytes), UNBOUNDED));
        });
        BlobPut::Stored(promised)
    }
}

/// All bytes of a read, or as far as it came.
fn bytes_of(read: BlobRead) -> (Blob, Result<Vec<u8>>) {
    let BlobRead { blob, mut content } = read;
    let mut bytes = Vec::new();
    while let Some(chunk) = content.next().now_or_never().flatten() {
        match chunk {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(error) => return (blob, Err(error)),
        }
    }
    (blob, Ok(bytes))
}

/// A read arrives at the store; its medium may bring another byte.
fn read(
    world: &World,
    tenant: &TenantId,
    id: BlobId,
    (range, by): (Option<Range<u64>>, Life),
) -> Result<Option<(Blob, Result<Vec<u8>>)>> {
    let there = world.ask(world.blobs.head(tenant, id.digest))?;
    // Seldom enough that a holder who reads a few times gets the right bytes once: what comes wrong
    // each time is damage, and believed.
    let flips = there.is_some() && id.length > 0 && world.strikes(Fault::BlobFlipped);
    let place = usize::try_from(id.length).unwrap_or(1) / 2;
    let flip = || world.blobs.damage(tenant, id.digest, Damage::Flip(place));
    if flips {
        flip();
    }
    let whole = range.is_none();
    let read = world.ask(world.blobs.get(tenant, id, range));
    let read = read.map(|read| read.map(bytes_of));
    if flips {
        flip();
    }
    if let Ok(Some((_, Ok(bytes)))) = &read
        && whole
    {
        match BlobId::of(bytes) == id {
            true if world.collectors.lock().contains(&by) => {
                world.recovered(Recovery::BlobMarked);
            }
            true => world.recovered(Recovery::BlobLoaded),
            false => world.complain(checks::READ_VERIFIED, id.to_string()),
        }
    }
    read
}

#[async_trait]
impl BlobStore for Wire {
    async fn put(
        &self,
        tenant: &TenantId,
        mut content: BlobStream<'_>,
        max_bytes: ByteSize,
    ) -> Result<BlobPut> {
        let mut bytes = Vec::new();
        while let Some(chunk) = content.next().await {
            bytes.extend_from_slice(&chunk?);
            if bytes.len() > max_bytes.as_usize() {
                return Ok(BlobPut::TooLarge);
            }
        }
        self.world.look_for_secrets("a blob", &bytes);
        let (tenant, bytes) = (tenant.clone(), Bytes::from(bytes));
        let early = self.world.swarm.bug.map(|bug| bug.place) == Some(Place::Unsynced);
        let wire = self.clone();
        self.blob("blob put", true, move |world, life| {
            if early {
                return Ok(wire.promise(tenant, bytes));
            }
            let put = world.ask(world.blobs.put(&tenant, one_piece(bytes), max_bytes))?;
            if let BlobPut::Known(_) = put {
                world.recovered(Recovery::BlobKnown);
            }
            if let BlobPut::Stored(blob) | BlobPut::Known(blob) = put {
                world.note("blob", format_args!("{life} {} put", blob.id));
            }
            Ok(put)
        })
        .await
    }

    async fn renew(&self, tenant: &TenantId, id: BlobId) -> Result<BlobRenewed> {
        let tenant = tenant.clone();
        self.blob("blob renew", true, move |world, life| {
            let renewed = world.ask(world.blobs.renew(&tenant, id))?;
            world.note("blob", format_args!("{life} {id} → {renewed:?}"));
            world.recovered(Recovery::BlobRenewed);
            Ok(renewed)
        })
        .await
    }

    async fn get(
        &self,
        tenant: &TenantId,
        id: BlobId,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>> {
        let tenant = tenant.clone();
        let read = self.blob("blob get", false, move |world, life| {
            read(world, &tenant, id, (range, life))
        });
        let Some((blob, bytes)) = read.await? else {
            return Ok(None);
        };
        let torn = self.world.strikes_a_read(Fault::BlobTorn);
        let content = match bytes {
            Ok(bytes) if torn => {
                let half = bytes[..bytes.len() / 2].to_vec();
                stream::iter([Ok(half.into()), Err(lost("blob get"))]).boxed()
            }
            Ok(bytes) => one_piece(bytes.into()),
            Err(error) => stream::iter([Err(error)]).boxed(),
        };
        Ok(Some(BlobRead { blob, content }))
    }

    async fn head(&self, tenant: &TenantId, digest: Digest) -> Result<Option<Blob>> {
        let tenant = tenant.clone();
        self.blob("blob head", false, move |world, _| {
            world.ask(world.blobs.head(&tenant, digest))
        })
        .await
    }

    async fn delete(
        &self,
        tenant: &TenantId,
        digest: Digest,
        seen: Timestamp,
    ) -> Result<BlobDeleted> {
        let tenant = tenant.clone();
        self.blob("blob delete", false, move |world, life| {
            let deleted = world.ask(world.blobs.delete(&tenant, digest, seen))?;
            world.note("blob", format_args!("{life} {digest} → {deleted:?}"));
            match deleted {
                BlobDeleted::Deleted => {
                    if life != OVER {
                        world.recovered(Recovery::OrphanCollected);
                    }
                    if world.oracle.lock().names(&tenant, digest) {
                        let what = format!("{digest}, deleted by {life}");
                        world.complain(checks::NAMED_STAYS, what);
                    }
                }
                BlobDeleted::Renewed(_) | BlobDeleted::Missing => {}
            }
            Ok(deleted)
        })
        .await
    }

    async fn list(&self, tenant: &TenantId, listing: &BlobListing) -> Result<BlobPage> {
        let (tenant, listing) = (tenant.clone(), listing.clone());
        self.blob("blob list", false, move |world, _| {
            world.ask(world.blobs.list(&tenant, &listing))
        })
        .await
    }

    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>> {
        let after = after.cloned();
        self.blob("blob tenants", false, move |world, _| {
            world.ask(world.blobs.tenants(after.as_ref(), limit))
        })
        .await
    }
}
