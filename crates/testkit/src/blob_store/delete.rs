//! Rules of deleting, and of tenants.

use nebula_core::Clock;
use nebula_ports::{BlobDeleted, BlobPut, BlobStoreExt};

use super::{Subject, fixture::*};
use crate::ManualClock;

/// Guard: `BlobGuard::Delete`.
pub async fn what_is_deleted_is_gone(subject: &Subject, _: &ManualClock) {
    let blob = subject.put(b"content").await;
    let other = subject.put(b"another").await;
    let deleted = subject
        .store
        .delete(&tenant(), blob.id.digest, blob.renewed_at)
        .await;
    assert_eq!(deleted.unwrap(), BlobDeleted::Deleted);
    assert_eq!(subject.read(blob.id).await.unwrap(), None);
    assert_eq!(subject.all().await, [other]);
}

/// Also if only the renewal is newer, and not the clock. Guards: `BlobGuard::DeleteSeen`, `DeleteTells`.
pub async fn a_deletion_spares_what_was_renewed(subject: &Subject, clock: &ManualClock) {
    let seen = subject.put(b"content").await;
    for jump in [0, -3_600_000] {
        clock.jump_wall(jump);
        let renewed = subject.put(b"content").await;
        let deleted = subject
            .store
            .delete(&tenant(), seen.id.digest, seen.renewed_at)
            .await;
        assert_eq!(deleted.unwrap(), BlobDeleted::Renewed(renewed));
        assert!(subject.read(seen.id).await.unwrap().is_some());
    }
}

/// Guard: `BlobGuard::DeleteMissing`.
pub async fn what_is_gone_is_missing(subject: &Subject, clock: &ManualClock) {
    let blob = subject.put(b"content").await;
    let digest = blob.id.digest;
    let delete = async |seen| subject.store.delete(&tenant(), digest, seen).await.unwrap();
    assert_eq!(delete(blob.renewed_at).await, BlobDeleted::Deleted);
    assert_eq!(delete(blob.renewed_at).await, BlobDeleted::Missing);
    assert_eq!(delete(clock.now()).await, BlobDeleted::Missing);
}

/// Guard: `BlobGuard::Again`.
pub async fn what_was_deleted_can_be_put_again(subject: &Subject, _: &ManualClock) {
    let blob = subject.put(b"content").await;
    let deleted = subject
        .store
        .delete(&tenant(), blob.id.digest, blob.renewed_at)
        .await;
    assert_eq!(deleted.unwrap(), BlobDeleted::Deleted);
    assert_eq!(subject.head(blob.id.digest).await, None);
    let put = subject.put_pieces(pieces(&[b"content"]), 7).await.unwrap();
    assert!(matches!(put, BlobPut::Stored(_)), "{put:?}");
    assert_eq!(
        subject.read(blob.id).await.unwrap().as_deref(),
        Some(&b"content"[..])
    );
}

/// Not even that somebody has the same content. Guard: `BlobGuard::Tenant`.
pub async fn tenants_share_nothing(subject: &Subject, _: &ManualClock) {
    let (mine, yours) = (tenant_of("a"), tenant_of("b"));
    let blob = subject.put_in(&mine, b"content").await;
    assert_eq!(
        subject.store.get_bytes(&yours, blob.id).await.unwrap(),
        None
    );
    let source = pieces(&[b"content"]);
    let put = subject.store.put(&yours, source, ROOM).await.unwrap();
    assert!(matches!(put, BlobPut::Stored(_)), "{put:?}");
}

/// Guard: `BlobGuard::TenantDelete`.
pub async fn a_deletion_leaves_other_tenants_alone(subject: &Subject, _: &ManualClock) {
    let (mine, yours) = (tenant_of("a"), tenant_of("b"));
    let blob = subject.put_in(&mine, b"content").await;
    let theirs = subject.put_in(&yours, b"content").await;
    let deleted = subject
        .store
        .delete(&mine, blob.id.digest, blob.renewed_at)
        .await;
    assert_eq!(deleted.unwrap(), BlobDeleted::Deleted);
    let head = subject.store.head(&yours, blob.id.digest).await;
    assert_eq!(head.unwrap(), Some(theirs));
}

/// A disk may not tell them apart. Guard: `BlobGuard::TenantCase`.
pub async fn tenants_that_differ_in_case_are_two(subject: &Subject, _: &ManualClock) {
    let (mine, yours) = (tenant_of("Shop"), tenant_of("shop"));
    let blob = subject.put_in(&mine, b"content").await;
    assert_eq!(
        subject.store.get_bytes(&yours, blob.id).await.unwrap(),
        None
    );
}
