//! Signals that nodes wait for and send.

use nebula_execution::{Fact, Footprint, MAX_KEPT_SIGNALS, footprint};
use serde_json::json;

use crate::rig::{
    Rig, id, plan,
    script::{check, fact, take},
};

#[test]
fn a_wait_takes_the_signal_that_comes() {
    check(
        "a -> b; a: wait",
        "begin, a awaits paid, signal paid 1, a took, b ok, output",
        "> run a | a awaits paid | paid1 came > take a | a took 1 > run b | b ok/1 > output | COMPLETED = completed",
    );
    check(
        "a; a: wait",
        "begin, a awaits paid, signal other 1",
        "> run a | a awaits paid | other1 came = waiting",
    );
}

#[test]
fn the_result_is_what_the_signal_brought() {
    let mut rig = Rig::new(plan("a; a: wait"));
    for step in ["begin", "a awaits paid", "signal paid 7", "a took"] {
        take(&mut rig, step);
    }
    let a = &rig.machine.state().activations(0)[0];
    assert_eq!(a.output.as_deref(), Some(&json!("paid7")));
    assert!(rig.machine.state().signals().is_empty());
}

#[test]
fn a_signal_that_comes_before_its_wait_is_kept() {
    check(
        "a -> b; b: wait",
        "begin, signal paid 1, a ok, b awaits paid, b took, output",
        "> run a | paid1 came | a ok/1 > run b | b awaits paid > take b | b took 1 > output | COMPLETED = completed",
    );
}

#[test]
fn what_an_execution_holds_takes_memory_until_it_is_taken() {
    let mut rig = Rig::new(plan("a -> b; b: wait"));
    let bytes = |rig: &Rig| {
        let mut all = Footprint::default();
        all.state(rig.machine.state());
        all.bytes()
    };
    let _ = take(&mut rig, "begin");
    let state = rig.machine.state();
    let started = state.started().unwrap();
    let at_first = [&*started.input, &started.vars, &started.trigger];
    let at_first: usize = at_first.into_iter().map(footprint).sum();
    assert_eq!(bytes(&rig), at_first);
    let _ = take(&mut rig, "signal paid 7");
    let kept = footprint(&json!("paid7"));
    assert_eq!(bytes(&rig), at_first + kept);
    let _ = take(&mut rig, "a ok");
    let state = rig.machine.state();
    let result = state.activations(0)[0].output.as_deref().map(footprint);
    assert_eq!(bytes(&rig), at_first + kept + result.unwrap());
}

#[test]
fn signals_are_taken_in_the_order_in_which_they_came() {
    check(
        "a -> b; a: wait; b: wait",
        "begin, signal paid 1, signal other 9, signal paid 2, a awaits paid, a took, b awaits paid, b took, output",
        "> run a | paid1 came | other9 came | paid2 came | a awaits paid > take a | a took 1 > run b | b awaits paid > take b | b took 2 > output | COMPLETED = completed",
    );
}

#[test]
fn of_several_that_wait_the_first_is_served_first() {
    check(
        "a, b; a: wait; b: wait",
        "begin, b awaits paid, @5, a awaits paid, signal paid 1, signal paid 2, b took, a took, output",
        "> run a, run b | b awaits paid | - | a awaits paid | paid1 came > take b | paid2 came | b took 1 > take a | a took 2 > output | COMPLETED = completed",
    );
}

#[test]
fn a_wait_gives_up_when_its_time_is_up() {
    check(
        "a, a.error -> b; a: wait",
        "begin, a awaits paid 500, @499, @500, a late, b ok, output",
        "> run a | a awaits paid@500 | - | > expire a | a failed/1 > run b | b ok/1 > output | COMPLETED = completed",
    );
    check(
        "a; a: wait, retry 2",
        "begin, a awaits paid 500, @500, a late, @600, a awaits paid 900, signal paid 1, a took, output",
        "> run a | a awaits paid@500 | > expire a | a failed/1 again@600 | > run a/2 | a awaits paid@900 | paid1 came > take a | a took 1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_signal_that_is_here_when_the_time_is_up_is_taken() {
    check(
        "a; a: wait",
        "begin, a awaits paid 500, @500, signal paid 1, a late, a took, output",
        "> run a | a awaits paid@500 | > expire a | paid1 came | > take a | a took 1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_wait_for_a_signal_survives_a_crash() {
    check(
        "a; a: wait",
        "begin, a awaits paid 500, crash, signal paid 1, crash, a took, output",
        "> run a | a awaits paid@500 | - | paid1 came > take a | > take a | a took 1 > output | COMPLETED = completed",
    );
    check(
        "a; a: wait",
        "begin, a awaits paid 500, @500, crash, a late",
        "> run a | a awaits paid@500 | > expire a | > expire a | a failed/1, FAILED = failed",
    );
}

#[test]
fn a_paused_execution_keeps_signals_for_later() {
    check(
        "a; a: wait",
        "begin, a awaits paid, pause, signal paid 1, unpause, a took, output",
        "> run a | a awaits paid | paused | paid1 came | resumed > take a | a took 1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_wait_is_cancelled_with_its_execution() {
    check(
        "a; a: wait",
        "begin, a awaits paid, cancel",
        "> run a | a awaits paid | cancel, CANCELLED = cancelled",
    );
}

#[test]
fn a_condition_that_has_no_value_fails_the_wait_and_leaves_the_signal() {
    let mut rig = Rig::new(plan("a, a.error -> b; a: wait"));
    for step in ["begin", "a awaits paid", "signal paid 1", "a fail"] {
        take(&mut rig, step);
    }
    assert_eq!(rig.machine.state().signals().len(), 1);
    assert!(rig.machine.state().activations(0)[0].signal.is_none());
}

#[test]
fn a_signal_is_sent_once_and_its_node_passes_on_what_came() {
    check(
        "a -> b; a: signal",
        "begin, a sends paid, b ok, output",
        "> run a | a sent paid > run b | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn what_is_beyond_the_limit_is_refused_and_the_rest_is_kept() {
    let mut rig = Rig::new(plan("a; a: wait"));
    take(&mut rig, "begin");
    for number in 0..=MAX_KEPT_SIGNALS {
        take(&mut rig, &format!("signal paid {number}"));
    }
    let refused = &rig.journal.last().unwrap().fact;
    assert_eq!(fact(refused), format!("paid{MAX_KEPT_SIGNALS} refused"));
    assert_eq!(rig.machine.state().signals().len(), MAX_KEPT_SIGNALS);
    // Room comes back with every signal that is taken.
    take(&mut rig, "a awaits paid");
    take(&mut rig, "a took");
    assert_eq!(rig.machine.state().signals().len(), MAX_KEPT_SIGNALS - 1);
    let took = rig.journal.iter().any(|entry| {
        matches!(&entry.fact, Fact::SignalTaken { instance, id: first, .. } if *instance == id("a") && first == "0")
    });
    assert!(took);
}

#[test]
fn a_transient_signal_is_taken_by_who_waits_and_lost_where_nobody_does() {
    check(
        "a -> b; a: wait; b: wait",
        "begin, transient paid 1, a awaits paid, transient paid 2, a took, b awaits paid, transient other 3",
        "> run a | paid1 missed | a awaits paid | paid2 came > take a | a took 2 > run b | b awaits paid | other3 missed = waiting",
    );
    // Of two that come for one who waits, the second is lost; one that is kept comes first.
    check(
        "a; a: wait",
        "begin, a awaits paid, transient paid 1, transient paid 2, a took, output",
        "> run a | a awaits paid | paid1 came > take a | paid2 missed | a took 1 > output | COMPLETED = completed",
    );
    check(
        "a; a: wait",
        "begin, signal paid 1, a awaits paid, transient paid 2, a took, output",
        "> run a | paid1 came | a awaits paid > take a | paid2 missed | a took 1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_transient_signal_waits_out_a_pause_and_a_crash_with_its_taker() {
    check(
        "a; a: wait",
        "begin, a awaits paid, pause, transient paid 1, crash, unpause, a took, output",
        "> run a | a awaits paid | paused | paid1 came | - | resumed > take a | a took 1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_transient_signal_goes_with_its_taker() {
    check(
        "a, a.error -> b; a: wait; b: wait",
        "begin, a awaits paid, transient paid 1, a fail, b awaits paid",
        "> run a | a awaits paid | paid1 came > take a | a failed/1, paid1 missed > run b | b awaits paid = waiting",
    );
}

#[test]
fn an_event_is_emitted_once_and_its_node_passes_on_what_came() {
    check(
        "a -> b; a: emit",
        "begin, a emits shipped, crash, b ok, output",
        "> run a | a emitted shipped > run b | > run b | b ok/1 > output | COMPLETED = completed",
    );
    check(
        "a; a: emit",
        "begin, crash, a emits shipped, a emits shipped, output",
        "> run a | > run a | a emitted shipped > output | - | COMPLETED = completed",
    );
}
