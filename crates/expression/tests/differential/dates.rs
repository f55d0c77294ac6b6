//! `Date` in several zones: every method on dates that are easy to get wrong.

use super::{compare_in, tree::Choice};

/// With daylight time in both hemispheres, with half an hour of it, and without.
const ZONES: [&str; 6] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
];

const DATES: [&str; 15] = [
    "new Date('2026-03-14T09:26:53.589Z')",
    "new Date(0)",
    "new Date(-1)",
    "new Date(NaN)",
    "new Date(2026, 2, 29, 2, 30)",
    "new Date(2026, 9, 25, 2, 30)",
    "new Date(2026, 2, 8, 2, 30)",
    "new Date(2026, 10, 1, 1, 30)",
    "new Date(8.64e15)",
    "new Date(8.64e15 - 1e9)",
    "new Date(-62198755200000)",
    "new Date('2024-02-29')",
    "new Date(99, 11, 31, 23, 59, 59, 999)",
    "new Date('0000-01-01T00:00:00')",
    "new Date('2026-12-31T23:59:59.999')",
];

const METHODS: &str = "getDate() getDay() getFullYear() getHours() getMilliseconds() getMinutes() getMonth() \
getSeconds() getTime() getTimezoneOffset() getUTCDate() getUTCDay() getUTCFullYear() getUTCHours() \
getUTCMilliseconds() getUTCMinutes() getUTCMonth() getUTCSeconds() toDateString() toISOString() toJSON() \
toString() toTimeString() toUTCString() valueOf() setDate(31) setDate(-1) setDate() setFullYear(2025) \
setFullYear(2023,1,29) setHours(24) setHours(2,30) setHours(0,0,0,0) setHours(1,NaN) setMilliseconds(1e9) \
setMinutes(-1) setMinutes(90,61) setMonth(1) setMonth(14,31) setSeconds(60,1) setTime(8.64e15+1) setTime(1.9) \
setTime(-0.5) setUTCDate(0) setUTCFullYear(275761) setUTCHours(25) setUTCMilliseconds(-1) setUTCMinutes(59.9) \
setUTCMonth(-13) setUTCSeconds(1e300)";

const TEXTS: [&str; 41] = [
    "2026",
    "2026-03",
    "2026-02-30",
    "2026-02-32",
    "+002026-03-14",
    "2026-03-14T24:00:00",
    "2026-03-14T24:00:01",
    "2026-03-14T09",
    "2026-03-14T09:26",
    "2026-03-14 09:26:53",
    "2026-03-14T09:26:53Z",
    "2026-03-14T09:26:53+0100",
    "2026-03-14T09:26:53.123456789Z",
    "2026-03-14T09:26:53.5-09:30",
    "2026-03-14T23:59:60Z",
    "20260314",
    "2026-03-14T25:00",
    "2026-13-01",
    "Sat, 14 Mar 2026 09:26:53 +0100",
    "14 Mar 2026 09:26 GMT",
    "Mar 14 2026",
    "March 14, 2026 10:00 PM",
    "14 Mar 26 09:26:53 EST",
    "Sat Mar 14 2026",
    "2026-W11",
    "",
    "foo",
    "Sat",
    "2026-03-14T09:26:53+24:00",
    "31 Feb 2026 00:00 Z",
    "32 Jan 2026",
    "Sat Mar 14 2026 10:26:53 GMT+0100 (Central European Standard Time)",
    "2026-03-29T02:30:00",
    "2026-10-25T02:30:00",
    "2026-03-08T02:30:00",
    "-000001-07-01T00:00:00Z",
    "+275760-09-13T00:00:00Z",
    "+275760-09-13T00:00:00.001Z",
    "-271821-04-20T00:00:00Z",
    "-271821-04-19T23:59:59.999Z",
    "2026-03-14T09:26:53.",
];

const OTHERS: &str = "\
typeof new Date(0)
new Date(0) instanceof Date
new Date(0)
[new Date(0), new Date(NaN)]
JSON.stringify({ a: new Date(0), b: new Date(NaN) })
new Date(10) - new Date(3)
new Date(0) + 1
`${new Date(0)}`
new Date(1) < new Date(2)
new Date(1) == new Date(1)
+new Date('2026-03-14')
!new Date(NaN)
new Date(new Date(12.7))
new Date(null).getTime()
new Date(undefined).getTime()
new Date(true).getTime()
new Date(2026, 0).toISOString()
new Date(2026, 0, 1, 0, 0, 0, 0.9).toISOString()
new Date(1e300, 0)
new Date(275760, 8, 13, 0, 0, 0, 1)
Date.UTC(2026)
Date.UTC(26, 1, 29)
Date.UTC()
Date.UTC(2026, 12, 1)
Date.parse('2026-03-14')
new Date(NaN).toISOString()
[3, 1, 2].map(n => new Date(n)).toSorted((a, b) => b - a).map(d => d.getTime())
isNaN(new Date('x'))
Number(new Date(5))
String(new Date(NaN))
new Date(0)?.getTime()
Object.keys(new Date(0))
new Date('2026-03-14') > '2026'
new Date(-8.64e15).toISOString()
new Date(-8.64e15).getHours()
new Date(-8.64e15).getFullYear()
Math.max(new Date(5), new Date(7))";

fn cases() -> Vec<String> {
    let crossed = DATES.iter().flat_map(|date| {
        METHODS
            .split_whitespace()
            .map(move |method| format!("{date}.{method}"))
    });
    let texts = TEXTS
        .iter()
        .map(|text| format!("new Date('{text}').getTime()"));
    let others = OTHERS.lines().map(str::to_owned);
    crossed.chain(texts).chain(others).collect()
}

/// Of a time before 1970 Node.js names the season that another year had on that day, which shows
/// where January is in summer.
fn names_another_season(zone: &str, case: &str) -> bool {
    let early = ["(-1)", "(-62198755200000)", "('0000"];
    let named = [".toString()", ".toTimeString()"];
    zone.starts_with("A")
        && early.iter().any(|date| case.contains(date))
        && named.iter().any(|method| case.contains(method))
}

#[test]
fn dates_agree_with_node_in_every_zone() {
    for zone in ZONES {
        let mut cases = cases();
        cases.retain(|case| !names_another_season(zone, case));
        compare_in(zone, &cases);
    }
}

#[test]
fn random_dates_agree_with_node_in_every_zone() {
    for (seed, zone) in (0..).zip(ZONES) {
        let mut choice = Choice::new(seed, 7);
        let methods: Vec<&str> = METHODS.split_whitespace().collect();
        let cases: Vec<String> = (0..1_500)
            .map(|_| {
                // From 1970, before which databases differ, to 2037, after which Node.js names
                // seasons by another year.
                let minutes = choice.below(35_600_000);
                let seconds = choice.below(60);
                let method = methods[choice.below(methods.len())];
                format!("new Date({minutes} * 60000 + {seconds}007).{method}")
            })
            .collect();
        compare_in(zone, &cases);
    }
}
