//! What is in a folder.

use std::{fmt, path::Path};

use async_trait::async_trait;
use nebula_core::Timestamp;

use crate::Result;

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When its content was last changed.
    pub modified: Timestamp,
}

/// Tells what files there are in a folder, for triggers that watch one.
///
/// Rules: symbolic links and folders are no files; a name that is no UTF-8 is left out; what the engine
/// keeps closed is not read.
#[async_trait]
pub trait FolderReader: fmt::Debug + Send + Sync + 'static {
    /// The regular files of a folder whose names fit `pattern` (`*` stands for any characters, `?` for
    /// one), in no order.
    ///
    /// # Errors
    /// `Invalid`: it is no folder, it is closed, or it has more than `most` files that fit. `Unavailable`:
    /// it is not there, or cannot be read now.
    async fn files(
        &self,
        folder: &Path,
        pattern: Option<&str>,
        most: usize,
    ) -> Result<Vec<FoundFile>>;
}
