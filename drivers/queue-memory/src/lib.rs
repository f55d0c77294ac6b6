//! A bounded doorbell in the memory of one process.
//!
//! [`MemoryQueue`] is the `TaskQueue` of the desktop preset, and of a server without another queue.
//! What it loses with its process, the sweep over the store brings back. Start reading at [`MemoryQueue`].
//!
//! Does not know: what a task leads to, who sweeps.
//!
//! # Invariants
//! - Every call costs O(log n) for each task that it touches; memory is bounded by the capacity.
//! - A receiver that waits sleeps until the next task is due, and one is woken for each task more, or when that becomes earlier:
//!   nothing polls, no wake-up is lost.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use nebula_core::{ExecutionId, Group, Priority, TenantId, WorkflowId};
//! use nebula_ports::{Task, TaskQueue};
//! use nebula_queue_memory::{MemoryQueue, MemoryQueueConfig};
//! use nebula_testkit::{ManualClock, run};
//!
//! let queue = MemoryQueue::new(MemoryQueueConfig::default(), Arc::new(ManualClock::default()));
//! let execution = ExecutionId::from_bytes([7; 16]);
//! run(async {
//!     let task = Task {
//!         tenant: TenantId::local(),
//!         execution,
//!         workflow: WorkflowId::new("orders").unwrap(),
//!         priority: Priority::Normal,
//!         group: Group::default(),
//!     };
//!     let _ = queue.ring(task.clone(), Duration::ZERO).await.unwrap();
//!     let taken = queue.receive(1, Duration::ZERO, Duration::from_secs(30)).await.unwrap();
//!     assert_eq!(taken[0].task, task);
//! });
//! ```

mod config;
mod line;
mod queue;
mod sync;
#[cfg(test)]
mod threads;

pub use config::MemoryQueueConfig;
pub use queue::MemoryQueue;
