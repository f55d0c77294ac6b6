//! Pauses: nothing new starts, what runs comes to its end, timers keep their time.

use crate::rig::script::check;

#[test]
fn what_runs_is_committed_and_nothing_follows_until_it_goes_on() {
    check(
        "a -> b",
        "begin, pause, a ok, unpause, b ok, output",
        "> run a | paused | a ok/1 | resumed > run b | b ok/1 > output | COMPLETED = completed",
    );
    check(
        "a -> b",
        "begin, pause, a ok",
        "> run a | paused | a ok/1 = paused",
    );
}

#[test]
fn an_attempt_that_has_not_begun_waits_for_the_end_of_the_pause() {
    check(
        "a, b; a: once",
        "begin, pause, a start, b withheld, unpause, a start, a ok, b ok, output",
        "> prepare a, run b | paused | - | - | resumed > prepare a, run b | a started/1 > start a | a ok/1 | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_started_write_is_finished() {
    check(
        "a -> b; a: once",
        "begin, a start, pause, a ok",
        "> prepare a | a started/1 > start a | paused | a ok/1 = paused",
    );
}

#[test]
fn timers_keep_their_time_and_fire_after_the_pause() {
    check(
        "a; a: wait",
        "begin, a waits 500, pause, @700, unpause, a fired, output",
        "> run a | a waits@500 | paused | - | resumed > fire a | a fired > output | COMPLETED = completed",
    );
    check(
        "a; a: wait",
        "begin, a waits 500, pause, @100, unpause, @499, @500, a fired, output",
        "> run a | a waits@500 | paused | - | resumed | - | > fire a | a fired > output | COMPLETED = completed",
    );
    check(
        "a; a: wait",
        "begin, a waits 500, pause",
        "> run a | a waits@500 | paused = paused",
    );
}

#[test]
fn a_retry_waits_for_the_end_of_the_pause() {
    check(
        "a; a: retry 2",
        "begin, pause, a again, @900, unpause, a ok, output",
        "> run a | paused | a failed/1 again@100 | - | resumed > run a/2 | a ok/2 > output | COMPLETED = completed",
    );
}

#[test]
fn a_pause_survives_a_crash() {
    check(
        "a -> b, c; c: wait",
        "begin, a ok, c waits 50, pause, crash, @60, crash, unpause, b ok, c fired, output",
        "> run a, run c | a ok/1 > run b | c waits@50 | paused | - | - | - | resumed > fire c, run b | b ok/1 | c fired > output | COMPLETED = completed",
    );
}

#[test]
fn a_paused_execution_ends_when_nothing_is_left_to_start() {
    check(
        "a",
        "begin, pause, a ok, output",
        "> run a | paused | a ok/1 > output | COMPLETED = completed",
    );
    check(
        "a -> b",
        "begin, pause, a fail",
        "> run a | paused | a failed/1, FAILED = failed",
    );
}

#[test]
fn a_paused_execution_is_cancelled_and_its_time_runs() {
    check(
        "a -> b",
        "begin, pause, a ok, cancel",
        "> run a | paused | a ok/1 | cancel, CANCELLED = cancelled",
    );
    check(
        "a -> b; *: timeout 500",
        "begin, pause, a ok, @500",
        "> run a | paused | a ok/1 | time up, TIMED OUT = timed_out",
    );
    check(
        "a -> b; *: timeout 500",
        "begin, pause, a ok",
        "> run a | paused | a ok/1 = paused until 500",
    );
}

#[test]
fn items_that_run_are_settled_and_no_other_is_handed_out() {
    check(
        "a; a: items, window 1",
        "begin, a open 2, pause, a[0] ok, crash, unpause, a[1] ok, a collect, output",
        "> open a | a opened 2 > run a[0] | paused | a settled 0+1 | - | resumed > run a[1] | a settled 1+1 > collect a | a complete > output | COMPLETED = completed",
    );
}

#[test]
fn an_unknown_effect_is_parked_and_stays_paused_after_the_decision() {
    check(
        "a -> b; a: once",
        "begin, a start, pause, a unknown",
        "> prepare a | a started/1 > start a | paused | a unknown/1, parked on a = parked",
    );
    check(
        "a -> b; a: once",
        "begin, a start, pause, a unknown, unpark a ok",
        "> prepare a | a started/1 > start a | paused | a unknown/1, parked on a | a unparked ok = paused",
    );
    check(
        "a -> b; a: once",
        "begin, a start, pause, a unknown, unpause, unpark a ok, b ok, output",
        "> prepare a | a started/1 > start a | paused | a unknown/1, parked on a | resumed | a unparked ok > run b | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn poison_and_a_pause_are_lifted_each_by_its_own() {
    check(
        "a",
        "begin, poison, pause, unpark - retry, unpause, a ok, output",
        "> run a | - | paused | - unparked retry | resumed > run a | a ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn pausing_twice_and_going_on_twice_say_nothing_new() {
    check(
        "a",
        "begin, unpause, pause, pause, unpause, unpause, a ok, output",
        "> run a | - | paused | - | resumed | - | a ok/1 > output | COMPLETED = completed",
    );
}
