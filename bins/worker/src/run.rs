//! The worker's way from its settings to its end.

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_core::{Clock, Entropy as _, TenantId};
use nebula_fleet::settings::Loaded;
use nebula_ports::{ExecutionFilter, ExecutionRepo};
use nebula_program::{
    console::Console,
    ended::engine_ended,
    failure::{Exit, Failure},
};
use nebula_runtime::{PacedHttp, Worker};
use nebula_system::{Shutdown, SystemEntropy, Urgency};
use nebula_telemetry::{Bus, Listener, NotReady, Reading, Ready, Relayed, Source, Told};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{
    compose::{self, Composed},
    settings::WorkerSettings,
};

/// How long the store may take to answer before the worker counts as not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much longer than the grace of its attempts a worker that was asked to stop may take, for a store that
/// does not answer: after that its leases expire.
const OVERTIME: Duration = Duration::from_secs(5);

/// What to do after the worker broke down.
const AFTER_DEFECT: &str = "please report this; other workers go on with what is saved";

/// Drives executions until it is asked to stop. JSON, once it does:
/// `{ "health": "http://…", "group", "tags", "executions" }`.
pub(crate) async fn run(
    loaded: &Loaded<WorkerSettings>,
    console: &Console,
) -> Result<Exit, Failure> {
    let settings = &loaded.settings;
    let mut shutdown = Shutdown::listen().map_err(|error| {
        Failure::environment("SIGNALS", format!("cannot listen to signals: {error}"))
    })?;
    let listener = Listener::bind(settings.health.listen).await;
    let listener = listener.map_err(|error| {
        let failure = Failure::environment("PORT_UNUSABLE", error.to_string());
        match error.error.kind() {
            io::ErrorKind::AddrInUse => failure.advice(
                "another program listens there; stop it, or choose another port with --health 127.0.0.1:PORT",
            ),
            _ => failure.advice("choose another address with --health"),
        }
    })?;
    let composed = compose::compose(loaded).await?;
    tell_start(settings, &listener, console)?;
    let (stop, gone) = (CancellationToken::new(), CancellationToken::new());
    let told = Told {
        ready: Arc::new(Readiness {
            executions: composed.executions.clone(),
            clock: composed.clock.clone(),
            stopping: stop.clone(),
        }),
        metrics: Arc::new(Measured {
            bus: composed.bus.clone(),
            worker: composed.worker.clone(),
            http: composed.http.clone(),
            executions: composed.executions.clone(),
            sources: composed.sources.clone(),
        }),
        clock: composed.clock.clone(),
        version: crate::VERSION,
    };
    let mut telling = JoinSet::new();
    telling.spawn(listener.run(told, gone.clone()));
    let exit = drive(
        composed,
        &mut shutdown,
        (&stop, settings.worker.grace),
        console,
    )
    .await;
    // Health is told until the last: whoever stops it wants to see it go.
    gone.cancel();
    while telling.join_next().await.is_some() {}
    exit
}

fn tell_start(
    settings: &WorkerSettings,
    listener: &Listener,
    console: &Console,
) -> Result<(), Failure> {
    let (pool, executions) = (&settings.pool, settings.worker.executions);
    let health = format!("http://{}", listener.address());
    if console.json {
        let (group, tags) = (&pool.group, &pool.tags);
        return console.document(&json!({
            "health": health, "group": group, "tags": tags, "executions": executions,
        }));
    }
    console.line(&format!(
        "drives up to {executions} executions at a time, in the group {}; health and metrics: {health}",
        pool.group
    ))
}

/// Drives until the first signal; then what is under way may finish. The second signal ends it as it is.
async fn drive(
    composed: Composed,
    shutdown: &mut Shutdown,
    (stop, grace): (&CancellationToken, Duration),
    console: &Console,
) -> Result<Exit, Failure> {
    let clock = composed.clock.clone();
    let mut work = JoinSet::new();
    let (worker, token) = (composed.worker.clone(), stop.clone());
    work.spawn(async move { worker.run(token).await });
    let (mut sweeping, mut telling) = (JoinSet::new(), JoinSet::new());
    if let Some(sweep) = composed.sweep {
        let token = stop.clone();
        sweeping.spawn(async move { sweep.run(token).await });
    }
    if let Some(relay) = composed.relay {
        let (bus, clock) = (composed.bus.clone(), clock.clone());
        let name = SystemEntropy.uuid().to_string();
        let what = Relayed {
            drives: true,
            answers: false,
        };
        // It ends with the worker: what that commits last is told too.
        telling.spawn(async move { bus.relay(relay, clock, name, what).await });
    }
    let mut until = None;
    loop {
        let overdue = async {
            match until {
                Some(until) => {
                    let left = Duration::saturating_sub(until, clock.monotonic());
                    clock.sleep(left).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            request = shutdown.requested() => {
                if request.urgency == Urgency::Now {
                    return Ok(Exit::from(request.signal));
                }
                console.note("stopping: what is under way may finish; the same again stops at once");
                stop.cancel();
                until = Some(clock.monotonic() + grace + OVERTIME);
            }
            ended = work.join_next() => {
                engine_ended(ended, AFTER_DEFECT)?;
                if stop.is_cancelled() {
                    return Ok(Exit::Completed);
                }
                let message = "the worker ended by itself";
                return Err(Failure::environment("ENGINE_ENDED", message));
            }
            () = overdue => {
                let left = composed.worker.in_hand();
                let message = format!(
                    "{left} executions were still in its hands after its grace; their leases expire, and others go on with them"
                );
                return Err(Failure::environment("DRAIN_TIMEOUT", message)
                    .advice("check that the store answers, or give `worker.grace` more time"));
            }
        }
    }
}

/// Whether the worker should be given work: its store answers, and nobody has asked it to stop.
#[derive(Debug)]
struct Readiness {
    executions: Arc<dyn ExecutionRepo>,
    clock: Arc<dyn Clock>,
    stopping: CancellationToken,
}

#[async_trait]
impl Ready for Readiness {
    async fn ready(&self) -> Result<(), NotReady> {
        let not = |code, message: String| Err(NotReady { code, message });
        if self.stopping.is_cancelled() {
            return not("STOPPING", "the worker is being stopped".to_owned());
        }
        let (tenant, filter) = (TenantId::local(), ExecutionFilter::default());
        tokio::select! {
            biased;
            page = self.executions.list(&tenant, &filter, None, 1) => match page {
                Ok(_) => Ok(()),
                Err(error) => not("STORE_UNAVAILABLE", error.to_string()),
            },
            () = self.clock.sleep(PATIENCE) => {
                let patience = PATIENCE.as_secs();
                not("STORE_SLOW", format!("the store did not answer within {patience} s"))
            }
        }
    }
}

/// What the metrics of the worker say.
#[derive(Debug)]
struct Measured {
    bus: Bus,
    worker: Worker,
    http: Arc<PacedHttp>,
    executions: Arc<dyn ExecutionRepo>,
    sources: Vec<Arc<dyn Source>>,
}

#[async_trait]
impl Source for Measured {
    async fn read(&self, reading: &mut Reading) {
        self.bus.metrics().read(reading);
        self.worker.observe(reading);
        self.http.observe(reading);
        match self.executions.backlog().await {
            Ok(backlog) => reading.backlog(&backlog),
            Err(error) => debug!(%error, "the backlog cannot be read"),
        }
        for source in &self.sources {
            source.read(reading).await;
        }
    }
}
