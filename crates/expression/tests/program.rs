//! Programs as other crates use them: reports, borrowed results, conditions, text, time, seed,
//! portable form.

mod check;

use check::{check, check_lenient};
use nebula_expression::{
    Away, CompileOptions, Context, Evaluated, Evaluator, JsonScope, ListOf, LongList, Mode,
    NodeView, Program, Purity, Root, Scope,
};
use serde_json::{Value, json};

fn program(source: &str) -> Program {
    Program::compile(source, &CompileOptions::default()).unwrap()
}

fn lenient(source: &str) -> Program {
    let options = CompileOptions {
        mode: Mode::Lenient,
        ..CompileOptions::default()
    };
    Program::compile(source, &options).unwrap()
}

#[test]
fn a_report_names_roots_nodes_and_paths() {
    let source = "$json.items.map(i => i.a + $vars.x['y z'][0]) + $nodes.fetch.result.body + $nodes.load?.status + $nodes['fetch'].error?.message";
    let report = program(source).report().clone();
    assert_eq!(report.roots, [Root::Json, Root::Vars]);
    let nodes: Vec<_> = report
        .nodes
        .iter()
        .map(|n| (n.node.as_str(), n.optional, n.spans.len()))
        .collect();
    assert_eq!(nodes, [("fetch", false, 2), ("load", true, 1)]);
    for node in &report.nodes {
        for span in &node.spans {
            assert_eq!(source[span.start..span.end], node.node);
        }
    }
    assert_eq!(
        report.paths,
        [
            "$json.items",
            "$nodes.fetch.error.message",
            "$nodes.fetch.result.body",
            "$nodes.load.status",
            "$vars.x[\"y z\"][0]"
        ]
    );
    assert_eq!(report.purity, Purity::Pure);
}

#[test]
fn purity_is_that_of_the_least_pure_part() {
    assert_eq!(program("1 + $json").report().purity, Purity::Pure);
    assert_eq!(program("$now").report().purity, Purity::Time);
    assert_eq!(
        program("[Date.now(), $today]").report().purity,
        Purity::Time
    );
    assert_eq!(
        program("[1].map(x => Math.random() + Date.now())")
            .report()
            .purity,
        Purity::Random
    );
    assert_eq!(program("$random").report().purity, Purity::Random);
}

#[test]
fn a_path_lends_the_scopes_own_value() {
    let data = json!({ "json": { "a": [{ "b": { "c": 1 } }] }, "nodes": { "n": { "result": { "x": [1] } } } });
    let scope = JsonScope(&data);
    let found = program("$json.a[0].b")
        .evaluate_ref(&scope, &Context::default())
        .unwrap();
    assert!(
        matches!(found, Evaluated::Borrowed(value) if std::ptr::eq(value, &data["json"]["a"][0]["b"]))
    );
    let found = program("$nodes.n.result.x")
        .evaluate_ref(&scope, &Context::default())
        .unwrap();
    assert!(
        matches!(found, Evaluated::Borrowed(value) if std::ptr::eq(value, &data["nodes"]["n"]["result"]["x"]))
    );
    let found = program("$json.z")
        .evaluate_ref(&scope, &Context::default())
        .unwrap();
    assert_eq!(found, Evaluated::Undefined);
}

#[test]
fn a_node_is_seen_by_its_fields() {
    let data = json!({ "nodes": { "ok": { "result": { "v": 1 }, "port": "main", "attempts": 2 }, "bad": { "error": { "code": "E" } }, "skipped": { "status": "skipped" } } });
    check("$nodes.ok.result.v", &data, &json!(1));
    check(
        "[$nodes.ok.success, $nodes.ok.status, $nodes.ok.port, $nodes.ok.attempts]",
        &data,
        &json!([true, "succeeded", "main", 2]),
    );
    check(
        "[$nodes.bad.success, $nodes.bad.status, $nodes.bad.error.code]",
        &data,
        &json!([false, "failed", "E"]),
    );
    check(
        "[$nodes.skipped.status, typeof $nodes.skipped.result]",
        &data,
        &json!(["skipped", "undefined"]),
    );
    check("typeof $nodes.absent?.result", &data, &json!("undefined"));
    check(
        "$nodes.ok",
        &data,
        &json!({ "result": { "v": 1 }, "success": true, "status": "succeeded", "port": "main", "attempts": 2 }),
    );
    check_lenient(
        "typeof $nodes.absent.result.x.y",
        &data,
        &json!("undefined"),
    );
}

#[test]
fn a_scope_is_asked_by_slot() {
    struct Slots(Value);
    impl Scope for Slots {
        fn root(&self, _: Root) -> Option<&Value> {
            None
        }
        fn node(&self, slot: usize, id: &str) -> Option<NodeView<'_>> {
            assert_eq!((slot, id), if id == "b" { (0, "b") } else { (1, "a") });
            Some(NodeView {
                result: Some(&self.0),
                success: Some(true),
                error: None,
                status: "succeeded",
                port: None,
                attempts: 1,
            })
        }
        fn list(&self, _: ListOf<'_>) -> Option<&LongList> {
            None
        }
    }
    let result = program("$nodes.b.result + $nodes.a.result + $nodes.b.result")
        .evaluate(&Slots(json!(2)), &Context::default());
    assert_eq!(result.unwrap(), Some(json!(6)));
}

#[test]
fn conditions_are_booleans_in_strict_mode() {
    let data = json!({ "json": { "n": 3 } });
    let (scope, context) = (JsonScope(&data), Context::default());
    assert_eq!(
        program("$json.n > 2").evaluate_condition(&scope, &context),
        Ok(true)
    );
    let error = program("$json.n")
        .evaluate_condition(&scope, &context)
        .unwrap_err();
    assert_eq!(error.code, "TYPE_NOT_BOOLEAN");
    assert!(error.hint.is_some());
    assert_eq!(
        lenient("$json.n").evaluate_condition(&scope, &context),
        Ok(true)
    );
    assert_eq!(
        lenient("$json.missing.more").evaluate_condition(&scope, &context),
        Ok(false)
    );
}

#[test]
fn text_follows_the_rules_of_the_border() {
    let data = json!({ "json": { "o": { "a": [1, null] }, "none": null } });
    let (scope, context) = (JsonScope(&data), Context::default());
    let text = |source: &str| program(source).evaluate_text(&scope, &context);
    assert_eq!(text("$json.o").unwrap(), r#"{"a":[1,null]}"#);
    assert_eq!(text("1.50").unwrap(), "1.5");
    assert_eq!(text("$json.none").unwrap(), "null");
    assert_eq!(text("0 / 0").unwrap(), "null");
    assert_eq!(text("'\\ud800'").unwrap(), "\u{fffd}");
    assert_eq!(
        text("$json.missing").unwrap_err().code,
        "TYPE_UNDEFINED_TEXT"
    );
    let text = |source: &str| lenient(source).evaluate_text(&scope, &context).unwrap();
    assert_eq!(
        [
            text("$json.missing.x"),
            text("$json.none"),
            text("0 / 0"),
            text("0"),
            text("false")
        ],
        ["", "", "", "0", "false"]
    );
}

#[test]
fn results_lose_what_json_cannot_say() {
    let data = json!({});
    check(
        "[undefined, NaN, 1 / 0, -0, '\\udc00']",
        &data,
        &json!([null, null, null, 0, "\u{fffd}"]),
    );
    check(
        "{ a: undefined, b: { c: undefined, d: [undefined] } }",
        &data,
        &json!({ "b": { "d": [null] } }),
    );
    check(
        "[1.0, 2.5, 1e3, 2 ** 53]",
        &data,
        &json!([1, 2.5, 1000, 9_007_199_254_740_992_i64]),
    );
}

#[test]
fn time_is_the_instances() {
    let context = Context {
        now_ms: 1_773_480_413_589,
        timezone: "Europe/Berlin".into(),
        ..Context::default()
    };
    let eval = |source: &str| {
        program(source)
            .evaluate(&JsonScope(&Value::Null), &context)
            .unwrap()
            .unwrap()
    };
    assert_eq!(eval("$now"), "2026-03-14T10:26:53.589+01:00");
    assert_eq!(eval("$today.toISO()"), "2026-03-14T00:00:00.000+01:00");
    assert_eq!(eval("$now.toISOString()"), "2026-03-14T09:26:53.589Z");
    assert_eq!(
        eval("[$now.toMillis(), Date.now(), $now - 0]"),
        json!([
            1_773_480_413_589_i64,
            1_773_480_413_589_i64,
            1_773_480_413_589_i64
        ])
    );
    assert_eq!(eval("`${$now.toISODate()}`"), "2026-03-14");
    assert_eq!(
        program("$now")
            .evaluate(&JsonScope(&Value::Null), &Context::default())
            .unwrap(),
        Some(json!("1970-01-01T00:00:00.000Z"))
    );
}

#[test]
fn chance_is_the_seeds() {
    let draw = |seed| {
        let context = Context {
            seed,
            ..Context::default()
        };
        program("[Math.random(), Math.random(), $random]")
            .evaluate(&JsonScope(&Value::Null), &context)
            .unwrap()
            .unwrap()
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    let numbers: Vec<f64> = serde_json::from_value(draw(7)).unwrap();
    assert!(numbers.iter().all(|n| (0.0..1.0).contains(n)) && numbers[0] != numbers[1]);
}

#[test]
fn a_program_travels_as_its_source() {
    let made = lenient("$json.a ?? 1");
    let text = serde_json::to_string(&made).unwrap();
    assert_eq!(text, r#"{"source":"$json.a ?? 1","mode":"lenient"}"#);
    assert_eq!(serde_json::from_str::<Program>(&text).unwrap(), made);
    assert_ne!(made, program("$json.a ?? 1"));
    let error = serde_json::from_str::<Program>(r#"{"source":"$json.a ??"}"#).unwrap_err();
    assert!(error.to_string().contains("SYNTAX_END"), "{error}");
}

#[test]
fn an_evaluator_gives_the_same_again_and_again() {
    struct Item(Value);
    impl Scope for Item {
        fn root(&self, root: Root) -> Option<&Value> {
            (root == Root::Item).then_some(&self.0)
        }
        fn node(&self, _: usize, _: &str) -> Option<NodeView<'_>> {
            None
        }
        fn list(&self, _: ListOf<'_>) -> Option<&LongList> {
            None
        }
    }
    let program = program("`${$item.name.toUpperCase()}-${$item.tags.map(t => t + '!').join('')}`");
    let mut evaluator = Evaluator::new(&program);
    for i in 0..1_000 {
        let item = Item(json!({ "name": format!("n{i}"), "tags": ["a", "b"] }));
        let expected = json!(format!("N{i}-a!b!"));
        assert_eq!(
            evaluator.evaluate(&item, &Context::default()),
            Ok(Some(expected))
        );
    }
}

#[test]
fn data_is_never_changed_and_has_no_prototype() {
    let data = json!({ "json": { "list": [3, 1, 2], "constructor": "c", "__proto__": 5 } });
    check(
        "[$json.list.sort(), $json.list, $json.list.reverse(), $json.list.pop(), $json.list.length]",
        &data,
        &json!([[1, 2, 3], [3, 1, 2], [2, 1, 3], 2, 3]),
    );
    check(
        "[$json.constructor, $json.__proto__, typeof {}.constructor, typeof 'a'.constructor]",
        &data,
        &json!(["c", 5, "undefined", "undefined"]),
    );
    check("typeof ({}).__proto__", &data, &json!("undefined"));
}

#[test]
fn an_object_literal_gives_the_same_whatever_it_gave_before() {
    let options = CompileOptions::default();
    let program =
        Program::compile("({ b: $json.x, a: [$json.y], c: { d: 1 } })", &options).unwrap();
    for _ in 0..2 {
        for (data, expected) in [
            (json!({ "x": 1, "y": 2 }), r#"{"b":1,"a":[2],"c":{"d":1}}"#),
            (json!({ "y": null }), r#"{"a":[null],"c":{"d":1}}"#),
            (
                json!({ "x": { "z": "t" } }),
                r#"{"b":{"z":"t"},"a":[null],"c":{"d":1}}"#,
            ),
        ] {
            let scope = json!({ "json": data });
            let result = program.evaluate(&JsonScope(&scope), &Context::default());
            assert_eq!(result.unwrap().unwrap().to_string(), expected);
        }
    }
    for (source, expected) in [
        ("({ a: 1, b: 2, a: 3 })", r#"{"a":3,"b":2}"#),
        (
            "({ 2: 'two', x: 0, 1: 'one' })",
            r#"{"1":"one","2":"two","x":0}"#,
        ),
        ("({ a: 1, ['a']: 2 })", r#"{"a":2}"#),
        ("({ '': 1, 'a.b': 2 })", r#"{"":1,"a.b":2}"#),
    ] {
        let program = Program::compile(source, &options).unwrap();
        let result = program.evaluate(&JsonScope(&json!({})), &Context::default());
        assert_eq!(result.unwrap().unwrap().to_string(), expected, "{source}");
    }
}

/// `$json` and the result of `far` lie elsewhere.
struct Elsewhere;

impl Scope for Elsewhere {
    fn root(&self, _: Root) -> Option<&Value> {
        None
    }

    fn node(&self, _: usize, _: &str) -> Option<NodeView<'_>> {
        Some(NodeView {
            result: None,
            success: Some(true),
            error: None,
            status: "succeeded",
            port: None,
            attempts: 2,
        })
    }

    fn list(&self, _: ListOf<'_>) -> Option<&LongList> {
        None
    }

    fn away(&self, of: ListOf<'_>) -> Option<Away> {
        let away = match of {
            ListOf::Root(root) => root == Root::Json,
            ListOf::Result { id, .. } => id == "far",
        };
        away.then(|| Away {
            code: "VALUE_UNREADABLE",
            message: "it lies elsewhere".to_owned(),
        })
    }
}

/// Guard: what is away is no undefined, whichever way an expression comes to it, and is not caught.
#[test]
fn a_value_that_is_away_ends_the_evaluation() {
    let evaluate = |source: &str| {
        let program = Program::compile(source, &CompileOptions::default()).unwrap();
        program.evaluate(&Elsewhere, &Context::default())
    };
    for source in [
        "$json",
        "$json.a.b",
        "$json?.a ?? 1",
        "$json.a.map(it => it)",
        "typeof $json",
        "$nodes.far.result",
        "$nodes.far.result.a",
        "$nodes.far?.result?.a ?? 1",
        "$nodes.far",
        "$nodes.far.all()",
        "(() => { try { return $json } catch (e) { return 1 } finally { } })()",
    ] {
        let error = evaluate(source).expect_err(source);
        assert_eq!(
            (error.code, &*error.message),
            ("VALUE_UNREADABLE", "it lies elsewhere"),
            "{source}"
        );
    }
    assert_eq!(evaluate("$nodes.far.attempts").unwrap(), Some(json!(2)));
    assert_eq!(evaluate("$nodes.near.result ?? 1").unwrap(), Some(json!(1)));
    assert_eq!(evaluate("$item ?? 1").unwrap(), Some(json!(1)));
}

/// Guard: how a node stands is no result of it.
#[test]
fn a_report_says_whose_results_are_read() {
    let report = |source: &str| {
        let program = Program::compile(source, &CompileOptions::default()).unwrap();
        program.report().clone()
    };
    for source in [
        "$nodes.a.result",
        "$nodes.a?.result?.b",
        "$nodes.a",
        "$nodes.a.all()",
        "$nodes.a.success && $nodes.a.result[0]",
        "$nodes['a']['result']",
    ] {
        assert!(report(source).reads_result("a"), "{source}");
    }
    for source in [
        "$nodes.a.success",
        "$nodes.a.error.code",
        "$nodes.a?.port",
        "$nodes.ab.result + $nodes.a.attempts",
        "$json.a.result",
    ] {
        assert!(!report(source).reads_result("a"), "{source}");
    }
}
