//! Polls the futures of a simulated world one at a time, in an order that the seed decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use nebula_core::BoxFuture;
use parking_lot::Mutex;

use super::here::set_life;
use crate::{ManualClock, SeededEntropy};

/// One life of one process; a restarted process has a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Life(pub(super) u64);

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

/// Whose a future is: with whom it is paused, and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The world itself: networks, clients, the nemesis.
    World,
    /// A process.
    Process(Life),
}

/// What a future may ask for while it is polled; obeyed before the next poll.
pub(super) enum Order {
    /// Begin another one.
    Spawn(Owner, BoxFuture<'static, ()>),
    /// Drop everything of a process, as SIGKILL does.
    Kill(Life),
    /// Poll nothing of a process, as SIGSTOP does.
    Pause(Life),
    /// Go on after a pause.
    Resume(Life),
    /// The simulation is over.
    Finish,
}

/// Where futures say what they want, and wakers who is ready.
#[derive(Default)]
pub(super) struct Board {
    ready: Mutex<Vec<u64>>,
    orders: Mutex<Vec<Order>>,
}

impl Board {
    pub(super) fn order(&self, order: Order) {
        self.orders.lock().push(order);
    }

    /// Forgets what was ordered.
    pub(super) fn clear(&self) {
        self.orders.lock().clear();
    }

    pub(super) fn spawn(&self, owner: Owner, future: impl Future<Output = ()> + Send + 'static) {
        self.order(Order::Spawn(owner, Box::pin(future)));
    }
}

/// Why the scheduler came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// A future ordered it.
    Finished,
    /// Everything waits, and nobody sleeps.
    Stuck,
    /// So many polls were made that something turns in a circle.
    Circling,
}

struct Woken {
    id: u64,
    queued: AtomicBool,
    board: Arc<Board>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.board.ready.lock().push(self.id);
        }
    }
}

struct Job {
    owner: Owner,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    woken: Arc<Woken>,
}

/// The only executor of a simulation: one thread, no tokio runtime, no time but the clock's.
pub(super) struct Scheduler {
    board: Arc<Board>,
    order: SeededEntropy,
    jobs: BTreeMap<u64, Job>,
    next: u64,
    paused: BTreeSet<Life>,
    /// Ready jobs of paused processes.
    held: Vec<u64>,
    finished: bool,
    polls: u64,
}

impl Scheduler {
    pub(super) fn new(board: Arc<Board>, seed: u64) -> Self {
        Self {
            board,
            order: SeededEntropy::new(seed),
            jobs: BTreeMap::new(),
            next: 0,
            paused: BTreeSet::new(),
            held: Vec::new(),
            finished: false,
            polls: 0,
        }
    }

    /// How many polls were made.
    pub(super) fn polls(&self) -> u64 {
        self.polls
    }

    /// Runs until it is told to finish; the clock moves whenever nothing is ready.
    pub(super) fn run(&mut self, clock: &ManualClock, max_polls: u64) -> Stopped {
        loop {
            self.obey();
            if self.finished {
                return Stopped::Finished;
            }
            match self.pick() {
                Some(id) if self.polls < max_polls => self.poll(id),
                Some(_) => return Stopped::Circling,
                None if clock.advance_to_next() => {}
                None => return Stopped::Stuck,
            }
        }
    }

    fn obey(&mut self) {
        loop {
            let orders = std::mem::take(&mut *self.board.orders.lock());
            if orders.is_empty() {
                return;
            }
            for order in orders {
                match order {
                    Order::Spawn(owner, future) => self.spawn(owner, future),
                    Order::Kill(life) => {
                        self.paused.remove(&life);
                        self.jobs.retain(|_, job| job.owner != Owner::Process(life));
                    }
                    Order::Pause(life) => {
                        self.paused.insert(life);
                    }
                    Order::Resume(life) => {
                        self.paused.remove(&life);
                        self.board.ready.lock().append(&mut self.held);
                    }
                    Order::Finish => self.finished = true,
                }
            }
        }
    }

    fn spawn(&mut self, owner: Owner, future: BoxFuture<'static, ()>) {
        let id = self.next;
        self.next += 1;
        let woken = Arc::new(Woken {
            id,
            queued: AtomicBool::new(true),
            board: self.board.clone(),
        });
        self.jobs.insert(
            id,
            Job {
                owner,
                future,
                woken,
            },
        );
        self.board.ready.lock().push(id);
    }

    /// One of the ready jobs, by chance; those of paused processes are kept for later.
    fn pick(&mut self) -> Option<u64> {
        let mut ready = self.board.ready.lock();
        while !ready.is_empty() {
            let index = self.order.below(ready.len() as u64);
            let id = ready.swap_remove(usize::try_from(index).expect("below a length"));
            match self.jobs.get(&id).map(|job| job.owner) {
                None => {}
                Some(Owner::Process(life)) if self.paused.contains(&life) => self.held.push(id),
                Some(_) => return Some(id),
            }
        }
        None
    }

    fn poll(&mut self, id: u64) {
        self.polls += 1;
        let job = self.jobs.get_mut(&id).expect("it was picked just now");
        job.woken.queued.store(false, Ordering::Relaxed);
        let waker = Waker::from(job.woken.clone());
        set_life(match job.owner {
            Owner::Process(life) => Some(life),
            Owner::World => None,
        });
        if let Poll::Ready(()) = job.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            self.jobs.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nebula_core::Clock;

    use super::*;

    #[test]
    fn a_paused_process_goes_on_where_it_was_and_a_killed_one_never() {
        let (board, clock) = (Arc::new(Board::default()), ManualClock::default());
        let seen = Arc::new(Mutex::new(Vec::new()));
        for life in [1, 2] {
            let (clock, seen) = (clock.clone(), seen.clone());
            board.spawn(Owner::Process(Life(life)), async move {
                for second in 1..=3 {
                    clock.sleep(Duration::from_secs(1)).await;
                    seen.lock()
                        .push((life, second, clock.monotonic().as_secs()));
                }
            });
        }
        let (orders, time) = (board.clone(), clock.clone());
        board.spawn(Owner::World, async move {
            time.sleep(Duration::from_millis(1_500)).await;
            orders.order(Order::Pause(Life(1)));
            orders.order(Order::Kill(Life(2)));
            time.sleep(Duration::from_secs(10)).await;
            orders.order(Order::Resume(Life(1)));
            time.sleep(Duration::from_secs(10)).await;
            orders.order(Order::Finish);
        });
        let mut scheduler = Scheduler::new(board, 7);
        assert_eq!(scheduler.run(&clock, 1_000), Stopped::Finished);
        let mut seen = seen.lock().clone();
        seen.sort_unstable();
        assert_eq!(seen, [(1, 1, 1), (1, 2, 11), (1, 3, 12), (2, 1, 1)]);
    }

    #[test]
    fn what_waits_for_ever_and_what_never_waits_are_seen() {
        let board = Arc::new(Board::default());
        board.spawn(Owner::World, std::future::pending());
        let mut scheduler = Scheduler::new(board.clone(), 1);
        assert_eq!(
            scheduler.run(&ManualClock::default(), 1_000),
            Stopped::Stuck
        );
        board.spawn(Owner::World, async {
            loop {
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(
            scheduler.run(&ManualClock::default(), 1_000),
            Stopped::Circling
        );
    }
}
