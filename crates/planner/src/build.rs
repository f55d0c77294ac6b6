//! From a definition to a plan.

use compact_str::CompactString;
use indexmap::IndexMap;
use nebula_action::{
    ActionMetadata, Catalog, CatalogMiss, PORT_ERROR, PORT_MAIN, Ports, VersionWanted,
};
use nebula_core::ParamValue;
use nebula_execution::{
    ExecutionPlan, PLAN_FORMAT, PlanConnection, PlanNode, PlanOutput, PlanParts,
};
use nebula_parameter::{CompileScope, ParamProgram, Parameters, Use};
use nebula_validator::Schema;
use nebula_workflow::{
    Connection, Diagnostic, NodeDefinition, OnError, RetryPolicy, WorkflowDefinition, nearest,
    pointer_join,
};
use serde_json::Value;

use crate::{
    PlanSettings, capabilities, codes,
    expressions::{self, Place, Reads},
    graph::Graph,
    literals, unsupported,
};

/// What became of planning.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The plan, if no problem is an error.
    pub plan: Option<ExecutionPlan>,
    /// Every problem, with its JSON pointer.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles version `version` of a definition into a plan, or reports every problem of it.
#[must_use]
pub fn plan(
    definition: &WorkflowDefinition,
    version: u32,
    catalog: &dyn Catalog,
    settings: &PlanSettings,
) -> Planned {
    let mut builder = Builder {
        definition,
        settings,
        diagnostics: Vec::new(),
    };
    let plan = builder.build(version, catalog);
    let mut diagnostics = builder.diagnostics;
    let failed = diagnostics.iter().any(Diagnostic::is_error);
    let plan = plan
        .filter(|_| !failed)
        .and_then(|parts| match ExecutionPlan::new(parts) {
            Ok(plan) => Some(plan),
            Err(error) => {
                diagnostics.push(Diagnostic::error(codes::SCHEMA, "", error.to_string()));
                None
            }
        });
    Planned { plan, diagnostics }
}

struct Builder<'a> {
    definition: &'a WorkflowDefinition,
    settings: &'a PlanSettings,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Builder<'a> {
    fn build(&mut self, version: u32, catalog: &'a dyn Catalog) -> Option<PlanParts> {
        let definition = self.definition;
        unsupported::check(definition, &mut self.diagnostics);
        for (schema, pointer) in [
            (&definition.input, "/input"),
            (&definition.output_schema, "/output_schema"),
        ] {
            if let Some(Err(error)) = schema.as_ref().map(Schema::compile) {
                self.diagnostics
                    .push(Diagnostic::error(codes::SCHEMA, pointer, error.to_string()));
            }
        }
        let actions: Vec<_> = (0..definition.nodes.len())
            .map(|node| self.action(node, catalog))
            .collect();
        let edges = self.edges(&actions);
        let pairs: Vec<_> = edges.iter().map(|(from, to, _)| (*from, *to)).collect();
        let graph = Graph::new(definition, &pairs, &mut self.diagnostics)?;
        let rates = graph.rates(definition, &mut self.diagnostics);
        let priorities = graph.priorities();
        let ancestry = graph.ancestry(definition);
        let mut main_inputs = vec![0; definition.nodes.len()];
        for (_, to, connection) in &edges {
            main_inputs[*to as usize] += usize::from(connection.input == PORT_MAIN);
        }
        let ids: Vec<&str> = definition
            .nodes
            .iter()
            .map(|node| node.id.as_str())
            .collect();
        let scope = CompileScope {
            nodes: Some(&ids),
            ..CompileScope::default()
        };
        let reads = Reads {
            definition,
            ancestry: &ancestry,
            main_inputs: &main_inputs,
        };
        let mut nodes = Vec::with_capacity(definition.nodes.len());
        for (index, metadata) in (0_u32..).zip(&actions) {
            let shape = (rates[index as usize], priorities[index as usize]);
            nodes.extend(
                metadata.and_then(|metadata| self.node(index, metadata, shape, (&scope, &reads))),
            );
        }
        let connections = self.connections(&edges, (&scope, &reads));
        let output = self.output(&graph, &scope);
        let limit = definition.limits.concurrency.unwrap_or(u32::MAX);
        let plan = PlanParts {
            format: PLAN_FORMAT,
            workflow: definition.id.clone(),
            name: definition
                .name
                .clone()
                .unwrap_or_else(|| definition.id.to_string()),
            version,
            definition: definition.digest(),
            timezone: definition.timezone.clone(),
            input_schema: definition.input.clone().unwrap_or_default(),
            output_schema: definition.output_schema.clone().unwrap_or_default(),
            nodes,
            connections,
            output: output?,
            concurrency: self.settings.concurrency.min(limit).max(1),
            timeout: definition.limits.timeout,
        };
        (plan.nodes.len() == definition.nodes.len()).then_some(plan)
    }

    /// The metadata of a node's action.
    fn action(&mut self, index: usize, catalog: &'a dyn Catalog) -> Option<&'a ActionMetadata> {
        let action = &self.definition.nodes[index].action;
        let wanted = VersionWanted {
            major: action.version.map(|version| version.major),
            minor: action.version.and_then(|version| version.minor),
        };
        let pointer = format!("/nodes/{index}/action");
        match catalog.find(&action.id, wanted) {
            Ok(metadata) => Some(metadata),
            Err(CatalogMiss::Id) => {
                let ids = catalog.ids();
                let near = nearest(action.id.as_str(), ids.iter().map(|id| id.as_str()));
                let mut diagnostic = Diagnostic::error(
                    codes::UNKNOWN_ACTION,
                    pointer,
                    format!("there is no action `{}`", action.id),
                );
                diagnostic = match near {
                    Some(_) => diagnostic.did_you_mean(near),
                    None => diagnostic.hint("`nebula actions list` lists all actions"),
                };
                self.diagnostics.push(diagnostic);
                None
            }
            Err(CatalogMiss::Version(there)) => {
                let there: Vec<_> = there.iter().map(|version| format!("@{version}")).collect();
                self.diagnostics.push(
                    Diagnostic::error(
                        codes::UNKNOWN_VERSION,
                        pointer,
                        format!(
                            "there is no version of `{}` that satisfies `{action}`",
                            action.id
                        ),
                    )
                    .hint(format!("there is {}", there.join(", "))),
                );
                None
            }
        }
    }

    /// The connections with dense indices, those with unknown ports or inputs reported.
    fn edges(&mut self, actions: &[Option<&ActionMetadata>]) -> Vec<(u32, u32, &'a Connection)> {
        let definition = self.definition;
        let by_id: std::collections::HashMap<_, _> = (0_u32..)
            .zip(&definition.nodes)
            .map(|(i, node)| (&node.id, i))
            .collect();
        let mut edges = Vec::with_capacity(definition.connections.len());
        for connection in &definition.connections {
            let (Some(from), Some(to)) = (by_id.get(&connection.from), by_id.get(&connection.to))
            else {
                // The definition's own reader reports connections to nodes that are not there.
                continue;
            };
            if let Some(metadata) = actions[*from as usize] {
                let ports = ports(metadata, &definition.nodes[*from as usize]);
                let known = ports.contains(&connection.port) || connection.port == PORT_ERROR;
                if !known {
                    let message = format!(
                        "node `{}` has no output port `{}`",
                        connection.from, connection.port
                    );
                    let hint = format!("it has {}", list(&ports));
                    self.at_connection(connection, codes::UNKNOWN_PORT, message, hint);
                }
            }
            if let Some(metadata) = actions[*to as usize]
                && !metadata.inputs.contains(&connection.input)
            {
                let message = format!(
                    "node `{}` has no input `{}`",
                    connection.to, connection.input
                );
                let hint = format!("it has {}", list(&metadata.inputs));
                self.at_connection(connection, codes::UNKNOWN_INPUT, message, hint);
            }
            edges.push((*from, *to, connection));
        }
        edges
    }

    fn at_connection(
        &mut self,
        connection: &Connection,
        code: &'static str,
        message: String,
        hint: String,
    ) {
        let mut diagnostic =
            Diagnostic::error(code, connection.origin.pointer(), message).hint(hint);
        if let Some(range) = connection.origin.range() {
            diagnostic = diagnostic.range(range);
        }
        self.diagnostics.push(diagnostic);
    }

    fn node(
        &mut self,
        index: u32,
        metadata: &ActionMetadata,
        (rate, priority): (u32, u32),
        (scope, reads): (&CompileScope<'_>, &Reads<'_>),
    ) -> Option<PlanNode> {
        let node = &self.definition.nodes[index as usize];
        let pointer = format!("/nodes/{index}");
        let at = pointer_join(&pointer, "parameters");
        let errors = self.diagnostics.len();
        let written = with_defaults(&node.parameters, &metadata.defaults);
        literals::check(&written, metadata, &at, &mut self.diagnostics);
        let parameters = match Parameters::compile(&written, &metadata.expressions, scope) {
            Ok(parameters) => parameters,
            Err(problems) => {
                self.diagnostics.extend(
                    problems
                        .iter()
                        .map(|problem| expressions::diagnostic(problem, &at)),
                );
                Parameters::default()
            }
        };
        let items = node.for_each.is_some() || node.each_item;
        for (name, program) in &parameters.resolved {
            program.each_use(&pointer_join("", name), &mut |found| {
                reads.check(
                    Place::Parameter {
                        node: index,
                        item: items,
                    },
                    &found,
                    &at,
                    &mut self.diagnostics,
                );
            });
        }
        for (path, program) in &parameters.deferred {
            let found = Use {
                pointer: format!("/{path}"),
                program,
            };
            reads.check(
                Place::Parameter {
                    node: index,
                    item: true,
                },
                &found,
                &at,
                &mut self.diagnostics,
            );
        }
        let mut gate = |expression: &Option<nebula_workflow::BareExpression>, field: &str| {
            let expression = expression.as_ref()?;
            let at = pointer_join(&pointer, field);
            expressions::bare(
                expression,
                &at,
                Place::Gate(index),
                (scope, reads),
                &mut self.diagnostics,
            )
        };
        let (when, for_each) = (gate(&node.when, "when"), gate(&node.for_each, "for_each"));
        let idempotency_key = self.key(node, index, (scope, reads));
        let wanted = capabilities::wanted(node, &pointer, metadata, scope, &mut self.diagnostics);
        if self.diagnostics[errors..].iter().any(Diagnostic::is_error) {
            return None;
        }
        let definition = self.definition;
        let routes = definition
            .connections
            .iter()
            .any(|c| c.from == node.id && c.port == PORT_ERROR);
        let limit = definition
            .limits
            .concurrency
            .unwrap_or(u32::MAX)
            .min(self.settings.concurrency);
        Some(PlanNode {
            id: node.id.clone(),
            action: metadata.id.clone(),
            version: metadata.version,
            kind: metadata.kind,
            effect: metadata
                .effect
                .class(|name| literals::known(&written, name)),
            reconciles: metadata.reconciles,
            parameters,
            when,
            for_each,
            each_item: node.each_item,
            concurrency: node.concurrency.unwrap_or(u32::MAX).min(limit).max(1),
            join: node.join,
            retry: node.retry.clone().unwrap_or(RetryPolicy {
                max_attempts: 1,
                ..RetryPolicy::default()
            }),
            timeout: node
                .timeout
                .or(metadata.timeout)
                .unwrap_or(self.settings.attempt_timeout),
            on_error: if routes {
                OnError::Route
            } else {
                node.on_error
            },
            on_indeterminate: node.on_indeterminate,
            idempotency_key,
            disabled: node.disabled,
            pin: node.pin.clone(),
            capabilities: wanted.literal,
            requires: wanted.dynamic,
            rate,
            priority,
        })
    }

    fn key(
        &mut self,
        node: &NodeDefinition,
        index: u32,
        (scope, reads): (&CompileScope<'_>, &Reads<'_>),
    ) -> Option<ParamProgram> {
        let at = format!("/nodes/{index}/idempotency_key");
        let item = node.for_each.is_some() || node.each_item;
        match ParamProgram::compile(node.idempotency_key.as_ref()?, scope) {
            Ok(program) => {
                program.each_use("", &mut |found| {
                    reads.check(
                        Place::Parameter { node: index, item },
                        &found,
                        &at,
                        &mut self.diagnostics,
                    );
                });
                Some(program)
            }
            Err(problems) => {
                self.diagnostics.extend(
                    problems
                        .iter()
                        .map(|problem| expressions::diagnostic(problem, &at)),
                );
                None
            }
        }
    }

    fn connections(
        &mut self,
        edges: &[(u32, u32, &Connection)],
        (scope, reads): (&CompileScope<'_>, &Reads<'_>),
    ) -> Vec<PlanConnection> {
        let mut connections = Vec::with_capacity(edges.len());
        for (from, to, connection) in edges {
            let condition = connection.condition.as_ref().and_then(|condition| {
                let at = pointer_join(connection.origin.pointer(), "condition");
                expressions::bare(
                    condition,
                    &at,
                    Place::Condition(*from),
                    (scope, reads),
                    &mut self.diagnostics,
                )
            });
            let name = if connection.input == PORT_MAIN {
                CompactString::from(connection.to.as_str())
            } else {
                CompactString::from(format!("{}:{}", connection.to, connection.input))
            };
            connections.push(PlanConnection {
                from: *from,
                port: connection.port.as_str().into(),
                to: *to,
                input: connection.input.as_str().into(),
                condition,
                name,
            });
        }
        connections
    }

    fn output(&mut self, graph: &Graph, scope: &CompileScope<'_>) -> Option<PlanOutput> {
        if let Some(output) = &self.definition.output {
            return match ParamProgram::compile(output, scope) {
                Ok(program) => {
                    program.each_use("", &mut |found| {
                        Place::Output.check(&found, "/output", &mut self.diagnostics);
                    });
                    Some(PlanOutput::Program(program))
                }
                Err(problems) => {
                    self.diagnostics.extend(
                        problems
                            .iter()
                            .map(|problem| expressions::diagnostic(problem, "/output")),
                    );
                    None
                }
            };
        }
        let ends: Vec<_> = (0_u32..)
            .zip(&graph.outgoing)
            .filter(|(_, out)| out.is_empty())
            .map(|(node, _)| node)
            .collect();
        Some(match ends.as_slice() {
            [node] => PlanOutput::Node(*node),
            _ => PlanOutput::Nodes(ends),
        })
    }
}

/// The output ports of a node, beside `error`.
fn ports(metadata: &ActionMetadata, node: &NodeDefinition) -> Vec<String> {
    match &metadata.ports {
        Ports::Fixed(ports) => ports.clone(),
        Ports::KeysOf {
            parameter,
            otherwise,
        } => {
            let mut ports: Vec<String> = match node.parameters.get(parameter) {
                Some(ParamValue::Object(entries)) => entries.keys().cloned().collect(),
                Some(ParamValue::Literal(Value::Object(entries))) => {
                    entries.keys().cloned().collect()
                }
                _ => Vec::new(),
            };
            ports.push(otherwise.clone());
            ports
        }
    }
}

fn with_defaults(
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

fn list(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
