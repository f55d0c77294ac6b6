//! Arrows: slots for their parameters, and their body.

use super::{Resolver, block::UNBOUND, length};
use crate::{
    code::{Arrow, Callback, Param, Pattern, PatternKey},
    syntax::{
        ast::{self, Cooked, Key, Span},
        is_reserved,
    },
};

impl<'a> Resolver<'a> {
    /// Resolves an arrow; gives its place in the program's callbacks.
    pub(super) fn arrow(&mut self, arrow: &ast::Arrow<'a>, span: Span) -> u32 {
        let outer = self.bindings.len();
        let first = self.code.slots;
        let plain = arrow.rest.is_none()
            && arrow.params.iter().all(|param| {
                param.default.is_none() && matches!(param.pattern, ast::Pattern::Name(..))
            });
        if !plain {
            // A default cannot see the parameters after its own, nor an outer name in their place.
            for param in arrow.params {
                self.announce(&param.pattern, outer);
            }
            if let Some(rest) = &arrow.rest {
                self.announce(rest, outer);
            }
        }
        let params = arrow
            .params
            .iter()
            .map(|param| self.param(param, outer))
            .collect();
        let rest = arrow.rest.as_ref().map(|rest| self.pattern(rest, outer));
        let body = match &arrow.body.kind {
            ast::ExprKind::Block(statements) => self.arrow_body(statements, outer, arrow.body),
            _ => self.expr(arrow.body),
        };
        self.bindings.truncate(outer);
        let plain = plain.then_some(first);
        let id = length(&self.code.callbacks);
        let span = span.pair();
        self.code.callbacks.push(Callback::Arrow(Arrow {
            plain,
            params,
            rest,
            body,
            span,
        }));
        id
    }

    fn param(&mut self, param: &ast::Param<'a>, outer: usize) -> Param {
        // A default sees the parameters before its own.
        let default = param.default.as_ref().map(|default| self.expr(default));
        Param {
            pattern: self.pattern(&param.pattern, outer),
            default,
        }
    }

    pub(super) fn pattern(&mut self, pattern: &ast::Pattern<'a>, outer: usize) -> Pattern {
        match *pattern {
            ast::Pattern::Name(name, span) => Pattern::Slot(self.bind(name, span, outer)),
            ast::Pattern::Object { fields, rest, span } => {
                let mut resolved = Vec::with_capacity(fields.len());
                for (key, param) in fields {
                    let key = match key {
                        Key::Fixed(Cooked::Text(key)) => PatternKey::Fixed(self.string(key)),
                        Key::Fixed(units) => PatternKey::Computed(self.text(units, span)),
                        Key::Computed(key) => PatternKey::Computed(self.expr(key)),
                    };
                    resolved.push((key, self.param(param, outer)));
                }
                let rest = rest.map(|(name, span)| self.bind(name, span, outer));
                Pattern::Object {
                    fields: resolved,
                    rest,
                    span: span.pair(),
                }
            }
            ast::Pattern::Array { items, rest, span } => {
                let mut resolved = Vec::with_capacity(items.len());
                for item in items {
                    resolved.push(item.as_ref().map(|param| self.param(param, outer)));
                }
                let rest = rest.map(|rest| Box::new(self.pattern(rest, outer)));
                Pattern::Array {
                    items: resolved,
                    rest,
                    span: span.pair(),
                }
            }
            ast::Pattern::Error => Pattern::Array {
                items: Vec::new(),
                rest: None,
                span: (0, 0),
            },
        }
    }

    /// Gives a name its slot; `outer` is where the names of its arrow or block begin.
    fn bind(&mut self, name: &'a str, span: Span, outer: usize) -> u16 {
        if is_reserved(name) {
            let message = format!("`{name}` cannot name a value");
            self.error("SYNTAX_RESERVED", message, span, None);
        }
        let slot = self.code.slots;
        if slot == UNBOUND {
            // Only under a limit of the source that is far above the default.
            let message = format!("the expression gives more than {UNBOUND} names");
            self.error("LIMIT_NAMES", message, span, None);
        } else {
            self.code.slots = slot + 1;
        }
        let known = self.bindings[outer..]
            .iter()
            .position(|(known, _)| *known == name);
        match known.map(|at| &mut self.bindings[outer + at].1) {
            // Declared in this block, and here is the declaration.
            Some(waiting) if *waiting == UNBOUND => *waiting = slot,
            Some(_) => {
                let message = format!("`{name}` is given twice");
                let hint = "give the second value a name of its own";
                self.error("NAME_DUPLICATE", message, span, Some(hint.into()));
            }
            None => self.bindings.push((name, slot)),
        }
        slot
    }
}
