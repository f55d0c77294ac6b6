//! Executions that begin in the process that created them: their leases are handed over.

use std::time::Duration;

use nebula_execution::Entry;
use nebula_ports::{Lease, LeaseRequest};
use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::debug;

use crate::{
    Beginning, Worker, WorkerStopped,
    ring::Bell,
    worker::{Handed, Shared, lock},
};

impl Worker {
    /// What a creator asks for so that this worker can [`Worker::adopt`] what it creates, and the
    /// time by this worker's clock: the lease lasts from no earlier than that.
    #[must_use]
    pub fn lease_request(&self) -> (LeaseRequest, Duration) {
        (self.request(), self.shared.ports.clock.monotonic())
    }

    /// Takes over the lease that a creator got with [`Worker::lease_request`], at the time that it
    /// said, with the entries that it has written, which are not read again. Where the worker has no
    /// room, or tasks wait for that room in the queue, the lease is given back, and the execution
    /// takes its turn in the queue. If the worker does not run, the lease expires and the sweep finds
    /// the execution.
    ///
    /// # Cancel safety
    /// A dropped call leaves the lease to expire.
    pub async fn adopt(&self, lease: Lease, entries: Vec<Entry>, asked: Duration) {
        let handed = Handed::Lease {
            lease,
            entries,
            asked,
        };
        let sent = self.shared.adopt.try_send(handed);
        if let Err(TrySendError::Full(Handed::Lease { lease, .. })) = sent {
            self.give_back(lease).await;
        }
    }

    /// Gives back a lease that was never used, and rings for its execution.
    pub(crate) async fn give_back(&self, lease: Lease) {
        if let Err(error) = self.shared.ports.executions.release(&lease).await {
            debug!(execution = %lease.execution, %error, "could not release; the lease expires");
            return;
        }
        let bell = Bell::new(&self.shared.ports);
        bell.ring(&lease.tenant, lease.execution).await;
    }
}

/// What is handed over, for as long as the worker runs; given back when it stops, also when its future
/// is dropped, so that it can run again.
pub(crate) struct Adopted<'a> {
    shared: &'a Shared,
    pub(crate) leases: mpsc::Receiver<Handed>,
}

impl<'a> Adopted<'a> {
    pub(crate) fn take(shared: &'a Shared) -> Result<Self, WorkerStopped> {
        let leases = lock(&shared.adopted)
            .take()
            .ok_or(WorkerStopped::RunsAlready)?;
        Ok(Self { shared, leases })
    }
}

impl Drop for Adopted<'_> {
    fn drop(&mut self) {
        let (_, closed) = mpsc::channel(1);
        let mut leases = std::mem::replace(&mut self.leases, closed);
        let mut home = lock(&self.shared.adopted);
        let mut kept = Vec::new();
        while let Ok(handed) = leases.try_recv() {
            match handed {
                Handed::Unborn(new, _, unborn) => unborn.becomes(Beginning::Back(new)),
                lease @ Handed::Lease { .. } => kept.push(lease),
            }
        }
        for lease in kept {
            // Should others have come meanwhile, it expires.
            let _ = self.shared.adopt.try_send(lease);
        }
        *home = Some(leases);
    }
}
