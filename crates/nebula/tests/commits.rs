//! When the worker commits, and what it does when the store takes nothing.

mod world;

use std::{sync::Arc, time::Duration};

use nebula::{
    Nebula,
    core::Clock,
    execution::{StartOptions, Status},
    ports::{ErrorKind, ExecutionRepo},
    runtime::{WorkerConfig, WorkerStopped},
};
use nebula_testkit::run_timed;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use world::{LONG, Mortal, World, tenant};

/// How many steps an execution of `yaml` writes.
fn steps(yaml: String) -> u32 {
    let world = World::default();
    let inside = world.clone();
    run_timed(&world.clock.clone(), async move {
        let executions: Arc<dyn ExecutionRepo> = inside.executions.clone();
        let counted = Mortal::new(executions, 0, false);
        let nebula = inside.process_over(counted.clone());
        let installed = inside.install(&nebula, &yaml).await;
        let id = inside.start(&nebula, &installed).await;
        assert_eq!(inside.finish(&nebula, id).await.status, Status::Completed);
        counted.steps()
    })
}

#[test]
fn pure_work_that_takes_long_is_committed_on_the_way() {
    let chain = |busy: f64| {
        let node = |i| {
            format!(
                "{{ id: n{i}, action: test.pure, parameters: {{ label: n{i}, busy: {busy} }} }}"
            )
        };
        let nodes: Vec<_> = (0..10).map(node).collect();
        format!("nodes: [ {} ]", nodes.join(", "))
    };
    assert_eq!(steps(chain(0.0)), 1, "the chain and its end");
    // The first entry is as old as the limit once two more nodes have run.
    assert_eq!(steps(chain(0.05)), 4, "after every third node, and the end");
}

/// A process that stops when its store fails, over a store that may have no room.
fn strict(world: &World) -> (Nebula, Arc<Mortal>) {
    let executions: Arc<dyn ExecutionRepo> = world.executions.clone();
    let store = Mortal::new(executions, 0, false);
    let config = WorkerConfig {
        stop_on_store_failure: true,
        ..WorkerConfig::default()
    };
    (world.process_with(store.clone(), config), store)
}

const TWO_EFFECTS: &str = "nodes: [ { id: a, action: test.once, parameters: { label: a } }, { id: b, action: test.once, parameters: { label: b } } ]";

#[test]
fn a_store_that_is_given_room_in_time_holds_what_was_decided() {
    let world = World::default();
    let inside = world.clone();
    run_timed(&world.clock.clone(), async move {
        let (nebula, store) = strict(&inside);
        let installed = inside.install(&nebula, TWO_EFFECTS).await;
        let id = inside.start(&nebula, &installed).await;
        store.full_for(&inside.clock, Duration::from_secs(5), None);
        // It panics if the worker stops.
        assert_eq!(inside.finish(&nebula, id).await.status, Status::Completed);
        assert_eq!(inside.ledger.labels(), ["a", "b"]);
    });
}

#[test]
fn a_store_that_stays_full_ends_the_drive_before_its_lease_does() {
    let world = World::default();
    let inside = world.clone();
    run_timed(&world.clock.clone(), async move {
        let (nebula, store) = strict(&inside);
        let installed = inside.install(&nebula, TWO_EFFECTS).await;
        let _ = inside.start(&nebula, &installed).await;
        store.full_for(&inside.clock, LONG, None);
        let before = inside.clock.monotonic();
        match nebula.run(CancellationToken::new()).await {
            Err(WorkerStopped::Store(error)) => assert_eq!(error.kind, ErrorKind::Full),
            other => panic!("{other:?}"),
        }
        let took = inside.clock.monotonic() - before;
        let config = WorkerConfig::default();
        let bound = config.lease_ttl - config.lease_margin;
        assert!(took > bound / 2 && took < bound, "{took:?}");
        assert!(inside.ledger.labels().is_empty(), "nothing was committed");
    });
}

#[test]
fn a_worker_that_stops_for_its_store_lets_the_attempts_of_others_finish() {
    let world = World::default();
    let inside = world.clone();
    run_timed(&world.clock.clone(), async move {
        let (nebula, store) = strict(&inside);
        let slow =
            "nodes: [ { id: slow, action: test.once, parameters: { label: slow, seconds: 11 } } ]";
        let slow = inside.install(&nebula, slow).await;
        let slow = inside.start(&nebula, &slow).await;
        let other = inside.install(&nebula, TWO_EFFECTS).await;
        let other = inside.start(&nebula, &other).await;
        store.full_for(&inside.clock, LONG, Some(other));
        let stopped = nebula.run(CancellationToken::new()).await;
        assert!(
            matches!(stopped, Err(WorkerStopped::Store(_))),
            "{stopped:?}"
        );
        // Cut off, the attempt would need a person: nobody could say whether it happened.
        let report = inside.finish(&inside.process(), slow).await;
        assert_eq!(report.status, Status::Completed);
        assert_eq!(inside.ledger.labels(), ["slow"]);
    });
}

#[test]
fn large_results_are_committed_in_several_steps() {
    let nodes: Vec<_> = (0..6)
        .map(|i| format!("{{ id: n{i}, action: data.set, parameters: {{ x: \"{{{{ 'y'.repeat(400000) }}}}\" }} }}"))
        .collect();
    let world = World::default();
    let inside = world.clone();
    run_timed(&world.clock.clone(), async move {
        let executions: Arc<dyn ExecutionRepo> = inside.executions.clone();
        let counted = Mortal::new(executions, 0, false);
        let nebula = inside.process_over(counted.clone());
        let installed = inside
            .install(&nebula, &format!("nodes: [ {} ]", nodes.join(", ")))
            .await;
        let id = nebula
            .start(&tenant(), &installed, Value::Null, StartOptions::default())
            .await
            .unwrap();
        assert_eq!(inside.finish(&nebula, id).await.status, Status::Completed);
        assert_eq!(counted.steps(), 3, "two of a megabyte, and the end");
    });
}

#[test]
fn a_locally_started_chain_costs_two_commits() {
    let world = World::default();
    let inside = world.clone();
    run_timed(&world.clock.clone(), async move {
        let executions: Arc<dyn ExecutionRepo> = inside.executions.clone();
        let counted = Mortal::new(executions, 0, false);
        let nebula = inside.process_over(counted.clone());
        let nodes: Vec<_> = (0..10)
            .map(|i| format!("{{ id: n{i}, action: data.set, parameters: {{ n: {i} }} }}"))
            .collect();
        let installed = inside
            .install(&nebula, &format!("nodes: [ {} ]", nodes.join(", ")))
            .await;
        let id = nebula
            .start(&tenant(), &installed, Value::Null, StartOptions::default())
            .await
            .unwrap();
        inside.finish(&nebula, id).await;
        let summary = inside.executions.get(&tenant(), id).await.unwrap().unwrap();
        let page = inside
            .executions
            .journal(&tenant(), id, 1, 100)
            .await
            .unwrap();
        let epochs: Vec<_> = page.entries.iter().map(|entry| entry.epoch).collect();
        assert_eq!(
            (summary.entries, epochs.iter().max()),
            (12, Some(&1)),
            "start, ten nodes, end"
        );
    });
}
