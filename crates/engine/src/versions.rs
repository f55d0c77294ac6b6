//! Looking at versions, comparing them, publishing one, and archiving a workflow.

use nebula_core::{NodeId, ProjectId, TenantId, WorkflowId};
use nebula_ports::{
    Page, PageToken, Published, Result, StoredWorkflow, WorkflowFilter, WorkflowSummary,
    WorkflowVersions,
};
use nebula_workflow::{WorkflowDefinition, WorkflowDiff, diff};

use crate::Engine;

impl Engine {
    /// Workflows by id.
    ///
    /// # Errors
    /// The store failed, or the token is not from a page before.
    pub async fn workflows(
        &self,
        tenant: &TenantId,
        filter: &WorkflowFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<WorkflowSummary>> {
        let repo = &self.ports.workflows;
        repo.list(tenant, filter, after, limit).await
    }

    /// A workflow and at most `limit` of its versions below `before`, newest first; `None` if there
    /// is no such workflow.
    ///
    /// # Errors
    /// The store failed.
    pub async fn versions(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Option<WorkflowVersions>> {
        let repo = &self.ports.workflows;
        repo.versions(tenant, id, before, limit).await
    }

    /// A version as it was saved; without a number the latest, which is the draft.
    ///
    /// # Errors
    /// The store failed.
    pub async fn stored(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: Option<u32>,
    ) -> Result<Option<StoredWorkflow>> {
        self.ports.workflows.get(tenant, id, version).await
    }

    /// Makes a version the published one, unless somebody saved or published since the revision
    /// `expected`. Executions keep the version that they began with; the triggers of the version take
    /// the place of those of the one before, in the same moment.
    ///
    /// # Errors
    /// The store failed: it may be published; the same call again answers `Conflict` then.
    pub async fn publish(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: u32,
        expected: u64,
    ) -> Result<Published> {
        let repo = &self.ports.workflows;
        let triggers = match self.stored(tenant, id, Some(version)).await? {
            Some(stored) => self.registrations(&stored).await?,
            None => Vec::new(),
        };
        let published = repo.publish(tenant, id, version, expected, triggers).await;
        self.triggers_changed.notify_one();
        published
    }

    /// Archives a workflow, or takes it back into use; says whether there is such a workflow. An
    /// archived one is not listed by default and nothing of it is started; executions go on.
    ///
    /// # Errors
    /// The store failed: it may be done; the same call again changes nothing then.
    pub async fn archive(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        archived: bool,
    ) -> Result<bool> {
        let done = self.ports.workflows.archive(tenant, id, archived).await;
        self.triggers_changed.notify_one();
        done
    }

    /// Moves a workflow, and with it its executions, to a project, or to none; says whether there is such
    /// a workflow.
    ///
    /// # Errors
    /// The store failed: it may be moved; the same call again changes nothing then.
    pub async fn move_to(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        project: Option<&ProjectId>,
    ) -> Result<bool> {
        self.ports.workflows.move_to(tenant, id, project).await
    }

    /// What differs between two definitions, as they would be saved: actions without a version
    /// count as the newest one that there is.
    #[must_use]
    pub fn differences(&self, old: &WorkflowDefinition, new: &WorkflowDefinition) -> WorkflowDiff {
        let rename = |definition: &mut WorkflowDefinition, from: &NodeId, to: &NodeId| {
            nebula_planner::rename_mentions(definition, &*self.registry, from, to);
        };
        diff(&self.pinned(old), &self.pinned(new), &rename)
    }
}
