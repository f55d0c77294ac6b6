//! Cancellations, stops, time limits, and what a crash leaves of them.

use crate::rig::script::check;

#[test]
fn a_cancellation_before_anything_ran() {
    check(
        "a",
        "begin, cancel, a cancelled",
        "> run a | cancel > abort a | CANCELLED = cancelled",
    );
}

#[test]
fn a_cancellation_while_an_at_most_once_write_runs_ends_with_the_question_open() {
    check(
        "a; a: once",
        "begin, a start, cancel, a unknown",
        "> prepare a | a started/1 > start a | cancel > abort a | a unknown/1, CANCELLED = cancelled",
    );
}

#[test]
fn a_cancellation_of_a_parked_execution_ends_it() {
    check(
        "a; a: once",
        "begin, a start, a unknown, cancel",
        "> prepare a | a started/1 > start a | a unknown/1, parked on a | cancel, CANCELLED = cancelled",
    );
}

#[test]
fn a_cancellation_overrules_a_failure_that_waits_for_a_person() {
    check(
        "a, b; a: once",
        "begin, a start, a unknown, b fail, cancel",
        "> prepare a, run b | a started/1 > start a | a unknown/1 | b failed/1, parked on a | cancel, CANCELLED = cancelled",
    );
}

#[test]
fn a_second_cancellation_says_nothing_new() {
    check(
        "a",
        "begin, cancel, cancel, a ok, cancel",
        "> run a | cancel > abort a | - | a ok/1, CANCELLED | - = cancelled",
    );
}

#[test]
fn a_cancellation_beats_an_output_under_way() {
    check(
        "a",
        "begin, a ok, cancel, output",
        "> run a | a ok/1 > output | cancel, CANCELLED | - = cancelled",
    );
}

#[test]
fn nothing_follows_what_ends_after_the_cancellation() {
    check(
        "a -> b",
        "begin, cancel, a ok",
        "> run a | cancel > abort a | a ok/1, CANCELLED = cancelled",
    );
}

#[test]
fn an_end_is_taken_up_after_a_crash() {
    check(
        "a, b; a: once",
        "begin, a start, cancel, crash",
        "> prepare a, run b | a started/1 > start a | cancel > abort a, abort b | a unknown/1, CANCELLED = cancelled",
    );
}

#[test]
fn a_failure_is_taken_up_after_a_crash_and_asks_about_what_was_lost() {
    check(
        "a, b; a: once",
        "begin, a start, b fail, crash, unpark a ok",
        "> prepare a, run b | a started/1 > start a | b failed/1 > abort a | a unknown/1, parked on a | a unparked ok, FAILED = failed",
    );
}

#[test]
fn a_lost_attempt_that_would_be_asked_about_stays_unknown_at_the_end() {
    check(
        "a; a: once, reconciles",
        "begin, a start, crash, cancel",
        "> prepare a | a started/1 > start a | - | cancel, a unknown/1, CANCELLED = cancelled",
    );
}

#[test]
fn stop_completes_with_its_output() {
    check(
        "a -> b, c; a: stop",
        "begin, a stop, c cancelled",
        "> run a, run c | a stops > abort c | COMPLETED = completed",
    );
}

#[test]
fn stop_waits_for_the_decision_about_an_unknown_write() {
    check(
        "a, c; a: stop; c: once",
        "begin, c start, a stop, c unknown, unpark c ok",
        "> run a, prepare c | c started/1 > start c | a stops > abort c | c unknown/1, parked on c | c unparked ok, COMPLETED = completed",
    );
}

#[test]
fn the_time_of_an_execution_ends_it() {
    check(
        "a; *: timeout 500",
        "begin, @499, @500, a cancelled",
        "> run a | - | time up > abort a | TIMED OUT = timed_out",
    );
}

#[test]
fn the_time_of_an_execution_counts_while_it_waits() {
    check(
        "a; a: wait; *: timeout 500",
        "begin, a waits 9000, @500",
        "> run a | a waits@9000 | time up, TIMED OUT = timed_out",
    );
}

#[test]
fn the_time_of_an_execution_counts_while_its_output_is_evaluated() {
    check(
        "a; *: timeout 500",
        "begin, a ok, @500, output",
        "> run a | a ok/1 > output | time up, TIMED OUT | - = timed_out",
    );
}

#[test]
fn the_time_of_a_parked_execution_is_noted_and_the_person_still_asked() {
    check(
        "a; a: once; *: timeout 500",
        "begin, a start, a unknown, @500, unpark a ok",
        "> prepare a | a started/1 > start a | a unknown/1, parked on a | time up | a unparked ok, TIMED OUT = timed_out",
    );
}
