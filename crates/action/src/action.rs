//! The trait of everything that a node can run.

use std::fmt;

use async_trait::async_trait;
use serde_json::Value;

use crate::{ActionContext, ActionError, ActionMetadata};

/// Code that a node runs: JSON in, JSON out.
///
/// Authors of typed actions write one struct in, one struct out and one async function under
/// `#[action]`; the macro writes this trait for them.
#[async_trait]
pub trait Action: fmt::Debug + Send + Sync + 'static {
    /// What the action is, takes, gives and touches. The same at every call.
    fn metadata(&self) -> &ActionMetadata;

    /// Runs one attempt on resolved parameters.
    ///
    /// # Errors
    /// [`ActionError`], whose class decides whether the attempt may be repeated. An error of class
    /// `Unknown` says that the outside may have been changed.
    ///
    /// # Cancel safety
    /// The future may be dropped after the grace period that follows `ctx.cancellation`; an effect
    /// that was under way then counts as unknown.
    async fn execute(&self, ctx: &ActionContext, input: Value)
    -> Result<ActionResult, ActionError>;

    /// Finds out what became of an attempt whose outcome was lost; asked for `keyed` and
    /// `at_most_once` effects after the attempt's deadline.
    ///
    /// # Errors
    /// [`ActionError`]: the question could not be put; the attempt stays unknown.
    async fn reconcile(
        &self,
        _ctx: &ActionContext,
        _input: &Value,
    ) -> Result<Reconciled, ActionError> {
        Ok(Reconciled::Unknown)
    }
}

/// What an attempt gave.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionResult {
    /// The node's result.
    pub value: Value,
    /// The output port; `None` is `main`.
    pub port: Option<String>,
    /// For a list: which element of the input each element came from.
    pub lineage: Option<Vec<u32>>,
}

impl ActionResult {
    /// `value` on the port `main`.
    #[must_use]
    pub fn output(value: Value) -> Self {
        Self {
            value,
            port: None,
            lineage: None,
        }
    }

    /// The same with lineage: element `i` of the result came from element `lineage[i]` of the input.
    #[must_use]
    pub fn with_lineage(mut self, lineage: Vec<u32>) -> Self {
        self.lineage = Some(lineage);
        self
    }
}

/// What [`Action::reconcile`] found out.
#[derive(Debug, Clone, PartialEq)]
pub enum Reconciled {
    /// The effect happened, with this result.
    Happened(Value),
    /// The effect did not happen and never will; the attempt may be repeated.
    NotHappened,
    /// Nobody but a person can tell.
    Unknown,
}
