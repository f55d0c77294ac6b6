//! An execution that somebody holds, over stores in memory.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use nebula_action::Grants;
use nebula_core::{ByteSize, Clock, Digest, ExecutionId, Priority, TenantId, WorkflowId};
use nebula_execution::{Entry, Fact, NewExecution, Started, Status};
use nebula_memory::SpillingRepo;
use nebula_ports::{
    BlobStore, Created, ExecutionRepo, Incarnation, Lease, LeaseRequest, Result, Step, StepId,
    Stepped,
};
use nebula_testkit::{ManualClock, MemoryBlobStore, MemoryExecutionRepo};
use serde_json::{Value, json};

/// More than this many bytes of values lie in a blob.
pub(crate) const INLINE: u64 = 1_000;

pub(crate) struct Rig {
    pub(crate) clock: ManualClock,
    /// What is really stored.
    pub(crate) inner: Arc<MemoryExecutionRepo>,
    pub(crate) blobs: Arc<MemoryBlobStore>,
    pub(crate) repo: SpillingRepo,
}

pub(crate) fn tenant() -> &'static TenantId {
    static TENANT: LazyLock<TenantId> = LazyLock::new(TenantId::local);
    &TENANT
}

/// A value of about so many bytes, not like that of another number.
pub(crate) fn value(number: u64, length: usize) -> Value {
    json!({ "number": number, "text": "x".repeat(length) })
}

pub(crate) fn succeeded(value: Value) -> Fact {
    Fact::AttemptSucceeded {
        instance: "fetch".parse().unwrap(),
        attempt: 1,
        output: Arc::new(value),
        port: "main".into(),
        lineage: None,
        taken: nebula_execution::Taken::All,
        micros: 5,
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::default();
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let inner = Arc::new(MemoryExecutionRepo::new(Arc::clone(&time)));
        let blobs = Arc::new(MemoryBlobStore::new(time));
        let repo = Self::over(&clock, &inner, blobs.clone());
        Self {
            clock,
            inner,
            blobs,
            repo,
        }
    }

    pub(crate) fn over(
        clock: &ManualClock,
        inner: &Arc<MemoryExecutionRepo>,
        blobs: Arc<dyn BlobStore>,
    ) -> SpillingRepo {
        let clock = Arc::new(clock.clone());
        SpillingRepo::new(inner.clone(), blobs, clock, ByteSize::bytes(INLINE))
    }

    /// Execution `n` with this input.
    pub(crate) fn new_execution(&self, n: u8, input: Value) -> NewExecution {
        let workflow = WorkflowId::new("orders").unwrap();
        let started = Started {
            workflow: workflow.clone(),
            version: 7,
            plan: Digest::of(b"a plan"),
            input: Arc::new(input),
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
        NewExecution {
            id: ExecutionId::at(self.clock.now(), &[n; 10]),
            tenant: tenant().clone(),
            workflow,
            version: 7,
            entries: vec![self.entry(Fact::ExecutionStarted(Box::new(started)))],
            slot: None,
            rate: None,
            trigger: None,
            quotas: nebula_ports::Quotas::default(),
        }
    }

    /// Creates execution `n` with this input, and leases it.
    pub(crate) async fn created(&self, n: u8, input: Value) -> Lease {
        let new = self.new_execution(n, input);
        let lease = LeaseRequest {
            holder: Incarnation(
                serde_json::from_value(json!("00000000-0000-0000-0000-000000000001")).unwrap(),
            ),
            ttl: Duration::from_secs(10),
        };
        match self.repo.create(tenant(), new, None, Some(lease)).await {
            Ok(Created::Created(Some(lease))) => lease,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn entry(&self, fact: Fact) -> Entry {
        Entry {
            at: self.clock.now(),
            fact,
        }
    }

    /// The step that makes this the next fact after `seq` others.
    pub(crate) fn step(&self, seq: u64, facts: Vec<Fact>) -> Step {
        let id = format!("00000000-0000-0000-0000-{seq:012}");
        let id = StepId(serde_json::from_value(json!(id)).unwrap());
        let ends = facts.last().is_some_and(Fact::is_terminal);
        let entries = facts.into_iter().map(|fact| self.entry(fact)).collect();
        Step {
            to: ends.then_some(Status::Completed),
            ..Step::append(id, seq, entries, 0)
        }
    }

    pub(crate) async fn apply(&self, lease: &Lease, seq: u64, facts: Vec<Fact>) -> Result<Stepped> {
        self.repo.step(lease, self.step(seq, facts)).await
    }

    /// The facts of a journal, as a store gives them.
    pub(crate) async fn facts(repo: &dyn ExecutionRepo, lease: &Lease) -> Result<Vec<Fact>> {
        let page = repo.journal(tenant(), lease.execution, 1, 100).await?;
        Ok(page.entries.into_iter().map(|it| it.entry.fact).collect())
    }
}
