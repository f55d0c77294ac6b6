//! How much a queue holds and how often it tries.

use std::num::{NonZeroU32, NonZeroUsize};

use serde::{Deserialize, Serialize};

/// The limits of a [`MemoryQueue`](crate::MemoryQueue). Shape: `{ "capacity": 65536, "max_deliveries": 16 }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryQueueConfig {
    /// For how many executions there is room, waiting or in somebody's hands; a ring for another is
    /// dropped and counted. Dead tasks have as much room of their own. Default: 65,536.
    pub capacity: NonZeroUsize,
    /// How often a task is delivered before it is dead. Default: 16.
    pub max_deliveries: NonZeroU32,
}

impl Default for MemoryQueueConfig {
    fn default() -> Self {
        Self {
            capacity: NonZeroUsize::new(65_536).expect("it is not zero"),
            max_deliveries: NonZeroU32::new(16).expect("it is not zero"),
        }
    }
}
