//! What the rules begin with: workflows with triggers, and executions that these start.

use std::{sync::Arc, time::Duration};

use nebula_core::{Clock, Digest, TenantId, Timestamp, TriggerId, WorkflowId};
use nebula_execution::{NewExecution, StartSlot, TriggerMove};
use nebula_ports::{
    Announcement, Arrival, Arrived, Bringing, Brought, Created, DedupeKey, HookId, Incarnation,
    Lease, LeaseRequest, LeftOut, Looked, NewTrigger, NewVersion, Passing, Published, Result,
    Saved, Step, Stepped, Subscription, TriggerRecord, TriggerState, TriggerUpdated,
};
use serde_json::{Value, json};

use super::TriggerStores;
use crate::{
    ManualClock,
    execution_repo::fixture::{append, execution_of},
};

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
        listens: Vec::new(),
        sourced: false,
    }
}

/// A trigger that something is brought to.
pub(super) fn sourced(clock: &ManualClock, name: &str, pace: &str) -> NewTrigger {
    NewTrigger {
        kind: "file".to_owned(),
        due: None,
        sourced: true,
        ..trigger(clock, name, pace, 0)
    }
}

/// Brings something to a trigger of `orders`.
pub(super) async fn bring(stores: &Stores, name: &str, brings: Bringing) -> Result<Brought> {
    let (whose, of) = (tenant(), workflow("orders"));
    stores.triggers.bring(&whose, &of, &id(name), brings).await
}

/// What a source has that nobody looks at.
pub(super) fn has(items: &[Value]) -> Bringing {
    Bringing {
        items: items.to_vec(),
        looked: None,
    }
}

/// The same of one that was looked at.
pub(super) fn looked(
    clock: &ManualClock,
    record: &TriggerRecord,
    items: &[Value],
    cursor: Option<Value>,
) -> Bringing {
    let looked = Some(Looked {
        expected: record.revision,
        cursor,
        through: clock.now(),
        due: Some(after(clock, 5)),
    });
    Bringing {
        looked,
        ..has(items)
    }
}

/// What was brought to a trigger of `orders` and waits.
pub(super) async fn waiting(stores: &Stores, name: &str) -> Vec<Value> {
    let all = arrivals(stores, name).await;
    let all = all.into_iter().map(|it| match it.what {
        Arrived::Brought(value) => value,
        other @ Arrived::Announced { .. } => panic!("{other:?}"),
    });
    all.collect()
}

/// Where the source of a trigger of `orders` stands.
pub(super) async fn cursor(stores: &Stores, name: &str) -> Option<Value> {
    let (whose, of) = (tenant(), workflow("orders"));
    let found = stores.triggers.cursor(&whose, &of, &id(name)).await;
    found.unwrap()
}

/// A trigger that listens to these topics, from all sources.
pub(super) fn listener(clock: &ManualClock, name: &str, topics: &[&str]) -> NewTrigger {
    let listens = topics.iter().map(|topic| Subscription {
        topic: (*topic).to_owned(),
        source: None,
    });
    NewTrigger {
        kind: "event".to_owned(),
        due: None,
        listens: listens.collect(),
        ..trigger(clock, name, "whenever", 0)
    }
}

/// A step that says so at the end of an execution.
pub(super) fn announces(seq: u64, topics: &[&str]) -> Step {
    let announce = topics.iter().map(|topic| Announcement {
        topic: (*topic).to_owned(),
        seq,
    });
    Step {
        announce: announce.collect(),
        ..append(u128::from(seq), seq, 1)
    }
}

/// An execution of a workflow that is driven, and announces these topics with its first step; its lease.
pub(super) async fn announced(
    stores: &Stores,
    clock: &ManualClock,
    (n, of): (u8, &str),
    topics: &[&str],
) -> Lease {
    let new = execution_of(clock, n, of, &json!({ "n": n }));
    let lease = driven(stores, &tenant(), new).await;
    let stepped = stores.executions.step(&lease, announces(2, topics)).await;
    assert!(matches!(stepped.unwrap(), Stepped::Applied { .. }));
    lease
}

/// Creates an execution; its creator's lease.
pub(super) async fn driven(stores: &Stores, tenant: &TenantId, new: NewExecution) -> Lease {
    let request = LeaseRequest {
        holder: Incarnation(uuid::Uuid::from_bytes([7; 16])),
        ttl: MINUTE,
    };
    let executions = &stores.executions;
    match executions.create(tenant, new, None, Some(request)).await {
        Ok(Created::Created(Some(lease))) => lease,
        other => panic!("{other:?}"),
    }
}

/// The lease under which an execution begins.
pub(super) fn first_lease(new: &NewExecution) -> Lease {
    Lease {
        tenant: tenant(),
        execution: new.id,
        holder: Incarnation(uuid::Uuid::from_bytes([7; 16])),
        epoch: 1,
        ttl: MINUTE,
    }
}

/// What waits at a trigger of `orders`.
pub(super) async fn arrivals(stores: &Stores, name: &str) -> Vec<Arrival> {
    let (whose, of) = (tenant(), workflow("orders"));
    let all = stores.triggers.arrivals(&whose, &of, &id(name), 100).await;
    all.unwrap()
}

/// The same by topic.
pub(super) async fn topics(stores: &Stores, name: &str) -> Vec<String> {
    let all = arrivals(stores, name).await;
    let all = all.into_iter().map(|it| match it.what {
        Arrived::Announced { topic, .. } => topic,
        other @ Arrived::Brought(_) => panic!("{other:?}"),
    });
    all.collect()
}

pub(super) async fn pass(
    stores: &Stores,
    record: &TriggerRecord,
    arrivals: &[u64],
    left_out: Option<LeftOut>,
) -> TriggerUpdated {
    let (of, trigger, revision) = (&record.workflow, &record.trigger, record.revision);
    let passing = Passing {
        arrivals: arrivals.to_vec(),
        due: None,
        left_out,
    };
    let (triggers, whose) = (&stores.triggers, tenant());
    let passed = triggers.pass(&whose, of, trigger, revision, passing);
    passed.await.unwrap()
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
            takes: Vec::new(),
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
