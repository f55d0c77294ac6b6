//! The safety net under everything, and what fell through: tasks that no worker came to an end with.

use nebula_cluster::Sweep;
use nebula_ports::{Result, Task};
use tokio_util::sync::CancellationToken;

use crate::Engine;

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
    /// process left or woke is found. What tenants weigh is said to the queue, too, as often as it may forget it.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn sweep(&self, shutdown: CancellationToken) {
        let sweep = Sweep {
            executions: self.ports.executions.clone(),
            queue: self.ports.queue.clone(),
            clock: self.ports.clock.clone(),
            every: self.config.sweep_interval,
            ring_again: self.config.ring_again,
            groups: self.config.groups.clone(),
        };
        let weighing = Box::pin(self.weigh_on(shutdown.clone()));
        tokio::join!(sweep.run(shutdown), weighing);
    }
}
