//! Going through a journal step by step.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use nebula_core::{Digest, ExecutionId, TenantId, Timestamp, WorkflowId};
use nebula_execution::{
    ExecutionPlan, Fact, InstanceId, InstanceStatus, Machine, NamedSignal, Rest, Status,
    StoredEntry, Unread,
};
use nebula_ports::{ErrorKind, PortError, Result};
use serde::Serialize;
use serde_json::Value;

use crate::{Engine, Waiting, activations::Activations, emitted::Emitted, waiting::waiting};

/// How many journal entries are read at a time.
const PAGE: usize = 1_000;

/// One entry of a journal, and what followed from it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayStep {
    /// The entry.
    pub entry: StoredEntry,
    /// Instances whose inputs it completed.
    pub ready: Vec<InstanceId>,
    /// Instances that no live token can reach any more.
    pub skipped: Vec<InstanceId>,
}

impl ReplayStep {
    /// Whether the entry says something about the node, or something about it followed. The end of an
    /// execution is about every node.
    #[must_use]
    pub fn is_about(&self, node: &str) -> bool {
        let of = |instance: &InstanceId| instance.node.as_str() == node;
        let fact = &self.entry.entry.fact;
        fact.instance().is_some_and(of)
            || fact.is_terminal()
            || self.ready.iter().chain(&self.skipped).any(of)
    }
}

/// Goes through the journal of an execution, entry by entry, with the fold that the worker uses.
/// One page of the journal is in memory at a time. Made by [`Engine::replay`].
#[derive(Debug)]
pub struct Replay<'e> {
    engine: &'e Engine,
    tenant: TenantId,
    execution: ExecutionId,
    machine: Option<Machine>,
    page: VecDeque<StoredEntry>,
    from: Option<u64>,
    /// How many activations each node had, by frame and dense index.
    seen: BTreeMap<(u32, u32), u32>,
    /// What the runs of bodies did that were closed.
    closed: Activations,
    emitted: Emitted,
    last: Option<(u64, Timestamp)>,
}

/// The state of an execution after some entry. JSON: `{ "execution", "workflow", "version", "at",
/// "time", "status", "output", "nodes", "waiting", "signals" }`, where `nodes` has every node of the
/// plan, with an empty list where nothing reached it yet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// Which execution.
    pub execution: ExecutionId,
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// Of which version.
    pub version: u32,
    /// The number of the entry after which this was so.
    pub at: u64,
    /// When that was decided.
    pub time: String,
    /// Where it stood, as far as its journal says: who drove it is not in there.
    pub status: Status,
    /// What it gave; null unless it had completed.
    pub output: Value,
    /// What each node had done.
    pub nodes: indexmap::IndexMap<String, Vec<Value>>,
    /// What it waited for.
    pub waiting: Vec<Waiting>,
    /// Signals that nobody had taken.
    pub signals: Vec<NamedSignal>,
}

/// What a whole journal says.
#[derive(Debug)]
pub(crate) struct Folded {
    /// The state.
    pub(crate) machine: Machine,
    /// What the state forgot: the runs of bodies that were closed.
    pub(crate) closed: Activations,
    /// What watchers were told.
    pub(crate) emitted: Emitted,
}

impl Engine {
    /// Begins to go through the journal of an execution; nothing is run.
    #[must_use]
    pub fn replay(&self, tenant: &TenantId, execution: ExecutionId) -> Replay<'_> {
        Replay {
            engine: self,
            tenant: tenant.clone(),
            execution,
            machine: None,
            page: VecDeque::new(),
            from: Some(1),
            seen: BTreeMap::new(),
            closed: Activations::default(),
            emitted: Emitted::default(),
            last: None,
        }
    }

    /// Folds the whole journal of an execution.
    pub(crate) async fn fold(&self, tenant: &TenantId, execution: ExecutionId) -> Result<Folded> {
        let mut replay = self.replay(tenant, execution);
        while replay.entry().await?.is_some() {}
        let none = || corrupt(format!("{execution} has no journal"));
        Ok(Folded {
            machine: replay.machine.ok_or_else(none)?,
            closed: replay.closed,
            emitted: replay.emitted,
        })
    }

    /// Reads the results of a state that lie in blobs, to be shown. One that cannot be read is shown as
    /// that: whoever looks at an execution wants to see the rest all the same.
    pub(crate) async fn read_stored(&self, machine: &Machine) {
        for stored in machine.state().stored() {
            if stored.is_known() {
                continue;
            }
            let read = match &self.ports.values {
                Some(values) => {
                    let read = values.read(machine.tenant(), stored.blob()).await;
                    read.map_err(|error| Unread::new(&error.message))
                }
                None => continue,
            };
            stored.keep(read);
        }
    }
}

impl Replay<'_> {
    /// The next entry, which is part of the state from now on; `None` at the end.
    ///
    /// # Errors
    /// The store failed, or what it holds cannot be read.
    pub async fn step(&mut self) -> Result<Option<ReplayStep>> {
        let Some(entry) = self.entry().await? else {
            return Ok(None);
        };
        let (mut ready, mut skipped) = (Vec::new(), Vec::new());
        if let Some(machine) = &self.machine {
            let (plan, state) = (machine.plan(), machine.state());
            let mut open = BTreeSet::new();
            for (at, activation) in state.all() {
                open.insert(at.frame);
                let seen = self.seen.entry((at.frame, at.node)).or_default();
                if at.number <= *seen {
                    continue;
                }
                *seen = at.number;
                let instance = state.instance(plan, at.whole());
                match activation.status {
                    InstanceStatus::Skipped => skipped.push(instance),
                    _ => ready.push(instance),
                }
            }
            // The number of a closed frame is used again.
            self.seen.retain(|(frame, _), _| open.contains(frame));
        }
        Ok(Some(ReplayStep {
            entry,
            ready,
            skipped,
        }))
    }

    /// The machine as it stands after the last entry that was given; `None` before the first one.
    #[must_use]
    pub fn machine(&self) -> Option<&Machine> {
        self.machine.as_ref()
    }

    /// The state after the last entry that was given; `None` before the first one. Results that lie in
    /// blobs are read for it.
    pub async fn moment(&self) -> Option<Moment> {
        let (machine, (at, time)) = (self.machine.as_ref()?, self.last?);
        self.engine.read_stored(machine).await;
        let plan = machine.plan();
        let state = machine.state();
        let mut nodes = self.closed.clone().with_state(machine);
        for (place, node) in plan.top_level().iter().enumerate() {
            if !nodes.contains_key(node.id.as_str()) {
                nodes.shift_insert(place, node.id.to_string(), Vec::new());
            }
        }
        Some(Moment {
            execution: self.execution,
            workflow: plan.workflow.clone(),
            version: plan.version,
            at,
            time: time.to_string(),
            status: stood(machine),
            output: state
                .output()
                .map(|output| (**output).clone())
                .unwrap_or_default(),
            nodes,
            waiting: waiting(machine),
            signals: state.signals().iter().cloned().collect(),
        })
    }

    async fn entry(&mut self) -> Result<Option<StoredEntry>> {
        while self.page.is_empty() {
            let Some(from) = self.from else {
                return Ok(None);
            };
            let repo = &self.engine.ports.executions;
            let page = repo
                .journal(&self.tenant, self.execution, from, PAGE)
                .await?;
            self.from = page.next;
            self.page = page.entries.into();
        }
        let Some(entry) = self.page.pop_front() else {
            return Ok(None);
        };
        self.fold(&entry).await?;
        self.last = Some((entry.seq, entry.entry.at));
        Ok(Some(entry))
    }

    async fn fold(&mut self, entry: &StoredEntry) -> Result<()> {
        match &entry.entry.fact {
            Fact::ExecutionStarted(started) => self.begin(started.plan).await?,
            Fact::Migrated { plan, .. } => self.over(*plan, entry.seq).await?,
            _ => {}
        }
        let execution = self.execution;
        let machine = self.machine.as_mut();
        let machine = machine.ok_or_else(|| corrupt(format!("{execution} has no first entry")))?;
        self.closed.keep(machine, &entry.entry);
        self.emitted.keep(entry);
        machine.apply(entry);
        Ok(())
    }

    /// A machine over a plan that has read nothing.
    async fn begin(&mut self, digest: Digest) -> Result<()> {
        let workflows = &self.engine.ports.workflows;
        let plan = workflows.plan(&self.tenant, digest).await?;
        let none = || corrupt(format!("no plan is stored under {digest}"));
        let plan = ExecutionPlan::decode(&plan.ok_or_else(none)?)
            .map_err(|error| corrupt(error.to_string()))?;
        let machine = Machine::new(Arc::new(plan), self.tenant.clone(), self.execution);
        self.machine = Some(machine);
        self.closed = Activations::default();
        Ok(())
    }

    /// Reads what is before entry `seq` once more, over the plan of another version: from there on
    /// the execution has that one.
    async fn over(&mut self, plan: Digest, seq: u64) -> Result<()> {
        let names = |machine: &Machine| {
            let (plan, state) = (machine.plan(), machine.state());
            let all = state.all();
            let all = all.map(|(at, _)| (state.instance(plan, at.whole()), at));
            all.collect::<Vec<_>>()
        };
        let before: BTreeSet<InstanceId> = self
            .machine
            .as_ref()
            .map(|machine| names(machine).into_iter().map(|(it, _)| it).collect())
            .unwrap_or_default();
        self.begin(plan).await?;
        let mut from = Some(1);
        while let Some(next) = from {
            let repo = &self.engine.ports.executions;
            let page = repo.journal(&self.tenant, self.execution, next, PAGE);
            let page = page.await?;
            from = page.next.filter(|next| *next < seq);
            if let Some(machine) = &mut self.machine {
                for entry in page.entries.iter().take_while(|entry| entry.seq < seq) {
                    self.closed.keep(machine, &entry.entry);
                    machine.apply(entry);
                }
            }
        }
        self.seen.clear();
        for (instance, at) in self.machine.as_ref().map(names).unwrap_or_default() {
            if before.contains(&instance) {
                let seen = self.seen.entry((at.frame, at.node)).or_default();
                *seen = (*seen).max(at.number);
            }
        }
        Ok(())
    }
}

/// The status that follows from the state alone.
fn stood(machine: &Machine) -> Status {
    let state = machine.state();
    if let Rest::Ended(status) = machine.rest() {
        return status;
    }
    let works = state.all().any(|(_, activation)| {
        // What has a body runs as long as that does.
        activation.status == InstanceStatus::Ready
            || activation.status == InstanceStatus::Running && activation.runs.is_none()
    });
    if state.parked().is_some() {
        Status::Parked
    } else if state.is_paused() {
        Status::Paused
    } else if state.is_compensating() {
        Status::Compensating
    } else if works || waiting(machine).is_empty() {
        Status::Running
    } else {
        Status::Waiting
    }
}

fn corrupt(message: String) -> PortError {
    PortError::new(ErrorKind::Corrupt, "engine", "read a journal", message)
}
