//! Going over an ended execution again: which of its facts stay true in the new one.
//!
//! The new journal begins with its own [`Fact::ExecutionStarted`]. Then follow, in their order and
//! with their times, the facts of the old one that a retry or a restart leaves true. What a fact
//! says about an instance is copied only if everything before it about that instance is: so the
//! fold takes the copies as it took the originals.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
};

use compact_str::CompactString;
use nebula_action::{EffectClass, ErrorClass};
use nebula_core::{ExecutionId, NodeId, TenantId, Timestamp};
use nebula_workflow::{OnIndeterminate, nearest};

use crate::{
    Again, Entry, ExecutionPlan, Fact, Generation, InstanceId, InstanceStatus, Machine,
    NewExecution, PlanMilestone, Repeats, Status, StoredEntry, UnfinishedChild, UnparkDecision,
};

/// How many entries a retry or a restart copies at most: they are written in one transaction.
pub const MAX_COPIED_ENTRIES: usize = 100_000;

/// Why an execution cannot be gone over again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgainError {
    /// It may still do by itself what is asked for.
    #[error("{execution} has not ended")]
    NotEnded {
        /// Which execution.
        execution: ExecutionId,
    },
    /// There is nothing to retry.
    #[error("{execution} completed: nothing of it failed")]
    Completed {
        /// Which execution.
        execution: ExecutionId,
    },
    /// The workflow has no such node.
    #[error("the workflow `{workflow}` has no node `{node}`")]
    UnknownNode {
        /// The workflow.
        workflow: String,
        /// What was asked for.
        node: NodeId,
        /// The node that has almost this name.
        near: Option<String>,
    },
    /// The node did nothing that could be done again.
    #[error("node `{node}` did not run in {execution}: nothing led to it")]
    NotReached {
        /// The node.
        node: NodeId,
        /// Which execution.
        execution: ExecutionId,
    },
    /// What an unfinished body did outside must not be done twice, and cannot be copied alone.
    #[error(
        "node `{node}` may have acted outside in a body that did not end well, and must not act twice"
    )]
    ActedInBody {
        /// The node in the body.
        node: NodeId,
    },
    /// What follows from an undone effect runs again, and this must not.
    #[error(
        "node `{node}` acted outside behind what was undone, and must not act twice: give it `compensate`, or restart the execution"
    )]
    ActedBehind {
        /// The node.
        node: NodeId,
    },
    /// A body begins again as a whole.
    #[error("node `{node}` stands in a body, and runs again only with the node that has the body")]
    InBody {
        /// The node in the body.
        node: NodeId,
    },
    /// Too much of it would have to be copied.
    #[error(
        "more than {MAX_COPIED_ENTRIES} entries of {execution} would have to be copied, which is the limit"
    )]
    TooMany {
        /// Which execution.
        execution: ExecutionId,
    },
}

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
/// Ok(copying.finish(id, now))
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
    /// Instances whose effect was settled while the execution went on.
    early: BTreeSet<InstanceId>,
    /// Instances about whose compensation a person must decide at this entry.
    stuck: BTreeSet<InstanceId>,
    /// At-most-once attempts of what will run again that are not known to have done nothing.
    acted: BTreeSet<InstanceId>,
    /// What was copied so far; none where it turned out not to stay true.
    copied: Vec<Option<Entry>>,
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
                early.map(|it| it.instance.clone()).collect()
            },
            stuck: BTreeSet::new(),
            acted: BTreeSet::new(),
            copied: Vec::new(),
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
    /// [`AgainError`]: too much would have to be copied, or what must not act twice would.
    pub fn take(&mut self, entry: &StoredEntry) -> Result<(), AgainError> {
        let entry = &entry.entry;
        match &entry.fact {
            Fact::SignalReceived(signal) => {
                let key = (signal.name.clone(), signal.id.clone());
                self.signals.insert(key, self.copied.len());
                self.copy(entry.clone());
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
                        self.about(instance, entry);
                    }
                }
            }
        }
        if entry.fact.is_terminal() {
            self.nothing_acts_twice()?;
        }
        self.ending |= self.begins_the_end(&entry.fact);
        if self.copied.len() > MAX_COPIED_ENTRIES {
            let execution = self.ended.id();
            return Err(AgainError::TooMany { execution });
        }
        Ok(())
    }

    /// The new execution: of the same version, on the same input, under the same grants.
    #[must_use]
    pub fn finish(mut self, id: ExecutionId, now: Timestamp) -> NewExecution {
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
        NewExecution {
            id,
            tenant,
            workflow,
            version,
            entries: [first].into_iter().chain(entries).collect(),
            slot: None,
            rate: None,
        }
    }

    /// The children of what runs again, unless it is restarted.
    fn unfinished(&mut self) -> Vec<UnfinishedChild> {
        let mut children = mem::take(&mut self.children);
        children.retain(|instance, _| {
            let outer = instance.enclosing().last().unwrap_or(instance);
            let node = self.node(outer);
            !self.restarted[node as usize] && !self.ended_well(node, outer.activation)
        });
        let children = children.into_iter();
        let children = children.map(|(instance, child)| UnfinishedChild { instance, child });
        children.collect()
    }

    /// Gives what is restarted a generation of its own.
    fn raise(&self, repeats: &mut Repeats, id: ExecutionId, now: Timestamp) {
        let next = |number| Generation {
            number,
            since: id,
            at: now,
        };
        let undone = repeats.undone.iter().map(|it| it.generation.number);
        let of_undone = undone.max().unwrap_or(0);
        match &self.how {
            Again::Retry => {}
            Again::Restart { from: None } => {
                let known = repeats.nodes.values().chain(&repeats.all);
                let highest = known.map(|known| known.number).max().unwrap_or(0);
                repeats.began = now;
                repeats.nodes.clear();
                repeats.undone.clear();
                repeats.all = Some(next(highest.max(of_undone) + 1));
                return;
            }
            Again::Restart { from: Some(_) } => {
                let nodes = self.ended.plan().nodes.iter().zip(&self.restarted);
                for (node, _) in nodes.filter(|(_, restarted)| **restarted) {
                    let before = repeats.generation_of(&node.id);
                    let before = before.map_or(0, |generation| generation.number);
                    let generation = next(before.max(of_undone) + 1);
                    repeats.nodes.insert(node.id.clone(), generation);
                    repeats.undone.retain(|it| it.instance.node != node.id);
                }
            }
        }
        let settled = self.ended.state().compensations().settled().iter();
        for undone in settled.filter(|it| !it.given_up) {
            let node = self.node(&undone.instance);
            if !self.restarted[node as usize] {
                let before = repeats.generation(&undone.instance);
                let before = before.map_or(0, |generation| generation.number);
                repeats.undo(undone.instance.clone(), next(before + 1));
            }
        }
    }

    /// Whether a fact is about undoing the effect of this instance.
    fn is_compensation(&mut self, fact: &Fact, instance: &InstanceId) -> bool {
        match fact {
            Fact::CompensationRegistered { .. }
            | Fact::CompensationStarted { .. }
            | Fact::CompensationSucceeded { .. } => true,
            Fact::CompensationFailed { retry_at, .. } => {
                if retry_at.is_none() {
                    self.stuck.insert(instance.clone());
                }
                true
            }
            Fact::Unparked { .. } => self.stuck.remove(instance),
            _ => false,
        }
    }

    /// What was undone in a body whose node then went on stays part of that body. What else was
    /// registered is no longer this one's to undo: it was undone, or its effect stands.
    fn compensation(&mut self, instance: &InstanceId, entry: &Entry) {
        let outer = instance.enclosing().last();
        let Some(outer) = outer.filter(|_| self.early.contains(instance)) else {
            return;
        };
        let top = self.node(outer);
        if !self.runs_again(top) && self.ended_well(top, outer.activation) {
            self.copy(entry.clone());
        }
    }

    /// Whether all activations of a node of the top level run again.
    fn runs_again(&self, node: u32) -> bool {
        self.restarted[node as usize] || self.redone[node as usize]
    }

    /// Remembers of an instance that will run again whether it may have acted, and must not twice.
    fn may_have_acted(&mut self, instance: &InstanceId, fact: &Fact) {
        match fact {
            Fact::AttemptStarted { .. } | Fact::ChildStarted { .. }
                if self.asks_a_person(self.node(instance)) =>
            {
                self.acted.insert(instance.clone());
            }
            Fact::AttemptFailed { error, .. } if leaves_open(&error.class) => {}
            Fact::AttemptFailed { .. }
            | Fact::Unparked {
                decision: UnparkDecision::Failed | UnparkDecision::Retry,
                ..
            } => {
                self.acted.remove(instance);
            }
            _ => {}
        }
    }

    fn nothing_acts_twice(&mut self) -> Result<(), AgainError> {
        let settled = self.ended.state().compensations().settled().iter();
        for undone in settled.filter(|it| !it.given_up) {
            self.acted.remove(&undone.instance);
        }
        let Some(instance) = self.acted.first() else {
            return Ok(());
        };
        let node = instance.node.clone();
        Err(match instance.within {
            Some(_) => AgainError::ActedInBody { node },
            None => AgainError::ActedBehind { node },
        })
    }

    fn copy(&mut self, entry: Entry) {
        self.copied.push(Some(entry));
    }

    fn forget(&mut self, places: impl IntoIterator<Item = usize>) {
        for place in places {
            self.copied[place] = None;
        }
    }

    /// An entry about an instance.
    fn about(&mut self, instance: &InstanceId, entry: &Entry) {
        if let Some(outer) = instance.enclosing().last() {
            self.inside(outer, instance, entry);
            return;
        }
        let node = self.node(instance);
        let restarted = self.restarted[node as usize];
        match &entry.fact {
            Fact::SignalAwaited { name, .. }
            | Fact::ItemsOpened {
                more: Some(name), ..
            } => {
                self.awaited.insert(instance.clone(), name.clone());
            }
            Fact::ItemsAdded { id, .. } => {
                let name = self.awaited.get(instance).cloned();
                let taken = name.and_then(|name| self.signals.remove(&(name, id.clone())));
                if restarted {
                    // What it brought was consumed, and stays so.
                    self.forget(taken);
                }
            }
            Fact::SignalTaken { id, .. } => {
                let name = self.awaited.remove(instance);
                let taken = name.and_then(|name| self.signals.remove(&(name, id.clone())));
                if restarted {
                    // It was consumed, and stays so.
                    self.forget(taken);
                }
            }
            _ => {}
        }
        if restarted {
            return;
        }
        if self.redone[node as usize] {
            // A signal that it had taken is there to be taken again.
            self.may_have_acted(instance, &entry.fact);
            return;
        }
        if self.ended_well(node, instance.activation) {
            self.copy(entry.clone());
        } else {
            self.child(instance, &entry.fact);
            self.unended(instance, node, entry);
        }
    }

    /// An entry about an instance in a body: it stays if the node at the top level that has it all
    /// ended well; else the body begins again.
    fn inside(&mut self, outer: &InstanceId, instance: &InstanceId, entry: &Entry) {
        let top = self.node(outer);
        if self.restarted[top as usize] {
            return;
        }
        if !self.redone[top as usize] && self.ended_well(top, outer.activation) {
            self.copy(entry.clone());
        } else {
            self.may_have_acted(instance, &entry.fact);
        }
        self.child(instance, &entry.fact);
    }

    /// An entry about an instance that failed with the execution or did not end. Of a list, the
    /// items that ended are kept; of effects that nobody knows about, the question is.
    fn unended(&mut self, instance: &InstanceId, node: u32, entry: &Entry) {
        match &entry.fact {
            // What signals brought is brought once: the list has it, also if its body begins again.
            Fact::ItemsOpened { more: Some(_), .. } | Fact::ItemsAdded { .. } => {
                self.copy(entry.clone());
            }
            Fact::ItemsOpened { .. } | Fact::ItemsSettled { .. }
                if self.ended.plan().body_of(node).is_none() =>
            {
                self.copy(entry.clone());
            }
            Fact::AttemptStarted { .. } => {
                let asks = self.asks_a_person(node);
                self.remember(instance, entry.clone(), asks);
            }
            Fact::AttemptSucceeded { .. } => self.settle(instance, entry.clone()),
            Fact::AttemptFailed {
                retry_at: Some(_),
                error,
                ..
            } => {
                let unknown = self.is_unknown(instance) && leaves_open(&error.class);
                self.remember(instance, entry.clone(), unknown);
            }
            Fact::AttemptFailed { attempt, error, .. } => {
                if self.is_handled(instance, node) && error.class != ErrorClass::Cancelled {
                    self.settle(instance, entry.clone());
                } else if self.is_unknown(instance) && leaves_open(&error.class) {
                    // That it counts as failed ended with the execution; the question did not.
                    let fact = Fact::AttemptIndeterminate {
                        instance: instance.clone(),
                        attempt: *attempt,
                        error: error.clone(),
                    };
                    self.remember(instance, Entry { at: entry.at, fact }, true);
                } else {
                    self.drop(instance);
                }
            }
            Fact::AttemptIndeterminate { .. } => self.remember(instance, entry.clone(), true),
            Fact::Unparked { decision, .. } => match decision {
                UnparkDecision::Succeeded(_) => self.settle(instance, entry.clone()),
                UnparkDecision::Failed if self.is_handled(instance, node) => {
                    self.settle(instance, entry.clone());
                }
                UnparkDecision::Failed => self.drop(instance),
                UnparkDecision::Retry => self.remember(instance, entry.clone(), false),
            },
            // What waited waits again, counted from the same time; what stopped stops again.
            _ => {}
        }
    }

    /// Remembers which child an instance has called last, for as long as it did not complete.
    fn child(&mut self, instance: &InstanceId, fact: &Fact) {
        match fact {
            Fact::ChildStarted {
                child,
                detached: false,
                ..
            } => {
                self.children.insert(instance.clone(), *child);
            }
            Fact::ChildEnded {
                status: Status::Completed,
                ..
            } => {
                self.children.remove(instance);
            }
            _ => {}
        }
    }

    /// Copies an entry that stays only if the instance turns out to be kept.
    fn remember(&mut self, instance: &InstanceId, entry: Entry, unknown: bool) {
        let open = self.open.entry(instance.clone()).or_default();
        open.places.push(self.copied.len());
        open.unknown = unknown;
        self.copy(entry);
    }

    /// Copies the end of an item, and with it all before.
    fn settle(&mut self, instance: &InstanceId, entry: Entry) {
        self.open.remove(instance);
        self.copy(entry);
    }

    /// The instance runs again as if it never had.
    fn drop(&mut self, instance: &InstanceId) {
        if let Some(open) = self.open.remove(instance) {
            self.forget(open.places);
        }
    }

    fn is_unknown(&self, instance: &InstanceId) -> bool {
        self.open.get(instance).is_some_and(|open| open.unknown)
    }

    /// Whether an unknown outcome of this node may not be tried again without a person.
    fn asks_a_person(&self, node: u32) -> bool {
        let node = self.ended.plan().node(node);
        node.effect == EffectClass::AtMostOnce && node.on_indeterminate != OnIndeterminate::Retry
    }

    /// Whether the failure of this item is a result that its list goes on with.
    fn is_handled(&self, instance: &InstanceId, node: u32) -> bool {
        let goes_on = self.ended.plan().node(node).goes_on();
        instance.item.is_some() && goes_on && !self.ending
    }

    /// Whether the activation ended by itself, and something could follow from it.
    fn ended_well(&self, node: u32, number: u32) -> bool {
        let activation = self.ended.state().activation(node, number);
        activation.is_some_and(|activation| match activation.status {
            // It was given up, and a retry changes nothing about that; whether a restart does is
            // seen when the node that asked for it runs again.
            _ if activation.given_up => self.how == Again::Retry,
            InstanceStatus::Skipped => true,
            // What failed with the execution, or stopped it, left by no port.
            InstanceStatus::Succeeded | InstanceStatus::Failed => activation.port.is_some(),
            _ => false,
        })
    }

    /// Whether nothing that fails after this fact is handled.
    fn begins_the_end(&self, fact: &Fact) -> bool {
        match fact {
            Fact::CancellationRequested { .. }
            | Fact::StopRequested { .. }
            | Fact::QuitRequested { .. } => true,
            Fact::AttemptFailed {
                instance,
                retry_at: None,
                ..
            }
            | Fact::Unparked {
                instance: Some(instance),
                decision: UnparkDecision::Failed,
                ..
            } => {
                let whole = instance.item.is_none();
                whole && !self.ended_well(self.node(instance), instance.activation)
            }
            _ => false,
        }
    }

    fn node(&self, instance: &InstanceId) -> u32 {
        let plan = self.ended.plan();
        plan.index_of(instance.node.as_str())
            .expect("a journal names only nodes of its plan")
    }
}

/// The children that this execution would itself have gone over again.
fn known_children(ended: &Machine) -> BTreeMap<InstanceId, ExecutionId> {
    let repeats = ended.state().started().and_then(|it| it.repeats.as_ref());
    let children = repeats.into_iter().flat_map(|repeats| &repeats.children);
    children.map(|it| (it.instance.clone(), it.child)).collect()
}

/// Whether an error of a started attempt leaves open what it did.
fn leaves_open(class: &ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Unknown | ErrorClass::Timeout | ErrorClass::Cancelled
    )
}

/// Which nodes run again because effects were undone when the execution ended: those with such
/// effects, and all that follows from them; by dense index.
fn behind_the_undone(ended: &Machine) -> Vec<bool> {
    let plan = ended.plan();
    let mut redone = vec![false; plan.nodes.len()];
    let settled = ended.state().compensations().settled().iter();
    for undone in settled.filter(|it| !it.given_up && !it.early) {
        let outermost = undone.instance.enclosing().last();
        let node = &outermost.unwrap_or(&undone.instance).node;
        let node = plan.index_of(node.as_str());
        let node = node.expect("a journal names only nodes of its plan");
        if !redone[node as usize] {
            let reached = downstream(plan, node);
            for (redone, reached) in redone.iter_mut().zip(reached) {
                *redone |= reached;
            }
        }
    }
    redone
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
