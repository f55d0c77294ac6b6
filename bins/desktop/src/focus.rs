//! A doorbell that hears only the executions that the command is about.
//!
//! The sweep rings for everything in the database that has work. `run` and its like are about one
//! execution; what somebody stopped on purpose must not go on because of them.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use nebula_core::ExecutionId;
use nebula_ports::{Delivery, Queued, Receipt, ReceiptOutcome, Result, Task, TaskQueue};

/// Passes on the rings for some executions, and swallows those for all others.
#[derive(Debug)]
pub(crate) struct Focus {
    inner: Arc<dyn TaskQueue>,
    wanted: Mutex<BTreeSet<ExecutionId>>,
}

impl Focus {
    /// Hears nothing yet.
    pub(crate) fn new(inner: Arc<dyn TaskQueue>) -> Self {
        Self {
            inner,
            wanted: Mutex::default(),
        }
    }

    /// From now on, hears this execution too.
    pub(crate) fn on(&self, execution: ExecutionId) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.insert(execution);
    }

    fn hears(&self, execution: ExecutionId) -> bool {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.contains(&execution)
    }
}

#[async_trait]
impl TaskQueue for Focus {
    async fn ring(&self, task: Task, delay: Duration) -> Result<Queued> {
        if self.hears(task.execution) {
            self.inner.ring(task, delay).await
        } else {
            // Not `Dropped`: that tells the sweep to stop looking.
            Ok(Queued::Merged)
        }
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Delivery>> {
        self.inner.receive(max, wait, visibility).await
    }

    async fn ack(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>> {
        self.inner.ack(receipts).await
    }

    async fn nack(
        &self,
        receipt: &Receipt,
        delay: Duration,
        reason: &str,
    ) -> Result<ReceiptOutcome> {
        self.inner.nack(receipt, delay, reason).await
    }

    async fn extend(&self, receipt: &Receipt, by: Duration) -> Result<ReceiptOutcome> {
        self.inner.extend(receipt, by).await
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Task, String)>> {
        self.inner.dead(limit).await
    }

    async fn redrive(&self) -> Result<usize> {
        self.inner.redrive().await
    }

    fn dropped(&self) -> u64 {
        self.inner.dropped()
    }
}
