//! Loops: connections that go back, and the nodes that they repeat.

use std::collections::BTreeMap;

use nebula_execution::PlanLoop;
use nebula_workflow::{Connection, Diagnostic, pointer_join};

use crate::{codes, flat::Flat, graph::MAX_RATE};

/// How many rounds a loop may have that does not say it.
const DEFAULT_ROUNDS: u32 = 1_000;

/// An edge as dense indices.
type Edge<'a> = (u32, u32, &'a Connection);

/// The loops of a workflow.
#[derive(Debug, Default)]
pub(crate) struct Loops {
    /// For each node: the loop that it is in.
    pub(crate) of: Vec<Option<u32>>,
    pub(crate) parts: Vec<PlanLoop>,
}

impl Loops {
    /// Finds the loops of edges that have no cycle but through those that close a loop; reports what
    /// closes none, and what does not begin at one node.
    pub(crate) fn new(
        flat: &Flat<'_>,
        edges: &[Edge<'_>],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut loops = Self {
            of: vec![None; flat.nodes.len()],
            parts: Vec::new(),
        };
        if edges
            .iter()
            .all(|(_, _, connection)| !connection.closes_loop)
        {
            return loops;
        }
        let components = components(flat.nodes.len(), edges);
        let mut component_of = vec![0; flat.nodes.len()];
        for (number, nodes) in components.iter().enumerate() {
            for node in nodes {
                component_of[*node as usize] = number;
            }
        }
        let mut back: BTreeMap<usize, Vec<&Edge<'_>>> = BTreeMap::new();
        for edge in edges.iter().filter(|(_, _, it)| it.closes_loop) {
            let (from, to) = (component_of[edge.0 as usize], component_of[edge.1 as usize]);
            if from == to {
                back.entry(from).or_default().push(edge);
            }
        }
        for (number, (component, back)) in (0_u32..).zip(back) {
            let nodes = components[component].clone();
            for node in &nodes {
                loops.of[*node as usize] = Some(number);
            }
            // One round per part, and one to say that there is none: what the list has is known later.
            let batches = is_batches(flat, back[0].1);
            let rounds = if batches { MAX_RATE } else { DEFAULT_ROUNDS };
            let wanted = back.iter().filter_map(|(_, _, it)| it.max_rounds);
            loops.parts.push(PlanLoop {
                entry: back[0].1,
                nodes,
                max_rounds: wanted.min().unwrap_or(rounds),
            });
        }
        for edge in edges {
            diagnostics.extend(loops.problem(flat, edge));
        }
        loops
    }

    /// Whether a loop begins with this node.
    pub(crate) fn is_entry(&self, node: u32) -> bool {
        let within = self.of[node as usize];
        within.is_some_and(|within| self.parts[within as usize].entry == node)
    }

    /// The nodes of the loop that a node is in; the node alone if it is in none.
    pub(crate) fn nodes_with(&self, node: u32) -> Vec<u32> {
        match self.of[node as usize] {
            Some(within) => self.parts[within as usize].nodes.clone(),
            None => vec![node],
        }
    }

    fn problem(&self, flat: &Flat<'_>, (from, to, connection): &Edge<'_>) -> Option<Diagnostic> {
        let (left, entered) = (self.of[*from as usize], self.of[*to as usize]);
        let at = connection.origin.pointer();
        let id = |node: u32| &flat.nodes[node as usize].id;
        let (source, target) = (id(*from), id(*to));
        let problem = |message: String, hint: String| {
            let problem = Diagnostic::error(codes::LOOP, at, message).hint(hint);
            Some(match connection.origin.range() {
                Some(range) => problem.range(range),
                None => problem,
            })
        };
        if connection.closes_loop && (left.is_none() || left != entered) {
            let message = format!(
                "the connection from `{source}` to `{target}` closes no loop: `{target}` does not lead to `{source}`"
            );
            let hint = format!("take `loop` away, or connect `{target}` to `{source}`");
            return problem(message, hint);
        }
        let part = &self.parts[entered? as usize];
        let (entry, outside) = (id(part.entry), left != entered);
        if *to != part.entry && (connection.closes_loop || outside) {
            let names = part.nodes.iter().map(|node| format!("`{}`", id(*node)));
            let names: Vec<_> = names.collect();
            let what = if outside {
                "is reached from outside"
            } else {
                "begins a round"
            };
            let message = format!(
                "the loop of {} begins at `{entry}`, and `{target}` {what}",
                names.join(", ")
            );
            let hint = if outside {
                format!("connect `{source}` to `{entry}`")
            } else {
                format!("go back to `{entry}`; a loop in a loop is a `flow.loop`")
            };
            return problem(message, hint);
        }
        let rounds = connection.max_rounds?;
        if (1..=MAX_RATE).contains(&rounds) {
            return None;
        }
        let at = pointer_join(at, "max_rounds");
        let message = format!("a loop cannot have {rounds} rounds");
        let hint = format!("write a number from 1 to {MAX_RATE}");
        Some(Diagnostic::error(codes::LOOP, at, message).hint(hint))
    }
}

fn is_batches(flat: &Flat<'_>, node: u32) -> bool {
    flat.nodes[node as usize].action.id.as_str() == "flow.batches"
}

/// A loop whose entry gets more than one token.
pub(crate) fn begins_often(flat: &Flat<'_>, entry: usize, rate: u32) -> Diagnostic {
    let id = &flat.nodes[entry].id;
    let message = format!("the loop at `{id}` would begin {rate} times");
    let hint = format!("join before it with `join: any` or `all`, or run `{id}` in a `flow.loop`");
    Diagnostic::error(codes::LOOP, flat.pointers[entry].as_str(), message).hint(hint)
}

/// The sets of nodes that lead to each other, each rising, in the order of their first nodes.
///
/// Kosaraju's algorithm: what is left first on the way out is reached first on the way back.
fn components(count: usize, edges: &[Edge<'_>]) -> Vec<Vec<u32>> {
    let (mut forward, mut back) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for (from, to, _) in edges {
        forward[*from as usize].push(*to);
        back[*to as usize].push(*from);
    }
    let mut seen = vec![false; count];
    let mut left = Vec::with_capacity(count);
    for node in 0..count as u32 {
        visit(node, &forward, &mut seen, &mut left);
    }
    seen.fill(false);
    let mut found = Vec::new();
    for node in left.into_iter().rev() {
        let mut nodes = Vec::new();
        visit(node, &back, &mut seen, &mut nodes);
        nodes.sort_unstable();
        found.push(nodes);
    }
    found.retain(|nodes| !nodes.is_empty());
    found.sort_unstable();
    found
}

/// Appends every node that is reached from `start` and was not seen, each after all behind it.
fn visit(start: u32, edges: &[Vec<u32>], seen: &mut [bool], left: &mut Vec<u32>) {
    if std::mem::replace(&mut seen[start as usize], true) {
        return;
    }
    // A stack rather than recursion: a path may be as long as the workflow.
    let mut path = vec![(start, 0)];
    while let Some((node, next)) = path.last_mut() {
        let Some(to) = edges[*node as usize].get(*next) else {
            left.push(*node);
            path.pop();
            continue;
        };
        *next += 1;
        if !std::mem::replace(&mut seen[*to as usize], true) {
            path.push((*to, 0));
        }
    }
}
