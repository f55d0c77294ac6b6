//! What `flow.cancel` may name, and what a join that cancels the rest gives up.

mod catalog;

use catalog::{plan_of, planned};
use nebula_planner::PlanSettings;
use nebula_workflow::Diagnostic;

/// Compares every diagnostic: `severity code pointer: message (hint)`.
#[track_caller]
fn check(yaml: &str, expected: &[&str]) {
    let planned = planned(yaml, &PlanSettings::default());
    let show = |it: &Diagnostic| {
        let hint = it.hint.as_deref().unwrap_or_default();
        let weight = if it.is_error() { "error" } else { "lint" };
        format!(
            "{weight} {} {}: {} ({hint})",
            it.code, it.pointer, it.message
        )
    };
    let shown: Vec<_> = planned.diagnostics.iter().map(show).collect();
    assert_eq!(shown, expected, "\n{yaml}");
    let refused = planned.diagnostics.iter().any(Diagnostic::is_error);
    assert_eq!(planned.plan.is_none(), refused);
}

/// A `flow.cancel` of these nodes at the top, and one in a body.
fn cancel(top: &str, inner: &str) -> String {
    format!(
        r#"
nodes:
  - {{ id: a, action: data.set }}
  - {{ id: k, action: flow.cancel, parameters: {{ nodes: {top} }} }}
  - id: p
    action: flow.try
    parameters: {{ catch: {{ h: "true" }} }}
    body:
      nodes:
        - {{ id: b, action: data.set }}
        - {{ id: l, action: flow.cancel, parameters: {{ nodes: {inner} }} }}
        - {{ id: h, action: data.set }}
      connections: []
connections: []
"#
    )
}

#[test]
fn nodes_beside_it_and_around_its_body_may_be_cancelled() {
    check(&cancel("[a, p]", "[b, a, k]"), &[]);
}

#[test]
fn what_cannot_be_cancelled_is_named() {
    let one = |top: &str, expected: &str| check(&cancel(top, "[a]"), &[expected]);
    one(
        "[aa]",
        "error PLAN_CANCEL /nodes/1/parameters/nodes/0: `k` cancels `aa`, and there is no such node (did you mean `a`?)",
    );
    one(
        "[a, k]",
        "error PLAN_CANCEL /nodes/1/parameters/nodes/1: node `k` cannot cancel itself (name other nodes, or write `execution: true`)",
    );
    one(
        "[b]",
        "error PLAN_CANCEL /nodes/1/parameters/nodes/0: node `k` cancels `b`, which stands in the body of `p` (cancel `p`, and all of its body with it)",
    );
    one(
        "'{{ $input.which }}'",
        "error PLAN_CANCEL /nodes/1/parameters/nodes: what is given up must be known before anything runs (write the ids as they are; choose between them with `flow.switch`)",
    );
    check(
        &cancel("[a]", "[p, h]"),
        &[
            "error PLAN_CANCEL /nodes/2/body/nodes/1/parameters/nodes/0: node `l` cannot cancel `p`, in whose body it stands (end the body with `flow.fail`, or write `execution: true`)",
            "error PLAN_CANCEL /nodes/2/body/nodes/1/parameters/nodes/1: node `l` cannot cancel `h`, which is a handler (name nodes behind it)",
        ],
    );
}

/// Compares what the join of `j` gives up.
#[track_caller]
fn rest(connections: &str, expected: &str) {
    let plain = connections
        .replace("from", "")
        .replace("to", "")
        .replace("loop: true", "");
    let names = ["a", "b", "c", "d", "x"]
        .into_iter()
        .filter(|id| plain.contains(id));
    let nodes: Vec<_> = names
        .map(|name| format!("{{ id: {name}, action: data.set }}"))
        .collect();
    let yaml = format!(
        "nodes: [{}, {{ id: j, action: data.set, join: {{ count: 1, rest: cancel }} }}]\nconnections: [{connections}]",
        nodes.join(", ")
    );
    let plan = plan_of(&yaml);
    let join = plan.index_of("j").unwrap();
    let cancelled = plan.cancelled_by(join).iter();
    let cancelled: Vec<_> = cancelled.map(|node| plan.node(*node).id.as_str()).collect();
    assert_eq!(cancelled.join(" "), expected, "{connections}");
    assert_eq!(plan.format, 3);
}

#[test]
fn a_join_gives_up_what_leads_only_to_it() {
    rest("a -> b -> j, c -> d -> j", "a b c d");
    rest("a -> b -> j, a -> x, c -> j", "b c");
    rest("a -> b, a -> c, b -> j, c -> j, c -> d", "b");
    rest("a -> b, b -> j, c -> d, d -> j, b -> d", "a b c d");
    // What comes round is given up as a whole, or runs on as a whole.
    rest(
        "a -> b, { from: b, to: a, loop: true }, b -> j, c -> j",
        "a b c",
    );
    rest(
        "a -> b, { from: b, to: a, loop: true }, b -> j, a -> d, c -> j",
        "c",
    );
}

#[test]
fn a_join_that_cancels_the_rest_is_reached_once() {
    check(
        r#"
nodes:
  - { id: a, action: data.set }
  - { id: b, action: data.set }
  - { id: s, action: data.set, join: each }
  - { id: x, action: data.set }
  - { id: y, action: data.set }
  - { id: j, action: data.set, join: { count: 1, rest: cancel } }
connections: [a -> s, b -> s, s -> x, s -> y, x -> j, y -> j]
"#,
        &[
            "error PLAN_CANCEL /nodes/5/join: node `j` cancels the rest and is reached 2 times, so branches of several rounds run beside each other (write `rest: absorb`, or join before the node that multiplies the tokens)",
        ],
    );
}

#[test]
fn a_join_with_nothing_to_cancel_is_pointed_out() {
    check(
        r#"
nodes:
  - { id: a, action: data.set }
  - { id: x, action: data.set }
  - { id: j, action: data.set, join: { count: 1, rest: cancel } }
connections: [a -> j, a -> x]
"#,
        &[
            "lint PLAN_CANCEL /nodes/2/join: node `j` cancels the rest, and every node before it also leads elsewhere (nothing would be cancelled; write `rest: absorb`, or name nodes in a `flow.cancel`)",
        ],
    );
}
