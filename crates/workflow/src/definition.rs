//! The definition of a workflow, with all its defaults filled in.

use std::time::Duration;

use nebula_core::{Digest, NodeId, ParamValue, Priority, WorkflowId};
use serde_json::{Map, Value};

use crate::{Admission, Connection, Diagnostic, NodeDefinition, RateLimit};

/// The time zone of a workflow that names none.
pub const DEFAULT_TIMEZONE: &str = "UTC";

/// What an author defined: nodes, connections, triggers, limits.
///
/// Short forms are expanded and defaults filled in. [`crate::parse`] makes one from a file,
/// [`WorkflowDefinition::from_json`] from a stored value, and [`crate::to_json`] writes it again.
///
/// Two definitions are equal if they say the same: their canonical forms are equal. Where in its
/// braces an expression stands, and how a connection was written, does not count.
#[derive(Debug, Clone)]
pub struct WorkflowDefinition {
    /// Unique per tenant; default: the file's name.
    pub id: WorkflowId,
    /// What people read instead of the id.
    pub name: Option<String>,
    /// JSON Schema of the input, checked before anything runs.
    pub input: Option<Value>,
    /// JSON Schema of the output; makes the workflow callable.
    pub output_schema: Option<Value>,
    /// IANA name of the zone of `$today` and of cron schedules.
    pub timezone: String,
    /// What starts it, beside people and programs.
    pub triggers: Vec<TriggerDefinition>,
    /// In the author's order; at least one.
    pub nodes: Vec<NodeDefinition>,
    /// Expanded: one entry per edge, in the author's order.
    pub connections: Vec<Connection>,
    /// What the execution returns; default: the result of the only end node.
    pub output: Option<ParamValue>,
    /// Bounds of one execution.
    pub limits: WorkflowLimits,
    /// Which executions may run beside each other; default: all.
    pub admission: Option<Admission>,
    /// How often executions may begin; default: as often as they are started.
    pub rate_limit: Option<RateLimit>,
    /// How urgent executions are beside others of the tenant.
    pub priority: Priority,
    /// Where editors draw the nodes; no part of the digest.
    pub layout: Option<Map<String, Value>>,
}

/// Bounds of one execution.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkflowLimits {
    /// The most attempts at a time, at least 1; default: the preset's.
    pub concurrency: Option<u32>,
    /// The longest time from start to end; default: the preset's.
    pub timeout: Option<Duration>,
}

/// What starts a workflow: a webhook, a schedule, …
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerDefinition {
    /// Unique in the workflow.
    pub id: String,
    /// Which kind of trigger (field `type`).
    pub kind: String,
    /// Builds the execution's input from what came in; default: what came in.
    pub input: Option<ParamValue>,
    /// The fields of this kind, as written.
    pub rest: Map<String, Value>,
}

impl PartialEq for WorkflowDefinition {
    fn eq(&self, other: &Self) -> bool {
        crate::to_json(self) == crate::to_json(other)
    }
}

impl WorkflowDefinition {
    /// Reads a stored definition: the same rules as for a file, with diagnostics that have no line.
    ///
    /// # Errors
    /// Every problem, at least one of which is an error.
    pub fn from_json(value: &Value) -> Result<Self, Vec<Diagnostic>> {
        crate::decode::from_json(value)
    }

    /// Names what the workflow does: the digest over its canonical JSON without `layout`.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut value = crate::to_json(self);
        if let Value::Object(fields) = &mut value {
            fields.shift_remove("layout");
        }
        Digest::of_json(&value)
    }

    /// The node with this id at the top level.
    #[must_use]
    pub fn node(&self, id: &str) -> Option<&NodeDefinition> {
        self.nodes.iter().find(|node| node.id.as_str() == id)
    }

    /// The place of the node with this id at the top level, as a JSON pointer.
    #[must_use]
    pub fn node_pointer(&self, id: &NodeId) -> Option<String> {
        let index = self.nodes.iter().position(|node| node.id == *id)?;
        Some(format!("/nodes/{index}"))
    }
}
