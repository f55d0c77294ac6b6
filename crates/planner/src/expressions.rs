//! What an expression may read at its place.

use std::collections::HashMap;

use nebula_action::{ActionKind, ControlKind};
use nebula_expression::{Purity, Root};
use nebula_parameter::{ExpressionProblem, Use, compile_expression};
use nebula_workflow::{BareExpression, Diagnostic, JoinRule};

use crate::{build::Checks, codes, flat::Flat, graph::Ancestry, loops::Loops};

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In `requires`: known before anything runs.
    Requires,
    /// In the key of the admission: decided before anything runs.
    AdmissionKey,
    /// In `when` or `for_each` of a node.
    Gate(u32),
    /// In `complete_when` of a node: `$json` is the progress of its list.
    Progress(u32),
    /// In a parameter of a node that has `$item` or not.
    Parameter { node: u32, item: bool },
    /// On a connection that leaves a node: it sees what that node gave.
    Condition(u32),
    /// In a parameter of what undoes a node: it sees what that node saw and gave.
    Compensation { node: u32, item: bool },
    /// The workflow's output: everything has settled.
    Output,
}

/// What the bodies that an expression stands in offer to it.
#[derive(Debug, Clone, Copy, Default)]
struct Inside {
    /// `$item` and `$index`.
    item: bool,
    /// `$loop`.
    round: bool,
}

/// What ends at the input `main` of a node.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MainInputs {
    /// Connections that close no loop.
    pub(crate) forward: usize,
    /// Tokens of a round on connections that close its loop.
    pub(crate) back: usize,
}

/// What the reads of expressions are checked against.
pub(crate) struct Reads<'a> {
    pub(crate) flat: &'a Flat<'a>,
    /// For each node: who does the work of its action.
    pub(crate) kinds: &'a [Option<ActionKind>],
    pub(crate) ancestry: &'a Ancestry,
    pub(crate) loops: &'a Loops,
    /// For each node: how many tokens reach it, in a loop per round.
    pub(crate) rates: &'a [u32],
    /// For each node: what ends at its input `main`.
    pub(crate) main_inputs: &'a [MainInputs],
    pub(crate) by_id: &'a HashMap<&'a str, u32>,
}

impl Place {
    /// Checks the roots that `found` reads; `at` is the pointer to which its own is relative.
    pub(crate) fn check(self, found: &Use<'_>, at: &str, diagnostics: &mut Vec<Diagnostic>) {
        self.check_inside(Inside::default(), found, at, diagnostics);
    }

    fn check_inside(
        self,
        inside: Inside,
        found: &Use<'_>,
        at: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let pointer = || format!("{at}{}", found.pointer);
        let report = found.program.report();
        if let Some(Err(error)) = found.program.constant() {
            let message = format!("this expression always fails: {}", error.message);
            let problem = Diagnostic::warning(codes::ALWAYS_FAILS, pointer(), message);
            diagnostics.push(match error.hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            });
        }
        for root in &report.roots {
            if let Some(reason) = self.forbids(*root, inside) {
                let message = format!("`${}` does not exist here: {reason}", root.name());
                diagnostics.push(Diagnostic::error(codes::ROOT_NOT_HERE, pointer(), message));
            }
        }
        let early = match self {
            Self::Requires => Some("capabilities are settled before anything runs"),
            Self::AdmissionKey => Some("admission is decided before anything runs"),
            _ => None,
        };
        // A key of every moment, or a capability of one, would be another each time it is asked for.
        let moving = match report.purity {
            Purity::Pure => None,
            Purity::Time => Some("the time"),
            Purity::Random => Some("`$random`"),
        };
        let nodes = (!report.nodes.is_empty()).then_some("`$nodes`");
        for (early, what) in early.iter().flat_map(|early| {
            let read = nodes.into_iter().chain(moving);
            read.map(move |what| (early, what))
        }) {
            let message = format!("{what} does not exist here: {early}");
            diagnostics.push(
                Diagnostic::error(codes::ROOT_NOT_HERE, pointer(), message)
                    .hint("only `$input` can be read"),
            );
        }
    }

    fn forbids(self, root: Root, inside: Inside) -> Option<&'static str> {
        let only_input = "capabilities are settled before anything runs; only `$input` can be read";
        match (self, root) {
            (_, Root::Loop) if inside.round => None,
            (Self::Requires | Self::AdmissionKey, Root::Input) => None,
            (Self::AdmissionKey, _) => {
                Some("admission is decided before anything runs; only `$input` can be read")
            }
            (_, Root::Loop) => Some("it is the round of a `flow.loop`, and belongs into its body"),
            (_, Root::Item | Root::Index) if inside.item => None,
            (Self::Requires, _) => Some(only_input),
            (
                Self::Parameter { item: true, .. } | Self::Compensation { item: true, .. },
                Root::Item | Root::Index,
            ) => None,
            (Self::Progress(_), Root::Item | Root::Index) => {
                Some("it is the element of one item; the item that ended last is `$json.last`")
            }
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
        place.check_inside(self.inside(place), found, at, diagnostics);
        let (reader, own) = match place {
            Place::Gate(node) | Place::Parameter { node, .. } | Place::Progress(node) => {
                (node, None)
            }
            Place::Condition(node) | Place::Compensation { node, .. } => (node, Some(node)),
            Place::Requires | Place::AdmissionKey | Place::Output => return,
        };
        let pointer = format!("{at}{}", found.pointer);
        for reference in &found.program.report().nodes {
            // The compiler has reported what does not exist.
            let read = self.by_id.get(reference.node.as_str()).copied();
            if let Some(read) = read.filter(|read| own != Some(*read)) {
                self.node(reader, read, reference.optional, &pointer, diagnostics);
            }
        }
        // What a handler's condition reads as `$json` is the failure.
        let handler = self.is(reader, ControlKind::Try) && found.pointer.starts_with("/catch/");
        let progress = matches!(place, Place::Progress(_));
        let input = own.is_none() && !handler && !progress;
        if input && found.program.report().roots.contains(&Root::Json) {
            self.json(reader, &pointer, diagnostics);
        }
    }

    fn is(&self, node: u32, kind: ControlKind) -> bool {
        self.kinds[node as usize] == Some(ActionKind::Control(kind))
    }

    /// What the bodies that a place stands in offer.
    fn inside(&self, place: Place) -> Inside {
        let (Place::Gate(node)
        | Place::Progress(node)
        | Place::Parameter { node, .. }
        | Place::Compensation { node, .. }
        | Place::Condition(node)) = place
        else {
            return Inside::default();
        };
        let is = |node: u32, kind| self.is(node, kind);
        let mut owners = self.flat.owners(node);
        Inside {
            item: self
                .flat
                .owners(node)
                .any(|owner| is(owner, ControlKind::ForEach)),
            // Its own conditions are asked before each round.
            round: is(node, ControlKind::Loop) || owners.any(|owner| is(owner, ControlKind::Loop)),
        }
    }

    /// The node of `reader`'s way out to the part of the plan in which `read` stands: itself, or one
    /// whose body it stands in; `None` if `read` stands in a body that `reader` does not.
    fn seen_from(&self, reader: u32, read: u32) -> Option<u32> {
        let there = self.flat.parts[read as usize];
        let mut way = std::iter::once(reader).chain(self.flat.owners(reader));
        way.find(|node| self.flat.parts[*node as usize] == there)
    }

    /// Reports a node that is read before it has certainly settled.
    fn node(
        &self,
        reader: u32,
        read: u32,
        optional: bool,
        pointer: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let name = &self.flat.nodes[read as usize].id;
        let reader_id = &self.flat.nodes[reader as usize].id;
        let Some(from) = self.seen_from(reader, read) else {
            let owner = self
                .flat
                .owner(read)
                .map(|owner| &self.flat.nodes[owner as usize].id);
            let owner = owner.map_or("another node", |owner| owner.as_str());
            let message =
                format!("node `{reader_id}` reads `{name}`, which stands in the body of `{owner}`");
            let hint = format!("only what the body gives leaves it: read `$nodes.{owner}.result`");
            diagnostics.push(Diagnostic::error(codes::NOT_UPSTREAM, pointer, message).hint(hint));
            return;
        };
        let (code, message, hint) = if from == read && reader != read {
            (
                codes::NOT_UPSTREAM,
                format!("node `{reader_id}` reads `{name}`, in whose body it stands"),
                "read what the body begins with: `$json`, `$item` or `$loop`".to_owned(),
            )
        } else if reader == read {
            (
                codes::NOT_UPSTREAM,
                format!("node `{name}` reads its own result, which does not exist yet"),
                "read it in a connection's condition, or in a node behind this one".to_owned(),
            )
        } else if self.is_of_the_round_before(from, read) {
            if optional {
                return;
            }
            (
                codes::NOT_CERTAIN,
                format!("node `{reader_id}` reads `{name}`, which comes after it in their loop"),
                format!(
                    "write `$nodes.{name}?.`: it is that of the round before, and none in the first"
                ),
            )
        } else if !self.ancestry.is_upstream(from, read) {
            (
                codes::NOT_UPSTREAM,
                format!("node `{reader_id}` reads `{name}`, which does not run before it"),
                format!("connect `{name}` to `{reader_id}`, directly or through other nodes"),
            )
        } else if !self.ancestry.is_certain(from, read) && !optional {
            (
                codes::NOT_CERTAIN,
                format!("node `{reader_id}` reads `{name}`, which may not have finished by then"),
                format!("write `$nodes.{name}?.`, and say what holds without it"),
            )
        } else {
            return;
        };
        diagnostics.push(Diagnostic::error(code, pointer, message).hint(hint));
    }

    /// Whether what `reader` sees of `read` is certainly of the round before: in each round of their
    /// loop, `read` begins after `reader` has ended.
    fn is_of_the_round_before(&self, reader: u32, read: u32) -> bool {
        let within = self.loops.of[reader as usize];
        within.is_some()
            && within == self.loops.of[read as usize]
            && self.rates[reader as usize] == 1
            && self.ancestry.is_certain(read, reader)
    }

    /// Reports `$json` where several values can arrive.
    pub(crate) fn json(&self, reader: u32, pointer: &str, diagnostics: &mut Vec<Diagnostic>) {
        let node = self.flat.nodes[reader as usize];
        let inputs = self.main_inputs[reader as usize];
        let MainInputs {
            forward: inputs,
            back,
        } = inputs;
        let together = match node.join {
            JoinRule::All => inputs,
            JoinRule::Count { count, .. } => inputs.min(count as usize),
            JoinRule::Any | JoinRule::Each => 1,
        }
        .max(back);
        if together > 1 {
            let message = format!(
                "`$json` is read in node `{}`, where {together} values can arrive",
                node.id
            );
            let hint = "read `$inputs.main`, a list, or `$nodes.<id>.result`; or write `join: any` if only one comes";
            diagnostics.push(Diagnostic::error(codes::SEVERAL_INPUTS, pointer, message).hint(hint));
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
    checks: Checks<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<nebula_expression::Program> {
    match compile_expression(&expression.source, expression.offset, "", checks.scope) {
        Ok(program) => {
            let found = Use {
                pointer: String::new(),
                program: &program,
            };
            checks.reads.check(place, &found, pointer, diagnostics);
            Some(program)
        }
        Err(problems) => {
            diagnostics.extend(problems.iter().map(|problem| diagnostic(problem, pointer)));
            None
        }
    }
}
