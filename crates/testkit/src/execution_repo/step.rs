//! Rules of `step`: what it writes, and who may.

use futures_util::future::join_all;
use nebula_core::Clock;
use nebula_execution::Status;
use nebula_ports::{Acquired, Step, Stepped};

use super::fixture::*;
use crate::ManualClock;

/// Entries and status are written by the same step. Guard: `ExecutionGuard::StepStatus`.
pub async fn status_and_journal_move_together(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let stepped = repo
        .step(
            &lease,
            Step {
                to: Some(Status::Compensating),
                ..append(1, 2, 2)
            },
        )
        .await
        .unwrap();
    assert_eq!(
        stepped,
        Stepped::Applied {
            next_seq: 4,
            inbox_head: 0
        }
    );
    let summary = summary(repo, lease.execution).await;
    assert_eq!((summary.status, summary.entries), (Status::Compensating, 3));
    assert_eq!(journal(repo, lease.execution).await.len(), 3);
}

/// A step that names no status keeps the one there is. Guard: `ExecutionGuard::StepKeepsStatus`.
pub async fn a_step_without_a_status_keeps_it(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(
        repo,
        &lease,
        Step {
            to: Some(Status::Parked),
            ..append(1, 2, 1)
        },
    )
    .await;
    apply(repo, &lease, append(2, 3, 1)).await;
    assert_eq!(summary(repo, lease.execution).await.status, Status::Parked);
}

/// Entries are numbered from 1 in the order in which they came. Guard: `ExecutionGuard::Numbering`.
pub async fn entries_are_numbered_without_gaps(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let (mut seq, mut expected) = (2, new_execution(clock, 1).entries);
    for (id, count) in [(1, 3), (2, 0), (3, 1), (4, 300)] {
        let step = append(id, seq, count);
        expected.extend(step.entries.clone());
        seq = apply(repo, &lease, step).await;
    }
    let stored = journal(repo, lease.execution).await;
    assert_eq!(
        stored.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        (1..seq).collect::<Vec<_>>()
    );
    assert!(stored.into_iter().map(|entry| entry.entry).eq(expected));
}

/// Each entry says which lease wrote it. Guard: `ExecutionGuard::EntryEpoch`.
pub async fn entries_carry_the_epoch_of_their_lease(repo: &Repo, clock: &ManualClock) {
    let first = driven(repo, clock, 1).await;
    apply(repo, &first, append(1, 2, 1)).await;
    clock.advance(TTL);
    let second = grant(repo, first.execution, 2).await.lease;
    apply(repo, &second, append(2, 3, 2)).await;
    let epochs: Vec<_> = journal(repo, first.execution)
        .await
        .iter()
        .map(|entry| entry.epoch)
        .collect();
    assert_eq!(epochs, [0, 1, 2, 2]);
}

/// A step for another place of the journal writes nothing. Guard: `ExecutionGuard::ExpectedSeq`.
pub async fn a_step_at_another_place_conflicts(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(repo, &lease, append(1, 2, 2)).await;
    for (id, seq) in [(2, 1), (3, 2), (4, 3), (5, 5)] {
        let stepped = repo.step(&lease, append(id, seq, 1)).await.unwrap();
        assert_eq!(stepped, Stepped::Conflict { actual: 4 });
    }
    assert_eq!(journal(repo, lease.execution).await.len(), 3);
}

/// A holder that was overtaken learns so and writes nothing. Guard: `ExecutionGuard::Epoch`.
pub async fn a_stale_epoch_writes_nothing(repo: &Repo, clock: &ManualClock) {
    let old = driven(repo, clock, 1).await;
    clock.advance(TTL);
    let new = grant(repo, old.execution, 2).await.lease;
    let stepped = repo
        .step(
            &old,
            Step {
                to: Some(Status::Paused),
                ..append(1, 2, 1)
            },
        )
        .await
        .unwrap();
    assert_eq!(stepped, Stepped::Fenced { current: new.epoch });
    assert_eq!(journal(repo, old.execution).await.len(), 1);
    assert_eq!(summary(repo, old.execution).await.status, Status::Running);
}

/// A lease that was given back is over, also when nobody has it. Guard: `ExecutionGuard::ReleasedWritesNothing`.
pub async fn a_released_lease_writes_nothing(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(repo, &lease, sleep(1, 2, None)).await;
    let stepped = repo.step(&lease, append(2, 3, 1)).await.unwrap();
    assert_eq!(
        stepped,
        Stepped::Fenced {
            current: lease.epoch
        }
    );
    assert_eq!(summary(repo, lease.execution).await.entries, 2);
}

/// A lease that expired but that nobody took still writes, and lasts again. Guard: `ExecutionGuard::ExpiredWrites`.
pub async fn an_expired_lease_that_nobody_took_still_writes(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    clock.advance(TTL * 3);
    assert_eq!(apply(repo, &lease, append(1, 2, 1)).await, 3);
    assert_eq!(acquire(repo, lease.execution, 2).await, Acquired::Held);
}

/// Every step that is applied renews the lease. Guard: `ExecutionGuard::StepRenews`.
pub async fn a_step_renews_its_lease(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    clock.advance(TTL - SECOND);
    apply(repo, &lease, append(1, 2, 1)).await;
    clock.advance(TTL - SECOND);
    assert_eq!(acquire(repo, lease.execution, 2).await, Acquired::Held);
    clock.advance(SECOND);
    let _ = grant(repo, lease.execution, 2).await;
}

/// Nothing is written after the end. Guard: `ExecutionGuard::NothingFollows`.
pub async fn nothing_follows_the_end(repo: &Repo, clock: &ManualClock) {
    let lease = ended(repo, clock, 1).await;
    for step in [
        append(2, 3, 1),
        Step {
            to: Some(Status::Running),
            ..append(3, 3, 0)
        },
        end(4, 3),
    ] {
        assert_eq!(
            repo.step(&lease, step).await.unwrap(),
            Stepped::Terminal(Status::Completed)
        );
    }
    assert_eq!(journal(repo, lease.execution).await.len(), 2);
    assert_eq!(
        summary(repo, lease.execution).await.status,
        Status::Completed
    );
}

/// The end takes the lease, although the step did not give it back. Guard: `ExecutionGuard::EndTakesLease`.
pub async fn the_end_takes_the_lease(repo: &Repo, clock: &ManualClock) {
    let lease = ended(repo, clock, 1).await;
    assert!(!summary(repo, lease.execution).await.leased);
    let renewed = repo.renew(std::slice::from_ref(&lease)).await.unwrap();
    assert_eq!(renewed, [nebula_ports::Renewed::Lost]);
    assert_eq!(
        repo.runnable(clock.now(), &nebula_core::Groups::All, 10)
            .await
            .unwrap()
            .next_due,
        None
    );
}

/// What has ended is never due again, whatever the step said. Guard: `ExecutionGuard::EndTakesWake`.
pub async fn the_end_takes_the_wake_up(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let _ = send(repo, lease.execution, "unread").await;
    apply(
        repo,
        &lease,
        Step {
            wake_at: Some(clock.now()),
            ..end(1, 2)
        },
    )
    .await;
    assert_eq!(summary(repo, lease.execution).await.wake_at, None);
    clock.advance(DAY);
    assert_eq!(due(repo).await, []);
}

/// A step replaces the wake-up: none means that nothing but a signal wakes. Guard: `ExecutionGuard::WakeReplaced`.
pub async fn a_step_replaces_the_wake_up(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let later = clock.now().plus(DAY);
    apply(
        repo,
        &lease,
        Step {
            wake_at: Some(later),
            ..append(1, 2, 1)
        },
    )
    .await;
    assert_eq!(summary(repo, lease.execution).await.wake_at, Some(later));
    apply(repo, &lease, sleep(2, 3, None)).await;
    assert_eq!(summary(repo, lease.execution).await.wake_at, None);
    clock.advance(DAY * 30);
    assert_eq!(due(repo).await, []);
}

/// The store tells when it was created and updated, by its own clock. Guard: `ExecutionGuard::StoreTime`.
pub async fn the_store_tells_when_it_was_updated(repo: &Repo, clock: &ManualClock) {
    let created_at = clock.now();
    let lease = driven(repo, clock, 1).await;
    clock.advance(SECOND);
    let updated_at = clock.now();
    apply(repo, &lease, append(1, 2, 1)).await;
    clock.advance(SECOND);
    let _ = send(repo, lease.execution, "a").await;
    let summary = summary(repo, lease.execution).await;
    assert_eq!(
        (summary.created_at, summary.updated_at),
        (created_at, updated_at)
    );
}

/// A holder learns of signals from its own steps. Guard: `ExecutionGuard::StepHead`.
pub async fn a_holder_learns_of_signals_from_its_steps(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let _ = send(repo, lease.execution, "cancel").await;
    let stepped = repo.step(&lease, append(1, 2, 1)).await.unwrap();
    assert_eq!(
        stepped,
        Stepped::Applied {
            next_seq: 3,
            inbox_head: 1
        }
    );
}

/// Steps of many executions that arrive together are judged one by one. Guard: `ExecutionGuard::Neighbours`.
pub async fn a_conflict_never_fails_its_neighbours(repo: &Repo, clock: &ManualClock) {
    let mut leases = Vec::new();
    for n in 1..=8 {
        leases.push(driven(repo, clock, n).await);
    }
    // Every other step is wrong in one of three ways.
    let steps = [
        append(1, 5, 1),
        append(1, 2, 1),
        end(1, 7),
        append(1, 2, 2),
        append(1, 0, 1),
    ];
    let calls = leases
        .iter()
        .zip(steps.iter().cycle())
        .map(|(lease, step)| repo.step(lease, step.clone()));
    let answers = join_all(calls).await;
    let applied: Vec<_> = answers
        .iter()
        .map(|answer| matches!(answer, Ok(Stepped::Applied { .. })))
        .collect();
    assert_eq!(
        applied,
        [false, true, false, true, false, false, true, false],
        "{answers:?}"
    );
    for (lease, applied) in leases.iter().zip(applied) {
        assert_eq!(journal(repo, lease.execution).await.len() > 1, applied);
    }
}
