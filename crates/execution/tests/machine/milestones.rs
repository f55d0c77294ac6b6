//! Instances that wait until a milestone is reached, and pass while it holds.

use nebula_execution::{ExecutionPlan, MilestoneStatus, PlanError, PlanParts};

use crate::rig::{
    Rig, id, plan,
    script::{check, check_statuses, take},
};

/// `m` asks whether the execution is between the ends of `a` and `b`.
const BETWEEN: &str = "a -> b, m -> x, m.expired -> y; m: milestone a/b; b: wait";

#[test]
fn a_milestone_is_waited_for_and_passed_while_it_holds() {
    check(
        BETWEEN,
        "begin, m heeds, a ok, m ok, x ok",
        "> run m, run a | m heeds a | a ok/1 > run m, run b | m ok/1 > run x | x ok/1 = busy",
    );
    // It was over before anybody looked.
    check(
        BETWEEN,
        "begin, a ok, b ok, m ok via expired, y ok, output",
        "> run m, run a | a ok/1 > run b | b ok/1 | m ok/1 > run y | y ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn whoever_waits_is_looked_at_when_it_may_matter_and_not_before() {
    check(
        "s -> a -> b, m -> x; m: milestone a/b; b: wait",
        "begin, m heeds, s ok, a ok",
        "> run m, run s | m heeds a | s ok/1 > run a | a ok/1 > run m, run b = busy",
    );
    // The end of `b` alone decides, without `a`.
    check(
        "a, b, m -> x, m.expired -> y; m: milestone a/b",
        "begin, m heeds, b ok, m ok via expired",
        "> run m, run a, run b | m heeds a | b ok/1 > run m | m ok/1 > run y = busy",
    );
}

#[test]
fn what_will_never_be_reached_has_expired() {
    check(
        "a, a.error -> z, m -> x, m.expired -> y; m: milestone a/z",
        "begin, m heeds, a fail",
        "> run m, run a | m heeds a | a failed/1 > run m, run z = busy",
    );
    let skipped = "s -> a -> b, m -> x, m.expired -> y; m: milestone a/b";
    check(
        skipped,
        "begin, m heeds, s skip, m ok via expired",
        "> run m, run s | m heeds a | s skipped > run m | m ok/1 > run y = busy",
    );
    check_statuses(
        skipped,
        "begin, m heeds, s skip, m ok via expired, y ok, output",
        "s skipped, a skipped, b skipped, m succeeded, x skipped, y succeeded",
    );
}

/// Where the milestone of `m` stands after these steps.
fn stands(of: &str, script: &str) -> MilestoneStatus {
    let mut rig = Rig::new(plan(of));
    for step in script.split(',').map(str::trim) {
        take(&mut rig, step);
    }
    rig.machine.milestone(&id("m"))
}

#[test]
fn a_milestone_stands_where_the_ends_of_its_nodes_say() {
    use MilestoneStatus::{Ahead, Expired, Holds};
    assert_eq!(stands(BETWEEN, "begin"), Ahead);
    assert_eq!(stands(BETWEEN, "begin, a ok"), Holds);
    // While the later node waits, it has not ended.
    assert_eq!(stands(BETWEEN, "begin, a ok, b waits 500"), Holds);
    assert_eq!(stands(BETWEEN, "begin, a ok, b ok"), Expired);
    // A node that is skipped ends nothing.
    assert_eq!(stands(BETWEEN, "begin, a ok, b skip"), Holds);
    // One that fails or is given up does.
    let fails = "a, b, m; b: continue; m: milestone a/b";
    assert_eq!(stands(fails, "begin, a ok, b fail"), Expired);
    let given_up = "a, k, b, m; k: cancel; b: wait; m: milestone a/b";
    assert_eq!(stands(given_up, "begin, a ok, b waits 500"), Holds);
    assert_eq!(
        stands(given_up, "begin, a ok, b waits 500, k cancels b"),
        Expired
    );
    // Without `reached` it holds from the start, without `until` for ever.
    let open = "a, b, m; m: milestone -/b";
    assert_eq!(stands(open, "begin"), Holds);
    assert_eq!(stands(open, "begin, b ok"), Expired);
    let open = "a, b, m; m: milestone a/-";
    assert_eq!(stands(open, "begin, b ok"), Ahead);
    assert_eq!(stands(open, "begin, b ok, a ok"), Holds);
}

#[test]
fn in_a_loop_a_milestone_is_that_of_the_round() {
    let looping = "e -> a -> g, e -> m -> g, g -> ^e; m: milestone a/-";
    check(
        looping,
        "begin, e ok, m heeds, a ok, m ok, g ok, e#2 ok, m#2 heeds, a#2 ok",
        "> run e | e ok/1 > run m, run a | m heeds a | a ok/1 > run m | m ok/1 > run g | g ok/1 > run e#2 | e#2 ok/1 > run m#2, run a#2 | m#2 heeds a | a#2 ok/1 > run m#2 = busy",
    );
}

#[test]
fn in_a_body_a_milestone_may_be_that_of_what_is_around_it() {
    let nested = "a, w, p; p both { m -> x, m.expired -> y }; w: wait; m: milestone a/w";
    check(
        nested,
        "begin, p in, p/m heeds, a ok, p/m ok",
        "> run a, run w, run p | p in > run p/m | p/m heeds a | a ok/1 > run p/m | p/m ok/1 > run p/x = busy",
    );
}

#[test]
fn what_is_given_up_waits_no_more() {
    check(
        "a, k, m -> x; k: cancel; m: milestone a/-",
        "begin, m heeds, k cancels m, a ok, output",
        "> run m, run a, run k | m heeds a | k cancels m | a ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn whoever_waits_no_more_leaves_the_others_waiting() {
    let two = "a, c, k, m -> x, n -> y; k: cancel; m: milestone a/-; n: milestone c/-";
    check(
        two,
        "begin, m heeds, n heeds, a ok, c ok",
        "> run m, run n, run a, run c, run k | m heeds a | n heeds c | a ok/1 > run m | c ok/1 > run n = busy",
    );
    check(
        two,
        "begin, m heeds, n heeds, k cancels m, c ok",
        "> run m, run n, run a, run c, run k | m heeds a | n heeds c | k cancels m | c ok/1 > run n = busy",
    );
}

#[test]
fn a_crash_forgets_nobody_who_waits_for_a_milestone() {
    check(
        BETWEEN,
        "begin, m heeds, crash, a ok",
        "> run m, run a | m heeds a | > run a | a ok/1 > run m, run b = busy",
    );
    check(
        BETWEEN,
        "begin, m heeds, a ok, crash",
        "> run m, run a | m heeds a | a ok/1 > run m, run b | > run m, run b = busy",
    );
    check(
        BETWEEN,
        "begin, m heeds, pause, a ok, unpause",
        "> run m, run a | m heeds a | paused | a ok/1 | resumed > run m, run b = busy",
    );
}

#[test]
fn a_plan_whose_milestone_looks_into_a_body_is_refused() {
    let plan = plan("a, m, p; p both { x }; m: milestone a/-");
    let mut parts = PlanParts::clone(&plan);
    parts.nodes[1].milestone.as_mut().unwrap().until = plan.index_of("x");
    let refused = ExecutionPlan::new(parts);
    assert!(matches!(refused, Err(PlanError::Contradiction(_))));
}

#[test]
fn whoever_had_come_before_it_is_answered_before_what_is_due_fires() {
    let waits = "a -> b, a -> m -> x, m.expired -> y; m: milestone a/b; b: wait";
    // Nobody held the execution when `b` was due, and `m` had its token.
    check(
        waits,
        "begin, a ok, b waits 0, crash",
        "> run a | a ok/1 > run m, run b | b waits@0 > fire b | > run m, fire b = busy",
    );
}
