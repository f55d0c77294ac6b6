//! Turns: in which order tasks go, so that nobody holds another up for ever.
//!
//! Tenants take turns; within a tenant the higher priority goes first, as long as the patience of the
//! others lasts; within a priority, workflows take turns. Queue and sweep order by the same rule; what tenants weigh is known to the
//! queue alone.

use std::collections::{BTreeMap, VecDeque};

use nebula_core::{Priority, TenantId, WorkflowId};

/// How often the tasks of each priority were passed over while they waited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turns {
    passed: [u32; Priority::ALL.len()],
}

impl Turns {
    /// Whose turn it is among the priorities of which something waits: the least urgent whose patience
    /// is at its end, else the most urgent. It counts as taken.
    pub fn take(&mut self, waits: impl Fn(Priority) -> bool) -> Option<Priority> {
        let waiting = || Priority::ALL.into_iter().filter(|it| waits(*it));
        let passed = |it: &Priority| self.passed[usize::from(it.number())];
        let impatient = waiting().find(|it| it.patience().is_some_and(|most| passed(it) >= most));
        let next = impatient.or_else(|| waiting().next_back())?;
        for (priority, passed) in Priority::ALL.into_iter().zip(&mut self.passed) {
            match waits(priority) {
                true if priority < next => *passed += 1,
                true if priority > next => {}
                _ => *passed = 0,
            }
        }
        Some(next)
    }
}

/// Lines of tasks, each of one tenant, priority and workflow, and their common order.
#[derive(Debug)]
pub struct Lines<T> {
    lines: BTreeMap<TenantId, BTreeMap<Priority, BTreeMap<WorkflowId, VecDeque<T>>>>,
}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        let lines = BTreeMap::new();
        Self { lines }
    }
}

impl<T> Lines<T> {
    /// Puts a task at the end of its line.
    pub fn push(&mut self, tenant: &TenantId, priority: Priority, workflow: &WorkflowId, task: T) {
        let levels = self.lines.entry(tenant.clone()).or_default();
        let workflows = levels.entry(priority).or_default();
        let line = workflows.entry(workflow.clone()).or_default();
        line.push_back(task);
    }

    /// All tasks in their turns.
    #[must_use]
    pub fn in_turns(self) -> Vec<T> {
        let tenants = self.lines.into_values().map(of_tenant);
        interleaved(tenants.collect()).into()
    }
}

fn of_tenant<T>(levels: BTreeMap<Priority, BTreeMap<WorkflowId, VecDeque<T>>>) -> VecDeque<T> {
    let levels = levels.into_iter();
    let mut levels: BTreeMap<_, _> = levels
        .map(|(priority, workflows)| (priority, interleaved(workflows.into_values().collect())))
        .collect();
    let (mut order, mut turns) = (VecDeque::new(), Turns::default());
    while let Some(next) = turns.take(|it| levels.get(&it).is_some_and(|line| !line.is_empty())) {
        order.extend(levels.get_mut(&next).and_then(VecDeque::pop_front));
    }
    order
}

/// The first of each line, then the second of each, and so on.
fn interleaved<T>(mut lines: Vec<VecDeque<T>>) -> VecDeque<T> {
    let mut order = VecDeque::new();
    while !lines.is_empty() {
        order.extend(lines.iter_mut().filter_map(VecDeque::pop_front));
        lines.retain(|line| !line.is_empty());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many turns each priority gets of so many, while something of all these waits.
    fn shares(waiting: &[Priority], turns: usize) -> Vec<usize> {
        let mut taken = Turns::default();
        let order: Vec<_> = (0..turns)
            .map(|_| taken.take(|it| waiting.contains(&it)).unwrap())
            .collect();
        let count = |priority| order.iter().filter(|it| **it == priority).count();
        waiting.iter().map(|it| count(*it)).collect()
    }

    #[test]
    fn the_most_urgent_goes_first_and_nobody_waits_for_ever() {
        use Priority::{High, Highest, Low, Lowest, Normal};
        assert_eq!(shares(&[Normal], 9), [9]);
        assert_eq!(shares(&[High, Highest], 10), [2, 8]);
        assert_eq!(shares(&[Lowest, Highest], 66), [2, 64]);
        let all = shares(&[Lowest, Low, Normal, High, Highest], 330);
        assert!(all.is_sorted() && all[0] >= 9, "{all:?}");
    }

    #[test]
    fn patience_ends_after_so_many_turns_of_others() {
        for (priority, patience) in Priority::ALL
            .iter()
            .filter_map(|it| Some((it, it.patience()?)))
        {
            let mut turns = Turns::default();
            let urgent = |it| it == *priority || it == Priority::Highest;
            for _ in 0..patience {
                assert_eq!(turns.take(urgent), Some(Priority::Highest));
            }
            assert_eq!(turns.take(urgent), Some(*priority));
            assert_eq!(turns.take(urgent), Some(Priority::Highest));
        }
        assert_eq!(Turns::default().take(|_| false), None);
    }

    #[test]
    fn what_no_longer_waits_begins_its_patience_anew() {
        let mut turns = Turns::default();
        for _ in 0..7 {
            turns.take(|it| it >= Priority::Normal);
        }
        assert_eq!(
            turns.take(|it| it == Priority::Highest),
            Some(Priority::Highest)
        );
        for _ in 0..8 {
            let both = |it| it == Priority::Normal || it == Priority::Highest;
            assert_eq!(turns.take(both), Some(Priority::Highest));
        }
    }

    #[test]
    fn an_impatient_one_that_goes_first_takes_nobodys_patience_away() {
        use Priority::{Highest, Lowest, Normal};
        let patience = |it: Priority| it.patience().unwrap();
        let mut turns = Turns::default();
        for _ in 1..patience(Lowest) {
            turns.take(|it| it == Lowest || it == Highest);
        }
        let mut take = || turns.take(|it| [Lowest, Normal, Highest].contains(&it));
        // This one passes both over.
        assert_eq!(take(), Some(Highest));
        assert_eq!(take(), Some(Lowest));
        for _ in 1..patience(Normal) {
            assert_eq!(take(), Some(Highest));
        }
        assert_eq!(take(), Some(Normal));
    }
}
