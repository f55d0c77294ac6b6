//! API keys, of whose secrets only hashes are here.

use nebula_core::{Digest, PrincipalId, ProjectId, TenantId, Timestamp};
use nebula_ports::{
    ApiKeyRecord, ErrorKind, KeyAdded, MAX_API_KEYS, MAX_IDENTITY_TEXT, MAX_KEY_PREFIX, MAX_SCOPES,
    RecordDeleted, StoredKey, USE_WRITTEN_EVERY,
};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use crate::{error::Fault, principals, projects, row::counted, sum, writer::Tx};

const FIND: &str = "SELECT prefix, principal, name, hash, project, scopes, expires_at, added_at,
    used_at, sum FROM api_keys WHERE tenant = ? AND prefix = ?";
const LIST: &str = "SELECT prefix, principal, name, hash, project, scopes, expires_at, added_at,
    used_at, sum FROM api_keys WHERE tenant = ? AND principal = ? ORDER BY prefix";
const COUNT: &str = "SELECT count(*) FROM api_keys WHERE tenant = ? AND principal = ?";
const ADD: &str = "INSERT INTO api_keys
    (tenant, prefix, principal, name, hash, project, scopes, expires_at, added_at, sum)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const REMOVE: &str = "DELETE FROM api_keys WHERE tenant = ? AND prefix = ?";
const USED: &str = "UPDATE api_keys SET used_at = ?3 WHERE tenant = ?1 AND prefix = ?2";

fn sum_of(tenant: &TenantId, it: &ApiKeyRecord, scopes: Option<&str>, added_at: i64) -> i64 {
    let expires_at = it.expires_at.map_or(i64::MIN, Timestamp::as_millis);
    sum::of(&[
        tenant.as_str().as_bytes(),
        it.prefix.as_bytes(),
        it.principal.as_bytes(),
        it.name.as_bytes(),
        it.hash.as_bytes(),
        it.project.as_ref().map_or("", ProjectId::as_str).as_bytes(),
        scopes.unwrap_or("*").as_bytes(),
        &expires_at.to_be_bytes(),
        &added_at.to_be_bytes(),
    ])
}

fn read(row: &SqlRow<'_>, tenant: &TenantId, now: Timestamp) -> Result<StoredKey, Fault> {
    let prefix: String = row.get(0)?;
    let damaged = || Fault::corrupt("an API key is damaged: its content does not match its sum");
    let project: Option<String> = row.get(4)?;
    let project = project
        .map(ProjectId::new)
        .transpose()
        .map_err(|_| damaged())?;
    let text: Option<String> = row.get(5)?;
    let scopes = text.as_deref().map(serde_json::from_str).transpose();
    let expires_at: Option<i64> = row.get(6)?;
    let used_at: Option<i64> = row.get(8)?;
    let key = ApiKeyRecord {
        prefix,
        principal: PrincipalId::from_bytes(row.get(1)?),
        name: row.get(2)?,
        hash: Digest::from(row.get::<_, [u8; 32]>(3)?),
        project,
        scopes: scopes.map_err(|_| damaged())?,
        expires_at: expires_at.map(Timestamp::from_millis),
    };
    let added_at: i64 = row.get(7)?;
    if sum_of(tenant, &key, text.as_deref(), added_at) != row.get::<_, i64>(9)? {
        return Err(damaged());
    }
    let used_at = used_at.map(Timestamp::from_millis);
    Ok(StoredKey {
        use_is_due: is_due(used_at, now),
        expired: key.expires_at.is_some_and(|at| at <= now),
        key,
        added_at: Timestamp::from_millis(added_at),
        used_at,
    })
}

pub(crate) fn get(
    db: &Connection,
    tenant: &TenantId,
    prefix: &str,
    now: Timestamp,
) -> Result<Option<StoredKey>, Fault> {
    let mut find = db.prepare_cached(FIND)?;
    let found = find.query_row(params![tenant.as_str(), prefix], |row| {
        Ok(read(row, tenant, now))
    });
    found.optional()?.transpose()
}

pub(crate) fn list(
    db: &Connection,
    tenant: &TenantId,
    principal: PrincipalId,
    now: Timestamp,
) -> Result<Vec<StoredKey>, Fault> {
    let mut list = db.prepare_cached(LIST)?;
    let mut rows = list.query(params![tenant.as_str(), principal.as_bytes()])?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        listed.push(read(row, tenant, now)?);
    }
    Ok(listed)
}

fn check(new: &ApiKeyRecord) -> Result<(), Fault> {
    let scopes = new.scopes.as_deref().unwrap_or_default();
    let possible = (1..=MAX_KEY_PREFIX).contains(&new.prefix.len())
        && (1..=MAX_IDENTITY_TEXT).contains(&new.name.len())
        && scopes.len() <= MAX_SCOPES
        && scopes.iter().all(|it| (1..=MAX_SCOPES).contains(&it.len()));
    match possible {
        true => Ok(()),
        false => Err(Fault::invalid(format!(
            "the prefix has more than {MAX_KEY_PREFIX} bytes, the name more than {MAX_IDENTITY_TEXT}, there are more than {MAX_SCOPES} scopes, a scope has more than {MAX_SCOPES} bytes, or a text is empty"
        ))),
    }
}

/// Adds a key, or says why not.
pub(crate) fn add(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    new: &ApiKeyRecord,
) -> Result<KeyAdded, Fault> {
    check(new)?;
    let db = tx.connection;
    if let Some(there) = get(db, tenant, &new.prefix, tx.now)? {
        return Ok(match there.key == *new {
            true => KeyAdded::Same,
            false => KeyAdded::Taken,
        });
    }
    let known = match &new.project {
        Some(project) => projects::get(db, tenant, project)?.is_some(),
        None => true,
    };
    if !known || principals::get(db, tenant, new.principal)?.is_none() {
        return Ok(KeyAdded::Unknown);
    }
    let place = params![tenant.as_str(), new.principal.as_bytes()];
    let count = counted(db, COUNT, place)?;
    if count >= MAX_API_KEYS {
        return Err(Fault::new(
            ErrorKind::Full,
            format!("it has {MAX_API_KEYS} API keys, the most that it may have"),
        ));
    }
    let scopes = new.scopes.as_ref().map(serde_json::to_string).transpose();
    let scopes = scopes.map_err(|error| Fault::invalid(error.to_string()))?;
    let added_at = tx.now.as_millis();
    db.prepare_cached(ADD)?.execute(params![
        tenant.as_str(),
        new.prefix,
        new.principal.as_bytes(),
        new.name,
        new.hash.as_bytes(),
        new.project.as_ref().map(ProjectId::as_str),
        scopes,
        new.expires_at.map(Timestamp::as_millis),
        added_at,
        sum_of(tenant, new, scopes.as_deref(), added_at),
    ])?;
    Ok(KeyAdded::Added)
}

pub(crate) fn remove(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    prefix: &str,
) -> Result<RecordDeleted, Fault> {
    let mut remove = tx.connection.prepare_cached(REMOVE)?;
    Ok(match remove.execute(params![tenant.as_str(), prefix])? {
        0 => RecordDeleted::Unknown,
        _ => RecordDeleted::Deleted,
    })
}

/// Whether a use is to be written.
pub(crate) fn is_due(used_at: Option<Timestamp>, now: Timestamp) -> bool {
    used_at.is_none_or(|at| now.since(at) >= USE_WRITTEN_EVERY)
}

pub(crate) fn used(tx: &mut Tx<'_>, tenant: &TenantId, prefix: &str) -> Result<(), Fault> {
    let found = get(tx.connection, tenant, prefix, tx.now)?;
    if found.is_some_and(|it| it.use_is_due) {
        let mut used = tx.connection.prepare_cached(USED)?;
        used.execute(params![tenant.as_str(), prefix, tx.now.as_millis()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::check_query_plans;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        check_query_plans(&[FIND, LIST, COUNT, REMOVE, USED]);
    }
}
