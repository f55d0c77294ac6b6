//! Where instances stand at the end.

use crate::rig::script::check_statuses;

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
