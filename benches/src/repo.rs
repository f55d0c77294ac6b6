//! The same work through the driver: many clients at the same time, each waiting for its answers.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nebula_core::{Clock, Entropy, TenantId};
use nebula_execution::Status;
use nebula_ports::{Begun, ExecutionRepo, Incarnation, Lease, LeaseRequest, Result, Step, StepId};
use nebula_storage_sqlite::{Sqlite, SqliteConfig, SqliteStats};
use nebula_system::{SystemClock, SystemEntropy};
use tokio::task::JoinSet;

use crate::{Samples, chain::Chain};

/// What a run of many clients gave.
#[derive(Debug)]
pub struct Outcome {
    /// From the first creation to the last answer.
    pub took: Duration,
    /// From each beginning to its answer.
    pub latency: Samples,
    /// What the driver counted.
    pub stats: SqliteStats,
}

/// Creates and ends `executions` executions of `chain` in a new database in `folder`, `clients` at a
/// time: each begins with a step that has every entry.
///
/// # Errors
/// Those of the driver.
///
/// # Panics
/// When the driver refuses what nobody else touches.
pub async fn run(folder: &Path, chain: Chain, executions: u64, clients: u64) -> Result<Outcome> {
    let clock = Arc::new(SystemClock::default());
    let config = SqliteConfig::file(folder.join("repo.db"));
    let repo = Arc::new(Sqlite::open(config, clock.clone()).await?);
    let (chain, next) = (Arc::new(chain), Arc::new(AtomicU64::new(0)));
    let request = LeaseRequest {
        holder: Incarnation(SystemEntropy.uuid()),
        ttl: Duration::from_secs(30),
    };
    let begin = clock.monotonic();
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (repo, chain, next, clock) = (
            Arc::clone(&repo),
            Arc::clone(&chain),
            Arc::clone(&next),
            Arc::clone(&clock),
        );
        tasks.spawn(async move {
            let mut latency = Samples::default();
            while next.fetch_add(1, Ordering::Relaxed) < executions {
                let from = clock.monotonic();
                one(repo.as_ref(), &chain, request, clock.as_ref()).await?;
                latency.add(clock.monotonic().saturating_sub(from));
            }
            Ok(latency)
        });
    }
    let mut latency = Samples::default();
    while let Some(client) = tasks.join_next().await {
        latency.extend(client.expect("a client does not panic")?);
    }
    let took = clock.monotonic().saturating_sub(begin);
    Ok(Outcome {
        took,
        latency,
        stats: repo.stats(),
    })
}

async fn one(
    repo: &dyn ExecutionRepo,
    chain: &Chain,
    request: LeaseRequest,
    clock: &dyn Clock,
) -> Result<()> {
    let id = SystemEntropy.execution_id(clock.now());
    let lease = Lease {
        tenant: TenantId::local(),
        execution: id,
        holder: request.holder,
        epoch: <dyn ExecutionRepo>::FIRST_EPOCH,
        ttl: request.ttl,
    };
    let mut step = Step::append(StepId(SystemEntropy.uuid()), 1, chain.whole(), 0);
    step.to = Some(Status::Completed);
    let begun = repo.begin(&lease, None, step).await?;
    assert!(
        matches!(begun, Begun::Applied { .. }),
        "the id is new: {begun:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chain, floor};

    #[test]
    fn floor_and_driver_leave_the_same_rows() {
        let folder = tempfile::tempdir().unwrap();
        let chain = chain::of(10);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let outcome = runtime
            .block_on(run(folder.path(), chain.clone(), 10, 3))
            .unwrap();
        assert_eq!((outcome.stats.steps, outcome.stats.created), (10, 10));
        floor::run(
            folder.path(),
            &floor::portions(&chain),
            10,
            &SystemClock::default(),
        )
        .unwrap();
        let rows = |name| {
            let db = rusqlite::Connection::open(folder.path().join(name)).unwrap();
            let sql = "SELECT count(*), sum(length(entries)), sum(status), sum(next_seq)
                       FROM batches JOIN executions ON n = execution";
            db.query_row(sql, [], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, i64>(2)?,
                    row.get::<_, i64>(3)?,
                ))
            })
            .unwrap()
        };
        assert_eq!(rows("repo.db"), rows("floor.db"));
    }
}
