//! Dates, durations and their texts: tables of expressions with the answers of JavaScript, of
//! `Intl` and of luxon, which `answers.js` wrote.

use nebula_expression::{CompileOptions, Context, JsonScope, Program, Purity};
use serde_json::{Value, json};

/// 2026-03-14T09:26:53.589Z
const NOW: i64 = 1_773_480_413_589;

fn evaluate(source: &str, zone: &str) -> Result<Option<Value>, String> {
    let program = Program::compile(source, &CompileOptions::default())
        .map_err(|errors| format!("{}: {}", errors[0].code, errors[0].message))?;
    let context = Context {
        now_ms: NOW,
        timezone: zone.into(),
        ..Context::default()
    };
    program
        .evaluate(&JsonScope(&json!({})), &context)
        .map_err(|error| format!("{}: {}", error.code, error.message))
}

/// Numbers are one whether they are written as 1 or 1.0.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b)))
        }
        (a, b) => a == b,
    }
}

/// Holds every line of a table against what we make of it.
fn check(table: &str) {
    let mut zone = "UTC";
    let mut differ = Vec::new();
    let mut count = 0;
    for line in table.lines().filter(|line| !line.is_empty()) {
        if let Some(named) = line.strip_prefix("@ ") {
            zone = named;
            continue;
        }
        count += 1;
        let (source, expected) = line.split_once('\t').expect("every line has an answer");
        let found = evaluate(source, zone);
        let agrees = match (&found, expected) {
            (Err(_), "throws") | (Ok(None), "undefined") => true,
            (Err(_), _) | (Ok(_), "throws" | "undefined") => false,
            (Ok(found), expected) => {
                let expected: Value = serde_json::from_str(expected).expect("answers are JSON");
                alike(found.as_ref().unwrap_or(&Value::Null), &expected)
            }
        };
        if !agrees {
            differ.push(format!(
                "{source}\n    there {expected}\n    here  {found:?}"
            ));
        }
    }
    let shown = differ.iter().take(40).cloned().collect::<Vec<_>>();
    assert!(
        differ.is_empty(),
        "{} of {count} differ:\n{}",
        differ.len(),
        shown.join("\n")
    );
}

#[test]
fn dates_in_the_words_of_languages_agree_with_intl() {
    check(include_str!("locales.txt"));
}

#[test]
fn only_what_reads_the_clock_depends_on_it() {
    let purity = |source| {
        let program = Program::compile(source, &CompileOptions::default()).unwrap();
        program.report().purity
    };
    for source in [
        "DateTime.now()",
        "$json.at.toDateTime().diffNow()",
        "new Date()",
        "new Date(...[])",
        "Date()",
        "Date.now()",
    ] {
        assert_eq!(purity(source), Purity::Time, "{source}");
    }
    for source in [
        "new Date(0)",
        "new Date('2026').getHours()",
        "Date.UTC(2026)",
        "DateTime.fromMillis(0).plus(1)",
    ] {
        assert_eq!(purity(source), Purity::Pure, "{source}");
    }
}

#[test]
fn date_times_durations_and_intervals_agree_with_luxon() {
    check(include_str!("luxon.txt"));
}

/// Formats of random tokens, in random languages and zones, written and read.
#[test]
fn random_formats_agree_with_luxon() {
    check(include_str!("tokens.txt"));
}

#[test]
fn what_has_no_date_is_an_error_where_it_leaves() {
    let code = |source| evaluate(source, "UTC").unwrap_err();
    for source in [
        "DateTime.fromISO('14.03.2026')",
        "({ at: DateTime.fromISO('x') })",
        "Duration.fromISO('x')",
        "Interval.fromISO('x')",
    ] {
        assert!(code(source).starts_with("TYPE_INVALID_DATE"), "{source}");
    }
    for (source, expected) in [
        ("'14.03.2026'.toDateTime()", "TYPE_DATE"),
        ("new Date(NaN).toISOString()", "TYPE_RANGE"),
        ("$now.startOf('moth')", "TYPE_ARGUMENT"),
        ("$now.toLocaleString({ era: 'long' })", "TYPE_OPTION"),
        ("$now.foo()", "NAME_UNKNOWN_METHOD"),
        ("DateTime.fromIso('x')", "NAME_UNKNOWN_FUNCTION"),
    ] {
        assert!(
            code(source).starts_with(expected),
            "{source}: {}",
            code(source)
        );
    }
}

#[test]
fn lists_of_intervals_and_formats_end_at_limits() {
    let year = "Interval.after(DateTime.fromMillis(0), { years: 100 })";
    for (source, expected) in [
        (format!("{year}.splitBy(1).length"), "LIMIT_"),
        (format!("{year}.splitBy(1e-300).length"), "LIMIT_"),
        (format!("{year}.divideEqually(1e9).length"), "TYPE_ARGUMENT"),
        (
            "$now.toFormat('y '.repeat(400000))".to_owned(),
            "LIMIT_OPERATIONS",
        ),
        (
            "DateTime.fromFormat('1', 'd '.repeat(100))".to_owned(),
            "TYPE_ARGUMENT",
        ),
    ] {
        let found = evaluate(&source, "UTC").unwrap_err();
        assert!(found.starts_with(expected), "{source}: {found}");
    }
}

#[test]
fn a_distance_that_is_padded_is_longer_on_both_sides_of_now() {
    for (source, expected) in [
        ("$now.plus({ hours: 23 })", "in 23 hours"),
        ("$now.minus({ hours: 23 })", "23 hours ago"),
    ] {
        let plain = evaluate(&format!("{source}.toRelative()"), "UTC");
        assert_eq!(plain, Ok(Some(json!(expected))));
    }
    for (source, expected) in [
        ("$now.plus({ hours: 23 })", "in 1 day"),
        ("$now.minus({ hours: 23 })", "1 day ago"),
    ] {
        let padded = evaluate(
            &format!("{source}.toRelative({{ padding: 3600000 }})"),
            "UTC",
        );
        assert_eq!(padded, Ok(Some(json!(expected))));
    }
}

#[test]
fn the_forms_of_other_tools_work_on_every_kind_of_date() {
    for (source, expected) in [
        ("$now.plus(2, 'days').toISODate()", json!("2026-03-16")),
        (
            "$now.minus(1, 'month').format('dd.MM.yyyy')",
            json!("14.02.2026"),
        ),
        ("$now.beginningOf('month').toISODate()", json!("2026-03-01")),
        ("$now.endOfMonth().toISODate()", json!("2026-03-31")),
        ("$now.extract('month')", json!(3)),
        ("$now.extract()", json!(11)),
        ("$now.isBetween($today, $now.plus(1))", json!(true)),
        ("$now.isBetween($now.plus(1), $today)", json!(true)),
        ("$now.isBetween($now, $now.plus(1))", json!(false)),
        ("$now.isBetween($today, $now)", json!(false)),
        ("$now.inBetween('2027-01-01', '2028-01-01')", json!(false)),
        ("$today.diffTo('2026-03-20', 'days')", json!(6)),
        ("$now.toInt() === $now.toMillis()", json!(true)),
        (
            "new Date(0).plus(1, 'week').toISODate()",
            json!("1970-01-08"),
        ),
        ("new Date(0).format('yyyy')", json!("1970")),
        (
            "'14.03.2026'.toDateTime('dd.MM.yyyy').toISODate()",
            json!("2026-03-14"),
        ),
        ("'2026-03-14 09:26:53'.toDateTime().hour", json!(9)),
        (
            "'March 14, 2026'.toDateTime().weekdayLong",
            json!("Saturday"),
        ),
        (
            "'2026-03-14T09:26:53-05:00'.toDateTime().zoneName",
            json!("UTC-5"),
        ),
        (
            "(1773480413).toDateTime('s').toISODate()",
            json!("2026-03-14"),
        ),
        (
            "(46095).toDateTime('excel').toISODate()",
            json!("2026-03-14"),
        ),
        ("$now.diffToNow('days')", json!(0)),
    ] {
        assert_eq!(
            evaluate(source, "UTC").as_ref(),
            Ok(&Some(expected)),
            "{source}"
        );
    }
}
