//! A rate, as a bucket of tokens that somebody else's clock fills.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use nebula_core::serde_duration;
use serde::{Deserialize, Serialize};

/// How many calls may pass: a bucket of `burst` tokens, of which each call takes one, and into which
/// `limit` come back in each span of time, evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRate {
    /// How many pass in each span of time, 1 to [`CallRate::MAX_LIMIT`].
    pub limit: u32,
    /// The span of time, from [`CallRate::MIN_PER`] to [`CallRate::MAX_PER`].
    #[serde(with = "serde_duration")]
    pub per: Duration,
    /// How many may pass at once, 1 to [`CallRate::MAX_LIMIT`]; 1 if nothing is said, so that no span
    /// of time, wherever it begins, sees more than `limit` and one.
    #[serde(default = "one")]
    pub burst: u32,
}

fn one() -> u32 {
    1
}

impl CallRate {
    /// The most calls in one span of time, or at once.
    pub const MAX_LIMIT: u32 = 1_000_000;
    /// The shortest span of time.
    pub const MIN_PER: Duration = Duration::from_millis(1);
    /// The longest span of time.
    pub const MAX_PER: Duration = Duration::from_hours(31 * 24);

    /// From one token to the next, at least a nanosecond.
    #[must_use]
    pub fn interval(&self) -> Duration {
        (self.per / self.limit.max(1)).max(Duration::from_nanos(1))
    }

    /// The first number that is out of its range, by its name, and the range.
    #[must_use]
    pub fn wrong(&self) -> Option<(&'static str, &'static str)> {
        if !(1..=Self::MAX_LIMIT).contains(&self.limit) {
            Some(("limit", "1 to 1,000,000"))
        } else if !(Self::MIN_PER..=Self::MAX_PER).contains(&self.per) {
            Some(("per", "1ms to 31 days"))
        } else if !(1..=Self::MAX_LIMIT).contains(&self.burst) {
            Some(("burst", "1 to 1,000,000"))
        } else {
            None
        }
    }
}

/// How a rate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateState {
    /// How many calls pass in each span of time.
    pub limit: u32,
    /// The span of time, in milliseconds.
    pub per_ms: u64,
    /// How many may pass at once.
    pub burst: u32,
    /// How many could pass at once now, 0 to `burst`.
    pub left: u32,
}

/// What the bucket takes for the time: it is set before each question.
#[derive(Debug, Clone, Default)]
struct Told(Arc<AtomicU64>);

impl Clock for Told {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.load(Ordering::Relaxed))
    }
}

/// The tokens of one [`CallRate`]; without a clock: every question says when it is.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: CallRate,
    tokens: governor::RateLimiter<NotKeyed, InMemoryState, Told, NoOpMiddleware<Nanos>>,
    told: Told,
    /// From when on it is full again.
    full_at: Duration,
}

impl Bucket {
    /// A full bucket; a rate that is [wrong](CallRate::wrong) is taken for the nearest right one.
    pub(crate) fn new(rate: CallRate) -> Self {
        let told = Told::default();
        let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(rate.interval())
            .expect("the interval is at least a nanosecond")
            .allow_burst(burst);
        let tokens = governor::RateLimiter::direct_with_clock(quota, told.clone());
        Self {
            rate,
            tokens,
            told,
            full_at: Duration::ZERO,
        }
    }

    /// Takes a token at `now`, or says how long from now there is none.
    pub(crate) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.told.0.store(nanos, Ordering::Relaxed);
        match self.tokens.check() {
            Ok(()) => {
                self.full_at = self.full_at.max(now) + self.rate.interval();
                Ok(())
            }
            Err(not_until) => Err(not_until
                .wait_time_from(Nanos::from(nanos))
                .max(Duration::from_nanos(1))),
        }
    }

    pub(crate) fn interval(&self) -> Duration {
        self.rate.interval()
    }

    /// How it stands at `now`; takes nothing.
    pub(crate) fn state(&self, now: Duration) -> RateState {
        let CallRate { limit, per, burst } = self.rate;
        let burst = burst.max(1);
        let empty = self.full_at.saturating_sub(now).as_nanos();
        let taken = empty.div_ceil(self.rate.interval().as_nanos());
        RateState {
            limit,
            per_ms: u64::try_from(per.as_millis()).unwrap_or(u64::MAX),
            burst,
            left: burst.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX)),
        }
    }

    /// Whether a new one would say the same from now on.
    pub(crate) fn is_blank(&self, now: Duration) -> bool {
        now >= self.full_at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn tokens_come_back_one_by_one() {
        let mut bucket = Bucket::new(CallRate {
            limit: 10,
            per: ms(1_000),
            burst: 3,
        });
        assert!(bucket.is_blank(ms(5)));
        for _ in 0..3 {
            assert_eq!(bucket.take(ms(5)), Ok(()));
        }
        assert_eq!(bucket.take(ms(5)), Err(ms(100)));
        assert_eq!(bucket.take(ms(65)), Err(ms(40)));
        assert_eq!(bucket.take(ms(105)), Ok(()));
        assert_eq!(bucket.take(ms(105)), Err(ms(100)));
        assert!(!bucket.is_blank(ms(404)));
        assert!(bucket.is_blank(ms(405)));
    }

    /// Guards: what is left comes back with time, is never more than fits, and looking takes nothing.
    #[test]
    fn it_says_how_many_could_pass_now() {
        let mut bucket = Bucket::new(CallRate {
            limit: 10,
            per: ms(1_000),
            burst: 3,
        });
        let left = |bucket: &Bucket, now| bucket.state(ms(now)).left;
        assert_eq!(left(&bucket, 0), 3);
        bucket.take(ms(5)).unwrap();
        bucket.take(ms(5)).unwrap();
        for (now, expected) in [(5, 1), (5, 1), (104, 1), (105, 2), (205, 3), (9_000, 3)] {
            assert_eq!(left(&bucket, now), expected, "{now}");
        }
        let state = bucket.state(ms(5));
        assert_eq!((state.limit, state.per_ms, state.burst), (10, 1_000, 3));
    }

    #[test]
    fn wrong_numbers_are_named() {
        let rate = |limit, per, burst| CallRate { limit, per, burst };
        let wrong = |rate: CallRate| rate.wrong().map(|(name, _)| name);
        assert_eq!(wrong(rate(1, ms(1), 1)), None);
        assert_eq!(wrong(rate(0, ms(1), 1)), Some("limit"));
        assert_eq!(wrong(rate(1_000_001, ms(1), 1)), Some("limit"));
        assert_eq!(wrong(rate(1, ms(0), 1)), Some("per"));
        assert_eq!(wrong(rate(1, CallRate::MAX_PER + ms(1), 1)), Some("per"));
        assert_eq!(wrong(rate(1, ms(1), 0)), Some("burst"));
        assert_eq!(wrong(rate(1, ms(1), 1_000_001)), Some("burst"));
    }

    proptest! {
        /// In no span of time, wherever it begins, do more pass than the rate and the burst say.
        #[test]
        fn no_span_of_time_sees_more_than_the_rate(
            limit in 1_u32..50,
            per in 1_u64..5_000,
            burst in 1_u32..20,
            steps in proptest::collection::vec(0_u64..400, 1..200),
        ) {
            let rate = CallRate { limit, per: ms(per), burst };
            let mut bucket = Bucket::new(rate);
            let (mut now, mut passed) = (Duration::ZERO, Vec::new());
            for step in steps {
                now += ms(step);
                match bucket.take(now) {
                    Ok(()) => passed.push(now),
                    Err(wait) => {
                        // What it says is right: at that time there is a token, and a moment before none.
                        let due = now + wait;
                        if wait > Duration::from_micros(2) {
                            let before = due.checked_sub(Duration::from_micros(1)).unwrap();
                            prop_assert!(bucket.take(before).is_err());
                        }
                        prop_assert_eq!(bucket.take(due), Ok(()));
                        passed.push(due);
                        now = due;
                    }
                }
            }
            for (first, from) in passed.iter().enumerate() {
                for (last, to) in passed.iter().enumerate().skip(first) {
                    let span = (*to - *from).as_nanos();
                    let refilled = span / rate.interval().as_nanos();
                    let most = u128::from(burst) + refilled;
                    prop_assert!(((last - first + 1) as u128) <= most);
                }
            }
        }
    }
}
