//! The engine whose process dies at every call of its store, in turn.

mod world;

use nebula::execution::{StartOptions, Status};
use serde_json::{Value, json};
use world::{in_world, states, tenant};

/// Data, `for_each`, retry, failure with its own path, wait, `when` and a join in one flow, with
/// effects of every class that may be repeated.
const EVERYTHING: &str = r#"
nodes:
  - { id: a, action: data.set, parameters: { list: [1, 2, 3], n: "{{ $input.n }}" } }
  - { id: each, action: test.keyed, for_each: $nodes.a.result.list, concurrency: 2, parameters: { label: "item {{ $item }}" } }
  - { id: bill, action: test.idempotent, parameters: { label: bill } }
  - { id: flaky, action: test.keyed, parameters: { label: flaky }, retry: { max_attempts: 3, initial: 4s } }
  - { id: gone, action: flow.fail, parameters: { message: gone, code: GONE } }
  - { id: caught, action: test.read, parameters: { label: "{{ $json.code }}" } }
  - { id: w, action: flow.wait, parameters: { for: 20s } }
  - { id: never, action: test.keyed, when: "false", parameters: { label: never } }
  - { id: end, action: data.set, join: all, parameters: { each: "{{ $nodes.each.result.map(r => r.label) }}", flaky: "{{ $nodes.flaky.result.label }}" } }
connections:
  - a -> each -> end
  - a -> bill -> flaky -> end
  - a -> gone
  - gone.error -> caught -> end
  - a -> w -> end
  - a -> never -> end
output: "{{ $nodes.end.result }}"
"#;

#[test]
fn a_crash_at_any_call_changes_nothing_about_the_result() {
    let undisturbed = check_everything(None);
    let calls = undisturbed.1;
    assert!(calls > 10, "the flow must make calls to die at: {calls}");
    for dies_at in 1..=calls {
        for after in [false, true] {
            let (report, _) = check_everything(Some((dies_at, after)));
            assert_eq!(
                report, undisturbed.0,
                "death at call {dies_at}, after: {after}"
            );
        }
    }
}

/// Output and states, and the number of calls of the first process.
fn check_everything(death: Option<(u32, bool)>) -> ((Status, Value, String), u32) {
    let (world, report, calls) = in_world(async |world| {
        world.ledger.fail_next("flaky", 1);
        let mortal = world.mortal(death);
        let first = world.process_over(mortal.clone());
        let installed = world.install(&first, EVERYTHING).await;
        let options = StartOptions::default();
        let life = async {
            let id = first
                .start(&tenant(), &installed, json!({ "n": 1 }), options.clone())
                .await
                .unwrap();
            world.finish(&first, id).await
        };
        let lived = tokio::select! {
            biased;
            report = life => Some(report),
            () = mortal.death() => None,
        };
        let report = match lived {
            Some(report) => report,
            None => {
                let second = world.process();
                let page = second
                    .engine()
                    .list(&tenant(), &Default::default(), None, 10)
                    .await
                    .unwrap();
                let id = match page.items.first() {
                    Some(summary) => summary.id,
                    // It died before the execution was accepted: the caller starts again.
                    None => second
                        .start(&tenant(), &installed, json!({ "n": 1 }), options)
                        .await
                        .unwrap(),
                };
                world.finish(&second, id).await
            }
        };
        (world, report, mortal.calls())
    });
    // What may be repeated may stand twice in the ledger, and never under two keys.
    for label in ["item 1", "item 2", "item 3", "bill", "flaky"] {
        let mut keys = world.ledger.keys(label);
        assert!(!keys.is_empty(), "{label} never happened");
        keys.dedup();
        assert_eq!(keys.len(), 1, "{label} arrived under several keys");
    }
    assert!(world.ledger.keys("never").is_empty());
    (
        (report.status, report.output.clone(), states(&report)),
        calls,
    )
}

#[test]
fn an_at_most_once_effect_never_happens_twice_whatever_dies_when() {
    let yaml = "nodes: [ { id: a, action: test.once, parameters: { label: a } }, { id: b, action: test.once, parameters: { label: b } } ]";
    for dies_at in 1..30 {
        for after in [false, true] {
            let (world, status) = in_world(async |world| {
                let mortal = world.mortal(Some((dies_at, after)));
                let first = world.process_over(mortal.clone());
                let life = async {
                    let id = world.begin(&first, yaml).await;
                    world.finish(&first, id).await
                };
                tokio::select! {
                    biased;
                    _ = life => {}
                    () = mortal.death() => {}
                }
                let second = world.process();
                let page = second
                    .engine()
                    .list(&tenant(), &Default::default(), None, 10)
                    .await
                    .unwrap();
                let status = match page.items.first() {
                    Some(summary) => world.finish(&second, summary.id).await.status,
                    None => Status::Completed,
                };
                (world, status)
            });
            assert!(
                matches!(status, Status::Completed | Status::Parked),
                "{status}"
            );
            for label in ["a", "b"] {
                assert!(
                    world.ledger.keys(label).len() <= 1,
                    "{label} twice; death at {dies_at}, after: {after}"
                );
            }
        }
    }
}
