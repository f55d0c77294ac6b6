//! What goes wrong in a fleet: the kinds of faults, which of them come when, and how each ends.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nebula_testkit::{SeededEntropy, servers::Silence};

use super::fleet::{Fleet, LEASE, PLANES, Servers, TERM, WORKERS};
use crate::Failed;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    WorkerKilled,
    WorkerStopped,
    PlaneKilled,
    PlaneStopped,
    /// PostgreSQL ends in order, or at once with its connections, or its first process is killed.
    PostgresRestarted,
    PostgresKilled,
    RedisKilled,
    RedisWiped,
    Way(Way, Wrong),
}

/// The ways that have a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Postgres,
    Redis,
}

/// What goes wrong on a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// Every connection is reset.
    Cut,
    /// What passes is held up.
    Delay,
    /// Connections stay open, and nothing passes any more.
    HalfOpen,
    /// The server has done what it was asked, and nobody hears of it.
    Swallowed,
}

/// All kinds, each as often as it stands here in every deck from which they are drawn.
const DECK: &[Kind] = &[
    Kind::WorkerKilled,
    Kind::WorkerKilled,
    Kind::WorkerKilled,
    Kind::WorkerStopped,
    Kind::WorkerStopped,
    Kind::PlaneKilled,
    Kind::PlaneStopped,
    Kind::PostgresRestarted,
    Kind::PostgresKilled,
    Kind::RedisKilled,
    Kind::RedisWiped,
    Kind::Way(Way::Postgres, Wrong::Cut),
    Kind::Way(Way::Postgres, Wrong::Delay),
    Kind::Way(Way::Postgres, Wrong::HalfOpen),
    Kind::Way(Way::Postgres, Wrong::Swallowed),
    Kind::Way(Way::Postgres, Wrong::Swallowed),
    Kind::Way(Way::Redis, Wrong::Cut),
    Kind::Way(Way::Redis, Wrong::Delay),
    Kind::Way(Way::Redis, Wrong::HalfOpen),
    Kind::Way(Way::Redis, Wrong::Swallowed),
];

/// What the answer says by which PostgreSQL tells that a transaction is committed.
const COMMITTED: &[u8] = b"COMMIT\0";

/// What the answer of a script begins with, as the queue asks for it: a list.
const LISTED: &[u8] = b"*4\r\n";

/// How long it is waited at most for an answer that is to be swallowed.
const SWALLOWED: Duration = Duration::from_millis(1_500);

impl Kind {
    /// What it is called in the summary.
    pub(crate) fn name(self) -> &'static str {
        use Way::{Postgres, Redis};
        match self {
            Self::WorkerKilled => "workers killed",
            Self::WorkerStopped => "workers stopped past their leases",
            Self::PlaneKilled => "control planes killed",
            Self::PlaneStopped => "control planes stopped past their terms",
            Self::PostgresRestarted => "PostgreSQL restarted",
            Self::PostgresKilled => "PostgreSQL killed",
            Self::RedisKilled => "Redis killed, and empty after it",
            Self::RedisWiped => "Redis emptied",
            Self::Way(Postgres, Wrong::Cut) => "connections to PostgreSQL reset",
            Self::Way(Postgres, Wrong::Delay) => "the way to PostgreSQL slow",
            Self::Way(Postgres, Wrong::HalfOpen) => "connections to PostgreSQL silent",
            Self::Way(Postgres, Wrong::Swallowed) => "commits of which nobody heard",
            Self::Way(Redis, Wrong::Cut) => "connections to Redis reset",
            Self::Way(Redis, Wrong::Delay) => "the way to Redis slow",
            Self::Way(Redis, Wrong::HalfOpen) => "connections to Redis silent",
            Self::Way(Redis, Wrong::Swallowed) => "scripts of which nobody heard",
        }
    }
}

/// What is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Place(usize),
    Postgres,
    Redis,
    Way(Way, Wrong),
}

/// How a fault ends.
#[derive(Debug, Clone, Copy)]
enum Ends {
    /// It runs again: another process of the same.
    Begins,
    /// The program goes on.
    GoesOn,
    /// It does not: it is killed, and another one starts.
    Dies,
    /// What passes is as it was.
    Passes,
    /// So much had been swallowed before.
    Swallowed(u64),
}

/// Draws faults, lets them happen and lets them end.
#[derive(Debug)]
pub(crate) struct Nemesis {
    chance: SeededEntropy,
    deck: Vec<Kind>,
    pending: Vec<(Instant, Target, Ends)>,
    /// How often each kind happened: to somebody, and not only on a way that nobody went.
    pub(crate) fired: BTreeMap<Kind, u64>,
}

impl Nemesis {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: SeededEntropy::new(seed),
            deck: Vec::new(),
            pending: Vec::new(),
            fired: DECK.iter().map(|kind| (*kind, 0)).collect(),
        }
    }

    /// The kinds that should have happened among so many faults, and did not.
    pub(crate) fn never(&self, faults: u64) -> Vec<&'static str> {
        let should = faults >= DECK.len() as u64;
        let never = self
            .fired
            .iter()
            .filter(|(_, count)| should && **count == 0);
        never.map(|(kind, _)| kind.name()).collect()
    }

    /// How much more is to happen before the next one strikes: effects, and then microseconds.
    pub(crate) fn pause(&self) -> (u64, Duration) {
        let (more, late) = (1 + self.chance.below(60), self.chance.below(6_000));
        (more, Duration::from_micros(late))
    }

    fn draw(&mut self) -> Kind {
        if self.deck.is_empty() {
            self.deck = DECK.to_vec();
        }
        let at = self.chance.below(self.deck.len() as u64);
        self.deck
            .swap_remove(usize::try_from(at).expect("a small number"))
    }

    fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.chance.below(to - from))
    }

    /// A place in the fleet whose program runs undisturbed.
    fn free(&self, fleet: &Fleet, from: usize, count: usize) -> Option<usize> {
        let first = usize::try_from(self.chance.below(count as u64)).expect("a small number");
        let mut all = (0..count).map(|n| from + (first + n) % count);
        all.find(|at| fleet.process(*at).is_some() && !self.is_struck(*at))
    }

    fn is_struck(&self, place: usize) -> bool {
        self.is_pending(Target::Place(place))
    }

    fn is_pending(&self, target: Target) -> bool {
        self.pending.iter().any(|(_, it, _)| *it == target)
    }

    /// Whom this strikes, unless something else does already.
    fn target(&self, kind: Kind, fleet: &Fleet) -> Option<Target> {
        let target = match kind {
            Kind::WorkerKilled | Kind::WorkerStopped => {
                Target::Place(self.free(fleet, PLANES, WORKERS)?)
            }
            Kind::PlaneKilled | Kind::PlaneStopped => Target::Place(self.free(fleet, 0, PLANES)?),
            Kind::PostgresRestarted | Kind::PostgresKilled => Target::Postgres,
            Kind::RedisKilled | Kind::RedisWiped => Target::Redis,
            Kind::Way(way, wrong) => Target::Way(way, wrong),
        };
        (!self.is_pending(target)).then_some(target)
    }

    /// Lets one fault happen; says which.
    pub(crate) fn strike(
        &mut self,
        fleet: &mut Fleet,
        servers: &Servers,
    ) -> Result<String, Failed> {
        let mut passed_over = Vec::new();
        let (kind, target) = loop {
            let kind = self.draw();
            match self.target(kind, fleet) {
                Some(target) => break (kind, target),
                None => passed_over.push(kind),
            }
        };
        // Their turn comes.
        self.deck.extend(passed_over);
        let fired = match target {
            Target::Way(_, Wrong::Swallowed) => 0,
            _ => 1,
        };
        *self.fired.entry(kind).or_default() += fired;
        let name = kind.name();
        Ok(match (kind, target) {
            (Kind::WorkerKilled | Kind::PlaneKilled, Target::Place(at)) => {
                let away = self.millis(0, 800);
                fleet.kill(at)?;
                self.end_after(away, target, Ends::Begins);
                format!("{} is killed, for {away:?}", fleet.name(at))
            }
            (_, Target::Place(at)) => {
                let (past, dies) = (self.millis(150, 700), self.chance.chance(30));
                if let Some(process) = fleet.process(at) {
                    process.signal("STOP")?;
                }
                let (ends, then) = match dies {
                    true => (Ends::Dies, "dies"),
                    false => (Ends::GoesOn, "goes on"),
                };
                let lasts = if at < PLANES { TERM } else { LEASE };
                self.end_after(lasts + past, target, ends);
                format!(
                    "{} is stopped, and {then} {past:?} past what it held",
                    fleet.name(at)
                )
            }
            (_, Target::Postgres) => {
                let away = self.millis(0, 5_000);
                let signal = match (kind, self.chance.chance(50)) {
                    (Kind::PostgresKilled, true) => "KILL",
                    (Kind::PostgresKilled, false) => "QUIT",
                    _ => "INT",
                };
                servers.postgres.end(signal);
                self.end_after(away, target, Ends::Begins);
                format!("{name}, by {signal}, for {away:?}")
            }
            (Kind::RedisWiped, _) => {
                let held = servers.redis.asked(&["DBSIZE"]);
                let _ = servers.redis.asked(&["FLUSHALL"]);
                format!("{name}, of {held} keys")
            }
            (_, Target::Redis) => {
                let away = self.millis(0, 3_000);
                servers.redis.end("KILL");
                self.end_after(away, target, Ends::Begins);
                format!("{name}, for {away:?}")
            }
            (_, Target::Way(way, wrong)) => {
                let to = servers.way(way);
                let span = self.millis(300, 1_500);
                match wrong {
                    Wrong::Cut => {
                        let open = to.open();
                        to.cut();
                        return Ok(format!("{name}: {open}"));
                    }
                    Wrong::Delay => to.delay(self.millis(5, 80)),
                    Wrong::HalfOpen => to.fall_silent(*self.chance.pick(&[
                        Silence::Asking,
                        Silence::Answering,
                        Silence::Both,
                    ])),
                    Wrong::Swallowed => {
                        let word = match way {
                            Way::Postgres => COMMITTED,
                            Way::Redis => LISTED,
                        };
                        to.swallow(1 + self.chance.below(4), word);
                        let before = to.struck().swallowed;
                        self.end_after(SWALLOWED, target, Ends::Swallowed(before));
                        return Ok(name.to_owned());
                    }
                }
                self.end_after(span, target, Ends::Passes);
                format!("{name}, for {span:?}")
            }
        })
    }

    fn end_after(&mut self, span: Duration, target: Target, ends: Ends) {
        self.pending.push((Instant::now() + span, target, ends));
    }

    /// How many faults go on.
    pub(crate) fn open(&self) -> usize {
        self.pending.len()
    }

    /// Ends what is due, or everything.
    pub(crate) fn heal(
        &mut self,
        fleet: &mut Fleet,
        servers: &Servers,
        all: bool,
    ) -> Result<(), Failed> {
        let now = Instant::now();
        let due = self.pending.extract_if(.., |(at, _, _)| all || *at <= now);
        for (_, target, ends) in due.collect::<Vec<_>>() {
            match (target, ends) {
                (Target::Place(at), Ends::GoesOn) => {
                    if let Some(process) = fleet.process(at) {
                        process.signal("CONT")?;
                    }
                }
                (Target::Place(at), _) => {
                    fleet.kill(at)?;
                    fleet.begin(at)?;
                }
                (Target::Postgres, _) => servers.postgres.go_on(),
                (Target::Redis, _) => servers.redis.go_on(),
                (Target::Way(way, wrong), Ends::Swallowed(before)) => {
                    let to = servers.way(way);
                    to.swallow(0, b"");
                    let times = to.struck().swallowed - before;
                    *self.fired.entry(Kind::Way(way, wrong)).or_default() += times;
                }
                (Target::Way(way, Wrong::Delay), _) => servers.way(way).delay(Duration::ZERO),
                (Target::Way(way, _), _) => servers.way(way).speak(),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_never_happened_is_named() {
        let mut nemesis = Nemesis::new(1);
        let all = DECK.len() as u64;
        for count in nemesis.fired.values_mut() {
            *count = 1;
        }
        assert_eq!(nemesis.never(all), [""; 0]);
        let silent = Kind::Way(Way::Redis, Wrong::HalfOpen);
        nemesis.fired.insert(silent, 0);
        assert_eq!(nemesis.never(all), ["connections to Redis silent"]);
        assert_eq!(nemesis.never(all - 1), [""; 0]);
    }

    #[test]
    fn each_kind_comes_in_every_deck_and_has_a_name_of_its_own() {
        let mut nemesis = Nemesis::new(7);
        for _ in 0..3 {
            let mut drawn: Vec<_> = (0..DECK.len()).map(|_| nemesis.draw()).collect();
            let mut deck = DECK.to_vec();
            drawn.sort_unstable();
            deck.sort_unstable();
            assert_eq!(drawn, deck);
        }
        let names: std::collections::BTreeSet<_> =
            nemesis.fired.keys().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), nemesis.fired.len());
    }
}
