//! `new`: the function of the library that makes the value.

use super::{Resolver, append};
use crate::{
    code::{Node, NodeId},
    library::{function, function_names},
    syntax::ast::{New, Span},
};

impl<'a> Resolver<'a> {
    pub(super) fn construct(&mut self, new: &New<'a>, span: Span) -> NodeId {
        let New {
            name,
            name_span,
            args,
        } = *new;
        let first = name.split('.').next().unwrap_or(name);
        let free = self.binding(first).is_none();
        // Only without arguments a date needs the clock.
        let looked_up = match (name, args) {
            ("Date", [first, ..]) if !first.spread => "Date(…)",
            _ => name,
        };
        let Some(function) = constructor(looked_up).filter(|_| free) else {
            self.elements(args, span);
            return self.no_constructor(name, span.to(name_span));
        };
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

    fn no_constructor(&mut self, name: &str, span: Span) -> NodeId {
        let names = || {
            function_names()
                .filter_map(|name| name.strip_prefix("new "))
                .filter(|name| !name.contains('('))
        };
        let (code, hint) = match name {
            "Object" => ("UNSUPPORTED_NEW", "write `{}`".to_owned()),
            "String" | "Number" | "Boolean" => (
                "UNSUPPORTED_NEW",
                format!("leave `new` away: `{name}(…)` gives the value itself"),
            ),
            _ => {
                let hint = self.nearest(name, names()).map_or_else(
                    || {
                        let all: Vec<_> = names().map(|name| format!("`new {name}(…)`")).collect();
                        format!("there are {}", all.join(", "))
                    },
                    |near| format!("did you mean `new {near}(…)`?"),
                );
                ("UNSUPPORTED_NEW", hint)
            }
        };
        let message = format!("`new {name}` is not part of the language");
        self.error(code, message, span, Some(hint))
    }
}

/// The function that `new` with this name stands for.
pub(super) fn constructor(name: &str) -> Option<&'static crate::library::Function> {
    function(&format!("new {name}"))
}
