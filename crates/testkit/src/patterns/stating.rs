//! What depends on the world outside, and ending early: choices that it makes, signals, cancelling.

use serde_json::{Value, json};

use crate::stage::Stage;

/// 16: several ways are open until the world takes one; then the others are withdrawn.
pub async fn pattern_16_deferred_choice(stage: &Stage) {
    let yaml = r#"
nodes:
  - id: first
    action: flow.race
    body:
      nodes:
        - { id: paid, action: flow.wait, parameters: { signal: paid } }
        - { id: refused, action: flow.wait, parameters: { signal: refused } }
        - { id: late, action: flow.wait, parameters: { for: 1h } }
      connections: []
  - { id: after, action: data.set, parameters: { was: "{{ $json.winner }}" } }
"#;
    let history = stage
        .play_with(yaml, Value::Null, async |talk| {
            talk.after(5).await;
            talk.signal("refused", json!({ "why": "limit" })).await;
        })
        .await;
    history.check(
        "completed: after first first/refused, cancelled first/late first/paid",
        "first/refused | first/paid, first/refused | first/late, first/refused < after, first/paid < after",
    );
    assert_eq!(history.output, json!({ "was": "refused" }));
    let history = stage.play(yaml, Value::Null).await;
    history.check(
        "completed: after first first/late, cancelled first/paid first/refused",
        "first/late | first/paid, first/late < after",
    );
}

/// 18: something is enabled only while a point of the process is reached and not passed; to ask
/// changes nothing.
pub async fn pattern_18_milestone(stage: &Stage) {
    let yaml = |asked: u32| {
        format!(
            r"
nodes:
  - {{ id: before, action: flow.wait, parameters: {{ for: 10s }} }}
  - {{ id: passed, action: flow.wait, parameters: {{ for: 10s }} }}
  - {{ id: asked, action: flow.wait, parameters: {{ for: {asked}s }} }}
  - {{ id: m, action: flow.milestone, parameters: {{ reached: before, until: passed }} }}
  - {{ id: enabled, action: data.set }}
  - {{ id: expired, action: data.set }}
connections: [before -> passed, asked -> m -> enabled, m.expired -> expired]
"
        )
    };
    for (asked, ended, order) in [
        // Before it is reached, it is waited for.
        (
            5,
            "completed: asked before enabled m passed, skipped expired",
            "before < enabled, enabled | passed",
        ),
        (
            15,
            "completed: asked before enabled m passed, skipped expired",
            "before < enabled, enabled | passed",
        ),
        (
            25,
            "completed: asked before expired m passed, skipped enabled",
            "passed < expired",
        ),
    ] {
        let history = stage.play(&yaml(asked), Value::Null).await;
        history.check(ended, order);
    }
}

/// 20: a whole execution is taken back, with all that runs in it.
pub async fn pattern_20_cancel_case(stage: &Stage) {
    let yaml = r#"
nodes:
  - { id: a, action: data.set }
  - { id: b, action: flow.wait, parameters: { for: 1h } }
  - { id: c, action: flow.wait, parameters: { signal: never } }
  - { id: d, action: data.set }
connections: [a -> b -> d, a -> c -> d]
"#;
    let history = stage
        .play_with(yaml, Value::Null, async |talk| {
            talk.after(5).await;
            talk.cancel().await;
        })
        .await;
    history.check("cancelled: a, cancelled b c", "a < b, a < c, b | c");
}

/// A node that waits for a signal, after a while.
const PAID: &str = r#"
nodes:
  - { id: before, action: flow.wait, parameters: { for: 20s } }
  - { id: paid, action: flow.wait, parameters: { signal: paid, timeout: 1m } }
  - { id: after, action: data.set, parameters: { amount: "{{ $json.amount }}" } }
"#;

/// 23: a signal that comes before anybody waits for it is lost.
pub async fn pattern_23_transient_trigger(stage: &Stage) {
    for (seconds, ended) in [
        (2, "failed: before, failed paid, skipped after"),
        (40, "completed: after before paid"),
    ] {
        let history = stage
            .play_with(PAID, Value::Null, async |talk| {
                talk.after(seconds).await;
                talk.fleeting("paid", json!({ "amount": 7 })).await;
            })
            .await;
        history.check(ended, "before < paid");
    }
}

/// 24: a signal that comes before anybody waits for it is kept until somebody does.
pub async fn pattern_24_persistent_trigger(stage: &Stage) {
    for seconds in [2, 40] {
        let history = stage
            .play_with(PAID, Value::Null, async |talk| {
                talk.after(seconds).await;
                talk.signal("paid", json!({ "amount": 7 })).await;
            })
            .await;
        history.check("completed: after before paid", "before < paid < after");
        assert_eq!(history.output, json!({ "amount": 7 }));
    }
}
