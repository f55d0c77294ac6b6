//! What a trigger does at a moment: on time, too late, after a jump of the clock, spread by jitter.

use std::{collections::BTreeMap, time::Duration};

use nebula_core::Timestamp;
use nebula_trigger::{Firing, Misfire, ON_TIME, Overlap, Schedule, Timing};
use proptest::prelude::*;

const SEED: &[u8] = b"orders/nightly";
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + millis)
}

/// Every hour on the hour, or what `every` says, from `at(0)`.
fn every(period: i64, misfire: Misfire) -> Timing {
    let period = Duration::from_millis(period.unsigned_abs());
    Timing {
        schedule: Schedule::every(period, at(0)).unwrap(),
        misfire,
        window: Duration::from_hours(6),
        overlap: Overlap::Allow,
        jitter: Duration::ZERO,
    }
}

/// What it starts from `through` on while it is `now`, and where it stands then.
fn fires(timing: &Timing, through: i64, now: i64) -> (Vec<i64>, Timestamp) {
    let (mut through, mut started) = (at(through), Vec::new());
    for _ in 0..10_000 {
        match timing.decide(SEED, through, at(now)) {
            Firing::Waits(_) => return (started, through),
            Firing::Starts { occurrence, then } => {
                assert!(occurrence > through && then.through == occurrence);
                started.push(occurrence.as_millis() - at(0).as_millis());
                through = then.through;
            }
            Firing::LeavesOut(then) => {
                assert!(then.through > through);
                through = then.through;
            }
        }
    }
    panic!("it does not come to rest");
}

#[test]
fn what_is_on_time_starts_once_under_every_policy() {
    for misfire in [Misfire::Skip, Misfire::Once, Misfire::All] {
        let hourly = every(HOUR, misfire);
        for late in [0, 1, i64::try_from(ON_TIME.as_millis()).unwrap()] {
            let now = HOUR + late;
            assert_eq!(
                fires(&hourly, 0, now),
                (vec![HOUR], at(HOUR)),
                "{misfire:?} {late}"
            );
        }
        let early = hourly.decide(SEED, at(0), at(HOUR - 1));
        assert_eq!(early, Firing::Waits(Some(at(HOUR))));
    }
}

#[test]
fn what_was_missed_is_left_out_or_made_up_for() {
    let now = 9 * HOUR + 30 * MINUTE;
    let fired = |misfire| fires(&every(HOUR, misfire), 0, now).0;
    assert_eq!(fired(Misfire::Skip), [0_i64; 0]);
    assert_eq!(fired(Misfire::Once), [9 * HOUR]);
    // Six hours back and no further.
    let six: Vec<_> = (4..=9).map(|hour| hour * HOUR).collect();
    assert_eq!(fired(Misfire::All), six);
}

#[test]
fn one_that_is_on_time_stands_for_those_that_were_missed() {
    let now = 9 * HOUR + 5 * SECOND;
    let fired = |misfire| fires(&every(HOUR, misfire), 0, now).0;
    assert_eq!(fired(Misfire::Skip), [9 * HOUR]);
    assert_eq!(fired(Misfire::Once), [9 * HOUR]);
    assert_eq!(fired(Misfire::All).last(), Some(&(9 * HOUR)));
}

#[test]
fn a_missed_one_outside_of_the_window_is_left_out() {
    let daily = every(24 * HOUR, Misfire::Once);
    let (started, through) = fires(&daily, 0, 24 * HOUR + 7 * HOUR);
    assert_eq!((started, through), (Vec::new(), at(24 * HOUR)));
}

#[test]
fn a_clock_that_went_back_repeats_nothing() {
    let hourly = every(HOUR, Misfire::All);
    let (_, through) = fires(&hourly, 0, 3 * HOUR);
    assert_eq!(through, at(3 * HOUR));
    let (started, stays) = fires(&hourly, 3 * HOUR, HOUR);
    assert_eq!((started, stays), (Vec::new(), through));
}

#[test]
fn jitter_spreads_and_is_the_same_for_whoever_asks() {
    let spread = Timing {
        jitter: Duration::from_mins(10),
        ..every(HOUR, Misfire::Skip)
    };
    let mut seen = BTreeMap::new();
    for hour in 0..200 {
        let occurrence = at(hour * HOUR);
        let due = spread.due_at(SEED, occurrence);
        let late = due.since(occurrence);
        assert!(due >= occurrence && late <= spread.jitter);
        assert_eq!(spread.due_at(SEED, occurrence), due);
        *seen.entry(late.as_secs() / 60).or_insert(0) += 1;
        let through = at(hour * HOUR - 1);
        let before = Timestamp::from_millis(due.as_millis() - 1);
        assert_eq!(
            spread.decide(SEED, through, before),
            Firing::Waits(Some(due))
        );
        let starts = spread.decide(SEED, through, due);
        assert!(matches!(starts, Firing::Starts { occurrence: it, .. } if it == occurrence));
    }
    // Ten minutes, each with its share of 200.
    assert!(
        seen.len() >= 10 && seen.values().all(|count| *count < 60),
        "{seen:?}"
    );
    let other = spread.due_at(b"another", at(HOUR));
    assert_ne!(other, spread.due_at(SEED, at(HOUR)));
}

#[test]
fn a_long_sleep_costs_no_walk_through_every_occurrence() {
    // Nobody looked for 50 years, at a trigger of every second.
    let often = every(SECOND, Misfire::Once);
    let now = 50 * 365 * 24 * HOUR;
    let missed = now - i64::try_from(ON_TIME.as_millis()).unwrap() - SECOND;
    let first = often.decide(SEED, at(0), at(now));
    let Firing::LeavesOut(then) = first else {
        panic!("{first:?}")
    };
    assert_eq!(then.through, at(missed));
}

#[test]
fn once_is_once() {
    let once = Timing {
        schedule: Schedule::once(at(HOUR)),
        ..every(HOUR, Misfire::Once)
    };
    assert_eq!(fires(&once, 0, 2 * HOUR), (vec![HOUR], at(HOUR)));
    let over = once.decide(SEED, at(HOUR), at(9 * HOUR));
    assert_eq!(over, Firing::Waits(None));
}

proptest! {
    /// However somebody looks, and wherever the clock jumps: in order, none twice, and under `all` with
    /// a window that is long enough none left out.
    #[test]
    fn each_occurrence_starts_once_however_the_clock_goes(
        minutes in 1_i64..90,
        looks in prop::collection::vec(-40 * MINUTE..90 * MINUTE, 1..60),
    ) {
        let timing = Timing {
            window: Duration::from_hours(24 * 31),
            jitter: Duration::from_secs(20),
            ..every(minutes * MINUTE, Misfire::All)
        };
        let (mut now, mut through, mut started) = (0, 0, vec![]);
        for step in looks {
            now += step;
            let (more, then) = fires(&timing, through, now);
            started.extend(more);
            through = then.as_millis() - at(0).as_millis();
        }
        let expected: Vec<_> = (1..).map(|n| n * minutes * MINUTE).take(started.len()).collect();
        prop_assert_eq!(started, expected);
    }

    /// What is said to be the last one between two moments is.
    #[test]
    fn the_last_one_is_found_without_a_walk(minute in 0_u32..60, hours in 1_i64..400, from in 0_i64..400) {
        let schedule = Schedule::cron(&format!("{minute} */3 * * *"), "Europe/Berlin").unwrap();
        let (after, until) = (at(from * HOUR), at((from + hours) * HOUR));
        let walked = schedule.occurrences(after).take_while(|it| *it <= until).last();
        prop_assert_eq!(schedule.last_between(after, until), walked);
    }
}
