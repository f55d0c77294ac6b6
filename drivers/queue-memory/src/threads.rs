//! The queue among threads whose order chance decides.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::{Either, select};
use nebula_core::{ExecutionId, Priority, TenantId, WorkflowId};
use nebula_ports::{Delivery, Queued, ReceiptOutcome, Task, TaskQueue};
use nebula_testkit::{ManualClock, threads::check};
use shuttle::{
    future::{block_on, yield_now},
    thread,
};

use crate::{MemoryQueue, MemoryQueueConfig};

/// Longer than any test: the clock stands still.
const LONG: Duration = Duration::from_secs(3_600);

fn queue(capacity: usize) -> Arc<MemoryQueue> {
    let config = MemoryQueueConfig {
        capacity: capacity.try_into().unwrap(),
        ..MemoryQueueConfig::default()
    };
    Arc::new(MemoryQueue::new(config, Arc::new(ManualClock::default())))
}

fn task(n: u8) -> Task {
    Task {
        tenant: TenantId::local(),
        execution: ExecutionId::from_bytes([n; 16]),
        workflow: WorkflowId::new("orders").unwrap(),
        priority: Priority::Normal,
        group: nebula_core::Group::default(),
    }
}

/// Rings, where there may be no room.
fn try_ring(queue: &MemoryQueue, n: u8) -> Queued {
    block_on(queue.ring(task(n), Duration::ZERO)).unwrap()
}

fn ring(queue: &MemoryQueue, n: u8) {
    assert_ne!(try_ring(queue, n), Queued::Dropped);
}

/// Waits for one task.
fn receive(queue: &MemoryQueue) -> Delivery {
    let mut taken = block_on(queue.receive(1, LONG, LONG)).unwrap();
    taken.pop().expect("nobody waits until the end of time")
}

fn ack(queue: &MemoryQueue, delivery: Delivery) -> ReceiptOutcome {
    block_on(queue.ack(&[delivery.receipt])).unwrap()[0]
}

/// Guard: a receiver listens before it looks, and whoever makes something due wakes those who wait.
#[test]
fn no_wake_up_is_lost() {
    check(|| {
        let queue = queue(8);
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || receive(&queue).task.execution)
            })
            .collect();
        let ringers: Vec<_> = (1..=2)
            .map(|n| {
                let queue = queue.clone();
                thread::spawn(move || ring(&queue, n))
            })
            .collect();
        for ringer in ringers {
            ringer.join().unwrap();
        }
        let mut taken: Vec<_> = receivers
            .into_iter()
            .map(|receiver| receiver.join().unwrap())
            .collect();
        taken.sort_unstable();
        assert_eq!(taken, [task(1).execution, task(2).execution]);
    });
}

/// Guard: one that was woken and goes away leaves its wake-up to another.
#[test]
fn who_goes_away_takes_no_wake_up_along() {
    check(|| {
        let queue = queue(8);
        let patient = {
            let queue = queue.clone();
            thread::spawn(move || receive(&queue))
        };
        let impatient = {
            let queue = queue.clone();
            thread::spawn(move || {
                let taken = queue.receive(1, LONG, LONG);
                match block_on(select(taken, pin!(yield_now()))) {
                    Either::Left((taken, _)) => taken.unwrap(),
                    Either::Right(_) => Vec::new(),
                }
            })
        };
        ring(&queue, 1);
        for delivery in impatient.join().unwrap() {
            // It was quick, and works; there is another for the one who waits.
            assert_eq!(ack(&queue, delivery), ReceiptOutcome::Done);
            ring(&queue, 1);
        }
        assert_eq!(patient.join().unwrap().task, task(1));
    });
}

/// Guard: a ring for a task in somebody's hands is kept for the time after its ack.
#[test]
fn a_ring_that_meets_an_ack_is_not_lost() {
    const RINGS: u32 = 3;
    check(|| {
        let (queue, open) = (queue(8), Arc::new(AtomicU32::new(0)));
        let ringer = {
            let (queue, open) = (queue.clone(), open.clone());
            thread::spawn(move || {
                for _ in 0..RINGS {
                    open.fetch_add(1, SeqCst);
                    ring(&queue, 1);
                }
            })
        };
        let mut done = 0;
        while done < RINGS {
            let delivery = receive(&queue);
            done += open.swap(0, SeqCst);
            assert_eq!(ack(&queue, delivery), ReceiptOutcome::Done);
        }
        ringer.join().unwrap();
    });
}

/// Guard: a task that is taken leaves the line in the same breath.
#[test]
fn nobody_gets_what_another_has_in_hands() {
    check(|| {
        let (queue, hands) = (queue(8), Arc::new(AtomicU32::new(0)));
        ring(&queue, 1);
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let (queue, hands) = (queue.clone(), hands.clone());
                thread::spawn(move || {
                    let delivery = receive(&queue);
                    assert_eq!(hands.fetch_add(1, SeqCst), 0, "two have it");
                    ring(&queue, 1);
                    hands.fetch_sub(1, SeqCst);
                    assert_eq!(ack(&queue, delivery), ReceiptOutcome::Done);
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// Guard: room is taken and given back under the lock.
#[test]
fn there_is_never_more_than_there_is_room_for() {
    check(|| {
        let queue = queue(2);
        let ringers: Vec<_> = (1..=3)
            .map(|n| {
                let queue = queue.clone();
                thread::spawn(move || try_ring(&queue, n))
            })
            .collect();
        let answers: Vec<_> = ringers
            .into_iter()
            .map(|ringer| ringer.join().unwrap())
            .collect();
        let dropped = answers.iter().filter(|it| **it == Queued::Dropped).count();
        assert_eq!((dropped, queue.dropped()), (1, 1));
        let taken = block_on(queue.receive(8, Duration::ZERO, LONG)).unwrap();
        assert_eq!(taken.len(), 2);
    });
}

/// Guard: an answer closes its receipt.
#[test]
fn of_two_answers_one_counts() {
    check(|| {
        let queue = queue(8);
        ring(&queue, 1);
        let delivery = receive(&queue);
        let other = {
            let (queue, receipt) = (queue.clone(), delivery.receipt.clone());
            thread::spawn(move || {
                block_on(queue.nack(&receipt, Duration::ZERO, "not now")).unwrap()
            })
        };
        let mine = ack(&queue, delivery);
        let done = |outcome| outcome == ReceiptOutcome::Done;
        assert!(done(mine) != done(other.join().unwrap()));
    });
}
