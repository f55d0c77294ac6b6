//! Rules of rings: merging, order, fairness, bounds.

use std::time::Duration;

use nebula_core::Priority::{High, Highest, Low, Lowest, Normal};
use nebula_ports::{Queued, ReceiptOutcome};

use super::{CAPACITY, fixture::*};
use crate::ManualClock;

/// A delayed ring is heard when its delay is over. Guard: `QueueGuard::Delay`.
pub async fn a_delayed_ring_comes_when_it_is_due(queue: &Queue, clock: &ManualClock) {
    assert_eq!(
        queue.ring(task(1), SECOND * 10).await.unwrap(),
        Queued::Queued
    );
    clock.advance(SECOND * 9);
    assert_eq!(receive(queue, 10).await, []);
    clock.advance(SECOND);
    assert_eq!(numbers(queue, 10).await, [1]);
}

/// As long as one waits, further rings for its execution are the same. Guard: `QueueGuard::Merge`.
pub async fn rings_for_one_execution_are_merged(queue: &Queue, _: &ManualClock) {
    assert_eq!(ring(queue, task(1)).await, Queued::Queued);
    assert_eq!(ring(queue, task(1)).await, Queued::Merged);
    assert_eq!(numbers(queue, 10).await, [1]);
}

/// The earlier of two merged rings counts. Guard: `QueueGuard::MergeEarlier`.
pub async fn a_merged_ring_brings_the_task_forward(queue: &Queue, clock: &ManualClock) {
    let _ = queue.ring(task(1), SECOND * 60).await.unwrap();
    assert_eq!(
        queue.ring(task(1), SECOND * 5).await.unwrap(),
        Queued::Merged
    );
    assert_eq!(
        queue.ring(task(1), SECOND * 90).await.unwrap(),
        Queued::Merged
    );
    clock.advance(SECOND * 5);
    assert_eq!(numbers(queue, 10).await, [1]);
}

/// The higher of two merged priorities counts. Guard: `QueueGuard::MergePriority`.
pub async fn a_merged_ring_raises_the_priority(queue: &Queue, _: &ManualClock) {
    let _ = ring(queue, task(1)).await;
    let _ = ring(queue, task(2)).await;
    let _ = ring(queue, task_of("local", 2, High)).await;
    let _ = ring(queue, task_of("local", 2, Low)).await;
    let taken = receive(queue, 1).await;
    assert_eq!(taken[0].task, task_of("local", 2, High));
}

/// Executions of two tenants are two, whatever their ids. Guard: `QueueGuard::MergeTenant`.
pub async fn tenants_are_not_merged(queue: &Queue, _: &ManualClock) {
    assert_eq!(ring(queue, task_of("a", 1, Normal)).await, Queued::Queued);
    assert_eq!(ring(queue, task_of("b", 1, Normal)).await, Queued::Queued);
    assert_eq!(numbers(queue, 10).await, [1, 1]);
}

/// A ring for what somebody has in hands is heard after the answer, not before it and not twice.
/// Guards: `QueueGuard::RingAgain`, `RingWaits`.
pub async fn a_ring_during_the_work_comes_after_the_answer(queue: &Queue, _: &ManualClock) {
    let _ = ring(queue, task(1)).await;
    let delivery = one(queue).await;
    assert_eq!(ring(queue, task(1)).await, Queued::Queued);
    assert_eq!(ring(queue, task(1)).await, Queued::Merged);
    assert_eq!(receive(queue, 10).await, []);
    assert_eq!(ack(queue, &delivery.receipt).await, ReceiptOutcome::Done);
    assert_eq!(numbers(queue, 10).await, [1]);
}

/// What is rung during the work is a new task: its deliveries are counted anew. Guard: `QueueGuard::RingAnew`.
pub async fn a_ring_after_the_work_counts_from_one(queue: &Queue, clock: &ManualClock) {
    let _ = ring(queue, task(1)).await;
    let _ = one(queue).await;
    clock.advance(VISIBILITY);
    let second = one(queue).await;
    assert_eq!(second.delivery_count, 2);
    let _ = ring(queue, task(1)).await;
    let _ = ack(queue, &second.receipt).await;
    assert_eq!(one(queue).await.delivery_count, 1);
}

/// A ring that merged with a task whose holder is late is heard, although the holder acks in the end.
/// Guard: `QueueGuard::RingLate`.
pub async fn a_ring_after_the_visibility_survives_a_late_ack(queue: &Queue, clock: &ManualClock) {
    let _ = ring(queue, task(1)).await;
    let delivery = one(queue).await;
    clock.advance(VISIBILITY);
    assert_eq!(ring(queue, task(1)).await, Queued::Merged);
    assert_eq!(ack(queue, &delivery.receipt).await, ReceiptOutcome::Done);
    assert_eq!(numbers(queue, 10).await, [1]);
}

/// Among a tenant's tasks the higher priority goes first. Guard: `QueueGuard::Priority`.
pub async fn a_higher_priority_goes_first(queue: &Queue, _: &ManualClock) {
    for (n, priority) in [(1, Normal), (2, High), (3, Low), (4, High)] {
        let _ = ring(queue, task_of("local", n, priority)).await;
    }
    assert_eq!(numbers(queue, 10).await, [2, 4, 1, 3]);
}

/// Of equal priority, what was rung first goes first. Guard: `QueueGuard::Fifo`.
pub async fn what_was_rung_first_goes_first(queue: &Queue, clock: &ManualClock) {
    for n in [3, 1, 2] {
        let _ = ring(queue, task(n)).await;
    }
    clock.advance(SECOND);
    let _ = ring(queue, task(4)).await;
    assert_eq!(numbers(queue, 10).await, [3, 1, 2, 4]);
}

/// Tenants take turns, also from call to call. Guard: `QueueGuard::Turns`.
pub async fn tenants_take_turns(queue: &Queue, _: &ManualClock) {
    for (tenant, n) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("b", 5), ("c", 6)] {
        let _ = ring(queue, task_of(tenant, n, Normal)).await;
    }
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(one(queue).await.task.tenant.to_string());
    }
    // Whoever begins: each of the three is in the first three, and no one is twice in a row before the last.
    let mut first: Vec<_> = order[..3].to_vec();
    first.sort();
    assert_eq!(first, ["a", "b", "c"]);
    assert!(order[3..5].contains(&"b".to_owned()), "{order:?}");
}

/// A tenant's high priority takes no turn from another tenant. Guard: `QueueGuard::TurnsBeforePriority`.
pub async fn priority_counts_within_a_tenant(queue: &Queue, _: &ManualClock) {
    for n in 1..=3 {
        let _ = ring(queue, task_of("a", n, Highest)).await;
    }
    let _ = ring(queue, task_of("b", 9, Lowest)).await;
    assert!(numbers(queue, 2).await.contains(&9));
}

/// Within a priority, workflows take turns: one with many tasks holds up nobody's single one.
/// Guard: `QueueGuard::WorkflowTurns`.
pub async fn workflows_take_turns(queue: &Queue, _: &ManualClock) {
    for (workflow, n) in [("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 5), ("c", 6)] {
        let _ = ring(queue, task_in(workflow, n)).await;
    }
    let first = numbers(queue, 3).await;
    assert!(first.contains(&5) && first.contains(&6), "{first:?}");
    // Also from call to call, and also who comes anew.
    let _ = ring(queue, task_in("b", 7)).await;
    let mut next = vec![number(&one(queue).await)];
    next.push(number(&one(queue).await));
    assert!(next.contains(&7), "{next:?}");
}

/// However many more urgent ones come, each priority has its turn as often as its patience says.
/// Guard: `QueueGuard::Patience`.
pub async fn a_low_priority_is_passed_over_only_so_often(queue: &Queue, _: &ManualClock) {
    for (n, priority) in [(1, Lowest), (2, Low), (3, Normal), (4, High)] {
        let _ = ring(queue, task_of("local", n, priority)).await;
        let mut passed = 0;
        loop {
            let _ = ring(queue, task_of("local", 9, Highest)).await;
            let delivery = one(queue).await;
            let _ = ack(queue, &delivery.receipt).await;
            if delivery.task.priority == priority {
                break;
            }
            passed += 1;
            assert!(passed <= 32, "{priority} never has its turn");
        }
        assert_eq!(Some(passed), priority.patience(), "{priority}");
        // Nothing is left for the next round.
        let left = one(queue).await;
        let _ = ack(queue, &left.receipt).await;
    }
}

/// A full queue drops what is new and counts it; there is room again after an ack. Guards: `QueueGuard::Capacity`, `DropCount`.
pub async fn a_full_queue_drops_and_counts(queue: &Queue, _: &ManualClock) {
    for n in 1..=CAPACITY {
        assert_eq!(ring(queue, task(n)).await, Queued::Queued);
    }
    assert_eq!(queue.dropped(), 0);
    for dropped in 1..=3 {
        assert_eq!(ring(queue, task(CAPACITY + 1)).await, Queued::Dropped);
        assert_eq!(queue.dropped(), dropped);
    }
    let delivery = one(queue).await;
    let _ = ack(queue, &delivery.receipt).await;
    assert_eq!(ring(queue, task(CAPACITY + 1)).await, Queued::Queued);
}

/// A full queue drops no ring for what it has. Guard: `QueueGuard::MergeWhenFull`.
pub async fn a_full_queue_still_merges(queue: &Queue, _: &ManualClock) {
    for n in 1..=CAPACITY {
        let _ = ring(queue, task(n)).await;
    }
    assert_eq!(ring(queue, task(1)).await, Queued::Merged);
    let held = one(queue).await;
    assert_eq!(ring(queue, held.task).await, Queued::Queued);
    assert_eq!(queue.dropped(), 0);
}

/// What somebody has in hands keeps its place: it can always be given back. Guard: `QueueGuard::PlaceKept`.
pub async fn a_task_in_somebodys_hands_keeps_its_place(queue: &Queue, _: &ManualClock) {
    for n in 1..=CAPACITY {
        let _ = ring(queue, task(n)).await;
    }
    let delivery = one(queue).await;
    assert_eq!(ring(queue, task(CAPACITY + 1)).await, Queued::Dropped);
    let outcome = queue
        .nack(&delivery.receipt, Duration::ZERO, "busy")
        .await
        .unwrap();
    assert_eq!(outcome, ReceiptOutcome::Done);
    assert_eq!(numbers(queue, 100).await.len(), usize::from(CAPACITY));
}
