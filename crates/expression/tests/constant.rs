//! What literals make is known before anything runs, and is what it would be at run time.

mod check;

use check::value;
use nebula_expression::{CompileOptions, Context, JsonScope, Program};
use serde_json::{Value, json};

const LITERALS: &[&str] = &[
    "undefined",
    "null",
    "true",
    "false",
    "0",
    "1",
    "(-1)",
    "2.5",
    "31",
    "1e21",
    "(2 ** 53)",
    "(0 / 0)",
    "(1 / 0)",
    "''",
    "' 12 '",
    "'é'",
    "`a${1}`",
];

const OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "%", "**", "|", "^", "&", "<<", ">>", ">>>", "<", "<=", ">", ">=", "==",
    "!=", "===", "!==", "in", "&&", "||", "??",
];

#[test]
fn operators_on_literals_give_what_they_give_at_run_time() {
    for a in LITERALS {
        for op in OPERATORS {
            for b in LITERALS {
                let same = |folded: &str, later: &str| {
                    let (folded_value, later_value) = (inspect(folded), inspect(later));
                    assert_eq!(folded_value, later_value, "{folded} and {later}");
                };
                same(
                    &format!("{a} {op} {b}"),
                    &format!("((x, y) => x {op} y)({a}, {b})"),
                );
                same(
                    &format!("{a} {op} {b} + 'z'"),
                    &format!("((x, y) => x {op} y + 'z')({a}, {b})"),
                );
            }
            let source = format!("`${{{a}}}-${{typeof {a}}}` + !{a} + ({a} ? 1 : 'n')");
            let later = format!("(x => `${{x}}-${{typeof x}}` + !x + (x ? 1 : 'n'))({a})");
            assert_eq!(inspect(&source), inspect(&later), "{source}");
        }
    }
}

/// The value in the notation that tells everything apart, or the code of the error.
fn inspect(source: &str) -> Result<String, &'static str> {
    let program = Program::compile(source, &CompileOptions::default());
    let program = program.map_err(|errors| errors[0].code)?;
    let found = program.inspect(&JsonScope(&Value::Null), &Context::default());
    found.map_err(|error| error.code)
}

#[test]
fn a_folded_program_takes_an_operation_and_no_more() {
    let spent = |source: &str| {
        let program = Program::compile(source, &CompileOptions::default()).unwrap();
        let (result, spent) =
            program.evaluate_measured(&JsonScope(&Value::Null), &Context::default());
        result.unwrap();
        (spent.operations, spent.bytes)
    };
    assert_eq!(spent("24 * 60 * 60 * 1000"), (1, 0));
    assert_eq!(spent("'a' + 'b'"), (1, 0));
    assert!(spent("'a'.repeat(1000)").1 >= 1_000);
}

#[test]
fn a_constant_is_known_and_so_is_a_constant_error() {
    let constant = |source: &str| {
        let program = Program::compile(source, &CompileOptions::default()).unwrap();
        let known = program.constant();
        known.map(|known| known.map_err(|error| (error.code, error.start)))
    };
    let known = |value: Value| Some(Ok(Some(value)));
    assert_eq!(constant("60 * 60"), known(json!(3600)));
    assert_eq!(constant("'a,b'.split(',')"), known(json!(["a", "b"])));
    assert_eq!(constant("undefined"), Some(Ok(None)));
    assert_eq!(constant("1 + null.x"), Some(Err(("PATH_OF_NULLISH", 8))));
    // Nothing of it is certain to be reached, or it reads something.
    assert_eq!(constant("true ? 1 : null.x"), known(json!(1)));
    for open in [
        "$json",
        "$nodes.a.result",
        "$now",
        "Math.random()",
        "Date.now()",
        "$random",
    ] {
        assert_eq!(constant(open), None, "{open}");
    }
    // What is too much to know beforehand is not too much to run.
    let long = "'a'.repeat(100000).length";
    assert_eq!(constant(long), None);
    assert_eq!(value(long, &json!({})), Ok(Some(json!(100_000))));
}
