//! The model of a relay.

use std::{collections::VecDeque, fmt, sync::Arc};

use async_trait::async_trait;
use nebula_ports::{ErrorKind, Listening, PortError, Relay, RelayTopic, Result};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::RelayGuard as Guard;

/// The longest message that it carries.
const LONGEST: usize = 1_000;
/// How many messages wait for one who listens; then it is told that it missed some.
const KEPT: usize = 64;

/// A [`Relay`] within one process. Clones of it are one relay: each stands for the way of one process.
#[derive(Clone, Default)]
pub struct MemoryRelay {
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
    ears: Vec<Option<Ear>>,
    last: Vec<(RelayTopic, String)>,
    /// Whether nothing gets through.
    is_cut: bool,
}

struct Ear {
    topics: Vec<RelayTopic>,
    waiting: VecDeque<(RelayTopic, String)>,
    missed: bool,
}

impl fmt::Debug for MemoryRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRelay").finish_non_exhaustive()
    }
}

impl MemoryRelay {
    /// A relay that lacks `guard`, to test the suite itself.
    #[must_use]
    pub fn without(guard: Guard) -> Self {
        Self {
            shared: Arc::new(Shared {
                removed: Some(guard),
                ..Shared::default()
            }),
        }
    }

    /// Cuts everybody off, or lets them through again. Who listened has missed something.
    pub fn cut(&self, is_cut: bool) {
        let mut state = self.shared.state.lock();
        state.is_cut = is_cut;
        state
            .ears
            .iter_mut()
            .flatten()
            .for_each(|ear| ear.missed = true);
        drop(state);
        self.shared.news.notify_waiters();
    }
}

impl Shared {
    fn keep(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }

    fn send(&self, topic: RelayTopic, message: &str) -> Result<()> {
        let mut state = self.state.lock();
        if state.is_cut {
            return Err(unavailable("send"));
        }
        if !self.keep(Guard::FromNow) {
            state.last.push((topic, message.to_owned()));
        }
        let message = match self.keep(Guard::Whole) {
            true => message,
            false => message.lines().next().unwrap_or_default(),
        };
        let mut heard = false;
        for ear in state.ears.iter_mut().flatten() {
            if self.keep(Guard::Topics) && !ear.topics.contains(&topic) {
                continue;
            }
            if heard && !self.keep(Guard::Everybody) {
                continue;
            }
            heard = true;
            if ear.waiting.len() == KEPT {
                ear.missed = true;
                continue;
            }
            let message = (topic, message.to_owned());
            match self.keep(Guard::Order) {
                true => ear.waiting.push_back(message),
                false => ear.waiting.push_front(message),
            }
        }
        if !self.keep(Guard::Leaves)
            && let Some(missed) = state.ears.iter().flatten().find(|ear| ear.missed)
        {
            let _ = missed;
            return Err(unavailable("send"));
        }
        drop(state);
        self.news.notify_waiters();
        match heard || self.keep(Guard::Alone) {
            true => Ok(()),
            false => Err(unavailable("send")),
        }
    }
}

fn unavailable(operation: &'static str) -> PortError {
    let said = "there is no way to the others";
    PortError::new(ErrorKind::Unavailable, "memory", operation, said)
}

#[async_trait]
impl Relay for MemoryRelay {
    fn longest(&self) -> usize {
        LONGEST
    }

    async fn send(&self, topic: RelayTopic, message: &str) -> Result<()> {
        if message.len() > LONGEST && self.shared.keep(Guard::Longest) {
            let said = format!("it has {} bytes, and may have {LONGEST}", message.len());
            return Err(PortError::new(ErrorKind::Invalid, "memory", "send", said));
        }
        self.shared.send(topic, message)
    }

    async fn listen(&self, topics: &[RelayTopic]) -> Result<Box<dyn Listening>> {
        let mut state = self.shared.state.lock();
        if state.is_cut {
            return Err(unavailable("listen"));
        }
        let waiting = state.last.iter().cloned().collect();
        state.ears.push(Some(Ear {
            topics: topics.to_vec(),
            waiting,
            missed: false,
        }));
        Ok(Box::new(Place {
            shared: Arc::clone(&self.shared),
            number: state.ears.len() - 1,
        }))
    }
}

struct Place {
    shared: Arc<Shared>,
    number: usize,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.number)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.shared.keep(Guard::Leaves) {
            self.shared.state.lock().ears[self.number] = None;
        }
    }
}

#[async_trait]
impl Listening for Place {
    async fn next(&mut self) -> Option<(RelayTopic, String)> {
        let shared = Arc::clone(&self.shared);
        loop {
            let news = shared.news.notified();
            let taken = {
                let mut state = shared.state.lock();
                let ear = state.ears[self.number].as_mut().expect("it has not left");
                if ear.missed {
                    return None;
                }
                ear.waiting.pop_front()
            };
            if let Some(message) = taken {
                if !shared.keep(Guard::GivenUp) {
                    tokio::task::yield_now().await;
                }
                return Some(message);
            }
            news.await;
        }
    }
}
