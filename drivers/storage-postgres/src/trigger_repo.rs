//! The triggers of published workflows.

use async_trait::async_trait;
use nebula_core::{TenantId, TriggerId, WorkflowId};
use nebula_ports::{
    Arrival, Bringing, Brought, DueTriggers, HookId, Page, PageToken, Passing, Result,
    TriggerRecord, TriggerRepo, TriggerState, TriggerUpdated,
};
use serde_json::Value;

use crate::{
    Postgres, arrivals,
    error::Fault,
    sources::{self, Stock},
    texts::check_texts,
    triggers,
};

#[async_trait]
impl TriggerRepo for Postgres {
    async fn get(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
    ) -> Result<Option<TriggerRecord>> {
        let data = (tenant.clone(), workflow.clone(), trigger.clone());
        self.read(
            "get a trigger",
            data,
            |link, (tenant, workflow, trigger)| {
                Box::pin(triggers::get(link, (tenant, workflow, trigger)))
            },
        )
        .await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        workflow: Option<&WorkflowId>,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<TriggerRecord>> {
        let data = (tenant.clone(), workflow.cloned(), after.cloned(), limit);
        self.read(
            "list triggers",
            data,
            |link, (tenant, workflow, after, limit)| {
                let (workflow, after) = (workflow.as_ref(), after.as_ref());
                Box::pin(triggers::list(link, tenant, workflow, after, *limit))
            },
        )
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
        const CHANGE: &str = "change a trigger";
        let hooks = (state.hook.iter()).chain(state.previous.iter().map(|it| &it.hook));
        let whys = state.left_out.iter().map(|it| it.why.as_str());
        check_texts(hooks.map(|it| it.0.as_str()).chain(whys))
            .map_err(|fault: Fault| fault.into_port(CHANGE))?;
        let place = (tenant.clone(), workflow.clone(), trigger.clone());
        let data = (place, expected, state);
        self.write(CHANGE, 0, data, |tx, (place, expected, state)| {
            let (tenant, workflow, trigger) = place;
            Box::pin(triggers::update(
                tx,
                tenant,
                (workflow, trigger),
                *expected,
                state,
            ))
        })
        .await
    }

    async fn due(&self, limit: usize) -> Result<DueTriggers> {
        self.read("find due triggers", limit, |link, limit| {
            Box::pin(triggers::due(link, *limit))
        })
        .await
    }

    async fn arrivals(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        limit: usize,
    ) -> Result<Vec<Arrival>> {
        let data = (tenant.clone(), workflow.clone(), trigger.clone(), limit);
        self.read(
            "look at arrivals",
            data,
            |link, (tenant, workflow, trigger, limit)| {
                Box::pin(arrivals::page(link, (tenant, workflow, trigger), *limit))
            },
        )
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
        const PASS: &str = "pass over arrivals";
        check_texts(passing.left_out.iter().map(|it| it.why.as_str()))
            .map_err(|fault: Fault| fault.into_port(PASS))?;
        let place = (tenant.clone(), workflow.clone(), trigger.clone());
        let data = (place, expected, passing);
        self.write(PASS, 0, data, |tx, (place, expected, passing)| {
            let (tenant, workflow, trigger) = place;
            Box::pin(arrivals::pass(
                tx,
                tenant,
                (workflow, trigger),
                *expected,
                passing,
            ))
        })
        .await
    }

    async fn cursor(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
    ) -> Result<Option<Value>> {
        let data = (tenant.clone(), workflow.clone(), trigger.clone());
        self.read(
            "look at a cursor",
            data,
            |link, (tenant, workflow, trigger)| {
                Box::pin(sources::cursor(link, (tenant, workflow, trigger)))
            },
        )
        .await
    }

    async fn bring(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        brings: Bringing,
    ) -> Result<Brought> {
        const BRING: &str = "bring to a trigger";
        let stock = Stock::new(brings).map_err(|fault| fault.into_port(BRING))?;
        let bytes = stock.bytes();
        let data = (tenant.clone(), workflow.clone(), trigger.clone(), stock);
        self.write(
            BRING,
            bytes,
            data,
            |tx, (tenant, workflow, trigger, stock)| {
                Box::pin(sources::bring(tx, tenant, (workflow, trigger), stock))
            },
        )
        .await
    }

    async fn hooked(&self, hook: &HookId) -> Result<Option<(TenantId, TriggerRecord)>> {
        self.read("find a webhook", hook.clone(), |link, hook| {
            Box::pin(triggers::hooked(link, hook))
        })
        .await
    }
}
