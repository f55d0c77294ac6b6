//! A circuit breaker: what fails again and again is left alone for a while.

use std::time::Duration;

use nebula_core::serde_duration;
use serde::{Deserialize, Serialize};

/// The most outcomes that a breaker looks back on.
pub const MAX_WINDOW: u32 = 64;

/// When a breaker opens, and for how long.
///
/// Defaults: it looks back on 20 outcomes that came within a minute of each other, opens where 10 are
/// there and half of them are bad, for 15 s, twice as long each time that does not help, up to 5 min.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerPolicy {
    /// How many of the last outcomes it looks at, 1 to [`MAX_WINDOW`].
    pub window: u32,
    /// How many outcomes there must be before it judges, 1 to `window`.
    pub min_calls: u32,
    /// Which share of them must be bad, in percent, 1 to 100.
    pub failure_percent: u32,
    /// After this long without an outcome, the earlier ones say nothing more.
    #[serde(with = "serde_duration")]
    pub forget_after: Duration,
    /// How long it is open the first time.
    #[serde(with = "serde_duration")]
    pub cool_down: Duration,
    /// The longest that it is open after a probe that failed.
    #[serde(with = "serde_duration")]
    pub max_cool_down: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            window: 20,
            min_calls: 10,
            failure_percent: 50,
            forget_after: Duration::from_mins(1),
            cool_down: Duration::from_secs(15),
            max_cool_down: Duration::from_mins(5),
        }
    }
}

impl BreakerPolicy {
    /// The first number that is out of its range, by its name, and the range.
    #[must_use]
    pub fn wrong(&self) -> Option<(&'static str, &'static str)> {
        let Self {
            window,
            min_calls,
            failure_percent,
            cool_down,
            max_cool_down,
            ..
        } = self;
        if !(1..=MAX_WINDOW).contains(window) {
            Some(("window", "1 to 64"))
        } else if !(1..=*window).contains(min_calls) {
            Some(("min_calls", "1 to `window`"))
        } else if !(1..=100).contains(failure_percent) {
            Some(("failure_percent", "1 to 100"))
        } else if cool_down.is_zero() {
            Some(("cool_down", "more than nothing"))
        } else if max_cool_down < cool_down {
            Some(("max_cool_down", "at least `cool_down`"))
        } else {
            None
        }
    }
}

/// What one call says about the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does its work.
    Good,
    /// It does not.
    Bad,
    /// Nothing: the call was given up, or never reached it.
    Neither,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// No call passes.
    Open,
    /// One call passes, and its outcome decides.
    HalfOpen,
}

/// What a breaker says of one more call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// It passes.
    Go,
    /// Not before this has passed.
    After(Duration),
    /// Not before the call that tries has ended.
    Probing,
}

/// A call that passed, as its breaker knows it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// What happened to a breaker, for whoever tells people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// It opened, for this long.
    Opened(Duration),
    /// It closed.
    Closed,
}

/// The state machine, without a clock: every call says when it is.
#[derive(Debug)]
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    phase: Phase,
    /// The outcomes of the window, the last one in the lowest bit; a bad one is 1.
    outcomes: u64,
    /// How many of them there are.
    seen: u32,
    last: Duration,
    /// Moves with every change of phase: what began in an earlier one says nothing about this one.
    era: u64,
    /// How long it is open the next time.
    next: Duration,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    Open { until: Duration },
    HalfOpen { probing: bool },
}

impl Breaker {
    pub(crate) fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            phase: Phase::Closed,
            outcomes: 0,
            seen: 0,
            last: Duration::ZERO,
            era: 0,
            next: policy.cool_down,
        }
    }

    /// Whether a call may pass at `now`; changes nothing that a second question would see.
    pub(crate) fn leave(&mut self, now: Duration) -> Leave {
        if let Phase::Open { until } = self.phase
            && now >= until
        {
            self.turn(Phase::HalfOpen { probing: false });
        }
        match self.phase {
            Phase::Closed | Phase::HalfOpen { probing: false } => Leave::Go,
            Phase::Open { until } => Leave::After(until.saturating_sub(now)),
            Phase::HalfOpen { probing: true } => Leave::Probing,
        }
    }

    /// A call passes, after [`leave`](Self::leave) let it.
    pub(crate) fn begin(&mut self) -> Ticket {
        if let Phase::HalfOpen { probing } = &mut self.phase {
            *probing = true;
        }
        Ticket(self.era)
    }

    /// A call that passed has ended.
    pub(crate) fn end(
        &mut self,
        now: Duration,
        ticket: Ticket,
        verdict: Verdict,
    ) -> Option<Turned> {
        if ticket.0 != self.era {
            // It began before the breaker turned: late news of a time that is already judged.
            return None;
        }
        match self.phase {
            Phase::Open { .. } => None,
            Phase::HalfOpen { .. } => match verdict {
                Verdict::Good => {
                    self.next = self.policy.cool_down;
                    (self.outcomes, self.seen) = (0, 0);
                    self.turn(Phase::Closed);
                    Some(Turned::Closed)
                }
                Verdict::Bad => Some(self.open(now)),
                Verdict::Neither => {
                    // The next one tries.
                    self.phase = Phase::HalfOpen { probing: false };
                    None
                }
            },
            Phase::Closed => self.count(now, verdict),
        }
    }

    fn count(&mut self, now: Duration, verdict: Verdict) -> Option<Turned> {
        if verdict == Verdict::Neither {
            return None;
        }
        if now.saturating_sub(self.last) > self.policy.forget_after {
            (self.outcomes, self.seen) = (0, 0);
        }
        self.last = now;
        self.outcomes = (self.outcomes << 1) | u64::from(verdict == Verdict::Bad);
        self.seen = (self.seen + 1).min(self.policy.window);
        let judged = u64::MAX >> (64 - self.seen);
        let bad = (self.outcomes & judged).count_ones();
        let opens = verdict == Verdict::Bad
            && self.seen >= self.policy.min_calls
            && bad * 100 >= self.policy.failure_percent * self.seen;
        opens.then(|| self.open(now))
    }

    fn open(&mut self, now: Duration) -> Turned {
        let open_for = self.next;
        self.next = self.next.saturating_mul(2).min(self.policy.max_cool_down);
        (self.outcomes, self.seen) = (0, 0);
        self.turn(Phase::Open {
            until: now + open_for,
        });
        Turned::Opened(open_for)
    }

    fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.era += 1;
    }

    /// How it stands, and for how much longer it is open.
    pub(crate) fn state(&self, now: Duration) -> (BreakerState, Duration) {
        match self.phase {
            Phase::Closed => (BreakerState::Closed, Duration::ZERO),
            Phase::HalfOpen { .. } => (BreakerState::HalfOpen, Duration::ZERO),
            Phase::Open { until } => match until.checked_sub(now) {
                Some(left) if !left.is_zero() => (BreakerState::Open, left),
                _ => (BreakerState::HalfOpen, Duration::ZERO),
            },
        }
    }

    pub(crate) fn cool_down(&self) -> Duration {
        self.policy.cool_down
    }

    /// Whether a new one would say the same from now on.
    pub(crate) fn is_blank(&self, now: Duration) -> bool {
        let forgotten = self.seen == 0 || now.saturating_sub(self.last) > self.policy.forget_after;
        matches!(self.phase, Phase::Closed) && forgotten
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn breaker() -> Breaker {
        Breaker::new(BreakerPolicy {
            window: 10,
            min_calls: 4,
            failure_percent: 50,
            forget_after: s(60),
            cool_down: s(10),
            max_cool_down: s(30),
        })
    }

    /// Calls that end at once; `.` is good, `x` bad, `-` neither.
    fn calls(breaker: &mut Breaker, now: Duration, outcomes: &str) -> Vec<Turned> {
        let mut turned = Vec::new();
        for outcome in outcomes.chars() {
            assert_eq!(breaker.leave(now), Leave::Go, "{outcomes}");
            let ticket = breaker.begin();
            let verdict = match outcome {
                '.' => Verdict::Good,
                'x' => Verdict::Bad,
                _ => Verdict::Neither,
            };
            turned.extend(breaker.end(now, ticket, verdict));
        }
        turned
    }

    fn check(outcomes: &str, opens: bool) {
        let mut breaker = breaker();
        let turned = calls(&mut breaker, s(1), outcomes);
        let expected: &[Turned] = if opens { &[Turned::Opened(s(10))] } else { &[] };
        assert_eq!(turned, expected, "{outcomes}");
    }

    #[test]
    fn it_opens_when_enough_calls_are_there_and_enough_of_them_are_bad() {
        check("xxx", false);
        check("xxxx", true);
        check("..xx", true);
        check("...xx", false);
        check("xx--", false);
        check("xx--xx", true);
        // A good one never opens it, although half of the last four is bad then.
        check("xxx.x", true);
        // Only the last ten count.
        check("xx..........xxxx", false);
        check("xx..........xxxxx", true);
    }

    #[test]
    fn old_outcomes_say_nothing() {
        let mut breaker = breaker();
        assert_eq!(calls(&mut breaker, s(1), "xxx"), []);
        assert!(!breaker.is_blank(s(61)));
        assert!(breaker.is_blank(s(62)));
        assert_eq!(calls(&mut breaker, s(62), "xxx"), []);
        assert_eq!(calls(&mut breaker, s(62), "x").len(), 1);
    }

    #[test]
    fn one_call_tries_after_the_cool_down() {
        let mut breaker = breaker();
        calls(&mut breaker, s(1), "xxxx");
        assert_eq!(breaker.leave(s(4)), Leave::After(s(7)));
        assert_eq!(breaker.state(s(4)), (BreakerState::Open, s(7)));
        assert_eq!(breaker.state(s(11)).0, BreakerState::HalfOpen);
        assert_eq!(breaker.leave(s(11)), Leave::Go);
        let probe = breaker.begin();
        assert_eq!(breaker.leave(s(11)), Leave::Probing);
        assert_eq!(
            breaker.end(s(12), probe, Verdict::Good),
            Some(Turned::Closed)
        );
        assert_eq!(breaker.leave(s(12)), Leave::Go);
        // What made it open is forgotten.
        assert_eq!(calls(&mut breaker, s(12), "xxx"), []);
    }

    #[test]
    fn a_probe_that_fails_opens_it_for_longer_up_to_the_maximum() {
        let mut breaker = breaker();
        calls(&mut breaker, s(0), "xxxx");
        let mut now = s(10);
        for open_for in [20, 30, 30] {
            assert_eq!(calls(&mut breaker, now, "x"), [Turned::Opened(s(open_for))]);
            now += s(open_for);
        }
        assert_eq!(calls(&mut breaker, now, "."), [Turned::Closed]);
        assert_eq!(calls(&mut breaker, now, "xxxx"), [Turned::Opened(s(10))]);
    }

    #[test]
    fn a_probe_that_says_nothing_leaves_its_place_to_the_next() {
        let mut breaker = breaker();
        calls(&mut breaker, s(0), "xxxx");
        assert_eq!(calls(&mut breaker, s(10), "-"), []);
        assert_eq!(breaker.leave(s(10)), Leave::Go);
    }

    #[test]
    fn what_began_before_it_turned_decides_nothing() {
        let mut breaker = breaker();
        let early = breaker.begin();
        calls(&mut breaker, s(0), "xxxx");
        assert_eq!(breaker.leave(s(10)), Leave::Go);
        let probe = breaker.begin();
        assert_eq!(breaker.end(s(10), early, Verdict::Good), None);
        assert_eq!(breaker.leave(s(10)), Leave::Probing);
        assert_eq!(
            breaker.end(s(10), probe, Verdict::Good),
            Some(Turned::Closed)
        );
        assert_eq!(breaker.end(s(10), probe, Verdict::Bad), None);
        assert_eq!(breaker.seen, 0);
    }

    #[test]
    fn wrong_numbers_are_named() {
        let right = BreakerPolicy::default();
        let wrong = |policy: BreakerPolicy| policy.wrong().map(|(name, _)| name);
        assert_eq!(wrong(right), None);
        assert_eq!(
            wrong(BreakerPolicy {
                window: 65,
                ..right
            }),
            Some("window")
        );
        assert_eq!(wrong(BreakerPolicy { window: 0, ..right }), Some("window"));
        assert_eq!(
            wrong(BreakerPolicy {
                min_calls: 21,
                ..right
            }),
            Some("min_calls")
        );
        assert_eq!(
            wrong(BreakerPolicy {
                min_calls: 0,
                ..right
            }),
            Some("min_calls")
        );
        let percent = |failure_percent| BreakerPolicy {
            failure_percent,
            ..right
        };
        assert_eq!(wrong(percent(0)), Some("failure_percent"));
        assert_eq!(wrong(percent(101)), Some("failure_percent"));
        assert_eq!(
            wrong(BreakerPolicy {
                cool_down: s(0),
                ..right
            }),
            Some("cool_down")
        );
        assert_eq!(
            wrong(BreakerPolicy {
                cool_down: s(301),
                ..right
            }),
            Some("max_cool_down")
        );
    }

    proptest! {
        /// Against any order of questions, beginnings and ends: while it is open nobody passes, while it
        /// tries at most one does, and what nobody fails never opens it.
        #[test]
        fn it_lets_pass_what_its_state_says(
            window in 1_u32..=64,
            min_calls in 1_u32..=64,
            percent in 1_u32..=100,
            steps in proptest::collection::vec((0_u8..8, 0_u64..5_000), 1..300),
        ) {
            let mut breaker = Breaker::new(BreakerPolicy {
                window,
                min_calls: min_calls.min(window),
                failure_percent: percent,
                ..BreakerPolicy::default()
            });
            let (mut now, mut out) = (Duration::ZERO, Vec::new());
            let (mut bad, mut probes) = (false, 0_u32);
            for (what, millis) in steps {
                now += Duration::from_millis(millis);
                let (before, left) = breaker.state(now);
                match (what, out.pop()) {
                    (0..=3, last) => {
                        out.extend(last);
                        let leave = breaker.leave(now);
                        match before {
                            BreakerState::Closed => prop_assert_eq!(leave, Leave::Go),
                            BreakerState::Open => prop_assert_eq!(leave, Leave::After(left)),
                            BreakerState::HalfOpen => {
                                prop_assert_eq!(leave == Leave::Go, probes == 0);
                            }
                        }
                        if leave == Leave::Go {
                            let ticket = breaker.begin();
                            let probe = before == BreakerState::HalfOpen;
                            probes += u32::from(probe);
                            out.push((ticket, probe));
                        }
                    }
                    (_, None) => {}
                    (what, Some((ticket, probe))) => {
                        let verdict = [Verdict::Good, Verdict::Bad, Verdict::Neither][usize::from(what) % 3];
                        bad |= verdict == Verdict::Bad;
                        probes -= u32::from(probe);
                        let turned = breaker.end(now, ticket, verdict);
                        if let Some(Turned::Opened(open_for)) = turned {
                            prop_assert!(bad && verdict == Verdict::Bad);
                            prop_assert!(open_for >= breaker.policy.cool_down);
                            prop_assert!(open_for <= breaker.policy.max_cool_down);
                            prop_assert_eq!(breaker.state(now), (BreakerState::Open, open_for));
                        }
                    }
                }
                prop_assert!(probes <= 1);
            }
        }
    }
}
