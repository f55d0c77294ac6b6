//! How journal entries become bytes, for ever.
//!
//! A batch is one byte of format version and a JSON array of entries. A reader knows every version
//! that was ever written; fixtures of each stay in `tests/fixtures`. New optional fields and new
//! facts keep the version; anything that an old reader would misread raises it, where it stands.

use nebula_action::ActionError;
use serde_json::Value;

use crate::{Entry, Fact, ItemOutcome};

/// The newest version that this build writes and reads.
pub const JOURNAL_FORMAT: u8 = 4;
/// The version of all batches but those of the next three.
const PLAIN_FORMAT: u8 = 1;
/// That of batches that begin an execution which goes over another one again: a reader of version 1
/// would derive the keys of what was restarted without its generation.
const AGAIN_FORMAT: u8 = 2;
/// That of batches that begin an execution whose input lies in a blob: a reader of version 2 would take
/// its digest for it.
const INPUT_FORMAT: u8 = 3;
/// That of batches with values in blobs where there were none before: results in bodies and lists, what
/// bodies begin with, what children gave, what started the execution. A reader of version 3 would take
/// them for null, or stop at them.
const VALUES_FORMAT: u8 = 4;

/// Why bytes are not journal entries.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// There are no bytes.
    #[error("a journal batch is empty")]
    Empty,
    /// A newer build wrote it.
    #[error(
        "a journal batch has format {found}; this build reads up to {JOURNAL_FORMAT}; use the build that wrote it, or a newer one"
    )]
    Format {
        /// The version found.
        found: u8,
    },
    /// The bytes are damaged.
    #[error("a journal batch cannot be read: {0}")]
    Damaged(#[source] serde_json::Error),
}

/// Writes entries as one batch.
#[must_use]
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128 * entries.len());
    bytes.push(format_of(entries));
    serde_json::to_writer(&mut bytes, entries)
        .expect("entries have string keys and a Vec takes every byte");
    bytes
}

fn format_of(entries: &[Entry]) -> u8 {
    if entries.iter().any(|entry| has_values(&entry.fact)) {
        return VALUES_FORMAT;
    }
    match entries.first().map(|entry| &entry.fact) {
        Some(Fact::ExecutionStarted(started)) if started.input_blob.is_some() => INPUT_FORMAT,
        Some(Fact::ExecutionStarted(started)) if started.repeats.is_some() => AGAIN_FORMAT,
        _ => PLAIN_FORMAT,
    }
}

fn has_values(fact: &Fact) -> bool {
    match fact {
        Fact::AttemptSpilled { instance, .. } => {
            instance.within.is_some() || instance.item.is_some()
        }
        Fact::BodyOpened { blob, passed, .. } => blob.is_some() || *passed,
        Fact::ChildEnded { blob, .. } => blob.is_some(),
        Fact::ItemsSettled { outcomes, .. } => outcomes
            .iter()
            .any(|outcome| matches!(outcome, ItemOutcome::Apart(_))),
        Fact::ExecutionStarted(started) => started.trigger_blob.is_some(),
        _ => false,
    }
}

/// Reads a batch.
///
/// # Errors
/// [`CodecError`]: no bytes, an unknown format, or damage.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, CodecError> {
    let (version, body) = bytes.split_first().ok_or(CodecError::Empty)?;
    match *version {
        PLAIN_FORMAT | AGAIN_FORMAT | INPUT_FORMAT | VALUES_FORMAT => {
            serde_json::from_slice(body).map_err(CodecError::Damaged)
        }
        found => Err(CodecError::Format { found }),
    }
}

/// How deep a value may be nested that goes into a journal: inputs, results, outputs, what a
/// person says. Readers of JSON stop at 128 levels, and entries and snapshots add some of their own.
pub const MAX_VALUE_DEPTH: usize = 100;

/// Whether a value can be read back from a journal: it is nested no deeper than [`MAX_VALUE_DEPTH`].
#[must_use]
pub fn is_storable(value: &Value) -> bool {
    nests_within(value, MAX_VALUE_DEPTH)
}

/// Whether no list or object of a value has more than `limit` of them on the way to it, itself
/// counted: `[[1]]` nests within 2.
#[must_use]
pub fn nests_within(value: &Value, limit: usize) -> bool {
    // Only what can nest further is kept for later: of a flat value, nothing.
    let mut open = Vec::new();
    let mut next = nests(value).then_some((value, 1));
    while let Some((value, depth)) = next {
        if depth > limit {
            return false;
        }
        let within = |inner: &&Value| nests(inner);
        match value {
            Value::Array(items) => {
                open.extend(items.iter().filter(within).map(|it| (it, depth + 1)));
            }
            Value::Object(entries) => {
                open.extend(entries.values().filter(within).map(|it| (it, depth + 1)));
            }
            _ => {}
        }
        next = open.pop();
    }
    true
}

fn nests(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

pub(crate) fn too_deep(what: &str) -> ActionError {
    let message = format!("{what} is nested deeper than {MAX_VALUE_DEPTH} levels");
    ActionError::limit("VALUE_TOO_DEEP", message)
}
