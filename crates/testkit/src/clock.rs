//! A clock that moves when it is told to.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use nebula_core::{BoxFuture, Clock, Timestamp};
use parking_lot::Mutex;

/// The wall time at which every [`ManualClock`] begins: 2026-01-01T00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A [`Clock`] that stands still until a test moves it. Clones show the same time.
///
/// Sleepers are woken in the order in which they are due, those due together in the order in which
/// they began to sleep; so a run depends on nothing but what the test does.
#[derive(Debug, Clone)]
pub struct ManualClock {
    time: Arc<Mutex<Time>>,
}

#[derive(Debug)]
struct Time {
    monotonic: Duration,
    /// What wall time is ahead of `START + monotonic`, in milliseconds.
    drift: i64,
    next_sleeper: u64,
    /// Sleepers by due time and arrival; the waker is there once the sleeper was polled.
    sleepers: BTreeMap<(Duration, u64), Option<Waker>>,
}

impl Default for ManualClock {
    fn default() -> Self {
        let time = Time {
            monotonic: Duration::ZERO,
            drift: 0,
            next_sleeper: 0,
            sleepers: BTreeMap::new(),
        };
        Self {
            time: Arc::new(Mutex::new(time)),
        }
    }
}

impl ManualClock {
    /// Moves both times forward by `duration` and wakes who is due by then, in due order.
    ///
    /// Woken tasks run after this call and see the new time. To let each see its own due time,
    /// move from one [`ManualClock::next_wake`] to the next.
    pub fn advance(&self, duration: Duration) {
        let woken = {
            let mut time = self.time.lock();
            time.monotonic = time.monotonic.saturating_add(duration);
            time.take_due()
        };
        // Outside the lock: a waker may run code that reads this clock.
        woken.into_iter().for_each(Waker::wake);
    }

    /// Moves wall time alone by so many milliseconds, as an operator or NTP does; wakes nobody.
    pub fn jump_wall(&self, millis: i64) {
        self.time.lock().drift += millis;
    }

    /// How many sleep now.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.time.lock().sleepers.len()
    }

    /// How many sleeps began until now.
    #[must_use]
    pub fn slept(&self) -> u64 {
        self.time.lock().next_sleeper
    }

    /// How long from now the next sleeper is due; `None` if nobody sleeps.
    #[must_use]
    pub fn next_wake(&self) -> Option<Duration> {
        let time = self.time.lock();
        let ((due, _), _) = time.sleepers.first_key_value()?;
        Some(due.saturating_sub(time.monotonic))
    }

    /// Moves to the time at which the next sleeper is due; says whether there was one.
    pub fn advance_to_next(&self) -> bool {
        let next = self.next_wake();
        if let Some(duration) = next {
            self.advance(duration);
        }
        next.is_some()
    }
}

impl Time {
    fn take_due(&mut self) -> Vec<Waker> {
        let later = self.sleepers.split_off(&(self.monotonic, u64::MAX));
        let due = std::mem::replace(&mut self.sleepers, later);
        due.into_values().flatten().collect()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let time = self.time.lock();
        Timestamp::from_millis(START.as_millis() + time.drift).plus(time.monotonic)
    }

    fn monotonic(&self) -> Duration {
        self.time.lock().monotonic
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut time = self.time.lock();
        let key = (time.monotonic.saturating_add(duration), time.next_sleeper);
        time.next_sleeper += 1;
        if !duration.is_zero() {
            time.sleepers.insert(key, None);
        }
        Box::pin(Sleep {
            time: Arc::clone(&self.time),
            key,
        })
    }
}

/// One sleeper. Its place is taken when it is made, so that the order does not hang on who is polled first.
struct Sleep {
    time: Arc<Mutex<Time>>,
    key: (Duration, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut time = self.time.lock();
        if time.monotonic >= self.key.0 {
            return Poll::Ready(());
        }
        time.sleepers
            .insert(self.key, Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.time.lock().sleepers.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run;

    #[test]
    fn sleepers_are_woken_in_due_order() {
        run(async {
            let clock = ManualClock::default();
            let order = Arc::new(Mutex::new(Vec::new()));
            let mut tasks = tokio::task::JoinSet::new();
            for (name, seconds) in [30, 10, 20, 10].into_iter().enumerate() {
                let (sleep, order) = (
                    clock.sleep(Duration::from_secs(seconds)),
                    Arc::clone(&order),
                );
                tasks.spawn(async move {
                    sleep.await;
                    order.lock().push(name);
                });
            }
            tokio::task::yield_now().await;
            assert_eq!(
                (clock.sleepers(), clock.next_wake()),
                (4, Some(Duration::from_secs(10)))
            );
            clock.advance(Duration::from_secs(20));
            assert_eq!(clock.sleepers(), 1);
            clock.advance(Duration::from_secs(10));
            while tasks.join_next().await.is_some() {}
            assert_eq!(*order.lock(), [1, 3, 2, 0]);
        });
    }

    #[test]
    fn a_dropped_sleeper_is_forgotten() {
        let clock = ManualClock::default();
        drop(clock.sleep(Duration::from_secs(1)));
        assert_eq!((clock.sleepers(), clock.advance_to_next()), (0, false));
    }

    #[test]
    fn a_jump_of_the_wall_moves_no_sleeper() {
        let clock = ManualClock::default();
        let _sleep = clock.sleep(Duration::from_secs(5));
        clock.jump_wall(-3_600_000);
        assert_eq!(clock.now().plus(Duration::from_hours(1)), START);
        assert_eq!((clock.monotonic(), clock.sleepers()), (Duration::ZERO, 1));
    }
}
