//! Waits.

use crate::rig::script::check;

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
