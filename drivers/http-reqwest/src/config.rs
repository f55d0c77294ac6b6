//! What the client is set to.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

/// How many addresses of one name are connected to, one after the other; all are checked.
pub const MAX_ADDRESSES: usize = 16;

/// How many lines the head of an answer may have.
pub const MAX_HEADER_LINES: usize = 256;

/// Settings of [`Reqwest`](crate::Reqwest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Longest time for a connection, over all addresses of a name, TLS included; default 10 s.
    #[serde(with = "nebula_core::serde_duration")]
    pub connect_timeout: Duration,
    /// For how long a connection that nobody uses is kept; default 30 s.
    #[serde(with = "nebula_core::serde_duration")]
    pub keep_idle: Duration,
    /// How many connections that nobody uses are kept for one destination; default 8.
    pub idle_connections: usize,
    /// For how long the pool of a destination is kept that nobody asks for; default 5 minutes. A name
    /// whose addresses change has a new pool, and the old one goes.
    #[serde(with = "nebula_core::serde_duration")]
    pub keep_destination: Duration,
    /// For how many destinations connections are kept; the one that was used longest ago goes; default 64.
    pub destinations: NonZeroUsize,
    /// PEM files with certificates to trust beside those of the system; default none.
    pub ca_files: Vec<PathBuf>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            keep_idle: Duration::from_secs(30),
            idle_connections: 8,
            keep_destination: Duration::from_secs(300),
            destinations: NonZeroUsize::new(64).expect("the number is not zero"),
            ca_files: Vec::new(),
        }
    }
}
