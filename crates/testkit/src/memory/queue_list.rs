//! The list of the queue model: searched from its beginning, whatever the question.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use nebula_core::{Priority, TenantId, WorkflowId};
use nebula_ports::{Delivery, Queued, Receipt, ReceiptOutcome, Task, Turns, Weights};

use super::{
    QueueGuard as Guard,
    queue::{MemoryTaskQueue, NEVER_ANSWERED},
};

/// Everything that the queue knows.
#[derive(Default)]
pub(super) struct State {
    /// In the order in which they were rung.
    pub(super) items: Vec<Item>,
    pub(super) dead: VecDeque<(Task, String)>,
    pub(super) last_served: Option<TenantId>,
    /// How many turns that one had, one after the other.
    in_row: u32,
    pub(super) weights: Weights,
    /// Of tenants with tasks.
    turns: BTreeMap<TenantId, Turns>,
    /// Of tenants with tasks: whose turn was the last of each priority.
    workflows: BTreeMap<(TenantId, Priority), WorkflowId>,
    pub(super) next_receipt: u64,
    pub(super) dropped: u64,
}

/// One execution that was rung for.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) task: Task,
    /// When it may be received: for a task in somebody's hands, the end of its visibility.
    pub(super) due: Duration,
    pub(super) count: u32,
    pub(super) reason: Option<String>,
    /// Whether it is in somebody's hands and invisible.
    pub(super) in_hands: bool,
    /// What the last delivery is answered with; gone with the answer.
    pub(super) receipt: Option<u64>,
    /// A ring that came since the delivery: when it is due.
    pub(super) again: Option<Duration>,
}

impl State {
    /// Forgets the turns of tenants without a task.
    fn forget_turns(&mut self) {
        let items = &self.items;
        let has_tasks = |tenant: &TenantId| items.iter().any(|item| item.task.tenant == *tenant);
        self.turns.retain(|tenant, _| has_tasks(tenant));
        self.workflows.retain(|(tenant, _), _| has_tasks(tenant));
    }
}

impl MemoryTaskQueue {
    /// Works on the list as it is now: whose visibility is over comes back first.
    pub(super) fn now<T>(&self, work: impl FnOnce(&mut State, Duration) -> T) -> T {
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
        state.forget_turns();
        let done = work(&mut state, now);
        state.forget_turns();
        done
    }

    /// The task whose visibility was over first.
    pub(super) fn lapsed(&self, state: &State, now: Duration) -> Option<usize> {
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

    pub(super) fn bury(&self, state: &mut State, index: usize, reason: String, now: Duration) {
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

    pub(super) fn queue(&self, state: &mut State, task: Task, due: Duration) -> Queued {
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

    pub(super) fn merge(&self, item: &mut Item, task: &Task, due: Duration) -> Queued {
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

    /// The place of the task whose turn it is; the turn is taken.
    fn next(&self, state: &mut State, now: Duration) -> Option<usize> {
        let ready = |item: &&Item| match item.in_hands {
            true => !self.keep(Guard::Invisible),
            false => item.due <= now || !self.keep(Guard::Delay),
        };
        let ready: Vec<(usize, Task, Duration)> = state
            .items
            .iter()
            .enumerate()
            .filter(|(_, item)| ready(item))
            .map(|(index, item)| (index, item.task.clone(), item.due))
            .collect();
        let after = state
            .last_served
            .as_ref()
            .filter(|_| self.keep(Guard::Turns));
        let goes_on = after.filter(|last| {
            let ends = state.in_row >= state.weights.of(last).get() && self.keep(Guard::WeightEnds);
            self.keep(Guard::Weights) && !ends && ready.iter().any(|it| it.1.tenant == **last)
        });
        let (tenant, in_row) = match goes_on {
            Some(tenant) => (tenant.clone(), state.in_row + 1),
            None => {
                let next = following(ready.iter().map(|(_, task, _)| &task.tenant), after)?;
                (next.clone(), 1)
            }
        };
        state.in_row = in_row;
        let any = !self.keep(Guard::TurnsBeforePriority);
        let mine = || {
            let mine = |task: &Task| task.tenant == tenant || any;
            ready.iter().filter(move |(_, task, _)| mine(task))
        };
        let priority = self.whose_priority(state, &tenant, |it| {
            mine().any(|(_, task, _)| task.priority == it)
        })?;
        let level = || {
            let all = !self.keep(Guard::Priority);
            mine().filter(move |(_, task, _)| task.priority == priority || all)
        };
        let place = (tenant.clone(), priority);
        let after = state.workflows.get(&place);
        let workflow = following(level().map(|(_, task, _)| &task.workflow), after)?.clone();
        let all = !self.keep(Guard::WorkflowTurns);
        let line = level().filter(|(_, task, _)| task.workflow == workflow || all);
        let best = line.min_by_key(|(index, _, due)| {
            let place = if self.keep(Guard::Fifo) {
                *index
            } else {
                usize::MAX - index
            };
            (*due, place)
        });
        state.workflows.insert(place, workflow);
        best.map(|(index, ..)| *index)
    }

    /// The priority of a tenant whose turn it is.
    fn whose_priority(
        &self,
        state: &mut State,
        tenant: &TenantId,
        waits: impl Fn(Priority) -> bool,
    ) -> Option<Priority> {
        if !self.keep(Guard::Patience) {
            return Priority::ALL.into_iter().rfind(|it| waits(*it));
        }
        state.turns.entry(tenant.clone()).or_default().take(waits)
    }

    pub(super) fn take(&self, max: usize, visibility: Duration) -> Vec<Delivery> {
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
                item.due = now.saturating_add(visibility);
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
    pub(super) fn answerable(
        &self,
        state: &State,
        receipt: &Receipt,
        guard: Guard,
    ) -> Option<usize> {
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

    pub(super) fn ack_one(&self, receipt: &Receipt) -> ReceiptOutcome {
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

    pub(super) fn nack_one(
        &self,
        receipt: &Receipt,
        delay: Duration,
        reason: &str,
    ) -> ReceiptOutcome {
        self.now(|state, now| {
            let Some(index) = self.answerable(state, receipt, Guard::StaleNack) else {
                return ReceiptOutcome::Superseded;
            };
            let delay = if self.keep(Guard::NackDelay) {
                delay
            } else {
                Duration::ZERO
            };
            let later = now.saturating_add(delay);
            if !self.keep(Guard::NackGivesBack) {
                state.items.remove(index);
                return ReceiptOutcome::Done;
            }
            let item = &mut state.items[index];
            item.due = item.again.map_or(later, |again| again.max(now).min(later));
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

    pub(super) fn next_due(&self) -> Option<Duration> {
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

/// The least behind the last one, or else the least of all.
fn following<'a, K: Ord>(
    all: impl Iterator<Item = &'a K> + Clone,
    last: Option<&K>,
) -> Option<&'a K> {
    let behind = all.clone().filter(|it| last.is_none_or(|last| *it > last));
    behind.min().or_else(|| all.min())
}
