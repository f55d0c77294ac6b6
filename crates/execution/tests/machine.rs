//! The machine stepped by hand: each rule is one line.
//!
//! `check(plan, script, trace)`: a step of the trace shows `entries > commands`, then where the
//! machine rests. `prepare` is an attempt whose start is journalled before it begins. After every
//! step the rig checks what must hold always: replay, snapshot, commit first, attempt numbers.

mod rig;

use rig::script::{check, check_statuses};

// Chains and diamonds.

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

// Joins.

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

// Errors.

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

// Retries.

#[test]
fn a_retryable_error_is_tried_again_after_its_delay() {
    check(
        "a; a: retry 3",
        "begin, a again, @99, @100, a again, @200, a ok, output",
        "> run a | a failed/1 again@100 | - | > run a/2 | a failed/2 again@200 | > run a/3 | a ok/3 > output | COMPLETED = completed",
    );
}

#[test]
fn the_last_attempt_fails_the_node() {
    check(
        "a; a: retry 2",
        "begin, a again, @100, a again",
        "> run a | a failed/1 again@100 | > run a/2 | a failed/2, FAILED = failed",
    );
}

#[test]
fn a_fatal_error_is_not_tried_again() {
    check(
        "a; a: retry 3",
        "begin, a fail",
        "> run a | a failed/1, FAILED = failed",
    );
}

#[test]
fn the_other_side_may_ask_for_a_longer_delay() {
    check(
        "a; a: retry 3",
        "begin, a later",
        "> run a | a failed/1 again@700 = waiting until 700",
    );
}

#[test]
fn a_retry_waits_for_room() {
    check(
        "a, b, c; a: retry 2; *: limit 2",
        "begin, a again, @100, b ok, a ok, c ok",
        "> run a, run b | a failed/1 again@100 > run c | - | b ok/1 > run a/2 | a ok/2 | c ok/1 > output = busy",
    );
}

#[test]
fn a_retry_that_waits_does_not_keep_the_others_back() {
    check(
        "a, b -> c; a: retry 2",
        "begin, a again, b ok, c ok, @100",
        "> run a, run b | a failed/1 again@100 | b ok/1 > run c | c ok/1 | > run a/2 = busy",
    );
}

#[test]
fn a_timeout_of_a_harmless_attempt_is_tried_again() {
    check(
        "a; a: read, retry 2",
        "begin, a late, @100, a ok, output",
        "> run a | a failed/1 again@100 | > run a/2 | a ok/2 > output | COMPLETED = completed",
    );
}

#[test]
fn a_retried_wait_waits_again_rather_than_firing() {
    check(
        "a; a: wait, retry 2",
        "begin, a again, @100, a waits 500, @500, a fired, output",
        "> run a | a failed/1 again@100 | > run a/2 | a waits@500 | > fire a | a fired > output | COMPLETED = completed",
    );
}

#[test]
fn attempts_count_on_across_losses() {
    check(
        "a; a: write, retry 2",
        "begin, a start, crash, a start, a again, @100, a start, a ok, output",
        "> prepare a | a started/1 > start a | a lost/1 again@0 > prepare a/2 | a started/2 > start a | a failed/2 again@100 | > prepare a/3 | a started/3 > start a | a ok/3 > output | COMPLETED = completed",
    );
}

#[test]
fn a_cancellation_ends_a_retry_that_waits() {
    check(
        "a; a: retry 2",
        "begin, a again, cancel",
        "> run a | a failed/1 again@100 | cancel, CANCELLED = cancelled",
    );
}

// Unknown outcomes.

#[test]
fn an_unknown_write_parks_once_the_other_branches_have_run_on() {
    check(
        "a -> c, b -> d; a: once",
        "begin, a start, a unknown, b ok, d ok",
        "> prepare a, run b | a started/1 > start a | a unknown/1 | b ok/1 > run d | d ok/1, parked on a = parked",
    );
}

#[test]
fn a_timeout_of_an_at_most_once_write_is_unknown() {
    check(
        "a; a: once, retry 5",
        "begin, a start, a late",
        "> prepare a | a started/1 > start a | a unknown/1, parked on a = parked",
    );
}

#[test]
fn a_known_failure_of_an_at_most_once_write_may_be_tried_again() {
    check(
        "a; a: once, retry 2",
        "begin, a start, a again, @100, a start, a ok, output",
        "> prepare a | a started/1 > start a | a failed/1 again@100 | > prepare a/2 | a started/2 > start a | a ok/2 > output | COMPLETED = completed",
    );
}

#[test]
fn a_timeout_before_the_start_is_known_to_have_done_nothing() {
    check(
        "a; a: once, retry 2",
        "begin, a late, @100",
        "> prepare a | a failed/1 again@100 | > prepare a/2 = busy",
    );
}

#[test]
fn a_person_says_that_it_happened() {
    check(
        "a -> b; a: once",
        "begin, a start, a unknown, unpark a ok, b ok, output",
        "> prepare a | a started/1 > start a | a unknown/1, parked on a | a unparked ok > run b | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_person_says_that_it_did_not_happen() {
    check(
        "a -> b; a: once",
        "begin, a start, a unknown, unpark a failed",
        "> prepare a | a started/1 > start a | a unknown/1, parked on a | a unparked failed, FAILED = failed",
    );
}

#[test]
fn a_person_says_that_it_did_not_happen_and_the_node_routes() {
    check(
        "a -> b, a.error -> c; a: once",
        "begin, a start, a unknown, unpark a failed, c ok, output",
        "> prepare a | a started/1 > start a | a unknown/1, parked on a | a unparked failed > run c | c ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_person_says_do_it_again() {
    check(
        "a; a: once",
        "begin, a start, a unknown, unpark a retry, a start, a ok, output",
        "> prepare a | a started/1 > start a | a unknown/1, parked on a | a unparked retry > prepare a/2 | a started/2 > start a | a ok/2 > output | COMPLETED = completed",
    );
}

#[test]
fn a_decision_is_taken_once() {
    check(
        "a -> b; a: once",
        "begin, a start, a unknown, unpark a ok, unpark a ok, unpark a retry",
        "> prepare a | a started/1 > start a | a unknown/1, parked on a | a unparked ok > run b | - | - = busy",
    );
}

#[test]
fn a_decision_about_something_else_is_passed_over() {
    check(
        "a; a: once",
        "begin, a start, unpark a ok, unpark b ok, unpark a#7 ok, unpark a[3] ok, unpark - retry, a unknown, unpark a[0] ok, unpark - ok",
        "> prepare a | a started/1 > start a | - | - | - | - | - | a unknown/1, parked on a | - | - = parked",
    );
}

#[test]
fn each_unknown_effect_needs_its_own_decision() {
    check(
        "a, b; a: once; b: once",
        "begin, a start, b start, a unknown, b unknown, unpark b ok, unpark a ok, output",
        "> prepare a, prepare b | a started/1 > start a | b started/1 > start b | a unknown/1 | b unknown/1, parked on a b | b unparked ok, parked on a | a unparked ok > output | COMPLETED = completed",
    );
}

#[test]
fn a_lost_at_most_once_attempt_is_not_made_again() {
    check(
        "a; a: once",
        "begin, a start, crash, unpark a ok, output",
        "> prepare a | a started/1 > start a | a unknown/1, parked on a | a unparked ok > output | COMPLETED = completed",
    );
}

#[test]
fn a_lost_attempt_of_a_harmless_write_is_made_again() {
    check(
        "a; a: write",
        "begin, a start, crash, a start, a ok, output",
        "> prepare a | a started/1 > start a | a lost/1 again@0 > prepare a/2 | a started/2 > start a | a ok/2 > output | COMPLETED = completed",
    );
}

#[test]
fn the_author_may_accept_that_it_happens_twice() {
    check(
        "a; a: once, repeats",
        "begin, a start, crash, a start, a ok, output",
        "> prepare a | a started/1 > start a | a lost/1 again@0 > prepare a/2 | a started/2 > start a | a ok/2 > output | COMPLETED = completed",
    );
}

#[test]
fn the_author_may_call_it_a_failure() {
    check(
        "a -> b, a.error -> c; a: once, fails",
        "begin, a start, crash, a unreconciled, c ok, output",
        "> prepare a | a started/1 > start a | > ask a/1 | a failed/1 > run c | c ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn the_action_is_asked_after_the_deadline_of_the_lost_attempt() {
    check(
        "a; a: once, reconciles",
        "begin, a start, crash, @999, @1000, a ok, output",
        "> prepare a | a started/1 > start a | - | - | > ask a/1 | a ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn did_not_happen_is_tried_again_and_does_not_count() {
    check(
        "a; a: once, reconciles",
        "begin, a start, crash, @1000, a again, a start, a ok, output",
        "> prepare a | a started/1 > start a | - | > ask a/1 | a lost/1 again@1000 > prepare a/2 | a started/2 > start a | a ok/2 > output | COMPLETED = completed",
    );
}

#[test]
fn an_action_that_cannot_tell_leaves_it_to_a_person() {
    check(
        "a; a: once, reconciles",
        "begin, a start, crash, @1000, a unreconciled",
        "> prepare a | a started/1 > start a | - | > ask a/1 | a unknown/1, parked on a = parked",
    );
}

#[test]
fn a_question_that_was_interrupted_leaves_it_to_a_person() {
    check(
        "a; a: once, reconciles",
        "begin, a start, crash, @1000, a cancelled",
        "> prepare a | a started/1 > start a | - | > ask a/1 | a unknown/1, parked on a = parked",
    );
}

#[test]
fn a_failure_elsewhere_waits_for_the_persons_decision() {
    check(
        "a, b; a: once",
        "begin, a start, a unknown, b fail, unpark a ok",
        "> prepare a, run b | a started/1 > start a | a unknown/1 | b failed/1, parked on a | a unparked ok, FAILED = failed",
    );
}

#[test]
fn a_failure_elsewhere_with_a_retry_decided_ends_without_it() {
    check(
        "a, b; a: once",
        "begin, a start, a unknown, b fail, unpark a retry",
        "> prepare a, run b | a started/1 > start a | a unknown/1 | b failed/1, parked on a | a unparked retry, FAILED = failed",
    );
}

#[test]
fn a_parked_execution_still_wakes_for_its_timers() {
    check(
        "a, b -> c; a: once; b: wait",
        "begin, a start, b waits 500, a unknown, @500, b fired, c ok, unpark a ok, output",
        "> prepare a, run b | a started/1 > start a | b waits@500 | a unknown/1, parked on a | > fire b | b fired > run c | c ok/1 | a unparked ok > output | COMPLETED = completed",
    );
}

#[test]
fn a_worker_that_stops_is_no_failure_of_the_node() {
    check(
        "a; a: write",
        "begin, a start, a cancelled, a start, a ok, output",
        "> prepare a | a started/1 > start a | a lost/1 again@0 > prepare a/2 | a started/2 > start a | a ok/2 > output | COMPLETED = completed",
    );
}

#[test]
fn a_worker_that_stops_leaves_an_at_most_once_write_unknown() {
    check(
        "a; a: once",
        "begin, a start, a cancelled",
        "> prepare a | a started/1 > start a | a unknown/1, parked on a = parked",
    );
}

#[test]
fn a_node_that_takes_its_worker_down_fails_in_the_end() {
    check(
        "a; a: write, continue",
        "begin, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a unreconciled, output",
        "> prepare a | a started/1 > start a | a lost/1 again@0 > prepare a/2 | a started/2 > start a | a lost/2 again@0 > prepare a/3 | a started/3 > start a | a lost/3 again@0 > prepare a/4 | a started/4 > start a | a lost/4 again@0 > prepare a/5 | a started/5 > start a | a lost/5 again@0 > prepare a/6 | a started/6 > start a | a lost/6 again@0 > prepare a/7 | a started/7 > start a | a lost/7 again@0 > prepare a/8 | a started/8 > start a | a lost/8 again@0 > prepare a/9 | a started/9 > start a | a lost/9 again@0 > prepare a/10 | a started/10 > start a | > ask a/10 | a failed/10 > output | COMPLETED = completed",
    );
}

// Ending.

#[test]
fn a_cancellation_before_anything_ran() {
    check(
        "a",
        "begin, cancel, a cancelled",
        "> run a | cancel > abort a | CANCELLED = cancelled",
    );
}

#[test]
fn a_cancellation_while_an_at_most_once_write_runs_ends_with_the_question_open() {
    check(
        "a; a: once",
        "begin, a start, cancel, a unknown",
        "> prepare a | a started/1 > start a | cancel > abort a | a unknown/1, CANCELLED = cancelled",
    );
}

#[test]
fn a_cancellation_of_a_parked_execution_ends_it() {
    check(
        "a; a: once",
        "begin, a start, a unknown, cancel",
        "> prepare a | a started/1 > start a | a unknown/1, parked on a | cancel, CANCELLED = cancelled",
    );
}

#[test]
fn a_cancellation_overrules_a_failure_that_waits_for_a_person() {
    check(
        "a, b; a: once",
        "begin, a start, a unknown, b fail, cancel",
        "> prepare a, run b | a started/1 > start a | a unknown/1 | b failed/1, parked on a | cancel, CANCELLED = cancelled",
    );
}

#[test]
fn a_second_cancellation_says_nothing_new() {
    check(
        "a",
        "begin, cancel, cancel, a ok, cancel",
        "> run a | cancel > abort a | - | a ok/1, CANCELLED | - = cancelled",
    );
}

#[test]
fn a_cancellation_beats_an_output_under_way() {
    check(
        "a",
        "begin, a ok, cancel, output",
        "> run a | a ok/1 > output | cancel, CANCELLED | - = cancelled",
    );
}

#[test]
fn nothing_follows_what_ends_after_the_cancellation() {
    check(
        "a -> b",
        "begin, cancel, a ok",
        "> run a | cancel > abort a | a ok/1, CANCELLED = cancelled",
    );
}

#[test]
fn an_end_is_taken_up_after_a_crash() {
    check(
        "a, b; a: once",
        "begin, a start, cancel, crash",
        "> prepare a, run b | a started/1 > start a | cancel > abort a, abort b | a unknown/1, CANCELLED = cancelled",
    );
}

#[test]
fn a_failure_is_taken_up_after_a_crash_and_asks_about_what_was_lost() {
    check(
        "a, b; a: once",
        "begin, a start, b fail, crash, unpark a ok",
        "> prepare a, run b | a started/1 > start a | b failed/1 > abort a | a unknown/1, parked on a | a unparked ok, FAILED = failed",
    );
}

#[test]
fn a_lost_attempt_that_would_be_asked_about_stays_unknown_at_the_end() {
    check(
        "a; a: once, reconciles",
        "begin, a start, crash, cancel",
        "> prepare a | a started/1 > start a | - | cancel, a unknown/1, CANCELLED = cancelled",
    );
}

#[test]
fn stop_completes_with_its_output() {
    check(
        "a -> b, c; a: stop",
        "begin, a stop, c cancelled",
        "> run a, run c | a stops > abort c | COMPLETED = completed",
    );
}

#[test]
fn stop_waits_for_the_decision_about_an_unknown_write() {
    check(
        "a, c; a: stop; c: once",
        "begin, c start, a stop, c unknown, unpark c ok",
        "> run a, prepare c | c started/1 > start c | a stops > abort c | c unknown/1, parked on c | c unparked ok, COMPLETED = completed",
    );
}

#[test]
fn the_time_of_an_execution_ends_it() {
    check(
        "a; *: timeout 500",
        "begin, @499, @500, a cancelled",
        "> run a | - | time up > abort a | TIMED OUT = timed_out",
    );
}

#[test]
fn the_time_of_an_execution_counts_while_it_waits() {
    check(
        "a; a: wait; *: timeout 500",
        "begin, a waits 9000, @500",
        "> run a | a waits@9000 | time up, TIMED OUT = timed_out",
    );
}

#[test]
fn the_time_of_an_execution_counts_while_its_output_is_evaluated() {
    check(
        "a; *: timeout 500",
        "begin, a ok, @500, output",
        "> run a | a ok/1 > output | time up, TIMED OUT | - = timed_out",
    );
}

#[test]
fn the_time_of_a_parked_execution_is_noted_and_the_person_still_asked() {
    check(
        "a; a: once; *: timeout 500",
        "begin, a start, a unknown, @500, unpark a ok",
        "> prepare a | a started/1 > start a | a unknown/1, parked on a | time up | a unparked ok, TIMED OUT = timed_out",
    );
}

// Waits.

#[test]
fn a_wait_fires_when_it_is_due() {
    check(
        "a -> b; a: wait",
        "begin, a waits 500, @499, @500, a fired, b ok, output",
        "> run a | a waits@500 | - | > fire a | a fired > run b | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_wait_in_the_past_fires_at_once() {
    check(
        "a; a: wait",
        "begin, a waits 0, a fired, output",
        "> run a | a waits@0 > fire a | a fired > output | COMPLETED = completed",
    );
}

#[test]
fn a_wait_survives_a_crash() {
    check(
        "a; a: wait",
        "begin, a waits 500, crash, @500, crash, a fired, output",
        "> run a | a waits@500 | - | > fire a | > fire a | a fired > output | COMPLETED = completed",
    );
}

#[test]
fn waits_beside_each_other_fire_in_their_order() {
    check(
        "a, b; a: wait; b: wait",
        "begin, a waits 700, b waits 300, @300, b fired, @700, a fired, output",
        "> run a, run b | a waits@700 | b waits@300 | > fire b | b fired | > fire a | a fired > output | COMPLETED = completed",
    );
}

// Poison.

#[test]
fn a_poisoned_execution_rests_until_somebody_decides() {
    check(
        "a",
        "begin, poison, @9000, unpark - retry, a ok, output",
        "> run a | - | - | - unparked retry > run a | a ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn poison_is_not_lifted_by_a_decision_about_a_node() {
    check(
        "a, b; a: once",
        "begin, a start, a unknown, poison, unpark a ok, unpark - retry, b ok, output",
        "> prepare a, run b | a started/1 > start a | a unknown/1 | - | a unparked ok | - unparked retry > run b | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_poisoned_execution_can_be_given_up() {
    check(
        "a",
        "begin, poison, unpark - failed",
        "> run a | - | cancel, - unparked failed, CANCELLED = cancelled",
    );
}

#[test]
fn a_poisoned_execution_can_be_cancelled_and_the_lost_write_stays_visible() {
    check(
        "a; a: once",
        "begin, a start, poison, cancel",
        "> prepare a | a started/1 > start a | - | cancel, a unknown/1, CANCELLED = cancelled",
    );
}

#[test]
fn the_time_of_a_poisoned_execution_ends_it() {
    check(
        "a; *: timeout 500",
        "begin, poison, @500",
        "> run a | - | time up, TIMED OUT = timed_out",
    );
}

#[test]
fn the_time_of_a_poisoned_execution_with_a_lost_write_leaves_it_parked() {
    check(
        "a; a: once; *: timeout 500",
        "begin, a start, poison, @500, unpark a failed",
        "> prepare a | a started/1 > start a | - | time up, a unknown/1 | a unparked failed, TIMED OUT = timed_out",
    );
}

#[test]
fn a_result_is_no_answer_to_poison() {
    check(
        "a",
        "begin, poison, unpark - ok",
        "> run a | - | - = parked",
    );
}

#[test]
fn careful_journals_every_start() {
    check(
        "a -> b; b: disabled",
        "careful, a start, a ok, b ok, output",
        "> prepare a | a started/1 > start a | a ok/1 > run b | b ok/1 > output | COMPLETED = completed",
    );
}

#[test]
fn a_careful_item_is_settled_at_once() {
    check(
        "a; a: items",
        "careful, a open 1, a[0] start, a[0] ok, a collect, output",
        "> open a | a opened 1 > prepare a[0] | a[0] started/1 > start a[0] | a[0] ok/1 > collect a | a complete > output | COMPLETED = completed",
    );
}

// Items.

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

// Where instances stand at the end.

#[test]
fn nodes_on_dead_paths_are_skipped() {
    check_statuses(
        "a.yes -> b -> c, a.no -> d",
        "begin, a ok via no, d ok, output",
        "a succeeded, b skipped, c skipped, d succeeded",
    );
}

#[test]
fn what_did_not_run_is_cancelled_with_the_execution() {
    check_statuses(
        "a -> d, b, c",
        "begin, b fail, a cancelled, c cancelled",
        "a cancelled, b failed, c cancelled",
    );
}

#[test]
fn an_unknown_effect_stays_visible_after_the_end() {
    check_statuses(
        "a; a: once",
        "begin, a start, cancel, a unknown",
        "a indeterminate",
    );
    check_statuses(
        "a; a: items, once",
        "begin, a open 1, a[0] start, a[0] unknown, cancel",
        "a indeterminate",
    );
    check_statuses(
        "a; a: once",
        "begin, a start, poison, cancel",
        "a indeterminate",
    );
}

#[test]
fn each_activation_of_a_node_has_a_status() {
    check_statuses(
        "a -> c, b -> c; c: each",
        "begin, a ok to, b ok, c#2 ok, output",
        "a succeeded, c skipped, c succeeded, b succeeded",
    );
}
