//! What is refused, with which code, at which place, and what the hint says.

mod check;

use check::{code_of, problems, refuse, run};
use nebula_expression::{CompileOptions, ExpressionError, Mode, Program};
use serde_json::json;

#[track_caller]
fn hint(expr: &str, expected: &str) {
    let data =
        json!({ "json": { "customer": { "name": "Ada", "email": "x" }, "text": "a", "n": 1 } });
    let error = run(expr, &data, Mode::Strict).unwrap_err();
    let hint = error.hint.unwrap_or_default();
    assert!(
        hint.contains(expected),
        "{expr}: {} – {hint}",
        error.message
    );
}

fn compile(expr: &str, nodes: &[&str]) -> Vec<ExpressionError> {
    let options = CompileOptions {
        nodes: Some(nodes),
        ..CompileOptions::default()
    };
    Program::compile(expr, &options).err().unwrap_or_default()
}

#[test]
fn text_that_is_no_json_has_a_line_and_a_column() {
    for (text, place) in [
        ("x", "line 1, column 1 of 1 bytes"),
        ("[1, x]", "line 1, column 5 of 6 bytes"),
        (r"[1,\n  x]", "line 2, column 3 of 8 bytes"),
        (r"\n\n[1,\n2,\n\nx]", "line 6, column 1 of 12 bytes"),
    ] {
        let error = run(&format!("JSON.parse('{text}')"), &json!({}), Mode::Strict).unwrap_err();
        let expected = format!("the text is not JSON: {place}");
        assert_eq!(error.message, expected, "{text}");
    }
}

#[test]
fn grammar_mistakes_are_placed() {
    refuse("", &["SYNTAX_EMPTY@"]);
    refuse("1 +", &["SYNTAX_END@"]);
    refuse("(1", &["SYNTAX_END@"]);
    refuse("[1,", &["SYNTAX_END@"]);
    refuse("Math.max(1,", &["SYNTAX_END@"]);
    refuse("({ a: 1,", &["SYNTAX_END@"]);
    refuse("[1 2]", &["SYNTAX_UNEXPECTED@2"]);
    refuse("a b", &["NAME_UNKNOWN@a", "SYNTAX_UNEXPECTED@b"]);
    refuse("$json.", &["SYNTAX_END@"]);
    refuse("'abc", &["SYNTAX_UNCLOSED@'abc"]);
    refuse("`a${1", &["SYNTAX_END@"]);
    refuse("08", &["SYNTAX_NUMBER@08"]);
    refuse("1a", &["SYNTAX_NUMBER@1a"]);
    refuse("10n", &["SYNTAX_NUMBER@10n"]);
    refuse(r"'\x1'", &[r"SYNTAX_ESCAPE@\x"]);
    refuse("1 ? 2", &["SYNTAX_END@"]);
    refuse("-2 ** 2", &["SYNTAX_POWER@-2"]);
    refuse("1 ?? 2 || 3", &["SYNTAX_MIXED@1 ?? 2 || 3"]);
    refuse("1 # 2", &["SYNTAX_CHARACTER@#"]);
    refuse(
        r"\u0031",
        &[r"SYNTAX_CHARACTER@\", "SYNTAX_UNEXPECTED@u0031"],
    );
    refuse(r"tr\u0075e", &[r"SYNTAX_UNEXPECTED@tr\u0075e"]);
    refuse("“a”", &["SYNTAX_CHARACTER@“", "SYNTAX_UNEXPECTED@a"]);
    hint("1 – 2", "write `-`");
}

#[test]
fn all_mistakes_are_found_at_once() {
    refuse(
        "[$jsn.a, x + , y.trin(), `${z}`]",
        &[
            "NAME_UNKNOWN_ROOT@$jsn",
            "NAME_UNKNOWN@x",
            "SYNTAX_UNEXPECTED@,",
            "NAME_UNKNOWN@y",
            "NAME_UNKNOWN_METHOD@.trin()",
            "NAME_UNKNOWN@z",
        ],
    );
    refuse(
        "{ a: 1 1, b: $foo, c: [2 3] }",
        &[
            "SYNTAX_UNEXPECTED@1",
            "NAME_UNKNOWN_ROOT@$foo",
            "SYNTAX_UNEXPECTED@3",
        ],
    );
    refuse(
        "f(1, /a/v, new Sett(x), this.y)",
        &[
            "NAME_UNKNOWN_FUNCTION@f",
            "UNSUPPORTED_REGEX_FLAG@v",
            "UNSUPPORTED_NEW@new Sett",
            "NAME_UNKNOWN@x",
            "UNSUPPORTED_THIS@this",
        ],
    );
}

#[test]
fn what_the_language_leaves_out_has_its_own_code() {
    for (expr, code) in [
        ("a = 1", "UNSUPPORTED_ASSIGNMENT"),
        ("$json.a += 1", "UNSUPPORTED_ASSIGNMENT"),
        ("$json.a++", "UNSUPPORTED_ASSIGNMENT"),
        ("--$json.a", "UNSUPPORTED_ASSIGNMENT"),
        ("/a(?=b)/.test('a')", "UNSUPPORTED_REGEX_LOOKAROUND"),
        ("/(a)\\1/.test('a')", "UNSUPPORTED_REGEX_BACKREFERENCE"),
        ("/[a--b]/v.test('a')", "UNSUPPORTED_REGEX_FLAG"),
        ("new WeakMap()", "UNSUPPORTED_NEW"),
        ("function () { return 1 }", "UNSUPPORTED_FUNCTION"),
        ("class A {}", "UNSUPPORTED_FUNCTION"),
        ("async x => x", "UNSUPPORTED_ASYNC"),
        ("await x", "UNSUPPORTED_ASYNC"),
        ("import('fs')", "UNSUPPORTED_ASYNC"),
        ("this", "UNSUPPORTED_THIS"),
        ("delete $json.a", "UNSUPPORTED_DELETE"),
        ("1, 2", "UNSUPPORTED_COMMA"),
        ("(1, 2)", "UNSUPPORTED_COMMA"),
        ("1;", "UNSUPPORTED_STATEMENT"),
        ("for (;;) {}", "UNSUPPORTED_STATEMENT"),
        ("const a = 1", "UNSUPPORTED_STATEMENT"),
        ("$json.a`x`", "UNSUPPORTED_TAGGED_TEMPLATE"),
        ("$json.a instanceof Foo", "UNSUPPORTED_INSTANCEOF"),
        ("x => x", "UNSUPPORTED_FUNCTION_VALUE"),
        ("[x => x]", "UNSUPPORTED_FUNCTION_VALUE"),
        ("Math.floor", "UNSUPPORTED_FUNCTION_VALUE"),
        ("$json.a['tr' + 'im']()", "UNSUPPORTED_DYNAMIC_CALL"),
        ("$json.a()", "NAME_UNKNOWN_METHOD"),
        ("(1)()", "UNSUPPORTED_CALL"),
        ("$json.a.push(1)", "UNSUPPORTED_MUTATOR"),
        ("[[2, 1]].map(a => a.sort())", "UNSUPPORTED_MUTATOR"),
        ("{ get a() { return 1 } }", "UNSUPPORTED_FUNCTION"),
        ("constructor.constructor('x')()", "NAME_UNKNOWN"),
        ("eval('1')", "UNSUPPORTED_CALL"),
        ("$('x').item", "UNSUPPORTED_CALL"),
        ("process.env", "NAME_UNKNOWN"),
        ("$env.HOME", "NAME_SECRET"),
        ("$secrets.x", "NAME_SECRET"),
        ("$nodes", "NAME_NODES"),
        ("$nodes[$json.id]", "NAME_NODES"),
        ("((a, a) => a)(1)", "NAME_DUPLICATE"),
        ("$nodes.a.resul", "NAME_UNKNOWN_FIELD"),
        ("Math.flor(1)", "NAME_UNKNOWN_FUNCTION"),
        ("[1].map((x) => y)", "NAME_UNKNOWN"),
    ] {
        let found = problems(expr);
        assert!(
            found.iter().any(|(found, _)| *found == code),
            "{expr}: {found:?}, expected {code}"
        );
    }
}

#[test]
fn every_refusal_of_a_construct_has_a_hint() {
    for expr in [
        "a = 1",
        "/a(?=b)/",
        "new Foo()",
        "[1].map(x => { x })",
        "this.a",
        "delete a",
        "1, 2",
        "if (a) b",
        "a`b`",
        "a instanceof B",
        "$env.A",
        "$nodes",
        "a.push(1)",
        "async () => 1",
    ] {
        let errors = Program::compile(expr, &CompileOptions::default()).unwrap_err();
        assert!(
            errors.iter().any(|e| e.hint.is_some()
                && (e.code.starts_with("UNSUPPORTED") || e.code.starts_with("NAME"))),
            "{expr}: {errors:?}"
        );
    }
}

#[test]
fn hints_say_what_was_meant() {
    hint("$jsn.a", "`$json`");
    hint("json.a", "`$json`");
    hint("$json.text.toUpper()", "`toUpperCase()`");
    hint("$json.text.fliter(x => x)", "`filter()`");
    hint("$json.text.filter(x => x)", "");
    hint("$json.custmer.name", "did you mean `customer`?");
    hint("$json.zzz.name", "there are `customer`, `text`, `n`");
    hint("$json.customer.nmae.trim()", "did you mean `name`?");
    hint("$json.customer.phone.trim()", "`?.`");
    hint("Math.cil(1)", "`Math.ceil()`");
    hint("$nodes.a.eror", "`error`");
    hint("$nodes.a.body", "`$nodes.a.result.body`");
    hint("[1].map(item => itm)", "`item`");
    hint("hello", "quotes");
    hint("$json.customer.map(x => x)", "Object.");
    hint("$json.n.trim()", "String(");
}

#[test]
fn only_known_nodes_may_be_named() {
    assert_eq!(
        compile(
            "$nodes.fetch.result + $nodes['load'].status",
            &["fetch", "load"]
        ),
        []
    );
    let errors = compile("$nodes.fecth.result.a", &["fetch", "load"]);
    assert_eq!(
        (errors[0].code, errors[0].start, errors[0].end),
        ("NAME_UNKNOWN_NODE", 7, 12)
    );
    assert_eq!(errors[0].hint.as_deref(), Some("did you mean `fetch`?"));
}

#[test]
fn errors_of_evaluation_have_a_place_and_no_value() {
    let secret = "hunter2-very-secret";
    let data =
        json!({ "json": { "password": secret, "list": [secret], "n": 1, "o": { "k": secret } } });
    for (expr, code, place) in [
        ("1 + $json.none.a", "PATH_OF_NULLISH", ".a"),
        (
            "[1, $json.password.map(x => x)]",
            "TYPE_NO_METHOD",
            ".map(x => x)",
        ),
        ("$json.password.repeat(-1)", "TYPE_RANGE", ".repeat(-1)"),
        (
            "JSON.parse($json.password)",
            "TYPE_JSON",
            "JSON.parse($json.password)",
        ),
        ("[...$json.o]", "TYPE_NOT_ITERABLE", "[...$json.o]"),
        ("$json.list.map($json.n)", "TYPE_ARGUMENT", ".map($json.n)"),
        (
            "'a' in $json.password",
            "TYPE_ARGUMENT",
            "'a' in $json.password",
        ),
        ("$json.password.trim", "TYPE_METHOD_NOT_CALLED", ".trim"),
        ("$json.list.filter(x => x.a.b)", "PATH_OF_NULLISH", ".b"),
        ("(1).toFixed(101)", "TYPE_RANGE", ".toFixed(101)"),
        (
            "[].reduce((a, b) => a)",
            "TYPE_EMPTY",
            ".reduce((a, b) => a)",
        ),
        (
            "decodeURIComponent('%' + $json.password)",
            "TYPE_URI",
            "decodeURIComponent('%' + $json.password)",
        ),
    ] {
        let error = run(expr, &data, Mode::Strict).unwrap_err();
        assert_eq!(
            (error.code, &expr[error.start..error.end]),
            (code, place),
            "{expr}"
        );
        assert!(!format!("{error:?}").contains(secret), "{expr}: {error:?}");
    }
    assert_eq!(code_of("$nodes.a.result.x", &data), "PATH_NODE_ABSENT");
}
