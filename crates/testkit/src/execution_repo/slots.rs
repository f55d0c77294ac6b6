//! Rules of slots: who holds one, who waits, who is next.

use futures_util::future::join_all;
use nebula_core::Clock;
use nebula_execution::NewExecution;
use nebula_ports::{Created, InboxItem, SlotChanges, Step, Stepped};
use serde_json::json;

use super::{fixture::*, slot_fixture::*};
use crate::ManualClock;

/// A claim on a free key is granted in its own step, which answers with the item that says so.
/// Guard: `ExecutionGuard::SlotGrantTold`.
pub async fn a_free_slot_is_granted_in_the_claimants_own_step(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let slots = SlotChanges {
        claim: vec![claim("k", "item 3", 1)],
        free: Vec::new(),
    };
    let step = Step {
        slots,
        ..append(1, 2, 1)
    };
    assert_eq!(
        repo.step(&lease, step).await.unwrap(),
        Stepped::Applied {
            next_seq: 3,
            inbox_head: 1
        }
    );
    let item = InboxItem {
        seq: 1,
        at: clock.now(),
        kind: GRANTED.to_owned(),
        payload: json!({ "key": "k", "owner": "item 3" }),
    };
    assert_eq!(
        repo.inbox(&tenant(), lease.execution, 0, 10).await.unwrap(),
        [item]
    );
    assert_eq!(queue(repo, "k").await, [(lease.execution, true)]);
}

/// What a step has read does not cover what it is granted: the execution stays due.
/// Guard: `ExecutionGuard::SlotGrantUnread`.
pub async fn a_grant_of_the_own_step_is_unread(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let _ = send(repo, lease.execution, "a").await;
    let step = Step {
        slots: claims(1, 2, &[("k", 1)]).slots,
        inbox_through: 1,
        ..sleep(1, 2, None)
    };
    assert_eq!(head_after(repo, &lease, step).await, 2);
    let granted = grant(repo, lease.execution, 2).await;
    assert_eq!((granted.inbox_through, granted.inbox_head), (1, 2));
}

/// A claim waits as long as the slots of its key are taken. Guard: `ExecutionGuard::SlotFull`.
pub async fn a_full_key_makes_a_claim_wait(repo: &Repo, clock: &ManualClock) {
    let (a, b) = (driven(repo, clock, 1).await, driven(repo, clock, 2).await);
    let c = driven(repo, clock, 3).await;
    for (lease, head) in [(&a, 1), (&b, 1), (&c, 0)] {
        let step = claims(1, 2, &[("k", 2)]);
        assert_eq!(head_after(repo, lease, step).await, head);
    }
    let expected = [
        (a.execution, true),
        (b.execution, true),
        (c.execution, false),
    ];
    assert_eq!(queue(repo, "k").await, expected);
}

/// Of many that claim one slot at once, one has it. Guard: `ExecutionGuard::SlotFull`.
pub async fn a_mutex_has_one_holder_whoever_comes_at_once(repo: &Repo, clock: &ManualClock) {
    let mut leases = Vec::new();
    for n in 1..=8 {
        leases.push(driven(repo, clock, n).await);
    }
    let steps = leases
        .iter()
        .map(|lease| head_after(repo, lease, claims(1, 2, &[("k", 1)])));
    let heads = join_all(steps).await;
    assert_eq!(heads.into_iter().sum::<u64>(), 1);
    let queue = queue(repo, "k").await;
    let held: Vec<_> = queue.iter().map(|(_, granted)| *granted).collect();
    assert_eq!(
        held,
        [true, false, false, false, false, false, false, false]
    );
}

/// A claim looks at its own capacity, whatever the others said. Guard: `ExecutionGuard::SlotOwnCapacity`.
pub async fn each_claim_counts_against_its_own_capacity(repo: &Repo, clock: &ManualClock) {
    let _ = claiming(repo, clock, 1, &[("k", 1)]).await;
    let second = claiming(repo, clock, 2, &[("k", 2)]).await;
    assert_eq!(told(repo, second.execution).await, items(&[(GRANTED, "k")]));
    let third = claiming(repo, clock, 3, &[("k", 2)]).await;
    assert_eq!(told(repo, third.execution).await, []);
}

/// Who came first is granted first. Guard: `ExecutionGuard::SlotOrder`.
pub async fn slots_are_granted_in_the_order_of_the_claims(repo: &Repo, clock: &ManualClock) {
    let first = claiming(repo, clock, 9, &[("k", 1)]).await;
    let second = claiming(repo, clock, 5, &[("k", 1)]).await;
    let third = claiming(repo, clock, 7, &[("k", 1)]).await;
    apply(repo, &first, frees(2, 3, &["k"])).await;
    let expected = [(second.execution, true), (third.execution, false)];
    assert_eq!(queue(repo, "k").await, expected);
    apply(repo, &second, frees(2, 3, &["k"])).await;
    assert_eq!(queue(repo, "k").await, [(third.execution, true)]);
}

/// A claim with more capacity does not pass one that waits. Guard: `ExecutionGuard::SlotHeadBlocks`.
pub async fn no_claim_passes_one_that_waits(repo: &Repo, clock: &ManualClock) {
    for n in [1, 2] {
        let _ = claiming(repo, clock, n, &[("k", 1)]).await;
    }
    let third = claiming(repo, clock, 3, &[("k", 5)]).await;
    assert_eq!(told(repo, third.execution).await, []);
    assert_eq!(queue(repo, "k").await[2], (third.execution, false));
}

/// Freed room goes to all for whom it is enough, up to the first for whom it is not.
/// Guard: `ExecutionGuard::SlotGrantsAll`.
pub async fn as_many_are_granted_as_fit(repo: &Repo, clock: &ManualClock) {
    let first = claiming(repo, clock, 1, &[("k", 1)]).await;
    for (n, capacity) in [(2, 1), (3, 3), (4, 3), (5, 3), (6, 9)] {
        let _ = claiming(repo, clock, n, &[("k", capacity)]).await;
    }
    apply(repo, &first, frees(2, 3, &["k"])).await;
    let queue = queue(repo, "k").await;
    let held: Vec<_> = queue.iter().map(|(_, granted)| *granted).collect();
    assert_eq!(held, [true, true, true, false, false]);
}

/// A grant is a signal to whoever sleeps. Guard: `ExecutionGuard::SlotWakes`.
pub async fn a_grant_wakes_who_waits_for_it(repo: &Repo, clock: &ManualClock) {
    let holder = claiming(repo, clock, 1, &[("k", 1)]).await;
    let waiter = asleep_claiming(repo, clock, 2, &[("k", 1)]).await;
    assert_eq!(summary(repo, waiter).await.wake_at, None);
    clock.advance(SECOND);
    apply(repo, &holder, frees(2, 3, &["k"])).await;
    assert_eq!(summary(repo, waiter).await.wake_at, Some(clock.now()));
    let granted = grant(repo, waiter, 2).await;
    assert_eq!((granted.inbox_through, granted.inbox_head), (0, 1));
}

/// A slot that is given back goes to the next in the same step. Guards: `ExecutionGuard::SlotFreeGrants`, `SlotGrantTold`.
pub async fn a_freed_slot_goes_to_the_next(repo: &Repo, clock: &ManualClock) {
    let holder = claiming(repo, clock, 1, &[("k", 1), ("l", 1)]).await;
    let waiter = claiming(repo, clock, 2, &[("l", 1), ("k", 1)]).await;
    apply(repo, &holder, frees(2, 3, &["l", "k"])).await;
    let both = items(&[(GRANTED, "k"), (GRANTED, "l")]);
    assert_eq!(told(repo, waiter.execution).await, both);
    for key in ["k", "l"] {
        assert_eq!(queue(repo, key).await, [(waiter.execution, true)]);
    }
}

/// A claim that is withdrawn no longer holds up the others. Guard: `ExecutionGuard::SlotFreeGrants`.
pub async fn a_withdrawn_claim_lets_the_next_pass(repo: &Repo, clock: &ManualClock) {
    let first = claiming(repo, clock, 1, &[("k", 1)]).await;
    let second = claiming(repo, clock, 2, &[("k", 1)]).await;
    let third = claiming(repo, clock, 3, &[("k", 2)]).await;
    apply(repo, &second, frees(2, 3, &["k"])).await;
    let expected = [(first.execution, true), (third.execution, true)];
    assert_eq!(queue(repo, "k").await, expected);
    assert_eq!(told(repo, second.execution).await, []);
}

/// Each grant has an item of its own, also of the same slot. Guard: `ExecutionGuard::SlotToldAgain`.
pub async fn a_slot_that_is_claimed_again_is_told_again(repo: &Repo, clock: &ManualClock) {
    let lease = claiming(repo, clock, 1, &[("k", 1)]).await;
    apply(repo, &lease, frees(2, 3, &["k"])).await;
    assert_eq!(head_after(repo, &lease, claims(3, 4, &[("k", 1)])).await, 2);
    let twice = items(&[(GRANTED, "k"), (GRANTED, "k")]);
    assert_eq!(told(repo, lease.execution).await, twice);
}

/// A queue tells since when somebody waits, or holds. Guard: `ExecutionGuard::SlotSince`.
pub async fn a_queue_tells_since_when(repo: &Repo, clock: &ManualClock) {
    let since = async || {
        let places = repo.slots(&tenant(), &slot_key("k"), 9).await.unwrap();
        places.iter().map(|place| place.since).collect::<Vec<_>>()
    };
    let begin = clock.now();
    let holder = claiming(repo, clock, 1, &[("k", 1)]).await;
    clock.advance(SECOND);
    let _ = claiming(repo, clock, 2, &[("k", 1)]).await;
    assert_eq!(since().await, [begin, begin.plus(SECOND)]);
    clock.advance(SECOND);
    apply(repo, &holder, frees(2, 3, &["k"])).await;
    assert_eq!(since().await, [begin.plus(SECOND * 2)]);
}

/// Who claims again what it has or waits for stays where it is. Guard: `ExecutionGuard::SlotClaimOnce`.
pub async fn a_repeated_claim_changes_nothing(repo: &Repo, clock: &ManualClock) {
    let holder = claiming(repo, clock, 1, &[("k", 1)]).await;
    let waiter = claiming(repo, clock, 2, &[("k", 1)]).await;
    for lease in [&holder, &waiter] {
        apply(repo, lease, claims(2, 3, &[("k", 9)])).await;
    }
    let expected = [(holder.execution, true), (waiter.execution, false)];
    assert_eq!(queue(repo, "k").await, expected);
    assert_eq!(told(repo, holder.execution).await, items(&[(GRANTED, "k")]));
}

/// An execution gives back only what is its own. Guard: `ExecutionGuard::SlotFreeOwn`.
pub async fn nobody_frees_what_belongs_to_others(repo: &Repo, clock: &ManualClock) {
    let holder = claiming(repo, clock, 1, &[("k", 1)]).await;
    let other = driven(repo, clock, 2).await;
    apply(repo, &other, frees(1, 2, &["k", "nothing"])).await;
    assert_eq!(queue(repo, "k").await, [(holder.execution, true)]);
}

/// Parts of one execution have slots of their own. Guard: `ExecutionGuard::SlotFreeOwner`.
pub async fn an_owner_frees_nothing_of_its_siblings(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let change = |claim, free| SlotChanges { claim, free };
    let both = vec![claim("k", "x", 2), claim("k", "y", 2)];
    for (id, slots) in [
        (1, change(both, Vec::new())),
        (2, change(Vec::new(), vec![slot("k", "x")])),
    ] {
        let step = append(id, 1 + u64::try_from(id).unwrap(), 1);
        apply(repo, &lease, Step { slots, ..step }).await;
    }
    let left = repo.slots(&tenant(), &slot_key("k"), 9).await.unwrap();
    let owners: Vec<_> = left.iter().map(|place| place.owner.as_str()).collect();
    assert_eq!(owners, ["y"]);
}

/// A step that frees and claims the same slot goes to the end of the queue. Guard: `ExecutionGuard::SlotFreeFirst`.
pub async fn a_step_frees_before_it_claims(repo: &Repo, clock: &ManualClock) {
    let holder = claiming(repo, clock, 1, &[("k", 1)]).await;
    let waiter = claiming(repo, clock, 2, &[("k", 1)]).await;
    let slots = SlotChanges {
        claim: vec![claim("k", "", 1)],
        free: vec![slot("k", "")],
    };
    let step = Step {
        slots,
        ..append(2, 3, 1)
    };
    apply(repo, &holder, step).await;
    let expected = [(waiter.execution, true), (holder.execution, false)];
    assert_eq!(queue(repo, "k").await, expected);
}

/// Keys of different tenants have nothing in common. Guard: `ExecutionGuard::SlotTenant`.
pub async fn queues_belong_to_a_tenant(repo: &Repo, clock: &ManualClock) {
    let ours = claiming(repo, clock, 1, &[("k", 1)]).await;
    let new = NewExecution {
        tenant: other_tenant(),
        ..new_execution(clock, 2)
    };
    let other = other_tenant();
    let created = repo.create(&other, new, None, Some(request(1)));
    let Created::Created(Some(theirs)) = created.await.unwrap() else {
        panic!("the id is new")
    };
    assert_eq!(
        head_after(repo, &theirs, claims(1, 2, &[("k", 1)])).await,
        1
    );
    assert_eq!(queue(repo, "k").await, [(ours.execution, true)]);
    let found = repo.slots(&other, &slot_key("k"), 9).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].execution, theirs.execution);
}

/// A queue is read from its head on, as far as is asked for. Guards: `ExecutionGuard::SlotReadOrder`, `SlotReadLimit`.
pub async fn a_queue_is_read_from_its_head_on(repo: &Repo, clock: &ManualClock) {
    let mut expected = Vec::new();
    for n in [3, 1, 2] {
        expected.push(claiming(repo, clock, n, &[("k", 2)]).await.execution);
    }
    let read = async |limit| {
        let places = repo.slots(&tenant(), &slot_key("k"), limit).await.unwrap();
        let told = places.iter().map(|place| (place.execution, place.capacity));
        told.collect::<Vec<_>>()
    };
    let expected: Vec<_> = expected.into_iter().map(|id| (id, 2)).collect();
    assert_eq!(read(9).await, expected);
    assert_eq!(read(2).await, expected[..2]);
    assert_eq!(read(0).await, []);
}
