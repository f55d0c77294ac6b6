//! Nodes that are withdrawn: one, several, a list, and what comes too late.

use serde_json::Value;

use crate::stage::Stage;

/// A node `enough` that gives `nodes` up after five seconds, beside others that take longer.
fn enough(nodes: &str) -> String {
    format!(
        r#"
nodes:
  - {{ id: soon, action: flow.wait, parameters: {{ for: 5s }} }}
  - {{ id: enough, action: flow.cancel, parameters: {{ nodes: {nodes} }} }}
  - {{ id: long, action: flow.wait, parameters: {{ for: 1h }} }}
  - {{ id: behind, action: data.set }}
  - {{ id: beside, action: flow.wait, parameters: {{ for: 20s }} }}
  - {{ id: last, action: data.set }}
  - id: each
    action: flow.for_each
    parameters: {{ items: [1, 30] }}
    body: {{ nodes: [{{ id: a, action: flow.wait, parameters: {{ for: "{{{{ $item }}}}s" }} }}] }}
  - {{ id: after, action: data.set }}
connections:
  - soon -> enough -> after
  - long -> behind -> after
  - beside -> last -> after
  - each -> after
"#
    )
}

/// 19: one node is withdrawn; what follows it is told, and nothing else is touched.
pub async fn pattern_19_cancel_task(stage: &Stage) {
    let history = stage.play(&enough("[long]"), Value::Null).await;
    history.check(
        "completed: after beside each each[0]/a each[1]/a enough last soon, cancelled long, skipped behind",
        "soon < enough, soon | long, enough < last < after, each < after",
    );
}

/// 25: several nodes are withdrawn, whether they run or have not begun.
pub async fn pattern_25_cancel_region(stage: &Stage) {
    let history = stage.play(&enough("[long, last]"), Value::Null).await;
    history.check(
        "completed: after beside each each[0]/a each[1]/a enough soon, cancelled last long, skipped behind",
        "soon < enough, soon | long, beside < after",
    );
}

/// 26: all instances of a node are withdrawn that have not ended.
pub async fn pattern_26_cancel_multiple_instance_task(stage: &Stage) {
    let history = stage.play(&enough("[each]"), Value::Null).await;
    history.check(
        "completed: after behind beside each[0]/a enough last long soon, cancelled each each[1]/a",
        "each[0]/a < enough < after",
    );
}

/// Three threads that meet at the node `join`, of which the last is slow.
fn three(count: u32) -> String {
    format!(
        r#"
nodes:
  - {{ id: quick, action: flow.wait, parameters: {{ for: 2s }} }}
  - {{ id: middle, action: flow.wait, parameters: {{ for: 4s }} }}
  - {{ id: slow, action: flow.wait, parameters: {{ for: 1h }} }}
  - {{ id: then, action: data.set }}
  - {{ id: join, action: data.set, join: {{ count: {count}, rest: cancel }} }}
  - {{ id: after, action: data.set }}
connections: [quick -> join, middle -> join, slow -> then -> join, join -> after]
"#
    )
}

/// 29: the first thread goes on, and the others are withdrawn.
pub async fn pattern_29_cancelling_discriminator(stage: &Stage) {
    let history = stage.play(&three(1), Value::Null).await;
    history.check(
        "completed: after join quick, cancelled middle slow, skipped then",
        "quick < join < after, quick | slow",
    );
}

/// 32: so many threads go on together, and the others are withdrawn.
pub async fn pattern_32_cancelling_partial_join(stage: &Stage) {
    let history = stage.play(&three(2), Value::Null).await;
    history.check(
        "completed: after join middle quick, cancelled slow, skipped then",
        "quick < join, middle < join < after",
    );
}
