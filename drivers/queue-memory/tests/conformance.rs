//! The rules of the port, and agreement with the model.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
};

use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
use nebula_testkit::{
    agree,
    task_queue::{CAPACITY, MAX_DELIVERIES},
};

fn config() -> MemoryQueueConfig {
    MemoryQueueConfig {
        capacity: NonZeroUsize::new(usize::from(CAPACITY)).unwrap(),
        max_deliveries: NonZeroU32::new(MAX_DELIVERIES).unwrap(),
    }
}

nebula_testkit::task_queue!(|clock| async move {
    Arc::new(MemoryQueue::new(config(), clock)) as Arc<_>
});

#[test]
fn ten_thousand_random_operations_agree_with_the_model() {
    for seed in 1..=10 {
        agree::task_queues(seed, 1_000, |clock| async move {
            Arc::new(MemoryQueue::new(config(), clock)) as Arc<_>
        });
    }
}
