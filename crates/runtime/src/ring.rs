//! Rings for executions of which only the id is known.

use std::{sync::Arc, time::Duration};

use nebula_core::{ExecutionId, TenantId};
use nebula_ports::{ExecutionRepo, PortError, Task, TaskQueue};
use tracing::debug;

use crate::worker::WorkerPorts;

/// What a ring asks of the world.
pub(crate) struct Bell {
    executions: Arc<dyn ExecutionRepo>,
    queue: Arc<dyn TaskQueue>,
}

impl Bell {
    pub(crate) fn new(ports: &WorkerPorts) -> Self {
        Self {
            executions: ports.executions.clone(),
            queue: ports.queue.clone(),
        }
    }

    /// Rings for an execution; its place in the queue follows from its workflow and priority. A ring
    /// that is lost costs time only.
    pub(crate) async fn ring(&self, tenant: &TenantId, execution: ExecutionId) {
        let rung = async {
            let Some(summary) = self.executions.get(tenant, execution).await? else {
                return Ok(());
            };
            let task = Task {
                tenant: tenant.clone(),
                execution,
                workflow: summary.workflow,
                priority: summary.priority,
                group: summary.labels.group(),
            };
            let _ = self.queue.ring(task, Duration::ZERO).await?;
            Ok::<_, PortError>(())
        };
        if let Err(error) = rung.await {
            debug!(%execution, %error, "could not ring");
        }
    }
}
