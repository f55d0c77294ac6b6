//! Rules of start slots: what an execution holds from its creation to its end.

use nebula_core::ExecutionId;
use nebula_execution::{NewExecution, StartSlot, Status};
use nebula_ports::{Acquired, Created, ErrorKind, Lease, Step};

use super::{fixture::*, slot_fixture::*};
use crate::ManualClock;

/// Execution `n`, which starts with a slot of `k`.
fn slotted(clock: &ManualClock, n: u8, capacity: u32, max_waiting: u32) -> NewExecution {
    NewExecution {
        slot: Some(StartSlot {
            key: "k".to_owned(),
            capacity,
            max_waiting,
        }),
        ..new_execution(clock, n)
    }
}

/// Begins execution `n` with the only slot of `k`.
async fn holding(repo: &Repo, clock: &ManualClock, n: u8) -> Lease {
    let new = slotted(clock, n, 1, 9);
    let created = repo.create(&tenant(), new, None, Some(request(1))).await;
    match created.unwrap() {
        Created::Created(Some(lease)) => lease,
        other => panic!("no lease: {other:?}"),
    }
}

/// Creates execution `n`, which waits for that slot.
async fn waiting(repo: &Repo, clock: &ManualClock, n: u8) -> (ExecutionId, Created) {
    let new = slotted(clock, n, 1, 9);
    let id = new.id;
    let created = repo.create(&tenant(), new, None, Some(request(2))).await;
    (id, created.unwrap())
}

/// A creation takes a free slot in its own transaction, and gives it back with its end.
/// Guard: `ExecutionGuard::StartSlotClaims`.
pub async fn a_creation_takes_its_start_slot(repo: &Repo, clock: &ManualClock) {
    let first = holding(repo, clock, 1).await;
    assert_eq!(queue(repo, "k").await, [(first.execution, true)]);
    assert_eq!(told(repo, first.execution).await, items(&[(GRANTED, "k")]));
    let second = repo
        .create(&tenant(), slotted(clock, 2, 2, 0), None, None)
        .await;
    assert_eq!(second.unwrap(), Created::Created(None));
    assert_eq!(queue(repo, "k").await.len(), 2);
    apply(repo, &first, end(1, 2)).await;
    assert_eq!(queue(repo, "k").await.len(), 1);
}

/// Whoever has to wait gets no lease, whatever was asked for. Guard: `ExecutionGuard::StartSlotLease`.
pub async fn a_creation_that_waits_for_its_slot_gets_no_lease(repo: &Repo, clock: &ManualClock) {
    let holder = holding(repo, clock, 1).await;
    let (id, created) = waiting(repo, clock, 2).await;
    assert_eq!(created, Created::Waits { ahead: 0 });
    let found = summary(repo, id).await;
    assert_eq!((found.status, found.leased), (Status::Queued, false));
    let places = [(holder.execution, true), (id, false)];
    assert_eq!(queue(repo, "k").await, places);
}

/// It is due when its slot is granted, and no sooner. Guard: `ExecutionGuard::StartSlotSleeps`.
pub async fn a_creation_that_waits_for_its_slot_is_not_due(repo: &Repo, clock: &ManualClock) {
    let holder = holding(repo, clock, 1).await;
    let (id, _) = waiting(repo, clock, 2).await;
    assert_eq!(summary(repo, id).await.wake_at, None);
    assert_eq!(acquire(repo, id, 3).await, Acquired::NotDue);
    apply(repo, &holder, end(1, 2)).await;
    assert_eq!(queue(repo, "k").await, [(id, true)]);
    let granted = grant(repo, id, 3).await;
    assert_eq!(granted.status, Status::Running);
    assert_eq!(told(repo, id).await, items(&[(GRANTED, "k")]));
}

/// A creation is told how many wait before it, and they go first. Guard: `ExecutionGuard::StartSlotAhead`.
pub async fn a_creation_is_told_who_waits_before_it(repo: &Repo, clock: &ManualClock) {
    let holder = holding(repo, clock, 1).await;
    let (second, _) = waiting(repo, clock, 2).await;
    let (third, created) = waiting(repo, clock, 3).await;
    assert_eq!(created, Created::Waits { ahead: 1 });
    apply(repo, &holder, end(1, 2)).await;
    assert_eq!(queue(repo, "k").await, [(second, true), (third, false)]);
}

/// Where it would have to wait and as many wait as may, nothing is created.
/// Guard: `ExecutionGuard::StartSlotRefuses`.
pub async fn a_creation_is_refused_where_as_many_wait_as_may(repo: &Repo, clock: &ManualClock) {
    let holder = holding(repo, clock, 1).await;
    for (n, max_waiting) in [(2, 0), (3, 1), (4, 1)] {
        let new = slotted(clock, n, 1, max_waiting);
        let id = new.id;
        let created = repo.create(&tenant(), new, None, None).await.unwrap();
        let expected = match n {
            2 => Created::Full { waiting: 0 },
            3 => Created::Waits { ahead: 0 },
            _ => Created::Full { waiting: 1 },
        };
        assert_eq!(created, expected);
        let there = repo.get(&tenant(), id).await.unwrap().is_some();
        assert_eq!(there, n == 3);
    }
    assert_eq!(queue(repo, "k").await.len(), 2);
    apply(repo, &holder, end(1, 2)).await;
    assert_eq!(queue(repo, "k").await.len(), 1);
}

/// A refused creation can be made again under its dedupe key. Guard: `ExecutionGuard::StartSlotRefusalForgets`.
pub async fn a_refused_creation_leaves_nothing(repo: &Repo, clock: &ManualClock) {
    let holder = holding(repo, clock, 1).await;
    let (new, delivery) = (slotted(clock, 2, 1, 0), Some(key("delivery")));
    let tenant = tenant();
    let create = || repo.create(&tenant, new.clone(), delivery.clone(), None);
    assert_eq!(create().await.unwrap(), Created::Full { waiting: 0 });
    apply(repo, &holder, end(1, 2)).await;
    assert_eq!(create().await.unwrap(), Created::Created(None));
    // A repetition takes no second slot.
    let (id, same_input) = (new.id, true);
    let exists = Created::Exists { id, same_input };
    assert_eq!(create().await.unwrap(), exists);
    assert_eq!(queue(repo, "k").await, [(id, true)]);
}

/// Who holds the slot by a lease that has expired loses it to a creation, as to any claim.
/// Guard: `ExecutionGuard::StartSlotTakes`.
pub async fn a_creation_takes_its_slot_from_an_expired_lease(repo: &Repo, clock: &ManualClock) {
    let late = holding(repo, clock, 1).await;
    clock.advance(TTL);
    let created = repo
        .create(&tenant(), slotted(clock, 2, 1, 0), None, None)
        .await;
    assert_eq!(created.unwrap(), Created::Created(None));
    let lost = [(GRANTED, "k"), (LOST, "k")];
    assert_eq!(told(repo, late.execution).await, items(&lost));
}

/// A child claims its slot with its parent's step, and waits for it however many do.
/// Guard: `ExecutionGuard::StartSlotOfChild`.
pub async fn a_child_waits_for_its_start_slot(repo: &Repo, clock: &ManualClock) {
    let parent = holding(repo, clock, 1).await;
    let children = vec![slotted(clock, 2, 2, 0), slotted(clock, 3, 1, 0)];
    let ids: Vec<_> = children.iter().map(|child| child.id).collect();
    let step = Step {
        children,
        ..append(1, 2, 1)
    };
    apply(repo, &parent, step).await;
    let places = [(parent.execution, true), (ids[0], true), (ids[1], false)];
    assert_eq!(queue(repo, "k").await, places);
    assert_eq!(summary(repo, ids[1]).await.wake_at, None);
    assert!(summary(repo, ids[0]).await.wake_at.is_some());
}

/// A slot without a name, or with a capacity that no claim has, is refused.
/// Guard: `ExecutionGuard::StartSlotClaims`.
pub async fn an_impossible_start_slot_is_refused(repo: &Repo, clock: &ManualClock) {
    for (key, capacity) in [("", 1), ("k", 0), ("k", 1_001)] {
        let mut new = slotted(clock, 1, capacity, 9);
        new.slot.as_mut().expect("it has one").key = key.to_owned();
        let refused = repo.create(&tenant(), new, None, None).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid, "{refused}");
    }
    assert_eq!(
        repo.get(&tenant(), execution_id(clock, 1)).await.unwrap(),
        None
    );
    // What is possible is not.
    let new = slotted(clock, 1, 1_000, 0);
    let created = repo.create(&tenant(), new, None, None).await.unwrap();
    assert_eq!(created, Created::Created(None));
    assert_eq!(queue(repo, "k").await, [(execution_id(clock, 1), true)]);
}
