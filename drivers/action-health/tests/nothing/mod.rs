//! Conditions over `$item`, beside which nothing can be read.

use std::sync::Arc;

use nebula_action::Deferred;
use nebula_expression::{
    CompileOptions, Context, ListOf, LongList, NodeView, Program, Root, Scope,
};
use serde_json::Value;

struct Nothing;

impl Scope for Nothing {
    fn root(&self, _: Root) -> Option<&Value> {
        None
    }

    fn node(&self, _: usize, _: &str) -> Option<NodeView<'_>> {
        None
    }

    fn list(&self, _: ListOf<'_>) -> Option<&LongList> {
        None
    }
}

/// A condition as a node has it.
pub(crate) fn condition(source: &str) -> Deferred {
    let program = Program::compile(source, &CompileOptions::default()).unwrap();
    Deferred::new(program, Arc::new(Nothing), Context::default())
}
