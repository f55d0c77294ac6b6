//! Taking turns: how many executions of a workflow run beside each other, and how often they begin.

use std::{sync::Arc, time::Duration};

use nebula_core::{ExecutionId, TenantId, duration_text};
use nebula_execution::{
    AdmissionKeyError, ExecutionPlan, NewExecution, Signal, StartSlot, Started as Begun,
};
use nebula_memory::Values;
use nebula_ports::{Created, DedupeKey, Exceeded, LeaseRequest, PortError, SlotKey, Task};

use serde_json::Value;

use crate::{Engine, SameInput, Started};

/// Why admission lets no execution begin; nothing was created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// As many executions run as may, and as many wait as may.
    #[error("{}", full(*concurrency, *waiting))]
    Full {
        /// How many may run at a time.
        concurrency: u32,
        /// How many wait.
        waiting: u32,
        /// When to try again, from now: a guess, since nobody knows when one of them ends.
        try_after: Duration,
    },
    /// As many have begun as may in this time, and as many wait as may.
    #[error("{}", limited(*limit, *per, *waiting))]
    Limited {
        /// How many may begin in each span of time.
        limit: u32,
        /// The span of time.
        per: Duration,
        /// How many wait.
        waiting: u32,
        /// When there is room again, from now.
        try_after: Duration,
    },
    /// Its tenant has used up a quota.
    #[error("{exceeded}")]
    Quota {
        /// Which one, and how much of it is used.
        #[source]
        exceeded: Exceeded,
        /// When to try again, from now: of starts when there is room, else a guess.
        try_after: Duration,
    },
    /// Its tenant is disabled.
    #[error("the tenant `{tenant}` is disabled: nothing of it begins")]
    Disabled {
        /// Which tenant.
        tenant: TenantId,
    },
    /// It cannot be said with which executions it shares its turn.
    #[error(transparent)]
    Key(#[from] AdmissionKeyError),
    /// The trigger that starts it has changed since it was read.
    #[error("its trigger has changed meanwhile")]
    Outdated,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

fn full(concurrency: u32, waiting: u32) -> String {
    let running = if concurrency == 1 {
        "one execution runs".to_owned()
    } else {
        format!("{concurrency} executions run")
    };
    match waiting {
        0 => format!("{running}, and `admission.concurrency` allows no more"),
        waiting => format!("{running} and {waiting} wait, and `admission` allows no more"),
    }
}

fn limited(limit: u32, per: Duration, waiting: u32) -> String {
    let per = duration_text(per);
    let begun = format!("`rate_limit` allows {limit} starts in {per}");
    match waiting {
        0 => format!("{begun}, and no more now"),
        waiting => format!("{begun}, and {waiting} wait, which is as many as may"),
    }
}

impl Engine {
    /// Writes a new execution with the slot and the rate that its plan asks for, and rings for it
    /// unless its creator drives it or it has to wait.
    ///
    /// # Errors
    /// [`AdmissionError`]: nothing was created, but for `Store` with `Unavailable`; the same call
    /// again, by the same id, creates no other one.
    pub async fn create(
        &self,
        tenant: &TenantId,
        plan: &ExecutionPlan,
        mut new: NewExecution,
        dedupe: Option<DedupeKey>,
        lease: Option<LeaseRequest>,
    ) -> Result<Started, AdmissionError> {
        self.admit_tenant(&mut new).await?;
        self.put_input(&mut new).await;
        let (workflow, priority) = (new.workflow.clone(), new.priority());
        let group = new.group();
        let task = |execution| Task {
            tenant: tenant.clone(),
            execution,
            workflow: workflow.clone(),
            priority,
            group: group.clone(),
        };
        let (id, slot, rate) = (new.id, new.slot.clone(), new.rate.clone());
        let metrics = self.bus.metrics();
        let repo = &self.ports.executions;
        let mut started = Started {
            id,
            lease: None,
            entries: Vec::new(),
            existed: None,
            waits_behind: None,
            begins_at: None,
            cancelled: Vec::new(),
        };
        let entries = match lease.is_some() || self.bus.wants_events() {
            true => new.entries.clone(),
            false => Vec::new(),
        };
        let created = repo.create(tenant, new, dedupe, lease).await?;
        if matches!(
            created,
            Created::Created(_) | Created::Waits { .. } | Created::Later { .. }
        ) {
            metrics.started(&workflow);
            // Before anybody is rung for: what it does comes after that.
            self.bus.publish_entries(tenant, id, 1, &entries);
        }
        match created {
            Created::Created(lease) => {
                started.entries = entries;
                started.lease = lease;
            }
            Created::Waits { ahead } => started.waits_behind = Some(ahead),
            Created::Later { begins_at, .. } => started.begins_at = Some(begins_at),
            Created::Exists { id, same_input } => {
                (started.id, started.existed) = (id, Some(SameInput(same_input)));
            }
            Created::OverQuota {
                exceeded,
                try_after,
            } => {
                let try_after = try_after.unwrap_or(self.config.try_after);
                return Err(AdmissionError::Quota {
                    exceeded,
                    try_after,
                });
            }
            Created::Outdated => return Err(AdmissionError::Outdated),
            Created::Full { waiting } => {
                return Err(AdmissionError::Full {
                    concurrency: slot.map_or(0, |slot| slot.capacity),
                    waiting,
                    try_after: self.config.try_after,
                });
            }
            Created::Limited { waiting, try_after } => {
                let (limit, per) = rate.map_or((0, Duration::ZERO), |it| (it.limit, it.per));
                return Err(AdmissionError::Limited {
                    limit,
                    per,
                    waiting,
                    try_after,
                });
            }
        }
        if let Some(begins_at) = started.begins_at {
            let delay = begins_at.since(self.ports.clock.now());
            self.ring(task(started.id), delay).await;
            return Ok(started);
        }
        let cancels = plan.admission.as_ref().is_some_and(|a| a.cancels_oldest);
        if let (Some(slot), true, Some(_)) = (slot, cancels, started.waits_behind) {
            started.cancelled = self.cancel_oldest(tenant, &slot, id).await?;
        }
        if started.lease.is_none() && started.waits_behind.is_none() {
            self.ring(task(started.id), Duration::ZERO).await;
        }
        Ok(started)
    }

    /// Puts the input of an execution that nobody has created yet into a blob, if it is too large for a
    /// journal and the engine has a place for values. [`Engine::create`] does so itself.
    pub async fn put_input(&self, new: &mut NewExecution) {
        if let Some(values) = &self.ports.values {
            values.put_input(new).await;
        }
    }

    /// Which slot and which rate an execution on this input takes with its creation.
    pub(crate) fn take_turns(
        plan: &ExecutionPlan,
        new: &mut NewExecution,
        input: &Arc<Value>,
    ) -> Result<(), AdmissionError> {
        let trial = new.started().and_then(|started| started.trial.as_ref());
        // A dry run touches nothing that the rate could be there for.
        let dry_run = trial.is_some_and(|trial| trial.dry_run);
        new.slot = plan.start_slot(input)?;
        let rate = plan.start_rate(input)?;
        new.rate = rate.filter(|_| !dry_run);
        Ok(())
    }

    /// The input of an execution as far as the plan wants to know it before anything runs: null, where
    /// neither slot nor rate follows from it.
    pub(crate) async fn input_for_turns(
        &self,
        tenant: &TenantId,
        plan: &ExecutionPlan,
        started: &Begun,
    ) -> Result<Arc<Value>, PortError> {
        match plan.begins_by_input() {
            true => Values::input(self.ports.values.as_ref(), tenant, started).await,
            false => Ok(Arc::default()),
        }
    }

    /// Asks those to end that stand in the way of a new execution, the oldest first. Should this
    /// process die before it has, the new one waits for its turn, and the next start asks again.
    async fn cancel_oldest(
        &self,
        tenant: &TenantId,
        slot: &StartSlot,
        id: ExecutionId,
    ) -> Result<Vec<ExecutionId>, PortError> {
        let key = SlotKey::new(slot.key.as_str())?;
        let most = (slot.capacity as usize).saturating_add(slot.max_waiting as usize);
        let places = self.ports.executions.slots(tenant, &key, most).await?;
        let before = places.iter().take_while(|place| place.execution != id);
        let older: Vec<_> = before.map(|place| place.execution).collect();
        let too_many = (older.len() + 1).saturating_sub(slot.capacity as usize);
        let oldest = older[..too_many.min(older.len())].to_vec();
        for execution in &oldest {
            let reason = format!("execution {id} takes its place");
            // One cancellation each, however many come.
            let once = DedupeKey("admission.cancel_oldest".to_owned());
            let cancel = Signal::Cancel { reason };
            // What is not there any more, or has ended, is not in the way.
            let _ = self.signal(tenant, *execution, &cancel, Some(once)).await?;
        }
        Ok(oldest)
    }
}
