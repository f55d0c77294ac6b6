//! The types of credentials, and the fields of each.

use std::{fmt, str::FromStr};

use serde_json::{Map, Value, json};

/// What kind of credential it is: which fields it has, and what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialType {
    /// A key that goes with each request, in a header or in the query.
    ApiKey,
    /// User and password, as HTTP's Basic scheme has them (RFC 7617).
    Basic,
    /// A token, as HTTP's Bearer scheme has it (RFC 6750).
    Bearer,
    /// One header with its value.
    Header,
    /// OAuth 2.0, client credentials grant (RFC 6749, section 4.4).
    OAuth2ClientCredentials,
    /// OAuth 2.0, refreshing an access token (RFC 6749, section 6).
    OAuth2Refresh,
    /// OAuth 2.0, what somebody consented to in a browser (RFC 6749, section 4.1), refreshed from then on.
    OAuth2Code,
    /// The address of a database with user and password.
    DatabaseUrl,
    /// A private key for SSH.
    SshKey,
    /// A secret by which deliveries to somebody's webhook are signed (Standard Webhooks 1.0).
    WebhookSignature,
    /// Fields of any name.
    Custom,
}

/// One field of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it is never shown; the others say how a credential is used.
    pub secret: bool,
    pub(crate) shape: Shape,
}

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Any text that can stand in a header: no control characters (RFC 9110, section 5.5).
    Line,
    /// A header's name (RFC 9110, section 5.1).
    HeaderName,
    /// A user of the Basic scheme: no colon (RFC 7617, section 2).
    User,
    /// One of these.
    Choice(&'static [&'static str]),
    /// An address with `https`, or with `http` on this machine.
    TokenUrl,
    /// An address of another kind, with its scheme.
    Url,
    /// A time as RFC 3339 has it.
    Time,
    /// A private key in its armour.
    PrivateKey,
    /// `whsec_` and 24 to 64 bytes in base64.
    WebhookSecret,
    /// Any text.
    Text,
}

/// There is no such type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no credential type `{0}`; there are: {known}", known = known())]
pub struct UnknownType(pub String);

fn known() -> String {
    CredentialType::ALL.map(CredentialType::name).join(", ")
}

const fn secret(name: &'static str, title: &'static str, shape: Shape) -> Field {
    Field {
        name,
        title,
        required: true,
        secret: true,
        shape,
    }
}

const fn public(name: &'static str, title: &'static str, shape: Shape) -> Field {
    Field {
        secret: false,
        ..secret(name, title, shape)
    }
}

const fn optional(field: Field) -> Field {
    Field {
        required: false,
        ..field
    }
}

const API_KEY: &[Field] = &[
    secret("key", "the key", Shape::Line),
    optional(public(
        "in",
        "where it goes; default: header",
        Shape::Choice(&["header", "query"]),
    )),
    optional(public(
        "name",
        "the header's or parameter's name; default: X-API-Key",
        Shape::HeaderName,
    )),
];
const BASIC: &[Field] = &[
    public("username", "the user", Shape::User),
    secret("password", "the password", Shape::Line),
];
const BEARER: &[Field] = &[secret("token", "the token", Shape::Line)];
const HEADER: &[Field] = &[
    public("name", "the header's name", Shape::HeaderName),
    secret("value", "the header's value", Shape::Line),
];
const TOKEN_URL: Field = public("token_url", "where tokens are given", Shape::TokenUrl);
const CLIENT_ID: Field = public("client_id", "the client", Shape::Line);
const SCOPE: Field = optional(public("scope", "what is asked for", Shape::Line));
const CLIENT_AUTH: Field = optional(public(
    "client_auth",
    "how the client shows its secret; default: basic",
    Shape::Choice(&["basic", "body"]),
));
const ACCESS_TOKEN: Field = optional(secret("access_token", "the access token", Shape::Line));
const EXPIRES_AT: Field = optional(public(
    "expires_at",
    "when the access token ends",
    Shape::Time,
));
const CLIENT: &[Field] = &[
    TOKEN_URL,
    CLIENT_ID,
    secret("client_secret", "the client's secret", Shape::Line),
    SCOPE,
    optional(public("audience", "whom the token is for", Shape::Line)),
    CLIENT_AUTH,
    ACCESS_TOKEN,
    EXPIRES_AT,
];
const REFRESH: &[Field] = &[
    TOKEN_URL,
    CLIENT_ID,
    optional(secret("client_secret", "the client's secret", Shape::Line)),
    SCOPE,
    secret("refresh_token", "the refresh token", Shape::Line),
    CLIENT_AUTH,
    ACCESS_TOKEN,
    EXPIRES_AT,
];
const CODE: &[Field] = &[
    public("authorize_url", "where people consent", Shape::TokenUrl),
    TOKEN_URL,
    CLIENT_ID,
    optional(secret("client_secret", "the client's secret", Shape::Line)),
    SCOPE,
    CLIENT_AUTH,
    optional(secret("refresh_token", "the refresh token", Shape::Line)),
    ACCESS_TOKEN,
    EXPIRES_AT,
];
const DATABASE: &[Field] = &[secret("url", "the database's address", Shape::Url)];
const SSH: &[Field] = &[
    optional(public("username", "the user", Shape::Line)),
    secret("private_key", "the private key", Shape::PrivateKey),
    optional(secret("passphrase", "the key's passphrase", Shape::Text)),
];
const WEBHOOK: &[Field] = &[
    secret("secret", "the secret, whsec_…", Shape::WebhookSecret),
    optional(secret(
        "previous",
        "the secret before, by which is signed too while receivers change",
        Shape::WebhookSecret,
    )),
];

impl CredentialType {
    /// Every type, in the order in which they are listed.
    pub const ALL: [Self; 11] = [
        Self::ApiKey,
        Self::Basic,
        Self::Bearer,
        Self::Header,
        Self::OAuth2ClientCredentials,
        Self::OAuth2Refresh,
        Self::OAuth2Code,
        Self::DatabaseUrl,
        Self::SshKey,
        Self::WebhookSignature,
        Self::Custom,
    ];

    /// Its name, which is stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::Header => "header",
            Self::OAuth2ClientCredentials => "oauth2_client_credentials",
            Self::OAuth2Refresh => "oauth2_refresh",
            Self::OAuth2Code => "oauth2_code",
            Self::DatabaseUrl => "database_url",
            Self::SshKey => "ssh_key",
            Self::WebhookSignature => "webhook_signature",
            Self::Custom => "custom",
        }
    }

    /// Its fields; none for [`CredentialType::Custom`], which takes any, all of them secret.
    #[must_use]
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::ApiKey => API_KEY,
            Self::Basic => BASIC,
            Self::Bearer => BEARER,
            Self::Header => HEADER,
            Self::OAuth2ClientCredentials => CLIENT,
            Self::OAuth2Refresh => REFRESH,
            Self::OAuth2Code => CODE,
            Self::DatabaseUrl => DATABASE,
            Self::SshKey => SSH,
            Self::WebhookSignature => WEBHOOK,
            Self::Custom => &[],
        }
    }

    pub(crate) fn field(self, name: &str) -> Option<&'static Field> {
        self.fields().iter().find(|field| field.name == name)
    }

    /// A JSON Schema (2020-12) of an object with the fields; secret ones are `writeOnly`.
    #[must_use]
    pub fn schema(self) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in self.fields() {
            let mut schema = json!({ "type": "string", "title": field.title, "minLength": 1 });
            if field.secret {
                schema["writeOnly"] = true.into();
            }
            match field.shape {
                Shape::Choice(choices) => schema["enum"] = json!(choices),
                Shape::TokenUrl | Shape::Url => schema["format"] = "uri".into(),
                Shape::Time => schema["format"] = "date-time".into(),
                Shape::Line
                | Shape::HeaderName
                | Shape::User
                | Shape::PrivateKey
                | Shape::WebhookSecret
                | Shape::Text => {}
            }
            properties.insert(field.name.to_owned(), schema);
            if field.required {
                required.push(field.name);
            }
        }
        let others = match self {
            Self::Custom => json!({ "type": "string", "minLength": 1, "writeOnly": true }),
            _ => Value::Bool(false),
        };
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": others,
            "minProperties": 1,
        })
    }
}

impl fmt::Display for CredentialType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CredentialType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        let found = Self::ALL.into_iter().find(|it| it.name() == text);
        found.ok_or_else(|| UnknownType(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_name() {
        for it in CredentialType::ALL {
            assert_eq!(it.name().parse(), Ok(it));
        }
        let unknown = "password".parse::<CredentialType>().unwrap_err();
        assert!(unknown.to_string().contains("api_key, basic, bearer"));
    }

    #[test]
    fn secret_fields_are_write_only_in_their_schema() {
        for it in CredentialType::ALL {
            let schema = it.schema();
            for field in it.fields() {
                let shown = schema["properties"][field.name]["writeOnly"] == true;
                assert_eq!(shown, field.secret, "{it} {}", field.name);
            }
        }
    }
}
