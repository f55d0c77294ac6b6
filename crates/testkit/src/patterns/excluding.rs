//! What must not happen at the same time.

use serde_json::Value;

use crate::stage::Stage;

/// 17: of nodes that a partial order leaves open, any may come first, and never two at a time.
pub async fn pattern_17_interleaved_parallel_routing(stage: &Stage) {
    let body = |id: &str, node: &str| {
        format!(
            "{{ id: {id}, action: flow.mutex, parameters: {{ name: patient, scope: execution }}, body: {{ nodes: [{{ id: {node}, action: flow.wait, parameters: {{ for: 5s }} }}] }} }}"
        )
    };
    // `b` before `c`; `a` before, between or after them. The longer path comes first.
    let yaml = format!(
        "nodes: [{}, {}, {}]\nconnections: [b -> c]\n",
        body("a", "x"),
        body("b", "y"),
        body("c", "z")
    );
    let history = stage.play(&yaml, Value::Null).await;
    history.check(
        "completed: a a/x b b/y c c/z",
        "a | b, b/y < a/x < c/z, b < c",
    );
}

/// 39: of two sections only one is under way at a time; what is outside of them is not kept apart.
pub async fn pattern_39_critical_section(stage: &Stage) {
    let yaml = r"
nodes:
  - id: a
    action: flow.mutex
    parameters: { name: printer }
    body: { nodes: [{ id: a1, action: flow.wait, parameters: { for: 5s } }, { id: a2, action: flow.wait, parameters: { for: 5s } }] }
  - id: b
    action: flow.mutex
    parameters: { name: printer }
    body: { nodes: [{ id: b1, action: flow.wait, parameters: { for: 5s } }, { id: b2, action: flow.wait, parameters: { for: 5s } }] }
  - { id: c, action: flow.wait, parameters: { for: 12s } }
connections: []
";
    let history = stage.play(yaml, Value::Null).await;
    history.check(
        "completed: a a/a1 a/a2 b b/b1 b/b2 c",
        "a/a1 < a/a2 < b/b1 < b/b2, c | a/a2, c | b/b1",
    );
}

/// 40: all of several nodes, in any order, one at a time.
pub async fn pattern_40_interleaved_routing(stage: &Stage) {
    let yaml = r#"
nodes:
  - id: each
    action: flow.for_each
    parameters: { items: [0, 1, 2] }
    body:
      nodes:
        - id: m
          action: flow.mutex
          parameters: { name: desk, scope: execution }
          body: { nodes: [{ id: w, action: flow.wait, parameters: { for: "{{ 3 - $item }}s" } }] }
"#;
    let history = stage.play(yaml, Value::Null).await;
    let (first, second, third) = ("each[0]/m/w", "each[1]/m/w", "each[2]/m/w");
    history.check(
        "completed: each each[0]/m each[0]/m/w each[1]/m each[1]/m/w each[2]/m each[2]/m/w",
        &format!("each[0]/m | each[1]/m | each[2]/m, {first} < {second} < {third}"),
    );
}
