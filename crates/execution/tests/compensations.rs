//! Random executions whose effects can be undone: what holds for every one of them.
//!
//! The rig checks beside what it checks always that the newest effect is undone first, and under
//! one key.

mod rig;

use std::{collections::BTreeSet, sync::Arc};

use nebula_execution::{
    Command, CompensationInput, Entry, Event, ExecutionPlan, Fact, InstanceId, MAX_COMPENSATIONS,
    Status, Taken, UnparkDecision,
};
use proptest::prelude::*;
use rig::{
    Rig,
    case::{Case, cases, settings},
    undoable,
    world::{Act, Chance, Script, World},
};
use serde_json::Value;

/// A world in which undoing may fail, too.
struct Undoing<'c> {
    case: &'c Case,
    seed: u64,
}

impl Script for Undoing<'_> {
    fn act(&self, instance: &InstanceId, attempt: u32) -> Act {
        self.case.act(instance, attempt)
    }

    fn taken(&self, plan: &ExecutionPlan, instance: &InstanceId, port: &str) -> Taken {
        self.case.taken(plan, instance, port)
    }

    fn items(&self, node: &str) -> u32 {
        self.case.items(node)
    }

    fn skips(&self, node: &str) -> bool {
        self.case.skips(node)
    }

    fn waits(&self, node: &str) -> bool {
        self.case.waits(node)
    }

    fn undoes(&self, instance: &InstanceId, attempt: u32) -> Act {
        let node = u64::from(instance.node.as_str().as_bytes()[1]);
        let seed = self.seed ^ node << 20 ^ u64::from(instance.item.unwrap_or(9)) << 8;
        match Chance(seed ^ u64::from(attempt)).below(8) {
            0 => Act::Fail,
            1 => Act::Again,
            2 => Act::Late,
            _ => Act::Succeed,
        }
    }
}

/// What was registered, undone, and given up.
fn effects(rig: &Rig) -> (Vec<InstanceId>, Vec<InstanceId>, BTreeSet<InstanceId>) {
    let (mut came, mut undone, mut given_up) = (Vec::new(), Vec::new(), BTreeSet::new());
    for entry in &rig.journal {
        match &entry.fact {
            Fact::CompensationRegistered { instance, .. } => came.push(instance.clone()),
            Fact::CompensationSucceeded { instance, .. } => undone.push(instance.clone()),
            Fact::Unparked {
                instance: Some(instance),
                decision,
                ..
            } if came.contains(instance) && !undone.contains(instance) => match decision {
                UnparkDecision::Succeeded(_) if last_is(rig, instance) => {
                    undone.push(instance.clone());
                }
                UnparkDecision::Failed => {
                    given_up.insert(instance.clone());
                }
                _ => {}
            },
            _ => {}
        }
    }
    (came, undone, given_up)
}

/// Whether a decision about this instance was about undoing it, rather than about its effect.
fn last_is(rig: &Rig, instance: &InstanceId) -> bool {
    let failed = |fact: &Fact| matches!(fact, Fact::CompensationFailed { instance: on, retry_at: None, .. } if on == instance);
    rig.journal.iter().any(|entry| failed(&entry.fact))
}

/// Every effect of a node with a compensation is known, and, unless the execution completed, undone
/// in reverse or given up by a person.
fn check(rig: &Rig, status: Status) {
    let (came, undone, given_up) = effects(rig);
    let succeeded = rig.journal.iter().filter_map(|entry| match &entry.fact {
        Fact::AttemptSucceeded { instance, .. }
        | Fact::AttemptSpilled { instance, .. }
        | Fact::Unparked {
            instance: Some(instance),
            decision: UnparkDecision::Succeeded(_),
            ..
        } => Some(instance.clone()),
        _ => None,
    });
    let known: BTreeSet<_> = came.iter().cloned().collect();
    let undoable = succeeded.filter(|instance| {
        let node = rig.plan.index_of(instance.node.as_str()).unwrap();
        rig.plan.node(node).compensation.is_some()
    });
    assert_eq!(undoable.collect::<BTreeSet<_>>(), known);
    if status == Status::Completed {
        assert!(undone.is_empty(), "success undoes nothing");
        return;
    }
    let expected = came.iter().rev().filter(|it| !given_up.contains(*it));
    assert_eq!(undone, expected.cloned().collect::<Vec<_>>());
}

fn decision(how: u8) -> UnparkDecision {
    match how {
        0 => UnparkDecision::Retry,
        1 => UnparkDecision::Failed,
        _ => UnparkDecision::Succeeded(Arc::new(Value::Null)),
    }
}

#[test]
fn one_effect_too_many_is_not_begun() {
    let plan = rig::plan("a; a: items, undo write");
    let mut journal = Rig::new(plan.clone()).journal;
    let mut note = |fact| {
        journal.push(Entry {
            at: rig::START,
            fact,
        });
    };
    let count = MAX_COMPENSATIONS as u32 + 1;
    note(Fact::ItemsOpened {
        instance: rig::id("a"),
        count,
        more: None,
    });
    for item in 1..count {
        let (instance, nothing) = (rig::id("a").of_item(item), Arc::new(Value::Null));
        note(Fact::AttemptSucceeded {
            instance: instance.clone(),
            attempt: 1,
            output: nothing.clone(),
            port: "main".into(),
            lineage: None,
            taken: Taken::All,
            micros: 1,
        });
        note(Fact::CompensationRegistered {
            instance,
            input: CompensationInput::Parameters(nothing),
        });
    }
    let mut machine = rig::replay(&plan, &journal);
    let commands = machine.decide(Event::Begin, rig::START).commands;
    let [
        Command::Collect {
            instance,
            error: Some(error),
        },
    ] = &commands[..]
    else {
        panic!("{commands:?}");
    };
    assert_eq!(
        (instance.to_string().as_str(), error.code.as_str()),
        ("a[0]", "COMPENSATION_LIMIT")
    );
    // One less, and it begins.
    journal.truncate(journal.len() - 2);
    let mut machine = rig::replay(&plan, &journal);
    let commands = machine.decide(Event::Begin, rig::START).commands;
    assert!(
        matches!(commands[..], [Command::Run { .. }, Command::Collect { .. }]),
        "{commands:?}"
    );
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn what_has_been_done_is_undone_in_reverse(
        case in cases(false),
        pick in any::<u64>(),
        how in 0..3_u8,
    ) {
        let script = Undoing { case: &case, seed: pick };
        let plan = undoable(&case.plan(), pick);
        let mut world = World::new(plan, &script, case.seed).deciding(decision(how));
        let status = world.run();
        check(&world.rig, status);
    }

    #[test]
    fn crashes_and_pauses_change_nothing_about_that(
        case in cases(false),
        pick in any::<u64>(),
        how in 0..3_u8,
        pauses in any::<bool>(),
    ) {
        let script = Undoing { case: &case, seed: pick };
        let plan = undoable(&case.plan(), pick);
        let mut world = World::new(plan, &script, case.seed)
            .deciding(decision(how))
            .with_pauses(pauses)
            .with_crashes(true);
        let status = world.run();
        check(&world.rig, status);
    }

    #[test]
    fn a_cancellation_at_any_moment_undoes_what_was_done(
        case in cases(false),
        pick in any::<u64>(),
        after in 0..30_usize,
    ) {
        let script = Undoing { case: &case, seed: pick };
        let plan = undoable(&case.plan(), pick);
        let mut world = World::new(plan, &script, case.seed);
        let status = world.cancelled_after(after);
        check(&world.rig, status);
    }

    #[test]
    fn a_cut_at_any_entry_goes_on_to_an_end(
        case in cases(false),
        pick in any::<u64>(),
        cut in any::<u16>(),
    ) {
        let script = Undoing { case: &case, seed: pick };
        let plan = undoable(&case.plan(), pick);
        let mut world = World::new(plan, &script, case.seed);
        world.run();
        let entries = 1 + usize::from(cut) % world.rig.journal.len();
        // What follows from one event is committed as a whole.
        let whole = |at: &usize| !matches!(world.rig.journal.get(*at).map(|entry| &entry.fact), Some(Fact::CompensationRegistered { .. }));
        let entries = (entries..).find(whole).unwrap();
        world.crash_at(entries);
        let status = world.go_on();
        check(&world.rig, status);
    }
}
