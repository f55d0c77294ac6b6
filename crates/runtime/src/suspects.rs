//! Executions that lost their worker again and again: one of them may be what takes workers down.
//!
//! A process that dies takes everything along that was in its hands, so after a few deaths all that it
//! had looks alike. From then on they begin one after the other: the culprit is alone when it strikes
//! again, and only it is counted on.

use std::{sync::Mutex, time::Duration};

use nebula_core::ExecutionId;
use nebula_ports::{Lease, PortError};

use crate::{
    Worker,
    drive::Driven,
    worker::{RETRY_AFTER, lock},
};

/// After how many lost workers an execution goes on apart from others like it: a crash, and another
/// one on the way up, happen to everybody.
pub(crate) const SUSPECT_AFTER: u32 = 3;

/// How long one waits after it came to its turn: what was taken over along with it gets out of the way.
pub(crate) const SETTLE: Duration = Duration::from_millis(200);

/// After how long the next one begins though the one before it has not come to its end: what worked for
/// so long is less of a suspect, and must not hold up the others.
const TURN: Duration = Duration::from_secs(10);

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    turn: Mutex<Option<(ExecutionId, Duration)>>,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    of: &'a Suspects,
    execution: ExecutionId,
}

impl Suspects {
    /// The turn, if nobody has it; `now` by this process's own clock.
    pub(crate) fn turn(&self, execution: ExecutionId, now: Duration) -> Option<Turn<'_>> {
        let mut turn = lock(&self.turn);
        if turn.is_some_and(|(_, since)| now.saturating_sub(since) < TURN) {
            return None;
        }
        *turn = Some((execution, now));
        Some(Turn {
            of: self,
            execution,
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turn = lock(&self.of.turn);
        if turn.is_some_and(|(execution, _)| execution == self.execution) {
            *turn = None;
        }
    }
}

impl Worker {
    /// Leaves an execution for a while: it is another one's turn. Its lease is given back, so that a
    /// death meanwhile is not counted on it.
    pub(crate) async fn pass_by(&self, lease: Lease) -> Result<Driven, PortError> {
        self.shared.ports.executions.release(&lease).await?;
        let due = self.shared.ports.clock.now().plus(RETRY_AFTER);
        Ok(Driven::Rests { due: Some(due) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execution(n: u8) -> ExecutionId {
        let id = format!("00000000-0000-7000-8000-{n:012}");
        id.parse().unwrap()
    }

    #[test]
    fn one_at_a_time_has_the_turn_until_it_gives_it_back() {
        let (suspects, now) = (Suspects::default(), Duration::from_secs(1));
        let first = suspects.turn(execution(1), now);
        assert!(first.is_some());
        assert!(suspects.turn(execution(2), now).is_none());
        drop(first);
        assert!(suspects.turn(execution(2), now).is_some());
    }

    #[test]
    fn who_is_long_at_work_holds_nobody_up_and_takes_nobodys_turn_with_it() {
        let (suspects, now) = (Suspects::default(), Duration::from_secs(1));
        let first = suspects.turn(execution(1), now);
        let second = suspects.turn(execution(2), now + TURN);
        assert!(second.is_some());
        drop(first);
        assert!(suspects.turn(execution(3), now + TURN).is_none());
    }
}
