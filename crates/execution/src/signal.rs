//! Signals that a workflow waits for by name.

use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    codec::{MAX_VALUE_DEPTH, is_storable},
    journal::{is_true, yes},
};

/// How many signals that no node has taken an execution keeps; what comes beyond is refused, and
/// the journal says so.
pub const MAX_KEPT_SIGNALS: usize = 256;
/// The longest name of a signal, in bytes.
pub const MAX_SIGNAL_NAME: usize = 64;
/// The longest id of a signal, in bytes.
pub const MAX_SIGNAL_ID: usize = 200;
/// The largest payload of a signal, as JSON, in bytes.
pub const MAX_SIGNAL_BYTES: usize = 64 * 1024;

/// A signal that a node may wait for. Of those of one name and one id, an execution takes one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedSignal {
    /// Its name: letters, digits, `_`, `-`, `.`; the first is a letter or `_`.
    pub name: CompactString,
    /// What tells it from others of its name.
    pub id: String,
    /// What it brings: the result of the node that takes it.
    pub payload: Arc<Value>,
    /// Whether it is kept until a node takes it; else it is lost where no node waits for it.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub keep: bool,
}

/// Why something is no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamedSignalError {
    /// The name does not fit.
    #[error(
        "`{0}` is no name of a signal: it needs 1 to {MAX_SIGNAL_NAME} letters, digits, `_`, `-` or `.`, the first a letter or `_`"
    )]
    Name(String),
    /// The id does not fit.
    #[error(
        "the id of a signal has 1 to {MAX_SIGNAL_ID} bytes, and none of them is a control character"
    )]
    Id,
    /// The payload is too large.
    #[error("the payload has {found} bytes; the limit is {MAX_SIGNAL_BYTES}")]
    Large {
        /// How many bytes it has.
        found: usize,
    },
    /// The payload is nested too deep.
    #[error("the payload is nested deeper than {MAX_VALUE_DEPTH} levels")]
    Deep,
}

impl NamedSignal {
    /// A signal, checked.
    ///
    /// # Errors
    /// [`NamedSignalError`]: a name, an id or a payload that no execution takes.
    pub fn new(name: &str, id: &str, payload: Arc<Value>) -> Result<Self, NamedSignalError> {
        if !is_signal_name(name) {
            let shown = name.chars().take(MAX_SIGNAL_NAME).collect();
            return Err(NamedSignalError::Name(shown));
        }
        if id.is_empty() || id.len() > MAX_SIGNAL_ID || id.chars().any(char::is_control) {
            return Err(NamedSignalError::Id);
        }
        check_payload(&payload)?;
        Ok(Self {
            name: name.into(),
            id: id.to_owned(),
            payload,
            keep: true,
        })
    }

    /// The same signal, lost where no node waits for it when it comes.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.keep = false;
        self
    }

    /// Recognises a repetition in the inbox of one execution. No name holds a colon.
    #[must_use]
    pub fn dedupe(&self) -> String {
        format!("signal:{}:{}", self.name, self.id)
    }
}

/// Whether a signal or an event may bring this value.
///
/// # Errors
/// [`NamedSignalError::Deep`] or [`NamedSignalError::Large`].
pub fn check_payload(payload: &Value) -> Result<(), NamedSignalError> {
    // Depth first: the count of bytes walks the value by recursion.
    if !is_storable(payload) {
        return Err(NamedSignalError::Deep);
    }
    let found = payload.to_string().len();
    if found > MAX_SIGNAL_BYTES {
        return Err(NamedSignalError::Large { found });
    }
    Ok(())
}

/// Whether a node may wait for a signal of this name.
#[must_use]
pub fn is_signal_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.len() <= MAX_SIGNAL_NAME
        && name.starts_with(first)
        && name
            .chars()
            .all(|c| first(c) || c.is_ascii_digit() || c == '-' || c == '.')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_no_execution_takes_is_refused() {
        let new = |name: &str, id: &str, payload: Value| NamedSignal::new(name, id, payload.into());
        assert_eq!(
            new("paid.eu-1", "7", json!({ "n": 1 })).unwrap().dedupe(),
            "signal:paid.eu-1:7"
        );
        for name in ["", "1st", "a b", "a:b", "-a", &"a".repeat(65)] {
            let wrong = new(name, "7", Value::Null).unwrap_err();
            assert!(matches!(wrong, NamedSignalError::Name(_)), "{name}");
        }
        for id in ["", "a\nb", &"x".repeat(201)] {
            assert_eq!(new("a", id, Value::Null), Err(NamedSignalError::Id));
        }
        let large = json!("x".repeat(MAX_SIGNAL_BYTES));
        assert!(matches!(
            new("a", "7", large),
            Err(NamedSignalError::Large { .. })
        ));
        let deep = (0..=MAX_VALUE_DEPTH).fold(json!(1), |value, _| json!([value]));
        assert_eq!(new("a", "7", deep), Err(NamedSignalError::Deep));
    }
}
