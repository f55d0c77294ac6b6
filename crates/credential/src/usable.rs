//! How a credential is used by an action.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, header};
use nebula_action::{HttpAuth, UsableCredential};
use nebula_core::{ExposeSecret as _, SecretString, secret_text};
use url::Url;
use zeroize::Zeroizing;

use crate::{credential::Credential, fields::CredentialType, webhook::Signer};

/// The header, or the parameter, of an API key that says no other.
const API_KEY_NAME: &str = "X-API-Key";

impl UsableCredential for Credential {
    fn kind(&self) -> &'static str {
        Self::kind(self).name()
    }

    fn field(&self, name: &str) -> Option<&SecretString> {
        Self::field(self, name)
    }

    fn http_auth(&self) -> Option<HttpAuth> {
        let field = |name| Self::field(self, name);
        let text = |name| field(name).map(SecretString::expose_secret);
        match Self::kind(self) {
            CredentialType::ApiKey => {
                let (key, name) = (field("key")?, text("name").unwrap_or(API_KEY_NAME));
                if text("in") == Some("query") {
                    return Some(HttpAuth::Query(name.to_owned(), key.clone()));
                }
                HttpAuth::header(HeaderName::try_from(name).ok()?, key)
            }
            CredentialType::Basic => {
                let both = [text("username")?, ":", text("password")?].concat();
                authorization("Basic ", &STANDARD.encode(&*Zeroizing::new(both)))
            }
            CredentialType::Bearer => authorization("Bearer ", text("token")?),
            CredentialType::OAuth2ClientCredentials
            | CredentialType::OAuth2Refresh
            | CredentialType::OAuth2Code => authorization("Bearer ", text("access_token")?),
            CredentialType::Header => {
                let name = HeaderName::try_from(text("name")?).ok()?;
                HttpAuth::header(name, field("value")?)
            }
            CredentialType::WebhookSignature => {
                let signer = Signer::new(text("secret")?, text("previous"))?;
                Some(HttpAuth::Signed(Box::new(signer)))
            }
            CredentialType::DatabaseUrl | CredentialType::SshKey | CredentialType::Custom => None,
        }
    }

    fn may_go_to(&self, url: &Url) -> bool {
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => self.hosts().allow(host, port),
            _ => false,
        }
    }

    fn hosts(&self) -> String {
        let patterns: Vec<_> = Self::hosts(self).patterns().collect();
        match patterns.is_empty() {
            true => "no host".to_owned(),
            false => patterns.join(", "),
        }
    }
}

fn authorization(scheme: &str, value: &str) -> Option<HttpAuth> {
    let value = Zeroizing::new([scheme, value].concat().into_bytes());
    HttpAuth::header(header::AUTHORIZATION, &secret_text(value).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::AllowedHosts;

    fn credential(kind: CredentialType, fields: &[(&str, &str)]) -> Credential {
        let fields = fields.iter();
        let fields = fields.map(|(name, value)| ((*name).to_owned(), (*value).into()));
        let hosts = AllowedHosts::parse(["api.example:443"]).unwrap();
        Credential::new(kind, fields.collect(), hosts).unwrap()
    }

    fn check(kind: CredentialType, fields: &[(&str, &str)], expected: &str) {
        let auth = credential(kind, fields).http_auth();
        if let Some(auth) = &auth {
            let shown = format!("{auth:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let found = match auth {
            Some(HttpAuth::Header(name, value)) => {
                assert!(value.is_sensitive());
                format!("{name}: {}", value.to_str().unwrap())
            }
            Some(HttpAuth::Query(name, value)) => format!("?{name}={}", value.expose_secret()),
            Some(HttpAuth::Signed(_)) => "signed".to_owned(),
            None => "-".to_owned(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn each_type_goes_with_a_request_in_its_way() {
        use CredentialType::{
            ApiKey, Basic, Bearer, DatabaseUrl, Header, OAuth2ClientCredentials, OAuth2Code,
            OAuth2Refresh,
        };
        check(ApiKey, &[("key", "hunter2")], "x-api-key: hunter2");
        check(
            ApiKey,
            &[("key", "hunter2"), ("in", "query"), ("name", "api_key")],
            "?api_key=hunter2",
        );
        check(
            ApiKey,
            &[("key", "hunter2"), ("name", "X-Shop")],
            "x-shop: hunter2",
        );
        check(
            Basic,
            &[("username", "ada"), ("password", "hunter2")],
            "authorization: Basic YWRhOmh1bnRlcjI=",
        );
        check(
            Bearer,
            &[("token", "hunter2")],
            "authorization: Bearer hunter2",
        );
        check(
            Header,
            &[("name", "X-Token"), ("value", "Key hunter2")],
            "x-token: Key hunter2",
        );
        let client = [
            ("token_url", "https://id.example/"),
            ("client_id", "nebula"),
            ("client_secret", "hunter2"),
        ];
        check(OAuth2ClientCredentials, &client, "-");
        let token = [&client[..], &[("access_token", "hunter2")]].concat();
        check(
            OAuth2ClientCredentials,
            &token,
            "authorization: Bearer hunter2",
        );
        let refresh = [&token[..], &[("refresh_token", "r")]].concat();
        check(OAuth2Refresh, &refresh, "authorization: Bearer hunter2");
        let code = [("authorize_url", "https://id.example/auth")];
        let code = [&code[..], &token].concat();
        check(OAuth2Code, &code, "authorization: Bearer hunter2");
        let secret = [("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
        check(CredentialType::WebhookSignature, &secret, "signed");
        check(DatabaseUrl, &[("url", "postgres://a:hunter2@b/c")], "-");
    }

    #[test]
    fn it_goes_to_its_hosts_and_nowhere_else() {
        let credential = credential(CredentialType::Bearer, &[("token", "hunter2")]);
        let may = |url: &str| credential.may_go_to(&Url::parse(url).unwrap());
        assert!(may("https://api.example/v1"));
        for url in [
            "http://api.example/",
            "https://api.example:8443/",
            "https://evil.example/",
            "https://api.example.evil.test/",
        ] {
            assert!(!may(url), "{url}");
        }
    }
}
