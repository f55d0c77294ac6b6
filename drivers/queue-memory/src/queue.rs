//! The port over the line, with time and waiting.

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_core::Clock;
use nebula_ports::{Delivery, Queued, Receipt, ReceiptOutcome, Result, Task, TaskQueue, Weights};

use crate::{
    MemoryQueueConfig,
    line::Line,
    sync::{Mutex, Notify},
};

/// A [`TaskQueue`] in memory: bounded, fair between tenants, gone with its process.
///
/// Time is the monotonic one of the clock: a jump of wall time moves nothing.
pub struct MemoryQueue {
    clock: Arc<dyn Clock>,
    line: Mutex<Line>,
    /// Rung for one of those who wait: there is a task more, or the next is due earlier than they believe.
    bell: Notify,
}

impl fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQueue")
            .field("tasks", &self.line.lock().len())
            .finish_non_exhaustive()
    }
}

impl MemoryQueue {
    /// An empty queue.
    #[must_use]
    pub fn new(config: MemoryQueueConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            line: Mutex::new(Line::new(config)),
            bell: Notify::new(),
        }
    }

    /// Works on the line as it is now, and wakes one of those who wait for each task that may be received since,
    /// or one if the next is due earlier than before.
    ///
    /// One that goes away hands on what it was woken for, as [`Notify`] does, and what it knew, by [`Leaves`].
    fn now<T>(&self, work: impl FnOnce(&mut Line, Duration) -> T) -> T {
        let mut line = self.line.lock();
        let now = self.clock.monotonic();
        let before = line.next_due();
        line.advance(now);
        let done = work(&mut line, now);
        let (after, came) = (line.next_due(), line.take_came());
        drop(line);
        let earlier = after.is_some_and(|after| before.is_none_or(|before| after < before));
        for _ in 0..came.max(usize::from(earlier)) {
            self.bell.notify_one();
        }
        done
    }
}

/// One that waited, and leaves: when the next task is due, another must know.
struct Leaves<'q>(&'q MemoryQueue);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        if self.0.line.lock().len() > 0 {
            self.0.bell.notify_one();
        }
    }
}

#[async_trait]
impl TaskQueue for MemoryQueue {
    async fn ring(&self, task: Task, delay: Duration) -> Result<Queued> {
        Ok(self.now(|line, now| line.ring(task, now.saturating_add(delay), now)))
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Delivery>> {
        let until = self.clock.monotonic().saturating_add(wait);
        let mut leaves = None;
        loop {
            // Listens before it looks: what is rung in between is heard.
            let mut rung = pin!(self.bell.notified());
            rung.as_mut().enable();
            let (taken, now, due) = self.now(|line, now| {
                let taken = line.take(max, now.saturating_add(visibility));
                (taken, now, line.next_due())
            });
            if !taken.is_empty() || now >= until || max == 0 {
                return Ok(taken);
            }
            let pause = due.map_or(until, |due| due.min(until)).saturating_sub(now);
            leaves.get_or_insert_with(|| Leaves(self));
            tokio::select! {
                biased;
                () = rung => {}
                () = self.clock.sleep(pause) => {}
            }
        }
    }

    async fn ack(&self, receipts: &[Receipt]) -> Result<Vec<ReceiptOutcome>> {
        Ok(self.now(|line, now| {
            receipts
                .iter()
                .map(|receipt| line.ack(receipt, now))
                .collect()
        }))
    }

    async fn nack(
        &self,
        receipt: &Receipt,
        delay: Duration,
        reason: &str,
    ) -> Result<ReceiptOutcome> {
        Ok(self.now(|line, now| line.nack(receipt, now.saturating_add(delay), reason, now)))
    }

    async fn extend(&self, receipts: &[Receipt], by: Duration) -> Result<Vec<ReceiptOutcome>> {
        Ok(self.now(|line, now| {
            let until = now.saturating_add(by);
            receipts.iter().map(|it| line.extend(it, until)).collect()
        }))
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Task, String)>> {
        Ok(self.now(|line, _| line.dead(limit)))
    }

    async fn redrive(&self) -> Result<usize> {
        Ok(self.now(Line::redrive))
    }

    async fn set_weights(&self, weights: &Weights) -> Result<()> {
        let weights = weights.clone();
        self.now(|line, _| line.set_weights(weights));
        Ok(())
    }

    fn dropped(&self) -> u64 {
        self.line.lock().dropped()
    }
}
