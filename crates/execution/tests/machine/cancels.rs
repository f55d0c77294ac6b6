//! Giving nodes up: `flow.cancel`, and joins that cancel the rest.

use crate::rig::script::{check, check_statuses};

#[test]
fn what_waits_is_given_up_and_sends_dead_tokens() {
    check(
        "k, w -> z; k: cancel; w: wait",
        "begin, w waits 500, k cancels w, output",
        "> run k, run w | w waits@500 | k cancels w > output | COMPLETED = completed",
    );
    check_statuses(
        "k, w -> z; k: cancel; w: wait",
        "begin, w waits 500, k cancels w, output",
        "k succeeded, w cancelled, z skipped",
    );
}

#[test]
fn what_has_not_begun_never_begins() {
    check(
        "k, a -> b -> c; k: cancel",
        "begin, k cancels b, a ok, output",
        "> run k, run a | k cancels b | a ok/1 > output | COMPLETED = completed",
    );
    check_statuses(
        "k, a -> b -> c; k: cancel",
        "begin, k cancels b, a ok, output",
        "k succeeded, a succeeded, b cancelled, c skipped",
    );
}

#[test]
fn what_has_ended_stays() {
    check_statuses(
        "a -> b, k; k: cancel",
        "begin, a ok, k cancels a, b ok, output",
        "a succeeded, b succeeded, k succeeded",
    );
}

#[test]
fn a_join_learns_that_nothing_comes_from_what_was_given_up() {
    check(
        "k, w -> j, a -> j; k: cancel; w: wait",
        "begin, w waits 500, a ok, k cancels w, j ok, output",
        "> run k, run w, run a | w waits@500 | a ok/1 | k cancels w > run j | j ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn an_attempt_without_effects_is_told_to_stop_and_its_answer_passed_over() {
    check(
        "k, a -> z; k: cancel",
        "begin, k cancels a, a ok, output",
        "> run k, run a | k cancels a > abort a | > output | COMPLETED = completed",
    );
}

#[test]
fn what_an_attempt_did_outside_is_known_before_it_ends() {
    check(
        "k, a -> z; k: cancel; a: write",
        "begin, a start, k cancels a, a cancelled, output",
        "> run k, prepare a | a started/1 > start a | k cancels a > abort a | a failed/1 > output | COMPLETED = completed",
    );
    check_statuses(
        "k, a -> z; k: cancel; a: write",
        "begin, a start, k cancels a, a cancelled, output",
        "k succeeded, a cancelled, z skipped",
    );
}

#[test]
fn a_result_that_came_all_the_same_is_kept_and_nothing_follows() {
    check(
        "k, a -> z; k: cancel; a: once",
        "begin, a start, k cancels a, a ok, output",
        "> run k, prepare a | a started/1 > start a | k cancels a > abort a | a ok/1 > output | COMPLETED = completed",
    );
    check_statuses(
        "k, a -> z; k: cancel; a: once",
        "begin, a start, k cancels a, a ok, output",
        "k succeeded, a succeeded, z skipped",
    );
}

#[test]
fn a_failure_of_what_was_given_up_fails_nothing() {
    check(
        "k, a -> z; k: cancel; a: write, retry 3",
        "begin, a start, k cancels a, a again, output",
        "> run k, prepare a | a started/1 > start a | k cancels a > abort a | a failed/1 > output | COMPLETED = completed",
    );
}

#[test]
fn an_effect_that_nobody_knows_about_is_asked_about() {
    for (decision, how) in [
        ("ok", "succeeded"),
        ("failed", "cancelled"),
        ("retry", "cancelled"),
    ] {
        let script =
            format!("begin, a start, k cancels a, a unknown, crash, unpark a {decision}, output");
        check(
            "k, a -> z; k: cancel; a: once",
            &script,
            &format!(
                "> run k, prepare a | a started/1 > start a | k cancels a > abort a | a unknown/1, parked on a | - | a unparked {decision} > output | COMPLETED = completed"
            ),
        );
        check_statuses(
            "k, a -> z; k: cancel; a: once",
            &script,
            &format!("k succeeded, a {how}, z skipped"),
        );
    }
}

#[test]
fn a_holder_that_goes_away_changes_nothing() {
    check(
        "k, a -> z; k: cancel; a: write",
        "begin, a start, k cancels a, crash, output",
        "> run k, prepare a | a started/1 > start a | k cancels a > abort a | a failed/1 > output | COMPLETED = completed",
    );
    check(
        "k, a -> z; k: cancel; a: once",
        "begin, a start, k cancels a, crash, unpark a failed, output",
        "> run k, prepare a | a started/1 > start a | k cancels a > abort a | a unknown/1, parked on a | a unparked failed > output | COMPLETED = completed",
    );
}

#[test]
fn a_body_is_given_up_with_its_node() {
    check(
        "k, p -> z; p both { a -> b, w }; k: cancel; w: wait",
        "begin, p in, p/w waits 500, k cancels p, p/a ok, output",
        "> run k, run p | p in > run p/a, run p/w | p/w waits@500 | k cancels p > abort p/a | p/a ok/1, p out, p cancelled > output | COMPLETED = completed",
    );
}

#[test]
fn what_runs_in_any_case_does_not_when_its_node_is_given_up() {
    check(
        "k, t; t try { a | h | !f }; k: cancel",
        "begin, t in, k cancels t, t/a fail, output",
        "> run k, run t | t in > run t/a | k cancels t > abort t/a | t/a failed/1, t out, t cancelled > output | COMPLETED = completed",
    );
}

#[test]
fn a_body_that_has_failed_is_given_up_before_anybody_handles_it() {
    check(
        "k, t; t try { a | h | !f }; k: cancel",
        "begin, t in, t/a fail, k cancels t, t caught by h, output",
        "> run k, run t | t in > run t/a | t/a failed/1 > catch t (a) | k cancels t > abort t | t out, t cancelled > output | COMPLETED = completed",
    );
}

#[test]
fn the_items_of_a_list_are_given_up() {
    check(
        "k, l -> z; k: cancel; l: items, write, window 2",
        "begin, l open 3, l[0] start, l[1] start, l[0] ok, k cancels l, l[1] cancelled, output",
        "> run k, open l | l opened 3 > prepare l[0], prepare l[1] | l[0] started/1 > start l[0] | l[1] started/1 > start l[1] | l[0] ok/1 > prepare l[2] | k cancels l > abort l[1], abort l[2] | l[1] failed/1 | - = busy",
    );
    check(
        "k, l -> z; k: cancel; l: items, write, window 2",
        "begin, l open 3, l[0] start, l[1] start, l[0] ok, k cancels l, l[1] cancelled, l[2] start, output",
        "> run k, open l | l opened 3 > prepare l[0], prepare l[1] | l[0] started/1 > start l[0] | l[1] started/1 > start l[1] | l[0] ok/1 > prepare l[2] | k cancels l > abort l[1], abort l[2] | l[1] failed/1 | l cancelled > output | COMPLETED = completed",
    );
}

#[test]
fn the_bodies_of_items_are_given_up() {
    check(
        "k, e -> z; e each { a -> b }; k: cancel; e: window 2",
        "begin, e open 3, e[0] with x, e[1] with y, e[0]/a ok, k cancels e, e[0]/b ok, e[1]/a ok, output",
        "> run k, run e | e opened 3 > enter e[0], enter e[1] | e[0] in > run e[0]/a | e[1] in > run e[1]/a | e[0]/a ok/1 > run e[0]/b | k cancels e > abort e[1]/a, abort e[0]/b | e[0]/b ok/1, e[0] out | e[1]/a ok/1, e[1] out, e cancelled > output | COMPLETED = completed",
    );
}

#[test]
fn rounds_are_given_up_between_two_of_them() {
    check(
        "k, l -> z; l loop { a }; k: cancel",
        "begin, l rounds, l[0] with x, l[0]/a ok, l[1] waits 500, k cancels l, crash, output",
        "> run k, run l | l rounds > enter l[0] | l[0] in > run l[0]/a | l[0]/a ok/1, l[0] out > enter l[1] | l[1] waits@500 | k cancels l, l cancelled > output | > output | COMPLETED = completed",
    );
}

#[test]
fn a_node_in_a_body_gives_up_what_is_around_it() {
    check(
        "p -> z, w -> y; p both { k -> a }; k: cancel; w: wait",
        "begin, p in, w waits 500, p/k cancels w, p/a ok, p collect, z ok, output",
        "> run p, run w | p in > run p/k | w waits@500 | p/k cancels w > run p/a | p/a ok/1, p out > collect p | p done > run z | z ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn each_run_of_a_body_gives_up_its_own_nodes() {
    check(
        "e; e each { k, w }; k: cancel; w: wait",
        "begin, e open 2, e[0] with x, e[1] with y, e[0]/w waits 500, e[1]/w waits 500, e[0]/k cancels w, crash, @500",
        "> run e | e opened 2 > enter e[0], enter e[1] | e[0] in > run e[0]/k, run e[0]/w | e[1] in > run e[1]/k, run e[1]/w | e[0]/w waits@500 | e[1]/w waits@500 | e[0]/k cancels w, e[0] out | > run e[1]/k | > fire e[1]/w = busy",
    );
}

#[test]
fn a_node_that_was_given_up_wins_no_race() {
    check(
        "r; r race { k -> x, a, b }; k: cancel; a: write",
        "begin, r in, r/a start, r/k cancels a, r/a ok, r/b ok, r/x ok, r collect, output",
        "> run r | r in > run r/k, prepare r/a, run r/b | r/a started/1 > start r/a | r/k cancels a > abort r/a, run r/x | r/a ok/1 | r/b ok/1 > abort r/x | r/x ok/1, r out > collect r | r done > output | COMPLETED = completed",
    );
}

#[test]
fn in_a_loop_a_round_is_given_up_and_the_next_one_runs() {
    check(
        "a -> k, a -> w, k -> j, w -> j, j -> ^a; k: cancel; w: wait; j: any",
        "begin, a ok, w waits 500, k cancels w, j ok, a#2 ok, k#2 ok to, w#2 waits 900, @900, w#2 fired, j#2 ok to, output",
        "> run a | a ok/1 > run k, run w | w waits@500 | k cancels w > run j | j ok/1 > run a#2 | a#2 ok/1 > run k#2, run w#2 | k#2 ok/1 | w#2 waits@900 | > fire w#2 | w#2 fired > run j#2 | j#2 ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn the_execution_can_be_given_up() {
    check(
        "k -> z, a; k: cancel; a: write",
        "begin, a start, k quits, a cancelled",
        "> run k, prepare a | a started/1 > start a | k quits > abort a | a failed/1, CANCELLED = cancelled",
    );
    check(
        "k -> z, a; k: cancel; a: once",
        "begin, a start, k quits, a unknown, crash, unpark a ok",
        "> run k, prepare a | a started/1 > start a | k quits > abort a | a unknown/1, parked on a | - | a unparked ok, CANCELLED = cancelled",
    );
}

#[test]
fn a_signal_that_was_waited_for_stays_for_others() {
    check(
        "k, w, v; k: cancel; w: wait; v: wait",
        "begin, w awaits go, k cancels w, signal go 1, v awaits go, v took, output",
        "> run k, run w, run v | w awaits go | k cancels w | go1 came | v awaits go > take v | v took 1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_join_cancels_the_branches_that_come_too_late() {
    check(
        "a -> b -> j, c -> d -> j, j -> z; j: first-of 1; c: wait",
        "begin, c waits 500, a ok, b ok, j ok, z ok, output",
        "> run a, run c | c waits@500 | a ok/1 > run b | b ok/1 > run j | j ok/1 > run z | z ok/1 > output | COMPLETED = completed",
    );
    check_statuses(
        "a -> b -> j, c -> d -> j, j -> z; j: first-of 1; c: wait",
        "begin, c waits 500, a ok, b ok, j ok, z ok, output",
        "a succeeded, b succeeded, j succeeded, c cancelled, d skipped, z succeeded",
    );
}

#[test]
fn what_also_leads_elsewhere_runs_on() {
    check_statuses(
        "a -> j, c -> j, c -> x, d -> e -> j, d -> f; j: first-of 1",
        "begin, a ok, c ok, x ok, d ok, f ok, j ok, output",
        "a succeeded, j succeeded, c succeeded, x succeeded, d succeeded, e cancelled, f succeeded",
    );
}

#[test]
fn the_join_counts_before_it_cancels() {
    check(
        "a -> j, b -> j, c -> j; j: first-of 2; c: write",
        "begin, a ok, c start, b ok, j ok, c cancelled, output",
        "> run a, run b, prepare c | a ok/1 | c started/1 > start c | b ok/1 > abort c, run j | j ok/1 | c failed/1 > output | COMPLETED = completed",
    );
}

#[test]
fn in_a_loop_the_join_cancels_the_rest_of_its_round() {
    check(
        "a -> b, a -> c, b -> j, c -> j, j -> ^a; j: first-of 1; c: wait",
        "begin, a ok, c waits 500, b ok, j ok, a#2 ok, b#2 ok to, c#2 waits 900, @900, c#2 fired, j#2 ok to, output",
        "> run a | a ok/1 > run b, run c | c waits@500 | b ok/1 > run j | j ok/1 > run a#2 | a#2 ok/1 > run b#2, run c#2 | b#2 ok/1 | c#2 waits@900 | > fire c#2 | c#2 fired > run j#2 | j#2 ok/1 > output | COMPLETED = completed",
    );
}
