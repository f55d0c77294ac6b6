//! Names that stand alone: bindings, roots, constants; and what was meant by the others.

use super::{Resolver, block::UNBOUND, construct::constructor, link_name};
use crate::{
    Purity, Root,
    code::{Node, NodeId},
    library::{constant, function, function_names, is_namespace},
    syntax::ast::{Expr, ExprKind, Span},
};

/// What stands behind `$` beside the roots.
pub(crate) const OTHER_ROOTS: [&str; 4] = ["nodes", "now", "today", "random"];

impl<'a> Resolver<'a> {
    pub(super) fn binding(&self, name: &str) -> Option<u16> {
        self.bindings
            .iter()
            .rev()
            .find(|(known, _)| *known == name)
            .map(|(_, slot)| *slot)
    }

    pub(super) fn name(&mut self, name: &str, span: Span) -> NodeId {
        if let Some(slot) = self.binding(name) {
            if slot == UNBOUND {
                return self.too_early(name, span);
            }
            return self.push(Node::Local(slot), span);
        }
        if name == "undefined" {
            return self.push(Node::Undefined, span);
        }
        if let Some(value) = constant(name) {
            return self.push(Node::Number(value), span);
        }
        if let Some(root) = name.strip_prefix('$') {
            return self.root(root, span);
        }
        if function(name).is_some() || is_namespace(name) {
            return self.function_value(name, span);
        }
        if matches!(name, "Intl" | "Temporal") {
            let hint = "use `DateTime`, or `toLocaleString` of a number or a date";
            let message = format!("`{name}` is not part of the language");
            return self.error("UNSUPPORTED_DATE", message, span, Some(hint.into()));
        }
        self.unknown_name(name, span)
    }

    /// A function where a value is wanted.
    pub(super) fn function_value(&mut self, name: &str, span: Span) -> NodeId {
        let message = format!("`{name}` is not a value");
        let hint = if constructor(name).is_some() {
            format!("write `new {name}(…)`")
        } else if is_namespace(name) && function(name).is_none() {
            format!("take one of its functions or constants: `{name}.…`")
        } else {
            format!("call it: `{name}(…)`")
        };
        self.error("UNSUPPORTED_FUNCTION_VALUE", message, span, Some(hint))
    }

    fn unknown_name(&mut self, name: &str, span: Span) -> NodeId {
        let message = format!("`{name}` is not known here");
        let hint = if Root::from_name(name).is_some() || OTHER_ROOTS.contains(&name) {
            Some(format!("did you mean `${name}`?"))
        } else {
            let mut known: Vec<&str> = Vec::new();
            known.extend(self.bindings.iter().map(|(name, _)| *name));
            known.extend(function_names().map(|name| -> &str { name }));
            known.extend([
                "undefined",
                "NaN",
                "Infinity",
                "Math",
                "JSON",
                "Object",
                "Array",
            ]);
            let near = self.nearest(name, known);
            Some(near.map_or_else(
                || format!("put text in quotes: `\"{name}\"`"),
                |near| format!("did you mean `{near}`?"),
            ))
        };
        self.error("NAME_UNKNOWN", message, span, hint)
    }

    fn root(&mut self, name: &str, span: Span) -> NodeId {
        if let Some(root) = Root::from_name(name) {
            self.root_used(root);
            self.report.paths.push(format!("${name}"));
            return self.push(Node::Root(root), span);
        }
        match name {
            "now" | "today" => {
                self.depends_on(Purity::Time);
                let node = if name == "now" {
                    Node::Now
                } else {
                    Node::Today
                };
                return self.push(node, span);
            }
            "random" => {
                self.depends_on(Purity::Random);
                return self.push(Node::Random, span);
            }
            "nodes" => {
                let hint = "name the node in the source: `$nodes.fetch.result`";
                let message = "`$nodes` stands only before the id of a node";
                return self.error("NAME_NODES", message, span, Some(hint.into()));
            }
            "env" | "secrets" | "secret" | "credentials" | "process" => {
                let hint = "give the node a credential; values that may be seen go to `$vars`";
                let message = "expressions never see secrets or the process environment";
                return self.error("NAME_SECRET", message, span, Some(hint.into()));
            }
            "" => {
                let hint = "write `$nodes.<id>.result` for another node's result";
                let message = "`$` alone is not known here";
                return self.error("NAME_UNKNOWN_ROOT", message, span, Some(hint.into()));
            }
            _ => {}
        }
        let known = Root::ALL.map(Root::name).into_iter().chain(OTHER_ROOTS);
        let hint = self.nearest(name, known.clone()).map_or_else(
            || {
                let all: Vec<String> = known.map(|name| format!("`${name}`")).collect();
                format!("there are {}", all.join(", "))
            },
            |near| format!("did you mean `${near}`?"),
        );
        let message = format!("there is no `${name}`");
        self.error("NAME_UNKNOWN_ROOT", message, span, Some(hint))
    }

    /// What `typeof` says of a function or namespace, which is no value otherwise.
    pub(super) fn typeof_name(&self, operand: &Expr<'a>) -> Option<&'static str> {
        let free = |name: &str| self.binding(name).is_none();
        match &operand.kind {
            ExprKind::Arrow(_) => Some("function"),
            ExprKind::Name(name) if free(name) && function(name).is_some() => Some("function"),
            ExprKind::Name(name) if free(name) && is_namespace(name) => {
                Some(if matches!(*name, "Math" | "JSON") {
                    "object"
                } else {
                    "function"
                })
            }
            ExprKind::Chain { base, links } => match (&base.kind, &links[..]) {
                (ExprKind::Name(name), [link]) if free(name) => {
                    let full = format!("{name}.{}", link_name(link)?);
                    match constant(&full) {
                        Some(_) => Some("number"),
                        None => function(&full).map(|_| "function"),
                    }
                }
                _ => None,
            },
            _ => None,
        }
    }
}
