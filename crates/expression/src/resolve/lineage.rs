//! `$nodes.<id>.item`, `.all()`, `.first()`, `.last()`: items of a node's result.

use super::{Resolver, chain::Head};
use crate::{
    code::{Lineage, Node},
    syntax::ast::{Expr, Link, LinkKind},
};

/// The members of a node that are items of its result, and which of them are called.
pub(crate) const LINEAGE: [(&str, Lineage, bool); 4] = [
    ("all", Lineage::All, true),
    ("first", Lineage::First, true),
    ("item", Lineage::Item, false),
    ("last", Lineage::Last, true),
];

impl<'a> Resolver<'a> {
    /// The items that `field` of a node means, if it is one of these names; the node is given by
    /// its slot, its id and whether it may be missing.
    pub(super) fn lineage(
        &mut self,
        (slot, id, optional): (u16, &str, bool),
        field: &str,
        links: &[Link<'a>],
        base: &Expr<'a>,
    ) -> Option<Head> {
        let known = LINEAGE.iter().find(|(name, ..)| *name == field);
        let (which, is_call) = match (known, field) {
            (Some((_, which, is_call)), _) => (*which, *is_call),
            (None, "itemMatching") => {
                let span = base.span.to(links[1].span);
                let hint = format!("write `$nodes.{id}.all()[index]`");
                let message = format!("`.{field}` of a node is not part of the language");
                let node = self.error("UNSUPPORTED_LINEAGE", message, span, Some(hint));
                let (taken, path) = (links.len(), None);
                return Some(Head { node, taken, path });
            }
            _ => return None,
        };
        let call = match links.get(2) {
            Some(Link {
                kind: LinkKind::Call(args),
                span,
                ..
            }) => Some((args, *span)),
            _ => None,
        };
        let taken = if call.is_some() { 3 } else { 2 };
        let span = base.span.to(links[taken - 1].span);
        let wrong = match call {
            None if is_call => Some(format!("call it: `.{field}()`")),
            Some(_) if !is_call => Some(format!("leave the parentheses away: `.{field}`")),
            Some((args, _)) if !args.is_empty() => {
                Some(format!("leave the arguments away: `.{field}()`"))
            }
            _ => None,
        };
        let node = match wrong {
            Some(hint) => {
                if let Some((args, span)) = call {
                    self.elements(args, span);
                }
                let message = format!("`.{field}` of a node is not written so");
                self.error("UNSUPPORTED_LINEAGE", message, span, Some(hint))
            }
            None => {
                // What is read of the items is not told apart from the whole result.
                self.report.paths.push(format!("$nodes.{id}.result"));
                self.push(Node::StepItems(slot, which, optional), span)
            }
        };
        let path = None;
        Some(Head { node, taken, path })
    }
}
