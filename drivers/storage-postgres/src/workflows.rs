//! The statements behind workflows, their versions and plans.

use nebula_core::{Digest, ProjectId, TenantId, Timestamp, WorkflowId};
use nebula_ports::{
    Page, PageToken, Published, Saved, StoredWorkflow, VersionSummary, WorkflowFilter,
    WorkflowSummary, WorkflowVersions,
};
use nebula_postgres::{Row, params};

use crate::{
    error::Fault,
    link::Link,
    row::{digest, limited, number, stored},
    texts::check_texts,
    triggers::{self, Registrations},
    tx::Tx,
};

/// What saves and publications decide by; the row is locked from then on, so that of two at once the second
/// sees what the first has made.
const HEAD: &str =
    "SELECT latest, revision FROM workflows WHERE tenant = $1 AND id = $2 FOR UPDATE";
const SAME: &str =
    "SELECT version FROM workflow_versions WHERE tenant = $1 AND id = $2 AND digest = $3";
const SAVE: &str =
    "INSERT INTO workflow_versions (tenant, id, version, digest, definition, saved_at)
    VALUES ($1, $2, $3, $4, $5, $6)";
const PUT: &str =
    "INSERT INTO workflows (tenant, id, name, latest, published, revision, archived, project)
    VALUES ($1, $2, $3, $4, NULL, $5, FALSE, $6)
    ON CONFLICT (tenant, id) DO UPDATE SET name = $3, latest = $4, revision = $5";
const GET: &str = "SELECT version, definition, digest, saved_at FROM workflow_versions
    WHERE tenant = $1 AND id = $2 AND ($3 IS NULL OR version = $3) ORDER BY version DESC LIMIT 1";
/// What [`summary`] reads.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, latest, published, revision, archived, project FROM workflows ",
            $rest
        )
    };
}
const LIST: &str = select!(
    "WHERE tenant = $1 AND id > $2 AND ($3 OR NOT archived)
        AND ($4 IS NULL OR position(lower($4) IN lower(id)) > 0 OR position(lower($4) IN lower(name)) > 0)
        AND ($6 IS NULL OR project = ANY ($6))
     ORDER BY id LIMIT $5"
);
const ONE: &str = select!("WHERE tenant = $1 AND id = $2");
const VERSIONS: &str = "SELECT version, digest, saved_at FROM workflow_versions
    WHERE tenant = $1 AND id = $2 AND version < $3 ORDER BY version DESC LIMIT $4";
const PUBLISH: &str =
    "UPDATE workflows SET published = $3, revision = $4 WHERE tenant = $1 AND id = $2";
const PUT_PLAN: &str =
    "INSERT INTO plans (tenant, digest, plan) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

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

fn version(stored: i64) -> Result<u32, Fault> {
    u32::try_from(stored).map_err(|_| Fault::corrupt(format!("{stored} is no version")))
}

async fn head(tx: &Tx, tenant: &TenantId, id: &WorkflowId) -> Result<Option<Head>, Fault> {
    let found = tx.row(HEAD, params![tenant.as_str(), id.as_str()]).await?;
    let head = |row: Row| {
        Ok(Head {
            latest: version(row.try_get(0)?)?,
            revision: number(row.try_get(1)?)?,
        })
    };
    found.map(head).transpose()
}

/// Saves a new version, unless its digest is there or somebody saved since. Two that save the first one at
/// once are told apart by its number, which is there once.
pub(crate) async fn save(tx: &Tx, tenant: &TenantId, new: &NewRow) -> Result<Saved, Fault> {
    check_texts([new.name.as_str()])?;
    let found = head(tx, tenant, &new.id).await?;
    let (latest, revision) = found.map_or((0, 0), |head| (head.latest, head.revision));
    let (owner, id, digest) = (tenant.as_str(), new.id.as_str(), &new.digest.as_bytes()[..]);
    if let Some(row) = tx.row(SAME, params![owner, id, digest]).await? {
        let version = version(row.try_get(0)?)?;
        return Ok(Saved::Unchanged { version, revision });
    }
    if new
        .expected_revision
        .is_some_and(|expected| expected != revision)
    {
        return Ok(Saved::Conflict { revision });
    }
    let (version, revision) = (latest + 1, revision + 1);
    let (numbered, definition) = (i64::from(version), new.definition.as_str());
    let now = tx.now.as_millis();
    tx.execute(SAVE, params![owner, id, numbered, digest, definition, now])
        .await?;
    let project = new.project.as_ref().map(ProjectId::as_str);
    let name = new.name.as_str();
    tx.execute(
        PUT,
        params![owner, id, name, numbered, stored(revision)?, project],
    )
    .await?;
    Ok(Saved::New { version, revision })
}

/// One version, or the latest.
pub(crate) async fn get(
    link: &Link,
    tenant: &TenantId,
    id: &WorkflowId,
    wanted: Option<u32>,
) -> Result<Option<StoredWorkflow>, Fault> {
    let wanted = wanted.map(i64::from);
    let found = link
        .row(GET, params![tenant.as_str(), id.as_str(), wanted])
        .await?;
    let Some(row) = found else {
        return Ok(None);
    };
    let definition = serde_json::from_str(row.try_get(1)?)
        .map_err(|_| Fault::corrupt(format!("the definition of `{id}` cannot be read")))?;
    Ok(Some(StoredWorkflow {
        id: id.clone(),
        version: version(row.try_get(0)?)?,
        definition,
        digest: digest(row.try_get(2)?)?,
        saved_at: Timestamp::from_millis(row.try_get(3)?),
    }))
}

/// A page of workflows by id.
pub(crate) async fn list(
    link: &Link,
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
    check_texts(filter.search.as_deref())?;
    let only = filter.projects.as_ref();
    let only: Option<Vec<&str>> = only.map(|only| only.iter().map(ProjectId::as_str).collect());
    let rows = link
        .rows(
            LIST,
            params![
                tenant.as_str(),
                after,
                filter.archived,
                filter.search,
                limited(limit.saturating_add(1)),
                only
            ],
        )
        .await?;
    let mut items: Vec<_> = rows.iter().map(summary).collect::<Result<_, _>>()?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items
        .last()
        .filter(|_| more)
        .map(|last: &WorkflowSummary| PageToken(last.id.to_string()));
    Ok(Page { items, next })
}

fn summary(row: &Row) -> Result<WorkflowSummary, Fault> {
    let id: &str = row.try_get(0)?;
    let project: Option<&str> = row.try_get(6)?;
    Ok(WorkflowSummary {
        id: WorkflowId::new(id).map_err(|error| Fault::corrupt(error.to_string()))?,
        name: row.try_get(1)?,
        latest: version(row.try_get(2)?)?,
        published: row.try_get::<_, Option<i64>>(3)?.map(version).transpose()?,
        revision: number(row.try_get(4)?)?,
        archived: row.try_get(5)?,
        project: project
            .map(ProjectId::new)
            .transpose()
            .map_err(|error| Fault::corrupt(error.to_string()))?,
    })
}

/// A workflow and a part of its versions: those that it had when it was read, since none ever changes.
pub(crate) async fn versions(
    link: &Link,
    tenant: &TenantId,
    id: &WorkflowId,
    before: Option<u32>,
    limit: usize,
) -> Result<Option<WorkflowVersions>, Fault> {
    let (owner, named) = (tenant.as_str(), id.as_str());
    let Some(row) = link.row(ONE, params![owner, named]).await? else {
        return Ok(None);
    };
    let workflow = summary(&row)?;
    let end = before
        .unwrap_or(u32::MAX)
        .min(workflow.latest.saturating_add(1));
    let wanted = limited(limit.saturating_add(1));
    let rows = link
        .rows(VERSIONS, params![owner, named, i64::from(end), wanted])
        .await?;
    let read = |row: &Row| {
        Ok(VersionSummary {
            version: version(row.try_get(0)?)?,
            digest: digest(row.try_get(1)?)?,
            saved_at: Timestamp::from_millis(row.try_get(2)?),
        })
    };
    let mut versions: Vec<_> = rows.iter().map(read).collect::<Result<_, Fault>>()?;
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
pub(crate) async fn publish(
    tx: &Tx,
    tenant: &TenantId,
    id: &WorkflowId,
    (version, expected_revision): (u32, u64),
    registrations: &Registrations,
) -> Result<Published, Fault> {
    let found = head(tx, tenant, id).await?;
    let Some(head) = found.filter(|head| (1..=head.latest).contains(&version)) else {
        return Ok(Published::Unknown);
    };
    if head.revision != expected_revision {
        return Ok(Published::Conflict {
            revision: head.revision,
        });
    }
    let revision = head.revision + 1;
    let (owner, named) = (tenant.as_str(), id.as_str());
    tx.execute(
        PUBLISH,
        params![owner, named, i64::from(version), stored(revision)?],
    )
    .await?;
    triggers::register(tx, (tenant, id), (version, revision), registrations).await?;
    Ok(Published::Published { revision })
}

/// Takes a workflow out of listings, or back in.
pub(crate) async fn archive(
    tx: &Tx,
    tenant: &TenantId,
    id: &WorkflowId,
    archived: bool,
) -> Result<bool, Fault> {
    let archive = "UPDATE workflows SET archived = $3 WHERE tenant = $1 AND id = $2";
    Ok(tx
        .execute(archive, params![tenant.as_str(), id.as_str(), archived])
        .await?
        == 1)
}

/// Moves a workflow to a project, or to none.
pub(crate) async fn move_to(
    tx: &Tx,
    tenant: &TenantId,
    id: &WorkflowId,
    project: Option<&ProjectId>,
) -> Result<bool, Fault> {
    let change = "UPDATE workflows SET project = $3 WHERE tenant = $1 AND id = $2";
    let project = project.map(ProjectId::as_str);
    Ok(tx
        .execute(change, params![tenant.as_str(), id.as_str(), project])
        .await?
        == 1)
}

/// Keeps a plan, unless it is there.
pub(crate) async fn put_plan(
    tx: &Tx,
    tenant: &TenantId,
    digest: Digest,
    plan: &[u8],
) -> Result<(), Fault> {
    tx.execute(
        PUT_PLAN,
        params![tenant.as_str(), &digest.as_bytes()[..], plan],
    )
    .await?;
    Ok(())
}

/// The plan with this digest.
pub(crate) async fn plan(
    link: &Link,
    tenant: &TenantId,
    digest: Digest,
) -> Result<Option<Vec<u8>>, Fault> {
    let find = "SELECT plan FROM plans WHERE tenant = $1 AND digest = $2";
    let found = link
        .row(find, params![tenant.as_str(), &digest.as_bytes()[..]])
        .await?;
    let found: Option<Vec<u8>> = found.map(|row| row.try_get(0)).transpose()?;
    match found {
        Some(plan) if Digest::of(&plan) != digest => {
            Err(Fault::corrupt(format!("plan {digest} has another digest")))
        }
        found => Ok(found),
    }
}
