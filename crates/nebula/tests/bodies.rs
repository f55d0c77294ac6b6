//! Nodes with a body, over models of every port: what they give, undisturbed, and the examples of
//! the page about control flow.

mod world;

use std::{sync::Arc, time::Duration};

use nebula::{
    core::Clock,
    engine::Until,
    execution::{NamedSignal, StartOptions, Status},
    ports::WorkflowRepo,
};
use serde_json::{Value, json};
use world::{in_world, states, tenant, with};

/// The example of the page about control flow with this id, so that what it shows is true.
fn example(id: &str) -> String {
    let page = include_str!("../../../docs/control-flow.md");
    let mut blocks = page.split("```yaml\n").skip(1);
    let block = blocks.find(|block| block.starts_with(&format!("id: {id}\n")));
    let block = block.unwrap_or_else(|| panic!("the page has no example {id}"));
    block.split("```").next().unwrap().to_owned()
}

#[track_caller]
fn check(yaml: &str, input: Value, expected: &str) {
    let report = in_world(async |world| world.run(yaml, input).await);
    let error = report.error.as_ref();
    let error = error.map(|error| format!(" {}: {}", error.code, error.message));
    let (status, error) = (report.status, error.unwrap_or_default());
    let shown = format!("{status}{error} {} | {}", report.output, states(&report));
    assert_eq!(shown, expected, "\n{yaml}");
}

#[test]
fn a_body_runs_once_per_element() {
    check(
        &example("price-orders"),
        json!({ "orders": [{ "qty": 2, "price": 3 }, { "qty": 1, "price": 5 }] }),
        r#"completed ["1: 6","2: 5"] | orders:succeeded orders/total:succeeded,succeeded orders/line:succeeded,succeeded"#,
    );
}

#[test]
fn a_body_runs_once_per_number_of_a_range() {
    check(
        "nodes: [{ id: e, action: flow.for_each, parameters: { range: { from: 10, to: 0, step: -4 } }, body: { nodes: [{ id: a, action: data.set, parameters: { n: '{{ $json }}' } }] } }]",
        Value::Null,
        r#"completed [{"n":10},{"n":6},{"n":2}] | e:succeeded e/a:succeeded,succeeded,succeeded"#,
    );
}

#[test]
fn a_failed_run_may_stand_in_the_list() {
    let body = "body: { nodes: [{ id: f, action: flow.fail, when: '$item > 1', parameters: { message: no, code: NO } }, { id: a, action: data.set, parameters: { n: '{{ $item }}' } }], connections: [] }";
    check(
        &format!(
            "nodes: [{{ id: e, action: flow.for_each, on_error: continue, parameters: {{ items: [1, 2] }}, {body} }}]"
        ),
        Value::Null,
        r#"completed [{"a":{"n":1}},{"error":{"code":"NO","message":"no","class":"fatal"}}] | e:succeeded e/f:skipped,failed e/a:succeeded,cancelled"#,
    );
    check(
        &format!(
            "nodes: [{{ id: e, action: flow.for_each, concurrency: 1, parameters: {{ items: [1, 2, 3] }}, {body} }}]"
        ),
        Value::Null,
        r#"failed NO: item 1: no null | e:failed e/f:skipped,failed e/a:succeeded,cancelled"#,
    );
}

#[test]
fn what_is_no_list_is_refused() {
    check(
        "nodes: [{ id: e, action: flow.for_each, parameters: { items: 7 }, body: { nodes: [{ id: a, action: data.set }] } }]",
        Value::Null,
        "failed FOR_EACH_NOT_A_LIST: `items` must give a list, and gave a number null | e:failed",
    );
}

#[test]
fn a_loop_goes_on_until_its_condition_holds() {
    check(
        &example("count-down"),
        json!({ "n": 3 }),
        r#"completed {"n":0} | down:succeeded down/less:succeeded,succeeded,succeeded"#,
    );
}

#[test]
fn a_connection_that_goes_back_begins_another_round() {
    check(
        &example("double-until"),
        json!({ "n": 0 }),
        "completed 30 | more:succeeded,succeeded,succeeded,succeeded double:succeeded,succeeded,succeeded,succeeded done:succeeded",
    );
}

#[test]
fn a_node_of_a_loop_sees_its_own_round() {
    check(
        r#"
nodes:
  - { id: a, action: data.set, parameters: { n: "{{ ($nodes.b?.result?.n ?? 0) + 1 }}" } }
  - { id: odd, action: data.set, when: "$json.n % 2 == 1", parameters: { n: "{{ $json.n }}" } }
  - { id: b, action: data.set, join: all, parameters: { n: "{{ $nodes.a.result.n }}", odd: "{{ $nodes.odd.result?.n ?? 'even' }}", list: "{{ ($nodes.c?.result?.list ?? []).concat([$nodes.odd.status]) }}" } }
  - { id: c, action: data.set, parameters: { list: "{{ $json.list }}" } }
  - { id: end, action: data.set, parameters: { list: "{{ $nodes.c.result.list }}", n: "{{ $nodes.odd.result?.n ?? 'none' }}" } }
connections:
  - a -> odd -> b
  - a -> b
  - b -> c -> end
  - { from: c, to: a, loop: true, condition: "$nodes.a.result.n < 3" }
"#,
        Value::Null,
        r#"completed {"list":["succeeded","skipped","succeeded"],"n":3} | a:succeeded,succeeded,succeeded odd:succeeded,skipped,succeeded b:succeeded,succeeded,succeeded c:succeeded,succeeded,succeeded end:succeeded"#,
    );
}

#[test]
fn a_loop_that_goes_on_too_long_fails_where_it_begins() {
    check(
        "nodes: [{ id: a, action: data.set }, { id: z, action: data.set, parameters: { why: '{{ $json.code }}' } }]\nconnections: [{ from: a, to: a, loop: true, max_rounds: 2 }, a.error -> z]",
        Value::Null,
        r#"completed {"why":"LOOP_TOO_LONG"} | a:succeeded,succeeded,failed z:succeeded"#,
    );
}

#[test]
fn a_loop_may_have_no_round_at_all() {
    let body =
        "body: { nodes: [{ id: a, action: data.set, parameters: { n: '{{ $loop.index }}' } }] }";
    for stop in ["while: 'false'", "times: 0"] {
        check(
            &format!("nodes: [{{ id: l, action: flow.loop, parameters: {{ {stop} }}, {body} }}]"),
            json!("as it came"),
            "completed null | l:succeeded",
        );
    }
    check(
        &format!(
            "nodes: [{{ id: l, action: flow.loop, parameters: {{ while: '$loop.index < 2' }}, {body} }}]"
        ),
        Value::Null,
        r#"completed {"n":1} | l:succeeded l/a:succeeded,succeeded"#,
    );
}

#[test]
fn a_loop_that_never_ends_fails_at_its_limit() {
    check(
        "nodes: [{ id: l, action: flow.loop, parameters: { while: true, max_rounds: 3 }, body: { nodes: [{ id: a, action: data.set }] } }]",
        Value::Null,
        "failed LOOP_TOO_LONG: the loop goes on after 3 rounds; `max_rounds` allows no more null | l:failed l/a:succeeded,succeeded,succeeded",
    );
}

#[test]
fn a_body_gives_what_its_end_nodes_give() {
    check(
        &example("two-halves"),
        json!({ "n": 8 }),
        "completed 11 | both:succeeded both/left:succeeded both/right:succeeded",
    );
}

#[test]
fn a_body_that_takes_too_long_fails_its_node() {
    check(
        "nodes: [{ id: p, action: flow.parallel, parameters: { timeout: 5s }, body: { nodes: [{ id: a, action: test.keyed, parameters: { label: a, hang: true } }, { id: w, action: flow.wait, parameters: { for: 1h } }], connections: [] } }]",
        Value::Null,
        "failed BODY_TIMEOUT: the body took longer than its node allows null | p:failed p/a:cancelled p/w:cancelled",
    );
}

#[test]
fn a_failure_in_a_body_takes_the_error_path_of_its_node() {
    check(
        r#"
nodes:
  - id: p
    action: flow.parallel
    body: { nodes: [{ id: a, action: flow.fail, parameters: { message: no, code: NO } }, { id: b, action: data.set }] }
  - { id: caught, action: data.set, parameters: { code: "{{ $json.code }}" } }
  - { id: after, action: data.set }
connections: [p -> after, p.error -> caught]
"#,
        Value::Null,
        r#"completed {"caught":{"code":"NO"}} | p:failed caught:succeeded after:skipped p/a:failed p/b:skipped"#,
    );
}

#[test]
fn a_handler_takes_a_failure_and_what_is_last_runs_in_any_case() {
    check(
        &example("with-a-handler"),
        Value::Null,
        r#"completed "look failed" | attempt:succeeded attempt/look:failed attempt/mend:succeeded attempt/note:succeeded"#,
    );
}

#[test]
fn a_failure_that_no_handler_wants_is_that_of_its_node() {
    check(
        "nodes: [{ id: t, action: flow.try, parameters: { catch: { mend: \"$json.code == 'OTHER'\" }, finally: note }, body: { nodes: [{ id: look, action: flow.fail, parameters: { message: gone } }, { id: mend, action: data.set }, { id: note, action: data.set }] } }]",
        Value::Null,
        "failed FLOW_FAIL: `look`: gone null | t:failed t/look:failed t/note:succeeded",
    );
}

#[test]
fn the_first_of_several_decides() {
    for (paid, winner) in [(true, "paid"), (false, "late")] {
        in_world(async |world| {
            let nebula = world.process();
            let yaml = example("paid-or-late").replace("14d", "14m");
            let id = world.begin(&nebula, &yaml).await;
            let talk = async {
                world.clock.sleep(Duration::from_secs(60)).await;
                let engine = nebula.engine();
                if paid {
                    let signal = NamedSignal::new("paid", "1", Arc::new(json!({}))).unwrap();
                    let _ = engine.send(&tenant(), id, signal).await.unwrap();
                }
                let report = engine.outcome(&tenant(), id, Until::Ended, None).await;
                report.unwrap().unwrap()
            };
            let report = with(&nebula, talk).await;
            assert_eq!(
                (report.status, &report.output),
                (Status::Completed, &json!(winner))
            );
            let others = if paid {
                "paid:succeeded first/late:cancelled"
            } else {
                "paid:cancelled first/late:succeeded"
            };
            assert_eq!(states(&report), format!("first:succeeded first/{others}"));
        });
    }
}

#[test]
fn effects_in_a_body_have_keys_of_their_own() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = "nodes: [{ id: e, action: flow.for_each, parameters: { items: [x, y] }, body: { nodes: [{ id: a, action: test.keyed, parameters: { label: '{{ $item }}' } }] } }]";
        let installed = world.install(&nebula, yaml).await;
        let options = StartOptions::default();
        let id = nebula
            .start(&tenant(), &installed, Value::Null, options)
            .await
            .unwrap();
        let _ = world.finish(&nebula, id).await;
        let (x, y) = (world.ledger.keys("x"), world.ledger.keys("y"));
        assert_eq!((x.len(), y.len()), (1, 1));
        assert_ne!(x, y);
    });
}

#[test]
fn an_action_in_a_body_is_pinned_like_any_other() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = "nodes: [{ id: p, action: flow.parallel, body: { nodes: [{ id: q, action: flow.parallel, body: { nodes: [{ id: a, action: data.set }] } }] } }]";
        let installed = world.install(&nebula, yaml).await;
        let repo = world.workflows.clone();
        let saved = repo.get(&tenant(), &installed.plan.workflow, Some(1)).await;
        let text = saved.unwrap().unwrap().definition.to_string();
        assert_eq!(text.matches("@1.0").count(), 3, "{text}");
    });
}

#[test]
fn watchers_are_told_once() {
    let report = in_world(async |world| world.run(&example("tells"), json!({ "order": 7 })).await);
    assert_eq!(report.output, json!({ "order": 7 }));
    let [event] = &report.events[..] else {
        panic!("{:?}", report.events);
    };
    assert_eq!(
        (&event["event"], &event["instance"], &event["payload"]),
        (
            &json!("order.packed"),
            &json!("packed"),
            &json!({ "order": 7 })
        )
    );
}

#[test]
fn nodes_are_given_up() {
    check(
        &example("remind-until-paid"),
        Value::Null,
        "completed false | paid:succeeded enough:succeeded remind:cancelled send:skipped done:succeeded",
    );
    check(
        "nodes: [{ id: k, action: flow.cancel, parameters: { execution: true, reason: enough } }, { id: a, action: data.set }]\nconnections: []",
        Value::Null,
        "cancelled null | k:succeeded a:cancelled",
    );
}

#[test]
fn a_join_gives_the_rest_up() {
    check(
        &example("first-of-three"),
        Value::Null,
        r#"completed "cancelled" | north:cancelled south:succeeded west:cancelled take:succeeded"#,
    );
}

#[test]
fn tokens_are_split_and_merged() {
    check(
        &example("three-threads"),
        json!({ "n": 2 }),
        "completed 12 | body:succeeded body/three:succeeded body/draw:succeeded,succeeded,succeeded body/one:succeeded body/sum:succeeded",
    );
}

#[test]
fn errors_of_items_may_be_collected() {
    check(
        &example("check-all"),
        json!({ "numbers": [4, -1, 9] }),
        r#"completed {"good":2,"bad":[1]} | checks:succeeded checks/negative:skipped,failed,skipped checks/root:succeeded,cancelled,succeeded"#,
    );
}

#[test]
fn a_list_may_be_complete_before_all_of_it_has_run() {
    check(
        &example("first-in-budget"),
        json!({ "prices": [9, 4, 7], "budget": 5 }),
        r#"completed [{"price":9},{"price":4},null] | offers:succeeded offers/offer:succeeded,succeeded"#,
    );
    check(
        "nodes: [{ id: a, action: data.set, for_each: $input, concurrency: 1, complete_when: 2, parameters: { n: '{{ $item }}' } }]",
        json!([7, 8, 9]),
        r#"completed [{"n":7},{"n":8},null] | a:succeeded"#,
    );
    check(
        "nodes: [{ id: a, action: data.set, for_each: $input, concurrency: 1, complete_when: $json.last, parameters: { n: '{{ $item }}' } }]",
        json!([7, 8]),
        "failed COMPLETE_WHEN: item 0: `complete_when` of node `a` gave an object; it must give a number of successes, or true or false null | a:failed",
    );
}

#[test]
fn the_rest_of_a_list_may_run_on_while_others_go_on() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: a, action: test.keyed, for_each: "[1, 2, 3]", concurrency: 1, complete_when: 1, rest: absorb, parameters: { label: "a {{ $item }}" } }
  - { id: b, action: data.set, parameters: { list: "{{ $json }}" } }
connections: [a -> b]
"#;
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(states(&report), "a:succeeded b:succeeded");
        let list = &report.output["list"];
        assert_eq!(
            (&list[0]["label"], &list[1], &list[2]),
            (&json!("a 1"), &Value::Null, &Value::Null)
        );
        for label in ["a 1", "a 2", "a 3"] {
            assert_eq!(world.ledger.keys(label).len(), 1, "{label}");
        }
    });
}

#[test]
fn signals_bring_elements_to_a_list() {
    in_world(async |world| {
        let nebula = world.process();
        let id = world.begin(&nebula, &example("count-votes")).await;
        let talk = async {
            let engine = nebula.engine();
            let payloads = [
                json!([{ "for": "x" }, { "for": "y" }]),
                json!({ "for": "z" }),
                json!({ "items": [{ "for": "x" }], "last": true }),
            ];
            for (number, payload) in payloads.into_iter().enumerate() {
                world.clock.sleep(Duration::from_secs(60)).await;
                let report = engine.report(&tenant(), id).await.unwrap().unwrap();
                let waits = serde_json::to_value(&report.waiting).unwrap();
                let expected =
                    json!([{ "for": "signal", "instance": "votes", "name": "vote", "due": null }]);
                assert_eq!((report.status, waits), (Status::Waiting, expected));
                let signal = NamedSignal::new("vote", &number.to_string(), Arc::new(payload));
                let _ = engine.send(&tenant(), id, signal.unwrap()).await.unwrap();
            }
            let report = engine.outcome(&tenant(), id, Until::Ended, None).await;
            report.unwrap().unwrap()
        };
        let report = with(&nebula, talk).await;
        assert_eq!(report.output, json!(["x", "y", "z", "x"]));
    });
}

#[test]
fn a_list_goes_on_in_parts() {
    check(
        &example("sums-of-two"),
        json!({ "list": [1, 2, 3, 4, 5] }),
        "completed [3,7,5] | parts:succeeded,succeeded,succeeded,succeeded sum:succeeded,succeeded,succeeded,skipped all:succeeded",
    );
    check(
        &example("sums-of-two"),
        json!({ "list": [] }),
        "completed [] | parts:succeeded sum:skipped all:succeeded",
    );
    check(
        &example("sums-of-two"),
        json!({ "list": 7 }),
        "failed PARAMETER_INVALID: parameter `/items` of `flow.batches`: must be an array, not an integer null | parts:failed sum:skipped all:skipped",
    );
}

#[test]
fn a_long_list_is_read_by_what_follows() {
    check(
        r#"
nodes:
  - { id: n, action: flow.for_each, parameters: { range: { to: 3000 } }, body: { nodes: [{ id: a, action: data.set, parameters: { n: "{{ $item }}" } }] } }
  - { id: m, action: data.set, for_each: $nodes.n.result, parameters: { n: "{{ $item.n * 2 }}" } }
  - { id: j, action: data.set, parameters: { last: "{{ $json[2999].n }}" } }
output: "{{ [$nodes.n.result.length, $nodes.n.result[2999].n, $nodes.j.result.last] }}"
"#,
        Value::Null,
        &format!(
            "completed [3000,2999,5998] | n:succeeded m:succeeded j:succeeded n/a:{}",
            ["succeeded"; 1_000].join(",") + ",?"
        ),
    );
}

#[test]
fn a_body_runs_while_it_has_its_turn() {
    check(
        &example("one-at-the-till"),
        json!({ "shop": 7, "amount": 12 }),
        "completed 12 | till:succeeded till/book:succeeded",
    );
    check(
        &example("in-any-order"),
        Value::Null,
        r#"completed ["blood","lungs"] | blood:succeeded lungs:succeeded blood/test_blood:succeeded lungs/test_lungs:succeeded"#,
    );
}

#[test]
fn a_milestone_is_passed_while_it_holds() {
    for (after, gives) in [
        (
            "1h",
            r#"completed "changed" | ordered:succeeded shipped:succeeded asked:succeeded in_time:succeeded change:succeeded regret:skipped"#,
        ),
        (
            "3h",
            r#"completed "too late" | ordered:succeeded shipped:succeeded asked:succeeded in_time:succeeded change:skipped regret:succeeded"#,
        ),
    ] {
        let input = json!({ "order": 7, "after": after });
        check(&example("change-before-shipping"), input, gives);
    }
}

#[test]
fn a_body_asks_again_and_again_about_what_is_around_it() {
    check(
        &example("change-until-shipped"),
        Value::Null,
        r#"completed 2 | ordered:succeeded shipped:succeeded changes:succeeded changes/asked:succeeded,succeeded,succeeded changes/in_time:succeeded,succeeded,succeeded changes/change:succeeded,succeeded,skipped changes/regret:skipped,skipped,succeeded"#,
    );
}
