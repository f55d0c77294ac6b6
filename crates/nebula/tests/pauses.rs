//! Pauses of executions, over models of every port.

mod world;

use std::time::Duration;

use nebula::{
    Nebula,
    core::{Clock, ExecutionId},
    engine::{Report, Until, Waiting},
    execution::Status,
};
use world::{Death, LONG, Saved, World, dies_at_each, in_world, states, tenant, with};

/// Something that runs for ten seconds, something that waits for twenty, and what follows both.
const FLOW: &str = r#"
nodes:
  - { id: a, action: test.keyed, parameters: { label: a, seconds: 10 } }
  - { id: b, action: test.keyed, parameters: { label: b } }
  - { id: w, action: flow.wait, parameters: { for: 20s } }
  - { id: end, action: data.set, parameters: { got: "{{ $nodes.b.result.label }}" } }
connections:
  - a -> b -> end
  - w -> end
output: "{{ $nodes.end.result }}"
"#;

/// Pauses an execution after five seconds, and waits until it rests.
async fn pause(world: &World, nebula: &Nebula, id: ExecutionId) -> Report {
    world.clock.sleep(Duration::from_secs(5)).await;
    let engine = nebula.engine();
    let _ = engine
        .pause(&tenant(), id, "an audit".to_owned())
        .await
        .unwrap();
    let until = Until::EndedOrParked;
    let report = engine.outcome(&tenant(), id, until, None).await;
    report.unwrap().unwrap()
}

async fn ended(nebula: &Nebula, id: ExecutionId) -> Report {
    let report = nebula
        .engine()
        .outcome(&tenant(), id, Until::Ended, None)
        .await;
    report.unwrap().unwrap()
}

#[test]
fn a_paused_execution_finishes_what_runs_and_rests_without_a_lease() {
    in_world(async |world| {
        let nebula = world.process();
        let id = world.begin(&nebula, FLOW).await;
        let talk = async {
            let report = pause(&world, &nebula, id).await;
            assert_eq!(report.status, Status::Paused);
            assert_eq!(states(&report), "a:succeeded b:ready w:waiting");
            assert!(report.waiting.contains(&Waiting::Unpause));
            assert_eq!((report.leased, report.wake_at), (false, None));
            // The timer of `w` is over, and has not fired.
            world.clock.sleep(LONG).await;
            let report = nebula.engine().report(&tenant(), id).await.unwrap();
            assert_eq!(states(&report.unwrap()), "a:succeeded b:ready w:waiting");
            assert_eq!(world.ledger.labels(), ["a"]);
            let _ = nebula.engine().unpause(&tenant(), id).await.unwrap();
            ended(&nebula, id).await
        };
        let report = with(&nebula, talk).await;
        assert_eq!(report.status, Status::Completed);
        assert_eq!(report.output["got"], "b");
        assert_eq!(world.ledger.labels(), ["a", "b"]);
    });
}

#[test]
fn a_paused_execution_is_cancelled() {
    in_world(async |world| {
        let nebula = world.process();
        let id = world.begin(&nebula, FLOW).await;
        let talk = async {
            pause(&world, &nebula, id).await;
            let engine = nebula.engine();
            let _ = engine
                .cancel(&tenant(), id, "enough".to_owned())
                .await
                .unwrap();
            ended(&nebula, id).await
        };
        let report = with(&nebula, talk).await;
        assert_eq!(report.status, Status::Cancelled);
        assert_eq!(world.ledger.labels(), ["a"]);
    });
}

#[test]
fn the_time_limit_of_a_paused_execution_runs() {
    in_world(async |world| {
        let nebula = world.process();
        let id = world
            .begin(&nebula, &format!("{FLOW}limits: {{ timeout: 10m }}\n"))
            .await;
        let talk = async {
            let report = pause(&world, &nebula, id).await;
            assert_eq!(report.status, Status::Paused);
            assert!(report.wake_at.is_some());
            ended(&nebula, id).await
        };
        assert_eq!(with(&nebula, talk).await.status, Status::TimedOut);
    });
}

#[test]
fn a_pause_that_comes_before_the_holder_is_heard_before_anything_starts() {
    in_world(async |world| {
        // The process that began it has died before it did anything.
        let id = world.begin(&world.process(), FLOW).await;
        world.clock.advance(LONG);
        let nebula = world.process();
        let engine = nebula.engine();
        let _ = engine
            .pause(&tenant(), id, "first".to_owned())
            .await
            .unwrap();
        let talk = async {
            let until = Until::EndedOrParked;
            engine.outcome(&tenant(), id, until, None).await.unwrap()
        };
        let report = with(&nebula, talk).await.unwrap();
        assert_eq!(report.status, Status::Paused);
        assert_eq!(states(&report), "a:ready w:ready");
        assert!(world.ledger.labels().is_empty());
    });
}

#[test]
fn a_crash_at_any_call_keeps_a_pause_and_what_follows_it() {
    let saved = Saved::new(&[FLOW]);
    let live = |death: Death| {
        saved.in_world(async |world| {
            let act = async |nebula: &Nebula| {
                let input = serde_json::Value::Null;
                let id = world.taken_up(nebula, &saved.installed, input).await;
                let talk = async {
                    let paused = pause(&world, nebula, id).await;
                    // After a death it may have ended before.
                    assert!(death.is_some() || paused.status == Status::Paused);
                    // Not longer: every look of the sweep is a call to die at.
                    world.clock.sleep(Duration::from_secs(20)).await;
                    let _ = nebula.engine().unpause(&tenant(), id).await.unwrap();
                    ended(nebula, id).await
                };
                with(nebula, talk).await
            };
            let (report, calls) = world.through(death, act).await;
            for label in ["a", "b"] {
                let mut keys = world.ledger.keys(label);
                keys.dedup();
                assert_eq!(keys.len(), 1, "`{label}` {death:?}");
            }
            let shown = format!("{} {} {}", report.status, report.output, states(&report));
            (shown, calls)
        })
    };
    let expected = r#"completed {"got":"b"} a:succeeded b:succeeded w:succeeded end:succeeded"#;
    dies_at_each(1, &expected.to_owned(), live);
}
