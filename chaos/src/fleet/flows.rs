//! The workflows that a fleet runs. They reach the outside over HTTP, under keys, and by files that all workers
//! share: appended to at most once, made, replaced.

use nebula_action::EffectClass;
use nebula_core::Digest;
use serde_json::{Value, json};

/// Where the outside listens, in the texts below.
const HOST: &str = "HOST";

/// What is asked of the outside, in the texts below: `DO(label, value, refused)`.
const DO: &str = "DO(";

/// The file of lines that are written at most once.
pub(crate) const LINES: &str = "lines.txt";

/// The folder of files that are made once, and of those that are replaced.
pub(crate) const MADE: &str = "made";

const FLOWS: &[(&str, &str)] = &[
    (
        "chain",
        r#"
nodes:
  - { id: a, DO("{{ $input.n }}/a", "{{ $input.k }}", 0) }
  - { id: b, action: data.set, parameters: { v: "{{ $nodes.a.result.body.v + 1 }}" } }
  - { id: c, action: file.write, parameters: { path: lines.txt, mode: append, content: "{{ $input.n }}/c {{ $nodes.b.result.v }}\n" } }
  - { id: d, action: file.write, requires: ["fs:write:made"], parameters: { path: "made/{{ $input.n }}-d.txt", mode: create, content: "{{ $nodes.b.result.v }} {{ $nodes.c.success }}" } }
  - { id: e, action: file.write, requires: ["fs:write:made"], parameters: { path: "made/{{ $input.n }}-e.txt", mode: overwrite, content: "{{ $nodes.b.result.v }} {{ $nodes.d.success }}" } }
  - { id: f, DO("{{ $input.n }}/f", "{{ $nodes.b.result.v + $nodes.e.result.bytes }}", 0) }
output: "{{ $nodes.f.result.body.v }}"
"#,
    ),
    (
        "list",
        r#"
nodes:
  - { id: all, for_each: "$input.items", concurrency: 4, retry: { max_attempts: 5, backoff: fixed, initial: 20ms },
      DO("{{ $input.n }}/all/{{ $index }}", "{{ $item }}", "{{ $index % 7 == 3 ? 1 : 0 }}") }
  - { id: sum, action: data.set, parameters: { v: "{{ $nodes.all.result.reduce((a, b) => a + b.body.v, 0) }}" } }
output: "{{ $nodes.sum.result }}"
"#,
    ),
    (
        "bodies",
        r#"
nodes:
  - id: runs
    action: flow.for_each
    concurrency: 3
    parameters: { items: "{{ $input.items.slice(0, 6) }}" }
    body:
      nodes:
        - { id: first, DO("{{ $input.n }}/first/{{ $index }}", "{{ $item }}", 0) }
        - { id: then, DO("{{ $input.n }}/then/{{ $index }}", "{{ $nodes.first.result.body.v }}", 0) }
output: "{{ $nodes.runs.result.map(r => r.body.v) }}"
"#,
    ),
    (
        "undone",
        r#"
nodes:
  - { id: made, for_each: "$input.items.slice(0, 4)", concurrency: 2,
      DO("{{ $input.n }}/made/{{ $index }}", "{{ $item }}", 0),
      compensate: { action: file.write, parameters: { path: lines.txt, mode: append, content: "{{ $input.n }}/unmade/{{ $index }} {{ $json.body.v }}\n" } } }
  - { id: no, action: flow.fail, parameters: { message: it is not to be, code: NOT_TO_BE } }
"#,
    ),
    (
        "timed",
        r#"
nodes:
  - { id: before, DO("{{ $input.n }}/before", "{{ $input.k }}", 0) }
  - { id: wait, action: flow.wait, parameters: { for: 1200ms } }
  - { id: after, action: file.write, parameters: { path: lines.txt, mode: append, content: "{{ $input.n }}/after {{ $nodes.before.result.body.v }}\n" } }
output: "{{ $nodes.before.result.body.v }}"
"#,
    ),
    (
        "locked",
        r#"
nodes:
  - id: till
    action: flow.mutex
    parameters: { name: till }
    body:
      nodes:
        - { id: take, DO("{{ $input.n }}/take", "{{ $input.k }}", 0) }
        - { id: give, DO("{{ $input.n }}/give", "{{ $nodes.take.result.body.v }}", 0) }
output: "{{ $nodes.till.result.body }}"
"#,
    ),
    (
        "calling",
        r#"
nodes:
  - { id: child, action: flow.call, parameters: { workflow: chain, input: { n: "{{ $input.n }}-child", k: "{{ $input.k }}" } } }
  - { id: last, DO("{{ $input.n }}/last", "{{ $nodes.child.result }}", 0) }
output: "{{ $nodes.last.result.body.v }}"
"#,
    ),
];

/// What starts by itself all the time, and who says so.
pub(crate) const TICKS: &str = "ticks";

/// Every second an occurrence, which each execution has as its input.
pub(crate) const TICKING: &str = "id: ticks
triggers: [{ id: t, type: interval, every: 1s, input: { at: \"{{ $trigger.scheduled_at }}\" } }]
nodes: [{ id: a, action: data.set, parameters: { at: \"{{ $input.at }}\" } }]
";

/// How many different inputs there are.
const INPUTS: u64 = 3;

/// How long the lists of executions are.
const ITEMS: u64 = 16;

/// Each workflow by its id, for an outside at `host`.
pub(crate) fn texts(host: &str) -> Vec<(&'static str, String)> {
    FLOWS
        .iter()
        .map(|(id, text)| (*id, format!("id: {id}{}", written_out(text, host))))
        .collect()
}

/// The text with each `DO(label, value, refused)` as what a node does.
fn written_out(text: &str, host: &str) -> String {
    let mut parts = text.split(DO);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['\n']).unwrap_or(part.len());
        let (line, rest) = part.split_at(end);
        let (arguments, after) = line.rsplit_once(')').expect("a call has an end");
        let arguments: Vec<_> = arguments.splitn(3, "\", ").collect();
        let [label, value, refused] = arguments[..] else {
            panic!("{line}: a call has three arguments");
        };
        whole.push_str(&format!(
            "action: http.request, parameters: {{ method: POST, url: 'http://{HOST}/', body: {{ json: {{ \
             execution: \"{{{{ $execution.id }}}}\", label: {label}\", value: {value}\", fails: {refused} }} }} }}{after}{rest}"
        ));
    }
    whole.replace(HOST, host)
}

/// What the attempt that sends this to `host` has as its parameters.
pub(crate) fn parameters(host: &str, sent: &Value) -> Digest {
    Digest::of_json(&json!({
        "method": "POST", "url": format!("http://{host}/"), "body": { "json": sent },
    }))
}

/// Which workflow an execution is of, and which of the inputs it gets.
pub(crate) fn kind(number: u64) -> (&'static str, u64) {
    let flows = FLOWS.len() as u64;
    let (id, _) = FLOWS[usize::try_from(number % flows).expect("a small number")];
    (id, (number / flows) % INPUTS)
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

/// What the execution with this number writes at most once, by label.
pub(crate) fn lines(number: u64) -> Vec<String> {
    let label = match kind(number).0 {
        "chain" => format!("{number}/c"),
        "timed" => format!("{number}/after"),
        "calling" => format!("{number}-child/c"),
        "undone" => return (0..4).map(|n| format!("{number}/unmade/{n}")).collect(),
        _ => return Vec::new(),
    };
    vec![label]
}

/// The effect class of what comes over HTTP.
pub(crate) const CLASS: EffectClass = EffectClass::Keyed;
