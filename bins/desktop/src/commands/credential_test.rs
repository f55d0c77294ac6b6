//! `nebula credentials test`: sends a credential to one of its hosts and says what came of it.

use std::{path::Path, sync::Arc};

use http::{HeaderMap, Method, StatusCode};
use nebula_access::AccessError;
use nebula_action::{Capability, Egress, Grants, HttpAuth, UsableCredential as _};
use nebula_core::{CredentialId, ExposeSecret as _, TenantId};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_ports::{CredentialUser, HttpClient, HttpLimits, HttpRequest, RequestBody, Sender};
use serde_json::json;
use url::Url;

use crate::{
    compose,
    console::Console,
    failure::{Exit, Failure},
    settings::Loaded,
};

/// What the answers say of the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The host lets it in, and nobody without it.
    Accepted,
    /// The host does not let it in.
    Refused,
    /// The answers say nothing about it.
    Unclear,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unclear => "unclear",
        }
    }
}

/// What two answers say: one to a request without the credential, one with it.
fn verdict(without: StatusCode, with: StatusCode) -> Verdict {
    let refuses = |status| matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    match (without, with) {
        (_, with) if refuses(with) => Verdict::Refused,
        (without, with) if with.is_success() && refuses(without) => Verdict::Accepted,
        _ => Verdict::Unclear,
    }
}

/// What came of a test.
struct Tested {
    version: u32,
    /// The server that was asked for a token, and until when it gives it.
    token: Option<(String, String)>,
    /// The host, and its answers without the credential and with it.
    asked: Option<(String, StatusCode, StatusCode)>,
    verdict: Verdict,
}

/// JSON: `{ "credential", "type", "version", "token", "origin", "without", "with", "verdict" }`; `token` is
/// `{ "origin", "expires_at" }` where one was fetched, `origin` and the two statuses are null where no URL
/// was named; the verdict is `accepted`, `refused` or `unclear`. Exit code 0 where it is accepted, else 1.
pub(crate) async fn run(
    id: &CredentialId,
    url: Option<&str>,
    loaded: &Loaded,
    console: &Console,
) -> Result<Exit, Failure> {
    let composed = compose::vault(loaded).await?;
    let (vault, tenant) = (&composed.vault, TenantId::local());
    let (kind, hosts) = vault.hosts(&tenant, id).await?;
    if let Some(why) = cannot(kind) {
        let message = format!("`{id}` is of type {kind}, which cannot be tested: {why}");
        return Err(Failure::invalid("CANNOT_TEST", message).advice("run a workflow that uses it"));
    }
    let url = match url {
        Some(url) => Some(allowed(id, url, &hosts)?),
        None if has_tokens(kind) => None,
        None => {
            let message = format!("it is open what to ask for with `{id}`");
            return Err(Failure::invalid("USAGE", message).advice(format!(
                "name something that only it may read: `nebula credentials test {id} --url https://…`"
            )));
        }
    };
    let egress = egress(&hosts);
    let nobody = Sender {
        tenant: Some(tenant.clone()),
        credential: None,
    };
    let without = match &url {
        Some(url) => {
            let (url, none) = (url.clone(), HeaderMap::new());
            Some(ask(&*composed.http, &egress, url, none, nobody.clone()).await?)
        }
        None => None,
    };
    let opened = match has_tokens(kind) {
        true => {
            composed
                .access
                .renew(&tenant, id, &CredentialUser::Test)
                .await
        }
        false => {
            composed
                .access
                .open(&tenant, id, &CredentialUser::Test)
                .await
        }
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(error @ AccessError::Refused { .. }) => return refused(id, kind, &error, console),
        Err(error) => return Err(no_token(error)),
    };
    let asked = match (url, without) {
        (Some(url), Some(without)) => {
            let sender = Sender {
                credential: Some(id.clone()),
                ..nobody
            };
            let (with_url, headers) = authorised(id, &opened.credential, url.clone())?;
            let with = ask(&*composed.http, &egress, with_url, headers, sender).await?;
            Some((nebula_action::origin_of(&url), without, with))
        }
        _ => None,
    };
    let field = |name| {
        let value = opened.credential.field(name);
        value.map_or_else(String::new, |it| it.expose_secret().to_owned())
    };
    let token = has_tokens(kind).then(|| {
        let origin = Egress::url(&field("token_url")).map(|url| nebula_action::origin_of(&url));
        (origin.unwrap_or_default(), field("expires_at"))
    });
    let verdict = match &asked {
        Some((_, without, with)) => verdict(*without, *with),
        None => Verdict::Accepted,
    };
    let tested = Tested {
        version: opened.version,
        token,
        asked,
        verdict,
    };
    tell(id, kind, &tested, console)
}

/// Says what came of it.
fn tell(
    id: &CredentialId,
    kind: CredentialType,
    tested: &Tested,
    console: &Console,
) -> Result<Exit, Failure> {
    let Tested { token, asked, .. } = tested;
    if console.json {
        let status = |of: fn(&(String, StatusCode, StatusCode)) -> StatusCode| {
            asked.as_ref().map(|asked| of(asked).as_u16())
        };
        console.document(&json!({
            "credential": id,
            "type": kind.name(),
            "version": tested.version,
            "token": token.as_ref().map(|(origin, until)| json!({ "origin": origin, "expires_at": until })),
            "origin": asked.as_ref().map(|(origin, ..)| origin),
            "without": status(|it| it.1),
            "with": status(|it| it.2),
            "verdict": tested.verdict.name(),
        }))?;
    } else {
        let fetched = token
            .iter()
            .map(|(origin, until)| format!("{origin} gives a token, which is good until {until}"));
        let answers = asked.iter().map(|(origin, without, with)| {
            format!("{origin} answers {with}, and {without} without it")
        });
        let said = fetched.chain(answers).collect::<Vec<_>>().join("; ");
        console.line(&match tested.verdict {
            Verdict::Accepted => format!("{id} is accepted: {said}"),
            Verdict::Refused => format!("{id} is refused: {said}"),
            Verdict::Unclear => format!("nothing is known of {id}: {said}"),
        })?;
    }
    match tested.verdict {
        Verdict::Accepted => return Ok(Exit::Completed),
        Verdict::Refused => console.note(&format!(
            "`nebula credentials rotate {id}` gives it a new value"
        )),
        Verdict::Unclear => console.note(
            "a URL tells a credential that answers 401 or 403 without it, and otherwise with it",
        ),
    }
    Ok(Exit::Ended)
}

/// Says that its server gives no tokens for it.
fn refused(
    id: &CredentialId,
    kind: CredentialType,
    error: &AccessError,
    console: &Console,
) -> Result<Exit, Failure> {
    match console.json {
        true => console.document(&json!({
            "credential": id,
            "type": kind.name(),
            "verdict": Verdict::Refused.name(),
            "why": error.to_string(),
        }))?,
        false => console.line(&format!("{id} is refused: {error}"))?,
    }
    console.note(&format!(
        "`nebula credentials rotate {id}` gives it new values"
    ));
    Ok(Exit::Ended)
}

/// Why no token could be asked for, or what came was none.
fn no_token(error: AccessError) -> Failure {
    let message = error.to_string();
    match error {
        AccessError::Vault(error) => match Arc::try_unwrap(error) {
            Ok(error) => error.into(),
            Err(_) => Failure::environment("STORE", message),
        },
        AccessError::Later { .. } | AccessError::Held { .. } => {
            Failure::environment("HTTP", message).advice("try again later")
        }
        _ => Failure::environment("CREDENTIAL_REFUSED", message)
            .advice("check the field `token_url` of the credential"),
    }
}

/// Whether a type goes by tokens that a server gives.
fn has_tokens(kind: CredentialType) -> bool {
    matches!(
        kind,
        CredentialType::OAuth2ClientCredentials | CredentialType::OAuth2Refresh
    )
}

/// The URL, if the credential may be sent there. Before it is opened: where it may not go, nothing of it
/// is needed.
fn allowed(id: &CredentialId, url: &str, hosts: &AllowedHosts) -> Result<Url, Failure> {
    let url = Egress::url(url).map_err(|error| Failure::invalid("USAGE", error.to_string()))?;
    let (host, port) = (url.host_str(), url.port_or_known_default());
    let (host, port) = (host.unwrap_or_default(), port.unwrap_or_default());
    match hosts.allow(host, port) {
        true => Ok(url),
        false => Err(elsewhere(id, hosts, host, port)),
    }
}

/// Why a type cannot be tested here.
fn cannot(kind: CredentialType) -> Option<&'static str> {
    match kind {
        CredentialType::ApiKey
        | CredentialType::Basic
        | CredentialType::Bearer
        | CredentialType::Header
        | CredentialType::OAuth2ClientCredentials
        | CredentialType::OAuth2Refresh => None,
        CredentialType::DatabaseUrl => Some("this program speaks with no database but its own"),
        CredentialType::SshKey => Some("this program does not speak SSH"),
        CredentialType::Custom => Some("how it is used is known to the actions alone that use it"),
    }
}

fn elsewhere(id: &CredentialId, hosts: &AllowedHosts, host: &str, port: u16) -> Failure {
    let patterns: Vec<_> = hosts.patterns().collect();
    let to = match patterns.is_empty() {
        true => "to no host".to_owned(),
        false => format!("to {} only", patterns.join(", ")),
    };
    let message = format!("`{id}` may be sent {to}, and not to {host}:{port}; nothing was sent");
    Failure::invalid("CREDENTIAL_HOST", message).advice(format!(
        "if that is a host of its service: `nebula credentials rotate {id} --hosts …`, with those of before"
    ))
}

/// A way out to the hosts of the credential and nowhere else.
fn egress(hosts: &AllowedHosts) -> Egress {
    let granted = hosts
        .patterns()
        .filter_map(|pattern| Capability::parse(&format!("net:{pattern}"), Path::new("/")).ok());
    Egress::new(&Grants::new(granted))
}

/// The request's URL and headers with the credential in them.
fn authorised(
    id: &CredentialId,
    credential: &Credential,
    mut url: Url,
) -> Result<(Url, HeaderMap), Failure> {
    let mut headers = HeaderMap::new();
    match credential.http_auth() {
        Some(HttpAuth::Header(name, value)) => {
            headers.insert(name, value);
        }
        Some(HttpAuth::Query(name, value)) => {
            url.query_pairs_mut()
                .append_pair(&name, value.expose_secret());
        }
        None => {
            let message = format!("`{id}` goes with no request over HTTP");
            return Err(Failure::invalid("CANNOT_TEST", message));
        }
    }
    Ok((url, headers))
}

/// The status; a redirect is an answer, so that nothing of the credential goes elsewhere.
async fn ask(
    http: &dyn HttpClient,
    egress: &Egress,
    url: Url,
    headers: HeaderMap,
    sender: Sender,
) -> Result<StatusCode, Failure> {
    let request = HttpRequest {
        method: Method::GET,
        url,
        headers,
        body: RequestBody::Empty,
        limits: HttpLimits {
            redirects: None,
            ..HttpLimits::default()
        },
        sender,
    };
    let answer = http.send(egress, request).await.map_err(|error| {
        Failure::environment("HTTP", error.to_string())
            .advice("check the URL, and that the host can be reached from here")
    })?;
    Ok(answer.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(without: u16, with: u16, expected: Verdict) {
        let status = |code| StatusCode::from_u16(code).unwrap();
        assert_eq!(verdict(status(without), status(with)), expected);
    }

    #[test]
    fn a_credential_is_accepted_where_nobody_gets_in_without_it() {
        check(401, 200, Verdict::Accepted);
        check(403, 204, Verdict::Accepted);
        check(401, 401, Verdict::Refused);
        check(200, 403, Verdict::Refused);
        check(200, 200, Verdict::Unclear);
        check(401, 404, Verdict::Unclear);
        check(401, 302, Verdict::Unclear);
        check(500, 200, Verdict::Unclear);
    }
}
