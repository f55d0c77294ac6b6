//! What the machine is told, and what it tells.

use std::sync::Arc;

use compact_str::CompactString;
use nebula_action::ActionError;
use nebula_core::{BlobId, Digest, ExecutionId, NodeId, Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Ballot, BallotError, ChildEnd, CompensationInput, Entry, Failure, Given, InstanceId,
    MAX_VALUE_DEPTH, NamedSignal, NamedSignalError, PartEnd, Question, SlotWanted, Status, Taken,
    UnparkDecision, is_storable,
};

/// Something that happened. Conditions were evaluated before: an event carries what they gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A holder has the execution in its hands, from its journal so far.
    Begin,
    /// Time has passed.
    Tick,
    /// The parameters of a [`Command::Run`] with `journal_start` are resolved: the attempt is ready to start.
    Starting {
        /// Which instance.
        instance: InstanceId,
        /// What the attempt sends along.
        key: String,
        /// Digest of the resolved parameters.
        input: Digest,
        /// When the attempt is over at the latest.
        deadline: Timestamp,
    },
    /// An attempt ended.
    Finished {
        /// Which instance.
        instance: InstanceId,
        /// How.
        outcome: Outcome,
        /// How long it took, in microseconds.
        micros: u64,
    },
    /// The worker stops, and an attempt did not within the grace period: it was dropped.
    Interrupted {
        /// Which instance.
        instance: InstanceId,
    },
    /// The execution was paused before the attempt of a [`Command::Run`] began: it has done nothing.
    Withheld {
        /// Which instance.
        instance: InstanceId,
    },
    /// The node's `when` is false.
    Skipped {
        /// Which instance.
        instance: InstanceId,
    },
    /// The list of a `for_each` is known.
    Opened {
        /// Which instance.
        instance: InstanceId,
        /// How many elements it has.
        count: u32,
        /// The name of the signals that bring more; `None` if none does.
        more: Option<CompactString>,
    },
    /// It is known whether a list is complete before all of its items have ended.
    Weighed {
        /// Which instance.
        instance: InstanceId,
        /// Whether it is; or why that cannot be said.
        complete: Result<bool, ActionError>,
    },
    /// The connections of an instance whose items or runs have all ended were evaluated.
    Collected {
        /// Which instance.
        instance: InstanceId,
        /// Which of them carry a live token.
        taken: Taken,
    },
    /// A control action runs its body.
    Enters {
        /// Which instance.
        instance: InstanceId,
        /// Whether the body runs in rounds, one after the other, rather than once.
        rounds: bool,
        /// When a body that runs once is given up.
        due: Option<Timestamp>,
    },
    /// What a run of a body begins with is known.
    Entered {
        /// Whose body: an item or a round.
        instance: InstanceId,
        /// `$json` of its start nodes.
        json: Given,
    },
    /// There is no further round.
    RoundsOver {
        /// The round that will not be.
        instance: InstanceId,
    },
    /// It is known who handles the failure of a body.
    Caught {
        /// Whose body.
        instance: InstanceId,
        /// The node that handles it; `None` if nobody does.
        handler: Option<NodeId>,
    },
    /// A control action waits for a point in time, or a round of its body does.
    Waits {
        /// Which instance.
        instance: InstanceId,
        /// Until when.
        due: Timestamp,
    },
    /// The connections of an instance whose timer is due were evaluated.
    Fired {
        /// Which instance.
        instance: InstanceId,
        /// Which of them carry a live token.
        taken: Taken,
    },
    /// A control action waits until its milestone is reached, or will never be.
    Heeds {
        /// Which instance.
        instance: InstanceId,
    },
    /// A control action runs its body while it holds a slot.
    Claims {
        /// Which instance.
        instance: InstanceId,
        /// Which slot.
        wanted: SlotWanted,
    },
    /// The store has granted a slot that an instance waits for.
    SlotGranted {
        /// Of which key.
        key: String,
        /// To which owner.
        owner: String,
    },
    /// The store has given a slot to others, since the lease under which it was held had expired.
    SlotLost {
        /// Of which key.
        key: String,
        /// Of which owner.
        owner: String,
    },
    /// The execution holds its start slot, or needs none, and has heard of every slot that is lost.
    /// Before, it claims none again: who holds one must not wait for its turn, nor for one around it.
    Admitted,
    /// The execution has no start slot and waits for one. So it gives every other slot up until then.
    Queued,
    /// A control action waits for a signal.
    Awaits {
        /// Which instance.
        instance: InstanceId,
        /// The signal's name.
        name: CompactString,
        /// When it gives up.
        due: Option<Timestamp>,
    },
    /// The connections of an instance that takes a signal were evaluated.
    Took {
        /// Which instance.
        instance: InstanceId,
        /// Which of them carry a live token.
        taken: Taken,
    },
    /// A control action sends a signal to another execution.
    Sends {
        /// Which instance.
        instance: InstanceId,
        /// To which execution.
        to: ExecutionId,
        /// What.
        signal: NamedSignal,
        /// Which of its connections carry a live token.
        taken: Taken,
    },
    /// A control action asks people.
    Asks {
        /// Which instance.
        instance: InstanceId,
        /// What, and whom.
        question: Box<Question>,
    },
    /// A control action tells whoever watches.
    Emits {
        /// Which instance.
        instance: InstanceId,
        /// The event's name.
        name: CompactString,
        /// What it says.
        payload: Arc<Value>,
        /// Which of its connections carry a live token.
        taken: Taken,
    },
    /// A control action calls another workflow, and the child is ready to begin with the next step.
    Calls {
        /// Which instance.
        instance: InstanceId,
        /// The execution that begins.
        child: ExecutionId,
        /// Of which workflow.
        workflow: WorkflowId,
        /// Of which version.
        version: u32,
        /// Whether nobody waits for its end.
        detached: bool,
        /// If so, which connections carry a live token.
        taken: Taken,
    },
    /// A child has ended.
    ChildEnded {
        /// Which instance called it.
        instance: InstanceId,
        /// Which execution ended.
        child: ExecutionId,
        /// How.
        status: Status,
        /// What that means for the instance.
        outcome: Outcome,
    },
    /// The child is ready that is to run a part of a list.
    Cut {
        /// The first item of the part.
        instance: InstanceId,
        /// How many items, at least 1.
        count: u32,
        /// The execution that begins.
        child: ExecutionId,
    },
    /// A child has ended that ran a part of a list.
    PartEnded {
        /// The first item of the part.
        instance: InstanceId,
        /// Which execution ended.
        child: ExecutionId,
        /// How.
        status: Status,
        /// What has become of the items; or why nobody knows.
        outcome: Result<PartEnd, ActionError>,
    },
    /// `flow.stop` was reached.
    Stopped {
        /// Which instance.
        instance: InstanceId,
        /// What the execution gives.
        output: Arc<Value>,
    },
    /// A control action gives nodes up.
    Cancels {
        /// Which instance.
        instance: InstanceId,
        /// Which nodes.
        nodes: Vec<NodeId>,
        /// Which of its connections carry a live token.
        taken: Taken,
    },
    /// A control action gives the execution up.
    Quits {
        /// Which instance.
        instance: InstanceId,
        /// What its author says.
        reason: String,
    },
    /// An attempt that has succeeded had put something into blobs; said before its end.
    Put {
        /// Which instance.
        instance: InstanceId,
        /// What, each durable; at least one.
        blobs: Vec<BlobId>,
    },
    /// The action could not say what became of a lost attempt.
    Unreconciled {
        /// Which instance.
        instance: InstanceId,
        /// Why its outcome is unknown.
        error: ActionError,
        /// Which connections of the port by which a final failure leaves carry a live token.
        taken: Taken,
    },
    /// An attempt to undo the effect of an instance ended.
    Compensated {
        /// Whose effect.
        instance: InstanceId,
        /// What the compensating action gave, or what went wrong.
        outcome: Result<Arc<Value>, ActionError>,
        /// How long it took, in microseconds.
        micros: u64,
    },
    /// Somebody outside said something.
    Signalled {
        /// What.
        signal: Signal,
        /// Which connections of the port that follows from an [`Signal::Unpark`] carry a live token.
        taken: Taken,
        /// What undoes the effect that a person says has happened, if its node has a compensation.
        undo: Option<CompensationInput>,
    },
    /// The workflow's output was evaluated.
    Output(Result<Value, ActionError>),
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With a result.
    Succeeded {
        /// The result. One that lies in a blob is durable there, and not that of an item or in a body.
        output: Given,
        /// The output port.
        port: CompactString,
        /// For a list: which element of the input each element came from.
        lineage: Option<Vec<u32>>,
        /// Which connections of the port carry a live token.
        taken: Taken,
        /// What undoes the effect, if the node has a compensation.
        undo: Option<CompensationInput>,
    },
    /// With an error.
    Failed {
        /// What went wrong.
        error: ActionError,
        /// Which connections of the port by which a final failure leaves carry a live token.
        taken: Taken,
        /// What undoes the effect, if it is there all the same and the node has a compensation: what
        /// failed came after it.
        undo: Option<CompensationInput>,
    },
}

/// What the machine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Make an attempt. With `journal_start`, resolve its parameters, say [`Event::Starting`], and
    /// begin only on [`Command::Start`]; without, begin at once.
    Run {
        /// Which instance.
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// Whether its start must be in the journal first.
        journal_start: bool,
    },
    /// Begin the attempt, once every entry handed out so far is committed.
    Start {
        /// Which instance.
        instance: InstanceId,
    },
    /// Evaluate `when` and the list of a `for_each`, then say [`Event::Opened`], [`Event::Skipped`]
    /// or [`Event::Finished`] with an error. The items themselves have no `when`.
    Open {
        /// Which instance.
        instance: InstanceId,
    },
    /// Evaluate `complete_when` over the progress of a list, then say [`Event::Weighed`]; before
    /// anything else is done, so that it is asked about each item's end.
    Weigh {
        /// Which instance.
        instance: InstanceId,
    },
    /// Evaluate the connections of an instance whose items or runs have ended, then say
    /// [`Event::Collected`]; or [`Event::Finished`] with `error`, if there is one.
    Collect {
        /// Which instance.
        instance: InstanceId,
        /// The error of the item or run that ended it.
        error: Option<Box<ActionError>>,
    },
    /// Find out what a run of a body begins with, then say [`Event::Entered`], [`Event::Waits`] or
    /// [`Event::RoundsOver`], or [`Event::Finished`] with an error.
    Enter {
        /// Whose body: an item or a round.
        instance: InstanceId,
    },
    /// Find out who handles the failure of a body, then say [`Event::Caught`]; or
    /// [`Event::Finished`] with an error.
    Catch {
        /// Whose body.
        instance: InstanceId,
        /// The failure.
        failure: Box<Failure>,
    },
    /// Evaluate the connections of an instance whose timer is due, then say [`Event::Fired`].
    Fire {
        /// Which instance.
        instance: InstanceId,
    },
    /// Evaluate the connections of an instance whose result is the first kept signal of the name
    /// that it waits for, then say [`Event::Took`].
    Take {
        /// Which instance.
        instance: InstanceId,
    },
    /// Say [`Event::Finished`] with the error of a signal or a slot that did not come in time.
    Expire {
        /// Which instance.
        instance: InstanceId,
    },
    /// Say [`Event::Finished`] with what became of an approval that is decided, or whose time is over:
    /// see [`Approval::outcome`](crate::Approval::outcome).
    Settle {
        /// Which instance.
        instance: InstanceId,
    },
    /// Ask the action what became of a lost attempt, then say [`Event::Finished`] or
    /// [`Event::Unreconciled`]. An error of class `Retryable` says that the effect did not happen
    /// and the attempt may be made again; it does not count against the retry policy. An action that
    /// cannot be asked is `Unreconciled`. Where the lost attempt was one to compensate
    /// ([`Machine::compensates`](crate::Machine::compensates)), the answer is [`Event::Compensated`].
    Reconcile {
        /// Which instance.
        instance: InstanceId,
        /// Which try was lost.
        attempt: u32,
    },
    /// Undo the effect of an instance: prepare the compensating action over what was registered, say
    /// [`Event::Starting`], begin on [`Command::Start`], then say [`Event::Compensated`]; or say that
    /// with an error, or [`Event::Withheld`].
    Compensate {
        /// Whose effect.
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
    },
    /// Tell a running attempt to stop.
    Abort {
        /// Which instance.
        instance: InstanceId,
    },
    /// Make a child ready that runs a part of a list, then say [`Event::Cut`].
    Cut {
        /// The first item of the part.
        instance: InstanceId,
        /// How many items it has at most, at least 1.
        most: u32,
    },
    /// Ask the child that an instance waits for to end, with the next step. Asked again after a crash.
    CancelChild {
        /// Which execution.
        child: ExecutionId,
    },
    /// Evaluate the workflow's output, then say [`Event::Output`].
    Output,
}

/// What follows from an event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// What became true; already part of the machine's state.
    pub entries: Vec<Entry>,
    /// What is to be done.
    pub commands: Vec<Command>,
}

/// Where the machine stands when nobody tells it anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Attempts are under way, or commands have not been answered.
    Busy,
    /// Nothing to do until then.
    Waiting {
        /// When the next timer or retry is due, or the execution's time is up. `None`: only a signal
        /// wakes it, or there is no first entry yet.
        due: Option<Timestamp>,
    },
    /// A person must decide; timers of other branches and its own time limit may come first.
    Parked {
        /// When they do; `None`: only a signal wakes it.
        due: Option<Timestamp>,
    },
    /// Nothing new starts until somebody lets it go on.
    Paused {
        /// When its own time limit is up; `None`: only a signal wakes it.
        due: Option<Timestamp>,
    },
    /// It is about to end, and the next attempt to undo something has its time.
    Compensating {
        /// When.
        due: Option<Timestamp>,
    },
    /// It has ended.
    Ended(Status),
}

/// Something that somebody outside says to an execution, through its inbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// End early.
    Cancel {
        /// What the one who asks says.
        reason: String,
    },
    /// Start nothing new until [`Signal::Unpause`]; what runs comes to its end.
    Pause {
        /// What the one who asks says.
        reason: String,
    },
    /// Go on after a pause.
    Unpause,
    /// What a node may wait for, by its name.
    Named(NamedSignal),
    /// What somebody says about an approval.
    Vote(Box<Ballot>),
    /// A child that a node waits for has ended.
    ChildEnded(Box<ChildEnd>),
    /// A person's decision about an effect whose outcome is unknown, about a compensation that
    /// failed, or about poison.
    Unpark {
        /// About which instance; absent for poison.
        instance: Option<InstanceId>,
        /// What.
        decision: UnparkDecision,
    },
}

/// Why an inbox item is no signal.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// No signal has this kind.
    #[error("no signal is of the kind `{0}`")]
    Kind(String),
    /// It breaks a rule of signals with a name.
    #[error(transparent)]
    Named(#[from] NamedSignalError),
    /// It breaks a rule of votes.
    #[error(transparent)]
    Ballot(#[from] BallotError),
    /// Its content does not fit its kind.
    #[error("a signal of the kind `{kind}` cannot be read: {source}")]
    Payload {
        /// The kind.
        kind: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

const CANCEL: &str = "cancel";
const PAUSE: &str = "pause";
const UNPAUSE: &str = "unpause";
const NAMED: &str = "signal";
const VOTE: &str = "vote";
const CHILD: &str = "child";
const UNPARK: &str = "unpark";

impl Signal {
    /// Kind and payload, as an inbox keeps them.
    #[must_use]
    pub fn to_inbox(&self) -> (&'static str, Value) {
        match self {
            Self::Cancel { reason } => (CANCEL, json!({ "reason": reason })),
            Self::Pause { reason } => (PAUSE, json!({ "reason": reason })),
            Self::Unpause => (UNPAUSE, json!({})),
            Self::Named(signal) => (NAMED, json!(signal)),
            Self::Vote(ballot) => (VOTE, json!(ballot)),
            Self::ChildEnded(end) => (
                CHILD,
                serde_json::to_value(end).expect("an end has string keys"),
            ),
            Self::Unpark { instance, decision } => (
                UNPARK,
                json!({ "instance": instance.as_ref().map(ToString::to_string), "decision": decision }),
            ),
        }
    }

    /// Reads what an inbox keeps.
    ///
    /// # Errors
    /// [`SignalError`]: an unknown kind, or a payload that does not fit it.
    pub fn from_inbox(kind: &str, payload: &Value) -> Result<Self, SignalError> {
        #[derive(Deserialize)]
        struct Reason {
            reason: String,
        }
        #[derive(Deserialize)]
        struct Unpark {
            instance: Option<String>,
            decision: UnparkDecision,
        }
        let wrong = |source| SignalError::Payload {
            kind: kind.to_owned(),
            source,
        };
        match kind {
            CANCEL => {
                let Reason { reason } = Reason::deserialize(payload).map_err(wrong)?;
                Ok(Self::Cancel { reason })
            }
            PAUSE => {
                let Reason { reason } = Reason::deserialize(payload).map_err(wrong)?;
                Ok(Self::Pause { reason })
            }
            UNPAUSE => Ok(Self::Unpause),
            NAMED => {
                let said = NamedSignal::deserialize(payload).map_err(wrong)?;
                let signal = NamedSignal::new(&said.name, &said.id, said.payload)?;
                Ok(Self::Named(match said.keep {
                    true => signal,
                    false => signal.transient(),
                }))
            }
            VOTE => {
                let ballot: Box<Ballot> = Box::deserialize(payload).map_err(wrong)?;
                ballot.check()?;
                Ok(Self::Vote(ballot))
            }
            CHILD => {
                let end = ChildEnd::deserialize(payload).map_err(wrong)?;
                if end
                    .output
                    .as_deref()
                    .is_some_and(|value| !is_storable(value))
                {
                    let message = format_args!("it is nested deeper than {MAX_VALUE_DEPTH} levels");
                    return Err(wrong(serde::de::Error::custom(message)));
                }
                Ok(Self::ChildEnded(Box::new(end)))
            }
            UNPARK => {
                let Unpark { instance, decision } = Unpark::deserialize(payload).map_err(wrong)?;
                if let UnparkDecision::Succeeded(value) = &decision
                    && !is_storable(value)
                {
                    let message = format_args!("it is nested deeper than {MAX_VALUE_DEPTH} levels");
                    return Err(wrong(serde::de::Error::custom(message)));
                }
                let instance = instance.map(|text| text.parse()).transpose();
                let instance = instance.map_err(|error| wrong(serde::de::Error::custom(error)))?;
                Ok(Self::Unpark { instance, decision })
            }
            other => Err(SignalError::Kind(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Choice;

    #[test]
    fn signals_read_back_from_an_inbox() {
        let signals = [
            Signal::Cancel {
                reason: "enough".to_owned(),
            },
            Signal::Pause {
                reason: "an audit".to_owned(),
            },
            Signal::Unpause,
            Signal::Named(NamedSignal::new("paid", "7", Arc::new(json!(null))).unwrap()),
            Signal::Named(
                NamedSignal::new("paid", "8", Arc::new(json!(1)))
                    .unwrap()
                    .transient(),
            ),
            Signal::Vote(Box::new(Ballot {
                instance: "each[2]/sign".parse().unwrap(),
                round: 1,
                id: "7".to_owned(),
                by: "ada".to_owned(),
                choice: Choice::Reject,
                comment: Some("too much".to_owned()),
                seat: Some(3),
                at: None,
            })),
            Signal::ChildEnded(Box::new(ChildEnd {
                child: ExecutionId::from_bytes([7; 16]),
                instance: "each[3]/bill".parse().unwrap(),
                status: Status::Completed,
                output: Some(Arc::new(Value::Null)),
                failure: None,
            })),
            Signal::Unpark {
                instance: None,
                decision: UnparkDecision::Retry,
            },
            Signal::Unpark {
                instance: Some("pay#2[1]".parse().unwrap()),
                decision: UnparkDecision::Succeeded(Arc::new(json!({ "id": 7 }))),
            },
        ];
        for signal in signals {
            let (kind, payload) = signal.to_inbox();
            assert_eq!(Signal::from_inbox(kind, &payload).unwrap(), signal);
        }
        assert!(Signal::from_inbox("dance", &json!({})).is_err());
        assert!(Signal::from_inbox("cancel", &json!({})).is_err());
        let nameless = json!({ "name": "", "id": "7", "payload": null });
        assert!(Signal::from_inbox("signal", &nameless).is_err());
        let nobody = json!({ "instance": { "n": "sign" }, "round": 0, "id": "7", "by": " ", "choice": "approve" });
        assert!(matches!(
            Signal::from_inbox("vote", &nobody),
            Err(SignalError::Ballot(BallotError::Who))
        ));
    }
}
