//! `$nodes.<id>`: which node is meant, and which of its fields.

use std::borrow::Cow;

use super::{Resolver, chain::Head, literal_key};
use crate::{
    NodeReference, NodeSpan,
    code::{Node, NodeField},
    syntax::ast::{Expr, Link, LinkKind, Span},
};

impl<'a> Resolver<'a> {
    /// `$nodes.<id>` and its field.
    pub(super) fn node_head(&mut self, base: &Expr<'a>, links: &[Link<'a>]) -> Head {
        let id = match links[0].kind {
            LinkKind::Member(id) => Some((Cow::Borrowed(id), links[0].span)),
            LinkKind::Index(index) => literal_key(index).map(|id| (id, index.span)),
            LinkKind::Call(_) => None,
        };
        let Some((id, place)) = id else {
            let node = self.name("$nodes", base.span);
            return Head {
                node,
                taken: links.len(),
                path: None,
            };
        };
        // The id alone, without the dot before it or the quotes around it.
        let len = u32::try_from(id.len()).unwrap_or(u32::MAX);
        let id_span = match &links[0].kind {
            LinkKind::Member(_) => Span {
                start: place.end - len,
                end: place.end,
            },
            _ if place.end - place.start == len + 2 => Span {
                start: place.start + 1,
                end: place.end - 1,
            },
            _ => place,
        };
        let optional = links[0].optional || links.get(1).is_some_and(|link| link.optional);
        if let Some(known) = self.known_nodes
            && !known.contains(&&*id)
        {
            let hint = self
                .nearest(&id, known.iter().copied())
                .map(|near| format!("did you mean `{near}`?"));
            let message = format!("there is no node `{id}`");
            let node = self.error("NAME_UNKNOWN_NODE", message, id_span, hint);
            return Head {
                node,
                taken: links.len(),
                path: None,
            };
        }
        let slot = self.node_reference(&id, id_span, optional);
        let field = match links.get(1).map(|link| link.kind) {
            Some(LinkKind::Member(field)) => Cow::Borrowed(field),
            Some(LinkKind::Index(index)) => match literal_key(index) {
                Some(field) => field,
                None => return self.node_whole(slot, optional, &id, base.span.to(place)),
            },
            _ => return self.node_whole(slot, optional, &id, base.span.to(place)),
        };
        let span = base.span.to(links[1].span);
        if let Some((_, known)) = NodeField::ALL.iter().find(|(name, _)| *name == field) {
            let node = self.push(Node::StepField(slot, *known, optional), span);
            return Head {
                node,
                taken: 2,
                path: Some(format!("$nodes.{id}.{field}")),
            };
        }
        if let Some(head) = self.lineage((slot, &id, optional), &field, links, base) {
            return head;
        }
        let node = {
            let fields = NodeField::ALL.map(|(name, _)| name);
            let hint = self.nearest(&field, fields).map_or_else(
                || format!("did you mean `$nodes.{id}.result.{field}`?"),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("a node has no field `{field}`");
            self.error("NAME_UNKNOWN_FIELD", message, links[1].span, Some(hint))
        };
        Head {
            node,
            taken: links.len(),
            path: None,
        }
    }

    fn node_whole(&mut self, slot: u16, optional: bool, id: &str, span: Span) -> Head {
        let node = self.push(Node::StepWhole(slot, optional), span);
        Head {
            node,
            taken: 1,
            path: Some(format!("$nodes.{id}")),
        }
    }

    /// Notes that the source names a node, and gives its slot.
    fn node_reference(&mut self, id: &str, span: Span, optional: bool) -> u16 {
        let (start, end) = (span.start as usize, span.end as usize);
        let mention = NodeSpan {
            start,
            end,
            optional,
        };
        if let Some(slot) = self.report.nodes.iter().position(|node| node.node == id) {
            let node = &mut self.report.nodes[slot];
            node.optional &= optional;
            node.spans.push(mention);
            return slot as u16;
        }
        let slot = self.report.nodes.len();
        let node = id.to_owned();
        self.report.nodes.push(NodeReference {
            node,
            start,
            end,
            optional,
            spans: vec![mention],
        });
        // A source of 64 KiB cannot name 65,536 nodes.
        u16::try_from(slot).unwrap_or(u16::MAX)
    }
}
