//! Rules of what a step does to others: children, deliveries, wait tokens.

use nebula_core::{Clock, Digest, ExecutionId};
use nebula_execution::{NewExecution, Status};
use nebula_ports::{InboxDelivery, Step, WaitToken};
use serde_json::json;

use super::fixture::*;
use crate::ManualClock;

fn delivery(to: ExecutionId, name: &str) -> InboxDelivery {
    InboxDelivery {
        to,
        dedupe: key(name),
        kind: "child".to_owned(),
        payload: json!({ "key": name }),
    }
}

fn token(n: u8) -> WaitToken {
    WaitToken(Digest::of(&[n]))
}

/// Children begin in the same transaction, queued and due. Guard: `ExecutionGuard::Children`.
pub async fn children_begin_with_their_parents_step(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    clock.advance(SECOND);
    let children = vec![new_execution(clock, 2), new_execution(clock, 3)];
    let ids = [children[0].id, children[1].id];
    apply(
        repo,
        &lease,
        Step {
            children,
            ..append(1, 2, 1)
        },
    )
    .await;
    assert_eq!(due(repo).await, ids);
    for id in ids {
        let child = summary(repo, id).await;
        assert_eq!(
            (child.status, child.wake_at),
            (Status::Queued, Some(clock.now()))
        );
        assert_eq!(journal(repo, id).await[0].epoch, 0);
    }
}

/// A child belongs to its parent's tenant, whatever it says itself. Guard: `ExecutionGuard::ChildTenant`.
pub async fn children_belong_to_their_parents_tenant(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let child = NewExecution {
        tenant: other_tenant(),
        ..new_execution(clock, 2)
    };
    let id = child.id;
    apply(
        repo,
        &lease,
        Step {
            children: vec![child],
            ..append(1, 2, 1)
        },
    )
    .await;
    assert_eq!(summary(repo, id).await.status, Status::Queued);
    assert_eq!(repo.get(&other_tenant(), id).await.unwrap(), None);
}

/// A child that exists stays as it is. Guard: `ExecutionGuard::ChildOnce`.
pub async fn a_child_that_exists_stays_as_it_is(repo: &Repo, clock: &ManualClock) {
    let (lease, child) = (driven(repo, clock, 1).await, driven(repo, clock, 2).await);
    apply(repo, &child, append(1, 2, 3)).await;
    apply(
        repo,
        &lease,
        Step {
            children: vec![new_execution(clock, 2)],
            ..append(1, 2, 1)
        },
    )
    .await;
    assert_eq!(journal(repo, child.execution).await.len(), 4);
    assert_eq!(apply(repo, &child, append(2, 5, 1)).await, 6);
}

/// A delivery is in the inbox with the step, and wakes. Guards: `ExecutionGuard::Deliveries`, `DeliveryWakes`.
pub async fn deliveries_go_with_the_step(repo: &Repo, clock: &ManualClock) {
    let (lease, to) = (driven(repo, clock, 1).await, asleep(repo, clock, 2).await);
    let deliver = vec![delivery(to, "a"), delivery(to, "b")];
    apply(
        repo,
        &lease,
        Step {
            deliver,
            ..append(1, 2, 1)
        },
    )
    .await;
    assert_eq!(
        inbox(repo, to).await,
        [(1, "a".to_owned()), (2, "b".to_owned())]
    );
    assert_eq!(due(repo).await, [to]);
}

/// The final step of a child tells its parent in the same transaction. Guard: `ExecutionGuard::FinalDelivery`.
pub async fn the_end_delivers_to_the_parent(repo: &Repo, clock: &ManualClock) {
    let (child, parent) = (driven(repo, clock, 1).await, asleep(repo, clock, 2).await);
    apply(
        repo,
        &child,
        Step {
            deliver: vec![delivery(parent, "child 1")],
            ..end(1, 2)
        },
    )
    .await;
    assert_eq!(inbox(repo, parent).await, [(1, "child 1".to_owned())]);
    let _ = grant(repo, parent, 2).await;
}

/// A delivery is recognised by its key, also among signals. Guard: `ExecutionGuard::DeliveryDedupe`.
pub async fn deliveries_are_deduplicated(repo: &Repo, clock: &ManualClock) {
    let (lease, to) = (driven(repo, clock, 1).await, asleep(repo, clock, 2).await);
    let _ = send(repo, to, "a").await;
    let deliver = vec![delivery(to, "a"), delivery(to, "b"), delivery(to, "b")];
    apply(
        repo,
        &lease,
        Step {
            deliver,
            ..append(1, 2, 1)
        },
    )
    .await;
    assert_eq!(
        inbox(repo, to).await,
        [(1, "a".to_owned()), (2, "b".to_owned())]
    );
}

/// Whoever is unknown or has ended takes nothing, and the step counts. Guard: `ExecutionGuard::DeliveryToNobody`.
pub async fn a_delivery_to_nobody_is_no_error(repo: &Repo, clock: &ManualClock) {
    let (lease, gone) = (
        driven(repo, clock, 1).await,
        ended(repo, clock, 2).await.execution,
    );
    let deliver = vec![delivery(execution_id(clock, 9), "a"), delivery(gone, "a")];
    assert_eq!(
        apply(
            repo,
            &lease,
            Step {
                deliver,
                ..append(1, 2, 1)
            }
        )
        .await,
        3
    );
    assert_eq!(inbox(repo, gone).await, []);
}

/// Nothing is delivered to another tenant. Guard: `ExecutionGuard::DeliveryTenant`.
pub async fn a_delivery_stays_in_its_tenant(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let theirs = NewExecution {
        tenant: other_tenant(),
        ..new_execution(clock, 2)
    };
    let id = theirs.id;
    let _ = repo
        .create(&other_tenant(), theirs, None, None)
        .await
        .unwrap();
    apply(
        repo,
        &lease,
        Step {
            deliver: vec![delivery(id, "a")],
            ..append(1, 2, 1)
        },
    )
    .await;
    assert_eq!(repo.inbox(&other_tenant(), id, 0, 10).await.unwrap(), []);
}

/// An open token names the execution that it wakes. Guard: `ExecutionGuard::WaitsOpened`.
pub async fn a_wait_token_names_its_execution(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let waits_opened = vec![token(1), token(2)];
    apply(
        repo,
        &lease,
        Step {
            waits_opened,
            ..sleep(1, 2, None)
        },
    )
    .await;
    for n in [1, 2] {
        assert_eq!(
            repo.waiting_on(&tenant(), token(n)).await.unwrap(),
            Some(lease.execution)
        );
    }
    assert_eq!(repo.waiting_on(&tenant(), token(3)).await.unwrap(), None);
}

/// A closed token names nobody. Guard: `ExecutionGuard::WaitsClosed`.
pub async fn a_closed_token_wakes_nobody(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(
        repo,
        &lease,
        Step {
            waits_opened: vec![token(1), token(2)],
            ..append(1, 2, 1)
        },
    )
    .await;
    apply(
        repo,
        &lease,
        Step {
            waits_closed: vec![token(1)],
            ..append(2, 3, 1)
        },
    )
    .await;
    assert_eq!(repo.waiting_on(&tenant(), token(1)).await.unwrap(), None);
    assert_eq!(
        repo.waiting_on(&tenant(), token(2)).await.unwrap(),
        Some(lease.execution)
    );
}

/// The end closes every token that is still open. Guard: `ExecutionGuard::EndClosesWaits`.
pub async fn the_end_closes_every_wait(repo: &Repo, clock: &ManualClock) {
    let (lease, other) = (driven(repo, clock, 1).await, driven(repo, clock, 2).await);
    apply(
        repo,
        &lease,
        Step {
            waits_opened: vec![token(1)],
            ..append(1, 2, 1)
        },
    )
    .await;
    apply(
        repo,
        &other,
        Step {
            waits_opened: vec![token(2)],
            ..append(1, 2, 1)
        },
    )
    .await;
    apply(repo, &lease, end(2, 3)).await;
    assert_eq!(repo.waiting_on(&tenant(), token(1)).await.unwrap(), None);
    assert_eq!(
        repo.waiting_on(&tenant(), token(2)).await.unwrap(),
        Some(other.execution)
    );
}
