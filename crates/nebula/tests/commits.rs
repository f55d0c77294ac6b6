//! When the worker commits, and what it does when the store takes nothing.

mod world;

use std::sync::Arc;

use nebula::{execution::Status, ports::ExecutionRepo};
use nebula_testkit::run_timed;
use world::{Mortal, World};

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
