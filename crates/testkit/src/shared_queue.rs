//! What a queue that many processes share does for those who wait, each over a connection of its own: whom a ring
//! wakes, and what becomes of one that was woken and does not come.
//!
//! Each takes a way to open a queue: the same one each time, timed by the clock that it is given.

use std::{future::Future, sync::Arc, time::Duration};

use nebula_core::{Clock, ExecutionId, Priority, TenantId, WorkflowId};
use nebula_ports::{Delivery, PortError, Task, TaskQueue};
use tokio::task::JoinSet;

use crate::ManualClock;

const HOUR: Duration = Duration::from_secs(3_600);
const NOW: Duration = Duration::ZERO;

type Waiting = JoinSet<Result<Vec<Delivery>, PortError>>;

fn task(n: u32) -> Task {
    Task {
        tenant: TenantId::local(),
        execution: ExecutionId::from_bytes(u128::from(n).to_be_bytes()),
        workflow: WorkflowId::new("orders").expect("an id"),
        priority: Priority::Normal,
        group: nebula_core::Group::default(),
    }
}

/// One more that waits for a task, and is asleep; with it its connection ends.
async fn one_more<O: Future<Output = Arc<dyn TaskQueue>>>(
    open: &impl Fn(ManualClock) -> O,
    clock: &ManualClock,
    waiting: &mut Waiting,
) {
    let queue = open(clock.clone()).await;
    let asleep = clock.sleepers() + 1;
    waiting.spawn(async move { queue.receive(1, HOUR, HOUR).await });
    while clock.sleepers() < asleep {
        tokio::task::yield_now().await;
    }
}

/// Lets the others go on; who waits next waits for a shorter time.
async fn turns(clock: &ManualClock) {
    clock.advance(Duration::from_micros(10));
    for _ in 0..20_000 {
        tokio::task::yield_now().await;
    }
}

/// Rings a hundred times where so many wait, and says how often one of them looked and found nothing: never, or once
/// for each ring and each that waits, where all are woken. `rung` hears of each ring that was answered.
///
/// # Panics
/// A call fails, or a ring wakes nobody.
pub async fn looks_in_vain_at_a_hundred_rings<O: Future<Output = Arc<dyn TaskQueue>>>(
    open: impl Fn(ManualClock) -> O,
    number: usize,
    mut rung: impl FnMut(u32),
) -> u64 {
    let (clock, mut waiting) = (ManualClock::default(), Waiting::new());
    for _ in 0..number {
        one_more(&open, &clock, &mut waiting).await;
    }
    let rings = open(clock.clone()).await;
    let mut in_vain = 0;
    for n in 0..100 {
        let before = clock.slept();
        let _ = rings.ring(task(n), NOW).await.expect("it answers");
        let taken = waiting.join_next().await.expect("some wait");
        let taken = taken.expect("it ends").expect("it answers");
        assert_eq!(taken[0].task, task(n));
        turns(&clock).await;
        in_vain += clock.slept() - before;
        rung(n);
        one_more(&open, &clock, &mut waiting).await;
    }
    in_vain
}

/// One that ended is not told, or another one at once.
///
/// # Panics
/// A call fails, or the one that stays hears nothing.
pub async fn of_one_that_ended_the_next_hears_at_once<O: Future<Output = Arc<dyn TaskQueue>>>(
    open: impl Fn(ManualClock) -> O,
) {
    let clock = ManualClock::default();
    let (mut watches, mut ends, mut stays) = (Waiting::new(), Waiting::new(), Waiting::new());
    for waiting in [&mut watches, &mut ends, &mut stays] {
        one_more(&open, &clock, waiting).await;
        turns(&clock).await;
    }
    let rings = open(clock.clone()).await;
    ends.shutdown().await;
    // Until the server has heard of the end, too.
    turns(&clock).await;
    let _ = rings.ring(task(1), NOW).await.expect("it answers");
    for _ in 0..50 {
        turns(&clock).await;
        if let Some(taken) = stays.try_join_next() {
            let taken = taken.expect("it ends").expect("it answers");
            assert_eq!(taken[0].task, task(1));
            return;
        }
    }
    panic!("only one that is gone was told");
}

/// Who waits looks by itself, too: those who stand still in front of the others, as one that watches, one that is told, or
/// both, hold them up so long only as is said.
///
/// # Panics
/// A call fails, or nobody looks by itself.
pub async fn of_one_that_stands_still_others_take_the_work<
    O: Future<Output = Arc<dyn TaskQueue>>,
>(
    open: impl Fn(ManualClock) -> O,
    (watching, told): (bool, bool),
) -> Duration {
    let (clock, mut waiting) = (ManualClock::default(), Waiting::new());
    let mut still = Vec::new();
    for stands_still in [watching, told, false] {
        turns(&clock).await;
        if !stands_still {
            one_more(&open, &clock, &mut waiting).await;
            continue;
        }
        let queue = open(clock.clone()).await;
        let mut call = Box::pin(async move { queue.receive(1, HOUR, HOUR).await });
        let asleep = clock.sleepers() + 1;
        while clock.sleepers() < asleep {
            tokio::select! {
                biased;
                _ = &mut call => panic!("there is nothing yet"),
                () = tokio::task::yield_now() => {}
            }
        }
        still.push(call);
    }
    let rings = open(clock.clone()).await;
    let _ = rings.ring(task(1), NOW).await.expect("it answers");
    let rung = clock.monotonic();
    let taken = 'taken: loop {
        // A server that is slow just now answers within one of them; else time would go on while somebody looks.
        for _ in 0..8 {
            turns(&clock).await;
            if let Some(taken) = waiting.try_join_next() {
                break 'taken taken.expect("it ends").expect("it answers");
            }
        }
        assert!(clock.advance_to_next(), "nobody looks any more");
        assert!(clock.monotonic() < HOUR / 2, "nobody looks by itself");
    };
    assert_eq!(taken[0].task, task(1));
    clock.monotonic().saturating_sub(rung)
}
