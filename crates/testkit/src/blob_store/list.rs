//! Rules of listings.

use nebula_core::{Clock, TenantId};
use nebula_ports::{BlobListing, ErrorKind, MAX_BLOB_PAGE};

use super::{Subject, fixture::*};
use crate::ManualClock;

/// So many blobs, each a second younger than the one before.
async fn some(subject: &Subject, clock: &ManualClock, count: u8) -> Vec<nebula_ports::Blob> {
    let mut blobs = Vec::new();
    for number in 0..count {
        blobs.push(subject.put(&[number]).await);
        clock.advance(SECOND);
    }
    blobs
}

/// Guard: `BlobGuard::ListOrder`.
pub async fn blobs_are_listed_by_digest(subject: &Subject, clock: &ManualClock) {
    let mut blobs = some(subject, clock, 20).await;
    blobs.sort_unstable_by_key(|blob| blob.id.digest);
    assert_eq!(subject.all().await, blobs);
}

/// Guards: `BlobGuard::ListLimit`, `ListAfter`.
pub async fn pages_of_blobs_join(subject: &Subject, clock: &ManualClock) {
    let mut blobs = some(subject, clock, 20).await;
    blobs.sort_unstable_by_key(|blob| blob.id.digest);
    for limit in [1, 7, 20, 21] {
        let mut found = Vec::new();
        let mut listing = BlobListing {
            limit,
            ..BlobListing::default()
        };
        for _ in 0..=20 {
            let page = subject.store.list(&tenant(), &listing).await.unwrap();
            assert!(page.blobs.len() <= limit);
            found.extend(page.blobs);
            listing.after = page.next;
            if listing.after.is_none() {
                break;
            }
        }
        assert_eq!(found, blobs, "pages of {limit}");
    }
}

/// Whatever is asked for. Guard: `BlobGuard::ListBound`.
pub async fn a_page_is_bounded(subject: &Subject, _: &ManualClock) {
    let count = u32::try_from(MAX_BLOB_PAGE).unwrap() + 1;
    for number in 0..count {
        let _ = subject.put(&number.to_le_bytes()).await;
    }
    let listing = BlobListing {
        limit: usize::MAX,
        ..BlobListing::default()
    };
    let page = subject.store.list(&tenant(), &listing).await.unwrap();
    assert_eq!(page.blobs.len(), MAX_BLOB_PAGE);
    assert!(page.next.is_some());
}

/// Guards: `BlobGuard::ListAge`, `ListAgeStrict`.
pub async fn a_listing_by_age_leaves_out_the_young(subject: &Subject, clock: &ManualClock) {
    let began = clock.now();
    let blobs = some(subject, clock, 3).await;
    for (seconds, count) in [(0, 0), (1, 1), (2, 2), (3, 3)] {
        let listing = BlobListing {
            renewed_before: began.plus(SECOND * seconds),
            ..BlobListing::default()
        };
        let mut found = subject.listed(&listing).await;
        found.sort_unstable_by_key(|blob| blob.renewed_at);
        assert_eq!(found, blobs[..count], "before second {seconds}");
    }
}

/// Guard: `BlobGuard::ListPrefix`.
pub async fn a_listing_by_prefix_has_no_others(subject: &Subject, clock: &ManualClock) {
    let blobs = some(subject, clock, 40).await;
    let whole = blobs[7].id.digest.to_string();
    for length in [0, 1, 2, 3, 63, 64] {
        let prefix = &whole[..length];
        let listing = BlobListing {
            prefix: prefix.to_owned(),
            ..BlobListing::default()
        };
        let mut expected = blobs.clone();
        expected.retain(|blob| blob.id.digest.to_string().starts_with(prefix));
        expected.sort_unstable_by_key(|blob| blob.id.digest);
        assert_eq!(subject.listed(&listing).await, expected, "`{prefix}`");
    }
}

/// Guard: `BlobGuard::ListPrefixCheck`.
pub async fn a_wrong_prefix_is_refused(subject: &Subject, _: &ManualClock) {
    for prefix in ["..", "/", "A", "g", "a/", "0\0", &"0".repeat(65), "é"] {
        let listing = BlobListing {
            prefix: prefix.to_owned(),
            ..BlobListing::default()
        };
        let page = subject.store.list(&tenant(), &listing).await;
        assert_eq!(refused(page), ErrorKind::Invalid, "`{prefix}`");
    }
}

/// Guard: `BlobGuard::ListTenant`.
pub async fn a_listing_has_one_tenant(subject: &Subject, _: &ManualClock) {
    let blob = subject.put(b"content").await;
    let _ = subject.put_in(&tenant_of("other"), b"another").await;
    assert_eq!(subject.all().await, [blob]);
}

/// Guard: `BlobGuard::TenantsOrder`.
pub async fn tenants_are_listed_by_id(subject: &Subject, _: &ManualClock) {
    let put = tenants(subject, &["b", "a", "Zebra", "a-1"]).await;
    assert_eq!(subject.store.tenants(None, 100).await.unwrap(), put);
}

/// Guard: `BlobGuard::TenantsPages`.
pub async fn pages_of_tenants_join(subject: &Subject, _: &ManualClock) {
    let put = tenants(subject, &["e", "b", "D", "a", "c"]).await;
    let mut found: Vec<TenantId> = Vec::new();
    for _ in 0..=put.len() {
        let page = subject.store.tenants(found.last(), 2).await.unwrap();
        assert!(page.len() <= 2);
        found.extend(page);
    }
    assert_eq!(found, put);
}

/// Tenants with a blob each, in the order of their ids.
async fn tenants(subject: &Subject, ids: &[&str]) -> Vec<TenantId> {
    let mut tenants: Vec<_> = ids.iter().map(|id| tenant_of(id)).collect();
    for tenant in &tenants {
        let _ = subject.put_in(tenant, b"content").await;
    }
    tenants.sort_unstable();
    tenants
}
