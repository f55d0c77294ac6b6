//! Children that nodes call.

use nebula_core::{Digest, ExecutionId, TenantId, Timestamp};
use nebula_execution::{NewExecution, Parent, StartOptions, Status};
use serde_json::json;

use crate::rig::{
    Rig, START, execution, id, plan,
    script::{check, check_statuses, take},
};

#[test]
fn a_call_waits_for_its_child_and_gives_what_that_gave() {
    check(
        "a -> b; a: call",
        "begin, a calls x, a child x ok, b ok, output",
        "> run a | a calls x/1 | a x completed > run b | b ok/1 > output | COMPLETED = completed",
    );
    check(
        "a; a: call",
        "begin, a calls x",
        "> run a | a calls x/1 = waiting",
    );
}

#[test]
fn who_is_cancelled_while_somebody_was_asked_waits_for_the_child_alone() {
    check(
        "a, b; a: call; b: once",
        "begin, a calls x, b start, b unknown, cancel",
        "> run a, prepare b | a calls x/1 | b started/1 > start b | b unknown/1, parked on b | cancel > cancel x = waiting",
    );
    check(
        "a, b; a: call; b: once",
        "begin, a calls x, b start, poison, cancel",
        "> run a, prepare b | a calls x/1 | b started/1 > start b | - | cancel, b unknown/1 > cancel x = waiting",
    );
}

#[test]
fn a_call_that_nobody_waits_for_has_the_id_as_its_result() {
    check(
        "a -> b; a: call",
        "begin, a starts x, b ok, a child x ok, output",
        "> run a | a starts x/1 > run b | b ok/1 > output | - | COMPLETED = completed",
    );
    let mut rig = Rig::new(plan("a -> b; a: call"));
    for step in ["begin", "a starts x"] {
        take(&mut rig, step);
    }
    let a = &rig.machine.state().activations(0)[0];
    let child = ExecutionId::from_bytes([b'x'; 16]);
    assert_eq!(a.output.as_deref(), Some(&json!({ "execution": child })));
}

#[test]
fn the_end_of_a_child_that_nobody_waits_for_changes_nothing() {
    check(
        "a; a: call",
        "begin, a calls x, a child y ok, b child x ok, a[0] child x ok",
        "> run a | a calls x/1 | - | - | - = waiting",
    );
    check(
        "a -> b; a: call",
        "begin, a calls x, a child x ok, a child x ok",
        "> run a | a calls x/1 | a x completed > run b | - = busy",
    );
}

#[test]
fn the_failure_of_a_child_is_that_of_its_node() {
    check(
        "a; a: call",
        "begin, a calls x, a child x failed",
        "> run a | a calls x/1 | a x failed, a failed/1, FAILED = failed",
    );
    check(
        "a, a.error -> b; a: call",
        "begin, a calls x, a child x late, b ok, output",
        "> run a | a calls x/1 | a x timed_out, a failed/1 > run b | b ok/1 > output | COMPLETED = completed",
    );
    check(
        "a -> b; a: call, continue",
        "begin, a calls x, a child x cancelled, b ok, output",
        "> run a | a calls x/1 | a x cancelled, a failed/1 > run b | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_call_is_tried_again_with_a_child_of_its_own() {
    check(
        "a; a: call, retry 2",
        "begin, a calls x, a child x again, @100, a calls y, a child x ok, a child y ok, output",
        "> run a | a calls x/1 | a x failed, a failed/1 again@100 | > run a/2 | a calls y/2 | - | a y completed > output | COMPLETED = completed",
    );
    // What comes again each time is not tried again.
    check(
        "a; a: call, retry 2",
        "begin, a calls x, a child x failed",
        "> run a | a calls x/1 | a x failed, a failed/1, FAILED = failed",
    );
}

#[test]
fn an_end_waits_for_the_children_that_it_cancels() {
    check(
        "a, b; a: call",
        "begin, a calls x, b ok, cancel, a child x cancelled",
        "> run a, run b | a calls x/1 | b ok/1 | cancel > cancel x | a x cancelled, a failed/1, CANCELLED = cancelled",
    );
    check(
        "a, b; a: call",
        "begin, a calls x, b fail, a child x ok",
        "> run a, run b | a calls x/1 | b failed/1 > cancel x | a x completed, FAILED = failed",
    );
    check(
        "a, b; a: call; b: stop",
        "begin, a calls x, b stop, a child x cancelled",
        "> run a, run b | a calls x/1 | b stops > cancel x | a x cancelled, a failed/1, COMPLETED = completed",
    );
    check(
        "a; a: call; *: timeout 500",
        "begin, a calls x, @500, a child x late",
        "> run a | a calls x/1 | time up > cancel x | a x timed_out, a failed/1, TIMED OUT = timed_out",
    );
}

#[test]
fn a_child_that_is_given_up_leaves_its_node_cancelled() {
    check_statuses(
        "a; a: call",
        "begin, a calls x, cancel, a child x cancelled",
        "a cancelled",
    );
    check_statuses(
        "a; a: call",
        "begin, a calls x, cancel, a child x ok",
        "a succeeded",
    );
}

#[test]
fn a_body_that_is_stopped_waits_for_the_children_that_it_cancels() {
    check(
        "r; r race { a, b }; a: call",
        "begin, r in, r/a calls x, r/b ok, r/a child x cancelled, r collect, output",
        "> run r | r in > run r/a, run r/b | r/a calls x/1 | r/b ok/1 > cancel x | r/a x cancelled, r/a failed/1, r out > collect r | r done > output | COMPLETED = completed",
    );
    // What a crash forgot is asked again, and what came in time stands.
    check(
        "r; r race { a, b }; a: call",
        "begin, r in, r/a calls x, r/b ok, crash, r/a child x ok, r collect, output",
        "> run r | r in > run r/a, run r/b | r/a calls x/1 | r/b ok/1 > cancel x | > cancel x | r/a x completed, r out > collect r | r done > output | COMPLETED = completed",
    );
    check(
        "p; p both { a, b }; a: call",
        "begin, p in, p/a calls x, p/b fail, cancel, p/a child x cancelled",
        "> run p | p in > run p/a, run p/b | p/a calls x/1 | p/b failed/1 > cancel x | cancel > cancel x | p/a x cancelled, p/a failed/1, CANCELLED = cancelled",
    );
}

#[test]
fn nothing_is_called_once_the_execution_ends_or_is_paused() {
    check(
        "a; a: call",
        "begin, cancel, a calls x",
        "> run a | cancel > abort a | CANCELLED = cancelled",
    );
    check(
        "a; a: call",
        "begin, pause, a calls x, unpause, a calls x",
        "> run a | paused | - | resumed > run a | a calls x/1 = waiting",
    );
    check(
        "a -> b; a: call",
        "begin, a calls x, pause, a child x ok, unpause",
        "> run a | a calls x/1 | paused | a x completed | resumed > run b = busy",
    );
}

#[test]
fn a_call_survives_a_crash() {
    check(
        "a -> b; a: call",
        "begin, crash, a calls x, crash, a child x ok, crash, b ok, output",
        "> run a | > run a | a calls x/1 | - | a x completed > run b | > run b | b ok/1 > output | COMPLETED = completed",
    );
    // Whoever takes over asks the child again to end.
    check(
        "a; a: call",
        "begin, a calls x, cancel, crash, a child x cancelled",
        "> run a | a calls x/1 | cancel > cancel x | > cancel x | a x cancelled, a failed/1, CANCELLED = cancelled",
    );
}

#[test]
fn a_poisoned_execution_learns_of_the_end_of_its_child() {
    check(
        "a -> b; a: call",
        "begin, a calls x, poison, a child x ok, unpark - retry",
        "> run a | a calls x/1 | - | a x completed | - unparked retry > run b = busy",
    );
}

#[test]
fn every_attempt_has_a_child_of_its_own_and_all_have_one_origin() {
    let rig = Rig::new(plan("a; a: call"));
    let (machine, now) = (&rig.machine, Timestamp::from_millis(700));
    let (first, origin) = machine.child(&id("a"), 1, now);
    assert_eq!(first, origin);
    let (second, again) = machine.child(&id("a"), 2, now);
    assert_eq!(again, origin);
    assert_ne!(second, first);
    assert_eq!(machine.child(&id("a"), 2, now).0, second);
    assert_ne!(machine.child(&id("a#2"), 1, now).0, first);
}

#[test]
fn a_child_has_no_more_time_than_the_one_that_waits_for_it() {
    let plan = plan("a; a: wait; *: timeout 900");
    let parent = Parent {
        execution: ExecutionId::from_bytes([9; 16]),
        instance: id("a"),
        depth: 1,
        waits: true,
        deadline: Some(Timestamp::from_millis(500)),
    };
    let options = StartOptions {
        parent: Some(parent),
        ..StartOptions::default()
    };
    let (tenant, digest) = (TenantId::local(), Digest::of(b"plan"));
    let new = NewExecution::new(
        execution(),
        tenant,
        START,
        (&plan, digest),
        json!({}),
        options,
    );
    let mut rig = Rig::of(plan, new, START);
    for step in ["begin", "a waits 800", "@499"] {
        take(&mut rig, step);
    }
    assert_eq!(rig.machine.next_due(), Some(Timestamp::from_millis(500)));
    take(&mut rig, "@500");
    assert_eq!(rig.machine.state().end_status(), Some(Status::TimedOut));
}
