//! A store whose facts lie in blobs is a store as any other; and what is in which.

use std::{
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::rig::{INLINE, Rig, succeeded, tenant, value};
use nebula_core::{BlobId, ByteSize, Digest, TenantId, Timestamp};
use nebula_execution::Fact;
use nebula_memory::{DEFAULT_FRESH, SpillingRepo, Values};
use nebula_ports::{
    Blob, BlobDeleted, BlobListing, BlobPage, BlobPut, BlobRead, BlobRenewed, BlobStore,
    BlobStoreExt, BlobStream, DedupeKey, ErrorKind, ExecutionRepo, InboxDelivery, InboxItem, Lease,
    NewSignal, PortError, Result, Stepped,
};
use nebula_testkit::{
    ManualClock, MemoryBlobStore, MemoryExecutionRepo, MemoryWorkflowRepo, agree,
    blob_store::Damage, reference, run,
};
use serde_json::json;

/// A store in which every value lies in a blob.
fn spilling(clock: Arc<ManualClock>) -> Arc<dyn ExecutionRepo> {
    let executions = Arc::new(MemoryExecutionRepo::new(Arc::clone(&clock) as _));
    let blobs = Arc::new(MemoryBlobStore::new(Arc::clone(&clock) as _));
    let inline = ByteSize::bytes(0);
    Arc::new(SpillingRepo::new(executions, blobs, clock, inline))
}

nebula_testkit::execution_repo!(|clock| async move { spilling(clock) });

nebula_testkit::control_flow_patterns!(|clock| async move {
    let workflows = Arc::new(MemoryWorkflowRepo::new(Arc::clone(&clock) as _));
    (spilling(clock), workflows as Arc<_>)
});

/// The same where each result lies in a blob of its own, and none is kept.
mod one_by_one {
    use super::*;

    nebula_testkit::control_flow_patterns!(values: |clock| async move {
        let executions = Arc::new(MemoryExecutionRepo::new(Arc::clone(&clock) as _));
        let blobs = Arc::new(MemoryBlobStore::new(Arc::clone(&clock) as _));
        let nothing = ByteSize::bytes(0);
        let values = Values::new(blobs.clone(), nothing, nothing);
        let workflows = Arc::new(MemoryWorkflowRepo::new(Arc::clone(&clock) as _));
        let executions = SpillingRepo::new(executions, blobs, clock, nothing);
        ((Arc::new(executions) as Arc<_>, workflows as Arc<_>), values)
    });
}

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

fn signal(number: u64, length: usize) -> NewSignal {
    NewSignal {
        kind: "named".to_owned(),
        payload: value(number, length),
        dedupe: DedupeKey(format!("signal {number}")),
    }
}

async fn inbox(repo: &dyn ExecutionRepo, lease: &Lease) -> Vec<InboxItem> {
    let items = repo.inbox(tenant(), lease.execution, 0, 10).await;
    items.unwrap()
}

/// Guard: the content of a signal that is large lies in a blob, whoever sends it, and is read as it was.
#[test]
fn a_large_signal_lies_in_a_blob_and_is_read_as_it_was() {
    run(async {
        let rig = Rig::new();
        let (to, from) = (
            rig.created(1, json!({})).await,
            rig.created(2, json!({})).await,
        );
        for (number, length) in [(1, 10), (2, 5_000)] {
            let signalled = rig
                .repo
                .signal(tenant(), to.execution, signal(number, length));
            let _ = signalled.await.unwrap();
        }
        let mut step = rig.step(2, vec![succeeded(value(3, 10))]);
        let NewSignal {
            kind,
            payload,
            dedupe,
        } = signal(3, 5_000);
        step.deliver.push(InboxDelivery {
            to: to.execution,
            dedupe,
            kind,
            payload,
        });
        let _ = rig.repo.step(&from, step).await.unwrap();

        let read = inbox(&rig.repo, &to).await;
        let sent = [signal(1, 10), signal(2, 5_000), signal(3, 5_000)];
        for (item, sent) in read.iter().zip(&sent) {
            assert_eq!((&item.kind, &item.payload), (&sent.kind, &sent.payload));
        }
        assert_eq!(read.len(), 3);
        let stored = inbox(&*rig.inner, &to).await;
        let kinds: Vec<_> = stored.iter().map(|item| item.kind.as_str()).collect();
        assert_eq!(kinds, ["named", "spilled.named", "spilled.named"]);
        assert_eq!(blobs(&rig).await.len(), 2);
    });
}

/// Guard: nobody else says where the content of a signal lies; and the store's own kinds stay its own.
#[test]
fn kinds_of_this_layer_and_of_the_store_are_refused() {
    run(async {
        let rig = Rig::new();
        let lease = rig.created(1, json!({})).await;
        for kind in ["spilled.named", "slot.granted"] {
            let signal = NewSignal {
                kind: kind.to_owned(),
                ..signal(1, 5_000)
            };
            let refused = rig.repo.signal(tenant(), lease.execution, signal).await;
            assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid, "{kind}");
        }
        assert_eq!(inbox(&*rig.inner, &lease).await, []);
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
        let repo = Rig::over(&rig.clock, &rig.inner, Arc::new(Full));
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

/// Blobs of a process that stands still once, right after a put; what it has put may be collected
/// meanwhile.
#[derive(Debug)]
struct Still {
    blobs: Arc<MemoryBlobStore>,
    clock: ManualClock,
    stands: Mutex<Option<Duration>>,
    collects: bool,
}

#[async_trait::async_trait]
impl BlobStore for Still {
    async fn put(&self, of: &TenantId, it: BlobStream<'_>, max: ByteSize) -> Result<BlobPut> {
        let put = self.blobs.put(of, it, max).await?;
        let stands = self.stands.lock().unwrap().take();
        if let (Some(stands), BlobPut::Stored(blob)) = (stands, put) {
            self.clock.advance(stands);
            if self.collects {
                let deleted = self.blobs.delete(of, blob.id.digest, blob.renewed_at);
                assert_eq!(deleted.await?, BlobDeleted::Deleted);
            }
        }
        Ok(put)
    }
    async fn renew(&self, of: &TenantId, id: BlobId) -> Result<BlobRenewed> {
        self.blobs.renew(of, id).await
    }
    async fn get(
        &self,
        of: &TenantId,
        id: BlobId,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>> {
        self.blobs.get(of, id, range).await
    }
    async fn head(&self, of: &TenantId, digest: Digest) -> Result<Option<Blob>> {
        self.blobs.head(of, digest).await
    }
    async fn delete(&self, of: &TenantId, it: Digest, seen: Timestamp) -> Result<BlobDeleted> {
        self.blobs.delete(of, it, seen).await
    }
    async fn list(&self, of: &TenantId, listing: &BlobListing) -> Result<BlobPage> {
        self.blobs.list(of, listing).await
    }
    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>> {
        self.blobs.tenants(after, limit).await
    }
}

/// A writer that stands still for so long between its blob and its step, and what comes of it.
async fn stood_still(stands: Duration, collects: bool) -> (Rig, Vec<Blob>, [Result<Stepped>; 2]) {
    let rig = Rig::new();
    let lease = rig.created(1, json!({})).await;
    let still = Still {
        blobs: rig.blobs.clone(),
        clock: rig.clock.clone(),
        stands: Mutex::new(Some(stands)),
        collects,
    };
    let repo = Rig::over(&rig.clock, &rig.inner, Arc::new(still));
    let step = rig.step(2, vec![succeeded(value(1, 5_000))]);
    let first = repo.step(&lease, step.clone()).await;
    let after_first = blobs(&rig).await;
    let again = repo.step(&lease, step).await;
    (rig, after_first, [first, again])
}

/// Guard: who stood still between a blob and the step that names it renews the blob first.
#[test]
fn a_blob_that_was_put_long_ago_is_renewed_before_it_is_named() {
    run(async {
        let (rig, put, [first, _]) = stood_still(DEFAULT_FRESH * 2, false).await;
        assert!(matches!(first, Ok(Stepped::Applied { .. })));
        let renewed = put[0].renewed_at;
        assert!(renewed >= nebula_core::Clock::now(&rig.clock), "{renewed}");
    });
}

/// Guard: what was collected before it could be named is not named, and comes again with the same step.
#[test]
fn a_blob_that_was_collected_too_soon_is_put_again() {
    run(async {
        let (rig, _, [first, again]) = stood_still(DEFAULT_FRESH * 2, true).await;
        let error = first.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains("try again"), "{error}");
        assert!(matches!(again, Ok(Stepped::Applied { .. })));
        assert_eq!(blobs(&rig).await.len(), 1);
    });
}

/// Guards: the content of a signal, of its own and within a step, is not named once it was collected; the
/// same call puts it again.
#[test]
fn the_content_of_a_signal_that_was_collected_too_soon_is_put_again() {
    run(async {
        for within_a_step in [false, true] {
            let rig = Rig::new();
            let lease = rig.created(1, json!({})).await;
            let other = rig.created(2, json!({})).await;
            let still = Still {
                blobs: rig.blobs.clone(),
                clock: rig.clock.clone(),
                stands: Mutex::new(Some(DEFAULT_FRESH * 2)),
                collects: true,
            };
            let repo = Rig::over(&rig.clock, &rig.inner, Arc::new(still));
            let new = NewSignal {
                kind: "paid".to_owned(),
                payload: value(1, 5_000),
                dedupe: DedupeKey("1".to_owned()),
            };
            let send = async || {
                if !within_a_step {
                    let sent = repo.signal(tenant(), other.execution, new.clone());
                    return sent.await.map(drop);
                }
                let mut step = rig.step(2, vec![succeeded(value(1, 10))]);
                step.deliver = vec![InboxDelivery {
                    to: other.execution,
                    kind: new.kind.clone(),
                    payload: new.payload.clone(),
                    dedupe: new.dedupe.clone(),
                }];
                repo.step(&lease, step).await.map(drop)
            };
            let error = send().await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
            send().await.unwrap();
            let inbox = rig.repo.inbox(tenant(), other.execution, 0, 10).await;
            let inbox = inbox.unwrap();
            assert_eq!(inbox.len(), 1);
            assert_eq!(inbox[0].payload, new.payload);
        }
    });
}

/// Guard: a blob that a fact names is still young after what else its step has put took long.
#[test]
fn what_is_named_beside_what_was_put_long_ago_is_renewed_again() {
    run(async {
        let rig = Rig::new();
        let lease = rig.created(1, json!({})).await;
        let put = rig.blobs.put_bytes(tenant(), b"[1]".as_slice().into());
        let put = put.await.unwrap();
        let still = Still {
            blobs: rig.blobs.clone(),
            clock: rig.clock.clone(),
            stands: Mutex::new(Some(DEFAULT_FRESH * 2)),
            collects: false,
        };
        let repo = Rig::over(&rig.clock, &rig.inner, Arc::new(still));
        let facts = vec![named(put.id, None), succeeded(value(1, 5_000))];
        let stepped = repo.step(&lease, rig.step(2, facts)).await;
        assert!(
            matches!(stepped, Ok(Stepped::Applied { .. })),
            "{stepped:?}"
        );
        let now = nebula_core::Clock::now(&rig.clock);
        let young = |blob: &Blob| blob.renewed_at >= now;
        assert!(blobs(&rig).await.iter().all(young), "{now}");
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

fn named(blob: BlobId, lineage: Option<Vec<u32>>) -> Fact {
    Fact::AttemptSpilled {
        instance: "fetch".parse().unwrap(),
        attempt: 1,
        blob,
        port: "main".into(),
        lineage,
        taken: nebula_execution::Taken::All,
        micros: 5,
    }
}

/// Guard: whoever names a blob, in a step or at a creation, renews it first, also where it is old; one
/// that is gone is not named.
#[test]
fn a_blob_that_is_named_is_young() {
    run(async {
        let rig = Rig::new();
        let put = rig.blobs.put_bytes(tenant(), b"[1]".as_slice().into());
        let put = put.await.unwrap();
        let lease = rig.created(1, json!({})).await;
        rig.clock.advance(Duration::from_hours(100));
        let stepped = rig.apply(&lease, 2, vec![named(put.id, None)]).await;
        assert!(
            matches!(stepped, Ok(Stepped::Applied { .. })),
            "{stepped:?}"
        );
        let now = blobs(&rig).await[0].renewed_at;
        assert!(now.since(put.renewed_at) >= Duration::from_hours(100));

        let gone = BlobId::of(b"[2]");
        let error = rig
            .apply(&lease, 3, vec![named(gone, None)])
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains(&gone.digest.to_string()), "{error}");
        assert_eq!(Rig::facts(&*rig.inner, &lease).await.unwrap().len(), 2);
    });
}

/// Guard: a fact is not large for a result that lies elsewhere, but for what it says beside that.
#[test]
fn a_named_result_stands_in_the_journal_but_not_its_long_lineage() {
    run(async {
        let rig = Rig::new();
        let put = rig.blobs.put_bytes(tenant(), b"[1]".as_slice().into());
        let put = put.await.unwrap().id;
        let lease = rig.created(1, json!({})).await;
        let facts = vec![
            named(put, Some(vec![0])),
            named(put, Some((0..1_000).collect())),
        ];
        let _ = rig.apply(&lease, 2, facts.clone()).await.unwrap();
        let stored = Rig::facts(&*rig.inner, &lease).await.unwrap();
        assert_eq!(stored[1], facts[0]);
        assert!(matches!(stored[2], Fact::Spilled { .. }), "{:?}", stored[2]);
        assert_eq!(Rig::facts(&rig.repo, &lease).await.unwrap()[1..], facts);
    });
}
