//! Things by name, of which there are no more than a limit.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::OnceLock,
};

/// What stands for every name beyond the limit.
pub(super) const OTHER: &str = "other";

/// A fixed number of places, filled in the order in which names come. Once all are taken, what has a new
/// name shares one. Names that are known are found without a lock.
#[derive(Debug)]
pub(super) struct Bounded<V> {
    places: Box<[Place<V>]>,
    other: V,
}

/// A name with what has it, once it is taken.
type Place<V> = OnceLock<(Box<str>, V)>;

impl<V: Default> Bounded<V> {
    /// Room for so many names; at least one.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            places: (0..limit.max(1)).map(|_| OnceLock::new()).collect(),
            other: V::default(),
        }
    }

    /// What has this name; it is made with its first use.
    pub(super) fn get(&self, name: &str) -> &V {
        if name == OTHER {
            return &self.other;
        }
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let room = self.places.len();
        let first = usize::try_from(hasher.finish() % room as u64).unwrap_or(0);
        for step in 0..room {
            let place = &self.places[(first + step) % room];
            let (known, value) = place.get_or_init(|| (name.into(), V::default()));
            if **known == *name {
                return value;
            }
        }
        &self.other
    }

    /// All that were used, with what the others share, in the order of their names.
    pub(super) fn all(&self) -> Vec<(&str, &V)> {
        let known = self.places.iter().filter_map(OnceLock::get);
        let mut all: Vec<_> = known.map(|(name, value)| (&**name, value)).collect();
        all.push((OTHER, &self.other));
        all.sort_by_key(|(name, _)| *name);
        all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    fn counts(bounded: &Bounded<AtomicU64>) -> Vec<(&str, u64)> {
        let all = bounded.all().into_iter();
        all.map(|(name, count)| (name, count.load(Relaxed)))
            .collect()
    }

    #[test]
    fn names_beyond_the_limit_share_one_place() {
        let bounded = Bounded::<AtomicU64>::new(2);
        for name in ["a", "b", "c", "a", "d", "other"] {
            bounded.get(name).fetch_add(1, Relaxed);
        }
        assert_eq!(counts(&bounded), [("a", 2), ("b", 1), ("other", 3)]);
    }

    #[test]
    fn names_that_come_at_once_have_one_place_each() {
        let bounded = Bounded::<AtomicU64>::new(64);
        let count = || {
            for name in 0..48 {
                bounded.get(&name.to_string()).fetch_add(1, Relaxed);
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(count))));
        let counts = counts(&bounded);
        assert_eq!(counts.len(), 49);
        assert!(
            counts
                .iter()
                .all(|(name, count)| *name == OTHER || *count == 4)
        );
    }
}
