//! Nodes with a body: runs that open, fail, are handled and close.

use crate::rig::script::check;

#[test]
fn a_body_runs_once_and_its_node_gives_what_its_end_nodes_give() {
    check(
        "p -> z; p both { a -> b, c }",
        "begin, p in, p/a ok, p/c ok, p/b ok, p collect, z ok, output",
        "> run p | p in > run p/a, run p/c | p/a ok/1 > run p/b | p/c ok/1 | p/b ok/1, p out > collect p | p done > run z | z ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_body_in_a_body_has_a_path() {
    check(
        "p; p both { q }; q both { a }",
        "begin, p in, p/q in, p/q/a ok, p/q collect, p collect, output",
        "> run p | p in > run p/q | p/q in > run p/q/a | p/q/a ok/1, p/q out > collect p/q | p/q done, p out > collect p | p done > output | COMPLETED = completed",
    );
}

#[test]
fn the_bodies_of_items_run_within_the_window() {
    check(
        "e; e each { a }; e: window 2",
        "begin, e open 3, e[0] with x, e[1] with y, e[1]/a ok, e[2] with z, e[0]/a ok, e[2]/a ok, e collect, output",
        "> run e | e opened 3 > enter e[0], enter e[1] | e[0] in > run e[0]/a | e[1] in > run e[1]/a | e[1]/a ok/1, e[1] out > enter e[2] | e[2] in > run e[2]/a | e[0]/a ok/1, e[0] out | e[2]/a ok/1, e[2] out > collect e | e complete > output | COMPLETED = completed",
    );
}

#[test]
fn a_failed_item_stops_the_bodies_of_the_others() {
    check(
        "e; e each { a }",
        "begin, e open 2, e[0] with x, e[1] with y, e[1]/a fail, e[0]/a cancelled, e fail",
        "> run e | e opened 2 > enter e[0], enter e[1] | e[0] in > run e[0]/a | e[1] in > run e[1]/a | e[1]/a failed/1, e[1] out > abort e[0]/a | e[0] out > collect e (item 1: it went wrong) | e failed/1, FAILED = failed",
    );
}

#[test]
fn a_failed_item_may_stand_in_the_list() {
    check(
        "e; e each { a }; e: continue",
        "begin, e open 2, e[0] with x, e[1] with y, e[1]/a fail, e[0]/a ok, e collect, output",
        "> run e | e opened 2 > enter e[0], enter e[1] | e[0] in > run e[0]/a | e[1] in > run e[1]/a | e[1]/a failed/1, e[1] out | e[0]/a ok/1, e[0] out > collect e | e complete > output | COMPLETED = completed",
    );
}

#[test]
fn rounds_follow_each_other() {
    check(
        "l; l loop { a }",
        "begin, l rounds, l[0] with x, l[0]/a ok, l[1] with y, l[1]/a ok, l[2] over, l collect, output",
        "> run l | l rounds > enter l[0] | l[0] in > run l[0]/a | l[0]/a ok/1, l[0] out > enter l[1] | l[1] in > run l[1]/a | l[1]/a ok/1, l[1] out > enter l[2] | > collect l | l done > output | COMPLETED = completed",
    );
}

#[test]
fn a_round_may_wait_for_its_time() {
    check(
        "l; l loop { a }",
        "begin, l rounds, l[0] with x, l[0]/a ok, l[1] waits 500, crash, @500, l[1] with y",
        "> run l | l rounds > enter l[0] | l[0] in > run l[0]/a | l[0]/a ok/1, l[0] out > enter l[1] | l[1] waits@500 | - | > enter l[1] | l[1] in > run l[1]/a = busy",
    );
}

#[test]
fn the_first_end_node_of_a_race_stops_the_others() {
    check(
        "r; r race { a -> b, c -> d }",
        "begin, r in, r/a ok, r/c ok, r/d ok, r/b cancelled, r collect, output",
        "> run r | r in > run r/a, run r/c | r/a ok/1 > run r/b | r/c ok/1 > run r/d | r/d ok/1 > abort r/b | r out > collect r | r done > output | COMPLETED = completed",
    );
}

#[test]
fn a_race_ends_with_its_time() {
    check(
        "r; r race { a }",
        "begin, r in 100, @100, r/a cancelled, r fail",
        "> run r | r in@100 > run r/a | r too long > abort r/a | r out > collect r (the body took longer than its node allows) | r failed/1, FAILED = failed",
    );
}

#[test]
fn what_a_loser_did_outside_is_asked_before_the_race_ends() {
    check(
        "r; r race { a, b }; b: once",
        "begin, r in, r/b start, r/a ok, r/b unknown, unpark r/b ok, r collect, output",
        "> run r | r in > run r/a, prepare r/b | r/b started/1 > start r/b | r/a ok/1 > abort r/b | r/b unknown/1, parked on r/b | r/b unparked ok, r out > collect r | r done > output | COMPLETED = completed",
    );
}

#[test]
fn a_failure_in_a_body_is_that_of_its_node() {
    check(
        "p; p both { a, b }",
        "begin, p in, p/a fail, p/b cancelled, p fail",
        "> run p | p in > run p/a, run p/b | p/a failed/1 > abort p/b | p out > collect p (`a`: it went wrong) | p failed/1, FAILED = failed",
    );
}

#[test]
fn a_handler_takes_the_failure_of_a_body() {
    check(
        "t; t try { a -> b | h -> i | !f }",
        "begin, t in, t/a fail, t caught by h, t/h ok, t/i ok, t/f ok, t collect, output",
        "> run t | t in > run t/a | t/a failed/1 > catch t (a) | t calls h > run t/h | t/h ok/1 > run t/i | t/i ok/1, t calls f > run t/f | t/f ok/1, t out > collect t | t done > output | COMPLETED = completed",
    );
}

#[test]
fn what_runs_in_any_case_runs_after_a_failure_that_nobody_handles() {
    check(
        "t; t try { a | h | !f }",
        "begin, t in, t/a fail, t caught, t/f ok, t fail",
        "> run t | t in > run t/a | t/a failed/1 > catch t (a) | t calls f > run t/f | t/f ok/1, t out > collect t (`a`: it went wrong) | t failed/1, FAILED = failed",
    );
}

#[test]
fn what_runs_in_any_case_runs_after_a_success() {
    check(
        "t; t try { a | h | !f }",
        "begin, t in, t/a ok, t/f ok, t collect, output",
        "> run t | t in > run t/a | t/a ok/1, t calls f > run t/f | t/f ok/1, t out > collect t | t done > output | COMPLETED = completed",
    );
}

#[test]
fn what_runs_inside_a_failed_body_is_gone_before_its_handler_begins() {
    check(
        "t; t try { p, a | h }; p both { b }",
        "begin, t in, t/p in, t/a fail, t/p/b cancelled, t caught by h, crash, t/h ok, t collect",
        "> run t | t in > run t/p, run t/a | t/p in > run t/p/b | t/a failed/1 > abort t/p/b | > catch t (a) | t calls h > run t/h | > run t/h | t/h ok/1, t out > collect t | t done > output = busy",
    );
}

#[test]
fn what_began_to_wait_in_a_failed_body_waits_in_vain() {
    check(
        "t; t try { w, a | h }; w: wait",
        "begin, t in, t/a fail, t/w waits 500, t caught by h, @600, t/h ok, t collect, output",
        "> run t | t in > run t/w, run t/a | t/a failed/1 > abort t/w | t/w waits@500 > catch t (a) | t calls h > run t/h | - | t/h ok/1, t out > collect t | t done > output | COMPLETED = completed",
    );
}

#[test]
fn a_handler_may_fail_itself() {
    check(
        "t; t try { a | h }",
        "begin, t in, t/a fail, t caught by h, t/h fail, t fail",
        "> run t | t in > run t/a | t/a failed/1 > catch t (a) | t calls h > run t/h | t/h failed/1, t out > collect t (`h`: it went wrong) | t failed/1, FAILED = failed",
    );
}

#[test]
fn a_question_who_handles_a_failure_survives_a_crash() {
    check(
        "t; t try { a | h }",
        "begin, t in, t/a fail, crash, t caught by h, crash, t/h ok, t collect, output",
        "> run t | t in > run t/a | t/a failed/1 > catch t (a) | > catch t (a) | t calls h > run t/h | > run t/h | t/h ok/1, t out > collect t | t done > output | COMPLETED = completed",
    );
}

#[test]
fn a_body_that_is_not_needed_any_more_is_cancelled_with_all_that_is_in_it() {
    check(
        "r; r race { a, p }; p both { b, c }",
        "begin, r in, r/p in, r/p/b ok, r/a ok, r/p/c cancelled, r collect",
        "> run r | r in > run r/a, run r/p | r/p in > run r/p/b, run r/p/c | r/p/b ok/1 | r/a ok/1 > abort r/p/c | r out > collect r | r done > output = busy",
    );
}

#[test]
fn cancelling_ends_bodies() {
    check(
        "p; p both { a, b }; b: wait",
        "begin, p in, p/b waits 500, cancel, p/a cancelled",
        "> run p | p in > run p/a, run p/b | p/b waits@500 | cancel > abort p/a | CANCELLED = cancelled",
    );
}

#[test]
fn a_node_behind_a_body_waits_for_it() {
    check(
        "p -> z; p both { a -> b }; a: wait",
        "begin, p in, p/a waits 500, crash, @500, p/a fired, p/b ok, crash, p collect, z ok",
        "> run p | p in > run p/a | p/a waits@500 | - | > fire p/a | p/a fired > run p/b | p/b ok/1, p out > collect p | > collect p | p done > run z | z ok/1 > output = busy",
    );
}

#[test]
fn a_pause_holds_bodies_as_they_are() {
    check(
        "p; p both { a -> b }",
        "begin, p in, pause, p/a ok, crash, unpause, p/b ok, p collect, output",
        "> run p | p in > run p/a | paused | p/a ok/1 | - | resumed > run p/b | p/b ok/1, p out > collect p | p done > output | COMPLETED = completed",
    );
}
