//! How attempts end: results, retries, unknown outcomes.

use std::time::Duration;

use nebula_action::{ActionError, EffectClass, ErrorClass};
use nebula_core::Timestamp;
use nebula_workflow::{Backoff, Jitter, OnError, OnIndeterminate, RetryPolicy};

use super::{Key, Machine, Turn};
use crate::{Fact, InstanceId, ItemOutcome, Outcome, Taken};

impl Machine {
    pub(super) fn finished(
        &mut self,
        instance: InstanceId,
        outcome: Outcome,
        micros: u64,
        turn: &mut Turn,
    ) {
        let key = self.key(&instance);
        let Some(flight) = self.flights.remove(&key) else {
            // The node gave up on this attempt before it ended.
            return;
        };
        match outcome {
            Outcome::Succeeded {
                output,
                port,
                lineage,
                taken,
            } => {
                let quiet = key.2.is_some() && !self.plan.node(key.0).effect.writes();
                if quiet {
                    self.item_ended(key, ItemOutcome::Ok(output), turn);
                    return;
                }
                let attempt = flight.attempt.max(1);
                let fact = Fact::AttemptSucceeded {
                    instance,
                    attempt,
                    output,
                    port,
                    lineage,
                    taken,
                    micros,
                };
                self.note(fact, turn);
                if key.2.is_some() {
                    self.item_done((key.0, key.1), turn);
                }
            }
            Outcome::Failed { error, taken } => {
                let aborted = self.state.ending().is_some() || self.items_failed(key);
                if aborted && error.class == ErrorClass::Cancelled && !flight.journalled {
                    // Nothing of it is in the journal, and nothing needs to be.
                    self.released(key, turn);
                    return;
                }
                self.failed(key, flight.attempt.max(1), error, taken, turn);
            }
        }
    }

    /// An attempt ended with an error: again, indeterminate, or final.
    fn failed(
        &mut self,
        key: Key,
        attempt: u32,
        error: ActionError,
        taken: Taken,
        turn: &mut Turn,
    ) {
        let node = self.plan.node(key.0);
        let instance = self.instance(key);
        let unknown = matches!(error.class, ErrorClass::Unknown | ErrorClass::Timeout);
        let at_most_once = node.effect == EffectClass::AtMostOnce;
        if unknown && at_most_once && node.on_indeterminate == OnIndeterminate::Park {
            self.note(
                Fact::AttemptIndeterminate {
                    instance,
                    attempt,
                    error,
                },
                turn,
            );
            self.released(key, turn);
            return;
        }
        let retry_at = self.retry_at(key, &error, turn.at);
        let last = retry_at.is_none();
        let quiet = key.2.is_some() && !node.effect.writes() && node.on_error == OnError::Continue;
        if last && quiet && self.attempts(key) == 0 {
            self.item_ended(key, ItemOutcome::Error(error), turn);
            return;
        }
        self.note(
            Fact::AttemptFailed {
                instance,
                attempt,
                error,
                retry_at,
                counts: true,
                taken,
            },
            turn,
        );
        if let Some(due) = retry_at {
            self.timers.insert((due, key));
        } else if key.2.is_some() {
            self.item_done((key.0, key.1), turn);
        }
    }

    /// When the next attempt may begin; `None` if there is none.
    fn retry_at(&self, key: Key, error: &ActionError, at: Timestamp) -> Option<Timestamp> {
        if self.state.ending().is_some() || self.items_failed(key) {
            return None;
        }
        let node = self.plan.node(key.0);
        let activation = self.state.activation(key.0, key.1)?;
        if key.2.is_none() && activation.items.is_some() {
            // Items are tried again one by one, never the whole list.
            return None;
        }
        let failures = match (key.2, &activation.items) {
            (Some(item), Some(items)) => items.open.get(&item).map_or(0, |open| open.failures),
            _ => activation.failures,
        } + 1;
        let at_most_once = node.effect == EffectClass::AtMostOnce;
        let (again, after) = match &error.class {
            ErrorClass::Retryable { after } => (true, *after),
            ErrorClass::Unknown | ErrorClass::Timeout => (
                !at_most_once || node.on_indeterminate == OnIndeterminate::Retry,
                None,
            ),
            _ => (false, None),
        };
        if !again || failures >= node.retry.max_attempts {
            return None;
        }
        let seed = self.seed(&self.instance(key));
        let delay = delay(&node.retry, failures, seed).max(after.unwrap_or(Duration::ZERO));
        Some(at.plus(delay))
    }
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
    fn delays_grow_as_the_policy_says_and_stay_under_its_maximum() {
        check(Backoff::Fixed, 5, 200);
        check(Backoff::Linear, 3, 600);
        check(Backoff::Exponential, 1, 200);
        check(Backoff::Exponential, 4, 1_600);
        check(Backoff::Exponential, 90, 30_000);
    }
}
