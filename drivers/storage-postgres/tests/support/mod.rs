//! What the driver's own tests share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{cell::RefCell, sync::Arc, time::Duration};

use nebula_action::Grants;
use nebula_core::{Clock, Digest, ExecutionId, Priority, TenantId, WorkflowId};
use nebula_execution::{Entry, Fact, NewExecution, Started, Status, StoredEntry};
use nebula_ports::{
    Acquired, Created, ExecutionRepo, Incarnation, Lease, LeaseRequest, Step, StepId,
};
use nebula_storage_postgres::{Postgres, PostgresConfig};
use nebula_testkit::{
    ManualClock, START, run,
    servers::{Database, TestPostgres},
};
use serde_json::{Value, json};
use uuid::Uuid;

static SERVER: TestPostgres = TestPostgres::new();

thread_local! {
    /// The databases of this test; each test has a thread, and they end with it.
    static DATABASES: RefCell<Vec<Database<'static>>> = const { RefCell::new(Vec::new()) };
}

/// The address of a database of this test's own, with its tables; none where there is no server, which was
/// said loudly.
pub(crate) fn database() -> Option<String> {
    let database = SERVER.get()?.copy_of("migrated", |address| {
        std::thread::scope(|scope| {
            let made = scope.spawn(|| run(Postgres::open(config(&address))));
            made.join().unwrap().expect("nothing stands in the way");
        });
    });
    let address = database.address();
    DATABASES.with_borrow_mut(|all| all.push(database));
    Some(address)
}

/// For a server of tests, which does not wait for the disk.
pub(crate) fn config(address: &str) -> PostgresConfig {
    PostgresConfig {
        may_forget: true,
        ..PostgresConfig::at(address)
    }
}

/// A handle on it, by this clock.
pub(crate) async fn open(address: &str, clock: Option<Arc<dyn Clock>>) -> Arc<Postgres> {
    let config = PostgresConfig {
        clock,
        ..config(address)
    };
    let opened = Postgres::open(config).await;
    Arc::new(opened.expect("nothing stands in the way"))
}

/// A store of this test's own, by this clock; none where there is no server, which was said loudly.
pub(crate) async fn store(clock: &Arc<ManualClock>) -> Option<Arc<Postgres>> {
    let address = database()?;
    Some(open(&address, Some(clock.clone())).await)
}

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

/// Creates an execution with a lease for `holder`.
pub(crate) async fn leased(repo: &Postgres, n: u128, holder: u128) -> Lease {
    match repo
        .create(&tenant(), new_execution(n), None, Some(request(holder)))
        .await
        .unwrap()
    {
        Created::Created(Some(lease)) => lease,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn acquired(repo: &Postgres, n: u128, holder: u128) -> Acquired {
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
    let fact = fact(bytes);
    let entries = vec![Entry { at: START, fact }; count];
    Step::append(StepId(Uuid::from_u128(id)), seq, entries, 0)
}

/// The last step of an execution.
pub(crate) fn end(seq: u64, id: u128) -> Step {
    let fact = Fact::ExecutionCompleted {
        output: Arc::new(Value::Null),
    };
    let entries = vec![Entry { at: START, fact }];
    let mut step = Step::append(StepId(Uuid::from_u128(id)), seq, entries, 0);
    step.to = Some(Status::Completed);
    step
}

/// The whole journal.
pub(crate) async fn journal(repo: &Postgres, n: u128) -> Vec<StoredEntry> {
    let (mut all, mut from) = (Vec::new(), 1);
    loop {
        let page = repo.journal(&tenant(), execution(n), from, 1000).await;
        let page = page.unwrap();
        all.extend(page.entries);
        match page.next {
            Some(next) => from = next,
            None => return all,
        }
    }
}

pub(crate) fn assert_contiguous(entries: &[StoredEntry]) {
    for (entry, seq) in entries.iter().zip(1..) {
        assert_eq!(entry.seq, seq);
    }
}
