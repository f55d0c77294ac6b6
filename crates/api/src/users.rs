//! Who there is: people, service accounts, and their API keys.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use nebula_core::{ExposeSecret as _, PrincipalId, ProjectId, parse_duration};
use nebula_identity::{NewKey, NewPrincipal, Permission};
use nebula_ports::{PrincipalKind, Standing, StoredKey};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::Caller,
    api::{Inner, Shared},
    executions::page_size,
    extract::{Asked, At, Body, Hidden},
    problem::Problem,
    sessions::{MembershipBody, failed},
};

/// What somebody is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Somebody who logs in.
    Person,
    /// A program's account: it has API keys and no password.
    Service,
}

impl From<PrincipalKind> for Kind {
    fn from(kind: PrincipalKind) -> Self {
        match kind {
            PrincipalKind::Person => Self::Person,
            PrincipalKind::Service => Self::Service,
        }
    }
}

/// A person or a service account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserBody {
    /// Its id.
    user: String,
    /// What it is.
    kind: Kind,
    /// What it logs in with, or a service's name.
    login: String,
    /// What is shown of it.
    name: String,
    /// Whether it may do nothing for now.
    disabled: bool,
    /// Whether it logs in with a password.
    password: bool,
    /// What it is where.
    roles: Vec<MembershipBody>,
}

impl From<Standing> for UserBody {
    fn from(it: Standing) -> Self {
        Self {
            user: it.principal.id.to_string(),
            kind: it.principal.kind.into(),
            login: it.principal.login,
            name: it.principal.name,
            disabled: it.principal.disabled,
            password: it.principal.password.is_some(),
            roles: it.memberships.iter().map(Into::into).collect(),
        }
    }
}

/// A part of who there is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserPage {
    /// People and service accounts by login.
    users: Vec<UserBody>,
    /// What `cursor` of the next page is; null at the end.
    next: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paged {
    /// How many, at most `max_page`; 50 where nothing is said.
    #[param(minimum = 1)]
    pub(crate) limit: Option<u64>,
    /// `next` of the page before.
    pub(crate) cursor: Option<String>,
}

/// Lists people and service accounts.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "access", params(Paged),
    responses((status = 200, body = UserPage))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<Paged>,
) -> Result<Json<UserPage>, Problem> {
    let limit = page_size(&shared, asked.limit)?;
    let after = asked.cursor.as_deref();
    let found = shared
        .identity
        .principals(by.principal(), after, limit, by.from())
        .await
        .map_err(|error| failed(&shared, error))?;
    let last = found.last().filter(|_| found.len() == limit);
    let next = last.map(|it| it.principal.login.clone());
    Ok(Json(UserPage {
        users: found.into_iter().map(Into::into).collect(),
        next,
    }))
}

/// A person or a service account to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddUser {
    /// What it is.
    kind: Kind,
    /// What it logs in with, or a service's name; case does not count.
    login: String,
    /// What is shown of it.
    #[serde(default)]
    name: String,
    /// Of a person: 10 characters at least. Without one nobody logs in with a password.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    password: Option<Hidden>,
}

/// Adds a person or a service account, which may do nothing yet.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "access", request_body = AddUser,
    responses((status = 201, body = UserBody))
)]
pub(crate) async fn add(
    State(shared): State<Shared>,
    by: Caller,
    Body(wanted): Body<AddUser>,
) -> Result<Response, Problem> {
    let new = NewPrincipal {
        kind: match wanted.kind {
            Kind::Person => PrincipalKind::Person,
            Kind::Service => PrincipalKind::Service,
        },
        login: wanted.login,
        name: wanted.name,
        password: wanted.password.map(|it| it.0),
    };
    let added = shared
        .identity
        .add_principal(by.principal(), new, by.from())
        .await
        .map_err(|error| failed(&shared, error))?;
    let body = body(&shared, &by, added).await?;
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn body(shared: &Inner, by: &Caller, user: PrincipalId) -> Result<UserBody, Problem> {
    let found = shared.identity.somebody(by.principal(), user, by.from());
    let found = found.await.map_err(|error| failed(shared, error))?;
    Ok(found.into())
}

/// Shows a person or a service account.
#[utoipa::path(
    get, path = "/api/v1/users/{user}", tag = "access",
    params(("user" = String, Path, format = "uuid")), responses((status = 200, body = UserBody))
)]
pub(crate) async fn show(
    State(shared): State<Shared>,
    by: Caller,
    At(user): At<PrincipalId>,
) -> Result<Json<UserBody>, Problem> {
    Ok(Json(body(&shared, &by, user).await?))
}

/// Deletes somebody with their roles, API keys and sessions. Nobody deletes whoever is above them.
#[utoipa::path(
    delete, path = "/api/v1/users/{user}", tag = "access",
    params(("user" = String, Path, format = "uuid")), responses((status = 204))
)]
pub(crate) async fn remove(
    State(shared): State<Shared>,
    by: Caller,
    At(user): At<PrincipalId>,
) -> Result<StatusCode, Problem> {
    let gone = shared
        .identity
        .delete_principal(by.principal(), user, by.from());
    gone.await.map_err(|error| failed(&shared, error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether somebody may do nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disable {
    /// True shuts them out and ends their sessions; false lets them in again.
    disabled: bool,
}

/// Shuts somebody out, or lets them in again. Nobody shuts out whoever is above them.
#[utoipa::path(
    put, path = "/api/v1/users/{user}/disabled", tag = "access",
    params(("user" = String, Path, format = "uuid")), request_body = Disable,
    responses((status = 200, body = UserBody))
)]
pub(crate) async fn disable(
    State(shared): State<Shared>,
    by: Caller,
    At(user): At<PrincipalId>,
    Body(wanted): Body<Disable>,
) -> Result<Json<UserBody>, Problem> {
    let (identity, who) = (&shared.identity, by.principal());
    let done = identity.set_disabled(who, user, wanted.disabled, by.from());
    done.await.map_err(|error| failed(&shared, error))?;
    Ok(Json(body(&shared, &by, user).await?))
}

/// A new password for somebody.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPassword {
    /// 10 characters at least.
    #[schema(value_type = String)]
    password: Hidden,
}

/// Sets somebody's password, and closes all their sessions. Nobody does so to whoever is above them.
#[utoipa::path(
    put, path = "/api/v1/users/{user}/password", tag = "access",
    params(("user" = String, Path, format = "uuid")), request_body = SetPassword,
    responses((status = 204))
)]
pub(crate) async fn set_password(
    State(shared): State<Shared>,
    by: Caller,
    At(user): At<PrincipalId>,
    Body(wanted): Body<SetPassword>,
) -> Result<StatusCode, Problem> {
    let (identity, who) = (&shared.identity, by.principal());
    let done = identity.set_password(who, user, &wanted.password.0, by.from());
    done.await.map_err(|error| failed(&shared, error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// An API key without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct KeyBody {
    /// By what it is known: the part of the key after `nbk_`.
    key: String,
    /// What is shown of it.
    name: String,
    /// The only project that it is for; null is all of its owner's.
    project: Option<String>,
    /// The only permissions that it is for; null is all of its owner's.
    permissions: Option<Vec<String>>,
    /// From when on it opens nothing (RFC 3339).
    expires_at: Option<String>,
    /// Whether that is so.
    expired: bool,
    /// When it was made (RFC 3339).
    added_at: String,
    /// When it was used last (RFC 3339), to the minute.
    used_at: Option<String>,
}

impl From<StoredKey> for KeyBody {
    fn from(it: StoredKey) -> Self {
        Self {
            key: it.key.prefix,
            name: it.key.name,
            project: it.key.project.map(|it| it.to_string()),
            permissions: it.key.scopes,
            expires_at: it.key.expires_at.map(|it| it.to_string()),
            expired: it.expired,
            added_at: it.added_at.to_string(),
            used_at: it.used_at.map(|it| it.to_string()),
        }
    }
}

/// API keys of somebody.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    /// By their prefixes.
    keys: Vec<KeyBody>,
}

/// Lists somebody's API keys: one's own, or with `users:read` those of others.
#[utoipa::path(
    get, path = "/api/v1/users/{user}/keys", tag = "access",
    params(("user" = String, Path, format = "uuid")), responses((status = 200, body = KeyList))
)]
pub(crate) async fn keys(
    State(shared): State<Shared>,
    by: Caller,
    At(user): At<PrincipalId>,
) -> Result<Json<KeyList>, Problem> {
    let found = shared.identity.keys(by.principal(), user, by.from());
    let found = found.await.map_err(|error| failed(&shared, error))?;
    Ok(Json(KeyList {
        keys: found.into_iter().map(Into::into).collect(),
    }))
}

/// An API key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MakeKey {
    /// What is shown of it.
    name: String,
    /// How long it lasts, as a span of time such as `720h`; a year and a day at most.
    lasts: String,
    /// The only project that it is for.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    project: Option<ProjectId>,
    /// The only permissions that it is for.
    #[serde(default)]
    permissions: Option<Vec<String>>,
}

/// A key that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyMade {
    /// By what it is known.
    key: String,
    /// What opens: it is told once, and stored nowhere.
    secret: String,
}

/// Makes an API key: one's own, or with `users:write` one of a service account that is not above one. What
/// it opens is told in this answer alone.
#[utoipa::path(
    post, path = "/api/v1/users/{user}/keys", tag = "access",
    params(("user" = String, Path, format = "uuid")), request_body = MakeKey,
    responses((status = 201, body = KeyMade))
)]
pub(crate) async fn make_key(
    State(shared): State<Shared>,
    by: Caller,
    At(principal): At<PrincipalId>,
    Body(wanted): Body<MakeKey>,
) -> Result<Response, Problem> {
    let lasts: Duration = parse_duration(&wanted.lasts)
        .map_err(|error| Problem::bad("BAD_BODY", format!("lasts: {error}")))?;
    let read = |text: &String| {
        text.parse::<Permission>().map_err(|error| {
            let all: BTreeMap<_, _> = Permission::ALL.iter().map(|it| (it.as_str(), ())).collect();
            let all: Vec<_> = all.into_keys().collect();
            Problem::bad("BAD_BODY", format!("permissions: {error}"))
                .hint(format!("there are {}", all.join(", ")))
        })
    };
    let permissions = match &wanted.permissions {
        Some(all) => Some(all.iter().map(read).collect::<Result<Vec<_>, _>>()?),
        None => None,
    };
    let new = NewKey {
        principal,
        name: wanted.name,
        project: wanted.project,
        permissions,
        lasts,
    };
    let made = shared.identity.make_key(by.principal(), new, by.from());
    let made = made.await.map_err(|error| failed(&shared, error))?;
    let body = KeyMade {
        key: made.prefix,
        secret: made.text.expose_secret().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Removes an API key for good: one's own, or with `users:write` one of whoever is not above one.
#[utoipa::path(
    delete, path = "/api/v1/keys/{key}", tag = "access",
    params(("key" = String, Path)), responses((status = 204))
)]
pub(crate) async fn remove_key(
    State(shared): State<Shared>,
    by: Caller,
    At(key): At<String>,
) -> Result<StatusCode, Problem> {
    let gone = shared.identity.remove_key(by.principal(), &key, by.from());
    gone.await.map_err(|error| failed(&shared, error))?;
    Ok(StatusCode::NO_CONTENT)
}
