//! Time: signs of life, deadlines, and what is tried again later.

mod world;

use std::time::Duration;

use nebula::{
    action::Progress,
    core::Clock,
    engine::Until,
    execution::{Fact, Status},
    ports::ExecutionRepo,
    telemetry::{EventKind, Received},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use world::{LONG, in_world, states, tenant, with};

#[test]
fn an_attempt_that_gives_signs_of_life_may_take_its_time() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = "nodes: [ { id: a, action: test.once, heartbeat_timeout: 3s, parameters: { label: a, beats: 10 } } ]";
        let mut events = nebula.bus().subscribe();
        let id = world.begin(&nebula, yaml).await;
        assert_eq!(world.finish(&nebula, id).await.status, Status::Completed);
        let mut seen = Vec::new();
        loop {
            match events.next().await {
                Some(Received::Event(event)) => match &event.kind {
                    EventKind::NodeProgress {
                        instance, progress, ..
                    } => {
                        assert_eq!((instance.to_string().as_str(), event.seq), ("a", 0));
                        seen.push(progress.clone());
                    }
                    EventKind::Ended { .. } => break,
                    _ => {}
                },
                other => panic!("{other:?}"),
            }
        }
        let expected: Vec<_> = (1..=10).map(|done| Progress::of(done, 10)).collect();
        assert_eq!(seen, expected);
        let page = world.executions.journal(&tenant(), id, 1, 100).await;
        let entries = page.unwrap().entries;
        assert_eq!(entries.len(), 4, "start, attempt, result, end: {entries:?}");
    });
}

/// What becomes of an action that falls silent after it said twice that it is alive, and how long
/// that takes.
fn silent(action: &str) -> (String, u64, Duration) {
    in_world(async |world| {
        let before = world.clock.monotonic();
        let yaml = format!(
            "nodes: [ {{ id: a, action: {action}, timeout: 1h, heartbeat_timeout: 3s, retry: {{ max_attempts: 2, initial: 1s, jitter: none }}, parameters: {{ label: a, beats: 2, deaf: true }} }} ]"
        );
        let report = world.run(&yaml, Value::Null).await;
        let took = world.clock.monotonic() - before;
        let attempts = report.nodes["a"][0]["attempts"].as_u64().unwrap();
        let code = report.nodes["a"][0]["error"]["code"].clone();
        (
            format!("{} {} {code}", report.status, states(&report)),
            attempts,
            took,
        )
    })
}

#[test]
fn an_attempt_that_falls_silent_is_tried_again_unless_it_acts_once() {
    // Alive at 0 s and 1 s, given up at 4 s; a second later once more.
    for action in ["test.read", "test.keyed"] {
        let (end, attempts, took) = silent(action);
        assert_eq!(end, "failed a:failed \"HEARTBEAT_TIMEOUT\"", "{action}");
        assert_eq!(attempts, 2, "{action}");
        let bounds = Duration::from_secs(9)..Duration::from_secs(10);
        assert!(bounds.contains(&took), "{action}: {took:?}");
    }
    let (end, attempts, _) = silent("test.once");
    assert_eq!(end, "parked a:indeterminate \"HEARTBEAT_TIMEOUT\"");
    assert_eq!(attempts, 1);
}

#[test]
fn an_attempt_knows_when_its_execution_and_its_bodies_are_over() {
    in_world(async |world| {
        let yaml = r#"
limits: { timeout: 1h }
nodes:
  - { id: top, action: test.read, parameters: { label: top, deadline: true } }
  - id: outer
    action: flow.parallel
    parameters: { timeout: 10m }
    body:
      nodes:
        - { id: there, action: test.read, parameters: { label: there, deadline: true } }
        - id: each
          action: flow.for_each
          parameters: { items: [1] }
          body: { nodes: [ { id: deep, action: test.read, parameters: { label: deep, deadline: true } } ] }
        - id: longer
          action: flow.race
          parameters: { timeout: 2h }
          body: { nodes: [ { id: late, action: test.read, parameters: { label: late, deadline: true } } ] }
        - id: shorter
          action: flow.race
          parameters: { timeout: 1m }
          body: { nodes: [ { id: soon, action: test.read, parameters: { label: soon, deadline: true } } ] }
      connections: []
connections: []
"#;
        let began = world.clock.now();
        let report = world.run(yaml, Value::Null).await;
        let after = |span: u64| began.plus(Duration::from_secs(span)).to_string();
        let ten = after(600);
        assert_eq!(
            report.output,
            json!({ "top": after(3_600), "outer": {
                "there": ten, "each": [ten],
                "longer": { "winner": "late", "result": ten },
                "shorter": { "winner": "soon", "result": after(60) },
            } })
        );
    });
}

#[test]
fn the_end_of_an_outer_body_is_the_end_of_all_in_it() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - id: outer
    action: flow.parallel
    on_error: continue
    parameters: { timeout: 10s }
    body:
      nodes:
        - id: inner
          action: flow.race
          parameters: { timeout: 1h }
          body: { nodes: [ { id: hangs, action: test.read, parameters: { label: hangs, hang: true }, retry: { max_attempts: 9 } } ] }
        - { id: later, action: test.read, retry: { max_attempts: 9, initial: 1h }, parameters: { label: later } }
      connections: []
output: "{{ $nodes.outer.error.code }}"
"#;
        world.ledger.fail_next("later", 9);
        let before = world.clock.monotonic();
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(
            (report.status, report.output),
            (Status::Completed, json!("BODY_TIMEOUT"))
        );
        let took = world.clock.monotonic() - before;
        assert!(took < Duration::from_secs(12), "{took:?}");
    });
}

#[test]
fn the_end_of_an_execution_ends_attempts_and_retries() {
    for node in [
        "parameters: { label: a, hang: true }, timeout: 1h",
        "parameters: { label: b }, retry: { max_attempts: 9, initial: 1h }",
    ] {
        in_world(async |world| {
            world.ledger.fail_next("b", 9);
            let yaml = format!(
                "limits: {{ timeout: 20s }}\nnodes: [ {{ id: a, action: test.keyed, {node} }} ]"
            );
            let before = world.clock.monotonic();
            let report = world.run(&yaml, Value::Null).await;
            assert_eq!(report.status, Status::TimedOut, "{node}");
            let took = world.clock.monotonic() - before;
            let bounds = Duration::from_secs(20)..Duration::from_secs(22);
            assert!(bounds.contains(&took), "{node}: {took:?}");
        });
    }
}

#[test]
fn an_error_that_says_when_to_come_again_is_obeyed() {
    in_world(async |world| {
        // Longer than the longest backoff of the node.
        world.ledger.fail_next_for("pay", 2, Some(LONG * 2));
        let yaml = "nodes: [ { id: pay, action: test.keyed, parameters: { label: pay }, retry: { max_attempts: 3, initial: 1s, max: 10s } } ]";
        let before = world.clock.monotonic();
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(report.status, Status::Completed);
        let took = world.clock.monotonic() - before;
        assert!(took >= LONG * 4 && took < LONG * 5, "{took:?}");
    });
}

#[test]
fn only_errors_of_a_class_that_may_pass_are_tried_again() {
    in_world(async |world| {
        let yaml = "nodes: [ { id: a, action: flow.fail, parameters: { message: no }, retry: { max_attempts: 5 } } ]";
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(report.nodes["a"][0]["attempts"], json!(1));
        let yaml = "nodes: [ { id: a, action: test.keyed, timeout: 1s, retry: { max_attempts: 3 }, parameters: { label: a, deaf: true } } ]";
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(report.nodes["a"][0]["attempts"], json!(3));
    });
}

#[test]
fn a_long_backoff_costs_no_lease_and_lives_through_a_restart() {
    in_world(async |world| {
        world.ledger.fail_next("pay", 1);
        let yaml = "nodes: [ { id: pay, action: test.once, parameters: { label: pay }, retry: { max_attempts: 2, initial: 1h, jitter: none } } ]";
        let first = world.process();
        let began = world.clock.now();
        let id = world.begin(&first, yaml).await;
        with(&first, world.clock.sleep(Duration::from_secs(1))).await;
        drop(first);
        let waits = world.executions.get(&tenant(), id).await.unwrap().unwrap();
        assert_eq!((waits.status, waits.leased), (Status::Waiting, false));
        let due = waits.wake_at.unwrap().since(began);
        assert!(
            due >= LONG && due < LONG + Duration::from_secs(1),
            "{due:?}"
        );
        let report = world.finish(&world.process(), id).await;
        assert_eq!(report.status, Status::Completed);
        assert!(world.clock.now().since(began) >= LONG);
        assert_eq!(world.ledger.keys("pay").len(), 1);
        let page = world.executions.journal(&tenant(), id, 1, 100).await;
        let attempts = page.unwrap().entries.into_iter();
        let keys: Vec<_> = attempts
            .filter_map(|stored| match stored.entry.fact {
                Fact::AttemptStarted { key, attempt, .. } => Some((attempt, key)),
                _ => None,
            })
            .collect();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0].1, keys[1].1, "one key for both");
    });
}

#[test]
fn a_cancellation_is_heard_through_the_context() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = "nodes: [ { id: a, action: test.once, parameters: { label: a, hang: true } } ]";
        let id = world.begin(&nebula, yaml).await;
        let (tenant, engine) = (tenant(), nebula.engine());
        let report = async {
            world.clock.sleep(Duration::from_secs(1)).await;
            let _ = engine
                .cancel(&tenant, id, "enough".to_owned())
                .await
                .unwrap();
            engine.outcome(&tenant, id, Until::Ended, None).await
        };
        let report = tokio::select! {
            biased;
            _ = nebula.run(CancellationToken::new()) => unreachable!(),
            report = report => report.unwrap().unwrap(),
        };
        assert_eq!(report.nodes["a"][0]["error"]["code"], "TEST_STOPPED");
    });
}
