//! Trying a credential: it is sent to one of its hosts, and what comes back is compared.

use std::path::Path;

use http::{HeaderMap, Method, StatusCode};
use nebula_action::{
    Capability, Egress, Grants, HttpAuth, HttpClient, HttpError, HttpLimits, HttpRequest,
    RequestBody, Sender, UsableCredential as _, origin_of,
};
use nebula_core::{CredentialId, ExposeSecret as _, TenantId};
use nebula_credential::{AllowedHosts, Credential, CredentialType};
use nebula_ports::CredentialUser;
use url::Url;

use crate::{Access, AccessError, token};

/// What the answers say of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The host lets it in, and nobody without it.
    Accepted,
    /// The host does not let it in.
    Refused,
    /// The answers say nothing about it.
    Unclear,
}

impl Verdict {
    /// Its name: `accepted`, `refused` or `unclear`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unclear => "unclear",
        }
    }

    /// What two answers say: one to a request without the credential, one with it.
    fn of(without: StatusCode, with: StatusCode) -> Self {
        let refuses = |status| matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        match (without, with) {
            (_, with) if refuses(with) => Self::Refused,
            (without, with) if with.is_success() && refuses(without) => Self::Accepted,
            _ => Self::Unclear,
        }
    }
}

/// A token that a server gave for the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenToken {
    /// The origin of the server that was asked.
    pub origin: String,
    /// Until when it is good, as the credential has it (RFC 3339).
    pub expires_at: String,
}

/// What a host answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The origin of the host.
    pub origin: String,
    /// Without the credential.
    pub without: StatusCode,
    /// With it.
    pub with: StatusCode,
}

/// What came of a test. Nothing of it holds a value, nor what a server said beside a status or the code of
/// an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// The type of the credential.
    pub kind: CredentialType,
    /// The version that was tried; `None` if no server gave a token for it.
    pub version: Option<u32>,
    /// Of a type that goes by tokens: the one that was fetched.
    pub token: Option<GivenToken>,
    /// What the host answered, where a URL was named.
    pub asked: Option<Asked>,
    /// What that says.
    pub verdict: Verdict,
    /// Why no server gave a token for it.
    pub why: Option<String>,
}

/// Why a credential was not tested. Nothing of it was sent, but for [`TestError::Http`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// Nothing speaks the protocol that its type is for.
    #[error("`{id}` is of type {kind}, which cannot be tested: {why}")]
    Kind {
        /// The credential.
        id: CredentialId,
        /// Its type.
        kind: CredentialType,
        /// Why not.
        why: &'static str,
    },
    /// It is open what to ask for.
    #[error("it is open what to ask for with `{0}`")]
    NoUrl(CredentialId),
    /// The URL is none that anything is sent to.
    #[error("{0}")]
    Url(String),
    /// The credential may not be sent there.
    #[error("`{id}` may be sent {to}, and not to {host}; nothing was sent")]
    Elsewhere {
        /// The credential.
        id: CredentialId,
        /// Where it may be sent.
        to: String,
        /// Where the URL leads: host and port.
        host: String,
    },
    /// The host could not be asked, or the way there is not open.
    #[error("{0}")]
    Http(#[from] HttpError),
    /// There is no way out.
    #[error("this engine was built without a way out over HTTP")]
    NoHttp,
    /// It is not ready for use.
    #[error(transparent)]
    Access(#[from] AccessError),
}

/// Why a type cannot be tested here.
fn cannot(kind: CredentialType) -> Option<&'static str> {
    match kind {
        CredentialType::ApiKey
        | CredentialType::Basic
        | CredentialType::Bearer
        | CredentialType::Header
        | CredentialType::OAuth2ClientCredentials
        | CredentialType::OAuth2Refresh
        | CredentialType::OAuth2Code => None,
        CredentialType::DatabaseUrl => Some("this engine speaks with no database but its own"),
        CredentialType::SshKey => Some("this engine does not speak SSH"),
        CredentialType::WebhookSignature => {
            Some("whether a signature is right is known to its receiver alone")
        }
        CredentialType::Custom => Some("how it is used is known to the actions alone that use it"),
    }
}

/// The URL, if the credential may be sent there.
fn allowed(id: &CredentialId, url: &str, hosts: &AllowedHosts) -> Result<Url, TestError> {
    let url = Egress::url(url).map_err(|error| TestError::Url(error.to_string()))?;
    let (host, port) = (url.host_str(), url.port_or_known_default());
    let (host, port) = (host.unwrap_or_default(), port.unwrap_or_default());
    if hosts.allow(host, port) {
        return Ok(url);
    }
    let patterns: Vec<_> = hosts.patterns().collect();
    Err(TestError::Elsewhere {
        id: id.clone(),
        to: match patterns.is_empty() {
            true => "to no host".to_owned(),
            false => format!("to {} only", patterns.join(", ")),
        },
        host: format!("{host}:{port}"),
    })
}

/// A way out to the hosts of the credential and nowhere else.
fn egress(hosts: &AllowedHosts) -> Egress {
    let granted = hosts
        .patterns()
        .filter_map(|pattern| Capability::parse(&format!("net:{pattern}"), Path::new("/")).ok());
    Egress::new(&Grants::new(granted))
}

/// The request's URL and headers with the credential in them; `None` if it goes with none over HTTP.
fn authorised(credential: &Credential, mut url: Url) -> Option<(Url, HeaderMap)> {
    let mut headers = HeaderMap::new();
    match credential.http_auth()? {
        HttpAuth::Header(name, value) => {
            headers.insert(name, value);
        }
        HttpAuth::Query(name, value) => {
            url.query_pairs_mut()
                .append_pair(&name, value.expose_secret());
        }
        HttpAuth::Signed(_) => return None,
    }
    Some((url, headers))
}

/// The status; a redirect is an answer, so that nothing of the credential goes elsewhere.
async fn ask(
    http: &dyn HttpClient,
    egress: &Egress,
    (url, headers): (Url, HeaderMap),
    sender: Sender,
) -> Result<StatusCode, HttpError> {
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
    Ok(http.send(egress, request).await?.status)
}

impl Access {
    /// Tries a credential: a type that goes by tokens by fetching one, and any, where a `url` on one of its
    /// hosts is named, by a GET without it and one with it. Both go by the guarded way out, to the hosts of
    /// the credential and nowhere else, and no redirect is followed.
    ///
    /// # Errors
    /// [`TestError`]: it was not tried. That a server gives no token for it, or the host refuses it, is no
    /// error but what was asked.
    ///
    /// # Cancel safety
    /// As [`Access::open`]; requests may have been sent.
    pub async fn test(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        url: Option<&str>,
    ) -> Result<Tested, TestError> {
        let ports = self.ports();
        let about = ports.vault.about(tenant, id).await;
        let about = about.map_err(AccessError::from)?;
        let (kind, hosts) = (about.kind, about.hosts);
        if let Some(why) = cannot(kind) {
            let id = id.clone();
            return Err(TestError::Kind { id, kind, why });
        }
        // Before it is opened: where it may not go, nothing of it is needed.
        let tokens = token::needs_token(kind);
        let url = match url {
            Some(url) => Some(allowed(id, url, &hosts)?),
            None if tokens => None,
            None => return Err(TestError::NoUrl(id.clone())),
        };
        let http = ports.http.as_ref().ok_or(TestError::NoHttp)?;
        let egress = egress(&hosts);
        let nobody = Sender {
            tenant: Some(tenant.clone()),
            credential: None,
        };
        let without = match &url {
            Some(url) => {
                let plain = (url.clone(), HeaderMap::new());
                Some(ask(&**http, &egress, plain, nobody.clone()).await?)
            }
            None => None,
        };
        let opened = match tokens {
            true => self.renew(tenant, id, &CredentialUser::Test).await,
            false => self.open(tenant, id, &CredentialUser::Test).await,
        };
        let opened = match opened {
            Err(error @ AccessError::Refused { .. }) => {
                return Ok(Tested {
                    kind,
                    version: None,
                    token: None,
                    asked: None,
                    verdict: Verdict::Refused,
                    why: Some(error.to_string()),
                });
            }
            opened => opened?,
        };
        let asked = match (url, without) {
            (Some(url), Some(without)) => {
                let sender = Sender {
                    credential: Some(id.clone()),
                    ..nobody
                };
                let origin = origin_of(&url);
                let request = authorised(&opened.credential, url);
                let request = request.ok_or_else(|| TestError::Kind {
                    id: id.clone(),
                    kind,
                    why: "it goes with no request over HTTP",
                })?;
                let with = ask(&**http, &egress, request, sender).await?;
                Some(Asked {
                    origin,
                    without,
                    with,
                })
            }
            _ => None,
        };
        let field = |name| {
            let value = opened.credential.field(name);
            value.map_or_else(String::new, |it| it.expose_secret().to_owned())
        };
        Ok(Tested {
            kind,
            version: Some(opened.version),
            token: tokens.then(|| GivenToken {
                origin: Egress::url(&field("token_url"))
                    .map(|url| origin_of(&url))
                    .unwrap_or_default(),
                expires_at: field("expires_at"),
            }),
            verdict: match &asked {
                Some(asked) => Verdict::of(asked.without, asked.with),
                None => Verdict::Accepted,
            },
            asked,
            why: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(without: u16, with: u16, expected: Verdict) {
        let status = |code| StatusCode::from_u16(code).unwrap();
        assert_eq!(Verdict::of(status(without), status(with)), expected);
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
