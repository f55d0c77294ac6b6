//! Where the database is and how far it may go.

use std::{path::PathBuf, sync::Arc, time::Duration};

use nebula_core::Clock;

use crate::error::Fault;

/// The most connections of one handle that write.
pub const MAX_WRITERS: usize = 64;

/// The most connections of one handle that read.
pub const MAX_READERS: usize = 64;

/// The most bytes of one write: the encoded entries of a step with its children, deliveries and
/// snapshot, one signal, one definition, one plan.
pub const MAX_WRITE_BYTES: usize = 64 << 20;

/// The most bytes of writes that wait; callers beyond that wait for their turn.
pub const MAX_QUEUED_BYTES: usize = 256 << 20;

/// Writes up to this size are counted by [`WRITE_QUEUE`] alone.
pub const SMALL_WRITE_BYTES: usize = 64 << 10;

/// The most writes that wait; callers beyond that wait for their turn.
pub const WRITE_QUEUE: usize = 1024;

/// The most writes that share one transaction.
pub const MAX_BATCH: usize = 256;

/// The most bytes that one transaction is begun with, beside the write that passes the limit.
pub const MAX_BATCH_BYTES: usize = 16 << 20;

/// The most reads that wait for a connection; callers beyond that wait for their turn.
pub const READ_QUEUE: usize = 1024;

/// How often a write is tried again whose transaction was in the way of others.
pub const MAX_TRIES: u32 = 20;

/// How to open a database.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// Where it is, as [`nebula_postgres::Address::parse`] takes it.
    pub address: String,
    /// PEM files of certificates that are trusted beside those of the system.
    pub roots: Vec<PathBuf>,
    /// How many connections write, 1 to [`MAX_WRITERS`]. Default: 4.
    pub writers: usize,
    /// How many connections read, 1 to [`MAX_READERS`]. Default: 4.
    pub readers: usize,
    /// How long the server may take for what is asked at once, and to let somebody in; then the connection is
    /// given up and the outcome of a write is unknown. Default: 10s.
    pub answer: Duration,
    /// Who says what time it is. Default: none, which is the database: it alone is the same for all who use it.
    /// For tests.
    pub clock: Option<Arc<dyn Clock>>,
    /// Whether the server may forget what it has confirmed (`fsync` or `synchronous_commit` off). Default: false.
    /// For tests.
    pub may_forget: bool,
}

impl PostgresConfig {
    /// The database at this address.
    #[must_use]
    pub fn at(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            roots: Vec::new(),
            writers: 4,
            readers: 4,
            answer: Duration::from_secs(10),
            clock: None,
            may_forget: false,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Fault> {
        let counts = [
            ("writers", self.writers, MAX_WRITERS),
            ("readers", self.readers, MAX_READERS),
        ];
        for (name, count, most) in counts {
            if !(1..=most).contains(&count) {
                return Err(Fault::invalid(format!(
                    "`{name}` is {count}; set it to 1 to {most}"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_values_are_refused() {
        let config = PostgresConfig::at("postgres://me@localhost/things");
        assert!(config.check().is_ok());
        let none = PostgresConfig {
            writers: 0,
            ..config.clone()
        };
        assert!(none.check().is_err());
        let many = PostgresConfig {
            readers: MAX_READERS + 1,
            ..config
        };
        assert!(many.check().is_err());
    }
}
