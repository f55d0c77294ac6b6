//! A fleet of processes: one that starts executions and waits for them, and 1, 2 or 4 that drive them, over
//! PostgreSQL and Redis. How many executions a second, what each costs whom, and how many round trips to PostgreSQL
//! it takes, beside the floor of the same run.
//!
//! `cargo bench -p nebula-benches --bench workers`; without `--bench` a short run. `--only 2` measures with so many
//! workers. All of it shares the cores of one machine: what grows with workers is only what waits.

use std::{
    error::Error,
    io::{self, BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use nebula_benches::{
    Table,
    asked::Asked,
    engine::{self, Failed, threads},
    fleet::{Process, Servers, floor, load, of_server},
    process::{usage, usage_of},
    work::Work,
};
use nebula_system::SystemClock;
use nebula_testkit::servers;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

// As in the programs.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How many workers there are.
const WORKERS: [usize; 3] = [1, 2, 4];

/// What is measured: a workload, how many clients put it on, and how many executions they do together.
const LOADS: [(Work, u64, u64); 6] = [
    (Work::Chain, 1, 1_000),
    (Work::Chain, 64, 20_000),
    (Work::Chain, 256, 20_000),
    (Work::FanOut, 16, 2_000),
    (Work::Keyed, 1, 200),
    (Work::Keyed, 64, 4_000),
];

fn main() -> Result<(), Box<dyn Error>> {
    let asked = Asked::read();
    let scale = if asked.whole { 1 } else { 100 };
    let settings = ["-c", "shared_buffers=512MB", "-c", "max_wal_size=4GB"];
    let Some(postgres) = servers::Postgres::start(&settings) else {
        return Ok(());
    };
    let Some(redis) = servers::Redis::start(&["--maxmemory-policy", "noeviction"]) else {
        return Ok(());
    };
    let mut table = Table::new([
        "load",
        "workers",
        "executions/s",
        "p50",
        "p99",
        "ms of who starts",
        "ms of workers",
        "ms of PostgreSQL",
        "ms of Redis",
        "round trips",
        "commits",
        "floor/s",
        "of the floor",
    ]);
    let measured = threads()?.block_on(async {
        for workers in WORKERS {
            if !asked.wants(&workers.to_string()) {
                continue;
            }
            let _ = redis.asked(&["FLUSHALL"]);
            let database = postgres.database();
            let servers = Servers {
                postgres: database.address(),
                redis: redis.address(),
            };
            let mut fleet = Fleet::begin(&servers, workers).await?;
            for (work, clients, count) in LOADS {
                let count = (count / scale).max(clients);
                let around = (&postgres, &redis, servers.postgres.as_str());
                fleet
                    .measure(around, (work, clients, count), &mut table)
                    .await?;
            }
            fleet.end().await?;
        }
        Ok::<_, Failed>(())
    });
    measured.map_err(|error| error.to_string())?;
    writeln!(io::stdout().lock(), "{table}")?;
    Ok(())
}

struct Fleet {
    starts: Process,
    stop: CancellationToken,
    running: JoinSet<Result<(), Failed>>,
    workers: Vec<Worker>,
}

/// A worker that is another process.
struct Worker {
    process: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn begin(servers: &Servers) -> Result<Self, Failed> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nebula-bench-worker"));
        command.args([&servers.postgres, &servers.redis]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let asks = process.stdin.take().ok_or("no way to ask")?;
        let answers = process.stdout.take().ok_or("no way to answer")?;
        let mut worker = Self {
            process,
            asks,
            answers: BufReader::new(answers),
        };
        // It is there once it answers.
        worker.asked()?;
        Ok(worker)
    }

    /// Round trips and commits so far.
    fn asked(&mut self) -> Result<[u64; 2], Failed> {
        writeln!(self.asks)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    fn end(self) -> Result<(), Failed> {
        let Self {
            mut process, asks, ..
        } = self;
        drop(asks);
        match process.wait()? {
            ended if ended.success() => Ok(()),
            ended => Err(format!("a worker ended with {ended}").into()),
        }
    }
}

/// What everybody has spent up to a moment.
#[derive(Clone, Copy)]
struct Spent {
    starts: Duration,
    workers: Duration,
    postgres: Duration,
    redis: Duration,
    round_trips: u64,
    commits: u64,
}

impl Fleet {
    async fn begin(servers: &Servers, workers: usize) -> Result<Self, Failed> {
        let starts = Process::open(servers, false).await?;
        let workers = (0..workers).map(|_| Worker::begin(servers));
        let workers = workers.collect::<Result<Vec<_>, _>>()?;
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        let (nebula, stopping) = (starts.nebula.clone(), stop.clone());
        running.spawn(async move { Ok(nebula.drive(stopping).await?) });
        Ok(Self {
            starts,
            stop,
            running,
            workers,
        })
    }

    async fn end(mut self) -> Result<(), Failed> {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended??;
        }
        self.workers.into_iter().try_for_each(Worker::end)
    }

    fn spent(
        &mut self,
        postgres: &servers::Postgres,
        redis: &servers::Redis,
    ) -> Result<Spent, Failed> {
        let own = self.starts.store.stats();
        let (mut round_trips, mut commits) = (own.round_trips, own.commits);
        let mut cpu = Duration::ZERO;
        for worker in &mut self.workers {
            let [trips, written] = worker.asked()?;
            round_trips += trips;
            commits += written;
            cpu += usage_of(worker.process.id()).cpu;
        }
        Ok(Spent {
            starts: usage().cpu,
            workers: cpu,
            postgres: of_server(postgres.process_id()),
            redis: of_redis(redis),
            round_trips,
            commits,
        })
    }

    async fn measure(
        &mut self,
        (postgres, redis, address): (&servers::Postgres, &servers::Redis, &str),
        (work, clients, count): (Work, u64, u64),
        table: &mut Table,
    ) -> Result<(), Failed> {
        let clock = Arc::new(SystemClock::default());
        let portions = engine::portions(work).await?;
        // What is compiled once, and connections.
        load(&self.starts.nebula, work, clients * 4, clients, &clock).await?;
        let before = self.spent(postgres, redis)?;
        let (took, latency) = load(&self.starts.nebula, work, count, clients, &clock).await?;
        let after = self.spent(postgres, redis)?;
        let floor = floor(address, &portions, count, &clock).await?;
        let each = |count_of: u64| format!("{:.3}", count_of as f64 / count as f64);
        let cost = |from: Duration, to: Duration| {
            let spent = to.saturating_sub(from);
            format!("{:.3}", spent.as_secs_f64() * 1e3 / count as f64)
        };
        let rate = count as f64 / took.as_secs_f64();
        table.row([
            format!("{}, {clients} clients", work.name()).as_str(),
            &self.workers.len().to_string(),
            &format!("{rate:.0}"),
            &format!("{:.2?}", latency.percentile(50)),
            &format!("{:.2?}", latency.percentile(99)),
            &cost(before.starts, after.starts),
            &cost(before.workers, after.workers),
            &cost(before.postgres, after.postgres),
            &cost(before.redis, after.redis),
            &each(after.round_trips - before.round_trips),
            &each(after.commits - before.commits),
            &format!("{floor:.0}"),
            &format!("{:.2}", rate / floor),
        ]);
        Ok(())
    }
}

/// Processor time of Redis, as it says itself.
fn of_redis(redis: &servers::Redis) -> Duration {
    let said = redis.asked(&["INFO", "cpu"]);
    let of = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|it| it.trim().parse().ok()).unwrap_or(0.0)
    };
    Duration::from_secs_f64(of("used_cpu_sys:") + of("used_cpu_user:"))
}
