//! `nebula schedule next`.

use serde_json::json;

use crate::support::User;

const EVE: &str = "2026-03-28T12:00:00Z";

#[test]
fn a_schedule_is_shown_by_the_clocks_of_its_zone() {
    let user = User::new();
    let next = [
        "schedule",
        "next",
        "--expr",
        "30 2 * * *",
        "--tz",
        "Europe/Berlin",
        "--from",
        EVE,
    ];
    let said = user
        .nebula(&[&next[..], &["--count", "2", "--json"]].concat())
        .exits(0);
    let occurrences = json!([
        { "at": "2026-03-29T01:00:00.000Z", "local": "2026-03-29T03:00:00+02:00" },
        { "at": "2026-03-30T00:30:00.000Z", "local": "2026-03-30T02:30:00+02:00" },
    ]);
    assert_eq!(
        said.json(),
        json!({ "expression": "30 2 * * *", "timezone": "Europe/Berlin", "from": "2026-03-28T12:00:00.000Z", "occurrences": occurrences })
    );
    let said = user.nebula(&next).exits(0);
    assert_eq!(said.json()["occurrences"].as_array().unwrap().len(), 5);
}

#[test]
fn what_is_no_schedule_is_bad_usage() {
    let user = User::new();
    for (expr, tz, says) in [
        ("61 * * * *", "UTC", "the minute `61` is not one"),
        ("0 0 30 2 *", "UTC", "never comes"),
        (
            "* * * * *",
            "Mars/Base",
            "there is no time zone `Mars/Base`",
        ),
    ] {
        let said = user
            .nebula(&["schedule", "next", "--expr", expr, "--tz", tz])
            .exits(2);
        assert_eq!(said.error_code(), "INVALID_SCHEDULE");
        said.says(says);
    }
    for wrong in [
        ["--count", "0"],
        ["--count", "1001"],
        ["--from", "yesterday"],
    ] {
        let next = ["schedule", "next", "--expr", "* * * * *"];
        user.nebula(&[&next[..], &wrong].concat()).exits(2);
    }
}

#[test]
fn a_schedule_that_is_over_says_so() {
    let user = User::new();
    let next = [
        "schedule",
        "next",
        "--expr",
        "0 0 1 1 *",
        "--from",
        "9999-01-01T00:00:00Z",
    ];
    assert_eq!(user.nebula(&next).exits(0).json()["occurrences"], json!([]));
}
