//! Regular expressions: where a wrong one is pointed at, and what a search may cost. That they
//! match as in JavaScript is compared with Node.js in `cases/regexes.txt`.

mod check;

use check::{check, code_of, problems, value};
use nebula_expression::{CompileOptions, Context, JsonScope, Limits, Program};
use serde_json::{Value, json};

#[test]
fn a_wrong_pattern_is_pointed_at_inside_the_literal() {
    for (expr, code, place) in [
        ("'a'.match(/x(?=y)/)", "UNSUPPORTED_REGEX_LOOKAROUND", "(?="),
        (
            "'a'.match(/x(?<!y)/)",
            "UNSUPPORTED_REGEX_LOOKAROUND",
            "(?<!",
        ),
        (
            "/é(a)\\1/.test('')",
            "UNSUPPORTED_REGEX_BACKREFERENCE",
            "\\1",
        ),
        (
            "/(?<q>['\"])\\k<q>/",
            "UNSUPPORTED_REGEX_BACKREFERENCE",
            "\\k<q>",
        ),
        ("/a/gv.test('')", "UNSUPPORTED_REGEX_FLAG", "v"),
        ("/a/gxg.test('')", "SYNTAX_REGEX", "x"),
        ("/äö+*/.test('')", "SYNTAX_REGEX", "*"),
        ("/[z-a]/.test('')", "SYNTAX_REGEX", "z-a"),
        ("/(?:a{1000}){1000}/", "LIMIT_REGEX", "(?:a{1000}){1000}"),
        ("new RegExp('a(', 'g')", "SYNTAX_REGEX", "'a('"),
        ("RegExp('a', 'gg')", "SYNTAX_REGEX", "'gg'"),
        ("/abc", "SYNTAX_UNCLOSED", "/abc"),
        ("/a[/]", "SYNTAX_UNCLOSED", "/a[/]"),
    ] {
        assert_eq!(problems(expr), [(code, place.to_owned())], "{expr}");
    }
    // One wrong pattern does not hide the next, nor a name behind it.
    assert_eq!(problems("[/+/, /a(/.test(nope), /?/]").len(), 4);
}

#[test]
fn a_hint_says_what_to_write_instead() {
    let hint = |expr: &str| {
        let errors = Program::compile(expr, &CompileOptions::default()).unwrap_err();
        errors[0].hint.clone().unwrap_or_default()
    };
    assert!(hint("/a(?!b)/").contains("groups"));
    assert!(hint("/(a)\\1/").contains("`===`"));
    assert!(hint("/a/v").contains("`u`"));
    assert!(hint("/a(b/").contains("`)`"));
    let error = value("'a'.replaceAll(/a/, '')", &Value::Null).unwrap_err();
    assert!(error.hint.unwrap().contains('g'));
}

#[test]
fn a_pattern_made_while_running_has_the_same_errors() {
    let data = json!({ "json": { "p": "a(?=b)", "q": "(", "f": "z", "big": "(?:a{1000}){1000}" } });
    assert_eq!(
        code_of("new RegExp($json.p)", &data),
        "UNSUPPORTED_REGEX_LOOKAROUND"
    );
    assert_eq!(code_of("'a'.match($json.q)", &data), "SYNTAX_REGEX");
    assert_eq!(code_of("RegExp('a', $json.f)", &data), "SYNTAX_REGEX");
    assert_eq!(code_of("RegExp($json.big)", &data), "LIMIT_REGEX");
    let long = json!({ "json": { "p": "a".repeat(70_000) } });
    assert_eq!(code_of("RegExp($json.p)", &long), "LIMIT_REGEX");
}

#[test]
fn a_pattern_is_no_result_and_a_match_is_a_list() {
    let error = value("/a/", &Value::Null).unwrap_err();
    assert_eq!((error.code, error.hint.is_some()), ("TYPE_RESULT", true));
    assert_eq!(code_of("({ r: /a/ })", &Value::Null), "TYPE_RESULT");
    check("'ab'.match(/a(x)?/)", &Value::Null, &json!(["a", null]));
    check(
        "({ m: 'ab'.match(/(?<n>b)/).groups })",
        &Value::Null,
        &json!({ "m": { "n": "b" } }),
    );
}

#[test]
fn a_member_that_is_a_method_is_told_apart() {
    assert_eq!(code_of("/a/.test", &Value::Null), "TYPE_METHOD_NOT_CALLED");
    assert_eq!(code_of("/a/.match('a')", &Value::Null), "TYPE_NO_METHOD");
}

fn within(limits: Limits, expr: &str, data: &Value) -> Result<Option<Value>, &'static str> {
    let context = Context {
        limits,
        ..Context::default()
    };
    let program = Program::compile(expr, &CompileOptions::default()).unwrap();
    let result = program.evaluate(&JsonScope(data), &context);
    result.map_err(|error| error.code)
}

#[test]
fn what_hangs_elsewhere_ends_here() {
    let data = json!({ "json": { "a": format!("{}!", "a".repeat(20_000)) } });
    for pattern in [
        "(a+)+$",
        "(a|a)*b",
        "(a|aa)+$",
        "(.*)*x",
        "(a+a+)+y",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "(?:a?){30}a{30}b",
    ] {
        let found = value(&format!("/{pattern}/.test($json.a)"), &data);
        assert_eq!(found, Ok(Some(json!(false))), "{pattern}");
    }
}

#[test]
fn a_search_is_paid_in_operations() {
    let data = json!({ "json": { "a": "a".repeat(60_000) } });
    let limits = |operations, operations_ceiling| Limits {
        operations,
        operations_ceiling,
        ..Limits::default()
    };
    // Each search goes to the end of the text, so all of them take the square of its length.
    let squares = "$json.a.replace(/a.*b|a/g, '').length";
    assert_eq!(
        within(Limits::default(), squares, &data),
        Err("LIMIT_OPERATIONS")
    );
    // The text allows for a linear search, and the ceiling for nothing more.
    let linear = "/(a|b)*c/.test($json.a)";
    assert_eq!(
        within(limits(1_000, 100_000), linear, &data),
        Ok(Some(json!(false)))
    );
    assert_eq!(
        within(limits(1_000, 2_000), linear, &data),
        Err("LIMIT_OPERATIONS")
    );
    // Compiling is paid too.
    let made = "Array.from({ length: 500 }, (x, i) => RegExp('a{500}' + i).source).length";
    assert_eq!(
        within(limits(1_000, 5_000), made, &data),
        Err("LIMIT_OPERATIONS")
    );
}

#[test]
fn a_search_is_paid_in_bytes() {
    let data = json!({ "json": { "a": "a".repeat(60_000), "d": "$'".repeat(400) } });
    let limits = |arena_bytes| Limits {
        arena_bytes,
        ..Limits::default()
    };
    let memory = "/(a|b)*c/.test($json.a)";
    assert_eq!(within(limits(8_000), memory, &data), Err("LIMIT_ARENA"));
    assert_eq!(
        within(limits(4 << 20), memory, &data),
        Ok(Some(json!(false)))
    );
    let made = "RegExp('a{500}' + 1).source";
    assert_eq!(within(limits(8_000), made, &data), Err("LIMIT_ARENA"));
    assert_eq!(
        code_of("$json.a.replace(/a/g, $json.d)", &data),
        "LIMIT_STRING"
    );
    assert_eq!(
        code_of("$json.a.repeat(16).split(/(?:)/).length", &data),
        "LIMIT_ARRAY"
    );
    assert_eq!(
        code_of("[...$json.a.repeat(16).matchAll(/a/g)].length", &data),
        "LIMIT_ARENA"
    );
}

#[test]
fn a_callback_that_searches_does_not_disturb_the_search_around_it() {
    check(
        "'a1b2'.replace(/([a-z])(\\d)/g, (m, w) => m.replace(/\\d/, d => d + w).match(/.$/)[0])",
        &Value::Null,
        &json!("ab"),
    );
    check(
        "'x-y'.replace(/(\\w)-(?<r>\\w)/, (...all) => all[1].match(/(.)/)[1] + all.at(-1).r)",
        &Value::Null,
        &json!("xy"),
    );
}

/// Node.js finds `\B` inside the pair, at 2; ECMA-262's `RegExpBuiltinExec` never looks there.
#[test]
fn no_unicode_match_begins_between_the_halves_of_a_pair() {
    let check = |source, expected| check(source, &Value::Null, &expected);
    check("'x😀'.search(/\\B/u)", json!(3));
    check("'x\\ud83d\\ude00'.search(/\\B/iu)", json!(3));
    check(
        "[...'ſ😀 '.matchAll(/\\B/giu)].map(m => m.index)",
        json!([3, 4]),
    );
    check("'x😀'.search(/\\B/)", json!(2));
    check(
        "[...'  😀 '.matchAll(/\\B/giu)].map(m => m.index)",
        json!([0, 1, 2, 4, 5]),
    );
}
