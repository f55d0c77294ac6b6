//! Retries and restarts of ended executions, over models of every port.

mod world;

use nebula::{
    Nebula,
    core::{Clock, ExecutionId, Timestamp},
    engine::{Report, StartAgainError},
    execution::{Again, AgainError, Status},
    ports::ExecutionRepo,
};
use serde_json::{Value, json};
use world::{LONG, World, in_world, states, tenant};

const ORDER: &str = r#"
nodes:
  - { id: fetch, action: test.read, parameters: { label: fetch } }
  - { id: pay, action: test.keyed, parameters: { label: pay } }
  - { id: ship, action: test.keyed, parameters: { label: ship } }
  - { id: thank, action: data.set, parameters: { at: "{{ $now.toISO() }}", by: "{{ $nodes.ship.result.label }}" } }
"#;

fn from(node: &str) -> Again {
    Again::Restart {
        from: Some(node.parse().unwrap()),
    }
}

async fn again(world: &World, nebula: &Nebula, of: &Report, how: Again) -> Report {
    let id = nebula.again(&tenant(), of.execution, how).await.unwrap();
    world.finish(nebula, id).await
}

async fn refused(nebula: &Nebula, of: ExecutionId, how: Again) -> StartAgainError {
    nebula.again(&tenant(), of, how).await.unwrap_err()
}

#[test]
fn a_retry_goes_on_after_what_succeeded_under_the_same_keys() {
    in_world(async |world| {
        world.ledger.fail_next("ship", 2);
        let failed = world.run(ORDER, Value::Null).await;
        assert_eq!(failed.status, Status::Failed);
        let nebula = world.process();
        let twice = again(&world, &nebula, &failed, Again::Retry).await;
        assert_eq!(twice.status, Status::Failed);
        world.clock.advance(LONG);
        let done = again(&world, &nebula, &twice, Again::Retry).await;
        assert_eq!(done.status, Status::Completed, "{done:?}");
        assert_eq!(done.output["by"], "ship");
        assert_eq!(world.ledger.labels(), ["fetch", "pay", "ship"]);
        let before = done.again.as_ref().unwrap();
        assert_eq!((before.of, &*before.how), (twice.execution, "retry"));
        assert_eq!(before.origin, Some(failed.execution));
        // What is seen of a node that was kept is what it was.
        assert_eq!(done.nodes["pay"], failed.nodes["pay"]);
        // The failed one stays what it is.
        let old = nebula.engine().report(&tenant(), failed.execution).await;
        assert_eq!(old.unwrap().unwrap(), failed);
    });
}

#[test]
fn an_attempt_whose_reply_was_lost_is_repeated_with_its_key() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: pay, action: test.keyed, parameters: { label: pay, seconds: 20 }, timeout: 5s }
"#;
        let failed = world.run(yaml, Value::Null).await;
        assert_eq!(failed.status, Status::Failed);
        let nebula = world.process();
        again(&world, &nebula, &failed, Again::Retry).await;
        let keys = world.ledger.keys("pay");
        assert_eq!(keys.len(), 2);
        assert_eq!(
            keys[0], keys[1],
            "the receiver can tell that it is the same payment"
        );
        again(&world, &nebula, &failed, from("pay")).await;
        let keys = world.ledger.keys("pay");
        assert_ne!(keys[1], keys[2], "a person wants another payment");
    });
}

#[test]
fn an_effect_that_may_have_happened_is_asked_about_and_not_repeated() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: pay, action: test.once, parameters: { label: pay, seconds: 20 }, timeout: 5s, on_indeterminate: fail }
"#;
        let failed = world.run(yaml, Value::Null).await;
        assert_eq!(failed.status, Status::Failed);
        let parked = again(&world, &world.process(), &failed, Again::Retry).await;
        assert_eq!(parked.status, Status::Parked);
        assert_eq!(states(&parked), "pay:indeterminate");
        assert_eq!(world.ledger.labels(), ["pay"]);
    });
}

const ORDERS: &str = r#"
nodes:
  - id: each
    action: flow.for_each
    concurrency: 1
    parameters: { items: [1, 2, 3] }
    body:
      nodes:
        - { id: pay, action: test.once, parameters: { label: "pay {{ $item }}" } }
        - id: ship
          action: flow.loop
          parameters: { times: 2 }
          body: { nodes: [ { id: pack, action: test.keyed, parameters: { label: "pack {{ $item }} {{ $loop.index }}" } } ] }
"#;

#[test]
fn a_retry_keeps_what_succeeded_in_bodies() {
    in_world(async |world| {
        world.ledger.fail_next("pack 2 1", 1);
        let failed = world.run(ORDERS, Value::Null).await;
        assert_eq!(failed.status, Status::Failed);
        let nebula = world.process();
        let done = again(&world, &nebula, &failed, Again::Retry).await;
        assert_eq!(done.status, Status::Completed, "{done:?}");
        assert_eq!(
            world.ledger.labels(),
            [
                "pay 1", "pack 1 0", "pack 1 1", "pay 2", "pack 2 0", "pack 2 1", "pay 3",
                "pack 3 0", "pack 3 1"
            ],
            "each once"
        );
    });
}

#[test]
fn whoever_asks_for_a_retry_drives_it_with_the_lease_of_its_creation() {
    in_world(async |world| {
        world.ledger.fail_next("ship", 1);
        let failed = world.run(ORDER, Value::Null).await;
        let nebula = world.process();
        let done = again(&world, &nebula, &failed, Again::Retry).await;
        assert_eq!(done.status, Status::Completed);
        let journal = world
            .executions
            .journal(&tenant(), done.execution, 1, 1_000)
            .await
            .unwrap();
        let mut epochs: Vec<_> = journal.entries.iter().map(|it| it.epoch).collect();
        epochs.dedup();
        assert_eq!(epochs, [0, 1]);
    });
}

#[test]
fn a_restart_runs_a_node_and_all_that_follows_once_more() {
    in_world(async |world| {
        let done = world.run(ORDER, Value::Null).await;
        assert_eq!(done.status, Status::Completed);
        let nebula = world.process();
        world.clock.advance(LONG);
        let before = world.clock.now();
        let once_more = again(&world, &nebula, &done, from("ship")).await;
        assert_eq!(once_more.status, Status::Completed);
        assert_eq!(world.ledger.labels(), ["fetch", "pay", "ship", "ship"]);
        let keys = world.ledger.keys("ship");
        assert_ne!(keys[0], keys[1]);
        let at: Timestamp = once_more.output["at"].as_str().unwrap().parse().unwrap();
        assert!(at >= before, "{at}");
        let whole = again(&world, &nebula, &once_more, Again::Restart { from: None }).await;
        assert_eq!(whole.status, Status::Completed);
        assert_eq!(world.ledger.labels()[4..], ["fetch", "pay", "ship"]);
        let keys = world.ledger.keys("pay");
        assert_ne!(keys[0], keys[1]);
    });
}

#[test]
fn items_that_were_paid_are_not_paid_again() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: pay, action: test.once, for_each: "[1, 2, 3, 4]", concurrency: 1, parameters: { label: "p{{ $item }}" } }
"#;
        world.ledger.fail_next("p3", 1);
        let failed = world.run(yaml, Value::Null).await;
        assert_eq!(failed.status, Status::Failed);
        let done = again(&world, &world.process(), &failed, Again::Retry).await;
        assert_eq!(done.status, Status::Completed, "{done:?}");
        assert_eq!(world.ledger.labels(), ["p1", "p2", "p3", "p4"]);
        let labels: Vec<_> = done
            .output
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["label"])
            .collect();
        assert_eq!(labels, ["p1", "p2", "p3", "p4"]);
    });
}

#[test]
fn a_restarted_wait_waits_its_whole_time() {
    in_world(async |world| {
        let yaml = "nodes: [ { id: w, action: flow.wait, parameters: { for: 1h } } ]";
        let done = world.run(yaml, Value::Null).await;
        let before = world.clock.now();
        let once_more = again(&world, &world.process(), &done, from("w")).await;
        assert_eq!(once_more.status, Status::Completed);
        assert!(world.clock.now().since(before) >= LONG);
    });
}

#[test]
fn what_has_not_ended_and_what_did_not_fail_is_refused() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = "nodes: [ { id: w, action: flow.wait, parameters: { signal: go } } ]";
        let id = world.begin(&nebula, yaml).await;
        let waits = world.finish(&nebula, id).await;
        assert_eq!(waits.status, Status::Waiting);
        let error = refused(&nebula, id, from("w")).await;
        let open = AgainError::NotEnded { execution: id };
        assert!(matches!(error, StartAgainError::Refused(error) if error == open));
        let done = world.run(ORDER, Value::Null).await;
        let error = refused(&nebula, done.execution, Again::Retry).await;
        assert!(
            error.to_string().contains("nothing of it failed"),
            "{error}"
        );
        let error = refused(&nebula, done.execution, from("shop")).await;
        let StartAgainError::Refused(AgainError::UnknownNode { near, .. }) = error else {
            panic!("{error}");
        };
        assert_eq!(near.as_deref(), Some("ship"));
        let nobody = ExecutionId::from_bytes([3; 16]);
        let error = refused(&nebula, nobody, Again::Retry).await;
        assert!(matches!(error, StartAgainError::Unknown(id) if id == nobody));
        assert_eq!(json!(done.again), json!(null));
    });
}
