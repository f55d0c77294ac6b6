//! A long list or a large value through the whole engine: what it takes in time, memory and bytes on disk.

use std::{path::Path, sync::Arc, time::Duration};

use nebula::{
    Nebula,
    engine::{EngineConfig, Until},
    execution::{StartOptions, Status},
    runtime::WorkerConfig,
    workflow::{Source, parse},
};
use nebula_core::{ByteSize, Clock, TenantId};
use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_sandbox_inprocess::InProcess;
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::SystemClock;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Room for the large values, which is more than there is where nobody asks for it.
const MAX_SIZE: ByteSize = ByteSize::mib(64);

/// What goes wrong before anything is measured.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Runs the workflow `yaml` once in a new database in `folder`; gives how long that took.
///
/// # Errors
/// The database cannot be opened, or the definition is wrong.
///
/// # Panics
/// When the execution does not complete.
pub async fn run(folder: &Path, yaml: &str, input: Value) -> Result<Duration, Failed> {
    let clock = Arc::new(SystemClock::default());
    let store =
        Arc::new(Sqlite::open(SqliteConfig::file(folder.join("lists.db")), clock.clone()).await?);
    let queue = Arc::new(MemoryQueue::new(
        MemoryQueueConfig::default(),
        clock.clone(),
    ));
    let sandbox = Arc::new(InProcess::new(clock.clone()));
    let worker = WorkerConfig {
        max_output: MAX_SIZE,
        ..WorkerConfig::default()
    };
    let nebula = Nebula::builder(store.clone(), store, queue, sandbox)
        .worker(worker)
        .engine(EngineConfig {
            max_input: MAX_SIZE,
            ..EngineConfig::default()
        })
        .build()?;
    let tenant = TenantId::local();
    let source = Source::new("bench-list.yaml", yaml);
    let parsed = parse(&source);
    let definition = parsed
        .definition
        .ok_or_else(|| format!("{:?}", parsed.diagnostics))?;
    let installed = nebula.engine().install(&tenant, &definition).await?;
    let shutdown = CancellationToken::new();
    let (worker, stop) = (nebula.clone(), shutdown.clone());
    let mut workers = tokio::task::JoinSet::new();
    workers.spawn(async move { worker.run(stop).await });
    let begin = clock.monotonic();
    let id = nebula
        .start(&tenant, &installed, input, StartOptions::default())
        .await?;
    let status = nebula
        .engine()
        .wait(&tenant, id, Until::Ended, None)
        .await?;
    let took = clock.monotonic().saturating_sub(begin);
    shutdown.cancel();
    while let Some(stopped) = workers.join_next().await {
        stopped??;
    }
    // A report has a copy of every result: it is asked for only to say what went wrong.
    if status != Some(Status::Completed) {
        let report = nebula.engine().report(&tenant, id).await?;
        panic!("{status:?}: {:?}", report.and_then(|report| report.error));
    }
    Ok(took)
}
