//! The constructs of the language, each as a short definition with effects before, in and after it.

/// One construct, and what comes of it.
pub(crate) struct Row {
    /// Which construct.
    pub(crate) name: &'static str,
    /// Status and output, or the code of the failure.
    pub(crate) gives: &'static str,
    /// Labels of effects that must happen, besides whatever else does.
    pub(crate) effects: &'static str,
    /// The definition; `@x` is a node `x` with an effect that may be repeated under its key, `?x` one
    /// that must not be repeated.
    yaml: &'static str,
    /// Workflows that it calls.
    calls: &'static [&'static str],
    /// Labels of effects that fail so many times first.
    pub(crate) failing: &'static [(&'static str, u32)],
    /// Whether it is paused as soon as it has begun.
    pub(crate) paused: bool,
}

impl Row {
    /// Its definitions as YAML, what it calls first.
    pub(crate) fn definitions(&self) -> Vec<String> {
        let all = self.calls.iter().chain([&self.yaml]);
        all.map(|yaml| expanded(yaml)).collect()
    }
}

/// Writes the short forms of nodes out.
fn expanded(yaml: &str) -> String {
    let mut text = String::new();
    let mut rest = yaml;
    while let Some(at) = rest.find(['@', '?']) {
        let (before, node) = rest.split_at(at);
        let (kind, id) = node.split_at(1);
        let end = id.find(|c: char| !c.is_ascii_alphanumeric());
        let (id, after) = id.split_at(end.unwrap_or(id.len()));
        text.push_str(before);
        match (kind, id) {
            (kind, "") => text.push_str(kind),
            ("@", id) => text.push_str(&format!(
                "{{ id: {id}, action: test.keyed, parameters: {{ label: {id} }} }}"
            )),
            (_, id) => text.push_str(&format!(
                "{{ id: {id}, action: test.once, parameters: {{ label: maybe {id} }} }}"
            )),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// What must stand in some row, beside the control actions.
pub(crate) const FORMS: &[&str] = &[
    "join: any",
    "join: each",
    "rest: absorb",
    "rest: block",
    "rest: cancel",
    "loop: true",
    "for_each: ",
    "each_item: true",
    "on_item_error: stop",
    "on_item_error: continue",
    "on_item_error: collect",
    "complete_when: ",
    "more: more",
    "on_error: continue",
    ".error -> ",
    "on_indeterminate: fail",
    "on_indeterminate: retry",
    "retry: ",
    "timeout: ",
    "heartbeat_timeout: ",
    "compensate: {",
    "compensate: true",
    "wait: false",
    "admission: ",
    "limits: ",
    "disabled: true",
    "pin: ",
    "when: ",
];

const fn row(
    name: &'static str,
    gives: &'static str,
    effects: &'static str,
    yaml: &'static str,
) -> Row {
    Row {
        name,
        gives,
        effects,
        yaml,
        calls: &[],
        failing: &[],
        paused: false,
    }
}

impl Row {
    const fn calls(mut self, callees: &'static [&'static str]) -> Self {
        self.calls = callees;
        self
    }

    const fn failing(mut self, failing: &'static [(&'static str, u32)]) -> Self {
        self.failing = failing;
        self
    }

    const fn paused(mut self) -> Self {
        self.paused = true;
        self
    }
}

const BILL: &str = "id: bill\nnodes: [@pay, { id: w, action: flow.wait, parameters: { for: 3s } }, { id: ship, action: test.idempotent, parameters: { label: 'ship {{ $input.n }}' } }]";

/// The table.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = joins();
    rows.extend(lists());
    rows.extend(structures());
    rows.extend(people_and_times());
    rows.extend(ends());
    rows.extend(failures());
    rows
}

fn joins() -> Vec<Row> {
    vec![
        row(
            "join all, gates and conditions",
            r#"completed "j""#,
            "a, b, j",
            r#"
nodes: [@a, @b, @j, { id: no, action: test.keyed, when: "false", parameters: { label: never } }, { id: off, action: test.keyed, disabled: true, parameters: { label: never } }, { id: pinned, action: test.keyed, pin: 7, parameters: { label: never } }]
connections: [a -> j, b -> j, a -> no -> j, { from: a, to: off, condition: "$json.label == 'b'" }, off -> j, b -> pinned -> j]
output: "{{ $nodes.j.result.label }}"
"#,
        ),
        row(
            "join any",
            r#"completed "j""#,
            "a, j, late",
            r#"
nodes: [@a, { id: w, action: flow.wait, parameters: { signal: go } }, @late, { id: j, action: test.keyed, join: any, parameters: { label: j } }]
connections: [a -> j, w -> late -> j]
output: "{{ $nodes.j.result.label }}"
"#,
        ),
        row(
            "join count, the rest absorbed",
            r#"completed "j""#,
            "a, b, j, late",
            r#"
nodes: [@a, @b, { id: w, action: flow.wait, parameters: { signal: go } }, @late, { id: j, action: test.keyed, join: { count: 2, rest: absorb }, parameters: { label: j } }]
connections: [a -> j, b -> j, w -> late -> j]
output: "{{ $nodes.j.result.label }}"
"#,
        ),
        row(
            "join count, blocked until the rest is there",
            r#"completed "j""#,
            "a, j, late",
            r#"
nodes: [@a, { id: w, action: flow.wait, parameters: { signal: go } }, @late, { id: j, action: test.keyed, join: { count: 1, rest: block }, parameters: { label: j } }]
connections: [a -> j, w -> late -> j]
output: "{{ $nodes.j.result.label }}"
"#,
        ),
        row(
            "join count, the rest cancelled",
            r#"completed "cancelled""#,
            "a, b, j",
            r#"
nodes: [@a, @b, { id: w, action: flow.wait, parameters: { signal: go } }, { id: late, action: test.keyed, parameters: { label: never } }, { id: j, action: test.keyed, join: { count: 2, rest: cancel }, parameters: { label: j } }, { id: end, action: data.set, parameters: { w: "{{ $nodes.w?.status }}" } }]
connections: [a -> j, b -> j, w -> late -> j, j -> end]
output: "{{ $nodes.end.result.w }}"
"#,
        ),
        row(
            "join each",
            r#"completed "done""#,
            "j a, j b",
            r#"
nodes: [@a, @b, { id: j, action: test.keyed, join: each, parameters: { label: "j {{ $json.label }}" } }]
connections: [a -> j, b -> j]
output: done
"#,
        ),
        row(
            "threads",
            r#"completed ["t 1","t 1","t 1"]"#,
            "a, t 1, end",
            r#"
nodes: [@a, { id: three, action: flow.split_tokens, parameters: { count: 3 } }, { id: t, action: test.keyed, parameters: { label: "t {{ $input.n }}" } }, { id: one, action: flow.merge_tokens, parameters: { count: 3 } }, @end]
connections: [a -> three -> t -> one -> end]
output: "{{ $nodes.one.result.map(it => it.label) }}"
"#,
        ),
        row(
            "connections that go back",
            "completed 3",
            "b 1, b 2, b 3, end",
            r#"
nodes: [{ id: a, action: data.set, parameters: { n: "{{ ($nodes.c?.result?.n ?? 0) + 1 }}" } }, { id: b, action: test.keyed, parameters: { label: "b {{ $json.n }}" } }, { id: c, action: data.set, parameters: { n: "{{ $nodes.a.result.n }}" } }, @end]
connections: [a -> b -> c, { from: c, to: a, loop: true, condition: "$json.n < 3" }, c -> end]
output: "{{ $nodes.c.result.n }}"
"#,
        ),
        row(
            "flow.if and flow.switch",
            r#"completed "yes""#,
            "yes, big",
            r#"
nodes: [{ id: i, action: flow.if, parameters: { condition: "$input.n == 1" } }, @yes, { id: no, action: test.keyed, parameters: { label: never } }, { id: s, action: flow.switch, parameters: { cases: { small: "$input.n > 1" } } }, { id: small, action: test.keyed, parameters: { label: never } }, @big]
connections: [i.true -> yes, i.false -> no, s.small -> small, s.default -> big]
output: "{{ $nodes.yes?.result?.label }}"
"#,
        ),
        row(
            "a milestone",
            r#"completed ["change","regret"]"#,
            "order, change, ship, regret",
            r#"
nodes: [@order, { id: early, action: flow.milestone, parameters: { reached: order, until: ship } }, @change, @ship, { id: late, action: flow.milestone, parameters: { reached: order, until: ship } }, { id: wrong, action: test.keyed, parameters: { label: never } }, @regret, { id: w, action: flow.wait, parameters: { signal: late } }]
connections: [order -> ship, early -> change -> ship, w -> late -> wrong, late.expired -> regret]
output: "{{ [$nodes.change.result.label, $nodes.regret?.result?.label] }}"
"#,
        ),
    ]
}

fn lists() -> Vec<Row> {
    vec![
        row(
            "for_each of a node",
            r#"completed ["e 1","e 2","e 3"]"#,
            "e 1, e 2, e 3, end",
            r#"
nodes: [{ id: e, action: test.keyed, for_each: "[1, 2, 3]", concurrency: 2, parameters: { label: "e {{ $item }}" } }, @end]
output: "{{ $nodes.e.result.map(it => it.label) }}"
"#,
        ),
        row(
            "each_item",
            "completed 2",
            "e 1, e 2",
            r#"
nodes: [{ id: a, action: data.set, pin: [1, 2] }, { id: e, action: test.keyed, each_item: true, parameters: { label: "e {{ $item }}" } }]
output: "{{ $nodes.e.result.length }}"
"#,
        ),
        row(
            "flow.for_each",
            r#"completed ["b 1","b 2"]"#,
            "a 1, a 2, b 1, b 2, end",
            r#"
nodes: [{ id: e, action: flow.for_each, concurrency: 2, parameters: { items: [1, 2] }, body: { nodes: [{ id: a, action: test.keyed, parameters: { label: "a {{ $item }}" } }, { id: w, action: flow.wait, parameters: { for: 3s } }, { id: b, action: test.idempotent, parameters: { label: "b {{ $item }}" } }] } }, @end]
output: "{{ $nodes.e.result.map(it => it.label) }}"
"#,
        ),
        row(
            "an item that fails stops the others",
            "completed null",
            "i 1, mend",
            r#"
nodes: [{ id: e, action: flow.for_each, concurrency: 1, on_item_error: stop, parameters: { items: [1, 2, 3] }, body: { nodes: [{ id: f, action: flow.fail, when: "$item == 2", parameters: { message: two } }, { id: i, action: test.keyed, when: "$item != 2", parameters: { label: "i {{ $item == 3 ? 'never' : $item }}" } }], connections: [] } }, @mend]
connections: [e.error -> mend]
output: "{{ $nodes.e.result }}"
"#,
        ),
        row(
            "an item that fails stands in the list",
            r#"completed ["i 1","FLOW_FAIL","i 3"]"#,
            "i 1, i 3",
            r#"
nodes: [{ id: e, action: flow.for_each, concurrency: 1, on_item_error: continue, parameters: { items: [1, 2, 3] }, body: { nodes: [{ id: f, action: flow.fail, when: "$item == 2", parameters: { message: two } }, { id: i, action: test.keyed, when: "$item != 2", parameters: { label: "i {{ $item }}" } }], connections: [] } }]
output: "{{ $nodes.e.result.map(it => it.error?.code ?? it.label ?? it.i.label) }}"
"#,
        ),
        row(
            "items that fail are collected",
            "completed [1]",
            "i 1, i 3",
            r#"
nodes: [{ id: e, action: flow.for_each, concurrency: 1, on_item_error: collect, parameters: { items: [1, 2, 3] }, body: { nodes: [{ id: f, action: flow.fail, when: "$item == 2", parameters: { message: two } }, { id: i, action: test.keyed, when: "$item != 2", parameters: { label: "i {{ $item }}" } }], connections: [] } }]
output: "{{ $nodes.e.result.errors.map(it => it.index) }}"
"#,
        ),
        row(
            "a list that is complete early, the rest cancelled",
            r#"completed ["e 1","e 2",null]"#,
            "e 1, e 2",
            r#"
nodes: [{ id: e, action: flow.for_each, concurrency: 1, complete_when: 2, parameters: { items: [1, 2, 3] }, body: { nodes: [{ id: i, action: test.keyed, parameters: { label: "e {{ $item == 3 ? 'never' : $item }}" } }] } }]
output: "{{ $nodes.e.result.map(it => it?.label) }}"
"#,
        ),
        row(
            "a list that is complete early, the rest absorbed",
            r#"completed ["e 1",null,null]"#,
            "e 1, e 2, e 3, end",
            r#"
nodes: [{ id: e, action: test.keyed, for_each: "[1, 2, 3]", concurrency: 1, complete_when: "$json.last.index == 0", rest: absorb, parameters: { label: "e {{ $item }}" } }, @end]
output: "{{ $nodes.e.result.map(it => it?.label) }}"
"#,
        ),
        row(
            "a list that grows",
            r#"completed ["e 1","e 2","e 3"]"#,
            "e 1, e 2, e 3, end",
            r#"
nodes: [{ id: e, action: flow.for_each, concurrency: 1, parameters: { items: [1], more: more }, body: { nodes: [{ id: i, action: test.keyed, parameters: { label: "e {{ $item }}" } }] } }, @end]
output: "{{ $nodes.e.result.map(it => it.label) }}"
"#,
        ),
        row(
            "batches",
            r#"completed ["part 2","part 1"]"#,
            "part 2, part 1, end",
            r#"
nodes: [{ id: parts, action: flow.batches, parameters: { items: [1, 2, 3], size: 2 } }, { id: part, action: test.keyed, parameters: { label: "part {{ $json.length }}" } }, @end]
connections: [parts.loop -> part, { from: part, to: parts, loop: true }, parts.done -> end]
output: "{{ $nodes.parts.result.map(it => it.label) }}"
"#,
        ),
    ]
}

fn structures() -> Vec<Row> {
    vec![
        row("flow.loop", r#"completed "r 1""#, "r 0, r 1, end", r#"
nodes: [{ id: again, action: flow.loop, parameters: { until: "$loop.index >= 1", delay: 3s }, body: { nodes: [{ id: r, action: test.keyed, parameters: { label: "r {{ $loop.index }}" } }] } }, @end]
output: "{{ $nodes.again.result.label }}"
"#),
        row("flow.parallel", r#"completed ["a","b"]"#, "a, b, end", r#"
nodes: [{ id: both, action: flow.parallel, body: { nodes: [@a, @b], connections: [] } }, @end]
output: "{{ [$nodes.both.result.a.label, $nodes.both.result.b.label] }}"
"#),
        row("the time of a body is up", r#"completed "BODY_TIMEOUT""#, "a, mend", r#"
nodes: [@a, { id: both, action: flow.parallel, parameters: { timeout: 3s }, body: { nodes: [{ id: w, action: flow.wait, parameters: { for: 1h } }] } }, { id: code, action: data.set, parameters: { code: "{{ $json.code }}" } }, @mend]
connections: [a -> both, both.error -> code -> mend]
output: "{{ $nodes.code?.result?.code }}"
"#),
        row("flow.race", r#"completed "quick""#, "quick, end", r#"
nodes: [{ id: first, action: flow.race, body: { nodes: [@quick, { id: slow, action: flow.wait, parameters: { for: 1h } }, { id: hangs, action: test.idempotent, parameters: { label: hangs, hang: true } }], connections: [] } }, @end]
output: "{{ $nodes.first.result.winner }}"
"#),
        row("flow.try, with a handler and what runs in any case", r#"completed "mend""#, "a, mend, note, end", r#"
nodes: [{ id: t, action: flow.try, parameters: { catch: { other: "$json.code == 'OTHER'", mend: "$json.code == 'GONE'" }, finally: note }, body: { nodes: [@a, { id: f, action: flow.fail, parameters: { message: gone, code: GONE } }, { id: other, action: test.keyed, parameters: { label: never } }, @mend, @note] } }, @end]
output: "{{ $nodes.t.result.label }}"
"#),
        row("flow.call that waits", r#"completed "ship 1""#, "pay, ship 1, end", r#"
id: caller
nodes: [{ id: c, action: flow.call, parameters: { workflow: bill, input: { n: 1 } } }, @end]
output: "{{ $nodes.c.result.label }}"
"#)
        .calls(&[BILL]),
        row("flow.call that does not wait", r#"completed "end""#, "pay, ship 2, end", r#"
id: caller
nodes: [{ id: c, action: flow.call, parameters: { workflow: bill, wait: false, input: { n: 2 } } }, @end]
output: "{{ $nodes.end.result.label }}"
"#)
        .calls(&[BILL]),
        row("a mutex", r#"completed "a""#, "a, end", r#"
nodes: [{ id: m, action: flow.mutex, parameters: { name: till }, body: { nodes: [@b, { id: w, action: flow.wait, parameters: { for: 3s } }, @a] } }, @end]
output: "{{ $nodes.m.result.label }}"
"#),
        row("a mutex of one execution", r#"completed "done""#, "a, b", r#"
nodes: [{ id: m, action: flow.mutex, parameters: { name: till, scope: execution }, body: { nodes: [@a] } }, { id: n, action: flow.mutex, parameters: { name: till, scope: execution }, body: { nodes: [@b] } }]
connections: []
output: done
"#),
        row("a semaphore", r#"completed ["s 1","s 2","s 3"]"#, "s 1, s 2, s 3", r#"
nodes: [{ id: e, action: flow.for_each, parameters: { items: [1, 2, 3] }, body: { nodes: [{ id: s, action: flow.semaphore, parameters: { name: desk, permits: 2 }, body: { nodes: [{ id: a, action: test.keyed, parameters: { label: "s {{ $item }}" } }] } }] } }]
output: "{{ $nodes.e.result.map(it => it.label) }}"
"#),
        row("an admission", r#"completed "a""#, "a", r#"
admission: { concurrency: 1 }
nodes: [@a]
output: "{{ $nodes.a.result.label }}"
"#),
    ]
}

fn people_and_times() -> Vec<Row> {
    vec![
        row("a wait for so long", r#"completed "b""#, "a, b", r#"
nodes: [@a, { id: w, action: flow.wait, parameters: { for: 3s } }, @b]
output: "{{ $nodes.b.result.label }}"
"#),
        row("a wait until then", r#"completed "b""#, "a, b", r#"
nodes: [@a, { id: w, action: flow.wait, parameters: { until: "{{ DateTime.fromISO($execution.started_at).plus({ seconds: 5 }).toISO() }}" } }, @b]
output: "{{ $nodes.b.result.label }}"
"#),
        row("a wait for a signal", r#"completed "go""#, "a, b", r#"
nodes: [@a, { id: w, action: flow.wait, parameters: { signal: go } }, @b]
output: "{{ $nodes.w.result }}"
"#),
        row("a signal to itself, and one that nobody hears", "completed 7", "a, b", r#"
nodes: [@a, { id: s, action: flow.signal, parameters: { execution: "{{ $execution.id }}", signal: done, payload: 7 } }, { id: lost, action: flow.signal, parameters: { execution: "{{ $execution.id }}", signal: lost, keep: false } }, { id: w, action: flow.wait, parameters: { signal: done } }, @b]
connections: [a -> s -> lost -> w -> b]
output: "{{ $nodes.w.result }}"
"#),
        row("an approval", r#"completed {"by":["ada"],"decision":"approve"}"#, "yes", r#"
nodes: [{ id: sign, action: flow.approval, parameters: { title: "Go on?" } }, @yes, { id: no, action: test.keyed, parameters: { label: never } }]
connections: [sign.approve -> yes, sign.reject -> no]
output: { by: "{{ $nodes.sign.result.by }}", decision: "{{ $nodes.sign.result.decision }}" }
"#),
        row("an event", r#"completed "b""#, "a, b", r#"
nodes: [@a, { id: tell, action: flow.emit, parameters: { event: order.packed, payload: { n: 1 } } }, @b]
output: "{{ $nodes.b.result.label }}"
"#),
        row("an answer", r#"completed "b""#, "a, b", r#"
nodes: [@a, { id: said, action: flow.respond, parameters: { status: 201, headers: { x-a: "1" }, body: { n: 1 } } }, @b]
output: "{{ $nodes.b.result.label }}"
"#),
        row("a pause", r#"completed "b""#, "a, b", r#"
nodes: [{ id: a, action: test.keyed, parameters: { label: a, seconds: 3 } }, { id: w, action: flow.wait, parameters: { for: 3s } }, @b]
output: "{{ $nodes.b.result.label }}"
"#)
        .paused(),
    ]
}

fn ends() -> Vec<Row> {
    vec![
        row(
            "flow.stop",
            r#"completed "a""#,
            "a",
            r#"
nodes: [@a, { id: s, action: flow.stop, parameters: { output: "{{ $json.label }}" } }, { id: w, action: flow.wait, parameters: { for: 1h } }, { id: after, action: test.keyed, parameters: { label: never } }]
connections: [a -> s, w -> after]
"#,
        ),
        row(
            "flow.fail",
            "failed GONE",
            "a",
            r#"
nodes: [@a, { id: f, action: flow.fail, parameters: { message: gone, code: GONE } }, { id: after, action: test.keyed, parameters: { label: never } }]
"#,
        ),
        row(
            "an event with the name of an answer",
            "failed EVENT_NAME",
            "a",
            r#"
nodes: [@a, { id: f, action: flow.emit, parameters: { event: "nebula.{{ 'response' }}" } }, { id: after, action: test.keyed, parameters: { label: never } }]
"#,
        ),
        row(
            "nodes that are cancelled",
            r#"completed "cancelled""#,
            "a, end",
            r#"
nodes: [@a, { id: k, action: flow.cancel, parameters: { nodes: [w, p] } }, { id: w, action: flow.wait, parameters: { for: 1h } }, { id: p, action: flow.parallel, body: { nodes: [{ id: x, action: flow.wait, parameters: { for: 1h } }] } }, { id: never, action: test.keyed, parameters: { label: never } }, { id: end, action: test.keyed, parameters: { label: end, was: "{{ $nodes.w?.status }}" } }]
connections: [a -> k -> end, w -> never, p -> end, w -> end]
output: "{{ $nodes.w?.status }}"
"#,
        ),
        row(
            "an execution that cancels itself",
            "cancelled null",
            "a",
            r#"
nodes: [@a, { id: k, action: flow.cancel, parameters: { execution: true, reason: enough } }, { id: after, action: test.keyed, parameters: { label: never } }]
"#,
        ),
        row(
            "the time of an execution is up",
            "timed_out null",
            "a",
            r#"
nodes: [@a, { id: w, action: flow.wait, parameters: { for: 1h } }, { id: after, action: test.keyed, parameters: { label: never } }]
limits: { timeout: 45s }
"#,
        ),
    ]
}

fn failures() -> Vec<Row> {
    vec![
        row("a retry after a long time", r#"completed "b""#, "a, b", r#"
nodes: [{ id: a, action: test.keyed, retry: { max_attempts: 3, initial: 5s }, parameters: { label: a } }, @b]
output: "{{ $nodes.b.result.label }}"
"#)
        .failing(&[("a", 1)]),
        row("a failure that goes on, and one with a way of its own", r#"completed ["FLOW_FAIL","mend"]"#, "mend, end", r#"
nodes: [{ id: f, action: flow.fail, on_error: continue, parameters: { message: no } }, { id: g, action: flow.fail, parameters: { message: no } }, @mend, @end]
connections: [f -> end, g.error -> mend -> end]
output: "{{ [$nodes.f.error.code, $nodes.mend?.result?.label] }}"
"#),
        row("an attempt that takes too long", r#"completed "failed""#, "a, end", r#"
nodes: [{ id: a, action: test.idempotent, timeout: 3s, on_error: continue, parameters: { label: a, hang: true } }, @end]
output: "{{ $nodes.a.status }}"
"#),
        row("an attempt that is silent for too long", r#"completed "failed""#, "a, end", r#"
nodes: [{ id: a, action: test.idempotent, heartbeat_timeout: 3s, on_error: continue, parameters: { label: a, hang: true } }, @end]
output: "{{ $nodes.a.status }}"
"#),
        row("an unknown effect that a person decides about", r#"completed "end""#, "end", r#"
nodes: [{ id: a, action: test.once, timeout: 3s, parameters: { label: maybe a, hang: true } }, @end]
output: "{{ $nodes.end.result.label }}"
"#),
        row("an unknown effect that counts as failed", r#"completed "end""#, "end", r#"
nodes: [{ id: a, action: test.once, timeout: 3s, on_indeterminate: fail, on_error: continue, parameters: { label: maybe a, hang: true } }, @end]
output: "{{ $nodes.end.result.label }}"
"#),
        row("an unknown effect that is repeated", r#"completed "a""#, "a, end", r#"
nodes: [{ id: a, action: test.once, on_indeterminate: retry, parameters: { label: a } }, @end]
output: "{{ $nodes.a.result.label }}"
"#),
        row("what was done is undone", "failed NO", "a, undo a, b, undo b", r#"
nodes: [{ id: a, action: test.keyed, parameters: { label: a }, compensate: { action: test.keyed, parameters: { label: "undo {{ $json.label }}" } } }, { id: e, action: flow.for_each, parameters: { items: [b] }, body: { nodes: [{ id: i, action: test.keyed, parameters: { label: "{{ $item }}" }, compensate: { action: test.idempotent, parameters: { label: "undo {{ $item }}" } } }] } }, { id: f, action: flow.fail, parameters: { message: no, code: "NO" } }]
"#),
        row("a body that is undone before its failure is handled", r#"completed "mend""#, "a, undo a, mend", r#"
nodes: [{ id: t, action: flow.try, parameters: { compensate: true, catch: { mend: "true" } }, body: { nodes: [{ id: a, action: test.keyed, parameters: { label: a }, compensate: { action: test.keyed, parameters: { label: undo a } } }, { id: f, action: flow.fail, parameters: { message: no } }, @mend] } }]
output: "{{ $nodes.t.result.label }}"
"#),
    ]
}
