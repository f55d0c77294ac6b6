//! The host's clock.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everybody else is sent to"
)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nebula_core::{BoxFuture, Clock, Timestamp};

/// Tells the host's time; its monotonic time begins when it is made.
///
/// [`Clock::sleep`] needs a tokio runtime with its timer on, and wakes up to one millisecond late.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(millis_since_epoch(SystemTime::now()))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // The timer is made when it is first polled, so that making the future needs no runtime.
        Box::pin(async move { tokio::time::sleep(duration).await })
    }
}

/// Whole milliseconds, rounded down, also before 1970.
fn millis_since_epoch(time: SystemTime) -> i64 {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => millis(after),
        Err(before) => -millis(
            before
                .duration()
                .saturating_add(Duration::from_nanos(999_999)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_counted_from_1970_in_both_directions() {
        let check = |time, expected| assert_eq!(millis_since_epoch(time), expected);
        check(UNIX_EPOCH, 0);
        check(UNIX_EPOCH + Duration::from_micros(1_999), 1);
        check(UNIX_EPOCH - Duration::from_micros(1_999), -2);
        check(UNIX_EPOCH - Duration::from_millis(5), -5);
    }

    #[test]
    fn monotonic_time_begins_with_the_clock_and_never_goes_back() {
        let clock = SystemClock::default();
        let times: Vec<_> = (0..1_000).map(|_| clock.monotonic()).collect();
        assert!(times.is_sorted());
        assert!(clock.now() > Timestamp::from_millis(1_700_000_000_000));
    }

    #[tokio::test]
    async fn a_sleeper_wakes_after_its_time_and_not_before() {
        let clock = SystemClock::default();
        let before = clock.monotonic();
        clock.sleep(Duration::from_millis(3)).await;
        assert!(clock.monotonic() - before >= Duration::from_millis(3));
    }
}
