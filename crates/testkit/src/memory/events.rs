//! The model of a sink of events.

use std::{collections::VecDeque, fmt, sync::Arc};

use async_trait::async_trait;
use nebula_execution::ExecutionEvent;
use nebula_ports::{EventSink, EventWatch, Received};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::EventGuard as Guard;
use crate::event_sink::CAPACITY;

/// An [`EventSink`] in memory that keeps [`CAPACITY`] events for watchers that are behind.
#[derive(Default)]
pub struct MemoryEventSink {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    removed: Option<Guard>,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    /// How many were published while somebody watched.
    published: u64,
    kept: VecDeque<Arc<ExecutionEvent>>,
    /// Where each watcher is; `None` for one that left.
    places: Vec<Option<u64>>,
}

impl fmt::Debug for MemoryEventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.lock();
        f.debug_struct("MemoryEventSink")
            .field("published", &state.published)
            .finish_non_exhaustive()
    }
}

impl MemoryEventSink {
    /// A sink that lacks `guard`, to test the suite itself.
    #[must_use]
    pub fn without(guard: Guard) -> Self {
        Self {
            shared: Arc::new(Shared {
                removed: Some(guard),
                ..Shared::default()
            }),
        }
    }
}

impl Shared {
    fn keep(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }
}

impl EventSink for MemoryEventSink {
    fn is_watched(&self) -> bool {
        let places = &self.shared.state.lock().places;
        match self.shared.keep(Guard::Watched) {
            true => places.iter().any(Option::is_some),
            false => true,
        }
    }

    fn publish(&self, mut event: ExecutionEvent) {
        let shared = &self.shared;
        if !shared.keep(Guard::Whole) {
            event.tenant = nebula_core::TenantId::local();
        }
        let mut state = shared.state.lock();
        let is_full = state.kept.len() == CAPACITY;
        if is_full && !shared.keep(Guard::Newest) {
            return;
        }
        if is_full {
            state.kept.pop_front();
        }
        match shared.keep(Guard::Order) {
            true => state.kept.push_back(Arc::new(event)),
            false => state.kept.push_front(Arc::new(event)),
        }
        state.published += 1;
        let oldest = state.published - state.kept.len() as u64;
        if !shared.keep(Guard::HoldsNobody)
            && state.places.iter().flatten().any(|place| *place < oldest)
        {
            let published = state.published;
            state
                .places
                .iter_mut()
                .flatten()
                .for_each(|it| *it = published);
        }
        drop(state);
        if shared.keep(Guard::Wakes) {
            shared.news.notify_waiters();
        }
    }

    fn watch(&self) -> Box<dyn EventWatch> {
        let mut state = self.shared.state.lock();
        let place = match self.shared.keep(Guard::FromNow) {
            true => state.published,
            false => state.published - state.kept.len() as u64,
        };
        state.places.push(Some(place));
        Box::new(Watch {
            shared: Arc::clone(&self.shared),
            number: state.places.len() - 1,
        })
    }
}

struct Watch {
    shared: Arc<Shared>,
    number: usize,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({})", self.number)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.shared.keep(Guard::Leaves) {
            self.shared.state.lock().places[self.number] = None;
        }
    }
}

impl Watch {
    fn take(&self) -> Option<Received> {
        let shared = &self.shared;
        let mut state = shared.state.lock();
        let place = state.places[self.number].expect("it has not left");
        let oldest = state.published - state.kept.len() as u64;
        if place < oldest {
            let on = match shared.keep(Guard::GoesOn) {
                true => oldest,
                false => state.published,
            };
            state.places[self.number] = Some(on);
            let lost = match shared.keep(Guard::Tells) {
                true => oldest - place,
                false => 1,
            };
            return Some(Received::Lost(lost));
        }
        let at = usize::try_from(place - oldest).expect("no more are kept than fit");
        let event = state.kept.get(at)?.clone();
        state.places[self.number] = Some(place + 1);
        if !shared.keep(Guard::Everyone) {
            state
                .places
                .iter_mut()
                .flatten()
                .for_each(|it| *it = place + 1);
        }
        Some(Received::Event(event))
    }
}

#[async_trait]
impl EventWatch for Watch {
    async fn next(&mut self) -> Option<Received> {
        let shared = Arc::clone(&self.shared);
        loop {
            let news = shared.news.notified();
            if let Some(received) = self.take() {
                if !shared.keep(Guard::GivenUp) {
                    tokio::task::yield_now().await;
                }
                return Some(received);
            }
            news.await;
        }
    }
}
