//! Rules of what moves no slot: replays, refusals, forgeries, impossible claims.

use nebula_ports::{
    ErrorKind, InboxDelivery, Lease, MAX_SLOT_CAPACITY, MAX_SLOT_CHANGES, NewSignal, SlotChanges,
    Step, Stepped,
};

use super::{fixture::*, slot_fixture::*};
use crate::ManualClock;

/// A step that comes again does not claim again what was freed since. Guard: `ExecutionGuard::SlotReplay`.
pub async fn a_replayed_step_moves_no_slot(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let (claims, frees) = (claims(1, 2, &[("k", 1)]), frees(2, 3, &["k"]));
    apply(repo, &lease, claims.clone()).await;
    apply(repo, &lease, frees).await;
    let again = repo.step(&lease, claims).await.unwrap();
    assert!(matches!(again, Stepped::Replayed { .. }), "{again:?}");
    assert_eq!(queue(repo, "k").await, []);
}

/// A step that is fenced, in conflict or after the end neither frees nor claims. Guard: `ExecutionGuard::SlotRefusal`.
pub async fn a_refused_step_moves_no_slot(repo: &Repo, clock: &ManualClock) {
    let lease = claiming(repo, clock, 1, &[("k", 1)]).await;
    let step = |seq| Step {
        slots: SlotChanges {
            claim: vec![claim("l", "", 1)],
            free: vec![slot("k", "")],
        },
        ..append(7, seq, 1)
    };
    let stale = Lease {
        epoch: 9,
        ..lease.clone()
    };
    let conflict = repo.step(&lease, step(9)).await.unwrap();
    assert_eq!(conflict, Stepped::Conflict { actual: 3 });
    let fenced = repo.step(&stale, step(3)).await.unwrap();
    assert_eq!(fenced, Stepped::Fenced { current: 1 });
    let unread = Step {
        inbox_through: 9,
        ..step(3)
    };
    let invalid = repo.step(&lease, unread).await.unwrap_err();
    assert_eq!(invalid.kind, ErrorKind::Invalid);
    assert_eq!(queue(repo, "k").await, [(lease.execution, true)]);
    let ended = ended(repo, clock, 2).await;
    let terminal = repo.step(&ended, step(3)).await.unwrap();
    assert!(matches!(terminal, Stepped::Terminal(_)), "{terminal:?}");
    assert_eq!(queue(repo, "l").await, []);
}

async fn refused_signal(repo: &Repo, lease: &Lease, signal: NewSignal) {
    let sent = repo.signal(&tenant(), lease.execution, signal).await;
    assert_eq!(sent.unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(told(repo, lease.execution).await, []);
}

/// A signal cannot look like a grant or a loss. Guard: `ExecutionGuard::SlotKinds`.
pub async fn nobody_forges_a_grant_by_a_signal(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    for kind in [GRANTED, LOST, "slot.later"] {
        let forged = NewSignal {
            kind: kind.to_owned(),
            ..signal("a")
        };
        refused_signal(repo, &lease, forged).await;
    }
}

/// A signal cannot take the key under which a grant is to come. Guard: `ExecutionGuard::SlotKeys`.
pub async fn nobody_hides_a_grant_behind_its_key(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    for key in ["slot.1", "slot.2", "slot."] {
        refused_signal(repo, &lease, signal(key)).await;
    }
    let head = head_after(repo, &lease, claims(1, 2, &[("k", 1)])).await;
    assert_eq!(head, 1);
}

/// A delivery of a step can neither. Guard: `ExecutionGuard::SlotDeliveries`.
pub async fn nobody_forges_a_grant_by_a_delivery(repo: &Repo, clock: &ManualClock) {
    let (lease, other) = (driven(repo, clock, 1).await, asleep(repo, clock, 2).await);
    for (kind, dedupe) in [(GRANTED, "a"), ("child", "slot.1")] {
        let delivery = InboxDelivery {
            to: other,
            dedupe: key(dedupe),
            kind: kind.to_owned(),
            payload: slot("k", "").payload(),
        };
        let step = Step {
            deliver: vec![delivery],
            ..append(1, 2, 1)
        };
        refused_claim(repo, &lease, step).await;
        assert_eq!(told(repo, other).await, []);
    }
}

/// A step has a limit of claims and frees. Guard: `ExecutionGuard::SlotLimit`.
pub async fn too_many_changes_of_slots_are_refused(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let step = |count: usize| {
        let claims = (1..count).map(|n| claim("k", &n.to_string(), MAX_SLOT_CAPACITY));
        Step {
            slots: SlotChanges {
                claim: claims.collect(),
                free: vec![slot("k", "")],
            },
            ..append(1, 2, 1)
        }
    };
    refused_claim(repo, &lease, step(MAX_SLOT_CHANGES + 1)).await;
    let head = head_after(repo, &lease, step(MAX_SLOT_CHANGES)).await;
    assert_eq!(head, MAX_SLOT_CHANGES as u64 - 1);
}

/// A key for nobody, or for more than can be counted, is refused. Guard: `ExecutionGuard::SlotCapacity`.
pub async fn an_impossible_capacity_is_refused(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    for capacity in [0, MAX_SLOT_CAPACITY + 1] {
        refused_claim(repo, &lease, claims(1, 2, &[("k", capacity)])).await;
    }
}
