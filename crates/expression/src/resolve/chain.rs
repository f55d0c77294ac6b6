//! Chains: nodes, functions and constants at their start; members and methods after.

use smallvec::SmallVec;

use super::{
    Resolver, append, length, link_name,
    path::{path_ends, path_goes_on},
};
use crate::{
    Root,
    code::{Node, NodeId, Step, StepKind},
    library::is_namespace,
    path::Key,
    syntax::ast::{Expr, ExprKind, Link, LinkKind, Span},
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
                    self.dynamic_call(link.span.to(args_span));
                    None
                }
                (LinkKind::Call(args), ..) => {
                    self.elements(args, link.span);
                    self.call_of_value(base, link.span);
                    None
                }
                (_, Some(name), None) => {
                    path_goes_on(&mut path, &name);
                    Some(self.key(&name))
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

    fn key(&mut self, name: &str) -> StepKind {
        let id = length(&self.code.keys);
        let key = Key::new(name);
        let index = key.index();
        self.code.keys.push(key);
        index.map_or(StepKind::Key(id), |at| StepKind::At(at, id))
    }

    fn dynamic_call(&mut self, span: Span) {
        let hint = "write the method's name after a dot";
        let message = "a method cannot be chosen while running";
        self.error("UNSUPPORTED_DYNAMIC_CALL", message, span, Some(hint.into()));
    }

    fn call_of_value(&mut self, base: &Expr<'a>, span: Span) {
        // What went wrong there has been told.
        if !matches!(base.kind, ExprKind::Error) {
            let hint = "values are not functions; a function is called by its name";
            let message = "this is not a function";
            self.error("UNSUPPORTED_CALL", message, span, Some(hint.into()));
        }
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
}
