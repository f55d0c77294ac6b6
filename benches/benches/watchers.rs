//! How soon 1,000 who watch a workflow over server-sent events know that an execution has ended: by what
//! becomes true (`/api/v1/events`), and by the cursor of changes (`/api/v1/changes`), for
//! which the store is read four times a second at most.
//!
//! `cargo bench -p nebula-benches --bench watchers`; without `--bench` a short run. `--summary PATH` adds the
//! figures to those that stand there.

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use nebula_benches::{
    Samples,
    asked::Asked,
    engine::Failed,
    load::{Server, Watching},
    summary::Summary,
    work::Work,
};
use nebula_core::Clock;
use nebula_system::SystemClock;
use tokio::task::JoinSet;

/// The server, which cargo builds beside this.
const SERVER: &str = env!("CARGO_BIN_EXE_nebula-bench-server");

/// How many watch; a short run has a tenth of them.
const WATCHERS: u64 = 1_000;

/// How many executions they see, one after the other; a short run has a tenth of them.
const EXECUTIONS: u64 = 50;

/// What is executed: a chain of ten nodes.
const WORK: Work = Work::Chain;

fn main() -> Result<(), Box<dyn Error>> {
    let asked = Asked::read();
    let scale = if asked.whole { 1 } else { 10 };
    // The load is to cost little.
    let one = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut summary = Summary::default();
    for changes in [false, true] {
        let measured = measure(WATCHERS / scale, EXECUTIONS / scale, changes, &mut summary);
        one.block_on(measured).map_err(|error| error.to_string())?;
    }
    asked.report(&summary)
}

async fn measure(
    watchers: u64,
    executions: u64,
    changes: bool,
    summary: &mut Summary,
) -> Result<(), Failed> {
    let clock = Arc::new(SystemClock::default());
    let folder = tempfile::tempdir()?;
    let server = Server::start(Path::new(SERVER), folder.path())?;
    let key = server.prepare().await?;
    server.ask_once(&key, WORK).await?;
    let idle = server.spent().await?;
    let mut open = Vec::new();
    for _ in 0..watchers {
        let client = server.client(&key).await?;
        open.push(match changes {
            false => client.watch(WORK).await?,
            true => client.watch_changes(WORK).await?,
        });
    }
    let before = server.spent().await?;
    let mut starter = server.client(&key).await?;
    let (mut each, mut all, mut events) = (Samples::default(), Samples::default(), 0);
    let begin = clock.monotonic();
    for _ in 0..executions {
        let from = clock.monotonic();
        let mut seeing = JoinSet::new();
        for watching in open.drain(..) {
            seeing.spawn(seen(watching, clock.clone(), from));
        }
        starter.execute(WORK).await?;
        let mut last = Duration::ZERO;
        while let Some(seen) = seeing.join_next().await {
            let (watching, told, after) = seen??;
            each.add(after);
            last = last.max(after);
            events += told;
            open.push(watching);
        }
        all.add(last);
    }
    let took = clock.monotonic().saturating_sub(begin);
    let spent = server.spent().await?.since(before);
    let millis = |samples: &Samples, percent| samples.percentile(percent).as_secs_f64() * 1e3;
    let memory = before.rss.saturating_sub(idle.rss) as f64;
    summary.set(
        if changes { "changes" } else { "events" },
        &format!("watchers_{watchers}"),
        [
            ("p50_ms", millis(&each, 50)),
            ("p99_ms", millis(&each, 99)),
            ("last_p50_ms", millis(&all, 50)),
            ("last_p99_ms", millis(&all, 99)),
            ("events_per_s", events as f64 / took.as_secs_f64()),
            (
                "cpu_us_per_event",
                spent.cpu_ms as f64 * 1e3 / events as f64,
            ),
            ("rss_kb_each", memory / 1e3 / watchers as f64),
        ],
    );
    Ok(())
}

/// How many events one saw until the end of an execution, and how long after `from`.
async fn seen(
    mut watching: Watching,
    clock: Arc<SystemClock>,
    from: Duration,
) -> Result<(Watching, u64, Duration), Failed> {
    let told = watching.until_ended().await?;
    Ok((watching, told, clock.monotonic().saturating_sub(from)))
}
