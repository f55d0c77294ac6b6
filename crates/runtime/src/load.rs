//! From a lease to a machine.

use std::{
    future::poll_fn,
    mem::replace,
    sync::{Arc, Mutex},
    task::Poll,
};

use nebula_core::{Digest, TenantId};
use nebula_execution::{Entry, ExecutionPlan, Machine, StoredEntry};
use nebula_ports::{ErrorKind, Granted, PortError, Result};
use tokio::sync::OnceCell;
use tracing::warn;

use crate::worker::{Shared, lock};

/// How many journal entries are read at a time.
pub(crate) const PAGE: usize = 1_000;

/// Plans that were used lately, the last used last. One that is not there yet is read and decoded by
/// whoever asks first; the others wait for that.
#[derive(Debug, Default)]
pub(crate) struct PlanCache {
    plans: Mutex<Vec<CachedPlan>>,
}

type PlanCell = Arc<OnceCell<Arc<ExecutionPlan>>>;
type CachedPlan = ((TenantId, Digest), PlanCell);

impl PlanCache {
    /// The place of a plan, which from now on counts as used last; at most `most` are kept.
    fn place(&self, tenant: &TenantId, digest: Digest, most: usize) -> PlanCell {
        let mut plans = lock(&self.plans);
        let known = |((of, other), _): &CachedPlan| *other == digest && of == tenant;
        if let Some(at) = plans.iter().position(known) {
            plans[at..].rotate_left(1);
        } else {
            if plans.len() >= most.max(1) {
                plans.remove(0);
            }
            plans.push(((tenant.clone(), digest), PlanCell::default()));
        }
        plans
            .last()
            .map(|(_, plan)| plan.clone())
            .unwrap_or_default()
    }
}

impl Shared {
    /// Reads plan, snapshot and journal, and folds them; of the journal what is not in `entries`, its
    /// beginning, which stays as it is.
    pub(crate) async fn load(
        &self,
        granted: &Granted,
        entries: &mut Vec<Entry>,
    ) -> Result<Machine> {
        let tenant = &granted.lease.tenant;
        let plan = self.plan(tenant, granted.plan).await?;
        let id = granted.lease.execution;
        let restored = granted.snapshot.as_ref().and_then(|snapshot| {
            let machine = Machine::restore(plan.clone(), tenant.clone(), id, &snapshot.state);
            match machine {
                Ok(machine) => Some((machine, snapshot.through + 1)),
                Err(error) => {
                    // A snapshot is a shortcut: the journal says the same, and takes longer.
                    warn!(execution = %id, %error, "a snapshot is passed over");
                    None
                }
            }
        });
        let (machine, mut from) =
            restored.unwrap_or_else(|| (Machine::new(plan, tenant.clone(), id), 1));
        let mut machine = machine.careful(granted.grants_without_progress > 0);
        if from == 1 {
            let folded = std::mem::take(entries).into_iter().map(|entry| {
                let (seq, epoch) = (from, 0);
                let stored = StoredEntry { seq, epoch, entry };
                machine.apply(&stored);
                from += 1;
                stored.entry
            });
            *entries = folded.collect();
        }
        while from < granted.next_seq {
            let page = self
                .ports
                .executions
                .journal(tenant, id, from, PAGE)
                .await?;
            if page.entries.is_empty() {
                let message = format!("the journal of {id} ends before entry {from}");
                return Err(PortError::new(
                    ErrorKind::Corrupt,
                    "runtime",
                    "read a journal",
                    message,
                ));
            }
            for entry in &page.entries {
                if entry.seq != from {
                    let message = format!(
                        "the journal of {id} has entry {} where {from} should be",
                        entry.seq
                    );
                    return Err(PortError::new(
                        ErrorKind::Corrupt,
                        "runtime",
                        "read a journal",
                        message,
                    ));
                }
                machine.apply(entry);
                from += 1;
            }
        }
        Ok(machine)
    }

    pub(crate) async fn plan(
        &self,
        tenant: &TenantId,
        digest: Digest,
    ) -> Result<Arc<ExecutionPlan>> {
        let place = self.plans.place(tenant, digest, self.config.plans);
        let mut read = false;
        let plan = place.get_or_try_init(|| {
            read = true;
            self.read_plan(tenant, digest)
        });
        let plan = plan.await.cloned();
        if read && self.ports.spawn.is_some() {
            // Who waited for it is woken now, and on the threads of tokio stays behind this task, which
            // may go on to compute for long. In one task all go on in their order anyway.
            let_others_go_on().await;
        }
        plan
    }

    async fn read_plan(&self, tenant: &TenantId, digest: Digest) -> Result<Arc<ExecutionPlan>> {
        let failed =
            |kind, message: String| PortError::new(kind, "runtime", "load a plan", message);
        let bytes = self.ports.workflows.plan(tenant, digest).await?;
        let bytes = bytes.ok_or_else(|| {
            failed(
                ErrorKind::Corrupt,
                format!("no plan is stored under {digest}"),
            )
        })?;
        let plan = ExecutionPlan::decode(&bytes).map_err(|error| {
            let kind = match error {
                nebula_execution::PlanError::Format { .. } => ErrorKind::Format,
                _ => ErrorKind::Corrupt,
            };
            failed(kind, error.to_string())
        })?;
        Ok(Arc::new(plan))
    }
}

/// Gives the thread back once, to be polled again soon.
async fn let_others_go_on() {
    let mut gave = false;
    poll_fn(|context| match replace(&mut gave, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}
