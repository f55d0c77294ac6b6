//! The same over generated definitions in every style of YAML, and over their JSON.

mod catalog;
mod renaming;

use nebula_workflow::{Source, parse};
use proptest::{collection::vec, prelude::*, sample::select};
use renaming::{check, rename};

/// Expressions, of which some name the node; without `: ` and ` #`, which YAML would misread.
const EXPRESSIONS: &[&str] = &[
    "$nodes.«».result",
    "$nodes['«»'].result.fetch",
    "$nodes[\"«»\"]?.port",
    "`${$nodes.«».result} fetch`",
    "[1, 2].map(fetch => fetch + $nodes.«».attempts)",
    "{fetch:$nodes.«».result}.fetch",
    "$nodes.b?.result",
    "$json.fetch + 'fetch'",
    "'é' + $nodes. «» .result",
    "'\\\\' + $nodes.«».port",
];

/// How a text stands in a file.
#[derive(Debug, Clone, Copy)]
enum Style {
    Plain,
    Single,
    Double,
    Escaped,
    Literal,
    Folded,
}

/// Writes a text of a parameter at an indentation of six; `breaks` says which spaces end a line.
fn write(text: &str, style: Style, breaks: &[bool]) -> String {
    let fold = |text: &str| {
        let mut breaks = breaks.iter().cycle();
        let mut words = text.split(' ');
        let mut out = words.next().unwrap_or_default().to_owned();
        for word in words {
            let end = *breaks.next().unwrap_or(&false) && !word.is_empty() && !out.ends_with(' ');
            out.push_str(if end { "\n      " } else { " " });
            out.push_str(word);
        }
        out
    };
    match style {
        Style::Plain => fold(text),
        Style::Single => format!("'{}'", fold(&text.replace('\'', "''"))),
        Style::Double => {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{}\"", fold(&escaped))
        }
        Style::Escaped => {
            let escape = |c: char| match c {
                '\\' | '"' => format!("\\{c}"),
                '$' | '.' | ' ' | 'é' => format!("\\u{:04x}", u32::from(c)),
                c => c.to_string(),
            };
            format!("\"{}\"", text.chars().map(escape).collect::<String>())
        }
        Style::Literal => format!("|-\n      {text}"),
        Style::Folded => format!(">-\n      {}", fold(text)),
    }
}

fn style() -> impl Strategy<Value = Style> {
    select(vec![
        Style::Plain,
        Style::Single,
        Style::Double,
        Style::Escaped,
        Style::Literal,
        Style::Folded,
    ])
}

/// A definition in YAML, with `«»` for the node.
fn definition() -> impl Strategy<Value = String> {
    let parameter = (
        vec(select(EXPRESSIONS), 1..4),
        style(),
        vec(any::<bool>(), 1..6),
    );
    let node = (vec(parameter, 0..4), any::<bool>(), any::<bool>());
    let edges = vec(
        select(&[
            "«» -> b",
            "b.error->«»",
            "{ from: b, to: «» }",
            "c -> «»:main.error -> b",
        ]),
        0..3,
    );
    (vec(node, 3), edges, any::<bool>()).prop_map(|(nodes, edges, layout)| {
        let mut text = "# fetch\nnodes:\n".to_owned();
        for (id, (parameters, gate, quoted)) in ["«»", "b", "c"].iter().zip(nodes) {
            let id = if quoted {
                format!("\"{id}\"")
            } else {
                (*id).to_owned()
            };
            text.push_str(&format!("- id: {id}  # fetch\n  action: data.set\n"));
            if gate {
                text.push_str("  when: $nodes.«»?.success && $nodes['«»'].port == 'fetch'\n");
            }
            if !parameters.is_empty() {
                text.push_str("  parameters:\n");
            }
            for (index, (expressions, style, breaks)) in parameters.iter().enumerate() {
                let mut value = "fetch".to_owned();
                for expression in expressions {
                    value.push_str(&format!(" {{{{ {expression} }}}}"));
                }
                let written = write(&value, *style, breaks);
                text.push_str(&format!("    fetch{index}: {written}\n"));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        let edges: Vec<_> = edges
            .into_iter()
            .filter(|edge| seen.insert(*edge))
            .collect();
        text.push_str(&format!("connections: [{}]\n", edges.join(", ")));
        if layout {
            text.push_str("layout: { b: [1, 2], «»: [3, 4] }\n");
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mentions_change_and_nothing_else(text in definition()) {
        check(&text);
    }

    #[test]
    fn json_is_renamed_as_yaml_is(text in definition()) {
        let source = Source::new("w.yaml", text.replace("«»", "fetch"));
        let parsed = parse(&source);
        let canonical = nebula_workflow::to_json(&parsed.definition.unwrap());
        let json = serde_json::to_string_pretty(&canonical).unwrap();
        let renamed = rename("w.json", &json, "fetch", "load").unwrap();
        let yaml = rename("w.yaml", &source.text, "fetch", "load").unwrap();
        let read = |name: &str, text: String| parse(&Source::new(name, text)).definition.unwrap();
        prop_assert_eq!(read("w.json", renamed.text), read("w.yaml", yaml.text));
    }
}
