//! The facts of an execution, in order: the only truth about it.

use std::{path::PathBuf, sync::Arc};

use compact_str::CompactString;
use nebula_action::{ActionError, Grants};
use nebula_core::{
    BlobId, Digest, ExecutionId, Labels, NodeId, Priority, Timestamp, TraceContext, TraceId,
    WorkflowId, canonical_json,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    CompensationInput, Given, InstanceId, NamedSignal, Parent, Part, PartNode, Question, Refusal,
    Repeats, SlotWanted, Status, Stored, Vote, activation::there,
};

/// One fact and when it was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The time of the event that led to it, from the Clock port.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// What became true.
    #[serde(rename = "f")]
    pub fact: Fact,
}

/// An entry in its place: what a store gives back.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEntry {
    /// Its number in the execution's journal, from 1, without gaps.
    pub seq: u64,
    /// The epoch of the lease that wrote it; 0 for entries written at a creation without a step.
    pub epoch: u64,
    /// The entry.
    pub entry: Entry,
}

/// Why an instance or an execution failed. It holds no payload and no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error of the action, or of the engine where no action was reached.
    pub error: ActionError,
    /// The node that it came from, if it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
}

/// Which of the connections of the taken port carry a live token.
///
/// Branch decisions are in the journal, so that replay never evaluates a condition again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// All of them: none has a condition that is false.
    #[default]
    All,
    /// Only these, named `target` or `target:input`.
    Only(Vec<CompactString>),
}

impl Taken {
    fn is_all(&self) -> bool {
        *self == Self::All
    }
}

/// How one item of a `for_each` ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemOutcome {
    /// It gave this result.
    Ok(Arc<Value>),
    /// It failed, and the node goes on without it.
    Error(ActionError),
    /// It gave what is no value: in a journal, what lies in a blob.
    Apart(Given),
}

impl ItemOutcome {
    /// It gave this. A list in segments is a value where it stands in another list, unless an element of
    /// it lies in a blob.
    pub(crate) fn of(given: Given) -> Self {
        match given {
            Given::Value(value) => Self::Ok(value),
            Given::List(list) if list.apart().is_empty() => Self::Ok(Arc::new(list.to_value())),
            given => Self::Apart(given),
        }
    }
}

/// Who asked for an execution to end early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// A person or program, with what they said.
    Requested(String),
    /// The execution's own time limit.
    Timeout,
}

/// Why an execution needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkReason {
    /// These instances may or may not have changed the outside.
    Indeterminate(Vec<InstanceId>),
    /// The effects of these instances could not be undone.
    Compensation(Vec<InstanceId>),
    /// So many leases in a row were granted and ended without any progress.
    Poison {
        /// How many.
        grants: u32,
    },
}

/// What a person decided about a parked execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnparkDecision {
    /// The effect happened; this is the node's result. About a compensation: it was undone by hand.
    Succeeded(Arc<Value>),
    /// The effect did not happen, and shall not; the node failed. About a compensation: it is given
    /// up, and the effect stands.
    Failed,
    /// Do it again. A compensation has its whole retry policy before it.
    Retry,
}

/// What became true. Names of nodes, never dense indices, so that a journal can be read without its plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The first entry of every journal.
    ExecutionStarted(Box<Started>),
    /// An attempt may have begun; committed before any external write.
    AttemptStarted {
        /// Of which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// What the attempt sends along.
        key: String,
        /// Digest of the resolved parameters.
        input: Digest,
        /// When the attempt is over at the latest.
        deadline: Timestamp,
    },
    /// An attempt gave a result.
    AttemptSucceeded {
        /// Of which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// The result.
        output: Arc<Value>,
        /// The output port.
        #[serde(default = "main_port", skip_serializing_if = "is_main")]
        port: CompactString,
        /// For a list: which element of the input each element came from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lineage: Option<Vec<u32>>,
        /// Which connections of the port carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
        /// How long the attempt took, in microseconds.
        #[serde(default)]
        micros: u64,
    },
    /// An attempt gave a result that is too large for the journal: it lies in a blob, as JSON, which
    /// was there before this. Of an instance in a body or a list, the journal has format 4.
    AttemptSpilled {
        /// Of which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// Where the result lies.
        blob: BlobId,
        /// The output port.
        #[serde(default = "main_port", skip_serializing_if = "is_main")]
        port: CompactString,
        /// For a list: which element of the input each element came from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lineage: Option<Vec<u32>>,
        /// Which connections of the port carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
        /// How long the attempt took, in microseconds.
        #[serde(default)]
        micros: u64,
    },
    /// What an attempt that has succeeded put into blobs, whole and in this order; its end follows. Names of
    /// blobs stand in results as well, where anybody can write them: this is who put what.
    BlobsPut {
        /// Of which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// What it put, at least one.
        blobs: Vec<BlobId>,
    },
    /// An instance passed `$json` on, which is large: it stands where it came from, and not again here.
    JsonPassed {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// The output port.
        #[serde(default = "main_port", skip_serializing_if = "is_main")]
        port: CompactString,
        /// Which connections of the port carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
    },
    /// An attempt gave an error.
    AttemptFailed {
        /// Of which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// What went wrong.
        error: ActionError,
        /// When the next attempt may begin; absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
        /// Whether the try counts against the retry policy; one that was lost with its worker does not.
        #[serde(default = "yes", skip_serializing_if = "is_true")]
        counts: bool,
        /// Which connections of the port `error`, or of `main` for `on_error: continue`, carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
    },
    /// Nobody knows whether the attempt changed the outside.
    AttemptIndeterminate {
        /// Of which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// Why its outcome is unknown.
        error: ActionError,
    },
    /// The node's `when` is false. Instances on dead paths need no entry: they follow from tokens.
    InstanceSkipped {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
    },
    /// A `for_each` knows its list.
    ItemsOpened {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// How many items.
        count: u32,
        /// The name of the signals that bring more; absent if none does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        more: Option<CompactString>,
    },
    /// A signal brought more items to a list that grows: the first kept one of the name that it
    /// waits for.
    ItemsAdded {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// The signal's id.
        id: String,
        /// How many items.
        count: u32,
        /// Whether no more come.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        last: bool,
    },
    /// The list needs no further item, or cannot have one: it is complete before all of its items
    /// ran, or failed as a whole.
    ItemsEnough {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Why it failed; absent if it is complete.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<ActionError>,
    },
    /// The items that ran on after their list was complete have all ended.
    ItemsAbsorbed {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
    },
    /// A run of items ended.
    ItemsSettled {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// The first item's index.
        from: u32,
        /// One for each item from there.
        outcomes: Vec<ItemOutcome>,
    },
    /// Every item ended; the result is the list of their results.
    ItemsCompleted {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which connections of `main` carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
    },
    /// An instance waits for a point in time.
    TimerSet {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// When it is due.
        due: Timestamp,
    },
    /// The point in time has come; the instance succeeded.
    TimerFired {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which connections of `main` carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
    },
    /// The body of an instance is going to run in rounds, one after the other.
    RoundsOpened {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
    },
    /// A run of a body began.
    BodyOpened {
        /// Whose body: an instance, or its item or round.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// `$json` of the nodes that it begins with; null where one of the next two says more.
        json: Arc<Value>,
        /// Where that lies, if it is too large for the journal; such journals have format 4.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blob: Option<Arc<Stored>>,
        /// Whether it is what stands in the journal already, and not again here: what the round before
        /// gave, else `$json` of the instance; such journals have format 4.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        passed: bool,
        /// When it is given up; absent if never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
    },
    /// A run of a body took too long: it is given up.
    BodyTimedOut {
        /// Whose body.
        #[serde(rename = "on")]
        instance: InstanceId,
    },
    /// A node of a body that was held back begins: a handler of its failure, or what runs in any case.
    HandlerCalled {
        /// Whose body.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which node.
        node: NodeId,
    },
    /// A run of a body ended: with the results of its end nodes, or with the failure of one of its nodes.
    BodyClosed {
        /// Whose body.
        #[serde(rename = "on")]
        instance: InstanceId,
    },
    /// Every run of an instance's body ended, and the instance succeeded with what the last one gave.
    BodyCompleted {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which connections of `main` carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
    },
    /// An instance waits until its milestone is reached, or will never be.
    MilestoneAwaited {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// The node that is to succeed.
        reached: NodeId,
    },
    /// An instance waits for a slot, with which its body begins; or again for one that was lost,
    /// without which its body does not go on. The claim moves with the very step that holds this entry.
    SlotClaimed {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// What it wants.
        wanted: SlotWanted,
    },
    /// An instance holds the slot that it waited for.
    SlotGranted {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
    },
    /// An instance neither holds its slot nor waits for it any longer, since the worker that had the
    /// execution was lost, and perhaps the execution's turn with it.
    SlotLost {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
    },
    /// A body is given up whose slot was lost.
    SlotGivenUp {
        /// Whose body.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Why.
        error: ActionError,
    },
    /// An instance waits for a signal.
    SignalAwaited {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// The signal's name.
        name: CompactString,
        /// When it gives up; absent if never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
    },
    /// A signal arrived; it is kept until an instance takes it.
    SignalReceived(NamedSignal),
    /// A signal arrived and was not kept: too many are, which nobody has taken.
    SignalRefused {
        /// Its name.
        name: CompactString,
        /// Its id.
        id: String,
    },
    /// A signal that is not to be kept arrived, and no instance waited for it, or none does any more.
    SignalMissed {
        /// Its name.
        name: CompactString,
        /// Its id.
        id: String,
    },
    /// An instance took the first signal of the name that it waits for: the payload is its result.
    SignalTaken {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// The signal's id.
        id: String,
        /// Which connections of `main` carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
    },
    /// An instance sent a signal to another execution, with the very step that holds this entry.
    SignalSent {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// To which execution.
        to: ExecutionId,
        /// What.
        signal: NamedSignal,
        /// Which connections of `main` carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
    },
    /// An instance told whoever watches; the payload is for them alone.
    EventEmitted {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// The event's name.
        name: CompactString,
        /// What it says.
        payload: Arc<Value>,
        /// Which connections of `main` carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
    },
    /// An instance asks people.
    ApprovalAsked {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// What, and whom.
        question: Box<Question>,
    },
    /// Somebody voted on what an instance asks.
    VoteCast {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// The vote's id.
        id: String,
        /// Who said what.
        vote: Vote,
    },
    /// A vote came that does not count. Whether there is such an instance is not said.
    VoteRefused {
        /// What it was about.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// The vote's id.
        id: String,
        /// Who voted.
        by: String,
        /// Why it does not count.
        why: Refusal,
    },
    /// An instance that has a compensation has succeeded: this undoes its effect, should the
    /// execution not complete.
    CompensationRegistered {
        /// Whose effect.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// What the compensating action gets.
        input: CompensationInput,
    },
    /// An attempt to undo an effect may have begun; committed before any external write.
    CompensationStarted {
        /// Whose effect.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// What the attempt sends along.
        key: String,
        /// Digest of what the compensating action gets.
        input: Digest,
        /// When the attempt is over at the latest.
        deadline: Timestamp,
    },
    /// An effect was undone.
    CompensationSucceeded {
        /// Whose effect.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// What the compensating action gave.
        output: Arc<Value>,
        /// How long the attempt took, in microseconds.
        #[serde(default)]
        micros: u64,
    },
    /// An attempt to undo an effect gave an error, or nobody knows what it did.
    CompensationFailed {
        /// Whose effect.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// What went wrong.
        error: ActionError,
        /// When the next attempt may begin; absent if a person must decide.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
        /// Whether the try counts against the retry policy; one that was lost with its worker does not.
        #[serde(default = "yes", skip_serializing_if = "is_true")]
        counts: bool,
    },
    /// An instance called another workflow: the child began with the very step that holds this entry.
    ChildStarted {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which try, from 1.
        attempt: u32,
        /// The execution that began.
        child: ExecutionId,
        /// Of which workflow.
        workflow: WorkflowId,
        /// Of which version.
        version: u32,
        /// Whether nobody waits for its end: the instance has succeeded, and its id is the result.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        detached: bool,
        /// If so, which connections of `main` carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
    },
    /// The child that an instance waited for has ended. With an output or a blob, the instance has
    /// succeeded; else the failure that it means for the instance follows.
    ChildEnded {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// The execution that ended.
        child: ExecutionId,
        /// How.
        status: Status,
        /// What it gave, and the instance gives.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "there"
        )]
        output: Option<Arc<Value>>,
        /// Where that lies, if it is too large for the journal; such journals have format 4.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blob: Option<Arc<Stored>>,
        /// Which connections of `main` carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
    },
    /// A child runs neighbouring items of a list: it began with the very step that holds this entry.
    PartStarted {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// The index of the first item.
        from: u32,
        /// How many.
        count: u32,
        /// The execution that began.
        child: ExecutionId,
    },
    /// A child has ended that ran items of a list. What has become of them follows.
    PartEnded {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// The index of the first item.
        from: u32,
        /// The execution that ended.
        child: ExecutionId,
        /// How.
        status: Status,
    },
    /// Nothing new is to start until somebody says so.
    PauseRequested {
        /// What the one who asked said.
        reason: String,
    },
    /// It may go on after a pause.
    Resumed,
    /// The execution is to end early.
    CancellationRequested {
        /// Why.
        reason: EndReason,
    },
    /// `flow.stop` was reached: the execution completes with this output.
    StopRequested {
        /// The instance that asked.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// The output.
        output: Arc<Value>,
    },
    /// `flow.cancel` was reached: these nodes are given up in its run and those around it.
    NodesCancelled {
        /// The instance that asked.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// Which nodes.
        nodes: Vec<NodeId>,
        /// Which connections of `main` carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
    },
    /// Nothing of an instance that was given up is under way any more.
    InstanceCancelled {
        /// Which instance.
        #[serde(rename = "on")]
        instance: InstanceId,
    },
    /// `flow.cancel` of the execution was reached: it ends as cancelled.
    QuitRequested {
        /// The instance that asked.
        #[serde(rename = "on")]
        instance: InstanceId,
        /// What its author says.
        reason: String,
    },
    /// From here on the execution has another version of its workflow; what is before could have been
    /// written under that one, too.
    Migrated {
        /// Which version.
        version: u32,
        /// Under which digest its plan is stored.
        plan: Digest,
    },
    /// A person must decide.
    Parked {
        /// Why.
        reason: ParkReason,
    },
    /// A person decided.
    Unparked {
        /// About which instance; absent for poison.
        #[serde(rename = "on", default, skip_serializing_if = "Option::is_none")]
        instance: Option<InstanceId>,
        /// What.
        decision: UnparkDecision,
        /// Which connections of the port that follows from the decision carry a live token.
        #[serde(default, skip_serializing_if = "Taken::is_all")]
        taken: Taken,
    },
    /// A fact that is too large for the journal lies in a blob, as JSON. Whoever reads a journal for
    /// the engine puts it back; none of the engine's parts ever sees this.
    Spilled {
        /// The name of the fact, as it stands in JSON: `attempt_succeeded`.
        kind: CompactString,
        /// Where it lies.
        blob: BlobId,
    },
    /// The end.
    ExecutionCompleted {
        /// The output.
        output: Arc<Value>,
    },
    /// The end.
    ExecutionFailed {
        /// Why.
        error: Failure,
    },
    /// The end.
    ExecutionCancelled {
        /// What the one who asked said.
        reason: String,
    },
    /// The end.
    ExecutionTimedOut,
}

/// What an execution began with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// Which workflow.
    pub workflow: WorkflowId,
    /// Which version of it.
    pub version: u32,
    /// Under which digest the plan is stored.
    pub plan: Digest,
    /// The input, checked against the workflow's schema; where it lies in a blob, the digest of its
    /// canonical JSON instead: whoever wants the input asks [`Started::given`].
    pub input: Arc<Value>,
    /// The blob that the input lies in, if it is too large for a journal; journals with it have format 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_blob: Option<Arc<Stored>>,
    /// What the operator declared visible, as it was then.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub vars: Value,
    /// What started it, for `$trigger`.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub trigger: Value,
    /// The blob that this lies in, if it is too large for a journal: then it is null, and the journal
    /// has format 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_blob: Option<Arc<Stored>>,
    /// The execution whose work this one continues; idempotency keys come from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<ExecutionId>,
    /// What its nodes may touch at most.
    #[serde(default)]
    pub grants: Grants,
    /// Where relative paths in its parameters begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Who called it, if a node of another execution did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Box<Parent>>,
    /// What it has from the execution that it goes over again; journals with it have format 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Repeats>,
    /// What of the workflow it tries, if it is no execution of a saved version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Tries>,
    /// How urgent it is beside others.
    #[serde(default, skip_serializing_if = "is_normal")]
    pub priority: Priority,
    /// What it is found by.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The trace that it belongs to, if whoever started it was in one; else its own id is that of a trace.
    /// A reader that does not know it begins such a trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Box<TraceContext>>,
    /// The blobs that came with what started it: files of a delivery. A reader that does not know it shows
    /// none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<BlobId>,
    /// The items of another execution's list that it runs, and nothing else of its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Arc<Part>>,
}

impl Started {
    /// The trace that it belongs to.
    #[must_use]
    pub fn trace_id(&self, execution: ExecutionId) -> TraceId {
        match &self.trace {
            Some(trace) => trace.trace,
            None => TraceId::of_execution(execution),
        }
    }

    /// Its position in a trace: that of whoever started it, or the beginning of a trace of its own.
    #[must_use]
    pub fn trace_of(&self, execution: ExecutionId) -> TraceContext {
        match &self.trace {
            Some(trace) => (**trace).clone(),
            None => TraceContext::of_execution(execution),
        }
    }

    /// The input, wherever it lies.
    #[must_use]
    pub fn given(&self) -> Given {
        match &self.input_blob {
            Some(stored) => Given::Blob(stored.clone()),
            None => Given::Value(self.input.clone()),
        }
    }

    /// What started it, wherever it lies.
    #[must_use]
    pub fn trigger(&self) -> Given {
        match &self.trigger_blob {
            Some(stored) => Given::Blob(stored.clone()),
            None => Given::Value(Arc::new(self.trigger.clone())),
        }
    }

    /// The same beginning, with what started it in a blob of this name.
    #[must_use]
    pub fn triggered_by_blob(mut self, blob: BlobId) -> Self {
        self.trigger = Value::Null;
        self.trigger_blob = Some(Arc::new(Stored::new(blob)));
        self
    }

    /// The same beginning, on an input that lies in a blob of this name.
    #[must_use]
    pub fn on_blob(mut self, blob: BlobId) -> Self {
        let digest = Digest::of_json(&self.input);
        self.input = Arc::new(Value::String(digest.to_string()));
        self.input_blob = Some(Arc::new(Stored::new(blob)));
        self
    }

    /// What two beginnings of the same workflow on the same input have in common, and no others. Neither
    /// the order of the fields in an input counts, nor whether it lies in a blob.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let digest = match &self.input_blob {
            // Its digest stands in its place.
            Some(_) => canonical_json(&self.input),
            None => canonical_json(&Value::String(Digest::of_json(&self.input).to_string())),
        };
        Digest::of_parts(&[
            self.workflow.as_str().as_bytes(),
            digest.as_bytes(),
            b"blob",
        ])
    }

    /// What stores kept as the fingerprint before it was that of the input's digest; `None` for an input
    /// that lies in a blob, of which only the digest is here, and was then.
    #[must_use]
    pub fn earlier_fingerprint(&self) -> Option<Digest> {
        let input = self
            .input_blob
            .is_none()
            .then(|| canonical_json(&self.input))?;
        let parts = [self.workflow.as_str().as_bytes(), input.as_bytes()];
        Some(Digest::of_parts(&parts))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_normal(priority: &Priority) -> bool {
    *priority == Priority::Normal
}

/// What an execution tries of a workflow. Its version is 0: none was saved for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tries {
    /// This node and what it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<NodeId>,
    /// This node alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<NodeId>,
    /// Whether nothing outside is touched.
    pub dry_run: bool,
    /// The nodes whose results are values that were given.
    pub pinned: Vec<NodeId>,
}

impl Fact {
    /// Calls `found` for each value of it that lies in a blob.
    pub fn each_stored(&self, found: &mut impl FnMut(BlobId)) {
        let blobs = |stored: &Option<Arc<Stored>>| stored.as_ref().map(|it| it.blob());
        match self {
            Self::AttemptSpilled { blob, .. } => found(*blob),
            Self::BodyOpened { blob, .. } | Self::ChildEnded { blob, .. } => {
                blobs(blob).into_iter().for_each(found);
            }
            Self::ExecutionStarted(started) => {
                let both = [&started.input_blob, &started.trigger_blob];
                both.into_iter().filter_map(blobs).for_each(&mut *found);
                let part = started.part.as_deref();
                let apart = part.into_iter().flat_map(|part| part.apart.values());
                let seen = part.into_iter().flat_map(|part| &part.nodes);
                for given in seen.filter_map(PartNode::given).chain(apart.cloned()) {
                    given.each_stored(&mut |stored| found(stored.blob()));
                }
            }
            Self::ItemsSettled { outcomes, .. } => {
                for outcome in outcomes {
                    if let ItemOutcome::Apart(given) = outcome {
                        given.each_stored(&mut |stored| found(stored.blob()));
                    }
                }
            }
            _ => {}
        }
    }

    /// The instance that the fact is about.
    #[must_use]
    pub fn instance(&self) -> Option<&InstanceId> {
        match self {
            Self::AttemptStarted { instance, .. }
            | Self::AttemptSucceeded { instance, .. }
            | Self::AttemptSpilled { instance, .. }
            | Self::BlobsPut { instance, .. }
            | Self::JsonPassed { instance, .. }
            | Self::AttemptFailed { instance, .. }
            | Self::AttemptIndeterminate { instance, .. }
            | Self::InstanceSkipped { instance }
            | Self::ItemsOpened { instance, .. }
            | Self::ItemsAdded { instance, .. }
            | Self::ItemsEnough { instance, .. }
            | Self::ItemsAbsorbed { instance }
            | Self::ItemsSettled { instance, .. }
            | Self::ItemsCompleted { instance, .. }
            | Self::TimerSet { instance, .. }
            | Self::TimerFired { instance, .. }
            | Self::RoundsOpened { instance }
            | Self::BodyOpened { instance, .. }
            | Self::BodyTimedOut { instance }
            | Self::HandlerCalled { instance, .. }
            | Self::BodyClosed { instance }
            | Self::BodyCompleted { instance, .. }
            | Self::MilestoneAwaited { instance, .. }
            | Self::SlotClaimed { instance, .. }
            | Self::SlotGranted { instance }
            | Self::SlotLost { instance }
            | Self::SlotGivenUp { instance, .. }
            | Self::SignalAwaited { instance, .. }
            | Self::SignalTaken { instance, .. }
            | Self::SignalSent { instance, .. }
            | Self::EventEmitted { instance, .. }
            | Self::ApprovalAsked { instance, .. }
            | Self::VoteCast { instance, .. }
            | Self::CompensationRegistered { instance, .. }
            | Self::CompensationStarted { instance, .. }
            | Self::CompensationSucceeded { instance, .. }
            | Self::CompensationFailed { instance, .. }
            | Self::ChildStarted { instance, .. }
            | Self::ChildEnded { instance, .. }
            | Self::PartStarted { instance, .. }
            | Self::PartEnded { instance, .. }
            | Self::StopRequested { instance, .. }
            | Self::NodesCancelled { instance, .. }
            | Self::InstanceCancelled { instance }
            | Self::QuitRequested { instance, .. } => Some(instance),
            Self::Unparked { instance, .. } => instance.as_ref(),
            Self::ExecutionStarted(_)
            | Self::SignalReceived(_)
            | Self::SignalRefused { .. }
            | Self::SignalMissed { .. }
            | Self::VoteRefused { .. }
            | Self::PauseRequested { .. }
            | Self::Resumed
            | Self::CancellationRequested { .. }
            | Self::Migrated { .. }
            | Self::Parked { .. }
            | Self::Spilled { .. }
            | Self::ExecutionCompleted { .. }
            | Self::ExecutionFailed { .. }
            | Self::ExecutionCancelled { .. }
            | Self::ExecutionTimedOut => None,
        }
    }

    /// Which connections carry a live token, if it says so.
    pub(crate) fn taken(&self) -> Option<&Taken> {
        match self {
            Self::AttemptSucceeded { taken, .. }
            | Self::AttemptSpilled { taken, .. }
            | Self::JsonPassed { taken, .. }
            | Self::AttemptFailed { taken, .. }
            | Self::ItemsCompleted { taken, .. }
            | Self::TimerFired { taken, .. }
            | Self::BodyCompleted { taken, .. }
            | Self::SignalTaken { taken, .. }
            | Self::SignalSent { taken, .. }
            | Self::NodesCancelled { taken, .. }
            | Self::Unparked { taken, .. } => Some(taken),
            _ => None,
        }
    }

    /// Whether nothing may follow.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        if let Self::Spilled { kind, .. } = self {
            return kind == "execution_completed";
        }
        matches!(
            self,
            Self::ExecutionCompleted { .. }
                | Self::ExecutionFailed { .. }
                | Self::ExecutionCancelled { .. }
                | Self::ExecutionTimedOut
        )
    }
}

fn main_port() -> CompactString {
    CompactString::const_new(nebula_action::PORT_MAIN)
}

fn is_main(port: &CompactString) -> bool {
    port == nebula_action::PORT_MAIN
}

pub(crate) fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference to the field"
)]
pub(crate) fn is_true(flag: &bool) -> bool {
    *flag
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn on(workflow: &str, input: Value) -> Started {
        Started {
            workflow: workflow.parse().unwrap(),
            version: 1,
            plan: Digest::of(b"plan"),
            input: Arc::new(input),
            input_blob: None,
            vars: Value::Null,
            trigger: Value::Null,
            trigger_blob: None,
            origin: None,
            grants: Grants::default(),
            folder: None,
            parent: None,
            repeats: None,
            trial: None,
            priority: Priority::Normal,
            labels: Labels::default(),
            trace: None,
            blobs: Vec::new(),
            part: None,
        }
    }

    /// Guards: the same workflow on the same input, in whatever order its fields stand, and nothing else;
    /// wherever the input lies; a digest is not what it is the digest of; and what stores kept once.
    #[test]
    fn the_same_input_has_the_same_fingerprint() {
        let (one, two) = (json!({ "a": 1, "b": 2 }), json!({ "b": 2, "a": 1 }));
        let blob = |input: &Value| {
            let name = BlobId::of(input.to_string().as_bytes());
            on("orders", input.clone()).on_blob(name)
        };
        let print = |input: &Value| on("orders", input.clone()).fingerprint();
        assert_eq!(print(&one), print(&two));
        assert_eq!(blob(&one).fingerprint(), blob(&two).fingerprint());
        assert_ne!(blob(&one).input_blob, blob(&two).input_blob);
        assert_eq!(print(&one), blob(&one).fingerprint());
        let others = [
            on("refunds", one.clone()),
            on("orders", json!({ "a": 1, "b": 3 })),
            on("orders", json!(Digest::of_json(&one).to_string())),
        ];
        let prints = others.iter().map(Started::fingerprint).chain([print(&one)]);
        let different: std::collections::BTreeSet<_> = prints.collect();
        assert_eq!(different.len(), others.len() + 1);
        // What was kept before inputs were compared by their digests.
        let kept = Digest::of_parts(&[b"orders", canonical_json(&one).as_bytes()]);
        assert_eq!(on("orders", two.clone()).earlier_fingerprint(), Some(kept));
        assert_eq!(blob(&two).earlier_fingerprint(), None);
        // A store that kept the digest of an input as an input does not take one for the other. Guard: the
        // mark of fingerprints by digest.
        let digest = json!(Digest::of_json(&one).to_string());
        let kept = on("orders", digest).earlier_fingerprint();
        assert_ne!(kept, Some(print(&one)));
    }
}
