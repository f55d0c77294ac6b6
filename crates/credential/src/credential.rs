//! A credential in the clear, for as long as it is needed.

use std::{collections::BTreeMap, fmt};

use nebula_core::{ExposeSecret as _, ProjectId, SecretString};

use crate::{check::wrong, fields::CredentialType, hosts::AllowedHosts};

/// The most fields of one credential.
pub const MAX_FIELDS: usize = 32;

/// The most bytes of one field's value.
pub const MAX_FIELD_BYTES: usize = 64 << 10;

/// The most bytes of one field's name.
pub const MAX_FIELD_NAME: usize = 64;

/// Fields of a type, checked, with the hosts that they may be sent to.
#[derive(Clone)]
pub struct Credential {
    kind: CredentialType,
    fields: BTreeMap<String, SecretString>,
    hosts: AllowedHosts,
    project: Option<ProjectId>,
}

/// Why fields are no credential. No value shows in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// A field that the type needs is not there.
    #[error("a credential of type {kind} needs `{field}`")]
    Missing {
        /// The type.
        kind: CredentialType,
        /// The field.
        field: &'static str,
    },
    /// The type has no such field.
    #[error("a credential of type {kind} has no field `{field}`; it has {known}")]
    Unknown {
        /// The type.
        kind: CredentialType,
        /// The name that was given.
        field: String,
        /// The fields that it has.
        known: String,
    },
    /// A value has a form in which it is of no use.
    #[error("`{field}` {why}")]
    Wrong {
        /// The field.
        field: String,
        /// What is wrong, without the value.
        why: String,
    },
    /// A field's name has characters or a length that names have not.
    #[error("`{0}` is no field name: 1 to {MAX_FIELD_NAME} letters, digits, `_` and `-`")]
    Name(String),
    /// There is no field, or there are too many.
    #[error("there are {0} fields; there may be 1 to {MAX_FIELDS}")]
    Count(usize),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("kind", &self.kind)
            .field("fields", &self.fields.keys())
            .field("hosts", &self.hosts)
            .field("project", &self.project)
            .finish()
    }
}

impl Credential {
    /// Checks the fields against their type.
    ///
    /// # Errors
    /// [`CredentialError`]: a field is missing, not known, empty, too large or of no use.
    pub fn new(
        kind: CredentialType,
        fields: BTreeMap<String, SecretString>,
        hosts: AllowedHosts,
    ) -> Result<Self, CredentialError> {
        if fields.is_empty() && kind == CredentialType::Custom || fields.len() > MAX_FIELDS {
            return Err(CredentialError::Count(fields.len()));
        }
        for (name, value) in &fields {
            check_field(kind, name, value.expose_secret())?;
        }
        for field in kind.fields() {
            if field.required && !fields.contains_key(field.name) {
                let field = field.name;
                return Err(CredentialError::Missing { kind, field });
            }
        }
        Ok(Self {
            kind,
            fields,
            hosts,
            project: None,
        })
    }

    /// The same, of this project; `None` is none, as of a new one.
    #[must_use]
    pub fn in_project(self, project: Option<ProjectId>) -> Self {
        Self { project, ..self }
    }

    /// The project to which it belongs, if it does to one.
    #[must_use]
    pub fn project(&self) -> Option<&ProjectId> {
        self.project.as_ref()
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> CredentialType {
        self.kind
    }

    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&SecretString> {
        self.fields.get(name)
    }

    /// All fields by name.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &SecretString)> {
        self.fields.iter().map(|(name, value)| (&**name, value))
    }

    /// Whether a field is never shown.
    #[must_use]
    pub fn is_secret(&self, name: &str) -> bool {
        self.kind.field(name).is_none_or(|field| field.secret)
    }

    /// The hosts that it may be sent to.
    #[must_use]
    pub fn hosts(&self) -> &AllowedHosts {
        &self.hosts
    }
}

fn check_field(kind: CredentialType, name: &str, value: &str) -> Result<(), CredentialError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > MAX_FIELD_NAME || !name.chars().all(plain) {
        return Err(CredentialError::Name(
            name.chars().take(MAX_FIELD_NAME).collect(),
        ));
    }
    let shape = match kind.field(name) {
        Some(field) => Some(field.shape),
        None if kind == CredentialType::Custom => None,
        None => {
            let known: Vec<_> = kind.fields().iter().map(|field| field.name).collect();
            return Err(CredentialError::Unknown {
                kind,
                field: name.to_owned(),
                known: known.join(", "),
            });
        }
    };
    let why = match value.len() {
        0 => Some("is empty; leave it out if there is none".to_owned()),
        bytes if bytes > MAX_FIELD_BYTES => {
            Some(format!("has {bytes} bytes; the limit is {MAX_FIELD_BYTES}"))
        }
        _ => shape.and_then(|shape| wrong(shape, value)),
    };
    match why {
        None => Ok(()),
        Some(why) => Err(CredentialError::Wrong {
            field: name.to_owned(),
            why,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Shape;

    fn make(kind: CredentialType, fields: &[(&str, &str)]) -> Result<Credential, CredentialError> {
        let fields = fields.iter();
        let fields = fields.map(|(name, value)| ((*name).to_owned(), (*value).into()));
        Credential::new(kind, fields.collect(), AllowedHosts::default())
    }

    /// What is said of fields: nothing if they are a credential. The value never shows.
    #[track_caller]
    fn check(kind: CredentialType, fields: &[(&str, &str)], said: &str) {
        let made = make(kind, fields);
        let text = made.map_or_else(|error| error.to_string(), |_| String::new());
        assert_eq!(text, said);
    }

    #[test]
    fn fields_are_held_against_their_type() {
        use CredentialType::{ApiKey, Basic, Bearer, Custom};
        check(Bearer, &[("token", "hunter2")], "");
        check(Bearer, &[], "a credential of type bearer needs `token`");
        check(
            Bearer,
            &[("token", "x"), ("tokn", "hunter2")],
            "a credential of type bearer has no field `tokn`; it has token",
        );
        check(Basic, &[("username", "ada"), ("password", "p:q")], "");
        check(
            Basic,
            &[("username", "ada")],
            "a credential of type basic needs `password`",
        );
        check(
            ApiKey,
            &[("key", "k"), ("in", "query"), ("name", "api_key")],
            "",
        );
        check(
            ApiKey,
            &[("key", "k"), ("in", "body")],
            "`in` is none of header, query",
        );
        check(
            ApiKey,
            &[("key", "")],
            "`key` is empty; leave it out if there is none",
        );
        check(Custom, &[("anything", "a\nb")], "");
        check(Custom, &[], "there are 0 fields; there may be 1 to 32");
        check(
            Custom,
            &[("a b", "x")],
            "`a b` is no field name: 1 to 64 letters, digits, `_` and `-`",
        );
        let long = "n".repeat(MAX_FIELD_NAME);
        check(Custom, &[(&long, "x")], "");
        for name in ["", &format!("{long}n")] {
            let shown: String = name.chars().take(MAX_FIELD_NAME).collect();
            let said = format!("`{shown}` is no field name: 1 to 64 letters, digits, `_` and `-`");
            check(Custom, &[(name, "x")], &said);
        }
        let large = "x".repeat(MAX_FIELD_BYTES + 1);
        check(
            Custom,
            &[("a", &large)],
            "`a` has 65537 bytes; the limit is 65536",
        );
        let names: Vec<_> = (0..=MAX_FIELDS).map(|n| format!("f{n}")).collect();
        let many: Vec<_> = names.iter().map(|name| (&**name, "x")).collect();
        check(Custom, &many, "there are 33 fields; there may be 1 to 32");
    }

    #[test]
    fn no_value_shows_in_a_debug_text_or_an_error() {
        let made = make(CredentialType::Bearer, &[("token", "hunter2")]).unwrap();
        assert!(!format!("{made:?}").contains("hunter2"));
        let refused = make(CredentialType::Bearer, &[("token", "hunter2\n")]).unwrap_err();
        let shown = format!("{refused} {refused:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    fn example(shape: Shape) -> &'static str {
        match shape {
            Shape::Choice(choices) => choices[0],
            Shape::TokenUrl => "https://id.example/token",
            Shape::Url => "postgres://db.example/shop",
            Shape::Time => "2026-05-04T03:02:01Z",
            Shape::PrivateKey => "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            Shape::WebhookSecret => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            Shape::Line | Shape::HeaderName | Shape::User | Shape::Text => "x",
        }
    }

    #[test]
    fn a_schema_takes_what_the_check_takes() {
        for kind in CredentialType::ALL {
            let schema = nebula_validator::Schema::compile(&kind.schema()).unwrap();
            let both = |fields: &[(&str, &str)]| {
                let object = fields.iter();
                let object: serde_json::Map<_, _> = object
                    .map(|(name, value)| ((*name).to_owned(), (*value).into()))
                    .collect();
                let right = schema.check(&object.into()).is_empty();
                assert_eq!(make(kind, fields).is_ok(), right, "{kind} {fields:?}");
                right
            };
            let all = kind.fields().iter();
            let all: Vec<_> = all
                .map(|field| (field.name, example(field.shape)))
                .collect();
            let custom = kind == CredentialType::Custom;
            assert_eq!(both(&all), !custom, "{kind}");
            let more: Vec<_> = all.iter().copied().chain([("more", "x")]).collect();
            assert_eq!(both(&more), custom, "{kind}");
            for field in kind.fields() {
                let others = all.iter().copied().filter(|(name, _)| *name != field.name);
                let others: Vec<_> = others.collect();
                assert_eq!(both(&others), !field.required, "{kind} {}", field.name);
            }
        }
    }
}
