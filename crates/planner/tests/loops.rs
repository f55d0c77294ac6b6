//! Connections that go back: what loops a plan has, and which are refused.

mod catalog;

use catalog::{plan_of, planned};
use nebula_execution::PlanOutput;
use nebula_planner::PlanSettings;
use nebula_workflow::Diagnostic;

/// A workflow of nodes `a` to `e` with these connections; nodes may say more about themselves.
fn yaml(nodes: &str, connections: &str) -> String {
    let plain = ["a", "b", "c", "d", "e"].iter().filter(|id| {
        let own = nodes.contains(&format!("id: {id},"));
        !own && connections.contains(*id)
    });
    let plain = plain.map(|id| format!("{{ id: {id}, action: data.set }}"));
    let own = Some(nodes.to_owned()).filter(|nodes| !nodes.is_empty());
    let all: Vec<_> = own.into_iter().chain(plain).collect();
    let connections = connections.replace('^', "loop: true");
    format!("nodes: [{}]\nconnections: [{connections}]", all.join(", "))
}

/// Compares the loops: `entry: nodes (max_rounds)`.
#[track_caller]
fn check(nodes: &str, connections: &str, expected: &str) {
    let plan = plan_of(&yaml(nodes, connections));
    let id = |node: &u32| plan.node(*node).id.to_string();
    let loops = plan.loops.iter().map(|part| {
        let nodes: Vec<_> = part.nodes.iter().map(id).collect();
        format!(
            "{}: {} ({})",
            id(&part.entry),
            nodes.join(" "),
            part.max_rounds
        )
    });
    assert_eq!(loops.collect::<Vec<_>>().join(", "), expected);
}

/// Compares every diagnostic: `code pointer: message (hint)`.
#[track_caller]
fn refused(nodes: &str, connections: &str, expected: &[&str]) {
    let planned = planned(&yaml(nodes, connections), &PlanSettings::default());
    let show = |it: &Diagnostic| {
        let hint = it.hint.as_deref().unwrap_or_default();
        format!("{} {}: {} ({hint})", it.code, it.pointer, it.message)
    };
    let shown: Vec<_> = planned.diagnostics.iter().map(show).collect();
    assert_eq!(shown, expected);
    assert!(planned.plan.is_none());
}

#[test]
fn a_loop_is_what_comes_round_through_what_goes_back() {
    check(
        "",
        "a -> b -> c, { from: c, to: b, ^ }, c -> d",
        "b: b c (1000)",
    );
    check("", "{ from: a, to: a, ^, max_rounds: 7 }", "a: a (7)");
}

#[test]
fn several_connections_may_close_a_loop_and_the_least_bound_holds() {
    check(
        "",
        "a -> b, a -> c, { from: b, to: a, ^, max_rounds: 9 }, { from: c, to: a, ^, max_rounds: 5 }",
        "a: a b c (5)",
    );
}

#[test]
fn loops_may_follow_each_other() {
    check(
        "",
        "{ from: a, to: a, ^ }, a -> b -> c, { from: c, to: b, ^ }",
        "a: a (1000), b: b c (1000)",
    );
}

#[test]
fn a_loop_that_nothing_leaves_gives_what_its_last_nodes_gave() {
    let output = |connections: &str| plan_of(&yaml("", connections)).output.clone();
    let closed = output("a -> b, { from: b, to: a, ^ }");
    assert_eq!(closed, PlanOutput::Node(1));
    let left = output("a -> b, { from: b, to: a, ^ }, a -> c");
    assert_eq!(left, PlanOutput::Node(2));
}

#[test]
fn what_closes_no_loop_is_refused() {
    refused(
        "",
        "a -> b, { from: a, to: b, port: error, ^ }",
        &[
            "PLAN_LOOP /connections/1: the connection from `a` to `b` closes no loop: `b` does not lead to `a` (take `loop` away, or connect `b` to `a`)",
        ],
    );
}

#[test]
fn a_cycle_needs_a_connection_that_closes_it() {
    refused(
        "",
        "a -> b -> c -> b, { from: c, to: a, ^ }",
        &[
            "PLAN_CYCLE /connections/0: nodes wait for each other: b → c → b (take one of these connections away, or write `loop: true` at the one that goes back)",
        ],
    );
}

#[test]
fn a_loop_begins_at_one_node() {
    refused(
        "",
        "a -> b -> c, { from: c, to: a, ^ }, { from: c, to: b, ^ }",
        &[
            "PLAN_LOOP /connections/2: the loop of `a`, `b`, `c` begins at `a`, and `b` begins a round (go back to `a`; a loop in a loop is a `flow.loop`)",
        ],
    );
    refused(
        "",
        "d -> a -> b -> c, { from: c, to: b, ^ }, d -> c",
        &[
            "PLAN_LOOP /connections/2: the loop of `b`, `c` begins at `b`, and `c` is reached from outside (connect `d` to `b`)",
        ],
    );
}

#[test]
fn a_loop_begins_once() {
    refused(
        "{ id: c, action: data.set, join: each }",
        "a -> c, b -> c, { from: c, to: c, ^ }",
        &[
            "PLAN_LOOP /nodes/0: the loop at `c` would begin 2 times (join before it with `join: any` or `all`, or run `c` in a `flow.loop`)",
        ],
    );
}

#[test]
fn rates_in_a_loop_are_those_of_a_round_and_it_is_left_once() {
    let plan = plan_of(&yaml(
        "{ id: d, action: data.set, join: each }",
        "a -> b, a -> c, b -> d, c -> d, { from: d, to: a, ^ }, d -> e",
    ));
    let rates: Vec<_> = plan
        .nodes
        .iter()
        .map(|node| format!("{} {}", node.id, node.rate))
        .collect();
    assert_eq!(rates.join(", "), "d 2, a 1, b 1, c 1, e 1");
}

#[test]
fn rounds_have_a_range() {
    let connections = |rounds: u32| format!("{{ from: a, to: a, ^, max_rounds: {rounds} }}");
    check("", &connections(10_000), "a: a (10000)");
    refused(
        "",
        &connections(10_001),
        &[
            "PLAN_LOOP /connections/0/max_rounds: a loop cannot have 10001 rounds (write a number from 1 to 10000)",
        ],
    );
}

#[test]
fn a_later_node_of_the_loop_may_be_read_as_that_of_the_round_before() {
    let reading = |read: &str| {
        format!("{{ id: a, action: data.set, parameters: {{ x: \"{{{{ {read} }}}}\" }} }}")
    };
    let connections = "a -> b, { from: b, to: a, ^ }";
    check(&reading("$nodes.b?.result"), connections, "a: a b (1000)");
    refused(
        &reading("$nodes.b.result"),
        connections,
        &[
            "PLAN_NOT_CERTAIN /nodes/0/parameters/x: node `a` reads `b`, which comes after it in their loop (write `$nodes.b?.`: it is that of the round before, and none in the first)",
        ],
    );
}

#[test]
fn what_may_run_at_the_same_time_in_a_loop_is_not_read() {
    refused(
        "{ id: b, action: data.set, parameters: { x: \"{{ $nodes.c?.result }}\" } }",
        "a -> b, a -> c, b -> d, c -> d, { from: d, to: a, ^ }",
        &[
            "PLAN_NOT_UPSTREAM /nodes/0/parameters/x: node `b` reads `c`, which does not run before it (connect `c` to `b`, directly or through other nodes)",
        ],
    );
    refused(
        "{ id: b, action: data.set, parameters: { x: \"{{ $nodes.d?.result }}\" } }, { id: d, action: data.set, join: any }",
        "a -> b, a -> c, b -> d, c -> d, { from: d, to: a, ^ }",
        &[
            "PLAN_NOT_UPSTREAM /nodes/0/parameters/x: node `b` reads `d`, which does not run before it (connect `d` to `b`, directly or through other nodes)",
        ],
    );
}

#[test]
fn everything_in_a_loop_has_ended_behind_it() {
    check(
        "{ id: d, action: data.set, parameters: { x: \"{{ $nodes.c.result }}\" } }",
        "a -> b, a -> c, b -> d, { from: c, to: a, ^ }, { from: b, to: a, ^ }",
        "a: a b c (1000)",
    );
}

#[test]
fn several_tokens_that_go_back_are_several_values() {
    refused(
        "{ id: a, action: data.set, parameters: { x: \"{{ $json }}\" } }",
        "a -> b, a -> c, { from: b, to: a, ^ }, { from: c, to: a, ^ }",
        &[
            "PLAN_SEVERAL_INPUTS /nodes/0/parameters/x: `$json` is read in node `a`, where 2 values can arrive (read `$inputs.main`, a list, or `$nodes.<id>.result`; or write `join: any` if only one comes)",
        ],
    );
}
