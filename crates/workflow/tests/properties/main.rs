//! What holds for every text and every definition.

use nebula_workflow::{Diagnostic, Format, Source, WorkflowDefinition, parse, render, to_json};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::generated::definition;

mod differences;
mod generated;

const ORDER_INTAKE: &str = include_str!("../order-intake.yaml");
const EVERYTHING: &str = include_str!("../everything.yaml");

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

/// The scanner stops in a text that was mended, in the middle of a character of this one.
#[test]
fn a_place_within_a_character_is_drawn() {
    read_and_draw("\"\n\u{e4}{{nodes\"{");
}

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
