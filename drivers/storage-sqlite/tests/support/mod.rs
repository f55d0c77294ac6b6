//! What the driver's own tests share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{path::Path, sync::Arc, time::Duration};

use nebula_action::Grants;
use nebula_core::{Clock, Digest, ExecutionId, Priority, TenantId, WorkflowId};
use nebula_execution::{Entry, Fact, NewExecution, Started, Status, StoredEntry};
use nebula_ports::{
    Acquired, Created, ExecutionRepo, Incarnation, Lease, LeaseRequest, Result, Step, StepId,
};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_testkit::{ManualClock, START};
use rusqlite::Connection;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const TTL: Duration = Duration::from_secs(30);

pub(crate) fn tenant() -> TenantId {
    TenantId::local()
}

pub(crate) fn execution(n: u128) -> ExecutionId {
    ExecutionId::from(Uuid::from_u128(n))
}

pub(crate) fn new_execution(n: u128) -> NewExecution {
    let workflow = WorkflowId::new("test").unwrap();
    let started = Started {
        workflow: workflow.clone(),
        version: 1,
        plan: Digest::of(b"plan"),
        input: Arc::new(json!({ "n": n.to_string() })),
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
    let fact = Fact::ExecutionStarted(Box::new(started));
    NewExecution {
        id: execution(n),
        tenant: tenant(),
        workflow,
        version: 1,
        entries: vec![Entry { at: START, fact }],
        slot: None,
        rate: None,
        trigger: None,
        quotas: nebula_ports::Quotas::default(),
    }
}

pub(crate) fn request(holder: u128) -> LeaseRequest {
    LeaseRequest {
        holder: Incarnation(Uuid::from_u128(holder)),
        ttl: TTL,
    }
}

pub(crate) async fn open(path: &Path, clock: &ManualClock) -> Result<Sqlite> {
    open_with(SqliteConfig::file(path), clock).await
}

pub(crate) async fn open_with(config: SqliteConfig, clock: &ManualClock) -> Result<Sqlite> {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    Sqlite::open(config, clock).await
}

/// Two handles on one file, as two processes have them.
pub(crate) async fn two_handles(path: &Path, clock: &ManualClock) -> (Sqlite, Sqlite) {
    let one = open(path, clock).await.unwrap();
    (one, open(path, clock).await.unwrap())
}

/// Makes a database of the first schema, as it was released, with execution 7 of the workflow `old`
/// written by plain SQL.
pub(crate) fn first_schema(path: &Path) {
    let old = Connection::open(path).unwrap();
    old.execute_batch(include_str!("../../migrations/0001_first.sql"))
        .unwrap();
    old.execute_batch(
        "PRAGMA application_id = 1313161813; PRAGMA user_version = 1;
         INSERT INTO schema_version VALUES (1, 1, 0);
         INSERT INTO executions (tenant, id, workflow, version, plan, created_at, updated_at,
            status, epoch, next_seq, inbox_head, inbox_through, wake_at, rung_at, ring_key, grants, empties)
         VALUES ('local', x'00000000000000000000000000000007', 'old', 1, zeroblob(32), 5, 5,
            0, 0, 1, 0, 0, 5, -1, 5, 0, 0);",
    )
    .unwrap();
}

/// Creates an execution with a lease for `holder`.
pub(crate) async fn leased(repo: &Sqlite, n: u128, holder: u128) -> Lease {
    match repo
        .create(&tenant(), new_execution(n), None, Some(request(holder)))
        .await
        .unwrap()
    {
        Created::Created(Some(lease)) => lease,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn acquired(repo: &Sqlite, n: u128, holder: u128) -> Acquired {
    repo.acquire(&tenant(), execution(n), request(holder), 10)
        .await
        .unwrap()
}

/// A fact that holds `bytes` bytes of text.
pub(crate) fn fact(bytes: usize) -> Fact {
    Fact::Unparked {
        instance: None,
        decision: nebula_execution::UnparkDecision::Succeeded(Arc::new(Value::from(
            "x".repeat(bytes),
        ))),
        taken: nebula_execution::Taken::All,
    }
}

/// A step of `count` entries at `seq`, with an id of its own.
pub(crate) fn step(seq: u64, id: u128, count: usize, bytes: usize) -> Step {
    let entries = vec![
        Entry {
            at: START,
            fact: fact(bytes)
        };
        count
    ];
    Step::append(StepId(Uuid::from_u128(id)), seq, entries, 0)
}

/// The last step of an execution.
pub(crate) fn end(seq: u64, id: u128) -> Step {
    let fact = Fact::ExecutionCompleted {
        output: Arc::new(Value::Null),
    };
    let mut step = Step::append(
        StepId(Uuid::from_u128(id)),
        seq,
        vec![Entry { at: START, fact }],
        0,
    );
    step.to = Some(Status::Completed);
    step
}

pub(crate) async fn journal(repo: &Sqlite, n: u128) -> Vec<StoredEntry> {
    let (mut entries, mut from) = (Vec::new(), 1);
    loop {
        let page = repo
            .journal(&tenant(), execution(n), from, 100)
            .await
            .unwrap();
        entries.extend(page.entries);
        match page.next {
            Some(next) => from = next,
            None => return entries,
        }
    }
}

/// The journal's numbers are 1, 2, 3, ….
pub(crate) fn assert_contiguous(entries: &[StoredEntry]) {
    for (entry, seq) in entries.iter().zip(1..) {
        assert_eq!(entry.seq, seq);
    }
}
