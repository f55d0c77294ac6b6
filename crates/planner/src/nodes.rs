//! One node of a plan from its definition and its action.

use indexmap::IndexMap;
use nebula_action::{ActionKind, ActionMetadata, EffectClass};
use nebula_core::ParamValue;
use nebula_execution::{PlanCompensation, PlanMilestone, PlanNode};
use nebula_expression::Program;
use nebula_parameter::{ParamProgram, Parameters, Use, deferred_pointer};
use nebula_workflow::{
    BareExpression, Diagnostic, NodeDefinition, OnError, RetryPolicy, pointer_join,
};
use serde_json::Value;

use crate::{
    build::{Builder, Checks},
    capabilities, codes, credentials,
    expressions::{self, Place},
    literals,
};

/// Where a node stands in the graph.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) index: u32,
    pub(crate) rate: u32,
    pub(crate) priority: u32,
    /// Into how many tokens it splits one, or how many it merges into one.
    pub(crate) tokens: Option<u32>,
    /// Between the ends of which nodes it lets through.
    pub(crate) milestone: Option<PlanMilestone>,
    /// Whether a connection leaves by its port `error`.
    pub(crate) routes: bool,
}

impl Builder<'_> {
    /// Compiles a node; `None` if it has a problem, which is reported.
    pub(crate) fn node(
        &mut self,
        shape: Shape,
        metadata: &ActionMetadata,
        compensation: Option<PlanCompensation>,
        checks: Checks<'_>,
    ) -> Option<PlanNode> {
        let node = self.flat.nodes[shape.index as usize];
        let pointer = self.flat.pointers[shape.index as usize].clone();
        let before = self.diagnostics.len();
        let list = node.for_each.is_some() || node.each_item;
        if list && metadata.kind != ActionKind::Code {
            let field = if node.each_item {
                "each_item"
            } else {
                "for_each"
            };
            let message = format!(
                "`{field}` with the control action `{}` cannot be run by this version",
                metadata.id
            );
            let hint = "run a code action for each element, or filter the list with `data.filter`";
            let at = pointer_join(&pointer, field);
            self.diagnostics
                .push(Diagnostic::error(codes::UNSUPPORTED, at, message).hint(hint));
        }
        if node.each_item {
            // The list is `$json`, although nobody wrote it.
            let at = pointer_join(&pointer, "each_item");
            checks.reads.json(shape.index, &at, &mut self.diagnostics);
        }
        let written = with_defaults(&node.parameters, &metadata.defaults);
        let parameters = self.parameters(shape.index, &written, metadata, checks);
        let when = self.gate(shape.index, node.when.as_ref(), "when", checks);
        let for_each = self.gate(shape.index, node.for_each.as_ref(), "for_each", checks);
        let complete_when = self.complete_when(shape.index, checks);
        let idempotency_key = self.key(shape.index, node, checks);
        let wanted = capabilities::wanted(
            (&node.parameters, &node.requires),
            &pointer,
            metadata,
            checks.scope,
            &mut self.diagnostics,
        );
        // What does not run touches nothing.
        let inert = node.disabled || node.pin.is_some();
        let credentials = credentials::filled(
            &node.credentials,
            metadata,
            !inert,
            &pointer,
            &mut self.diagnostics,
        );
        let called = self.called(shape.index, metadata);
        if self.diagnostics[before..].iter().any(Diagnostic::is_error) {
            return None;
        }
        self.calls.extend(called.call);
        let effect = metadata
            .effect
            .class(|name| literals::known(&written, name));
        let effect = called.effect.unwrap_or(effect);
        let mut capabilities = wanted.literal;
        credentials::imply(&credentials, &mut capabilities);
        let beyond = called.capabilities.into_iter();
        capabilities.extend(beyond.filter(|it| !node.requires.contains(&text(it))));
        let again = node
            .retry
            .as_ref()
            .is_some_and(|retry| retry.max_attempts > 1);
        if again && !inert && metadata.kind == ActionKind::Code && effect == EffectClass::Pure {
            let message = format!(
                "`{}` touches nothing outside, so each attempt of `{}` gives the same",
                metadata.id, node.id
            );
            let at = pointer_join(&pointer, "retry");
            self.diagnostics.push(
                Diagnostic::lint(codes::RETRY, at, message).hint(
                    "leave `retry` out; handle the failure with `on_error` or the port `error`",
                ),
            );
        }
        self.pointless_limits(shape.index, metadata);
        Some(PlanNode {
            id: node.id.clone(),
            action: metadata.id.clone(),
            version: metadata.version,
            kind: metadata.kind,
            effect: if inert { EffectClass::Pure } else { effect },
            reconciles: metadata.reconciles && !inert,
            parameters,
            when,
            for_each,
            each_item: node.each_item,
            distribute: node.distribute && !inert,
            complete_when,
            rest: node.rest.unwrap_or_default(),
            on_item_error: node.on_item_error,
            concurrency: node
                .concurrency
                .unwrap_or(u32::MAX)
                .min(self.concurrency())
                .max(1),
            join: node.join,
            retry: node
                .retry
                .clone()
                .or_else(|| default_retry(metadata, effect))
                .unwrap_or_else(RetryPolicy::once),
            timeout: node
                .timeout
                .or(metadata.timeout)
                .unwrap_or(self.settings.attempt_timeout),
            heartbeat_timeout: node.heartbeat_timeout,
            on_error: if shape.routes {
                OnError::Route
            } else {
                node.on_error
            },
            on_indeterminate: node.on_indeterminate,
            compensation: compensation.filter(|_| !inert).map(Box::new),
            idempotency_key,
            disabled: node.disabled,
            pin: node.pin.clone(),
            capabilities: if inert { Vec::new() } else { capabilities },
            requires: if inert { Vec::new() } else { wanted.dynamic },
            credentials: if inert { Vec::new() } else { credentials },
            tokens: shape.tokens,
            milestone: shape.milestone,
            rate: shape.rate,
            priority: shape.priority,
        })
    }

    /// Reports limits of attempts on a node that makes none.
    fn pointless_limits(&mut self, index: u32, metadata: &ActionMetadata) {
        let ActionKind::Control(kind) = metadata.kind else {
            return;
        };
        let (node, pointer) = (
            self.flat.nodes[index as usize],
            &self.flat.pointers[index as usize],
        );
        let limits = [
            ("timeout", node.timeout),
            ("heartbeat_timeout", node.heartbeat_timeout),
        ];
        for (field, limit) in limits {
            if limit.is_some() {
                let message = format!(
                    "`{field}` bounds attempts, and `{}` of node `{}` makes none: it has no effect",
                    metadata.id, node.id
                );
                let hint = if kind.has_body() {
                    "give the nodes of its body a timeout, or put it into a flow.parallel with the parameter `timeout`"
                } else {
                    "leave it out; flow.wait for a signal has a parameter `timeout`"
                };
                let at = pointer_join(pointer, field);
                let problem = Diagnostic::lint(codes::LIMIT_UNUSED, at, message);
                self.diagnostics.push(problem.hint(hint));
            }
        }
    }

    /// Reports what is wrong with the expressions of a node whose action is not known. Which of its
    /// parameters would be programs over `$item` is not known either, so that root is let pass.
    pub(crate) fn node_of_no_action(&mut self, index: u32, checks: Checks<'_>) {
        let node = self.flat.nodes[index as usize];
        self.gate(index, node.when.as_ref(), "when", checks);
        self.gate(index, node.for_each.as_ref(), "for_each", checks);
        self.complete_when(index, checks);
        self.key(index, node, checks);
        let at = format!("{}/parameters", self.flat.pointers[index as usize]);
        match Parameters::compile(&node.parameters, &[], checks.scope) {
            Ok(parameters) => self.reads(index, true, &parameters, &at, checks),
            Err(problems) => {
                let problems = problems.iter();
                self.diagnostics
                    .extend(problems.map(|problem| expressions::diagnostic(problem, &at)));
            }
        }
    }

    fn parameters(
        &mut self,
        node: u32,
        written: &IndexMap<String, ParamValue>,
        metadata: &ActionMetadata,
        checks: Checks<'_>,
    ) -> Parameters {
        let definition = self.flat.nodes[node as usize];
        let at = format!("{}/parameters", self.flat.pointers[node as usize]);
        literals::check(
            written,
            metadata,
            &at,
            &mut self.schemas,
            &mut self.diagnostics,
        );
        let parameters = match Parameters::compile(written, &metadata.expressions, checks.scope) {
            Ok(parameters) => parameters,
            Err(problems) => {
                let problems = problems.iter();
                self.diagnostics
                    .extend(problems.map(|problem| expressions::diagnostic(problem, &at)));
                return Parameters::default();
            }
        };
        let item = definition.for_each.is_some() || definition.each_item;
        self.reads(node, item, &parameters, &at, checks);
        let place = Place::Parameter { node, item: true };
        for (path, program) in &parameters.deferred {
            let pointer = deferred_pointer(path);
            let found = Use { pointer, program };
            checks
                .reads
                .check(place, &found, &at, &mut self.diagnostics);
        }
        parameters
    }

    /// Checks what the parameters read that are computed before the action runs.
    fn reads(
        &mut self,
        node: u32,
        item: bool,
        parameters: &Parameters,
        at: &str,
        checks: Checks<'_>,
    ) {
        let place = Place::Parameter { node, item };
        for (name, program) in &parameters.resolved {
            program.each_use(&pointer_join("", name), &mut |found| {
                checks.reads.check(place, &found, at, &mut self.diagnostics);
            });
        }
    }

    fn gate(
        &mut self,
        node: u32,
        expression: Option<&BareExpression>,
        field: &str,
        checks: Checks<'_>,
    ) -> Option<Program> {
        let at = pointer_join(&self.flat.pointers[node as usize], field);
        let diagnostics = &mut self.diagnostics;
        expressions::bare(expression?, &at, Place::Gate(node), checks, diagnostics)
    }

    fn complete_when(&mut self, node: u32, checks: Checks<'_>) -> Option<Program> {
        let expression = self.flat.nodes[node as usize].complete_when.as_ref();
        let at = pointer_join(&self.flat.pointers[node as usize], "complete_when");
        let diagnostics = &mut self.diagnostics;
        let place = Place::Progress(node);
        expressions::bare(expression?, &at, place, checks, diagnostics)
    }

    fn key(
        &mut self,
        node: u32,
        definition: &NodeDefinition,
        checks: Checks<'_>,
    ) -> Option<ParamProgram> {
        let at = pointer_join(&self.flat.pointers[node as usize], "idempotency_key");
        let item = definition.for_each.is_some() || definition.each_item;
        let place = Place::Parameter { node, item };
        match ParamProgram::compile(definition.idempotency_key.as_ref()?, checks.scope) {
            Ok(program) => {
                program.each_use("", &mut |found| {
                    checks
                        .reads
                        .check(place, &found, &at, &mut self.diagnostics);
                });
                Some(program)
            }
            Err(problems) => {
                let problems = problems.iter();
                self.diagnostics
                    .extend(problems.map(|problem| expressions::diagnostic(problem, &at)));
                None
            }
        }
    }
}

fn text(text: &str) -> ParamValue {
    ParamValue::Literal(Value::String(text.to_owned()))
}

pub(crate) fn with_defaults(
    written: &IndexMap<String, ParamValue>,
    defaults: &Value,
) -> IndexMap<String, ParamValue> {
    let mut parameters = written.clone();
    for (name, value) in defaults.as_object().into_iter().flatten() {
        if !parameters.contains_key(name)
            && let Ok(value) = ParamValue::parse(value)
        {
            parameters.insert(name.clone(), value);
        }
    }
    parameters
}

/// How often an action is tried of itself: only where doing it again changes nothing, whoever the receiver
/// is. A receiver may take no notice of a key.
fn default_retry(metadata: &ActionMetadata, effect: EffectClass) -> Option<RetryPolicy> {
    let harmless = matches!(effect, EffectClass::Read | EffectClass::Idempotent);
    metadata.retry.clone().filter(|_| harmless)
}
