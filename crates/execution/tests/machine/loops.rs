//! Connections that go back: rounds, exits, bounds.

use crate::rig::script::{check, check_statuses};

#[test]
fn a_live_token_that_goes_back_begins_the_next_round() {
    check(
        "s -> a -> b, b -> ^a, b -> z",
        "begin, s ok, a ok, b ok to a, a#2 ok, b#2 ok to z, z ok, output",
        "> run s | s ok/1 > run a | a ok/1 > run b | b ok/1 > run a#2 | a#2 ok/1 > run b#2 | b#2 ok/1 > run z | z ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_node_may_go_back_to_itself_and_be_the_start() {
    check(
        "a -> ^a, a -> z",
        "begin, a ok to a, a#2 ok to a, a#3 ok to, output",
        "> run a | a ok/1 > run a#2 | a#2 ok/1 > run a#3 | a#3 ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn what_leaves_a_loop_waits_for_its_end_and_is_sent_once() {
    check(
        "a -> b -> ^a, a -> z",
        "begin, a ok, b ok, a#2 ok to b, b#2 ok to, z ok, output",
        "> run a | a ok/1 > run b | b ok/1 > run a#2 | a#2 ok/1 > run b#2 | b#2 ok/1 > run z | z ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_loop_of_which_no_round_left_alive_passes_death_on() {
    check_statuses(
        "a -> b -> ^a, b -> z -> y",
        "begin, a ok, b ok to a, a#2 ok, b#2 ok to, output",
        "a succeeded, a succeeded, b succeeded, b succeeded, z skipped, y skipped",
    );
}

#[test]
fn a_loop_that_nothing_reaches_is_skipped() {
    check_statuses(
        "s -> a -> b -> ^a, b -> z",
        "begin, s ok to, output",
        "s succeeded, a skipped, b skipped, z skipped",
    );
}

#[test]
fn a_round_is_over_when_nothing_of_it_is_open() {
    check(
        "a -> b -> ^a, a -> c -> ^a",
        "begin, a ok, b ok, c ok to, a#2 ok, c#2 ok to, b#2 ok to, output",
        "> run a | a ok/1 > run b, run c | b ok/1 | c ok/1 > run a#2 | a#2 ok/1 > run b#2, run c#2 | c#2 ok/1 | b#2 ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_round_is_over_when_the_rest_of_its_lists_has_ended() {
    check(
        "a -> b -> ^a; a: items, weighs, absorbs, window 2",
        "begin, a open 2, a[0] ok, a weighed yes, a collect, b ok, a[1] ok, a#2 open 0, a#2 collect, b#2 ok to, output",
        "> open a | a opened 2 > run a[0], run a[1] | a settled 0+1 > weigh a | a enough > collect a | a complete > run b | b ok/1 | a settled 1+1, a absorbed > open a#2 | a#2 opened 0 > collect a#2 | a#2 complete > run b#2 | b#2 ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn joins_in_a_loop_work_per_round() {
    check(
        "a -> b, a -> c, b -> d, c -> d, d -> ^a; d: any",
        "begin, a ok, c ok, d ok, b ok, a#2 ok, b#2 ok, d#2 ok to, c#2 ok, output",
        "> run a | a ok/1 > run b, run c | c ok/1 > run d | d ok/1 | b ok/1 > run a#2 | a#2 ok/1 > run b#2, run c#2 | b#2 ok/1 > run d#2 | d#2 ok/1 | c#2 ok/1 > output | COMPLETED = completed",
    );
    check(
        "a -> b, a -> c, b -> d, c -> d, d -> ^a; d: each",
        "begin, a ok, b ok, c ok to, d ok, a#2 ok to, output",
        "> run a | a ok/1 > run b, run c | b ok/1 > run d | c ok/1 | d ok/1 > run a#2 | a#2 ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn the_first_round_begins_with_the_join_of_what_comes_from_outside() {
    check(
        "s -> a, t -> a, a -> b -> ^a; a: any",
        "begin, t ok, a ok, b ok, s ok, a#2 ok, b#2 ok to, output",
        "> run s, run t | t ok/1 > run a | a ok/1 > run b | b ok/1 > run a#2 | s ok/1 | a#2 ok/1 > run b#2 | b#2 ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn one_round_more_than_it_may_have_fails_where_the_loop_begins() {
    check(
        "a -> b -> ^a; a: rounds 2",
        "begin, a ok, b ok, a#2 ok, b#2 ok, a#3 fail",
        "> run a | a ok/1 > run b | b ok/1 > run a#2 | a#2 ok/1 > run b#2 | b#2 ok/1 > collect a#3 (the loop goes on after 2 rounds; `max_rounds` allows no more) | a#3 failed/1, FAILED = failed",
    );
}

#[test]
fn the_failure_of_a_loop_that_is_too_long_may_be_handled() {
    check(
        "a -> b -> ^a, a.error -> z; a: rounds 1",
        "begin, a ok, b ok, crash, a#2 fail, z ok, output",
        "> run a | a ok/1 > run b | b ok/1 > collect a#2 (the loop goes on after 1 rounds; `max_rounds` allows no more) | > collect a#2 (the loop goes on after 1 rounds; `max_rounds` allows no more) | a#2 failed/1 > run z | z ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn nothing_goes_back_from_the_round_that_is_too_long() {
    check(
        "a -> b -> ^a; a: rounds 1, continue",
        "begin, a ok, b ok, a#2 fail, b#2 ok, output",
        "> run a | a ok/1 > run b | b ok/1 > collect a#2 (the loop goes on after 1 rounds; `max_rounds` allows no more) | a#2 failed/1 > run b#2 | b#2 ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn loops_follow_each_other() {
    check(
        "a -> ^a, a -> b, b -> ^b, b -> z",
        "begin, a ok, a#2 ok to b, b ok to b z, b#2 ok to, z ok, output",
        "> run a | a ok/1 > run a#2 | a#2 ok/1 > run b | b ok/1 > run b#2 | b#2 ok/1 > run z | z ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_loop_in_a_body_ends_before_the_body() {
    check(
        "p -> z; p both { a -> b -> ^a }",
        "begin, p in, p/a ok, p/b ok, p/a#2 ok, p/b#2 ok to, p collect, z ok, output",
        "> run p | p in > run p/a | p/a ok/1 > run p/b | p/b ok/1 > run p/a#2 | p/a#2 ok/1 > run p/b#2 | p/b#2 ok/1, p out > collect p | p done > run z | z ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_failure_in_a_loop_ends_the_execution() {
    check(
        "a -> b -> ^a, a -> c -> ^a",
        "begin, a ok, b ok, c fail",
        "> run a | a ok/1 > run b, run c | b ok/1 | c failed/1, FAILED = failed",
    );
}
