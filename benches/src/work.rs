//! The workflows that are measured.

use std::sync::Arc;

use async_trait::async_trait;
use nebula::workflow::{Source, WorkflowDefinition, parse};
use nebula_action::{
    Action, ActionContext, ActionError, ActionMetadata, ActionResult, Effect, EffectClass,
};
use serde_json::{Value, json};

/// Nodes of a chain.
pub const CHAIN: u32 = 10;

/// Branches of a fan-out.
pub const BRANCHES: u32 = 100;

/// One of the workflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A chain of ten nodes that pass a small object on.
    Chain,
    /// A node, a hundred that follow it, and one that waits for all of them.
    FanOut,
    /// A chain of ten nodes that act outside with a key, so that each needs a commit before it.
    Keyed,
}

impl Work {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Chain, Self::FanOut, Self::Keyed];

    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chain => "W1",
            Self::FanOut => "W2",
            Self::Keyed => "W5",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.name() == name)
    }

    /// How many nodes run in an execution.
    #[must_use]
    pub fn nodes(self) -> u32 {
        match self {
            Self::Chain | Self::Keyed => CHAIN,
            Self::FanOut => BRANCHES + 2,
        }
    }

    /// What it is started with.
    #[must_use]
    pub fn input(self) -> Value {
        json!({ "customer": "c-1024", "total": 42 })
    }

    /// What it must come to.
    #[must_use]
    pub fn output(self) -> Value {
        match self {
            Self::Chain | Self::Keyed => self.input(),
            Self::FanOut => json!({ "branches": BRANCHES }),
        }
    }

    /// The id of its workflow.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::FanOut => "fan-out",
            Self::Keyed => "keyed-chain",
        }
    }

    /// Its definition, as it is sent to a server.
    #[must_use]
    pub fn source(self) -> Value {
        let mut definition = match self {
            Self::Chain => chain(CHAIN, "data.set"),
            Self::Keyed => chain(CHAIN, PASSES_ON),
            Self::FanOut => fan_out(BRANCHES),
        };
        definition["id"] = self.id().into();
        definition
    }

    /// Its definition.
    ///
    /// # Panics
    /// Never: it is right.
    #[must_use]
    pub fn definition(self) -> WorkflowDefinition {
        parsed(&self.source())
    }
}

/// The definition that this JSON is.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn parsed(definition: &Value) -> WorkflowDefinition {
    let parsed = parse(&Source::new("bench.json", definition.to_string()));
    let problems = parsed.diagnostics;
    parsed
        .definition
        .unwrap_or_else(|| panic!("the definition is wrong: {problems:?}"))
}

/// A chain of this many nodes.
#[must_use]
pub fn chain(nodes: u32, action: &str) -> Value {
    let parameters = json!({ "customer": "{{ $json.customer }}", "total": "{{ $json.total }}" });
    let nodes: Vec<_> = (1..=nodes)
        .map(|n| json!({ "id": format!("step_{n}"), "action": action, "parameters": parameters }))
        .collect();
    json!({ "id": "chain", "nodes": nodes })
}

/// A node, this many that follow it, and one that waits for all of them.
#[must_use]
pub fn fan_out(branches: u32) -> Value {
    let set = |id: &str, parameters: Value| json!({ "id": id, "action": "data.set", "parameters": parameters });
    let mut nodes = vec![set("first", json!({ "customer": "{{ $json.customer }}" }))];
    let mut connections = Vec::new();
    for n in 1..=branches {
        let id = format!("branch_{n}");
        nodes.push(set(
            &id,
            json!({ "customer": "{{ $json.customer }}", "n": n }),
        ));
        connections.push(format!("first -> {id}"));
        connections.push(format!("{id} -> last"));
    }
    nodes.push(set(
        "last",
        json!({ "branches": "{{ $inputs.main.length }}" }),
    ));
    json!({ "id": "fan-out", "nodes": nodes, "connections": connections })
}

/// The action of [`Work::Keyed`].
const PASSES_ON: &str = "bench.keyed";

/// Gives what it gets, and says that it acts outside with a key.
#[derive(Debug)]
struct PassesOn(ActionMetadata);

#[async_trait]
impl Action for PassesOn {
    fn metadata(&self) -> &ActionMetadata {
        &self.0
    }

    async fn execute(&self, _: &ActionContext, input: Value) -> Result<ActionResult, ActionError> {
        Ok(ActionResult::output(input))
    }
}

/// An action outside with a key, whose attempts stay under way as long as [`Stays`] says.
pub const STAYS: &str = "bench.stays";

/// How long an attempt of [`STAYS`] is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stays {
    /// Not at all.
    #[default]
    NoTime,
    /// Until it is told to stop, or its process dies.
    UntilTold,
}

#[derive(Debug)]
struct UnderWay(ActionMetadata, Stays);

#[async_trait]
impl Action for UnderWay {
    fn metadata(&self) -> &ActionMetadata {
        &self.0
    }

    async fn execute(&self, cx: &ActionContext, input: Value) -> Result<ActionResult, ActionError> {
        if self.1 == Stays::UntilTold {
            cx.cancellation.cancelled().await;
        }
        Ok(ActionResult::output(input))
    }
}

/// What the workflows need beside the built-in actions.
#[must_use]
pub fn actions(stays: Stays) -> Vec<Arc<dyn Action>> {
    let keyed = |id: &str| ActionMetadata::new(id, (1, 0), Effect::Fixed(EffectClass::Keyed));
    vec![
        Arc::new(PassesOn(keyed(PASSES_ON))),
        Arc::new(UnderWay(keyed(STAYS), stays)),
    ]
}
