//! Numbers from measurements.

use std::time::Duration;

/// Durations of many repetitions of one thing.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// One more.
    pub fn add(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// All of `other` too.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The duration that `percent` of 100 samples do not exceed; zero without samples.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }
}

/// The middle of `values`; of two in the middle, the higher. Zero of none.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_medians_are_samples() {
        let mut samples = Samples::default();
        assert_eq!(samples.percentile(99), Duration::ZERO);
        for n in (1..=200).rev() {
            samples.add(Duration::from_micros(n));
        }
        assert_eq!(samples.percentile(50), Duration::from_micros(100));
        assert_eq!(samples.percentile(99), Duration::from_micros(198));
        assert_eq!(samples.percentile(100), Duration::from_micros(200));
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
