//! Slots: places that executions take turns in, kept as rows.

use nebula_core::{ExecutionId, Timestamp};
use nebula_execution::StartSlot;
use serde_json::{Value, json};

use crate::{ErrorKind, PortError, Result};

/// What kinds and dedupe keys begin with that only a store itself puts into an inbox.
pub const SLOT_PREFIX: &str = "slot.";

/// The kind of the inbox item that says: this claim is granted now. Payload: [`SlotId::payload`].
pub const SLOT_GRANTED: &str = "slot.granted";

/// The kind of the inbox item that says: this slot was taken away, because the lease under which it
/// was held has expired. Payload: [`SlotId::payload`].
pub const SLOT_LOST: &str = "slot.lost";

/// The most bytes of the name of a key or of an owner.
pub const MAX_SLOT_NAME: usize = 256;

/// The most claims and frees of one step, together.
pub const MAX_SLOT_CHANGES: usize = 256;

/// The largest capacity that a claim may name: granted rows are counted, and this bounds the count.
pub const MAX_SLOT_CAPACITY: u32 = 1_000;

/// Names what is shared: one mutex, one semaphore, one concurrency key. Of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey(String);

/// Names the part of an execution that holds or wants a slot; empty is the execution as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotOwner(String);

impl SlotKey {
    /// A key of 1 to [`MAX_SLOT_NAME`] bytes.
    ///
    /// # Errors
    /// `Invalid`: it is empty or too long.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        if name.is_empty() {
            return Err(invalid("the key of a slot is empty".to_owned()));
        }
        within("key", &name)?;
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SlotOwner {
    /// An owner of at most [`MAX_SLOT_NAME`] bytes.
    ///
    /// # Errors
    /// `Invalid`: it is too long.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        within("owner", &name)?;
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn within(what: &str, name: &str) -> Result<()> {
    if name.len() <= MAX_SLOT_NAME {
        return Ok(());
    }
    let bytes = name.len();
    Err(invalid(format!(
        "the {what} of a slot has {bytes} bytes; the limit is {MAX_SLOT_NAME}"
    )))
}

fn invalid(message: String) -> PortError {
    PortError::new(ErrorKind::Invalid, "ports", "name a slot", message)
}

/// Which slot of one execution.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId {
    /// Of which key.
    pub key: SlotKey,
    /// Which part of the execution.
    pub owner: SlotOwner,
}

impl SlotId {
    /// What the inbox items of kind [`SLOT_GRANTED`] and [`SLOT_LOST`] hold: `{ "key": …, "owner": … }`.
    #[must_use]
    pub fn payload(&self) -> Value {
        json!({ "key": self.key.as_str(), "owner": self.owner.as_str() })
    }
}

/// A wish for a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotClaim {
    /// Which.
    pub id: SlotId,
    /// Granted while fewer than so many slots of the key are, from 1 to [`MAX_SLOT_CAPACITY`]: 1 makes a mutex.
    pub capacity: u32,
}

impl SlotClaim {
    /// The claim of an execution as a whole for the slot that it starts with.
    ///
    /// # Errors
    /// `Invalid`: the key is empty or too long, or the capacity is not from 1 to [`MAX_SLOT_CAPACITY`].
    pub fn of_start(slot: &StartSlot) -> Result<Self> {
        let StartSlot { key, capacity, .. } = slot;
        if !(1..=MAX_SLOT_CAPACITY).contains(capacity) {
            return Err(invalid(format!(
                "a start slot has the capacity {capacity}; it is from 1 to {MAX_SLOT_CAPACITY}"
            )));
        }
        let (key, owner) = (SlotKey::new(key.as_str())?, SlotOwner::default());
        Ok(Self {
            id: SlotId { key, owner },
            capacity: *capacity,
        })
    }
}

/// What a step does to slots: first it frees, then it claims, each in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotChanges {
    /// Slots to take, at once or when it is their turn; one that the execution has or waits for
    /// already stays as it is, with its first capacity.
    pub claim: Vec<SlotClaim>,
    /// Slots to give back, and claims to withdraw; what is not there is no error.
    pub free: Vec<SlotId>,
}

impl SlotChanges {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.claim.is_empty() && self.free.is_empty()
    }
}

/// One place in the queue of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotHolder {
    /// Whose.
    pub execution: ExecutionId,
    /// Of which part of it.
    pub owner: SlotOwner,
    /// With how many granted slots of the key this one is content, itself among them.
    pub capacity: u32,
    /// Whether it is held; otherwise it waits.
    pub granted: bool,
    /// Since when: of the grant, or of the claim while it waits; by the store's clock.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_as_many_bytes_as_its_limit_and_no_more() {
        let (longest, long) = ("ä".repeat(MAX_SLOT_NAME / 2), "x".repeat(MAX_SLOT_NAME + 1));
        assert_eq!(SlotKey::new(longest.clone()).unwrap().as_str(), longest);
        assert_eq!(SlotOwner::new(longest.clone()).unwrap().as_str(), longest);
        for refused in [
            SlotKey::new("").unwrap_err(),
            SlotKey::new(long.clone()).unwrap_err(),
            SlotOwner::new(long.clone()).unwrap_err(),
        ] {
            assert_eq!(refused.kind, ErrorKind::Invalid);
            assert!(!refused.message.contains(&long), "{refused}");
        }
        assert_eq!(SlotOwner::new("").unwrap(), SlotOwner::default());
    }

    #[test]
    fn the_stores_own_kinds_begin_with_the_prefix() {
        for kind in [SLOT_GRANTED, SLOT_LOST] {
            assert!(kind.starts_with(SLOT_PREFIX));
        }
    }
}
