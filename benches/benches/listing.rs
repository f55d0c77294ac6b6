//! Listing executions with filters, over 1,000,000 of them: how long a page of 50 takes.
//!
//! `cargo bench -p nebula-benches --bench listing`; without `--bench` a short run. The rows are written
//! by SQL after the pattern of one that the driver wrote; the pages are asked of the driver.

use std::{
    error::Error,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use nebula_benches::{Samples, Table, asked::Asked, chain, engine::threads, summary::Summary};
use nebula_core::{Clock, Entropy, ExecutionId, TenantId, Timestamp, WorkflowId};
use nebula_execution::Status;
use nebula_ports::{ExecutionFilter, ExecutionRepo, Incarnation, Lease, PageToken, Step, StepId};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_system::{SystemClock, SystemEntropy};
use rusqlite::{Connection, params};

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
    let path = folder.path().join("listing.db");
    let clock = Arc::new(SystemClock::default());
    let mut summary = Summary::default();
    let mut table = Table::new(["filter", "found", "p50 ms", "p99 ms", "longest ms"]);
    threads()?.block_on(async {
        let repo = made(&path, count, clock.clone()).await?;
        for (name, filter) in filters(count) {
            let (found, samples) = measured(&repo, &filter, rounds, &*clock).await?;
            let millis = |percent| samples.percentile(percent).as_secs_f64() * 1e3;
            let (p50, p99, most) = (millis(50), millis(99), millis(100));
            let numbers = [p50, p99, most].map(|it| format!("{it:.2}"));
            let [a, b, c] = &numbers;
            table.row([name, &*found.to_string(), a, b, c]);
            summary.set("listing", name, [("p50_ms", p50), ("p99_ms", p99)]);
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    writeln!(io::stdout().lock(), "{table}")?;
    asked.report(&summary)
}

/// A database with so many executions.
async fn made(path: &Path, count: i64, clock: Arc<SystemClock>) -> Result<Sqlite, Box<dyn Error>> {
    {
        let repo = Sqlite::open(SqliteConfig::file(path), clock.clone()).await?;
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
    drop(database);
    Ok(Sqlite::open(SqliteConfig::file(path), clock).await?)
}

fn filters(count: i64) -> Vec<(&'static str, ExecutionFilter)> {
    let all = ExecutionFilter::default;
    let at = |part: i64| Some(Timestamp::from_millis(FIRST + count * 10 * part));
    let workflow = |id| Some(WorkflowId::new(id).expect("an id"));
    let labels = |text: &str| text.parse().expect("labels");
    let text = |text: &str| Some(text.to_owned());
    let middle = {
        let millis = u64::try_from(FIRST + count * 500).unwrap_or_default();
        let hex = format!("{millis:012x}");
        ExecutionId::that_begin(&hex[..8])
    };
    let failed = vec![Status::Failed];
    vec![
        ("none", all()),
        (
            "workflow: half of all",
            ExecutionFilter {
                workflow: workflow("orders"),
                ..all()
            },
        ),
        (
            "workflow: 1 of 100",
            ExecutionFilter {
                workflow: workflow("workflow-7"),
                ..all()
            },
        ),
        (
            "status: completed",
            ExecutionFilter {
                statuses: vec![Status::Completed],
                ..all()
            },
        ),
        (
            "status: failed",
            ExecutionFilter {
                statuses: failed.clone(),
                ..all()
            },
        ),
        (
            "status: failed, waiting",
            ExecutionFilter {
                statuses: vec![Status::Failed, Status::Waiting],
                ..all()
            },
        ),
        (
            "status: parked, of which there is none",
            ExecutionFilter {
                statuses: vec![Status::Parked],
                ..all()
            },
        ),
        (
            "a tenth of the time",
            ExecutionFilter {
                since: at(40),
                until: at(50),
                ..all()
            },
        ),
        (
            "the same, failed",
            ExecutionFilter {
                since: at(40),
                until: at(50),
                statuses: failed.clone(),
                ..all()
            },
        ),
        (
            "ids that begin alike",
            ExecutionFilter {
                ids: middle,
                ..all()
            },
        ),
        (
            "all ids, failed",
            ExecutionFilter {
                ids: ExecutionId::that_begin("01"),
                statuses: failed.clone(),
                ..all()
            },
        ),
        (
            "label: 1 of 11",
            ExecutionFilter {
                labels: labels("region=eu"),
                ..all()
            },
        ),
        (
            "label: 1 of 50,000",
            ExecutionFilter {
                labels: labels("customer=customer-4711"),
                ..all()
            },
        ),
        (
            "both labels",
            ExecutionFilter {
                labels: labels("region=eu,customer=customer-4711"),
                ..all()
            },
        ),
        (
            "label and status",
            ExecutionFilter {
                labels: labels("region=eu"),
                statuses: failed.clone(),
                ..all()
            },
        ),
        (
            "workflow, status, label",
            ExecutionFilter {
                workflow: workflow("orders"),
                statuses: failed,
                labels: labels("region=us"),
                ..all()
            },
        ),
        (
            "text in an id of a workflow",
            ExecutionFilter {
                text: text("FLOW-7"),
                ..all()
            },
        ),
        (
            "text in a label",
            ExecutionFilter {
                text: text("customer-4711"),
                ..all()
            },
        ),
        (
            "text that is nowhere",
            ExecutionFilter {
                text: text("nowhere"),
                ..all()
            },
        ),
    ]
}

/// Page after page, from the beginning again at the end: how many each page had on average, and how long
/// it took.
async fn measured(
    repo: &Sqlite,
    filter: &ExecutionFilter,
    rounds: usize,
    clock: &dyn Clock,
) -> Result<(usize, Samples), Box<dyn Error>> {
    let tenant = TenantId::local();
    let (mut samples, mut found, mut after) = (Samples::default(), 0, None::<PageToken>);
    for _ in 0..rounds {
        let begin = clock.monotonic();
        let page = repo.list(&tenant, filter, after.as_ref(), PAGE).await?;
        samples.add(clock.monotonic().saturating_sub(begin));
        found += page.items.len();
        after = page.next;
    }
    Ok((found / rounds, samples))
}
