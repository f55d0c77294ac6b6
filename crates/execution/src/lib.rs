//! Decides what happens next in one execution.
//!
//! A journal folds into an [`ExecutionState`]; the [`Machine`] turns an event into journal entries
//! and commands. Start reading at [`Machine::decide`].
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
//! ```
//! use nebula_execution::{InstanceId, Status};
//!
//! let third: InstanceId = "price[2]".parse().unwrap();
//! assert_eq!((third.node.as_str(), third.item), ("price", Some(2)));
//! assert!(Status::TimedOut.is_terminal());
//! ```

mod activation;
mod codec;
pub mod control;
mod event;
mod instance;
mod journal;
mod machine;
mod plan;
mod scope;
mod snapshot;
mod start;
mod state;
mod status;
mod tokens;

pub use activation::{Activation, Items, OpenItem};
pub use codec::{CodecError, JOURNAL_FORMAT, MAX_VALUE_DEPTH, decode, encode, is_storable};
pub use event::{Command, Decision, Event, Outcome, Rest, Signal, SignalError};
pub use instance::{InstanceId, InstanceIdError};
pub use journal::{
    EndReason, Entry, Fact, Failure, ItemOutcome, ParkReason, Started, StoredEntry, Taken,
    UnparkDecision,
};
pub use machine::Machine;
pub use plan::{
    ExecutionPlan, PLAN_FORMAT, PlanConnection, PlanError, PlanNode, PlanOutput, PlanParts,
    Request, RequestError,
};
pub use scope::EvaluationScope;
pub use snapshot::{SNAPSHOT_FORMAT, SnapshotError};
pub use start::{NewExecution, StartOptions};
pub use state::{Ending, ExecutionState};
pub use status::{InstanceStatus, Status, StatusError};
