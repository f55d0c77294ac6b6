//! How what comes to a trigger is gathered into executions.

use nebula_core::{Digest, Timestamp};
use nebula_trigger::{Gathered, Intake, Listening, MAX_GATHERED, Waiting};
use serde_json::{Value, json};

fn intake(fields: &Value) -> Intake {
    let mut all = json!({ "event": "x" });
    all.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    Listening::read("event", all.as_object().unwrap())
        .unwrap()
        .unwrap()
        .intake
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

/// What came at these seconds, each with its key.
fn came(all: &[(i64, &str)]) -> Vec<Waiting> {
    let one = |(second, key): &(i64, &str)| Waiting {
        at: at(*second),
        key: (!key.is_empty()).then(|| Digest::of(key.as_bytes())),
    };
    all.iter().map(one).collect()
}

#[test]
fn without_gathering_the_first_one_starts() {
    let intake = intake(&json!({}));
    assert_eq!(intake.gathered(&[], at(0)), Gathered::Nothing);
    let waiting = came(&[(5, ""), (6, "")]);
    assert_eq!(intake.gathered(&waiting, at(0)), Gathered::Starts(vec![0]));
}

#[test]
fn what_is_debounced_starts_once_it_is_quiet() {
    let intake = intake(&json!({ "debounce": "10s" }));
    let waiting = came(&[(100, ""), (105, ""), (112, "")]);
    assert_eq!(intake.gathered(&waiting, at(121)), Gathered::Waits(at(122)));
    assert_eq!(
        intake.gathered(&waiting, at(122)),
        Gathered::Starts(vec![0, 1, 2])
    );
}

#[test]
fn what_never_is_quiet_starts_all_the_same() {
    let intake = intake(&json!({ "debounce": { "quiet": "10s", "at_most": "15s" } }));
    let waiting = came(&[(100, ""), (108, ""), (114, "")]);
    assert_eq!(intake.gathered(&waiting, at(114)), Gathered::Waits(at(115)));
    assert_eq!(
        intake.gathered(&waiting, at(115)),
        Gathered::Starts(vec![0, 1, 2])
    );
}

#[test]
fn a_batch_starts_when_it_is_full_or_has_waited() {
    let intake = intake(&json!({ "batch": { "size": 3, "wait": "10s" } }));
    let waiting = came(&[(100, ""), (105, "")]);
    assert_eq!(intake.gathered(&waiting, at(109)), Gathered::Waits(at(110)));
    assert_eq!(
        intake.gathered(&waiting, at(110)),
        Gathered::Starts(vec![0, 1])
    );
    let waiting = came(&[(100, ""), (100, ""), (101, ""), (101, "")]);
    assert_eq!(
        intake.gathered(&waiting, at(101)),
        Gathered::Starts(vec![0, 1, 2])
    );
}

/// Each key by itself, and the one that waits longest first.
#[test]
fn what_has_the_same_key_is_gathered_together() {
    let debounced = intake(&json!({ "debounce": "10s", "key": "$trigger.payload" }));
    let waiting = came(&[(100, "a"), (101, "b"), (102, ""), (109, "a"), (110, "")]);
    assert_eq!(
        debounced.gathered(&waiting, at(110)),
        Gathered::Waits(at(111))
    );
    assert_eq!(
        debounced.gathered(&waiting, at(111)),
        Gathered::Starts(vec![1])
    );
    assert_eq!(
        debounced.gathered(&waiting, at(119)),
        Gathered::Starts(vec![0, 3])
    );
    let batched =
        intake(&json!({ "batch": { "size": 2, "wait": "10s" }, "key": "$trigger.payload" }));
    let waiting = came(&[(100, "a"), (101, "b"), (101, "b")]);
    assert_eq!(
        batched.gathered(&waiting, at(101)),
        Gathered::Starts(vec![1, 2])
    );
}

#[test]
fn as_many_as_are_looked_at_start_whenever_they_came() {
    let intake = intake(&json!({ "debounce": "1d" }));
    let waiting = came(&vec![(100, ""); MAX_GATHERED]);
    assert_eq!(
        intake.gathered(&waiting, at(100)),
        Gathered::Starts((0..MAX_GATHERED).collect())
    );
    let waits = Gathered::Waits(at(100 + 86_400));
    assert_eq!(intake.gathered(&waiting[1..], at(100)), waits);
}
