//! The statements behind workflows, their versions and plans.

use nebula_core::{Digest, ProjectId, TenantId, Timestamp, WorkflowId};
use nebula_ports::{
    Page, PageToken, Published, Saved, StoredWorkflow, VersionSummary, WorkflowFilter,
    WorkflowSummary, WorkflowVersions,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    error::Fault,
    row::{number, stored},
    sum,
    triggers::{self, Registrations},
    writer::Tx,
};

/// A version in the form in which it is stored.
#[derive(Debug)]
pub(crate) struct NewRow {
    pub(crate) id: WorkflowId,
    pub(crate) name: String,
    /// JSON text.
    pub(crate) definition: String,
    pub(crate) digest: Digest,
    pub(crate) expected_revision: Option<u64>,
    pub(crate) project: Option<ProjectId>,
}

/// A workflow's row.
struct Head {
    latest: u32,
    revision: u64,
}

fn head(db: &Connection, tenant: &TenantId, id: &WorkflowId) -> Result<Option<Head>, Fault> {
    let mut find =
        db.prepare_cached("SELECT latest, revision FROM workflows WHERE tenant = ? AND id = ?")?;
    let found = find
        .query_row([tenant.as_str(), id.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    found
        .map(|(latest, revision)| {
            Ok(Head {
                latest,
                revision: number(revision)?,
            })
        })
        .transpose()
}

/// Saves a new version, unless its digest is there or somebody saved since.
pub(crate) fn save(tx: &mut Tx<'_>, tenant: &TenantId, new: &NewRow) -> Result<Saved, Fault> {
    let found = head(tx.connection, tenant, &new.id)?;
    let (latest, revision) = found.map_or((0, 0), |head| (head.latest, head.revision));
    let mut same = tx.connection.prepare_cached(
        "SELECT version FROM workflow_versions WHERE tenant = ? AND id = ? AND digest = ?",
    )?;
    let (owner, id, digest) = (tenant.as_str(), new.id.as_str(), new.digest.as_bytes());
    let known = same
        .query_row(params![owner, id, digest], |row| row.get(0))
        .optional()?;
    if let Some(version) = known {
        return Ok(Saved::Unchanged { version, revision });
    }
    if new
        .expected_revision
        .is_some_and(|expected| expected != revision)
    {
        return Ok(Saved::Conflict { revision });
    }
    let (version, revision) = (latest + 1, revision + 1);
    let mut insert = tx.connection.prepare_cached(
        "INSERT INTO workflow_versions (tenant, id, version, digest, definition, saved_at, sum)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    insert.execute(params![
        owner,
        id,
        version,
        digest,
        new.definition,
        tx.now.as_millis(),
        sum::of(&[new.definition.as_bytes()])
    ])?;
    let mut put = tx.connection.prepare_cached(
        "INSERT INTO workflows (tenant, id, name, latest, published, revision, archived, project)
         VALUES (?1, ?2, ?3, ?4, NULL, ?5, 0, ?6)
         ON CONFLICT (tenant, id) DO UPDATE SET name = ?3, latest = ?4, revision = ?5",
    )?;
    let project = new.project.as_ref().map(ProjectId::as_str);
    put.execute(params![
        owner,
        id,
        new.name,
        version,
        stored(revision)?,
        project
    ])?;
    Ok(Saved::New { version, revision })
}

/// One version, or the latest.
pub(crate) fn get(
    db: &Connection,
    tenant: &TenantId,
    id: &WorkflowId,
    version: Option<u32>,
) -> Result<Option<StoredWorkflow>, Fault> {
    let mut find = db.prepare_cached(
        "SELECT version, definition, digest, saved_at, sum FROM workflow_versions
         WHERE tenant = ?1 AND id = ?2 AND (?3 IS NULL OR version = ?3)
         ORDER BY version DESC LIMIT 1",
    )?;
    let mut rows = find.query(params![tenant.as_str(), id.as_str(), version])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let damaged = || Fault::corrupt(format!("the definition of `{id}` cannot be read"));
    let definition = row.get_ref(1)?.as_str().map_err(|_| damaged())?;
    sum::check(row.get(4)?, &[definition.as_bytes()], || {
        format!("the definition of `{id}`")
    })?;
    Ok(Some(StoredWorkflow {
        id: id.clone(),
        version: row.get(0)?,
        definition: serde_json::from_str(definition).map_err(|_| damaged())?,
        digest: Digest::from(row.get::<_, [u8; 32]>(2)?),
        saved_at: Timestamp::from_millis(row.get(3)?),
    }))
}

/// A page of workflows by id.
pub(crate) fn list(
    db: &Connection,
    tenant: &TenantId,
    filter: &WorkflowFilter,
    after: Option<&PageToken>,
    limit: usize,
) -> Result<Page<WorkflowSummary>, Fault> {
    let after = match after {
        Some(PageToken(token)) => WorkflowId::new(token.as_str())
            .map_err(|_| Fault::invalid("the page token is not from a page before"))?
            .to_string(),
        None => String::new(),
    };
    let mut find = db.prepare_cached(
        "SELECT id, name, latest, published, revision, archived, project FROM workflows
         WHERE tenant = ?1 AND id > ?2 AND (?3 OR NOT archived)
           AND (?4 IS NULL OR instr(lower(id), lower(?4)) OR instr(lower(name), lower(?4)))
           AND (?6 IS NULL OR project IN (SELECT value FROM json_each(?6)))
         ORDER BY id LIMIT ?5",
    )?;
    let only = filter.projects.as_ref().map(|only| {
        let only: Vec<_> = only.iter().map(ProjectId::as_str).collect();
        serde_json::json!(only).to_string()
    });
    let wanted = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let values = params![
        tenant.as_str(),
        after,
        filter.archived,
        filter.search,
        wanted,
        only
    ];
    let mut rows = find.query(values)?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(summary(row)?);
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items
        .last()
        .filter(|_| more)
        .map(|last| PageToken(last.id.to_string()));
    Ok(Page { items, next })
}

/// A row of `id, name, latest, published, revision, archived, project`.
fn summary(row: &Row<'_>) -> Result<WorkflowSummary, Fault> {
    let id: String = row.get(0)?;
    let project: Option<String> = row.get(6)?;
    Ok(WorkflowSummary {
        id: WorkflowId::new(id).map_err(|error| Fault::corrupt(error.to_string()))?,
        name: row.get(1)?,
        latest: row.get(2)?,
        published: row.get(3)?,
        revision: number(row.get(4)?)?,
        archived: row.get(5)?,
        project: project
            .map(ProjectId::new)
            .transpose()
            .map_err(|error| Fault::corrupt(error.to_string()))?,
    })
}

/// A workflow and a part of its versions: those that it had when it was read, since none ever changes.
pub(crate) fn versions(
    db: &Connection,
    tenant: &TenantId,
    id: &WorkflowId,
    before: Option<u32>,
    limit: usize,
) -> Result<Option<WorkflowVersions>, Fault> {
    let mut find = db.prepare_cached(
        "SELECT id, name, latest, published, revision, archived, project FROM workflows
         WHERE tenant = ? AND id = ?",
    )?;
    let mut rows = find.query([tenant.as_str(), id.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let workflow = summary(row)?;
    let mut find = db.prepare_cached(
        "SELECT version, digest, saved_at FROM workflow_versions
         WHERE tenant = ?1 AND id = ?2 AND version < ?3 ORDER BY version DESC LIMIT ?4",
    )?;
    let wanted = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let end = before
        .unwrap_or(u32::MAX)
        .min(workflow.latest.saturating_add(1));
    let mut rows = find.query(params![tenant.as_str(), id.as_str(), end, wanted])?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        versions.push(VersionSummary {
            version: row.get(0)?,
            digest: Digest::from(row.get::<_, [u8; 32]>(1)?),
            saved_at: Timestamp::from_millis(row.get(2)?),
        });
    }
    let more = versions.len() > limit;
    versions.truncate(limit);
    let next = versions.last().filter(|_| more).map(|last| last.version);
    Ok(Some(WorkflowVersions {
        workflow,
        versions,
        next,
    }))
}

/// Moves the published pointer, and registers the triggers of the version.
pub(crate) fn publish(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    id: &WorkflowId,
    (version, expected_revision): (u32, u64),
    registrations: &Registrations,
) -> Result<Published, Fault> {
    let found = head(tx.connection, tenant, id)?;
    let Some(head) = found.filter(|head| (1..=head.latest).contains(&version)) else {
        return Ok(Published::Unknown);
    };
    if head.revision != expected_revision {
        return Ok(Published::Conflict {
            revision: head.revision,
        });
    }
    let revision = head.revision + 1;
    let mut publish = tx.connection.prepare_cached(
        "UPDATE workflows SET published = ?3, revision = ?4 WHERE tenant = ?1 AND id = ?2",
    )?;
    publish.execute(params![
        tenant.as_str(),
        id.as_str(),
        version,
        stored(revision)?
    ])?;
    drop(publish);
    triggers::register(tx, (tenant, id), (version, revision), registrations)?;
    Ok(Published::Published { revision })
}

/// Takes a workflow out of listings, or back in.
pub(crate) fn archive(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    id: &WorkflowId,
    archived: bool,
) -> Result<bool, Fault> {
    let mut archive = tx
        .connection
        .prepare_cached("UPDATE workflows SET archived = ?3 WHERE tenant = ?1 AND id = ?2")?;
    Ok(archive.execute(params![tenant.as_str(), id.as_str(), archived])? == 1)
}

/// Moves a workflow to a project, or to none.
pub(crate) fn move_to(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    id: &WorkflowId,
    project: Option<&ProjectId>,
) -> Result<bool, Fault> {
    let mut change = tx
        .connection
        .prepare_cached("UPDATE workflows SET project = ?3 WHERE tenant = ?1 AND id = ?2")?;
    let project = project.map(ProjectId::as_str);
    Ok(change.execute(params![tenant.as_str(), id.as_str(), project])? == 1)
}

/// Keeps a plan, unless it is there.
pub(crate) fn put_plan(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    digest: Digest,
    plan: &[u8],
) -> Result<(), Fault> {
    let mut put = tx.connection.prepare_cached(
        "INSERT INTO plans (tenant, digest, plan) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    )?;
    put.execute(params![tenant.as_str(), digest.as_bytes(), plan])?;
    Ok(())
}

/// The plan with this digest.
pub(crate) fn plan(
    db: &Connection,
    tenant: &TenantId,
    digest: Digest,
) -> Result<Option<Vec<u8>>, Fault> {
    let mut find = db.prepare_cached("SELECT plan FROM plans WHERE tenant = ? AND digest = ?")?;
    let found: Option<Vec<u8>> = find
        .query_row(params![tenant.as_str(), digest.as_bytes()], |row| {
            row.get(0)
        })
        .optional()?;
    match found {
        Some(plan) if Digest::of(&plan) != digest => {
            Err(Fault::corrupt(format!("plan {digest} has another digest")))
        }
        found => Ok(found),
    }
}
