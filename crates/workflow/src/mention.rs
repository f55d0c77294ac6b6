//! Writing a name over the places of a definition's text that hold another one.

use std::ops::Range;

use nebula_core::NodeId;

use crate::{
    Format, Source, SourceMap,
    tree::{Kind, Text},
    yaml_scalar::plain,
};

/// A place that holds the name of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// JSON pointer of the value, or of the field whose key is the name.
    pub pointer: String,
    /// Where it is there.
    pub part: MentionPart,
}

/// Which part of a field is a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MentionPart {
    /// These bytes of the string.
    Text(Range<usize>),
    /// The field's key.
    Key,
}

/// A mention whose place in the source cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplaced(pub Mention);

/// What is to stand in the place of some bytes of the source.
struct Edit {
    range: Range<usize>,
    text: String,
}

/// Writes `name` over every mention and leaves every other byte as it is; with the bytes of the
/// source that held the mentions, in order and each once.
///
/// Quotes, escapes around it, folding and indentation stay. Quotes are added where the name would
/// be read as something else without them: `id: null`.
///
/// # Errors
/// The first mention whose place is not known.
pub fn write_name(
    source: &Source,
    map: &SourceMap,
    mentions: &[Mention],
    name: &NodeId,
) -> Result<(String, Vec<Range<usize>>), Unplaced> {
    let mut edits = Vec::with_capacity(mentions.len());
    for mention in mentions {
        let edit = place(source, map, mention, name.as_str());
        edits.push(edit.ok_or_else(|| Unplaced(mention.clone()))?);
    }
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    // In `a -> b -> c` two connections name `b`.
    edits.dedup_by(|later, earlier| later.range == earlier.range);
    let mut text = String::with_capacity(source.text.len() + edits.len() * name.as_str().len());
    let mut at = 0;
    for edit in &edits {
        text.push_str(source.text.get(at..edit.range.start).unwrap_or_default());
        text.push_str(&edit.text);
        at = edit.range.end;
    }
    text.push_str(&source.text[at..]);
    Ok((text, edits.into_iter().map(|edit| edit.range).collect()))
}

fn place(source: &Source, map: &SourceMap, mention: &Mention, name: &str) -> Option<Edit> {
    match &mention.part {
        MentionPart::Key => key(source, map.key_span(&mention.pointer)?, name),
        MentionPart::Text(range) => {
            let (tree, _, true) = map.find(&mention.pointer)? else {
                return None;
            };
            let Kind::Text(text) = &tree.kind else {
                return None;
            };
            let place = text.place(range)?;
            let whole = *range == (0..text.value.len());
            Some(Edit {
                text: value(text, whole, name),
                range: place,
            })
        }
    }
}

/// The name as it stands in a text; in quotes, if it is the whole of one that has none and would be
/// read as something else.
fn value(text: &Text, whole: bool, name: &str) -> String {
    if text.plain && whole && !is_text(name) {
        format!("\"{name}\"")
    } else {
        name.to_owned()
    }
}

/// The name as a key: between the quotes that are there, or without any.
fn key(source: &Source, span: Range<usize>, name: &str) -> Option<Edit> {
    let written = source.text.get(span.clone())?;
    let quoted = written.len() > 1 && written.starts_with(['"', '\'']);
    let (range, text) = if quoted {
        (span.start + 1..span.end - 1, name.to_owned())
    } else if source.format == Format::Yaml && is_text(name) {
        (span, name.to_owned())
    } else {
        (span, format!("\"{name}\""))
    };
    Some(Edit { range, text })
}

/// Whether YAML reads it as text without quotes.
fn is_text(name: &str) -> bool {
    matches!(plain(name), Ok(None))
}
