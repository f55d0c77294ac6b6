//! Starting an execution and waiting for its end in one call.

mod world;

use std::time::Duration;

use nebula::{
    ExecuteError,
    execution::{StartOptions, Status},
};
use nebula_core::Clock;
use serde_json::json;
use world::{in_world, tenant, with};

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
            // It is created, its one step is written, and the sweep has looked for work once.
            assert_eq!((mortal.calls(), mortal.steps()), (3, 1));
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
