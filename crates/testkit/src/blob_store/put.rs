//! Rules of putting.

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use nebula_core::{BlobId, Digest};
use nebula_ports::{BlobPut, ErrorKind, PortError};

use super::{Damage, Subject, fixture::*};
use crate::ManualClock;

/// Guard: `BlobGuard::Keeps`.
pub async fn what_is_put_is_read_back(subject: &Subject, _: &ManualClock) {
    let blob = subject.put(b"content").await;
    assert_eq!(
        subject.read(blob.id).await.unwrap().as_deref(),
        Some(&b"content"[..])
    );
}

/// Content of no bytes is content. Guard: `BlobGuard::Keeps`.
pub async fn an_empty_blob_is_a_blob(subject: &Subject, _: &ManualClock) {
    let blob = subject.put(b"").await;
    assert_eq!(blob.id.length, 0);
    assert_eq!(
        subject.read(blob.id).await.unwrap().as_deref(),
        Some(&b""[..])
    );
    let nothing = subject.put_pieces(pieces(&[]), 0).await.unwrap();
    assert!(
        matches!(nothing, BlobPut::Known(same) if same.id == blob.id),
        "{nothing:?}"
    );
}

/// However content comes, it is the same. Guard: `BlobGuard::Pieces`.
pub async fn pieces_do_not_matter(subject: &Subject, _: &ManualClock) {
    let blob = subject.put(b"one two three").await;
    let parts: &[&[u8]] = &[b"one ", b"", b"two", b" ", b"three"];
    let again = subject.put_pieces(pieces(parts), 13).await.unwrap();
    assert!(
        matches!(again, BlobPut::Known(same) if same.id == blob.id),
        "{again:?}"
    );
    assert_eq!(
        subject.read(blob.id).await.unwrap().as_deref(),
        Some(&b"one two three"[..])
    );
}

/// Guards: `BlobGuard::NameDigest`, `NameLength`.
pub async fn a_blob_is_named_by_its_content(subject: &Subject, _: &ManualClock) {
    let put = subject.put_pieces(pieces(&[b"con", b"tent"]), 7).await;
    let BlobPut::Stored(blob) = put.unwrap() else {
        panic!("it was there")
    };
    let expected = BlobId {
        digest: Digest::of(b"content"),
        length: 7,
    };
    assert_eq!(blob.id, expected);
}

/// Guard: `BlobGuard::Limit`.
pub async fn a_put_over_the_limit_stores_nothing(subject: &Subject, _: &ManualClock) {
    for parts in [&[&b"12345"[..]][..], &[b"1234", b"5"]] {
        let put = subject.put_pieces(pieces(parts), 4).await.unwrap();
        assert_eq!(put, BlobPut::TooLarge);
    }
    assert_eq!(subject.all().await, []);
}

/// Guard: `BlobGuard::LimitIncluded`.
pub async fn a_put_of_exactly_the_limit_is_stored(subject: &Subject, _: &ManualClock) {
    let put = subject.put_pieces(pieces(&[b"12", b"34"]), 4).await;
    assert!(matches!(put.unwrap(), BlobPut::Stored(_)));
}

/// A source is read no further than to the limit. Guard: `BlobGuard::LimitStops`.
pub async fn a_put_without_end_is_given_up(subject: &Subject, _: &ManualClock) {
    let put = subject.put_pieces(silent(&[b"12345"]), 4);
    let Some(put) = put.now_or_never() else {
        panic!("it waits for more than it may take")
    };
    assert_eq!(put.unwrap(), BlobPut::TooLarge);
}

/// Guards: `BlobGuard::SourceError`, `SourceWhole`.
pub async fn a_source_that_fails_stores_nothing(subject: &Subject, _: &ManualClock) {
    let put = subject.put_pieces(failing(&[b"12", b"34"]), 100).await;
    let error: PortError = put.expect_err("the source failed");
    assert_eq!((error.kind, error.driver), (ErrorKind::Full, "source"));
    assert_eq!(subject.all().await, []);
}

/// Guard: `BlobGuard::SourceWhole`.
pub async fn a_put_that_is_dropped_stores_nothing(subject: &Subject, _: &ManualClock) {
    let large = content(1, 3 << 20);
    for parts in [&[&b"12"[..]][..], &[&large[..], b"12"]] {
        let put = subject.put_pieces(silent(parts), ROOM.as_u64());
        assert!(put.now_or_never().is_none());
        assert_eq!(subject.all().await, []);
    }
}

/// Guard: `BlobGuard::PutKnown`.
pub async fn a_repeated_put_is_known(subject: &Subject, _: &ManualClock) {
    for content in [content(1, 100), content(2, 3 << 20)] {
        let first = subject.put(&content).await;
        let source = stream::iter([Ok(Bytes::from(content))]).boxed();
        let again = subject.put_pieces(source, ROOM.as_u64()).await.unwrap();
        assert!(
            matches!(again, BlobPut::Known(same) if same.id == first.id),
            "{again:?}"
        );
    }
    assert_eq!(subject.all().await.len(), 2);
}

/// Other bytes under its name are written anew. Guards: `BlobGuard::Mend`, `MendSays`.
pub async fn a_put_mends_a_changed_blob(subject: &Subject, _: &ManualClock) {
    mends(subject, Damage::Flip(70)).await;
}

/// Guard: `BlobGuard::Mend`.
pub async fn a_put_mends_a_cut_blob(subject: &Subject, _: &ManualClock) {
    mends(subject, Damage::Cut(70)).await;
}

async fn mends(subject: &Subject, damage: Damage) {
    let bytes = content(1, 100);
    let blob = subject.put(&bytes).await;
    (subject.damage)(&tenant(), blob.id.digest, damage);
    let source = pieces(&[&bytes]);
    let put = subject.put_pieces(source, 100).await.unwrap();
    assert!(
        matches!(put, BlobPut::Stored(same) if same.id == blob.id),
        "{put:?}"
    );
    assert_eq!(subject.read(blob.id).await.unwrap(), Some(bytes));
}
