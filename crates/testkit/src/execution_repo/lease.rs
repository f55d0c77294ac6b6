//! Rules of `acquire`, `renew` and `release`.

use std::time::Duration;

use futures_util::future::join_all;
use nebula_core::Clock;
use nebula_execution::Status;
use nebula_ports::{Acquired, Renewed, Snapshot, Step, Stepped};

use super::fixture::*;
use crate::ManualClock;

/// What does not exist is not granted. Guard: `ExecutionGuard::AcquireUnknown`.
pub async fn an_unknown_execution_is_not_granted(repo: &Repo, clock: &ManualClock) {
    assert_eq!(
        acquire(repo, execution_id(clock, 9), 1).await,
        Acquired::Unknown
    );
}

/// As long as a lease is valid nobody gets another, not even its holder. Guard: `ExecutionGuard::HeldCheck`.
pub async fn a_held_execution_is_not_granted(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let _ = grant(repo, id, 1).await;
    assert_eq!(acquire(repo, id, 2).await, Acquired::Held);
    assert_eq!(acquire(repo, id, 1).await, Acquired::Held);
}

/// Of many that ask at once, one gets the lease. Guard: `ExecutionGuard::HeldCheck`.
pub async fn of_many_at_once_one_is_granted(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let answers = join_all((1..=8).map(|holder| acquire(repo, id, holder))).await;
    let granted = answers
        .iter()
        .filter(|answer| matches!(answer, Acquired::Granted(_)))
        .count();
    let held = answers
        .iter()
        .filter(|answer| matches!(answer, Acquired::Held))
        .count();
    assert_eq!((granted, held), (1, 7));
}

/// Every grant has a higher epoch, also one to the same holder. Guard: `ExecutionGuard::EpochGrows`.
pub async fn the_epoch_grows_with_every_grant(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let first = grant(repo, id, 1).await.lease;
    repo.release(&first).await.unwrap();
    let second = grant(repo, id, 1).await.lease;
    clock.advance(TTL);
    let third = grant(repo, id, 2).await.lease;
    assert_eq!([first.epoch, second.epoch, third.epoch], [1, 2, 3]);
}

/// A lease is valid for its whole time and not a moment longer. Guards: `ExecutionGuard::LeaseExpires`, `LeaseLasts`.
pub async fn an_expired_lease_goes_to_another(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let _ = grant(repo, id, 1).await;
    clock.advance(TTL - Duration::from_millis(1));
    assert_eq!(acquire(repo, id, 2).await, Acquired::Held);
    clock.advance(Duration::from_millis(1));
    assert_eq!(grant(repo, id, 2).await.lease.holder, request(2).holder);
}

/// What waits for a time is not granted before it. Guard: `ExecutionGuard::DueCheck`.
pub async fn a_waiting_execution_is_not_due_before_its_time(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(repo, &lease, sleep(1, 2, Some(clock.now().plus(DAY)))).await;
    clock.advance(DAY - Duration::from_millis(1));
    assert_eq!(acquire(repo, lease.execution, 2).await, Acquired::NotDue);
    clock.advance(Duration::from_millis(1));
    let _ = grant(repo, lease.execution, 2).await;
}

/// A parked execution waits for ever, until a signal wakes it. Guard: `ExecutionGuard::DueCheck`.
pub async fn a_parked_execution_waits_to_be_woken(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(repo, &lease, park(1, 2)).await;
    clock.advance(DAY * 365);
    assert_eq!(acquire(repo, lease.execution, 2).await, Acquired::NotDue);
    let _ = send(repo, lease.execution, "unpark").await;
    let _ = grant(repo, lease.execution, 2).await;
}

/// A queued or waiting execution runs once it is granted. Guard: `ExecutionGuard::GrantRuns`.
pub async fn a_grant_sets_the_status_to_running(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let granted = grant(repo, id, 1).await;
    assert_eq!(
        (granted.status, summary(repo, id).await.status),
        (Status::Running, Status::Running)
    );
    apply(repo, &granted.lease, sleep(1, 2, Some(clock.now()))).await;
    assert_eq!(grant(repo, id, 1).await.status, Status::Running);
}

/// A parked execution stays parked until a step says otherwise. Guard: `ExecutionGuard::GrantKeepsParked`.
pub async fn a_grant_of_a_parked_execution_leaves_it_parked(repo: &Repo, clock: &ManualClock) {
    for (n, status) in [
        (1, Status::Parked),
        (2, Status::Paused),
        (3, Status::Compensating),
    ] {
        let lease = driven(repo, clock, n).await;
        let wake_at = Some(clock.now());
        apply(
            repo,
            &lease,
            Step {
                to: Some(status),
                wake_at,
                ..park(1, 2)
            },
        )
        .await;
        assert_eq!(grant(repo, lease.execution, 2).await.status, status);
        assert_eq!(summary(repo, lease.execution).await.status, status);
    }
}

/// The reason to run stays until a step replaces it. Guard: `ExecutionGuard::GrantKeepsWake`.
pub async fn a_grant_leaves_the_wake_up_alone(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let before = summary(repo, id).await.wake_at;
    clock.advance(SECOND);
    let _ = grant(repo, id, 1).await;
    assert_eq!(summary(repo, id).await.wake_at, before);
}

/// A grant brings the plan and the latest snapshot, however large. Guard: `ExecutionGuard::GrantSnapshot`.
pub async fn a_grant_brings_the_latest_snapshot(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let first = grant(repo, id, 1).await;
    assert_eq!((first.plan, first.snapshot), (plan(), None));
    let snapshot = |through, state: &[u8]| {
        Some(Snapshot {
            through,
            state: state.to_vec().into(),
        })
    };
    apply(
        repo,
        &first.lease,
        Step {
            snapshot: snapshot(2, b"old"),
            ..append(1, 2, 1)
        },
    )
    .await;
    let large: Vec<u8> = (0..3_000_001_u32).map(|n| (n / 3) as u8).collect();
    apply(
        repo,
        &first.lease,
        Step {
            snapshot: snapshot(3, &large),
            ..append(2, 3, 1)
        },
    )
    .await;
    apply(
        repo,
        &first.lease,
        Step {
            wake_at: Some(clock.now()),
            release: true,
            ..append(3, 4, 1)
        },
    )
    .await;
    let second = grant(repo, id, 2).await;
    assert!(second.snapshot == snapshot(3, &large), "it is another one");
    let step = Step {
        snapshot: snapshot(4, b"\0\xff"),
        wake_at: Some(clock.now()),
        release: true,
        ..append(4, 5, 1)
    };
    apply(repo, &second.lease, step).await;
    assert_eq!(grant(repo, id, 3).await.snapshot, snapshot(4, b"\0\xff"));
}

/// A grant brings where the journal ends, and what of the inbox is read. Guard: `ExecutionGuard::GrantMarks`.
pub async fn a_grant_brings_the_place_in_journal_and_inbox(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    for name in ["a", "b", "c"] {
        let _ = send(repo, lease.execution, name).await;
    }
    apply(
        repo,
        &lease,
        Step {
            inbox_through: 2,
            release: true,
            ..append(1, 2, 4)
        },
    )
    .await;
    let granted = grant(repo, lease.execution, 2).await;
    assert_eq!(
        (granted.next_seq, granted.inbox_head, granted.inbox_through),
        (6, 3, 2)
    );
}

/// What has ended is not granted; the answer says how it ended. Guard: `ExecutionGuard::AcquireTerminal`.
pub async fn an_ended_execution_is_not_granted(repo: &Repo, clock: &ManualClock) {
    let lease = ended(repo, clock, 1).await;
    assert_eq!(
        acquire(repo, lease.execution, 2).await,
        Acquired::Terminal(Status::Completed)
    );
}

/// A renewal counts the whole time from now. Guard: `ExecutionGuard::RenewExtends`.
pub async fn a_renewal_lasts_its_whole_time_again(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    clock.advance(TTL - SECOND);
    let renewed = repo.renew(std::slice::from_ref(&lease)).await.unwrap();
    assert_eq!(renewed, [Renewed::Renewed { inbox_head: 0 }]);
    clock.advance(TTL - SECOND);
    assert_eq!(acquire(repo, lease.execution, 2).await, Acquired::Held);
    clock.advance(SECOND);
    let _ = grant(repo, lease.execution, 2).await;
}

/// A lease that somebody took over is lost, and the new one is left alone. Guard: `ExecutionGuard::RenewEpoch`.
pub async fn a_lost_lease_is_not_renewed(repo: &Repo, clock: &ManualClock) {
    let old = driven(repo, clock, 1).await;
    clock.advance(TTL);
    let _ = grant(repo, old.execution, 2).await;
    clock.advance(TTL - SECOND);
    assert_eq!(
        repo.renew(std::slice::from_ref(&old)).await.unwrap(),
        [Renewed::Lost]
    );
    clock.advance(SECOND);
    let _ = grant(repo, old.execution, 3).await;
}

/// A lease that was given back is lost. Guard: `ExecutionGuard::RenewReleased`.
pub async fn a_released_lease_is_not_renewed(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    repo.release(&lease).await.unwrap();
    assert_eq!(
        repo.renew(std::slice::from_ref(&lease)).await.unwrap(),
        [Renewed::Lost]
    );
    let _ = grant(repo, lease.execution, 2).await;
}

/// A lease that expired but that nobody took is still its holder's. Guard: `ExecutionGuard::RenewExpired`.
pub async fn an_expired_lease_that_nobody_took_is_renewed(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    clock.advance(TTL * 3);
    let renewed = repo.renew(std::slice::from_ref(&lease)).await.unwrap();
    assert_eq!(renewed, [Renewed::Renewed { inbox_head: 0 }]);
    assert_eq!(acquire(repo, lease.execution, 2).await, Acquired::Held);
}

/// Answers are in the order of the leases, each for itself. Guard: `ExecutionGuard::RenewOrder`.
pub async fn renewals_are_answered_in_order(repo: &Repo, clock: &ManualClock) {
    let (first, second) = (driven(repo, clock, 1).await, ended(repo, clock, 2).await);
    let third = driven(repo, clock, 3).await;
    let _ = send(repo, third.execution, "a").await;
    let renewed = repo.renew(&[first, second, third]).await.unwrap();
    let (none, one) = (
        Renewed::Renewed { inbox_head: 0 },
        Renewed::Renewed { inbox_head: 1 },
    );
    assert_eq!(renewed, [none, Renewed::Lost, one]);
}

/// A holder learns of signals from its renewals. Guard: `ExecutionGuard::RenewHead`.
pub async fn a_renewal_tells_of_signals(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let _ = send(repo, lease.execution, "cancel").await;
    let renewed = repo.renew(std::slice::from_ref(&lease)).await.unwrap();
    assert_eq!(renewed, [Renewed::Renewed { inbox_head: 1 }]);
}

/// A lease that is given back leaves the execution due. Guard: `ExecutionGuard::ReleaseIsDue`.
pub async fn a_released_execution_is_due_at_once(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    // The step takes the wake-up away, so that only the release can bring it back.
    apply(repo, &lease, append(1, 2, 1)).await;
    repo.release(&lease).await.unwrap();
    assert_eq!(due(repo).await, [lease.execution]);
    assert!(!summary(repo, lease.execution).await.leased);
    let _ = grant(repo, lease.execution, 2).await;
}

/// A release that comes after a takeover changes nothing. Guard: `ExecutionGuard::ReleaseEpoch`.
pub async fn a_late_release_leaves_the_next_holder_alone(repo: &Repo, clock: &ManualClock) {
    let old = driven(repo, clock, 1).await;
    clock.advance(TTL);
    let new = grant(repo, old.execution, 2).await.lease;
    repo.release(&old).await.unwrap();
    assert_eq!(acquire(repo, old.execution, 3).await, Acquired::Held);
    let stepped = repo.step(&new, append(1, 2, 1)).await.unwrap();
    assert!(matches!(stepped, Stepped::Applied { .. }), "{stepped:?}");
}

/// A holder that vanished leaves the execution due when its lease ends, whatever the wake-up says.
/// Guards: `ExecutionGuard::ExpiredIsDue`, `LeaseExpires`.
pub async fn a_lost_lease_makes_the_execution_due(repo: &Repo, clock: &ManualClock) {
    let (never, later) = (driven(repo, clock, 1).await, driven(repo, clock, 2).await);
    apply(repo, &never, append(1, 2, 1)).await;
    apply(
        repo,
        &later,
        Step {
            wake_at: Some(clock.now().plus(DAY)),
            ..append(1, 2, 1)
        },
    )
    .await;
    assert_eq!(due(repo).await, []);
    clock.advance(TTL);
    let mut both = [never.execution, later.execution];
    both.sort();
    assert_eq!(due(repo).await, both);
    let _ = grant(repo, never.execution, 2).await;
    let _ = grant(repo, later.execution, 2).await;
}
