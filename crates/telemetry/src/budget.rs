//! How many lines one execution may log, and what is said of the rest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nebula_core::ExecutionId;
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

use crate::{flood::LEFT_OUT, place};

/// How many lines one execution may log in one process: whatever goes wrong in it for days, and again and
/// again, fills no disk.
pub(crate) const EXECUTION_BUDGET: u32 = 1_000;

/// Of how many executions it is known what they logged: of those that logged last. One that is forgotten
/// begins anew.
pub(crate) const KNOWN: usize = 10_000;

/// How often it is said of one execution.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What one execution logged.
#[derive(Debug, Default)]
struct Used {
    lines: u32,
    left_out: u64,
    said: u64,
    said_at: Option<Duration>,
    turn: u64,
}

/// Lets each execution log what it may, and counts what it logged beyond. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Budgets(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    turn: u64,
    left_out: u64,
    executions: BTreeMap<ExecutionId, Used>,
    turns: BTreeMap<u64, ExecutionId>,
}

impl Budgets {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many lines were left out in all, also of executions that are not known any more.
    pub(crate) fn left_out(&self) -> u64 {
        self.lock().left_out
    }

    /// Logs one line for each execution that has used up its budget and of which lines were left out since
    /// the last one, once in a while; in the end, of all.
    pub(crate) fn report(&self, now: Duration, ends: bool) {
        let counted = self.lock().counted(now, ends);
        for (execution, lines) in counted {
            tracing::warn!(target: LEFT_OUT, %execution, lines, budget = EXECUTION_BUDGET, "log lines were left out: the execution used up its budget");
        }
    }
}

impl Known {
    fn takes(&mut self, execution: ExecutionId) -> bool {
        self.turn += 1;
        let used = self.executions.entry(execution).or_default();
        self.turns.remove(&used.turn);
        used.turn = self.turn;
        let takes = used.lines < EXECUTION_BUDGET;
        match takes {
            true => used.lines += 1,
            false => {
                used.left_out += 1;
                self.left_out += 1;
            }
        }
        self.turns.insert(self.turn, execution);
        if self.executions.len() > KNOWN
            && let Some((_, oldest)) = self.turns.pop_first()
        {
            self.executions.remove(&oldest);
        }
        takes
    }

    /// How many lines of each execution were left out since it was said last.
    fn counted(&mut self, now: Duration, ends: bool) -> Vec<(ExecutionId, u64)> {
        let mut counted = Vec::new();
        for (execution, used) in &mut self.executions {
            let lines = used.left_out - used.said;
            let waits = used.said_at.is_some_and(|at| now < at + SAID_EVERY);
            if lines > 0 && (ends || !waits) {
                (used.said, used.said_at) = (used.left_out, Some(now));
                counted.push((*execution, lines));
            }
        }
        counted
    }
}

impl<S: Subscriber> Layer<S> for Budgets {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if event.metadata().target() == LEFT_OUT {
            return true;
        }
        match place::now() {
            Some(place) => self.lock().takes(place.execution),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> ExecutionId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        ExecutionId::from_bytes(bytes)
    }

    #[test]
    fn each_execution_has_a_budget_of_its_own() {
        let mut known = Known::default();
        let taken = (0..EXECUTION_BUDGET + 7).filter(|_| known.takes(id(1)));
        assert_eq!(taken.count(), EXECUTION_BUDGET as usize);
        assert!(known.takes(id(2)));
        assert_eq!(known.counted(Duration::ZERO, false), [(id(1), 7)]);
        assert_eq!(known.left_out, 7, "also once it was said");
    }

    #[test]
    fn it_is_said_once_in_a_while_and_in_the_end() {
        let (mut known, second) = (Known::default(), Duration::from_secs);
        let more = |known: &mut Known, lines: u32| {
            (0..lines).for_each(|_| _ = known.takes(id(1)));
        };
        more(&mut known, EXECUTION_BUDGET + 1);
        assert_eq!(known.counted(second(0), false), [(id(1), 1)]);
        more(&mut known, 5);
        assert_eq!(known.counted(second(59), false), []);
        assert_eq!(known.counted(second(60), false), [(id(1), 5)]);
        more(&mut known, 2);
        assert_eq!(known.counted(second(61), true), [(id(1), 2)]);
        assert_eq!(known.counted(second(900), true), []);
    }

    #[test]
    fn those_that_logged_last_are_known() {
        let mut known = Known::default();
        for n in 0..u32::try_from(KNOWN).unwrap() {
            known.takes(id(n));
        }
        known.takes(id(0));
        known.takes(id(1_000_000));
        assert_eq!((known.executions.len(), known.turns.len()), (KNOWN, KNOWN));
        assert!(known.executions.contains_key(&id(0)));
        assert!(!known.executions.contains_key(&id(1)));
    }
}
