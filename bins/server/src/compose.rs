//! The only file that names drivers: from settings to an engine and its worker.

use std::sync::Arc;

use async_trait::async_trait;
use nebula::{Nebula, engine::QueueKind};
use nebula_control_plane::Composed;
use nebula_core::{Clock, Groups};
use nebula_fleet::{
    compose,
    settings::{Loaded, PoolSettings, Settings as _},
};
use nebula_ports::{ProgramRunner, QueueSource, SandboxRunner, Scratch, ScratchStores};
use nebula_program::{failure::Failure, limits::within_memory};
use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_runtime::WorkerConfig;
use nebula_sandbox_inprocess::InProcess;
use nebula_sandbox_process::{ProcessConfig, Programs};
use nebula_serve::{Duties, Share};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::{Host, HostPressure, SystemSpawn};
use nebula_trigger_mqtt::{Mqtt, Trusting};

use crate::settings::ServerSettings;

/// An engine and its worker over what the settings name.
pub(crate) async fn compose(loaded: &Loaded<ServerSettings>) -> Result<Composed, Failure> {
    let settings = &loaded.settings;
    let opened = compose::open(loaded, crate::VERSION).await?;
    // Alone, there is nobody else to take what is for a group.
    let groups = match opened.queue_is_shared || settings.pool != PoolSettings::default() {
        true => settings.pool.takes()?,
        false => Groups::All,
    };
    let mut engine = settings.engine.clone();
    if !opened.queue_is_shared {
        engine.groups = groups.clone();
    }
    let worker = WorkerConfig {
        groups,
        ..settings.worker.clone()
    };
    let (store, clock) = (&opened.store, &opened.clock);
    let trusting = nebula_http_reqwest::trusting(&settings.connections.ca_files);
    let trusting = trusting
        .map_err(|error| Failure::environment("HTTP", format!("no way out over TLS: {error}")))?;
    let trusting: Trusting = Arc::new(trusting);
    let mqtt = Mqtt::new(clock.clone(), trusting.clone());
    #[cfg_attr(
        not(feature = "redis"),
        expect(unused_mut, reason = "there is one kind")
    )]
    let mut queues: Vec<(_, Arc<dyn QueueSource>)> = vec![(QueueKind::Mqtt, Arc::new(mqtt))];
    #[cfg(feature = "redis")]
    {
        let streams = nebula_trigger_redis::RedisStreams::new(clock.clone(), trusting);
        queues.push((QueueKind::Redis, Arc::new(streams)));
    }
    let folders =
        nebula_action_file::Folders::new(opened.offload.clone(), opened.protected.clone());
    let allow = settings.process.allow.clone();
    let programs = Programs::new(ProcessConfig { allow }, clock.clone());
    let programs: Arc<dyn ProgramRunner> = Arc::new(programs);
    let sandbox: Arc<dyn SandboxRunner> = Arc::new(InProcess::new(clock.clone()));
    let mut nebula = Nebula::builder(
        store.executions.clone(),
        store.workflows.clone(),
        opened.queue.clone(),
        sandbox,
    )
    .tenants(store.tenants.clone())
    .triggers(store.triggers.clone())
    .values(opened.values.clone())
    .clock(clock.clone())
    .spawn(Arc::new(SystemSpawn))
    .memory_pressure(Arc::new(HostPressure::new(clock.clone())))
    .http(opened.http.clone())
    .http_policy(settings.http.clone())
    .credentials(opened.access.clone())
    .actions(compose::actions(
        &opened,
        &settings.groups(),
        programs.clone(),
    ))
    .actions(nebula_sandbox_process::actions(programs))
    .folders(Arc::new(folders))
    .queues(queues, opened.secrets.clone())
    .looks_in(Arc::new(InMemory(clock.clone())))
    .engine(engine)
    .worker(within_memory(worker, &Host::read()))
    .protected(opened.protected.clone())
    .resume_key(opened.resume.clone());
    for source in &opened.sources {
        nebula = nebula.metrics_source(source.clone());
    }
    if let Some(relay) = &opened.relay {
        nebula = nebula.relay(relay.clone());
    }
    let nebula = nebula
        .build()
        .map_err(|error| Failure::invalid("SETTINGS", error.to_string()))?;
    let sweep = match opened.queue_is_shared {
        true => Share::One,
        false => Share::Each,
    };
    let duties = Duties {
        sweep,
        fire: Share::One,
    };
    Ok(Composed {
        nebula,
        opened,
        duties,
    })
}

/// Stores in memory, for what triggers look with.
#[derive(Debug)]
struct InMemory(Arc<dyn Clock>);

#[async_trait]
impl Scratch for InMemory {
    async fn open(&self) -> nebula_ports::Result<ScratchStores> {
        let clock = || Arc::clone(&self.0);
        let sqlite = Arc::new(Sqlite::open(SqliteConfig::ephemeral(), clock()).await?);
        Ok(ScratchStores {
            executions: sqlite.clone(),
            workflows: sqlite,
            queue: Arc::new(MemoryQueue::new(MemoryQueueConfig::default(), clock())),
        })
    }
}
