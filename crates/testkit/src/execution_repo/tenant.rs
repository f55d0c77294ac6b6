//! Rules of tenants, and of what is deleted.

use nebula_core::{Clock, Digest};
use nebula_execution::NewExecution;
use nebula_ports::{
    Acquired, ErrorKind, ExecutionFilter, Lease, Renewed, Signalled, Step, WaitToken,
};

use super::fixture::*;
use crate::ManualClock;

/// Nothing of a tenant is read under another's name. Guards: `ExecutionGuard::TenantReads`, `TenantLists`.
pub async fn another_tenant_sees_nothing(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let (id, other, token) = (
        lease.execution,
        other_tenant(),
        WaitToken(Digest::of(b"token")),
    );
    let _ = send(repo, id, "a").await;
    apply(
        repo,
        &lease,
        Step {
            waits_opened: vec![token],
            ..append(1, 2, 1)
        },
    )
    .await;
    assert_eq!(repo.get(&other, id).await.unwrap(), None);
    assert_eq!(repo.journal(&other, id, 1, 10).await.unwrap().entries, []);
    assert_eq!(repo.inbox(&other, id, 0, 10).await.unwrap(), []);
    assert_eq!(repo.waiting_on(&other, token).await.unwrap(), None);
    let page = repo
        .list(&other, &ExecutionFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!((page.items, page.next), (vec![], None));
}

/// Nothing of a tenant is changed under another's name. Guard: `ExecutionGuard::TenantWrites`.
pub async fn another_tenant_changes_nothing(repo: &Repo, clock: &ManualClock) {
    let (free, lease) = (created(repo, clock, 1).await, driven(repo, clock, 2).await);
    let other = other_tenant();
    assert_eq!(
        repo.acquire(&other, free, request(9), MAX_GRANTS)
            .await
            .unwrap(),
        Acquired::Unknown
    );
    assert_eq!(
        repo.signal(&other, free, signal("a")).await.unwrap(),
        Signalled::Unknown
    );
    let forged = Lease {
        tenant: other,
        ..lease.clone()
    };
    assert_eq!(
        repo.renew(std::slice::from_ref(&forged)).await.unwrap(),
        [Renewed::Lost]
    );
    let refused = repo.step(&forged, append(1, 2, 1)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    repo.release(&forged).await.unwrap();
    let summary = summary(repo, lease.execution).await;
    assert_eq!((summary.leased, summary.entries), (true, 1));
}

/// Nothing of a tenant is deleted under another's name. Guard: `ExecutionGuard::TenantDeletes`.
pub async fn another_tenant_deletes_nothing(repo: &Repo, clock: &ManualClock) {
    let id = ended(repo, clock, 1).await.execution;
    clock.advance(DAY);
    assert_eq!(
        repo.delete_ended(&other_tenant(), clock.now(), 10)
            .await
            .unwrap(),
        0
    );
    assert_eq!(summary(repo, id).await.entries, 2);
}

/// What has not ended is never deleted, however old. Guard: `ExecutionGuard::DeleteEnded`.
pub async fn what_has_not_ended_is_not_deleted(repo: &Repo, clock: &ManualClock) {
    let (queued, waits) = (created(repo, clock, 1).await, asleep(repo, clock, 2).await);
    clock.advance(DAY * 365);
    assert_eq!(
        repo.delete_ended(&tenant(), clock.now(), 10).await.unwrap(),
        0
    );
    assert_eq!(
        (
            summary(repo, queued).await.entries,
            summary(repo, waits).await.entries
        ),
        (1, 2)
    );
}

/// The end counts, not the beginning, and the instant itself is not before. Guard: `ExecutionGuard::DeleteBefore`.
pub async fn only_what_ended_before_is_deleted(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    clock.advance(SECOND);
    let ended_at = clock.now();
    apply(repo, &lease, end(1, 2)).await;
    clock.advance(DAY);
    assert_eq!(repo.delete_ended(&tenant(), ended_at, 10).await.unwrap(), 0);
    assert_eq!(
        repo.delete_ended(&tenant(), ended_at.plus(SECOND), 10)
            .await
            .unwrap(),
        1
    );
}

/// The oldest go first, at most so many. Guards: `ExecutionGuard::DeleteOldest`, `DeleteLimit`.
pub async fn the_oldest_go_first(repo: &Repo, clock: &ManualClock) {
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(ended(repo, clock, n).await.execution);
        clock.advance(SECOND);
    }
    assert_eq!(
        repo.delete_ended(&tenant(), clock.now(), 3).await.unwrap(),
        3
    );
    assert_eq!(summary(repo, ids[3]).await.entries, 2);
    assert_eq!(repo.get(&tenant(), ids[0]).await.unwrap(), None);
}

/// A deleted execution has no journal, no inbox and no place in listings. Guard: `ExecutionGuard::DeleteWhole`.
pub async fn a_deleted_execution_leaves_nothing(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let _ = send(repo, lease.execution, "a").await;
    apply(repo, &lease, end(1, 2)).await;
    let theirs = NewExecution {
        tenant: other_tenant(),
        ..new_execution(clock, 2)
    };
    let _ = repo
        .create(&other_tenant(), theirs, None, None)
        .await
        .unwrap();
    clock.advance(DAY);
    assert_eq!(
        repo.delete_ended(&tenant(), clock.now(), 10).await.unwrap(),
        1
    );
    assert_eq!(repo.get(&tenant(), lease.execution).await.unwrap(), None);
    assert_eq!(journal(repo, lease.execution).await, []);
    assert_eq!(inbox(repo, lease.execution).await, []);
    assert_eq!(send(repo, lease.execution, "b").await, Signalled::Unknown);
    assert_eq!(acquire(repo, lease.execution, 2).await, Acquired::Unknown);
}
