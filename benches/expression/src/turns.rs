//! Timing in turns: each competitor for a moment, round after round.
//!
//! A pause of the machine then spoils one turn of one competitor, and the middle of many turns does
//! not see it; a slow minute hits all alike, and ratios do not see that.

use std::time::Duration;

use nebula_core::Clock;
use nebula_system::SystemClock;

/// What one turn should take: long against reading the clock, short against a scheduler's slice.
const TURN: Duration = Duration::from_micros(100);

/// Measures `sides` in turns, `rounds` of them; gives the nanoseconds of one call per turn.
///
/// The outer list is by side, the inner by round, so entries of one round belong together.
pub fn measure(rounds: usize, sides: &mut [&mut dyn FnMut()]) -> Vec<Vec<f64>> {
    let clock = SystemClock::default();
    let calls: Vec<u32> = sides
        .iter_mut()
        .map(|side| calibrate(&clock, side))
        .collect();
    let mut nanos = vec![Vec::with_capacity(rounds); sides.len()];
    for _ in 0..rounds {
        for ((side, calls), nanos) in sides.iter_mut().zip(&calls).zip(&mut nanos) {
            nanos.push(turn(&clock, side, *calls).as_secs_f64() * 1e9 / f64::from(*calls));
        }
    }
    nanos
}

/// How many calls fill a turn; warms caches up on the way.
fn calibrate(clock: &dyn Clock, side: &mut dyn FnMut()) -> u32 {
    let mut calls = 1;
    while turn(clock, side, calls) < TURN && calls < 1 << 24 {
        calls *= 2;
    }
    calls
}

fn turn(clock: &dyn Clock, side: &mut dyn FnMut(), calls: u32) -> Duration {
    let begin = clock.monotonic();
    for _ in 0..calls {
        side();
    }
    clock.monotonic().saturating_sub(begin)
}

/// The middle of `values`; of two in the middle, the higher. Zero of none.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The median of the quotients of entries that belong together.
#[must_use]
pub fn ratio(values: &[f64], to: &[f64]) -> f64 {
    median(values.iter().zip(to).map(|(value, to)| value / to))
}

/// The geometric mean; zero of none.
#[must_use]
pub fn geometric_mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    (sum / values.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_of_the_middle_and_of_factors() {
        assert!((median([9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((ratio(&[2.0, 9.0, 4.0], &[1.0, 3.0, 4.0]) - 2.0).abs() < f64::EPSILON);
        assert!((geometric_mean(&[0.5, 2.0]) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn every_side_has_its_turn_in_every_round() {
        let (mut first, mut second) = (0_u64, 0_u64);
        let nanos = measure(3, &mut [&mut || first += 1, &mut || second += 1]);
        assert_eq!(nanos.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
        assert!(first >= 4 && second >= 4);
    }
}
