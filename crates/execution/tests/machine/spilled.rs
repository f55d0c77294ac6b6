//! Results that lie in blobs: the machine knows their names.

use crate::rig::script::{check, check_statuses};

#[test]
fn a_result_is_journalled_by_its_name() {
    check(
        "a -> b",
        "begin, a ok-spilled, crash, b ok, output",
        "> run a | a spilled/1 > run b | > run b | b ok/1 > output | COMPLETED = completed",
    );
}

/// Guard: what lies in a blob is passed on by its name, however small its value is.
#[test]
fn json_that_lies_in_a_blob_is_passed_on_by_its_name() {
    check(
        "a -> b -> c -> d",
        "begin, a ok-spilled, b ok-passes, c ok-spilled, d ok, crash, output",
        "> run a | a spilled/1 > run b | b passed/1 > run c | c passed/1 > run d | d ok/1 > output | > output | COMPLETED = completed",
    );
    check(
        "a -> t -> z; t: wait",
        "begin, a ok-spilled, t waits 500, @500, t fired, z ok-passes, crash, output",
        "> run a | a spilled/1 > run t | t waits@500 | > fire t | t fired > run z | z passed/1 > output | > output | COMPLETED = completed",
    );
    check_statuses(
        "a -> k -> z, s; k: cancel",
        "begin, a ok-spilled, k cancels s, z ok-passes, crash, output",
        "a succeeded, k succeeded, z succeeded, s cancelled",
    );
}

/// Guard: nobody has read what lies in a blob when a slot is granted, so it is asked for first; and
/// the body has its time from when it begins.
#[test]
fn a_body_behind_a_slot_asks_for_what_lies_in_a_blob() {
    check(
        "a -> m -> z; m mutex { b }",
        "begin, a ok-spilled, m claims k, m granted k, crash, m with x, m/b ok, m collect, z ok, output",
        "> run a | a spilled/1 > run m | m claims k | m granted > enter m | > enter m | m in > run m/b | m/b ok/1, m out > collect m | m done > run z | z ok/1 > output | COMPLETED = completed",
    );
    // A slot that is lost meanwhile opens nothing; once it is back, it is asked for again.
    check(
        "a -> m -> z; m mutex { b }",
        "begin, a ok-spilled, m claims k, m granted k, m lost k, m with x, admitted, m granted k, m with x",
        "> run a | a spilled/1 > run m | m claims k | m granted > enter m | m lost its slot | - | m claims k | m granted > enter m | m in > run m/b = busy",
    );
}
