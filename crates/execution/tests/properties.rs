//! Random plans, driven by a seeded world: what holds for every one of them.
//!
//! The rig checks after every decision that a replay and a snapshot give the lived state, that
//! starts are journalled first, that attempt numbers and keys are used as they must be, and that
//! every rest has a reason to wake.

mod rig;

use std::sync::Arc;

use nebula_action::EffectClass;
use nebula_execution::{Fact, InstanceId, InstanceStatus, Status, UnparkDecision};
use nebula_workflow::OnError;
use proptest::prelude::*;
use rig::{
    case::{Case, Node, cases, settings},
    world::{Act, Chance, World, result_of},
};
use serde_json::Value;
/// A naive reading of a workflow: nodes in their order, each settled once, nothing shared with the
/// machine. It knows plans whose joins are `all` and whose nodes all end by themselves.
fn reference(case: &Case) -> (Vec<&'static str>, Vec<Option<Value>>) {
    let mut status: Vec<&'static str> = Vec::new();
    let mut outputs: Vec<Option<Value>> = Vec::new();
    // Whether the connections of a node carry life: from `main`, from `error`.
    let mut lives: Vec<(bool, bool)> = Vec::new();
    for (index, it) in case.nodes.iter().enumerate() {
        let mut inputs = case.edges.iter().filter(|edge| edge.to == index).peekable();
        let start = inputs.peek().is_none();
        let live = inputs.any(|edge| {
            edge.taken
                && if edge.error {
                    lives[edge.from].1
                } else {
                    lives[edge.from].0
                }
        });
        if (!start && !live) || it.skips {
            status.push("skipped");
            outputs.push(None);
            lives.push((false, false));
            continue;
        }
        let id = InstanceId::new(format!("n{index}").parse().unwrap(), 1);
        let output = if it.waits {
            // A wait passes on what came; the reference does not follow values, only results of code.
            Some(Value::Null)
        } else if let Some(count) = it.items {
            let items = (0..count).map(|item| (item, tries(it, item)));
            let goes_on = it.on_error == OnError::Continue;
            let list: Option<Vec<Value>> = items
                .map(|(item, ok)| match ok {
                    true => Some(result_of(&id.of_item(item))),
                    false if goes_on => Some(Value::Null),
                    false => None,
                })
                .collect();
            list.map(Value::Array)
        } else {
            tries(it, 0).then(|| result_of(&id))
        };
        status.push(if output.is_some() {
            "succeeded"
        } else {
            "failed"
        });
        lives.push(match (&output, it.on_error) {
            (Some(_), _) | (None, OnError::Continue) => (true, false),
            (None, OnError::Route) => (false, true),
            (None, OnError::Fail) => (false, false),
        });
        outputs.push(output);
    }
    (status, outputs)
}

/// Whether one of the attempts that the policy allows succeeds.
fn tries(node: &Node, item: u32) -> bool {
    for attempt in 0..node.retry {
        match node.acts[((attempt + item) as usize).min(node.acts.len() - 1)] {
            Act::Succeed => return true,
            Act::Fail => return false,
            Act::Again | Act::Late => {}
        }
    }
    false
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn every_execution_ends_and_replays_to_what_was_lived(case in cases(false)) {
        let mut world = World::new(case.plan(), &case, case.seed);
        prop_assert!(world.run().is_terminal());
    }

    #[test]
    fn crashes_at_any_moment_lose_nothing_and_repeat_no_unknown_write(
        case in cases(false),
        how in 0..3_u8,
    ) {
        let decision = match how {
            0 => UnparkDecision::Retry,
            1 => UnparkDecision::Failed,
            _ => UnparkDecision::Succeeded(Arc::new(Value::Null)),
        };
        let mut world = World::new(case.plan(), &case, case.seed).with_crashes(true).deciding(decision);
        prop_assert!(world.run().is_terminal());
    }

    #[test]
    fn pauses_at_any_moment_change_no_outcome(case in cases(false), crashes in any::<bool>()) {
        // A crash uses up attempt numbers, and with them what the world does.
        let fixed = case.nodes.iter().all(|node| node.acts.len() == 1);
        let mut paused = World::new(case.plan(), &case, case.seed)
            .with_pauses(true)
            .with_crashes(crashes);
        let ended = paused.run();
        prop_assert!(ended.is_terminal());
        // A time limit runs on in a pause, and failures race with what they cut off.
        let races = case.timeout.is_some()
            || case.nodes.iter().any(|node| node.on_error == OnError::Fail);
        if !races && (fixed || !crashes) {
            let mut plain = World::new(case.plan(), &case, case.seed);
            prop_assert_eq!(ended, plain.run());
        }
    }

    #[test]
    fn signals_come_at_any_moment_and_are_taken_in_order(
        mut case in cases(false),
        crashes in any::<bool>(),
        pauses in any::<bool>(),
    ) {
        for node in &mut case.nodes {
            node.waits |= node.items.is_none() && node.window == 1;
        }
        let mut world = World::new(case.plan(), &case, case.seed)
            .with_signals(true)
            .with_pauses(pauses)
            .with_crashes(crashes);
        prop_assert!(world.run().is_terminal());
        let taken: Vec<u32> = world
            .rig
            .journal
            .iter()
            .filter_map(|entry| match &entry.fact {
                Fact::SignalTaken { id, .. } => Some(id.parse().unwrap()),
                _ => None,
            })
            .collect();
        prop_assert!(taken.is_sorted_by(|a, b| a < b), "{:?}", taken);
    }

    #[test]
    fn a_cancellation_at_any_moment_ends_it(case in cases(false), after in 0..30_usize) {
        let mut world = World::new(case.plan(), &case, case.seed);
        prop_assert!(world.cancelled_after(after).is_terminal());
    }

    #[test]
    fn the_outcome_is_that_of_a_naive_interpreter(mut case in cases(true)) {
        // Failures that end the execution race with their neighbours; unknown effects need a person.
        for node in &mut case.nodes {
            if node.on_error == OnError::Fail {
                node.acts = vec![Act::Succeed];
            }
            if node.effect == EffectClass::AtMostOnce {
                node.effect = EffectClass::Keyed;
            }
            node.join = 0;
        }
        let (statuses, outputs) = reference(&case);
        let crashes = case.seed % 2 == 0;
        // A crash uses up attempt numbers, and with them what the world does.
        let crashes = crashes && case.nodes.iter().all(|node| node.acts.len() == 1);
        let mut world = World::new(case.plan(), &case, case.seed).with_crashes(crashes);
        prop_assert_eq!(world.run(), Status::Completed);
        // Its last holder may have found nothing left to do, and so have read nothing.
        world.read_stored();
        let state = world.rig.machine.state();
        for (index, (status, output)) in statuses.iter().zip(outputs).enumerate() {
            let lived = &state.activations(index as u32)[0];
            prop_assert_eq!(lived.status.as_str(), *status, "node n{}", index);
            if case.nodes[index].waits || lived.status != InstanceStatus::Succeeded {
                continue;
            }
            let lived = lived.given().map(|given| without_errors(&given.value().unwrap()));
            prop_assert_eq!(lived, output, "node n{}", index);
        }
    }

    #[test]
    fn a_cut_at_any_entry_goes_on_to_an_end(case in cases(false), cut in any::<u16>()) {
        let mut world = World::new(case.plan(), &case, case.seed);
        world.run();
        let entries = world.rig.journal.len();
        let cut = 1 + usize::from(cut) % entries;
        // Only whole decisions are committed, but a reader must not depend on that.
        world.crash_at(cut);
        prop_assert!(world.go_on().is_terminal());
    }
}

/// A list with null for each item that failed.
fn without_errors(output: &Value) -> Value {
    match output {
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::Object(_) => Value::Null,
                other => other.clone(),
            })
            .collect(),
        other => other.clone(),
    }
}

#[test]
fn chance_is_the_same_for_a_seed() {
    let (mut a, mut b) = (Chance(1), Chance(1));
    assert!((0..100).all(|_| a.below(1_000) == b.below(1_000)));
}
