//! What executions cost that wait, and how long it takes until many that are due have ended.
//!
//! `cargo bench -p nebula-benches --bench waiting`; without `--bench` a short run. `--summary PATH` adds
//! the figures to those that stand there.

use std::{
    error::Error,
    io::{self, Write},
    time::Duration,
};

use nebula_benches::{
    Samples, Table,
    asked::Asked,
    disk,
    engine::{Failed, threads},
    floor, median, process,
    summary::Summary,
    waiting::{Sleepers, Woken},
};
use nebula_core::Clock;
use nebula_system::SystemClock;

// As in the program `nebula`.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Executions that wait for a day while all else is measured.
const ASLEEP: u64 = 100_000;

/// In how many portions they are started: the memory is read after each.
const PORTIONS: u64 = 4;

/// Executions that are due at the same moment.
const DUE: u64 = 10_000;

/// How often so many are woken.
const WAVES: usize = 5;

const DAY: Duration = Duration::from_secs(86_400);

fn main() -> Result<(), Box<dyn Error>> {
    let asked = Asked::read();
    let (waves, scale) = if asked.whole { (WAVES, 1) } else { (1, 100) };
    let runtime = threads()?;
    let folder = tempfile::tempdir()?;
    let measured = runtime.block_on(measure(folder.path(), waves, scale));
    asked.report(&measured.map_err(|error| error.to_string())?)
}

async fn measure(folder: &std::path::Path, waves: usize, scale: u64) -> Result<Summary, Failed> {
    let mut summary = Summary::default();
    let clock = SystemClock::default();
    let sleepers = Sleepers::open(folder).await?;
    let (asleep, due) = (ASLEEP / scale, DUE / scale);
    let tomorrow = clock.now().plus(DAY);
    let mut table = Table::new(["executions that wait", "RSS", "more each", "on disk each"]);
    let (first_rss, first_bytes) = (process::rss(), sleepers.bytes()?);
    row(&mut table, 0, (0, 0), 0);
    let (mut last, mut rate) = (first_rss, Duration::ZERO);
    for portion in 1..=PORTIONS {
        let count = asleep / PORTIONS;
        rate = sleepers.start(count, tomorrow).await? / u32::try_from(count)?;
        let rss = process::rss();
        let each = (
            rss.saturating_sub(last) / count,
            (sleepers.bytes()? - first_bytes) / (portion * count),
        );
        row(&mut table, portion * count, each, rss - first_rss);
        last = rss;
    }
    let more = last.saturating_sub(first_rss) as f64;
    summary.set(
        "W4",
        "asleep",
        [
            ("executions", asleep as f64),
            ("rss_more_mb", more / 1e6),
            ("rss_bytes_each", more / asleep as f64),
            (
                "disk_bytes_each",
                (sleepers.bytes()? - first_bytes) as f64 / asleep as f64,
            ),
        ],
    );
    writeln!(io::stdout().lock(), "{table}")?;

    let mut table = Table::new([
        "wave",
        "took",
        "executions/s",
        "floor took",
        "of floor",
        "executions/commit",
        "p50",
        "disk p50",
    ]);
    let (mut all, mut floors) = (Vec::new(), Vec::new());
    // Starting them goes on until they are due, with room for a machine that has other work too.
    let mut ahead = rate * u32::try_from(due)? * 3 + Duration::from_secs(2);
    while all.len() < waves {
        let probe = disk::probe(folder, 200, &clock)?;
        let Some(woken) = sleepers.wake(due, ahead).await? else {
            ahead *= 2;
            continue;
        };
        let floor = floor::wake(folder, due, &clock)?;
        wave(&mut table, all.len() + 1, &woken, floor, &probe, due);
        all.push(woken.took.as_secs_f64());
        floors.push(floor.as_secs_f64() / woken.took.as_secs_f64());
    }
    sleepers.stop().await?;
    writeln!(
        io::stdout().lock(),
        "{due} due at one moment, {asleep} others wait\n{table}"
    )?;
    summary.set(
        "W4",
        "woken",
        [
            ("executions", due as f64),
            ("seconds", median(all)),
            ("floor_ratio", median(floors)),
        ],
    );
    Ok(summary)
}

fn row(table: &mut Table, count: u64, (memory, disk): (u64, u64), rss: u64) {
    let cells = [
        count.to_string(),
        format!("+{:.1} MB", rss as f64 / 1e6),
        format!("{memory} B"),
        format!("{disk} B"),
    ];
    table.row(cells.iter().map(String::as_str));
}

fn wave(
    table: &mut Table,
    number: usize,
    woken: &Woken,
    floor: Duration,
    disk: &Samples,
    due: u64,
) {
    let (before, after) = woken.stats;
    let commits = after.commits.saturating_sub(before.commits).max(1);
    let cells = [
        number.to_string(),
        format!("{:.2?}", woken.took),
        format!("{:.0}", due as f64 / woken.took.as_secs_f64()),
        format!("{floor:.2?}"),
        format!("{:.2}", floor.as_secs_f64() / woken.took.as_secs_f64()),
        format!("{:.1}", due as f64 / commits as f64),
        format!("{:.2?}", woken.latency.percentile(50)),
        format!("{:.0?}", disk.percentile(50)),
    ];
    table.row(cells.iter().map(String::as_str));
}
