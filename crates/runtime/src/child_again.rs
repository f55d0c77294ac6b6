//! Where an execution is a retry of another one: the children that had not completed are gone over
//! again as well, so that what they did outside is not done twice.

use std::sync::Arc;

use nebula_action::ActionError;
use nebula_core::ExecutionId;
use nebula_execution::{Again, AgainError, Copying, Fact, InstanceId, Machine, NewExecution};
use nebula_ports::{ErrorKind, PortError};

use crate::{
    drive::{Drive, Stop},
    load::PAGE,
};

impl Drive {
    /// The child as it is; or, if the execution that this one goes over again had called a child
    /// here that did not complete, a retry of that one under the id of the new one.
    pub(crate) async fn or_again(
        &mut self,
        instance: &InstanceId,
        attempt: u32,
        child: NewExecution,
    ) -> Result<Result<NewExecution, ActionError>, Stop> {
        let started = self.machine.state().started();
        let repeats = started.and_then(|started| started.repeats.as_ref());
        let before = repeats.and_then(|repeats| repeats.unfinished(instance));
        let Some(before) = before.filter(|_| attempt == 1) else {
            return Ok(Ok(child));
        };
        let Some(ended) = self.fold(before).await? else {
            let message = format!(
                "execution {before}, which this calls again, is no longer there; restart from this node to begin anew"
            );
            return Ok(Err(ActionError::fatal("CALL_GONE", message)));
        };
        self.retried(&ended, child).await
    }

    async fn retried(
        &mut self,
        ended: &Machine,
        child: NewExecution,
    ) -> Result<Result<NewExecution, ActionError>, Stop> {
        let mut copying = match Copying::new(ended, Again::Retry) {
            Ok(copying) => copying,
            // It came to its end after all: there is nothing of it to go over again.
            Err(AgainError::Completed { .. }) => return Ok(Ok(child)),
            Err(error) => return Ok(Err(refused(&error))),
        };
        let mut from = Some(1);
        while let Some(next) = from {
            let repo = &self.shared.ports.executions;
            let page = repo.journal(&self.lease.tenant, ended.id(), next, PAGE);
            let page = page.await?;
            for entry in &page.entries {
                if let Err(error) = copying.take(entry) {
                    return Ok(Err(refused(&error)));
                }
            }
            from = page.next;
        }
        let now = self.shared.ports.clock.now();
        let mut again = match copying.finish(child.id, now) {
            Ok(again) => again,
            Err(error) => return Ok(Err(refused(&error))),
        };
        (again.slot, again.rate) = (child.slot, child.rate);
        let fresh = child.entries.into_iter().next().map(|entry| entry.fact);
        if let Some(Fact::ExecutionStarted(fresh)) = fresh
            && let Some(Fact::ExecutionStarted(started)) =
                again.entries.first_mut().map(|entry| &mut entry.fact)
        {
            // Whose child it is, and what it may touch, is what this execution says.
            started.parent = fresh.parent;
            started.grants = fresh.grants;
            started.priority = fresh.priority;
            if let (Some(part), Some(fresh)) = (&mut started.part, &fresh.part) {
                let part = Arc::make_mut(part);
                (part.execution, part.started_at) = (fresh.execution, fresh.started_at);
            }
        }
        Ok(Ok(again))
    }

    /// Folds the journal of another execution; `None` if it is gone.
    async fn fold(&mut self, execution: ExecutionId) -> Result<Option<Machine>, Stop> {
        let (repo, tenant) = (&self.shared.ports.executions, &self.lease.tenant);
        if repo.get(tenant, execution).await?.is_none() {
            return Ok(None);
        }
        let mut machine: Option<Machine> = None;
        let mut from = Some(1);
        while let Some(next) = from {
            let page = repo.journal(tenant, execution, next, PAGE).await?;
            for entry in &page.entries {
                if let Fact::ExecutionStarted(started) = &entry.entry.fact {
                    let plan = self.shared.plan(tenant, started.plan).await?;
                    machine = Some(Machine::new(Arc::clone(&plan), tenant.clone(), execution));
                }
                let begun = machine.as_mut().ok_or_else(|| {
                    let message = format!("{execution} has no first entry");
                    PortError::new(ErrorKind::Corrupt, "runtime", "read a journal", message)
                })?;
                begun.apply(entry);
            }
            from = page.next;
        }
        Ok(machine)
    }
}

fn refused(error: &AgainError) -> ActionError {
    let message = format!("the child cannot be gone over again: {error}");
    ActionError::fatal("CALL_NOT_AGAIN", message)
}
