//! Consent in a browser: how a credential of type `oauth2_code` gets its tokens (RFC 6749, section 4.1).
//!
//! Each credential has an address of its own to which browsers are sent back, so what one server gives is
//! never taken for what another gave (RFC 9700, section 4.4.2).

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderMap;
use nebula_access::{Access, Consent, Consented};
use nebula_core::{CredentialId, ExposeSecret as _, SecretString};
use nebula_identity::Permission;
use nebula_trigger::escaped;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};
use zeroize::Zeroizing;

use crate::{
    access::Caller,
    api::{Inner, Shared},
    connections::no_token,
    credentials::{CredentialStored, failed, may, place},
    extract::{Asked, At, Hidden},
    page::{page, problem_page, wants_page},
    problem::Problem,
};

/// How long somebody may take to consent.
const CONSENT: Duration = Duration::from_mins(10);

/// What the tokens of a consent are for.
const PURPOSE: &str = "consent";

/// The longest code or state, in bytes.
pub(crate) const MAX_GIVEN: usize = 4_096;

/// What is remembered until the browser comes back.
#[derive(Serialize, Deserialize)]
struct Begun {
    credential: CredentialId,
    version: u32,
    verifier: String,
    redirect_uri: String,
}

/// Where to consent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsentBody {
    /// What the browser opens, in the session that asked. It is good for one answer.
    url: String,
    /// How many seconds it is.
    lives: u64,
    /// Where the browser is sent back to: the server must know this address, byte for byte.
    redirect_uri: String,
}

/// Says where somebody consents to what a credential of type `oauth2_code` is for. Whoever asked must be the
/// one who comes back, in the same session.
#[utoipa::path(
    post, path = "/api/v1/credentials/{credential}/authorize", tag = "credentials",
    params(("credential" = String, Path)), responses((status = 200, body = ConsentBody))
)]
pub(crate) async fn authorize(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<CredentialId>,
) -> Result<Json<ConsentBody>, Problem> {
    let access = allowed(&shared, &by, &id).await?;
    let redirect_uri = redirect_uri(&shared, &id)?;
    let verifier = random(&shared);
    let tenant = by.tenant();
    // Whether it can be asked for at all is known before anything is written.
    let mut asked = Consent {
        redirect_uri: &redirect_uri,
        state: "",
        verifier: &verifier,
    };
    let (_, version) = access
        .consent(tenant, &id, &asked)
        .await
        .map_err(no_token)?;
    by.record(
        &shared,
        format!("credential:{id}"),
        json!({ "version": version }),
    )
    .await?;
    let begun = Begun {
        credential: id.clone(),
        version,
        verifier: verifier.expose_secret().to_owned(),
        redirect_uri: redirect_uri.clone(),
    };
    let begun = Zeroizing::new(serde_json::to_string(&begun).unwrap_or_default());
    let who = by.principal();
    let state = shared
        .identity
        .errand(who, PURPOSE, &begun, CONSENT)
        .await?;
    asked.state = state.expose_secret();
    let (url, _) = access
        .consent(tenant, &id, &asked)
        .await
        .map_err(no_token)?;
    Ok(Json(ConsentBody {
        url: url.into(),
        lives: CONSENT.as_secs(),
        redirect_uri,
    }))
}

/// What a server sends a browser back with; more than this may be there, and means nothing here.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Came {
    /// What is exchanged for tokens, once.
    #[param(value_type = Option<String>)]
    code: Option<Hidden>,
    /// That of the address where somebody consented.
    #[param(value_type = Option<String>)]
    state: Option<Hidden>,
    /// Why there is no code.
    error: Option<String>,
}

/// Takes what a browser brings back from a consent: the credential has tokens from then on. Only the
/// session that asked can bring it, once.
#[utoipa::path(
    get, path = "/api/v1/credentials/{credential}/callback", tag = "credentials",
    params(("credential" = String, Path), Came), responses((status = 200, body = CredentialStored))
)]
pub(crate) async fn callback(
    State(shared): State<Shared>,
    by: Caller,
    At(id): At<CredentialId>,
    Asked(came): Asked<Came>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let stored = came_back(&shared, &by, &id, came).await;
    if !wants_page(&headers) {
        return stored.map(|it| Json(it).into_response());
    }
    // Somebody sits before it, and was just asked by another server.
    Ok(match stored {
        Ok(_) => {
            let name = escaped(id.as_str());
            let body = format!(
                "<p>The credential <code>{name}</code> has its tokens. This page may be closed.</p>"
            );
            page("You have consented", &body)
        }
        Err(problem) => {
            let body = "<p>The credential is as it was.</p>";
            problem_page("There is no consent", problem, body)
        }
    })
}

async fn came_back(
    shared: &Inner,
    by: &Caller,
    id: &CredentialId,
    came: Came,
) -> Result<CredentialStored, Problem> {
    let access = allowed(shared, by, id).await?;
    let target = format!("credential:{id}");
    let state = came.state.as_ref().map_or("", |it| it.0.expose_secret());
    let begun = match state.len() <= MAX_GIVEN {
        true => {
            shared
                .identity
                .errand_done(by.principal(), PURPOSE, state)
                .await?
        }
        false => None,
    };
    let begun = begun.and_then(|it| serde_json::from_str::<Begun>(&it).ok());
    // What was asked for another credential, a server that is not to be trusted may have sent here.
    let Some(begun) = begun.filter(|it| it.credential == *id) else {
        by.refused(shared, &target, "the state is none that is waited for")
            .await?;
        return Err(Problem::conflict(
            "UNKNOWN_STATE",
            "nothing is waited for with this `state`: it was used before, it is too old, or another session asked",
        )
        .hint("begin again: POST /api/v1/credentials/{credential}/authorize"));
    };
    if let Some(error) = came.error {
        let code: String = error
            .chars()
            .filter(|it| it.is_ascii_lowercase() || *it == '_')
            .take(40)
            .collect();
        let message = format!("nobody consented: the server answers `{code}`");
        return Err(Problem::conflict("NO_CONSENT", message).hint("begin again"));
    }
    let code = came
        .code
        .filter(|it| (1..=MAX_GIVEN).contains(&it.0.expose_secret().len()));
    let code = code.ok_or_else(|| Problem::bad("BAD_QUERY", "code: it is missing, or too long"))?;
    by.record(shared, &*target, json!({ "version": begun.version }))
        .await?;
    let given = Consented {
        version: begun.version,
        code: &code.0,
        verifier: &SecretString::from(begun.verifier),
        redirect_uri: &begun.redirect_uri,
    };
    let version = access
        .consented(by.tenant(), id, &given)
        .await
        .map_err(no_token)?;
    // Whoever has consented may be somebody else than before.
    shared.nebula.close_connections(by.tenant(), id);
    Ok(CredentialStored {
        credential: id.to_string(),
        version,
    })
}

/// Lets only those go on who may change the credential.
async fn allowed<'s>(
    shared: &'s Inner,
    by: &Caller,
    id: &CredentialId,
) -> Result<&'s Access, Problem> {
    let project = place(shared, by, id).await?;
    let permission = Permission::CredentialsWrite;
    may(shared, by, permission, project.as_ref(), id).await?;
    if !shared.vault.exists(by.tenant(), id).await? {
        return Err(failed(nebula_vault::VaultError::Unknown(id.clone())));
    }
    shared.nebula.credentials().ok_or_else(|| {
        let message = "this engine was built without a way out to token servers";
        Problem::conflict("CANNOT_CONSENT", message)
    })
}

fn redirect_uri(shared: &Inner, id: &CredentialId) -> Result<String, Problem> {
    shared.public(&format!("/api/v1/credentials/{id}/callback"))
}

/// 43 characters of 256 random bits (RFC 7636, section 4.1).
pub(crate) fn random(shared: &Inner) -> SecretString {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    for part in bytes.chunks_mut(8) {
        part.copy_from_slice(&shared.entropy.next_u64().to_le_bytes());
    }
    SecretString::from(URL_SAFE_NO_PAD.encode(*bytes))
}
