//! What holds for every text and every definition.

use nebula_workflow::{Diagnostic, Format, Source, WorkflowDefinition, parse, render, to_json};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

const ORDER_INTAKE: &str = include_str!("order-intake.yaml");
const EVERYTHING: &str = include_str!("everything.yaml");

/// Reads and draws a text in both formats. All places must lie inside of it.
fn read_and_draw(text: &str) {
    for format in [Format::Yaml, Format::Json] {
        let source = Source {
            format,
            ..Source::new("w", text)
        };
        let parsed = parse(&source);
        let usable = !parsed.diagnostics.iter().any(Diagnostic::is_error);
        assert_eq!(parsed.definition.is_some(), usable);
        for problem in &parsed.diagnostics {
            let span = parsed.map.locate(problem);
            assert!(source.text.get(span).is_some(), "{problem:?}");
        }
        let drawn = render(&parsed.diagnostics, &source, &parsed.map, false);
        assert_eq!(drawn.is_empty(), parsed.diagnostics.is_empty());
        assert_eq!(
            parsed.map.locate_all(&parsed.diagnostics, &source).len(),
            parsed.diagnostics.len()
        );
    }
}

/// Pieces that definitions and their mistakes are made of.
const PIECES: &[&str] = &[
    "nodes",
    "id",
    "a",
    "action",
    "when",
    "connections",
    "notes",
    ": ",
    ":",
    "- ",
    "-",
    "\n",
    "\n  ",
    "\n    ",
    "\r\n",
    "\t",
    " ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "{{",
    "}}",
    "{{ $x }}",
    "\"",
    "'",
    "\\",
    "\\u00e9",
    "`",
    "!",
    "!$",
    "!!str",
    "&",
    "*",
    "&a",
    "*a",
    "#",
    " # ",
    "|",
    ">",
    "|-",
    "---",
    "...",
    "%YAML 1.2",
    "?",
    "? ",
    "@",
    "~",
    "null",
    "true",
    "1",
    "-1e5",
    ".inf",
    "ä",
    "😀",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\0",
    "\u{9b}",
    "->",
    " -> ",
    "x.y",
    "//",
    "<<: ",
    "$",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        read_and_draw(&text);
    }

    #[test]
    fn no_mixture_of_pieces_panics(pieces in vec(select(PIECES), 0..40)) {
        read_and_draw(&pieces.concat());
    }

    #[test]
    fn no_damaged_definition_panics(
        which in any::<bool>(),
        edits in vec((any::<prop::sample::Index>(), 0..6_usize, select(PIECES)), 1..4),
    ) {
        let mut text = if which { ORDER_INTAKE } else { EVERYTHING }.to_owned();
        for (at, len, piece) in edits {
            let mut start = at.index(text.len() + 1);
            while !text.is_char_boundary(start) { start -= 1; }
            let mut end = (start + len).min(text.len());
            while !text.is_char_boundary(end) { end += 1; }
            text.replace_range(start..end, piece);
        }
        read_and_draw(&text);
    }

    #[test]
    fn what_is_written_reads_back_as_the_same(value in definition()) {
        let definition = WorkflowDefinition::from_json(&value).unwrap();
        let written = to_json(&definition);
        let text = serde_json::to_string_pretty(&written).unwrap();
        for name in ["w.json", "w.yaml"] {
            let parsed = parse(&Source::new(name, text.as_str()));
            prop_assert_eq!(&parsed.diagnostics, &[]);
            let read = parsed.definition.unwrap();
            prop_assert_eq!(&read, &definition, "{}", name);
            prop_assert_eq!(to_json(&read), written.clone());
            prop_assert_eq!(read.digest(), definition.digest());
        }
    }
}

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

fn literal() -> impl Strategy<Value = Value> {
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
        "retry": { "max_attempts": 4, "backoff": "fixed", "initial": "2s" }, "timeout": "1m30s",
        "on_error": "continue", "on_indeterminate": "fail", "disabled": true, "credentials": { "auth": "k" },
        "compensate": { "action": "x@2", "parameters": { "a": "{{ $x }}" } }, "idempotency_key": "k-{{ $x }}",
        "cache": true, "artifact": { "name": "n" }, "distribute": true, "runs_on": ["a", "b"],
        "complete_when": "$done", "notes": "n", "pin": null, "limits": { "memory": "1 MB" },
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

fn definition() -> impl Strategy<Value = Value> {
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
