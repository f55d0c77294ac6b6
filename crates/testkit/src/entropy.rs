//! Randomness that can be repeated.

use std::sync::atomic::{AtomicU64, Ordering};

use nebula_core::Entropy;

/// An [`Entropy`] that is a pure function of its seed and of how often it was asked.
///
/// The generator is SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators", 2014). When a test fails while this is alive, the seed is printed.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    state: AtomicU64,
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl SeededEntropy {
    /// The sequence that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            state: AtomicU64::new(seed),
        }
    }

    /// The seed that it began with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A number below `bound`, which is not zero. The bias is below `bound` / 2⁶⁴.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero");
        self.next_u64() % bound
    }

    /// One of `choices`, which are not empty.
    #[must_use]
    pub fn pick<'a, T>(&self, choices: &'a [T]) -> &'a T {
        &choices[usize::try_from(self.below(choices.len() as u64)).expect("below a usize")]
    }

    /// True `percent` times in a hundred.
    #[must_use]
    pub fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

impl Entropy for SeededEntropy {
    fn next_u64(&self) -> u64 {
        let mut z = self
            .state
            .fetch_add(GAMMA, Ordering::Relaxed)
            .wrapping_add(GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Drop for SeededEntropy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            print_seed(self.seed);
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the test harness shows stderr of a failed test"
)]
fn print_seed(seed: u64) {
    eprintln!("this failed with seed {seed}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence() {
        let (a, b, c) = (
            SeededEntropy::new(7),
            SeededEntropy::new(7),
            SeededEntropy::new(8),
        );
        let take = |entropy: &SeededEntropy| (0..4).map(|_| entropy.next_u64()).collect::<Vec<_>>();
        assert_eq!(take(&a), take(&b));
        assert_ne!(take(&a), take(&c));
    }

    #[test]
    fn the_generator_is_the_published_one() {
        // First values for seed 1234567, from the reference implementation in C.
        let entropy = SeededEntropy::new(1_234_567);
        assert_eq!(entropy.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(entropy.next_u64(), 3_203_168_211_198_807_973);
    }
}
