//! From a source to a definition.

use nebula_core::ByteSize;

use crate::{
    Diagnostic, Document, Format, Source, SourceMap, WorkflowDefinition, codes, decode, json,
    limits::MAX_DEFINITION_BYTES, problems::Problems, tree::Tree, yaml,
};

/// What became of reading a definition.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The definition, if no problem is an error.
    pub definition: Option<WorkflowDefinition>,
    /// What could be read although some problem is an error: to find more problems with, never to run.
    pub rest: Option<WorkflowDefinition>,
    /// Where its parts stand in the source, also when there is no definition.
    pub map: SourceMap,
    /// Every problem, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a definition and reports every problem at once.
#[must_use]
pub fn parse(source: &Source) -> Parsed {
    Document::read(source).decode(source)
}

/// Puts together what was read.
pub(crate) fn parsed(
    mut definition: Option<WorkflowDefinition>,
    map: SourceMap,
    problems: Problems,
) -> Parsed {
    let rest = if problems.is_usable() {
        None
    } else {
        definition.take()
    };
    let mut diagnostics = problems.finish();
    map.name_places(&mut diagnostics);
    let diagnostics = map.sorted(&diagnostics).into_iter().cloned().collect();
    Parsed {
        definition,
        rest,
        map,
        diagnostics,
    }
}

pub(crate) fn read(source: &Source, problems: &mut Problems) -> Option<Tree> {
    let text = source.text.as_str();
    if text.len() > MAX_DEFINITION_BYTES {
        problems.push(too_large(text.len() as u64));
        return None;
    }
    if source.format == Format::Yaml
        && let Some((at, c)) = text.char_indices().find(|(_, c)| refused(*c))
    {
        let message = format!("the text has the character U+{:04X}", u32::from(c));
        let problem = Diagnostic::error(codes::CHARACTER, "", message).span(at..at + c.len_utf8());
        problems.push(
            problem.hint("remove it; inside of double quotes it can be written as an escape"),
        );
        return None;
    }
    let before = problems.is_usable();
    let tree = match source.format {
        Format::Yaml => yaml::read(text, problems),
        Format::Json => json::read(text, problems),
    };
    if tree.is_none() && before && problems.is_usable() {
        problems.push(decode::empty().span(0..0));
    }
    tree
}

/// A definition of this many bytes is refused without being read; `None` if it is small enough.
///
/// For callers that know a file's size: what is too large need not be loaded to be refused.
#[must_use]
pub fn check_size(bytes: u64) -> Option<Diagnostic> {
    (bytes > MAX_DEFINITION_BYTES as u64).then(|| too_large(bytes))
}

fn too_large(bytes: u64) -> Diagnostic {
    let limit = ByteSize::bytes(MAX_DEFINITION_BYTES as u64);
    let message = format!("the definition has {bytes} bytes; the limit is {limit}");
    Diagnostic::error(codes::TOO_LARGE, "", message)
        .hint("keep data out of the definition: read it with `file.read` or pass it as input")
}

/// Characters that YAML allows nowhere outside of escapes. (JSON's reader knows its own.)
fn refused(c: char) -> bool {
    c < ' ' && !matches!(c, '\t' | '\n' | '\r')
}
