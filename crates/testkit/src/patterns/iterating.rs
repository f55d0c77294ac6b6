//! Again and again: connections that go back, and loops.

use serde_json::{Value, json};

use crate::stage::Stage;

/// 10: a cycle with several ways out, each with nodes of its own.
pub async fn pattern_10_arbitrary_cycles(stage: &Stage) {
    let yaml = r#"
nodes:
  - { id: a, action: data.set, parameters: { n: "{{ ($nodes.c?.result?.n ?? 0) + 1 }}" } }
  - { id: b, action: flow.wait, parameters: { for: 2s } }
  - { id: c, action: flow.wait, parameters: { for: 2s } }
  - { id: from_b, action: data.set, parameters: { left: "b in {{ $json.n }}" } }
  - { id: from_c, action: data.set, parameters: { left: "c in {{ $json.n }}" } }
connections:
  - a -> b -> c
  - { from: c, to: a, loop: true, condition: "$json.n < $input.rounds" }
  - { from: b, to: from_b, condition: "$json.n == 2" }
  - { from: c, to: from_c, condition: "$json.n == $input.rounds" }
"#;
    let three = "completed: a a#2 a#3 b b#2 b#3 c c#2 c#3 from_b from_c";
    let history = stage.play(yaml, json!({ "rounds": 3 })).await;
    history.check(
        three,
        "a < b < c < a#2 < b#2 < c#2 < a#3 < b#3 < c#3 < from_c, c#3 < from_b",
    );
    let left = json!({ "from_b": { "left": "b in 2" }, "from_c": { "left": "c in 3" } });
    assert_eq!(history.output, left);
    let history = stage.play(yaml, json!({ "rounds": 1 })).await;
    history.check(
        "completed: a b c from_c, skipped from_b",
        "a < b < c < from_c",
    );
}

/// 21: a body is repeated while a condition holds before it, or until one holds after it.
pub async fn pattern_21_structured_loop(stage: &Stage) {
    let looped = |condition: &str| {
        format!(
            r#"
nodes:
  - {{ id: before, action: data.set, parameters: {{ n: "{{{{ $input.n }}}}" }} }}
  - id: loop
    action: flow.loop
    parameters: {{ {condition} }}
    body: {{ nodes: [{{ id: less, action: data.set, parameters: {{ n: "{{{{ ($loop.last ?? $input).n - 1 }}}}" }} }}, {{ id: rest, action: flow.wait, parameters: {{ for: 2s }} }}] }}
  - {{ id: after, action: data.set }}
"#
        )
    };
    let before = looped("while: ($loop.last ?? $input).n > 0");
    let history = stage.play(&before, json!({ "n": 2 })).await;
    history.check(
        "completed: after before loop loop[0]/less loop[0]/rest loop[1]/less loop[1]/rest",
        "before < loop[0]/less < loop[0]/rest < loop[1]/less < loop[1]/rest < after, loop < after",
    );
    let history = stage.play(&before, json!({ "n": 0 })).await;
    history.check("completed: after before loop", "before < loop < after");
    let after = looped("until: $loop.last.n <= 0");
    let history = stage.play(&after, json!({ "n": 0 })).await;
    history.check(
        "completed: after before loop loop[0]/less loop[0]/rest",
        "before < loop[0]/less < loop[0]/rest < after",
    );
    assert_eq!(
        stage.play(&after, Value::Null).await.status.to_string(),
        "failed"
    );
}

/// 22: a workflow calls itself.
pub async fn pattern_22_recursion(stage: &Stage) {
    let yaml = r#"
id: sum
nodes:
  - { id: more, action: flow.if, parameters: { condition: "$input.n > 0" } }
  - { id: rest, action: flow.call, parameters: { workflow: sum, input: { n: "{{ $input.n - 1 }}" } } }
  - { id: total, action: data.set, join: any, parameters: { sum: "{{ $input.n + ($nodes.rest?.result?.sum ?? 0) }}" } }
connections: [more.true -> rest -> total, more.false -> total]
output: "{{ $nodes.total.result }}"
"#;
    let history = stage.play(yaml, json!({ "n": 4 })).await;
    history.check("completed: more rest total", "more < rest < total");
    assert_eq!(history.output, json!({ "sum": 10 }));
    assert_eq!(stage.executions().await.len(), 5);
}
