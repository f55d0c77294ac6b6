//! API keys, of whose secrets only hashes are here.

use nebula_core::{PrincipalId, ProjectId, TenantId, Timestamp};
use nebula_ports::{
    ApiKeyRecord, ErrorKind, KeyAdded, MAX_API_KEYS, MAX_IDENTITY_TEXT, MAX_KEY_PREFIX, MAX_SCOPES,
    RecordDeleted, StoredKey, USE_WRITTEN_EVERY,
};
use nebula_postgres::{Row, params};
use uuid::Uuid;

use crate::{
    ask::{Ask, counted},
    error::Fault,
    link::Link,
    principals::{self, uuid},
    projects,
    row::digest,
    texts::check_texts,
    tx::Tx,
};

const FIND: &str = "SELECT prefix, principal, name, hash, project, scopes, expires_at, added_at,
    used_at FROM api_keys WHERE tenant = $1 AND prefix = $2";
const LIST: &str = "SELECT prefix, principal, name, hash, project, scopes, expires_at, added_at,
    used_at FROM api_keys WHERE tenant = $1 AND principal = $2 ORDER BY prefix";
const COUNT: &str = "SELECT count(*) FROM api_keys WHERE tenant = $1 AND principal = $2";
const ADD: &str = "INSERT INTO api_keys
    (tenant, prefix, principal, name, hash, project, scopes, expires_at, added_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const REMOVE: &str = "DELETE FROM api_keys WHERE tenant = $1 AND prefix = $2";
/// A use is written where the last one that was is long ago; it only grows.
const USED: &str = "UPDATE api_keys SET used_at = $3 WHERE tenant = $1 AND prefix = $2
    AND (used_at IS NULL OR used_at <= $3 - $4)";

/// A key from the columns that begin at `from`.
pub(crate) fn read(row: &Row, from: usize, now: Timestamp) -> Result<StoredKey, Fault> {
    let damaged = || Fault::corrupt("a stored API key cannot be read");
    let project: Option<&str> = row.try_get(from + 4)?;
    let scopes: Option<&str> = row.try_get(from + 5)?;
    let time = |at: Option<i64>| at.map(Timestamp::from_millis);
    let key = ApiKeyRecord {
        prefix: row.try_get(from)?,
        principal: PrincipalId::from_bytes(row.try_get::<_, Uuid>(from + 1)?.into_bytes()),
        name: row.try_get(from + 2)?,
        hash: digest(row.try_get(from + 3)?)?,
        project: project
            .map(ProjectId::new)
            .transpose()
            .map_err(|_| damaged())?,
        scopes: scopes
            .map(serde_json::from_str)
            .transpose()
            .map_err(|_| damaged())?,
        expires_at: time(row.try_get(from + 6)?),
    };
    let used_at = time(row.try_get(from + 8)?);
    Ok(StoredKey {
        use_is_due: is_due(used_at, now),
        expired: key.expires_at.is_some_and(|at| at <= now),
        key,
        added_at: Timestamp::from_millis(row.try_get(from + 7)?),
        used_at,
    })
}

pub(crate) async fn get(
    db: &impl Ask,
    tenant: &TenantId,
    prefix: &str,
    now: Timestamp,
) -> Result<Option<StoredKey>, Fault> {
    if prefix.contains('\0') {
        return Ok(None);
    }
    let found = db.row(FIND, params![tenant.as_str(), prefix]).await?;
    found.map(|row| read(&row, 0, now)).transpose()
}

pub(crate) async fn list(
    link: &Link,
    tenant: &TenantId,
    principal: PrincipalId,
) -> Result<Vec<StoredKey>, Fault> {
    let now = link.now().await?;
    let rows = link
        .rows(LIST, params![tenant.as_str(), uuid(principal)])
        .await?;
    rows.iter().map(|row| read(row, 0, now)).collect()
}

fn check(new: &ApiKeyRecord) -> Result<(), Fault> {
    check_texts([new.prefix.as_str(), &new.name])?;
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
pub(crate) async fn add(tx: &Tx, tenant: &TenantId, new: &ApiKeyRecord) -> Result<KeyAdded, Fault> {
    check(new)?;
    principals::lock(tx, tenant).await?;
    if let Some(there) = get(tx, tenant, &new.prefix, tx.now).await? {
        return Ok(match there.key == *new {
            true => KeyAdded::Same,
            false => KeyAdded::Taken,
        });
    }
    let known = match &new.project {
        Some(project) => projects::get(tx, tenant, project).await?.is_some(),
        None => true,
    };
    if !known || principals::get(tx, tenant, new.principal).await?.is_none() {
        return Ok(KeyAdded::Unknown);
    }
    let (of, principal) = (tenant.as_str(), uuid(new.principal));
    if counted(tx, COUNT, params![of, principal]).await? >= MAX_API_KEYS {
        return Err(Fault::new(
            ErrorKind::Full,
            format!("it has {MAX_API_KEYS} API keys, the most that it may have"),
        ));
    }
    let scopes = new.scopes.as_ref().map(serde_json::to_string).transpose();
    let scopes = scopes.map_err(|error| Fault::invalid(error.to_string()))?;
    tx.execute(
        ADD,
        params![
            of,
            new.prefix,
            principal,
            new.name,
            &new.hash.as_bytes()[..],
            new.project.as_ref().map(ProjectId::as_str),
            scopes,
            new.expires_at.map(Timestamp::as_millis),
            tx.now.as_millis(),
        ],
    )
    .await?;
    Ok(KeyAdded::Added)
}

pub(crate) async fn remove(
    tx: &Tx,
    tenant: &TenantId,
    prefix: &str,
) -> Result<RecordDeleted, Fault> {
    check_texts([prefix])?;
    principals::lock(tx, tenant).await?;
    let gone = tx.execute(REMOVE, params![tenant.as_str(), prefix]).await?;
    Ok(match gone {
        0 => RecordDeleted::Unknown,
        _ => RecordDeleted::Deleted,
    })
}

/// Whether a use is to be written.
pub(crate) fn is_due(used_at: Option<Timestamp>, now: Timestamp) -> bool {
    used_at.is_none_or(|at| now.since(at) >= USE_WRITTEN_EVERY)
}

pub(crate) async fn used(tx: &Tx, tenant: &TenantId, prefix: &str) -> Result<(), Fault> {
    check_texts([prefix])?;
    let every = i64::try_from(USE_WRITTEN_EVERY.as_millis()).unwrap_or(i64::MAX);
    let now = tx.now.as_millis();
    tx.execute(USED, params![tenant.as_str(), prefix, now, every])
        .await?;
    Ok(())
}
