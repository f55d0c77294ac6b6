//! Agreement of stores of executions.

use std::{future::Future, sync::Arc, time::Duration};

use nebula_core::{
    Clock, Digest, ExecutionId, Group, Groups, Labels, Priority, TenantId, Timestamp, WorkflowId,
};
use nebula_execution::{Entry, Fact, Status, StoredEntry};
use nebula_ports::{
    Acquired, Backlog, Begun, Created, DedupeKey, ExecutionFilter, ExecutionRepo, Lease, NewSignal,
    Result, Runnable, RunnablePage, SLOT_GRANTED, SLOT_PREFIX, Step, Stepped,
};
use serde_json::json;

use super::{
    choice::{TENANTS, TOKENS, World},
    log::Log,
};
use crate::{ManualClock, MemoryExecutionRepo, run};

/// More than there is: where a page is cut is a store's own choice among equals.
const ALL: usize = 100_000;

/// Does `operations` random things to the store that `make` makes and to the model: creations, leases,
/// steps with stale leases, wrong places, repeated ids and slots, signals, migrations, sweeps,
/// listings, deletions, time.
///
/// `make` is the expression of `execution_repo!`. In the end every journal and inbox is compared.
///
/// # Panics
/// When an answer differs: with the seed and the operations on the execution in question.
pub fn execution_repos<M: Future<Output = Arc<dyn ExecutionRepo>>>(
    seed: u64,
    operations: usize,
    make: impl FnOnce(Arc<ManualClock>) -> M,
) {
    let clock = Arc::new(ManualClock::default());
    let model = Arc::new(MemoryExecutionRepo::new(Arc::clone(&clock) as _));
    run(async {
        let driver = make(Arc::clone(&clock)).await;
        let mut run = Run {
            model,
            driver,
            world: World::new(clock, seed),
            log: Log::new(seed),
        };
        for _ in 0..operations {
            run.operation().await;
        }
        run.compare_all().await;
    });
}

struct Run {
    model: Arc<dyn ExecutionRepo>,
    driver: Arc<dyn ExecutionRepo>,
    world: World,
    log: Log<ExecutionId>,
}

impl Run {
    async fn operation(&mut self) {
        match self.world.random.below(100) {
            0..6 => self.create().await,
            6..10 => self.begin().await,
            10..26 => self.acquire().await,
            26..31 => self.renew().await,
            31..34 => self.release().await,
            34..62 => self.step().await,
            62..68 => self.repeat().await,
            68..77 => self.signal().await,
            77..88 => self.advance(),
            88..92 => self.sweep().await,
            92..94 => self.list().await,
            94..96 => self.wait_token().await,
            96..98 => self.read().await,
            98 => self.migrate().await,
            _ => self.delete().await,
        }
    }

    /// Notes an operation on an execution.
    fn note(&mut self, about: ExecutionId, operation: &str) {
        let now = self.world.clock.monotonic();
        self.log
            .note(Some(about), format!("at {now:?} {operation}"));
    }

    async fn create(&mut self) {
        let tenant = self.world.tenant();
        let new = self.world.new_execution(&tenant);
        let dedupe = self.world.random.chance(40).then(|| self.world.dedupe());
        let lease = self.world.random.chance(40).then(|| self.world.request());
        let id = new.id;
        self.note(id, &format!("create {new:?} {dedupe:?} {lease:?}"));
        let model = self
            .model
            .create(&tenant, new.clone(), dedupe.clone(), lease)
            .await;
        let driver = self.driver.create(&tenant, new, dedupe, lease).await;
        match self.log.same(model, driver) {
            Some(Created::Created(lease)) => {
                self.world.executions.push((tenant.clone(), id));
                lease
                    .into_iter()
                    .for_each(|lease| self.world.remember(lease));
            }
            Some(Created::Waits { .. } | Created::Later { .. }) => {
                self.world.executions.push((tenant.clone(), id));
            }
            Some(
                Created::Exists { .. }
                | Created::Full { .. }
                | Created::Limited { .. }
                | Created::OverQuota { .. }
                | Created::Outdated,
            )
            | None => {}
        }
        self.look(&tenant, id).await;
        self.look_at_slots(&tenant).await;
    }

    /// Creates an execution with its first step; sometimes once more, or by what is none.
    async fn begin(&mut self) {
        let (lease, dedupe, step) = match self.world.begun_before() {
            Some(before) if self.world.random.chance(25) => before,
            _ => self.world.beginning(),
        };
        let (tenant, id) = (lease.tenant.clone(), lease.execution);
        self.note(id, &format!("begin {lease:?} {dedupe:?} {step:?}"));
        let model = self.model.begin(&lease, dedupe.clone(), step.clone()).await;
        let driver = self
            .driver
            .begin(&lease, dedupe.clone(), step.clone())
            .await;
        if let Some(Begun::Applied { inbox_head, .. }) = self.log.same(model, driver) {
            self.world.executions.push((tenant.clone(), id));
            self.world.remember(lease.clone());
            self.go_on_after(&lease, &step, inbox_head).await;
            self.world.begun = Some((lease, dedupe, step));
        }
        self.look(&tenant, id).await;
        self.look_at_slots(&tenant).await;
    }

    async fn acquire(&mut self) {
        let ((tenant, id), request) = (self.world.execution(), self.world.request());
        // One that is parked at once may hold something.
        let max_grants = if self.world.random.chance(10) { 0 } else { 3 };
        self.note(id, &format!("acquire {request:?} {max_grants}"));
        let model = self.model.acquire(&tenant, id, request, max_grants).await;
        let driver = self.driver.acquire(&tenant, id, request, max_grants).await;
        if let Some(Acquired::Granted(granted)) = self.log.same(model, driver) {
            self.world
                .inboxes
                .insert(id, (granted.inbox_head, granted.inbox_through));
            self.world.remember(granted.lease);
        }
        self.look(&tenant, id).await;
        self.look_at_slots(&tenant).await;
    }

    async fn renew(&mut self) {
        let leases: Vec<_> = (0..self.world.random.below(4))
            .filter_map(|_| self.world.lease())
            .collect();
        self.log.note(None, format!("renew {leases:?}"));
        let _ = self.log.same(
            self.model.renew(&leases).await,
            self.driver.renew(&leases).await,
        );
    }

    async fn release(&mut self) {
        let Some(lease) = self.world.lease() else {
            return;
        };
        self.note(lease.execution, &format!("release {lease:?}"));
        let _ = self.log.same(
            self.model.release(&lease).await,
            self.driver.release(&lease).await,
        );
        self.look(&lease.tenant, lease.execution).await;
    }

    async fn step(&mut self) {
        let Some(lease) = self.world.lease() else {
            return;
        };
        let summary = self
            .model
            .get(&lease.tenant, lease.execution)
            .await
            .expect("the model answers");
        let step = self.world.step(&lease, summary.as_ref());
        self.send(lease, step).await;
    }

    /// Moves an execution to another version; sometimes of another tenant, at another place, or by
    /// an entry that moves nothing.
    async fn migrate(&mut self) {
        let (owner, id) = self.world.execution();
        let random = &self.world.random;
        let tenant = if random.chance(10) {
            self.world.tenant()
        } else {
            owner.clone()
        };
        let summary = self.model.get(&owner, id).await.expect("the model answers");
        let place = summary.map_or(1, |summary| summary.entries + 1) + u64::from(random.chance(15));
        let version = 2 + u32::try_from(random.below(3)).expect("a small number");
        let plan = Digest::of(&version.to_le_bytes());
        let moves = Fact::Migrated { version, plan };
        let entry = Entry {
            at: self.world.clock.now(),
            fact: if random.chance(10) {
                Fact::Resumed
            } else {
                moves
            },
        };
        self.note(id, &format!("migrate {tenant:?} {place} {entry:?}"));
        let model = self.model.migrate(&tenant, id, place, entry.clone()).await;
        let driver = self.driver.migrate(&tenant, id, place, entry).await;
        let _ = self.log.same(model, driver);
        self.compare(&owner, id).await;
    }

    async fn repeat(&mut self) {
        if let Some((lease, step)) = self.world.sent_before() {
            self.send(lease, step).await;
        }
    }

    async fn send(&mut self, lease: Lease, step: Step) {
        let id = lease.execution;
        self.note(id, &format!("step {lease:?} {step:?}"));
        let model = self.model.step(&lease, step.clone()).await;
        let driver = self.driver.step(&lease, step.clone()).await;
        if let Some(Stepped::Applied { inbox_head, .. }) = self.log.same(model, driver) {
            self.go_on_after(&lease, &step, inbox_head).await;
        }
        self.look(&lease.tenant, id).await;
        self.look_at_slots(&lease.tenant).await;
        self.world.sent(lease, step);
    }

    /// Remembers what an applied step did, and looks at those whom it concerned.
    async fn go_on_after(&mut self, lease: &Lease, step: &Step, inbox_head: u64) {
        let id = lease.execution;
        self.world
            .inboxes
            .insert(id, (inbox_head, step.inbox_through));
        self.world.last.insert(id, step.id);
        for child in &step.children {
            let known = self
                .world
                .executions
                .iter()
                .any(|(_, other)| *other == child.id);
            if !known {
                self.world.executions.push((lease.tenant.clone(), child.id));
            }
            self.look(&lease.tenant, child.id).await;
        }
        for token in step.waits_opened.iter().chain(&step.waits_closed) {
            self.note(id, &format!("waiting on {token:?}"));
            let model = self.model.waiting_on(&lease.tenant, *token).await;
            let driver = self.driver.waiting_on(&lease.tenant, *token).await;
            let _ = self.log.same(model, driver);
        }
        for delivery in &step.deliver {
            self.look(&lease.tenant, delivery.to).await;
        }
    }

    async fn signal(&mut self) {
        let ((tenant, id), dedupe) = (self.world.execution(), self.world.dedupe());
        let payload = json!([dedupe.0]);
        let (kind, dedupe) = match self.world.random.below(20) {
            0 => (SLOT_GRANTED, dedupe),
            1 => ("poke", DedupeKey(format!("{SLOT_PREFIX}1"))),
            _ => ("poke", dedupe),
        };
        let signal = NewSignal {
            kind: kind.to_owned(),
            payload,
            dedupe,
        };
        self.note(id, &format!("signal {signal:?}"));
        let model = self.model.signal(&tenant, id, signal.clone()).await;
        let _ = self
            .log
            .same(model, self.driver.signal(&tenant, id, signal).await);
        self.look(&tenant, id).await;
    }

    fn advance(&mut self) {
        let seconds = [0, 1, 4, 10, 10, 11, 30, 3_600, 40 * 3_600];
        let by = Duration::from_secs(*self.world.random.pick(&seconds)) + Duration::from_millis(1);
        self.log.note(None, format!("advance {by:?}"));
        self.world.clock.advance(by);
    }

    async fn sweep(&mut self) {
        let now = self.world.clock.now();
        let ago = *self.world.random.pick(&[0, 5_000, 60_000]);
        let rung_before = Timestamp::from_millis(now.as_millis() - ago);
        let groups = match self.world.random.below(3) {
            0 => Groups::All,
            1 => [Group::default()].into_iter().collect(),
            _ => ["gpu", "eu-1.far"]
                .into_iter()
                .map(|name| Group::new(name).expect("a group"))
                .collect(),
        };
        self.log
            .note(None, format!("sweep {rung_before:?} for {groups:?}"));
        let model = self
            .model
            .runnable(rung_before, &groups, ALL)
            .await
            .map(|page| sorted(&page));
        let driver = self.driver.runnable(rung_before, &groups, ALL).await;
        if let Ok(page) = &driver {
            fair(&self.log, &page.runnable);
        }
        let _ = self.log.same(model, driver.map(|page| sorted(&page)));
        let (model, driver) = (self.model.backlog().await, self.driver.backlog().await);
        let _ = self.log.same(model.map(counted), driver.map(counted));
        for tenant in TENANTS {
            let tenant = TenantId::new(tenant).expect("an id");
            self.look_at_slots(&tenant).await;
        }
    }

    async fn list(&mut self) {
        let tenant = self.world.tenant();
        let workflow = self
            .world
            .random
            .chance(30)
            .then(|| WorkflowId::new("orders").expect("an id"));
        let statuses = match self.world.random.below(3) {
            0 => vec![],
            1 => vec![Status::Waiting],
            _ => vec![Status::Failed, Status::Parked, Status::Queued],
        };
        let ids = self
            .world
            .random
            .chance(30)
            .then(|| self.world.execution().1..=self.world.execution().1);
        let filter = ExecutionFilter {
            workflow,
            statuses,
            ids,
            since: self.world.random.chance(20).then(|| self.ago()),
            until: self.world.random.chance(20).then(|| self.ago()),
            labels: match self.world.random.chance(30) {
                true => self.world.labels(),
                false => Labels::default(),
            },
            text: (self.world.random.chance(20))
                .then(|| (*self.world.random.pick(&["FUND", "1", "x"])).to_owned()),
        };
        self.log.note(None, format!("list {tenant:?} {filter:?}"));
        let by_id = |page: nebula_ports::Page<nebula_ports::ExecutionSummary>| {
            let mut items = page.items;
            // Newest first; which of those that began together comes first is a store's own choice.
            assert!(
                items.is_sorted_by_key(|item| std::cmp::Reverse(item.created_at)),
                "{items:?}"
            );
            items.sort_by_key(|item| item.id);
            (items, page.next)
        };
        let model = self
            .model
            .list(&tenant, &filter, None, ALL)
            .await
            .map(by_id);
        let _ = self.log.same(
            model,
            self.driver
                .list(&tenant, &filter, None, ALL)
                .await
                .map(by_id),
        );
    }

    /// A moment at which something may have begun.
    fn ago(&self) -> Timestamp {
        let now = self.world.clock.now().as_millis();
        let millis = *self.world.random.pick(&[0, 1_000, 60_000, 3_600_000]);
        Timestamp::from_millis(now - millis)
    }

    async fn wait_token(&mut self) {
        let (tenant, id) = self.world.execution();
        let n = u8::try_from(self.world.random.below(TOKENS)).expect("a small number");
        let token = self.world.token(id, n);
        self.note(id, &format!("token {n}"));
        let model = self.model.waiting_on(&tenant, token).await;
        let _ = self
            .log
            .same(model, self.driver.waiting_on(&tenant, token).await);
    }

    async fn delete(&mut self) {
        let (tenant, now) = (self.world.tenant(), self.world.clock.now());
        let before = Timestamp::from_millis(now.as_millis() - 4 * 3_600_000);
        self.log.note(None, format!("delete {tenant:?} {before:?}"));
        let model = self.model.delete_ended(&tenant, before, ALL).await;
        let _ = self
            .log
            .same(model, self.driver.delete_ended(&tenant, before, ALL).await);
    }

    async fn read(&mut self) {
        let (tenant, id) = self.world.execution();
        self.compare(&tenant, id).await;
    }

    /// Compares what a listing says of an execution.
    async fn look(&mut self, tenant: &TenantId, id: ExecutionId) {
        self.note(id, "get");
        let _ = self.log.same(
            self.model.get(tenant, id).await,
            self.driver.get(tenant, id).await,
        );
    }

    /// Compares who holds and who waits for the slots of a tenant.
    async fn look_at_slots(&mut self, tenant: &TenantId) {
        for key in World::slot_keys() {
            let limit = *self.world.random.pick(&[1, ALL, ALL]);
            self.log
                .note(None, format!("slots {tenant:?} {key:?} {limit}"));
            let _ = self.log.same(
                self.model.slots(tenant, &key, limit).await,
                self.driver.slots(tenant, &key, limit).await,
            );
        }
    }

    /// Compares everything about an execution.
    async fn compare(&mut self, tenant: &TenantId, id: ExecutionId) {
        self.look(tenant, id).await;
        self.note(id, "journal");
        let size = *self.world.random.pick(&[1, 7, ALL]);
        let model = journal(self.model.as_ref(), tenant, id, size).await;
        let _ = self
            .log
            .same(model, journal(self.driver.as_ref(), tenant, id, size).await);
        self.note(id, "inbox");
        let model = self.model.inbox(tenant, id, 0, ALL).await;
        let _ = self
            .log
            .same(model, self.driver.inbox(tenant, id, 0, ALL).await);
    }

    async fn compare_all(&mut self) {
        for (tenant, id) in self.world.executions.clone() {
            self.compare(&tenant, id).await;
        }
    }
}

/// A whole journal, page by page.
async fn journal(
    repo: &dyn ExecutionRepo,
    tenant: &TenantId,
    id: ExecutionId,
    size: usize,
) -> Result<Vec<StoredEntry>> {
    let (mut entries, mut from) = (Vec::new(), Some(1));
    while let Some(at) = from {
        let page = repo.journal(tenant, id, at, size).await?;
        assert!(
            page.next.is_none_or(|next| next > at),
            "a journal's page leads back"
        );
        entries.extend(page.entries);
        from = page.next;
    }
    Ok(entries)
}

/// What a sweep says: its lines in their turns, and what is in them.
type Swept = (
    Vec<(TenantId, Priority, WorkflowId)>,
    Vec<ExecutionId>,
    Option<Timestamp>,
    bool,
);

/// A backlog without the statuses that nobody has.
fn counted(mut backlog: Backlog) -> Backlog {
    backlog.open.retain(|_, count| *count > 0);
    backlog
}

/// A page without the order within a line, which is a store's own choice.
fn sorted(page: &RunnablePage) -> Swept {
    let line = |it: &Runnable| (it.tenant.clone(), it.priority, it.workflow.clone());
    let lines = page.runnable.iter().map(line).collect();
    let mut all: Vec<_> = page.runnable.iter().map(|it| it.execution).collect();
    all.sort();
    (lines, all, page.next_due, page.more)
}

/// Tenants take turns: as long as both have more, neither is two ahead.
fn fair(log: &Log<ExecutionId>, runnable: &[Runnable]) {
    let total = |tenant: &str| {
        runnable
            .iter()
            .filter(|found| found.tenant.as_str() == tenant)
            .count()
    };
    let shared = total("local").min(total("other"));
    let first = &runnable[..2 * shared];
    let local = first
        .iter()
        .filter(|found| found.tenant.as_str() == "local")
        .count();
    if local != shared {
        log.fail(
            &format!("{shared} of each tenant first"),
            &format!("{runnable:?}"),
        );
    }
}
