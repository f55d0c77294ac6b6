//! Moving an execution that waits to another version of its workflow.
//!
//! The journal so far must be a possible history of the other plan: folded over both, each entry
//! finds what it is about in both, and leaves it the same. What has not begun may be another.

use std::sync::Arc;

use nebula_core::{Digest, ExecutionId, NodeId, TenantId, Timestamp};

use crate::{
    Activation, Entry, ExecutionPlan, Fact, InstanceId, InstanceStatus, Key, Machine, PlanNode,
    StoredEntry, Taken,
};

/// Why an execution cannot be moved to another version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// It has ended.
    #[error("{execution} has ended")]
    Ended {
        /// Which execution.
        execution: ExecutionId,
    },
    /// The plans are of different workflows.
    #[error("{execution} is of the workflow `{is}`, not of `{wanted}`")]
    OtherWorkflow {
        /// Which execution.
        execution: ExecutionId,
        /// Its workflow.
        is: String,
        /// That of the other plan.
        wanted: String,
    },
    /// It has this version already.
    #[error("{execution} has version {version} already")]
    Same {
        /// Which execution.
        execution: ExecutionId,
        /// The version.
        version: u32,
    },
    /// It tries a part of a workflow.
    #[error("{execution} is a trial, of which no version is saved")]
    Trial {
        /// Which execution.
        execution: ExecutionId,
    },
    /// It runs a part of another execution's list.
    #[error("{execution} runs a part of a list of {parent}, on whose plan that depends")]
    Part {
        /// Which execution.
        execution: ExecutionId,
        /// Whose list it is.
        parent: ExecutionId,
    },
    /// A node that began is not there.
    #[error("`{node}` began, and version {version} has no such node in that place")]
    Gone {
        /// The node.
        node: NodeId,
        /// The version.
        version: u32,
    },
    /// A node that began is another one there.
    #[error("`{node}` began, and is another node in version {version}: {what}")]
    Changed {
        /// The node.
        node: NodeId,
        /// The version.
        version: u32,
        /// What is not the same.
        what: &'static str,
    },
    /// Nothing would have led to a node that began.
    #[error("`{node}` began when nothing would have led to it in version {version}")]
    NotReached {
        /// The node.
        node: NodeId,
        /// The version.
        version: u32,
    },
    /// A body that has ended would go on.
    #[error("the body of `{node}` has ended, and in version {version} `{more}` would still run")]
    More {
        /// Whose body.
        node: NodeId,
        /// The version.
        version: u32,
        /// A node of it that has not ended.
        more: NodeId,
    },
    /// Nobody has decided whether a connection is taken.
    #[error(
        "`{from}` has ended, and whether it leads to `{to}` as version {version} says was not decided"
    )]
    Undecided {
        /// The node that has ended.
        from: NodeId,
        /// Where the connection leads.
        to: NodeId,
        /// The version.
        version: u32,
    },
    /// The same entry would have meant something else.
    #[error("`{node}` would stand differently in version {version}: {what}")]
    Otherwise {
        /// The node.
        node: NodeId,
        /// The version.
        version: u32,
        /// What is not the same.
        what: &'static str,
    },
}

/// What a migration changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Migrated {
    /// The entry that the journal gets.
    pub entry: Entry,
    /// Instances that may run at once, and could not before.
    pub begins: Vec<InstanceId>,
    /// Instances that had not begun, and are not there any more.
    pub drops: Vec<InstanceId>,
}

/// Folds the journal of an execution over the plan that it has and over another one.
///
/// ```
/// # use std::sync::Arc;
/// # use nebula_execution::{ExecutionPlan, MigrateError, Migrated, Migration, StoredEntry};
/// # use nebula_core::{Digest, ExecutionId, TenantId, Timestamp};
/// # fn migrate(old: Arc<ExecutionPlan>, new: (Arc<ExecutionPlan>, Digest), id: ExecutionId,
/// # journal: &[StoredEntry], now: Timestamp) -> Result<Migrated, MigrateError> {
/// let mut migration = Migration::new(old, new, TenantId::local(), id)?;
/// for entry in journal {
///     migration.take(entry)?;
/// }
/// migration.finish(now)
/// # }
/// ```
#[derive(Debug)]
pub struct Migration {
    old: Machine,
    new: Machine,
    digest: Digest,
}

impl Migration {
    /// Begins: `old` is the plan that the execution has, `new` the other one and its digest.
    ///
    /// # Errors
    /// [`MigrateError`]: the plans are of different workflows, or of the same version.
    pub fn new(
        old: Arc<ExecutionPlan>,
        (new, digest): (Arc<ExecutionPlan>, Digest),
        tenant: TenantId,
        execution: ExecutionId,
    ) -> Result<Self, MigrateError> {
        if old.workflow != new.workflow {
            return Err(MigrateError::OtherWorkflow {
                execution,
                is: old.workflow.to_string(),
                wanted: new.workflow.to_string(),
            });
        }
        if old.version == 0 {
            return Err(MigrateError::Trial { execution });
        }
        if old.version == new.version {
            let version = new.version;
            return Err(MigrateError::Same { execution, version });
        }
        Ok(Self {
            old: Machine::new(old, tenant.clone(), execution),
            new: Machine::new(new, tenant, execution),
            digest,
        })
    }

    /// Takes the next entry of the journal, from the first one on.
    ///
    /// # Errors
    /// [`MigrateError`]: the other version could not have had this entry here.
    pub fn take(&mut self, entry: &StoredEntry) -> Result<(), MigrateError> {
        let fact = &entry.entry.fact;
        if fact.is_terminal() {
            let execution = self.old.id();
            return Err(MigrateError::Ended { execution });
        }
        if let Fact::ExecutionStarted(started) = fact
            && let Some(part) = &started.part
        {
            return Err(MigrateError::Part {
                execution: self.old.id(),
                parent: part.execution,
            });
        }
        let instance = fact.instance();
        if let Some(instance) = instance {
            self.fits(instance, fact)?;
        }
        self.old.apply(entry);
        self.new.apply(entry);
        match instance {
            Some(instance) => self.agrees(instance, fact),
            None => Ok(()),
        }
    }

    /// What the migration changes, decided at `now`.
    ///
    /// # Errors
    /// [`MigrateError`]: the execution ends otherwise.
    pub fn finish(self, now: Timestamp) -> Result<Migrated, MigrateError> {
        let ready = |machine: &Machine| {
            let (plan, state) = (machine.plan(), machine.state());
            let open = state.all();
            let ready = open.filter(|(_, it)| it.status == InstanceStatus::Ready);
            ready
                .map(|(at, _)| state.instance(plan, at.whole()))
                .collect::<Vec<_>>()
        };
        let (before, after) = (ready(&self.old), ready(&self.new));
        let fact = Fact::Migrated {
            version: self.new.plan().version,
            plan: self.digest,
        };
        Ok(Migrated {
            entry: Entry { at: now, fact },
            begins: after
                .iter()
                .filter(|it| !before.contains(it))
                .cloned()
                .collect(),
            drops: before
                .iter()
                .filter(|it| !after.contains(it))
                .cloned()
                .collect(),
        })
    }

    fn version(&self) -> u32 {
        self.new.plan().version
    }

    /// Whether the other plan could have an entry about this instance now.
    fn fits(&self, instance: &InstanceId, fact: &Fact) -> Result<(), MigrateError> {
        let version = self.version();
        for it in std::iter::once(instance).chain(instance.enclosing()) {
            self.same_node(&it.node)?;
        }
        let (plan, state) = (self.new.plan(), self.new.state());
        let node = || instance.node.clone();
        let at = state.find(plan, instance);
        let at = at.ok_or_else(|| MigrateError::Gone {
            node: node(),
            version,
        })?;
        let open = state.get(at).filter(|it| !it.has_ended());
        if open.is_none() {
            return Err(MigrateError::NotReached {
                node: node(),
                version,
            });
        }
        match fact {
            Fact::HandlerCalled { node: handler, .. } => self.same_handler(&node(), handler),
            Fact::BodyClosed { .. } => {
                let item = instance.item;
                self.has_ended(&node(), Key { at, item })
            }
            Fact::NodesCancelled { nodes, .. } => {
                nodes.iter().try_for_each(|named| self.same_node(named))
            }
            _ => Ok(()),
        }
    }

    /// Whether a node is the same in both plans, in the same part of them.
    fn same_node(&self, id: &NodeId) -> Result<(), MigrateError> {
        let (old, new, version) = (self.old.plan(), self.new.plan(), self.version());
        let gone = || MigrateError::Gone {
            node: id.clone(),
            version,
        };
        let before = old.index_of(id.as_str()).ok_or_else(gone)?;
        let after = new.index_of(id.as_str()).ok_or_else(gone)?;
        let owner = |plan: &ExecutionPlan, node: u32| {
            let body = plan.extent_of(node).checked_sub(1)?;
            let owner = plan.bodies[body as usize].owner;
            Some(plan.node(owner).id.clone())
        };
        if owner(old, before) != owner(new, after) {
            return Err(gone());
        }
        let bodies = (old.body_of(before).is_some(), new.body_of(after).is_some());
        let what = match difference(old.node(before), new.node(after)) {
            None if bodies.0 != bodies.1 => Some("its body"),
            what => what,
        };
        what.map_or(Ok(()), |what| {
            Err(MigrateError::Changed {
                node: id.clone(),
                version,
                what,
            })
        })
    }

    /// Whether a node that was called is called for the same in both plans.
    fn same_handler(&self, owner: &NodeId, handler: &NodeId) -> Result<(), MigrateError> {
        self.same_node(handler)?;
        let always = |plan: &ExecutionPlan| {
            let (owner, node) = (
                plan.index_of(owner.as_str())?,
                plan.index_of(handler.as_str())?,
            );
            Some(plan.body_of(owner)?.1.handler(node)?.always)
        };
        if always(self.old.plan()) == always(self.new.plan()) {
            return Ok(());
        }
        Err(MigrateError::Changed {
            node: handler.clone(),
            version: self.version(),
            what: "what it handles",
        })
    }

    /// Whether the run of a body that was closed is over in the other plan as well.
    fn has_ended(&self, node: &NodeId, owner: Key) -> Result<(), MigrateError> {
        let (plan, state, version) = (self.new.plan(), self.new.state(), self.version());
        let number = state.frames.of_owner(owner);
        let run = number.and_then(|number| state.frames.get(number));
        let gone = || MigrateError::NotReached {
            node: node.clone(),
            version,
        };
        let run = run.ok_or_else(gone)?;
        if run.ending.is_some() || run.is_quiet() {
            return Ok(());
        }
        let open = |activations: &[Activation]| activations.iter().any(|it| !it.has_ended());
        let more = run.nodes().find(|(_, it)| open(&it.activations));
        let more = more.map_or_else(|| node.clone(), |(more, _)| plan.node(more).id.clone());
        Err(MigrateError::More {
            node: node.clone(),
            version,
            more,
        })
    }

    /// Whether an entry left its instance the same over both plans.
    fn agrees(&self, instance: &InstanceId, fact: &Fact) -> Result<(), MigrateError> {
        let of = |machine: &Machine| {
            let at = machine.state().find(machine.plan(), instance)?;
            let ending = machine.state().is_ending(at.frame);
            Some((machine.state().get(at)?.clone(), ending))
        };
        let what = match (of(&self.old), of(&self.new)) {
            (Some((old, before)), Some((new, after))) => {
                let what = stands_otherwise(&old, &new);
                if what.is_none() && instance.item.is_none() && new.has_ended() {
                    self.decided(instance, fact, &new)?;
                }
                what.or((before != after).then_some("whether everything around it ends with it"))
            }
            (None, None) => None,
            _ => Some("whether it is there"),
        };
        what.map_or(Ok(()), |what| {
            Err(MigrateError::Otherwise {
                node: instance.node.clone(),
                version: self.version(),
                what,
            })
        })
    }

    /// Whether every connection that an ended instance could take in the other plan was decided.
    fn decided(
        &self,
        instance: &InstanceId,
        fact: &Fact,
        ended: &Activation,
    ) -> Result<(), MigrateError> {
        let (old, new, version) = (self.old.plan(), self.new.plan(), self.version());
        let Some(port) = &ended.port else {
            return Ok(());
        };
        let (Some(before), Some(after)) = (
            old.index_of(instance.node.as_str()),
            new.index_of(instance.node.as_str()),
        ) else {
            return Ok(());
        };
        let taken = fact.taken().unwrap_or(&Taken::All);
        for (_, edge) in new.outgoing(after).filter(|(_, edge)| edge.port == *port) {
            let live = match taken {
                Taken::All => true,
                Taken::Only(names) => names.contains(&edge.name),
            };
            let mut known = old.outgoing(before).map(|(_, edge)| edge);
            let known = known.find(|it| it.port == edge.port && it.name == edge.name);
            let decided = match (&edge.condition, known.and_then(|it| it.condition.as_ref())) {
                (None, _) => live,
                (Some(condition), Some(known)) => condition.source() == known.source(),
                (Some(_), None) => false,
            };
            if !decided {
                return Err(MigrateError::Undecided {
                    from: instance.node.clone(),
                    to: new.node(edge.to).id.clone(),
                    version,
                });
            }
        }
        Ok(())
    }
}

/// What makes a node another one, once it has begun.
fn difference(old: &PlanNode, new: &PlanNode) -> Option<&'static str> {
    let list = |node: &PlanNode| (node.for_each.is_some(), node.each_item);
    if old.action != new.action || old.version.major != new.version.major {
        Some("its action")
    } else if old.kind != new.kind {
        Some("what its action is")
    } else if list(old) != list(new) {
        Some("whether it runs for each element of a list")
    } else {
        None
    }
}

/// What two folds of one entry disagree about.
fn stands_otherwise(old: &Activation, new: &Activation) -> Option<&'static str> {
    let wait = |it: &Activation| (it.due, it.timer, it.signal.clone(), it.deadline);
    let gave = Activation::given;
    if old.status != new.status || old.port != new.port || old.given_up != new.given_up {
        Some("how it stands")
    } else if gave(old) != gave(new) || old.error != new.error {
        Some("what it gave")
    } else if old.items != new.items || old.runs != new.runs {
        Some("its items or rounds")
    } else if wait(old) != wait(new) || (old.attempts, old.failures) != (new.attempts, new.failures)
    {
        Some("what it waits for")
    } else if !new.has_ended() && old.ready_at != new.ready_at {
        Some("when its inputs were complete, which is its `$now`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nebula_core::{BlobId, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::{Given, InstanceStatus, LIST_SEGMENT, Outcomes, Stored};

    fn gave(given: Given) -> Activation {
        let (ended, at) = (InstanceStatus::Succeeded, Timestamp::from_millis(1));
        let mut it = Activation::new(ended, at, Default::default());
        match given {
            Given::Value(value) => it.output = Some(value),
            Given::List(list) => it.list = Some(list),
            Given::Blob(stored) => it.blob = Some(stored),
            Given::Made(made) => it.made = Some(made),
        }
        it
    }

    /// Guards: a node that passes on what it gets gives something else where that is another value, another
    /// long list, or lies in another blob; in memory or not, a blob is the same.
    #[test]
    fn what_a_node_gave_is_compared_wherever_it_lies() {
        let value = |n: u32| Given::Value(Arc::new(json!(n)));
        let list = |more: u32| Outcomes::default().list(LIST_SEGMENT + more);
        let blob = |content: &[u8]| Given::Blob(Arc::new(Stored::new(BlobId::of(content))));
        let read = Given::Blob(Arc::new(Stored::of(BlobId::of(b"1"), Arc::new(json!(1)))));
        let all = [
            [value(1), value(1), value(2)],
            [list(1), list(1), list(2)],
            [blob(b"1"), read, blob(b"2")],
        ];
        for [one, same, other] in all {
            let otherwise = stands_otherwise(&gave(one.clone()), &gave(same));
            assert_eq!(otherwise, None, "{one:?}");
            let otherwise = stands_otherwise(&gave(one.clone()), &gave(other));
            assert_eq!(otherwise, Some("what it gave"), "{one:?}");
        }
    }
}
