//! The same work through the whole engine: expressions, plan, machine, leases, sandbox, store.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nebula::{
    Nebula,
    engine::{EngineConfig, Installed},
    execution::{StartOptions, Status},
    runtime::{WorkerConfig, WorkerStopped},
    telemetry::{Bus, ExecutionEvent, Received, Watcher},
    workflow::WorkflowDefinition,
};
use nebula_core::{Clock, TenantId};
use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_sandbox_inprocess::InProcess;
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::{SystemClock, SystemSpawn};
use tokio::{runtime::Runtime, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Samples,
    floor::Portion,
    repo::Outcome,
    work::{self, Stays, Work},
};

/// What goes wrong before anything is measured.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The engine's threads, as a program has them.
///
/// # Errors
/// The operating system gives none.
pub fn threads() -> io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build()
}

/// What an engine is opened with where that is not what it has where nobody says anything.
#[derive(Debug)]
pub struct Setup {
    /// Whom it tells what happens.
    pub bus: Bus,
    /// The limits of its worker.
    pub worker: WorkerConfig,
    /// Those of what it takes.
    pub engine: EngineConfig,
    /// Whether the attempts of [`work::STAYS`] end.
    pub stays: Stays,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            bus: Bus::new(Bus::DEFAULT_CAPACITY),
            worker: WorkerConfig::default(),
            engine: EngineConfig::default(),
            stays: Stays::NoTime,
        }
    }
}

/// An engine over a database of its own, at work.
#[derive(Debug)]
pub struct Running {
    /// The engine and its worker.
    pub nebula: Nebula,
    /// Its database.
    pub store: Arc<Sqlite>,
    /// Where that is.
    pub path: PathBuf,
    /// Its time.
    pub clock: Arc<SystemClock>,
    shutdown: CancellationToken,
    worker: JoinSet<Result<(), WorkerStopped>>,
}

impl Running {
    /// Opens a database in `folder`, new if there is none, and lets a worker run.
    ///
    /// # Errors
    /// The database cannot be opened.
    pub async fn open(folder: &Path) -> Result<Self, Failed> {
        Self::open_with(folder, Setup::default()).await
    }

    /// The same with some settings of its own.
    ///
    /// # Errors
    /// The database cannot be opened.
    pub async fn open_with(folder: &Path, setup: Setup) -> Result<Self, Failed> {
        let clock = Arc::new(SystemClock::default());
        let path = folder.join("engine.db");
        let store = Arc::new(Sqlite::open(SqliteConfig::file(&path), clock.clone()).await?);
        let queue = Arc::new(MemoryQueue::new(
            MemoryQueueConfig::default(),
            clock.clone(),
        ));
        let sandbox = Arc::new(InProcess::new(clock.clone()));
        let nebula = Nebula::builder(store.clone(), store.clone(), queue, sandbox)
            .actions(work::actions(setup.stays))
            .spawn(Arc::new(SystemSpawn))
            .bus(setup.bus)
            .worker(setup.worker)
            .engine(setup.engine)
            .build()?;
        let shutdown = CancellationToken::new();
        let (running, stop) = (nebula.clone(), shutdown.clone());
        let mut worker = JoinSet::new();
        worker.spawn(async move { running.run(stop).await });
        Ok(Self {
            nebula,
            store,
            path,
            clock,
            shutdown,
            worker,
        })
    }

    /// Stores the plan of a workflow.
    ///
    /// # Errors
    /// The store failed.
    pub async fn install(&self, definition: &WorkflowDefinition) -> Result<Installed, Failed> {
        let engine = self.nebula.engine();
        Ok(engine.install(&TenantId::local(), definition).await?)
    }

    /// Runs `executions` executions of `work`, `clients` at a time; each client waits for its outcome
    /// before it starts the next.
    ///
    /// # Errors
    /// The store failed.
    ///
    /// # Panics
    /// When an execution does not complete.
    pub async fn load(&self, work: Work, executions: u64, clients: u64) -> Result<Outcome, Failed> {
        let (installed, clock) = (self.install(&work.definition()).await?, &self.clock);
        let (begin, next) = (clock.monotonic(), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            let (nebula, installed) = (self.nebula.clone(), installed.clone());
            let (next, clock) = (Arc::clone(&next), Arc::clone(clock));
            tasks.spawn(async move {
                let mut latency = Samples::default();
                while next.fetch_add(1, Ordering::Relaxed) < executions {
                    let from = clock.monotonic();
                    one(&nebula, &installed, work).await;
                    latency.add(clock.monotonic().saturating_sub(from));
                }
                latency
            });
        }
        let mut latency = Samples::default();
        while let Some(client) = tasks.join_next().await {
            latency.extend(client?);
        }
        Ok(Outcome {
            took: clock.monotonic().saturating_sub(begin),
            latency,
            stats: self.store.stats(),
        })
    }

    /// Stops the worker and closes the database.
    ///
    /// # Errors
    /// The worker failed.
    pub async fn stop(mut self) -> Result<(), Failed> {
        self.shutdown.cancel();
        while let Some(stopped) = self.worker.join_next().await {
            stopped??;
        }
        Ok(())
    }
}

/// The next event for which `wanted` holds.
///
/// # Errors
/// Events were lost, or the engine is gone.
pub async fn next(
    watcher: &mut Watcher,
    mut wanted: impl FnMut(&ExecutionEvent) -> bool,
) -> Result<Arc<ExecutionEvent>, Failed> {
    loop {
        match watcher.next().await {
            Some(Received::Event(event)) if wanted(&event) => return Ok(event),
            Some(Received::Event(_)) => {}
            Some(Received::Lost(lost)) => return Err(format!("{lost} events were lost").into()),
            None => return Err("the engine is gone".into()),
        }
    }
}

/// Runs `executions` executions of `work` in a new database in `folder`, `clients` at a time.
///
/// # Errors
/// The database cannot be opened, or failed.
///
/// # Panics
/// When an execution does not complete.
pub async fn run(
    folder: &Path,
    work: Work,
    executions: u64,
    clients: u64,
) -> Result<Outcome, Failed> {
    let running = Running::open(folder).await?;
    let outcome = running.load(work, executions, clients).await?;
    running.stop().await?;
    Ok(outcome)
}

/// What the engine commits for one execution of `work`: the rows of its journal, which the floor writes
/// too.
///
/// # Errors
/// The database cannot be opened, or failed.
///
/// # Panics
/// When the execution does not complete.
pub async fn portions(work: Work) -> Result<Vec<Portion>, Failed> {
    let folder = tempfile::tempdir()?;
    let running = Running::open(folder.path()).await?;
    running.load(work, 1, 1).await?;
    let path = running.path.clone();
    running.stop().await?;
    let db = rusqlite::Connection::open(path)?;
    let mut rows = db.prepare("SELECT count, entries FROM batches ORDER BY first_seq")?;
    let rows = rows.query_map([], |row| {
        Ok(Portion {
            count: row.get(0)?,
            entries: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

async fn one(nebula: &Nebula, installed: &Installed, work: Work) {
    let tenant = TenantId::local();
    let options = StartOptions::default();
    let executed = nebula.execute(&tenant, installed, work.input(), options);
    let (_, end) = executed.await.expect("it starts, and the store answers");
    assert_eq!(end.status, Status::Completed);
}

#[cfg(test)]
mod tests {
    use nebula::engine::Until;

    use super::*;
    use crate::floor;

    fn in_runtime<T>(test: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().build().unwrap().block_on(test)
    }

    #[test]
    fn every_work_comes_to_what_it_must() {
        in_runtime(async {
            let folder = tempfile::tempdir().unwrap();
            let running = Running::open(folder.path()).await.unwrap();
            for work in Work::ALL {
                let installed = running.install(&work.definition()).await.unwrap();
                let (tenant, engine) = (TenantId::local(), running.nebula.engine());
                let options = StartOptions::default();
                let id = running
                    .nebula
                    .start(&tenant, &installed, work.input(), options)
                    .await;
                let report = engine
                    .outcome(&tenant, id.unwrap(), Until::Ended, None)
                    .await;
                let report = report.unwrap().unwrap();
                assert_eq!(report.output, work.output(), "{}", work.name());
                assert_eq!(report.nodes.len(), work.nodes() as usize);
            }
            running.stop().await.unwrap();
        });
    }

    /// A pure chain needs one commit, one with keys another one before each node.
    #[test]
    fn the_floor_writes_what_the_engine_writes() {
        for (work, commits) in [(Work::Chain, 1), (Work::FanOut, 1), (Work::Keyed, 11)] {
            let portions = in_runtime(portions(work)).unwrap();
            assert_eq!(portions.len(), commits, "{}", work.name());
            let folder = tempfile::tempdir().unwrap();
            floor::run(folder.path(), &portions, 3, &SystemClock::default()).unwrap();
            let db = rusqlite::Connection::open(folder.path().join("floor.db")).unwrap();
            let sql = "SELECT count(*), sum(length(entries)), max(first_seq + count) FROM batches";
            let read = |row: &rusqlite::Row<'_>| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, i64>(2)?,
                ))
            };
            let bytes: usize = portions.iter().map(|it| it.entries.len()).sum();
            let entries: i64 = portions.iter().map(|it| it.count).sum();
            let rows = 3 * i64::try_from(commits).unwrap();
            let bytes = 3 * i64::try_from(bytes).unwrap();
            assert_eq!(
                db.query_row(sql, [], read).unwrap(),
                (rows, bytes, entries + 1)
            );
        }
    }
}
