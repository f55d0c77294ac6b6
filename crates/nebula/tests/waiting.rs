//! What is said of executions that wait, and of moments that are over.

mod world;

use std::time::Duration;

use nebula::{
    core::Clock,
    engine::{EngineConfig, Until, Waiting},
    execution::{Fact, Status},
    ports::ExecutionRepo,
};
use serde_json::{Value, json};
use world::{LONG, World, in_world, tenant, with};

const RETRIED: &str = r#"
nodes:
  - id: flaky
    action: test.keyed
    parameters: { label: flaky }
    retry: { max_attempts: 3, backoff: fixed, initial: 1h, max: 1h, jitter: none }
"#;

#[test]
fn a_retry_that_is_due_later_is_told_from_a_wait() {
    in_world(async |world| {
        world.ledger.fail_next("flaky", 1);
        let nebula = world.process();
        let id = world.begin(&nebula, RETRIED).await;
        let engine = nebula.engine();
        let (tenant, shutdown) = (tenant(), Default::default());
        let look = async {
            world.clock.sleep(LONG / 2).await;
            let report = engine.report(&tenant, id).await.unwrap().unwrap();
            assert_eq!(report.status, Status::Waiting);
            let [
                Waiting::Retry {
                    instance,
                    due,
                    attempts,
                    reason,
                },
            ] = &report.waiting[..]
            else {
                panic!("{:?}", report.waiting);
            };
            assert_eq!((instance.as_str(), *attempts), ("flaky", 1));
            assert_eq!(*due, report.wake_at.unwrap().to_string());
            assert_eq!(
                reason.as_deref(),
                Some("the test wants this attempt to fail")
            );
        };
        tokio::select! {
            biased;
            stopped = nebula.run(shutdown) => panic!("the worker stopped: {stopped:?}"),
            () = look => {}
        }
        let report = world.finish(&nebula, id).await;
        assert_eq!(
            (report.status, report.waiting.len()),
            (Status::Completed, 0)
        );
    });
}

#[test]
fn items_that_are_tried_again_are_named() {
    in_world(async |world| {
        let yaml = RETRIED.replace("label: flaky", "label: \"p{{ $item }}\"")
            + "    for_each: \"[1, 2]\"\n";
        world.ledger.fail_next("p2", 1);
        let nebula = world.process();
        let id = world.begin(&nebula, &yaml).await;
        let look = async {
            world.clock.sleep(LONG / 2).await;
            let report = nebula.engine().report(&tenant(), id).await;
            let report = report.unwrap().unwrap();
            let [Waiting::Retry { instance, .. }] = &report.waiting[..] else {
                panic!("{:?}", report.waiting);
            };
            assert_eq!(instance, "flaky[1]");
        };
        tokio::select! {
            biased;
            stopped = nebula.run(Default::default()) => panic!("the worker stopped: {stopped:?}"),
            () = look => {}
        }
    });
}

#[test]
fn every_moment_of_a_replay_is_one_that_was() {
    in_world(async |world| {
        world.ledger.fail_next("flaky", 2);
        let report = world.run(RETRIED, Value::Null).await;
        let nebula = world.process();
        let tenant = tenant();
        let mut replay = nebula.engine().replay(&tenant, report.execution);
        assert!(replay.moment().await.is_none());
        let (mut statuses, mut last) = (Vec::new(), None);
        while let Some(step) = replay.step().await.unwrap() {
            let moment = replay.moment().await.unwrap();
            assert_eq!(moment.at, step.entry.seq);
            if matches!(step.entry.entry.fact, Fact::AttemptFailed { .. }) {
                assert!(matches!(moment.waiting[..], [Waiting::Retry { .. }]));
            }
            statuses.push(moment.status.as_str());
            last = Some(moment);
        }
        // Begun; three times started and ended; the end.
        let between = [
            "running", "waiting", "running", "waiting", "running", "running",
        ];
        assert_eq!(statuses[0], "running");
        assert_eq!(statuses[1..7], between);
        assert_eq!(statuses[7..], ["completed"]);
        let last = last.unwrap();
        assert_eq!(last.nodes, report.nodes);
        assert_eq!(last.output, json!({ "label": "flaky", "attempt": 3 }));
    });
}

/// Where an execution stands when its caller is told of it.
async fn told(world: &World, engine: EngineConfig, yaml: &str) -> Status {
    let nebula = world.process_with_engine(engine);
    let id = world.begin(&nebula, yaml).await;
    let tenant = tenant();
    let waited = nebula
        .engine()
        .wait(&tenant, id, Until::EndedOrParked, None);
    with(&nebula, waited).await.unwrap().unwrap()
}

#[test]
fn what_is_near_enough_to_wait_for_is_configured() {
    in_world(async |world| {
        let near = |expiry_is_near, signal_is_near| EngineConfig {
            expiry_is_near,
            signal_is_near,
            ..EngineConfig::default()
        };
        let (short, long) = (Duration::from_secs(1), LONG * 2);
        let asks = "nodes: [ { id: s, action: flow.approval, parameters: { expires: 1h, default: reject } } ]";
        assert_eq!(told(&world, near(short, long), asks).await, Status::Waiting);
        assert_eq!(
            told(&world, near(long, short), asks).await,
            Status::Completed
        );
        let listens = "nodes: [ { id: s, action: flow.wait, on_error: continue, parameters: { signal: go, timeout: 30m } } ]";
        assert_eq!(
            told(&world, near(short, short), listens).await,
            Status::Waiting
        );
        assert_eq!(
            told(&world, near(short, long), listens).await,
            Status::Completed
        );
    });
}

#[test]
fn a_wait_counts_from_when_its_node_was_ready() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = "nodes: [ { id: w, action: flow.wait, parameters: { for: 30m } } ]";
        let id = world.begin(&nebula, yaml).await;
        drop(nebula);
        // Longer than the wait: nobody drives it.
        world.clock.sleep(Duration::from_hours(1)).await;
        let before = world.clock.monotonic();
        let nebula = world.process();
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.status, Status::Completed);
        let took = world.clock.monotonic() - before;
        assert!(took < Duration::from_mins(30), "{took:?}");
    });
}

#[test]
fn who_has_nothing_to_do_is_not_rung_for() {
    in_world(async |world| {
        let mortal = world.mortal(None);
        let nebula = world.process_over(mortal.clone());
        let yaml = "nodes: [ { id: w, action: flow.wait, parameters: { for: 1h } } ]";
        let id = world.begin(&nebula, yaml).await;
        with(&nebula, world.clock.sleep(Duration::from_secs(1))).await;
        let summary = world.executions.get(&tenant(), id).await;
        assert_eq!(summary.unwrap().unwrap().status, Status::Waiting);
        // It is created and put to rest, and the sweep looks for work twice.
        assert_eq!((mortal.calls(), mortal.steps()), (4, 1));
    });
}
