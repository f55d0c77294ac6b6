//! The same work through the whole engine: expressions, plan, machine, leases, sandbox, store.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nebula::{
    Nebula,
    engine::{Installed, Until},
    execution::{StartOptions, Status},
    workflow::{Source, parse},
};
use nebula_core::{Clock, TenantId};
use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_sandbox_inprocess::InProcess;
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::SystemClock;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Samples, repo::Outcome};

/// What goes wrong before anything is measured.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Runs `executions` executions of a chain of `nodes` trivial nodes in a new database in `folder`,
/// `clients` at a time; each client waits for its outcome before it starts the next.
///
/// # Errors
/// The database cannot be opened, or the definition is wrong.
///
/// # Panics
/// When an execution does not complete.
pub async fn run(
    folder: &Path,
    nodes: u32,
    executions: u64,
    clients: u64,
) -> Result<Outcome, Failed> {
    let clock = Arc::new(SystemClock::default());
    let store =
        Arc::new(Sqlite::open(SqliteConfig::file(folder.join("engine.db")), clock.clone()).await?);
    let queue = Arc::new(MemoryQueue::new(
        MemoryQueueConfig::default(),
        clock.clone(),
    ));
    let sandbox = Arc::new(InProcess::new(clock.clone()));
    let nebula = Nebula::builder(store.clone(), store.clone(), queue, sandbox).build()?;
    let installed = install(&nebula, nodes).await?;
    let shutdown = CancellationToken::new();
    let (worker, stop) = (nebula.clone(), shutdown.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        worker.run(stop).await.expect("the store does not fail");
        Samples::default()
    });
    let begin = clock.monotonic();
    let next = Arc::new(AtomicU64::new(0));
    for _ in 0..clients {
        let (nebula, installed, next, clock) = (
            nebula.clone(),
            installed.clone(),
            Arc::clone(&next),
            Arc::clone(&clock),
        );
        tasks.spawn(async move {
            let mut latency = Samples::default();
            while next.fetch_add(1, Ordering::Relaxed) < executions {
                let from = clock.monotonic();
                one(&nebula, &installed).await;
                latency.add(clock.monotonic().saturating_sub(from));
            }
            latency
        });
    }
    let (mut latency, mut left) = (Samples::default(), clients);
    while left > 0 {
        let client = tasks.join_next().await.expect("clients are left");
        latency.extend(client?);
        left -= 1;
    }
    let took = clock.monotonic().saturating_sub(begin);
    shutdown.cancel();
    while tasks.join_next().await.is_some() {}
    Ok(Outcome {
        took,
        latency,
        stats: store.stats(),
    })
}

async fn install(nebula: &Nebula, nodes: u32) -> Result<Installed, Failed> {
    let list: Vec<_> = (1..=nodes)
        .map(|n| {
            let parameters =
                json!({ "customer": "{{ $json.customer }}", "total": "{{ $json.total }}" });
            json!({ "id": format!("step_{n}"), "action": "data.set", "parameters": parameters })
        })
        .collect();
    let source = Source::new("bench-chain.json", json!({ "nodes": list }).to_string());
    let definition = parse(&source).definition.ok_or("the definition is wrong")?;
    Ok(nebula
        .engine()
        .install(&TenantId::local(), &definition)
        .await?)
}

async fn one(nebula: &Nebula, installed: &Installed) {
    let tenant = TenantId::local();
    let input = json!({ "customer": "c-1024", "total": 42 });
    let id = nebula
        .start(&tenant, installed, input, StartOptions::default())
        .await
        .expect("it starts");
    let status = nebula
        .engine()
        .wait(&tenant, id, Until::Ended, None)
        .await
        .expect("the store answers");
    assert_eq!(status, Some(Status::Completed));
}
