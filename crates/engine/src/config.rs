//! The limits of an engine.

use std::time::Duration;

use nebula_core::{ByteSize, Groups, serde_duration};
use nebula_execution::MAX_VALUE_DEPTH;
use nebula_planner::PlanSettings;
use serde::{Deserialize, Serialize};

/// The limits of an engine. JSON: spans of time and sizes as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// The largest input of an execution, as compact JSON. Default 16 MiB.
    pub max_input: ByteSize,
    /// The deepest nesting of an input, at most [`MAX_VALUE_DEPTH`], which is the default.
    pub max_input_depth: usize,
    /// How often the sweep looks at least. Default 1 s.
    #[serde(with = "serde_duration")]
    pub sweep_interval: Duration,
    /// How often whoever fires triggers looks at least, for what other processes publish and for jumps of
    /// the clock. Default 5 s.
    #[serde(with = "serde_duration")]
    pub triggers_interval: Duration,
    /// How long after a ring an execution that nobody took is rung for again. Default 10 s.
    #[serde(with = "serde_duration")]
    pub ring_again: Duration,
    /// How often a waiting caller looks at the store, beside listening to events. Default 250 ms.
    #[serde(with = "serde_duration")]
    pub outcome_interval: Duration,
    /// How near the expiry of an approval must be for [`crate::Until::EndedOrParked`] to wait for it:
    /// people answer in their own time, and whoever starts an execution wants to be told that it asks.
    /// Default 10 s.
    #[serde(with = "serde_duration")]
    pub expiry_is_near: Duration,
    /// How near the timeout of a wait for a signal must be for that: signals come from programs, which
    /// are quick. Default 1 h.
    #[serde(with = "serde_duration")]
    pub signal_is_near: Duration,
    /// When a start that was refused because others run may be tried again. Default 5 s.
    #[serde(with = "serde_duration")]
    pub try_after: Duration,
    /// The most attempts of one execution at the same time. Default 16.
    pub concurrency: u32,
    /// The longest time for an attempt where neither node nor action says anything. Default 5 minutes.
    #[serde(with = "serde_duration")]
    pub attempt_timeout: Duration,
    /// For whose work the sweep rings: those who hear the queue. Default all.
    #[serde(skip)]
    pub groups: Groups,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let plans = PlanSettings::default();
        Self {
            max_input: ByteSize::mib(16),
            max_input_depth: MAX_VALUE_DEPTH,
            sweep_interval: Duration::from_secs(1),
            triggers_interval: Duration::from_secs(5),
            ring_again: Duration::from_secs(10),
            outcome_interval: Duration::from_millis(250),
            expiry_is_near: Duration::from_secs(10),
            signal_is_near: Duration::from_hours(1),
            try_after: Duration::from_secs(5),
            concurrency: plans.concurrency,
            attempt_timeout: plans.attempt_timeout,
            groups: Groups::All,
        }
    }
}

impl EngineConfig {
    /// What every plan is bounded by.
    pub(crate) fn plan_settings(&self) -> PlanSettings {
        PlanSettings {
            concurrency: self.concurrency,
            attempt_timeout: self.attempt_timeout,
        }
    }
}
