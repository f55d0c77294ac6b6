//! The engine of this process.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_core::{ExecutionId, TenantId, WorkflowId};
use nebula_engine::{CalledBy, Engine, Migrations, Replay, ReplayStep, Report, Started, Until};
use nebula_execution::{Again, InstanceId, Signal};
use nebula_ports::{
    DedupeKey, ExecutionFilter, ExecutionSummary, JournalPage, Published, Saved, Signalled,
    StoredWorkflow, WorkflowFilter, WorkflowSummary, WorkflowVersions,
};
use nebula_workflow::{Source, WorkflowDefinition, nearest};
use serde_json::Value;

use super::{Asked, Listed, Moved, NewStart, Reach, ReplayLine};
use crate::{
    commands::{again, executions::shortened, migrate, run::not_installed, vote},
    compose::Composed,
    failure::Failure,
    settings::Place,
};

/// How many executions are listed at a time.
const PAGE: usize = 1_000;

/// An engine over a database.
#[derive(Debug)]
pub(crate) struct Here {
    pub(crate) composed: Arc<Composed>,
    pub(crate) tenant: TenantId,
    pub(crate) place: Place,
}

impl Here {
    fn engine(&self) -> &Engine {
        self.composed.nebula.engine()
    }
}

#[async_trait]
impl Reach for Here {
    async fn list(
        &self,
        filter: &ExecutionFilter,
        begin: Option<&str>,
        limit: usize,
    ) -> Result<Listed<ExecutionSummary>, Failure> {
        let mut filter = filter.clone();
        if let Some(begin) = begin {
            let Some(ids) = ExecutionId::that_begin(begin) else {
                return Ok(Listed::default());
            };
            filter.ids = Some(ids);
        }
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let wanted = (limit - items.len()).min(PAGE);
            let engine = self.engine();
            let page = engine.list(&self.tenant, &filter, after.as_ref(), wanted);
            let page = page.await?;
            items.extend(page.items);
            after = page.next;
            if after.is_none() || items.len() >= limit {
                let more = after.is_some();
                return Ok(Listed { items, more });
            }
        }
    }

    async fn summary(&self, id: ExecutionId) -> Result<Option<ExecutionSummary>, Failure> {
        Ok(self.engine().summary(&self.tenant, id).await?)
    }

    async fn called_by(&self, id: ExecutionId) -> Result<Option<CalledBy>, Failure> {
        Ok(self.engine().called_by(&self.tenant, id).await?)
    }

    async fn report(&self, id: ExecutionId) -> Result<Option<Report>, Failure> {
        Ok(self.engine().report(&self.tenant, id).await?)
    }

    async fn settled(
        &self,
        id: ExecutionId,
        bound: Option<Duration>,
    ) -> Result<Option<Report>, Failure> {
        let until = Until::EndedOrParked;
        let settled = self.engine().outcome(&self.tenant, id, until, bound);
        Ok(settled.await?)
    }

    async fn journal(
        &self,
        id: ExecutionId,
        from: u64,
        limit: usize,
    ) -> Result<JournalPage, Failure> {
        let executions = &self.composed.executions;
        Ok(executions.journal(&self.tenant, id, from, limit).await?)
    }

    async fn replay(
        &self,
        id: ExecutionId,
        node: Option<&str>,
        each: &mut (dyn FnMut(ReplayLine) -> Result<(), Failure> + Send),
    ) -> Result<(), Failure> {
        let mut replay = self.engine().replay(&self.tenant, id);
        let mut checked = false;
        while let Some(step) = replay.step().await? {
            if !checked {
                has_node(&replay, node)?;
                checked = true;
            }
            if node.is_none_or(|node| step.is_about(node)) {
                each(step.into())?;
            }
        }
        Ok(())
    }

    async fn moment(&self, id: ExecutionId, at: u64, node: Option<&str>) -> Result<Value, Failure> {
        let mut replay = self.engine().replay(&self.tenant, id);
        let mut checked = false;
        while let Some(step) = replay.step().await? {
            if !checked {
                has_node(&replay, node)?;
                checked = true;
            }
            if step.entry.seq >= at {
                break;
            }
        }
        let mut moment = replay.moment().await;
        if let (Some(moment), Some(node)) = (&mut moment, node) {
            moment.nodes.retain(|id, _| id == node);
        }
        serde_json::to_value(moment)
            .map_err(|error| Failure::environment("OUTPUT", error.to_string()))
    }

    async fn signal(&self, id: ExecutionId, signal: &Signal) -> Result<Signalled, Failure> {
        let (engine, tenant) = (self.engine(), &self.tenant);
        let dedupe = match signal {
            Signal::Named(named) => Some(DedupeKey(named.dedupe())),
            Signal::Vote(ballot) => {
                // What would not count is not written.
                let open = engine.approvals(tenant, id).await?;
                let mut open = open.into_iter().flatten();
                if let Some(open) = open.find(|it| it.instance == ballot.instance) {
                    vote::possible(&open, ballot, self.composed.clock.now())?;
                }
                Some(DedupeKey(ballot.dedupe()))
            }
            _ => None,
        };
        Ok(engine.signal(tenant, id, signal, dedupe).await?)
    }

    async fn asked(&self, id: ExecutionId) -> Result<Option<Vec<Asked>>, Failure> {
        let open = self.engine().approvals(&self.tenant, id).await?;
        Ok(open.map(|open| open.iter().map(Into::into).collect()))
    }

    /// Here the user grants what a start may do, so it is `nebula run` that starts.
    async fn start(&self, new: NewStart<'_>) -> Result<Started, Failure> {
        let message = format!("`{}` is started here with its grants", new.workflow);
        Err(Failure::environment("UNSUPPORTED", message))
    }

    async fn again(&self, id: ExecutionId, how: Again) -> Result<Started, Failure> {
        let started = self.composed.nebula.admit_again(&self.tenant, id, how);
        let refused = |error| again::refused(error, &self.place);
        started.await.map_err(refused)
    }

    async fn migrate(&self, id: ExecutionId, to: u32, check: bool) -> Result<Moved, Failure> {
        let migrated = self.engine().migrate(&self.tenant, id, to, check);
        let refused = |error| migrate::refused(error, &self.place);
        let Migrations { from, to, changes } = migrated.await.map_err(refused)?;
        let names = |all: &[InstanceId]| all.iter().map(ToString::to_string).collect();
        Ok(Moved {
            from,
            to,
            begins: names(&changes.begins),
            drops: names(&changes.drops),
        })
    }

    async fn workflows(
        &self,
        filter: &WorkflowFilter,
        limit: usize,
    ) -> Result<Listed<WorkflowSummary>, Failure> {
        let page = self.engine().workflows(&self.tenant, filter, None, limit);
        let page = page.await?;
        Ok(Listed {
            items: page.items,
            more: page.next.is_some(),
        })
    }

    async fn versions(
        &self,
        id: &WorkflowId,
        limit: usize,
    ) -> Result<Option<WorkflowVersions>, Failure> {
        let versions = self.engine().versions(&self.tenant, id, None, limit);
        Ok(versions.await?)
    }

    async fn stored(
        &self,
        id: &WorkflowId,
        version: u32,
    ) -> Result<Option<StoredWorkflow>, Failure> {
        let stored = self.engine().stored(&self.tenant, id, Some(version));
        Ok(stored.await?)
    }

    async fn save(
        &self,
        _: &Source,
        definition: &WorkflowDefinition,
        expected: Option<u64>,
    ) -> Result<Saved, Failure> {
        let saved = self.engine().save(&self.tenant, definition, expected);
        saved.await.map_err(not_installed)
    }

    async fn publish(
        &self,
        id: &WorkflowId,
        version: u32,
        expected: u64,
    ) -> Result<Published, Failure> {
        let published = self.engine().publish(&self.tenant, id, version, expected);
        Ok(published.await?)
    }

    async fn archive(&self, id: &WorkflowId, archived: bool) -> Result<bool, Failure> {
        Ok(self.engine().archive(&self.tenant, id, archived).await?)
    }
}

impl From<ReplayStep> for ReplayLine {
    fn from(step: ReplayStep) -> Self {
        let names = |all: &[InstanceId]| all.iter().map(ToString::to_string).collect();
        Self {
            ready: names(&step.ready),
            skipped: names(&step.skipped),
            seq: step.entry.seq,
            at: step.entry.entry.at.to_string(),
            epoch: step.entry.epoch,
            fact: step.entry.entry.fact,
        }
    }
}

/// Refuses a node that the workflow does not have.
fn has_node(replay: &Replay<'_>, node: Option<&str>) -> Result<(), Failure> {
    let (Some(node), Some(machine)) = (node, replay.machine()) else {
        return Ok(());
    };
    let ids = machine.plan().nodes.iter().map(|node| node.id.as_str());
    if ids.clone().any(|id| id == node) {
        return Ok(());
    }
    let shown = shortened(node);
    let message = format!("the workflow of this execution has no node `{shown}`");
    let failure = Failure::invalid("UNKNOWN_NODE", message);
    Err(match nearest(node, ids) {
        Some(near) => failure.advice(format!("did you mean `{near}`?")),
        None => failure.advice("leave --node out to see all nodes"),
    })
}
