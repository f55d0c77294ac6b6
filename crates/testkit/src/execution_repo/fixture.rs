//! What the rules begin with: executions, leases, steps.

use std::{sync::Arc, time::Duration};

use nebula_action::Grants;
use nebula_core::{Clock, Digest, ExecutionId, NodeId, Priority, TenantId, Timestamp, WorkflowId};
use nebula_execution::{Entry, Fact, InstanceId, NewExecution, Started, Status, StoredEntry};
use nebula_ports::{
    Acquired, Created, DedupeKey, ExecutionRepo, ExecutionSummary, Granted, Incarnation, Lease,
    LeaseRequest, NewSignal, Signalled, Step, StepId, Stepped,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{ManualClock, START};

pub(super) type Repo = Arc<dyn ExecutionRepo>;

pub(super) const TTL: Duration = Duration::from_secs(10);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const DAY: Duration = Duration::from_hours(24);
pub(super) const MAX_GRANTS: u32 = 3;

pub(super) fn tenant() -> TenantId {
    TenantId::local()
}

pub(super) fn other_tenant() -> TenantId {
    TenantId::new("other").unwrap()
}

pub(super) fn request(holder: u128) -> LeaseRequest {
    LeaseRequest {
        holder: Incarnation(Uuid::from_u128(holder)),
        ttl: TTL,
    }
}

pub(super) fn key(text: &str) -> DedupeKey {
    DedupeKey(text.to_owned())
}

/// An id made now; `n` tells those apart that are made at the same time.
pub(super) fn execution_id(clock: &ManualClock, n: u8) -> ExecutionId {
    let millis = u64::try_from(clock.now().as_millis()).unwrap();
    uuid::Builder::from_unix_timestamp_millis(millis, &[n; 10])
        .into_uuid()
        .into()
}

pub(super) fn new_execution(clock: &ManualClock, n: u8) -> NewExecution {
    execution_of(clock, n, "orders", &json!({ "n": n }))
}

pub(crate) fn execution_of(
    clock: &ManualClock,
    n: u8,
    workflow: &str,
    input: &Value,
) -> NewExecution {
    let workflow = WorkflowId::new(workflow).unwrap();
    let started = Started {
        workflow: workflow.clone(),
        version: 7,
        plan: plan(),
        input: Arc::new(input.clone()),
        input_blob: None,
        trigger_blob: None,
        vars: Value::Null,
        trigger: Value::Null,
        origin: None,
        grants: Grants::default(),
        folder: None,
        parent: None,
        repeats: None,
        trial: None,
        priority: Priority::Normal,
        labels: nebula_core::Labels::default(),
        trace: None,
        blobs: Vec::new(),
        part: None,
    };
    let entries = vec![Entry {
        at: clock.now(),
        fact: Fact::ExecutionStarted(Box::new(started)),
    }];
    NewExecution {
        id: execution_id(clock, n),
        tenant: tenant(),
        workflow,
        version: 7,
        entries,
        slot: None,
        rate: None,
        trigger: None,
        quotas: nebula_ports::Quotas::default(),
    }
}

pub(super) fn plan() -> Digest {
    Digest::of(b"a plan")
}

/// A queued execution with one entry in its journal.
pub(super) async fn created(repo: &Repo, clock: &ManualClock, n: u8) -> ExecutionId {
    let new = new_execution(clock, n);
    let id = new.id;
    assert_eq!(
        repo.create(&tenant(), new, None, None).await.unwrap(),
        Created::Created(None)
    );
    id
}

/// A running execution with one entry in its journal, leased to holder 1 with epoch 1.
pub(super) async fn driven(repo: &Repo, clock: &ManualClock, n: u8) -> Lease {
    match repo
        .create(&tenant(), new_execution(clock, n), None, Some(request(1)))
        .await
        .unwrap()
    {
        Created::Created(Some(lease)) => lease,
        other => panic!("no lease for the creator: {other:?}"),
    }
}

pub(super) async fn acquire(repo: &Repo, id: ExecutionId, holder: u128) -> Acquired {
    repo.acquire(&tenant(), id, request(holder), MAX_GRANTS)
        .await
        .unwrap()
}

pub(super) async fn grant(repo: &Repo, id: ExecutionId, holder: u128) -> Granted {
    match acquire(repo, id, holder).await {
        Acquired::Granted(granted) => *granted,
        other => panic!("not granted: {other:?}"),
    }
}

fn fact(id: u128, index: usize) -> Entry {
    let node = NodeId::new(format!("node_{id}_{index}")).unwrap();
    Entry {
        at: START,
        fact: Fact::InstanceSkipped {
            instance: InstanceId::new(node, 1),
        },
    }
}

/// Step `id`, which appends `count` entries at `seq`.
pub(crate) fn append(id: u128, seq: u64, count: usize) -> Step {
    let entries = (0..count).map(|index| fact(id, index)).collect();
    Step::append(StepId(Uuid::from_u128(id)), seq, entries, 0)
}

/// Step `id`, which appends one entry at `seq`, waits until `wake_at` and gives the lease back.
pub(super) fn sleep(id: u128, seq: u64, wake_at: Option<Timestamp>) -> Step {
    Step {
        to: Some(Status::Waiting),
        wake_at,
        release: true,
        ..append(id, seq, 1)
    }
}

/// Step `id`, which parks the execution and gives the lease back.
pub(super) fn park(id: u128, seq: u64) -> Step {
    Step {
        to: Some(Status::Parked),
        release: true,
        ..append(id, seq, 1)
    }
}

/// Step `id`, which completes the execution with its one entry at `seq`.
pub(super) fn end(id: u128, seq: u64) -> Step {
    let mut step = Step {
        to: Some(Status::Completed),
        ..append(id, seq, 0)
    };
    step.entries.push(Entry {
        at: START,
        fact: Fact::ExecutionCompleted {
            output: Arc::new(json!("done")),
        },
    });
    step
}

/// Applies a step; the number of the next entry.
pub(super) async fn apply(repo: &Repo, lease: &Lease, step: Step) -> u64 {
    match repo.step(lease, step).await.unwrap() {
        Stepped::Applied { next_seq, .. } => next_seq,
        other => panic!("not applied: {other:?}"),
    }
}

/// An execution that waits without a wake-up and without a lease.
pub(super) async fn asleep(repo: &Repo, clock: &ManualClock, n: u8) -> ExecutionId {
    let lease = driven(repo, clock, n).await;
    apply(repo, &lease, sleep(1, 2, None)).await;
    lease.execution
}

/// An execution that has ended.
pub(super) async fn ended(repo: &Repo, clock: &ManualClock, n: u8) -> Lease {
    let lease = driven(repo, clock, n).await;
    apply(repo, &lease, end(1, 2)).await;
    lease
}

pub(super) async fn journal(repo: &Repo, id: ExecutionId) -> Vec<StoredEntry> {
    let page = repo.journal(&tenant(), id, 1, 1_000).await.unwrap();
    assert_eq!(page.next, None);
    page.entries
}

pub(super) async fn summary(repo: &Repo, id: ExecutionId) -> ExecutionSummary {
    repo.get(&tenant(), id).await.unwrap().expect("it exists")
}

/// What the sweep finds, whether it was rung or not.
pub(super) async fn due(repo: &Repo) -> Vec<ExecutionId> {
    let page = repo
        .runnable(Timestamp::MAX, &nebula_core::Groups::All, 1_000)
        .await
        .unwrap();
    let mut ids: Vec<_> = page
        .runnable
        .into_iter()
        .map(|found| found.execution)
        .collect();
    ids.sort();
    ids
}

pub(super) fn signal(dedupe: &str) -> NewSignal {
    NewSignal {
        kind: "poke".to_owned(),
        payload: json!({ "key": dedupe }),
        dedupe: key(dedupe),
    }
}

pub(super) async fn send(repo: &Repo, id: ExecutionId, dedupe: &str) -> Signalled {
    repo.signal(&tenant(), id, signal(dedupe)).await.unwrap()
}

/// The dedupe keys in an inbox, as [`signal`] wrote them.
pub(super) async fn inbox(repo: &Repo, id: ExecutionId) -> Vec<(u64, String)> {
    let items = repo.inbox(&tenant(), id, 0, 1_000).await.unwrap();
    items
        .into_iter()
        .map(|item| {
            (
                item.seq,
                item.payload["key"].as_str().unwrap_or("").to_owned(),
            )
        })
        .collect()
}
