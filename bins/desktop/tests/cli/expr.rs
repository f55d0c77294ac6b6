//! `expr`: one expression, or one per line.

use serde_json::{Value, json};

use crate::support::User;

#[test]
fn one_expression_is_answered_on_a_pipe_as_in_a_batch() {
    let user = User::new();
    assert_eq!(
        user.nebula(&["expr", "[1, 2].map(n => n * 2)"])
            .exits(0)
            .json(),
        json!({ "ok": [2, 4] })
    );
    user.write("d.json", "{\"json\": {\"a\": {\"b\": 7}}}");
    assert_eq!(
        user.nebula(&["expr", "$json.a.b + 1", "--data", "d.json"])
            .exits(0)
            .json(),
        json!({ "ok": 8 })
    );
    let said = user.nebula_with(
        &["expr", "$json.x", "--data", "-", "--lenient"],
        "{\"json\": null}",
    );
    assert_eq!(said.exits(0).json(), json!({ "undefined": true }));
}

#[test]
fn an_expression_that_is_wrong_says_where() {
    let user = User::new();
    let said = user.nebula(&["expr", "1 + 'a'.toUpper()"]).exits(2);
    let error = &said.json()["error"];
    assert!(
        error["hint"].as_str().unwrap().contains("toUpperCase"),
        "{error}"
    );
    assert!(said.err.contains("1 + 'a'.toUpper()\n"), "{}", said.err);
    user.nebula(&["expr", "$json.a.b"]).exits(1);
    user.nebula(&["expr", "1", "--data", "missing.json"])
        .exits(3);
}

#[test]
fn without_an_expression_and_a_terminal_it_is_told_what_to_do() {
    let user = User::new();
    for arguments in [
        &["expr"][..],
        &["expr", "--explain"],
        &["expr", "--data", "-"],
    ] {
        let said = user.nebula(arguments).exits(2);
        assert_eq!(said.error_code(), "USAGE");
        said.says("give EXPR, or --batch, or a terminal");
    }
    user.nebula(&["expr", "1", "--batch"]).exits(2);
}

#[test]
fn all_mistakes_of_an_expression_are_drawn_on_it() {
    let user = User::new();
    let said = user.nebula(&["expr", "$jsn.a +\n  'b'.toUper()"]).exits(2);
    for part in [
        "error[NAME_UNKNOWN_ROOT]: there is no `$jsn`",
        "--> expression:1:1",
        "1 | $jsn.a +\n  | ^^^^",
        "did you mean `$json`?",
        "--> expression:2:6",
        "2 |   'b'.toUper()\n  |      ^^^^^^^^^",
        "did you mean `toUpperCase()`?",
    ] {
        assert!(said.err.contains(part), "{part:?} is not in\n{}", said.err);
    }
    assert_eq!(said.json()["error"]["code"], "NAME_UNKNOWN_ROOT");
}

#[test]
fn an_expression_is_explained_without_being_evaluated() {
    let user = User::new();
    let explained = |expression: &str| {
        let said = user.nebula(&["expr", "--explain", expression]).exits(0);
        said.json()["explain"].clone()
    };
    let found = explained("$nodes.fetch?.result.body[0] + $json.n * 60 + $now");
    assert_eq!(
        found["paths"],
        json!(["$json.n", "$nodes.fetch.result.body[0]"])
    );
    assert_eq!(found["roots"], json!(["json"]));
    assert_eq!(found["nodes"][0]["node"], "fetch");
    assert_eq!(found["nodes"][0]["optional"], true);
    assert_eq!(found["purity"], "time");
    assert_eq!(found["constant"], Value::Null);
    let found = explained("24 * 60 * 60");
    assert_eq!(found["constant"], json!({ "ok": 86_400 }));
    assert_eq!(found["size"], 1);
    let found = explained("null.x");
    assert_eq!(found["constant"]["error"]["code"], "PATH_OF_NULLISH");
    user.nebula(&["expr", "--explain", "1 +"]).exits(2);
}

#[test]
fn a_batch_answers_each_line_with_a_line_and_survives_bad_ones() {
    let user = User::new();
    let input = [
        r#"{"expr": "$json.a", "data": {"json": {"a": [1, "é"]}}}"#,
        "not json",
        "",
        r#"{"expr": "$json.a.b", "data": {"json": {}}, "mode": "strict"}"#,
        r#"{"expr": "$json.a.b", "data": {"json": {}}, "mode": "lenient"}"#,
        r#"{"expr": "1 +"}"#,
        r#"{"expr": "1", "mod": "strict"}"#,
        r#"{"expr": "'x'.repeat(1e9)"}"#,
        r#"{"expr": "9007199254740993", "data": {}}"#,
        r#"{"expr": "$nodes.f.result", "data": {"nodes": {"f": {"result": 3}}}}"#,
    ]
    .join("\n");
    let said = user.nebula_with(&["expr", "--batch"], &input).exits(0);
    let answers: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let codes: Vec<&str> = answers
        .iter()
        .map(|answer| {
            let keys: Vec<_> = answer.as_object().unwrap().keys().collect();
            assert_eq!(keys.len(), 1, "{answer}");
            answer["error"]["code"].as_str().unwrap_or(keys[0])
        })
        .collect();
    assert_eq!(
        codes,
        [
            "ok",
            "SYNTAX_LINE",
            "SYNTAX_LINE",
            "PATH_OF_NULLISH",
            "undefined",
            "SYNTAX_END",
            "SYNTAX_LINE",
            "LIMIT_STRING",
            "ok",
            "ok"
        ],
        "{}",
        said.out
    );
    assert_eq!(answers[0], json!({ "ok": [1, "é"] }));
    assert_eq!(answers[4], json!({ "undefined": true }));
    let error = answers[3]["error"].as_object().unwrap();
    assert_eq!(
        error.keys().collect::<Vec<_>>(),
        ["code", "message", "start", "end", "hint"]
    );
    assert_eq!(answers[9], json!({ "ok": 3 }));
}
