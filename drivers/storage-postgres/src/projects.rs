//! Projects of a tenant.

use nebula_core::{ProjectId, TenantId};
use nebula_ports::{
    ErrorKind, MAX_IDENTITY_TEXT, MAX_PROJECTS, ProjectRecord, RecordDeleted, RecordPut,
};
use nebula_postgres::params;

use crate::{
    ask::{Ask, counted, version},
    error::Fault,
    link::Link,
    memberships, principals,
    row::limited,
    texts::check_texts,
    tx::Tx,
};

const FIND: &str = "SELECT version, name FROM projects WHERE tenant = $1 AND id = $2";
const LIST: &str =
    "SELECT id, version, name FROM projects WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3";
const COUNT: &str = "SELECT count(*) FROM projects WHERE tenant = $1";
const PUT: &str = "INSERT INTO projects (tenant, id, version, name) VALUES ($1, $2, $3, $4)
    ON CONFLICT (tenant, id) DO UPDATE SET version = $3, name = $4";
const DELETE: &str = "DELETE FROM projects WHERE tenant = $1 AND id = $2";
const DELETE_KEYS: &str = "DELETE FROM api_keys WHERE tenant = $1 AND project = $2";

pub(crate) async fn get(
    db: &impl Ask,
    tenant: &TenantId,
    id: &ProjectId,
) -> Result<Option<ProjectRecord>, Fault> {
    let found = db.row(FIND, params![tenant.as_str(), id.as_str()]).await?;
    let Some(row) = found else {
        return Ok(None);
    };
    Ok(Some(ProjectRecord {
        id: id.clone(),
        version: version(row.try_get(0)?)?,
        name: row.try_get(1)?,
    }))
}

pub(crate) async fn list(
    link: &Link,
    tenant: &TenantId,
    after: Option<&ProjectId>,
    limit: usize,
) -> Result<Vec<ProjectRecord>, Fault> {
    let after = after.map_or("", ProjectId::as_str);
    let rows = link
        .rows(LIST, params![tenant.as_str(), after, limited(limit)])
        .await?;
    let mut listed = Vec::new();
    for row in rows {
        let id = ProjectId::new(row.try_get::<_, &str>(0)?)
            .map_err(|error| Fault::corrupt(format!("a stored project has no id: {error}")))?;
        listed.push(ProjectRecord {
            id,
            version: version(row.try_get(1)?)?,
            name: row.try_get(2)?,
        });
    }
    Ok(listed)
}

/// Puts the next version, or says why not.
pub(crate) async fn put(
    tx: &Tx,
    tenant: &TenantId,
    new: &ProjectRecord,
) -> Result<RecordPut, Fault> {
    if !(1..=MAX_IDENTITY_TEXT).contains(&new.name.len()) {
        return Err(Fault::invalid(format!(
            "the name has {} bytes; there may be 1 to {MAX_IDENTITY_TEXT}",
            new.name.len()
        )));
    }
    check_texts([new.name.as_str()])?;
    principals::lock(tx, tenant).await?;
    let there = get(tx, tenant, &new.id).await?;
    if there.as_ref() == Some(new) {
        return Ok(RecordPut::Same);
    }
    let version = there.as_ref().map_or(0, |it| it.version);
    if u64::from(new.version) != u64::from(version) + 1 {
        return Ok(RecordPut::Conflict { version });
    }
    let of = tenant.as_str();
    if there.is_none() && counted(tx, COUNT, params![of]).await? >= MAX_PROJECTS {
        return Err(Fault::new(
            ErrorKind::Full,
            format!("there are {MAX_PROJECTS} projects, the most that there may be"),
        ));
    }
    let (id, version) = (new.id.as_str(), i64::from(new.version));
    tx.execute(PUT, params![of, id, version, new.name]).await?;
    Ok(RecordPut::Stored)
}

/// Deletes a project with all that hangs on it.
pub(crate) async fn delete(
    tx: &Tx,
    tenant: &TenantId,
    id: &ProjectId,
) -> Result<RecordDeleted, Fault> {
    principals::lock(tx, tenant).await?;
    let (of, named) = (tenant.as_str(), id.as_str());
    if tx.execute(DELETE, params![of, named]).await? == 0 {
        return Ok(RecordDeleted::Unknown);
    }
    tx.execute(DELETE_KEYS, params![of, named]).await?;
    memberships::delete_in(tx, tenant, id).await?;
    Ok(RecordDeleted::Deleted)
}
