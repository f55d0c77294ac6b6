//! A long list or a large value through the whole engine: what it takes in time, memory and bytes on disk.

use std::{path::Path, time::Duration};

use nebula::{
    engine::{EngineConfig, Until},
    execution::{StartOptions, Status},
    runtime::WorkerConfig,
    workflow::{Source, parse},
};
use nebula_core::{ByteSize, Clock, TenantId};
use serde_json::Value;

use crate::engine::{Failed, Running, Setup};

/// Room for the large values, which is more than there is where nobody asks for it.
const MAX_SIZE: ByteSize = ByteSize::mib(64);

/// Runs the workflow `yaml` once in a new database in `folder`; gives how long that took.
///
/// # Errors
/// The database cannot be opened, or the definition is wrong.
///
/// # Panics
/// When the execution does not complete.
pub async fn run(folder: &Path, yaml: &str, input: Value) -> Result<Duration, Failed> {
    let worker = WorkerConfig {
        max_output: MAX_SIZE,
        ..WorkerConfig::default()
    };
    let engine = EngineConfig {
        max_input: MAX_SIZE,
        ..EngineConfig::default()
    };
    let setup = Setup {
        worker,
        engine,
        ..Setup::default()
    };
    let running = Running::open_with(folder, setup).await?;
    let (tenant, nebula, clock) = (TenantId::local(), &running.nebula, &running.clock);
    let parsed = parse(&Source::new("bench-list.yaml", yaml));
    let definition = parsed
        .definition
        .ok_or_else(|| format!("{:?}", parsed.diagnostics))?;
    let installed = running.install(&definition).await?;
    let begin = clock.monotonic();
    let id = nebula
        .start(&tenant, &installed, input, StartOptions::default())
        .await?;
    let status = nebula
        .engine()
        .wait(&tenant, id, Until::Ended, None)
        .await?;
    let took = clock.monotonic().saturating_sub(begin);
    // A report has a copy of every result: it is asked for only to say what went wrong.
    if status != Some(Status::Completed) {
        let report = nebula.engine().report(&tenant, id).await?;
        panic!("{status:?}: {:?}", report.and_then(|report| report.error));
    }
    running.stop().await?;
    Ok(took)
}
