//! The rules of the ports, each on a database of its own.
#![cfg(unix)]

mod support;

use std::sync::Arc;

use nebula_ports::ExecutionRepo;
use nebula_testkit::{ManualClock, MemoryExecutionRepo};
use support::{database, open};

/// Over PostgreSQL; where there is none, which was said loudly, over the model of the port.
async fn executions(clock: Arc<ManualClock>) -> Arc<dyn ExecutionRepo> {
    match database() {
        Some(address) => open(&address, Some(clock)).await,
        None => Arc::new(MemoryExecutionRepo::new(clock)),
    }
}

nebula_testkit::execution_repo!(executions);
