//! The safety net: what may have work is rung for, whatever was lost before.

use std::time::Duration;

use nebula_core::Timestamp;
use nebula_ports::{Queued, Result, Task};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::Engine;

/// How many executions are rung for at a time.
const PAGE: usize = 256;

/// After what time the sweep looks again where the store says that something is still to come, and
/// our clock that it is due: as far as the two clocks are apart.
const CLOCKS_APART: Duration = Duration::from_millis(100);

impl Engine {
    /// The tasks that were delivered too often, the oldest first, each with the last reason given.
    ///
    /// # Errors
    /// The queue failed.
    pub async fn dead(&self, limit: usize) -> Result<Vec<(Task, String)>> {
        self.ports.queue.dead(limit).await
    }

    /// Puts them back into the queue; says how many there were.
    ///
    /// # Errors
    /// The queue failed: some may be back.
    pub async fn redrive(&self) -> Result<usize> {
        self.ports.queue.redrive().await
    }

    /// Rings for everything that may have work, again and again, until `shutdown`.
    ///
    /// This is also how the queue refills after a restart, page by page, and how work that another
    /// process left or woke is found.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn sweep(&self, shutdown: CancellationToken) {
        loop {
            let pause = self.sweep_once().await;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = self.ports.clock.sleep(pause) => {}
            }
        }
    }

    /// Rings once for everything that is due; says when to look again.
    async fn sweep_once(&self) -> Duration {
        let interval = self.config.sweep_interval;
        loop {
            let now = self.ports.clock.now();
            let again = i64::try_from(self.config.ring_again.as_millis()).unwrap_or(i64::MAX);
            let rung_before = Timestamp::from_millis(now.as_millis().saturating_sub(again));
            let page = match self.ports.executions.runnable(rung_before, PAGE).await {
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
                };
                match self.ports.queue.ring(task, Duration::ZERO).await {
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
