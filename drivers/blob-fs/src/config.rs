//! Where the blobs lie.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The place of a [`BlobFs`](crate::BlobFs). Shape: `{ "path": "/var/lib/nebula/blobs", "create_folder": true }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobFsConfig {
    /// The folder; nothing else should be in it. A link here is followed: it is the operator's word.
    pub path: PathBuf,
    /// Let the first put make the folder if it is missing. Default: false.
    #[serde(default)]
    pub create_folder: bool,
}
