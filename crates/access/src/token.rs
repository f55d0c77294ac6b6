//! Asking for an access token, and reading the answer: OAuth 2.0 (RFC 6749), nothing but values.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, StatusCode, header};
use nebula_action::{Egress, HttpRequest, Sender};
use nebula_core::{ByteSize, CredentialId, ExposeSecret as _, SecretString, TenantId, Timestamp};
use nebula_credential::{Credential, CredentialType};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::{
    AccessError,
    oauth::{OAuthClient, authorize_url, token_request},
};

/// The longest time for one request for a token.
pub const TOTAL: Duration = Duration::from_secs(20);

/// The largest answer to one.
pub const MAX_ANSWER: ByteSize = ByteSize::kib(64);

/// How long a token counts as good of which the server does not say how long it is.
pub const UNSAID: Duration = Duration::from_hours(1);

/// The longest time that a token counts as good, whatever the server says.
const MAX_LIFETIME: Duration = Duration::from_hours(24 * 365);

/// The longest wait that a server can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// A consent that somebody is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Consent<'a> {
    /// Where the browser is sent back to, byte for byte as the server knows it.
    pub redirect_uri: &'a str,
    /// What comes back with it, and nobody can guess.
    pub state: &'a str,
    /// 43 to 128 characters that nobody can guess; the server is told their SHA-256 (RFC 7636).
    pub verifier: &'a SecretString,
}

/// What came back after a consent.
#[derive(Debug, Clone, Copy)]
pub struct Consented<'a> {
    /// The version of the credential for which it was asked.
    pub version: u32,
    /// The code.
    pub code: &'a SecretString,
    /// That of the [`Consent`].
    pub verifier: &'a SecretString,
    /// That of the [`Consent`].
    pub redirect_uri: &'a str,
}

/// Whether a credential of this type goes by an access token.
pub(crate) fn needs_token(kind: CredentialType) -> bool {
    matches!(
        kind,
        CredentialType::OAuth2ClientCredentials
            | CredentialType::OAuth2Refresh
            | CredentialType::OAuth2Code
    )
}

/// Until when the access token is good; `None` without one. A token of which nobody said until when is
/// not relied on.
pub(crate) fn good_until(credential: &Credential) -> Option<Timestamp> {
    credential.field("access_token")?;
    let until = credential.field("expires_at")?;
    until.expose_secret().parse().ok()
}

/// What is sent for the next token, where to, and the way that leads there and nowhere else.
pub(crate) fn request(
    tenant: &TenantId,
    id: &CredentialId,
    credential: &Credential,
) -> Result<(Egress, HttpRequest), AccessError> {
    let text = |name| credential.field(name).map(SecretString::expose_secret);
    let mut form = match (text("refresh_token"), credential.kind()) {
        (Some(token), _) => vec![("grant_type", "refresh_token"), ("refresh_token", token)],
        (None, CredentialType::OAuth2Code) => {
            let why = "nobody has consented yet, or what they consented to is over";
            return Err(no_way(id, why));
        }
        (None, _) => vec![("grant_type", "client_credentials")],
    };
    for name in ["scope", "audience"] {
        form.extend(text(name).map(|value| (name, value)));
    }
    granted(tenant, id, credential, form)
}

/// Where somebody consents, for one answer to `redirect_uri` with `state` (RFC 6749, section 4.1.1; RFC 7636,
/// section 4.3).
pub(crate) fn consent(
    id: &CredentialId,
    credential: &Credential,
    asked: &Consent<'_>,
) -> Result<Url, AccessError> {
    let text = |name| credential.field(name).map(SecretString::expose_secret);
    let url = Egress::url(text("authorize_url").unwrap_or_default());
    let url: Url = url.map_err(|error| no_way(id, &format!("`authorize_url`: {error}")))?;
    let client = text("client_id").unwrap_or_default();
    Ok(authorize_url(url, client, asked, text("scope")))
}

/// What is sent for the first tokens after a consent (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
pub(crate) fn exchange(
    tenant: &TenantId,
    id: &CredentialId,
    credential: &Credential,
    given: &Consented<'_>,
) -> Result<(Egress, HttpRequest), AccessError> {
    let form = vec![
        ("grant_type", "authorization_code"),
        ("code", given.code.expose_secret()),
        ("redirect_uri", given.redirect_uri),
        ("code_verifier", given.verifier.expose_secret()),
    ];
    granted(tenant, id, credential, form)
}

fn no_way(id: &CredentialId, why: &str) -> AccessError {
    AccessError::NoWay {
        id: id.clone(),
        why: why.to_owned(),
    }
}

/// The request for what `form` has a right to, as the client of the credential.
fn granted<'a>(
    tenant: &TenantId,
    id: &CredentialId,
    credential: &'a Credential,
    form: Vec<(&'a str, &'a str)>,
) -> Result<(Egress, HttpRequest), AccessError> {
    let text = |name| credential.field(name).map(SecretString::expose_secret);
    let url = Egress::url(text("token_url").unwrap_or_default());
    let url: Url = url.map_err(|error| no_way(id, &format!("`token_url`: {error}")))?;
    let client = OAuthClient {
        id: text("client_id").unwrap_or_default(),
        secret: credential.field("client_secret"),
        basic: matches!(text("client_auth"), None | Some("basic")),
    };
    // Whoever asks for tokens too often, or in vain, holds up nobody else.
    let sender = Sender {
        tenant: Some(tenant.clone()),
        credential: Some(id.clone()),
    };
    // Whoever made the credential has named the host.
    token_request(url, &client, form, sender).ok_or_else(|| no_way(id, "its secret fits no header"))
}

/// What came back for a request for a token.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
    pub(crate) origin: String,
}

/// The credential with what the server gave, `now`.
pub(crate) fn refreshed(
    id: &CredentialId,
    credential: &Credential,
    answer: &Answer,
    now: Timestamp,
) -> Result<Credential, AccessError> {
    let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    if !answer.status.is_success() {
        return Err(refusal(id, answer, &body));
    }
    let no_token = |why| AccessError::NoToken {
        id: id.clone(),
        origin: answer.origin.clone(),
        why,
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let token = text("access_token").ok_or_else(|| no_token("has no `access_token`"))?;
    let kind = text("token_type").unwrap_or("bearer");
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(no_token("has a token of another type than `bearer`"));
    }
    let fields = credential.fields();
    let mut fields: BTreeMap<String, SecretString> = fields
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    let until = now.plus(lifetime(body.get("expires_in")));
    fields.insert("access_token".to_owned(), token.into());
    fields.insert("expires_at".to_owned(), until.to_string().into());
    if let Some(token) = text("refresh_token")
        && credential.kind() != CredentialType::OAuth2ClientCredentials
        && !keeps_the_old_token()
    {
        fields.insert("refresh_token".to_owned(), token.into());
    }
    let project = credential.project().cloned();
    let credential = Credential::new(credential.kind(), fields, credential.hosts().clone());
    let credential = credential.map_err(|_| no_token("has a token that no header can carry"))?;
    Ok(credential.in_project(project))
}

/// A planted defect: what replaces the refresh token is lost.
fn keeps_the_old_token() -> bool {
    #[cfg(sim_bug)]
    return nebula_core::sim_bug::is_awake("refresh-keeps-the-old-token");
    #[cfg(not(sim_bug))]
    false
}

/// `expires_in`: seconds, which some servers give as a text.
fn lifetime(given: Option<&Value>) -> Duration {
    let seconds = match given {
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_f64().map(|seconds| seconds.max(0.0) as u64),
        None => None,
    };
    seconds
        .map_or(UNSAID, Duration::from_secs)
        .min(MAX_LIFETIME)
}

fn refusal(id: &CredentialId, answer: &Answer, body: &Value) -> AccessError {
    let said = body.get("error").and_then(Value::as_str);
    // A code has these characters (RFC 6749, section 5.2); what else a server says may hold anything.
    let is_code = |code: &&str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        !code.is_empty() && code.len() <= 40 && code.bytes().all(plain)
    };
    let status = answer.status;
    let code = match said.filter(is_code) {
        Some(code) => code.to_owned(),
        None => status.as_u16().to_string(),
    };
    let busy = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    let id = id.clone();
    let origin = answer.origin.clone();
    if busy || matches!(&*code, "temporarily_unavailable" | "server_error") {
        let seconds = answer.headers.get(header::RETRY_AFTER);
        let seconds = seconds.and_then(|it| it.to_str().ok()?.trim().parse().ok());
        return AccessError::Later {
            id,
            why: format!("{origin} answers `{code}`"),
            after: seconds.map(|it| Duration::from_secs(it).min(MAX_RETRY_AFTER)),
        };
    }
    AccessError::Refused { id, origin, code }
}
