//! Every limit stops what would go beyond it, and hostile input ends in an error.

mod check;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use check::{code_of, problems, value};
use nebula_expression::{CompileOptions, Context, JsonScope, Limits, Program};
use proptest::prelude::*;
use serde_json::{Value, json};

fn compile_code(source: &str) -> &'static str {
    match Program::compile(source, &CompileOptions::default()) {
        Ok(_) => "ok",
        Err(errors) => errors[0].code,
    }
}

#[test]
fn nesting_of_the_source_is_bounded() {
    for unit in [
        "(",
        "[",
        "!",
        "-",
        "- ",
        "+ ",
        "~",
        "typeof ",
        "void ",
        "{a:",
        "a?b:",
        "a?",
        "1**",
        "x=>",
        "(x)=>",
        "[...",
        "`${",
        "f(",
        "$json[",
        "Math.max(",
        "({a}) => ",
        "({a:{",
        "await ",
        "new ",
        "++",
        "delete ",
        "...",
        "[{",
        "(a,",
    ] {
        for size in [100, 20_000, 65_536] {
            let source: String = unit.repeat((size / unit.len()).max(40));
            let errors = Program::compile(&source, &CompileOptions::default()).unwrap_err();
            let limit = errors.iter().any(|error| error.code == "LIMIT_DEPTH");
            let ends = matches!(
                unit,
                "x=>" | "(x)=>" | "({a}) => " | "({a:{" | "new " | "++" | "..."
            );
            assert!(limit || ends, "{unit} {size}: {:?}", errors[0]);
        }
    }
    assert_eq!(
        compile_code(&format!("{}1{}", "(".repeat(31), ")".repeat(31))),
        "ok"
    );
    assert_eq!(
        compile_code(&format!("{}1{}", "(".repeat(32), ")".repeat(32))),
        "LIMIT_DEPTH"
    );
    assert_eq!(compile_code(&" ".repeat(65_537)), "LIMIT_SOURCE");
}

#[test]
fn chains_and_operators_in_a_row_count_flat() {
    let data = json!({ "json": 1 });
    assert_eq!(
        value(&format!("1{}", " + 1".repeat(2_000)), &data),
        Ok(Some(json!(2_001)))
    );
    assert_eq!(
        value(&format!("'a'{}", ".trim()".repeat(500)), &data),
        Ok(Some(json!("a")))
    );
    assert_eq!(
        value(&format!("0{}", " || 0".repeat(5_000)), &data),
        Ok(Some(json!(0)))
    );
    assert_eq!(
        value(&format!("$json{}", "?.a".repeat(5_000)), &data),
        Ok(None)
    );
    assert_eq!(
        value(
            &format!("[{}]", "1 * 2 - 3 < 4 == 5 & 6,".repeat(300)),
            &data
        )
        .map(|v| v.is_some()),
        Ok(true)
    );
}

#[test]
fn operations_are_counted() {
    let data = json!({ "json": { "list": vec![1; 1_000] } });
    // An allowance for each element pays for a walk, but not for walks within walks within walks.
    assert_eq!(
        value("$json.list.map(x => x + 1).length", &data),
        Ok(Some(json!(1_000)))
    );
    assert_eq!(
        value(
            "$json.list.filter(x => x > 0 && x < 9 && x % 2 === 1).reduce((a, b) => a + b)",
            &data
        ),
        Ok(Some(json!(1_000)))
    );
    let cube = "$json.list.map(a => $json.list.map(b => $json.list.map(c => 1)))";
    assert!(["LIMIT_OPERATIONS", "LIMIT_ARENA"].contains(&code_of(cube, &data)));
    assert_eq!(
        code_of(
            "$json.list.every(a => $json.list.every(b => $json.list.every(c => true)))",
            &data
        ),
        "LIMIT_OPERATIONS"
    );
    let wide = format!("[{}]", vec!["1"; 10_001].join(","));
    assert_eq!(code_of(&wide, &data), "LIMIT_OPERATIONS");
    let program = Program::compile(
        "Array.from({ length: 100000 }).filter(() => $json.includes('zz'))",
        &CompileOptions::default(),
    )
    .unwrap();
    let limits = Limits {
        operations_ceiling: 50_000,
        ..Limits::default()
    };
    let context = Context {
        limits,
        ..Context::default()
    };
    let text = json!({ "json": "x".repeat(1_000_000) });
    let error = program.evaluate(&JsonScope(&text), &context).unwrap_err();
    assert_eq!(error.code, "LIMIT_OPERATIONS");
}

#[test]
fn strings_arrays_and_bytes_are_paid_before_they_are_made() {
    let data =
        json!({ "json": { "text": "x".repeat(600_000), "list": vec!["abcdefgh"; 200_000] } });
    for (expr, code) in [
        ("'a'.repeat(1e9)", "LIMIT_STRING"),
        ("'a'.repeat(1e300)", "LIMIT_STRING"),
        ("'a'.padEnd(1e9)", "LIMIT_STRING"),
        ("'a'.padStart(2 ** 52, 'ab')", "LIMIT_STRING"),
        ("$json.text + $json.text", "LIMIT_STRING"),
        ("`${$json.text}${$json.text}`", "LIMIT_STRING"),
        ("$json.text.concat($json.text)", "LIMIT_STRING"),
        ("$json.list.join()", "LIMIT_STRING"),
        ("$json.text.replaceAll('x', 'yyy')", "LIMIT_STRING"),
        ("JSON.stringify($json)", "LIMIT_STRING"),
        ("JSON.stringify($json.list, null, 2)", "LIMIT_STRING"),
        ("encodeURIComponent('ü'.repeat(200000))", "LIMIT_STRING"),
        ("Array.from({ length: 1e9 })", "LIMIT_ARRAY"),
        (
            "Array.from({ length: 2 ** 53 }, (_, i) => i)",
            "LIMIT_ARRAY",
        ),
        ("$json.list.map(x => x)", "LIMIT_ARRAY"),
        ("[...$json.list]", "LIMIT_ARRAY"),
        ("$json.list.concat(1)", "LIMIT_ARRAY"),
        ("$json.text.split('')", "LIMIT_ARRAY"),
        ("Math.max(...$json.list)", "LIMIT_ARRAY"),
        ("Object.keys($json.text)", "LIMIT_ARRAY"),
        (
            "Array.from({ length: 99999 }, () => [1, 2, 3, 4, 5, 6, 7, 8, 9])",
            "LIMIT_ARENA",
        ),
        (
            "Array.from({ length: 30 }, (_, i) => $json.text + i)",
            "LIMIT_ARENA",
        ),
        (
            "Array.from({ length: 50 }, (_, i) => 'ab'.repeat(400000)).length",
            "LIMIT_ARENA",
        ),
        (
            "Array.from({ length: 50 }, () => $json.text.toUpperCase())",
            "LIMIT_OPERATIONS",
        ),
        (
            "[...Array.from({ length: 30 }).keys()].reduce(a => [a, a], 0)",
            "LIMIT_RESULT",
        ),
        (
            "Array.from({ length: 200 }, () => $json.text)",
            "LIMIT_RESULT",
        ),
        (
            "Array.from({ length: 30 }).reduce(a => ({ a, b: a }), 0)",
            "LIMIT_RESULT",
        ),
        (
            "JSON.stringify(Array.from({ length: 30 }).reduce(a => [a, a], 0))",
            "LIMIT_STRING",
        ),
        (
            "String(Array.from({ length: 30 }).reduce(a => [a, a], 0))",
            "LIMIT_STRING",
        ),
        (
            "Array.from({ length: 30 }).reduce(a => [a, a], 0).flat(Infinity)",
            "LIMIT_ARRAY",
        ),
        (
            "Array.from({ length: 1000 }).reduce(a => [a], 0)",
            "LIMIT_NESTING",
        ),
        (
            "String(Array.from({ length: 1000 }).reduce(a => [a], 0))",
            "LIMIT_NESTING",
        ),
        (
            "JSON.stringify(Array.from({ length: 1000 }).reduce(a => ({ a }), 0))",
            "LIMIT_NESTING",
        ),
        (
            "Array.from({ length: 1000 }).reduce(a => [a], 0).flat(Infinity)",
            "LIMIT_NESTING",
        ),
        ("JSON.parse('['.repeat(100000))", "LIMIT_NESTING"),
        (
            "JSON.parse('[' + '1,'.repeat(200000) + '1]')",
            "LIMIT_ARRAY",
        ),
        (
            "Object.fromEntries(Array.from({ length: 100000 }, (_, i) => ['k' + i, i])).k99999 === 99999 ? [] : x",
            "NAME_UNKNOWN",
        ),
    ] {
        assert_eq!(code_of(expr, &data), code, "{expr}");
    }
    // Long texts in plain use are within the limits.
    for (expr, expected) in [
        ("$json.text.replaceAll('x', 'y').length", 600_000),
        ("$json.text.toUpperCase().indexOf('Y')", -1),
        ("('a' + ',a'.repeat(50000)).split(',').length", 50_001),
        (
            "$json.text.slice(0, 30000).replaceAll('x', (x, i) => i % 10).length",
            30_000,
        ),
        (
            "JSON.parse(JSON.stringify($json.list.slice(0, 20000))).length",
            20_000,
        ),
        ("encodeURIComponent('ü'.repeat(30000)).length", 180_000),
        ("'ab'.padEnd(300000, 'cd').length", 300_000),
    ] {
        assert_eq!(value(expr, &data), Ok(Some(json!(expected))), "{expr}");
    }
    // What is only read is not counted.
    assert_eq!(value("$json.list.length", &data), Ok(Some(json!(200_000))));
    assert_eq!(
        value("$json.list.some(x => x === 'z')", &data),
        Ok(Some(json!(false)))
    );
    assert_eq!(
        value("$json.list[199999].length", &data),
        Ok(Some(json!(8)))
    );
}

#[test]
fn large_objects_are_found_by_key() {
    let expr =
        "Object.fromEntries(Array.from({ length: 20000 }, (_, i) => ['k' + i % 15000, i])).k14999";
    assert_eq!(value(expr, &json!({})), Ok(Some(json!(14_999))));
    let expr = "Object.keys(Object.fromEntries(Array.from({ length: 40 }, (_, i) => ['k' + i % 30, i]))).slice(-2).join()";
    assert_eq!(value(expr, &json!({})), Ok(Some(json!("k28,k29"))));
}

#[test]
fn limits_come_from_the_context() {
    let program = Program::compile("'abc' + typeof $json", &CompileOptions::default()).unwrap();
    let limits = Limits {
        string_bytes: 5,
        ..Limits::default()
    };
    let context = Context {
        limits,
        ..Context::default()
    };
    assert_eq!(
        program
            .evaluate(&JsonScope(&Value::Null), &context)
            .unwrap_err()
            .code,
        "LIMIT_STRING"
    );
}

#[test]
fn a_deadline_stops_a_long_evaluation() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let deadline = move || counter.fetch_add(1, Ordering::Relaxed) >= 2;
    let context = Context {
        backstop: Some(Arc::new(deadline)),
        ..Context::default()
    };
    let program = Program::compile(
        "$json.map(a => $json.map(b => a + b).length)",
        &CompileOptions::default(),
    )
    .unwrap();
    let data = json!({ "json": vec![1; 300] });
    let error = program.evaluate(&JsonScope(&data), &context).unwrap_err();
    assert_eq!(
        (error.code, asked.load(Ordering::Relaxed)),
        ("LIMIT_WALL", 3)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_the_compiler_panic(source in "\\PC{0,80}") {
        let _ = value(&source, &json!({}));
    }

    #[test]
    fn no_sequence_of_tokens_panics_and_errors_stay_inside(parts in prop::collection::vec(prop::sample::select(TOKENS), 0..30)) {
        let source = parts.concat();
        let data = json!({ "json": { "a": [1, "b", null, { "c": "😀é" }], "t": "x😀y", "n": 2 } });
        let errors = match Program::compile(&source, &CompileOptions::default()) {
            Ok(program) => program.evaluate(&JsonScope(&data), &Context::default()).err().into_iter().collect(),
            Err(errors) => errors,
        };
        for error in errors {
            prop_assert!(source.get(error.start..error.end).is_some(), "{source}: {error:?}");
        }
    }

    #[test]
    fn calls_with_any_arguments_end_within_the_limits(
        receiver in prop::sample::select(VALUES), method in prop::sample::select(METHODS), args in prop::collection::vec(prop::sample::select(VALUES), 0..4),
    ) {
        let source = format!("({receiver}).{method}({})", args.join(", "));
        if let Ok(Some(result)) = value(&source, &json!({})) {
            prop_assert!(result.to_string().len() < 8_000_000);
        }
    }
}

const TOKENS: &[&str] = &[
    "$json",
    ".a",
    ".t",
    ".n",
    "[0]",
    "?.",
    ".",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "1",
    "2.5",
    "'s'",
    "\"",
    "`",
    "${",
    "+",
    "-",
    "*",
    "**",
    "/",
    "%",
    "?",
    ":",
    ",",
    ";",
    "=>",
    "x",
    "y",
    "...",
    "!",
    "~",
    "&&",
    "||",
    "??",
    "===",
    "<",
    ">>",
    " in ",
    "typeof ",
    "null",
    "undefined",
    ".map(x=>x)",
    ".filter(",
    ".slice(1)",
    ".split('')",
    "Math.max(",
    "JSON.stringify(",
    "new ",
    "this",
    "=",
    "++",
    "/a/",
    "😀",
    "é",
    "\\",
    "\n",
    "//",
    "/*",
    "$nodes.a",
    "void ",
    "a:",
    "[x]:",
    "({",
    "})",
    "(x,y)=>",
    "([a,b])=>",
    "({a})=>",
    "if ",
    "function",
    "return",
    "#",
];

const VALUES: &[&str] = &[
    "'a😀b'",
    "''",
    "'\\ud83d'",
    "'x'.repeat(1000)",
    "[1, 'b', null, undefined, [2]]",
    "[]",
    "{ a: 1, 2: 'x' }",
    "0",
    "-1",
    "1.5",
    "1e9",
    "NaN",
    "Infinity",
    "-Infinity",
    "null",
    "undefined",
    "true",
    "x => x",
    "(a, b) => b",
    "() => 1e9",
    "(x, i) => i - 2",
    "'$&'",
    "2 ** 31",
    "2 ** 53",
    "-(2 ** 40)",
];

const METHODS: &[&str] = &[
    "at",
    "charAt",
    "charCodeAt",
    "codePointAt",
    "concat",
    "endsWith",
    "includes",
    "indexOf",
    "lastIndexOf",
    "padEnd",
    "padStart",
    "repeat",
    "replace",
    "replaceAll",
    "slice",
    "split",
    "startsWith",
    "substr",
    "substring",
    "toLowerCase",
    "trim",
    "entries",
    "every",
    "fill",
    "filter",
    "find",
    "findLast",
    "flat",
    "flatMap",
    "join",
    "keys",
    "map",
    "pop",
    "reduce",
    "reduceRight",
    "reverse",
    "shift",
    "some",
    "sort",
    "toSorted",
    "toReversed",
    "toString",
    "with",
    "toFixed",
    "toPrecision",
    "toExponential",
    "hasOwnProperty",
    "valueOf",
];

#[test]
fn a_source_full_of_mistakes_tells_the_first_of_them() {
    let source = format!("[{}]", "aa, ".repeat(10_000));
    let found = problems(&source);
    assert_eq!(found.len(), 100);
    assert!(found.iter().all(|(code, _)| *code == "NAME_UNKNOWN"));
}
