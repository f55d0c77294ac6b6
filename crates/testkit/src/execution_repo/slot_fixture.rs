//! What the rules of slots begin with: claims, frees, and what became of them.

use nebula_core::ExecutionId;
use nebula_ports::{
    ErrorKind, Lease, SLOT_GRANTED, SLOT_LOST, SlotChanges, SlotClaim, SlotId, SlotKey, SlotOwner,
    Step, Stepped,
};

use super::fixture::*;
use crate::ManualClock;

/// The two kinds of items, in short.
pub(super) const GRANTED: &str = SLOT_GRANTED;
pub(super) const LOST: &str = SLOT_LOST;

pub(super) fn slot_key(name: &str) -> SlotKey {
    SlotKey::new(name).unwrap()
}

pub(super) fn slot(key: &str, owner: &str) -> SlotId {
    SlotId {
        key: slot_key(key),
        owner: SlotOwner::new(owner).unwrap(),
    }
}

pub(super) fn claim(key: &str, owner: &str, capacity: u32) -> SlotClaim {
    SlotClaim {
        id: slot(key, owner),
        capacity,
    }
}

/// Step `id` at `seq`, which claims for the execution as a whole.
pub(super) fn claims(id: u128, seq: u64, wanted: &[(&str, u32)]) -> Step {
    let wanted = wanted
        .iter()
        .map(|(key, capacity)| claim(key, "", *capacity));
    Step {
        slots: SlotChanges {
            claim: wanted.collect(),
            free: Vec::new(),
        },
        ..append(id, seq, 1)
    }
}

/// Step `id` at `seq`, which frees what the execution as a whole has.
pub(super) fn frees(id: u128, seq: u64, keys: &[&str]) -> Step {
    Step {
        slots: SlotChanges {
            claim: Vec::new(),
            free: keys.iter().map(|key| slot(key, "")).collect(),
        },
        ..append(id, seq, 1)
    }
}

/// A running execution whose second entry came with these claims.
pub(super) async fn claiming(
    repo: &Repo,
    clock: &ManualClock,
    n: u8,
    wanted: &[(&str, u32)],
) -> Lease {
    let lease = driven(repo, clock, n).await;
    apply(repo, &lease, claims(1, 2, wanted)).await;
    lease
}

/// The same, but it sleeps without a wake-up.
pub(super) async fn asleep_claiming(
    repo: &Repo,
    clock: &ManualClock,
    n: u8,
    wanted: &[(&str, u32)],
) -> ExecutionId {
    let lease = driven(repo, clock, n).await;
    let slots = claims(1, 2, wanted).slots;
    let step = Step {
        slots,
        ..sleep(1, 2, None)
    };
    apply(repo, &lease, step).await;
    lease.execution
}

/// Which executions are in the queue of a key, and whether they hold their slot.
pub(super) async fn queue(repo: &Repo, key: &str) -> Vec<(ExecutionId, bool)> {
    let places = repo.slots(&tenant(), &slot_key(key), 100).await.unwrap();
    places
        .into_iter()
        .map(|place| (place.execution, place.granted))
        .collect()
}

/// What an execution was told about its slots: kind and key.
pub(super) async fn told(repo: &Repo, id: ExecutionId) -> Vec<(String, String)> {
    let items = repo.inbox(&tenant(), id, 0, 1_000).await.unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    items
        .into_iter()
        .map(|item| (item.kind, text(&item.payload["key"])))
        .collect()
}

/// The same, to compare with.
pub(super) fn items(items: &[(&str, &str)]) -> Vec<(String, String)> {
    items
        .iter()
        .map(|(kind, key)| ((*kind).to_owned(), (*key).to_owned()))
        .collect()
}

/// Applies a step; the last item of the inbox.
pub(super) async fn head_after(repo: &Repo, lease: &Lease, step: Step) -> u64 {
    match repo.step(lease, step).await.unwrap() {
        Stepped::Applied { inbox_head, .. } => inbox_head,
        other => panic!("not applied: {other:?}"),
    }
}

/// A step that contradicts itself, which leaves the queue of `k` empty.
pub(super) async fn refused_claim(repo: &Repo, lease: &Lease, step: Step) {
    let error = repo.step(lease, step).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    assert_eq!(queue(repo, "k").await, []);
    assert_eq!(summary(repo, lease.execution).await.entries, 1);
}
