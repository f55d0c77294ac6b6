//! Which queue it is, how much it holds and how often it tries.

use std::num::{NonZeroU32, NonZeroUsize};

use nebula_ports::{ErrorKind, PortError, Result};
use serde::{Deserialize, Serialize};

use crate::error::DRIVER;

/// How long the name of a queue may be, in bytes.
pub const MAX_QUEUE_NAME: usize = 64;

/// The settings of a [`PostgresQueue`](crate::PostgresQueue), but where its server is.
/// Shape: `{ "name": "tasks", "capacity": 65536, "max_deliveries": 16, "listen": true }`.
///
/// All processes that share a queue should have the same: each call goes by those of its process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresQueueConfig {
    /// Which queue of the database. Letters, digits, `-`, `_` and
    /// `.`, at most [`MAX_QUEUE_NAME`] of them. Default: `tasks`.
    pub name: String,
    /// For how many executions there is room, waiting or in somebody's hands; a ring for another is
    /// dropped and counted. Dead tasks have as much room of their own. Default: 65,536.
    pub capacity: NonZeroUsize,
    /// How often a task is delivered before it is dead. Default: 16.
    pub max_deliveries: NonZeroU32,
    /// Whether a receiver that waits listens for what is rung elsewhere (`LISTEN`). Not through a pooler that
    /// gives each transaction another session; then it looks once a second. Default: true.
    pub listen: bool,
}

impl Default for PostgresQueueConfig {
    fn default() -> Self {
        Self {
            name: "tasks".to_owned(),
            capacity: NonZeroUsize::new(65_536).expect("it is not zero"),
            max_deliveries: NonZeroU32::new(16).expect("it is not zero"),
            listen: true,
        }
    }
}

impl PostgresQueueConfig {
    /// Refuses a name that is no name.
    pub(crate) fn check(&self) -> Result<()> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name = &self.name;
        if !name.is_empty() && name.len() <= MAX_QUEUE_NAME && name.chars().all(fits) {
            return Ok(());
        }
        let message = format!(
            "the name of the queue has {} bytes; it has 1 to {MAX_QUEUE_NAME} letters, digits, `-`, `_` and `.`",
            name.len()
        );
        Err(PortError::new(
            ErrorKind::Invalid,
            DRIVER,
            "open the queue",
            message,
        ))
    }
}
