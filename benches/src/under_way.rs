//! Executions that are under way: what they take of a process, how another one goes on with them when it
//! is killed, how soon they hear what they are told, and how long a long one takes to load.

use std::{
    collections::HashSet,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use nebula::{
    engine::Installed,
    execution::{NamedSignal, StartOptions},
    runtime::WorkerConfig,
    telemetry::{Bus, EventKind},
};
use nebula_core::{Clock, ExecutionId, TenantId};
use nebula_ports::ExecutionRepo;
use nebula_system::SystemClock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Samples,
    engine::{Failed, Running, Setup, next},
    process,
    work::{self, STAYS, Stays},
};

/// Room for every event of what is measured: a watcher that is behind must lose none.
const BUS: usize = 1 << 18;

/// The signal that is waited for.
const SIGNAL: &str = "go";

/// How long the holder of an execution is left alone before it is told something.
const SETTLED: Duration = Duration::from_millis(20);

/// What a process says of the executions that are under way in it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Held {
    /// Memory before the first of them, in bytes.
    pub before: u64,
    /// Memory while all are under way.
    pub with: u64,
}

/// What going on with all of them gave.
#[derive(Debug)]
pub struct TakenOver {
    /// From the opening of the database to the first entry of each.
    pub progress: Samples,
    /// From there to the end of each.
    pub end: Samples,
}

fn started() -> Value {
    json!({ "customer": "c-1024", "total": 42 })
}

/// A node that is done at once, and one whose attempt is under way.
fn stays() -> Value {
    json!({ "id": "stays", "nodes": [
        { "id": "first", "action": "data.set", "parameters": { "customer": "{{ $json.customer }}" } },
        { "id": "held", "action": STAYS },
    ] })
}

/// Starts `count` executions in a new database in `folder`, each with an attempt that does not end; says
/// so on standard output as JSON; and stays until its process is killed.
///
/// # Errors
/// The database cannot be opened, or failed.
pub async fn hold(folder: &Path, count: usize) -> Result<(), Failed> {
    let worker = WorkerConfig {
        executions: count,
        ..WorkerConfig::default()
    };
    let setup = Setup {
        bus: Bus::new(BUS),
        worker,
        stays: Stays::UntilTold,
        ..Setup::default()
    };
    let running = Running::open_with(folder, setup).await?;
    let installed = running.install(&work::parsed(&stays())).await?;
    let mut watcher = running.nebula.bus().subscribe();
    let before = process::rss();
    for _ in 0..count {
        start(&running, &installed).await?;
    }
    for _ in 0..count {
        next(&mut watcher, |it| is_started(&it.kind)).await?;
    }
    let with = process::rss();
    let held = serde_json::to_string(&Held { before, with })?;
    writeln!(io::stdout().lock(), "{held}")?;
    std::future::pending().await
}

async fn start(running: &Running, installed: &Installed) -> Result<ExecutionId, Failed> {
    let (tenant, options) = (TenantId::local(), StartOptions::default());
    let started = running.nebula.start(&tenant, installed, started(), options);
    Ok(started.await?)
}

fn is_started(kind: &EventKind) -> bool {
    matches!(kind, EventKind::NodeStarted { .. })
}

/// Goes on with `count` executions that a killed process left in `folder`, until all have ended.
///
/// # Errors
/// The database cannot be opened, or failed.
pub async fn take_over(folder: &Path, count: usize) -> Result<TakenOver, Failed> {
    let bus = Bus::new(BUS);
    let mut watcher = bus.subscribe();
    let clock = SystemClock::default();
    let begin = clock.monotonic();
    let setup = Setup {
        bus,
        ..Setup::default()
    };
    let running = Running::open_with(folder, setup).await?;
    let mut gone_on = HashSet::new();
    let (mut progress, mut end) = (Samples::default(), Samples::default());
    for _ in 0..count {
        next(&mut watcher, |event| {
            let at = clock.monotonic().saturating_sub(begin);
            if gone_on.insert(event.execution) {
                progress.add(at);
            }
            let ended = matches!(event.kind, EventKind::Ended { .. });
            if ended {
                end.add(at);
            }
            ended
        })
        .await?;
    }
    running.stop().await?;
    Ok(TakenOver { progress, end })
}

/// How soon the holder of an execution has acted on a signal, and how soon it has ended one that is
/// cancelled; `times` each, in a new database in `folder`.
///
/// # Errors
/// The database cannot be opened, or failed.
pub async fn tell(folder: &Path, times: usize) -> Result<(Samples, Samples), Failed> {
    let setup = Setup {
        bus: Bus::new(BUS),
        stays: Stays::UntilTold,
        ..Setup::default()
    };
    let running = Running::open_with(folder, setup).await?;
    let definition = json!({ "id": "told", "nodes": [
        { "id": "held", "action": STAYS },
        { "id": "wait", "action": "flow.wait", "parameters": { "signal": SIGNAL } },
        { "id": "done", "action": "data.set", "parameters": { "customer": "{{ $input.customer }}" } },
    ], "connections": ["wait -> done"] });
    let installed = running.install(&work::parsed(&definition)).await?;
    let (tenant, engine) = (TenantId::local(), running.nebula.engine());
    let mut watcher = running.nebula.bus().subscribe();
    let (mut signals, mut cancels) = (Samples::default(), Samples::default());
    for number in 0..times {
        let id = start(&running, &installed).await?;
        let (mut held, mut listens) = (false, false);
        next(&mut watcher, |event| {
            held |= is_started(&event.kind);
            listens |= matches!(event.kind, EventKind::NodeListening { .. });
            held && listens
        })
        .await?;
        running.clock.sleep(SETTLED).await;
        let from = running.clock.monotonic();
        let _ = engine.send(&tenant, id, signal(number)).await?;
        next(&mut watcher, |event| {
            matches!(&event.kind, EventKind::NodeSucceeded { instance } if instance.node.as_str() == "done")
        })
        .await?;
        signals.add(running.clock.monotonic().saturating_sub(from));
        let from = running.clock.monotonic();
        let _ = engine.cancel(&tenant, id, "enough".to_owned()).await?;
        next(&mut watcher, |it| {
            matches!(it.kind, EventKind::Ended { .. })
        })
        .await?;
        cancels.add(running.clock.monotonic().saturating_sub(from));
    }
    running.stop().await?;
    Ok((signals, cancels))
}

fn signal(number: usize) -> NamedSignal {
    NamedSignal {
        name: SIGNAL.into(),
        id: number.to_string(),
        payload: Value::Null.into(),
        keep: true,
    }
}

/// Lets an execution of a new database in `folder` run once for each of `items`, and then wait for a
/// signal. Gives it and the entries of its journal. Without `snapshots` there is its journal alone.
///
/// # Errors
/// The database cannot be opened, or failed.
pub async fn lengthen(
    folder: &Path,
    items: u32,
    snapshots: bool,
) -> Result<(ExecutionId, u64), Failed> {
    let mut worker = WorkerConfig::default();
    if !snapshots {
        worker.snapshot_entries = u64::MAX;
    }
    let setup = Setup {
        bus: Bus::new(BUS),
        worker,
        ..Setup::default()
    };
    let running = Running::open_with(folder, setup).await?;
    let each = json!({ "nodes": [
        { "id": "twice", "action": "data.set", "parameters": { "n": "{{ $item * 2 }}" } },
    ] });
    let definition = json!({ "id": "long", "nodes": [
        { "id": "numbers", "action": "flow.for_each", "parameters": { "range": { "to": items } }, "body": each },
        { "id": "wait", "action": "flow.wait", "parameters": { "signal": SIGNAL } },
        { "id": "done", "action": "data.set", "parameters": { "customer": "{{ $input.customer }}" } },
    ], "output": "{{ $nodes.done.result }}" });
    let installed = running.install(&work::parsed(&definition)).await?;
    let mut watcher = running.nebula.bus().subscribe();
    let id = start(&running, &installed).await?;
    next(&mut watcher, |it| {
        matches!(it.kind, EventKind::NodeListening { .. })
    })
    .await?;
    let tenant = TenantId::local();
    let summary = running.store.get(&tenant, id).await?;
    let entries = summary.map_or(0, |it| it.entries);
    running.stop().await?;
    Ok((id, entries))
}

/// Opens the database in `folder`, and tells its only execution to go on; how long it takes from there to
/// its end, and the most memory that the process had.
///
/// # Errors
/// The database cannot be opened, or failed.
pub async fn load(folder: &Path, id: ExecutionId) -> Result<(Duration, u64), Failed> {
    let setup = Setup {
        bus: Bus::new(BUS),
        ..Setup::default()
    };
    let running = Running::open_with(folder, setup).await?;
    let mut watcher = running.nebula.bus().subscribe();
    let from = running.clock.monotonic();
    let engine = running.nebula.engine();
    let _ = engine.send(&TenantId::local(), id, signal(0)).await?;
    next(&mut watcher, |it| {
        matches!(it.kind, EventKind::Ended { .. })
    })
    .await?;
    let took = running.clock.monotonic().saturating_sub(from);
    running.stop().await?;
    Ok((took, process::peak()))
}
