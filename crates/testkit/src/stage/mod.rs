//! The whole engine over the stores of a test: a definition is planned, started and worked off, and
//! what comes of it is read from the journal.
//!
//! The clock moves whenever everything waits, whatever is behind the stores. The worker keeps a
//! snapshot with every commit, and each must be the state that its journal folds into.

mod busy;
mod flaky;
mod history;

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use nebula::{
    Nebula,
    engine::{Engine, Installed},
    registry::Registry,
    runtime::WorkerConfig,
};
use nebula_action::Action;
use nebula_core::{Clock, ExecutionId, TenantId};
use nebula_execution::{NamedSignal, StartOptions, Status};
use nebula_memory::Values;
use nebula_ports::{ExecutionFilter, ExecutionRepo, ExecutionSummary, Signalled, WorkflowRepo};
use nebula_workflow::{Source, WorkflowDefinition, parse};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use busy::{Busy, Mortal, Over as _, Snapshots};

pub use busy::Death;
pub use flaky::FLAKY;
pub use history::{History, Lived};

use crate::{
    InlineOffload, Ledger, ManualClock, MemorySandbox, MemoryTaskQueue, SeededEntropy, effects,
    run_timed_unless,
};

/// The actions of every stage that act on nothing of it, checked once: that would be most of the
/// work of a short life.
static ACTIONS: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::default();
    let flaky = [Arc::new(flaky::Flaky::default()) as Arc<dyn Action>];
    let all = nebula_actions::all().into_iter().chain(flaky);
    let taken = registry.register_all(all);
    taken.expect("the built-in actions are fit to be registered");
    registry
});

/// The stores of a test.
pub type Stores = (Arc<dyn ExecutionRepo>, Arc<dyn WorkflowRepo>);

/// How long an execution may take, by the clock of the test.
pub const PATIENCE: Duration = Duration::from_hours(24);

/// How long a test waits before its first look, by its clock; then twice as long each time, up to
/// [`MAX_LOOK`].
const LOOK: Duration = Duration::from_millis(500);

/// How long it waits at most.
const MAX_LOOK: Duration = Duration::from_mins(10);

/// After how many entries a worker keeps a snapshot that keeps one with each commit.
const EVERY_STEP: u64 = 1;

/// How many executions the queue has room for, and how often it delivers one.
const QUEUE: (usize, u32) = (1_000, 100);

/// An engine with its worker, over the stores of a test.
#[derive(Debug, Clone)]
pub struct Stage {
    clock: ManualClock,
    executions: Arc<dyn ExecutionRepo>,
    workflows: Arc<dyn WorkflowRepo>,
    snapshots: Snapshots,
    outside: Outside,
    nebula: Nebula,
}

/// What is outside of a stage, and the actions that act on it.
#[derive(Debug, Clone, Default)]
struct Outside {
    ledger: Arc<Ledger>,
    more: Vec<Arc<dyn Action>>,
    values: Option<Values>,
}

/// An execution on a stage, for whoever talks to it while it runs.
#[derive(Debug)]
pub struct Talk<'s> {
    stage: &'s Stage,
    /// Which one.
    pub id: ExecutionId,
    /// How many signals it was sent.
    sent: AtomicU32,
}

impl Stage {
    /// Lets `test` play over the stores that `make` makes.
    ///
    /// # Panics
    /// With whatever `test` panics, and when everything waits and nobody sleeps.
    pub fn set<M: Future<Output = Stores>, T>(
        make: impl FnOnce(Arc<ManualClock>) -> M,
        test: impl AsyncFnOnce(Stage) -> T,
    ) -> T {
        let made = async |clock| (make(clock).await, None);
        Self::set_over(made, test)
    }

    /// The same where large results lie one by one in blobs, as `Values` says.
    ///
    /// # Panics
    /// As [`Stage::set`].
    pub fn set_with_values<M: Future<Output = (Stores, Values)>, T>(
        make: impl FnOnce(Arc<ManualClock>) -> M,
        test: impl AsyncFnOnce(Stage) -> T,
    ) -> T {
        let made = async |clock| {
            let (stores, values) = make(clock).await;
            (stores, Some(values))
        };
        Self::set_over(made, test)
    }

    fn set_over<T>(
        make: impl AsyncFnOnce(Arc<ManualClock>) -> (Stores, Option<Values>),
        test: impl AsyncFnOnce(Stage) -> T,
    ) -> T {
        let (clock, busy) = (ManualClock::default(), Busy::default());
        let works = busy.clone();
        run_timed_unless(&clock.clone(), move || works.is_busy(), async {
            let made = busy.during(make(Arc::new(clock.clone())));
            let ((executions, workflows), values) = made.await;
            let stores = (busy.over(executions), busy.over(workflows));
            test(Stage::over(clock, stores, values, busy.snapshots())).await
        })
    }

    fn over(
        clock: ManualClock,
        (executions, workflows): Stores,
        values: Option<Values>,
        snapshots: Snapshots,
    ) -> Self {
        let outside = Outside {
            values,
            ..Outside::default()
        };
        let stores = (executions.clone(), workflows.clone());
        Self {
            nebula: process(&clock, stores, &outside, (1, EVERY_STEP)),
            clock,
            executions,
            workflows,
            snapshots,
            outside,
        }
    }

    /// Why a definition in YAML has no plan; empty if it has one.
    ///
    /// # Panics
    /// If it cannot be read.
    pub async fn problems(&self, yaml: &str) -> String {
        let installed = self.nebula.engine().install(&tenant(), &read(yaml)).await;
        installed.map_or_else(|error| format!("{error:?}"), |_| String::new())
    }

    /// Runs a definition in YAML on this input, to its end.
    ///
    /// # Panics
    /// If it cannot be read, planned or started, or does not end within [`PATIENCE`].
    pub async fn play(&self, yaml: &str, input: Value) -> History {
        self.play_with(yaml, input, async |_| {}).await
    }

    /// The same while `talk` talks to it; it ends once both have.
    ///
    /// # Panics
    /// As [`Stage::play`], and with whatever `talk` panics.
    pub async fn play_with(
        &self,
        yaml: &str,
        input: Value,
        talk: impl AsyncFnOnce(Talk<'_>),
    ) -> History {
        let installed = install(&self.nebula, yaml).await;
        let id = start(&self.nebula, &installed, input).await;
        let ended = async {
            talk(Talk::to(self, id)).await;
            self.ended(id, yaml).await
        };
        work(&self.nebula, ended).await
    }

    /// Runs a definition in a process that dies at a call of its store, and in another one that
    /// takes over; gives how many calls the first one made, too. Without a death it lives.
    ///
    /// # Panics
    /// As [`Stage::play_with`]. Whatever `talk` had said is said again.
    pub async fn play_killed(
        &self,
        yaml: &str,
        input: Value,
        death: Option<Death>,
        talk: impl AsyncFn(Talk<'_>),
    ) -> (History, usize) {
        let installed = install(&self.nebula, yaml).await;
        let life = async |process: &Nebula| {
            let id = match self.of_workflow(&installed).await {
                Some(id) => id,
                // There is none yet, or a process died before it was accepted: the caller starts again.
                None => start(process, &installed, input.clone()).await,
            };
            talk(Talk::to(self, id)).await;
            self.ended(id, yaml).await
        };
        self.through(death, [EVERY_STEP; 2], life).await
    }

    /// Lets a process do something while it works; if it dies as it is told, another one does the
    /// same over what the first has left. Gives what the one that lived said, and how many calls the
    /// first made. Each of the two keeps a snapshot after so many entries.
    pub(crate) async fn through<T>(
        &self,
        death: Option<Death>,
        snapshot_entries: [u64; 2],
        act: impl AsyncFn(&Nebula) -> T,
    ) -> (T, usize) {
        let mortal = Mortal::new(death);
        let store = Busy::mortal(self.executions.clone(), mortal.clone());
        let next = |store, seed, snapshot_entries| {
            let stores = (store, self.workflows.clone());
            process(&self.clock, stores, &self.outside, (seed, snapshot_entries))
        };
        let first = next(store, 2, snapshot_entries[0]);
        let lived = tokio::select! {
            biased;
            said = work(&first, act(&first)) => Some(said),
            () = mortal.death() => None,
        };
        drop(first);
        let said = match lived {
            Some(said) => said,
            None => {
                let second = next(self.executions.clone(), 3, snapshot_entries[1]);
                work(&second, act(&second)).await
            }
        };
        (said, mortal.calls())
    }

    /// Saves a definition in YAML.
    pub(crate) async fn install(&self, yaml: &str) -> Installed {
        install(&self.nebula, yaml).await
    }

    /// The outside on which the actions of [`crate::effects`] act.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.outside.ledger
    }

    /// The same stage, whose processes have these actions, too.
    #[must_use]
    pub fn acting(mut self, actions: impl IntoIterator<Item = Arc<dyn Action>>) -> Self {
        self.outside.more.extend(actions);
        let stores = (self.executions.clone(), self.workflows.clone());
        self.nebula = process(&self.clock, stores, &self.outside, (1, EVERY_STEP));
        self
    }

    /// The engine of its process.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.nebula.engine()
    }

    /// Works while `act` talks to the engine.
    pub async fn work<T>(&self, act: impl AsyncFnOnce(&Nebula) -> T) -> T {
        work(&self.nebula, act(&self.nebula)).await
    }

    pub(crate) fn workflows(&self) -> &dyn WorkflowRepo {
        &*self.workflows
    }

    /// The clock, which moves whenever everything waits.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    async fn ended(&self, id: ExecutionId, yaml: &str) -> History {
        let (give_up, mut look) = (self.clock.monotonic() + PATIENCE, LOOK);
        loop {
            let summary = self.executions.get(&tenant(), id).await;
            let status = summary.expect("the store answers").map(|it| it.status);
            if status.is_some_and(Status::is_terminal) {
                return self.history(id).await;
            }
            assert!(
                self.clock.monotonic() < give_up,
                "{status:?} after {PATIENCE:?}: {}\n{yaml}",
                self.history(id).await.shown()
            );
            self.clock.sleep(look).await;
            look = (look * 2).min(MAX_LOOK);
        }
    }

    /// What an execution did so far.
    ///
    /// # Panics
    /// If there is none of this id, or a snapshot of it is not what its journal folds into.
    pub async fn history(&self, id: ExecutionId) -> History {
        let snapshots = self.snapshots.lock().clone();
        let snapshots = snapshots.into_iter().filter(|(of, _)| *of == id);
        let snapshots = snapshots.map(|(_, snapshot)| snapshot).collect();
        History::read(&*self.executions, &*self.workflows, id, snapshots).await
    }

    /// Every execution of this stage, oldest first.
    pub async fn executions(&self) -> Vec<ExecutionId> {
        let mut all = self.summaries().await;
        all.reverse();
        all.into_iter().map(|summary| summary.id).collect()
    }

    /// The execution of this workflow: others are its children.
    async fn of_workflow(&self, installed: &Installed) -> Option<ExecutionId> {
        let mut all = self.summaries().await.into_iter();
        let found = all.find(|summary| summary.workflow == installed.plan.workflow);
        found.map(|summary| summary.id)
    }

    async fn summaries(&self) -> Vec<ExecutionSummary> {
        let (tenant, filter) = (tenant(), ExecutionFilter::default());
        let listed = self.executions.list(&tenant, &filter, None, QUEUE.0).await;
        listed.expect("the store answers").items
    }
}

impl<'s> Talk<'s> {
    fn to(stage: &'s Stage, id: ExecutionId) -> Self {
        Self {
            stage,
            id,
            sent: AtomicU32::new(0),
        }
    }

    /// Waits so many seconds, by the clock of the test.
    pub async fn after(&self, seconds: u64) {
        self.stage.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// Sends the execution a signal; one that has ended needs none.
    ///
    /// # Panics
    /// If it does not take it.
    pub async fn signal(&self, name: &str, payload: Value) {
        self.send(name, payload, true).await;
    }

    /// The same with a signal that is lost if nobody waits for it when it comes.
    ///
    /// # Panics
    /// If the execution is unknown.
    pub async fn fleeting(&self, name: &str, payload: Value) {
        self.send(name, payload, false).await;
    }

    async fn send(&self, name: &str, payload: Value, keep: bool) {
        let signal = NamedSignal {
            keep,
            name: name.into(),
            id: self.sent.fetch_add(1, Ordering::Relaxed).to_string(),
            payload: Arc::new(payload),
        };
        let engine = self.stage.nebula.engine();
        let sent = engine.send(&tenant(), self.id, signal).await;
        let sent = sent.expect("the store answers");
        assert!(
            !matches!(sent, Signalled::Unknown),
            "there is no {}",
            self.id
        );
    }

    /// Asks the execution to end.
    ///
    /// # Panics
    /// If the store fails.
    pub async fn cancel(&self) {
        let engine = self.stage.nebula.engine();
        let reason = "asked to".to_owned();
        let asked = engine.cancel(&tenant(), self.id, reason).await;
        let _signalled = asked.expect("the store answers");
    }

    /// What it did so far.
    pub async fn so_far(&self) -> History {
        self.stage.history(self.id).await
    }
}

/// An engine with its worker over these stores; each has a seed of its own, and keeps a snapshot
/// after so many entries.
fn process(
    clock: &ManualClock,
    (executions, workflows): Stores,
    outside: &Outside,
    (seed, snapshot_entries): (u64, u64),
) -> Nebula {
    let worker = WorkerConfig {
        snapshot_entries,
        ..WorkerConfig::default()
    };
    let time: Arc<dyn Clock> = Arc::new(clock.clone());
    let queue = Arc::new(MemoryTaskQueue::new(time.clone(), QUEUE.0, QUEUE.1));
    let sandbox = Arc::new(MemorySandbox::new(time.clone()));
    let builder = Nebula::builder(executions, workflows, queue, sandbox);
    let builder = match &outside.values {
        Some(values) => builder.values(values.clone()),
        None => builder,
    };
    builder
        .clock(time)
        .entropy(Arc::new(SeededEntropy::new(seed)))
        .offload(Arc::new(InlineOffload))
        .registry(ACTIONS.clone())
        .actions(effects(&outside.ledger, clock))
        .actions(outside.more.iter().cloned())
        .worker(worker)
        .build()
        .expect("the defaults fit each other")
}

async fn install(nebula: &Nebula, yaml: &str) -> Installed {
    let installed = nebula.engine().install(&tenant(), &read(yaml)).await;
    installed.unwrap_or_else(|error| panic!("{error:#?}\n{yaml}"))
}

async fn start(nebula: &Nebula, installed: &Installed, input: Value) -> ExecutionId {
    let options = StartOptions::default();
    let started = nebula.start(&tenant(), installed, input, options).await;
    started.expect("the store takes it")
}

/// Lets a process work until `ended`.
async fn work<T>(nebula: &Nebula, ended: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        stopped = nebula.run(CancellationToken::new()) => panic!("the worker stopped: {stopped:?}"),
        ended = ended => ended,
    }
}

fn tenant() -> TenantId {
    TenantId::local()
}

fn read(yaml: &str) -> WorkflowDefinition {
    let parsed = parse(&Source::new("pattern.yaml", yaml));
    parsed
        .definition
        .unwrap_or_else(|| panic!("{:#?}\n{yaml}", parsed.diagnostics))
}
