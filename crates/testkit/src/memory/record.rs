//! One execution in the model.

use std::{collections::BTreeMap, sync::Arc};

use nebula_core::{Digest, ExecutionId, Labels, Priority, Timestamp, WorkflowId};
use nebula_execution::{CodecError, Entry, Status, StoredEntry, decode, encode};
use nebula_ports::{
    DedupeKey, ErrorKind, ExecutionSummary, Granted, InboxItem, JournalPage, Lease, PortError,
    Result, Snapshot, Step, StepId,
};

use super::{ExecutionGuard as Guard, records::Guards};

/// The name in errors.
pub(super) const DRIVER: &str = "memory";

/// Entries of one step, as bytes.
#[derive(Debug, Clone)]
struct Batch {
    first: u64,
    count: u64,
    epoch: u64,
    bytes: Arc<[u8]>,
}

/// Everything about one execution.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) workflow: WorkflowId,
    pub(super) version: u32,
    pub(super) priority: Priority,
    pub(super) labels: Labels,
    pub(super) plan: Digest,
    /// Digest of workflow and input, for `same_input`.
    pub(super) fingerprint: Digest,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) status: Status,
    pub(super) wake_at: Option<Timestamp>,
    /// When its rate lets it begin.
    pub(super) begins_at: Option<Timestamp>,
    pub(super) rung_at: Option<Timestamp>,
    pub(super) epoch: u64,
    /// When the lease ends that was not given back; it may be over.
    pub(super) lease: Option<Timestamp>,
    /// Grants since the last progress.
    pub(super) grants: u32,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) inbox_through: u64,
    /// Which change of the store was its last.
    pub(super) changed: u64,
    batches: Vec<Batch>,
    /// Every applied step and where it was.
    steps: Vec<(u64, StepId)>,
    inbox: Vec<InboxItem>,
    signals: BTreeMap<DedupeKey, u64>,
}

impl Record {
    pub(super) fn new(
        (workflow, version): (WorkflowId, u32),
        (priority, labels): (Priority, Labels),
        plan: Digest,
        fingerprint: Digest,
        now: Timestamp,
    ) -> Self {
        Self {
            workflow,
            version,
            priority,
            labels,
            plan,
            fingerprint,
            created_at: now,
            updated_at: now,
            ended_at: None,
            status: Status::Queued,
            wake_at: Some(now),
            begins_at: None,
            rung_at: None,
            epoch: 0,
            lease: None,
            grants: 0,
            snapshot: None,
            inbox_through: 0,
            changed: 0,
            batches: Vec::new(),
            steps: Vec::new(),
            inbox: Vec::new(),
            signals: BTreeMap::new(),
        }
    }

    pub(super) fn next_seq(&self) -> u64 {
        1 + self.batches.iter().map(|batch| batch.count).sum::<u64>()
    }

    pub(super) fn inbox_head(&self) -> u64 {
        self.inbox.len() as u64
    }

    /// Whether somebody holds a lease that has not expired.
    pub(super) fn is_held(&self, guards: Guards, now: Timestamp) -> bool {
        self.lease.is_some_and(|until| match until {
            _ if !guards.keep(Guard::LeaseExpires) => true,
            until if !guards.keep(Guard::LeaseLasts) => until.since(now).as_secs() > 1,
            until => until > now,
        })
    }

    /// How many bytes its journal has.
    pub(super) fn journal_bytes(&self) -> u64 {
        self.batches.iter().map(|it| it.bytes.len() as u64).sum()
    }

    /// Since when the execution may be driven by whoever comes; `None` if it may not.
    pub(super) fn due_since(&self, guards: Guards, now: Timestamp) -> Option<Timestamp> {
        if self.status.is_terminal() || self.is_held(guards, now) {
            return None;
        }
        let expired = self.lease.filter(|_| guards.keep(Guard::ExpiredIsDue));
        let woken = self.wake_at.filter(|wake_at| *wake_at <= now);
        expired.into_iter().chain(woken).min()
    }

    /// When its rate lets it begin, if that is still to come.
    pub(super) fn begins_later(&self, now: Timestamp) -> Option<Timestamp> {
        self.begins_at.filter(|at| *at > now)
    }

    /// Makes the execution due at `now`, if it is not due before.
    pub(super) fn wake(&mut self, guards: Guards, now: Timestamp) {
        let earlier = self
            .wake_at
            .filter(|_| guards.keep(Guard::EarlierWakeStays));
        self.wake_at = Some(earlier.map_or(now, |wake_at| wake_at.min(now)));
    }

    pub(super) fn append(&mut self, guards: Guards, epoch: u64, entries: &[Entry]) {
        if entries.is_empty() {
            return;
        }
        let epoch = if guards.keep(Guard::EntryEpoch) || epoch == 0 {
            epoch
        } else {
            1
        };
        let mut first = self.next_seq();
        if !guards.keep(Guard::Numbering) {
            first += u64::from(first > 1);
        }
        let mut entries = entries.to_vec();
        if !guards.keep(Guard::EntriesUnchanged) {
            entries
                .iter_mut()
                .for_each(|entry| entry.at = Timestamp::default());
        }
        let count = entries.len() as u64;
        self.batches.push(Batch {
            first,
            count,
            epoch,
            bytes: encode(&entries).into(),
        });
    }

    /// Takes its journal back to where its first step puts it, start included.
    pub(super) fn unwritten(&mut self) {
        self.batches.clear();
    }

    /// Whether this very step was applied at this place.
    pub(super) fn has(&self, guards: Guards, step: &Step) -> bool {
        let last = self.steps.len().saturating_sub(1);
        self.steps.iter().enumerate().any(|(index, (place, id))| {
            (*place == step.expected_seq || !guards.keep(Guard::StepPlace))
                && *id == step.id
                && (index == last || guards.keep(Guard::OldStepIds))
        }) && guards.keep(Guard::StepId)
            && (!step.entries.is_empty() || guards.keep(Guard::EmptyStepId))
    }

    pub(super) fn remember(&mut self, step: &Step) {
        self.steps.push((step.expected_seq, step.id));
    }

    /// The inbox item that came with this key.
    pub(super) fn signal_of(&self, dedupe: &DedupeKey) -> Option<u64> {
        self.signals.get(dedupe).copied()
    }

    pub(super) fn put_signal(&mut self, dedupe: DedupeKey, item: InboxItem) {
        self.signals.insert(dedupe, item.seq);
        self.inbox.push(item);
    }

    pub(super) fn inbox(&self, guards: Guards, after: u64, limit: usize) -> Vec<InboxItem> {
        let limit = if guards.keep(Guard::InboxPages) {
            limit
        } else {
            usize::MAX
        };
        self.inbox
            .iter()
            .filter(|item| item.seq > after)
            .take(limit)
            .cloned()
            .collect()
    }

    pub(super) fn journal(&self, guards: Guards, from: u64, limit: usize) -> Result<JournalPage> {
        let limit = if guards.keep(Guard::JournalPages) {
            limit
        } else {
            usize::MAX
        };
        let mut page = JournalPage {
            entries: Vec::new(),
            next: None,
        };
        for batch in self
            .batches
            .iter()
            .filter(|batch| batch.first + batch.count > from)
        {
            let mut entries = batch.read()?;
            if guards.keep(Guard::JournalFrom) {
                entries.retain(|entry| entry.seq >= from);
            }
            if !guards.keep(Guard::WholeBatch) {
                entries.truncate(limit);
            }
            if !page.entries.is_empty() && page.entries.len() + entries.len() > limit {
                page.next = entries.first().map(|entry| entry.seq);
                break;
            }
            page.entries.append(&mut entries);
        }
        Ok(page)
    }

    pub(super) fn granted(&self, guards: Guards, lease: Lease) -> Granted {
        let marks = guards.keep(Guard::GrantMarks);
        Granted {
            lease,
            status: self.status,
            plan: self.plan,
            snapshot: self
                .snapshot
                .clone()
                .filter(|_| guards.keep(Guard::GrantSnapshot)),
            next_seq: self.next_seq(),
            inbox_head: if marks { self.inbox_head() } else { 0 },
            inbox_through: if marks { self.inbox_through } else { 0 },
            grants_without_progress: self.grants,
            begins_at: None,
        }
    }

    pub(super) fn summary(
        &self,
        guards: Guards,
        id: ExecutionId,
        now: Timestamp,
    ) -> ExecutionSummary {
        ExecutionSummary {
            id,
            workflow: self.workflow.clone(),
            version: self.version,
            priority: self.priority,
            status: self.status,
            created_at: self.created_at,
            updated_at: self.updated_at,
            wake_at: self.wake_at,
            entries: self.next_seq() - 1,
            leased: self.is_held(guards, now) && guards.keep(Guard::LeasedFlag),
            begins_at: self.begins_later(now),
            labels: self.labels.clone(),
        }
    }
}

impl Batch {
    fn read(&self) -> Result<Vec<StoredEntry>> {
        let entries = decode(&self.bytes).map_err(|error| {
            let kind = match error {
                CodecError::Format { .. } => ErrorKind::Format,
                CodecError::Empty | CodecError::Damaged(_) => ErrorKind::Corrupt,
            };
            PortError::new(kind, DRIVER, "journal", error.to_string()).with_source(error)
        })?;
        let stored = entries.into_iter().zip(self.first..);
        Ok(stored
            .map(|(entry, seq)| StoredEntry {
                seq,
                epoch: self.epoch,
                entry,
            })
            .collect())
    }
}
