//! The deliveries in a worker's hands, which others do not get meanwhile.

use std::{collections::BTreeMap, future::pending, sync::Arc, time::Duration};

use nebula_core::{BoxFuture, ExecutionId};
use nebula_ports::Receipt;
use tracing::debug;

use crate::{Worker, sync::Mutex, worker::Shared};

/// What was delivered and is not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    open: Mutex<BTreeMap<ExecutionId, Receipt>>,
}

impl Deliveries {
    fn receipts(&self) -> Vec<Receipt> {
        self.open.lock().values().cloned().collect()
    }
}

/// A delivery that its worker keeps until this is dropped, also where whoever works on it is.
pub(crate) struct Kept {
    shared: Arc<Shared>,
    execution: ExecutionId,
    receipt: Receipt,
}

impl Kept {
    pub(crate) fn new(shared: Arc<Shared>, execution: ExecutionId, receipt: Receipt) -> Self {
        let mut open = shared.deliveries.open.lock();
        open.insert(execution, receipt.clone());
        drop(open);
        Self {
            shared,
            execution,
            receipt,
        }
    }

    /// With what it is answered.
    pub(crate) fn receipt(&self) -> Receipt {
        self.receipt.clone()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut open = self.shared.deliveries.open.lock();
        // A later delivery may have come.
        if open.get(&self.execution) == Some(&self.receipt) {
            open.remove(&self.execution);
        }
    }
}

impl Worker {
    /// How long a delivery stays with this worker before the queue hands it to another: a little longer than the
    /// lease that the worker has then, so that who gets it gets the lease, too.
    pub(crate) fn visibility(&self) -> Duration {
        self.shared.config.lease_ttl * 3 / 2
    }

    /// Keeps the deliveries that are open, with one call for all, as often as leases are renewed.
    async fn keep_once(&self) {
        let ports = &self.shared.ports;
        ports.clock.sleep(self.shared.config.lease_ttl / 3).await;
        let receipts = self.shared.deliveries.receipts();
        if receipts.is_empty() {
            return;
        }
        if let Err(error) = ports.queue.extend(&receipts, self.visibility()).await {
            debug!(%error, "could not keep what was delivered; it may come again");
        }
    }
}

/// Keeps a worker's deliveries while there are any.
pub(crate) struct Keeping<'w> {
    worker: &'w Worker,
    /// Under way, also while nobody waits for it.
    round: Option<BoxFuture<'w, ()>>,
}

impl<'w> Keeping<'w> {
    pub(crate) fn new(worker: &'w Worker) -> Self {
        let round = None;
        Self { worker, round }
    }

    /// Goes on for as long as it is waited for.
    ///
    /// # Cancel safety
    /// The next call goes on where a dropped one was.
    pub(crate) async fn go_on(&mut self) {
        loop {
            if let Some(round) = &mut self.round {
                round.await;
                self.round = None;
            }
            if self.worker.shared.deliveries.open.lock().is_empty() {
                return pending().await;
            }
            self.round = Some(Box::pin(self.worker.keep_once()));
        }
    }
}
