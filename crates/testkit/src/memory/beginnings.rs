//! What a creation together with its first step does to the model: the one, then the other.

use nebula_core::{Timestamp, WorkflowId};
use nebula_execution::{Fact, NewExecution};
use nebula_ports::{
    Begun, Created, DedupeKey, ErrorKind, ExecutionRepo, Lease, LeaseRequest, PortError, Result,
    Step, Stepped,
};

use super::{
    ExecutionGuard as Guard,
    record::DRIVER,
    records::{Guards, Records},
    steps::check_shape,
};

impl Records {
    /// Creates an execution with its first step, or says why not. An error leaves the caller's copy
    /// half done: it is thrown away.
    pub(super) fn begin(
        &mut self,
        lease: &Lease,
        dedupe: Option<DedupeKey>,
        step: Step,
        now: Timestamp,
    ) -> Result<Begun> {
        let guards = self.guards;
        let (tenant, id) = (&lease.tenant, lease.execution);
        let new = beginning(guards, lease, &step)?;
        // Where nobody has refused them, as if they had been right.
        let lease = &Lease {
            epoch: <dyn ExecutionRepo>::FIRST_EPOCH,
            ..lease.clone()
        };
        let step = Step {
            expected_seq: 1,
            ..step
        };
        let known = self.get(tenant, id).filter(|row| row.has(guards, &step));
        if let Some(row) = known.filter(|_| guards.keep(Guard::BeginReplay)) {
            return Ok(Begun::Replayed {
                next_seq: row.next_seq(),
                inbox_head: row.inbox_head(),
            });
        }
        let dedupe = dedupe.filter(|_| guards.keep(Guard::BeginKey));
        let request = LeaseRequest {
            holder: lease.holder,
            ttl: lease.ttl,
        };
        match self.create(tenant, new, dedupe, Some(request), now)? {
            Created::Created(_) => {}
            Created::Exists { id, same_input } => {
                if !guards.keep(Guard::BeginExistsWritesNothing) {
                    self.deliver(lease, &step.deliver, now)?;
                }
                return Ok(Begun::Exists { id, same_input });
            }
            other => return Err(invalid(format!("it was created as {other:?}"))),
        }
        // Its start is the first entry of its first step.
        if let Some(row) = self.get_mut(tenant, id)
            && guards.keep(Guard::BeginStart)
        {
            row.unwritten();
        }
        if !guards.keep(Guard::BeginSteps) {
            return Ok(Begun::Applied {
                next_seq: 1 + step.entries.len() as u64,
                inbox_head: 0,
            });
        }
        match self.step(lease, step, now)? {
            Stepped::Applied {
                next_seq,
                inbox_head,
            } => Ok(Begun::Applied {
                next_seq,
                inbox_head,
            }),
            other => Err(invalid(format!("its first step was {other:?}"))),
        }
    }
}

fn invalid(message: impl Into<String>) -> PortError {
    PortError::new(ErrorKind::Invalid, DRIVER, "begin", message)
}

/// What the first step of a lease creates.
fn beginning(guards: Guards, lease: &Lease, step: &Step) -> Result<NewExecution> {
    if lease.epoch != <dyn ExecutionRepo>::FIRST_EPOCH && guards.keep(Guard::BeginEpoch) {
        return Err(invalid("the lease of a beginning is not the first"));
    }
    if step.expected_seq != 1 && guards.keep(Guard::BeginPlace) {
        return Err(invalid("a beginning is not at place 1"));
    }
    check_shape(guards, step)?;
    let entries: Vec<_> = step.entries.iter().take(1).cloned().collect();
    let (workflow, version) = match entries.first().map(|first| &first.fact) {
        Some(Fact::ExecutionStarted(started)) => (started.workflow.clone(), started.version),
        _ if guards.keep(Guard::StartsFirst) => {
            return Err(invalid("the first entry of a beginning is not the start"));
        }
        _ => (WorkflowId::new("none").expect("an id"), 0),
    };
    Ok(NewExecution {
        id: lease.execution,
        tenant: lease.tenant.clone(),
        workflow,
        version,
        entries,
        slot: None,
        rate: None,
        trigger: None,
        quotas: nebula_ports::Quotas::default(),
    })
}
