//! Forms are read from their fields, make a page, and what was filled in is what a schema wants.

use nebula_trigger::{FORM_ONCE, MAX_FORM_TEXT, Webhook, check_form, escaped, filled_in};
use serde_json::{Map, Value, json};

fn read(fields: Value) -> Result<Webhook, Vec<String>> {
    let fields = object(fields);
    let read = Webhook::read("form", &fields).expect("it is one");
    read.map_err(|errors| {
        let told = errors.iter();
        told.map(|error| format!("{}: {}", error.field, error.message))
            .collect()
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["name", "size"],
        "properties": {
            "name": { "type": "string", "title": "Your <b>name</b>", "maxLength": 80 },
            "key": { "type": "string", "format": "password" },
            "size": { "type": "integer", "minimum": 1, "default": 3 },
            "weight": { "type": "number" },
            "kind": { "enum": ["one", 2, null], "default": 2 },
            "tags": { "type": "array", "items": { "enum": ["a", "b", "c"] }, "default": ["b"] },
            "agreed": { "type": "boolean" },
            "note": { "type": "string", "maxLength": 1000, "description": "\"quoted\"" },
            "more": { "type": "object" },
        },
    })
}

fn page(sent: Value, problems: &[(Option<String>, String)]) -> String {
    let hook =
        read(json!({ "auth": "none", "title": "A & B", "description": "<script>" })).unwrap();
    let form = hook.form.unwrap();
    form.page(("w", &schema()), &object(sent), problems, "once\"1")
        .html
}

#[test]
fn a_form_is_a_webhook_that_a_browser_can_call() {
    let hook = read(json!({ "auth": "none", "submit": "Go", "thanks": "Bye" })).unwrap();
    assert_eq!(hook.methods, ["GET", "POST"]);
    let form = hook.form.unwrap();
    assert_eq!(
        (form.submit.as_deref(), form.thanks.as_deref()),
        (Some("Go"), Some("Bye"))
    );
    assert!(form.sent("w").html.contains("<p role=\"status\">Bye</p>"));
    let basic = json!({ "auth": { "type": "basic", "user": "ada", "secret": "door" } });
    assert!(read(basic).is_ok());
}

#[test]
fn every_problem_of_a_form_is_told() {
    let long = "x".repeat(MAX_FORM_TEXT + 1);
    let wrong = json!({
        "auth": { "type": "header", "name": "x-key", "secret": "door" },
        "title": long, "respond": "stream", "dedupe": "$trigger.body.id",
    });
    let told = read(wrong).unwrap_err();
    for part in [
        "auth: a browser shows no such proof",
        "title: it has more than 2000",
        "respond:",
        "dedupe:",
    ] {
        assert!(
            told.iter().any(|it| it.starts_with(part)),
            "{part} in {told:#?}"
        );
    }
    assert!(read(json!({})).unwrap_err()[0].starts_with("auth:"));
    assert!(check_form(None).unwrap_err().contains("there is none"));
    assert!(
        check_form(Some(&json!({ "type": "object" })))
            .unwrap_err()
            .contains("it has none")
    );
    let own = json!({ "properties": { FORM_ONCE: {} } });
    assert!(check_form(Some(&own)).unwrap_err().contains(FORM_ONCE));
    let many: Map<_, _> = (0..=100).map(|n| (format!("p{n}"), json!({}))).collect();
    assert!(
        check_form(Some(&json!({ "properties": many })))
            .unwrap_err()
            .contains("at most 100")
    );
    assert_eq!(check_form(Some(&schema())), Ok(()));
}

#[test]
fn what_was_filled_in_has_the_types_of_the_schema() {
    let sent = json!({
        "name": "Ada", "size": "7", "weight": "1.5", "kind": "2", "tags": ["0", "2", "9"], "agreed": "true",
        "note": "a\r\nb", "more": "{\"a\":[1]}", "other": "x",
    });
    let want = json!({
        "name": "Ada", "size": 7, "weight": 1.5, "kind": null, "tags": ["a", "c"], "agreed": true,
        "note": "a\nb", "more": { "a": [1] },
    });
    assert_eq!(filled_in(&schema(), &object(sent)), want);
    // What was left empty is not there, but a box that is not ticked says no.
    let empty = json!({ "name": "", "size": "", "kind": "", "note": "" });
    assert_eq!(
        filled_in(&schema(), &object(empty)),
        json!({ "tags": [], "agreed": false })
    );
    // What cannot be read stays as it is, for the schema to refuse; of several the last counts.
    let wrong = json!({ "name": ["a", "b"], "size": "many", "kind": "17", "more": "{" });
    let found = filled_in(&schema(), &object(wrong));
    assert_eq!(
        (&found["name"], &found["size"]),
        (&json!("b"), &json!("many"))
    );
    assert_eq!(
        (&found["kind"], &found["more"]),
        (&json!("17"), &json!("{"))
    );
}

#[test]
fn a_page_shows_the_schema_and_nothing_that_is_written_becomes_markup() {
    let fresh = page(json!({}), &[]);
    for part in [
        "<title>A &amp; B</title>",
        "<p>&lt;script&gt;</p>",
        "value=\"once&quot;1\"",
        "Your &lt;b&gt;name&lt;/b&gt;",
        "maxlength=\"80\"",
        "type=\"password\"",
        "min=\"1\" step=\"1\" value=\"3\"",
        "<option value=\"1\" selected>2</option>",
        "value=\"1\" checked>b</label>",
        "&quot;quoted&quot;",
        "type=\"checkbox\" value=\"true\"",
    ] {
        assert!(fresh.contains(part), "{part} in {fresh}");
    }
    assert!(
        !fresh.contains("<script") && !fresh.contains("<b>"),
        "{fresh}"
    );
    // Needed are two, and a box that may stay empty is not one of them.
    assert_eq!(fresh.matches(" required").count(), 2, "{fresh}");
    let sent = json!({ "name": "</textarea>\"", "key": "sesame", "kind": "0", "tags": "2", "agreed": "true", "note": "</textarea>" });
    let problem = (Some("size".to_owned()), "it is <missing>".to_owned());
    let again = page(sent, &[problem, (None, "and <that>".to_owned())]);
    for part in [
        "value=\"&lt;/textarea&gt;&quot;\"",
        "\n&lt;/textarea&gt;</textarea>",
        "<option value=\"0\" selected>one</option>",
        "value=\"2\" checked>c</label>",
        "value=\"true\" id=\"f6\" name=\"agreed\" checked",
        "role=\"alert\">it is &lt;missing&gt;</p>",
        "role=\"alert\">and &lt;that&gt;</p>",
        "aria-invalid=\"true\"",
    ] {
        assert!(again.contains(part), "{part} in {again}");
    }
    // What is secret does not come back, and a default does not replace what was left empty.
    assert!(
        !again.contains("sesame") && !again.contains("value=\"3\""),
        "{again}"
    );
}

#[test]
fn a_page_runs_and_loads_nothing_and_its_policy_names_its_own_style() {
    let form = read(json!({ "auth": "none" })).unwrap().form.unwrap();
    let page = form.page(("w", &schema()), &Map::new(), &[], "1");
    let style = page.html.split("<style>").nth(1).unwrap();
    let style = style.split("</style>").next().unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, style.as_bytes());
    let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hash);
    let want = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    assert_eq!(page.policy, want);
}

#[test]
fn text_cannot_leave_its_place_in_a_page() {
    let safe = escaped("<b a='1' c=\"2\">&");
    assert_eq!(safe, "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;");
}
