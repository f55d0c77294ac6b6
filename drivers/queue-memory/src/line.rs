//! The tasks of a queue and their order, without a clock: every call is told the time.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Duration,
};

use nebula_core::{ExecutionId, Priority, TenantId, WorkflowId};
use nebula_ports::{Delivery, Queued, Receipt, ReceiptOutcome, Task, Turns, Weights};

use crate::MemoryQueueConfig;

/// The reason of a task that died without an answer.
const NEVER_ANSWERED: &str = "it was not answered within its visibility";

type Key = (TenantId, ExecutionId);

/// Where a task stands among the ready tasks of its tenant, priority and workflow.
type Place = (Duration, u64, ExecutionId);

/// The ready tasks of a tenant: of each priority, by workflow; no line is empty.
type Levels = BTreeMap<Priority, BTreeMap<WorkflowId, BTreeSet<Place>>>;

/// Who had the last turns of a tenant.
#[derive(Debug, Default)]
struct Served {
    turns: Turns,
    workflows: BTreeMap<Priority, WorkflowId>,
}

/// Everything that is waiting, ready, in somebody's hands or dead.
#[derive(Debug)]
pub(crate) struct Line {
    config: MemoryQueueConfig,
    tasks: BTreeMap<Key, Entry>,
    /// What may be received now, by tenant; no tenant without a task.
    ready: BTreeMap<TenantId, Levels>,
    /// What is due later: a delay that is not over, a visibility that is not.
    later: BTreeSet<(Duration, u64, Key)>,
    /// What an open receipt answers for.
    receipts: BTreeMap<u64, Key>,
    dead: BTreeMap<u64, (Task, String)>,
    dead_at: BTreeMap<Key, u64>,
    last_served: Option<TenantId>,
    /// How many turns that one had, one after the other.
    in_row: u32,
    weights: Weights,
    /// Of tenants with tasks.
    served: BTreeMap<TenantId, Served>,
    dropped: u64,
    /// How many stand in `ready`.
    waiting: usize,
    /// How many of them came there since somebody asked.
    came: usize,
    /// Grows with every ring, delivery and death: places and receipts are cut from it.
    serial: u64,
}

#[derive(Debug)]
struct Entry {
    task: Task,
    /// When it was rung, among all rings.
    order: u64,
    due: Duration,
    count: u32,
    reason: Option<String>,
    stands: Stands,
    /// The last delivery's, until it is answered.
    receipt: Option<u64>,
    /// When the ring is due that came since the last delivery.
    again: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// In `ready`.
    Ready,
    /// In `later`, until its delay is over.
    Delayed,
    /// In `later`, until its visibility is over.
    InHands,
}

impl Line {
    pub(crate) fn new(config: MemoryQueueConfig) -> Self {
        Self {
            config,
            tasks: BTreeMap::new(),
            ready: BTreeMap::new(),
            later: BTreeSet::new(),
            receipts: BTreeMap::new(),
            dead: BTreeMap::new(),
            dead_at: BTreeMap::new(),
            last_served: None,
            in_row: 0,
            weights: Weights::default(),
            served: BTreeMap::new(),
            dropped: 0,
            waiting: 0,
            came: 0,
            serial: 0,
        }
    }

    /// How many tasks are waiting, ready or in somebody's hands.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many tasks may be received that could not when this was asked last.
    pub(crate) fn take_came(&mut self) -> usize {
        std::mem::take(&mut self.came).min(self.waiting)
    }

    /// When there is something to receive; zero if there is now.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        match self.ready.is_empty() {
            false => Some(Duration::ZERO),
            true => self.later.first().map(|(due, ..)| *due),
        }
    }

    /// Moves on whatever became due by `now`.
    pub(crate) fn advance(&mut self, now: Duration) {
        while self.later.first().is_some_and(|(due, ..)| *due <= now) {
            let Some((_, _, key)) = self.later.pop_first() else {
                break;
            };
            let Some(mut entry) = self.tasks.remove(&key) else {
                continue;
            };
            if entry.stands == Stands::InHands && entry.count >= self.config.max_deliveries.get() {
                let reason = entry
                    .reason
                    .take()
                    .unwrap_or_else(|| NEVER_ANSWERED.to_owned());
                self.bury(entry, reason, now);
            } else {
                self.place(key, entry, now);
            }
        }
    }

    /// Rings for `task`, to be received at `due`.
    pub(crate) fn ring(&mut self, task: Task, due: Duration, now: Duration) -> Queued {
        let key = (task.tenant.clone(), task.execution);
        if let Some(entry) = self.lift(&key) {
            return self.merge(key, entry, &task, due, now);
        }
        if self.tasks.len() >= self.config.capacity.get() {
            self.dropped += 1;
            return Queued::Dropped;
        }
        self.begin(task, due, now);
        Queued::Queued
    }

    fn merge(
        &mut self,
        key: Key,
        mut entry: Entry,
        task: &Task,
        due: Duration,
        now: Duration,
    ) -> Queued {
        let in_hands = entry.stands == Stands::InHands;
        let first = in_hands && entry.again.is_none();
        entry.task.priority = entry.task.priority.max(task.priority);
        if entry.receipt.is_some() {
            entry.again = Some(entry.again.map_or(due, |again| again.min(due)));
        }
        if in_hands {
            self.hand_out(key, entry);
        } else {
            entry.due = entry.due.min(due);
            self.place(key, entry, now);
        }
        if first {
            Queued::Queued
        } else {
            Queued::Merged
        }
    }

    /// Takes up to `max` ready tasks in their turns.
    pub(crate) fn take(&mut self, max: usize, until: Duration) -> Vec<Delivery> {
        let mut taken = Vec::new();
        while taken.len() < max {
            let Some(key) = self.next() else { break };
            let Some(mut entry) = self.lift(&key) else {
                break;
            };
            if let Some(old) = entry.receipt.take() {
                self.receipts.remove(&old);
            }
            let receipt = self.serial();
            self.receipts.insert(receipt, key.clone());
            entry.receipt = Some(receipt);
            entry.again = None;
            entry.count = entry.count.saturating_add(1);
            entry.due = until;
            taken.push(Delivery {
                task: entry.task.clone(),
                receipt: Receipt(receipt.to_string()),
                delivery_count: entry.count,
            });
            self.last_served = Some(key.0.clone());
            self.hand_out(key, entry);
        }
        taken
    }

    /// The first task of the tenant, priority and workflow whose turn it is; the turn is taken.
    fn next(&mut self) -> Option<Key> {
        let goes_on = self
            .last_served
            .as_ref()
            .filter(|it| self.ready.contains_key(*it) && self.in_row < self.weights.of(it).get());
        let (tenant, in_row) = match goes_on {
            Some(tenant) => (tenant.clone(), self.in_row + 1),
            None => (
                following(&self.ready, self.last_served.as_ref())?.clone(),
                1,
            ),
        };
        self.in_row = in_row;
        let levels = &self.ready[&tenant];
        let served = self.served.entry(tenant.clone()).or_default();
        let priority = served.turns.take(|it| levels.contains_key(&it))?;
        let workflows = &levels[&priority];
        let workflow = following(workflows, served.workflows.get(&priority))?.clone();
        let (.., execution) = *workflows[&workflow].first()?;
        served.workflows.insert(priority, workflow);
        Some((tenant, execution))
    }

    pub(crate) fn ack(&mut self, receipt: &Receipt, now: Duration) -> ReceiptOutcome {
        let Some((_, entry)) = self.answer(receipt) else {
            return ReceiptOutcome::Superseded;
        };
        let tenant = entry.task.tenant.clone();
        if let Some(again) = entry.again {
            self.begin(entry.task, again.max(now), now);
        }
        self.forget(&tenant);
        ReceiptOutcome::Done
    }

    /// Gives a task back, to be received at `due`.
    pub(crate) fn nack(
        &mut self,
        receipt: &Receipt,
        due: Duration,
        reason: &str,
        now: Duration,
    ) -> ReceiptOutcome {
        let Some((key, mut entry)) = self.answer(receipt) else {
            return ReceiptOutcome::Superseded;
        };
        if entry.count >= self.config.max_deliveries.get() {
            self.bury(entry, reason.to_owned(), now);
            return ReceiptOutcome::Done;
        }
        let again = entry.again.take();
        entry.due = again.map_or(due, |again| again.max(now).min(due));
        entry.reason = Some(reason.to_owned());
        entry.receipt = None;
        self.place(key, entry, now);
        ReceiptOutcome::Done
    }

    pub(crate) fn extend(&mut self, receipt: &Receipt, until: Duration) -> ReceiptOutcome {
        let Some(key) = self.answered_by(receipt) else {
            return ReceiptOutcome::Superseded;
        };
        let Some(mut entry) = self.lift(&key) else {
            return ReceiptOutcome::Superseded;
        };
        entry.due = until;
        self.hand_out(key, entry);
        ReceiptOutcome::Done
    }

    pub(crate) fn set_weights(&mut self, weights: Weights) {
        self.weights = weights;
    }

    /// Dead tasks, oldest first.
    pub(crate) fn dead(&self, limit: usize) -> Vec<(Task, String)> {
        self.dead.values().take(limit).cloned().collect()
    }

    /// Rings for every dead task that there is room for.
    pub(crate) fn redrive(&mut self, now: Duration) -> usize {
        let mut sent = 0;
        for (at, (task, reason)) in std::mem::take(&mut self.dead) {
            let key = (task.tenant.clone(), task.execution);
            let room =
                self.tasks.len() < self.config.capacity.get() || self.tasks.contains_key(&key);
            if room {
                sent += 1;
                self.dead_at.remove(&key);
                let _ = self.ring(task, now, now);
            } else {
                self.dead.insert(at, (task, reason));
            }
        }
        sent
    }

    fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Puts a new task in its place; its deliveries are counted from 1.
    fn begin(&mut self, task: Task, due: Duration, now: Duration) {
        let key = (task.tenant.clone(), task.execution);
        let (order, stands) = (self.serial(), Stands::Delayed);
        let entry = Entry {
            task,
            order,
            due,
            count: 0,
            reason: None,
            stands,
            receipt: None,
            again: None,
        };
        self.place(key, entry, now);
    }

    /// Puts a task that nobody has in hands where its due time says.
    fn place(&mut self, key: Key, mut entry: Entry, now: Duration) {
        if entry.due <= now {
            self.waiting += 1;
            self.came += usize::from(entry.stands != Stands::Ready);
            entry.stands = Stands::Ready;
            let levels = self.ready.entry(key.0.clone()).or_default();
            let workflows = levels.entry(entry.task.priority).or_default();
            let line = workflows.entry(entry.task.workflow.clone()).or_default();
            line.insert(entry.place());
        } else {
            entry.stands = Stands::Delayed;
            self.later.insert((entry.due, entry.order, key.clone()));
        }
        self.tasks.insert(key, entry);
    }

    /// Puts a task into somebody's hands until it is due.
    fn hand_out(&mut self, key: Key, mut entry: Entry) {
        entry.stands = Stands::InHands;
        self.later.insert((entry.due, entry.order, key.clone()));
        self.tasks.insert(key, entry);
    }

    /// Takes a task out of whichever order it stands in; its receipt stays open.
    fn lift(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.tasks.remove(key)?;
        if entry.stands == Stands::Ready {
            self.leave(&entry);
        } else {
            self.later.remove(&(entry.due, entry.order, key.clone()));
        }
        Some(entry)
    }

    /// Takes a task out of its line, and out of the way what is empty then.
    fn leave(&mut self, entry: &Entry) {
        let Task {
            tenant,
            workflow,
            priority,
            ..
        } = &entry.task;
        let Some(levels) = self.ready.get_mut(tenant) else {
            return;
        };
        if let Some(workflows) = levels.get_mut(priority) {
            if let Some(line) = workflows.get_mut(workflow) {
                self.waiting -= usize::from(line.remove(&entry.place()));
                if line.is_empty() {
                    workflows.remove(workflow);
                }
            }
            if workflows.is_empty() {
                levels.remove(priority);
            }
        }
        if levels.is_empty() {
            self.ready.remove(tenant);
        }
    }

    /// Forgets the turns of a tenant that has no task any more.
    fn forget(&mut self, tenant: &TenantId) {
        let first = (tenant.clone(), ExecutionId::from_bytes([0; 16]));
        let next = self.tasks.range(first..).next();
        if next.is_none_or(|((other, _), _)| other != tenant) {
            self.served.remove(tenant);
        }
    }

    fn answered_by(&self, receipt: &Receipt) -> Option<Key> {
        self.receipts.get(&receipt.0.parse().ok()?).cloned()
    }

    /// Takes out the task that this receipt answers for, and closes the receipt.
    fn answer(&mut self, receipt: &Receipt) -> Option<(Key, Entry)> {
        let key = self.receipts.remove(&receipt.0.parse().ok()?)?;
        let entry = self.lift(&key)?;
        Some((key, entry))
    }

    /// Puts a task among the dead, as the youngest; a ring that came meanwhile begins anew.
    fn bury(&mut self, entry: Entry, reason: String, now: Duration) {
        let key = (entry.task.tenant.clone(), entry.task.execution);
        if let Some(receipt) = entry.receipt {
            self.receipts.remove(&receipt);
        }
        let at = self.serial();
        if let Some(before) = self.dead_at.insert(key, at) {
            self.dead.remove(&before);
        }
        self.dead.insert(at, (entry.task.clone(), reason));
        if self.dead.len() > self.config.capacity.get()
            && let Some((_, (task, _))) = self.dead.pop_first()
        {
            self.dead_at.remove(&(task.tenant, task.execution));
            self.dropped += 1;
        }
        let tenant = entry.task.tenant.clone();
        if let Some(again) = entry.again {
            self.begin(entry.task, again.max(now), now);
        }
        self.forget(&tenant);
    }
}

/// The first key behind the last one, or else the first of all.
fn following<'a, K: Ord, V>(map: &'a BTreeMap<K, V>, last: Option<&K>) -> Option<&'a K> {
    let after = last.map_or(Bound::Unbounded, Bound::Excluded);
    let behind = map.range::<K, _>((after, Bound::Unbounded)).next();
    let (key, _) = behind.or_else(|| map.first_key_value())?;
    Some(key)
}

impl Entry {
    fn place(&self) -> Place {
        (self.due, self.order, self.task.execution)
    }
}
