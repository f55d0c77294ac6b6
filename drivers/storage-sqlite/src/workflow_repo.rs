//! The versions of every workflow, and the plans made from them.

use async_trait::async_trait;
use nebula_core::{Digest, ProjectId, TenantId, WorkflowId};
use nebula_ports::{
    NewTrigger, NewVersion, Page, PageToken, Published, Result, Saved, StoredWorkflow,
    WorkflowFilter, WorkflowRepo, WorkflowSummary, WorkflowVersions,
};

use crate::{
    Sqlite,
    triggers::Registrations,
    workflows::{self, NewRow},
};

#[async_trait]
impl WorkflowRepo for Sqlite {
    async fn save(&self, tenant: &TenantId, new: NewVersion) -> Result<Saved> {
        let row = NewRow {
            id: new.id,
            name: new.name,
            definition: new.definition.to_string(),
            digest: new.digest,
            expected_revision: new.expected_revision,
            project: new.project,
        };
        let (tenant, bytes) = (tenant.clone(), row.definition.len() + row.name.len());
        self.write("save", bytes, move |tx| workflows::save(tx, &tenant, &row))
            .await
    }

    async fn get(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: Option<u32>,
    ) -> Result<Option<StoredWorkflow>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.read("get", move |db| workflows::get(db, &tenant, &id, version))
            .await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &WorkflowFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<WorkflowSummary>> {
        let (tenant, filter, after) = (tenant.clone(), filter.clone(), after.cloned());
        self.read("list", move |db| {
            workflows::list(db, &tenant, &filter, after.as_ref(), limit)
        })
        .await
    }

    async fn versions(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        before: Option<u32>,
        limit: usize,
    ) -> Result<Option<WorkflowVersions>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.read("versions", move |db| {
            workflows::versions(db, &tenant, &id, before, limit)
        })
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
        let (tenant, id) = (tenant.clone(), id.clone());
        let triggers = Registrations::new(triggers).map_err(|e| e.into_port("publish"))?;
        self.write("publish", triggers.bytes(), move |tx| {
            workflows::publish(tx, &tenant, &id, (version, expected_revision), &triggers)
        })
        .await
    }

    async fn archive(&self, tenant: &TenantId, id: &WorkflowId, archived: bool) -> Result<bool> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.write("archive", 0, move |tx| {
            workflows::archive(tx, &tenant, &id, archived)
        })
        .await
    }

    async fn move_to(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        project: Option<&ProjectId>,
    ) -> Result<bool> {
        let (tenant, id, project) = (tenant.clone(), id.clone(), project.cloned());
        self.write("move_to", 0, move |tx| {
            workflows::move_to(tx, &tenant, &id, project.as_ref())
        })
        .await
    }

    async fn put_plan(&self, tenant: &TenantId, digest: Digest, plan: &[u8]) -> Result<()> {
        if self.known_plans.lock().has(tenant, digest) {
            return Ok(());
        }
        let (owner, bytes) = (tenant.clone(), plan.to_vec());
        self.write("put_plan", bytes.len(), move |tx| {
            workflows::put_plan(tx, &owner, digest, &bytes)
        })
        .await?;
        self.known_plans.lock().add(tenant.clone(), digest);
        Ok(())
    }

    async fn plan(&self, tenant: &TenantId, digest: Digest) -> Result<Option<Vec<u8>>> {
        let tenant = tenant.clone();
        self.read("plan", move |db| workflows::plan(db, &tenant, digest))
            .await
    }
}
