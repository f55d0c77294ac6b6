//! Carries events to every watcher in the process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{End, Entry, Status};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    watch,
};

use crate::{ExecutionEvent, event};

/// A bounded broadcast. Clones publish to the same watchers.
#[derive(Debug, Clone)]
pub struct Bus {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    everything: broadcast::Sender<Arc<ExecutionEvent>>,
    /// Those who wait for one execution; whoever leaves last takes the entry along.
    callers: Mutex<BTreeMap<ExecutionId, watch::Sender<Option<Halt>>>>,
}

/// Where an execution came to a halt.
#[derive(Debug, Clone, PartialEq)]
pub struct Halt {
    /// Its end, or `Parked`, `Paused` or `Waiting` where it needs somebody.
    pub status: Status,
    /// How it ended, if it did and its worker is in this process.
    pub end: Option<End>,
}

impl Shared {
    fn callers(&self) -> MutexGuard<'_, BTreeMap<ExecutionId, watch::Sender<Option<Halt>>>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bus {
    /// How many events a watcher may be behind, where nobody says otherwise.
    pub const DEFAULT_CAPACITY: usize = 4_096;

    /// A bus that keeps at least `capacity` events for watchers that are behind; at least one.
    ///
    /// The room is rounded up to a power of two and taken at once: a few dozen bytes for each event.
    /// What a workflow emits is kept beside it until every watcher has seen it.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let shared = Shared {
            everything: broadcast::Sender::new(capacity.max(1)),
            callers: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Shows an event to everybody who watches now. Never waits; without watchers it does nothing.
    pub fn publish(&self, event: ExecutionEvent) {
        if let Some(status) = event.kind.halts() {
            self.tell_callers(event.execution, || Halt { status, end: None });
        }
        self.show(event);
    }

    fn show(&self, event: ExecutionEvent) {
        if self.shared.everything.receiver_count() > 0 {
            // An error says that the last watcher left just now.
            let _ = self.shared.everything.send(Arc::new(event));
        }
    }

    /// The same for entries that were committed together, of which the first is number `seq`. Where
    /// nobody watches, it costs next to nothing.
    pub fn publish_entries(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        seq: u64,
        entries: &[Entry],
    ) {
        let mut facts = entries.iter().rev().map(|entry| &entry.fact);
        let last = facts.find_map(|fact| Some((event::halts(fact)?, fact)));
        if let Some((status, fact)) = last {
            let end = || End::of(fact);
            self.tell_callers(execution, || Halt { status, end: end() });
        }
        if self.shared.everything.receiver_count() > 0 {
            for (seq, entry) in (seq..).zip(entries) {
                self.show(ExecutionEvent::project(tenant, execution, seq, entry));
            }
        }
    }

    fn tell_callers(&self, execution: ExecutionId, halt: impl FnOnce() -> Halt) {
        if let Some(callers) = self.shared.callers().get(&execution) {
            callers.send_replace(Some(halt()));
        }
    }

    /// Waits for one execution, which costs nothing while others move.
    #[must_use]
    pub fn wait_for(&self, execution: ExecutionId) -> Halts {
        let mut callers = self.shared.callers();
        let halts = callers
            .entry(execution)
            .or_insert_with(|| watch::Sender::new(None));
        Halts {
            halts: halts.subscribe(),
            execution,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Watches whatever is published from now on.
    #[must_use]
    pub fn subscribe(&self) -> Watcher {
        Watcher {
            receiver: self.shared.everything.subscribe(),
        }
    }
}

/// Says when an execution comes to a halt, from when it was made; from [`Bus::wait_for`].
#[derive(Debug)]
pub struct Halts {
    halts: watch::Receiver<Option<Halt>>,
    execution: ExecutionId,
    shared: Arc<Shared>,
}

impl Halts {
    /// Where it came to a halt. Of several halts only the last may be told.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn next(&mut self) -> Halt {
        loop {
            // The sender stays as long as this receiver does.
            if self.halts.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let Some(halt) = &*self.halts.borrow_and_update() {
                return halt.clone();
            }
        }
    }
}

impl Drop for Halts {
    fn drop(&mut self) {
        let mut callers = self.shared.callers();
        // This receiver still counts.
        let last = |halts: &watch::Sender<Option<Halt>>| halts.receiver_count() <= 1;
        if callers.get(&self.execution).is_some_and(last) {
            callers.remove(&self.execution);
        }
    }
}

/// Sees what is published on a [`Bus`].
#[derive(Debug)]
pub struct Watcher {
    receiver: broadcast::Receiver<Arc<ExecutionEvent>>,
}

/// What a watcher gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// The next event.
    Event(Arc<ExecutionEvent>),
    /// The watcher was too slow, and this many events are gone. The journals have them.
    Lost(u64),
}

impl Watcher {
    /// The next event, or how many were lost; `None` once every [`Bus`] is gone and all is seen.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn next(&mut self) -> Option<Received> {
        match self.receiver.recv().await {
            Ok(event) => Some(Received::Event(event)),
            Err(RecvError::Lagged(lost)) => Some(Received::Lost(lost)),
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use nebula_core::Timestamp;
    use nebula_execution::Fact;

    use super::*;
    use crate::EventKind;

    fn event(seq: u64) -> ExecutionEvent {
        ExecutionEvent {
            tenant: TenantId::local(),
            execution: ExecutionId::from_bytes([1; 16]),
            seq,
            at: Timestamp::from_millis(0),
            kind: EventKind::Ended {
                status: Status::Completed,
                error: None,
            },
        }
    }

    /// What a watcher gets until the bus is gone: numbers of events, and `-n` for n lost ones.
    async fn seen(mut watcher: Watcher) -> Vec<i64> {
        let mut seen = Vec::new();
        while let Some(received) = watcher.next().await {
            seen.push(match received {
                Received::Event(event) => event.seq.cast_signed(),
                Received::Lost(lost) => -lost.cast_signed(),
            });
        }
        seen
    }

    #[tokio::test]
    async fn every_watcher_sees_every_event_in_order() {
        let bus = Bus::new(8);
        let (first, second) = (bus.subscribe(), bus.clone().subscribe());
        bus.publish(event(1));
        let late = bus.subscribe();
        bus.publish(event(2));
        drop(bus);
        assert_eq!(seen(first).await, [1, 2]);
        assert_eq!(seen(second).await, [1, 2]);
        assert_eq!(seen(late).await, [2]);
    }

    #[tokio::test]
    async fn a_slow_watcher_is_told_how_many_events_it_lost_and_holds_nobody_up() {
        let bus = Bus::new(4);
        let slow = bus.subscribe();
        (1..=10).for_each(|seq| bus.publish(event(seq)));
        drop(bus);
        assert_eq!(seen(slow).await, [-6, 7, 8, 9, 10]);
    }

    fn entry(fact: Fact) -> Entry {
        let at = Timestamp::from_millis(0);
        Entry { at, fact }
    }

    #[tokio::test]
    async fn a_caller_is_told_of_each_halt_of_its_execution_and_of_no_other() {
        let (bus, tenant) = (Bus::new(1), TenantId::local());
        let id = |n| ExecutionId::from_bytes([n; 16]);
        let (mut first, mut second) = (bus.wait_for(id(1)), bus.clone().wait_for(id(1)));
        let paused = [
            entry(Fact::PauseRequested {
                reason: String::new(),
            }),
            entry(Fact::Resumed),
        ];
        bus.publish_entries(&tenant, id(2), 2, &paused);
        bus.publish_entries(&tenant, id(1), 2, &paused[1..]);
        let none = tokio::select! {
            biased;
            halt = first.next() => Some(halt),
            () = std::future::ready(()) => None,
        };
        assert_eq!(none, None);
        bus.publish_entries(&tenant, id(1), 3, &paused);
        assert_eq!(first.next().await.status, Status::Paused);
        // Also while somebody watches everything.
        let _watcher = bus.subscribe();
        let output = Arc::new(7.into());
        let completed = Fact::ExecutionCompleted { output };
        bus.publish_entries(&tenant, id(1), 5, &[entry(completed.clone())]);
        let end = End::of(&completed);
        assert_eq!(first.next().await.end, end);
        // Who comes late to it is told the last one.
        let late = second.next().await;
        assert_eq!((late.status, late.end), (Status::Completed, end));
        drop(first);
        assert_eq!(bus.shared.callers().len(), 1);
        drop(second);
        assert_eq!(bus.shared.callers().len(), 0);
    }

    #[test]
    fn without_watchers_events_go_nowhere() {
        Bus::new(0).publish(event(1));
    }
}
