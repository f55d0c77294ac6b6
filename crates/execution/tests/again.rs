//! Retries and restarts of random executions that ended somehow.
//!
//! The rig checks the new executions as it checks all: their journals replay, and no effect that
//! may have happened is repeated unless a person says so.

mod rig;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nebula_action::{EffectClass, ErrorClass};
use nebula_core::{Digest, TenantId};
use nebula_execution::{
    Again, AgainError, Copying, Entry, ExecutionPlan, Fact, InstanceId, InstanceStatus,
    NewExecution, Rest, StartOptions, Status, StoredEntry, UnparkDecision,
};
use nebula_workflow::{OnError, OnIndeterminate};
use proptest::prelude::*;
use rig::{
    Rig, again,
    case::{Case, cases, settings},
    execution, id, later, plan,
    script::{fact, show, take},
    world::{Act, World},
};
use serde_json::{Value, json};

/// How many entries were copied.
fn copied(rig: &Rig) -> usize {
    let started = rig.machine.state().started().unwrap();
    started.repeats.as_ref().unwrap().copied as usize
}

/// Whether `to` is `from` or comes after it.
fn follows(plan: &ExecutionPlan, from: u32, to: u32) -> bool {
    let (mut found, mut next) = (BTreeSet::from([from]), vec![from]);
    while let Some(node) = next.pop() {
        let leading = plan.outgoing(node).map(|(_, edge)| edge.to);
        next.extend(leading.filter(|to| found.insert(*to)));
    }
    found.contains(&to)
}

fn node_of(plan: &ExecutionPlan, instance: &InstanceId) -> u32 {
    plan.index_of(instance.node.as_str()).unwrap()
}

/// The instances, items included, of which the journal has a result that something may follow from.
fn succeeded(rig: &Rig) -> Vec<InstanceId> {
    let results = rig.journal.iter().filter_map(|entry| match &entry.fact {
        Fact::AttemptSucceeded { instance, .. } | Fact::AttemptSpilled { instance, .. } => {
            Some(vec![instance.clone()])
        }
        Fact::Unparked {
            instance: Some(instance),
            decision: UnparkDecision::Succeeded(_),
            ..
        } => Some(vec![instance.clone()]),
        Fact::ItemsSettled {
            instance,
            from,
            outcomes,
        } => {
            let items = *from..*from + outcomes.len() as u32;
            Some(items.map(|item| instance.of_item(item)).collect())
        }
        _ => None,
    });
    results.flatten().collect()
}

/// The at-most-once effects of which nobody knows whether they happened, read from the journal alone.
fn unknown(rig: &Rig) -> Vec<InstanceId> {
    let mut open = BTreeMap::new();
    for entry in &rig.journal {
        let Some(instance) = entry.fact.instance() else {
            continue;
        };
        let node = rig.plan.node(node_of(&rig.plan, instance));
        let asks = node.effect == EffectClass::AtMostOnce
            && node.on_indeterminate != OnIndeterminate::Retry;
        let unknown = match &entry.fact {
            Fact::AttemptStarted { .. } | Fact::AttemptIndeterminate { .. } => asks,
            Fact::AttemptFailed { error, .. } => {
                let leaves_open = matches!(
                    error.class,
                    ErrorClass::Unknown | ErrorClass::Timeout | ErrorClass::Cancelled
                );
                leaves_open && open.get(instance).copied().unwrap_or(false)
            }
            _ => false,
        };
        open.insert(instance.clone(), unknown);
    }
    let mut open: Vec<_> = open.into_iter().filter(|(_, open)| *open).collect();
    // Whose failure was handled has ended.
    open.retain(|(instance, _)| {
        let state = rig.machine.state();
        let whole = state.activation(node_of(&rig.plan, instance), instance.activation);
        whole.unwrap().port.is_none()
    });
    open.into_iter().map(|(instance, _)| instance).collect()
}

/// What must hold of a new execution that was driven to its end, whatever the old one was.
fn check_again(old: &Rig, new: &World<'_>, how: &Again) {
    let plan = &old.plan;
    let from = match how {
        Again::Retry => None,
        Again::Restart { from: Some(node) } => plan.index_of(node.as_str()),
        Again::Restart { from: None } => unreachable!("not asked for here"),
    };
    let redone = |instance: &InstanceId| {
        from.is_some_and(|from| follows(plan, from, node_of(plan, instance)))
    };
    for instance in succeeded(old) {
        let again = new.ran.contains(&instance);
        assert!(!again || redone(&instance), "{instance} runs again");
        let before = old.machine.identity(&instance).key();
        let after = new.rig.machine.identity(&instance).key();
        assert_eq!(before != after, redone(&instance), "the key of {instance}");
        let ready = (
            old.machine.ready_at(&instance),
            new.rig.machine.ready_at(&instance),
        );
        assert!(redone(&instance) || ready.0 == ready.1, "{instance}");
    }
    let after = &new.rig.journal[1 + copied(&new.rig)..];
    for instance in unknown(old) {
        let about = |entry: &&Entry| entry.fact.instance() == Some(&instance);
        let first = after.iter().find(about).map(|entry| &entry.fact);
        let starts = matches!(first, Some(Fact::AttemptStarted { .. }));
        assert!(!starts || redone(&instance), "{instance} may have acted");
    }
    let started = new.rig.machine.state().started().unwrap();
    assert_eq!(started.origin, Some(execution()));
    let of = started.repeats.as_ref().unwrap().of;
    assert_eq!(of, old.machine.id());
}

/// A way to go over it again; `None` where nothing led to the node.
fn pick(rig: &Rig, pick: u16) -> Option<Again> {
    if pick.is_multiple_of(2) {
        return Some(Again::Retry).filter(|_| rig.machine.rest() != Rest::Ended(Status::Completed));
    }
    let node = u32::from(pick / 2) % rig.plan.nodes.len() as u32;
    let activations = rig.machine.state().activations(node);
    let ran = activations
        .iter()
        .any(|activation| activation.status != InstanceStatus::Skipped);
    let from = Some(rig.plan.node(node).id.clone());
    ran.then_some(Again::Restart { from })
}

/// What can be seen of every activation of every node.
fn ends(rig: &Rig) -> Vec<Value> {
    let nodes = 0..rig.plan.nodes.len() as u32;
    let activations = nodes.flat_map(|node| rig.machine.state().activations(node));
    let seen = activations.map(|it| json!([it.status, it.port, it.output, it.blob]));
    seen.collect()
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn whatever_it_was_what_succeeded_is_kept_and_unknown_effects_are_not_repeated(
        case in cases(false),
        cancelled in proptest::option::of(0..30_usize),
        crashes in any::<bool>(),
        picks in proptest::collection::vec(any::<u16>(), 1..4),
    ) {
        let mut world = World::new(case.plan(), &case, case.seed).with_crashes(crashes);
        match cancelled {
            Some(after) => world.cancelled_after(after),
            None => world.run(),
        };
        let mut old = world.rig;
        // Again, and what came of that again.
        for (number, picked) in (0..).zip(picks) {
            let Some(how) = pick(&old, picked) else {
                continue;
            };
            let rig = again(&old, how.clone(), later(number)).unwrap();
            let mut new = World::of(rig, &case, case.seed).with_crashes(crashes);
            prop_assert!(new.run().is_terminal());
            check_again(&old, &new, &how);
            old = new.rig;
        }
    }

    #[test]
    fn it_ends_as_if_the_failure_had_not_happened(
        mut case in cases(true),
        cancelled in proptest::option::weighted(0.3, 0..30_usize),
        picked in any::<u16>(),
    ) {
        for node in &mut case.nodes {
            // Which token is first, and what a person says, may differ.
            node.join = 0;
            if node.effect == EffectClass::AtMostOnce {
                node.effect = EffectClass::Keyed;
            }
        }
        let mut healed: Case = case.clone();
        for node in &mut healed.nodes {
            if node.on_error == OnError::Fail {
                node.acts = vec![Act::Succeed];
            }
        }
        let mut smooth = World::new(healed.plan(), &healed, case.seed);
        prop_assert_eq!(smooth.run(), Status::Completed);
        let mut rough = World::new(case.plan(), &case, case.seed);
        match cancelled {
            Some(after) => rough.cancelled_after(after),
            None => rough.run(),
        };
        let Some(how) = pick(&rough.rig, picked) else {
            return Ok(());
        };
        let rig = again(&rough.rig, how.clone(), later(1)).unwrap();
        let mut new = World::of(rig, &healed, case.seed.wrapping_add(1));
        prop_assert_eq!(new.run(), Status::Completed);
        check_again(&rough.rig, &new, &how);
        prop_assert_eq!(ends(&new.rig), ends(&smooth.rig));
        prop_assert_eq!(new.rig.machine.state().output(), smooth.rig.machine.state().output());
        if let Again::Restart { from: Some(node) } = &how {
            let from = new.rig.plan.index_of(node.as_str()).unwrap();
            let plan = new.rig.plan.clone();
            // Which items of a list begin before one of them ends it is chance.
            let whole = |it: &&InstanceId| {
                let node = node_of(&plan, it);
                let activation = smooth.rig.machine.state().activation(node, it.activation);
                follows(&plan, from, node)
                    && activation.unwrap().status == InstanceStatus::Succeeded
            };
            let of = |ran: &[InstanceId]| {
                let redone = ran.iter().filter(whole);
                let mut redone: Vec<_> = redone.cloned().collect();
                redone.sort();
                redone
            };
            prop_assert_eq!(of(&new.ran), of(&smooth.ran), "all that follows runs as it does at first");
        }
    }
}

/// Runs a script to its end, then shows what a retry or a restart copies and does first.
fn check(text: &str, script: &str, from: Option<&str>, expected: &str) -> Rig {
    let mut old = Rig::new(plan(text));
    for step in script.split(',').map(str::trim) {
        take(&mut old, step);
    }
    let how = match from {
        None => Again::Retry,
        Some("*") => Again::Restart { from: None },
        Some(node) => Again::Restart {
            from: Some(node.parse().unwrap()),
        },
    };
    let mut new = again(&old, how, later(1)).unwrap();
    let shown: Vec<_> = new.journal[1..]
        .iter()
        .map(|entry| fact(&entry.fact))
        .collect();
    let begun = new.journal.len();
    take(&mut new, "begin");
    let after: Vec<_> = new.journal[begun..]
        .iter()
        .map(|entry| fact(&entry.fact))
        .collect();
    let rest = match new.machine.rest() {
        Rest::Busy => "busy",
        Rest::Parked { .. } => "parked",
        Rest::Waiting { .. } => "waiting",
        Rest::Paused { .. } => "paused",
        Rest::Compensating { .. } => "compensating",
        Rest::Ended(_) => "ended",
    };
    let shown = format!("{} | {} = {rest}", shown.join(", "), after.join(", "));
    assert_eq!(shown, expected, "\nplan: {text}\nscript: {script}\n");
    new
}

#[test]
fn a_known_failure_is_forgotten_and_an_unknown_effect_is_asked_about() {
    check(
        "a -> b; b: once",
        "begin, a ok, b start, b fail",
        None,
        "a ok/1 |  = busy",
    );
    // Cancelled while a person was asked: the question stays.
    check(
        "a -> b; b: once",
        "begin, a ok, b start, b unknown, cancel",
        None,
        "a ok/1, b started/1, b unknown/1 | parked on b = parked",
    );
    // By the node's own word the unknown effect counted as failed; a retry still may not repeat it.
    check(
        "a -> b; b: once, fails",
        "begin, a ok, b start, b unknown",
        None,
        "a ok/1, b started/1, b unknown/1 | parked on b = parked",
    );
    check(
        "a -> b; b: once, repeats",
        "begin, a ok, b start, b unknown",
        None,
        "a ok/1 |  = busy",
    );
    // A person who restarts it wants it once more.
    check(
        "a -> b; b: once",
        "begin, a ok, b start, b unknown, cancel",
        Some("b"),
        "a ok/1 |  = busy",
    );
    // A person said that it did not happen.
    check(
        "a -> b; b: once",
        "begin, a ok, b start, b unknown, unpark b failed",
        None,
        "a ok/1 |  = busy",
    );
}

#[test]
fn handled_failures_and_their_tokens_are_kept() {
    check(
        "a.error -> c, c -> d",
        "begin, a fail, c ok, d fail",
        None,
        "a failed/1, c ok/1 |  = busy",
    );
    check(
        "a -> b; a: continue, retry 2",
        "begin, a again, @100, a fail, b fail",
        None,
        "a failed/1 again@100, a failed/2 |  = busy",
    );
}

#[test]
fn what_came_in_while_it_ended_is_kept_if_it_succeeded() {
    check(
        "a -> c, b -> d; b: write",
        "begin, b start, a fail, b ok",
        None,
        "b started/1, b ok/1 |  = busy",
    );
}

#[test]
fn items_that_ended_are_kept_and_the_others_run() {
    let new = check(
        "a; a: items, keyed, window 2",
        "begin, a open 3, a[0] start, a[1] start, a[0] ok, a[2] start, a[1] fail, a[2] cancelled, a fail",
        None,
        "a opened 3, a[0] started/1, a[0] ok/1 |  = busy",
    );
    let items = new.machine.state().activations(0)[0]
        .items
        .as_ref()
        .unwrap();
    assert_eq!((items.count, items.settled), (3, 1));
    // What is lost while the execution ends is no result that the list goes on with.
    check(
        "a; a: items, keyed, continue",
        "begin, a open 3, a[0] start, a[1] start, a[1] ok, a[2] start, a[2] fail, cancel, crash",
        None,
        "a opened 3, a[1] started/1, a[1] ok/1, a[2] started/1, a[2] failed/1 |  = busy",
    );
}

#[test]
fn runs_of_a_body_that_ended_are_kept_and_the_others_go_on() {
    check(
        "e; e each { a -> b }; e: window 2",
        "begin, e open 4, e[0] with x, e[1] with y, e[0]/a ok, e[0]/b ok, e[2] with z, e[1]/a ok, e[2]/a ok, e[1]/b fail, e[2]/b cancelled, e fail",
        None,
        "e opened 4, e[0] in, e[1] in, e[0]/a ok/1, e[0]/b ok/1, e[0] out, e[2] in, e[1]/a ok/1, e[2]/a ok/1 |  = busy",
    );
    check(
        "l; l loop { a }",
        "begin, l rounds, l[0] with x, l[0]/a ok, l[1] waits 500, @500, l[1] with y, l[1]/a fail, l fail",
        None,
        "l rounds, l[0] in, l[0]/a ok/1, l[0] out, l[1] waits@500, l[1] in |  = busy",
    );
    check(
        "p; p both { a, e }; e each { b }",
        "begin, p in, p/a ok, p/e open 2, p/e[0] with x, p/e[1] with y, p/e[0]/b ok, p/e[1]/b fail, p/e fail, p fail",
        None,
        "p in, p/a ok/1, p/e opened 2, p/e[0] in, p/e[1] in, p/e[0]/b ok/1, p/e[0] out |  = busy",
    );
}

#[test]
fn a_handled_failure_in_a_body_stays_handled() {
    check(
        "t; t try { a, b | h -> i }",
        "begin, t in, t/b ok, t/a fail, t caught by h, t/h ok, t/i fail, t fail",
        None,
        "t in, t/b ok/1, t/a failed/1, t calls h, t/h ok/1 |  = busy",
    );
    // What would run in any case runs after the body, which goes on.
    check(
        "t; t try { a, b | !f }",
        "begin, t in, t/b ok, t/a fail, t/f ok, t fail",
        None,
        "t in, t/b ok/1 |  = busy",
    );
    check(
        "p; p both { e, z }; e each { a }; e: continue",
        "begin, p in, p/e open 2, p/e[0] with x, p/e[1] with y, p/e[0]/a fail, p/z fail, p/e[1]/a cancelled, p fail",
        None,
        "p in, p/e opened 2, p/e[0] in, p/e[1] in, p/e[0]/a failed/1, p/e[0] out |  = busy",
    );
}

#[test]
fn an_unknown_effect_in_a_body_is_asked_about() {
    check(
        "p; p both { a -> b }; b: once",
        "begin, p in, p/a ok, p/b start, p/b unknown, cancel",
        None,
        "p in, p/a ok/1, p/b started/1, p/b unknown/1 | parked on p/b = parked",
    );
    check(
        "p; p both { a, b }; b: once",
        "begin, p in, p/b start, p/b ok, p/a fail, p fail",
        None,
        "p in, p/b started/1, p/b ok/1 |  = busy",
    );
    let mut old = Rig::new(plan("t; t try { a | !f }; f: once"));
    for step in ["begin", "t in", "t/a fail", "t/f start", "t/f ok", "t fail"] {
        take(&mut old, step);
    }
    let refused = again(&old, Again::Retry, later(1)).map(|_| ()).unwrap_err();
    let node = "f".parse().unwrap();
    assert_eq!(refused, AgainError::ActedInBody { node });
}

#[test]
fn what_gave_up_others_does_not_run_again_without_them() {
    let mut old = Rig::new(plan(
        "x, t; x both { y }; t try { a | !k }; k: cancel; *: limit 9",
    ));
    for step in [
        "begin",
        "x in",
        "t in",
        "t/a fail",
        "t/k cancels x",
        "x/y cancelled",
        "t fail",
    ] {
        take(&mut old, step);
    }
    let refused = again(&old, Again::Retry, later(1)).map(|_| ()).unwrap_err();
    let node = "k".parse().unwrap();
    assert_eq!(refused, AgainError::GaveUp { node });
}

#[test]
fn what_begins_again_with_an_undone_effect_gave_up_none_that_stay() {
    // With `a` all of `p` begins again, and with it `k`; what is in the journal of `x` would stay.
    let mut old = Rig::new(plan(
        "x, p; x both { y }; p both { a -> k -> b }; a: undo write; k: cancel; *: limit 9",
    ));
    for step in [
        "begin",
        "x in",
        "p in",
        "p/a ok",
        "p/k cancels x",
        "x/y cancelled",
        "p/b fail",
        "p fail",
        "p/a start",
        "p/a undone",
    ] {
        take(&mut old, step);
    }
    let refused = again(&old, Again::Retry, later(1)).map(|_| ()).unwrap_err();
    let node = "k".parse().unwrap();
    assert_eq!(refused, AgainError::GaveUp { node });
}

#[test]
fn the_time_of_a_body_that_goes_on_begins_anew() {
    let new = check(
        "r; r race { a }",
        "begin, r in 100, @100, r/a cancelled, r fail",
        None,
        "r in@9200 |  = busy",
    );
    assert_eq!(
        new.machine
            .next_due()
            .map(nebula_core::Timestamp::as_millis),
        Some(9_200)
    );
}

#[test]
fn a_body_that_goes_on_waits_for_its_slot_again() {
    let mut new = check(
        "m; m mutex { a -> b }; a: once",
        "begin, m claims k, m granted k, m/a start, m/a ok, m/b fail, m fail",
        None,
        "m claims k, m granted, m in, m/a started/1, m/a ok/1, m lost its slot |  = waiting",
    );
    assert!(new.machine.slots().is_empty());
    take(&mut new, "admitted");
    assert_eq!(new.machine.slots().len(), 1);
    // Two that had their turns after one another go on one after the other.
    let mut new = check(
        "p; p both { q, n }; q both { m, d }; m mutex { a }; n mutex { b }",
        "begin, p in, p/q in, p/q/m claims k own, p/n claims k own, p/q/m/a fail, p/q/m fail, p/q/d cancelled, p/q fail, p/n/b cancelled, p fail",
        None,
        "p in, p/q in, p/q/m claims k, p/q/m granted, p/q/m in, p/n claims k, p/n granted, p/n in, p/n lost its slot, p/q/m lost its slot |  = busy",
    );
    let decision = take(&mut new, "admitted");
    assert_eq!(
        show(&decision),
        "p/n claims k, p/q/m claims k, p/n granted > run p/n/b"
    );
    // What only this execution shares, its machine hands out, and what waited for it begins.
    let mut new = check(
        "m; m mutex { a -> b }; a: once",
        "begin, m claims k own, m/a start, m/a ok, m/b fail, m fail",
        None,
        "m claims k, m granted, m in, m/a started/1, m/a ok/1, m lost its slot |  = waiting",
    );
    let decision = take(&mut new, "admitted");
    assert_eq!(show(&decision), "m claims k, m granted > run m/b");
    let mut new = check(
        "o; o mutex { m }; m mutex { a -> b }",
        "begin, o claims j own, o/m claims k, o/m granted k, o/m/a ok, o/m/b fail, o/m fail, o fail",
        None,
        "o claims j, o granted, o in, o/m claims k, o/m granted, o/m in, o/m/a ok/1, o lost its slot, o/m lost its slot |  = waiting",
    );
    let decision = take(&mut new, "admitted");
    assert_eq!(show(&decision), "o claims j, o granted, o/m claims k");
    // The body never began: it begins with the claim.
    check(
        "m; m mutex { a }",
        "begin, m claims k, @1000, m late",
        None,
        " |  = busy",
    );
    // It was lost before the execution ended, and given up for that.
    check(
        "m; m mutex { a -> b }",
        "begin, m claims k, m granted k, m/a ok, queued, m/b withheld, cancel",
        None,
        "m claims k, m granted, m in, m/a ok/1, m lost its slot |  = waiting",
    );
}

#[test]
fn a_run_of_which_an_effect_was_undone_begins_again() {
    // What is beside it stays.
    check(
        "p; p both { x, t }; t try { a -> b }; a: undo write; t: unwinds",
        "begin, p in, p/x ok, p/t in, p/t/a ok, p/t/b fail, p/t/a start, p/t/a undone, p/t fail, p fail",
        None,
        "p in, p/x ok/1, p/t in |  = busy",
    );
    // Whoever gave up undoing it has said that it stands.
    check(
        "p; p both { t }; t try { a -> b }; a: undo write; t: unwinds",
        "begin, p in, p/t in, p/t/a ok, p/t/b fail, p/t/a start, p/t/a undo fail, unpark p/t/a failed, p/t fail, p fail",
        None,
        "p in, p/t in, p/t/a ok/1 |  = busy",
    );
    let mut old = Rig::new(plan(
        "p; p both { t }; t try { c -> a -> b }; a: undo write; c: once; t: unwinds",
    ));
    let script = "begin, p in, p/t in, p/t/c start, p/t/c ok, p/t/a ok, p/t/b fail, p/t/a start, p/t/a undone, p/t fail, p fail";
    for step in script.split(", ") {
        take(&mut old, step);
    }
    let refused = again(&old, Again::Retry, later(1)).map(|_| ()).unwrap_err();
    let node = "c".parse().unwrap();
    assert_eq!(refused, AgainError::ActedInBody { node });
}

#[test]
fn what_was_undone_before_a_handler_stays_so_in_a_body_that_goes_on() {
    check(
        "p; p both { t -> z }; t try { a -> b | h }; a: undo write; t: unwinds",
        "begin, p in, p/t in, p/t/a ok, p/t/b fail, p/t/a start, p/t/a undone, p/t caught by h, p/t/h ok, p/t collect, p/z fail, p fail",
        None,
        "p in, p/t in, p/t/a ok/1, p/t/a undoable, p/t/b failed/1, p/t/a undo/1, p/t/a undone, p/t calls h, p/t/h ok/1, p/t out, p/t done |  = busy",
    );
}

#[test]
fn what_signals_brought_to_a_body_that_goes_on_is_brought_once() {
    check(
        "p; p both { w -> z }; w: wait",
        "begin, p in, p/w awaits paid, signal paid 1, p/w took, p/z fail, p fail",
        None,
        "p in, p/w awaits paid, paid1 came, p/w took 1 |  = busy",
    );
}

#[test]
fn children_of_bodies_that_go_on_are_gone_over_again_unless_they_completed() {
    let new = check(
        "p; p both { a, b }; a: call; b: call",
        "begin, p in, p/a calls x, p/b calls y, p/a child x ok, p/b child y failed, p fail",
        None,
        "p in, p/a calls x/1, p/a x completed |  = busy",
    );
    let started = new.machine.state().started().unwrap();
    let children = &started.repeats.as_ref().unwrap().children;
    let of: Vec<_> = children.iter().map(|it| it.instance.to_string()).collect();
    assert_eq!(of, ["p/b"]);
}

#[test]
fn signals_that_were_taken_stay_taken() {
    let script = "begin, signal go 1, signal go 2, w awaits go, w took, v fail";
    let text = "w -> v; w: wait";
    check(
        text,
        script,
        None,
        "go1 came, go2 came, w awaits go, w took 1 |  = busy",
    );
    check(text, script, Some("w"), "go2 came |  = busy");
}

#[test]
fn waits_pauses_and_people_are_left_behind() {
    check(
        "a -> w, a -> b; w: wait",
        "begin, a ok, w waits 900, pause, unpause, b fail",
        None,
        "a ok/1 |  = busy",
    );
    check(
        "a -> b; b: stop",
        "begin, a ok, b stop",
        Some("a"),
        " |  = busy",
    );
    check(
        "a -> b; b: stop",
        "begin, a ok, b stop",
        Some("b"),
        "a ok/1 |  = busy",
    );
    check(
        "a -> b",
        "begin, a ok, b ok, output",
        Some("*"),
        " |  = busy",
    );
}

#[test]
fn what_was_undone_runs_again_with_all_that_follows_from_it() {
    // `x` stands beside it and is kept; `b` follows from what was undone, and runs again.
    let new = check(
        "a -> b -> c, x; a: write, undo write",
        "begin, a start, x ok, a ok, b ok, c fail, a start, a undone",
        None,
        "x ok/1 |  = busy",
    );
    let old = |text: &str| id(text).identity(&TenantId::local(), execution(), 0).key();
    assert_ne!(new.machine.identity(&id("a")).key(), old("a"));
    assert_eq!(new.machine.identity(&id("b")).key(), old("b"));
    let undoing = id("a")
        .compensation(&TenantId::local(), execution(), 0)
        .key();
    assert_ne!(new.machine.compensation_identity(&id("a")).key(), undoing);
    assert_eq!(new.machine.ready_at(&id("a")), new.now);
}

#[test]
fn what_was_given_up_is_kept_and_no_longer_this_ones_to_undo() {
    check(
        "a -> b; a: undo write",
        "begin, a ok, b fail, a start, a undo fail, unpark a failed",
        None,
        "a ok/1 |  = busy",
    );
}

#[test]
fn what_a_completed_execution_did_is_not_undone_by_its_restart() {
    let mut new = check(
        "a -> b; a: undo write",
        "begin, a ok, b ok, output",
        Some("b"),
        "a ok/1 |  = busy",
    );
    take(&mut new, "b fail");
    assert_eq!(new.machine.rest(), Rest::Ended(Status::Failed));
}

#[test]
fn a_restart_behind_what_was_undone_makes_that_anew_too() {
    let new = check(
        "a -> b -> c; a: undo write",
        "begin, a ok, b ok, c fail, a start, a undone",
        Some("c"),
        " |  = busy",
    );
    let keys = ["a", "b", "c"].map(|node| {
        let old = id(node).identity(&TenantId::local(), execution(), 0).key();
        new.machine.identity(&id(node)).key() == old
    });
    assert_eq!(keys, [false, true, false]);
}

#[test]
fn a_second_retry_raises_what_was_undone_twice() {
    let mut once = check(
        "a -> b; a: undo write",
        "begin, a ok, b fail, a start, a undone",
        None,
        " |  = busy",
    );
    for step in ["a ok", "b fail", "a start", "a undone"] {
        take(&mut once, step);
    }
    let twice = again(&once, Again::Retry, later(2)).unwrap();
    let started = twice.machine.state().started().unwrap();
    let undone = &started.repeats.as_ref().unwrap().undone;
    assert_eq!(undone.len(), 1);
    assert_eq!(
        (undone[0].generation.number, undone[0].generation.since),
        (2, later(2))
    );
    let all = again(&once, Again::Restart { from: None }, later(3)).unwrap();
    let started = all.machine.state().started().unwrap();
    let repeats = started.repeats.as_ref().unwrap();
    assert_eq!((repeats.undone.len(), repeats.all.unwrap().number), (0, 2));
}

#[test]
fn a_body_with_an_undone_effect_begins_again() {
    check(
        "p -> z; p both { a -> b }; a: undo write; b: once",
        "begin, p in, p/a ok, p/b start, p/b fail, p fail, p/a start, p/a undone",
        None,
        " |  = busy",
    );
    // It ended well and acted at most once, behind what was undone.
    let mut old = Rig::new(plan("p -> z; p both { a -> b }; a: undo write; b: once"));
    let script = "begin, p in, p/a ok, p/b start, p/b ok, p collect, z fail, p/a start, p/a undone";
    for step in script.split(", ") {
        take(&mut old, step);
    }
    let refused = again(&old, Again::Retry, later(1)).map(|_| ()).unwrap_err();
    assert!(
        matches!(refused, AgainError::ActedInBody { .. }),
        "{refused}"
    );
}

#[test]
fn a_body_that_was_undone_before_its_handler_ran_stays_as_it_is() {
    check(
        "t -> z; t try { a -> b | h }; a: undo write; t: unwinds",
        "begin, t in, t/a ok, t/b fail, t/a start, t/a undo fail, unpark t/a ok, t caught by h, t/h ok, t collect, z fail",
        None,
        "t in, t/a ok/1, t/a undoable, t/b failed/1, t/a undo/1, t/a undo failed/1, t/a unparked ok, t calls h, t/h ok/1, t out, t done |  = busy",
    );
}

#[test]
fn a_body_that_begins_again_leaves_behind_what_was_undone_in_it_before() {
    check(
        "t -> z; t try { a -> b | h }; a: undo write; h: undo write; t: unwinds",
        "begin, t in, t/a ok, t/b fail, t/a start, t/a undone, t caught by h, t/h ok, t collect, z fail, t/h start, t/h undone",
        None,
        " |  = busy",
    );
}

#[test]
fn a_signal_that_was_taken_behind_the_undone_is_there_again() {
    check(
        "a -> w -> z; a: undo write; w: wait",
        "begin, a ok, w awaits paid, signal paid 1, w took, z fail, a start, a undone",
        None,
        "paid1 came |  = busy",
    );
}

#[test]
fn two_restarts_of_one_execution_have_keys_of_their_own() {
    let mut old = Rig::new(plan("a -> b"));
    for step in ["begin", "a ok", "b fail"] {
        take(&mut old, step);
    }
    let from = |node: &str| Again::Restart {
        from: Some(node.parse().unwrap()),
    };
    let key = |rig: &Rig, node: &str| rig.machine.identity(&id(node)).key();
    let one = again(&old, from("b"), later(1)).unwrap();
    let two = again(&old, from("b"), later(2)).unwrap();
    let whole = again(&old, Again::Restart { from: None }, later(3)).unwrap();
    let keys = [&old, &one, &two, &whole].map(|rig| key(rig, "b"));
    for (index, one) in keys.iter().enumerate() {
        assert!(!keys[index + 1..].contains(one), "{keys:?}");
    }
    assert_eq!(key(&old, "a"), key(&one, "a"));
    assert_ne!(key(&old, "a"), key(&whole, "a"));
    // Retrying a restart keeps what the restart began.
    let mut one = one;
    take(&mut one, "begin");
    take(&mut one, "b fail");
    let retried = again(&one, Again::Retry, later(4)).unwrap();
    assert_eq!(key(&one, "b"), key(&retried, "b"));
    let started = retried.machine.state().started().unwrap();
    assert_eq!(started.origin, Some(execution()));
    let number = |rig: &Rig| {
        let started = rig.machine.state().started().unwrap();
        started
            .repeats
            .as_ref()
            .unwrap()
            .generation(&id("b"))
            .unwrap()
            .number
    };
    assert_eq!(number(&retried), 1);
    take(&mut one, "output");
    let third = again(&one, from("a"), later(5)).unwrap();
    assert_eq!(number(&third), 2);
}

#[test]
fn a_restarted_node_is_ready_now_and_a_retried_one_when_it_was() {
    let mut old = Rig::new(plan("a -> b"));
    take(&mut old, "begin");
    take(&mut old, "@700");
    take(&mut old, "a ok");
    take(&mut old, "b fail");
    let ready = |rig: &Rig, node: &str| rig.machine.ready_at(&id(node)).as_millis();
    let retried = again(&old, Again::Retry, later(1)).unwrap();
    assert_eq!((ready(&retried, "a"), ready(&retried, "b")), (0, 700));
    let from = Some("b".parse().unwrap());
    let restarted = again(&old, Again::Restart { from }, later(1)).unwrap();
    assert_eq!((ready(&restarted, "a"), ready(&restarted, "b")), (0, 9_700));
    let whole = again(&old, Again::Restart { from: None }, later(1)).unwrap();
    assert_eq!(ready(&whole, "a"), 9_700);
}

#[test]
fn what_cannot_be_gone_over_again_is_refused() {
    let mut rig = Rig::new(plan("a -> b, a.error -> c"));
    let refused = |rig: &Rig, from: Option<&str>| {
        let how = from.map_or(Again::Retry, |node| Again::Restart {
            from: Some(node.parse().unwrap()),
        });
        again(rig, how, later(1))
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let id = execution();
    take(&mut rig, "begin");
    assert_eq!(refused(&rig, None), format!("{id} has not ended"));
    for step in ["a ok", "b ok", "output"] {
        take(&mut rig, step);
    }
    assert_eq!(
        refused(&rig, None),
        format!("{id} completed: nothing of it failed")
    );
    assert_eq!(
        refused(&rig, Some("x")),
        "the workflow `test` has no node `x`"
    );
    assert_eq!(
        refused(&rig, Some("c")),
        format!("node `c` did not run in {id}: nothing led to it")
    );
}

#[test]
fn more_than_the_limit_is_not_copied() {
    let mut rig = Rig::new(plan("a"));
    take(&mut rig, "begin");
    take(&mut rig, "a fail");
    let mut copying = Copying::new(&rig.machine, Again::Retry).unwrap();
    let signal = |number: usize| {
        let named = nebula_execution::NamedSignal::new("go", &number.to_string(), Arc::default());
        StoredEntry {
            seq: number as u64,
            epoch: 1,
            entry: Entry {
                at: rig.now,
                fact: Fact::SignalReceived(named.unwrap()),
            },
        }
    };
    for number in 0..nebula_execution::MAX_COPIED_ENTRIES {
        copying.take(&signal(number)).unwrap();
    }
    let over = copying.take(&signal(nebula_execution::MAX_COPIED_ENTRIES));
    assert_eq!(
        over,
        Err(AgainError::TooMany {
            execution: execution()
        })
    );
}

#[test]
fn version_grants_folder_and_input_are_those_of_the_first() {
    let plan = plan("a");
    let options = StartOptions {
        folder: Some("/srv/orders".into()),
        vars: json!({ "region": "eu" }),
        trigger: json!({ "kind": "cron" }),
        ..StartOptions::default()
    };
    let digest = Digest::of(b"plan");
    let (tenant, start) = (TenantId::local(), rig::START);
    let new = NewExecution::new(
        execution(),
        tenant,
        start,
        (&plan, digest),
        json!(7),
        options,
    );
    let mut old = Rig::of(plan, new, start);
    take(&mut old, "begin");
    take(&mut old, "a fail");
    let new = again(&old, Again::Retry, later(1)).unwrap();
    let (before, after) = (old.machine.state().started(), new.machine.state().started());
    let mut after = after.unwrap().clone();
    (after.origin, after.repeats) = (None, None);
    assert_eq!(before, Some(&after));
}

#[test]
fn whoever_asks_for_a_milestone_asks_again_when_a_node_that_it_names_runs_again() {
    let asks = "a -> b -> c, m -> x, m.expired -> y; m: milestone a/b";
    let failed = "begin, m heeds, a ok, m ok, x ok, b ok, c fail";
    // `m` has its answer; but it asks about `b`, which runs again.
    check(asks, failed, Some("b"), "a ok/1 |  = busy");
    check(
        asks,
        failed,
        Some("c"),
        "m heeds a, a ok/1, m ok/1, x ok/1, b ok/1 |  = busy",
    );
    check(
        asks,
        failed,
        None,
        "m heeds a, a ok/1, m ok/1, x ok/1, b ok/1 |  = busy",
    );
    // So does the node in whose body it asks.
    check(
        "a -> b, p; p both { m -> x, m.expired -> y }; m: milestone a/b",
        "begin, p in, p/m heeds, a ok, p/m ok, p/x ok, p collect, b fail",
        Some("a"),
        " |  = busy",
    );
}
