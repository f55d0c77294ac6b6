//! The way to the record of every execution; what comes of each call is told to the oracle.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use async_trait::async_trait;
use nebula_core::{Clock, ExecutionId, Groups, TenantId, Timestamp};
use nebula_execution::{Entry, NewExecution, Signal};
use nebula_ports::{
    Acquired, Backlog, Begun, ChangeCursor, Changes, Created, DedupeKey, ErrorKind,
    ExecutionFilter, ExecutionRepo, ExecutionSummary, InboxItem, JournalPage, Lease, LeaseRequest,
    Moved, NewSignal, Page, PageToken, PortError, Renewed, Result, RunnablePage, Signalled,
    SlotHolder, SlotKey, Step, StepId, Stepped, Usage, WaitToken,
};
use uuid::Uuid;

use super::Wire;
use crate::simulation::{
    checks,
    scheduler::{Life, Owner},
    swarm::{Fault, Recovery},
    world::World,
};

/// The kinds of facts, for the trace.
struct Facts<'e>(&'e [Entry]);

impl fmt::Display for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in self.0 {
            f.write_str(" ")?;
            // It ends with an error where the kind does: what follows is not even formatted.
            let _ = write!(FirstWord(f), "{:?}", entry.fact);
        }
        Ok(())
    }
}

/// Writes what is before the first space or bracket.
struct FirstWord<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for FirstWord<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match text.find([' ', '(']) {
            None => self.0.write_str(text),
            Some(end) => {
                self.0.write_str(&text[..end])?;
                Err(fmt::Error)
            }
        }
    }
}

/// A step that the store will not have is a defect of whoever made it, and no failure of the store.
fn refused(world: &World, id: ExecutionId, error: &PortError) {
    if error.kind == ErrorKind::Invalid {
        world.complain(checks::STEP_SOUND, format!("{id}: {error}"));
    }
}

/// A step arrives at the store.
fn write(world: &World, life: Life, lease: &Lease, step: &Step) -> Result<Stepped> {
    let (tenant, id) = (&lease.tenant, lease.execution);
    world.oracle.lock().touched(tenant, id);
    world.look_at_step(step);
    let stepped = world.ask(world.store.step(lease, step.clone()));
    let stepped = stepped.inspect_err(|error| refused(world, id, error))?;
    let stands = world.stands(tenant, id);
    let facts = Facts(&step.entries);
    let (epoch, at) = (lease.epoch, step.expected_seq);
    let step = &*world.read_step(tenant, step, matches!(stepped, Stepped::Applied { .. }));
    world.note(
        "step",
        format_args!("{life} {id} epoch {epoch} at {at}:{facts} → {stepped:?}"),
    );
    let now = world.clock.now();
    let mut oracle = world.oracle.lock();
    oracle.stepped(lease, step, &stepped, stands, now);
    Ok(stepped)
}

/// The first step of an execution arrives at the store.
fn begin(
    world: &World,
    life: Life,
    (lease, dedupe): (&Lease, Option<&DedupeKey>),
    step: &Step,
) -> Result<Begun> {
    let (tenant, id) = (&lease.tenant, lease.execution);
    world.oracle.lock().touched(tenant, id);
    world.look_at_step(step);
    let begun = world.ask(world.store.begin(lease, dedupe.cloned(), step.clone()));
    let begun = begun.inspect_err(|error| refused(world, id, error))?;
    let stands = world.stands(tenant, id);
    let facts = Facts(&step.entries);
    let step = &*world.read_step(tenant, step, matches!(begun, Begun::Applied { .. }));
    world.note("begin", format_args!("{life} {id}:{facts} → {begun:?}"));
    let now = world.clock.now();
    let mut oracle = world.oracle.lock();
    oracle.begun((lease, life), step, begun, stands, now);
    Ok(begun)
}

/// An applied step arrives once more, or that of a twin of its process; nobody hears the answer.
fn again(world: &Arc<World>, step: Step, arrive: impl FnOnce(&World, &Step) + Send + 'static) {
    let twin = !step.entries.is_empty() && world.strikes(Fault::StepByTwin);
    let step = match twin {
        // It has decided the same, and named it by itself.
        true => Step {
            id: StepId(Uuid::from_u64_pair(world.fresh(), world.fresh())),
            ..step
        },
        false if world.strikes(Fault::StepRepeated) => step,
        false => return,
    };
    let (travelling, later) = (world.clone(), world.span(LATE));
    world.board.spawn(Owner::World, async move {
        travelling.clock.sleep(later).await;
        arrive(&travelling, &step);
    });
}

/// How late a step comes that comes twice, at most, in milliseconds.
const LATE: u64 = 3_000;

#[async_trait]
impl ExecutionRepo for Wire {
    async fn create(
        &self,
        tenant: &TenantId,
        new: NewExecution,
        dedupe: Option<DedupeKey>,
        lease: Option<LeaseRequest>,
    ) -> Result<Created> {
        let tenant = tenant.clone();
        self.call("create", true, move |world, life| {
            world.look_at_entries(&new.entries);
            let before = world.triggered_by(&tenant, &new);
            let created = world.ask(world.store.create(&tenant, new.clone(), dedupe, lease))?;
            if matches!(
                created,
                Created::Created(_) | Created::Waits { .. } | Created::Later { .. }
            ) {
                world.read_entries(&tenant, &new.entries);
                world.slot_started(&tenant, &new, before);
            }
            match &created {
                Created::Created(lease) => {
                    let mut oracle = world.oracle.lock();
                    oracle.created(&tenant, &new, 0);
                    if let Some(lease) = lease {
                        oracle.granted(lease, None, (life, u32::MAX), world.clock.now());
                    }
                    world.counts.lock().executions += 1;
                }
                Created::Waits { .. } | Created::Later { .. } => {
                    world.recovered(Recovery::StartWaits);
                    world.oracle.lock().created(&tenant, &new, 0);
                    world.counts.lock().executions += 1;
                }
                Created::Exists { .. } if new.trigger.is_some() => {
                    world.recovered(Recovery::SlotKnown);
                }
                Created::Exists { .. } => world.recovered(Recovery::StartRepeated),
                Created::Outdated => world.recovered(Recovery::StartOutdated),
                Created::Full { .. } | Created::Limited { .. } | Created::OverQuota { .. } => {}
            }
            Ok(created)
        })
        .await
    }

    async fn begin(&self, lease: &Lease, dedupe: Option<DedupeKey>, step: Step) -> Result<Begun> {
        let lease = lease.clone();
        let travelling = self.world.clone();
        self.call("begin", true, move |world, life| {
            let begun = begin(world, life, (&lease, dedupe.as_ref()), &step)?;
            match &begun {
                Begun::Applied { .. } => {
                    world.recovered(Recovery::BegunByStep);
                    world.counts.lock().executions += 1;
                    world.count_entries(&step);
                    again(&travelling, step, move |world, step| {
                        let _ = begin(world, life, (&lease, dedupe.as_ref()), step);
                    });
                }
                Begun::Replayed { .. } => world.recovered(Recovery::Replayed),
                Begun::Exists { .. } => world.recovered(Recovery::StartRepeated),
            }
            Ok(begun)
        })
        .await
    }

    async fn acquire(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        lease: LeaseRequest,
        max_grants: u32,
    ) -> Result<Acquired> {
        let tenant = tenant.clone();
        let leading = self.only_receipt(execution);
        self.call("acquire", false, move |world, life| {
            world.oracle.lock().touched(&tenant, execution);
            let acquired = world.ask(world.store.acquire(&tenant, execution, lease, max_grants))?;
            match &acquired {
                Acquired::Granted(granted) => {
                    let now = world.clock.now();
                    let told = Some((granted.plan, granted.grants_without_progress));
                    let epoch = granted.lease.epoch;
                    world.note("granted", format_args!("{life} {execution} epoch {epoch}"));
                    let mut oracle = world.oracle.lock();
                    oracle.granted(&granted.lease, told, (life, max_grants), now);
                    drop(oracle);
                    if let Some(receipt) = leading {
                        let mut hands = world.hands.lock();
                        let hands = hands.entry((life, execution)).or_default();
                        hands.leading = Some((receipt, epoch));
                    }
                    if granted.grants_without_progress > 0 {
                        world.recovered(Recovery::TakenOver);
                    }
                    if granted.snapshot.is_some() {
                        world.recovered(Recovery::SnapshotLoaded);
                    }
                }
                Acquired::Poisoned { .. } => {
                    world.recovered(Recovery::PoisonParked);
                    world.catch_up(&tenant, execution);
                }
                _ => {}
            }
            Ok(acquired)
        })
        .await
    }

    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Renewed>> {
        leases.iter().for_each(|lease| self.goes_on(lease));
        let leases = leases.to_vec();
        self.call("renew", false, move |world, _| {
            let renewed = world.ask(world.store.renew(&leases))?;
            for (lease, answer) in leases.iter().zip(&renewed) {
                let now = world.clock.now();
                world.oracle.lock().renewed(lease, answer, now);
                if *answer == Renewed::Lost {
                    world.recovered(Recovery::LeaseLost);
                }
            }
            Ok(renewed)
        })
        .await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.call("release", false, move |world, _| {
            world.ask(world.store.release(&lease))?;
            world.oracle.lock().released(&lease);
            Ok(())
        })
        .await
    }

    async fn step(&self, lease: &Lease, step: Step) -> Result<Stepped> {
        self.goes_on(lease);
        let lease = lease.clone();
        let travelling = self.world.clone();
        self.call("step", true, move |world, life| {
            let stepped = write(world, life, &lease, &step)?;
            match &stepped {
                Stepped::Fenced { .. } => world.recovered(Recovery::Fenced),
                Stepped::Replayed { .. } => world.recovered(Recovery::Replayed),
                Stepped::Applied { .. } => world.count_entries(&step),
                Stepped::Conflict { .. } | Stepped::Terminal(_) => {}
            }
            if matches!(stepped, Stepped::Applied { .. }) {
                again(&travelling, step, move |world, step| {
                    // A store that refuses it for its form would have refused the first one.
                    let _ = write(world, life, &lease, step);
                });
            }
            Ok(stepped)
        })
        .await
    }

    async fn journal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        from: u64,
        limit: usize,
    ) -> Result<JournalPage> {
        if self.world.dies_at_load(execution) {
            self.world.kill(self.life);
            std::future::pending::<()>().await;
        }
        let tenant = tenant.clone();
        self.call("journal", false, move |world, _| {
            world.ask(world.store.journal(&tenant, execution, from, limit))
        })
        .await
    }

    async fn inbox(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<InboxItem>> {
        let tenant = tenant.clone();
        self.call("inbox", false, move |world, _| {
            world.ask(world.store.inbox(&tenant, execution, after, limit))
        })
        .await
    }

    async fn signal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        signal: NewSignal,
    ) -> Result<Signalled> {
        let tenant = tenant.clone();
        self.call("signal", false, move |world, _| {
            world.look_for_secrets("a signal", signal.payload.to_string().as_bytes());
            let (kind, payload) = world.read_content(&tenant, &signal.kind, &signal.payload);
            let named = match Signal::from_inbox(kind, &payload) {
                Ok(Signal::Named(signal)) => Some((signal.name.to_string(), signal.id)),
                _ => None,
            };
            let signalled = world.ask(world.store.signal(&tenant, execution, signal))?;
            match (signalled, named) {
                (Signalled::Duplicate { .. }, _) => world.recovered(Recovery::SignalRepeated),
                (Signalled::Delivered { .. }, Some((name, id))) => {
                    world.oracle.lock().signalled(execution, name, id);
                }
                _ => {}
            }
            Ok(signalled)
        })
        .await
    }

    async fn migrate(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        expected_seq: u64,
        entry: Entry,
    ) -> Result<Moved> {
        let tenant = tenant.clone();
        self.call("migrate", true, move |world, _| {
            let moved = world.ask(world.store.migrate(&tenant, execution, expected_seq, entry))?;
            if matches!(moved, Moved::Moved { .. }) {
                world.catch_up(&tenant, execution);
            }
            Ok(moved)
        })
        .await
    }

    async fn slots(
        &self,
        tenant: &TenantId,
        key: &SlotKey,
        limit: usize,
    ) -> Result<Vec<SlotHolder>> {
        let (tenant, key) = (tenant.clone(), key.clone());
        self.call("slots", false, move |world, _| {
            world.ask(world.store.slots(&tenant, &key, limit))
        })
        .await
    }

    async fn waiting_on(&self, tenant: &TenantId, token: WaitToken) -> Result<Option<ExecutionId>> {
        let tenant = tenant.clone();
        self.call("waiting on", false, move |world, _| {
            world.ask(world.store.waiting_on(&tenant, token))
        })
        .await
    }

    async fn runnable(
        &self,
        rung_before: Timestamp,
        groups: &Groups,
        limit: usize,
    ) -> Result<RunnablePage> {
        self.world.looks(self.life);
        let groups = groups.clone();
        self.call("runnable", false, move |world, _| {
            let page = world.ask(world.store.runnable(rung_before, &groups, limit))?;
            for _ in &page.runnable {
                world.recovered(Recovery::Swept);
            }
            Ok(page)
        })
        .await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.call("backlog", false, |world, _| {
            world.ask(world.store.backlog())
        })
        .await
    }

    async fn usage(&self, tenant: &TenantId) -> Result<Usage> {
        let tenant = tenant.clone();
        self.call("usage", false, move |world, _| {
            world.ask(world.store.usage(&tenant))
        })
        .await
    }

    async fn get(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Option<ExecutionSummary>> {
        let tenant = tenant.clone();
        self.call("get", false, move |world, _| {
            world.ask(world.store.get(&tenant, execution))
        })
        .await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<ExecutionSummary>> {
        let (tenant, filter, after) = (tenant.clone(), filter.clone(), after.cloned());
        self.call("list", false, move |world, _| {
            world.ask(world.store.list(&tenant, &filter, after.as_ref(), limit))
        })
        .await
    }

    async fn changes(
        &self,
        tenant: &TenantId,
        after: Option<&ChangeCursor>,
        limit: usize,
    ) -> Result<Changes> {
        let (tenant, after) = (tenant.clone(), after.cloned());
        self.call("changes", false, move |world, _| {
            world.ask(world.store.changes(&tenant, after.as_ref(), limit))
        })
        .await
    }

    async fn delete_ended(
        &self,
        tenant: &TenantId,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        let tenant = tenant.clone();
        self.call("delete ended", true, move |world, _| {
            world.ask(world.store.delete_ended(&tenant, before, limit))
        })
        .await
    }
}
