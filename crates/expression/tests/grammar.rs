//! The whole grammar of expressions: one line for each construct that belongs to it, and one for
//! each that does not, with what to write instead.

mod check;

use check::check;
use nebula_expression::{CompileOptions, Program};
use serde_json::json;

#[test]
fn every_construct_of_the_grammar_is_there() {
    let data = json!({ "json": { "a": { "b": [1, { "c": " x " }] }, "s": "ab", "none": null } });
    for (expr, expected) in [
        ("`a${1}${`b${2}`}`", json!("a1b2")),
        ("$json?.a?.['b']?.[1]?.c?.trim?.()", json!("x")),
        ("$json.none?.[0].x.trim() ?? 'n'", json!("n")),
        ("$json.a.trim?.() ?? 'n'", json!("n")),
        (
            "[5 & 3, 5 | 3, 5 ^ 3, ~5, 1 << 4, -9 >> 1, -1 >>> 31]",
            json!([1, 7, 6, -6, 16, -5, 1]),
        ),
        ("[2 ** 3 ** 2, (-2) ** 3, 2 ** -1]", json!([512, -8, 0.5])),
        (
            "[typeof 1, typeof [], typeof null, typeof undefined]",
            json!(["number", "object", "object", "undefined"]),
        ),
        (
            "['a' in $json, 0 in [1], 1 in [1]]",
            json!([true, true, false]),
        ),
        (
            "[[] instanceof Array, ({}) instanceof Object]",
            json!([true, true]),
        ),
        (
            "[...'ab', ...[1], ...new Set([2, 2])]",
            json!(["a", "b", 1, 2]),
        ),
        ("Math.max(...[1, 5], 3)", json!(5)),
        (
            "{ ...{ a: 1 }, ...null, ['b' + 1]: 2, 3: 4, 'c d': 5 }",
            json!({ "3": 4, "a": 1, "b1": 2, "c d": 5 }),
        ),
        (
            "(({ a: { b: [x, { c = 9, d = c + 'd' }] }, ...rest }, y = x + 1, ...z) => [x, c, d, rest, y, z])({ ...$json.a, a: $json.a, b: 0 }, undefined, 3, 4)",
            json!([1, " x ", " x d", { "b": 0 }, 2, [3, 4]]),
        ),
        (
            "(([a, , b = 2, ...c]) => [a, b, c])([1, 0, undefined, 3])",
            json!([1, 2, [3]]),
        ),
        ("((a, b,) => a + b)(1, 2,)", json!(3)),
        ("(() => ({ a: (x => x * 2)(4) }))().a", json!(8)),
        (
            "[3, 1, 2].map(x => { const y = x * 2; return y }).toSorted((a, b) => a - b)",
            json!([2, 4, 6]),
        ),
        (
            "new Array(3).fill(0).length + new Map([['a', 1]]).get('a')",
            json!(4),
        ),
        ("void 0 ?? (null || 0 || 'z')", json!("z")),
        ("1 < 2 === true && !(1 != 1) ? +'1' : -1", json!(1)),
    ] {
        check(expr, &data, &expected);
    }
}

#[test]
fn every_construct_that_is_left_out_says_what_to_write() {
    for (expr, code, hint) in [
        ("$json.a = 1", "UNSUPPORTED_ASSIGNMENT", "==="),
        (
            "$json.a += 1",
            "UNSUPPORTED_ASSIGNMENT",
            "operator without `=`",
        ),
        (
            "$json.a ??= 1",
            "UNSUPPORTED_ASSIGNMENT",
            "operator without `=`",
        ),
        (
            "$json.a **= 1",
            "UNSUPPORTED_ASSIGNMENT",
            "operator without `=`",
        ),
        ("[$json.a] = [1]", "UNSUPPORTED_ASSIGNMENT", "const name"),
        ("$json.a++", "UNSUPPORTED_ASSIGNMENT", "x + 1"),
        ("--$json.a", "UNSUPPORTED_ASSIGNMENT", "x - 1"),
        ("1, 2", "UNSUPPORTED_COMMA", "array"),
        ("(1, 2)", "UNSUPPORTED_COMMA", "last value"),
        ("delete $json.a", "UNSUPPORTED_DELETE", "...rest"),
        ("await $json.a", "UNSUPPORTED_ASYNC", "leave it away"),
        ("async () => 1", "UNSUPPORTED_ASYNC", "leave `async`"),
        ("import('a')", "UNSUPPORTED_ASYNC", "code node"),
        ("function () { return 1 }", "UNSUPPORTED_FUNCTION", "arrow"),
        (
            "[1].map(function (x) { return x })",
            "UNSUPPORTED_FUNCTION",
            "arrow",
        ),
        ("class { }", "UNSUPPORTED_FUNCTION", "node"),
        ("yield 1", "UNSUPPORTED_FUNCTION", "node"),
        ("{ a() { return 1 } }", "UNSUPPORTED_FUNCTION", "key: value"),
        (
            "{ get a() { return 1 } }",
            "UNSUPPORTED_FUNCTION",
            "key: value",
        ),
        ("this.a", "UNSUPPORTED_THIS", "$json"),
        ("super.a", "UNSUPPORTED_THIS", "$json"),
        ("arguments[0]", "UNSUPPORTED_THIS", "parameter"),
        ("$json.a`x`", "UNSUPPORTED_TAGGED_TEMPLATE", "function"),
        ("new Foo()", "UNSUPPORTED_NEW", ""),
        ("1 instanceof Foo", "UNSUPPORTED_INSTANCEOF", ""),
        ("x => x", "UNSUPPORTED_FUNCTION_VALUE", "argument"),
        (
            "(() => { const f = x => x; return f(1) })()",
            "UNSUPPORTED_FUNCTION_VALUE",
            "argument",
        ),
        ("$json.a['b' + 1]()", "UNSUPPORTED_DYNAMIC_CALL", "dot"),
        ("$json.a.b['c']()()", "NAME_UNKNOWN_METHOD", ""),
        (
            "$json.list.push(1)",
            "UNSUPPORTED_MUTATOR",
            "[...list, item]",
        ),
        ("1;", "UNSUPPORTED_STATEMENT", "`;`"),
        ("const a = 1", "UNSUPPORTED_STATEMENT", "(() => { … })()"),
        ("return 1", "UNSUPPORTED_STATEMENT", "(() => { … })()"),
        (
            "if (1) 2",
            "UNSUPPORTED_STATEMENT",
            "condition ? value : other",
        ),
        (
            "switch (1) { }",
            "UNSUPPORTED_STATEMENT",
            "condition ? value : other",
        ),
        ("for (;;) { }", "UNSUPPORTED_STATEMENT", "reduce"),
        ("while (1) { }", "UNSUPPORTED_STATEMENT", "reduce"),
        ("[1].map(x => { y: x })", "UNSUPPORTED_STATEMENT", "({ … })"),
        ("10n", "SYNTAX_NUMBER", "1000"),
    ] {
        let errors = Program::compile(expr, &CompileOptions::default()).unwrap_err();
        let told = errors.iter().find(|error| error.code == code);
        let told = told.unwrap_or_else(|| panic!("{expr}: {errors:?}"));
        let said = told.hint.as_deref().unwrap_or_default();
        assert!(said.contains(hint), "{expr}: {told:?}");
    }
}
