//! The same expressions in Node.js and here: a few hundred written by hand, thousands from
//! crossing receivers, methods and arguments, and as many as one likes from a grammar.
//!
//! Without `node` the tests say so and pass; with `NEBULA_REQUIRE_BACKENDS=1` they fail.

mod crossed;
mod oracle;

use oracle::{Node, ours};
use serde_json::{Value, json};

/// What both sides see as `$json`.
fn document() -> Value {
    json!({
        "id": "ord_9", "total": 249.9, "tax": 41.65, "zero": 0, "none": null, "yes": true, "text": "  Grüße, 😀 Ada!  ",
        "tags": ["vip", "beta", "Alpha", "alpha"], "numbers": [10, 9, 1, -3, 2.5, 100], "nested": [1, [2, [3, [4]]], []],
        "customer": { "name": "Ada Lovelace", "phone": null, "address": { "city": "London" } },
        "items": [
            { "sku": "A", "qty": 1, "price": 89.5, "taxable": true }, { "sku": "B", "qty": 2, "price": 12.25, "taxable": true },
            { "sku": "C", "qty": 3, "price": 6.9, "taxable": false }, { "sku": "D", "qty": 1, "price": 50, "taxable": false },
        ],
        "keyed": { "b": 1, "10": "x", "a": 2, "2": "y" },
    })
}

fn compare(cases: &[String]) {
    let document = document();
    let Some(mut node) = Node::start(&document) else {
        return;
    };
    let mut differ = Vec::new();
    for case in cases {
        let (theirs, ours) = (node.judge(case), ours(case, &document));
        if !ours.agrees_with(&theirs) {
            differ.push(format!("{case}\n    node {theirs:?}\n    here {ours:?}"));
        }
    }
    let shown = differ.iter().take(40).cloned().collect::<Vec<_>>();
    assert!(
        differ.is_empty(),
        "{} of {} differ:\n{}",
        differ.len(),
        cases.len(),
        shown.join("\n")
    );
}

#[test]
fn crossed_cases_agree_with_node() {
    compare(&crossed::crossed());
}

#[test]
fn written_cases_agree_with_node() {
    let cases: Vec<String> = include_str!("../cases.txt")
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect();
    compare(&cases);
}
