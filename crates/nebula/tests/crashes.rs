//! The engine whose process dies at every call of its store, in turn.

mod world;

use nebula::{Nebula, execution::Status};
use serde_json::{Value, json};
use world::{Death, Saved, dies_at_each, states};

/// A definition whose result no crash may change.
struct Flow {
    yaml: &'static str,
    /// Its status, output and states.
    gives: &'static str,
    /// Labels of effects that fail so many times first.
    failing: &'static [(&'static str, u32)],
    /// Labels of effects that happen; those that may be repeated under one key each.
    happen: &'static [&'static str],
    /// Labels of effects that happen at most once.
    once: &'static [&'static str],
    /// Labels of effects that begin one after the other, in this order.
    in_order: &'static [&'static str],
    /// Nodes that run when the execution ends: cancelled, or failed if their worker was lost then.
    cut_off: &'static [&'static str],
}

/// Data, `for_each`, `each_item`, retry, failure with its own path or none, timeout, wait, gates,
/// pins and a join of all in one flow, with effects of every class.
const EVERYTHING: Flow = Flow {
    yaml: r#"
nodes:
  - { id: a, action: data.set, parameters: { list: [1, 2, 3], n: "{{ $input.n }}" } }
  - { id: each, action: test.keyed, for_each: $nodes.a.result.list, concurrency: 2, parameters: { label: "item {{ $item }}" } }
  - { id: bill, action: test.idempotent, parameters: { label: bill } }
  - { id: flaky, action: test.keyed, idempotency_key: "order-{{ $input.n }}", parameters: { label: flaky }, retry: { max_attempts: 3, initial: 4s } }
  - { id: gone, action: flow.fail, parameters: { message: gone, code: GONE } }
  - { id: caught, action: test.read, parameters: { label: "{{ $json.code }}" } }
  - { id: slow, action: test.idempotent, timeout: 3s, on_error: continue, parameters: { label: slow, hang: true } }
  - { id: lost, action: test.once, timeout: 3s, on_indeterminate: fail, on_error: continue, parameters: { label: lost, hang: true } }
  - { id: w, action: flow.wait, parameters: { for: 20s } }
  - { id: never, action: test.keyed, when: "false", parameters: { label: never } }
  - { id: passed, action: test.keyed, disabled: true, parameters: { label: never } }
  - { id: pinned, action: test.keyed, pin: [10, 20], parameters: { label: never } }
  - { id: parts, action: test.read, each_item: true, parameters: { label: "part {{ $item }}" } }
  - { id: end, action: data.set, join: all, parameters: { each: "{{ $nodes.each.result.map(r => r.label) }}", flaky: "{{ $nodes.flaky.result.label }}", parts: "{{ $nodes.parts.result.length }}", n: "{{ $nodes.passed.result.n }}" } }
connections:
  - a -> each -> end
  - a -> bill -> flaky -> end
  - a -> gone
  - gone.error -> caught -> end
  - a -> slow -> end
  - a -> lost -> end
  - a -> w -> end
  - a -> never -> end
  - a -> passed -> end
  - a -> pinned -> parts -> end
output: "{{ $nodes.end.result }}"
"#,
    gives: r#"completed {"each":["item 1","item 2","item 3"],"flaky":"flaky","parts":2,"n":1} | a:succeeded each:succeeded bill:succeeded flaky:succeeded gone:failed caught:succeeded slow:failed lost:failed w:succeeded never:skipped passed:succeeded pinned:succeeded parts:succeeded end:succeeded"#,
    failing: &[("flaky", 1)],
    happen: &[
        "item 1", "item 2", "item 3", "bill", "flaky", "GONE", "part 10", "part 20",
    ],
    once: &["lost"],
    in_order: &[],
    cut_off: &[],
};

/// Every way to part and to meet: conditions, `flow.if`, `flow.switch`, and joins of any, of a
/// number and of each, whose rest is absorbed or blocked.
const PATHS: Flow = Flow {
    yaml: r#"
nodes:
  - { id: a, action: data.set, parameters: { n: "{{ $input.n }}" } }
  - { id: i, action: flow.if, parameters: { condition: "$json.n > 0" } }
  - { id: plus, action: test.keyed, parameters: { label: plus } }
  - { id: minus, action: test.keyed, parameters: { label: never } }
  - { id: met, action: test.keyed, join: any, parameters: { label: "met {{ $json.label }}" } }
  - { id: s, action: flow.switch, parameters: { cases: { none: "$json.n == 0", one: "$json.n == 1" } } }
  - { id: none, action: test.keyed, parameters: { label: never } }
  - { id: one, action: test.keyed, parameters: { label: one } }
  - { id: more, action: test.keyed, parameters: { label: never } }
  - { id: p, action: data.set, parameters: { is: p } }
  - { id: q, action: data.set, parameters: { is: q } }
  - { id: late, action: flow.wait, parameters: { for: 20s } }
  - { id: absorbs, action: test.keyed, join: { count: 2, rest: absorb }, parameters: { label: absorbs } }
  - { id: blocks, action: test.keyed, join: { count: 2, rest: block }, parameters: { label: blocks } }
  - { id: lacks, action: test.keyed, join: { count: 2, rest: absorb }, parameters: { label: never } }
  - { id: every, action: test.keyed, join: each, parameters: { label: "every {{ $json.is }}" } }
connections:
  - a -> i
  - i.true -> plus
  - i.false -> minus
  - plus -> met
  - minus -> met
  - a -> s
  - s.none -> none
  - s.one -> one
  - s.default -> more
  - { from: a, to: p, condition: "$json.n == 1" }
  - a -> q
  - a -> late
  - p -> absorbs
  - q -> absorbs
  - late -> absorbs
  - p -> blocks
  - q -> blocks
  - late -> blocks
  - none -> lacks
  - one -> lacks
  - p -> every
  - q -> every
output: "{{ $nodes.met.result.label }}"
"#,
    gives: r#"completed "met plus" | a:succeeded i:succeeded plus:succeeded minus:skipped met:succeeded s:succeeded none:skipped one:succeeded more:skipped p:succeeded q:succeeded late:succeeded absorbs:succeeded blocks:succeeded lacks:skipped every:succeeded,succeeded"#,
    failing: &[],
    happen: &[
        "plus", "met plus", "one", "absorbs", "blocks", "every p", "every q",
    ],
    once: &[],
    in_order: &[],
    cut_off: &[],
};

/// An early end, while something waits and something runs.
const STOPS: Flow = Flow {
    yaml: r#"
nodes:
  - { id: a, action: data.set, parameters: { n: "{{ $input.n }}" } }
  - { id: bill, action: test.idempotent, parameters: { label: bill } }
  - { id: w, action: flow.wait, parameters: { for: 20s } }
  - { id: done, action: flow.stop, parameters: { output: { found: "{{ $nodes.bill.result.label }}" } } }
  - { id: long, action: flow.wait, parameters: { for: 1h } }
  - { id: hangs, action: test.idempotent, parameters: { label: hangs, hang: true } }
  - { id: after, action: test.keyed, parameters: { label: never } }
connections:
  - a -> bill -> w -> done
  - a -> long -> after
  - a -> hangs
"#,
    gives: r#"completed {"found":"bill"} | a:succeeded bill:succeeded w:succeeded done:succeeded long:cancelled hangs:cancelled"#,
    failing: &[],
    happen: &["bill", "hangs"],
    once: &[],
    in_order: &[],
    cut_off: &["hangs"],
};

/// Every action with a body, in each other, with effects of every class, waits and failures.
const BODIES: Flow = Flow {
    yaml: r#"
nodes:
  - id: each
    action: flow.for_each
    concurrency: 2
    parameters: { items: [1, 2, 3] }
    body:
      nodes:
        - { id: bill, action: test.keyed, parameters: { label: "bill {{ $item }}" } }
        - id: again
          action: flow.loop
          parameters: { until: "$loop.index >= 1", delay: 5s }
          body: { nodes: [{ id: ask, action: test.idempotent, parameters: { label: "ask {{ $index }} {{ $loop.index }}" } }] }
  - id: attempt
    action: flow.try
    parameters: { catch: { never: "$json.code == 'OTHER'", mend: "$json.code == 'GONE'" }, finally: note }
    body:
      nodes:
        - { id: w, action: flow.wait, parameters: { for: 20s } }
        - { id: gone, action: flow.fail, parameters: { message: gone, code: GONE } }
        - { id: never, action: test.keyed, parameters: { label: never } }
        - { id: mend, action: test.keyed, parameters: { label: mend } }
        - { id: note, action: test.read, parameters: { label: note } }
  - id: first
    action: flow.race
    parameters: { timeout: 1h }
    body:
      nodes:
        - { id: slow, action: flow.wait, parameters: { for: 30m } }
        - { id: quick, action: flow.wait, parameters: { for: 10s } }
        - { id: hangs, action: test.idempotent, parameters: { label: hangs, hang: true } }
      connections: []
  - id: both
    action: flow.parallel
    on_error: continue
    parameters: { timeout: 3s }
    body:
      nodes:
        - { id: stays, action: test.keyed, parameters: { label: stays, hang: true } }
        - { id: pay, action: test.once, on_indeterminate: fail, parameters: { label: pay } }
      connections: []
  - { id: end, action: data.set, parameters: { each: "{{ $nodes.each.result.map(r => r.label) }}", mend: "{{ $nodes.attempt.result.label }}", first: "{{ $nodes.first.result.winner }}" } }
connections: [each -> end, attempt -> end, first -> end, both -> end]
output: "{{ $nodes.end.result }}"
"#,
    gives: r#"completed {"each":["ask 0 1","ask 1 1","ask 2 1"],"mend":"mend","first":"quick"} | each:succeeded attempt:succeeded first:succeeded both:failed end:succeeded"#,
    failing: &[],
    happen: &[
        "bill 1", "bill 2", "bill 3", "ask 0 0", "ask 1 0", "ask 2 0", "ask 0 1", "ask 1 1",
        "ask 2 1", "mend", "note",
    ],
    once: &["pay"],
    in_order: &[],
    cut_off: &[],
};

/// Connections that go back: effects of every round, a wait in each, and a loop that is too long.
const LOOPS: Flow = Flow {
    yaml: r#"
nodes:
  - { id: a, action: data.set, parameters: { n: "{{ ($nodes.count?.result?.n ?? 0) + 1 }}" } }
  - { id: bill, action: test.keyed, parameters: { label: "bill {{ $json.n }}" } }
  - { id: w, action: flow.wait, parameters: { for: 20s } }
  - { id: ask, action: test.idempotent, when: "$nodes.a.result.n != 2", parameters: { label: "ask {{ $nodes.a.result.n }}" } }
  - { id: count, action: data.set, parameters: { n: "{{ $nodes.a.result.n }}" } }
  - { id: long, action: data.set, on_error: continue }
  - { id: end, action: test.keyed, parameters: { label: "end {{ $nodes.count.result.n }}" } }
connections:
  - a -> bill -> w -> count
  - a -> ask -> count
  - { from: count, to: a, loop: true, condition: "$json.n < 3" }
  - { from: long, to: long, loop: true, max_rounds: 2 }
  - count -> end
  - long -> end
output: "{{ $nodes.end.result.label }}"
"#,
    gives: r#"completed "end 3" | a:succeeded,succeeded,succeeded bill:succeeded,succeeded,succeeded w:succeeded,succeeded,succeeded ask:succeeded,skipped,succeeded count:succeeded,succeeded,succeeded long:succeeded,succeeded,failed end:succeeded"#,
    failing: &[],
    happen: &["bill 1", "bill 2", "bill 3", "ask 1", "ask 3", "end 3"],
    once: &[],
    in_order: &[],
    cut_off: &[],
};

/// Effects that are undone when the last node fails: of the top level, of bodies that are closed, of
/// one that is undone before its failure is handled; and one that is not undone at once.
const UNDOES: Flow = Flow {
    yaml: r#"
nodes:
  - { id: book, action: test.keyed, parameters: { label: book }, compensate: { action: test.keyed, parameters: { label: "undo {{ $json.label }}" } } }
  - id: orders
    action: flow.for_each
    concurrency: 1
    parameters: { items: [1, 2] }
    body: { nodes: [{ id: bill, action: test.idempotent, parameters: { label: "bill {{ $item }}" }, compensate: { action: test.idempotent, parameters: { label: "undo bill {{ $item }}" }, retry: { max_attempts: 3, initial: 4s } } }] }
  - id: attempt
    action: flow.try
    parameters: { compensate: true, catch: { mend: "true" } }
    body:
      nodes:
        - { id: hold, action: test.keyed, parameters: { label: hold }, compensate: { action: test.keyed, parameters: { label: undo hold } } }
        - { id: gone, action: flow.fail, parameters: { message: gone, code: GONE } }
        - { id: mend, action: test.keyed, parameters: { label: mend }, compensate: { action: test.keyed, parameters: { label: undo mend } } }
  - { id: w, action: flow.wait, parameters: { for: 20s } }
  - { id: end, action: flow.fail, parameters: { message: no, code: "NO" } }
"#,
    gives: r#"failed null | book:compensated orders:succeeded attempt:succeeded w:succeeded end:failed"#,
    failing: &[("undo bill 2", 1)],
    happen: &[
        "book",
        "bill 1",
        "bill 2",
        "hold",
        "undo hold",
        "mend",
        "undo mend",
        "undo bill 2",
        "undo bill 1",
        "undo book",
    ],
    once: &[],
    in_order: &[
        "book",
        "bill 1",
        "bill 2",
        "hold",
        "undo hold",
        "mend",
        "undo mend",
        "undo bill 2",
        "undo bill 1",
        "undo book",
    ],
    cut_off: &[],
};

/// What watchers are told, between effects, in a body, and once per element.
const TOLD: Flow = Flow {
    yaml: r#"
nodes:
  - { id: bill, action: test.keyed, parameters: { label: bill } }
  - { id: billed, action: flow.emit, parameters: { event: billed, payload: { n: "{{ $json.label }}" } } }
  - id: each
    action: flow.for_each
    parameters: { items: [1, 2] }
    body:
      nodes:
        - { id: pack, action: test.idempotent, parameters: { label: "pack {{ $item }}" } }
        - { id: packed, action: flow.emit, parameters: { event: packed, payload: "{{ $item }}" } }
  - { id: w, action: flow.wait, parameters: { for: 20s } }
  - { id: shipped, action: flow.emit, parameters: { event: order.shipped } }
  - { id: end, action: test.keyed, parameters: { label: end } }
output: "{{ $nodes.billed.result.label }}"
"#,
    gives: r#"completed "bill" | bill:succeeded billed:succeeded each:succeeded w:succeeded shipped:succeeded end:succeeded | billed packed packed order.shipped"#,
    failing: &[],
    happen: &["bill", "pack 1", "pack 2", "end"],
    once: &[],
    in_order: &[],
    cut_off: &[],
};

/// Approvals that nobody decides in time, between effects and once per element.
const ASKS: Flow = Flow {
    yaml: r#"
nodes:
  - { id: bill, action: test.keyed, parameters: { label: bill } }
  - { id: sign, action: flow.approval, parameters: { title: "Go on?", approvers: [ada, bob], quorum: 2, expires: 20s, default: approve } }
  - { id: yes, action: test.keyed, parameters: { label: "yes by {{ $json.by.length }}" } }
  - { id: no, action: test.keyed, parameters: { label: never } }
  - id: each
    action: flow.for_each
    parameters: { items: [1, 2] }
    body:
      nodes:
        - { id: ask, action: flow.approval, parameters: { expires: 30s, default: reject } }
        - { id: said, action: test.idempotent, parameters: { label: "{{ $json.decision }} {{ $item }}" } }
      connections: [ask.reject -> said]
  - { id: late, action: flow.approval, parameters: { expires: 5s } }
  - { id: end, action: test.keyed, parameters: { label: "{{ $json.code }}" } }
connections:
  - bill -> each -> late
  - bill -> sign
  - sign.approve -> yes
  - sign.reject -> no
  - late.error -> end
output: "{{ $nodes.end.result.label }}"
"#,
    gives: r#"completed "APPROVAL_EXPIRED" | bill:succeeded sign:succeeded yes:succeeded no:skipped each:succeeded late:failed end:succeeded"#,
    failing: &[],
    happen: &[
        "bill",
        "yes by 0",
        "reject 1",
        "reject 2",
        "APPROVAL_EXPIRED",
    ],
    once: &[],
    cut_off: &[],
    in_order: &[],
};

/// Nodes that are given up: before they begin, while they wait, while they act outside, with their
/// bodies and lists; and by a join that has enough.
const CANCELS: Flow = Flow {
    yaml: r#"
nodes:
  - { id: a, action: data.set, parameters: { n: "{{ $input.n }}" } }
  - { id: bill, action: test.idempotent, parameters: { label: bill } }
  - { id: soon, action: flow.wait, parameters: { for: 10s } }
  - { id: enough, action: flow.cancel, parameters: { nodes: [long, hangs, list, body, early] } }
  - { id: long, action: flow.wait, parameters: { for: 1h } }
  - { id: hangs, action: test.idempotent, parameters: { label: hangs, hang: true } }
  - { id: list, action: test.keyed, for_each: "[1, 2, 3]", concurrency: 2, parameters: { label: "list {{ $item }}", hang: true } }
  - id: body
    action: flow.try
    parameters: { finally: swept }
    body:
      nodes:
        - { id: paid, action: test.keyed, parameters: { label: paid } }
        - { id: far, action: flow.wait, parameters: { for: 1h } }
        - { id: swept, action: test.keyed, parameters: { label: never } }
  - { id: later, action: flow.wait, parameters: { for: 20s } }
  - { id: early, action: test.keyed, parameters: { label: never } }
  - { id: end, action: test.keyed, parameters: { label: end } }
  - { id: slow, action: flow.wait, parameters: { for: 2h } }
  - { id: won, action: data.set, join: { count: 1, rest: cancel }, parameters: { by: "{{ $json.label }}" } }
connections:
  - a -> bill -> soon -> enough -> end
  - a -> long -> end
  - a -> hangs -> end
  - a -> list -> end
  - a -> body -> end
  - a -> later -> early -> end
  - a -> slow -> won
  - { from: soon, to: won }
output: "{{ $nodes.end.result.label }}"
"#,
    gives: r#"completed "end" | a:succeeded bill:succeeded soon:succeeded enough:succeeded long:cancelled hangs:cancelled list:cancelled body:cancelled later:succeeded early:cancelled end:succeeded slow:cancelled won:succeeded"#,
    failing: &[],
    happen: &["bill", "hangs", "list 1", "list 2", "paid", "end"],
    once: &[],
    cut_off: &[],
    in_order: &[],
};

/// Lists that are complete early, whose rest is cancelled or runs on, whose errors are collected,
/// that grow, and that go on in parts.
const LISTS: Flow = Flow {
    yaml: r#"
nodes:
  - { id: early, action: test.keyed, for_each: "[1, 2, 3]", concurrency: 1, complete_when: 2, parameters: { label: "early {{ $item }}" } }
  - { id: rests, action: test.keyed, for_each: "[1, 2, 3]", concurrency: 1, complete_when: "$json.last.result.label == 'rests 1'", rest: absorb, parameters: { label: "rests {{ $item }}" } }
  - { id: after, action: test.idempotent, parameters: { label: "after {{ $json[0].label }}" } }
  - id: gather
    action: flow.for_each
    on_item_error: collect
    parameters: { range: { from: 1, to: 4 } }
    body:
      nodes:
        - { id: odd, action: flow.fail, when: "$item == 2", parameters: { message: it is two } }
        - { id: bill, action: test.keyed, when: "$item != 2", parameters: { label: "gather {{ $item }}" } }
      connections: []
  - id: votes
    action: flow.for_each
    concurrency: 1
    parameters: { items: [0], more: vote }
    body: { nodes: [{ id: vote, action: test.keyed, parameters: { label: "vote {{ $item }}" } }] }
  - { id: tell, action: flow.signal, parameters: { execution: "{{ $execution.id }}", signal: vote, payload: { items: [1, 2], last: true } } }
  - { id: parts, action: flow.batches, parameters: { items: [1, 2, 3], size: 2 } }
  - { id: part, action: test.keyed, parameters: { label: "part {{ $json.length }}" } }
  - { id: end, action: data.set, parameters: { early: "{{ $nodes.early.result.map(r => r?.label) }}", after: "{{ $nodes.after.result.label }}", errors: "{{ $nodes.gather.result.errors.map(e => e.index) }}", votes: "{{ $nodes.votes.result.map(r => r.label) }}", parts: "{{ $nodes.parts.result.map(r => r.label) }}" } }
connections:
  - early -> end
  - rests -> after -> end
  - gather -> end
  - votes -> end
  - tell -> end
  - parts.loop -> part
  - { from: part, to: parts, loop: true }
  - parts.done -> end
output: "{{ $nodes.end.result }}"
"#,
    gives: r#"completed {"early":["early 1","early 2",null],"after":"after rests 1","errors":[1],"votes":["vote 0","vote 1","vote 2"],"parts":["part 2","part 1"]} | early:succeeded rests:succeeded after:succeeded gather:succeeded votes:succeeded tell:succeeded parts:succeeded,succeeded,succeeded part:succeeded,succeeded,skipped end:succeeded"#,
    failing: &[],
    happen: &[
        "early 1", "early 2", "rests 1", "rests 2", "rests 3", "gather 1", "gather 3", "vote 0",
        "vote 1", "vote 2", "part 2", "part 1",
    ],
    once: &[],
    cut_off: &[],
    in_order: &[],
};

/// Questions about what others have reached: before, while and after, and from a body.
const REACHES: Flow = Flow {
    yaml: r#"
nodes:
  - { id: order, action: test.keyed, parameters: { label: order } }
  - { id: early, action: flow.milestone, parameters: { reached: order, until: ship } }
  - { id: change, action: test.keyed, parameters: { label: change } }
  - { id: pack, action: flow.wait, parameters: { for: 20s } }
  - { id: ship, action: test.idempotent, parameters: { label: ship } }
  - { id: broken, action: flow.fail, on_error: continue, parameters: { message: gone } }
  - { id: hopeless, action: flow.milestone, parameters: { reached: broken } }
  - { id: lost, action: test.keyed, parameters: { label: never } }
  - id: later
    action: flow.for_each
    parameters: { items: [1, 2] }
    body:
      nodes:
        - { id: after, action: flow.milestone, parameters: { reached: ship } }
        - { id: bill, action: test.keyed, parameters: { label: "bill {{ $item }}" } }
  - { id: late, action: flow.milestone, parameters: { reached: order, until: ship } }
  - { id: wrong, action: test.keyed, parameters: { label: never } }
  - { id: regret, action: test.keyed, parameters: { label: regret } }
connections:
  - order -> pack -> ship
  - early -> change -> ship
  - hopeless -> lost
  - later -> late -> wrong
  - late.expired -> regret
output: "{{ [$nodes.change.result.label, $nodes.regret.result.label] }}"
"#,
    gives: r#"completed ["change","regret"] | order:succeeded early:succeeded change:succeeded pack:succeeded ship:succeeded broken:failed hopeless:succeeded lost:skipped later:succeeded late:succeeded wrong:skipped regret:succeeded"#,
    failing: &[],
    happen: &["order", "change", "ship", "bill 1", "bill 2", "regret"],
    once: &[],
    in_order: &[],
    cut_off: &[],
};

impl Flow {
    /// Compares what comes of it after a crash at each call of the store with what comes without.
    fn check(&self) {
        let saved = Saved::new(&[self.yaml]);
        dies_at_each(1, &self.gives.to_owned(), |death| self.live(&saved, death));
    }

    /// Status, output and states, and the number of calls of the first process.
    fn live(&self, saved: &Saved, death: Death) -> (String, u32) {
        let (world, report, calls) = saved.in_world(async |world| {
            for (label, times) in self.failing {
                world.ledger.fail_next(label, *times);
            }
            let act = async |nebula: &Nebula| {
                let input = json!({ "n": 1 });
                let id = world.taken_up(nebula, &saved.installed, input).await;
                world.finish(nebula, id).await
            };
            let (report, calls) = world.through(death, act).await;
            (world, report, calls)
        });
        // What may be repeated may stand twice in the ledger, and never under two keys.
        for label in self.happen {
            let mut keys = world.ledger.keys(label);
            assert!(!keys.is_empty(), "`{label}` never happened");
            keys.dedup();
            assert_eq!(keys.len(), 1, "`{label}` arrived under several keys");
        }
        for label in self.once {
            assert!(world.ledger.keys(label).len() <= 1, "`{label}` twice");
        }
        if !self.in_order.is_empty() {
            let mut labels = world.ledger.labels();
            labels.dedup();
            assert_eq!(labels, self.in_order, "death at {death:?}");
        }
        assert!(world.ledger.keys("never").is_empty());
        // When the runs of bodies end, beside each other, depends on when the process died.
        let top = states(&report);
        let states: Vec<_> = top
            .split(' ')
            .filter(|state| !state.contains('/'))
            .collect();
        let mut states = states.join(" ");
        for node in self.cut_off {
            states = states.replace(&format!("{node}:failed"), &format!("{node}:cancelled"));
        }
        let mut ended = format!("{} {} | {states}", report.status, report.output);
        let events = report.events.iter().map(|it| it["event"].as_str().unwrap());
        let events: Vec<_> = events.collect();
        if !events.is_empty() {
            ended.push_str(&format!(" | {}", events.join(" ")));
        }
        (ended, calls)
    }
}

#[test]
fn a_crash_at_any_call_changes_nothing_about_lists() {
    LISTS.check();
}

#[test]
fn a_crash_at_any_call_changes_nothing_about_the_result() {
    EVERYTHING.check();
}

#[test]
fn a_crash_at_any_call_changes_no_path() {
    PATHS.check();
}

#[test]
fn a_crash_at_any_call_keeps_an_early_end() {
    STOPS.check();
}

#[test]
fn a_crash_at_any_call_changes_nothing_about_bodies() {
    BODIES.check();
}

#[test]
fn a_crash_at_any_call_changes_no_round() {
    LOOPS.check();
}

#[test]
fn a_crash_at_any_call_tells_everything_once() {
    TOLD.check();
}

#[test]
fn a_crash_at_any_call_settles_no_approval_in_another_way() {
    ASKS.check();
}

#[test]
fn a_crash_at_any_call_undoes_every_effect_once_and_in_reverse() {
    UNDOES.check();
}

#[test]
fn an_at_most_once_effect_never_happens_twice_whatever_dies_when() {
    let yaml = "nodes: [ { id: a, action: test.once, parameters: { label: a } }, { id: b, action: test.once, parameters: { label: b } } ]";
    let saved = Saved::new(&[yaml]);
    let live = |death: Death| {
        let (world, status, calls) = saved.in_world(async |world| {
            let act = async |nebula: &Nebula| {
                let id = world.taken_up(nebula, &saved.installed, Value::Null).await;
                world.finish(nebula, id).await.status
            };
            let (status, calls) = world.through(death, act).await;
            (world, status, calls)
        });
        let fits = matches!(status, Status::Completed | Status::Parked);
        assert!(fits, "{status}; {death:?}");
        for label in ["a", "b"] {
            let times = world.ledger.keys(label).len();
            assert!(times <= 1, "{label} twice; {death:?}");
        }
        ((), calls)
    };
    dies_at_each(1, &(), live);
}

#[test]
fn a_crash_at_any_call_brings_back_nothing_that_was_given_up() {
    CANCELS.check();
}

#[test]
fn a_crash_at_any_call_changes_no_answer_of_a_milestone() {
    REACHES.check();
}
