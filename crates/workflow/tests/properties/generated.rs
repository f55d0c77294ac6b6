//! Definitions that use any field of the format.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

/// A string that may stand as a parameter.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zä ~/:#{}\"'\\\\\n\t]{0,12}"
            .prop_filter("braces that do not match", |text| !text.contains("{{")),
        select(vec![
            "{{ $json.a }}",
            "{{$x}}",
            " {{  $y }}\n",
            "a {{ $x }} b",
            "\\{{ kept }}",
            "no",
            "1:30",
            "0x1f",
            "null",
            "~",
            "",
            " ",
            "- a",
            "é\u{1f600}",
            "{{ { a: { b: 1 } } }}",
            "\u{7f}",
            "# x",
            "!x",
            "&x",
            "*x",
            "1e3",
            "\u{2028}",
        ])
        .prop_map(str::to_owned),
    ]
}

pub(crate) fn literal() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1.0e6..1.0e6).prop_map(|number: f64| json!(number)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            object(inner),
        ]
    })
}

fn object(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    vec(("[a-z/~]{1,4}", values), 0..3)
        .prop_map(|entries| Value::Object(entries.into_iter().collect()))
}

/// Some of the optional fields of a node.
fn node_fields() -> impl Strategy<Value = Map<String, Value>> {
    let fixed = json!({
        "name": "N", "requires": ["fs:read:{{ $input.dir }}"], "for_each": "$json.items", "each_item": true,
        "concurrency": 3, "when": "$a && !$b", "join": { "count": 2, "rest": "block" },
        "retry": { "max_attempts": 4, "backoff": "fixed", "initial": "2s" }, "timeout": "1m30s", "heartbeat_timeout": "20s",
        "on_error": "continue", "on_indeterminate": "fail", "disabled": true, "credentials": { "auth": "k" },
        "compensate": { "action": "x@2", "parameters": { "a": "{{ $x }}" } }, "idempotency_key": "k-{{ $x }}",
        "cache": true, "artifact": { "name": "n" }, "distribute": true, "runs_on": ["a", "b"],
        "complete_when": "$done", "rest": "absorb", "on_item_error": "collect", "notes": "n", "pin": null, "limits": { "memory": "1 MB" },
        "body": { "nodes": [{ "id": "inner", "action": "x" }] },
    });
    let fixed: Vec<(String, Value)> = fixed.as_object().unwrap().clone().into_iter().collect();
    let len = fixed.len();
    (
        prop::sample::subsequence(fixed, 0..=len),
        object(literal()),
        literal(),
    )
        .prop_map(|(fields, parameters, pin)| {
            let mut fields: Map<String, Value> = fields.into_iter().collect();
            fields.insert("parameters".to_owned(), parameters);
            if fields.contains_key("pin") {
                fields.insert("pin".to_owned(), pin);
            }
            fields
        })
}

/// Four nodes `n0` to `n3`, some with a body, in any connections.
pub(crate) fn definition() -> impl Strategy<Value = Value> {
    let edges = vec((0..4_usize, 0..4_usize, any::<bool>()), 0..5);
    let top = (literal(), literal(), any::<bool>());
    (vec(node_fields(), 4), edges, top, any::<bool>()).prop_map(|(nodes, edges, top, listed)| {
        let (output, layout, zone) = top;
        let nodes: Vec<Value> = nodes
            .into_iter()
            .enumerate()
            .map(|(index, mut fields)| {
                fields.insert("id".to_owned(), json!(format!("n{index}")));
                fields.insert("action".to_owned(), json!("data.set@1"));
                // Ids are unique, bodies included.
                if let Some(inner) = fields.get_mut("body") {
                    inner["nodes"][0]["id"] = json!(format!("inner{index}"));
                }
                Value::Object(fields)
            })
            .collect();
        let mut value = json!({ "id": "w", "nodes": nodes, "output": output, "layout": { "n0": layout } });
        if zone {
            value["timezone"] = json!("Asia/Tokyo");
            value["triggers"] = json!([{ "id": "t", "type": "cron", "schedule": "{{ not read }}" }]);
            value["limits"] = json!({ "concurrency": 2 });
            value["admission"] = json!({ "concurrency": 2, "key": "$input.a", "when_full": "refuse" });
            value["rate_limit"] = json!({ "limit": 3, "per": "1m", "key": "$input.a", "queue": 7 });
        }
        if listed {
            let mut seen = std::collections::BTreeSet::new();
            let edges = edges.into_iter().filter(|(a, b, _)| a != b && seen.insert((*a, *b)));
            value["connections"] = edges
                .map(|(a, b, short)| {
                    if short {
                        json!(format!("n{a}.ok -> n{b}:left"))
                    } else {
                        json!({ "from": format!("n{a}"), "to": format!("n{b}"), "condition": "$json.x > 1" })
                    }
                })
                .collect();
        }
        value
    })
}
