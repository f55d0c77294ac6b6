//! The model of the record of every execution.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use nebula_core::{Clock, ExecutionId, Group, Groups, Priority, TenantId, Timestamp, WorkflowId};
use nebula_execution::{Entry, NewExecution};
use nebula_ports::{
    Acquired, Backlog, Begun, ChangeCursor, Changes, Created, DedupeKey, ErrorKind,
    ExecutionFilter, ExecutionRepo, ExecutionSummary, InboxItem, JournalPage, Lease, LeaseRequest,
    Lines, Moved, NewSignal, Page, PageToken, PortError, Renewed, Result, Runnable, RunnablePage,
    SLOT_PREFIX, Signalled, SlotHolder, SlotKey, Step, Stepped, Usage, WaitToken,
};
use parking_lot::Mutex;

use super::{
    ExecutionGuard as Guard, MemoryTriggerRepo,
    record::{DRIVER, Record},
    records::{Guards, Records},
};

/// An [`ExecutionRepo`] that is obviously right: every call works on a copy of everything, which
/// takes the place of the old on success. The oracle for drivers, and the store of other crates' tests.
///
/// Entries are kept as the bytes of `nebula_execution::encode`, as in a database.
pub struct MemoryExecutionRepo {
    clock: Arc<dyn Clock>,
    records: Mutex<Records>,
    /// How often it was asked what changed.
    changes_asked: AtomicUsize,
}

impl fmt::Debug for MemoryExecutionRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let executions = self.records.lock().rows.len();
        f.debug_struct("MemoryExecutionRepo")
            .field("executions", &executions)
            .finish_non_exhaustive()
    }
}

impl MemoryExecutionRepo {
    /// An empty store; `clock` decides what is due and what has expired.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            records: Mutex::default(),
            changes_asked: AtomicUsize::new(0),
        }
    }

    /// An empty store that lacks `guard`, to test the suite itself.
    #[must_use]
    pub fn without(clock: Arc<dyn Clock>, guard: Guard) -> Self {
        let records = Records {
            guards: Guards(Some(guard)),
            ..Records::default()
        };
        Self {
            clock,
            records: Mutex::new(records),
            changes_asked: AtomicUsize::new(0),
        }
    }

    /// The same store; its creations move the triggers of `triggers`.
    #[must_use]
    pub fn sharing(self, triggers: &MemoryTriggerRepo) -> Self {
        self.records.lock().triggers = Arc::clone(&triggers.table);
        self
    }

    /// How often it was asked what changed since a cursor, and where now is.
    #[must_use]
    pub fn changes_asked(&self) -> usize {
        self.changes_asked.load(Ordering::Relaxed)
    }

    /// All or nothing.
    fn transact<T>(&self, work: impl FnOnce(&mut Records, Timestamp) -> Result<T>) -> Result<T> {
        let mut records = self.records.lock();
        let mut copy = records.clone();
        let done = work(&mut copy, self.clock.now());
        copy.number_changes(&records);
        if done.is_ok() || !copy.keep(Guard::Rollback) {
            *records = copy;
        }
        done
    }

    fn read<T>(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
        read: impl FnOnce(&Record, Guards, Timestamp) -> T,
    ) -> Option<T> {
        let records = self.records.lock();
        let owner = if records.keep(Guard::TenantReads) {
            None
        } else {
            records.owner(id)
        };
        let row = records.get(owner.as_ref().unwrap_or(tenant), id)?;
        Some(read(row, records.guards, self.clock.now()))
    }
}

#[async_trait]
impl ExecutionRepo for MemoryExecutionRepo {
    async fn create(
        &self,
        tenant: &TenantId,
        new: NewExecution,
        dedupe: Option<DedupeKey>,
        lease: Option<LeaseRequest>,
    ) -> Result<Created> {
        self.transact(|records, now| records.create(tenant, new, dedupe, lease, now))
    }

    async fn begin(&self, lease: &Lease, dedupe: Option<DedupeKey>, step: Step) -> Result<Begun> {
        self.transact(|records, now| records.begin(lease, dedupe, step, now))
    }

    async fn acquire(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        lease: LeaseRequest,
        max_grants: u32,
    ) -> Result<Acquired> {
        self.transact(|records, now| Ok(records.acquire(tenant, execution, lease, max_grants, now)))
    }

    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Renewed>> {
        self.transact(|records, now| {
            let mut renewed: Vec<_> = leases
                .iter()
                .map(|lease| records.renew(lease, now))
                .collect();
            if !records.keep(Guard::RenewOrder) {
                renewed.reverse();
            }
            Ok(renewed)
        })
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.transact(|records, now| {
            records.release(lease, now);
            Ok(())
        })
    }

    async fn step(&self, lease: &Lease, step: Step) -> Result<Stepped> {
        self.transact(|records, now| records.step(lease, step, now))
    }

    async fn journal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        from: u64,
        limit: usize,
    ) -> Result<JournalPage> {
        let page = self.read(tenant, execution, |row, guards, _| {
            row.journal(guards, from, limit)
        });
        page.unwrap_or(Ok(JournalPage {
            entries: Vec::new(),
            next: None,
        }))
    }

    async fn inbox(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<InboxItem>> {
        let items = self.read(tenant, execution, |row, guards, _| {
            row.inbox(guards, after, limit)
        });
        Ok(items.unwrap_or_default())
    }

    async fn signal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        signal: NewSignal,
    ) -> Result<Signalled> {
        self.transact(|records, now| {
            check_signal(records.guards, &signal)?;
            Ok(records.signal(tenant, execution, signal, now))
        })
    }

    async fn migrate(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        expected_seq: u64,
        entry: Entry,
    ) -> Result<Moved> {
        self.transact(|records, now| records.migrate(tenant, execution, (expected_seq, entry), now))
    }

    async fn slots(
        &self,
        tenant: &TenantId,
        key: &SlotKey,
        limit: usize,
    ) -> Result<Vec<SlotHolder>> {
        Ok(self.records.lock().queue(tenant, key, limit))
    }

    async fn waiting_on(&self, tenant: &TenantId, token: WaitToken) -> Result<Option<ExecutionId>> {
        let records = self.records.lock();
        let mut waits = records.waits.iter();
        let anybody = !records.keep(Guard::TenantReads);
        let found =
            waits.find(|((owner, open), _)| *open == token.0 && (owner == tenant || anybody));
        Ok(found.map(|(_, id)| *id))
    }

    async fn runnable(
        &self,
        rung_before: Timestamp,
        groups: &Groups,
        limit: usize,
    ) -> Result<RunnablePage> {
        self.transact(|records, now| Ok(sweep(records, (rung_before, groups), limit, now)))
    }

    async fn backlog(&self) -> Result<Backlog> {
        let (records, now) = (self.records.lock(), self.clock.now());
        Ok(backlog(&records, now))
    }

    async fn usage(&self, tenant: &TenantId) -> Result<Usage> {
        let (records, now) = (self.records.lock(), self.clock.now());
        Ok(records.used(tenant, |row| row.is_held(records.guards, now)))
    }

    async fn get(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Option<ExecutionSummary>> {
        Ok(self.read(tenant, execution, |row, guards, now| {
            row.summary(guards, execution, now)
        }))
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<ExecutionSummary>> {
        let records = self.records.lock();
        let (guards, now) = (records.guards, self.clock.now());
        let mut found: Vec<_> = records
            .rows
            .iter()
            .filter(|((owner, _), _)| owner == tenant || !guards.keep(Guard::TenantLists))
            .map(|((_, id), row)| row.summary(guards, *id, now))
            .filter(|summary| matches(guards, filter, summary))
            .collect();
        match filter.ids {
            Some(_) => found.sort_by_key(|summary| summary.id),
            None => found.sort_by_key(|summary| (summary.created_at, summary.id)),
        }
        if guards.keep(Guard::NewestFirst) {
            found.reverse();
        }
        page(guards, found, after, limit)
    }

    async fn changes(
        &self,
        tenant: &TenantId,
        after: Option<&ChangeCursor>,
        limit: usize,
    ) -> Result<Changes> {
        self.changes_asked.fetch_add(1, Ordering::Relaxed);
        let (records, now) = (self.records.lock(), self.clock.now());
        Ok(records.changed_since(tenant, after, limit, now))
    }

    async fn delete_ended(
        &self,
        tenant: &TenantId,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        self.transact(|records, _| Ok(records.delete_ended(tenant, before, limit)))
    }
}

/// What only the store itself puts into an inbox.
fn check_signal(guards: Guards, signal: &NewSignal) -> Result<()> {
    let kind = signal.kind.starts_with(SLOT_PREFIX) && guards.keep(Guard::SlotKinds);
    let key = signal.dedupe.0.starts_with(SLOT_PREFIX) && guards.keep(Guard::SlotKeys);
    if kind || key {
        let message = format!("a kind or a key of a signal begins with `{SLOT_PREFIX}`");
        return Err(PortError::new(
            ErrorKind::Invalid,
            DRIVER,
            "signal",
            message,
        ));
    }
    Ok(())
}

fn matches(guards: Guards, filter: &ExecutionFilter, summary: &ExecutionSummary) -> bool {
    let workflow = filter
        .workflow
        .as_ref()
        .is_none_or(|workflow| *workflow == summary.workflow);
    let status = filter.statuses.is_empty() || filter.statuses.contains(&summary.status);
    let id = filter
        .ids
        .as_ref()
        .is_none_or(|ids| ids.contains(&summary.id));
    let since = filter.since.is_none_or(|at| summary.created_at >= at);
    let until = filter.until.is_none_or(|at| summary.created_at < at);
    let labels = summary.labels.has_all(&filter.labels);
    let values = summary.labels.iter().map(|(_, value)| value);
    let text = filter.finds([summary.workflow.as_str()].into_iter().chain(values));
    (workflow || !guards.keep(Guard::FilterWorkflow))
        && (since || !guards.keep(Guard::FilterSince))
        && (until || !guards.keep(Guard::FilterUntil))
        && (labels || !guards.keep(Guard::FilterLabels))
        && (text || !guards.keep(Guard::FilterText))
        && (status || !guards.keep(Guard::FilterStatus))
        && (id || !guards.keep(Guard::FilterIds))
}

/// Cuts a page out of `found`. A token is the last id of the page before.
fn page(
    guards: Guards,
    mut found: Vec<ExecutionSummary>,
    after: Option<&PageToken>,
    limit: usize,
) -> Result<Page<ExecutionSummary>> {
    if let Some(PageToken(token)) = after {
        let invalid = || {
            PortError::new(
                ErrorKind::Invalid,
                DRIVER,
                "list",
                "the page token is not from a page before",
            )
        };
        let last: Option<ExecutionId> = token.parse().ok();
        if last.is_none() && guards.keep(Guard::TokenCheck) {
            return Err(invalid());
        }
        // A token of an execution that was deleted since ends the listing; a driver may do better.
        let seen = found
            .iter()
            .position(|summary| Some(summary.id) == last)
            .map_or(found.len(), |at| at + 1);
        let seen = if guards.keep(Guard::ListCursor) {
            seen
        } else {
            limit
        };
        let seen = if guards.keep(Guard::ListPages) {
            seen
        } else {
            seen + 1
        };
        found.drain(..seen.min(found.len()));
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found
        .last()
        .filter(|_| more)
        .map(|summary| PageToken(summary.id.to_string()));
    Ok(Page { items: found, next })
}

/// What is due, tenants, priorities and workflows in their turns, of each the longest due first.
fn backlog(records: &Records, now: Timestamp) -> Backlog {
    let guards = records.guards;
    let mut backlog = Backlog::default();
    for row in records.rows.values() {
        if !row.status.is_terminal() || !guards.keep(Guard::BacklogOpen) {
            *backlog.open.entry(row.status).or_default() += 1;
        }
        if let Some(since) = row.due_since(guards, now) {
            backlog.due += 1;
            let group = match guards.keep(Guard::BacklogGroups) {
                true => row.labels.group(),
                false => Group::default(),
            };
            *backlog.of_group.entry(group).or_default() += 1;
            let longest = backlog.longest.unwrap_or_default();
            backlog.longest = Some(longest.max(now.since(since)));
        }
        if row.is_held(guards, now) && !guards.keep(Guard::BacklogHeld) {
            backlog.due += 1;
        }
    }
    backlog
}

fn sweep(
    records: &mut Records,
    (rung_before, groups): (Timestamp, &Groups),
    limit: usize,
    now: Timestamp,
) -> RunnablePage {
    let guards = records.guards;
    if guards.keep(Guard::SlotSweepTakes) {
        records.take_from_expired(now);
    }
    let mut found = Vec::new();
    for ((tenant, id), row) in &records.rows {
        let group = row.labels.group();
        if !groups.take(&group) && guards.keep(Guard::SweepGroups) {
            continue;
        }
        let rung = row
            .rung_at
            .is_some_and(|at| at >= rung_before || !guards.keep(Guard::RungAgain));
        let since = row.due_since(guards, now);
        let since = since.or_else(|| {
            Some(now).filter(|_| row.is_held(guards, now) && !guards.keep(Guard::RunnableUnheld))
        });
        let live = !row.status.is_terminal() && !row.is_held(guards, now);
        let since =
            since.or_else(|| Some(now).filter(|_| live && !guards.keep(Guard::RunnableDue)));
        if let Some(since) = since.filter(|_| !rung || !guards.keep(Guard::RungMark)) {
            let runnable = Runnable {
                tenant: tenant.clone(),
                execution: *id,
                workflow: row.workflow.clone(),
                priority: row.priority,
                group,
            };
            found.push((since, *id, runnable));
        }
    }
    found.sort_by_key(|(since, id, _)| (*since, *id));
    let mut lines = Lines::default();
    for (.., runnable) in found {
        let priority = match guards.keep(Guard::SweepPriority) {
            true => runnable.priority,
            false => Priority::Normal,
        };
        let workflow = match guards.keep(Guard::SweepWorkflows) {
            true => runnable.workflow.clone(),
            false => WorkflowId::new("all").expect("an id"),
        };
        let tenant = runnable.tenant.clone();
        lines.push(&tenant, priority, &workflow, runnable);
    }
    let mut runnable = lines.in_turns();
    if !guards.keep(Guard::SweepPatience) {
        runnable.sort_by_key(|it| std::cmp::Reverse(it.priority));
    }
    if !guards.keep(Guard::Interleaved) {
        runnable.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    }
    let more = runnable.len() > limit && guards.keep(Guard::RunnableMore);
    runnable.truncate(if guards.keep(Guard::RunnableLimit) {
        limit
    } else {
        usize::MAX
    });
    for Runnable {
        tenant, execution, ..
    } in &runnable
    {
        if let Some(row) = records.get_mut(tenant, *execution) {
            row.rung_at = Some(now);
        }
    }
    RunnablePage {
        runnable,
        next_due: next_due(records, now),
        more,
    }
}

/// The earliest wake-up or end of a lease that is still to come.
fn next_due(records: &Records, now: Timestamp) -> Option<Timestamp> {
    let guards = records.guards;
    let live = records
        .rows
        .values()
        .filter(|row| !row.status.is_terminal());
    let times = live.flat_map(|row| {
        let wake = row.wake_at.filter(|_| guards.keep(Guard::NextDueWake));
        let lease = row.lease.filter(|_| guards.keep(Guard::NextDueLease));
        [wake, lease]
    });
    times
        .flatten()
        .filter(|time| *time > now || !guards.keep(Guard::NextDueFuture))
        .min()
}
