//! `Set`, `Map`, `new` and `instanceof`: what Node.js of the differential tests does not have yet,
//! and what is refused. The rest is compared with Node.js in `cases/collections.txt`.

mod check;

use check::{check, code_of, limited, run, value};
use nebula_expression::{Context, JsonScope, Limits, Mode, Program};
use serde_json::{Value, json};

#[track_caller]
fn gives(expr: &str, expected: &Value) {
    check(expr, &Value::Null, expected);
}

#[track_caller]
fn hint_of(expr: &str, data: &Value) -> String {
    let error = run(expr, data, Mode::Strict).unwrap_err();
    error.hint.unwrap_or_default()
}

#[test]
fn two_sets_are_combined() {
    let a = "new Set([1, 2, 3])";
    let ops = [
        ("union(new Set([4, 3]))", json!([1, 2, 3, 4])),
        ("intersection(new Set([3, 2]))", json!([3, 2])),
        ("intersection(new Set([9, 3, 2, 8]))", json!([2, 3])),
        ("difference(new Set([2]))", json!([1, 3])),
        ("symmetricDifference(new Set([5, 3]))", json!([1, 2, 5])),
        ("union(new Map([[7, 0]]))", json!([1, 2, 3, 7])),
    ];
    for (op, expected) in ops {
        gives(&format!("[...{a}.{op}]"), &expected);
    }
    for (op, expected) in [
        ("isSubsetOf(new Set([3, 2, 1, 0]))", true),
        ("isSubsetOf(new Set([3, 2]))", false),
        ("isSupersetOf(new Set([3, 1]))", true),
        ("isSupersetOf(new Set([3, 4]))", false),
        ("isDisjointFrom(new Set([4]))", true),
        ("isDisjointFrom(new Set([4, 1]))", false),
    ] {
        gives(&format!("{a}.{op}"), &json!(expected));
    }
    let list = format!("{a}.union([4])");
    assert_eq!(code_of(&list, &Value::Null), "TYPE_ARGUMENT");
    assert!(hint_of(&list, &Value::Null).contains("`new Set(…)`"));
}

#[test]
fn a_map_groups_by_keys_of_any_type() {
    gives(
        "[...Map.groupBy([1, 2, 3, 4], n => n % 2 === 0)]",
        &json!([[false, [1, 3]], [true, [2, 4]]]),
    );
    gives(
        "(a => Map.groupBy([1, 2], () => a).get(a))({})",
        &json!([1, 2]),
    );
    gives("Map.groupBy([], x => x).size", &json!(0));
    gives(
        "[...Map.groupBy('aba', (c, i) => i).keys()]",
        &json!([0, 1, 2]),
    );
    assert_eq!(
        code_of("Map.groupBy(1, x => x)", &Value::Null),
        "TYPE_NOT_ITERABLE"
    );
}

#[test]
fn long_integers_of_the_data_stay_apart_as_keys() {
    let data = json!({ "json": { "ids": [9_007_199_254_740_993_i64, 9_007_199_254_740_992_i64, 9_007_199_254_740_993_i64] } });
    check(
        "[...new Set($json.ids)]",
        &data,
        &json!([9_007_199_254_740_993_i64, 9_007_199_254_740_992_i64]),
    );
    check("new Set($json.ids).has($json.ids[2])", &data, &json!(true));
}

#[test]
fn a_named_set_or_map_does_not_change() {
    for expr in [
        "(s => s.add(1))(new Set())",
        "(m => m.set(1, 2))(new Map())",
        "(m => m.delete(1))(new Map())",
        "(m => m.clear())(new Map())",
    ] {
        assert_eq!(code_of(expr, &Value::Null), "UNSUPPORTED_MUTATOR", "{expr}");
        assert!(hint_of(expr, &Value::Null).contains("`new "), "{expr}");
    }
    gives("(a => [new Set(a).add(3).size, a])([1])", &json!([2, [1]]));
}

#[test]
fn what_is_no_result_says_how_to_make_one() {
    for (expr, hint) in [
        ("new Set()", "`[...set]`"),
        ("{ a: [new Map()] }", "`Object.fromEntries(map)`"),
    ] {
        assert_eq!(code_of(expr, &Value::Null), "TYPE_RESULT");
        assert!(hint_of(expr, &Value::Null).contains(hint));
    }
    let program = Program::compile("new Set([1])", &Default::default()).unwrap();
    let text = program.evaluate_text(&JsonScope(&Value::Null), &Context::default());
    assert_eq!(text.unwrap_err().code, "TYPE_RESULT");
}

#[test]
fn what_new_and_instanceof_cannot_take_is_refused() {
    for (expr, code, hint) in [
        ("new Sett([1])", "UNSUPPORTED_NEW", "`new Set(…)`"),
        ("new Promise()", "UNSUPPORTED_NEW", "`new Map(…)`"),
        ("new Object()", "UNSUPPORTED_NEW", "`{}`"),
        ("new String('a')", "UNSUPPORTED_NEW", "`String(…)`"),
        ("new Set.foo()", "UNSUPPORTED_NEW", "`new Set(…)`"),
        ("new (Set)()", "UNSUPPORTED_NEW", "name the class"),
        ("new $json.a()", "UNSUPPORTED_NEW", "there are"),
        ("(Set => new Set())(1)", "UNSUPPORTED_NEW", ""),
        ("Set([1])", "UNSUPPORTED_CALL", "`new Set(…)`"),
        ("Map", "UNSUPPORTED_FUNCTION_VALUE", "`new Map(…)`"),
        ("new Set?.size", "SYNTAX_UNEXPECTED", ""),
        ("new Set(x => x)", "UNSUPPORTED_FUNCTION_VALUE", ""),
        (
            "new Set([1]).forEach(x => x)",
            "UNSUPPORTED_FOREACH",
            "`map`",
        ),
        ("[1] instanceof Foo", "UNSUPPORTED_INSTANCEOF", "`Array`"),
        ("[1] instanceof 1", "UNSUPPORTED_INSTANCEOF", "`Array`"),
        (
            "(Set => [] instanceof Set)(1)",
            "UNSUPPORTED_INSTANCEOF",
            "parameter",
        ),
        (
            "new Set({ a: 1 })",
            "TYPE_NOT_ITERABLE",
            "`Object.entries(…)`",
        ),
        ("new Map([1])", "TYPE_ARGUMENT", "`[key, value]`"),
        ("new Set([1]).union()", "TYPE_ARGUMENT", ""),
        ("new Set([1]).get(1)", "TYPE_NO_METHOD", ""),
        ("new Array(-1)", "TYPE_RANGE", ""),
        ("new Set([1]).has", "TYPE_METHOD_NOT_CALLED", "`.has(…)`"),
    ] {
        assert_eq!(code_of(expr, &Value::Null), code, "{expr}");
        let found = hint_of(expr, &Value::Null);
        assert!(found.contains(hint), "{expr}: {found}");
    }
    assert_eq!(value("new Set([1]).foo", &Value::Null), Ok(None));
}

#[test]
fn sets_stop_at_every_limit() {
    let numbers: Vec<u32> = (0..2_000).collect();
    let data = json!({ "json": numbers });
    let size = |limits| limited("new Set($json).size", &data, limits);
    assert_eq!(size(Limits::default()), Ok(Some(json!(2_000))));
    let array_len = 1_999;
    let limits = Limits {
        array_len,
        ..Limits::default()
    };
    assert_eq!(size(limits), Err("LIMIT_ARRAY"));
    let limits = Limits {
        arena_bytes: 32_000,
        ..Limits::default()
    };
    assert_eq!(size(limits), Err("LIMIT_ARENA"));
    // One for each element, one for each search, one for each collision.
    let limits = Limits {
        operations_ceiling: 3_000,
        ..Limits::default()
    };
    assert_eq!(size(limits), Err("LIMIT_OPERATIONS"));
    // What is only read may be longer than what is made.
    let limits = Limits {
        array_len: 2,
        ..Limits::default()
    };
    let data = json!({ "json": vec![1; 2_000] });
    assert_eq!(
        limited("new Set($json).size", &data, limits),
        Ok(Some(json!(1)))
    );
    assert_eq!(
        limited("new Array(100001)", &data, Limits::default()),
        Err("LIMIT_ARRAY")
    );
    let limits = Limits {
        arena_bytes: 800,
        ..Limits::default()
    };
    assert_eq!(
        limited("new Array(99).length", &data, limits),
        Err("LIMIT_ARENA")
    );
}

#[test]
fn many_keys_are_found_wherever_they_stand() {
    let texts: Vec<String> = (0..5_000).map(|n| format!("key {n}")).collect();
    let data = json!({ "json": texts });
    check(
        "(s => $json.every(t => s.has(t)))(new Set($json))",
        &data,
        &json!(true),
    );
    check(
        "(s => $json.some(t => s.has(t + ' ')))(new Set($json))",
        &data,
        &json!(false),
    );
    check(
        "new Map($json.map((t, i) => [t, i])).get('key 4711')",
        &data,
        &json!(4_711),
    );
    let rows: Vec<Value> = (0..5_000).map(|n| json!({ "n": n % 7 })).collect();
    let data = json!({ "json": rows });
    check("new Set([...$json, ...$json]).size", &data, &json!(5_000));
    check(
        "(m => m.get($json[4000]))(new Map($json.map(r => [r, r.n])))",
        &data,
        &json!(3),
    );
}

#[test]
fn a_long_row_of_instanceof_needs_no_stack() {
    let expr = format!("[]{}", " instanceof Object < 1".repeat(2_500));
    gives(&expr, &json!(true));
}
