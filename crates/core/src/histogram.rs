//! Counts of values by their size, for metrics.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Counts values by upper bounds, with atomics: whoever counts waits for nobody.
///
/// Values are whole numbers; [`Histogram::took`] counts a time in microseconds. The counts and the sum are
/// read one after the other, so that a reading may lack a value that is being counted.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for what is above all of them.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a [`Histogram`] counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistogramReading {
    /// Upper bounds, each part of its bucket, in rising order.
    pub bounds: &'static [u64],
    /// How many values were in each bucket, and last how many were above every bound.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

impl Histogram {
    /// Bounds for what takes moments, in microseconds: from 50 µs to 10 s.
    pub const MOMENTS: &[u64] = &[
        50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 10_000_000,
    ];

    /// Bounds for what may take long, in microseconds: from 1 ms to a day.
    pub const SPANS: &[u64] = &[
        1_000,
        5_000,
        25_000,
        100_000,
        500_000,
        1_000_000,
        5_000_000,
        15_000_000,
        60_000_000,
        300_000_000,
        1_800_000_000,
        7_200_000_000,
        86_400_000_000,
    ];

    /// Bounds for numbers of things: powers of two up to 1024.
    pub const NUMBERS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

    /// An empty one; the bounds rise.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        debug_assert!(bounds.is_sorted(), "bounds rise");
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts one value.
    pub fn count(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// Counts a time, in microseconds.
    pub fn took(&self, time: Duration) {
        self.count(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// What it counted so far.
    #[must_use]
    pub fn read(&self) -> HistogramReading {
        HistogramReading {
            bounds: self.bounds,
            counts: self.counts.iter().map(|it| it.load(Relaxed)).collect(),
            sum: self.sum.load(Relaxed),
        }
    }
}

impl HistogramReading {
    /// How many values there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_in_the_first_bucket_whose_bound_is_not_below_it() {
        let histogram = Histogram::new(&[10, 20]);
        for value in [0, 10, 11, 20, 21, 5_000] {
            histogram.count(value);
        }
        let reading = histogram.read();
        assert_eq!(reading.counts, [2, 2, 2]);
        assert_eq!((reading.sum, reading.total()), (5_062, 6));
    }

    #[test]
    fn times_are_counted_in_microseconds() {
        let histogram = Histogram::new(Histogram::MOMENTS);
        histogram.took(Duration::from_millis(3));
        assert_eq!(histogram.read().sum, 3_000);
    }
}
