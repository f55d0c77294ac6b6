//! Rules of reading.

use std::ops::Range;

use futures_util::StreamExt;
use nebula_core::{BlobId, Digest};
use nebula_ports::{ErrorKind, MAX_BLOB_CHUNK};

use super::{Damage, Subject, fixture::*};
use crate::ManualClock;

/// Guards: `BlobGuard::GetMissing`, `HeadMissing`.
pub async fn what_is_not_there_is_none(subject: &Subject, _: &ManualClock) {
    let _ = subject.put(b"another").await;
    let id = BlobId::of(b"content");
    assert_eq!(subject.read(id).await.unwrap(), None);
    assert_eq!(subject.read_part(id, 0..1).await.unwrap(), None);
    assert_eq!(subject.head(id.digest).await, None);
}

/// Guard: `BlobGuard::Head`.
pub async fn a_look_says_length_and_age(subject: &Subject, clock: &ManualClock) {
    let blob = subject.put(b"content").await;
    clock.advance(SECOND);
    assert_eq!(subject.head(Digest::of(b"content")).await, Some(blob));
}

/// Guard: `BlobGuard::HeadStored`.
pub async fn a_look_at_a_cut_blob_says_its_length(subject: &Subject, _: &ManualClock) {
    let blob = subject.put(b"content").await;
    (subject.damage)(&tenant(), blob.id.digest, Damage::Cut(3));
    let length = subject.head(blob.id.digest).await.map(|it| it.id.length);
    assert_eq!(length, Some(3));
}

/// Guard: `BlobGuard::Range`.
pub async fn a_range_gives_its_bytes(subject: &Subject, _: &ManualClock) {
    let bytes = content(1, 700_000);
    let blob = subject.put(&bytes).await;
    for range in [0..1, 0..0, 5..300_000, 262_143..262_145, 699_999..700_000] {
        let part = subject.read_part(blob.id, range.clone()).await.unwrap();
        let place = |at: u64| usize::try_from(at).unwrap();
        let expected = &bytes[place(range.start)..place(range.end)];
        assert!(part.as_deref() == Some(expected), "{range:?}");
    }
}

/// Guard: `BlobGuard::RangeEnd`.
pub async fn a_range_outside_is_refused(subject: &Subject, _: &ManualClock) {
    refuses(subject, &[0..8, 7..8, 8..8, 0..u64::MAX]).await;
}

/// Guard: `BlobGuard::RangeStart`.
pub async fn a_range_that_ends_before_it_begins_is_refused(subject: &Subject, _: &ManualClock) {
    let backwards = Range { start: 5, end: 2 };
    refuses(subject, &[backwards]).await;
}

async fn refuses(subject: &Subject, ranges: &[Range<u64>]) {
    let blob = subject.put(b"content").await;
    for range in ranges {
        let read = subject.read_part(blob.id, range.clone()).await;
        assert_eq!(refused(read), ErrorKind::Invalid, "{range:?}");
    }
}

/// Guard: `BlobGuard::Chunks`.
pub async fn a_large_blob_comes_in_pieces(subject: &Subject, _: &ManualClock) {
    let bytes = content(1, 3 << 20);
    let blob = subject.put(&bytes).await;
    let mut read = subject.store.get(&tenant(), blob.id, None).await;
    let mut read = read.as_mut().unwrap().take().unwrap();
    assert_eq!(read.blob, blob);
    let mut found = Vec::new();
    while let Some(chunk) = read.content.next().await {
        let chunk = chunk.unwrap();
        assert!(chunk.len() <= MAX_BLOB_CHUNK.as_usize(), "{}", chunk.len());
        found.extend_from_slice(&chunk);
    }
    assert!(found == bytes);
}

/// A reference that says another length names nothing. Guard: `BlobGuard::LengthAsked`.
pub async fn a_wrong_length_is_found(subject: &Subject, _: &ManualClock) {
    let mut id = subject.put(b"content").await.id;
    for length in [0, 6, 8] {
        id.length = length;
        assert_eq!(refused(subject.read(id).await), ErrorKind::Corrupt);
        let part = subject.read_part(id, 0..0).await;
        assert_eq!(refused(part), ErrorKind::Corrupt);
    }
}

/// Before its first byte is handed out. Guard: `BlobGuard::LengthStored`.
pub async fn a_cut_blob_is_found(subject: &Subject, _: &ManualClock) {
    let blob = subject.put(b"content").await;
    (subject.damage)(&tenant(), blob.id.digest, Damage::Cut(3));
    let read = subject.store.get(&tenant(), blob.id, None).await;
    assert_eq!(refused(read), ErrorKind::Corrupt);
}

/// Guard: `BlobGuard::LengthOfRange`.
pub async fn a_part_of_a_cut_blob_is_found(subject: &Subject, _: &ManualClock) {
    let blob = subject.put(b"content").await;
    (subject.damage)(&tenant(), blob.id.digest, Damage::Cut(3));
    let read = subject.read_part(blob.id, 0..2).await;
    assert_eq!(refused(read), ErrorKind::Corrupt);
}

/// Wherever it is, and however large the blob. Guard: `BlobGuard::Digest`.
pub async fn a_changed_byte_is_found(subject: &Subject, _: &ManualClock) {
    for (number, length, at) in [(1, 1, 0), (2, 100, 99), (3, 700_000, 300_000)] {
        let blob = subject.put(&content(number, length)).await;
        (subject.damage)(&tenant(), blob.id.digest, Damage::Flip(at));
        let read = subject.read(blob.id).await;
        assert_eq!(refused(read), ErrorKind::Corrupt, "byte {at} of {length}");
    }
}

/// Guard: `BlobGuard::DigestOfRange`.
pub async fn a_range_of_all_is_verified(subject: &Subject, _: &ManualClock) {
    let blob = subject.put(b"content").await;
    (subject.damage)(&tenant(), blob.id.digest, Damage::Flip(3));
    let read = subject.read_part(blob.id, 0..7).await;
    assert_eq!(refused(read), ErrorKind::Corrupt);
}
