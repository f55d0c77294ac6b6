//! Renaming a node in the source of an expression.

use std::ops::Range;

use crate::{CompileOptions, ExpressionError, Limits, Mode, Program};

/// What is to stand in the place of a part of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go.
    pub range: Range<usize>,
    /// What comes there.
    pub text: String,
}

/// Why a node cannot be renamed in an expression.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RenameError {
    /// It does not compile; every problem of it.
    #[error("the expression does not compile")]
    Source(Vec<ExpressionError>),
    /// With these edits it would not say the same of the new name.
    #[error("the mention of the node cannot be rewritten")]
    Mention {
        /// The bytes of the first mention.
        range: Range<usize>,
    },
}

impl Edit {
    /// The source with the edits made, which are in the order of their places and do not overlap.
    #[must_use]
    pub fn apply(source: &str, edits: &[Self]) -> String {
        let mut out = String::with_capacity(source.len() + 16);
        let mut at = 0;
        for edit in edits {
            out.push_str(&source[at..edit.range.start]);
            out.push_str(&edit.text);
            at = edit.range.end;
        }
        out.push_str(&source[at..]);
        out
    }
}

/// The edits that make every mention of the node `from` name `to`, in the order of their places;
/// none if there is no mention.
///
/// Only the id goes, so that its quotes stay as they are. `$nodes.a` becomes `$nodes["b-c"]` where
/// the new id is no name, with the `quote` that the text around the expression leaves free.
///
/// # Errors
/// The source does not compile, or a mention is written in a way that cannot be edited.
///
/// ```
/// use nebula_expression::{Edit, rename_node};
///
/// let source = "`${$nodes.fetch?.result}`";
/// let edits = rename_node(source, "fetch", "load", '"').unwrap();
/// assert_eq!(Edit::apply(source, &edits), "`${$nodes.load?.result}`");
/// ```
pub fn rename_node(
    source: &str,
    from: &str,
    to: &str,
    quote: char,
) -> Result<Vec<Edit>, RenameError> {
    let options = CompileOptions {
        mode: Mode::Lenient,
        nodes: None,
        limits: Limits::default(),
    };
    let program = Program::compile(source, &options).map_err(RenameError::Source)?;
    let mentions = |program: &Program, id: &str| {
        let nodes = &program.report().nodes;
        let found = nodes.iter().find(|node| node.node == id);
        let spans = found.map(|node| node.spans.iter().map(|span| span.start..span.end));
        let mut spans: Vec<_> = spans.into_iter().flatten().collect();
        spans.sort_by_key(|span| span.start);
        // A part of the source may be compiled twice.
        spans.dedup();
        spans
    };
    let spans = mentions(&program, from);
    let Some(first) = spans.first().cloned() else {
        return Ok(Vec::new());
    };
    let refused = || RenameError::Mention {
        range: first.clone(),
    };
    let edits: Option<Vec<_>> = spans
        .iter()
        .map(|span| edit(source, span.clone(), (from, to), quote))
        .collect();
    let edits = edits.ok_or_else(refused)?;
    // An id that needs escapes, or whatever else was not foreseen, is not rewritten wrongly.
    let again = Program::compile(&Edit::apply(source, &edits), &options).map_err(|_| refused())?;
    let expected = spans.len() + mentions(&program, to).len();
    if mentions(&again, from).is_empty() && mentions(&again, to).len() == expected {
        Ok(edits)
    } else {
        Err(refused())
    }
}

/// The edit of one mention: the id alone, or a literal that is written with escapes or as a number.
fn edit(source: &str, span: Range<usize>, (from, to): (&str, &str), quote: char) -> Option<Edit> {
    let before = &source[..span.start];
    let written = &source[span.clone()];
    let (range, text) = if before.ends_with(QUOTES) {
        // The quotes stay: an id holds nothing that one would end at.
        (span, to.to_owned())
    } else if written.len() > 2 && written.starts_with(QUOTES) {
        (span.start + 1..span.end - 1, to.to_owned())
    } else if written != from {
        (span, format!("{quote}{to}{quote}"))
    } else if is_name(to) {
        (span, to.to_owned())
    } else {
        // `?.` stays before a bracket, a plain dot does not.
        let chain = before.trim_end();
        let dot = chain.strip_suffix('.')?;
        let start = if dot.ends_with('?') { chain } else { dot }.len();
        (start..span.end, format!("[{quote}{to}{quote}]"))
    };
    Some(Edit { range, text })
}

const QUOTES: [char; 3] = ['"', '\'', '`'];

/// Whether an id can stand after a dot.
fn is_name(id: &str) -> bool {
    let mut characters = id.chars();
    characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
}
