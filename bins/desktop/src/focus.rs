//! A doorbell that hears only the executions that the command is about.
//!
//! The sweep rings for everything in the database that has work. `run` and its like are about one
//! execution, with those that it calls; what somebody stopped on purpose must not go on because of
//! them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{Fact, MAX_CALL_DEPTH};
use nebula_ports::{
    Delivery, ExecutionRepo, Queued, Receipt, ReceiptOutcome, Result, Task, TaskQueue, Weights,
};

/// Passes on the rings for some executions, and swallows those for all others.
#[derive(Debug)]
pub(crate) struct Focus {
    inner: Arc<dyn TaskQueue>,
    executions: Arc<dyn ExecutionRepo>,
    wanted: Mutex<BTreeSet<ExecutionId>>,
    /// Whether every execution is wanted.
    everything: AtomicBool,
    /// Who called an execution that rang, as its first entry says; that never changes.
    parents: Mutex<BTreeMap<ExecutionId, Option<ExecutionId>>>,
}

/// The most executions of which it is remembered who called them.
const MAX_PARENTS: usize = 10_000;

impl Focus {
    /// Hears nothing yet.
    pub(crate) fn new(inner: Arc<dyn TaskQueue>, executions: Arc<dyn ExecutionRepo>) -> Self {
        Self {
            inner,
            executions,
            wanted: Mutex::default(),
            everything: AtomicBool::new(false),
            parents: Mutex::default(),
        }
    }

    /// From now on, hears this execution too.
    pub(crate) fn on(&self, execution: ExecutionId) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.insert(execution);
    }

    /// From now on, hears every execution.
    pub(crate) fn on_everything(&self) {
        self.everything.store(true, Ordering::Relaxed);
    }

    fn hears(&self, execution: ExecutionId) -> bool {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.contains(&execution)
    }

    /// Whether the command is about this execution, or about one that led to it by calls.
    async fn is_wanted(&self, task: &Task) -> Result<bool> {
        if self.everything.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let mut execution = task.execution;
        for _ in 0..=MAX_CALL_DEPTH {
            if self.hears(execution) {
                self.on(task.execution);
                return Ok(true);
            }
            match self.parent(&task.tenant, execution).await? {
                Some(parent) => execution = parent,
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    async fn parent(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Option<ExecutionId>> {
        let known = |parents: &BTreeMap<_, _>| parents.get(&execution).copied();
        if let Some(parent) = known(&self.parents.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(parent);
        }
        let page = self.executions.journal(tenant, execution, 1, 1).await?;
        let parent = match page.entries.first().map(|first| &first.entry.fact) {
            Some(Fact::ExecutionStarted(started)) => {
                started.parent.as_ref().map(|parent| parent.execution)
            }
            _ => None,
        };
        let mut parents = self.parents.lock().unwrap_or_else(PoisonError::into_inner);
        if parents.len() >= MAX_PARENTS {
            parents.clear();
        }
        parents.insert(execution, parent);
        Ok(parent)
    }
}

#[async_trait]
impl TaskQueue for Focus {
    async fn ring(&self, task: Task, delay: Duration) -> Result<Queued> {
        if self.is_wanted(&task).await? {
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

    async fn extend(&self, receipts: &[Receipt], by: Duration) -> Result<Vec<ReceiptOutcome>> {
        self.inner.extend(receipts, by).await
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Task, String)>> {
        self.inner.dead(limit).await
    }

    async fn redrive(&self) -> Result<usize> {
        self.inner.redrive().await
    }

    async fn set_weights(&self, weights: &Weights) -> Result<()> {
        self.inner.set_weights(weights).await
    }

    fn dropped(&self) -> u64 {
        self.inner.dropped()
    }
}
