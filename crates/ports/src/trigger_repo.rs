//! The triggers of published workflows, and where each stands.

use std::fmt;

use async_trait::async_trait;
use nebula_core::{Digest, ExecutionId, TenantId, Timestamp, TriggerId, WorkflowId};
use serde_json::Value;

use crate::{Page, PageToken, Result};

/// The most triggers of one workflow.
pub const MAX_TRIGGERS: usize = 64;
/// The most subscriptions of one trigger.
pub const MAX_SUBSCRIPTIONS: usize = 256;
/// The most bytes of the name of a topic.
pub const MAX_TOPIC: usize = 200;
/// About how many arrivals wait at one trigger at most; what is announced beyond is left out, and the
/// trigger says so.
pub const MAX_ARRIVALS: u64 = 10_000;
/// Why an announcement was left out by a store.
pub const ARRIVALS_FULL: &str =
    "10,000 arrivals wait, which is as many as may: one more was left out";

/// The most bytes of one thing that is brought to a trigger, as JSON.
pub const MAX_BROUGHT: usize = 1 << 20;
/// The most bytes of what a source keeps of where it stands, as JSON.
pub const MAX_CURSOR: usize = 2 << 20;

/// What a trigger listens to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subscription {
    /// The topic, at most [`MAX_TOPIC`] bytes.
    pub topic: String,
    /// Only from executions of this workflow.
    pub source: Option<WorkflowId>,
}

/// What came to a trigger, which has started nothing for it yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// Its number at its trigger: later ones have larger numbers.
    pub n: u64,
    /// When it came, by the store's clock.
    pub at: Timestamp,
    /// What it is.
    pub what: Arrived,
}

/// What an arrival is.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrived {
    /// An entry of a journal that was announced.
    Announced {
        /// What was announced.
        topic: String,
        /// By which execution.
        execution: ExecutionId,
        /// With which entry of its journal.
        seq: u64,
    },
    /// What a source brought: its own part of `$trigger`.
    Brought(Value),
}

/// What a source has for a trigger, and where it stands then.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bringing {
    /// Each becomes an arrival, in this order; at most [`MAX_BROUGHT`] bytes each.
    pub items: Vec<Value>,
    /// Where the source stands then, if it is one that is looked at.
    pub looked: Option<Looked>,
}

/// Where a source stands that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// The trigger's revision when it was read.
    pub expected: u64,
    /// What tells what is new at the next look, at most [`MAX_CURSOR`] bytes; `None` leaves it.
    pub cursor: Option<Value>,
    /// When it is looked at next.
    pub through: Timestamp,
    /// When the trigger is due, if nothing waits; `None` is never.
    pub due: Option<Timestamp>,
}

/// Which arrivals are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Passing {
    /// Their numbers.
    pub arrivals: Vec<u64>,
    /// When the trigger is due then, if nothing waits any more; `None` is never.
    pub due: Option<Timestamp>,
    /// Why they start nothing, if anybody should see it.
    pub left_out: Option<LeftOut>,
}

/// What became of what was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Brought {
    /// Each is an arrival.
    Taken {
        /// The trigger's revision now.
        revision: u64,
    },
    /// The trigger has changed since it was looked at; nothing was written.
    Conflict {
        /// Its revision now.
        revision: u64,
    },
    /// There is no room for all of them below [`MAX_ARRIVALS`]; nothing was written.
    Full,
    /// No published version has it.
    Unknown,
}

/// The address of a webhook, without what comes before it: unguessable, so whoever knows it may call it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookId(pub String);

/// Its beginning only: whoever reads a log may not call it.
impl fmt::Debug for HookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(4).collect();
        write!(f, "HookId({shown}…)")
    }
}

/// A trigger of a version that is to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTrigger {
    /// Which one.
    pub id: TriggerId,
    /// Of which kind: `cron`, `webhook`, …
    pub kind: String,
    /// What whoever fires it needs to know.
    pub definition: Value,
    /// What says when it is due: a registration of this id with another one begins where this says.
    pub pace: Digest,
    /// Up to when its occurrences are settled, if it begins.
    pub through: Timestamp,
    /// When it is due, if it begins; `None` is never.
    pub due: Option<Timestamp>,
    /// Its address, if it has none and needs one.
    pub hook: Option<HookId>,
    /// What it listens to, at most [`MAX_SUBSCRIPTIONS`].
    pub listens: Vec<Subscription>,
    /// Whether a source brings what starts it.
    pub sourced: bool,
}

/// Where a registered trigger stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerState {
    /// Whether it starts nothing until somebody says so.
    pub paused: bool,
    /// Up to when its occurrences are settled: started, or left out for good; when its source is looked
    /// at next, of one that has such a source.
    pub through: Timestamp,
    /// When it is due next; `None` is never.
    pub due: Option<Timestamp>,
    /// The execution that it started last.
    pub last: Option<ExecutionId>,
    /// Its address, if it is called from outside.
    pub hook: Option<HookId>,
    /// The address that it had before, as long as that leads here.
    pub previous: Option<PreviousHook>,
    /// Why the last occurrence started nothing, if it did not.
    pub left_out: Option<LeftOut>,
}

/// An address that was replaced, and is one until its grace is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousHook {
    /// Which one.
    pub hook: HookId,
    /// Until when it leads to its trigger, by the store's clock.
    pub until: Timestamp,
}

/// An occurrence that started nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Which one.
    pub occurrence: Timestamp,
    /// When it was left out.
    pub at: Timestamp,
    /// Why, for people; at most [`MAX_LEFT_OUT`] bytes.
    pub why: String,
}

/// The most bytes of why an occurrence was left out.
pub const MAX_LEFT_OUT: usize = 1_000;

/// A trigger of a published version.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerRecord {
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// Which one of it.
    pub trigger: TriggerId,
    /// Of which version: the published one.
    pub version: u32,
    /// Of which kind.
    pub kind: String,
    /// As it was registered.
    pub definition: Value,
    /// Where it stands.
    pub state: TriggerState,
    /// Grows with every change of it, and belongs to one registration: what a writer compares with.
    pub revision: u64,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum TriggerUpdated {
    /// It stands as it was told.
    Updated {
        /// Its revision now.
        revision: u64,
    },
    /// It has changed since it was read; nothing was written.
    Conflict {
        /// Its revision now.
        revision: u64,
    },
    /// No published version has it.
    Unknown,
}

/// Triggers that are due.
#[derive(Debug, Clone, PartialEq)]
pub struct DueTriggers {
    /// Whose, and which; the longest due first.
    pub due: Vec<(TenantId, TriggerRecord)>,
    /// When the next one becomes due, if nothing else happens; `None`: never.
    pub next_due: Option<Timestamp>,
    /// Whether there were more than the limit.
    pub more: bool,
    /// What time it was by the store's clock. Whoever fires goes by this and not by a clock of its own,
    /// which may be ahead or behind.
    pub now: Timestamp,
}

/// The triggers of published workflows, and where each stands.
///
/// Rules (each is a test of `nebula_testkit::trigger_repo!`):
///
/// - **A publication** ([`WorkflowRepo::publish`](crate::WorkflowRepo::publish)) registers the triggers
///   of its version and removes those of the version before, in its own transaction; a publication that
///   is refused changes none. A trigger that stays keeps its state; with another `pace` it begins anew
///   where the publication says, but for `paused`, `last` and its addresses. One that was removed and comes
///   back is another one.
/// - **A start** ([`ExecutionRepo::create`](crate::ExecutionRepo::create) with a
///   [`TriggerMove`](nebula_execution::TriggerMove)) moves the trigger in the transaction of the
///   creation, names the execution as its last, and takes back why the one before was left out. A trigger whose revision is another one →
///   `Outdated`: no execution, no dedupe key. A creation that is refused or is there already moves
///   nothing. So each occurrence starts one execution, however many look after it.
/// - **A revision** grows with each change, and never comes again, also for a trigger that was removed
///   and came back.
/// - **What listens** is told what steps announce ([`Announcement`](crate::Announcement)), in their own
///   transactions: an arrival for each trigger of the tenant that is registered then with the topic, for
///   all sources or for the workflow of the execution, in the order of the commits. A step that is refused
///   or repeated announces nothing. It is due from its first arrival on, whatever else is written of when
///   it is due. Where [`MAX_ARRIVALS`] wait, an announcement is left out, and the trigger says so.
/// - **An arrival** waits, also while its trigger is paused and through publications, until a start takes
///   it ([`TriggerMove`](nebula_execution::TriggerMove)), in the transaction of the creation, or it is
///   passed over; so each starts one execution at most. It goes with its trigger, and where that listens to
///   nothing any more and has no source.
/// - **What a source brings** arrives whole or not at all, behind what waits, together with where the
///   source stands then ([`Looked`]): so what was looked at is told once, however often whoever looks
///   dies. Where the trigger has changed since it was read, or not all of it has room, nothing is written.
///   The cursor goes with its trigger, and with its pace.
/// - **Due** is what is neither paused nor of an archived workflow, by the store's clock.
#[async_trait]
pub trait TriggerRepo: fmt::Debug + Send + Sync + 'static {
    /// One trigger of a published version.
    ///
    /// # Errors
    /// `Corrupt`: it cannot be read.
    async fn get(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
    ) -> Result<Option<TriggerRecord>>;

    /// Triggers by workflow and id, of one workflow or of all, archived ones too.
    ///
    /// # Errors
    /// `Invalid`: the token is not from a page before.
    async fn list(
        &self,
        tenant: &TenantId,
        workflow: Option<&WorkflowId>,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<TriggerRecord>>;

    /// Changes where a trigger stands, unless it has changed since the revision `expected`.
    ///
    /// # Errors
    /// `Unavailable`: it may be changed; the same call again answers `Conflict` then.
    async fn update(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        expected: u64,
        state: TriggerState,
    ) -> Result<TriggerUpdated>;

    /// Triggers that are due, of all tenants: this and [`TriggerRepo::hooked`] are the calls that look
    /// across them, and belong to whoever fires.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn due(&self, limit: usize) -> Result<DueTriggers>;

    /// Where the source of a trigger stands; `None` before the first look, and for a trigger that no
    /// published version has.
    ///
    /// # Errors
    /// `Corrupt`: it cannot be read.
    async fn cursor(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
    ) -> Result<Option<Value>>;

    /// Puts what a source has where it waits to start something.
    ///
    /// # Errors
    /// `Invalid`: something is larger than its limit; nothing was written. `Unavailable`: it may be
    /// done; after a look the same call again answers `Conflict` then.
    async fn bring(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        brings: Bringing,
    ) -> Result<Brought>;

    /// What waits at a trigger, in the order in which it came.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn arrivals(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        limit: usize,
    ) -> Result<Vec<Arrival>>;

    /// Passes over arrivals: they are gone and have started nothing. Nothing is written if the trigger has
    /// changed since the revision `expected`.
    ///
    /// # Errors
    /// `Unavailable`: it may be done; the same call again answers `Conflict` then.
    async fn pass(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        trigger: &TriggerId,
        expected: u64,
        passing: Passing,
    ) -> Result<TriggerUpdated>;

    /// Whose trigger has this address, or had it and its grace is not over, and which; also of a paused
    /// one.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn hooked(&self, hook: &HookId) -> Result<Option<(TenantId, TriggerRecord)>>;
}

impl dyn TriggerRepo {
    /// How far apart the revisions begin that two publications of one workflow give to new triggers: so a
    /// trigger that was removed and comes back has a revision of its own.
    pub const REVISIONS: u64 = 1 << 32;

    /// With which revision a trigger begins that is registered by the publication that gives its
    /// workflow this revision.
    #[must_use]
    pub const fn first_revision(workflow_revision: u64) -> u64 {
        workflow_revision.saturating_mul(Self::REVISIONS)
    }
}

/// Refuses what no source may bring; the text says why.
///
/// # Errors
/// Something larger than [`MAX_BROUGHT`], or a cursor larger than [`MAX_CURSOR`].
pub fn check_bringing(brings: &Bringing) -> Result<(), String> {
    let size = |value: &Value| value.to_string().len();
    if let Some(large) = brings.items.iter().map(size).find(|it| *it > MAX_BROUGHT) {
        return Err(format!(
            "something of {large} bytes; the limit is {MAX_BROUGHT}"
        ));
    }
    let cursor = brings.looked.as_ref().and_then(|it| it.cursor.as_ref());
    match cursor.map(size).filter(|it| *it > MAX_CURSOR) {
        Some(large) => Err(format!(
            "a cursor of {large} bytes; the limit is {MAX_CURSOR}"
        )),
        None => Ok(()),
    }
}

/// Refuses what no publication may register; the text says why.
///
/// # Errors
/// More than [`MAX_TRIGGERS`], one id twice, or a subscription that is none.
pub fn check_triggers(triggers: &[NewTrigger]) -> Result<(), String> {
    if triggers.len() > MAX_TRIGGERS {
        let found = triggers.len();
        return Err(format!(
            "a version with {found} triggers; the limit is {MAX_TRIGGERS}"
        ));
    }
    for trigger in triggers {
        let (id, found) = (&trigger.id, trigger.listens.len());
        if found > MAX_SUBSCRIPTIONS {
            return Err(format!(
                "the trigger `{id}` with {found} subscriptions; the limit is {MAX_SUBSCRIPTIONS}"
            ));
        }
        let long = |it: &&Subscription| it.topic.is_empty() || it.topic.len() > MAX_TOPIC;
        if trigger.listens.iter().any(|it| long(&it)) {
            return Err(format!(
                "the trigger `{id}` listens to a topic of no or more than {MAX_TOPIC} bytes"
            ));
        }
    }
    let mut ids: Vec<_> = triggers.iter().map(|trigger| &trigger.id).collect();
    ids.sort();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two triggers have the id `{}`", pair[0])),
        None => Ok(()),
    }
}
