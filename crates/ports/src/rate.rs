//! Rates: how often executions may begin, kept as one moment for each key.
//!
//! A rate is a bucket of tokens, told by the moment at which it is full again. A start takes a token,
//! which moves that moment by one interval; a moment that has passed says nothing more, so a store
//! forgets it. The rule is known as the generic cell rate algorithm (ITU-T I.371).

use std::time::Duration;

use nebula_core::Timestamp;
use nebula_execution::StartRate;

use crate::{ErrorKind, PortError, Result};

/// The most bytes of the name of a rate.
pub const MAX_RATE_NAME: usize = 256;

/// The most tokens of a bucket, and the most that come back in one span of time.
pub const MAX_RATE_LIMIT: u32 = 1_000_000;

/// The longest span of time of a rate.
pub const MAX_RATE_SPAN: Duration = Duration::from_hours(31 * 24);

/// The bucket of a tenant; those of workflows have `rate/` before their names.
const TENANT_KEY: &str = "tenant/starts";

const MICROS: i64 = 1_000;

/// How often executions may begin that name the same key; of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    key: String,
    /// Microseconds from one token to the next, at least 1.
    interval: i64,
    /// How many may begin at once, at least 1.
    burst: u32,
    max_waiting: u32,
}

/// When a bucket is full again, in microseconds since the epoch; that of a full one is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FullAt(pub i64);

impl FullAt {
    /// Whether the bucket is full at `now`.
    #[must_use]
    pub fn is_past(self, now: Timestamp) -> bool {
        self.0 <= micros(now)
    }
}

/// What a rate says of one more start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateTurn {
    /// It begins now.
    Now {
        /// When the bucket is full again, with it.
        full_at: FullAt,
    },
    /// It begins later.
    Later {
        /// When the bucket is full again, with it.
        full_at: FullAt,
        /// When it begins.
        begins_at: Timestamp,
        /// How many wait before it.
        ahead: u32,
    },
    /// It would have to wait, and no more may.
    Full {
        /// How many wait.
        waiting: u32,
        /// When there is room again, from now.
        try_after: Duration,
    },
}

impl Rate {
    /// What a store compares with, from what a plan says.
    ///
    /// # Errors
    /// `Invalid`: the key is empty or too long, or a number is out of its range: limit and burst from
    /// 1 to [`MAX_RATE_LIMIT`], the span from a microsecond for each token to [`MAX_RATE_SPAN`].
    pub fn of_start(start: &StartRate) -> Result<Self> {
        let StartRate {
            key,
            limit,
            per,
            burst,
            max_waiting,
        } = start;
        if key.is_empty() || key.len() > MAX_RATE_NAME {
            let bytes = key.len();
            return Err(invalid(format!(
                "the key of a rate has {bytes} bytes; it has from 1 to {MAX_RATE_NAME}"
            )));
        }
        for (what, number) in [("limit", *limit), ("burst", *burst)] {
            if !(1..=MAX_RATE_LIMIT).contains(&number) {
                return Err(invalid(format!(
                    "a rate has the {what} {number}; it is from 1 to {MAX_RATE_LIMIT}"
                )));
            }
        }
        let span = i64::try_from(per.as_micros()).unwrap_or(i64::MAX);
        if *per > MAX_RATE_SPAN || span < i64::from(*limit) {
            return Err(invalid(format!(
                "a rate has {limit} tokens in {per:?}; each takes a microsecond at least, all together 31 days at most"
            )));
        }
        // Rounded up: rather a little slower than one too many.
        let interval = (span + i64::from(*limit) - 1) / i64::from(*limit);
        Ok(Self {
            key: key.clone(),
            interval,
            burst: *burst,
            max_waiting: *max_waiting,
        })
    }

    /// How often executions of a tenant may begin, all workflows together: `starts` in a second, as many at
    /// once after a pause, and none waits. Its key is that of no workflow's rate.
    ///
    /// # Errors
    /// `Invalid`: it is none, or more than [`MAX_RATE_LIMIT`].
    pub fn of_tenant(starts: u32) -> Result<Self> {
        Self::of_start(&StartRate {
            key: TENANT_KEY.to_owned(),
            limit: starts,
            per: Duration::from_secs(1),
            burst: starts,
            max_waiting: 0,
        })
    }

    /// The name.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The same for a start that is never refused.
    #[must_use]
    pub fn never_full(self) -> Self {
        let max_waiting = u32::MAX;
        Self {
            max_waiting,
            ..self
        }
    }

    /// What becomes of one more start at `now`, where the bucket is full again at `full_at`.
    #[must_use]
    pub fn take(&self, full_at: Option<FullAt>, now: Timestamp) -> RateTurn {
        let now_micros = micros(now);
        let full_at = full_at.map_or(now_micros, |FullAt(at)| at.max(now_micros));
        let before_full = i64::from(self.burst - 1).saturating_mul(self.interval);
        let wait = full_at
            .saturating_sub(before_full)
            .saturating_sub(now_micros);
        let taken = FullAt(full_at.saturating_add(self.interval));
        if wait <= 0 {
            return RateTurn::Now { full_at: taken };
        }
        let ahead = (wait - 1) / self.interval;
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        if ahead >= self.max_waiting {
            let room = i64::from(self.max_waiting).saturating_mul(self.interval);
            return RateTurn::Full {
                waiting: ahead,
                try_after: Duration::from_millis(millis_up(wait - room).unsigned_abs()),
            };
        }
        RateTurn::Later {
            full_at: taken,
            begins_at: Timestamp::from_millis(millis_up(now_micros.saturating_add(wait))),
            ahead,
        }
    }
}

fn micros(at: Timestamp) -> i64 {
    at.as_millis().saturating_mul(MICROS)
}

/// Rounded up: nothing begins early.
fn millis_up(micros: i64) -> i64 {
    micros.saturating_add(MICROS - 1).div_euclid(MICROS)
}

fn invalid(message: String) -> PortError {
    PortError::new(ErrorKind::Invalid, "ports", "name a rate", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Timestamp = Timestamp::from_millis(1_000_000);

    fn rate(limit: u32, per: Duration, burst: u32, max_waiting: u32) -> Rate {
        let start = StartRate {
            key: "k".to_owned(),
            limit,
            per,
            burst,
            max_waiting,
        };
        Rate::of_start(&start).unwrap()
    }

    /// Takes tokens at these milliseconds after the epoch: after how many each start begins.
    fn begins(rate: &Rate, at: &[i64]) -> Vec<Result<i64, u64>> {
        let mut full_at = None;
        let mut begun = Vec::new();
        for at in at {
            let now = Timestamp::from_millis(EPOCH.as_millis() + at);
            begun.push(match rate.take(full_at, now) {
                RateTurn::Now { full_at: taken } => {
                    full_at = Some(taken);
                    Ok(*at)
                }
                RateTurn::Later {
                    full_at: taken,
                    begins_at,
                    ..
                } => {
                    full_at = Some(taken);
                    Ok(begins_at.as_millis() - EPOCH.as_millis())
                }
                RateTurn::Full { try_after, .. } => {
                    Err(u64::try_from(try_after.as_millis()).unwrap())
                }
            });
        }
        begun
    }

    #[test]
    fn a_full_bucket_lets_its_burst_begin_and_then_one_per_interval() {
        let three = rate(3, Duration::from_secs(3), 2, 9);
        assert_eq!(
            begins(&three, &[0, 0, 0, 0, 500]),
            [Ok(0), Ok(0), Ok(1_000), Ok(2_000), Ok(3_000)]
        );
        // What was not used comes back, up to the burst.
        assert_eq!(
            begins(&three, &[0, 0, 9_000, 9_000, 9_000]),
            [Ok(0), Ok(0), Ok(9_000), Ok(9_000), Ok(10_000)]
        );
    }

    #[test]
    fn a_start_that_is_refused_takes_nothing_and_may_come_when_it_is_told() {
        let one = rate(1, Duration::from_secs(10), 1, 0);
        assert_eq!(
            begins(&one, &[0, 1, 9_999, 10_000, 10_000]),
            [Ok(0), Err(9_999), Err(1), Ok(10_000), Err(10_000)]
        );
        let queued = rate(1, Duration::from_secs(10), 1, 2);
        assert_eq!(
            begins(&queued, &[0, 0, 0, 0, 9_999, 10_000]),
            [
                Ok(0),
                Ok(10_000),
                Ok(20_000),
                Err(10_000),
                Err(1),
                Ok(30_000)
            ]
        );
    }

    #[test]
    fn an_interval_is_rounded_up_and_so_is_a_beginning() {
        // 142,857.142… microseconds: in one second never more than seven.
        let seven = rate(7, Duration::from_secs(1), 1, 99);
        let begun = begins(&seven, &[0; 9]);
        assert_eq!(begun[1], Ok(143));
        assert_eq!(begun[7], Ok(1_001));
        // A million a second are a thousand in a millisecond.
        let fast = rate(1_000_000, Duration::from_secs(1), 1, 2_000);
        let begun = begins(&fast, &[0; 1_002]);
        assert_eq!(
            (begun[1], begun[1_000], begun[1_001]),
            (Ok(1), Ok(1), Ok(2))
        );
    }

    #[test]
    fn the_largest_numbers_stay_in_their_range() {
        let slow = rate(1, MAX_RATE_SPAN, MAX_RATE_LIMIT, 10_000).never_full();
        let far = Some(FullAt(i64::MAX - 1));
        let turn = slow.take(far, EPOCH);
        assert!(matches!(turn, RateTurn::Later { .. }), "{turn:?}");
        assert!(!FullAt(i64::MAX).is_past(EPOCH));
        assert!(FullAt(0).is_past(EPOCH));
    }

    #[test]
    fn an_impossible_rate_is_refused() {
        let hour = Duration::from_hours(1);
        let long = "x".repeat(MAX_RATE_NAME + 1);
        for (key, limit, per, burst) in [
            ("", 1, hour, 1),
            (long.as_str(), 1, hour, 1),
            ("k", 0, hour, 1),
            ("k", 1, hour, 0),
            ("k", MAX_RATE_LIMIT + 1, hour, 1),
            ("k", 1, Duration::ZERO, 1),
            ("k", 1_001, Duration::from_millis(1), 1),
            ("k", 1, MAX_RATE_SPAN + Duration::from_millis(1), 1),
        ] {
            let start = StartRate {
                key: key.to_owned(),
                limit,
                per,
                burst,
                max_waiting: 0,
            };
            let refused = Rate::of_start(&start).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Invalid);
            assert!(!refused.message.contains("xxx"), "{refused}");
        }
    }
}
