//! A process that embeds the engine: the real store, the real worker, and actions that write to the
//! outside over a socket. It lives until it is told to stop, or is killed.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use nebula::{
    Nebula,
    engine::{EngineConfig, Installed, StartError, Waiting},
    execution::{StartOptions, Status, UnparkDecision},
    runtime::WorkerConfig,
    workflow::{Source, parse},
};
use nebula_action::{
    Action, ActionContext, ActionError, ActionMetadata, ActionResult, Effect as Effects,
    EffectClass, ErrorClass, Reconciled,
};
use nebula_core::{Clock, Digest, Offload, TenantId};
use nebula_execution::InstanceId;
use nebula_ports::{DedupeKey, ExecutionFilter, ExecutionRepo};
use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_sandbox_inprocess::InProcess;
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::{Shutdown, SystemClock, SystemSpawn, ThreadPoolOffload, Urgency};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    Failed, flows, store,
    wire::{Answer, Ask, Effect, ask},
};

/// How long the leases of workers last.
pub(crate) const LEASE: Duration = Duration::from_millis(1_200);

/// How long before that a worker counts its lease as gone.
const MARGIN: Duration = Duration::from_millis(300);

/// How long an attempt may take: nobody asks what became of it before.
const ATTEMPT: Duration = Duration::from_secs(3);

/// How long an attempt may take that is made again when it is lost, whenever that was: on a machine
/// that is busy, an answer takes seconds, and one that is too late is a failure like any other.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many calls to the outside there are at a time.
const CALLS: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// How often a worker asks for more to do.
const ASK_AGAIN: Duration = Duration::from_millis(15);

/// How often somebody looks for decisions that are open.
const DECIDE_AGAIN: Duration = Duration::from_millis(250);

/// How many executions are listed at a time.
const PAGE: usize = 500;

/// The actions that reach the outside, and whether they can say later what became of them.
const ACTIONS: &[(&str, EffectClass, bool)] = &[
    ("ledger.idempotent", EffectClass::Idempotent, false),
    ("ledger.keyed", EffectClass::Keyed, false),
    ("ledger.once", EffectClass::AtMostOnce, false),
    ("ledger.reconciled", EffectClass::AtMostOnce, true),
];

/// `ledger.<class>@1 { label, value, fails? }`: gives `{ v }`, a number that follows from `value`.
struct LedgerAction {
    metadata: ActionMetadata,
    class: EffectClass,
    outside: Outside,
}

impl std::fmt::Debug for LedgerAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LedgerAction")
            .field(&self.metadata.id)
            .finish()
    }
}

/// The way out.
#[derive(Debug, Clone)]
struct Outside {
    socket: Arc<Path>,
    threads: Arc<ThreadPoolOffload>,
}

impl Outside {
    async fn ask(&self, question: Ask) -> Option<Answer> {
        let slot = Arc::new(Mutex::new(None));
        let (given, socket) = (Arc::clone(&slot), Arc::clone(&self.socket));
        let job = Box::new(move || {
            let answer = ask(&socket, &question).ok();
            *given.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        });
        self.threads.run(job).await;
        slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait]
impl Action for LedgerAction {
    fn metadata(&self) -> &ActionMetadata {
        &self.metadata
    }

    async fn execute(
        &self,
        ctx: &ActionContext,
        input: Value,
    ) -> Result<ActionResult, ActionError> {
        let effect = Effect {
            execution: ctx.execution,
            node: ctx.node.clone(),
            attempt: ctx.attempt,
            key: ctx.idempotency_key.clone(),
            class: self.class,
            input: Digest::of_json(&input),
            label: input["label"].as_str().unwrap_or_default().to_owned(),
            value: input["value"].as_i64().unwrap_or(-1),
            fails: input["fails"].as_u64().unwrap_or(0),
        };
        match self.outside.ask(Ask::Effect(effect)).await {
            Some(Answer::Done(result)) => Ok(ActionResult::output(result)),
            Some(Answer::Refused) => Err(ActionError::retryable("REFUSED", "not this time")),
            _ => {
                let message = "the outside did not answer";
                Err(ActionError::new("NO_ANSWER", message, ErrorClass::Unknown))
            }
        }
    }

    async fn reconcile(&self, ctx: &ActionContext, _: &Value) -> Result<Reconciled, ActionError> {
        let key = ctx.idempotency_key.clone();
        Ok(match self.outside.ask(Ask::Known { key }).await {
            Some(Answer::Done(result)) => Reconciled::Happened(result),
            Some(Answer::Nothing) => Reconciled::NotHappened,
            _ => Reconciled::Unknown,
        })
    }
}

/// Lives until it is told to stop; then the exit code is 0.
pub(crate) fn run(database: PathBuf, socket: PathBuf) -> Result<(), Failed> {
    runtime()?.block_on(async {
        // Before anything else: who is told earlier dies of it.
        let mut shutdown = Shutdown::listen()?;
        let told = async move { while shutdown.requested().await.urgency != Urgency::Graceful {} };
        live(told, database, socket).await
    })
}

/// Lives until `told` to stop.
#[cfg(test)]
pub(crate) fn run_until(
    told: impl Future<Output = ()>,
    database: PathBuf,
    socket: PathBuf,
) -> Result<(), Failed> {
    runtime()?.block_on(live(told, database, socket))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

async fn live(
    told: impl Future<Output = ()>,
    database: PathBuf,
    socket: PathBuf,
) -> Result<(), Failed> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = Sqlite::open(SqliteConfig::file(database), Arc::clone(&clock)).await?;
    let store = Arc::new(store);
    let outside = Outside {
        socket: socket.into(),
        threads: Arc::new(ThreadPoolOffload::new(CALLS)?),
    };
    let actions = ACTIONS.iter().map(|(id, class, reconciles)| {
        let is_repeated = *class != EffectClass::AtMostOnce;
        let metadata = ActionMetadata {
            reconciles: *reconciles,
            timeout: is_repeated.then_some(PATIENCE),
            ..ActionMetadata::new(id, (1, 0), Effects::Fixed(*class))
        };
        Arc::new(LedgerAction {
            metadata,
            class: *class,
            outside: outside.clone(),
        }) as Arc<dyn Action>
    });
    let queue = MemoryQueue::new(MemoryQueueConfig::default(), Arc::clone(&clock));
    let sandbox = InProcess::new(Arc::clone(&clock));
    let nebula = Nebula::builder(
        store.clone(),
        store.clone(),
        Arc::new(queue),
        Arc::new(sandbox),
    )
    .clock(Arc::clone(&clock))
    .spawn(Arc::new(SystemSpawn))
    .actions(actions)
    .worker(WorkerConfig {
        lease_ttl: LEASE,
        lease_margin: MARGIN,
        snapshot_entries: 50,
        ..WorkerConfig::default()
    })
    .engine(EngineConfig {
        sweep_interval: Duration::from_millis(100),
        ring_again: Duration::from_millis(500),
        attempt_timeout: ATTEMPT,
        ..EngineConfig::default()
    })
    .build()?;
    let (tenant, mut installed) = (TenantId::local(), Vec::new());
    for (id, text) in flows::FLOWS {
        let parsed = parse(&Source::new(format!("{id}.yaml"), *text));
        let definition = parsed
            .definition
            .ok_or_else(|| format!("{id}: {:?}", parsed.diagnostics))?;
        let saved = nebula.engine().install(&tenant, &definition).await?;
        installed.push((*id, saved));
    }
    let client = Client {
        nebula: nebula.clone(),
        store,
        outside,
        clock,
        installed,
    };
    let stop = CancellationToken::new();
    let (token, working) = (stop.clone(), nebula.run(stop.clone()));
    tokio::pin!(working);
    let told = async {
        told.await;
        token.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        stopped = &mut working => Ok(stopped?),
        failed = client.start_all(&stop) => Err(failed),
        failed = client.decide_all(&stop) => Err(failed),
        () = told => Ok(()),
    }
}

/// Starts what is wanted, and decides what is open.
struct Client {
    nebula: Nebula,
    store: Arc<Sqlite>,
    outside: Outside,
    clock: Arc<dyn Clock>,
    installed: Vec<(&'static str, Installed)>,
}

impl Client {
    /// Ends only where something is wrong.
    async fn start_all(&self, stop: &CancellationToken) -> Failed {
        loop {
            if stop.is_cancelled() {
                std::future::pending::<()>().await;
            }
            let process = std::process::id();
            let Some(Answer::Start {
                number,
                workflow,
                input,
            }) = self.outside.ask(Ask::Next { process }).await
            else {
                self.clock.sleep(ASK_AGAIN).await;
                continue;
            };
            let Some((_, installed)) = self.installed.iter().find(|(id, _)| **id == workflow)
            else {
                return format!("no workflow {workflow}").into();
            };
            if let Err(error) = self.start(number, installed, input).await {
                return Box::new(error);
            }
        }
    }

    async fn start(
        &self,
        number: u64,
        installed: &Installed,
        input: Value,
    ) -> Result<(), StartError> {
        let (engine, tenant) = (self.nebula.engine(), TenantId::local());
        let key = DedupeKey(format!("chaos/{number}"));
        let options = StartOptions::default();
        let started = engine
            .start(&tenant, installed, input, options, Some(key), None)
            .await?;
        let id = started.id;
        self.outside.ask(Ask::Accepted { number, id }).await;
        engine.wake(&tenant, id).await;
        Ok(())
    }

    /// Decides like a person who looks at the outside: what is there has happened, all else shall be
    /// done again.
    async fn decide_all(&self, stop: &CancellationToken) -> Failed {
        loop {
            if stop.is_cancelled() {
                std::future::pending::<()>().await;
            }
            if let Err(failed) = self.decide().await {
                return failed;
            }
            self.clock.sleep(DECIDE_AGAIN).await;
        }
    }

    async fn decide(&self) -> Result<(), Failed> {
        let tenant = TenantId::local();
        let filter = ExecutionFilter {
            statuses: vec![Status::Parked, Status::Compensating],
            ..ExecutionFilter::default()
        };
        let parked = ExecutionRepo::list(&*self.store, &tenant, &filter, None, PAGE).await?;
        for summary in parked.items {
            let id = summary.id;
            let Some(report) = self.nebula.engine().report(&tenant, id).await? else {
                continue;
            };
            for waiting in report.waiting {
                let (instance, undoing) = match waiting {
                    Waiting::Decision { instance, .. } => (instance, false),
                    Waiting::CompensationDecision { instance, .. } => (instance, true),
                    Waiting::Poison { .. } => {
                        let again = UnparkDecision::Retry;
                        let engine = self.nebula.engine();
                        // Who has decided before, or ended, needs nothing.
                        let _ = engine.unpark(&tenant, id, None, again).await?;
                        continue;
                    }
                    _ => continue,
                };
                let instance: InstanceId = instance.parse()?;
                let entries = store::journal(&*self.store, id).await?;
                let Some(key) = store::key(&entries, &instance, undoing) else {
                    continue;
                };
                let decision = match self.outside.ask(Ask::Known { key }).await {
                    Some(Answer::Done(result)) => UnparkDecision::Succeeded(Arc::new(result)),
                    Some(Answer::Nothing) => UnparkDecision::Retry,
                    _ => continue,
                };
                let engine = self.nebula.engine();
                let _ = engine.unpark(&tenant, id, Some(instance), decision).await?;
            }
        }
        Ok(())
    }
}
