//! Expressions that an action evaluates itself, once per element.

use std::{fmt, sync::Arc};

use nebula_expression::{
    Away, Context, ExpressionError, ListOf, LongList, NodeView, Program, Root, Scope,
};
use serde_json::Value;

/// A parameter that is a program over `$item` and `$index`, with the scope of its node around it.
#[derive(Clone)]
pub struct Deferred {
    program: Program,
    outer: Arc<dyn Scope + Send + Sync>,
    context: Context,
}

impl Deferred {
    /// Closes `program` over the scope of its node.
    #[must_use]
    pub fn new(program: Program, outer: Arc<dyn Scope + Send + Sync>, context: Context) -> Self {
        Self {
            program,
            outer,
            context,
        }
    }

    /// The value for one element; `None` is undefined.
    ///
    /// # Errors
    /// That of the expression.
    pub fn value(&self, item: &Value, index: usize) -> Result<Option<Value>, ExpressionError> {
        self.program
            .evaluate(&self.scope(item, index), &self.context)
    }

    /// The value for one element as a condition.
    ///
    /// # Errors
    /// That of the expression, or that the value is no boolean.
    pub fn holds(&self, item: &Value, index: usize) -> Result<bool, ExpressionError> {
        self.program
            .evaluate_condition(&self.scope(item, index), &self.context)
    }

    fn scope<'a>(&'a self, item: &'a Value, index: usize) -> ItemScope<'a> {
        ItemScope::new(&*self.outer, item, index)
    }
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deferred({:?})", self.program.source())
    }
}

/// A scope with `$item` and `$index` of one element.
pub struct ItemScope<'a> {
    outer: &'a dyn Scope,
    item: &'a Value,
    index: Value,
}

impl<'a> ItemScope<'a> {
    /// `outer` with `$item` and `$index` of one element.
    #[must_use]
    pub fn new(outer: &'a dyn Scope, item: &'a Value, index: usize) -> Self {
        Self {
            outer,
            item,
            index: Value::from(index),
        }
    }
}

impl Scope for ItemScope<'_> {
    fn root(&self, root: Root) -> Option<&Value> {
        match root {
            Root::Item => Some(self.item),
            Root::Index => Some(&self.index),
            other => self.outer.root(other),
        }
    }

    fn node(&self, slot: usize, id: &str) -> Option<NodeView<'_>> {
        self.outer.node(slot, id)
    }

    fn node_without_result(&self, slot: usize, id: &str) -> Option<NodeView<'_>> {
        self.outer.node_without_result(slot, id)
    }

    fn list(&self, of: ListOf<'_>) -> Option<&LongList> {
        self.outer.list(of)
    }

    fn away(&self, of: ListOf<'_>) -> Option<Away> {
        self.outer.away(of)
    }
}
