//! Rules of steps that contradict themselves: `Invalid`, and nothing is written.

use nebula_execution::{NewExecution, Status};
use nebula_ports::{DedupeKey, ErrorKind, InboxDelivery, Lease, Step, WaitToken};
use serde_json::Value;

use super::fixture::*;
use crate::ManualClock;

async fn refused(repo: &Repo, lease: &Lease, step: Step) {
    let before = (
        summary(repo, lease.execution).await,
        journal(repo, lease.execution).await,
    );
    match repo.step(lease, step).await {
        Err(error) => assert_eq!(error.kind, ErrorKind::Invalid, "{error}"),
        Ok(stepped) => panic!("not refused: {stepped:?}"),
    }
    assert_eq!(
        (
            summary(repo, lease.execution).await,
            journal(repo, lease.execution).await
        ),
        before
    );
}

/// A terminal status without the fact that says so is refused. Guard: `ExecutionGuard::TerminalNeedsFact`.
pub async fn a_terminal_status_needs_a_terminal_fact(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    for status in Status::all().filter(|status| status.is_terminal()) {
        refused(
            repo,
            &lease,
            Step {
                to: Some(status),
                ..append(1, 2, 1)
            },
        )
        .await;
    }
    refused(
        repo,
        &lease,
        Step {
            to: Some(Status::Completed),
            ..append(1, 2, 0)
        },
    )
    .await;
}

/// A terminal fact without a terminal status is refused. Guard: `ExecutionGuard::TerminalNeedsStatus`.
pub async fn a_terminal_fact_needs_a_terminal_status(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    for to in [None, Some(Status::Running), Some(Status::Parked)] {
        refused(repo, &lease, Step { to, ..end(1, 2) }).await;
    }
}

/// A fact after the terminal one is refused. Guard: `ExecutionGuard::TerminalIsLast`.
pub async fn a_terminal_fact_is_the_last(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let mut two_ends = end(1, 2);
    two_ends.entries.extend(end(1, 2).entries);
    refused(repo, &lease, two_ends).await;
    let mut goes_on = append(1, 2, 1);
    goes_on.entries.splice(..0, end(1, 2).entries);
    refused(repo, &lease, goes_on).await;
}

/// There is no entry with the number 0. Guard: `ExecutionGuard::PlaceFromOne`.
pub async fn a_place_before_the_first_is_refused(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    refused(repo, &lease, append(1, 0, 1)).await;
}

/// What is not in the inbox cannot have been read. Guard: `ExecutionGuard::MarkWithinInbox`.
pub async fn an_inbox_mark_beyond_the_inbox_is_refused(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let _ = send(repo, lease.execution, "a").await;
    refused(
        repo,
        &lease,
        Step {
            inbox_through: 2,
            ..append(1, 2, 1)
        },
    )
    .await;
}

/// What was read stays read. Guard: `ExecutionGuard::MarkNeverFalls`.
pub async fn an_inbox_mark_never_falls(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let _ = send(repo, lease.execution, "a").await;
    apply(
        repo,
        &lease,
        Step {
            inbox_through: 1,
            ..append(1, 2, 1)
        },
    )
    .await;
    refused(
        repo,
        &lease,
        Step {
            inbox_through: 0,
            ..append(2, 3, 1)
        },
    )
    .await;
}

/// Nothing of a refused step stays: no entry, no child, no delivery, no token. Guard: `ExecutionGuard::Rollback`.
pub async fn a_refused_step_leaves_nothing_behind(repo: &Repo, clock: &ManualClock) {
    let (lease, other) = (driven(repo, clock, 1).await, asleep(repo, clock, 2).await);
    let (child, token) = (new_execution(clock, 3), WaitToken(plan()));
    let delivery = |to| InboxDelivery {
        to,
        dedupe: DedupeKey("d".to_owned()),
        kind: "child".to_owned(),
        payload: Value::Null,
    };
    let whole = Step {
        to: Some(Status::Waiting),
        release: true,
        waits_opened: vec![token],
        deliver: vec![delivery(other)],
        children: vec![child.clone()],
        ..append(1, 2, 2)
    };
    let without_start = NewExecution {
        entries: Vec::new(),
        ..new_execution(clock, 4)
    };
    let second = Step {
        children: vec![child.clone(), without_start],
        ..whole.clone()
    };
    for step in [
        Step {
            inbox_through: 9,
            ..whole
        },
        second,
    ] {
        refused(repo, &lease, step).await;
        assert_eq!(repo.get(&tenant(), child.id).await.unwrap(), None);
        assert_eq!(inbox(repo, other).await, []);
        assert_eq!(repo.waiting_on(&tenant(), token).await.unwrap(), None);
    }
}
