//! What becomes of parameters as authors write them: resolved values, deferred programs, problems.

use indexmap::IndexMap;
use nebula_action::ExpressionMark;
use nebula_core::ParamValue;
use nebula_expression::{Context, JsonScope, Mode};
use nebula_parameter::{CompileScope, ParamProgram, Parameters, ResolveError};
use serde_json::{Value, json};

/// Compiles parameters with the marks `condition` (resolved), `key`, `by/*` and `cases/*` (deferred),
/// stores and reads them, resolves them on `data`, and shows `value + deferred`, or every problem as
/// `pointer range code`, or the error as `pointer code`.
#[track_caller]
fn check_in(mode: Mode, parameters: &Value, data: &Value, expected: &str) {
    let scope = CompileScope {
        mode,
        ..CompileScope::default()
    };
    let shown = match Parameters::compile(&written(parameters), &marks(), &scope) {
        Err(problems) => {
            let places = problems
                .iter()
                .map(|p| format!("{} {:?} {}", p.pointer, p.range, p.error.code));
            places.collect::<Vec<_>>().join(", ")
        }
        Ok(compiled) => {
            let stored = serde_json::to_string(&compiled).unwrap();
            assert_eq!(
                serde_json::from_str::<Parameters>(&stored).unwrap(),
                compiled
            );
            let deferred: Vec<_> = compiled.deferred.keys().cloned().collect();
            match compiled.resolve(&JsonScope(data), &Context::default()) {
                Ok(value) if deferred.is_empty() => value.to_string(),
                Ok(value) => format!("{value} + {}", deferred.join(" ")),
                Err(ResolveError { pointer, error }) => format!("{pointer} {}", error.code),
            }
        }
    };
    assert_eq!(shown, expected, "{parameters}");
}

#[track_caller]
fn check(parameters: &Value, data: &Value, expected: &str) {
    check_in(Mode::Strict, parameters, data, expected);
}

fn marks() -> Vec<ExpressionMark> {
    let mark = |path: &str, deferred| ExpressionMark {
        path: path.to_owned(),
        deferred,
    };
    vec![
        mark("condition", false),
        mark("key", true),
        mark("by/*", false),
        mark("cases/*", true),
    ]
}

fn written(value: &Value) -> IndexMap<String, ParamValue> {
    let entries = value.as_object().unwrap().iter();
    entries
        .map(|(key, value)| (key.clone(), ParamValue::parse(value).unwrap()))
        .collect()
}

#[test]
fn parameters_resolve_at_any_depth_and_keep_their_types() {
    let data = json!({ "json": { "n": 2, "list": [1], "name": "Ada" } });
    check(
        &json!({ "a": "{{ $json.n }}", "b": ["x {{ $json.name }}", { "c": "{{ $json.list }}" }], "d": 1 }),
        &data,
        r#"{"a":2,"b":["x Ada",{"c":[1]}],"d":1}"#,
    );
    check(
        &json!({ "z": 1, "a": "{{ 1 + 1 }}", "m": null }),
        &data,
        r#"{"z":1,"a":2,"m":null}"#,
    );
}

#[test]
fn a_literal_stays_what_it_is() {
    check(
        &json!({ "a": "\\{{ 1 }}", "b": { "raw": 1, "template": "x" } }),
        &json!({}),
        r#"{"a":"{{ 1 }}","b":{"raw":1,"template":"x"}}"#,
    );
}

#[test]
fn a_template_is_text_whatever_stands_in_it() {
    let data = json!({ "json": { "n": 2, "o": { "k": [1] }, "null": null, "t": true } });
    check(
        &json!({ "a": "{{ $json.n }}{{ $json.n }}" }),
        &data,
        r#"{"a":"22"}"#,
    );
    check(
        &json!({ "a": "<{{ $json.o }}|{{ $json.t }}>" }),
        &data,
        r#"{"a":"<{\"k\":[1]}|true>"}"#,
    );
    check(&json!({ "a": " {{ $json.n }} " }), &data, r#"{"a":2}"#);
}

#[test]
fn what_arrives_is_never_an_expression() {
    let data = json!({ "json": { "evil": "{{ 1 + 1 }}" } });
    check(
        &json!({ "a": "{{ $json.evil }}", "b": "x {{ $json.evil }}" }),
        &data,
        r#"{"a":"{{ 1 + 1 }}","b":"x {{ 1 + 1 }}"}"#,
    );
}

#[test]
fn undefined_is_omitted_inside_and_an_error_as_a_whole() {
    let data = json!({ "json": {} });
    check(
        &json!({ "o": { "x": "{{ $json.no }}", "y": 1 } }),
        &data,
        r#"{"o":{"y":1}}"#,
    );
    check(
        &json!({ "l": ["{{ $json.no }}"] }),
        &data,
        r#"{"l":[null]}"#,
    );
    check(
        &json!({ "x": "{{ $json.no }}" }),
        &data,
        "/x TYPE_UNDEFINED",
    );
    check(
        &json!({ "x": "{{ $json.no ?? null }}" }),
        &data,
        r#"{"x":null}"#,
    );
    check(
        &json!({ "x": "a {{ $json.no }}" }),
        &data,
        "/x TYPE_UNDEFINED_TEXT",
    );
}

#[test]
fn lenient_parameters_go_on_without_what_is_missing() {
    let data = json!({ "json": { "null": null } });
    let lenient =
        |parameters: Value, expected| check_in(Mode::Lenient, &parameters, &data, expected);
    lenient(json!({ "x": "{{ $json.no }}", "y": 1 }), r#"{"y":1}"#);
    lenient(json!({ "x": "{{ $json.no.deeper }}" }), "{}");
    lenient(
        json!({ "x": "<{{ $json.no }}{{ $json.null }}>" }),
        r#"{"x":"<>"}"#,
    );
    check(
        &json!({ "x": "{{ $json.no.deeper }}" }),
        &data,
        "/x PATH_OF_NULLISH",
    );
}

#[test]
fn errors_of_an_attempt_have_their_place() {
    let data = json!({ "json": { "n": 1 } });
    check(
        &json!({ "a": [1, { "b/c": "{{ $json.n.x.y }}" }] }),
        &data,
        "/a/1/b~1c PATH_OF_NULLISH",
    );
    check(
        &json!({ "a": { "t~": "x {{ $json.no }}" } }),
        &data,
        "/a/t~0 TYPE_UNDEFINED_TEXT",
    );
}

#[test]
fn marked_parameters_are_expressions_without_braces() {
    let data = json!({ "json": { "n": 2 } });
    for condition in [
        json!("$json.n > 1"),
        json!("{{ $json.n > 1 }}"),
        json!(true),
        json!("  true "),
    ] {
        check(
            &json!({ "condition": condition }),
            &data,
            r#"{"condition":true}"#,
        );
    }
    check(&json!({ "condition": 5 }), &data, r#"{"condition":5}"#);
    check(
        &json!({ "condition": null }),
        &data,
        r#"{"condition":null}"#,
    );
    check(
        &json!({ "by": { "a": "$json.n", "b": "{{ 1 }}" } }),
        &data,
        r#"{"by":{"a":2,"b":1}}"#,
    );
}

#[test]
fn deferred_parameters_wait_for_their_element() {
    let data = json!({});
    check(
        &json!({ "key": "$item.price", "n": 1 }),
        &data,
        r#"{"n":1} + key"#,
    );
    check(&json!({ "key": "{{ $item }}" }), &data, "{} + key");
    check(
        &json!({ "cases": { "a": "$item > 1", "b": true } }),
        &data,
        "{} + cases/a cases/b",
    );
    check(&json!({ "cases": {} }), &data, "{}");
    check(&json!({ "cases": "{{ 5 }}" }), &data, r#"{"cases":5}"#);
}

#[test]
fn every_problem_has_its_place() {
    check(
        &json!({ "a": "x {{ 1 + }}", "condition": " 1 +", "l": ["{{ $oops }}"] }),
        &json!({}),
        "/a 8..8 SYNTAX_END, /condition 4..4 SYNTAX_END, /l/0 3..8 NAME_UNKNOWN_ROOT",
    );
    check(
        &json!({ "cases": { "x/y": "1 +" } }),
        &json!({}),
        "/cases/x~1y 3..3 SYNTAX_END",
    );
    check(
        &json!({ "a": "{{ $oops }} and {{ $nope }}" }),
        &json!({}),
        "/a 3..8 NAME_UNKNOWN_ROOT, /a 19..24 NAME_UNKNOWN_ROOT",
    );
}

#[test]
fn unknown_nodes_are_known_when_the_names_are() {
    let written = ParamValue::parse(&json!("{{ $nodes.fecth.result }}")).unwrap();
    let scope = CompileScope {
        nodes: Some(&["fetch"]),
        ..CompileScope::default()
    };
    let problems = ParamProgram::compile(&written, &scope).unwrap_err();
    assert_eq!(problems[0].error.code, "NAME_UNKNOWN_NODE");
    assert_eq!(
        problems[0].error.hint.as_deref(),
        Some("did you mean `fetch`?")
    );
    assert!(ParamProgram::compile(&written, &CompileScope::default()).is_ok());
}

#[test]
fn every_use_is_found_with_its_pointer() {
    let written = written(&json!({
        "a": "{{ $json.x }}", "b": ["{{ $json.y }} {{ $json.z }}"], "key": "$item", "n": 1,
    }));
    let compiled = Parameters::compile(&written, &marks(), &CompileScope::default()).unwrap();
    let mut found = Vec::new();
    compiled.each_use(|it| found.push(format!("{} {}", it.pointer, it.program.source())));
    assert_eq!(
        found,
        ["/a $json.x", "/b/0 $json.y", "/b/0 $json.z", "/key $item"]
    );
}

#[test]
fn an_error_says_what_to_do() {
    let error = {
        let written = written(&json!({ "x": "{{ $json.no }}" }));
        let compiled = Parameters::compile(&written, &[], &CompileScope::default()).unwrap();
        compiled
            .resolve(&JsonScope(&json!({ "json": {} })), &Context::default())
            .unwrap_err()
    };
    assert_eq!(
        error.to_string(),
        "`/x`: the value is undefined (write `?? null` or another value for when it is missing)"
    );
}
