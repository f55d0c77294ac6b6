//! Credentials and secrets: values go in and never come out.
//!
//! They belong to the whole tenant, so only a role in all projects opens them here.

use std::{collections::BTreeMap, fmt};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use nebula_core::{CredentialId, SecretId};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_ports::{
    CredentialDeleted, CredentialSummary, CredentialUse, CredentialUser, ErrorKind, SecretDeleted,
    SecretSet,
};
use nebula_vault::{Opened, VaultError, VaultPut, is_reserved};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::Caller,
    api::{Inner, Shared},
    executions::page_size,
    extract::{Asked, At, Body, Hidden},
    problem::Problem,
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

async fn shown(shared: &Inner, by: &Caller, it: CredentialSummary) -> CredentialBody {
    // Why it cannot be opened, whoever uses it is told.
    let hosts = shared.vault.hosts(by.tenant(), &it.id).await.ok();
    CredentialBody {
        credential: it.id.to_string(),
        r#type: it.kind,
        version: it.version,
        hosts: hosts.map(|(_, hosts)| hosts.patterns().collect()),
        put_at: it.put_at.to_string(),
        used_at: it.used_at.map(|it| it.to_string()),
    }
}

/// Lists credentials, never with their values.
#[utoipa::path(
    get, path = "/api/v1/credentials", tag = "credentials", params(Paged),
    responses((status = 200, body = CredentialPage))
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    by: Caller,
    Asked(asked): Asked<Paged>,
) -> Result<Json<CredentialPage>, Problem> {
    by.everywhere(&shared, "").await?;
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
        credentials.push(shown(&shared, &by, it).await);
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
}

/// What became of a credential that was put.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialStored {
    /// Its id.
    credential: String,
    /// The version that it has now.
    version: u32,
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
    by.everywhere(&shared, &target).await?;
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
    let change = json!({ "version": wanted.from, "fields": named, "hosts": wanted.hosts });
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
            if version != from {
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
    let put = shared.vault.put(by.tenant(), &id, wanted.from, &credential);
    let put = put.await.map_err(|error| match error {
        VaultError::Seal { .. } => invalid(error),
        error => failed(error),
    });
    match put? {
        VaultPut::Stored { version } => Ok(Json(CredentialStored {
            credential: id.to_string(),
            version,
        })),
        VaultPut::Conflict { version } => Err(changed(&id, version)),
    }
}

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

fn failed(error: VaultError) -> Problem {
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
    let target = format!("credential:{id}");
    by.everywhere(&shared, &target).await?;
    by.record(&shared, target, Value::Null).await?;
    match shared.vault.remove(by.tenant(), &id).await? {
        CredentialDeleted::Deleted => Ok(StatusCode::NO_CONTENT),
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
    by.everywhere(&shared, &format!("credential:{id}")).await?;
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
