//! What an operator says of the provider.

use std::collections::BTreeMap;

use nebula_action::Egress;
use nebula_core::SecretId;
use nebula_ports::Role;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::{Host, Url};

/// The longest issuer, in bytes.
const MAX_ISSUER: usize = 200;

/// The provider of identities by which people log in. JSON and TOML: unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OidcConfig {
    /// Who signs what it says, byte for byte as it writes itself: `https://id.example`. Default: there is no
    /// provider. `http` is taken for a provider on this machine alone.
    pub issuer: Option<String>,
    /// As what this server is known there.
    pub client_id: String,
    /// The id of the secret that the client shows there. Default: a public client, which has none.
    pub client_secret: Option<SecretId>,
    /// What is asked for beside `openid`. Default: `email` and `profile`.
    pub scopes: Vec<String>,
    /// The only domains of verified emails that are let in. Default: any.
    pub domains: Vec<String>,
    /// The claim that says what somebody is: a text or a list of texts. Default: none counts, so that only
    /// those are let in who were added before.
    pub role_claim: Option<String>,
    /// Which value of that claim makes somebody who comes for the first time what in all projects: `viewer`,
    /// `operator`, `editor` or `admin`; of several the highest.
    pub roles: BTreeMap<String, String>,
}

impl Default for OidcConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: String::new(),
            client_secret: None,
            scopes: vec!["email".to_owned(), "profile".to_owned()],
            domains: Vec::new(),
            role_claim: None,
            roles: BTreeMap::new(),
        }
    }
}

/// Why there is no provider as it is described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {why}")]
pub struct OidcConfigError {
    /// Which key.
    pub key: &'static str,
    /// What is wrong with it.
    pub why: String,
}

fn wrong(key: &'static str, why: impl Into<String>) -> OidcConfigError {
    let why = why.into();
    OidcConfigError { key, why }
}

/// What was checked.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    pub(crate) issuer: String,
    pub(crate) discovery: Url,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<SecretId>,
    pub(crate) scope: String,
    domains: Vec<String>,
    role_claim: Option<String>,
    roles: BTreeMap<String, Role>,
}

impl OidcConfig {
    /// Checks all of it; `None` if there is no provider.
    ///
    /// # Errors
    /// [`OidcConfigError`] names the first key that is wrong.
    pub fn settings(&self) -> Result<Option<OidcSettings>, OidcConfigError> {
        let Some(issuer) = &self.issuer else {
            return match *self == Self::default() {
                true => Ok(None),
                false => Err(wrong("issuer", "it is missing, and other keys are there")),
            };
        };
        if issuer.len() > MAX_ISSUER {
            let why = format!("it is longer than {MAX_ISSUER} bytes");
            return Err(wrong("issuer", why));
        }
        let url = Egress::url(issuer).map_err(|error| wrong("issuer", error.to_string()))?;
        if !secure(&url, &url) {
            let why = "it begins with https://, or with http:// where it is this machine";
            return Err(wrong("issuer", why));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("issuer", "it has a query or a fragment"));
        }
        let discovery = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let discovery =
            Egress::url(&discovery).map_err(|error| wrong("issuer", error.to_string()))?;
        if self.client_id.is_empty() {
            return Err(wrong("client_id", "it is missing"));
        }
        let bad = |it: &&String| it.is_empty() || it.contains(char::is_whitespace);
        if self.scopes.iter().any(|it| bad(&it)) {
            return Err(wrong("scopes", "one is empty, or has a space in it"));
        }
        let others = self.scopes.iter().filter(|it| *it != "openid");
        let scope = others.fold("openid".to_owned(), |all, one| format!("{all} {one}"));
        if self.domains.iter().any(|it| bad(&it) || it.contains('@')) {
            return Err(wrong("domains", "a domain is such as `example.org`"));
        }
        if self.role_claim.is_none() && !self.roles.is_empty() {
            return Err(wrong("role_claim", "it is missing, and `roles` are there"));
        }
        let mut roles = BTreeMap::new();
        for (value, role) in &self.roles {
            let role: Role = role
                .parse()
                .map_err(|error| wrong("roles", format!("{error}")))?;
            if role == Role::Owner {
                return Err(wrong("roles", "only an owner makes an owner"));
            }
            roles.insert(value.clone(), role);
        }
        Ok(Some(OidcSettings {
            issuer: issuer.clone(),
            discovery,
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            scope,
            domains: self.domains.iter().map(|it| it.to_lowercase()).collect(),
            role_claim: self.role_claim.clone(),
            roles,
        }))
    }
}

impl OidcSettings {
    /// Whether somebody with this verified email is let in, as far as its domain says.
    pub(crate) fn admits(&self, email: Option<&str>) -> bool {
        if self.domains.is_empty() {
            return true;
        }
        let domain = email.and_then(|it| it.rsplit_once('@'));
        domain.is_some_and(|(_, domain)| self.domains.contains(&domain.to_lowercase()))
    }

    /// What the claims make of somebody who comes for the first time.
    pub(crate) fn role(&self, claims: &Map<String, Value>) -> Option<Role> {
        let said = claims.get(self.role_claim.as_ref()?)?;
        let of = |it: &Value| self.roles.get(it.as_str()?).copied();
        match said {
            Value::Array(all) => all.iter().filter_map(of).max(),
            one => of(one),
        }
    }
}

/// Whether nobody on the way can read or change what goes there: TLS, or this machine for an issuer that is
/// here.
pub(crate) fn secure(url: &Url, issuer: &Url) -> bool {
    let here = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (issuer.scheme() == "http" && here(issuer) && here(url))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(change: &Value) -> OidcConfig {
        let mut whole = json!({ "issuer": "https://id.example", "client_id": "nebula" });
        for (key, value) in change.as_object().unwrap() {
            whole[key] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (change, key) in [
            (json!({ "issuer": "http://id.example" }), "issuer"),
            (json!({ "issuer": "ftp://id.example" }), "issuer"),
            (json!({ "issuer": "https://id.example?x" }), "issuer"),
            (json!({ "issuer": "https://id.example/#x" }), "issuer"),
            (
                json!({ "issuer": format!("https://id.example/{}", "x".repeat(200)) }),
                "issuer",
            ),
            (json!({ "issuer": null }), "issuer"),
            (json!({ "client_id": "" }), "client_id"),
            (json!({ "scopes": ["a b"] }), "scopes"),
            (json!({ "domains": ["ann@example.org"] }), "domains"),
            (json!({ "roles": { "staff": "viewer" } }), "role_claim"),
            (
                json!({ "role_claim": "groups", "roles": { "x": "king" } }),
                "roles",
            ),
            (
                json!({ "role_claim": "groups", "roles": { "x": "owner" } }),
                "roles",
            ),
        ] {
            let error = config(&change).settings().unwrap_err();
            assert_eq!(error.key, key, "{change}");
        }
        for issuer in ["http://127.0.0.1:9", "http://localhost", "http://[::1]/a"] {
            assert!(
                config(&json!({ "issuer": issuer })).settings().is_ok(),
                "{issuer}"
            );
        }
    }

    #[test]
    fn nothing_is_sent_unencrypted_but_from_this_machine_to_itself() {
        for (url, issuer, is) in [
            ("https://a.example", "https://b.example", true),
            ("http://a.example", "https://a.example", false),
            ("http://127.0.0.1:1", "https://a.example", false),
            ("http://127.0.0.1:1", "http://127.0.0.1:2", true),
            ("http://10.0.0.7", "http://127.0.0.1:2", false),
            ("http://localhost.example", "http://localhost", false),
        ] {
            let read = |text: &str| Url::parse(text).unwrap();
            assert_eq!(secure(&read(url), &read(issuer)), is, "{url} {issuer}");
        }
    }

    #[test]
    fn a_domain_is_the_whole_of_what_follows_the_last_at() {
        let settings = config(&json!({ "domains": ["Example.org"] })).settings();
        let settings = settings.unwrap().unwrap();
        for (email, is) in [
            (Some("ann@example.org"), true),
            (Some("ann@EXAMPLE.ORG"), true),
            (Some("ann@example.org@evil.example"), false),
            (Some("ann@notexample.org"), false),
            (Some("ann@sub.example.org"), false),
            (Some("example.org"), false),
            (None, false),
        ] {
            assert_eq!(settings.admits(email), is, "{email:?}");
        }
    }

    #[test]
    fn the_highest_of_several_roles_counts() {
        let roles = json!({ "staff": "viewer", "ops": "operator" });
        let settings = config(&json!({ "role_claim": "groups", "roles": roles })).settings();
        let settings = settings.unwrap().unwrap();
        for (claims, role) in [
            (
                json!({ "groups": ["staff", "ops", "x"] }),
                Some(Role::Operator),
            ),
            (json!({ "groups": "staff" }), Some(Role::Viewer)),
            (json!({ "groups": ["x", 7, null] }), None),
            (json!({ "groups": 7 }), None),
            (json!({}), None),
        ] {
            assert_eq!(settings.role(claims.as_object().unwrap()), role, "{claims}");
        }
    }
}
