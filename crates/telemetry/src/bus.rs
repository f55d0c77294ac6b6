//! Carries events to every watcher in the process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{End, Entry, EventKind, ExecutionEvent, Status};
use nebula_ports::{EventSink, EventWatch, Received};
use tokio::sync::{Notify, watch};

use crate::{Broadcast, Metrics, relaying::Outward};

/// Shows what was committed to an [`EventSink`], and tells those of this process who wait for one
/// execution where it came to a halt. Clones publish to the same watchers.
#[derive(Debug, Clone)]
pub struct Bus {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    everything: Arc<dyn EventSink>,
    metrics: Metrics,
    /// Those who wait for one execution; whoever leaves last takes the entry along.
    callers: Mutex<BTreeMap<ExecutionId, watch::Sender<Option<Halt>>>>,
    /// Rings when something was announced to triggers.
    announced: Notify,
    /// The way to other processes, once there is one.
    outward: OnceLock<Outward>,
    /// Rings when somebody begins to watch.
    watched: Notify,
}

/// Where an execution came to a halt.
#[derive(Debug, Clone, PartialEq)]
pub struct Halt {
    /// Its end, or `Parked`, `Paused` or `Waiting` where it needs somebody.
    pub status: Status,
    /// The number of the journal entry that says so.
    pub seq: u64,
    /// How it ended, if it did and its worker is in this process: what another one says is only a reason to
    /// look into the store.
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

    /// A bus over a [`Broadcast`] of this process, with room for `capacity` events.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::over(Arc::new(Broadcast::new(capacity)))
    }

    /// A bus whose events go to this sink.
    #[must_use]
    pub fn over(everything: Arc<dyn EventSink>) -> Self {
        let shared = Shared {
            everything,
            metrics: Metrics::default(),
            callers: Mutex::default(),
            announced: Notify::new(),
            outward: OnceLock::new(),
            watched: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// What is counted of those who publish here.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Shows an event to everybody who watches now. Never waits; without watchers it does nothing.
    pub fn publish(&self, event: ExecutionEvent) {
        let outward = self.outward();
        if let Some(status) = event.kind.halts() {
            let seq = event.seq;
            let halt = || Halt {
                status,
                seq,
                end: None,
            };
            self.tell_callers(event.execution, halt);
            if let Some(outward) = outward {
                outward.halt(event.execution, status, seq);
            }
        }
        if let Some(outward) = outward
            && outward.wants_events()
        {
            outward.event(event.clone());
        }
        self.shared.everything.publish(event);
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
        let facts = entries.iter().map(|entry| &entry.fact);
        let last = (seq..)
            .zip(facts)
            .filter_map(|(seq, fact)| Some((EventKind::halts_at(fact)?, seq, fact)));
        if let Some((status, seq, fact)) = last.last() {
            let halt = || Halt {
                status,
                seq,
                end: End::of(fact),
            };
            self.tell_callers(execution, halt);
            if let Some(outward) = self.outward() {
                outward.halt(execution, status, seq);
            }
        }
        if self.wants_events() {
            let elsewhere = self.outward().filter(|it| it.wants_events());
            for (seq, entry) in (seq..).zip(entries) {
                let event = ExecutionEvent::project(tenant, execution, seq, entry);
                if let Some(outward) = elsewhere {
                    outward.event(event.clone());
                }
                self.shared.everything.publish(event);
            }
        }
    }

    /// Whether somebody watches what happens, here or in another process.
    #[must_use]
    pub fn wants_events(&self) -> bool {
        self.is_watched() || self.outward().is_some_and(Outward::wants_events)
    }

    fn outward(&self) -> Option<&Outward> {
        self.shared.outward.get()
    }

    #[cfg(test)]
    pub(crate) fn outward_wants(&self) -> bool {
        self.outward().is_some_and(Outward::wants_events)
    }

    /// Where what is published goes to other processes from now on; false if it has a way already.
    pub(crate) fn set_outward(&self, outward: Outward) -> bool {
        self.shared.outward.set(outward).is_ok()
    }

    /// Tells those who wait what another process said of an execution. The store knows how it ended.
    pub(crate) fn halted_elsewhere(&self, execution: ExecutionId, status: Status, seq: u64) {
        let halt = || Halt {
            status,
            seq,
            end: None,
        };
        self.tell_callers(execution, halt);
    }

    /// Shows watchers of this process what became true in another one.
    pub(crate) fn happened_elsewhere(&self, event: ExecutionEvent) {
        self.shared.everything.publish(event);
    }

    /// Says that something was announced in another process.
    pub(crate) fn announced_elsewhere(&self) {
        self.shared.announced.notify_one();
    }

    /// Whether anybody in this process watches.
    pub(crate) fn is_watched(&self) -> bool {
        self.shared.everything.is_watched()
    }

    /// Waits until somebody in this process begins to watch.
    pub(crate) async fn begins_to_be_watched(&self) {
        self.shared.watched.notified().await;
    }

    fn tell_callers(&self, execution: ExecutionId, halt: impl FnOnce() -> Halt) {
        if let Some(callers) = self.shared.callers().get(&execution) {
            callers.send_replace(Some(halt()));
        }
    }

    /// Says that something was announced to triggers, to one of those who wait for that.
    pub fn announced(&self) {
        self.shared.announced.notify_one();
        if let Some(outward) = self.outward() {
            outward.announced();
        }
    }

    /// Waits until something was announced to triggers since the last call returned. A hint: it may
    /// have been announced in another process, or told to somebody else.
    ///
    /// # Cancel safety
    /// A dropped call takes nothing.
    pub async fn announcement(&self) {
        self.shared.announced.notified().await;
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
        let watch = self.shared.everything.watch();
        self.shared.watched.notify_one();
        Watcher { watch }
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

/// Sees what is published on a [`Bus`], whatever carries it.
#[derive(Debug)]
pub struct Watcher {
    watch: Box<dyn EventWatch>,
}

impl Watcher {
    /// The next event, or how many were lost; `None` once nothing can come any more: for a [`Bus::new`],
    /// once every clone of it is gone and all is seen.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn next(&mut self) -> Option<Received> {
        self.watch.next().await
    }
}

#[cfg(test)]
mod tests {
    use nebula_core::Timestamp;
    use nebula_execution::Fact;

    use super::*;

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
    async fn watchers_see_what_was_published_before_the_bus_was_gone() {
        let bus = Bus::new(8);
        let (first, second) = (bus.subscribe(), bus.clone().subscribe());
        bus.publish(event(1));
        bus.publish(event(2));
        drop(bus);
        assert_eq!(seen(first).await, [1, 2]);
        assert_eq!(seen(second).await, [1, 2]);
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
