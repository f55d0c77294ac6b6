//! What the examples do not show: edges, limits, lineage, mistakes.

use crate::scene::Scene;
use nebula_action::ErrorClass;
use nebula_validator::Schema;
use serde_json::{Value, json};

async fn value(id: &str, written: Value, json: Value) -> Value {
    let result = Scene::run(id, written, json).await;
    result.unwrap_or_else(|error| panic!("{error}")).value
}

/// The code and the place of the error.
async fn error(id: &str, written: Value, json: Value) -> String {
    let error = Scene::run(id, written, json).await.unwrap_err();
    assert!(!error.message.contains("hunter2"), "{error}");
    match error.class {
        ErrorClass::InvalidInput { pointer } => format!("{} {pointer}", error.code),
        class => format!("{} {}", error.code, class.as_str()),
    }
}

#[tokio::test]
async fn lists_say_where_their_elements_came_from() {
    let lineage = async |id, written, json| Scene::run(id, written, json).await.unwrap().lineage;
    let json = json!([3, 1, 2]);
    let filtered = lineage(
        "data.filter",
        json!({ "condition": "$item < 3" }),
        json.clone(),
    )
    .await;
    assert_eq!(filtered, Some(vec![1, 2]));
    assert_eq!(
        lineage("data.sort", json!({}), json.clone()).await,
        Some(vec![1, 2, 0])
    );
    let mapped = lineage("data.map", json!({ "value": "$item" }), json.clone()).await;
    assert_eq!(mapped, Some(vec![0, 1, 2]));
    let grouped = lineage(
        "data.aggregate",
        json!({ "fields": { "n": { "op": "count" } } }),
        json,
    )
    .await;
    assert_eq!(grouped, None);
}

#[tokio::test]
async fn an_expression_that_fails_names_its_parameter_and_element() {
    let failed = Scene::run(
        "data.filter",
        json!({ "condition": "$item.n > 1" }),
        json!([{ "n": 2 }, null]),
    )
    .await;
    let failed = failed.unwrap_err();
    assert!(
        failed.message.starts_with("`condition` for element 1: "),
        "{failed}"
    );
    assert_eq!(
        failed.class,
        ErrorClass::InvalidInput {
            pointer: "/condition".to_owned()
        }
    );
    let no_boolean = error(
        "data.filter",
        json!({ "condition": "$item" }),
        json!(["hunter2"]),
    )
    .await;
    assert!(no_boolean.ends_with("/condition"), "{no_boolean}");
}

#[tokio::test]
async fn a_missing_or_misplaced_expression_says_what_to_write() {
    assert_eq!(
        error("data.filter", json!({}), json!([])).await,
        "PARAMETER_MISSING /condition"
    );
    assert_eq!(
        error("data.map", json!({}), json!([])).await,
        "PARAMETER_MISSING /value"
    );
    let object = json!({ "value": { "id": "x" } });
    assert_eq!(
        error("data.map", object, json!([])).await,
        "PARAMETER_NOT_AN_EXPRESSION /value"
    );
    let both = json!({ "value": "$item", "fields": { "a": "$item" } });
    assert_eq!(
        error("data.map", both, json!([])).await,
        "PARAMETER_CONFLICT /fields"
    );
    assert_eq!(
        error("text.format", json!({ "format": "template" }), json!([])).await,
        "PARAMETER_MISSING /line"
    );
}

#[tokio::test]
async fn what_is_no_list_is_refused() {
    for (id, written) in [
        ("data.filter", json!({ "condition": "true" })),
        ("data.sort", json!({})),
        ("data.map", json!({ "value": "1" })),
        ("text.format", json!({ "format": "csv" })),
    ] {
        assert_eq!(
            error(id, written, json!({ "secret": "hunter2" })).await,
            "PARAMETER_INVALID /items",
            "{id}"
        );
    }
}

#[tokio::test]
async fn a_literal_condition_is_as_good_as_its_text() {
    let kept = value("data.filter", json!({ "condition": true }), json!([1, 2])).await;
    assert_eq!(kept, json!([1, 2]));
}

#[tokio::test]
async fn sorting_is_stable_and_what_is_missing_comes_last() {
    let rows = json!([{ "k": 1, "id": "a" }, { "id": "b" }, { "k": 1, "id": "c" }, { "k": null, "id": "d" }, { "k": 0, "id": "e" }]);
    let ids = async |written| {
        let sorted = value("data.sort", written, rows.clone()).await;
        let ids = sorted
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_str().unwrap());
        ids.collect::<String>()
    };
    assert_eq!(ids(json!({ "by": ["k"] })).await, "eacbd");
    assert_eq!(ids(json!({ "by": ["k"], "order": "desc" })).await, "acebd");
    assert_eq!(
        ids(json!({ "by": "[$item.k, $item.id]", "order": ["desc", "asc"] })).await,
        "acebd"
    );
    let wrong = json!({ "by": ["k"], "order": ["asc", "desc"] });
    assert_eq!(
        error("data.sort", wrong, rows.clone()).await,
        "SORT_ORDER /order"
    );
    let expression = json!({ "by": ["$item.k"] });
    assert_eq!(
        error("data.sort", expression, rows.clone()).await,
        "PARAMETER_NOT_A_FIELD /by/0"
    );
}

#[tokio::test]
async fn fields_are_found_in_depth_and_by_their_whole_name_first() {
    let rows = json!([{ "a": { "b": 2 } }, { "a.b": 1 }]);
    assert_eq!(
        value("data.sort", json!({ "by": ["a.b"] }), rows).await,
        json!([{ "a.b": 1 }, { "a": { "b": 2 } }])
    );
}

#[tokio::test]
async fn groups_come_in_the_order_of_their_first_element() {
    let rows =
        json!([{ "k": "b", "n": 1 }, { "k": "a", "n": 2 }, { "n": 4 }, { "k": "b", "n": 3 }]);
    let fields = json!({ "sum": { "op": "sum", "of": "n" }, "last": { "op": "last", "of": "n" } });
    let grouped = value(
        "data.aggregate",
        json!({ "by": ["k"], "fields": fields }),
        rows,
    )
    .await;
    assert_eq!(
        grouped,
        json!([
            { "k": "b", "sum": 4, "last": 3 },
            { "k": "a", "sum": 2, "last": 2 },
            { "k": null, "sum": 4, "last": 4 },
        ])
    );
    let empty = value(
        "data.aggregate",
        json!({ "fields": { "n": { "op": "count" }, "m": { "op": "max", "of": "x" } } }),
        json!([]),
    )
    .await;
    assert_eq!(empty, json!({ "n": 0, "m": null }));
    assert_eq!(
        value(
            "data.aggregate",
            json!({ "by": ["k"], "fields": {} }),
            json!([])
        )
        .await,
        json!([])
    );
}

#[tokio::test]
async fn mistakes_in_an_aggregate_are_named() {
    let check = async |written| error("data.aggregate", written, json!([{ "n": "hunter2" }])).await;
    assert_eq!(
        check(json!({ "fields": { "s": { "op": "sum", "of": "n" } } })).await,
        "AGGREGATE_NOT_A_NUMBER /items"
    );
    assert_eq!(
        check(json!({ "fields": { "s": { "op": "sum" } } })).await,
        "PARAMETER_MISSING /fields/s/of"
    );
    assert_eq!(
        check(json!({ "by": ["$item.n"], "fields": {} })).await,
        "PARAMETER_NOT_A_FIELD /by/0"
    );
    assert_eq!(
        check(json!({ "by": ["n"], "fields": { "n": { "op": "count" } } })).await,
        "PARAMETER_CONFLICT /fields"
    );
    assert_eq!(
        check(json!({ "fields": { "s": { "op": "median", "of": "n" } } })).await,
        "PARAMETER_INVALID /fields/s/op"
    );
}

#[tokio::test]
async fn text_that_is_not_in_its_format_is_refused_with_the_place() {
    let check = async |format: &str, text: &str| {
        error(
            "text.parse",
            json!({ "format": format, "text": text }),
            Value::Null,
        )
        .await
    };
    assert_eq!(
        check("json", "{\"a\": hunter2}").await,
        "TEXT_NOT_JSON fatal"
    );
    assert_eq!(check("json", &"[".repeat(200)).await, "TEXT_NOT_JSON fatal");
    assert_eq!(check("csv", "a,b\nhunter2\n").await, "TEXT_CSV_ROW fatal");
    assert_eq!(check("csv", "a,a\n1,2\n").await, "TEXT_CSV_HEADER fatal");
    assert_eq!(check("regex", "x").await, "PARAMETER_MISSING /pattern");
    let written = json!({ "format": "regex", "text": "a\nhunter2", "pattern": "^a$", "per": "line", "unmatched": "fail" });
    assert_eq!(
        error("text.parse", written, Value::Null).await,
        "TEXT_LINE_UNMATCHED fatal"
    );
    for pattern in ["(", "(?=x)", "(?:\\w{1000}){1000}"] {
        let written = json!({ "format": "regex", "text": "x", "pattern": pattern });
        assert_eq!(
            error("text.parse", written, Value::Null).await,
            "TEXT_PATTERN /pattern",
            "{pattern}"
        );
    }
}

#[test]
fn a_parameter_of_another_format_is_refused_before_the_run() {
    let problems = |written: Value| {
        let mut all = nebula_actions::all().into_iter();
        let parse = all.find(|action| action.metadata().id.as_str() == "text.parse");
        let schema = Schema::compile(&parse.unwrap().metadata().parameters).unwrap();
        // What `text` will be, nobody knows before the run.
        let problems = schema.check_known(&written, &["/text"]);
        let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
        shown.join("; ")
    };
    let text = Value::Null;
    assert_eq!(
        problems(json!({ "format": "json", "text": text, "pattern": "x" })),
        "/pattern: does not belong here unless `format` is \"regex\""
    );
    assert_eq!(
        problems(json!({ "format": "regex", "text": text, "header": true })),
        "/header: does not belong here unless `format` is \"csv\"; \
         `pattern` is missing where `format` is \"regex\""
    );
    assert_eq!(
        problems(json!({ "format": "regex", "text": text, "pattern": "x", "unmatched": "fail" })),
        "/unmatched: does not belong here unless `per` is \"line\" where `format` is \"regex\""
    );
    assert_eq!(
        problems(json!({ "format": "lines", "text": text, "skip_empty": true })),
        ""
    );
}

#[tokio::test]
async fn what_is_not_valid_fails_with_its_places_and_no_values() {
    let schema = json!({ "items": { "type": "integer" }, "maxItems": 2 });
    let written = json!({ "schema": schema });
    let run = async |json| Scene::run("data.validate", written.clone(), json).await;
    assert_eq!(run(json!([1, 2])).await.unwrap().value, json!([1, 2]));
    let failed = run(json!(["hunter2", "b", "c", "d", "e", "f"]))
        .await
        .unwrap_err();
    assert_eq!(failed.code, "DATA_INVALID");
    assert!(
        failed.message.starts_with("the value is not valid: "),
        "{failed}"
    );
    assert!(failed.message.ends_with("; and 2 more"), "{failed}");
    assert!(
        failed
            .message
            .contains("/0: must be an integer, not a string"),
        "{failed}"
    );
    assert!(!failed.message.contains("hunter2"));
}

#[tokio::test]
async fn a_schema_that_is_none_and_rules_that_are_none_are_refused_with_their_place() {
    let check = async |written: Value| error("data.validate", written, json!("x")).await;
    let outside = json!({ "items": { "$ref": "https://example.com/a" } });
    assert_eq!(
        check(json!({ "schema": outside })).await,
        "DATA_SCHEMA /schema/items/$ref"
    );
    assert_eq!(
        check(json!({ "schema": true, "rules": [{ "given": ["/a"] }, { "sum": 1 }] })).await,
        "DATA_SCHEMA /rules/1"
    );
    let email = json!({ "schema": { "format": "email" } });
    assert_eq!(check(email).await, "DATA_INVALID fatal");
    let noted = json!({ "schema": { "format": "email" }, "formats": false });
    assert_eq!(value("data.validate", noted, json!("x")).await, json!("x"));
    // A literal schema is held against its draft before the run.
    let mut all = nebula_actions::all().into_iter();
    let validate = all.find(|action| action.metadata().id.as_str() == "data.validate");
    let parameters = Schema::compile(&validate.unwrap().metadata().parameters).unwrap();
    let known = |schema: Value| {
        parameters.check_known(&json!({ "value": null, "schema": schema }), &["/value"])
    };
    assert!(!known(json!({ "properties": { "a": { "type": "text" } } })).is_empty());
    assert!(
        known(json!({ "$schema": "http://json-schema.org/draft-07/schema#", "items": [{}] }))
            .is_empty()
    );
    assert!(known(json!({ "type": "string" })).is_empty());
}

#[tokio::test]
async fn csv_is_read_with_marks_quotes_and_without_header() {
    let read = async |written: Value| value("text.parse", written, Value::Null).await;
    assert_eq!(
        read(json!({ "format": "csv", "text": "\u{feff}a,b\n\"x\ny\",2" })).await,
        json!([{ "a": "x\ny", "b": "2" }])
    );
    assert_eq!(
        read(json!({ "format": "csv", "text": "1,2\n3,4", "header": false })).await,
        json!([["1", "2"], ["3", "4"]])
    );
    assert_eq!(
        read(json!({ "format": "csv", "text": "" })).await,
        json!([])
    );
    assert_eq!(
        read(json!({ "format": "lines", "text": "a\n\nb\n" })).await,
        json!(["a", "", "b"])
    );
}

#[tokio::test]
async fn tables_are_read_back_from_what_was_written() {
    let rows = json!([{ "a": "x,y", "b": "q\"q" }, { "a": "l\nl", "b": "" }]);
    let text = value("text.format", json!({ "format": "csv" }), rows.clone()).await;
    let back = value(
        "text.parse",
        json!({ "format": "csv", "text": "{{ $json }}" }),
        text,
    )
    .await;
    assert_eq!(back, rows);
}

#[tokio::test]
async fn tables_take_lists_of_cells_and_refuse_what_is_no_row() {
    let rows = json!([["a", 1], ["b", null]]);
    let csv = value(
        "text.format",
        json!({ "format": "csv", "columns": ["x", "y"] }),
        rows.clone(),
    )
    .await;
    assert_eq!(csv, json!("x,y\na,1\nb,\n"));
    let markdown = value("text.format", json!({ "format": "markdown" }), rows).await;
    assert_eq!(
        markdown,
        json!("| 1 | 2 |\n| --- | --- |\n| a | 1 |\n| b |  |\n")
    );
    assert_eq!(
        error(
            "text.format",
            json!({ "format": "csv" }),
            json!(["hunter2"])
        )
        .await,
        "TEXT_ROW /items/0"
    );
    let uneven = json!({ "format": "csv", "columns": ["x"] });
    assert_eq!(
        error("text.format", uneven, json!([["hunter2", 1]])).await,
        "TEXT_ROW /items/0"
    );
    assert_eq!(
        value("text.format", json!({ "format": "markdown" }), json!([])).await,
        json!("")
    );
}

#[tokio::test]
async fn a_cancelled_attempt_stops_between_elements() {
    use nebula_action::Action;
    let mut all = nebula_actions::all().into_iter();
    let filter: std::sync::Arc<dyn Action> = all
        .find(|a| a.metadata().id.as_str() == "data.filter")
        .unwrap();
    let scene = Scene::new(
        filter.metadata(),
        &json!({ "condition": "true" }),
        &json!([1]),
    );
    let context = scene.context();
    context.cancellation.cancel();
    let error = filter.execute(&context, scene.input()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Cancelled);
}
