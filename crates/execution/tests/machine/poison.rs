//! Executions that were leased again and again without progress.

use crate::rig::script::check;

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
fn what_is_lost_again_is_followed_with_care() {
    check(
        "a -> b; a: write",
        "begin, a start, crash, a start, crash, a start, a ok, b start, b ok, output",
        "> prepare a | a started/1 > start a | a lost/1 again@0 > prepare a/2 | a started/2 > start a | a lost/2 again@0 > prepare a/3 | a started/3 > start a | a ok/3 > prepare b | b started/1 > start b | b ok/1 > output | COMPLETED = completed",
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
