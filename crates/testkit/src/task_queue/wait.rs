//! Rules of waiting.

use std::{sync::Arc, time::Duration};

use nebula_core::Clock;

use super::fixture::*;
use crate::ManualClock;

/// A receiver that waits gets what is rung meanwhile, at once. Guard: `QueueGuard::WakeByRing`.
pub async fn a_waiting_receiver_is_woken_by_a_ring(queue: &Queue, clock: &ManualClock) {
    let got = waiting(queue, clock, 1, async {
        let _ = ring(queue, task(1)).await;
    })
    .await;
    assert_eq!(got, [Some((Duration::ZERO, vec![1]))]);
}

/// A ring wakes one of those who wait; one more may look to learn what is due next. A thousand who look for one task
/// are what a server that many share is busy with otherwise. Guard: `QueueGuard::WakeOne`.
pub async fn a_ring_wakes_one_of_those_who_wait(queue: &Queue, clock: &ManualClock) {
    let got = waiting(queue, clock, 6, async {
        let before = clock.slept();
        let _ = ring(queue, task(1)).await;
        asleep(clock, 5).await;
        let looked = clock.slept() - before;
        assert!(looked <= 1, "{looked} looked in vain");
    })
    .await;
    let at_once = got.into_iter().flatten().filter(|(at, _)| at.is_zero());
    assert_eq!(at_once.collect::<Vec<_>>(), [(Duration::ZERO, vec![1])]);
}

/// Each ring wakes another, also where one was told and has not come yet. Guard: `QueueGuard::WakeEach`.
pub async fn each_ring_wakes_another_that_waits(queue: &Queue, clock: &ManualClock) {
    let got = waiting(queue, clock, 3, async {
        for n in 1..=3 {
            let _ = ring(queue, task(n)).await;
        }
    })
    .await;
    let mut got: Vec<_> = got.into_iter().flatten().collect();
    got.sort();
    assert_eq!(got, [1, 2, 3].map(|n| (Duration::ZERO, vec![n])));
}

/// A receiver that waits gets what becomes due, when it becomes due. Guard: `QueueGuard::WakeByTime`.
pub async fn a_waiting_receiver_is_woken_by_time(queue: &Queue, clock: &ManualClock) {
    let _ = queue.ring(task(1), SECOND * 40).await.unwrap();
    let _ = ring(queue, task(2)).await;
    let _ = one(queue).await;
    let got = waiting(queue, clock, 2, async {}).await;
    let mut got: Vec<_> = got.into_iter().flatten().collect();
    got.sort();
    assert_eq!(got, [(VISIBILITY, vec![2]), (SECOND * 40, vec![1])]);
}

/// What is rung for later is known at once to one that waits, and is known when that one has gone to work.
/// Guard: `QueueGuard::WakeByTime`.
pub async fn those_who_wait_know_when_something_is_due(queue: &Queue, clock: &ManualClock) {
    let (soon, later) = (SECOND * 3 / 10, SECOND * 77 / 10);
    let got = waiting(queue, clock, 3, async {
        let _ = queue.ring(task(1), later).await.unwrap();
        let _ = queue.ring(task(2), soon).await.unwrap();
    })
    .await;
    let mut got: Vec<_> = got.into_iter().flatten().collect();
    got.sort();
    assert_eq!(got[..2], [(soon, vec![2]), (later, vec![1])]);
}

/// A receiver that waits gets what another gives back. Guard: `QueueGuard::WakeByNack`.
pub async fn a_waiting_receiver_is_woken_by_a_task_given_back(queue: &Queue, clock: &ManualClock) {
    let _ = ring(queue, task(1)).await;
    let delivery = one(queue).await;
    let got = waiting(queue, clock, 1, async {
        let _ = queue.nack(&delivery.receipt, SECOND, "busy").await.unwrap();
    })
    .await;
    assert_eq!(got, [Some((SECOND, vec![1]))]);
}

/// A receiver that goes away takes no wake-up from those who stay. Guard: `QueueGuard::WakeNext`.
pub async fn a_receiver_that_went_away_takes_no_wake_up_with_it(
    queue: &Queue,
    clock: &ManualClock,
) {
    let mut first = tokio::task::JoinSet::new();
    let leaves = Arc::clone(queue);
    first.spawn(async move { leaves.receive(1, SECOND * 100, VISIBILITY).await });
    asleep(clock, 1).await;
    let got = waiting(queue, clock, 1, async {
        let _ = queue.ring(task(1), SECOND * 20).await.unwrap();
        // The first has heard of the ring, and goes before it is due.
        asleep(clock, 2).await;
        first.abort_all();
        while first.join_next().await.is_some() {}
    })
    .await;
    assert_eq!(got, [Some((SECOND * 20, vec![1]))]);
}

/// A receiver that gets nothing goes when its time is over. Guard: `QueueGuard::WaitEnds`.
pub async fn a_receiver_waits_only_so_long(queue: &Queue, clock: &ManualClock) {
    let mut tasks = tokio::task::JoinSet::new();
    let waits = Arc::clone(queue);
    tasks.spawn(async move { waits.receive(1, SECOND * 5, VISIBILITY).await });
    asleep(clock, 1).await;
    clock.advance(SECOND * 4);
    settle(clock, &mut tasks, |_| panic!("its time is not over")).await;
    clock.advance(SECOND);
    let mut got = None;
    settle(clock, &mut tasks, |taken| got = Some(taken.unwrap())).await;
    assert_eq!(
        (got, clock.monotonic()),
        (Some(vec![]), SECOND * 5),
        "its time is over"
    );
}
