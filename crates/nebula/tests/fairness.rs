//! Who goes first where not all can go at once: over models of every port, with a worker that has
//! room for one execution.

mod world;

use std::time::Duration;

use nebula::{
    Nebula,
    core::{Clock, ExecutionId, Priority},
    engine::{Installed, Until},
    execution::{StartOptions, Status},
    runtime::WorkerConfig,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use world::{World, in_world, tenant};

/// A workflow whose one node leaves its mark.
fn marks(id: &str, fields: &str) -> String {
    format!(
        "id: {id}\n{fields}\nnodes: [{{ id: a, action: test.keyed, parameters: {{ label: \"{id}{{{{ $input.n }}}}\" }} }}]"
    )
}

fn one_at_a_time(world: &World) -> Nebula {
    let config = WorkerConfig {
        executions: 1,
        ..WorkerConfig::default()
    };
    world.process_with(world.executions.clone(), config)
}

/// Queues executions with these numbers.
async fn queued(
    nebula: &Nebula,
    installed: &Installed,
    numbers: std::ops::Range<u32>,
    priority: Option<Priority>,
) -> Vec<ExecutionId> {
    let mut ids = Vec::new();
    for n in numbers {
        let options = StartOptions {
            priority,
            ..StartOptions::default()
        };
        let (tenant, input) = (tenant(), json!({ "n": n }));
        let started = nebula
            .engine()
            .start(&tenant, installed, input, options, None, None);
        ids.push(started.await.unwrap().id);
    }
    ids
}

async fn completes(nebula: &Nebula, id: ExecutionId) {
    let tenant = tenant();
    let waited = nebula
        .engine()
        .wait(&tenant, id, Until::EndedOrParked, None);
    assert_eq!(waited.await.unwrap(), Some(Status::Completed));
}

/// Lets a process work until all have ended; the marks in their order.
async fn order(world: &World, nebula: &Nebula, ids: &[ExecutionId]) -> Vec<String> {
    let all = async {
        for id in ids {
            completes(nebula, *id).await;
        }
    };
    tokio::select! {
        biased;
        stopped = nebula.run(CancellationToken::new()) => panic!("the worker stopped: {stopped:?}"),
        () = all => world.ledger.labels(),
    }
}

fn place(order: &[String], label: &str) -> usize {
    let place = order.iter().position(|it| it == label);
    place.unwrap_or_else(|| panic!("{label} is not in {order:?}"))
}

#[test]
fn a_workflow_with_many_executions_holds_nobody_up() {
    in_world(async |world| {
        let nebula = one_at_a_time(&world);
        let many = world.install(&nebula, &marks("many", "")).await;
        let single = world.install(&nebula, &marks("single", "")).await;
        let mut ids = queued(&nebula, &many, 0..200, None).await;
        ids.extend(queued(&nebula, &single, 0..1, None).await);
        let order = order(&world, &nebula, &ids).await;
        assert!(place(&order, "single0") <= 1, "{order:?}");
        assert_eq!(order.len(), 201);
    });
}

#[test]
fn work_that_the_sweep_finds_is_as_fair() {
    in_world(async |world| {
        // The rings of the first process are lost with it.
        let first = one_at_a_time(&world);
        let many = world.install(&first, &marks("many", "")).await;
        let single = world
            .install(&first, &marks("single", "priority: low"))
            .await;
        let mut ids = queued(&first, &many, 0..600, None).await;
        ids.extend(queued(&first, &single, 0..1, None).await);
        drop(first);
        let second = one_at_a_time(&world);
        let order = order(&world, &second, &ids).await;
        // Its patience is sixteen, and all of it counts from the first turn.
        assert!(place(&order, "single0") <= 16, "{order:?}");
    });
}

/// The same with a node that takes a second.
fn takes_a_second(id: &str) -> String {
    format!(
        "id: {id}\nnodes: [{{ id: a, action: test.keyed, parameters: {{ label: \"{id}{{{{ $input.n }}}}\", seconds: 1 }} }}]"
    )
}

/// Starts an execution in its own process.
async fn begun(nebula: &Nebula, installed: &Installed, n: u32) -> ExecutionId {
    let (tenant, input) = (tenant(), json!({ "n": n }));
    let started = nebula.start(&tenant, installed, input, StartOptions::default());
    started.await.unwrap()
}

#[test]
fn what_begins_here_does_not_pass_what_waits_in_the_queue() {
    in_world(async |world| {
        let nebula = one_at_a_time(&world);
        let many = world.install(&nebula, &takes_a_second("many")).await;
        let single = world.install(&nebula, &marks("single", "")).await;
        let ids = queued(&nebula, &single, 0..2, None).await;
        let mut last = begun(&nebula, &many, 0).await;
        let flood = async {
            // The next one is always there before the last one has ended.
            for n in 1..30 {
                let next = begun(&nebula, &many, n).await;
                completes(&nebula, last).await;
                last = next;
            }
            completes(&nebula, last).await;
        };
        tokio::select! {
            biased;
            stopped = nebula.run(CancellationToken::new()) => panic!("the worker stopped: {stopped:?}"),
            () = flood => {}
        }
        let order = order(&world, &nebula, &ids).await;
        assert!(place(&order, "single0") <= 1, "{order:?}");
        assert!(place(&order, "single1") <= 3, "{order:?}");
        assert_eq!(order.len(), 32);
    });
}

#[test]
fn a_worker_has_no_more_in_hands_than_it_may() {
    in_world(async |world| {
        let nebula = one_at_a_time(&world);
        let slow = world.install(&nebula, &takes_a_second("slow")).await;
        let waited = async {
            // The queue was asked for one while there was room.
            let here = begun(&nebula, &slow, 0).await;
            world.clock.sleep(Duration::from_millis(500)).await;
            let ids = queued(&nebula, &slow, 1..4, None).await;
            for id in ids.into_iter().chain([here]) {
                completes(&nebula, id).await;
            }
        };
        tokio::select! {
            biased;
            stopped = nebula.run(CancellationToken::new()) => panic!("the worker stopped: {stopped:?}"),
            () = waited => {}
        }
        assert_eq!(world.ledger.most_busy(), 1);
    });
}

#[test]
fn the_more_urgent_go_first_and_the_others_have_their_turns() {
    in_world(async |world| {
        let nebula = one_at_a_time(&world);
        let slow = world
            .install(&nebula, &marks("slow", "priority: lowest"))
            .await;
        let fast = world
            .install(&nebula, &marks("fast", "priority: highest"))
            .await;
        let mut ids = queued(&nebula, &slow, 0..3, None).await;
        ids.extend(queued(&nebula, &fast, 0..70, None).await);
        let order = order(&world, &nebula, &ids).await;
        assert_eq!(place(&order, "fast0"), 0);
        assert_eq!(place(&order, "slow0"), 32);
        assert_eq!(place(&order, "slow1"), 65);
        assert_eq!(place(&order, "slow2"), 72);
    });
}

#[test]
fn a_start_may_be_more_urgent_than_its_workflow_and_a_retry_is_as_urgent() {
    in_world(async |world| {
        let nebula = one_at_a_time(&world);
        let plain = world.install(&nebula, &marks("plain", "")).await;
        let mut ids = queued(&nebula, &plain, 0..5, None).await;
        ids.extend(queued(&nebula, &plain, 5..6, Some(Priority::High)).await);
        let urgent = ids[5];
        let marks = order(&world, &nebula, &ids).await;
        assert_eq!(place(&marks, "plain5"), 0);
        let how = nebula::execution::Again::Restart { from: None };
        let again = nebula.engine().again(&tenant(), urgent, how, None).await;
        let id = again.unwrap().id;
        let listed = nebula
            .engine()
            .list(&tenant(), &Default::default(), None, 9)
            .await;
        let listed = listed.unwrap().items;
        let again = listed.iter().find(|it| it.id == id).unwrap();
        assert_eq!(again.priority, Priority::High);
    });
}

#[test]
fn what_is_called_is_as_urgent_as_whoever_waits_for_it() {
    in_world(async |world| {
        let nebula = one_at_a_time(&world);
        world
            .install(&nebula, &marks("callee", "priority: lowest"))
            .await;
        let caller = "id: caller\npriority: high\nnodes: [{ id: a, action: flow.call, parameters: { workflow: callee, input: { n: 1 } } }]";
        let caller = world.install(&nebula, caller).await;
        let ids = queued(&nebula, &caller, 0..1, None).await;
        let _ = order(&world, &nebula, &ids).await;
        let listed = nebula
            .engine()
            .list(&tenant(), &Default::default(), None, 9)
            .await;
        let priorities: Vec<_> = listed.unwrap().items.iter().map(|it| it.priority).collect();
        assert_eq!(priorities, [Priority::High; 2]);
        let report = nebula.engine().report(&tenant(), ids[0]).await;
        assert_ne!(report.unwrap().unwrap().output, Value::Null);
    });
}
