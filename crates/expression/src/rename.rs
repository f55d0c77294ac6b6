//! Renaming a node in the source of an expression.

use crate::{CompileOptions, Limits, Mode, Program};

/// The source with every mention of the node `from` naming `to`; everything else stays as it is
/// written. `None` if it does not compile or does not mention the node.
///
/// `$nodes.a` becomes `$nodes["b-c"]` where the new id is no name, with the `quote` that the text
/// around the expression leaves free.
///
/// ```
/// use nebula_expression::rename_node;
///
/// let renamed = rename_node("`${$nodes.fetch?.result}`", "fetch", "load", '"');
/// assert_eq!(renamed.as_deref(), Some("`${$nodes.load?.result}`"));
/// ```
#[must_use]
pub fn rename_node(source: &str, from: &str, to: &str, quote: char) -> Option<String> {
    let options = CompileOptions {
        mode: Mode::Lenient,
        nodes: None,
        limits: Limits::default(),
    };
    let program = Program::compile(source, &options).ok()?;
    let nodes = &program.report().nodes;
    let reference = nodes.iter().find(|node| node.node == from)?;
    let mut spans: Vec<_> = reference
        .spans
        .iter()
        .map(|span| span.start..span.end)
        .collect();
    spans.sort_by_key(|span| span.start);
    // A part of the source may be compiled twice.
    spans.dedup();
    let mut out = String::with_capacity(source.len() + 16);
    let mut at = 0;
    for span in spans {
        let before = &source[at..span.start];
        let written = &source[span.clone()];
        if before.ends_with(['"', '\'', '`']) {
            // The quotes stay: an id holds nothing that one would end at.
            out.push_str(before);
            out.push_str(to);
        } else if written != from {
            // The whole literal, because it is written with escapes or as a number.
            out.push_str(before);
            out.push_str(&format!("{quote}{to}{quote}"));
        } else if is_name(to) {
            out.push_str(before);
            out.push_str(to);
        } else {
            // `?.` stays before a bracket, a plain dot does not.
            let chain = before.trim_end();
            let dot = chain.strip_suffix('.')?;
            out.push_str(if dot.ends_with('?') { chain } else { dot });
            out.push_str(&format!("[{quote}{to}{quote}]"));
        }
        at = span.end;
    }
    out.push_str(&source[at..]);
    // Comments between the dot and the id, or an id that needs escapes, are not rewritten wrongly.
    let again = Program::compile(&out, &options).ok()?;
    let renamed = |program: &Program, id: &str| {
        let nodes = &program.report().nodes;
        let found = nodes.iter().find(|node| node.node == id);
        found.map_or(0, |node| node.spans.len())
    };
    let expected = renamed(&program, from) + renamed(&program, to);
    (renamed(&again, from) == 0 && renamed(&again, to) == expected).then_some(out)
}

/// Whether an id can stand after a dot.
fn is_name(id: &str) -> bool {
    let mut characters = id.chars();
    characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
}
