//! Waiting for what becomes of an execution.

use std::time::Duration;

use nebula_core::{BoxFuture, ExecutionId, TenantId, Timestamp};
use nebula_execution::{End, MAX_CALL_DEPTH, Status};
use nebula_ports::{
    ChangeCursor, Changes, ExecutionFilter, ExecutionSummary, JournalPage, Page, PageToken, Result,
};
use nebula_telemetry::Halts;

use crate::{Engine, Report, Waiting};

/// How many executions are listed at a time.
const PAGE: usize = 500;

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The execution has ended.
    Ended,
    /// It has ended, or needs somebody before it can go on: it is parked or paused, or waits for
    /// nothing but people, signals and the turns of others. An approval that expires within
    /// [`crate::EngineConfig::expiry_is_near`], and a signal whose time is over within
    /// [`crate::EngineConfig::signal_is_near`], are waited for.
    EndedOrParked,
}

/// What waiting for an end came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Awaited {
    /// It has ended.
    End(Box<End>),
    /// It has not ended in time; this is where it stood.
    Late(Status),
    /// There is no such execution.
    Gone,
}

/// What moves an execution that waits.
#[derive(Debug)]
enum Mover {
    /// A time of its own, whatever anybody does.
    Time,
    /// People, signals, the turns of others, and the ends of these children.
    Somebody(Vec<ExecutionId>),
}

/// What moves an execution, as of this many entries: its journal is read again only when it grew.
type Looked = Option<(u64, Mover)>;

impl Engine {
    /// Waits until the execution is where the caller wants it, and says what it did; `None` if
    /// there is no such execution. The answer comes from the store, or from the worker in this
    /// process that has just committed the end.
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
        let mut halts = self.bus.wait_for(execution);
        let clock = &self.ports.clock;
        let mut looked = None;
        let give_up = deadline.map(|deadline| clock.monotonic() + deadline);
        loop {
            let Some(summary) = self.ports.executions.get(tenant, execution).await? else {
                return Ok(None);
            };
            let late = give_up.is_some_and(|give_up| clock.monotonic() >= give_up);
            if late || self.settled(tenant, &summary, until, &mut looked).await? {
                return Ok(Some(summary.status));
            }
            let left = give_up.map(|give_up| give_up.saturating_sub(clock.monotonic()));
            let pause = self.config.outcome_interval;
            let look_again = clock.sleep(left.map_or(pause, |left| left.min(pause)));
            tokio::select! {
                biased;
                // Where it ended in this process, the store has nothing to add.
                halt = halts.next() => if halt.end.is_some() {
                    return Ok(Some(halt.status));
                },
                () = look_again => {}
            }
        }
    }

    /// Waits for the end of an execution that `halts` was made for before it could end: the worker
    /// of this process tells it, and the store is asked only now and then, in case another one drives
    /// it. Without `wait` there is no limit to that.
    ///
    /// # Errors
    /// The store failed.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn end(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        mut halts: Halts,
        wait: Option<Duration>,
    ) -> Result<Awaited> {
        let clock = &self.ports.clock;
        let give_up = wait.map(|wait| clock.monotonic() + wait);
        loop {
            let left = give_up.map(|give_up| give_up.saturating_sub(clock.monotonic()));
            let pause = self.config.outcome_interval;
            tokio::select! {
                biased;
                halt = halts.next() => {
                    if let Some(end) = halt.end {
                        return Ok(Awaited::End(Box::new(end)));
                    }
                    // Another process says where its end is; one that is wrong is not believed.
                    if halt.status.is_terminal()
                        && let Some(end) = self.end_at(tenant, execution, halt.seq).await?
                    {
                        return Ok(Awaited::End(Box::new(end)));
                    }
                }
                () = clock.sleep(left.map_or(pause, |left| left.min(pause))) => {}
            }
            let executions = &self.ports.executions;
            let Some(summary) = executions.get(tenant, execution).await? else {
                return Ok(Awaited::Gone);
            };
            if summary.status.is_terminal() {
                // Nothing comes after the end.
                let end = self.end_at(tenant, execution, summary.entries).await?;
                return Ok(end.map_or(Awaited::Gone, |end| Awaited::End(Box::new(end))));
            }
            if left.is_some_and(|left| left <= pause) {
                return Ok(Awaited::Late(summary.status));
            }
        }
    }

    /// The end that entry number `seq` tells, if there is one and it is an end.
    async fn end_at(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        seq: u64,
    ) -> Result<Option<End>> {
        let executions = &self.ports.executions;
        let page = executions.journal(tenant, execution, seq.max(1), 1).await?;
        let stored = page.entries.into_iter().find(|stored| stored.seq == seq);
        Ok(stored.and_then(|stored| End::of(&stored.entry.fact)))
    }

    /// What a listing says of one execution; `None` if there is no such execution.
    ///
    /// # Errors
    /// The store failed.
    pub async fn summary(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
    ) -> Result<Option<ExecutionSummary>> {
        self.ports.executions.get(tenant, execution).await
    }

    /// Entries of a journal from number `from` (at least 1), at most `limit` of them and at least one
    /// batch.
    ///
    /// # Errors
    /// The store failed, or an entry cannot be read.
    pub async fn journal(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        from: u64,
        limit: usize,
    ) -> Result<JournalPage> {
        let repo = &self.ports.executions;
        repo.journal(tenant, execution, from, limit).await
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

    /// Executions that changed after a cursor, at most `limit`; without a cursor none, and where now is.
    ///
    /// # Errors
    /// The store failed.
    pub async fn changes(
        &self,
        tenant: &TenantId,
        after: Option<&ChangeCursor>,
        limit: usize,
    ) -> Result<Changes> {
        let repo = &self.ports.executions;
        repo.changes(tenant, after, limit).await
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
        looked: &mut Looked,
    ) -> Result<bool> {
        if summary.status.is_terminal() || until == Until::Ended {
            return Ok(summary.status.is_terminal());
        }
        self.is_held(tenant, summary, 0, looked).await
    }

    /// Whether nothing but somebody moves it on, or the children that it waits for.
    fn is_held<'a>(
        &'a self,
        tenant: &'a TenantId,
        summary: &'a ExecutionSummary,
        depth: u32,
        looked: &'a mut Looked,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let now = self.ports.clock.now();
            let due_by = |time| summary.wake_at.is_some_and(|due| due <= time);
            if summary.leased || due_by(now) {
                return Ok(false);
            }
            match summary.status {
                Status::Parked | Status::Paused => return Ok(true),
                Status::Waiting if due_by(now.plus(self.config.expiry_is_near)) => {
                    return Ok(false);
                }
                Status::Waiting => {}
                _ => return Ok(false),
            }
            if depth > MAX_CALL_DEPTH {
                return Ok(true);
            }
            let known = looked.take().filter(|it| it.0 == summary.entries);
            let mover = match known {
                Some((_, mover)) => mover,
                None => self.mover(tenant, summary).await?,
            };
            let (_, mover) = looked.insert((summary.entries, mover));
            let Mover::Somebody(children) = mover else {
                return Ok(false);
            };
            for child in children {
                let child = self.ports.executions.get(tenant, *child).await?;
                // The end of one that has ended is on its way to its parent.
                if let Some(child) = child
                    && !self.is_held(tenant, &child, depth + 1, &mut None).await?
                {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    async fn mover(&self, tenant: &TenantId, summary: &ExecutionSummary) -> Result<Mover> {
        let report = self.report(tenant, summary.id).await?;
        let waiting = report.map(|report| report.waiting).unwrap_or_default();
        if waiting.is_empty() && summary.wake_at.is_some() {
            return Ok(Mover::Time);
        }
        let soon = self.ports.clock.now().plus(self.config.signal_is_near);
        let soon = |due: &str| due.parse::<Timestamp>().is_ok_and(|due| due <= soon);
        let mut children = Vec::new();
        for waiting in waiting {
            match waiting {
                Waiting::Time { .. }
                | Waiting::Start { .. }
                | Waiting::Worker { .. }
                | Waiting::Retry { .. }
                | Waiting::Compensation { .. }
                | Waiting::Slot { due: Some(_), .. } => return Ok(Mover::Time),
                Waiting::Signal { due: Some(due), .. } if soon(&due) => return Ok(Mover::Time),
                Waiting::Child { execution, .. } => children.push(execution),
                // What a milestone waits for waits for something itself.
                Waiting::Milestone { .. }
                | Waiting::Slot { due: None, .. }
                | Waiting::Signal { .. }
                | Waiting::Approval { .. }
                | Waiting::Decision { .. }
                | Waiting::CompensationDecision { .. }
                | Waiting::Unpause
                | Waiting::Poison { .. } => {}
            }
        }
        Ok(Mover::Somebody(children))
    }
}
