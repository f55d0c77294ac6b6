//! The workflows that are run, and what they are given.

use serde_json::{Value, json};

/// What the embedded workers run. Results follow from `k` and never from `n`, the execution's number,
/// so that they can be compared with those of an undisturbed run.
pub(crate) const FLOWS: &[(&str, &str)] = &[
    (
        "chain",
        r#"
id: chain
nodes:
  - { id: a, action: ledger.keyed, parameters: { label: "{{ $input.n }}/a", value: "{{ $input.k }}" } }
  - { id: b, action: data.set, parameters: { v: "{{ $nodes.a.result.v + 1 }}" } }
  - { id: c, action: ledger.once, parameters: { label: "{{ $input.n }}/c", value: "{{ $nodes.b.result.v }}" } }
  - { id: d, action: ledger.reconciled, parameters: { label: "{{ $input.n }}/d", value: "{{ $nodes.c.result.v + 1 }}" } }
  - { id: e, action: ledger.idempotent, parameters: { label: "{{ $input.n }}/e", value: "{{ $nodes.d.result.v + 1 }}" } }
output: "{{ $nodes.e.result.v }}"
"#,
    ),
    (
        "list",
        r#"
id: list
nodes:
  - id: all
    action: ledger.keyed
    for_each: "$input.items"
    concurrency: 4
    retry: { max_attempts: 5, backoff: fixed, initial: 20ms }
    parameters: { label: "{{ $input.n }}/all/{{ $index }}", value: "{{ $item }}", fails: "{{ $index % 7 == 3 ? 1 : 0 }}" }
  - { id: sum, action: data.set, parameters: { v: "{{ $nodes.all.result.reduce((a, b) => a + b.v, 0) }}" } }
output: "{{ $nodes.sum.result }}"
"#,
    ),
    (
        "bodies",
        r#"
id: bodies
nodes:
  - id: runs
    action: flow.for_each
    concurrency: 3
    parameters: { items: "{{ $input.items.slice(0, 12) }}" }
    body:
      nodes:
        - { id: first, action: ledger.keyed, parameters: { label: "{{ $input.n }}/first/{{ $index }}", value: "{{ $item }}" } }
        - { id: then, action: ledger.reconciled, parameters: { label: "{{ $input.n }}/then/{{ $index }}", value: "{{ $nodes.first.result.v }}" } }
output: "{{ $nodes.runs.result.map(r => r.v) }}"
"#,
    ),
    (
        "undone",
        r#"
id: undone
nodes:
  - id: made
    action: ledger.keyed
    for_each: "$input.items.slice(0, 4)"
    concurrency: 2
    parameters: { label: "{{ $input.n }}/made/{{ $index }}", value: "{{ $item }}" }
    compensate: { action: ledger.keyed, parameters: { label: "{{ $input.n }}/unmade/{{ $index }}", value: "{{ $json.v }}" } }
  - { id: no, action: flow.fail, parameters: { message: it is not to be, code: NOT_TO_BE } }
"#,
    ),
    (
        "timed",
        r#"
id: timed
nodes:
  - { id: before, action: ledger.keyed, parameters: { label: "{{ $input.n }}/before", value: "{{ $input.k }}" } }
  - { id: wait, action: flow.wait, parameters: { for: 1200ms } }
  - { id: after, action: ledger.once, parameters: { label: "{{ $input.n }}/after", value: "{{ $nodes.before.result.v }}" } }
output: "{{ $nodes.after.result.v }}"
"#,
    ),
    (
        "locked",
        r#"
id: locked
nodes:
  - id: till
    action: flow.mutex
    parameters: { name: till }
    body:
      nodes:
        - { id: take, action: ledger.keyed, parameters: { label: "{{ $input.n }}/take", value: "{{ $input.k }}" } }
        - { id: give, action: ledger.keyed, parameters: { label: "{{ $input.n }}/give", value: "{{ $nodes.take.result.v }}" } }
output: "{{ $nodes.till.result }}"
"#,
    ),
    (
        "calling",
        r#"
id: calling
nodes:
  - { id: child, action: flow.call, parameters: { workflow: chain, input: { n: "{{ $input.n }}-child", k: "{{ $input.k }}" } } }
  - { id: last, action: ledger.keyed, parameters: { label: "{{ $input.n }}/last", value: "{{ $nodes.child.result }}" } }
output: "{{ $nodes.last.result.v }}"
"#,
    ),
];

/// How many different inputs there are.
pub(crate) const INPUTS: u64 = 5;

/// How long the lists of executions are.
pub(crate) const ITEMS: u64 = 40;

/// Which workflow an execution is of, and which of the inputs it gets.
pub(crate) fn kind(number: u64) -> (&'static str, u64) {
    let (flows, at) = (FLOWS.len() as u64, number);
    let (id, _) = FLOWS[usize::try_from(at % flows).expect("a small number")];
    (id, (at / flows) % INPUTS)
}

/// What an execution is given.
pub(crate) fn input(number: u64) -> Value {
    let (_, k) = kind(number);
    let items: Vec<_> = (0..ITEMS).map(|item| item * 3 + k).collect();
    json!({ "n": number, "k": k, "items": items })
}

/// The number of results that an undisturbed run gives.
pub(crate) fn kinds() -> u64 {
    FLOWS.len() as u64 * INPUTS
}

/// What the outside gives for a value.
pub(crate) fn result(value: i64) -> i64 {
    (value * 31 + 7).rem_euclid(9_973)
}
