//! Schemas and values that want to cost more than they may.

use nebula_validator::{MAX_APPLIED, MAX_CHAIN, MAX_DOCUMENTS, MAX_SCHEMA_SIZE, Schema};
use serde_json::{Map, Value, json};

/// `$defs/a0` to `$defs/aN`, each made from the name of the next one.
fn chain(length: usize, last: &Value, link: impl Fn(&str) -> Value) -> Value {
    let mut definitions = Map::new();
    for i in 0..length {
        definitions.insert(format!("a{i}"), link(&format!("#/$defs/a{}", i + 1)));
    }
    definitions.insert(format!("a{length}"), last.clone());
    json!({ "$defs": definitions, "$ref": "#/$defs/a0" })
}

fn refused(schema: &Value) -> String {
    Schema::compile(schema).unwrap_err().to_string()
}

#[test]
fn doubled_references_are_counted_before_anything_is_compiled() {
    let doubled = |next: &str| json!({ "allOf": [{ "$ref": next }, { "$ref": next }] });
    for last in [json!(true), json!({}), json!({ "type": "string" })] {
        let message = refused(&chain(60, &last, doubled));
        assert!(message.contains("10000 schemas"), "{message}");
    }
    let few = Schema::compile(&chain(8, &json!({ "type": "string" }), doubled)).unwrap();
    assert!(few.check(&json!("x")).is_empty() && !few.check(&json!(1)).is_empty());
    assert_eq!(MAX_APPLIED, 10_000);
}

#[test]
fn the_count_follows_ids_anchors_and_documents() {
    let doubled = |next: &str| json!({ "anyOf": [{ "$ref": next }, { "$ref": next }] });
    let mut inner = chain(40, &json!(true), doubled);
    inner["$id"] = json!("http://example.com/inner");
    let message =
        refused(&json!({ "$id": "http://example.com/outer", "properties": { "x": inner } }));
    assert!(message.contains("10000 schemas"), "{message}");

    let mut anchored = Map::new();
    for i in 0..40 {
        let next = format!("#b{}", i + 1);
        let link =
            json!({ "$anchor": format!("b{i}"), "oneOf": [{ "$ref": next }, { "$ref": next }] });
        anchored.insert(format!("d{i}"), link);
    }
    anchored.insert("last".to_owned(), json!({ "$anchor": "b40" }));
    let message = refused(&json!({ "$defs": anchored }));
    assert!(message.contains("10000 schemas"), "{message}");

    let document = chain(40, &json!(true), doubled);
    let compiled = Schema::options()
        .document("http://example.com/doc", &document)
        .compile(&json!({ "$ref": "http://example.com/doc" }));
    assert!(compiled.unwrap_err().to_string().contains("10000 schemas"));
}

#[test]
fn a_schema_within_itself_at_one_value_is_refused() {
    // Every one of twenty leads to every other: more paths than anybody waits for.
    let all: Map<_, _> = (0..20)
        .map(|i| {
            let others = (0..20).filter(|j| *j != i);
            let links: Vec<_> = others
                .map(|j| json!({ "$ref": format!("#/$defs/a{j}") }))
                .collect();
            (format!("a{i}"), json!({ "allOf": links }))
        })
        .collect();
    let message = refused(&json!({ "$defs": all, "$ref": "#/$defs/a0" }));
    assert!(message.contains("refers to itself"), "{message}");
    assert!(refused(&json!({ "$ref": "#" })).contains("refers to itself"));
    assert!(refused(&json!({ "not": { "$ref": "#" } })).contains("refers to itself"));
}

#[test]
fn long_chains_of_references_are_refused() {
    for link in [
        (|next: &str| json!({ "$ref": next })) as fn(&str) -> Value,
        |next| json!({ "allOf": [{ "$ref": next }] }),
    ] {
        let message = refused(&chain(2_000, &json!({ "type": "string" }), link));
        assert!(
            message.contains(&format!("more than {MAX_CHAIN} references")),
            "{message}"
        );
    }
    let through_parts = chain(
        5_000,
        &json!(true),
        |next| json!({ "items": { "$ref": next } }),
    );
    assert!(Schema::compile(&through_parts).is_ok());
}

#[test]
fn a_definition_that_doubles_with_every_level_of_the_value_ends() {
    let twice = json!({ "$ref": "#/$defs/t" });
    let schema = Schema::compile(&json!({
        "$defs": { "t": { "allOf": [{ "items": twice }, { "items": twice }], "not": { "const": 1 } } },
        "$ref": "#/$defs/t",
    }))
    .unwrap();
    let mut wrong = json!(1);
    for _ in 0..100 {
        wrong = json!([wrong]);
    }
    let problems = schema.check(&wrong);
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].message.starts_with("cannot be checked"),
        "{}",
        problems[0]
    );
    assert_eq!(schema.check_known(&wrong, &["/1"]).len(), 1);
    // Where nothing is wrong, what is known of an array once is not asked again.
    let mut right = json!(2);
    for _ in 0..100 {
        right = json!([right]);
    }
    assert!(schema.check(&right).is_empty());
}

#[test]
fn a_large_value_is_no_costly_one() {
    let schema = Schema::compile(&json!({
        "type": "array",
        "uniqueItems": true,
        "items": {
            "type": "object",
            "properties": { "a": { "type": "integer", "minimum": 0 }, "b": { "enum": ["x", "y"] } },
            "additionalProperties": false,
        },
    }))
    .unwrap();
    let mut items: Vec<Value> = (0..100_000).map(|i| json!({ "a": i, "b": "x" })).collect();
    assert!(schema.check(&Value::Array(items.clone())).is_empty());
    items[99_999]["b"] = json!("z");
    let problems = schema.check(&Value::Array(items));
    assert_eq!(problems[0].pointer, "/99999/b");
}

#[test]
fn a_deep_value_ends_with_a_problem_and_not_with_the_stack() {
    let schema = Schema::compile(&json!({
        "$defs": { "n": { "anyOf": [{ "type": "null" }, { "allOf": [{ "items": { "$ref": "#/$defs/n" } }] }] } },
        "$ref": "#/$defs/n",
    }))
    .unwrap();
    let mut deep = Value::Null;
    for _ in 0..20_000 {
        deep = Value::Array(vec![deep]);
    }
    let problems = schema.check(&deep);
    assert!(
        problems[0].message.starts_with("cannot be checked"),
        "{}",
        problems[0]
    );
    // The value takes itself apart level by level, or dropping it would end the stack.
    while let Value::Array(mut items) = deep {
        deep = items.pop().unwrap_or_default();
    }
}

#[test]
fn nothing_is_fetched_and_the_number_of_documents_is_bounded() {
    for target in [
        "http://localhost:1234/integer.json",
        "https://example.com/a.json#/$defs/x",
        "file:///etc/passwd",
        "../other.json",
        "urn:uuid:deadbeef-1234-ffff-ffff-4321feebdaed",
    ] {
        for keyword in ["$ref", "$dynamicRef"] {
            let error = Schema::compile(&json!({ "items": { keyword: target } })).unwrap_err();
            assert_eq!(error.pointer, format!("/items/{keyword}"), "{error}");
            assert!(
                error.message.starts_with("schemas are not fetched"),
                "{error}"
            );
        }
    }
    let error = Schema::compile(&json!({ "$schema": "http://example.com/my-draft" })).unwrap_err();
    assert!(error.to_string().contains("schema"), "{error}");

    let names: Vec<String> = (0..=MAX_DOCUMENTS)
        .map(|i| format!("http://example.com/{i}"))
        .collect();
    let document = json!(true);
    let options = names.iter().fold(Schema::options(), |options, name| {
        options.document(name, &document)
    });
    assert!(
        options
            .compile(&json!(true))
            .unwrap_err()
            .message
            .contains("256 documents")
    );
    let large = json!({ "description": "x".repeat(MAX_SCHEMA_SIZE / 2 + 1) });
    let two = Schema::options()
        .document("http://example.com/a", &large)
        .document("http://example.com/b", &large);
    assert!(
        two.compile(&json!(true))
            .unwrap_err()
            .message
            .contains("1048576 bytes")
    );
}

#[test]
fn documents_are_found_by_their_uris() {
    let (money, amount) = (
        json!({ "type": "object", "properties": { "amount": { "$ref": "amount" } }, "required": ["amount"] }),
        json!({ "type": "integer" }),
    );
    let schema = Schema::options()
        .document("https://example.com/money", &money)
        .document("https://example.com/amount", &amount)
        .compile(&json!({ "items": { "$ref": "https://example.com/money" } }))
        .unwrap();
    let problems = schema.check(&json!([{ "amount": 1 }, {}, { "amount": "2" }]));
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "/1: `amount` is missing",
            "/2/amount: must be an integer, not a string"
        ]
    );
}
