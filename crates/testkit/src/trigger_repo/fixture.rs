//! What the rules begin with: workflows with triggers, and executions that these start.

use std::{sync::Arc, time::Duration};

use nebula_core::{Clock, Digest, TenantId, Timestamp, TriggerId, WorkflowId};
use nebula_execution::{NewExecution, StartSlot, TriggerMove};
use nebula_ports::{
    Created, DedupeKey, HookId, NewTrigger, NewVersion, Published, Result, Saved, TriggerRecord,
    TriggerState, TriggerUpdated,
};
use serde_json::json;

use super::TriggerStores;
use crate::{ManualClock, execution_repo::fixture::execution_of};

pub(super) type Stores = Arc<TriggerStores>;

pub(super) const MINUTE: Duration = Duration::from_mins(1);

pub(super) fn tenant() -> TenantId {
    TenantId::local()
}

pub(super) fn other_tenant() -> TenantId {
    TenantId::new("other").unwrap()
}

pub(super) fn workflow(text: &str) -> WorkflowId {
    WorkflowId::new(text).unwrap()
}

pub(super) fn id(text: &str) -> TriggerId {
    TriggerId::new(text).unwrap()
}

/// So many minutes from now.
pub(super) fn after(clock: &ManualClock, minutes: u32) -> Timestamp {
    clock.now().plus(MINUTE * minutes)
}

/// A trigger that is due so many minutes from now; its pace is that of `pace`.
pub(super) fn trigger(clock: &ManualClock, name: &str, pace: &str, minutes: u32) -> NewTrigger {
    NewTrigger {
        id: id(name),
        kind: "cron".to_owned(),
        definition: json!({ "pace": pace }),
        pace: Digest::of(pace.as_bytes()),
        through: clock.now(),
        due: Some(after(clock, minutes)),
        hook: None,
    }
}

/// Saves a new version of a workflow for `tenant`; version and revision.
pub(super) async fn saved(stores: &Stores, tenant: &TenantId, name: &str) -> (u32, u64) {
    let id = workflow(name);
    let known = stores.workflows.versions(tenant, &id, None, 0).await;
    let latest = known.unwrap().map_or(0, |it| it.workflow.latest);
    let definition = json!({ "nodes": [], "n": latest });
    let new = NewVersion {
        id,
        name: name.to_owned(),
        digest: Digest::of_json(&definition),
        definition,
        expected_revision: None,
        project: None,
    };
    match stores.workflows.save(tenant, new).await.unwrap() {
        Saved::New { version, revision } => (version, revision),
        other => panic!("{other:?}"),
    }
}

/// Saves and publishes a new version with these triggers.
pub(super) async fn publish_for(
    stores: &Stores,
    tenant: &TenantId,
    name: &str,
    triggers: Vec<NewTrigger>,
) -> Result<Published> {
    let (version, revision) = saved(stores, tenant, name).await;
    let workflows = &stores.workflows;
    workflows
        .publish(tenant, &workflow(name), version, revision, triggers)
        .await
}

/// The same for the one tenant, of `orders`.
pub(super) async fn published(stores: &Stores, triggers: Vec<NewTrigger>) {
    let published = publish_for(stores, &tenant(), "orders", triggers).await;
    assert!(matches!(published.unwrap(), Published::Published { .. }));
}

/// A trigger of `orders`, if it is registered.
pub(super) async fn find(stores: &Stores, name: &str) -> Option<TriggerRecord> {
    let triggers = &stores.triggers;
    triggers
        .get(&tenant(), &workflow("orders"), &id(name))
        .await
        .unwrap()
}

pub(super) async fn get(stores: &Stores, name: &str) -> TriggerRecord {
    find(stores, name).await.expect("it is registered")
}

pub(super) async fn update(
    stores: &Stores,
    record: &TriggerRecord,
    state: TriggerState,
) -> TriggerUpdated {
    let (workflow, trigger) = (&record.workflow, &record.trigger);
    let triggers = &stores.triggers;
    triggers
        .update(&tenant(), workflow, trigger, record.revision, state)
        .await
        .unwrap()
}

pub(super) fn paused(record: &TriggerRecord) -> TriggerState {
    TriggerState {
        paused: true,
        ..record.state.clone()
    }
}

pub(super) fn hook(text: &str) -> HookId {
    HookId(text.to_owned())
}

/// An execution that a trigger starts and that leaves it due in so many minutes.
pub(super) fn started_by(
    clock: &ManualClock,
    n: u8,
    record: &TriggerRecord,
    minutes: u32,
) -> NewExecution {
    NewExecution {
        trigger: Some(TriggerMove {
            trigger: record.trigger.clone(),
            expected: record.revision,
            through: clock.now().plus(MINUTE),
            due: Some(after(clock, minutes)),
        }),
        ..execution_of(clock, n, "orders", &json!({ "n": n }))
    }
}

/// The same, for whoever must hold the only slot of `k`.
pub(super) fn slotted(new: NewExecution, max_waiting: u32) -> NewExecution {
    NewExecution {
        slot: Some(StartSlot {
            key: "k".to_owned(),
            capacity: 1,
            max_waiting,
        }),
        ..new
    }
}

pub(super) async fn create(stores: &Stores, new: NewExecution, key: Option<&str>) -> Created {
    let key = key.map(|key| DedupeKey(key.to_owned()));
    let executions = &stores.executions;
    executions.create(&tenant(), new, key, None).await.unwrap()
}
