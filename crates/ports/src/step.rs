//! One atomic append to a journal, with all that moves together with it.

use nebula_core::{Digest, ExecutionId, Timestamp};
use nebula_execution::{Entry, NewExecution, Status};
use serde_json::Value;
use uuid::Uuid;

use crate::{DedupeKey, SlotChanges, Snapshot};

/// Names one step, so that a repeated call after a lost reply is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StepId(pub Uuid);

/// The hash of a single-use token under which somebody outside may wake an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WaitToken(pub Digest);

/// Something that a step puts into another execution's inbox, in the same transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// To whom; an execution that is unknown or has ended takes nothing, which is no error.
    pub to: ExecutionId,
    /// Recognises a repetition; not one that begins with [`SLOT_PREFIX`](crate::SLOT_PREFIX).
    pub dedupe: DedupeKey,
    /// What kind of signal; not one that begins with [`SLOT_PREFIX`](crate::SLOT_PREFIX).
    pub kind: String,
    /// Its content.
    pub payload: Value,
}

/// What a step says to the triggers that listen ([`TriggerRepo`](crate::TriggerRepo)), in the same
/// transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The topic.
    pub topic: String,
    /// Which entry of the journal it is about.
    pub seq: u64,
}

/// One atomic append to the journal of a leased execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Recognises a repetition.
    pub id: StepId,
    /// The number that the first entry gets: the journal's length + 1.
    pub expected_seq: u64,
    /// What became true; may be empty when only the status or the wake-up moves.
    pub entries: Vec<Entry>,
    /// The new status; `None` keeps the old one. A terminal status needs a terminal last entry, and the other way round.
    pub to: Option<Status>,
    /// When the execution is due again; `None` is not by itself. Ignored in a terminal status. Where
    /// inbox items stay unread, the store takes the earlier of this and now.
    pub wake_at: Option<Timestamp>,
    /// The last inbox item that is now in the journal.
    pub inbox_through: u64,
    /// Tokens that from now on wake this execution.
    pub waits_opened: Vec<WaitToken>,
    /// Tokens that no longer do.
    pub waits_closed: Vec<WaitToken>,
    /// Executions that begin in the same transaction; one that exists already stays as it is.
    pub children: Vec<NewExecution>,
    /// What goes into other executions' inboxes in the same transaction.
    pub deliver: Vec<Delivery>,
    /// What triggers are told in the same transaction.
    pub announce: Vec<Announcement>,
    /// Slots that are freed and claimed in the same transaction; a terminal status claims none and frees all.
    pub slots: SlotChanges,
    /// The state after this step's entries, so that loading need not read what is before.
    pub snapshot: Option<Snapshot>,
    /// Whether the lease ends with this step; a terminal status always ends it.
    pub release: bool,
}

impl Step {
    /// A step that appends `entries`, with the inbox read to `inbox_through`, and changes nothing else.
    #[must_use]
    pub fn append(id: StepId, expected_seq: u64, entries: Vec<Entry>, inbox_through: u64) -> Self {
        Self {
            id,
            expected_seq,
            entries,
            to: None,
            wake_at: None,
            inbox_through,
            waits_opened: Vec::new(),
            waits_closed: Vec::new(),
            children: Vec::new(),
            deliver: Vec::new(),
            announce: Vec::new(),
            slots: SlotChanges::default(),
            snapshot: None,
            release: false,
        }
    }
}

/// What became of one [`Step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Stepped {
    /// Status and journal moved together; the next entry gets `next_seq`.
    Applied {
        /// The number of the next entry.
        next_seq: u64,
        /// The last item of the inbox.
        inbox_head: u64,
    },
    /// The very same step was already there: a retry after a lost reply.
    Replayed {
        /// The number of the next entry.
        next_seq: u64,
        /// The last item of the inbox.
        inbox_head: u64,
    },
    /// A later holder has the lease; nothing was written.
    Fenced {
        /// The epoch of the latest lease.
        current: u64,
    },
    /// The journal is elsewhere; nothing was written.
    Conflict {
        /// The number that the next entry would get.
        actual: u64,
    },
    /// The execution has ended; nothing was written.
    Terminal(Status),
}
