//! Names of things. Each id checks its alphabet once, at the border.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use uuid::Uuid;

use crate::Timestamp;

/// The longest id, in bytes.
pub const MAX_ID_LEN: usize = 128;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("{what} is empty")]
    Empty {
        /// Which kind of id.
        what: &'static str,
    },
    /// The text is longer than [`MAX_ID_LEN`].
    #[error("{what} has {len} bytes; the limit is {MAX_ID_LEN}")]
    TooLong {
        /// Which kind of id.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
    },
    /// A character is outside the id's alphabet.
    #[error("{what} has the character {character:?} at byte {at}; {allowed}")]
    Character {
        /// Which kind of id.
        what: &'static str,
        /// The first such character.
        character: char,
        /// Where it stands.
        at: usize,
        /// The alphabet, in words.
        allowed: &'static str,
    },
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:literal, $first:expr, $rest:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(CompactString);

        impl $name {
            /// Checks `text` and takes it as an id.
            ///
            /// # Errors
            /// [`IdError`]: empty, too long, or a character outside the alphabet.
            pub fn new(text: impl Into<CompactString>) -> Result<Self, IdError> {
                let text = text.into();
                if text.is_empty() {
                    return Err(IdError::Empty { what: $what });
                }
                if text.len() > MAX_ID_LEN {
                    return Err(IdError::TooLong { what: $what, len: text.len() });
                }
                let (first, rest): (fn(char) -> bool, fn(char) -> bool) = ($first, $rest);
                for (at, character) in text.char_indices() {
                    let allowed = if at == 0 { first } else { rest };
                    if !allowed(character) {
                        return Err(IdError::Character { what: $what, character, at, allowed: $allowed });
                    }
                }
                Ok(Self(text))
            }

            /// The id's text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(CompactString::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id!(
    /// Names a workflow within its tenant: a slug of letters, digits, `-`, `_` and `.`.
    WorkflowId,
    "workflow id",
    "a workflow id has letters, digits, `-`, `_` and `.`, and begins with a letter or digit",
    |c| c.is_ascii_alphanumeric(),
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
);

text_id!(
    /// Names a trigger within its workflow: a slug of letters, digits, `-`, `_` and `.`.
    TriggerId,
    "trigger id",
    "a trigger id has letters, digits, `-`, `_` and `.`, and begins with a letter or digit",
    |c| c.is_ascii_alphanumeric(),
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
);

text_id!(
    /// Names a node within its workflow, and is how expressions refer to it: `[A-Za-z_][A-Za-z0-9_]*`.
    NodeId,
    "node id",
    "a node id has letters, digits and `_`, and does not begin with a digit",
    |c| c.is_ascii_alphabetic() || c == '_',
    |c| c.is_ascii_alphanumeric() || c == '_'
);

text_id!(
    /// Names an action, with its namespace: `http.request`.
    ActionId,
    "action id",
    "an action id has lower-case letters, digits, `_`, `-` and `.`, and begins with a letter",
    |c| c.is_ascii_lowercase(),
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-')
);

text_id!(
    /// Names an isolated customer of one installation; a desktop has the one tenant `local`.
    TenantId,
    "tenant id",
    "a tenant id has letters, digits, `-` and `_`, and begins with a letter or digit",
    |c| c.is_ascii_alphanumeric(),
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
);

impl TenantId {
    /// The only tenant of a single-user installation.
    #[must_use]
    pub fn local() -> Self {
        Self(CompactString::const_new("local"))
    }
}

text_id!(
    /// Names a secret within its tenant, as `secret:<id>` does: letters, digits, `-`, `_` and `.`.
    SecretId,
    "secret id",
    "a secret id has letters, digits, `-`, `_` and `.`, and begins with a letter or digit",
    |c| c.is_ascii_alphanumeric(),
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
);

text_id!(
    /// Names a credential within its tenant: letters, digits, `-`, `_` and `.`.
    CredentialId,
    "credential id",
    "a credential id has letters, digits, `-`, `_` and `.`, and begins with a letter or digit",
    |c| c.is_ascii_alphanumeric(),
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
);

text_id!(
    /// Names a key that something was encrypted with, and says nothing about the key itself.
    KeyId,
    "key id",
    "a key id has lower-case letters, digits and `-`, and begins with a letter or digit",
    |c| c.is_ascii_lowercase() || c.is_ascii_digit(),
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
);

text_id!(
    /// Names a project within its tenant: what memberships and API keys are for.
    ProjectId,
    "project id",
    "a project id has letters, digits, `-`, `_` and `.`, and begins with a letter or digit",
    |c| c.is_ascii_alphanumeric(),
    |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
);

/// Names a person or a service account; never used again for another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrincipalId(Uuid);

impl PrincipalId {
    /// The 16 bytes, as they are stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id that these bytes are.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl From<Uuid> for PrincipalId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for PrincipalId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(Self)
    }
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrincipalId({})", self.0)
    }
}

/// Names one run of a workflow: a UUID version 7.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionId(Uuid);

impl ExecutionId {
    /// The 16 raw bytes, whose order is the order of start times.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id that begins with a time, to the millisecond, and goes on with 74 of these bits.
    #[must_use]
    pub fn at(time: Timestamp, random: &[u8; 10]) -> Self {
        let millis = u64::try_from(time.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, random).into_uuid())
    }

    /// The id with these raw bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The ids whose text begins so, in lower case; `None` if no text of an id does.
    #[must_use]
    pub fn that_begin(prefix: &str) -> Option<RangeInclusive<Self>> {
        let id = |rest: &str| {
            let text = format!("{prefix}{}", rest.get(prefix.len()..)?);
            text.parse().ok()
        };
        let first = id("00000000-0000-0000-0000-000000000000")?;
        let last = id("ffffffff-ffff-ffff-ffff-ffffffffffff")?;
        Some(first..=last)
    }
}

impl From<Uuid> for ExecutionId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for ExecutionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(Self)
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExecutionId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_is_an_identifier() {
        assert!(NodeId::new("fetch_2").is_ok());
        assert_eq!(NodeId::new(""), Err(IdError::Empty { what: "node id" }));
        for bad in ["2nd", "a-b", "a b", "ä"] {
            assert!(
                matches!(NodeId::new(bad), Err(IdError::Character { .. })),
                "{bad}"
            );
        }
        assert!(matches!(
            NodeId::new("x".repeat(129)),
            Err(IdError::TooLong { len: 129, .. })
        ));
    }

    #[test]
    fn decoding_checks_the_alphabet() {
        assert!(serde_json::from_str::<WorkflowId>("\"../x\"").is_err());
        assert!(serde_json::from_str::<ActionId>("\"data.set\"").is_ok());
    }

    #[test]
    fn the_beginning_of_an_id_is_a_range_of_ids() {
        let check = |prefix: &str, expected: Option<(&str, &str)>| {
            let found = ExecutionId::that_begin(prefix);
            let shown = found.map(|ids| (ids.start().to_string(), ids.end().to_string()));
            let expected = expected.map(|(first, last)| (first.to_owned(), last.to_owned()));
            assert_eq!(shown, expected, "{prefix}");
        };
        check(
            "01a1fc",
            Some((
                "01a1fc00-0000-0000-0000-000000000000",
                "01a1fcff-ffff-ffff-ffff-ffffffffffff",
            )),
        );
        check(
            "01a1fc38-5",
            Some((
                "01a1fc38-5000-0000-0000-000000000000",
                "01a1fc38-5fff-ffff-ffff-ffffffffffff",
            )),
        );
        // No id is written with dashes there, or without one where they belong.
        check("01a1-fc", None);
        check("01a1fc385633", None);
    }
}
