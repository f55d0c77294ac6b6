//! Lists that are distributed: parts of them run as executions of their own, and nobody can tell by what
//! comes out.

mod world;

use nebula::{
    core::ExecutionId,
    engine::Report,
    execution::{Again, Fact, InstanceId, Status},
    ports::{ExecutionFilter, ExecutionRepo},
};
use serde_json::{Value, json};
use world::{Death, World, dies_at_each, in_world, states, tenant, with};

fn shown(report: &Report) -> String {
    let error = report.error.as_ref();
    let error = error.map(|error| format!(" {}: {}", error.code, error.message));
    let (status, error) = (report.status, error.unwrap_or_default());
    format!("{status}{error} {} | {}", report.output, states(report))
}

/// What a definition comes to with `distribute` is what it comes to without it.
#[track_caller]
fn check(yaml: &str, input: &Value, expected: &str) {
    assert!(yaml.contains("distribute: true"), "{yaml}");
    for text in [
        yaml.to_owned(),
        yaml.replace("distribute: true", "distribute: false"),
    ] {
        let report = in_world(async |world| world.run(&text, input.clone()).await);
        assert_eq!(shown(&report), expected, "\n{text}");
    }
}

fn labels_of(report: &Report) -> Vec<String> {
    let results = report.output.as_array().into_iter().flatten();
    let labels = results.map(|it| it["label"].as_str().unwrap_or("?").to_owned());
    labels.collect()
}

/// The executions of a workflow that run parts, each with the items of its part.
async fn parts(world: &World, of: ExecutionId) -> Vec<(ExecutionId, std::ops::Range<u32>)> {
    let page = world
        .executions
        .list(&tenant(), &ExecutionFilter::default(), None, 1_000)
        .await
        .unwrap();
    let mut parts = Vec::new();
    for summary in page.items {
        let journal = world
            .executions
            .journal(&tenant(), summary.id, 1, 1)
            .await
            .unwrap();
        if let Fact::ExecutionStarted(started) = &journal.entries[0].entry.fact
            && let Some(part) = &started.part
            && part.execution == of
        {
            parts.push((summary.id, part.items()));
        }
    }
    parts.sort_by_key(|(_, items)| items.start);
    parts
}

#[test]
fn results_come_back_in_the_order_of_the_items() {
    check(
        "nodes: [{ id: p, action: data.set, for_each: '$input.list', distribute: true, concurrency: 3, parameters: { n: '{{ $item * 2 }}', at: '{{ $index }}' } }]",
        &json!({ "list": [5, 4, 3, 2, 1] }),
        r#"completed [{"n":10,"at":0},{"n":8,"at":1},{"n":6,"at":2},{"n":4,"at":3},{"n":2,"at":4}] | p:succeeded"#,
    );
    check(
        "nodes: [{ id: p, action: data.set, for_each: '[]', distribute: true, parameters: { n: 1 } }]",
        &Value::Null,
        "completed [] | p:succeeded",
    );
}

#[test]
fn items_see_what_stands_around_their_list() {
    check(
        r"
nodes:
  - { id: a, action: data.set, parameters: { list: [1, 2], rate: 10 } }
  - { id: b, action: data.set, parameters: { text: hello } }
  - { id: p, action: data.set, for_each: '$nodes.a.result.list', distribute: true, parameters: { n: '{{ $item * $nodes.a.result.rate + $input.more }}', t: '{{ $json.text }}', s: '{{ $nodes.b.success }}', w: '{{ $workflow.name }}' } }
",
        &json!({ "more": 3 }),
        r#"completed [{"n":13,"t":"hello","s":true,"w":"flow"},{"n":23,"t":"hello","s":true,"w":"flow"}] | a:succeeded b:succeeded p:succeeded"#,
    );
}

#[test]
fn a_body_runs_in_parts() {
    let report = in_world(async |world| {
        let yaml = "
nodes:
  - { id: a, action: data.set, parameters: { by: 7 } }
  - { id: e, action: flow.for_each, distribute: true, concurrency: 2, parameters: { items: [1, 2, 3] }, body: { nodes: [{ id: x, action: data.set, parameters: { n: '{{ $item * $nodes.a.result.by }}' } }, { id: y, action: data.set, parameters: { m: '{{ $nodes.x.result.n + $index }}' } }] } }
";
        world.run(yaml, Value::Null).await
    });
    assert_eq!(report.output, json!([{ "m": 7 }, { "m": 15 }, { "m": 23 }]));
}

/// Guards: a part begins and ends with its own items, and lists in its body with theirs.
#[test]
fn lists_in_a_body_are_whole_in_each_part() {
    let yaml = "
nodes:
  - { id: e, action: flow.for_each, distribute: true, concurrency: 2, parameters: { items: [1, 2, 3, 4, 5, 6, 7, 8, 9] }, body: { nodes: [{ id: x, action: data.set, for_each: '[$item, 0, 1, 2]', parameters: { n: '{{ $item }}' } }] } }
";
    let expected: Vec<Value> = (1..=9)
        .map(|n| json!([{ "n": n }, { "n": 0 }, { "n": 1 }, { "n": 2 }]))
        .collect();
    let text = yaml.replace("distribute: true", "distribute: false");
    for text in [yaml, &text] {
        let report = in_world(async |world| world.run(text, Value::Null).await);
        assert_eq!(report.status, Status::Completed, "{report:?}");
        assert_eq!(report.output, json!(expected), "{text}");
    }
}

#[test]
fn a_failure_means_what_it_means_without() {
    let list = |more: &str| {
        format!(
            "nodes: [{{ id: e, action: flow.for_each, distribute: true, concurrency: 1{more}, parameters: {{ items: [1, 2, 3] }}, body: {{ nodes: [{{ id: f, action: flow.fail, when: '$item == 2', parameters: {{ message: no, code: NO }} }}, {{ id: a, action: data.set, parameters: {{ n: '{{{{ $item }}}}' }} }}], connections: [{{ from: f, to: a }}] }} }}]"
        )
    };
    for (more, expected) in [
        ("", "failed NO: item 1: no null"),
        (
            ", on_error: continue",
            r#"completed [null,{"error":{"code":"NO","message":"no","class":"fatal"}},null]"#,
        ),
        (
            ", on_item_error: collect",
            r#"completed {"results":[null,null,null],"errors":[{"index":1,"code":"NO","message":"no","class":"fatal"}]}"#,
        ),
    ] {
        let text = list(more);
        let both = [text.clone(), text.replace("distribute: true, ", "")];
        for text in both {
            let report = in_world(async |world| world.run(&text, Value::Null).await);
            let error = report.error.as_ref();
            let error = error.map(|error| format!(" {}: {}", error.code, error.message));
            let shown = format!(
                "{}{} {}",
                report.status,
                error.unwrap_or_default(),
                report.output
            );
            assert_eq!(shown, expected, "\n{text}");
        }
    }
}

/// Guards: what is still under way elsewhere is not taken up by whoever runs a part.
#[test]
fn a_part_leaves_alone_what_runs_beside_its_list() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: slow, action: test.keyed, parameters: { label: slow, seconds: 30 } }
  - { id: quick, action: data.set, parameters: { n: 1 } }
  - { id: p, action: test.keyed, join: any, for_each: "[1, 2, 3]", distribute: true, parameters: { label: "p{{ $item }}", seconds: "{{ $nodes.slow?.success ? 1 : 0 }}" } }
connections: [{ from: slow, to: p }, { from: quick, to: p }]
"#;
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(report.status, Status::Completed, "{report:?}");
        let mut labels = world.ledger.labels();
        labels.sort();
        assert_eq!(labels, ["p1", "p2", "p3", "slow"]);
    });
}

const KEYED: &str = r#"
nodes:
  - { id: pay, action: test.keyed, for_each: "[...Array(40).keys()]", distribute: true, concurrency: 4, parameters: { label: "pay{{ $item }}", seconds: 2 } }
"#;

/// Guards: the origin of a part is the execution whose list it is.
#[test]
fn the_key_of_an_item_is_that_which_it_has_without() {
    in_world(async |world| {
        let report = world.run(KEYED, Value::Null).await;
        assert_eq!(report.status, Status::Completed, "{report:?}");
        let whole: InstanceId = "pay".parse().unwrap();
        for item in 0..40 {
            let identity = whole.of_item(item).identity(&tenant(), report.execution, 0);
            assert_eq!(
                world.ledger.keys(&format!("pay{item}")),
                [identity.key()],
                "{item}"
            );
        }
        let parts = parts(&world, report.execution).await;
        assert!(parts.len() > 4, "{parts:?}");
        let mut next = 0;
        for (_, items) in parts {
            assert_eq!(items.start, next);
            next = items.end;
        }
        assert_eq!(next, 40);
    });
}

/// Guards: as many items as `concurrency` says are under way, over all parts.
#[test]
fn all_parts_together_run_as_many_items_as_may() {
    in_world(async |world| {
        let report = world.run(KEYED, Value::Null).await;
        assert_eq!(report.status, Status::Completed);
        assert_eq!(world.ledger.most_busy(), 4);
    });
}

#[test]
fn a_death_at_every_call_loses_and_repeats_nothing() {
    let live = |death: Death| {
        in_world(async |world| {
            let mortal = world.mortal(death);
            let nebula = world.process_over(mortal.clone());
            let yaml = KEYED
                .replace("Array(40)", "Array(6)")
                .replace("seconds: 2", "seconds: 0");
            let installed = world.install(&nebula, &yaml).await;
            let started = tokio::select! {
                biased;
                started = world.start(&nebula, &installed) => Some(started),
                () = mortal.death() => None,
            };
            let Some(id) = started else {
                return (labels_of(&world.run(&yaml, Value::Null).await), 0);
            };
            let report = tokio::select! {
                biased;
                () = mortal.death() => None,
                report = world.finish(&nebula, id) => Some(report),
            };
            drop(nebula);
            let report = match report {
                Some(report) => report,
                None => world.finish(&world.process(), id).await,
            };
            for item in 0..6 {
                // One that was lost is made again, under its key.
                let mut keys = world.ledger.keys(&format!("pay{item}"));
                keys.dedup();
                assert_eq!(keys.len(), 1, "{item}");
            }
            (labels_of(&report), mortal.calls())
        })
    };
    let expected: Vec<_> = (0..6).map(|item| format!("pay{item}")).collect();
    dies_at_each(1, &expected, live);
}

#[test]
fn a_retry_runs_what_did_not_succeed_under_the_same_keys() {
    in_world(async |world| {
        world.ledger.fail_next("pay5", 1);
        let failed = world.run(KEYED, Value::Null).await;
        assert_eq!(failed.status, Status::Failed, "{failed:?}");
        let before = world.ledger.labels();
        let nebula = world.process();
        let again = nebula
            .again(&tenant(), failed.execution, Again::Retry)
            .await
            .unwrap();
        let done = world.finish(&nebula, again).await;
        assert_eq!(done.status, Status::Completed, "{done:?}");
        assert!(!before.is_empty());
        for item in 0..40 {
            assert_eq!(world.ledger.keys(&format!("pay{item}")).len(), 1, "{item}");
        }
        let labels = world.ledger.labels();
        for label in &before {
            assert_eq!(
                labels.iter().filter(|it| *it == label).count(),
                1,
                "{label}"
            );
        }
    });
}

/// Guards: a part that was cut short is gone over again, and not begun anew.
#[test]
fn a_retry_after_a_cancellation_repeats_no_item() {
    in_world(async |world| {
        let yaml = KEYED.replace("test.keyed", "test.once");
        let nebula = world.process();
        let id = world.begin(&nebula, &yaml).await;
        let cancelled = with(&nebula, async {
            while world.ledger.labels().len() < 6 {
                nebula::core::Clock::sleep(&world.clock, std::time::Duration::from_secs(1)).await;
            }
            let engine = nebula.engine();
            let _ = engine
                .cancel(&tenant(), id, "enough".to_owned())
                .await
                .unwrap();
            world.settled(&nebula, id).await
        })
        .await;
        assert_eq!(cancelled.status, Status::Cancelled, "{cancelled:?}");
        for (part, _) in parts(&world, id).await {
            let report = nebula
                .engine()
                .report(&tenant(), part)
                .await
                .unwrap()
                .unwrap();
            assert!(report.status.is_terminal(), "{report:?}");
        }
        let again = nebula.again(&tenant(), id, Again::Retry).await.unwrap();
        let done = world.finish(&nebula, again).await;
        let mut labels = world.ledger.labels();
        let all = labels.len();
        labels.sort();
        labels.dedup();
        assert_eq!(labels.len(), all, "an item was done twice");
        assert!(
            matches!(
                done.status,
                Status::Completed | Status::Waiting | Status::Parked
            ),
            "{done:?}"
        );
    });
}
