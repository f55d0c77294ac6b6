//! What a ring, a delivery and its ack cost in each queue: how many a second, of the server's processor and of
//! ours.
//!
//! `cargo bench -p nebula-benches --bench queues`; without `--bench` a short run. A queue whose server is not
//! on this computer is left out.

use std::{
    error::Error,
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use nebula_benches::{
    Table,
    asked::Asked,
    engine::{Failed, threads},
    process::{usage, usage_of},
};
use nebula_core::{Clock, ExecutionId, Priority, SecretString, TenantId, WorkflowId};
use nebula_ports::{Task, TaskQueue};
use nebula_postgres::Address;
use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_queue_postgres::{PostgresQueue, PostgresQueueConfig};
use nebula_queue_redis::{RedisQueue, RedisQueueConfig, RedisServer};
use nebula_system::{SystemClock, SystemEntropy};
use nebula_testkit::servers::{Postgres, Redis};
use tokio::task::JoinSet;

/// Tasks of one measurement; a short run has a hundredth.
const TASKS: u32 = 50_000;

/// Processes' worth of callers, and how many tasks each call takes.
const LOADS: [(u32, usize); 4] = [(1, 1), (1, 32), (16, 1), (16, 32)];

const HOUR: Duration = Duration::from_secs(3_600);

/// A queue, and the processes behind it.
struct Measured {
    name: &'static str,
    queue: Arc<dyn TaskQueue>,
    server: Vec<u32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let asked = Asked::read();
    let tasks = if asked.whole { TASKS } else { TASKS / 100 };
    let (redis, postgres) = (Redis::start(&[]), Postgres::start(&[]));
    let mut table = Table::new([
        "queue, callers × batch",
        "rings/s",
        "takes + acks/s",
        "µs of ours",
        "µs of the server",
    ]);
    let measured = threads()?.block_on(async {
        for measured in queues(redis.as_ref(), postgres.as_ref()).await? {
            for (callers, batch) in LOADS {
                measure(&measured, tasks, callers, batch, &mut table).await?;
            }
        }
        Ok::<_, Failed>(())
    });
    measured.map_err(|error| error.to_string())?;
    writeln!(io::stdout().lock(), "{table}")?;
    Ok(())
}

async fn queues(
    redis: Option<&Redis>,
    postgres: Option<&Postgres>,
) -> Result<Vec<Measured>, Failed> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let memory = MemoryQueue::new(MemoryQueueConfig::default(), Arc::clone(&clock));
    let mut queues = vec![Measured {
        name: "memory",
        queue: Arc::new(memory),
        server: Vec::new(),
    }];
    if let Some(redis) = redis {
        let at = RedisServer::at(&SecretString::from(redis.address()))?;
        let config = RedisQueueConfig::default();
        let queue = RedisQueue::open(at, config, Arc::clone(&clock), &SystemEntropy).await?;
        let info = redis.asked(&["INFO", "server"]);
        let pid = info.lines().find_map(|it| it.strip_prefix("process_id:"));
        queues.push(Measured {
            name: "redis",
            queue: Arc::new(queue),
            server: pid.and_then(|pid| pid.parse().ok()).into_iter().collect(),
        });
    }
    if let Some(postgres) = postgres {
        let at = Address::parse(&postgres.address("postgres"), &[])?;
        let config = PostgresQueueConfig::default();
        let queue = PostgresQueue::open(at, config, clock, &SystemEntropy).await?;
        queues.push(Measured {
            name: "postgres",
            queue: Arc::new(queue),
            server: backends(postgres).await?,
        });
    }
    Ok(queues)
}

/// The processes of a server that serve the queue.
async fn backends(postgres: &Postgres) -> Result<Vec<u32>, Failed> {
    let at = Address::parse(&postgres.address("postgres"), &[])?;
    let (client, connection) = at.connect().await?;
    let sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'nebula-queue'";
    let rows = tokio::select! {
        rows = client.query_typed(sql, &[]) => rows?,
        ended = connection => return Err(format!("the connection ended: {ended:?}").into()),
    };
    let pids = rows.iter().map(|row| row.get::<_, i32>(0));
    Ok(pids.filter_map(|pid| u32::try_from(pid).ok()).collect())
}

/// Rings for so many executions of eight workflows of four tenants, then takes and acks them.
async fn measure(
    measured: &Measured,
    tasks: u32,
    callers: u32,
    batch: usize,
    table: &mut Table,
) -> Result<(), Failed> {
    let clock = SystemClock::default();
    let server = || -> Duration { measured.server.iter().map(|pid| usage_of(*pid).cpu).sum() };
    let (ours, theirs) = (usage().cpu, server());
    let each = tasks / callers;
    let begun = clock.monotonic();
    let mut work = JoinSet::new();
    for caller in 0..callers {
        let queue = Arc::clone(&measured.queue);
        work.spawn(async move {
            for n in 0..each {
                let _ = queue.ring(task(caller * each + n), Duration::ZERO).await?;
            }
            Ok::<_, Failed>(())
        });
    }
    while let Some(done) = work.join_next().await {
        done??;
    }
    let rung = clock.monotonic();
    for _ in 0..callers {
        let queue = Arc::clone(&measured.queue);
        work.spawn(async move {
            loop {
                let taken = queue.receive(batch, Duration::ZERO, HOUR).await?;
                if taken.is_empty() {
                    return Ok(());
                }
                let receipts: Vec<_> = taken.into_iter().map(|it| it.receipt).collect();
                let _ = queue.ack(&receipts).await?;
            }
        });
    }
    while let Some(done) = work.join_next().await {
        done??;
    }
    let done = clock.monotonic();
    let count = f64::from(each * callers);
    let rate = |time: Duration| format!("{:.0}", count / time.as_secs_f64());
    let cost = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e6 / count);
    let theirs = match measured.server.is_empty() {
        false => cost(server().saturating_sub(theirs)),
        true => String::new(),
    };
    table.row([
        format!("{}, {callers} × {batch}", measured.name).as_str(),
        &rate(rung.saturating_sub(begun)),
        &rate(done.saturating_sub(rung)),
        &cost(usage().cpu.saturating_sub(ours)),
        &theirs,
    ]);
    Ok(())
}

fn task(n: u32) -> Task {
    Task {
        tenant: TenantId::new(format!("tenant-{}", n % 4)).expect("an id"),
        execution: ExecutionId::from_bytes(u128::from(n).to_be_bytes()),
        workflow: WorkflowId::new(format!("workflow-{}", n % 8)).expect("an id"),
        priority: Priority::Normal,
        group: nebula_core::Group::default(),
    }
}
