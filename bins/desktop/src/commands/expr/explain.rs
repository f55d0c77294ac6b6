//! What is known of an expression before it is evaluated.

use nebula_expression::{Mode, NodeReference, Program, Purity};
use serde_json::{Value, json};

use super::answer;
use crate::console::{Colours, Paint};

/// Values longer than this are cut, in characters.
const MAX_SHOWN: usize = 200;

/// For programs. `constant` is null unless every evaluation gives the same.
pub(super) fn document(program: &Program) -> Value {
    let report = program.report();
    json!({ "explain": {
        "mode": program.mode(),
        "nodes": report.nodes,
        "paths": report.paths,
        "roots": report.roots,
        "purity": report.purity,
        "constant": program.constant().map(answer),
        "size": program.size(),
    } })
}

/// For people.
pub(super) fn text(program: &Program, colours: Colours) -> String {
    let report = program.report();
    let roots: Vec<String> = report
        .roots
        .iter()
        .map(|root| format!("${}", root.name()))
        .collect();
    let nodes: Vec<String> = report.nodes.iter().map(node).collect();
    let constant = match program.constant() {
        None => "no: it depends on what it reads".to_owned(),
        Some(Ok(None)) => "undefined".to_owned(),
        Some(Ok(Some(value))) => cut(&value.to_string()),
        Some(Err(error)) => format!("always fails: {} ({})", error.message, error.code),
    };
    let size = match program.size() {
        1 => "1 node".to_owned(),
        size => format!("{size} nodes"),
    };
    let rows = [
        ("nodes", listed(&nodes)),
        ("paths", listed(&report.paths)),
        ("roots", listed(&roots)),
        ("purity", purity(report.purity).to_owned()),
        ("constant", constant),
        ("mode", mode(program.mode()).to_owned()),
        ("program", size),
    ];
    let mut out = String::new();
    for (name, value) in rows {
        let name = colours.paint(Paint::Cyan, format!("{name:<9}"));
        out.push_str(&format!("{name} {value}\n"));
    }
    out
}

fn node(reference: &NodeReference) -> String {
    let times = reference.spans.len();
    let mut notes = Vec::new();
    if reference.optional {
        notes.push("may be missing".to_owned());
    }
    if times > 1 {
        notes.push(format!("{times} times"));
    }
    if notes.is_empty() {
        reference.node.clone()
    } else {
        format!("{} ({})", reference.node, notes.join(", "))
    }
}

fn listed(items: &[String]) -> String {
    if items.is_empty() {
        "none".to_owned()
    } else {
        items.join(", ")
    }
}

fn purity(purity: Purity) -> &'static str {
    match purity {
        Purity::Pure => "pure: the same data gives the same result",
        Purity::Time => "time: it reads the clock of the execution",
        Purity::Random => "random: it reads the seed of the execution",
    }
}

/// The word for a mode.
pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Strict => "strict",
        Mode::Lenient => "lenient",
    }
}

/// The beginning of a long text.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
