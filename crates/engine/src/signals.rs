//! What people and programs say to executions.

use std::time::Duration;

use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{InstanceId, NamedSignal, Signal, UnparkDecision};
use nebula_ports::{DedupeKey, NewSignal, PortError, Signalled, Task};
use tracing::debug;

use crate::Engine;

impl Engine {
    /// Puts a signal into an execution's inbox and rings for it. Without a dedupe key every call counts.
    ///
    /// # Errors
    /// The store failed; with a dedupe key the call can be repeated safely.
    pub async fn signal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        signal: &Signal,
        dedupe: Option<DedupeKey>,
    ) -> Result<Signalled, PortError> {
        let (kind, payload) = signal.to_inbox();
        let dedupe = dedupe.unwrap_or_else(|| DedupeKey(self.ports.entropy.uuid().to_string()));
        let new = NewSignal {
            kind: kind.to_owned(),
            payload,
            dedupe,
        };
        let signalled = self.ports.executions.signal(tenant, execution, new).await?;
        if let Signalled::Delivered { .. } = signalled {
            self.wake(tenant, execution).await;
        }
        Ok(signalled)
    }

    /// Asks an execution to end early.
    ///
    /// # Errors
    /// The store failed.
    pub async fn cancel(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        reason: String,
    ) -> Result<Signalled, PortError> {
        self.signal(tenant, execution, &Signal::Cancel { reason }, None)
            .await
    }

    /// Sends an execution a signal that one of its nodes may wait for; one that comes before the
    /// node waits is kept. The same name and id again is a duplicate.
    ///
    /// # Errors
    /// The store failed; the call can be repeated safely.
    pub async fn send(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        signal: NamedSignal,
    ) -> Result<Signalled, PortError> {
        let dedupe = DedupeKey(signal.dedupe());
        self.signal(tenant, execution, &Signal::Named(signal), Some(dedupe))
            .await
    }

    /// Asks an execution to start nothing new until [`Engine::unpause`]. Attempts that run come to
    /// their end and are committed; timers keep their time and fire after the pause; cancelling and
    /// the execution's own time limit still end it.
    ///
    /// # Errors
    /// The store failed.
    pub async fn pause(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        reason: String,
    ) -> Result<Signalled, PortError> {
        self.signal(tenant, execution, &Signal::Pause { reason }, None)
            .await
    }

    /// Lets a paused execution go on; one that is not paused passes it over.
    ///
    /// # Errors
    /// The store failed.
    pub async fn unpause(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Signalled, PortError> {
        self.signal(tenant, execution, &Signal::Unpause, None).await
    }

    /// Tells a parked execution what a person decided: about one instance, or, without one, about poison.
    ///
    /// # Errors
    /// The store failed.
    pub async fn unpark(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        instance: Option<InstanceId>,
        decision: UnparkDecision,
    ) -> Result<Signalled, PortError> {
        self.signal(
            tenant,
            execution,
            &Signal::Unpark { instance, decision },
            None,
        )
        .await
    }

    /// Rings for an execution. A ring that is lost costs time only: the sweep finds the work.
    pub async fn wake(&self, tenant: &TenantId, execution: ExecutionId) {
        match self.ports.executions.get(tenant, execution).await {
            Ok(Some(summary)) => {
                let task = Task {
                    tenant: tenant.clone(),
                    execution,
                    workflow: summary.workflow,
                    priority: summary.priority,
                    group: summary.labels.group(),
                };
                self.ring(task, Duration::ZERO).await;
            }
            Ok(None) => {}
            Err(error) => debug!(%execution, %error, "could not look for whom to ring"),
        }
    }

    /// Rings for what is due after `delay`.
    pub(crate) async fn ring(&self, task: Task, delay: Duration) {
        let execution = task.execution;
        if let Err(error) = self.ports.queue.ring(task, delay).await {
            debug!(%execution, %error, "could not ring");
        }
    }
}
