//! One gate: what every call to one destination passes.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use nebula_core::Clock;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{
    MAX_RETRY_AFTER,
    breaker::{Breaker, BreakerPolicy, BreakerState, Leave, Ticket, Turned, Verdict},
    bucket::{Bucket, CallRate, RateState},
};

/// How many wait before one gate at most, unless a policy says another number.
pub const DEFAULT_WAITING: u32 = 256;

/// What is told to come later where nobody knows how long a place is taken.
pub const COME_AGAIN: Duration = Duration::from_secs(1);

/// What one gate watches. `None` watches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatePolicy {
    /// Leaves alone what fails.
    pub breaker: Option<BreakerPolicy>,
    /// How many calls may pass in a span of time.
    pub rate: Option<CallRate>,
    /// The bulkhead: how many calls may be under way; 0 counts as 1.
    pub concurrency: Option<u32>,
    /// How many may wait; whoever comes then is told to come later.
    pub max_waiting: u32,
}

impl Default for GatePolicy {
    /// Watches nothing; [`DEFAULT_WAITING`].
    fn default() -> Self {
        Self {
            breaker: None,
            rate: None,
            concurrency: None,
            max_waiting: DEFAULT_WAITING,
        }
    }
}

/// Why a call did not pass a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The breaker is open, or waits for the call that tries.
    BreakerOpen,
    /// The other side asked for a pause.
    Paused,
    /// The rate is used up.
    Rate,
    /// As many calls are under way as may be.
    Busy,
    /// As many wait as may.
    Crowded,
}

impl Reason {
    /// Whether this says something about the other side, and not only about our own limits.
    #[must_use]
    pub fn is_fault(self) -> bool {
        self == Self::BreakerOpen
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BreakerOpen => "the breaker is open",
            Self::Paused => "the other side asked for a pause",
            Self::Rate => "the rate limit is used up",
            Self::Busy => "as many calls are under way as may be",
            Self::Crowded => "as many calls wait as may",
        })
    }
}

/// A call did not pass, and did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// When it may come again, from now; at most [`MAX_RETRY_AFTER`]. Calls that are refused together
    /// are told different times, so that they do not come back together.
    pub after: Duration,
}

/// How a gate stands: its breaker, its pause, its bulkhead and its rate. JSON: an object with these names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The breaker, if there is one.
    pub breaker: Option<BreakerState>,
    /// For how much longer it is open, in milliseconds.
    pub open_ms: u64,
    /// For how much longer the other side asked for a pause, in milliseconds.
    pub paused_ms: u64,
    /// How many calls are under way.
    pub under_way: u32,
    /// How many may be, if there is a limit.
    pub concurrency: Option<u32>,
    /// The rate, if there is one.
    pub rate: Option<RateState>,
    /// How many wait.
    pub waiting: u32,
    /// How many passed, ever.
    pub passed: u64,
    /// How many were refused, ever.
    pub refused: u64,
    /// How many ended badly, ever.
    pub bad: u64,
}

/// What every call to one destination passes: breaker, pause, bulkhead, rate, in this order; whoever
/// waits, waits in one line.
#[derive(Debug)]
pub struct Gate {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl Gate {
    /// An open gate.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, policy: GatePolicy) -> Arc<Self> {
        Arc::new(Self {
            clock,
            state: Mutex::new(State::new(policy)),
        })
    }

    /// Waits for a turn, no longer than `patience`.
    ///
    /// First come, first served. What cannot be done within `patience` is not waited for: the answer is
    /// there at once, and says when to come again.
    ///
    /// # Errors
    /// [`Refused`]; nothing was used up.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line.
    pub async fn enter(self: &Arc<Self>, patience: Duration) -> Result<Pass, Refused> {
        let until = self.clock.monotonic().saturating_add(patience);
        let mut place: Option<Place> = None;
        loop {
            let now = self.clock.monotonic();
            let left = until.saturating_sub(now);
            let (nap, bell) = {
                let mut state = self.state.lock();
                let mine = place.as_ref().map(|place| place.number);
                match state.ask(now, mine, left) {
                    Answer::Pass(ticket) => {
                        return Ok(Pass {
                            gate: Arc::clone(self),
                            ticket,
                            ended: false,
                        });
                    }
                    Answer::Refuse(refused) => return Err(refused),
                    Answer::Wait(nap) => {
                        let bell = match &place {
                            Some(place) => Arc::clone(&place.bell),
                            None => {
                                let (number, bell) = state.join();
                                place = Some(Place {
                                    gate: Arc::clone(self),
                                    number,
                                    bell: Arc::clone(&bell),
                                });
                                bell
                            }
                        };
                        (nap.map_or(left, |nap| nap.min(left)), bell)
                    }
                }
            };
            tokio::select! {
                biased;
                () = bell.notified() => {}
                () = self.clock.sleep(nap) => {}
            }
        }
    }

    /// Lets nobody pass for so long, since the other side asked for that; at most `longest`, and never
    /// shorter than what was asked for before.
    pub fn pause(&self, asked: Duration, longest: Duration) {
        let until = self.clock.monotonic().saturating_add(asked.min(longest));
        let mut state = self.state.lock();
        state.paused_until = state.paused_until.max(until);
    }

    /// Gives it other limits: its rate, its concurrency and how many may wait. Those who wait look again. A
    /// rate that is another one begins with a full bucket; what is under way stays, also where it is more
    /// than may be now. The breaker and the pause stay as they are.
    pub fn adjust(&self, policy: GatePolicy) {
        let mut state = self.state.lock();
        if state.policy.rate != policy.rate {
            state.bucket = policy.rate.map(Bucket::new);
            state.promised_until = Duration::ZERO;
        }
        state.policy = GatePolicy {
            breaker: state.policy.breaker,
            ..policy
        };
        state.wake();
    }

    /// How it stands now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = self.clock.monotonic();
        self.state.lock().snapshot(now)
    }

    /// Whether a new gate would say the same from now on, but for its counts.
    #[must_use]
    pub(crate) fn is_blank(&self) -> bool {
        let now = self.clock.monotonic();
        self.state.lock().is_blank(now)
    }

    fn end(&self, ticket: Option<Ticket>, verdict: Verdict) -> Option<Turned> {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        let turned = state.end(now, ticket, verdict);
        state.wake();
        turned
    }
}

/// The right to make one call. Dropping it ends the call and says nothing about the other side.
#[derive(Debug)]
#[must_use]
pub struct Pass {
    gate: Arc<Gate>,
    ticket: Option<Ticket>,
    ended: bool,
}

impl Pass {
    /// The call has ended so; `Some` if that turned the breaker.
    pub fn end(mut self, verdict: Verdict) -> Option<Turned> {
        self.ended = true;
        self.gate.end(self.ticket, verdict)
    }

    /// The gate that it belongs to.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.ended {
            self.gate.end(self.ticket, Verdict::Neither);
        }
    }
}

/// A place in the line; whoever leaves it lets the next one look.
#[derive(Debug)]
struct Place {
    gate: Arc<Gate>,
    number: u64,
    bell: Arc<Notify>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock();
        state.line.retain(|(number, _)| *number != self.number);
        state.wake();
    }
}

/// What a gate says to one call.
#[derive(Debug)]
enum Answer {
    Pass(Option<Ticket>),
    /// For so long, or until the bell rings.
    Wait(Option<Duration>),
    Refuse(Refused),
}

/// The decisions, without a clock: every question says when it is.
#[derive(Debug)]
struct State {
    policy: GatePolicy,
    breaker: Option<Breaker>,
    bucket: Option<Bucket>,
    paused_until: Duration,
    under_way: u32,
    /// Who waits, in the order of arrival.
    line: VecDeque<(u64, Arc<Notify>)>,
    next_number: u64,
    /// Up to when tokens of the rate are promised to those who were told to come later.
    promised_until: Duration,
    passed: u64,
    refused: u64,
    bad: u64,
}

impl State {
    fn new(policy: GatePolicy) -> Self {
        Self {
            policy,
            breaker: policy.breaker.map(Breaker::new),
            bucket: policy.rate.map(Bucket::new),
            paused_until: Duration::ZERO,
            under_way: 0,
            line: VecDeque::new(),
            next_number: 0,
            promised_until: Duration::ZERO,
            passed: 0,
            refused: 0,
            bad: 0,
        }
    }

    /// What becomes of a call at `now` that can wait for `left`; `mine` is its place in the line.
    fn ask(&mut self, now: Duration, mine: Option<u64>, left: Duration) -> Answer {
        if let Some(leave) = self.breaker.as_mut().map(|breaker| breaker.leave(now)) {
            match leave {
                Leave::Go => {}
                Leave::After(wait) if wait <= left => return self.wait(mine, Some(wait)),
                Leave::After(wait) => return self.refuse(Reason::BreakerOpen, wait),
                Leave::Probing if left.is_zero() => {
                    let wait = self.breaker.as_ref().map_or(COME_AGAIN, Breaker::cool_down);
                    return self.refuse(Reason::BreakerOpen, wait);
                }
                Leave::Probing => return self.wait(mine, None),
            }
        }
        let paused = self.paused_until.saturating_sub(now);
        if paused > left {
            return self.refuse(Reason::Paused, paused);
        }
        if !paused.is_zero() {
            return self.wait(mine, Some(paused));
        }
        let first = self
            .line
            .front()
            .is_none_or(|(number, _)| mine == Some(*number));
        let busy = self
            .policy
            .concurrency
            .is_some_and(|most| self.under_way >= most.max(1));
        if !first || busy {
            if left.is_zero() {
                return self.refuse(Reason::Busy, COME_AGAIN);
            }
            if mine.is_none()
                && let Some(refused) = self.comes_too_late(left)
            {
                return refused;
            }
            return self.wait(mine, None);
        }
        if let Some(bucket) = &mut self.bucket
            && let Err(wait) = bucket.take(now)
        {
            return match wait <= left {
                true => self.wait(mine, Some(wait)),
                false => self.promise(now, wait),
            };
        }
        self.under_way += 1;
        self.passed += 1;
        Answer::Pass(self.breaker.as_mut().map(Breaker::begin))
    }

    /// A newcomer whose token comes, after those of the line, later than it can wait is refused now.
    fn comes_too_late(&mut self, left: Duration) -> Option<Answer> {
        let interval = self.bucket.as_ref()?.interval();
        let ahead = u32::try_from(self.line.len()).unwrap_or(u32::MAX);
        let least = interval.saturating_mul(ahead.saturating_sub(1));
        (least > left).then(|| self.refuse(Reason::Rate, least + interval))
    }

    fn wait(&mut self, mine: Option<u64>, nap: Option<Duration>) -> Answer {
        let waiting = u32::try_from(self.line.len()).unwrap_or(u32::MAX);
        if mine.is_none() && waiting >= self.policy.max_waiting {
            return self.refuse(Reason::Crowded, COME_AGAIN);
        }
        Answer::Wait(nap)
    }

    /// A token that comes too late: each who is told so is told the time of another one.
    fn promise(&mut self, now: Duration, wait: Duration) -> Answer {
        let due = (now + wait).max(self.promised_until);
        let interval = self
            .bucket
            .as_ref()
            .map_or(Duration::ZERO, Bucket::interval);
        self.promised_until = due + interval;
        self.refused += 1;
        Answer::Refuse(Refused {
            reason: Reason::Rate,
            after: due.saturating_sub(now).min(MAX_RETRY_AFTER),
        })
    }

    fn refuse(&mut self, reason: Reason, wait: Duration) -> Answer {
        self.refused += 1;
        let spread = spread(self.refused, wait.max(COME_AGAIN));
        Answer::Refuse(Refused {
            reason,
            after: wait.saturating_add(spread).min(MAX_RETRY_AFTER),
        })
    }

    fn join(&mut self) -> (u64, Arc<Notify>) {
        let (number, bell) = (self.next_number, Arc::new(Notify::new()));
        self.next_number += 1;
        self.line.push_back((number, Arc::clone(&bell)));
        (number, bell)
    }

    fn end(&mut self, now: Duration, ticket: Option<Ticket>, verdict: Verdict) -> Option<Turned> {
        self.under_way -= 1;
        self.bad += u64::from(verdict == Verdict::Bad);
        self.breaker.as_mut()?.end(now, ticket?, verdict)
    }

    /// Lets the first of the line look again.
    fn wake(&self) {
        if let Some((_, bell)) = self.line.front() {
            bell.notify_one();
        }
    }

    fn is_blank(&self, now: Duration) -> bool {
        self.under_way == 0
            && self.line.is_empty()
            && now >= self.paused_until
            && self.breaker.as_ref().is_none_or(|it| it.is_blank(now))
            && self.bucket.as_ref().is_none_or(|it| it.is_blank(now))
    }

    fn snapshot(&self, now: Duration) -> Snapshot {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let breaker = self.breaker.as_ref().map(|breaker| breaker.state(now));
        Snapshot {
            breaker: breaker.map(|(state, _)| state),
            open_ms: breaker.map_or(0, |(_, left)| millis(left)),
            paused_ms: millis(self.paused_until.saturating_sub(now)),
            under_way: self.under_way,
            concurrency: self.policy.concurrency.map(|most| most.max(1)),
            rate: self.bucket.as_ref().map(|bucket| bucket.state(now)),
            waiting: u32::try_from(self.line.len()).unwrap_or(u32::MAX),
            passed: self.passed,
            refused: self.refused,
            bad: self.bad,
        }
    }
}

/// The `number`-th point of a sequence that fills `0..span` evenly, whoever comes first: multiples of the
/// golden ratio, modulo one (the additive recurrence of Weyl).
fn spread(number: u64, span: Duration) -> Duration {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let share = (number.wrapping_mul(GOLDEN) >> 48) as u32;
    (span / (1 << 16)).saturating_mul(share)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures_util::{FutureExt, future::join_all};
    use nebula_testkit::{ManualClock, run};
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn gate(policy: GatePolicy) -> (Arc<Gate>, ManualClock) {
        let clock = ManualClock::default();
        (Gate::new(Arc::new(clock.clone()), policy), clock)
    }

    fn rate(limit: u32, per: Duration, burst: u32) -> Option<CallRate> {
        Some(CallRate { limit, per, burst })
    }

    fn breaker() -> Option<BreakerPolicy> {
        Some(BreakerPolicy {
            window: 4,
            min_calls: 2,
            cool_down: ms(10_000),
            ..BreakerPolicy::default()
        })
    }

    #[test]
    fn no_more_are_under_way_than_may_be() {
        run(async {
            let (gate, _) = gate(GatePolicy {
                concurrency: Some(2),
                ..GatePolicy::default()
            });
            let first = gate.enter(ms(0)).await.unwrap();
            let second = gate.enter(ms(0)).await.unwrap();
            assert_eq!(gate.enter(ms(0)).await.unwrap_err().reason, Reason::Busy);
            let mut third = Box::pin(gate.enter(ms(500)));
            assert!(third.as_mut().now_or_never().is_none());
            drop(first);
            let third = third.await.unwrap();
            assert_eq!(gate.snapshot().under_way, 2);
            drop((second, third));
            assert_eq!(gate.snapshot().under_way, 0);
        });
    }

    /// Guards: who waits is woken, the breaker stays, and a rate that is the same keeps what is left of it.
    #[test]
    fn limits_change_while_calls_are_under_way_and_wait() {
        run(async {
            let policy = GatePolicy {
                breaker: breaker(),
                rate: rate(1, ms(60_000), 3),
                concurrency: Some(1),
                ..GatePolicy::default()
            };
            let (gate, _) = gate(policy);
            let first = gate.enter(ms(0)).await.unwrap();
            let mut waits = Box::pin(gate.enter(ms(500)));
            assert!(waits.as_mut().now_or_never().is_none());
            gate.adjust(GatePolicy {
                breaker: None,
                concurrency: Some(2),
                ..policy
            });
            let second = waits.as_mut().now_or_never().unwrap().unwrap();
            let shown = gate.snapshot();
            assert_eq!((shown.under_way, shown.concurrency), (2, Some(2)));
            assert_eq!(shown.rate.unwrap().left, 1, "the same rate goes on");
            assert!(shown.breaker.is_some(), "the breaker stays");

            gate.adjust(GatePolicy {
                rate: rate(1, ms(1_000), 5),
                concurrency: Some(1),
                ..policy
            });
            let shown = gate.snapshot();
            assert_eq!((shown.under_way, shown.rate.unwrap().left), (2, 5));
            assert_eq!(gate.enter(ms(0)).await.unwrap_err().reason, Reason::Busy);
            drop((first, second));
            gate.adjust(GatePolicy::default());
            assert_eq!(gate.snapshot().rate, None);
            assert!(gate.enter(ms(0)).await.is_ok());
        });
    }

    #[test]
    fn the_line_is_first_come_first_served_and_newcomers_do_not_overtake() {
        run(async {
            let (gate, _) = gate(GatePolicy {
                concurrency: Some(1),
                ..GatePolicy::default()
            });
            let pass = gate.enter(ms(0)).await.unwrap();
            let mut early = Box::pin(gate.enter(ms(500)));
            assert!(early.as_mut().now_or_never().is_none());
            let mut late = Box::pin(gate.enter(ms(500)));
            assert!(late.as_mut().now_or_never().is_none());
            drop(pass);
            // The place is free, and belongs to who came first.
            assert_eq!(gate.enter(ms(0)).await.unwrap_err().reason, Reason::Busy);
            assert!(late.as_mut().now_or_never().is_none());
            let early = early.await.unwrap();
            assert!(late.as_mut().now_or_never().is_none());
            drop(early);
            late.await.unwrap().end(Verdict::Good);
        });
    }

    #[test]
    fn who_gives_up_leaves_the_line_to_the_next() {
        run(async {
            let (gate, clock) = gate(GatePolicy {
                concurrency: Some(1),
                ..GatePolicy::default()
            });
            let pass = gate.enter(ms(0)).await.unwrap();
            let mut given_up = Box::pin(gate.enter(ms(500)));
            assert!(given_up.as_mut().now_or_never().is_none());
            let mut stays = Box::pin(gate.enter(ms(500)));
            assert!(stays.as_mut().now_or_never().is_none());
            drop(pass);
            // It was rung for, and goes without looking.
            drop(given_up);
            let pass = stays.await.unwrap();
            let mut tired = Box::pin(gate.enter(ms(500)));
            assert!(tired.as_mut().now_or_never().is_none());
            clock.advance(ms(500));
            assert_eq!(tired.await.unwrap_err().reason, Reason::Busy);
            assert_eq!(gate.snapshot().waiting, 0);
            assert_eq!(clock.sleepers(), 0);
            drop(pass);
        });
    }

    #[test]
    fn no_more_wait_than_may() {
        run(async {
            let (gate, _) = gate(GatePolicy {
                concurrency: Some(1),
                max_waiting: 1,
                ..GatePolicy::default()
            });
            let _pass = gate.enter(ms(0)).await.unwrap();
            let mut waits = Box::pin(gate.enter(ms(500)));
            assert!(waits.as_mut().now_or_never().is_none());
            let refused = gate.enter(ms(500)).await.unwrap_err();
            assert_eq!(refused.reason, Reason::Crowded);
            assert!(refused.after >= COME_AGAIN);
        });
    }

    #[test]
    fn a_token_is_waited_for_within_patience_and_else_promised() {
        run(async {
            let (gate, clock) = gate(GatePolicy {
                rate: rate(10, ms(1_000), 1),
                ..GatePolicy::default()
            });
            gate.enter(ms(0)).await.unwrap().end(Verdict::Good);
            let mut waits = Box::pin(gate.enter(ms(100)));
            assert!(waits.as_mut().now_or_never().is_none());
            assert_eq!(clock.next_wake(), Some(ms(100)));
            // Behind it there is none within 50 ms; each is told another time.
            let told: Vec<_> = join_all((0..3).map(|_| gate.enter(ms(0))))
                .await
                .into_iter()
                .map(|refused| refused.unwrap_err().reason)
                .collect();
            assert_eq!(told, [Reason::Busy; 3]);
            clock.advance(ms(100));
            drop(waits.await.unwrap());
            let told: Vec<_> = join_all((0..3).map(|_| gate.enter(ms(50))))
                .await
                .into_iter()
                .map(|refused| refused.unwrap_err())
                .collect();
            let after = |millis| Refused {
                reason: Reason::Rate,
                after: ms(millis),
            };
            assert_eq!(told, [after(100), after(200), after(300)]);
        });
    }

    #[test]
    fn a_newcomer_is_not_kept_where_the_line_is_too_long_for_it() {
        run(async {
            let (gate, _) = gate(GatePolicy {
                rate: rate(10, ms(1_000), 1),
                ..GatePolicy::default()
            });
            drop(gate.enter(ms(0)).await.unwrap());
            let mut line: Vec<_> = (0..4).map(|_| Box::pin(gate.enter(ms(1_000)))).collect();
            for waits in &mut line {
                assert!(waits.as_mut().now_or_never().is_none());
            }
            let refused = gate.enter(ms(250)).now_or_never();
            assert_eq!(refused.unwrap().unwrap_err().reason, Reason::Rate);
        });
    }

    #[test]
    fn an_open_breaker_refuses_at_once_and_tells_different_times() {
        run(async {
            let (gate, clock) = gate(GatePolicy {
                breaker: breaker(),
                ..GatePolicy::default()
            });
            for turned in [None, Some(Turned::Opened(ms(10_000)))] {
                assert_eq!(gate.enter(ms(0)).await.unwrap().end(Verdict::Bad), turned);
            }
            clock.advance(ms(1_000));
            let mut times = BTreeSet::new();
            for _ in 0..20 {
                let refused = gate.enter(ms(5_000)).now_or_never().unwrap().unwrap_err();
                assert_eq!(refused.reason, Reason::BreakerOpen);
                assert!(refused.after >= ms(9_000) && refused.after <= ms(18_000));
                times.insert(refused.after);
            }
            assert_eq!(times.len(), 20);
            let snapshot = gate.snapshot();
            assert_eq!(
                (snapshot.breaker, snapshot.open_ms),
                (Some(BreakerState::Open), 9_000)
            );
            assert_eq!(
                (snapshot.passed, snapshot.refused, snapshot.bad),
                (2, 20, 2)
            );
        });
    }

    #[test]
    fn who_waits_for_the_probe_hears_of_its_end() {
        run(async {
            let (gate, clock) = gate(GatePolicy {
                breaker: breaker(),
                ..GatePolicy::default()
            });
            for good in [true, false] {
                for _ in 0..2 {
                    gate.enter(ms(0)).await.unwrap().end(Verdict::Bad);
                }
                clock.advance(ms(10_000));
                let probe = gate.enter(ms(0)).await.unwrap();
                assert_eq!(
                    gate.enter(ms(0)).await.unwrap_err().reason,
                    Reason::BreakerOpen
                );
                let mut waits: Vec<_> = (0..3).map(|_| Box::pin(gate.enter(ms(500)))).collect();
                for waits in &mut waits {
                    assert!(waits.as_mut().now_or_never().is_none());
                }
                let verdict = if good { Verdict::Good } else { Verdict::Bad };
                assert!(probe.end(verdict).is_some());
                for told in join_all(waits).await {
                    assert_eq!(told.is_ok(), good);
                    drop(told);
                }
            }
        });
    }

    #[test]
    fn a_probe_that_is_dropped_lets_the_next_one_try() {
        run(async {
            let (gate, clock) = gate(GatePolicy {
                breaker: breaker(),
                ..GatePolicy::default()
            });
            for _ in 0..2 {
                gate.enter(ms(0)).await.unwrap().end(Verdict::Bad);
            }
            clock.advance(ms(10_000));
            let probe = gate.enter(ms(0)).await.unwrap();
            let mut next = Box::pin(gate.enter(ms(500)));
            assert!(next.as_mut().now_or_never().is_none());
            drop(probe);
            assert_eq!(next.await.unwrap().end(Verdict::Good), Some(Turned::Closed));
        });
    }

    #[test]
    fn a_pause_holds_everybody_and_a_shorter_one_does_not_end_it() {
        run(async {
            let (gate, clock) = gate(GatePolicy::default());
            gate.pause(ms(4_000), ms(60_000));
            gate.pause(ms(1_000), ms(60_000));
            assert_eq!(gate.snapshot().paused_ms, 4_000);
            let refused = gate.enter(ms(3_000)).await.unwrap_err();
            assert_eq!(refused.reason, Reason::Paused);
            assert!(refused.after >= ms(4_000) && refused.after <= ms(8_000));
            let mut waits = Box::pin(gate.enter(ms(4_000)));
            assert!(waits.as_mut().now_or_never().is_none());
            assert!(!gate.is_blank());
            clock.advance(ms(4_000));
            drop(waits.await.unwrap());
            assert!(gate.is_blank());
            gate.pause(Duration::MAX, ms(60_000));
            assert_eq!(gate.snapshot().paused_ms, 60_000);
        });
    }

    #[test]
    fn many_tasks_keep_bulkhead_and_rate() {
        run(async {
            let (gate, clock) = gate(GatePolicy {
                rate: rate(100, ms(1_000), 1),
                concurrency: Some(3),
                ..GatePolicy::default()
            });
            let passed = Arc::new(Mutex::new(Vec::new()));
            let mut tasks = tokio::task::JoinSet::new();
            for number in 0..100_u64 {
                let (gate, clock) = (Arc::clone(&gate), clock.clone());
                let passed = Arc::clone(&passed);
                tasks.spawn(async move {
                    let pass = gate.enter(ms(5_000)).await.unwrap();
                    assert!(gate.snapshot().under_way <= 3);
                    passed.lock().push(clock.monotonic());
                    clock.sleep(ms(number % 70)).await;
                    pass.end(Verdict::Good);
                });
            }
            while !tasks.is_empty() {
                tokio::task::yield_now().await;
                if tasks.try_join_next().is_none() {
                    clock.advance(ms(1));
                }
            }
            let passed = passed.lock();
            assert_eq!(passed.len(), 100);
            for pair in passed.windows(2) {
                assert!(pair[1] - pair[0] >= ms(10));
            }
        });
    }

    #[test]
    fn refusals_are_spread_over_the_whole_span() {
        let (span, mut quarters) = (ms(1_000), [0; 4]);
        for number in 1..=100 {
            let at = spread(number, span);
            assert!(at < span);
            quarters[usize::try_from(at.as_millis() / 250).unwrap()] += 1;
        }
        assert!(
            quarters.iter().all(|count| (20..=30).contains(count)),
            "{quarters:?}"
        );
    }

    proptest! {
        /// Whatever is asked, dropped and ended in whatever order: the bulkhead holds, nobody is
        /// forgotten in the line, and who may not wait is answered at once.
        #[test]
        fn a_gate_keeps_its_numbers(
            concurrency in 1_u32..4,
            max_waiting in 0_u32..5,
            steps in proptest::collection::vec((0_u8..7, 0_u64..2_000, any::<prop::sample::Index>()), 1..120),
        ) {
            run(async move {
                let (gate, clock) = gate(GatePolicy {
                    breaker: breaker(),
                    rate: rate(5, ms(1_000), 2),
                    concurrency: Some(concurrency),
                    max_waiting,
                });
                let (mut passes, mut waits) = (Vec::new(), Vec::new());
                for (what, millis, pick) in steps {
                    match what {
                        0..=2 => {
                            let mut entering = Box::pin(gate.enter(ms(millis)));
                            match entering.as_mut().now_or_never() {
                                Some(Ok(pass)) => passes.push(pass),
                                Some(Err(refused)) => assert!(refused.after > Duration::ZERO),
                                None => {
                                    assert!(millis > 0);
                                    waits.push(entering);
                                }
                            }
                        }
                        3 if !passes.is_empty() => {
                            passes.swap_remove(pick.index(passes.len())).end(Verdict::Good);
                        }
                        4 if !passes.is_empty() => {
                            passes.swap_remove(pick.index(passes.len())).end(Verdict::Bad);
                        }
                        5 if !waits.is_empty() => drop(waits.swap_remove(pick.index(waits.len()))),
                        _ => clock.advance(ms(millis)),
                    }
                    let mut still = Vec::new();
                    for mut entering in waits {
                        match entering.as_mut().now_or_never() {
                            Some(Ok(pass)) => passes.push(pass),
                            Some(Err(_)) => {}
                            None => still.push(entering),
                        }
                    }
                    waits = still;
                    let snapshot = gate.snapshot();
                    assert_eq!(snapshot.under_way as usize, passes.len());
                    assert!(snapshot.under_way <= concurrency);
                    assert_eq!(snapshot.waiting as usize, waits.len());
                    assert!(snapshot.waiting <= max_waiting);
                }
                passes.clear();
                // Whoever still waits is answered in the time that it gave.
                for _ in 0..4_000 {
                    let mut still = Vec::new();
                    for mut entering in waits {
                        if entering.as_mut().now_or_never().is_none() {
                            still.push(entering);
                        }
                    }
                    waits = still;
                    clock.advance(ms(1));
                }
                assert!(waits.is_empty());
                assert_eq!(gate.snapshot().waiting, 0);
            });
        }
    }
}
