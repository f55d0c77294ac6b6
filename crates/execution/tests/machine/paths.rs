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

#[test]
fn a_large_value_that_is_passed_on_is_no_entry_again() {
    check(
        "a -> b, b.high -> c, c -> d",
        "begin, a ok-large, b ok-passes via high, c ok-passes, d ok",
        "> run a | a ok/1 > run b | b passed/1 > run c | c passed/1 > run d | d ok/1 > output = busy",
    );
    // A small one can be read where it stands, and a list of results is no one value.
    check(
        "a -> b",
        "begin, a ok, b ok-passes",
        "> run a | a ok/1 > run b | b ok/1 > output = busy",
    );
    check(
        "a -> b; b: each 1",
        "begin, a ok-large, b open 1, b[0] ok-passes, b collect",
        "> run a | a ok/1 > run b | b opened 1 > run b[0] | b settled 0+1 > collect b | b complete > output = busy",
    );
}
