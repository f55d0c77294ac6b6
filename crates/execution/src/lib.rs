//! Decides what happens next in one execution.
//!
//! A journal folds into an [`ExecutionState`]; the [`Machine`] turns an event into journal entries
//! and commands. Start reading at [`Machine::decide`]; then `state/fold` for what entries mean,
//! `tokens` for joins, `machine/*` for what follows from events.
//!
//! Does not know: the clock (events carry their time), storage, how an action runs, how a
//! condition is evaluated (events carry which connections were taken).
//!
//! # Invariants
//! - Applying a journal and having lived it give the same state.
//! - A terminal state has no way out.
//! - No external write is commanded before the entry that says so is handed out.
//! - When an execution completes, no token is left over.
//!
//! - Every rest has a reason to wake: a timer, an awaited signal, or a person's open decision.
//! - No signal and no result of an action can break it; only a journal that is not its own can.
//!
//! ```
//! # use std::sync::Arc;
//! # use nebula_core::{Digest, ExecutionId, TenantId, Timestamp};
//! use nebula_execution::{
//!     Command, Event, ExecutionPlan, Machine, NewExecution, Outcome, Rest, StartOptions, Status,
//!     StoredEntry, Taken,
//! };
//! use serde_json::json;
//!
//! // A stored plan: `fetch -> price -> report`.
//! let plan = ExecutionPlan::decode(include_bytes!("../tests/fixtures/plan-v1.json")).unwrap();
//! let (digest, now) = (plan.encode().1, Timestamp::from_millis(0));
//! let (id, tenant) = (ExecutionId::from_bytes([1; 16]), TenantId::local());
//! let options = StartOptions::default();
//! let new = NewExecution::new(id, tenant.clone(), now, (&plan, digest), json!({}), options);
//!
//! // A holder folds the journal, begins, and does what it is told.
//! let mut machine = Machine::new(Arc::new(plan), tenant, id);
//! for (seq, entry) in (1..).zip(new.entries) {
//!     machine.apply(&StoredEntry { seq, epoch: 0, entry });
//! }
//! let decision = machine.decide(Event::Begin, now);
//! let [Command::Run { instance, .. }] = &decision.commands[..] else { panic!() };
//! assert_eq!(instance.to_string(), "fetch");
//!
//! // Nothing is taken behind `fetch`: the rest is skipped, and the output is all that is left.
//! let outcome = Outcome::Succeeded {
//!     output: Arc::new(json!({ "ok": false })).into(),
//!     port: "main".into(),
//!     lineage: None,
//!     taken: Taken::Only(Vec::new()),
//!     undo: None,
//! };
//! let instance = instance.clone();
//! let decision = machine.decide(Event::Finished { instance, outcome, micros: 9 }, now);
//! assert_eq!((decision.entries.len(), decision.commands), (1, vec![Command::Output]));
//! machine.decide(Event::Output(Ok(json!("done"))), now);
//! assert_eq!(machine.rest(), Rest::Ended(Status::Completed));
//! ```

mod activation;
mod again;
mod approval;
mod call;
mod claim;
mod codec;
mod compensation;
pub mod control;
mod event;
mod footprint;
mod instance;
mod journal;
mod list;
mod machine;
mod migrate;
mod milestone;
mod part;
mod plan;
mod repeats;
mod resume;
mod scope;
mod signal;
mod snapshot;
mod start;
mod state;
mod status;
mod stored;
mod timeline;
mod tokens;
mod topic;
mod watched;

pub use activation::{Activation, Added, Items, OpenItem, OpenPart, Runs};
pub use again::{AgainError, Copying, MAX_COPIED_ENTRIES};
pub use approval::{
    Approval, Ballot, BallotError, Choice, MAX_APPROVERS, MAX_ARTIFACT_BYTES, MAX_COMMENT_BYTES,
    MAX_QUORUM, MAX_TITLE_BYTES, MAX_WHO_BYTES, Question, Refusal, Seat, Vote, is_name_of_person,
};
pub use call::{ChildEnd, End, MAX_CALL_DEPTH, Parent};
pub use claim::{
    Claim, ClaimStatus, ClaimedSlot, MAX_CLAIMS, MAX_LOCK_NAME, MAX_PERMITS, SlotScope, SlotWanted,
    WhenLost,
};
pub use codec::{
    CodecError, JOURNAL_FORMAT, MAX_VALUE_DEPTH, decode, encode, is_storable, nests_within,
};
pub use compensation::{
    CompensationInput, Compensations, MAX_COMPENSATION_BYTES, MAX_COMPENSATION_INPUT,
    MAX_COMPENSATIONS, OpenCompensation, SettledCompensation,
};
pub use event::{Command, Decision, Event, Outcome, Rest, Signal, SignalError};
pub use footprint::{Footprint, footprint};
pub use instance::{Identity, InstanceId, InstanceIdError, MAX_NESTING};
pub use journal::{
    EndReason, Entry, Fact, Failure, ItemOutcome, ParkReason, Started, StoredEntry, Taken, Tries,
    UnparkDecision,
};
pub use list::{Elements, Given, LIST_SEGMENT, List, Made, Outcomes};
pub use machine::{MAX_DEFERRALS, Machine};
pub use migrate::{MigrateError, Migrated, Migration};
pub use milestone::MilestoneStatus;
pub use nebula_resilience::MAX_RETRY_AFTER;
pub use part::{Distribution, MAX_PART_ITEMS, MAX_PARTS, Part, PartEnd, PartNode};
pub use plan::{
    AdmissionKeyError, ExecutionPlan, PLAN_FORMAT, PlanAdmission, PlanBody, PlanCall, PlanCallee,
    PlanCompensation, PlanConnection, PlanCredential, PlanError, PlanHandler, PlanLoop,
    PlanMilestone, PlanNode, PlanOutput, PlanParts, PlanRateLimit, Request, RequestError,
};
pub use repeats::{Again, Generation, Repeats, Undone, UnfinishedChild};
pub use resume::{ResumeKey, ResumeToken, ResumeTokenError};
pub use scope::{EvaluationScope, Stage};
pub use signal::{
    MAX_KEPT_SIGNALS, MAX_SIGNAL_BYTES, MAX_SIGNAL_ID, MAX_SIGNAL_NAME, NamedSignal,
    NamedSignalError, check_payload, is_signal_name,
};
pub use snapshot::{SNAPSHOT_FORMAT, SnapshotError};
pub use start::{NewExecution, StartOptions, StartRate, StartSlot, TriggerMove};
pub use state::{At, Ending, ExecutionState, Key};
pub use status::{InstanceStatus, Status, StatusError};
pub use stored::{Stored, Unread};
pub use timeline::{MAX_STRETCHES, Spell, Spent, Stretch, Timeline, Times};
pub use topic::Topic;
pub use watched::{Decided, EventKind, ExecutionEvent, Parking};
