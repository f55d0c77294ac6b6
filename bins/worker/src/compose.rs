//! The only file that names drivers: from settings to a worker that can run.

use std::sync::Arc;

use nebula_cluster::Sweep;
use nebula_core::Clock;
use nebula_fleet::{
    compose::{self, NoPrograms, Opened},
    settings::{Loaded, Settings as _},
};
use nebula_ports::{ExecutionRepo, HttpClient, Relay, SandboxRunner};
use nebula_program::{failure::Failure, limits::within_memory};
use nebula_registry::Registry;
use nebula_runtime::{PacedHttp, Worker, WorkerConfig, WorkerPorts};
use nebula_sandbox_inprocess::InProcess;
use nebula_system::{Host, HostPressure, SystemEntropy, SystemSpawn};
use nebula_telemetry::{Bus, Source};

use crate::settings::WorkerSettings;

/// A worker, with what its program needs beside it.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) worker: Worker,
    pub(crate) executions: Arc<dyn ExecutionRepo>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bus: Bus,
    pub(crate) http: Arc<PacedHttp>,
    pub(crate) sources: Vec<Arc<dyn Source>>,
    /// Finds work that nobody rang for, where the queue is of this process alone.
    pub(crate) sweep: Option<Sweep>,
    /// How those who wait and watch in other processes are told, where there are any.
    pub(crate) relay: Option<Arc<dyn Relay>>,
}

/// A worker over what the settings name.
pub(crate) async fn compose(loaded: &Loaded<WorkerSettings>) -> Result<Composed, Failure> {
    let settings = &loaded.settings;
    let groups = settings.pool.takes()?;
    let opened = compose::open(loaded, crate::VERSION).await?;
    let actions = compose::actions(&opened, &settings.groups(), Arc::new(NoPrograms));
    let Opened {
        store,
        queue,
        queue_is_shared,
        relay,
        values,
        access,
        http,
        resume,
        protected,
        clock,
        offload,
        sources,
        ..
    } = opened;
    let wrong = |message: String| Failure::invalid("SETTINGS", message);
    let mut registry = Registry::default();
    for action in nebula_actions::all() {
        let taken = registry.take_tested(action);
        taken.map_err(|error| wrong(error.to_string()))?;
    }
    let registered = registry.register_all(actions);
    registered.map_err(|error| wrong(error.to_string()))?;
    let paced = PacedHttp::new(http, Arc::clone(&clock), settings.http.clone());
    let paced = Arc::new(paced.map_err(|error| wrong(error.to_string()))?);
    let sandbox: Arc<dyn SandboxRunner> = Arc::new(InProcess::new(Arc::clone(&clock)));
    let sweep = (!queue_is_shared).then(|| Sweep {
        executions: store.executions.clone(),
        queue: queue.clone(),
        clock: clock.clone(),
        every: settings.sweep.every,
        ring_again: settings.sweep.ring_again,
        groups: groups.clone(),
    });
    let ports = WorkerPorts {
        executions: store.executions.clone(),
        workflows: store.workflows,
        queue,
        sandbox,
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        offload,
        spawn: Some(Arc::new(SystemSpawn)),
        pressure: Some(Arc::new(HostPressure::new(Arc::clone(&clock)))),
        values: Some(values),
        http: Some(paced.clone() as Arc<dyn HttpClient>),
        access: Some(access.over(paced.clone())),
        resume: Some(resume),
    };
    let bus = Bus::new(Bus::DEFAULT_CAPACITY);
    let limits = WorkerConfig {
        groups,
        ..settings.worker.clone()
    };
    let limits = within_memory(limits, &Host::read());
    let worker = Worker::new(ports, Arc::new(registry), bus.clone(), limits, protected);
    Ok(Composed {
        worker,
        executions: store.executions,
        clock,
        bus,
        http: paced,
        sources,
        sweep,
        relay,
    })
}
