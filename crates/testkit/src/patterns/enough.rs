//! Several instances of the same nodes that need not all end, or of which more come.

use serde_json::{Value, json};

use crate::stage::Stage;

/// Instances that take as many seconds as their elements say, in a list with these `fields` and
/// `parameters`, and what follows when the list is complete.
fn list(fields: &str, parameters: &str) -> String {
    format!(
        r#"
nodes:
  - id: each
    action: flow.for_each
    {fields}
    parameters: {{ {parameters} }}
    body: {{ nodes: [{{ id: a, action: flow.wait, parameters: {{ for: "{{{{ $item }}}}s" }} }}, {{ id: b, action: data.set, parameters: {{ n: "{{{{ $item }}}}" }} }}] }}
  - {{ id: after, action: data.set, parameters: {{ ns: "{{{{ $json.map(one => one?.n ?? null) }}}}" }} }}
output: "{{{{ $nodes.after.result.ns }}}}"
"#
    )
}

/// 15: more instances come while the first ones run, and nobody knew how many there would be.
pub async fn pattern_15_multiple_instances_not_known_at_run_time(stage: &Stage) {
    let yaml = list("", "items: [20], more: another");
    let history = stage
        .play_with(&yaml, Value::Null, async |talk| {
            talk.after(5).await;
            talk.signal("another", json!(30)).await;
            talk.after(10).await;
            talk.signal("another", json!({ "items": [10], "last": true }))
                .await;
        })
        .await;
    history.check(
        "completed: after each each[0]/a each[0]/b each[1]/a each[1]/b each[2]/a each[2]/b",
        "each[0]/a | each[1]/a, each[0]/b < each[2]/b < each[1]/b < after",
    );
    assert_eq!(history.output, json!([20, 30, 10]));
}

/// 27: something happens by which the whole is complete: what is left is withdrawn.
pub async fn pattern_27_complete_multiple_instance_task(stage: &Stage) {
    let yaml = list(
        r#"complete_when: "$json.last.result.n == 0""#,
        "items: [2, 40], more: another",
    );
    let history = stage
        .play_with(&yaml, Value::Null, async |talk| {
            talk.after(10).await;
            talk.signal("another", json!(0)).await;
        })
        .await;
    history.check(
        "completed: after each each[0]/a each[0]/b each[2]/a each[2]/b, cancelled each[1]/a",
        "each[0]/b < each[2]/b < after, each[1]/a | each[2]/a",
    );
    assert_eq!(history.output, json!([2, null, 0]));
}

/// 34: after two of three the next node begins; the third runs on and has no effect.
pub async fn pattern_34_static_partial_join_for_multiple_instances(stage: &Stage) {
    let yaml = list("complete_when: 2\n    rest: absorb", "items: [30, 2, 4]");
    let history = stage.play(&yaml, Value::Null).await;
    history.check(
        "completed: after each each[0]/a each[0]/b each[1]/a each[1]/b each[2]/a each[2]/b",
        "each[1]/b < each[2]/b < after < each[0]/b",
    );
    assert_eq!(history.output, json!([null, 2, 4]));
}

/// 35: after two of three the third is cancelled.
pub async fn pattern_35_cancelling_partial_join_for_multiple_instances(stage: &Stage) {
    let yaml = list("complete_when: 2", "items: [30, 2, 4]");
    let history = stage.play(&yaml, Value::Null).await;
    history.check(
        "completed: after each each[1]/a each[1]/b each[2]/a each[2]/b, cancelled each[0]/a",
        "each[1]/b < each[2]/b < after",
    );
    assert_eq!(history.output, json!([null, 2, 4]));
}

/// 36: more instances come, and a condition says after each of them whether it is enough.
pub async fn pattern_36_dynamic_partial_join_for_multiple_instances(stage: &Stage) {
    let yaml = list(
        r#"complete_when: "$json.succeeded > $json.total / 2""#,
        "items: [2, 40], more: another",
    );
    let history = stage
        .play_with(&yaml, Value::Null, async |talk| {
            talk.after(10).await;
            talk.signal("another", json!([3, 50])).await;
            talk.after(10).await;
            talk.signal("another", json!(1)).await;
        })
        .await;
    // One of two is not more than half, two of four are not, three of five are.
    history.check(
        "completed: after each each[0]/a each[0]/b each[2]/a each[2]/b each[4]/a each[4]/b, cancelled each[1]/a each[3]/a",
        "each[0]/b < each[2]/b < each[4]/b < after",
    );
    assert_eq!(history.output, json!([2, null, 3, null, 1]));
}
