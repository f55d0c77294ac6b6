//! Carries events to every watcher in the process.

use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};

use crate::ExecutionEvent;

/// A bounded broadcast. Clones publish to the same watchers.
#[derive(Debug, Clone)]
pub struct Bus {
    sender: broadcast::Sender<Arc<ExecutionEvent>>,
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
        Self {
            sender: broadcast::Sender::new(capacity.max(1)),
        }
    }

    /// Shows an event to everybody who watches now. Never waits; without watchers it does nothing.
    pub fn publish(&self, event: ExecutionEvent) {
        if self.sender.receiver_count() > 0 {
            // An error says that the last watcher left just now.
            let _ = self.sender.send(Arc::new(event));
        }
    }

    /// Watches whatever is published from now on.
    #[must_use]
    pub fn subscribe(&self) -> Watcher {
        Watcher {
            receiver: self.sender.subscribe(),
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
    use nebula_core::{ExecutionId, TenantId, Timestamp};
    use nebula_execution::Status;

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

    #[test]
    fn without_watchers_events_go_nowhere() {
        Bus::new(0).publish(event(1));
    }
}
