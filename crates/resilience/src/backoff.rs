//! How often something is tried again, and how long that waits.

use std::time::Duration;

use nebula_core::serde_duration;
use serde::{Deserialize, Serialize};

/// The longest wait that an error may ask for by itself, whatever the policy's `max` is: whoever was
/// asked knows best when to ask again, and a wait without end is none.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// How often and after which delays a failed attempt is made again.
///
/// Defaults: 3 attempts, exponential from 1 s up to 30 s, full jitter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct RetryPolicy {
    /// All attempts together, the first one included; 1 to [`RetryPolicy::MAX_ATTEMPTS`].
    pub max_attempts: u32,
    /// How the delay grows from attempt to attempt.
    pub backoff: Backoff,
    /// The delay before the second attempt.
    #[serde(with = "serde_duration")]
    pub initial: Duration,
    /// No delay is longer than this.
    #[serde(with = "serde_duration")]
    pub max: Duration,
    /// How the delays of many callers are spread.
    pub jitter: Jitter,
}

impl RetryPolicy {
    /// The most attempts that may be asked for.
    pub const MAX_ATTEMPTS: u32 = 1_000;

    /// One attempt, and no other.
    #[must_use]
    pub fn once() -> Self {
        Self {
            max_attempts: 1,
            ..Self::default()
        }
    }

    /// How long to wait after the `failures`-th failed attempt, counted from 1, whose error asked for
    /// `after`. The same seed and number give the same delay.
    ///
    /// What was asked for counts where it is longer, up to [`MAX_RETRY_AFTER`].
    #[must_use]
    pub fn delay_after(&self, failures: u32, seed: u64, after: Option<Duration>) -> Duration {
        let asked = after.unwrap_or(Duration::ZERO).min(MAX_RETRY_AFTER);
        self.delay(failures, seed).max(asked)
    }

    /// How long to wait after the `failures`-th failed attempt.
    fn delay(&self, failures: u32, seed: u64) -> Duration {
        let initial = u64::try_from(self.initial.as_millis()).unwrap_or(u64::MAX);
        let max = u64::try_from(self.max.as_millis()).unwrap_or(u64::MAX);
        let millis = match self.backoff {
            Backoff::Fixed => initial,
            Backoff::Linear => initial.saturating_mul(u64::from(failures)),
            Backoff::Exponential => {
                let doublings = failures.saturating_sub(1);
                initial.saturating_mul(1_u64.checked_shl(doublings).unwrap_or(u64::MAX))
            }
        };
        let millis = millis.min(max);
        Duration::from_millis(match self.jitter {
            Jitter::None => millis,
            // The caller's seed spreads what failed together; a replay spreads it the same way.
            Jitter::Full => mix(seed ^ u64::from(failures)) % millis.saturating_add(1).max(1),
        })
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: Backoff::Exponential,
            initial: Duration::from_secs(1),
            max: Duration::from_secs(30),
            jitter: Jitter::Full,
        }
    }
}

/// How the delay between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// Always the initial delay.
    Fixed,
    /// The initial delay once more for each attempt.
    Linear,
    /// Twice the last delay.
    #[default]
    Exponential,
}

/// How delays are spread, so that what failed together does not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// The delay as computed.
    None,
    /// A random time between zero and the delay.
    #[default]
    Full,
}

/// SplitMix64's finaliser: spreads the bits of a seed (Steele, Lea, Flood 2014).
fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn policy(backoff: Backoff, jitter: Jitter) -> RetryPolicy {
        RetryPolicy {
            max_attempts: 9,
            backoff,
            initial: Duration::from_millis(200),
            max: Duration::from_secs(30),
            jitter,
        }
    }

    fn check(backoff: Backoff, failures: u32, millis: u64) {
        let delay = policy(backoff, Jitter::None).delay(failures, 0);
        assert_eq!(delay, Duration::from_millis(millis));
        assert!(policy(backoff, Jitter::Full).delay(failures, 7) <= delay);
    }

    #[test]
    fn what_an_error_asks_for_counts_where_it_is_longer() {
        let policy = RetryPolicy {
            initial: Duration::from_secs(10),
            ..policy(Backoff::Fixed, Jitter::None)
        };
        let check = |after: Option<u64>, seconds: u64| {
            let delay = policy.delay_after(1, 0, after.map(Duration::from_secs));
            assert_eq!(delay, Duration::from_secs(seconds));
        };
        check(None, 10);
        check(Some(5), 10);
        check(Some(3_600), 3_600);
        check(Some(u64::MAX), 24 * 3_600);
    }

    #[test]
    fn delays_grow_as_the_policy_says_and_stay_under_its_maximum() {
        check(Backoff::Fixed, 5, 200);
        check(Backoff::Linear, 3, 600);
        check(Backoff::Exponential, 1, 200);
        check(Backoff::Exponential, 4, 1_600);
        check(Backoff::Exponential, 90, 30_000);
    }

    #[test]
    fn full_jitter_spreads_callers_and_their_failures() {
        let policy = RetryPolicy {
            initial: Duration::from_secs(30),
            ..policy(Backoff::Fixed, Jitter::Full)
        };
        // A seed whose low bits are those of the failures' numbers.
        let delays: BTreeSet<_> = (1..=4).map(|failures| policy.delay(failures, 7)).collect();
        assert_eq!(delays.len(), 4);
        let delays: BTreeSet<_> = (0..100).map(|seed| policy.delay(1, seed)).collect();
        assert!(delays.len() > 90);
    }

    proptest! {
        #[test]
        fn no_delay_is_longer_than_its_policy_or_what_was_asked(
            initial in 0_u64..10_000_000,
            max in 0_u64..10_000_000,
            failures in 0_u32..2_000,
            seed: u64,
            after in proptest::option::of(0_u64..200_000_000),
            kind in 0..3_u8,
            jitter: bool,
        ) {
            let policy = RetryPolicy {
                max_attempts: 9,
                backoff: [Backoff::Fixed, Backoff::Linear, Backoff::Exponential][usize::from(kind)],
                initial: Duration::from_millis(initial),
                max: Duration::from_millis(max),
                jitter: if jitter { Jitter::Full } else { Jitter::None },
            };
            let after = after.map(Duration::from_millis);
            let delay = policy.delay_after(failures, seed, after);
            let asked = after.unwrap_or_default().min(MAX_RETRY_AFTER);
            prop_assert!(delay >= asked);
            prop_assert!(delay <= policy.max.max(asked));
            prop_assert_eq!(delay, policy.delay_after(failures, seed, after));
        }
    }
}
