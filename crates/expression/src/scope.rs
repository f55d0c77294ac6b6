//! What an expression is evaluated against: values, time, seed, limits.

use std::{fmt, sync::Arc};

use serde_json::Value;

use crate::{Limits, LongList, Root};

/// The values that an expression can see.
pub trait Scope {
    /// The value of a root; `None` where this place has no such root (`$item` outside a list), and
    /// where it is a long list.
    fn root(&self, root: Root) -> Option<&Value>;

    /// The node in that slot of [`Report::nodes`](crate::Report::nodes), whose id is `id`; `None`
    /// if it has no instance that this place can see.
    fn node(&self, slot: usize, id: &str) -> Option<NodeView<'_>>;

    /// The same where its result is not asked for: that may be `None` then, so that nobody has to
    /// make a value of it.
    fn node_without_result(&self, slot: usize, id: &str) -> Option<NodeView<'_>> {
        self.node(slot, id)
    }

    /// The long list that a root or a node's result is, if it is one; asked for where there is no
    /// value.
    fn list(&self, of: ListOf<'_>) -> Option<&LongList>;

    /// Why something is not at hand that has a value all the same; asked for where there is neither a
    /// value nor a long list. The evaluation ends with that: what is away is not undefined.
    fn away(&self, of: ListOf<'_>) -> Option<Away> {
        let _ = of;
        None
    }
}

/// Why a value is not at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// Stable code; begins with `VALUE_`, so that no `catch` of an expression sees it.
    pub code: &'static str,
    /// Which value, and why.
    pub message: String,
}

/// What may be a long list, or away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOf<'a> {
    /// A root.
    Root(Root),
    /// The result of the node in that slot, whose id is `id`.
    Result {
        /// As in [`Scope::node`].
        slot: usize,
        /// As in [`Scope::node`].
        id: &'a str,
    },
}

/// What an expression can see of one node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NodeView<'a> {
    /// Its result; `None` reads as undefined (it failed or was skipped), unless it is a long list.
    pub result: Option<&'a Value>,
    /// Whether it succeeded; `None` while that is open.
    pub success: Option<bool>,
    /// Its error, if it failed.
    pub error: Option<&'a Value>,
    /// Its state, in `snake_case`.
    pub status: &'a str,
    /// The output port that it left by.
    pub port: Option<&'a str>,
    /// How many attempts it took.
    pub attempts: u32,
}

/// Says when an evaluation has taken too long; asked every few thousand operations.
///
/// This crate holds no clock: the caller compares its own with [`Limits::wall`].
pub trait Deadline: Send + Sync {
    /// True once the time is over.
    fn passed(&self) -> bool;
}

impl<F: Fn() -> bool + Send + Sync> Deadline for F {
    fn passed(&self) -> bool {
        self()
    }
}

/// What an evaluation depends on beside the data, so that a replay gives the same answer.
#[derive(Clone)]
pub struct Context {
    /// The instance's journalled time: milliseconds since 1970-01-01T00:00:00Z. Default 0.
    pub now_ms: i64,
    /// The instance's seed. Default 0.
    pub seed: u64,
    /// IANA name of the workflow's zone. Default `UTC`.
    pub timezone: Arc<str>,
    /// What the evaluation may cost.
    pub limits: Limits,
    /// The backstop for time; `None` leaves only the other limits.
    pub backstop: Option<Arc<dyn Deadline>>,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            now_ms: 0,
            seed: 0,
            timezone: Arc::from("UTC"),
            limits: Limits::default(),
            backstop: None,
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("now_ms", &self.now_ms)
            .field("seed", &self.seed)
            .field("timezone", &self.timezone)
            .field("limits", &self.limits)
            .field("backstop", &self.backstop.is_some())
            .finish()
    }
}

/// Roots and nodes from one JSON object, as `nebula expr` and tests have them.
///
/// JSON: `{ "json": …, "input": …, "nodes": { "fetch": { "result": …, "status": "failed" } } }`;
/// the names of roots are without `$`, and of a node every field may be left out.
#[derive(Debug, Clone, Copy)]
pub struct JsonScope<'a>(pub &'a Value);

impl Scope for JsonScope<'_> {
    fn root(&self, root: Root) -> Option<&Value> {
        self.0.get(root.name())
    }

    fn node(&self, _slot: usize, id: &str) -> Option<NodeView<'_>> {
        let node = self.0.get("nodes")?.get(id)?;
        let error = node.get("error").filter(|error| !error.is_null());
        let success = node.get("success").and_then(Value::as_bool);
        let status = node.get("status").and_then(Value::as_str);
        Some(NodeView {
            result: node.get("result"),
            success: Some(success.unwrap_or(error.is_none())),
            error,
            status: status.unwrap_or(if error.is_none() {
                "succeeded"
            } else {
                "failed"
            }),
            port: node.get("port").and_then(Value::as_str),
            attempts: node
                .get("attempts")
                .and_then(Value::as_u64)
                .map_or(1, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        })
    }

    fn list(&self, _: ListOf<'_>) -> Option<&LongList> {
        None
    }
}
