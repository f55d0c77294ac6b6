//! A world to test the engine in: models of every port, a clock that tests move, and an outside
//! that remembers what was done to it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use nebula::{
    Nebula,
    action::{
        Action, ActionContext, ActionError, ActionMetadata, ActionResult, Effect, EffectClass,
        ErrorClass,
    },
    core::{Clock, ExecutionId, TenantId, Timestamp},
    engine::{EngineConfig, Installed, Report, Until},
    execution::{NewExecution, StartOptions},
    ports::*,
    runtime::WorkerConfig,
    workflow::{Source, parse},
};
use nebula_testkit::{
    ManualClock, MemoryExecutionRepo, MemorySandbox, MemoryTaskQueue, MemoryWorkflowRepo,
    SeededEntropy,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// What was done to the outside, in order: label and idempotency key.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    effects: Mutex<Vec<(String, String)>>,
    failures: Mutex<BTreeMap<String, u32>>,
}

impl Ledger {
    /// The labels of all effects, in order.
    pub(crate) fn labels(&self) -> Vec<String> {
        self.effects
            .lock()
            .unwrap()
            .iter()
            .map(|(label, _)| label.clone())
            .collect()
    }

    /// The keys under which an effect arrived.
    pub(crate) fn keys(&self, label: &str) -> Vec<String> {
        let effects = self.effects.lock().unwrap();
        effects
            .iter()
            .filter(|(other, _)| other == label)
            .map(|(_, key)| key.clone())
            .collect()
    }

    /// The next `times` attempts with this label fail before they do anything.
    pub(crate) fn fail_next(&self, label: &str, times: u32) {
        self.failures
            .lock()
            .unwrap()
            .insert(label.to_owned(), times);
    }
}

/// `test.<class>@1 { label, hang? }`: an effect in the ledger; `hang` never returns by itself.
#[derive(Debug)]
struct EffectAction {
    metadata: ActionMetadata,
    ledger: Arc<Ledger>,
}

#[async_trait]
impl Action for EffectAction {
    fn metadata(&self) -> &ActionMetadata {
        &self.metadata
    }

    async fn execute(
        &self,
        ctx: &ActionContext,
        input: Value,
    ) -> Result<ActionResult, ActionError> {
        let label = input["label"].as_str().unwrap_or_default().to_owned();
        if let Some(left) = self
            .ledger
            .failures
            .lock()
            .unwrap()
            .get_mut(&label)
            .filter(|left| **left > 0)
        {
            *left -= 1;
            return Err(ActionError::retryable(
                "TEST_FAILED",
                "the test wants this attempt to fail",
            ));
        }
        self.ledger
            .effects
            .lock()
            .unwrap()
            .push((label.clone(), ctx.idempotency_key.clone()));
        if input["hang"] == true {
            ctx.cancellation.cancelled().await;
            return Err(ActionError::new(
                "TEST_STOPPED",
                "told to stop",
                ErrorClass::Cancelled,
            ));
        }
        Ok(ActionResult::output(
            json!({ "label": label, "attempt": ctx.attempt }),
        ))
    }
}

fn effects(ledger: &Arc<Ledger>) -> Vec<Arc<dyn Action>> {
    let classes = [
        ("test.read", EffectClass::Read),
        ("test.idempotent", EffectClass::Idempotent),
        ("test.keyed", EffectClass::Keyed),
        ("test.once", EffectClass::AtMostOnce),
    ];
    let action = |(id, class)| {
        let metadata = ActionMetadata::new(id, (1, 0), Effect::Fixed(class));
        Arc::new(EffectAction {
            metadata,
            ledger: ledger.clone(),
        }) as Arc<dyn Action>
    };
    classes.map(action).into()
}

/// Everything that survives a crash of the process under test.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) executions: Arc<MemoryExecutionRepo>,
    pub(crate) workflows: Arc<MemoryWorkflowRepo>,
    pub(crate) ledger: Arc<Ledger>,
    lives: Arc<AtomicU64>,
}

impl Default for World {
    fn default() -> Self {
        let clock = ManualClock::default();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        Self {
            executions: Arc::new(MemoryExecutionRepo::new(shared.clone())),
            workflows: Arc::new(MemoryWorkflowRepo::new(shared)),
            clock,
            ledger: Arc::default(),
            lives: Arc::default(),
        }
    }
}

impl World {
    /// One life of a process: a new engine with a new queue over the same stores.
    pub(crate) fn process(&self) -> Nebula {
        self.process_over(self.executions.clone())
    }

    /// The same, over a repository that may fail.
    pub(crate) fn process_over(&self, executions: Arc<dyn ExecutionRepo>) -> Nebula {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let queue = Arc::new(MemoryTaskQueue::new(clock.clone(), 1_000, 100));
        let sandbox = Arc::new(MemorySandbox::new(clock.clone()));
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        Nebula::builder(executions, self.workflows.clone(), queue, sandbox)
            .clock(clock)
            .entropy(Arc::new(SeededEntropy::new(life + 1)))
            .offload(Arc::new(nebula_testkit::InlineOffload))
            .actions(effects(&self.ledger))
            .worker(WorkerConfig {
                max_grants: 1_000,
                ..WorkerConfig::default()
            })
            .engine(EngineConfig::default())
            .build()
            .unwrap()
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

    /// Lets a process work until an execution has ended or needs a person.
    pub(crate) async fn finish(&self, nebula: &Nebula, id: ExecutionId) -> Report {
        let (shutdown, tenant) = (CancellationToken::new(), tenant());
        let outcome = nebula
            .engine()
            .outcome(&tenant, id, Until::EndedOrParked, None);
        tokio::select! {
            biased;
            stopped = nebula.run(shutdown.clone()) => panic!("the worker stopped: {stopped:?}"),
            report = outcome => report.unwrap().unwrap(),
        }
    }
}

/// The tenant of all tests.
pub(crate) fn tenant() -> TenantId {
    TenantId::local()
}

/// A repository that lets its process die at one call: before it does anything, or after.
#[derive(Debug)]
pub(crate) struct Mortal {
    inner: Arc<dyn ExecutionRepo>,
    calls: AtomicU32,
    dies_at: u32,
    after: bool,
    dead: CancellationToken,
}

impl Mortal {
    pub(crate) fn new(inner: Arc<dyn ExecutionRepo>, dies_at: u32, after: bool) -> Arc<Self> {
        Arc::new(Self {
            inner,
            calls: AtomicU32::new(0),
            dies_at,
            after,
            dead: CancellationToken::new(),
        })
    }

    /// Ends when the process has died.
    pub(crate) async fn death(&self) {
        self.dead.cancelled().await;
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
        self.call(self.inner.renew(leases)).await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.call(self.inner.release(lease)).await
    }

    async fn step(&self, lease: &Lease, step: Step) -> Result<Stepped> {
        self.call(self.inner.step(lease, step)).await
    }

    async fn journal(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        from: u64,
        limit: usize,
    ) -> Result<JournalPage> {
        self.call(self.inner.journal(tenant, id, from, limit)).await
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

    async fn waiting_on(&self, tenant: &TenantId, token: WaitToken) -> Result<Option<ExecutionId>> {
        self.call(self.inner.waiting_on(tenant, token)).await
    }

    async fn runnable(&self, rung_before: Timestamp, limit: usize) -> Result<RunnablePage> {
        self.call(self.inner.runnable(rung_before, limit)).await
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

    async fn delete_ended(
        &self,
        tenant: &TenantId,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        self.inner.delete_ended(tenant, before, limit).await
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
