//! A text whose values were read, before it is settled what they mean: for other forms of a workflow.

use std::ops::Range;

use nebula_core::WorkflowId;
use serde_json::Value;

use crate::{
    Diagnostic, Parsed, Source, SourceMap, codes, decode,
    limits::MAX_DEPTH,
    parse::{parsed, read},
    problems::Problems,
    tree::Tree,
};

/// A text in YAML or JSON as values with places.
///
/// [`Document::decode`] reads them as a definition. Another form of a workflow is made into one by
/// whoever knows the form, and [`Document::translated`] goes on as if it had been written so.
#[derive(Debug)]
pub struct Document {
    tree: Option<Tree>,
    problems: Problems,
}

/// What a form of a workflow was made into.
#[derive(Debug, Default)]
pub struct Translation {
    /// The definition as JSON, if the text could be made into one.
    pub definition: Option<Value>,
    /// From where its parts come. A part that none covers stands for the whole text.
    pub origins: Vec<Origin>,
    /// What is wrong with the text, by its own pointers.
    pub diagnostics: Vec<Diagnostic>,
}

/// Where a part of a translation was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// JSON pointer of the part in the definition; what lies below it is covered, too.
    pub made: String,
    /// JSON pointer of what it was made from, in the text.
    pub written: String,
    /// Of a string: which bytes of the written one were replaced, in their order, and by how many.
    pub edits: Vec<(Range<usize>, usize)>,
}

impl Document {
    /// Reads the values of a text; what they mean is not asked.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let mut problems = Problems::default();
        let tree = read(source, &mut problems);
        Self { tree, problems }
    }

    /// The values without places; `None` where reading them found an error, which
    /// [`Document::decode`] reports.
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        let tree = self.tree.as_ref()?;
        self.problems.is_usable().then(|| tree.to_value())
    }

    /// Reads them as a definition.
    #[must_use]
    pub fn decode(mut self, source: &Source) -> Parsed {
        let mut definition = None;
        if let Some(tree) = &self.tree {
            let default_id = WorkflowId::new(source.slug()).ok();
            definition = decode::decode(tree, default_id, &mut self.problems);
        }
        parsed(definition, SourceMap::new(self.tree), self.problems)
    }

    /// Goes on with what they were made into. Problems of the definition are drawn where its parts
    /// were written.
    #[must_use]
    pub fn translated(mut self, source: &Source, translation: Translation) -> Parsed {
        let plain = SourceMap::new(self.tree.take());
        for problem in translation.diagnostics {
            let span = plain.locate(&problem);
            self.problems.push(problem.span(span));
        }
        let mut definition = None;
        if let Some(value) = translation.definition {
            match Tree::from_value(&value, MAX_DEPTH) {
                Some(tree) => {
                    let default_id = WorkflowId::new(source.slug()).ok();
                    definition = decode::decode(&tree, default_id, &mut self.problems);
                }
                None => {
                    let message = format!("lists and objects are nested deeper than {MAX_DEPTH}");
                    self.problems
                        .push(Diagnostic::error(codes::TOO_DEEP, "", message));
                }
            }
        }
        parsed(
            definition,
            plain.with_origins(translation.origins),
            self.problems,
        )
    }
}

impl Origin {
    /// A part that reads as it was written.
    #[must_use]
    pub fn new(made: impl Into<String>, written: impl Into<String>) -> Self {
        Self {
            made: made.into(),
            written: written.into(),
            edits: Vec::new(),
        }
    }

    /// The bytes of the written string for bytes of the made one; what was replaced is meant whole.
    pub(crate) fn range(&self, made: &Range<usize>) -> Range<usize> {
        self.byte(made.start, false)..self.byte(made.end, true)
    }

    fn byte(&self, made: usize, is_end: bool) -> usize {
        // What was written before the place, less what was made before it.
        let (mut written, mut at) = (0, 0);
        for (range, length) in &self.edits {
            let start = at + (range.start - written);
            let inside = if is_end { made <= start } else { made < start };
            if inside {
                break;
            }
            let end = start + length;
            if made < end || (is_end && made == end) {
                return if is_end { range.end } else { range.start };
            }
            (written, at) = (range.end, end);
        }
        written + (made - at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_what_was_made_are_found_in_what_was_written() {
        // `{{ service.a }} x` was made into `$input.service.a x`.
        let origin = Origin {
            made: String::new(),
            written: String::new(),
            edits: vec![(0..3, 0), (3..10, 14), (12..15, 0)],
        };
        let check = |made: Range<usize>, written: Range<usize>| {
            assert_eq!(origin.range(&made), written, "{made:?}");
        };
        check(0..14, 3..10);
        check(2..5, 3..10);
        check(15..16, 11..12);
        check(0..16, 3..12);
        check(17..18, 16..17);
    }

    #[test]
    fn a_problem_of_the_definition_is_drawn_where_its_part_was_written() {
        let source = Source::new("a.yaml", "does: { it: data.sett }\nname: x\n");
        let document = Document::read(&source);
        let value = document.value().unwrap();
        let action = value["does"]["it"].clone();
        let translation = Translation {
            definition: Some(serde_json::json!({ "nodes": [{ "id": "a", "action": action }] })),
            origins: vec![
                Origin::new("/nodes/0", "/does"),
                Origin::new("/nodes/0/action", "/does/it"),
            ],
            diagnostics: vec![Diagnostic::warning("OWN", "/name", "it has a name").at_key()],
        };
        let parsed = document.translated(&source, translation);
        assert_eq!(parsed.definition.unwrap().nodes.len(), 1);
        let later = Diagnostic::error("LATER", "/nodes/0/action", "unknown").range(5..9);
        let below = Diagnostic::error("BELOW", "/nodes/0/parameters/x", "missing");
        let problems = [parsed.diagnostics[0].clone(), later, below];
        let located = parsed.map.locate_all(&problems, &source);
        let places: Vec<_> = located
            .iter()
            .map(|it| (&*it.code, it.line, it.column, it.pointer.as_str()))
            .collect();
        assert_eq!(
            places,
            [
                ("BELOW", 1, 7, "/does/parameters/x"),
                ("LATER", 1, 18, "/does/it"),
                ("OWN", 2, 1, "/name"),
            ]
        );
    }
}
