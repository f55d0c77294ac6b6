//! The versions of every workflow, and the plans made from them.

use async_trait::async_trait;
use nebula_core::{Digest, ProjectId, TenantId, WorkflowId};
use nebula_ports::{
    NewTrigger, NewVersion, Page, PageToken, Published, Result, Saved, StoredWorkflow,
    WorkflowFilter, WorkflowRepo, WorkflowSummary, WorkflowVersions,
};

use crate::{
    Postgres,
    triggers::Registrations,
    workflows::{self, NewRow},
};

#[async_trait]
impl WorkflowRepo for Postgres {
    async fn save(&self, tenant: &TenantId, new: NewVersion) -> Result<Saved> {
        let row = NewRow {
            id: new.id,
            name: new.name,
            definition: new.definition.to_string(),
            digest: new.digest,
            expected_revision: new.expected_revision,
            project: new.project,
        };
        let bytes = row.definition.len() + row.name.len();
        let data = (tenant.clone(), row);
        self.write("save", bytes, data, |tx, (tenant, row)| {
            Box::pin(workflows::save(tx, tenant, row))
        })
        .await
    }

    async fn get(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: Option<u32>,
    ) -> Result<Option<StoredWorkflow>> {
        let data = (tenant.clone(), id.clone(), version);
        self.read("get", data, |link, (tenant, id, version)| {
            Box::pin(workflows::get(link, tenant, id, *version))
        })
        .await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &WorkflowFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<WorkflowSummary>> {
        let data = (tenant.clone(), filter.clone(), after.cloned(), limit);
        self.read("list", data, |link, (tenant, filter, after, limit)| {
            Box::pin(workflows::list(
                link,
                tenant,
                filter,
                after.as_ref(),
                *limit,
            ))
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
        let data = (tenant.clone(), id.clone(), before, limit);
        self.read("versions", data, |link, (tenant, id, before, limit)| {
            Box::pin(workflows::versions(link, tenant, id, *before, *limit))
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
        let triggers = Registrations::new(triggers).map_err(|e| e.into_port("publish"))?;
        let bytes = triggers.bytes();
        let data = (
            tenant.clone(),
            id.clone(),
            (version, expected_revision),
            triggers,
        );
        self.write(
            "publish",
            bytes,
            data,
            |tx, (tenant, id, version, triggers)| {
                Box::pin(workflows::publish(tx, tenant, id, *version, triggers))
            },
        )
        .await
    }

    async fn archive(&self, tenant: &TenantId, id: &WorkflowId, archived: bool) -> Result<bool> {
        let data = (tenant.clone(), id.clone(), archived);
        self.write("archive", 0, data, |tx, (tenant, id, archived)| {
            Box::pin(workflows::archive(tx, tenant, id, *archived))
        })
        .await
    }

    async fn move_to(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        project: Option<&ProjectId>,
    ) -> Result<bool> {
        let data = (tenant.clone(), id.clone(), project.cloned());
        self.write("move_to", 0, data, |tx, (tenant, id, project)| {
            Box::pin(workflows::move_to(tx, tenant, id, project.as_ref()))
        })
        .await
    }

    async fn put_plan(&self, tenant: &TenantId, digest: Digest, plan: &[u8]) -> Result<()> {
        if self.known_plans.lock().has(tenant, digest) {
            return Ok(());
        }
        let data = (tenant.clone(), digest, plan.to_vec());
        self.write(
            "put_plan",
            plan.len(),
            data,
            |tx, (tenant, digest, plan)| Box::pin(workflows::put_plan(tx, tenant, *digest, plan)),
        )
        .await?;
        self.known_plans.lock().add(tenant.clone(), digest);
        Ok(())
    }

    async fn plan(&self, tenant: &TenantId, digest: Digest) -> Result<Option<Vec<u8>>> {
        let data = (tenant.clone(), digest);
        self.read("plan", data, |link, (tenant, digest)| {
            Box::pin(workflows::plan(link, tenant, *digest))
        })
        .await
    }
}
