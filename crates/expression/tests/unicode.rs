//! `normalize` and `localeCompare`: what is refused, and limits. The rest is compared with Node.js
//! in `cases/unicode.txt`.

mod check;

use check::{check, code_of, limited, run};
use nebula_expression::{Limits, Mode};
use serde_json::{Value, json};

#[test]
fn unknown_forms_languages_and_options_say_what_there_is() {
    for (expr, code, hint) in [
        ("'a'.normalize('NFX')", "TYPE_RANGE", "`\"NFKC\"`"),
        (
            "'a'.localeCompare('b', 'not a tag')",
            "TYPE_RANGE",
            "`\"pt-BR\"`",
        ),
        ("'a'.localeCompare('b', null)", "TYPE_RANGE", "`\"de\"`"),
        (
            "'a'.localeCompare('b', 'de', null)",
            "TYPE_ARGUMENT",
            "`{}`",
        ),
        (
            "'a'.localeCompare('b', 'de', { sensitivity: 'none' })",
            "TYPE_RANGE",
            "`base`",
        ),
    ] {
        assert_eq!(code_of(expr, &Value::Null), code, "{expr}");
        let error = run(expr, &Value::Null, Mode::Strict).unwrap_err();
        let found = error.hint.unwrap_or_default();
        assert!(found.contains(hint), "{expr}: {found}");
    }
}

#[test]
fn half_characters_are_kept_and_compare_as_unknown_ones() {
    // Node.js orders two different halves by their number, which says nothing to anyone.
    check(r"'\ud800'.localeCompare('\ud83d')", &Value::Null, &json!(0));
    check(r"'\ud800'.localeCompare('a')", &Value::Null, &json!(1));
    check(
        r"'e\u0301\ud800'.normalize() === 'é\ud800'",
        &Value::Null,
        &json!(true),
    );
}

#[test]
fn text_that_grows_or_takes_long_stops_at_the_limits() {
    // One character becomes eighteen.
    let data = json!({ "json": "\u{fdfa}".repeat(1_000) });
    let long = "$json.normalize('NFKC').length";
    assert_eq!(
        limited(long, &data, Limits::default()),
        Ok(Some(json!(18_000)))
    );
    let limits = Limits {
        string_bytes: 30_000,
        ..Limits::default()
    };
    assert_eq!(limited(long, &data, limits), Err("LIMIT_STRING"));
    let limits = Limits {
        arena_bytes: 12_000,
        ..Limits::default()
    };
    assert_eq!(limited(long, &data, limits), Err("LIMIT_ARENA"));
    let limits = Limits {
        operations: 40,
        ..Limits::default()
    };
    assert_eq!(limited(long, &data, limits), Err("LIMIT_OPERATIONS"));
    // Marks may be compared each with each: what the time grows with is paid for.
    for marks in ["\u{301}\u{327}", "\u{f73}"] {
        let data = json!({ "json": format!("e{}", marks.repeat(100_000)) });
        let compare = "$json.localeCompare($json + '\u{328}x')";
        assert_eq!(
            limited(compare, &data, Limits::default()),
            Err("LIMIT_OPERATIONS")
        );
        let data = json!({ "json": format!("e{}", marks.repeat(50)) });
        assert!(limited(compare, &data, Limits::default()).is_ok());
    }
}

#[test]
fn a_long_common_beginning_does_not_make_a_comparison_slow() {
    let data = json!({ "json": "e\u{301}".repeat(20_000) });
    assert_eq!(
        limited("$json.localeCompare($json + 'x')", &data, Limits::default()),
        Ok(Some(json!(-1)))
    );
}
