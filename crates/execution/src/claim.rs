//! Slots that an instance with a body claims, and holds while the body runs.

use std::time::Duration;

use compact_str::CompactString;
use nebula_action::{ActionError, ErrorClass};
use nebula_core::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::InstanceId;

/// How many slots an execution may hold and wait for at a time, those that only it shares not counted.
pub const MAX_CLAIMS: usize = 100;
/// The most permits of a semaphore.
pub const MAX_PERMITS: u32 = 1_000;
/// The longest name of a mutex or a semaphore, in bytes.
pub const MAX_LOCK_NAME: usize = 200;

/// The longest owner of a slot, in bytes; a longer one is told by its digest.
const MAX_OWNER: usize = 200;

/// Who takes turns with a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotScope {
    /// Every execution of the tenant, by rows of the store.
    #[default]
    Tenant,
    /// The instances of one execution, which its machine decides alone.
    Execution,
}

impl SlotScope {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference to the field"
    )]
    fn is_tenant(&self) -> bool {
        *self == Self::Tenant
    }
}

/// What becomes of a body whose slot was lost with its worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenLost {
    /// It waits for the slot again, and goes on where it was.
    #[default]
    Wait,
    /// It fails.
    Fail,
}

impl WhenLost {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference to the field"
    )]
    fn waits(&self) -> bool {
        *self == Self::Wait
    }
}

/// Which slot an instance wants, and on which terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotWanted {
    /// Names what is shared.
    pub key: CompactString,
    /// How many may hold a slot of the key at a time, from 1 to [`MAX_PERMITS`].
    pub permits: u32,
    /// With whom it is shared.
    #[serde(default, skip_serializing_if = "SlotScope::is_tenant")]
    pub scope: SlotScope,
    /// How long it waits for the slot, each time.
    #[serde(with = "nebula_core::serde_duration")]
    pub wait: Duration,
    /// How long the body may take.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "nebula_core::serde_duration::option"
    )]
    pub timeout: Option<Duration>,
    /// What becomes of the body if the slot is lost.
    #[serde(default, skip_serializing_if = "WhenLost::waits")]
    pub when_lost: WhenLost,
}

/// Where a claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimStatus {
    /// It waits for its slot.
    Waiting,
    /// It holds it.
    Held,
    /// It held it or waited for it, until the worker was lost, and does not wait for it yet.
    Lost,
}

/// The claim of an instance for the slot that it holds while its body runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// What it wants.
    pub wanted: SlotWanted,
    /// Where it stands.
    pub status: ClaimStatus,
    /// Since when it waits, or when it was granted or lost.
    pub since: Timestamp,
    /// Which claim of the execution it is, from 1: grants of earlier ones may come late.
    pub(crate) number: u32,
}

/// One slot that an execution holds or waits for, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimedSlot {
    /// Of which key.
    pub key: CompactString,
    /// Which part of the execution.
    pub owner: String,
    /// With how many granted slots of the key it is content.
    pub permits: u32,
}

impl Claim {
    /// When it gives up, while it waits.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        let waits = self.status == ClaimStatus::Waiting;
        waits.then(|| self.since.plus(self.wanted.wait))
    }

    /// Whether it is for the same slots as `other`.
    #[must_use]
    pub fn shares_with(&self, other: &SlotWanted) -> bool {
        self.wanted.key == other.key && self.wanted.scope == other.scope
    }

    /// As the store has it, if it has it.
    pub(crate) fn slot(&self, instance: &InstanceId) -> Option<ClaimedSlot> {
        let stored = self.wanted.scope == SlotScope::Tenant && self.status != ClaimStatus::Lost;
        stored.then(|| ClaimedSlot {
            key: self.wanted.key.clone(),
            owner: self.owner(instance),
            permits: self.wanted.permits,
        })
    }

    /// The part of the execution to which the slot belongs.
    pub(crate) fn owner(&self, instance: &InstanceId) -> String {
        let owner = format!("{instance}~{}", self.number);
        if owner.len() <= MAX_OWNER {
            owner
        } else {
            Digest::of(owner.as_bytes()).to_string()
        }
    }

    /// It waited for too long.
    #[must_use]
    pub fn timed_out(&self) -> ActionError {
        let SlotWanted { key, wait, .. } = &self.wanted;
        let wait = nebula_core::duration_text(*wait);
        let message = format!("`{key}` was not free within {wait}; `lock_timeout` allows no more");
        ActionError::new("LOCK_TIMEOUT", message, ErrorClass::Timeout)
    }

    /// Its slot went to others, and the body is not to go on.
    pub(crate) fn lost(&self) -> ActionError {
        let key = &self.wanted.key;
        let message = format!(
            "`{key}` was lost with the worker that ran the body; others may have had it since"
        );
        ActionError::new("LOCK_LOST", message, ErrorClass::Fatal)
    }
}
