//! Rules of deliveries and their answers.

use std::time::Duration;

use nebula_ports::{Delivery, Queued, Receipt, ReceiptOutcome};

use super::fixture::*;
use crate::ManualClock;

/// What one has in hands nobody else gets. Guard: `QueueGuard::Invisible`.
pub async fn a_task_in_somebodys_hands_is_invisible(queue: &Queue, _: &ManualClock) {
    assert_eq!(ring(queue, task(1)).await, Queued::Queued);
    let delivery = one(queue).await;
    assert_eq!((delivery.task, delivery.delivery_count), (task(1), 1));
    assert_eq!(receive(queue, 10).await, []);
}

/// What is not answered comes again after its visibility, not before. Guards: `QueueGuard::ComesAgain`, `VisibilityLasts`.
pub async fn what_is_not_answered_comes_again(queue: &Queue, clock: &ManualClock) {
    let _ = ring(queue, task(1)).await;
    let first = one(queue).await;
    clock.advance(VISIBILITY - Duration::from_millis(1));
    assert_eq!(receive(queue, 10).await, []);
    clock.advance(Duration::from_millis(1));
    let second = one(queue).await;
    assert_eq!(second.task, task(1));
    assert_ne!(second.receipt, first.receipt);
}

/// A delivery tells how often its task was delivered. Guard: `QueueGuard::Count`.
pub async fn deliveries_are_counted(queue: &Queue, clock: &ManualClock) {
    let _ = ring(queue, task(1)).await;
    for count in 1..=super::MAX_DELIVERIES {
        let Delivery { delivery_count, .. } = one(queue).await;
        assert_eq!(delivery_count, count);
        clock.advance(VISIBILITY);
    }
}

/// What is acked never comes again. Guard: `QueueGuard::AckRemoves`.
pub async fn what_is_acked_is_gone(queue: &Queue, clock: &ManualClock) {
    let _ = ring(queue, task(1)).await;
    let delivery = one(queue).await;
    assert_eq!(ack(queue, &delivery.receipt).await, ReceiptOutcome::Done);
    clock.advance(VISIBILITY);
    assert_eq!(receive(queue, 10).await, []);
    assert_eq!(dead(queue).await, []);
}

/// Two deliveries of one task: the receipts of both.
async fn twice(queue: &Queue, clock: &ManualClock) -> (Receipt, Receipt) {
    let _ = ring(queue, task(1)).await;
    let old = one(queue).await.receipt;
    clock.advance(VISIBILITY);
    (old, one(queue).await.receipt)
}

/// Whoever was late cannot ack what another has in hands. Guard: `QueueGuard::StaleAck`.
pub async fn a_superseded_receipt_acks_nothing(queue: &Queue, clock: &ManualClock) {
    let (old, new) = twice(queue, clock).await;
    assert_eq!(ack(queue, &old).await, ReceiptOutcome::Superseded);
    assert_eq!(ack(queue, &new).await, ReceiptOutcome::Done);
}

/// Nor give it back. Guard: `QueueGuard::StaleNack`.
pub async fn a_superseded_receipt_gives_nothing_back(queue: &Queue, clock: &ManualClock) {
    let (old, new) = twice(queue, clock).await;
    let outcome = queue.nack(&old, Duration::ZERO, "late").await.unwrap();
    assert_eq!(outcome, ReceiptOutcome::Superseded);
    assert_eq!(receive(queue, 10).await, []);
    assert_eq!(ack(queue, &new).await, ReceiptOutcome::Done);
}

/// Nor keep it. Guard: `QueueGuard::StaleExtend`.
pub async fn a_superseded_receipt_extends_nothing(queue: &Queue, clock: &ManualClock) {
    let (old, _) = twice(queue, clock).await;
    let outcome = queue.extend(&[old], VISIBILITY * 10).await.unwrap();
    assert_eq!(outcome, [ReceiptOutcome::Superseded]);
    clock.advance(VISIBILITY);
    assert_eq!(numbers(queue, 10).await, [1]);
}

/// A second answer for the same delivery counts nothing. Guard: `QueueGuard::AnswerOnce`.
pub async fn a_receipt_answers_once(queue: &Queue, _: &ManualClock) {
    let _ = ring(queue, task(1)).await;
    let receipt = one(queue).await.receipt;
    assert_eq!(ack(queue, &receipt).await, ReceiptOutcome::Done);
    assert_eq!(ack(queue, &receipt).await, ReceiptOutcome::Superseded);
    assert_eq!(
        queue.nack(&receipt, Duration::ZERO, "no").await.unwrap(),
        ReceiptOutcome::Superseded
    );
    assert_eq!(receive(queue, 10).await, []);
}

/// An answer after the visibility counts, as long as nobody else has the task. Guard: `QueueGuard::LateAnswer`.
pub async fn a_late_answer_counts_while_nobody_else_has_the_task(
    queue: &Queue,
    clock: &ManualClock,
) {
    let _ = ring(queue, task(1)).await;
    let receipt = one(queue).await.receipt;
    clock.advance(VISIBILITY * 2);
    assert_eq!(ack(queue, &receipt).await, ReceiptOutcome::Done);
    assert_eq!(receive(queue, 10).await, []);
}

/// Answers for several are in the order in which they were asked. Guard: `QueueGuard::AckOrder`.
pub async fn acks_are_answered_in_order(queue: &Queue, _: &ManualClock) {
    for n in 1..=3 {
        let _ = ring(queue, task(n)).await;
    }
    let receipts: Vec<_> = receive(queue, 3)
        .await
        .into_iter()
        .map(|delivery| delivery.receipt)
        .collect();
    let _ = ack(queue, &receipts[2]).await;
    let outcomes = queue.ack(&receipts).await.unwrap();
    assert_eq!(
        outcomes,
        [
            ReceiptOutcome::Done,
            ReceiptOutcome::Done,
            ReceiptOutcome::Superseded
        ]
    );
}

/// A receipt that the queue did not make answers nothing. Guard: `QueueGuard::ForeignReceipt`.
pub async fn a_made_up_receipt_is_superseded(queue: &Queue, _: &ManualClock) {
    let _ = ring(queue, task(1)).await;
    let delivery = one(queue).await;
    for text in ["", "made up", "99999999999999999999999999", "-1"] {
        assert_eq!(
            ack(queue, &Receipt(text.to_owned())).await,
            ReceiptOutcome::Superseded
        );
    }
    assert_eq!(ack(queue, &delivery.receipt).await, ReceiptOutcome::Done);
}

/// A task that is given back comes again after its delay. Guards: `QueueGuard::NackGivesBack`, `NackDelay`.
pub async fn a_task_given_back_comes_after_its_delay(queue: &Queue, clock: &ManualClock) {
    let _ = ring(queue, task(1)).await;
    let delivery = one(queue).await;
    let outcome = queue
        .nack(&delivery.receipt, SECOND * 5, "busy")
        .await
        .unwrap();
    assert_eq!(outcome, ReceiptOutcome::Done);
    clock.advance(SECOND * 4);
    assert_eq!(receive(queue, 10).await, []);
    clock.advance(SECOND);
    assert_eq!(one(queue).await.delivery_count, 2);
}

/// An extension counts from now, and keeps the receipts good; each has its answer. Guard: `QueueGuard::Extend`.
pub async fn an_extension_keeps_tasks_invisible(queue: &Queue, clock: &ManualClock) {
    for n in 1..=3 {
        let _ = ring(queue, task(n)).await;
    }
    let taken = receive(queue, 3).await.into_iter();
    let receipts: Vec<_> = taken.map(|delivery| delivery.receipt).collect();
    let _ = ack(queue, &receipts[1]).await;
    clock.advance(VISIBILITY - SECOND);
    let outcomes = queue.extend(&receipts, VISIBILITY).await.unwrap();
    let done = ReceiptOutcome::Done;
    assert_eq!(outcomes, [done, ReceiptOutcome::Superseded, done]);
    clock.advance(VISIBILITY - SECOND);
    assert_eq!(receive(queue, 10).await, []);
    clock.advance(SECOND);
    let again = receive(queue, 10).await;
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|it| it.delivery_count == 2));
}

/// A call takes no more than it asks for. Guard: `QueueGuard::Max`.
pub async fn a_call_takes_at_most_its_max(queue: &Queue, _: &ManualClock) {
    for n in 1..=5 {
        let _ = ring(queue, task(n)).await;
    }
    assert_eq!(numbers(queue, 2).await.len(), 2);
    assert_eq!(numbers(queue, 10).await.len(), 3);
}
