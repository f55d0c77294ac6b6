//! Tokens that are split and merged.

use crate::rig::script::{check, check_statuses};

#[test]
fn one_token_becomes_several_and_they_become_one() {
    check(
        "s -> a -> m -> z; s: split 3; m: merge 3",
        "begin, s ok, a#2 ok, a ok, a#3 ok, m ok, z ok, output",
        "> run s | s ok/1 > run a, run a#2, run a#3 | a#2 ok/1 | a ok/1 | a#3 ok/1 > run m | m ok/1 > run z | z ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_dead_token_becomes_several_dead_ones() {
    check_statuses(
        "p -> s -> a -> m -> z; s: split 2; m: merge 2",
        "begin, p ok to, output",
        "p succeeded, s skipped, a skipped, a skipped, m skipped, z skipped",
    );
}

#[test]
fn a_merge_runs_if_one_of_its_tokens_lives() {
    check(
        "s -> a -> m; s: split 3; m: merge 3",
        "begin, s ok, a ok to, a#2 ok, a#3 ok to, m ok, output",
        "> run s | s ok/1 > run a, run a#2, run a#3 | a ok/1 | a#2 ok/1 | a#3 ok/1 > run m | m ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_merge_counts_tokens_and_not_connections() {
    check(
        "s -> a -> m, b -> m, c -> m; s: split 2; m: merge 2",
        "begin, s ok, b ok, c ok, m ok, a ok, a#2 ok, m#2 ok, output",
        "> run s, run b, run c | s ok/1 > run a, run a#2 | b ok/1 | c ok/1 > run m | m ok/1 | a ok/1 | a#2 ok/1 > run m#2 | m#2 ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn what_is_split_twice_is_merged_twice() {
    check(
        "s -> t -> a -> m -> n; s: split 2; t: split 2; m: merge 2; n: merge 2",
        "begin, s ok, t ok, t#2 ok, a#4 ok, a ok, m ok, a#3 ok, a#2 ok, m#2 ok, n ok, output",
        "> run s | s ok/1 > run t, run t#2 | t ok/1 > run a, run a#2 | t#2 ok/1 > run a#3, run a#4 | a#4 ok/1 | a ok/1 > run m | m ok/1 | a#3 ok/1 | a#2 ok/1 > run m#2 | m#2 ok/1 > run n | n ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn branches_of_as_many_tokens_are_joined_pair_by_pair() {
    check(
        "s -> a -> j, s -> b -> j, j -> m; s: split 2; m: merge 2",
        "begin, s ok, a ok, b#2 ok, j ok, a#2 ok, b ok, j#2 ok, m ok, output",
        "> run s | s ok/1 > run a, run a#2, run b, run b#2 | a ok/1 | b#2 ok/1 > run j | j ok/1 | a#2 ok/1 | b ok/1 > run j#2 | j#2 ok/1 > run m | m ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn each_round_of_a_loop_splits_and_merges_anew() {
    check(
        "s -> a -> m -> ^s, m -> z; s: split 2; m: merge 2",
        "begin, s ok, a ok, a#2 ok, m ok, s#2 ok, a#3 ok, crash, a#4 ok, m#2 ok to z, z ok, output",
        "> run s | s ok/1 > run a, run a#2 | a ok/1 | a#2 ok/1 > run m | m ok/1 > run s#2 | s#2 ok/1 > run a#3, run a#4 | a#3 ok/1 | > run a#4 | a#4 ok/1 > run m#2 | m#2 ok/1 > run z | z ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_body_splits_and_merges_in_each_of_its_runs() {
    check(
        "e; e each { s -> a -> m }; e: window 1; s: split 2; m: merge 2",
        "begin, e open 2, e[0] with x, e[0]/s ok, e[0]/a ok, e[0]/a#2 ok, e[0]/m ok, e[1] with y, e[1]/s ok, e[1]/a#2 ok, e[1]/a ok, e[1]/m ok, e collect, output",
        "> run e | e opened 2 > enter e[0] | e[0] in > run e[0]/s | e[0]/s ok/1 > run e[0]/a, run e[0]/a#2 | e[0]/a ok/1 | e[0]/a#2 ok/1 > run e[0]/m | e[0]/m ok/1, e[0] out > enter e[1] | e[1] in > run e[1]/s | e[1]/s ok/1 > run e[1]/a, run e[1]/a#2 | e[1]/a#2 ok/1 | e[1]/a ok/1 > run e[1]/m | e[1]/m ok/1, e[1] out > collect e | e complete > output | COMPLETED = completed",
    );
}

#[test]
fn all_activations_of_a_node_are_given_up() {
    check_statuses(
        "k, s -> a -> m; s: split 2; m: merge 2; k: cancel; a: wait",
        "begin, s ok, a waits 500, k cancels a, a#2 ok, output",
        "k succeeded, s succeeded, a cancelled, a cancelled, m skipped",
    );
}
