//! Rules of dead letters.

use nebula_ports::Queued;

use super::{MAX_DELIVERIES, fixture::*};
use crate::ManualClock;

/// What was given back after its last delivery is dead. Guard: `QueueGuard::DeadByNack`.
pub async fn what_was_given_back_too_often_is_dead(queue: &Queue, clock: &ManualClock) {
    kill(queue, 1, "no").await;
    clock.advance(VISIBILITY);
    assert_eq!(receive(queue, 10).await, []);
    assert_eq!(dead(queue).await.len(), 1);
}

/// So is what was not answered after its last delivery; its receipt is superseded. Guard: `QueueGuard::DeadBySilence`.
pub async fn what_was_never_answered_is_dead(queue: &Queue, clock: &ManualClock) {
    let _ = ring(queue, task(1)).await;
    let mut last = None;
    for _ in 0..MAX_DELIVERIES {
        last = Some(one(queue).await);
        clock.advance(VISIBILITY);
    }
    assert_eq!(receive(queue, 10).await, []);
    assert_eq!(dead(queue).await.len(), 1);
    let outcome = ack(queue, &last.unwrap().receipt).await;
    assert_eq!(outcome, nebula_ports::ReceiptOutcome::Superseded);
}

/// A dead task is shown with the last reason that was given. Guard: `QueueGuard::DeadReason`.
pub async fn a_dead_task_has_its_last_reason(queue: &Queue, _: &ManualClock) {
    kill(queue, 1, "the disk is full").await;
    assert_eq!(dead(queue).await, [(1, "the disk is full".to_owned())]);
}

/// Dead tasks are shown oldest first, at most so many. Guard: `QueueGuard::DeadOrder`.
pub async fn dead_tasks_are_shown_oldest_first(queue: &Queue, clock: &ManualClock) {
    for n in [2, 1, 3] {
        kill(queue, n, "no").await;
        clock.advance(SECOND);
    }
    let order: Vec<_> = dead(queue).await.into_iter().map(|(n, _)| n).collect();
    assert_eq!(order, [2, 1, 3]);
    assert_eq!(queue.dead(2).await.unwrap().len(), 2);
}

/// Dead tasks can be sent again, all at once. Guard: `QueueGuard::Redrive`.
pub async fn dead_tasks_can_be_sent_again(queue: &Queue, _: &ManualClock) {
    for n in [1, 2] {
        kill(queue, n, "no").await;
    }
    assert_eq!(queue.redrive().await.unwrap(), 2);
    assert_eq!(dead(queue).await, []);
    assert_eq!(numbers(queue, 10).await, [1, 2]);
    assert_eq!(queue.redrive().await.unwrap(), 0);
}

/// What is sent again has all its deliveries before it. Guard: `QueueGuard::RedriveAnew`.
pub async fn a_task_sent_again_counts_from_one(queue: &Queue, _: &ManualClock) {
    kill(queue, 1, "no").await;
    let _ = queue.redrive().await.unwrap();
    assert_eq!(one(queue).await.delivery_count, 1);
}

/// A new ring for a dead task is a new task: there may be a new reason. Guard: `QueueGuard::DeadRing`.
pub async fn a_ring_for_a_dead_task_is_queued(queue: &Queue, _: &ManualClock) {
    kill(queue, 1, "no").await;
    assert_eq!(ring(queue, task(1)).await, Queued::Queued);
    assert_eq!(one(queue).await.delivery_count, 1);
    assert_eq!(dead(queue).await.len(), 1);
}
