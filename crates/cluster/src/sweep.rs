//! The safety net: what may have work is rung for, whatever was lost before.

use std::{sync::Arc, time::Duration};

use nebula_core::{Clock, Groups, Timestamp};
use nebula_ports::{ExecutionRepo, Queued, Task, TaskQueue};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How many executions are rung for at a time.
const PAGE: usize = 256;

/// After what time the sweep looks again where the store says that something is still to come, and
/// our clock that it is due: as far as the two clocks are apart.
const CLOCKS_APART: Duration = Duration::from_millis(100);

/// What rings for work that nobody rang for. Where a queue is shared, one process at a time is enough; a
/// queue of one process needs a sweep of its own.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Where work is found.
    pub executions: Arc<dyn ExecutionRepo>,
    /// Where it is rung for.
    pub queue: Arc<dyn TaskQueue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How often it looks at least.
    pub every: Duration,
    /// How long after a ring an execution that nobody took is rung for again.
    pub ring_again: Duration,
    /// For whose work it rings: those who hear the queue.
    pub groups: Groups,
}

impl Sweep {
    /// Rings for everything that may have work, again and again, until `shutdown`.
    ///
    /// This is also how the queue refills after a restart, page by page, and how work that another
    /// process left or woke is found.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn run(&self, shutdown: CancellationToken) {
        loop {
            let pause = self.once().await;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = self.clock.sleep(pause) => {}
            }
        }
    }

    /// Rings once for everything that is due; says when to look again.
    async fn once(&self) -> Duration {
        let interval = self.every;
        loop {
            let now = self.clock.now();
            let again = i64::try_from(self.ring_again.as_millis()).unwrap_or(i64::MAX);
            let rung_before = Timestamp::from_millis(now.as_millis().saturating_sub(again));
            let found = self.executions.runnable(rung_before, &self.groups, PAGE);
            let page = match found.await {
                Ok(page) => page,
                Err(error) => {
                    warn!(%error, "the sweep could not look; trying again");
                    return interval;
                }
            };
            for runnable in page.runnable {
                #[cfg(sim_bug)]
                if nebula_core::sim_bug::is_awake("sweep-rings-for-nobody") {
                    continue;
                }
                let task = Task {
                    tenant: runnable.tenant,
                    execution: runnable.execution,
                    workflow: runnable.workflow,
                    priority: runnable.priority,
                    group: runnable.group,
                };
                match self.queue.ring(task, Duration::ZERO).await {
                    Ok(Queued::Queued | Queued::Merged) => {}
                    // The queue is full: those that are left keep until it has room.
                    Ok(Queued::Dropped) => return interval,
                    Err(error) => {
                        warn!(%error, "the sweep could not ring; trying again");
                        return interval;
                    }
                }
            }
            if !page.more {
                let until_due = page.next_due.map_or(interval, |due| due.since(now));
                #[cfg(sim_bug)]
                if nebula_core::sim_bug::is_awake("sweep-looks-again-at-once") {
                    return until_due.min(interval).max(Duration::from_millis(1));
                }
                let pause = match until_due {
                    Duration::ZERO => CLOCKS_APART,
                    until_due => until_due,
                };
                return pause.min(interval);
            }
        }
    }
}
