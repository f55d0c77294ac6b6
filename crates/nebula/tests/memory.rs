//! What executions hold in memory: the limits for it, and what is not kept twice.

mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use nebula::{
    core::{ByteSize, Clock, Entropy, MemoryPressure},
    engine::Report,
    execution::{Fact, Status},
    ports::{Acquired, ExecutionRepo, Incarnation, LeaseRequest},
    runtime::WorkerConfig,
};
use nebula_testkit::SeededEntropy;
use world::{World, in_world, states, tenant, with};

/// A node that gives about 600 kB.
fn large(id: &str) -> String {
    format!(
        "{{ id: {id}, action: data.set, parameters: {{ text: \"{{{{ 'x'.repeat(600000) }}}}\" }} }}"
    )
}

/// Runs a workflow where an execution may hold 1 MiB.
async fn run(world: &World, yaml: &str) -> Report {
    let config = WorkerConfig {
        execution_memory: ByteSize::mib(1),
        ..WorkerConfig::default()
    };
    let nebula = world.process_with(world.executions.clone(), config);
    let id = world.begin(&nebula, yaml).await;
    world.finish(&nebula, id).await
}

fn error(report: &Report) -> String {
    let error = report.error.as_ref().expect("it failed");
    format!("{}: {}", error.code, error.message)
}

#[test]
fn a_result_that_the_execution_cannot_hold_fails_its_node() {
    in_world(async |world| {
        let pass = "{ id: same, action: data.set, disabled: true }";
        let yaml = format!("nodes: [{}, {pass}, {}]", large("one"), large("two"));
        let report = run(&world, &yaml).await;
        assert_eq!(states(&report), "one:succeeded same:succeeded two:failed");
        let error = error(&report);
        assert!(error.starts_with("MEMORY_LIMIT: the result of `two` takes about 587 KiB of memory, and the execution holds 587 KiB already; the limit is 1 MiB; "), "{error}");
    });
}

#[test]
fn results_of_items_count_until_their_list_is_dropped() {
    in_world(async |world| {
        let each = |more: &str| {
            let list = "action: flow.for_each, concurrency: 1, parameters: { items: [1, 2, 3] }";
            format!(
                "nodes: [{{ id: e, {list}, body: {{ nodes: [{}{more}] }} }}]",
                large("a")
            )
        };
        let report = run(&world, &each("")).await;
        assert!(error(&report).starts_with("MEMORY_LIMIT: "));
        // What a run does not give is dropped with it.
        let last = ", { id: b, action: data.set, parameters: { n: 1 } }";
        let report = run(&world, &each(last)).await;
        assert_eq!(report.status, Status::Completed, "{report:?}");
    });
}

#[test]
fn a_list_that_the_execution_cannot_hold_fails_its_node() {
    in_world(async |world| {
        let yaml = "nodes: [{ id: e, action: flow.for_each, parameters: { items: \"{{ 'x,'.repeat(20000).split(',') }}\" }, body: { nodes: [{ id: a, action: data.set }] } }]";
        let report = run(&world, yaml).await;
        let error = error(&report);
        assert!(
            error.starts_with("MEMORY_LIMIT: the list of `e` "),
            "{error}"
        );
    });
}

/// As values, the 3,000 results would take more than what the execution may hold.
#[test]
fn a_long_list_goes_on_to_other_nodes_without_becoming_values() {
    in_world(async |world| {
        let first = "{ id: first, action: flow.for_each, parameters: { range: { to: 3000 } }, body: { nodes: [{ id: a, action: data.set, parameters: { n: '{{ $item }}' } }] } }";
        let again = "{ id: again, action: flow.for_each, body: { nodes: [{ id: b, action: data.set, parameters: { n: '{{ $item.n * 2 }}' } }] } }";
        let each = "{ id: each, action: data.set, for_each: '{{ $nodes.first.result }}', parameters: { n: '{{ $item.n * 3 }}' } }";
        let read = "{ id: read, action: data.set, parameters: { n: '{{ $nodes.again.result[2999].n + $nodes.each.result.at(-1).n + $json.length }}', same: '{{ $nodes.each.result === $json }}', part: '{{ $nodes.again.result.slice(1023, 1025).map(x => x.n) }}' } }";
        let yaml = format!(
            "{{ nodes: [{first}, {again}, {each}, {read}], connections: [first -> again, again -> each, each -> read] }}"
        );
        let report = run(&world, &yaml).await;
        assert_eq!(report.status, Status::Completed, "{:?}", report.error);
        let expected =
            serde_json::json!({ "n": 5_998 + 8_997 + 3_000, "same": true, "part": [2_046, 2_048] });
        assert_eq!(report.output, expected);
    });
}

#[test]
fn a_long_list_goes_on_in_parts() {
    in_world(async |world| {
        let yaml = "
nodes:
  - { id: first, action: flow.for_each, parameters: { range: { to: 1100 } }, body: { nodes: [{ id: a, action: data.set, parameters: { n: '{{ $item }}' } }] } }
  - { id: parts, action: flow.batches, parameters: { size: 600 } }
  - { id: last, action: data.set, parameters: { n: '{{ $json.at(-1).n }}' } }
connections: [first -> parts, parts.loop -> last, { from: last, to: parts, loop: true }]
output: '{{ $nodes.parts.result }}'
";
        let report = run(&world, yaml).await;
        let expected = serde_json::json!([{ "n": 599 }, { "n": 1_099 }]);
        assert_eq!(report.output, expected, "{:?}", report.error);
    });
}

/// Lets three executions run where there is memory for one, and sees that they do so one by one.
#[track_caller]
fn wait_for_each_other(yaml: &str, marks: usize) {
    in_world(async |world| {
        let config = WorkerConfig {
            memory: ByteSize::kib(100),
            ..WorkerConfig::default()
        };
        let nebula = world.process_with(world.executions.clone(), config);
        let installed = world.install(&nebula, yaml).await;
        let ids = with(&nebula, async {
            let mut ids = vec![world.start(&nebula, &installed).await];
            world.clock.sleep(Duration::from_secs(1)).await;
            for _ in 0..2 {
                ids.push(world.start(&nebula, &installed).await);
                world.clock.sleep(Duration::from_secs(5)).await;
            }
            ids
        })
        .await;
        for id in ids {
            assert_eq!(world.finish(&nebula, id).await.status, Status::Completed);
        }
        assert_eq!(world.ledger.labels().len(), 3 * marks);
        assert_eq!(world.ledger.most_busy(), 1);
    });
}

#[test]
fn executions_wait_until_there_is_memory_and_one_alone_goes_on() {
    let busy = "{ id: b, action: test.keyed, parameters: { label: b, seconds: 2 } }";
    wait_for_each_other(&format!("nodes: [{}, {busy}]", large("a")), 1);
}

/// Says what it is told to.
#[derive(Debug, Default)]
struct Told(AtomicBool);

impl MemoryPressure for Told {
    fn is_short(&self) -> bool {
        self.0.load(SeqCst)
    }
}

/// Guards: pressure is asked where executions are taken up, one alone is taken, and who waits looks again.
#[test]
fn while_memory_is_short_no_execution_is_taken_up_beside_others() {
    in_world(async |world| {
        let told = Arc::new(Told(true.into()));
        let nebula = world.process_under(told.clone());
        let busy = "{ id: b, action: test.keyed, parameters: { label: b, seconds: 60 } }";
        let yaml = format!("nodes: [{}, {busy}]", large("a"));
        let installed = world.install(&nebula, &yaml).await;
        let busy = async |count: usize| {
            let mut ids = Vec::new();
            for _ in 0..count {
                ids.push(world.start(&nebula, &installed).await);
                world.clock.sleep(Duration::from_secs(5)).await;
            }
            (ids, world.ledger.most_busy())
        };
        let ids = with(&nebula, async {
            let (mut ids, most) = busy(3).await;
            // One alone goes on, whoever has the memory.
            assert_eq!(most, 1);
            told.0.store(false, SeqCst);
            world.clock.sleep(Duration::from_secs(5)).await;
            assert_eq!(
                world.ledger.most_busy(),
                3,
                "nothing of ours ended meanwhile"
            );
            told.0.store(true, SeqCst);
            let (more, most) = busy(1).await;
            assert_eq!(most, 3, "those under way go on, and no other begins");
            ids.extend(more);
            ids
        })
        .await;
        for id in ids {
            assert_eq!(world.finish(&nebula, id).await.status, Status::Completed);
        }
    });
}

#[test]
fn a_list_takes_memory_while_a_node_runs_for_its_elements() {
    let list = "{{ ('x'.repeat(60000) + ',').repeat(2).split(',') }}";
    let busy = "{ id: b, action: test.keyed, parameters: { label: b, seconds: 1 } }";
    wait_for_each_other(
        &format!(
            "nodes: [{{ id: e, action: flow.for_each, concurrency: 1, parameters: {{ items: \"{list}\" }}, body: {{ nodes: [{busy}] }} }}]"
        ),
        3,
    );
}

#[test]
fn a_large_value_that_is_passed_on_stands_in_the_journal_once() {
    in_world(async |world| {
        let pass = "{ id: p, action: data.set, disabled: true }, { id: q, action: flow.if, parameters: { condition: 'true' } }, { id: z, action: data.set, parameters: { n: '{{ $json.text.length }}' } }";
        let yaml = format!(
            "{{ nodes: [{}, {pass}], connections: [a -> p -> q, q.true -> z] }}",
            large("a")
        );
        let report = run(&world, &yaml).await;
        assert_eq!(report.output["n"], 600_000, "{report:?}");
        let page = world
            .executions
            .journal(&tenant(), report.execution, 1, 100)
            .await
            .unwrap();
        let entries = page.entries.iter();
        let passed = entries.filter_map(|stored| match &stored.entry.fact {
            Fact::JsonPassed { instance, port, .. } => Some(format!("{instance} by {port}")),
            _ => None,
        });
        assert_eq!(passed.collect::<Vec<_>>(), ["p by main", "q by true"]);
    });
}

/// A store would refuse the step that brings it, again and again.
#[test]
fn a_state_that_is_too_large_is_kept_as_its_journal_alone() {
    in_world(async |world| {
        let kept = async |max_snapshot: ByteSize| {
            let config = WorkerConfig {
                snapshot_entries: 1,
                max_snapshot,
                ..WorkerConfig::default()
            };
            let nebula = world.process_with(world.executions.clone(), config);
            let act = "{ id: act, action: test.keyed, parameters: { label: act } }";
            let wait = "{ id: wait, action: flow.wait, parameters: { for: 1h } }";
            let yaml = format!("nodes: [{}, {act}, {wait}]", large("text"));
            let id = world.begin(&nebula, &yaml).await;
            with(&nebula, world.clock.sleep(Duration::from_mins(1))).await;
            // Nobody has it, and it is due.
            world.clock.sleep(Duration::from_hours(1)).await;
            let request = LeaseRequest {
                holder: Incarnation(SeededEntropy::new(u64::MAX).uuid()),
                ttl: Duration::from_secs(1),
            };
            let acquired = world.executions.acquire(&tenant(), id, request, 9).await;
            let Acquired::Granted(granted) = acquired.unwrap() else {
                panic!("somebody has it");
            };
            world.executions.release(&granted.lease).await.unwrap();
            let report = world.finish(&nebula, id).await;
            assert_eq!(report.status, Status::Completed, "{:?}", report.error);
            granted.snapshot.map(|snapshot| snapshot.state.len())
        };
        assert!(
            kept(ByteSize::mib(1))
                .await
                .is_some_and(|bytes| bytes > 600_000)
        );
        assert!(
            kept(ByteSize::kib(100))
                .await
                .is_none_or(|bytes| bytes < 100 << 10)
        );
    });
}
