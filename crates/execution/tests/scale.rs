//! Sizes at which anything quadratic would show: long chains, wide joins, long lists.
//!
//! Times are printed, never asserted: `cargo test --release -p nebula-execution --test scale -- --nocapture`.

mod rig;

use std::sync::Arc;

use nebula_core::TenantId;
use nebula_execution::{
    Command, Decision, Event, ExecutionPlan, Machine, Outcome, Rest, Status, Taken,
};
use nebula_workflow::JoinRule;
use rig::{connection, node, plan_of, program, replay, script::take, world::result_of};
use serde_json::json;

/// Answers every command at once; gives the number of journal entries.
fn run(plan: ExecutionPlan, items: u32) -> usize {
    let plan = Arc::new(plan);
    let begun = rig::Rig::new(plan.clone()).journal;
    let mut machine = replay(&plan, &begun);
    let mut entries = begun.len();
    let mut open = Vec::new();
    let mut event = Event::Begin;
    loop {
        let Decision {
            entries: more,
            commands,
        } = machine.decide(event, rig::START);
        entries += more.len();
        open.extend(commands);
        let Some(command) = open.pop() else { break };
        event = match command {
            Command::Run { instance, .. } => {
                let output = Arc::new(result_of(&instance));
                let (port, taken) = ("main".into(), Taken::All);
                let outcome = Outcome::Succeeded {
                    output: output.into(),
                    port,
                    lineage: None,
                    taken,
                    undo: None,
                };
                Event::Finished {
                    instance,
                    outcome,
                    micros: 1,
                }
            }
            Command::Open { instance } => Event::Opened {
                instance,
                count: items,
                more: None,
            },
            Command::Collect { instance, .. } => Event::Collected {
                instance,
                taken: Taken::All,
            },
            Command::Output => Event::Output(Ok(json!(null))),
            other => panic!("nobody asked for {other:?}"),
        };
    }
    assert_eq!(machine.rest(), Rest::Ended(Status::Completed));
    let snapshot = machine.snapshot();
    let restored = Machine::restore(plan, TenantId::local(), rig::execution(), &snapshot).unwrap();
    assert_eq!(restored.state(), machine.state());
    entries
}

fn named(count: u32) -> Vec<nebula_execution::PlanNode> {
    (0..count).map(|index| node(&format!("n{index}"))).collect()
}

/// Prints how long something took; a test measures nothing else.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the figure is for people, not for a decision"
)]
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = std::time::Instant::now();
    let result = work();
    println!("{what}: {:?}", start.elapsed());
    result
}

#[test]
fn a_chain_of_ten_thousand_nodes_runs() {
    let nodes = named(10_000);
    let edges = (1..10_000)
        .map(|to| connection(&nodes, to - 1, "main", to))
        .collect();
    let plan = timed("plan of a chain of 10,000", || {
        ExecutionPlan::new(plan_of(nodes, edges)).unwrap()
    });
    assert_eq!(timed("run of a chain of 10,000", || run(plan, 0)), 10_002);
}

#[test]
fn a_dead_path_of_ten_thousand_nodes_is_no_recursion() {
    let nodes = named(10_000);
    let edges = (1..10_000)
        .map(|to| connection(&nodes, to - 1, "main", to))
        .collect();
    let plan = Arc::new(ExecutionPlan::new(plan_of(nodes, edges)).unwrap());
    let mut rig = rig::Rig::new(plan);
    for step in ["begin", "n0 ok to", "output"] {
        take(&mut rig, step);
    }
    assert_eq!(rig.machine.rest(), Rest::Ended(Status::Completed));
}

#[test]
fn joins_of_ten_thousand_inputs_run() {
    for join in [JoinRule::All, JoinRule::Any, JoinRule::Each] {
        let mut nodes = named(10_001);
        nodes[10_000].join = join;
        let edges = (0..10_000)
            .map(|from| connection(&nodes, from, "main", 10_000))
            .collect();
        let plan = ExecutionPlan::new(plan_of(nodes, edges)).unwrap();
        timed(&format!("a join of 10,000 inputs, {join:?}"), || {
            run(plan, 0)
        });
    }
}

#[test]
fn a_list_of_a_hundred_thousand_items_runs_and_its_journal_stays_short() {
    let mut nodes = named(1);
    nodes[0].for_each = Some(program("$input"));
    let plan = ExecutionPlan::new(plan_of(nodes, Vec::new())).unwrap();
    let entries = timed("100,000 items", || run(plan, 100_000));
    assert!(entries < 100_000 / 64 + 20, "{entries} entries");
}
