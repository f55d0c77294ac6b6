//! The model of the doorbell: one list, searched from its beginning.

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_core::Clock;
use nebula_ports::{Delivery, Queued, Receipt, ReceiptOutcome, Result, Task, TaskQueue, Weights};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{QueueGuard as Guard, queue_list::State};

/// The reason of a task that died without an answer.
pub const NEVER_ANSWERED: &str = "it was not answered within its visibility";

/// A [`TaskQueue`] that is obviously right: the oracle for drivers, and the bell of other crates' tests.
pub struct MemoryTaskQueue {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) removed: Option<Guard>,
    pub(super) capacity: usize,
    pub(super) max_deliveries: u32,
    pub(super) bell: Notify,
    pub(super) state: Mutex<State>,
}

impl fmt::Debug for MemoryTaskQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = self.state.lock().items.len();
        f.debug_struct("MemoryTaskQueue")
            .field("tasks", &tasks)
            .finish_non_exhaustive()
    }
}

impl MemoryTaskQueue {
    /// An empty queue for at most `capacity` executions, each delivered at most `max_deliveries` times.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, capacity: usize, max_deliveries: u32) -> Self {
        let (bell, state) = (Notify::new(), Mutex::default());
        Self {
            clock,
            removed: None,
            capacity,
            max_deliveries,
            bell,
            state,
        }
    }

    /// An empty queue that lacks `guard`, to test the suite itself.
    #[must_use]
    pub fn without(
        clock: Arc<dyn Clock>,
        (capacity, max_deliveries): (usize, u32),
        guard: Guard,
    ) -> Self {
        Self {
            removed: Some(guard),
            ..Self::new(clock, capacity, max_deliveries)
        }
    }

    pub(super) fn keep(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }

    fn extend_one(&self, receipt: &Receipt, by: Duration) -> ReceiptOutcome {
        self.now(
            |state, now| match self.answerable(state, receipt, Guard::StaleExtend) {
                Some(index) => {
                    let item = &mut state.items[index];
                    item.in_hands = true;
                    item.due = if self.keep(Guard::Extend) {
                        now.saturating_add(by)
                    } else {
                        item.due
                    };
                    ReceiptOutcome::Done
                }
                None => ReceiptOutcome::Superseded,
            },
        )
    }

    /// Has one of those who wait look.
    fn wake(&self) {
        match self.keep(Guard::WakeOne) {
            true => self.bell.notify_one(),
            false => self.bell.notify_waiters(),
        }
    }
}

/// One that waited, and leaves: what it knew of later, another must know.
struct Leaves<'q>(&'q MemoryTaskQueue);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        let (due, now) = (self.0.next_due(), self.0.clock.monotonic());
        let heard = due.is_some_and(|due| due > now || self.0.keep(Guard::WakeEach));
        if self.0.keep(Guard::WakeNext) && heard {
            self.0.bell.notify_one();
        }
    }
}

#[async_trait]
impl TaskQueue for MemoryTaskQueue {
    async fn ring(&self, task: Task, delay: Duration) -> Result<Queued> {
        let (was_due, now) = (self.next_due(), self.clock.monotonic());
        let queued = self.now(|state, now| self.queue(state, task, now.saturating_add(delay)));
        let heard = was_due.is_none_or(|due| due > now) || self.keep(Guard::WakeEach);
        if self.keep(Guard::WakeByRing) && heard {
            self.wake();
        }
        Ok(queued)
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
            let mut rung = pin!(self.bell.notified());
            rung.as_mut().enable();
            let taken = self.take(max, visibility);
            let now = self.clock.monotonic();
            if !taken.is_empty() || (now >= until && self.keep(Guard::WaitEnds)) || max == 0 {
                return Ok(taken);
            }
            let due = self.next_due().filter(|_| self.keep(Guard::WakeByTime));
            let until = if self.keep(Guard::WaitEnds) {
                until
            } else {
                Duration::MAX
            };
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
        let mut outcomes: Vec<_> = receipts
            .iter()
            .map(|receipt| self.ack_one(receipt))
            .collect();
        if !self.keep(Guard::AckOrder) {
            outcomes.reverse();
        }
        receipts.iter().for_each(|_| self.wake());
        Ok(outcomes)
    }

    async fn nack(
        &self,
        receipt: &Receipt,
        delay: Duration,
        reason: &str,
    ) -> Result<ReceiptOutcome> {
        let outcome = self.nack_one(receipt, delay, reason);
        if self.keep(Guard::WakeByNack) {
            self.wake();
        }
        Ok(outcome)
    }

    async fn extend(&self, receipts: &[Receipt], by: Duration) -> Result<Vec<ReceiptOutcome>> {
        let extended = receipts.iter().map(|receipt| self.extend_one(receipt, by));
        Ok(extended.collect())
    }

    async fn dead(&self, limit: usize) -> Result<Vec<(Task, String)>> {
        Ok(self.now(|state, _| state.dead.iter().take(limit).cloned().collect()))
    }

    async fn redrive(&self) -> Result<usize> {
        let sent = self.now(|state, now| {
            let dead = std::mem::take(&mut state.dead);
            let mut sent = 0;
            for (task, reason) in dead {
                let before = state.dropped;
                match self.queue(state, task.clone(), now) {
                    Queued::Dropped => {
                        // There is no room: it stays where it is seen.
                        state.dropped = before;
                        state.dead.push_back((task, reason));
                    }
                    Queued::Queued | Queued::Merged => {
                        sent += 1;
                        if !self.keep(Guard::RedriveAnew) {
                            state.items.last_mut().expect("it was queued").count = 2;
                        }
                    }
                }
                if !self.keep(Guard::Redrive) {
                    state.items.pop();
                }
            }
            sent
        });
        (0..sent).for_each(|_| self.wake());
        Ok(sent)
    }

    async fn set_weights(&self, weights: &Weights) -> Result<()> {
        self.now(|state, _| {
            if self.keep(Guard::WeightsWhole) {
                state.weights = Weights::default();
            }
            for (tenant, weight) in weights.iter() {
                state.weights.set(tenant.clone(), weight);
            }
        });
        Ok(())
    }

    fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }
}
