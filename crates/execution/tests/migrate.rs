//! Executions that move to another version of their workflow: whether the journal so far could have
//! been written under that one, and what follows.

mod rig;

use std::sync::Arc;

use nebula_core::{Digest, TenantId};
use nebula_execution::{
    Command, Event, ExecutionPlan, Machine, MigrateError, Migrated, Migration, PlanParts, Rest,
    StoredEntry,
};
use rig::{Rig, START, execution, id, plan, program, replay, script::take};

fn second(text: &str) -> Arc<ExecutionPlan> {
    Arc::new(ExecutionPlan::clone(&plan(text)).at_version(2))
}

fn migrate(rig: &Rig, new: &Arc<ExecutionPlan>) -> Result<Migrated, MigrateError> {
    let new = (new.clone(), Digest::of(b"second"));
    let mut migration = Migration::new(rig.plan.clone(), new, TenantId::local(), execution())?;
    for (seq, entry) in (1..).zip(&rig.journal) {
        let entry = entry.clone();
        migration.take(&StoredEntry {
            seq,
            epoch: 1,
            entry,
        })?;
    }
    migration.finish(START)
}

/// Runs a script over one plan and moves what came of it to another; compares what begins and what
/// is dropped, or why it cannot.
#[track_caller]
fn check(old: &str, script: &str, new: &str, expected: &str) {
    let mut rig = Rig::new(plan(old));
    for step in script.split(',').map(str::trim) {
        take(&mut rig, step);
    }
    let new = second(new);
    let shown = match migrate(&rig, &new) {
        Err(error) => error.to_string(),
        Ok(migrated) => {
            let names = |ids: &[nebula_execution::InstanceId]| {
                let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
                ids.join(" ")
            };
            let shown = format!("+ {} - {}", names(&migrated.begins), names(&migrated.drops));
            let mut journal = rig.journal.clone();
            journal.push(migrated.entry);
            goes_on(&new, &journal);
            shown
        }
    };
    assert_eq!(shown, expected, "\n{old} -> {}\n{script}", new.workflow);
}

/// What was moved is taken up by a machine over the other plan.
fn goes_on(plan: &Arc<ExecutionPlan>, journal: &[nebula_execution::Entry]) {
    let mut machine: Machine = replay(plan, journal);
    let started = machine.state().started().unwrap();
    assert_eq!((started.version, started.plan), (2, Digest::of(b"second")));
    let _ = machine.decide(Event::Begin, START);
    assert!(!matches!(machine.rest(), Rest::Ended(_)));
}

#[test]
fn what_has_not_begun_may_be_another() {
    check(
        "a -> w -> z; w: wait",
        "begin, a ok, w waits 500",
        "a -> w -> y; w: wait",
        "+  - ",
    );
    check(
        "a -> w -> z; w: wait",
        "begin, a ok, w waits 500",
        "a -> w -> z, b -> z, a -> c; w: wait",
        "+ b c - ",
    );
    check(
        "a, b; a: wait",
        "begin, a waits 500",
        "a; a: wait",
        "+  - b",
    );
}

#[test]
fn what_began_must_be_there_and_the_same() {
    check(
        "a -> w; w: wait",
        "begin, a ok, w waits 500",
        "w; w: wait",
        "`a` began, and version 2 has no such node in that place",
    );
    check(
        "a -> w; w: wait",
        "begin, a ok, w waits 500",
        "a -> w; w: stop",
        "`w` began, and is another node in version 2: what its action is",
    );
    check(
        "w; w both { a }; a: wait",
        "begin, w in, w/a waits 500",
        "w, a; a: wait",
        "`w` began, and is another node in version 2: what its action is",
    );
    check(
        "w; w both { a }; a: wait",
        "begin, w in, w/a waits 500",
        "w, v; w both { b }; v both { a }; a: wait",
        "`a` began, and version 2 has no such node in that place",
    );
}

#[test]
fn something_must_have_led_to_what_began() {
    check(
        "a -> w, b; w: wait; b: wait",
        "begin, a ok, w waits 500",
        "a -> x -> w, b; w: wait; b: wait",
        "`w` began when nothing would have led to it in version 2",
    );
    check(
        "a -> j, b -> j; j: any; b: wait",
        "begin, b waits 500, a ok, j ok",
        "a -> j, b -> j; b: wait",
        "`j` began when nothing would have led to it in version 2",
    );
}

#[test]
fn what_was_decided_covers_what_could_be_taken() {
    check(
        "a -> w, a -> x; w: wait",
        "begin, a ok to w, w waits 500",
        "a -> w, a -> x, a -> y; w: wait",
        "`a` has ended, and whether it leads to `x` as version 2 says was not decided",
    );
    check(
        "a -> w; w: wait",
        "begin, a ok, w waits 500",
        "a -> w, a -> y; w: wait",
        "+ y - ",
    );
}

/// The same plan, where these connections from `a` have conditions.
fn with_conditions(plan: &ExecutionPlan, conditions: &[(&str, &str)]) -> Arc<ExecutionPlan> {
    let mut parts = PlanParts::clone(plan);
    for (to, source) in conditions {
        let to = plan.index_of(to).unwrap();
        let edge = parts.connections.iter_mut().find(|edge| edge.to == to);
        edge.unwrap().condition = Some(program(source));
    }
    Arc::new(ExecutionPlan::new(parts).unwrap())
}

#[test]
fn a_condition_was_decided_if_that_connection_had_the_same() {
    let text = "a -> w, a -> x, a -> y; w: wait";
    let old = [("x", "$json.n > 1"), ("y", "$json.n > 2")];
    let mut rig = Rig::new(with_conditions(&plan(text), &old));
    for step in ["begin", "a ok to w", "w waits 500"] {
        take(&mut rig, step);
    }
    let moves = |conditions| migrate(&rig, &with_conditions(&second(text), conditions));
    assert!(moves(&old).is_ok());
    // Each is known, but of another connection.
    let swapped = [("x", "$json.n > 2"), ("y", "$json.n > 1")];
    let error = moves(&swapped).unwrap_err();
    assert!(matches!(error, MigrateError::Undecided { .. }), "{error}");
}

#[test]
fn a_failure_must_have_meant_the_same() {
    check(
        "a -> w; a: continue; w: wait",
        "begin, a fail, w waits 500",
        "a -> w; w: wait",
        "`a` would stand differently in version 2: how it stands",
    );
    check(
        "a.error -> w; w: wait",
        "begin, a fail, w waits 500",
        "a.error -> w, a -> y; w: wait",
        "+  - ",
    );
}

#[test]
fn a_body_that_has_ended_stays_ended() {
    let old = "p -> w; p both { a }; w: wait";
    let script = "begin, p in, p/a ok, p collect, w waits 500";
    check(old, script, "p -> w; p both { a }; w: wait", "+  - ");
    check(
        old,
        script,
        "p -> w; p both { a -> b }; w: wait",
        "the body of `p` has ended, and in version 2 `b` would still run",
    );
}

#[test]
fn a_body_that_runs_may_get_more() {
    check(
        "p -> z; p both { a -> w }; w: wait",
        "begin, p in, p/a ok, p/w waits 500",
        "p -> z; p both { a -> w -> v, a -> b }; w: wait",
        "+ p/b - ",
    );
}

#[test]
fn rounds_and_lists_go_on() {
    check(
        "l; l loop { a -> w }; w: wait",
        "begin, l rounds, l[0] with x, l[0]/a ok, l[0]/w waits 5, @5, l[0]/w fired, l[1] with y, l[1]/a ok, l[1]/w waits 500",
        "l -> z; l loop { a -> w }; w: wait",
        "+  - ",
    );
    check(
        "a -> w -> b -> ^a; w: wait",
        "begin, a ok, w waits 5, @5, w fired, b ok, a#2 ok, w#2 waits 500",
        "a -> w -> b -> ^a, b -> z; w: wait",
        "+  - ",
    );
    check(
        "a -> w -> b -> ^a; w: wait",
        "begin, a ok, w waits 5, @5, w fired, b ok, a#2 ok, w#2 waits 500",
        "a -> w -> b; w: wait",
        "`a` began when nothing would have led to it in version 2",
    );
}

#[test]
fn whoever_waits_for_a_milestone_asks_about_the_nodes_of_the_new_version() {
    let mut rig = Rig::new(plan("a, b, m -> x; a: wait; m: milestone a/-"));
    for step in ["begin", "m heeds", "a waits 500", "b ok"] {
        take(&mut rig, step);
    }
    let begins = |new: &str| {
        let new = second(new);
        let mut journal = rig.journal.clone();
        journal.push(migrate(&rig, &new).unwrap().entry);
        let mut machine: Machine = replay(&new, &journal);
        let decision = machine.decide(Event::Begin, START);
        let runs =
            |it: &Command| matches!(it, Command::Run { instance, .. } if *instance == id("m"));
        decision.commands.iter().any(runs)
    };
    assert!(!begins("a, b, m -> x; a: wait; m: milestone a/x"));
    assert!(begins("a, b, m -> x; a: wait; m: milestone a/b"));
    assert!(begins("a, b, m -> x; a: wait; m: milestone b/-"));
    assert!(begins("a, b, m -> x; a: wait; m: milestone -/a"));
}

#[test]
fn what_a_person_must_decide_is_moved_along() {
    check(
        "a -> z, b; a: once",
        "begin, a start, b ok, a unknown",
        "a -> y, b; a: once",
        "+  - ",
    );
}

#[test]
fn only_versions_of_one_workflow_and_what_has_not_ended() {
    check(
        "a",
        "begin, a ok, output",
        "a",
        "07070707-0707-0707-0707-070707070707 has ended",
    );
    let mut rig = Rig::new(plan("w; w: wait"));
    take(&mut rig, "begin");
    take(&mut rig, "w waits 500");
    let same = migrate(&rig, &plan("w; w: wait")).unwrap_err();
    assert!(matches!(same, MigrateError::Same { version: 1, .. }));
    let mut parts = rig::plan_of(vec![rig::node("w")], Vec::new());
    parts.workflow = "other".parse().unwrap();
    let other = Arc::new(ExecutionPlan::new(parts).unwrap().at_version(2));
    let other = migrate(&rig, &other).unwrap_err();
    assert!(matches!(other, MigrateError::OtherWorkflow { .. }));
}
