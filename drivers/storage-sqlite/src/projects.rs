//! Projects of a tenant.

use nebula_core::{ProjectId, TenantId};
use nebula_ports::{
    ErrorKind, MAX_IDENTITY_TEXT, MAX_PROJECTS, ProjectRecord, RecordDeleted, RecordPut,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{error::Fault, memberships, row::counted, writer::Tx};

const FIND: &str = "SELECT version, name FROM projects WHERE tenant = ? AND id = ?";
const LIST: &str =
    "SELECT id, version, name FROM projects WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?";
const COUNT: &str = "SELECT count(*) FROM projects WHERE tenant = ?";
const PUT: &str = "INSERT OR REPLACE INTO projects (tenant, id, version, name) VALUES (?, ?, ?, ?)";
const DELETE: &str = "DELETE FROM projects WHERE tenant = ? AND id = ?";
const DELETE_KEYS: &str = "DELETE FROM api_keys WHERE tenant = ? AND project = ?";

pub(crate) fn get(
    db: &Connection,
    tenant: &TenantId,
    id: &ProjectId,
) -> Result<Option<ProjectRecord>, Fault> {
    let mut find = db.prepare_cached(FIND)?;
    let found = find.query_row(params![tenant.as_str(), id.as_str()], |row| {
        Ok(ProjectRecord {
            id: id.clone(),
            version: row.get(0)?,
            name: row.get(1)?,
        })
    });
    Ok(found.optional()?)
}

pub(crate) fn list(
    db: &Connection,
    tenant: &TenantId,
    after: Option<&ProjectId>,
    limit: usize,
) -> Result<Vec<ProjectRecord>, Fault> {
    let after = after.map_or("", ProjectId::as_str);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut list = db.prepare_cached(LIST)?;
    let mut rows = list.query(params![tenant.as_str(), after, limit])?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let id = ProjectId::new(row.get::<_, String>(0)?)
            .map_err(|error| Fault::corrupt(format!("a stored project has no id: {error}")))?;
        listed.push(ProjectRecord {
            id,
            version: row.get(1)?,
            name: row.get(2)?,
        });
    }
    Ok(listed)
}

/// Puts the next version, or says why not.
pub(crate) fn put(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    new: &ProjectRecord,
) -> Result<RecordPut, Fault> {
    if !(1..=MAX_IDENTITY_TEXT).contains(&new.name.len()) {
        return Err(Fault::invalid(format!(
            "the name has {} bytes; there may be 1 to {MAX_IDENTITY_TEXT}",
            new.name.len()
        )));
    }
    let there = get(tx.connection, tenant, &new.id)?;
    if there.as_ref() == Some(new) {
        return Ok(RecordPut::Same);
    }
    let version = there.as_ref().map_or(0, |it| it.version);
    if u64::from(new.version) != u64::from(version) + 1 {
        return Ok(RecordPut::Conflict { version });
    }
    if there.is_none() {
        let count = counted(tx.connection, COUNT, [tenant.as_str()])?;
        if count >= MAX_PROJECTS {
            return Err(Fault::new(
                ErrorKind::Full,
                format!("there are {MAX_PROJECTS} projects, the most that there may be"),
            ));
        }
    }
    let mut put = tx.connection.prepare_cached(PUT)?;
    put.execute(params![
        tenant.as_str(),
        new.id.as_str(),
        new.version,
        new.name
    ])?;
    Ok(RecordPut::Stored)
}

/// Deletes a project with all that hangs on it.
pub(crate) fn delete(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    id: &ProjectId,
) -> Result<RecordDeleted, Fault> {
    let place = params![tenant.as_str(), id.as_str()];
    if tx.connection.prepare_cached(DELETE)?.execute(place)? == 0 {
        return Ok(RecordDeleted::Unknown);
    }
    tx.connection.prepare_cached(DELETE_KEYS)?.execute(place)?;
    memberships::delete_in(tx.connection, tenant, id)?;
    Ok(RecordDeleted::Deleted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::check_query_plans;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        check_query_plans(&[FIND, LIST, COUNT, DELETE, DELETE_KEYS]);
    }
}
