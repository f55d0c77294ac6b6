//! Steps per second through the store, beside the floor of the same run and the disk's own speed.
//!
//! `cargo bench -p nebula-benches`; without `--bench` (as in `cargo test --benches`) a short run.

use std::{
    error::Error,
    io::{self, Write},
    time::Duration,
};

use nebula_benches::{
    Samples, Table, chain, disk, engine, floor, median, process, repo,
    work::{CHAIN, Work},
};
use nebula_system::SystemClock;

/// Nodes of the chain: W1.
const NODES: u32 = CHAIN;

/// Interleaved repetitions of everything; the table has medians.
const ROUNDS: usize = 5;

/// Clients at the same time, with how many executions they do together.
const CLIENTS: [(u64, u64); 4] = [(1, 2_000), (16, 10_000), (64, 20_000), (256, 20_000)];

/// One measurement.
#[derive(Debug, Default)]
struct Figures {
    executions_per_second: f64,
    cpu_micros: f64,
    bytes: f64,
    commits: f64,
    latency: Samples,
}

fn main() -> Result<(), Box<dyn Error>> {
    let whole = std::env::args().any(|argument| argument == "--bench");
    let (rounds, scale) = if whole { (ROUNDS, 1) } else { (1, 100) };
    let clock = SystemClock::default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()?;
    let chain = chain::of(NODES);
    let mut probes = Samples::default();
    let mut floors = Vec::new();
    let mut drivers: Vec<Vec<Figures>> = CLIENTS.iter().map(|_| Vec::new()).collect();
    let mut engines: Vec<Vec<Figures>> = CLIENTS.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((figures, whole), (clients, executions)) in
            drivers.iter_mut().zip(&mut engines).zip(CLIENTS)
        {
            let executions = executions / scale;
            let folder = tempfile::tempdir()?;
            probes.extend(disk::probe(
                folder.path(),
                500 / usize::try_from(scale)?,
                &clock,
            )?);
            let before = process::usage();
            let outcome =
                runtime.block_on(repo::run(folder.path(), chain.clone(), executions, clients))?;
            let mut own = of(outcome.took, executions, before);
            own.commits = outcome.stats.commits as f64;
            own.latency = outcome.latency;
            figures.push(own);

            let before = process::usage();
            let run = engine::run(folder.path(), Work::Chain, executions, clients);
            let outcome = runtime.block_on(run).map_err(|error| error.to_string())?;
            let mut own = of(outcome.took, executions, before);
            own.commits = outcome.stats.commits as f64;
            own.latency = outcome.latency;
            whole.push(own);

            let before = process::usage();
            let took = floor::run(folder.path(), &floor::portions(&chain), executions, &clock)?;
            // The driver's connections checkpoint and close within its measurement; so does the floor's.
            let mut own = of(took, executions, before);
            own.commits = executions.div_ceil(floor::EXECUTIONS_PER_COMMIT) as f64;
            if clients == 64 {
                floors.push(own);
            }
        }
    }
    print(&probes, &floors, (&drivers, &engines), scale, chain.bytes())?;
    Ok(())
}

fn of(took: Duration, executions: u64, before: process::Usage) -> Figures {
    let (spent, executions) = (process::usage().since(before), executions as f64);
    Figures {
        executions_per_second: executions / took.as_secs_f64(),
        cpu_micros: spent.cpu.as_secs_f64() * 1e6 / executions,
        bytes: spent.written as f64 / executions,
        commits: 0.0,
        latency: Samples::default(),
    }
}

fn print(
    probes: &Samples,
    floors: &[Figures],
    (drivers, engines): (&[Vec<Figures>], &[Vec<Figures>]),
    scale: u64,
    journal: usize,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "chain of {NODES} pure nodes, {journal} journal bytes per execution, synchronous=FULL, medians of {} rounds",
        floors.len()
    )?;
    let (p50, p99) = (probes.percentile(50), probes.percentile(99));
    writeln!(
        out,
        "disk: write 4 KiB + fdatasync p50 {p50:.0?}, p99 {p99:.0?}\n"
    )?;
    let mut table = Table::new([
        "what",
        "steps/s",
        "executions/s",
        "of floor",
        "executions/commit",
        "p50",
        "p99",
        "cpu µs/execution",
        "bytes/execution",
    ]);
    let floor_rate = median(floors.iter().map(|figures| figures.executions_per_second));
    let name = format!(
        "floor: plain SQLite, {} executions per commit",
        floor::EXECUTIONS_PER_COMMIT
    );
    row(&mut table, &name, floors, floor_rate, CLIENTS[2].1 / scale);
    for (figures, (clients, executions)) in drivers.iter().zip(CLIENTS) {
        let name = format!("storage-sqlite, {clients} clients: begin to the end");
        row(&mut table, &name, figures, floor_rate, executions / scale);
    }
    for (figures, (clients, executions)) in engines.iter().zip(CLIENTS) {
        let name = format!("engine, {clients} clients: start → {NODES} nodes → outcome");
        row(&mut table, &name, figures, floor_rate, executions / scale);
    }
    writeln!(out, "{table}")
}

fn row(table: &mut Table, name: &str, figures: &[Figures], floor: f64, executions: u64) {
    let of = |get: fn(&Figures) -> f64| median(figures.iter().map(get));
    let rate = of(|figures| figures.executions_per_second);
    let mut latency = Samples::default();
    figures
        .iter()
        .for_each(|figures| latency.extend(figures.latency.clone()));
    let time = |percent| match latency.percentile(percent) {
        Duration::ZERO => String::new(),
        time => format!("{time:.1?}"),
    };
    let cells = [
        name.to_owned(),
        format!("{:.0}", rate * f64::from(NODES)),
        format!("{rate:.0}"),
        format!("{:.2}", rate / floor),
        format!("{:.1}", executions as f64 / of(|figures| figures.commits)),
        time(50),
        time(99),
        format!("{:.0}", of(|figures| figures.cpu_micros)),
        format!("{:.0}", of(|figures| figures.bytes)),
    ];
    table.row(cells.iter().map(String::as_str));
}
