//! Values in blobs, and those of them that are kept in memory.

use std::sync::Arc;

use crate::rig::{Rig, tenant, value};
use nebula_core::{BlobId, ByteSize, TenantId};
use nebula_execution::footprint;
use nebula_memory::Values;
use nebula_ports::{BlobStore, ErrorKind};
use nebula_testkit::{blob_store::Damage, run};

const INLINE: ByteSize = ByteSize::bytes(1_000);

/// Room for so many of the values that these tests put.
fn room(values: u64) -> ByteSize {
    ByteSize::bytes(values * footprint(&value(1, 2_000)) as u64)
}

/// Whether a value is kept: its blob is gone, so it comes from nowhere else.
async fn is_kept(rig: &Rig, values: &Values, blob: BlobId) -> bool {
    let blobs = rig.blobs.clone();
    let there = blobs.head(tenant(), blob.digest).await.unwrap();
    if let Some(there) = there {
        let _ = blobs.delete(tenant(), blob.digest, there.renewed_at).await;
    }
    values.read(tenant(), blob).await.is_ok()
}

/// Guard: what was asked for last stays; the limit is kept.
#[test]
fn values_that_were_used_lately_are_kept() {
    run(async {
        let rig = Rig::new();
        let values = Values::new(rig.blobs.clone(), INLINE, room(2));
        let mut put = Vec::new();
        for number in 0..3 {
            let value = Arc::new(value(number, 2_000));
            put.push(values.put(tenant(), &value).await.unwrap());
            if number == 1 {
                // The first was used after the second.
                values.read(tenant(), put[0]).await.unwrap();
            }
            assert!(values.bytes() as u64 <= room(2).as_u64());
        }
        assert!(is_kept(&rig, &values, put[0]).await);
        assert!(!is_kept(&rig, &values, put[1]).await);
        assert!(is_kept(&rig, &values, put[2]).await);
        values.shrink_to(0);
        assert_eq!(values.bytes(), 0);
        assert!(!is_kept(&rig, &values, put[0]).await);
    });
}

/// Guards: what was read is kept as well, what is put again takes its memory once, and both kinds of
/// questions are counted.
#[test]
fn what_was_read_is_kept_and_counted_once() {
    run(async {
        let rig = Rig::new();
        let values = Values::new(rig.blobs.clone(), INLINE, room(2));
        let one = Arc::new(value(1, 2_000));
        let blob = values.put(tenant(), &one).await.unwrap();
        let bytes = values.bytes();
        assert_eq!(values.put(tenant(), &one).await.unwrap(), blob);
        assert_eq!(values.bytes(), bytes);
        values.shrink_to(0);
        for asked in [(0, 1), (1, 1), (2, 1)] {
            values.read(tenant(), blob).await.unwrap();
            assert_eq!(values.asked(), asked);
        }
        assert_eq!(values.bytes(), bytes);
    });
}

/// Guards: each name has its own value, and each tenant its own; what is larger than all the room
/// drives nothing out.
#[test]
fn a_value_is_that_of_its_name_and_tenant() {
    run(async {
        let rig = Rig::new();
        let values = Values::new(rig.blobs.clone(), INLINE, room(2));
        let (one, two) = (Arc::new(value(1, 2_000)), Arc::new(value(2, 2_000)));
        let blobs = [
            values.put(tenant(), &one).await.unwrap(),
            values.put(tenant(), &two).await.unwrap(),
        ];
        let large = Arc::new(value(3, 20_000));
        values.put(tenant(), &large).await.unwrap();
        assert!(values.bytes() > 0);
        assert_eq!(values.read(tenant(), blobs[0]).await.unwrap(), one);
        assert_eq!(values.read(tenant(), blobs[1]).await.unwrap(), two);
        let other = TenantId::new("other").unwrap();
        let error = values.read(&other, blobs[0]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupt);
    });
}

/// Guard: what is read is what was put, or an error that names the blob.
#[test]
fn what_is_read_was_put() {
    run(async {
        for damage in [Damage::Flip(7), Damage::Cut(3)] {
            let rig = Rig::new();
            let nothing = ByteSize::bytes(0);
            let values = Values::new(rig.blobs.clone(), INLINE, nothing);
            let value = Arc::new(value(1, 2_000));
            let blob = values.put(tenant(), &value).await.unwrap();
            assert_eq!(values.read(tenant(), blob).await.unwrap(), value);
            rig.blobs.damage(tenant(), blob.digest, damage);
            let error = values.read(tenant(), blob).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");
        }
    });
}

/// Guard: the limit itself stays in the journal, and one byte more does not.
#[test]
fn a_value_is_large_above_the_limit() {
    let rig = Rig::new();
    let values = Values::new(rig.blobs, INLINE, room(1));
    let text = |length: usize| serde_json::json!("x".repeat(length));
    assert!(!values.is_large(&text(998)) && values.is_large(&text(999)));
}
