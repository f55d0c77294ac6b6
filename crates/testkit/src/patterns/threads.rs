//! Threads that become more or fewer on one way.

use serde_json::{Value, json};

use crate::stage::Stage;

const THREE: &str = r#"
nodes:
  - { id: split, action: flow.split_tokens, parameters: { count: 3 } }
  - { id: a, action: flow.wait, parameters: { for: 2s } }
  - { id: b, action: data.set, parameters: { n: 1 } }
  - { id: merge, action: flow.merge_tokens, parameters: { count: 3 } }
  - { id: after, action: data.set, parameters: { ns: "{{ $json.map(it => it.n) }}" } }
"#;

/// 41: so many threads of one way become one, which waits for them.
pub async fn pattern_41_thread_merge(stage: &Stage) {
    let history = stage.play(THREE, Value::Null).await;
    history.check(
        "completed: a a#2 a#3 after b b#2 b#3 merge split",
        "b < merge, b#2 < merge, b#3 < merge < after",
    );
    assert_eq!(history.output, json!({ "ns": [1, 1, 1] }));
}

/// 42: one thread becomes so many on the same way, which run beside each other.
pub async fn pattern_42_thread_split(stage: &Stage) {
    let history = stage.play(THREE, Value::Null).await;
    history.check(
        "completed: a a#2 a#3 after b b#2 b#3 merge split",
        "split < a, split < a#2, split < a#3, a | a#2, a#2 | a#3",
    );
}
