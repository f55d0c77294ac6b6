//! Putting the parts together.

use std::{num::NonZeroUsize, sync::Arc};

use nebula_access::Access;
use nebula_action::{Action, Protected};
use nebula_core::{Clock, Entropy, MemoryPressure, Offload, Spawn};
use nebula_engine::{Engine, EngineConfig, EnginePorts, Looker, QueueKind, Queues};
use nebula_execution::ResumeKey;
use nebula_memory::Values;
use nebula_ports::{
    EventSink, ExecutionRepo, FolderReader, HttpClient, QueueSource, Relay, SandboxRunner, Scratch,
    SecretsStore, TaskQueue, TenantRepo, TriggerRepo, WorkflowRepo,
};
use nebula_registry::{Registry, RegistryError};
use nebula_runtime::{
    HttpPolicy, HttpPolicyError, PacedHttp, Worker, WorkerConfig, WorkerConfigError, WorkerPorts,
};
use nebula_system::{SystemClock, SystemEntropy, ThreadPoolOffload};
use nebula_telemetry::{Bus, Source};

use crate::{Nebula, looks::Looks, running::Others};

/// How many threads do long pure work where the builder is given no pool.
pub const OFFLOAD_THREADS: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// Collects what a [`Nebula`] is made of; from [`Nebula::builder`].
#[derive(Debug)]
#[must_use]
pub struct NebulaBuilder {
    executions: Arc<dyn ExecutionRepo>,
    workflows: Arc<dyn WorkflowRepo>,
    tenants: Option<Arc<dyn TenantRepo>>,
    triggers: Option<Arc<dyn TriggerRepo>>,
    folders: Option<Arc<dyn FolderReader>>,
    scratch: Option<Arc<dyn Scratch>>,
    queues: Option<Queues>,
    queue: Arc<dyn TaskQueue>,
    sandbox: Option<Arc<dyn SandboxRunner>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    offload: Option<Arc<dyn Offload>>,
    spawn: Option<Arc<dyn Spawn>>,
    pressure: Option<Arc<dyn MemoryPressure>>,
    registry: Option<Registry>,
    actions: Vec<Arc<dyn Action>>,
    worker: WorkerConfig,
    engine: EngineConfig,
    protected: Protected,
    bus: Bus,
    relay: Option<Arc<dyn Relay>>,
    values: Option<Values>,
    http: Option<Arc<dyn HttpClient>>,
    access: Option<Access>,
    http_policy: HttpPolicy,
    resume: Option<ResumeKey>,
    sources: Vec<Arc<dyn Source>>,
}

/// Why no engine could be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An action cannot be registered.
    #[error(transparent)]
    Action(#[from] RegistryError),
    /// The operating system gives no threads for long pure work.
    #[error("there are no threads for long pure work: {0}")]
    Threads(#[from] std::io::Error),
    /// A limit is zero.
    #[error("`{0}` is zero; it must be more")]
    Zero(&'static str),
    /// What requests over HTTP are to keep to contradicts itself.
    #[error(transparent)]
    Http(#[from] HttpPolicyError),
    /// The limits of the worker let nothing run.
    #[error(transparent)]
    Worker(#[from] WorkerConfigError),
}

impl NebulaBuilder {
    pub(crate) fn new(
        executions: Arc<dyn ExecutionRepo>,
        workflows: Arc<dyn WorkflowRepo>,
        queue: Arc<dyn TaskQueue>,
        sandbox: Option<Arc<dyn SandboxRunner>>,
    ) -> Self {
        Self {
            executions,
            workflows,
            tenants: None,
            triggers: None,
            folders: None,
            scratch: None,
            queues: None,
            queue,
            sandbox,
            clock: Arc::new(SystemClock::default()),
            entropy: Arc::new(SystemEntropy),
            offload: None,
            spawn: None,
            pressure: None,
            registry: None,
            actions: Vec::new(),
            worker: WorkerConfig::default(),
            engine: EngineConfig::default(),
            protected: Protected::default(),
            bus: Bus::new(Bus::DEFAULT_CAPACITY),
            relay: None,
            values: None,
            http: None,
            access: None,
            http_policy: HttpPolicy::default(),
            resume: None,
            sources: Vec::new(),
        }
    }

    /// Where tenants are settled: the same store as that of executions, which holds them against quotas.
    /// Default: there is one tenant alone, and nothing bounds it.
    pub fn tenants(mut self, tenants: Arc<dyn TenantRepo>) -> Self {
        self.tenants = Some(tenants);
        self
    }

    /// Where triggers stand: the same store as that of workflows and executions, which move them.
    /// Default: none is fired.
    pub fn triggers(mut self, triggers: Arc<dyn TriggerRepo>) -> Self {
        self.triggers = Some(triggers);
        self
    }

    /// What is in the folders that triggers of the type `file` watch. Default: they are not looked at.
    pub fn folders(mut self, folders: Arc<dyn FolderReader>) -> Self {
        self.folders = Some(folders);
        self
    }

    /// Stores that forget, in which what triggers of the type `poll` look with is executed. Default: they do
    /// not look.
    pub fn looks_in(mut self, scratch: Arc<dyn Scratch>) -> Self {
        self.scratch = Some(scratch);
        self
    }

    /// The queues to which triggers listen, by their type, and the secrets with which they are let in there.
    /// Default: they hear nothing.
    pub fn queues(
        mut self,
        sources: impl IntoIterator<Item = (QueueKind, Arc<dyn QueueSource>)>,
        secrets: Arc<dyn SecretsStore>,
    ) -> Self {
        let sources = sources.into_iter().collect();
        self.queues = Some(Queues { sources, secrets });
        self
    }

    /// Another clock than the host's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another source of ids and randomness than the host's.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Another pool for long pure work than one of [`OFFLOAD_THREADS`] threads.
    pub fn offload(mut self, offload: Arc<dyn Offload>) -> Self {
        self.offload = Some(offload);
        self
    }

    /// Drives each execution in a task of its own, so that they share the threads of the host's runtime:
    /// `SystemSpawn` of `nebula_system` does with those of tokio. Default: the task that runs
    /// [`Nebula::run`] drives all of them.
    pub fn spawn(mut self, spawn: Arc<dyn Spawn>) -> Self {
        self.spawn = Some(spawn);
        self
    }

    /// How hard memory is to get. While it is, the worker takes up no execution beside those in its hands,
    /// which go on; with none in its hands, one. Default: not asked.
    pub fn memory_pressure(mut self, pressure: Arc<dyn MemoryPressure>) -> Self {
        self.pressure = Some(pressure);
        self
    }

    /// The actions of another engine ([`Nebula::registry`]), which has checked them, instead of the
    /// built-in ones.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// More actions beside the built-in ones; their schemas and examples are checked.
    pub fn actions(mut self, actions: impl IntoIterator<Item = Arc<dyn Action>>) -> Self {
        self.actions.extend(actions);
        self
    }

    /// The limits of the worker; default [`WorkerConfig::default`].
    pub fn worker(mut self, config: WorkerConfig) -> Self {
        self.worker = config;
        self
    }

    /// The limits of starts and plans; default [`EngineConfig::default`].
    pub fn engine(mut self, config: EngineConfig) -> Self {
        self.engine = config;
        self
    }

    /// Places that no grant opens; default none.
    pub fn protected(mut self, protected: Protected) -> Self {
        self.protected = protected;
        self
    }

    /// Tells those who wait and watch in other processes of a fleet, and hears of what they drive, while
    /// [`Nebula::run`] or [`Nebula::drive`] is polled. Without one, whoever waits for an execution that another
    /// process drives looks into the store now and then.
    pub fn relay(mut self, relay: Arc<dyn Relay>) -> Self {
        self.relay = Some(relay);
        self
    }

    /// A bus of yours, for events of several engines in one place.
    pub fn bus(mut self, bus: Bus) -> Self {
        self.bus = bus;
        self
    }

    /// Where events are shown to those who watch, instead of to those of this process alone.
    pub fn events(self, sink: Arc<dyn EventSink>) -> Self {
        self.bus(Bus::over(sink))
    }

    /// Where large results lie, one by one, and are read from when an expression needs them: beside the
    /// [`SpillingRepo`](nebula_memory::SpillingRepo) over the same blobs that the executions are. Default:
    /// none, and then each is in its journal, and in memory as long as its execution is.
    pub fn values(mut self, values: Values) -> Self {
        self.values = Some(values);
        self
    }

    /// The way out over HTTP, for nodes that were granted a `net:…` capability. Default: none, and then
    /// no action sends anything.
    pub fn http(mut self, client: Arc<dyn HttpClient>) -> Self {
        self.http = Some(client);
        self
    }

    /// The credentials that nodes name. Default: none, and then a node that names one fails. Where they
    /// and this engine have a way out over HTTP, their requests for tokens take the engine's, and keep to
    /// its [`HttpPolicy`].
    pub fn credentials(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// What requests over HTTP keep to: breakers, rates, how many at a time; default
    /// [`HttpPolicy::default`].
    pub fn http_policy(mut self, policy: HttpPolicy) -> Self {
        self.http_policy = policy;
        self
    }

    /// The secret from which the tokens of approvals follow: the same in every process that shares the
    /// store, and kept elsewhere. Default: none, and then approvals have no tokens.
    pub fn resume_key(mut self, key: ResumeKey) -> Self {
        self.resume = Some(key);
        self
    }

    /// One more source of metrics, beside those of the engine itself: what a driver counts.
    pub fn metrics_source(mut self, source: Arc<dyn Source>) -> Self {
        self.sources.push(source);
        self
    }

    /// Checks everything and puts it together; nothing runs yet.
    ///
    /// # Errors
    /// [`BuildError`]: an action that contradicts itself or another, or limits that let nothing run.
    pub fn build(self) -> Result<Nebula, BuildError> {
        self.worker.check()?;
        let limits = [
            ("concurrency", self.engine.concurrency == 0),
            ("sweep_interval", self.engine.sweep_interval.is_zero()),
            ("outcome_interval", self.engine.outcome_interval.is_zero()),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, zero)| *zero) {
            return Err(BuildError::Zero(name));
        }
        self.http_policy.check()?;
        let paced = match self.http {
            None => None,
            Some(client) => {
                let paced = PacedHttp::new(client, self.clock.clone(), self.http_policy)?;
                Some(Arc::new(paced))
            }
        };
        let (mut registry, built_in) = match self.registry {
            Some(registry) => (registry, Vec::new()),
            None => (Registry::default(), nebula_actions::all()),
        };
        for action in built_in {
            registry.take_tested(action)?;
        }
        registry.register_all(self.actions)?;
        let registry = Arc::new(registry);
        let offload = match self.offload {
            Some(offload) => offload,
            None => Arc::new(ThreadPoolOffload::new(OFFLOAD_THREADS)?),
        };
        let access = access(self.access, paced.as_ref());
        let worker_ports = self.sandbox.map(|sandbox| WorkerPorts {
            executions: self.executions.clone(),
            workflows: self.workflows.clone(),
            queue: self.queue.clone(),
            sandbox,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            offload,
            spawn: self.spawn,
            pressure: self.pressure,
            values: self.values.clone(),
            http: paced.clone().map(|it| it as Arc<dyn HttpClient>),
            access: access.clone(),
            resume: self.resume.clone(),
        });
        let looker = self
            .scratch
            .zip(worker_ports.clone())
            .map(|(scratch, ports)| {
                let looks = Looks {
                    scratch,
                    ports,
                    registry: registry.clone(),
                    http: paced.clone(),
                    access: access.clone(),
                    worker: self.worker.clone(),
                    engine: self.engine.clone(),
                    protected: self.protected.clone(),
                };
                Arc::new(looks) as Arc<dyn Looker>
            });
        let executions = self.executions.clone();
        let relay = self.relay.map(|relay| {
            let others = Others {
                relay,
                clock: self.clock.clone(),
                name: self.entropy.uuid().to_string(),
            };
            Arc::new(others)
        });
        let engine_ports = EnginePorts {
            executions: self.executions,
            workflows: self.workflows,
            tenants: self.tenants,
            triggers: self.triggers,
            folders: self.folders,
            looker,
            queues: self.queues,
            queue: self.queue,
            clock: self.clock,
            entropy: self.entropy,
            values: self.values,
            resume: self.resume,
        };
        let (registry_, bus) = (registry.clone(), self.bus.clone());
        let (config, protected) = (self.worker, self.protected);
        let worker =
            worker_ports.map(|ports| Worker::new(ports, registry_, bus, config, protected));
        let engine = Engine::new(
            engine_ports,
            registry.clone(),
            self.bus.clone(),
            self.engine,
        );
        Ok(Nebula::from_parts(
            (engine, worker),
            registry,
            (self.bus, relay),
            (self.sources.into(), executions),
            (paced, access),
        ))
    }
}

/// Credentials whose requests for tokens pass the gates of the engine.
fn access(access: Option<Access>, paced: Option<&Arc<PacedHttp>>) -> Option<Access> {
    let access = access?;
    Some(match paced {
        Some(paced) => access.over(paced.clone()),
        None => access,
    })
}
