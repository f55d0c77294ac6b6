//! Several instances of the same nodes: how many is known when, and who waits for them.

use serde_json::{Value, json};

use crate::stage::Stage;

/// Nodes that run once per element of `items`, and what follows when all of them have ended.
fn each(items: &str) -> String {
    format!(
        r#"
nodes:
  - {{ id: before, action: data.set, parameters: {{ list: [30, 10, 20] }} }}
  - id: each
    action: flow.for_each
    parameters: {{ items: {items} }}
    body: {{ nodes: [{{ id: a, action: flow.wait, parameters: {{ for: "{{{{ $item }}}}s" }} }}, {{ id: b, action: data.set, parameters: {{ n: "{{{{ $item }}}}" }} }}] }}
  - {{ id: after, action: data.set, parameters: {{ ns: "{{{{ $json.map(one => one.n) }}}}" }} }}
"#
    )
}

/// Three instances that run at the same time, and are waited for together.
async fn three(stage: &Stage, yaml: &str) {
    let history = stage.play(yaml, Value::Null).await;
    history.check(
        "completed: after before each each[0]/a each[0]/b each[1]/a each[1]/b each[2]/a each[2]/b",
        "before < each[0]/a, each[0]/a | each[1]/a, each[1]/a | each[2]/a, each[1]/b < each[2]/b < each[0]/b < after, each[2]/b < after, each < after",
    );
    assert_eq!(history.output, json!({ "ns": [30, 10, 20] }));
}

/// 13: how many instances there are stands in the definition.
pub async fn pattern_13_multiple_instances_known_at_design_time(stage: &Stage) {
    three(stage, &each("[30, 10, 20]")).await;
}

/// 14: how many there are is known when they begin.
pub async fn pattern_14_multiple_instances_known_at_run_time(stage: &Stage) {
    three(stage, &each(r#""{{ $nodes.before.result.list }}""#)).await;
    let none = stage.play(&each("'{{ [] }}'"), Value::Null).await;
    none.check("completed: after before each", "before < each < after");
}
