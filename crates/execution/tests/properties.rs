//! Random plans, driven by a seeded world: what holds for every one of them.
//!
//! The rig checks after every decision that a replay and a snapshot give the lived state, that
//! starts are journalled first, that attempt numbers and keys are used as they must be, and that
//! every rest has a reason to wake.

mod rig;

use std::sync::Arc;

use nebula_action::{ActionKind, ControlKind, EffectClass};
use nebula_execution::{
    ExecutionPlan, Fact, InstanceId, InstanceStatus, PlanConnection, PlanNode, Status, Taken,
    UnparkDecision,
};
use nebula_workflow::{JoinRest, JoinRule, OnError, OnIndeterminate};
use proptest::prelude::*;
use rig::{
    connection, node, plan_of, program,
    world::{Act, Chance, Script, World, result_of},
};
use serde_json::Value;

/// A workflow and all that its world decides.
#[derive(Debug, Clone)]
struct Case {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    concurrency: u32,
    timeout: Option<u64>,
    seed: u64,
}

#[derive(Debug, Clone)]
struct Node {
    effect: EffectClass,
    join: u8,
    on_error: OnError,
    on_indeterminate: OnIndeterminate,
    reconciles: bool,
    retry: u32,
    items: Option<u32>,
    window: u32,
    waits: bool,
    skips: bool,
    /// What its attempts do, one after the other; the last one for all that follow.
    acts: Vec<Act>,
}

#[derive(Debug, Clone)]
struct Edge {
    from: usize,
    to: usize,
    error: bool,
    taken: bool,
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
    let lone = (
        effect,
        0..6_u8,
        on_error,
        on_indeterminate,
        any::<bool>(),
        1..4_u32,
    );
    let rest = (
        proptest::option::weighted(0.3, 0..5_u32),
        1..4_u32,
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.1),
        proptest::collection::vec(act, 1..4),
    );
    (lone, rest).prop_map(move |(lone, rest)| {
        let (effect, join, on_error, on_indeterminate, reconciles, retry) = lone;
        let (items, window, waits, skips, acts) = rest;
        let waits = waits && items.is_none();
        let join = if plain { join % 2 * 5 } else { join };
        Node {
            effect,
            join,
            on_error,
            on_indeterminate,
            reconciles,
            retry,
            items,
            window,
            waits,
            skips,
            acts,
        }
    })
}

fn cases(plain: bool) -> impl Strategy<Value = Case> {
    let nodes = proptest::collection::vec(nodes(plain), 1..8);
    let edges = proptest::collection::vec(
        (any::<u16>(), any::<u16>(), any::<u8>(), any::<u8>()),
        0..14,
    );
    let timeout = proptest::option::weighted(0.15, 1..400_u64);
    (nodes, edges, 1..5_u32, timeout, any::<u64>()).prop_map(
        move |(mut nodes, picks, concurrency, timeout, seed)| {
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
                    });
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

/// Makes joins `each` where inputs of unequal rate meet, as the planner demands; and keeps rates small.
fn balance(nodes: &mut [Node], edges: &[Edge]) {
    let mut rates = vec![1_u32; nodes.len()];
    for to in 0..nodes.len() {
        let inputs: Vec<u32> = edges
            .iter()
            .filter(|e| e.to == to)
            .map(|e| rates[e.from])
            .collect();
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
    }
}

impl Case {
    fn plan(&self) -> Arc<ExecutionPlan> {
        let nodes: Vec<PlanNode> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(index, it)| {
                let mut node = node(&format!("n{index}"));
                let inputs = self.edges.iter().filter(|edge| edge.to == index).count() as u32;
                node.effect = it.effect;
                node.join = match it.join {
                    1 => JoinRule::Any,
                    2 | 3 => JoinRule::Count {
                        count: (u32::from(it.join)).min(inputs.max(1)),
                        rest: JoinRest::Absorb,
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
                if it.waits {
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
                connection(&nodes, edge.from as u32, port, edge.to as u32)
            })
            .collect();
        let mut parts = plan_of(nodes, edges);
        parts.concurrency = self.concurrency;
        parts.timeout = self.timeout.map(std::time::Duration::from_millis);
        Arc::new(ExecutionPlan::new(parts).unwrap())
    }

    fn of(&self, name: &str) -> (usize, &Node) {
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

    fn taken(&self, plan: &ExecutionPlan, node: u32, port: &str) -> Taken {
        let leaving = self
            .edges
            .iter()
            .filter(|e| e.from == node as usize && e.error == (port == "error"));
        let taken = leaving.filter(|edge| edge.taken);
        Taken::Only(
            taken
                .map(|edge| plan.node(edge.to as u32).id.as_str().into())
                .collect(),
        )
    }

    fn items(&self, node: &str) -> u32 {
        self.of(node).1.items.unwrap_or(0)
    }

    fn skips(&self, node: &str) -> bool {
        self.of(node).1.skips
    }

    fn waits(&self, node: &str) -> bool {
        self.of(node).1.waits
    }
}

/// A naive reading of a workflow: nodes in their order, each settled once, nothing shared with the
/// machine. It knows plans whose joins are `all` and whose nodes all end by themselves.
fn reference(case: &Case) -> (Vec<&'static str>, Vec<Option<Value>>) {
    let mut status: Vec<&'static str> = Vec::new();
    let mut outputs: Vec<Option<Value>> = Vec::new();
    // Whether the connections of a node carry life: from `main`, from `error`.
    let mut lives: Vec<(bool, bool)> = Vec::new();
    for (index, it) in case.nodes.iter().enumerate() {
        let mut inputs = case.edges.iter().filter(|edge| edge.to == index).peekable();
        let start = inputs.peek().is_none();
        let live = inputs.any(|edge| {
            edge.taken
                && if edge.error {
                    lives[edge.from].1
                } else {
                    lives[edge.from].0
                }
        });
        if (!start && !live) || it.skips {
            status.push("skipped");
            outputs.push(None);
            lives.push((false, false));
            continue;
        }
        let id = InstanceId::new(format!("n{index}").parse().unwrap(), 1);
        let output = if it.waits {
            // A wait passes on what came; the reference does not follow values, only results of code.
            Some(Value::Null)
        } else if let Some(count) = it.items {
            let items = (0..count).map(|item| (item, tries(it, item)));
            let goes_on = it.on_error == OnError::Continue;
            let list: Option<Vec<Value>> = items
                .map(|(item, ok)| match ok {
                    true => Some(result_of(&id.of_item(item))),
                    false if goes_on => Some(Value::Null),
                    false => None,
                })
                .collect();
            list.map(Value::Array)
        } else {
            tries(it, 0).then(|| result_of(&id))
        };
        status.push(if output.is_some() {
            "succeeded"
        } else {
            "failed"
        });
        lives.push(match (&output, it.on_error) {
            (Some(_), _) | (None, OnError::Continue) => (true, false),
            (None, OnError::Route) => (false, true),
            (None, OnError::Fail) => (false, false),
        });
        outputs.push(output);
    }
    (status, outputs)
}

/// Whether one of the attempts that the policy allows succeeds.
fn tries(node: &Node, item: u32) -> bool {
    for attempt in 0..node.retry {
        match node.acts[((attempt + item) as usize).min(node.acts.len() - 1)] {
            Act::Succeed => return true,
            Act::Fail => return false,
            Act::Again | Act::Late => {}
        }
    }
    false
}

/// A failure prints its smallest case, seeds and all; `PROPTEST_CASES` asks for more than 256.
fn settings() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn every_execution_ends_and_replays_to_what_was_lived(case in cases(false)) {
        let mut world = World::new(case.plan(), &case, case.seed);
        prop_assert!(world.run().is_terminal());
    }

    #[test]
    fn crashes_at_any_moment_lose_nothing_and_repeat_no_unknown_write(
        case in cases(false),
        how in 0..3_u8,
    ) {
        let decision = match how {
            0 => UnparkDecision::Retry,
            1 => UnparkDecision::Failed,
            _ => UnparkDecision::Succeeded(Arc::new(Value::Null)),
        };
        let mut world = World::new(case.plan(), &case, case.seed).with_crashes(true).deciding(decision);
        prop_assert!(world.run().is_terminal());
    }

    #[test]
    fn pauses_at_any_moment_change_no_outcome(case in cases(false), crashes in any::<bool>()) {
        // A crash uses up attempt numbers, and with them what the world does.
        let fixed = case.nodes.iter().all(|node| node.acts.len() == 1);
        let mut paused = World::new(case.plan(), &case, case.seed)
            .with_pauses(true)
            .with_crashes(crashes);
        let ended = paused.run();
        prop_assert!(ended.is_terminal());
        // A time limit runs on in a pause, and failures race with what they cut off.
        let races = case.timeout.is_some()
            || case.nodes.iter().any(|node| node.on_error == OnError::Fail);
        if !races && (fixed || !crashes) {
            let mut plain = World::new(case.plan(), &case, case.seed);
            prop_assert_eq!(ended, plain.run());
        }
    }

    #[test]
    fn signals_come_at_any_moment_and_are_taken_in_order(
        mut case in cases(false),
        crashes in any::<bool>(),
        pauses in any::<bool>(),
    ) {
        for node in &mut case.nodes {
            node.waits |= node.items.is_none() && node.window == 1;
        }
        let mut world = World::new(case.plan(), &case, case.seed)
            .with_signals(true)
            .with_pauses(pauses)
            .with_crashes(crashes);
        prop_assert!(world.run().is_terminal());
        let taken: Vec<u32> = world
            .rig
            .journal
            .iter()
            .filter_map(|entry| match &entry.fact {
                Fact::SignalTaken { id, .. } => Some(id.parse().unwrap()),
                _ => None,
            })
            .collect();
        prop_assert!(taken.is_sorted_by(|a, b| a < b), "{:?}", taken);
    }

    #[test]
    fn a_cancellation_at_any_moment_ends_it(case in cases(false), after in 0..30_usize) {
        let mut world = World::new(case.plan(), &case, case.seed);
        prop_assert!(world.cancelled_after(after).is_terminal());
    }

    #[test]
    fn the_outcome_is_that_of_a_naive_interpreter(mut case in cases(true)) {
        // Failures that end the execution race with their neighbours; unknown effects need a person.
        for node in &mut case.nodes {
            if node.on_error == OnError::Fail {
                node.acts = vec![Act::Succeed];
            }
            if node.effect == EffectClass::AtMostOnce {
                node.effect = EffectClass::Keyed;
            }
            node.join = 0;
        }
        let (statuses, outputs) = reference(&case);
        let crashes = case.seed % 2 == 0;
        // A crash uses up attempt numbers, and with them what the world does.
        let crashes = crashes && case.nodes.iter().all(|node| node.acts.len() == 1);
        let mut world = World::new(case.plan(), &case, case.seed).with_crashes(crashes);
        prop_assert_eq!(world.run(), Status::Completed);
        let state = world.rig.machine.state();
        for (index, (status, output)) in statuses.iter().zip(outputs).enumerate() {
            let lived = &state.activations(index as u32)[0];
            prop_assert_eq!(lived.status.as_str(), *status, "node n{}", index);
            if case.nodes[index].waits || lived.status != InstanceStatus::Succeeded {
                continue;
            }
            let lived = lived.output.as_deref().cloned().map(|output| without_errors(&output));
            prop_assert_eq!(lived, output, "node n{}", index);
        }
    }

    #[test]
    fn a_cut_at_any_entry_goes_on_to_an_end(case in cases(false), cut in any::<u16>()) {
        let mut world = World::new(case.plan(), &case, case.seed);
        world.run();
        let entries = world.rig.journal.len();
        let cut = 1 + usize::from(cut) % entries;
        // Only whole decisions are committed, but a reader must not depend on that.
        world.crash_at(cut);
        prop_assert!(world.go_on().is_terminal());
    }
}

/// A list with null for each item that failed.
fn without_errors(output: &Value) -> Value {
    match output {
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::Object(_) => Value::Null,
                other => other.clone(),
            })
            .collect(),
        other => other.clone(),
    }
}

#[test]
fn chance_is_the_same_for_a_seed() {
    let (mut a, mut b) = (Chance(1), Chance(1));
    assert!((0..100).all(|_| a.below(1_000) == b.below(1_000)));
}
