//! Joins.

use crate::rig::script::check;

#[test]
fn all_waits_for_every_input_and_runs_if_one_lives() {
    check(
        "a -> c, b -> c",
        "begin, a ok to, b ok, c ok, output",
        "> run a, run b | a ok/1 | b ok/1 > run c | c ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn all_is_skipped_when_every_input_is_dead() {
    check(
        "a -> c, b -> c, c -> d",
        "begin, a ok to, b ok to, output",
        "> run a, run b | a ok/1 | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn any_runs_with_the_first_and_absorbs_the_rest() {
    check(
        "a -> c, b -> c; c: any",
        "begin, b ok, c ok, a ok, output",
        "> run a, run b | b ok/1 > run c | c ok/1 | a ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn any_passes_death_on_only_when_all_are_dead() {
    check(
        "a -> c, b -> c, c -> d; c: any",
        "begin, a ok to, b ok to, output",
        "> run a, run b | a ok/1 | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn any_runs_once_however_late_the_rest_comes() {
    check(
        "a -> c, b -> c; c: any",
        "begin, a ok to, b ok, c ok, output",
        "> run a, run b | a ok/1 | b ok/1 > run c | c ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn count_runs_with_the_second_live_token() {
    check(
        "a -> d, b -> d, c -> d; d: count 2",
        "begin, a ok, b ok to, c ok, d ok, output",
        "> run a, run b, run c | a ok/1 | b ok/1 | c ok/1 > run d | d ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn count_is_skipped_when_too_few_live() {
    check(
        "a -> d, b -> d, c -> d; d: count 2",
        "begin, a ok, b ok to, c ok to, output",
        "> run a, run b, run c | a ok/1 | b ok/1 | c ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn each_runs_once_for_each_live_token() {
    check(
        "a -> c, b -> c; c: each",
        "begin, b ok, a ok, c ok, c#2 ok, output",
        "> run a, run b | b ok/1 > run c | a ok/1 > run c#2 | c ok/1 | c#2 ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn each_passes_each_dead_token_on() {
    check(
        "a -> c, b -> c, c -> d; c: each; d: each",
        "begin, a ok to, b ok, c#2 ok, d#2 ok, output",
        "> run a, run b | a ok/1 | b ok/1 > run c#2 | c#2 ok/1 > run d#2 | d#2 ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn an_any_join_rearms_after_each_round() {
    check(
        "a -> s, b -> s, s -> x, s -> y, x -> j, y -> j; s: each; j: any",
        "begin, a ok, b ok, s ok, s#2 ok, x ok, x#2 ok, j ok, y ok, j#2 ok, y#2 ok, output",
        "> run a, run b | a ok/1 > run s | b ok/1 > run s#2 | s ok/1 > run x, run y | s#2 ok/1 > run x#2, run y#2 | x ok/1 > run j | x#2 ok/1 | j ok/1 | y ok/1 > run j#2 | j#2 ok/1 | y#2 ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn an_all_join_pairs_tokens_of_the_same_round() {
    check(
        "a -> s, b -> s, s -> x, s -> y, x -> j, y -> j; s: each",
        "begin, a ok, b ok, s ok, s#2 ok, x#2 ok, y ok, x ok, y#2 ok, j ok, j#2 ok, output",
        "> run a, run b | a ok/1 > run s | b ok/1 > run s#2 | s ok/1 > run x, run y | s#2 ok/1 > run x#2, run y#2 | x#2 ok/1 | y ok/1 > run j | x ok/1 | y#2 ok/1 > run j#2 | j ok/1 | j#2 ok/1 > output | COMPLETED = completed",
    );
}
