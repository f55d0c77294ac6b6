//! Who is what in which project, and who owns a tenant.

use nebula_core::{PrincipalId, ProjectId, TenantId};
use nebula_ports::{ErrorKind, MAX_MEMBERSHIPS, Membership, MembershipChanged, Role};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{error::Fault, principals, projects, row::counted, writer::Tx};

const OF: &str =
    "SELECT project, role FROM memberships WHERE tenant = ? AND principal = ? ORDER BY project";
const FIND: &str =
    "SELECT role FROM memberships WHERE tenant = ? AND principal = ? AND project = ?";
const COUNT: &str = "SELECT count(*) FROM memberships WHERE tenant = ? AND principal = ?";
const PUT: &str = "INSERT OR REPLACE INTO memberships (tenant, principal, project, role)
    VALUES (?, ?, ?, ?)";
const DELETE: &str = "DELETE FROM memberships WHERE tenant = ? AND principal = ? AND project = ?";
const DELETE_OF: &str = "DELETE FROM memberships WHERE tenant = ? AND principal = ?";
const DELETE_IN: &str = "DELETE FROM memberships WHERE tenant = ? AND project = ?";
const MEMBERS: &str = "SELECT principal, role FROM memberships
    WHERE tenant = ? AND project = ? AND principal > ? ORDER BY principal LIMIT ?";
const OWNERS: &str = "SELECT m.principal FROM memberships m
    JOIN principals p ON p.tenant = m.tenant AND p.id = m.principal
    WHERE m.tenant = ? AND m.project = '' AND m.role = 'owner' AND p.kind = 1 AND p.disabled = 0
    LIMIT 2";

/// Whether nobody but this principal owns the tenant.
pub(crate) fn is_last_owner(
    db: &Connection,
    tenant: &TenantId,
    id: PrincipalId,
) -> Result<bool, Fault> {
    let mut owners = db.prepare_cached(OWNERS)?;
    let mut rows = owners.query([tenant.as_str()])?;
    let mut found: Vec<[u8; 16]> = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(row.get(0)?);
    }
    Ok(found == [*id.as_bytes()])
}

/// All of a principal, that of all projects first.
pub(crate) fn of(
    db: &Connection,
    tenant: &TenantId,
    id: PrincipalId,
) -> Result<Vec<Membership>, Fault> {
    let mut of = db.prepare_cached(OF)?;
    let mut rows = of.query(params![tenant.as_str(), id.as_bytes()])?;
    let mut memberships = Vec::new();
    while let Some(row) = rows.next()? {
        let (project, role): (String, String) = (row.get(0)?, row.get(1)?);
        memberships.push(principals::membership(&project, &role)?);
    }
    Ok(memberships)
}

pub(crate) fn delete_of(db: &Connection, tenant: &TenantId, id: PrincipalId) -> Result<(), Fault> {
    let mut delete = db.prepare_cached(DELETE_OF)?;
    delete.execute(params![tenant.as_str(), id.as_bytes()])?;
    Ok(())
}

pub(crate) fn delete_in(
    db: &Connection,
    tenant: &TenantId,
    project: &ProjectId,
) -> Result<(), Fault> {
    let mut delete = db.prepare_cached(DELETE_IN)?;
    delete.execute(params![tenant.as_str(), project.as_str()])?;
    Ok(())
}

/// Changes a role from the one that was seen, or says why not.
pub(crate) fn change(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    principal: PrincipalId,
    project: Option<&ProjectId>,
    (from, to): (Option<Role>, Option<Role>),
) -> Result<MembershipChanged, Fault> {
    let db = tx.connection;
    let known = match project {
        Some(project) => projects::get(db, tenant, project)?.is_some(),
        None => true,
    };
    if !known || principals::get(db, tenant, principal)?.is_none() {
        return Ok(MembershipChanged::Unknown);
    }
    let text = project.map_or("", ProjectId::as_str);
    let place = params![tenant.as_str(), principal.as_bytes(), text];
    let mut find = db.prepare_cached(FIND)?;
    let found: Option<String> = find.query_row(place, |row| row.get(0)).optional()?;
    let role = found
        .map(|role| principals::membership(text, &role))
        .transpose()?;
    let role = role.map(|it| it.role);
    if role == to {
        return Ok(MembershipChanged::Same);
    }
    if role != from {
        return Ok(MembershipChanged::Conflict { role });
    }
    let loses = project.is_none() && role == Some(Role::Owner);
    if loses && is_last_owner(db, tenant, principal)? {
        return Ok(MembershipChanged::LastOwner);
    }
    let Some(to) = to else {
        db.prepare_cached(DELETE)?.execute(place)?;
        return Ok(MembershipChanged::Changed);
    };
    if role.is_none() {
        let place = params![tenant.as_str(), principal.as_bytes()];
        let count = counted(db, COUNT, place)?;
        if count >= MAX_MEMBERSHIPS {
            return Err(Fault::new(
                ErrorKind::Full,
                format!("it has {MAX_MEMBERSHIPS} memberships, the most that it may have"),
            ));
        }
    }
    let mut put = db.prepare_cached(PUT)?;
    put.execute(params![
        tenant.as_str(),
        principal.as_bytes(),
        text,
        to.as_str()
    ])?;
    Ok(MembershipChanged::Changed)
}

pub(crate) fn members(
    db: &Connection,
    tenant: &TenantId,
    project: Option<&ProjectId>,
    after: Option<PrincipalId>,
    limit: usize,
) -> Result<Vec<(PrincipalId, Role)>, Fault> {
    let project = project.map_or("", ProjectId::as_str);
    // The empty blob is before every id.
    let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut members = db.prepare_cached(MEMBERS)?;
    let mut rows = members.query(params![tenant.as_str(), project, after, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let role: String = row.get(1)?;
        let role = principals::membership(project, &role)?.role;
        found.push((PrincipalId::from_bytes(row.get(0)?), role));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::check_query_plans;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        check_query_plans(&[
            OF, FIND, COUNT, DELETE, DELETE_OF, DELETE_IN, MEMBERS, OWNERS,
        ]);
    }
}
