//! The way to the triggers; what moves one without a start is told to the account of slots.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use nebula_core::{Clock, TenantId, TriggerId, WorkflowId};
use nebula_ports::{
    Arrival, Bringing, Brought, DueTriggers, HookId, Page, PageToken, Passing, Result,
    TriggerRecord, TriggerRepo, TriggerState, TriggerUpdated,
};
use serde_json::Value;

use super::Wire;
use crate::simulation::{
    swarm::{Fault, Recovery},
    world::Faults,
};

/// What happens to the store of triggers. An answer takes its time, so that much may have changed before
/// anything is started by it.
const FAULTS: Faults = Faults {
    often: 5,
    latency: 50,
    refused: Fault::TriggersRefused,
    unanswered: Fault::TriggersAnswerLost,
    slow: Fault::TriggersSlow,
    full: Fault::TriggersFull,
    before: Fault::DeathBeforeTrigger,
    after: Fault::DeathAfterTrigger,
};

/// The same for what moves one without a start, which is seldom.
const MOVES: Faults = Faults {
    often: 15,
    latency: 0,
    ..FAULTS
};

#[async_trait]
impl TriggerRepo for Wire {
    async fn get(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
    ) -> Result<Option<TriggerRecord>> {
        let of = (tenant.clone(), workflow.clone(), trigger.clone());
        let fate = self.world.fate_by(&FAULTS, self.life, false);
        let found = self.fated("trigger get", fate, move |world, _| {
            world.ask(world.triggers.get(&of.0, &of.1, &of.2))
        });
        found.await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        workflow: Option<&WorkflowId>,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<TriggerRecord>> {
        let triggers = &self.world.triggers;
        triggers.list(tenant, workflow, after, limit).await
    }

    async fn update(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        expected: u64,
        state: TriggerState,
    ) -> Result<TriggerUpdated> {
        let of = (tenant.clone(), workflow.clone(), trigger.clone());
        let fate = self.world.fate_by(&MOVES, self.life, true);
        let updated = self.fated("trigger update", fate, move |world, life| {
            let before = world.ask(world.triggers.get(&of.0, &of.1, &of.2))?;
            let through = state.through;
            let updated = world
                .triggers
                .update(&of.0, &of.1, &of.2, expected, state.clone());
            let updated = world.ask(updated)?;
            let said = format_args!("{life} {} through {through} → {updated:?}", of.1);
            world.note("trigger", said);
            match (&updated, before) {
                (TriggerUpdated::Updated { .. }, Some(before)) => {
                    world.trigger_moved(of.clone(), &before);
                }
                (TriggerUpdated::Conflict { .. }, _) => world.recovered(Recovery::TriggerMoved),
                _ => {}
            }
            Ok(updated)
        });
        updated.await
    }

    async fn due(&self, limit: usize) -> Result<DueTriggers> {
        let fate = self.world.fate_by(&FAULTS, self.life, false);
        let due = self.fated("triggers due", fate, move |world, _| {
            if world.rests.load(Ordering::Relaxed) {
                return Ok(DueTriggers {
                    due: Vec::new(),
                    next_due: None,
                    more: false,
                    now: world.clock.now(),
                });
            }
            let due = world.ask(world.triggers.due(limit))?;
            if !due.due.is_empty() {
                world.fires.notify_waiters();
            }
            Ok(due)
        });
        due.await
    }

    async fn arrivals(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        limit: usize,
    ) -> Result<Vec<Arrival>> {
        let of = (tenant.clone(), workflow.clone(), trigger.clone());
        let fate = self.world.fate_by(&FAULTS, self.life, false);
        let found = self.fated("arrivals", fate, move |world, _| {
            world.ask(world.triggers.arrivals(&of.0, &of.1, &of.2, limit))
        });
        found.await
    }

    async fn pass(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        expected: u64,
        passing: Passing,
    ) -> Result<TriggerUpdated> {
        let of = (tenant.clone(), workflow.clone(), trigger.clone());
        let fate = self.world.fate_by(&MOVES, self.life, true);
        let passed = self.fated("arrivals pass", fate, move |world, _| {
            let triggers = &world.triggers;
            world.ask(triggers.pass(&of.0, &of.1, &of.2, expected, passing.clone()))
        });
        passed.await
    }

    async fn cursor(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
    ) -> Result<Option<Value>> {
        let of = (tenant.clone(), workflow.clone(), trigger.clone());
        let fate = self.world.fate_by(&FAULTS, self.life, false);
        let found = self.fated("trigger cursor", fate, move |world, _| {
            world.ask(world.triggers.cursor(&of.0, &of.1, &of.2))
        });
        found.await
    }

    async fn bring(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        brings: Bringing,
    ) -> Result<Brought> {
        let of = (tenant.clone(), workflow.clone(), trigger.clone());
        let fate = self.world.fate_by(&MOVES, self.life, true);
        let brought = self.fated("trigger bring", fate, move |world, _| {
            let triggers = &world.triggers;
            world.ask(triggers.bring(&of.0, &of.1, &of.2, brings.clone()))
        });
        brought.await
    }

    async fn hooked(&self, hook: &HookId) -> Result<Option<(TenantId, TriggerRecord)>> {
        self.world.triggers.hooked(hook).await
    }
}
