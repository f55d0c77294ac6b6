//! Going over an ended execution again: which of its facts stay true in the new one.
//!
//! The new journal begins with its own [`Fact::ExecutionStarted`]. Then follow, in their order and
//! with their times, the facts of the old one that a retry or a restart leaves true. What a fact
//! says about an instance is copied only if everything before it about that instance is: so the
//! fold takes the copies as it took the originals. Of a body that did not end well, `doubts.rs` keeps
//! what did.

mod children;
mod doubts;
mod error;
mod generations;
mod judge;
mod undone;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
};

use compact_str::CompactString;
use nebula_core::{ExecutionId, NodeId, TenantId, Timestamp};
use nebula_workflow::nearest;

use crate::{
    Again, Entry, ExecutionPlan, Fact, InstanceId, InstanceStatus, Machine, NewExecution,
    PlanMilestone, Repeats, Status, StoredEntry,
};
use children::known_children;
use doubts::{Doubts, RunTurn};
pub use error::AgainError;
use undone::behind_the_undone;

/// How many entries a retry or a restart copies at most: they are written in one transaction.
pub const MAX_COPIED_ENTRIES: usize = 100_000;

/// Reads the journal of an ended execution for the second time, and keeps what stays true.
///
/// ```
/// # use nebula_execution::{Again, AgainError, Copying, Machine, NewExecution, StoredEntry};
/// # use nebula_core::{ExecutionId, Timestamp};
/// # fn again(ended: &Machine, journal: &[StoredEntry], id: ExecutionId, now: Timestamp)
/// # -> Result<NewExecution, AgainError> {
/// let mut copying = Copying::new(ended, Again::Retry)?;
/// for entry in journal {
///     copying.take(entry)?;
/// }
/// copying.finish(id, now)
/// # }
/// ```
#[derive(Debug)]
pub struct Copying<'m> {
    ended: &'m Machine,
    how: Again,
    /// By dense index: whether a person wants the node to do its work once more.
    restarted: Vec<bool>,
    /// By dense index: whether the node runs again under its old keys, because an effect that it
    /// follows from was undone.
    redone: Vec<bool>,
    /// Instances whose effect was settled while the execution went on, and whether it was given up.
    early: BTreeMap<InstanceId, bool>,
    /// Instances about whose compensation a person must decide at this entry.
    stuck: BTreeSet<InstanceId>,
    /// At-most-once attempts of what will run again that are not known to have done nothing.
    acted: BTreeSet<InstanceId>,
    /// What was copied so far; none where it turned out not to stay true.
    copied: Vec<Option<Entry>>,
    /// The state before the next entry; followed only where the plan has bodies.
    lived: Machine,
    /// What is said about bodies that may turn out to have ended in vain.
    doubts: Doubts,
    /// Instances that did not end well, as far as they are known at this entry.
    open: BTreeMap<InstanceId, Open>,
    /// Where the signals are that nobody has taken at this entry, by name and id.
    signals: BTreeMap<(CompactString, String), usize>,
    /// The names of the signals that instances wait for at this entry.
    awaited: BTreeMap<InstanceId, CompactString>,
    /// The children that did not complete, by who called them.
    children: BTreeMap<InstanceId, ExecutionId>,
    /// Whether the old execution is about to end at this entry.
    ending: bool,
}

/// An instance that may stay open.
#[derive(Debug, Default)]
struct Open {
    /// The places of its copied entries.
    places: Vec<usize>,
    /// Whether an attempt may have changed the outside, which only a person can find out.
    unknown: bool,
}

impl<'m> Copying<'m> {
    /// Begins, over the state in which the old execution ended.
    ///
    /// # Errors
    /// [`AgainError`]: it has not ended, or there is nothing to go over again.
    pub fn new(ended: &'m Machine, how: Again) -> Result<Self, AgainError> {
        let (plan, state, execution) = (ended.plan(), ended.state(), ended.id());
        let status = state.end_status();
        match (&how, status) {
            (_, None) => return Err(AgainError::NotEnded { execution }),
            (Again::Retry, Some(Status::Completed)) => {
                return Err(AgainError::Completed { execution });
            }
            _ => {}
        }
        let restarted = match &how {
            Again::Retry => vec![false; plan.nodes.len()],
            Again::Restart { from: None } => vec![true; plan.nodes.len()],
            Again::Restart { from: Some(node) } => {
                let from = plan
                    .index_of(node.as_str())
                    .ok_or_else(|| unknown_node(plan, node))?;
                if plan.extent_of(from) != 0 {
                    return Err(AgainError::InBody { node: node.clone() });
                }
                let skipped = |status| status == InstanceStatus::Skipped;
                let mut activations = state.activations(from).iter();
                if activations.all(|activation| skipped(activation.status)) {
                    let node = node.clone();
                    return Err(AgainError::NotReached { node, execution });
                }
                downstream(plan, from)
            }
        };
        Ok(Self {
            ended,
            how,
            restarted,
            redone: behind_the_undone(ended),
            early: {
                let settled = state.compensations().settled().iter();
                let early = settled.filter(|it| it.early);
                early.map(|it| (it.instance.clone(), it.given_up)).collect()
            },
            stuck: BTreeSet::new(),
            acted: BTreeSet::new(),
            copied: Vec::new(),
            lived: Machine::new(plan.clone(), ended.tenant().clone(), execution),
            doubts: Doubts::default(),
            open: BTreeMap::new(),
            signals: BTreeMap::new(),
            awaited: BTreeMap::new(),
            children: known_children(ended),
            ending: false,
        })
    }

    /// Takes the next entry of the old journal, from the first one on.
    ///
    /// # Errors
    /// [`AgainError::TooMany`].
    pub fn take(&mut self, stored: &StoredEntry) -> Result<(), AgainError> {
        let entry = &stored.entry;
        let turn = self.turn_of_a_run(&entry.fact);
        if !self.ended.plan().bodies.is_empty() {
            self.lived.apply(stored);
        }
        match &entry.fact {
            Fact::SignalReceived(signal) => {
                let key = (signal.name.clone(), signal.id.clone());
                let place = self.copy(entry.clone());
                self.signals.insert(key, place);
            }
            Fact::SignalMissed { name, id } => {
                let missed = self.signals.remove(&(name.clone(), id.clone()));
                self.forget(missed);
            }
            fact => {
                if let Some(instance) = fact.instance() {
                    if self.is_compensation(fact, instance) {
                        self.compensation(instance, entry);
                    } else {
                        self.about(instance, entry, turn);
                    }
                }
            }
        }
        self.ending |= self.begins_the_end(&entry.fact);
        if self.copied.len() > MAX_COPIED_ENTRIES {
            let execution = self.ended.id();
            return Err(AgainError::TooMany { execution });
        }
        Ok(())
    }

    /// The new execution: of the same version, on the same input, under the same grants.
    ///
    /// # Errors
    /// [`AgainError`]: what must not act twice would.
    pub fn finish(mut self, id: ExecutionId, now: Timestamp) -> Result<NewExecution, AgainError> {
        self.settle_doubts(now);
        self.nothing_acts_twice()?;
        for open in mem::take(&mut self.open).into_values() {
            if !open.unknown {
                self.forget(open.places);
            }
        }
        let entries: Vec<Entry> = mem::take(&mut self.copied).into_iter().flatten().collect();
        let state = self.ended.state();
        let mut started = state
            .started()
            .expect("an execution that has ended has begun")
            .clone();
        let before = started.repeats.take();
        // Whoever called the old one has been told of its end.
        started.parent = None;
        started.origin = Some(started.origin.unwrap_or(self.ended.id()));
        let mut repeats = Repeats {
            of: self.ended.id(),
            how: self.how.clone(),
            copied: entries.len() as u64,
            began: state.started_at(),
            all: None,
            nodes: BTreeMap::new(),
            undone: Vec::new(),
            children: self.unfinished(),
        };
        if let Some(before) = before {
            repeats.began = before.began;
            repeats.all = before.all;
            repeats.nodes = before.nodes;
            repeats.undone = before.undone;
        }
        self.raise(&mut repeats, id, now);
        started.repeats = Some(repeats);
        let (workflow, version) = (started.workflow.clone(), started.version);
        let fact = Fact::ExecutionStarted(Box::new(started));
        let tenant: TenantId = self.ended.tenant().clone();
        let first = Entry { at: now, fact };
        Ok(NewExecution {
            id,
            tenant,
            workflow,
            version,
            entries: [first].into_iter().chain(entries).collect(),
            slot: None,
            rate: None,
            trigger: None,
            quotas: nebula_tenant::Quotas::default(),
        })
    }

    /// Whether all activations of a node of the top level run again.
    fn runs_again(&self, node: u32) -> bool {
        self.restarted[node as usize] || self.redone[node as usize]
    }

    /// Copies an entry, and says where it stands.
    fn copy(&mut self, entry: Entry) -> usize {
        self.copied.push(Some(entry));
        self.copied.len() - 1
    }

    /// Takes copies back. The last place is given to the next one.
    fn forget(&mut self, places: impl IntoIterator<Item = usize>) {
        for place in places {
            if place + 1 == self.copied.len() {
                self.copied.pop();
            } else {
                self.copied[place] = None;
            }
        }
    }

    /// An entry about an instance.
    fn about(&mut self, instance: &InstanceId, entry: &Entry, turn: Option<RunTurn>) {
        let top = instance.enclosing().last().unwrap_or(instance);
        let node = self.node(top);
        let restarted = self.restarted[node as usize];
        self.takes_signal(instance, &entry.fact, restarted);
        if restarted {
            return;
        }
        if self.redone[node as usize] {
            // A signal that it had taken is there to be taken again.
            self.may_have_acted(instance, &entry.fact);
            self.may_have_given_up(instance, &entry.fact);
            if instance.within.is_some() {
                self.child(instance, &entry.fact);
            }
            return;
        }
        let place = self.copy(entry.clone());
        if self.ended_well(node, top.activation) {
            return;
        }
        self.child(instance, &entry.fact);
        if self.ended.plan().body_of(node).is_some() {
            self.doubt(instance, place, turn);
        } else {
            let handled = self.is_handled(instance, node);
            self.judge(place, handled);
        }
    }

    /// Follows who takes which signal. What was brought to something that is restarted was consumed,
    /// and stays so.
    fn takes_signal(&mut self, instance: &InstanceId, fact: &Fact, restarted: bool) {
        let (name, id) = match fact {
            Fact::SignalAwaited { name, .. }
            | Fact::ItemsOpened {
                more: Some(name), ..
            } => {
                self.awaited.insert(instance.clone(), name.clone());
                return;
            }
            Fact::ItemsAdded { id, .. } => (self.awaited.get(instance).cloned(), id),
            Fact::SignalTaken { id, .. } => (self.awaited.remove(instance), id),
            _ => return,
        };
        let taken = name.and_then(|name| self.signals.remove(&(name, id.clone())));
        if restarted {
            self.forget(taken);
        }
    }

    fn node(&self, instance: &InstanceId) -> u32 {
        let plan = self.ended.plan();
        plan.index_of(instance.node.as_str())
            .expect("a journal names only nodes of its plan")
    }
}

/// Which nodes can be reached from this one, itself included; by dense index.
fn downstream(plan: &ExecutionPlan, from: u32) -> Vec<bool> {
    let mut reached = vec![false; plan.nodes.len()];
    reached[from as usize] = true;
    let asking = asking(plan);
    let mut queue = VecDeque::from([from]);
    while let Some(node) = queue.pop_front() {
        let mut next: BTreeSet<u32> = plan.outgoing(node).map(|(_, edge)| edge.to).collect();
        let asks = asking.iter().filter(|(asked, _)| *asked == node);
        next.extend(asks.map(|(_, asker)| *asker));
        for node in next {
            if !mem::replace(&mut reached[node as usize], true) {
                queue.push_back(node);
            }
        }
    }
    // A body stands behind its node.
    for body in &plan.bodies {
        if reached[body.owner as usize] {
            reached[body.first as usize..(body.first + body.count) as usize].fill(true);
        }
    }
    reached
}

/// The nodes whose ends a milestone lies between, each with the one beside it that asks, or that has
/// the asking one in its body: what that one does follows from those ends as well.
fn asking(plan: &ExecutionPlan) -> Vec<(u32, u32)> {
    let mut asking = Vec::new();
    for (index, node) in (0_u32..).zip(&plan.nodes) {
        for asked in node.milestone.into_iter().flat_map(PlanMilestone::nodes) {
            let mut asker = index;
            while plan.extent_of(asker) != plan.extent_of(asked) {
                asker = plan.bodies[plan.extent_of(asker) as usize - 1].owner;
            }
            asking.push((asked, asker));
        }
    }
    asking
}

fn unknown_node(plan: &ExecutionPlan, node: &NodeId) -> AgainError {
    let names = plan.nodes.iter().map(|node| node.id.as_str());
    AgainError::UnknownNode {
        workflow: plan.workflow.to_string(),
        node: node.clone(),
        near: nearest(node.as_str(), names).map(str::to_owned),
    }
}
