//! The host's randomness.

use nebula_core::Entropy;

/// Gives bits of a cryptographically secure generator that the operating system seeds, one per thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the entropy that everybody else is sent to"
    )]
    fn next_u64(&self) -> u64 {
        rand::random()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nebula_core::Timestamp;

    use super::*;

    #[test]
    fn numbers_and_ids_do_not_repeat() {
        let numbers: BTreeSet<_> = (0..1_000).map(|_| SystemEntropy.next_u64()).collect();
        assert_eq!(numbers.len(), 1_000);
        let now = Timestamp::from_millis(1_773_480_413_589);
        let ids: BTreeSet<_> = (0..1_000)
            .map(|_| SystemEntropy.execution_id(now))
            .collect();
        assert_eq!(ids.len(), 1_000);
    }

    #[test]
    fn ids_sort_by_their_time() {
        let id = |millis| SystemEntropy.execution_id(Timestamp::from_millis(millis));
        let ids: Vec<_> = (1..100).map(id).collect();
        assert!(ids.is_sorted());
    }
}
