//! From a definition to a plan.

use std::collections::HashMap;

use compact_str::CompactString;
use nebula_action::{Catalog, PORT_MAIN};
use nebula_execution::{
    ExecutionPlan, PLAN_FORMAT, PlanAdmission, PlanCall, PlanConnection, PlanOutput, PlanParts,
    PlanRateLimit,
};
use nebula_parameter::{CompileScope, ParamProgram};
use nebula_validator::Schema;
use nebula_workflow::{
    Admission, BareExpression, Connection, Diagnostic, NodeDefinition, RateFull, WhenFull,
    WorkflowDefinition, pointer_join,
};

use crate::{
    Callees, PlanSettings, cancels, codes,
    expressions::{self, MainInputs, Place, Reads},
    flat::Flat,
    graph::{Graph, Tokens},
    literals::Schemas,
    milestones::Order,
    nodes::Shape,
    triggers, unsupported,
};

/// What became of planning.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The plan, if no problem is an error.
    pub plan: Option<ExecutionPlan>,
    /// Every problem, with its JSON pointer: errors, and what is worth knowing beside a plan.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles version `version` of a definition into a plan, or reports every problem of it.
///
/// The definition is one that its reader took: ids are unique, connections lead to nodes. There is a
/// plan exactly if no diagnostic is an error.
#[must_use]
pub fn plan(
    definition: &WorkflowDefinition,
    version: u32,
    catalog: &dyn Catalog,
    settings: &PlanSettings,
) -> Planned {
    plan_calling(
        definition,
        version,
        (catalog, &Callees::default()),
        settings,
    )
}

/// The same for a definition that calls workflows, of which `callees` knows.
#[must_use]
pub fn plan_calling(
    definition: &WorkflowDefinition,
    version: u32,
    (catalog, callees): (&dyn Catalog, &Callees),
    settings: &PlanSettings,
) -> Planned {
    let flat = Flat::new(definition);
    let mut builder = Builder {
        definition,
        settings,
        callees,
        calls: Vec::new(),
        by_id: (0_u32..)
            .zip(&flat.nodes)
            .map(|(index, node)| (node.id.as_str(), index))
            .collect(),
        flat,
        schemas: Schemas::default(),
        diagnostics: Vec::new(),
    };
    let plan = builder.build(version, catalog);
    let mut diagnostics: Vec<Diagnostic> = Vec::with_capacity(builder.diagnostics.len());
    for diagnostic in builder.diagnostics {
        // Two expressions of one text may make the same mistake.
        if diagnostics.last() != Some(&diagnostic) {
            diagnostics.push(diagnostic);
        }
    }
    let failed = diagnostics.iter().any(Diagnostic::is_error);
    let plan = plan
        .filter(|_| !failed)
        .and_then(|parts| match ExecutionPlan::new(parts) {
            Ok(plan) => {
                cancels::idle(&Flat::new(definition), &plan, &mut diagnostics);
                Some(plan)
            }
            Err(error) => {
                let hint = "read the definition with its own reader, which says where";
                let problem = Diagnostic::error(codes::CONTRADICTION, "", error.to_string());
                diagnostics.push(problem.hint(hint));
                None
            }
        });
    Planned { plan, diagnostics }
}

/// Takes every connection between the nodes of bodies away.
fn disconnect(nodes: &mut [NodeDefinition]) {
    for body in nodes.iter_mut().filter_map(|node| node.body.as_mut()) {
        body.connections.clear();
        disconnect(&mut body.nodes);
    }
}

/// A plan on its way, and the problems found so far.
pub(crate) struct Builder<'a> {
    pub(crate) definition: &'a WorkflowDefinition,
    pub(crate) flat: Flat<'a>,
    pub(crate) settings: &'a PlanSettings,
    /// What is known of the workflows that nodes call.
    pub(crate) callees: &'a Callees,
    /// What nodes call, as far as they are compiled.
    pub(crate) calls: Vec<PlanCall>,
    /// Only asked, never walked: its order reaches nothing.
    pub(crate) by_id: HashMap<&'a str, u32>,
    pub(crate) schemas: Schemas,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// What expressions are compiled and checked against.
#[derive(Clone, Copy)]
pub(crate) struct Checks<'c> {
    pub(crate) scope: &'c CompileScope<'c>,
    pub(crate) reads: &'c Reads<'c>,
}

impl<'a> Builder<'a> {
    /// What is wrong beside a cycle: the problems of the same nodes without any connection, but
    /// for those that are about connections.
    fn beside_the_cycle(&mut self, catalog: &dyn Catalog) {
        let mut definition = self.definition.clone();
        definition.connections.clear();
        disconnect(&mut definition.nodes);
        let rest = crate::more_problems(
            &definition,
            (catalog, self.callees),
            self.settings,
            &self.diagnostics,
        );
        self.diagnostics.extend(rest);
    }

    fn build(&mut self, version: u32, catalog: &'a dyn Catalog) -> Option<PlanParts> {
        let definition = self.definition;
        unsupported::check(&self.flat, &mut self.diagnostics);
        let known = (catalog, self.settings);
        triggers::check(definition, known, &mut self.diagnostics);
        self.schemas_of_workflow();
        let count = self.flat.nodes.len();
        let actions: Vec<_> = (0..count).map(|node| self.action(node, catalog)).collect();
        self.bodies(&actions);
        self.locks(&actions);
        let held = self.held(&actions);
        let apart: Vec<_> = held.iter().flatten().map(|held| held.node).collect();
        self.flat.connections = self.flat.connections_beside(&apart);
        let edges = self.edges(&actions);
        let tokens = self.tokens(&actions);
        let Some(graph) = Graph::new(&self.flat, &edges, tokens, &mut self.diagnostics) else {
            self.beside_the_cycle(catalog);
            return None;
        };
        self.cancels(&actions, &held);
        self.lists(&actions, &graph.loops);
        let bodies = self.plan_bodies(&graph, &held);
        let rates = graph.rates(&self.flat, &mut self.diagnostics);
        self.rests(&rates);
        self.distributions(&actions, (&graph.loops.of, &rates));
        let priorities = graph.priorities(&self.flat);
        let ancestry = graph.ancestry(&self.flat, &held, &rates);
        let milestones = self.milestones(
            &actions,
            Order {
                graph: &graph,
                rates: &rates,
                ancestry: &ancestry,
                held: &held,
            },
        );
        let mut main_inputs = vec![MainInputs::default(); count];
        for (from, to, connection) in &edges {
            let inputs = &mut main_inputs[*to as usize];
            match (connection.input == PORT_MAIN, connection.closes_loop) {
                (false, _) => {}
                (true, false) => inputs.forward += 1,
                (true, true) => {
                    inputs.back += (rates[*from as usize] * graph.split(*from)) as usize;
                }
            }
        }
        for (inputs, tokens) in main_inputs.iter_mut().zip(&graph.tokens) {
            if let Tokens::Merge(many) = tokens {
                inputs.forward = *many as usize;
            }
        }
        let all = self.flat.nodes.clone();
        let ids: Vec<&str> = all.iter().map(|node| node.id.as_str()).collect();
        let scope = CompileScope {
            nodes: Some(&ids),
            ..CompileScope::default()
        };
        let by_id = self.by_id.clone();
        let flat = Flat::new(definition);
        let kinds: Vec<_> = actions
            .iter()
            .map(|metadata| metadata.map(|it| it.kind))
            .collect();
        let reads = Reads {
            flat: &flat,
            kinds: &kinds,
            ancestry: &ancestry,
            loops: &graph.loops,
            rates: &rates,
            main_inputs: &main_inputs,
            by_id: &by_id,
        };
        let checks = Checks {
            scope: &scope,
            reads: &reads,
        };
        let mut nodes = Vec::with_capacity(count);
        for (index, metadata) in (0_u32..).zip(&actions) {
            let shape = Shape {
                index,
                rate: rates[index as usize],
                priority: priorities[index as usize],
                routes: graph.routes[index as usize],
                tokens: graph.tokens[index as usize].number(),
                milestone: milestones[index as usize],
            };
            let compensation = self.compensation(index, *metadata, catalog, checks);
            match metadata {
                Some(metadata) => nodes.extend(self.node(shape, metadata, compensation, checks)),
                None => self.node_of_no_action(index, checks),
            }
        }
        self.settle_calls_of_itself(&mut nodes);
        let connections = self.connections(&edges, checks);
        let top = CompileScope {
            nodes: Some(&ids[..definition.nodes.len()]),
            ..CompileScope::default()
        };
        let output = self.output(&graph, &top)?;
        let (admission, rate_limit) = (self.admission(checks), self.rate_limit(checks));
        let runs_on = self.runs_on();
        (nodes.len() == count).then(|| PlanParts {
            format: PLAN_FORMAT,
            workflow: definition.id.clone(),
            name: definition
                .name
                .clone()
                .unwrap_or_else(|| definition.id.to_string()),
            version,
            definition: definition.digest(),
            timezone: definition.timezone.as_str().into(),
            input_schema: definition.input.clone().unwrap_or_default(),
            output_schema: definition.output_schema.clone().unwrap_or_default(),
            nodes,
            connections,
            bodies,
            loops: graph.loops.parts.clone(),
            calls: std::mem::take(&mut self.calls),
            output,
            concurrency: self.concurrency(),
            timeout: definition.limits.timeout,
            admission,
            rate_limit,
            priority: definition.priority,
            runs_on,
        })
    }

    /// The most attempts at the same time: the lesser of what preset and workflow say.
    pub(crate) fn concurrency(&self) -> u32 {
        let limit = self.definition.limits.concurrency.unwrap_or(u32::MAX);
        self.settings.concurrency.min(limit).max(1)
    }

    fn admission(&mut self, checks: Checks<'_>) -> Option<PlanAdmission> {
        let admission = self.definition.admission.as_ref()?;
        let key = self.key_of_start(admission.key.as_ref(), "/admission/key", checks);
        let queue = match admission.when_full {
            WhenFull::Refuse => 0,
            WhenFull::Queue | WhenFull::CancelOldest => {
                admission.queue.unwrap_or(Admission::DEFAULT_QUEUE)
            }
        };
        Some(PlanAdmission {
            concurrency: admission.concurrency,
            key,
            queue,
            cancels_oldest: admission.when_full == WhenFull::CancelOldest,
        })
    }

    fn rate_limit(&mut self, checks: Checks<'_>) -> Option<PlanRateLimit> {
        let rate = self.definition.rate_limit.as_ref()?;
        let key = self.key_of_start(rate.key.as_ref(), "/rate_limit/key", checks);
        Some(PlanRateLimit {
            limit: rate.limit,
            per: rate.per,
            burst: rate.burst.unwrap_or(rate.limit),
            key,
            queue: match rate.when_full {
                RateFull::Refuse => 0,
                RateFull::Queue => rate.queue.unwrap_or(Admission::DEFAULT_QUEUE),
            },
        })
    }

    /// What tells starts apart that count together from the others.
    fn key_of_start(
        &mut self,
        key: Option<&BareExpression>,
        at: &str,
        checks: Checks<'_>,
    ) -> Option<ParamProgram> {
        let place = Place::AdmissionKey;
        let key = expressions::bare(key?, at, place, checks, &mut self.diagnostics);
        key.map(ParamProgram::Expression)
    }

    fn schemas_of_workflow(&mut self) {
        for (schema, pointer) in [
            (&self.definition.input, "/input"),
            (&self.definition.output_schema, "/output_schema"),
        ] {
            if let Some(Err(error)) = schema.as_ref().map(Schema::compile) {
                let at = format!("{pointer}{}", error.pointer);
                self.diagnostics
                    .push(Diagnostic::error(codes::SCHEMA, at, error.message));
            }
        }
    }

    fn connections(
        &mut self,
        edges: &[(u32, u32, &Connection)],
        checks: Checks<'_>,
    ) -> Vec<PlanConnection> {
        let mut connections = Vec::with_capacity(edges.len());
        for (from, to, connection) in edges {
            let condition = connection.condition.as_ref().and_then(|condition| {
                let at = pointer_join(connection.origin.pointer(), "condition");
                expressions::bare(
                    condition,
                    &at,
                    Place::Condition(*from),
                    checks,
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
                closes_loop: connection.closes_loop,
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
            .take(self.definition.nodes.len())
            .filter(|node| graph.is_end(*node))
            .collect();
        Some(match ends.as_slice() {
            [node] => PlanOutput::Node(*node),
            _ => PlanOutput::Nodes(ends),
        })
    }
}
