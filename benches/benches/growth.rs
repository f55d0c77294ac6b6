//! How costs grow: with the nodes of a workflow (W7), and with the executions that the database holds.
//!
//! `cargo bench -p nebula-benches --bench growth`; without `--bench` a short run. `--only W7` and `--only
//! growth` measure one of them; `--summary PATH` adds the figures to those that stand there.

use std::{error::Error, time::Duration};

use nebula::{engine::Until, execution::StartOptions};
use nebula_benches::{
    asked::Asked,
    engine::{Failed, Running, threads},
    median, process,
    summary::Summary,
    work::{Work, chain, fan_out, parsed},
};
use nebula_core::{Clock, TenantId};
use nebula_planner::{PlanSettings, plan};
use nebula_system::SystemClock;
use serde_json::Value;

/// Nodes of the workflows.
const NODES: [u32; 4] = [10, 100, 1_000, 10_000];

/// How often each is planned and run.
const ROUNDS: usize = 5;

/// Executions in the database when a portion is measured.
const STORED: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Executions of a portion.
const PORTION: u64 = 20_000;

/// Clients that put them on.
const CLIENTS: u64 = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let asked = Asked::read();
    let threads = threads()?;
    let mut summary = Summary::default();
    let measured = threads.block_on(async {
        if asked.wants("W7") {
            let largest = if asked.whole { 10_000 } else { 100 };
            for nodes in NODES.into_iter().filter(|it| *it <= largest) {
                by_nodes(
                    &mut summary,
                    &format!("chain_{nodes}"),
                    &chain(nodes, "data.set"),
                )
                .await?;
                by_nodes(
                    &mut summary,
                    &format!("fan_out_{nodes}"),
                    &fan_out(nodes - 2),
                )
                .await?;
            }
        }
        if asked.wants("growth") {
            let scale = if asked.whole { 1 } else { 1_000 };
            by_executions(&mut summary, scale).await?;
        }
        Ok::<_, Failed>(())
    });
    measured.map_err(|error| error.to_string())?;
    asked.report(&summary)
}

/// Plans a workflow, and runs it alone.
async fn by_nodes(summary: &mut Summary, way: &str, definition: &Value) -> Result<(), Failed> {
    let definition = parsed(definition);
    let clock = SystemClock::default();
    let folder = tempfile::tempdir()?;
    let running = Running::open(folder.path()).await?;
    let installed = running.install(&definition).await?;
    let (tenant, engine) = (TenantId::local(), running.nebula.engine());
    let settings = PlanSettings::default();
    let (mut plans, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let from = clock.monotonic();
        let planned = plan(&definition, 1, running.nebula.registry(), &settings);
        plans.push(millis(clock.monotonic().saturating_sub(from)));
        assert!(planned.plan.is_some(), "{way}: {:?}", planned.diagnostics);
        let from = clock.monotonic();
        let options = StartOptions::default();
        let started = running
            .nebula
            .start(&tenant, &installed, Work::Chain.input(), options);
        engine
            .wait(&tenant, started.await?, Until::Ended, None)
            .await?;
        runs.push(millis(clock.monotonic().saturating_sub(from)));
    }
    running.stop().await?;
    let nodes = definition.nodes.len() as f64;
    let (planned, run) = (median(plans), median(runs));
    summary.set(
        "W7",
        way,
        [
            ("plan_ms", planned),
            ("plan_us_per_node", planned * 1e3 / nodes),
            ("run_ms", run),
            ("run_us_per_node", run * 1e3 / nodes),
        ],
    );
    Ok(())
}

/// Lets executions end in one database, and looks at what they cost when it holds so many.
async fn by_executions(summary: &mut Summary, scale: u64) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let running = Running::open(folder.path()).await?;
    let (mut stored, portion) = (0, (PORTION / scale).max(CLIENTS));
    for wanted in STORED {
        let more = (wanted / scale).saturating_sub(stored);
        if more > 0 {
            running.load(Work::Chain, more, CLIENTS).await?;
            stored += more;
        }
        let before = process::usage();
        let outcome = running.load(Work::Chain, portion, CLIENTS).await?;
        stored += portion;
        let spent = process::usage().since(before);
        let executions = portion as f64;
        summary.set(
            "growth",
            &format!("stored_{wanted}"),
            [
                ("executions_per_s", executions / outcome.took.as_secs_f64()),
                ("cpu_ms_per_execution", millis(spent.cpu) / executions),
                (
                    "bytes_written_per_execution",
                    spent.written as f64 / executions,
                ),
                ("p50_ms", millis(outcome.latency.percentile(50))),
            ],
        );
    }
    running.stop().await
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
