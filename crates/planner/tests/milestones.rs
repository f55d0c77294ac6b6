//! Between the ends of which nodes a milestone may lie.

mod catalog;

use catalog::{plan_of, planned};
use nebula_planner::PlanSettings;
use nebula_workflow::Diagnostic;

/// Compares every diagnostic: `severity pointer: message (hint)`.
#[track_caller]
fn check(yaml: &str, expected: &[&str]) {
    let planned = planned(yaml, &PlanSettings::default());
    let show = |it: &Diagnostic| {
        assert_eq!(it.code, "PLAN_MILESTONE", "{it:?}");
        let hint = it.hint.as_deref().unwrap_or_default();
        let weight = if it.is_error() { "error" } else { "lint" };
        format!("{weight} {}: {} ({hint})", it.pointer, it.message)
    };
    let shown: Vec<_> = planned.diagnostics.iter().map(show).collect();
    assert_eq!(shown, expected, "\n{yaml}");
    let refused = planned.diagnostics.iter().any(Diagnostic::is_error);
    assert_eq!(planned.plan.is_none(), refused);
}

/// A milestone `m` with these parameters, beside `a`, `b` and `z`.
fn flat(parameters: &str, connections: &str) -> String {
    format!(
        "nodes: [{{ id: a, action: data.set }}, {{ id: b, action: data.set }}, {{ id: m, action: flow.milestone, parameters: {{ {parameters} }} }}, {{ id: z, action: data.set }}]\nconnections: [{connections}]"
    )
}

#[track_caller]
fn flat_says(parameters: &str, connections: &str, expected: &[&str]) {
    check(&flat(parameters, connections), expected);
}

/// The same, in the body of a `flow.try` whose handler is `h`.
fn nested(inner: &str, handled: &str, connections: &str) -> String {
    format!(
        r#"
nodes:
  - {{ id: a, action: data.set }}
  - id: p
    action: flow.try
    parameters: {{ catch: {{ h: "true" }} }}
    body:
      nodes:
        - {{ id: b, action: data.set }}
        - {{ id: m, action: flow.milestone, parameters: {{ {inner} }} }}
        - {{ id: h, action: data.set }}
        - {{ id: n, action: flow.milestone, parameters: {{ {handled} }} }}
      connections: [h -> n]
  - {{ id: c, action: data.set }}
connections: [{connections}]
"#
    )
}

#[test]
fn a_milestone_lies_between_nodes_beside_it_and_around_its_body() {
    flat_says("reached: a, until: b", "a -> b, m -> z", &[]);
    flat_says("reached: a, until: z", "a -> m -> z, b -> z", &[]);
    flat_says("until: b", "a -> b, m -> z", &[]);
    flat_says("reached: b", "a -> b, m -> z", &[]);
    check(
        &nested("reached: b, until: c", "reached: a, until: c", "a -> c"),
        &[],
    );
    let plan = plan_of(&nested("reached: b, until: c", "until: c", "a -> c"));
    let index = |id: &str| plan.index_of(id).unwrap();
    let of = |id: &str| plan.node(index(id)).milestone.unwrap();
    assert_eq!(
        (of("m").reached, of("m").until),
        (Some(index("b")), Some(index("c")))
    );
    assert_eq!((of("n").reached, of("n").until), (None, Some(index("c"))));
    assert_eq!(plan.format, 3);
    // What does not run asks nothing.
    let inert = plan_of(
        &flat("reached: z", "m -> z").replace("flow.milestone,", "flow.milestone, pin: 1,"),
    );
    assert_eq!(inert.node(inert.index_of("m").unwrap()).milestone, None);
}

#[test]
fn a_node_that_cannot_be_asked_about_is_named() {
    flat_says(
        "reached: aa",
        "a -> b",
        &[
            "error /nodes/2/parameters/reached: node `m` asks about `aa`, and there is no such node (did you mean `a`?)",
        ],
    );
    flat_says(
        "until: m",
        "a -> b",
        &[
            "error /nodes/2/parameters/until: node `m` asks about `m`, which is itself (name a node whose end it does not wait for)",
        ],
    );
    flat_says(
        "reached: '{{ $input.x }}'",
        "a -> b",
        &[
            "error /nodes/2/parameters/reached: what a milestone lies between must be known before anything runs (write the id as it is; choose between several with `flow.switch`)",
        ],
    );
    check(
        &nested("reached: p", "until: a", ""),
        &[
            "error /nodes/1/body/nodes/1/parameters/reached: node `m` asks about `p`, in whose body it stands (name a node whose end it does not wait for)",
        ],
    );
    flat_says(
        "reached: a",
        "{ from: a, to: b }, { from: b, to: a, loop: true }, a -> z",
        &[
            "error /nodes/2/parameters/reached: node `m` asks about `a`, which may run more than once (name a node that runs once, or in each round)",
        ],
    );
    // In one loop it means the one of the round.
    flat_says(
        "reached: a",
        "b -> a -> z, b -> m -> z, { from: z, to: b, loop: true }",
        &[],
    );
    let body = "nodes: [{ id: m, action: flow.milestone, parameters: { reached: x } }, { id: p, action: flow.parallel, body: { nodes: [{ id: x, action: data.set }] } }]\nconnections: []";
    check(
        body,
        &[
            "error /nodes/0/parameters/reached: node `m` asks about `x`, which stands in the body of `p` (name the node that has the body)",
        ],
    );
}

#[test]
fn what_could_be_waited_for_for_ever_is_refused() {
    flat_says(
        "reached: z",
        "a -> b, m -> z",
        &[
            "error /nodes/2/parameters/reached: `m` would wait for itself: m → z → m (name a node that does not wait for this one)",
        ],
    );
    // By way of the body that it is.
    check(
        "nodes: [{ id: a, action: data.set }, { id: p, action: flow.parallel, body: { nodes: [{ id: m, action: flow.milestone, parameters: { reached: c } }] } }, { id: c, action: data.set }]\nconnections: [p -> c]",
        &[
            "error /nodes/1/body/nodes/0/parameters/reached: `m` would wait for itself: m → c → p → m (name a node that does not wait for this one)",
        ],
    );
    // By way of the body in which it stands.
    check(
        &nested("reached: c", "until: a", "p -> c"),
        &[
            "error /nodes/1/body/nodes/1/parameters/reached: `m` would wait for itself: m → c → p → m (name a node that does not wait for this one)",
        ],
    );
    // What leaves a loop waits for all of it.
    flat_says(
        "reached: z",
        "a -> b, a -> m, { from: b, to: a, loop: true }, { from: m, to: a, loop: true, condition: 'false' }, b -> z",
        &[
            "error /nodes/2/parameters/reached: `m` would wait for itself: m → z → m (name a node that does not wait for this one)",
        ],
    );
    // Two that wait for each other.
    let ring = "nodes: [{ id: m, action: flow.milestone, parameters: { reached: b } }, { id: a, action: data.set }, { id: n, action: flow.milestone, parameters: { reached: a } }, { id: b, action: data.set }]\nconnections: [m -> a, n -> b]";
    check(
        ring,
        &[
            "error /nodes/0/parameters/reached: `m` would wait for itself: m → b → n → a → m (name a node that does not wait for this one)",
            "error /nodes/2/parameters/reached: `n` would wait for itself: n → a → m → b → n (name a node that does not wait for this one)",
        ],
    );
    // Where the handler runs, the others need not have run.
    check(
        &nested("until: a", "reached: b", ""),
        &[
            "error /nodes/1/body/nodes/3/parameters/reached: `n` would wait for `b`, and one of them belongs to a handler: where it runs, the other need not (ask in the handler with `$nodes` instead)",
        ],
    );
    check(&nested("until: a", "reached: a", ""), &[]);
}

#[test]
fn what_is_over_before_anybody_asks_is_pointed_out() {
    flat_says(
        "reached: a, until: a",
        "a -> b, m -> z",
        &[
            "error /nodes/2/parameters/until: the milestone is over when `a` has succeeded (name a later node, or leave `until` out)",
        ],
    );
    flat_says(
        "reached: b, until: a",
        "a -> b, m -> z",
        &[
            "lint /nodes/2/parameters/until: `a` is settled before `b` begins: the milestone holds only if it was skipped (name a later node, or decide by its status with `flow.if`)",
        ],
    );
    flat_says(
        "reached: b, until: a",
        "a -> m -> z",
        &[
            "lint /nodes/2/parameters/until: `a` is settled before `m` begins: the milestone holds only if it was skipped (name a later node, or decide by its status with `flow.if`)",
        ],
    );
}
