//! What a plan says: versions, effects, capabilities, limits, order, output.

mod catalog;

use std::time::Duration;

use catalog::{plan_of, planned};
use nebula_execution::{ExecutionPlan, PlanOutput};
use nebula_planner::PlanSettings;
use nebula_workflow::OnError;

/// Compares one aspect of each node: `id aspect`.
#[track_caller]
fn check(yaml: &str, aspect: fn(&nebula_execution::PlanNode) -> String, expected: &str) {
    let plan = plan_of(yaml);
    let shown: Vec<_> = plan
        .nodes
        .iter()
        .map(|n| format!("{} {}", n.id, aspect(n)))
        .collect();
    assert_eq!(shown.join(", "), expected, "\n{yaml}");
}

#[test]
fn versions_are_the_newest_that_fit() {
    let yaml = "nodes: [{ id: a, action: data.set }, { id: b, action: data.set@1 }, { id: c, action: data.set@1.2 }]";
    check(yaml, |node| node.version.to_string(), "a 2.0, b 1.3, c 1.3");
}

#[test]
fn effects_follow_from_literal_parameters_and_are_the_worst_of_dynamic_ones() {
    let effect = |node: &nebula_execution::PlanNode| node.effect.as_str().to_owned();
    let yaml = r#"nodes:
  - { id: a, action: file.write, parameters: { path: x } }
  - { id: b, action: file.write, parameters: { path: x, mode: append } }
  - { id: c, action: file.write, parameters: { path: x, mode: "{{ $json.mode }}" } }
  - { id: d, action: file.write, parameters: { path: x, mode: append }, disabled: true }
  - { id: e, action: file.write, parameters: { path: x, mode: append }, pin: 1 }
"#;
    check(
        yaml,
        effect,
        "a idempotent, b at_most_once, c at_most_once, d pure, e pure",
    );
}

#[test]
fn capabilities_are_what_literals_imply_and_requires_names() {
    let asked = |node: &nebula_execution::PlanNode| {
        format!("{} + {}", node.capabilities.join(" "), node.requires.len())
    };
    let yaml = r#"nodes:
  - { id: a, action: file.write, parameters: { path: out/a.txt }, requires: ["fs:read:in"] }
  - { id: b, action: file.write, parameters: { path: "out/{{ $json.name }}.txt" } }
  - { id: c, action: file.write, parameters: { path: "{{ $json.path }}" }, requires: ["fs:write:{{ $input.dir }}"] }
  - { id: d, action: file.write, parameters: { path: out }, disabled: true }
"#;
    let expected = "a fs:write:out/a.txt fs:read:in + 0, b fs:write:out + 0, c  + 1, d  + 0";
    check(yaml, asked, expected);
}

#[test]
fn concurrency_is_the_least_of_preset_workflow_and_node() {
    let concurrency = |node: &nebula_execution::PlanNode| node.concurrency.to_string();
    let nodes = "nodes: [{ id: a, action: data.set }, { id: b, action: data.set, concurrency: 4 }, { id: c, action: data.set, concurrency: 99 }]";
    check(nodes, concurrency, "a 16, b 4, c 16");
    check(
        &format!("limits: {{ concurrency: 3 }}\n{nodes}"),
        concurrency,
        "a 3, b 3, c 3",
    );
    assert_eq!(
        plan_of(&format!("limits: {{ concurrency: 99 }}\n{nodes}")).concurrency,
        16
    );
}

#[test]
fn timeouts_come_from_the_node_then_the_action_then_the_preset() {
    let yaml = "nodes: [{ id: a, action: data.set }, { id: b, action: file.write, parameters: { path: x } }, { id: c, action: file.write, timeout: 3s, parameters: { path: x } }]\nlimits: { timeout: 1h }";
    check(
        yaml,
        |node| node.timeout.as_secs().to_string(),
        "a 300, b 20, c 3",
    );
    assert_eq!(plan_of(yaml).timeout, Some(Duration::from_secs(3600)));
    let settings = PlanSettings {
        attempt_timeout: Duration::from_secs(7),
        ..PlanSettings::default()
    };
    let plan = planned("nodes: [{ id: a, action: data.set }]", &settings)
        .plan
        .unwrap();
    assert_eq!(plan.nodes[0].timeout, Duration::from_secs(7));
}

#[test]
fn attempts_come_from_the_node_then_from_an_action_whose_repetition_is_harmless() {
    let node = |id: &str, more: &str| {
        format!("{{ id: {id}, action: test.again, parameters: {{ path: x{more} }}")
    };
    let (a, b, c) = (
        node("a", ", mode: overwrite"),
        node("b", ", mode: append"),
        node("c", ", mode: overwrite"),
    );
    let yaml = format!(
        "nodes: [{a} }}, {b} }}, {c}, retry: {{ max_attempts: 2 }} }}, {{ id: d, action: test.read }}]"
    );
    // What may act twice is made once, whatever its action says.
    check(
        &yaml,
        |node| node.retry.max_attempts.to_string(),
        "a 5, b 1, c 2, d 1",
    );
}

#[test]
fn priority_is_the_length_of_the_longest_path_to_an_end() {
    let yaml = "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set }, { id: d, action: data.set }]\nconnections: [a -> b -> c, a -> d]";
    check(yaml, |node| node.priority.to_string(), "a 3, b 2, c 1, d 1");
}

#[test]
fn rates_add_up_at_each_and_stay_elsewhere() {
    let yaml = "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: c, action: data.set, join: each }, { id: d, action: data.set }]\nconnections: [a -> c, b -> c, c -> d]";
    check(yaml, |node| node.rate.to_string(), "a 1, b 1, c 2, d 2");
}

#[test]
fn a_connection_from_the_error_port_routes_failures() {
    let yaml = "nodes: [{ id: a, action: data.set }, { id: b, action: data.set, on_error: continue }]\nconnections: [a.error -> b]";
    check(
        yaml,
        |node| format!("{:?}", node.on_error),
        "a Route, b Continue",
    );
    assert_eq!(plan_of(yaml).nodes[0].on_error, OnError::Route);
}

#[test]
fn a_node_without_a_retry_policy_is_tried_once() {
    let yaml = "nodes: [{ id: a, action: data.set }, { id: b, action: data.set, retry: {} }]";
    check(yaml, |node| node.retry.max_attempts.to_string(), "a 1, b 3");
}

#[test]
fn defaults_of_the_action_stand_where_the_author_wrote_nothing() {
    let parameters = |node: &nebula_execution::PlanNode| {
        let names: Vec<_> = node.parameters.resolved.keys().cloned().collect();
        let deferred: Vec<_> = node.parameters.deferred.keys().cloned().collect();
        format!("{} / {}", names.join(" "), deferred.join(" "))
    };
    let yaml = r#"nodes:
  - { id: a, action: data.filter, parameters: { condition: $item > 1 } }
  - { id: b, action: flow.switch, parameters: { cases: { high: $json > 1, low: "true" } } }
"#;
    check(
        yaml,
        parameters,
        "a items / condition, b  / cases/high cases/low",
    );
}

#[test]
fn cases_name_ports_whether_or_not_their_conditions_stand_in_braces() {
    for high in ["$json > 1", "{{ $json > 1 }}"] {
        let plan = plan_of(&format!(
            r#"nodes:
  - {{ id: a, action: flow.switch, parameters: {{ cases: {{ high: "{high}", low: "true" }} }} }}
  - {{ id: b, action: data.set }}
connections: [a.high -> b]
"#
        ));
        assert_eq!(plan.connections.len(), 1, "from the port `high`");
    }
}

#[test]
fn the_output_is_that_of_the_ends_or_what_the_author_says() {
    let two = "nodes: [{ id: a, action: data.set }, { id: b, action: data.set }]";
    assert_eq!(plan_of(two).output, PlanOutput::Node(1));
    assert_eq!(
        plan_of(&format!("{two}\nconnections: []")).output,
        PlanOutput::Nodes(vec![0, 1])
    );
    let own = plan_of(&format!(
        "{two}\noutput: {{ x: \"{{{{ $nodes.a.result }}}}\" }}"
    ));
    assert!(matches!(own.output, PlanOutput::Program(_)));
}

#[test]
fn the_same_definition_gives_the_same_plan_and_it_reads_back() {
    let yaml = "nodes: [{ id: a, action: data.set, when: $input.ok }, { id: b, action: data.set }]";
    let (bytes, digest) = plan_of(yaml).encode();
    assert_eq!(plan_of(yaml).encode(), (bytes.clone(), digest));
    assert_eq!(ExecutionPlan::decode(&bytes).unwrap(), plan_of(yaml));
}

#[test]
fn a_chain_of_ten_thousand_nodes_has_a_plan() {
    let mut yaml = String::from("nodes:\n  - { id: n0, action: data.set }\n");
    for node in 1..10_000 {
        let before = node - 1;
        yaml += &format!(
            "  - {{ id: n{node}, action: data.set, parameters: {{ x: \"{{{{ $nodes.n{before}.result }}}}\" }} }}\n"
        );
    }
    let plan = plan_of(&yaml);
    assert_eq!((plan.nodes.len(), plan.connections.len()), (10_000, 9_999));
    assert_eq!(
        (plan.nodes[0].priority, plan.nodes[9_999].priority),
        (10_000, 1)
    );
}

#[test]
fn the_plan_of_an_order_intake_is_this_one() {
    let yaml = r#"id: order-intake
name: Order intake
input: { type: object, required: [customer] }
timezone: Europe/Berlin
nodes:
  - { id: fetch, action: data.set@1, parameters: { items: "{{ $input.items }}" }, retry: { max_attempts: 5 } }
  - id: price
    action: data.set@1
    for_each: $nodes.fetch.result.items
    concurrency: 4
    parameters: { total: "{{ $item.qty * $item.price }}", note: "for {{ $input.customer }}" }
  - { id: report, action: file.write@1, parameters: { path: "out/{{ $input.customer }}.txt", mode: append } }
  - { id: alarm, action: data.set@1, parameters: { text: failed } }
connections:
  - { from: fetch, to: price, condition: "$nodes.fetch.result.items.length > 0" }
  - price -> report
  - fetch.error -> alarm
output: "{{ $nodes.price?.result }}"
limits: { concurrency: 8, timeout: 1h }
"#;
    insta::assert_json_snapshot!(plan_of(yaml));
}

#[test]
fn a_compensation_has_what_its_action_and_the_defaults_say() {
    let undone = |node: &nebula_execution::PlanNode| match node.compensation.as_deref() {
        None => "stays".to_owned(),
        Some(it) => format!(
            "{}@{} {} {} {}s {} {:?}",
            it.action,
            it.version,
            it.effect.as_str(),
            it.retry.max_attempts,
            it.timeout.as_secs(),
            it.reconciles,
            it.capabilities
        ),
    };
    let yaml = r#"nodes:
  - { id: a, action: file.write, parameters: { path: x }, compensate: { action: file.write, parameters: { path: y } } }
  - { id: b, action: file.write, parameters: { path: x }, compensate: { action: file.write@1, parameters: { path: y, mode: append }, requires: ["fs:read:z"], retry: { max_attempts: 7 }, timeout: 3s } }
  - { id: c, action: file.write, parameters: { path: x }, pin: 1, compensate: { action: file.write, parameters: { path: y } } }
  - { id: d, action: file.write, parameters: { path: x }, disabled: true, compensate: { action: file.write, parameters: { path: y } } }
"#;
    check(
        yaml,
        undone,
        r#"a file.write@1.0 idempotent 3 20s true ["fs:write:y"], b file.write@1.0 at_most_once 7 3s true ["fs:write:y", "fs:read:z"], c stays, d stays"#,
    );
    let plan = plan_of(yaml);
    assert_eq!(plan.format, 3);
    let of_a: Vec<_> = plan.nodes[0].capabilities.iter().collect();
    assert_eq!(
        of_a,
        ["fs:write:x"],
        "what undoes it is granted to that alone"
    );
}

#[test]
fn a_try_says_whether_its_body_is_undone() {
    let compensates = |parameters: &str| {
        let yaml = format!(
            "nodes: [{{ id: t, action: flow.try, parameters: {parameters}, body: {{ nodes: [{{ id: a, action: data.set }}] }} }}]"
        );
        plan_of(&yaml).bodies[0].compensates
    };
    assert!(compensates("{ compensate: true }"));
    assert!(!compensates("{ compensate: false }"));
    assert!(!compensates("{}"));
}
