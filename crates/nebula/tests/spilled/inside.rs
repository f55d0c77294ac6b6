//! Values that lie in blobs wherever they come about: in bodies and lists, from children, of what started
//! an execution.

use nebula::execution::{Fact, ItemOutcome, StartOptions};
use nebula_memory::{Collector, Grace};
use serde_json::Value;

use super::*;

const LARGE: &str = "parameters: { text: \"{{ 'x'.repeat(5000) + String($index ?? 0) }}\" }";

/// The blobs that a journal names.
fn named(facts: &[Fact]) -> Vec<BlobId> {
    let mut all = Vec::new();
    facts
        .iter()
        .for_each(|fact| fact.each_stored(&mut |blob| all.push(blob)));
    all
}

/// No entry holds a value that is larger than the limit, and none lies in a blob as a whole.
fn holds_no_large_value(facts: &[Fact], why: &str) {
    for fact in facts {
        let text = serde_json::to_string(fact).unwrap();
        assert!(!matches!(fact, Fact::Spilled { .. }), "{why}: {text}");
        // What else stands in an entry takes less than another limit.
        assert!(
            text.len() < 2_000,
            "{why}: {} bytes, {:.200}",
            text.len(),
            text
        );
    }
}

/// A node whose results are large, as `all`, and what reads little of them.
fn cases() -> Vec<(String, &'static str, usize)> {
    let a = format!("{{ id: a, action: data.set, {LARGE} }}");
    let plain = a.replace(" + String($index ?? 0)", "");
    let b = plain.replace("id: a", "id: b").replace("'x'", "'y'");
    let of_first = "$nodes.all.result[0].text.length + $nodes.all.result.length";
    vec![
        (
            format!(
                "{{ id: all, action: flow.for_each, parameters: {{ items: [1, 2, 3] }}, body: {{ nodes: [{a}] }} }}"
            ),
            of_first,
            3,
        ),
        (
            format!("{{ id: all, action: data.set, for_each: '{{{{ [1, 2, 3] }}}}', {LARGE} }}"),
            of_first,
            3,
        ),
        (
            format!(
                "{{ id: all, action: data.set, for_each: '{{{{ [1, 2, 3] }}}}', on_item_error: collect, {LARGE} }}"
            ),
            "$nodes.all.result.results[1].text.length + $nodes.all.result.errors.length",
            3,
        ),
        (
            format!("{{ id: all, action: flow.parallel, body: {{ nodes: [{plain}] }} }}"),
            "$nodes.all.result.text.length",
            1,
        ),
        (
            format!(
                "{{ id: all, action: flow.parallel, body: {{ nodes: [{plain}, {b}], connections: [] }} }}"
            ),
            "$nodes.all.result.a.text.length + $nodes.all.result.b.text.length",
            2,
        ),
        (
            format!("{{ id: all, action: flow.race, body: {{ nodes: [{plain}] }} }}"),
            "$nodes.all.result.winner + $nodes.all.result.result.text.length",
            1,
        ),
        (
            "{ id: all, action: flow.loop, parameters: { times: 3 }, body: { nodes: [{ id: a, action: data.set, parameters: { text: \"{{ 'x'.repeat(5000) + String($loop.last?.text?.length ?? 0) }}\" } }] } }".to_owned(),
            "$nodes.all.result.text.slice(4998)",
            3,
        ),
        (
            format!("{{ id: all, action: flow.try, body: {{ nodes: [{plain}] }} }}"),
            "$nodes.all.result.text.length",
            1,
        ),
        (
            format!(
                "{{ id: all, action: flow.for_each, parameters: {{ items: [1, 2] }}, body: {{ nodes: [{{ id: in, action: flow.for_each, parameters: {{ items: [1, 2] }}, body: {{ nodes: [{a}] }} }}] }} }}"
            ),
            "$nodes.all.result[1][1].text.length",
            4,
        ),
    ]
}

/// Guards: a large result lies in a blob of its own wherever it comes about; what a body or a list gives is
/// made of names; whoever needs a value of it reads it, and sees what it would see without blobs.
#[test]
fn large_results_in_bodies_and_lists_lie_in_blobs() {
    for (node, read, count) in cases() {
        let yaml = format!(
            "{{ nodes: [{node}, {{ id: same, action: data.set, disabled: true }}, {{ id: last, action: data.set, parameters: {{ n: '{{{{ {read} }}}}' }} }}], connections: [all -> same, same -> last], output: '{{{{ $nodes.last.result }}}}' }}"
        );
        let plain = in_world(async |world| world.run(&yaml, json!(null)).await);
        for kept in [NOTHING_IS_KEPT, ByteSize::mib(1)] {
            let ran = in_world(async |world| run(&world, &yaml, kept).await);
            let error = &ran.report.error;
            assert_eq!(ran.report.output, plain.output, "{node}: {error:?}");
            assert_eq!(states(&ran.report), states(&plain), "{node}");
            assert_eq!(named(&ran.facts).len(), count, "{node}: {:?}", ran.facts);
            holds_no_large_value(&ran.facts, &node);
        }
    }
}

/// Guard: what no expression needs is never read, also of bodies and lists.
#[test]
fn what_no_expression_needs_of_bodies_and_lists_is_never_read() {
    for (node, ..) in cases()
        .into_iter()
        .filter(|(node, ..)| !node.contains("$loop"))
    {
        in_world(async |world| {
            let yaml = format!(
                "{{ nodes: [{node}, {{ id: same, action: data.set, disabled: true }}, {{ id: other, action: data.set, parameters: {{ n: '{{{{ $nodes.all.success ? 1 : 0 }}}}' }} }}], connections: [all -> same, same -> other], output: '{{{{ $nodes.other.result }}}}' }}"
            );
            let ran = run(&world, &yaml, NOTHING_IS_KEPT).await;
            let error = &ran.report.error;
            assert_eq!(ran.report.output, json!({ "n": 1 }), "{node}: {error:?}");
            assert_eq!(ran.reads, 0, "{node}");
        });
    }
}

/// Guards: a list is gone through without its elements at hand, each of which is read for its item; also
/// after a pause, and by a body.
#[test]
fn a_list_is_gone_through_element_by_element() {
    let nexts = [
        "{ id: next, action: data.set, for_each: '{{ $nodes.all.result }}', parameters: { n: '{{ $item.text.length }}' } }",
        "{ id: next, action: data.set, for_each: '{{ $nodes.all.result }}', parameters: { n: 5001, at: '{{ $index }}' } }",
        "{ id: next, action: flow.for_each, parameters: { items: '{{ $json }}' }, body: { nodes: [{ id: b, action: data.set, parameters: { n: '{{ $item.text.length }}' } }] } }",
        "{ id: next, action: flow.for_each, parameters: { items: '{{ $nodes.all.result }}' }, body: { nodes: [{ id: b, action: data.set, parameters: { n: '{{ $json.text.length }}' } }] } }",
        "{ id: next, action: data.set, each_item: true, parameters: { n: '{{ $json.text.length }}' } }",
    ];
    for next in nexts {
        let yaml = format!(
            "{{ nodes: [{{ id: all, action: data.set, for_each: '{{{{ [1, 2, 3, 4] }}}}', {LARGE} }}, {{ id: pause, action: flow.wait, parameters: {{ for: 1h }} }}, {next}], connections: [all -> pause, pause -> next], output: '{{{{ $nodes.next.result.map(it => it.n) }}}}' }}"
        );
        in_world(async |world| {
            let ran = run(&world, &yaml, NOTHING_IS_KEPT).await;
            let error = &ran.report.error;
            assert_eq!(
                ran.report.output,
                json!([5_001, 5_001, 5_001, 5_001]),
                "{next}: {error:?}"
            );
            assert_eq!(ran.reads, 4, "{next}");
            holds_no_large_value(&ran.facts, next);
        });
        // A worker that cannot hold all of them at once goes through them.
        in_world(async |world| {
            let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
            let config = WorkerConfig {
                execution_memory: ByteSize::kib(12),
                ..WorkerConfig::default()
            };
            let worker = process_with(&world, &Counted::over(&all), NOTHING_IS_KEPT, config);
            let id = world
                .begin(
                    &worker,
                    &yaml.replace("parameters: { n: 5001,", "parameters: { n: 5001, x: 1,"),
                )
                .await;
            let report = world.finish(&worker, id).await;
            if !next.contains("each_item") {
                assert_eq!(
                    report.status,
                    Status::Completed,
                    "{next}: {:?}",
                    report.error
                );
            }
        });
    }
}

/// Guard: whether a list is complete may be asked about the result of the last item.
#[test]
fn complete_when_sees_a_result_in_a_blob() {
    in_world(async |world| {
        let yaml = format!(
            "{{ nodes: [{{ id: all, action: data.set, for_each: '{{{{ [1, 2, 3] }}}}', concurrency: 1, complete_when: '{{{{ $json.last.index === 1 && $json.last.result.text.length === 5001 }}}}', {LARGE} }}], output: '{{{{ $nodes.all.result.map(it => it === null) }}}}' }}"
        );
        let ran = run(&world, &yaml, NOTHING_IS_KEPT).await;
        assert_eq!(
            ran.report.output,
            json!([false, false, true]),
            "{:?}",
            ran.report.error
        );
    });
}

/// Guards: the conditions behind a list or a body see what it has given, which lies in blobs.
#[test]
fn conditions_behind_lists_and_bodies_see_what_they_give() {
    for (node, read, _) in cases() {
        let by_json = read.replace("$nodes.all.result", "$json");
        for read in [read.to_owned(), by_json] {
            let yaml = format!(
                "{{ nodes: [{node}, {{ id: on, action: data.set, parameters: {{ n: 1 }} }}], connections: [{{ from: all, to: on, condition: '{{{{ String({read}).length > 0 }}}}' }}], output: '{{{{ $nodes.on?.result?.n ?? 0 }}}}' }}"
            );
            let ran = in_world(async |world| run(&world, &yaml, NOTHING_IS_KEPT).await);
            let error = &ran.report.error;
            assert_eq!(ran.report.output, json!(1), "{node}: {read}: {error:?}");
        }
    }
}

/// Guard: an element of a list that is large lies in a blob while its body runs.
#[test]
fn a_body_begins_on_a_large_element_in_a_blob() {
    in_world(async |world| {
        let yaml = "{ nodes: [{ id: all, action: flow.for_each, parameters: { items: \"{{ ['x', 'y'].map(it => it.repeat(5000)) }}\" }, body: { nodes: [{ id: a, action: data.set, parameters: { n: '{{ $item.length }}', same: '{{ $item === $json }}' } }] } }] }";
        let ran = run(&world, yaml, NOTHING_IS_KEPT).await;
        let one = json!({ "n": 5_000, "same": true });
        assert_eq!(
            ran.report.output,
            json!([one, one]),
            "{:?}",
            ran.report.error
        );
        holds_no_large_value(&ran.facts, "elements");
        assert_eq!(named(&ran.facts).len(), 2);
    });
}

/// Guard: what a child gives lies in a blob in the journal of its parent.
#[test]
fn what_a_child_gives_lies_in_a_blob() {
    in_world(async |world| {
        let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let blobs = Counted::over(&all);
        let nebula = process(&world, &blobs, NOTHING_IS_KEPT);
        world
            .install(&nebula, &format!("{{ id: gives, nodes: [{BIG}] }}"))
            .await;
        let yaml = "{ id: asks, nodes: [{ id: c, action: flow.call, parameters: { workflow: gives } }, { id: n, action: data.set, parameters: { n: '{{ $json.text.length }}' } }] }";
        let id = world.begin(&nebula, yaml).await;
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.output, json!({ "n": 5_000 }), "{:?}", report.error);
        let facts = facts(&world, id).await;
        holds_no_large_value(&facts, "a call");
        assert_eq!(named(&facts).len(), 1);
    });
}

/// Guards: what started an execution lies in a blob if it is large, is read where it is needed, also by the
/// output, and kept by the collector.
#[test]
fn what_started_an_execution_lies_in_a_blob() {
    in_world(async |world| {
        let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let blobs = Counted::over(&all);
        let nebula = process(&world, &blobs, NOTHING_IS_KEPT);
        let yaml = "{ nodes: [{ id: idle, action: data.set }, { id: n, action: data.set, parameters: { n: '{{ $trigger.body.length }}' } }], output: '{{ $trigger.body.length + $nodes.n.result.n }}' }";
        let installed = world.install(&nebula, yaml).await;
        let options = StartOptions {
            trigger: json!({ "body": "x".repeat(5_000) }),
            ..StartOptions::default()
        };
        let (tenant, engine) = (tenant(), nebula.engine());
        let started = engine.start(&tenant, &installed, Value::Null, options, None, None);
        let id = started.await.unwrap().id;
        world.clock.advance(Duration::from_hours(30));
        let grace = Grace::default();
        let clock = Arc::new(world.clock.clone());
        let collector = Collector::new(world.executions.clone(), all.clone(), clock, grace);
        let collected = collector.collect(&tenant).await.unwrap();
        assert_eq!((collected.deleted, collected.unreadable), (0, 0));
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.output, json!(10_000), "{:?}", report.error);
        assert_eq!(blobs.reads(), 2);
        let facts = facts(&world, id).await;
        holds_no_large_value(&facts, "a trigger");
        assert_eq!(named(&facts).len(), 1);
    });
}

/// Guards: what would undo an effect may read the element, the round before, its inputs and what started the
/// execution, each of which lies in a blob, also where nothing else of the node reads them.
#[test]
fn what_undoes_an_effect_sees_what_lies_in_a_blob_wherever_it_comes_about() {
    let undone = |read: &str| {
        format!(
            "{{ id: act, action: test.keyed, parameters: {{ label: act }}, compensate: {{ action: test.keyed, parameters: {{ label: \"undo {{{{ {read} }}}}\" }} }} }}"
        )
    };
    let cases = [
        (
            format!(
                "{{ id: all, action: flow.for_each, parameters: {{ items: \"{{{{ ['x', 'y'].map(it => it.repeat(5000)) }}}}\" }}, body: {{ nodes: [{}] }} }}",
                undone("$item.length")
            ),
            "connections: [all -> fails]",
            &["act", "act", "undo 5000", "undo 5000"][..],
        ),
        (
            format!(
                "{{ id: all, action: flow.loop, parameters: {{ times: 2 }}, body: {{ nodes: [{}, {BIG}], connections: [act -> big] }} }}",
                undone("$loop.last?.text?.length ?? 0")
            ),
            "connections: [all -> fails]",
            &["act", "act", "undo 5000", "undo 0"],
        ),
        (
            format!("{BIG}, {}", undone("$inputs.main[0].text.length")),
            "connections: [big -> act, act -> fails]",
            &["act", "undo 5000"],
        ),
        (
            undone("$trigger.body.length"),
            "connections: [act -> fails]",
            &["act", "undo 5000"],
        ),
    ];
    for (nodes, connections, labels) in cases {
        in_world(async |world| {
            let yaml = format!(
                "{{ nodes: [{nodes}, {{ id: fails, action: flow.fail, parameters: {{ message: no }} }}], {connections} }}"
            );
            let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
            let nebula = process(&world, &Counted::over(&all), NOTHING_IS_KEPT);
            let installed = world.install(&nebula, &yaml).await;
            let options = StartOptions {
                trigger: json!({ "body": "x".repeat(5_000) }),
                ..StartOptions::default()
            };
            let (tenant, engine) = (tenant(), nebula.engine());
            let started = engine.start(&tenant, &installed, Value::Null, options, None, None);
            let id = started.await.unwrap().id;
            let report = world.finish(&nebula, id).await;
            assert_eq!(report.status, Status::Failed, "{nodes}");
            assert_eq!(world.ledger.labels(), labels, "{nodes}");
        });
    }
}

/// Guard: a result in a list that nobody can read is the error of what needs it, and of nothing else.
#[test]
fn an_element_that_cannot_be_read_fails_its_item() {
    in_world(async |world| {
        let yaml = format!(
            "{{ nodes: [{{ id: all, action: data.set, for_each: '{{{{ [1, 2] }}}}', {LARGE} }}, {{ id: pause, action: flow.wait, parameters: {{ for: 1h }} }}, {{ id: next, action: data.set, for_each: '{{{{ $nodes.all.result }}}}', on_item_error: continue, parameters: {{ n: '{{{{ $item.text.length }}}}' }} }}], connections: [all -> pause, pause -> next], output: '{{{{ $nodes.next.result }}}}' }}"
        );
        let all = Arc::new(MemoryBlobStore::new(Arc::new(world.clock.clone())));
        let first = process(&world, &Counted::over(&all), NOTHING_IS_KEPT);
        let id = world.begin(&first, &yaml).await;
        with(&first, world.waits(&first, id)).await;
        drop(first);
        let facts = facts(&world, id).await;
        let outcomes = facts.iter().find_map(|fact| match fact {
            Fact::ItemsSettled { outcomes, .. } => Some(outcomes),
            _ => None,
        });
        assert!(
            outcomes
                .unwrap()
                .iter()
                .all(|it| matches!(it, ItemOutcome::Apart(_)))
        );
        all.damage(&tenant(), named(&facts)[0].digest, Damage::Flip(7));
        let second = process(&world, &Counted::over(&all), NOTHING_IS_KEPT);
        let report = with(&second, world.settled(&second, id)).await;
        assert_eq!(
            report.output[0]["error"]["code"], "VALUE_UNREADABLE",
            "{:?}",
            report.error
        );
        assert_eq!(report.output[1], json!({ "n": 5_001 }));
    });
}
