//! Actions that take their process down: given up after a few deaths, while others come to their end.
//!
//! The test starts itself again as the worker, and again whenever it has died, as a supervisor does.

#![expect(
    clippy::disallowed_methods,
    reason = "processes are ended and awaited: there is no event to wait for, and no clock to move"
)]

use std::{
    io::{self, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use nebula::{
    Nebula,
    engine::{Report, Waiting},
    execution::{StartOptions, Status},
    workflow::{Source, parse},
};
use nebula_action::{
    Action, ActionContext, ActionError, ActionMetadata, ActionResult, Effect, EffectClass,
};
use nebula_core::{Clock, ExecutionId, TenantId};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::SystemClock;
use nebula_testkit::{MemorySandbox, MemoryTaskQueue};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// What an action may do outside.
const CLASSES: [EffectClass; 3] = [
    EffectClass::Pure,
    EffectClass::Keyed,
    EffectClass::AtMostOnce,
];

/// Executions beside the one that is poison.
const NEIGHBOURS: usize = 8;

/// The address space of the worker, in KiB: what allocates without end ends here, not with the machine.
const ADDRESS_SPACE_KIB: u32 = 1 << 20;

/// How often a worker may die before the node is given up.
const MAX_DEATHS: u32 = 20;

/// How long anything may take that the test waits for.
const BOUND: Duration = Duration::from_secs(120);

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, path] = &arguments[..]
        && mode == "work"
    {
        return work(Path::new(path));
    }
    for class in CLASSES {
        let deaths = check("abort", class)?;
        say(&format!("abort, {}", name(class)), deaths)?;
    }
    let deaths = check("allocate", EffectClass::Keyed)?;
    say("allocate", deaths)
}

fn say(what: &str, deaths: u32) -> io::Result<()> {
    writeln!(
        io::stdout(),
        "test what_takes_its_process_down_is_given_up ({what}: {deaths} deaths) ... ok"
    )
}

fn name(class: EffectClass) -> &'static str {
    match class {
        EffectClass::Pure => "pure",
        EffectClass::Read => "read",
        EffectClass::Idempotent => "idempotent",
        EffectClass::Keyed => "keyed",
        EffectClass::AtMostOnce => "once",
    }
}

/// `test.<kind>_<class>`: `abort` ends the process, `allocate` takes memory until there is none,
/// `work` gives its parameters.
#[derive(Debug)]
struct Poison(ActionMetadata);

impl Poison {
    fn all() -> impl Iterator<Item = Arc<dyn Action>> {
        ["abort", "allocate", "work"].into_iter().flat_map(|kind| {
            CLASSES.map(|class| {
                let id = format!("test.{kind}_{}", name(class));
                let metadata = ActionMetadata::new(&id, (1, 0), Effect::Fixed(class));
                Arc::new(Self(metadata)) as Arc<dyn Action>
            })
        })
    }
}

#[async_trait]
impl Action for Poison {
    fn metadata(&self) -> &ActionMetadata {
        &self.0
    }

    async fn execute(&self, _: &ActionContext, input: Value) -> Result<ActionResult, ActionError> {
        let id = self.0.id.to_string();
        if id.contains("abort") {
            std::process::abort();
        }
        let mut held = Vec::new();
        while id.contains("allocate") {
            // Written to, or the system would not have to give it.
            held.push(vec![1_u8; 64 << 20]);
        }
        drop(held);
        Ok(ActionResult::output(input))
    }
}

async fn process(path: &Path) -> Nebula {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = Sqlite::open(SqliteConfig::file(path), clock.clone()).await;
    let store = Arc::new(store.expect("it is a database"));
    let queue = Arc::new(MemoryTaskQueue::new(clock.clone(), 1_000, 100));
    let sandbox = Arc::new(MemorySandbox::new(clock.clone()));
    Nebula::builder(store.clone(), store, queue, sandbox)
        .clock(clock)
        .actions(Poison::all())
        .build()
        .expect("the defaults fit each other")
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("there are threads")
}

/// Works until the process dies or is killed.
fn work(path: &Path) -> io::Result<()> {
    runtime().block_on(async {
        let stopped = process(path).await.run(CancellationToken::new()).await;
        stopped.map_err(io::Error::other)
    })
}

fn tenant() -> TenantId {
    TenantId::local()
}

async fn start(nebula: &Nebula, yaml: &str) -> ExecutionId {
    let parsed = parse(&Source::new("poison.yaml", yaml));
    let definition = parsed.definition.expect("it is a definition");
    let installed = nebula.engine().install(&tenant(), &definition).await;
    let installed = installed.expect("it has a plan");
    let options = StartOptions::default();
    // Only its journal begins here: whoever finds it drives it.
    let (tenant, input) = (tenant(), json!({}));
    let engine = nebula.engine();
    let started = engine.start(&tenant, &installed, input, options, None, None);
    started.await.expect("the store takes it").id
}

/// How many workers died until the node was given up that took them down, and no other.
fn check(kind: &str, class: EffectClass) -> io::Result<u32> {
    let action = &format!("test.{kind}_{}", name(class));
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("nebula.db");
    let runtime = runtime();
    let (poison, neighbours) = runtime.block_on(async {
        let nebula = process(&path).await;
        let yaml = format!("id: poison\nnodes: [{{ id: first, action: test.work_keyed }}, {{ id: bad, action: {action} }}, {{ id: after, action: test.work_keyed }}]");
        let poison = start(&nebula, &yaml).await;
        let mut neighbours = Vec::new();
        for n in 0..NEIGHBOURS {
            let yaml = format!("id: neighbour-{n}\nnodes: [{{ id: a, action: test.work_keyed }}, {{ id: w, action: flow.wait, parameters: {{ for: 1s }} }}, {{ id: b, action: test.work_keyed }}]");
            neighbours.push(start(&nebula, &yaml).await);
        }
        (poison, neighbours)
    });
    let mut worker = Worker::start(&path)?;
    let (begun, mut deaths) = (Instant::now(), 0);
    let report = loop {
        if worker.0.try_wait()?.is_some() {
            deaths += 1;
            assert!(deaths <= MAX_DEATHS, "{action}: nothing gives it up");
            worker = Worker::start(&path)?;
        }
        let (report, others) = runtime.block_on(async {
            let nebula = process(&path).await;
            let mut others = Vec::new();
            for id in &neighbours {
                others.push(report(&nebula, *id).await);
            }
            others.retain(|it| it.status != Status::Completed);
            (report(&nebula, poison).await, others)
        });
        let given_up = report.status.is_terminal() || report.status == Status::Parked;
        if given_up && others.is_empty() {
            break report;
        }
        let waited = begun.elapsed();
        assert!(waited < BOUND, "{action}: {report:?}; beside it {others:?}");
        pause();
    };
    // Nobody knows what it is, or whether it did anything: a person decides.
    assert_eq!(report.status, Status::Parked, "{action}");
    let asks =
        matches!(&report.waiting[..], [Waiting::Decision { instance, .. }] if instance == "bad");
    assert!(asks, "{action}: {report:?}");
    assert_eq!(report.nodes["first"][0]["status"], "succeeded", "{action}");
    let after = report.nodes.get("after").into_iter().flatten();
    assert!(after.into_iter().all(|it| it["attempts"] == 0), "{action}");
    Ok(deaths)
}

async fn report(nebula: &Nebula, id: ExecutionId) -> Report {
    let report = nebula.engine().report(&tenant(), id).await;
    report.expect("the store answers").expect("it is there")
}

fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

/// A worker in a process of its own, which dies with the test.
struct Worker(Child);

impl Worker {
    fn start(path: &Path) -> io::Result<Self> {
        let this = std::env::current_exe()?;
        let limited =
            format!("ulimit -c 0; ulimit -v {ADDRESS_SPACE_KIB}; exec \"$0\" work \"$1\"");
        let child = Command::new("sh")
            .args(["-c", &limited])
            .arg(this)
            .arg(path)
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have died by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
