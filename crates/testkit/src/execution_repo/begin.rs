//! Rules of `begin`.

use futures_util::future::join_all;
use nebula_core::{Clock, Digest, ExecutionId};
use nebula_execution::Status;
use nebula_ports::{
    Acquired, Begun, DedupeKey, ErrorKind, ExecutionRepo, InboxDelivery, Incarnation, Lease,
    Snapshot, Step, Stepped, WaitToken,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    fixture::*,
    slot_fixture::{claims, slot_key},
};
use crate::ManualClock;

/// The lease of a beginning by holder 1.
fn first_lease(execution: ExecutionId) -> Lease {
    Lease {
        tenant: tenant(),
        execution,
        holder: Incarnation(Uuid::from_u128(1)),
        epoch: 1,
        ttl: TTL,
    }
}

/// Execution `n`, with what its creator did with it as step `id`.
pub(super) fn beginning(clock: &ManualClock, n: u8, id: u128, then: Step) -> (Lease, Step) {
    let new = new_execution(clock, n);
    let mut entries = new.entries;
    entries.extend(then.entries);
    let step = Step {
        id: append(id, 1, 0).id,
        expected_seq: 1,
        entries,
        ..then
    };
    (first_lease(new.id), step)
}

async fn begin(repo: &Repo, key: Option<&str>, (lease, step): &(Lease, Step)) -> Begun {
    let key = key.map(|key| DedupeKey(key.to_owned()));
    repo.begin(lease, key, step.clone()).await.unwrap()
}

fn applied(next_seq: u64) -> Begun {
    Begun::Applied {
        next_seq,
        inbox_head: 0,
    }
}

fn replayed(next_seq: u64) -> Begun {
    Begun::Replayed {
        next_seq,
        inbox_head: 0,
    }
}

async fn is_refused(repo: &Repo, lease: &Lease, step: Step) {
    match repo.begin(lease, Some(key("k")), step).await {
        Err(error) => assert_eq!(error.kind, ErrorKind::Invalid, "{error}"),
        Ok(begun) => panic!("not refused: {begun:?}"),
    }
    assert_eq!(repo.get(&tenant(), lease.execution).await.unwrap(), None);
    assert!(due(repo).await.is_empty());
}

/// A beginning creates its execution, leaves it to its creator under epoch 1 and has its journal begin with its start. Guards: `ExecutionGuard::BeginStart`, `ExecutionGuard::CreatorsLease`.
pub async fn a_beginning_is_a_creation_and_its_first_step(repo: &Repo, clock: &ManualClock) {
    let both = beginning(clock, 1, 1, append(1, 1, 2));
    assert_eq!(begin(repo, None, &both).await, applied(4));
    let (lease, step) = &both;
    let stored = journal(repo, lease.execution).await;
    let places: Vec<_> = stored.iter().map(|it| (it.seq, it.epoch)).collect();
    assert_eq!(places, [(1, 1), (2, 1), (3, 1)]);
    assert!(stored.iter().map(|it| &it.entry).eq(&step.entries));
    let there = summary(repo, lease.execution).await;
    assert_eq!(
        (there.status, there.leased, there.version, there.created_at),
        (Status::Running, true, 7, clock.now())
    );
    assert_eq!(acquire(repo, lease.execution, 2).await, Acquired::Held);
    assert_eq!(apply(repo, lease, end(2, 4)).await, 5);
}

/// A beginning is no grant without progress. Guard: `ExecutionGuard::EntriesAreProgress`.
pub async fn a_beginning_is_progress(repo: &Repo, clock: &ManualClock) {
    let both = beginning(clock, 1, 1, append(1, 1, 0));
    assert_eq!(begin(repo, None, &both).await, applied(2));
    clock.advance(TTL);
    let granted = grant(repo, both.0.execution, 2).await;
    assert_eq!(
        (granted.grants_without_progress, granted.lease.epoch),
        (0, 2)
    );
}

/// An execution may begin and end in one step. Guard: `ExecutionGuard::BeginSteps`.
pub async fn a_beginning_may_be_the_end(repo: &Repo, clock: &ManualClock) {
    let both = beginning(clock, 1, 1, end(1, 1));
    assert_eq!(begin(repo, None, &both).await, applied(3));
    let there = summary(repo, both.0.execution).await;
    assert_eq!(
        (there.status, there.leased, there.wake_at, there.entries),
        (Status::Completed, false, None, 2)
    );
    assert!(due(repo).await.is_empty());
    let (lease, step) = &both;
    let stored = journal(repo, lease.execution).await;
    let places: Vec<_> = stored.iter().map(|it| (it.seq, it.epoch)).collect();
    assert_eq!(places, [(1, 1), (2, 1)]);
    assert!(stored.iter().map(|it| &it.entry).eq(&step.entries));
    let last = repo.journal(&tenant(), lease.execution, 2, 10).await;
    assert_eq!(last.unwrap().entries, stored[1..]);
    let past = repo.journal(&tenant(), lease.execution, 3, 10).await;
    assert!(past.unwrap().entries.is_empty());
    assert_eq!(begin(repo, None, &both).await, replayed(3));
    for (again, expected) in [
        (append(2, 3, 1), Stepped::Terminal(Status::Completed)),
        (append(2, 1, 1), Stepped::Terminal(Status::Completed)),
        (
            append(1, 1, 1),
            Stepped::Replayed {
                next_seq: 3,
                inbox_head: 0,
            },
        ),
        (append(1, 2, 1), Stepped::Terminal(Status::Completed)),
    ] {
        assert_eq!(repo.step(lease, again).await.unwrap(), expected);
    }
}

/// An execution may begin and go to sleep in one step. Guard: `ExecutionGuard::BeginSteps`.
pub async fn a_beginning_may_go_to_sleep(repo: &Repo, clock: &ManualClock) {
    let wakes = clock.now().plus(DAY);
    let both = beginning(clock, 1, 1, sleep(1, 1, Some(wakes)));
    assert_eq!(begin(repo, None, &both).await, applied(3));
    let there = summary(repo, both.0.execution).await;
    assert_eq!(
        (there.status, there.leased, there.wake_at),
        (Status::Waiting, false, Some(wakes))
    );
    assert_eq!(acquire(repo, both.0.execution, 2).await, Acquired::NotDue);
    clock.advance(DAY);
    assert_eq!(due(repo).await, [both.0.execution]);
    assert_eq!(grant(repo, both.0.execution, 2).await.lease.epoch, 2);
}

/// Children, deliveries, tokens, slots and snapshot of the first step go with the beginning. Guard: `ExecutionGuard::BeginSteps`.
pub async fn all_of_the_first_step_goes_with_a_beginning(repo: &Repo, clock: &ManualClock) {
    let [token, closed] = [b"opened", b"closed"].map(|it| WaitToken(Digest::of(it)));
    let lease = driven(repo, clock, 9).await;
    let waits = Step {
        waits_opened: vec![closed],
        ..append(9, 2, 1)
    };
    apply(repo, &lease, waits).await;
    let other = lease.execution;
    let child = new_execution(clock, 2);
    let snapshot = Snapshot {
        through: 2,
        state: vec![7].into(),
    };
    let step = Step {
        waits_opened: vec![token],
        waits_closed: vec![closed],
        children: vec![child.clone()],
        deliver: vec![InboxDelivery {
            to: other,
            dedupe: key("told"),
            kind: "child".to_owned(),
            payload: json!({ "key": "told" }),
        }],
        snapshot: Some(snapshot.clone()),
        ..claims(1, 1, &[("stock", 1)])
    };
    let both = beginning(clock, 1, 1, step);
    let id = both.0.execution;
    // The grant of its slot is what is in its inbox.
    let begun = Begun::Applied {
        next_seq: 3,
        inbox_head: 1,
    };
    assert_eq!(begin(repo, None, &both).await, begun);
    assert_eq!(summary(repo, child.id).await.status, Status::Queued);
    assert_eq!(inbox(repo, other).await, [(1, "told".to_owned())]);
    assert_eq!(repo.waiting_on(&tenant(), token).await.unwrap(), Some(id));
    assert_eq!(repo.waiting_on(&tenant(), closed).await.unwrap(), None);
    let places = repo.slots(&tenant(), &slot_key("stock"), 10).await.unwrap();
    let places: Vec<_> = places.iter().map(|it| (it.execution, it.granted)).collect();
    assert_eq!(places, [(id, true)]);
    clock.advance(TTL);
    assert_eq!(grant(repo, id, 2).await.snapshot, Some(snapshot));
}

/// A beginning that is sent again after a lost reply is recognised, also once others went on. Guard: `ExecutionGuard::BeginReplay`.
pub async fn a_repeated_beginning_is_replayed(repo: &Repo, clock: &ManualClock) {
    let both = beginning(clock, 1, 1, append(1, 1, 1));
    assert_eq!(begin(repo, None, &both).await, applied(3));
    assert_eq!(begin(repo, None, &both).await, replayed(3));
    clock.advance(TTL);
    let next = grant(repo, both.0.execution, 2).await.lease;
    apply(repo, &next, end(2, 3)).await;
    assert_eq!(begin(repo, None, &both).await, replayed(4));
    assert_eq!(journal(repo, both.0.execution).await.len(), 3);
}

/// The key of a beginning does not hide that it is the same one. Guard: `ExecutionGuard::BeginReplay`.
pub async fn a_repeated_beginning_with_a_key_is_replayed(repo: &Repo, clock: &ManualClock) {
    let both = beginning(clock, 1, 1, end(1, 1));
    assert_eq!(begin(repo, Some("k"), &both).await, applied(3));
    assert_eq!(begin(repo, Some("k"), &both).await, replayed(3));
}

/// Of one beginning that arrives twice at once, one is applied. Guard: `ExecutionGuard::BeginReplay`.
pub async fn of_one_beginning_twice_at_once_one_is_applied(repo: &Repo, clock: &ManualClock) {
    let both = beginning(clock, 1, 1, end(1, 1));
    let answers = join_all([begin(repo, None, &both), begin(repo, None, &both)]).await;
    for wanted in [applied(3), replayed(3)] {
        let count = answers.iter().filter(|answer| **answer == wanted).count();
        assert_eq!(count, 1, "{answers:?}");
    }
}

/// Where the key was seen, nothing is created and nothing of the step is done. Guards: `ExecutionGuard::BeginKey`, `ExecutionGuard::BeginExistsWritesNothing`.
pub async fn a_beginning_with_a_seen_key_begins_nothing(repo: &Repo, clock: &ManualClock) {
    let other = asleep(repo, clock, 9).await;
    let first = new_execution(clock, 1);
    let id = first.id;
    let _ = repo
        .create(&tenant(), first, Some(key("k")), None)
        .await
        .unwrap();
    let step = Step {
        children: vec![new_execution(clock, 3)],
        deliver: vec![InboxDelivery {
            to: other,
            dedupe: key("told"),
            kind: "child".to_owned(),
            payload: json!({}),
        }],
        ..end(1, 1)
    };
    let both = beginning(clock, 2, 1, step);
    let exists = Begun::Exists {
        id,
        same_input: false,
    };
    assert_eq!(begin(repo, Some("k"), &both).await, exists);
    for never in [both.0.execution, new_execution(clock, 3).id] {
        assert_eq!(repo.get(&tenant(), never).await.unwrap(), None);
    }
    assert!(inbox(repo, other).await.is_empty());
}

/// The key of a beginning is known afterwards, for its time after the end. Guard: `ExecutionGuard::BeginKey`.
pub async fn a_beginning_leaves_its_key_behind(repo: &Repo, clock: &ManualClock) {
    let both = beginning(clock, 1, 1, end(1, 1));
    assert_eq!(begin(repo, Some("k"), &both).await, applied(3));
    let again = || beginning(clock, 2, 2, end(2, 1));
    let exists = Begun::Exists {
        id: both.0.execution,
        same_input: false,
    };
    assert_eq!(begin(repo, Some("k"), &again()).await, exists);
    clock.advance(<dyn ExecutionRepo>::DEDUPE_TTL);
    assert_eq!(begin(repo, Some("k"), &again()).await, applied(3));
}

/// An id begins one execution: another beginning of it, or one of what was created, does nothing. Guards: `ExecutionGuard::CreateOnce`, `ExecutionGuard::BeginExistsWritesNothing`.
pub async fn a_beginning_of_a_seen_id_begins_nothing(repo: &Repo, clock: &ManualClock) {
    let other = asleep(repo, clock, 9).await;
    let lease = driven(repo, clock, 1).await;
    let step = Step {
        deliver: vec![InboxDelivery {
            to: other,
            dedupe: key("told"),
            kind: "child".to_owned(),
            payload: json!({}),
        }],
        ..end(1, 1)
    };
    let both = beginning(clock, 1, 1, step);
    let exists = Begun::Exists {
        id: lease.execution,
        same_input: true,
    };
    assert_eq!(begin(repo, None, &both).await, exists);
    assert_eq!(journal(repo, lease.execution).await.len(), 1);
    assert!(inbox(repo, other).await.is_empty());
}

/// A beginning without the start is refused. Guard: `ExecutionGuard::StartsFirst`.
pub async fn a_beginning_without_its_start_is_refused(repo: &Repo, clock: &ManualClock) {
    let lease = first_lease(execution_id(clock, 1));
    is_refused(repo, &lease, append(1, 1, 1)).await;
    is_refused(repo, &lease, append(1, 1, 0)).await;
}

/// The lease of a beginning is the first one. Guard: `ExecutionGuard::BeginEpoch`.
pub async fn a_beginning_under_a_later_lease_is_refused(repo: &Repo, clock: &ManualClock) {
    let (lease, step) = beginning(clock, 1, 1, append(1, 1, 1));
    for epoch in [0, 2] {
        let lease = Lease {
            epoch,
            ..lease.clone()
        };
        is_refused(repo, &lease, step.clone()).await;
    }
}

/// The place of a beginning is the first one. Guard: `ExecutionGuard::BeginPlace`.
pub async fn a_beginning_at_another_place_is_refused(repo: &Repo, clock: &ManualClock) {
    let (lease, step) = beginning(clock, 1, 1, append(1, 1, 1));
    for expected_seq in [0, 2] {
        let step = Step {
            expected_seq,
            ..step.clone()
        };
        is_refused(repo, &lease, step).await;
    }
}

/// A beginning whose step contradicts itself creates nothing and takes no key. Guard: `ExecutionGuard::Rollback`.
pub async fn a_refused_beginning_leaves_nothing_behind(repo: &Repo, clock: &ManualClock) {
    let (lease, step) = beginning(clock, 1, 1, end(1, 1));
    let read_too_far = Step {
        inbox_through: 1,
        ..step.clone()
    };
    is_refused(repo, &lease, read_too_far).await;
    assert_eq!(begin(repo, Some("k"), &(lease, step)).await, applied(3));
}
