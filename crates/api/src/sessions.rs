//! Who one is, and being let in: the first person, logging in and out, one's sessions and password.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use nebula_core::{ExposeSecret as _, PrincipalId, TenantId};
use nebula_identity::{
    FirstAdmin, IdentityError, Issued, LoggedIn, Login, NotAuthenticated, Permission, Principal,
    TICKET, Via, Who,
};
use nebula_ports::{ErrorKind, Membership, Session, SessionKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access::{self, Caller, Origin, admitted, refused, wrong},
    api::{Inner, Shared},
    extract::{At, Body, Hidden},
    problem::Problem,
};

/// For what somebody is let in.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum For {
    /// A program: it gets a token that lives for minutes, and one to exchange for the next two.
    #[default]
    Program,
    /// A browser: it gets a cookie that no script reads, and a CSRF token.
    Browser,
}

impl From<For> for SessionKind {
    fn from(it: For) -> Self {
        match it {
            For::Program => Self::Program,
            For::Browser => Self::Browser,
        }
    }
}

impl From<SessionKind> for For {
    fn from(it: SessionKind) -> Self {
        match it {
            SessionKind::Program => Self::Program,
            SessionKind::Browser => Self::Browser,
        }
    }
}

/// What somebody is in a project, or in all of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MembershipBody {
    /// Where; null is every project, and what belongs to none.
    project: Option<String>,
    /// `viewer`, `operator`, `editor`, `admin` or `owner`.
    role: &'static str,
}

impl From<&Membership> for MembershipBody {
    fn from(it: &Membership) -> Self {
        Self {
            project: it.project.as_ref().map(ToString::to_string),
            role: it.role.as_str(),
        }
    }
}

/// Who somebody is who calls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Me)]
pub(crate) struct MeBody {
    /// The id; null is whoever sits at the machine of the server.
    user: Option<String>,
    /// `person`, `service` or `local`.
    kind: &'static str,
    /// What they log in with.
    login: String,
    /// What is shown of them.
    name: String,
    /// Whose data they see.
    tenant: String,
    /// What they are where.
    roles: Vec<MembershipBody>,
    /// What they may in some project at least, with what they came.
    permissions: Vec<&'static str>,
    /// The session with which they came, if it was one.
    session: Option<String>,
    /// What a browser's page sends as `X-CSRF-Token`, if they came with a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf: Option<String>,
}

impl MeBody {
    fn of(principal: &Principal) -> Self {
        let all = Permission::ALL.iter();
        let may = all.filter(|it| principal.is_allowed_somewhere(**it));
        Self {
            user: principal.id().map(|id| id.to_string()),
            kind: match principal.who() {
                Who::Person(_) => "person",
                Who::Service(_) => "service",
                Who::Local => "local",
            },
            login: principal.login().to_owned(),
            name: principal.name().to_owned(),
            tenant: principal.tenant().to_string(),
            roles: principal.memberships().iter().map(Into::into).collect(),
            permissions: may.map(|it| it.as_str()).collect(),
            session: match principal.via() {
                Via::Session(id) => Some(id.to_string()),
                _ => None,
            },
            csrf: None,
        }
    }
}

/// Somebody who was let in. What a program gets is told once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LetIn {
    /// Who.
    me: MeBody,
    /// Of a program: what it sends as `Authorization: Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<String>,
    /// How many seconds that lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    lives: Option<u64>,
    /// What it exchanges for the next two, once: POST /api/v1/refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh: Option<String>,
    /// Of a browser: when its session ends at the latest (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
}

pub(crate) fn let_in(shared: &Inner, status: StatusCode, it: LoggedIn) -> Response {
    let mut body = LetIn {
        me: MeBody::of(&it.principal),
        access: None,
        lives: None,
        refresh: None,
        ends_at: None,
    };
    let mut cookie = None;
    match it.issued {
        Issued::Program {
            access,
            lives,
            refresh,
        } => {
            body.access = Some(access.expose_secret().to_owned());
            body.lives = Some(lives.as_secs());
            body.refresh = Some(refresh.expose_secret().to_owned());
        }
        Issued::Browser {
            cookie: value,
            csrf,
            ends_at,
        } => {
            body.me.csrf = Some(csrf.expose_secret().to_owned());
            body.ends_at = Some(ends_at.to_string());
            let lives = ends_at.since(shared.clock.now()).as_secs();
            cookie = Some((value, lives));
        }
    }
    let mut response = (status, Json(body)).into_response();
    if let Some((value, lives)) = cookie {
        let secure = shared.config().secure_cookies;
        put_cookie(&mut response, value.expose_secret(), Some(lives), secure);
    }
    response
}

fn put_cookie(response: &mut Response, value: &str, lives: Option<u64>, secure: bool) {
    if let Ok(mut value) = HeaderValue::from_str(&access::set_cookie(value, lives, secure)) {
        value.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

/// With what program somebody comes.
pub(crate) fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT);
    agent
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

/// The first person.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    /// The token from the file that the first start wrote.
    #[schema(value_type = String)]
    token: Hidden,
    /// What they log in with.
    login: String,
    /// What is shown of them.
    #[serde(default)]
    name: String,
    /// Their password: 10 characters at least.
    #[schema(value_type = String)]
    password: Hidden,
    /// For what they are let in.
    #[serde(default)]
    r#for: For,
}

/// Makes the first person, who owns everything, and lets them in. The token counts once, and only as long
/// as there is nobody.
#[utoipa::path(
    post, path = "/api/v1/setup", tag = "access", request_body = Setup,
    responses((status = 201, body = LetIn))
)]
pub(crate) async fn setup(
    State(shared): State<Shared>,
    Origin(from): Origin,
    headers: HeaderMap,
    Body(wanted): Body<Setup>,
) -> Result<Response, Problem> {
    let first = FirstAdmin {
        login: wanted.login,
        name: wanted.name,
        password: wanted.password.0,
        kind: wanted.r#for.into(),
        agent: agent(&headers),
    };
    let made = shared
        .identity
        .first_admin(wanted.token.0.expose_secret(), first, &from)
        .await
        .map_err(|error| match error {
            NotAuthenticated::Refused => wrong(
                "WRONG_SETUP_TOKEN",
                "the token makes nobody: it is another one, or there is somebody already",
                "the file that `nebula serve` names at its start has it, as long as nobody owns what is there",
            ),
            error => refused(&shared, error),
        })?
        .map_err(|error| failed(&shared, error))?;
    if *made.principal.tenant() == shared.tenant {
        shared.first.cancel();
    }
    Ok(let_in(&shared, StatusCode::CREATED, made))
}

/// What somebody logs in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogIn {
    /// In which tenant they have it; that of the server where none is named.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// Their login; case does not count.
    login: String,
    /// Their password.
    #[schema(value_type = String)]
    password: Hidden,
    /// For what they are let in.
    #[serde(default)]
    r#for: For,
}

/// Lets somebody in. Whoever is refused is not told why; whoever tries often waits longer each time.
#[utoipa::path(
    post, path = "/api/v1/login", tag = "access", request_body = LogIn,
    responses((status = 200, body = LetIn))
)]
pub(crate) async fn login(
    State(shared): State<Shared>,
    Origin(from): Origin,
    headers: HeaderMap,
    Body(wanted): Body<LogIn>,
) -> Result<Response, Problem> {
    let login = Login {
        login: wanted.login,
        password: wanted.password.0,
        kind: wanted.r#for.into(),
        agent: agent(&headers),
    };
    let wrong_login = || {
        wrong(
            "WRONG_LOGIN",
            "nobody is let in with this login and this password",
            "look at both, and type them again; whoever manages this installation can set a new password",
        )
    };
    let tenant = wanted.tenant.as_ref().unwrap_or(&shared.tenant);
    // Tries are counted for each tenant: those of tenants that are made up would have no end.
    if *tenant != shared.tenant && shared.nebula.engine().tenant(tenant).await?.is_none() {
        return Err(wrong_login());
    }
    let found = shared.identity.login(tenant, login, &from).await;
    let found = found.map_err(|error| match error {
        // Also where nobody has that login, and where somebody is shut out.
        NotAuthenticated::Refused => wrong_login(),
        error => refused(&shared, error),
    })?;
    // Only whoever would be let in is told.
    admitted(&shared, tenant).await?;
    Ok(let_in(&shared, StatusCode::OK, found))
}

/// What a program exchanges.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    /// The refresh token that it was given last.
    #[schema(value_type = String)]
    refresh: Hidden,
}

/// Exchanges a refresh token for the next one and a new access token. One that was exchanged before ends
/// its session: somebody else has it, too.
#[utoipa::path(
    post, path = "/api/v1/refresh", tag = "access", request_body = Refresh,
    responses((status = 200, body = LetIn))
)]
pub(crate) async fn refresh(
    State(shared): State<Shared>,
    Origin(from): Origin,
    Body(wanted): Body<Refresh>,
) -> Result<Response, Problem> {
    let text = wanted.refresh.0.expose_secret();
    let found = shared.identity.refresh(text, &from).await;
    let found = found.map_err(|error| match error {
        NotAuthenticated::Refused => wrong(
            "WRONG_REFRESH_TOKEN",
            "the token is not exchanged: its session is over, or it was exchanged before, which ends its session",
            "log in again",
        ),
        error => refused(&shared, error),
    })?;
    Ok(let_in(&shared, StatusCode::OK, found))
}

/// Ends the session with which one comes; with a key or the token of the machine, it changes nothing.
#[utoipa::path(
    post, path = "/api/v1/logout", tag = "access", responses((status = 204))
)]
pub(crate) async fn logout(State(shared): State<Shared>, by: Caller) -> Result<Response, Problem> {
    let done = shared.identity.logout(by.principal(), by.from()).await;
    done.map_err(|error| failed(&shared, error))?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    put_cookie(&mut response, "", None, shared.config().secure_cookies);
    Ok(response)
}

/// Shows who one is, and what one may.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "access", responses((status = 200, body = MeBody))
)]
pub(crate) async fn me(
    State(shared): State<Shared>,
    by: Caller,
    headers: HeaderMap,
) -> Json<MeBody> {
    let mut body = MeBody::of(by.principal());
    let came = headers.contains_key(header::AUTHORIZATION);
    if let Some(cookie) = access::cookie(&headers).filter(|_| !came) {
        let csrf = shared.identity.csrf_of(cookie);
        body.csrf = Some(csrf.expose_secret().to_owned());
    }
    Json(body)
}

/// A ticket.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TicketBody {
    /// What stands in the query of one stream: `?ticket=…`.
    ticket: String,
    /// How many seconds it lives.
    lives: u64,
}

/// Makes a ticket that opens one stream in one's name, for what can send no header, such as the event
/// source of a browser.
#[utoipa::path(
    post, path = "/api/v1/tickets", tag = "live", responses((status = 201, body = TicketBody))
)]
pub(crate) async fn ticket(State(shared): State<Shared>, by: Caller) -> Result<Response, Problem> {
    let ticket = shared.identity.ticket(by.principal()).await?;
    let body = TicketBody {
        ticket: ticket.expose_secret().to_owned(),
        lives: TICKET.as_secs(),
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// A new password of one's own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePassword {
    /// The one that is there.
    #[schema(value_type = String)]
    old: Hidden,
    /// The next one: 10 characters at least.
    #[schema(value_type = String)]
    new: Hidden,
}

/// Changes one's own password, and closes all other sessions.
#[utoipa::path(
    put, path = "/api/v1/me/password", tag = "access", request_body = ChangePassword,
    responses((status = 204))
)]
pub(crate) async fn change_password(
    State(shared): State<Shared>,
    by: Caller,
    Body(wanted): Body<ChangePassword>,
) -> Result<StatusCode, Problem> {
    let (identity, who) = (&shared.identity, by.principal());
    let changed = identity.change_own_password(who, &wanted.old.0, &wanted.new.0, by.from());
    changed.await.map_err(|error| failed(&shared, error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// A session that lasts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionBody {
    /// Its id.
    session: String,
    /// For what it was opened.
    r#for: For,
    /// From where.
    from: String,
    /// With what program.
    agent: String,
    /// When (RFC 3339).
    opened_at: String,
    /// When it was used last (RFC 3339).
    used_at: String,
    /// When it ends at the latest (RFC 3339).
    ends_at: String,
}

impl From<Session> for SessionBody {
    fn from(it: Session) -> Self {
        Self {
            session: it.id.to_string(),
            r#for: it.kind.into(),
            from: it.from,
            agent: it.agent,
            opened_at: it.opened_at.to_string(),
            used_at: it.used_at.to_string(),
            ends_at: it.ends_at.to_string(),
        }
    }
}

/// Sessions of somebody.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionList {
    /// Those that last, the newest first.
    sessions: Vec<SessionBody>,
}

/// Lists somebody's sessions that last: one's own, or with `users:read` those of others.
#[utoipa::path(
    get, path = "/api/v1/users/{user}/sessions", tag = "access",
    params(("user" = String, Path, format = "uuid")), responses((status = 200, body = SessionList))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    by: Caller,
    At(user): At<PrincipalId>,
) -> Result<Json<SessionList>, Problem> {
    let found = shared.identity.sessions(by.principal(), user, by.from());
    let found = found.await.map_err(|error| failed(&shared, error))?;
    Ok(Json(SessionList {
        sessions: found.into_iter().map(Into::into).collect(),
    }))
}

/// How many sessions were closed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Closed {
    /// Of those that lasted.
    closed: usize,
}

/// Closes somebody's sessions but the one with which one comes: one's own, or with `users:write` those of
/// whoever has no higher role.
#[utoipa::path(
    delete, path = "/api/v1/users/{user}/sessions", tag = "access",
    params(("user" = String, Path, format = "uuid")), responses((status = 200, body = Closed))
)]
pub(crate) async fn close_all(
    State(shared): State<Shared>,
    by: Caller,
    At(user): At<PrincipalId>,
) -> Result<Json<Closed>, Problem> {
    close(&shared, &by, user, None).await
}

/// Closes one session: one's own, or with `users:write` one of whoever has no higher role.
#[utoipa::path(
    delete, path = "/api/v1/users/{user}/sessions/{session}", tag = "access",
    params(("user" = String, Path, format = "uuid"), ("session" = String, Path, format = "uuid")),
    responses((status = 200, body = Closed))
)]
pub(crate) async fn close_one(
    State(shared): State<Shared>,
    by: Caller,
    At((user, session)): At<(PrincipalId, Uuid)>,
) -> Result<Json<Closed>, Problem> {
    close(&shared, &by, user, Some(session)).await
}

async fn close(
    shared: &Inner,
    by: &Caller,
    user: PrincipalId,
    one: Option<Uuid>,
) -> Result<Json<Closed>, Problem> {
    let closed = shared
        .identity
        .close_sessions(by.principal(), user, one, by.from())
        .await
        .map_err(|error| failed(shared, error))?;
    Ok(Json(Closed { closed }))
}

/// Why something about identities was not done.
pub(crate) fn failed(shared: &Inner, error: IdentityError) -> Problem {
    let (message, hint) = (error.to_string(), error.advice());
    let problem = match error {
        // A text that the caller gave is empty or too long.
        IdentityError::Port(error) if error.kind == ErrorKind::Invalid => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Problem::new(status, "NOT_POSSIBLE", error.message).hint("correct it");
        }
        IdentityError::Port(error) => return error.into(),
        IdentityError::Denied { .. } => Problem::new(StatusCode::FORBIDDEN, "DENIED", message),
        IdentityError::Unknown(_) => Problem::new(StatusCode::NOT_FOUND, "UNKNOWN", message),
        IdentityError::Taken(_) => Problem::conflict("TAKEN", message),
        IdentityError::Changed(_) => Problem::conflict("CHANGED", message),
        IdentityError::LastOwner => Problem::conflict("LAST_OWNER", message),
        IdentityError::WrongPassword => {
            Problem::new(StatusCode::FORBIDDEN, "WRONG_PASSWORD", message)
        }
        IdentityError::Wait { until } => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            let wait = until.since(shared.clock.now());
            Problem::new(status, "TRIED_TOO_OFTEN", "it was tried too often")
                .try_after(wait.max(std::time::Duration::from_secs(1)))
        }
        IdentityError::Busy => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "BUSY", message)
            .try_after(std::time::Duration::from_secs(1)),
        _ => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "NOT_POSSIBLE", message),
    };
    problem.hint(hint)
}
