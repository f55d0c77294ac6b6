//! Bodies of arrows in braces: what their statements do, where they end, what is refused.

mod check;

use check::{check, check_lenient, problems, refuse, value};
use nebula_expression::{CompileOptions, Context, JsonScope, Limits, Program};
use serde_json::{Value, json};

#[track_caller]
fn hint(expr: &str, expected: &str) {
    let errors = Program::compile(expr, &CompileOptions::default()).unwrap_err();
    let hint = errors[0].hint.as_deref().unwrap_or_default();
    assert!(hint.contains(expected), "{expr}: {:?}", errors[0]);
}

#[test]
fn a_line_end_ends_a_statement_where_nothing_can_go_on() {
    for (expr, expected) in [
        (
            "(() => {\n const a = 1\n const b = 2\n return a + b\n})()",
            json!(3),
        ),
        ("(() => { const a = 1\n  + 1\n return a })()", json!(2)),
        (
            "(() => { const f = [1, 2]\n [0]\n return f })()",
            json!([1, 2][0]),
        ),
        (
            "(() => { const a = 1 // one\n return a /* two */ })()",
            json!(1),
        ),
        (
            "(() => { const a = 1 /* over\n lines */ return a })()",
            json!(1),
        ),
        (
            "(() => { if (1)\n return 'x'\n else\n return 'y' })()",
            json!("x"),
        ),
        ("(() => { const a = 1\u{2028} return a })()", json!(1)),
        ("(() => { return 1 })()", json!(1)),
    ] {
        check(expr, &Value::Null, &expected);
    }
    // After `return` a line end always ends it.
    assert_eq!(
        value("(() => { return\n 1 })()", &Value::Null)
            .unwrap_err()
            .code,
        "UNSUPPORTED_STATEMENT"
    );
    assert_eq!(value("(() => { return\n })()", &Value::Null), Ok(None));
    refuse("[1].map(x\n=> x)", &["SYNTAX_UNEXPECTED@=>"]);
}

#[test]
fn an_error_is_an_object_that_says_what_went_wrong() {
    let expr = "(() => { try { return $json.text.nope.x } catch (e) { return e } })()";
    let data = json!({ "json": { "text": "hunter2" } });
    let expected = json!({
        "code": "PATH_OF_NULLISH",
        "message": "cannot read `x` of undefined: that is what `nope` is",
        "name": "TypeError",
    });
    check(expr, &data, &expected);
    let code =
        "(() => { try { return $json.text.map(x => x) } catch ({ code }) { return code } })()";
    check(code, &data, &json!("TYPE_NO_METHOD"));
    // In lenient mode there is nothing to catch.
    let lenient = "(() => { try { return [$json.text.nope.x] } catch (e) { return e } })()";
    check_lenient(lenient, &data, &json!([null]));
}

#[test]
fn a_limit_is_not_caught_and_runs_nothing_more() {
    let data = json!({ "json": { "list": vec![1; 100] } });
    let limits = Limits {
        operations_ceiling: 100_000,
        arena_bytes: 1_000_000,
        ..Limits::default()
    };
    let context = Context {
        limits,
        ..Context::default()
    };
    let list = "$json.list";
    let walks = format!("{list}.filter(a => {list}.some(b => {list}.some(c => c > 1)))");
    for (inner, code) in [
        ("'a'.repeat(1000001)", "LIMIT_STRING"),
        ("Array.from({ length: 100001 })", "LIMIT_ARRAY"),
        (
            "Array.from({ length: 40 }, () => 'a'.repeat(30000))",
            "LIMIT_ARENA",
        ),
        (&walks, "LIMIT_OPERATIONS"),
    ] {
        for expr in [
            format!("(() => {{ try {{ return {inner} }} catch (e) {{ return 1 }} }})()"),
            format!("(() => {{ try {{ return {inner} }} finally {{ return 1 }} }})()"),
        ] {
            let program = Program::compile(&expr, &CompileOptions::default()).unwrap();
            let error = program.evaluate(&JsonScope(&data), &context).unwrap_err();
            assert_eq!(error.code, code, "{expr}");
        }
    }
}

#[test]
fn statements_are_paid_for() {
    let source =
        |statements: usize| format!("(() => {{ {} return 1 }})()", "if (0) ;".repeat(statements));
    let run = |statements, operations| {
        let program = Program::compile(&source(statements), &CompileOptions::default()).unwrap();
        let limits = Limits {
            operations,
            ..Limits::default()
        };
        let context = Context {
            limits,
            ..Context::default()
        };
        program
            .evaluate(&JsonScope(&Value::Null), &context)
            .map_err(|error| error.code)
    };
    assert_eq!(run(100, 310), Ok(Some(json!(1))));
    assert_eq!(run(100, 290), Err("LIMIT_OPERATIONS"));
}

#[test]
fn a_long_row_of_else_ifs_counts_flat_and_nesting_does_not() {
    let row: String = (0..1_500)
        .map(|n| format!("if ($json === {n}) return {n}; else "))
        .collect();
    let expr = format!("(() => {{ {row} return 'none' }})()");
    check(&expr, &json!({ "json": 1_234 }), &json!(1_234));
    check(&expr, &json!({ "json": -1 }), &json!("none"));
    for unit in [
        "{",
        "if (1) {",
        "if (1) ",
        "try {",
        "[1].map(x => {",
        "return (() => {",
    ] {
        for times in [100, 3_000] {
            let expr = format!("(() => {{ {}", unit.repeat(times));
            let found = problems(&expr);
            assert!(
                found.iter().any(|(code, _)| *code == "LIMIT_DEPTH"),
                "{unit}"
            );
        }
    }
    let nested = |times: usize| {
        format!(
            "(() => {{ {} return 1 {} }})()",
            "{".repeat(times),
            "}".repeat(times)
        )
    };
    check(&nested(25), &Value::Null, &json!(1));
    let found = problems(&nested(40));
    assert!(found.iter().any(|(code, _)| *code == "LIMIT_DEPTH"));
}

#[test]
fn a_name_is_given_once_and_before_it_is_used() {
    refuse(
        "(() => { const a = 1; const a = 2; return a })()",
        &["NAME_DUPLICATE@a"],
    );
    refuse(
        "(a => { const { a } = {}; return a })(1)",
        &["NAME_DUPLICATE@a"],
    );
    refuse(
        "(() => { const b = [1].map(x => x + a), a = 1; return b })()",
        &["NAME_TOO_EARLY@a"],
    );
    refuse(
        "(() => { const b = typeof a; const a = 1; return b })()",
        &["NAME_TOO_EARLY@a"],
    );
    refuse(
        "(() => { const a = a.b; return a })()",
        &["NAME_TOO_EARLY@a"],
    );
    refuse(
        "(() => { { const a = 1 } return a })()",
        &["NAME_UNKNOWN@a"],
    );
    refuse(
        "(() => { try { const a = 1 } catch (e) { return a } return e })()",
        &["NAME_UNKNOWN@a", "NAME_UNKNOWN@e"],
    );
    refuse(
        "(() => { const a = 1; a = 2; return a })()",
        &["UNSUPPORTED_ASSIGNMENT@="],
    );
    refuse(
        "(() => { let n = 1; n++; return n })()",
        &["UNSUPPORTED_ASSIGNMENT@++"],
    );
    refuse(
        "(() => { const list = [2, 1]; return list.sort() })()",
        &["UNSUPPORTED_MUTATOR@.sort()"],
    );
    refuse(
        "(b => ((a = b, b) => a)(undefined, 1))(2)",
        &["NAME_TOO_EARLY@b"],
    );
    refuse("((a = a) => a)()", &["NAME_TOO_EARLY@a"]);
    refuse(
        "(({ a = c }, [b] = [a], ...c) => b)({})",
        &["NAME_TOO_EARLY@c"],
    );
    hint("(() => { let a = 1; a = 2; return a })()", "const name");
}

#[test]
fn what_has_no_effect_or_is_left_out_is_refused_with_a_hint() {
    for (statement, code, place) in [
        ("$json.a;", "UNSUPPORTED_STATEMENT", "$json.a;"),
        ("Math.max(1)\n", "UNSUPPORTED_STATEMENT", "Math.max(1)"),
        ("throw 'x';", "UNSUPPORTED_STATEMENT", "throw"),
        (
            "for (const x of $json) { x }",
            "UNSUPPORTED_STATEMENT",
            "for",
        ),
        ("while (1) { a b }", "UNSUPPORTED_STATEMENT", "while"),
        ("do { a } while (1);", "UNSUPPORTED_STATEMENT", "do"),
        (
            "switch ($json) { case 1: return 2; }",
            "UNSUPPORTED_STATEMENT",
            "switch",
        ),
        ("var x = 1;", "UNSUPPORTED_STATEMENT", "var"),
        ("break;", "UNSUPPORTED_STATEMENT", "break"),
        (
            "function f() { return 1 }",
            "UNSUPPORTED_FUNCTION",
            "function",
        ),
        ("class A { b() { } }", "UNSUPPORTED_FUNCTION", "class"),
        ("$json.push(1);", "UNSUPPORTED_MUTATOR", ".push(1)"),
        ("x = 1;", "UNSUPPORTED_ASSIGNMENT", "="),
        ("1, 2;", "UNSUPPORTED_COMMA", ","),
        ("a: 1;", "UNSUPPORTED_STATEMENT", ":"),
    ] {
        let expr = format!("(() => {{ {statement} return zzz }})()");
        // What follows is read on.
        let found = problems(&expr);
        assert!(
            found.contains(&(code, place.to_owned())),
            "{expr}: {found:?}"
        );
        assert!(
            found.contains(&("NAME_UNKNOWN", "zzz".to_owned())),
            "{expr}: {found:?}"
        );
        assert!(
            found.len() == 2 || statement == "x = 1;" && found.len() <= 3,
            "{expr}: {found:?}"
        );
        let errors = Program::compile(&expr, &CompileOptions::default()).unwrap_err();
        let told = errors.iter().find(|error| error.code == code).unwrap();
        assert!(told.hint.is_some(), "{told:?}");
    }
}

#[test]
fn all_mistakes_of_a_block_are_found_at_once() {
    refuse(
        "(() => { const a = foo(1 2; let b = $jsn.x, c = ; if (y) { return q } else { z w; } \n return [1 2] })()",
        &[
            "NAME_UNKNOWN_FUNCTION@foo",
            "SYNTAX_UNEXPECTED@2",
            "NAME_UNKNOWN_ROOT@$jsn",
            "SYNTAX_UNEXPECTED@;",
            "NAME_UNKNOWN@y",
            "NAME_UNKNOWN@q",
            "NAME_UNKNOWN@z",
            "SYNTAX_UNEXPECTED@w",
            "SYNTAX_UNEXPECTED@2",
        ],
    );
    refuse(
        "[1].map(x => { const = 5; const b 6\n return nope }, )",
        &[
            "SYNTAX_UNEXPECTED@=",
            "SYNTAX_UNEXPECTED@6",
            "NAME_UNKNOWN@nope",
        ],
    );
    refuse("[1].map(() => { const a = 1; return a", &["SYNTAX_END@"]);
    refuse("(() => { ) } )()", &["SYNTAX_UNEXPECTED@)"]);
}

#[test]
fn the_report_covers_statements() {
    let program = Program::compile(
        "$json.items.map(i => { const who = $nodes.fetch.result.name; try { return who + i.a } catch (e) { return $now } })",
        &CompileOptions::default(),
    )
    .unwrap();
    let report = program.report();
    assert_eq!(report.nodes[0].node, "fetch");
    assert_eq!(report.paths, ["$json.items", "$nodes.fetch.result.name"]);
    assert_eq!(report.purity, nebula_expression::Purity::Time);
}
