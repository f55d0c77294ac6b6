//! Reading a store when all is over: the same checks over journals that real processes have written.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use nebula_core::{Digest, ExecutionId, TenantId};
use nebula_execution::{ExecutionPlan, Fact, Machine, NewExecution, Status, StoredEntry};

use super::{Arrival, Oracle};
use crate::simulation::checks::{self, Check, Violation};

/// Holds journals and effects against the invariants, after the fact.
///
/// First the plans, then every journal, then what the outside has seen.
#[derive(Debug, Default)]
pub struct Audit {
    oracle: Oracle,
}

impl Audit {
    /// A plan, by the digest under which executions name it.
    pub fn plan(&mut self, digest: Digest, plan: Arc<ExecutionPlan>) {
        self.oracle.know(digest, plan);
    }

    /// The whole journal of an execution, and the status that the store gives for it.
    pub fn journal(
        &mut self,
        tenant: &TenantId,
        id: ExecutionId,
        entries: &[StoredEntry],
        status: Status,
    ) {
        let Some(first) = entries.first() else {
            return self.oracle.complain(checks::BEGINS, id.to_string());
        };
        let Fact::ExecutionStarted(started) = &first.entry.fact else {
            return self.oracle.complain(checks::BEGINS, id.to_string());
        };
        let new = NewExecution {
            id,
            tenant: tenant.clone(),
            workflow: started.workflow.clone(),
            version: started.version,
            entries: vec![first.entry.clone()],
            slot: None,
            rate: None,
            trigger: None,
            quotas: nebula_ports::Quotas::default(),
        };
        self.oracle.created(tenant, &new, entries[0].epoch);
        if self.oracle.machine(id).is_none() {
            return;
        }
        let gap = (1..).zip(entries).find(|(seq, stored)| stored.seq != *seq);
        if let Some((seq, stored)) = gap {
            let what = format!("{id}: {} stands where {seq} belongs", stored.seq);
            return self.oracle.complain(checks::NO_GAPS, what);
        }
        // What one step has written shares an epoch, as far as the journal can tell.
        for step in entries[1..].chunk_by(|a, b| a.epoch == b.epoch) {
            let committed: Vec<_> = step.iter().map(|stored| stored.entry.clone()).collect();
            let oracle = &mut self.oracle;
            let fold = || oracle.append(id, step[0].epoch, &committed);
            if catch_unwind(AssertUnwindSafe(fold)).is_err() {
                let what = format!("{id}: no machine can have written its journal");
                return self.oracle.complain(checks::SAME_STATE, what);
            }
        }
        self.oracle.compare_journal(id, entries, Some(status));
        let ended = self.oracle.executions[&id].ended;
        if ended != status.is_terminal() {
            let what = format!("{id} has the status {status:?}");
            self.oracle.complain(checks::ONE_END, what);
        }
    }

    /// A write that the outside has seen.
    pub fn arrived(&mut self, arrival: &Arrival<'_>) {
        self.oracle.arrives(arrival, false);
    }

    /// The state to which an execution's journal leads.
    #[must_use]
    pub fn machine(&self, id: ExecutionId) -> Option<&Machine> {
        self.oracle.machine(id)
    }

    /// Says that something else is wrong.
    pub fn complain(&mut self, check: Check, what: impl Into<String>) {
        self.oracle.complain(check, what);
    }

    /// Everything that must not be, and was.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        self.oracle.violations()
    }
}
