//! Effects that are undone.

use crate::rig::script::{check, check_statuses};

#[test]
fn the_newest_effect_is_undone_first() {
    check(
        "a -> b -> c; a: write, undo write; b: once, undo keyed",
        "begin, a start, a ok, b start, b ok, c fail, b start, b undone, a start, a undone",
        "> prepare a | a started/1 > start a | a ok/1, a undoable > prepare b | b started/1 > start b | b ok/1, b undoable > run c | c failed/1 > undo b/1 | b undo/1 > start b | b undone > undo a/1 | a undo/1 > start a | a undone, FAILED = failed",
    );
}

#[test]
fn what_was_undone_is_compensated_and_the_rest_stays() {
    check_statuses(
        "a -> b -> c; a: undo write",
        "begin, a ok, b ok, c fail, a start, a undone",
        "a compensated, b succeeded, c failed",
    );
}

#[test]
fn success_undoes_nothing() {
    check(
        "a; a: undo write",
        "begin, a ok, output",
        "> run a | a ok/1, a undoable > output | COMPLETED = completed",
    );
}

#[test]
fn an_early_end_undoes_nothing() {
    check(
        "a -> s; a: undo write; s: stop",
        "begin, a ok, s stop",
        "> run a | a ok/1, a undoable > run s | s stops, COMPLETED = completed",
    );
}

#[test]
fn what_succeeds_while_the_execution_ends_is_undone_too() {
    check(
        "a, b; a: write, undo write",
        "begin, a start, b fail, a ok, a start, a undone",
        "> prepare a, run b | a started/1 > start a | b failed/1 > abort a | a ok/1, a undoable > undo a/1 | a undo/1 > start a | a undone, FAILED = failed",
    );
}

#[test]
fn a_cancelled_execution_undoes_and_hears_no_second_cancellation() {
    check(
        "a -> w; a: undo write; w: wait",
        "begin, a ok, w waits 900, cancel, cancel, a start, cancel, a undone",
        "> run a | a ok/1, a undoable > run w | w waits@900 | cancel > undo a/1 | - | a undo/1 > start a | - | a undone, CANCELLED = cancelled",
    );
}

#[test]
fn the_time_limit_undoes_and_does_not_cut_the_undoing() {
    check(
        "a -> w; a: undo write, undoretry 2; w: wait; *: timeout 50",
        "begin, a ok, w waits 900, @60, a start, a undo again, @100, @160, a start, a undone",
        "> run a | a ok/1, a undoable > run w | w waits@900 | time up > undo a/1 | a undo/1 > start a | a undo failed/1 again@160 | - | > undo a/2 | a undo/2 > start a | a undone, TIMED OUT = timed_out",
    );
}

#[test]
fn between_two_attempts_it_is_compensating() {
    check(
        "a -> b; a: undo write, undoretry 3",
        "begin, a ok, b fail, a start, a undo late",
        "> run a | a ok/1, a undoable > run b | b failed/1 > undo a/1 | a undo/1 > start a | a undo failed/1 again@100 = compensating until 100",
    );
}

#[test]
fn a_compensation_that_failed_for_good_asks_a_person() {
    let before = "> run a | a ok/1, a undoable > run b | b ok/1, b undoable > run c | c failed/1 > undo b/1 | b undo/1 > start b | b undo failed/1, parked on undoing b";
    let script = "begin, a ok, b ok, c fail, b start, b undo fail";
    let plan = "a -> b -> c; a: undo write; b: undo write, undoretry 2";
    check(plan, script, &format!("{before} = parked"));
    check(
        plan,
        &format!("{script}, unpark b ok, a start, a undone"),
        &format!(
            "{before} | b unparked ok > undo a/1 | a undo/1 > start a | a undone, FAILED = failed"
        ),
    );
    check(
        plan,
        &format!("{script}, unpark b failed, a start, a undone"),
        &format!(
            "{before} | b unparked failed > undo a/1 | a undo/1 > start a | a undone, FAILED = failed"
        ),
    );
    check(
        plan,
        &format!("{script}, unpark b retry, b start, b undo again, @100"),
        &format!(
            "{before} | b unparked retry > undo b/2 | b undo/2 > start b | b undo failed/2 again@100 | > undo b/3 = busy"
        ),
    );
}

#[test]
fn what_was_given_up_stays_as_it_is() {
    check_statuses(
        "a -> b; a: undo write",
        "begin, a ok, b fail, a start, a undo fail, unpark a failed",
        "a succeeded, b failed",
    );
}

#[test]
fn cancelling_what_waits_for_a_person_while_it_is_undone_changes_nothing() {
    check(
        "a -> b; a: undo write",
        "begin, a ok, b fail, a start, a undo fail, cancel",
        "> run a | a ok/1, a undoable > run b | b failed/1 > undo a/1 | a undo/1 > start a | a undo failed/1, parked on undoing a | - = parked",
    );
}

#[test]
fn an_unknown_outcome_of_an_at_most_once_compensation_is_not_repeated() {
    check(
        "a -> b; a: undo once, undoretry 3",
        "begin, a ok, b fail, a start, a undo late",
        "> run a | a ok/1, a undoable > run b | b failed/1 > undo a/1 | a undo/1 > start a | a undo failed/1, parked on undoing a = parked",
    );
}

#[test]
fn a_known_failure_of_an_at_most_once_compensation_is_tried_again() {
    check(
        "a -> b; a: undo once, undoretry 3",
        "begin, a ok, b fail, a undo late, @100",
        "> run a | a ok/1, a undoable > run b | b failed/1 > undo a/1 | a undo failed/1 again@100 | > undo a/2 = busy",
    );
}

#[test]
fn a_lost_compensation_is_repeated_where_that_is_safe() {
    check(
        "a -> b; a: undo write",
        "begin, a ok, b fail, a start, crash, a start, a undone",
        "> run a | a ok/1, a undoable > run b | b failed/1 > undo a/1 | a undo/1 > start a | a undo lost/1 again@0 > undo a/2 | a undo/2 > start a | a undone, FAILED = failed",
    );
    check(
        "a -> b; a: undo once",
        "begin, a ok, b fail, a start, crash",
        "> run a | a ok/1, a undoable > run b | b failed/1 > undo a/1 | a undo/1 > start a | a undo failed/1, parked on undoing a = parked",
    );
}

#[test]
fn an_action_is_asked_what_became_of_a_lost_compensation() {
    let before = "> run a | a ok/1, a undoable > run b | b failed/1 > undo a/1 | a undo/1 > start a | - | > ask a/1";
    let script = "begin, a ok, b fail, a start, crash, @1000";
    let plan = "a -> b; a: undo once, undoasks";
    check(
        plan,
        &format!("{script}, a undone"),
        &format!("{before} | a undone, FAILED = failed"),
    );
    check(
        plan,
        &format!("{script}, a undo again"),
        &format!("{before} | a undo lost/1 again@1000 > undo a/2 = busy"),
    );
    check(
        plan,
        &format!("{script}, a undo unknown"),
        &format!("{before} | a undo failed/1, parked on undoing a = parked"),
    );
}

#[test]
fn a_worker_that_goes_away_is_no_failure() {
    check(
        "a -> b; a: undo write",
        "begin, a ok, b fail, a start, a undo cancelled",
        "> run a | a ok/1, a undoable > run b | b failed/1 > undo a/1 | a undo/1 > start a | a undo lost/1 again@0 > undo a/2 = busy",
    );
}

#[test]
fn parameters_without_a_value_are_for_a_person() {
    check(
        "a -> b; a: undo write",
        "begin, a ok-without-undo, b fail, unpark a retry, unpark a ok",
        "> run a | a ok/1, a undoable > run b | b failed/1, a undo failed/1, parked on undoing a | a unparked retry, a undo failed/2, parked on undoing a | a unparked ok, FAILED = failed",
    );
}

#[test]
fn an_unknown_effect_is_decided_about_before_anything_is_undone() {
    check(
        "a, b; a: once, undo write; b: undo write",
        "begin, a start, b ok, a unknown, cancel, b start, b undone",
        "> prepare a, run b | a started/1 > start a | b ok/1, b undoable | a unknown/1, parked on a | cancel > undo b/1 | b undo/1 > start b | b undone, CANCELLED = cancelled",
    );
    check(
        "a, b -> c; a: once, undo write; b: undo write",
        "begin, a start, a unknown, b ok, c fail, unpark a ok, a start, a undone",
        "> prepare a, run b | a started/1 > start a | a unknown/1 | b ok/1, b undoable > run c | c failed/1, parked on a | a unparked ok, a undoable > undo a/1 | a undo/1 > start a | a undone > undo b/1 = busy",
    );
}

#[test]
fn nothing_is_undone_while_it_is_paused() {
    check(
        "a -> b -> c; a: undo write; b: undo write",
        "begin, a ok, b ok, c fail, b start, pause, b undone, unpause, a start, a undone",
        "> run a | a ok/1, a undoable > run b | b ok/1, b undoable > run c | c failed/1 > undo b/1 | b undo/1 > start b | paused | b undone | resumed > undo a/1 | a undo/1 > start a | a undone, FAILED = failed",
    );
    check(
        "a -> b; a: undo write",
        "begin, a ok, b fail, pause, a start",
        "> run a | a ok/1, a undoable > run b | b failed/1 > undo a/1 | paused | - = paused",
    );
    check(
        "a -> b; a: undo write",
        "begin, a ok, b fail, pause, a withheld, unpause",
        "> run a | a ok/1, a undoable > run b | b failed/1 > undo a/1 | paused | - | resumed > undo a/1 = busy",
    );
}

#[test]
fn cancelling_a_paused_execution_lets_it_be_undone() {
    check(
        "a -> w; a: undo write; w: wait",
        "begin, a ok, w waits 900, pause, cancel",
        "> run a | a ok/1, a undoable > run w | w waits@900 | paused | resumed, cancel > undo a/1 = busy",
    );
}

#[test]
fn items_are_undone_one_by_one() {
    check(
        "a -> b; a: items, window 2, undo write",
        "begin, a open 2, a[1] ok, a[0] ok, a collect, b fail, a[0] start, a[0] undone, a[1] start, a[1] undone",
        "> open a | a opened 2 > run a[0], run a[1] | a[1] ok/1, a[1] undoable | a[0] ok/1, a[0] undoable > collect a | a complete > run b | b failed/1 > undo a[0]/1 | a[0] undo/1 > start a[0] | a[0] undone > undo a[1]/1 | a[1] undo/1 > start a[1] | a[1] undone, FAILED = failed",
    );
    check_statuses(
        "a -> b; a: items, undo write",
        "begin, a open 2, a[0] ok, a[1] ok, a collect, b fail, a[1] start, a[1] undone",
        "a succeeded, b failed",
    );
    check_statuses(
        "a -> b; a: items, undo write",
        "begin, a open 2, a[0] ok, a[1] ok, a collect, b fail, a[1] start, a[1] undone, a[0] start, a[0] undone",
        "a compensated, b failed",
    );
}

#[test]
fn a_body_that_was_closed_is_undone_from_what_is_remembered() {
    check(
        "p -> z; p both { a }; a: undo write",
        "begin, p in, p/a ok, p collect, z fail, crash, p/a start, p/a undone",
        "> run p | p in > run p/a | p/a ok/1, p/a undoable, p out > collect p | p done > run z | z failed/1 > undo p/a/1 | > undo p/a/1 | p/a undo/1 > start p/a | p/a undone, FAILED = failed",
    );
}

#[test]
fn a_failure_that_is_handled_keeps_its_effects_until_the_execution_fails() {
    check(
        "t -> z; t try { a -> b | h }; a: undo write",
        "begin, t in, t/a ok, t/b fail, t caught by h, t/h ok, t collect, z fail, t/a start, t/a undone",
        "> run t | t in > run t/a | t/a ok/1, t/a undoable > run t/b | t/b failed/1 > catch t (b) | t calls h > run t/h | t/h ok/1, t out > collect t | t done > run z | z failed/1 > undo t/a/1 | t/a undo/1 > start t/a | t/a undone, FAILED = failed",
    );
}

#[test]
fn a_body_may_be_undone_before_its_failure_is_handled() {
    check(
        "t; t try { a -> b -> c | h }; a: undo write; b: undo write; t: unwinds",
        "begin, t in, t/a ok, t/b ok, t/c fail, t/b start, t/b undone, t/a start, t/a undone, t caught by h, t/h ok, t collect, output",
        "> run t | t in > run t/a | t/a ok/1, t/a undoable > run t/b | t/b ok/1, t/b undoable > run t/c | t/c failed/1 > undo t/b/1 | t/b undo/1 > start t/b | t/b undone > undo t/a/1 | t/a undo/1 > start t/a | t/a undone > catch t (c) | t calls h > run t/h | t/h ok/1, t out > collect t | t done > output | COMPLETED = completed",
    );
}

#[test]
fn undoing_a_body_counts_as_an_attempt() {
    check(
        "w -> v, t; t try { a -> b | h }; a: undo write, undoretry 2; t: unwinds; w: wait; *: limit 1",
        "begin, w waits 50, t in, t/a ok, t/b fail, t/a start, t/a undo again, @50, w fired, @100, v ok",
        "> run w | w waits@50 > run t | t in > run t/a | t/a ok/1, t/a undoable > run t/b | t/b failed/1 > undo t/a/1 | t/a undo/1 > start t/a | t/a undo failed/1 again@100 | > fire w | w fired > run v | - | v ok/1 > undo t/a/2 = busy",
    );
}

#[test]
fn other_branches_run_on_while_a_body_is_undone_and_a_person_decides() {
    check(
        "t, w; t try { a -> b | h }; a: undo write; t: unwinds",
        "begin, t in, t/a ok, t/b fail, t/a start, t/a undo fail, w ok, unpark t/a failed, t caught by h",
        "> run t, run w | t in > run t/a | t/a ok/1, t/a undoable > run t/b | t/b failed/1 > undo t/a/1 | t/a undo/1 > start t/a | t/a undo failed/1 | w ok/1, parked on undoing t/a | t/a unparked failed > catch t (b) | t calls h > run t/h = busy",
    );
}

#[test]
fn a_body_that_waits_to_be_undone_has_its_time() {
    check(
        "t; t try { a -> b | h }; a: undo write, undoretry 2; t: unwinds",
        "begin, t in, t/a ok, t/b fail, t/a start, t/a undo again, crash, @100",
        "> run t | t in > run t/a | t/a ok/1, t/a undoable > run t/b | t/b failed/1 > undo t/a/1 | t/a undo/1 > start t/a | t/a undo failed/1 again@100 | - | > undo t/a/2 = busy",
    );
}

#[test]
fn a_body_that_is_undone_when_the_execution_ends_is_undone_with_the_rest() {
    check(
        "o -> z, t; t try { a -> b | h }; a: undo write; o: undo write; t: unwinds",
        "begin, t in, t/a ok, t/b fail, o ok, z fail, t/a start, t/a undone, o start, o undone",
        "> run o, run t | t in > run t/a | t/a ok/1, t/a undoable > run t/b | t/b failed/1 > undo t/a/1 | o ok/1, o undoable > run z | z failed/1 | t/a undo/1 > start t/a | t/a undone > undo o/1 | o undo/1 > start o | o undone, FAILED = failed",
    );
}

#[test]
fn an_outer_body_waits_for_the_inner_one_that_is_being_undone() {
    check(
        "p; p both { t, b }; t try { a -> c | h }; a: undo write; t: unwinds",
        "begin, p in, p/t in, p/t/a ok, p/t/c fail, p/b fail, p/t/a start, p/t/a undone, p fail",
        "> run p | p in > run p/t, run p/b | p/t in > run p/t/a | p/t/a ok/1, p/t/a undoable > run p/t/c | p/t/c failed/1 > undo p/t/a/1 | p/b failed/1 | p/t/a undo/1 > start p/t/a | p/t/a undone, p out > collect p (`b`: it went wrong) | p failed/1, FAILED = failed",
    );
}

#[test]
fn an_effect_behind_which_something_failed_is_undone_too() {
    check(
        "a; a: undo write",
        "begin, a ok-and-fails, a start, a undone",
        "> run a | a failed/1, a undoable > undo a/1 | a undo/1 > start a | a undone, FAILED = failed",
    );
    check_statuses(
        "a; a: undo write",
        "begin, a ok-and-fails, a start, a undone",
        "a failed",
    );
}
