//! `URL` and `URLSearchParams`: what Node.js of the differential tests does not have yet or does
//! not do, what is refused, and limits. The rest is compared with Node.js in `cases/urls.txt`.

mod check;

use check::{check, check_lenient, code_of, run};
use nebula_expression::{CompileOptions, Context, JsonScope, Limits, Mode, Program};
use serde_json::{Value, json};

#[track_caller]
fn gives(expr: &str, expected: &Value) {
    check(expr, &Value::Null, expected);
}

#[test]
fn what_is_no_url_is_an_error_in_strict_mode_only() {
    for expr in [
        "new URL('x')",
        "new URL('/a', 'b')",
        "new URL('http://a:99999')",
    ] {
        assert_eq!(code_of(expr, &Value::Null), "TYPE_URL", "{expr}");
        gives(
            &format!("URL.parse({})", &expr["new URL(".len()..expr.len() - 1]),
            &Value::Null,
        );
    }
    let error = run("new URL('secret text')", &Value::Null, Mode::Strict).unwrap_err();
    assert!(!error.message.contains("secret"), "{}", error.message);
    assert!(error.hint.unwrap().contains("URL.canParse"));
    check_lenient(
        "new URL('x').hostname ?? 'none'",
        &Value::Null,
        &json!("none"),
    );
    gives(
        "URL.parse('../b', 'https://h/x/y').href",
        &json!("https://h/b"),
    );
}

#[test]
fn changed_parameters_are_new_ones() {
    for (op, expected) in [
        ("append('a', 3)", "a=1&b=2&a=x&a=3"),
        ("set('a', 3)", "a=3&b=2"),
        ("set('c', 3)", "a=1&b=2&a=x&c=3"),
        ("delete('a')", "b=2"),
        ("delete('a', 'x')", "a=1&b=2"),
        ("delete('z')", "a=1&b=2&a=x"),
        ("append('b', 0).sort()", "a=1&a=x&b=2&b=0"),
    ] {
        let expr = format!("new URLSearchParams('a=1&b=2&a=x').{op}.toString()");
        gives(&expr, &json!(expected));
    }
    gives(
        "new URLSearchParams('\u{ffff}=1&😀=2&z=3').sort().keys().join()",
        &json!("z,😀,\u{ffff}"),
    );
    for expr in [
        "(p => p.append('a', 1))(new URLSearchParams())",
        "(p => p.sort())(new URLSearchParams())",
    ] {
        assert_eq!(code_of(expr, &Value::Null), "UNSUPPORTED_MUTATOR", "{expr}");
    }
    assert_eq!(
        code_of("new URLSearchParams().append('a')", &Value::Null),
        "TYPE_ARGUMENT"
    );
}

#[test]
fn a_url_is_text_as_a_result_and_parameters_are_none() {
    gives(
        "{ u: [new URL('http://a')] }",
        &json!({ "u": ["http://a/"] }),
    );
    assert_eq!(
        code_of("new URLSearchParams('a=1')", &Value::Null),
        "TYPE_RESULT"
    );
    let program = Program::compile("new URL('http://a/b c')", &CompileOptions::default()).unwrap();
    let text = program.evaluate_text(&JsonScope(&Value::Null), &Context::default());
    assert_eq!(text.as_deref(), Ok("http://a/b%20c"));
}

#[test]
fn long_urls_stop_at_the_limits() {
    let stops = |expr: &str, limits: Limits| {
        let program = Program::compile(expr, &CompileOptions::default()).unwrap();
        let context = Context {
            limits,
            ..Context::default()
        };
        program
            .evaluate(&JsonScope(&Value::Null), &context)
            .map_err(|error| error.code)
    };
    let long = "new URL('http://a/' + 'é'.repeat(1000)).href.length";
    assert_eq!(stops(long, Limits::default()), Ok(Some(json!(6_009))));
    let limits = Limits {
        string_bytes: 6_000,
        ..Limits::default()
    };
    assert_eq!(stops(long, limits), Err("LIMIT_STRING"));
    let limits = Limits {
        arena_bytes: 8_000,
        ..Limits::default()
    };
    assert_eq!(stops(long, limits), Err("LIMIT_ARENA"));
    let limits = Limits {
        operations: 50,
        ..Limits::default()
    };
    assert_eq!(stops(long, limits), Err("LIMIT_OPERATIONS"));
    let many = "new URLSearchParams('a&'.repeat(1000)).size";
    assert_eq!(stops(many, Limits::default()), Ok(Some(json!(1_000))));
    let limits = Limits {
        array_len: 500,
        ..Limits::default()
    };
    assert_eq!(stops(many, limits), Err("LIMIT_ARRAY"));
}
