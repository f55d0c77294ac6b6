//! States that a worker keeps of executions that rest: they save reading, and nothing else depends on them.

mod world;

use std::{sync::Arc, time::Duration};

use nebula::{
    Nebula,
    core::{ByteSize, Clock, ExecutionId},
    execution::{NamedSignal, Status},
    runtime::WorkerConfig,
};
use serde_json::{Value, json};
use world::{World, in_world, tenant, with};

/// Waits again and again; between two waits something happens outside, once for each.
fn rounds(count: usize) -> String {
    let nodes = (0..count).map(|n| {
        format!(
            "  - {{ id: w{n}, action: flow.wait, parameters: {{ signal: go }} }}\n  - {{ id: a{n}, action: test.keyed, parameters: {{ label: a{n} }} }}\n"
        )
    });
    format!("nodes:\n{}", nodes.collect::<String>())
}

async fn go(nebula: &Nebula, id: ExecutionId, n: usize) {
    let signal = NamedSignal::new("go", &n.to_string(), Arc::new(Value::Null)).unwrap();
    let _ = nebula.engine().send(&tenant(), id, signal).await.unwrap();
}

/// Waits until the round with this number has acted.
async fn acted(world: &World, n: usize) {
    while world.ledger.labels().len() <= n {
        world.clock.sleep(Duration::from_secs(1)).await;
    }
}

/// How many entries a worker reads that drives an execution through so many waits by itself.
fn entries_read(kept: ByteSize) -> u64 {
    in_world(async |world: World| {
        const ROUNDS: usize = 20;
        let store = world.mortal(None);
        let config = WorkerConfig {
            kept_states: kept,
            ..WorkerConfig::default()
        };
        let nebula = world.process_with(store.clone(), config);
        let id = world.begin(&nebula, &rounds(ROUNDS)).await;
        with(&nebula, async {
            for n in 0..ROUNDS {
                world.waits(&nebula, id).await;
                go(&nebula, id, n).await;
                acted(&world, n).await;
            }
        })
        .await;
        let before = store.entries_read();
        let report = world.finish(&nebula, id).await;
        assert_eq!(report.status, Status::Completed, "{report:?}");
        assert_eq!(world.ledger.labels().len(), ROUNDS);
        before
    })
}

/// Guards: a state is kept when its execution rests, and taken up when it goes on.
#[test]
fn what_goes_on_where_it_rested_reads_no_journal() {
    // A report reads the journal as well, the same in both.
    let (kept, read) = (
        entries_read(WorkerConfig::default().kept_states),
        entries_read(ByteSize::bytes(0)),
    );
    assert!(
        read > kept + 300,
        "{kept} entries with states, {read} without"
    );
}

/// Guards: the number of the next entry is held against that of the grant.
#[test]
fn a_state_that_another_worker_went_on_from_is_read_again() {
    in_world(async |world: World| {
        let (one, other) = (world.process(), world.process());
        let id = world.begin(&one, &rounds(4)).await;
        with(&one, world.waits(&one, id)).await;
        for n in 0..4 {
            // Each has the state of two rounds before.
            let next = [&other, &one][n % 2];
            with(next, async {
                go(next, id, n).await;
                acted(&world, n).await;
                world.waits(next, id).await;
            })
            .await;
        }
        let report = world.finish(&one, id).await;
        assert_eq!(report.status, Status::Completed, "{report:?}");
        assert_eq!(world.ledger.labels(), ["a0", "a1", "a2", "a3"]);
        let keys: Vec<_> = (0..4)
            .map(|n| world.ledger.keys(&format!("a{n}")).len())
            .collect();
        assert_eq!(keys, [1; 4]);
        assert_eq!(report.output, json!({ "label": "a3", "attempt": 1 }));
    });
}
