//! Rules of grants that bring no progress.

use nebula_execution::{Entry, Fact, ParkReason, Status};
use nebula_ports::{Acquired, Step, Stepped};

use super::fixture::*;
use crate::ManualClock;

/// Each grant tells how many before it brought no step. Guard: `ExecutionGuard::GrantCounter`.
pub async fn grants_without_progress_are_counted(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    for before in 0..MAX_GRANTS {
        assert_eq!(grant(repo, id, 1).await.grants_without_progress, before);
        clock.advance(TTL);
    }
}

/// A step with entries begins the count anew. Guard: `ExecutionGuard::EntriesAreProgress`.
pub async fn a_step_with_entries_is_progress(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let granted = grant(repo, id, 1).await;
    apply(repo, &granted.lease, append(1, 2, 1)).await;
    clock.advance(TTL);
    assert_eq!(grant(repo, id, 1).await.grants_without_progress, 0);
}

/// So does a step that changes nothing but the status. Guard: `ExecutionGuard::StatusIsProgress`.
pub async fn a_change_of_status_is_progress(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(
        repo,
        &lease,
        Step {
            to: Some(Status::Compensating),
            ..append(1, 2, 0)
        },
    )
    .await;
    clock.advance(TTL);
    assert_eq!(
        grant(repo, lease.execution, 1)
            .await
            .grants_without_progress,
        0
    );
}

/// A step without entries and without a new status is a heartbeat. Guard: `ExecutionGuard::EmptyIsNoProgress`.
pub async fn an_empty_step_is_no_progress(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    assert_eq!(apply(repo, &lease, append(1, 2, 0)).await, 2);
    apply(
        repo,
        &lease,
        Step {
            to: Some(Status::Running),
            ..append(2, 2, 0)
        },
    )
    .await;
    clock.advance(TTL);
    assert_eq!(
        grant(repo, lease.execution, 1)
            .await
            .grants_without_progress,
        1
    );
}

/// A renewal is none either. Guard: `ExecutionGuard::RenewalIsNoProgress`.
pub async fn a_renewal_is_no_progress(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let _ = repo.renew(std::slice::from_ref(&lease)).await.unwrap();
    clock.advance(TTL);
    assert_eq!(
        grant(repo, lease.execution, 1)
            .await
            .grants_without_progress,
        1
    );
}

/// Whoever lives to give a lease back is not poisoned, however often. Guard: `ExecutionGuard::ReleaseIsNoGrant`.
pub async fn a_lease_that_is_given_back_does_not_count(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let _ = grant(repo, id, 1).await;
    clock.advance(TTL);
    for _ in 0..=MAX_GRANTS {
        let granted = grant(repo, id, 1).await;
        assert_eq!(granted.grants_without_progress, 1);
        repo.release(&granted.lease).await.unwrap();
    }
}

/// The grant after `max_grants` parks the execution instead. Guards: `ExecutionGuard::GrantCounter`, `PoisonParks`, `PoisonSleeps`.
pub async fn too_many_grants_park_the_execution(repo: &Repo, clock: &ManualClock) {
    let id = poisoned(repo, clock).await;
    let summary = summary(repo, id).await;
    assert_eq!(
        (summary.status, summary.wake_at, summary.leased),
        (Status::Parked, None, false)
    );
    clock.advance(DAY);
    assert_eq!(due(repo).await, []);
    assert_eq!(acquire(repo, id, 9).await, Acquired::NotDue);
}

/// Poison is a fact, written with an epoch that no holder had. Guards: `ExecutionGuard::PoisonEntry`, `PoisonEpoch`.
pub async fn poison_is_in_the_journal_with_its_own_epoch(repo: &Repo, clock: &ManualClock) {
    let id = poisoned(repo, clock).await;
    let stored = journal(repo, id).await;
    let last = stored.last().unwrap();
    let Entry { fact, .. } = &last.entry;
    let reason = ParkReason::Poison { grants: MAX_GRANTS };
    assert_eq!((last.seq, last.epoch), (2, u64::from(MAX_GRANTS) + 1));
    assert_eq!(*fact, Fact::Parked { reason });
}

/// The last holder cannot write into what was parked over it. Guard: `ExecutionGuard::PoisonEpoch`.
pub async fn a_holder_whose_execution_was_poisoned_is_fenced(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let mut last = None;
    for _ in 0..MAX_GRANTS {
        last = Some(grant(repo, id, 1).await.lease);
        clock.advance(TTL);
    }
    assert_eq!(
        acquire(repo, id, 2).await,
        Acquired::Poisoned { grants: MAX_GRANTS }
    );
    let stepped = repo.step(&last.unwrap(), append(1, 3, 1)).await.unwrap();
    assert_eq!(
        stepped,
        Stepped::Fenced {
            current: u64::from(MAX_GRANTS) + 1
        }
    );
}

/// Once a person woke it, it has all its grants again. Guard: `ExecutionGuard::PoisonResets`.
pub async fn a_signal_gives_a_poisoned_execution_new_grants(repo: &Repo, clock: &ManualClock) {
    let id = poisoned(repo, clock).await;
    let _ = send(repo, id, "unpark").await;
    let granted = grant(repo, id, 1).await;
    assert_eq!(
        (
            granted.status,
            granted.grants_without_progress,
            granted.next_seq
        ),
        (Status::Parked, 0, 3)
    );
}

/// An execution that was granted once too often.
async fn poisoned(repo: &Repo, clock: &ManualClock) -> nebula_core::ExecutionId {
    let id = created(repo, clock, 1).await;
    for _ in 0..MAX_GRANTS {
        let _ = grant(repo, id, 1).await;
        clock.advance(TTL);
    }
    assert_eq!(
        acquire(repo, id, 2).await,
        Acquired::Poisoned { grants: MAX_GRANTS }
    );
    id
}
