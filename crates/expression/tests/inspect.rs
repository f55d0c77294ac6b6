//! The notation that keeps what JSON cannot hold.

use nebula_expression::{CompileOptions, Context, JsonScope, Limits, Program};
use serde_json::{Value, json};

#[track_caller]
fn check(expr: &str, expected: &str) {
    let data = json!({ "json": { "b": [1, 2.5], "2": null, "id": 12345678901234567890_u64 } });
    let program = Program::compile(expr, &CompileOptions::default()).unwrap();
    let found = program.inspect(&JsonScope(&data), &Context::default());
    assert_eq!(found.unwrap(), expected, "{expr}");
}

#[test]
fn what_json_loses_is_told_apart() {
    check("undefined", "undefined");
    check(
        "[null, undefined, 0 / 0, 1 / 0, -1 / 0, 0, -0, true]",
        "[null,undefined,NaN,Infinity,-Infinity,0,-0,true]",
    );
    check("{ a: undefined, b: [] }", r#"{"a":undefined,"b":[]}"#);
    check(r"'\ud83d' + 'a\n\u0001\\'", r#""\ud83da\n\u0001\\""#);
    check("$now", "DateTime(0)");
    check(
        "$json",
        r#"{"2":null,"b":[1,2.5],"id":12345678901234567890}"#,
    );
    check("1e21", "1e+21");
}

#[test]
fn the_text_of_a_value_has_a_limit() {
    let program = Program::compile("'ab'.repeat(100)", &CompileOptions::default()).unwrap();
    let context = Context {
        limits: Limits {
            result_bytes: 150,
            ..Limits::default()
        },
        ..Context::default()
    };
    let error = program.inspect(&JsonScope(&Value::Null), &context);
    assert_eq!(error.unwrap_err().code, "LIMIT_RESULT");
}
