//! What two definitions are told apart by, as one line per difference.

use nebula_core::NodeId;
use nebula_workflow::{Parts, Source, WorkflowDefinition, diff, parse, to_json};

/// Knows as much of expressions as these tests write: `{{ $nodes.a.…`.
fn rename(definition: &mut WorkflowDefinition, from: &NodeId, to: &NodeId) {
    let mut text = to_json(definition).to_string();
    for (before, after) in [
        ("\"id\":\"", "\""),
        ("\"from\":\"", "\""),
        ("\"to\":\"", "\""),
        ("{{ $nodes.", "."),
    ] {
        text = text.replace(
            &format!("{before}{from}{after}"),
            &format!("{before}{to}{after}"),
        );
    }
    *definition = WorkflowDefinition::from_json(&serde_json::from_str(&text).unwrap()).unwrap();
}

#[track_caller]
fn read(text: &str) -> WorkflowDefinition {
    let parsed = parse(&Source::new("w.yaml", text));
    assert_eq!(parsed.diagnostics, []);
    parsed.definition.unwrap()
}

fn lines(parts: &Parts, what: &str, out: &mut Vec<String>) {
    out.extend(
        parts
            .added
            .iter()
            .map(|part| format!("+ {what} {}", part.name)),
    );
    out.extend(
        parts
            .removed
            .iter()
            .map(|part| format!("- {what} {}", part.name)),
    );
    for changed in &parts.changed {
        for change in &changed.fields {
            let text = |value: &Option<serde_json::Value>| {
                value
                    .as_ref()
                    .map_or("none".to_owned(), ToString::to_string)
            };
            let (old, new) = (text(&change.old), text(&change.new));
            out.push(format!(
                "~ {what} {} {}: {old} > {new}",
                changed.name, change.path
            ));
        }
    }
    if parts.reordered {
        out.push(format!("^ {what}"));
    }
}

#[track_caller]
fn check(old: &str, new: &str, expected: &[&str]) {
    let (old, new) = (read(old), read(new));
    let found = diff(&old, &new, &rename);
    let mut out = Vec::new();
    for change in &found.fields {
        out.push(format!("~ {}", change.path));
    }
    lines(&found.triggers, "trigger", &mut out);
    for renamed in &found.renamed {
        out.push(format!("> {} {}", renamed.from, renamed.to));
    }
    lines(&found.nodes, "node", &mut out);
    lines(&found.connections, "", &mut out);
    assert_eq!(out, expected);
    assert_eq!(found.is_empty(), old.digest() == new.digest());
}

const CHAIN: &str = "
nodes:
  - { id: a, action: data.set, parameters: { text: 1, more: [1, 2] } }
  - { id: b, action: data.set, parameters: { text: '{{ $nodes.a.result.text }}' } }
  - { id: c, action: flow.stop }
output: '{{ $nodes.b.result }}'
";

#[test]
fn writing_and_layout_do_not_count() {
    let written = r#"{ "layout": { "a": [3, 4] }, "output": "{{$nodes.b.result}}",
      "connections": ["a -> b -> c"],
      "nodes": [{ "action": "data.set", "id": "a", "parameters": { "more": [1, 2], "text": 1 } },
        { "id": "b", "parameters": { "text": "{{ $nodes.a.result.text }}" }, "action": "data.set" },
        { "id": "c", "action": "flow.stop", "join": "all" }], "id": "w" }"#;
    check(CHAIN, written, &[]);
}

#[test]
fn each_value_that_differs_has_its_path() {
    let new = CHAIN
        .replace("text: 1", "text: 5")
        .replace("[1, 2]", "[1, 7, 2]");
    let (text, more) = (
        "~ node a /parameters/text: 1 > 5",
        "~ node a /parameters/more/1: none > 7",
    );
    check(CHAIN, &new, &[text, more]);
    let new = format!("{CHAIN}\nlimits: {{ timeout: 1h }}\ntimezone: Asia/Tokyo\n");
    check(CHAIN, &new, &["~ /timezone", "~ /limits"]);
    check(&new, &new.replace("1h", "60m"), &[]);
    check(&new, &new.replace("1h", "2h"), &["~ /limits/timeout"]);
}

#[test]
fn nodes_and_connections_come_and_go() {
    let new = CHAIN.replace("  - { id: c, action: flow.stop }\n", "");
    check(CHAIN, &new, &["- node c", "-  b -> c"]);
    check(&new, CHAIN, &["+ node c", "+  b -> c"]);
    let listed = |edges: &str| format!("{CHAIN}connections: {edges}\n");
    check(
        &listed("[a -> b, 'a.error -> c', { from: b, to: c, condition: $json.x }]"),
        &listed("[a -> b, 'a.error -> c:left', { from: b, to: c, condition: $json.y }]"),
        &[
            "+  a.error -> c:left",
            "-  a.error -> c",
            "~  b -> c /condition: \"$json.x\" > \"$json.y\"",
        ],
    );
    check(
        &listed("[a -> b, b -> c]"),
        &listed("[b -> c, a -> b]"),
        &["^ "],
    );
}

#[test]
fn triggers_are_told_apart_by_their_ids() {
    let with = |list: &str| format!("{CHAIN}triggers: {list}\n");
    check(
        &with("[{ id: t, type: cron, schedule: '0 3 * * *' }, { id: u, type: webhook }]"),
        &with("[{ id: t, type: cron, schedule: '0 4 * * *' }, { id: v, type: webhook }]"),
        &[
            "+ trigger v",
            "- trigger u",
            "~ trigger t /schedule: \"0 3 * * *\" > \"0 4 * * *\"",
        ],
    );
}

#[test]
fn a_node_with_another_id_is_the_same_node_wherever_it_is_mentioned() {
    let renamed = CHAIN
        .replace("id: a", "id: z")
        .replace("nodes.a", "nodes.z");
    check(CHAIN, &renamed, &["> a z"]);
    // Its neighbour is renamed too, and so mentions no node of the old names.
    let both = renamed
        .replace("id: b", "id: y")
        .replace("nodes.b", "nodes.y");
    check(CHAIN, &both, &["> a z", "> b y"]);
    check(
        CHAIN,
        &both.replace("text: 1", "text: 2"),
        &["> a z", "> b y", "~ node z /parameters/text: 1 > 2"],
    );
    // The node that says nothing is known by its connections.
    check(CHAIN, &CHAIN.replace("id: c", "id: end"), &["> c end"]);
}

#[test]
fn an_old_value_is_shown_as_it_was_written() {
    let new = CHAIN
        .replace("id: a", "id: z")
        .replace("$nodes.a.result.text", "$nodes.z.result.x");
    let old =
        "~ node b /parameters/text: \"{{ $nodes.a.result.text }}\" > \"{{ $nodes.z.result.x }}\"";
    check(CHAIN, &new, &["> a z", old]);
}

#[test]
fn a_mention_that_stays_behind_is_a_change() {
    // The text is data, not an expression.
    let old = CHAIN.replace("text: 1", "text: $nodes.b.result");
    let new = CHAIN
        .replace("text: 1", "text: $nodes.y.result")
        .replace("id: b", "id: y")
        .replace("nodes.b", "nodes.y");
    let data = "~ node a /parameters/text: \"$nodes.b.result\" > \"$nodes.y.result\"";
    check(&old, &new, &["> b y", data]);
}

#[test]
fn what_has_little_in_common_is_another_node() {
    let new = CHAIN
        .replace(
            "id: a, action: data.set, parameters: { text: 1, more: [1, 2] }",
            "id: z, action: data.set, parameters: { day: 4 }",
        )
        .replace("nodes.a", "nodes.z");
    check(
        CHAIN,
        &new,
        &[
            "+ node z",
            "- node a",
            "~ node b /parameters/text: \"{{ $nodes.a.result.text }}\" > \"{{ $nodes.z.result.text }}\"",
            "+  z -> b",
            "-  a -> b",
        ],
    );
    // Another action is another node, whatever else is alike.
    let new = CHAIN.replace("id: c, action: flow.stop", "id: d, action: flow.fail");
    check(
        CHAIN,
        &new,
        &["+ node d", "- node c", "+  b -> d", "-  b -> c"],
    );
}

#[test]
fn an_id_that_another_action_took_does_not_hide_a_rename() {
    let new = CHAIN
        .replace("- { id: a,", "- { id: a, action: flow.wait }\n  - { id: z,")
        .replace("nodes.a", "nodes.z");
    check(CHAIN, &new, &["> a z", "+ node a", "+  a -> z"]);
}

#[test]
fn bodies_are_compared_node_by_node() {
    let old = "nodes: [{ id: l, action: flow.loop, body: { nodes: [{ id: x, action: data.set, parameters: { n: 1 } }, { id: y, action: data.set }] } }]";
    check(
        old,
        &old.replace("n: 1", "n: 2"),
        &["~ node x /parameters/n: 1 > 2"],
    );
    check(old, &old.replace("id: l", "id: m"), &["> l m"]);
    check(old, &old.replace("id: x", "id: z"), &["> x z"]);
    let moved = "nodes: [{ id: l, action: flow.loop, body: { nodes: [{ id: x, action: data.set, parameters: { n: 1 } }] } }, { id: y, action: data.set }]";
    check(
        old,
        moved,
        &["~ node y /inside: \"l\" > none", "+  l -> y", "-  x -> y"],
    );
}
