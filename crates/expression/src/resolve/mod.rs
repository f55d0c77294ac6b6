//! From tree to flat program: every name gets its meaning, or an error with what was meant.

mod arrow;
mod block;
mod call;
mod chain;
mod construct;
mod fold;
mod lineage;
mod names;
mod node;
mod path;
mod regex;

use std::borrow::Cow;

use bumpalo::Bump;
use smallvec::SmallVec;

use crate::{
    CompileOptions, ExpressionError, Phase, Purity, Report, Root,
    code::{Code, Element, Node, NodeId, Property, Run},
    guard,
    machine::Shape,
    suggest,
    syntax::ast::{
        self, BinaryOp, Cooked, Counts, Expr, ExprKind, Key, Link, LinkKind, LogicOp, Span, Tree,
        UnaryOp,
    },
    value::number_text,
};

pub(crate) use lineage::LINEAGE;
pub(crate) use names::OTHER_ROOTS;

/// Problems of one source that are told; nobody reads more.
pub(crate) const MAX_ERRORS: usize = 100;

/// Resolves a tree into an empty program and its report, which mean nothing if there are errors.
pub(crate) fn resolve<'a>(
    tree: &Tree<'a>,
    options: &CompileOptions<'a>,
    arena: &'a Bump,
    code: &'a mut Code,
    report: &'a mut Report,
) -> Vec<ExpressionError> {
    let Counts {
        exprs,
        members,
        calls,
    } = tree.counts;
    code.nodes.reserve_exact(exprs);
    code.spans.reserve_exact(exprs);
    // The name of a method is a member, too.
    code.steps.reserve_exact(members);
    code.keys.reserve_exact(members.saturating_sub(calls));
    let mut resolver = Resolver {
        arena,
        code,
        report,
        errors: Vec::new(),
        known_nodes: options.nodes,
        bindings: Vec::new(),
    };
    let root = resolver.expr(tree.root);
    let Resolver {
        code,
        report,
        errors,
        ..
    } = resolver;
    code.root = root;
    code.node_ids = report.nodes.iter().map(|node| node.node.clone()).collect();
    code.makes_nothing = makes_nothing(code);
    code.path = path::whole(code);
    report.roots.sort_unstable();
    report.paths.sort_unstable();
    report.paths.dedup();
    errors
}

/// The elements of an array or the arguments of a call; most have few.
type Elements = SmallVec<[Element; 4]>;

/// The nodes of a list.
type Ids = SmallVec<[NodeId; 8]>;

struct Resolver<'a> {
    /// Of the tree; what is needed only while compiling stands there, too.
    arena: &'a Bump,
    code: &'a mut Code,
    report: &'a mut Report,
    errors: Vec<ExpressionError>,
    known_nodes: Option<&'a [&'a str]>,
    /// Names in sight, innermost last, and their slots; [`block::UNBOUND`] before the declaration.
    bindings: Vec<(&'a str, u16)>,
}

impl<'a> Resolver<'a> {
    /// What may have been meant; not asked for any more once enough mistakes are known.
    fn nearest<'c>(
        &self,
        word: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Option<&'c str> {
        if self.errors.len() >= MAX_ERRORS {
            return None;
        }
        suggest::nearest(word, candidates)
    }

    fn push(&mut self, node: Node, span: Span) -> NodeId {
        let id = length(&self.code.nodes);
        self.code.nodes.push(node);
        self.code.spans.push(span.pair());
        id
    }

    fn string(&mut self, text: &str) -> u32 {
        let id = length(&self.code.strings);
        self.code.strings.push(text.into());
        id
    }

    /// A text that is a value, as data has it.
    fn literal(&mut self, text: &str) -> Node {
        let id = length(&self.code.texts);
        self.code.texts.push(text.to_owned());
        Node::Str(id)
    }

    fn error(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        span: Span,
        hint: Option<String>,
    ) -> NodeId {
        if guard::lets_pass(code) {
            return self.push(Node::Undefined, span);
        }
        self.errors.push(ExpressionError {
            code,
            phase: Phase::Resolve,
            message: message.into(),
            start: span.start as usize,
            end: span.end as usize,
            hint,
        });
        self.push(Node::Undefined, span)
    }

    fn depends_on(&mut self, purity: Purity) {
        self.report.purity = self.report.purity.max(purity);
    }

    fn expr(&mut self, expr: &Expr<'a>) -> NodeId {
        let span = expr.span;
        let mark = self.mark();
        let node = match &expr.kind {
            ExprKind::Error => Node::Undefined,
            ExprKind::Null => Node::Null,
            ExprKind::Bool(b) => Node::Bool(*b),
            ExprKind::Number(n) => Node::Number(*n),
            ExprKind::Str(text) => return self.text(text, span),
            ExprKind::Name(name) => return self.name(name, span),
            ExprKind::Block(statements) => self.body(statements),
            ExprKind::Regex(regex) => self.regex_literal(regex),
            ExprKind::Chain { base, links } => return self.chain(base, links, span),
            ExprKind::New(new) => return self.construct(new, span),
            ExprKind::Arrow(_) => {
                let hint = "an arrow stands as the argument of `map`, `filter` and the like";
                return self.error(
                    "UNSUPPORTED_FUNCTION_VALUE",
                    "a function is not a value",
                    span,
                    Some(hint.into()),
                );
            }
            ExprKind::Template(ast::Template { chunks, values }) => {
                let mut parts = Ids::new();
                for (i, chunk) in chunks.iter().enumerate() {
                    if *chunk != Cooked::Text("") {
                        parts.push(self.text(chunk, span));
                    }
                    if let Some(value) = values.get(i) {
                        parts.push(self.expr(value));
                    }
                }
                Node::Template(append(&mut self.code.lists, &parts))
            }
            ExprKind::Array(elements) => {
                let elements = self.elements(elements, span);
                Node::Array(append(&mut self.code.elements, &elements))
            }
            ExprKind::Object(properties) => self.object(properties),
            ExprKind::Fold { first, rest } => {
                let first = self.expr(first);
                let rest: SmallVec<[_; 4]> = rest
                    .iter()
                    .map(|(op, right)| (*op, self.right_side(*op, right)))
                    .collect();
                match rest[..] {
                    [(op, right)] => Node::Binary(op, first, right),
                    _ => Node::Fold {
                        first,
                        rest: append(&mut self.code.folds, &rest),
                    },
                }
            }
            ExprKind::Logic { op, items } => self.logic(*op, items),
            ExprKind::Unary { op, operand } => self.unary(*op, operand),
            ExprKind::Conditional(parts) => {
                let [test, then, otherwise] = *parts;
                Node::Conditional(self.expr(test), self.expr(then), self.expr(otherwise))
            }
        };
        if matches!(
            node,
            Node::Template(_)
                | Node::Binary(..)
                | Node::Fold { .. }
                | Node::Logic(..)
                | Node::Unary(..)
                | Node::Conditional(..)
        ) {
            return self.push_folded(mark, node, span);
        }
        self.push(node, span)
    }

    /// The right side of an operator; that of `instanceof` only names the class.
    fn right_side(&mut self, op: BinaryOp, right: &Expr<'a>) -> NodeId {
        let BinaryOp::InstanceOf(_) = op else {
            return self.expr(right);
        };
        if matches!(&right.kind, ExprKind::Name(name) if self.binding(name).is_some()) {
            let hint = "give the parameter another name than the class";
            let message = "`instanceof` needs a class, and this is a parameter";
            let hint = Some(hint.into());
            return self.error("UNSUPPORTED_INSTANCEOF", message, right.span, hint);
        }
        self.push(Node::Undefined, right.span)
    }

    fn text(&mut self, text: &Cooked<'a>, span: Span) -> NodeId {
        let node = match text {
            Cooked::Text(text) => self.literal(text),
            Cooked::Units(units) => {
                let id = length(&self.code.wides);
                self.code.wides.push(units.to_vec());
                Node::Wide(id)
            }
        };
        self.push(node, span)
    }

    fn logic(&mut self, op: LogicOp, items: &[&Expr<'a>]) -> Node {
        let items: Ids = items.iter().map(|item| self.expr(item)).collect();
        Node::Logic(op, append(&mut self.code.lists, &items))
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr<'a>) -> Node {
        if op == UnaryOp::Typeof
            && let Some(kind) = self.typeof_name(operand)
        {
            return self.literal(kind);
        }
        if let (UnaryOp::Negate, ExprKind::Number(n)) = (op, &operand.kind) {
            return Node::Number(-n);
        }
        Node::Unary(op, self.expr(operand))
    }

    fn elements(&mut self, elements: &[ast::Element<'a>], span: Span) -> Elements {
        let resolve = |element: &ast::Element<'a>| Element {
            spread: element.spread,
            node: match &element.value {
                Some(value) => self.expr(value),
                None => self.push(Node::Undefined, span),
            },
        };
        elements.iter().map(resolve).collect()
    }

    fn object(&mut self, properties: &[ast::Property<'a>]) -> Node {
        let mut resolved: SmallVec<[Property; 8]> = SmallVec::new();
        for property in properties {
            resolved.push(match property {
                ast::Property::Spread(source) => Property::Spread(self.expr(source)),
                ast::Property::Pair {
                    key: Key::Fixed(Cooked::Text(key)),
                    value,
                } => {
                    let key = self.string(key);
                    Property::Pair(key, self.expr(value))
                }
                ast::Property::Pair {
                    key: Key::Fixed(units),
                    value,
                } => {
                    let key = self.text(units, value.span);
                    Property::Computed(key, self.expr(value))
                }
                ast::Property::Pair {
                    key: Key::Computed(key),
                    value,
                } => {
                    let key = self.expr(key);
                    Property::Computed(key, self.expr(value))
                }
            });
        }
        let shape = Shape::of(&resolved, self.code);
        let properties = append(&mut self.code.properties, &resolved);
        match shape {
            Some(shape) => {
                let id = length(&self.code.shapes);
                self.code.shapes.push(shape);
                Node::Record(id, properties)
            }
            None => Node::Object(properties),
        }
    }

    fn root_used(&mut self, root: Root) {
        if !self.report.roots.contains(&root) {
            self.report.roots.push(root);
        }
    }
}

/// Appends to one of the program's lists.
fn append<T: Copy>(list: &mut Vec<T>, more: &[T]) -> Run {
    let start = length(list);
    list.extend_from_slice(more);
    let len = length(more);
    Run { start, len }
}

/// Lists have at most as many entries as the source has bytes.
fn length<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

/// The name that a link takes, after a dot or as a literal in brackets.
fn link_name<'a>(link: &Link<'a>) -> Option<Cow<'a, str>> {
    match &link.kind {
        LinkKind::Member(name) => Some(Cow::Borrowed(name)),
        LinkKind::Index(index) => literal_key(index),
        LinkKind::Call(_) => None,
    }
}

/// The key that a literal in brackets means.
fn literal_key<'a>(expr: &Expr<'a>) -> Option<Cow<'a, str>> {
    match &expr.kind {
        ExprKind::Str(Cooked::Text(text)) => Some(Cow::Borrowed(text)),
        ExprKind::Number(n) => Some(Cow::Owned(number_text(*n).as_str().to_owned())),
        _ => None,
    }
}

/// Whether the program only reads, calculates, compares and chooses. Adding texts makes one.
fn makes_nothing(code: &Code) -> bool {
    code.nodes.iter().all(|node| match node {
        Node::Undefined | Node::Null | Node::Bool(_) | Node::Number(_) | Node::Root(_) => true,
        Node::Path { .. } | Node::Logic(..) | Node::Conditional(..) => true,
        Node::Str(_) => !code
            .nodes
            .iter()
            .any(|node| matches!(node, Node::Binary(BinaryOp::Add, ..) | Node::Fold { .. })),
        Node::Binary(..) | Node::Fold { .. } | Node::Unary(UnaryOp::Not, _) => true,
        _ => false,
    })
}
