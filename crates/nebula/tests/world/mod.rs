//! A world to test the engine in: models of every port, a clock that tests move, and an outside
//! that remembers what was done to it.

// Each test file uses a part of it.
#![allow(dead_code)]

use std::{
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use nebula::{
    Nebula, NebulaBuilder,
    core::{Clock, Entropy, ExecutionId, Groups, MemoryPressure, TenantId, Timestamp},
    engine::{EngineConfig, FireConfig, Installed, Report, Until},
    execution::{Entry, NewExecution, ResumeKey, StartOptions, Status},
    ports::*,
    registry::Registry,
    runtime::WorkerConfig,
    workflow::{Source, parse},
};
use nebula_testkit::{
    Ledger, ManualClock, MemoryExecutionRepo, MemorySandbox, MemoryTaskQueue, MemoryTriggerRepo,
    MemoryWorkflowRepo, SeededEntropy, effects, run_timed,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

mod lives;
mod started;

#[allow(unused_imports, reason = "each test file uses a part of it")]
pub(crate) use lives::{Death, Saved, dies_at_each};
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub(crate) use started::{of, state};

/// The built-in actions, checked once: that would be most of the work of a short test.
static BUILT_IN: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::default();
    let taken = registry.register_all(nebula_actions::all());
    taken.expect("the built-in actions are fit to be registered");
    registry
});

/// Everything that survives a crash of the process under test.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) executions: Arc<MemoryExecutionRepo>,
    pub(crate) workflows: Arc<MemoryWorkflowRepo>,
    pub(crate) triggers: Arc<MemoryTriggerRepo>,
    pub(crate) ledger: Arc<Ledger>,
    lives: Arc<AtomicU64>,
}

impl Default for World {
    fn default() -> Self {
        let clock = ManualClock::default();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let triggers = MemoryTriggerRepo::new(shared.clone());
        let executions = MemoryExecutionRepo::new(shared.clone()).sharing(&triggers);
        let workflows = MemoryWorkflowRepo::new(shared).sharing(&triggers);
        Self::over(clock, executions, workflows, triggers)
    }
}

impl World {
    /// One over these stores.
    pub(crate) fn over(
        clock: ManualClock,
        executions: MemoryExecutionRepo,
        workflows: MemoryWorkflowRepo,
        triggers: MemoryTriggerRepo,
    ) -> Self {
        Self {
            executions: Arc::new(executions),
            workflows: Arc::new(workflows),
            triggers: Arc::new(triggers),
            clock,
            ledger: Arc::default(),
            lives: Arc::default(),
        }
    }

    /// One life of a process: a new engine with a new queue over the same stores.
    pub(crate) fn process(&self) -> Nebula {
        self.process_over(self.executions.clone())
    }

    /// What a process over nothing but models is built of.
    pub(crate) fn builder(&self) -> NebulaBuilder {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let queue = Arc::new(MemoryTaskQueue::new(clock.clone(), 1_000, 100));
        let sandbox = Arc::new(MemorySandbox::new(clock));
        let workflows = self.workflows.clone();
        Nebula::builder(self.executions.clone(), workflows, queue, sandbox)
    }

    /// A process that starts executions and drives none.
    pub(crate) fn starter(&self) -> Nebula {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let queue = Arc::new(MemoryTaskQueue::new(clock.clone(), 1_000, 100));
        let workflows = self.workflows.clone();
        let builder = Nebula::without_worker(self.executions.clone(), workflows, queue);
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        builder
            .clock(clock)
            .entropy(Arc::new(SeededEntropy::new(life + 1)))
            .offload(Arc::new(nebula_testkit::InlineOffload))
            .registry(BUILT_IN.clone())
            .actions(effects(&self.ledger, &self.clock))
            .build()
            .unwrap()
    }

    /// The same, over a repository that may fail.
    pub(crate) fn process_over(&self, executions: Arc<dyn ExecutionRepo>) -> Nebula {
        self.process_with(executions, WorkerConfig::default())
    }

    /// The same with other limits.
    pub(crate) fn process_with(
        &self,
        executions: Arc<dyn ExecutionRepo>,
        config: WorkerConfig,
    ) -> Nebula {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let queue = Arc::new(MemoryTaskQueue::new(clock, 1_000, 100));
        self.process_of(executions, queue, config)
    }

    /// The same with another queue.
    pub(crate) fn process_of(
        &self,
        executions: Arc<dyn ExecutionRepo>,
        queue: Arc<dyn TaskQueue>,
        config: WorkerConfig,
    ) -> Nebula {
        self.process_from((executions, queue), config, EngineConfig::default())
    }

    /// What a process over these stores is built of, with a queue of its own.
    pub(crate) fn builder_here(&self) -> NebulaBuilder {
        let queue = MemoryTaskQueue::new(Arc::new(self.clock.clone()), 1_000, 100);
        let ports: (Arc<dyn ExecutionRepo>, Arc<dyn TaskQueue>) =
            (self.executions.clone(), Arc::new(queue));
        self.builder_from(ports, WorkerConfig::default(), EngineConfig::default())
    }

    /// The same with other limits of the engine.
    pub(crate) fn process_with_engine(&self, engine: EngineConfig) -> Nebula {
        let queue = MemoryTaskQueue::new(Arc::new(self.clock.clone()), 1_000, 100);
        let ports: (Arc<dyn ExecutionRepo>, Arc<dyn TaskQueue>) =
            (self.executions.clone(), Arc::new(queue));
        self.process_from(ports, WorkerConfig::default(), engine)
    }

    fn process_from(
        &self,
        ports: (Arc<dyn ExecutionRepo>, Arc<dyn TaskQueue>),
        config: WorkerConfig,
        engine: EngineConfig,
    ) -> Nebula {
        self.builder_from(ports, config, engine).build().unwrap()
    }

    /// A process that is told so how hard memory is to get.
    pub(crate) fn process_under(&self, pressure: Arc<dyn MemoryPressure>) -> Nebula {
        self.builder_here()
            .memory_pressure(pressure)
            .build()
            .unwrap()
    }

    pub(crate) fn builder_from(
        &self,
        (executions, queue): (Arc<dyn ExecutionRepo>, Arc<dyn TaskQueue>),
        mut config: WorkerConfig,
        engine: EngineConfig,
    ) -> NebulaBuilder {
        // Tests kill more often than a poisoned execution may.
        config.max_grants = 1_000;
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let sandbox = Arc::new(MemorySandbox::new(clock.clone()));
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        Nebula::builder(executions, self.workflows.clone(), queue, sandbox)
            .triggers(self.triggers.clone())
            .clock(clock)
            .entropy(Arc::new(SeededEntropy::new(life + 1)))
            .offload(Arc::new(nebula_testkit::InlineOffload))
            .registry(BUILT_IN.clone())
            .actions(effects(&self.ledger, &self.clock))
            .worker(config)
            .engine(engine)
            .resume_key(ResumeKey::new([7; ResumeKey::BYTES]))
    }

    /// The repository, for a process that dies at one of its calls: before it (false) or after.
    pub(crate) fn mortal(&self, dies_at: Option<(u32, bool)>) -> Arc<Mortal> {
        Mortal::new(self.executions.clone(), dies_at)
    }

    /// Takes the lease of an execution whose own is over, as another worker does, and keeps it.
    pub(crate) async fn seize(&self, id: ExecutionId) {
        let request = LeaseRequest {
            holder: Incarnation(SeededEntropy::new(u64::MAX).uuid()),
            ttl: LONG,
        };
        let acquired = self.executions.acquire(&tenant(), id, request, 1_000).await;
        assert!(matches!(acquired.unwrap(), Acquired::Granted(_)));
    }

    /// Installs a definition written in YAML.
    pub(crate) async fn install(&self, nebula: &Nebula, yaml: &str) -> Installed {
        let parsed = parse(&Source::new("flow.yaml", yaml));
        let definition = parsed
            .definition
            .unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
        match nebula.engine().install(&tenant(), &definition).await {
            Ok(installed) => installed,
            Err(error) => panic!("{error:#?}"),
        }
    }

    /// Starts an execution without input.
    pub(crate) async fn start(&self, nebula: &Nebula, installed: &Installed) -> ExecutionId {
        let options = StartOptions::default();
        let started = nebula
            .start(&tenant(), installed, Value::Null, options)
            .await;
        started.unwrap()
    }

    /// The same, but for that its lease is not handed over: it takes its turn in the queue.
    pub(crate) async fn queue(&self, nebula: &Nebula, installed: &Installed) -> ExecutionId {
        let (tenant, options) = (tenant(), StartOptions::default());
        let engine = nebula.engine();
        let started = engine.start(&tenant, installed, Value::Null, options, None, None);
        started.await.unwrap().id
    }

    /// Installs a definition and starts it without input.
    pub(crate) async fn begin(&self, nebula: &Nebula, yaml: &str) -> ExecutionId {
        let installed = self.install(nebula, yaml).await;
        self.start(nebula, &installed).await
    }

    /// Starts a definition in a new process and lets it run to its end, or until it needs a person.
    pub(crate) async fn run(&self, yaml: &str, input: Value) -> Report {
        let nebula = self.process();
        let installed = self.install(&nebula, yaml).await;
        let id = nebula
            .start(&tenant(), &installed, input, StartOptions::default())
            .await
            .unwrap();
        self.finish(&nebula, id).await
    }

    /// Waits until an execution waits and nobody holds it; some process must run meanwhile.
    pub(crate) async fn waits(&self, nebula: &Nebula, id: ExecutionId) -> Report {
        loop {
            let report = nebula.engine().report(&tenant(), id).await;
            let report = report.unwrap().unwrap();
            if report.status.is_terminal() || report.status == Status::Waiting && !report.leased {
                return report;
            }
            self.clock.sleep(Duration::from_secs(1)).await;
        }
    }

    /// Lets a process work until an execution has ended or needs a person.
    pub(crate) async fn finish(&self, nebula: &Nebula, id: ExecutionId) -> Report {
        with(nebula, self.settled(nebula, id)).await
    }

    /// Waits until an execution has ended or needs a person; some process must run meanwhile. Time
    /// costs nothing here: an expiry in days is waited for.
    pub(crate) async fn settled(&self, nebula: &Nebula, id: ExecutionId) -> Report {
        let (until, tenant) = (Until::EndedOrParked, tenant());
        loop {
            let report = nebula.engine().outcome(&tenant, id, until, None).await;
            let report = report.unwrap().unwrap();
            match report.wake_at {
                Some(due) if report.status == Status::Waiting => {
                    self.clock.sleep(due.since(self.clock.now())).await;
                }
                _ => return report,
            }
        }
    }
}

/// Runs a test in a world of its own, whose clock moves whenever everything waits.
pub(crate) fn in_world<T>(test: impl AsyncFnOnce(World) -> T) -> T {
    let world = World::default();
    run_timed(&world.clock.clone(), test(world))
}

/// The tenant of all tests.
pub(crate) fn tenant() -> TenantId {
    TenantId::local()
}

/// With what triggers start here.
pub(crate) fn config() -> FireConfig {
    FireConfig {
        folder: std::env::temp_dir(),
        vars: json!({ "shop": "north" }),
    }
}

/// Saves and publishes a workflow.
pub(crate) async fn publish(nebula: &Nebula, text: &str) {
    let parsed = parse(&Source::new("w.yaml", text));
    let definition = parsed.definition.expect("it can be read");
    let engine = nebula.engine();
    let saved = engine.save(&tenant(), &definition, None).await.unwrap();
    let (nebula::ports::Saved::New { version, revision }
    | nebula::ports::Saved::Unchanged { version, revision }) = saved
    else {
        panic!("{saved:?}")
    };
    let tenant = tenant();
    let published = engine.publish(&tenant, &definition.id, version, revision);
    let published = published.await.unwrap();
    assert!(
        matches!(published, Published::Published { .. }),
        "{published:?}"
    );
}

/// Lets a process fire and work for so long.
pub(crate) async fn live(world: &World, nebula: &Nebula, span: Duration) {
    let stop = CancellationToken::new();
    tokio::select! {
        biased;
        () = nebula.engine().fire(config(), stop.clone()) => panic!("it stopped to fire"),
        stopped = nebula.run(stop.clone()) => panic!("the worker stopped: {stopped:?}"),
        () = world.clock.sleep(span) => {}
    }
}

/// A repository that lets its process die at one call: before it does anything, or after. It may
/// also answer late, have no room, or not renew.
#[derive(Debug)]
pub(crate) struct Mortal {
    inner: Arc<dyn ExecutionRepo>,
    calls: AtomicU32,
    steps: AtomicU32,
    read: AtomicU64,
    dies_at: u32,
    after: bool,
    dead: CancellationToken,
    late: Mutex<Option<(ManualClock, Duration)>>,
    late_page: Mutex<Option<(ManualClock, Duration)>>,
    full: Mutex<Option<Full>>,
    unrenewed: AtomicU32,
}

/// When a repository has no room, and for whose steps.
#[derive(Debug)]
struct Full {
    clock: ManualClock,
    until: Duration,
    only: Option<ExecutionId>,
}

impl Mortal {
    fn new(inner: Arc<dyn ExecutionRepo>, dies_at: Option<(u32, bool)>) -> Arc<Self> {
        // Calls are counted from 1.
        let (dies_at, after) = dies_at.unwrap_or((0, false));
        Arc::new(Self {
            inner,
            calls: AtomicU32::new(0),
            steps: AtomicU32::new(0),
            read: AtomicU64::new(0),
            dies_at,
            after,
            dead: CancellationToken::new(),
            late: Mutex::default(),
            late_page: Mutex::default(),
            full: Mutex::default(),
            unrenewed: AtomicU32::new(0),
        })
    }

    /// From now on, and for so long, there is no room for steps: of one execution, or of all.
    pub(crate) fn full_for(&self, clock: &ManualClock, long: Duration, only: Option<ExecutionId>) {
        let full = Full {
            clock: clock.clone(),
            until: clock.monotonic() + long,
            only,
        };
        *self.full.lock().unwrap() = Some(full);
    }

    fn is_full_for(&self, id: ExecutionId) -> bool {
        let full = self.full.lock().unwrap();
        full.as_ref().is_some_and(|full| {
            full.clock.monotonic() < full.until && full.only.is_none_or(|only| only == id)
        })
    }

    /// The next so many renewals of leases fail.
    pub(crate) fn renew_in_vain(&self, times: u32) {
        self.unrenewed.store(times, Ordering::Relaxed);
    }

    /// The answer to the next step comes so much later.
    pub(crate) fn answer_step_after(&self, clock: &ManualClock, delay: Duration) {
        *self.late.lock().unwrap() = Some((clock.clone(), delay));
    }

    async fn is_late(&self) {
        let late = self.late.lock().unwrap().take();
        if let Some((clock, delay)) = late {
            clock.sleep(delay).await;
        }
    }

    /// The next page of a journal is read so much later.
    pub(crate) fn read_page_after(&self, clock: &ManualClock, delay: Duration) {
        *self.late_page.lock().unwrap() = Some((clock.clone(), delay));
    }

    /// Ends when the process has died.
    pub(crate) async fn death(&self) {
        self.dead.cancelled().await;
    }

    /// How many steps were written.
    pub(crate) fn steps(&self) -> u32 {
        self.steps.load(Ordering::Relaxed)
    }

    /// How many entries of journals were read.
    pub(crate) fn entries_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        let dies = self.calls.fetch_add(1, Ordering::Relaxed) + 1 == self.dies_at;
        if dies && !self.after {
            self.die().await;
        }
        let answer = call.await;
        if dies {
            self.die().await;
        }
        answer
    }

    async fn die(&self) {
        self.dead.cancel();
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl ExecutionRepo for Mortal {
    async fn create(
        &self,
        tenant: &TenantId,
        new: NewExecution,
        dedupe: Option<DedupeKey>,
        lease: Option<LeaseRequest>,
    ) -> Result<Created> {
        self.call(self.inner.create(tenant, new, dedupe, lease))
            .await
    }

    async fn begin(&self, lease: &Lease, dedupe: Option<DedupeKey>, step: Step) -> Result<Begun> {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.is_late().await;
        if self.is_full_for(lease.execution) {
            let message = "there is no room left";
            return Err(PortError::new(ErrorKind::Full, "test", "begin", message));
        }
        self.call(self.inner.begin(lease, dedupe, step)).await
    }

    async fn acquire(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        lease: LeaseRequest,
        max: u32,
    ) -> Result<Acquired> {
        self.call(self.inner.acquire(tenant, id, lease, max)).await
    }

    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Renewed>> {
        let left = self.unrenewed.load(Ordering::Relaxed);
        if let Some(left) = left.checked_sub(1) {
            self.unrenewed.store(left, Ordering::Relaxed);
            let message = "nobody is there";
            return Err(PortError::new(
                ErrorKind::Unavailable,
                "test",
                "renew",
                message,
            ));
        }
        self.call(self.inner.renew(leases)).await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.call(self.inner.release(lease)).await
    }

    async fn step(&self, lease: &Lease, step: Step) -> Result<Stepped> {
        self.steps.fetch_add(1, Ordering::Relaxed);
        if self.is_full_for(lease.execution) {
            let message = "there is no room left";
            return Err(PortError::new(ErrorKind::Full, "test", "step", message));
        }
        let stepped = self.call(self.inner.step(lease, step)).await;
        self.is_late().await;
        stepped
    }

    async fn journal(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        from: u64,
        limit: usize,
    ) -> Result<JournalPage> {
        let late = self.late_page.lock().unwrap().take();
        if let Some((clock, delay)) = late {
            clock.sleep(delay).await;
        }
        let page = self.call(self.inner.journal(tenant, id, from, limit)).await;
        let read = page.as_ref().map_or(0, |page| page.entries.len());
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        page
    }

    async fn inbox(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<InboxItem>> {
        self.call(self.inner.inbox(tenant, id, after, limit)).await
    }

    async fn signal(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        signal: NewSignal,
    ) -> Result<Signalled> {
        self.call(self.inner.signal(tenant, id, signal)).await
    }

    async fn migrate(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        expected_seq: u64,
        entry: Entry,
    ) -> Result<Moved> {
        self.call(self.inner.migrate(tenant, id, expected_seq, entry))
            .await
    }

    async fn slots(
        &self,
        tenant: &TenantId,
        key: &SlotKey,
        limit: usize,
    ) -> Result<Vec<SlotHolder>> {
        self.call(self.inner.slots(tenant, key, limit)).await
    }

    async fn waiting_on(&self, tenant: &TenantId, token: WaitToken) -> Result<Option<ExecutionId>> {
        self.call(self.inner.waiting_on(tenant, token)).await
    }

    async fn runnable(
        &self,
        rung_before: Timestamp,
        groups: &Groups,
        limit: usize,
    ) -> Result<RunnablePage> {
        self.call(self.inner.runnable(rung_before, groups, limit))
            .await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.inner.backlog().await
    }

    async fn usage(&self, tenant: &TenantId) -> Result<Usage> {
        self.inner.usage(tenant).await
    }

    async fn get(&self, tenant: &TenantId, id: ExecutionId) -> Result<Option<ExecutionSummary>> {
        self.inner.get(tenant, id).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<ExecutionSummary>> {
        self.inner.list(tenant, filter, after, limit).await
    }

    async fn changes(
        &self,
        tenant: &TenantId,
        after: Option<&ChangeCursor>,
        limit: usize,
    ) -> Result<Changes> {
        self.inner.changes(tenant, after, limit).await
    }

    async fn delete_ended(
        &self,
        tenant: &TenantId,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        self.inner.delete_ended(tenant, before, limit).await
    }
}

/// Lets a process work while a test talks to it.
pub(crate) async fn with<T>(nebula: &Nebula, talk: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        stopped = nebula.run(CancellationToken::new()) => panic!("the worker stopped: {stopped:?}"),
        done = talk => done,
    }
}

/// The states of all nodes, as `a:succeeded b:skipped`.
pub(crate) fn states(report: &Report) -> String {
    let states = report.nodes.iter().map(|(id, activations)| {
        let states: Vec<_> = activations
            .iter()
            .map(|a| a["status"].as_str().unwrap_or("?").to_owned())
            .collect();
        format!("{id}:{}", states.join(","))
    });
    states.collect::<Vec<_>>().join(" ")
}

/// A long wait, in the clock's time.
pub(crate) const LONG: Duration = Duration::from_secs(3_600);
