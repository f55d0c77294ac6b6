//! What an execution waits for, read from its state.

use nebula_core::{ExecutionId, Group, TenantId, Timestamp, WorkflowId};
use nebula_execution::{
    Activation, Approval, Choice, ClaimStatus, ExecutionPlan, InstanceId, InstanceStatus, Machine,
    OpenCompensation, ParkReason,
};
use nebula_ports::{Result, SlotKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Engine;

/// The most items of one list whose retries are named.
const MAX_ITEMS: usize = 10;

/// How many places of a queue are looked at, to find one that waits.
const MAX_PLACES: usize = 2_000;

/// Something that an execution waits for. JSON: `{ "for": "time", "instance": … }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Waiting {
    /// A point in time.
    Time {
        /// Which instance waits.
        instance: String,
        /// Until when.
        due: String,
    },
    /// The next attempt of an instance that failed.
    Retry {
        /// Which instance.
        instance: String,
        /// When it begins.
        due: String,
        /// How many attempts there were.
        attempts: u32,
        /// What went wrong with the last one, if its journal says.
        reason: Option<String>,
    },
    /// A person's decision about an effect whose outcome is unknown.
    Decision {
        /// Which instance.
        instance: String,
        /// Why it is unknown.
        reason: String,
    },
    /// The next attempt to undo the effect of an instance.
    Compensation {
        /// Whose effect.
        instance: String,
        /// When it begins.
        due: String,
        /// How many attempts there were.
        attempts: u32,
        /// What went wrong with the last one.
        reason: Option<String>,
    },
    /// A person's decision about an effect that could not be undone.
    CompensationDecision {
        /// Whose effect.
        instance: String,
        /// Why it could not.
        reason: String,
    },
    /// A signal.
    Signal {
        /// Which instance waits.
        instance: String,
        /// The signal's name.
        name: String,
        /// When it gives up, if ever.
        due: Option<String>,
    },
    /// People's votes.
    Approval {
        /// Which instance asks.
        instance: String,
        /// What it asks.
        title: Option<String>,
        /// What it is about.
        artifact: Option<Value>,
        /// Who may vote; anybody, if nobody is named.
        approvers: Vec<String>,
        /// How many must approve.
        quorum: u32,
        /// How many must reject.
        rejections: u32,
        /// Who has approved.
        approved: Vec<String>,
        /// Who has rejected.
        rejected: Vec<String>,
        /// Who deferred last.
        deferred: Option<String>,
        /// When the time is over, if ever.
        due: Option<String>,
        /// What holds then; a failure, if there is none.
        default: Option<Choice>,
    },
    /// The end of a child.
    Child {
        /// Which instance called it.
        instance: String,
        /// Which execution it waits for.
        execution: ExecutionId,
        /// Of which workflow.
        workflow: Option<WorkflowId>,
    },
    /// A milestone.
    Milestone {
        /// Which instance waits.
        instance: String,
        /// The node that has not succeeded yet.
        reached: String,
        /// The node whose end would be too early, if one is named.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
    /// A slot: the turn of a mutex or a semaphore, or that of the whole execution.
    Slot {
        /// Which instance waits; absent for the execution as a whole.
        #[serde(skip_serializing_if = "Option::is_none")]
        instance: Option<String>,
        /// Of which key.
        key: String,
        /// How many claims of the key wait before it, if that is known.
        ahead: Option<u32>,
        /// When it gives up, if ever.
        due: Option<String>,
    },
    /// A worker of its group, which nobody else stands in for.
    Worker {
        /// Which group.
        group: Group,
    },
    /// The time from which its workflow's `rate_limit` lets it begin.
    Start {
        /// When that is.
        due: String,
    },
    /// Somebody who lets it go on after a pause.
    Unpause,
    /// A person's decision about an execution that brings no progress.
    Poison {
        /// How many grants in a row brought none.
        grants: u32,
    },
}

/// What the execution waits for, in the order of its nodes; then what holds all of it.
pub(crate) fn waiting(machine: &Machine) -> Vec<Waiting> {
    let (plan, state) = (machine.plan(), machine.state());
    let mut waiting = Vec::new();
    if state.end_status().is_some() {
        return waiting;
    }
    for (at, activation) in state.all() {
        let instance = state.instance(plan, at.whole());
        waiting.extend(activation.child.map(|execution| Waiting::Child {
            instance: instance.to_string(),
            execution,
            workflow: plan.call_of(at.node).map(|call| call.workflow.clone()),
        }));
        let parts = activation.items.iter().flat_map(|items| &items.parts);
        waiting.extend(parts.map(|(from, part)| Waiting::Child {
            instance: instance.of_item(*from).to_string(),
            execution: part.child,
            workflow: Some(plan.workflow.clone()),
        }));
        waiting.extend(of_milestone(plan, at.node, &instance, activation));
        waiting.extend(of_activation(&instance, activation));
        waiting.extend(of_items(&instance, activation));
        waiting.extend(of_rounds(&instance, activation));
    }
    waiting.extend(
        state
            .compensations()
            .open()
            .iter()
            .rev()
            .filter_map(undoing),
    );
    for instance in state.indeterminate(plan) {
        let at = state.find(plan, &instance);
        let error = at.and_then(|at| state.get(at)?.error.clone());
        let reason = error.map(|error| error.message).unwrap_or_default();
        waiting.push(Waiting::Decision {
            instance: instance.to_string(),
            reason,
        });
    }
    if state.is_paused() {
        waiting.push(Waiting::Unpause);
    }
    if let Some(ParkReason::Poison { grants }) = state.parked() {
        waiting.push(Waiting::Poison { grants: *grants });
    }
    waiting
}

/// What an effect waits for that somebody has begun to undo.
fn undoing(open: &OpenCompensation) -> Option<Waiting> {
    let instance = open.instance.to_string();
    let reason = open.error.as_ref().map(|error| error.message.clone());
    if open.stuck {
        let reason = reason.unwrap_or_default();
        return Some(Waiting::CompensationDecision { instance, reason });
    }
    Some(Waiting::Compensation {
        instance,
        due: open.due?.to_string(),
        attempts: open.attempts,
        reason,
    })
}

impl Engine {
    /// What only the queues know: whether the execution waits for its turn, and how many wait before it.
    pub(crate) async fn look_into_queues(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        machine: &Machine,
        waiting: &mut Vec<Waiting>,
    ) -> Result<()> {
        let (plan, state) = (machine.plan(), machine.state());
        let takes_turns = plan.admission.is_some() && state.end_status().is_none();
        let mut start = None;
        if let Some(started) = state.started().filter(|_| takes_turns) {
            let input = self.input_for_turns(tenant, plan, started).await?;
            start = plan.start_slot(&input).ok().flatten();
        }
        if let Some(start) = start {
            let ahead = self.ahead(tenant, execution, &start.key).await?;
            waiting.extend(ahead.map(|ahead| Waiting::Slot {
                instance: None,
                key: start.key,
                ahead: Some(ahead),
                due: None,
            }));
        }
        for waits in waiting {
            if let Waiting::Slot {
                instance: Some(_),
                key,
                ahead,
                ..
            } = waits
            {
                *ahead = self.ahead(tenant, execution, key).await?;
            }
        }
        Ok(())
    }

    /// How many wait in the queue of a key before this execution does, as far as they are looked at.
    async fn ahead(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        key: &str,
    ) -> Result<Option<u32>> {
        let key = SlotKey::new(key)?;
        let places = &self
            .ports
            .executions
            .slots(tenant, &key, MAX_PLACES)
            .await?;
        let mut waiting = places.iter().filter(|place| !place.granted);
        let ahead = waiting.position(|place| place.execution == execution);
        Ok(ahead.and_then(|ahead| u32::try_from(ahead).ok()))
    }
}

/// The milestone that an instance waits for: what it lies between stands in the plan.
fn of_milestone(
    plan: &ExecutionPlan,
    node: u32,
    instance: &InstanceId,
    activation: &Activation,
) -> Option<Waiting> {
    let milestone = plan.node(node).milestone.filter(|_| activation.heeds)?;
    let id = |node: u32| plan.node(node).id.to_string();
    Some(Waiting::Milestone {
        instance: instance.to_string(),
        reached: milestone.reached.map(id)?,
        until: milestone.until.map(id),
    })
}

fn of_activation(instance: &InstanceId, activation: &Activation) -> Option<Waiting> {
    let instance = instance.to_string();
    if let Some(approval) = &activation.approval {
        return Some(of_approval(instance, approval));
    }
    if let Some(claim) = &activation.claim {
        let waits = claim.status != ClaimStatus::Held;
        return waits.then(|| Waiting::Slot {
            instance: Some(instance),
            key: claim.wanted.key.to_string(),
            ahead: None,
            due: claim.due().as_ref().map(Timestamp::to_string),
        });
    }
    if let Some(name) = &activation.signal {
        return Some(Waiting::Signal {
            instance,
            name: name.to_string(),
            due: activation.due.as_ref().map(Timestamp::to_string),
        });
    }
    let waits = activation.status == InstanceStatus::Waiting;
    let due = activation.due.filter(|_| waits)?.to_string();
    Some(if activation.timer {
        Waiting::Time { instance, due }
    } else {
        Waiting::Retry {
            instance,
            due,
            attempts: activation.attempts,
            reason: activation.error.as_ref().map(|it| it.message.clone()),
        }
    })
}

fn of_approval(instance: String, approval: &Approval) -> Waiting {
    let voters = |choice| approval.voters(choice).map(str::to_owned).collect();
    let question = &approval.question;
    Waiting::Approval {
        instance,
        title: question.title.clone(),
        artifact: question.artifact.as_deref().cloned(),
        approvers: question.approvers.clone(),
        quorum: question.quorum,
        rejections: question.rejections,
        approved: voters(Choice::Approve),
        rejected: voters(Choice::Reject),
        deferred: approval.deferred.as_ref().map(|vote| vote.by.clone()),
        due: question.due.as_ref().map(Timestamp::to_string),
        default: question.default,
    }
}

/// The next round of a loop, if it has its time.
fn of_rounds(instance: &InstanceId, activation: &Activation) -> Option<Waiting> {
    let runs = activation.runs.as_ref()?;
    Some(Waiting::Time {
        due: runs.due?.to_string(),
        instance: instance.of_item(runs.done).to_string(),
    })
}

/// Items whose next attempt has its time.
fn of_items(instance: &InstanceId, activation: &Activation) -> Vec<Waiting> {
    let open = activation.items.iter().flat_map(|items| &items.open);
    let retries = open.filter_map(|(item, open)| {
        Some(Waiting::Retry {
            instance: instance.of_item(*item).to_string(),
            due: open.due?.to_string(),
            attempts: open.attempts,
            reason: None,
        })
    });
    retries.take(MAX_ITEMS).collect()
}
