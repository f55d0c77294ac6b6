//! The rules of the port on a real server, and agreement with the model.

mod server;

use std::sync::Arc;

use nebula_core::Clock;
use nebula_ports::TaskQueue;
use nebula_testkit::{
    agree,
    task_queue::{CAPACITY, MAX_DELIVERIES},
};
use server::{address, config, open};

/// An empty queue that takes its time from `clock`.
async fn queue(clock: Arc<dyn Clock>) -> Arc<dyn TaskQueue> {
    let address = address().expect("it was there before");
    let config = config(usize::from(CAPACITY), MAX_DELIVERIES);
    Arc::new(open(&address, &config, clock).await.timed_by_clock())
}

nebula_testkit::task_queue!(if address().is_some(), |clock| queue(clock));

#[test]
fn ten_thousand_random_operations_agree_with_the_model() {
    if address().is_none() {
        return;
    }
    for seed in 1..=10 {
        agree::task_queues(seed, 1_000, |clock| queue(clock));
    }
}
