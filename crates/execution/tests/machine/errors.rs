//! Attempts that fail.

use crate::rig::script::check;

#[test]
fn a_failed_node_fails_the_execution() {
    check(
        "a -> b",
        "begin, a fail",
        "> run a | a failed/1, FAILED = failed",
    );
}

#[test]
fn a_failure_stops_what_runs_and_waits_for_it() {
    check(
        "a, b",
        "begin, a fail, b cancelled",
        "> run a, run b | a failed/1 > abort b | FAILED = failed",
    );
}

#[test]
fn a_failure_waits_for_a_result_that_comes_anyway() {
    check(
        "a, b; b: write",
        "begin, b start, a fail, b ok",
        "> run a, prepare b | b started/1 > start b | a failed/1 > abort b | b ok/1, FAILED = failed",
    );
}

#[test]
fn an_error_port_routes_the_failure() {
    check(
        "a -> b, a.error -> c",
        "begin, a fail, c ok, output",
        "> run a | a failed/1 > run c | c ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn the_error_port_is_dead_after_a_success() {
    check(
        "a -> b, a.error -> c",
        "begin, a ok, b ok, output",
        "> run a | a ok/1 > run b | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn continue_goes_on_without_a_result() {
    check(
        "a -> b; a: continue",
        "begin, a fail, b ok, output",
        "> run a | a failed/1 > run b | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn nothing_that_was_ready_runs_after_a_failure() {
    check(
        "a, b, c; *: limit 1",
        "begin, a fail",
        "> run a | a failed/1, FAILED = failed",
    );
}

#[test]
fn a_start_that_comes_after_the_failure_is_not_journalled() {
    check(
        "a, b; b: once",
        "begin, a fail, b start, b cancelled",
        "> run a, prepare b | a failed/1 > abort b | FAILED | - = failed",
    );
}
