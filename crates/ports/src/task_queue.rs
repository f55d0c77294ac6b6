//! The doorbell.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use nebula_core::{ExecutionId, Group, Priority, TenantId, WorkflowId};

use crate::{Result, Weights};

/// A ring of the bell: this execution may have work.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Task {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub execution: ExecutionId,
    /// Of which workflow: those of one priority take turns.
    pub workflow: WorkflowId,
    /// Higher goes first among the tasks of a tenant, as long as the patience of the others lasts.
    pub priority: Priority,
    /// For which workers. One queue takes no notice of it: each group that has workers of its own has
    /// a queue of its own.
    pub group: Group,
}

/// What became of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Queued {
    /// It waits to be received.
    Queued,
    /// The same execution is already waiting to be received.
    Merged,
    /// The queue is full; the ring was dropped and counted. The sweep finds the work.
    Dropped,
}

/// The right to answer for one delivery; made by [`TaskQueue::receive`] only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(pub String);

/// A task in somebody's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The task.
    pub task: Task,
    /// The right to answer for it.
    pub receipt: Receipt,
    /// How often it was delivered, from 1.
    pub delivery_count: u32,
}

/// What became of an answer for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum ReceiptOutcome {
    /// It counted.
    Done,
    /// The delivery was handed to somebody else since, or answered before; nothing changed.
    Superseded,
}

/// A doorbell: it may lose or repeat rings without loss of work.
///
/// Rules (each is a test of `nebula_testkit::task_queue!`): delivery is at least once; what is
/// neither acked nor extended within its visibility comes again with a higher count; a superseded
/// receipt changes nothing; rings for one execution are merged while one waits; a ring that comes
/// while its execution is in somebody's hands is delivered after the answer; a full queue drops
/// and counts; tenants take turns, each as many one after the other as it weighs
/// ([`set_weights`](Self::set_weights)) while something of it waits, and within a tenant priorities, by [`Turns`](crate::Turns), and
/// within a priority workflows, so that nobody's many tasks hold up another's single one; what was delivered `max_deliveries` times goes to the dead
/// letters, where it can be seen and sent again.
#[async_trait]
pub trait TaskQueue: fmt::Debug + Send + Sync + 'static {
    /// Rings for `task`, to be received after `delay`.
    ///
    /// # Errors
    /// `Unavailable`: it may have been rung.
    async fn ring(&self, task: Task, delay: Duration) -> Result<Queued>;

    /// Takes up to `max` tasks, and waits up to `wait` for the first. Each is invisible to others for `visibility`.
    ///
    /// # Errors
    /// `Unavailable`: tasks may have been taken; they come again.
    ///
    /// # Cancel safety
    /// Tasks that a dropped call had taken come again after `visibility`.
    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Delivery>>;

    /// Says that these deliveries are done with; answers in the same order.
    ///
    /// # Errors
    /// `Unavailable`: they may come again.
    async fn ack(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>>;

    /// Gives a delivery back, to come again after `delay`.
    ///
    /// # Errors
    /// `Unavailable`: it comes again after its visibility.
    async fn nack(
        &self,
        receipt: &Receipt,
        delay: Duration,
        reason: &str,
    ) -> Result<ReceiptOutcome>;

    /// Keeps these deliveries invisible for `by` from now; answers in the same order. Whoever works for longer than a
    /// visibility does so meanwhile; of one that stops to, others take the work on.
    ///
    /// # Errors
    /// `Unavailable`: they may come again early.
    async fn extend(&self, receipts: &[Receipt], by: Duration) -> Result<Vec<ReceiptOutcome>>;

    /// Tasks that were delivered too often, oldest first, with the last reason given, at most `limit`.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn dead(&self, limit: usize) -> Result<Vec<(Task, String)>>;

    /// Puts dead tasks back into the queue; says how many there were.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn redrive(&self) -> Result<usize>;

    /// Settles what tenants weigh from now on, all of them: whoever is not named weighs 1. A queue may forget
    /// it, as it may rings; whoever fills it again says it again.
    ///
    /// # Errors
    /// `Unavailable`: it may be settled.
    async fn set_weights(&self, weights: &Weights) -> Result<()>;

    /// How many rings were dropped since the queue began.
    fn dropped(&self) -> u64;
}
