//! Effects of which nobody knows whether they happened.

use crate::rig::script::check;

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
fn a_node_that_takes_its_worker_down_is_left_to_a_person_in_the_end() {
    check(
        "a; a: write, continue",
        "begin, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, unpark a retry, a start, a ok, output",
        "> prepare a | a started/1 > start a | a lost/1 again@0 > prepare a/2 | a started/2 > start a | a lost/2 again@0 > prepare a/3 | a started/3 > start a | a lost/3 again@0 > prepare a/4 | a started/4 > start a | a lost/4 again@0 > prepare a/5 | a started/5 > start a | a lost/5 again@0 > prepare a/6 | a started/6 > start a | a lost/6 again@0 > prepare a/7 | a started/7 > start a | a lost/7 again@0 > prepare a/8 | a started/8 > start a | a lost/8 again@0 > prepare a/9 | a started/9 > start a | a lost/9 again@0 > prepare a/10 | a started/10 > start a | a unknown/10, parked on a | a unparked retry > prepare a/11 | a started/11 > start a | a ok/11 > output | COMPLETED = completed",
    );
}

#[test]
fn a_node_that_takes_its_worker_down_fails_in_the_end_where_its_author_says_so() {
    check(
        "a; a: write, continue, fails",
        "begin, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a start, crash, a unreconciled, output",
        "> prepare a | a started/1 > start a | a lost/1 again@0 > prepare a/2 | a started/2 > start a | a lost/2 again@0 > prepare a/3 | a started/3 > start a | a lost/3 again@0 > prepare a/4 | a started/4 > start a | a lost/4 again@0 > prepare a/5 | a started/5 > start a | a lost/5 again@0 > prepare a/6 | a started/6 > start a | a lost/6 again@0 > prepare a/7 | a started/7 > start a | a lost/7 again@0 > prepare a/8 | a started/8 > start a | a lost/8 again@0 > prepare a/9 | a started/9 > start a | a lost/9 again@0 > prepare a/10 | a started/10 > start a | > ask a/10 | a failed/10 > output | COMPLETED = completed",
    );
}

#[test]
fn workers_that_stop_in_order_never_give_an_attempt_up() {
    let told = "a start, a cancelled, ".repeat(6);
    let dropped = "a start, a interrupted, crash, ".repeat(6);
    let round = |n| {
        // Whoever has dropped an attempt commands the next one, which nobody hears any more.
        let unheard = if n > 6 {
            format!(" > prepare a/{} |", n + 1)
        } else {
            String::new()
        };
        format!(
            " a started/{n} > start a | a lost/{n} again@0{unheard} > prepare a/{} |",
            n + 1
        )
    };
    let rounds: String = (1..=12).map(round).collect();
    check(
        "a; a: write",
        &format!("begin, {told}{dropped}a start, a ok, output"),
        &format!(
            "> prepare a |{rounds} a started/13 > start a | a ok/13 > output | COMPLETED = completed"
        ),
    );
}

#[test]
fn what_may_not_be_repeated_is_left_to_the_next_holder() {
    check(
        "a; a: once",
        "begin, a start, a interrupted, crash",
        "> prepare a | a started/1 > start a | - | a unknown/1, parked on a = parked",
    );
}

#[test]
fn a_stop_before_the_start_leaves_nothing_to_say() {
    check(
        "a; a: write",
        "begin, a interrupted, crash, a start, a ok, output",
        "> prepare a | - | > prepare a | a started/1 > start a | a ok/1 > output | COMPLETED = completed",
    );
}
