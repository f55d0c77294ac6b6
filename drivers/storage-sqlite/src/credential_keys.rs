//! The master keys that credentials may be encrypted with.

use nebula_core::{KeyId, TenantId};
use nebula_ports::{ErrorKind, KeyDropped, KeyPromoted, MAX_CREDENTIAL_KEYS};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{credentials::parse_key, error::Fault, writer::Tx};

const ALL: &str = "SELECT key FROM credential_keys WHERE tenant = ? ORDER BY place DESC";
const PRIMARY: &str =
    "SELECT key, place FROM credential_keys WHERE tenant = ? ORDER BY place DESC LIMIT 1";
const ADD: &str = "INSERT INTO credential_keys (tenant, place, key) VALUES (?, ?, ?)";
const DROP: &str = "DELETE FROM credential_keys WHERE tenant = ? AND key = ?";
const IN_USE: &str = "SELECT 1 FROM credentials WHERE tenant = ? AND key = ? LIMIT 1";

/// All keys, newest first.
pub(crate) fn all(db: &Connection, tenant: &TenantId) -> Result<Vec<KeyId>, Fault> {
    let mut all = db.prepare_cached(ALL)?;
    let mut rows = all.query([tenant.as_str()])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(parse_key(row.get(0)?)?);
    }
    Ok(keys)
}

/// The only key under which versions are put.
pub(crate) fn primary(db: &Connection, tenant: &TenantId) -> Result<Option<KeyId>, Fault> {
    Ok(first(db, tenant)?.map(|(key, _)| key))
}

fn first(db: &Connection, tenant: &TenantId) -> Result<Option<(KeyId, i64)>, Fault> {
    let mut primary = db.prepare_cached(PRIMARY)?;
    let found: Option<(String, i64)> = primary
        .query_row([tenant.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let found = found.map(|(key, place)| Ok((parse_key(key)?, place)));
    found.transpose()
}

/// Puts a key before the others, or says why not.
pub(crate) fn promote(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    from: Option<&KeyId>,
    to: &KeyId,
) -> Result<KeyPromoted, Fault> {
    let (primary, place) = first(tx.connection, tenant)?.unzip();
    if primary.as_ref() == Some(to) {
        return Ok(KeyPromoted::Same);
    }
    if primary.as_ref() != from {
        return Ok(KeyPromoted::Changed { primary });
    }
    let keys = all(tx.connection, tenant)?;
    if keys.contains(to) {
        return Err(Fault::invalid(format!("{to} is one of the older keys")));
    }
    if keys.len() >= MAX_CREDENTIAL_KEYS {
        return Err(Fault::new(
            ErrorKind::Full,
            format!("there are {MAX_CREDENTIAL_KEYS} keys, the most that there may be"),
        ));
    }
    let mut add = tx.connection.prepare_cached(ADD)?;
    let place = place.unwrap_or(0) + 1;
    add.execute(params![tenant.as_str(), place, to.as_str()])?;
    Ok(KeyPromoted::Promoted)
}

/// Forgets a key, unless something is encrypted with it, or will be.
pub(crate) fn forget(tx: &mut Tx<'_>, tenant: &TenantId, key: &KeyId) -> Result<KeyDropped, Fault> {
    let place = params![tenant.as_str(), key.as_str()];
    let mut in_use = tx.connection.prepare_cached(IN_USE)?;
    if in_use.exists(place)? || primary(tx.connection, tenant)?.as_ref() == Some(key) {
        return Ok(KeyDropped::InUse);
    }
    let mut forget = tx.connection.prepare_cached(DROP)?;
    Ok(match forget.execute(place)? {
        0 => KeyDropped::Unknown,
        _ => KeyDropped::Dropped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::query_plan;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        for sql in [ALL, PRIMARY, DROP, IN_USE] {
            let steps = query_plan(sql);
            let searched = steps.iter().any(|step| step.starts_with("SEARCH"));
            let walked = steps.iter().any(|step| step.starts_with("SCAN"));
            let sorted = steps.iter().any(|step| step.contains("TEMP B-TREE"));
            assert!(searched && !walked && !sorted, "{sql}: {steps:?}");
        }
        assert!(query_plan(IN_USE)[0].contains("credentials_key"));
    }
}
