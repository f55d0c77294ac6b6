//! What names a large value that lies beside the journal.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Names one blob of a tenant by its content. Shape: `{ "digest": "9f86d0…", "length": 1048576 }`.
///
/// The digest alone finds it. The length is stated beside it so that a blob that was cut is known
/// before its first byte is believed, and so that nobody needs to ask how much a read will bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobId {
    /// The SHA-256 over all its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub length: u64,
}

impl BlobId {
    /// The name that `content` has.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self {
            digest: Digest::of(content),
            length: content.len() as u64,
        }
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.digest, self.length)
    }
}
