//! Names of tenants and blobs, as names of folders and files, and back.
//!
//! A tenant's folder is `<case>-<id in lower case>`, where `<case>` is a hex number whose bit `i` says
//! that letter `i` is a capital: `Shop` is `1-shop`. So two tenants are two folders also where the disk
//! takes capitals for small letters, and no id is a name with a meaning of its own (`con`, `nul`).

use nebula_core::{Digest, MAX_ID_LEN, TenantId};

/// The folder of a tenant's unfinished puts: no shard has this name.
pub(crate) const INCOMING: &str = "incoming";

const _: () = assert!(MAX_ID_LEN <= 128, "a bit for each letter");

/// The folder of `tenant`.
pub(crate) fn of_tenant(tenant: &TenantId) -> String {
    let id = tenant.as_str();
    let capitals = id
        .bytes()
        .enumerate()
        .filter(|(_, letter)| letter.is_ascii_uppercase())
        .fold(0_u128, |bits, (at, _)| bits | 1 << at);
    format!("{capitals:x}-{}", id.to_ascii_lowercase())
}

/// The tenant whose folder this is; `None` if it is nobody's.
pub(crate) fn tenant(folder: &str) -> Option<TenantId> {
    let (capitals, id) = folder.split_once('-')?;
    let bits = u128::from_str_radix(capitals, 16).ok()?;
    if id.len() > MAX_ID_LEN {
        return None;
    }
    let id: String = id
        .char_indices()
        .map(|(at, letter)| match bits >> at & 1 {
            1 => letter.to_ascii_uppercase(),
            _ => letter,
        })
        .collect();
    let tenant = TenantId::new(id).ok()?;
    // There is one way to write each.
    (of_tenant(&tenant) == folder).then_some(tenant)
}

/// The shard and the file of a blob: the first two digits of its digest, and all of them.
pub(crate) fn of_blob(digest: Digest) -> (String, String) {
    let file = digest.to_string();
    (file[..2].to_owned(), file)
}

/// The shard with this number.
pub(crate) fn shard(number: u8) -> String {
    format!("{number:02x}")
}

/// The blob whose file in `shard` this is; `None` if it is none.
pub(crate) fn blob(shard: &str, file: &str) -> Option<Digest> {
    let digest: Digest = file.parse().ok()?;
    (of_blob(digest) == (shard.to_owned(), file.to_owned())).then_some(digest)
}
