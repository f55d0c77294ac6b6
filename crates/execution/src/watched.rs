//! What a watcher may see of a journal.

use std::{fmt::Display, str::FromStr, sync::Arc};

use crate::{Choice, Entry, Fact, InstanceId, ParkReason, Refusal, Status, UnparkDecision};
use nebula_action::{ActionError, Progress};
use nebula_core::{ExecutionId, NodeId, TenantId, Timestamp, WorkflowId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::{Value, json};

/// Something that became true in an execution, without the data that it was about; but for what its
/// workflow itself wants watchers to see.
/// JSON: `{ "tenant", "execution", "seq", "at", "kind": { "type", … } }`; [`ExecutionEvent::document`] is what
/// people and programs read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutionEvent {
    /// Whose execution.
    pub tenant: TenantId,
    /// Which execution.
    pub execution: ExecutionId,
    /// The number of the journal entry; a watcher that reconnects goes on after the last one it saw.
    /// 0 for what stands in no journal: progress.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What became true.
    pub kind: EventKind,
}

/// What became true. JSON: `{ "type": "node_failed", … }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The execution began.
    Started {
        /// Of which workflow.
        workflow: WorkflowId,
        /// Of which version.
        version: u32,
    },
    /// An attempt may have begun. Attempts that are free of effects have no such event.
    NodeStarted {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
    },
    /// An attempt says how far it has come. This stands in no journal.
    NodeProgress {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// How far.
        progress: Progress,
    },
    /// An instance gave its result.
    NodeSucceeded {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
    },
    /// An instance failed, and no retry is left.
    NodeFailed {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// Why.
        error: ActionError,
    },
    /// An attempt failed, and there will be another.
    NodeRetrying {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// The try that failed, from 1.
        attempt: u32,
        /// Why.
        error: ActionError,
        /// When the next one may begin.
        retry_at: Timestamp,
    },
    /// The instance's condition was false.
    NodeSkipped {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
    },
    /// A node gave others up.
    NodesCancelled {
        /// The instance that did.
        #[serde(with = "text")]
        instance: InstanceId,
        /// Which nodes.
        nodes: Vec<NodeId>,
    },
    /// Nothing of an instance that was given up is under way any more.
    NodeCancelled {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
    },
    /// Nobody knows whether the attempt changed the outside.
    NodeIndeterminate {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// Why its outcome is unknown.
        error: ActionError,
    },
    /// An instance waits for a point in time.
    NodeWaiting {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// When it is due.
        #[serde(with = "text")]
        due: Timestamp,
    },
    /// An instance waits for a signal.
    NodeListening {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// The signal's name.
        name: String,
        /// When it gives up, if ever.
        #[serde(with = "text_if_any")]
        due: Option<Timestamp>,
    },
    /// An instance has called another workflow, and waits for its end.
    NodeCalling {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// Which workflow.
        workflow: WorkflowId,
        /// The execution that began.
        #[serde(with = "text")]
        child: ExecutionId,
    },
    /// A child runs neighbouring items of a list.
    PartStarted {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// The index of the first item.
        from: u32,
        /// How many.
        count: u32,
        /// The execution that began.
        #[serde(with = "text")]
        child: ExecutionId,
    },
    /// A child has ended that ran items of a list.
    PartEnded {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// The index of the first item.
        from: u32,
        /// The execution that ended.
        #[serde(with = "text")]
        child: ExecutionId,
        /// How.
        status: Status,
    },
    /// An instance waits until a node succeeds, or never will.
    NodeHeeding {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// Until which.
        reached: NodeId,
    },
    /// An instance waits for a slot of this key.
    NodeQueueing {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// The key.
        key: String,
    },
    /// An instance holds the slot that it waited for.
    SlotGranted {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
    },
    /// An instance holds its slot no longer, since its worker was lost.
    SlotLost {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
    },
    /// A body is given up whose slot was lost.
    SlotGivenUp {
        /// Whose body.
        #[serde(with = "text")]
        instance: InstanceId,
        /// Why.
        error: ActionError,
    },
    /// A signal arrived.
    SignalReceived {
        /// Its name.
        name: String,
    },
    /// A signal arrived and was not kept: too many are, which nobody has taken.
    SignalRefused {
        /// Its name.
        name: String,
    },
    /// A signal that is not kept arrived, and nobody waited for it.
    SignalMissed {
        /// Its name.
        name: String,
    },
    /// An instance asks people.
    NodeAsking {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// When their time is over, if ever.
        #[serde(with = "text_if_any")]
        due: Option<Timestamp>,
    },
    /// Somebody voted on what an instance asks.
    Voted {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// What they said.
        choice: Choice,
    },
    /// A vote came that does not count.
    VoteRefused {
        /// Why.
        why: Refusal,
    },
    /// An instance told whoever watches.
    Emitted {
        /// Which instance; it has given its result.
        #[serde(with = "text")]
        instance: InstanceId,
        /// The event's name.
        name: String,
        /// What it says.
        payload: Arc<Value>,
    },
    /// A child has ended without a result; what that means for its node is said next.
    ChildEnded {
        /// Which instance had called it.
        #[serde(with = "text")]
        instance: InstanceId,
        /// Which execution ended.
        #[serde(with = "text")]
        child: ExecutionId,
        /// How: one of the terminal statuses.
        status: Status,
    },
    /// An instance that runs once per item knows how many there are.
    ItemsOpened {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// How many items.
        total: u32,
    },
    /// A signal brought more items to an instance.
    ItemsAdded {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// How many more.
        more: u32,
    },
    /// An instance needs no further item.
    ItemsEnough {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
    },
    /// The items that ran on after an instance have ended.
    ItemsAbsorbed {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
    },
    /// Items of an instance ended. A watcher adds them up.
    ItemsSettled {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// How many ended just now.
        done: u32,
    },
    /// A run of a body began.
    BodyOpened {
        /// Whose body: an instance, or its item or round.
        #[serde(with = "text")]
        instance: InstanceId,
    },
    /// A run of a body took longer than its node allows.
    BodyTimedOut {
        /// Whose body.
        #[serde(with = "text")]
        instance: InstanceId,
    },
    /// A node of a body that was held back begins.
    HandlerCalled {
        /// Whose body.
        #[serde(with = "text")]
        instance: InstanceId,
        /// Which node.
        node: NodeId,
    },
    /// A run of a body ended.
    BodyClosed {
        /// Whose body.
        #[serde(with = "text")]
        instance: InstanceId,
    },
    /// An effect is undone if the execution does not complete.
    CompensationRegistered {
        /// Whose effect.
        #[serde(with = "text")]
        instance: InstanceId,
    },
    /// An attempt to undo an effect may have begun.
    CompensationStarted {
        /// Whose effect.
        #[serde(with = "text")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
    },
    /// An attempt that has succeeded had put something into blobs.
    BlobsPut {
        /// Which instance.
        #[serde(with = "text")]
        instance: InstanceId,
        /// How many.
        count: usize,
    },
    /// An effect was undone.
    NodeCompensated {
        /// Whose effect.
        #[serde(with = "text")]
        instance: InstanceId,
    },
    /// An attempt to undo an effect failed.
    CompensationFailed {
        /// Whose effect.
        #[serde(with = "text")]
        instance: InstanceId,
        /// The try that failed, from 1.
        attempt: u32,
        /// Why.
        error: ActionError,
        /// When the next one may begin; `None` if a person must decide.
        retry_at: Option<Timestamp>,
    },
    /// Nothing new starts until somebody lets the execution go on.
    Paused,
    /// The execution goes on after a pause.
    Resumed,
    /// Somebody or the time limit asked for the end.
    Cancelling,
    /// The execution has another version of its workflow from now on.
    Migrated {
        /// Which.
        version: u32,
    },
    /// A person must decide.
    Parked {
        /// About what.
        about: Parking,
    },
    /// A person decided.
    Unparked {
        /// About which instance; `None` for poison.
        instance: Option<InstanceId>,
        /// What becomes of the instance.
        decision: Decided,
    },
    /// The execution ended.
    Ended {
        /// How: one of the terminal statuses.
        status: Status,
        /// Why, if it failed.
        error: Option<ActionError>,
    },
}

/// As people and programs read it.
mod text {
    use super::{Deserialize, Deserializer, Display, Error, FromStr, Serializer};

    pub(super) fn serialize<S: Serializer>(
        shown: &impl Display,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(shown)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

mod texts {
    use super::{Deserialize, Deserializer, Error, InstanceId, Serializer};

    pub(super) fn serialize<S: Serializer>(
        shown: &[InstanceId],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(shown.iter().map(InstanceId::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<InstanceId>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let parsed = texts.iter().map(|text| text.parse());
        parsed.collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}

mod text_if_any {
    use super::{Deserialize, Deserializer, Error, Serialize, Serializer, Timestamp};

    #[expect(clippy::ref_option, reason = "serde hands it over like this")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.as_ref()
            .map(Timestamp::to_string)
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let parsed = text.map(|text| text.parse()).transpose();
        parsed.map_err(D::Error::custom)
    }
}

/// What a person must decide about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parking {
    /// These instances may or may not have changed the outside.
    Indeterminate(#[serde(with = "texts")] Vec<InstanceId>),
    /// The effects of these instances could not be undone.
    Compensation(#[serde(with = "texts")] Vec<InstanceId>),
    /// So many leases in a row ended without progress.
    Poison {
        /// How many.
        grants: u32,
    },
}

/// What a person decided about an instance whose outcome was unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    /// It counts as done.
    Succeeded,
    /// It counts as failed.
    Failed,
    /// It runs again.
    Retry,
}

impl ExecutionEvent {
    /// What a watcher may see of entry number `seq`.
    #[must_use]
    pub fn project(tenant: &TenantId, execution: ExecutionId, seq: u64, entry: &Entry) -> Self {
        Self {
            tenant: tenant.clone(),
            execution,
            seq,
            at: entry.at,
            kind: kind(&entry.fact),
        }
    }

    /// What programs read: `{ "execution", "seq", "at", "type", … }`, where what follows depends on the
    /// type.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut data = json!({
            "execution": self.execution.to_string(),
            "seq": self.seq,
            "at": self.at.to_string(),
        });
        if let (Value::Object(data), Ok(Value::Object(kind))) =
            (&mut data, serde_json::to_value(&self.kind))
        {
            data.extend(kind);
        }
        data
    }
}

impl EventKind {
    /// The status in which the execution came to a halt, where this says that it did.
    #[must_use]
    pub fn halts(&self) -> Option<Status> {
        match self {
            Self::Ended { status, .. } => Some(*status),
            Self::Parked { .. } => Some(Status::Parked),
            Self::Paused => Some(Status::Paused),
            Self::NodeListening { .. } | Self::NodeAsking { .. } => Some(Status::Waiting),
            _ => None,
        }
    }

    /// [`EventKind::halts`] of the event that a fact is projected to, without projecting it.
    #[must_use]
    pub fn halts_at(fact: &Fact) -> Option<Status> {
        match fact {
            Fact::ExecutionCompleted { .. } => Some(Status::Completed),
            Fact::ExecutionFailed { .. } => Some(Status::Failed),
            Fact::ExecutionCancelled { .. } => Some(Status::Cancelled),
            Fact::ExecutionTimedOut => Some(Status::TimedOut),
            Fact::Parked { .. } => Some(Status::Parked),
            Fact::PauseRequested { .. } => Some(Status::Paused),
            Fact::SignalAwaited { .. } | Fact::ApprovalAsked { .. } => Some(Status::Waiting),
            _ => None,
        }
    }
}

/// Every fact is named here, so that a new one is a decision and not an omission.
fn kind(fact: &Fact) -> EventKind {
    let ended = |status, error| EventKind::Ended { status, error };
    match fact {
        Fact::ExecutionStarted(started) => EventKind::Started {
            workflow: started.workflow.clone(),
            version: started.version,
        },
        Fact::AttemptStarted {
            instance, attempt, ..
        } => EventKind::NodeStarted {
            instance: instance.clone(),
            attempt: *attempt,
        },
        Fact::AttemptSucceeded { instance, .. }
        | Fact::AttemptSpilled { instance, .. }
        | Fact::JsonPassed { instance, .. }
        | Fact::ItemsCompleted { instance, .. }
        | Fact::BodyCompleted { instance, .. }
        | Fact::TimerFired { instance, .. }
        | Fact::SignalTaken { instance, .. }
        | Fact::SignalSent { instance, .. }
        | Fact::StopRequested { instance, .. }
        | Fact::QuitRequested { instance, .. } => EventKind::NodeSucceeded {
            instance: instance.clone(),
        },
        Fact::BlobsPut {
            instance, blobs, ..
        } => EventKind::BlobsPut {
            instance: instance.clone(),
            count: blobs.len(),
        },
        Fact::NodesCancelled {
            instance, nodes, ..
        } => EventKind::NodesCancelled {
            instance: instance.clone(),
            nodes: nodes.clone(),
        },
        Fact::InstanceCancelled { instance } => EventKind::NodeCancelled {
            instance: instance.clone(),
        },
        Fact::AttemptFailed {
            instance,
            error,
            retry_at: None,
            ..
        } => EventKind::NodeFailed {
            instance: instance.clone(),
            error: error.clone(),
        },
        Fact::AttemptFailed {
            instance,
            attempt,
            error,
            retry_at: Some(retry_at),
            ..
        } => EventKind::NodeRetrying {
            instance: instance.clone(),
            attempt: *attempt,
            error: error.clone(),
            retry_at: *retry_at,
        },
        Fact::AttemptIndeterminate {
            instance,
            attempt,
            error,
        } => EventKind::NodeIndeterminate {
            instance: instance.clone(),
            attempt: *attempt,
            error: error.clone(),
        },
        Fact::InstanceSkipped { instance } => EventKind::NodeSkipped {
            instance: instance.clone(),
        },
        Fact::ItemsOpened {
            instance, count, ..
        } => EventKind::ItemsOpened {
            instance: instance.clone(),
            total: *count,
        },
        Fact::ItemsAdded {
            instance, count, ..
        } => EventKind::ItemsAdded {
            instance: instance.clone(),
            more: *count,
        },
        Fact::ItemsEnough { instance, .. } => EventKind::ItemsEnough {
            instance: instance.clone(),
        },
        Fact::ItemsAbsorbed { instance } => EventKind::ItemsAbsorbed {
            instance: instance.clone(),
        },
        Fact::ItemsSettled {
            instance, outcomes, ..
        } => EventKind::ItemsSettled {
            instance: instance.clone(),
            done: u32::try_from(outcomes.len()).unwrap_or(u32::MAX),
        },
        Fact::TimerSet { instance, due } => EventKind::NodeWaiting {
            instance: instance.clone(),
            due: *due,
        },
        Fact::RoundsOpened { instance } => EventKind::NodeStarted {
            instance: instance.clone(),
            attempt: 1,
        },
        Fact::BodyOpened { instance, .. } => EventKind::BodyOpened {
            instance: instance.clone(),
        },
        Fact::BodyTimedOut { instance } => EventKind::BodyTimedOut {
            instance: instance.clone(),
        },
        Fact::HandlerCalled { instance, node } => EventKind::HandlerCalled {
            instance: instance.clone(),
            node: node.clone(),
        },
        Fact::BodyClosed { instance } => EventKind::BodyClosed {
            instance: instance.clone(),
        },
        Fact::MilestoneAwaited { instance, reached } => EventKind::NodeHeeding {
            instance: instance.clone(),
            reached: reached.clone(),
        },
        Fact::SlotClaimed { instance, wanted } => EventKind::NodeQueueing {
            instance: instance.clone(),
            key: wanted.key.to_string(),
        },
        Fact::SlotGranted { instance } => EventKind::SlotGranted {
            instance: instance.clone(),
        },
        Fact::SlotLost { instance } => EventKind::SlotLost {
            instance: instance.clone(),
        },
        Fact::SlotGivenUp { instance, error } => EventKind::SlotGivenUp {
            instance: instance.clone(),
            error: error.clone(),
        },
        Fact::SignalAwaited {
            instance,
            name,
            due,
        } => EventKind::NodeListening {
            instance: instance.clone(),
            name: name.to_string(),
            due: *due,
        },
        Fact::SignalReceived(signal) => EventKind::SignalReceived {
            name: signal.name.to_string(),
        },
        Fact::SignalRefused { name, .. } => EventKind::SignalRefused {
            name: name.to_string(),
        },
        Fact::SignalMissed { name, .. } => EventKind::SignalMissed {
            name: name.to_string(),
        },
        Fact::ApprovalAsked { instance, question } => EventKind::NodeAsking {
            instance: instance.clone(),
            due: question.due,
        },
        Fact::VoteCast { instance, vote, .. } => EventKind::Voted {
            instance: instance.clone(),
            choice: vote.choice,
        },
        Fact::VoteRefused { why, .. } => EventKind::VoteRefused { why: *why },
        Fact::EventEmitted {
            instance,
            name,
            payload,
            ..
        } => EventKind::Emitted {
            instance: instance.clone(),
            name: name.to_string(),
            payload: payload.clone(),
        },
        Fact::CompensationRegistered { .. }
        | Fact::CompensationStarted { .. }
        | Fact::CompensationSucceeded { .. }
        | Fact::CompensationFailed { .. } => compensation(fact),
        Fact::ChildStarted {
            instance,
            workflow,
            child,
            detached: false,
            ..
        } => EventKind::NodeCalling {
            instance: instance.clone(),
            workflow: workflow.clone(),
            child: *child,
        },
        Fact::ChildStarted { instance, .. }
        | Fact::ChildEnded {
            instance,
            output: Some(_),
            ..
        }
        | Fact::ChildEnded {
            instance,
            blob: Some(_),
            ..
        } => EventKind::NodeSucceeded {
            instance: instance.clone(),
        },
        Fact::ChildEnded {
            instance,
            child,
            status,
            ..
        } => EventKind::ChildEnded {
            instance: instance.clone(),
            child: *child,
            status: *status,
        },
        Fact::PartStarted {
            instance,
            from,
            count,
            child,
        } => EventKind::PartStarted {
            instance: instance.clone(),
            from: *from,
            count: *count,
            child: *child,
        },
        Fact::PartEnded {
            instance,
            from,
            child,
            status,
        } => EventKind::PartEnded {
            instance: instance.clone(),
            from: *from,
            child: *child,
            status: *status,
        },
        Fact::PauseRequested { .. } => EventKind::Paused,
        Fact::Resumed => EventKind::Resumed,
        Fact::CancellationRequested { .. } => EventKind::Cancelling,
        Fact::Migrated { version, .. } => EventKind::Migrated { version: *version },
        Fact::Parked { reason } => EventKind::Parked {
            about: match reason {
                ParkReason::Indeterminate(instances) => Parking::Indeterminate(instances.clone()),
                ParkReason::Compensation(instances) => Parking::Compensation(instances.clone()),
                ParkReason::Poison { grants } => Parking::Poison { grants: *grants },
            },
        },
        Fact::Unparked {
            instance, decision, ..
        } => EventKind::Unparked {
            instance: instance.clone(),
            decision: match decision {
                UnparkDecision::Succeeded(_) => Decided::Succeeded,
                UnparkDecision::Failed => Decided::Failed,
                UnparkDecision::Retry => Decided::Retry,
            },
        },
        Fact::Spilled { .. } => {
            unreachable!("a fact is taken from its blob before anybody sees it")
        }
        Fact::ExecutionCompleted { .. } => ended(Status::Completed, None),
        Fact::ExecutionFailed { error } => ended(Status::Failed, Some(error.error.clone())),
        Fact::ExecutionCancelled { .. } => ended(Status::Cancelled, None),
        Fact::ExecutionTimedOut => ended(Status::TimedOut, None),
    }
}

/// Facts about undoing effects.
fn compensation(fact: &Fact) -> EventKind {
    match fact {
        Fact::CompensationRegistered { instance, .. } => EventKind::CompensationRegistered {
            instance: instance.clone(),
        },
        Fact::CompensationStarted {
            instance, attempt, ..
        } => EventKind::CompensationStarted {
            instance: instance.clone(),
            attempt: *attempt,
        },
        Fact::CompensationSucceeded { instance, .. } => EventKind::NodeCompensated {
            instance: instance.clone(),
        },
        Fact::CompensationFailed {
            instance,
            attempt,
            error,
            retry_at,
            ..
        } => EventKind::CompensationFailed {
            instance: instance.clone(),
            attempt: *attempt,
            error: error.clone(),
            retry_at: *retry_at,
        },
        _ => unreachable!("the caller sorts facts"),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        CompensationInput, EndReason, Failure, ItemOutcome, NamedSignal, Question, Started, Taken,
        Vote,
    };
    use nebula_action::ErrorClass;
    use nebula_core::Digest;
    use serde_json::json;

    use super::*;

    /// Stands in every payload of these tests.
    const CANARY: &str = "canary-4711";

    fn id(text: &str) -> InstanceId {
        text.parse().unwrap()
    }

    fn error() -> ActionError {
        ActionError::new("FILE_NOT_FOUND", "no such file", ErrorClass::Fatal)
    }

    fn payload() -> Arc<Value> {
        Arc::new(json!({ "secret": CANARY }))
    }

    /// Compares the event of a fact, and looks for payloads in it.
    fn check(fact: Fact, expected: &EventKind) {
        let at = Timestamp::from_millis(5);
        let (tenant, execution) = (TenantId::local(), ExecutionId::from_bytes([1; 16]));
        let entry = Entry { at, fact };
        let event = ExecutionEvent::project(&tenant, execution, 3, &entry);
        assert_eq!(
            EventKind::halts_at(&entry.fact),
            event.kind.halts(),
            "{event:?}"
        );
        assert_eq!((event.seq, event.at, event.execution), (3, at, execution));
        assert_eq!(event.kind, *expected);
        assert!(!format!("{event:?}").contains(CANARY), "{event:?}");
    }

    #[test]
    fn an_execution_begins_and_ends_without_its_data() {
        let started = Started {
            workflow: "intake".parse().unwrap(),
            version: 4,
            plan: Digest::of(b""),
            input: payload(),
            input_blob: None,
            trigger_blob: None,
            vars: json!(CANARY),
            trigger: json!(CANARY),
            origin: None,
            grants: Default::default(),
            folder: None,
            parent: None,
            repeats: None,
            trial: None,
            priority: nebula_core::Priority::Normal,
            labels: nebula_core::Labels::default(),
            trace: None,
            blobs: Vec::new(),
            part: None,
        };
        let workflow = "intake".parse().unwrap();
        check(
            Fact::ExecutionStarted(Box::new(started)),
            &EventKind::Started {
                workflow,
                version: 4,
            },
        );
        let ended = |status, error| EventKind::Ended { status, error };
        check(
            Fact::ExecutionCompleted { output: payload() },
            &ended(Status::Completed, None),
        );
        let failure = Failure {
            error: error(),
            node: None,
        };
        check(
            Fact::ExecutionFailed { error: failure },
            &ended(Status::Failed, Some(error())),
        );
        let reason = CANARY.to_owned();
        check(
            Fact::CancellationRequested {
                reason: EndReason::Requested(reason.clone()),
            },
            &EventKind::Cancelling,
        );
        check(
            Fact::PauseRequested {
                reason: CANARY.to_owned(),
            },
            &EventKind::Paused,
        );
        check(Fact::Resumed, &EventKind::Resumed);
        let signal = NamedSignal::new("paid", CANARY, payload()).unwrap();
        check(
            Fact::SignalReceived(signal.clone()),
            &EventKind::SignalReceived {
                name: "paid".to_owned(),
            },
        );
        check(
            Fact::SignalMissed {
                name: "paid".into(),
                id: CANARY.to_owned(),
            },
            &EventKind::SignalMissed {
                name: "paid".to_owned(),
            },
        );
        let (instance, to) = (id("tell"), ExecutionId::from_bytes([2; 16]));
        check(
            Fact::SignalSent {
                instance: instance.clone(),
                to,
                signal,
                taken: Taken::All,
            },
            &EventKind::NodeSucceeded { instance },
        );
        check(
            Fact::ExecutionCancelled { reason },
            &ended(Status::Cancelled, None),
        );
        check(Fact::ExecutionTimedOut, &ended(Status::TimedOut, None));
    }

    #[test]
    fn a_result_is_seen_and_not_shown() {
        let instance = id("fetch#2");
        let succeeded = EventKind::NodeSucceeded {
            instance: instance.clone(),
        };
        check(
            Fact::AttemptSucceeded {
                instance: instance.clone(),
                attempt: 1,
                output: payload(),
                port: "main".into(),
                lineage: None,
                taken: Taken::All,
                micros: 9,
            },
            &succeeded,
        );
        check(
            Fact::ItemsCompleted {
                instance: instance.clone(),
                taken: Taken::All,
            },
            &succeeded,
        );
        check(
            Fact::TimerFired {
                instance: instance.clone(),
                taken: Taken::All,
            },
            &succeeded,
        );
        check(
            Fact::StopRequested {
                instance,
                output: payload(),
            },
            &succeeded,
        );
    }

    #[test]
    fn what_a_workflow_tells_its_watchers_is_shown() {
        let (instance, payload) = (id("tell"), Arc::new(json!({ "order": 7 })));
        check(
            Fact::EventEmitted {
                instance: instance.clone(),
                name: "shipped".into(),
                payload: payload.clone(),
                taken: Taken::All,
            },
            &EventKind::Emitted {
                instance,
                name: "shipped".to_owned(),
                payload,
            },
        );
    }

    #[test]
    fn a_vote_is_seen_without_what_it_is_about() {
        let (instance, due) = (id("sign"), Some(Timestamp::from_millis(9)));
        let question = Question {
            title: Some(CANARY.to_owned()),
            artifact: Some(payload()),
            approvers: vec![CANARY.to_owned()],
            quorum: 1,
            rejections: 1,
            due,
            default: None,
            leaves_deferred: false,
        };
        check(
            Fact::ApprovalAsked {
                instance: instance.clone(),
                question: Box::new(question),
            },
            &EventKind::NodeAsking {
                instance: instance.clone(),
                due,
            },
        );
        let vote = Vote {
            by: CANARY.to_owned(),
            choice: Choice::Reject,
            comment: Some(CANARY.to_owned()),
            seat: None,
            at: Timestamp::from_millis(5),
        };
        check(
            Fact::VoteCast {
                instance: instance.clone(),
                id: CANARY.to_owned(),
                vote,
            },
            &EventKind::Voted {
                instance: instance.clone(),
                choice: Choice::Reject,
            },
        );
        check(
            Fact::VoteRefused {
                instance,
                id: CANARY.to_owned(),
                by: CANARY.to_owned(),
                why: Refusal::NotOpen,
            },
            &EventKind::VoteRefused {
                why: Refusal::NotOpen,
            },
        );
    }

    #[test]
    fn a_failure_says_whether_another_try_comes() {
        let failed = |retry_at| Fact::AttemptFailed {
            instance: id("fetch"),
            attempt: 2,
            error: error(),
            retry_at,
            counts: true,
            taken: Taken::All,
        };
        check(
            failed(None),
            &EventKind::NodeFailed {
                instance: id("fetch"),
                error: error(),
            },
        );
        let retry_at = Timestamp::from_millis(900);
        check(
            failed(Some(retry_at)),
            &EventKind::NodeRetrying {
                instance: id("fetch"),
                attempt: 2,
                error: error(),
                retry_at,
            },
        );
    }

    #[test]
    fn undoing_is_seen_without_what_undoes() {
        let (instance, attempt) = (id("pay"), 2);
        check(
            Fact::CompensationRegistered {
                instance: instance.clone(),
                input: CompensationInput::Parameters(payload()),
            },
            &EventKind::CompensationRegistered {
                instance: instance.clone(),
            },
        );
        check(
            Fact::CompensationStarted {
                instance: instance.clone(),
                attempt,
                key: CANARY.to_owned(),
                input: Digest::of(b""),
                deadline: Timestamp::from_millis(9),
            },
            &EventKind::CompensationStarted {
                instance: instance.clone(),
                attempt,
            },
        );
        check(
            Fact::CompensationFailed {
                instance: instance.clone(),
                attempt,
                error: error(),
                retry_at: None,
                counts: true,
            },
            &EventKind::CompensationFailed {
                instance: instance.clone(),
                attempt,
                error: error(),
                retry_at: None,
            },
        );
        check(
            Fact::CompensationSucceeded {
                instance: instance.clone(),
                attempt,
                output: payload(),
                micros: 1,
            },
            &EventKind::NodeCompensated { instance },
        );
        check(
            Fact::Parked {
                reason: ParkReason::Compensation(vec![id("pay")]),
            },
            &EventKind::Parked {
                about: Parking::Compensation(vec![id("pay")]),
            },
        );
    }

    #[test]
    fn items_are_counted() {
        let (instance, outcomes) = (
            id("price"),
            vec![ItemOutcome::Ok(payload()), ItemOutcome::Error(error())],
        );
        check(
            Fact::ItemsOpened {
                instance: instance.clone(),
                count: 9,
                more: None,
            },
            &EventKind::ItemsOpened {
                instance: instance.clone(),
                total: 9,
            },
        );
        check(
            Fact::ItemsAdded {
                instance: instance.clone(),
                id: "7".to_owned(),
                count: 2,
                last: true,
            },
            &EventKind::ItemsAdded {
                instance: instance.clone(),
                more: 2,
            },
        );
        check(
            Fact::ItemsSettled {
                instance: instance.clone(),
                from: 3,
                outcomes,
            },
            &EventKind::ItemsSettled { instance, done: 2 },
        );
    }

    #[test]
    fn what_a_person_must_and_did_decide_is_seen() {
        check(
            Fact::Parked {
                reason: ParkReason::Indeterminate(vec![id("pay")]),
            },
            &EventKind::Parked {
                about: Parking::Indeterminate(vec![id("pay")]),
            },
        );
        check(
            Fact::Parked {
                reason: ParkReason::Poison { grants: 6 },
            },
            &EventKind::Parked {
                about: Parking::Poison { grants: 6 },
            },
        );
        check(
            Fact::Unparked {
                instance: Some(id("pay")),
                decision: UnparkDecision::Succeeded(payload()),
                taken: Taken::All,
            },
            &EventKind::Unparked {
                instance: Some(id("pay")),
                decision: Decided::Succeeded,
            },
        );
    }
}
