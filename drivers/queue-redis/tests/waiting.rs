//! Many who wait for one queue, each with a connection of its own.

mod server;

use std::{future::Future, sync::Arc, time::Duration};

use nebula_ports::TaskQueue;
use nebula_testkit::{ManualClock, run, servers::Redis, shared_queue};
use server::{SERVER, config, open};

/// How to open a queue that nobody else has.
fn queue<'s>(server: &'s Redis) -> impl Fn(ManualClock) -> One<'s> {
    let config = config(1_000, 3);
    move |clock| {
        let config = config.clone();
        Box::pin(async move {
            let queue = open(server, &config, Arc::new(clock)).await;
            Arc::new(queue.timed_by_clock()) as _
        })
    }
}

type One<'s> = std::pin::Pin<Box<dyn Future<Output = Arc<dyn TaskQueue>> + 's>>;

/// How many scripts the server ran.
fn scripts(server: &Redis) -> u64 {
    let stats = server.asked(&["INFO", "commandstats"]);
    let mut lines = stats.lines();
    let calls = lines.find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    let calls = calls.and_then(|line| line.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

/// Guard: one is told of a ring. If all were, each ring here would cost fifty looks.
#[test]
fn a_ring_costs_a_look_whatever_number_waits() {
    let Some(server) = Redis::start(&[]) else {
        return;
    };
    let mut calls = Vec::new();
    let in_vain = run(shared_queue::looks_in_vain_at_a_hundred_rings(
        queue(&server),
        50,
        |_| calls.push(scripts(&server)),
    ));
    // Between two rings one more comes to wait, and is the third call.
    let calls = (calls[99] - calls[0]) / 99 - 1;
    // Now and then another one has to watch the time.
    assert!(calls == 2 && in_vain <= 10, "{calls} {in_vain}");
}

/// Guard: the server says whether somebody listens, and the next is told where nobody does.
#[test]
fn of_one_that_ended_the_next_hears_at_once() {
    let Some(server) = SERVER.get() else { return };
    run(shared_queue::of_one_that_ended_the_next_hears_at_once(
        queue(server),
    ));
}

/// Guards: one watches, and looks by itself each second; the others do so, too, after ten.
#[test]
fn of_one_that_stands_still_others_take_the_work() {
    let Some(server) = SERVER.get() else { return };
    let held_up = |still| {
        run(shared_queue::of_one_that_stands_still_others_take_the_work(
            queue(server),
            still,
        ))
    };
    let second = Duration::from_secs(1);
    assert!(held_up((true, false)) <= second);
    assert!(held_up((false, true)) <= second);
    assert!(held_up((true, true)) <= second * 11);
}
