//! What a preset decides for every plan.

use std::time::Duration;

/// Bounds that a preset sets for every plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanSettings {
    /// The most attempts of one execution at the same time; workflow and node may ask for less. Default 16.
    pub concurrency: u32,
    /// The longest time for an attempt where neither node nor action says anything. Default 5 minutes.
    pub attempt_timeout: Duration,
}

impl Default for PlanSettings {
    fn default() -> Self {
        Self {
            concurrency: 16,
            attempt_timeout: Duration::from_secs(300),
        }
    }
}
