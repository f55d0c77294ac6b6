//! The engine over PostgreSQL: how many executions a second, what each costs this process and the server, and
//! how many round trips it takes, beside the floor of the same run: single rows with the same bytes, each in a
//! transaction of its own, as `pgbench` would insert them.
//!
//! `cargo bench -p nebula-benches --bench fleet`; without `--bench` a short run. `--only W1/64` measures one
//! load. The server waits for the disk at each commit.

use std::{
    error::Error,
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use nebula::{Nebula, telemetry::Bus};
use nebula_benches::{
    Table,
    asked::Asked,
    engine::{self, Failed, threads},
    fleet::{floor, load, of_server},
    process::usage,
    work::{self, Stays, Work},
};
use nebula_core::{Clock as _, TenantId, Timestamp};
use nebula_ports::ExecutionRepo as _;
use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_sandbox_inprocess::InProcess;
use nebula_storage_postgres::{Postgres, PostgresConfig};
use nebula_system::{SystemClock, SystemSpawn};
use nebula_testkit::{MemoryWorkflowRepo, servers};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

// As in the programs.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is measured: a workload, how many clients put it on, and how many executions they do together.
const LOADS: [(Work, u64, u64); 6] = [
    (Work::Chain, 1, 1_000),
    (Work::Chain, 16, 10_000),
    (Work::Chain, 64, 20_000),
    (Work::FanOut, 16, 2_000),
    (Work::Keyed, 1, 300),
    (Work::Keyed, 64, 5_000),
];

fn main() -> Result<(), Box<dyn Error>> {
    let asked = Asked::read();
    let scale = if asked.whole { 1 } else { 100 };
    let Some(server) =
        servers::Postgres::start(&["-c", "shared_buffers=512MB", "-c", "max_wal_size=4GB"])
    else {
        return Ok(());
    };
    let mut table = Table::new([
        "load",
        "executions/s",
        "p50",
        "p99",
        "ms of ours",
        "ms of the server",
        "round trips",
        "commits",
        "floor/s",
        "of the floor",
        "deleted/s",
        "ms of the server",
    ]);
    let measured = threads()?.block_on(async {
        for (work, clients, count) in LOADS {
            if asked.wants(&format!("{}/{clients}", work.name())) {
                let count = (count / scale).max(clients);
                measure(&server, (work, clients, count), &mut table).await?;
            }
        }
        Ok::<_, Failed>(())
    });
    measured.map_err(|error| error.to_string())?;
    writeln!(io::stdout().lock(), "{table}")?;
    Ok(())
}

/// How many executions are deleted at a time.
const PORTION: usize = 256;

async fn measure(
    server: &servers::Postgres,
    (work, clients, count): (Work, u64, u64),
    table: &mut Table,
) -> Result<(), Failed> {
    let clock = Arc::new(SystemClock::default());
    let portions = engine::portions(work).await?;
    let database = server.database();
    let store = Arc::new(Postgres::open(PostgresConfig::at(database.address())).await?);
    let workflows = Arc::new(MemoryWorkflowRepo::new(clock.clone()));
    let queue = MemoryQueue::new(MemoryQueueConfig::default(), clock.clone());
    let sandbox = Arc::new(InProcess::new(clock.clone()));
    let nebula = Nebula::builder(store.clone(), workflows, Arc::new(queue), sandbox)
        .actions(work::actions(Stays::NoTime))
        .spawn(Arc::new(SystemSpawn))
        .bus(Bus::new(Bus::DEFAULT_CAPACITY))
        .build()?;
    let (stop, mut worker) = (CancellationToken::new(), JoinSet::new());
    let (running, stopping) = (nebula.clone(), stop.clone());
    worker.spawn(async move { running.run(stopping).await });
    // What is compiled once, and connections.
    load(&nebula, work, clients, clients, &clock).await?;
    let (before, ours, theirs) = (store.stats(), usage().cpu, of_server(server.process_id()));
    let (took, latency) = load(&nebula, work, count, clients, &clock).await?;
    let (after, ours, theirs) = (
        store.stats(),
        usage().cpu.saturating_sub(ours),
        of_server(server.process_id()).saturating_sub(theirs),
    );
    let forgotten = forget(server, &store, &clock).await?;
    stop.cancel();
    while let Some(stopped) = worker.join_next().await {
        stopped??;
    }
    let floor = floor(&database.address(), &portions, count, &clock).await?;
    let each = |count_of: u64| count_of as f64 / count as f64;
    let cost = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1e3 / count as f64);
    let rate = count as f64 / took.as_secs_f64();
    table.row([
        format!("{}, {clients} clients", work.name()).as_str(),
        &format!("{rate:.0}"),
        &format!("{:.2?}", latency.percentile(50)),
        &format!("{:.2?}", latency.percentile(99)),
        &cost(ours),
        &cost(theirs),
        &format!("{:.3}", each(after.round_trips - before.round_trips)),
        &format!("{:.3}", each(after.commits - before.commits)),
        &format!("{floor:.0}"),
        &format!("{:.2}", rate / floor),
        &forgotten.0,
        &forgotten.1,
    ]);
    Ok(())
}

/// Deletes everything, as retention does: how many executions a second, and milliseconds of the server's processor
/// for each.
async fn forget(
    server: &servers::Postgres,
    store: &Postgres,
    clock: &SystemClock,
) -> Result<(String, String), Failed> {
    let (tenant, begun) = (TenantId::local(), clock.monotonic());
    let (theirs, mut deleted) = (of_server(server.process_id()), 0);
    // Each portion is a transaction, as in the engine.
    loop {
        let portion = store.delete_ended(&tenant, Timestamp::MAX, PORTION).await?;
        deleted += portion;
        if portion < PORTION {
            break;
        }
    }
    let took = clock.monotonic().saturating_sub(begun).as_secs_f64();
    let theirs = of_server(server.process_id()).saturating_sub(theirs);
    let each = theirs.as_secs_f64() * 1e3 / deleted as f64;
    Ok((
        format!("{:.0}", deleted as f64 / took),
        format!("{each:.3}"),
    ))
}
