//! The shape of a workflow: order, rates, ancestors, priorities.

use nebula_action::PORT_ERROR;
use nebula_workflow::{Connection, Diagnostic, JoinRule, pointer_join};

use crate::{bodies::Held, codes, flat::Flat, loops::Loops};

/// How often a node may be activated in one execution.
pub(crate) const MAX_RATE: u32 = 10_000;

/// How often all nodes together may be activated in one execution.
const MAX_ACTIVATIONS: u64 = 1_000_000;

/// What becomes of the tokens of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tokens {
    /// Its join decides; each activation sends one.
    #[default]
    One,
    /// Each activation sends so many.
    Split(u32),
    /// Each activation takes so many.
    Merge(u32),
}

impl Tokens {
    /// As a plan has it.
    pub(crate) fn number(self) -> Option<u32> {
        match self {
            Self::One => None,
            Self::Split(number) | Self::Merge(number) => Some(number),
        }
    }
}

/// Edges as dense indices, in the order of the definition, without those that close a loop.
pub(crate) struct Graph {
    pub(crate) incoming: Vec<Vec<u32>>,
    pub(crate) outgoing: Vec<Vec<u32>>,
    /// Whether a connection leaves the node by its port `error`.
    pub(crate) routes: Vec<bool>,
    /// For each node: what becomes of its tokens.
    pub(crate) tokens: Vec<Tokens>,
    /// Every node after all that lead to it.
    order: Vec<u32>,
    pub(crate) loops: Loops,
}

impl Graph {
    /// Builds the graph; a cycle is reported and gives none.
    pub(crate) fn new(
        flat: &Flat<'_>,
        edges: &[(u32, u32, &Connection)],
        tokens: Vec<Tokens>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let count = flat.nodes.len();
        let mut graph = Self {
            incoming: vec![Vec::new(); count],
            outgoing: vec![Vec::new(); count],
            routes: vec![false; count],
            tokens,
            order: Vec::new(),
            loops: Loops::default(),
        };
        for (from, to, connection) in edges {
            graph.routes[*from as usize] |= connection.port == PORT_ERROR;
            if connection.closes_loop {
                continue;
            }
            graph.outgoing[*from as usize].push(*to);
            graph.incoming[*to as usize].push(*from);
        }
        // Kahn's algorithm; the lowest index first, so that the order is the definition's where it can be.
        let mut waits: Vec<usize> = graph.incoming.iter().map(Vec::len).collect();
        let mut ready: std::collections::BTreeSet<u32> = (0_u32..)
            .zip(&waits)
            .filter(|(_, waits)| **waits == 0)
            .map(|(node, _)| node)
            .collect();
        while let Some(node) = ready.pop_first() {
            graph.order.push(node);
            for to in &graph.outgoing[node as usize] {
                waits[*to as usize] -= 1;
                if waits[*to as usize] == 0 {
                    ready.insert(*to);
                }
            }
        }
        if graph.order.len() == count {
            graph.loops = Loops::new(flat, edges, diagnostics);
            return Some(graph);
        }
        diagnostics.push(cycle(flat, &graph, &waits));
        None
    }

    /// Whether nothing follows a node: no connection leaves it or its loop.
    pub(crate) fn is_end(&self, node: u32) -> bool {
        let leaves = |node: &u32| {
            let mut leading = self.outgoing[*node as usize].iter();
            leading.any(|to| self.loops.of[*to as usize] != self.loops.of[*node as usize])
        };
        self.outgoing[node as usize].is_empty()
            && self.loops.nodes_with(node).iter().all(|node| !leaves(node))
    }

    /// How many tokens reach each node in an execution, in a loop per round. Sources have rate 1; `all` and counting joins
    /// need inputs of equal rate; `each` adds its inputs up; splits multiply and merges divide. Unequal rates are reported where they
    /// first meet; what follows from them is not.
    pub(crate) fn rates(&self, flat: &Flat<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<u32> {
        let mut rates: Vec<Option<u32>> = vec![Some(1); self.incoming.len()];
        for node in &self.order {
            let index = *node as usize;
            self.join_count(flat, index, diagnostics);
            rates[index] = if let Tokens::Merge(many) = self.tokens[index] {
                self.merged_rate(flat, (index, many), &rates, diagnostics)
            } else if self.incoming[index].is_empty() {
                Some(1)
            } else if flat.nodes[index].join == JoinRule::Each {
                self.summed_rate(flat, index, &rates, diagnostics)
            } else {
                self.equal_rate(flat, index, &rates, diagnostics)
            };
            if let Some(rate) = rates[index].filter(|rate| *rate != 1)
                && self.loops.is_entry(*node)
            {
                diagnostics.push(crate::loops::begins_often(flat, index, rate));
                rates[index] = None;
            }
            if let (Tokens::Split(many), Some(rate)) = (self.tokens[index], rates[index])
                && u64::from(rate) * u64::from(many) > MAX_RATE.into()
            {
                diagnostics.push(too_many(flat, index, (rate, many)));
                rates[index] = None;
            }
        }
        let rates: Vec<u32> = rates.into_iter().map(|rate| rate.unwrap_or(1)).collect();
        let all: u64 = rates.iter().map(|rate| u64::from(*rate)).sum();
        if all > MAX_ACTIVATIONS {
            let message = format!(
                "the nodes would be activated {all} times together; the limit is {MAX_ACTIVATIONS}"
            );
            diagnostics.push(
                Diagnostic::error(codes::RATE_LIMIT, "/nodes", message).hint(
                    "join before a long path with `join: all` or `any`, or run it with `for_each`",
                ),
            );
        }
        rates
    }

    fn join_count(&self, flat: &Flat<'_>, index: usize, diagnostics: &mut Vec<Diagnostic>) {
        let inputs = self.incoming[index].len();
        if let JoinRule::Count { count, .. } = flat.nodes[index].join
            && count as usize > inputs
        {
            let message = format!(
                "node `{}` waits for {count} live tokens, and has {inputs} connections",
                flat.nodes[index].id
            );
            let pointer = pointer_join(&flat.pointers[index], "join");
            diagnostics.push(Diagnostic::error(codes::JOIN_COUNT, pointer, message));
        }
    }

    fn summed_rate(
        &self,
        flat: &Flat<'_>,
        index: usize,
        rates: &[Option<u32>],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<u32> {
        let inputs = self.incoming[index].iter();
        let rates: Option<Vec<u32>> = inputs
            .map(|from| self.sent(*from, index as u32, rates))
            .collect();
        let sum: u64 = rates?.into_iter().map(u64::from).sum();
        if sum <= u64::from(MAX_RATE) {
            return u32::try_from(sum).ok();
        }
        let message = format!(
            "node `{}` would be activated {sum} times; the limit is {MAX_RATE}",
            flat.nodes[index].id
        );
        let hint =
            "several `join: each` in a row multiply; use `join: any` or `all` in some of them";
        let pointer = pointer_join(&flat.pointers[index], "join");
        diagnostics.push(Diagnostic::error(codes::RATE_LIMIT, pointer, message).hint(hint));
        None
    }

    /// How many tokens a connection carries: one that leaves a loop, as many as its entry gets.
    fn sent(&self, from: u32, to: u32, rates: &[Option<u32>]) -> Option<u32> {
        let left = self.loops.of[from as usize];
        match left.filter(|left| self.loops.of[to as usize] != Some(*left)) {
            Some(left) => rates[self.loops.parts[left as usize].entry as usize],
            None => Some(rates[from as usize]? * self.split(from)),
        }
    }

    /// How many tokens an activation of a node sends along each connection.
    pub(crate) fn split(&self, node: u32) -> u32 {
        match self.tokens[node as usize] {
            Tokens::Split(many) => many,
            Tokens::One | Tokens::Merge(_) => 1,
        }
    }

    /// How often a node is activated that merges so many tokens each time; none may be left over.
    fn merged_rate(
        &self,
        flat: &Flat<'_>,
        (index, many): (usize, u32),
        rates: &[Option<u32>],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<u32> {
        let inputs = self.incoming[index].iter();
        let inputs: Option<Vec<(u32, u32)>> = inputs
            .map(|from| Some((*from, self.sent(*from, index as u32, rates)?)))
            .collect();
        let inputs = inputs?;
        let sum: u64 = inputs.iter().map(|(_, rate)| u64::from(*rate)).sum();
        let merged = u32::try_from(sum / u64::from(many)).ok();
        if sum.is_multiple_of(u64::from(many)) && merged.is_some_and(|merged| merged > 0) {
            return merged;
        }
        let id = |node: u32| &flat.nodes[node as usize].id;
        let from = inputs
            .iter()
            .map(|(from, rate)| format!("`{}` sends {rate}", id(*from)));
        let from: Vec<_> = from.collect();
        let from = match from.is_empty() {
            true => "nothing leads to it".to_owned(),
            false => from.join(", "),
        };
        let message = format!(
            "node `{}` merges {many} tokens into one, and {sum} would come: {from}",
            id(index as u32)
        );
        let mut problem =
            Diagnostic::error(codes::UNEQUAL_RATES, flat.pointers[index].as_str(), message).hint(
                format!("what comes must be a multiple of {many}: split into as many before it, or write another `count`"),
            );
        for (from, rate) in inputs {
            let pointer = flat.pointers[from as usize].clone();
            problem = problem.related(pointer, format!("sends {rate}"));
        }
        diagnostics.push(problem);
        None
    }

    fn equal_rate(
        &self,
        flat: &Flat<'_>,
        index: usize,
        rates: &[Option<u32>],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<u32> {
        let inputs = self.incoming[index].iter();
        let known: Option<Vec<(u32, u32)>> = inputs
            .map(|from| {
                self.sent(*from, index as u32, rates)
                    .map(|rate| (*from, rate))
            })
            .collect();
        let known = known?;
        let (first, rate) = known[0];
        let Some((other, others)) = known.iter().copied().find(|(_, other)| *other != rate) else {
            return Some(rate);
        };
        let id = |node: usize| &flat.nodes[node].id;
        let message = format!(
            "node `{}` joins `{}`, which sends {rate} token(s), with `{}`, which sends {others}",
            id(index),
            id(first as usize),
            id(other as usize),
        );
        diagnostics.push(
            Diagnostic::error(codes::UNEQUAL_RATES, flat.pointers[index].as_str(), message)
                .hint("write `join: each` here, or join both before the node that multiplies them")
                .related(
                    flat.pointers[first as usize].clone(),
                    format!("sends {rate}"),
                )
                .related(
                    flat.pointers[other as usize].clone(),
                    format!("sends {others}"),
                ),
        );
        None
    }

    /// The number of nodes on the longest path from each node to an end, itself included; what
    /// follows the node whose body it stands in counts as well.
    pub(crate) fn priorities(&self, flat: &Flat<'_>) -> Vec<u32> {
        let mut priorities = vec![1_u32; self.outgoing.len()];
        for node in self.order.iter().rev() {
            let after = self.outgoing[*node as usize]
                .iter()
                .map(|to| priorities[*to as usize])
                .max();
            priorities[*node as usize] = after.unwrap_or(0) + 1;
        }
        // A body stands behind its node, so what is added there is complete.
        for node in 0..priorities.len() {
            let owner = flat.owner(node as u32);
            priorities[node] += owner.map_or(0, |owner| priorities[owner as usize]);
        }
        priorities
    }

    /// What is known of the order in which nodes settle.
    pub(crate) fn ancestry(&self, flat: &Flat<'_>, held: &[Vec<Held>], rates: &[u32]) -> Ancestry {
        let count = self.incoming.len();
        let mut ancestry = Ancestry {
            any: Bits::new(count),
            certain: Bits::new(count),
        };
        for node in &self.order {
            let index = *node as usize;
            let inputs = &self.incoming[index];
            for from in inputs {
                ancestry.any.include(index, *from as usize);
                self.behind_loop(&mut ancestry.any, *node, *from);
            }
            let waits_for_all = match flat.nodes[index].join {
                // Of several connections, one alone may bring all that one activation merges.
                _ if matches!(self.tokens[index], Tokens::Merge(_)) => {
                    inputs.len() == 1 || rates[index] == 1
                }
                JoinRule::All => true,
                JoinRule::Count { count, .. } => count as usize >= inputs.len(),
                JoinRule::Any | JoinRule::Each => inputs.len() == 1,
            };
            if waits_for_all {
                for from in inputs {
                    ancestry.certain.include(index, *from as usize);
                    self.behind_loop(&mut ancestry.certain, *node, *from);
                }
            } else {
                // Whichever token comes first: only what is behind all of them is certain.
                ancestry.certain.include_common(index, inputs);
            }
        }
        ancestry.before_handlers(flat, held);
        ancestry
    }

    /// What leaves a loop waits until all of it is at rest: `node` comes after all of the loop that
    /// `from` is in. What comes before that comes before its entry.
    fn behind_loop(&self, before: &mut Bits, node: u32, from: u32) {
        let left = self.loops.of[from as usize];
        if let Some(left) = left.filter(|left| self.loops.of[node as usize] != Some(*left)) {
            let part = &self.loops.parts[left as usize];
            before.include(node as usize, part.entry as usize);
            for member in &part.nodes {
                before.add(node as usize, *member as usize);
            }
        }
    }
}

/// A node that splits into more tokens than there may be.
fn too_many(flat: &Flat<'_>, index: usize, (rate, many): (u32, u32)) -> Diagnostic {
    let sent = u64::from(rate) * u64::from(many);
    let message = format!(
        "node `{}` would send {sent} tokens, {many} each time; the limit is {MAX_RATE}",
        flat.nodes[index].id
    );
    let at = format!("{}/parameters/count", flat.pointers[index]);
    Diagnostic::error(codes::RATE_LIMIT, at, message)
        .hint("run what is behind it in a `flow.for_each`, whose number has no such limit")
}

/// Which nodes come before which.
pub(crate) struct Ancestry {
    any: Bits,
    certain: Bits,
}

impl Ancestry {
    /// What is held back comes after what its body begins with, whether or not that has finished;
    /// and what runs in any case after everything else.
    fn before_handlers(&mut self, flat: &Flat<'_>, held: &[Vec<Held>]) {
        for (body, held) in flat.bodies.iter().zip(held) {
            let nodes = body.first..body.first + body.count;
            let follows = |node: u32| {
                let mut held = held.iter();
                let after = |held: &&Held| node == held.node || self.is_upstream(node, held.node);
                held.find(after).map(|held| held.always)
            };
            let of: Vec<(u32, Option<bool>)> = nodes.map(|node| (node, follows(node))).collect();
            for (node, always) in of.iter().filter_map(|(node, of)| Some((*node, (*of)?))) {
                for (earlier, other) in &of {
                    if other.is_none_or(|other| always && !other) {
                        self.any.include(node as usize, *earlier as usize);
                    }
                }
            }
        }
    }

    /// Whether some path leads from `ancestor` to `node`.
    pub(crate) fn is_upstream(&self, node: u32, ancestor: u32) -> bool {
        self.any.has(node as usize, ancestor as usize)
    }

    /// Whether `ancestor` has certainly settled when `node` is activated.
    pub(crate) fn is_certain(&self, node: u32, ancestor: u32) -> bool {
        self.certain.has(node as usize, ancestor as usize)
    }
}

/// A set of nodes for each node.
struct Bits {
    words: usize,
    bits: Vec<u64>,
}

impl Bits {
    fn new(count: usize) -> Self {
        let words = count.div_ceil(64);
        Self {
            words,
            bits: vec![0; words * count],
        }
    }

    fn has(&self, row: usize, member: usize) -> bool {
        self.bits[row * self.words + member / 64] & (1 << (member % 64)) != 0
    }

    /// Adds `from` and all of its set to the set of `row`.
    fn include(&mut self, row: usize, from: usize) {
        for word in 0..self.words {
            self.bits[row * self.words + word] |= self.bits[from * self.words + word];
        }
        self.add(row, from);
    }

    /// Adds one node to the set of `row`.
    fn add(&mut self, row: usize, member: usize) {
        self.bits[row * self.words + member / 64] |= 1 << (member % 64);
    }

    /// Adds what every one of `inputs`, each with itself, has in common.
    fn include_common(&mut self, row: usize, inputs: &[u32]) {
        for word in 0..self.words {
            let with_itself = |from: u32| {
                let own = if from as usize / 64 == word {
                    1 << (from % 64)
                } else {
                    0
                };
                self.bits[from as usize * self.words + word] | own
            };
            let common = inputs
                .iter()
                .map(|from| with_itself(*from))
                .reduce(|a, b| a & b);
            self.bits[row * self.words + word] |= common.unwrap_or(0);
        }
    }
}

/// Names the nodes of one cycle, in the order in which they wait for each other.
fn cycle(flat: &Flat<'_>, graph: &Graph, waits: &[usize]) -> Diagnostic {
    // Every node that still waits has a predecessor that still waits: going back must come round.
    let start = waits.iter().position(|waits| *waits > 0).unwrap_or(0);
    let (mut path, mut node) = (Vec::new(), start);
    let mut seen = vec![false; waits.len()];
    while !std::mem::replace(&mut seen[node], true) {
        path.push(node);
        let before = graph.incoming[node]
            .iter()
            .find(|from| waits[**from as usize] > 0);
        node = before.map_or(start, |from| *from as usize);
    }
    let begin = path.iter().position(|at| *at == node).unwrap_or(0);
    let mut round: Vec<_> = path[begin..].iter().rev().copied().collect();
    let least = round
        .iter()
        .enumerate()
        .min_by_key(|(_, node)| **node)
        .map_or(0, |(at, _)| at);
    round.rotate_left(least);
    round.push(round[0]);
    let names: Vec<_> = round
        .iter()
        .map(|node| flat.nodes[*node].id.as_str())
        .collect();
    let closing = flat.connections.iter().find(|connection| {
        connection.from.as_str() == names[names.len() - 2] && connection.to.as_str() == names[0]
    });
    let pointer = closing.map_or_else(
        || flat.pointers[round[0]].clone(),
        |c| c.origin.pointer().to_owned(),
    );
    let mut diagnostic = Diagnostic::error(
        codes::CYCLE,
        pointer,
        format!("nodes wait for each other: {}", names.join(" → ")),
    )
    .hint("take one of these connections away, or write `loop: true` at the one that goes back");
    if let Some(range) = closing.and_then(|connection| connection.origin.range()) {
        diagnostic = diagnostic.range(range);
    }
    diagnostic
}
