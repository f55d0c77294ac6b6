//! Bodies: what is planned of them, and what is refused.

mod catalog;

use catalog::{plan_of, planned};
use nebula_execution::PlanOutput;
use nebula_planner::PlanSettings;

#[track_caller]
fn refused(yaml: &str, expected: &[&str]) {
    let planned = planned(yaml, &PlanSettings::default());
    let shown = planned.diagnostics.iter().map(|found| {
        let hint = found.hint.as_ref().map(|hint| format!(" ({hint})"));
        let (code, at, hint) = (found.code, &found.pointer, hint.unwrap_or_default());
        format!("{code} {at}: {}{hint}", found.message)
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected, "\n{yaml}");
}

const NESTED: &str = r#"
nodes:
  - { id: before, action: data.set }
  - id: outer
    action: flow.for_each
    body:
      nodes:
        - { id: a, action: data.set, parameters: { x: "{{ $item }}", y: "{{ $nodes.before.result }}" } }
        - id: inner
          action: flow.loop
          parameters: { until: "$loop.last.done", times: 3 }
          body: { nodes: [{ id: deep, action: data.set, parameters: { x: "{{ $loop.index + $index }}", y: "{{ $nodes.a.result }}" } }] }
        - { id: b, action: data.set }
  - { id: after, action: data.set, parameters: { x: "{{ $nodes.outer.result }}" } }
"#;

#[test]
fn the_nodes_of_bodies_stand_behind_those_of_the_top_level() {
    let plan = plan_of(NESTED);
    let ids: Vec<_> = plan.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["before", "outer", "after", "a", "inner", "b", "deep"]);
    let bodies: Vec<_> = plan
        .bodies
        .iter()
        .map(|it| (it.owner, it.first, it.count))
        .collect();
    assert_eq!(bodies, [(1, 3, 3), (4, 6, 1)]);
    assert_eq!(plan.bodies[0].output, PlanOutput::Node(5));
    assert_eq!(plan.output, PlanOutput::Node(2));
    // What stands in a body is on the way to what follows its node.
    let priorities: Vec<_> = plan.nodes.iter().map(|node| node.priority).collect();
    assert_eq!(priorities, [3, 2, 1, 5, 4, 3, 5]);
}

#[test]
fn the_condition_of_a_handler_reads_the_failure_however_many_inputs_there_are() {
    refused(
        r#"
nodes:
  - { id: a, action: data.set }
  - { id: b, action: data.set }
  - id: t
    action: flow.try
    parameters: { catch: { mend: "$json.code == 'X'" } }
    body: { nodes: [{ id: fails, action: data.set }, { id: mend, action: data.set }] }
connections: [a -> t, b -> t]
"#,
        &[],
    );
}

#[test]
fn handlers_stand_apart_and_give_results_of_their_own() {
    let plan = plan_of(
        r#"
nodes:
  - id: t
    action: flow.try
    parameters: { catch: { mend: "$json.code == 'X'" }, finally: close }
    body:
      nodes:
        - { id: work, action: data.set }
        - { id: more, action: data.set }
        - { id: mend, action: data.set, parameters: { x: "{{ $nodes.work?.result }}" } }
        - { id: close, action: data.set, parameters: { x: "{{ $nodes.mend?.result }}" } }
"#,
    );
    let body = &plan.bodies[0];
    let handlers: Vec<_> = body
        .handlers
        .iter()
        .map(|it| (it.node, it.always))
        .collect();
    assert_eq!(handlers, [(3, false), (4, true)]);
    assert_eq!(body.output, PlanOutput::Node(2));
    assert_eq!(body.handlers[0].output, PlanOutput::Node(3));
    assert_eq!(plan.connections.len(), 1, "work -> more");
}

#[test]
fn a_handler_reads_no_other_one_unless_it_runs_in_any_case() {
    let body = |one: &str, close: &str| {
        format!(
            r#"
nodes:
  - id: t
    action: flow.try
    parameters: {{ catch: {{ one: "true", two: "true" }}, finally: close }}
    body:
      nodes:
        - {{ id: work, action: data.set }}
        - {{ id: one, action: data.set, parameters: {{ x: "{{{{ $nodes.{one}?.result }}}}" }} }}
        - {{ id: two, action: data.set }}
        - {{ id: close, action: data.set, parameters: {{ x: "{{{{ $nodes.{close}?.result }}}}" }} }}
"#
        )
    };
    refused(&body("work", "two"), &[]);
    for other in ["two", "close"] {
        let found = format!(
            "PLAN_NOT_UPSTREAM /nodes/0/body/nodes/1/parameters/x: node `one` reads `{other}`, which does not run before it (connect `{other}` to `one`, directly or through other nodes)"
        );
        refused(&body(other, "work"), &[&found]);
    }
}

#[test]
fn a_body_needs_an_action_that_runs_it() {
    refused(
        "nodes: [{ id: a, action: data.set, body: { nodes: [{ id: b, action: data.set }] } }]",
        &[
            "PLAN_BODY /nodes/0/body: `data.set` does not run the body of node `a` (bodies belong to flow.for_each, flow.loop, flow.mutex, flow.parallel, flow.race, flow.semaphore and flow.try)",
        ],
    );
    refused(
        "nodes: [{ id: a, action: flow.loop }]",
        &[
            "PLAN_BODY /nodes/0: node `a` has no body, and `flow.loop` runs one (write `body: { nodes: [...] }` with the nodes that it runs)",
        ],
    );
}

#[test]
fn problems_in_a_body_say_where_it_stands() {
    refused(
        "nodes: [{ id: a, action: flow.parallel, body: { nodes: [{ id: b, action: data.sett }, { id: c, action: data.set, parameters: { x: '{{ $nodes.x }}' } }] } }]",
        &[
            "PLAN_UNKNOWN_ACTION /nodes/0/body/nodes/0/action: there is no action `data.sett` (did you mean `data.set`?)",
            "NAME_UNKNOWN_NODE /nodes/0/body/nodes/1/parameters/x: there is no node `x` (did you mean `a`?)",
        ],
    );
}

#[test]
fn a_body_is_read_from_inside_only() {
    refused(
        "nodes: [{ id: a, action: flow.parallel, body: { nodes: [{ id: b, action: data.set }] } }, { id: c, action: data.set, parameters: { x: '{{ $nodes.b.result }}' } }]",
        &[
            "PLAN_NOT_UPSTREAM /nodes/1/parameters/x: node `c` reads `b`, which stands in the body of `a` (only what the body gives leaves it: read `$nodes.a.result`)",
        ],
    );
    refused(
        "nodes: [{ id: a, action: flow.parallel, body: { nodes: [{ id: b, action: data.set, parameters: { x: '{{ $nodes.a.result }}' } }] } }]",
        &[
            "PLAN_NOT_UPSTREAM /nodes/0/body/nodes/0/parameters/x: node `b` reads `a`, in whose body it stands (read what the body begins with: `$json`, `$item` or `$loop`)",
        ],
    );
    refused(
        "nodes: [{ id: a, action: flow.parallel, body: { nodes: [{ id: b, action: data.set, parameters: { x: '{{ $item }}' } }] } }]",
        &[
            "PLAN_ROOT_NOT_HERE /nodes/0/body/nodes/0/parameters/x: `$item` does not exist here: it is the element of a `for_each` or of a list action, and belongs into its parameters",
        ],
    );
}

#[test]
fn handlers_are_nodes_of_the_body_that_nothing_else_leads_to() {
    refused(
        "nodes: [{ id: t, action: flow.try, parameters: { catch: { mnd: true } }, body: { nodes: [{ id: a, action: data.set }, { id: mend, action: data.set }] } }]",
        &[
            "PLAN_HANDLER /nodes/0/parameters/catch/mnd: the body of `t` has no node `mnd` (did you mean `mend`?)",
        ],
    );
    refused(
        "nodes: [{ id: t, action: flow.try, parameters: { catch: { mend: true }, finally: mend }, body: { nodes: [{ id: a, action: data.set }, { id: mend, action: data.set }] } }]",
        &[
            "PLAN_HANDLER /nodes/0/parameters/finally: node `mend` has two tasks in `t` (name another node, or put a copy of it into the body)",
        ],
    );
    refused(
        "nodes: [{ id: t, action: flow.try, parameters: { catch: { mend: true } }, body: { nodes: [{ id: a, action: data.set }, { id: mend, action: data.set }], connections: [a -> mend] } }]",
        &[
            "PLAN_HANDLER /nodes/0/body/nodes/1: `mend` belongs to a handler, and `a` leads to it from elsewhere (what a handler runs stands apart: take the connection away)",
        ],
    );
}

#[test]
fn bodies_stand_in_each_other_as_deep_as_allowed() {
    let nested = |depth: usize| {
        let mut node = "{ id: n, action: data.set }".to_owned();
        for level in 0..depth {
            node =
                format!("{{ id: b{level}, action: flow.parallel, body: {{ nodes: [{node}] }} }}");
        }
        planned(&format!("nodes: [{node}]"), &PlanSettings::default()).diagnostics
    };
    assert!(nested(16).is_empty());
    assert_eq!(nested(17)[0].code, "PLAN_BODY");
}

/// A node that holds `outer` while its body holds `inner`.
fn nest(id: &str, outer: &str, inner: &str) -> String {
    format!(
        "{{ id: {id}, action: {outer}, body: {{ nodes: [{{ id: {id}i, action: {inner}, body: {{ nodes: [{{ id: {id}n, action: data.set }}] }} }}] }} }}"
    )
}

#[test]
fn what_would_wait_for_itself_is_refused() {
    let (x, y, z) = (
        "flow.mutex, parameters: { name: x }",
        "flow.mutex, parameters: { name: y }",
        "flow.semaphore, parameters: { name: z, permits: 2 }",
    );
    refused(
        &format!("nodes: [{}]", nest("a", x, x)),
        &[
            "PLAN_LOCK /nodes/0/body/nodes/0/parameters/name: node `ai` takes the mutex `x`, which `a` holds, in whose body it stands (take the inner one away: the outer one is enough)",
        ],
    );
    refused(
        &format!(
            "nodes: [{}, {}, {}]",
            nest("a", x, y),
            nest("b", y, z),
            nest("c", z, x)
        ),
        &[
            "PLAN_LOCK /nodes/2/body/nodes/0/parameters/name: node `ci` takes the mutex `x` while the semaphore `z` is held, and `bi` the other way round: they would wait for each other (nest them in one order everywhere)",
        ],
    );
    let wider = z.replace('2', "3");
    refused(
        &format!("nodes: [{}, {}]", nest("a", x, z), nest("b", x, &wider)),
        &[
            "PLAN_LOCK /nodes/1/body/nodes/0/parameters/permits: the semaphore `z` has 3 permits in node `bi` and 2 in `ai` (write the same number everywhere, or give one of them another name)",
        ],
    );
    // Another scope, another kind and a name that is not known yet are nobody's way.
    for (outer, inner) in [
        (x, "flow.mutex, parameters: { name: x, scope: execution }"),
        (x, "flow.semaphore, parameters: { name: x, permits: 1 }"),
        (x, "flow.mutex, parameters: { name: '{{ $input.x }}' }"),
        ("flow.mutex, disabled: true, parameters: { name: x }", x),
    ] {
        let yaml = format!("nodes: [{}, {}]", nest("a", outer, inner), nest("b", x, y));
        assert!(
            planned(&yaml, &PlanSettings::default())
                .diagnostics
                .is_empty(),
            "{yaml}"
        );
    }
}
