//! Triggers that go by time are read from their fields, and every problem is told.

use std::time::Duration;

use nebula_trigger::{Misfire, Overlap, Timing};
use serde_json::{Value, json};

fn read(kind: &str, fields: Value) -> Result<Timing, Vec<String>> {
    let Value::Object(fields) = fields else {
        panic!("fields are an object")
    };
    let read = Timing::read(kind, &fields, "Europe/Berlin").expect("it goes by time");
    read.map_err(|errors| {
        let told = errors
            .iter()
            .map(|error| format!("{}: {}", error.field, error.message));
        told.collect()
    })
}

#[test]
fn each_kind_has_its_schedule_and_the_rest_has_defaults() {
    let nightly = read("cron", json!({ "schedule": "30 2 * * *" })).unwrap();
    assert_eq!(nightly.schedule.to_string(), "30 2 * * * (Europe/Berlin)");
    assert_eq!(
        (nightly.misfire, nightly.overlap),
        (Misfire::Once, Overlap::Allow)
    );
    assert_eq!(
        (nightly.window, nightly.jitter),
        (Duration::from_hours(24), Duration::ZERO)
    );

    let all = json!({
        "schedule": "30  2 * * MON", "timezone": "Asia/Kathmandu", "misfire": "all", "window": "2h",
        "overlap": "cancel_previous", "jitter": "30s",
    });
    let all = read("cron", all).unwrap();
    assert_eq!(all.schedule.to_string(), "30 2 * * MON (Asia/Kathmandu)");
    assert_eq!(
        (all.misfire, all.overlap),
        (Misfire::All, Overlap::CancelPrevious)
    );
    assert_eq!(
        (all.window, all.jitter),
        (Duration::from_hours(2), Duration::from_secs(30))
    );

    let quarters = read(
        "interval",
        json!({ "every": "15m", "misfire": "skip", "overlap": "queue" }),
    )
    .unwrap();
    let next = quarters
        .schedule
        .next_after("2026-01-01T00:01:00Z".parse().unwrap());
    assert_eq!(next, Some("2026-01-01T00:15:00Z".parse().unwrap()));
    let from = read(
        "interval",
        json!({ "every": "1d", "from": "2026-01-01T06:00:00Z", "overlap": "skip" }),
    )
    .unwrap();
    let next = from
        .schedule
        .next_after("2026-01-01T07:00:00Z".parse().unwrap());
    assert_eq!(next, Some("2026-01-02T06:00:00Z".parse().unwrap()));

    let once = read("once", json!({ "at": "2026-01-01T06:00:00+01:00" })).unwrap();
    assert_eq!(
        once.schedule.to_string(),
        "once at 2026-01-01T05:00:00.000Z"
    );
}

#[test]
fn other_kinds_are_none_of_its_business() {
    assert!(Timing::read("webhook", &serde_json::Map::new(), "UTC").is_none());
}

#[test]
fn every_problem_is_told_with_its_field() {
    for (kind, fields, told) in [
        (
            "cron",
            json!({}),
            vec!["schedule: it is missing; write it like `schedule: \"30 2 * * *\"`"],
        ),
        (
            "interval",
            json!({}),
            vec!["every: it is missing; write it like `every: 15m`"],
        ),
        (
            "once",
            json!({}),
            vec!["at: it is missing; write it like `at: \"2026-03-14T09:26:53Z\"`"],
        ),
        (
            "cron",
            json!({ "schedule": 5 }),
            vec!["schedule: expected a string"],
        ),
        (
            "cron",
            json!({ "schedule": "0 0 30 2 *" }),
            vec!["schedule: `0 0 30 2 *` never comes: no year has such a day"],
        ),
        (
            "cron",
            json!({ "schedule": "* * * * *", "timezone": "Mars" }),
            vec![
                "timezone: there is no time zone `Mars`; write an IANA name, such as `Europe/Berlin` or `UTC`",
            ],
        ),
        (
            "interval",
            json!({ "every": "15" }),
            vec![
                "every: `15` is not a span of time; write numbers with w, d, h, m, s or ms, such as `1h30m` or `200ms`",
            ],
        ),
        (
            "interval",
            json!({ "every": "10ms" }),
            vec![
                "every: every 10ms is out of range: the shortest period is 1s, the longest 3653 days",
            ],
        ),
        (
            "interval",
            json!({ "every": "1m", "from": "noon" }),
            vec!["from: `noon` is not a point in time; write it like `2026-03-14T09:26:53Z`"],
        ),
        (
            "once",
            json!({ "at": "noon" }),
            vec!["at: `noon` is not a point in time; write it like `2026-03-14T09:26:53Z`"],
        ),
        (
            "once",
            json!({ "at": "2026-03-14T09:26:53Z", "misfire": "never", "overlap": "wait", "window": "32d", "jitter": "61m", "every": "1m" }),
            vec![
                "every: a trigger of this kind has no such field",
                "misfire: `never` is none of `skip`, `once`, `all`",
                "overlap: `wait` is none of `allow`, `skip`, `queue`, `cancel_previous`",
                "window: `32d` is too long; at most 4w3d",
                "jitter: `61m` is too long; at most 1h",
            ],
        ),
    ] {
        assert_eq!(
            read(kind, fields.clone()),
            Err(told.into_iter().map(str::to_owned).collect()),
            "{kind} {fields}"
        );
    }
}
