//! When the worker commits, and what it does when the store takes nothing.

mod world;

use std::{
    panic,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use nebula::{
    Nebula,
    core::Clock,
    engine::Until,
    execution::{Fact, Status},
    ports::{ErrorKind, ExecutionRepo, Signalled},
    runtime::{WorkerConfig, WorkerStopped},
};
use tokio_util::sync::CancellationToken;
use world::{LONG, Mortal, World, in_world, tenant, with};

/// How many steps an execution of `yaml` writes.
fn steps(yaml: &str) -> u32 {
    in_world(async |world| {
        let counted = world.mortal(None);
        let nebula = world.process_over(counted.clone());
        let id = world.begin(&nebula, yaml).await;
        assert_eq!(world.finish(&nebula, id).await.status, Status::Completed);
        counted.steps()
    })
}

/// Ten pure nodes that work for so many seconds each.
fn chain(busy: f64) -> String {
    let node = |i| {
        format!("{{ id: n{i}, action: test.pure, parameters: {{ label: n{i}, busy: {busy} }} }}")
    };
    let nodes: Vec<_> = (0..10).map(node).collect();
    format!("nodes: [ {} ]", nodes.join(", "))
}

#[test]
fn pure_work_that_takes_long_is_committed_on_the_way() {
    assert_eq!(steps(&chain(0.0)), 1, "the chain and its end");
    // The first entry is as old as the limit once two more nodes have run.
    assert_eq!(
        steps(&chain(0.05)),
        4,
        "after every third node, and the end"
    );
}

/// Whatever one step may hold: also where the entry that fills it is the one that says how the
/// execution ended, which goes with the status, in the last step.
#[test]
fn a_step_that_is_full_where_the_execution_ends_is_the_last_one() {
    let fails = "nodes: [ { id: a, action: flow.fail, parameters: { message: no } } ]";
    let flows = [
        (chain(0.0), Status::Completed),
        (fails.to_owned(), Status::Failed),
    ];
    for (yaml, status) in flows {
        for flush_entries in 1..=24 {
            in_world(async |world| {
                let config = WorkerConfig {
                    flush_entries,
                    ..WorkerConfig::default()
                };
                let nebula = world.process_with(world.executions.clone(), config);
                let id = world.begin(&nebula, &yaml).await;
                let report = world.finish(&nebula, id).await;
                assert_eq!(report.status, status, "{flush_entries} entries a step");
            });
        }
    }
}

#[test]
fn long_pure_work_hears_of_a_cancellation_on_the_way() {
    in_world(async |world| {
        let slow = world.mortal(None);
        let nebula = world.process_over(slow.clone());
        let id = world.begin(&nebula, &chain(0.05)).await;
        // While the first step is on its way, somebody has had enough.
        slow.answer_step_after(&world.clock, Duration::from_secs(2));
        let (tenant, engine) = (tenant(), nebula.engine());
        let cancel = async {
            world.clock.sleep(Duration::from_secs(1)).await;
            let asked = engine.cancel(&tenant, id, "enough".to_owned()).await;
            assert_eq!(asked.unwrap(), Signalled::Delivered { seq: 1 });
            engine.outcome(&tenant, id, Until::Ended, None).await
        };
        let report = tokio::select! {
            biased;
            _ = nebula.run(CancellationToken::new()) => unreachable!(),
            report = cancel => report.unwrap().unwrap(),
        };
        assert_eq!(report.status, Status::Cancelled);
        // Three before the first step, three before the second, which brings the news.
        assert_eq!(world.ledger.labels().len(), 6);
    });
}

#[test]
fn a_worker_that_stops_leaves_long_pure_work_where_it_is() {
    in_world(async |world| {
        let slow = world.mortal(None);
        let nebula = world.process_over(slow.clone());
        let id = world.begin(&nebula, &chain(0.05)).await;
        // The first step is on its way when the worker is told to stop.
        slow.answer_step_after(&world.clock, Duration::from_secs(2));
        let shutdown = CancellationToken::new();
        let stop = async {
            world.clock.sleep(Duration::from_secs(1)).await;
            shutdown.cancel();
        };
        let (stopped, ()) = tokio::join!(nebula.run(shutdown.clone()), stop);
        stopped.unwrap();
        assert_eq!(world.ledger.labels().len(), 3, "what the step holds");
        let report = world.finish(&world.process(), id).await;
        assert_eq!(report.status, Status::Completed);
        let nodes: Vec<_> = (0..10).map(|i| format!("n{i}")).collect();
        assert_eq!(world.ledger.labels(), nodes, "nothing was done twice");
    });
}

#[test]
fn an_effect_whose_start_is_committed_does_not_wait_for_pure_work_beside_it() {
    in_world(async |world| {
        let links: Vec<_> = (0..10).map(|i| format!("n{i}")).collect();
        let nodes = chain(0.05);
        let nodes = nodes.trim_end_matches(" ]");
        let yaml = format!(
            "{nodes}, {{ id: pay, action: test.once, parameters: {{ label: pay }} }} ]\nconnections: [ {} ]",
            links.join(" -> ")
        );
        let nebula = world.process();
        let id = world.begin(&nebula, &yaml).await;
        assert_eq!(world.finish(&nebula, id).await.status, Status::Completed);
        let labels = world.ledger.labels();
        let at = |label: &str| labels.iter().position(|other| other == label).unwrap();
        assert!(at("pay") < at("n9"), "{labels:?}");
    });
}

/// A process that was stopped for longer than its lease, and whose execution nobody has taken.
#[test]
fn what_was_decided_when_the_lease_was_over_counts_where_nobody_has_taken_it() {
    in_world(async |world| {
        let nebula = world.process();
        let long = WorkerConfig::default().lease_ttl.as_secs_f64() * 2.0;
        let id = world.begin(&nebula, &chain(long)).await;
        assert_eq!(world.finish(&nebula, id).await.status, Status::Completed);
        let nodes: Vec<_> = (0..10).map(|i| format!("n{i}")).collect();
        assert_eq!(world.ledger.labels(), nodes, "nothing was done twice");
    });
}

#[test]
fn attempts_go_on_while_a_commit_is_on_its_way() {
    in_world(async |world| {
        let slow = world.mortal(None);
        let nebula = world.process_over(slow.clone());
        let yaml = r#"
nodes:
  - { id: ask, action: test.read, parameters: { label: ask, seconds: 1 } }
  - { id: pay, action: test.once, parameters: { label: pay } }
connections: []
"#;
        let id = world.begin(&nebula, yaml).await;
        slow.answer_step_after(&world.clock, Duration::from_secs(5));
        assert_eq!(world.finish(&nebula, id).await.status, Status::Completed);
        let page = world.executions.journal(&tenant(), id, 1, 100).await;
        let took = page
            .unwrap()
            .entries
            .into_iter()
            .find_map(|stored| match stored.entry.fact {
                Fact::AttemptSucceeded {
                    instance, micros, ..
                } if instance.node.as_str() == "ask" => Some(micros),
                _ => None,
            });
        assert_eq!(
            took,
            Some(1_000_000),
            "and not until the commit was through"
        );
    });
}

/// A process that stops when its store fails, over a store that may have no room.
fn strict(world: &World) -> (Nebula, Arc<Mortal>) {
    let store = world.mortal(None);
    let config = WorkerConfig {
        stop_on_store_failure: true,
        ..WorkerConfig::default()
    };
    (world.process_with(store.clone(), config), store)
}

const TWO_EFFECTS: &str = "nodes: [ { id: a, action: test.once, parameters: { label: a } }, { id: b, action: test.once, parameters: { label: b } } ]";

#[test]
fn a_store_that_is_given_room_in_time_holds_what_was_decided() {
    in_world(async |world| {
        let (nebula, store) = strict(&world);
        let id = world.begin(&nebula, TWO_EFFECTS).await;
        store.full_for(&world.clock, Duration::from_secs(5), None);
        // It panics if the worker stops.
        assert_eq!(world.finish(&nebula, id).await.status, Status::Completed);
        assert_eq!(world.ledger.labels(), ["a", "b"]);
    });
}

#[test]
fn a_store_that_stays_full_ends_the_drive_before_its_lease_does() {
    in_world(async |world| {
        let (nebula, store) = strict(&world);
        let _ = world.begin(&nebula, TWO_EFFECTS).await;
        store.full_for(&world.clock, LONG, None);
        let before = world.clock.monotonic();
        match nebula.run(CancellationToken::new()).await {
            Err(WorkerStopped::Store(error)) => assert_eq!(error.kind, ErrorKind::Full),
            other => panic!("{other:?}"),
        }
        let took = world.clock.monotonic() - before;
        let config = WorkerConfig::default();
        let bound = config.lease_ttl - config.lease_margin;
        assert!(took > bound / 2 && took < bound, "{took:?}");
        assert!(world.ledger.labels().is_empty(), "nothing was committed");
    });
}

#[test]
fn a_worker_that_stops_for_its_store_lets_the_attempts_of_others_finish() {
    in_world(async |world| {
        let (nebula, store) = strict(&world);
        let slow =
            "nodes: [ { id: slow, action: test.once, parameters: { label: slow, seconds: 11 } } ]";
        let slow = world.begin(&nebula, slow).await;
        let other = world.begin(&nebula, TWO_EFFECTS).await;
        store.full_for(&world.clock, LONG, Some(other));
        let stopped = nebula.run(CancellationToken::new()).await;
        assert!(
            matches!(stopped, Err(WorkerStopped::Store(_))),
            "{stopped:?}"
        );
        // Cut off, the attempt would need a person: nobody could say whether it happened.
        let report = world.finish(&world.process(), slow).await;
        assert_eq!(report.status, Status::Completed);
        assert_eq!(world.ledger.labels(), ["slow"]);
    });
}

#[test]
fn large_results_are_committed_in_several_steps() {
    let nodes: Vec<_> = (0..6)
        .map(|i| format!("{{ id: n{i}, action: data.set, parameters: {{ x: \"{{{{ 'y'.repeat(400000) }}}}\" }} }}"))
        .collect();
    let yaml = format!("nodes: [ {} ]", nodes.join(", "));
    assert_eq!(steps(&yaml), 3, "two of a megabyte, and the end");
}

#[test]
fn a_locally_started_chain_costs_two_commits() {
    in_world(async |world| {
        let counted = world.mortal(None);
        let nebula = world.process_over(counted.clone());
        let nodes: Vec<_> = (0..10)
            .map(|i| format!("{{ id: n{i}, action: data.set, parameters: {{ n: {i} }} }}"))
            .collect();
        let installed = world
            .install(&nebula, &format!("nodes: [ {} ]", nodes.join(", ")))
            .await;
        let id = world.start(&nebula, &installed).await;
        world.finish(&nebula, id).await;
        let summary = world.executions.get(&tenant(), id).await.unwrap().unwrap();
        let page = world
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

/// Counts what panics on this thread from now on, also where it is caught.
fn panics() -> Arc<AtomicUsize> {
    let (here, count) = (thread::current().id(), Arc::new(AtomicUsize::new(0)));
    let (counted, before) = (count.clone(), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == here {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        before(info);
    }));
    count
}

#[test]
fn whoever_has_read_the_journal_after_the_end_decides_nothing() {
    in_world(async |world| {
        let slow = world.mortal(None);
        let first = world.process_over(slow.clone());
        let installed = world.install(&first, TWO_EFFECTS).await;
        // What is handed over is not read back.
        let id = world.queue(&first, &installed).await;
        // Its lease is over long before, and another process has brought the execution to its end.
        slow.read_page_after(&world.clock, LONG);
        let panicked = panics();
        let second = world.process();
        let both = async {
            tokio::join!(
                with(&first, world.clock.sleep(LONG * 2)),
                with(&second, world.clock.sleep(LONG * 2)),
            )
        };
        both.await;
        let summary = world.executions.get(&tenant(), id).await.unwrap().unwrap();
        assert_eq!(summary.status, Status::Completed);
        assert_eq!(world.ledger.labels(), ["a", "b"]);
        assert_eq!(panicked.load(Ordering::Relaxed), 0);
    });
}
