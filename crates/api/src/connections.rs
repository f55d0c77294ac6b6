//! Trying a credential: whether its service lets it in.

use std::sync::Arc;

use axum::{Json, extract::State};
use http::StatusCode;
use nebula_access::{AccessError, TestError};
use nebula_action::HttpErrorKind;
use nebula_core::CredentialId;
use nebula_identity::Permission;
use nebula_vault::VaultError;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    api::Shared,
    credentials::{failed, may, place},
    extract::{At, Body},
    problem::Problem,
};

/// How to try a credential.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TryCredential {
    /// What only the credential may read, on one of its hosts. A type that goes by tokens can be tried
    /// without: one is fetched.
    #[serde(default)]
    #[schema(max_length = 8_192)]
    url: Option<String>,
}

/// A token that was fetched for the test; it is the credential's from now on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenBody {
    /// The origin of the server that gave it.
    origin: String,
    /// Until when it is good (RFC 3339).
    expires_at: String,
}

/// What a host answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AskedBody {
    /// Its origin.
    origin: String,
    /// The status without the credential.
    without: u16,
    /// The status with it.
    with: u16,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TriedCredential {
    /// `accepted`: it is let in, and nobody without it. `refused`: it is not. `unclear`: the answers say
    /// nothing about it.
    verdict: &'static str,
    /// The version that was tried; null if no server gave a token for it.
    version: Option<u32>,
    /// Of a type that goes by tokens.
    token: Option<TokenBody>,
    /// Where a URL was named.
    asked: Option<AskedBody>,
    /// Why no server gave a token for it.
    why: Option<String>,
}

/// Tries a credential: fetches a token where its type goes by tokens, and asks the URL, if one is named,
/// without it and with it. It is sent to its own hosts alone; nothing of the answers is told but their
/// statuses.
#[utoipa::path(
    post, path = "/api/v1/credentials/{credential}/test", tag = "credentials",
    params(("credential" = String, Path)), request_body = TryCredential,
    responses((status = 200, body = TriedCredential))
)]
pub(crate) async fn test(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<CredentialId>,
    Body(wanted): Body<TryCredential>,
) -> Result<Json<TriedCredential>, Problem> {
    let project = place(&shared, &by, &id).await?;
    let permission = Permission::CredentialsTest;
    may(&shared, &by, permission, project.as_ref(), &id).await?;
    if !shared.vault.exists(by.tenant(), &id).await? {
        return Err(failed(VaultError::Unknown(id)));
    }
    let target = format!("credential:{id}");
    let Some(access) = shared.nebula.credentials() else {
        let message = "this engine was built without a store of credentials";
        return Err(Problem::conflict("CANNOT_TEST", message));
    };
    // The query may hold anything, and the log lasts.
    let url = wanted.url.as_deref();
    let shown = url.map(|url| url.split(['?', '#']).next().unwrap_or_default());
    by.record(&shared, target.clone(), json!({ "url": shown }))
        .await?;
    let tested = access.test(by.tenant(), &id, url).await;
    let tested = match tested {
        Ok(tested) => tested,
        Err(error) => {
            if is_denial(&error) {
                let why = error.to_string();
                by.refused(&shared, &target, &why).await?;
            }
            return Err(not_tested(error));
        }
    };
    Ok(Json(TriedCredential {
        verdict: tested.verdict.name(),
        version: tested.version,
        token: tested.token.map(|it| TokenBody {
            origin: it.origin,
            expires_at: it.expires_at,
        }),
        asked: tested.asked.map(|it| AskedBody {
            origin: it.origin,
            without: it.without.as_u16(),
            with: it.with.as_u16(),
        }),
        why: tested.why,
    }))
}

/// Whether the rules of the way out refused it, rather than the world.
fn is_denial(error: &TestError) -> bool {
    match error {
        TestError::Elsewhere { .. } => true,
        TestError::Http(error) => matches!(error.kind, HttpErrorKind::Denied(_)),
        _ => false,
    }
}

fn not_tested(error: TestError) -> Problem {
    let denial = is_denial(&error);
    let message = error.to_string();
    let unfit = |code| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, message.clone());
    match error {
        TestError::Kind { .. } => unfit("CANNOT_TEST").hint("run a workflow that uses it"),
        TestError::NoUrl(_) => {
            unfit("CANNOT_TEST").hint("name something that only it may read as `url`")
        }
        TestError::Url(_) => Problem::bad("BAD_BODY", format!("url: {message}")),
        TestError::Elsewhere { .. } => unfit("CREDENTIAL_HOST")
            .hint("if that is a host of its service, put it among its `hosts`"),
        TestError::Access(error) => no_token(error),
        _ if denial => unfit("NOT_SENT").hint("this server lets nothing go there"),
        _ => unfit("NO_ANSWER")
            .hint("check the URL, and that the host can be reached from the server"),
    }
}

/// Why no server gave a token.
pub(crate) fn no_token(error: AccessError) -> Problem {
    let message = error.to_string();
    match error {
        AccessError::Vault(error) => match Arc::try_unwrap(error) {
            Ok(error) => failed(error),
            Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "STORE_KEY", message),
        },
        AccessError::Later { after, .. } => away(message, after),
        AccessError::Held { after, .. } => away(message, Some(after)),
        _ => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Problem::new(status, "CREDENTIAL_REFUSED", message)
                .hint("check the type of the credential, and its field `token_url`")
        }
    }
}

/// Its server cannot be asked now.
fn away(message: String, after: Option<std::time::Duration>) -> Problem {
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "NO_ANSWER", message);
    match after {
        Some(after) => problem.try_after(after),
        None => problem.hint("try again later"),
    }
}
