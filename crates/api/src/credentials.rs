//! Credentials and secrets: values go in and never come out.
//!
//! A credential belongs to a project, which lies in its envelope, or to none. Secrets belong to none, and
//! no node reads them. What belongs to none is for those with a role in all.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use nebula_core::{CredentialId, ProjectId, SecretId, TenantId};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_identity::{Decision, Permission};
use nebula_ports::{
    CredentialDeleted, CredentialSummary, CredentialUse, CredentialUser, ErrorKind, SecretDeleted,
    SecretSet,
};
use nebula_vault::{About, Opened, VaultError, VaultPut, is_reserved};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::Caller,
    api::{Inner, Shared},
    executions::page_size,
    extract::{Asked, At, Body, Hidden},
    problem::{Problem, unknown_project},
    projects::known_project,
    users::Paged,
};

/// A field of a type of credentials.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldBody {
    /// Its name.
    name: &'static str,
    /// What is shown of it.
    title: &'static str,
    /// Whether it must be given.
    required: bool,
    /// Whether it is never shown.
    secret: bool,
}

/// A type of credentials.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TypeBody {
    /// Its name.
    r#type: &'static str,
    /// Its fields; none are named where any may be given.
    fields: Vec<FieldBody>,
    /// The JSON schema of what is given.
    #[schema(value_type = Object)]
    schema: Value,
}

/// The types of credentials.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TypeList {
    /// All of them.
    types: Vec<TypeBody>,
}

/// Lists the types of credentials, each with its fields and their schema.
#[utoipa::path(
    get, path = "/api/v1/credential-types", tag = "credentials",
    responses((status = 200, body = TypeList))
)]
pub(crate) async fn types() -> Json<TypeList> {
    let all = CredentialType::ALL.iter().map(|kind| TypeBody {
        r#type: kind.name(),
        fields: kind
            .fields()
            .iter()
            .map(|field| FieldBody {
                name: field.name,
                title: field.title,
                required: field.required,
                secret: field.secret,
            })
            .collect(),
        schema: kind.schema(),
    });
    Json(TypeList {
        types: all.collect(),
    })
}

/// A credential, without its values.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Credential)]
pub(crate) struct CredentialBody {
    /// Its id.
    credential: String,
    /// The name of its type.
    r#type: String,
    /// Its version, from 1.
    version: u32,
    /// The hosts that it may be sent to; null where it cannot be opened.
    hosts: Option<Vec<String>>,
    /// The project to which it belongs; null is none, or that it cannot be opened.
    project: Option<String>,
    /// When this version was put (RFC 3339).
    put_at: String,
    /// When any version was used last (RFC 3339).
    used_at: Option<String>,
}

/// A part of the credentials.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialPage {
    /// Credentials by id.
    credentials: Vec<CredentialBody>,
    /// What `cursor` of the next page is; null at the end.
    next: Option<String>,
}

fn shown(it: CredentialSummary, about: Option<About>) -> CredentialBody {
    let (hosts, project) = about.map(|it| (it.hosts, it.project)).unzip();
    CredentialBody {
        credential: it.id.to_string(),
        r#type: it.kind,
        version: it.version,
        hosts: hosts.map(|hosts| hosts.patterns().collect()),
        project: project.flatten().map(|it| it.to_string()),
        put_at: it.put_at.to_string(),
        used_at: it.used_at.map(|it| it.to_string()),
    }
}

/// To which project a credential belongs. One that cannot be opened, or is not there, belongs to none:
/// it is for those who have a role in all.
pub(crate) async fn place(
    shared: &Inner,
    by: &Caller,
    id: &CredentialId,
) -> Result<Option<ProjectId>, Problem> {
    match shared.vault.about(by.tenant(), id).await {
        Ok(about) => Ok(about.project),
        Err(VaultError::Port(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Lets the caller do `permission` with a credential of this project, or tells them that there is none.
pub(crate) async fn may(
    shared: &Inner,
    by: &Caller,
    permission: Permission,
    project: Option<&ProjectId>,
    id: &CredentialId,
) -> Result<(), Problem> {
    let unknown = || failed(VaultError::Unknown(id.clone()));
    let sees = (Permission::CredentialsRead, unknown);
    by.may(
        shared,
        permission,
        project,
        &format!("credential:{id}"),
        sees,
    )
    .await
}

/// Whether the caller may grant the nodes of a definition the credentials that they ask for: whoever
/// publishes a version does, and whoever starts one that is not published.
pub(crate) async fn may_grant(
    shared: &Inner,
    by: &Caller,
    asked: &BTreeSet<Cow<'_, str>>,
) -> Result<(), Problem> {
    let permission = Permission::CredentialsUse;
    for asked in asked {
        match named(asked) {
            Named::Nothing => {}
            Named::One(id) => {
                let project = place(shared, by, &id).await?;
                let refused = may(shared, by, permission, project.as_ref(), &id).await;
                refused.map_err(|problem| {
                    problem.hint("name a credential of a project in which you are an editor")
                })?;
            }
            Named::Any => {
                let decision = by.principal().may(permission, None);
                if let Decision::Denied { why } = decision {
                    let why = format!("`{asked}` may come to be any credential: {why}");
                    return Err(by.denied(shared, permission, "", &why).await?.hint(
                        "name the credential in `credentials`, or in `requires` without an expression",
                    ));
                }
            }
        }
    }
    Ok(())
}

/// What an entry of `requires` asks for.
#[derive(Debug, PartialEq)]
enum Named {
    /// No credential.
    Nothing,
    /// This one.
    One(CredentialId),
    /// What an expression gives: whichever.
    Any,
}

fn named(asked: &str) -> Named {
    const SECRET: &str = "secret:";
    let literal = asked.split("{{").next().unwrap_or_default();
    let whole = literal.len() == asked.len();
    match asked.trim().strip_prefix(SECRET) {
        Some(id) if whole => CredentialId::new(id.trim()).map_or(Named::Any, Named::One),
        None if whole || !SECRET.starts_with(literal.trim_start()) => Named::Nothing,
        _ => Named::Any,
    }
}

/// Lists credentials, never with their values: those of projects in which the caller may see them. A page
/// may have fewer than were asked for, also none, and a next one.
#[utoipa::path(
    get, path = "/api/v1/credentials", tag = "credentials", params(Paged),
    responses((status = 200, body = CredentialPage))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<Paged>,
) -> Result<Json<CredentialPage>, Problem> {
    let projects = by.projects();
    let limit = page_size(&shared, asked.limit)?;
    let after = asked.cursor.map(CredentialId::new).transpose();
    let after = after.map_err(|_| bad_cursor())?;
    let found = shared
        .vault
        .list(by.tenant(), after.as_ref(), limit)
        .await?;
    let last = found.last().filter(|_| found.len() == limit);
    let next = last.map(|it| it.id.to_string());
    let mut credentials = Vec::with_capacity(found.len());
    for it in found {
        // Why it cannot be opened, whoever uses it is told.
        let about = shared.vault.about(by.tenant(), &it.id).await.ok();
        let project = about.as_ref().and_then(|about| about.project.as_ref());
        let seen = projects
            .as_ref()
            .is_none_or(|all| project.is_some_and(|it| all.contains(it)));
        if seen {
            credentials.push(shown(it, about));
        }
    }
    Ok(Json(CredentialPage { credentials, next }))
}

fn bad_cursor() -> Problem {
    Problem::bad("BAD_CURSOR", "the cursor is not from a page before")
        .hint("send `next` of the page before, as it is, or no cursor")
}

/// A credential to put.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutCredential {
    /// The version that this one follows; null adds a new credential.
    #[serde(default)]
    from: Option<u32>,
    /// Its type, of a new one; it never changes.
    #[serde(default)]
    r#type: Option<String>,
    /// Its values by field. What is left out stays as it is.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    fields: BTreeMap<String, Hidden>,
    /// The hosts that it may be sent to, such as `api.example`; left out, they stay.
    #[serde(default)]
    hosts: Option<Vec<String>>,
    /// The project to which it belongs from now on: workflows of others cannot be given it. Left out or
    /// null, a new one belongs to none, and one that is there stays where it is.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    project: Option<ProjectId>,
}

/// What became of a credential that was put.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialStored {
    /// Its id.
    pub(crate) credential: String,
    /// The version that it has now.
    pub(crate) version: u32,
}

/// Adds a credential, or gives it its next version: rotates it. Values are never given back.
#[utoipa::path(
    put, path = "/api/v1/credentials/{credential}", tag = "credentials",
    params(("credential" = String, Path)), request_body = PutCredential,
    responses((status = 200, body = CredentialStored))
)]
pub(crate) async fn put(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<CredentialId>,
    Body(wanted): Body<PutCredential>,
) -> Result<Json<CredentialStored>, Problem> {
    let target = format!("credential:{id}");
    let before = match wanted.from {
        None => None,
        Some(_) => {
            let project = place(&shared, &by, &id).await?;
            let write = Permission::CredentialsWrite;
            may(&shared, &by, write, project.as_ref(), &id).await?;
            project
        }
    };
    let project = wanted.project.or_else(|| before.clone());
    if wanted.from.is_none() || project != before {
        admits(&shared, &by, project.as_ref(), &target).await?;
    }
    let named: Vec<_> = wanted.fields.keys().cloned().collect();
    let mut fields: BTreeMap<_, _> = wanted
        .fields
        .into_iter()
        .map(|(name, it)| (name, it.0))
        .collect();
    let hosts = wanted
        .hosts
        .as_ref()
        .map(|all| AllowedHosts::parse(all.iter().map(String::as_str)));
    let hosts = hosts.transpose().map_err(invalid)?;
    let kind = wanted.r#type.map(|it| it.parse::<CredentialType>());
    let kind = kind.transpose().map_err(invalid)?;
    let change = json!({
        "version": wanted.from, "fields": named, "hosts": wanted.hosts,
        "project": [before, project],
    });
    by.record(&shared, target, change).await?;
    let (kind, hosts) = match wanted.from {
        None => {
            let kind = kind.ok_or_else(|| {
                Problem::bad("BAD_BODY", "type: a new credential has one")
                    .hint("GET /api/v1/credential-types lists them")
            })?;
            (kind, hosts.unwrap_or_default())
        }
        Some(from) => {
            let user = CredentialUser::Change;
            let opened = shared.vault.open(by.tenant(), &id, &user).await;
            let Opened {
                version,
                credential,
            } = opened.map_err(failed)?;
            // In another project than the one that was judged it is another's.
            if version != from || credential.project() != before.as_ref() {
                return Err(changed(&id, Some(version)));
            }
            if kind.is_some_and(|it| it != credential.kind()) {
                return Err(invalid("the type of a credential never changes"));
            }
            for (name, value) in credential.fields() {
                fields
                    .entry(name.to_owned())
                    .or_insert_with(|| value.clone());
            }
            let before = || credential.hosts().clone();
            (credential.kind(), hosts.unwrap_or_else(before))
        }
    };
    let credential = Credential::new(kind, fields, hosts).map_err(invalid)?;
    let credential = credential.in_project(project);
    let put = shared.vault.put(by.tenant(), &id, wanted.from, &credential);
    let put = put.await.map_err(|error| match error {
        VaultError::Seal { .. } => invalid(error),
        error => failed(error),
    });
    match put? {
        VaultPut::Stored { version } => {
            shared.nebula.close_connections(by.tenant(), &id);
            Ok(Json(CredentialStored {
                credential: id.to_string(),
                version,
            }))
        }
        // Whose it is, whoever wants a new one need not be told.
        VaultPut::Conflict { .. } if wanted.from.is_none() => Err(Problem::conflict(
            "CREDENTIAL_CHANGED",
            format!("there is a credential `{id}` already; nothing was written"),
        )
        .hint("choose another id, or say the version that this one follows as `from`")),
        VaultPut::Conflict { version } => Err(changed(&id, version)),
    }
}

/// Whether the caller may put a credential into this project.
async fn admits(
    shared: &Inner,
    by: &Caller,
    project: Option<&ProjectId>,
    target: &str,
) -> Result<(), Problem> {
    let Some(project) = project else {
        let refused = by.everywhere(shared, target).await;
        return refused.map_err(|it| it.hint("say to which `project` it belongs"));
    };
    known_project(shared, by, project, target).await?;
    let sees = (Permission::ProjectsRead, || unknown_project(project));
    let write = Permission::CredentialsWrite;
    by.may(shared, write, Some(project), target, sees).await
}

/// A credential of this project, if there is one.
pub(crate) async fn one_of(
    shared: &Inner,
    tenant: &TenantId,
    project: &ProjectId,
) -> Result<Option<CredentialId>, Problem> {
    let mut after = None;
    loop {
        let found = shared.vault.list(tenant, after.as_ref(), PAGE).await?;
        let Some(last) = found.last().map(|it| it.id.clone()) else {
            return Ok(None);
        };
        for it in found {
            // What cannot be opened may be of any project.
            let about = shared.vault.about(tenant, &it.id).await;
            match about {
                Ok(about) if about.project.as_ref() != Some(project) => {}
                Err(VaultError::Unknown(_)) => {}
                Ok(_) | Err(_) => return Ok(Some(it.id)),
            }
        }
        after = Some(last);
    }
}

/// How many credentials are read at a time.
const PAGE: usize = 100;

fn changed(id: &CredentialId, version: Option<u32>) -> Problem {
    match version {
        None => failed(VaultError::Unknown(id.clone())),
        Some(version) => {
            let message =
                format!("the credential `{id}` has version {version}; nothing was written");
            Problem::conflict("CREDENTIAL_CHANGED", message)
                .hint("look at it again, and say that version as `from`")
        }
    }
}

fn invalid(error: impl fmt::Display) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "CREDENTIAL_INVALID",
        error.to_string(),
    )
    .hint("GET /api/v1/credential-types lists the fields of each type")
}

pub(crate) fn failed(error: VaultError) -> Problem {
    let (message, hint) = (error.to_string(), error.advice());
    match error {
        VaultError::Unknown(_) => {
            Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_CREDENTIAL", message)
                .hint("GET /api/v1/credentials lists those that there are")
        }
        VaultError::Port(error) => error.into(),
        VaultError::Contended(_) => Problem::conflict("CREDENTIAL_CHANGED", message).hint(hint),
        _ => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "STORE_KEY", message).hint(hint),
    }
}

/// Removes a credential; who used it stays known.
#[utoipa::path(
    delete, path = "/api/v1/credentials/{credential}", tag = "credentials",
    params(("credential" = String, Path)), responses((status = 204))
)]
pub(crate) async fn remove(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<CredentialId>,
) -> Result<StatusCode, Problem> {
    let project = place(&shared, &by, &id).await?;
    let write = Permission::CredentialsWrite;
    may(&shared, &by, write, project.as_ref(), &id).await?;
    if !shared.vault.exists(by.tenant(), &id).await? {
        return Err(failed(VaultError::Unknown(id)));
    }
    let target = format!("credential:{id}");
    by.record(&shared, target, Value::Null).await?;
    match shared.vault.remove(by.tenant(), &id).await? {
        CredentialDeleted::Deleted => {
            shared.nebula.close_connections(by.tenant(), &id);
            Ok(StatusCode::NO_CONTENT)
        }
        CredentialDeleted::Unknown => Err(failed(VaultError::Unknown(id))),
    }
}

/// One use of a credential.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UseBody {
    /// Its number; later ones are higher.
    number: u64,
    /// When (RFC 3339).
    at: String,
    /// Which version.
    version: u32,
    /// `attempt`, `refresh`, `test` or `change`.
    by: &'static str,
    /// Of an attempt: the execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    execution: Option<String>,
    /// Of an attempt: the node, by its path of ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    /// Of an attempt: its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
}

impl From<CredentialUse> for UseBody {
    fn from(it: CredentialUse) -> Self {
        let by = match &it.user {
            CredentialUser::Attempt { .. } => "attempt",
            CredentialUser::Refresh => "refresh",
            CredentialUser::Test => "test",
            CredentialUser::Change => "change",
        };
        let mut body = Self {
            number: it.number,
            at: it.at.to_string(),
            version: it.version,
            by,
            execution: None,
            node: None,
            attempt: None,
        };
        if let CredentialUser::Attempt {
            execution,
            node,
            attempt,
        } = it.user
        {
            body.execution = Some(execution.to_string());
            body.node = Some(node);
            body.attempt = Some(attempt);
        }
        body
    }
}

/// A part of the uses of a credential.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsePage {
    /// Uses, newest first.
    uses: Vec<UseBody>,
    /// What `before` of the next page is; null at the end.
    next: Option<u64>,
}

/// Which uses to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListUses {
    /// Only those before this number: `next` of the page before.
    before: Option<u64>,
    /// How many, at most `max_page`; 50 where nothing is said.
    #[param(minimum = 1)]
    limit: Option<u64>,
}

/// Lists who used a credential, the newest first.
#[utoipa::path(
    get, path = "/api/v1/credentials/{credential}/uses", tag = "credentials",
    params(("credential" = String, Path), ListUses), responses((status = 200, body = UsePage))
)]
pub(crate) async fn uses(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<CredentialId>,
    Asked(asked): Asked<ListUses>,
) -> Result<Json<UsePage>, Problem> {
    let project = place(&shared, &by, &id).await?;
    let read = Permission::CredentialsRead;
    may(&shared, &by, read, project.as_ref(), &id).await?;
    let limit = page_size(&shared, asked.limit)?;
    let (vault, tenant) = (&shared.vault, by.tenant());
    let found = vault.uses(tenant, &id, asked.before, limit).await?;
    if found.is_empty() && !vault.exists(tenant, &id).await? {
        return Err(failed(VaultError::Unknown(id)));
    }
    let next = found.last().filter(|_| found.len() == limit);
    let next = next.map(|it| it.number);
    Ok(Json(UsePage {
        uses: found.into_iter().map(Into::into).collect(),
        next,
    }))
}

/// A part of the secrets.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretPage {
    /// Ids, in order.
    secrets: Vec<String>,
    /// What `cursor` of the next page is; null at the end.
    next: Option<String>,
}

/// Lists the ids of secrets, never their values, and none of the engine's own.
#[utoipa::path(
    get, path = "/api/v1/secrets", tag = "credentials", params(Paged),
    responses((status = 200, body = SecretPage))
)]
pub(crate) async fn secrets(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<Paged>,
) -> Result<Json<SecretPage>, Problem> {
    by.everywhere(&shared, "").await?;
    let limit = page_size(&shared, asked.limit)?;
    let after = asked.cursor.map(SecretId::new).transpose();
    let after = after.map_err(|_| bad_cursor())?;
    let found = shared
        .secrets
        .list(by.tenant(), after.as_ref(), limit)
        .await?;
    let last = found.last().filter(|_| found.len() == limit);
    let next = last.map(ToString::to_string);
    let own = found.iter().filter(|id| !is_reserved(id));
    Ok(Json(SecretPage {
        secrets: own.map(ToString::to_string).collect(),
        next,
    }))
}

/// A secret to set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetSecret {
    /// Its value: 1 byte to 64 KiB.
    #[schema(value_type = String)]
    value: Hidden,
}

/// Sets a secret. Its value is never given back.
#[utoipa::path(
    put, path = "/api/v1/secrets/{secret}", tag = "credentials",
    params(("secret" = String, Path)), request_body = SetSecret,
    responses((status = 201, description = "It is new."), (status = 204, description = "It has a new value."))
)]
pub(crate) async fn set_secret(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<SecretId>,
    Body(wanted): Body<SetSecret>,
) -> Result<Response, Problem> {
    let target = format!("secret:{id}");
    by.everywhere(&shared, &target).await?;
    own(&id)?;
    by.record(&shared, target, Value::Null).await?;
    let set = shared.secrets.set(by.tenant(), &id, wanted.value.0).await;
    let set = set.map_err(|error| match error.kind {
        ErrorKind::Invalid => Problem::bad("BAD_BODY", format!("value: {}", error.message)),
        _ => error.into(),
    })?;
    Ok(match set {
        SecretSet::New => StatusCode::CREATED.into_response(),
        SecretSet::Replaced => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Not one of the engine's own: credentials and logins would be lost without it.
fn own(id: &SecretId) -> Result<(), Problem> {
    match is_reserved(id) {
        false => Ok(()),
        true => {
            let message = format!("`{id}` belongs to the engine");
            Err(Problem::conflict("RESERVED_SECRET", message)
                .hint("choose an id that does not begin with `nebula.`"))
        }
    }
}

/// Deletes a secret for good.
#[utoipa::path(
    delete, path = "/api/v1/secrets/{secret}", tag = "credentials",
    params(("secret" = String, Path)), responses((status = 204))
)]
pub(crate) async fn remove_secret(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<SecretId>,
) -> Result<StatusCode, Problem> {
    let target = format!("secret:{id}");
    by.everywhere(&shared, &target).await?;
    own(&id)?;
    by.record(&shared, target, Value::Null).await?;
    match shared.secrets.delete(by.tenant(), &id).await? {
        SecretDeleted::Deleted => Ok(StatusCode::NO_CONTENT),
        SecretDeleted::Unknown => {
            let message = format!("there is no secret `{id}`");
            Err(
                Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_SECRET", message)
                    .hint("GET /api/v1/secrets lists those that there are"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_come_to_be_a_credential_is_any() {
        let one = |id: &str| Named::One(CredentialId::new(id).unwrap());
        for (asked, expected) in [
            ("secret:till", one("till")),
            (" secret:till ", one("till")),
            ("net:a.example", Named::Nothing),
            ("net:{{ $input.host }}", Named::Nothing),
            ("workflow:secret:x", Named::Nothing),
            ("secret:{{ $input.id }}", Named::Any),
            ("secret:till-{{ $input.id }}", Named::Any),
            ("{{ $input.what }}", Named::Any),
            (" {{ $input.what }}", Named::Any),
            ("sec{{ $input.rest }}", Named::Any),
            ("secret:", Named::Any),
            ("secret:a b", Named::Any),
        ] {
            assert_eq!(named(asked), expected, "{asked:?}");
        }
    }
}
