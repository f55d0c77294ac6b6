//! The statements behind credentials and the leases of their refreshes.

use std::time::Duration;

use nebula_core::{CredentialId, KeyId, TenantId, Timestamp};
use nebula_ports::{
    CredentialDeleted, CredentialPut, CredentialRewrapped, CredentialSummary, CredentialVersion,
    ErrorKind, MAX_CREDENTIAL_KIND, MAX_DELETED_WITH_USES, MAX_ENVELOPE_BYTES,
    MAX_TENANT_CREDENTIALS, RefreshLease,
};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};
use uuid::Uuid;

use crate::{credential_keys, error::Fault, sum, writer::Tx};

const FIND: &str = "SELECT n, version, kind, key, envelope, sum, lease_holder, lease_until
    FROM credentials WHERE tenant = ? AND id = ?";
const INSERT: &str = "INSERT INTO credentials
    (tenant, id, kind, version, key, envelope, put_at, last_use, sum)
    VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)";
const REPLACE: &str = "UPDATE credentials SET kind = ?2, version = ?3, key = ?4, envelope = ?5,
    put_at = ?6, sum = ?7, lease_holder = NULL, lease_until = NULL WHERE n = ?1";
const REWRAP: &str =
    "UPDATE credentials SET kind = ?2, key = ?3, envelope = ?4, sum = ?5 WHERE n = ?1";
/// Of a deleted one `put_at` is when it was deleted.
const DELETE: &str =
    "UPDATE credentials SET version = ?2, key = NULL, envelope = NULL, put_at = ?3,
    lease_holder = NULL, lease_until = NULL WHERE n = ?1";
/// Looks at all that a tenant ever deleted: that is done seldom, and by a person.
const FORGET_USES: &str = "DELETE FROM credential_uses WHERE credential IN (
    SELECT n FROM credentials WHERE tenant = ? AND key IS NULL ORDER BY put_at DESC, n DESC LIMIT -1 OFFSET ?)";
const LIST: &str = "SELECT id, kind, version, key, put_at, used_at FROM credentials
    WHERE tenant = ? AND id > ? AND key IS NOT NULL ORDER BY id LIMIT ?";
const COUNT: &str = "SELECT COUNT(*) FROM credentials WHERE tenant = ? AND key IS NOT NULL";
const LEASE: &str = "UPDATE credentials SET lease_holder = ?2, lease_until = ?3 WHERE n = ?1";

/// A credential's row.
struct Row {
    n: i64,
    /// The last version, or the number of its deletion.
    version: u32,
    /// Nothing once it is deleted.
    there: Option<CredentialVersion>,
    lease: Option<(Uuid, Timestamp)>,
}

fn find(db: &Connection, tenant: &TenantId, id: &CredentialId) -> Result<Option<Row>, Fault> {
    let mut find = db.prepare_cached(FIND)?;
    let found = find.query_row(params![tenant.as_str(), id.as_str()], |row| {
        Ok(read(row, tenant, id))
    });
    found.optional()?.transpose()
}

fn read(row: &SqlRow<'_>, tenant: &TenantId, id: &CredentialId) -> Result<Row, Fault> {
    let (n, version) = (row.get(0)?, row.get(1)?);
    let (key, envelope): (Option<String>, Option<Vec<u8>>) = (row.get(3)?, row.get(4)?);
    let there = match (key, envelope) {
        (Some(key), Some(envelope)) => {
            let there = CredentialVersion {
                id: id.clone(),
                kind: row.get(2)?,
                version,
                key: parse_key(key)?,
                envelope,
            };
            let added = sum_of(tenant, &there);
            if added != row.get::<_, i64>(5)? {
                return Err(Fault::corrupt(format!(
                    "credential `{id}` is damaged: its content does not match its sum"
                )));
            }
            Some(there)
        }
        _ => None,
    };
    let lease: (Option<[u8; 16]>, Option<i64>) = (row.get(6)?, row.get(7)?);
    let lease = match lease {
        (Some(holder), Some(until)) => {
            Some((Uuid::from_bytes(holder), Timestamp::from_millis(until)))
        }
        _ => None,
    };
    Ok(Row {
        n,
        version,
        there,
        lease,
    })
}

pub(crate) fn parse_key(text: String) -> Result<KeyId, Fault> {
    KeyId::new(text).map_err(|error| Fault::corrupt(format!("a stored key has no id: {error}")))
}

/// What a version adds up to, with the place that it belongs to.
fn sum_of(tenant: &TenantId, version: &CredentialVersion) -> i64 {
    sum::of(&[
        tenant.as_str().as_bytes(),
        version.id.as_str().as_bytes(),
        version.kind.as_bytes(),
        &version.version.to_be_bytes(),
        version.key.as_str().as_bytes(),
        &version.envelope,
    ])
}

fn check(new: &CredentialVersion) -> Result<(), Fault> {
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
fn check_room(db: &Connection, tenant: &TenantId) -> Result<(), Fault> {
    let mut count = db.prepare_cached(COUNT)?;
    let there: u32 = count.query_row([tenant.as_str()], |row| row.get(0))?;
    if usize::try_from(there).is_ok_and(|there| there < MAX_TENANT_CREDENTIALS) {
        return Ok(());
    }
    Err(Fault::new(
        ErrorKind::Full,
        format!(
            "the tenant has {there} credentials; {MAX_TENANT_CREDENTIALS} are the most that it may have"
        ),
    ))
}

pub(crate) fn get(
    db: &Connection,
    tenant: &TenantId,
    id: &CredentialId,
) -> Result<Option<CredentialVersion>, Fault> {
    Ok(find(db, tenant, id)?.and_then(|row| row.there))
}

/// Puts the next version under the primary key, or says why not.
pub(crate) fn put(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    new: &CredentialVersion,
) -> Result<CredentialPut, Fault> {
    check(new)?;
    let row = find(tx.connection, tenant, &new.id)?;
    if row
        .as_ref()
        .is_some_and(|row| row.there.as_ref() == Some(new))
    {
        return Ok(CredentialPut::Same);
    }
    let primary = credential_keys::primary(tx.connection, tenant)?;
    if primary.as_ref() != Some(&new.key) {
        return Ok(CredentialPut::OtherKey { primary });
    }
    let version = row.as_ref().map_or(0, |row| row.version);
    if version.checked_add(1) != Some(new.version) {
        return Ok(CredentialPut::Conflict { version });
    }
    if row.as_ref().is_none_or(|row| row.there.is_none()) {
        check_room(tx.connection, tenant)?;
    }
    let (now, sum) = (tx.now.as_millis(), sum_of(tenant, new));
    let (kind, key, envelope) = (&new.kind, new.key.as_str(), &new.envelope);
    match row {
        None => tx.connection.prepare_cached(INSERT)?.execute(params![
            tenant.as_str(),
            new.id.as_str(),
            kind,
            new.version,
            key,
            envelope,
            now,
            sum
        ])?,
        Some(row) => tx.connection.prepare_cached(REPLACE)?.execute(params![
            row.n,
            kind,
            new.version,
            key,
            envelope,
            now,
            sum
        ])?,
    };
    Ok(CredentialPut::Stored)
}

/// Puts the same version under the primary key, or says why not.
pub(crate) fn rewrap(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    from: &KeyId,
    new: &CredentialVersion,
) -> Result<CredentialRewrapped, Fault> {
    check(new)?;
    let row = find(tx.connection, tenant, &new.id)?;
    let Some((n, there)) = row.and_then(|row| Some((row.n, row.there?))) else {
        return Ok(CredentialRewrapped::Unknown);
    };
    if there.key != *from || there.version != new.version {
        return Ok(CredentialRewrapped::Changed);
    }
    let primary = credential_keys::primary(tx.connection, tenant)?;
    if primary.as_ref() != Some(&new.key) {
        return Ok(CredentialRewrapped::OtherKey { primary });
    }
    let sum = sum_of(tenant, new);
    let mut rewrap = tx.connection.prepare_cached(REWRAP)?;
    rewrap.execute(params![n, new.kind, new.key.as_str(), new.envelope, sum])?;
    Ok(CredentialRewrapped::Rewrapped)
}

pub(crate) fn delete(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    id: &CredentialId,
) -> Result<CredentialDeleted, Fault> {
    // A damaged one can be deleted, too.
    const NUMBER: &str = "SELECT n, version FROM credentials
        WHERE tenant = ? AND id = ? AND key IS NOT NULL";
    let mut number = tx.connection.prepare_cached(NUMBER)?;
    let found: Option<(i64, u32)> = number
        .query_row(params![tenant.as_str(), id.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((n, version)) = found else {
        return Ok(CredentialDeleted::Unknown);
    };
    let mut delete = tx.connection.prepare_cached(DELETE)?;
    let now = tx.now.as_millis();
    delete.execute(params![n, version.saturating_add(1), now])?;
    let kept = i64::try_from(MAX_DELETED_WITH_USES).expect("a small number");
    let mut forget = tx.connection.prepare_cached(FORGET_USES)?;
    forget.execute(params![tenant.as_str(), kept])?;
    Ok(CredentialDeleted::Deleted)
}

pub(crate) fn list(
    db: &Connection,
    tenant: &TenantId,
    after: Option<&CredentialId>,
    limit: usize,
) -> Result<Vec<CredentialSummary>, Fault> {
    let mut list = db.prepare_cached(LIST)?;
    let after = after.map_or("", CredentialId::as_str);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = list.query(params![tenant.as_str(), after, limit])?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let used_at: Option<i64> = row.get(5)?;
        listed.push(CredentialSummary {
            id: CredentialId::new(row.get::<_, String>(0)?).map_err(|error| {
                Fault::corrupt(format!("a stored credential has no id: {error}"))
            })?,
            kind: row.get(1)?,
            version: row.get(2)?,
            key: parse_key(row.get(3)?)?,
            put_at: Timestamp::from_millis(row.get(4)?),
            used_at: used_at.map(Timestamp::from_millis),
        });
    }
    Ok(listed)
}

pub(crate) fn lease_refresh(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    id: &CredentialId,
    version: u32,
    holder: Uuid,
    ttl: Duration,
) -> Result<RefreshLease, Fault> {
    let row = find(tx.connection, tenant, id)?;
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
    let mut lease = tx.connection.prepare_cached(LEASE)?;
    lease.execute(params![row.n, holder.as_bytes(), until.as_millis()])?;
    Ok(RefreshLease::Granted { until })
}

pub(crate) fn release_refresh(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    id: &CredentialId,
    holder: Uuid,
) -> Result<(), Fault> {
    let row = find(tx.connection, tenant, id)?;
    let Some(row) = row.filter(|row| row.lease.is_some_and(|(other, _)| other == holder)) else {
        return Ok(());
    };
    let mut lease = tx.connection.prepare_cached(LEASE)?;
    lease.execute(params![row.n, None::<Vec<u8>>, None::<i64>])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::query_plan;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        for sql in [FIND, REPLACE, REWRAP, DELETE, LIST, LEASE] {
            let steps = query_plan(sql);
            let searched = steps.iter().any(|step| step.starts_with("SEARCH"));
            let walked = steps.iter().any(|step| step.starts_with("SCAN"));
            let sorted = steps.iter().any(|step| step.contains("TEMP B-TREE"));
            assert!(searched && !walked && !sorted, "{sql}: {steps:?}");
        }
    }
}
