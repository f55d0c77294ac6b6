//! What the benches of a fleet have in common: a process of it, a load, its floor, and what servers spend.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nebula::{
    Nebula,
    execution::{StartOptions, Status},
};
use nebula_core::{Clock, SecretString, TenantId};
use nebula_postgres::{Address, params, typed};
use nebula_queue_redis::{RedisQueue, RedisQueueConfig, RedisRelay, RedisServer};
use nebula_sandbox_inprocess::InProcess;
use nebula_storage_postgres::{Postgres, PostgresConfig};
use nebula_system::{SystemClock, SystemEntropy, SystemSpawn};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    Samples,
    engine::Failed,
    floor::Portion,
    process::usage_of,
    work::{self, Stays, Work},
};

/// Where the servers of a fleet are.
#[derive(Debug, Clone)]
pub struct Servers {
    /// Of executions and workflows.
    pub postgres: String,
    /// Of the queue.
    pub redis: String,
}

/// A process of a fleet.
#[derive(Debug)]
pub struct Process {
    /// Its engine.
    pub nebula: Nebula,
    /// Its store.
    pub store: Arc<Postgres>,
}

impl Process {
    /// One that drives executions, or one that only starts them.
    ///
    /// # Errors
    /// A server is not there.
    pub async fn open(servers: &Servers, drives: bool) -> Result<Self, Failed> {
        let clock = Arc::new(SystemClock::default());
        let store = Arc::new(Postgres::open(PostgresConfig::at(servers.postgres.as_str())).await?);
        let server = RedisServer::at(&SecretString::from(servers.redis.as_str()))?;
        let config = RedisQueueConfig::default();
        let relay = RedisRelay::new(server.clone(), &config, clock.clone())?;
        let queue = RedisQueue::open(server, config, clock.clone(), &SystemEntropy).await?;
        let queue = Arc::new(queue);
        let builder = match drives {
            true => {
                let sandbox = Arc::new(InProcess::new(clock));
                Nebula::builder(store.clone(), store.clone(), queue, sandbox)
            }
            false => Nebula::without_worker(store.clone(), store.clone(), queue),
        };
        let nebula = builder
            .actions(work::actions(Stays::NoTime))
            .spawn(Arc::new(SystemSpawn))
            .relay(Arc::new(relay))
            .build()?;
        Ok(Self { nebula, store })
    }
}

/// Connections that write the floor.
const FLOOR: u64 = 16;

/// Processor time of a server with all its processes, those that have ended too, by the number of its first.
#[must_use]
pub fn of_server(pid: u32) -> Duration {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let alive = children
        .split_ascii_whitespace()
        .filter_map(|it| it.parse().ok());
    alive.chain([pid]).map(|pid| usage_of(pid).cpu).sum()
}

/// So many executions, each client one after the other: how long all of them took, and each.
///
/// # Errors
/// The workflow cannot be stored.
///
/// # Panics
/// An execution does not complete.
pub async fn load(
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
///
/// # Errors
/// Those of the database.
pub async fn floor(
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
            "DROP TABLE IF EXISTS floor;
             CREATE TABLE floor (id uuid PRIMARY KEY, tenant text, workflow text, at bigint, entries bytea);
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
