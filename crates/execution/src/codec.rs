//! How journal entries become bytes, for ever.
//!
//! A batch is one byte of format version and a JSON array of entries. A reader knows every version
//! that was ever written; fixtures of each stay in `tests/fixtures`. New optional fields and new
//! facts keep the version; anything that an old reader would misread raises it.

use crate::Entry;

/// The version that this build writes.
pub const JOURNAL_FORMAT: u8 = 1;

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
    bytes.push(JOURNAL_FORMAT);
    serde_json::to_writer(&mut bytes, entries)
        .expect("entries have string keys and a Vec takes every byte");
    bytes
}

/// Reads a batch.
///
/// # Errors
/// [`CodecError`]: no bytes, an unknown format, or damage.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, CodecError> {
    let (version, body) = bytes.split_first().ok_or(CodecError::Empty)?;
    match *version {
        JOURNAL_FORMAT => serde_json::from_slice(body).map_err(CodecError::Damaged),
        found => Err(CodecError::Format { found }),
    }
}
