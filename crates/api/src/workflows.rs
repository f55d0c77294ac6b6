//! Workflows: their versions, what differs, which is published.

use std::{borrow::Cow, collections::BTreeSet};

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header};
use nebula_core::{ProjectId, TenantId, WorkflowId};
use nebula_identity::Permission;
use nebula_ports::{
    PageToken, Published, Saved, StoredWorkflow, WorkflowFilter, WorkflowSummary as Summary,
};
use nebula_workflow::{Diagnostic, LocatedDiagnostic, WorkflowDefinition};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::{Caller, OfWorkflow},
    api::{Inner, Shared},
    credentials,
    definitions::{invalid, receive},
    executions::page_size,
    extract::{Asked, At, Body},
    problem::{Problem, unknown_project, unknown_version, unknown_workflow},
    projects::known_project,
    revision::{Expected, outdated, required, tag},
};

/// What a listing says of a workflow.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workflow)]
pub(crate) struct WorkflowBody {
    /// Its id.
    workflow: String,
    /// Its name in the latest version.
    name: String,
    /// The latest version.
    latest: u32,
    /// The published version.
    published: Option<u32>,
    /// Grows with every save and publication; its entity tag.
    revision: u64,
    /// Whether it was archived: nothing of it is started.
    archived: bool,
    /// To which project it belongs, with its executions; null is none.
    project: Option<String>,
}

impl From<Summary> for WorkflowBody {
    fn from(summary: Summary) -> Self {
        Self {
            workflow: summary.id.to_string(),
            name: summary.name,
            latest: summary.latest,
            published: summary.published,
            revision: summary.revision,
            archived: summary.archived,
            project: summary.project.map(|it| it.to_string()),
        }
    }
}

/// A part of the workflows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowPage {
    /// Workflows by id.
    workflows: Vec<WorkflowBody>,
    /// What `cursor` of the next page is; null at the end.
    next: Option<String>,
}

/// Which workflows to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListWorkflows {
    /// Only those whose id or name has this text, without regard to ASCII case.
    search: Option<String>,
    /// Only those of this project.
    #[param(value_type = Option<String>)]
    project: Option<ProjectId>,
    /// Also those that were archived.
    #[serde(default)]
    #[param(required = false)]
    archived: bool,
    /// How many, at most `max_page`; 50 where nothing is said.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists workflows: those of projects that the caller may look at.
#[utoipa::path(
    get, path = "/api/v1/workflows", tag = "workflows",
    params(ListWorkflows), responses((status = 200, body = WorkflowPage))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<ListWorkflows>,
) -> Result<Json<WorkflowPage>, Problem> {
    let limit = page_size(&shared, asked.limit)?;
    let projects = match (by.projects(), asked.project) {
        (Some(mut seen), Some(only)) => {
            seen.retain(|it| *it == only);
            Some(seen)
        }
        (seen, None) => seen,
        (None, Some(only)) => Some(vec![only]),
    };
    let filter = WorkflowFilter {
        projects,
        search: asked.search,
        archived: asked.archived,
    };
    let after = asked.cursor.map(PageToken);
    let engine = shared.nebula.engine();
    let page = engine
        .workflows(by.tenant(), &filter, after.as_ref(), limit)
        .await
        .map_err(bad_cursor)?;
    Ok(Json(WorkflowPage {
        workflows: page.items.into_iter().map(Into::into).collect(),
        next: page.next.map(|next| next.0),
    }))
}

/// A cursor that is not from a page before is the caller's mistake.
pub(crate) fn bad_cursor(error: nebula_ports::PortError) -> Problem {
    match error.kind {
        nebula_ports::ErrorKind::Invalid => Problem::bad("BAD_CURSOR", error.message)
            .hint("send `next` of the page before, as it is, or no cursor"),
        _ => error.into(),
    }
}

/// What a listing says of one workflow.
pub(crate) async fn summary(
    shared: &Inner,
    tenant: &TenantId,
    id: &WorkflowId,
) -> Result<Summary, Problem> {
    let engine = shared.nebula.engine();
    let found = engine.versions(tenant, id, None, 0).await?;
    let found = found.ok_or_else(|| unknown_workflow(id))?;
    Ok(found.workflow)
}

/// A workflow, with its entity tag.
fn tagged(status: StatusCode, revision: u64, body: impl Serialize) -> Response {
    let tag = [(header::ETAG, tag(revision))];
    (status, tag, Json(body)).into_response()
}

/// Shows a workflow.
#[utoipa::path(
    get, path = "/api/v1/workflows/{workflow}", tag = "workflows",
    params(("workflow" = String, Path)), responses((status = 200, body = WorkflowBody))
)]
pub(crate) async fn show(OfWorkflow { workflow, .. }: OfWorkflow) -> Response {
    let revision = workflow.revision;
    tagged(StatusCode::OK, revision, WorkflowBody::from(workflow))
}

/// What became of a save.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SavedBody {
    /// The workflow.
    workflow: String,
    /// The version that has this definition.
    version: u32,
    /// The workflow's revision now.
    revision: u64,
    /// Whether a version said the same before; then nothing was written.
    unchanged: bool,
    /// What is to say about it all the same, each with its place.
    #[schema(value_type = Vec<Object>)]
    diagnostics: Vec<LocatedDiagnostic>,
}

/// Where a new workflow belongs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SaveIn {
    /// Of a workflow that is new: the project to which it belongs; none where nothing is said. One that is
    /// there stays where it is.
    #[param(value_type = Option<String>)]
    project: Option<ProjectId>,
}

/// Saves a definition, in YAML or JSON, as the newest version.
///
/// A workflow that is there is changed only with a condition: `If-Match` with the entity tag with which
/// it was read, or `*` to override whatever is there. `If-None-Match: *` saves only what is new.
#[utoipa::path(
    put, path = "/api/v1/workflows/{workflow}", tag = "workflows",
    params(
        ("workflow" = String, Path), SaveIn,
        ("If-Match" = Option<String>, Header, description = "The entity tag with which it was read, or `*`."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is none yet.")
    ),
    request_body(content((Value = "application/yaml"), (Value = "application/json"))),
    responses(
        (status = 201, body = SavedBody, description = "There is a new version."),
        (status = 200, body = SavedBody, description = "A version said the same before.")
    )
)]
pub(crate) async fn save(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<WorkflowId>,
    Asked(SaveIn { project }): Asked<SaveIn>,
    request: Request,
) -> Result<Response, Problem> {
    let before = writable(&shared, &by, &id, project.as_ref()).await?;
    let expected = Expected::read(request.headers())?;
    let received = receive(request, id.as_str(), &shared).await?;
    let diagnostics = received.diagnostics(&shared, &by).await?;
    let refuse = || invalid(&diagnostics, &received.source, &received.parsed);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(refuse());
    }
    let definition = received.parsed.definition.as_ref().ok_or_else(refuse)?;
    if definition.id != id {
        let message = format!(
            "the definition is of `{}`, and the path of `{id}`",
            definition.id
        );
        return Err(Problem::bad("ID_DIFFERS", message).hint("let both say the same"));
    }
    let revision = match expected {
        Some(Expected::Revision(revision)) => Some(revision),
        Some(Expected::Any) => None,
        // What is not there has revision 0.
        Some(Expected::Nothing) | None => Some(0),
    };
    let engine = shared.nebula.engine();
    let old = match &before {
        Some(_) => engine.stored(by.tenant(), &id, None).await?,
        None => None,
    };
    let change = json!({
        "project": before.as_ref().map_or(project.as_ref(), |it| it.project.as_ref()),
        "latest": before.as_ref().map(|it| it.latest),
        "digest": [old.map(|it| it.digest.to_string()), definition.digest().to_string()],
    });
    by.record(&shared, format!("workflow:{id}"), change).await?;
    let saved = engine.save_in(by.tenant(), definition, revision, project);
    let saved = saved.await?;
    let body = |version, revision, unchanged| SavedBody {
        workflow: id.to_string(),
        version,
        revision,
        unchanged,
        diagnostics: received.located(&diagnostics),
    };
    match saved {
        Saved::New { version, revision } => {
            let body = body(version, revision, false);
            Ok(tagged(StatusCode::CREATED, revision, body))
        }
        Saved::Unchanged { version, revision } => {
            let body = body(version, revision, true);
            Ok(tagged(StatusCode::OK, revision, body))
        }
        Saved::Conflict { revision } => Err(match expected {
            None => required(&id),
            Some(_) => outdated(&id, revision),
        }),
    }
}

/// The workflow to save, if it is there, and if the caller may write it; or if they may make it where it
/// would belong.
async fn writable(
    shared: &Inner,
    by: &Caller,
    id: &WorkflowId,
    project: Option<&ProjectId>,
) -> Result<Option<Summary>, Problem> {
    let permission = Permission::WorkflowsWrite;
    let engine = shared.nebula.engine();
    let there = engine.versions(by.tenant(), id, None, 0).await?;
    if there.is_some() {
        let workflow = by.workflow(shared, id, permission).await?;
        if project.is_some() && workflow.project.as_ref() != project {
            let message = format!("the workflow `{id}` is there, and belongs elsewhere");
            return Err(Problem::conflict("ELSEWHERE", message).hint(format!(
                "POST /api/v1/workflows/{id}/move moves it; without `project` it stays where it is"
            )));
        }
        return Ok(Some(workflow));
    }
    admits(shared, by, project, &format!("workflow:{id}")).await?;
    Ok(None)
}

/// Whether the caller may put a workflow into this project.
async fn admits(
    shared: &Inner,
    by: &Caller,
    project: Option<&ProjectId>,
    target: &str,
) -> Result<(), Problem> {
    let permission = Permission::WorkflowsWrite;
    match project {
        Some(project) => {
            known_project(shared, by, project, target).await?;
            let unknown = || unknown_project(project);
            let sees = (Permission::ProjectsRead, unknown);
            by.may(shared, permission, Some(project), target, sees)
                .await
        }
        None if by.principal().is_allowed(permission, None) => Ok(()),
        None => {
            let why = "what belongs to no project needs a role in all of them";
            let denied = by.denied(shared, permission, target, why).await?;
            Err(denied.hint("say to which project it belongs: `?project=…`"))
        }
    }
}

/// What a listing says of a version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionBody {
    /// Its number, from 1.
    version: u32,
    /// The digest of its definition, without layout.
    digest: String,
    /// When it was saved (RFC 3339).
    saved_at: String,
}

/// A workflow with a part of its versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionPage {
    /// The workflow.
    #[serde(flatten)]
    workflow: WorkflowBody,
    /// Versions, newest first.
    versions: Vec<VersionBody>,
    /// What `before` of the next page is; null at the end.
    next: Option<u32>,
}

/// Which versions to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListVersions {
    /// Only those below this number: `next` of the page before.
    before: Option<u32>,
    /// How many, at most `max_page`; 50 where nothing is said.
    #[param(minimum = 1)]
    limit: Option<u64>,
}

/// Lists the versions of a workflow.
#[utoipa::path(
    get, path = "/api/v1/workflows/{workflow}/versions", tag = "workflows",
    params(("workflow" = String, Path), ListVersions), responses((status = 200, body = VersionPage))
)]
pub(crate) async fn versions(
    State(shared): State<Shared>,
    OfWorkflow { by, workflow }: OfWorkflow,
    Asked(asked): Asked<ListVersions>,
) -> Result<Response, Problem> {
    let limit = page_size(&shared, asked.limit)?;
    let engine = shared.nebula.engine();
    let id = workflow.id;
    let found = engine
        .versions(by.tenant(), &id, asked.before, limit)
        .await?;
    let found = found.ok_or_else(|| unknown_workflow(&id))?;
    let versions = found.versions.into_iter().map(|it| VersionBody {
        version: it.version,
        digest: it.digest.to_string(),
        saved_at: it.saved_at.to_string(),
    });
    let body = VersionPage {
        versions: versions.collect(),
        next: found.next,
        workflow: found.workflow.into(),
    };
    Ok(tagged(StatusCode::OK, body.workflow.revision, body))
}

async fn stored(shared: &Inner, it: &OfWorkflow, version: u32) -> Result<StoredWorkflow, Problem> {
    let (engine, id) = (shared.nebula.engine(), &it.workflow.id);
    let stored = engine.stored(it.by.tenant(), id, Some(version)).await?;
    stored.ok_or_else(|| unknown_version(id, version))
}

/// One version of a workflow.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoredBody {
    /// The workflow.
    workflow: String,
    /// Its number.
    version: u32,
    /// The digest of its definition, without layout.
    digest: String,
    /// When it was saved (RFC 3339).
    saved_at: String,
    /// The definition in its full form.
    #[schema(value_type = Object)]
    definition: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct VersionPath {
    version: u32,
}

/// Shows one version with its definition.
#[utoipa::path(
    get, path = "/api/v1/workflows/{workflow}/versions/{version}", tag = "workflows",
    params(("workflow" = String, Path), ("version" = u32, Path)),
    responses((status = 200, body = StoredBody))
)]
pub(crate) async fn version(
    State(shared): State<Shared>,
    At(VersionPath { version }): At<VersionPath>,
    it: OfWorkflow,
) -> Result<Json<StoredBody>, Problem> {
    let stored = stored(&shared, &it, version).await?;
    Ok(Json(StoredBody {
        workflow: it.workflow.id.to_string(),
        version,
        digest: stored.digest.to_string(),
        saved_at: stored.saved_at.to_string(),
        definition: stored.definition,
    }))
}

/// Which versions to compare.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compare {
    /// The older version.
    from: u32,
    /// The newer one; the latest where nothing is said.
    to: Option<u32>,
}

/// What differs between two versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Differences {
    /// Whether they say the same.
    same: bool,
    /// The older version.
    from: u32,
    /// The newer one.
    to: u32,
    /// What differs: nodes, connections, fields.
    #[schema(value_type = Object)]
    diff: Value,
}

/// Compares two versions of a workflow.
#[utoipa::path(
    get, path = "/api/v1/workflows/{workflow}/diff", tag = "workflows",
    params(("workflow" = String, Path), Compare), responses((status = 200, body = Differences))
)]
pub(crate) async fn differences(
    State(shared): State<Shared>,
    it: OfWorkflow,
    Asked(asked): Asked<Compare>,
) -> Result<Json<Differences>, Problem> {
    let to = asked.to.unwrap_or(it.workflow.latest);
    let definition = async |version| {
        let stored = stored(&shared, &it, version).await?;
        WorkflowDefinition::from_json(&stored.definition).map_err(|problems| {
            let first = problems.first().map_or("", |first| first.message.as_str());
            let message = format!("version {version} cannot be read by this build: {first}");
            Problem::conflict("STORE_FORMAT", message)
        })
    };
    let (old, new) = (definition(asked.from).await?, definition(to).await?);
    let diff = shared.nebula.engine().differences(&old, &new);
    Ok(Json(Differences {
        same: diff.is_empty(),
        from: asked.from,
        to,
        diff: serde_json::to_value(&diff).unwrap_or_default(),
    }))
}

/// Which version to publish.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publish {
    /// Its number.
    #[schema(minimum = 1)]
    version: u32,
}

/// Publishes a version: it is what is started where no version is named, and what its nodes ask for is
/// granted to it.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/publish", tag = "workflows",
    params(
        ("workflow" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The entity tag with which it was read, or `*`.")
    ),
    request_body = Publish, responses((status = 200, body = WorkflowBody))
)]
pub(crate) async fn publish(
    State(shared): State<Shared>,
    it: OfWorkflow,
    headers: HeaderMap,
    Body(body): Body<Publish>,
) -> Result<Response, Problem> {
    let target = it.target();
    let OfWorkflow {
        by,
        workflow: found,
    } = it;
    let id = found.id.clone();
    let expected = match Expected::read(&headers)? {
        Some(Expected::Revision(revision)) => revision,
        Some(Expected::Any) => found.revision,
        Some(Expected::Nothing) => return Err(outdated(&id, found.revision)),
        None => return Err(required(&id)),
    };
    let engine = shared.nebula.engine();
    let stored = engine.stored(by.tenant(), &id, Some(body.version)).await?;
    let stored = stored.ok_or_else(|| unknown_version(&id, body.version))?;
    let grants = asked(&stored.definition);
    credentials::may_grant(&shared, &by, &grants).await?;
    let change = json!({ "published": [found.published, body.version], "grants": grants });
    by.record(&shared, target, change).await?;
    let published = engine.publish(by.tenant(), &id, body.version, expected);
    match published.await? {
        Published::Published { revision } => {
            let body = WorkflowBody {
                published: Some(body.version),
                revision,
                ..found.into()
            };
            Ok(tagged(StatusCode::OK, revision, body))
        }
        Published::Conflict { revision } => Err(outdated(&id, revision)),
        Published::Unknown => Err(unknown_version(&id, body.version)),
    }
}

/// What the nodes of a definition ask for: who publishes it grants it.
pub(crate) fn asked(definition: &Value) -> BTreeSet<Cow<'_, str>> {
    let mut found = BTreeSet::new();
    asked_for(definition, &mut found);
    found
}

/// What the nodes of a definition ask for, bodies and compensations included: who publishes it grants it.
fn asked_for<'d>(definition: &'d Value, found: &mut BTreeSet<Cow<'d, str>>) {
    match definition {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (&**name, value) {
                    ("requires", Value::Array(all)) => {
                        found.extend(all.iter().filter_map(Value::as_str).map(Cow::from));
                    }
                    ("credentials", Value::Object(slots)) => {
                        let ids = slots.values().filter_map(Value::as_str);
                        found.extend(ids.map(|id| Cow::from(format!("secret:{id}"))));
                    }
                    // Of what a node is given nothing is asked for.
                    ("parameters", _) => {}
                    _ => asked_for(value, found),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|it| asked_for(it, found)),
        _ => {}
    }
}

async fn archived(shared: &Inner, it: &OfWorkflow, archived: bool) -> Result<Response, Problem> {
    let (engine, tenant, id) = (shared.nebula.engine(), it.by.tenant(), &it.workflow.id);
    let change = json!({ "archived": [it.workflow.archived, archived] });
    it.by.record(shared, it.target(), change).await?;
    if !engine.archive(tenant, id, archived).await? {
        return Err(unknown_workflow(id));
    }
    let found = summary(shared, tenant, id).await?;
    let revision = found.revision;
    Ok(tagged(StatusCode::OK, revision, WorkflowBody::from(found)))
}

/// Archives a workflow: its executions go on, and none is started.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/archive", tag = "workflows",
    params(("workflow" = String, Path)), responses((status = 200, body = WorkflowBody))
)]
pub(crate) async fn archive(
    State(shared): State<Shared>,
    it: OfWorkflow,
) -> Result<Response, Problem> {
    archived(&shared, &it, true).await
}

/// Takes an archived workflow back.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/unarchive", tag = "workflows",
    params(("workflow" = String, Path)), responses((status = 200, body = WorkflowBody))
)]
pub(crate) async fn unarchive(
    State(shared): State<Shared>,
    it: OfWorkflow,
) -> Result<Response, Problem> {
    archived(&shared, &it, false).await
}

/// Where a workflow is moved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveWorkflow {
    /// The project to which it belongs from now on, with its executions; null is none.
    #[schema(value_type = Option<String>)]
    project: Option<ProjectId>,
}

/// Moves a workflow, with its executions, to another project. It needs the permission in both, and that to
/// use each credential that the published version names, which others can start it with from then on.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/move", tag = "workflows",
    params(("workflow" = String, Path)), request_body = MoveWorkflow,
    responses((status = 200, body = WorkflowBody))
)]
pub(crate) async fn relocate(
    State(shared): State<Shared>,
    it: OfWorkflow,
    Body(MoveWorkflow { project }): Body<MoveWorkflow>,
) -> Result<Response, Problem> {
    let (by, id, target) = (&it.by, &it.workflow.id, it.target());
    admits(&shared, by, project.as_ref(), &target).await?;
    let engine = shared.nebula.engine();
    // Others start it there: whoever moves it grants what whoever published it did.
    if let Some(version) = it.workflow.published {
        let stored = engine.stored(by.tenant(), id, Some(version)).await?;
        let stored = stored.ok_or_else(|| unknown_version(id, version))?;
        credentials::may_grant(&shared, by, &asked(&stored.definition)).await?;
    }
    let change = json!({ "project": [it.workflow.project, project] });
    by.record(&shared, target, change).await?;
    if !engine.move_to(by.tenant(), id, project.as_ref()).await? {
        return Err(unknown_workflow(id));
    }
    let found = summary(&shared, by.tenant(), id).await?;
    let revision = found.revision;
    Ok(tagged(StatusCode::OK, revision, WorkflowBody::from(found)))
}

/// The version that is started where `wanted` says which, or the published one; and whether it is that.
pub(crate) fn started(found: &Summary, wanted: Option<u32>) -> Result<(u32, bool), Problem> {
    let id = &found.id;
    if found.archived {
        return Err(nebula_engine::InstallError::Archived(id.clone()).into());
    }
    let Some(version) = wanted.or(found.published) else {
        let message = format!("no version of `{id}` is published");
        return Err(Problem::conflict("NOT_PUBLISHED", message).hint(format!(
            "publish one with POST /api/v1/workflows/{id}/publish, or name a `version`"
        )));
    };
    Ok((version, found.published == Some(version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_ask_for_is_found_wherever_they_are() {
        let definition = json!({
            "requires": ["net:a.example"],
            "nodes": [
                { "id": "a", "requires": ["fs:read:/x", "net:a.example"], "credentials": { "shop": "till" } },
                { "id": "b", "parameters": { "requires": ["no"], "credentials": { "x": "no" } },
                  "compensate": { "requires": ["process:rm"] },
                  "body": { "nodes": [{ "id": "c", "requires": ["{{ $input.host }}"] }] } },
            ],
        });
        let mut found = BTreeSet::new();
        asked_for(&definition, &mut found);
        let expected = [
            "fs:read:/x",
            "net:a.example",
            "process:rm",
            "secret:till",
            "{{ $input.host }}",
        ];
        assert!(found.iter().eq(&expected), "{found:?}");
    }
}
