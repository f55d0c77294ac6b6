//! What must be true after every step, whatever went wrong.
//!
//! The oracle keeps a picture of its own: it folds each committed entry into a machine that nobody
//! drives, keeps its own account of leases by the store's time, and holds what happens against both.
//! Here are executions and their leases; `journal.rs` looks at entries, `effects.rs` at the outside,
//! `locks.rs` at bodies that take turns, `end.rs` at what is left when all is over. `audit.rs` reads journals that others have written.

mod audit;
mod effects;
mod end;
mod journal;
mod locks;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use nebula_core::{Digest, ExecutionId, TenantId, Timestamp};
use nebula_execution::{
    ExecutionPlan, Fact, Machine, NewExecution, Rest, SlotWanted, Status, StoredEntry,
};
use nebula_ports::{Begun, Lease, Renewed, Step, StepId, Stepped};

use super::{
    checks::{self, Check, Violation},
    scheduler::Life,
};
pub use audit::Audit;
pub use effects::Arrival;
use effects::Arrived;
pub(super) use effects::Effect;
use journal::Seen;
pub(super) use journal::UNDO;
use locks::Inside;
pub(super) use locks::Lock;

/// A lease, as the store's clock sees it.
#[derive(Debug, Clone, Copy)]
struct Held {
    epoch: u64,
    life: Life,
    until: Timestamp,
    /// Given back, or over with its execution.
    over: bool,
}

/// What is known of one execution.
#[derive(Debug)]
struct Watched {
    tenant: TenantId,
    plan: Digest,
    machine: Machine,
    /// What was committed, as it was.
    entries: Vec<StoredEntry>,
    /// The steps that were applied.
    steps: HashSet<StepId>,
    epoch: u64,
    held: Option<Held>,
    /// Grants since the last progress.
    grants: u32,
    /// Whether that may be none.
    unsure: bool,
    cancelled: bool,
    /// Whether an attempt was lost so often that it was given up.
    gave_up: bool,
    ended: bool,
    instances: BTreeMap<String, Seen>,
    /// The slots that instances want for their bodies.
    wanted: BTreeMap<String, SlotWanted>,
    /// Signals with a name, in the order in which they came into the inbox.
    inbox: Vec<(String, String)>,
    /// How many of them are in the journal.
    read: usize,
    /// Ids of signals in the journal.
    signals: BTreeSet<(String, String)>,
    /// Attempts that act now, by whose they are.
    acting: BTreeMap<Life, u32>,
}

/// Sees everything, and complains.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    plans: BTreeMap<Digest, Arc<ExecutionPlan>>,
    executions: BTreeMap<ExecutionId, Watched>,
    /// Key → the instance that it belongs to.
    keys: BTreeMap<String, (ExecutionId, String)>,
    effects: BTreeMap<String, Arrived>,
    /// Attempts that act under locks now.
    inside: Vec<Inside>,
    /// How many executions have not ended.
    open: usize,
    /// What journals name.
    named: BTreeSet<(TenantId, Digest)>,
    /// Whether wall clocks jump: then what began in time may be written down as too early.
    pub(super) jumps: bool,
    violations: Vec<Violation>,
}

/// After so many complaints nothing new is learned.
const MAX_VIOLATIONS: usize = 20;

impl Oracle {
    pub(super) fn complain(&mut self, check: Check, what: impl Into<String>) {
        if self.violations.len() < MAX_VIOLATIONS {
            let what = what.into();
            self.violations.push(Violation { check, what });
        }
    }

    pub(super) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Whether anything was wrong so far.
    pub(super) fn is_wrong(&self) -> bool {
        !self.violations.is_empty()
    }

    pub(super) fn know(&mut self, digest: Digest, plan: Arc<ExecutionPlan>) {
        self.plans.insert(digest, plan);
    }

    /// A journal names this blob from now on.
    pub(super) fn name(&mut self, tenant: &TenantId, blob: Digest) {
        self.named.insert((tenant.clone(), blob));
    }

    /// Whether a journal names this blob.
    pub(super) fn names(&self, tenant: &TenantId, blob: Digest) -> bool {
        self.named.contains(&(tenant.clone(), blob))
    }

    /// Journals are gone; what the others name is to be found out anew.
    pub(super) fn forget_names(&mut self) {
        self.named.clear();
    }

    /// Executions that were accepted.
    pub(super) fn accepted(&self) -> impl Iterator<Item = (ExecutionId, &Machine)> {
        let all = self.executions.iter();
        all.map(|(id, watched)| (*id, &watched.machine))
    }

    /// How many entries were committed.
    pub(super) fn committed(&self) -> usize {
        let all = self.executions.values();
        all.map(|watched| watched.entries.len()).sum()
    }

    pub(super) fn machine(&self, id: ExecutionId) -> Option<&Machine> {
        self.executions.get(&id).map(|watched| &watched.machine)
    }

    /// Executions of which an attempt was lost so often that it was given up, and those that called them.
    pub(super) fn gave_up(&self) -> BTreeSet<ExecutionId> {
        let mut all = BTreeSet::new();
        let gave_up = self
            .executions
            .iter()
            .filter(|(_, watched)| watched.gave_up);
        for (id, _) in gave_up {
            let mut next = Some(*id);
            while let Some(id) = next.filter(|id| all.insert(*id)) {
                next = self.parent(id);
            }
        }
        all
    }

    fn parent(&self, id: ExecutionId) -> Option<ExecutionId> {
        let first = self.executions.get(&id)?.entries.first()?;
        let Fact::ExecutionStarted(started) = &first.entry.fact else {
            return None;
        };
        Some(started.parent.as_ref()?.execution)
    }

    /// The instances of an execution with the attempts whose start is in the journal.
    pub(super) fn started(
        &self,
        id: ExecutionId,
    ) -> impl Iterator<Item = (&str, &BTreeMap<u32, Digest>)> {
        let watched = self.executions.get(&id).into_iter();
        let instances = watched.flat_map(|watched| &watched.instances);
        instances.map(|(instance, seen)| (instance.as_str(), &seen.attempts))
    }

    /// How many entries of an execution are known.
    pub(super) fn entries(&self, id: ExecutionId) -> u64 {
        self.executions
            .get(&id)
            .map_or(0, |watched| watched.entries.len() as u64)
    }

    pub(super) fn all_ended(&self) -> bool {
        self.open == 0
    }

    /// What a call names must belong to its tenant.
    pub(super) fn touched(&mut self, tenant: &TenantId, id: ExecutionId) {
        if let Some(watched) = self.executions.get(&id)
            && watched.tenant != *tenant
        {
            let what = format!("{id} of {}, named by {tenant}", watched.tenant);
            self.complain(checks::TENANT, what);
        }
    }

    /// An execution exists from now on; its first entries were written under this epoch.
    pub(super) fn created(&mut self, tenant: &TenantId, new: &NewExecution, epoch: u64) {
        let Some(Fact::ExecutionStarted(started)) = new.entries.first().map(|entry| &entry.fact)
        else {
            return self.complain(checks::BEGINS, new.id.to_string());
        };
        self.accept(tenant, new.id, started.plan);
        self.append(new.id, epoch, &new.entries);
    }

    fn accept(&mut self, tenant: &TenantId, id: ExecutionId, digest: Digest) {
        let Some(plan) = self.plans.get(&digest).cloned() else {
            return self.complain(checks::PLAN_FIRST, id.to_string());
        };
        let watched = Watched {
            tenant: tenant.clone(),
            plan: digest,
            machine: Machine::new(plan, tenant.clone(), id),
            entries: Vec::new(),
            steps: HashSet::new(),
            epoch: 0,
            held: None,
            grants: 0,
            unsure: false,
            cancelled: false,
            gave_up: false,
            ended: false,
            instances: BTreeMap::new(),
            wanted: BTreeMap::new(),
            inbox: Vec::new(),
            read: 0,
            signals: BTreeSet::new(),
            acting: BTreeMap::new(),
        };
        if self.executions.insert(id, watched).is_some() {
            self.complain(checks::CREATED_ONCE, id.to_string());
        }
        self.open += 1;
    }

    /// What the store says of an execution that is to begin with this step.
    pub(super) fn begun(
        &mut self,
        (lease, life): (&Lease, Life),
        step: &Step,
        answer: Begun,
        stands: (Option<Status>, Option<Timestamp>),
        now: Timestamp,
    ) {
        let id = lease.execution;
        let stepped = match answer {
            Begun::Applied {
                next_seq,
                inbox_head,
            } => {
                self.accept_by_step(lease, step);
                self.granted(lease, None, (life, u32::MAX), now);
                Stepped::Applied {
                    next_seq,
                    inbox_head,
                }
            }
            Begun::Replayed {
                next_seq,
                inbox_head,
            } => Stepped::Replayed {
                next_seq,
                inbox_head,
            },
            Begun::Exists { .. } => {
                let known = self.executions.get(&id);
                if known.is_some_and(|watched| watched.steps.contains(&step.id)) {
                    let what = format!("{id}: known, at its beginning: {answer:?}");
                    self.complain(checks::STEP_KNOWN, what);
                }
                return;
            }
        };
        self.stepped(lease, step, &stepped, stands, now);
    }

    /// An execution exists of which the step that created it is still to come.
    fn accept_by_step(&mut self, lease: &Lease, step: &Step) {
        let Some(Fact::ExecutionStarted(started)) = step.entries.first().map(|it| &it.fact) else {
            return self.complain(checks::BEGINS, lease.execution.to_string());
        };
        self.accept(&lease.tenant, lease.execution, started.plan);
    }

    /// A lease was granted; `told` is what the store said of plan and grants without progress.
    pub(super) fn granted(
        &mut self,
        lease: &Lease,
        told: Option<(Digest, u32)>,
        (life, max_grants): (Life, u32),
        now: Timestamp,
    ) {
        let id = lease.execution;
        let Some(watched) = self.executions.get_mut(&id) else {
            return self.complain(checks::KNOWN_ONLY, id.to_string());
        };
        let before = watched.held.replace(Held {
            epoch: lease.epoch,
            life,
            until: now.plus(lease.ttl),
            over: false,
        });
        let (epoch, ended, pinned) = (watched.epoch, watched.ended, watched.plan);
        watched.epoch = epoch.max(lease.epoch);
        if std::mem::take(&mut watched.unsure) {
            watched.grants = told.map_or(watched.grants, |(_, before)| before.min(watched.grants));
        }
        watched.grants += 1;
        let grants = watched.grants;
        if let Some(held) = before.filter(|held| !held.over && held.until > now) {
            let what = format!(
                "{id}: epoch {} to {life:?} while {} of {:?} holds until {}",
                lease.epoch, held.epoch, held.life, held.until
            );
            self.complain(checks::ONE_LEASE, what);
        }
        if lease.epoch <= epoch {
            let what = format!("{id}: {} after {epoch}", lease.epoch);
            self.complain(checks::EPOCHS_GROW, what);
        }
        if ended {
            self.complain(checks::ENDED_UNLEASED, id.to_string());
        }
        if told.is_some_and(|(plan, _)| plan != pinned) {
            self.complain(checks::PINNED, id.to_string());
        }
        if grants > max_grants || told.is_some_and(|(_, before)| before + 1 != grants) {
            let what = format!("{id}: grant {grants} of {max_grants}, told {told:?}");
            self.complain(checks::POISON, what);
        }
    }

    pub(super) fn renewed(&mut self, lease: &Lease, answer: &Renewed, now: Timestamp) {
        let Some(watched) = self.executions.get_mut(&lease.execution) else {
            return;
        };
        let Renewed::Renewed { .. } = answer else {
            return;
        };
        match watched.held.as_mut() {
            Some(held) if held.epoch == lease.epoch && !held.over => {
                held.until = now.plus(lease.ttl);
            }
            held => {
                let what = format!("{}: {}, and {held:?}", lease.execution, lease.epoch);
                self.complain(checks::LATEST_RENEWED, what);
            }
        }
    }

    pub(super) fn released(&mut self, lease: &Lease) {
        let Some(watched) = self.executions.get_mut(&lease.execution) else {
            return;
        };
        let held = watched.held.as_mut();
        if let Some(held) = held.filter(|held| held.epoch == lease.epoch && !held.over) {
            held.over = true;
            watched.grants = watched.grants.saturating_sub(1);
        }
    }

    /// A signal with a name came into an inbox.
    pub(super) fn signalled(&mut self, id: ExecutionId, name: String, signal: String) {
        if let Some(watched) = self.executions.get_mut(&id) {
            watched.inbox.push((name, signal));
        }
    }

    /// Whether this life's lease of an execution is valid by the store's clock.
    pub(super) fn holds(&self, id: ExecutionId, life: Life, now: Timestamp) -> bool {
        let watched = self.executions.get(&id);
        let held = watched.and_then(|watched| watched.held);
        held.is_some_and(|held| held.life == life && !held.over && held.until > now)
    }

    pub(super) fn stepped(
        &mut self,
        lease: &Lease,
        step: &Step,
        answer: &Stepped,
        (status, wake_at): (Option<Status>, Option<Timestamp>),
        now: Timestamp,
    ) {
        self.compare_answer(lease, step, *answer);
        let Stepped::Applied { next_seq, .. } = answer else {
            return;
        };
        let id = lease.execution;
        let Some(watched) = self.executions.get_mut(&id) else {
            return self.complain(checks::KNOWN_ONLY, id.to_string());
        };
        let (epoch, ended) = (watched.epoch, watched.ended);
        let entries = watched.entries.len() as u64;
        if !step.entries.is_empty() {
            watched.grants = 0;
        } else if step.to.is_some() {
            // Progress, if the status was another one; the store says so with the next grant.
            watched.unsure = true;
        }
        if let Some(held) = watched.held.as_mut().filter(|it| it.epoch == lease.epoch) {
            held.until = now.plus(lease.ttl);
            held.over = step.release || step.to.is_some_and(Status::is_terminal);
        }
        if lease.epoch != epoch {
            let what = format!("{id}: epoch {} wrote, {epoch} holds", lease.epoch);
            self.complain(checks::HOLDER_WRITES, what);
        }
        if step.expected_seq != entries + 1 || *next_seq != entries + 1 + step.entries.len() as u64
        {
            let at = step.expected_seq;
            let what = format!("{id}: {entries} entries, written at {at}, next {next_seq}");
            self.complain(checks::NO_GAPS, what);
        }
        if ended {
            self.complain(checks::NOTHING_FOLLOWS, id.to_string());
        }
        for child in &step.children {
            if !self.executions.contains_key(&child.id) {
                self.created(&lease.tenant, child, 0);
            }
        }
        self.append(id, lease.epoch, &step.entries);
        self.compare(id, step, (status, wake_at));
    }

    /// What the store says of a step that it has seen, and of one under an earlier epoch. Each of its
    /// guards must hold by itself, also where another one would have refused.
    fn compare_answer(&mut self, lease: &Lease, step: &Step, answer: Stepped) {
        let id = lease.execution;
        let Some(watched) = self.executions.get_mut(&id) else {
            return;
        };
        let epoch = watched.epoch;
        let known = match answer {
            Stepped::Applied { .. } => !watched.steps.insert(step.id),
            _ => watched.steps.contains(&step.id),
        };
        let at = step.expected_seq;
        if known != matches!(answer, Stepped::Replayed { .. }) {
            let before = if known { "known" } else { "never seen" };
            let what = format!("{id}: {before}, at {at}: {answer:?}");
            self.complain(checks::STEP_KNOWN, what);
        }
        if lease.epoch < epoch && matches!(answer, Stepped::Conflict { .. }) {
            let what = format!(
                "{id}: epoch {} at {at}, {epoch} holds: {answer:?}",
                lease.epoch
            );
            self.complain(checks::STALE_TOLD, what);
        }
    }

    /// Holds what the holder thinks against what its journal says.
    fn compare(
        &mut self,
        id: ExecutionId,
        step: &Step,
        (status, wake_at): (Option<Status>, Option<Timestamp>),
    ) {
        let machine = &self.executions[&id].machine;
        let rest = machine.rest();
        if let Some(snapshot) = &step.snapshot
            && (*snapshot.state != machine.snapshot()
                || snapshot.through != self.executions[&id].entries.len() as u64)
        {
            self.complain(checks::SAME_STATE, id.to_string());
        }
        let end = match rest {
            Rest::Ended(end) => Some(end),
            _ => None,
        };
        if end != status.filter(|status| status.is_terminal()) {
            let what = format!("{id} has the status {status:?}, and {rest:?}");
            return self.complain(checks::ONE_END, what);
        }
        if !step.release {
            return;
        }
        // A sleeping execution must be woken for everything that it waits for.
        let due = match rest {
            Rest::Ended(_) => return,
            Rest::Busy => {
                if wake_at.is_none() && status != Some(Status::Queued) {
                    let what = format!("{id} is busy, was left, and nothing wakes it");
                    self.complain(checks::WAKES, what);
                }
                return;
            }
            Rest::Waiting { due }
            | Rest::Parked { due }
            | Rest::Paused { due }
            | Rest::Compensating { due } => due,
        };
        if let Some(due) = due
            && wake_at.is_none_or(|at| at > due)
        {
            let what = format!("{id} is due at {due} and wakes at {wake_at:?}");
            self.complain(checks::WAKES, what);
        }
    }
}
