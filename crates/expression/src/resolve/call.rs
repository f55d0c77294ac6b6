//! Calls: functions by their names, methods, and the arguments of both.

use super::{
    Elements, Resolver, append, chain::Head, construct::constructor, length, names::OTHER_ROOTS,
};
use crate::{
    Purity, Root,
    code::{Callback, Element, Node, NodeId, StepKind},
    library::{
        MethodSet, all_methods, constant, extension::is_random, function, function_names,
        mutator_hint, reads_clock,
    },
    syntax::ast::{self, Expr, ExprKind, Link, LinkKind, Span},
};

impl<'a> Resolver<'a> {
    /// A function or constant of a namespace at the start of a chain.
    pub(super) fn namespace_head(
        &mut self,
        name: &str,
        member: &str,
        base: &Expr<'a>,
        links: &[Link<'a>],
    ) -> Head {
        let full = format!("{name}.{member}");
        let place = base.span.to(links[0].span);
        if let Some(preset) = function(&format!("get {full}")) {
            let none = append(&mut self.code.elements, &[]);
            return Head {
                node: self.push(Node::Call(preset, none), place),
                taken: 1,
                path: None,
            };
        }
        if let Some(value) = constant(&full) {
            return Head {
                node: self.push(Node::Number(value), place),
                taken: 1,
                path: None,
            };
        }
        if let Some(Link {
            kind: LinkKind::Call(args),
            span,
            ..
        }) = links.get(1)
        {
            let span = base.span.to(*span);
            return Head {
                node: self.call(&full, args, place, span),
                taken: 2,
                path: None,
            };
        }
        let node = match function(&full) {
            Some(_) => self.function_value(&full, place),
            None => self.unknown_function(&full, place),
        };
        Head {
            node,
            taken: links.len(),
            path: None,
        }
    }

    pub(super) fn call(
        &mut self,
        name: &str,
        args: &[ast::Element<'a>],
        name_span: Span,
        span: Span,
    ) -> NodeId {
        let Some(function) = function(name) else {
            self.arguments(args, u8::MAX, span);
            return self.unknown_function(name, name_span);
        };
        if let Some(node) = self.choice(name, args) {
            return self.push(node, span);
        }
        if name == "RegExp"
            && let Some(node) = self.constant_regex(args, span)
        {
            return node;
        }
        self.depends_on(function.purity);
        let args = self.arguments(args, function.callbacks, span);
        let args = append(&mut self.code.elements, &args);
        self.push(Node::Call(function, args), span)
    }

    /// `$if(test, then, otherwise)`, which computes only what it gives.
    fn choice(&mut self, name: &str, args: &[ast::Element<'a>]) -> Option<Node> {
        if name != "$if" || args.iter().any(|arg| arg.spread) {
            return None;
        }
        let values: Vec<&Expr<'a>> = args.iter().filter_map(|arg| arg.value).collect();
        let [test, then, otherwise] = values[..] else {
            return None;
        };
        let (test, then) = (self.expr(test), self.expr(then));
        let otherwise = self.expr(otherwise);
        Some(Node::Conditional(test, then, otherwise))
    }

    fn unknown_function(&mut self, name: &str, span: Span) -> NodeId {
        if matches!(
            name,
            "Date" | "Set" | "Map" | "Symbol" | "Function" | "eval"
        ) {
            let message = format!("`{name}(…)` is not part of the language");
            let hint = constructor(name).map(|_| format!("write `new {name}(…)`"));
            return self.error("UNSUPPORTED_CALL", message, span, hint);
        }
        if name
            .strip_prefix('$')
            .is_some_and(|root| Root::from_name(root).is_some() || OTHER_ROOTS.contains(&root))
        {
            let message = format!("`{name}` is not a function");
            let hint = format!("leave the `()` away: `{name}`");
            return self.error("UNSUPPORTED_CALL", message, span, Some(hint));
        }
        if name.starts_with('$') || !name.contains('.') && !name.starts_with(char::is_alphabetic) {
            return self.name(name, span);
        }
        let message = format!("there is no function `{name}`");
        // Within a namespace only the member is compared; `Math.` alike would outweigh it.
        let hint = match name.split_once('.') {
            Some((space, member)) => {
                let members = function_names()
                    .filter_map(|known| known.strip_prefix(space)?.strip_prefix('.'));
                self.nearest(member, members)
                    .map(|near| format!("did you mean `{space}.{near}()`?"))
            }
            None => self
                .nearest(name, function_names())
                .map(|near| format!("did you mean `{near}()`?")),
        };
        self.error("NAME_UNKNOWN_FUNCTION", message, span, hint)
    }

    /// A method and its arguments, unless no type has one of that name.
    pub(super) fn method(
        &mut self,
        name: &str,
        args: &[ast::Element<'a>],
        if_present: bool,
        bare_binding: bool,
        span: Span,
    ) -> Option<StepKind> {
        let Some((known, set)) = MethodSet::find(name) else {
            self.arguments(args, u8::MAX, span);
            self.unknown_method(name, span);
            return None;
        };
        if set.mutates() && bare_binding {
            let hint = match name {
                "sort" => "write `toSorted(…)`",
                "reverse" => "write `toReversed()`",
                "add" | "delete" | "clear" => "make a new one: `new Set([...set, item])`",
                "set" => "make a new one: `new Map([...map, [key, value]])`",
                _ => "copy it first: `[...list]`",
            };
            let message = format!("`{name}` would change a named value, and values never change");
            self.error("UNSUPPORTED_MUTATOR", message, span, Some(hint.into()));
        }
        let named = bare_binding && set.may_mutate();
        if reads_clock(name) {
            self.depends_on(Purity::Time);
        }
        if is_random(name) {
            self.depends_on(Purity::Random);
        }
        let args = self.arguments(args, set.callbacks(), span);
        let args = append(&mut self.code.elements, &args);
        let method = length(&self.code.methods);
        // The name is needed for messages only.
        self.code.methods.push((known, set));
        Some(StepKind::Method {
            method,
            args,
            if_present,
            named,
        })
    }

    fn unknown_method(&mut self, name: &str, span: Span) {
        if let Some(hint) = mutator_hint(name) {
            let message = format!("`{name}` would change a value, and values never change");
            self.error("UNSUPPORTED_MUTATOR", message, span, Some(hint.into()));
            return;
        }
        if name == "forEach" {
            let message = "`forEach` gives nothing back, so it has no place in an expression";
            let hint = "write `map`; of a Set or Map `[...set].map(…)`";
            self.error("UNSUPPORTED_FOREACH", message, span, Some(hint.into()));
            return;
        }
        let hint = self
            .nearest(name, all_methods())
            .map(|near| format!("did you mean `{near}()`?"));
        self.error(
            "NAME_UNKNOWN_METHOD",
            format!("there is no method `{name}`"),
            span,
            hint,
        );
    }

    /// Arguments; those whose bit is set may be an arrow or the name of a function.
    pub(super) fn arguments(
        &mut self,
        args: &[ast::Element<'a>],
        callbacks: u8,
        span: Span,
    ) -> Elements {
        let mut resolved = Elements::new();
        let mut spread_before = false;
        for (i, arg) in args.iter().enumerate() {
            let allowed = i < 8 && callbacks & (1 << i) != 0 && !spread_before && !arg.spread;
            let callback = match &arg.value {
                Some(value) if allowed => self.callback(value),
                _ => None,
            };
            let node = match (&arg.value, callback) {
                (Some(value), Some(callback)) => self.push(Node::Callback(callback), value.span),
                (Some(value), None) => self.expr(value),
                (None, _) => self.push(Node::Undefined, span),
            };
            spread_before |= arg.spread;
            resolved.push(Element {
                spread: arg.spread,
                node,
            });
        }
        resolved
    }

    /// What stands in the place of a callback, if it is an arrow or the name of a function.
    fn callback(&mut self, value: &Expr<'a>) -> Option<u32> {
        let name = match &value.kind {
            ExprKind::Arrow(arrow) => return Some(self.arrow(arrow, value.span)),
            ExprKind::Name(name) if self.binding(name).is_none() => name.to_string(),
            ExprKind::Chain { base, links } => match (&base.kind, &links[..]) {
                (
                    ExprKind::Name(name),
                    [
                        Link {
                            kind: LinkKind::Member(member),
                            ..
                        },
                    ],
                ) if self.binding(name).is_none() => {
                    format!("{name}.{member}")
                }
                _ => return None,
            },
            _ => return None,
        };
        let function = function(&name)?;
        self.depends_on(function.purity);
        let id = length(&self.code.callbacks);
        self.code.callbacks.push(Callback::Function(function));
        Some(id)
    }
}
