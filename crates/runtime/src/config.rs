//! The limits of a worker.

use std::time::Duration;

use nebula_core::{ByteSize, Groups, serde_duration};
use serde::{Deserialize, Serialize};

/// The limits of a worker. JSON: spans of time and sizes as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerConfig {
    /// The most executions in memory at the same time. Default 64.
    pub executions: usize,
    /// How long a lease lasts without renewal; it is renewed after a third of it. Default 10 s.
    #[serde(with = "serde_duration")]
    pub lease_ttl: Duration,
    /// How long before the store lets a lease go this worker counts it as gone. Default 1 s.
    #[serde(with = "serde_duration")]
    pub lease_margin: Duration,
    /// How many grants without progress park an execution as poison. Default 5.
    pub max_grants: u32,
    /// How long attempts may still run after they were told to stop. Default 5 s.
    #[serde(with = "serde_duration")]
    pub grace: Duration,
    /// Up to this long an execution waits in memory for a timer or retry; longer, its lease is given back. Default 1 s.
    #[serde(with = "serde_duration")]
    pub wait_in_memory: Duration,
    /// The largest result of an attempt, as compact JSON. Default 16 MiB.
    pub max_output: ByteSize,
    /// About how much memory the values of one execution take at most: its input, results, lists and
    /// signals; shared ones count once. A node whose result or list passes it fails with
    /// MEMORY_LIMIT. Attempts under way are not counted. Default 1 GiB.
    pub execution_memory: ByteSize,
    /// About how much memory the values of all executions in this worker's hands take before it takes
    /// no other one: that one waits until some of them end or rest. Those in its hands go on, each up
    /// to its own limit, and one alone is always taken. Default 2 GiB.
    pub memory: ByteSize,
    /// About how much memory the states of executions take that rest, and are kept in case they go on
    /// here soon; nothing else waits for it, and where memory is short it is given up first. 0 keeps
    /// none. Default 64 MiB.
    pub kept_states: ByteSize,
    /// The most elements of a `for_each`. Default 1,000,000.
    pub max_items: u32,
    /// Pure work on an input of more values than this leaves the async threads. Default 10,000.
    pub offload_values: usize,
    /// A step is committed at the latest when so many entries wait. Default 256.
    pub flush_entries: usize,
    /// Or when the results in them have about so many bytes. Default 1 MiB.
    pub flush_bytes: ByteSize,
    /// Or when the oldest of them has waited for so long, looked at between two attempts. Default 100 ms.
    #[serde(with = "serde_duration")]
    pub flush_after: Duration,
    /// A snapshot of the state is kept after so many entries. Default 2,000.
    pub snapshot_entries: u64,
    /// A larger state is kept as its journal alone, which takes longer to load. Not more than a store
    /// takes in one step, less what entries need beside it. Default 48 MiB.
    pub max_snapshot: ByteSize,
    /// How many plans are kept in memory. Default 64.
    pub plans: usize,
    /// Whether a failure of the store itself stops the worker, rather than being tried again. Default false.
    pub stop_on_store_failure: bool,
    /// For which groups it takes executions; whoever composes it says so. Default all.
    #[serde(skip)]
    pub groups: Groups,
}

/// Why a worker with these limits would do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerConfigError {
    /// A limit is zero.
    #[error("`{0}` is zero; it must be more")]
    Zero(&'static str),
    /// A lease would be over before it begins.
    #[error("`lease_ttl` must be longer than `lease_margin`")]
    Lease,
}

impl WorkerConfig {
    /// Checks that a worker with these limits can work.
    ///
    /// # Errors
    /// [`WorkerConfigError`]: which limit lets nothing run.
    pub fn check(&self) -> Result<(), WorkerConfigError> {
        let limits = [
            ("executions", self.executions == 0),
            ("max_grants", self.max_grants == 0),
            ("execution_memory", self.execution_memory.as_u64() == 0),
            ("memory", self.memory.as_u64() == 0),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, zero)| *zero) {
            return Err(WorkerConfigError::Zero(name));
        }
        match self.lease_ttl <= self.lease_margin {
            true => Err(WorkerConfigError::Lease),
            false => Ok(()),
        }
    }
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            executions: 64,
            lease_ttl: Duration::from_secs(10),
            lease_margin: Duration::from_secs(1),
            max_grants: 5,
            grace: Duration::from_secs(5),
            wait_in_memory: Duration::from_secs(1),
            max_output: ByteSize::mib(16),
            execution_memory: ByteSize::mib(1024),
            memory: ByteSize::mib(2048),
            kept_states: ByteSize::mib(64),
            max_items: 1_000_000,
            offload_values: 10_000,
            flush_entries: 256,
            flush_bytes: ByteSize::mib(1),
            flush_after: Duration::from_millis(100),
            snapshot_entries: 2_000,
            max_snapshot: ByteSize::mib(48),
            plans: 64,
            stop_on_store_failure: false,
            groups: Groups::All,
        }
    }
}
