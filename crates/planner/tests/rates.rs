//! How many tokens reach each node: what is split and merged, and what would be left over.
//!
//! A random workflow is refused exactly if a simulation of its tokens leaves some over.

mod catalog;

use catalog::planned;
use nebula_planner::PlanSettings;
use nebula_workflow::Diagnostic;
use proptest::prelude::*;

/// Compares how often each node is activated, or every diagnostic.
#[track_caller]
fn check(nodes: &str, connections: &str, expected: &str) {
    let yaml = format!("nodes: [{nodes}]\nconnections: [{connections}]");
    let planned = planned(&yaml, &PlanSettings::default());
    let show = |it: &Diagnostic| {
        let hint = it.hint.as_deref().unwrap_or_default();
        format!("{} {}: {} ({hint})", it.code, it.pointer, it.message)
    };
    let shown: Vec<_> = match &planned.plan {
        Some(plan) => {
            let rates = plan
                .nodes
                .iter()
                .map(|node| format!("{} {}", node.id, node.rate));
            rates.collect()
        }
        None => planned.diagnostics.iter().map(show).collect(),
    };
    assert_eq!(shown.join(", "), expected, "\n{yaml}");
}

const SPLIT: &str = "{ id: s, action: flow.split_tokens, parameters: { count: 3 } }";
const A: &str = "{ id: a, action: data.set }";

fn merge(count: &str) -> String {
    format!(
        "{SPLIT}, {A}, {{ id: m, action: flow.merge_tokens, parameters: {{ count: {count} }} }}"
    )
}

#[test]
fn splits_multiply_and_merges_divide() {
    check(&merge("3"), "s -> a -> m", "s 1, a 3, m 1");
    check(&merge("1"), "s -> a -> m", "s 1, a 3, m 3");
    check(
        &format!("{}, {{ id: b, action: data.set }}", merge("2")),
        "s -> a -> m, b -> m",
        "s 1, a 3, m 2, b 1",
    );
}

#[test]
fn what_would_be_left_over_is_named() {
    check(
        &merge("2"),
        "s -> a -> m",
        "PLAN_UNEQUAL_RATES /nodes/2: node `m` merges 2 tokens into one, and 3 would come: `a` sends 3 (what comes must be a multiple of 2: split into as many before it, or write another `count`)",
    );
    check(
        &merge("3"),
        "s -> a",
        "PLAN_UNEQUAL_RATES /nodes/2: node `m` merges 3 tokens into one, and 0 would come: nothing leads to it (what comes must be a multiple of 3: split into as many before it, or write another `count`)",
    );
    check(
        &format!("{SPLIT}, {A}, {{ id: b, action: data.set }}, {{ id: j, action: data.set }}"),
        "s -> a -> j, b -> j",
        "PLAN_UNEQUAL_RATES /nodes/3: node `j` joins `a`, which sends 3 token(s), with `b`, which sends 1 (write `join: each` here, or join both before the node that multiplies them)",
    );
}

#[test]
fn the_number_is_known_and_bounded() {
    check(
        &merge("'{{ $input.n }}'"),
        "s -> a -> m",
        "PLAN_TOKENS /nodes/2/parameters/count: how many tokens node `m` makes of one must be known before anything runs (write the number; what runs as often as an expression says is a `flow.for_each`)",
    );
    let many = |id: &str| {
        format!("{{ id: {id}, action: flow.split_tokens, parameters: {{ count: 1000 }} }}")
    };
    check(
        &format!("{}, {}", many("s"), many("t")),
        "s -> t",
        "PLAN_RATE_LIMIT /nodes/1/parameters/count: node `t` would send 1000000 tokens, 1000 each time; the limit is 10000 (run what is behind it in a `flow.for_each`, whose number has no such limit)",
    );
    check(
        &format!(
            "{SPLIT}, {{ id: m, action: flow.merge_tokens, join: any, parameters: {{ count: 3 }} }}"
        ),
        "s -> m",
        "PLAN_TOKENS /nodes/1/join: node `m` merges tokens, and has a join of its own (leave `join` out; put the join into a node before it)",
    );
}

/// One node of a random workflow.
#[derive(Debug, Clone, Copy)]
enum Kind {
    All,
    Any,
    Each,
    Split(u32),
    Merge(u32),
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::All),
        1 => Just(Kind::Any),
        2 => Just(Kind::Each),
        2 => (1..4_u32).prop_map(Kind::Split),
        2 => (1..5_u32).prop_map(Kind::Merge),
    ]
}

/// Whether tokens are left over, or a node that merges gets none, when every token moves as far as it can.
fn leaves_some(kinds: &[Kind], edges: &[(usize, usize)]) -> bool {
    let mut waiting = vec![0_u32; edges.len()];
    let mut open: Vec<usize> = (0..kinds.len())
        .filter(|node| edges.iter().all(|(_, to)| to != node))
        .collect();
    if open
        .iter()
        .any(|node| matches!(kinds[*node], Kind::Merge(_)))
    {
        return true;
    }
    loop {
        while let Some(node) = open.pop() {
            let sent = match kinds[node] {
                Kind::Split(many) => many,
                _ => 1,
            };
            let leaving = (0..edges.len()).filter(|edge| edges[*edge].0 == node);
            leaving.for_each(|edge| waiting[edge] += sent);
        }
        for (node, kind) in kinds.iter().enumerate() {
            let into: Vec<_> = (0..edges.len())
                .filter(|edge| edges[*edge].1 == node)
                .collect();
            let there: u32 = into.iter().map(|edge| waiting[*edge]).sum();
            let mut take = match *kind {
                Kind::Each => u32::from(there > 0),
                Kind::Merge(many) => many * u32::from(there >= many),
                _ if into.iter().all(|edge| waiting[*edge] > 0) => {
                    into.iter().for_each(|edge| waiting[*edge] -= 1);
                    if !into.is_empty() {
                        open.push(node);
                    }
                    continue;
                }
                _ => 0,
            };
            if take > 0 {
                open.push(node);
            }
            for edge in into {
                let taken = take.min(waiting[edge]);
                waiting[edge] -= taken;
                take -= taken;
            }
        }
        if open.is_empty() {
            return waiting.iter().any(|there| *there > 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_workflow_is_refused_exactly_if_tokens_would_be_left_over(
        kinds in proptest::collection::vec(kinds(), 1..8),
        picks in proptest::collection::btree_set((0..8_usize, 0..8_usize), 0..12),
    ) {
        let edges: Vec<_> = picks
            .into_iter()
            .filter(|(from, to)| from < to && *to < kinds.len())
            .collect();
        let node = |(index, kind): (usize, &Kind)| {
            let (action, more) = match kind {
                Kind::All => ("data.set", String::new()),
                Kind::Any => ("data.set", ", join: any".to_owned()),
                Kind::Each => ("data.set", ", join: each".to_owned()),
                Kind::Split(many) => ("flow.split_tokens", format!(", parameters: {{ count: {many} }}")),
                Kind::Merge(many) => ("flow.merge_tokens", format!(", parameters: {{ count: {many} }}")),
            };
            format!("{{ id: n{index}, action: {action}{more} }}")
        };
        let nodes: Vec<_> = kinds.iter().enumerate().map(node).collect();
        let connections = edges.iter().map(|(from, to)| format!("n{from} -> n{to}"));
        let connections: Vec<_> = connections.collect();
        let yaml = format!(
            "nodes: [{}]\nconnections: [{}]",
            nodes.join(", "),
            connections.join(", ")
        );
        let planned = planned(&yaml, &PlanSettings::default());
        prop_assert_eq!(planned.plan.is_none(), leaves_some(&kinds, &edges), "{}", yaml);
        for problem in planned.diagnostics.iter().filter(|it| it.is_error()) {
            prop_assert!(problem.message.contains("`n"), "{}", problem.message);
        }
    }
}
