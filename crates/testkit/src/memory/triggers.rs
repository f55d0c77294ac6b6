//! The model of the triggers of published workflows, shared with those that move them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use async_trait::async_trait;
use nebula_core::{Clock, Digest, ExecutionId, TenantId, Timestamp, TriggerId, WorkflowId};
use nebula_execution::TriggerMove;
use nebula_ports::{
    ARRIVALS_FULL, Announcement, Arrival, Arrived, Bringing, Brought, DueTriggers, ErrorKind,
    HookId, LeftOut, MAX_ARRIVALS, NewTrigger, Page, PageToken, Passing, PortError, Result,
    Subscription, TriggerRecord, TriggerRepo, TriggerState, TriggerUpdated, check_bringing,
    check_triggers,
};
use parking_lot::Mutex;
use serde_json::Value;

use super::{TriggerGuard as Guard, record::DRIVER};

/// Every trigger, as [`MemoryTriggerRepo`] and the stores that share it have it.
pub(super) type Table = Arc<Mutex<Triggers>>;

type Key = (TenantId, WorkflowId, TriggerId);

#[derive(Clone)]
struct Row {
    record: TriggerRecord,
    pace: Digest,
    listens: Vec<Subscription>,
    arrivals: Vec<Arrival>,
    /// Where its source stands.
    cursor: Option<Value>,
}

impl Row {
    /// When the first arrival came.
    fn first(&self) -> Option<Timestamp> {
        self.arrivals.first().map(|arrival| arrival.at)
    }

    /// How many wait, as far as their numbers say, and the last of these.
    fn waiting(&self) -> (u64, u64) {
        let last = self.arrivals.last().map_or(0, |it| it.n);
        let first = self.arrivals.first().map_or(last + 1, |it| it.n);
        ((last + 1).saturating_sub(first), last)
    }

    fn take(&mut self, taken: &[u64]) {
        self.arrivals.retain(|it| !taken.contains(&it.n));
    }
}

/// Every trigger.
#[derive(Default)]
pub(super) struct Triggers {
    removed: Option<Guard>,
    rows: BTreeMap<Key, Row>,
    archived: BTreeSet<(TenantId, WorkflowId)>,
    /// What waited at triggers that are gone, where it does not go with them.
    left: BTreeMap<Key, Vec<Arrival>>,
}

impl fmt::Debug for Triggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} triggers", self.rows.len())
    }
}

impl Triggers {
    pub(super) fn keep(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }

    /// What a publication may not register.
    pub(super) fn check(&self, new: &[NewTrigger]) -> Result<()> {
        match check_triggers(new) {
            Err(message) if self.keep(Guard::Checked) => Err(PortError::new(
                ErrorKind::Invalid,
                DRIVER,
                "publish",
                message,
            )),
            _ => Ok(()),
        }
    }

    /// A publication that gave the workflow `revision`.
    pub(super) fn publish(
        &mut self,
        (tenant, workflow): (&TenantId, &WorkflowId),
        (version, revision): (u32, u64),
        new: Vec<NewTrigger>,
    ) {
        if !self.keep(Guard::Registers) {
            return;
        }
        let ids: BTreeSet<_> = new.iter().map(|trigger| trigger.id.clone()).collect();
        if self.keep(Guard::Unregisters) {
            if !self.keep(Guard::ArrivalsGo) {
                let gone = self.rows.iter().filter(|((owner, of, id), _)| {
                    (owner, of) == (tenant, workflow) && !ids.contains(id)
                });
                let left = gone.map(|(key, row)| (key.clone(), row.arrivals.clone()));
                let left: Vec<_> = left.collect();
                self.left.extend(left);
            }
            self.rows
                .retain(|(owner, of, id), _| (owner, of) != (tenant, workflow) || ids.contains(id));
        }
        for new in new {
            let key = (tenant.clone(), workflow.clone(), new.id.clone());
            let before = self.rows.get(&key).cloned();
            let left = self.left.remove(&key);
            let mut row = self.registered(workflow, (version, revision), new, before);
            row.arrivals.extend(left.into_iter().flatten());
            self.rows.insert(key, row);
        }
    }

    fn registered(
        &self,
        workflow: &WorkflowId,
        (version, revision): (u32, u64),
        new: NewTrigger,
        before: Option<Row>,
    ) -> Row {
        let begun = TriggerState {
            paused: false,
            through: new.through,
            due: new.due,
            last: None,
            hook: new.hook,
            previous: None,
            left_out: None,
        };
        let first = match self.keep(Guard::ComesBack) {
            true => <dyn TriggerRepo>::first_revision(revision),
            false => 1,
        };
        let arrivals = before.as_ref().map(|row| row.arrivals.clone());
        let mut arrivals = arrivals.unwrap_or_default();
        let hears = !new.listens.is_empty() || (new.sourced && self.keep(Guard::SourcedHears));
        let deaf = !hears && self.keep(Guard::DeafForgets);
        if deaf || !self.keep(Guard::ArrivalsStay) {
            arrivals.clear();
        }
        let waits = arrivals.first().map(|first| first.at);
        let waits = waits.filter(|_| self.keep(Guard::PublishKeepsDue));
        let cursor = before.as_ref().and_then(|row| {
            let goes_on = row.pace == new.pace || !self.keep(Guard::CursorOfPace);
            row.cursor.clone().filter(|_| goes_on)
        });
        let (state, revision) = match &before {
            None => (begun, first),
            Some(Row { record, pace, .. }) => {
                let old = &record.state;
                let goes_on = *pace == new.pace && self.keep(Guard::StateStays);
                let goes_on = goes_on || !self.keep(Guard::PaceBegins);
                let from = if goes_on { old } else { &begun };
                let stays = self.keep(Guard::PauseStays) || goes_on;
                let state = TriggerState {
                    paused: if stays { old.paused } else { false },
                    through: from.through,
                    due: from.due.or(waits),
                    last: if stays { old.last } else { None },
                    hook: match self.keep(Guard::HookStays) {
                        true => old.hook.clone().or(begun.hook),
                        false => begun.hook,
                    },
                    previous: match self.keep(Guard::HookStays) {
                        true => old.previous.clone(),
                        false => None,
                    },
                    left_out: if stays { old.left_out.clone() } else { None },
                };
                let raised = u64::from(self.keep(Guard::PublishRaises));
                (state, record.revision + raised)
            }
        };
        let definition = match before {
            Some(before) if !self.keep(Guard::DefinitionMoves) => before.record.definition,
            _ => new.definition,
        };
        Row {
            record: TriggerRecord {
                workflow: workflow.clone(),
                trigger: new.id,
                version,
                kind: new.kind,
                definition,
                state,
                revision,
            },
            pace: new.pace,
            listens: new.listens,
            arrivals,
            cursor,
        }
    }

    /// Puts what a step announces where triggers listen.
    pub(super) fn announce(
        &mut self,
        (tenant, source): (&TenantId, &WorkflowId),
        execution: ExecutionId,
        all: &[Announcement],
        now: Timestamp,
    ) {
        let [topics, sources, tenants, wakes, full, order] = [
            Guard::AnnounceTopic,
            Guard::AnnounceSource,
            Guard::AnnounceTenant,
            Guard::AnnounceWakes,
            Guard::ArrivalsFull,
            Guard::ArrivalsOrder,
        ]
        .map(|guard| self.keep(guard));
        if !self.keep(Guard::Announces) {
            return;
        }
        for Announcement { topic, seq } in all {
            let listens = |it: &Subscription| {
                (it.topic == *topic || !topics)
                    && (it.source.as_ref().is_none_or(|it| it == source) || !sources)
            };
            for ((owner, ..), row) in &mut self.rows {
                if (owner != tenant && tenants) || !row.listens.iter().any(listens) {
                    continue;
                }
                let (waiting, last) = row.waiting();
                if waiting >= MAX_ARRIVALS && full {
                    row.record.state.left_out = Some(LeftOut {
                        occurrence: now,
                        at: now,
                        why: ARRIVALS_FULL.to_owned(),
                    });
                    continue;
                }
                let arrival = Arrival {
                    n: last + 1,
                    at: now,
                    what: Arrived::Announced {
                        topic: topic.clone(),
                        execution,
                        seq: *seq,
                    },
                };
                match order {
                    true => row.arrivals.push(arrival),
                    false => row.arrivals.insert(0, arrival),
                }
                if wakes {
                    let due = &mut row.record.state.due;
                    *due = Some(due.map_or(now, |due| due.min(now)));
                }
            }
        }
    }

    pub(super) fn archive(&mut self, tenant: &TenantId, workflow: &WorkflowId, archived: bool) {
        let key = (tenant.clone(), workflow.clone());
        match archived {
            true => self.archived.insert(key),
            false => self.archived.remove(&key),
        };
    }

    /// Whether a creation comes from where its trigger stands.
    pub(super) fn is_at(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        wanted: &TriggerMove,
    ) -> bool {
        let key = (tenant.clone(), workflow.clone(), wanted.trigger.clone());
        match self.rows.get(&key) {
            Some(row) => {
                row.record.revision == wanted.expected || !self.keep(Guard::CreateCompares)
            }
            None => !self.keep(Guard::CreateUnknown),
        }
    }

    /// Moves the trigger of a creation.
    pub(super) fn start(
        &mut self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        wanted: &TriggerMove,
        execution: ExecutionId,
    ) {
        let key = (tenant.clone(), workflow.clone(), wanted.trigger.clone());
        let (moves, names) = (self.keep(Guard::CreateMoves), self.keep(Guard::CreateNames));
        let takes_back = self.keep(Guard::CreateTakesBack);
        let takes = self.keep(Guard::CreateTakes);
        let leaves_due = self.keep(Guard::CreateLeavesDue);
        let Some(row) = self.rows.get_mut(&key) else {
            return;
        };
        if moves {
            row.record.state.through = wanted.through;
            row.record.state.due = wanted.due;
            row.record.revision += 1;
        }
        if takes {
            row.take(&wanted.takes);
        }
        if !wanted.takes.is_empty() && leaves_due {
            row.record.state.due = row.first().or(row.record.state.due);
        }
        if names {
            row.record.state.last = Some(execution);
        }
        if takes_back {
            row.record.state.left_out = None;
        }
    }

    fn due(&self, limit: usize, now: Timestamp) -> DueTriggers {
        let awake = |(tenant, _, _): &Key, row: &Row| {
            let of = (tenant.clone(), row.record.workflow.clone());
            (!row.record.state.paused || !self.keep(Guard::DuePaused))
                && (!self.archived.contains(&of) || !self.keep(Guard::DueArchived))
        };
        let all = self.rows.iter().filter(|(key, row)| awake(key, row));
        let mut due = Vec::new();
        let mut next_due = None;
        for ((tenant, ..), row) in all {
            let Some(at) = row.record.state.due else {
                continue;
            };
            if at <= now || !self.keep(Guard::DueByClock) {
                due.push((tenant.clone(), row.record.clone()));
            } else if self.keep(Guard::NextDue) {
                next_due = Some(next_due.map_or(at, |next: Timestamp| next.min(at)));
            }
        }
        if !self.keep(Guard::DueTenants) {
            due.retain(|(tenant, _)| *tenant == TenantId::local());
        }
        if self.keep(Guard::DueOrder) {
            due.sort_by_key(|(_, record)| record.state.due);
        }
        let more = due.len() > limit && self.keep(Guard::DueLimit);
        if self.keep(Guard::DueLimit) {
            due.truncate(limit);
        }
        DueTriggers {
            due,
            next_due,
            more,
            now: match self.keep(Guard::DueSaysWhen) {
                true => now,
                false => Timestamp::default(),
            },
        }
    }
}

/// A [`TriggerRepo`] in memory. What publishes and what creates shares it: see
/// [`MemoryWorkflowRepo::sharing`](super::MemoryWorkflowRepo::sharing) and
/// [`MemoryExecutionRepo::sharing`](super::MemoryExecutionRepo::sharing).
pub struct MemoryTriggerRepo {
    clock: Arc<dyn Clock>,
    pub(super) table: Table,
}

impl fmt::Debug for MemoryTriggerRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTriggerRepo")
            .field("triggers", &self.table.lock().rows.len())
            .finish_non_exhaustive()
    }
}

impl MemoryTriggerRepo {
    /// An empty store; `clock` decides what is due.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let table = Table::default();
        Self { clock, table }
    }

    /// A store of its own with the same triggers, as they stand here; it lacks `guard`, if one is given.
    #[must_use]
    pub fn copy(&self, clock: Arc<dyn Clock>, guard: Option<Guard>) -> Self {
        let here = self.table.lock();
        let table = Triggers {
            removed: guard,
            rows: here.rows.clone(),
            archived: here.archived.clone(),
            left: here.left.clone(),
        };
        let table = Arc::new(Mutex::new(table));
        Self { clock, table }
    }

    /// An empty store that lacks `guard`, to test the suite itself.
    #[must_use]
    pub fn without(clock: Arc<dyn Clock>, guard: Guard) -> Self {
        let new = Self::new(clock);
        new.table.lock().removed = Some(guard);
        new
    }
}

#[async_trait]
impl TriggerRepo for MemoryTriggerRepo {
    async fn get(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
    ) -> Result<Option<TriggerRecord>> {
        let table = self.table.lock();
        let mut found = table.rows.iter().filter(|((owner, of, id), _)| {
            (owner == tenant || !table.keep(Guard::TenantReads)) && (of, id) == (workflow, trigger)
        });
        Ok(found.next().map(|(_, row)| row.record.clone()))
    }

    async fn list(
        &self,
        tenant: &TenantId,
        workflow: Option<&WorkflowId>,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<TriggerRecord>> {
        let table = self.table.lock();
        let after = match after {
            None => None,
            Some(PageToken(token)) => match token.split_once('/') {
                Some((workflow, trigger)) => Some((workflow.to_owned(), trigger.to_owned())),
                None if table.keep(Guard::TokenCheck) => {
                    let message = "the page token is not from a page before";
                    return Err(PortError::new(ErrorKind::Invalid, DRIVER, "list", message));
                }
                None => None,
            },
        };
        let wanted = workflow.filter(|_| table.keep(Guard::ListWorkflow));
        let place =
            |record: &TriggerRecord| (record.workflow.to_string(), record.trigger.to_string());
        let mut items: Vec<_> = table
            .rows
            .iter()
            .filter(|((owner, of, _), _)| {
                (owner == tenant || !table.keep(Guard::TenantReads))
                    && wanted.is_none_or(|wanted| of == wanted)
            })
            .map(|(_, row)| row.record.clone())
            .filter(|record| after.as_ref().is_none_or(|after| place(record) > *after))
            .collect();
        if !table.keep(Guard::ListOrder) {
            items.reverse();
        }
        let more = items.len() > limit;
        items.truncate(limit);
        if !table.keep(Guard::ListPages) && after.is_some() {
            items.pop();
        }
        let next = items.last().filter(|_| more).map(|last| {
            let (workflow, trigger) = place(last);
            PageToken(format!("{workflow}/{trigger}"))
        });
        Ok(Page { items, next })
    }

    async fn update(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        expected: u64,
        state: TriggerState,
    ) -> Result<TriggerUpdated> {
        let mut table = self.table.lock();
        let keeps_due = table.keep(Guard::UpdateKeepsDue);
        let [compares, raises, stays, unknown, tenants] = [
            Guard::UpdateCompares,
            Guard::UpdateRaises,
            Guard::UpdateStays,
            Guard::UpdateUnknown,
            Guard::TenantWrites,
        ]
        .map(|guard| table.keep(guard));
        let mut rows = table.rows.iter_mut();
        let found = rows.find(|((owner, of, id), _)| {
            (owner == tenant || !tenants) && (of, id) == (workflow, trigger)
        });
        let Some((_, row)) = found else {
            return Ok(match unknown {
                true => TriggerUpdated::Unknown,
                false => TriggerUpdated::Updated { revision: 1 },
            });
        };
        let waits = row.first().filter(|_| keeps_due);
        let record = &mut row.record;
        if record.revision != expected && compares {
            let revision = record.revision;
            return Ok(TriggerUpdated::Conflict { revision });
        }
        if stays {
            record.state = state;
            record.state.due = record.state.due.or(waits);
        }
        record.revision += u64::from(raises);
        let revision = record.revision;
        Ok(TriggerUpdated::Updated { revision })
    }

    async fn due(&self, limit: usize) -> Result<DueTriggers> {
        Ok(self.table.lock().due(limit, self.clock.now()))
    }

    async fn arrivals(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        limit: usize,
    ) -> Result<Vec<Arrival>> {
        let table = self.table.lock();
        let mut rows = table.rows.iter();
        let found = rows.find(|((owner, of, id), _)| {
            (owner == tenant || !table.keep(Guard::ArrivalsTenant))
                && (of, id) == (workflow, trigger)
        });
        let limit = match table.keep(Guard::ArrivalsLimit) {
            true => limit,
            false => usize::MAX,
        };
        let all = found.map(|(_, row)| row.arrivals.iter().take(limit).cloned().collect());
        Ok(all.unwrap_or_default())
    }

    async fn cursor(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
    ) -> Result<Option<Value>> {
        let table = self.table.lock();
        let mut rows = table.rows.iter();
        let found = rows.find(|((owner, of, id), _)| {
            (owner == tenant || !table.keep(Guard::CursorTenant)) && (of, id) == (workflow, trigger)
        });
        Ok(found.and_then(|(_, row)| row.cursor.clone()))
    }

    async fn bring(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        brings: Bringing,
    ) -> Result<Brought> {
        let now = self.clock.now();
        let mut table = self.table.lock();
        let [
            checked,
            compares,
            arrives,
            full,
            wakes,
            moves,
            keeps,
            unknown,
        ] = [
            Guard::BringChecked,
            Guard::BringCompares,
            Guard::BringArrives,
            Guard::BringFull,
            Guard::BringWakes,
            Guard::BringMoves,
            Guard::BringKeepsCursor,
            Guard::BringUnknown,
        ]
        .map(|guard| table.keep(guard));
        match check_bringing(&brings) {
            Err(message) if checked => {
                let kind = ErrorKind::Invalid;
                return Err(PortError::new(kind, DRIVER, "bring", message));
            }
            _ => {}
        }
        let key = (tenant.clone(), workflow.clone(), trigger.clone());
        let Some(row) = table.rows.get_mut(&key) else {
            return Ok(match unknown {
                true => Brought::Unknown,
                false => Brought::Taken { revision: 1 },
            });
        };
        let Bringing { items, looked } = brings;
        let found = row.record.revision;
        if looked.as_ref().is_some_and(|it| it.expected != found) && compares {
            return Ok(Brought::Conflict { revision: found });
        }
        let (waiting, last) = row.waiting();
        let more = u64::try_from(items.len()).unwrap_or(u64::MAX);
        if waiting.saturating_add(more) > MAX_ARRIVALS && full {
            return Ok(Brought::Full);
        }
        let some = !items.is_empty();
        if arrives {
            row.arrivals
                .extend((last + 1..).zip(items).map(|(n, item)| Arrival {
                    n,
                    at: now,
                    what: Arrived::Brought(item),
                }));
        }
        if let Some(looked) = looked
            && moves
        {
            row.record.revision += 1;
            row.record.state.through = looked.through;
            row.record.state.due = row.first().or(looked.due);
            if looked.cursor.is_some() || !keeps {
                row.cursor = looked.cursor;
            }
        }
        if some && wakes {
            let due = &mut row.record.state.due;
            *due = Some(due.map_or(now, |due| due.min(now)));
        }
        let revision = row.record.revision;
        Ok(Brought::Taken { revision })
    }

    async fn pass(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        expected: u64,
        passing: Passing,
    ) -> Result<TriggerUpdated> {
        let Passing {
            arrivals,
            due,
            left_out,
        } = passing;
        let mut table = self.table.lock();
        let [compares, takes, leaves_due, says] = [
            Guard::PassCompares,
            Guard::PassTakes,
            Guard::PassLeavesDue,
            Guard::PassSays,
        ]
        .map(|guard| table.keep(guard));
        let key = (tenant.clone(), workflow.clone(), trigger.clone());
        let Some(row) = table.rows.get_mut(&key) else {
            return Ok(TriggerUpdated::Unknown);
        };
        let found = row.record.revision;
        if found != expected && compares {
            return Ok(TriggerUpdated::Conflict { revision: found });
        }
        if takes {
            row.take(&arrivals);
        }
        if leaves_due {
            row.record.state.due = row.first().or(due);
        }
        if left_out.is_some() && says {
            row.record.state.left_out = left_out;
        }
        row.record.revision += 1;
        let revision = row.record.revision;
        Ok(TriggerUpdated::Updated { revision })
    }

    async fn hooked(&self, hook: &HookId) -> Result<Option<(TenantId, TriggerRecord)>> {
        let table = self.table.lock();
        let now = self.clock.now();
        let mut rows = table.rows.iter();
        let found = rows.find(|(_, row)| {
            let state = &row.record.state;
            let own = state.hook.as_ref().is_some_and(|own| {
                own == hook || (own.0.len() == hook.0.len() && !table.keep(Guard::HookRotates))
            });
            let before = state.previous.as_ref().is_some_and(|before| {
                let over = before.until <= now && table.keep(Guard::GraceEnds);
                before.hook == *hook && !over && table.keep(Guard::HookGrace)
            });
            own || before
        });
        let found = found.filter(|_| table.keep(Guard::Hooks));
        Ok(found.map(|((tenant, ..), row)| (tenant.clone(), row.record.clone())))
    }
}
