//! The model of the doorbell: one list, searched from its beginning.

use std::{collections::VecDeque, fmt, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_core::{Clock, TenantId};
use nebula_ports::{Delivery, Queued, Receipt, ReceiptOutcome, Result, Task, TaskQueue};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::QueueGuard as Guard;

/// The reason of a task that died without an answer.
pub const NEVER_ANSWERED: &str = "it was not answered within its visibility";

/// A [`TaskQueue`] that is obviously right: the oracle for drivers, and the bell of other crates' tests.
pub struct MemoryTaskQueue {
    clock: Arc<dyn Clock>,
    removed: Option<Guard>,
    capacity: usize,
    max_deliveries: u32,
    bell: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In the order in which they were rung.
    items: Vec<Item>,
    dead: VecDeque<(Task, String)>,
    last_served: Option<TenantId>,
    next_receipt: u64,
    dropped: u64,
}

#[derive(Debug, Clone)]
struct Item {
    task: Task,
    /// When it may be received: for a task in somebody's hands, the end of its visibility.
    due: Duration,
    count: u32,
    reason: Option<String>,
    /// Whether it is in somebody's hands and invisible.
    in_hands: bool,
    /// What the last delivery is answered with; gone with the answer.
    receipt: Option<u64>,
    /// A ring that came since the delivery: when it is due.
    again: Option<Duration>,
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

    fn keep(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }

    /// Works on the list as it is now: whose visibility is over comes back first.
    fn now<T>(&self, work: impl FnOnce(&mut State, Duration) -> T) -> T {
        let mut state = self.state.lock();
        let now = self.clock.monotonic();
        while let Some(index) = self.lapsed(&state, now) {
            state.items[index].in_hands = false;
            state.items[index].due = state.items[index].due.min(now);
            if state.items[index].count >= self.max_deliveries && self.keep(Guard::DeadBySilence) {
                let reason = state.items[index]
                    .reason
                    .clone()
                    .unwrap_or_else(|| NEVER_ANSWERED.to_owned());
                self.bury(&mut state, index, reason, now);
            }
        }
        work(&mut state, now)
    }

    /// The task whose visibility was over first.
    fn lapsed(&self, state: &State, now: Duration) -> Option<usize> {
        let early = if self.keep(Guard::VisibilityLasts) {
            Duration::ZERO
        } else {
            Duration::from_secs(2)
        };
        let held = state
            .items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.in_hands && self.keep(Guard::ComesAgain));
        let over = held.filter(|(_, item)| item.due.saturating_sub(early) <= now);
        over.min_by_key(|(index, item)| (item.due, *index))
            .map(|(index, _)| index)
    }

    fn bury(&self, state: &mut State, index: usize, reason: String, now: Duration) {
        let item = state.items.remove(index);
        state.dead.retain(|(task, _)| !same(task, &item.task));
        if self.keep(Guard::DeadOrder) {
            state.dead.push_back((item.task.clone(), reason));
        } else {
            state.dead.push_front((item.task.clone(), reason));
        }
        if state.dead.len() > self.capacity {
            state.dead.pop_front();
            state.dropped += 1;
        }
        if let Some(again) = item.again {
            state.items.push(fresh(item.task, again.max(now)));
        }
    }

    fn queue(&self, state: &mut State, task: Task, due: Duration) -> Queued {
        let full = state.items.len() >= self.capacity && self.keep(Guard::Capacity);
        let merges = self.keep(Guard::Merge) && (!full || self.keep(Guard::MergeWhenFull));
        let found = state.items.iter_mut().find(|item| {
            item.task.execution == task.execution
                && (item.task.tenant == task.tenant || !self.keep(Guard::MergeTenant))
        });
        if let Some(item) = found.filter(|_| merges) {
            return self.merge(item, &task, due);
        }
        let waiting = state.items.iter().filter(|item| !item.in_hands).count();
        let full = if self.keep(Guard::PlaceKept) {
            full
        } else {
            waiting >= self.capacity
        };
        if full {
            state.dropped += u64::from(self.keep(Guard::DropCount));
            return Queued::Dropped;
        }
        if state.dead.iter().any(|(dead, _)| same(dead, &task)) && !self.keep(Guard::DeadRing) {
            return Queued::Dropped;
        }
        state.items.push(fresh(task, due));
        Queued::Queued
    }

    fn merge(&self, item: &mut Item, task: &Task, due: Duration) -> Queued {
        if self.keep(Guard::MergePriority) {
            item.task.priority = item.task.priority.max(task.priority);
        }
        let first = item.in_hands && item.again.is_none();
        if item.receipt.is_some() && self.keep(Guard::RingAgain) {
            let late = item.in_hands || self.keep(Guard::RingLate);
            item.again = late.then(|| item.again.map_or(due, |again| again.min(due)));
        }
        if item.in_hands && !self.keep(Guard::RingWaits) {
            item.in_hands = false;
        }
        if !item.in_hands && self.keep(Guard::MergeEarlier) {
            item.due = item.due.min(due);
        }
        if first {
            Queued::Queued
        } else {
            Queued::Merged
        }
    }

    /// The place of the task whose turn it is.
    fn next(&self, state: &State, now: Duration) -> Option<usize> {
        let ready = |item: &&Item| match item.in_hands {
            true => !self.keep(Guard::Invisible),
            false => item.due <= now || !self.keep(Guard::Delay),
        };
        let mut tenants: Vec<_> = state
            .items
            .iter()
            .filter(ready)
            .map(|item| &item.task.tenant)
            .collect();
        tenants.sort();
        let after = state
            .last_served
            .as_ref()
            .filter(|_| self.keep(Guard::Turns));
        let tenant = tenants
            .iter()
            .find(|tenant| after.is_none_or(|last| **tenant > last))
            .or(tenants.first())?;
        let mine = state
            .items
            .iter()
            .enumerate()
            .filter(|(_, item)| ready(item));
        let any = !self.keep(Guard::TurnsBeforePriority);
        let mine = mine.filter(|(_, item)| item.task.tenant == **tenant || any);
        let best = mine.min_by_key(|(index, item)| {
            let priority = if self.keep(Guard::Priority) {
                item.task.priority
            } else {
                0
            };
            let place = if self.keep(Guard::Fifo) {
                *index
            } else {
                usize::MAX - index
            };
            (std::cmp::Reverse(priority), item.due, place)
        });
        best.map(|(index, _)| index)
    }

    fn take(&self, max: usize, visibility: Duration) -> Vec<Delivery> {
        let max = if self.keep(Guard::Max) {
            max
        } else {
            usize::MAX
        };
        self.now(|state, now| {
            let mut taken = Vec::new();
            // Bounded by the length too: a queue that forgets invisibility would never end.
            while taken.len() < max.min(state.items.len()) {
                let Some(index) = self.next(state, now) else {
                    break;
                };
                state.next_receipt += 1;
                let receipt = state.next_receipt;
                let item = &mut state.items[index];
                item.count += u32::from(self.keep(Guard::Count) || item.count == 0);
                item.due = now + visibility;
                item.in_hands = true;
                item.receipt = Some(receipt);
                item.again = None;
                let (task, delivery_count) = (item.task.clone(), item.count);
                state.last_served = Some(task.tenant.clone());
                taken.push(Delivery {
                    task,
                    receipt: Receipt(receipt.to_string()),
                    delivery_count,
                });
            }
            taken
        })
    }

    /// The place of the task that this receipt answers for.
    fn answerable(&self, state: &State, receipt: &Receipt, guard: Guard) -> Option<usize> {
        let Ok(number) = receipt.0.parse::<u64>() else {
            return Some(0)
                .filter(|_| !self.keep(Guard::ForeignReceipt) && !state.items.is_empty());
        };
        let stale = !self.keep(guard);
        state.items.iter().position(|item| {
            let late = item.in_hands || self.keep(Guard::LateAnswer);
            (item.receipt == Some(number) && late) || (stale && item.receipt.is_some())
        })
    }

    fn ack_one(&self, receipt: &Receipt) -> ReceiptOutcome {
        self.now(|state, now| {
            let Some(index) = self.answerable(state, receipt, Guard::StaleAck) else {
                let forgetful = !self.keep(Guard::AnswerOnce);
                return if forgetful {
                    ReceiptOutcome::Done
                } else {
                    ReceiptOutcome::Superseded
                };
            };
            if !self.keep(Guard::AckRemoves) {
                state.items[index].in_hands = false;
                return ReceiptOutcome::Done;
            }
            let item = state.items.remove(index);
            if let Some(again) = item.again {
                let mut next = fresh(item.task, again.max(now));
                next.count = if self.keep(Guard::RingAnew) {
                    0
                } else {
                    item.count
                };
                state.items.push(next);
            }
            ReceiptOutcome::Done
        })
    }

    fn nack_one(&self, receipt: &Receipt, delay: Duration, reason: &str) -> ReceiptOutcome {
        self.now(|state, now| {
            let Some(index) = self.answerable(state, receipt, Guard::StaleNack) else {
                return ReceiptOutcome::Superseded;
            };
            let delay = if self.keep(Guard::NackDelay) {
                delay
            } else {
                Duration::ZERO
            };
            if !self.keep(Guard::NackGivesBack) {
                state.items.remove(index);
                return ReceiptOutcome::Done;
            }
            let item = &mut state.items[index];
            item.due = item
                .again
                .map_or(now + delay, |again| again.max(now).min(now + delay));
            item.in_hands = false;
            item.receipt = None;
            let keeps = self.keep(Guard::DeadReason) || item.reason.is_none();
            item.reason = if keeps {
                Some(reason.to_owned())
            } else {
                item.reason.take()
            };
            if item.count >= self.max_deliveries && self.keep(Guard::DeadByNack) {
                let reason = item.reason.clone().unwrap_or_default();
                self.bury(state, index, reason, now);
            } else {
                item.again = None;
            }
            ReceiptOutcome::Done
        })
    }

    fn next_due(&self) -> Option<Duration> {
        self.now(|state, _| state.items.iter().map(|item| item.due).min())
    }
}

fn same(a: &Task, b: &Task) -> bool {
    a.tenant == b.tenant && a.execution == b.execution
}

fn fresh(task: Task, due: Duration) -> Item {
    Item {
        task,
        due,
        count: 0,
        reason: None,
        in_hands: false,
        receipt: None,
        again: None,
    }
}

#[async_trait]
impl TaskQueue for MemoryTaskQueue {
    async fn ring(&self, task: Task, delay: Duration) -> Result<Queued> {
        let queued = self.now(|state, now| self.queue(state, task, now + delay));
        match self.removed {
            Some(Guard::WakeByRing) => {}
            Some(Guard::WakeAll) => self.bell.notify_one(),
            _ => self.bell.notify_waiters(),
        }
        Ok(queued)
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<Delivery>> {
        let until = self.clock.monotonic() + wait;
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
        self.bell.notify_waiters();
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
            self.bell.notify_waiters();
        }
        Ok(outcome)
    }

    async fn extend(&self, receipt: &Receipt, by: Duration) -> Result<ReceiptOutcome> {
        Ok(self.now(
            |state, now| match self.answerable(state, receipt, Guard::StaleExtend) {
                Some(index) => {
                    let item = &mut state.items[index];
                    item.in_hands = true;
                    item.due = if self.keep(Guard::Extend) {
                        now + by
                    } else {
                        item.due
                    };
                    ReceiptOutcome::Done
                }
                None => ReceiptOutcome::Superseded,
            },
        ))
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
        self.bell.notify_waiters();
        Ok(sent)
    }

    fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }
}
