//! Rules of repeated steps, and of the order in which a step is judged.

use nebula_execution::Status;
use nebula_ports::{DedupeKey, InboxDelivery, Step, Stepped};
use serde_json::Value;

use super::fixture::*;
use crate::ManualClock;

/// A step that is sent again after a lost reply is recognised. Guard: `ExecutionGuard::StepId`.
pub async fn a_repeated_step_is_replayed(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(repo, &lease, append(1, 2, 2)).await;
    let stepped = repo.step(&lease, append(1, 2, 2)).await.unwrap();
    assert_eq!(
        stepped,
        Stepped::Replayed {
            next_seq: 4,
            inbox_head: 0
        }
    );
    assert_eq!(journal(repo, lease.execution).await.len(), 3);
}

/// Of one step that arrives twice at once, one is applied. Guard: `ExecutionGuard::StepId`.
pub async fn of_one_step_twice_at_once_one_is_applied(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let calls = [
        repo.step(&lease, append(1, 2, 2)),
        repo.step(&lease, append(1, 2, 2)),
    ];
    let answers = futures_util::future::join_all(calls).await;
    let count = |wanted: Stepped| {
        answers
            .iter()
            .filter(|answer| *answer.as_ref().unwrap() == wanted)
            .count()
    };
    let place = (4, 0);
    assert_eq!(
        count(Stepped::Applied {
            next_seq: place.0,
            inbox_head: place.1
        }),
        1
    );
    assert_eq!(
        count(Stepped::Replayed {
            next_seq: place.0,
            inbox_head: place.1
        }),
        1
    );
}

/// A step without entries is recognised as long as no other followed it. Guard: `ExecutionGuard::EmptyStepId`.
pub async fn a_repeated_step_without_entries_is_replayed(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let step = Step {
        to: Some(Status::Waiting),
        release: true,
        ..append(1, 2, 0)
    };
    apply(repo, &lease, step.clone()).await;
    let stepped = repo.step(&lease, step).await.unwrap();
    assert_eq!(
        stepped,
        Stepped::Replayed {
            next_seq: 2,
            inbox_head: 0
        }
    );
}

/// A step with entries is recognised also when others followed it. Guard: `ExecutionGuard::OldStepIds`.
pub async fn an_older_step_is_recognised_too(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    for (id, seq) in [(1, 2), (2, 3), (3, 4)] {
        apply(repo, &lease, append(id, seq, 1)).await;
    }
    let stepped = repo.step(&lease, append(1, 2, 1)).await.unwrap();
    assert_eq!(
        stepped,
        Stepped::Replayed {
            next_seq: 5,
            inbox_head: 0
        }
    );
}

/// The same id elsewhere is another step. Guard: `ExecutionGuard::StepPlace`.
pub async fn a_step_id_counts_only_at_its_place(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(repo, &lease, append(1, 2, 1)).await;
    assert_eq!(
        repo.step(&lease, append(1, 1, 1)).await.unwrap(),
        Stepped::Conflict { actual: 3 }
    );
}

/// The first holder learns that its last step counted, although another has the lease. Guard: `ExecutionGuard::ReplayBeforeFence`.
pub async fn a_repeated_step_is_replayed_after_a_takeover(repo: &Repo, clock: &ManualClock) {
    let old = driven(repo, clock, 1).await;
    apply(repo, &old, append(1, 2, 1)).await;
    clock.advance(TTL);
    let new = grant(repo, old.execution, 2).await.lease;
    apply(repo, &new, append(2, 3, 1)).await;
    let _ = send(repo, old.execution, "a").await;
    let stepped = repo.step(&old, append(1, 2, 1)).await.unwrap();
    assert_eq!(
        stepped,
        Stepped::Replayed {
            next_seq: 4,
            inbox_head: 1
        }
    );
}

/// A final step is recognised, too. Guard: `ExecutionGuard::ReplayBeforeTerminal`.
pub async fn a_repeated_final_step_is_replayed(repo: &Repo, clock: &ManualClock) {
    let lease = ended(repo, clock, 1).await;
    let stepped = repo.step(&lease, end(1, 2)).await.unwrap();
    assert_eq!(
        stepped,
        Stepped::Replayed {
            next_seq: 3,
            inbox_head: 0
        }
    );
}

/// A holder that was overtaken before the end learns of the end. Guard: `ExecutionGuard::TerminalBeforeFence`.
pub async fn a_stale_lease_of_an_ended_execution_learns_of_the_end(
    repo: &Repo,
    clock: &ManualClock,
) {
    let old = driven(repo, clock, 1).await;
    clock.advance(TTL);
    let new = grant(repo, old.execution, 2).await.lease;
    apply(repo, &new, end(1, 2)).await;
    assert_eq!(
        repo.step(&old, append(2, 2, 1)).await.unwrap(),
        Stepped::Terminal(Status::Completed)
    );
}

/// A holder that was overtaken is fenced, wherever it believes the journal to be. Guard: `ExecutionGuard::FenceBeforeConflict`.
pub async fn a_stale_lease_at_another_place_is_fenced(repo: &Repo, clock: &ManualClock) {
    let old = driven(repo, clock, 1).await;
    clock.advance(TTL);
    let new = grant(repo, old.execution, 2).await.lease;
    apply(repo, &new, append(1, 2, 1)).await;
    assert_eq!(
        repo.step(&old, append(2, 2, 1)).await.unwrap(),
        Stepped::Fenced { current: new.epoch }
    );
}

/// A replayed step delivers nothing, wakes nobody and moves nothing. Guard: `ExecutionGuard::ReplayWritesNothing`.
pub async fn a_replayed_step_does_nothing_twice(repo: &Repo, clock: &ManualClock) {
    let (lease, parent) = (driven(repo, clock, 1).await, asleep(repo, clock, 2).await);
    let delivery = InboxDelivery {
        to: parent,
        dedupe: DedupeKey("child".to_owned()),
        kind: "child".to_owned(),
        payload: Value::Null,
    };
    let step = Step {
        deliver: vec![delivery],
        to: Some(Status::Parked),
        ..append(1, 2, 1)
    };
    apply(repo, &lease, step.clone()).await;
    apply(
        repo,
        &lease,
        Step {
            to: Some(Status::Running),
            ..append(2, 3, 1)
        },
    )
    .await;
    let before = (
        summary(repo, lease.execution).await,
        summary(repo, parent).await,
    );
    clock.advance(SECOND);
    assert!(matches!(
        repo.step(&lease, step).await.unwrap(),
        Stepped::Replayed { .. }
    ));
    assert_eq!(
        (
            summary(repo, lease.execution).await,
            summary(repo, parent).await
        ),
        before
    );
    assert_eq!(inbox(repo, parent).await.len(), 1);
}
