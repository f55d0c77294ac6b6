//! Effects that are undone, over models of every port.

mod world;

use std::time::Duration;

use nebula::{
    Nebula,
    core::{Clock, ExecutionId},
    engine::{CompensationStatus, Report, StartAgainError, Until},
    execution::{Again, AgainError, Status, UnparkDecision},
    ports::Signalled,
};
use serde_json::{Value, json};
use world::{LONG, World, in_world, states, tenant, with};

/// A booking whose payment fails.
const TRIP: &str = r#"
nodes:
  - id: hotel
    action: test.keyed
    parameters: { label: "hotel {{ $input.city }}" }
    compensate: { action: test.keyed, parameters: { label: "undo {{ $json.label }}, once {{ $input.city }}" } }
  - { id: note, action: data.set, parameters: { by: "{{ $nodes.hotel.result.label }}" } }
  - id: flight
    action: test.once
    parameters: { label: flight }
    compensate: { action: test.once, parameters: { label: "undo {{ $nodes.flight.result.label }} of {{ $nodes.note.result.by }}" } }
  - { id: pay, action: test.keyed, parameters: { label: pay } }
"#;

async fn trip(world: &World) -> Report {
    world.ledger.fail_next("pay", 1);
    world.run(TRIP, json!({ "city": "Rome" })).await
}

async fn unpark(
    world: &World,
    nebula: &Nebula,
    id: ExecutionId,
    node: &str,
    decision: UnparkDecision,
) -> Report {
    let instance = Some(node.parse().unwrap());
    let engine = nebula.engine();
    let said = engine.unpark(&tenant(), id, instance, decision).await;
    assert!(matches!(said.unwrap(), Signalled::Delivered { .. }));
    world.finish(nebula, id).await
}

fn undone(report: &Report) -> Vec<(&str, CompensationStatus)> {
    let list = report.compensations.iter();
    list.map(|it| (it.instance.as_str(), it.status)).collect()
}

#[test]
fn what_was_done_is_undone_in_reverse_over_what_each_node_saw_and_gave() {
    in_world(async |world| {
        let report = trip(&world).await;
        assert_eq!(
            world.ledger.labels(),
            [
                "hotel Rome",
                "flight",
                "undo flight of hotel Rome",
                "undo hotel Rome, once Rome"
            ]
        );
        assert_eq!(
            states(&report),
            "hotel:compensated note:succeeded flight:compensated pay:failed"
        );
        assert_eq!(report.status, Status::Failed);
        assert_eq!(report.error.as_ref().unwrap().code, "TEST_FAILED");
        let done = CompensationStatus::Compensated;
        assert_eq!(undone(&report), [("flight", done), ("hotel", done)]);
        let keys = [
            world.ledger.keys("hotel Rome"),
            world.ledger.keys("undo hotel Rome, once Rome"),
        ];
        assert_ne!(keys[0], keys[1], "undoing is a piece of work of its own");
    });
}

#[test]
fn a_completed_execution_undoes_nothing() {
    in_world(async |world| {
        let report = world.run(TRIP, json!({ "city": "Rome" })).await;
        assert_eq!(report.status, Status::Completed);
        assert_eq!(world.ledger.labels(), ["hotel Rome", "flight", "pay"]);
        assert!(report.compensations.is_empty());
    });
}

#[test]
fn items_and_runs_of_bodies_are_undone_over_their_elements() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - id: seats
    action: test.keyed
    for_each: $input.seats
    concurrency: 1
    parameters: { label: "seat {{ $item }}" }
    compensate: { action: test.keyed, parameters: { label: "undo seat {{ $item }} at {{ $index }}" } }
  - id: rooms
    action: flow.for_each
    concurrency: 1
    parameters: { items: [7, 8] }
    body:
      nodes:
        - { id: key, action: data.set, parameters: { n: "{{ $item * 10 }}" } }
        - id: room
          action: test.keyed
          parameters: { label: "room {{ $item }}" }
          compensate: { action: test.keyed, parameters: { label: "undo room {{ $item }} with {{ $nodes.key.result.n }}" } }
  - { id: end, action: flow.fail, parameters: { message: no, code: NO } }
"#;
        let report = world.run(yaml, json!({ "seats": ["a", "b"] })).await;
        assert_eq!(
            world.ledger.labels()[4..],
            [
                "undo room 8 with 80",
                "undo room 7 with 70",
                "undo seat b at 1",
                "undo seat a at 0"
            ]
        );
        assert_eq!(
            states(&report),
            "seats:compensated rooms:succeeded end:failed rooms/key:succeeded,succeeded rooms/room:compensated,compensated"
        );
        let names: Vec<_> = undone(&report).iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            ["rooms[1]/room", "rooms[0]/room", "seats[1]", "seats[0]"]
        );
    });
}

#[test]
fn a_body_is_undone_before_its_handler_runs_where_its_node_says_so() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - id: attempt
    action: flow.try
    parameters: { compensate: true, catch: { other: "true" } }
    body:
      nodes:
        - { id: hold, action: test.keyed, parameters: { label: hold }, compensate: { action: test.keyed, parameters: { label: undo hold } } }
        - { id: gone, action: flow.fail, parameters: { message: gone, code: GONE } }
        - { id: other, action: test.keyed, parameters: { label: other } }
"#;
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(report.status, Status::Completed);
        assert_eq!(world.ledger.labels(), ["hold", "undo hold", "other"]);
        assert_eq!(
            states(&report),
            "attempt:succeeded attempt/hold:compensated attempt/gone:failed attempt/other:succeeded"
        );
    });
}

#[test]
fn an_effect_whose_condition_failed_after_it_is_undone() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: pay, action: test.keyed, parameters: { label: pay }, compensate: { action: test.keyed, parameters: { label: "undo {{ $json.label }}" } } }
  - { id: next, action: data.set }
connections: [{ from: pay, to: next, condition: "$json.label" }]
"#;
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(report.status, Status::Failed);
        assert_eq!(world.ledger.labels(), ["pay", "undo pay"]);
        assert_eq!(states(&report), "pay:failed next:skipped");
    });
}

#[test]
fn cancelling_undoes_and_the_time_limit_does() {
    in_world(async |world| {
        let yaml = |limits: &str| {
            format!(
                r#"
nodes:
  - {{ id: a, action: test.keyed, parameters: {{ label: a }}, compensate: {{ action: test.keyed, parameters: {{ label: undo a, seconds: 900 }}, timeout: 1h }} }}
  - {{ id: w, action: flow.wait, parameters: {{ for: 10h }} }}
{limits}"#
            )
        };
        let nebula = world.process();
        let id = world.begin(&nebula, &yaml("")).await;
        let engine = nebula.engine().clone();
        let waits = async {
            engine
                .outcome(&tenant(), id, Until::Ended, Some(LONG))
                .await
        };
        with(&nebula, waits).await.unwrap();
        let reason = "enough".to_owned();
        let said = engine.cancel(&tenant(), id, reason).await;
        assert!(matches!(said.unwrap(), Signalled::Delivered { .. }));
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.status, Status::Cancelled);
        assert_eq!(world.ledger.labels(), ["a", "undo a"]);
        // The limit is over long before this is undone, and does not cut that.
        let report = world
            .run(&yaml("limits: { timeout: 1m }"), Value::Null)
            .await;
        assert_eq!(report.status, Status::TimedOut);
        assert_eq!(states(&report), "a:compensated w:cancelled");
    });
}

#[test]
fn while_it_waits_to_undo_it_is_compensating() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: a, action: test.keyed, parameters: { label: a }, compensate: { action: test.keyed, parameters: { label: undo a }, retry: { max_attempts: 3, initial: 2h, max: 2h, jitter: none } } }
  - { id: end, action: flow.fail, parameters: { message: no, code: NO } }
"#;
        world.ledger.fail_next("undo a", 1);
        let nebula = world.process();
        let id = world.begin(&nebula, yaml).await;
        let engine = nebula.engine().clone();
        let ended = async {
            engine
                .outcome(&tenant(), id, Until::Ended, Some(LONG))
                .await
        };
        let report = with(&nebula, ended).await.unwrap().unwrap();
        assert_eq!(report.status, Status::Compensating);
        assert!(!report.leased, "it costs nothing while it waits");
        assert_eq!(undone(&report), [("a", CompensationStatus::Running)]);
        let waiting = serde_json::to_value(&report.waiting).unwrap();
        assert_eq!(waiting[0]["for"], "compensation");
        assert_eq!(
            (&waiting[0]["instance"], &waiting[0]["attempts"]),
            (&json!("a"), &json!(1))
        );
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.status, Status::Failed);
        assert_eq!(world.ledger.labels(), ["a", "undo a"]);
    });
}

#[test]
fn a_person_decides_about_what_could_not_be_undone() {
    let yaml = r#"
nodes:
  - { id: a, action: test.keyed, parameters: { label: a }, compensate: { action: test.keyed, parameters: { label: undo a } } }
  - { id: b, action: test.keyed, parameters: { label: b }, compensate: { action: test.keyed, parameters: { label: undo b }, retry: { max_attempts: 1 } } }
  - { id: end, action: flow.fail, parameters: { message: no, code: NO } }
"#;
    let by_hand = || UnparkDecision::Succeeded(std::sync::Arc::new(Value::Null));
    let (undone_b, given_up) = (CompensationStatus::Compensated, CompensationStatus::GivenUp);
    for (decision, labels, status, of_b) in [
        (
            by_hand(),
            &["a", "b", "undo a"][..],
            "compensated",
            undone_b,
        ),
        (
            UnparkDecision::Failed,
            &["a", "b", "undo a"],
            "succeeded",
            given_up,
        ),
        (
            UnparkDecision::Retry,
            &["a", "b", "undo b", "undo a"],
            "compensated",
            undone_b,
        ),
    ] {
        in_world(async |world| {
            world.ledger.fail_next("undo b", 1);
            let nebula = world.process();
            let id = world.begin(&nebula, yaml).await;
            let parked = world.finish(&nebula, id).await;
            assert_eq!(parked.status, Status::Parked);
            let waiting = serde_json::to_value(&parked.waiting).unwrap();
            assert_eq!(waiting[0]["for"], "compensation_decision");
            assert_eq!(
                undone(&parked),
                [
                    ("b", CompensationStatus::Parked),
                    ("a", CompensationStatus::Pending)
                ]
            );
            let report = unpark(&world, &nebula, id, "b", decision.clone()).await;
            assert_eq!(report.status, Status::Failed);
            assert_eq!(world.ledger.labels(), labels);
            assert_eq!(
                states(&report),
                format!("a:compensated b:{status} end:failed")
            );
            assert_eq!(undone(&report), [("b", of_b), ("a", undone_b)]);
        });
    }
}

#[test]
fn parameters_that_have_no_value_are_for_a_person() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: a, action: test.keyed, parameters: { label: a }, compensate: { action: test.keyed, parameters: { label: "{{ $json.no.such.thing }}" } } }
  - { id: end, action: flow.fail, parameters: { message: no, code: NO } }
"#;
        let parked = world.run(yaml, Value::Null).await;
        assert_eq!(parked.status, Status::Parked);
        let waiting = serde_json::to_value(&parked.waiting).unwrap();
        let reason = waiting[0]["reason"].as_str().unwrap();
        assert!(reason.starts_with("`compensate`: "), "{reason}");
    });
}

#[test]
fn a_lost_compensation_that_must_not_act_twice_is_asked_about() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: a, action: test.keyed, parameters: { label: a }, compensate: { action: test.once, parameters: { label: undo a, hang: true }, timeout: 3s } }
  - { id: end, action: flow.fail, parameters: { message: no, code: NO } }
"#;
        let parked = world.run(yaml, Value::Null).await;
        assert_eq!(parked.status, Status::Parked);
        assert_eq!(world.ledger.labels(), ["a", "undo a"]);
    });
}

/// The worker that undoes an effect goes away in the middle of it, and the action says `answer` when it
/// is asked what became of that. How the execution stands then, and what was done outside.
fn undoing_that_was_lost(answer: &str) -> (Status, Vec<CompensationStatus>, Vec<String>) {
    in_world(async |world| {
        let yaml = format!(
            r#"
nodes:
  - {{ id: a, action: test.keyed, parameters: {{ label: a }}, compensate: {{ action: test.reconciled, parameters: {{ label: undo, seconds: 20{answer} }}, timeout: 30s }} }}
  - {{ id: end, action: flow.fail, parameters: {{ message: no, code: NO }} }}
"#
        );
        let (first, second) = (world.process(), world.process());
        let id = world.begin(&first, &yaml).await;
        with(&first, world.clock.sleep(Duration::from_secs(5))).await;
        assert_eq!(world.ledger.labels(), ["a", "undo"]);
        let report = tokio::select! {
            biased;
            report = world.finish(&second, id) => report,
            () = world.clock.sleep(LONG) => panic!("nobody asked what became of it"),
        };
        let undone = undone(&report).into_iter().map(|(_, status)| status);
        (report.status, undone.collect(), world.ledger.labels())
    })
}

#[test]
fn an_attempt_to_undo_that_was_lost_is_asked_about_before_anything_else() {
    let (done, parked) = (CompensationStatus::Compensated, CompensationStatus::Parked);
    let labels = |undone: usize| {
        let undone = std::iter::repeat_n("undo".to_owned(), undone);
        std::iter::once("a".to_owned()).chain(undone).collect()
    };
    assert_eq!(
        undoing_that_was_lost(", happened: true"),
        (Status::Failed, vec![done], labels(1))
    );
    assert_eq!(
        undoing_that_was_lost(", happened: false"),
        (Status::Failed, vec![done], labels(2)),
        "it is done again"
    );
    assert_eq!(
        undoing_that_was_lost(""),
        (Status::Parked, vec![parked], labels(1)),
        "nobody knows"
    );
}

#[test]
fn a_retry_makes_anew_what_was_undone_under_new_keys() {
    in_world(async |world| {
        let failed = trip(&world).await;
        let nebula = world.process();
        let id = nebula
            .again(&tenant(), failed.execution, Again::Retry)
            .await;
        let done = world.finish(&nebula, id.unwrap()).await;
        assert_eq!(done.status, Status::Completed, "{done:?}");
        assert_eq!(world.ledger.labels()[4..], ["hotel Rome", "flight", "pay"]);
        for label in ["hotel Rome", "flight"] {
            let keys = world.ledger.keys(label);
            assert_eq!(keys.len(), 2);
            assert_ne!(
                keys[0], keys[1],
                "{label} was undone: it is another piece of work"
            );
        }
    });
}

#[test]
fn what_failed_behind_the_undone_keeps_its_key() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: a, action: test.keyed, parameters: { label: a }, compensate: { action: test.keyed, parameters: { label: undo a } } }
  - { id: pay, action: test.keyed, parameters: { label: pay, seconds: 20 }, timeout: 5s }
"#;
        let failed = world.run(yaml, Value::Null).await;
        assert_eq!(failed.status, Status::Failed);
        let nebula = world.process();
        let id = nebula
            .again(&tenant(), failed.execution, Again::Retry)
            .await;
        world.finish(&nebula, id.unwrap()).await;
        let keys = world.ledger.keys("pay");
        assert_eq!(
            (keys.len(), &keys[0]),
            (2, &keys[1]),
            "an unknown payment is one payment"
        );
        let of_undoing = world.ledger.keys("undo a");
        assert_eq!(of_undoing.len(), 2);
        assert_ne!(
            of_undoing[0], of_undoing[1],
            "two effects, undone one by one"
        );
    });
}

#[test]
fn what_acted_at_most_once_behind_the_undone_is_not_done_twice() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: a, action: test.keyed, parameters: { label: a }, compensate: { action: test.keyed, parameters: { label: undo a } } }
  - { id: mail, action: test.once, parameters: { label: mail } }
  - { id: end, action: flow.fail, parameters: { message: no, code: NO } }
"#;
        let failed = world.run(yaml, Value::Null).await;
        let nebula = world.process();
        let refused = nebula
            .again(&tenant(), failed.execution, Again::Retry)
            .await;
        let Err(StartAgainError::Refused(AgainError::ActedBehind { node })) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(node, "mail".parse().unwrap());
        assert_eq!(world.ledger.labels(), ["a", "mail", "undo a"]);
    });
}

#[test]
fn an_effect_that_a_person_knows_of_is_undone() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: a, action: test.once, parameters: { label: a, hang: true }, timeout: 3s, compensate: { action: test.keyed, parameters: { label: "undo {{ $json.charge }}" } } }
  - { id: end, action: flow.fail, parameters: { message: no, code: NO } }
"#;
        let nebula = world.process();
        let id = world.begin(&nebula, yaml).await;
        let parked = world.finish(&nebula, id).await;
        assert_eq!(parked.status, Status::Parked);
        let happened = UnparkDecision::Succeeded(std::sync::Arc::new(json!({ "charge": 7 })));
        let report = unpark(&world, &nebula, id, "a", happened).await;
        assert_eq!(report.status, Status::Failed);
        assert_eq!(world.ledger.labels(), ["a", "undo 7"]);
    });
}

#[test]
fn while_it_is_paused_nothing_is_undone() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: a, action: test.keyed, parameters: { label: a }, compensate: { action: test.keyed, parameters: { label: undo a } } }
  - { id: b, action: test.keyed, parameters: { label: b }, compensate: { action: test.keyed, parameters: { label: undo b, seconds: 600 }, timeout: 1h } }
  - { id: end, action: flow.fail, parameters: { message: no, code: NO } }
"#;
        let nebula = world.process();
        let id = world.begin(&nebula, yaml).await;
        let engine = nebula.engine().clone();
        let clock = world.clock.clone();
        let paused = async {
            clock.sleep(Duration::from_secs(60)).await;
            let reason = "a look".to_owned();
            let said = engine.pause(&tenant(), id, reason).await;
            assert!(matches!(said.unwrap(), Signalled::Delivered { .. }));
            engine
                .outcome(&tenant(), id, Until::EndedOrParked, None)
                .await
        };
        let report = with(&nebula, paused).await.unwrap().unwrap();
        assert_eq!(report.status, Status::Paused);
        assert_eq!(world.ledger.labels(), ["a", "b", "undo b"]);
        let said = engine.unpause(&tenant(), id).await;
        assert!(matches!(said.unwrap(), Signalled::Delivered { .. }));
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.status, Status::Failed);
        assert_eq!(world.ledger.labels(), ["a", "b", "undo b", "undo a"]);
    });
}
