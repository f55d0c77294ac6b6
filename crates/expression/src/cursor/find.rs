//! Finds the word at a cursor in the tree, and what is bound around it.

use std::ops::Range;

use crate::syntax::ast::{
    Arrow, Cooked, Element, Expr, ExprKind, Key, Link, LinkKind, Property, Statement,
    StatementKind, Try,
};

use super::{
    MARK,
    bound::{Bound, callback_values},
};

/// What stands at the cursor.
pub(super) enum Site<'t> {
    /// A name that begins a value.
    Value,
    /// A class behind `new`; what is before its last dot.
    Class(Option<&'t str>),
    Member(Found<'t>),
}

/// A link of a chain that is being written.
pub(super) struct Found<'t> {
    pub(super) base: &'t Expr<'t>,
    /// How many links are before it.
    pub(super) before: usize,
    /// Where it starts, with its dot or bracket.
    pub(super) link: usize,
    pub(super) optional: bool,
    pub(super) bracket: bool,
    /// Where the text begins that is its key, behind the quote.
    pub(super) text: Option<usize>,
}

impl Found<'_> {
    /// What it is a member of.
    pub(super) fn receiver(&self) -> Range<usize> {
        self.base.span.start as usize..self.link
    }
}

/// Walks the tree up to the cursor.
pub(super) struct Finder<'t> {
    pub(super) text: &'t str,
    /// What is bound where the walk is.
    pub(super) scope: Bound<'t>,
}

impl<'t> Finder<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            scope: Bound::new(text),
        }
    }

    /// Looks in an expression; the scope stays as it is at the cursor.
    pub(super) fn expr(&mut self, expr: &'t Expr<'t>) -> Option<Site<'t>> {
        match &expr.kind {
            ExprKind::Error
            | ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Number(_)
            | ExprKind::Str(_)
            | ExprKind::Regex { .. } => None,
            ExprKind::Name(name) => is_marked(name).then_some(Site::Value),
            ExprKind::New(new) if is_marked(new.name) => Some(Site::Class(
                new.name.rsplit_once('.').map(|(space, _)| space),
            )),
            ExprKind::New(new) => self.elements(new.args),
            ExprKind::Template(template) => self.exprs(template.values),
            ExprKind::Array(elements) => self.elements(elements),
            ExprKind::Object(properties) => properties.iter().find_map(|property| match property {
                Property::Spread(value) => self.expr(value),
                Property::Pair { key, value } => match key {
                    Key::Computed(key) => self.expr(key).or_else(|| self.expr(value)),
                    Key::Fixed(_) => self.expr(value),
                },
            }),
            ExprKind::Chain { base, links } => {
                let at_base = self.expr(base);
                at_base.or_else(|| (0..links.len()).find_map(|at| self.link(base, links, at)))
            }
            ExprKind::Fold { first, rest } => {
                let at_first = self.expr(first);
                at_first.or_else(|| rest.iter().find_map(|(_, operand)| self.expr(operand)))
            }
            ExprKind::Logic { items, .. } => self.exprs(items),
            ExprKind::Unary { operand, .. } => self.expr(operand),
            ExprKind::Conditional(parts) => self.exprs(parts),
            ExprKind::Arrow(arrow) => self.arrow(arrow, Vec::new()),
            ExprKind::Block(statements) => self.block(statements),
        }
    }

    fn exprs(&mut self, all: &[&'t Expr<'t>]) -> Option<Site<'t>> {
        all.iter().find_map(|expr| self.expr(expr))
    }

    fn elements(&mut self, elements: &'t [Element<'t>]) -> Option<Site<'t>> {
        let mut values = elements.iter().filter_map(|element| element.value);
        values.find_map(|value| self.expr(value))
    }

    fn link(&mut self, base: &'t Expr<'t>, links: &'t [Link<'t>], at: usize) -> Option<Site<'t>> {
        let link = &links[at];
        let found = |bracket, text| {
            Some(Site::Member(Found {
                base,
                before: at,
                link: link.span.start as usize,
                optional: link.optional,
                bracket,
                text,
            }))
        };
        match &link.kind {
            LinkKind::Member(name) if is_marked(name) => found(false, None),
            LinkKind::Member(_) => None,
            LinkKind::Index(index) => match &index.kind {
                ExprKind::Name(name) if name.chars().eq([MARK]) => found(true, None),
                ExprKind::Str(Cooked::Text(text)) if is_marked(text) => {
                    found(true, Some(index.span.start as usize + 1))
                }
                _ => self.expr(index),
            },
            LinkKind::Call(arguments) => {
                let callee = match at.checked_sub(1).map(|before| &links[before]) {
                    Some(Link {
                        kind: LinkKind::Member(method),
                        span,
                        ..
                    }) => Some((
                        method,
                        self.text
                            .get(base.span.start as usize..span.start as usize)?,
                    )),
                    _ => None,
                };
                arguments.iter().find_map(|argument| {
                    let value = argument.value?;
                    let (ExprKind::Arrow(arrow), Some((method, receiver))) = (&value.kind, callee)
                    else {
                        return self.expr(value);
                    };
                    let values = callback_values(self.text, method, receiver, arguments);
                    self.arrow(arrow, values)
                })
            }
        }
    }

    fn arrow(&mut self, arrow: &'t Arrow<'t>, values: Vec<String>) -> Option<Site<'t>> {
        let before = self.scope.len();
        let patterns = arrow.params.iter().map(|param| param.pattern).collect();
        self.scope.push(patterns, values);
        let found = self.expr(arrow.body);
        if found.is_none() {
            self.scope.forget(before);
        }
        found
    }

    fn block(&mut self, statements: &'t [Statement<'t>]) -> Option<Site<'t>> {
        let before = self.scope.len();
        let found = statements
            .iter()
            .find_map(|statement| self.statement(statement));
        if found.is_none() {
            self.scope.forget(before);
        }
        found
    }

    fn statement(&mut self, statement: &'t Statement<'t>) -> Option<Site<'t>> {
        match &statement.kind {
            StatementKind::Error | StatementKind::Empty | StatementKind::Return(None) => None,
            StatementKind::Declare(bindings) => bindings.iter().find_map(|(pattern, value)| {
                let value = (*value)?;
                let found = self.expr(value);
                if found.is_none() {
                    let span = value.span.start as usize..value.span.end as usize;
                    let source = self.text.get(span).unwrap_or("undefined");
                    self.scope.push(vec![*pattern], vec![source.to_owned()]);
                }
                found
            }),
            StatementKind::If {
                branches,
                otherwise,
            } => {
                let found = branches.iter().find_map(|(test, guarded)| {
                    let in_test = self.expr(test);
                    in_test.or_else(|| self.statement(guarded))
                });
                found.or_else(|| {
                    let otherwise = (*otherwise)?;
                    self.statement(otherwise)
                })
            }
            StatementKind::Return(Some(value)) | StatementKind::Value(value, _) => self.expr(value),
            StatementKind::Block(statements) => self.block(statements),
            StatementKind::Try(attempt) => self.attempt(attempt),
        }
    }

    fn attempt(&mut self, attempt: &'t Try<'t>) -> Option<Site<'t>> {
        if let Some(found) = self.block(attempt.block) {
            return Some(found);
        }
        if let Some((pattern, statements)) = &attempt.catch {
            let before = self.scope.len();
            let shape = "({ code: '', message: '', name: '' })".to_owned();
            self.scope
                .push(pattern.iter().copied().collect(), vec![shape]);
            if let Some(found) = self.block(statements) {
                return Some(found);
            }
            self.scope.forget(before);
        }
        let last = attempt.finally?;
        self.block(last)
    }
}

fn is_marked(name: &str) -> bool {
    name.contains(MARK)
}
