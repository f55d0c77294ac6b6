//! Which programs may run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How many programs of one engine run at a time; others wait for their turn.
pub const MAX_RUNNING: usize = 16;

/// Which programs may run. By default, none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessConfig {
    /// The programs, by their absolute paths, as nodes name them.
    pub allow: Vec<PathBuf>,
}
