//! The shape of a workflow: order, rates, ancestors, priorities.

use nebula_workflow::{Diagnostic, JoinRule, WorkflowDefinition};

use crate::codes;

/// How often a node may be activated in one execution.
const MAX_RATE: u32 = 10_000;

/// Edges as dense indices, in the order of the definition.
pub(crate) struct Graph {
    pub(crate) incoming: Vec<Vec<u32>>,
    pub(crate) outgoing: Vec<Vec<u32>>,
    /// Every node after all that lead to it.
    pub(crate) order: Vec<u32>,
}

impl Graph {
    /// Builds the graph; a cycle is reported and gives none.
    pub(crate) fn new(
        definition: &WorkflowDefinition,
        edges: &[(u32, u32)],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let count = definition.nodes.len();
        let mut graph = Self {
            incoming: vec![Vec::new(); count],
            outgoing: vec![Vec::new(); count],
            order: Vec::new(),
        };
        for (from, to) in edges {
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
            return Some(graph);
        }
        diagnostics.push(cycle(definition, &graph, &waits));
        None
    }

    /// How many tokens reach each node in an execution. Sources have rate 1; `all` and counting joins
    /// need inputs of equal rate; `each` adds its inputs up. Unequal rates are reported.
    pub(crate) fn rates(
        &self,
        definition: &WorkflowDefinition,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Vec<u32> {
        let mut rates = vec![1_u32; self.incoming.len()];
        for node in &self.order {
            let index = *node as usize;
            let inputs = &self.incoming[index];
            let Some(first) = inputs.first() else {
                continue;
            };
            let rule = definition.nodes[index].join;
            let pointer = format!("/nodes/{index}/join");
            if let Some((wanted, _)) = rule.threshold()
                && wanted as usize > inputs.len()
            {
                let message = format!(
                    "node `{}` waits for {wanted} live tokens, and has {} connections",
                    definition.nodes[index].id,
                    inputs.len()
                );
                diagnostics.push(Diagnostic::error(
                    codes::JOIN_COUNT,
                    pointer.clone(),
                    message,
                ));
            }
            if rule == JoinRule::Each {
                let sum: u64 = inputs
                    .iter()
                    .map(|from| u64::from(rates[*from as usize]))
                    .sum();
                rates[index] = u32::try_from(sum).unwrap_or(u32::MAX).min(MAX_RATE);
                if sum > u64::from(MAX_RATE) {
                    let message = format!(
                        "node `{}` would be activated {sum} times; the limit is {MAX_RATE}",
                        definition.nodes[index].id
                    );
                    diagnostics.push(
                        Diagnostic::error(codes::RATE_LIMIT, pointer, message)
                            .hint("several `join: each` in a row multiply; use `join: any` or `all` in some of them"),
                    );
                }
                continue;
            }
            let rate = rates[*first as usize];
            rates[index] = rate;
            if let Some(other) = inputs.iter().find(|from| rates[**from as usize] != rate) {
                let id = |node: u32| &definition.nodes[node as usize].id;
                let message = format!(
                    "node `{}` joins `{}`, which sends {rate} token(s), with `{}`, which sends {}",
                    id(*node),
                    id(*first),
                    id(*other),
                    rates[*other as usize]
                );
                diagnostics.push(
                    Diagnostic::error(codes::UNEQUAL_RATES, format!("/nodes/{index}"), message)
                        .hint("write `join: each` here, or join both before the node that multiplies them")
                        .related(format!("/nodes/{first}"), format!("sends {rate}"))
                        .related(format!("/nodes/{other}"), format!("sends {}", rates[*other as usize])),
                );
            }
        }
        rates
    }

    /// The number of nodes on the longest path from each node to an end, itself included.
    pub(crate) fn priorities(&self) -> Vec<u32> {
        let mut priorities = vec![1_u32; self.outgoing.len()];
        for node in self.order.iter().rev() {
            let after = self.outgoing[*node as usize]
                .iter()
                .map(|to| priorities[*to as usize])
                .max();
            priorities[*node as usize] = after.unwrap_or(0) + 1;
        }
        priorities
    }

    /// What is known of the order in which nodes settle.
    pub(crate) fn ancestry(&self, definition: &WorkflowDefinition) -> Ancestry {
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
            }
            match definition.nodes[index].join {
                JoinRule::All => {
                    for from in inputs {
                        ancestry.certain.include(index, *from as usize);
                    }
                }
                // Whichever token comes first: only what is behind all of them is certain.
                JoinRule::Any | JoinRule::Each | JoinRule::Count { .. } => {
                    ancestry.certain.include_common(index, inputs);
                }
            }
        }
        ancestry
    }
}

/// Which nodes come before which.
pub(crate) struct Ancestry {
    any: Bits,
    certain: Bits,
}

impl Ancestry {
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
        self.bits[row * self.words + from / 64] |= 1 << (from % 64);
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
fn cycle(definition: &WorkflowDefinition, graph: &Graph, waits: &[usize]) -> Diagnostic {
    // Every node that still waits has a predecessor that still waits: going back must come round.
    let start = waits.iter().position(|waits| *waits > 0).unwrap_or(0);
    let (mut path, mut node) = (Vec::new(), start);
    while !path.contains(&node) {
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
        .map(|node| definition.nodes[*node].id.as_str())
        .collect();
    let closing = definition.connections.iter().find(|connection| {
        connection.from.as_str() == names[names.len() - 2] && connection.to.as_str() == names[0]
    });
    let pointer = closing.map_or_else(
        || format!("/nodes/{}", round[0]),
        |c| c.origin.pointer().to_owned(),
    );
    let mut diagnostic = Diagnostic::error(
        codes::CYCLE,
        pointer,
        format!("nodes wait for each other: {}", names.join(" → ")),
    )
    .hint("take one of these connections away; loops come with `loop: true` in a later version");
    if let Some(range) = closing.and_then(|connection| connection.origin.range()) {
        diagnostic = diagnostic.range(range);
    }
    diagnostic
}
