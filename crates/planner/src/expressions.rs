//! What an expression may read at its place.

use nebula_expression::Root;
use nebula_parameter::{CompileScope, ExpressionProblem, Use, compile_expression};
use nebula_workflow::{BareExpression, Diagnostic, JoinRule, WorkflowDefinition};

use crate::{codes, graph::Ancestry};

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In `requires`: known before anything runs.
    Requires,
    /// In `when` or `for_each` of a node.
    Gate(u32),
    /// In a parameter of a node that has `$item` or not.
    Parameter { node: u32, item: bool },
    /// On a connection that leaves a node: it sees what that node gave.
    Condition(u32),
    /// The workflow's output: everything has settled.
    Output,
}

/// What the reads of expressions are checked against.
pub(crate) struct Reads<'a> {
    pub(crate) definition: &'a WorkflowDefinition,
    pub(crate) ancestry: &'a Ancestry,
    /// For each node: how many connections end at its input `main`.
    pub(crate) main_inputs: &'a [usize],
}

impl Place {
    /// Checks the roots that `found` reads; `at` is the pointer to which its own is relative.
    pub(crate) fn check(self, found: &Use<'_>, at: &str, diagnostics: &mut Vec<Diagnostic>) {
        let pointer = || format!("{at}{}", found.pointer);
        let report = found.program.report();
        for root in &report.roots {
            if let Some(reason) = self.forbids(*root) {
                let message = format!("`${}` does not exist here: {reason}", root.name());
                diagnostics.push(Diagnostic::error(codes::ROOT_NOT_HERE, pointer(), message));
            }
        }
        if self == Self::Requires && !report.nodes.is_empty() {
            let message =
                "`$nodes` does not exist here: capabilities are settled before anything runs";
            diagnostics.push(
                Diagnostic::error(codes::ROOT_NOT_HERE, pointer(), message)
                    .hint("only `$input` can be read"),
            );
        }
    }

    fn forbids(self, root: Root) -> Option<&'static str> {
        let only_input = "capabilities are settled before anything runs; only `$input` can be read";
        match (self, root) {
            (_, Root::Loop) => Some("there are no loops in this version"),
            (Self::Requires, Root::Input) => None,
            (Self::Requires, _) => Some(only_input),
            (Self::Parameter { item: true, .. }, Root::Item | Root::Index) => None,
            (_, Root::Item | Root::Index) => Some(
                "it is the element of a `for_each` or of a list action, and belongs into its parameters",
            ),
            (Self::Output, Root::Json | Root::Inputs) => {
                Some("the output belongs to no node; read `$nodes.<id>.result`")
            }
            _ => None,
        }
    }
}

impl Reads<'_> {
    /// Checks everything that `found` reads: roots, nodes, `$json`.
    pub(crate) fn check(
        &self,
        place: Place,
        found: &Use<'_>,
        at: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        place.check(found, at, diagnostics);
        let pointer = format!("{at}{}", found.pointer);
        let (reader, own) = match place {
            Place::Gate(node) | Place::Parameter { node, .. } => (node, None),
            Place::Condition(node) => (node, Some(node)),
            Place::Requires | Place::Output => return,
        };
        let nodes = &self.definition.nodes;
        let report = found.program.report();
        for reference in &report.nodes {
            // The compiler has reported what does not exist.
            let Some(read) = nodes
                .iter()
                .position(|node| node.id.as_str() == reference.node)
            else {
                continue;
            };
            let read = read as u32;
            if own == Some(read) {
                continue;
            }
            let (name, reader_id) = (&reference.node, &nodes[reader as usize].id);
            if !self.ancestry.is_upstream(reader, read) {
                let message =
                    format!("node `{reader_id}` reads `{name}`, which does not run before it");
                diagnostics.push(
                    Diagnostic::error(codes::NOT_UPSTREAM, pointer.clone(), message).hint(format!(
                        "connect `{name}` to `{reader_id}`, directly or through other nodes"
                    )),
                );
            } else if !self.ancestry.is_certain(reader, read) && !reference.optional {
                let message = format!(
                    "node `{reader_id}` reads `{name}`, which may not have finished by then"
                );
                diagnostics.push(
                    Diagnostic::error(codes::NOT_CERTAIN, pointer.clone(), message).hint(format!(
                        "write `$nodes.{name}?.`, and say what holds without it"
                    )),
                );
            }
        }
        let joins =
            nodes[reader as usize].join == JoinRule::All && self.main_inputs[reader as usize] > 1;
        if joins && own.is_none() && report.roots.contains(&Root::Json) {
            let message = format!(
                "`$json` is read in node `{}`, where {} values can arrive",
                nodes[reader as usize].id, self.main_inputs[reader as usize]
            );
            diagnostics.push(
                Diagnostic::error(codes::SEVERAL_INPUTS, pointer, message)
                    .hint("read `$inputs.main`, a list, or `$nodes.<id>.result`; or write `join: any` if only one comes"),
            );
        }
    }
}

/// A problem of an expression in the parameters at `at`, as a diagnostic.
pub(crate) fn diagnostic(problem: &ExpressionProblem, at: &str) -> Diagnostic {
    let pointer = format!("{at}{}", problem.pointer);
    let diagnostic = Diagnostic::error(problem.error.code, pointer, problem.error.message.clone())
        .range(problem.range.clone());
    match &problem.error.hint {
        Some(hint) => diagnostic.hint(hint.clone()),
        None => diagnostic,
    }
}

/// Compiles an expression that stands alone in its field, and checks what it reads.
pub(crate) fn bare(
    expression: &BareExpression,
    pointer: &str,
    place: Place,
    (scope, reads): (&CompileScope<'_>, &Reads<'_>),
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<nebula_expression::Program> {
    match compile_expression(&expression.source, expression.offset, "", scope) {
        Ok(program) => {
            let found = Use {
                pointer: String::new(),
                program: &program,
            };
            reads.check(place, &found, pointer, diagnostics);
            Some(program)
        }
        Err(problems) => {
            diagnostics.extend(problems.iter().map(|problem| diagnostic(problem, pointer)));
            None
        }
    }
}
