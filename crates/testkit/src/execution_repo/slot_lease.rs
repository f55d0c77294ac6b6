//! Rules of slots and leases: what sleeps keeps them, what ends or vanishes loses them.

use nebula_core::Clock;
use nebula_ports::{Acquired, Renewed, Step, Stepped};

use super::{fixture::*, slot_fixture::*};
use crate::ManualClock;

/// An execution that goes to sleep has its slots when it wakes. Guard: `ExecutionGuard::SlotSleepKeeps`.
pub async fn a_sleeping_execution_keeps_its_slots(repo: &Repo, clock: &ManualClock) {
    let id = asleep_claiming(repo, clock, 1, &[("k", 1)]).await;
    clock.advance(DAY);
    let _ = (due(repo).await, grant(repo, id, 2).await);
    assert_eq!(told(repo, id).await, items(&[(GRANTED, "k")]));
    assert_eq!(queue(repo, "k").await, [(id, true)]);
}

/// So has one whose lease was given back without a step. Guard: `ExecutionGuard::SlotReleaseKeeps`.
pub async fn a_released_lease_keeps_its_slots(repo: &Repo, clock: &ManualClock) {
    let (early, late) = (
        claiming(repo, clock, 1, &[("k", 1)]).await,
        claiming(repo, clock, 2, &[("l", 1)]).await,
    );
    repo.release(&early).await.unwrap();
    clock.advance(TTL);
    // Expired, but nobody took it.
    repo.release(&late).await.unwrap();
    for (lease, key) in [(early, "k"), (late, "l")] {
        let _ = grant(repo, lease.execution, 2).await;
        assert_eq!(queue(repo, key).await, [(lease.execution, true)]);
    }
}

/// The end gives back what was held; the next are granted in the same step. Guard: `ExecutionGuard::SlotEndFrees`.
pub async fn the_end_gives_every_slot_back(repo: &Repo, clock: &ManualClock) {
    let holder = claiming(repo, clock, 1, &[("k", 1), ("l", 1), ("m", 1)]).await;
    let waiter = asleep_claiming(repo, clock, 2, &[("l", 1), ("k", 1)]).await;
    apply(repo, &holder, end(2, 3)).await;
    let both = items(&[(GRANTED, "k"), (GRANTED, "l")]);
    assert_eq!(told(repo, waiter).await, both);
    for key in ["k", "l"] {
        assert_eq!(queue(repo, key).await, [(waiter, true)]);
    }
    assert_eq!(queue(repo, "m").await, []);
}

/// What has ended waits for nothing. Guard: `ExecutionGuard::SlotEndWithdraws`.
pub async fn the_end_withdraws_what_waits(repo: &Repo, clock: &ManualClock) {
    let holder = claiming(repo, clock, 1, &[("k", 1)]).await;
    let waiter = claiming(repo, clock, 2, &[("k", 1)]).await;
    let last = claiming(repo, clock, 3, &[("k", 2)]).await;
    apply(repo, &waiter, end(2, 3)).await;
    let expected = [(holder.execution, true), (last.execution, true)];
    assert_eq!(queue(repo, "k").await, expected);
}

/// A step that ends its execution leaves no claim. Guard: `ExecutionGuard::SlotFinalClaims`.
pub async fn a_final_step_claims_nothing(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let step = Step {
        slots: claims(1, 2, &[("k", 1)]).slots,
        ..end(1, 2)
    };
    assert_eq!(head_after(repo, &lease, step).await, 0);
    assert_eq!(queue(repo, "k").await, []);
}

/// Who takes over an expired lease learns with it which slots are gone; the next have them.
/// Guards: `ExecutionGuard::SlotTakeoverLoses`, `SlotLostTold`.
pub async fn a_takeover_loses_what_the_expired_lease_held(repo: &Repo, clock: &ManualClock) {
    let old = claiming(repo, clock, 1, &[("l", 1), ("k", 1)]).await;
    let waiter = asleep_claiming(repo, clock, 2, &[("k", 1)]).await;
    clock.advance(TTL);
    let granted = grant(repo, old.execution, 2).await;
    assert_eq!((granted.inbox_head, granted.lease.epoch), (4, 2));
    let all = [(GRANTED, "l"), (GRANTED, "k"), (LOST, "k"), (LOST, "l")];
    assert_eq!(told(repo, old.execution).await, items(&all));
    assert_eq!(told(repo, waiter).await, items(&[(GRANTED, "k")]));
    assert_eq!(queue(repo, "k").await, [(waiter, true)]);
    assert_eq!(queue(repo, "l").await, []);
}

/// What waits keeps its place when its holder vanishes. Guard: `ExecutionGuard::SlotWaitingStays`.
pub async fn a_takeover_leaves_its_place_in_the_queue(repo: &Repo, clock: &ManualClock) {
    let holder = asleep_claiming(repo, clock, 1, &[("k", 1)]).await;
    let waiter = claiming(repo, clock, 2, &[("k", 1), ("l", 1)]).await;
    clock.advance(TTL);
    let _ = grant(repo, waiter.execution, 2).await;
    let expected = [(holder, true), (waiter.execution, false)];
    assert_eq!(queue(repo, "k").await, expected);
    assert_eq!(queue(repo, "l").await, []);
}

/// An execution that is parked as poison holds nothing up. Guard: `ExecutionGuard::SlotPoisonLoses`.
pub async fn poison_loses_its_slots(repo: &Repo, clock: &ManualClock) {
    let lease = claiming(repo, clock, 1, &[("k", 1)]).await;
    let waiter = asleep_claiming(repo, clock, 2, &[("k", 1)]).await;
    clock.advance(TTL);
    let tenant = tenant();
    let acquired = repo.acquire(&tenant, lease.execution, request(2), 0);
    assert_eq!(acquired.await.unwrap(), Acquired::Poisoned { grants: 0 });
    assert_eq!(
        told(repo, lease.execution).await,
        items(&[(GRANTED, "k"), (LOST, "k")])
    );
    assert_eq!(queue(repo, "k").await, [(waiter, true)]);
}

/// A claim does not wait for a holder whose lease has expired: it takes all that holder's slots.
/// Guards: `ExecutionGuard::SlotClaimTakes`, `SlotLostTold`.
pub async fn a_claim_takes_slots_from_an_expired_lease(repo: &Repo, clock: &ManualClock) {
    let old = claiming(repo, clock, 1, &[("k", 1), ("l", 1)]).await;
    let elsewhere = asleep_claiming(repo, clock, 2, &[("l", 1)]).await;
    clock.advance(TTL);
    let new = driven(repo, clock, 3).await;
    assert_eq!(head_after(repo, &new, claims(1, 2, &[("k", 1)])).await, 1);
    assert_eq!(queue(repo, "k").await, [(new.execution, true)]);
    assert_eq!(queue(repo, "l").await, [(elsewhere, true)]);
    let all = [(GRANTED, "k"), (GRANTED, "l"), (LOST, "k"), (LOST, "l")];
    assert_eq!(told(repo, old.execution).await, items(&all));
}

/// Whose slots were taken can neither write nor renew, as if it still had them; the next holder learns
/// of the loss. Guard: `ExecutionGuard::SlotTakingFences`.
pub async fn a_holder_whose_slots_were_taken_is_fenced(repo: &Repo, clock: &ManualClock) {
    let old = claiming(repo, clock, 1, &[("k", 1)]).await;
    clock.advance(TTL);
    let _ = claiming(repo, clock, 2, &[("k", 1)]).await;
    let stepped = repo.step(&old, append(2, 3, 1)).await.unwrap();
    assert_eq!(stepped, Stepped::Fenced { current: 2 });
    let renewed = repo.renew(std::slice::from_ref(&old)).await.unwrap();
    assert_eq!(renewed, [Renewed::Lost]);
    let summary = summary(repo, old.execution).await;
    let woken = summary.wake_at.is_some_and(|at| at <= clock.now());
    assert_eq!((summary.leased, woken), (false, true));
    let granted = grant(repo, old.execution, 2).await;
    assert_eq!((granted.lease.epoch, granted.inbox_head), (3, 2));
}

/// The sweep does the same, so that nobody waits for a takeover that does not come. Guard: `ExecutionGuard::SlotSweepTakes`.
pub async fn a_sweep_takes_slots_from_expired_leases(repo: &Repo, clock: &ManualClock) {
    let old = claiming(repo, clock, 1, &[("k", 1)]).await;
    let waiter = asleep_claiming(repo, clock, 2, &[("k", 1)]).await;
    assert_eq!(due(repo).await, []);
    clock.advance(TTL);
    assert_eq!(due(repo).await, [old.execution, waiter]);
    assert_eq!(queue(repo, "k").await, [(waiter, true)]);
    let stepped = repo.step(&old, append(2, 3, 1)).await.unwrap();
    assert_eq!(stepped, Stepped::Fenced { current: 2 });
}

/// A claim that is granted after its holder vanished is kept for the next holder; what the vanished one
/// held is lost. Guard: `ExecutionGuard::SlotGrantTakes`.
pub async fn a_grant_over_an_expired_lease_is_for_the_next_holder(
    repo: &Repo,
    clock: &ManualClock,
) {
    let holder = claiming(repo, clock, 1, &[("k", 1)]).await;
    let waiter = claiming(repo, clock, 2, &[("k", 1), ("l", 1)]).await;
    clock.advance(TTL);
    apply(repo, &holder, frees(2, 3, &["k"])).await;
    let stepped = repo.step(&waiter, append(2, 3, 1)).await.unwrap();
    assert_eq!(stepped, Stepped::Fenced { current: 2 });
    let granted = grant(repo, waiter.execution, 2).await;
    assert_eq!(granted.inbox_head, 3);
    let all = [(GRANTED, "l"), (LOST, "l"), (GRANTED, "k")];
    assert_eq!(told(repo, waiter.execution).await, items(&all));
    assert_eq!(queue(repo, "k").await, [(waiter.execution, true)]);
}

/// An expired lease from which nothing was taken still writes, and has its slots. Guard: `ExecutionGuard::SlotExpiredKeeps`.
pub async fn an_expired_lease_that_writes_keeps_its_slots(repo: &Repo, clock: &ManualClock) {
    let lease = claiming(repo, clock, 1, &[("k", 1)]).await;
    clock.advance(TTL * 2);
    assert_eq!(head_after(repo, &lease, append(2, 3, 1)).await, 1);
    let _ = claiming(repo, clock, 2, &[("k", 1)]).await;
    assert_eq!(queue(repo, "k").await[0], (lease.execution, true));
}

/// So it does when it is renewed. Guard: `ExecutionGuard::SlotRenewKeeps`.
pub async fn an_expired_lease_that_is_renewed_keeps_its_slots(repo: &Repo, clock: &ManualClock) {
    let lease = claiming(repo, clock, 1, &[("k", 1)]).await;
    clock.advance(TTL * 2);
    let renewed = repo.renew(std::slice::from_ref(&lease)).await.unwrap();
    assert_eq!(renewed, [Renewed::Renewed { inbox_head: 1 }]);
    let _ = claiming(repo, clock, 2, &[("k", 1)]).await;
    assert_eq!(queue(repo, "k").await[0], (lease.execution, true));
}
