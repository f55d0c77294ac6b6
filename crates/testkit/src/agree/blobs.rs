//! Agreement of stores of large content.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use nebula_core::{BlobId, ByteSize, Clock, TenantId, Timestamp};
use nebula_ports::{
    BlobListing, BlobPut, BlobRead, BlobRenewed, BlobStore, BlobStream, ErrorKind, PortError,
    Result,
};

use super::log::Log;
use crate::{
    ManualClock, MemoryBlobStore, SeededEntropy,
    blob_store::{Damage, Subject},
    run,
};

/// Does `operations` random things to the store that `make` makes and to the model.
///
/// `make` is the expression of `blob_store!`. Ages are compared, too.
///
/// # Panics
/// When an answer differs: with the seed and the operations.
pub fn blob_stores<M: Future<Output = Arc<Subject>>>(
    seed: u64,
    operations: usize,
    make: impl FnOnce(Arc<ManualClock>) -> M,
) {
    let clock = Arc::new(ManualClock::default());
    let model = MemoryBlobStore::new(Arc::clone(&clock) as _);
    run(async {
        let driver = make(Arc::clone(&clock)).await;
        let mut run = Run {
            clock,
            model,
            driver,
            random: SeededEntropy::new(seed),
            log: Log::new(seed),
            seen: Vec::new(),
        };
        for _ in 0..operations {
            run.operation().await;
        }
    });
}

struct Run {
    clock: Arc<ManualClock>,
    model: MemoryBlobStore,
    driver: Arc<Subject>,
    random: SeededEntropy,
    log: Log<(TenantId, BlobId)>,
    /// Ages that were answered, to delete by; most are outdated.
    seen: Vec<Timestamp>,
}

impl Run {
    async fn operation(&mut self) {
        match self.random.below(100) {
            0..30 => self.put().await,
            30..40 => self.renew().await,
            40..55 => self.get().await,
            55..62 => self.head().await,
            62..77 => self.delete().await,
            77..87 => self.list().await,
            87..90 => self.tenants().await,
            90..95 => self.damage().await,
            _ => {
                let by = Duration::from_millis(*self.random.pick(&[1, 500, 60_000]));
                let jump = *self.random.pick(&[0, 0, 0, -60_000, 60_000]);
                self.log.note(None, format!("advance {by:?}, jump {jump}"));
                self.clock.advance(by);
                self.clock.jump_wall(jump);
            }
        }
    }

    /// One of few tenants and contents, so that they meet again.
    fn choose(&self) -> (TenantId, Vec<u8>) {
        let tenant = TenantId::new(*self.random.pick(&["a", "A", "b"])).expect("an id");
        let length = *self.random.pick(&[0, 1, 100, 5_000]);
        let letter = *self.random.pick(b"xyz");
        (tenant, vec![letter; length])
    }

    async fn put(&mut self) {
        let (tenant, content) = self.choose();
        let id = BlobId::of(&content);
        let pieces = *self.random.pick(&[1, 3, 1_000]);
        let limit = ByteSize::bytes(*self.random.pick(&[0, 99, 100, 5_000, 1 << 20]));
        let fails = self.random.chance(10);
        let key = (tenant.clone(), id);
        let failing = if fails { ", and fails" } else { "" };
        self.log.note(
            Some(key),
            format!("put in pieces of {pieces}, at most {limit}{failing}"),
        );
        let model = self
            .model
            .put(&tenant, source(&content, pieces, fails), limit)
            .await;
        let driver = &self.driver.store;
        let driver = driver
            .put(&tenant, source(&content, pieces, fails), limit)
            .await;
        if let Some(BlobPut::Stored(blob) | BlobPut::Known(blob)) = self.log.same(model, driver) {
            self.saw(blob.renewed_at);
        }
    }

    async fn renew(&mut self) {
        let (tenant, content) = self.choose();
        let id = BlobId::of(&content);
        self.log
            .note(Some((tenant.clone(), id)), "renew".to_owned());
        let model = self.model.renew(&tenant, id).await;
        let driver = self.driver.store.renew(&tenant, id).await;
        if let Some(BlobRenewed::Renewed(blob)) = self.log.same(model, driver) {
            self.saw(blob.renewed_at);
        }
    }

    async fn get(&mut self) {
        let (tenant, content) = self.choose();
        let mut id = BlobId::of(&content);
        let key = (tenant.clone(), id);
        if self.random.chance(5) {
            id.length += 1;
        }
        let range = match self.random.below(4) {
            0 => {
                let start = *self.random.pick(&[0, 1, 50, 4_999]);
                let length = *self.random.pick(&[0, 1, 50, 5_000]);
                Some(start..start + length)
            }
            1 => Some(0..id.length),
            _ => None,
        };
        self.log
            .note(Some(key), format!("get {} bytes: {range:?}", id.length));
        let model = whole(self.model.get(&tenant, id, range.clone()).await).await;
        let driver = whole(self.driver.store.get(&tenant, id, range).await).await;
        let _ = self.log.same(model, driver);
    }

    async fn head(&mut self) {
        let (tenant, content) = self.choose();
        let id = BlobId::of(&content);
        self.log.note(Some((tenant.clone(), id)), "head".to_owned());
        let model = self.model.head(&tenant, id.digest).await;
        let driver = self.driver.store.head(&tenant, id.digest).await;
        if let Some(Some(blob)) = self.log.same(model, driver) {
            self.saw(blob.renewed_at);
        }
    }

    async fn delete(&mut self) {
        let (tenant, content) = self.choose();
        let id = BlobId::of(&content);
        let newest = self.model.head(&tenant, id.digest).await;
        let newest = newest.expect("the model answers");
        let seen = match newest.filter(|_| self.random.chance(60)) {
            Some(blob) => blob.renewed_at,
            None if self.seen.is_empty() => self.clock.now(),
            None => *self.random.pick(&self.seen),
        };
        self.log
            .note(Some((tenant.clone(), id)), format!("delete {seen}"));
        let model = self.model.delete(&tenant, id.digest, seen).await;
        let driver = self.driver.store.delete(&tenant, id.digest, seen).await;
        let _ = self.log.same(model, driver);
    }

    async fn list(&mut self) {
        let (tenant, content) = self.choose();
        let digest = BlobId::of(&content).digest;
        let digits = *self.random.pick(&[0, 0, 1, 2, 5, 64]);
        let listing = BlobListing {
            prefix: digest.to_string()[..digits].to_owned(),
            renewed_before: match self.random.below(3) {
                0 if !self.seen.is_empty() => *self.random.pick(&self.seen),
                _ => Timestamp::MAX,
            },
            after: self.random.chance(30).then_some(digest),
            limit: *self.random.pick(&[0, 1, 3, 100]),
        };
        self.log.note(None, format!("list {tenant}: {listing:?}"));
        let model = self.model.list(&tenant, &listing).await;
        let driver = self.driver.store.list(&tenant, &listing).await;
        let _ = self.log.same(model, driver);
    }

    /// Those without a blob may be listed or not.
    async fn tenants(&mut self) {
        self.log.note(None, "tenants".to_owned());
        let mut full = Vec::new();
        for tenant in self.model.tenants(None, 100).await.expect("it answers") {
            let page = self.model.list(&tenant, &BlobListing::default()).await;
            if !page.expect("it answers").blobs.is_empty() {
                full.push(tenant);
            }
        }
        let driver = self.driver.store.tenants(None, 100).await;
        let driver = driver.map(|mut tenants| {
            tenants.retain(|tenant| full.contains(tenant));
            tenants
        });
        let _ = self.log.same(Ok(full.clone()), driver);
    }

    async fn damage(&mut self) {
        let (tenant, content) = self.choose();
        let id = BlobId::of(&content);
        let there = self.model.head(&tenant, id.digest).await;
        let there = there.expect("the model answers");
        // What is cut to nothing has no byte left to change.
        let Some(length) = there.map(|blob| blob.id.length).filter(|it| *it > 0) else {
            return;
        };
        let at = usize::try_from(self.random.below(length)).expect("below a length");
        let damage = *self.random.pick(&[Damage::Flip(at), Damage::Cut(at)]);
        self.log
            .note(Some((tenant.clone(), id)), format!("{damage:?}"));
        self.model.damage(&tenant, id.digest, damage);
        (self.driver.damage)(&tenant, id.digest, damage);
    }

    fn saw(&mut self, at: Timestamp) {
        self.seen.push(at);
        let old = self.seen.len().saturating_sub(16);
        self.seen.drain(..old);
    }
}

/// `content` in pieces, and perhaps an error behind it.
fn source(content: &[u8], pieces: usize, fails: bool) -> BlobStream<'static> {
    // Not so many that the test gets slow.
    let pieces = pieces.max(content.len() / 100);
    let parts: Vec<_> = content
        .chunks(pieces)
        .map(|part| Ok(Bytes::copy_from_slice(part)))
        .collect();
    let end = fails.then(|| {
        Err(PortError::new(
            ErrorKind::Full,
            "source",
            "read on",
            "it failed",
        ))
    });
    stream::iter(parts.into_iter().chain(end)).boxed()
}

/// What was read, as far as it was handed out without an error.
async fn whole(read: Result<Option<BlobRead>>) -> Result<Option<(nebula_ports::Blob, Vec<u8>)>> {
    let Some(mut read) = read? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    while let Some(chunk) = read.content.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(Some((read.blob, bytes)))
}
