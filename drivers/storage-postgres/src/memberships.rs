//! Who is what in which project, and who owns a tenant.

use nebula_core::{PrincipalId, ProjectId, TenantId};
use nebula_ports::{ErrorKind, MAX_MEMBERSHIPS, MembershipChanged, Role};
use nebula_postgres::params;
use uuid::Uuid;

use crate::{
    ask::counted,
    error::Fault,
    link::Link,
    principals::{self, uuid},
    projects,
    row::limited,
    tx::Tx,
};

const FIND: &str =
    "SELECT role FROM memberships WHERE tenant = $1 AND principal = $2 AND project = $3";
const COUNT: &str = "SELECT count(*) FROM memberships WHERE tenant = $1 AND principal = $2";
const PUT: &str =
    "INSERT INTO memberships (tenant, principal, project, role) VALUES ($1, $2, $3, $4)
    ON CONFLICT (tenant, principal, project) DO UPDATE SET role = $4";
const DELETE: &str =
    "DELETE FROM memberships WHERE tenant = $1 AND principal = $2 AND project = $3";
const DELETE_OF: &str = "DELETE FROM memberships WHERE tenant = $1 AND principal = $2";
const DELETE_IN: &str = "DELETE FROM memberships WHERE tenant = $1 AND project = $2";
const MEMBERS: &str = "SELECT principal, role FROM memberships
    WHERE tenant = $1 AND project = $2 AND ($3 IS NULL OR principal > $3) ORDER BY principal LIMIT $4";
const OWNERS: &str = "SELECT m.principal FROM memberships AS m
    JOIN principals AS p ON p.tenant = m.tenant AND p.id = m.principal
    WHERE m.tenant = $1 AND m.project = '' AND m.role = 'owner' AND p.kind = 1 AND NOT p.disabled
    LIMIT 2";

/// Whether nobody but this principal owns the tenant; whoever asks has it locked.
pub(crate) async fn is_last_owner(
    tx: &Tx,
    tenant: &TenantId,
    id: PrincipalId,
) -> Result<bool, Fault> {
    let rows = tx.rows(OWNERS, params![tenant.as_str()]).await?;
    let found = rows.iter().map(|row| row.try_get(0));
    let found: Vec<Uuid> = found.collect::<Result<_, _>>()?;
    Ok(found == [uuid(id)])
}

pub(crate) async fn delete_of(tx: &Tx, tenant: &TenantId, id: PrincipalId) -> Result<(), Fault> {
    tx.execute(DELETE_OF, params![tenant.as_str(), uuid(id)])
        .await?;
    Ok(())
}

pub(crate) async fn delete_in(
    tx: &Tx,
    tenant: &TenantId,
    project: &ProjectId,
) -> Result<(), Fault> {
    tx.execute(DELETE_IN, params![tenant.as_str(), project.as_str()])
        .await?;
    Ok(())
}

/// Changes a role from the one that was seen, or says why not.
pub(crate) async fn change(
    tx: &Tx,
    tenant: &TenantId,
    principal: PrincipalId,
    project: Option<&ProjectId>,
    (from, to): (Option<Role>, Option<Role>),
) -> Result<MembershipChanged, Fault> {
    principals::lock(tx, tenant).await?;
    let known = match project {
        Some(project) => projects::get(tx, tenant, project).await?.is_some(),
        None => true,
    };
    if !known || principals::get(tx, tenant, principal).await?.is_none() {
        return Ok(MembershipChanged::Unknown);
    }
    let (of, id) = (tenant.as_str(), uuid(principal));
    let text = project.map_or("", ProjectId::as_str);
    let found = tx.row(FIND, params![of, id, text]).await?;
    let found: Option<String> = found.map(|row| row.try_get(0)).transpose()?;
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
    if loses && is_last_owner(tx, tenant, principal).await? {
        return Ok(MembershipChanged::LastOwner);
    }
    let Some(to) = to else {
        tx.execute(DELETE, params![of, id, text]).await?;
        return Ok(MembershipChanged::Changed);
    };
    if role.is_none() && counted(tx, COUNT, params![of, id]).await? >= MAX_MEMBERSHIPS {
        return Err(Fault::new(
            ErrorKind::Full,
            format!("it has {MAX_MEMBERSHIPS} memberships, the most that it may have"),
        ));
    }
    tx.execute(PUT, params![of, id, text, to.as_str()]).await?;
    Ok(MembershipChanged::Changed)
}

pub(crate) async fn members(
    link: &Link,
    tenant: &TenantId,
    project: Option<&ProjectId>,
    after: Option<PrincipalId>,
    limit: usize,
) -> Result<Vec<(PrincipalId, Role)>, Fault> {
    let project = project.map_or("", ProjectId::as_str);
    let after = after.map(uuid);
    let rows = link
        .rows(
            MEMBERS,
            params![tenant.as_str(), project, after, limited(limit)],
        )
        .await?;
    let mut found = Vec::new();
    for row in rows {
        let role = principals::membership(project, row.try_get(1)?)?.role;
        let id: Uuid = row.try_get(0)?;
        found.push((PrincipalId::from_bytes(id.into_bytes()), role));
    }
    Ok(found)
}
