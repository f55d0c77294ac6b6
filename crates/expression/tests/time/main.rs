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
    for source in ["new Date()", "new Date(...[])", "Date()", "Date.now()"] {
        assert_eq!(purity(source), Purity::Time, "{source}");
    }
    for source in [
        "new Date(0)",
        "new Date('2026').getHours()",
        "Date.UTC(2026)",
    ] {
        assert_eq!(purity(source), Purity::Pure, "{source}");
    }
}
