//! A handful of simulated worlds, and those that once failed; `cargo xtask simulate` has many more.

use nebula_testkit::simulation::{Bug, Outcome, Swarm, shrink, simulate, simulate_twice};

/// Worlds that failed once.
const REGRESSIONS: &str = include_str!("../simulation/regressions.txt");

#[track_caller]
fn holds(outcome: &Outcome) {
    let violations: Vec<_> = outcome.violations.iter().map(ToString::to_string).collect();
    assert!(
        violations.is_empty(),
        "{}\n{}",
        outcome.swarm,
        violations.join("\n")
    );
}

/// `NEBULA_WORLDS=200` tries so many.
#[test]
fn worlds_break_no_invariant() {
    #[expect(
        clippy::disallowed_methods,
        reason = "how many is asked for, like any other option"
    )]
    let worlds = std::env::var("NEBULA_WORLDS").ok();
    for seed in 0..worlds.map_or(3, |it| it.parse().expect("a number")) {
        holds(&simulate(&Swarm::of(seed)));
    }
}

#[test]
fn a_seed_gives_one_world() {
    holds(&simulate_twice(&Swarm::of(9)));
}

#[test]
fn worlds_that_once_failed_do_so_no_more() {
    let lines = REGRESSIONS.lines();
    for line in lines.filter_map(|line| line.split('#').next()) {
        if !line.trim().is_empty() {
            holds(&simulate(&line.parse().expect("a world")));
        }
    }
}

/// A small peaceful world over a store that is wrong on purpose.
#[test]
fn a_wrong_store_is_seen_and_the_world_made_smaller() {
    let bug = Bug::named("store-forgets-deliveries-of-the-last-step");
    let worlds = (0..100).map(|seed| Swarm {
        faults: [].into(),
        executions: 4,
        bug,
        ..Swarm::of(seed)
    });
    let failed = worlds.map(|swarm| simulate(&swarm));
    let failed = failed
        .into_iter()
        .find(|outcome| !outcome.violations.is_empty());
    let failed = failed.expect("one of these waits for a child");
    let check = failed.violations[0].check;
    let smallest = shrink(&failed.swarm, check, simulate);
    assert!(smallest.executions <= failed.swarm.executions && smallest.processes == 1);
    let again = simulate(&smallest);
    assert!(
        again
            .violations
            .iter()
            .any(|violation| violation.check == check)
    );
}
