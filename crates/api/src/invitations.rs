//! Invitations: people who are asked to become somebody here.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode};
use nebula_core::{ExposeSecret as _, PrincipalId, ProjectId};
use nebula_identity::{Acceptance, INVITATION, NewInvitation, NotAuthenticated};
use nebula_ports::{Role, Standing};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::{Caller, Origin, refused, wrong},
    api::Shared,
    executions::page_size,
    extract::{Asked, At, Body, Hidden},
    problem::Problem,
    projects::known_project,
    sessions::{For, LetIn, MembershipBody, agent, failed, let_in},
    users::Paged,
};

/// Somebody to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invite {
    /// Their address, which is their login from then on; case does not count.
    email: String,
    /// What is shown of them.
    #[serde(default)]
    name: String,
    /// As what: `viewer`, `operator`, `editor`, `admin` or `owner`.
    role: String,
    /// Where; null is every project.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    project: Option<ProjectId>,
}

/// Somebody who was invited.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitedBody {
    /// Their id.
    user: String,
    /// What they show to accept, once: it is told in this answer alone.
    token: String,
    /// Until when (RFC 3339).
    expires_at: String,
}

/// Invites somebody to be something in a project, or in all of them. Nobody invites to more than they are
/// themselves. Who waits already is invited anew, and the token before counts no more.
#[utoipa::path(
    post, path = "/api/v1/invitations", tag = "access", request_body = Invite,
    responses((status = 201, body = InvitedBody))
)]
pub(crate) async fn invite(
    State(shared): State<Shared>,
    by: Caller,
    Body(wanted): Body<Invite>,
) -> Result<Response, Problem> {
    let role: Role = wanted
        .role
        .parse()
        .map_err(|error| Problem::bad("BAD_BODY", format!("role: {error}")))?;
    if let Some(project) = &wanted.project {
        let target = format!("project:{project}");
        known_project(&shared, &by, project, &target).await?;
    }
    let new = NewInvitation {
        email: wanted.email,
        name: wanted.name,
        project: wanted.project,
        role,
    };
    let invited = shared.identity.invite(by.principal(), new, by.from());
    let invited = invited.await.map_err(|error| failed(&shared, error))?;
    let body = InvitedBody {
        user: invited.id.to_string(),
        token: invited.token.expose_secret().to_owned(),
        expires_at: invited.until.to_string(),
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Somebody who waits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invitation)]
pub(crate) struct InvitationBody {
    /// Their id.
    user: String,
    /// Their address.
    email: String,
    /// What is shown of them.
    name: String,
    /// What they will be where.
    roles: Vec<MembershipBody>,
    /// Until when they can accept (RFC 3339).
    expires_at: String,
    /// Whether that is over.
    expired: bool,
}

/// A part of those who wait.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitationPage {
    /// By address.
    invitations: Vec<InvitationBody>,
    /// What `cursor` of the next page is; null at the end. A page may be shorter than asked for.
    next: Option<String>,
}

/// Lists those who were added and have neither a password nor an identity elsewhere yet, where the caller may
/// see who belongs.
#[utoipa::path(
    get, path = "/api/v1/invitations", tag = "access", params(Paged),
    responses((status = 200, body = InvitationPage))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<Paged>,
) -> Result<Json<InvitationPage>, Problem> {
    let limit = page_size(&shared, asked.limit)?;
    let after = asked.cursor.as_deref();
    let found = shared.identity.invitations(by.principal(), after, limit);
    let (found, next) = found.await.map_err(|error| failed(&shared, error))?;
    let now = shared.clock.now();
    let told = |it: Standing| {
        let until = it.put_at.plus(INVITATION);
        InvitationBody {
            user: it.principal.id.to_string(),
            email: it.principal.login,
            name: it.principal.name,
            roles: it.memberships.iter().map(Into::into).collect(),
            expires_at: until.to_string(),
            expired: until <= now,
        }
    };
    let invitations = found.into_iter().map(told).collect();
    Ok(Json(InvitationPage { invitations, next }))
}

/// Takes an invitation back: its token opens nothing, and nobody is waited for.
#[utoipa::path(
    delete, path = "/api/v1/invitations/{user}", tag = "access",
    params(("user" = String, Path, format = "uuid")), responses((status = 204))
)]
pub(crate) async fn revoke(
    State(shared): State<Shared>,
    by: Caller,
    At(user): At<PrincipalId>,
) -> Result<StatusCode, Problem> {
    let gone = shared
        .identity
        .revoke_invitation(by.principal(), user, by.from());
    gone.await.map_err(|error| failed(&shared, error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// What whoever was invited says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accept {
    /// The token that they were given.
    #[schema(value_type = String)]
    token: Hidden,
    /// Their password: 10 characters at least.
    #[schema(value_type = String)]
    password: Hidden,
    /// What is shown of them, if not what whoever invited them said.
    #[serde(default)]
    name: Option<String>,
    /// For what they are let in.
    #[serde(default)]
    r#for: For,
}

/// Accepts an invitation with a password, and lets them in. The token counts once. Who wants to log in by a
/// provider of identities opens `GET /api/v1/oidc/login?invitation=TOKEN` instead.
#[utoipa::path(
    post, path = "/api/v1/invitations/accept", tag = "access", request_body = Accept,
    responses((status = 201, body = LetIn))
)]
pub(crate) async fn accept(
    State(shared): State<Shared>,
    Origin(from): Origin,
    headers: HeaderMap,
    Body(wanted): Body<Accept>,
) -> Result<Response, Problem> {
    let said = Acceptance {
        password: wanted.password.0,
        name: wanted.name,
        kind: wanted.r#for.into(),
        agent: agent(&headers),
    };
    let token = wanted.token.0.expose_secret();
    let accepted = shared.identity.accept_invitation(token, said, &from).await;
    let accepted = accepted.map_err(|error| match error {
        NotAuthenticated::Refused => wrong(
            "WRONG_INVITATION",
            "the token invites nobody: it is another one, was used, was taken back, or is too old",
            "ask whoever invited you for another one",
        ),
        error => refused(&shared, error),
    })?;
    let made = accepted.map_err(|error| failed(&shared, error))?;
    Ok(let_in(&shared, StatusCode::CREATED, made))
}
