//! Where the database is and how far it may go.

use std::{path::PathBuf, time::Duration};

use nebula_core::{ByteSize, serde_duration};
use serde::{Deserialize, Serialize};

use crate::error::Fault;

/// The most reading connections of one handle.
pub const MAX_READERS: usize = 16;

/// The most bytes of one write: the encoded entries of a step with its children, deliveries and
/// snapshot, one signal, one definition, one plan.
pub const MAX_WRITE_BYTES: usize = 64 << 20;

/// The most bytes that wait for the writer in writes larger than [`SMALL_WRITE_BYTES`]; callers
/// beyond that wait for their turn.
pub const MAX_QUEUED_BYTES: usize = 256 << 20;

/// Writes up to this size are counted by [`WRITE_QUEUE`] alone.
pub const SMALL_WRITE_BYTES: usize = 64 << 10;

/// The most writes that wait for the writer; callers beyond that wait for their turn.
pub const WRITE_QUEUE: usize = 1024;

/// The most writes that share one database commit.
pub const MAX_BATCH: usize = 512;

/// The most reads that wait for a reader; callers beyond that wait for their turn.
pub const READ_QUEUE: usize = 1024;

/// How to open a database. JSON and TOML shape: the fields by name, times as `5s`, sizes as `1 GiB`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqliteConfig {
    /// The database file, created with mode 0600 if it is missing. Without one the database is in
    /// memory and is gone with its handle. Default: none.
    pub path: Option<PathBuf>,
    /// Whether a missing folder of `path` is created, with mode 0700; for the default data folder.
    /// Default: no.
    pub create_folder: bool,
    /// How many connections read beside the writer, 1 to [`MAX_READERS`]. Default: 2.
    pub readers: usize,
    /// How long a write waits for another process that writes. Default: 5s.
    #[serde(with = "serde_duration")]
    pub busy_timeout: Duration,
    /// The size that the database does not exceed: a write that needs more answers `Full`.
    /// Default: none but the disk.
    pub max_size: Option<ByteSize>,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            path: None,
            create_folder: false,
            readers: 2,
            busy_timeout: Duration::from_secs(5),
            max_size: None,
        }
    }
}

impl SqliteConfig {
    /// The database in the file `path`, whose folder must exist.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: Some(path.into()),
            ..Self::default()
        }
    }

    /// A database in memory that is gone with its handle and leaves nothing on disk.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self::default()
    }

    pub(crate) fn check(&self) -> Result<(), Fault> {
        if !(1..=MAX_READERS).contains(&self.readers) {
            return Err(Fault::invalid(format!(
                "`readers` is {}; set it to 1 to {MAX_READERS}",
                self.readers
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_impossible_values_are_refused() {
        let config: SqliteConfig = serde_json::from_str(
            r#"{ "path": "a.db", "busy_timeout": "2s", "max_size": "1 GiB" }"#,
        )
        .unwrap();
        assert_eq!(config.busy_timeout, Duration::from_secs(2));
        assert!(config.check().is_ok());
        assert!(serde_json::from_str::<SqliteConfig>(r#"{ "pth": "a.db" }"#).is_err());
        let none = SqliteConfig {
            readers: 0,
            ..SqliteConfig::ephemeral()
        };
        assert!(none.check().is_err());
    }
}
