//! Waiting for what becomes of an execution.

use std::time::Duration;

use nebula_core::{BoxFuture, ExecutionId, TenantId};
use nebula_execution::{MAX_CALL_DEPTH, Status};
use nebula_ports::{ExecutionFilter, ExecutionSummary, Page, PageToken, Result};
use nebula_telemetry::{EventKind, Received};

use crate::{Engine, Report, Waiting};

/// How many executions are listed at a time.
const PAGE: usize = 500;

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The execution has ended.
    Ended,
    /// It has ended, or needs somebody before it can go on: it is parked or paused, or only a signal
    /// wakes it.
    EndedOrParked,
}

impl Engine {
    /// Waits until the execution is where the caller wants it, and says what it did; `None` if
    /// there is no such execution. The answer comes from the store: events only shorten the wait.
    /// After `deadline` it says where the execution stands then.
    ///
    /// # Errors
    /// The store failed.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn outcome(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        until: Until,
        deadline: Option<Duration>,
    ) -> Result<Option<Report>> {
        match self.wait(tenant, execution, until, deadline).await? {
            Some(_) => self.report(tenant, execution).await,
            None => Ok(None),
        }
    }

    /// The same for a caller who wants only the status: no journal is read.
    ///
    /// # Errors
    /// The store failed.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        until: Until,
        deadline: Option<Duration>,
    ) -> Result<Option<Status>> {
        let mut events = self.bus.subscribe();
        let clock = &self.ports.clock;
        let give_up = deadline.map(|deadline| clock.monotonic() + deadline);
        loop {
            let Some(summary) = self.ports.executions.get(tenant, execution).await? else {
                return Ok(None);
            };
            let late = give_up.is_some_and(|give_up| clock.monotonic() >= give_up);
            if late || self.settled(tenant, &summary, until).await? {
                return Ok(Some(summary.status));
            }
            let left = give_up.map(|give_up| give_up.saturating_sub(clock.monotonic()));
            let pause = self.config.outcome_interval;
            let look_again = clock.sleep(left.map_or(pause, |left| left.min(pause)));
            tokio::pin!(look_again);
            loop {
                tokio::select! {
                    biased;
                    event = events.next() => match event {
                        Some(Received::Event(event)) if event.execution != execution => {}
                        Some(Received::Event(event)) if !matches!(event.kind, EventKind::Ended { .. } | EventKind::Parked { .. } | EventKind::Paused | EventKind::NodeListening { .. } | EventKind::NodeAsking { .. }) => {}
                        Some(_) => break,
                        None => {
                            look_again.as_mut().await;
                            break;
                        }
                    },
                    () = &mut look_again => break,
                }
            }
        }
    }

    /// Executions, newest first.
    ///
    /// # Errors
    /// The store failed, or the token is not from a page before.
    pub async fn list(
        &self,
        tenant: &TenantId,
        filter: &ExecutionFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<ExecutionSummary>> {
        self.ports
            .executions
            .list(tenant, filter, after, limit)
            .await
    }

    /// Every execution that has not ended, oldest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn unfinished(&self, tenant: &TenantId) -> Result<Vec<ExecutionSummary>> {
        let statuses = Status::all()
            .filter(|status| !status.is_terminal())
            .collect();
        let filter = ExecutionFilter {
            statuses,
            ..ExecutionFilter::default()
        };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.list(tenant, &filter, after.as_ref(), PAGE).await?;
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                found.reverse();
                return Ok(found);
            }
        }
    }

    /// An execution needs somebody only once nobody drives it and nothing is due: a signal that has
    /// just arrived makes it due before its holder has taken it in.
    async fn settled(
        &self,
        tenant: &TenantId,
        summary: &ExecutionSummary,
        until: Until,
    ) -> Result<bool> {
        if summary.status.is_terminal() || until == Until::Ended {
            return Ok(summary.status.is_terminal());
        }
        Ok(self.is_held(summary) && self.children_are_held(tenant, summary, 0).await?)
    }

    /// Whether nothing but somebody wakes the children that it waits for, or theirs.
    fn children_are_held<'a>(
        &'a self,
        tenant: &'a TenantId,
        summary: &'a ExecutionSummary,
        depth: u32,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            if summary.status != Status::Waiting || depth > MAX_CALL_DEPTH {
                return Ok(true);
            }
            let report = self.report(tenant, summary.id).await?;
            let waiting = report.map(|report| report.waiting).unwrap_or_default();
            for waiting in waiting {
                let Waiting::Child { execution, .. } = waiting else {
                    continue;
                };
                let child = self.ports.executions.get(tenant, execution).await?;
                let held = match &child {
                    Some(child) => {
                        self.is_held(child)
                            && self.children_are_held(tenant, child, depth + 1).await?
                    }
                    None => true,
                };
                if !held {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn is_held(&self, summary: &ExecutionSummary) -> bool {
        let now = self.ports.clock.now();
        let rests = !summary.leased && summary.wake_at.is_none_or(|due| due > now);
        let held = match summary.status {
            Status::Parked | Status::Paused => true,
            Status::Waiting => summary.wake_at.is_none(),
            _ => false,
        };
        held && rests
    }
}
