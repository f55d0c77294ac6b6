//! Many who wait for one queue, each with a connection of its own.

mod server;

use std::{future::Future, sync::Arc, time::Duration};

use nebula_ports::TaskQueue;
use nebula_testkit::{ManualClock, run, shared_queue};
use server::{address, config, open};

/// How to open a queue that nobody else has.
fn queue(address: String) -> impl Fn(ManualClock) -> One {
    let config = config(1_000, 3);
    move |clock| {
        let (address, config) = (address.clone(), config.clone());
        Box::pin(async move {
            let queue = open(&address, &config, Arc::new(clock)).await;
            Arc::new(queue.timed_by_clock()) as _
        })
    }
}

type One = std::pin::Pin<Box<dyn Future<Output = Arc<dyn TaskQueue>>>>;

/// Guard: one is told of a ring. If all were, each ring here would cost thirty looks.
#[test]
fn a_ring_costs_a_look_whatever_number_waits() {
    let Some(address) = address() else { return };
    let in_vain = run(shared_queue::looks_in_vain_at_a_hundred_rings(
        queue(address),
        30,
        |_| {},
    ));
    // Now and then another one has to watch the time.
    assert!(in_vain <= 10, "{in_vain}");
}

/// Guards: one watches, and looks by itself each second; the others do so, too, after ten.
#[test]
fn of_one_that_stands_still_others_take_the_work() {
    let Some(address) = address() else { return };
    let held_up = |still| {
        run(shared_queue::of_one_that_stands_still_others_take_the_work(
            queue(address.clone()),
            still,
        ))
    };
    let second = Duration::from_secs(1);
    assert!(held_up((true, false)) <= second);
    assert!(held_up((false, true)) <= second);
    assert!(held_up((true, true)) <= second * 11);
}
