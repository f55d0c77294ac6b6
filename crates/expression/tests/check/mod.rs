//! One way into the API for all tests of the language.

#![allow(dead_code, reason = "each test binary uses a part")]

use nebula_expression::{
    CompileOptions, Context, ExpressionError, JsonScope, Limits, Mode, Program,
};
use serde_json::Value;

/// Compiles and evaluates; the first error of either.
pub(crate) fn run(expr: &str, data: &Value, mode: Mode) -> Result<Option<Value>, ExpressionError> {
    let options = CompileOptions {
        mode,
        ..CompileOptions::default()
    };
    let program = Program::compile(expr, &options).map_err(|errors| errors[0].clone())?;
    program.evaluate(&JsonScope(data), &Context::default())
}

/// The value in strict mode, or the error.
pub(crate) fn value(expr: &str, data: &Value) -> Result<Option<Value>, ExpressionError> {
    run(expr, data, Mode::Strict)
}

/// Asserts the value in strict mode.
#[track_caller]
pub(crate) fn check(expr: &str, data: &Value, expected: &Value) {
    match value(expr, data) {
        Ok(found) => assert_eq!(found.as_ref(), Some(expected), "{expr}"),
        Err(error) => panic!("{expr}: {error:?}"),
    }
}

/// Asserts the value in lenient mode.
#[track_caller]
pub(crate) fn check_lenient(expr: &str, data: &Value, expected: &Value) {
    match run(expr, data, Mode::Lenient) {
        Ok(found) => assert_eq!(found.as_ref(), Some(expected), "{expr}"),
        Err(error) => panic!("{expr}: {error:?}"),
    }
}

/// The code of the first error in strict mode.
#[track_caller]
pub(crate) fn code_of(expr: &str, data: &Value) -> &'static str {
    match value(expr, data) {
        Ok(found) => panic!("{expr}: gave {found:?}"),
        Err(error) => error.code,
    }
}

/// All compile errors as `(code, the text they point at)`.
pub(crate) fn problems(expr: &str) -> Vec<(&'static str, String)> {
    match Program::compile(expr, &CompileOptions::default()) {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .iter()
            .map(|e| (e.code, expr[e.start..e.end].to_owned()))
            .collect(),
    }
}

/// Asserts the problems of a source as `code@text`.
#[track_caller]
pub(crate) fn refuse(expr: &str, expected: &[&str]) {
    let found: Vec<String> = problems(expr)
        .into_iter()
        .map(|(code, text)| format!("{code}@{text}"))
        .collect();
    assert_eq!(found, expected, "{expr}");
}

/// What an expression gives within these limits, or the code of its error.
pub(crate) fn limited(
    expr: &str,
    data: &Value,
    limits: Limits,
) -> Result<Option<Value>, &'static str> {
    let program = Program::compile(expr, &CompileOptions::default()).unwrap();
    let context = Context {
        limits,
        ..Context::default()
    };
    program
        .evaluate(&JsonScope(data), &context)
        .map_err(|error| error.code)
}
