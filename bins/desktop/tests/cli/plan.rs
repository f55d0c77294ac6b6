//! `plan` in its three forms, and `actions`.

use serde_json::json;

use crate::support::User;

const FLOW: &str = r#"
name: Report "daily"
input: { type: object, required: [day], properties: { day: { type: string } } }
nodes:
  - { id: read, action: file.read, parameters: { path: logs/in.txt }, timeout: 10s, retry: { max_attempts: 2 } }
  - { id: lines, action: text.parse, parameters: { text: "{{ $nodes.read.result.text }}", format: lines } }
  - { id: side, action: data.set, parameters: { n: 1 }, requires: ["fs:read:{{ $input.day }}"] }
  - { id: out, action: file.write, parameters: { path: out.txt, content: x, mode: append } }
connections:
  - { from: read, to: lines, condition: '$nodes.read.result.text != "<none>"' }
  - read -> side
  - lines -> out
  - side -> out
"#;

#[test]
fn the_json_form_says_what_runs_and_what_it_may_touch() {
    let user = User::new();
    user.write("w.yaml", FLOW);
    let plan = user.nebula(&["plan", "w.yaml"]).exits(0).json();
    assert_eq!(plan["workflow"], "w");
    assert_eq!(plan["width"], 2);
    assert_eq!(plan["concurrency"], 4);
    let nodes = plan["nodes"].as_array().unwrap();
    let column = |key: &str| {
        nodes
            .iter()
            .map(|node| node[key].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(column("id"), ["read", "lines", "side", "out"]);
    assert_eq!(column("wave"), [1, 2, 2, 3]);
    assert_eq!(column("effect"), ["read", "pure", "pure", "at_most_once"]);
    assert_eq!(nodes[3]["after"], json!(["lines", "side"]));
    assert_eq!(nodes[0]["attempts"], 2);
    assert_eq!(nodes[0]["timeout"], "10s");
    let wanted = format!("fs:read:{}", user.work().join("logs/in.txt").display());
    assert_eq!(nodes[0]["capabilities"], json!([wanted]));
    assert_eq!(nodes[2]["requires"], json!(["fs:read:{{ $input.day }}"]));
    assert_eq!(nodes[3]["repeats"], "never: a person decides");
    assert_eq!(
        plan["connections"][0]["condition"],
        r#"$nodes.read.result.text != "<none>""#
    );
    assert!(!user.home().exists());
}

#[test]
fn the_text_form_is_a_table() {
    let user = User::new();
    user.write("w.yaml", FLOW);
    let said = user
        .nebula(&["plan", "w.yaml", "--format", "text"])
        .exits(0);
    for part in [
        "WAVE",
        "up to 2 nodes side by side",
        "at_most_once",
        "fs:read:",
        "never: a person decides",
        "day (string, required)",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(!said.out.contains('\u{1b}'));
}

#[test]
fn the_mermaid_form_is_escaped() {
    let user = User::new();
    user.write("w.yaml", FLOW);
    let said = user
        .nebula(&["plan", "w.yaml", "--format", "mermaid"])
        .exits(0);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], "flowchart TD");
    assert!(
        lines.contains(&r#"    n0["read<br/>file.read@1.0"]"#),
        "{}",
        said.out
    );
    assert!(
        lines.contains(&r#"    n0 -->|"$nodes.read.result.text != #34;#60;none#62;#34;"| n1"#),
        "{}",
        said.out
    );
    assert!(lines.contains(&"    class n3 once"), "{}", said.out);
}

#[test]
fn actions_are_listed_and_shown() {
    let user = User::new();
    let all = user.nebula(&["actions", "list"]).exits(0).json();
    assert!(all["actions"].as_array().unwrap().len() >= 15);
    let one = user
        .nebula(&["actions", "show", "file.write@1"])
        .exits(0)
        .json();
    assert_eq!(one["id"], "file.write");
    let said = user.nebula(&["actions", "show", "file.rite"]).exits(2);
    assert_eq!(said.error_code(), "UNKNOWN_ACTION");
    said.says("did you mean `file.write`?");
}

const BODIES: &str = r#"
nodes:
  - id: orders
    action: flow.for_each
    concurrency: 2
    body:
      nodes:
        - id: careful
          action: flow.try
          parameters: { catch: { mend: true } }
          body: { nodes: [{ id: work, action: data.set }, { id: mend, action: data.set }] }
        - { id: done, action: data.set }
  - { id: after, action: data.set }
"#;

#[test]
fn bodies_stand_behind_their_nodes_in_every_form() {
    let user = User::new();
    user.write("w.yaml", BODIES);
    let plan = user.nebula(&["plan", "w.yaml"]).exits(0).json();
    let nodes = plan["nodes"].as_array().unwrap();
    let shown = nodes
        .iter()
        .map(|it| json!([it["id"], it["within"], it["handler"]]));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            json!(["orders", null, null]),
            json!(["careful", "orders", null]),
            json!(["work", "careful", null]),
            json!(["mend", "careful", "catch"]),
            json!(["done", "orders", null]),
            json!(["after", null, null]),
        ]
    );
    let text = user
        .nebula(&["plan", "w.yaml", "--format", "text"])
        .exits(0);
    let lines = text.out.lines().filter(|line| line.starts_with(['1', '2']));
    let shown = lines.map(|line| {
        line.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "1 orders",
            "1.1 careful",
            "1.1.1 work",
            "1.1.1 mend",
            "1.2 done",
            "2 after"
        ]
    );
    let chart = user
        .nebula(&["plan", "w.yaml", "--format", "mermaid"])
        .exits(0);
    let boxes = chart
        .out
        .lines()
        .filter(|line| line.contains("subgraph"))
        .count();
    assert_eq!(boxes, 2);
}

#[test]
fn a_body_is_reported_by_the_path_of_its_nodes() {
    let user = User::new();
    user.write("w.yaml", BODIES);
    let document = user
        .nebula(&["run", "w.yaml", "--input-json", "[1, 2]"])
        .exits(0)
        .json();
    let nodes = document["nodes"].as_object().unwrap();
    let ids: Vec<_> = nodes.keys().map(String::as_str).collect();
    assert_eq!(
        ids,
        [
            "orders",
            "after",
            "orders/careful",
            "orders/done",
            "orders/careful/work"
        ]
    );
    assert_eq!(nodes["orders/done"][1]["instance"], "orders[1]/done");
    assert_eq!(nodes["orders/done"][1]["activation"], 2);
}

#[test]
fn what_is_cancelled_is_shown() {
    let user = User::new();
    user.write(
        "w.yaml",
        "nodes:
  - { id: quick, action: data.set }
  - { id: slow, action: flow.wait, parameters: { for: 1h } }
  - { id: enough, action: flow.cancel, parameters: { nodes: [slow] } }
  - { id: first, action: data.set, join: { count: 1, rest: cancel } }
connections: [quick -> enough, quick -> first, slow -> first]
",
    );
    let plan = user.nebula(&["plan", "w.yaml"]).exits(0).json();
    let nodes = plan["nodes"].as_array().unwrap();
    let cancels = nodes.iter().map(|node| (&node["id"], &node["cancels"]));
    let cancels: Vec<_> = cancels.filter(|(_, it)| **it != json!([])).collect();
    let slow = json!(["slow"]);
    let (enough, first) = (json!("enough"), json!("first"));
    assert_eq!(cancels, [(&enough, &slow), (&first, &slow)]);
    let text = user
        .nebula(&["plan", "w.yaml", "--format", "text"])
        .exits(0);
    assert!(text.out.contains("cancels slow"), "{}", text.out);
    let chart = user
        .nebula(&["plan", "w.yaml", "--format", "mermaid"])
        .exits(0);
    assert!(chart.out.contains("n2 -. cancels .-> n1"), "{}", chart.out);
}
