//! Running async tests, whose time is that of a clock.

use std::future::Future;

use tokio::runtime::Builder;

use crate::ManualClock;

/// Runs `future` on this thread; tasks that it spawns run here too, and end with it.
///
/// Time is that of a [`ManualClock`]; drivers may use threads of their own, and those of real servers I/O.
///
/// # Panics
/// With whatever `future` panics.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the host has a queue of events")
        .block_on(future)
}

/// The same, and `clock` moves to its next sleeper whenever no task can go on: hours of waiting take
/// no time, and every sleeper sees its own due time.
///
/// Only for tests in which no other thread works, as with the in-memory models: a thread that has
/// not answered yet looks like a test that waits.
///
/// # Panics
/// With whatever `future` panics, and when everything waits and nobody sleeps: it would wait for ever.
pub fn run_timed<T>(clock: &ManualClock, future: impl Future<Output = T>) -> T {
    run_timed_unless(clock, || false, future)
}

/// The same, and time stands still while `busy`: another thread works then, and its answer wakes a
/// task.
///
/// # Panics
/// As [`run_timed`].
pub fn run_timed_unless<T>(
    clock: &ManualClock,
    busy: impl Fn() -> bool + Send + Sync + 'static,
    future: impl Future<Output = T>,
) -> T {
    let clock = clock.clone();
    let runtime = Builder::new_current_thread()
        .on_thread_park(move || {
            if busy() {
                return;
            }
            assert!(
                clock.advance_to_next(),
                "everything waits, and no sleeper is left to wake anything"
            );
        })
        .build()
        .expect("a runtime without drivers needs nothing");
    runtime.block_on(future)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nebula_core::Clock;

    use super::*;

    #[test]
    fn time_passes_when_nothing_else_can_go_on() {
        let clock = ManualClock::default();
        let (first, second) = (clock.clone(), clock.clone());
        run_timed(&clock.clone(), async move {
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(async move {
                first.sleep(Duration::from_hours(2)).await;
                first.monotonic()
            });
            second.sleep(Duration::from_hours(1)).await;
            assert_eq!(second.monotonic(), Duration::from_hours(1));
            assert_eq!(
                tasks.join_next().await.unwrap().unwrap(),
                Duration::from_hours(2)
            );
        });
    }

    #[test]
    #[should_panic(expected = "no sleeper is left")]
    fn a_test_that_would_hang_fails() {
        run_timed(&ManualClock::default(), std::future::pending::<()>());
    }
}
