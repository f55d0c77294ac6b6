//! What a good definition means: defaults, short forms, places, the canonical form.

use std::time::Duration;

use nebula_core::{NodeId, ParamValue};
use nebula_workflow::{
    Backoff, Connection, ConnectionOrigin, Diagnostic, Jitter, JoinRest, JoinRule, OnError,
    OnIndeterminate, RetryPolicy, Source, WorkflowDefinition, definition_schema, parse, to_json,
};
use serde_json::{Value, json};

const ORDER_INTAKE: &str = include_str!("order-intake.yaml");
const EVERYTHING: &str = include_str!("everything.yaml");

fn read(name: &str, text: &str) -> WorkflowDefinition {
    let parsed = parse(&Source::new(name, text));
    assert_eq!(parsed.diagnostics, [], "{name}");
    parsed.definition.unwrap()
}

/// The connections of a definition in short.
fn edges(connections: &[Connection]) -> Vec<String> {
    connections
        .iter()
        .map(|edge| format!("{}.{} -> {}:{}", edge.from, edge.port, edge.to, edge.input))
        .collect()
}

#[test]
fn the_smallest_workflow_gets_every_default() {
    let text =
        r#"nodes: [{ id: greet, action: data.set, parameters: { text: "Hi {{ $input.name }}" } }]"#;
    let definition = read("flows/Say hello.yaml", text);
    assert_eq!(definition.id.as_str(), "say-hello");
    assert_eq!(definition.timezone, "UTC");
    assert_eq!(definition.connections, []);
    assert_eq!(definition.output, None);
    let node = &definition.nodes[0];
    assert_eq!(node.action.to_string(), "data.set");
    assert!(matches!(&node.parameters["text"], ParamValue::Template(_)));
    assert_eq!((node.join, node.on_error), (JoinRule::All, OnError::Fail));
    assert_eq!((node.retry.clone(), node.timeout), (None, None));
    assert_eq!(node.on_indeterminate, OnIndeterminate::Park);
    assert_eq!(
        definition.node_pointer(&node.id).as_deref(),
        Some("/nodes/0")
    );
    assert_eq!(
        to_json(&definition),
        json!({
            "id": "say-hello",
            "nodes": [{ "id": "greet", "action": "data.set", "parameters": { "text": "Hi {{ $input.name }}" } }],
            "connections": [],
        })
    );
}

#[test]
fn the_example_of_the_format_is_read_as_it_is_meant() {
    let definition = read("order-intake.yaml", ORDER_INTAKE);
    assert_eq!(definition.timezone, "Europe/Berlin");
    assert_eq!(definition.limits.concurrency, Some(8));
    assert_eq!(definition.limits.timeout, Some(Duration::from_secs(3600)));
    let hook = &definition.triggers[0];
    assert_eq!((hook.id.as_str(), hook.kind.as_str()), ("hook", "webhook"));
    assert_eq!(hook.rest["path"], "orders");
    assert!(hook.input.as_ref().unwrap().is_dynamic());
    let fetch = definition.node("fetch").unwrap();
    assert_eq!(fetch.credentials["auth"], "shop-key");
    assert_eq!(
        fetch.retry,
        Some(RetryPolicy {
            max_attempts: 5,
            backoff: Backoff::Exponential,
            initial: Duration::from_millis(200),
            max: Duration::from_secs(30),
            jitter: Jitter::Full,
        })
    );
    let price = definition.node("price").unwrap();
    assert_eq!(
        price.for_each.as_ref().unwrap().source,
        "$nodes.fetch.result.body.items"
    );
    assert_eq!(
        edges(&definition.connections),
        ["fetch.main -> price:main", "fetch.error -> alarm:main"]
    );
    let condition = definition.connections[0].condition.as_ref().unwrap();
    assert_eq!(condition.source, "$nodes.fetch.result.status == 200");
}

#[test]
fn a_definition_may_use_every_field() {
    let definition = read("everything.yaml", EVERYTHING);
    let all = &definition.nodes[0];
    assert_eq!(all.pin, Some(json!({ "status": 200 })));
    assert_eq!(all.runs_on, ["gpu"]);
    assert_eq!(
        all.cache.as_ref().unwrap().ttl,
        Some(Duration::from_secs(300))
    );
    assert_eq!(all.on_indeterminate, OnIndeterminate::Retry);
    assert_eq!(
        all.compensate.as_ref().unwrap().action.to_string(),
        "http.request@1.2"
    );
    let body = definition.nodes[1].body.as_ref().unwrap();
    assert_eq!(edges(&body.connections), ["first.main -> second:main"]);
    let edge = &definition.connections[0];
    assert_eq!((edge.closes_loop, edge.max_rounds), (true, Some(10)));
    // What is kept is what is written again.
    let written = to_json(&definition);
    assert_eq!(WorkflowDefinition::from_json(&written).unwrap(), definition);
    let node = written["nodes"][0].as_object().unwrap();
    let fields = definition_schema()["$defs"]["node"]["properties"].clone();
    for name in fields.as_object().unwrap().keys() {
        let elsewhere = name == "body";
        assert!(
            elsewhere || node.contains_key(name),
            "`{name}` is not kept, or not in everything.yaml"
        );
    }
}

#[test]
fn joins_have_words_and_a_counting_form() {
    let check = |join: &str, expected: JoinRule, threshold| {
        let definition = read(
            "a.yaml",
            &format!("nodes: [{{ id: a, action: x, join: {join} }}]"),
        );
        assert_eq!(definition.nodes[0].join, expected);
        assert_eq!(expected.threshold(), threshold);
        let stored = serde_json::to_value(expected).unwrap();
        assert_eq!(
            serde_json::from_value::<JoinRule>(stored).unwrap(),
            expected
        );
    };
    check("all", JoinRule::All, None);
    check("each", JoinRule::Each, None);
    check("any", JoinRule::Any, Some((1, JoinRest::Absorb)));
    let two = |rest| JoinRule::Count { count: 2, rest };
    check(
        "{ count: 2 }",
        two(JoinRest::Absorb),
        Some((2, JoinRest::Absorb)),
    );
    check(
        "{ count: 2, rest: block }",
        two(JoinRest::Block),
        Some((2, JoinRest::Block)),
    );
}

#[test]
fn a_retry_policy_fills_in_what_is_not_written() {
    let definition = read(
        "a.yaml",
        "nodes: [{ id: a, action: x, retry: { initial: 2m } }]",
    );
    let retry = definition.nodes[0].retry.clone().unwrap();
    assert_eq!(
        (retry.max_attempts, retry.max),
        (3, Duration::from_secs(120))
    );
    let stored = serde_json::to_value(&retry).unwrap();
    assert_eq!(stored["initial"], "2m");
    assert_eq!(
        serde_json::from_value::<RetryPolicy>(stored).unwrap(),
        retry
    );
}

#[test]
fn connections_are_expanded_and_know_where_they_were_written() {
    let nodes = "nodes: [{ id: a, action: x }, { id: b, action: x }, { id: c, action: x }]";
    let chain = read("w.yaml", nodes);
    assert_eq!(
        edges(&chain.connections),
        ["a.main -> b:main", "b.main -> c:main"]
    );
    assert_eq!(chain.connections[1].origin.pointer(), "/nodes/2");
    let independent = read("w.yaml", &format!("{nodes}\nconnections: []"));
    assert_eq!(independent.connections, []);

    let text = format!("{nodes}\nconnections:\n- a.done -> b:left -> c\n- {{ from: a, to: c }}\n");
    let source = Source::new("w.yaml", text);
    let parsed = parse(&source);
    let listed = parsed.definition.unwrap().connections;
    assert_eq!(
        edges(&listed),
        ["a.done -> b:left", "b.main -> c:main", "a.main -> c:main"]
    );
    let origin = ConnectionOrigin::Chain {
        pointer: "/connections/0".to_owned(),
        range: 10..21,
        to: 20,
    };
    assert_eq!(listed[1].origin, origin);
    let at = |origin: &ConnectionOrigin| {
        let problem = Diagnostic::error("X", origin.pointer(), "");
        let problem = match origin.range() {
            Some(range) => problem.range(range),
            None => problem,
        };
        source.text[parsed.map.locate(&problem)].to_owned()
    };
    assert_eq!(at(&listed[0].origin), "a.done -> b:left");
    assert_eq!(at(&listed[1].origin), "b:left -> c");
    assert_eq!(at(&listed[2].origin), "{ from: a, to: c }");
}

#[test]
fn a_later_phase_finds_its_places() {
    let text = "nodes:\n- id: a\n  action: x\n  when: ' $json.ok'\n  parameters:\n    \"a/b\": [\"x {{ $y }}\"]\n";
    let source = Source::new("w.yaml", text);
    let parsed = parse(&source);
    let definition = parsed.definition.unwrap();
    let at = |problem: Diagnostic| &source.text[parsed.map.locate(&problem)];
    let when = definition.nodes[0].when.as_ref().unwrap();
    let range = when.offset..when.offset + when.source.len();
    assert_eq!(
        at(Diagnostic::error("X", "/nodes/0/when", "").range(range)),
        "$json.ok"
    );
    let inside = Diagnostic::error("X", "/nodes/0/parameters/a~1b/0", "");
    assert_eq!(at(inside.clone().range(5..7)), "$y");
    assert_eq!(at(inside), "\"x {{ $y }}\"");
    assert_eq!(
        at(Diagnostic::error("X", "/nodes/0/parameters/a~1b", "").at_key()),
        "\"a/b\""
    );
    // What does not exist stands for what is around it.
    assert_eq!(
        at(Diagnostic::error("X", "/nodes/0/when/x/1", "").range(0..1)),
        "' $json.ok'"
    );
    assert!(at(Diagnostic::error("X", "/nodes/0/timeout", "")).starts_with("id: a\n"));
    assert_eq!(parsed.map.value_span("/nodes/7"), None);
    assert_eq!(
        parsed.map.key_span("/nodes").map(|span| &source.text[span]),
        Some("nodes")
    );
}

#[test]
fn yaml_and_json_are_the_same_thing() {
    let yaml = read("w.yaml", ORDER_INTAKE);
    let text = serde_json::to_string_pretty(&to_json(&yaml)).unwrap();
    assert_eq!(read("w.json", &text), yaml);
    assert_eq!(read("w.yaml", &text), yaml);
    assert_eq!(read("w.yaml", &ORDER_INTAKE.replace('\n', "\r\n")), yaml);
}

#[test]
fn the_digest_names_what_a_workflow_does() {
    let base = read(
        "w.yaml",
        "nodes: [{ id: a, action: x, notes: n }, { action: x, id: b }]\n",
    );
    let same = read(
        "w.yaml",
        "nodes: [{ notes: n, id: a, action: x, join: all }, { id: b, action: x }]\nconnections: [a -> b]\nlayout: { a: [1, 2] }\ntimezone: UTC\n",
    );
    assert_eq!(base.digest(), same.digest());
    let other = read(
        "w.yaml",
        "nodes: [{ id: a, action: x, notes: n }, { id: b, action: x }]\nconnections: []\n",
    );
    assert_ne!(base.digest(), other.digest());
    let mut renamed = base.clone();
    renamed.nodes[0].id = NodeId::new("c").unwrap();
    assert_ne!(base.digest(), renamed.digest());
}

/// Walks a value along a schema made of `type`, `properties`, `items`, `enum`, `anyOf` and `$ref`.
fn fits(value: &Value, schema: &Value, root: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return fits(value, root.pointer(&reference[1..]).unwrap(), root);
    }
    if let Some(options) = schema["anyOf"].as_array() {
        let errors: Vec<_> = options
            .iter()
            .filter_map(|option| fits(value, option, root).err())
            .collect();
        return if errors.len() < options.len() {
            Ok(())
        } else {
            Err(errors.join(" and "))
        };
    }
    if let Some(words) = schema["enum"].as_array() {
        return if words.contains(value) {
            Ok(())
        } else {
            Err(format!("{value} is not in {words:?}"))
        };
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types = &schema["type"];
    let allowed = types == kind
        || types
            .as_array()
            .is_some_and(|types| types.contains(&json!(kind)));
    if !types.is_null() && !allowed {
        return Err(format!("{value} is not {types}"));
    }
    if let Value::Object(fields) = value {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(required.as_str().unwrap()) {
                return Err(format!("{required} is missing"));
            }
        }
        for (name, field) in fields {
            match (&schema["properties"][name], &schema["additionalProperties"]) {
                (Value::Null, Value::Bool(false)) => return Err(format!("unknown field {name}")),
                (Value::Null, Value::Object(_)) => {
                    fits(field, &schema["additionalProperties"], root)?;
                }
                (Value::Null, _) => {}
                (property, _) => fits(field, property, root)?,
            }
        }
    }
    for item in value.as_array().into_iter().flatten() {
        fits(item, &schema["items"], root)?;
    }
    Ok(())
}

#[test]
fn good_definitions_fit_the_schema_and_bad_ones_do_not() {
    let schema = definition_schema();
    for text in [ORDER_INTAKE, EVERYTHING] {
        let definition = read("w.yaml", text);
        fits(&to_json(&definition), &schema, &schema).unwrap();
    }
    for (bad, word) in [
        (json!({}), "missing"),
        (json!({ "nodes": [{ "id": "a" }] }), "missing"),
        (
            json!({ "nodes": [{ "id": "a", "action": "x", "retri": 1 }] }),
            "retri",
        ),
        (
            json!({ "nodes": [{ "id": "a", "action": "x", "join": "some" }] }),
            "some",
        ),
        (
            json!({ "nodes": [{ "id": "a", "action": "x", "timeout": 5 }] }),
            "5",
        ),
    ] {
        let error = fits(&bad, &schema, &schema).unwrap_err();
        assert!(error.contains(word), "{error}");
        assert!(WorkflowDefinition::from_json(&bad).is_err());
    }
}

#[test]
fn the_schema_refers_only_to_what_it_defines() {
    fn check(value: &Value, root: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    assert!(root.pointer(&reference[1..]).is_some(), "{reference}");
                }
                fields.values().for_each(|field| check(field, root));
            }
            Value::Array(items) => items.iter().for_each(|item| check(item, root)),
            _ => {}
        }
    }
    let schema = definition_schema();
    check(&schema, &schema);
}
