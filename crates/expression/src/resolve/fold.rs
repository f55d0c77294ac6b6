//! Constant folding: what literals make is computed once, while compiling.
//!
//! An operator, a template or a choice is folded if nothing but literals stands below it. The
//! evaluator itself does the work, so the result is what it would be at run time; what fails, or
//! costs more than a little, is left to run time, where its error is told if it is reached.

use std::sync::LazyLock;

use super::{Resolver, length};
use crate::{
    Context, Limits, ListOf, LongList, Mode, Root, Scope,
    code::{Node, NodeId},
    machine::Machine,
    scope::NodeView,
    syntax::ast::Span,
    value::Val,
};

/// Operations that one fold may take.
const MAX_OPERATIONS: u64 = 256;

/// Bytes of a text that a fold makes; a longer one would only move from run time into the program.
const MAX_TEXT: usize = 4 * 1024;

/// Bytes of all values of one fold.
const MAX_BYTES: usize = 32 * 1024;

static CONTEXT: LazyLock<Context> = LazyLock::new(|| Context {
    limits: Limits {
        operations: MAX_OPERATIONS,
        operations_ceiling: MAX_OPERATIONS,
        string_bytes: MAX_TEXT,
        arena_bytes: MAX_BYTES,
        ..Limits::default()
    },
    ..Context::default()
});

/// Literals read nothing.
struct Nothing;

impl Scope for Nothing {
    fn root(&self, _: Root) -> Option<&serde_json::Value> {
        None
    }

    fn node(&self, _: usize, _: &str) -> Option<NodeView<'_>> {
        None
    }

    fn list(&self, _: ListOf<'_>) -> Option<&LongList> {
        None
    }
}

/// Where the parts of a node that may be folded begin.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    nodes: usize,
    texts: usize,
}

enum Made {
    Node(Node),
    Text(String),
}

impl<'a> Resolver<'a> {
    #[inline]
    pub(super) fn mark(&self) -> Mark {
        Mark {
            nodes: self.code.nodes.len(),
            texts: self.code.texts.len(),
        }
    }

    /// Pushes a node, or in its place and that of its parts, all of which came after `mark`, what
    /// they make.
    #[inline]
    pub(super) fn push_folded(&mut self, mark: Mark, node: Node, span: Span) -> NodeId {
        let constant = self.code.nodes[mark.nodes..].iter().all(is_literal);
        let id = self.push(node, span);
        if constant {
            self.fold(mark, id, span)
        } else {
            id
        }
    }

    #[cold]
    fn fold(&mut self, mark: Mark, id: NodeId, span: Span) -> NodeId {
        // Literals read no slots, and there may be many.
        let slots = std::mem::take(&mut self.code.slots);
        let made = self.evaluated(id);
        self.code.slots = slots;
        let Some(made) = made else { return id };
        self.code.nodes.truncate(mark.nodes);
        self.code.spans.truncate(mark.nodes);
        self.code.texts.truncate(mark.texts);
        let node = match made {
            Made::Node(node) => node,
            Made::Text(text) => {
                self.code.texts.push(text);
                Node::Str(length(&self.code.texts) - 1)
            }
        };
        self.push(node, span)
    }

    fn evaluated(&self, id: NodeId) -> Option<Made> {
        // Literals and operators mean the same in both modes.
        let mut machine = Machine::new(self.arena, self.code, Mode::Strict, &Nothing, &CONTEXT);
        let value = machine.evaluate(id).ok()?;
        Some(match value.val() {
            Val::Undefined => Made::Node(Node::Undefined),
            Val::Null => Made::Node(Node::Null),
            Val::Bool(b) => Made::Node(Node::Bool(b)),
            Val::Num(n) => Made::Node(Node::Number(n)),
            Val::Str(text) => Made::Text(text.clone()),
            Val::Temp(text) => Made::Text((*text).to_owned()),
            _ => return None,
        })
    }
}

#[inline]
fn is_literal(node: &Node) -> bool {
    matches!(
        node,
        Node::Number(_) | Node::Str(_) | Node::Bool(_) | Node::Null | Node::Undefined
    )
}

#[cfg(test)]
mod tests {
    use crate::{CompileOptions, Program};

    /// How many nodes the program has.
    #[track_caller]
    fn check(source: &str, nodes: usize) {
        let program = Program::compile(source, &CompileOptions::default()).unwrap();
        assert_eq!(program.size(), nodes, "{source}");
    }

    #[test]
    fn what_literals_make_is_one_node() {
        for source in [
            "60 * 60 * 1000",
            "-(2 ** 31) >>> 0",
            "'a' + 1 + `b${2 * 3}` + null",
            "!('a' < 'b') ? 1 / 0 : typeof 1",
            "(null ?? 'x') || 0",
            "Math.PI / 180",
            "undefined",
        ] {
            check(source, 1);
        }
        check("$json > 24 * 60 * 60", 3);
        check("`a${1 + 1}b` + $json", 3);
    }

    #[test]
    fn what_fails_or_is_large_is_left_to_run_time() {
        check("1 in 'a'", 3);
        check(r"'\ud83d' + '\ud83d'", 3);
        let long = format!("'{}' + 'b'", "a".repeat(super::MAX_TEXT));
        check(&long, 3);
        let many = format!("1{}", " + 1".repeat(300));
        check(&many, 302);
    }
}
