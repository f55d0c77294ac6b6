//! Projects, and who is what in them.

use axum::{Json, extract::State};
use http::StatusCode;
use nebula_core::{PrincipalId, ProjectId};
use nebula_identity::Permission;
use nebula_ports::{ProjectRecord, Role, WorkflowFilter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::Caller,
    api::{Inner, Shared},
    credentials,
    executions::page_size,
    extract::{Asked, At, Body},
    problem::{Problem, unknown_project},
    sessions::failed,
    users::Paged,
};

/// A project.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Project)]
pub(crate) struct ProjectBody {
    /// Its id.
    project: String,
    /// What is shown of it.
    name: String,
    /// Its version, from 1.
    version: u32,
}

impl From<ProjectRecord> for ProjectBody {
    fn from(it: ProjectRecord) -> Self {
        Self {
            project: it.id.to_string(),
            name: it.name,
            version: it.version,
        }
    }
}

/// A part of the projects.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectPage {
    /// Those that the caller may see, by id.
    projects: Vec<ProjectBody>,
    /// What `cursor` of the next page is; null at the end.
    next: Option<String>,
}

/// Lists projects. A page may be empty and have a next one.
#[utoipa::path(
    get, path = "/api/v1/projects", tag = "access", params(Paged),
    responses((status = 200, body = ProjectPage))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<Paged>,
) -> Result<Json<ProjectPage>, Problem> {
    let limit = page_size(&shared, asked.limit)?;
    let after = asked.cursor.map(ProjectId::new).transpose();
    let after = after.map_err(|_| {
        Problem::bad("BAD_CURSOR", "the cursor is not from a page before")
            .hint("send `next` of the page before, as it is, or no cursor")
    })?;
    let found = shared
        .identity
        .projects(by.principal(), after.as_ref(), limit)
        .await
        .map_err(|error| failed(&shared, error))?;
    Ok(Json(ProjectPage {
        projects: found.0.into_iter().map(Into::into).collect(),
        next: found.1.map(|it| it.to_string()),
    }))
}

/// The next version of a project.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutProject {
    /// What is shown of it.
    name: String,
    /// Which version this is: 1 of a new one, else one more than there is.
    #[schema(minimum = 1)]
    version: u32,
}

/// Adds a project, or changes it from the version before.
#[utoipa::path(
    put, path = "/api/v1/projects/{project}", tag = "access",
    params(("project" = String, Path)), request_body = PutProject,
    responses((status = 200, body = ProjectBody))
)]
pub(crate) async fn put(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<ProjectId>,
    Body(wanted): Body<PutProject>,
) -> Result<Json<ProjectBody>, Problem> {
    let new = ProjectRecord {
        id,
        version: wanted.version,
        name: wanted.name,
    };
    let put = shared
        .identity
        .put_project(by.principal(), new.clone(), by.from());
    put.await.map_err(|error| failed(&shared, error))?;
    Ok(Json(new.into()))
}

/// Deletes a project that has no workflows and no credentials, with the roles in it and the API keys for it alone.
#[utoipa::path(
    delete, path = "/api/v1/projects/{project}", tag = "access",
    params(("project" = String, Path)), responses((status = 204))
)]
pub(crate) async fn remove(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<ProjectId>,
) -> Result<StatusCode, Problem> {
    // Whoever made a project of the same name later would find them in it.
    let filter = WorkflowFilter {
        search: None,
        archived: true,
        projects: Some(vec![id.clone()]),
    };
    let engine = shared.nebula.engine();
    let page = engine.workflows(by.tenant(), &filter, None, 1).await?;
    if let Some(first) = page.items.first() {
        let message = format!("the project `{id}` has workflows, such as `{}`", first.id);
        return Err(Problem::conflict("PROJECT_NOT_EMPTY", message)
            .hint("move them first: POST /api/v1/workflows/{workflow}/move"));
    }
    if let Some(first) = credentials::one_of(&shared, by.tenant(), &id).await? {
        let message = format!("the project `{id}` has credentials, such as `{first}`");
        return Err(Problem::conflict("PROJECT_NOT_EMPTY", message)
            .hint("move them first: PUT /api/v1/credentials/{credential} with another `project`"));
    }
    let gone = shared
        .identity
        .delete_project(by.principal(), &id, by.from());
    gone.await.map_err(|error| failed(&shared, error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whoever may not see a project is told that there is none, as for one that is not there.
pub(crate) async fn known_project(
    shared: &Inner,
    by: &Caller,
    id: &ProjectId,
    target: &str,
) -> Result<(), Problem> {
    let found = shared.identity.project(by.principal(), id).await;
    let found = found.map_err(|error| failed(shared, error))?;
    if found.is_none() {
        return Err(unknown_project(id));
    }
    let (permission, unknown) = (Permission::ProjectsRead, || unknown_project(id));
    by.may(shared, permission, Some(id), target, (permission, unknown))
        .await
}

/// One who belongs to a project.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub(crate) struct MemberBody {
    /// Who.
    user: String,
    /// As what.
    role: &'static str,
}

/// A part of those who belong to a project.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberPage {
    /// By id.
    members: Vec<MemberBody>,
    /// What `cursor` of the next page is; null at the end.
    next: Option<String>,
}

async fn members_of(
    shared: &Inner,
    by: &Caller,
    project: Option<&ProjectId>,
    asked: Paged,
) -> Result<Json<MemberPage>, Problem> {
    let limit = page_size(shared, asked.limit)?;
    let after = asked.cursor.map(|it| it.parse::<PrincipalId>()).transpose();
    let after = after.map_err(|_| {
        Problem::bad("BAD_CURSOR", "the cursor is not from a page before")
            .hint("send `next` of the page before, as it is, or no cursor")
    })?;
    let found = shared
        .identity
        .members(by.principal(), project, after, limit, by.from())
        .await
        .map_err(|error| failed(shared, error))?;
    let next = found.last().filter(|_| found.len() == limit);
    let next = next.map(|(last, _)| last.to_string());
    let members = found.into_iter().map(|(user, role)| MemberBody {
        user: user.to_string(),
        role: role.as_str(),
    });
    Ok(Json(MemberPage {
        members: members.collect(),
        next,
    }))
}

/// Lists who has a role in a project. Whoever has one in all projects is not among them.
#[utoipa::path(
    get, path = "/api/v1/projects/{project}/members", tag = "access",
    params(("project" = String, Path), Paged), responses((status = 200, body = MemberPage))
)]
pub(crate) async fn members(
    State(shared): State<Shared>,
    by: Caller,
    At(project): At<ProjectId>,
    Asked(asked): Asked<Paged>,
) -> Result<Json<MemberPage>, Problem> {
    known_project(&shared, &by, &project, &format!("project:{project}")).await?;
    members_of(&shared, &by, Some(&project), asked).await
}

/// Lists who has a role in all projects.
#[utoipa::path(
    get, path = "/api/v1/members", tag = "access", params(Paged),
    responses((status = 200, body = MemberPage))
)]
pub(crate) async fn members_everywhere(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<Paged>,
) -> Result<Json<MemberPage>, Problem> {
    members_of(&shared, &by, None, asked).await
}

/// A change of what somebody is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeRole {
    /// What they are now: null is nothing. The change is refused if they are something else.
    #[serde(default)]
    from: Option<String>,
    /// What they are then: null is nothing; else `viewer`, `operator`, `editor`, `admin` or `owner`.
    #[serde(default)]
    to: Option<String>,
}

async fn change_role(
    shared: &Inner,
    by: &Caller,
    user: PrincipalId,
    project: Option<&ProjectId>,
    wanted: ChangeRole,
) -> Result<StatusCode, Problem> {
    let read = |role: Option<String>| {
        let role = role.map(|it| it.parse::<Role>()).transpose();
        role.map_err(|error| Problem::bad("BAD_BODY", error.to_string()))
    };
    let roles = (read(wanted.from)?, read(wanted.to)?);
    let identity = &shared.identity;
    let changed = identity.change_membership(by.principal(), user, project, roles, by.from());
    changed.await.map_err(|error| failed(shared, error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes what somebody is in a project. Nobody gives or takes a role above their own.
#[utoipa::path(
    put, path = "/api/v1/projects/{project}/members/{user}", tag = "access",
    params(("project" = String, Path), ("user" = String, Path, format = "uuid")),
    request_body = ChangeRole, responses((status = 204))
)]
pub(crate) async fn change_member(
    State(shared): State<Shared>,
    by: Caller,
    At((project, user)): At<(ProjectId, PrincipalId)>,
    Body(wanted): Body<ChangeRole>,
) -> Result<StatusCode, Problem> {
    let target = format!("principal:{user} in {project}");
    known_project(&shared, &by, &project, &target).await?;
    change_role(&shared, &by, user, Some(&project), wanted).await
}

/// Changes what somebody is in all projects. Nobody gives or takes a role above their own.
#[utoipa::path(
    put, path = "/api/v1/members/{user}", tag = "access",
    params(("user" = String, Path, format = "uuid")), request_body = ChangeRole,
    responses((status = 204))
)]
pub(crate) async fn change_member_everywhere(
    State(shared): State<Shared>,
    by: Caller,
    At(user): At<PrincipalId>,
    Body(wanted): Body<ChangeRole>,
) -> Result<StatusCode, Problem> {
    change_role(&shared, &by, user, None, wanted).await
}
