//! The only file that names drivers: from settings to an engine that can run.

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc};

use nebula::Nebula;
use nebula_action::Protected;
use nebula_core::{Clock, Offload};
use nebula_execution::ResumeKey;
use nebula_http_reqwest::{HttpConfig, Reqwest};
use nebula_ports::{ExecutionRepo, SandboxRunner, TaskQueue, WorkflowRepo};
use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_sandbox_inprocess::InProcess;
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::{SystemClock, ThreadPoolOffload};

use crate::{
    failure::Failure,
    focus::Focus,
    resume_key,
    settings::{Loaded, Place, Settings},
};

/// How many threads touch files for actions, at most.
const FILE_THREADS: usize = 4;

/// An engine, with what commands need beside it.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) nebula: Nebula,
    pub(crate) executions: Arc<dyn ExecutionRepo>,
    pub(crate) focus: Arc<Focus>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// An engine over the database of the command.
pub(crate) async fn compose(loaded: &Loaded) -> Result<Composed, Failure> {
    let config = storage(&loaded.settings, &loaded.place);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let sqlite = Arc::new(Sqlite::open(config, Arc::clone(&clock)).await?);
    let resume = resume_key::of(&loaded.place)?;
    assemble(loaded, sqlite, clock, resume)
}

/// An engine that checks definitions and inputs; it leaves nothing on disk.
pub(crate) async fn offline(loaded: &Loaded) -> Result<Composed, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let sqlite = Arc::new(Sqlite::open(SqliteConfig::ephemeral(), Arc::clone(&clock)).await?);
    assemble(loaded, sqlite, clock, resume_key::of(&Place::Memory)?)
}

fn storage(settings: &Settings, place: &Place) -> SqliteConfig {
    SqliteConfig {
        path: place.path().cloned(),
        create_folder: matches!(place, Place::Usual(_)),
        busy_timeout: settings.database.busy_timeout,
        max_size: settings.database.max_size,
        ..SqliteConfig::default()
    }
}

fn assemble(
    loaded: &Loaded,
    sqlite: Arc<Sqlite>,
    clock: Arc<dyn Clock>,
    resume: ResumeKey,
) -> Result<Composed, Failure> {
    let executions: Arc<dyn ExecutionRepo> = sqlite.clone();
    let workflows: Arc<dyn WorkflowRepo> = sqlite;
    let bell = MemoryQueue::new(MemoryQueueConfig::default(), Arc::clone(&clock));
    let focus = Arc::new(Focus::new(Arc::new(bell), executions.clone()));
    let queue: Arc<dyn TaskQueue> = focus.clone();
    let sandbox: Arc<dyn SandboxRunner> = Arc::new(InProcess::new(Arc::clone(&clock)));
    let threads = NonZeroUsize::new(FILE_THREADS).expect("the number is not zero");
    let offload: Arc<dyn Offload> = Arc::new(ThreadPoolOffload::new(threads).map_err(|error| {
        Failure::environment("THREADS", format!("no threads for file work: {error}"))
    })?);
    let http = Reqwest::new(HttpConfig::default(), Arc::clone(&clock))
        .map_err(|error| Failure::environment("HTTP", format!("no way out over HTTP: {error}")))?;
    let nebula = Nebula::builder(executions.clone(), workflows, queue, sandbox)
        .clock(Arc::clone(&clock))
        .http(Arc::new(http))
        .actions(nebula_action_file::all(offload))
        .engine(loaded.settings.engine.clone())
        .worker(loaded.settings.worker.clone())
        .protected(protected(loaded))
        .resume_key(resume)
        .build()
        .map_err(|error| Failure::invalid("SETTINGS", error.to_string()))?;
    Ok(Composed {
        nebula,
        executions,
        focus,
        clock,
    })
}

/// What no grant opens: the engine's data and settings, and the database with its companions, each
/// also by the path to which links lead.
pub(crate) fn protected(loaded: &Loaded) -> Protected {
    let mut closed: Vec<PathBuf> = vec![loaded.folders.data.clone(), loaded.folders.config.clone()];
    if let Some(path) = loaded.place.path() {
        for suffix in ["", "-wal", "-shm", "-holders", resume_key::SUFFIX] {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            closed.push(name.into());
        }
    }
    let mut real = Vec::new();
    for path in &closed {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            continue;
        };
        // The file itself may not be there yet; its folder mostly is.
        if let Ok(folder) = folder.canonicalize() {
            real.push(folder.join(name));
        }
        real.extend(path.canonicalize());
    }
    closed.extend(real);
    Protected::new(closed)
}
