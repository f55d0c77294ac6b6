//! Queues in the database of this test binary.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, Ordering},
};

use nebula_core::{Clock, ExecutionId, Priority, TenantId, WorkflowId};
use nebula_ports::Task;
use nebula_postgres::Address;
use nebula_queue_postgres::{PostgresQueue, PostgresQueueConfig};
use nebula_system::SystemEntropy;
use nebula_testkit::servers::{Database, TestPostgres};

static SERVER: TestPostgres = TestPostgres::new();

/// A database for all tests of the binary, which keep apart by the names of their queues.
pub(crate) fn address() -> Option<String> {
    static DATABASE: OnceLock<Option<Database<'static>>> = OnceLock::new();
    let database = DATABASE.get_or_init(|| Some(SERVER.get()?.database()));
    database.as_ref().map(Database::address)
}

/// A queue that nobody else has, with room for so many.
pub(crate) fn config(capacity: usize, max_deliveries: u32) -> PostgresQueueConfig {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    PostgresQueueConfig {
        name,
        capacity: capacity.try_into().unwrap(),
        max_deliveries: max_deliveries.try_into().unwrap(),
        listen: true,
    }
}

pub(crate) async fn open(
    address: &str,
    config: &PostgresQueueConfig,
    clock: Arc<dyn Clock>,
) -> PostgresQueue {
    let address = Address::parse(address, &[]).unwrap();
    let opened = PostgresQueue::open(address, config.clone(), clock, &SystemEntropy);
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
