//! Listing executions with filters, over 1,000,000 of them: how long a page of 50 takes.
//!
//! `cargo bench -p nebula-benches --bench listing`; without `--bench` a short run. The rows are written
//! by SQL after the pattern of one that the driver wrote; the pages are asked of a server in a process of
//! its own, over one connection. `--summary PATH` adds the figures to those that stand there.

use std::{
    error::Error,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use nebula_benches::{
    Samples, Table,
    asked::Asked,
    chain,
    engine::Failed,
    load::{Connection as Client, Server},
    server::DATABASE,
    summary::Summary,
};
use nebula_core::{Clock, Entropy, TenantId, Timestamp};
use nebula_execution::Status;
use nebula_ports::{ExecutionRepo, Incarnation, Lease, Step, StepId};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::{SystemClock, SystemEntropy};
use rusqlite::{Connection, params};
use serde_json::Value;

/// The server, which cargo builds beside this.
const SERVER: &str = env!("CARGO_BIN_EXE_nebula-bench-server");

/// How many executions there are; a short run has a hundredth.
const EXECUTIONS: i64 = 1_000_000;

/// When the first one was created, in milliseconds; each next one a second later.
const FIRST: i64 = 1_770_000_000_000;

/// How many on a page.
const PAGE: usize = 50;

/// How often each filter is asked for; a short run a tenth of it.
const ROUNDS: usize = 500;

/// Of 1,000 executions 970 have completed, 20 failed, 5 were cancelled, and 5 wait. They are of 50
/// workflows, one of which has half of them. Every tenth has labels: one of 5,000 customers, and
/// nine of ten of these a region.
const ROWS: &str = "
    WITH RECURSIVE number(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM number WHERE k + 1 < ?1),
    row AS (SELECT k, ?2 + k * 1000 AS at, (k * 7919) % 1000 AS chance FROM number)
    INSERT INTO executions (tenant, id, workflow, version, plan, created_at, updated_at, status, epoch,
        next_seq, inbox_head, inbox_through, rung_at, grants, empties, labels, wake_at, ring_key)
    SELECT tenant, unhex(printf('%012x7%03x8%015x', at, k % 4096, k)),
        CASE WHEN chance % 2 = 0 THEN 'orders' ELSE 'workflow-' || (k * 31 % 49) END,
        version, plan, at, at + 500,
        CASE WHEN chance < 970 THEN 6 WHEN chance < 990 THEN 7 WHEN chance < 995 THEN 8 ELSE 2 END,
        1, 4, 0, 0, -1, 0, 0,
        CASE WHEN k % 10 = 0 THEN json_object('customer', 'customer-' || (k / 10 % 5000), 'region',
            CASE WHEN k % 100 = 0 THEN 'us' ELSE 'eu' END) END,
        CASE WHEN chance >= 995 THEN at + 1000000000000 END,
        CASE WHEN chance >= 995 THEN at + 1000000000000 END
    FROM row, (SELECT tenant, version, plan FROM executions WHERE n = 1)";

const LABELS: &str = "
    INSERT INTO labels (execution, key, value, tenant, created_at)
    SELECT n, label.key, label.value, tenant, created_at
    FROM executions, json_each(executions.labels) AS label WHERE executions.labels IS NOT NULL";

fn main() -> Result<(), Box<dyn Error>> {
    let asked = Asked::read();
    let (count, rounds) = match asked.whole {
        true => (EXECUTIONS, ROUNDS),
        false => (EXECUTIONS / 100, ROUNDS / 10),
    };
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(SystemClock::default());
    // The load is to cost little.
    let one = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let measured = one.block_on(async {
        make(&folder.path().join(DATABASE), count, clock.clone()).await?;
        let server = Server::start(Path::new(SERVER), folder.path())?;
        let mut client = server.client(&server.prepare().await?).await?;
        measure(&mut client, count, rounds, &*clock).await
    });
    let summary = measured.map_err(|error| error.to_string())?;
    asked.report(&summary)
}

async fn measure(
    client: &mut Client,
    count: i64,
    rounds: usize,
    clock: &dyn Clock,
) -> Result<Summary, Failed> {
    let mut summary = Summary::default();
    let mut table = Table::new(["filter", "found", "p50 ms", "p99 ms", "longest ms"]);
    let mut slowest = Samples::default();
    for (name, query) in filters(count) {
        let (found, samples) = pages(client, &query, rounds, clock).await?;
        let millis = |percent| samples.percentile(percent).as_secs_f64() * 1e3;
        let (p50, p99, most) = (millis(50), millis(99), millis(100));
        slowest.add(samples.percentile(99));
        let numbers = [p50, p99, most].map(|it| format!("{it:.2}"));
        let [a, b, c] = &numbers;
        table.row([name, &*found.to_string(), a, b, c]);
        summary.set("listing", name, [("p50_ms", p50), ("p99_ms", p99)]);
    }
    let slowest = slowest.percentile(100).as_secs_f64() * 1e3;
    summary.set("listing", "slowest", [("p99_ms", slowest)]);
    writeln!(io::stdout().lock(), "{table}")?;
    Ok(summary)
}

/// Makes a database with so many executions.
async fn make(path: &Path, count: i64, clock: Arc<SystemClock>) -> Result<(), Failed> {
    {
        let repo = Sqlite::open(SqliteConfig::file(path), clock).await?;
        let lease = Lease {
            tenant: TenantId::local(),
            execution: SystemEntropy.execution_id(Timestamp::from_millis(FIRST - 1)),
            holder: Incarnation(SystemEntropy.uuid()),
            epoch: <dyn ExecutionRepo>::FIRST_EPOCH,
            ttl: Duration::from_secs(30),
        };
        let mut step = Step::append(StepId(SystemEntropy.uuid()), 1, chain::of(10).whole(), 0);
        step.to = Some(Status::Completed);
        let _ = repo.begin(&lease, None, step).await?;
    }
    let database = Connection::open(path)?;
    database.execute(ROWS, params![count, FIRST])?;
    database.execute(LABELS, [])?;
    Ok(())
}

/// Filters, as queries.
fn filters(count: i64) -> Vec<(&'static str, String)> {
    let at = |part: i64| Timestamp::from_millis(FIRST + count * 10 * part).to_string();
    let tenth = format!("since={}&until={}", at(40), at(50));
    let middle = format!("{:012x}", FIRST + count * 500);
    let middle = format!("id={}", &middle[..8]);
    let failed_tenth = format!("{tenth}&status=failed");
    [
        ("none", ""),
        ("workflow: half of all", "workflow=orders"),
        ("workflow: 1 of 100", "workflow=workflow-7"),
        ("status: completed", "status=completed"),
        ("status: failed", "status=failed"),
        ("status: failed, waiting", "status=failed,waiting"),
        ("status: parked, of which there is none", "status=parked"),
        ("a tenth of the time", &tenth),
        ("the same, failed", &failed_tenth),
        ("ids that begin alike", &middle),
        ("all ids, failed", "id=01&status=failed"),
        ("label: 1 of 11", "labels=region=eu"),
        ("label: 1 of 50,000", "labels=customer=customer-4711"),
        ("both labels", "labels=region=eu,customer=customer-4711"),
        ("label and status", "labels=region=eu&status=failed"),
        (
            "workflow, status, label",
            "workflow=orders&status=failed&labels=region=us",
        ),
        ("text in an id of a workflow", "text=FLOW-7"),
        ("text in a label", "text=customer-4711"),
        ("text that is nowhere", "text=nowhere"),
    ]
    .map(|(name, query)| (name, query.to_owned()))
    .into()
}

/// Page after page, from the beginning again at the end: how many each page had on average, and how long
/// it took.
async fn pages(
    client: &mut Client,
    query: &str,
    rounds: usize,
    clock: &dyn Clock,
) -> Result<(usize, Samples), Failed> {
    let (mut samples, mut found, mut after) = (Samples::default(), 0, None::<String>);
    for _ in 0..rounds {
        let mut path = format!("/api/v1/executions?limit={PAGE}&{query}");
        if let Some(after) = &after {
            path.push_str("&cursor=");
            path.push_str(after);
        }
        let begin = clock.monotonic();
        let page = client.get(path.trim_end_matches('&')).await?;
        samples.add(clock.monotonic().saturating_sub(begin));
        let page: Value = serde_json::from_slice(&page)?;
        found += page["executions"].as_array().ok_or("no page")?.len();
        after = page["next"].as_str().map(str::to_owned);
    }
    Ok((found / rounds, samples))
}
