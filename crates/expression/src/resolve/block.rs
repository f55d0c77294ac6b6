//! Statements: the slots of what they declare, and the nodes that they become.

use super::{Resolver, append, length};
use crate::{
    code::{Node, NodeId, Try},
    syntax::ast::{self, Expr, Pattern, Span, Statement, StatementKind},
};

/// The slot of a name that its block declares further on.
pub(super) const UNBOUND: u16 = u16::MAX;

impl<'a> Resolver<'a> {
    /// The body of an arrow whose own names begin at `outer`: it may not declare them again.
    pub(super) fn arrow_body(
        &mut self,
        statements: &[Statement<'a>],
        outer: usize,
        body: &Expr<'a>,
    ) -> NodeId {
        // A body that only returns is that value.
        if let [
            Statement {
                kind: StatementKind::Return(Some(value)),
                ..
            },
        ] = statements
        {
            return self.expr(value);
        }
        let nodes = self.statements(statements, outer);
        let nodes = append(&mut self.code.lists, &nodes);
        self.push(Node::Body(nodes), body.span)
    }

    /// A block where a value stands: the parser makes none.
    pub(super) fn body(&mut self, statements: &[Statement<'a>]) -> Node {
        let outer = self.bindings.len();
        let nodes = self.block(statements, outer);
        Node::Body(append(&mut self.code.lists, &nodes))
    }

    /// The statements of a block whose names begin at `outer` and end with it.
    fn block(&mut self, statements: &[Statement<'a>], outer: usize) -> Vec<NodeId> {
        let nodes = self.statements(statements, outer);
        self.bindings.truncate(outer);
        nodes
    }

    fn statements(&mut self, statements: &[Statement<'a>], outer: usize) -> Vec<NodeId> {
        // A name means this block's from the block's start on, also before its declaration.
        for statement in statements {
            if let StatementKind::Declare(bindings) = statement.kind {
                for (pattern, _) in bindings {
                    self.announce(pattern, outer);
                }
            }
        }
        let mut nodes = Vec::with_capacity(statements.len());
        for statement in statements {
            self.statement(statement, outer, &mut nodes);
        }
        nodes
    }

    /// Brings the names of a pattern in sight, which have no value before their place.
    pub(super) fn announce(&mut self, pattern: &Pattern<'a>, outer: usize) {
        match *pattern {
            Pattern::Name(name, _) => self.announce_name(name, outer),
            Pattern::Object { fields, rest, .. } => {
                for (_, param) in fields {
                    self.announce(&param.pattern, outer);
                }
                if let Some((name, _)) = rest {
                    self.announce_name(name, outer);
                }
            }
            Pattern::Array { items, rest, .. } => {
                for param in items.iter().flatten() {
                    self.announce(&param.pattern, outer);
                }
                if let Some(rest) = rest {
                    self.announce(rest, outer);
                }
            }
            Pattern::Error => {}
        }
    }

    fn announce_name(&mut self, name: &'a str, outer: usize) {
        if !self.bindings[outer..]
            .iter()
            .any(|(known, _)| *known == name)
        {
            self.bindings.push((name, UNBOUND));
        }
    }

    pub(super) fn too_early(&mut self, name: &str, span: Span) -> NodeId {
        let message = format!("`{name}` has no value yet: it is declared further on");
        let hint = "move its declaration before this place";
        self.error("NAME_TOO_EARLY", message, span, Some(hint.into()))
    }

    /// Resolves a statement and adds what it becomes.
    fn statement(&mut self, statement: &Statement<'a>, outer: usize, nodes: &mut Vec<NodeId>) {
        let node = match statement.kind {
            StatementKind::Error | StatementKind::Empty => return,
            StatementKind::Declare(bindings) => {
                for (pattern, value) in bindings {
                    let node = self.declaration(pattern, *value, outer, statement.span);
                    nodes.push(node);
                }
                return;
            }
            StatementKind::Value(value, told) => {
                return self.value_nobody_takes(value, told, statement.span);
            }
            StatementKind::If {
                branches,
                otherwise,
            } => {
                let mut parts = Vec::with_capacity(2 * branches.len() + 1);
                for (test, then) in branches {
                    parts.push(self.expr(test));
                    parts.push(self.one_statement(then));
                }
                parts.push(match otherwise {
                    Some(otherwise) => self.one_statement(otherwise),
                    None => self.push(Node::Undefined, statement.span),
                });
                Node::If(append(&mut self.code.lists, &parts))
            }
            StatementKind::Return(value) => Node::Return(match value {
                Some(value) => self.expr(value),
                None => self.push(Node::Undefined, statement.span),
            }),
            StatementKind::Block(statements) => self.inner_block(statements),
            StatementKind::Try(parts) => {
                let parts = self.try_parts(parts, statement.span);
                let at = length(&self.code.tries);
                self.code.tries.push(parts);
                Node::Try(at)
            }
        };
        let node = self.push(node, statement.span);
        nodes.push(node);
    }

    /// A statement that stands alone after a condition.
    fn one_statement(&mut self, statement: &Statement<'a>) -> NodeId {
        let outer = self.bindings.len();
        let mut nodes = Vec::new();
        self.statement(statement, outer, &mut nodes);
        self.bindings.truncate(outer);
        match nodes[..] {
            [node] => node,
            _ => self.push(Node::Undefined, statement.span),
        }
    }

    fn inner_block(&mut self, statements: &[Statement<'a>]) -> Node {
        let outer = self.bindings.len();
        let nodes = self.block(statements, outer);
        Node::Block(append(&mut self.code.lists, &nodes))
    }

    fn declaration(
        &mut self,
        pattern: &Pattern<'a>,
        value: Option<&Expr<'a>>,
        outer: usize,
        span: Span,
    ) -> NodeId {
        let value = match value {
            Some(value) => self.expr(value),
            None => self.push(Node::Undefined, span),
        };
        let node = match self.pattern(pattern, outer) {
            crate::code::Pattern::Slot(slot) => Node::Let(slot, value),
            pattern => {
                let at = length(&self.code.patterns);
                self.code.patterns.push(pattern);
                Node::Declare(at, value)
            }
        };
        self.push(node, span)
    }

    fn try_parts(&mut self, parts: &ast::Try<'a>, span: Span) -> Try {
        let block = self.inner_block(parts.block);
        let block = self.push(block, span);
        let catch = parts.catch.as_ref().map(|(pattern, statements)| {
            let outer = self.bindings.len();
            let pattern = pattern.as_ref().map(|pattern| self.pattern(pattern, outer));
            // The block may not declare the names of the pattern again.
            let nodes = self.block(statements, outer);
            let nodes = append(&mut self.code.lists, &nodes);
            (pattern, self.push(Node::Block(nodes), span))
        });
        let finally = parts.finally.as_ref().map(|statements| {
            let finally = self.inner_block(statements);
            self.push(finally, span)
        });
        Try {
            block,
            catch,
            finally,
        }
    }

    fn value_nobody_takes(&mut self, value: &Expr<'a>, told: bool, span: Span) {
        let known = self.errors.len();
        self.expr(value);
        // What went wrong inside has been told, and is told once.
        if self.errors.len() == known && !told {
            let message = "nothing takes the value of this statement, and it changes nothing";
            let hint = "write `return …` or `const name = …`";
            self.error("UNSUPPORTED_STATEMENT", message, span, Some(hint.into()));
        }
    }
}
