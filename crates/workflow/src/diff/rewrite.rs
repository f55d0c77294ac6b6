//! A definition with other ids of its nodes.

use std::collections::BTreeMap;

use nebula_core::{NodeId, ParamValue, Segment, TemplateText};
use serde_json::Value;

use crate::{ActionRef, BareExpression, Connection, NodeDefinition, WorkflowDefinition};

/// What a comparison asks about expressions, whose grammar this crate does not know.
pub trait Mentions {
    /// The expression with every mention of the node `from` naming `to`; `None` if it has none, or
    /// cannot be rewritten.
    fn renamed(&self, source: &str, from: &NodeId, to: &NodeId) -> Option<String>;

    /// Whether a text at this path of an action's parameters is an expression without braces:
    /// `condition`, `cases/high`.
    fn is_expression(&self, action: &ActionRef, path: &str) -> bool;
}

/// The definition with the nodes renamed, wherever they are mentioned. No new id is one that a node
/// had, so that one name after the other can be taken.
pub(super) fn rewritten(
    definition: &WorkflowDefinition,
    names: &BTreeMap<NodeId, NodeId>,
    mentions: &dyn Mentions,
) -> WorkflowDefinition {
    let mut definition = definition.clone();
    if names.is_empty() {
        return definition;
    }
    let rewrite = Rewrite { names, mentions };
    rewrite.nodes(&mut definition.nodes);
    rewrite.connections(&mut definition.connections);
    if let Some(output) = &mut definition.output {
        rewrite.param(output);
    }
    definition
}

struct Rewrite<'a> {
    names: &'a BTreeMap<NodeId, NodeId>,
    mentions: &'a dyn Mentions,
}

impl Rewrite<'_> {
    fn id(&self, id: &mut NodeId) {
        if let Some(to) = self.names.get(id) {
            *id = to.clone();
        }
    }

    fn source(&self, source: &mut String) {
        for (from, to) in self.names {
            // Only a name with escapes may be there without being seen.
            if (source.contains(from.as_str()) || source.contains('\\'))
                && let Some(renamed) = self.mentions.renamed(source, from, to)
            {
                *source = renamed;
            }
        }
    }

    fn bare(&self, bare: Option<&mut BareExpression>) {
        if let Some(bare) = bare {
            self.source(&mut bare.source);
        }
    }

    fn param(&self, param: &mut ParamValue) {
        match param {
            ParamValue::Expression(segment) => self.source(&mut segment.source),
            ParamValue::Template(template) => self.template(template),
            ParamValue::Literal(_) => {}
            ParamValue::Object(entries) => entries.values_mut().for_each(|value| self.param(value)),
            ParamValue::Array(items) => items.iter_mut().for_each(|value| self.param(value)),
        }
    }

    fn template(&self, template: &mut TemplateText) {
        let mut raw = String::with_capacity(template.raw.len());
        let mut at = 0;
        for Segment { source, offset } in &mut template.expressions {
            raw.push_str(&template.raw[at..*offset]);
            at = *offset + source.len();
            self.source(source);
            *offset = raw.len();
            raw.push_str(source);
        }
        raw.push_str(&template.raw[at..]);
        template.raw = raw;
    }

    /// A parameter that may be an expression without braces, or hold some.
    fn marked(&self, action: &ActionRef, path: &str, param: &mut ParamValue) {
        match param {
            ParamValue::Literal(value) => self.literal(action, path, value),
            ParamValue::Object(entries) => {
                for (key, value) in entries {
                    self.marked(action, &format!("{path}/{key}"), value);
                }
            }
            other => self.param(other),
        }
    }

    fn literal(&self, action: &ActionRef, path: &str, value: &mut Value) {
        match value {
            Value::String(text) if self.mentions.is_expression(action, path) => self.source(text),
            Value::Object(entries) => {
                for (key, value) in entries {
                    self.literal(action, &format!("{path}/{key}"), value);
                }
            }
            _ => {}
        }
    }

    fn nodes(&self, nodes: &mut [NodeDefinition]) {
        for node in nodes {
            self.node(node);
        }
    }

    fn node(&self, node: &mut NodeDefinition) {
        self.id(&mut node.id);
        for (name, value) in &mut node.parameters {
            self.marked(&node.action, name, value);
        }
        for bare in [&mut node.for_each, &mut node.when, &mut node.complete_when] {
            self.bare(bare.as_mut());
        }
        let cache = node.cache.as_mut();
        self.bare(cache.and_then(|cache| cache.key.as_mut()));
        node.requires.iter_mut().for_each(|value| self.param(value));
        if let Some(key) = &mut node.idempotency_key {
            self.param(key);
        }
        if let Some(artifact) = &mut node.artifact {
            self.param(&mut artifact.name);
            artifact
                .version
                .iter_mut()
                .for_each(|value| self.param(value));
        }
        if let Some(undo) = &mut node.compensate {
            for (name, value) in &mut undo.parameters {
                self.marked(&undo.action, name, value);
            }
            undo.requires.iter_mut().for_each(|value| self.param(value));
        }
        if let Some(body) = &mut node.body {
            self.nodes(&mut body.nodes);
            self.connections(&mut body.connections);
        }
    }

    fn connections(&self, connections: &mut [Connection]) {
        for connection in connections {
            self.id(&mut connection.from);
            self.id(&mut connection.to);
            self.bare(connection.condition.as_mut());
        }
    }
}
