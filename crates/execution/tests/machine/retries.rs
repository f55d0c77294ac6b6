//! Attempts that are made again.

use nebula_execution::MAX_DEFERRALS;

use crate::rig::script::check;

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
fn what_is_put_off_is_no_failure_of_a_node_without_retry() {
    check(
        "a",
        "begin, a deferred, @699, @700, a deferred, @1400, a ok, output",
        "> run a | a lost/1 again@700 | - | > run a/2 | a lost/2 again@1400 | > run a/3 | a ok/3 > output | COMPLETED = completed",
    );
    check(
        "a; a: retry 2",
        "begin, a deferred, @700, a again, @800, a fail",
        "> run a | a lost/1 again@700 | > run a/2 | a failed/2 again@800 | > run a/3 | a failed/3, FAILED = failed",
    );
}

#[test]
fn what_is_put_off_too_often_has_failed() {
    let (mut steps, mut expected) = ("begin".to_owned(), "> run a".to_owned());
    for number in 1..=MAX_DEFERRALS {
        let (due, next) = (700 * number, number + 1);
        steps += &format!(", a deferred, @{due}");
        expected += &format!(" | a lost/{number} again@{due} | > run a/{next}");
    }
    steps += ", a deferred";
    expected += &format!(" | a failed/{}, FAILED = failed", MAX_DEFERRALS + 1);
    check("a", &steps, &expected);
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
