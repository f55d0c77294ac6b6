//! `nebula credentials test`: sends a credential to one of its hosts and says what came of it.

use std::path::Path;

use http::{HeaderMap, Method, StatusCode};
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

/// What two answers say: one to a request without the credential, one with it.
fn verdict(without: StatusCode, with: StatusCode) -> Verdict {
    let refuses = |status| matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    match (without, with) {
        (_, with) if refuses(with) => Verdict::Refused,
        (without, with) if with.is_success() && refuses(without) => Verdict::Accepted,
        _ => Verdict::Unclear,
    }
}

/// JSON: `{ "credential", "type", "version", "origin", "without", "with", "verdict" }`; the verdict is
/// `accepted`, `refused` or `unclear`. Exit code 0 where it is accepted, else 1.
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
    let Some(url) = url else {
        let message = format!("it is open what to ask for with `{id}`");
        return Err(Failure::invalid("USAGE", message).advice(format!(
            "name something that only it may read: `nebula credentials test {id} --url https://…`"
        )));
    };
    let wrong = |error: &dyn std::fmt::Display| Failure::invalid("USAGE", error.to_string());
    let url = Egress::url(url).map_err(|error| wrong(&error))?;
    // Before it is opened: where it may not go, nothing of it is needed.
    let (host, port) = (url.host_str(), url.port_or_known_default());
    let (host, port) = (host.unwrap_or_default(), port.unwrap_or_default());
    if !hosts.allow(host, port) {
        return Err(elsewhere(id, &hosts, host, port));
    }
    let egress = egress(&hosts);
    let without = ask(&*composed.http, &egress, url.clone(), HeaderMap::new()).await?;
    let opened = vault.open(&tenant, id, &CredentialUser::Test).await?;
    let (with_url, headers) = authorised(id, &opened.credential, url.clone())?;
    let with = ask(&*composed.http, &egress, with_url, headers).await?;
    let verdict = verdict(without, with);
    let origin = nebula_action::origin_of(&url);
    if console.json {
        console.document(&json!({
            "credential": id,
            "type": kind.name(),
            "version": opened.version,
            "origin": origin,
            "without": without.as_u16(),
            "with": with.as_u16(),
            "verdict": match verdict {
                Verdict::Accepted => "accepted",
                Verdict::Refused => "refused",
                Verdict::Unclear => "unclear",
            },
        }))?;
    } else {
        let said = format!("{origin} answers {with}, and {without} without it");
        console.line(&match verdict {
            Verdict::Accepted => format!("{id} is accepted: {said}"),
            Verdict::Refused => format!("{id} is refused: {said}"),
            Verdict::Unclear => format!("nothing is known of {id}: {said}"),
        })?;
    }
    match verdict {
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

/// Why a type cannot be tested here.
fn cannot(kind: CredentialType) -> Option<&'static str> {
    match kind {
        CredentialType::ApiKey
        | CredentialType::Basic
        | CredentialType::Bearer
        | CredentialType::Header
        | CredentialType::OAuth2Refresh => None,
        CredentialType::OAuth2ClientCredentials => {
            Some("it has no token by itself, and this command asks for none")
        }
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
            let message = format!("`{id}` has no access token yet, so there is nothing to send");
            return Err(Failure::invalid("CANNOT_TEST", message)
                .advice("run a workflow that uses it: that refreshes it"));
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
        sender: Sender::default(),
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
