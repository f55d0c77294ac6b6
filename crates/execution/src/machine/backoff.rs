//! How long a retry waits.

use std::time::Duration;

use nebula_workflow::{Backoff, Jitter, RetryPolicy};

/// The longest wait that an error may ask for by itself, whatever the policy's `max` is: whoever was
/// asked knows best when to ask again, and a wait without end is none.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// How long to wait after the `failures`-th failed attempt, whose error asked for `after`.
pub(super) fn delay_after(
    policy: &RetryPolicy,
    failures: u32,
    seed: u64,
    after: Option<Duration>,
) -> Duration {
    let asked = after.unwrap_or(Duration::ZERO).min(MAX_RETRY_AFTER);
    delay(policy, failures, seed).max(asked)
}

/// How long to wait after the `failures`-th failed attempt.
fn delay(policy: &RetryPolicy, failures: u32, seed: u64) -> Duration {
    let initial = u64::try_from(policy.initial.as_millis()).unwrap_or(u64::MAX);
    let max = u64::try_from(policy.max.as_millis()).unwrap_or(u64::MAX);
    let millis = match policy.backoff {
        Backoff::Fixed => initial,
        Backoff::Linear => initial.saturating_mul(u64::from(failures)),
        Backoff::Exponential => {
            initial.saturating_mul(1_u64.checked_shl(failures - 1).unwrap_or(u64::MAX))
        }
    };
    let millis = millis.min(max);
    Duration::from_millis(match policy.jitter {
        Jitter::None => millis,
        // The instance's seed spreads what failed together; a replay spreads it the same way.
        Jitter::Full => mix(seed ^ u64::from(failures)) % millis.saturating_add(1).max(1),
    })
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

    use super::*;

    fn check(backoff: Backoff, failures: u32, millis: u64) {
        let policy = RetryPolicy {
            max_attempts: 9,
            backoff,
            initial: Duration::from_millis(200),
            max: Duration::from_secs(30),
            jitter: Jitter::None,
        };
        assert_eq!(delay(&policy, failures, 0), Duration::from_millis(millis));
        let spread = delay(
            &RetryPolicy {
                jitter: Jitter::Full,
                ..policy
            },
            failures,
            7,
        );
        assert!(spread <= Duration::from_millis(millis));
    }

    #[test]
    fn what_an_error_asks_for_counts_where_it_is_longer() {
        let policy = RetryPolicy {
            max_attempts: 9,
            backoff: Backoff::Fixed,
            initial: Duration::from_secs(10),
            max: Duration::from_secs(30),
            jitter: Jitter::None,
        };
        let check = |after: Option<u64>, seconds: u64| {
            let delay = delay_after(&policy, 1, 0, after.map(Duration::from_secs));
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
    fn full_jitter_spreads_instances_and_their_failures() {
        let policy = RetryPolicy {
            max_attempts: 9,
            backoff: Backoff::Fixed,
            initial: Duration::from_secs(30),
            max: Duration::from_secs(30),
            jitter: Jitter::Full,
        };
        // A seed whose low bits are those of the failures' numbers.
        let delays: BTreeSet<_> = (1..=4)
            .map(|failures| delay(&policy, failures, 7))
            .collect();
        assert_eq!(delays.len(), 4);
        let delays: BTreeSet<_> = (0..100).map(|seed| delay(&policy, 1, seed)).collect();
        assert!(delays.len() > 90);
    }
}
