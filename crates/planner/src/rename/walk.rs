//! Every place of a definition that can name a node. The patterns name each field: one that is new
//! to the format does not compile until it was decided here.

use std::{collections::BTreeMap, ops::Range};

use indexmap::IndexMap;
use nebula_action::{ActionKind, Catalog, ControlKind, ExpressionMark};
use nebula_core::{NodeId, ParamValue};
use nebula_expression::{Edit, RenameError, rename_node};
use nebula_parameter::{ExpressionProblem, Written, rewrite_parameters, rewrite_value};
use nebula_workflow::{
    ActionRef, Admission, ArtifactDefinition, BareExpression, Body, CachePolicy, Compensation,
    Connection, ConnectionOrigin, Diagnostic, Mention, MentionPart, NodeDefinition, RateLimit,
    TriggerDefinition, WorkflowDefinition, pointer_join,
};

use serde_json::Value;

use crate::{expressions, lookup};

/// The ids of nodes, those in bodies included, with the pointers of their fields `id`.
pub(super) fn ids<'d>(
    nodes: &'d [NodeDefinition],
    pointer: &str,
    found: &mut BTreeMap<&'d str, String>,
) {
    for (index, node) in nodes.iter().enumerate() {
        found.insert(node.id.as_str(), format!("{pointer}/{index}/id"));
        if let Some(body) = &node.body {
            ids(&body.nodes, &format!("{pointer}/{index}/body/nodes"), found);
        }
    }
}

/// Renames a node in a definition that is a value, and notes where it was named.
pub(super) struct Walk<'a> {
    from: &'a str,
    to: &'a NodeId,
    catalog: &'a dyn Catalog,
    pub(super) mentions: Vec<Mention>,
    /// Expressions that do not compile, actions that do not exist.
    pub(super) problems: Vec<Diagnostic>,
    /// The first text with a mention that cannot be rewritten.
    pub(super) refused: Option<String>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(from: &'a str, to: &'a NodeId, catalog: &'a dyn Catalog) -> Self {
        Self {
            from,
            to,
            catalog,
            mentions: Vec::new(),
            problems: Vec::new(),
            refused: None,
        }
    }

    pub(super) fn workflow(&mut self, workflow: &mut WorkflowDefinition) {
        let WorkflowDefinition {
            id: _,
            name: _,
            input: _,
            output_schema: _,
            timezone: _,
            triggers,
            nodes,
            connections,
            output,
            limits: _,
            admission,
            rate_limit,
            priority: _,
            layout,
        } = workflow;
        for (index, trigger) in triggers.iter_mut().enumerate() {
            let TriggerDefinition {
                id: _,
                kind: _,
                input,
                rest: _,
            } = trigger;
            self.value(input.as_mut(), &format!("/triggers/{index}/input"));
        }
        self.graph(nodes, connections, "/nodes");
        self.value(output.as_mut(), "/output");
        if let Some(Admission {
            concurrency: _,
            key,
            when_full: _,
            queue: _,
        }) = admission
        {
            self.bare(key, "/admission/key");
        }
        if let Some(RateLimit {
            limit: _,
            per: _,
            burst: _,
            key,
            when_full: _,
            queue: _,
        }) = rate_limit
        {
            self.bare(key, "/rate_limit/key");
        }
        if let Some(layout) = layout
            && layout.contains_key(self.from)
        {
            self.note(pointer_join("/layout", self.from), MentionPart::Key);
            let renamed = std::mem::take(layout).into_iter().map(|(key, place)| {
                let named = key == self.from;
                (if named { self.to.to_string() } else { key }, place)
            });
            *layout = renamed.collect();
        }
    }

    fn graph(
        &mut self,
        nodes: &mut [NodeDefinition],
        connections: &mut [Connection],
        pointer: &str,
    ) {
        for (index, node) in nodes.iter_mut().enumerate() {
            self.node(node, &format!("{pointer}/{index}"));
        }
        for connection in connections {
            self.connection(connection);
        }
    }

    fn node(&mut self, node: &mut NodeDefinition, pointer: &str) {
        let NodeDefinition {
            id,
            name: _,
            action,
            parameters,
            requires,
            credentials: _,
            for_each,
            each_item: _,
            concurrency: _,
            when,
            join: _,
            retry: _,
            timeout: _,
            heartbeat_timeout: _,
            on_error: _,
            on_indeterminate: _,
            compensate,
            idempotency_key,
            disabled: _,
            pin: _,
            cache,
            limits: _,
            artifact,
            distribute: _,
            runs_on: _,
            complete_when,
            rest: _,
            on_item_error: _,
            body,
            notes: _,
        } = node;
        let at = |field: &str| format!("{pointer}/{field}");
        self.id(id, at("id"), 0);
        self.parameters(action, parameters, pointer);
        self.values(requires, &at("requires"));
        self.bare(for_each, &at("for_each"));
        self.bare(when, &at("when"));
        if let Some(compensate) = compensate {
            let Compensation {
                action,
                parameters,
                requires,
                credentials: _,
                retry: _,
                timeout: _,
            } = compensate;
            let at = at("compensate");
            self.parameters(action, parameters, &at);
            self.values(requires, &pointer_join(&at, "requires"));
        }
        self.value(idempotency_key.as_mut(), &at("idempotency_key"));
        if let Some(CachePolicy { key, ttl: _ }) = cache {
            self.bare(key, &at("cache/key"));
        }
        if let Some(ArtifactDefinition { name, version }) = artifact {
            self.value(Some(name), &at("artifact/name"));
            self.value(version.as_mut(), &at("artifact/version"));
        }
        self.bare(complete_when, &at("complete_when"));
        if let Some(Body { nodes, connections }) = body {
            self.graph(nodes, connections, &at("body/nodes"));
        }
    }

    fn connection(&mut self, connection: &mut Connection) {
        let Connection {
            from,
            port: _,
            to,
            input: _,
            condition,
            closes_loop: _,
            max_rounds: _,
            origin,
        } = connection;
        match origin {
            ConnectionOrigin::Implied { pointer: _ } => {
                // Nothing is written there; the nodes say it.
                for end in [from, to] {
                    if end.as_str() == self.from {
                        *end = self.to.clone();
                    }
                }
            }
            ConnectionOrigin::Object { pointer } => {
                self.id(from, pointer_join(pointer, "from"), 0);
                self.id(to, pointer_join(pointer, "to"), 0);
                self.bare(condition, &pointer_join(pointer, "condition"));
            }
            ConnectionOrigin::Chain {
                pointer,
                range,
                to: second,
            } => {
                self.id(from, pointer.clone(), range.start);
                self.id(to, pointer.clone(), *second);
            }
        }
    }

    /// An id that begins at byte `at` of the string at `pointer`.
    fn id(&mut self, id: &mut NodeId, pointer: String, at: usize) {
        if id.as_str() == self.from {
            self.note(pointer, MentionPart::Text(at..at + self.from.len()));
            *id = self.to.clone();
        }
    }

    fn note(&mut self, pointer: String, part: MentionPart) {
        self.mentions.push(Mention { pointer, part });
    }

    /// The parameters of the node or compensation at `pointer`.
    fn parameters(
        &mut self,
        action: &ActionRef,
        parameters: &mut IndexMap<String, ParamValue>,
        pointer: &str,
    ) {
        let at = pointer_join(pointer, "parameters");
        let metadata = lookup::metadata(self.catalog, action, &pointer_join(pointer, "action"));
        let (kind, marks): (_, &[ExpressionMark]) = match metadata {
            Ok(metadata) => (Some(metadata.kind), &metadata.expressions),
            Err(problem) => {
                self.problems.push(*problem);
                (None, &[])
            }
        };
        rewrite_parameters(parameters, marks, &at, &mut |written| self.written(written));
        // Places are those of the text as it is, so what stands below a key comes before the key.
        if let Some(ActionKind::Control(kind)) = kind {
            self.named_by(kind, parameters, &at);
        }
    }

    /// The parameters at `at` that name nodes by their ids: what is cancelled, what a milestone lies
    /// between, and what handles.
    fn named_by(
        &mut self,
        kind: ControlKind,
        parameters: &mut IndexMap<String, ParamValue>,
        at: &str,
    ) {
        match kind {
            ControlKind::Cancel => {
                if let Some(ParamValue::Literal(Value::Array(names))) = parameters.get_mut("nodes")
                {
                    for (index, name) in names.iter_mut().enumerate() {
                        self.literal(name, format!("{at}/nodes/{index}"));
                    }
                }
            }
            ControlKind::Milestone => {
                for field in ["reached", "until"] {
                    if let Some(ParamValue::Literal(name)) = parameters.get_mut(field) {
                        self.literal(name, pointer_join(at, field));
                    }
                }
            }
            ControlKind::Try => {
                if let Some(ParamValue::Literal(name)) = parameters.get_mut("finally") {
                    self.literal(name, pointer_join(at, "finally"));
                }
                let catch = pointer_join(at, "catch");
                match parameters.get_mut("catch") {
                    Some(ParamValue::Object(handlers)) => {
                        let renamed = std::mem::take(handlers).into_iter();
                        *handlers = renamed
                            .map(|(key, value)| (self.key(key, &catch), value))
                            .collect();
                    }
                    Some(ParamValue::Literal(Value::Object(handlers))) => {
                        let renamed = std::mem::take(handlers).into_iter();
                        *handlers = renamed
                            .map(|(key, value)| (self.key(key, &catch), value))
                            .collect();
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// A text that is an id and nothing else.
    fn literal(&mut self, name: &mut Value, pointer: String) {
        if name.as_str() == Some(self.from) {
            self.note(pointer, MentionPart::Text(0..self.from.len()));
            *name = Value::String(self.to.to_string());
        }
    }

    /// A key that may be an id, of the object at `pointer`.
    fn key(&mut self, key: String, pointer: &str) -> String {
        if key != self.from {
            return key;
        }
        self.note(pointer_join(pointer, &key), MentionPart::Key);
        self.to.to_string()
    }

    fn values(&mut self, values: &mut [ParamValue], pointer: &str) {
        for (index, value) in values.iter_mut().enumerate() {
            self.value(Some(value), &format!("{pointer}/{index}"));
        }
    }

    fn value(&mut self, value: Option<&mut ParamValue>, pointer: &str) {
        if let Some(value) = value {
            rewrite_value(value, pointer, &mut |written| self.written(written));
        }
    }

    fn written(&mut self, written: &Written<'_>) -> Option<String> {
        let place = |range| written.place(range);
        self.expression(written.source, written.pointer, &place)
    }

    fn bare(&mut self, bare: &mut Option<BareExpression>, pointer: &str) {
        if let Some(BareExpression { source, offset }) = bare {
            let offset = *offset;
            let place = |range: Range<usize>| offset + range.start..offset + range.end;
            if let Some(renamed) = self.expression(source, pointer, &place) {
                *source = renamed;
            }
        }
    }

    /// The new source of an expression that names the node; `place` finds its bytes in the string.
    fn expression(
        &mut self,
        source: &str,
        pointer: &str,
        place: &dyn Fn(Range<usize>) -> Range<usize>,
    ) -> Option<String> {
        // An id is a name, so no quote is written.
        match rename_node(source, self.from, self.to.as_str(), '"') {
            Ok(edits) => {
                for edit in &edits {
                    let range = place(edit.range.clone());
                    self.note(pointer.to_owned(), MentionPart::Text(range));
                }
                (!edits.is_empty()).then(|| Edit::apply(source, &edits))
            }
            Err(RenameError::Source(errors)) => {
                self.problems.extend(errors.into_iter().map(|error| {
                    let problem = ExpressionProblem {
                        pointer: String::new(),
                        range: place(error.start..error.end),
                        error,
                    };
                    expressions::diagnostic(&problem, pointer)
                }));
                None
            }
            Err(_) => {
                self.refused.get_or_insert_with(|| pointer.to_owned());
                None
            }
        }
    }
}
