//! What has occurrences, when, and what is said of what has none.

use std::time::Duration;

use nebula_core::Timestamp;
use nebula_trigger::{MAX_PERIOD, MIN_PERIOD, Schedule};
use proptest::prelude::*;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The next occurrences of an expression, without their milliseconds.
fn next(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::cron(expression, zone).unwrap();
    let occurrences = schedule.occurrences(time(after)).take(count);
    occurrences
        .map(|occurrence| occurrence.to_string().replace(":00.000Z", "Z"))
        .collect()
}

fn refused(expression: &str) -> String {
    Schedule::cron(expression, "UTC").unwrap_err().to_string()
}

#[test]
fn five_fields_six_fields_and_names_have_slots() {
    let from = "2026-01-01T00:00:00Z";
    assert_eq!(
        next("*/20 8-9 * * MON-FRI", "UTC", from, 4),
        [
            "2026-01-01T08:00Z",
            "2026-01-01T08:20Z",
            "2026-01-01T08:40Z",
            "2026-01-01T09:00Z"
        ]
    );
    assert_eq!(
        next("30 0 12 * * *", "UTC", from, 2),
        ["2026-01-01T12:00:30.000Z", "2026-01-02T12:00:30.000Z"]
    );
    assert_eq!(
        next("@monthly", "UTC", from, 2),
        ["2026-02-01T00:00Z", "2026-03-01T00:00Z"]
    );
    // The last day of the month, the weekday nearest to the 15th, the second Friday, the last Sunday.
    for (expression, expected) in [
        ("0 0 L * ?", ["2026-01-31T00:00Z", "2026-02-28T00:00Z"]),
        ("0 0 15W * ?", ["2026-01-15T00:00Z", "2026-02-16T00:00Z"]),
        ("0 0 ? * FRI#2", ["2026-01-09T00:00Z", "2026-02-13T00:00Z"]),
        ("0 0 * * SUNL", ["2026-01-25T00:00Z", "2026-02-22T00:00Z"]),
        // One of both is enough, unless both are asked for.
        ("0 0 13 * 5", ["2026-01-02T00:00Z", "2026-01-09T00:00Z"]),
        ("0 0 13 * +5", ["2026-02-13T00:00Z", "2026-03-13T00:00Z"]),
    ] {
        assert_eq!(next(expression, "UTC", from, 2), expected, "{expression}");
    }
}

#[test]
fn clocks_that_are_put_forward_or_back_lose_and_repeat_nothing() {
    // At two it is three: half past two comes at once.
    assert_eq!(
        next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
        ["2026-03-29T01:00Z", "2026-03-30T00:30Z"]
    );
    // At three it is two again: half past two comes once, and every half hour goes on.
    assert_eq!(
        next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]
    );
    assert_eq!(
        next("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 4),
        [
            "2026-10-25T00:30Z",
            "2026-10-25T01:00Z",
            "2026-10-25T01:30Z",
            "2026-10-25T02:00Z"
        ]
    );
    // By half an hour.
    assert_eq!(
        next(
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            2
        ),
        ["2026-10-03T15:30Z", "2026-10-04T15:15Z"]
    );
}

#[test]
fn what_is_no_expression_says_which_field_and_what_it_takes() {
    for (expression, says) in [
        (
            "0 0 * *",
            "`0 0 * *` has 4 fields; a cron expression has five, `minute hour day month weekday`, or six with the second before them",
        ),
        ("", "`` has 0 fields; "),
        ("0 0 0 1 1 ? 2026", "`0 0 0 1 1 ? 2026` has 7 fields; "),
        ("61 * * * *", "the minute `61` is not one: it takes 0 to 59"),
        ("0 61 * * * *", "the minute `61` is not one"),
        ("61 * * * * *", "the second `61` is not one"),
        ("* 24 * * *", "the hour `24` is not one: it takes 0 to 23"),
        (
            "* * 0 * *",
            "the day of the month `0` is not one: it takes 1 to 31",
        ),
        (
            "* * * FOO *",
            "the month `FOO` is not one: it takes 1 to 12",
        ),
        (
            "* * * * 8",
            "the day of the week `8` is not one: it takes 0 to 7",
        ),
        ("* * * * FRI#6", "the day of the week `FRI#6` is not one"),
        ("*/0 * * * *", "the minute `*/0` is not one"),
        ("5-1 * * * *", "the minute `5-1` is not one"),
        ("@reboot", "`@reboot` has 1 fields; "),
        (
            "0 0 30 2 *",
            "`0 0 30 2 *` never comes: no year has such a day",
        ),
        ("0 0 31 4,6,9,11 ?", "never comes"),
    ] {
        let said = refused(expression);
        assert!(said.contains(says), "{expression}: {said}");
    }
    assert!(refused(&"*".repeat(257)).contains("has 257 characters; the limit is 256"));
    let zone = Schedule::cron("* * * * *", "Europe/Berln").unwrap_err();
    assert!(
        zone.to_string()
            .starts_with("there is no time zone `Europe/Berln`")
    );
}

#[test]
fn a_period_counts_from_where_it_was_set() {
    let from = time("2026-01-01T00:00:00.500Z");
    let schedule = Schedule::every(Duration::from_secs(90), from).unwrap();
    let occurrences = |after: &str| {
        schedule
            .occurrences(time(after))
            .take(2)
            .map(|it| it.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        occurrences("2025-01-01T00:00:00Z"),
        ["2026-01-01T00:00:00.500Z", "2026-01-01T00:01:30.500Z"]
    );
    assert_eq!(
        occurrences("2026-01-01T00:00:00.500Z"),
        ["2026-01-01T00:01:30.500Z", "2026-01-01T00:03:00.500Z"]
    );
    assert_eq!(
        occurrences("2026-01-01T00:01:30.499Z")[0],
        "2026-01-01T00:01:30.500Z"
    );
    assert_eq!(schedule.next_after(Timestamp::MAX), None);
    for (period, fits) in [
        (MIN_PERIOD, true),
        (MIN_PERIOD - Duration::from_millis(1), false),
        (MAX_PERIOD, true),
        (MAX_PERIOD + Duration::from_millis(1), false),
    ] {
        assert_eq!(Schedule::every(period, from).is_ok(), fits, "{period:?}");
    }
    let far = Schedule::every(Duration::MAX, from)
        .unwrap_err()
        .to_string();
    assert!(
        far.ends_with("is out of range: the shortest period is 1s, the longest 3653 days"),
        "{far}"
    );
}

#[test]
fn once_is_once() {
    let at = time("2026-01-01T00:00:00Z");
    let schedule = Schedule::once(at);
    let before = Timestamp::from_millis(at.as_millis() - 1);
    assert_eq!(schedule.occurrences(before).collect::<Vec<_>>(), [at]);
    assert_eq!(schedule.next_after(at), None);
}

#[test]
fn a_schedule_ends_where_the_calendar_does() {
    let schedule = Schedule::cron("0 0 1 1 *", "UTC").unwrap();
    let last = schedule
        .occurrences(time("4990-01-01T00:00:00Z"))
        .last()
        .unwrap();
    assert_eq!(last.to_string(), "5000-01-01T00:00:00.000Z");
    assert_eq!(schedule.next_after(Timestamp::MAX), None);
    assert_eq!(schedule.next_after(Timestamp::from_millis(i64::MAX)), None);
}

/// A field, of the pieces that fields are made of.
fn field() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("*".to_owned()),
        (0_u8..70).prop_map(|n| n.to_string()),
        prop::sample::select(vec![
            "L", "W", "#", "?", "-", "/", ",", "+", "MON", "DEC", "é", "15W", "5L", "@"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_a_schedule_or_is_refused(text in ".{0,60}", fields in prop::collection::vec(field(), 0..8)) {
        for text in [text, fields.join(" ")] {
            if let Err(error) = Schedule::cron(&text, "UTC") {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }

    #[test]
    fn the_next_slot_is_later_and_nothing_lies_between(
        minute in prop::sample::select(vec!["*", "*/7", "0", "13,47", "5-25/5"]),
        hour in prop::sample::select(vec!["*", "*/5", "2", "1-3"]),
        day in prop::sample::select(vec!["*", "L", "29", "1-7"]),
        weekday in prop::sample::select(vec!["*", "1", "6-7"]),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca"]),
        from in 0_i64..4_000_000_000,
        fraction in 0_i64..1_000,
    ) {
        let schedule = Schedule::cron(&format!("{minute} {hour} {day} * {weekday}"), zone).unwrap();
        let after = Timestamp::from_millis(from * 1_000 + fraction);
        let next = schedule.next_after(after).unwrap();
        prop_assert!(next > after);
        // Asked from anywhere in between, it is the same one.
        for part in [1, 2, 3] {
            let between = after.as_millis() + (next.as_millis() - after.as_millis()) * part / 4;
            prop_assert_eq!(schedule.next_after(Timestamp::from_millis(between)), Some(next));
        }
    }
}
