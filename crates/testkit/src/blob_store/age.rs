//! Rules of the age.

use futures_util::{StreamExt, stream};
use nebula_core::{BlobId, Clock};
use nebula_ports::{Blob, BlobPut, BlobRenewed};

use super::{Damage, Subject, fixture::*};
use crate::ManualClock;

/// Guard: `BlobGuard::PutRenews`.
pub async fn a_repeated_put_renews_the_age(subject: &Subject, clock: &ManualClock) {
    let first = subject.put(b"content").await;
    assert_eq!(first.renewed_at, clock.now());
    clock.advance(SECOND);
    let again = subject.put(b"content").await;
    assert_eq!(again.renewed_at, clock.now());
    assert_eq!(subject.head(first.id.digest).await, Some(again));
}

/// Content that came slowly is as young as any. Guard: `BlobGuard::PutAge`.
pub async fn the_age_begins_with_the_end_of_the_put(subject: &Subject, clock: &ManualClock) {
    let began = clock.now();
    let time = clock.clone();
    let slow = pieces(&[b"one"]).chain(stream::once(async move {
        time.advance(SECOND);
        Ok(bytes::Bytes::from_static(b"two"))
    }));
    let BlobPut::Stored(blob) = subject.put_pieces(slow.boxed(), 6).await.unwrap() else {
        panic!("it was there")
    };
    assert_eq!(blob.renewed_at, began.plus(SECOND));
}

/// Also while the clock stands still, and after it went back. Guards: `BlobGuard::Later`, `LaterByPut`.
pub async fn each_renewal_is_later(subject: &Subject, clock: &ManualClock) {
    let mut last = subject.put(b"content").await;
    for jump in [0, -3_600_000] {
        clock.jump_wall(jump);
        let again = subject.put(b"content").await;
        assert!(again.renewed_at > last.renewed_at, "{again:?} {last:?}");
        let renewed = renew(subject, again.id).await;
        assert!(renewed.renewed_at > again.renewed_at, "{renewed:?}");
        assert_eq!(subject.head(last.id.digest).await, Some(renewed));
        last = renewed;
    }
}

/// Guard: `BlobGuard::Renew`.
pub async fn a_renewal_begins_the_age_anew(subject: &Subject, clock: &ManualClock) {
    let blob = subject.put(b"content").await;
    clock.advance(SECOND);
    let renewed = renew(subject, blob.id).await;
    assert_eq!(renewed.renewed_at, clock.now());
    assert_eq!(subject.head(blob.id.digest).await, Some(renewed));
}

/// Guard: `BlobGuard::RenewMissing`.
pub async fn what_is_not_there_is_not_renewed(subject: &Subject, _: &ManualClock) {
    let renewed = subject.store.renew(&tenant(), BlobId::of(b"content")).await;
    assert_eq!(renewed.unwrap(), BlobRenewed::Missing);
    assert_eq!(subject.all().await, []);
}

/// Who renews what was cut would name what nobody can read. Guard: `BlobGuard::RenewLength`.
pub async fn what_was_cut_is_not_renewed(subject: &Subject, _: &ManualClock) {
    let blob = subject.put(b"content").await;
    (subject.damage)(&tenant(), blob.id.digest, Damage::Cut(3));
    let renewed = subject.store.renew(&tenant(), blob.id).await.unwrap();
    assert_eq!(renewed, BlobRenewed::Missing);
}

/// Or what everybody reads would never be collected. Guards: `BlobGuard::ReadKeepsAge`, `HeadKeepsAge`.
pub async fn reading_renews_nothing(subject: &Subject, clock: &ManualClock) {
    let blob = subject.put(b"content").await;
    clock.advance(SECOND);
    let _ = subject.read(blob.id).await.unwrap();
    let _ = subject.head(blob.id.digest).await;
    assert_eq!(subject.head(blob.id.digest).await, Some(blob));
    assert_eq!(subject.all().await, [blob]);
}

async fn renew(subject: &Subject, id: BlobId) -> Blob {
    match subject.store.renew(&tenant(), id).await.unwrap() {
        BlobRenewed::Renewed(blob) => blob,
        BlobRenewed::Missing => panic!("it is there"),
    }
}
