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

/// Guard: a body begins on the name of a blob, which nobody has to read for that; and what it gives is
/// the name of its end node's.
#[test]
fn a_body_begins_on_what_lies_in_a_blob_and_gives_that() {
    check(
        "a -> m -> z; m mutex { b }",
        "begin, a ok-spilled, m claims k, m granted k, crash, m/b ok-passes, m collect, z ok-passes, crash, output",
        "> run a | a spilled/1 > run m | m claims k | m granted, m in > run m/b | > run m/b | m/b passed/1, m out > collect m | m done > run z | z passed/1 > output | > output | COMPLETED = completed",
    );
}

/// Guard: an outcome that lies in a blob waits for no others, since a collector deletes what no journal
/// names for long.
#[test]
fn an_outcome_in_a_blob_waits_for_no_batch() {
    check(
        "a; a: items, window 2",
        "begin, a open 3, a[0] ok, a[1] ok-spilled, a[2] ok, a collect, output",
        "> open a | a opened 3 > run a[0], run a[1] | > run a[2] | a settled 0+2 | a settled 2+1 > collect a | a complete > output | COMPLETED = completed",
    );
}
