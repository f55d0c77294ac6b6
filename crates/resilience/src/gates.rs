//! A gate for each destination, no more than so many.

use std::{collections::BTreeMap, fmt, sync::Arc};

use nebula_core::Clock;
use parking_lot::Mutex;

use crate::{Gate, GatePolicy, Snapshot};

/// How many gates there are at most, unless another number is given.
pub const DEFAULT_KEYS: usize = 1_024;

/// Gates by their keys, made when they are first asked for.
///
/// There are no more than a given number. For a new one that would be too many, one makes room that
/// nobody holds: where there is one, a gate that remembers nothing, else that which was not asked for
/// the longest; what that one remembered (its rate, its breaker) is lost, and counted. While all are
/// held there is none for a new key.
#[derive(Debug)]
pub struct Gates<K> {
    clock: Arc<dyn Clock>,
    max_keys: usize,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    entries: BTreeMap<K, Entry>,
    asked: u64,
    forgotten: u64,
}

#[derive(Debug)]
struct Entry {
    gate: Arc<Gate>,
    /// The number of the last question for it.
    asked: u64,
}

impl<K: Ord + Clone + fmt::Debug> Gates<K> {
    /// At most `max_keys` gates; 0 counts as 1.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, max_keys: usize) -> Self {
        Self {
            clock,
            max_keys: max_keys.max(1),
            state: Mutex::new(State {
                entries: BTreeMap::new(),
                asked: 0,
                forgotten: 0,
            }),
        }
    }

    /// The gate of `key`, made with `policy` if there is none; `None` if there are as many as may be,
    /// and each is held by somebody.
    pub fn gate(&self, key: &K, policy: impl FnOnce() -> GatePolicy) -> Option<Arc<Gate>> {
        let mut state = self.state.lock();
        state.asked += 1;
        let asked = state.asked;
        if let Some(entry) = state.entries.get_mut(key) {
            entry.asked = asked;
            return Some(Arc::clone(&entry.gate));
        }
        if state.entries.len() >= self.max_keys && !state.make_room() {
            return None;
        }
        let gate = Gate::new(Arc::clone(&self.clock), policy());
        let entry = Entry {
            gate: Arc::clone(&gate),
            asked,
        };
        state.entries.insert(key.clone(), entry);
        Some(gate)
    }

    /// Gives each gate the limits that `policy` says for its key, as [`Gate::adjust`] does.
    pub fn adjust(&self, policy: impl Fn(&K) -> GatePolicy) {
        for (key, entry) in &self.state.lock().entries {
            entry.gate.adjust(policy(key));
        }
    }

    /// How each gate stands, in the order of their keys.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(K, Snapshot)> {
        let state = self.state.lock();
        let entries = state.entries.iter();
        entries
            .map(|(key, entry)| (key.clone(), entry.gate.snapshot()))
            .collect()
    }

    /// How many gates were given up that remembered something.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.state.lock().forgotten
    }
}

impl<K: Ord + Clone> State<K> {
    /// Gives one gate up that nobody holds; says whether there was one.
    fn make_room(&mut self) -> bool {
        let free = self
            .entries
            .iter()
            .filter(|(_, entry)| Arc::strong_count(&entry.gate) == 1);
        // Blank ones first, then the one whose last question is the oldest.
        let next = free
            .map(|(key, entry)| ((!entry.gate.is_blank(), entry.asked), key))
            .min_by_key(|(rank, _)| *rank)
            .map(|((remembers, _), key)| (remembers, key.clone()));
        let Some((remembers, key)) = next else {
            return false;
        };
        self.forgotten += u64::from(remembers);
        self.entries.remove(&key).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nebula_testkit::{ManualClock, run};

    use super::*;
    use crate::{CallRate, Verdict};

    fn policy() -> GatePolicy {
        GatePolicy {
            rate: Some(CallRate {
                limit: 1,
                per: Duration::from_secs(1),
                burst: 1,
            }),
            ..GatePolicy::default()
        }
    }

    fn keys(gates: &Gates<u32>) -> Vec<u32> {
        gates.snapshot().into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_key_has_one_gate() {
        let gates = Gates::new(Arc::new(ManualClock::default()), 2);
        let first = gates.gate(&1, policy).unwrap();
        assert!(Arc::ptr_eq(&first, &gates.gate(&1, policy).unwrap()));
        assert!(!Arc::ptr_eq(&first, &gates.gate(&2, policy).unwrap()));
    }

    #[test]
    fn what_remembers_nothing_makes_room_first() {
        run(async {
            let clock = ManualClock::default();
            let gates = Gates::new(Arc::new(clock.clone()), 3);
            for key in 0..3 {
                drop(gates.gate(&key, policy));
            }
            // 2 and 0 have used their token; 1 is blank, though they were asked for before it.
            for key in [2, 0, 1] {
                let gate = gates.gate(&key, policy).unwrap();
                if key != 1 {
                    gate.enter(Duration::ZERO).await.unwrap().end(Verdict::Good);
                }
            }
            drop(gates.gate(&3, policy));
            assert_eq!((keys(&gates), gates.forgotten()), (vec![0, 2, 3], 0));
            drop(
                gates
                    .gate(&3, policy)
                    .unwrap()
                    .enter(Duration::ZERO)
                    .await
                    .unwrap(),
            );
            drop(gates.gate(&4, policy));
            // Of those that remember, the one whose last question is the oldest.
            assert_eq!((keys(&gates), gates.forgotten()), (vec![0, 3, 4], 1));
        });
    }

    #[test]
    fn what_somebody_holds_stays() {
        run(async {
            let gates = Gates::new(Arc::new(ManualClock::default()), 2);
            let pass = gates
                .gate(&0, policy)
                .unwrap()
                .enter(Duration::ZERO)
                .await
                .unwrap();
            let held = gates.gate(&1, policy).unwrap();
            assert!(gates.gate(&2, policy).is_none());
            drop(held);
            assert!(gates.gate(&2, policy).is_some());
            assert_eq!(keys(&gates), [0, 2]);
            drop(pass);
        });
    }

    #[test]
    fn there_are_never_more_than_may_be() {
        let gates = Gates::new(Arc::new(ManualClock::default()), 8);
        for key in 0..1_000 {
            assert!(gates.gate(&key, policy).is_some());
            assert!(gates.snapshot().len() <= 8);
        }
    }
}
