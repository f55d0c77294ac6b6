//! What stands in the body of a delivery.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::{BodyKind, Webhook};

/// Why a body is none that a webhook takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is of another type than the trigger says.
    #[error("the body is {}, and this webhook takes {wanted}", found.as_deref().unwrap_or("of no type"))]
    Type {
        /// What the caller says that it is, at most 80 characters of it.
        found: Option<String>,
        /// What it must be.
        wanted: &'static str,
    },
    /// It is no such text.
    #[error("the body cannot be read as {wanted}: {why}")]
    Malformed {
        /// What it must be.
        wanted: &'static str,
        /// What is in the way; nothing of the body.
        why: String,
    },
}

impl BodyKind {
    /// What its media type is, in words.
    #[must_use]
    pub const fn wanted(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Multipart => "multipart/form-data",
            Self::Text => "text in UTF-8",
            Self::Raw => "anything",
            Self::None => "no body",
        }
    }

    fn takes(self, media: Option<&str>, empty: bool) -> bool {
        let media = media.unwrap_or_default();
        match self {
            Self::Json => {
                media == "application/json"
                    || (media.starts_with("application/") && media.ends_with("+json"))
            }
            Self::Form => media == "application/x-www-form-urlencoded",
            Self::Multipart => media == "multipart/form-data",
            Self::Text => media.starts_with("text/"),
            Self::Raw => true,
            Self::None => empty,
        }
    }
}

impl Webhook {
    /// The value of a body; `media` is its media type, in lower case and without parameters. What has
    /// no body at all has a null one, where the method is `GET` or `DELETE`.
    ///
    /// JSON: what it says; a form: an object of texts, and of lists of them for what is there several
    /// times; raw: `{ "media", "size", "base64" }`. One with files is never in one piece, and refused here.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn body(
        &self,
        method: &str,
        media: Option<&str>,
        bytes: &[u8],
    ) -> Result<Value, BodyError> {
        let (kind, wanted) = (self.body, self.body.wanted());
        if bytes.is_empty() && ["GET", "DELETE"].contains(&method) {
            return Ok(Value::Null);
        }
        if !kind.takes(media, bytes.is_empty()) {
            let found = media.map(|it| it.chars().take(80).collect());
            return Err(BodyError::Type { found, wanted });
        }
        let malformed = |why: String| BodyError::Malformed { wanted, why };
        Ok(match kind {
            BodyKind::Json => serde_json::from_slice(bytes).map_err(|error| {
                malformed(format!("line {}, column {}", error.line(), error.column()))
            })?,
            BodyKind::Form => {
                let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(bytes)
                    .map_err(|_| malformed("it is no text in UTF-8".to_owned()))?;
                Value::Object(several(pairs))
            }
            // Whoever serves webhooks reads it part by part, and never has it in one piece.
            BodyKind::Multipart => return Err(malformed("its parts are not read yet".to_owned())),
            BodyKind::Text => {
                let text = str::from_utf8(bytes);
                text.map_err(|error| malformed(format!("byte {}", error.valid_up_to())))?
                    .into()
            }
            BodyKind::Raw => {
                json!({ "media": media, "size": bytes.len(), "base64": STANDARD.encode(bytes) })
            }
            BodyKind::None => Value::Null,
        })
    }
}

/// Names with texts; one that is there several times has a list.
#[must_use]
pub(crate) fn several(pairs: Vec<(String, String)>) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, text) in pairs {
        let text = Value::from(text);
        match all.get_mut(&name) {
            None => {
                all.insert(name, text);
            }
            Some(Value::Array(list)) => list.push(text),
            Some(one) => {
                let first = one.take();
                *one = Value::Array(vec![first, text]);
            }
        }
    }
    all
}

/// The parameters of a query, as a form has them.
#[must_use]
pub fn query_of(query: &str) -> Map<String, Value> {
    several(serde_urlencoded::from_str(query).unwrap_or_default())
}
