//! Chains: nodes, functions and constants at their start; members and methods after.

use smallvec::SmallVec;

use super::{
    Elements, Resolver, append, construct::constructor, length, link_name, names::OTHER_ROOTS,
    path_root,
};
use crate::{
    Purity, Root,
    code::{Callback, Element, Node, NodeId, Run, Step, StepKind},
    library::{
        MethodSet, all_methods, constant, extension::is_random, function, function_names,
        is_namespace, mutator_hint, reads_clock,
    },
    path::{Key, LENGTH, Path},
    syntax::ast::{self, Expr, ExprKind, Link, LinkKind, Span},
    value::array_index,
};

/// What a chain starts with, how many links that takes, and how it is written if it is data.
pub(super) struct Head {
    pub(super) node: NodeId,
    pub(super) taken: usize,
    pub(super) path: Option<String>,
}

impl<'a> Resolver<'a> {
    pub(super) fn chain(&mut self, base: &Expr<'a>, links: &[Link<'a>], span: Span) -> NodeId {
        let head = self.head(base, links);
        let links = &links[head.taken..];
        let mut path = head.path;
        let mut steps: SmallVec<[Step; 8]> = SmallVec::new();
        let mut i = 0;
        while let Some(link) = links.get(i) {
            let call = match links.get(i + 1) {
                Some(Link {
                    kind: LinkKind::Call(args),
                    optional,
                    span,
                }) => Some((args, *optional, *span)),
                _ => None,
            };
            let name = link_name(link);
            let kind = match (&link.kind, name, call) {
                (_, Some(name), Some((args, if_present, args_span))) => {
                    path_ends(&mut path, &mut self.report.paths);
                    i += 1;
                    let bare_binding = steps.is_empty() && self.is_binding(base);
                    let place = link.span.to(args_span);
                    self.method(&name, args, if_present, bare_binding, place)
                }
                (LinkKind::Index(_), None, Some((args, _, args_span))) => {
                    i += 1;
                    self.elements(args, args_span);
                    let hint = "write the method's name after a dot";
                    let message = "a method cannot be chosen while running";
                    let place = link.span.to(args_span);
                    self.error(
                        "UNSUPPORTED_DYNAMIC_CALL",
                        message,
                        place,
                        Some(hint.into()),
                    );
                    None
                }
                (LinkKind::Call(args), ..) => {
                    self.elements(args, link.span);
                    if !matches!(base.kind, ExprKind::Error) {
                        let hint = "values are not functions; a function is called by its name";
                        let message = "this is not a function";
                        self.error("UNSUPPORTED_CALL", message, link.span, Some(hint.into()));
                    }
                    None
                }
                (_, Some(name), None) => {
                    path_goes_on(&mut path, &name);
                    let id = length(&self.code.keys);
                    let key = Key::new(&name);
                    let kind = key
                        .index()
                        .map_or(StepKind::Key(id), |at| StepKind::At(at, id));
                    self.code.keys.push(key);
                    Some(kind)
                }
                (LinkKind::Index(index), None, None) => {
                    path_ends(&mut path, &mut self.report.paths);
                    Some(StepKind::Index(self.expr(index)))
                }
                (LinkKind::Member(_), None, _) => None,
            };
            if let Some(kind) = kind {
                // A method's place is its name with its arguments.
                let end = links[i].span;
                let span = link.span.to(end).pair();
                steps.push(Step {
                    kind,
                    optional: link.optional,
                    span,
                });
            }
            i += 1;
        }
        path_ends(&mut path, &mut self.report.paths);
        if steps.is_empty() {
            return head.node;
        }
        let base = head.node;
        let steps = append(&mut self.code.steps, &steps);
        let path = self.path(base, steps);
        let node = match path {
            Some(path) if path.keys.len == steps.len => Node::Path { path, base, steps },
            Some(path) => Node::PathChain { path, base, steps },
            None => Node::Chain { base, steps },
        };
        self.push(node, span)
    }

    /// The path that a chain begins with.
    fn path(&self, base: NodeId, steps: Run) -> Option<Path> {
        let from = path_root(self.code.nodes[base as usize])?;
        let steps = steps.of(&self.code.steps);
        let plain = |step: &Step| match step.kind {
            StepKind::Key(key) | StepKind::At(_, key) => Some(key),
            StepKind::Index(_) | StepKind::Method { .. } => None,
        };
        // The keys of steps side by side stand side by side.
        let start = steps.first().and_then(plain)?;
        let follows = |key: &u32| self.code.keys[*key as usize].as_str() != LENGTH;
        let len = steps.iter().map_while(plain).take_while(follows).count();
        if len == 0 {
            return None;
        }
        // At most as many as there are.
        let keys = Run {
            start,
            len: len as u32,
        };
        Some(Path { from, keys })
    }

    fn is_binding(&self, base: &Expr<'a>) -> bool {
        matches!(&base.kind, ExprKind::Name(name) if self.binding(name).is_some())
    }

    fn head(&mut self, base: &Expr<'a>, links: &[Link<'a>]) -> Head {
        match &base.kind {
            ExprKind::Name(name) if self.binding(name).is_none() => {
                self.named_head(name, base, links)
            }
            ExprKind::Arrow(arrow) => match &links[0].kind {
                LinkKind::Call(args) => {
                    let callback = self.arrow(arrow, base.span);
                    let args = self.elements(args, links[0].span);
                    let args = append(&mut self.code.elements, &args);
                    let span = base.span.to(links[0].span);
                    Head {
                        node: self.push(Node::Inline(callback, args), span),
                        taken: 1,
                        path: None,
                    }
                }
                _ => Head {
                    node: self.expr(base),
                    taken: 0,
                    path: None,
                },
            },
            _ => Head {
                node: self.expr(base),
                taken: 0,
                path: None,
            },
        }
    }

    fn named_head(&mut self, name: &str, base: &Expr<'a>, links: &[Link<'a>]) -> Head {
        if name == "$nodes" {
            return self.node_head(base, links);
        }
        if name == "$" {
            let hint = "write `$nodes.<id>.result` for another node's result";
            let message = "`$(…)` is not part of the language";
            let node = self.error("UNSUPPORTED_CALL", message, base.span, Some(hint.into()));
            return Head {
                node,
                taken: usize::from(matches!(links[0].kind, LinkKind::Call(_))),
                path: None,
            };
        }
        if let LinkKind::Call(args) = &links[0].kind {
            let span = base.span.to(links[0].span);
            return Head {
                node: self.call(name, args, base.span, span),
                taken: 1,
                path: None,
            };
        }
        if is_namespace(name)
            && let Some(member) = link_name(&links[0])
        {
            return self.namespace_head(name, &member, base, links);
        }
        let (node, path) = match name.strip_prefix('$').and_then(Root::from_name) {
            // The path is noted once it is whole.
            Some(root) => {
                self.root_used(root);
                let members = links
                    .iter()
                    .take_while(|link| !matches!(link.kind, LinkKind::Call(_)));
                let end = members.last().map_or(base.span.end, |link| link.span.end);
                let mut path = String::with_capacity((end - base.span.start) as usize);
                path.push_str(name);
                (self.push(Node::Root(root), base.span), Some(path))
            }
            None => (self.name(name, base.span), None),
        };
        Head {
            node,
            taken: 0,
            path,
        }
    }

    fn namespace_head(
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

    fn call(
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

    fn method(
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

fn path_goes_on(path: &mut Option<String>, key: &str) {
    let Some(path) = path else { return };
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    if array_index(key).is_some() {
        path.push_str(&format!("[{key}]"));
    } else if key.chars().all(plain) && !key.is_empty() {
        path.push('.');
        path.push_str(key);
    } else {
        // JSON quotes a key as JavaScript does.
        path.push_str(&format!("[{}]", serde_json::Value::from(key)));
    }
}

fn path_ends(path: &mut Option<String>, paths: &mut Vec<String>) {
    paths.extend(path.take());
}
