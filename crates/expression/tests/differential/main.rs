//! The same expressions in Node.js and here: a few hundred written by hand, thousands from
//! crossing receivers, methods and arguments, and as many as one likes from a grammar.
//!
//! Without `node` the tests say so and pass; with `NEBULA_REQUIRE_BACKENDS=1` they fail.

mod crossed;
mod dates;
mod grammar;
mod intl;
mod oracle;
mod patterns;
mod shrink;
mod tree;

use grammar::Sort;
use oracle::{Answer, Node, ours, ours_in};
use serde_json::{Value, json};
use tree::{Choice, Grammar, Maker, Tree};

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
    compare_in("UTC", cases);
}

fn compare_in(zone: &str, cases: &[String]) {
    let document = document();
    let Some(mut node) = Node::start_in(zone, &document) else {
        return;
    };
    let mut differ = Vec::new();
    for case in cases {
        let (theirs, ours) = (node.judge(case), ours_in(zone, case, &document));
        if !ours.agrees_with(&theirs) {
            differ.push(format!("{case}\n    node {theirs:?}\n    here {ours:?}"));
        }
    }
    let shown = differ.iter().take(40).cloned().collect::<Vec<_>>();
    assert!(
        differ.is_empty(),
        "{} of {} differ in {zone}:\n{}",
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
    let files = [
        include_str!("../cases.txt"),
        include_str!("../cases/collections.txt"),
        include_str!("../cases/urls.txt"),
        include_str!("../cases/unicode.txt"),
        include_str!("../cases/dates.txt"),
        include_str!("../cases/blocks.txt"),
        include_str!("../cases/regexes.txt"),
        include_str!("../cases/numbers.txt"),
    ];
    let cases: Vec<String> = files
        .iter()
        .flat_map(|file| file.lines())
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect();
    compare(&cases);
}

/// Cases of a run that asks for no number.
const CASES: u64 = 5_000;
/// Patterns of a run that asks for no number; Node.js takes long for each.
const PATTERN_CASES: u64 = 1_000;
/// Rules that stand inside each other in one expression.
const DEPTH: usize = 4;
/// So many disagreements are made small and shown; more tell nothing new.
const SHOWN: usize = 10;

/// A number from the environment, where `cargo xtask expr-fuzz` puts it.
fn asked(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a run on demand says how much")]
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
    )
}

fn generated(grammar: &Grammar, seed: u64, case: u64) -> Tree {
    let mut choice = Choice::new(seed, case);
    let depth = 1 + choice.below(DEPTH);
    Maker::new(grammar, &mut choice).tree(Sort::Any, depth)
}

#[test]
fn generated_patterns_agree_with_node() {
    let cases = asked("NEBULA_FUZZ_CASES").unwrap_or(PATTERN_CASES);
    let seed = asked("NEBULA_FUZZ_SEED").unwrap_or(0);
    let all: Vec<_> = (0..cases).map(|case| patterns::case(seed, case)).collect();
    compare(&all);
}

#[test]
fn generated_cases_agree_with_node() {
    let document = document();
    let Some(mut node) = Node::start(&document) else {
        return;
    };
    let cases = asked("NEBULA_FUZZ_CASES").unwrap_or(CASES);
    let seed = asked("NEBULA_FUZZ_SEED").unwrap_or(0);
    let grammar = Grammar::read();
    let (mut values, mut errors, mut limits) = (0_u64, 0_u64, 0_u64);
    let mut differ = Vec::new();
    for case in 0..cases {
        let tree = generated(&grammar, seed, case);
        let source = tree.text();
        let (mine, theirs) = (ours(&source, &document), node.judge(&source));
        match (&mine, &theirs) {
            // JavaScript has none.
            (Answer::Error(code), Answer::Value(_)) if code.starts_with("LIMIT_") => limits += 1,
            _ if !mine.agrees_with(&theirs) => {
                let small = shrink::shrink(tree, &mut node, &document).text();
                let (mine, theirs) = (ours(&small, &document), node.judge(&small));
                differ.push(format!(
                    "seed {seed}, case {case}: {small}\n    node {theirs:?}\n    here {mine:?}\n    from {source}"
                ));
            }
            (Answer::Value(_), _) => values += 1,
            (Answer::Error(_), _) => errors += 1,
        }
        if differ.len() == SHOWN {
            break;
        }
    }
    #[expect(clippy::print_stderr, reason = "a seed must be seen")]
    {
        eprintln!(
            "seed {seed}: {cases} cases, {values} values, {errors} errors on both sides, {limits} limits"
        );
    }
    assert!(
        differ.is_empty(),
        "{} differ:\n{}",
        differ.len(),
        differ.join("\n")
    );
    // A grammar that mostly fails, or runs into limits, compares nothing.
    assert!(values * 2 > cases, "{values} of {cases} have a value");
    assert!(limits * 100 <= cases, "{limits} of {cases} run into limits");
}

#[test]
fn a_disagreement_is_made_small() {
    let document = document();
    let Some(mut node) = Node::start(&document) else {
        return;
    };
    // A difference that the language wants: there are no prototypes.
    let other = Tree::leaf("(0).constructor");
    let inner = Tree::of(&["[", ", ", "]"], vec![Tree::leaf("'a' + 1"), other]);
    let outer = Tree::of(
        &["[", "].concat(", ", 7)"],
        vec![Tree::leaf("{ a: 1 }"), inner],
    );
    let small = shrink::shrink(outer, &mut node, &document);
    assert_eq!(small.text(), "(0).constructor");
}
