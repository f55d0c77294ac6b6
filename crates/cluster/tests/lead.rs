//! Candidates for one duty, in virtual time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use nebula_cluster::{Candidate, Duty};
use nebula_core::{Clock, Timestamp};
use nebula_ports::{
    Campaigned, DutyName, DutyState, ErrorKind, Incarnation, LeaderElector, Leadership, PortError,
    Result, TermRenewed,
};
use nebula_testkit::{ManualClock, MemoryElector, run_timed};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const SECOND: Duration = Duration::from_secs(1);
const TTL: Duration = Duration::from_secs(60);

/// Which way to the elector is cut.
#[derive(Debug, Default)]
struct Cut {
    campaign: AtomicBool,
    renew: AtomicBool,
    answers: AtomicBool,
    /// How many seconds an answer takes to come back.
    slow: AtomicU64,
    /// How many seconds the store's clock is ahead of this process's, when it says until when.
    ahead: AtomicI64,
    /// How often it was asked for the duty.
    campaigns: AtomicU64,
}

fn nobody_answers(operation: &'static str) -> PortError {
    PortError::new(ErrorKind::Unavailable, "way", operation, "nobody answers")
}

/// The way of one process to the elector.
#[derive(Debug)]
struct Way {
    elector: Arc<dyn LeaderElector>,
    clock: ManualClock,
    cut: Arc<Cut>,
}

impl Way {
    async fn comes_back(&self) {
        let slow = Duration::from_secs(self.cut.slow.load(SeqCst));
        if !slow.is_zero() {
            self.clock.sleep(slow).await;
        }
    }
}

#[async_trait]
impl LeaderElector for Way {
    async fn campaign(
        &self,
        duty: &DutyName,
        me: Incarnation,
        ttl: Duration,
    ) -> Result<Campaigned> {
        if self.cut.campaign.load(SeqCst) {
            return Err(nobody_answers("campaign"));
        }
        let asked = self.cut.campaigns.fetch_add(1, SeqCst);
        assert!(asked < 1_000, "it is asked without a pause");
        let answer = self.elector.campaign(duty, me, ttl).await?;
        self.comes_back().await;
        Ok(match answer {
            Campaigned::Held { term, until } => {
                let ahead = self.cut.ahead.load(SeqCst) * 1_000;
                let until = Timestamp::from_millis(until.as_millis() + ahead);
                Campaigned::Held { term, until }
            }
            elected @ Campaigned::Elected(_) => elected,
        })
    }

    async fn renew(&self, leadership: &Leadership) -> Result<TermRenewed> {
        if self.cut.answers.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.cut.renew.load(SeqCst) {
            return Err(nobody_answers("renew"));
        }
        let answer = self.elector.renew(leadership).await;
        self.comes_back().await;
        answer
    }

    async fn resign(&self, leadership: &Leadership) -> Result<()> {
        self.elector.resign(leadership).await
    }

    async fn duties(&self) -> Result<Vec<DutyState>> {
        self.elector.duties().await
    }
}

/// When each candidate began and ended to work: `(who, term, begun, ended)`, in seconds.
type Log = Arc<Mutex<Vec<(u8, u64, u64, u64)>>>;

struct World {
    clock: ManualClock,
    elector: Arc<MemoryElector>,
    log: Log,
    tasks: JoinSet<()>,
}

/// Writes down when work ended, also where it was dropped.
struct Working {
    clock: ManualClock,
    log: Log,
    at: usize,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.log.lock()[self.at].3 = self.clock.monotonic().as_secs();
    }
}

impl World {
    fn new(clock: &ManualClock) -> Self {
        Self {
            clock: clock.clone(),
            elector: Arc::new(MemoryElector::new(Arc::new(clock.clone()))),
            log: Log::default(),
            tasks: JoinSet::new(),
        }
    }

    /// A candidate whose work takes `takes`, until its token is cancelled.
    fn candidate(&mut self, who: u8, takes: Duration) -> (CancellationToken, Arc<Cut>) {
        let (stop, cut) = (CancellationToken::new(), Arc::new(Cut::default()));
        let way = Way {
            elector: self.elector.clone(),
            clock: self.clock.clone(),
            cut: cut.clone(),
        };
        let (clock, log, token) = (self.clock.clone(), self.log.clone(), stop.clone());
        let me = Incarnation(Uuid::from_bytes([who; 16]));
        let candidate = Candidate::new(Arc::new(way), Arc::new(clock.clone()), me);
        self.tasks.spawn(async move {
            let duty = Duty {
                name: DutyName::new("sweep").unwrap(),
                ttl: TTL,
                every: SECOND * 100,
            };
            let work = |term| {
                let (clock, log) = (clock.clone(), log.clone());
                async move {
                    let begun = clock.monotonic().as_secs();
                    let at = log.lock().len();
                    log.lock().push((who, term, begun, u64::MAX));
                    let _working = Working {
                        clock: clock.clone(),
                        log: log.clone(),
                        at,
                    };
                    clock.sleep(takes).await;
                }
            };
            candidate.lead(&duty, token, work).await;
        });
        (stop, cut)
    }

    async fn passes(&mut self, duration: Duration) {
        self.clock.sleep(duration).await;
        // A candidate that broke down does nothing either, but that is not why.
        while let Some(ended) = self.tasks.try_join_next() {
            ended.expect("no candidate breaks down");
        }
    }

    fn log(&self) -> Vec<(u8, u64, u64, u64)> {
        self.log.lock().clone()
    }
}

/// Guard: a candidate that is refused does nothing, and a term is renewed.
#[test]
fn one_of_two_works_for_as_long_as_it_lives() {
    let clock = ManualClock::default();
    run_timed(&clock.clone(), async move {
        let mut world = World::new(&clock);
        world.candidate(1, SECOND * 10);
        world.passes(SECOND).await;
        world.candidate(2, SECOND * 10);
        world.passes(SECOND * 349).await;
        let each = [
            (1, 1, 0, 10),
            (1, 1, 110, 120),
            (1, 1, 220, 230),
            (1, 1, 330, 340),
        ];
        assert_eq!(world.log(), each);
    });
}

/// Guard: what is stopped politely gives the duty back.
#[test]
fn a_duty_that_was_given_back_is_done_by_the_next_at_its_next_look() {
    let clock = ManualClock::default();
    run_timed(&clock.clone(), async move {
        let mut world = World::new(&clock);
        let (stop, _) = world.candidate(1, SECOND * 500);
        world.passes(SECOND * 10).await;
        stop.cancel();
        world.tasks.join_next().await;
        world.candidate(2, SECOND);
        world.passes(SECOND * 5).await;
        assert_eq!(world.log(), [(1, 1, 0, 10), (2, 2, 10, 11)]);
    });
}

/// Guard: the other one asks again when the term may be over.
#[test]
fn a_leader_that_died_is_followed_by_another() {
    let clock = ManualClock::default();
    run_timed(&clock.clone(), async move {
        let mut world = World::new(&clock);
        world.candidate(1, SECOND * 500);
        world.passes(SECOND).await;
        world.tasks.shutdown().await;
        world.candidate(2, SECOND);
        world.passes(SECOND * 70).await;
        assert_eq!(world.log(), [(1, 1, 0, 1), (2, 2, 60, 61)]);
    });
}

/// Guard: the deadline by the own clock, with its margin; a renewal that fails does not move it.
#[test]
fn who_cannot_renew_stops_before_another_begins() {
    let clock = ManualClock::default();
    run_timed(&clock.clone(), async move {
        let mut world = World::new(&clock);
        let (_, cut) = world.candidate(1, SECOND * 500);
        world.passes(SECOND).await;
        world.candidate(2, SECOND * 500);
        cut.renew.store(true, SeqCst);
        world.passes(SECOND * 70).await;
        assert_eq!(world.log(), [(1, 1, 0, 50), (2, 2, 60, u64::MAX)]);
    });
}

/// Guard: a call to the elector that never answers holds up nobody.
#[test]
fn who_gets_no_answer_stops_before_another_begins() {
    let clock = ManualClock::default();
    run_timed(&clock.clone(), async move {
        let mut world = World::new(&clock);
        let (_, cut) = world.candidate(1, SECOND * 500);
        world.passes(SECOND).await;
        world.candidate(2, SECOND * 500);
        cut.answers.store(true, SeqCst);
        world.passes(SECOND * 70).await;
        assert_eq!(world.log(), [(1, 1, 0, 50), (2, 2, 60, u64::MAX)]);
    });
}

/// Guards: the answer that the term is over, and that its work is dropped then.
#[test]
fn who_was_replaced_stops_at_its_next_renewal() {
    let clock = ManualClock::default();
    run_timed(&clock.clone(), async move {
        let mut world = World::new(&clock);
        world.candidate(1, SECOND * 500);
        world.passes(SECOND).await;
        // Its wall clock was wrong, say: the term ended early, and somebody else was elected.
        clock.jump_wall(60_000);
        world.candidate(2, SECOND * 500);
        world.passes(SECOND * 30).await;
        let log = world.log();
        assert_eq!(log[0], (1, 1, 0, 20), "{log:?}");
        assert_eq!((log.len(), log[1].0, log[1].1), (2, 2, 2), "{log:?}");
    });
}

/// Guard: who could not be asked is asked again.
#[test]
fn who_cannot_campaign_tries_again() {
    let clock = ManualClock::default();
    run_timed(&clock.clone(), async move {
        let mut world = World::new(&clock);
        let (_, cut) = world.candidate(1, SECOND * 500);
        cut.campaign.store(true, SeqCst);
        world.passes(SECOND * 50).await;
        assert_eq!(world.log(), []);
        cut.campaign.store(false, SeqCst);
        world.passes(SECOND * 20).await;
        assert_eq!(world.log(), [(1, 1, 60, u64::MAX)]);
    });
}

/// Guard: a term counts from before it was asked for, however late the answer comes.
#[test]
fn a_slow_answer_makes_no_term_longer() {
    for renewed in [false, true] {
        let clock = ManualClock::default();
        run_timed(&clock.clone(), async move {
            let mut world = World::new(&clock);
            let (_, cut) = world.candidate(1, SECOND * 500);
            // The answer to the campaign, or to the first renewal, takes 25 seconds.
            cut.slow.store(if renewed { 0 } else { 25 }, SeqCst);
            world.passes(SECOND).await;
            cut.slow.store(25, SeqCst);
            world.passes(SECOND * if renewed { 44 } else { 24 }).await;
            cut.renew.store(true, SeqCst);
            world.candidate(2, SECOND * 500);
            world.passes(SECOND * 60).await;
            let each = match renewed {
                false => [(1, 1, 25, 50), (2, 2, 60, u64::MAX)],
                true => [(1, 1, 0, 70), (2, 2, 80, u64::MAX)],
            };
            assert_eq!(world.log(), each);
        });
    }
}

/// Guards: who is refused asks again within the term, whatever the store's clock says, and not without a
/// pause.
#[test]
fn who_is_refused_asks_again_in_time_whatever_the_stores_clock_says() {
    for (ahead, begun) in [(3_600, &[0, 62][..]), (-3_600, &[0])] {
        let clock = ManualClock::default();
        run_timed(&clock.clone(), async move {
            let mut world = World::new(&clock);
            world.candidate(1, SECOND * 500);
            world.passes(SECOND).await;
            world.tasks.shutdown().await;
            world.passes(SECOND).await;
            let (_, cut) = world.candidate(2, SECOND * 500);
            cut.ahead.store(ahead, SeqCst);
            world.passes(SECOND * if ahead > 0 { 70 } else { 5 }).await;
            let log: Vec<_> = world.log().iter().map(|it| it.2).collect();
            assert_eq!(log, begun);
        });
    }
}

/// Guard: a process that was stopped past its term does nothing in it when it wakes up.
#[test]
fn who_was_asleep_past_its_term_does_nothing_more_in_it() {
    let clock = ManualClock::default();
    run_timed(&clock.clone(), async move {
        let mut world = World::new(&clock);
        world.candidate(1, SECOND * 10);
        world.passes(SECOND * 105).await;
        // The process stands still: a pause of the duty and the term both end meanwhile.
        clock.advance(SECOND * 300);
        world.passes(SECOND).await;
        let log = world.log();
        assert_eq!(log, [(1, 1, 0, 10)], "{log:?}");
    });
}
