//! Stores that say whether a call of theirs is under way, so that the clock stands still meanwhile.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use nebula_core::{Digest, ExecutionId, Groups, ProjectId, TenantId, Timestamp, WorkflowId};
use nebula_execution::{Entry, NewExecution};
use nebula_ports::*;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Counts the calls that are under way, and keeps the snapshots that pass. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy {
    calls: Arc<AtomicUsize>,
    snapshots: Snapshots,
}

/// The snapshots that workers wrote: each the state as it was lived.
pub(super) type Snapshots = Arc<Mutex<Vec<(ExecutionId, Snapshot)>>>;

/// One call under way, also if it is dropped.
struct Call<'b>(&'b Busy);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A store whose calls are counted; its process may die at one of them.
#[derive(Debug)]
struct Counted<P: ?Sized> {
    inner: Arc<P>,
    busy: Busy,
    mortal: Option<Arc<Mortal>>,
}

/// A process that dies at one of its calls: before it does anything, or after.
#[derive(Debug)]
pub(super) struct Mortal {
    calls: AtomicUsize,
    looked: AtomicBool,
    dies_at: Option<Death>,
    dead: CancellationToken,
}

/// Methods that only look whether there is something to do, or what has become of it.
const LOOKS: &[&str] = &["get", "list", "runnable", "waiting_on"];

/// When a process dies: the number of a call, from 1, and whether that does anything before.
pub type Death = (usize, bool);

impl Mortal {
    pub(super) fn new(dies_at: Option<Death>) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            looked: AtomicBool::new(false),
            dies_at,
            dead: CancellationToken::new(),
        })
    }

    /// How many calls there were.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Ends when the process has died.
    pub(super) async fn death(&self) {
        self.dead.cancelled().await;
    }

    /// Does a call, or dies at it. One that looks changes nothing, and whoever dies at the next look
    /// without having done anything between dies at the same point: the two are one.
    async fn call<T>(&self, method: &str, call: impl Future<Output = T>) -> T {
        let looks = LOOKS.contains(&method);
        if self.looked.swap(looks, Ordering::SeqCst) && looks {
            return call.await;
        }
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let dies = self.dies_at.filter(|(at, _)| *at == number);
        match dies {
            None => call.await,
            Some((_, after)) => {
                if after {
                    call.await;
                }
                self.dead.cancel();
                std::future::pending().await
            }
        }
    }
}

impl<P: ?Sized> Counted<P> {
    async fn during<T>(&self, method: &str, call: impl Future<Output = T>) -> T {
        self.busy
            .during(async {
                match &self.mortal {
                    Some(mortal) => mortal.call(method, call).await,
                    None => call.await,
                }
            })
            .await
    }
}

impl Busy {
    /// Whether a call is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.calls.load(Ordering::SeqCst) > 0
    }

    /// The snapshots that have passed.
    pub(super) fn snapshots(&self) -> Snapshots {
        self.snapshots.clone()
    }

    /// The store of a process that may die. Its calls are counted below it as well.
    pub(super) fn mortal(
        inner: Arc<dyn ExecutionRepo>,
        mortal: Arc<Mortal>,
    ) -> Arc<dyn ExecutionRepo> {
        Arc::new(Counted {
            inner,
            busy: Self::default(),
            mortal: Some(mortal),
        })
    }

    /// Counts `call` while it is under way.
    pub(super) async fn during<T>(&self, call: impl Future<Output = T>) -> T {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let _call = Call(self);
        call.await
    }
}

/// The same store, with its calls counted.
pub(super) trait Over<P: ?Sized> {
    fn over(&self, inner: Arc<P>) -> Arc<P>;
}

impl Over<dyn ExecutionRepo> for Busy {
    fn over(&self, inner: Arc<dyn ExecutionRepo>) -> Arc<dyn ExecutionRepo> {
        Arc::new(Counted {
            inner,
            busy: self.clone(),
            mortal: None,
        })
    }
}

impl Over<dyn WorkflowRepo> for Busy {
    fn over(&self, inner: Arc<dyn WorkflowRepo>) -> Arc<dyn WorkflowRepo> {
        Arc::new(Counted {
            inner,
            busy: self.clone(),
            mortal: None,
        })
    }
}

/// Passes methods on, counted; beside those that are written out.
macro_rules! counted {
    ($port:ident [$($own:tt)*] { $(fn $name:ident($($argument:ident: $of:ty),*) -> $answer:ty;)+ }) => {
        #[async_trait]
        impl $port for Counted<dyn $port> {
            $($own)*
            $(async fn $name(&self, $($argument: $of),*) -> Result<$answer> {
                self.during(stringify!($name), self.inner.$name($($argument),*)).await
            })+
        }
    };
}

counted!(ExecutionRepo [
    async fn step(&self, lease: &Lease, step: Step) -> Result<Stepped> {
        let snapshot = step.snapshot.clone();
        let kept = snapshot.map(|snapshot| (lease.execution, snapshot));
        self.busy.snapshots.lock().extend(kept);
        self.during("step", self.inner.step(lease, step)).await
    }
] {
    fn create(tenant: &TenantId, new: NewExecution, dedupe: Option<DedupeKey>, lease: Option<LeaseRequest>) -> Created;
    fn begin(lease: &Lease, dedupe: Option<DedupeKey>, step: Step) -> Begun;
    fn acquire(tenant: &TenantId, id: ExecutionId, lease: LeaseRequest, max: u32) -> Acquired;
    fn renew(leases: &[Lease]) -> Vec<Renewed>;
    fn release(lease: &Lease) -> ();
    fn journal(tenant: &TenantId, id: ExecutionId, from: u64, limit: usize) -> JournalPage;
    fn inbox(tenant: &TenantId, id: ExecutionId, after: u64, limit: usize) -> Vec<InboxItem>;
    fn signal(tenant: &TenantId, id: ExecutionId, signal: NewSignal) -> Signalled;
    fn migrate(tenant: &TenantId, id: ExecutionId, expected_seq: u64, entry: Entry) -> Moved;
    fn slots(tenant: &TenantId, key: &SlotKey, limit: usize) -> Vec<SlotHolder>;
    fn waiting_on(tenant: &TenantId, token: WaitToken) -> Option<ExecutionId>;
    fn runnable(rung_before: Timestamp, groups: &Groups, limit: usize) -> RunnablePage;
    fn backlog() -> Backlog;
    fn usage(tenant: &TenantId) -> Usage;
    fn get(tenant: &TenantId, id: ExecutionId) -> Option<ExecutionSummary>;
    fn list(tenant: &TenantId, filter: &ExecutionFilter, after: Option<&PageToken>, limit: usize) -> Page<ExecutionSummary>;
    fn changes(tenant: &TenantId, after: Option<&ChangeCursor>, limit: usize) -> Changes;
    fn delete_ended(tenant: &TenantId, before: Timestamp, limit: usize) -> usize;
});

counted!(WorkflowRepo [] {
    fn save(tenant: &TenantId, new: NewVersion) -> Saved;
    fn get(tenant: &TenantId, id: &WorkflowId, version: Option<u32>) -> Option<StoredWorkflow>;
    fn list(tenant: &TenantId, filter: &WorkflowFilter, after: Option<&PageToken>, limit: usize) -> Page<WorkflowSummary>;
    fn versions(tenant: &TenantId, id: &WorkflowId, before: Option<u32>, limit: usize) -> Option<WorkflowVersions>;
    fn publish(tenant: &TenantId, id: &WorkflowId, version: u32, revision: u64, triggers: Vec<NewTrigger>) -> Published;
    fn archive(tenant: &TenantId, id: &WorkflowId, archived: bool) -> bool;
    fn put_plan(tenant: &TenantId, digest: Digest, plan: &[u8]) -> ();
    fn move_to(tenant: &TenantId, id: &WorkflowId, project: Option<&ProjectId>) -> bool;
    fn plan(tenant: &TenantId, digest: Digest) -> Option<Vec<u8>>;
});
