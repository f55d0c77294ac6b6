//! The journal of a chain of trivial nodes: what W1 writes.

use std::sync::Arc;

use nebula_action::Grants;
use nebula_core::{Digest, NodeId, Priority, Timestamp, WorkflowId};
use nebula_execution::{Entry, Fact, InstanceId, Started, Taken, encode};
use serde_json::{Value, json};

/// The entries of one execution of a chain. They are committed together.
#[derive(Debug, Clone)]
pub struct Chain {
    /// What its journal begins with.
    pub start: Vec<Entry>,
    /// An entry for each node, and the end.
    pub end: Vec<Entry>,
}

/// An execution of a chain of `nodes` nodes that pass a small object on.
#[must_use]
pub fn of(nodes: u32) -> Chain {
    let at = Timestamp::from_millis(1_767_225_600_000);
    let output = Arc::new(json!({ "customer": "c-1024", "total": 42 }));
    let started = Started {
        workflow: workflow(),
        version: 1,
        plan: Digest::of(b"the plan of the chain"),
        input: Arc::clone(&output),
        input_blob: None,
        trigger_blob: None,
        blobs: Vec::new(),
        part: None,
        vars: Value::Null,
        trigger: Value::Null,
        origin: None,
        parent: None,
        repeats: None,
        trial: None,
        priority: Priority::Normal,
        labels: nebula_core::Labels::default(),
        trace: None,
        grants: Grants::default(),
        folder: None,
    };
    let start = Fact::ExecutionStarted(Box::new(started));
    let node = |n: u32| Fact::AttemptSucceeded {
        instance: InstanceId::new(NodeId::new(format!("step_{n}")).expect("an identifier"), 1),
        attempt: 1,
        output: Arc::clone(&output),
        port: "main".into(),
        lineage: None,
        taken: Taken::All,
        micros: 12,
    };
    let completed = Fact::ExecutionCompleted {
        output: Arc::clone(&output),
    };
    let entry = |fact| Entry { at, fact };
    Chain {
        start: vec![entry(start)],
        end: (1..=nodes)
            .map(node)
            .chain([completed])
            .map(entry)
            .collect(),
    }
}

/// The chain's workflow.
#[must_use]
pub fn workflow() -> WorkflowId {
    WorkflowId::new("chain").expect("a slug")
}

impl Chain {
    /// All entries, in their order.
    #[must_use]
    pub fn whole(&self) -> Vec<Entry> {
        let entries = self.start.iter().chain(&self.end);
        entries.cloned().collect()
    }

    /// The bytes of the journal: what an execution cannot do without.
    #[must_use]
    pub fn bytes(&self) -> usize {
        encode(&self.whole()).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_has_an_entry_for_each_node_and_two_for_its_ends() {
        let chain = of(10);
        assert_eq!((chain.start.len(), chain.end.len()), (1, 11));
        assert!(chain.end.last().unwrap().fact.is_terminal());
        assert!(chain.bytes() > of(1).bytes());
    }
}
