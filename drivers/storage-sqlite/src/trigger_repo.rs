//! The triggers of published workflows.

use async_trait::async_trait;
use nebula_core::{TenantId, TriggerId, WorkflowId};
use nebula_ports::{
    Arrival, Bringing, Brought, DueTriggers, HookId, Page, PageToken, Passing, Result,
    TriggerRecord, TriggerRepo, TriggerState, TriggerUpdated,
};
use serde_json::Value;

use crate::{
    Sqlite, arrivals,
    sources::{self, Stock},
    triggers,
};

#[async_trait]
impl TriggerRepo for Sqlite {
    async fn get(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
    ) -> Result<Option<TriggerRecord>> {
        let (tenant, workflow, trigger) = (tenant.clone(), workflow.clone(), trigger.clone());
        self.read("get a trigger", move |db| {
            triggers::get(db, &tenant, &workflow, &trigger)
        })
        .await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        workflow: Option<&WorkflowId>,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<TriggerRecord>> {
        let (tenant, workflow, after) = (tenant.clone(), workflow.cloned(), after.cloned());
        self.read("list triggers", move |db| {
            triggers::list(db, &tenant, workflow.as_ref(), after.as_ref(), limit)
        })
        .await
    }

    async fn update(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        expected: u64,
        state: TriggerState,
    ) -> Result<TriggerUpdated> {
        let (tenant, workflow, trigger) = (tenant.clone(), workflow.clone(), trigger.clone());
        self.write("change a trigger", 0, move |tx| {
            triggers::update(tx, &tenant, (&workflow, &trigger), expected, &state)
        })
        .await
    }

    async fn due(&self, limit: usize) -> Result<DueTriggers> {
        let now = self.clock.now();
        self.read("find due triggers", move |db| triggers::due(db, limit, now))
            .await
    }

    async fn arrivals(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        limit: usize,
    ) -> Result<Vec<Arrival>> {
        let (tenant, workflow, trigger) = (tenant.clone(), workflow.clone(), trigger.clone());
        self.read("look at arrivals", move |db| {
            arrivals::page(db, &tenant, &workflow, &trigger, limit)
        })
        .await
    }

    async fn pass(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        expected: u64,
        passing: Passing,
    ) -> Result<TriggerUpdated> {
        let (tenant, workflow, trigger) = (tenant.clone(), workflow.clone(), trigger.clone());
        self.write("pass over arrivals", 0, move |tx| {
            arrivals::pass(tx, &tenant, (&workflow, &trigger), expected, &passing)
        })
        .await
    }

    async fn cursor(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
    ) -> Result<Option<Value>> {
        let (tenant, workflow, trigger) = (tenant.clone(), workflow.clone(), trigger.clone());
        self.read("look at a cursor", move |db| {
            sources::cursor(db, &tenant, &workflow, &trigger)
        })
        .await
    }

    async fn bring(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        brings: Bringing,
    ) -> Result<Brought> {
        let (tenant, workflow, trigger) = (tenant.clone(), workflow.clone(), trigger.clone());
        let stock = Stock::new(brings).map_err(|e| e.into_port("bring to a trigger"))?;
        self.write("bring to a trigger", stock.bytes(), move |tx| {
            sources::bring(tx, &tenant, (&workflow, &trigger), &stock)
        })
        .await
    }

    async fn hooked(&self, hook: &HookId) -> Result<Option<(TenantId, TriggerRecord)>> {
        let (hook, now) = (hook.clone(), self.clock.now());
        self.read("find a webhook", move |db| triggers::hooked(db, &hook, now))
            .await
    }
}
