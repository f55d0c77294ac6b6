//! What the rules begin with: tasks, deliveries.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use nebula_core::{Clock, ExecutionId, Priority, TenantId, WorkflowId};
use nebula_ports::{Delivery, Queued, Receipt, ReceiptOutcome, Task, TaskQueue};

use tokio::task::JoinSet;

use crate::ManualClock;

pub(super) type Queue = Arc<dyn TaskQueue>;

pub(super) const SECOND: Duration = Duration::from_secs(1);
/// How long a delivery is invisible.
pub(super) const VISIBILITY: Duration = Duration::from_secs(30);

/// Task `n` of the tenant with this name.
pub(super) fn task_of(tenant: &str, n: u8, priority: Priority) -> Task {
    let tenant = TenantId::new(tenant).unwrap();
    Task {
        tenant,
        execution: ExecutionId::from_bytes([n; 16]),
        workflow: WorkflowId::new("orders").unwrap(),
        priority,
        group: nebula_core::Group::default(),
    }
}

/// Task `n` of the workflow with this name.
pub(super) fn task_in(workflow: &str, n: u8) -> Task {
    Task {
        workflow: WorkflowId::new(workflow).unwrap(),
        ..task(n)
    }
}

pub(super) fn task(n: u8) -> Task {
    task_of("local", n, Priority::Normal)
}

pub(super) async fn ring(queue: &Queue, task: Task) -> Queued {
    queue.ring(task, Duration::ZERO).await.unwrap()
}

/// What is there now.
pub(super) async fn receive(queue: &Queue, max: usize) -> Vec<Delivery> {
    queue
        .receive(max, Duration::ZERO, VISIBILITY)
        .await
        .unwrap()
}

/// The one that is there now.
pub(super) async fn one(queue: &Queue) -> Delivery {
    let mut taken = receive(queue, 1).await;
    assert_eq!(taken.len(), 1, "there is no task");
    taken.remove(0)
}

/// The numbers of the tasks that are there now.
pub(super) async fn numbers(queue: &Queue, max: usize) -> Vec<u8> {
    receive(queue, max).await.iter().map(number).collect()
}

pub(super) fn number(delivery: &Delivery) -> u8 {
    delivery.task.execution.as_bytes()[0]
}

pub(super) async fn ack(queue: &Queue, receipt: &Receipt) -> ReceiptOutcome {
    let outcomes = queue.ack(std::slice::from_ref(receipt)).await.unwrap();
    assert_eq!(outcomes.len(), 1);
    outcomes[0]
}

/// Gives task `n` back until it is dead, with `reason` at last.
pub(super) async fn kill(queue: &Queue, n: u8, reason: &str) {
    let _ = ring(queue, task(n)).await;
    for round in 1..=super::MAX_DELIVERIES {
        let delivery = one(queue).await;
        let reason = if round == super::MAX_DELIVERIES {
            reason
        } else {
            "not yet"
        };
        let _ = queue
            .nack(&delivery.receipt, Duration::ZERO, reason)
            .await
            .unwrap();
    }
}

pub(super) async fn dead(queue: &Queue) -> Vec<(u8, String)> {
    let dead = queue.dead(100).await.unwrap();
    dead.into_iter()
        .map(|(task, reason)| (task.execution.as_bytes()[0], reason))
        .collect()
}

/// What each of so many receivers got, and when, who began to wait before `meanwhile`; an hour passes
/// from sleeper to sleeper. `None` is one that still waits then. So many more wait elsewhere.
pub(super) async fn waiting(
    queue: &Queue,
    clock: &ManualClock,
    receivers: usize,
    meanwhile: impl Future<Output = ()>,
) -> Vec<Option<(Duration, Vec<u8>)>> {
    let hour = Duration::from_hours(1);
    let mut tasks = JoinSet::new();
    let already = clock.sleepers();
    for index in 0..receivers {
        let (queue, clock) = (Arc::clone(queue), clock.clone());
        tasks.spawn(async move {
            let taken = queue.receive(1, hour * 2, VISIBILITY).await.unwrap();
            (index, clock.monotonic(), taken.iter().map(number).collect())
        });
    }
    asleep(clock, already + receivers).await;
    meanwhile.await;
    let mut got = vec![None; receivers];
    loop {
        settle(clock, &mut tasks, |(index, at, numbers)| {
            got[index] = Some((at, numbers));
        })
        .await;
        let goes_on = clock
            .next_wake()
            .is_some_and(|next| clock.monotonic() + next <= hour);
        if !goes_on || !clock.advance_to_next() {
            return got;
        }
    }
}

/// Lets every one of these run until it is done or sleeps.
pub(super) async fn settle<T: 'static>(
    clock: &ManualClock,
    tasks: &mut JoinSet<T>,
    mut done: impl FnMut(T),
) {
    let mut turns = Turns::default();
    loop {
        while let Some(task) = tasks.try_join_next() {
            done(task.unwrap());
        }
        if turns.enough() && clock.sleepers() >= tasks.len() {
            return;
        }
        turns.next().await;
    }
}

/// Lets everything run until so many sleep.
pub(super) async fn asleep(clock: &ManualClock, sleepers: usize) {
    let mut turns = Turns::default();
    while !turns.enough() || clock.sleepers() < sleepers {
        turns.next().await;
    }
}

/// How often the others had their turn. What a server answers takes longer than a few turns.
struct Turns {
    taken: u32,
    begun: Instant,
}

impl Default for Turns {
    #[expect(
        clippy::disallowed_methods,
        reason = "a server that never answers ends a test"
    )]
    fn default() -> Self {
        Self {
            taken: 0,
            begun: Instant::now(),
        }
    }
}

impl Turns {
    /// A wake-up may lead to another, but not to many.
    fn enough(&self) -> bool {
        self.taken >= 16
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a server that never answers ends a test"
    )]
    async fn next(&mut self) {
        self.taken += 1;
        assert!(
            self.begun.elapsed() < Duration::from_secs(30),
            "somebody neither ends nor sleeps"
        );
        tokio::task::yield_now().await;
    }
}
