//! Random workflows, and all that their worlds decide.

use std::sync::Arc;

use nebula_action::{ActionKind, ControlKind, EffectClass};
use nebula_execution::{ExecutionPlan, InstanceId, PlanConnection, PlanLoop, PlanNode, Taken};
use nebula_workflow::{ItemsRest, JoinRest, JoinRule, OnError, OnIndeterminate, OnItemError};
use proptest::prelude::*;

use super::{
    connection, loops_of, node, plan_of, program,
    world::{Act, Script},
};

/// A workflow and all that its world decides.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) concurrency: u32,
    pub(crate) timeout: Option<u64>,
    pub(crate) seed: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) effect: EffectClass,
    pub(crate) join: u8,
    pub(crate) on_error: OnError,
    pub(crate) on_indeterminate: OnIndeterminate,
    pub(crate) reconciles: bool,
    pub(crate) retry: u32,
    pub(crate) items: Option<u32>,
    pub(crate) window: u32,
    pub(crate) distribute: bool,
    /// After how many ended items its list is complete, and whether the rest runs on.
    pub(crate) enough: Option<(u32, bool)>,
    pub(crate) mode: Option<OnItemError>,
    pub(crate) waits: bool,
    pub(crate) skips: bool,
    pub(crate) tokens: Tokens,
    /// What its attempts do, one after the other; the last one for all that follow.
    pub(crate) acts: Vec<Act>,
}

/// What becomes of the tokens of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tokens {
    One,
    Split(u32),
    /// Into one, however many come, as far as that goes.
    Merge,
    /// So many into one.
    Merged(u32),
}

#[derive(Debug, Clone)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) error: bool,
    pub(crate) taken: bool,
    /// It goes back to where its loop begins, in so many rounds.
    pub(crate) back: Option<u32>,
}

fn nodes(plain: bool) -> impl Strategy<Value = Node> {
    let effect = prop_oneof![
        Just(EffectClass::Pure),
        Just(EffectClass::Read),
        Just(EffectClass::Idempotent),
        Just(EffectClass::Keyed),
        Just(EffectClass::AtMostOnce),
    ];
    let on_error = prop_oneof![
        Just(OnError::Fail),
        Just(OnError::Continue),
        Just(OnError::Route)
    ];
    let on_indeterminate = prop_oneof![
        3 => Just(OnIndeterminate::Park),
        1 => Just(OnIndeterminate::Fail),
        1 => Just(OnIndeterminate::Retry),
    ];
    let act = prop_oneof![
        6 => Just(Act::Succeed),
        1 => Just(Act::Fail),
        2 => Just(Act::Again),
        1 => Just(Act::Late),
    ];
    let tokens = prop_oneof![
        8 => Just(Tokens::One),
        1 => (2..4_u32).prop_map(Tokens::Split),
        2 => Just(Tokens::Merge),
    ];
    let lone = (
        effect,
        0..8_u8,
        on_error,
        on_indeterminate,
        any::<bool>(),
        1..4_u32,
    );
    let rest = (
        proptest::option::weighted(0.3, 0..5_u32),
        (1..4_u32, proptest::bool::weighted(0.3)),
        proptest::bool::weighted(0.1),
        (proptest::bool::weighted(0.1), tokens),
        proptest::collection::vec(act, 1..4),
        proptest::option::weighted(0.5, (1..4_u32, any::<bool>())),
        prop_oneof![
            Just(None),
            Just(Some(OnItemError::Stop)),
            Just(Some(OnItemError::Continue)),
            Just(Some(OnItemError::Collect)),
        ],
    );
    (lone, rest).prop_map(move |(lone, rest)| {
        let (effect, join, on_error, on_indeterminate, reconciles, retry) = lone;
        let (items, (window, cuts), waits, (skips, tokens), acts, enough, mode) = rest;
        let tokens = if plain { Tokens::One } else { tokens };
        let items = items.filter(|_| tokens == Tokens::One);
        let (enough, mode) = (enough.filter(|_| !plain), mode.filter(|_| !plain));
        let waits = waits && items.is_none() && tokens == Tokens::One;
        let join = if plain { join % 2 * 5 } else { join };
        let distribute = cuts && !plain && items.is_some() && enough.is_none();
        Node {
            effect,
            join,
            on_error,
            on_indeterminate,
            reconciles,
            retry,
            items,
            window,
            distribute,
            enough,
            mode,
            waits,
            skips,
            tokens,
            acts,
        }
    })
}

/// Workflows; plain ones have joins `all` and `any` and no time limit.
pub(crate) fn cases(plain: bool) -> impl Strategy<Value = Case> {
    let nodes = proptest::collection::vec(nodes(plain), 1..8);
    let edges = proptest::collection::vec(
        (any::<u16>(), any::<u16>(), any::<u8>(), any::<u8>()),
        0..14,
    );
    let back = proptest::collection::vec(
        (any::<u16>(), any::<u16>(), any::<u8>(), 0..5_u32),
        0..if plain { 1 } else { 4 },
    );
    let timeout = proptest::option::weighted(0.15, 1..400_u64);
    (nodes, (edges, back), 1..5_u32, timeout, any::<u64>()).prop_map(
        move |(mut nodes, (picks, back), concurrency, timeout, seed)| {
            let count = nodes.len();
            let mut edges: Vec<Edge> = Vec::new();
            for (a, b, error, taken) in picks {
                let (a, b) = (usize::from(a) % count, usize::from(b) % count);
                let (from, to) = (a.min(b), a.max(b));
                let error = error < 50 && nodes[from].on_error == OnError::Route;
                let twice = edges
                    .iter()
                    .any(|e| (e.from, e.to, e.error) == (from, to, error));
                if from != to && !twice {
                    edges.push(Edge {
                        from,
                        to,
                        error,
                        taken: taken < 200,
                        back: None,
                    });
                }
            }
            for (a, b, error, rounds) in back {
                let (a, b) = (usize::from(a) % count, usize::from(b) % count);
                let edge = Edge {
                    from: a.max(b),
                    to: a.min(b),
                    error: error < 50 && nodes[a.max(b)].on_error == OnError::Route,
                    taken: true,
                    back: Some(rounds),
                };
                let same = |e: &Edge| (e.from, e.to, e.error) == (edge.from, edge.to, edge.error);
                if !edges.iter().any(same) {
                    edges.push(edge);
                    if !are_loops(&nodes, &edges) {
                        edges.pop();
                    }
                }
            }
            balance(&mut nodes, &edges);
            let timeout = timeout.filter(|_| !plain);
            Case {
                nodes,
                edges,
                concurrency,
                timeout,
                seed,
            }
        },
    )
}

/// The loops of edges; so short that some are too long.
fn loops(edges: &[Edge]) -> Vec<PlanLoop> {
    let ends = edges
        .iter()
        .map(|edge| (edge.from as u32, edge.to as u32, edge.back.is_some()));
    let mut loops = loops_of(&ends.collect::<Vec<_>>());
    loops.iter_mut().for_each(|part| part.max_rounds = 3);
    loops
}

/// Whether every loop begins at one node, and once, as the planner demands.
fn are_loops(nodes: &[Node], edges: &[Edge]) -> bool {
    let loops = loops(edges);
    let rates = balance(&mut nodes.to_vec(), edges);
    let one_entry = |part: &PlanLoop| {
        let inside = |node: usize| part.nodes.contains(&(node as u32));
        let mut entered = edges.iter().filter(|e| inside(e.to) && !inside(e.from));
        entered.all(|edge| edge.to == part.entry as usize)
            && rates[part.entry as usize] == 1
            && loops
                .iter()
                .all(|other| other == part || !inside(other.entry as usize))
    };
    let inside = |edge: &Edge, part: &PlanLoop| {
        let ends = [edge.from as u32, edge.to as u32];
        part.entry == ends[1] && ends.iter().all(|end| part.nodes.contains(end))
    };
    let mut back = edges.iter().filter(|edge| edge.back.is_some());
    let closed = back.all(|edge| loops.iter().any(|part| inside(edge, part)));
    closed && loops.iter().all(one_entry)
}

/// Makes joins `each` where inputs of unequal rate meet, as the planner demands; lets merge only what
/// leaves no token over; and keeps rates small.
fn balance(nodes: &mut [Node], edges: &[Edge]) -> Vec<u32> {
    let loops = loops(edges);
    let left = |from: usize, to: usize| {
        let inside = |part: &&PlanLoop, node: usize| part.nodes.contains(&(node as u32));
        let part = loops.iter().find(|part| inside(part, from))?;
        (!inside(&part, to)).then_some(part.entry as usize)
    };
    let mut rates = vec![1_u32; nodes.len()];
    for to in 0..nodes.len() {
        let sent = |e: &Edge| match (left(e.from, to), nodes[e.from].tokens) {
            (Some(entry), _) => rates[entry],
            (None, Tokens::Split(many)) => rates[e.from] * many,
            (None, _) => rates[e.from],
        };
        let inputs: Vec<u32> = edges
            .iter()
            .filter(|e| e.to == to && e.back.is_none())
            .map(sent)
            .collect();
        let sum: u32 = inputs.iter().sum();
        if let Tokens::Merge | Tokens::Merged(_) = nodes[to].tokens {
            let by = [2, 3]
                .into_iter()
                .find(|by| sum > 0 && sum.is_multiple_of(*by));
            nodes[to].tokens = by.map_or(Tokens::One, Tokens::Merged);
            if let Some(by) = by {
                nodes[to].join = 0;
                rates[to] = sum / by;
                continue;
            }
        }
        let Some(first) = inputs.first() else {
            continue;
        };
        let equal = inputs.iter().all(|rate| rate == first);
        let each = nodes[to].join == 4 || !equal;
        if each && inputs.iter().sum::<u32>() <= 6 || !equal {
            nodes[to].join = 4;
            rates[to] = inputs.iter().sum();
        } else {
            nodes[to].join = if nodes[to].join == 4 {
                0
            } else {
                nodes[to].join
            };
            rates[to] = *first;
        }
        if rates[to] > 2 && matches!(nodes[to].tokens, Tokens::Split(_)) {
            nodes[to].tokens = Tokens::One;
        }
    }
    rates
}

impl Node {
    /// What splits or merges tokens waits for nothing.
    fn waits(&self) -> bool {
        self.waits && matches!(self.tokens, Tokens::One | Tokens::Merge)
    }
}

impl Case {
    pub(crate) fn plan(&self) -> Arc<ExecutionPlan> {
        let rates = balance(&mut self.nodes.clone(), &self.edges);
        let nodes: Vec<PlanNode> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(index, it)| {
                let mut node = node(&format!("n{index}"));
                let forward = self.edges.iter().filter(|edge| edge.back.is_none());
                let inputs = forward.filter(|edge| edge.to == index).count() as u32;
                node.effect = it.effect;
                node.join = match it.join {
                    1 => JoinRule::Any,
                    2 | 3 => JoinRule::Count {
                        count: (u32::from(it.join)).min(inputs.max(1)),
                        rest: JoinRest::Absorb,
                    },
                    6 | 7 => JoinRule::Count {
                        count: (u32::from(it.join) - 5).min(inputs.max(1)),
                        // Where rounds run beside each other, the planner refuses to cancel.
                        rest: match rates[index] {
                            1 => JoinRest::Cancel,
                            _ => JoinRest::Absorb,
                        },
                    },
                    4 => JoinRule::Each,
                    _ => JoinRule::All,
                };
                node.on_error = it.on_error;
                node.on_indeterminate = it.on_indeterminate;
                node.reconciles = it.reconciles;
                node.retry.max_attempts = it.retry;
                node.for_each = it.items.map(|_| program("$input"));
                node.concurrency = it.window;
                node.distribute = it.distribute;
                match it.tokens {
                    Tokens::One | Tokens::Merge => {}
                    Tokens::Split(many) => {
                        node.kind = ActionKind::Control(ControlKind::SplitTokens);
                        node.tokens = Some(many);
                    }
                    Tokens::Merged(many) => {
                        node.kind = ActionKind::Control(ControlKind::MergeTokens);
                        node.tokens = Some(many);
                    }
                }
                if node.tokens.is_some() {
                    node.effect = EffectClass::Pure;
                }
                if let Some((_, absorbs)) = it.enough.filter(|_| it.items.is_some()) {
                    node.complete_when = Some(program("$json.done > 0"));
                    node.rest = if absorbs {
                        ItemsRest::Absorb
                    } else {
                        ItemsRest::Cancel
                    };
                }
                node.on_item_error = it.mode.filter(|_| it.items.is_some());
                if it.waits() {
                    node.kind = ActionKind::Control(ControlKind::Wait);
                    node.effect = EffectClass::Pure;
                }
                node
            })
            .collect();
        let edges: Vec<PlanConnection> = self
            .edges
            .iter()
            .map(|edge| {
                let port = if edge.error { "error" } else { "main" };
                PlanConnection {
                    closes_loop: edge.back.is_some(),
                    ..connection(&nodes, edge.from as u32, port, edge.to as u32)
                }
            })
            .collect();
        let mut parts = plan_of(nodes, edges);
        parts.loops = loops(&self.edges);
        parts.concurrency = self.concurrency;
        parts.timeout = self.timeout.map(std::time::Duration::from_millis);
        Arc::new(ExecutionPlan::new(parts).unwrap())
    }

    pub(crate) fn of(&self, name: &str) -> (usize, &Node) {
        let index = name[1..].parse().unwrap();
        (index, &self.nodes[index])
    }
}

impl Script for Case {
    fn act(&self, instance: &InstanceId, attempt: u32) -> Act {
        let (_, node) = self.of(instance.node.as_str());
        let place = attempt as usize - 1 + instance.item.unwrap_or(0) as usize;
        node.acts[place.min(node.acts.len() - 1)]
    }

    fn taken(&self, plan: &ExecutionPlan, instance: &InstanceId, port: &str) -> Taken {
        let (node, _) = self.of(instance.node.as_str());
        let leaving = self
            .edges
            .iter()
            .filter(|e| e.from == node && e.error == (port == "error"));
        let goes_on = |rounds: u32| instance.activation <= rounds;
        let taken = leaving.filter(|edge| edge.taken && edge.back.is_none_or(goes_on));
        Taken::Only(
            taken
                .map(|edge| plan.node(edge.to as u32).id.as_str().into())
                .collect(),
        )
    }

    fn items(&self, node: &str) -> u32 {
        self.of(node).1.items.unwrap_or(0)
    }

    fn enough(&self, node: &str) -> u32 {
        self.of(node)
            .1
            .enough
            .map_or(u32::MAX, |(enough, _)| enough)
    }

    fn skips(&self, node: &str) -> bool {
        self.of(node).1.skips
    }

    fn waits(&self, node: &str) -> bool {
        self.of(node).1.waits()
    }
}

/// A failure prints its smallest case, seeds and all; `PROPTEST_CASES` asks for more than 256.
pub(crate) fn settings() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
