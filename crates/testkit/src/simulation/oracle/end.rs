//! What is true when everything is over.

use std::time::Duration;

use nebula_core::ExecutionId;
use nebula_execution::{Status, StoredEntry};

use super::Oracle;
use crate::simulation::checks;

impl Oracle {
    /// Complains about everything that should have ended and has not.
    pub(in crate::simulation) fn close(&mut self, bound: Duration) {
        let open: Vec<_> = self
            .executions
            .iter()
            .filter(|(_, watched)| !watched.ended)
            .map(|(id, watched)| {
                let (tenant, rest) = (&watched.tenant, watched.machine.rest());
                format!("{id} of {tenant} still {rest:?} after {bound:?}")
            })
            .collect();
        for what in open {
            self.complain(checks::ENDS, what);
        }
    }

    /// Holds what the store has of an execution against what was committed.
    pub(in crate::simulation) fn compare_journal(
        &mut self,
        id: ExecutionId,
        stored: &[StoredEntry],
        status: Option<Status>,
    ) {
        let watched = &self.executions[&id];
        let Some(status) = status else {
            return self.complain(checks::NOT_LOST, id.to_string());
        };
        if watched.machine.state().end_status() != Some(status) && watched.ended {
            let what = format!("{id} has the status {status:?}");
            return self.complain(checks::ONE_END, what);
        }
        let differs = watched.entries.iter().zip(stored).find(|(a, b)| a != b);
        let differs = differs.map(|(committed, stored)| format!("{id}: {stored:?}, {committed:?}"));
        let (committed, there) = (watched.entries.len(), stored.len());
        if committed != there {
            let what = format!("{id} has {there} entries, {committed} were committed");
            self.complain(checks::NO_GAPS, what);
        } else if let Some(what) = differs {
            self.complain(checks::NO_CHANGE, what);
        }
        let epochs = stored.windows(2).all(|pair| pair[0].epoch <= pair[1].epoch);
        if !epochs {
            self.complain(
                checks::HOLDER_WRITES,
                format!("{id}: epochs fall in the journal"),
            );
        }
    }
}
