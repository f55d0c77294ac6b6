//! Queues on the server of this test binary.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use nebula_core::{Clock, ExecutionId, Priority, SecretString, TenantId, WorkflowId};
use nebula_ports::Task;
use nebula_queue_redis::{RedisQueue, RedisQueueConfig, RedisServer};
use nebula_system::SystemEntropy;
use nebula_testkit::servers::{Redis, TestRedis};

pub(crate) static SERVER: TestRedis = TestRedis::new();

/// A queue that nobody else has, with room for so many.
pub(crate) fn config(capacity: usize, max_deliveries: u32) -> RedisQueueConfig {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    RedisQueueConfig {
        name,
        capacity: capacity.try_into().unwrap(),
        max_deliveries: max_deliveries.try_into().unwrap(),
    }
}

pub(crate) async fn open(
    server: &Redis,
    config: &RedisQueueConfig,
    clock: Arc<dyn Clock>,
) -> RedisQueue {
    let address = SecretString::from(server.address());
    let at = RedisServer::at(&address).unwrap();
    let opened = RedisQueue::open(at, config.clone(), clock, &SystemEntropy);
    opened.await.unwrap()
}

pub(crate) fn task(n: u32) -> Task {
    Task {
        tenant: TenantId::local(),
        execution: ExecutionId::from_bytes(u128::from(n).to_be_bytes()),
        workflow: WorkflowId::new("orders").unwrap(),
        priority: Priority::Normal,
        group: nebula_core::Group::default(),
    }
}
