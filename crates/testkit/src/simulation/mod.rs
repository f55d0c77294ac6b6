//! The real engine and the real worker in a world that a seed makes up, and in which everything
//! that can go wrong does.
//!
//! A seed decides a [`Swarm`]: how many processes and executions there are, and which faults happen.
//! [`simulate`] lets that world live: under faults first, then healed, until everything has ended.
//! Each committed step and each effect outside is held against the invariants ([`CHECKS`]), and the
//! results against those of the same world undisturbed. Start reading at [`simulate`].
//!
//! There is one thread, no time but that of a [`ManualClock`](crate::ManualClock), and no chance but
//! that of the seed: the same seed gives the same [`Outcome`], to the last poll.

pub mod checks;
mod clients;
mod collecting;
mod credentials;
mod director;
mod flows;
mod here;
mod life;
mod nemesis;
mod oracle;
mod outside;
mod planted;
mod process;
mod scheduler;
mod slots;
mod swarm;
mod time;
mod tokens;
mod wire;
mod world;

pub use checks::{CHECKS, Check, Violation};
pub use life::Outcome;
pub use oracle::{Arrival, Audit};
pub use planted::Bug;
pub use swarm::{Fault, NoSwarm, Recovery, Swarm};
pub use world::Counts;

use director::Prepared;
use life::{Asked, live};

/// How many worlds are tried at most to find a smaller one that fails.
const MAX_SHRINKS: usize = 200;

/// Lets a world live, and what it comes to undisturbed beside it.
#[must_use]
pub fn simulate(swarm: &Swarm) -> Outcome {
    simulate_prepared(swarm, &Prepared::of(swarm))
}

fn simulate_prepared(swarm: &Swarm, prepared: &Prepared) -> Outcome {
    let (mut outcome, results) = live(swarm, prepared, Asked::All);
    if swarm.faults.is_empty() || !outcome.violations.is_empty() || results.is_empty() {
        return outcome;
    }
    let numbers = results.keys().copied().collect();
    let (undisturbed, expected) = live(&swarm.undisturbed(), prepared, Asked::Only(numbers));
    outcome.violations.extend(undisturbed.violations);
    for (number, result) in results {
        if expected.get(&number) != Some(&result) {
            let expected = expected.get(&number);
            outcome.violations.push(Violation {
                check: checks::SAME_RESULT,
                what: format!("execution {number}: {result:?}, undisturbed {expected:?}"),
            });
        }
    }
    outcome
}

/// The same twice: what differs is a violation.
#[must_use]
pub fn simulate_twice(swarm: &Swarm) -> Outcome {
    let prepared = Prepared::of(swarm);
    let live_again = || simulate_prepared(swarm, &prepared);
    let (mut first, second) = (live_again(), live_again());
    if (first.trace, first.polls) != (second.trace, second.polls) {
        let what = format!(
            "trace {:x} after {} polls, then {:x} after {}",
            first.trace, first.polls, second.trace, second.polls
        );
        first.violations.push(Violation {
            check: checks::SAME_TRACE,
            what,
        });
    }
    first
}

/// What happened in a world, line by line.
#[must_use]
pub fn trace(swarm: &Swarm) -> String {
    let (outcome, _) = live(swarm, &Prepared::of(swarm), Asked::Told);
    outcome.lines.unwrap_or_default()
}

/// A smaller world that breaks the same check, as far as one is found; `fails` lets a world live.
pub fn shrink(swarm: &Swarm, check: Check, fails: impl Fn(&Swarm) -> Outcome) -> Swarm {
    let (mut smallest, mut tried) = (swarm.clone(), 0);
    'smaller: loop {
        for candidate in smallest.smaller() {
            tried += 1;
            if tried > MAX_SHRINKS {
                return smallest;
            }
            let violations = fails(&candidate).violations;
            if violations.iter().any(|violation| violation.check == check) {
                smallest = candidate;
                continue 'smaller;
            }
        }
        return smallest;
    }
}
