//! How many calls each of many callers may make.

use std::{collections::HashMap, hash::Hash, time::Duration};

use parking_lot::Mutex;

use crate::CallRate;

/// The most callers that are remembered: beyond, the one whose bucket is full first is forgotten.
pub const MAX_CALLERS: usize = 10_000;

/// A bucket of [`CallRate::burst`] tokens for each caller, told by the moment at which it is full again
/// (the generic cell rate algorithm, ITU-T I.371). A full one is not remembered.
#[derive(Debug)]
pub struct Quotas<K> {
    rate: Mutex<CallRate>,
    full_at: Mutex<HashMap<K, Duration>>,
}

/// What a caller has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// How many calls may be made at once now.
    pub calls: u32,
    /// How long from now until the bucket is full, if nobody calls.
    pub full_in: Duration,
}

/// What became of one more call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Counted {
    /// It may be made, and has taken a token.
    Passes(Left),
    /// There is no token; nothing was taken. There is one after this span of time.
    Refused(Left, Duration),
}

impl<K: Eq + Hash + Clone> Quotas<K> {
    /// Full buckets; numbers of the rate that are [wrong](CallRate::wrong) are taken for 1.
    #[must_use]
    pub fn new(rate: CallRate) -> Self {
        Self {
            rate: Mutex::new(rate),
            full_at: Mutex::default(),
        }
    }

    /// The rate of each caller.
    #[must_use]
    pub fn rate(&self) -> CallRate {
        *self.rate.lock()
    }

    /// Another rate from now on. What a caller has taken comes back when it would have by the rate before.
    pub fn set_rate(&self, rate: CallRate) {
        *self.rate.lock() = rate;
    }

    /// One more call of `caller` at `now`, by a clock that does not go back.
    pub fn count(&self, caller: &K, now: Duration) -> Counted {
        let rate = self.rate();
        let (interval, burst) = (rate.interval(), rate.burst.max(1));
        let mut all = self.full_at.lock();
        let full_at = all.get(caller).copied().unwrap_or(now).max(now);
        // The first token is there as soon as all but one interval of the bucket has come back.
        let first = full_at.saturating_sub(interval * (burst - 1));
        if first > now {
            let full_in = full_at - now;
            return Counted::Refused(Left { calls: 0, full_in }, first - now);
        }
        let full_at = full_at + interval;
        if all.len() >= MAX_CALLERS && !all.contains_key(caller) {
            make_room(&mut all, now);
        }
        all.insert(caller.clone(), full_at);
        let full_in = full_at - now;
        let taken = full_in.as_nanos().div_ceil(interval.as_nanos());
        let calls = burst - u32::try_from(taken).unwrap_or(burst).min(burst);
        Counted::Passes(Left { calls, full_in })
    }
}

/// Forgets whoever has a full bucket, else the one that is full first.
fn make_room<K: Eq + Hash + Clone>(all: &mut HashMap<K, Duration>, now: Duration) {
    all.retain(|_, full_at| *full_at > now);
    if all.len() >= MAX_CALLERS {
        let first = all.iter().min_by_key(|(_, full_at)| **full_at);
        if let Some(first) = first.map(|(caller, _)| caller.clone()) {
            all.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Ten calls a second, three at once.
    fn quotas<K: Eq + Hash + Clone>() -> Quotas<K> {
        Quotas::new(CallRate {
            limit: 10,
            per: ms(1_000),
            burst: 3,
        })
    }

    fn passes(calls: u32, full_in: u64) -> Counted {
        let full_in = ms(full_in);
        Counted::Passes(Left { calls, full_in })
    }

    fn refused(full_in: u64, after: u64) -> Counted {
        let (calls, full_in) = (0, ms(full_in));
        Counted::Refused(Left { calls, full_in }, ms(after))
    }

    #[test]
    fn another_rate_holds_from_the_next_call_on() {
        let quotas = quotas();
        for _ in 0..3 {
            let _ = quotas.count(&"ada", ms(0));
        }
        // Full again at 300 ms, as it was; the last token of ten times the rate is there 10 ms before.
        quotas.set_rate(CallRate {
            limit: 100,
            per: ms(1_000),
            burst: 2,
        });
        assert_eq!(quotas.rate().limit, 100);
        assert_eq!(quotas.count(&"ada", ms(0)), refused(300, 290));
        assert_eq!(quotas.count(&"ada", ms(290)), passes(0, 20));
    }

    #[test]
    fn a_caller_is_told_what_is_left_and_when_there_is_more() {
        let quotas = quotas();
        for (now, expected) in [
            (0, passes(2, 100)),
            (0, passes(1, 200)),
            (0, passes(0, 300)),
            (0, refused(300, 100)),
            (99, refused(201, 1)),
            // What is refused takes nothing.
            (100, passes(0, 300)),
            (250, passes(0, 250)),
            (1_000, passes(2, 100)),
        ] {
            assert_eq!(quotas.count(&"ada", ms(now)), expected, "{now}");
        }
    }

    #[test]
    fn callers_take_nothing_of_each_other() {
        let quotas = quotas();
        for _ in 0..9 {
            let _ = quotas.count(&"ada", ms(0));
        }
        assert_eq!(quotas.count(&"ada", ms(0)), refused(300, 100));
        assert_eq!(quotas.count(&"bob", ms(0)), passes(2, 100));
    }

    #[test]
    fn so_many_callers_are_remembered_and_no_more() {
        let quotas = quotas();
        for caller in 0..MAX_CALLERS {
            let _ = quotas.count(&caller, ms(caller as u64 / 1_000));
        }
        // The first ones have full buckets by then.
        let _ = quotas.count(&MAX_CALLERS, ms(105));
        assert!(quotas.full_at.lock().len() < MAX_CALLERS);
        let late = (0..=MAX_CALLERS).map(|caller| caller + MAX_CALLERS);
        for caller in late {
            let _ = quotas.count(&caller, ms(105));
            assert!(quotas.full_at.lock().len() <= MAX_CALLERS);
        }
        // The newest is known: it has taken one.
        assert_eq!(quotas.count(&(2 * MAX_CALLERS), ms(105)), passes(1, 200));
    }
}
