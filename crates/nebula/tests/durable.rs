//! The engine over models of every port: what definitions give, and what people do to executions.

mod world;

use std::sync::Arc;

use nebula::{
    core::Clock,
    engine::Until,
    execution::{StartOptions, Status, UnparkDecision},
    ports::Signalled,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use world::{LONG, World, in_world, states, tenant};

/// Runs a definition in a fresh world and compares status, output and node states.
fn check(yaml: &str, input: Value, expected: &str) -> World {
    let (world, report) = in_world(async |world| {
        let report = world.run(yaml, input).await;
        (world, report)
    });
    let error = report
        .error
        .as_ref()
        .map(|error| format!(" {}", error.code))
        .unwrap_or_default();
    let shown = format!(
        "{}{error} {} | {}",
        report.status,
        report.output,
        states(&report)
    );
    assert_eq!(shown, expected);
    world
}

#[test]
fn a_chain_of_pure_nodes_gives_its_last_result() {
    check(
        r#"
nodes:
  - { id: a, action: data.set, parameters: { n: "{{ $input.n + 1 }}" } }
  - { id: b, action: data.set, parameters: { n: "{{ $json.n * 2 }}", text: "was {{ $nodes.a.result.n }}" } }
"#,
        json!({ "n": 1 }),
        r#"completed {"n":4,"text":"was 2"} | a:succeeded b:succeeded"#,
    );
}

#[test]
fn conditions_choose_and_dead_paths_are_skipped() {
    check(
        r#"
nodes:
  - { id: a, action: data.set, parameters: { n: 5 } }
  - { id: big, action: data.set, parameters: { big: true } }
  - { id: small, action: data.set, parameters: { big: false } }
  - { id: end, action: data.set, parameters: { got: "{{ $inputs.main }}" } }
connections:
  - { from: a, to: big, condition: "$json.n > 3" }
  - { from: a, to: small, condition: "$nodes.a.result.n <= 3" }
  - big -> end
  - small -> end
"#,
        Value::Null,
        r#"completed {"got":[{"big":true}]} | a:succeeded big:succeeded small:skipped end:succeeded"#,
    );
}

#[test]
fn an_error_takes_its_own_path() {
    check(
        r#"
nodes:
  - { id: a, action: flow.fail, parameters: { message: no, code: NOPE } }
  - { id: b, action: data.set, parameters: { code: "{{ $json.code }}" } }
  - { id: c, action: data.set, parameters: { never: 1 } }
connections: [ a.error -> b, a -> c ]
output: "{{ $nodes.b.result }}"
"#,
        Value::Null,
        r#"completed {"code":"NOPE"} | a:failed b:succeeded c:skipped"#,
    );
}

#[test]
fn a_failure_without_a_path_fails_the_execution() {
    check(
        "nodes: [ { id: a, action: flow.fail, parameters: { message: no, code: NOPE } }, { id: b, action: data.set } ]",
        Value::Null,
        "failed NOPE null | a:failed b:skipped",
    );
}

#[test]
fn switch_takes_the_first_case_that_holds() {
    check(
        r#"
nodes:
  - { id: s, action: flow.switch, parameters: { cases: { eu: "$json.r == 'eu'", us: "$json.r == 'us'" } } }
  - { id: a, action: data.set, parameters: { is: eu } }
  - { id: b, action: data.set, parameters: { is: us } }
  - { id: c, action: data.set, parameters: { is: other } }
connections: [ s.eu -> a, s.us -> b, s.default -> c ]
"#,
        json!({ "r": "us" }),
        r#"completed {"b":{"is":"us"}} | s:succeeded a:skipped b:succeeded c:skipped"#,
    );
}

#[test]
fn for_each_keeps_the_order_of_its_list() {
    check(
        r#"
nodes:
  - { id: a, action: data.set, for_each: $input.list, concurrency: 2, parameters: { n: "{{ $item * 10 }}", i: "{{ $index }}" } }
"#,
        json!({ "list": [3, 1, 2] }),
        r#"completed [{"n":30,"i":0},{"n":10,"i":1},{"n":20,"i":2}] | a:succeeded"#,
    );
}

#[test]
fn for_each_over_nothing_gives_an_empty_list() {
    check(
        "nodes: [ { id: a, action: data.set, for_each: $input.list, parameters: { x: 1 } } ]",
        json!({ "list": [] }),
        "completed [] | a:succeeded",
    );
}

#[test]
fn effects_of_a_for_each_happen_once_per_item_with_their_own_keys() {
    let world = check(
        r#"nodes: [ { id: a, action: test.keyed, for_each: "$input.list", parameters: { label: "{{ $item }}" } } ]
output: "{{ $nodes.a.result.length }}""#,
        json!({ "list": ["x", "y", "z"] }),
        "completed 3 | a:succeeded",
    );
    let mut labels = world.ledger.labels();
    labels.sort();
    assert_eq!(labels, ["x", "y", "z"]);
    assert_ne!(world.ledger.keys("x"), world.ledger.keys("y"));
}

#[test]
fn a_wait_takes_its_time_and_costs_no_lease() {
    in_world(async |world| {
        let before = world.clock.now();
        let yaml = "nodes: [ { id: w, action: flow.wait, parameters: { for: 1h } }, { id: a, action: data.set, parameters: { x: 1 } } ]";
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(report.status, Status::Completed);
        let waited = world.clock.now().since(before);
        assert!(waited >= LONG && waited < LONG * 2, "{waited:?}");
    });
}

#[test]
fn a_failed_attempt_is_made_again_with_the_same_key() {
    in_world(async |world| {
        world.ledger.fail_next("pay", 2);
        let yaml = "nodes: [ { id: pay, action: test.keyed, parameters: { label: pay }, retry: { max_attempts: 3, initial: 20s } } ]";
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(
            (report.status, &report.output["attempt"]),
            (Status::Completed, &json!(3))
        );
        assert_eq!(world.ledger.labels(), ["pay"]);
    });
}

#[test]
fn retries_that_run_out_fail() {
    in_world(async |world| {
        world.ledger.fail_next("pay", 9);
        let yaml = "nodes: [ { id: pay, action: test.keyed, parameters: { label: pay }, retry: { max_attempts: 3 } } ]";
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(
            (report.status, report.nodes["pay"][0]["attempts"].clone()),
            (Status::Failed, json!(3))
        );
    });
}

#[test]
fn an_at_most_once_effect_that_times_out_parks_until_a_person_decides() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: pay, action: test.once, parameters: { label: pay, hang: true }, timeout: 5s }
  - { id: next, action: test.idempotent, parameters: { label: next } }
  - { id: slow, action: flow.wait, parameters: { for: 1h } }
  - { id: last, action: data.set, parameters: { id: "{{ $nodes.pay.result.id }}" } }
"#;
        let nebula = world.process();
        let id = world.begin(&nebula, yaml).await;
        let report = world.finish(&nebula, id).await;
        assert_eq!(
            (report.status, states(&report).as_str()),
            (Status::Parked, "pay:indeterminate")
        );
        let decision = UnparkDecision::Succeeded(Arc::new(json!({ "id": 7 })));
        let engine = nebula.engine();
        let signalled = engine
            .unpark(&tenant(), id, Some("pay".parse().unwrap()), decision)
            .await
            .unwrap();
        assert_eq!(signalled, Signalled::Delivered { seq: 1 });
        let tenant = tenant();
        let outcome = engine.outcome(&tenant, id, Until::EndedOrParked, None);
        let report = tokio::select! {
            _ = nebula.run(CancellationToken::new()) => unreachable!(),
            report = outcome => report.unwrap().unwrap(),
        };
        assert_eq!(
            (report.status, report.output),
            (Status::Completed, json!({ "id": 7 }))
        );
        assert_eq!(world.ledger.labels(), ["pay", "next"]);
    });
}

#[test]
fn a_cancelled_execution_stops_what_runs_and_ends() {
    in_world(async |world| {
        let yaml =
            "nodes: [ { id: a, action: test.idempotent, parameters: { label: a, hang: true } } ]";
        let nebula = world.process();
        let id = world.begin(&nebula, yaml).await;
        let cancel = async {
            // The clock moves only when everything else waits: the attempt is under way.
            world
                .clock
                .sleep(std::time::Duration::from_millis(50))
                .await;
            let _ = nebula
                .engine()
                .cancel(&tenant(), id, "enough".to_owned())
                .await
                .unwrap();
            nebula
                .engine()
                .outcome(&tenant(), id, Until::Ended, None)
                .await
                .unwrap()
                .unwrap()
        };
        let report = tokio::select! {
            _ = nebula.run(CancellationToken::new()) => unreachable!(),
            report = cancel => report,
        };
        assert_eq!(
            (report.status, states(&report).as_str()),
            (Status::Cancelled, "a:cancelled")
        );
    });
}

#[test]
fn what_no_journal_could_hold_is_an_error_of_its_node() {
    check(
        r#"nodes: [ { id: a, action: data.set, parameters: { x: "{{ JSON.parse('['.repeat(101) + ']'.repeat(101)) }}" } } ]"#,
        Value::Null,
        "failed OUTPUT_TOO_DEEP null | a:failed",
    );
}

#[test]
fn an_output_that_breaks_its_schema_fails_the_execution() {
    let yaml = "output_schema: { type: array }\nnodes: [ { id: a, action: data.set, parameters: { x: 1 } } ]";
    check(
        yaml,
        Value::Null,
        "failed OUTPUT_INVALID null | a:succeeded",
    );
}

#[test]
fn an_input_that_does_not_fit_begins_nothing() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = "input: { type: object, required: [n], properties: { n: { type: integer } } }\nnodes: [ { id: a, action: data.set } ]";
        let installed = world.install(&nebula, yaml).await;
        let deep = (0..101).fold(json!(1), |value, _| json!([value]));
        for (input, refusal) in [
            (json!({}), "Input"),
            (json!({ "n": "x" }), "Input"),
            (deep, "TooDeep"),
        ] {
            let refused = nebula
                .start(&tenant(), &installed, input, StartOptions::default())
                .await;
            let shown = format!("{:?}", refused.unwrap_err());
            assert!(shown.starts_with(refusal), "{shown}");
        }
        assert!(
            nebula
                .engine()
                .unfinished(&tenant())
                .await
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn large_pure_work_goes_through_the_pool_and_gives_the_same() {
    let list: Vec<u32> = (0..20_000).collect();
    check(
        r#"
nodes: [ { id: a, action: data.filter, parameters: { items: "{{ $input.list }}", condition: "$item >= 19999" } } ]
"#,
        json!({ "list": list }),
        "completed [19999] | a:succeeded",
    );
}

#[test]
fn a_time_limit_ends_an_execution() {
    check(
        "nodes: [ { id: w, action: flow.wait, parameters: { for: 2h } } ]\nlimits: { timeout: 1h }",
        Value::Null,
        "timed_out null | w:cancelled",
    );
}

#[test]
fn two_engines_run_side_by_side() {
    in_world(async |one| {
        let two = World::default();
        let yaml = |label: &str| {
            format!("nodes: [ {{ id: a, action: test.keyed, parameters: {{ label: {label} }} }} ]")
        };
        let (left, right) = (yaml("left"), yaml("right"));
        let (a, b) = tokio::join!(one.run(&left, Value::Null), two.run(&right, Value::Null));
        assert_eq!((a.status, b.status), (Status::Completed, Status::Completed));
        assert_eq!(
            (one.ledger.labels(), two.ledger.labels()),
            (vec!["left".to_owned()], vec!["right".to_owned()])
        );
    });
}
