//! Draws problems on the source, as rustc does.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::{
    Diagnostic, Severity, Source, SourceMap,
    limits::MAX_RENDERED,
    problems::{shown, visible},
    source::{Lines, floor_boundary, line_around},
};

/// A line of up to this many bytes is given to the renderer, which cuts it to the terminal. A longer
/// one is cut before that: JSON without line ends has lines of megabytes.
const MAX_LINE: usize = 1_000;

/// The most characters that are drawn before and after a place of a longer line.
const MAX_BEFORE: usize = 60;
const MAX_AFTER: usize = 80;

/// Draws the problems, sorted by place: code, file, line and column, the source line with the place
/// underlined, and what to do. The first [`crate::MAX_RENDERED`] are drawn, the rest is counted.
///
/// With `color` the text has ANSI escapes. The source's own control characters are replaced.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], source: &Source, map: &SourceMap, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let lines = Lines::new(&source.text);
    let mut out = String::new();
    for diagnostic in map.sorted(diagnostics).into_iter().take(MAX_RENDERED) {
        out.push_str(&draw(diagnostic, source, map, &lines, &renderer));
        out.push_str("\n\n");
    }
    let more = diagnostics.len().saturating_sub(MAX_RENDERED);
    if more > 0 {
        out.push_str(&format!("… and {more} more\n"));
    } else if out.ends_with("\n\n") {
        out.pop();
    }
    out
}

fn draw(
    diagnostic: &Diagnostic,
    source: &Source,
    map: &SourceMap,
    lines: &Lines<'_>,
    renderer: &Renderer,
) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Lint => Level::NOTE.with_name(Some("lint")),
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code);
    let mut group = Group::with_title(title);
    let span = map.locate(diagnostic);
    let (line, column) = lines.line_column(span.start);
    let name = if source.name.is_empty() {
        "definition"
    } else {
        &source.name
    };
    if source.text.is_empty() && diagnostic.span.is_none() {
        // A stored definition has no text; its pointers are all there is.
        let place = format!("{name} at {}", visible(&diagnostic.pointer));
        let place = if diagnostic.pointer.is_empty() {
            name
        } else {
            &place
        };
        group = group.element(Origin::path(place.to_owned()));
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        return renderer.render(&[group]);
    }
    let path = name;
    let here = Excerpt::new(source, &span, line);
    // Without a line of source there is nothing to draw, as for an empty file; in a cut line the
    // renderer cannot count columns.
    let drawn = !here.text.trim().is_empty();
    if here.cut || !drawn {
        group = group.element(Origin::path(path).line(line).char_column(column));
    }
    let mut also = Vec::new();
    for related in &diagnostic.related {
        let span = match &related.span {
            Some(span) => span.clone(),
            None => map.place(&related.pointer, None, false),
        };
        let line = lines.line_column(span.start).0;
        also.push((Excerpt::new(source, &span, line), related.label.as_str()));
    }
    if drawn {
        let snippet = here.snippet(AnnotationKind::Primary, None);
        group = group.element(if here.cut {
            snippet
        } else {
            snippet.path(path)
        });
    }
    for (excerpt, label) in &also {
        group = group.element(excerpt.snippet(AnnotationKind::Context, Some(label)));
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    if let Some(line) = &diagnostic.suggestion {
        let text = if line.chars().count() > MAX_BEFORE + MAX_AFTER {
            format!("write `{}`", shown(line.trim()))
        } else {
            format!("write `{}`", visible(line.trim()))
        };
        group = group.element(Level::HELP.message(text));
    }
    renderer.render(&[group])
}

/// The part of one source line around a place.
struct Excerpt {
    text: String,
    span: Range<usize>,
    line: usize,
    /// Whether the line is longer than the text.
    cut: bool,
}

impl Excerpt {
    fn new(source: &Source, span: &Range<usize>, line: usize) -> Self {
        let text = source.text.as_str();
        let whole = line_around(text, span.start);
        let start = floor_boundary(text, span.start).clamp(whole.start, whole.end);
        let end = floor_boundary(text, span.end).clamp(start, whole.end);
        let back = |from: usize, count: usize| {
            let before = &text[whole.start..from];
            let cut = before.char_indices().rev().nth(count.saturating_sub(1));
            cut.map_or(whole.start, |(at, _)| whole.start + at)
        };
        let forth = |from: usize, count: usize| {
            let after = &text[from..whole.end];
            after
                .char_indices()
                .nth(count)
                .map_or(whole.end, |(at, _)| from + at)
        };
        let cut = whole.len() > MAX_LINE;
        let (from, to) = if cut {
            (back(start, MAX_BEFORE), forth(start, MAX_AFTER))
        } else {
            (whole.start, whole.end)
        };
        let mark = |cut: bool| if cut { "…" } else { "" };
        let to = to.max(start);
        let before = mark(from > whole.start).to_owned() + &visible(&text[from..start]);
        let inside = visible(&text[start..end.min(to)]);
        let after = visible(&text[end.min(to)..to]) + mark(to < whole.end);
        Self {
            span: before.len()..before.len() + inside.len(),
            text: before + &inside + &after,
            line,
            cut,
        }
    }

    fn snippet<'e>(
        &'e self,
        kind: AnnotationKind,
        label: Option<&'e str>,
    ) -> Snippet<'e, annotate_snippets::Annotation<'e>> {
        Snippet::source(self.text.as_str())
            .line_start(self.line)
            .annotation(kind.span(self.span.clone()).label(label))
    }
}
