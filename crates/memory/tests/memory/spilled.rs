//! A store whose facts lie in blobs is a store as any other; and what is in which.

use std::{ops::Range, sync::Arc};

use crate::rig::{INLINE, Rig, succeeded, tenant, value};
use nebula_core::{BlobId, ByteSize, Digest, TenantId, Timestamp};
use nebula_execution::Fact;
use nebula_memory::SpillingRepo;
use nebula_ports::{
    Blob, BlobDeleted, BlobListing, BlobPage, BlobPut, BlobRead, BlobRenewed, BlobStore,
    BlobStream, ErrorKind, ExecutionRepo, PortError, Result, Stepped,
};
use nebula_testkit::{
    ManualClock, MemoryBlobStore, MemoryExecutionRepo, MemoryWorkflowRepo, agree,
    blob_store::Damage, reference, run,
};
use serde_json::json;

/// A store in which every value lies in a blob.
fn spilling(clock: Arc<ManualClock>) -> Arc<dyn ExecutionRepo> {
    let executions = Arc::new(MemoryExecutionRepo::new(Arc::clone(&clock) as _));
    let blobs = Arc::new(MemoryBlobStore::new(clock));
    Arc::new(SpillingRepo::new(executions, blobs, ByteSize::bytes(0)))
}

nebula_testkit::execution_repo!(|clock| async move { spilling(clock) });

nebula_testkit::control_flow_patterns!(|clock| async move {
    let workflows = Arc::new(MemoryWorkflowRepo::new(Arc::clone(&clock) as _));
    (spilling(clock), workflows as Arc<_>)
});

#[test]
fn random_operations_agree_with_a_store_that_spills_nothing() {
    for seed in 1..=3 {
        agree::execution_repos(seed, 1_000, |clock| async move { spilling(clock) });
    }
}

async fn blobs(rig: &Rig) -> Vec<Blob> {
    let page = rig.blobs.list(tenant(), &BlobListing::default()).await;
    page.unwrap().blobs
}

/// Guard: only a fact over the limit goes into a blob; who reads here sees no difference.
#[test]
fn what_is_large_lies_in_a_blob_and_is_read_as_it_was() {
    run(async {
        let rig = Rig::new();
        let lease = rig.created(1, json!({})).await;
        let facts = vec![
            succeeded(value(1, 10)),
            succeeded(value(2, 5_000)),
            Fact::ExecutionCompleted {
                output: Arc::new(value(3, 5_000)),
            },
        ];
        let stepped = rig.apply(&lease, 2, facts.clone()).await.unwrap();
        assert!(matches!(stepped, Stepped::Applied { .. }));
        assert_eq!(Rig::facts(&rig.repo, &lease).await.unwrap()[1..], facts);

        let stored = Rig::facts(&*rig.inner, &lease).await.unwrap();
        assert_eq!(stored[1], facts[0]);
        for (at, kind) in [(2, "attempt_succeeded"), (3, "execution_completed")] {
            let Fact::Spilled { kind: found, blob } = &stored[at] else {
                panic!("{:?} is not spilled", stored[at])
            };
            assert_eq!(found, kind);
            assert_eq!(stored[at].is_terminal(), kind == "execution_completed");
            let json = serde_json::to_vec(&facts[at - 1]).unwrap();
            assert_eq!(*blob, BlobId::of(&json));
        }
        assert_eq!(blobs(&rig).await.len(), 2);
    });
}

/// Guard: the limit itself stays, and one byte more does not.
#[test]
fn the_limit_is_kept_to_the_byte() {
    run(async {
        let rig = Rig::new();
        let lease = rig.created(1, json!({})).await;
        let text = |length: u64| json!("x".repeat(usize::try_from(length).unwrap()));
        let facts = vec![succeeded(text(INLINE - 2)), succeeded(text(INLINE - 1))];
        let _ = rig.apply(&lease, 2, facts).await.unwrap();
        let stored = Rig::facts(&*rig.inner, &lease).await.unwrap();
        let spilled = |fact: &Fact| matches!(fact, Fact::Spilled { .. });
        assert_eq!(
            stored.iter().map(spilled).collect::<Vec<_>>(),
            [false, false, true]
        );
    });
}

/// Guard: a step after a lost reply is the same step, with the same blobs.
#[test]
fn a_repeated_step_puts_nothing_twice() {
    run(async {
        let rig = Rig::new();
        let lease = rig.created(1, json!({})).await;
        let large = || vec![succeeded(value(1, 5_000))];
        let _ = rig.apply(&lease, 2, large()).await.unwrap();
        let again = rig.apply(&lease, 2, large()).await.unwrap();
        assert!(matches!(again, Stepped::Replayed { .. }));
        assert_eq!(blobs(&rig).await.len(), 1);
    });
}

/// Blobs on a disk that is full.
#[derive(Debug)]
struct Full;

fn full<T>() -> Result<T> {
    Err(PortError::new(ErrorKind::Full, "full", "put", "no room"))
}

#[async_trait::async_trait]
impl BlobStore for Full {
    async fn put(&self, _: &TenantId, _: BlobStream<'_>, _: ByteSize) -> Result<BlobPut> {
        full()
    }
    async fn renew(&self, _: &TenantId, _: BlobId) -> Result<BlobRenewed> {
        full()
    }
    async fn get(
        &self,
        _: &TenantId,
        _: BlobId,
        _: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>> {
        full()
    }
    async fn head(&self, _: &TenantId, _: Digest) -> Result<Option<Blob>> {
        full()
    }
    async fn delete(&self, _: &TenantId, _: Digest, _: Timestamp) -> Result<BlobDeleted> {
        full()
    }
    async fn list(&self, _: &TenantId, _: &BlobListing) -> Result<BlobPage> {
        full()
    }
    async fn tenants(&self, _: Option<&TenantId>, _: usize) -> Result<Vec<TenantId>> {
        full()
    }
}

/// Guard: the blob is there before the journal names it, or the journal does not.
#[test]
fn a_step_whose_blob_cannot_be_put_writes_nothing() {
    run(async {
        let rig = Rig::new();
        let lease = rig.created(1, json!({})).await;
        let repo = Rig::over(&rig.inner, Arc::new(Full));
        let step = rig.step(2, vec![succeeded(value(1, 5_000))]);
        let error = repo.step(&lease, step).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Full);
        assert_eq!(Rig::facts(&*rig.inner, &lease).await.unwrap().len(), 1);
        // What is small needs no blob.
        let step = rig.step(2, vec![succeeded(value(1, 10))]);
        assert!(matches!(
            repo.step(&lease, step).await,
            Ok(Stepped::Applied { .. })
        ));
    });
}

/// Guard: what is read is what was put, or an error.
#[test]
fn a_blob_that_is_gone_damaged_or_no_fact_is_an_error() {
    for damage in [Some(Damage::Flip(50)), Some(Damage::Cut(50)), None] {
        run(async {
            let rig = Rig::new();
            let lease = rig.created(1, json!({})).await;
            let large = vec![succeeded(value(1, 5_000))];
            let _ = rig.apply(&lease, 2, large).await.unwrap();
            let blob = blobs(&rig).await[0];
            match damage {
                Some(damage) => rig.blobs.damage(tenant(), blob.id.digest, damage),
                None => {
                    let deleted = rig.blobs.delete(tenant(), blob.id.digest, blob.renewed_at);
                    let _ = deleted.await.unwrap();
                }
            }
            let error = Rig::facts(&rig.repo, &lease).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");
            assert!(
                error.to_string().contains(&blob.id.digest.to_string()),
                "{error}"
            );
        });
    }
}

/// Each reference workflow, killed at every few calls of the store, over facts that all lie in blobs.
#[test]
fn whatever_dies_when_the_same_comes_of_every_reference_workflow() {
    let survived = reference::survive(9, |clock| async move {
        let workflows = Arc::new(MemoryWorkflowRepo::new(Arc::clone(&clock) as _));
        (spilling(clock), workflows as Arc<_>)
    });
    assert!(survived.lives.values().sum::<usize>() > 100);
    assert_eq!(survived.wrong, Vec::<&str>::new());
}
