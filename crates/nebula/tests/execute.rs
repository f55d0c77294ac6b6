//! Starting an execution and waiting for its end in one call.

mod world;

use std::time::Duration;

use futures_util::FutureExt;
use nebula::{
    ExecuteError,
    engine::StartError,
    execution::{StartOptions, Status},
    ports::{ErrorKind, ExecutionFilter},
    runtime::WorkerConfig,
};
use nebula_core::Clock;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use world::{LONG, in_world, tenant, with};

/// What only computes.
const PURE: &str = "nodes: [ { id: a, action: test.pure, parameters: { label: a } } ]";

#[test]
fn the_end_comes_from_the_worker_without_a_look_into_the_store() {
    in_world(async |world| {
        let mortal = world.mortal(None);
        let nebula = world.process_over(mortal.clone());
        let yaml = "id: sum\nnodes: [ { id: a, action: data.set, parameters: { n: \"{{ $input.n + 1 }}\" } } ]";
        let installed = world.install(&nebula, yaml).await;
        with(&nebula, async {
            let (tenant, options) = (tenant(), StartOptions::default());
            let executed = nebula.execute(&tenant, &installed, json!({ "n": 41 }), options);
            let (id, end) = executed.await.unwrap();
            assert_eq!(end.status, Status::Completed);
            assert_eq!(*end.output.unwrap(), json!({ "n": 42 }));
            // It is created with its one step, and the sweep has looked for work once.
            assert_eq!((mortal.calls(), mortal.steps()), (2, 1));
            let report = nebula.engine().report(&tenant, id).await.unwrap();
            assert_eq!(report.unwrap().status, Status::Completed);
        })
        .await;
    });
}

#[test]
fn an_end_that_is_no_result_says_why() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml =
            "id: broken\nnodes: [ { id: a, action: flow.fail, parameters: { message: no } } ]";
        let installed = world.install(&nebula, yaml).await;
        with(&nebula, async {
            let (tenant, options) = (tenant(), StartOptions::default());
            let executed = nebula.execute(&tenant, &installed, json!({}), options);
            let (_, end) = executed.await.unwrap();
            assert_eq!((end.status, end.output), (Status::Failed, None));
            let failure = end.failure.unwrap();
            assert_eq!(failure.node.unwrap().as_str(), "a");
        })
        .await;
    });
}

/// How many steps an execution of `yaml` writes that somebody waits for, its creation included.
fn steps(yaml: &str) -> u32 {
    in_world(async |world| {
        let counted = world.mortal(None);
        let nebula = world.process_over(counted.clone());
        let installed = world.install(&nebula, yaml).await;
        let (tenant, options) = (tenant(), StartOptions::default());
        let executed = nebula.execute(&tenant, &installed, Value::Null, options);
        let (id, end) = with(&nebula, executed).await.unwrap();
        assert_eq!(end.status, Status::Completed);
        let report = nebula.engine().report(&tenant, id).await.unwrap();
        assert_eq!(report.unwrap().status, Status::Completed);
        counted.steps()
    })
}

#[test]
fn an_execution_is_created_by_the_first_step_that_it_needs() {
    let flow = |nodes: &str| {
        format!("nodes: [ {{ id: p, action: test.pure, parameters: {{ label: p }} }}, {nodes} ]")
    };
    let read = flow("{ id: r, action: test.read, parameters: { label: r } }");
    assert_eq!(
        steps(&read),
        2,
        "before the first look outside, and the end"
    );
    let once = flow("{ id: o, action: test.once, parameters: { label: o } }");
    assert_eq!(
        steps(&once),
        2,
        "with the start of the attempt, and the end"
    );
    let waits = flow("{ id: w, action: flow.wait, parameters: { for: 1m } }");
    assert_eq!(steps(&waits), 2, "to sleep, and the end");
    let long = flow("{ id: l, action: test.pure, parameters: { label: l, busy: 0.2 } }");
    assert_eq!(
        steps(&long),
        2,
        "when it has computed for long, and the end"
    );
}

#[test]
fn nothing_outside_begins_before_its_execution_exists() {
    for action in ["test.read", "test.idempotent", "test.keyed", "test.once"] {
        in_world(async |world| {
            let nebula = world.process();
            let yaml = format!(
                "nodes: [ {{ id: a, action: {action}, parameters: {{ label: a, seconds: 5 }} }} ]"
            );
            let installed = world.install(&nebula, &yaml).await;
            let (tenant, options) = (tenant(), StartOptions::default());
            let executed = nebula.execute(&tenant, &installed, Value::Null, options);
            let looks = async {
                world.clock.sleep(Duration::from_secs(2)).await;
                let open = nebula.engine().unfinished(&tenant).await.unwrap();
                assert_eq!((open.len(), open[0].leased), (1, true), "{action}");
            };
            let (executed, ()) =
                with(&nebula, Box::pin(async { tokio::join!(executed, looks) })).await;
            assert_eq!(executed.unwrap().1.status, Status::Completed);
        });
    }
}

#[test]
fn a_store_without_room_refuses_the_start_and_the_worker_goes_on() {
    in_world(async |world| {
        let store = world.mortal(None);
        let config = WorkerConfig {
            stop_on_store_failure: true,
            ..WorkerConfig::default()
        };
        let nebula = world.process_with(store.clone(), config);
        let installed = world.install(&nebula, PURE).await;
        let tenant = tenant();
        store.full_for(&world.clock, Duration::from_secs(5), None);
        with(&nebula, async {
            let execute =
                || nebula.execute(&tenant, &installed, Value::Null, StartOptions::default());
            match execute().await {
                Err(ExecuteError::Start(StartError::Store(error))) => {
                    assert_eq!(error.kind, ErrorKind::Full);
                }
                other => panic!("{other:?}"),
            }
            let open = nebula.engine().unfinished(&tenant).await.unwrap();
            assert!(open.is_empty(), "{open:?}");
            world.clock.sleep(Duration::from_secs(6)).await;
            assert_eq!(execute().await.unwrap().1.status, Status::Completed);
        })
        .await;
    });
}

/// What the store has not taken may not exist later: nothing outside may have heard of it.
#[test]
fn what_the_store_does_not_take_does_nothing_outside() {
    for action in ["test.read", "test.idempotent", "test.keyed", "test.once"] {
        in_world(async |world| {
            let store = world.mortal(None);
            let nebula = world.process_over(store.clone());
            let yaml =
                format!("nodes: [ {{ id: a, action: {action}, parameters: {{ label: a }} }} ]");
            let installed = world.install(&nebula, &yaml).await;
            // It takes its time to say so.
            store.answer_step_after(&world.clock, Duration::from_secs(2));
            store.full_for(&world.clock, LONG, None);
            let (tenant, options) = (tenant(), StartOptions::default());
            let executed = nebula.execute(&tenant, &installed, Value::Null, options);
            let refused = with(&nebula, executed).await;
            assert!(
                matches!(refused, Err(ExecuteError::Start(StartError::Store(_)))),
                "{action}: {refused:?}"
            );
            assert!(world.ledger.labels().is_empty(), "{action}");
        });
    }
}

#[test]
fn where_the_worker_has_no_room_a_start_takes_its_turn() {
    in_world(async |world| {
        let config = WorkerConfig {
            executions: 1,
            ..WorkerConfig::default()
        };
        let nebula = world.process_with(world.executions.clone(), config);
        let slow = "nodes: [ { id: a, action: test.once, parameters: { label: a, seconds: 5 } } ]";
        let (slow, pure) = (
            world.install(&nebula, slow).await,
            world.install(&nebula, PURE).await,
        );
        let tenant = tenant();
        let execute =
            |installed| nebula.execute(&tenant, installed, Value::Null, StartOptions::default());
        let waits = async {
            world.clock.sleep(Duration::from_secs(1)).await;
            let begun = tokio::join!(execute(&pure), execute(&pure));
            let took = world.clock.monotonic();
            assert!(took >= Duration::from_secs(5), "{took:?}");
            begun
        };
        let all = Box::pin(async { tokio::join!(execute(&slow), waits) });
        let (first, (second, third)) = with(&nebula, all).await;
        for executed in [first, second, third] {
            assert_eq!(executed.unwrap().1.status, Status::Completed);
        }
    });
}

#[test]
fn a_start_that_comes_while_the_worker_stops_is_left_to_others() {
    in_world(async |world| {
        let (nebula, second) = (world.process(), world.process());
        let slow = "nodes: [ { id: a, action: test.once, parameters: { label: a, seconds: 4 } } ]";
        let (slow, pure) = (
            world.install(&nebula, slow).await,
            world.install(&nebula, PURE).await,
        );
        let (tenant, shutdown) = (tenant(), CancellationToken::new());
        let execute =
            |installed| nebula.execute(&tenant, installed, Value::Null, StartOptions::default());
        let stops = async {
            world.clock.sleep(Duration::from_secs(1)).await;
            shutdown.cancel();
        };
        let late = async {
            world.clock.sleep(Duration::from_secs(2)).await;
            execute(&pure).await
        };
        let goes_on = async {
            nebula.run(shutdown.clone()).await.unwrap();
            assert_eq!(world.clock.monotonic(), Duration::from_secs(4));
            let open = nebula.engine().unfinished(&tenant).await.unwrap();
            assert_eq!(open.len(), 2, "what came late is there, and not driven");
            with(&second, world.clock.sleep(LONG)).await;
        };
        let (first, late, (), ()) = tokio::join!(execute(&slow), late, stops, goes_on);
        for executed in [first, late] {
            assert_eq!(executed.unwrap().1.status, Status::Completed);
        }
    });
}

#[test]
fn what_a_worker_has_not_begun_when_it_is_dropped_is_created_all_the_same() {
    in_world(async |world| {
        let (first, second) = (world.process(), world.process());
        let installed = world.install(&first, PURE).await;
        let (tenant, options) = (tenant(), StartOptions::default());
        let mut run = Box::pin(first.run(CancellationToken::new()));
        assert!((&mut run).now_or_never().is_none());
        let mut executed = Box::pin(first.execute(&tenant, &installed, Value::Null, options));
        assert!((&mut executed).now_or_never().is_none());
        drop(run);
        let (_, end) = with(&second, executed).await.unwrap();
        assert_eq!(end.status, Status::Completed);
    });
}

#[test]
fn who_no_longer_waits_has_started_it() {
    in_world(async |world| {
        let nebula = world.process();
        let installed = world.install(&nebula, PURE).await;
        let (tenant, options) = (tenant(), StartOptions::default());
        let mut run = Box::pin(nebula.run(CancellationToken::new()));
        assert!((&mut run).now_or_never().is_none());
        let mut executed = Box::pin(nebula.execute(&tenant, &installed, Value::Null, options));
        assert!((&mut executed).now_or_never().is_none());
        drop(executed);
        assert!((&mut run).now_or_never().is_none());
        let all = ExecutionFilter::default();
        let all = nebula.engine().list(&tenant, &all, None, 10).await.unwrap();
        let statuses: Vec<_> = all.items.iter().map(|it| it.status).collect();
        assert_eq!(statuses, [Status::Completed]);
    });
}

#[test]
fn an_end_that_another_process_wrote_is_found() {
    in_world(async |world| {
        let (first, second) = (world.process(), world.process());
        let yaml = "id: slow\nnodes: [ { id: w, action: flow.wait, parameters: { for: 1m } }, { id: a, action: data.set, parameters: { n: 7 } } ]";
        let installed = world.install(&first, yaml).await;
        let options = StartOptions::default();
        let tenant = tenant();
        let executed = first.execute(&tenant, &installed, json!({}), options);
        // The first one never works: its lease expires, and the other one takes it over.
        let (_, end) = with(&second, executed).await.unwrap();
        assert_eq!(*end.output.unwrap(), json!({ "n": 7 }));
        assert!(world.clock.monotonic() >= Duration::from_secs(60));
    });
}

#[test]
fn what_is_not_started_is_not_waited_for() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = "id: strict\ninput: { type: object, required: [n] }\nnodes: [ { id: a, action: data.set, parameters: { n: 1 } } ]";
        let installed = world.install(&nebula, yaml).await;
        let options = StartOptions::default();
        let refused = nebula
            .execute(&tenant(), &installed, json!({}), options)
            .await;
        assert!(
            matches!(refused, Err(ExecuteError::Start(_))),
            "{refused:?}"
        );
    });
}

#[test]
fn what_is_started_without_a_worker_is_driven_by_another_process() {
    in_world(async |world| {
        let starter = world.starter();
        let installed = world.install(&starter, PURE).await;
        let id = world.start(&starter, &installed).await;
        let stop = CancellationToken::new();
        tokio::select! {
            biased;
            ended = starter.drive(stop.clone()) => panic!("{ended:?}"),
            () = world.clock.sleep(LONG) => {}
        }
        let alone = starter.engine().report(&tenant(), id).await;
        assert_eq!(alone.unwrap().unwrap().status, Status::Queued);
        stop.cancel();
        starter.drive(stop).await.unwrap();
        let worker = world.process();
        with(&worker, async {
            let (tenant, options) = (tenant(), StartOptions::default());
            let until = nebula::engine::Until::Ended;
            let outcome = starter.engine().outcome(&tenant, id, until, None).await;
            assert_eq!(outcome.unwrap().unwrap().status, Status::Completed);
            let begun = world.clock.monotonic();
            let executed = starter.execute(&tenant, &installed, json!({}), options);
            let (_, end) = executed.await.unwrap();
            assert_eq!(end.status, Status::Completed);
            // Until the sweep of the worker finds it; a lease would have to expire first.
            let took = world.clock.monotonic() - begun;
            assert!(took <= Duration::from_secs(2), "{took:?}");
            let begun = world.clock.monotonic();
            let again = nebula::execution::Again::Restart { from: None };
            let again = starter.again(&tenant, id, again).await.unwrap();
            let report = starter.engine().outcome(&tenant, again, until, None).await;
            assert_eq!(report.unwrap().unwrap().status, Status::Completed);
            let took = world.clock.monotonic() - begun;
            assert!(took <= Duration::from_secs(2), "{took:?}");
        })
        .await;
    });
}
