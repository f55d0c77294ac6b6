//! Listings in order, in memory that the page bounds.

use std::collections::BTreeSet;

use nebula_core::{BlobId, Digest, TenantId};
use nebula_ports::{Blob, BlobListing, BlobPage, ErrorKind, MAX_BLOB_PAGE};

use crate::{error::Fault, folder::Folder, leftovers, name};

/// One page of the blobs of a tenant.
pub(crate) fn blobs(
    root: Option<&Folder>,
    tenant: &TenantId,
    listing: &BlobListing,
) -> Result<BlobPage, Fault> {
    let prefix = listing.prefix.as_str();
    let digits = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if prefix.len() > 64 || !prefix.bytes().all(digits) {
        let message = "a prefix is at most 64 hex digits in lower case";
        return Err(Fault::new(ErrorKind::Invalid, message));
    }
    let limit = listing.limit.min(MAX_BLOB_PAGE);
    let mut page = BlobPage::default();
    let name = name::of_tenant(tenant);
    let Some(tenant) = root.map(|root| root.existing(&name)).transpose()?.flatten() else {
        return Ok(page);
    };
    if listing.after.is_none() {
        // Who lists from the beginning looks after the store; what cannot be cleared stays for the next.
        let _ = leftovers::clear(&tenant);
    }
    let first = listing.after.map_or(0, |after| after.as_bytes()[0]);
    for number in first..=u8::MAX {
        let shard = name::shard(number);
        let (short, long) = (prefix.len().min(2), prefix);
        if shard[..short] != long[..short] {
            continue;
        }
        let Some(folder) = tenant.existing(&shard)? else {
            continue;
        };
        // One more than there is room for says that there is more.
        let room = limit - page.blobs.len() + 1;
        for digest in digests(&folder, &shard, listing, room)? {
            let (_, file) = name::of_blob(digest);
            // Gone, or something else: so be it. Too young is looked at once more, here only.
            let Some((length, renewed_at)) = folder.looked_at(&file)? else {
                continue;
            };
            if renewed_at >= listing.renewed_before {
                continue;
            }
            if page.blobs.len() == limit {
                page.next = page.blobs.last().map(|blob| blob.id.digest);
                return Ok(page);
            }
            let id = BlobId { digest, length };
            page.blobs.push(Blob { id, renewed_at });
        }
    }
    Ok(page)
}

/// The first `room` blobs of a shard that a listing asks for.
fn digests(
    folder: &Folder,
    shard: &str,
    listing: &BlobListing,
    room: usize,
) -> Result<BTreeSet<Digest>, Fault> {
    let mut first = BTreeSet::new();
    for name in folder.names()? {
        let name = name?;
        let Some(digest) = name::blob(shard, &name) else {
            continue;
        };
        let behind = listing.after.is_none_or(|after| digest > after);
        if !behind || !name.starts_with(&listing.prefix) {
            continue;
        }
        let full = first.len() == room;
        if full && first.last().is_some_and(|last| digest > *last) {
            continue;
        }
        let old = folder.looked_at(&name)?;
        if old.is_none_or(|(_, renewed_at)| renewed_at >= listing.renewed_before) {
            continue;
        }
        first.insert(digest);
        if first.len() > room {
            first.pop_last();
        }
    }
    Ok(first)
}

/// The tenants that have a folder, in order.
pub(crate) fn tenants(
    root: &Folder,
    after: Option<&TenantId>,
    limit: usize,
) -> Result<Vec<TenantId>, Fault> {
    let limit = limit.min(MAX_BLOB_PAGE);
    let mut first = BTreeSet::new();
    for name in root.names()? {
        let name = name?;
        let Some(tenant) = name::tenant(&name) else {
            continue;
        };
        if after.is_some_and(|after| tenant <= *after) {
            continue;
        }
        // A link or a file with the name of a tenant is none.
        if !matches!(root.existing(&name), Ok(Some(_))) {
            continue;
        }
        first.insert(tenant);
        if first.len() > limit {
            first.pop_last();
        }
    }
    Ok(first.into_iter().collect())
}
