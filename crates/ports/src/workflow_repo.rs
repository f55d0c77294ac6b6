//! The versions of every workflow, and the plans made from them.

use std::fmt;

use async_trait::async_trait;
use nebula_core::{Digest, ProjectId, TenantId, Timestamp, WorkflowId};
use serde_json::Value;

use crate::{NewTrigger, Page, PageToken, Result};

/// A definition that is to be saved.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVersion {
    /// Of which workflow.
    pub id: WorkflowId,
    /// Its name, for listings.
    pub name: String,
    /// The definition in its full form.
    pub definition: Value,
    /// Digest over the definition without layout: what makes two versions the same.
    pub digest: Digest,
    /// The revision that the author began from; `None` overrides whatever is there.
    pub expected_revision: Option<u64>,
    /// To which project it belongs if it is new; one that is there stays where it is. `None` is none.
    pub project: Option<ProjectId>,
}

/// What became of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Saved {
    /// There is a new version.
    New {
        /// Its number, from 1 without gaps.
        version: u32,
        /// The workflow's revision now.
        revision: u64,
    },
    /// A version with this digest exists; nothing was written.
    Unchanged {
        /// Its number.
        version: u32,
        /// The workflow's revision.
        revision: u64,
    },
    /// Somebody else saved since; nothing was written.
    Conflict {
        /// The workflow's revision now.
        revision: u64,
    },
}

/// What became of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Published {
    /// The pointer moved.
    Published {
        /// The workflow's revision now.
        revision: u64,
    },
    /// Somebody else moved something since; nothing was written.
    Conflict {
        /// The workflow's revision now.
        revision: u64,
    },
    /// There is no such workflow or version.
    Unknown,
}

/// One version of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredWorkflow {
    /// Which workflow.
    pub id: WorkflowId,
    /// Which version.
    pub version: u32,
    /// The definition as it was saved.
    pub definition: Value,
    /// Its digest.
    pub digest: Digest,
    /// When it was saved, by the store's clock.
    pub saved_at: Timestamp,
}

/// Which workflows to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkflowFilter {
    /// Only those whose id or name has this text, without regard to ASCII case.
    pub search: Option<String>,
    /// Also those that were archived.
    pub archived: bool,
    /// Only those of these projects; `None` is all, also those that belong to none.
    pub projects: Option<Vec<ProjectId>>,
}

/// What a listing says of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowSummary {
    /// Which workflow.
    pub id: WorkflowId,
    /// Its name in the latest version.
    pub name: String,
    /// The latest version.
    pub latest: u32,
    /// The published version.
    pub published: Option<u32>,
    /// Grows with every save and publication; what an author compares with.
    pub revision: u64,
    /// Whether it was archived.
    pub archived: bool,
    /// To which project it belongs; its executions belong there, too.
    pub project: Option<ProjectId>,
}

/// What a listing says of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSummary {
    /// Its number.
    pub version: u32,
    /// The digest of its definition.
    pub digest: Digest,
    /// When it was saved, by the store's clock.
    pub saved_at: Timestamp,
}

/// A workflow with a part of its versions, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowVersions {
    /// The workflow.
    pub workflow: WorkflowSummary,
    /// Versions, newest first.
    pub versions: Vec<VersionSummary>,
    /// Where the next part goes on: below this version; `None` at the end.
    pub next: Option<u32>,
}

/// The versions of every workflow, and the plans made from them.
///
/// Rules (each is a test of `nebula_testkit::workflow_repo!`): versions are immutable and numbered
/// 1, 2, 3…; the same digest is the same version; a save or publication with an outdated revision
/// changes nothing; a workflow stays in the project in which it was made until it is moved; plans are
/// kept by digest; another tenant sees nothing.
#[async_trait]
pub trait WorkflowRepo: fmt::Debug + Send + Sync + 'static {
    /// Saves a definition as a new version, unless it is there already.
    ///
    /// # Errors
    /// `Unavailable`: it may be saved; the same call again answers `Unchanged` then.
    async fn save(&self, tenant: &TenantId, new: NewVersion) -> Result<Saved>;

    /// One version; `None` for `version` is the latest.
    ///
    /// # Errors
    /// `Corrupt`: the definition cannot be read.
    async fn get(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: Option<u32>,
    ) -> Result<Option<StoredWorkflow>>;

    /// Workflows by id.
    ///
    /// # Errors
    /// `Invalid`: the token is not from a page before.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &WorkflowFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<WorkflowSummary>>;

    /// A workflow, archived or not, and at most `limit` of its versions below `before`, newest first;
    /// `None` if there is no such workflow. With a limit of 0 it says only what the workflow is.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn versions(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Option<WorkflowVersions>>;

    /// Moves the published pointer to `version`, and registers the triggers that it has, in place of
    /// those of the version before: see [`TriggerRepo`](crate::TriggerRepo).
    ///
    /// # Errors
    /// `Unavailable`. `Invalid`: there are more than [`MAX_TRIGGERS`](crate::MAX_TRIGGERS), or one id
    /// comes twice; nothing was written.
    async fn publish(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: u32,
        expected_revision: u64,
        triggers: Vec<NewTrigger>,
    ) -> Result<Published>;

    /// Takes a workflow out of listings, or back in; says whether it exists.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn archive(&self, tenant: &TenantId, id: &WorkflowId, archived: bool) -> Result<bool>;

    /// Moves a workflow, archived or not, to a project, or to none; says whether it exists. It raises no
    /// revision: what authors compare with is the definition.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn move_to(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        project: Option<&ProjectId>,
    ) -> Result<bool>;

    /// Keeps an encoded plan under its digest; the same digest again changes nothing.
    ///
    /// # Errors
    /// `Unavailable`, `Full`, `ReadOnly`.
    async fn put_plan(&self, tenant: &TenantId, digest: Digest, plan: &[u8]) -> Result<()>;

    /// The encoded plan with this digest.
    ///
    /// # Errors
    /// `Corrupt`: what is stored has another digest.
    async fn plan(&self, tenant: &TenantId, digest: Digest) -> Result<Option<Vec<u8>>>;
}
