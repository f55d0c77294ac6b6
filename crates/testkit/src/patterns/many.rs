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

/// 12: instances of another workflow begin, and nobody waits for them.
pub async fn pattern_12_multiple_instances_without_synchronization(stage: &Stage) {
    let one = "{ id: one, nodes: [{ id: w, action: flow.wait, parameters: { for: 30s } }] }";
    assert_eq!(stage.problems(one).await, "");
    let yaml = r#"
id: many
nodes:
  - id: each
    action: flow.for_each
    parameters: { items: [1, 2, 3] }
    body: { nodes: [{ id: start, action: flow.call, parameters: { workflow: one, wait: false } }] }
  - { id: after, action: data.set, parameters: { started: "{{ $json.length }}" } }
"#;
    let history = stage
        .play_with(yaml, Value::Null, async |talk| {
            talk.after(10).await;
            // The one that began them has ended by now, and none of them has.
            let (mut ended, mut under_way) = (0, 0);
            for id in stage.executions().await {
                match stage.history(id).await.status.is_terminal() {
                    true => ended += 1,
                    false => under_way += 1,
                }
            }
            assert_eq!((ended, under_way), (1, 3));
            talk.after(60).await;
            for id in stage.executions().await {
                assert!(stage.history(id).await.status.is_terminal());
            }
        })
        .await;
    history.check(
        "completed: after each each[0]/start each[1]/start each[2]/start",
        "each[0]/start < after, each[1]/start < after, each[2]/start < after",
    );
    assert_eq!(history.output, json!({ "started": 3 }));
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
