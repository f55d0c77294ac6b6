//! Executions that are under way: W8, W9 and W10.
//!
//! W8: a process with 10,000 executions whose attempts are under way is killed, and another one goes on
//! with them. W9: how soon the holder of an execution acts on a signal and on being cancelled. W10: how
//! long an execution with a long journal takes to go on, with snapshots and with its journal alone.
//!
//! `cargo bench -p nebula-benches --bench under_way`; without `--bench` a short run. `--only W9` measures
//! one of them; `--summary PATH` adds the figures to those that stand there.

use std::{
    error::Error,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use nebula_benches::{
    Samples,
    asked::Asked,
    engine::{Failed, threads},
    median,
    summary::Summary,
    under_way::{self, Held},
};
use tokio::runtime::Runtime;

// As in the program `nebula`.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Executions of the process that is killed.
const HELD: usize = 10_000;

/// How often it is killed.
const KILLS: usize = 3;

/// How often an execution is told something.
const TOLD: usize = 200;

/// Journals of about so many entries are loaded.
const LENGTHS: [u32; 3] = [1_000, 10_000, 100_000];

/// The entries of one item.
const ENTRIES: u32 = 3;

/// How often each is loaded.
const LOADS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let asked = Asked::read();
    let threads = threads()?;
    if let Some([folder, count, ..]) = asked.behind("--hold") {
        let held = under_way::hold(Path::new(folder), count.parse()?);
        return threads.block_on(held).map_err(|it| it.to_string().into());
    }
    if let Some([folder, id, ..]) = asked.behind("--load") {
        let loaded = under_way::load(Path::new(folder), id.parse()?);
        let (took, peak) = threads.block_on(loaded).map_err(|it| it.to_string())?;
        writeln!(io::stdout().lock(), "{} {peak}", took.as_secs_f64())?;
        return Ok(());
    }
    let measured = measure(&threads, &asked).map_err(|error| error.to_string())?;
    asked.report(&measured)
}

fn measure(threads: &Runtime, asked: &Asked) -> Result<Summary, Failed> {
    let mut summary = Summary::default();
    let scale = if asked.whole { 1 } else { 100 };
    if asked.wants("W8") {
        let kills = if asked.whole { KILLS } else { 1 };
        killed(&mut summary, threads, kills, HELD / scale)?;
    }
    if asked.wants("W9") {
        let folder = tempfile::tempdir()?;
        let told = under_way::tell(folder.path(), TOLD / scale);
        let (signals, cancels) = threads.block_on(told)?;
        latency(&mut summary, "W9", "signal", &signals);
        latency(&mut summary, "W9", "cancel", &cancels);
    }
    if asked.wants("W10") {
        for length in LENGTHS {
            let items = length / ENTRIES / u32::try_from(scale)?;
            for snapshots in [true, false] {
                loaded(&mut summary, threads, length, items, snapshots)?;
            }
        }
    }
    Ok(summary)
}

fn latency(summary: &mut Summary, work: &str, way: &str, samples: &Samples) {
    let millis = |percent| samples.percentile(percent).as_secs_f64() * 1e3;
    summary.set(work, way, [("p50_ms", millis(50)), ("p99_ms", millis(99))]);
}

/// Kills a process with executions under way, and goes on with them.
fn killed(
    summary: &mut Summary,
    threads: &Runtime,
    times: usize,
    count: usize,
) -> Result<(), Failed> {
    let (mut first, mut all, mut ends, mut memory) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..times {
        let folder = tempfile::tempdir()?;
        let mut process = Command::new(std::env::current_exe()?)
            .arg("--hold")
            .arg(folder.path())
            .arg(count.to_string())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or("its output is not piped")?;
        BufReader::new(output).read_line(&mut line)?;
        process.kill()?;
        process.wait()?;
        let held: Held = serde_json::from_str(&line)?;
        memory.push((held.with - held.before) as f64 / count as f64);
        let taken_over = threads.block_on(under_way::take_over(folder.path(), count))?;
        let seconds = |time: Duration| time.as_secs_f64();
        first.push(seconds(taken_over.progress.percentile(50)));
        all.push(seconds(taken_over.progress.percentile(100)));
        ends.push(seconds(taken_over.end.percentile(100)));
    }
    summary.set(
        "W8",
        "killed",
        [
            ("executions", count as f64),
            ("rss_bytes_each", median(memory)),
            ("progress_p50_s", median(first)),
            ("progress_all_s", median(all)),
            ("end_all_s", median(ends)),
        ],
    );
    Ok(())
}

/// Loads an execution in a process of its own.
fn loaded(
    summary: &mut Summary,
    threads: &Runtime,
    length: u32,
    items: u32,
    snapshots: bool,
) -> Result<(), Failed> {
    let (mut times, mut peaks, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..LOADS {
        let folder = tempfile::tempdir()?;
        let lengthened = under_way::lengthen(folder.path(), items, snapshots);
        let (id, entries) = threads.block_on(lengthened)?;
        let output = Command::new(std::env::current_exe()?)
            .arg("--load")
            .arg(folder.path())
            .arg(id.to_string())
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let Some((took, peak)) = said.trim().split_once(' ') else {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        };
        times.push(took.parse::<f64>()? * 1e3);
        peaks.push(peak.parse::<f64>()? / 1e6);
        lengths.push(entries as f64);
    }
    let way = match snapshots {
        true => format!("{length}_with_snapshots"),
        false => format!("{length}_journal_alone"),
    };
    summary.set(
        "W10",
        &way,
        [
            ("entries", median(lengths)),
            ("load_ms", median(times)),
            ("peak_rss_mb", median(peaks)),
        ],
    );
    Ok(())
}
