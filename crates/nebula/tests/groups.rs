//! Groups of workers: who is of another one leaves an execution alone, however it comes by it.

mod world;

use std::{sync::Arc, time::Duration};

use nebula::{
    Nebula,
    core::{Clock, ExecutionId, Group, Groups},
    engine::{EngineConfig, Report, Waiting},
    execution::Status,
    ports::TaskQueue,
    runtime::WorkerConfig,
};
use nebula_testkit::MemoryTaskQueue;
use serde_json::{Value, json};
use world::{World, in_world, tenant, with};

const HEAVY: &str = "id: heavy\nnodes: [{ id: a, action: test.keyed, runs_on: gpu, parameters: { label: heavy } }]\n";
const USUAL: &str =
    "id: usual\nnodes: [{ id: a, action: test.keyed, parameters: { label: usual } }]\n";

fn queue(world: &World) -> Arc<dyn TaskQueue> {
    Arc::new(MemoryTaskQueue::new(
        Arc::new(world.clock.clone()),
        1_000,
        100,
    ))
}

/// A process whose worker is of this group; it sweeps for that one alone if nobody else hears its queue.
fn of_group(world: &World, name: &str, queue: Arc<dyn TaskQueue>, alone: bool) -> Nebula {
    let groups: Groups = [Group::new(name).unwrap()].into_iter().collect();
    let worker = WorkerConfig {
        groups: groups.clone(),
        ..WorkerConfig::default()
    };
    let engine = EngineConfig {
        groups: if alone { groups } else { Groups::All },
        ..EngineConfig::default()
    };
    let ports = (world.executions.clone() as Arc<_>, queue);
    world.builder_from(ports, worker, engine).build().unwrap()
}

async fn report(nebula: &Nebula, id: ExecutionId) -> Report {
    let report = nebula.engine().report(&tenant(), id).await;
    report.unwrap().unwrap()
}

/// What has become of an execution after this process alone has worked for a while.
async fn after_a_while(world: &World, nebula: &Nebula, id: ExecutionId) -> Report {
    with(nebula, world.clock.sleep(Duration::from_secs(60))).await;
    report(nebula, id).await
}

/// Guards: a lease that its creator got is given back, and the sweep looks for its own groups alone.
#[test]
fn each_process_leaves_alone_what_is_for_others() {
    in_world(async |world| {
        let usual = of_group(&world, "default", queue(&world), true);
        let gpu = of_group(&world, "gpu", queue(&world), true);
        let (heavy, light) = (
            with(&usual, world.begin(&usual, HEAVY)).await,
            with(&gpu, world.begin(&gpu, USUAL)).await,
        );
        let left = after_a_while(&world, &usual, heavy).await;
        let group = Group::new("gpu").unwrap();
        // Who created it had the first lease, and gave it back.
        assert_eq!((left.status, left.leased), (Status::Running, false));
        assert_eq!(left.waiting, [Waiting::Worker { group }]);
        let left = after_a_while(&world, &gpu, light).await;
        // What is for nobody in particular waits for nobody in particular.
        let done = after_a_while(&world, &usual, light).await;
        assert_eq!((left.leased, left.waiting), (false, vec![]));
        assert_eq!(done.status, Status::Completed, "{done:?}");
        let done = after_a_while(&world, &gpu, heavy).await;
        assert_eq!(done.status, Status::Completed, "{done:?}");
        assert_eq!(done.waiting, []);
        assert_eq!(world.ledger.labels(), ["usual", "heavy"]);
    });
}

/// Guards: whoever takes a task of another group from a queue that all hear lets go of it.
#[test]
fn a_task_that_is_for_others_is_not_driven() {
    in_world(async |world| {
        let shared = queue(&world);
        let usual = of_group(&world, "default", shared.clone(), false);
        let gpu = of_group(&world, "gpu", shared.clone(), false);
        let starter = world.starter();
        for _ in 0..5 {
            let _ = world.begin(&starter, HEAVY).await;
        }
        with(&usual, world.clock.sleep(Duration::from_secs(60))).await;
        assert_eq!(world.ledger.labels(), [] as [&str; 0]);
        with(&gpu, world.clock.sleep(Duration::from_secs(60))).await;
        assert_eq!(world.ledger.labels(), ["heavy"; 5]);
    });
}

/// A call leads to the workers of its callee, and its end leads back; parts are for those of their list.
#[test]
fn children_are_for_the_workers_that_their_own_plan_names() {
    in_world(async |world| {
        let usual = of_group(&world, "default", queue(&world), true);
        let gpu = of_group(&world, "gpu", queue(&world), true);
        let _ = world.install(&usual, HEAVY).await;
        let call =
            "id: call\nnodes: [{ id: c, action: flow.call, parameters: { workflow: heavy } }]\n";
        let called = with(&usual, world.begin(&usual, call)).await;
        assert_eq!(
            after_a_while(&world, &usual, called).await.status,
            Status::Waiting
        );
        assert_eq!(world.ledger.labels(), [] as [&str; 0]);
        let done = Box::pin(with(&gpu, world.finish(&usual, called))).await;
        assert_eq!(done.status, Status::Completed, "{done:?}");

        let list = "id: list\nnodes: [{ id: p, action: test.keyed, runs_on: gpu, for_each: '[1, 2, 3]', distribute: true, parameters: { label: 'p{{ $item }}' } }]\n";
        let id = with(&gpu, world.begin(&gpu, list)).await;
        let done = with(&gpu, world.settled(&gpu, id)).await;
        let labels = done.output.as_array().into_iter().flatten();
        let labels: Vec<_> = labels.map(|it| it["label"].clone()).collect();
        assert_eq!(Value::Array(labels), json!(["p1", "p2", "p3"]), "{done:?}");
    });
}
