//! The engine end to end, through HTTP and embedded, beside the floor of the same run.
//!
//! `cargo xtask bench` runs it and compares; without `--bench` (as in `cargo test --benches`) a short
//! run. `--summary PATH` adds the figures to those that stand there.
//! `--only W1/64` measures one workload with so many clients; `--profile W1/64 COUNT` does nothing but
//! run it so often in this process, for who looks at it with a profiler.

use std::{
    error::Error,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use nebula_benches::{
    Samples,
    asked::Asked,
    disk,
    engine::{self, Failed, threads},
    floor, load, median,
    process::{self, Usage},
    summary::Summary,
    work::Work,
};
use nebula_core::Clock;
use nebula_system::SystemClock;
use tokio::runtime::Runtime;

// As in the program `nebula`.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Interleaved repetitions of everything; the summary has medians.
const ROUNDS: usize = 5;

/// The server, which cargo builds beside this.
const SERVER: &str = env!("CARGO_BIN_EXE_nebula-bench-server");

/// What is measured: a workload, how many clients put it on, and how many executions they do together.
const LOADS: [(Work, u64, u64); 9] = [
    (Work::Chain, 1, 2_000),
    (Work::Chain, 16, 20_000),
    (Work::Chain, 64, 20_000),
    (Work::Chain, 256, 20_000),
    (Work::FanOut, 1, 500),
    (Work::FanOut, 16, 4_000),
    (Work::Keyed, 1, 500),
    (Work::Keyed, 16, 5_000),
    (Work::Keyed, 64, 10_000),
];

/// How long an idle server is watched.
const IDLE: Duration = Duration::from_secs(10);

/// What one measurement gave.
#[derive(Debug, Default)]
struct Measured {
    rate: f64,
    cpu_ms: f64,
    commits: f64,
    bytes: f64,
    floor_ratio: f64,
    latency: Samples,
}

fn main() -> Result<(), Box<dyn Error>> {
    let asked = Asked::read();
    if let Some(what) = asked.behind("--profile") {
        return profile(what);
    }
    let (rounds, scale) = if asked.whole { (ROUNDS, 1) } else { (1, 100) };
    let measured = measure(rounds, scale, &asked).map_err(|error| error.to_string())?;
    asked.report(&measured)
}

fn profile(what: &[String]) -> Result<(), Box<dyn Error>> {
    let wanted = |work: Work, clients: u64| format!("{}/{clients}", work.name());
    let [name, count, ..] = what else {
        return Err("--profile wants a workload and a count: --profile W1/64 1000".into());
    };
    let found = LOADS.into_iter();
    let mut found = found.filter(|(work, clients, _)| wanted(*work, *clients) == *name);
    let (work, clients, _) = found.next().ok_or_else(|| format!("there is no {name}"))?;
    let threads = threads()?;
    let folder = tempfile::tempdir()?;
    let outcome = threads.block_on(engine::run(folder.path(), work, count.parse()?, clients));
    let outcome = outcome.map_err(|error| error.to_string())?;
    writeln!(io::stdout().lock(), "{name}: {:.1?}", outcome.took)?;
    Ok(())
}

fn measure(rounds: usize, scale: u64, asked: &Asked) -> Result<Summary, Failed> {
    let clock = SystemClock::default();
    let threads = threads()?;
    // The load is to cost little.
    let one = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut summary, mut probes) = (Summary::default(), Samples::default());
    if asked.wants("W3") {
        cold(&mut summary, &one, rounds, scale)?;
    }
    for (work, clients, count) in LOADS {
        if !asked.wants(&format!("{}/{clients}", work.name())) {
            continue;
        }
        let count = (count / scale).max(clients);
        let portions = threads.block_on(engine::portions(work))?;
        let (mut http, mut embedded) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let folder = tempfile::tempdir()?;
            probes.extend(disk::probe(folder.path(), 200, &clock)?);
            let took = floor::run(folder.path(), &portions, count, &clock)?;
            let floor = count as f64 / took.as_secs_f64();
            http.push(through_http(&one, folder.path(), (work, count, clients))?);
            embedded.push(in_process(
                &threads,
                folder.path(),
                (work, count, clients),
                floor,
            )?);
        }
        let journal: usize = portions.iter().map(|it| it.entries.len()).sum();
        for (way, measured) in [("http", &http), ("embedded", &embedded)] {
            let way = format!("{way}_{clients}");
            figures(&mut summary, work, &way, measured);
            summary.set(
                work.name(),
                &way,
                [("journal_bytes_per_execution", journal as f64)],
            );
        }
    }
    let (p50, p99) = (probes.percentile(50), probes.percentile(99));
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "synchronous=FULL, medians of {rounds}; disk: 4 KiB + fdatasync p50 {p50:.0?}, p99 {p99:.0?}\n"
    )?;
    summary.set(
        "disk",
        "fdatasync",
        [("p50_ms", millis(p50)), ("p99_ms", millis(p99))],
    );
    Ok(summary)
}

fn through_http(
    one: &Runtime,
    folder: &Path,
    (work, count, clients): (Work, u64, u64),
) -> Result<Measured, Failed> {
    let folder = tempfile::tempdir_in(folder)?;
    let server = load::Server::start(Path::new(SERVER), folder.path())?;
    let loaded = one.block_on(async {
        let key = server.prepare().await?;
        // Code and caches are warm when it is measured.
        let warm = (count / 20).max(clients);
        server.load(&key, work, warm, clients).await?;
        server.load(&key, work, count, clients).await
    })?;
    let executions = count as f64;
    Ok(Measured {
        rate: executions / loaded.took.as_secs_f64(),
        cpu_ms: loaded.spent.cpu_ms as f64 / executions,
        commits: loaded.spent.commits as f64 / executions,
        bytes: loaded.spent.written as f64 / executions,
        floor_ratio: 0.0,
        latency: loaded.latency,
    })
}

fn in_process(
    threads: &Runtime,
    folder: &Path,
    (work, count, clients): (Work, u64, u64),
    floor: f64,
) -> Result<Measured, Failed> {
    let before = process::usage();
    let outcome = threads.block_on(engine::run(folder, work, count, clients))?;
    let Usage { cpu, written } = process::usage().since(before);
    let executions = count as f64;
    let rate = executions / outcome.took.as_secs_f64();
    Ok(Measured {
        rate,
        cpu_ms: cpu.as_secs_f64() * 1e3 / executions,
        commits: outcome.stats.commits as f64 / executions,
        bytes: written as f64 / executions,
        floor_ratio: rate / floor,
        latency: outcome.latency,
    })
}

fn figures(summary: &mut Summary, work: Work, way: &str, all: &[Measured]) {
    let of = |get: fn(&Measured) -> f64| median(all.iter().map(get));
    let mut latency = Samples::default();
    all.iter().for_each(|it| latency.extend(it.latency.clone()));
    let rate = of(|it| it.rate);
    summary.set(
        work.name(),
        way,
        [
            ("executions_per_s", rate),
            ("steps_per_s", rate * f64::from(work.nodes())),
            ("p50_ms", millis(latency.percentile(50))),
            ("p99_ms", millis(latency.percentile(99))),
            ("cpu_ms_per_execution", of(|it| it.cpu_ms)),
            ("commits_per_execution", of(|it| it.commits)),
            ("bytes_written_per_execution", of(|it| it.bytes)),
        ],
    );
    let ratio = of(|it| it.floor_ratio);
    if ratio > 0.0 {
        summary.set(work.name(), way, [("floor_ratio", ratio)]);
    }
}

/// From the start of a process to its first result, and what it costs while nothing happens. Its database has
/// the workflows and the key already, as that of a server that is started again.
fn cold(summary: &mut Summary, one: &Runtime, rounds: usize, scale: u64) -> Result<(), Failed> {
    let clock = SystemClock::default();
    let folder = tempfile::tempdir()?;
    let start = || load::Server::start(Path::new(SERVER), folder.path());
    let key = one.block_on(start()?.prepare())?;
    let mut first = Vec::new();
    for _ in 0..rounds {
        let begin = clock.monotonic();
        let server = start()?;
        one.block_on(server.ask_once(&key, Work::Chain))?;
        first.push(millis(clock.monotonic().saturating_sub(begin)));
    }
    let server = start()?;
    one.block_on(server.ask_once(&key, Work::Chain))?;
    let idle = IDLE / u32::try_from(scale)?;
    let spent = one.block_on(async {
        let before = server.spent().await?;
        clock.sleep(idle).await;
        Ok::<_, Failed>(server.spent().await?.since(before))
    })?;
    summary.set(
        "W3",
        "cold",
        [
            ("first_ms", median(first)),
            ("idle_rss_mb", spent.rss as f64 / 1e6),
            (
                "idle_cpu_percent",
                spent.cpu_ms as f64 / idle.as_secs_f64() / 10.0,
            ),
        ],
    );
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
