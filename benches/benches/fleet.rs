//! The engine over PostgreSQL: how many executions a second, what each costs this process and the server, and
//! how many round trips it takes, beside the floor of the same run: single rows with the same bytes, each in a
//! transaction of its own, as `pgbench` would insert them.
//!
//! `cargo bench -p nebula-benches --bench fleet`; without `--bench` a short run. `--only W1/64` measures one
//! load. The server waits for the disk at each commit.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nebula::{
    Nebula,
    execution::{StartOptions, Status},
    telemetry::Bus,
};
use nebula_benches::{
    Samples, Table,
    asked::Asked,
    engine::{self, Failed, threads},
    floor::Portion,
    process::{usage, usage_of},
    work::{self, Stays, Work},
};
use nebula_core::{Clock, TenantId};
use nebula_postgres::{Address, params, typed};
use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_sandbox_inprocess::InProcess;
use nebula_storage_postgres::{Postgres, PostgresConfig};
use nebula_system::{SystemClock, SystemSpawn};
use nebula_testkit::{MemoryWorkflowRepo, servers};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

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

/// Connections that write the floor.
const FLOOR: u64 = 16;

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

/// Processor time of a server with all its processes, those that have ended too.
fn of_server(server: &servers::Postgres) -> Duration {
    let pid = server.process_id();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let alive = children
        .split_ascii_whitespace()
        .filter_map(|it| it.parse().ok());
    alive.chain([pid]).map(|pid| usage_of(pid).cpu).sum()
}

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
    let (before, ours, theirs) = (store.stats(), usage().cpu, of_server(server));
    let (took, latency) = load(&nebula, work, count, clients, &clock).await?;
    let (after, ours, theirs) = (
        store.stats(),
        usage().cpu.saturating_sub(ours),
        of_server(server).saturating_sub(theirs),
    );
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
    ]);
    Ok(())
}

/// So many executions, each client one after the other.
async fn load(
    nebula: &Nebula,
    work: Work,
    count: u64,
    clients: u64,
    clock: &Arc<SystemClock>,
) -> Result<(Duration, Samples), Failed> {
    let tenant = TenantId::local();
    let installed = nebula.engine().install(&tenant, &work.definition()).await?;
    let (begun, next) = (clock.monotonic(), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (nebula, installed) = (nebula.clone(), installed.clone());
        let (next, clock) = (Arc::clone(&next), Arc::clone(clock));
        tasks.spawn(async move {
            let mut latency = Samples::default();
            while next.fetch_add(1, Ordering::Relaxed) < count {
                let from = clock.monotonic();
                let options = StartOptions::default();
                let tenant = TenantId::local();
                let executed = nebula.execute(&tenant, &installed, work.input(), options);
                let (_, end) = executed.await.expect("it starts, and the store answers");
                assert_eq!(end.status, Status::Completed);
                latency.add(clock.monotonic().saturating_sub(from));
            }
            latency
        });
    }
    let mut latency = Samples::default();
    while let Some(client) = tasks.join_next().await {
        latency.extend(client?);
    }
    Ok((clock.monotonic().saturating_sub(begun), latency))
}

/// How many executions a second plain inserts of the same bytes come to.
async fn floor(
    address: &str,
    portions: &[Portion],
    count: u64,
    clock: &SystemClock,
) -> Result<f64, Failed> {
    let address = Address::parse(address, &[])?;
    let (client, carrier) = address.connect().await?;
    let mut carriers = JoinSet::new();
    carriers.spawn(carrier);
    client
        .batch_execute(
            "CREATE TABLE floor (id uuid PRIMARY KEY, tenant text, workflow text, at bigint, entries bytea);
             CREATE INDEX ON floor (tenant, at, id)",
        )
        .await?;
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    let begun = clock.monotonic();
    for _ in 0..FLOOR {
        let (client, carrier) = address.connect().await?;
        carriers.spawn(carrier);
        let (next, portions) = (Arc::clone(&next), portions.to_vec());
        tasks.spawn(async move {
            let insert = "INSERT INTO floor VALUES ($1, $2, $3, $4, $5)";
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return Ok::<_, Failed>(());
                }
                for (part, portion) in (0_u128..).zip(&portions) {
                    let id = Uuid::from_u128(u128::from(n) << 32 | part);
                    let at = i64::try_from(n).unwrap_or(i64::MAX);
                    let row = params![id, "local", work::CHAIN.to_string(), at, portion.entries];
                    client.execute_typed(insert, &typed(row)).await?;
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(count as f64 / clock.monotonic().saturating_sub(begun).as_secs_f64())
}
