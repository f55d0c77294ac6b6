//! Rules of `create`.

use futures_util::future::join_all;
use nebula_execution::Status;
use nebula_ports::{Acquired, Created, ErrorKind, ExecutionRepo};
use serde_json::json;

use super::fixture::*;
use crate::{ManualClock, START};

/// A created execution is queued, due now and found by the sweep. Guard: `ExecutionGuard::CreatedIsDue`.
pub async fn a_new_execution_is_queued_and_due(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let summary = summary(repo, id).await;
    assert_eq!(
        (summary.status, summary.wake_at),
        (Status::Queued, Some(START))
    );
    assert_eq!(due(repo).await, [id]);
}

/// The entries of a creation are in the journal from number 1, with epoch 0. Guard: `ExecutionGuard::CreationEpoch`.
pub async fn the_first_entries_are_written_at_creation(repo: &Repo, clock: &ManualClock) {
    let new = new_execution(clock, 1);
    let (id, first) = (new.id, new.entries.clone());
    let _ = repo.create(&tenant(), new, None, None).await.unwrap();
    let stored = journal(repo, id).await;
    assert_eq!(
        stored
            .iter()
            .map(|entry| (entry.seq, entry.epoch))
            .collect::<Vec<_>>(),
        [(1, 0)]
    );
    assert_eq!(stored[0].entry, first[0]);
}

/// A creator that asks for a lease holds epoch 1 of a running execution. Guard: `ExecutionGuard::CreatorsLease`.
pub async fn a_creator_may_hold_the_first_lease(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    assert_eq!(
        (lease.epoch, lease.holder, lease.ttl),
        (1, request(1).holder, TTL)
    );
    let summary = summary(repo, lease.execution).await;
    assert_eq!((summary.status, summary.leased), (Status::Running, true));
    assert_eq!(acquire(repo, lease.execution, 2).await, Acquired::Held);
}

/// The creator's lease is a grant like any other: without a step it counts. Guard: `ExecutionGuard::CreatorsGrantCounts`.
pub async fn a_grant_to_the_creator_counts(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    clock.advance(TTL);
    assert_eq!(
        grant(repo, lease.execution, 2)
            .await
            .grants_without_progress,
        1
    );
}

/// A dedupe key that was seen begins nothing and names the first execution. Guard: `ExecutionGuard::Dedupe`.
pub async fn a_seen_dedupe_key_begins_nothing(repo: &Repo, clock: &ManualClock) {
    let first = new_execution(clock, 1);
    let id = first.id;
    let _ = repo
        .create(&tenant(), first, Some(key("delivery")), None)
        .await
        .unwrap();
    let second = execution_of(clock, 2, "orders", &json!({ "n": 1 }));
    let again = second.id;
    let answer = repo
        .create(&tenant(), second, Some(key("delivery")), None)
        .await
        .unwrap();
    assert_eq!(
        answer,
        Created::Exists {
            id,
            same_input: true
        }
    );
    assert_eq!(repo.get(&tenant(), again).await.unwrap(), None);
}

/// Of many creations with one key at once, one begins an execution. Guard: `ExecutionGuard::Dedupe`.
pub async fn creations_at_once_with_one_key_begin_one(repo: &Repo, clock: &ManualClock) {
    let tenant = tenant();
    let calls =
        (1..=8).map(|n| repo.create(&tenant, new_execution(clock, n), Some(key("instant")), None));
    let answers = join_all(calls).await;
    let begun = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Created::Created(None))))
        .count();
    assert_eq!((begun, due(repo).await.len()), (1, 1), "{answers:?}");
}

/// `same_input` tells whether workflow and input are those of the first. Guard: `ExecutionGuard::SameInput`.
pub async fn a_dedupe_key_tells_whether_the_input_is_the_same(repo: &Repo, clock: &ManualClock) {
    let input = json!({ "a": 1, "b": 2 });
    let first = execution_of(clock, 1, "orders", &input);
    let id = first.id;
    let _ = repo
        .create(&tenant(), first, Some(key("k")), None)
        .await
        .unwrap();
    let others = [
        (
            execution_of(clock, 2, "orders", &json!({ "b": 2, "a": 1 })),
            true,
        ),
        (
            execution_of(clock, 3, "orders", &json!({ "a": 1, "b": 3 })),
            false,
        ),
        (execution_of(clock, 4, "refunds", &input), false),
    ];
    for (other, same_input) in others {
        let answer = repo
            .create(&tenant(), other, Some(key("k")), None)
            .await
            .unwrap();
        assert_eq!(answer, Created::Exists { id, same_input });
    }
}

/// A creation that is repeated after a lost reply begins nothing, also without a key. Guard: `ExecutionGuard::CreateOnce`.
pub async fn a_seen_id_begins_nothing(repo: &Repo, clock: &ManualClock) {
    let new = new_execution(clock, 1);
    let id = new.id;
    let lease = driven(repo, clock, 1).await;
    apply(repo, &lease, append(1, 2, 3)).await;
    let answer = repo.create(&tenant(), new, None, None).await.unwrap();
    assert_eq!(
        answer,
        Created::Exists {
            id,
            same_input: true
        }
    );
    assert_eq!(journal(repo, id).await.len(), 4);
}

/// A creation that begins nothing leases nothing either. Guard: `ExecutionGuard::ExistsWritesNothing`.
pub async fn a_repeated_creation_takes_no_lease(repo: &Repo, clock: &ManualClock) {
    let new = new_execution(clock, 1);
    let id = created(repo, clock, 1).await;
    let _ = repo
        .create(&tenant(), new, None, Some(request(2)))
        .await
        .unwrap();
    assert!(!summary(repo, id).await.leased);
    assert_eq!(grant(repo, id, 3).await.lease.epoch, 1);
}

/// A dedupe key is known after its execution was deleted. Guard: `ExecutionGuard::DedupeOutlives`.
pub async fn a_dedupe_key_outlives_its_execution(repo: &Repo, clock: &ManualClock) {
    let id = end_with_key(repo, clock).await;
    clock.advance(DAY);
    assert_eq!(
        repo.delete_ended(&tenant(), START.plus(DAY), 10)
            .await
            .unwrap(),
        1
    );
    let answer = repo
        .create(&tenant(), new_execution(clock, 2), Some(key("k")), None)
        .await
        .unwrap();
    assert_eq!(
        answer,
        Created::Exists {
            id,
            same_input: false
        }
    );
}

/// A dedupe key is forgotten `DEDUPE_TTL` after the end of its execution. Guard: `ExecutionGuard::DedupeExpires`.
pub async fn a_dedupe_key_is_forgotten_in_time(repo: &Repo, clock: &ManualClock) {
    let _ = end_with_key(repo, clock).await;
    clock.advance(<dyn ExecutionRepo>::DEDUPE_TTL);
    clock.advance(SECOND);
    assert_eq!(
        repo.delete_ended(&tenant(), START.plus(DAY), 10)
            .await
            .unwrap(),
        1
    );
    let answer = repo
        .create(&tenant(), new_execution(clock, 2), Some(key("k")), None)
        .await
        .unwrap();
    assert_eq!(answer, Created::Created(None));
}

/// The time of a dedupe key runs from the end of its execution, not from its beginning. Guard: `ExecutionGuard::DedupeLivesOn`.
pub async fn a_dedupe_key_holds_as_long_as_its_execution_runs(repo: &Repo, clock: &ManualClock) {
    let first = new_execution(clock, 1);
    let id = first.id;
    let _ = repo
        .create(&tenant(), first, Some(key("k")), None)
        .await
        .unwrap();
    clock.advance(<dyn ExecutionRepo>::DEDUPE_TTL * 2);
    let answer = repo
        .create(&tenant(), new_execution(clock, 2), Some(key("k")), None)
        .await
        .unwrap();
    assert_eq!(
        answer,
        Created::Exists {
            id,
            same_input: false
        }
    );
}

/// Two tenants may use the same key. Guard: `ExecutionGuard::DedupeTenant`.
pub async fn dedupe_keys_belong_to_a_tenant(repo: &Repo, clock: &ManualClock) {
    let _ = repo
        .create(&tenant(), new_execution(clock, 1), Some(key("k")), None)
        .await
        .unwrap();
    let theirs = nebula_execution::NewExecution {
        tenant: other_tenant(),
        ..new_execution(clock, 2)
    };
    let answer = repo
        .create(&other_tenant(), theirs, Some(key("k")), None)
        .await
        .unwrap();
    assert_eq!(answer, Created::Created(None));
}

/// A journal that does not begin with the start is refused: nobody could find its plan. Guard: `ExecutionGuard::StartsFirst`.
pub async fn an_execution_without_its_start_is_refused(repo: &Repo, clock: &ManualClock) {
    let mut new = new_execution(clock, 1);
    let id = new.id;
    new.entries.clear();
    let refused = repo.create(&tenant(), new, None, None).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert_eq!(repo.get(&tenant(), id).await.unwrap(), None);
}

/// An execution that began under the key `k` and has ended, at the beginning of the test.
async fn end_with_key(repo: &Repo, clock: &ManualClock) -> nebula_core::ExecutionId {
    let created = repo
        .create(
            &tenant(),
            new_execution(clock, 1),
            Some(key("k")),
            Some(request(1)),
        )
        .await
        .unwrap();
    let Created::Created(Some(lease)) = created else {
        panic!("not created: {created:?}")
    };
    apply(repo, &lease, end(1, 2)).await;
    lease.execution
}
