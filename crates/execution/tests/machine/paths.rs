//! Chains, diamonds, and paths that die.

use crate::rig::script::check;

#[test]
fn a_chain_runs_in_order() {
    check(
        "a -> b -> c",
        "begin, a ok, b ok, c ok, output",
        "> run a | a ok/1 > run b | b ok/1 > run c | c ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn branches_of_a_diamond_run_side_by_side() {
    check(
        "a -> b, a -> c, b -> d, c -> d",
        "begin, a ok, c ok, b ok, d ok, output",
        "> run a | a ok/1 > run b, run c | c ok/1 | b ok/1 > run d | d ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_higher_priority_runs_first_then_the_order_of_the_definition() {
    check(
        "a, b, c; c: first 5; *: limit 1",
        "begin, c ok, a ok, b ok",
        "> run c | c ok/1 > run a | a ok/1 > run b | b ok/1 > output = busy",
    );
}

#[test]
fn no_more_attempts_run_than_the_limit_allows() {
    check(
        "a, b, c; *: limit 2",
        "begin, a ok",
        "> run a, run b | a ok/1 > run c = busy",
    );
}

#[test]
fn an_execution_without_a_condition_needs_an_output_to_complete() {
    check(
        "a",
        "begin, a ok, output fail",
        "> run a | a ok/1 > output | FAILED = failed",
    );
}

#[test]
fn a_condition_that_is_false_makes_its_path_dead() {
    check(
        "a -> b -> c",
        "begin, a ok to, output",
        "> run a | a ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_port_that_is_not_taken_makes_its_path_dead() {
    check(
        "a.true -> b, a.false -> c, b -> d, c -> d",
        "begin, a ok via true, b ok, d ok, output",
        "> run a | a ok/1 > run b | b ok/1 > run d | d ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_skipped_node_passes_death_on() {
    check(
        "a -> b -> c, a -> c",
        "begin, a ok, b skip, c ok, output",
        "> run a | a ok/1 > run b | b skipped > run c | c ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_disabled_writer_runs_without_a_journalled_start() {
    check(
        "a; a: once, disabled",
        "begin, a ok, output",
        "> run a | a ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_pinned_for_each_is_not_opened() {
    check(
        "a; a: items, pinned",
        "begin, a ok, output",
        "> run a | a ok/1 > output | COMPLETED = completed",
    );
}
