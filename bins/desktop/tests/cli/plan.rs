//! `plan` in its forms, and `actions`.

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

/// Whether a text is one element of XML in which every element ends and nothing stands open: no entity but
/// those of XML itself, no attribute without quotes.
#[track_caller]
fn check_xml(text: &str) {
    let (mut open, mut rest, mut roots) = (Vec::new(), text.trim(), 0);
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start], open.is_empty());
        let end = rest
            .find('>')
            .unwrap_or_else(|| panic!("`<` without `>`: {rest}"));
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "in {text}");
            continue;
        }
        let alone = tag.ends_with('/');
        let (name, attributes) = tag
            .trim_end_matches('/')
            .split_once(' ')
            .unwrap_or((tag, ""));
        let quoted: Vec<_> = attributes.split('"').collect();
        assert!(quoted.len() % 2 == 1 && !attributes.contains('<'), "{tag}");
        for before in quoted.iter().step_by(2).filter(|it| !it.is_empty()) {
            assert!(before.ends_with('='), "{tag}");
        }
        roots += u32::from(open.is_empty());
        if !alone {
            open.push(name.to_owned());
        }
    }
    check_text(rest, true);
    assert!(open.is_empty() && roots == 1, "{open:?} {roots}");
}

#[track_caller]
fn check_text(text: &str, outside: bool) {
    assert!(!outside || text.trim().is_empty(), "outside: {text}");
    assert!(
        !text.chars().any(|c| c.is_control() && c != '\n'),
        "{text:?}"
    );
    for entity in text.split('&').skip(1) {
        let name = entity.split(';').next().unwrap();
        assert!(["amp", "lt", "gt", "quot"].contains(&name), "&{entity}");
    }
}

/// How often something stands in a drawing.
fn count(drawing: &str, text: &str) -> usize {
    drawing.matches(text).count()
}

/// Guards: text is escaped, what is too long is cut and whole in its tooltip, every node and every
/// connection is there, and the drawing follows from the plan alone.
#[test]
fn the_drawing_has_every_node_and_every_connection() {
    let user = User::new();
    user.write("w.yaml", FLOW);
    let draw = || {
        let said = user.nebula(&["plan", "w.yaml", "--format", "svg"]).exits(0);
        check_xml(&said.out);
        said.out
    };
    let drawing = draw();
    assert_eq!(drawing, draw());
    let plan = user
        .nebula(&["plan", "w.yaml", "--format", "json"])
        .exits(0)
        .json();
    let nodes = plan["nodes"].as_array().unwrap();
    assert_eq!(count(&drawing, "<g class=\"node"), nodes.len());
    for node in nodes {
        let id = node["id"].as_str().unwrap();
        assert!(drawing.contains(&format!(">{id}</text>")), "{drawing}");
    }
    let connections = plan["connections"].as_array().unwrap();
    assert_eq!(count(&drawing, "data-from="), connections.len());
    assert!(
        drawing.contains("data-from=\"n0\" data-to=\"n1\""),
        "{drawing}"
    );
    let condition = "$nodes.read.result.text != &quot;&lt;none&gt;&quot;";
    assert!(
        drawing.contains(&format!("<title>{condition}</title>")),
        "{drawing}"
    );
    assert!(drawing.contains("<g class=\"node once\""), "{drawing}");
    assert!(!drawing.contains("<script") && !drawing.contains("href"));
}

#[test]
fn a_drawing_has_bodies_in_boxes_and_loops_beside_their_rows() {
    let user = User::new();
    user.write("w.yaml", BODIES);
    let said = user.nebula(&["plan", "w.yaml", "--format", "svg"]).exits(0);
    check_xml(&said.out);
    assert_eq!(count(&said.out, "<rect class=\"body\""), 2, "{}", said.out);
    let plan = user.nebula(&["plan", "w.yaml"]).exits(0).json();
    let nodes = plan["nodes"].as_array().unwrap().len();
    assert_eq!(count(&said.out, "<g class=\"node"), nodes, "{}", said.out);
    assert!(said.out.contains(">body of orders</text>"), "{}", said.out);
    user.write("w.yaml", LOOP);
    let said = user.nebula(&["plan", "w.yaml", "--format", "svg"]).exits(0);
    check_xml(&said.out);
    let back = "class=\"edge back\" data-from=\"n2\" data-to=\"n1\"";
    assert_eq!(count(&said.out, back), 1, "{}", said.out);
    assert_eq!(count(&said.out, "data-from="), 5, "{}", said.out);
}

const LOOP: &str = "nodes:
  - { id: first, action: data.set }
  - { id: more, action: data.set, join: any }
  - { id: double, action: data.set }
  - { id: far, action: data.set, join: any }
connections:
  - first -> more
  - more -> double
  - { from: double, to: more, loop: true, condition: 'false', max_rounds: 5 }
  - double -> far
  - first -> far
";

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
