//! What an execution has from the one that it goes over again.

use std::collections::BTreeMap;

use nebula_core::{ExecutionId, NodeId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::InstanceId;

/// How an execution that has ended is gone over again, always by a new execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// What succeeded is kept; what failed or never ended runs again, under the same keys.
    Retry,
    /// What a person chose runs again, under new keys, whether or not it had succeeded.
    Restart {
        /// This node and all that follows from it; without one, every node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<NodeId>,
    },
}

/// What an execution has from the one that it goes over again. JSON: a part of its first entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// The execution that it goes over again; its origin may be an earlier one still.
    pub of: ExecutionId,
    /// How.
    pub how: Again,
    /// How many entries after the first one were copied from the journal of `of`.
    pub copied: u64,
    /// When nodes without incoming connections had their inputs: the start of the execution in
    /// which they first could run. So their `$now` stays what it was, and a key its body.
    pub began: Timestamp,
    /// The generation of every node that `nodes` does not name; absent for the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<Generation>,
    /// The generations of nodes that were restarted by themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<NodeId, Generation>,
    /// The generations of instances whose effect was undone, by instance, each once: it is made anew,
    /// under a new key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undone: Vec<Undone>,
    /// The children that did not complete: whoever called them calls for a retry of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<UnfinishedChild>,
}

/// An instance whose effect was undone, and the generation that it has since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    /// Which instance.
    #[serde(rename = "on")]
    pub instance: InstanceId,
    /// Its generation.
    pub generation: Generation,
}

/// A child that did not complete, and who had called it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnfinishedChild {
    /// Which instance.
    #[serde(rename = "on")]
    pub instance: InstanceId,
    /// Which execution; of several attempts, the last one.
    pub child: ExecutionId,
}

/// One more time that a person wanted a node to do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// From 1; what was never restarted has generation 0.
    pub number: u32,
    /// The execution in which it began: two restarts of one execution are two pieces of work.
    pub since: ExecutionId,
    /// When that one began: no instance is ready before then.
    pub at: Timestamp,
}

impl Repeats {
    /// The generation of an instance; `None` for the first one.
    #[must_use]
    pub fn generation(&self, instance: &InstanceId) -> Option<&Generation> {
        match self.place(instance) {
            Ok(place) => Some(&self.undone[place].generation),
            Err(_) => self.generation_of(&instance.node),
        }
    }

    /// From now on the instance has this generation.
    pub(crate) fn undo(&mut self, instance: InstanceId, generation: Generation) {
        match self.place(&instance) {
            Ok(place) => self.undone[place].generation = generation,
            Err(place) => {
                let undone = Undone {
                    instance,
                    generation,
                };
                self.undone.insert(place, undone);
            }
        }
    }

    fn place(&self, instance: &InstanceId) -> Result<usize, usize> {
        self.undone.binary_search_by(|it| it.instance.cmp(instance))
    }

    /// The child that an instance had called, and that did not complete.
    #[must_use]
    pub fn unfinished(&self, instance: &InstanceId) -> Option<ExecutionId> {
        let found = self.children.iter().find(|it| it.instance == *instance);
        found.map(|it| it.child)
    }

    pub(crate) fn generation_of(&self, node: &NodeId) -> Option<&Generation> {
        self.nodes.get(node).or(self.all.as_ref())
    }
}
