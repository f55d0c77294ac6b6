//! The master keys that credentials may be encrypted with.

use nebula_core::{KeyId, TenantId};
use nebula_ports::{ErrorKind, KeyDropped, KeyPromoted, MAX_CREDENTIAL_KEYS};
use nebula_postgres::params;

use crate::{
    ask::Ask,
    credentials::{lock, parse_key},
    error::Fault,
    tx::Tx,
};

const ALL: &str = "SELECT key FROM credential_keys WHERE tenant = $1 ORDER BY place DESC";
const PRIMARY: &str =
    "SELECT key, place FROM credential_keys WHERE tenant = $1 ORDER BY place DESC LIMIT 1";
const ADD: &str = "INSERT INTO credential_keys (tenant, place, key) VALUES ($1, $2, $3)";
const DROP: &str = "DELETE FROM credential_keys WHERE tenant = $1 AND key = $2";
const IN_USE: &str = "SELECT 1 FROM credentials WHERE tenant = $1 AND key = $2 LIMIT 1";

/// All keys, newest first.
pub(crate) async fn all(db: &impl Ask, tenant: &TenantId) -> Result<Vec<KeyId>, Fault> {
    let rows = db.rows(ALL, params![tenant.as_str()]).await?;
    rows.iter().map(|row| parse_key(row.try_get(0)?)).collect()
}

/// The only key under which versions are put.
pub(crate) async fn primary(tx: &Tx, tenant: &TenantId) -> Result<Option<KeyId>, Fault> {
    Ok(first(tx, tenant).await?.map(|(key, _)| key))
}

async fn first(tx: &Tx, tenant: &TenantId) -> Result<Option<(KeyId, i64)>, Fault> {
    let found = tx.row(PRIMARY, params![tenant.as_str()]).await?;
    let found = found.map(|row| Ok((parse_key(row.try_get(0)?)?, row.try_get(1)?)));
    found.transpose()
}

/// Puts a key before the others, or says why not.
pub(crate) async fn promote(
    tx: &Tx,
    tenant: &TenantId,
    from: Option<&KeyId>,
    to: &KeyId,
) -> Result<KeyPromoted, Fault> {
    lock(tx, tenant).await?;
    let (primary, place) = first(tx, tenant).await?.unzip();
    if primary.as_ref() == Some(to) {
        return Ok(KeyPromoted::Same);
    }
    if primary.as_ref() != from {
        return Ok(KeyPromoted::Changed { primary });
    }
    let keys = all(tx, tenant).await?;
    if keys.contains(to) {
        return Err(Fault::invalid(format!("{to} is one of the older keys")));
    }
    if keys.len() >= MAX_CREDENTIAL_KEYS {
        return Err(Fault::new(
            ErrorKind::Full,
            format!("there are {MAX_CREDENTIAL_KEYS} keys, the most that there may be"),
        ));
    }
    let place = place.unwrap_or(0) + 1;
    tx.execute(ADD, params![tenant.as_str(), place, to.as_str()])
        .await?;
    Ok(KeyPromoted::Promoted)
}

/// Forgets a key, unless something is encrypted with it, or will be.
pub(crate) async fn forget(tx: &Tx, tenant: &TenantId, key: &KeyId) -> Result<KeyDropped, Fault> {
    lock(tx, tenant).await?;
    let (of, named) = (tenant.as_str(), key.as_str());
    let in_use = tx.row(IN_USE, params![of, named]).await?.is_some();
    if in_use || primary(tx, tenant).await?.as_ref() == Some(key) {
        return Ok(KeyDropped::InUse);
    }
    Ok(match tx.execute(DROP, params![of, named]).await? {
        0 => KeyDropped::Unknown,
        _ => KeyDropped::Dropped,
    })
}
