//! The way to definitions and plans. Only the plan of an execution is read while faults happen.

use async_trait::async_trait;
use nebula_core::{Digest, ProjectId, TenantId, WorkflowId};
use nebula_ports::{
    NewTrigger, NewVersion, Page, PageToken, Published, Result, Saved, StoredWorkflow,
    WorkflowFilter, WorkflowRepo, WorkflowSummary, WorkflowVersions,
};

use super::Wire;

#[async_trait]
impl WorkflowRepo for Wire {
    async fn save(&self, tenant: &TenantId, new: NewVersion) -> Result<Saved> {
        self.world.workflows.save(tenant, new).await
    }

    async fn get(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: Option<u32>,
    ) -> Result<Option<StoredWorkflow>> {
        self.world.workflows.get(tenant, id, version).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &WorkflowFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<WorkflowSummary>> {
        self.world
            .workflows
            .list(tenant, filter, after, limit)
            .await
    }

    async fn versions(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Option<WorkflowVersions>> {
        self.world
            .workflows
            .versions(tenant, id, before, limit)
            .await
    }

    async fn publish(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: u32,
        expected_revision: u64,
        triggers: Vec<NewTrigger>,
    ) -> Result<Published> {
        let workflows = &self.world.workflows;
        workflows
            .publish(tenant, id, version, expected_revision, triggers)
            .await
    }

    async fn archive(&self, tenant: &TenantId, id: &WorkflowId, archived: bool) -> Result<bool> {
        self.world.workflows.archive(tenant, id, archived).await
    }

    async fn move_to(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        project: Option<&ProjectId>,
    ) -> Result<bool> {
        self.world.workflows.move_to(tenant, id, project).await
    }

    async fn put_plan(&self, tenant: &TenantId, digest: Digest, plan: &[u8]) -> Result<()> {
        self.world.workflows.put_plan(tenant, digest, plan).await
    }

    async fn plan(&self, tenant: &TenantId, digest: Digest) -> Result<Option<Vec<u8>>> {
        let tenant = tenant.clone();
        self.call("plan", false, move |world, _| {
            world.ask(world.workflows.plan(&tenant, digest))
        })
        .await
    }
}
