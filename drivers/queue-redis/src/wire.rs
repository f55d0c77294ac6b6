//! What goes to the scripts and comes from them.

use std::time::Duration;

use nebula_core::{Group, Priority, TenantId, WorkflowId};
use nebula_ports::{Delivery, ErrorKind, PortError, Receipt, Result, Task};

use crate::error::DRIVER;

/// Under which a task lies: `tenant/execution`.
pub(crate) fn key(task: &Task) -> String {
    format!("{}/{}", task.tenant, task.execution)
}

/// Whole microseconds, no more than a script counts.
pub(crate) fn micros(time: Duration) -> u64 {
    const MOST: u64 = (1 << 53) - 1;
    u64::try_from(time.as_micros()).unwrap_or(MOST).min(MOST)
}

/// The first bytes of a text, at most so many.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// A task that a script tells of.
pub(crate) fn task(
    operation: &'static str,
    key: &str,
    workflow: &str,
    priority: u8,
) -> Result<Task> {
    let task = || {
        let (tenant, execution) = key.split_once('/')?;
        Some(Task {
            tenant: TenantId::new(tenant).ok()?,
            execution: execution.parse().ok()?,
            workflow: WorkflowId::new(workflow).ok()?,
            priority: Priority::from_number(priority)?,
            // Each group has a queue of its own: whoever opened this one knows whose it is.
            group: Group::default(),
        })
    };
    task().ok_or_else(|| {
        let message = "the queue holds something that is no task: remove its keys, and the sweep fills it again";
        PortError::new(ErrorKind::Corrupt, DRIVER, operation, message)
    })
}

/// Key, workflow, priority, delivery count, receipt.
pub(crate) type Taken = (String, String, u8, u32, String);

pub(crate) fn delivery(
    (key, workflow, priority, delivery_count, receipt): Taken,
) -> Result<Delivery> {
    Ok(Delivery {
        task: task("receive", &key, &workflow, priority)?,
        receipt: Receipt(receipt),
        delivery_count,
    })
}
