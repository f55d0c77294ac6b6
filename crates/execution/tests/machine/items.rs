//! Lists of a `for_each`.

use crate::rig::script::check;

#[test]
fn items_run_within_their_window() {
    check(
        "a; a: items, window 2",
        "begin, a open 3, a[0] ok, a[1] ok, a[2] ok, a collect, output",
        "> open a | a opened 3 > run a[0], run a[1] | > run a[2] | - | a settled 0+3 > collect a | a complete > output | COMPLETED = completed",
    );
}

#[test]
fn an_empty_list_is_complete_at_once() {
    check(
        "a -> b; a: items",
        "begin, a open 0, a collect, b ok, output",
        "> open a | a opened 0 > collect a | a complete > run b | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_for_each_whose_when_is_false_is_skipped() {
    check(
        "a -> b; a: items",
        "begin, a skip, output",
        "> open a | a skipped > output | COMPLETED = completed",
    );
}

#[test]
fn a_list_that_cannot_be_evaluated_fails_its_node() {
    check(
        "a; a: items",
        "begin, a fail",
        "> open a | a failed/1, FAILED = failed",
    );
}

#[test]
fn a_list_that_cannot_be_evaluated_yet_is_opened_again() {
    check(
        "a; a: items, retry 2",
        "begin, a again, @100, a open 0",
        "> open a | a failed/1 again@100 | > open a | a opened 0 > collect a = busy",
    );
}

#[test]
fn an_item_that_writes_is_journalled_alone() {
    check(
        "a; a: items, write, window 1",
        "begin, a open 2, a[0] start, a[0] ok, a[1] start, a[1] ok, a collect, output",
        "> open a | a opened 2 > prepare a[0] | a[0] started/1 > start a[0] | a[0] ok/1 > prepare a[1] | a[1] started/1 > start a[1] | a[1] ok/1 > collect a | a complete > output | COMPLETED = completed",
    );
}

#[test]
fn the_first_failed_item_stops_the_others() {
    check(
        "a; a: items, window 2",
        "begin, a open 4, a[0] ok, a[2] fail, a[1] cancelled, a fail",
        "> open a | a opened 4 > run a[0], run a[1] | > run a[2] | a[2] failed/1 > abort a[1] | a settled 0+1 > collect a (item 2: it went wrong) | a failed/1, FAILED = failed",
    );
}

#[test]
fn a_failed_list_leaves_by_the_error_port() {
    check(
        "a -> b, a.error -> c; a: items",
        "begin, a open 1, a[0] fail, a fail, c ok, output",
        "> open a | a opened 1 > run a[0] | a[0] failed/1 > collect a (item 0: it went wrong) | a failed/1 > run c | c ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn an_item_that_was_told_to_stop_before_its_start_does_not_start() {
    check(
        "a; a: items, write",
        "begin, a open 2, a[0] start, a[0] fail, a[1] start, a fail",
        "> open a | a opened 2 > prepare a[0], prepare a[1] | a[0] started/1 > start a[0] | a[0] failed/1 > abort a[1] | > collect a (item 0: it went wrong) | a failed/1, FAILED = failed",
    );
}

#[test]
fn continue_keeps_the_errors_of_items() {
    check(
        "a; a: items, continue",
        "begin, a open 2, a[0] fail, a[1] ok, a collect, output",
        "> open a | a opened 2 > run a[0], run a[1] | - | a settled 0+2 > collect a | a complete > output | COMPLETED = completed",
    );
}

#[test]
fn an_item_is_tried_again_alone() {
    check(
        "a; a: items, retry 2, window 1",
        "begin, a open 2, a[0] again, @100, a[0] ok, a[1] ok, a collect, output",
        "> open a | a opened 2 > run a[0] | a[0] failed/1 again@100 | > run a[0]/2 | > run a[1] | a settled 0+2 > collect a | a complete > output | COMPLETED = completed",
    );
}

#[test]
fn what_is_computed_is_settled_before_a_rest() {
    check(
        "a; a: items, retry 2",
        "begin, a open 3, a[0] ok, a[1] again, a[2] ok",
        "> open a | a opened 3 > run a[0], run a[1], run a[2] | - | a[1] failed/1 again@100 | a settled 0+1, a settled 2+1 = waiting until 100",
    );
}

#[test]
fn an_unknown_item_parks_after_the_others() {
    check(
        "a; a: items, once, window 1",
        "begin, a open 2, a[0] start, a[0] unknown, a[1] start, a[1] ok, unpark a[0] ok, a collect, output",
        "> open a | a opened 2 > prepare a[0] | a[0] started/1 > start a[0] | a[0] unknown/1 > prepare a[1] | a[1] started/1 > start a[1] | a[1] ok/1, parked on a[0] | a[0] unparked ok > collect a | a complete > output | COMPLETED = completed",
    );
}

#[test]
fn an_unknown_item_may_be_declared_failed() {
    check(
        "a; a: items, once",
        "begin, a open 1, a[0] start, a[0] unknown, unpark a[0] failed, a fail",
        "> open a | a opened 1 > prepare a[0] | a[0] started/1 > start a[0] | a[0] unknown/1, parked on a[0] | a[0] unparked failed > collect a (item 0: a person decided that the effect did not happen) | a failed/1, FAILED = failed",
    );
}

#[test]
fn an_item_that_is_tried_again_waits_for_its_window() {
    check(
        "a; a: items, once, window 1",
        "begin, a open 2, a[0] start, a[0] unknown, unpark a[0] retry, a[1] start, a[1] ok, a[0] start, a[0] ok, a collect, output",
        "> open a | a opened 2 > prepare a[0] | a[0] started/1 > start a[0] | a[0] unknown/1 > prepare a[1] | a[0] unparked retry | a[1] started/1 > start a[1] | a[1] ok/1 > prepare a[0]/2 | a[0] started/2 > start a[0] | a[0] ok/2 > collect a | a complete > output | COMPLETED = completed",
    );
}

#[test]
fn an_item_of_a_failed_list_is_not_tried_again() {
    check(
        "a; a: items, once, window 2",
        "begin, a open 2, a[0] start, a[1] start, a[0] unknown, a[1] fail, unpark a[0] retry, a fail",
        "> open a | a opened 2 > prepare a[0], prepare a[1] | a[0] started/1 > start a[0] | a[1] started/1 > start a[1] | a[0] unknown/1 | a[1] failed/1, parked on a[0] | a[0] unparked retry > collect a (item 1: it went wrong) | a failed/1, FAILED = failed",
    );
}

#[test]
fn a_lost_item_is_made_again() {
    check(
        "a; a: items, write",
        "begin, a open 2, a[0] start, a[1] start, a[1] ok, crash, a[0] start, a[0] ok, a collect, output",
        "> open a | a opened 2 > prepare a[0], prepare a[1] | a[0] started/1 > start a[0] | a[1] started/1 > start a[1] | a[1] ok/1 | a[0] lost/1 again@0 > prepare a[0]/2 | a[0] started/2 > start a[0] | a[0] ok/2 > collect a | a complete > output | COMPLETED = completed",
    );
}

#[test]
fn a_lost_at_most_once_item_parks() {
    check(
        "a; a: items, once, window 2",
        "begin, a open 2, a[0] start, a[1] start, a[1] ok, crash, unpark a[0] retry, a[0] start, a[0] ok, a collect",
        "> open a | a opened 2 > prepare a[0], prepare a[1] | a[0] started/1 > start a[0] | a[1] started/1 > start a[1] | a[1] ok/1 | a[0] unknown/1, parked on a[0] | a[0] unparked retry > prepare a[0]/2 | a[0] started/2 > start a[0] | a[0] ok/2 > collect a | a complete > output = busy",
    );
}

#[test]
fn a_lost_item_of_a_failed_list_is_still_asked_about() {
    check(
        "a; a: items, once, reconciles, window 2",
        "begin, a open 2, a[0] start, a[1] start, crash, a[0] ok, @1000, a[0] fail, a[1] ok, a fail",
        "> open a | a opened 2 > prepare a[0], prepare a[1] | a[0] started/1 > start a[0] | a[1] started/1 > start a[1] | - | - | > ask a[0]/1, ask a[1]/1 | a[0] failed/1 > abort a[1] | a[1] ok/1 > collect a (item 0: it went wrong) | a failed/1, FAILED = failed",
    );
}

#[test]
fn a_waiting_retry_of_an_item_survives_a_crash() {
    check(
        "a; a: items, retry 2, window 1",
        "begin, a open 2, a[0] again, crash, @100, a[0] ok, a[1] ok, a collect, output",
        "> open a | a opened 2 > run a[0] | a[0] failed/1 again@100 | - | > run a[0]/2 | > run a[1] | a settled 0+2 > collect a | a complete > output | COMPLETED = completed",
    );
}

#[test]
fn a_complete_list_is_collected_after_a_crash() {
    check(
        "a; a: items",
        "begin, a open 1, a[0] ok, crash, a collect, output",
        "> open a | a opened 1 > run a[0] | a settled 0+1 > collect a | > collect a | a complete > output | COMPLETED = completed",
    );
}

#[test]
fn a_failed_list_ends_after_a_crash() {
    check(
        "a; a: items, write",
        "begin, a open 2, a[0] start, a[1] start, a[0] fail, crash, a fail",
        "> open a | a opened 2 > prepare a[0], prepare a[1] | a[0] started/1 > start a[0] | a[1] started/1 > start a[1] | a[0] failed/1 > abort a[1] | a[1] failed/1 > collect a (item 0: it went wrong) | a failed/1, FAILED = failed",
    );
}

#[test]
fn a_cancellation_stops_the_items() {
    check(
        "a; a: items, window 2",
        "begin, a open 5, cancel, a[0] cancelled, a[1] ok",
        "> open a | a opened 5 > run a[0], run a[1] | cancel > abort a[0], abort a[1] | - | CANCELLED = cancelled",
    );
}

#[test]
fn a_cancellation_while_a_list_is_collected() {
    check(
        "a; a: items",
        "begin, a open 0, cancel, a collect",
        "> open a | a opened 0 > collect a | cancel > abort a | a complete, CANCELLED = cancelled",
    );
}

#[test]
fn the_output_is_asked_for_once() {
    check(
        "a",
        "begin, a ok, @5, unpark a ok, output",
        "> run a | a ok/1 > output | - | - | COMPLETED = completed",
    );
}

#[test]
fn a_list_is_complete_early_and_the_rest_is_stopped() {
    check(
        "a -> b; a: items, weighs, window 2",
        "begin, a open 5, a[1] ok, a weighed yes, a[0] cancelled, a collect, b ok, output",
        "> open a | a opened 5 > run a[0], run a[1] | a settled 1+1 > weigh a | a enough > abort a[0] | > collect a | a complete > run b | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_list_that_is_not_complete_goes_on() {
    check(
        "a; a: items, weighs, window 1",
        "begin, a open 2, a[0] ok, a weighed no, a[1] ok, a weighed no, a collect",
        "> open a | a opened 2 > run a[0] | a settled 0+1 > weigh a | > run a[1] | a settled 1+1 > weigh a | > collect a | a complete > output = busy",
    );
}

#[test]
fn an_item_that_ends_while_its_list_is_complete_stands_in_it() {
    check(
        "a; a: items, weighs, write, window 2",
        "begin, a open 3, a[0] start, a[1] start, a[1] ok, a weighed yes, a[0] ok, a collect",
        "> open a | a opened 3 > prepare a[0], prepare a[1] | a[0] started/1 > start a[0] | a[1] started/1 > start a[1] | a[1] ok/1 > weigh a | a enough > abort a[0] | a[0] ok/1 > collect a | a complete > output = busy",
    );
}

#[test]
fn what_was_stopped_early_is_no_failure() {
    check(
        "a; a: items, weighs, write, window 2",
        "begin, a open 2, a[0] start, a[1] start, a[1] ok, a weighed yes, a[0] cancelled, a collect",
        "> open a | a opened 2 > prepare a[0], prepare a[1] | a[0] started/1 > start a[0] | a[1] started/1 > start a[1] | a[1] ok/1 > weigh a | a enough > abort a[0] | a[0] failed/1 > collect a | a complete > output = busy",
    );
}

#[test]
fn an_early_end_waits_for_what_nobody_knows() {
    check(
        "a; a: items, weighs, once, window 2",
        "begin, a open 2, a[0] start, a[1] start, a[0] unknown, a[1] ok, a weighed yes, unpark a[0] failed, a collect",
        "> open a | a opened 2 > prepare a[0], prepare a[1] | a[0] started/1 > start a[0] | a[1] started/1 > start a[1] | a[0] unknown/1 | a[1] ok/1 > weigh a | a enough, parked on a[0] | a[0] unparked failed > collect a | a complete > output = busy",
    );
}

#[test]
fn whether_a_list_is_complete_is_asked_again_after_a_crash() {
    check(
        "a; a: items, weighs, window 1",
        "begin, a open 3, a[0] ok, crash, a weighed yes, a collect",
        "> open a | a opened 3 > run a[0] | a settled 0+1 > weigh a | > weigh a | a enough > collect a | a complete > output = busy",
    );
}

#[test]
fn a_list_whose_completeness_has_no_value_fails() {
    check(
        "a; a: items, weighs, window 2",
        "begin, a open 3, a[0] ok, a weighed what, a[1] cancelled, a fail",
        "> open a | a opened 3 > run a[0], run a[1] | a settled 0+1 > weigh a | a broken > abort a[1] | > collect a (item 0: it went wrong) | a failed/1, FAILED = failed",
    );
}

#[test]
fn a_failure_while_it_is_asked_stops_the_list_all_the_same() {
    check(
        "a; a: items, weighs, window 3",
        "begin, a open 3, a[0] ok, a[1] fail, a weighed yes, a[2] cancelled, a fail",
        "> open a | a opened 3 > run a[0], run a[1], run a[2] | a settled 0+1 > weigh a | a[1] failed/1 > abort a[2] | - | > collect a (item 1: it went wrong) | a failed/1, FAILED = failed",
    );
}

#[test]
fn the_rest_of_a_list_may_run_on_after_it() {
    check(
        "a -> b; a: items, weighs, absorbs, window 2",
        "begin, a open 3, a[0] ok, a weighed yes, a collect, b ok, a[1] fail, a[2] ok, output",
        "> open a | a opened 3 > run a[0], run a[1] | a settled 0+1 > weigh a | a enough > collect a, run a[2] | a complete > run b | b ok/1 | a[1] failed/1 | a settled 2+1, a absorbed > output | COMPLETED = completed",
    );
}

#[test]
fn a_rest_that_runs_on_survives_a_crash() {
    check(
        "a -> b; a: items, weighs, absorbs, write, window 2",
        "begin, a open 2, a[0] start, a[1] start, a[0] ok, a weighed yes, a collect, crash, b ok, a[1] start, a[1] ok, output",
        "> open a | a opened 2 > prepare a[0], prepare a[1] | a[0] started/1 > start a[0] | a[1] started/1 > start a[1] | a[0] ok/1 > weigh a | a enough > collect a | a complete > run b | a[1] lost/1 again@0 > prepare a[1]/2, run b | b ok/1 | a[1] started/2 > start a[1] | a[1] ok/2, a absorbed > output | COMPLETED = completed",
    );
}

#[test]
fn a_list_whose_end_fails_stops_the_rest_that_runs_on() {
    check(
        "a; a: items, weighs, absorbs, window 2",
        "begin, a open 2, a[0] ok, a weighed yes, a fail, a[1] cancelled, a fail",
        "> open a | a opened 2 > run a[0], run a[1] | a settled 0+1 > weigh a | a enough > collect a | a broken > abort a[1] | > collect a (item 0: it went wrong) | a failed/1, FAILED = failed",
    );
}

#[test]
fn an_item_may_fail_where_errors_are_collected() {
    check(
        "a; a: items, collects, window 1",
        "begin, a open 2, a[0] fail, a[1] ok, a collect",
        "> open a | a opened 2 > run a[0] | > run a[1] | a settled 0+2 > collect a | a complete > output = busy",
    );
}

#[test]
fn signals_bring_more_items() {
    check(
        "a; a: items, window 1",
        "begin, a open 1 more vote, signal vote 1 with [7,8], a[0] ok, a[1] ok, a[2] ok, signal vote 2 with {\"items\":[9],\"last\":true}, a[3] ok, a collect",
        "> open a | a opened 1 more vote > run a[0] | vote1 came, a added 2 | > run a[1] | > run a[2] | a settled 0+3 | vote2 came, a added 1 last > run a[3] | a settled 3+1 > collect a | a complete > output = busy",
    );
}

#[test]
fn a_list_waits_for_more_and_a_crash_forgets_none() {
    check(
        "a; a: items",
        "begin, a open 0 more vote, crash, signal vote 1 with 7, crash, a[0] ok, crash, signal vote 2 with {\"last\":true}, a collect, output",
        "> open a | a opened 0 more vote | - | vote1 came, a added 1 > run a[0] | > run a[0] | a settled 0+1 | - | vote2 came, a added 0 last > collect a | a complete > output | COMPLETED = completed",
    );
}

#[test]
fn signals_that_came_before_their_list_are_in_it() {
    check(
        "a; a: items",
        "begin, signal vote 1 with 7, signal vote 2 with {\"last\":true}, a open 0 more vote, a[0] ok, a collect",
        "> open a | vote1 came | vote2 came | a opened 0 more vote, a added 1, a added 0 last > run a[0] | a settled 0+1 > collect a | a complete > output = busy",
    );
}

#[test]
fn a_list_that_failed_takes_no_more() {
    check(
        "a -> b; a: items, continue",
        "begin, a open 1 more vote, signal vote 1 with [], a[0] fail, signal other 1 with {}, signal vote 2 with {\"last\":true}, a collect, b ok, output",
        "> open a | a opened 1 more vote > run a[0] | vote1 came, a added 0 | a settled 0+1 | other1 came | vote2 came, a added 0 last > collect a | a complete > run b | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_growing_list_may_be_complete_early() {
    check(
        "a; a: items, weighs",
        "begin, a open 0 more vote, signal vote 1 with 7, a[0] ok, a weighed yes, a collect, signal vote 2 with 8, output",
        "> open a | a opened 0 more vote | vote1 came, a added 1 > run a[0] | a settled 0+1 > weigh a | a enough > collect a | a complete > output | vote2 came | COMPLETED = completed",
    );
}
