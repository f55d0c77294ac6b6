//! What commands ask of an engine, be it the one in this process or one behind a server.
//!
//! Each command has one implementation, over [`Reach`]; [`Here`] and [`There`] are the two ways.

mod here;
mod incidents;
mod there;
mod wire;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use nebula_core::{ExecutionId, Labels, Priority, Timestamp, WorkflowId};
use nebula_engine::{CalledBy, OpenApproval, Report, Started};
use nebula_execution::{Again, Choice, Fact, InstanceId, Signal};
use nebula_ports::{
    ExecutionFilter, ExecutionSummary, JournalPage, Published, Saved, Signalled, StoredWorkflow,
    WorkflowFilter, WorkflowSummary, WorkflowVersions,
};
use nebula_workflow::{Source, WorkflowDefinition};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;
pub(crate) use here::Here;
pub(crate) use incidents::{Changed, EntryLine, IncidentLine, ReachIncidents, WholeIncident};
pub(crate) use there::There;
pub(crate) use wire::Text;

/// A list, and whether there is more than was asked for.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) items: Vec<T>,
    pub(crate) more: bool,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            more: false,
        }
    }
}

/// What of an approval tells which one is meant.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) instance: InstanceId,
    pub(crate) round: u32,
    /// What is asked.
    pub(crate) title: Option<String>,
    /// Who may vote; anybody, if nobody is named.
    pub(crate) approvers: Vec<String>,
    /// How many must approve.
    pub(crate) quorum: u32,
    /// Who has approved, and who has rejected.
    pub(crate) approved: Vec<String>,
    pub(crate) rejected: Vec<String>,
    /// When the time for votes is over.
    pub(crate) due: Option<Timestamp>,
}

impl From<&OpenApproval> for Asked {
    fn from(open: &OpenApproval) -> Self {
        let (approval, question) = (&open.approval, &open.approval.question);
        let voters = |choice| approval.voters(choice).map(str::to_owned).collect();
        Self {
            instance: open.instance.clone(),
            round: approval.round,
            title: question.title.clone(),
            approvers: question.approvers.clone(),
            quorum: question.quorum,
            approved: voters(Choice::Approve),
            rejected: voters(Choice::Reject),
            due: question.due,
        }
    }
}

/// What became of a migration.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// Instances that begin with the version.
    pub(crate) begins: Vec<String>,
    /// Instances that are not there any more.
    pub(crate) drops: Vec<String>,
}

/// A start of a saved version, of which the server grants what was granted by its publication.
#[derive(Debug)]
pub(crate) struct NewStart<'a> {
    pub(crate) workflow: &'a WorkflowId,
    /// `None` is the published one.
    pub(crate) version: Option<u32>,
    pub(crate) input: Value,
    pub(crate) priority: Option<Priority>,
    pub(crate) labels: Labels,
}

/// An entry of a journal, and what followed from it. JSON: `{ "seq", "at", "epoch", "fact", "ready",
/// "skipped" }`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReplayLine {
    pub(crate) seq: u64,
    pub(crate) at: String,
    pub(crate) epoch: u64,
    pub(crate) fact: Fact,
    pub(crate) ready: Vec<String>,
    pub(crate) skipped: Vec<String>,
}

/// What commands ask, whoever answers. An outcome that can be expected is a value; what goes wrong is
/// the failure that the user is told.
#[async_trait]
pub(crate) trait Reach: ReachIncidents + fmt::Debug + Send + Sync {
    /// Executions, newest first; with `begin`, only those whose id begins so.
    async fn list(
        &self,
        filter: &ExecutionFilter,
        begin: Option<&str>,
        limit: usize,
    ) -> Result<Listed<ExecutionSummary>, Failure>;

    /// Where an execution stands.
    async fn summary(&self, id: ExecutionId) -> Result<Option<ExecutionSummary>, Failure>;

    /// Who called an execution.
    async fn called_by(&self, id: ExecutionId) -> Result<Option<CalledBy>, Failure>;

    /// What an execution did.
    async fn report(&self, id: ExecutionId) -> Result<Option<Report>, Failure>;

    /// The same once it has ended or needs somebody, or after `bound`.
    async fn settled(
        &self,
        id: ExecutionId,
        bound: Option<Duration>,
    ) -> Result<Option<Report>, Failure>;

    /// A part of a journal, from entry `from`.
    async fn journal(
        &self,
        id: ExecutionId,
        from: u64,
        limit: usize,
    ) -> Result<JournalPage, Failure>;

    /// Goes through a journal once more, and gives `each` every entry, or those about `node`.
    async fn replay(
        &self,
        id: ExecutionId,
        node: Option<&str>,
        each: &mut (dyn FnMut(ReplayLine) -> Result<(), Failure> + Send),
    ) -> Result<(), Failure>;

    /// What was true after entry `at`, as [`nebula_engine::Moment`] has it; of `node` alone, if that is said.
    async fn moment(&self, id: ExecutionId, at: u64, node: Option<&str>) -> Result<Value, Failure>;

    /// Says something to an execution.
    async fn signal(&self, id: ExecutionId, signal: &Signal) -> Result<Signalled, Failure>;

    /// What an execution asks of people.
    async fn asked(&self, id: ExecutionId) -> Result<Option<Vec<Asked>>, Failure>;

    /// Starts a saved version under what its publication granted.
    async fn start(&self, new: NewStart<'_>) -> Result<Started, Failure>;

    /// Starts an execution that goes over an ended one.
    async fn again(&self, id: ExecutionId, how: Again) -> Result<Started, Failure>;

    /// Moves an execution to another version, or with `check` only says whether it could be.
    async fn migrate(&self, id: ExecutionId, to: u32, check: bool) -> Result<Moved, Failure>;

    /// Workflows by id.
    async fn workflows(
        &self,
        filter: &WorkflowFilter,
        limit: usize,
    ) -> Result<Listed<WorkflowSummary>, Failure>;

    /// A workflow and the newest of its versions.
    async fn versions(
        &self,
        id: &WorkflowId,
        limit: usize,
    ) -> Result<Option<WorkflowVersions>, Failure>;

    /// One version.
    async fn stored(
        &self,
        id: &WorkflowId,
        version: u32,
    ) -> Result<Option<StoredWorkflow>, Failure>;

    /// Saves a definition; with `expected`, only if the workflow has that revision, and 0 is that of one
    /// which is not there.
    async fn save(
        &self,
        source: &Source,
        definition: &WorkflowDefinition,
        expected: Option<u64>,
    ) -> Result<Saved, Failure>;

    /// Publishes a version.
    async fn publish(
        &self,
        id: &WorkflowId,
        version: u32,
        expected: u64,
    ) -> Result<Published, Failure>;

    /// Archives a workflow, or takes it back; false if there is none.
    async fn archive(&self, id: &WorkflowId, archived: bool) -> Result<bool, Failure>;
}
