//! Methods and functions beyond JavaScript's: one line each in `cases/extensions.txt`.

mod check;

use check::{check_lenient, value};
use nebula_expression::{CompileOptions, Context, JsonScope, Limits, Program, Purity};
use serde_json::{Value, json};

#[test]
fn every_line_gives_what_it_says() {
    let data = json!({ "json": { "a": 1 } });
    let mut wrong = Vec::new();
    for line in include_str!("cases/extensions.txt").lines() {
        let (expr, expected) = line.split_once(" ==> ").expect("a case has two sides");
        let found = value(expr, &data);
        let right = match (expected.strip_prefix('!'), &found) {
            (Some(code), Err(error)) => error.code == code,
            (None, Ok(Some(found))) => {
                let expected: Value = serde_json::from_str(expected).unwrap();
                *found == expected
            }
            _ => false,
        };
        if !right {
            wrong.push(format!("{line}\n    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_random_item_depends_on_the_seed_alone() {
    let program = Program::compile(
        "[1, 2, 3, 4, 5, 6, 7, 8].randomItem()",
        &CompileOptions::default(),
    )
    .unwrap();
    assert_eq!(program.report().purity, Purity::Random);
    let of = |seed| {
        let context = Context {
            seed,
            ..Context::default()
        };
        program
            .evaluate(&JsonScope(&Value::Null), &context)
            .unwrap()
    };
    assert_eq!(of(1), of(1));
    assert!((0..20).any(|seed| of(seed) != of(0)));
}

#[test]
fn if_computes_only_what_it_gives() {
    let program = Program::compile("$if($json, $random, 1)", &CompileOptions::default()).unwrap();
    assert_eq!(program.report().purity, Purity::Random);
    let data = json!({ "json": { "a": null } });
    assert_eq!(
        value("$if($json.a, $json.a.b, 2)", &data),
        Ok(Some(json!(2)))
    );
    check_lenient(
        "[$json.a.b.isEmpty(), $json.a.b.toInt()]",
        &data,
        &json!([true, null]),
    );
}

#[test]
fn what_is_made_is_paid_for_before_it_is_made() {
    let long = "ab ".repeat(300_000);
    let list: Vec<Value> = (0..3_000)
        .map(|n| json!({ "a": n, "b": "x".repeat(100) }))
        .collect();
    let data = json!({ "json": { "long": long, "list": list, "half": "x".repeat(600_000) } });
    let limits = |arena_bytes, operations_ceiling| Context {
        limits: Limits {
            arena_bytes,
            operations_ceiling,
            ..Limits::default()
        },
        ..Context::default()
    };
    let code = |expr: &str, context: &Context| {
        let program = Program::compile(expr, &CompileOptions::default()).unwrap();
        program
            .evaluate(&JsonScope(&data), context)
            .map_err(|error| error.code)
            .err()
    };
    for expr in [
        "$json.half.base64Encode().length",
        "$json.long.base64Decode().length",
        "$json.half.urlEncode().length",
        "$json.long.quote().length",
        "$json.long.removeTags().length",
        "$json.long.removeMarkdown().length",
        "$json.long.replaceSpecialChars().length",
        "$json.long.toTitleCase().length",
        "$json.long.toSentenceCase().length",
        "$json.long.toSnakeCase().length",
        "$json.long.toKebabCase().length",
        "$json.long.toCamelCase().length",
        "$json.list.unique().length",
        "$json.list.union([]).length",
        "$json.list.difference([]).length",
        "[].intersection($json.list).length",
        "$json.list.toJsonString().length",
        "$json.list.merge($json.list)",
        "$json.list.renameKeys('a', 'c').length",
        "$json.list.pluck('a', 'b').length",
        "$json.list.chunk(1).length",
        "$json.list.smartJoin('a', 'b')",
    ] {
        assert_eq!(
            code(expr, &limits(40_000, 5_000_000)),
            Some("LIMIT_ARENA"),
            "{expr}"
        );
    }
    for expr in [
        "$json.long.hash('sha512')",
        "$json.long.extractEmail()",
        "$json.long.extractUrl()",
        "$json.long.isEmail()",
        "$json.long.isNumeric()",
        "$json.list.unique()",
        "$json.list.sum()",
        "$json.list.compact()",
        "$json.list.pluck('a')",
        "$json.list.chunk(1)",
    ] {
        assert_eq!(
            code(expr, &limits(16 << 20, 1_000)),
            Some("LIMIT_OPERATIONS"),
            "{expr}"
        );
    }
    assert_eq!(
        code("$json.long.base64Encode()", &Context::default()),
        Some("LIMIT_STRING")
    );
    assert_eq!(code("$json.half.urlEncode()", &Context::default()), None);
    assert_eq!(
        code("$json.half.quote('x')", &Context::default()),
        Some("LIMIT_STRING")
    );
}

#[test]
fn hostile_texts_are_looked_at_once() {
    for unit in [
        "http://", "http://%", "@", "a@", "a.", "[", "![", "[](", "<", "**", "`", "> ", "- ",
    ] {
        let text = unit.repeat(60_000 / unit.len());
        let data = json!({ "json": text });
        for method in [
            "extractUrl",
            "extractEmail",
            "extractDomain",
            "extractUrlPath",
            "removeMarkdown",
            "removeTags",
            "isEmail",
            "isUrl",
            "isDomain",
            "toTitleCase",
        ] {
            let expr = format!("$json.{method}() ?? 0");
            assert!(value(&expr, &data).is_ok(), "{unit} {method}");
        }
    }
}
