//! What a server answers, as it lies in JSON.

use std::{fmt, str::FromStr};

use nebula_core::{Digest, ExecutionId, Labels, Priority, Timestamp, WorkflowId};
use nebula_execution::{Entry, Fact, InstanceId, Status, StoredEntry};
use nebula_ports::{
    ExecutionSummary, StoredWorkflow, VersionSummary, WorkflowSummary, WorkflowVersions,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use super::Asked;

/// A value that stands in JSON as its text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<T>(pub(crate) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

type Time = Text<Timestamp>;

#[derive(Debug, Deserialize)]
pub(super) struct ExecutionPage {
    pub(super) executions: Vec<Summary>,
    pub(super) next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Summary {
    execution: ExecutionId,
    workflow: WorkflowId,
    version: u32,
    priority: Text<Priority>,
    status: Status,
    created_at: Time,
    updated_at: Time,
    begins_at: Option<Time>,
    wake_at: Option<Time>,
    entries: u64,
    leased: bool,
    #[serde(default)]
    labels: Labels,
}

impl From<Summary> for ExecutionSummary {
    fn from(it: Summary) -> Self {
        Self {
            id: it.execution,
            workflow: it.workflow,
            version: it.version,
            priority: it.priority.0,
            status: it.status,
            created_at: it.created_at.0,
            updated_at: it.updated_at.0,
            wake_at: it.wake_at.map(|at| at.0),
            entries: it.entries,
            leased: it.leased,
            begins_at: it.begins_at.map(|at| at.0),
            labels: it.labels,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Journal {
    pub(super) entries: Vec<JournalEntry>,
    pub(super) next: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct JournalEntry {
    seq: u64,
    epoch: u64,
    at: Time,
    fact: Fact,
}

impl From<JournalEntry> for StoredEntry {
    fn from(it: JournalEntry) -> Self {
        Self {
            seq: it.seq,
            epoch: it.epoch,
            entry: Entry {
                at: it.at.0,
                fact: it.fact,
            },
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Said {
    pub(super) seq: u64,
    pub(super) duplicate: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Approvals {
    pub(super) approvals: Vec<Approval>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Approval {
    instance: Text<InstanceId>,
    round: u32,
    title: Option<String>,
    approvers: Vec<String>,
    quorum: u32,
    approved: Vec<String>,
    rejected: Vec<String>,
    due: Option<Time>,
}

impl From<Approval> for Asked {
    fn from(it: Approval) -> Self {
        Self {
            instance: it.instance.0,
            round: it.round,
            title: it.title,
            approvers: it.approvers,
            quorum: it.quorum,
            approved: it.approved,
            rejected: it.rejected,
            due: it.due.map(|due| due.0),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Begun {
    pub(super) execution: ExecutionId,
    #[serde(default)]
    pub(super) waits_behind: Option<u32>,
    #[serde(default)]
    pub(super) begins_at: Option<Time>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Migrated {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) begins: Vec<String>,
    pub(super) drops: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WorkflowPage {
    pub(super) workflows: Vec<Workflow>,
    pub(super) next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Workflow {
    workflow: WorkflowId,
    name: String,
    latest: u32,
    published: Option<u32>,
    pub(super) revision: u64,
    archived: bool,
    project: Option<nebula_core::ProjectId>,
}

impl From<Workflow> for WorkflowSummary {
    fn from(it: Workflow) -> Self {
        Self {
            id: it.workflow,
            name: it.name,
            latest: it.latest,
            published: it.published,
            revision: it.revision,
            archived: it.archived,
            project: it.project,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct VersionPage {
    #[serde(flatten)]
    pub(super) workflow: Workflow,
    pub(super) versions: Vec<Version>,
    pub(super) next: Option<u32>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Version {
    version: u32,
    digest: Text<Digest>,
    saved_at: Time,
}

impl From<VersionPage> for WorkflowVersions {
    fn from(it: VersionPage) -> Self {
        let versions = it.versions.into_iter().map(|it| VersionSummary {
            version: it.version,
            digest: it.digest.0,
            saved_at: it.saved_at.0,
        });
        Self {
            versions: versions.collect(),
            workflow: it.workflow.into(),
            next: it.next,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Stored {
    workflow: WorkflowId,
    version: u32,
    digest: Text<Digest>,
    saved_at: Time,
    definition: Value,
}

impl From<Stored> for StoredWorkflow {
    fn from(it: Stored) -> Self {
        Self {
            id: it.workflow,
            version: it.version,
            definition: it.definition,
            digest: it.digest.0,
            saved_at: it.saved_at.0,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct SavedVersion {
    pub(super) version: u32,
    pub(super) revision: u64,
    pub(super) unchanged: bool,
}
