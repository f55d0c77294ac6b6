//! Threads that meet: once for each, with the first, with some, with all.

use serde_json::{Value, json};

use crate::stage::Stage;

/// 8: every thread that comes goes on, without waiting for any other.
pub async fn pattern_08_multi_merge(stage: &Stage) {
    let yaml = r#"
nodes:
  - { id: a, action: flow.wait, parameters: { for: 2s } }
  - { id: b, action: flow.wait, parameters: { for: 8s } }
  - { id: merge, action: data.set, join: each }
  - { id: after, action: flow.wait, parameters: { for: 2s } }
connections: [a -> merge, b -> merge, merge -> after]
output: "{{ $nodes.after.result }}"
"#;
    let history = stage.play(yaml, Value::Null).await;
    history.check(
        "completed: a after after#2 b merge merge#2",
        "a < merge < after < merge#2 < after#2, after | b, b < merge#2",
    );
}

/// Two rounds of threads that meet at the node `join`: in each, three of which the last is slow. The
/// second round begins `later` than the first.
fn rounds(join: &str, later: &str) -> String {
    format!(
        r#"
nodes:
  - {{ id: first, action: data.set, parameters: {{ round: 1 }} }}
  - {{ id: wait, action: flow.wait, parameters: {{ for: {later} }} }}
  - {{ id: second, action: data.set, parameters: {{ round: 2 }} }}
  - {{ id: x, action: data.set, join: each, parameters: {{ round: "{{{{ $json.round }}}}" }} }}
  - {{ id: quick, action: flow.wait, parameters: {{ for: 2s }} }}
  - {{ id: middle, action: flow.wait, parameters: {{ for: 4s }} }}
  - {{ id: slow, action: flow.wait, parameters: {{ for: 20s }} }}
  - {{ id: join, action: data.set, join: {join}, parameters: {{ rounds: "{{{{ $inputs.main.map(i => i.round).join(' ') }}}}" }} }}
connections:
  - wait -> second
  - first -> x
  - second -> x
  - x -> quick -> join
  - x -> middle -> join
  - x -> slow -> join
output: "{{{{ $nodes.join.result.rounds }}}}"
"#
    )
}

/// Every node of [`rounds`] ended, `join` once per round.
const TWICE: &str =
    "completed: first join join#2 middle middle#2 quick quick#2 second slow slow#2 wait x x#2";

/// 9: the first thread goes on, the others of its round have no effect; then the join is reset.
pub async fn pattern_09_structured_discriminator(stage: &Stage) {
    let history = stage.play(&rounds("any", "30s"), Value::Null).await;
    history.check(
        TWICE,
        "quick < join, join | middle, join | slow, slow < join#2, quick#2 < join#2, join#2 | middle#2",
    );
}

/// 28: a thread of the next round is held back until every thread of this one has come.
pub async fn pattern_28_blocking_discriminator(stage: &Stage) {
    let yaml = rounds("{ count: 1, rest: block }", "5s");
    let history = stage.play(&yaml, Value::Null).await;
    history.check(
        TWICE,
        "quick < join, join | slow, quick#2 < join#2, middle#2 < join#2, slow < join#2, join#2 | slow#2",
    );
    assert_eq!(history.output, json!("2"));
}

/// 30: the second of three threads goes on, the third has no effect; then the join is reset.
pub async fn pattern_30_structured_partial_join(stage: &Stage) {
    let yaml = rounds("{ count: 2, rest: absorb }", "30s");
    let history = stage.play(&yaml, Value::Null).await;
    history.check(
        TWICE,
        "quick < join, middle < join, join | slow, slow < join#2, middle#2 < join#2, join#2 | slow#2",
    );
    assert_eq!(history.output, json!("2 2"));
}

/// 31: threads of the next round are held back until all three of this one have come.
pub async fn pattern_31_blocking_partial_join(stage: &Stage) {
    let yaml = rounds("{ count: 2, rest: block }", "5s");
    let history = stage.play(&yaml, Value::Null).await;
    history.check(
        TWICE,
        "middle < join, join | slow, quick#2 < join#2, middle#2 < join#2, slow < join#2, join#2 | slow#2",
    );
    assert_eq!(history.output, json!("2 2"));
}

/// 33: what comes early is kept for the next time, and the join fires once per set.
pub async fn pattern_33_generalised_and_join(stage: &Stage) {
    let history = stage.play(&rounds("all", "5s"), Value::Null).await;
    history.check(
        TWICE,
        "slow < join, quick#2 < join, middle#2 < join, slow#2 < join#2, join | slow#2",
    );
    assert_eq!(history.output, json!("2 2 2"));
}

/// 37: each way that is active is waited for, where ways part and meet without any structure.
pub async fn pattern_37_local_synchronizing_merge(stage: &Stage) {
    let yaml = r#"
nodes:
  - { id: choose, action: data.set, parameters: { n: "{{ $input.n }}" } }
  - { id: a, action: flow.wait, parameters: { for: 2s } }
  - { id: b, action: flow.wait, parameters: { for: 4s } }
  - { id: c, action: flow.wait, parameters: { for: 6s } }
  - { id: d, action: flow.wait, parameters: { for: 2s } }
  - { id: after, action: data.set, parameters: { of: "{{ $inputs.main.length }}" } }
connections:
  - { from: choose, to: a, condition: "$json.n != 2" }
  - { from: choose, to: b, condition: "$json.n >= 2" }
  - { from: a, to: c, condition: "$json.n != 1" }
  - a -> after
  - b -> c
  - { from: b, to: d, condition: "$json.n == 4" }
  - c -> after
  - d -> after
"#;
    for (n, ended, order) in [
        (1, "completed: a after choose, skipped b c d", "a < after"),
        (
            2,
            "completed: after b c choose, skipped a d",
            "b < c < after",
        ),
        (
            3,
            "completed: a after b c choose, skipped d",
            "a < c, b < c < after",
        ),
        (
            4,
            "completed: a after b c choose d",
            "a < after, c < after, d < after, c | d",
        ),
    ] {
        stage
            .play(yaml, json!({ "n": n }))
            .await
            .check(ended, order);
    }
}

/// 38: what may still come is waited for, also round a loop; what cannot, is not. Threads whose
/// numbers differ have no such join: the plan is refused.
pub async fn pattern_38_general_synchronizing_merge(stage: &Stage) {
    let yaml = r#"
nodes:
  - { id: a, action: flow.wait, parameters: { for: 2s } }
  - { id: b, action: data.set, parameters: { n: "{{ ($nodes.c?.result?.n ?? 0) + 1 }}" } }
  - { id: c, action: flow.wait, parameters: { for: 4s } }
  - { id: after, action: data.set, parameters: { of: "{{ $inputs.main.length }}" } }
connections:
  - a -> after
  - b -> c
  - { from: c, to: b, loop: true, condition: "$json.n < 3" }
  - { from: c, to: after, condition: "$json.n == $input.leaves" }
"#;
    for (leaves, of) in [(1, 2), (3, 2), (9, 1)] {
        let history = stage.play(yaml, json!({ "leaves": leaves })).await;
        history.check(
            "completed: a after b b#2 b#3 c c#2 c#3",
            "a < after, c < c#2 < c#3 < after",
        );
        assert_eq!(history.output, json!({ "of": of }));
    }
    let unequal = r#"
nodes: [{ id: a, action: data.set }, { id: b, action: data.set }, { id: twice, action: data.set, join: each }, { id: after, action: data.set }]
connections: [a -> twice, b -> twice, twice -> after, b -> after]
"#;
    let problems = stage.problems(unequal).await;
    assert!(problems.contains("PLAN_UNEQUAL_RATES"), "{problems}");
}
