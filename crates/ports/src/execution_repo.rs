//! The record of every execution.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_core::{
    Digest, ExecutionId, Group, Groups, Labels, Priority, TenantId, Timestamp, WorkflowId,
};
use nebula_execution::{Entry, NewExecution, Status, StoredEntry};
use nebula_tenant::{Exceeded, Usage};
use serde_json::Value;
use uuid::Uuid;

use crate::{ChangeCursor, Changes, Result, SlotHolder, SlotKey, Step, Stepped, WaitToken};

/// One life of one process that holds leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation(pub Uuid);

/// Recognises the second arrival of the same thing: a webhook delivery, a cron instant, a signal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DedupeKey(pub String);

/// A timed, fenced right to write to one execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose execution.
    pub tenant: TenantId,
    /// Which execution.
    pub execution: ExecutionId,
    /// Who holds it.
    pub holder: Incarnation,
    /// Grows with every grant, also to the same holder; from 1.
    pub epoch: u64,
    /// How long it lasts from the grant or the last renewal, by the store's clock.
    pub ttl: Duration,
}

/// Who wants a lease, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRequest {
    /// Who.
    pub holder: Incarnation,
    /// How long.
    pub ttl: Duration,
}

/// The machine's state after some entry, in the machine's own encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry that is in it.
    pub through: u64,
    /// The encoded state: shared, because it may be large, and a step that is sent again has it again.
    pub state: Arc<Vec<u8>>,
}

/// What became of a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Created {
    /// It exists now, with a lease for its creator if one was asked for; it holds its slot, if it needs one.
    Created(Option<Lease>),
    /// It exists now and waits for its slot: queued, without a lease, due when the slot is granted.
    Waits {
        /// How many claims of the key wait before it.
        ahead: u32,
    },
    /// It exists now and begins later, because of its rate: queued, without a lease and without its
    /// slot, due then.
    Later {
        /// When it may begin, by the store's clock.
        begins_at: Timestamp,
        /// How many of the rate wait before it.
        ahead: u32,
    },
    /// It would have had to wait for its slot, and no more may; nothing was written.
    Full {
        /// How many wait, counted to the creation's own limit.
        waiting: u32,
    },
    /// It would have had to wait because of its rate, and no more may; nothing was written.
    Limited {
        /// How many wait.
        waiting: u32,
        /// When there is room again, from now.
        try_after: Duration,
    },
    /// Its tenant has used up a quota; nothing was written.
    OverQuota {
        /// Which one.
        exceeded: Exceeded,
        /// When there is room again, from now, as far as that is known.
        try_after: Option<Duration>,
    },
    /// The trigger that starts it has changed since it was read, or is gone; nothing was written.
    Outdated,
    /// The dedupe key or the id was seen before; nothing was written.
    Exists {
        /// The execution that it began.
        id: ExecutionId,
        /// Whether its first entries carry the same workflow and input.
        same_input: bool,
    },
}

/// What became of a creation together with its first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Begun {
    /// It exists now, and the step is in its journal; the next entry gets `next_seq`.
    Applied {
        /// The number of the next entry.
        next_seq: u64,
        /// The last item of the inbox.
        inbox_head: u64,
    },
    /// The very same step had begun it already: a retry after a lost reply.
    Replayed {
        /// The number of the next entry.
        next_seq: u64,
        /// The last item of the inbox.
        inbox_head: u64,
    },
    /// The dedupe key or the id was seen before; nothing was written.
    Exists {
        /// The execution that it began.
        id: ExecutionId,
        /// Whether its first entries carry the same workflow and input.
        same_input: bool,
    },
}

/// What became of a wish for a lease. All answers but `Granted` are acked to the queue: the sweep owns the rest.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Acquired {
    /// The lease, with what is needed to go on; all read in the same transaction.
    Granted(Box<Granted>),
    /// Somebody else holds a valid lease.
    Held,
    /// There is nothing to do yet.
    NotDue,
    /// It has ended.
    Terminal(Status),
    /// There is no such execution.
    Unknown,
    /// Too many grants in a row brought no progress; the execution was parked just now.
    Poisoned {
        /// How many.
        grants: u32,
    },
}

/// What comes with a lease.
#[derive(Debug, Clone, PartialEq)]
pub struct Granted {
    /// The lease.
    pub lease: Lease,
    /// The status; a granted execution that was queued or waiting is running now.
    pub status: Status,
    /// Where its plan is stored.
    pub plan: Digest,
    /// The latest snapshot.
    pub snapshot: Option<Snapshot>,
    /// The number of the next entry.
    pub next_seq: u64,
    /// The last item of the inbox.
    pub inbox_head: u64,
    /// The last item of the inbox that is in the journal.
    pub inbox_through: u64,
    /// How many grants before this one brought no step; from 1 on, the start of every attempt is committed first.
    pub grants_without_progress: u32,
    /// Before when it must not begin, because of its rate, if that is still to come by the store's
    /// clock: it was woken by a signal meanwhile.
    pub begins_at: Option<Timestamp>,
}

/// What became of the renewal of one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Renewed {
    /// It lasts its whole time again.
    Renewed {
        /// The last item of the inbox.
        inbox_head: u64,
    },
    /// A later holder has it, it was released, or the execution has ended.
    Lost,
}

/// A part of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalPage {
    /// Entries in order.
    pub entries: Vec<StoredEntry>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<u64>,
}

/// A signal that is to go into an inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSignal {
    /// What kind; not one that begins with [`SLOT_PREFIX`](crate::SLOT_PREFIX).
    pub kind: String,
    /// Its content.
    pub payload: Value,
    /// Recognises a repetition; not one that begins with [`SLOT_PREFIX`](crate::SLOT_PREFIX).
    pub dedupe: DedupeKey,
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Signalled {
    /// It is in the inbox at this place, and the execution is due.
    Delivered {
        /// Its number in the inbox, from 1.
        seq: u64,
    },
    /// The same dedupe key was there before; nothing was written.
    Duplicate {
        /// The number of the first one.
        seq: u64,
    },
    /// The execution has ended; nothing was written.
    Terminal(Status),
    /// There is no such execution.
    Unknown,
}

/// What became of a move to another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Moved {
    /// Version, plan and journal moved together, and the execution is due.
    Moved {
        /// The number of the next entry.
        next_seq: u64,
    },
    /// Somebody has a lease that was not given back; nothing was written.
    Held,
    /// The journal is elsewhere; nothing was written.
    Conflict {
        /// The number that the next entry would get.
        actual: u64,
    },
    /// The execution has ended; nothing was written.
    Terminal(Status),
    /// There is no such execution.
    Unknown,
}

/// A signal in an inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct InboxItem {
    /// Its number in the inbox, from 1, without gaps.
    pub seq: u64,
    /// When it arrived, by the store's clock.
    pub at: Timestamp,
    /// What kind.
    pub kind: String,
    /// Its content.
    pub payload: Value,
}

/// An execution that may have work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runnable {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub execution: ExecutionId,
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// How urgent it is.
    pub priority: Priority,
    /// For which workers it is, by [`Labels::group`].
    pub group: Group,
}

/// A part of what may have work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnablePage {
    /// Executions in the order of [`Lines`](crate::Lines), within a line the longest due first; each
    /// now counts as rung.
    pub runnable: Vec<Runnable>,
    /// When the next execution becomes due or the next lease ends, if nothing else happens; `None`: never.
    pub next_due: Option<Timestamp>,
    /// Whether there was more than the limit.
    pub more: bool,
}

/// How much there is to do, over all tenants; from [`ExecutionRepo::backlog`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many executions have each status that is no end; those of which there are none may be missing.
    pub open: BTreeMap<Status, u64>,
    /// How many are due and held by nobody.
    pub due: u64,
    /// For how long the longest of these has been due; nothing if there is none.
    pub longest: Option<Duration>,
    /// How many of them are for each group of workers; those of which there are none are missing.
    pub of_group: BTreeMap<Group, u64>,
}

/// Where a listing goes on; opaque, from the page before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken(pub String);

/// A part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<PageToken>,
}

/// Which executions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// Only of this workflow.
    pub workflow: Option<WorkflowId>,
    /// Only in one of these statuses; empty is any.
    pub statuses: Vec<Status>,
    /// Only with an id in this range, by the order of ids; so those with a common beginning are found
    /// without listing the others.
    pub ids: Option<RangeInclusive<ExecutionId>>,
    /// Only those that were created at this time or later, by the store's clock.
    pub since: Option<Timestamp>,
    /// Only those that were created before this time, by the store's clock.
    pub until: Option<Timestamp>,
    /// Only those with all of these labels.
    pub labels: Labels,
    /// Only those with this text in the id of their workflow or in the value of a label. ASCII letters
    /// are alike in both cases.
    pub text: Option<String>,
}

impl ExecutionFilter {
    /// Whether [`ExecutionFilter::text`] is in one of these.
    pub fn finds<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> bool {
        let Some(text) = &self.text else { return true };
        let wanted = text.to_ascii_lowercase();
        let mut texts = texts.into_iter();
        texts.any(|it| it.to_ascii_lowercase().contains(&wanted))
    }
}

/// What a listing says of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionSummary {
    /// Which execution.
    pub id: ExecutionId,
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// Of which version.
    pub version: u32,
    /// How urgent it is.
    pub priority: Priority,
    /// Where it stands.
    pub status: Status,
    /// When it was created, by the store's clock.
    pub created_at: Timestamp,
    /// When its last step was applied, by the store's clock.
    pub updated_at: Timestamp,
    /// When it is due again.
    pub wake_at: Option<Timestamp>,
    /// The number of entries in its journal.
    pub entries: u64,
    /// Whether somebody holds a valid lease.
    pub leased: bool,
    /// When its rate lets it begin, if that is still to come by the store's clock.
    pub begins_at: Option<Timestamp>,
    /// What it is found by, as it was given at its start.
    pub labels: Labels,
}

/// The record of every execution: the only truth about its state.
///
/// Rules (each is a test of `nebula_testkit::execution_repo!`):
///
/// - **Create** is one transaction. A dedupe key seen before begins nothing and names the first
///   execution; keys outlive their execution, for `DEDUPE_TTL` (seven days). With a
///   [`LeaseRequest`] the creator holds the first lease, epoch 1, without a second commit. With a
///   [`TriggerMove`](nebula_execution::TriggerMove) the trigger moves along, or nothing is created
///   ([`TriggerRepo`](crate::TriggerRepo)); it is looked at after the key and before the slot.
/// - **Begin** is a creation and its first step in one transaction, for an execution of which nobody
///   has been told, and of which nothing has acted outside. The first entry of the step is the
///   execution's start, at place 1; its lease has epoch 1, and so have all entries. It counts as
///   granted and stepped: status, wake-up, inbox, waits, children, deliveries, slots, snapshot and
///   release are those of a **Step** by the creator. The same step id at place 1 of the same
///   execution → `Replayed`; then a key or an id seen before → `Exists`. It takes neither start slot
///   nor rate: whoever needs these creates first.
/// - **Acquire** grants only what is due and unheld. The epoch grows on every grant, also to the same
///   holder. Only the store's clock decides expiry. Grants without an applied step in between are
///   counted durably, unless the lease was given back by `release`; the one after `max_grants` parks the execution with a journalled
///   [`nebula_execution::Fact::Parked`] instead.
/// - **Step** checks in this order: the same step id at the same place → `Replayed`; terminal →
///   `Terminal`; another epoch → `Fenced`; another place → `Conflict`. A lease that expired but
///   that nobody took still writes, and is thereby renewed. Entries, status, wake-up, inbox mark,
///   waits, children, deliveries, snapshot and release move together or not at all. The conflict
///   of one step never fails its neighbours in a group commit.
/// - **Waking**: a step that leaves inbox items unread is stored with `wake_at` at most now; a
///   signal moves `wake_at` to at most now. So a signal that lands while the holder goes to sleep
///   is not lost. A terminal execution has no wake-up.
/// - **Signals** are numbered without gaps, deduplicated by key, kept in order, refused after the end.
///   Kinds and keys that begin with [`SLOT_PREFIX`](crate::SLOT_PREFIX) are the store's own: a signal
///   or a delivery with one is `Invalid`, so nobody can forge or hide a grant.
///
/// - **Migrate** moves an execution to another version of its workflow: version, plan and the one entry
///   that says so, in one transaction, and only if the journal is where the caller read it to, so that
///   what was checked is what is moved. The snapshot, which is of the old plan, goes. It has an epoch
///   of its own, and is refused while a lease is not given back, expired or not.
///
/// Rules of slots, by which executions take turns ([`SlotChanges`](crate::SlotChanges)):
///
/// - **A claim** is a row of its execution, in the queue of its key. It is granted when the granted rows
///   of the key, counted, are fewer than its own capacity and no earlier claim waits. Whenever rows go,
///   claims are granted from the head of the queue, as many as fit, never past one that does not.
/// - **A grant** is an inbox item of kind [`SLOT_GRANTED`](crate::SLOT_GRANTED), written in the same
///   transaction, and wakes like any signal; also in the claimant's own step, whose mark does not cover
///   it. A claim of what is there, a free of what is not, and a replay change nothing.
/// - **Slots stay** while their execution sleeps, and while a lease that expired is written with or
///   renewed before anybody came. **The end** gives all back and withdraws what waits.
/// - **An expired lease loses** the slots that are granted to its execution, each with an inbox item of
///   kind [`SLOT_LOST`](crate::SLOT_LOST), and they go to the next in the queue, in one transaction: at
///   `acquire` (also where it parks), at a claim that would wait behind it, at `runnable`, and when a
///   claim of its own execution is granted. The last three raise the epoch and end the lease, so that the
///   late holder is fenced; the new grant is then kept for whoever comes. Claims that wait stay.
/// - **A start slot** is claimed in the transaction of the creation, for the execution as a whole. Where
///   it is free, or taken from an expired lease, it is granted and told as any claim; else the creation
///   gets no lease and is not due until the grant, or nothing is created because as many wait as may.
///   A child claims with its parent's step and is never refused.
/// - **A rate** ([`Rate`](crate::Rate)) bounds how often executions begin, whoever creates them: its
///   token is taken in the transaction of the creation, after what is repeated and what is refused for its
///   slot have been told apart. Where there is none left, the creation is queued and due when the token
///   comes that nobody before it was promised, or nothing is created because as many wait as may. It claims
///   its slot then, not before. A token that was promised is used up by the end of who waits, too. A child
///   is never refused.
/// - **Left to callers**: executions that claim the same keys in opposite orders wait for each other for
///   ever, and nobody here finds that; nor how many slots one execution claims over time.
///
/// Rules of quotas ([`NewExecution::quotas`]):
///
/// - **Executions** of the tenant that have not ended are counted in the transaction of the creation:
///   where there are as many as the quota says, nothing is created, however many come at once. They are
///   counted as far as the quota goes, and told so.
/// - **Starts** take a token of the tenant's bucket, which has as many as may begin in a second; where
///   there is none, nothing is created. What is refused for another reason takes none.
/// - What was seen before is answered as that, whatever is used up; a child is never refused, and counts.
///
/// Rules of changes, for whoever shows executions as they change:
///
/// - **A change** is a creation, an entry in a journal, or a step that moves the status. A grant is none (its
///   holder's first entry is), nor is a deletion. Each change is told, at least once, to whoever goes on from
///   a cursor before it, by what its execution is then; what did not change is not told again.
/// - **A cursor** stays good over deletions. One that is not from this store, or with more than
///   [`MAX_CHANGES_BEHIND`](crate::MAX_CHANGES_BEHIND) changes of the store behind it, is `Lost`.
#[async_trait]
pub trait ExecutionRepo: fmt::Debug + Send + Sync + 'static {
    /// Creates an execution, and leases it to its creator if `lease` asks for it and it need not wait.
    ///
    /// # Errors
    /// `Unavailable`: it may exist now; the same call again answers `Exists`. `Invalid`: its first
    /// entry is no start, or its slot has no name or an impossible capacity.
    async fn create(
        &self,
        tenant: &TenantId,
        new: NewExecution,
        dedupe: Option<DedupeKey>,
        lease: Option<LeaseRequest>,
    ) -> Result<Created>;

    /// Creates the execution of `lease` with its first step: what its creator did with it before
    /// anybody was told, in one transaction.
    ///
    /// # Errors
    /// `Unavailable`: it may exist now; the same call again answers `Replayed` then. `Invalid`: the
    /// step contradicts itself, is not at place 1 or does not begin with the start, or the lease is
    /// not the first; nothing was written.
    ///
    /// # Cancel safety
    /// A dropped call may still be applied.
    async fn begin(&self, lease: &Lease, dedupe: Option<DedupeKey>, step: Step) -> Result<Begun>;

    /// Leases an execution that is due and unheld; parks it after `max_grants` grants without progress.
    ///
    /// # Errors
    /// `Unavailable`: a lease may have been granted, which nobody uses; it expires.
    async fn acquire(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        lease: LeaseRequest,
        max_grants: u32,
    ) -> Result<Acquired>;

    /// Renews leases; answers in the same order.
    ///
    /// # Errors
    /// `Unavailable`: they may have been renewed.
    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Renewed>>;

    /// Gives a lease back without a step; a later holder's lease is left alone. The execution is due
    /// at once, and the grant is none without progress: who lives to give it back is not poisoned.
    ///
    /// # Errors
    /// `Unavailable`: the lease may still stand, until it expires.
    async fn release(&self, lease: &Lease) -> Result<()>;

    /// Appends `step` to the journal of the leased execution.
    ///
    /// # Errors
    /// `Unavailable`: the outcome is unknown; the same step again answers `Replayed` if it was
    /// applied. `Invalid`: the step contradicts itself; nothing was written.
    ///
    /// # Cancel safety
    /// A dropped call may still be applied.
    async fn step(&self, lease: &Lease, step: Step) -> Result<Stepped>;

    /// Entries from number `from` (at least 1), at most `limit` of them and at least one batch.
    ///
    /// # Errors
    /// `Corrupt` or `Format`: an entry cannot be read.
    async fn journal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        from: u64,
        limit: usize,
    ) -> Result<JournalPage>;

    /// Inbox items after number `after`, at most `limit`.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn inbox(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<InboxItem>>;

    /// Puts a signal into an inbox and makes the execution due.
    ///
    /// # Errors
    /// `Unavailable`: it may be there; the same call again answers `Duplicate` then. `Invalid`: its
    /// kind or key is the store's own.
    async fn signal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        signal: NewSignal,
    ) -> Result<Signalled>;

    /// Moves an execution that nobody drives to another version of its workflow: `entry`, a
    /// [`nebula_execution::Fact::Migrated`], becomes entry number `expected_seq`.
    ///
    /// # Errors
    /// `Unavailable`: it may be moved; the same call again answers `Conflict` then. `Invalid`: the
    /// entry says nothing of a migration.
    async fn migrate(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        expected_seq: u64,
        entry: Entry,
    ) -> Result<Moved>;

    /// The queue of a key, from its head on, at most `limit` places; what is granted comes before what waits.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn slots(
        &self,
        tenant: &TenantId,
        key: &SlotKey,
        limit: usize,
    ) -> Result<Vec<SlotHolder>>;

    /// Which execution a wait token wakes; `None` if it was closed or never opened.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn waiting_on(&self, tenant: &TenantId, token: WaitToken) -> Result<Option<ExecutionId>>;

    /// Non-terminal executions without a valid lease whose wake-up is due and that were not rung
    /// since `rung_before`; of all tenants, priorities and workflows in their turns, so that one with
    /// many holds up nobody; marks them as rung now. This is the one
    /// call that looks across tenants: it belongs to the sweep and returns ids only. Executions whose
    /// lease expired with slots lose them first. Of other groups than these it neither gives nor marks
    /// anything: the workers that they are for look for themselves.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn runnable(
        &self,
        rung_before: Timestamp,
        groups: &Groups,
        limit: usize,
    ) -> Result<RunnablePage>;

    /// How much there is to do, over all tenants: for those who watch the engine. Numbers go no further than
    /// `<dyn ExecutionRepo>::MAX_BACKLOG` each, so that the question takes a bounded time.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn backlog(&self) -> Result<Backlog>;

    /// How much a tenant uses: its executions that have not ended and those of them that are held, both
    /// counted up to `<dyn ExecutionRepo>::MAX_USAGE`, and the bytes of its journals.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn usage(&self, tenant: &TenantId) -> Result<Usage>;

    /// What there is to say of one execution.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn get(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Option<ExecutionSummary>>;

    /// Executions, newest first; of a range of ids, by the order of ids, which begin with the time at
    /// which they were made. A page may have fewer than `limit`, also none, although there is a next one:
    /// a store looks at a bounded number of executions for a page, so that whoever filters for what is
    /// rare gets an answer in a bounded time.
    ///
    /// # Errors
    /// `Invalid`: the token is not from a page before.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<ExecutionSummary>>;

    /// Executions that changed after a cursor, at most `limit`, in no order; without a cursor none, and
    /// where now is. A page looks at a bounded number of changes, so it may have fewer, also none,
    /// although there is more.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn changes(
        &self,
        tenant: &TenantId,
        after: Option<&ChangeCursor>,
        limit: usize,
    ) -> Result<Changes>;

    /// Deletes executions that ended before `before`, oldest first, at most `limit`, and gives their
    /// disk space back; says how many.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn delete_ended(
        &self,
        tenant: &TenantId,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize>;
}

impl dyn ExecutionRepo {
    /// How far [`backlog`](ExecutionRepo::backlog) counts.
    pub const MAX_BACKLOG: u64 = 100_000;

    /// How far [`usage`](ExecutionRepo::usage) counts executions: as far as a quota may go.
    pub const MAX_USAGE: u64 = nebula_tenant::MAX_EXECUTIONS as u64;

    /// The epoch of the first lease.
    pub const FIRST_EPOCH: u64 = 1;

    /// How long a dedupe key is remembered.
    pub const DEDUPE_TTL: Duration = Duration::from_hours(7 * 24);
}
