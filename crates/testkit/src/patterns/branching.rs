//! Basic control flow: in a row, side by side, one of several, some of several.

use serde_json::{Value, json};

use crate::stage::Stage;

/// 1: a node begins when the one before it has ended.
pub async fn pattern_01_sequence(stage: &Stage) {
    let yaml = r#"
nodes:
  - { id: a, action: flow.wait, parameters: { for: 2s } }
  - { id: b, action: data.set, parameters: { n: 1 } }
  - { id: c, action: flow.wait, parameters: { for: 2s } }
  - { id: d, action: data.set, parameters: { n: "{{ $nodes.b.result.n + 1 }}" } }
connections: [a -> b -> c -> d]
"#;
    let history = stage.play(yaml, Value::Null).await;
    history.check("completed: a b c d", "a < b < c < d");
    assert_eq!(history.output, json!({ "n": 2 }));
}

/// 2: one thread becomes several that run at the same time.
pub async fn pattern_02_parallel_split(stage: &Stage) {
    let yaml = r#"
nodes:
  - { id: a, action: data.set }
  - { id: b, action: flow.wait, parameters: { for: 2s } }
  - { id: c, action: flow.wait, parameters: { for: 4s } }
  - { id: d, action: flow.wait, parameters: { for: 6s } }
connections: [a -> b, a -> c, a -> d]
"#;
    let history = stage.play(yaml, Value::Null).await;
    history.check(
        "completed: a b c d",
        "a < b, a < c, a < d, b | c, c | d, b | d",
    );
}

/// 3: several threads become one, when all of them have come.
pub async fn pattern_03_synchronization(stage: &Stage) {
    let yaml = r#"
nodes:
  - { id: a, action: flow.wait, parameters: { for: 2s } }
  - { id: b, action: flow.wait, parameters: { for: 6s } }
  - { id: c, action: flow.wait, parameters: { for: 4s } }
  - { id: d, action: data.set }
connections: [a -> d, b -> d, c -> d]
"#;
    let history = stage.play(yaml, Value::Null).await;
    history.check("completed: a b c d", "a < d, b < d, c < d, a | b, b | c");
}

/// One of several ways, by what is known; the input `n` says which.
const CHOICE: &str = r#"
nodes:
  - { id: choose, action: flow.switch, parameters: { cases: { one: "$json.n == 1", two: "$json.n <= 2" } } }
  - { id: a, action: flow.wait, parameters: { for: 2s } }
  - { id: b, action: flow.wait, parameters: { for: 2s } }
  - { id: c, action: flow.wait, parameters: { for: 2s } }
  - { id: after, action: data.set, join: any, parameters: { from: "{{ $json.n }}" } }
connections: [choose.one -> a -> after, choose.two -> b -> after, choose.default -> c -> after]
"#;

/// 4: exactly one of several ways is taken, also where several conditions hold.
pub async fn pattern_04_exclusive_choice(stage: &Stage) {
    for (n, ended) in [
        (1, "completed: a after choose, skipped b c"),
        (2, "completed: after b choose, skipped a c"),
        (3, "completed: after c choose, skipped a b"),
    ] {
        let history = stage.play(CHOICE, json!({ "n": n })).await;
        let taken = ["a", "b", "c"][n - 1];
        history.check(ended, &format!("choose < {taken}"));
    }
}

/// 5: ways of which one was taken meet, and go on without waiting for the others.
pub async fn pattern_05_simple_merge(stage: &Stage) {
    for (n, taken) in [(1, "a"), (3, "c")] {
        let history = stage.play(CHOICE, json!({ "n": n })).await;
        history.check(&history.shown(), &format!("choose < {taken} < after"));
        assert_eq!(history.output, json!({ "from": n }));
    }
}

/// Some of several ways, each by a condition of its own, which meet again.
const CHOICES: &str = r#"
nodes:
  - { id: choose, action: data.set, parameters: { n: "{{ $input.n }}" } }
  - { id: a, action: flow.wait, parameters: { for: 2s } }
  - { id: b, action: flow.wait, parameters: { for: 6s } }
  - { id: c, action: flow.wait, parameters: { for: 4s } }
  - { id: after, action: data.set, parameters: { of: "{{ $inputs.main.length }}" } }
connections:
  - { from: choose, to: a, condition: "$json.n >= 1" }
  - { from: choose, to: b, condition: "$json.n >= 2" }
  - { from: choose, to: c, condition: "$json.n >= 3" }
  - a -> after
  - b -> after
  - c -> after
"#;

/// 6: any number of several ways is taken, each by its own condition.
pub async fn pattern_06_multi_choice(stage: &Stage) {
    for (n, ended, order) in [
        (
            3,
            "completed: a after b c choose",
            "choose < a, choose < b, choose < c, a | b, b | c",
        ),
        (
            2,
            "completed: a after b choose, skipped c",
            "choose < a, choose < b, a | b",
        ),
        (1, "completed: a after choose, skipped b c", "choose < a"),
        (0, "completed: choose, skipped a after b c", ""),
    ] {
        stage
            .play(CHOICES, json!({ "n": n }))
            .await
            .check(ended, order);
    }
}

/// 7: the ways that were taken are waited for, and no others.
pub async fn pattern_07_structured_synchronizing_merge(stage: &Stage) {
    for (n, order) in [
        (3, "a < after, b < after, c < after"),
        (2, "a < after, b < after"),
        (1, "a < after"),
    ] {
        let history = stage.play(CHOICES, json!({ "n": n })).await;
        history.check(&history.shown(), order);
        assert_eq!(history.output, json!({ "of": n }));
    }
}

/// 11: an execution ends when nothing is left to do, wherever the last of it was.
pub async fn pattern_11_implicit_termination(stage: &Stage) {
    let yaml = r#"
nodes:
  - { id: a, action: data.set }
  - { id: b, action: flow.wait, parameters: { for: 2s } }
  - { id: c, action: flow.wait, parameters: { for: 9s } }
  - { id: d, action: data.set, when: "false" }
  - { id: e, action: data.set }
connections: [a -> b -> e, a -> c, a -> d]
"#;
    let history = stage.play(yaml, Value::Null).await;
    history.check("completed: a b c e, skipped d", "a < b < e, a < c, e | c");
}

/// 43: an execution ends at a node that says so, whatever else is under way.
pub async fn pattern_43_explicit_termination(stage: &Stage) {
    let yaml = r#"
nodes:
  - { id: a, action: flow.wait, parameters: { for: 2s } }
  - { id: done, action: flow.stop, parameters: { output: enough } }
  - { id: b, action: flow.wait, parameters: { for: 1h } }
  - { id: c, action: data.set }
connections: [a -> done, b -> c]
"#;
    let history = stage.play(yaml, Value::Null).await;
    history.check("completed: a done, cancelled b", "a < done, a | b");
    assert_eq!(history.output, json!("enough"));
}
