//! How large a tenant's part of what workers do is.

use std::num::NonZeroU32;

/// The largest weight: so many turns has a tenant where one that weighs least has one.
pub const MAX_WEIGHT: u32 = 100;

/// How many turns a tenant has in the queue where another has one, while both have work that waits;
/// 1 to [`MAX_WEIGHT`], and 1 where nothing is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(NonZeroU32);

/// A weight that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the weight is {0}; it is from 1 to {MAX_WEIGHT}")]
pub struct WeightError(pub u32);

impl Default for Weight {
    fn default() -> Self {
        Self(NonZeroU32::MIN)
    }
}

impl Weight {
    /// So much.
    ///
    /// # Errors
    /// It is zero or more than [`MAX_WEIGHT`].
    pub fn new(weight: u32) -> Result<Self, WeightError> {
        let within = Some(weight).filter(|it| *it <= MAX_WEIGHT);
        let within = within.and_then(NonZeroU32::new);
        within.map(Self).ok_or(WeightError(weight))
    }

    /// How many turns.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_of_nothing_or_beyond_the_largest_is_refused() {
        for wrong in [0, MAX_WEIGHT + 1, u32::MAX] {
            let refused = Weight::new(wrong).unwrap_err();
            assert!(refused.to_string().ends_with("from 1 to 100"), "{refused}");
        }
        assert_eq!(Weight::new(MAX_WEIGHT).map(Weight::get), Ok(100));
        assert_eq!(Weight::new(1), Ok(Weight::default()));
    }
}
