//! The statements behind credentials and the leases of their refreshes.

use std::time::Duration;

use nebula_core::{CredentialId, KeyId, TenantId, Timestamp};
use nebula_ports::{
    CredentialDeleted, CredentialPut, CredentialRewrapped, CredentialSummary, CredentialVersion,
    ErrorKind, MAX_CREDENTIAL_KIND, MAX_DELETED_WITH_USES, MAX_ENVELOPE_BYTES,
    MAX_TENANT_CREDENTIALS, RefreshLease,
};
use nebula_postgres::{Row as SqlRow, params};
use uuid::Uuid;

use crate::{
    ask::{Ask, counted, version as version_of},
    credential_keys,
    error::Fault,
    link::Link,
    row::limited,
    texts::check_texts,
    tx::Tx,
};

/// What [`read`] reads.
macro_rules! find {
    ($rest:literal) => {
        concat!(
            "SELECT n, version, kind, key, envelope, lease_holder, lease_until
             FROM credentials WHERE tenant = $1 AND id = $2",
            $rest
        )
    };
}
const FIND: &str = find!("");
/// The row is locked from then on.
const FIND_LOCKED: &str = find!(" FOR UPDATE");
const INSERT: &str = "INSERT INTO credentials
    (tenant, id, kind, version, key, envelope, put_at, last_use)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 0)";
const REPLACE: &str = "UPDATE credentials SET kind = $2, version = $3, key = $4, envelope = $5,
    put_at = $6, lease_holder = NULL, lease_until = NULL WHERE n = $1";
const REWRAP: &str = "UPDATE credentials SET kind = $2, key = $3, envelope = $4 WHERE n = $1";
/// Of a deleted one `put_at` is when it was deleted.
const DELETE: &str =
    "UPDATE credentials SET version = version + 1, key = NULL, envelope = NULL, put_at = $3,
    lease_holder = NULL, lease_until = NULL WHERE tenant = $1 AND id = $2 AND key IS NOT NULL";
/// Looks at all that a tenant ever deleted: that is done seldom, and by a person.
const FORGET_USES: &str = "DELETE FROM credential_uses WHERE credential IN (
    SELECT n FROM credentials WHERE tenant = $1 AND key IS NULL ORDER BY put_at DESC, n DESC OFFSET $2)";
const LIST: &str = "SELECT id, kind, version, key, put_at, used_at FROM credentials
    WHERE tenant = $1 AND id > $2 AND key IS NOT NULL ORDER BY id LIMIT $3";
const COUNT: &str = "SELECT count(*) FROM credentials WHERE tenant = $1 AND key IS NOT NULL";
const LEASE: &str = "UPDATE credentials SET lease_holder = $2, lease_until = $3 WHERE n = $1";
const RELEASE: &str = "UPDATE credentials SET lease_holder = NULL, lease_until = NULL
    WHERE tenant = $1 AND id = $2 AND lease_holder = $3";

/// A credential's row.
struct Row {
    n: i64,
    /// The last version, or the number of its deletion.
    version: u32,
    /// Nothing once it is deleted.
    there: Option<CredentialVersion>,
    lease: Option<(Uuid, Timestamp)>,
}

/// Waits until nobody else changes credentials or keys of this tenant: a version is put under the primary key
/// alone, and a key is dropped that nothing is encrypted with. Such changes are rare.
pub(crate) async fn lock(tx: &Tx, tenant: &TenantId) -> Result<(), Fault> {
    tx.lock("credentials", tenant, "").await
}

async fn find(
    db: &impl Ask,
    sql: &str,
    tenant: &TenantId,
    id: &CredentialId,
) -> Result<Option<Row>, Fault> {
    let found = db.row(sql, params![tenant.as_str(), id.as_str()]).await?;
    found.map(|row| read(&row, id)).transpose()
}

fn read(row: &SqlRow, id: &CredentialId) -> Result<Row, Fault> {
    let version = version_of(row.try_get(1)?)?;
    let (key, envelope): (Option<String>, Option<Vec<u8>>) = (row.try_get(3)?, row.try_get(4)?);
    let there = match (key, envelope) {
        (Some(key), Some(envelope)) => Some(CredentialVersion {
            id: id.clone(),
            kind: row.try_get(2)?,
            version,
            key: parse_key(key)?,
            envelope,
        }),
        _ => None,
    };
    let until: Option<i64> = row.try_get(6)?;
    let holder: Option<Uuid> = row.try_get(5)?;
    Ok(Row {
        n: row.try_get(0)?,
        version,
        there,
        lease: holder.zip(until.map(Timestamp::from_millis)),
    })
}

pub(crate) fn parse_key(text: String) -> Result<KeyId, Fault> {
    KeyId::new(text).map_err(|error| Fault::corrupt(format!("a stored key has no id: {error}")))
}

fn check(new: &CredentialVersion) -> Result<(), Fault> {
    check_texts([new.kind.as_str()])?;
    let possible = (1..=MAX_ENVELOPE_BYTES).contains(&new.envelope.len())
        && (1..=MAX_CREDENTIAL_KIND).contains(&new.kind.len());
    if possible {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "the envelope has {} bytes and the type's name {}; the limits are 1 to {MAX_ENVELOPE_BYTES} and 1 to {MAX_CREDENTIAL_KIND}",
        new.envelope.len(),
        new.kind.len()
    )))
}

/// Whether the tenant may have another credential.
async fn check_room(tx: &Tx, tenant: &TenantId) -> Result<(), Fault> {
    let there = counted(tx, COUNT, params![tenant.as_str()]).await?;
    if there < MAX_TENANT_CREDENTIALS {
        return Ok(());
    }
    Err(Fault::new(
        ErrorKind::Full,
        format!(
            "the tenant has {there} credentials; {MAX_TENANT_CREDENTIALS} are the most that it may have"
        ),
    ))
}

pub(crate) async fn get(
    link: &Link,
    tenant: &TenantId,
    id: &CredentialId,
) -> Result<Option<CredentialVersion>, Fault> {
    let found = find(link, FIND, tenant, id).await?;
    Ok(found.and_then(|row| row.there))
}

/// Puts the next version under the primary key, or says why not.
pub(crate) async fn put(
    tx: &Tx,
    tenant: &TenantId,
    new: &CredentialVersion,
) -> Result<CredentialPut, Fault> {
    check(new)?;
    lock(tx, tenant).await?;
    let row = find(tx, FIND_LOCKED, tenant, &new.id).await?;
    let there = row.as_ref().and_then(|row| row.there.as_ref());
    if there == Some(new) {
        return Ok(CredentialPut::Same);
    }
    let is_there = there.is_some();
    let primary = credential_keys::primary(tx, tenant).await?;
    if primary.as_ref() != Some(&new.key) {
        return Ok(CredentialPut::OtherKey { primary });
    }
    let version = row.as_ref().map_or(0, |row| row.version);
    if version.checked_add(1) != Some(new.version) {
        return Ok(CredentialPut::Conflict { version });
    }
    if !is_there {
        check_room(tx, tenant).await?;
    }
    let (kind, key, envelope) = (new.kind.as_str(), new.key.as_str(), &new.envelope[..]);
    let (version, now) = (i64::from(new.version), tx.now.as_millis());
    match row {
        None => {
            let (of, id) = (tenant.as_str(), new.id.as_str());
            tx.execute(INSERT, params![of, id, kind, version, key, envelope, now])
                .await?
        }
        Some(row) => {
            tx.execute(REPLACE, params![row.n, kind, version, key, envelope, now])
                .await?
        }
    };
    Ok(CredentialPut::Stored)
}

/// Puts the same version under the primary key, or says why not.
pub(crate) async fn rewrap(
    tx: &Tx,
    tenant: &TenantId,
    from: &KeyId,
    new: &CredentialVersion,
) -> Result<CredentialRewrapped, Fault> {
    check(new)?;
    lock(tx, tenant).await?;
    let row = find(tx, FIND_LOCKED, tenant, &new.id).await?;
    let Some((n, there)) = row.and_then(|row| Some((row.n, row.there?))) else {
        return Ok(CredentialRewrapped::Unknown);
    };
    if there.key != *from || there.version != new.version {
        return Ok(CredentialRewrapped::Changed);
    }
    let primary = credential_keys::primary(tx, tenant).await?;
    if primary.as_ref() != Some(&new.key) {
        return Ok(CredentialRewrapped::OtherKey { primary });
    }
    let (kind, key, envelope) = (new.kind.as_str(), new.key.as_str(), &new.envelope[..]);
    tx.execute(REWRAP, params![n, kind, key, envelope]).await?;
    Ok(CredentialRewrapped::Rewrapped)
}

pub(crate) async fn delete(
    tx: &Tx,
    tenant: &TenantId,
    id: &CredentialId,
) -> Result<CredentialDeleted, Fault> {
    lock(tx, tenant).await?;
    let (of, now) = (tenant.as_str(), tx.now.as_millis());
    if tx.execute(DELETE, params![of, id.as_str(), now]).await? == 0 {
        return Ok(CredentialDeleted::Unknown);
    }
    let kept = i64::try_from(MAX_DELETED_WITH_USES).expect("a small number");
    tx.execute(FORGET_USES, params![of, kept]).await?;
    Ok(CredentialDeleted::Deleted)
}

pub(crate) async fn list(
    link: &Link,
    tenant: &TenantId,
    after: Option<&CredentialId>,
    limit: usize,
) -> Result<Vec<CredentialSummary>, Fault> {
    let after = after.map_or("", CredentialId::as_str);
    let rows = link
        .rows(LIST, params![tenant.as_str(), after, limited(limit)])
        .await?;
    let mut listed = Vec::new();
    for row in rows {
        let used_at: Option<i64> = row.try_get(5)?;
        listed.push(CredentialSummary {
            id: CredentialId::new(row.try_get::<_, &str>(0)?).map_err(|error| {
                Fault::corrupt(format!("a stored credential has no id: {error}"))
            })?,
            kind: row.try_get(1)?,
            version: version_of(row.try_get(2)?)?,
            key: parse_key(row.try_get(3)?)?,
            put_at: Timestamp::from_millis(row.try_get(4)?),
            used_at: used_at.map(Timestamp::from_millis),
        });
    }
    Ok(listed)
}

pub(crate) async fn lease_refresh(
    tx: &Tx,
    tenant: &TenantId,
    id: &CredentialId,
    version: u32,
    (holder, ttl): (Uuid, Duration),
) -> Result<RefreshLease, Fault> {
    let row = find(tx, FIND_LOCKED, tenant, id).await?;
    let Some(row) = row.filter(|row| row.there.is_some()) else {
        return Ok(RefreshLease::Unknown);
    };
    if row.version != version {
        let version = row.version;
        return Ok(RefreshLease::Stale { version });
    }
    if let Some((other, until)) = row.lease
        && other != holder
        && until > tx.now
    {
        return Ok(RefreshLease::Held { until });
    }
    let until = tx.now.plus(ttl);
    tx.execute(LEASE, params![row.n, holder, until.as_millis()])
        .await?;
    Ok(RefreshLease::Granted { until })
}

pub(crate) async fn release_refresh(
    tx: &Tx,
    tenant: &TenantId,
    id: &CredentialId,
    holder: Uuid,
) -> Result<(), Fault> {
    tx.execute(RELEASE, params![tenant.as_str(), id.as_str(), holder])
        .await?;
    Ok(())
}
