//! The comparison by random operations: it is silent where there is nothing to say, and only there.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use nebula_testkit::{
    BlobGuard, CredentialGuard, ExecutionGuard, MemoryBlobStore, MemoryCredentialRepo,
    MemoryExecutionRepo, MemoryTaskQueue, QueueGuard, agree,
    blob_store::Subject,
    task_queue::{CAPACITY, MAX_DELIVERIES},
};

#[test]
fn the_model_of_executions_agrees_with_itself() {
    for seed in 1..=4 {
        agree::execution_repos(seed, 1_000, |clock| async move {
            Arc::new(MemoryExecutionRepo::new(clock)) as Arc<_>
        });
    }
}

#[test]
fn the_model_of_the_queue_agrees_with_itself() {
    for seed in 1..=4 {
        agree::task_queues(seed, 1_000, |clock| async move {
            Arc::new(MemoryTaskQueue::new(
                clock,
                usize::from(CAPACITY),
                MAX_DELIVERIES,
            )) as Arc<_>
        });
    }
}

fn blobs(store: MemoryBlobStore) -> Arc<Subject> {
    let store = Arc::new(store);
    let damaged = Arc::clone(&store);
    Arc::new(Subject {
        store,
        damage: Box::new(move |tenant, digest, damage| damaged.damage(tenant, digest, damage)),
    })
}

#[test]
fn the_model_of_blobs_agrees_with_itself() {
    for seed in 1..=4 {
        agree::blob_stores(seed, 1_000, |clock| async move {
            blobs(MemoryBlobStore::new(clock))
        });
    }
}

/// What random operations do not see: they are right about these or do not ask; the suite sees them.
const UNSEEN_IN_BLOBS: &[BlobGuard] = &[
    BlobGuard::LimitStops,
    BlobGuard::PutAge,
    BlobGuard::RangeStart,
    BlobGuard::Chunks,
    BlobGuard::ListBound,
    BlobGuard::ListPrefixCheck,
    BlobGuard::TenantsPages,
];

#[test]
fn random_operations_see_blobs_without_a_guard() {
    let mut blind = Vec::new();
    for guard in BlobGuard::ALL
        .iter()
        .filter(|guard| !UNSEEN_IN_BLOBS.contains(guard))
    {
        let seen = seen(|seed| {
            agree::blob_stores(seed, 1_000, |clock| async move {
                blobs(MemoryBlobStore::without(clock, *guard))
            });
        });
        if !seen {
            blind.push(guard);
        }
    }
    assert!(blind.is_empty(), "nobody sees these: {blind:?}");
}

/// What random operations do not see: they are right about these or do not ask, as for changes, whose cursors
/// are each store's own; the suite sees them.
const UNSEEN_IN_STORES: &[ExecutionGuard] = &[
    ExecutionGuard::ChangeCreated,
    ExecutionGuard::ChangeWritten,
    ExecutionGuard::ChangeMoved,
    ExecutionGuard::ChangeNothing,
    ExecutionGuard::ChangeOnce,
    ExecutionGuard::ChangePages,
    ExecutionGuard::ChangeTenant,
    ExecutionGuard::ChangeNumbers,
    ExecutionGuard::ChangeCursor,
    ExecutionGuard::ChangeBehind,
    ExecutionGuard::StepPlace,
    ExecutionGuard::TerminalIsLast,
    ExecutionGuard::InboxPages,
    ExecutionGuard::ChildTenant,
    ExecutionGuard::JournalPages,
    ExecutionGuard::JournalFrom,
    ExecutionGuard::ListPages,
    ExecutionGuard::ListCursor,
    ExecutionGuard::TokenCheck,
    ExecutionGuard::RunnableLimit,
    ExecutionGuard::RunnableMore,
    ExecutionGuard::DeleteOldest,
    ExecutionGuard::DeleteLimit,
    ExecutionGuard::QuotaAfterRate,
    ExecutionGuard::UsageBytes,
    ExecutionGuard::UsageHeld,
];

/// The same for queues; one without `WaitEnds` would never answer.
const UNSEEN_IN_QUEUES: &[QueueGuard] = &[
    QueueGuard::AckOrder,
    QueueGuard::ForeignReceipt,
    QueueGuard::MergeTenant,
    QueueGuard::WakeByRing,
    QueueGuard::WakeByTime,
    QueueGuard::WakeByNack,
    QueueGuard::WakeOne,
    QueueGuard::WakeEach,
    QueueGuard::WakeNext,
    QueueGuard::WaitEnds,
];

/// Whether one of a few seeds finds a difference.
fn seen(run: impl Fn(u64)) -> bool {
    (1..=64).any(|seed| catch_unwind(AssertUnwindSafe(|| run(seed))).is_err())
}

#[test]
fn random_operations_see_a_store_without_a_guard() {
    let mut blind = Vec::new();
    for guard in ExecutionGuard::ALL
        .iter()
        .filter(|guard| !UNSEEN_IN_STORES.contains(guard))
    {
        let seen = seen(|seed| {
            agree::execution_repos(seed, 1_500, |clock| async move {
                Arc::new(MemoryExecutionRepo::without(clock, *guard)) as Arc<_>
            });
        });
        if !seen {
            blind.push(guard);
        }
    }
    assert_eq!(blind, [&ExecutionGuard::Rollback; 0], "nobody sees these");
}

#[test]
fn random_operations_see_a_queue_without_a_guard() {
    for guard in QueueGuard::ALL
        .iter()
        .filter(|guard| !UNSEEN_IN_QUEUES.contains(guard))
    {
        let seen = seen(|seed| {
            agree::task_queues(seed, 1_500, |clock| async move {
                let limits = (usize::from(CAPACITY), MAX_DELIVERIES);
                Arc::new(MemoryTaskQueue::without(clock, limits, *guard)) as Arc<_>
            });
        });
        assert!(seen, "a queue without {guard:?} agrees with the model");
    }
}

#[test]
fn the_model_of_credentials_agrees_with_itself() {
    for seed in 1..=4 {
        agree::credential_repos(seed, 1_000, |clock| async move {
            Arc::new(MemoryCredentialRepo::new(clock)) as Arc<_>
        });
    }
}

/// What random operations do not see: they come one after the other, and never to the limits.
const UNSEEN_IN_CREDENTIALS: &[CredentialGuard] = &[
    CredentialGuard::Keeps,
    CredentialGuard::PutAtOnce,
    CredentialGuard::PromoteAtOnce,
    CredentialGuard::Largest,
    CredentialGuard::UseLimit,
    CredentialGuard::KeyLimit,
    CredentialGuard::Most,
    CredentialGuard::MostVersions,
    CredentialGuard::MostDeleted,
    CredentialGuard::MostOfTenant,
    CredentialGuard::DeletedUses,
];

#[test]
fn random_operations_see_a_store_of_credentials_without_a_guard() {
    let unseen: Vec<_> = CredentialGuard::ALL
        .iter()
        .filter(|guard| !UNSEEN_IN_CREDENTIALS.contains(guard))
        .filter(|guard| {
            !seen(|seed| {
                agree::credential_repos(seed, 6_000, |clock| async move {
                    Arc::new(MemoryCredentialRepo::without(clock, **guard)) as Arc<_>
                });
            })
        })
        .collect();
    assert!(
        unseen.is_empty(),
        "stores without these agree with the model: {unseen:?}"
    );
}
